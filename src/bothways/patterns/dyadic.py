"""Parts of sequences: what numbers and categories of the whole, and of its halves and so on, are like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bothways.arrays import checked_array
from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns.correlations import correlations, pairs_of
from bothways.patterns.crossings import COUNTS, crossings
from bothways.patterns.numbers import blocks, clipped, columns_of, scale_of, with_norm
from bothways.patterns.spectrum import FREQUENCIES, LAGS, spectra
from bothways.sequences import Array, Doubles, Numbers, Sequences, joint_codes, ranges

HALVINGS, QUANTILES = 3, 32  # how often a sequence is halved, and quantiles of the whole; of each half half as many
SERIES = 3  # of each column: its numbers, their changes, and the changes of these
MOST, FEW = 2000, 4  # about the most quantiles in all; and how few of each there may be before parts are given up
LONG, MOST_BANDS = 16, 1200  # the shortest sequences that have spectra, and the most features of one of these
SPANS = (1, 8, 64)  # spectra are those of the means of so many steps
CODES = 254  # the most codes of each category that are counted, the most frequent ones
MOST_COUNTS, MOST_MEANS = 1200, 500  # the most counts of crossings; and means by code, of the most frequent codes
NOWHERE = (2.0, -1.0)  # where a code that does not occur comes first, and last


@dataclass(frozen=True, eq=False)
class DyadicFeatures:
    """What a sequence and its dyadic parts (halves, quarters, eighths) are like.

    It follows QUANT (Dempster, Schmidt and Webb, 2024): features are quantiles of the numbers in each part, of their
    changes from step to step, and of the changes of these. Of whole sequences there are spectra and autocorrelations,
    those of distances from the mean, how often numbers rise above their surroundings, and how columns go together.
    Several numbers have one more column, their norm. Where there are categories, it is counted how often each occurs,
    and looked where it does for the first and for the last time, and what the mean of each number is there. The first
    feature is the length.
    """

    scale: Doubles  # `(numbers,)` the standard deviation of each numeric column
    categories: tuple[int, ...]  # for each categorical column how many codes there are
    quantiles: Numbers  # `(halvings + 1,)` how many there are of each part: of the whole, of each half, and so on
    codes: Numbers  # `(counted,)` ascending, those that are counted; each column's go on where those before it end
    bands: int  # of how many bands of frequencies there are spectra
    spans: Numbers  # spectra are those of the means of so many steps; empty for none
    long: bool  # whether rises above the surroundings are counted, and correlations of columns seen
    averaged: Numbers  # ascending, the codes on whose steps means are taken

    @classmethod
    def fit(cls, sequences: Sequences, categories: tuple[int, ...]) -> DyadicFeatures:
        """As many parts and quantiles as sequences are long enough for, and columns few enough."""
        numbers, codes, often = sequences.features - len(categories), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        columns, scale = columns_of(numbers), scale_of(clipped(sequences, numbers))
        for column, (size, start) in enumerate(zip(categories, np.cumsum([0, *categories]), strict=False), numbers):
            counts = np.bincount(np.asarray(sequences.values[:, column], np.int64), minlength=size)
            chosen = np.sort(np.argsort(-counts, kind="stable")[: min(CODES, np.count_nonzero(counts))])
            codes.append(start + chosen)
            often.append(counts[chosen])
        counted = np.concatenate(codes)
        most_means = MOST_MEANS // columns if columns else 0
        averaged = np.sort(counted[np.argsort(-np.concatenate(often), kind="stable")[:most_means]])
        length = int(np.median(sequences.lengths))
        most, halvings = min(QUANTILES, max(length // 4, 1)), min(HALVINGS, max(length, 1).bit_length() - 1)
        bands = FREQUENCIES
        while bands > FEW and (bands + LAGS) * columns > MOST_BANDS:
            bands //= 2
        few = 0 < (bands + LAGS) * columns <= MOST_BANDS
        spans = np.array([span for span in SPANS if few and length >= LONG * span], np.int64)
        while True:
            quantiles = np.maximum(most >> np.arange(halvings + 1), 1)
            if SERIES * columns * _parts_times(quantiles) <= MOST or (most == 1 and not halvings):
                return cls(scale, categories, quantiles, counted, bands, spans, length >= LONG, averaged)
            if halvings and most <= FEW:
                halvings -= 1
            else:
                most = max(most // 2, 1)

    @property
    def size(self) -> int:
        """The number of features."""
        of_column = SERIES * _parts_times(self.quantiles) + 2 * (self.bands + LAGS) * len(self.spans)
        of_column += COUNTS * self.counts_crossings + 2 * len(self.averaged)
        of_pairs: int = 3 * pairs_of(self.columns).shape[1] * self.long
        return 1 + 3 * len(self.codes) + self.columns * of_column + of_pairs

    @property
    def numbers(self) -> int:
        """How many numeric columns there are."""
        return len(self.scale)

    @property
    def columns(self) -> int:
        """How many there are with the norm."""
        return columns_of(self.numbers)

    @property
    def counts_crossings(self) -> bool:
        """Whether sequences are long enough for that, and columns few enough."""
        return self.long and COUNTS * self.columns <= MOST_COUNTS

    def features(self, sequences: Sequences) -> Array:
        """`(sequences, size)` float32; of a sequence without steps no number counts."""
        found = np.zeros((len(sequences), self.size), np.float32)
        of_codes = 1 + 3 * len(self.codes)
        found[:, 0], found[:, 1:of_codes] = sequences.lengths, self._occurrences(sequences)
        if self.numbers:
            for numbers in blocks(sequences.lengths):
                some = sequences.take(numbers)
                values = with_norm(some, self.scale)
                parts = [self._quantiles(values, some), self._means(values, some)]
                for span in self.spans.tolist():
                    parts += [spectra(values, some.lengths, self.bands, far, span) for far in (False, True)]
                if self.counts_crossings:
                    parts.append(crossings(values, some))
                if self.long:
                    parts.append(correlations(values, some))
                found[numbers, of_codes:] = np.concatenate(parts, axis=1)
        return found

    def arrays(self) -> dict[str, Array]:
        flags = {name: np.array([getattr(self, name)]) for name in ("bands", "long")}
        kept = {name: getattr(self, name) for name in ("scale", "quantiles", "codes", "spans", "averaged")}
        return {**kept, **flags}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> DyadicFeatures:
        """What `arrays` gave, for sequences such as this network labels; `InputError` for what does not fit them."""
        quantiles = checked_array(arrays, "quantiles", np.int64, (None,), 1, QUANTILES)[: HALVINGS + 1]
        codes, averaged = (
            np.unique(checked_array(arrays, name, np.int64, (None,), 0, sum(network.categories) - 1))
            for name in ("codes", "averaged")
        )
        scale = checked_array(arrays, "scale", np.float64, (network.numeric,), np.nextafter(0, 1))
        spans = np.unique(checked_array(arrays, "spans", np.int64, (None,), 1, SPANS[-1]))
        bands = int(checked_array(arrays, "bands", np.int64, (1,), 1, FREQUENCIES)[0])
        long = bool(checked_array(arrays, "long", np.bool_, (1,))[0])
        if bands & (bands - 1):
            raise InputError(f"The bands of a spectrum are a power of two, not {bands}.")
        return cls(scale, network.categories, quantiles, codes, bands, spans, long, averaged)

    def _occurrences(self, sequences: Sequences) -> Array:
        """`(sequences, 3 * counted)` how often codes occur, then where each does first, then where last.

        Places are shares of the length, from 0 to below 1; `NOWHERE` says that a code does not occur.
        """
        counted, cells = len(self.codes), self._cells(sequences, self.codes)
        counts = np.bincount(cells, minlength=len(sequences) * (counted + 1))
        shares = np.repeat(sequences.positions / sequences.lengths_of_steps, len(self.categories))
        first, last = (np.full(counts.size, nowhere) for nowhere in NOWHERE)
        first[cells[::-1]], last[cells] = shares[::-1], shares  # what is written last stays
        found = [each.reshape(len(sequences), -1)[:, :counted] for each in (counts, first, last)]
        return np.concatenate(found, axis=1)

    def _means(self, numbers: Doubles, sequences: Sequences) -> Array:
        """`(sequences, features)` of sequences that all have steps: means on the steps of each code.

        Where a code does not occur, the mean of the whole sequence stands for it. All means come again, less that of
        the whole.
        """
        shape, columns = (len(sequences), len(self.averaged) + 1), len(self.categories)
        if not len(self.averaged):
            return np.zeros((len(sequences), 0))
        cells = self._cells(sequences, self.averaged)
        values = np.repeat(numbers.T, columns, axis=1)
        sums, counts = (
            np.stack([np.bincount(cells, each, shape[0] * shape[1]).reshape(shape) for each in every], axis=2)
            for every in (values, np.ones((1, len(cells))))
        )
        whole = sums.sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), whole)[:, :-1]
        return np.concatenate([means, means - whole], axis=1).reshape(len(sequences), -1)

    def _cells(self, sequences: Sequences, codes: Numbers) -> Numbers:
        """`(steps * categories,)` the sequence of each code times `len(codes) + 1`, and its place among the codes."""
        places = np.full(sum(self.categories), len(codes))
        places[codes] = np.arange(len(codes))
        found = places[joint_codes(sequences.values, self.categories)]
        return (found + (sequences.sequence_of_steps * (len(codes) + 1))[:, None]).ravel()

    def _quantiles(self, numbers: Doubles, sequences: Sequences) -> Array:
        """`(sequences, features)` of sequences that all have steps: for each part and quantile those of all series."""
        series = self._series(numbers, sequences)
        order = series.argsort(axis=1)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(sequences.steps)[None], axis=1)
        ascending, found = np.take_along_axis(series, order, axis=1), []
        for halvings, count in enumerate(self.quantiles.tolist()):
            start, end = ends_of_parts(sequences.lengths[:, None], 1 << halvings)
            lengths = (end - start).ravel()
            first, part = np.cumsum(lengths) - lengths, np.repeat(np.arange(lengths.size), lengths)
            steps = ranges((start + sequences.offsets[:-1, None]).ravel(), lengths)
            # Ranks are sorted in each part, and stand for their numbers.
            ranked = np.sort(part * sequences.steps + ranks[:, steps], axis=1) - part * sequences.steps
            at = levels(count) * (lengths[:, None] - 1)
            below = np.floor(at).astype(np.int64)
            above = np.minimum(below + 1, lengths[:, None] - 1)
            places = ((first[:, None] + each).ravel() for each in (below, above))
            low, high = (np.take_along_axis(ascending, ranked[:, each], axis=1) for each in places)
            values = low + (high - low) * (at - below).ravel()
            found.append(values.reshape(len(series), len(sequences), -1))
        return np.concatenate(found, axis=2).transpose(1, 2, 0).reshape(len(sequences), -1)

    def _series(self, numbers: Doubles, sequences: Sequences) -> Doubles:
        """`(series, steps)` the numbers of each column, then all changes, then their changes; 0 at a first step."""
        series = [numbers.T]
        for _ in range(SERIES - 1):
            changes = np.diff(series[-1], axis=1, prepend=0)
            changes[:, sequences.offsets[:-1]] = 0
            series.append(changes)
        return np.concatenate(series)


def levels(count: int) -> Doubles:
    """The shares, `count` of them, whose quantiles are taken: from the least to the largest, or the middle."""
    return np.linspace(0, 1, count) if count > 1 else np.array([0.5])


def ends_of_parts(lengths: Any, count: int) -> tuple[Any, Any]:
    """Where each of `count` parts of a sequence begins, and where it ends; each has a step, if the sequence has."""
    parts, whole = np.arange(count), np.int64(count)
    return lengths * parts // whole, (lengths * (parts + 1) + (whole - 1)) // whole


def _parts_times(quantiles: Numbers) -> int:
    """How many features of one series there are."""
    return int((quantiles << np.arange(len(quantiles))).sum())
