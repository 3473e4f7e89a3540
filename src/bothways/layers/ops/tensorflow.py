"""The engine on TensorFlow: a `tf.numpy_function` with a gradient of its own, eager and in a `tf.function`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from bothways.layers.ops import Direction, memory
from bothways.layers.ops.memory import Plan


def why_not() -> str | None:
    """None if TensorFlow has no device but the CPU, else the reason."""
    accelerators = [device.name for device in tf.config.get_visible_devices() if device.device_type != "CPU"]
    if accelerators:
        return f"TensorFlow uses {accelerators[0]}; the engine is for the CPU"
    return None


def recurrence(
    x: Any,
    mask: Any | None,
    directions: Sequence[Direction],
    *,
    zero_output_for_mask: bool,
    return_sequences: bool,
) -> tuple[Any, list[list[Any]]]:
    """As `bothways.layers.ops.recurrence`; differentiable once."""

    def zeros(shape: Sequence[int | None]) -> Any:
        return tf.zeros([tf.shape(x)[0] if axis is None else axis for axis in shape])

    options = {"zero_output_for_mask": zero_output_for_mask, "return_sequences": return_sequences}
    plan, arrays = memory.plan_of(x, directions, zeros=zeros, **options)
    arrays = [tf.convert_to_tensor(array) for array in arrays]  # reads the variables
    # Without a tape nothing is kept for a gradient; should one be asked for after all, it runs the forward pass again.
    saves = record.could_possibly_record()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(x: Any, *arrays: Any) -> Any:
        results = _forward(plan, x, mask, arrays, saves=saves)
        count = len(results) - saves * len(plan.cells)

        def gradient(*d_results: Any) -> list[Any]:
            return _backward(plan, x, mask, arrays, results[count:], d_results)

        return results[:count], gradient

    return plan.split(function(x, *arrays))


def _forward(plan: Plan, x: Any, mask: Any, arrays: Sequence[Any], *, saves: bool) -> list[Any]:
    def function(x: Any, *rest: Any) -> list[Any]:
        mask, arrays = _unpacked(plan, rest)
        return _run(plan, x, mask, arrays, saves=saves)

    saved = [None] * len(plan.cells) if saves else []
    shapes = plan.forward_shapes(x.shape, memory.units_of(plan, arrays), saved)
    return _call(function, [x, *_packed(mask, arrays)], shapes)


def _backward(plan: Plan, x: Any, mask: Any, arrays: Sequence[Any], saved: Sequence[Any], d_results: Any) -> list[Any]:
    results, notes = len(d_results), len(d_results) + len(saved)

    def function(x: Any, *rest: Any) -> list[Any]:
        mask, arrays = _unpacked(plan, rest[notes:])
        if saved:  # the engine writes over them: it gets copies, unless TensorFlow has made some already
            own = [each if each.flags.owndata and each.flags.writeable else each.copy() for each in rest[results:notes]]
        else:
            own = _run(plan, x, mask, arrays, saves=True)[results:]
        d_x, d_arrays = np.empty_like(x), [np.empty_like(array) for array in arrays]
        memory.backward(plan, x, mask, arrays, own, rest[:results], d_x, d_arrays)
        return [d_x, *d_arrays]

    inputs = [x, *d_results, *saved, *_packed(mask, arrays)]
    return _call(function, inputs, [tensor.shape for tensor in (x, *arrays)])


def _run(plan: Plan, x: Any, mask: Any, arrays: Sequence[Any], *, saves: bool) -> list[Any]:
    units = memory.units_of(plan, arrays)
    saved = plan.saved_floats(x.shape, units) if saves else ()
    results = [np.empty(shape, np.float32) for shape in plan.forward_shapes(x.shape, units, saved)]
    memory.forward(plan, x, mask, arrays, results)
    return results


def _packed(mask: Any, arrays: Sequence[Any]) -> list[Any]:
    return [*arrays, *([] if mask is None else [mask])]


def _unpacked(plan: Plan, rest: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    count = sum(map(len, plan.groups(rest, others=3)))
    return (rest[count] if len(rest) > count else None), rest[:count]


def _call(function: Callable[..., list[Any]], inputs: Sequence[Any], shapes: Sequence[Any]) -> list[Any]:
    """Run `function` of NumPy arrays on tensors: now, or as a node of the graph that is being traced."""

    def dense(*arrays: Any) -> list[Any]:
        return function(*map(np.ascontiguousarray, arrays))

    if tf.executing_eagerly():
        return [tf.convert_to_tensor(result) for result in dense(*inputs)]
    results = tf.numpy_function(dense, inputs, [tf.float32] * len(shapes), stateful=False)
    for result, shape in zip(results, shapes, strict=True):
        result.set_shape(shape)
    return list(results)
