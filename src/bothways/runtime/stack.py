"""The layers of a labeling network on the engine and NumPy: from standardised numbers to logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from bothways.arrays import product
from bothways.engine import Bins, Direction, Layer
from bothways.merge import merge
from bothways.network import Convolution, Network, Recurrent
from bothways.runtime.crf import marginals, messages
from bothways.runtime.numbers import piecewise
from bothways.sequences import Array, Bools, Floats

Weights = Mapping[str, Floats]
States = tuple[Array, ...]

STEPS_A_PIECE = 1 << 16  # of a long sequence; pieces hand their states on: nothing changes but the memory


class Stack:
    """The layers of a network, made once to run any number of times.

    The precision is that of the recurrent layers, as in `bothways.engine.Layer`.
    """

    def __init__(self, network: Network, weights: Weights, precision: str = "float32") -> None:
        self.network, self.weights, self._precision = network, weights, precision
        self._bins = bins_of(network, weights)
        self.encodes = network.encoding == "piecewise" and self._bins is None  # numbers, before the layers
        self._layers = [
            _Recurrent(recurrent, weights, precision, None if i else self._bins)
            for i, recurrent in enumerate(network.recurrent)
        ]

    def __reduce__(self) -> tuple[type[Stack], tuple[Network, Weights, str]]:
        return Stack, (self.network, self.weights, self._precision)

    def __call__(self, x: Floats, counts: Bools, numbers: Floats | None = None) -> Floats:
        """The logits of padded sequences; of a CRF the logarithms of probabilities, which are logits as well.

        `x` is `(sequences, time, inputs)`, numbers standardised. `counts` is `(sequences, time)`, True where a step
        counts; such steps come first, at least one per sequence. `numbers` is what `numbers` gives of x, of a network
        of the same `entrance` that `encodes` them, where it is known. The logits are `(sequences, time - lookahead,
        outputs)`, or `(sequences, outputs)` for labels of sequences. A long sequence, which goes alone, is read piece
        by piece, and so takes little memory; in a network of several layers that of the outputs of two of them.
        """
        z = self._long(x) if len(x) == 1 and x.shape[1] > STEPS_A_PIECE else self._logits(x, counts, numbers)
        if self.network.lookahead:
            z = z[:, self.network.lookahead :]
        return z if self.network.head == "softmax" else marginals(z, self.weights["head/transitions"], counts)

    def _logits(self, x: Floats, counts: Bools, numbers: Floats | None) -> Floats:
        """The same before the CRF."""
        network = self.network
        mask = None if counts.all() else counts
        rows = self._rows(x, numbers)
        if (convolution := network.convolution) is not None:
            # What is padding for the others must be zeros for the convolution.
            rows = rows if mask is None else rows * mask[..., None]
            rows = self._convolved(convolution, rows, convolution.padding)
            mask = None if mask is None else mask[:, :: network.conv_stride]
        *below, top = self._layers
        for layer in below:
            rows = layer(rows, mask)
        if network.per == "step":
            return self._spread(self._head(top(rows, mask)), x.shape[1])
        if not network.pools:
            return self._head(top.last(rows, mask))
        rows = top(rows, mask)
        return self._head(np.concatenate([_pooled(pool, rows, mask) for pool in network.pools], axis=-1))

    def window(
        self, x: Floats, counts: Bools, size: int, states: Sequence[States | None]
    ) -> tuple[Floats, list[States | None]]:
        """The logits of some steps of sequences that go on, read backward from steps after them.

        `x` is `(sequences, time, inputs)`: as many steps as the convolution pads before a sequence, then those to
        score, then those after them; `counts` is `(sequences, time)`, True where there is a step. `size`, how many
        steps to score, is a multiple of the stride of the convolution, unless none come after them. `states` are for
        each layer that in which its forward direction comes to them, None in a layer without one; for a CRF one more,
        its `messages` of the step before them. Beside the logits, `(sequences, size, outputs)`, come the states after
        these steps.
        """
        crf = self.network.head == "crf"
        rows, mask, outputs = self._rows(x), counts, size
        if (convolution := self.network.convolution) is not None:
            before, after = convolution.padding
            rows = self._convolved(convolution, rows if mask.all() else rows * mask[..., None], (0, after))
            counts = counts[:, before:]
            mask, outputs = counts[:, :: convolution.stride], -(-size // convolution.stride)
        left: list[States | None] = []
        for i, (layer, state) in enumerate(zip(self._layers, states[: len(self._layers)], strict=True)):
            top = i == len(self._layers) - 1 and not crf  # which reads what comes after them as a layer does
            rows, after_them = layer.window(rows, None if mask.all() else mask, outputs, state, top)
            left.append(after_them)
        z = self._spread(self._head(rows), counts.shape[1] if crf else size)
        if crf and (state := states[-1]):
            transitions, (before_them,) = self.weights["head/transitions"], state
            left.append((messages(z[:, :size], transitions, before_them)[:, -1],))
            z = marginals(z, transitions, counts, before_them)[:, :size]
        return z, left

    def _long(self, x: Floats) -> Floats:
        """The same for one long sequence without padding."""
        network = self.network
        time = -(-x.shape[1] // network.conv_stride)
        *below, top = self._layers
        source = partial(self._inputs, x)
        for layer in below:
            outputs = np.concatenate([some for some, _ in layer.pieces(source, time)], axis=1)
            source = partial(_part, outputs)
        pieces = top.pieces(source, time)
        if network.per == "step":
            return self._spread(np.concatenate([self._head(outputs) for outputs, _ in pieces], axis=1), x.shape[1])
        if not network.pools:
            return self._head(top.ends([states for _, states in pieces]))
        total, highest = np.zeros((1, 1)), np.full((1, 1), -np.inf, np.float32)
        for outputs, _ in pieces:
            total = total + outputs.sum(axis=1, dtype=np.float64)
            highest = np.maximum(highest, outputs.max(axis=1))
        pooled = {"mean": (total / time).astype(np.float32), "max": highest}
        return self._head(np.concatenate([pooled[pool] for pool in network.pools], axis=-1))

    def _inputs(self, x: Floats, first: int, last: int) -> Floats:
        """What the lowest recurrent layer reads from its step `first` up to `last`, of one sequence without padding."""
        convolution = self.network.convolution
        if convolution is None:
            return self._rows(x[:, first:last])
        start = first * convolution.stride - convolution.padding[0]
        stop = (last - 1) * convolution.stride - convolution.padding[0] + convolution.window
        rows = self._rows(x[:, max(0, start) : stop])
        return self._convolved(convolution, rows, (max(0, -start), max(0, stop - x.shape[1])))

    def numbers(self, x: Floats) -> Floats | None:
        """The numbers of steps as layers take them, encoded if it `encodes` them. None if there are none."""
        network, weights = self.network, self.weights
        if not network.channels:
            return None
        numbers = x[..., : network.channels]
        return piecewise(numbers, weights["input/centers"], weights["input/slopes"]) if self.encodes else numbers

    def _rows(self, x: Floats, numbers: Floats | None = None) -> Floats:
        """The steps with their numbers encoded, and a vector for each category."""
        network, weights = self.network, self.weights
        numbers = numbers if self.encodes and numbers is not None else self.numbers(x)
        parts = [] if numbers is None else [numbers]
        if network.categories:
            codes = x[..., network.channels :].astype(np.intp) + network.first_codes
            vectors = np.take(weights["categories/embeddings"], codes, axis=0)
            parts.append(vectors.reshape(*codes.shape[:-1], -1))
        return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]

    def _convolved(self, convolution: Convolution, rows: Floats, padding: tuple[int, int]) -> Floats:
        """The outputs of the convolution, after its relu: `(sequences, outputs in time, filters)`."""
        kernel, stride = self.weights["convolution/kernel"], convolution.stride
        rows = np.pad(rows, ((0, 0), padding, (0, 0)))
        count = (rows.shape[1] - convolution.window) // stride + 1
        z = np.empty((len(rows), count, convolution.filters), np.float32)
        z[:] = self.weights["convolution/bias"]
        for i in range(convolution.window):
            z += product(rows[:, i : i + (count - 1) * stride + 1 : stride], kernel[i])
        return np.maximum(z, 0, out=z)

    def _spread(self, z: Floats, time: int) -> Floats:
        """Each step gets the logits of the output of the convolution that stands for it."""
        stride = self.network.conv_stride
        return z if stride == 1 else np.repeat(z, stride, axis=1)[:, :time]

    def _head(self, rows: Floats) -> Floats:
        return product(rows, self.weights["head/kernel"]) + self.weights["head/bias"]


def bins_of(network: Network, weights: Weights) -> Bins | None:
    """Those through which numbers enter the lowest recurrent layer, where it can read them so."""
    if network.encoding == "standard" or not network.channels or network.convolution:
        return None
    bins = Bins(weights["input/centers"], weights["input/slopes"])
    return bins if bins.in_order else None


def by_direction(recurrent: Recurrent, weights: Weights) -> list[dict[str, Any]]:
    """The kernel, the recurrent kernel and the bias of each direction of a layer."""
    names = ("kernel", "recurrent_kernel", "bias")
    return [{name: weights[f"{recurrent.name}/{way}/{name}"] for name in names} for way in recurrent.directions]


def _part(rows: Floats, first: int, last: int) -> Floats:
    return rows[:, first:last]


def _pooled(pool: str, rows: Floats, mask: Bools | None) -> Floats:
    """The mean or the maximum over the steps that count: `(sequences, width)`."""
    if pool == "max":
        return np.asarray(rows.max(axis=1, initial=-np.inf, where=True if mask is None else mask[..., None]))
    if mask is None:
        return np.asarray(rows.mean(axis=1))
    counts = mask.astype(np.float32)
    return np.asarray(np.einsum("btw,bt->bw", rows, counts) / counts.sum(axis=1, keepdims=True))


class _Recurrent:
    """One recurrent layer."""

    def __init__(self, recurrent: Recurrent, weights: Weights, precision: str, bins: Bins | None) -> None:
        self._recurrent, self._precision, self._bins = recurrent, precision, bins
        self._directions = [
            Direction(**own, reverse=direction == "backward")
            for direction, own in zip(recurrent.directions, by_direction(recurrent, weights), strict=True)
        ]
        self._layer = self._frozen(self._directions)

    @cached_property
    def _backward(self) -> Layer:
        """Its last direction alone."""
        return self._frozen(self._directions[-1:])

    def _frozen(self, directions: Sequence[Direction]) -> Layer:
        cell, merge_mode = self._recurrent.cell, self._recurrent.merge_mode
        return Layer(
            directions, cell=cell, merge_mode=merge_mode, precision=self._precision, frozen=True, bins=self._bins
        )

    def __call__(self, rows: Floats, mask: Bools | None) -> Floats:
        """Its outputs at every step."""
        return np.asarray(self._layer(rows, mask))

    def last(self, rows: Floats, mask: Bools | None) -> Floats:
        """The final state of each direction, merged: `(sequences, width)`."""
        return self.ends([self._layer.run(rows, mask).states])

    def pieces(self, source: Callable[[int, int], Floats], time: int) -> Iterator[tuple[Floats, tuple[States, ...]]]:
        """Its outputs over one long sequence, piece by piece, and the states in which each direction leaves it.

        What reads backward goes through the sequence twice: once to find the state in which it enters each piece.
        `source` gives its inputs `(1, steps, features)` from one step up to another, `time` steps in all.
        """
        bounds = [(first, min(first + STEPS_A_PIECE, time)) for first in range(0, time, STEPS_A_PIECE)]
        entered: list[States | None] = [None] * len(bounds)
        if self._directions[-1].reverse:
            for k in range(len(bounds) - 1, 0, -1):
                (entered[k - 1],) = self._backward.run(source(*bounds[k]), initial_states=[entered[k]]).states
        forward: States | None = None
        for bound, state in zip(bounds, entered, strict=True):
            states = [state if direction.reverse else forward for direction in self._directions]
            result = self._layer.run(source(*bound), initial_states=states)
            forward = result.states[0]
            yield np.asarray(result.outputs), result.states

    def window(
        self, rows: Floats, mask: Bools | None, size: int, state: States | None, top: bool
    ) -> tuple[Floats, States | None]:
        """Its outputs, at the first `size` steps if it is the `top` layer; and its forward state after those."""
        of_now, of_later = (None, None) if mask is None else (mask[:, :size], mask[:, size:])
        later, entered = rows[:, size:], None
        if later.shape[1] and self._directions[-1].reverse:
            (entered,) = self._backward.run(later, of_later).states
        states = [entered if direction.reverse else state for direction in self._directions]
        result = self._layer.run(rows[:, :size], of_now, initial_states=states)
        outputs = np.asarray(result.outputs)
        left = None if self._directions[0].reverse else result.states[0]
        if later.shape[1] and not top:
            states = [None if direction.reverse else left for direction in self._directions]
            further = self._layer.run(later, of_later, initial_states=states).outputs
            outputs = np.concatenate([outputs, np.asarray(further)], axis=1)
        return outputs, left

    def ends(self, pieces: Sequence[tuple[States, ...]]) -> Floats:
        """The final state of each direction, merged, from the states in which it left each piece of a sequence."""
        final = [pieces[0 if way.reverse else -1][i][0] for i, way in enumerate(self._directions)]
        if len(final) == 1:
            return final[0]
        return np.asarray(merge(self._recurrent.merge_mode, np.concatenate(final, axis=-1), self._recurrent.units))
