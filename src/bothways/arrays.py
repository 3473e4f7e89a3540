"""Arrays out of files, of which a stranger may have written any; and their product."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.sequences import Array

ROWS_A_BLOCK = 64, 8, 1  # how many rows may be multiplied at once


def checked_array(
    arrays: Mapping[str, Any],
    name: str,
    dtype: Any,
    shape: tuple[int | None, ...],
    low: float = -np.inf,
    high: float = np.inf,
) -> Array:
    """The array of this name, of a shape with None for an axis of any length, and with numbers from `low` to `high`.

    `InputError` if there is none, or one of another type or shape, or with numbers out of range or not finite.
    """
    array = arrays.get(name)
    if array is None:
        raise InputError(f"The array {name!r} is missing.")
    fits = len(array.shape) == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
    if not fits or array.dtype != dtype:
        needed = ", ".join("any" if length is None else str(length) for length in shape)
        raise InputError(f"The array {name!r} is {array.dtype} {array.shape}; it must be {np.dtype(dtype)} ({needed}).")
    if not (np.isfinite(array) & (array >= low) & (array <= high)).all():
        what = "finite" if low == -high else f"from {low} to {high}"
        raise InputError(f"The array {name!r} holds numbers that are not {what}.")
    return np.asarray(array)


def product(rows: Array, kernel: Array) -> Array:
    """`rows @ kernel`, with bits of a row that do not depend on the other rows.

    Those of BLAS depend on how many rows there are; so it gets blocks of one size.
    """
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    size = _rows_a_block(*kernel.shape, np.result_type(rows, kernel))
    whole = len(flat) - len(flat) % size
    result = np.empty((len(flat), kernel.shape[-1]), kernel.dtype)
    if whole:
        blocks = flat[:whole].reshape(whole // size, size, flat.shape[-1])
        result[:whole] = (blocks @ kernel).reshape(whole, kernel.shape[-1])
    if whole < len(flat):
        last = np.zeros((size, flat.shape[-1]), flat.dtype)
        last[: len(flat) - whole] = flat[whole:]
        result[whole:] = (last @ kernel)[: len(flat) - whole]
    return result.reshape(*rows.shape[:-1], kernel.shape[-1])


@functools.cache
def _rows_a_block(features: int, columns: int, dtype: np.dtype[Any]) -> int:
    """The most rows that BLAS can multiply at once so that the bits of a row do not depend on its place, by trying.

    BLAS multiplies several rows together and those that are left over in another way. With AVX2 bits depend on the
    place among 64 rows, but not among 8; with AVX-512 not among 64 either.
    """
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(features, columns)).astype(dtype)
    for size in ROWS_A_BLOCK[:-1]:
        rows = generator.normal(size=(size, features)).astype(dtype)
        turned = np.stack([np.roll(rows, turn, axis=0) for turn in range(size)]) @ kernel
        if all((np.roll(found, -turn, axis=0) == turned[0]).all() for turn, found in enumerate(turned)):
            return size
    return ROWS_A_BLOCK[-1]
