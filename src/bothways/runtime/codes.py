"""Weights as int8: whole numbers from -127 to 127, the codes, times a float32 scale for each column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bothways.arrays import checked_array
from bothways.errors import InputError
from bothways.sequences import Array, Floats

CODED = ("kernel", "embeddings")
"""Weights whose names end so have codes; biases, numbers of the encoding and transitions of a CRF stay float32."""

MOST = 127
LARGEST = float(np.finfo(np.float32).max)
LEAST = 1e-30  # columns without a larger weight are zeros, as the engine has it
SCALE = "/scale"


def quantized(weights: Mapping[str, Floats]) -> dict[str, Array]:
    """The codes `(..., columns)` of weights under their names, and the scales `(columns,)` under `NAME/scale`.

    The engine finds the same codes and scales in what `dequantized` makes of them; so does this function.
    """
    arrays = dict[str, Array](weights)
    for name in _coded(weights):
        columns = weights[name].reshape(-1, weights[name].shape[-1])
        most = np.abs(columns).max(axis=0)
        scale = np.where(most < LEAST, np.float32(0), most / np.float32(MOST))
        inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
        arrays[name] = np.rint(weights[name] * inverse).astype(np.int8)
        arrays[name + SCALE] = scale
    return arrays


def dequantized(arrays: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The weights of these names and shapes that `quantized` made codes of, each within half of its column's scale.

    `InputError` if codes or scales are missing, of another type or shape, or do not fit each other.
    """
    weights = dict(arrays)
    for name in _coded(shapes):
        codes = checked_array(arrays, name, np.int8, shapes[name])
        scale = checked_array(arrays, name + SCALE, np.float32, codes.shape[-1:], 0, LARGEST / MOST)
        most = np.abs(codes.reshape(-1, len(scale)).astype(np.int16)).max(axis=0)
        if not (most == np.where(scale > 0, MOST, 0)).all():
            raise InputError(f"The array {name!r} has columns whose largest code is not {MOST}, as their scales need.")
        weights[name] = codes * scale
        del weights[name + SCALE]
    return weights


def _coded(names: Mapping[str, Any]) -> list[str]:
    return [name for name in names if name.endswith(CODED)]
