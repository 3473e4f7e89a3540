"""The forward pass of a labeling network over sequences of any lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError, InputTypeError
from bothways.means import shared_length
from bothways.network import Network
from bothways.runtime.numbers import entering
from bothways.runtime.stack import STEPS_A_PIECE, Stack, Weights
from bothways.sequences import Array, Bools, Floats, Numbers, Sequences, in_blocks, unmasked

STEPS_A_CALL = 1 << 14
"""How many steps, padding included, go through the network at once; bounds the memory used.

At 64 outputs a step 4 MB, which the caches hold: four times as many took half as long again."""


LARGEST = np.finfo(np.float32).max


class Padded(NamedTuple):
    """Sequences of like length, as the network takes them."""

    x: Floats  # `(sequences, time, inputs)`, as `entering` gives them; for networks that label late, zeros at the end
    counts: Bools  # `(sequences, time)`, True where not padded
    numbers: Numbers  # `(sequences,)`, which ones they are
    places: Numbers  # the place of each step that counts among the steps of all sequences


def logits(network: Network, weights: Weights, sequences: Sequences) -> Floats:
    """The logits of every step, `(steps, outputs)`; or of every sequence, where it has one label.

    Sequences, as `checked_sequences` gives them, of similar length go through the network together; each is read from
    its first step to its last. A sequence without steps has the logits of a row of zeros before the head.
    """
    return logits_of([Stack(network, weights)], sequences)[0]


def padded(network: Network, weights: Weights, sequences: Sequences) -> Iterator[Padded]:
    """The sequences that have steps, those of similar length together, standardised and padded."""
    lengths = sequences.lengths
    if length := shared_length(lengths):  # no step moves
        of_a_call = max(1, STEPS_A_CALL // length)
        for group in in_blocks(len(lengths), of_a_call):
            places = np.arange(group[0] * length, (group[-1] + 1) * length)
            found = entering(network, weights, sequences.values[places[0] : places[-1] + 1], lengths[group])
            x = found.reshape(len(group), length, network.inputs)
            if network.lookahead:
                x = np.pad(x, ((0, 0), (0, network.lookahead), (0, 0)))
            yield Padded(x, np.ones(x.shape[:2], np.bool_), group, places)
        return
    starts = sequences.offsets[:-1]
    for group in groups(lengths):
        time = np.arange(lengths[group[0]] + network.lookahead)
        counts, known = (time < lengths[group, None] + more for more in (network.lookahead, 0))
        places = (starts[group, None] + time)[known]
        x = np.zeros((*counts.shape, network.inputs), np.float32)
        x[known] = entering(network, weights, sequences.values[places], lengths[group])
        yield Padded(x, counts, group, places)


def logits_of(stacks: Sequence[Stack], sequences: Sequences) -> list[Floats]:
    """What `logits` gives of several networks of one `Member.entrance`, whose steps are prepared once."""
    first = stacks[0]
    count = sequences.steps if first.network.per == "step" else len(sequences)
    return logits_of_padded(stacks, padded(first.network, first.weights, sequences), count)


def logits_of_padded(stacks: Sequence[Stack], groups: Iterable[Padded], count: int) -> list[Floats]:
    """The same of sequences that `padded` has prepared, which have `count` labels."""
    per_step, late = stacks[0].network.per == "step", stacks[0].network.lookahead
    results = [np.empty((count, stack.network.outputs), np.float32) for stack in stacks]
    if not per_step:
        for result, stack in zip(results, stacks, strict=True):
            result[:] = stack.weights["head/bias"]  # of those without steps, which are in no group
    for group in groups:
        alike = [stack for stack in stacks if stack.encodes]
        shared = len(alike) > 1 and group.x.shape[1] <= STEPS_A_PIECE
        numbers = alike[0].numbers(group.x) if shared else None
        for result, stack in zip(results, stacks, strict=True):
            z = stack(group.x, group.counts, numbers)
            if per_step:
                rows = z.reshape(-1, z.shape[-1])
                result[group.places] = rows if len(rows) == len(group.places) else z[group.counts[:, late:]]
            else:
                result[group.numbers] = z
    return results


def probabilities(z: Floats) -> Floats:
    """Logits to probabilities: a sigmoid where there is one logit (two classes), else a softmax."""
    if z.shape[-1] == 1:  # by columns: NumPy takes ten times as long to reduce an axis of two
        z = z[..., 0]
        highest = np.maximum(z, 0)
        first, second = np.exp(-highest), np.exp(z - highest)
        p = np.empty((*z.shape, 2), first.dtype)
        p[..., 0], p[..., 1] = first, second
        p /= (first + second)[..., None]
        return p
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


def checked_sequences(name: str, sequences: Iterable[Any], features: int | None, missing: bool = False) -> Sequences:
    """Arrays as sequences of float32 or float64, checked."""
    if isinstance(sequences, (str, bytes, Mapping)) or not isinstance(sequences, Iterable):
        raise InputError(f"{name} is of type {type(sequences).__name__}; give a list of arrays (time, features).")
    if isinstance(sequences, np.ndarray) and (sequences.ndim == 3 or sequences.dtype != object):
        array = _checked_array(name, sequences, 3, missing)
        values, lengths = array.reshape(-1, array.shape[2]), np.full(len(array), array.shape[1], np.int64)
    else:
        arrays = [_checked_array(f"{name}[{i}]", sequence, 2, missing) for i, sequence in enumerate(sequences)]
        needed = features or (arrays[0].shape[1] if arrays else 0)
        for i, array in enumerate(arrays):
            if array.shape[1] != needed:
                raise InputError(f"{name}[{i}] has {array.shape[1]} features; it needs {needed}.")
        lengths = np.array([len(array) for array in arrays], np.int64)
        values = arrays[0] if len(arrays) == 1 else np.concatenate(arrays) if arrays else np.empty((0, needed))
    if features is not None and values.shape[1] != features:
        raise InputError(f"{name}[0] has {values.shape[1]} features; it needs {features}.")
    return Sequences(values, lengths)


def check_codes(name: str, sequences: Sequences, network: Network) -> None:
    """Refuse category columns that hold anything but their codes."""
    if not network.categories:
        return
    most = np.array(network.categories) - 1
    codes = sequences.values[:, network.numeric :]
    wrong = (codes < 0) | (codes > most) | (codes != np.floor(codes))
    if wrong.any():
        step, k = (int(place) for place in np.argwhere(wrong)[0])
        number, position = sequences.place(step)
        raise InputError(
            f"{name}[{number}] holds {codes[step, k]} at step {position}, feature {network.numeric + k}, a category; "
            f"its codes are the whole numbers from 0 to {most[k]}, and 0 stands for whatever is unknown."
        )


def _checked_array(name: str, value: Any, ndim: int, missing: bool) -> Array:
    """One sequence `(time, features)`, or all of them `(sequences, time, features)`, as float32 or float64.

    Objects become numbers where they are some.
    """
    axes = "(time, features)" if ndim == 2 else "(sequences, time, features), or be a list of (time, features)"
    try:
        array = unmasked(value)
    except ValueError:
        raise InputError(f"{name} has rows of unequal length; it must be {axes}.") from None
    if array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}; it must be {axes}.")
    if array.dtype.kind == "c":
        raise InputError(f"Complex data not supported: {name} has dtype {array.dtype}. Give real numbers.")
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except OverflowError:
            raise InputError(f"{name} holds a number that is out of range.") from None
        except (TypeError, ValueError) as error:
            kind = InputTypeError if isinstance(error, TypeError) else InputError
            raise kind(f"{name} holds what is no number: {error}.") from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} has dtype {array.dtype}; it must be numbers.")
    if array.shape[-1] == 0:
        raise InputError(f"{name} has shape {array.shape}; it needs at least one feature.")
    array = array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)
    finite = np.abs(array) <= LARGEST  # False for NaN, too
    if missing:
        finite |= np.isnan(array)
    if not finite.all():
        *sequence, step, feature = (int(i) for i in np.argwhere(~finite)[0])
        raise InputError(
            f"{name}{sequence or ''} holds {array[*sequence, step, feature]} at step {step}, feature {feature}; values "
            "must be finite and within the range of float32. Fill or drop such steps."
        )
    return array


def groups(lengths: Numbers) -> Iterator[Numbers]:
    """Which sequences share a call, the longest first: neighbours in length, with at most `STEPS_A_CALL` padded steps.

    Sequences without steps are in none; one that is longer than that goes alone.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    while len(order):
        size = max(1, STEPS_A_CALL // int(lengths[order[0]]))
        yield order[:size]
        order = order[size:]
