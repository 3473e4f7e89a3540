"""What is possible on generated problems for readers that only research asks about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.metrics import Resamples
from bothways.problems import PROBLEMS, flow_posteriors, intrusion_flows
from bothways.problems.flows import IS_ATTACK, STAGES
from bothways.problems.sums import right_guess

Floats = npt.NDArray[np.float64]

CHUNK = 250
"""Sequences whose posteriors are computed at a time."""

RESAMPLES = 200
"""Bootstrap samples: enough for a standard error, which needs fewer than the ends of an interval."""


def parity_added(n_timesteps: int, reach: int = 1) -> Floats:
    """What is possible on `parity` for one layer whose directions are added or concatenated, with a linear head.

    It reads raw numbers, without changes and distances from a mean. `parity` derives it: 3/4 at the steps between the
    ends, and 1 at the two ends, which one direction knows by itself.

    Args:
        n_timesteps: steps of each sequence.
        reach: as for `parity`.

    Returns:
        `(n_timesteps,)`: for each step, the highest expected accuracy.

    Example:
        >>> parity_added(4)
        array([1.  , 0.75, 0.75, 1.  ])
    """
    possible = PROBLEMS["parity"].bayes_accuracy(n_timesteps, reach)
    return np.where(np.maximum(possible.forward_steps, possible.backward_steps) < 1, 0.75, 1.0)


def reversed_as_written(n_timesteps: int, threshold: float | None = None) -> Floats:
    """What is possible on `cumulative_sum` for the reversed LSTM of the tutorials.

    Their `LSTM(go_backwards=True)` emits its outputs in the order in which it reads, and they are compared with
    labels in the order of time: at step t it has seen x[T-t+1..T] and is asked for the label of x[1..t]. Of those
    t numbers it has seen the last 2t - T, if that is more than none, and the others are the unknown sum U.

    Args:
        n_timesteps: steps of each sequence.
        threshold: as for `cumulative_sum`.

    Returns:
        `(n_timesteps,)`: for each step, the highest expected accuracy.

    Example:
        >>> round(float(reversed_as_written(10).mean()), 4)
        0.8941
    """
    limit = n_timesteps / 4 if threshold is None else threshold
    seen = [max(0, 2 * t - n_timesteps) for t in range(1, n_timesteps + 1)]
    return np.array([right_guess(k, t - k, limit - k) for t, k in enumerate(seen, 1)])


class Estimate(NamedTuple):
    """A figure and its standard error."""

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
    seed: int = 0,
) -> dict[str, FlowLimits]:
    """How well any detector can do on `intrusion_flows`, by the way in which it reads.

    Of all detectors with a given false-alarm rate, none finds more than the one that raises an alarm where the
    probability of an attack, given what it has seen, is above a threshold (Neyman and Pearson 1933); and none labels
    more flows rightly than the one with threshold 1/2. These probabilities p are exact (`flow_posteriors`); what is
    estimated is their distribution, over a large sample of sequences. As given what is seen a flow is part of an
    attack with p, the sample's own labels are not needed: the detection rate at a threshold is the sum of p over the
    flows above it divided by the sum over all flows, the false-alarm rate is the same of 1 - p, and the accuracy is
    the mean of max(p, 1 - p). Standard errors are those of `RESAMPLES` bootstrap samples of whole sequences.

    Args:
        n_timesteps: flows of each sequence.
        false_alarm_rates: each between 0 and 1.
        n_sequences: the size of the sample, 2 or more.
        seed: of the sample.

    Returns:
        The limits for "forward" (the flows up to t are seen), "backward" (those from t on) and "both" (all).

    Example:
        >>> limits = intrusion_limits(n_timesteps=50, n_sequences=200)
        >>> limits["forward"].detection[0.01].value < limits["both"].detection[0.01].value
        True
    """
    random = np.random.default_rng(seed)
    sample: dict[str, list[Floats]] = {}
    for start in range(0, n_sequences, CHUNK):
        X, _ = intrusion_flows(min(CHUNK, n_sequences - start), n_timesteps, seed=random)
        for direction, p in flow_posteriors(X).items():
            sample.setdefault(direction, []).append(p)
    resamples = Resamples([n_sequences], RESAMPLES, seed)
    return {
        direction: _limits(np.concatenate(parts), false_alarm_rates, resamples) for direction, parts in sample.items()
    }


def _limits(p: Floats, rates: Sequence[float], resamples: Resamples) -> FlowLimits:
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

    repeats = [found(drawn[sequence].astype(np.float64)) for weights in resamples.weights() for drawn in weights]
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
