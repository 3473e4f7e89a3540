"""The engine inside JAX programs: compiled, differentiated as often as wanted, mapped, exported.

`custom_call` is the engine as XLA sees it, `reference` the same recurrence in jnp, and `derivatives` joins the two: the
engine computes values and first derivatives in reverse, the reference all others.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from bothways.engine.memory import Plan
from bothways.layers import seams
from bothways.layers.ops.jax import derivatives, reference
from bothways.layers.ops.jax.custom_call import CUSTOM_CALLS, Arrays, why_not

__all__ = ["CUSTOM_CALLS", "has_float64", "recurrence", "why_not"]


def has_float64() -> bool:
    """Whether arrays may be of float64, which JAX has to be told."""
    return bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]


def recurrence(plan: Plan, x: Any, constants: Arrays, arrays: Arrays) -> Arrays:
    """The results of a plan; differentiable any number of times, in either mode.

    Derivatives that the engine does not have, second ones and those forward, are those with factors in float32.
    """
    x = jnp.asarray(x)
    if isinstance(x, jax.core.Tracer):
        seams.refuse_export()
    constants, arrays = (list(map(jnp.asarray, each)) for each in (constants, arrays))
    run = reference.recurrence if x.dtype == jnp.float64 else derivatives.recurrence
    return run(plan, x, jax.lax.stop_gradient(constants), arrays)
