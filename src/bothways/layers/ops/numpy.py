"""The engine on the NumPy backend of Keras, which infers and does not train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.engine import memory
from bothways.engine.memory import Plan


def why_not() -> str | None:
    """None: wherever there is NumPy, the engine can run."""
    return None


def recurrence(plan: Plan, x: Any, constants: Sequence[Any], arrays: Sequence[Any]) -> Sequence[Any]:
    """The results of a plan, without derivatives."""
    x = np.ascontiguousarray(x)
    arrays = [np.ascontiguousarray(array, x.dtype) for array in arrays]
    constants = [np.ascontiguousarray(each) for each in constants]
    results = [np.empty(shape, x.dtype) for shape in plan.forward_shapes(x.shape, arrays)]
    memory.forward(plan, x, constants, arrays, results)
    return results
