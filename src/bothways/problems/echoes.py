"""Numbers that repeat or combine numbers a given distance away."""

from __future__ import annotations

import numpy as np

from bothways.options import whole
from bothways.problems.problem import BayesAccuracy, Seed, uniform
from bothways.sequences import Floats, Numbers


def past_echo(n_sequences: int, n_timesteps: int, distance: int = 3, seed: Seed = None) -> tuple[Floats, Numbers]:
    """Uniform numbers, labeled by whether the number `distance` steps before was at least 1/2.

    `distance` is 0 or more; the first `distance` steps have no such number and the label 0. It shows memory: how far
    back a reader can recall.

    What is possible, with T steps and distance k. *Forward* and *both*: 1. *Backward*: the first k labels are
    known; from k + 1 on the number is unseen and independent of all that is seen, so that a guess is right with
    1/2 (if k is 0, it is the step itself, and 1). With k at most T, the mean is (k + (T - k) / 2) / T.

    Example:
        >>> X, y = past_echo(n_sequences=2, n_timesteps=5, distance=2, seed=5)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.67, 0.81, 0.02, 0.81, 0.47], dtype=float32), array([0, 0, 1, 1, 0]))
    """
    X = uniform(n_sequences, n_timesteps, seed)
    return X, (_shifted(X, whole("distance", distance, 0)) >= 0.5).astype(np.int64)


def past_echo_accuracy(n_timesteps: int, distance: int = 3) -> BayesAccuracy:
    """The accuracy that `past_echo` derives; exact."""
    return future_echo_accuracy(n_timesteps, distance).mirrored()


def future_echo(n_sequences: int, n_timesteps: int, distance: int = 3, seed: Seed = None) -> tuple[Floats, Numbers]:
    """Uniform numbers, labeled by whether the number `distance` steps later is at least 1/2.

    `distance` is 0 or more; the last `distance` steps have no such number and the label 0. It needs the future, and a
    known piece of it: a reader that labels `distance` steps late can do it, one that labels at once can only guess.

    What is possible: as for `past_echo` with the directions exchanged. *Forward*: (k + (T - k) / 2) / T for a
    distance k from 1 to T. *Backward* and *both*: 1.

    Example:
        >>> X, y = future_echo(n_sequences=2, n_timesteps=5, distance=2, seed=5)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.67, 0.81, 0.02, 0.81, 0.47], dtype=float32), array([0, 1, 0, 0, 0]))
    """
    X = uniform(n_sequences, n_timesteps, seed)
    return X, (_shifted(X, -whole("distance", distance, 0)) >= 0.5).astype(np.int64)


def future_echo_accuracy(n_timesteps: int, distance: int = 3) -> BayesAccuracy:
    """The accuracy that `future_echo` derives; exact."""
    steps, distance = whole("n_timesteps", n_timesteps, 1), whole("distance", distance, 0)
    guessed = (np.arange(steps) + distance < steps) & (distance > 0)
    return BayesAccuracy(np.where(guessed, 0.5, 1.0), np.ones(steps), np.ones(steps))


def neighbours(n_sequences: int, n_timesteps: int, distance: int = 1, seed: Seed = None) -> tuple[Floats, Numbers]:
    """Uniform numbers, labeled by whether the two that stand `distance` steps before and after add up to 1 or more.

    `distance` is 1 or more. A number that is not there counts as 0, so that the first and the last `distance` labels
    are 0. Each side says something and both say all; the sum of what the two sides say is enough, so that any merge
    mode will do.

    What is possible, with T steps and distance k of 1 or more. *Forward* and *backward*: where both numbers are
    there, one is seen, say a, and the other is not; the label is 1 with probability a, and the best guess is right
    with E max(a, 1 - a) = 3/4. The labels of the min(2k, T) steps at the ends are known. The mean is
    (min(2k, T) + 3/4 max(T - 2k, 0)) / T. *Both*: 1.

    Example:
        >>> X, y = neighbours(n_sequences=2, n_timesteps=5, seed=1)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.47, 0.51, 0.76, 0.95, 0.03], dtype=float32), array([0, 1, 1, 0, 0]))
    """
    X = uniform(n_sequences, n_timesteps, seed)
    distance = whole("distance", distance, 1)
    return X, (_shifted(X, distance) + _shifted(X, -distance) >= 1).astype(np.int64)


def neighbours_accuracy(n_timesteps: int, distance: int = 1) -> BayesAccuracy:
    """The accuracy that `neighbours` derives; exact."""
    steps, distance = whole("n_timesteps", n_timesteps, 1), whole("distance", distance, 1)
    t = np.arange(steps)
    alone = np.where((t >= distance) & (t + distance < steps), 0.75, 1.0)
    return BayesAccuracy(alone, alone, np.ones(steps))


def parity(n_sequences: int, n_timesteps: int, reach: int = 1, seed: Seed = None) -> tuple[Floats, Numbers]:
    """Random bits, labeled by whether an odd number of those from `reach` steps before to `reach` after are 1.

    `reach` is 0 or more. Neither side alone says anything at all, and both together say all.

    What is possible, with T steps and a reach of 1 or more. *Forward*: before the last step at least one bit is
    unseen; it is as often 0 as 1 whatever is seen, so that a guess is right with 1/2. At the last step nothing is
    unseen. *Backward*: the same from the other end. Both means are (1 + (T - 1) / 2) / T. *Both*: 1.

    Not every reader of both sides gets there. One layer whose two directions are added or concatenated, with a linear
    head on top, that reads the bits alone, scores a step by f(past) + g(future). Take a past with an even and one with
    an odd count, and futures likewise: to be right on all four pairs, two of the four sums must be below 0 and two must
    not; but the two pairs of sums have the same total. So at least one of the four is wrong: at most 3/4 of the steps
    between the ends are right. `merge_mode="mul"`, a second layer or a hidden layer in the head have no such limit, and
    no network has that reads changes or distances from the mean of the sequence beside the bits, as is the default
    (`levels="raw", changes=0` leaves them out): they tell each direction of the other side.

    Example:
        >>> X, y = parity(n_sequences=2, n_timesteps=6, seed=3)
        >>> X[0, :, 0], y[0, :, 0]
        (array([1., 0., 0., 0., 0., 1.], dtype=float32), array([1, 1, 0, 0, 1, 1]))
    """
    X = (uniform(n_sequences, n_timesteps, seed) >= 0.5).astype(np.float32)
    reach = whole("reach", reach, 0)
    ones = np.pad(np.cumsum(X, axis=1, dtype=np.float64), ((0, 0), (1, 0), (0, 0)))
    t = np.arange(n_timesteps)
    window = ones[:, np.minimum(t + reach + 1, n_timesteps)] - ones[:, np.maximum(t - reach, 0)]
    return X, window.astype(np.int64) % 2


def parity_accuracy(n_timesteps: int, reach: int = 1) -> BayesAccuracy:
    """The accuracy that `parity` derives; exact."""
    steps, reach = whole("n_timesteps", n_timesteps, 1), whole("reach", reach, 0)
    forward = np.full(steps, 1.0 if reach == 0 else 0.5)
    forward[-1] = 1.0
    return BayesAccuracy(forward, forward[::-1], np.ones(steps))


def _shifted(X: Floats, distance: int) -> Floats:
    """X moved `distance` steps later (earlier if negative), with 0 where nothing comes from."""
    steps = X.shape[1]
    before, after = min(max(distance, 0), steps), min(max(-distance, 0), steps)
    return np.asarray(np.pad(X, ((0, 0), (before, after), (0, 0)))[:, after : after + steps])
