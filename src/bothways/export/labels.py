"""From probabilities to labels, as nodes: `bothways.runtime.decisions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.export.networks import TINY
from bothways.runtime import Model
from bothways.runtime.crf import NEVER
from bothways.tags import Scheme

if TYPE_CHECKING:
    from bothways.export.graph import Graph, Value
    from bothways.export.inputs import Inputs


def codes(graph: Graph, model: Model, p: Value, data: Inputs) -> Value:
    """The codes of the classes to predict, shaped as `p` without its last axis."""
    if len(model.classes) == 2:
        second = graph("Gather", p, np.int64(1), axis=-1)
        return graph.cast(graph("GreaterOrEqual", second, model.threshold), np.int64)
    if (scheme := model.scheme) is None:
        return graph("ArgMax", p, axis=-1, keepdims=0)
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
    known = graph.unsqueeze(graph("Transpose", data.known, perm=[1, 0]), 2)

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
