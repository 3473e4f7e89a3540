"""Numbers that enter through bins: the engine reads two rows of weights for each, not one row for each bin."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bothways.engine.arguments import Array, Setup, converted
from bothways.errors import InputError

LARGEST_OVERLAP = 3e-5  # of two bins, as a share of the wider one's half; so far what they give together may be off


class Bins(NamedTuple):
    """How numbers become inputs: each is `clip((number - center) * slope, -1, 1)` for each of its bins.

    Bins of a number do not overlap. One whose slope is 0 gives 0; such stand last.

    Attributes:
        centers: `(numbers, bins)`, the middle of each bin, ascending.
        slopes: `(numbers, bins)`, two divided by its width.

    Example:
        One number with two bins, from 0 to 1 and from 1 to 3; so the kernel has two rows:

        >>> from bothways import engine
        >>> bins = engine.Bins(centers=np.array([[0.5, 2.0]]), slopes=np.array([[2.0, 1.0]]))
        >>> direction = engine.Direction(kernel=np.ones((2, 8)), recurrent_kernel=np.ones((2, 8)))
        >>> engine.Layer([direction], frozen=True, bins=bins)(np.ones((1, 3, 1))).shape
        (1, 3, 2)
    """

    centers: Array
    slopes: Array

    @property
    def in_order(self) -> bool:
        """Whether no bin begins before the one before it ends, but for roundings, as the engine needs it."""
        centers, slopes = self.centers.astype(np.float64), self.slopes.astype(np.float64)
        used = slopes > 0
        half = 1 / np.where(used, slopes, 1)
        overlaps = (centers + half)[:, :-1] - (centers - half)[:, 1:]
        apart = overlaps * np.minimum(slopes[:, 1:], slopes[:, :-1]) <= LARGEST_OVERLAP
        return bool((slopes >= 0).all() and (used[:, 1:] <= used[:, :-1]).all() and (apart | ~used[:, 1:]).all())

    def edges(self, kernel: Array) -> Array:
        """The rows of a kernel as the engine takes them: for each number that of each edge of a bin, then the others.

        From `(numbers * bins + others, columns)` to `(numbers * (bins + 1) + others, columns)`.
        """
        numbers, bins = self.slopes.shape
        rows = kernel[: numbers * bins].reshape(numbers, bins, -1).astype(np.float64) * (self.slopes > 0)[..., None]
        total = rows.sum(axis=1, keepdims=True)
        edges = np.concatenate([-total, 2 * rows.cumsum(axis=1) - total], axis=1)
        return np.concatenate([edges.reshape(-1, kernel.shape[1]), kernel[numbers * bins :]], dtype=np.float32)

    @property
    def packed(self) -> Array:
        """For the engine, `(2, bins, numbers)`; no number comes to a bin whose slope is 0."""
        used = self.slopes > 0
        centers, slopes = np.where(used, self.centers, 1e38), np.where(used, self.slopes, 1)
        return np.ascontiguousarray([centers.T, slopes.T], dtype=np.float32)


def through_bins(setup: Setup, bins: Bins) -> tuple[Setup, Bins]:
    """The setup of a layer whose first inputs are numbers, from that of one whose first inputs are bins; the bins."""
    if not isinstance(bins, Bins):
        raise InputError(f"bins is of type {type(bins).__name__}; give Bins(centers, slopes).")
    centers, slopes = (converted(f"bins.{name}", each, setup.dtype) for name, each in bins._asdict().items())
    rows = setup.features
    if centers.ndim != 2 or centers.shape != slopes.shape or not 0 < centers.size <= rows:
        raise InputError(
            f"bins has centers {centers.shape} and slopes {slopes.shape}; both must be (numbers, bins), neither 0, "
            f"and the kernel, which has {rows} rows, needs one for each bin."
        )
    bins = Bins(centers, slopes)
    if not bins.in_order:
        raise InputError("bins must be in order: none begins before the one before it ends.")
    directions = tuple(replace(each, kernel=bins.edges(each.kernel)) for each in setup.directions)
    return setup._replace(directions=directions, features=rows - centers.size + len(centers)), bins
