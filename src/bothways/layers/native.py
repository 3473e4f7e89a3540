"""What the recurrent layers share: from a Keras layer to the engine and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops as K

from bothways.errors import InputError
from bothways.layers import ops
from bothways.layers.eligibility import NATIVE, cell_of, engine_of


class JitAsTheEngineCan:
    """Lets XLA compile a layer only where the engine can take part in that, or does not run."""

    @property
    def supports_jit(self) -> bool:
        """Whether Keras may compile a model with this layer by `jit_compile`."""
        return self._supports_jit and (ops.SUPPORTS_JIT or self.engine != NATIVE)  # type: ignore[attr-defined]

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:  # the constructor of Keras sets it
        self._supports_jit = value


class OnEngine(JitAsTheEngineCan):
    """What makes a Keras recurrent layer run on the engine; stands before the Keras class in the list of bases."""

    @property
    def engine(self) -> str:
        """`"native"`, or why stock Keras runs instead."""
        return engine_of(self)

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """The seam of Keras's `RNN.call`: `(last_output, outputs, states)`, outputs in the order of reading."""
        if self.engine != NATIVE:
            return super().inner_loop(sequences, initial_state, mask, training)  # type: ignore[misc]
        return run_layer(self, sequences, initial_state, mask, training)


def run_layer(layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool | None) -> Any:
    """What `inner_loop` of a layer returns, from the engine."""
    sequences = K.cast(sequences, layer.cell.compute_dtype)
    mask = checked_mask(mask, sequences)
    check_states([layer], initial_state, sequences)
    outputs, (states,) = ops.recurrence(
        drop_inputs(layer, sequences, training),
        mask,
        [direction_of(layer, initial_state)],
        zero_output_for_mask=layer.zero_output_for_mask,
        return_sequences=layer.return_sequences,
    )
    if layer.return_sequences:
        outputs = K.flip(outputs, axis=1) if layer.go_backwards else outputs
        if mask is not None and not layer.zero_output_for_mask and ops.MASKED_START_IS_ZERO:
            read = K.flip(mask, axis=1) if layer.go_backwards else mask
            started = K.cumsum(K.cast(read, "int32"), axis=1) > 0
            outputs = K.where(started[..., None], outputs, K.zeros_like(outputs))
        return outputs[:, -1], outputs, states
    last = last_output(layer, states, mask)
    return last, last[:, None], states


def direction_of(layer: Any, initial_states: Any) -> ops.Direction:
    """The layer's direction, for `recurrence`."""
    cell = layer.cell
    return ops.Direction(
        cell_of(layer),
        K.convert_to_tensor(cell.kernel),
        K.convert_to_tensor(cell.recurrent_kernel),
        None if cell.bias is None else K.convert_to_tensor(cell.bias),
        initial_states,
        layer.go_backwards,
    )


def check_states(layers: Sequence[Any], initial_state: Sequence[Any], sequences: Any) -> None:
    """Refuse initial states that are not those of `layers`, one after the other.

    Raises:
        InputError: a wrong number of states, or a wrong shape.
    """
    needed = [(sequences.shape[0], layer.units) for layer in layers for _ in layer.state_size]
    came = [tuple(state.shape) for state in initial_state]
    if len(came) != len(needed) or not all(map(same_shape, came, needed)):
        order = ": the states of the forward layer, then those of the backward layer" if len(layers) > 1 else ""
        raise InputError(f"initial_state has shapes {came}; this layer needs {needed}{order}.")


def drop_inputs(layer: Any, sequences: Any, training: bool | None) -> Any:
    """`sequences` under the layer's dropout: one mask a sequence, the same for all its steps (Gal, Ghahramani 2016)."""
    if not (training and layer.cell.dropout):
        return sequences
    return sequences * layer.cell.get_dropout_mask(sequences[:, 0, :])[:, None, :]


def last_output(layer: Any, states: Any, mask: Any) -> Any:
    """The output of the step that was read last: its h, or zero where it is masked and masked outputs are zero."""
    if mask is None:
        return states[0]
    if layer.zero_output_for_mask:
        counts = mask[:, 0 if layer.go_backwards else -1]
    elif ops.MASKED_START_IS_ZERO:
        counts = K.any(mask, axis=1)
    else:
        return states[0]
    return K.where(counts[:, None], states[0], K.zeros_like(states[0]))


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
    if not (same_shape(mask.shape, shape) or same_shape(mask.shape, (*shape, 1))):
        raise InputError(f"mask has shape {tuple(mask.shape)}; sequences {tuple(sequences.shape)} need {shape}.")
    mask = K.cast(mask, "bool")
    return mask[..., 0] if len(mask.shape) == 3 else mask


def same_shape(came: Sequence[int | None], needed: Sequence[int | None]) -> bool:
    """Whether two shapes agree, as far as they are known."""
    return len(came) == len(needed) and all(a == b or None in (a, b) for a, b in zip(came, needed, strict=True))
