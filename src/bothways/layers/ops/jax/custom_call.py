"""The engine as two custom calls of XLA, through its typed FFI.

The handlers are in `csrc/bind_xla.cc`, which takes the operands in the order used here. A custom call has no
derivatives of its own.
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
from bothways.errors import InputError
from bothways.layers.ops import gates_of
from bothways.spec import cell_number

_FORWARD, _BACKWARD = "bothways_forward_v1", "bothways_backward_v1"


class Weights(NamedTuple):
    """One direction's arrays, shaped as in `bothways.layers.ops.Direction`."""

    kernel: jax.Array
    recurrent_kernel: jax.Array
    bias: jax.Array
    initial_states: tuple[jax.Array, ...]


class Dropout(NamedTuple):
    """One direction's factors of dropout, as `dropout` and `recurrent_dropout` of `bothways.layers.ops.Direction`."""

    x: jax.Array | None
    h: jax.Array | None


class Constants(NamedTuple):
    """What is given like `x` and the weights, and has no gradient: the mask, and the dropout of each direction."""

    mask: jax.Array | None
    dropouts: tuple[Dropout, ...]


class Static(NamedTuple):
    """What is known when the program is traced.

    Attributes:
        cells: for each direction a key of `bothways.spec.CELLS`.
        reverse: for each direction whether it reads from the last step to the first.

    The others are those of `bothways.layers.ops.Options`.
    """

    cells: tuple[str, ...]
    reverse: tuple[bool, ...]
    zero_output_for_mask: bool
    return_sequences: bool
    bfloat16: bool


Results = tuple[jax.Array | None, tuple[tuple[jax.Array, ...], ...]]
"""Outputs `(batch, time, units of all directions)`, or None, and for each direction its final states."""


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


def custom_calls() -> tuple[str, ...]:
    """The names of the custom calls in programs that run the engine; registers them with XLA.

    Raises:
        InputError: the engine cannot run here.
    """
    reason = why_not()
    if reason is not None:
        raise InputError(f"There are no custom calls of the engine here: {reason}. Use a JAX for the CPU.")
    return _FORWARD, _BACKWARD


def forward(
    static: Static, x: jax.Array, constants: Constants, weights: tuple[Weights, ...], *, saves: bool
) -> tuple[jax.Array | None, tuple[tuple[jax.Array, ...], ...], tuple[jax.Array, ...]]:
    """Outputs and states, and with `saves` for each direction the residuals that `backward` needs."""
    batch, time, features = x.shape
    shapes = []
    if static.return_sequences:
        shapes.append(_floats((batch, time, sum(w.recurrent_kernel.shape[0] for w in weights))))
    operands = [x, *_given(constants.mask)]
    for cell, w, dropout in zip(static.cells, weights, constants.dropouts, strict=True):
        operands += [w.kernel, w.recurrent_kernel, w.bias, *w.initial_states, *_given(*dropout)]
        shapes += [_floats(state.shape) for state in w.initial_states]
        if saves:
            units = w.recurrent_kernel.shape[0]
            gates = map(gates_of, dropout)
            size = _native.residual_floats(cell_number(cell), batch, time, features, units, static.bfloat16, *gates)
            # Integers, as parts of them are never written, which `jax_debug_nans` would take for results.
            shapes.append(jax.ShapeDtypeStruct((size,), jnp.uint32))  # type: ignore[no-untyped-call]
    results = iter(_call(_FORWARD, shapes, operands, static, constants, weights, saves=saves))
    outputs = next(results) if static.return_sequences else None
    states, saved = [], []
    for w in weights:
        states.append(tuple(itertools.islice(results, len(w.initial_states))))
        saved += [next(results)] if saves else []
    return outputs, tuple(states), tuple(saved)


def backward(
    static: Static,
    x: jax.Array,
    constants: Constants,
    weights: tuple[Weights, ...],
    saved: tuple[jax.Array, ...],
    d_results: Results,
    *,
    wants_d_x: bool,
) -> tuple[jax.Array | None, tuple[Weights, ...]]:
    """The gradients of `x`, if it is wanted, and of the weights and initial states, from those of the results."""
    d_outputs, d_states = d_results
    operands = [x, *_given(constants.mask, d_outputs)]
    shapes = [_floats(x.shape)] if wants_d_x else []
    aliases = {}
    for w, dropout, residuals, d_state in zip(weights, constants.dropouts, saved, d_states, strict=True):
        operands += [w.kernel, w.recurrent_kernel, *_given(*dropout)]
        aliases[len(operands)] = len(shapes)  # the backward pass writes over the residuals of the forward pass
        operands += [residuals, *d_state]
        shapes += [residuals, *(_floats(array.shape) for array in jax.tree.leaves(w))]
    results = iter(_call(_BACKWARD, shapes, operands, static, constants, weights, aliases=aliases, wants_d_x=wants_d_x))
    d_x = next(results) if wants_d_x else None
    d_weights = []
    for w in weights:
        next(results)  # the residuals
        leaves, structure = jax.tree.flatten(w)
        d_weights.append(jax.tree.unflatten(structure, itertools.islice(results, len(leaves))))
    return d_x, tuple(d_weights)


def _kinds(dropout: Dropout) -> int:
    """What dropout there is, in bits: of x by gate, of h, of x for all gates."""
    of_x = 0 if dropout.x is None else 4 if gates_of(dropout.x) == 1 else 1
    return of_x + 2 * (dropout.h is not None)


def _given(*arrays: jax.Array | None) -> list[jax.Array]:
    return [array for array in arrays if array is not None]


def _floats(shape: tuple[int, ...]) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.float32)  # type: ignore[no-untyped-call]


def _call(
    target: str,
    shapes: Sequence[Any],
    operands: Sequence[jax.Array],
    static: Static,
    constants: Constants,
    weights: Sequence[Weights],
    *,
    aliases: dict[int, int] | None = None,
    **attributes: bool,
) -> list[jax.Array]:
    call = jax.ffi.ffi_call(
        target,
        [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in shapes],  # type: ignore[no-untyped-call]
        vmap_method="sequential",
        input_output_aliases=aliases,
    )
    return list(
        call(
            *operands,
            cells=np.asarray([cell_number(cell) for cell in static.cells], np.int64),
            units=np.asarray([w.recurrent_kernel.shape[0] for w in weights], np.int64),
            reverse=np.asarray(static.reverse, np.int64),
            dropouts=np.asarray([_kinds(each) for each in constants.dropouts], np.int64),
            bfloat16=static.bfloat16,
            masked=constants.mask is not None,
            zero_output_for_mask=static.zero_output_for_mask,
            sequences=static.return_sequences,
            **attributes,
        )
    )
