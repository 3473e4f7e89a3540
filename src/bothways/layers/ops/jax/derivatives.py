"""How JAX differentiates the engine.

The derivative of the recurrence is a primitive, linear in the tangents. Its transpose, which is all that the gradient
of a loss needs, is the backward pass of the engine. Forward, and wherever a derivative is differentiated again, the
reference takes its place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad, batching, mlir

from bothways.layers.ops.jax import custom_call, reference
from bothways.layers.ops.jax.custom_call import Constants, Results, Static, Weights
from bothways.spec import CELLS


class _Layout(NamedTuple):
    """What the flat arguments of the primitive are.

    `x, *leaves of the weights, *residuals, *leaves of the constants`, then the tangents of some of x and the leaves of
    the weights.

    Attributes:
        static: that of the call.
        constants: their structure: which there are.
        active: for x and each leaf, whether it has a tangent.
        mapped: how many axes of `jax.vmap` stand before those of every argument.
    """

    static: Static
    constants: Any
    active: tuple[bool, ...]
    mapped: int = 0

    def split(self, arguments: Sequence[Any]) -> tuple[Any, Constants, tuple[Weights, ...], Any, tuple[Any, ...]]:
        """`x, constants, weights, residuals, tangents`."""
        inputs = len(self.active)
        residuals = inputs + len(self.static.cells)
        fixed = residuals + self.constants.num_leaves
        constants = jax.tree.unflatten(self.constants, arguments[residuals:fixed])
        weights = self.weights(arguments[1:inputs])
        return arguments[0], constants, weights, tuple(arguments[inputs:residuals]), tuple(arguments[fixed:])

    def over_mapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, of arguments with the mapped axes."""
        for _ in range(self.mapped):
            function = jax.vmap(function)
        return function

    def weights(self, leaves: Sequence[Any]) -> tuple[Weights, ...]:
        """The leaves by direction."""
        rest, weights = list(leaves), []
        for cell in self.static.cells:
            states = len(CELLS[cell].states)
            kernel, recurrent_kernel, bias = rest[:3]
            weights.append(Weights(kernel, recurrent_kernel, bias, tuple(rest[3 : 3 + states])))
            del rest[: 3 + states]
        return tuple(weights)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def recurrence(static: Static, x: jax.Array, constants: Constants, weights: tuple[Weights, ...]) -> Results:
    """Outputs, or None, and the states of each direction."""
    outputs, states, _ = custom_call.forward(static, x, constants, weights, saves=False)
    return outputs, states


@functools.partial(recurrence.defjvp, symbolic_zeros=True)
def _(static: Static, primals: Any, tangents: Any) -> tuple[Results, Results]:
    *results, residuals = _with_residuals(static, *primals)
    return tuple(results), _tangent(static, primals, residuals, tangents)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _with_residuals(static: Static, x: Any, constants: Any, weights: Any) -> tuple[Any, Any, Any]:
    """As `recurrence`, with the residuals for `_backward`. Their derivative is never asked for: `_backward` has its own
    with respect to all that they are made of.
    """
    return custom_call.forward(static, x, constants, weights, saves=True)


@functools.partial(_with_residuals.defjvp, symbolic_zeros=True)
def _(static: Static, primals: Any, tangents: Any) -> tuple[Any, Any]:
    outputs, states, residuals = _with_residuals(static, *primals)
    none = tuple(np.zeros(each.shape, jax.dtypes.float0) for each in residuals)
    return (outputs, states, residuals), (*_tangent(static, primals, residuals, tangents), none)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _backward(
    static: Static, wants_d_x: bool, x: Any, constants: Any, weights: Any, residuals: Any, d_results: Any
) -> Any:
    return custom_call.backward(static, x, constants, weights, residuals, d_results, wants_d_x=wants_d_x)


@_backward.defjvp
def _(static: Static, wants_d_x: bool, primals: Any, tangents: Any) -> Any:
    constants = primals[1]

    def backward(x: Any, weights: Any, d_results: Any) -> Any:
        _, vjp = jax.vjp(lambda x, weights: reference.recurrence(static, x, constants, weights), x, weights)
        d_x, d_weights = vjp(d_results)
        return (d_x if wants_d_x else None), d_weights

    (x, _, weights, _, d_results), (d_x, _, d_weights, _, dd_results) = primals, tangents
    return jax.jvp(backward, (x, weights, d_results), (d_x, d_weights, dd_results))


def _tangent(static: Static, primals: Any, residuals: Any, tangents: Any) -> Results:
    """The tangents of outputs and states from those of x, weights and initial states, by the primitive."""
    (x, constants, weights), (d_x, _, d_weights) = primals, tangents
    d_inputs = [d_x, *jax.tree.leaves(d_weights, is_leaf=_is_zero)]
    layout = _Layout(static, jax.tree.structure(constants), tuple(not _is_zero(d) for d in d_inputs))
    fixed = [x, *jax.tree.leaves(weights), *residuals, *jax.tree.leaves(constants)]
    results = _tangent_p.bind(*fixed, *(d for d in d_inputs if not _is_zero(d)), layout=layout)
    return _results(static, results)


def _results(static: Static, results: Sequence[jax.Array]) -> Results:
    rest = list(results)
    outputs = rest.pop(0) if static.return_sequences else None
    states = [tuple(rest.pop(0) for _ in CELLS[cell].states) for cell in static.cells]
    return outputs, tuple(states)


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)


def _instantiate(tangent: Any) -> jax.Array:
    zeros: jax.Array = ad.instantiate_zeros(tangent)  # type: ignore[no-untyped-call]
    return zeros


_tangent_p: Any = jax.extend.core.Primitive("bothways_tangent")
_tangent_p.multiple_results = True


@_tangent_p.def_impl  # type: ignore[untyped-decorator]
@functools.partial(jax.jit, static_argnames="layout")
def _forward_mode(*arguments: Any, layout: _Layout) -> list[jax.Array]:
    results: list[jax.Array] = layout.over_mapped(functools.partial(_one_forward, layout))(*arguments)
    return results


def _one_forward(layout: _Layout, *arguments: Any) -> list[jax.Array]:
    x, constants, weights, _, tangents = layout.split(arguments)
    primals = [x, *jax.tree.leaves(weights)]
    given = iter(tangents)
    every = [next(given) if active else jnp.zeros_like(p) for p, active in zip(primals, layout.active, strict=True)]

    def function(x: Any, *leaves: Any) -> Results:
        return reference.recurrence(layout.static, x, constants, layout.weights(leaves))

    return jax.tree.leaves(jax.jvp(function, primals, every)[1])


mlir.register_lowering(_tangent_p, mlir.lower_fun(_forward_mode, multiple_results=True))


@_tangent_p.def_abstract_eval  # type: ignore[untyped-decorator]
def _(*arguments: Any, layout: _Layout) -> list[Any]:
    x, _, weights, _, _ = layout.split(arguments)
    shapes = [state.shape for w in weights for state in w.initial_states]
    if layout.static.return_sequences:
        shapes.insert(0, (*x.shape[:-1], sum(w.recurrent_kernel.shape[-2] for w in weights)))
    return [jax.core.ShapedArray(shape, x.dtype) for shape in shapes]


def _transpose(cotangents: Any, *arguments: Any, layout: _Layout) -> list[Any]:
    x, constants, weights, residuals, tangents = layout.split(arguments)
    d_results = _results(layout.static, [_instantiate(each) for each in cotangents])
    backward = layout.over_mapped(functools.partial(_backward, layout.static, layout.active[0]))
    d_x, d_weights = backward(x, constants, weights, residuals, d_results)
    gradients = [d_x, *jax.tree.leaves(d_weights)]
    active = [gradient for gradient, active in zip(gradients, layout.active, strict=True) if active]
    return [None] * (len(arguments) - len(tangents)) + active


def _jvp(primals: Any, tangents: Any, *, layout: _Layout) -> tuple[Any, Any]:
    inputs, fixed = len(layout.active), len(primals) - sum(layout.active)
    parts = []
    if any(not isinstance(d, ad.Zero) for d in tangents[fixed:]):
        parts.append(_tangent_p.bind(*primals[:fixed], *map(_instantiate, tangents[fixed:]), layout=layout))
    if any(not isinstance(d, ad.Zero) for d in tangents[:inputs]):  # of the residuals and the constants there are none

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
