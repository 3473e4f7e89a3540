"""The recurrence of the engine in jnp: what JAX can differentiate as often as wanted.

It runs only where a derivative is asked for that the engine does not have: a second one, or one forward; and for all
that is of float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp

from bothways.layers.ops.jax.custom_call import Constants, Dropout, Results, Static, Weights
from bothways.spec import CELLS

States = tuple[jax.Array, ...]
Product = Callable[[jax.Array], jax.Array]


def recurrence(static: Static, x: jax.Array, constants: Constants, weights: tuple[Weights, ...]) -> Results:
    """As `custom_call.forward` without residuals, in the dtype of `x` whatever `static` says."""
    counts = jnp.ones(x.shape[:2], bool) if constants.mask is None else constants.mask
    outputs, states = zip(
        *(
            _direction(cell, reverse, static.zero_output_for_mask, x, counts, w, dropout)
            for cell, reverse, w, dropout in zip(static.cells, static.reverse, weights, constants.dropouts, strict=True)
        ),
        strict=True,
    )
    return (jnp.concatenate(outputs, axis=-1) if static.return_sequences else None), states


def _direction(
    cell: str,
    reverse: bool,
    zero_output_for_mask: bool,
    x: jax.Array,
    mask: jax.Array,
    w: Weights,
    dropout: Dropout,
) -> tuple[jax.Array, States]:
    biases = (w.bias, jnp.zeros_like(w.bias)) if CELLS[cell].biases == 1 else (w.bias[0], w.bias[1])

    def step(states: States, inputs: tuple[jax.Array, jax.Array]) -> tuple[States, jax.Array]:
        x_sums, counts = inputs
        after = _STEPS[cell](x_sums, lambda h: _product(h, w.recurrent_kernel, dropout.h) + biases[1], states)
        after = tuple(jnp.where(counts[:, None], new, old) for new, old in zip(after, states, strict=True))
        output = jnp.where(counts[:, None], after[0], 0.0) if zero_output_for_mask else after[0]
        return after, output

    x_sums = _product(x, w.kernel, None if dropout.x is None else dropout.x[:, :, None]) + biases[0]
    time_first = x_sums.swapaxes(0, 1), mask.swapaxes(0, 1)
    states, outputs = jax.lax.scan(step, w.initial_states, time_first, reverse=reverse)
    return outputs.swapaxes(0, 1), states


def _product(values: jax.Array, weights: jax.Array, factors: jax.Array | None) -> jax.Array:
    """`values @ weights`; with dropout, the values are multiplied by the factors of each gate."""
    if factors is None:
        return values @ weights
    blocks = jnp.split(weights, len(factors), axis=1)
    return jnp.concatenate([(values * f) @ block for f, block in zip(factors, blocks, strict=True)], axis=-1)


def _gates(cell: str, sums: jax.Array) -> dict[str, jax.Array]:
    gates = CELLS[cell].gates
    return dict(zip(gates, jnp.split(sums, len(gates), axis=-1), strict=True))


def _lstm(x_sums: jax.Array, product: Product, states: States) -> States:
    sums = _gates("lstm", x_sums + product(states[0]))
    keep, add = jax.nn.sigmoid(sums["forget"]), jax.nn.sigmoid(sums["input"])
    c = keep * states[1] + add * jnp.tanh(sums["candidate"])
    return jax.nn.sigmoid(sums["output"]) * jnp.tanh(c), c


def _gru(x_sums: jax.Array, product: Product, states: States) -> States:
    x, h = _gates("gru", x_sums), _gates("gru", product(states[0]))
    z = jax.nn.sigmoid(x["update"] + h["update"])
    candidate = jnp.tanh(x["candidate"] + jax.nn.sigmoid(x["reset"] + h["reset"]) * h["candidate"])
    return (z * states[0] + (1 - z) * candidate,)


def _gru_reset_before(x_sums: jax.Array, product: Product, states: States) -> States:
    x, h = _gates("gru", x_sums), _gates("gru", product(states[0]))
    z = jax.nn.sigmoid(x["update"] + h["update"])
    reset_h = _gates("gru", product(jax.nn.sigmoid(x["reset"] + h["reset"]) * states[0]))
    candidate = jnp.tanh(x["candidate"] + reset_h["candidate"])
    return (z * states[0] + (1 - z) * candidate,)


_STEPS: Mapping[str, Callable[[jax.Array, Product, States], States]] = MappingProxyType(
    {
        "lstm": _lstm,
        "gru": _gru,
        "rnn": lambda x_sums, product, states: (jnp.tanh(x_sums + product(states[0])),),
        "rnn_relu": lambda x_sums, product, states: (jax.nn.relu(x_sums + product(states[0])),),
        "gru_reset_before": _gru_reset_before,
    }
)
"""One step of each cell of `bothways.spec.CELLS`: sums over x, the recurrent product, both with their biases, and the
states before."""
