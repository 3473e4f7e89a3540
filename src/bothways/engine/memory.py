"""The engine on tensors of other libraries: the plan of a call, and for those that hand over plain memory, such as
NumPy, TensorFlow and torch, the call itself.

A call is a `Plan` and two flat lists: arrays, which may get gradients, for each direction `kernel, recurrent_kernel,
bias, *initial_states`; and constants, which get none, the mask and then for each direction the factors of dropout of x
and of h, as far as there are any. Its results are flat lists too, so that they pass through whatever a backend makes
of functions. All are contiguous NumPy arrays, or views of them on memory of the backend. If they are of float32, the
engine runs; if they are of float64, the oracle does, which is slow and exact enough to check gradients.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bothways.engine import _native, reference
from bothways.engine.arguments import PRECISIONS, Array, Direction, Dropout, Result
from bothways.errors import InputError
from bothways.spec import cell_number, cell_spec

Arrays = Sequence[Array]
Reading = tuple[Any, Dropout]
"""A `Direction` that names its cell, and its dropout, which gets no gradient; in tensors of the backend."""

Results = tuple[Any, list[list[Any]]]
"""The outputs, or None, and the states by direction."""


class Options(NamedTuple):
    """How a recurrence runs.

    Attributes:
        zero_output_for_mask: a masked step puts out zeros, not the state that it carries.
        return_sequences: whether the outputs of the steps are wanted.
        precision: what products take their factors in, a key of `PRECISIONS`.
        time_major: whether time comes first, then the batch, in x, in the outputs and in their gradients.
    """

    zero_output_for_mask: bool
    return_sequences: bool
    precision: str
    time_major: bool = False


class Plan(NamedTuple):
    """What is known of a call before there are any numbers.

    Attributes:
        cells: for each direction a cell of `bothways.spec`.
        reverse: for each direction whether it reads from the last step to the first.
        dropouts: for each direction for how many gates there are factors of dropout of x, and of h: 1 if they are the
            same for all gates, 0 for none.
        masked: whether there is a mask.

    The others are those of `Options`.
    """

    cells: tuple[str, ...]
    reverse: tuple[bool, ...]
    dropouts: tuple[tuple[int, int], ...]
    masked: bool
    zero_output_for_mask: bool
    return_sequences: bool
    precision: str
    time_major: bool

    def groups(self, arrays: Iterable[Any], others: int = 3) -> Iterator[tuple[Any, ...]]:
        """`arrays` by direction, each with its states after `others`: kernel, recurrent kernel and bias."""
        arrays = iter(arrays)
        for cell in self.cells:
            yield tuple(itertools.islice(arrays, others + len(cell_spec(cell).states)))

    def constants(self, constants: Iterable[Any]) -> tuple[Any, list[Any]]:
        """The mask, or None, and for each direction a pair of factors of dropout, or None."""
        rest = iter(constants)
        mask = next(rest) if self.masked else None
        factors = [tuple(next(rest) if there else None for there in pair) for pair in self.dropouts]
        return mask, [pair if any(there) else None for pair, there in zip(factors, self.dropouts, strict=True)]

    def units(self, arrays: Iterable[Any]) -> list[int]:
        """The width of the state of each direction; arrays may have more axes before theirs."""
        return [recurrent_kernel.shape[-2] for _, recurrent_kernel, *_ in self.groups(arrays)]

    def forward_shapes(
        self, x: Sequence[Any], arrays: Iterable[Any], residuals: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """The shapes of the results of `forward`, for `x` of this shape and residuals of these sizes.

        Axes may be of any kind that can be added.
        """
        (*steps, _), units = x, self.units(arrays)
        batch = steps[self.time_major]
        outputs = [(*steps, sum(units))] if self.return_sequences else []
        states = [(batch, width) for cell, width in zip(self.cells, units, strict=True) for _ in cell_spec(cell).states]
        return [*outputs, *states, *((floats,) for floats in residuals)]

    def residual_floats(self, x: Sequence[int], arrays: Iterable[Any]) -> list[int]:
        """For each direction how many floats the backward pass of the engine needs of the forward pass."""
        batch, time, features = x[self.time_major], x[not self.time_major], x[2]
        if self.precision == "int8":
            raise InputError("int8 is for inference: it has no gradients. Train in float32 or bfloat16.")
        precision = PRECISIONS[self.precision]
        return [
            _native.residual_floats(cell_number(cell), batch, time, features, width, precision, *dropouts)
            for cell, width, dropouts in zip(self.cells, self.units(arrays), self.dropouts, strict=True)
        ]

    def batch_first(self, steps: Array) -> Array:
        """A view of x, outputs or their gradients with the batch first."""
        return steps.swapaxes(0, 1) if self.time_major else steps

    def split(self, results: Sequence[Any]) -> Results:
        """The results of `forward`, without residuals at the end."""
        rest = iter(results)
        outputs = next(rest) if self.return_sequences else None
        return outputs, [list(states) for states in self.groups(rest, others=0)]


def plan_of(
    x: Any, mask: Any, directions: Sequence[Reading], options: Options, zeros: Callable[[Any], Any]
) -> tuple[Plan, list[Any], list[Any]]:
    """The plan of a call, its constants and its arrays; `zeros(shape)` makes biases and states that are not given."""
    arrays: list[Any] = []
    for direction, _ in directions:
        spec, units = cell_spec(direction.cell), direction.recurrent_kernel.shape[0]
        bias, states = direction.bias, direction.initial_state
        if bias is None:
            bias = zeros(spec.weight_shapes(x.shape[2], units)["bias"])
        if states is None:
            states = [zeros((x.shape[options.time_major], units))] * len(spec.states)
        arrays += [direction.kernel, direction.recurrent_kernel, bias, *states]
    factors = [dropout for _, dropout in directions]
    plan = Plan(
        tuple(direction.cell for direction, _ in directions),
        tuple(bool(direction.reverse) for direction, _ in directions),
        tuple((_gates_of(x_factors), _gates_of(h_factors)) for x_factors, h_factors in factors),
        mask is not None,
        bool(options.zero_output_for_mask),
        bool(options.return_sequences),
        options.precision,
        options.time_major,
    )
    return plan, [each for each in (mask, *itertools.chain(*factors)) if each is not None], arrays


def _gates_of(factors: Any | None) -> int:
    return 0 if factors is None else int(factors.shape[0])


def forward(plan: Plan, x: Array, constants: Arrays, arrays: Arrays, results: Arrays) -> None:
    """Fill `results`: outputs if they are wanted, states, and each direction's residuals if there is room for them."""
    outputs, states = plan.split(results)
    if x.dtype == np.float64:
        found = _oracle(plan, x, constants, arrays)
        _fill(itertools.chain(*states), itertools.chain(*found.states))
        if outputs is not None:
            plan.batch_first(outputs)[:] = found.outputs
        return
    residuals: Sequence[Array | None] = results[plan.return_sequences + sum(map(len, states)) :] or [None] * len(states)
    mask, directions = _arguments(plan, constants, arrays)
    pairs = list(zip(states, residuals, strict=True))
    precision = PRECISIONS[plan.precision]
    _native.forward(x, mask, plan.zero_output_for_mask, precision, directions, outputs, pairs, plan.time_major)


def backward(
    plan: Plan,
    x: Array,
    constants: Arrays,
    arrays: Arrays,
    residuals: Arrays,
    d_results: Arrays,
    d_x: Array | None,
    d_arrays: Arrays,
) -> None:
    """Fill `d_arrays` and, if it is given, `d_x`; this uses up the residuals.

    `d_results` are for outputs, if they were wanted, and states.
    """
    d_outputs, d_states = plan.split(d_results)
    if x.dtype == np.float64:
        tape = _oracle(plan, x, constants, arrays, record=True).tape
        d_outputs = np.zeros_like(tape.both) if d_outputs is None else plan.batch_first(d_outputs)
        with np.errstate(all="ignore"):
            found = reference.backprop(tape, d_outputs, d_states)
        _fill(d_arrays, itertools.chain(*((*each[:3], *each.initial_state) for each in found.directions)))
        if d_x is not None:
            plan.batch_first(d_x)[:] = found.x
        return
    gradients = [
        (residual, d_state, *group[:3], list(group[3:]))
        for residual, d_state, group in zip(residuals, d_states, plan.groups(d_arrays), strict=True)
    ]
    mask, directions = _arguments(plan, constants, arrays)
    precision = PRECISIONS[plan.precision]
    masked = mask, plan.zero_output_for_mask
    _native.backward(x, *masked, precision, directions, d_outputs, d_x, gradients, plan.time_major)


def _arguments(plan: Plan, constants: Arrays, arrays: Arrays) -> tuple[Any, list[tuple[Any, ...]]]:
    """The mask and the directions as the engine takes them."""
    mask, factors = plan.constants(constants)
    groups = plan.groups(arrays)
    return mask, [
        (cell_number(cell), *group[:3], reverse, list(group[3:]), dropout)
        for cell, reverse, group, dropout in zip(plan.cells, plan.reverse, groups, factors, strict=True)
    ]


@np.errstate(all="ignore")
def _oracle(plan: Plan, x: Array, constants: Arrays, arrays: Arrays, *, record: bool = False) -> Result:
    """The same call by the oracle, as silent about numbers out of range as the engine."""
    mask, factors = plan.constants(constants)
    every = zip(plan.cells, plan.reverse, plan.groups(arrays), strict=True)
    directions = [
        Direction(kernel, recurrent_kernel, bias, reverse, tuple(states), cell)
        for cell, reverse, (kernel, recurrent_kernel, bias, *states) in every
    ]
    zero_output = plan.zero_output_for_mask
    x = plan.batch_first(x)
    return reference.run(x, directions, mask=mask, zero_output_for_mask=zero_output, dropout=factors, record=record)


def _fill(targets: Iterable[Array], values: Iterable[Array]) -> None:
    for target, value in zip(targets, values, strict=True):
        target[:] = value
