"""Random convolutions: features of a sequence's numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from bothways.arrays import checked_array
from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns.numbers import LARGEST, blocks, clipped, columns_of, numbers_of, scale_of, with_norm
from bothways.sequences import Array, Numbers, Sequences, shifted_within

TAPS, KERNELS = 9, 84  # the steps that a kernel looks at, and all kernels whose weights are three times 2 and else -1

WEIGHTS = np.zeros((KERNELS, TAPS + 1), np.float32)
"""`(kernels, taps + 1)`: -1 for the sum of all taps, which comes last, and 3 for each of three taps."""
WEIGHTS[:, -1] = -1
for _kernel, _taps in enumerate(combinations(range(TAPS), 3)):
    WEIGHTS[_kernel, _taps] = 3

FEATURES, DILATIONS, POOL, LEVELS = 5000, 16, 9, 16
"""At most this many features of kernels, dilations, columns that the kernels of a dilation read, and levels of each."""

WIDEST, MOST = 1 << 20, 1 << 16  # no dilation is wider, and no more features are read from a file
SAMPLE = 16_384  # steps from which thresholds are drawn


@dataclass(frozen=True, eq=False)
class RandomConvolutions:
    """How often kernels of several widths exceed thresholds.

    It follows MiniRocket (Dempster, Schmidt and Webb, 2021): 84 kernels, dilated; each feature is the share of a
    sequence's steps at which a convolution exceeds a quantile of what it gave in training. With several columns each
    kernel adds up some of them. The first and last steps go on past the ends, so that a sequence may have any length.
    Kernels do not see how large numbers are: the shares of steps above quantiles of each column are features, too.
    Several numbers have one more column, their norm.
    """

    mean: Array  # `(columns,)` of each numeric column, and of the norm
    scale: Array  # `(columns,)` and its standard deviation
    dilations: Numbers  # `(dilations,)` the steps between two taps
    columns: Numbers  # `(dilations, pool)` the columns that the kernels of a dilation may read
    reads: Array  # `(dilations, pool, kernels)` whether they do
    thresholds: Array  # `(dilations, kernels, thresholds)`
    levels: Array  # `(columns, levels)` the quantiles of each standardised column

    @classmethod
    def fit(
        cls, sequences: Sequences, categories: tuple[int, ...], seed: int, most: int = FEATURES
    ) -> RandomConvolutions | None:
        """Draw kernels and thresholds, for about `most` features; None where no numeric column varies.

        The last columns, those of `categories`, are not numeric.
        """
        generator, most = np.random.default_rng(seed), min(most, FEATURES)
        numbers = sequences.features - len(categories)
        if not numbers or not sequences.steps:
            return None
        values = with_norm(sequences, scale_of(clipped(sequences, numbers)))
        if not (varies := np.flatnonzero(np.ptp(values, axis=0))).size:
            return None
        mean, scale = values.mean(axis=0), scale_of(values)
        widest = np.log2(max((np.quantile(sequences.lengths, 0.9) - 1) / (TAPS - 1), 1))
        dilations = np.unique(np.logspace(0, widest, DILATIONS, base=2).astype(np.int64))
        pool = min(POOL, len(varies))
        columns = np.stack([generator.choice(varies, pool, replace=False) for _ in dilations])
        shape = (len(dilations), pool, KERNELS)
        sizes = 2 ** generator.uniform(0, np.log2(pool + 1), (len(dilations), 1, KERNELS))
        reads = generator.random(shape).argsort(axis=1).argsort(axis=1) < sizes.astype(np.int64)
        none = np.zeros((len(dilations), KERNELS, 0), np.float32), np.zeros((len(mean), 0))
        plain = cls(mean, scale, dilations, columns, reads, *none)
        order = generator.permutation(np.flatnonzero(sequences.lengths))
        sample = sequences.take(order[: 1 + np.searchsorted(np.cumsum(sequences.lengths[order]), SAMPLE)])
        count = max(most // (len(dilations) * KERNELS), 1)
        levels = (np.arange(1, 1 + count * KERNELS) * (np.sqrt(5) + 1) / 2 % 1).reshape(count, KERNELS).T
        taken = (levels * (sample.steps - 1)).astype(np.int64)
        outputs = plain._outputs(sample)
        quantiles = np.arange(1, 1 + min(LEVELS, most // len(mean))) / (1 + min(LEVELS, most // len(mean)))
        own = np.quantile(plain._standardised(sequences), quantiles, axis=1).T.astype(np.float32)
        thresholds = np.stack([np.take_along_axis(np.sort(each), taken, axis=1) for each in outputs])
        return replace(plain, levels=own, thresholds=thresholds)

    @property
    def size(self) -> int:
        """The number of features."""
        return int(self.thresholds.size + self.levels.size)

    def weights(self, level: float = 1.0) -> Array:
        """`(size,)` factors of standardised features, with which levels weigh `level` times as much as kernels."""
        each = level * np.sqrt(self.thresholds.size / max(self.levels.size, 1))
        return np.repeat(np.array([1, each], np.float32), [self.thresholds.size, self.levels.size])

    def features(self, sequences: Sequences) -> Array:
        """`(sequences, size)` float32, from 0 to 1; 0 for a sequence without steps."""
        found = np.zeros((*self.thresholds.shape, len(sequences)), np.float32)
        levels = np.zeros((*self.levels.shape, len(sequences)), np.float32)
        for numbers in blocks(sequences.lengths):
            part = sequences.take(numbers)
            for i, outputs in enumerate(self._outputs(part)):
                for j, threshold in enumerate(self.thresholds[i].T):
                    found[i, :, j, numbers] = _counts(outputs > threshold[:, None], part).T
            values = self._standardised(part)
            for j, level in enumerate(self.levels.T):
                levels[:, j, numbers] = _counts(values > level[:, None], part)
        every = np.concatenate([counts.reshape(-1, len(sequences)) for counts in (found, levels)])
        return (every / np.maximum(sequences.lengths, 1).astype(np.float32)).T

    def arrays(self) -> dict[str, Array]:
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> RandomConvolutions:
        """What `arrays` gave, for sequences such as this network labels; `InputError` for what does not fit them."""
        size = columns_of(network.numeric)
        dilations = checked_array(arrays, "dilations", np.int64, (None,), 1, WIDEST)
        columns = checked_array(arrays, "columns", np.int64, (len(dilations), None), 0, size - 1)
        if not 0 < columns.size <= DILATIONS * POOL:
            raise InputError(
                f"The array 'columns' is {columns.shape}; it needs 1 to {DILATIONS} by 1 to {POOL} numbers."
            )
        thresholds = checked_array(arrays, "thresholds", np.float32, (len(dilations), KERNELS, None))
        levels = checked_array(arrays, "levels", np.float32, (size, None))
        if (count := thresholds.size + levels.size) > MOST:
            raise InputError(f"The arrays 'thresholds' and 'levels' have {count:,} numbers; they may have {MOST:,}.")
        return cls(
            checked_array(arrays, "mean", np.float64, (size,)),
            checked_array(arrays, "scale", np.float64, (size,), np.nextafter(0, 1)),
            dilations,
            columns,
            checked_array(arrays, "reads", np.bool_, (*columns.shape, KERNELS)),
            thresholds,
            levels,
        )

    def _standardised(self, sequences: Sequences) -> Array:
        """`(columns, steps)` float32."""
        values = with_norm(sequences, self.scale[: numbers_of(len(self.scale))])
        with np.errstate(over="ignore"):  # a file may hold numbers of any size
            values = (values - self.mean) / self.scale
        return np.ascontiguousarray(np.clip(values.T, -LARGEST, LARGEST), np.float32)

    def _outputs(self, sequences: Sequences) -> Iterator[Array]:
        """For each dilation what its kernels give: `(kernels, steps)`."""
        from scipy.sparse import csr_array

        values = self._standardised(sequences)
        shifted = shifted_within(sequences.lengths)
        for dilation, columns, reads in zip(self.dilations.tolist(), self.columns, self.reads, strict=True):
            taps = np.zeros((len(columns), TAPS + 1, sequences.steps), np.float32)
            for tap in range(TAPS):
                taps[:, tap] = values[columns[:, None], shifted((tap - TAPS // 2) * dilation)]
                taps[:, TAPS] += taps[:, tap]  # one by one: `sum` adds in another order where there is one step
            weights = csr_array((reads.T[:, :, None] * WEIGHTS[:, None]).reshape(KERNELS, -1))
            yield weights @ taps.reshape(-1, sequences.steps)


def _counts(true: Array, sequences: Sequences) -> Array:
    """How often something is true in each sequence, from `(n, steps)`; all sequences have steps."""
    return np.add.reduceat(true.view(np.uint8), sequences.offsets[:-1], axis=1, dtype=np.uint32)
