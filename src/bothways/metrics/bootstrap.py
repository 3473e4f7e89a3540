"""How much scores would vary on other sequences: the bootstrap over whole sequences.

Steps of one sequence resemble each other, so to draw steps would promise a precision that is not there. Whole sequences
are drawn with replacement, as many as there are; percentiles of the scores of such samples bound the interval (Efron &
Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.sequences import Array, Doubles, Floats, Numbers, pair_counts

RESAMPLES = 1000
CONFIDENCE = 0.95
AT_ONCE = 2**22  # this many draws of sequences are made at once; up to 16 times as many are kept


class Interval(NamedTuple):
    """A score and the ends of the interval that holds it."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, scores: Doubles) -> Interval:
        """From its value, which is the first one, and those of samples; see `Resamples.with_whole`."""
        return cls(float(scores[0]), *interval(scores[1:]))


class Resamples:
    """Samples of sequences and of seeds. All scores use the same ones, so that differences are paired.

    Seeds and sequences are drawn independently, each with replacement (the pigeonhole bootstrap: Owen 2007), since both
    are samples: other seeds, and other sequences, would give other scores. A sequence that several seeds have is drawn
    for all of them or for none.

    Args:
        sequences: for each seed, how many sequences there are, the same for all; or the numbers of those that it has.
        times: how many samples.
        seed: of the draws.

    Example:
        >>> counts = np.array([[[9, 10], [5, 10]], [[8, 10], [6, 10]]])  # (seeds, sequences, (right, steps))
        >>> share = lambda sums, whole: sums[..., 0] / sums[..., 1]
        >>> draws = Resamples([2, 2], times=200).scores(counts, share, worst=0.0)
        >>> draws.shape, float(draws.min()) >= 0.5, float(draws.max()) <= 0.9
        ((200, 2), True, True)
    """

    def __init__(self, sequences: Sequence[int | Numbers], times: int = RESAMPLES, seed: int = 0) -> None:
        self.times = times
        generator = np.random.default_rng([seed, len(sequences)])
        self.seeds = generator.integers(len(sequences), size=(times, len(sequences)))
        self._seed = seed
        self._size, self._had = _numbered(sequences)
        self._kept: list[Floats] = []

    def sums(self, *counts: Array) -> list[Doubles]:
        """Sums over the sequences of each sample, `(times, k)` for each of the counts `(sequences, k)`."""
        found: list[list[Doubles]] = [[] for _ in counts]
        for weights in self.weights():
            for of_counts, array in zip(found, counts, strict=True):
                of_counts.append((weights @ np.asarray(array, np.float32)).astype(np.float64))
        return [np.concatenate(of_counts) for of_counts in found]

    def with_whole(self, *counts: Array) -> list[Doubles]:
        """`sums`, after a row of the sums over all sequences."""
        pairs = zip(counts, self.sums(*counts), strict=True)
        return [np.vstack([array.sum(axis=0), drawn]) for array, drawn in pairs]

    def scores(
        self, counts: Sequence[npt.ArrayLike | None], score: Callable[[Doubles, Doubles], Doubles], worst: float
    ) -> Doubles:
        """The score of each seed that was drawn, on the sequences that were drawn.

        Args:
            counts: for each seed `(its sequences, k)`; None for one without a result.
            score: what turns sums of counts `(..., k)`, given those over all sequences, into scores `(...)`.
            worst: the score of a seed without a result.

        Returns:
            `(times, seeds)`, in the order of the draw; NaN for a seed none of whose sequences were drawn.
        """
        columns = np.full((self.times, len(counts)), worst)
        there = {i: np.asarray(array) for i, array in enumerate(counts) if array is not None}
        had = self._had
        if there and had is None:
            # One product for all seeds is many times as fast as one each.
            (sums,) = self.sums(np.concatenate(list(there.values()), axis=1))
            whole = np.stack([array.sum(axis=0) for array in there.values()])
            columns[:, list(there)] = score(sums.reshape(self.times, *whole.shape), whole)
        elif had is not None:
            columns[:, list(there)], start = np.nan, 0
            for weights in self.weights():
                rows, start = columns[start : start + len(weights)], start + len(weights)
                for i, array in there.items():
                    drawn = weights[:, had[i]]
                    some = drawn.any(axis=1)
                    sums = (drawn[some] @ np.asarray(array, np.float32)).astype(np.float64)
                    rows[some, i] = score(sums, array.sum(axis=0))
        return np.take_along_axis(columns, self.seeds, axis=1)

    def weights(self) -> Iterator[Floats]:
        """How often each sequence is drawn, `(some samples, sequences)` at a time: for scores that no sums give.

        Example:
            >>> [weights.sum(axis=1).tolist() for weights in Resamples([4], times=3).weights()]
            [[4.0, 4.0, 4.0]]
        """
        if self._kept:
            yield from self._kept
            return
        size = self._size
        generator = np.random.default_rng(self._seed)
        some = max(1, AT_ONCE // max(1, size))
        kept = []
        for start in range(0, self.times, some):
            samples = min(some, self.times - start)
            drawn = generator.integers(size, size=(samples, size))
            weights = pair_counts(np.arange(samples)[:, None], drawn, drawn.shape).astype(np.float32)
            if size * self.times <= 16 * AT_ONCE:
                kept.append(weights)
            yield weights
        self._kept = kept


def _numbered(sequences: Sequence[int | Numbers]) -> tuple[int, list[Numbers] | None]:
    """How many sequences there are in all, and the places of each seed's among them; None where all have all."""
    numbers = [each for each in sequences if not isinstance(each, int)]
    if isinstance(sequences[0], int):
        return sequences[0], None
    known, places = np.unique(np.concatenate(numbers), return_inverse=True)
    return len(known), np.split(places, np.cumsum([len(each) for each in numbers])[:-1])


def medians(draws: Doubles) -> Doubles:
    """The median over the seeds of each sample `(times, seeds)`; seeds without a score (NaN) are left out.

    Example:
        >>> medians(np.array([[1.0, 2.0, 4.0], [1.0, 3.0, np.nan]]))
        array([2., 2.])
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.asarray(np.nanmedian(draws, axis=1))


def interval(draws: Doubles) -> tuple[float, float]:
    """The percentile interval of the scores of samples (Efron 1979); samples without a score (NaN) are left out.

    Example:
        >>> low, high = interval(np.arange(401.0))
        >>> round(low, 6), round(high, 6)
        (10.0, 390.0)
    """
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws[~np.isnan(draws)], [tail, 1 - tail])
    return float(low), float(high)
