"""Trees as nodes of a graph: in ONNX all go down together, a level at a time; a page walks down each by itself."""

from __future__ import annotations

import numpy as np

from bothways.baselines import Trees
from bothways.baselines.trees import MISSING
from bothways.export.graph import Graph, Value
from bothways.patterns import Forest
from bothways.patterns.forest import depth


def leaves(graph: Graph, model: Forest | Trees, inputs: Value, rank: int) -> Value:
    """`(..., trees)` the values of the leaves that inputs `(..., inputs)`, of `rank` axes, come to."""
    leaf, own = model.inputs < 0, np.arange(len(model.inputs))
    asks = np.where(leaf, 0, model.inputs).astype(np.int64)
    children = np.where(leaf[:, None], own[:, None], model.children)
    missing, sets, kinds = np.zeros(len(own), bool), np.full(len(own), -1), np.zeros((0, 0), bool)
    if isinstance(model, Trees):
        # Of each node whether a missing number goes left, and the number of its set of places of a category, -1 for
        # none; and `(sets, places)` which places go left, the last one of what is missing.
        missing, sets = model.missing, model.sets.astype(np.int64)
        kinds = np.unpackbits(model.left, axis=1).astype(bool)
    if graph.page:  # a set of -2: none, and what is missing goes left
        sets = np.where(missing & (sets < 0), -2, sets)
        return graph("Leaves", inputs, model.roots, asks, children, model.values, sets, kinds)
    left, right = children.T
    flat = kinds.ravel()
    shape = graph("Concat", graph("Shape", inputs, end=rank - 1), [len(model.roots)], axis=0)
    nodes = graph("Expand", model.roots, shape)
    for _ in range(depth(model.inputs, model.children)):  # what is at a leaf stays there
        asked = graph("GatherElements", inputs, graph("Gather", asks, nodes), axis=rank - 1)
        goes = graph("LessOrEqual", asked, graph("Gather", model.values, nodes))
        if isinstance(model, Trees):
            nothing = graph("IsNaN", asked)
            goes = graph("Or", goes, nothing & graph("Gather", missing, nodes))
        if len(flat):
            of = graph("Gather", sets, nodes)
            place = graph.where(nothing, np.float64(MISSING), graph("Clip", asked, np.float64(0), np.float64(MISSING)))
            among = graph("Max", of, np.int64(0)) * np.int64(MISSING + 1) + graph.cast(place, np.int64)
            none, one = graph("Less", of, np.int64(0)), graph("Gather", flat, among)  # ONNX Runtime: no Where of bools
            goes = graph("Or", none & goes, graph("Not", none) & one)
        nodes = graph.where(goes, graph("Gather", left, nodes), graph("Gather", right, nodes))
    return graph("Gather", model.values, nodes)
