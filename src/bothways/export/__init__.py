"""Models as one graph of ONNX, from raw columns to labels and probabilities; it runs without bothways."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import bothways
from bothways.baselines import Neighbors, OneStep, Trees
from bothways.errors import InputError, ModelFileError, imports_for, option
from bothways.export import patterns, simple, spelling
from bothways.export.graph import Graph, Port
from bothways.export.inputs import BATCH_TIME, LABEL, PROBABILITIES, inputs
from bothways.export.networks import decided, probabilities, tempered
from bothways.files import check_output, written_whole
from bothways.patterns import Forest, Patterns
from bothways.runtime import Member, Model

__all__ = ["OLDEST_OPSET", "Exported", "export_onnx", "graph_of"]

OLDEST_OPSET = 18
"""The version of the operators that graphs are written in: the first one in which all reductions take their axes alike,
and Split a number of parts. ONNX Runtime reads it from 1.14 on."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: where.
        opset: the version of its operators.
        inputs: name -> type and shape.
        outputs: name -> type and shape.
    """

    path: Path
    opset: int
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways export --json` prints."""
        return asdict(self) | {"path": str(self.path)}


def export_onnx(model: Any, path: str | os.PathLike[str], opset: int | None = None) -> Exported:
    """Write a model as one graph of ONNX.

    Its inputs are the columns of the table, each `(batch, time)`: numbers in float32, or all in float64 if one changes
    by less than float32 shows, NaN where one is missing; categories as text, empty where it is missing; where gaps
    between steps, times of day or weekdays are features the order column, in float64.
    A model of arrays has one input, `features`, `(batch, time, features)` in float32. Beside them stands `lengths`,
    `(batch,)` in int64: what comes after the end of a sequence is not read. The rows of a sequence are sorted.

    Its outputs are `label` and `probabilities`, `(batch, time)` and `(batch, time, classes)`, and without the axis of
    time where a sequence has one label; after the end of a sequence they mean nothing.

    Args:
        model: what to write; also a model of Keras, of layers that have one input and one output each: recurrent ones,
            Bidirectional, Dense, Embedding, Masking, Dropout. Inputs and outputs keep their names.
        path: the file, .onnx.
        opset: the version of the operators; the oldest that there can be if it is not given.

    Raises:
        InputError: no model, or no such opset; a part of the model that ONNX cannot do, or another ending of the file.
        MissingDependencyError: onnx is not installed.

    Example:
        >>> import tempfile
        >>> from bothways.network import Network
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_onnx(Model([Member(network, weights)], classes=(0, 1)), f"{folder}/some.onnx").inputs
        {'features': 'float32 (batch, time, 1)', 'lengths': 'int64 (batch,)'}
    """
    path = check_output(path, (".onnx",))
    with imports_for("To export", "onnx"):
        from bothways.export.onnx_model import INVALID, newest_opset, onnx_model
    oldest, newest = spelling.OPSET if _spelled(model) else OLDEST_OPSET, newest_opset()
    opset = oldest if opset is None else opset
    if not oldest <= opset <= newest:
        raise InputError(
            f"The opset is {opset}; for this model it must be from {oldest} to {newest}, the newest one that the "
            f"installed onnx knows. Leave out {option('opset')} for the one that most runtimes read."
        )
    if isinstance(model, Model):
        graph = graph_of(model, opset)
    else:
        from bothways.export import keras_model

        graph = Graph(opset)
        keras_model.build(graph, model)
    try:
        proto = onnx_model(graph, "bothways", producer_name="bothways", producer_version=bothways.__version__)
    except INVALID as reason:
        name = getattr(model, "name", type(model).__name__)
        raise InputError(
            f"The model {name!r} cannot be exported: {str(reason).strip()}. That is a fault of `bothways export`, not "
            "of the model; please report it, with the model."
        ) from reason
    with written_whole(path, ModelFileError) as temporary:
        temporary.write_bytes(proto.SerializeToString())
    return Exported(path, opset, _described(graph.inputs), _described(graph.outputs))


def _spelled(model: Any) -> bool:
    """Whether it reads the spelling of words."""
    columns = model.columns if isinstance(model, Model) else None
    return columns is not None and any(each.view for each in columns.fitted.categories)


def _described(ports: Sequence[Port]) -> dict[str, str]:
    """Name -> type and shape."""
    shapes = {port.name: ", ".join(map(str, port.shape)) + "," * (len(port.shape) == 1) for port in ports}
    return {port.name: f"{port.type} ({shapes[port.name]})" for port in ports}


def graph_of(model: Model, opset: int = OLDEST_OPSET, page: bool = False) -> Graph:
    """The graph of a model; inputs, outputs and errors are those of `export_onnx`.

    For a `page`, the output `label` is the place of the label among the classes, and trees are nodes of their own.
    """
    graph = Graph(opset, page=page)
    data = inputs(graph, model)
    total = sum(member.share for member in model.members)
    of_members = []
    for member in model.members:
        if isinstance(member, Member):
            p = probabilities(graph, member.network, member.weights, data)
        elif isinstance(member.baseline, (Forest, Patterns)):
            p = patterns.probabilities(graph, member.baseline, data)
        else:
            assert isinstance(member.baseline, (Neighbors, OneStep, Trees))
            p = simple.probabilities(graph, member.baseline, data, model.network.per)
        of_members.append(p * (member.share / total))
    p = tempered(graph, sum(of_members[1:], of_members[0]), model.temperature)
    labels = decided(graph, model, p, data)
    if not page:
        labels = graph("Gather", np.array(model.classes), labels, axis=0)
    shape = BATCH_TIME if model.network.per == "step" else BATCH_TIME[:1]
    graph.output(LABEL, np.int64 if page else type(model.classes[0]), shape, labels, "The label.")
    said = f"Of {', '.join(map(str, model.classes))}."
    graph.output(PROBABILITIES, np.float32, (*shape, len(model.classes)), p, said)
    return graph
