"""`keras.layers.Bidirectional` on the engine: both directions in one call, side by side."""

from __future__ import annotations

from typing import Any

import keras

from bothways.layers.eligibility import differs_from_stock
from bothways.layers.native import run_both, runs_here
from bothways.layers.recurrent import OnEngine
from bothways.merge import check_merge_mode


@keras.saving.register_keras_serializable(package="bothways")
class Bidirectional(OnEngine, keras.layers.Bidirectional):
    """Reads a sequence both ways: `keras.layers.Bidirectional` with the same arguments, weights and numbers.

    The wrapped layers may be those of `bothways.layers` or of Keras; the engine runs both sides at once. What it
    does not do (see `engine`) stock Keras does, with the same result.

    Args:
        layer: the recurrent layer that reads forward.
        merge_mode: "concat", "sum", "mul", "ave", or None for both outputs.
        weights: Keras 3 makes no use of them, nor does this; call `set_weights` of the built layer.
        backward_layer: the layer that reads backward, with `go_backwards=True`; a twin of `layer` if not given.
        **kwargs: those of any Keras layer.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: the states of the forward layer, then of the backward one, each `(batch, units)`.
        mask: `(batch, time)` of bool: masked steps carry the state, and put out zeros if sequences are returned.
        training: whether dropout applies.

    Returns:
        What the wrapped layers return, merged; with `return_state` followed by the states of both.

    Example:
        >>> import numpy as np
        >>> from bothways.layers import LSTM
        >>> layer = Bidirectional(LSTM(8, return_sequences=True), merge_mode="concat")
        >>> layer(np.zeros((2, 5, 3), "float32")).shape
        (2, 5, 16)
        >>> layer.engine
        'native'
    """

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """As in Keras, and refuse widths that the merge mode cannot merge.

        Raises:
            InputError: `merge_mode` needs equal widths, and they are not.
        """
        forward, backward = self._shapes(sequences_shape)
        check_merge_mode(self.merge_mode, forward[0][-1], backward[0][-1])
        super().build(sequences_shape, initial_state_shape)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """As in Keras, which takes the backward layer to be as wide as the forward one; it may not be."""
        (forward, *forward_states), (backward, *backward_states) = self._shapes(sequences_shape)
        if self.merge_mode == "concat":
            forward = (*forward[:-1], forward[-1] + backward[-1])
        merged = (forward, backward) if self.merge_mode is None else (forward,)
        shapes = (*merged, *forward_states, *backward_states)
        return shapes if len(shapes) > 1 else forward

    def compute_mask(self, _: Any, mask: Any) -> Any:
        """The mask of the steps for whatever has steps, and None for the other outputs."""
        of_steps = keras.tree.flatten(mask)[0] if self.return_sequences else None
        masks = [of_steps] * (2 if self.merge_mode is None else 1)
        if self.return_state:
            masks += [None] * (len(self.forward_layer.state_size) + len(self.backward_layer.state_size))
        return tuple(masks) if len(masks) > 1 else of_steps

    def _shapes(self, sequences_shape: Any) -> list[tuple[Any, ...]]:
        """For each side the shapes of its outputs and of the states that it returns."""
        sequences_shape = tuple(sequences_shape)  # a list where Keras builds a layer of a file
        shapes = [layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)]
        return [tuple(each) if self.return_state else (each,) for each in shapes]

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        """Keras's `Bidirectional.call`, with both layers in one call of the engine.

        Raises:
            InputError: `sequences`, `initial_state` or `mask` has a wrong shape or dtype.
        """
        if not runs_here(self) or differs_from_stock(self, mask):  # its layers check their input
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        return run_both(self, sequences, initial_state, mask, training)
