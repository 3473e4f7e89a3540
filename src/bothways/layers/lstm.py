"""`keras.layers.LSTM` on the engine, and what it shares with `Bidirectional`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops as K

from bothways.errors import InputError
from bothways.layers import ops
from bothways.layers.eligibility import NATIVE, engine_of


@keras.saving.register_keras_serializable(package="bothways")
class LSTM(keras.layers.LSTM):
    """Long short-term memory, run by the engine: `keras.layers.LSTM` with the same arguments, weights and numbers.

    What the engine does not do (see `engine`) stock Keras does, with the same result.

    Args:
        units: the width of the state.
        **kwargs: every other argument of `keras.layers.LSTM`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h, c]`, each `(batch, units)`; zeros if not given.
        mask: `(batch, time)` of bool: a masked step carries the state and repeats the last output.
        training: whether dropout applies.

    Returns:
        `(batch, units)`; `(batch, time, units)` with `return_sequences`; with `return_state` followed by h and c.

    Example:
        >>> import numpy as np
        >>> layer = LSTM(8, return_sequences=True)
        >>> layer(np.zeros((2, 5, 3), "float32")).shape
        (2, 5, 8)
        >>> layer.engine
        'native'
    """

    @property
    def engine(self) -> str:
        """`"native"`, or why stock Keras runs instead."""
        return engine_of(self)

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """The seam of Keras's `RNN.call`: `(last_output, outputs, states)`, outputs in the order of reading."""
        if self.engine != NATIVE:
            return super().inner_loop(sequences, initial_state, mask, training)
        mask = checked_mask(mask, sequences)
        outputs, (states,) = ops.recurrence(
            drop_inputs(self, sequences, training),
            mask,
            [direction_of(self, initial_state)],
            zero_output_for_mask=self.zero_output_for_mask,
            return_sequences=self.return_sequences,
        )
        if self.return_sequences:
            outputs = K.flip(outputs, axis=1) if self.go_backwards else outputs
            return outputs[:, -1], outputs, states
        last = last_output(self, states, mask)
        return last, last[:, None], states


def direction_of(layer: keras.layers.LSTM, initial_state: Any) -> tuple[Any, Any, Any, Any, bool]:
    """The arguments of one direction of `recurrence`."""
    cell = layer.cell
    bias = None if cell.bias is None else K.convert_to_tensor(cell.bias)
    kernels = K.convert_to_tensor(cell.kernel), K.convert_to_tensor(cell.recurrent_kernel)
    return (*kernels, bias, initial_state, layer.go_backwards)


def drop_inputs(layer: keras.layers.LSTM, sequences: Any, training: bool | None) -> Any:
    """`sequences` under the layer's dropout: one mask a sequence, the same for all its steps (Gal, Ghahramani 2016)."""
    if not (training and layer.cell.dropout):
        return sequences
    return sequences * layer.cell.get_dropout_mask(sequences[:, 0, :])[:, None, :]


def last_output(layer: keras.layers.LSTM, states: Any, mask: Any) -> Any:
    """The output of the step that was read last: its h, or zero where it is masked and masked outputs are zero."""
    if mask is None or not layer.zero_output_for_mask:
        return states[0]
    return K.where(mask[:, 0 if layer.go_backwards else -1, None], states[0], K.zeros_like(states[0]))


def checked_mask(mask: Any, sequences: Any) -> Any:
    """`mask` as `(batch, time)` of bool, or None.

    Raises:
        InputError: its shape is not that of the steps.
    """
    if isinstance(mask, (list, tuple)):
        mask = mask[0]
    if mask is None:
        return None
    shape = tuple(sequences.shape[:2])
    if tuple(mask.shape) not in (shape, (*shape, 1)):
        raise InputError(f"mask has shape {tuple(mask.shape)}; sequences {tuple(sequences.shape)} need {shape}.")
    return K.reshape(K.cast(mask, "bool"), shape)
