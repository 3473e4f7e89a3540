"""The engine as an operation of the Keras backend in use.

One file per backend, each with `why_not` below and `recurrence(plan, x, constants, arrays)`, the results of a plan; see
`bothways.engine.memory`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as K

from bothways.engine.memory import Options, Reading, Results, plan_of
from bothways.errors import InputError

BACKENDS = ("jax", "torch", "tensorflow", "numpy")


def why_not() -> str | None:
    """None if the engine can run on the backend in use, else the reason in words."""
    if _BACKEND is None:
        return _WHY_NONE
    reason: str | None = _BACKEND.why_not()
    return reason


def loaded(name: str) -> tuple[Any, str]:
    """The module for a backend; or none, and the reason in words."""
    if name not in BACKENDS:
        return None, f"Keras runs on {name}; the engine has {', '.join(BACKENDS)}"
    try:
        return importlib.import_module(f"{__name__}.{name}"), ""
    except (ImportError, AttributeError) as changed:  # it takes what the library of the backend does not document
        version = getattr(sys.modules.get(name), "__version__", "")
        return None, f"{name} {version} is not as the engine knows it: {changed}"


def has_float64() -> bool:
    """Whether tensors of float64 are what they say: on JAX they are of float32 unless `jax_enable_x64` is set."""
    return _NAME != "jax" or bool(_BACKEND and _BACKEND.has_float64())


def recurrence(x: Any, mask: Any, directions: Sequence[Reading], options: Options) -> Results:
    """A recurrent layer in one direction or both, differentiable.

    All floats that come and go are float32, and the engine runs; or all are float64, and the oracle runs in its place.
    """

    def zeros(shape: Sequence[int | None]) -> Any:
        return K.zeros([K.shape(x)[0] if axis is None else axis for axis in shape], x.dtype)

    plan, constants, arrays = plan_of(x, mask, directions, options, zeros)
    return plan.split(_BACKEND.recurrence(plan, x, constants, arrays))


def custom_calls() -> tuple[str, ...]:
    """The names under which compiled JAX programs call the engine, for `jax.export`, which has to be told of them.

    Besides, this process can run such programs from then on: call it, too, before a program that was exported.

    Raises:
        InputError: Keras does not run on JAX, or JAX not on the CPU.

    Example:
        >>> import jax.export
        >>> from bothways.layers import LSTM
        >>> layer = LSTM(4)
        >>> x = jax.numpy.zeros((2, 5, 3))
        >>> _ = layer(x)
        >>> safe = [jax.export.DisabledSafetyCheck.custom_call(name) for name in custom_calls()]
        >>> jax.export.export(jax.jit(layer), disabled_checks=safe)(x).call(x).shape
        (2, 4)
    """
    if _NAME != "jax":
        raise InputError(f"Keras runs on {_NAME}; custom calls are for JAX. Set KERAS_BACKEND=jax.")
    if (reason := why_not()) is not None:  # which registers them
        raise InputError(f"There are no custom calls of the engine here: {reason}. Use a JAX for the CPU.")
    names: tuple[str, ...] = _BACKEND.CUSTOM_CALLS
    return names


# Loaded here, when the names above are there for it to import: `torch.compile` does not look into an import in a call.
_NAME = keras.backend.backend()
SUPPORTS_JIT = _NAME != "tensorflow"  # whether XLA, where Keras uses it, can compile a program with the engine in it
MASKED_START_IS_ZERO = _NAME in ("torch", "tensorflow")
_BACKEND, _WHY_NONE = loaded(_NAME)
