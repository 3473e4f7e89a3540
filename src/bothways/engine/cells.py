"""One step of each cell and its gradient, in plain NumPy: what the oracle is made of.

A step takes the sums over x, `(batch, gates * units)`, and the product that makes those over h: for most cells from the
h before the step. Steps and products are written for arrays of JAX as well, which differentiates them by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bothways.engine.arguments import Array, States
from bothways.spec import cell_spec

Residuals = dict[str, Array]


class ProductGradient(NamedTuple):
    """The gradients of all that the sums of a `Product` come from, or sums of such."""

    values: Array
    weights: Array
    bias: Array


class Product(NamedTuple):
    """`values @ weights + bias`.

    Attributes:
        weights: `(width of the values, gates * units)`.
        bias: `(gates * units,)`.
        dropout: None, or `(gates, batch, width of the values)`: by what the values are multiplied for each gate; or
            `(1, batch, width of the values)`, the same for all gates.
    """

    weights: Array
    bias: Array
    dropout: Array | None = None

    def sums(self, values: Array) -> Array:
        """The sums of values `(batch, width)`."""
        products = [(values * f) @ block for f, block in self._blocks()]
        sums: Array = namespace(values).concatenate(products, axis=-1) + self.bias
        return sums

    def gradient(self, values: Array, d_sums: Array) -> ProductGradient:
        """The gradients of all that the sums come from."""
        blocks = self._blocks()
        d_blocks = np.split(d_sums, len(blocks), axis=-1)
        d_values = sum((d @ block.T) * f for (f, block), d in zip(blocks, d_blocks, strict=True))
        d_weights = [(values * f).T @ d for (f, _), d in zip(blocks, d_blocks, strict=True)]
        return ProductGradient(np.asarray(d_values), np.concatenate(d_weights, axis=1), d_sums.sum(axis=0))

    def _blocks(self) -> list[tuple[Any, Array]]:
        """The factors of the values, and the weights that they are for."""
        if self.dropout is None:
            return [(1.0, self.weights)]
        blocks = namespace(self.weights).split(self.weights, len(self.dropout), axis=1)
        return list(zip(self.dropout, blocks, strict=True))


Flow = tuple[Array, ProductGradient, States]
"""Gradients of x_sums, of what the product is made of, and of the states before."""


class Cell(NamedTuple):
    """How a cell steps.

    Attributes:
        step: `(x_sums, product of h, states before) -> (states after, residuals)`.
        gradient: `(residuals, the product, gradients of the states after) -> Flow`, linear in the last argument.
    """

    step: Callable[[Array, Product, States], tuple[States, Residuals]]
    gradient: Callable[[Residuals, Product, States], Flow]


class Function(NamedTuple):
    """What a cell makes of its sums.

    Attributes:
        value: of an array.
        slope: the derivative, from the value.
    """

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


class Functions(NamedTuple):
    """Those of a cell: that of its candidate, and that of its gates."""

    activation: Function
    gate: Function


def namespace(array: Array) -> Any:
    """The library of an array: `jax.numpy` or `numpy`, in which it has no method for this before 2.0."""
    return array.__array_namespace__() if hasattr(array, "__array_namespace__") else np


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    values: Array = namespace(x).tanh(x)
    return values


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), without overflow."""
    return 0.5 * (1.0 + tanh(0.5 * x))


def relu(x: Array) -> Array:
    """max(0, x); NaN stays NaN."""
    values: Array = namespace(x).where(x <= 0, 0.0, x)
    return values


FUNCTIONS: Mapping[str, Function] = {
    "tanh": Function(tanh, lambda y: 1 - y**2),
    "sigmoid": Function(sigmoid, lambda y: y * (1 - y)),
    "relu": Function(relu, lambda y: (y > 0).astype(y.dtype)),
    "linear": Function(lambda x: x, np.ones_like),
    "hard_sigmoid": Function(lambda x: 1 - relu(1 - relu(x / 6 + 0.5)), lambda y: ((y > 0) & (y < 1)) / 6),
}
"""The functions of `bothways.spec.ACTIVATIONS`, as Keras 3 has them."""


def split_gates(cell: str, sums: Array) -> dict[str, Array]:
    """The blocks of `units` columns, by the names of their gates."""
    gates = cell_spec(cell).gates
    return dict(zip(gates, namespace(sums).split(sums, len(gates), axis=-1), strict=True))


def join_gates(cell: str, by_gate: Mapping[str, Array]) -> Array:
    """The inverse of `split_gates`."""
    return np.concatenate([by_gate[gate] for gate in cell_spec(cell).gates], axis=-1)


def lstm_step(of: Functions, x_sums: Array, product: Product, states: States) -> tuple[States, Residuals]:
    """An LSTM (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000)."""
    h, c_before = states
    sums = split_gates("lstm", x_sums + product.sums(h))
    residuals = {name: of.gate.value(sums[name]) for name in ("input", "forget", "output")}
    residuals |= {"candidate": of.activation.value(sums["candidate"]), "h_before": h, "c_before": c_before}
    residuals["c"] = residuals["forget"] * c_before + residuals["input"] * residuals["candidate"]
    return (residuals["output"] * of.activation.value(residuals["c"]), residuals["c"]), residuals


def lstm_gradient(of: Functions, residuals: Residuals, product: Product, d_states: States) -> Flow:
    """The gradient of `lstm_step`."""
    i, f, g, o = (residuals[name] for name in ("input", "forget", "candidate", "output"))
    shown = of.activation.value(residuals["c"])
    d_h, d_c = d_states
    d_c = d_c + d_h * o * of.activation.slope(shown)
    d_sums = {
        "input": d_c * g * of.gate.slope(i),
        "forget": d_c * residuals["c_before"] * of.gate.slope(f),
        "candidate": d_c * i * of.activation.slope(g),
        "output": d_h * shown * of.gate.slope(o),
    }
    joined = join_gates("lstm", d_sums)
    d_product = product.gradient(residuals["h_before"], joined)
    return joined, d_product, (d_product.values, d_c * f)


def gru_step(of: Functions, x_sums: Array, product: Product, states: States) -> tuple[States, Residuals]:
    """A GRU (Cho et al. 2014) with the reset after the product."""
    x, h = split_gates("gru", x_sums), split_gates("gru", product.sums(states[0]))
    z, r = (of.gate.value(x[name] + h[name]) for name in ("update", "reset"))
    n = of.activation.value(x["candidate"] + r * h["candidate"])
    residuals = {"update": z, "reset": r, "candidate": n, "h_sum": h["candidate"], "h_before": states[0]}
    return (z * states[0] + (1 - z) * n,), residuals


def gru_gradient(of: Functions, residuals: Residuals, product: Product, d_states: States) -> Flow:
    """The gradient of `gru_step`."""
    z, r, n, h = (residuals[name] for name in ("update", "reset", "candidate", "h_before"))
    (d_h,) = d_states
    d_n = d_h * (1 - z) * of.activation.slope(n)
    d_sums = {
        "update": d_h * (h - n) * of.gate.slope(z),
        "reset": d_n * residuals["h_sum"] * of.gate.slope(r),
        "candidate": d_n,
    }
    d_product = product.gradient(h, join_gates("gru", d_sums | {"candidate": d_n * r}))
    return join_gates("gru", d_sums), d_product, (d_h * z + d_product.values,)


def gru_reset_before_step(of: Functions, x_sums: Array, product: Product, states: States) -> tuple[States, Residuals]:
    """A GRU (Cho et al. 2014) with the reset before the product: the sum of the candidate is that of reset * h."""
    x, h = split_gates("gru_reset_before", x_sums), split_gates("gru_reset_before", product.sums(states[0]))
    z, r = (of.gate.value(x[name] + h[name]) for name in ("update", "reset"))
    second = split_gates("gru_reset_before", product.sums(r * states[0]))["candidate"]
    n = of.activation.value(x["candidate"] + second)
    return (z * states[0] + (1 - z) * n,), {"update": z, "reset": r, "candidate": n, "h_before": states[0]}


def gru_reset_before_gradient(of: Functions, residuals: Residuals, product: Product, d_states: States) -> Flow:
    """The gradient of `gru_reset_before_step`."""
    z, r, n, h = (residuals[name] for name in ("update", "reset", "candidate", "h_before"))
    (d_h,) = d_states
    none = np.zeros_like(d_h)
    d_sums = {"update": none, "reset": none, "candidate": d_h * (1 - z) * of.activation.slope(n)}
    second = product.gradient(r * h, join_gates("gru_reset_before", d_sums))
    d_update, d_reset = d_h * (h - n) * of.gate.slope(z), second.values * h * of.gate.slope(r)
    d_gates = {"update": d_update, "reset": d_reset, "candidate": none}
    first = product.gradient(h, join_gates("gru_reset_before", d_gates))
    d_before = d_h * z + first.values + second.values * r
    d_product = ProductGradient(*(one + other for one, other in zip(first, second, strict=True)))
    return join_gates("gru_reset_before", d_gates | {"candidate": d_sums["candidate"]}), d_product, (d_before,)


def rnn_step(of: Functions, x_sums: Array, product: Product, states: States) -> tuple[States, Residuals]:
    """A simple recurrent layer (Elman 1990)."""
    h = of.activation.value(x_sums + product.sums(states[0]))
    return (h,), {"h": h, "h_before": states[0]}


def rnn_gradient(of: Functions, residuals: Residuals, product: Product, d_states: States) -> Flow:
    """The gradient of `rnn_step`."""
    d_sums = d_states[0] * of.activation.slope(residuals["h"])
    d_product = product.gradient(residuals["h_before"], d_sums)
    return d_sums, d_product, (d_product.values,)


# By kind: the step and its gradient.
_STEPS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "lstm": (lstm_step, lstm_gradient),
    "gru": (gru_step, gru_gradient),
    "rnn": (rnn_step, rnn_gradient),
    "rnn_relu": (rnn_step, rnn_gradient),
    "gru_reset_before": (gru_reset_before_step, gru_reset_before_gradient),
}


@functools.cache
def steps_of(cell: str) -> Cell:
    """How a cell of `bothways.spec` steps."""
    spec = cell_spec(cell)
    step, gradient = _STEPS[spec.kind]
    functions = Functions(FUNCTIONS[spec.activation], FUNCTIONS[spec.recurrent_activation])
    return Cell(functools.partial(step, functions), functools.partial(gradient, functions))
