"""Which recurrent layers the engine can run, and in words why it cannot run the others."""

from __future__ import annotations

import keras

from bothways.layers import ops

NATIVE = "native"


def engine_of(layer: keras.layers.Layer) -> str:
    """`"native"`, or the reason for which stock Keras runs `layer` instead.

    Example:
        >>> engine_of(keras.layers.LSTM(8, activation="relu"))
        "activation='relu'; the engine has tanh"
    """
    if not isinstance(layer, keras.layers.LSTM):
        return f"{type(layer).__name__} is not a cell of the engine; it has LSTM"
    cell = layer.cell
    for name, function in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        chosen = getattr(cell, name)
        if chosen is not getattr(keras.activations, function):
            return f"{name}={keras.activations.serialize(chosen)!r}; the engine has {function}"
    if cell.compute_dtype != "float32":
        return f"computes in {cell.compute_dtype}; the engine has float32"
    if cell.recurrent_dropout:
        return f"recurrent_dropout={cell.recurrent_dropout}; the engine has none"
    if cell.dropout and cell.implementation == 1:
        return "dropout with implementation=1, a mask for each gate; the engine has one for all"
    if layer.unroll:
        return "unroll=True; the engine does not unroll"
    return ops.why_not() or NATIVE
