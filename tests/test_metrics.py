"""Scores, against their definitions written out."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.metrics import majority, score_labels

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
