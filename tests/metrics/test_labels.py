"""Scores, against their definitions written out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.metrics import majority, score_codes, score_labels

CLASSES = ["a", "b", "c"]


def ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=40))
def test_scores_are_what_they_say(pairs: list[tuple[str, str]]) -> None:
    expected, predicted = (list(side) for side in zip(*pairs, strict=True))
    scores = score_labels(expected, predicted, CLASSES)
    assert scores.steps == len(pairs)
    assert scores.accuracy == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    f1s = []
    for name in CLASSES:
        hits = sum(a == b == name for a, b in pairs)
        false_alarms = sum(a != name == b for a, b in pairs)
        support = expected.count(name)
        precision, recall = ratio(hits, hits + false_alarms), ratio(hits, support)
        f1s.append(2 * precision * recall / (precision + recall) if hits else 0.0)
        of = scores.classes[name]
        assert of.support == support
        assert of.precision == pytest.approx(precision)
        assert of.recall == pytest.approx(recall)
        assert of.f1 == pytest.approx(f1s[-1])
        assert of.false_alarm_rate == pytest.approx(ratio(false_alarms, len(pairs) - support))
    assert scores.macro_f1 == pytest.approx(sum(f1s) / len(CLASSES))


@pytest.mark.parametrize("classes", [(0, 1), (False, True), ("calm", "attack")])
def test_every_kind_of_label(classes: tuple[object, object]) -> None:
    scores = score_labels(np.array([classes[0], classes[1]]), [classes[1], classes[1]], classes)
    assert scores.accuracy == 0.5
    assert scores.classes[classes[1]].precision == 0.5
    assert [type(label) for label in scores.classes] == [type(label) for label in classes]


def test_the_json_shape() -> None:
    scores = score_labels([0, 0, 1], [0, 1, 1], [0, 1])
    always = score_labels([0, 0, 1], [0, 0, 0], [0, 1])
    shape = json.loads(json.dumps(scores.to_json("test", 2, {"majority": always}), allow_nan=False))
    assert list(shape) == ["split", "sequences", "steps", "accuracy", "macro_f1", "classes", "baselines"]
    assert (shape["split"], shape["sequences"], shape["steps"]) == ("test", 2, 3)
    assert shape["classes"]["1"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "false_alarm_rate": 0.5,
        "support": 1,
    }
    assert shape["baselines"] == {"majority": {"accuracy": pytest.approx(2 / 3), "macro_f1": pytest.approx(0.4)}}


def test_the_majority_is_that_of_training() -> None:
    assert majority({"a": 3, "b": 7}) == "b"
    with pytest.raises(InputError, match="class_counts is empty"):
        majority({})


def test_scores_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    generator = np.random.default_rng(0)
    expected, predicted = generator.integers(0, 4, (2, 500))
    scores = score_codes(expected, predicted, range(5))
    theirs = precision_recall_fscore_support(expected, predicted, labels=range(5), zero_division=0.0)
    for name, column in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        np.testing.assert_allclose([getattr(scores.classes[k], name) for k in range(5)], column, rtol=1e-12)
    np.testing.assert_array_equal(scores.confusion, confusion_matrix(expected, predicted, labels=range(5)))


def test_steps_without_a_label_do_not_count() -> None:
    expected, predicted = np.array([0, -1, 1, -1, 1]), np.array([0, 0, 1, 1, 0])
    scores = score_codes(expected, predicted, CLASSES[:2])
    assert scores == replace(score_codes([0, 1, 1], [0, 1, 0], CLASSES[:2]), unlabeled=2)
    assert score_labels(expected, predicted, range(2)).accuracy == scores.accuracy
    # Where -1 is a label, it counts.
    assert score_labels([-1, 1], [-1, -1], [-1, 1]).accuracy == 0.5


@pytest.mark.parametrize(
    ("expected", "predicted", "said"),
    [
        ([-1, -1], [0, 1], "None of the 2 expected labels is known"),
        ([0, 2], [0, 1], "expected has the code 2; codes are whole numbers from 0 to 1, and -1"),
        ([0, -2], [0, 1], "expected has the code -2"),
        ([0, 1], [0, -1], "predicted has the code -1; codes are whole numbers from 0 to 1."),
        ([0.0, 1.0], [0, 1], "expected is float64"),
        ([[0, 1]], [0, 1], "in an array of one axis"),
    ],
)
def test_codes_that_cannot_be_compared(expected: object, predicted: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        score_codes(expected, predicted, [0, 1])


@pytest.mark.parametrize(
    ("expected", "predicted", "said"),
    [
        ([], [], "0 expected and 0 predicted"),
        (["a"], ["a", "b"], "1 expected and 2 predicted"),
        (["z"], ["a"], "expected has the label 'z'"),
        (["a"], ["z"], "predicted has the label 'z'"),
    ],
)
def test_labels_that_cannot_be_compared(expected: list[str], predicted: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        score_labels(expected, predicted, CLASSES)


def test_importing_is_cheap() -> None:
    code = "import sys, bothways.metrics; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
