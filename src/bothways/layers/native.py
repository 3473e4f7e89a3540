"""From a Keras layer to the engine and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as K

from bothways.engine import Direction, Dropout
from bothways.engine.memory import Options, Reading
from bothways.errors import InputError
from bothways.layers import ops, seams
from bothways.layers.eligibility import NATIVE, ORACLE, begins_with_zeros, cell_kind, cell_of, cells_of, is_stack
from bothways.merge import check_merge_mode, merge

INT8 = "_bothways_int8"  # an attribute of the cells that `accelerate` lets run in int8


def runs_here(layer: Any) -> bool:
    """Whether a layer of bothways runs by itself, and not by stock Keras."""
    return layer.engine in (NATIVE, ORACLE)


def run_layer(layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool | None) -> Any:
    """What `inner_loop` of a layer returns, from the engine."""
    check_sequences([layer], sequences)
    sequences = cast(sequences, cells_of(layer)[0].compute_dtype)
    mask = checked_mask(mask, sequences)
    check_states([layer], initial_state, sequences)
    outputs, (by_cell,) = run_cells([layer], sequences, [initial_state], mask, training, layer.return_sequences)
    states = packed(layer, by_cell, initial_state)
    if layer.return_sequences:
        outputs = K.flip(outputs, axis=1) if layer.go_backwards else outputs
        if mask is not None and not layer.zero_output_for_mask and masked_start_is_zero(layer):
            read = K.flip(mask, axis=1) if layer.go_backwards else mask
            started = K.cumsum(K.cast(read, "int32"), axis=1) > 0
            outputs = K.where(started[..., None], outputs, K.zeros_like(outputs))
        return outputs[:, -1], outputs, states
    last = last_output(layer, by_cell[-1], mask)
    return last, last[:, None], states


def run_both(
    wrapper: Any, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None
) -> Any:
    """What `call` of an eligible `Bidirectional` returns, from the engine."""
    layers = wrapper.forward_layer, wrapper.backward_layer
    check_merge_mode(wrapper.merge_mode, *(layer.cell.output_size for layer in layers))
    check_sequences(layers, sequences)
    mask = checked_mask(mask, sequences)
    sequences = cast(sequences, layers[0].compute_dtype)
    call = mask, training, wrapper.return_sequences
    with seams.AutocastScope(layers[0].compute_dtype):  # as in their own calls: another would round what they carry
        initial_states = _initial_states(layers, sequences, initial_state)
        if any(map(is_stack, layers)):
            each = zip(layers, initial_states, strict=True)
            sides = [run_cells([layer], sequences, [states], *call) for layer, states in each]
            outputs = K.concatenate([outputs for outputs, _ in sides], axis=-1) if wrapper.return_sequences else None
            by_cell = [states for _, (states,) in sides]
        else:
            outputs, by_cell = run_cells(layers, sequences, initial_states, *call)
        by_cell = [[[cast(one, layers[0].compute_dtype) for one in of] for of in side] for side in by_cell]
        for layer, states in zip(layers, by_cell, strict=True):
            layer._maybe_reset_dropout_masks(layer.cell)
            if layer.stateful:
                for variable, value in zip(flat(layer.states), flat(states), strict=True):
                    variable.assign(value)
    merged = _merged(wrapper, outputs, by_cell, mask)
    if not wrapper.return_state:
        return merged
    merged = merged if isinstance(merged, tuple) else (merged,)
    returned = [packed(*each) for each in zip(layers, by_cell, initial_states, strict=True)]
    return merged + tuple(state for side in returned for state in side)


def _initial_states(layers: Sequence[Any], sequences: Any, initial_state: Any) -> list[Any]:
    if initial_state is None:
        if not layers[0].stateful:
            batch = K.shape(sequences)[0]
            return [None if begins_with_zeros(layer) else layer.get_initial_state(batch) for layer in layers]
        own = [flat(layer.states) for layer in layers]
        if not same_shape((batch := own[0][0].shape[0],), sequences.shape[:1]):
            raise InputError(
                f"sequences has shape {tuple(sequences.shape)}; the states of {layers[0].name}, which is stateful, are "
                f"for {batch} sequences. Give {batch} at a time, as by batch_size={batch} of fit and predict."
            )
        return own
    check_states(layers, initial_state, sequences)
    initial_state = keras.tree.map_structure(K.convert_to_tensor, list(initial_state))
    forward = len(layers[0].state_size)
    return [initial_state[:forward], initial_state[forward:]]


def _merged(wrapper: Any, outputs: Any, by_cell: Any, mask: Any) -> Any:
    """The merged outputs from the engine's outputs side by side."""
    layers = wrapper.forward_layer, wrapper.backward_layer
    if not wrapper.return_sequences:
        last = [last_output(layer, states[-1], mask) for layer, states in zip(layers, by_cell, strict=True)]
        both = K.concatenate(last, axis=-1)
    elif layers[0].go_backwards:
        # Keras turns the backward layer's outputs around whatever its direction: with a forward layer that
        # itself goes backwards, both stand in reversed order.
        both = K.flip(outputs, axis=1)
    else:
        both = outputs
    return merge(wrapper.merge_mode, K.cast(both, wrapper.compute_dtype), layers[0].cell.output_size)


def run_cells(
    layers: Any, sequences: Any, initial_states: Any, mask: Any, training: bool | None, return_sequences: bool
) -> tuple[Any, list[list[Any]]]:
    """One layer, or two without stacks in one call: the outputs, each at its own step, and each layer's states by cell.

    Keras takes all cells of a stack through a step and goes on to the next one. Here each reads all steps, and the next
    one what it puts out: the same numbers, for a masked step changes no state, and what it puts out nobody reads.
    """
    by_layer: list[list[Any]] = [[] for _ in layers]
    before = [_by_cell(layer, states) for layer, states in zip(layers, initial_states, strict=True)]
    outputs, count = sequences, len(cells_of(layers[0]))
    for number, cells in enumerate(zip(*map(cells_of, layers), strict=True)):
        last = number == count - 1
        directions = []
        for layer, cell, by_cell in zip(layers, cells, before, strict=True):
            states = by_cell[number]
            dropout = dropout_of(cell, outputs, states, training)
            directions.append(direction_of(cell, layer.go_backwards, states, dropout))
        zero_output = layers[0].zero_output_for_mask and last
        options = options_of(cells[0], zero_output, return_sequences or not last, training)
        outputs, after = ops.recurrence(cast(outputs, _dtype_of(cells[0].compute_dtype)), mask, directions, options)
        for of_layer, states in zip(by_layer, after, strict=True):
            of_layer.append(states)
    return outputs, by_layer


def _by_cell(layer: Any, states: Any) -> list[Any]:
    """The states of each cell of a layer, or None for zeros."""
    cells = cells_of(layer)
    if states is None:
        return [None] * len(cells)
    if layer.stateful:  # they stay as they are when the layer gets its new ones, which torch writes into the old ones
        states = [K.copy(K.convert_to_tensor(state)) for state in flat(states)]
    rest = iter(flat(states))
    return [[cast(next(rest), cell.compute_dtype) for _ in flat([cell.state_size])] for cell in cells]


def flat(states: Any) -> list[Any]:
    """States in one list; those of a stack stand in lists, one for each cell."""
    states = states if isinstance(states, (list, tuple)) else [states]
    return [one for of_cell in states for one in (of_cell if isinstance(of_cell, (list, tuple)) else (of_cell,))]


def packed(layer: Any, by_cell: list[list[Any]], initial_state: Any) -> list[Any]:
    """The states of the cells as Keras has them: those of a stack in lists, or as the initial ones came."""
    if not is_stack(layer):
        return by_cell[0]
    return by_cell if initial_state is None else list(keras.tree.pack_sequence_as(initial_state, flat(by_cell)))


def options_of(cell: Any, zero_output_for_mask: bool, return_sequences: bool, training: bool | None) -> Options:
    """How a cell runs; for bfloat16 and int8 the engine rounds factors itself, and is given float32 all the same."""
    if hasattr(cell, INT8):
        if training:
            refuse_training()
        return Options(zero_output_for_mask, return_sequences, "int8")
    precision = "bfloat16" if cell.compute_dtype == "bfloat16" else "float32"
    return Options(zero_output_for_mask, return_sequences, precision)


def refuse_training(*_: Any, **__: Any) -> None:
    """What training comes to where cells run in int8."""
    raise InputError(
        "int8 is for inference: it has no gradients. Call undo() of what accelerate returned, and train then."
    )


def dropout_of(cell: Any, sequences: Any, states: Sequence[Any] | None, training: bool | None) -> Dropout:
    """The factors that the cell has drawn for this call; it draws them here if it has not, as for `RNN.call`.

    One mask per sequence, the same for all steps (Gal, Ghahramani 2016). It draws whether training or not: seeds
    advance as in stock Keras.
    """
    if not (cell.dropout or cell.recurrent_dropout):
        return Dropout()
    of_h = None
    of_x = cell.get_dropout_mask(cast(sequences[:, 0, :], cell.compute_dtype))
    if cell.recurrent_dropout:
        h = K.zeros((K.shape(sequences)[0], cell.units), cell.compute_dtype) if states is None else states[0]
        of_h = cell.get_recurrent_dropout_mask(h)
    return Dropout(_factors(of_x), _factors(of_h)) if training else Dropout()


def _factors(masks: Any | None) -> Any | None:
    """Masks of Keras, a list of one per gate or one for all, as the engine takes them: `(gates or 1, batch, width)`."""
    if masks is None:
        return None
    return K.stack(masks) if isinstance(masks, list) else masks[None]


def cast(value: Any, dtype: str) -> Any:
    """`K.cast` of a tensor or variable, without what that costs where there is nothing to do."""
    value = value.value if isinstance(value, keras.Variable) else value
    return value if keras.backend.standardize_dtype(value.dtype) == dtype else K.cast(value, dtype)


def direction_of(cell: Any, reverse: bool, initial_states: Any, dropout: Dropout) -> Reading:
    """One reading by a cell, for `recurrence`."""
    dtype = _dtype_of(cell.compute_dtype)

    def floats(value: Any) -> Any:
        return cast(value, dtype)

    with seams.AutocastScope(None):  # else weights, and their gradients, are rounded to the dtype of the layer
        kernel, recurrent_kernel = floats(cell.kernel), floats(cell.recurrent_kernel)
        bias = None if cell.bias is None else floats(cell.bias)
    states = None if initial_states is None else tuple(map(floats, initial_states))
    factors = Dropout(*(None if each is None else floats(each) for each in dropout))
    return Direction(kernel, recurrent_kernel, bias, reverse, states, cell_of(cell)), factors


def _dtype_of(compute_dtype: str) -> str:
    """The dtype of all that `ops.recurrence` gets, for a layer that computes in `compute_dtype`."""
    return "float64" if compute_dtype == "float64" else "float32"


def check_sequences(layers: Sequence[Any], sequences: Any) -> None:
    """Refuse sequences that `layers` cannot read."""
    if (kind := type(sequences).__name__) in ("RaggedTensor", "SparseTensor"):
        raise InputError(f"sequences is a {kind}; give a dense tensor, (batch, time, features), and a mask.")
    shape = tuple(sequences.shape)
    if len(shape) < 3 or (len(shape) > 3 and cell_kind(cells_of(layers[0])[0])):
        raise InputError(f"sequences has shape {shape}; give (batch, time, features).")
    if shape[1] == 0:
        raise InputError(f"sequences has shape {shape}: no steps. Give at least one; a mask can leave it out.")
    _check_dtype("sequences", sequences)
    for layer in layers:
        first = cells_of(layer)[0]
        features = first.kernel.shape[0] if layer.built and cell_kind(first) else None
        if None not in (features, shape[2]) and features != shape[2]:
            raise InputError(
                f"sequences has shape {shape}: {shape[2]} features; {layer.name} was built for {features}. "
                f"Give (batch, time, {features}), or make a new layer."
            )


def check_states(layers: Sequence[Any], initial_state: Any, sequences: Any) -> None:
    """Refuse initial states that are not those of `layers`, one after the other."""
    initial_state = flat(initial_state)
    needed = [(sequences.shape[0], size) for layer in layers for size in flat(layer.state_size)]
    if other := [type(state).__name__ for state in initial_state if getattr(state, "shape", None) is None]:
        raise InputError(f"initial_state holds {other[0]}; this layer needs arrays or tensors of {needed}.")
    came = [tuple(state.shape) for state in initial_state]
    fit = [same_shape(a, b) for a, b in zip(came, needed, strict=False)]
    if len(came) != len(needed) or not all(fit):
        order = ": the states of the forward layer, then those of the backward layer" if len(layers) > 1 else ""
        raise InputError(f"initial_state has shapes {came}; this layer needs {needed}{order}.")
    for state in initial_state:
        _check_dtype("initial_state", state)


def _check_dtype(name: str, array: Any) -> None:
    dtype = keras.backend.standardize_dtype(array.dtype)
    if not any(kind in dtype for kind in ("float", "int", "bool")):
        raise InputError(f"{name} has dtype {dtype}; real numbers are needed. Cast it to float32.")


def last_output(layer: Any, states: Any, mask: Any) -> Any:
    """The output of the step that was read last: its h, or zero where it is masked and masked outputs are zero."""
    if mask is None:
        return states[0]
    if layer.zero_output_for_mask:
        counts = mask[:, 0 if layer.go_backwards else -1]
    elif masked_start_is_zero(layer):
        counts = K.any(mask, axis=1)
    else:
        return states[0]
    return K.where(counts[:, None], states[0], K.zeros_like(states[0]))


def masked_start_is_zero(layer: Any) -> bool:
    """What stock Keras puts out at masked steps before the first that counts, where masked outputs are not zero anyway:
    zero if it unrolls a layer, and on some backends; else the initial state.
    """
    return bool(layer.unroll or ops.MASKED_START_IS_ZERO)


def checked_mask(mask: Any, sequences: Any) -> Any:
    """`mask` as `(batch, time)` of bool, or None."""
    mask = one_mask(mask)
    if mask is None:
        return None
    shape = tuple(sequences.shape[:2])
    if not (same_shape(mask.shape, shape) or same_shape(mask.shape, (*shape, 1))):
        raise InputError(f"mask has shape {tuple(mask.shape)}; sequences {tuple(sequences.shape)} need {shape}.")
    _check_dtype("mask", mask)
    mask = K.cast(mask, "bool")
    return mask[..., 0] if len(mask.shape) == 3 else mask


def one_mask(mask: Any) -> Any:
    """The mask itself where Keras gives a list of masks, one for each input."""
    if isinstance(mask, (list, tuple)) and mask:
        mask = mask[0]
    if mask is not None and getattr(mask, "shape", None) is None:
        raise InputError(f"mask is of type {type(mask).__name__}; give an array of bool, (batch, time).")
    return mask


def same_shape(came: Sequence[int | None], needed: Sequence[int | None]) -> bool:
    """Whether two shapes agree, as far as they are known."""
    return len(came) == len(needed) and all(a == b or None in (a, b) for a, b in zip(came, needed, strict=True))
