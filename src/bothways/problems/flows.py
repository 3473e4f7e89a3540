"""Synthetic network traffic with attacks, and what the best detector knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.problems.arguments import count, generator
from bothways.problems.problem import Floats, Inputs, Labels
from bothways.problems.regimes import Chain, Regime

SERVICES = ("unknown", "dns", "web", "mail", "login", "files")
"""The services of flows; the last column of X holds places in this list."""

FEATURES = ("log_gap", "log_sent", "log_received", "failed", "service")
"""The columns of X: log10 of the seconds since the flow before, log10 of the bytes sent and received, 1 where the
connection or login failed (else 0), and the service."""


@dataclass(frozen=True)
class Look:
    """What flows look like: the features of a flow are independent, given the service.

    Attributes:
        services: the share of each service, "unknown" left out.
        gap: mean of log10 of the seconds since the flow before; its deviation is 0.6.
        sent: added to the service's mean of log10 of the bytes sent; the deviation is 0.5.
        received: the same of the bytes received.
        failed: the share that fails.
    """

    services: tuple[float, float, float, float, float]
    gap: float = 0.5
    sent: float = 0.0
    received: float = 0.0
    failed: float = 0.03


GAP_DEVIATION, BYTES_DEVIATION = 0.6, 0.5
MEAN_SENT = np.array([1.8, 2.8, 3.8, 3.0, 3.2])
MEAN_RECEIVED = np.array([2.2, 4.2, 2.6, 3.3, 4.4])

NORMAL = Look((0.3, 0.45, 0.08, 0.07, 0.1))
REJECTED = Look((0.0, 0.0, 0.0, 1.0, 0.0), gap=0.3, sent=-0.5, received=-0.7, failed=0.95)
BULK = Look((0.0, 0.3, 0.0, 0.2, 0.5), gap=0.4, sent=1.6)

LOOKS: Mapping[str, Look] = MappingProxyType(
    {
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
)

REGIMES: Mapping[str, Regime] = MappingProxyType(
    {
        "normal": Regime(
            1,
            1,
            {
                "normal": 0.95,
                "mistype": 0.012,
                "backup": 0.012,
                "probe": 0.008,
                "guess": 0.008,
                "exploit": 0.006,
                "flood": 0.004,
            },
        ),
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
)

STAGES = tuple(REGIMES)
"""What a flow can be part of, in the order of the codes of `labels="stage"`."""

ATTACKS = ("probe", "burst", "guess", "theft", "exploit", "beacon", "flood")
"""The stages that are attacks."""

IS_ATTACK = np.array([stage in ATTACKS for stage in STAGES])
"""For each stage, whether it is an attack."""


def intrusion_flows(
    n_sequences: int,
    n_timesteps: int,
    labels: str = "attack",
    seed: int | np.random.Generator | None = None,
) -> tuple[Inputs, Labels]:
    """Network flows of one host each, labelled 1 where they are part of an attack.

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

    Args:
        n_sequences: how many hosts, 1 or more.
        n_timesteps: flows of each, 1 or more. The first one is in the midst of things: nothing starts there.
        labels: "attack" for 0 and 1, "stage" for the place of the regime in `STAGES`, of the same flows.
        seed: as for `cumulative_sum`.

    Returns:
        `X (n_sequences, n_timesteps, 5)`, columns as in `FEATURES`, and `y (n_sequences, n_timesteps, 1)`.

    Raises:
        InputError: a count below 1, labels of another name, or a negative seed.

    Example:
        >>> X, y = intrusion_flows(n_sequences=20, n_timesteps=50, seed=0)
        >>> X.shape, y.shape, round(float(y.mean()), 2)
        ((20, 50, 5), (20, 50, 1), 0.21)
    """
    check_labels(labels)
    shape = (count("n_sequences", n_sequences), count("n_timesteps", n_timesteps))
    random = generator(seed)
    stage = Chain.of(REGIMES).draw(*shape, random)
    shares, gap, sent, received, failed = _parameters()
    service = (random.random(shape)[..., None] >= np.cumsum(shares, axis=1)[stage][..., :-1]).sum(axis=-1)
    noise = random.standard_normal((3, *shape))
    X = np.stack(
        [
            gap[stage] + GAP_DEVIATION * noise[0],
            sent[stage] + MEAN_SENT[service] + BYTES_DEVIATION * noise[1],
            received[stage] + MEAN_RECEIVED[service] + BYTES_DEVIATION * noise[2],
            random.random(shape) < failed[stage],
            service + 1,
        ],
        axis=-1,
    )
    y = stage if labels == "stage" else IS_ATTACK[stage].astype(np.int64)
    return X.astype(np.float32), y[..., None]


def flow_columns(X: Inputs, y: Labels) -> dict[str, list[Any]]:
    """Flows as the columns of a table, one row a flow, for a data frame or a file.

    Args:
        X: as `intrusion_flows` gives it.
        y: the labels that go with it, of attacks (0 and 1).

    Returns:
        "sequence_id", "step", the columns of `FEATURES` with services by name, and "label": "attack" or "normal".

    Raises:
        InputError: arrays of other shapes, or labels other than 0 and 1.

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
    columns: dict[str, list[Any]] = {
        "sequence_id": np.repeat(np.arange(n_sequences), n_timesteps).tolist(),
        "step": np.tile(np.arange(n_timesteps), n_sequences).tolist(),
    }
    for i, name in enumerate(FEATURES[:3]):
        columns[name] = X[..., i].ravel().tolist()
    columns["failed"] = X[..., 3].astype(np.int64).ravel().tolist()
    columns["service"] = [SERVICES[code] for code in X[..., 4].astype(np.int64).ravel()]
    columns["label"] = ["attack" if label else "normal" for label in y.ravel()]
    return columns


def flow_posteriors(X: Inputs) -> dict[str, Floats]:
    """The exact probability of each stage at each flow, by what has been seen: what the best detector knows.

    Args:
        X: `(sequences, steps, 5)`, as `intrusion_flows` gives it.

    Returns:
        For "forward" (the flows up to t are seen), "backward" (those from t on) and "both" (all), an array
        `(sequences, steps, stages)`, stages as in `STAGES`.

    Raises:
        InputError: X has another shape, numbers that are not finite, or services that there are not.

    Example:
        >>> X, y = intrusion_flows(n_sequences=100, n_timesteps=50, seed=0)
        >>> attack = [STAGES.index(stage) for stage in ATTACKS]
        >>> p = flow_posteriors(X)["both"][..., attack].sum(axis=-1)
        >>> round(float(((p >= 0.5) == y[..., 0]).mean()), 2)
        0.98
    """
    if X.ndim != 3 or X.shape[2] != len(FEATURES):
        raise InputError(
            f"X is {X.shape}; flows are (sequences, steps, {len(FEATURES)}), as intrusion_flows gives them."
        )
    if not np.isfinite(X).all() or not np.isin(X[..., 4], range(1, len(SERVICES))).all():
        raise InputError(
            f"X has numbers that are not finite, or services other than 1 to {len(SERVICES) - 1}; give flows of "
            "intrusion_flows."
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


def check_labels(labels: str) -> None:
    """Refuse names of labels that `intrusion_flows` does not give.

    Raises:
        InputError: neither "attack" nor "stage".

    Example:
        >>> check_labels("kind")
        Traceback (most recent call last):
        bothways.errors.InputError: labels is 'kind'; it must be "attack" or "stage".
    """
    if labels not in ("attack", "stage"):
        raise InputError(f'labels is {labels!r}; it must be "attack" or "stage".')


def _parameters() -> tuple[Floats, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """The looks as arrays, a row a stage: shares of services, gap, sent, received, failed."""
    looks = [LOOKS[stage] for stage in STAGES]
    shares = np.array([look.services for look in looks])
    gap, sent, received, failed = (
        np.array([getattr(look, name) for look in looks]) for name in ("gap", "sent", "received", "failed")
    )
    return shares, gap, sent, received, failed
