"""The oracle: the same recurrences in plain NumPy and float64, one step at a time.

Slow, and short enough to check by eye. The native engine is tested against it; it is also the path for
gradient checks in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.engine.arguments import (
    Array,
    Call,
    Direction,
    DirectionGradients,
    Dropout,
    Gradients,
    Result,
    States,
    check_call,
    check_flag,
    check_gradients,
    check_setup,
)
from bothways.engine.cells import Product, Residuals, steps_of


class Trace(NamedTuple):
    """A recorded run: its arguments, its outputs side by side, and the residuals of every step."""

    call: Call
    both: Array
    steps: tuple[list[Residuals], ...]


def run(
    x: Array,
    directions: Sequence[Direction],
    *,
    mask: Array | None = None,
    merge_mode: str | None = "concat",
    zero_output_for_mask: bool = False,
    cell: str = "lstm",
    dropout: Sequence[Dropout | None] | None = None,
    record: bool = False,
) -> Result:
    """As `bothways.engine.run`, in float64.

    Example:
        >>> x = np.ones((1, 3, 1))
        >>> weights = dict(kernel=np.zeros((1, 8)), recurrent_kernel=np.zeros((2, 8)), bias=np.ones(8))
        >>> run(x, [Direction(**weights)]).outputs.shape
        (1, 3, 2)
    """
    setup = check_setup(directions, cell, merge_mode, zero_output_for_mask, np.float64)
    call = check_call(setup, x, mask, dropout=dropout)
    record = check_flag("record", record)
    outputs, states, steps = zip(*map(partial(_run_direction, call), range(len(setup.directions))), strict=True)
    both = np.concatenate(outputs, axis=-1)
    return Result(setup.merged(both), states, Trace(call, both, steps) if record else None)


def backprop(tape: Trace, d_outputs: Any, d_states: Any = None) -> Gradients:
    """As `bothways.engine.backprop`, in float64; `tape` is that of a recorded `run` of this module."""
    call, setup = tape.call, tape.call.setup
    d_outputs, d_states = check_gradients(call, d_outputs, d_states)
    d_outputs = setup.unmerged(d_outputs, tape.both)
    d_x = np.zeros_like(call.x)
    gradients = []
    for i, d_both in enumerate(np.split(d_outputs, [setup.units[0]], axis=-1)[: len(setup.units)]):
        gradients.append(_backprop_direction(call, i, tape.steps[i], d_both, d_states[i], d_x))
    return Gradients(d_x, tuple(gradients))


def _turns(call: Call, direction: Direction) -> list[tuple[int, npt.NDArray[np.bool_]]]:
    """The steps in the order of reading, and for which rows each counts, `(batch, 1)`."""
    batch, time, _ = call.x.shape
    mask = np.ones((batch, time), np.bool_) if call.mask is None else call.mask
    steps = range(time)[::-1] if direction.reverse else range(time)
    return [(t, mask[:, t, None]) for t in steps]


def _run_direction(call: Call, i: int) -> tuple[Array, States, list[Residuals]]:
    spec, direction = call.setup.specs[i], call.setup.directions[i]
    batch, time, _ = call.x.shape
    states = call.initial_states[i] or tuple(np.zeros((batch, direction.units)) for _ in spec.states)
    outputs = np.zeros((batch, time, direction.units))
    steps = []
    of_x, of_h = _products(call, i)
    for t, counts in _turns(call, direction):
        after, residuals = steps_of(spec.name).step(of_x.sums(call.x[:, t]), of_h, states)
        steps.append(residuals)
        states = tuple(np.where(counts, new, old) for new, old in zip(after, states, strict=True))
        outputs[:, t] = np.where(counts | (not call.setup.zero_output_for_mask), states[0], 0.0)
    return outputs, states, steps


def _products(call: Call, i: int) -> tuple[Product, Product]:
    """Those of x and of h; a single bias is that of x."""
    direction, dropout = call.setup.directions[i], (call.dropout and call.dropout[i]) or Dropout()
    biases = np.zeros((2, direction.recurrent_kernel.shape[1]))
    if direction.bias is not None:
        biases[: call.setup.specs[i].biases] = direction.bias
    of_x = Product(direction.kernel, biases[0], dropout.x)
    return of_x, Product(direction.recurrent_kernel, biases[1], dropout.h)


def _backprop_direction(
    call: Call, i: int, steps: list[Residuals], d_outputs: Array, d_states: States | None, d_x: Array
) -> DirectionGradients:
    """Backpropagation through time; adds this direction's share to `d_x`."""
    spec, direction = call.setup.specs[i], call.setup.directions[i]
    of_x, of_h = _products(call, i)
    d_kernel = np.zeros_like(direction.kernel)
    d_recurrent = np.zeros_like(direction.recurrent_kernel)
    d_biases = np.zeros((2, direction.recurrent_kernel.shape[1]))
    batch = call.x.shape[0]
    flow = d_states or tuple(np.zeros((batch, direction.units)) for _ in spec.states)
    for (t, counts), residuals in zip(reversed(_turns(call, direction)), reversed(steps), strict=True):
        flow = (flow[0] + np.where(counts | (not call.setup.zero_output_for_mask), d_outputs[:, t], 0.0), *flow[1:])
        d_after = tuple(np.where(counts, d_state, 0.0) for d_state in flow)
        d_x_sums, d_of_h, before = steps_of(spec.name).gradient(residuals, of_h, d_after)
        d_of_x = of_x.gradient(call.x[:, t], d_x_sums)
        d_kernel += d_of_x.weights
        d_recurrent += d_of_h.weights
        d_biases += d_of_x.bias, d_of_h.bias
        d_x[:, t] += d_of_x.values
        flow = tuple(np.where(counts, new, old) for new, old in zip(before, flow, strict=True))
    d_bias = d_biases[0] if spec.biases == 1 else d_biases
    return DirectionGradients(d_kernel, d_recurrent, d_bias, flow)
