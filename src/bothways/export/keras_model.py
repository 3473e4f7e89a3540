"""Models of Keras as nodes: recurrent, dense and embedding layers, with any mask."""

from __future__ import annotations

import itertools
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
    differs_from_stock,
    engine_of,
    is_of_keras,
    is_stack,
    name_of,
    qualified_name,
)
from bothways.spec import cell_spec

FLOATS = ("float16", "float32", "float64")

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

DTYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), *FLOATS)
"""What an input can be."""


def build(graph: Graph, model: Any) -> None:
    """Put the nodes, inputs and outputs of a model into a graph.

    `InputError` for no model of Keras, or a layer that ONNX, or we, cannot do; names it.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"This is a {type(model).__name__}; give a model of `bothways.load`, or one of Keras.")
    if not getattr(model, "inputs", None):
        raise InputError(f"The model {model.name!r} has no known inputs. Build it: call it once, or give it an Input.")
    for each in model.inputs:
        if each.dtype not in DTYPES:
            raise InputError(f"The input {each.name!r} is of {each.dtype}; a graph reads {', '.join(DTYPES)}.")
    values = {id(each): graph.input(each.name, each.dtype, _shape(each), "An input.") for each in model.inputs}
    if not is_of_keras(model.call):
        raise InputError(f"The model {model.name!r} is a {type(model).__name__} with its own call; make it of layers.")
    functional = getattr(model, "_functional", model)  # that of a Sequential
    for _, nodes in sorted(functional._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            if not node.is_input:
                values[id(node.outputs[0])] = _node(graph, node, values)
    names = [model.layers[-1].name] if functional is not model else model.output_names
    for name, each in zip(_numbered(names, [each.name for each in model.inputs]), model.outputs, strict=True):
        graph.output(name, each.dtype, _shape(each), values[id(each)], "An output.")


def _numbered(names: list[str], taken: list[str]) -> list[str]:
    """Names of outputs; one that comes again, or is taken, gets a number."""
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        again = name in taken or name in found
        found.append(next(new for new in numbered if new not in (*names, *taken, *found)) if again else name)
    return found


def _shape(tensor: Any) -> tuple[str | int, ...]:
    names = ("batch", "time", *(f"size_{axis}" for axis in range(2, len(tensor.shape))))
    return ("batch", *(size or name for name, size in zip(names[1:], tensor.shape[1:], strict=False)))


def _node(graph: Graph, node: Any, values: Mapping[int, Value]) -> Value:
    """What a layer, or an operation that makes a mask, gives."""
    each, (read, *more) = node.operation, node.input_tensors
    value = values[id(read)]
    if type(each).__name__ == "NotEqual" and not more:
        other = next(np.asarray(one) for one in node.arguments.args if one is not read)
        return _differs(graph, value, other, np.float32 if "f" in (other.dtype.kind, read.dtype[0]) else np.int64)
    if type(each).__name__ == "Any" and each.axis in (-1, [-1]) and not each.keepdims:
        return _any(graph, graph.cast(value, np.bool_))
    if type(each).__name__ == "Cast" and node.outputs[0].dtype == "float32":  # before a mask, as before its layer
        return graph.cast(value, np.float32)
    return _layer(graph, node, values)


def _layer(graph: Graph, node: Any, values: Mapping[int, Value]) -> Value:
    each, (read, *more) = node.operation, node.input_tensors
    function = next((function for kind, function in _LAYERS.items() if isinstance(each, kind)), None)
    if function is None:
        raise InputError(
            f"{each.name!r} is a {type(each).__name__}; a graph is made of these: "
            f"{', '.join(kind.__name__ for kind in _LAYERS)}."
        )
    others = {name: one for name, one in node.arguments.kwargs.items() if one is not read and name != "training"}
    mask = others.pop("mask", None)
    recurrent = isinstance(each, (keras.layers.RNN, keras.layers.Bidirectional))
    hidden = recurrent and mask is None and getattr(read, "_keras_mask", None) is not None
    several = any(other is not mask for other in more) or any(one is not None for one in node.arguments.args[1:])
    if several or len(node.outputs) > 1 or hidden:
        raise InputError(f"The layer {each.name!r} reads states, or several inputs, or gives several outputs.")
    if asked := [name for name, one in others.items() if one is not None and one is not False]:
        raise InputError(f"The layer {each.name!r} is called with {', '.join(asked)}; a node knows a mask alone.")
    _check(each)
    value = values[id(read)]
    if read.dtype != "float32" and not isinstance(each, keras.layers.Embedding):
        if isinstance(each, keras.layers.Activation) and read.dtype not in FLOATS:  # of which Keras makes other things
            raise InputError(f"The layer {each.name!r} reads {read.dtype}; make it float32 by keras.ops.cast.")
        value = graph.cast(value, np.float32)
    if mask is None or not recurrent:
        return function(graph, each, value, None)
    if id(mask) not in values or len(mask.shape) != 2:
        raise InputError(f"The mask of the layer {each.name!r} is a constant, or not (batch, time), which it must be.")
    return function(graph, each, value, graph.cast(values[id(mask)], np.bool_))


def _check(each: Any, *methods: str) -> None:
    """Refuse a layer that computes otherwise than the one of Keras that it is, or is derived from."""
    for name in ("call", *methods):
        if not is_of_keras(getattr(each, name)):
            raise InputError(
                f"The layer {each.name!r} is a {type(each).__name__} with its own {name}; a graph has that of Keras."
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
            f"The layer {each.name!r} has activation={qualified_name(each.activation)}; a graph has "
            f"{', '.join(ACTIVATIONS)}."
        )
    operator = ACTIVATIONS[name]
    return value if operator is None else graph(operator, value)


def _embedding(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    if each.mask_zero and type(each).call is not keras.layers.Embedding.call:  # that of a ReversibleEmbedding
        raise InputError(f"The layer {each.name!r} masks zeros while it runs, unseen before. Make it an Embedding.")
    return graph("Gather", _array(each.embeddings), graph.cast(value, np.int64), axis=0)


def _masking(graph: Graph, each: Any, value: Value, mask: Value | None) -> Value:
    _check(each, "compute_mask")  # while it runs, `call` may mask otherwise
    there = _any(graph, _differs(graph, value, each.mask_value, np.float32))
    return graph.where(graph.unsqueeze(there, -1), value, 0.0)


def _differs(graph: Graph, value: Value, other: Any, dtype: Any) -> Value:
    return graph("Not", graph("Equal", graph.cast(value, dtype), np.asarray(other, dtype)))


def _any(graph: Graph, there: Value) -> Value:
    """Whether it is so of any feature; without their axis."""
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
        _check(each)
        _check(each.cell)
        if each.stateful or each.return_state or (_gives_zeros(each, mask) and not each.return_sequences):
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
        parts = [_apart(graph, part, mask, lengths, each) for part, each in zip(parts, ways, strict=True)]
        outputs = graph("Concat", *parts, axis=2)
    return outputs, ends


def _gives_zeros(each: Any, mask: Value | None) -> bool:
    """Whether a layer gives zeros at masked steps."""
    return mask is not None and each.zero_output_for_mask and not differs_from_stock(each, mask)


def _together(graph: Graph, rows: Value, mask: Value) -> tuple[Value, Value]:
    """The steps that are there first, in their order, and how many there are."""
    steps = graph.steps(rows, 1)
    time = graph("Gather", graph("Shape", rows), [1])
    keys = graph.where(mask, time, np.int64(0)) - graph.unsqueeze(steps, 0)
    order = graph.several(2, "TopK", keys, time, axis=1)[1]
    lengths = graph("ReduceSum", graph.cast(mask, np.int64), [1], keepdims=0)
    return graph("GatherND", rows, graph.unsqueeze(order, 2), batch_dims=1), lengths


def _apart(graph: Graph, outputs: Value, mask: Value, lengths: Value | None, each: Any) -> Value:
    """Outputs at their steps again; at a masked one that of the step that was read before it, or zeros."""
    assert lengths is not None
    there, backward = graph.cast(mask, np.int64), each.go_backwards
    count = graph("CumSum", there, np.int64(1))
    place = count - there if backward else count - np.int64(1)
    read = graph("Less", place, graph.unsqueeze(lengths, 1)) if backward else graph("Greater", count, np.int64(0))
    place = graph.where(read, place, np.int64(0))
    found = graph("GatherND", outputs, graph.unsqueeze(place, 2), batch_dims=1)
    return graph.where(graph.unsqueeze(mask if _gives_zeros(each, mask) else read, 2), found, 0.0)


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
