"""The engine on tensors of torch: an `autograd.Function`, and a custom operator where `torch.compile` traces.

The tensors reach the engine as NumPy views of their memory, an eighth of the price of DLPack.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from bothways.engine import _native, memory
from bothways.engine.memory import Plan
from bothways.errors import InputError

Tensors = Sequence[Any]

is_exporting = getattr(torch.compiler, "is_exporting", bool)
"""Whether `torch.export` traces; from torch 2.7 on."""


def run(plan: Plan, x: Any, constants: Tensors, arrays: Tensors) -> Tensors:
    """The results of a call of `bothways.engine.memory`; differentiable once.

    All tensors are on the CPU, constants aside of float32, or of float64 for the oracle.
    """
    with_residuals = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *arrays))
    if torch.compiler.is_compiling():
        results = _forward_operator(x, constants, arrays, _written(plan), with_residuals)
        # As views: Keras hangs masks on tensors, and torch.compile cannot follow that on what an operator lists.
        return [result.view_as(result) for result in results]
    if are_transformed() or (is_in_forward_mode() and any(map(_has_tangent, (x, *arrays)))):
        raise InputError(
            "torch.func (grad, vmap, jvp) and forward mode cannot look into the engine. Take torch.autograd.grad, or "
            "layers of Keras: undo() gives an accelerated model back to them."
        )
    if with_residuals:
        x = x.clone() if x.is_inference() else x  # what was made in inference mode cannot be kept for gradients
        return list(_Recurrence.apply(plan, x, constants, *arrays))
    return _forward(plan, x, constants, arrays, with_residuals=False)


def _forward(plan: Plan, x: Any, constants: Tensors, arrays: Tensors, *, with_residuals: bool) -> list[torch.Tensor]:
    sizes = plan.residual_floats(x.shape, arrays) if with_residuals else ()
    shapes = plan.forward_shapes(x.shape, arrays, sizes)
    results = [torch.empty(shape, dtype=x.dtype, device="cpu") for shape in shapes]
    memory.forward(plan, _view(x), _views(constants), _views(arrays), [r.numpy() for r in results])
    return results


def _backward(
    plan: Plan, x: Any, constants: Tensors, arrays: Tensors, residuals: Tensors, d_results: Tensors, wants_d_x: bool
) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
    d_x = torch.empty(x.shape, dtype=x.dtype, device="cpu") if wants_d_x else None
    d_arrays = [torch.empty(array.shape, dtype=x.dtype, device="cpu") for array in arrays]
    read = _view(x), _views(constants), _views(arrays)
    used_up, written = [each.numpy() for each in residuals], [d.numpy() for d in d_arrays]
    memory.backward(plan, *read, used_up, _views(d_results), None if d_x is None else d_x.numpy(), written)
    return d_x, d_arrays


def only_numbers(tensors: Tensors) -> bool:
    """Whether nothing but the numbers of tensors is asked for: no gradients, no graph, no transform."""
    differentiable = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return not (differentiable or torch.compiler.is_compiling() or are_transformed())


def digest(tensors: Tensors) -> tuple[int, int]:
    """Tells the numbers of float32 tensors apart, by all of their bits."""
    return _native.digest(_views(tensors))


def are_transformed() -> bool:
    """Whether transforms of `torch.func` are at work."""
    return bool(getattr(torch._C, "_are_functorch_transforms_active", bool)())


def is_watched() -> bool:
    """Whether a mode of torch takes each operation for itself, to trace it or to find shapes alone."""
    return not torch.compiler.is_compiling() and torch._C._len_torch_dispatch_stack() > 0


def is_in_forward_mode() -> bool:
    """Whether tensors may carry tangents, from which torch derives forward."""
    return bool(forward_ad._current_level >= 0)


def _has_tangent(tensor: torch.Tensor) -> bool:
    return forward_ad.unpack_dual(tensor).tangent is not None


def _is_batch_of_gradients(tensor: torch.Tensor) -> bool:
    return bool(torch._C._functorch.is_legacy_batchedtensor(tensor))


for _looks in (is_watched, is_in_forward_mode, lambda: _is_batch_of_gradients(torch.empty(0))):
    _looks()  # where torch, which does not document it, has something else, that is an error here and not in a call


def _view(tensor: torch.Tensor) -> Any:
    """The memory of a tensor, or of a copy where it is not dense."""
    return tensor.detach().contiguous().numpy()


def _views(tensors: Tensors) -> list[Any]:
    return list(map(_view, tensors))


class _Recurrence(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, plan: Plan, x: Any, constants: list[Any], *arrays: Any) -> tuple[torch.Tensor, ...]:
        results = _forward(plan, x, constants, arrays, with_residuals=True)
        ctx.save_for_backward(x, *constants, *arrays)
        ctx.plan, ctx.constants, ctx.residuals = plan, len(constants), results[-len(plan.cells) :]
        return tuple(results[: -len(plan.cells)])

    @staticmethod
    def backward(ctx: Any, *d_results: Any) -> tuple[Any, ...]:
        if are_transformed() or any(map(_is_batch_of_gradients, d_results)):
            raise InputError(
                "The engine takes one gradient at a time. Leave out is_grads_batched of torch.autograd.grad, vectorize "
                "of torch.autograd.functional and torch.func; or `undo()` what accelerate did."
            )
        x, *rest = ctx.saved_tensors
        constants, arrays = rest[: ctx.constants], rest[ctx.constants :]
        # A backward pass uses the residuals up; where a retained graph goes backward again, they are made anew.
        residuals = (
            ctx.residuals or _forward(ctx.plan, x, constants, arrays, with_residuals=True)[-len(ctx.plan.cells) :]
        )
        ctx.residuals = None
        with torch.no_grad():
            d_x, d_arrays = _backward(ctx.plan, x, constants, arrays, residuals, d_results, ctx.needs_input_grad[1])
        if torch.is_grad_enabled():  # the gradients may be differentiated
            d_x, *d_arrays = _Once.apply([d_x, *d_arrays], x, *arrays, *d_results)
        return None, d_x, None, *d_arrays


class _Once(torch.autograd.Function):  # type: ignore[misc]
    """Ties gradients to what they depend on: without it, their derivatives would be zeros."""

    @staticmethod
    def forward(ctx: Any, gradients: list[Any], *of: Any) -> tuple[Any, ...]:
        return tuple(gradients)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> None:
        raise InputError(
            "The engine has first derivatives on torch. For second ones let stock Keras or torch run the model: leave "
            "`accelerate` out, or `undo()` it."
        )


# Operators take no tuples: a plan travels as text.
def _written(plan: Plan) -> str:
    return repr(tuple(plan))


@functools.cache
def _read(text: str) -> Plan:
    return Plan._make(ast.literal_eval(text))


@torch.library.custom_op("bothways::recurrence", mutates_args=())  # type: ignore[untyped-decorator]
def _forward_operator(
    x: torch.Tensor,
    constants: Sequence[torch.Tensor],
    arrays: Sequence[torch.Tensor],
    text: str,
    with_residuals: bool,
) -> list[torch.Tensor]:
    return _forward(_read(text), x, constants, arrays, with_residuals=with_residuals)


@_forward_operator.register_fake  # type: ignore[untyped-decorator]
def _(x: Any, constants: Any, arrays: Any, text: str, with_residuals: bool) -> list[torch.Tensor]:
    plan = _read(text)
    sizes: list[Any] = []
    if with_residuals and all(isinstance(axis, int) for axis in (*x.shape, *plan.units(arrays))):
        sizes += plan.residual_floats(x.shape, arrays)
    elif with_residuals:  # a symbolic batch or time: as little is known of the residuals
        sizes += [torch.library.get_ctx().new_dynamic_size() for _ in plan.cells]
    return [x.new_empty(shape) for shape in plan.forward_shapes(x.shape, arrays, sizes)]


@torch.library.custom_op("bothways::recurrence_backward", mutates_args=())  # type: ignore[untyped-decorator]
def _backward_operator(
    x: torch.Tensor,
    constants: Sequence[torch.Tensor],
    arrays: Sequence[torch.Tensor],
    text: str,
    residuals: Sequence[torch.Tensor],
    d_results: Sequence[torch.Tensor],
    wants_d_x: bool,
) -> list[torch.Tensor]:
    # The residuals are copied because the engine overwrites them, and a compiled graph may be retained.
    copies = [each.clone() for each in residuals]
    d_x, d_arrays = _backward(_read(text), x, constants, arrays, copies, d_results, wants_d_x)
    return d_arrays if d_x is None else [d_x, *d_arrays]


@_backward_operator.register_fake  # type: ignore[untyped-decorator]
def _(x: Any, constants: Any, arrays: Any, text: str, residuals: Any, d_results: Any, wants_d_x: bool) -> Any:
    return [x.new_empty(tensor.shape) for tensor in ((x, *arrays) if wants_d_x else arrays)]


def _set_up(ctx: Any, inputs: Any, output: Any) -> None:
    x, constants, arrays, ctx.text, _ = inputs
    ctx.constants, ctx.arrays = len(constants), len(arrays)
    ctx.save_for_backward(x, *constants, *arrays, *output)


def _differentiate(ctx: Any, d_results: Any) -> tuple[Any, ...]:
    x, *rest = ctx.saved_tensors
    constants, rest = rest[: ctx.constants], rest[ctx.constants :]
    arrays, results = rest[: ctx.arrays], rest[ctx.arrays :]
    directions = len(_read(ctx.text).cells)
    residuals, results = results[-directions:], results[:-directions]
    d_results = [torch.zeros_like(r) if d is None else d for r, d in zip(results, d_results, strict=False)]
    wants_d_x = ctx.needs_input_grad[0]
    gradients = _backward_operator(x, constants, arrays, ctx.text, residuals, d_results, wants_d_x)
    d_x = gradients.pop(0) if wants_d_x else None
    return d_x, [None] * len(constants), gradients, None, None


_forward_operator.register_autograd(_differentiate, setup_context=_set_up)
