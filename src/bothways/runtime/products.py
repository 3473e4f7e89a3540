"""Matrix products whose bits do not depend on how many rows there are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ROWS_A_BLOCK = 64
"""So many rows are multiplied at once."""


def product(rows: Floats, kernel: Floats) -> Floats:
    """`rows @ kernel`, with bits of a row that do not depend on the other rows.

    Those of BLAS depend on how many rows there are; so it gets blocks of one size.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(7, 50, 64)).astype(np.float32)
        >>> kernel = np.ones((64, 3), np.float32)
        >>> bool((product(rows, kernel)[2:3, :9] == product(rows[2:3, :9], kernel)).all())
        True
    """
    flat = rows.reshape(-1, rows.shape[-1])
    whole = len(flat) - len(flat) % ROWS_A_BLOCK
    result = np.empty((len(flat), kernel.shape[-1]), np.float32)
    blocks = (-1, ROWS_A_BLOCK, flat.shape[-1])
    result[:whole] = (flat[:whole].reshape(blocks) @ kernel).reshape(-1, kernel.shape[-1])
    if whole < len(flat):
        last = np.zeros((ROWS_A_BLOCK, flat.shape[-1]), np.float32)
        last[: len(flat) - whole] = flat[whole:]
        result[whole:] = (last @ kernel)[: len(flat) - whole]
    return result.reshape(*rows.shape[:-1], kernel.shape[-1])
