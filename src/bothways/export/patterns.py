"""Patterns of whole sequences as nodes: `bothways.patterns`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bothways.errors import InputError
from bothways.patterns import NGramPatterns, NGrams, Patterns
from bothways.patterns.ngrams import LONGEST
from bothways.sequences import Numbers

if TYPE_CHECKING:
    from bothways.export.graph import Graph, Value
    from bothways.export.inputs import Inputs


def probabilities(graph: Graph, patterns: Patterns, data: Inputs) -> Value:
    """`(batch, classes)`.

    Raises:
        InputError: patterns other than n-grams.
    """
    if not isinstance(patterns, NGramPatterns):
        raise InputError(
            "The model averages over random convolutions too, which count how often sums exceed a level: the last bit "
            "of a sum, which no two runtimes share, would change it. Train again, with a budget of 0, for a network "
            "alone."
        )
    z = graph("MatMul", _ngrams(graph, patterns.features, data), patterns.kernel) + patterns.bias
    return graph("Softmax", z, axis=-1)


def _ngrams(graph: Graph, ngrams: NGrams, data: Inputs) -> Value:
    """`(batch, size)` as `NGrams.features` gives it."""
    assert data.codes is not None
    codes = graph.where(graph.unsqueeze(data.known, 2), data.codes, np.int64(-1))
    counts = []
    for column, runs in enumerate(_spelled(ngrams)):
        lengths = [len(of_length) for of_length in runs]
        if sum(lengths):
            counts.append(
                graph(
                    "TfIdfVectorizer",
                    graph("Gather", codes, np.int64(column), axis=2),
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


def _spelled(ngrams: NGrams) -> Iterator[list[Numbers]]:
    """For each column and length the codes of its runs, `(runs, length)`; the numbering is that of `NGrams`.

    Example:
        >>> ngrams = NGrams((3, 2), np.array([1, 3 + 7, 39, 39 + 3]), np.ones(4, np.float32))
        >>> [[of_length.tolist() for of_length in runs] for runs in _spelled(ngrams)]
        [[[[1]], [[2, 1]], []], [[[0]], [[0, 1]], []]]
    """
    first = 0
    for size in ngrams.sizes:
        runs = []
        for length in range(1, LONGEST + 1):
            if first + size**length >= 1 << 63:
                break
            own = ngrams.runs[(first <= ngrams.runs) & (ngrams.runs < first + size**length)] - first
            runs.append(own[:, None] // size ** np.arange(length - 1, -1, -1) % size)
            first += size**length
        yield runs
