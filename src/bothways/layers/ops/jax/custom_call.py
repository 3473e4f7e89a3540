"""The engine as custom calls of XLA, through its typed FFI.

The handlers are in `csrc/bind_xla.cc`, which takes the operands in the order used here. A custom call has no
derivatives of its own.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bothways.engine import _native
from bothways.engine.arguments import PRECISIONS
from bothways.engine.memory import Plan
from bothways.errors import InputError
from bothways.spec import cell_number

CUSTOM_CALLS = _DIGEST, _FORWARD, _BACKWARD = "bothways_digest_v1", "bothways_forward_v3", "bothways_backward_v2"

Arrays = Sequence[jax.Array]


@functools.cache
def why_not() -> str | None:
    """None if the engine can run here, else the reason; registers the handlers with XLA on the first call."""
    if jax.default_backend() != "cpu":
        return f"JAX runs on {jax.default_backend()}; the engine is for the CPU"
    # The CPU client must exist first: a handler that XLA refuses before that costs JAX the whole CPU backend.
    jax.local_devices(backend="cpu")
    try:
        for name, handler in _native.xla_handlers().items():
            jax.ffi.register_ffi_target(name, handler, platform="cpu")
    except Exception as error:  # whatever an incompatible jaxlib raises is the reason that users are told
        return f"jax {jax.__version__} does not accept the engine: {error}"
    return None


def forward(
    plan: Plan, x: jax.Array, constants: Arrays, arrays: Arrays, *, with_residuals: bool
) -> tuple[Arrays, Arrays]:
    """The results of a plan, and `with_residuals` for each direction those that `backward` needs."""
    mask, factors = plan.constants(constants)
    outputs, states = plan.split(plan.forward_shapes(x.shape, arrays))
    if with_residuals and not all(isinstance(axis, int) for axis in x.shape):
        raise InputError(
            f"Gradients of the engine need known sizes, and sequences has shape {x.shape}. Export with the sizes of a "
            "batch, or call undo() of what accelerate returned first."
        )
    sizes = plan.residual_floats(x.shape, arrays) if with_residuals else []
    digests = [] if with_residuals else _digests(plan, x.shape, list(plan.groups(arrays)))
    operands = [x, *_given(mask)]
    shapes = [_shaped(outputs)] if plan.return_sequences else []
    for i, (group, dropout) in enumerate(zip(plan.groups(arrays), factors, strict=True)):
        operands += [*group, *_given(*(dropout or ())), *digests[i : i + 1]]
        shapes += map(_shaped, states[i])
        # Integers, as parts of them are never written, which `jax_debug_nans` would take for results.
        shapes += [_shaped((sizes[i],), jnp.uint32)] if with_residuals else []
    rest = _call(
        _FORWARD, shapes, operands, plan, plan.units(arrays), with_residuals=with_residuals, with_digests=bool(digests)
    )
    results = [next(rest)] if plan.return_sequences else []
    residuals = []
    for of_direction in states:
        results += itertools.islice(rest, len(of_direction))
        residuals += [next(rest)] if with_residuals else []
    return results, residuals


def backward(
    plan: Plan,
    x: jax.Array,
    constants: Arrays,
    arrays: Arrays,
    residuals: Arrays,
    d_results: Arrays,
    *,
    wants_d_x: bool,
) -> tuple[jax.Array | None, list[jax.Array]]:
    """The gradients of `x`, if it is wanted, and of the arrays, from those of the results."""
    d_outputs, d_states = plan.split(d_results)
    mask, factors = plan.constants(constants)
    groups = list(plan.groups(arrays))
    operands = [x, *_given(mask, d_outputs)]
    shapes = [_shaped(x.shape)] if wants_d_x else []
    aliases = {}
    for group, dropout, residual, d_state in zip(groups, factors, residuals, d_states, strict=True):
        operands += [*group[:2], *_given(*(dropout or ()))]
        aliases[len(operands)] = len(shapes)  # the backward pass writes over the residuals of the forward pass
        operands += [residual, *d_state]
        shapes += [_shaped(residual.shape, jnp.uint32), *(_shaped(array.shape) for array in group)]
    rest = _call(_BACKWARD, shapes, operands, plan, plan.units(arrays), aliases=aliases, wants_d_x=wants_d_x)
    d_x = next(rest) if wants_d_x else None
    d_arrays: list[jax.Array] = []
    for group in groups:
        next(rest)  # the residuals
        d_arrays += itertools.islice(rest, len(group))
    return d_x, d_arrays


def _digests(plan: Plan, x: Sequence[Any], groups: Sequence[Arrays]) -> list[jax.Array]:
    """The digests of the weights of all directions, where the engine will keep what it makes of the weights.

    In a loop it then need not read them in each turn.
    """
    weights = [array for group in groups for array in group[:3]]
    if any(map(any, plan.dropouts)) or not all(isinstance(axis, int) for axis in x[:2]):
        return []
    size = sum(array.size for array in weights)
    if not _native.wants_digest(x[0] * x[1], size, PRECISIONS[plan.precision]):
        return []
    shapes = [_shaped((4,), jnp.uint32)] * len(groups)
    return list(jax.ffi.ffi_call(_DIGEST, shapes, vmap_method="sequential")(*weights))


def _kinds(of_x: int, of_h: int) -> int:
    """What dropout there is, in bits: of x by gate, of h, of x for all gates."""
    return {0: 0, 1: 4}.get(of_x, 1) + 2 * bool(of_h)


def _given(*arrays: jax.Array | None) -> list[jax.Array]:
    return [array for array in arrays if array is not None]


def _shaped(shape: Sequence[Any], dtype: Any = jnp.float32) -> Any:
    return jax.ShapeDtypeStruct(tuple(shape), dtype)  # type: ignore[no-untyped-call]


def _call(
    target: str,
    shapes: Sequence[Any],
    operands: Arrays,
    plan: Plan,
    units: Sequence[int],
    *,
    aliases: dict[int, int] | None = None,
    **attributes: bool,
) -> Iterator[jax.Array]:
    call = jax.ffi.ffi_call(target, shapes, vmap_method="sequential", input_output_aliases=aliases)
    results: Arrays = call(
        *operands,
        cells=np.asarray([cell_number(cell) for cell in plan.cells], np.int64),
        units=np.asarray(units, np.int64),
        reverse=np.asarray(plan.reverse, np.int64),
        dropouts=np.asarray([_kinds(*each) for each in plan.dropouts], np.int64),
        precision=np.int64(PRECISIONS[plan.precision]),
        masked=plan.masked,
        zero_output_for_mask=plan.zero_output_for_mask,
        sequences=plan.return_sequences,
        **attributes,
    )
    return iter(results)
