"""Synthetic network traffic with attacks, and what the best detector knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.problems.problem import BayesAccuracy, Seed, generator, shape
from bothways.problems.regimes import Chain, Regime
from bothways.sequences import Doubles, Floats, Numbers

SERVICES = ("unknown", "dns", "web", "mail", "login", "files")  # their places are the last column of X

FEATURES = ("log_gap", "log_sent", "log_received", "failed", "service")
"""The columns of X: log10 of the seconds since the flow before, log10 of the bytes sent and received, 1 where the
connection or login failed (else 0), and the service."""


class Look(NamedTuple):
    """What flows look like: the features of a flow are independent, given the service."""

    services: tuple[float, float, float, float, float]  # the share of each service, "unknown" left out
    gap: float = 0.5  # mean of log10 of the seconds since the flow before
    sent: float = 0.0  # added to the service's mean of log10 of the bytes sent
    received: float = 0.0  # the same of the bytes received
    failed: float = 0.03  # the share that fails


GAP_DEVIATION, BYTES_DEVIATION = 0.6, 0.5
MEAN_SENT = np.array([1.8, 2.8, 3.8, 3.0, 3.2])
MEAN_RECEIVED = np.array([2.2, 4.2, 2.6, 3.3, 4.4])

NORMAL = Look((0.3, 0.45, 0.08, 0.07, 0.1))
REJECTED = Look((0.0, 0.0, 0.0, 1.0, 0.0), gap=0.3, sent=-0.5, received=-0.7, failed=0.95)
BULK = Look((0.0, 0.3, 0.0, 0.2, 0.5), gap=0.4, sent=1.6)

LOOKS: Mapping[str, Look] = {
    "normal": NORMAL,
    "mistype": REJECTED,
    "backup": BULK,
    "probe": NORMAL,
    "burst": Look((0.1, 0.3, 0.1, 0.25, 0.25), gap=-0.9, sent=-0.8, received=-1.2, failed=0.6),
    "guess": REJECTED,
    "theft": BULK,
    "exploit": Look((0.0, 0.7, 0.0, 0.1, 0.2), gap=0.5, sent=1.5, received=-1.5, failed=0.3),
    "beacon": NORMAL,
    "flood": Look((0.1, 0.9, 0.0, 0.0, 0.0), gap=-1.4, sent=-0.3, received=-2.0, failed=0.3),
}

RARE = {"mistype": 0.012, "backup": 0.012, "probe": 0.008, "guess": 0.008, "exploit": 0.006, "flood": 0.004}

REGIMES: Mapping[str, Regime] = {
    "normal": Regime(1, 1, {"normal": 0.95} | RARE),
    "mistype": Regime(1, 4, {"normal": 1.0}),
    "backup": Regime(3, 6, {"normal": 1.0}),
    "probe": Regime(3, 5, {"burst": 1.0}),
    "burst": Regime(4, 10, {"normal": 1.0}),
    "guess": Regime(2, 4, {"theft": 1.0}),
    "theft": Regime(3, 6, {"normal": 1.0}),
    "exploit": Regime(1, 1, {"beacon": 1.0}),
    "beacon": Regime(5, 8, {"normal": 1.0}),
    "flood": Regime(4, 10, {"normal": 1.0}),
}

STAGES = tuple(REGIMES)  # what a flow can be part of, in the order of the codes of `labels="stage"`
ATTACKS = ("probe", "burst", "guess", "theft", "exploit", "beacon", "flood")  # the stages that are attacks
IS_ATTACK = np.array([stage in ATTACKS for stage in STAGES])  # for each stage, whether it is an attack

SEQUENCES, CHUNK = 2000, 250
"""The sample that `intrusion_flows_accuracy` is estimated from, and how many of them are computed at a time."""


def intrusion_flows(
    n_sequences: int, n_timesteps: int, labels: str = "attack", seed: Seed = None
) -> tuple[Floats, Numbers]:
    """Network flows of one host each, labeled 1 where they are part of an attack.

    A sequence goes through regimes, each of which lasts a while and is followed by another (`REGIMES`); what a flow
    looks like depends on the regime alone (`LOOKS`). Three things are harmless: *normal* traffic, a user who
    *mistypes* a password once or a few times, a *backup* of many bytes. Four things are attacks:

    - a scan: a few *probes* that look exactly like normal traffic, then a *burst* of many quick connections. The
      probes can be told only from what follows.
    - a break-in: *guesses* at a password that look exactly like mistyping, then the *theft* of data, which looks
      exactly like a backup. The guesses can be told only from what follows, the theft only from what came before.
    - an implant: one *exploit* that looks odd, then *beacons* that look exactly like normal traffic. The beacons can
      be told only from what came before, and where they end can only be guessed.
    - a *flood* of connections, which can be told from the step itself, and better with its neighbours.

    As the model is a hidden semi-Markov model, the probability that a flow is part of an attack, given what has been
    seen, can be computed exactly (`flow_posteriors`).

    The columns of X are `FEATURES`. The first flow of a host is in the midst of things: nothing starts there. With
    `labels="stage"` the labels of the same flows are the places of their regimes in `STAGES`.

    Example:
        >>> X, y = intrusion_flows(n_sequences=20, n_timesteps=50, seed=0)
        >>> X.shape, y.shape, round(float(y.mean()), 2)
        ((20, 50, 5), (20, 50, 1), 0.21)
    """
    if labels not in ("attack", "stage"):
        raise InputError(f'labels is {labels!r}; it must be "attack" or "stage".')
    size = shape(n_sequences, n_timesteps)
    random = generator(seed)
    stage = Chain.of(REGIMES).draw(*size, random)
    shares, gap, sent, received, failed = _parameters()
    service = (random.random(size)[..., None] >= np.cumsum(shares, axis=1)[stage][..., :-1]).sum(axis=-1)
    noise = random.standard_normal((3, *size))
    X = np.stack(
        [
            gap[stage] + GAP_DEVIATION * noise[0],
            sent[stage] + MEAN_SENT[service] + BYTES_DEVIATION * noise[1],
            received[stage] + MEAN_RECEIVED[service] + BYTES_DEVIATION * noise[2],
            random.random(size) < failed[stage],
            service + 1,
        ],
        axis=-1,
    )
    y = stage if labels == "stage" else IS_ATTACK[stage].astype(np.int64)
    return X.astype(np.float32), y[..., None]


def flow_columns(X: Floats, y: Numbers) -> dict[str, list[Any]]:
    """Flows as the columns of a table, one row per flow, for a data frame or a file.

    X and y are as `intrusion_flows` gives them, with labels of attacks (0 and 1); else it raises `InputError`.

    Example:
        >>> columns = flow_columns(*intrusion_flows(n_sequences=2, n_timesteps=3, seed=0))
        >>> list(columns)
        ['sequence_id', 'step', 'log_gap', 'log_sent', 'log_received', 'failed', 'service', 'label']
        >>> columns["sequence_id"], columns["step"]
        ([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2])

        >>> import polars
        >>> polars.DataFrame(columns).write_parquet("flows.parquet")  # doctest: +SKIP
    """
    if X.ndim != 3 or X.shape[2] != len(FEATURES) or y.shape != (*X.shape[:2], 1) or not np.isin(y, (0, 1)).all():
        raise InputError(
            f"X is {X.shape} and y is {y.shape}; flows are (sequences, steps, {len(FEATURES)}) and their labels "
            "(sequences, steps, 1), each 0 or 1, as intrusion_flows gives them."
        )
    n_sequences, n_timesteps = X.shape[:2]
    return {
        "sequence_id": np.repeat(np.arange(n_sequences), n_timesteps).tolist(),
        "step": np.tile(np.arange(n_timesteps), n_sequences).tolist(),
        **{name: X[..., i].ravel().tolist() for i, name in enumerate(FEATURES[:3])},
        "failed": X[..., 3].astype(np.int64).ravel().tolist(),
        "service": [SERVICES[code] for code in X[..., 4].astype(np.int64).ravel()],
        "label": ["attack" if label else "normal" for label in y.ravel()],
    }


def flow_posteriors(X: Floats) -> dict[str, Doubles]:
    """The exact probability of each stage at each flow, by what has been seen: what the best detector knows.

    Returns:
        For "forward" (the flows up to t are seen), "backward" (those from t on) and "both" (all), an array
        `(sequences, steps, stages)`, stages as in `STAGES`.

    Raises:
        InputError: X is not as `intrusion_flows` gives it.

    Example:
        >>> X, y = intrusion_flows(n_sequences=100, n_timesteps=50, seed=0)
        >>> attack = [STAGES.index(stage) for stage in ATTACKS]
        >>> p = flow_posteriors(X)["both"][..., attack].sum(axis=-1)
        >>> round(float(((p >= 0.5) == y[..., 0]).mean()), 2)
        0.98
    """
    known = X.ndim == 3 and X.shape[2] == len(FEATURES) and np.isin(X[..., 4], range(1, len(SERVICES))).all()
    if not known or not np.isfinite(X).all():
        raise InputError(
            f"X is {X.shape}; flows are finite numbers (sequences, steps, {len(FEATURES)}) with services from 1 to "
            f"{len(SERVICES) - 1}, as intrusion_flows gives them."
        )
    chain = Chain.of(REGIMES)
    shares, gap, sent, received, failed = _parameters()
    service = X[..., 4].astype(np.int64) - 1
    with np.errstate(divide="ignore"):
        log_shares = np.log(shares)
    x = X.astype(np.float64)[..., None]
    log_likelihood = (
        log_shares.T[service]
        - ((x[..., 0, :] - gap) / GAP_DEVIATION) ** 2 / 2
        - ((x[..., 1, :] - MEAN_SENT[service][..., None] - sent) / BYTES_DEVIATION) ** 2 / 2
        - ((x[..., 2, :] - MEAN_RECEIVED[service][..., None] - received) / BYTES_DEVIATION) ** 2 / 2
        + np.log(np.where(x[..., 3, :] > 0.5, failed, 1 - failed))
    )
    return chain.posteriors(log_likelihood)


def intrusion_flows_accuracy(n_timesteps: int, labels: str = "attack") -> BayesAccuracy:
    """The accuracy that is possible on `intrusion_flows`, from the exact posteriors of 2,000 sequences."""
    random = generator(0)
    right: dict[str, list[Doubles]] = {}
    for _ in range(0, SEQUENCES, CHUNK):
        for direction, p in flow_posteriors(intrusion_flows(CHUNK, n_timesteps, labels, random)[0]).items():
            attack = p[..., IS_ATTACK].sum(axis=-1)
            best = p.max(axis=-1) if labels == "stage" else np.maximum(attack, 1 - attack)
            right.setdefault(direction, []).append(best)
    shares = {direction: np.concatenate(parts) for direction, parts in right.items()}
    error = max(float(share.mean(axis=1).std(ddof=1)) for share in shares.values()) / SEQUENCES**0.5
    forward, backward, both = (shares[way].mean(axis=0) for way in ("forward", "backward", "both"))
    return BayesAccuracy(forward, backward, both, error)


def _parameters() -> tuple[Doubles, ...]:
    """The looks as arrays, one row per stage: shares of services, gap, sent, received, failed."""
    return tuple(np.array(each) for each in zip(*map(LOOKS.get, STAGES), strict=True))
