"""Baselines: that each finds what it can find, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bothways import baselines
from bothways.baselines import linear
from bothways.errors import InputError
from bothways.sequences import Sequences

Array = npt.NDArray[Any]


def made(values: Array, labels: Any, lengths: Any, per: str = "step") -> Sequences:
    return Sequences(values, np.asarray(lengths, np.int64), np.asarray(labels, np.int64), per=per)


def right(sequences: Sequences, classes: int, categories: tuple[int, ...] = ()) -> dict[str, float]:
    """The share of labels that each baseline has right on what it learned from."""
    found = baselines.predict(baselines.fit(sequences, classes, categories), sequences)
    assert sequences.labels is not None
    known = sequences.labels >= 0
    return {name: float((codes == sequences.labels)[known].mean()) for name, codes in found.items()}


def test_numbers() -> None:
    x = np.random.default_rng(0).normal(size=(500, 2))
    labels = np.where(x[:, 1] > 0.5, 2, 0)  # nothing is of class 1
    shares = right(made(x, labels, [10] * 50), 3)
    assert list(shares) == ["majority", "one_step"]
    assert shares["majority"] == (labels == 0).mean()
    assert shares["one_step"] > 0.98
    # What came before decides: no single step can tell.
    before = np.concatenate([np.append(0, part[:-1, 1] > 0) for part in np.split(x, 50)])
    assert right(made(x, before, [10] * 50), 2)["one_step"] < 0.6


def test_categories() -> None:
    generator = np.random.default_rng(0)
    said, told = generator.integers(1, 5, (2, 400))
    numbers = generator.normal(size=400)
    labels = (told >= 3).astype(int) + (numbers > 0) * (told == 1)
    sequences = made(np.stack([numbers, said, told], axis=1), labels, [10] * 40)
    shares = right(sequences, 3, (5, 5))
    best = sum(np.bincount(labels[told == value]).max() for value in range(1, 5)) / 400
    assert shares["most_frequent_per_value"] == pytest.approx(best)
    assert shares["one_step"] >= shares["most_frequent_per_value"] > shares["majority"]
    # Values that training never saw get the label that is most frequent.
    fitted = baselines.fit(sequences, 3, (5, 5))
    strange = baselines.predict(fitted, made(np.zeros((2, 3)), [0, 0], [2]))
    assert strange["most_frequent_per_value"].tolist() == strange["majority"].tolist()


def test_one_category_needs_no_regression() -> None:
    assert list(right(made(np.array([[1], [2]]), [0, 1], [2]), 2, (3,))) == ["majority", "most_frequent_per_value"]


def test_labels_of_sequences() -> None:
    generator = np.random.default_rng(0)
    lengths, pieces = generator.integers(5, 30, 200), []
    for i, length in enumerate(lengths):
        values = generator.integers(1, 5, length)
        if i % 4 == 0:
            values[: length // 3] = 7  # a third of the calls tell, and the most frequent one mostly
        pieces.append(values)
    labels = (np.arange(200) % 4 == 0).astype(int)
    labels[3] = -1
    values = np.concatenate(pieces)[:, None]
    shares = right(made(values, labels, lengths, "sequence"), 2, (8,))
    assert shares["majority"] == (labels[labels >= 0] == 0).mean()
    assert shares["one_step"] > 0.98
    assert shares["one_step"] > shares["most_frequent_per_value"] > shares["majority"]
    assert list(right(made(values - 3.0, labels, lengths, "sequence"), 2)) == ["majority", "one_step"]


def test_the_value_of_a_sequence_is_its_most_frequent_one() -> None:
    sequences = made(np.array([[2], [1], [2], [1], [1], [3]]), [0, 1, 2, 0], [3, 2, 1, 0], "sequence")
    found = baselines.predict(baselines.fit(sequences, 3, (4,)), sequences)
    assert found["most_frequent_per_value"].tolist() == [0, 1, 2, 0]


def test_steps_without_a_label_teach_nothing() -> None:
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    some, same = made(x, [0, 0, -1, 1], [4]), made(x[[0, 1, 3]], [0, 0, 1], [3])
    assert baselines.to_json(baselines.fit(some, 2)) == baselines.to_json(baselines.fit(same, 2))


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_they_can_be_kept(per: str) -> None:
    generator = np.random.default_rng(0)
    steps = np.concatenate([generator.normal(size=(60, 2)), generator.integers(0, 4, (60, 1))], axis=1)
    labels = generator.integers(0, 3, 60 if per == "step" else 20)
    labels[labels == 1] = 0  # a class that nothing is of
    sequences = made(steps, labels, [3] * 20, per)
    fitted = baselines.fit(sequences, 3, (4,))
    text = json.dumps(baselines.to_json(fitted), allow_nan=False)
    kept = baselines.from_json(json.loads(text), 3, 3, (4,))
    for name, codes in baselines.predict(fitted, sequences).items():
        np.testing.assert_array_equal(baselines.predict(kept, sequences)[name], codes)


KEPT = baselines.to_json(baselines.fit(made(np.array([[0.0, 1], [1, 2], [2, 1], [3, 2]]), [0, 0, 1, 1], [4]), 2, (3,)))


@pytest.mark.parametrize(
    "edited",
    [
        7,
        {"majority": 2},
        {"majority": -1},
        {"majority": None},
        {"most_frequent_per_value": {"column": -2, "codes": [0, 1, 1]}},
        {"most_frequent_per_value": {"column": -1, "codes": [0, 1]}},
        {"most_frequent_per_value": {"column": -1, "codes": [0, 1, 9]}},
        {"one_step": {}},
        {"one_step": KEPT["one_step"] | {"mean": []}},
        {"one_step": KEPT["one_step"] | {"bias": [0.0]}},
        {"one_step": KEPT["one_step"] | {"values": [[3, 4]]}},
        {"one_step": KEPT["one_step"] | {"kernel": "text"}},
    ],
)
def test_what_was_edited_is_refused(edited: Any) -> None:
    assert baselines.from_json(KEPT, 2, 2, (3,))
    with pytest.raises(InputError, match="no baselines of such a model"):
        baselines.from_json(edited, 2, 2, (3,))


def test_rows_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "ROWS", 100)
    x = np.random.default_rng(0).normal(size=(1000, 1))
    sequences = made(x, x[:, 0] > 0, [1000])
    first, again, other = (baselines.to_json(baselines.fit(sequences, 2, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert right(sequences, 2)["one_step"] > 0.9


def test_one_class_only() -> None:
    sequences = made(np.zeros((3, 1)), [1, 1, 1], [3])
    assert list(right(sequences, 2)) == ["majority"]
