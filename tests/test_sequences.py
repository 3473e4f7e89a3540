"""Sequences: taken, cut, turned and put back into the order of a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.sequences import NO_LABEL, Sequences

STEPS = np.arange(6, dtype=np.float32)[:, None]


def sequences(per: str = "step") -> Sequences:
    labels = np.array([0, 1, 1, 0, 1, NO_LABEL]) if per == "step" else np.array([1, NO_LABEL, 0])
    rows = np.array([5, 4, 3, 2, 1, 0])
    return Sequences(STEPS, np.array([2, 0, 4]), labels, per=per, ids=("a", "b", "c"), rows=rows)


def test_views_of_each_sequence() -> None:
    some = sequences()
    assert [len(array) for array in some.arrays()] == [2, 0, 4]
    assert some.arrays()[2].base is not None
    assert some.sequence_of_steps.tolist() == [0, 0, 2, 2, 2, 2]


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_keep_and_take_agree(per: str) -> None:
    some = sequences(per)
    kept, taken = some.keep(np.array([True, False, True])), some.take(np.array([0, 2]))
    for name in ("values", "lengths", "labels", "rows"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(taken, name))
    assert kept.ids == taken.ids == ("a", "c")


def test_take_in_another_order() -> None:
    taken = sequences().take(np.array([2, 0]))
    assert taken.values[:, 0].tolist() == [2, 3, 4, 5, 0, 1]
    assert taken.labels is not None
    assert taken.labels.tolist() == [1, 0, 1, NO_LABEL, 0, 1]
    assert taken.ids == ("c", "a")


def test_cut_joins_steps_of_one_number() -> None:
    cut, numbers = sequences().cut(np.array([0, 1, 0, 1, 0, 1]))
    assert cut.lengths.tolist() == [1, 1, 2, 2]
    assert cut.values[:, 0].tolist() == [0, 1, 2, 4, 3, 5]
    assert numbers.tolist() == [0, 1, 0, 1]
    assert cut.ids == ("a", "a", "c", "c")


def test_parts_without_weights_count_as_they_are_where_others_have_some() -> None:
    some, heavy = sequences(), replace(sequences(), weights=np.full(6, 3, np.float32))
    assert Sequences.joined([some, some]).weights is None
    joined = Sequences.joined([heavy, some])
    assert joined.weights is not None
    assert joined.weights.tolist() == [3] * 6 + [1] * 6


def test_means_over_each_sequence() -> None:
    assert sequences().means(STEPS).tolist() == [[0.5], [0.0], [3.5]]
    assert sequences().means(np.empty((6, 0))).shape == (3, 0)


def test_results_by_row() -> None:
    assert sequences().by_row(np.arange(6)).tolist() == [5, 4, 3, 2, 1, 0]
    assert sequences("sequence").by_row(np.array([7, 8, 9])).tolist() == [9, 9, 9, 9, 7, 7]


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"labels have shape \(2,\); 1 sequences of 6 steps need \(6,\)"):
        Sequences(STEPS, np.array([6]), np.array([0, 1]))
