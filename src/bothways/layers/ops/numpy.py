"""The engine on the NumPy backend of Keras, which infers and does not train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.layers.ops import Direction, memory


def why_not() -> str | None:
    """None: wherever there is NumPy, the engine can run."""
    return None


def recurrence(
    x: Any,
    mask: Any | None,
    directions: Sequence[Direction],
    *,
    zero_output_for_mask: bool,
    return_sequences: bool,
) -> tuple[Any, list[list[Any]]]:
    """As `bothways.layers.ops.recurrence`, without derivatives."""
    x = _floats(x)
    mask = None if mask is None else np.ascontiguousarray(mask, bool)
    options = {"zero_output_for_mask": zero_output_for_mask, "return_sequences": return_sequences}
    plan, arrays = memory.plan_of(x, directions, zeros=lambda shape: np.zeros(shape, np.float32), **options)
    arrays = [_floats(array) for array in arrays]
    shapes = plan.forward_shapes(x.shape, memory.units_of(plan, arrays))
    results = [np.empty(shape, np.float32) for shape in shapes]
    memory.forward(plan, x, mask, arrays, results)
    return plan.split(results)


def _floats(array: Any) -> Any:
    return np.ascontiguousarray(array, np.float32)
