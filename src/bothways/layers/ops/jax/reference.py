"""The recurrence of the engine on arrays of JAX, which differentiates it as often as wanted.

It runs only where a derivative is asked for that the engine does not have: a second one, or one forward; and for all
that is of float64.
"""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp

from bothways.engine.cells import Product, steps_of
from bothways.engine.memory import Plan
from bothways.layers.ops.jax.custom_call import Arrays
from bothways.spec import cell_spec


def recurrence(plan: Plan, x: jax.Array, constants: Arrays, arrays: Arrays) -> list[jax.Array]:
    """As `custom_call.forward` without residuals, in the dtype of `x` whatever the plan says."""
    mask, factors = plan.constants(constants)
    counts = jnp.ones(x.shape[:2], bool) if mask is None else mask
    groups = plan.groups(arrays)
    found = [
        _direction(cell, reverse, plan.zero_output_for_mask, x, counts, group, dropout or (None, None))
        for cell, reverse, group, dropout in zip(plan.cells, plan.reverse, groups, factors, strict=True)
    ]
    outputs, states = zip(*found, strict=True)
    both = [jnp.concatenate(outputs, axis=-1)] if plan.return_sequences else []
    return [*both, *itertools.chain(*states)]


def _direction(
    cell: str, reverse: bool, zero_output_for_mask: bool, x: Any, mask: Any, arrays: Any, dropout: Any
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    (kernel, recurrent_kernel, bias, *initial_states), (of_x, of_h) = arrays, dropout
    biases: Any = (bias, jnp.zeros_like(bias)) if cell_spec(cell).biases == 1 else bias
    product = Product(recurrent_kernel, biases[1], of_h)

    def step(states: Any, inputs: Any) -> Any:
        x_sums, counts = inputs
        after: Any = steps_of(cell).step(x_sums, product, states)[0]
        after = tuple(jnp.where(counts[:, None], new, old) for new, old in zip(after, states, strict=True))
        output = jnp.where(counts[:, None], after[0], 0.0) if zero_output_for_mask else after[0]
        return after, output

    x_sums: Any = Product(kernel, biases[0], None if of_x is None else of_x[:, :, None]).sums(x)
    time_first = x_sums.swapaxes(0, 1), mask.swapaxes(0, 1)
    states, outputs = jax.lax.scan(step, tuple(initial_states), time_first, reverse=reverse)
    return outputs.swapaxes(0, 1), states
