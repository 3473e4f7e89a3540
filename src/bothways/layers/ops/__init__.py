"""The engine as an operation of the Keras backend in use.

One file a backend (`jax.py`), each with the two functions below.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import keras

BACKENDS = ("jax",)


class Direction(NamedTuple):
    """One reading of a batch, in tensors of the backend.

    Attributes:
        cell: a key of `bothways.spec.CELLS`.
        kernel: `(features, gates * units)`.
        recurrent_kernel: `(units, gates * units)`.
        bias: shaped as the cell's spec says, or None for no bias.
        initial_states: `(batch, units)` each, or None for zeros.
        reverse: read from the last step to the first.
    """

    cell: str
    kernel: Any
    recurrent_kernel: Any
    bias: Any | None
    initial_states: Sequence[Any] | None
    reverse: bool


def why_not() -> str | None:
    """None if the engine can run on the backend in use, else the reason in words."""
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        return f"Keras runs on {backend}; the engine has {', '.join(BACKENDS)}"
    reason: str | None = _module().why_not()
    return reason


def recurrence(
    x: Any,
    mask: Any | None,
    directions: Sequence[Direction],
    *,
    zero_output_for_mask: bool,
    return_sequences: bool,
) -> tuple[Any, list[list[Any]]]:
    """A recurrent layer in one direction or both, differentiable.

    Args:
        x: `(batch, time, features)`, float32.
        mask: `(batch, time)`, bool, or None.
        directions: one or two; they run side by side.
        zero_output_for_mask: a masked step puts out zeros, not the state that it carries.
        return_sequences: whether the outputs of the steps are wanted.

    Returns:
        Outputs `(batch, time, units of all directions)`, each at its own step, or None; and for each direction
        its final states.
    """
    result: tuple[Any, list[list[Any]]] = _module().recurrence(
        x, mask, directions, zero_output_for_mask=zero_output_for_mask, return_sequences=return_sequences
    )
    return result


def _module() -> ModuleType:
    return importlib.import_module(f"{__name__}.{keras.backend.backend()}")
