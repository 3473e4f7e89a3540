"""Layers of Keras that are compared with ours, and arrays for them, on every backend."""

from __future__ import annotations

from typing import Any

import keras

CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "rnn": ("SimpleRNN", {}),
    "rnn_relu": ("SimpleRNN", {"activation": "relu", "use_bias": False}),
}
"""By a name for each: the name of the layer, and its arguments."""

CELLS_AND_ACTIVATIONS = CELLS | {
    "lstm_relu": ("LSTM", {"activation": "relu", "recurrent_activation": "hard_sigmoid"}),
    "gru_sigmoid": ("GRU", {"activation": "sigmoid", "recurrent_activation": "hard_sigmoid"}),
    "gru_before_linear": ("GRU", {"activation": "linear", "reset_after": False}),
}
"""Those, and more activations."""


def tensor(array: Any) -> Any:
    return keras.ops.convert_to_tensor(array)


def numpy(array: Any) -> Any:
    return keras.ops.convert_to_numpy(array)
