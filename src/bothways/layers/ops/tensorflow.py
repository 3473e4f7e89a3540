"""The engine on TensorFlow: a `tf.numpy_function` with a gradient of its own, eager and in a `tf.function`."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager.record import could_possibly_record
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from bothways.engine import memory
from bothways.engine.arguments import aligned
from bothways.engine.memory import Plan
from bothways.errors import InputError
from bothways.layers import seams

Tensors = Sequence[Any]

_UNUSED, _USED = 0.0, 1.0
_LOCK = threading.Lock()


def why_not() -> str | None:
    """None if TensorFlow has no device but the CPU, else the reason."""
    accelerators = [device.name for device in tf.config.get_visible_devices() if device.device_type != "CPU"]
    if accelerators:
        return f"TensorFlow uses {accelerators[0]}; the engine is for the CPU"
    return None


def recurrence(plan: Plan, x: Any, constants: Tensors, arrays: Tensors) -> Tensors:
    """The results of a plan; differentiable once."""
    arrays = [tf.convert_to_tensor(array) for array in arrays]  # reads the variables
    # Without a tape nothing is kept for a gradient; should one be asked for after all, it runs the forward pass again.
    with_residuals = could_possibly_record()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(x: Any, *arrays: Any) -> Any:
        results = _forward(plan, x, constants, arrays, with_residuals=with_residuals)
        count = len(results) - with_residuals * len(plan.cells)

        def gradient(*d_results: Any) -> list[Any]:
            found = _backward(plan, x, constants, arrays, results[count:], d_results)
            return _once(found, [x, *arrays, *d_results]) if could_possibly_record() else found

        return results[:count], gradient

    results: Tensors = function(x, *arrays)
    return results


def _once(gradients: list[Any], of: list[Any]) -> list[Any]:
    """Ties gradients to what they depend on: without it, their derivatives would be None, or lack a part."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(*_: Any) -> Any:
        def gradient(*_: Any) -> list[Any]:
            raise InputError(
                "The engine has first derivatives on TensorFlow, in reverse. For second ones, and forward by "
                "tf.autodiff.ForwardAccumulator, let stock Keras run the model: take its layers, or `undo()` what "
                "accelerate did."
            )

        return [tf.identity(each) for each in gradients], gradient

    return list(function(*of))


def _forward(plan: Plan, x: Any, constants: Tensors, arrays: Tensors, *, with_residuals: bool) -> list[Any]:
    def function(x: Any, *rest: Any) -> list[Any]:
        constants, arrays = _unpacked(plan, rest)
        return _run(plan, x, constants, arrays, with_residuals=with_residuals)

    sizes = [None] * len(plan.cells) if with_residuals else []
    shapes = plan.forward_shapes(x.shape, arrays, sizes)
    return _call(function, [x, *arrays, *constants], shapes)


def _backward(
    plan: Plan, x: Any, constants: Tensors, arrays: Tensors, residuals: Tensors, d_results: Tensors
) -> list[Any]:
    first, last = len(d_results), len(d_results) + len(residuals)

    def function(x: Any, *rest: Any) -> list[Any]:
        constants, arrays = _unpacked(plan, rest[last:])
        own = _own_residuals(rest[first:last]) or _run(plan, x, constants, arrays, with_residuals=True)[first:]
        # TensorFlow takes these over, and does not copy them.
        d_x, *d_arrays = (aligned(array.shape, x.dtype) for array in (x, *arrays))
        used_up = [each[:-1] for each in own]
        memory.backward(plan, x, constants, arrays, used_up, rest[:first], d_x, d_arrays)
        return [d_x, *d_arrays]

    return _call(function, [x, *d_results, *residuals, *arrays, *constants], [tensor.shape for tensor in (x, *arrays)])


def _run(plan: Plan, x: Any, constants: Tensors, arrays: Tensors, *, with_residuals: bool) -> list[Any]:
    """The results, the residuals with a number at the end that says whether they have been used."""
    sizes = plan.residual_floats(x.shape, arrays) if with_residuals else ()
    results = [aligned(shape, x.dtype) for shape in plan.forward_shapes(x.shape, arrays)]
    residuals = [aligned((floats + 1,), x.dtype) for floats in sizes]
    for each in residuals:
        each[-1] = _UNUSED
    memory.forward(plan, x, constants, arrays, [*results, *(each[:-1] for each in residuals)])
    return [*results, *residuals]


def _own_residuals(residuals: Tensors) -> list[Any]:
    """The residuals for a backward pass to write over: as they lie there, once; none if they have been used."""
    with _LOCK:
        if any(each[-1] == _USED for each in residuals):
            return []
        if not all(each.flags.writeable for each in residuals):  # not in a graph
            return [each.copy() for each in residuals]
        for each in residuals:
            each[-1] = _USED
    return list(residuals)


def _unpacked(plan: Plan, rest: Tensors) -> tuple[Tensors, Tensors]:
    """The constants and the arrays of `*arrays, *constants`."""
    count = sum(map(len, plan.groups(rest)))
    return rest[count:], rest[:count]


def _call(function: Callable[..., list[Any]], inputs: Tensors, shapes: Sequence[Any]) -> list[Any]:
    """Run `function` of NumPy arrays on tensors: now, or as a node of the graph that is being traced."""

    def dense(*arrays: Any) -> list[Any]:
        return function(*map(np.ascontiguousarray, arrays))

    if tf.executing_eagerly():
        return [tf.convert_to_tensor(result) for result in dense(*inputs)]
    seams.refuse_export()
    if GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        raise InputError(
            "XLA of TensorFlow cannot compile the engine. Leave out jit_compile=True of tf.function, or give the model "
            "back to stock Keras: call undo() of what accelerate returned."
        )
    mark = np.int64(secrets.randbits(63))

    def marked(given: Any, *arrays: Any) -> list[Any]:
        # A graph that has been written elsewhere asks for functions by numbers that others have here.
        if given != mark:
            raise InputError(
                "This graph was traced in another process, and cannot be run without that: it holds a call of the "
                "engine. Write it after undo() of what accelerate returned."
            )
        return dense(*arrays)

    kinds = [inputs[0].dtype] * len(shapes)
    results = tf.numpy_function(marked, [mark, *inputs], kinds, stateful=False, name="bothways_engine")
    for result, shape in zip(results, shapes, strict=True):
        result.set_shape(shape)
    return list(results)
