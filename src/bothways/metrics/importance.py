"""What labels rest on: how far the score falls when a column, the past or the future says nothing more.

The score is the macro F1, or where labels are tags that of entities. Of past and future it is the macro F1 always: it
is measured on single steps, and an entity may have many.

To say nothing, values are replaced by those of another whole sequence, as permutation importance does with rows
(Breiman 2001, section 10; Fisher, Rudin & Dominici 2019, equation 3.1): what comes in is as likely as what goes out,
keeps its order in time, and has nothing to do with the label. Columns that say the same stand in for each other, so
that each of them may look unimportant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.metrics.bootstrap import Resamples, interval
from bothways.metrics.counts import count, counted_labels
from bothways.metrics.scores import Score, score
from bothways.sequences import Array, Floats, Numbers, Sequences, ranges

STEPS = 20_000  # at most this many steps are labeled at once,
CELLS = 2_000_000  # or fewer, so that they have at most this many values
LEAST = 1_000  # a sequence is not cut to fewer steps than this
REPEATS = 3  # each column is replaced this many times, each time from other sequences
MOST = 40  # of more columns than this, those that move the probabilities most are measured
SAMPLED = 1_000  # at most about this many steps tell the past from the future,
REACH = 128  # each with at most this many steps before and after it;
AROUND = 8  # together this many times as many steps as are labeled at once

Predict = Callable[[Sequences], Array]
Decide = Callable[[Array, Numbers], Numbers]


class Fall(NamedTuple):
    """How far a score falls, and the ends of the interval that holds it; None where a single sequence has labels."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Importance:
    """By how much the score falls when something says nothing more.

    Attributes:
        score: its name, "macro_f1", or "entity_f1" where labels are tags.
        value: what it falls from, on the sequences that were drawn.
        columns: how far it falls without a column, by its name; the farthest first.
        sides: how far the macro F1 falls without the "past" and the "future" of a step; empty where a sequence has one
            label.
        sides_macro_f1: what it falls from there, of steps that are read with their neighbours alone; None likewise.
        left_out: the columns that were not measured, since others move the probabilities more.
        sequences: how many sequences were drawn.
        steps: how many steps they have.
    """

    score: str
    value: float
    columns: Mapping[str, Fall]
    sides: Mapping[str, Fall]
    sides_macro_f1: float | None
    left_out: tuple[str, ...]
    sequences: int
    steps: int

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        names = ("score", "value", "sides_macro_f1", "sequences", "steps")
        shape = {name: getattr(self, name) for name in names}
        falls = {
            name: {key: fall._asdict() for key, fall in getattr(self, name).items()} for name in ("columns", "sides")
        }
        return shape | falls | {"left_out": list(self.left_out)}

    @classmethod
    def from_json(cls, shape: Mapping[str, Any]) -> Importance:
        """What `to_json` gave."""
        falls = {name: {key: Fall(**fall) for key, fall in shape[name].items()} for name in ("columns", "sides")}
        return cls(**{**shape, **falls, "left_out": tuple(shape["left_out"])})


def permutation_importance(
    predict: Predict,
    sequences: Sequences,
    columns: Mapping[str, Sequence[int]],
    seed: int = 0,
    decide: Decide = lambda p, lengths: p.argmax(axis=1),
) -> Importance:
    """Measure what the labels of a model rest on.

    The values of a column are replaced in each sequence by those of another sequence, from its first step on and again
    from there where it is shorter. Each sequence gives its values to one other. For the past of a step the same is done
    with all columns of the `REACH` steps before it, for the future with those after it; what it falls from, then, is
    the score of steps that are read with these neighbours alone. Of a single sequence the values are instead those of
    the same sequence at least a tenth of it away, and there are no intervals.

    The intervals are those of the difference on the same samples of whole sequences. Of large data a `sample` is drawn,
    and of more than `MOST` columns those are measured that move the probabilities most, whatever the labels.

    Args:
        predict: from sequences to the probability of each class, `(labels, classes)`.
        sequences: with labels.
        columns: by name, the places of the features that are made of a column; they are replaced together.
        seed: of all draws.
        decide: from probabilities, and the lengths of the sequences, to the codes of the predicted classes.

    Raises:
        InputError: there are no labels.

    Example:
        >>> values = np.random.default_rng(0).normal(size=(400, 2))
        >>> sequences = Sequences(values, np.full(40, 10), labels=(values[:, 1] > 0).astype(int))
        >>> def predict(sequences):
        ...     return np.eye(2)[(sequences.values[:, 1] > 0).astype(int)]
        >>> found = permutation_importance(predict, sequences, {"noise": [0], "signal": [1]})
        >>> {name: round(fall.value, 1) for name, fall in found.columns.items()}, found.sides["future"].value
        ({'signal': 0.5, 'noise': 0.0}, 0.0)
    """
    generator = np.random.default_rng(seed)
    classes = int(sequences.known_labels.max(initial=0)) + 1
    drawn = sample(sequences, seed)
    names, left_out = list(columns), tuple[str, ...]()
    if len(names) > MOST:
        names, left_out = _screened(predict, drawn, columns, generator)
    # As many ways to give each sequence another as there are, at most.
    others = [_others(drawn, generator) for _ in range(REPEATS if len(drawn) == 1 else min(REPEATS, len(drawn) - 1))]
    p = predict(drawn)
    before, classes = decide(p, drawn.lengths), max(classes, p.shape[1])

    def predicted(sequences: Sequences) -> Array:
        return decide(predict(sequences), sequences.lengths)

    of = score("macro_f1" if drawn.scheme is None else "entity_f1", range(classes))
    falls = {}
    for name in names:
        after = [predicted(_without(drawn, columns[name], rows)) for rows in others]
        falls[name] = _fall(drawn, before, after, classes, of)
    sides = _sides(predicted, drawn, others, classes, generator) if drawn.per == "step" else (None, {})
    return Importance(
        score=of.name,
        value=of.of(count(drawn, before, classes)),
        columns=dict(sorted(falls.items(), key=lambda item: -item[1].value)),
        sides=sides[1],
        sides_macro_f1=sides[0],
        left_out=left_out,
        sequences=len(drawn),
        steps=drawn.steps,
    )


def sample(sequences: Sequences, seed: int = 0) -> Sequences:
    """The sequences that `permutation_importance` draws: at most `STEPS` steps and `CELLS` values together, if two fit.

    All have a label that counts. Where steps have labels, long sequences are cut before some are drawn. Of sequences
    that were drawn, all are drawn again.

    Raises:
        InputError: there are no labels.

    Example:
        >>> drawn = sample(Sequences(np.zeros((90_000, 1)), np.full(3, 30_000), labels=np.zeros(90_000, int)))
        >>> drawn.lengths
        array([6666, 6666, 6666])
    """
    generator = np.random.default_rng(seed)
    most = _most_steps(sequences)
    numbers = sequences.sequence_of_labels[counted_labels(sequences)]
    chosen = (np.bincount(numbers, minlength=len(sequences)) > 0) & (sequences.lengths > 0)
    if not chosen.any():
        raise InputError("No step of these sequences has a label that counts, so nothing rests on anything.")
    sequences = sequences.keep(chosen)
    if sequences.per == "step":
        longest = max(min(LEAST, most), most // len(sequences))
        sequences = _cut(sequences, longest, generator)
    order = generator.permutation(len(sequences))
    fitting = np.cumsum(sequences.lengths[order]) <= most
    fitting[:2] = True
    return sequences.take(np.sort(order[fitting]))


def _most_steps(sequences: Sequences) -> int:
    return max(1, min(STEPS, CELLS // max(1, sequences.features)))


def _cut(sequences: Sequences, longest: int, generator: np.random.Generator) -> Sequences:
    """Of each sequence at most this many steps in a row, a label that counts among them."""
    known, offsets = np.flatnonzero(counted_labels(sequences)), sequences.offsets
    bounds = np.searchsorted(known, offsets)
    steps = known[generator.integers(bounds[:-1], bounds[1:])] - offsets[:-1]
    starts = np.clip(
        steps - generator.integers(longest, size=len(steps)), 0, np.maximum(sequences.lengths - longest, 0)
    )
    places = sequences.positions - np.repeat(starts, sequences.lengths)
    pieces, kept = sequences.cut(((places >= 0) & (places < longest)).astype(np.int64))
    return pieces.keep(kept == 1)


def _others(sequences: Sequences, generator: np.random.Generator) -> Numbers:
    """`(steps,)` for each step one of another sequence, or of the only one from far away."""
    lengths, offsets, positions = sequences.lengths, sequences.offsets[:-1], sequences.positions
    if len(lengths) == 1:
        length = int(lengths[0])
        far = -(-length // 10)
        return (positions + generator.integers(far, max(far, length - far) + 1)) % length
    circle = generator.permutation(len(lengths))
    givers = np.empty_like(circle)
    givers[circle] = np.roll(circle, 1)
    return np.repeat(offsets[givers], lengths) + positions % np.repeat(lengths[givers], lengths)


def _without(sequences: Sequences, places: Sequence[int], rows: Numbers) -> Sequences:
    """The sequences with the values of these rows in some columns."""
    values = sequences.values.copy()
    values[:, places] = sequences.values[rows[:, None], np.array(places)]
    return replace(sequences, values=values)


def _screened(
    predict: Predict, sequences: Sequences, columns: Mapping[str, Sequence[int]], generator: np.random.Generator
) -> tuple[list[str], tuple[str, ...]]:
    """The columns that move the probabilities of some sequences most, and the others."""
    few = sequences.take(np.arange(max(min(2, len(sequences)), len(sequences) // 4)))
    rows, before = _others(few, generator), predict(few)
    moved = [np.abs(predict(_without(few, places, rows)) - before).mean() for places in columns.values()]
    order = np.argsort(-np.array(moved), kind="stable")
    names = list(columns)
    return [names[k] for k in order[:MOST]], tuple(names[k] for k in order[MOST:])


def _fall(sequences: Sequences, before: Array, after: Sequence[Array], classes: int, of: Score) -> Fall:
    """How far the score falls from some predicted codes to others, whose counts are averaged."""
    counted, *others = (count(sequences, codes, classes) for codes in (before, *after))
    counts = of.columns(counted), np.mean([of.columns(each) for each in others], axis=0)
    whole, without = (float(of.of_sums(each.sum(axis=0, dtype=np.float64))) for each in counts)
    rows = np.flatnonzero(counted.support.any(axis=1))
    if len(rows) < 2:
        return Fall(whole - without)
    drawn = Resamples([len(rows)]).with_whole(*(each[rows] for each in counts))
    first, second = (of.of_sums(each[1:], each[0]) for each in drawn)
    return Fall(whole - without, *interval(first - second))


def _sides(
    predicted: Predict, sequences: Sequences, others: Sequence[Numbers], classes: int, generator: np.random.Generator
) -> tuple[float, dict[str, Fall]]:
    """The score of some steps that are read with their neighbours alone, and how far it falls without either side."""
    steps, weights = _steps(sequences, generator)
    numbers, offsets = sequences.sequence_of_steps[steps], sequences.offsets
    begins = np.maximum(offsets[numbers], steps - REACH)
    lengths = np.minimum(offsets[numbers + 1], steps + REACH + 1) - begins
    starts = np.cumsum(lengths) - lengths
    rows = ranges(begins, lengths)
    apart = rows - np.repeat(steps, lengths)
    sampled = Sequences(
        np.empty((len(steps), 0)),
        np.bincount(numbers, minlength=len(sequences)),
        sequences.known_labels[steps],
        weights,
    )

    def labeled(rows: Numbers) -> Array:
        codes = predicted(Sequences(sequences.values[rows], lengths))
        return np.asarray(codes[starts + steps - begins])

    before = labeled(rows)
    others = others[: max(1, AROUND * _most_steps(sequences) // len(rows))]
    of = score("macro_f1", range(classes))
    return of.of(count(sampled, before, classes)), {
        side: _fall(sampled, before, [labeled(np.where(there, other[rows], rows)) for other in others], classes, of)
        for side, there in {"past": apart < 0, "future": apart > 0}.items()
    }


def _steps(sequences: Sequences, generator: np.random.Generator) -> tuple[Numbers, Floats]:
    """Some labeled steps, as many of each class as there are, at most its share; and how much each stands for."""
    known, labels = counted_labels(sequences), sequences.known_labels
    classes, sizes = np.unique(labels[known], return_counts=True)
    longest = min(2 * REACH + 1, int(sequences.lengths.max()))
    most = max(1, min(SAMPLED, AROUND * _most_steps(sequences) // longest) // len(classes))
    steps = np.sort(
        np.concatenate([generator.permutation(np.flatnonzero(known & (labels == code)))[:most] for code in classes])
    )
    stands = np.maximum(1, sizes / most)[np.searchsorted(classes, labels[steps])]
    return steps, np.asarray(stands if sequences.weights is None else stands * sequences.weights[steps], np.float32)
