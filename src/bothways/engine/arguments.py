"""What goes into the engine and what comes out, and the checks at its border.

Axes are `batch, time, features, units`. One call reads the same sequences in one or two directions;
whatever the direction, outputs stand at the step that they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.merge import check_merge_mode
from bothways.spec import CellSpec, cell_spec

Array = npt.NDArray[Any]
States = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Direction:
    """One reading of the sequences: its weights, its sense, and the state that it starts from.

    Attributes:
        kernel: `(features, gates * units)`, gates in the order of `bothways.spec`, which is Keras's.
        recurrent_kernel: `(units, gates * units)`.
        bias: `(gates * units,)`, for a GRU `(2, gates * units)`; None for no bias.
        reverse: read from the last step to the first.
        initial_state: one `(batch, units)` array a state of the cell, for an LSTM `(h, c)`; None for zeros.
        cell: a key of `bothways.spec.CELLS`, or None for the cell of the call.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None
    reverse: bool = False
    initial_state: States | None = None
    cell: str | None = None

    @property
    def units(self) -> int:
        """The width of the state."""
        return int(self.recurrent_kernel.shape[0])


class Result(NamedTuple):
    """What a run gives.

    Attributes:
        outputs: `(batch, time, units)` after merging; a pair of such arrays for `merge_mode=None`.
        states: for each direction its final states, each `(batch, units)`.
        tape: what `backprop` needs, or None unless the run was recorded.
    """

    outputs: Array | tuple[Array, Array]
    states: tuple[States, ...]
    tape: Any = None


class DirectionGradients(NamedTuple):
    """Gradients of one direction, shaped as the fields of `Direction` of the same names.

    `bias` is given also for a direction without one; `initial_state` also where it was zeros.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    initial_state: States


class Gradients(NamedTuple):
    """What `backprop` gives: `x` shaped as the input, and one entry a direction."""

    x: Array
    directions: tuple[DirectionGradients, ...]


@dataclass(frozen=True, eq=False)
class Call:
    """The checked arguments of a run, every array contiguous and of one dtype."""

    specs: tuple[CellSpec, ...]
    x: Array
    directions: tuple[Direction, ...]
    mask: npt.NDArray[np.bool_] | None
    merge_mode: str | None
    zero_output_for_mask: bool

    @property
    def units(self) -> tuple[int, ...]:
        """The units of each direction; their outputs stand side by side in this order."""
        return tuple(direction.units for direction in self.directions)

    @property
    def state_shapes(self) -> tuple[tuple[int, int], ...]:
        """The shape of a state of each direction."""
        return tuple((self.x.shape[0], units) for units in self.units)


def check_call(
    x: Array,
    directions: Sequence[Direction],
    *,
    mask: Array | None,
    merge_mode: str | None,
    zero_output_for_mask: bool,
    cell: str,
    dtype: type[np.floating[Any]],
) -> Call:
    """Check every argument of a run once, at the border.

    Raises:
        InputError: names the argument, what came and what is needed.
    """
    x = _array("x", x, dtype, ndim=3, meaning="(batch, time, features)")
    if len(directions) not in (1, 2):
        raise InputError(f"directions has {len(directions)} entries; give one, or two to read both ways.")
    specs = tuple(cell_spec(direction.cell or cell) for direction in directions)
    checked = tuple(
        _check_direction(f"directions[{i}]", direction, specs[i], x.shape[0], x.shape[2], dtype)
        for i, direction in enumerate(directions)
    )
    if len(checked) == 2:
        check_merge_mode(merge_mode, checked[0].units, checked[1].units)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype != np.bool_:
            raise InputError(f"mask has dtype {mask.dtype}; it must be bool: True where a step counts.")
        if mask.shape != x.shape[:2]:
            raise InputError(f"mask has shape {mask.shape}; x {x.shape} needs (batch, time) = {x.shape[:2]}.")
        mask = np.ascontiguousarray(mask)
    return Call(specs, x, checked, mask, merge_mode, zero_output_for_mask)


def check_gradients(call: Call, d_outputs: Any, d_states: Any, dtype: type[np.floating[Any]]) -> tuple[Any, Any]:
    """Check the gradients that come into `backprop`; missing ones of states stay None.

    Raises:
        InputError: names the argument, what came and what is needed.
    """
    batch, time = call.x.shape[:2]
    if len(call.directions) == 2 and call.merge_mode is None:
        if not isinstance(d_outputs, tuple) or len(d_outputs) != 2:
            raise InputError("d_outputs must be a pair (forward, backward), as the outputs of merge_mode=None are.")
        d_outputs = tuple(
            _array(f"d_outputs[{i}]", d, dtype, shape=(batch, time, units))
            for i, (d, units) in enumerate(zip(d_outputs, call.units, strict=True))
        )
    else:
        width = sum(call.units) if call.merge_mode == "concat" else call.units[0]
        d_outputs = _array("d_outputs", d_outputs, dtype, shape=(batch, time, width))
    if d_states is None:
        return d_outputs, tuple(None for _ in call.directions)
    if len(d_states) != len(call.directions):
        raise InputError(f"d_states has {len(d_states)} entries; there are {len(call.directions)} directions.")
    return d_outputs, tuple(
        None if d is None else _check_states(f"d_states[{i}]", d, spec, shape, dtype)
        for i, (d, spec, shape) in enumerate(zip(d_states, call.specs, call.state_shapes, strict=True))
    )


def _check_direction(
    name: str, direction: Direction, spec: CellSpec, batch: int, features: int, dtype: type[np.floating[Any]]
) -> Direction:
    recurrent = _array(f"{name}.recurrent_kernel", direction.recurrent_kernel, dtype, ndim=2)
    units = recurrent.shape[0]
    if units == 0:
        raise InputError(f"{name}.recurrent_kernel has shape {recurrent.shape}; a cell needs at least one unit.")
    shapes = spec.weight_shapes(features, units)
    _array(f"{name}.recurrent_kernel", recurrent, dtype, shape=shapes["recurrent_kernel"])
    kernel = _array(f"{name}.kernel", direction.kernel, dtype, shape=shapes["kernel"])
    bias = direction.bias
    if bias is not None:
        bias = _array(f"{name}.bias", bias, dtype, shape=shapes["bias"])
    states = direction.initial_state
    if states is not None:
        states = _check_states(f"{name}.initial_state", states, spec, (batch, units), dtype)
    return replace(direction, kernel=kernel, recurrent_kernel=recurrent, bias=bias, initial_state=states)


def _check_states(
    name: str, states: Any, spec: CellSpec, shape: tuple[int, int], dtype: type[np.floating[Any]]
) -> States:
    if not isinstance(states, (tuple, list)) or len(states) != len(spec.states):
        came = f"{len(states)} arrays" if isinstance(states, (tuple, list)) else type(states).__name__
        raise InputError(
            f"{name} has {came}; {spec.name} needs {len(spec.states)} ({', '.join(spec.states)}), each {shape}."
        )
    return tuple(
        _array(f"{name}[{i}] ({state})", array, dtype, shape=shape)
        for i, (array, state) in enumerate(zip(states, spec.states, strict=True))
    )


def _array(
    name: str,
    value: Any,
    dtype: type[np.floating[Any]],
    *,
    ndim: int | None = None,
    shape: tuple[int, ...] | None = None,
    meaning: str = "",
) -> Array:
    """`value` as a contiguous array of `dtype`; integers and other floats are converted, nothing else is."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} has dtype {array.dtype}; it must be numbers ({np.dtype(dtype)}).")
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}; it needs {ndim} axes {meaning}".rstrip() + ".")
    if shape is not None and array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}; it must be {shape}.")
    return np.ascontiguousarray(array, dtype=dtype)
