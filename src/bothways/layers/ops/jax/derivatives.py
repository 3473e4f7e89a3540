"""How JAX differentiates the engine.

The derivative of the recurrence is a primitive, linear in the tangents. Its transpose, which is all that the gradient
of a loss needs, is the backward pass of the engine. Forward, and wherever a derivative is differentiated again, the
reference takes its place.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.custom_derivatives import SymbolicZero
from jax.interpreters import ad, batching, mlir
from jax.interpreters.ad import Zero, instantiate_zeros

from bothways.engine.memory import Plan
from bothways.errors import InputError
from bothways.layers.ops.jax import custom_call, reference
from bothways.layers.ops.jax.custom_call import Arrays


class _Layout(NamedTuple):
    """What the flat arguments of the primitive are.

    `x, *arrays, *residuals, *constants`, then the tangents of some of x and the arrays.
    """

    plan: Plan  # that of the call
    active: tuple[bool, ...]  # for x and each array, whether it has a tangent
    mapped: int = 0  # how many axes of `jax.vmap` stand before those of every argument

    def split(self, arguments: Sequence[Any]) -> tuple[Any, list[Any], list[Any], list[Any], list[Any]]:
        """`x, constants, arrays, residuals, tangents`."""
        (x, *rest), arrays, tangents = arguments, len(self.active) - 1, len(arguments) - 1 - sum(self.active)
        residuals = arrays + len(self.plan.cells)
        return x, rest[residuals:tangents], rest[:arrays], rest[arrays:residuals], rest[tangents:]

    def over_mapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, of arguments with the mapped axes."""
        for _ in range(self.mapped):
            function = jax.vmap(function)
        return function


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def recurrence(plan: Plan, x: jax.Array, constants: Arrays, arrays: Arrays) -> Arrays:
    """The results of a plan."""
    return custom_call.forward(plan, x, constants, arrays, with_residuals=False)[0]


@functools.partial(recurrence.defjvp, symbolic_zeros=True)
def _(plan: Plan, primals: Any, tangents: Any) -> tuple[Arrays, Arrays]:
    results, residuals = _with_residuals(plan, *primals)
    return results, _tangent(plan, primals, residuals, tangents)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _with_residuals(plan: Plan, x: Any, constants: Any, arrays: Any) -> tuple[Arrays, Arrays]:
    """As `recurrence`, with the residuals for `_backward`. Their derivative is never asked for: `_backward` has its own
    with respect to all that they are made of.
    """
    return custom_call.forward(plan, x, constants, arrays, with_residuals=True)


@functools.partial(_with_residuals.defjvp, symbolic_zeros=True)
def _(plan: Plan, primals: Any, tangents: Any) -> tuple[Any, Any]:
    results, residuals = _with_residuals(plan, *primals)
    none = [np.zeros(each.shape, jax.dtypes.float0) for each in residuals]
    return (results, residuals), (_tangent(plan, primals, residuals, tangents), none)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _backward(plan: Plan, wants_d_x: bool, x: Any, constants: Any, arrays: Any, residuals: Any, d_results: Any) -> Any:
    return custom_call.backward(plan, x, constants, arrays, residuals, d_results, wants_d_x=wants_d_x)


@_backward.defjvp
def _(plan: Plan, wants_d_x: bool, primals: Any, tangents: Any) -> Any:
    constants = primals[1]

    def backward(x: Any, arrays: Any, d_results: Any) -> Any:
        _, vjp = jax.vjp(lambda x, arrays: reference.recurrence(plan, x, constants, arrays), x, arrays)
        d_x, d_arrays = vjp(d_results)
        return (d_x if wants_d_x else None), d_arrays

    (x, _, arrays, _, d_results), (d_x, _, d_arrays, _, dd_results) = primals, tangents
    return jax.jvp(backward, (x, arrays, d_results), (d_x, d_arrays, dd_results))


def _tangent(plan: Plan, primals: Any, residuals: Any, tangents: Any) -> list[jax.Array]:
    """The tangents of the results from those of x and the arrays, by the primitive."""
    (x, constants, arrays), (d_x, _, d_arrays) = primals, tangents
    if any(map(_varies, (x, *constants, *arrays))):  # which its results do not say: sums would be wrong
        raise InputError(
            "The engine has no derivatives where jax.shard_map tracks what differs between devices. Give shard_map "
            "check_vma=False."
        )
    active = tuple(not isinstance(d, SymbolicZero) for d in (d_x, *d_arrays))
    given = itertools.compress((d_x, *d_arrays), active)
    layout = _Layout(plan, active)
    results: list[jax.Array] = _tangent_p.bind(x, *arrays, *residuals, *constants, *given, layout=layout)
    return results


def _varies(array: Any) -> bool:
    """Whether an array is known to differ between the devices of a `jax.shard_map`."""
    kind = getattr(array, "aval", None)
    return bool(getattr(kind, "vma", ()) or getattr(getattr(kind, "mat", None), "varying", ()))


def _instantiate(tangent: Any) -> jax.Array:
    zeros: jax.Array = instantiate_zeros(tangent)  # type: ignore[no-untyped-call]
    return zeros


_tangent_p: Any = jax.extend.core.Primitive("bothways_tangent")
_tangent_p.multiple_results = True


@_tangent_p.def_impl  # type: ignore[untyped-decorator]
@functools.partial(jax.jit, static_argnames="layout")
def _forward_mode(*arguments: Any, layout: _Layout) -> list[jax.Array]:
    results: list[jax.Array] = layout.over_mapped(functools.partial(_one_forward, layout))(*arguments)
    return results


def _one_forward(layout: _Layout, *arguments: Any) -> list[jax.Array]:
    x, constants, arrays, _, tangents = layout.split(arguments)
    primals, given = [x, *arrays], iter(tangents)
    every = [next(given) if active else jnp.zeros_like(p) for p, active in zip(primals, layout.active, strict=True)]

    def function(x: Any, *arrays: Any) -> list[jax.Array]:
        return reference.recurrence(layout.plan, x, constants, arrays)

    results: list[jax.Array] = jax.jvp(function, primals, every)[1]
    return results


mlir.register_lowering(_tangent_p, mlir.lower_fun(_forward_mode, multiple_results=True))


@_tangent_p.def_abstract_eval  # type: ignore[untyped-decorator]
def _(*arguments: Any, layout: _Layout) -> list[Any]:
    x, _, arrays, _, _ = layout.split(arguments)
    axes, plan = layout.mapped, layout.plan
    shapes = plan.forward_shapes(x.shape[axes:], arrays)
    return [ShapedArray((*x.shape[:axes], *shape), x.dtype) for shape in shapes]


def _transpose(cotangents: Any, *arguments: Any, layout: _Layout) -> list[Any]:
    x, constants, arrays, residuals, tangents = layout.split(arguments)
    backward = layout.over_mapped(functools.partial(_backward, layout.plan, layout.active[0]))
    d_x, d_arrays = backward(x, constants, arrays, residuals, list(map(_instantiate, cotangents)))
    active = itertools.compress((d_x, *d_arrays), layout.active)
    return [None] * (len(arguments) - len(tangents)) + list(active)


def _jvp(primals: Any, tangents: Any, *, layout: _Layout) -> tuple[Any, Any]:
    inputs, fixed = len(layout.active), len(primals) - sum(layout.active)
    parts = []
    if any(not isinstance(d, Zero) for d in tangents[fixed:]):
        parts.append(_tangent_p.bind(*primals[:fixed], *map(_instantiate, tangents[fixed:]), layout=layout))
    if any(not isinstance(d, Zero) for d in tangents[:inputs]):  # of the residuals and the constants there are none

        def function(*arguments: Any) -> Any:
            return _forward_mode(*arguments, *primals[inputs:], layout=layout)

        parts.append(jax.jvp(function, primals[:inputs], tuple(map(_instantiate, tangents[:inputs])))[1])
    return _tangent_p.bind(*primals, layout=layout), [sum(each[1:], each[0]) for each in zip(*parts, strict=True)]


def _batch(arguments: Any, axes: Any, *, layout: _Layout) -> tuple[Any, list[int]]:
    size = next(each.shape[axis] for each, axis in zip(arguments, axes, strict=True) if axis is not None)
    rows = [
        jnp.broadcast_to(each, (size, *each.shape)) if axis is None else jnp.moveaxis(each, axis, 0)
        for each, axis in zip(arguments, axes, strict=True)
    ]
    results = _tangent_p.bind(*rows, layout=layout._replace(mapped=layout.mapped + 1))
    return results, [0] * len(results)


ad.primitive_transposes[_tangent_p] = _transpose
ad.primitive_jvps[_tangent_p] = _jvp
batching.primitive_batchers[_tangent_p] = _batch
