"""Boosted trees and regressions as nodes: `bothways.baselines`, in the precision that they have there."""

from __future__ import annotations

from functools import partial

import numpy as np

from bothways.baselines import Neighbors, OneStep, Trees
from bothways.baselines.neighbors import AROUND as NEAR
from bothways.baselines.neighbors import LIMIT
from bothways.baselines.places import Places
from bothways.baselines.tree_inputs import AROUND, known_last, windows
from bothways.export.graph import Graph, Value
from bothways.export.inputs import Inputs, joined_codes, later, means_of, moments_of, moved
from bothways.export.trees import leaves
from bothways.patterns.classifiers import NEVER
from bothways.sequences import Numbers


def probabilities(graph: Graph, model: Neighbors | OneStep | Trees, data: Inputs, per: str) -> Value:
    """`(batch, time, classes)`, or `(batch, classes)` where a sequence has one label."""
    if isinstance(model, Neighbors):
        logits = _neighbors(graph, model, data)
    else:
        logits = _one_step(graph, model, data, per) if isinstance(model, OneStep) else _trees(graph, model, data)
    return graph.cast(graph("Softmax", logits, axis=-1), np.float32)


def _one_step(graph: Graph, model: OneStep, data: Inputs, per: str) -> Value:
    sums = []
    if data.numbers is not None:
        sums.append(graph("MatMul", (graph.cast(data.numbers, np.float64) - model.mean) / model.scale, model.kernel))
    table = np.zeros((sum(model.sizes), len(model.bias)))
    table[model.codes] = model.table
    if data.codes is not None:
        codes = joined_codes(data, model.sizes)
        sums.append(graph("ReduceSum", graph("Gather", table, codes, axis=0), [2], keepdims=0))
    total = sum(sums[1:], sums[0])
    if per == "sequence":
        total = graph.where(data.inside, total, np.float64(0))
        total = graph("Squeeze", means_of(graph, "both", total, data), [1])
    return total + model.bias


def _neighbors(graph: Graph, model: Neighbors, data: Inputs) -> Value:
    """One place is added after the other: all at once they would take as many times the memory."""
    places, total = model.places, graph("Identity", model.bias)
    columns = [graph("Gather", data.codes, np.int64(column), axis=2) for column in range(len(places.sizes))]
    for (shift, column, length), start in zip(places.places, places.ends, strict=False):
        size, at = places.sizes[column], shift + length - 1
        last = graph.where(_there(graph, data, at), moved(graph, data, columns[column], at), np.int64(size))
        if length == 1:
            number = last
        else:
            number = graph("Gather", _run_table(places, length, size), number * np.int64(size + 1) + last, axis=0)
        row = graph("Gather", model.known, number + np.int64(start), axis=0)
        total = graph("Gather", model.weights, row, axis=0) + total
    if data.numbers is not None:
        limits = np.float32(-LIMIT), np.float32(LIMIT)
        numbers = (data.numbers - model.mean.astype(data.dtype)) / model.scale.astype(data.dtype)
        numbers = graph("Clip", graph.cast(numbers, np.float32), *limits)
        around = [_shifted(graph, data, numbers, shift, np.float32(0)) for shift in range(-NEAR, NEAR + 1)]
        total = graph("MatMul", graph("Concat", *around, axis=2), model.kernel) + total
    return total


def _run_table(places: Places, length: int, size: int) -> Numbers:
    """For each known run of one step less, and each code that may follow it, the number of the run; 0 for none."""
    before, known = size if length == 2 else len(places.runs[length - 3]), places.runs[length - 2]
    table = np.zeros((before + 1) * (size + 1), np.int64)
    table[known] = np.arange(1, len(known) + 1)
    return table


def _trees(graph: Graph, model: Trees, data: Inputs) -> Value:
    added = graph("Reshape", leaves(graph, model, _around(graph, model, data), 3), [0, 0, -1, len(model.start)])
    sums = graph("ReduceSum", added, [-2], keepdims=0) + model.start
    if len(model.start) == 1:  # of two classes
        sums = graph("Concat", sums * np.float64(0), sums, axis=-1)
    place = np.full(model.classes, len(model.seen))
    place[model.seen] = np.arange(len(model.seen))
    never = graph("Gather", sums, np.array([0]), axis=-1) * np.float64(0) + np.float64(NEVER)
    return graph("Gather", graph("Concat", sums, never, axis=-1), place, axis=-1)


def _around(graph: Graph, model: Trees, data: Inputs) -> Value:
    """`(batch, time, inputs)` the neighbours of each step, NaN where there is none; and what windows of numbers say."""
    parts, wide = list[Value](), list[Value]()
    if data.codes is not None:
        codes = joined_codes(data, model.categories)
        parts.append(graph("Gather", model.places.astype(np.float64), codes))
    if data.numbers is not None:
        parts.append(graph.cast(data.numbers, np.float64))
        larger, smaller = partial(graph, "Max"), partial(graph, "Min")
        moments = moments_of(graph, "forward", parts[-1], data)
        if (model.flags >= 0).any():
            gone = graph("Greater", graph("Gather", parts[-1], np.maximum(model.flags, 0), axis=2), np.float64(0))
            parts[-1] = known_last(partial(moved, graph, data), graph.where, parts[-1], gone & (model.flags >= 0))
        wide = windows(partial(moved, graph, data), larger, smaller, parts[-1], *moments, model.widths)
    columns, shifted = graph("Concat", *parts, axis=2), []
    for shift in range(-AROUND, AROUND + 1):
        shifted.append(graph.unsqueeze(_shifted(graph, data, columns, shift, np.float64(np.nan)), 3))
    return graph("Concat", graph("Reshape", graph("Concat", *shifted, axis=3), [0, 0, -1]), *wide, axis=2)


def _shifted(graph: Graph, data: Inputs, values: Value, shift: int, other: np.generic) -> Value:
    """For each step the values `shift` steps later, and something else where there is no such step."""
    return graph.where(graph.unsqueeze(_there(graph, data, shift), 2), moved(graph, data, values, shift), other)


def _there(graph: Graph, data: Inputs, shift: int) -> Value:
    """`(batch, time)`, whether there is a step that is `shift` later."""
    at, lengths = later(graph, data, shift), graph.unsqueeze(data.lengths, 1)
    return graph("GreaterOrEqual", at, np.int64(0)) & graph("Less", at, lengths)
