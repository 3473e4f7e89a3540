"""Models of Keras as nodes: recurrent, dense and embedding layers, with any mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from bothways.errors import InputError
from bothways.export.graph import Graph, Value
from bothways.export.networks import layer, merged
from bothways.layers.eligibility import (
    NATIVE,
    begins_with_zeros,
    cell_of,
    engine_of,
    is_of_keras,
    is_stack,
    name_of,
    shown,
)
from bothways.spec import cell_spec

ACTIVATIONS: Mapping[str, str | None] = {
    "linear": None,
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softmax": "Softmax",
    "elu": "Elu",
    "selu": "Selu",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "exponential": "Exp",
}
"""Those of Keras whose defaults are ONNX's, and what it calls them."""


def build(graph: Graph, model: Any) -> None:
    """Put the nodes, inputs and outputs of a model into a graph.

    Raises:
        InputError: no model of Keras, or a layer that ONNX, or we, cannot do; names it.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"This is a {type(model).__name__}; give a model of `bothways.load`, or one of Keras.")
    if not getattr(model, "inputs", None):
        raise InputError(f"The model {model.name!r} has no known inputs. Build it: call it once, or give it an Input.")
    values = {id(each): graph.input(each.name, each.dtype, _shape(each), "An input.") for each in model.inputs}
    if not is_of_keras(model.call):
        raise InputError(f"The model {model.name!r} is a {type(model).__name__} with its own call; make it of layers.")
    functional = getattr(model, "_functional", model)  # that of a Sequential
    for _, nodes in sorted(functional._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            if not node.is_input:
                values[id(node.outputs[0])] = _node(graph, node, values)
    names = [model.layers[-1].name] if functional is not model else model.output_names
    for name, each in zip(names, model.outputs, strict=True):
        graph.output(name, each.dtype, _shape(each), values[id(each)], "An output.")


def _shape(tensor: Any) -> tuple[str | int, ...]:
    names = ("batch", "time", *(f"size_{axis}" for axis in range(2, len(tensor.shape))))
    return ("batch", *(size or name for name, size in zip(names[1:], tensor.shape[1:], strict=False)))


def _node(graph: Graph, node: Any, values: Mapping[int, Value]) -> Value:
    """What a layer, or an operation that makes a mask, gives."""
    each, (read, *more) = node.operation, node.input_tensors
    if type(each).__name__ == "NotEqual" and not more:
        other = np.array(node.arguments.args[1], read.dtype)
        return graph("Not", graph("Equal", values[id(read)], other))
    if type(each).__name__ == "Any" and each.axis in (-1, [-1]) and not each.keepdims:
        return _any(graph, values[id(read)])
    mask = node.arguments.kwargs.get("mask")
    function = next((function for kind, function in _LAYERS.items() if isinstance(each, kind)), None)
    if function is None:
        raise InputError(
            f"{each.name!r} is a {type(each).__name__}; a graph is made of these: "
            f"{', '.join(kind.__name__ for kind in _LAYERS)}."
        )
    recurrent = isinstance(each, (keras.layers.RNN, keras.layers.Bidirectional))
    hidden = recurrent and mask is None and getattr(read, "_keras_mask", None) is not None
    if any(other is not mask for other in more) or len(node.outputs) > 1 or hidden:
        raise InputError(f"The layer {each.name!r} reads states, or several inputs, or gives several outputs.")
    _check(each)
    return function(graph, each, values[id(read)], None if mask is None else values[id(mask)])


def _check(each: Any) -> None:
    """Refuse a layer that computes otherwise than the one of Keras that it is, or is derived from."""
    if not is_of_keras(each.call):
        raise InputError(
            f"The layer {each.name!r} is a {type(each).__name__} with its own call; a graph has that of Keras."
        )
    if each.compute_dtype != "float32":
        raise InputError(f"The layer {each.name!r} computes in {each.compute_dtype}; a graph computes in float32.")
    if (quantized := getattr(each, "quantization_mode", None)) is not None:
        raise InputError(
            f"The layer {each.name!r} is quantized to {quantized}; a graph has its weights as float32. Export the "
            "model as it was before."
        )


def _inner(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    if not isinstance(each.layer, keras.layers.Dense):
        raise InputError(f"The layer {each.name!r} holds a {type(each.layer).__name__}; it can hold a Dense.")
    _check(each.layer)
    return _dense(graph, each.layer, value, mask)


def _dense(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    value = graph("MatMul", value, _array(each.kernel))
    return _activation(graph, each, value + _array(each.bias) if each.use_bias else value, mask)


def _activation(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    name = name_of(each.activation)
    if name not in ACTIVATIONS:
        raise InputError(
            f"The layer {each.name!r} has activation={shown(each.activation)}; a graph has {', '.join(ACTIVATIONS)}."
        )
    operator = ACTIVATIONS[name]
    return value if operator is None else graph(operator, value)


def _embedding(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    return graph("Gather", _array(each.embeddings), graph.cast(value, np.int64), axis=0)


def _masking(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    there = _any(graph, graph("Not", graph("Equal", value, np.float32(each.mask_value))))
    return graph.where(graph.unsqueeze(there, 2), value, 0.0)


def _any(graph: Graph, there: Value) -> Value:
    """`(batch, time)`, whether it is so of any feature."""
    return graph.cast(graph("ReduceMax", graph.cast(there, np.int32), [-1], keepdims=0), np.bool_)


def _recurrent(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    outputs, ends = _run(graph, [each], "reverse" if each.go_backwards else "forward", value, mask)
    if not each.return_sequences:
        return ends
    if each.go_backwards:  # from the last step to the first
        if mask is not None:
            raise InputError(f"The layer {each.name!r} reads backward under a mask. Put it into a Bidirectional.")
        last = graph("Gather", graph("Shape", outputs), np.int64(1)) - np.int64(1)
        outputs = graph("Gather", outputs, last - graph.steps(outputs, 1), axis=1)
    return outputs


def _bidirectional(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    ways = [each.forward_layer, each.backward_layer]
    units = [way.cell.output_size for way in ways]
    if each.merge_mode is None or units[0] != units[1] or ways[0].go_backwards:
        raise InputError(
            f"The layer {each.name!r} merges by {each.merge_mode} and has {units[0]} and {units[1]} units; a graph "
            "needs a merge_mode, as many units both ways, and a first layer that reads forward."
        )
    outputs, ends = _run(graph, ways, "bidirectional", value, mask)
    return merged(graph, each.merge_mode, outputs if each.return_sequences else ends)


def _run(graph: Graph, ways: list[Any], way: str, rows: Value, mask: Value | None) -> tuple[Value, Value]:
    """The outputs `(batch, time, directions * units)` and final states of layers that read the same."""
    for each in ways:
        if (engine := engine_of(each)) != NATIVE:
            raise InputError(f"The layer {each.name!r} cannot be a node: {engine}.")
        if not begins_with_zeros(each):
            raise InputError(f"The layer {each.name!r} has its own get_initial_state; a graph begins with zeros.")
        if is_stack(each):
            raise InputError(f"The layer {each.name!r} is a stack of cells. Make a layer of each cell.")
        if each.stateful or each.return_state or (each.zero_output_for_mask and not each.return_sequences):
            raise InputError(f"The layer {each.name!r} is stateful, or returns states or zeros; a node does neither.")
    cells = {cell_of(each.cell) for each in ways}
    if len(cells) > 1:
        raise InputError(f"The layers of {ways[0].name!r} and {ways[1].name!r} have other cells; a node has one.")
    lengths = None
    if mask is not None:
        rows, lengths = _together(graph, rows, mask)
    rows = graph("Transpose", rows, perm=[1, 0, 2])
    outputs, ends = layer(graph, cells.pop(), way, [_weights(each.cell) for each in ways], rows, lengths)
    outputs = graph("Transpose", outputs, perm=[1, 0, 2])
    if mask is not None:
        parts = graph.several(len(ways), "Split", outputs, axis=2, num_outputs=len(ways)) if ways[1:] else [outputs]
        backward = [each.go_backwards for each in ways]
        parts = [_apart(graph, part, mask, lengths, back) for part, back in zip(parts, backward, strict=True)]
        outputs = graph("Concat", *parts, axis=2)
        if ways[0].zero_output_for_mask:
            outputs = graph.where(graph.unsqueeze(mask, 2), outputs, 0.0)
    return outputs, ends


def _together(graph: Graph, rows: Value, mask: Value) -> tuple[Value, Value]:
    """The steps that are there first, in their order, and how many there are."""
    steps = graph.steps(rows, 1)
    time = graph("Gather", graph("Shape", rows), [1])
    keys = graph.where(mask, time, np.int64(0)) - graph.unsqueeze(steps, 0)
    order = graph.several(2, "TopK", keys, time, axis=1)[1]
    lengths = graph("ReduceSum", graph.cast(mask, np.int64), [1], keepdims=0)
    return graph("GatherND", rows, graph.unsqueeze(order, 2), batch_dims=1), lengths


def _apart(graph: Graph, outputs: Value, mask: Value, lengths: Value | None, backward: bool) -> Value:
    """Outputs at their steps again; at a masked one that of the step that was read before it, or zeros."""
    assert lengths is not None
    there = graph.cast(mask, np.int64)
    count = graph("CumSum", there, np.int64(1))
    place = count - there if backward else count - np.int64(1)
    read = graph("Less", place, graph.unsqueeze(lengths, 1)) if backward else graph("Greater", count, np.int64(0))
    place = graph.where(read, place, np.int64(0))
    found = graph("GatherND", outputs, graph.unsqueeze(place, 2), batch_dims=1)
    return graph.where(graph.unsqueeze(read, 2), found, 0.0)


def _weights(cell: Any) -> dict[str, Any]:
    shapes = cell_spec(cell_of(cell)).weight_shapes(0, cell.units)
    bias = _array(cell.bias) if cell.use_bias else np.zeros(shapes["bias"], np.float32)
    return {"kernel": _array(cell.kernel), "recurrent_kernel": _array(cell.recurrent_kernel), "bias": bias}


def _array(weight: Any) -> Any:
    return keras.ops.convert_to_numpy(weight).astype(np.float32)


_Function = Callable[[Graph, Any, Value, Value | None], Value]
_LAYERS: Mapping[type, _Function] = {
    keras.layers.Dense: _dense,
    keras.layers.TimeDistributed: _inner,
    keras.layers.Activation: _activation,
    keras.layers.Dropout: lambda graph, each, value, mask: value,
    keras.layers.Embedding: _embedding,
    keras.layers.Masking: _masking,
    keras.layers.RNN: _recurrent,
    keras.layers.Bidirectional: _bidirectional,
}
