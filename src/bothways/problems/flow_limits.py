"""How well any detector can do on `intrusion_flows`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bothways.problems.arguments import count, generator, number
from bothways.problems.flows import IS_ATTACK, STAGES, check_labels, flow_posteriors, intrusion_flows
from bothways.problems.problem import Ceilings, Floats

_CHUNK = 250  # sequences whose posteriors are computed at a time


class Estimate(NamedTuple):
    """A figure and its standard error.

    Example:
        >>> Estimate(0.9, 0.01).error
        0.01
    """

    value: float
    error: float


@dataclass(frozen=True)
class FlowLimits:
    """What the best detector reaches that reads in one way.

    Attributes:
        accuracy: the share of flows labelled rightly, attack or not.
        detection: by false-alarm rate (the share of harmless flows that raise an alarm), the share of the flows of
            attacks that raise one.
        stages: by false-alarm rate and stage, the share of the flows of that stage that raise an alarm.
    """

    accuracy: Estimate
    detection: Mapping[float, Estimate]
    stages: Mapping[float, Mapping[str, float]]


def intrusion_limits(
    n_timesteps: int = 100,
    false_alarm_rates: Sequence[float] = (0.01, 0.001),
    n_sequences: int = 2000,
    seed: int | np.random.Generator | None = 0,
) -> dict[str, FlowLimits]:
    """How well any detector can do on `intrusion_flows`, by the way in which it reads.

    Of all detectors with a given false-alarm rate, none finds more than the one that raises an alarm where the
    probability of an attack, given what it has seen, is above a threshold (Neyman and Pearson 1933); and none labels
    more flows rightly than the one with threshold 1/2. These probabilities p are exact (`flow_posteriors`); what is
    estimated is their distribution, over a large sample of sequences. As given what is seen a flow is part of an
    attack with p, the sample's own labels are not needed: the detection rate at a threshold is the sum of p over the
    flows above it divided by the sum over all flows, the false-alarm rate is the same of 1 - p, and the accuracy is
    the mean of max(p, 1 - p). Standard errors are those of 200 bootstrap samples of whole sequences.

    Args:
        n_timesteps: flows of each sequence, 1 or more.
        false_alarm_rates: each between 0 and 1.
        n_sequences: the size of the sample, 2 or more.
        seed: as for `cumulative_sum`.

    Returns:
        The limits for "forward" (the flows up to t are seen), "backward" (those from t on) and "both" (all).

    Raises:
        InputError: a count that is too low, a rate that is not between 0 and 1, or a negative seed.

    Example:
        >>> limits = intrusion_limits(n_timesteps=50, n_sequences=200)
        >>> limits["forward"].detection[0.01].value < limits["both"].detection[0.01].value
        True
    """
    rates = [number("false_alarm_rates", rate, 0, 1) for rate in false_alarm_rates]
    random = generator(seed)
    sample: dict[str, list[Floats]] = {}
    for posteriors in _sample(count("n_sequences", n_sequences, 2), count("n_timesteps", n_timesteps), random):
        for direction, p in posteriors.items():
            sample.setdefault(direction, []).append(p)
    return {direction: _limits(np.concatenate(parts), rates, random) for direction, parts in sample.items()}


def intrusion_flows_ceilings(n_timesteps: int, labels: str = "attack") -> Ceilings:
    """The ceilings of accuracy on `intrusion_flows`, from the exact posteriors of 2,000 sequences.

    Args:
        n_timesteps: flows of each sequence, 1 or more.
        labels: as for `intrusion_flows`.

    Raises:
        InputError: a count below 1, or labels of another name.

    Example:
        >>> ceilings = intrusion_flows_ceilings(20)
        >>> ceilings.forward < ceilings.both, ceilings.error < 0.005
        (True, True)
    """
    check_labels(labels)
    n_sequences = 2000
    right: dict[str, list[Floats]] = {}
    for posteriors in _sample(n_sequences, count("n_timesteps", n_timesteps), generator(0)):
        for direction, p in posteriors.items():
            attack = p[..., IS_ATTACK].sum(axis=-1)
            best = p.max(axis=-1) if labels == "stage" else np.maximum(attack, 1 - attack)
            right.setdefault(direction, []).append(best)
    shares = {direction: np.concatenate(parts) for direction, parts in right.items()}
    error = max(float(share.mean(axis=1).std(ddof=1)) for share in shares.values()) / n_sequences**0.5
    forward, backward, both = (shares[way].mean(axis=0) for way in ("forward", "backward", "both"))
    return Ceilings(forward, backward, both, error)


def _sample(n_sequences: int, n_timesteps: int, random: np.random.Generator) -> Iterator[dict[str, Floats]]:
    for start in range(0, n_sequences, _CHUNK):
        X, _ = intrusion_flows(min(_CHUNK, n_sequences - start), n_timesteps, seed=random)
        yield flow_posteriors(X)


def _limits(p: Floats, rates: Sequence[float], random: np.random.Generator) -> FlowLimits:
    """The limits that posteriors `(sequences, steps, stages)` give."""
    n_sequences, n_timesteps, _ = p.shape
    attack = np.clip(p[..., IS_ATTACK].sum(axis=-1), 0.0, 1.0)
    right = np.maximum(attack, 1 - attack).mean(axis=1)

    order = np.argsort(-attack, axis=None)
    sorted_attack = attack.ravel()[order]
    sequence = order // n_timesteps

    def found(weights: Floats) -> list[float]:
        above = np.cumsum(weights * sorted_attack)
        alarms = np.cumsum(weights * (1 - sorted_attack))
        return [float(np.interp(rate, alarms / alarms[-1], above / above[-1])) for rate in rates]

    repeats = []
    for _ in range(200):
        drawn = np.bincount(random.integers(n_sequences, size=n_sequences), minlength=n_sequences)
        repeats.append(found(drawn[sequence].astype(np.float64)))
    errors = np.std(repeats, axis=0, ddof=1)
    detection = found(np.ones(attack.size))

    alarms = np.cumsum(1 - sorted_attack)
    stages = {}
    for rate in rates:
        raised = order[: np.searchsorted(alarms, rate * alarms[-1])]
        shares = p.reshape(-1, len(STAGES))
        stages[rate] = dict(zip(STAGES, (shares[raised].sum(axis=0) / shares.sum(axis=0)).tolist(), strict=True))
    return FlowLimits(
        Estimate(float(right.mean()), float(right.std(ddof=1)) / n_sequences**0.5),
        {rate: Estimate(*pair) for rate, *pair in zip(rates, detection, errors.tolist(), strict=True)},
        stages,
    )
