"""What labels rest on: columns and sides that tell the label matter, and others do not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.metrics import Fall, Importance, permutation_importance, sample
from bothways.metrics.importance import MOST, STEPS
from bothways.problems import future_echo, past_echo
from bothways.sequences import Array, Sequences
from bothways.tags import scheme_of


def one_hot(codes: Array, classes: int = 2) -> Array:
    return np.asarray(np.eye(classes)[codes.astype(int)])


def by_column(place: int, noise: float = 0.0) -> Any:
    """A model that labels each step by the sign of a column, and is led astray by the first one."""
    return lambda sequences: one_hot(sequences.values[:, place] + noise * sequences.values[:, 0] > 0)


def signals(lengths: Any, seed: int = 0) -> Sequences:
    """Normal numbers: noise, a signal whose sign is the label, and a constant."""
    values = np.random.default_rng(seed).normal(size=(int(np.sum(lengths)), 3))
    values[:, 2] = 1.0
    return Sequences(values, np.asarray(lengths), labels=(values[:, 1] > 0).astype(int))


def holds(fall: Fall, value: float) -> bool:
    assert fall.low is not None
    assert fall.high is not None
    return fall.low <= value <= fall.high


COLUMNS = {"noise": [0], "signal": [1], "constant": [2]}


def measured(sequences: Sequences, **more: Any) -> Importance:
    return permutation_importance(by_column(1, 0.2), sequences, COLUMNS, **more)


def test_the_column_that_tells_carries_all_and_noise_nothing() -> None:
    lengths = np.random.default_rng(1).integers(1, 40, 100)
    found = measured(signals(lengths))
    assert next(iter(found.columns)) == "signal"
    # Guessing two equally frequent classes has a macro F1 of 1/2.
    assert holds(found.columns["signal"], found.value - 0.5)
    assert found.columns["signal"].value > 0.35
    assert found.columns["constant"] == (0.0, 0.0, 0.0)
    assert (found.sequences, found.steps, found.left_out) == (100, lengths.sum(), ())
    assert all(fall == (0.0, 0.0, 0.0) for fall in found.sides.values())


def test_noise_that_moves_labels_has_an_interval_that_holds_0() -> None:
    missed = 0
    for seed in range(30):
        sequences = signals(np.full(40, 10), seed)
        random = np.random.default_rng(seed).random(sequences.steps)
        sequences = replace(sequences, labels=np.where(random < 0.1, 1, 0) ^ sequences.known_labels)
        # The labels have noise of their own, so that of the model neither helps nor hurts.
        missed += not holds(
            permutation_importance(by_column(1, 0.5), sequences, {"noise": [0]}, seed).columns["noise"], 0
        )
    assert missed <= 5  # of a 95% interval 1.5; more than 5 have a probability of 0.3%


@pytest.mark.parametrize(("problem", "side", "other"), [(past_echo, "past", "future"), (future_echo, "future", "past")])
def test_only_the_side_that_tells_matters(problem: Any, side: str, other: str) -> None:
    X, y = problem(60, 50, distance=3, seed=0)
    shift = 3 if side == "past" else -3

    def predict(sequences: Sequences) -> Array:
        """Reads the number three steps away, 0 where there is none."""
        found = np.zeros(sequences.steps)
        places = sequences.positions - shift
        there = (places >= 0) & (places < np.repeat(sequences.lengths, sequences.lengths))
        found[there] = sequences.values[np.flatnonzero(there) - shift, 0]
        return one_hot(found >= 0.5)

    found = permutation_importance(predict, Sequences.from_arrays(X, y.ravel()), {"x": [0]})
    assert found.value == found.sides_macro_f1 == 1.0
    assert found.sides[other] == (0.0, 0.0, 0.0)
    assert found.sides[side].value > 0.4
    assert found.sides[side].low > 0.35  # type: ignore[operator]
    assert found.columns["x"].value > 0.4


def test_labels_of_sequences_have_no_sides() -> None:
    values = np.random.default_rng(0).normal(size=(300, 2))
    offsets = np.arange(0, 300, 5)
    sequences = Sequences(values, np.full(60, 5), labels=(values[offsets, 1] > 0).astype(int), per="sequence")

    def predict(sequences: Sequences) -> Array:
        return one_hot(sequences.values[sequences.offsets[:-1], 1] > 0)

    found = permutation_importance(predict, sequences, {"noise": [0], "signal": [1]})
    assert (found.sides, found.sides_macro_f1) == ({}, None)
    assert found.columns["signal"].value > 0.35
    assert found.columns["noise"].value == 0.0


def test_a_category_keeps_its_codes_and_columns_go_with_what_is_made_of_them() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, 400)
    values = np.stack([codes == 3, generator.normal(size=400), codes], axis=1).astype(float)
    sequences = Sequences(values, np.full(40, 10), labels=codes % 3)
    seen = []

    def predict(sequences: Sequences) -> Array:
        flag, _, codes = sequences.values.T
        seen.append(bool(((codes == 3) == flag).all() and np.isin(codes, range(4)).all()))
        return one_hot(codes % 3, 3)

    found = permutation_importance(predict, sequences, {"kind": [0, 2], "noise": [1]})
    assert all(seen)  # never one without the other
    assert found.columns["kind"].value > 0.5
    assert found.columns["noise"].value == 0.0


def test_the_same_seed_gives_the_same() -> None:
    sequences = signals(np.full(30, 8))
    assert measured(sequences) == measured(sequences)
    assert measured(sequences) != measured(sequences, seed=1)


def test_one_sequence_is_turned_and_has_no_intervals() -> None:
    found = measured(signals([500]))
    assert found.columns["signal"].value > 0.35
    assert {(fall.low, fall.high) for fall in (*found.columns.values(), *found.sides.values())} == {(None, None)}
    assert json.loads(json.dumps(found.to_json()))["columns"]["constant"] == {"value": 0.0, "low": None, "high": None}
    assert measured(signals([1])).columns["signal"] == (0.0, None, None)


def test_two_sequences_swap_their_values() -> None:
    # A column that is constant in each of them tells which one it is.
    values = np.repeat([[-1.0], [1.0]], 50, axis=0)
    sequences = Sequences(values, np.array([50, 50]), labels=(values[:, 0] > 0).astype(int))
    found = permutation_importance(by_column(0), sequences, {"which": [0]})
    assert found.columns["which"] == (1.0, 1.0, 1.0)  # also where one is drawn twice, and one class has no labels


def test_constant_columns_do_not_matter() -> None:
    sequences = replace(signals(np.full(20, 10)), values=np.ones((200, 3)))
    assert set(measured(sequences).columns.values()) == {(0.0, 0.0, 0.0)}


def test_labels_that_do_not_count_do_not_count() -> None:
    sequences = signals(np.full(20, 10))
    labels, weights = sequences.known_labels.copy(), np.ones(200, np.float32)
    labels[:30], weights[30:60] = -1, 0
    labels[60:100:2] = 1 - labels[60:100:2]
    weights[60:100:2] = 0  # wrong labels without a weight
    found = measured(replace(sequences, labels=labels, weights=weights))
    assert found.sequences == 14
    assert permutation_importance(by_column(1), replace(sequences, labels=labels, weights=weights), {}).value == 1.0
    with pytest.raises(InputError, match="No step of these sequences has a label that counts"):
        measured(replace(sequences, weights=0 * weights))


def test_rare_classes_are_among_the_steps_that_tell_the_sides() -> None:
    values = np.random.default_rng(0).random((20_000, 1))

    def predict(sequences: Sequences) -> Array:
        """Looks one step ahead."""
        return one_hot(np.append(sequences.values[1:, 0], 0) > 0.998)

    sequences = Sequences(values, np.full(200, 100), labels=np.append(values[1:, 0] > 0.998, False).astype(int))
    sides = permutation_importance(predict, sequences, {}).sides
    assert sequences.known_labels.sum() == 35  # of 1,000 steps drawn from all of them, two
    # Then not one of the rare labels is found, and the other class is as good as before.
    assert sides["future"].value == pytest.approx(0.5, abs=0.01)
    assert sides["future"].low > 0.49  # type: ignore[operator]


def test_of_large_data_some_is_drawn() -> None:
    many = signals(np.full(3000, 20))
    drawn = sample(many, seed=3)
    assert drawn.steps == STEPS
    assert set(drawn.lengths.tolist()) == {20}
    assert sample(drawn, seed=4).values.tobytes() == drawn.values.tobytes()
    long = sample(signals([50_000, 30, 70_000]))
    assert long.lengths.tolist() == [STEPS // 3, 30, STEPS // 3]
    found = measured(many)
    assert found.steps == STEPS
    assert found.columns["signal"].value == pytest.approx(
        measured(signals(np.full(900, 20))).columns["signal"].value, abs=0.02
    )


def test_a_sequence_with_few_labels_is_cut_around_one() -> None:
    sequences = signals(np.full(2, 100_000))
    labels = np.full(200_000, -1)
    labels[[70_000, 100_500]] = 0, 1
    drawn = sample(replace(sequences, labels=labels))
    assert len(drawn) == 2
    assert sorted(drawn.known_labels.tolist())[-2:] == [0, 1]


def test_of_many_columns_those_that_move_the_probabilities_are_measured() -> None:
    values = np.random.default_rng(0).normal(size=(400, 60))
    sequences = Sequences(values, np.full(40, 10), labels=(values[:, 55] > 0).astype(int))
    found = permutation_importance(by_column(55), sequences, {f"c{k}": [k] for k in range(60)})
    assert len(found.columns) == MOST
    assert len(found.left_out) == 60 - MOST
    assert next(iter(found.columns)) == "c55"
    assert set(found.columns) | set(found.left_out) == {f"c{k}" for k in range(60)}


def test_it_falls_from_the_score_of_what_is_predicted() -> None:
    """A model may predict a class from a probability other than a half up."""
    values = np.random.default_rng(0).random((400, 1))
    sequences = Sequences(values, np.full(40, 10), labels=(values[:, 0] > 0.2).astype(int))

    def predict(sequences: Sequences) -> Array:
        return np.column_stack([1 - sequences.values[:, 0], sequences.values[:, 0]])

    def decide(p: Array, lengths: Array) -> Array:
        return (p[:, 1] > 0.2).astype(np.int64)

    plain = permutation_importance(predict, sequences, {"x": [0]})
    decided = permutation_importance(predict, sequences, {"x": [0]}, decide=decide)
    assert plain.value < 0.8
    assert decided.value == 1.0
    assert decided.columns["x"].value > plain.columns["x"].value


def test_of_tags_it_falls_from_the_entities_that_are_predicted() -> None:
    generator = np.random.default_rng(0)
    labels = np.concatenate([np.roll([1, 2, 0, 0, 0], by) for by in generator.integers(4, size=40)])
    values = np.stack([labels, generator.normal(size=200)], axis=1)
    sequences = Sequences(values, np.full(40, 5), labels=labels, scheme=scheme_of(("O", "B-x", "I-x")))

    def predict(sequences: Sequences) -> Array:
        """The first word of an entity only: by macro F1 that is worth something."""
        return one_hot(np.where(sequences.values[:, 0] == 2, 0, sequences.values[:, 0]), 3)

    def decide(p: Array, lengths: Array) -> Array:
        """Every entity has two words."""
        assert lengths.sum() == len(p)
        codes = p.argmax(axis=1)
        return np.where(np.append(0, codes[:-1]) == 1, 2, codes)

    assert permutation_importance(predict, sequences, {}).value == 0.0
    found = permutation_importance(predict, sequences, {"tells": [0], "noise": [1]}, decide=decide)
    assert (found.score, found.value, found.columns["noise"]) == ("entity_f1", 1.0, (0.0, 0.0, 0.0))
    assert found.columns["tells"].value > 0.5
