"""Simple labelings: that each finds what it can find, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bothways.errors import InputError
from bothways.metrics import Baselines, fit_baselines
from bothways.sequences import Sequences

Array = npt.NDArray[Any]


def labeled(arrays: list[Array], labels: Any, per: str = "step") -> Sequences:
    return Sequences.from_arrays(arrays, np.array(labels), per=per)


def right(baselines: Baselines, sequences: Sequences) -> dict[str, float]:
    labels = sequences.known_labels
    known = labels >= 0
    return {name: float((codes == labels)[known].mean()) for name, codes in baselines.predict(sequences).items()}


def test_numbers() -> None:
    generator = np.random.default_rng(0)
    sequences = list(generator.normal(size=(50, 10, 2)))
    x = np.concatenate(sequences)
    labels = np.where(x[:, 1] > 0.5, 2, 0)  # nothing is of class 1
    data = labeled(sequences, labels)
    shares = right(fit_baselines(data, 3), data)
    assert list(shares) == ["majority", "one_step"]
    assert shares["majority"] == (labels == 0).mean()
    assert shares["one_step"] > 0.98
    # What came before decides: no single step can tell.
    before = np.concatenate([np.append(0, sequence[:-1, 1] > 0) for sequence in sequences]).astype(int)
    data = labeled(sequences, before)
    assert right(fit_baselines(data, 2), data)["one_step"] < 0.6


def test_categories() -> None:
    generator = np.random.default_rng(0)
    said, told = generator.integers(1, 5, (2, 400))
    numbers = generator.normal(size=400)
    labels = (told >= 3).astype(int) + (numbers > 0) * (told == 1)
    sequences = labeled(np.split(np.stack([numbers, said, told], axis=1), 40), labels)
    baselines = fit_baselines(sequences, 3, categories=[5, 5])
    assert baselines.column == 1
    shares = right(baselines, sequences)
    assert shares["most_frequent_per_value"] == pytest.approx(
        sum(np.bincount(labels[told == value]).max() for value in range(1, 5)) / 400
    )
    assert shares["one_step"] >= shares["most_frequent_per_value"] > shares["majority"]
    # Values that training never saw get the label that is most frequent.
    strange = Sequences.from_arrays([np.array([[0.0, 0.0, 0.0], [0.0, 9.0, 9.0]])])
    assert baselines.predict(strange)["most_frequent_per_value"].tolist() == [baselines.majority] * 2


def test_one_category_needs_no_regression() -> None:
    baselines = fit_baselines(labeled([np.array([[1], [2]])], [0, 1]), 2, categories=[3])
    assert list(baselines.predict(Sequences.from_arrays([np.array([[2]])]))) == ["majority", "most_frequent_per_value"]


def test_labels_of_sequences() -> None:
    generator = np.random.default_rng(0)
    sequences, labels = [], []
    for i in range(200):
        values = generator.integers(1, 5, generator.integers(5, 30))
        if i % 4 == 0:
            values[: len(values) // 3] = 7  # a third of the calls tell, and the most frequent one mostly
        sequences.append(values[:, None].astype(np.float32))
        labels.append(int(i % 4 == 0))
    labels[3] = -1
    expected = np.array(labels)
    data = labeled(sequences, expected, "sequence")
    shares = right(fit_baselines(data, 2, categories=[8]), data)
    assert shares["majority"] == (expected[expected >= 0] == 0).mean()
    assert shares["one_step"] > 0.98
    assert shares["one_step"] > shares["most_frequent_per_value"] > shares["majority"]
    numbers = labeled([sequence - 3.0 for sequence in sequences], expected, "sequence")
    assert list(right(fit_baselines(numbers, 2), numbers)) == ["majority", "one_step"]


def test_steps_without_a_label_teach_nothing() -> None:
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    some = fit_baselines(labeled([x], [0, 0, -1, 1]), 2)
    same = fit_baselines(labeled([x[[0, 1, 3]]], [0, 0, 1]), 2)
    assert some.to_json() == same.to_json()


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_they_can_be_kept(per: str) -> None:
    generator = np.random.default_rng(0)
    steps = np.concatenate([generator.normal(size=(60, 2)), generator.integers(0, 4, (60, 1))], axis=1)
    labels = generator.integers(0, 3, 60 if per == "step" else 20)
    labels[labels == 1] = 0  # a class that nothing is of
    sequences = labeled(np.split(steps, 20), labels, per)
    baselines = fit_baselines(sequences, 3, categories=[4])
    kept = Baselines.from_json(json.loads(json.dumps(baselines.to_json(), allow_nan=False)))
    for name, codes in baselines.predict(sequences).items():
        np.testing.assert_array_equal(kept.predict(sequences)[name], codes)
    with pytest.raises(InputError, match="does not describe baselines"):
        Baselines.from_json({"per": "step"})


def test_rows_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.metrics.baselines.ROWS", 100)
    x = np.random.default_rng(0).normal(size=(1000, 1))
    labels = (x[:, 0] > 0).astype(int)
    data = labeled([x], labels)
    first, again, other = (fit_baselines(data, 2, seed=seed) for seed in (0, 0, 1))
    assert first.to_json() == again.to_json() != other.to_json()
    assert right(first, data)["one_step"] > 0.9


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="None of the 2 steps has a label"):
        fit_baselines(labeled([np.zeros((2, 1))], [-1, -1]), 2)


def test_one_class_only() -> None:
    baselines = fit_baselines(labeled([np.zeros((3, 1))], [1, 1, 1]), 2)
    predicted = baselines.predict(Sequences.from_arrays([np.ones((2, 1))]))
    assert {name: codes.tolist() for name, codes in predicted.items()} == {"majority": [1, 1]}
