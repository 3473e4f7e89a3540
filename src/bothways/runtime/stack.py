"""The layers of a labeling network on the engine and NumPy: from standardised columns to scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bothways.engine import Direction, Layer
from bothways.merge import merge
from bothways.network import Convolution, Network, Recurrent

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Weights = Mapping[str, Floats]


class Stack:
    """The layers of a network, made once to run any number of times.

    Args:
        network: the description that `weights` belongs to.
        weights: the arrays that `network.weight_shapes()` names.
    """

    def __init__(self, network: Network, weights: Weights) -> None:
        """Lay out the weights as the engine takes them."""
        self._network, self._weights = network, weights
        self._layers = [_Recurrent(recurrent, weights) for recurrent in network.recurrent]

    def __call__(self, x: Floats, counts: Bools) -> Floats:
        """The scores of padded sequences.

        Args:
            x: `(sequences, time, features)`, numeric columns standardised.
            counts: `(sequences, time)`, True where a step counts; such steps come first, at least one a sequence.

        Returns:
            `(sequences, time, outputs)`, or `(sequences, outputs)` for labels of sequences.
        """
        network = self._network
        stride = network.conv_stride
        mask = None if counts.all() else counts
        rows = self._front(x, mask)
        mask = None if mask is None else mask[:, ::stride]
        *below, top = self._layers
        for layer in below:
            rows = layer(rows, mask)
        if network.per == "step":
            z = self._head(top(rows, mask))
            return z if stride == 1 else np.repeat(z, stride, axis=1)[:, : x.shape[1]]
        if network.pooling == "last":
            return self._head(top.last(rows, mask))
        return self._head(_pooled(network.pooling, top(rows, mask), mask))

    def _front(self, x: Floats, mask: Bools | None) -> Floats:
        network, convolution = self._network, self._network.convolution
        rows = x
        if network.categories:
            codes = x[..., network.numeric :].astype(np.intp)
            parts = [x[..., : network.numeric]]
            parts += [self._weights[f"category_{i}/embeddings"][codes[..., i]] for i in range(len(network.categories))]
            rows = np.concatenate(parts, axis=-1) if network.numeric or len(parts) > 2 else parts[1]
        if convolution is None:
            return rows
        if mask is not None:
            rows = rows * mask[..., None]
        return convolved(convolution, self._weights, np.pad(rows, ((0, 0), convolution.padding, (0, 0))))

    def _head(self, rows: Floats) -> Floats:
        return np.asarray(rows @ self._weights["head/kernel"] + self._weights["head/bias"])


def convolved(convolution: Convolution, weights: Weights, rows: Floats) -> Floats:
    """The outputs of the convolution, after its relu.

    Args:
        convolution: its description.
        weights: those of its network.
        rows: `(sequences, time, features)` with the zeros around them.

    Returns:
        `(sequences, outputs in time, filters)`.
    """
    kernel, stride = weights["convolution/kernel"], convolution.stride
    count = (rows.shape[1] - convolution.window) // stride + 1
    z = np.broadcast_to(weights["convolution/bias"], (len(rows), count, convolution.filters)).copy()
    for i in range(convolution.window):
        z += rows[:, i : i + (count - 1) * stride + 1 : stride] @ kernel[i]
    return np.maximum(z, 0, out=z)


def _pooled(pooling: str, rows: Floats, mask: Bools | None) -> Floats:
    """The mean or maximum over the steps that count: `(sequences, width)`."""
    if mask is None:
        return np.asarray(rows.mean(axis=1) if pooling == "mean" else rows.max(axis=1))
    if pooling == "mean":
        return np.asarray(np.einsum("btw,bt->bw", rows, mask.astype(np.float32)) / mask.sum(axis=1, keepdims=True))
    return np.asarray(rows.max(axis=1, initial=-np.inf, where=mask[..., None]))


class _Recurrent:
    """One recurrent layer."""

    def __init__(self, recurrent: Recurrent, weights: Weights) -> None:
        self._merge_mode, self._units = recurrent.merge_mode, recurrent.units
        directions = [
            Direction(
                kernel=weights[f"{recurrent.name}/{direction}/kernel"],
                recurrent_kernel=weights[f"{recurrent.name}/{direction}/recurrent_kernel"],
                bias=weights[f"{recurrent.name}/{direction}/bias"],
                reverse=direction == "backward",
            )
            for direction in recurrent.directions
        ]
        self._layer = Layer(directions, cell=recurrent.cell, merge_mode=recurrent.merge_mode, frozen=True)

    def __call__(self, rows: Floats, mask: Bools | None) -> Floats:
        """Its outputs at every step."""
        return np.asarray(self._layer(rows, mask))

    def last(self, rows: Floats, mask: Bools | None) -> Floats:
        """The final state of each direction, merged: `(sequences, width)`."""
        states = [state[0] for state in self._layer.run(rows, mask).states]
        if len(states) == 1:
            return np.asarray(states[0])
        return np.asarray(merge(self._merge_mode, np.concatenate(states, axis=-1), self._units))
