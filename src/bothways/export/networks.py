"""From features to probabilities, and on to labels, as nodes. What each step does stands in `bothways.runtime`."""

from __future__ import annotations

from typing import Any

import numpy as np

from bothways.engine import Bins
from bothways.export import cells
from bothways.export.graph import Graph, Value
from bothways.export.inputs import Inputs, at_least_one, means_of, moments_of, moved
from bothways.merge import MERGE_MODES
from bothways.network import CHANGES, LEVELS, Convolution, Network, Recurrent
from bothways.runtime import Model
from bothways.runtime.crf import NEVER
from bothways.runtime.stack import Weights, bins_of, by_direction
from bothways.sequences import Floats
from bothways.spec import cell_spec
from bothways.tags import Scheme

LARGEST = 1e30  # as `bothways.runtime.numbers.entering` cuts off
WAYS = {"forward": "forward", "backward": "reverse"}  # what ONNX calls a direction that is alone

TINY = float(np.finfo(np.float32).tiny)


def probabilities(graph: Graph, network: Network, weights: Weights, data: Inputs) -> Value:
    """`(batch, time, classes)`, or `(batch, classes)` where a sequence has one label."""
    bins = bins_of(network, weights) if graph.page else None
    rows, lengths = _rows(graph, network, weights, data, encodes=bins is None), data.lengths
    if network.lookahead:
        lengths = lengths + np.int64(network.lookahead)
    if (convolution := network.convolution) is not None:
        rows = graph.where(graph.unsqueeze(_counts(graph, rows, lengths), 2), rows, 0.0)
        rows = _convolved(graph, convolution, weights, rows)
        lengths = (lengths + np.int64(convolution.stride - 1)) / np.int64(convolution.stride)
    rows = graph("Transpose", rows, perm=[1, 0, 2])  # time before batch, the only order that ONNX Runtime has
    ends = rows
    for recurrent in network.recurrent:
        rows, ends = _recurrent(graph, recurrent, weights, rows, lengths, bins)
        bins = None  # numbers enter the lowest layer
    if network.per == "sequence":
        if network.pools:
            ends = graph("Concat", *(POOLS[pool](graph, rows, lengths) for pool in network.pools), axis=1)
        return _softmax(graph, network, _head(graph, weights, ends))
    z = _head(graph, weights, graph("Transpose", rows, perm=[1, 0, 2]))
    if network.lookahead or network.conv_stride > 1:
        places = (data.steps + np.int64(network.lookahead)) / np.int64(network.conv_stride)
        z = graph("Gather", z, places, axis=1)
    if network.head == "crf":
        return _marginals(graph, z, weights["head/transitions"], data)
    return _softmax(graph, network, z)


def tempered(graph: Graph, p: Value, temperature: float) -> Value:
    """`bothways.runtime.tempered`."""
    return p if temperature == 1 else _shares(graph, graph("Pow", graph("Max", p, 1e-30), 1 / temperature))


def _rows(graph: Graph, network: Network, weights: Weights, data: Inputs, encodes: bool) -> Value:
    """What the convolution or the lowest recurrent layer reads: `(batch, time + lookahead, width)`."""
    parts, late = [], [0, 0, 0, 0, network.lookahead, 0]
    if data.numbers is not None:
        z = graph.cast(_numbers(graph, network, data.numbers, data), np.float64)
        z = (z - np.float64(weights["input/mean"])) / np.float64(weights["input/scale"])
        z = graph.cast(graph("Clip", z, np.float64(-LARGEST), np.float64(LARGEST)), np.float32)
        z = graph("Pad", graph.where(data.inside, z, 0.0), late)
        if encodes and network.encoding == "piecewise":
            bins = (graph.unsqueeze(z, 3) - weights["input/centers"]) * weights["input/slopes"]
            z = graph("Reshape", graph("Clip", bins, -1.0, 1.0), [0, 0, weights["input/centers"].size])
        parts.append(z)
    if data.codes is not None:
        codes = graph("Pad", data.codes, late) + np.array(network.first_codes)
        vectors = graph("Gather", weights["categories/embeddings"], codes, axis=0)
        parts.append(graph("Reshape", vectors, [0, 0, len(network.categories) * network.embedding]))
    return graph("Concat", *parts, axis=2)


def _numbers(graph: Graph, network: Network, levels: Value, data: Inputs) -> Value:
    """The numbers of a step, their distances from a mean, their changes: `bothways.runtime.numbers.numbers`."""
    parts, deviations = [], None
    for level in LEVELS[network.levels]:
        if level == "raw":
            parts.append(levels)
        elif level == "scaled":
            means, deviations = moments_of(graph, network.direction, levels, data)
            parts.append(graph.cast(levels, np.float64) - means)
        else:
            parts.append(levels - graph.cast(means_of(graph, network.direction, levels, data), data.dtype))
    for over in CHANGES[: network.changes]:
        parts.append(levels - moved(graph, data, levels, over if network.direction == "backward" else -over))
    if deviations is not None:
        parts = [graph.cast(graph.cast(part, np.float64) / deviations, data.dtype) for part in parts]
    return graph("Concat", *parts, axis=2)


def _convolved(graph: Graph, convolution: Convolution, weights: Weights, rows: Value) -> Value:
    outputs = graph(
        "Conv",
        graph("Transpose", rows, perm=[0, 2, 1]),
        weights["convolution/kernel"].transpose(2, 1, 0),
        weights["convolution/bias"],
        pads=list(convolution.padding),
        strides=[convolution.stride],
    )
    return graph("Transpose", graph("Relu", outputs), perm=[0, 2, 1])


def _recurrent(
    graph: Graph, recurrent: Recurrent, weights: Weights, rows: Value, lengths: Value, bins: Bins | None
) -> tuple[Value, Value]:
    """Its outputs `(time, batch, width)` and final states `(batch, width)`, merged."""
    directions = by_direction(recurrent, weights)
    way = "bidirectional" if len(directions) == 2 else WAYS[recurrent.directions[0]]
    outputs, ends = layer(graph, recurrent.cell, way, directions, rows, lengths, bins)
    if len(directions) == 1:
        return outputs, ends
    return merged(graph, recurrent.merge_mode, outputs), merged(graph, recurrent.merge_mode, ends)


def layer(
    graph: Graph,
    cell: str,
    way: str,
    directions: list[dict[str, Any]],
    rows: Value,
    lengths: Value | None,
    bins: Bins | None = None,
) -> tuple[Value, Value]:
    """The outputs `(time, batch, directions * units)` of a recurrent node and its final states, side by side."""
    if bins is not None:
        directions = [{**each, "kernel": bins.edges(each["kernel"])} for each in directions]
    W, R, B = cells.weights(cell, directions)
    lengths = None if lengths is None else graph.cast(lengths, np.int32)
    attributes = {"direction": way, "hidden_size": R.shape[2], **cells.attributes(cell, len(directions))}
    operands = [rows, W, R, B, lengths] if bins is None else [rows, W, R, B, lengths, bins.packed]
    outputs, ends = graph.several(2, cells.OPERATORS[cell_spec(cell).kind].name, *operands, **attributes)
    outputs, ends = graph("Transpose", outputs, perm=[0, 2, 1, 3]), graph("Transpose", ends, perm=[1, 0, 2])
    width = len(directions) * R.shape[2]
    return graph("Reshape", outputs, [0, 0, width]), graph("Reshape", ends, [0, width])


def merged(graph: Graph, mode: str, both: Value) -> Value:
    """The outputs of two directions, side by side in the last axis, as one."""
    function = MERGE_MODES[mode].merge
    return both if function is None else function(*graph.several(2, "Split", both, axis=-1, num_outputs=2))


def _mean(graph: Graph, rows: Value, lengths: Value) -> Value:
    """The mean over the steps; rows after the end of a sequence are zeros."""
    return graph("ReduceSum", rows, [0], keepdims=0) / at_least_one(graph, lengths, np.float32)


def _max(graph: Graph, rows: Value, lengths: Value) -> Value:
    counts = graph.unsqueeze(graph("Transpose", _counts(graph, rows, lengths, axis=0), perm=[1, 0]), 2)
    highest = graph("ReduceMax", graph.where(counts, rows, -np.inf), [0], keepdims=0)
    return graph.where(graph.unsqueeze(graph("Greater", lengths, np.int64(0)), 1), highest, 0.0)


POOLS = {"mean": _mean, "max": _max}


def _counts(graph: Graph, rows: Value, lengths: Value, axis: int = 1) -> Value:
    """`(batch, time)`, whether a step is one of the sequence; time is an axis of the rows."""
    return graph("Less", graph.unsqueeze(graph.steps(rows, axis), 0), graph.unsqueeze(lengths, 1))


def _head(graph: Graph, weights: Weights, rows: Value) -> Value:
    return graph("MatMul", rows, weights["head/kernel"]) + weights["head/bias"]


def _softmax(graph: Graph, network: Network, z: Value) -> Value:
    if network.outputs == 1:
        z = graph("Concat", z * 0, z, axis=-1)
    return graph("Softmax", z, axis=-1)


def _marginals(graph: Graph, z: Value, transitions: Floats, data: Inputs) -> Value:
    """The probabilities of labels in a CRF: `bothways.runtime.crf.marginals`."""
    follows = np.exp(transitions - transitions.max())
    highest = graph("ReduceMax", z, [2], keepdims=1)
    potentials = graph("Transpose", graph("Exp", z - highest), perm=[1, 0, 2])
    ones = graph("Gather", potentials, np.int64(0), axis=0) * 0 + 1
    first = graph("Equal", data.steps, np.int64(0))
    counts = graph("Transpose", data.inside, perm=[1, 0, 2])

    def forward(body: Graph, row: Value, parts: Any) -> tuple[Value, Value]:
        potentials, first = parts
        row = _shares(body, body.where(first, row, body("MatMul", row, follows)) * potentials)
        return row, row

    def backward(body: Graph, row: Value, parts: Any) -> tuple[Value, Value]:
        potentials, counts = parts
        before = _shares(body, body("MatMul", row * potentials, follows.T.copy()))
        return body.where(counts, before, 1.0), row

    p = graph.scan(forward, ones, [potentials, first])[1]
    p = p * graph.scan(backward, ones, [potentials, counts], reverse=True)[1]
    return _shares(graph, graph("Transpose", graph("Max", p, TINY), perm=[1, 0, 2]))


def _shares(graph: Graph, row: Value) -> Value:
    """The same, of which the last axis sums to 1."""
    return row / graph("ReduceSum", row, [-1], keepdims=1)


def decided(graph: Graph, model: Model, p: Value, data: Inputs) -> Value:
    """The codes of the classes to predict, as `bothways.runtime.decided`; shaped as `p` without its last axis."""
    scheme = model.scheme
    if scheme is None and len(model.classes) == 2:
        second = graph("Gather", p, np.int64(1), axis=-1)
        return graph.cast(graph("GreaterOrEqual", second, model.threshold), np.int64)
    if scheme is None:
        factors = model.factors
        return graph("ArgMax", p if factors is None else p * factors, axis=-1, keepdims=0)
    weight = model.threshold / (1 - model.threshold)
    return _best_path(graph, p * np.where(np.array(scheme.type_of) < 0, weight, 1).astype(np.float32), scheme, data)


def _best_path(graph: Graph, p: Value, scheme: Scheme, data: Inputs) -> Value:
    """The well-formed tags with the highest product of their probabilities: `bothways.runtime.crf.best_path`."""
    *never, start = np.where(scheme.allowed(), 0, NEVER).astype(np.float32)
    last = graph("Equal", graph.unsqueeze(data.steps, 0), graph.unsqueeze(data.lengths - np.int64(1), 1))
    first = graph("Equal", data.steps, np.int64(0))
    after, end = np.stack(never)[:, :-1], np.stack(never)[:, -1]
    z = graph("Log", graph("Max", p, TINY))
    z = z + graph.where(graph.unsqueeze(last, 2), end, 0.0)
    z = z + graph.where(graph.unsqueeze(graph.unsqueeze(first, 0), 2), start[:-1], 0.0)
    z = graph("Transpose", z, perm=[1, 0, 2])
    none = graph("Gather", z, np.int64(0), axis=0) * 0
    known = graph("Transpose", data.inside, perm=[1, 0, 2])

    def forward(body: Graph, best: Value, parts: Any) -> tuple[Value, Value]:
        z, first, known = parts
        sums = body.unsqueeze(best, 2) + body.where(first, 0.0, after)
        further = body("ReduceMax", sums, [1], keepdims=0) + z
        return body.where(known, further, best), body("ArgMax", sums, axis=1, keepdims=0)

    def backward(body: Graph, now: Value, parts: Any) -> tuple[Value, Value]:
        came, known = parts
        return body.where(known, body("GatherElements", came, now, axis=1), now), now

    best, came = graph.scan(forward, none, [z, first, known])
    path = graph.scan(backward, graph("ArgMax", best, axis=1, keepdims=1), [came, known], reverse=True)[1]
    return graph("Transpose", graph("Squeeze", path, [2]), perm=[1, 0])
