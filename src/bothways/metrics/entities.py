"""Entities: chunks of steps that tags mark, such as names of persons.

One is right that has the right type, first and last step. They are counted as in the script
`conlleval` (Tjong Kim Sang and De Meulder 2003), malformed tags included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bothways.metrics.bootstrap import Interval
from bothways.metrics.counts import Counts, OfClasses, count_entities, counted_labels, share, shares
from bothways.sequences import NO_LABEL, Array, Bools, Doubles, Numbers, Sequences, pair_counts

Summed = Callable[..., list[Doubles]]  # as `Resamples.with_whole`


class EntityScores(NamedTuple):
    """How well entities are found; a share of nothing is 0.

    Attributes:
        precision: of the predicted entities, the share that is right.
        recall: of the expected entities, the share that is predicted.
        f1: the harmonic mean of the two.
        support: how many are expected.
        predicted: how many are predicted.
    """

    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


class WordScores(NamedTuple):
    """How good a model is on some words."""

    steps: int  # how many steps there are of them
    accuracy: float  # the share of right labels
    entities: EntityScores | None
    """The scores of entities of these words; None where labels are no tags, or there are no such entities."""

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return self._asdict() | {"entities": None if self.entities is None else self.entities._asdict()}


def micro(*counts: Array) -> OfClasses:
    """Precision, recall and F1 of all types together, from counts of entities `(..., types)`."""
    return shares(*(array.sum(axis=-1) for array in counts))


def score_entities(counts: Counts, types: Sequence[str]) -> tuple[EntityScores, dict[str, EntityScores]]:
    """The scores of the entities that were counted: of all types together and of each."""
    assert counts.entities is not None
    each = _scores(*(array.sum(axis=0) for array in counts.entities))
    (whole,) = _scores(*(array.sum(keepdims=True).ravel() for array in counts.entities))
    return whole, dict(zip(types, each, strict=True))


def score_words(
    sequences: Sequences, decided: Numbers, unseen: Bools, summed: Summed | None
) -> tuple[dict[str, WordScores], dict[str, Interval]]:
    """Score the steps of words that training saw, and of those that it did not; nothing where one of both is missing.

    `decided` is the predicted code of each label that counts, `unseen (steps,)` whether training did not see the word;
    `summed` draws samples of sequences, and is None where there are too few of them. With the scores of "seen" and of
    "unseen" words come their intervals.
    """
    counted = np.flatnonzero(counted_labels(sequences))
    kinds, right = unseen[counted].astype(np.int64), decided == sequences.known_labels[counted]
    if not 0 < kinds.sum() < len(kinds):
        return {}, {}
    numbers, shape = sequences.sequence_of_steps[counted], (len(sequences), 2)
    tables = [pair_counts(numbers[right], kinds[right], shape), pair_counts(numbers, kinds, shape)]
    if sequences.scheme is not None:
        codes = np.full(sequences.steps, NO_LABEL)
        codes[counted] = decided
        tables += count_entities(sequences, codes, marked=unseen)
    correct, steps, *entities = (table.sum(axis=0) for table in tables)
    found = _scores(*entities) if entities else ()
    scores = [each if each.support or each.predicted else None for each in found] or [None, None]
    rows = zip(steps.tolist(), share(correct, steps).tolist(), scores, strict=True)
    words = {name: WordScores(*row) for name, row in zip(("seen", "unseen"), rows, strict=True)}
    intervals = dict[str, Interval]()
    if summed is not None:
        correct, steps, *entities = summed(*tables)
        for k, name in enumerate(words):
            intervals[f"accuracy of {name} words"] = Interval.of(share(correct[:, k], steps[:, k], np.nan))
            if scores[k] is not None:
                right, predicted, expected = (array[:, k] for array in entities)
                intervals[f"entity_f1 of {name} words"] = Interval.of(share(2 * right, predicted + expected, np.nan))
    return words, intervals


def _scores(right: Array, predicted: Array, support: Array) -> list[EntityScores]:
    """The scores of each type from counts `(types,)`."""
    columns = (*shares(right, predicted, support), support, predicted)
    return [EntityScores(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
