"""Which sequences are labeled worst, and which of their steps to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.report.content import Report

Floats = npt.NDArray[np.float64]


def worst_sequences(wrong: Any, labels: Any, most: int) -> list[int]:
    """The worst sequences, the very worst first; none that is all right.

    What counts is the number of wrong steps times their share: by the share alone the worst sentences are all of one
    word, and by the number alone they are just the longest.
    """
    mistakes = np.asarray(wrong, np.float64)
    weight = mistakes**2 / np.maximum(labels, 1)
    order = np.argsort(-weight, kind="stable")[:most]
    return [i for i in order.tolist() if mistakes[i] > 0]


def busiest_window(wrong: npt.NDArray[np.bool_], most: int) -> slice:
    """The run of at most `most` steps with most of them wrong, with what is wrong in its middle."""
    if len(wrong) <= most:
        return slice(0, len(wrong))
    before = np.concatenate([[0], np.cumsum(wrong)])
    inside = before[most:] - before[:-most]
    best = np.flatnonzero(inside == inside.max())
    run = best[: int(np.argmax(np.append(np.diff(best) > 1, True))) + 1]  # the first stretch of equally good starts
    start = int(run[len(run) // 2])
    return slice(start, start + most)


def telling_inputs(report: Report, most: int) -> list[int]:
    """The columns that tell the labels apart best: by the share of their variance that lies between the classes."""
    known = report.expected >= 0
    labels, values = report.expected[known], input_values(report)[known]
    values = values - values.mean(axis=0)
    counts = np.maximum(np.bincount(labels), 1)
    spread = [
        float((np.bincount(labels, column) ** 2 / counts).sum() / max((column**2).sum(), 1e-300)) for column in values.T
    ]
    order = np.argsort(-np.array(spread), kind="stable")
    return [int(column) for column in order[:most] if spread[column] > 0]


def input_values(report: Report) -> Floats:
    """`(labels, inputs)` the inputs of each label: those of its step, or their means over its sequence."""
    sequences = report.sequences
    values = np.asarray(sequences.values[:, : len(report.inputs)], np.float64)
    if sequences.per == "step":
        return values
    sums = np.zeros((len(sequences), values.shape[1]))
    np.add.at(sums, sequences.sequence_of_steps, values)
    return np.asarray(sums / np.maximum(sequences.lengths, 1)[:, None])
