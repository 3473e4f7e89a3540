"""The tolerances of all tests, each with its reason. They are relative to the largest value compared, or 1."""

from __future__ import annotations

from typing import Any

import numpy as np

# The engine's float32 against the float64 oracle: activations are within 4e-7 of theirs, and a few hundred steps and
# products add up their roundings.
ENGINE = 2e-5

# Factors of products rounded to bfloat16 are within 2^-9 of theirs; a few rounding errors add up along a sequence.
BFLOAT16 = 2e-2

# int8 against the oracle with the same codes, and where a value stands between two codes, with the next one.
INT8_CODES = 1e-3

# Factors of products as int8 codes are within 1/254 of the largest of their row or column, and errors add up along a
# sequence.
INT8 = 5e-2

# The engine against stock Keras, both float32, each with its own roundings and its own order of sums.
KERAS = 2e-5

# The same where dropout keeps one value in ten: each step multiplies states, gradients and roundings by up to ten.
KERAS_MOST_DROPPED = 1e-4

# The engine against the modules of torch, both float32.
TORCH = 2e-5

# The engine against ONNX Runtime, probabilities of both in float32.
EXPORTED = 1e-5

# Central differences in float64 with a step of 1e-6: truncation and cancellation both near 1e-9.
DIFFERENCES = 1e-7


def error(actual: Any, expected: Any) -> float:
    """The largest difference, relative to the largest expected value (or 1); NaN counts as infinite."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{actual.shape} against {expected.shape}"
    if actual.size == 0:
        return 0.0
    difference = float(np.abs(actual.astype(np.float64) - expected).max() / max(1.0, float(np.abs(expected).max())))
    return difference if np.isfinite(difference) else float("inf")
