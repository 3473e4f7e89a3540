"""The numbers of a step that enter a network: those of the columns, their distances from a mean, their changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bothways.means import ROWS, means_of, moments_of, shared_length
from bothways.network import CHANGES, LEVELS, Network
from bothways.sequences import Array, Floats, Numbers, shifted_within


def numbers(network: Network, values: Array, lengths: Numbers, before: Array | None = None) -> Array:
    """What there is to standardise: `(steps, network.channels)` from `(steps, network.features)`.

    These are the numeric columns, and less their means over the sequence; and their changes, which at first are those
    since the beginning of the sequence. Scaled, what is left of numbers and their changes is divided by their
    deviations over the sequence. With one direction, all are of what it has read so far. For sequences that go on
    `before` is `(sequences, 1 + 2 * network.numeric)` in float64: how many steps of each came before those that are
    given, and the sums of their numbers and of the squares of these, for means and deviations that take them in.
    """
    levels, backward = values[:, : network.numeric], network.direction == "backward"
    time, deviations = shared_length(lengths), None
    parts = []
    for level in LEVELS[network.levels]:
        if level == "scaled":
            means, deviations = moments_of(levels, lengths, network.direction, before)
            parts.append(levels - means)
        else:
            parts.append(levels if level == "raw" else levels - means_of(levels, lengths, network.direction, before))
    if network.changes and time:
        way = slice(None, None, -1 if backward else 1)
        alike = levels.reshape(len(lengths), time, levels.shape[1])[:, way]
        for over in CHANGES[: network.changes]:
            change = alike - alike[:, :1]
            np.subtract(alike[:, over:], alike[:, :-over], out=change[:, over:])
            parts.append(change[:, way].reshape(levels.shape))
    elif network.changes:
        shifted = shifted_within(lengths)
        for over in CHANGES[: network.changes]:
            parts.append(levels - levels[shifted(over if backward else -over)])
    if deviations is not None:
        parts = [np.asarray(part / deviations, levels.dtype) for part in parts]
    return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def entering(
    network: Network, weights: Mapping[str, Array], values: Array, lengths: Numbers, before: Array | None = None
) -> Floats:
    """What enters the network: `(steps, network.inputs)`, the numbers standardised in float64, then the codes.

    Beyond 1e30 in size values are cut off, lest sums of them overflow. The arguments are those of `numbers`.
    """
    found = numbers(network, values, lengths, before)
    result = np.empty((len(values), network.inputs), np.float32)
    if network.categories:
        result[:, network.channels :] = values[:, network.numeric :]
    for first in range(0, len(found), ROWS):
        some = slice(first, first + ROWS)
        z = np.subtract(found[some], weights["input/mean"], dtype=np.float64)
        z /= weights["input/scale"]
        result[some, : network.channels] = z.clip(-1e30, 1e30, out=z)
    return result


def piecewise(z: Floats, centers: Floats, slopes: Floats) -> Floats:
    """Where standardised numbers lie in each of their bins: from -1, below it, to 1, above it; a slope of 0 gives 0.

    From `(..., numbers)` to `(..., numbers * bins)`. The middles of bins, and two divided by their widths, are both
    `(numbers, bins)`.

    Example:
        >>> piecewise(np.float32([[0.5], [9.0]]), np.float32([[0.5, 2.0]]), np.float32([[2.0, 1.0]]))
        array([[ 0., -1.],
               [ 1.,  1.]], dtype=float32)
    """
    bins = z.repeat(centers.shape[-1], axis=-1)  # in rows of all bins NumPy takes half the time of short ones
    bins -= centers.ravel()
    bins *= slopes.ravel()
    return bins.clip(-1, 1, out=bins)
