"""The oracle: the same recurrences in plain NumPy and float64, one step at a time.

Slow, and short enough to check by eye. The native engine is tested against it; it is also the path for
gradient checks in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

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
from bothways.merge import merge, unmerge


class Tape(NamedTuple):
    """A recorded run: its arguments, its outputs side by side, and what every step saw."""

    call: Call
    both: Array
    steps: tuple[list[dict[str, Array]], ...]


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
    """As `bothways.engine.run`, in float64.

    Example:
        >>> x = np.ones((1, 3, 1))
        >>> weights = dict(kernel=np.zeros((1, 8)), recurrent_kernel=np.zeros((2, 8)), bias=np.ones(8))
        >>> run(x, [Direction(**weights)]).outputs.shape
        (1, 3, 2)
    """
    call = check_call(
        x,
        directions,
        mask=mask,
        merge_mode=merge_mode,
        zero_output_for_mask=zero_output_for_mask,
        cell=cell,
        dtype=np.float64,
    )
    outputs, states, steps = zip(*(_run_direction(call, direction) for direction in call.directions), strict=True)
    both = np.concatenate(outputs, axis=-1)
    merged = both if len(outputs) == 1 else merge(merge_mode, both, call.units[0])
    return Result(merged, states, Tape(call, both, steps) if record else None)


def backprop(tape: Tape, d_outputs: Any, d_states: Any = None) -> Gradients:
    """As `bothways.engine.backprop`, in float64; `tape` is that of a recorded `run` of this module."""
    call = tape.call
    d_outputs, d_states = check_gradients(call, d_outputs, d_states, np.float64)
    if len(call.directions) == 2:
        d_outputs = unmerge(call.merge_mode, d_outputs, tape.both, call.units[0], np)
    d_x = np.zeros_like(call.x)
    gradients = []
    for direction, steps, d_both, d_state in zip(
        call.directions, tape.steps, np.split(d_outputs, [call.units[0]], axis=-1), d_states, strict=False
    ):
        gradients.append(_backprop_direction(call, direction, steps, d_both, d_state, d_x))
    return Gradients(d_x, tuple(gradients))


def _time_order(call: Call, direction: Direction) -> Sequence[int]:
    steps = range(call.x.shape[1])
    return steps[::-1] if direction.reverse else steps


def _counts(call: Call, t: int) -> npt.NDArray[np.bool_]:
    """Which rows step `t` counts for, `(batch, 1)`."""
    batch = call.x.shape[0]
    return np.ones((batch, 1), np.bool_) if call.mask is None else call.mask[:, t, None]


def _run_direction(call: Call, direction: Direction) -> tuple[Array, States, list[dict[str, Array]]]:
    batch, time, _ = call.x.shape
    zero = np.zeros((batch, direction.units))
    h, c = direction.initial_state or (zero, zero)
    outputs = np.zeros((batch, time, direction.units))
    steps = []
    for t in _time_order(call, direction):
        z = call.x[:, t] @ direction.kernel + h @ direction.recurrent_kernel
        if direction.bias is not None:
            z = z + direction.bias
        step = lstm_step(call, z, c)
        counts = _counts(call, t)
        steps.append({"h_before": h, "c_before": c, **step})
        h, c = np.where(counts, step["h"], h), np.where(counts, step["c"], c)
        outputs[:, t] = np.where(counts | (not call.zero_output_for_mask), h, 0.0)
    return outputs, (h, c), steps


def lstm_step(call: Call, z: Array, c_before: Array) -> dict[str, Array]:
    """One LSTM step (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000) from gate sums `z`."""
    sums = dict(zip(call.spec.gates, np.split(z, len(call.spec.gates), axis=-1), strict=True))
    step = {name: _sigmoid(sums[name]) for name in ("input", "forget", "output")}
    step["candidate"] = np.tanh(sums["candidate"])
    step["c"] = step["forget"] * c_before + step["input"] * step["candidate"]
    step["h"] = step["output"] * np.tanh(step["c"])
    return step


def lstm_step_gradient(call: Call, step: dict[str, Array], d_h: Array, d_c: Array) -> tuple[Array, Array]:
    """The gradients of one step with respect to the gate sums `z` and to the state `c` before it."""
    tanh_c = np.tanh(step["c"])
    d_c = d_c + d_h * step["output"] * (1 - tanh_c**2)
    d_gates = {
        "input": d_c * step["candidate"] * step["input"] * (1 - step["input"]),
        "forget": d_c * step["c_before"] * step["forget"] * (1 - step["forget"]),
        "candidate": d_c * step["input"] * (1 - step["candidate"] ** 2),
        "output": d_h * tanh_c * step["output"] * (1 - step["output"]),
    }
    return np.concatenate([d_gates[name] for name in call.spec.gates], axis=-1), d_c * step["forget"]


def _backprop_direction(
    call: Call, direction: Direction, steps: list[dict[str, Array]], d_outputs: Array, d_state: Any, d_x: Array
) -> DirectionGradients:
    """Backpropagation through time; adds this direction's share to `d_x`."""
    d_kernel = np.zeros_like(direction.kernel)
    d_recurrent = np.zeros_like(direction.recurrent_kernel)
    d_bias = np.zeros(direction.recurrent_kernel.shape[1])
    zero = np.zeros((call.x.shape[0], direction.units))
    d_h, d_c = d_state or (zero, zero)
    for t, step in zip(reversed(_time_order(call, direction)), reversed(steps), strict=True):
        counts = _counts(call, t)
        d_h = d_h + np.where(counts | (not call.zero_output_for_mask), d_outputs[:, t], 0.0)
        d_z, d_c_before = lstm_step_gradient(call, step, d_h, d_c)
        d_z = np.where(counts, d_z, 0.0)
        d_kernel += call.x[:, t].T @ d_z
        d_recurrent += step["h_before"].T @ d_z
        d_bias += d_z.sum(axis=0)
        d_x[:, t] += d_z @ direction.kernel.T
        d_h = np.where(counts, d_z @ direction.recurrent_kernel.T, d_h)
        d_c = np.where(counts, d_c_before, d_c)
    return DirectionGradients(d_kernel, d_recurrent, d_bias, (d_h, d_c))


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))
