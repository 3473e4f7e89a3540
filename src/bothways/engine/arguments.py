"""What goes into the engine and what comes out, and the checks at its border.

Axes are `batch, time, features, units`. One call reads the same sequences in one or two directions;
whatever the direction, outputs stand at the step that they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.merge import MERGE_MODES, check_merge_mode, merge
from bothways.spec import CellSpec, cell_spec

Array = npt.NDArray[Any]
States = tuple[Array, ...]

ALIGNMENT = 64  # bytes: a cache line, and the widest vector; and what Eigen wants

PRECISIONS: Mapping[str, int] = {"float32": 0, "bfloat16": 1, "int8": 2}
"""What products can take their factors in, and the engine's number for it."""


@dataclass(frozen=True, eq=False)
class Direction:
    """One reading of the sequences: its weights, its sense, and the state that it starts from.

    Attributes:
        kernel: `(features, gates * units)`, gates in the order of `bothways.spec`, which is Keras's.
        recurrent_kernel: `(units, gates * units)`.
        bias: `(gates * units,)`, for a GRU `(2, gates * units)`; None for no bias.
        reverse: read from the last step to the first.
        initial_state: one `(batch, units)` array per state of the cell, for an LSTM `(h, c)`; None for zeros. A run
            that brings states of its own starts from those.
        cell: a cell of `bothways.spec`, or None for the cell of the call.
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


class Dropout(NamedTuple):
    """By what the input and the state of one direction are multiplied before the products of each gate.

    The same factors serve all steps of a row. They are numbers, not rates: zero drops a value.

    Attributes:
        x: `(gates, batch, features)`, gates in the order of `bothways.spec`; `(1, batch, features)` for the same
            factors for all gates; None to leave x as it is.
        h: `(gates, batch, units)`, or None.
    """

    x: Array | None = None
    h: Array | None = None


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
    """What `backprop` gives: `x` shaped as the input, and one entry per direction."""

    x: Array
    directions: tuple[DirectionGradients, ...]


class Setup(NamedTuple):
    """What is known of a layer before it is given any input: its checked weights, and how they are used.

    Arrays that came contiguous and of `dtype` are not copies. The initial states of the directions are as they came,
    since their shape depends on the batch.
    """

    specs: tuple[CellSpec, ...]
    directions: tuple[Direction, ...]
    merge_mode: str | None
    zero_output_for_mask: bool
    dtype: np.dtype[Any]
    features: int
    units: tuple[int, ...]
    side_by_side: bool  # merging leaves the outputs of the directions as the engine writes them

    def merged(self, both: Array) -> Any:
        """`Result.outputs`, from the outputs side by side."""
        return both if self.side_by_side else merge(self.merge_mode, both, self.units[0])

    def unmerged(self, d_outputs: Any, both: Array) -> Array:
        """The gradient of `both`, contiguous, from that of `merged(both)`."""
        if self.side_by_side:
            return np.asarray(d_outputs)
        function = MERGE_MODES[self.merge_mode].backprop if self.merge_mode else None
        forward, backward = both[..., : self.units[0]], both[..., self.units[0] :]
        pair = d_outputs if function is None else function(d_outputs, forward, backward)
        return np.concatenate(pair, axis=-1)


class Call(NamedTuple):
    """The checked arguments of a run, every array contiguous and of the dtype of its setup."""

    setup: Setup
    x: Array
    mask: npt.NDArray[np.bool_] | None
    initial_states: tuple[States | None, ...]
    dropout: tuple[Dropout | None, ...] | None = None


def check_setup(
    directions: Sequence[Direction], cell: str, merge_mode: str | None, zero_output_for_mask: bool, dtype: npt.DTypeLike
) -> Setup:
    """Check the weights of a layer and how they are to be used."""
    dtype = np.dtype(dtype)
    if not isinstance(directions, (list, tuple)) or not all(isinstance(each, Direction) for each in directions):
        came = "a Direction" if isinstance(directions, Direction) else f"of type {type(directions).__name__}"
        raise InputError(f"directions is {came}; give a list of one Direction, or of two to read both ways.")
    if len(directions) not in (1, 2):
        raise InputError(f"directions has {len(directions)} entries; give one, or two to read both ways.")
    specs = tuple(cell_spec(cell if direction.cell is None else direction.cell) for direction in directions)
    checked: list[Direction] = []
    for i, (direction, spec) in enumerate(zip(directions, specs, strict=True)):
        features = checked[0].kernel.shape[0] if checked else None
        checked.append(_check_direction(f"directions[{i}]", direction, spec, features, dtype))
    units = tuple(direction.units for direction in checked)
    if len(units) == 2:
        check_merge_mode(merge_mode, *units)
    return Setup(
        specs,
        tuple(checked),
        merge_mode,
        check_flag("zero_output_for_mask", zero_output_for_mask),
        dtype,
        features=checked[0].kernel.shape[0],
        units=units,
        side_by_side=len(units) == 1 or merge_mode == "concat",
    )


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} is {_shown(value)}; it must be True or False.")
    return bool(value)


def check_call(setup: Setup, x: Array, mask: Array | None, initial_states: Any = None, dropout: Any = None) -> Call:
    """Check the input of a run."""
    x = _array("x", x, setup.dtype, ndim=3, meaning="(batch, time, features)")
    if x.shape[2] != setup.features:
        shape = setup.directions[0].kernel.shape
        if setup.features != shape[0]:
            raise InputError(f"x has shape {x.shape}; with its bins this layer reads {setup.features} inputs a step.")
        raise InputError(
            f"x has shape {x.shape}, and directions[0].kernel has shape {shape}; it must be {(x.shape[2], shape[1])}."
        )
    if mask is not None:
        mask = _check_mask(mask, x.shape)
    states = _check_initial_states(setup, initial_states, x.shape[0])
    return Call(setup, x, mask, states, None if dropout is None else _check_dropout(setup, dropout, x.shape[0]))


def check_gradients(call: Call, d_outputs: Any, d_states: Any) -> tuple[Any, tuple[States | None, ...]]:
    """Check the gradients that come into `backprop`; missing ones of states are None."""
    setup, (batch, time, _) = call.setup, call.x.shape
    if setup.side_by_side or setup.merge_mode is not None:
        width = sum(setup.units) if setup.side_by_side else setup.units[0]
        d_outputs = _array("d_outputs", d_outputs, setup.dtype, shape=(batch, time, width))
    elif not isinstance(d_outputs, tuple) or len(d_outputs) != 2:
        raise InputError("d_outputs must be a pair (forward, backward), as the outputs of merge_mode=None are.")
    else:
        d_outputs = tuple(
            _array(f"d_outputs[{i}]", d, setup.dtype, shape=(batch, time, units))
            for i, (d, units) in enumerate(zip(d_outputs, setup.units, strict=True))
        )
    if d_states is None:
        return d_outputs, (None,) * len(setup.units)
    names = [f"d_states[{i}]" for i in range(len(setup.directions))]
    return d_outputs, _check_states_of_all(names, _one_a_direction("d_states", d_states, setup), setup, batch)


def _check_direction(
    name: str, direction: Direction, spec: CellSpec, features: int | None, dtype: np.dtype[Any]
) -> Direction:
    """The direction with checked weights; `features` is how many the other one reads, if there is one."""
    recurrent = _array(f"{name}.recurrent_kernel", direction.recurrent_kernel, dtype, ndim=2)
    units = recurrent.shape[0]
    if units == 0:
        raise InputError(f"{name}.recurrent_kernel has shape {recurrent.shape}; a cell needs at least one unit.")
    kernel = _array(f"{name}.kernel", direction.kernel, dtype, ndim=2)
    shapes = spec.weight_shapes(kernel.shape[0] if features is None else features, units)
    _array(f"{name}.recurrent_kernel", recurrent, dtype, shape=shapes["recurrent_kernel"])
    _array(f"{name}.kernel", kernel, dtype, shape=shapes["kernel"])
    bias = direction.bias
    if bias is not None:
        bias = _array(f"{name}.bias", bias, dtype, shape=shapes["bias"])
    reverse = check_flag(f"{name}.reverse", direction.reverse)
    return Direction(kernel, recurrent, bias, reverse, direction.initial_state, spec.name)


def _check_mask(mask: Array, x_shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    mask = _as_array("mask", mask, "bool")
    if mask.dtype != np.bool_:
        raise InputError(f"mask has dtype {mask.dtype}; it must be bool: True where a step counts.")
    if mask.shape != x_shape[:2]:
        raise InputError(f"mask has shape {mask.shape}; x {x_shape} needs (batch, time) = {x_shape[:2]}.")
    return np.ascontiguousarray(mask)


def _check_initial_states(setup: Setup, given: Any, batch: int) -> tuple[States | None, ...]:
    """Those that the run brings; where it brings none, those of the directions."""
    brought = _one_a_direction("initial_states", given, setup)
    names = [f"initial_states[{i}]" for i in range(len(brought))]
    for i, direction in enumerate(setup.directions):
        if brought[i] is None:
            names[i], brought[i] = f"directions[{i}].initial_state", direction.initial_state
    return _check_states_of_all(names, brought, setup, batch)


def _check_dropout(setup: Setup, dropout: Any, batch: int) -> tuple[Dropout | None, ...]:
    checked: list[Dropout | None] = []
    given = _one_a_direction("dropout", dropout, setup)
    for i, (each, spec, units) in enumerate(zip(given, setup.specs, setup.units, strict=True)):
        if each is None:
            checked.append(None)
            continue
        if not isinstance(each, (tuple, list)) or len(each) != 2:
            raise InputError(f"dropout[{i}] must be a pair (x, h), as `Dropout` is; it is {type(each).__name__}.")
        shared = _as_array(f"dropout[{i}].x", each[0], "numbers").shape[:1] == (1,)
        shapes = (1 if shared else len(spec.gates), batch, setup.features), (len(spec.gates), batch, units)
        factors = [
            None if array is None else _array(f"dropout[{i}].{name}", array, setup.dtype, shape=shape)
            for name, array, shape in zip(Dropout._fields, each, shapes, strict=True)
        ]
        checked.append(Dropout(*factors))
    return tuple(checked)


def _one_a_direction(name: str, values: Any, setup: Setup) -> list[Any]:
    count = len(setup.directions)
    if values is None:
        return [None] * count
    if not isinstance(values, (tuple, list)):
        raise InputError(f"{name} is of type {type(values).__name__}; give a list with an entry for each direction.")
    if len(values) != count:
        raise InputError(f"{name} has {len(values)} entries; there are {count} directions.")
    return list(values)


def _check_states_of_all(names: list[str], states: list[Any], setup: Setup, batch: int) -> tuple[States | None, ...]:
    return tuple(
        None if each is None else _check_states(name, each, spec, (batch, units), setup.dtype)
        for name, each, spec, units in zip(names, states, setup.specs, setup.units, strict=True)
    )


def _check_states(name: str, states: Any, spec: CellSpec, shape: tuple[int, int], dtype: np.dtype[Any]) -> States:
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
    dtype: np.dtype[Any],
    *,
    ndim: int | None = None,
    shape: tuple[int, ...] | None = None,
    meaning: str = "",
) -> Array:
    """`value` as a contiguous, aligned array of `dtype`: itself if it is one, else a copy."""
    plain = type(value) is np.ndarray and value.dtype is dtype and value.flags.carray
    array: Array = value if plain else converted(name, value, dtype)
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}; it needs {ndim} axes {meaning}".rstrip() + ".")
    if shape is not None and array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}; it must be {shape}.")
    return array


def converted(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Integers, bools and other floats are converted, nothing else is."""
    array = _as_array(name, value, f"numbers ({dtype})")
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} has dtype {array.dtype}; it must be numbers ({dtype}).")
    return np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])


def aligned(shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """Fresh memory from NumPy, which asks for huge pages where there is much of it."""
    count = math.prod(shape)
    memory = np.empty(count + ALIGNMENT // dtype.itemsize, dtype)
    start = -memory.ctypes.data % ALIGNMENT // dtype.itemsize
    return memory[start : start + count].reshape(shape)


def _as_array(name: str, value: Any, of: str) -> Array:
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} has rows of unequal length; it must be an array of {of}.") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"of type {type(value).__name__}"
