"""The engine on the torch backend of Keras: `bothways.engine.torch_tensors`, on tensors where Keras has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from keras import ops as K

from bothways.engine import torch_tensors
from bothways.engine.memory import Plan
from bothways.errors import InputError


def why_not() -> str | None:
    """None if the engine can run on the device that Keras uses, else the reason."""
    device = _device()
    if device not in ("cpu", "meta"):  # on meta tensors Keras infers shapes
        return f"torch runs on {device}; the engine is for the CPU"
    if torch.jit.is_tracing() or torch_tensors.is_exporting():
        return "torch is tracing the model, for ONNX or another file, which cannot hold the engine"
    if torch_tensors.is_watched():
        return "a mode of torch traces or counts each operation, and would not see those of the engine"
    return None


def _device() -> str:  # which tests replace
    return str(K.convert_to_tensor(0.0).device.type)


def recurrence(plan: Plan, x: Any, constants: Sequence[Any], arrays: Sequence[Any]) -> Sequence[Any]:
    """The results of a plan; differentiable once."""
    if x.is_meta:
        return [x.new_empty(shape) for shape in plan.forward_shapes(x.shape, arrays)]
    if any(tensor.device.type != "cpu" for tensor in (x, *constants, *arrays)):
        raise _misplaced(plan, x, constants, arrays)
    return torch_tensors.run(plan, x, constants, arrays)


def _misplaced(plan: Plan, x: Any, constants: Sequence[Any], arrays: Sequence[Any]) -> InputError:
    """What to say of the first tensor that is not on the CPU."""
    names = ["sequences", *["mask"] * plan.masked, *["dropout"] * (len(constants) - plan.masked)]
    for _, _, _, *states in plan.groups(arrays):
        names += ["kernel", "recurrent_kernel", "bias", *["initial_state"] * len(states)]
    tensors = zip(names, (x, *constants, *arrays), strict=True)
    name, tensor = next((name, tensor) for name, tensor in tensors if tensor.device.type != "cpu")
    return InputError(
        f"{name} {tuple(tensor.shape)} is on {tensor.device}, and Keras on the CPU, for which the engine is. Move it "
        "there, or Keras to where it is, by KERAS_TORCH_DEVICE: stock Keras runs there."
    )
