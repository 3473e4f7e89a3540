"""Which recurrent layers the engine can run, and in words why it cannot run the others."""

from __future__ import annotations

from typing import Any

import keras

from bothways.layers import ops

NATIVE = "native"
ORACLE = "step by step in float64, for gradient checks"

# For each layer of Keras, the activations that the engine has, and the cell that each makes.
_CELLS: dict[type, tuple[dict[str, str], dict[str, str]]] = {
    keras.layers.LSTM: ({"recurrent_activation": "sigmoid"}, {"tanh": "lstm"}),
    keras.layers.GRU: ({"recurrent_activation": "sigmoid"}, {"tanh": "gru"}),
    keras.layers.SimpleRNN: ({}, {"tanh": "rnn", "relu": "rnn_relu"}),
}
_LAYERS = {
    keras.layers.LSTMCell: keras.layers.LSTM,
    keras.layers.GRUCell: keras.layers.GRU,
    keras.layers.SimpleRNNCell: keras.layers.SimpleRNN,
}


def cell_of(layer: Any) -> str:
    """The cell of `bothways.spec` that an eligible layer has."""
    kind = _kind(layer)
    assert kind is not None, "only eligible layers have a cell"
    cell = _CELLS[kind][1][layer.cell.activation.__name__]
    return "gru_reset_before" if cell == "gru" and not layer.cell.reset_after else cell


def engine_of(layer: Any, oracle: bool = False) -> str:
    """`"native"`, or the reason for which stock Keras runs `layer` instead."""
    kind = _kind(layer)
    if kind is None:
        of = f" of {type(layer.cell).__name__}" if type(layer) is keras.layers.RNN else ""
        return f"{type(layer).__name__}{of} is not a layer of the engine; it has LSTM, GRU and SimpleRNN"
    for name in ("call", "inner_loop"):
        if getattr(type(layer), name).__module__.split(".")[0] not in ("keras", "bothways"):
            return f"{type(layer).__name__} has its own {name}; the engine has that of Keras"
    cell = layer.cell
    if not type(cell).call.__module__.startswith("keras."):
        return f"{type(cell).__name__} is a cell with its own call; the engine has that of Keras"
    fixed, by_activation = _CELLS[kind]
    activations = {"activation": list(by_activation)} | {name: [value] for name, value in fixed.items()}
    for name, functions in activations.items():
        chosen = getattr(cell, name)
        if not any(chosen is getattr(keras.activations, function) for function in functions):
            return f"{name}={keras.activations.serialize(chosen)!r}; the engine has {' and '.join(functions)}"
    if cell.compute_dtype == "float64" and oracle and not ops.has_float64():
        return "computes in float64, of which JAX makes float32 unless jax_enable_x64 is set"
    if cell.compute_dtype not in ("float32", "bfloat16", *(["float64"] if oracle else [])):
        return f"computes in {cell.compute_dtype}; the engine has float32 and bfloat16"
    for name in ("dropout", "recurrent_dropout"):
        if getattr(cell, name) == 1.0:  # LSTM and GRU cells drop nothing then, while some fused calls drop all
            return f"{name}=1.0, of which Keras makes different things; the engine has rates below 1"
    implementation = getattr(cell, "implementation", 1)
    if cell.recurrent_dropout and implementation != 1:  # the rate was set later, and stock Keras makes no use of it
        return f"recurrent_dropout with implementation={implementation}; the engine has that of implementation=1"
    return ops.why_not() or (ORACLE if cell.compute_dtype == "float64" else NATIVE)


def engine_of_both(wrapper: Any, oracle: bool = False) -> str:
    """`"native"`, or the reason for which stock Keras runs the layers of a `Bidirectional` one after the other."""
    if type(wrapper).call.__module__.split(".")[0] not in ("keras", "bothways"):
        return f"{type(wrapper).__name__} has its own call; the engine has that of Keras"
    for side in ("forward", "backward"):
        layer = getattr(wrapper, f"{side}_layer")
        engine = engine_of(layer, oracle)
        if engine not in (NATIVE, ORACLE):
            return f"{side} layer: {engine}"
        if layer.activity_regularizer is not None:
            return f"{side} layer: an activity regularizer, which only stock Keras applies"
    dtypes = [layer.compute_dtype for layer in (wrapper.forward_layer, wrapper.backward_layer)]
    if dtypes[0] != dtypes[1]:
        return f"its layers compute in {dtypes[0]} and {dtypes[1]}; the engine has one dtype for both"
    return engine


def differs_from_stock(layer: Any, mask: Any) -> bool:
    """Whether stock Keras must run a call: unrolled, it does not make masked outputs zero, if they are to be."""
    return mask is not None and layer.unroll and layer.zero_output_for_mask


def _kind(layer: Any) -> type | None:
    if type(layer) is keras.layers.RNN:
        return next((kind for cell, kind in _LAYERS.items() if isinstance(layer.cell, cell)), None)
    return next((kind for kind in _CELLS if isinstance(layer, kind)), None)
