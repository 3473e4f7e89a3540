"""Labeled sequences, and what training makes of them before it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.network import Network
from bothways.runtime import check_codes
from bothways.runtime.numbers import entering
from bothways.sequences import NO_LABEL, Array, Floats, Numbers, Sequences
from bothways.settings import Settings, unweighable
from bothways.spec import cell_spec
from bothways.training.batches import Bucket, bucketed, piece_lengths
from bothways.training.initializers import number_weights

SHARE = 0.5  # of the free memory that a batch may take; data, copies of them and other programs need some, too
SAFETY = 1.5  # by how much the memory that is counted here is taken to be too low


def check_sequences(name: str, sequences: Sequences, network: Network, unseen: bool = False) -> None:
    """Refuse labeled sequences that do not fit the network."""
    labels, weights = sequences.known_labels, sequences.weights
    if sequences.per != network.per:
        raise InputError(f"{name} has one label per {sequences.per}; the network gives one per {network.per}.")
    wrong = (labels < NO_LABEL) | ((labels >= network.classes) & (not unseen))
    if wrong.any():
        raise InputError(
            f"{name} has the label {labels[wrong][0]}; labels are from 0 to {network.classes - 1}, or -1 for none."
        )
    if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(f"{name} has weights that are no finite numbers of at least 0.")
    check_codes(name, sequences, network)


def label_weights(sequences: Sequences, class_weight: str | None) -> Floats:
    """How much each label counts: 0 where there is none."""
    labels = sequences.known_labels
    weights = np.where(labels < 0, 0.0, sequences.known_weights)
    if class_weight == "balanced" and weights.any():
        counts = np.bincount(labels[labels >= 0])
        balanced = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weights = weights * balanced[labels]  # of those without a label, anything: they weigh nothing
    return weights.astype(np.float32)


def delayed(sequences: Sequences, steps: int) -> Sequences:
    """Sequences whose labels stand `steps` steps later; rows of zeros are added at their ends."""
    if not steps:
        return sequences
    assert sequences.weights is not None
    at = np.arange(sequences.steps) + sequences.sequence_of_steps * steps
    lengths = sequences.lengths + steps
    total = int(lengths.sum())
    values = np.zeros((total, sequences.features), sequences.values.dtype)
    labels, weights = np.full(total, NO_LABEL), np.zeros(total, np.float32)
    values[at], labels[at + steps], weights[at + steps] = sequences.values, sequences.known_labels, sequences.weights
    return replace(sequences, values=values, lengths=lengths, labels=labels, weights=weights, rows=None)


def common_codes(network: Network, codes: Array, least: int) -> tuple[Array, list[Numbers]]:
    """Codes `(steps, categories)`, 0 in place of those that are rarer than `least`; and how often each is there.

    Example:
        >>> network = Network(features=1, classes=2, categories=(4,))
        >>> codes, (counts,) = common_codes(network, np.array([[1], [2], [1]]), least=2)
        >>> codes.ravel().tolist(), counts.tolist()
        ([1, 0, 1], [1, 2, 0, 0])
    """
    columns = list(codes.T.astype(np.int64))
    counts = [np.bincount(column, minlength=size) for column, size in zip(columns, network.categories, strict=True)]
    if least > 1:
        columns = [np.where(of[column] < least, 0, column) for column, of in zip(columns, counts, strict=True)]
        return common_codes(network, np.reshape(columns, codes.T.shape).T, 1)
    return codes, counts


class TrainingData(NamedTuple):
    """Sequences made ready."""

    buckets: list[Bucket]  # the sequences, cut, standardised and padded, with their labels and weights
    numbers: dict[str, Floats]  # the weights that are about numbers, `input/...`
    counts: list[Numbers]  # for each category column how often each code was seen
    steps: int  # how many steps an epoch has


def prepare(
    network: Network,
    sequences: Sequences,
    settings: Settings,
    say: Callable[[str], None],
    room: Numbers | None = None,
) -> TrainingData:
    """Cut, standardise and pad sequences; those, or pieces of them, that have no label are left out.

    With `room`, lengths of sequences among which these are, the buckets have the shapes that all of those would give.
    """
    weights = label_weights(sequences, settings.class_weight)
    sequences = replace(sequences, weights=weights)
    if not weights[sequences.lengths > 0 if sequences.per == "sequence" else ...].any():
        raise InputError("There is nothing to learn from: no label, or none that weighs anything and has steps.")
    if network.head == "crf" and not np.isin(weights, (0, 1)).all():
        raise unweighable()
    of_numbers = number_weights(network, sequences)
    values = entering(network, of_numbers, sequences.values, sequences.lengths)
    codes, counts = common_codes(network, values[:, network.channels :], settings.min_count)
    values[:, network.channels :] = codes
    sequences = delayed(replace(sequences, values=values), network.lookahead)
    most = free_bytes() // bytes_a_step(network)
    if not most:
        raise InputError(
            f"A step takes {bytes_a_step(network):,} bytes in training; that much is not free. Give fewer units."
        )
    longest, window = int(sequences.lengths.max()), settings.window
    if network.per == "step":
        if min(longest, window or longest) > most:
            say(
                f"A sequence has {longest:,} steps, which take more memory in training than is free: sequences are "
                f"cut into pieces of {most:,} steps at most."
            )
            window = most
        sequences = replace(sequences, lengths=piece_lengths(sequences.lengths, window), ids=None)
    elif longest > most:
        say(
            f"A sequence has {longest:,} steps, which take more memory in training than is free: of each sequence the "
            f"first {most:,} steps are learned from."
        )
        pieces, numbers = sequences.cut_at(most)
        sequences = pieces.keep(numbers == 0)
    if room is not None:
        room = room[room > 0] + network.lookahead
        room = piece_lengths(room, window) if network.per == "step" else np.minimum(room, most)
    buckets = bucketed(sequences, settings.batch_size, most, room)
    least = min(bucket.batch_size for bucket in buckets)
    if least < min(settings.batch_size, max(len(bucket.x) for bucket in buckets)):
        say(f"Batches of the longest sequences hold {least} instead of {settings.batch_size}, since memory is short.")
    return TrainingData(buckets, of_numbers, counts, int(sum(bucket.valid.sum() for bucket in buckets)))


def bytes_a_step(network: Network) -> int:
    """About how many bytes a step of a sequence takes in training, forward and backward.

    Counted are the inputs, outputs and gradients of all layers and the residuals of the engine, which hold all gates.
    """
    floats = 2 * network.recurrent[0].features + 2 * network.inputs + 4 * network.outputs
    if network.convolution is not None:
        floats += 2 * network.convolution.window * network.convolution.features
    for layer in network.recurrent:
        residuals = len(layer.directions) * layer.units * (2 * len(cell_spec(layer.cell).gates) + 4)
        floats += (2 * layer.features + 4 * layer.width + residuals) // network.conv_stride
    return int(4 * floats * SAFETY)


def free_bytes() -> int:
    """How much memory a batch may take; a share of what the system and the container have left."""
    free = 1 << 40
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
        group = Path("/sys/fs/cgroup")
        most = (group / "memory.max").read_text().strip()
        if most != "max":
            free = min(free, int(most) - int((group / "memory.current").read_text()))
    except (OSError, KeyError, ValueError):
        pass  # another system, or no container: what is known so far holds
    return max(1, int(free * SHARE))
