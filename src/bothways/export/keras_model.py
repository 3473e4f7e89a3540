"""Models of Keras as nodes: recurrent, dense and embedding layers, with any mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from bothways.errors import InputError
from bothways.export.networks import layer, merged
from bothways.layers.eligibility import NATIVE, cell_of, engine_of

if TYPE_CHECKING:
    from bothways.export.graph import Graph, Value

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


class _Tensor(NamedTuple):
    """A value, and `(batch, time)` whether a step is there; None if all are."""

    value: Value
    mask: Value | None = None


def build(graph: Graph, model: Any) -> None:
    """Put the nodes, inputs and outputs of a model into a graph.

    Raises:
        InputError: a layer that ONNX, or we, cannot do; names it.
    """
    if not getattr(model, "inputs", None):
        raise InputError(f"The model {model.name!r} has no known inputs. Build it: call it once, or give it an Input.")
    tensors: dict[int, _Tensor] = {}
    for each in model.inputs:
        tensors[id(each)] = _Tensor(graph.input(each.name, each.dtype, _shape(each), "An input of the model."))
    if isinstance(model, keras.Sequential):
        names, last = [model.layers[-1].name], tensors[id(model.inputs[0])]
        for each in model.layers:
            last = _layer(graph, each, last)
        tensors[id(model.outputs[0])] = last
    else:
        names = model.output_names
        for each in model.layers:
            if not isinstance(each, keras.layers.InputLayer):
                before, after = _used_once(each, tensors)
                tensors[id(after)] = _layer(graph, each, before)
    for name, each in zip(names, model.outputs, strict=True):
        if id(each) not in tensors:
            raise InputError(f"The output {name!r} comes from a layer that is used several times, or from none.")
        graph.output(name, each.dtype, _shape(each), tensors[id(each)].value, "An output of the model.")


def _shape(tensor: Any) -> tuple[str | int, ...]:
    names = ("batch", "time", *(f"size_{axis}" for axis in range(2, len(tensor.shape))))
    return ("batch", *(size or name for name, size in zip(names[1:], tensor.shape[1:], strict=False)))


def _used_once(each: Any, tensors: Mapping[int, _Tensor]) -> tuple[_Tensor, Any]:
    """What a layer reads, and the tensor of Keras that it gives."""
    try:
        (before, *masks), after = keras.tree.flatten(each.input), each.output
    except (AttributeError, ValueError):  # what Keras raises where a layer has been called twice or never
        before, masks, after = None, [], None
    own = all(mask is getattr(before, "_keras_mask", None) for mask in masks)  # which Keras hands on with its tensor
    if id(before) not in tensors or not own or isinstance(after, (list, tuple)):
        raise InputError(
            f"The layer {each.name!r} is used several times, or does not read one output of a layer. Only layers with one "
            "input and one output become nodes."
        )
    return tensors[id(before)], after


def _layer(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    """What a layer makes of its input."""
    if each.compute_dtype != "float32":
        raise InputError(f"The layer {each.name!r} computes in {each.compute_dtype}; a graph computes in float32.")
    for kind, function in _LAYERS.items():
        if isinstance(each, kind):
            return function(graph, each, before)
    known = ", ".join(kind.__name__ for kind in _LAYERS)
    raise InputError(f"The layer {each.name!r} is a {type(each).__name__}; a graph is made of these: {known}.")


def _same(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    return before


def _inner(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    if not isinstance(each.layer, (keras.layers.Dense, keras.layers.Activation, keras.layers.Dropout)):
        raise InputError(f"The layer {each.name!r} holds a {type(each.layer).__name__}; it can hold a Dense.")
    return _layer(graph, each.layer, before)


def _dense(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    value = graph("MatMul", before.value, _array(each.kernel))
    if each.use_bias:
        value = value + _array(each.bias)
    return _activation(graph, each, before._replace(value=value))


def _activation(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    name = keras.activations.serialize(each.activation)
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise InputError(f"The layer {each.name!r} has activation={name!r}; a graph has {', '.join(ACTIVATIONS)}.")
    operator = ACTIVATIONS[name]
    return before if operator is None else before._replace(value=graph(operator, before.value))


def _embedding(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    codes = graph.cast(before.value, np.int64)
    mask = graph("Not", graph("Equal", codes, np.int64(0))) if each.mask_zero else None
    return _Tensor(graph("Gather", _array(each.embeddings), codes, axis=0), mask)


def _masking(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    differs = graph("Not", graph("Equal", before.value, np.float32(each.mask_value)))
    there = graph("ReduceMax", graph.cast(differs, np.int32), [-1], keepdims=0)
    mask = graph.cast(there, np.bool_)
    return _Tensor(graph.where(graph.unsqueeze(mask, 2), before.value, 0.0), mask)


def _recurrent(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    outputs, ends = _run(graph, [each], "reverse" if each.go_backwards else "forward", before)
    if not each.return_sequences:
        return _Tensor(ends)
    if each.go_backwards:  # from the last step to the first
        if before.mask is not None:
            raise InputError(f"The layer {each.name!r} reads backward under a mask. Put it into a Bidirectional.")
        last = graph("Gather", graph("Shape", outputs), np.int64(1)) - np.int64(1)
        outputs = graph("Gather", outputs, last - graph.steps(outputs, 1), axis=1)
    return _Tensor(outputs, before.mask)


def _bidirectional(graph: Graph, each: Any, before: _Tensor) -> _Tensor:
    ways = [each.forward_layer, each.backward_layer]
    units = [way.cell.units for way in ways]
    if each.merge_mode is None or units[0] != units[1] or ways[0].go_backwards:
        raise InputError(
            f"The layer {each.name!r} merges by {each.merge_mode} and has {units[0]} and {units[1]} units; a graph "
            "needs a merge_mode, as many units both ways, and a first layer that reads forward."
        )
    outputs, ends = _run(graph, ways, "bidirectional", before)
    chosen = outputs if each.return_sequences else ends
    return _Tensor(merged(graph, each.merge_mode, chosen), before.mask if each.return_sequences else None)


def _run(graph: Graph, ways: list[Any], way: str, before: _Tensor) -> tuple[Value, Value]:
    """The outputs `(batch, time, directions * units)` and final states of layers that read the same."""
    for each in ways:
        if (engine := engine_of(each)) != NATIVE:
            raise InputError(f"The layer {each.name!r} cannot be a node: {engine}.")
        if each.stateful or each.return_state or (each.zero_output_for_mask and not each.return_sequences):
            raise InputError(f"The layer {each.name!r} is stateful, or returns states or zeros; a node does neither.")
    cells = {cell_of(each) for each in ways}
    if len(cells) > 1:
        raise InputError(f"The layers of {ways[0].name!r} and {ways[1].name!r} have other cells; a node has one.")
    rows, lengths = before.value, None
    if before.mask is not None:
        rows, lengths = _together(graph, rows, before.mask)
    weights = [
        {
            "kernel": _array(each.cell.kernel),
            "recurrent_kernel": _array(each.cell.recurrent_kernel),
            "bias": _array(each.cell.bias) if each.cell.use_bias else np.zeros(_bias_shape(each), np.float32),
        }
        for each in ways
    ]
    rows = graph("Transpose", rows, perm=[1, 0, 2])
    outputs, ends = layer(graph, cells.pop(), way, weights, rows, lengths)
    outputs = graph("Transpose", outputs, perm=[1, 0, 2])
    if before.mask is not None:
        parts = graph.several(len(ways), "Split", outputs, axis=2, num_outputs=len(ways)) if ways[1:] else [outputs]
        backward = [each.go_backwards for each in ways]
        parts = [_apart(graph, part, before.mask, lengths, back) for part, back in zip(parts, backward, strict=True)]
        outputs = graph("Concat", *parts, axis=2)
        if ways[0].zero_output_for_mask:
            outputs = graph.where(graph.unsqueeze(before.mask, 2), outputs, 0.0)
    return outputs, ends


def _bias_shape(each: Any) -> tuple[int, ...]:
    columns = int(each.cell.recurrent_kernel.shape[1])
    return (2, columns) if cell_of(each) == "gru" else (columns,)


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


def _array(weight: Any) -> Any:
    return keras.ops.convert_to_numpy(weight).astype(np.float32)


_LAYERS: Mapping[type, Callable[[Graph, Any, _Tensor], _Tensor]] = {
    keras.layers.Dense: _dense,
    keras.layers.TimeDistributed: _inner,
    keras.layers.Activation: _activation,
    keras.layers.Dropout: _same,
    keras.layers.Embedding: _embedding,
    keras.layers.Masking: _masking,
    keras.layers.RNN: _recurrent,
    keras.layers.Bidirectional: _bidirectional,
}
