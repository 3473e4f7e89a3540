"""Patterns of whole sequences as nodes: `bothways.patterns`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bothways.export.graph import Graph, Value
from bothways.export.inputs import Inputs, at_least_one, joined_codes, means_of, moved
from bothways.export.trees import leaves
from bothways.patterns import DyadicFeatures, Forest, NGramPatterns, NGrams, Patterns, RandomConvolutions
from bothways.patterns.classifiers import NEVER
from bothways.patterns.convolutions import KERNELS, TAPS, WEIGHTS
from bothways.patterns.correlations import pairs_of
from bothways.patterns.crossings import LEVELS, WIDER, WINDOWS, before
from bothways.patterns.dyadic import NOWHERE, SERIES, ends_of_parts, levels
from bothways.patterns.forest import RARELY
from bothways.patterns.ngrams import LONGEST
from bothways.patterns.numbers import LARGEST, ROUNDING, numbers_of
from bothways.patterns.spectrum import FAINT, FREQUENCIES, HOP, LAGS, LEAST, SEGMENT, TINY, TURNS, WINDOW
from bothways.sequences import Array, Numbers

TERMS = np.argsort(WEIGHTS == 0, axis=1, kind="stable")[:, : np.count_nonzero(WEIGHTS[0])].T
"""`(4, kernels)` what each kernel adds up of a column: the places of its weights that are not 0, in their order."""


def probabilities(graph: Graph, patterns: Forest | Patterns, data: Inputs) -> Value:
    """`(batch, classes)`."""
    if isinstance(patterns, Forest):
        return graph("Softmax", _forest(graph, patterns, data), axis=-1)
    features = (_ngrams if isinstance(patterns, NGramPatterns) else _convolutions)(graph, patterns.features, data)
    return graph("Softmax", graph("MatMul", features, patterns.kernel) + patterns.bias, axis=-1)


def _convolutions(graph: Graph, found: RandomConvolutions, data: Inputs) -> Value:
    """`(batch, size)` as `RandomConvolutions.features` gives it.

    Thresholds are such sums themselves, so the last bit counts: terms are added one by one, in the order of SciPy.
    """
    z = (_with_norm(graph, data, found.scale[: numbers_of(len(found.scale))]) - found.mean) / found.scale
    z = graph.cast(graph("Clip", z, np.float64(-LARGEST), np.float64(LARGEST)), np.float32)
    counts = []
    for dilation, columns, reads, thresholds in zip(
        found.dilations.tolist(), found.columns, found.reads, found.thresholds, strict=True
    ):
        pool, taps = graph("Gather", z, columns, axis=2), []
        for tap in range(TAPS):
            tapped = moved(graph, data, pool, (tap - TAPS // 2) * dilation)
            taps.append(graph("Transpose", tapped, perm=[2, 0, 1]))
        slots = graph("Concat", *taps, sum(taps[1:], taps[0]), axis=0)  # of each tap all columns
        total = graph("Gather", slots, np.zeros(KERNELS, np.int64), axis=0) * 0
        for column in range(len(columns)):
            for tap in TERMS:
                weights = WEIGHTS[range(KERNELS), tap] * reads[column]
                terms = graph("Gather", slots, tap * len(columns) + column, axis=0)
                total = total + terms * weights[:, None, None]
        counts.append(_exceeding(graph, total, thresholds, data))
    counts.append(_exceeding(graph, graph("Transpose", z, perm=[2, 0, 1]), found.levels, data))
    shares = graph("Transpose", graph("Concat", *counts, axis=0), perm=[1, 0])
    return shares / at_least_one(graph, data.lengths, np.float32)


def _exceeding(graph: Graph, outputs: Value, levels: Array, data: Inputs) -> Value:
    """`(n * levels, batch)` how often outputs `(n, batch, time)` are above their levels `(n, levels)`."""
    above = graph("Greater", graph.unsqueeze(outputs, 1), levels[:, :, None, None])
    above = graph.cast(above & data.known, np.float32)
    return graph("Reshape", graph("ReduceSum", above, [3], keepdims=0), [levels.size, -1])


def _forest(graph: Graph, forest: Forest, data: Inputs) -> Value:
    """`(batch, classes)` as `Forest.logits` gives them."""
    classes = np.arange(forest.classes, dtype=np.float32)
    voted = leaves(graph, forest, _dyadic(graph, forest.features, data), 2)
    votes = graph("Equal", graph.unsqueeze(voted, 2), classes)
    share = graph("ReduceSum", graph.cast(votes, np.float32), [1], keepdims=0) / float(len(forest.roots))
    seen = np.isin(classes, forest.values[forest.inputs < 0])
    return graph.where(
        graph("Identity", seen), graph("Log", graph("Max", share, RARELY)) * forest.power, np.float32(NEVER)
    )


def _dyadic(graph: Graph, made: DyadicFeatures, data: Inputs) -> Value:
    """`(batch, size)` as `DyadicFeatures.features` gives it."""
    lengths = graph.unsqueeze(data.lengths, 1)
    found, first, last = [lengths], list[Value](), list[Value]()
    if len(made.codes):
        codes = joined_codes(data, made.categories)
        share = graph.cast(graph.unsqueeze(graph.steps(codes, 1), 1), np.float64)
        share = share / graph.unsqueeze(at_least_one(graph, data.lengths, np.float64), 2)
        for same in _occurrences(graph, made, data, codes, made.codes):
            found.append(graph("ReduceSum", graph.cast(same, np.int64), [1], keepdims=0))
            for places, reduce, nowhere in zip((first, last), ("ReduceMin", "ReduceMax"), NOWHERE, strict=True):
                places.append(graph(reduce, graph.where(same, share, np.float64(nowhere)), [1], keepdims=0))
    parts = [graph.cast(each, np.float32) for each in (*found, *first, *last)]
    if made.numbers:
        of_numbers, values = list[Value](), _with_norm(graph, data, made.scale)
        series = _series(graph, data, values)
        for halvings, count in enumerate(made.quantiles.tolist()):
            quantiles = _quantiles(graph, series, lengths, 1 << halvings, count)
            of_numbers.append(graph("Reshape", quantiles, [0, (count << halvings) * SERIES * made.columns]))
        if len(made.averaged):
            of_numbers.append(_means(graph, made, data, values))
        for span in made.spans.tolist():
            of_numbers += [_spectra(graph, made, data, values, far, span) for far in (False, True)]
        if made.counts_crossings:
            of_numbers.append(graph.cast(_crossings(graph, data, values), np.float64))
        if made.long and pairs_of(made.columns).size:
            of_numbers.append(_correlations(graph, made, data, values))
        numbers = graph.cast(graph("Concat", *of_numbers, axis=1), np.float32)
        parts.append(graph.where(graph("Greater", lengths, np.int64(0)), numbers, np.float32(0)))
    return graph("Concat", *parts, axis=1)


def _occurrences(graph: Graph, made: DyadicFeatures, data: Inputs, codes: Value, wanted: Numbers) -> Iterator[Value]:
    """For each category `(batch, time, n)`, at which steps each of the `n` wanted codes that are its own stands."""
    ends = np.cumsum(made.categories)
    for column, of in enumerate(np.split(wanted, np.searchsorted(wanted, ends[:-1]))):
        own = graph("Gather", codes, np.array([column]), axis=2)
        yield graph("Equal", own, of) & data.inside


def _means(graph: Graph, made: DyadicFeatures, data: Inputs, values: Value) -> Value:
    """`(batch, features)` the mean of each number on the steps of each code, or of all steps; and less the latter."""
    whole = means_of(graph, "both", values, data)
    codes, found = joined_codes(data, made.categories), []
    for occurs in _occurrences(graph, made, data, codes, made.averaged):
        same = graph.cast(occurs, np.float64)
        count = graph.unsqueeze(graph("ReduceSum", same, [1], keepdims=0), 2)
        columns = (graph("Gather", values, np.array([number]), axis=2) for number in range(made.columns))
        sums = [graph.unsqueeze(graph("ReduceSum", same * each, [1], keepdims=0), 2) for each in columns]
        means = graph("Concat", *sums, axis=2) / graph("Max", count, np.float64(1))
        found.append(graph.where(graph("Greater", count, np.float64(0)), means, whole))
    found += [each - whole for each in found]
    return graph("Reshape", graph("Concat", *found, axis=1), [0, 2 * len(made.averaged) * made.columns])


def _crossings(graph: Graph, data: Inputs, values: Value) -> Value:
    """`(batch, COUNTS * columns)` as `crossings` gives it."""
    sums, counts = {1: values}, list[Value]()
    for window in (1 << np.arange((WIDER * WINDOWS[-1]).bit_length() - 1)).tolist():
        sums[2 * window] = sums[window] + moved(graph, data, sums[window], window)
    for window in WINDOWS:
        wide = moved(graph, data, sums[WIDER * window], before(window)) / np.float64(WIDER * window)
        z = sums[window] / np.float64(window) - wide
        squares = graph.where(data.inside, z * z, np.float64(0))
        size = graph("Sqrt", means_of(graph, "both", squares, data))
        for level in LEVELS:
            above = graph("Greater", z, size * np.float64(level)) & data.inside
            above = graph.cast(above, np.int64)
            rises = graph("Greater", above, moved(graph, data, above, -1))
            counts.append(graph("ReduceSum", graph.cast(rises, np.int64), [1], keepdims=0))
    return graph("Concat", *counts, axis=1)


def _correlations(graph: Graph, made: DyadicFeatures, data: Inputs, values: Value) -> Value:
    """`(batch, 3 * pairs)` as `correlations` gives it."""
    one, other = pairs_of(made.columns)
    units, found = list[Value](), list[Value]()

    def add(first: Value, second: Value) -> Value:
        pairs = graph("Gather", first, one, axis=2) * graph("Gather", second, other, axis=2)
        return graph("ReduceSum", graph.where(data.inside, pairs, np.float64(0)), [1], keepdims=0)

    for each in (values, values - moved(graph, data, values, -1)):
        each = graph.where(data.inside, each, np.float64(0))
        moves = _less_mean(graph, data, each)
        sums = (graph("ReduceSum", some * some, [1], keepdims=1) for some in (moves, each))
        squares = next(sums) + next(sums) * np.float64(FAINT)
        units.append(moves / graph("Sqrt", graph("Max", squares, np.float64(TINY))))
        found.append(add(units[-1], units[-1]))
    before = moved(graph, data, units[0], -1)
    return graph("Concat", *found, add(before, units[0]) - add(units[0], before), axis=1)


def _less_mean(graph: Graph, data: Inputs, numbers: Value) -> Value:
    """Numbers that are 0 beyond the ends of sequences, less their means there; the same beyond."""
    return graph.where(data.inside, numbers - means_of(graph, "both", numbers, data), np.float64(0))


def _spectra(graph: Graph, made: DyadicFeatures, data: Inputs, values: Value, distances: bool, span: int) -> Value:
    """`(batch, (bands + lags) * columns)` as `spectra` gives it."""
    moves = _less_mean(graph, data, values)
    if distances:
        moves = _less_mean(graph, data, graph("Abs", moves))
    time = graph("Squeeze", graph("Max", graph("ReduceMax", data.lengths, keepdims=1), np.int64(1)), [0])
    if span > 1:
        time = (time + np.int64(span - 1)) / np.int64(span)
        moves = graph("Pad", moves, [0, 0, 0, 0, span, 0])
        moves = graph("Slice", moves, [0], graph.unsqueeze(time * np.int64(span), 0), [1])
        windows = graph("Reshape", moves, [0, -1, span, made.columns])
        left = graph.unsqueeze(data.lengths, 1) - graph("Range", np.int64(0), time, np.int64(1)) * np.int64(span)
        counts = graph.cast(graph("Max", graph("Min", left, np.int64(span)), np.int64(1)), np.float64)
        moves = graph("ReduceSum", windows, [2], keepdims=0) / graph.unsqueeze(counts, 2)
    moves = graph("Pad", moves, [0, 0, 0, 0, SEGMENT, 0])
    starts = graph("Range", np.int64(0), time, np.int64(HOP))
    segments = graph("Gather", moves, graph.unsqueeze(starts, 1) + np.arange(SEGMENT), axis=1)
    segments = graph("Transpose", segments, perm=[0, 1, 3, 2])
    turns = 2 * np.pi * (np.arange(SEGMENT)[:, None] * np.arange(1, FREQUENCIES + 1) % SEGMENT) / SEGMENT
    real, imaginary = (graph("MatMul", segments, WINDOW[:, None] * way(turns)) for way in (np.cos, np.sin))
    powers = graph("ReduceSum", real * real + imaginary * imaginary, [1], keepdims=0)
    squares = graph("ReduceSum", values * values, [1], keepdims=0)
    total = graph("ReduceSum", powers, [2], keepdims=0) + squares * np.float64(FAINT)
    shares = powers / graph.unsqueeze(graph("Max", total, np.float64(TINY)), 2)
    of_bands = graph("Reshape", shares, [0, 0, made.bands, FREQUENCIES // made.bands])
    logs = graph("Log", graph("ReduceSum", of_bands, [3], keepdims=0) + np.float64(LEAST))
    both = graph("Concat", logs, graph("MatMul", shares, TURNS), axis=2)
    return graph("Reshape", graph("Transpose", both, perm=[0, 2, 1]), [0, (made.bands + LAGS) * made.columns])


def _with_norm(graph: Graph, data: Inputs, scale: Array) -> Value:
    """`(batch, time, columns)` in float64 as `with_norm` gives it."""
    limits = np.float64(-LARGEST), np.float64(LARGEST)
    numbers = graph("Slice", data.numbers, [0], [len(scale)], [2])
    numbers = graph("Clip", graph.cast(numbers, np.float64), *limits)
    if len(scale) < 2:
        return numbers
    moves = _less_mean(graph, data, numbers)
    small = graph("LessOrEqual", graph("Abs", moves), graph("Abs", numbers) * np.float64(ROUNDING))
    moves = graph("Clip", graph.where(small, np.float64(0), moves) / scale, *limits)
    norm = graph("Sqrt", graph("ReduceSum", moves * moves, [2], keepdims=1))
    norm = graph.cast(graph.cast(norm, np.float32), np.float64)
    return graph("Concat", numbers, norm, axis=2)


def _series(graph: Graph, data: Inputs, values: Value) -> Value:
    """`(batch, time, series)`, in double precision."""
    series = [values]
    for _ in range(SERIES - 1):
        series.append(series[-1] - moved(graph, data, series[-1], -1))
    return graph("Concat", *series, axis=2)


def _quantiles(graph: Graph, series: Value, lengths: Value, parts: int, count: int) -> Value:
    """`(batch, parts, count, series)`: what lies in each part is sorted, and what is beyond it comes last."""
    start, end = ends_of_parts(lengths, parts)
    size = graph.unsqueeze(end - start, 2)
    at = graph.cast(size - np.int64(1), np.float64) * levels(count)
    low = graph("Floor", at)
    most = graph("Max", graph("ReduceMax", size, keepdims=0), np.int64(1))
    steps = graph("Range", np.int64(0), most, np.int64(1))
    places = graph("Min", graph.unsqueeze(start, 2) + steps, graph.unsqueeze(lengths - np.int64(1), 2))
    inside = graph.unsqueeze(graph("Less", steps, size), 3)
    values = graph.where(inside, _at(graph, series, places, 1), np.float64(np.inf))
    ascending = graph.several(2, "TopK", values, graph.unsqueeze(most, 0), axis=2, largest=0)[0]
    below = graph.cast(low, np.int64)
    above = graph("Min", below + np.int64(1), size - np.int64(1))
    least, largest = (_at(graph, ascending, each, 2) for each in (below, above))
    return least + (largest - least) * graph.unsqueeze(at - low, 3)


def _at(graph: Graph, values: Value, places: Value, batches: int) -> Value:
    """The values at places of the axis that follows `batches` axes; places below 0 count as 0."""
    places = graph.unsqueeze(graph("Max", places, np.int64(0)), 3)
    return graph("GatherND", values, places, batch_dims=batches)


def _ngrams(graph: Graph, ngrams: NGrams, data: Inputs) -> Value:
    """`(batch, size)` as `NGrams.features` gives it."""
    assert data.codes is not None
    counts = []
    for column, (size, runs) in enumerate(zip(ngrams.sizes, _spelled(ngrams), strict=True)):
        codes = graph("Gather", graph.where(data.inside, data.codes, np.int64(-1)), np.int64(column), axis=2)
        lengths = [len(of_length) for of_length in runs]
        if sum(lengths):
            counts.append(
                graph(
                    "TfIdfVectorizer",
                    _edged(graph, codes, size, data),
                    mode="TF",
                    min_gram_length=1,
                    max_gram_length=len(runs),
                    max_skip_count=0,
                    pool_int64s=np.concatenate([of_length.reshape(-1) for of_length in runs]),
                    ngram_counts=np.cumsum([0, *(of_length.size for of_length in runs[:-1])]),
                    ngram_indexes=np.arange(sum(lengths)),
                )
            )
    count = graph("Concat", *counts, axis=1)
    there = graph.cast(graph("Greater", count, 0.0), np.float32)
    values = (graph("Log", graph("Max", count, 1.0)) + 1) * there * ngrams.weights
    norms = graph("Sqrt", graph("ReduceSum", values * values, [1], keepdims=1))
    return values / graph("Max", norms, float(np.finfo(np.float32).tiny))


def _edged(graph: Graph, codes: Value, size: int, data: Inputs) -> Value:
    """`(batch, time + 2)` the codes of a column, with `size` before the first one and after the last one."""
    lengths = graph.unsqueeze(data.lengths, 1)
    nothing = lengths * np.int64(0)
    ends = graph("Equal", graph.unsqueeze(data.steps, 0) + np.int64(1), lengths)
    before = graph.where(graph("Greater", lengths, np.int64(0)), nothing + np.int64(size), nothing - np.int64(1))
    spelled = graph("Concat", before, codes, nothing - np.int64(1), axis=1)
    last = graph("Concat", nothing, nothing, graph.cast(ends, np.int64), axis=1)
    return graph.where(graph("Equal", last, np.int64(1)), np.int64(size), spelled)


def _spelled(ngrams: NGrams) -> Iterator[list[Numbers]]:
    """For each column and length the codes of its runs, `(runs, length)`; the numbering is that of `NGrams`."""
    first = 0
    for size in (codes + 1 for codes in ngrams.sizes):  # and the edges
        runs = []
        for length in range(1, LONGEST + 1):
            if first + size**length >= 1 << 63:
                break
            own = ngrams.runs[(first <= ngrams.runs) & (ngrams.runs < first + size**length)] - first
            runs.append(own[:, None] // size ** np.arange(length - 1, -1, -1) % size)
            first += size**length
        yield runs
