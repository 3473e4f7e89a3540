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
    check_gradients,
    check_setup,
)
from bothways.engine.cells import STEPS, Saved
from bothways.merge import merge, unmerge
from bothways.spec import CellSpec


class _Step(NamedTuple):
    """What a step leaves for its gradient."""

    h_before: Array
    saved: Saved


class Tape(NamedTuple):
    """A recorded run: its arguments, its outputs side by side, and what every step saw."""

    call: Call
    both: Array
    steps: tuple[list[_Step], ...]


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
    setup = check_setup(
        directions,
        cell=cell,
        merge_mode=merge_mode,
        zero_output_for_mask=zero_output_for_mask,
        dtype=np.float64,
    )
    call = check_call(setup, x, mask, dropout=dropout)
    outputs, states, steps = zip(*map(partial(_run_direction, call), range(len(setup.directions))), strict=True)
    both = np.concatenate(outputs, axis=-1)
    merged = both if setup.side_by_side else merge(merge_mode, both, setup.units[0])
    return Result(merged, states, Tape(call, both, steps) if record else None)


def backprop(tape: Tape, d_outputs: Any, d_states: Any = None) -> Gradients:
    """As `bothways.engine.backprop`, in float64; `tape` is that of a recorded `run` of this module."""
    call, setup = tape.call, tape.call.setup
    d_outputs, d_states = check_gradients(call, d_outputs, d_states)
    if not setup.side_by_side:
        d_outputs = unmerge(setup.merge_mode, d_outputs, tape.both, setup.units[0], np)
    d_x = np.zeros_like(call.x)
    gradients = []
    for i, d_both in enumerate(np.split(d_outputs, [setup.units[0]], axis=-1)[: len(setup.units)]):
        gradients.append(_backprop_direction(call, i, tape.steps[i], d_both, d_states[i], d_x))
    return Gradients(d_x, tuple(gradients))


def _time_order(call: Call, direction: Direction) -> Sequence[int]:
    steps = range(call.x.shape[1])
    return steps[::-1] if direction.reverse else steps


def _counts(call: Call, t: int) -> npt.NDArray[np.bool_]:
    """Which rows step `t` counts for, `(batch, 1)`."""
    batch = call.x.shape[0]
    return np.ones((batch, 1), np.bool_) if call.mask is None else call.mask[:, t, None]


def _run_direction(call: Call, i: int) -> tuple[Array, States, list[_Step]]:
    spec, direction = call.setup.specs[i], call.setup.directions[i]
    batch, time, _ = call.x.shape
    states = call.initial_states[i] or tuple(np.zeros((batch, direction.units)) for _ in spec.states)
    outputs = np.zeros((batch, time, direction.units))
    steps = []
    biases, dropout = _biases(spec, direction), _dropout(call, i)
    for t in _time_order(call, direction):
        x_sums = _product(call.x[:, t], direction.kernel, dropout.x) + biases[0]
        h_sums = _product(states[0], direction.recurrent_kernel, dropout.h) + biases[1]
        after, saved = STEPS[spec.name].step(x_sums, h_sums, states)
        steps.append(_Step(states[0], saved))
        counts = _counts(call, t)
        states = tuple(np.where(counts, new, old) for new, old in zip(after, states, strict=True))
        outputs[:, t] = np.where(counts | (not call.setup.zero_output_for_mask), states[0], 0.0)
    return outputs, states, steps


def _biases(spec: CellSpec, direction: Direction) -> Array:
    """That of the kernel and that of the recurrent kernel, `(2, gates * units)`; a single bias is the kernel's."""
    biases = np.zeros((2, direction.recurrent_kernel.shape[1]))
    if direction.bias is not None:
        biases[: spec.biases] = direction.bias
    return biases


def _dropout(call: Call, i: int) -> Dropout:
    return (call.dropout and call.dropout[i]) or Dropout()


def _product(values: Array, weights: Array, factors: Array | None) -> Array:
    """`values @ weights`; with dropout, the values are multiplied by the factors of each gate."""
    if factors is None:
        return np.asarray(values @ weights)
    blocks = np.split(weights, len(factors), axis=1)
    return np.concatenate([(values * f) @ block for f, block in zip(factors, blocks, strict=True)], axis=1)


def _product_gradient(values: Array, weights: Array, factors: Array | None, d_sums: Array) -> tuple[Array, Array]:
    """The gradients of the values and of the weights of `_product`."""
    if factors is None:
        return d_sums @ weights.T, values.T @ d_sums
    gates = len(factors)
    blocks = list(zip(factors, np.split(weights, gates, axis=1), np.split(d_sums, gates, axis=1), strict=True))
    d_values = np.sum([(d @ block.T) * f for f, block, d in blocks], axis=0)
    return d_values, np.concatenate([(values * f).T @ d for f, _, d in blocks], axis=1)


def _backprop_direction(
    call: Call, i: int, steps: list[_Step], d_outputs: Array, d_states: States | None, d_x: Array
) -> DirectionGradients:
    """Backpropagation through time; adds this direction's share to `d_x`."""
    spec, direction, dropout = call.setup.specs[i], call.setup.directions[i], _dropout(call, i)
    d_kernel = np.zeros_like(direction.kernel)
    d_recurrent = np.zeros_like(direction.recurrent_kernel)
    d_biases = np.zeros((2, direction.recurrent_kernel.shape[1]))
    batch = call.x.shape[0]
    flow = d_states or tuple(np.zeros((batch, direction.units)) for _ in spec.states)
    for t, step in zip(reversed(_time_order(call, direction)), reversed(steps), strict=True):
        counts = _counts(call, t)
        flow = (flow[0] + np.where(counts | (not call.setup.zero_output_for_mask), d_outputs[:, t], 0.0), *flow[1:])
        d_x_sums, d_h_sums, before = STEPS[spec.name].gradient(step.saved, flow)
        d_x_sums, d_h_sums = np.where(counts, d_x_sums, 0.0), np.where(counts, d_h_sums, 0.0)
        d_x_t, d_kernel_t = _product_gradient(call.x[:, t], direction.kernel, dropout.x, d_x_sums)
        d_h_t, d_recurrent_t = _product_gradient(step.h_before, direction.recurrent_kernel, dropout.h, d_h_sums)
        d_kernel += d_kernel_t
        d_recurrent += d_recurrent_t
        d_biases += d_x_sums.sum(axis=0), d_h_sums.sum(axis=0)
        d_x[:, t] += d_x_t
        before = (before[0] + d_h_t, *before[1:])
        flow = tuple(np.where(counts, new, old) for new, old in zip(before, flow, strict=True))
    d_bias = d_biases[0] if spec.biases == 1 else d_biases
    return DirectionGradients(d_kernel, d_recurrent, d_bias, flow)
