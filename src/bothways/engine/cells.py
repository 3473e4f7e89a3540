"""One step of each cell and its gradient, in plain NumPy: what the oracle is made of.

A step takes the sums over x and over h apart, `(batch, gates * units)` each, with their biases; for most cells only
their sum counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.spec import CELLS

Array = npt.NDArray[Any]
Saved = dict[str, Array]


class Cell(NamedTuple):
    """How a cell steps.

    Attributes:
        step: `(x_sums, h_sums, states before) -> (states after, what the gradient needs)`.
        gradient: `(what the step saved, gradients of the states after) -> (gradients of x_sums and of h_sums, and of
            the states before, as far as they do not pass through the sums)`.
    """

    step: Callable[[Array, Array, tuple[Array, ...]], tuple[tuple[Array, ...], Saved]]
    gradient: Callable[[Saved, tuple[Array, ...]], tuple[Array, Array, tuple[Array, ...]]]


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def split_gates(cell: str, sums: Array) -> dict[str, Array]:
    """The blocks of `units` columns, by the names of their gates."""
    gates = CELLS[cell].gates
    return dict(zip(gates, np.split(sums, len(gates), axis=-1), strict=True))


def join_gates(cell: str, by_gate: Mapping[str, Array]) -> Array:
    """The inverse of `split_gates`."""
    return np.concatenate([by_gate[gate] for gate in CELLS[cell].gates], axis=-1)


def lstm_step(x_sums: Array, h_sums: Array, states: tuple[Array, ...]) -> tuple[tuple[Array, ...], Saved]:
    """An LSTM (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000)."""
    sums = split_gates("lstm", x_sums + h_sums)
    saved = {name: sigmoid(sums[name]) for name in ("input", "forget", "output")}
    saved |= {"candidate": np.tanh(sums["candidate"]), "c_before": states[1]}
    saved["c"] = saved["forget"] * states[1] + saved["input"] * saved["candidate"]
    return (saved["output"] * np.tanh(saved["c"]), saved["c"]), saved


def lstm_gradient(saved: Saved, d_states: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
    """The gradient of `lstm_step`."""
    i, f, g, o = (saved[name] for name in ("input", "forget", "candidate", "output"))
    tanh_c = np.tanh(saved["c"])
    d_h, d_c = d_states
    d_c = d_c + d_h * o * (1 - tanh_c**2)
    d_sums = {
        "input": d_c * g * i * (1 - i),
        "forget": d_c * saved["c_before"] * f * (1 - f),
        "candidate": d_c * i * (1 - g**2),
        "output": d_h * tanh_c * o * (1 - o),
    }
    joined = join_gates("lstm", d_sums)
    return joined, joined, (np.zeros_like(d_h), d_c * f)


def gru_step(x_sums: Array, h_sums: Array, states: tuple[Array, ...]) -> tuple[tuple[Array, ...], Saved]:
    """A GRU (Cho et al. 2014) with the reset after the product."""
    x, h = split_gates("gru", x_sums), split_gates("gru", h_sums)
    z, r = (sigmoid(x[name] + h[name]) for name in ("update", "reset"))
    n = np.tanh(x["candidate"] + r * h["candidate"])
    saved = {"update": z, "reset": r, "candidate": n, "h_sum": h["candidate"], "h_before": states[0]}
    return (z * states[0] + (1 - z) * n,), saved


def gru_gradient(saved: Saved, d_states: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
    """The gradient of `gru_step`."""
    z, r, n = (saved[name] for name in ("update", "reset", "candidate"))
    (d_h,) = d_states
    d_n = d_h * (1 - z) * (1 - n**2)
    d_sums = {
        "update": d_h * (saved["h_before"] - n) * z * (1 - z),
        "reset": d_n * saved["h_sum"] * r * (1 - r),
        "candidate": d_n,
    }
    return join_gates("gru", d_sums), join_gates("gru", d_sums | {"candidate": d_n * r}), (d_h * z,)


def _rnn(value: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Cell:
    """A simple recurrent layer (Elman 1990); `slope` is the derivative of `value`, from its result."""

    def step(x_sums: Array, h_sums: Array, states: tuple[Array, ...]) -> tuple[tuple[Array, ...], Saved]:
        h = value(x_sums + h_sums)
        return (h,), {"h": h}

    def gradient(saved: Saved, d_states: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        d_sums = d_states[0] * slope(saved["h"])
        return d_sums, d_sums, (np.zeros_like(d_sums),)

    return Cell(step, gradient)


STEPS: Mapping[str, Cell] = MappingProxyType(
    {
        "lstm": Cell(lstm_step, lstm_gradient),
        "gru": Cell(gru_step, gru_gradient),
        "rnn": _rnn(np.tanh, lambda h: 1 - h**2),
        "rnn_relu": _rnn(lambda x: np.maximum(x, 0.0), lambda h: (h > 0).astype(h.dtype)),
    }
)
"""How each cell of `bothways.spec.CELLS` steps."""
