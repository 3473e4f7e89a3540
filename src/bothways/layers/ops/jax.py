"""The engine inside compiled JAX programs, through the typed FFI of XLA.

The handlers are in `csrc/bind_xla.cc`, which takes the operands in the order used here.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bothways.engine import _native
from bothways.layers.ops import Direction
from bothways.spec import CELLS, cell_number

_FORWARD, _BACKWARD = "bothways_forward_v1", "bothways_backward_v1"


class Weights(NamedTuple):
    """One direction's arrays, shaped as in `bothways.layers.ops.Direction`."""

    kernel: jax.Array
    recurrent_kernel: jax.Array
    bias: jax.Array
    initial_states: tuple[jax.Array, ...]


class _Static(NamedTuple):
    """What is known when the program is traced."""

    cells: tuple[str, ...]
    reverse: tuple[bool, ...]
    zero_output_for_mask: bool
    return_sequences: bool


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


def recurrence(
    x: Any,
    mask: Any | None,
    directions: Sequence[Direction],
    *,
    zero_output_for_mask: bool,
    return_sequences: bool,
) -> tuple[jax.Array | None, list[list[jax.Array]]]:
    """As `bothways.layers.ops.recurrence`."""
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
    static = _Static(
        tuple(direction.cell for direction in directions),
        tuple(direction.reverse for direction in directions),
        zero_output_for_mask,
        return_sequences,
    )
    outputs, states = _recurrence(static, x, None if mask is None else jnp.asarray(mask, bool), tuple(weights))
    return outputs, [list(each) for each in states]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _recurrence(static: _Static, x: jax.Array, mask: jax.Array | None, weights: tuple[Weights, ...]) -> Any:
    outputs, states, _ = _forward(static, x, mask, weights, saves=False)
    return outputs, states


def _recurrence_forward(static: _Static, x: Any, mask: Any, weights: Any) -> Any:
    wants_d_x = () if x.perturbed else None  # a residual has to be an array or structure; structure can say yes or no
    x, mask, weights = jax.tree.map(lambda primal: primal.value, (x, mask, weights), is_leaf=_is_primal)
    outputs, states, saved = _forward(static, x, mask, weights, saves=True)
    return (outputs, states), (x, mask, weights, saved, wants_d_x)


def _is_primal(node: Any) -> bool:
    return hasattr(node, "perturbed")


def _forward(static: _Static, x: Any, mask: Any, weights: tuple[Weights, ...], *, saves: bool) -> Any:
    batch, time, features = x.shape
    shapes: list[tuple[int, ...]] = []
    if static.return_sequences:
        shapes.append((batch, time, sum(w.recurrent_kernel.shape[0] for w in weights)))
    operands = [x, *([] if mask is None else [mask])]
    for cell, w in zip(static.cells, weights, strict=True):
        operands += [w.kernel, w.recurrent_kernel, w.bias, *w.initial_states]
        shapes += [state.shape for state in w.initial_states]
        if saves:
            units = w.recurrent_kernel.shape[0]
            shapes.append((_native.saved_floats(cell_number(cell), batch, time, features, units),))
    results = iter(_call(_FORWARD, shapes, operands, static, weights, masked=mask is not None, saves=saves))
    outputs = next(results) if static.return_sequences else None
    states, saved = [], []
    for w in weights:
        states.append(tuple(itertools.islice(results, len(w.initial_states))))
        saved += [next(results)] if saves else []
    return outputs, tuple(states), tuple(saved)


def _recurrence_backward(static: _Static, residuals: Any, cotangents: Any) -> Any:
    x, mask, weights, saved, wants_d_x = residuals
    d_outputs, d_states = jax.tree.map(_instantiate, cotangents, is_leaf=_is_symbolic_zero)
    operands = [x, *([] if mask is None else [mask]), *([d_outputs] if static.return_sequences else [])]
    shapes = [x.shape] if wants_d_x is not None else []
    aliases = {}
    for w, notes, d_state in zip(weights, saved, d_states, strict=True):
        operands += [w.kernel, w.recurrent_kernel]
        aliases[len(operands)] = len(shapes)  # the backward pass writes over the notes of the forward pass
        operands += [notes, *d_state]
        shapes += [notes.shape, *(array.shape for array in jax.tree.leaves(w))]
    options = {"masked": mask is not None, "wants_d_x": wants_d_x is not None}
    results = iter(_call(_BACKWARD, shapes, operands, static, weights, aliases=aliases, **options))
    d_x = next(results) if wants_d_x is not None else jnp.zeros_like(x)
    d_weights = []
    for w in weights:
        next(results)  # the notes
        leaves, structure = jax.tree.flatten(w)
        d_weights.append(jax.tree.unflatten(structure, itertools.islice(results, len(leaves))))
    d_mask = None if mask is None else np.zeros(mask.shape, jax.dtypes.float0)
    return d_x, d_mask, tuple(d_weights)


def _is_symbolic_zero(node: Any) -> bool:
    return isinstance(node, jax.custom_derivatives.SymbolicZero)


def _instantiate(cotangent: Any) -> Any:
    return jnp.zeros(cotangent.shape, cotangent.dtype) if _is_symbolic_zero(cotangent) else cotangent


_recurrence.defvjp(_recurrence_forward, _recurrence_backward, symbolic_zeros=True)


def _call(
    target: str,
    shapes: Sequence[tuple[int, ...]],
    operands: Sequence[jax.Array],
    static: _Static,
    weights: Sequence[Weights],
    *,
    aliases: dict[int, int] | None = None,
    **attributes: bool,
) -> list[jax.Array]:
    call = jax.ffi.ffi_call(
        target,
        [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes],  # type: ignore[no-untyped-call]
        vmap_method="sequential",
        input_output_aliases=aliases,
    )
    return list(
        call(
            *operands,
            cells=np.asarray([cell_number(cell) for cell in static.cells], np.int64),
            units=np.asarray([w.recurrent_kernel.shape[0] for w in weights], np.int64),
            reverse=np.asarray(static.reverse, np.int64),
            zero_output_for_mask=static.zero_output_for_mask,
            sequences=static.return_sequences,
            **attributes,
        )
    )
