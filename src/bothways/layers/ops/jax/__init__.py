"""The engine inside JAX programs: compiled, differentiated as often as wanted, mapped, exported.

`custom_call` is the engine as XLA sees it, `reference` the same recurrence in jnp, and `derivatives` joins the two: the
engine computes values and first derivatives in reverse, the reference all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from bothways.layers.ops import Direction
from bothways.layers.ops.jax import derivatives, reference
from bothways.layers.ops.jax.custom_call import Constants, Dropout, Static, Weights, custom_calls, why_not
from bothways.spec import CELLS

__all__ = ["custom_calls", "has_float64", "recurrence", "why_not"]


def has_float64() -> bool:
    """Whether arrays may be of float64, which JAX has to be told."""
    return bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]


def recurrence(
    x: Any,
    mask: Any | None,
    directions: Sequence[Direction],
    *,
    zero_output_for_mask: bool,
    return_sequences: bool,
    bfloat16: bool = False,
) -> tuple[jax.Array | None, list[list[jax.Array]]]:
    """As `bothways.layers.ops.recurrence`; differentiable any number of times, in either mode.

    Derivatives that the engine does not have, second ones and those forward, are those with factors in float32. In
    float64 the reference computes all.
    """
    x = jnp.asarray(x)
    weights = []
    for direction in directions:
        spec, units = CELLS[direction.cell], direction.recurrent_kernel.shape[0]
        bias, states = direction.bias, direction.initial_states
        if bias is None:
            bias = jnp.zeros(spec.weight_shapes(x.shape[2], units)["bias"], x.dtype)
        if states is None:
            states = [jnp.zeros((x.shape[0], units), x.dtype)] * len(spec.states)
        kernels = jnp.asarray(direction.kernel), jnp.asarray(direction.recurrent_kernel)
        weights.append(Weights(*kernels, jnp.asarray(bias), tuple(map(jnp.asarray, states))))
    static = Static(
        tuple(direction.cell for direction in directions),
        tuple(direction.reverse for direction in directions),
        zero_output_for_mask,
        return_sequences,
        bfloat16,
    )
    constants = Constants(
        None if mask is None else jnp.asarray(mask, bool),
        tuple(Dropout(direction.dropout, direction.recurrent_dropout) for direction in directions),
    )
    run = reference.recurrence if x.dtype == jnp.float64 else derivatives.recurrence
    outputs, states = run(static, x, jax.lax.stop_gradient(constants), tuple(weights))
    return outputs, [list(each) for each in states]
