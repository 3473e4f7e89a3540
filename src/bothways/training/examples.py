"""Labeled sequences, and what training makes of them before it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.network import Network
from bothways.runtime import check_codes, standardise
from bothways.settings import Settings
from bothways.training.batches import Bucket, bucketed, piece_lengths
from bothways.training.initializers import Floats
from bothways.training.memory import bytes_a_step, free_bytes

Array = npt.NDArray[Any]


class Examples(NamedTuple):
    """Labeled sequences.

    Attributes:
        sequences: each `(time, features)`, finite numbers; the last columns are the codes of the categories.
        labels: the number of the class of every step, `(steps,)`, one sequence after the other, or of every sequence,
            `(sequences,)`; -1 where there is none.
        weights: shaped as `labels`, how much each of them counts, 0 or more; None for all alike.
    """

    sequences: Sequence[Array]
    labels: npt.NDArray[np.integer[Any]]
    weights: npt.NDArray[Any] | None = None

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of steps of each sequence."""
        return np.array([len(sequence) for sequence in self.sequences], np.int64)


def check_examples(name: str, examples: Examples, network: Network) -> None:
    """Refuse labels and weights that do not fit.

    Args:
        name: what to call the examples.
        examples: what to check; the sequences are taken as checked but for the codes of categories.
        network: what they are for.

    Raises:
        InputError: says what came and what is needed.

    Example:
        >>> examples = Examples([np.zeros((3, 1))], np.array([0, 1]))
        >>> check_examples("examples", examples, Network(features=1, classes=2))
        Traceback (most recent call last):
        bothways.errors.InputError: examples has labels of shape (2,); it needs (3,), one for each step.
    """
    lengths, labels, weights = examples.lengths, examples.labels, examples.weights
    shape = (int(lengths.sum()) if network.per == "step" else len(lengths),)
    for what, array in {"labels": labels, "weights": weights}.items():
        if array is not None and array.shape != shape:
            raise InputError(f"{name} has {what} of shape {array.shape}; it needs {shape}, one for each {network.per}.")
    if ((labels < -1) | (labels >= network.classes)).any():
        wrong = int(labels[(labels < -1) | (labels >= network.classes)][0])
        raise InputError(f"{name} has the label {wrong}; labels are from 0 to {network.classes - 1}, or -1 for none.")
    if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(f"{name} has weights that are no finite numbers of at least 0.")
    check_codes(f"{name}.sequences", examples.sequences, network)


def label_weights(examples: Examples, class_weight: str | None = None) -> Floats:
    """How much each label counts: 0 where there is none.

    Args:
        examples: the labels and their weights.
        class_weight: None, or "balanced": a label counts `labels / (classes * labels of its class)` times its weight.

    Example:
        >>> examples = Examples([np.zeros((5, 1))], np.array([0, 0, 0, 1, -1]))
        >>> label_weights(examples, "balanced").round(3)
        array([0.667, 0.667, 0.667, 2.   , 0.   ], dtype=float32)
    """
    labels = examples.labels
    weights = np.ones(len(labels)) if examples.weights is None else np.asarray(examples.weights, np.float64)
    weights = np.where(labels < 0, 0.0, weights)
    if class_weight == "balanced":
        counts = np.bincount(labels[labels >= 0])
        balanced = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weights = weights * balanced[labels]  # of those without a label, anything: they weigh nothing
    return weights.astype(np.float32)


def statistics(steps: Array) -> dict[str, Floats]:
    """The standardisation of the inputs: mean and scale of each feature.

    The scale is the deviation from the mean as float32 has it; that of a constant feature is 1.

    Args:
        steps: `(steps, features)`.

    Example:
        >>> statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))
        {'input/mean': array([2., 5.], dtype=float32), 'input/scale': array([1., 1.], dtype=float32)}
    """
    mean = steps.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = np.sqrt(np.square(np.subtract(steps, mean, dtype=np.float64)).mean(axis=0)).astype(np.float32)
    constant = (steps.min(axis=0) == steps.max(axis=0)) | (scale == 0)
    return {"input/mean": mean, "input/scale": np.where(constant, np.float32(1), scale)}


def code_counts(network: Network, steps: Array) -> list[npt.NDArray[np.int64]]:
    """For each category column how often each code stands in `steps` `(steps, features)`.

    Example:
        >>> network = Network(features=2, classes=2, categories=(4,))
        >>> code_counts(network, np.array([[0.5, 1], [0.1, 1], [0.7, 3]]))
        [array([0, 2, 0, 1])]
    """
    return [
        np.bincount(steps[:, network.numeric + i].astype(np.int64), minlength=codes)
        for i, codes in enumerate(network.categories)
    ]


class Prepared(NamedTuple):
    """Examples made ready.

    Attributes:
        buckets: the sequences, cut, standardised and padded, with their labels and weights.
        standardisation: "input/mean" and "input/scale".
        counts: for each category column how often each code was seen.
        steps: how many steps an epoch has.
    """

    buckets: list[Bucket]
    standardisation: dict[str, Floats]
    counts: list[npt.NDArray[np.int64]]
    steps: int


def prepare(network: Network, examples: Examples, settings: Settings, say: Callable[[str], None]) -> Prepared:
    """Cut, standardise and pad examples; sequences, or pieces of them, that have no label are left out.

    Args:
        network: what to train.
        examples: checked examples.
        settings: how to train.
        say: is called if the memory is too small for what the settings ask for.

    Raises:
        InputError: there is no label to learn from, or not the memory for a single step.
    """
    weights = label_weights(examples, settings.class_weight)
    if not weights.any():
        raise InputError("There is nothing to learn from: no label, or none that weighs anything.")
    most = free_bytes() // bytes_a_step(network)
    if not most:
        raise InputError(
            f"A step takes {bytes_a_step(network):,} bytes in training; that much is not free. Give less units."
        )
    sequences, labels, lengths = examples.sequences, examples.labels, examples.lengths
    if network.per == "step":
        window = settings.window
        if min(lengths.max(), window or lengths.max()) > most:
            say(
                f"A sequence has {lengths.max():,} steps, which take more memory in training than is free: sequences "
                f"are cut into pieces of {most:,} steps at most."
            )
            window = most
        pieces = piece_lengths(lengths.tolist(), window)
    else:
        some = np.flatnonzero(lengths)
        if lengths.max() > most:
            say(
                f"A sequence has {lengths.max():,} steps, which take more memory in training than is free: of each "
                f"sequence the first {most:,} steps are learned from."
            )
        sequences = [sequences[i][:most] for i in some.tolist()]
        labels, weights, pieces = labels[some], weights[some], np.minimum(lengths[some], most)
    steps = np.concatenate(sequences)
    standardisation = statistics(steps[:, : network.numeric])
    buckets = bucketed(
        standardise(steps, standardisation), labels, weights, pieces, settings.batch_size, network.per, most
    )
    least = min(bucket.batch_size for bucket in buckets)
    if least < min(settings.batch_size, max(len(bucket.x) for bucket in buckets)):
        say(f"Batches of the longest sequences hold {least} instead of {settings.batch_size}, since memory is short.")
    return Prepared(
        buckets, standardisation, code_counts(network, steps), int(sum(bucket.valid.sum() for bucket in buckets))
    )
