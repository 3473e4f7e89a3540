"""The forward pass of a labeling network over sequences of any lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.engine import Direction, Layer
from bothways.errors import InputError
from bothways.network import Network, Recurrent

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]

STEPS_A_CALL = 1 << 16
"""How many steps, padding included, go through the network at once; bounds the memory used.

At 64 outputs a step 16 MB; larger calls were not faster."""


def scores(network: Network, weights: Weights, sequences: Sequence[Array]) -> Floats:
    """The scores (logits) of every step.

    Sequences of like length go through the network together; each is read from its first step to its last.

    Args:
        network: the description that `weights` belongs to.
        weights: the arrays that `network.weight_shapes()` names.
        sequences: checked arrays `(time, features)`, as `checked_sequences` gives them.

    Returns:
        `(steps, network.outputs)`, the steps of all sequences one after the other.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    ends = np.cumsum(lengths)
    result = np.zeros((int(lengths.sum()), network.outputs), np.float32)
    layers = [_layer(recurrent, weights) for recurrent in network.recurrent]
    for group in _groups(lengths):
        time = np.arange(lengths[group[0]])
        counts = time < lengths[group, None]
        x = np.zeros((*counts.shape, network.features), np.float32)
        x[counts] = standardise(np.concatenate([sequences[i] for i in group]), weights)
        mask = None if counts.all() else counts
        for layer in layers:
            x = layer(x, mask)
        places = ((ends - lengths)[group, None] + time)[counts]
        result[places] = x[counts] @ weights["head/kernel"] + weights["head/bias"]
    return result


def probabilities(z: Floats) -> Floats:
    """Scores to probabilities: a sigmoid where there is one score (two classes), else a softmax.

    Both are the softmax of the scores with a 0 for the first of two classes, which keeps small
    probabilities exact at either end.

    Args:
        z: `(..., outputs)`.

    Returns:
        `(..., classes)`.

    Example:
        >>> probabilities(np.array([[0.0], [np.log(3)]])).round(6).tolist()
        [[0.5, 0.5], [0.25, 0.75]]
    """
    if z.shape[-1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=-1)
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


def standardise(steps: Array, weights: Weights) -> Floats:
    """`(x - mean) / scale` for each feature, taken in float64.

    Beyond 1e30 in size values are cut off, lest sums of them overflow and labels come of no number at all.

    Args:
        steps: `(..., features)`.
        weights: those of a network; "input/mean" and "input/scale" count.

    Example:
        >>> weights = {"input/mean": np.float32([2]), "input/scale": np.float32([4])}
        >>> standardise(np.array([[4.0], [2.0]]), weights).tolist()
        [[0.5], [0.0]]
    """
    z = np.subtract(steps, weights["input/mean"], dtype=np.float64)
    z /= weights["input/scale"]
    return np.asarray(np.clip(z, -1e30, 1e30, out=z), np.float32)


def checked_sequences(name: str, sequences: Iterable[Any], features: int | None) -> list[Array]:
    """The sequences as float arrays `(time, features)`, checked.

    Args:
        name: what the caller calls them.
        sequences: 2-D arrays, or one 3-D array.
        features: how many features they must have; None for as many as the first one has.

    Raises:
        InputError: names the sequence by its number, from 0, what came and what is needed.

    Example:
        >>> checked_sequences("X", [np.zeros((5, 3)), np.zeros((4, 2))], features=None)
        Traceback (most recent call last):
        bothways.errors.InputError: X[1] has 2 features; it needs 3.
    """
    if isinstance(sequences, (str, bytes, Mapping)) or not isinstance(sequences, Iterable):
        raise InputError(f"{name} is of type {type(sequences).__name__}; give a list of arrays (time, features).")
    if isinstance(sequences, np.ndarray) and sequences.dtype != object:
        whole = _checked_array(name, sequences, ndim=3)
        checked = list(whole)
    else:
        checked = [_checked_array(f"{name}[{i}]", sequence, ndim=2) for i, sequence in enumerate(sequences)]
    for i, sequence in enumerate(checked):
        features = sequence.shape[1] if features is None else features
        if sequence.shape[1] != features:
            raise InputError(f"{name}[{i}] has {sequence.shape[1]} features; it needs {features}.")
    return checked


def _checked_array(name: str, value: Any, ndim: int) -> Array:
    """One sequence `(time, features)`, or all of them `(sequences, time, features)`, as float32 or float64."""
    axes = "(time, features)" if ndim == 2 else "(sequences, time, features), or be a list of (time, features)"
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(f"{name} has rows of unequal length; it must be {axes}.") from None
    if array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}; it must be {axes}.")
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} has dtype {array.dtype}; it must be numbers.")
    if array.shape[-1] == 0:
        raise InputError(f"{name} has shape {array.shape}; it needs at least one feature.")
    array = array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)
    finite = np.abs(array) <= np.finfo(np.float32).max  # False for NaN, too
    if not finite.all():
        *sequence, step, feature = (int(i) for i in np.argwhere(~finite)[0])
        raise InputError(
            f"{name}{sequence or ''} holds {array[*sequence, step, feature]} at step {step}, feature {feature}; values "
            "must be finite and within the range of float32. Fill or drop such steps."
        )
    return array


def _groups(lengths: npt.NDArray[np.int64]) -> Iterator[list[int]]:
    """Which sequences share a call, the longest first: neighbours in length, with at most `STEPS_A_CALL` padded steps.

    Sequences without steps are in none; one that is longer than that goes alone.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    while len(order):
        size = max(1, STEPS_A_CALL // int(lengths[order[0]]))
        yield order[:size].tolist()
        order = order[size:]


def _layer(recurrent: Recurrent, weights: Weights) -> Layer:
    directions = [
        Direction(
            kernel=weights[f"{recurrent.name}/{direction}/kernel"],
            recurrent_kernel=weights[f"{recurrent.name}/{direction}/recurrent_kernel"],
            bias=weights[f"{recurrent.name}/{direction}/bias"],
            reverse=direction == "backward",
        )
        for direction in recurrent.directions
    ]
    return Layer(directions, cell=recurrent.cell, merge_mode=recurrent.merge_mode, frozen=True)
