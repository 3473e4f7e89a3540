"""The native engine on NumPy arrays: checks, memory, one call into C++."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bothways.engine import _native
from bothways.engine.arguments import (
    Array,
    Call,
    Direction,
    DirectionGradients,
    Gradients,
    Result,
    States,
    check_call,
    check_gradients,
)
from bothways.errors import InputError
from bothways.merge import merge, unmerge
from bothways.spec import cell_number

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector


@dataclass(eq=False)
class Tape:
    """A recorded run: its arguments, its outputs side by side, and the engine's notes.

    The backward pass writes over the notes, so a tape serves one `backprop`; `saved` is None afterwards.
    """

    call: Call
    both: Array
    saved: tuple[Array, ...] | None
    instruction_set: str


def run(
    x: Array,
    directions: Sequence[Direction],
    *,
    mask: Array | None = None,
    merge_mode: str | None = "concat",
    zero_output_for_mask: bool = False,
    cell: str = "lstm",
    record: bool = False,
) -> Result:
    """Run a recurrent layer over a batch of sequences, in one direction or in both.

    Args:
        x: `(batch, time, features)`. Anything numeric; computed in float32.
        directions: one `Direction`, or two, which run side by side.
        mask: `(batch, time)` of bool, True where a step counts. A masked step carries the state, and puts out
            the state that it carries.
        merge_mode: what becomes of two outputs: a key of `bothways.merge.MERGE_MODES`, or None for a pair.
        zero_output_for_mask: a masked step puts out zeros instead.
        cell: a key of `bothways.spec.CELLS`, for the directions that name none.
        record: keep what `backprop` needs, in `Result.tape`.

    Returns:
        Outputs `(batch, time, units)` after merging, each at its own step whatever the direction, and the final
        states of each direction.

    Raises:
        InputError: an argument has the wrong shape or dtype; the message names it.

    Example:
        >>> import numpy as np
        >>> from bothways import engine
        >>> random = np.random.default_rng(0)
        >>> def weights(features, units):
        ...     shapes = [(features, 4 * units), (units, 4 * units), (4 * units,)]
        ...     return [random.normal(size=shape) for shape in shapes]
        >>> both = [engine.Direction(*weights(3, 8)), engine.Direction(*weights(3, 8), reverse=True)]
        >>> result = engine.run(random.normal(size=(2, 5, 3)), both, merge_mode="sum")
        >>> result.outputs.shape, [h.shape for h, c in result.states]
        ((2, 5, 8), [(2, 8), (2, 8)])
    """
    call = check_call(
        x,
        directions,
        mask=mask,
        merge_mode=merge_mode,
        zero_output_for_mask=zero_output_for_mask,
        cell=cell,
        dtype=np.float32,
    )
    batch, time, features = call.x.shape
    both = np.empty((batch, time, sum(call.units)), np.float32)
    states = _empty_states(call)
    saved = None
    if record:
        saved = tuple(
            _aligned(_native.saved_floats(cell_number(spec.name), batch, time, features, units))
            for spec, units in zip(call.specs, call.units, strict=True)
        )
    _native.forward(
        call.x,
        call.mask,
        zero_output_for_mask,
        _direction_tuples(call),
        both,
        [(state, saved[i] if saved else None) for i, state in enumerate(states)],
    )
    merged = both if len(call.directions) == 1 else merge(merge_mode, both, call.units[0])
    return Result(merged, states, Tape(call, both, saved, _native.instruction_set()) if record else None)


def backprop(tape: Tape, d_outputs: Any, d_states: Any = None) -> Gradients:
    """Backpropagate through a recorded run.

    Args:
        tape: of a `run(..., record=True)`; it serves once.
        d_outputs: the gradient of `Result.outputs`, shaped as they are (a pair for `merge_mode=None`).
        d_states: the gradients of `Result.states`, one tuple (or None) a direction; None for zeros.

    Raises:
        InputError: a wrong shape or dtype, or a tape that has been used.

    Example:
        >>> import numpy as np
        >>> from bothways import engine
        >>> direction = engine.Direction(np.ones((1, 8)), np.ones((2, 8)), np.zeros(8))
        >>> result = engine.run(np.ones((1, 3, 1)), [direction], record=True)
        >>> engine.backprop(result.tape, np.ones_like(result.outputs)).x.shape
        (1, 3, 1)
    """
    if tape.saved is None:
        raise InputError(
            "This tape has been used: a recorded run can be backpropagated once. Run again with record=True."
        )
    if tape.instruction_set != _native.instruction_set():
        raise InputError(
            f"This tape was recorded with {tape.instruction_set} and {_native.instruction_set()} is now in use. "
            "Choose the instruction set before the run."
        )
    call = tape.call
    d_outputs, d_states = check_gradients(call, d_outputs, d_states, np.float32)
    if len(call.directions) == 2:
        d_outputs = unmerge(call.merge_mode, d_outputs, tape.both, call.units[0], np)
    d_x = np.empty_like(call.x)
    gradients = tuple(
        DirectionGradients(
            np.empty_like(direction.kernel),
            np.empty_like(direction.recurrent_kernel),
            np.empty(spec.weight_shapes(call.x.shape[2], direction.units)["bias"], np.float32),
            states,
        )
        for direction, spec, states in zip(call.directions, call.specs, _empty_states(call), strict=True)
    )
    _native.backward(
        call.x,
        call.mask,
        call.zero_output_for_mask,
        _direction_tuples(call),
        np.ascontiguousarray(d_outputs),
        d_x,
        [
            (saved, d_state or (), g.kernel, g.recurrent_kernel, g.bias, g.initial_state)
            for saved, d_state, g in zip(tape.saved, d_states, gradients, strict=True)
        ],
    )
    tape.saved = None
    return Gradients(d_x, gradients)


def _direction_tuples(call: Call) -> list[tuple[Any, ...]]:
    return [
        (cell_number(spec.name), d.kernel, d.recurrent_kernel, d.bias, d.reverse, d.initial_state or ())
        for spec, d in zip(call.specs, call.directions, strict=True)
    ]


def _empty_states(call: Call) -> tuple[States, ...]:
    return tuple(
        tuple(np.empty(shape, np.float32) for _ in spec.states)
        for spec, shape in zip(call.specs, call.state_shapes, strict=True)
    )


def _aligned(floats: int) -> Array:
    spare = _ALIGNMENT // 4
    memory = np.empty(floats + spare, np.float32)
    start = -memory.ctypes.data % _ALIGNMENT // 4
    return memory[start : start + floats]
