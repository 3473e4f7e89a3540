"""A model judged: what is said of it."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from bothways.errors import InputError
from bothways.metrics import Judgement, at_threshold, judge

CLASSES = ["calm", "attack"]


def judged(accuracy: float, other: float, sequences: int = 50, **more: object) -> Judgement:
    """A model that is right so often, beside a baseline that is right so often."""
    generator = np.random.default_rng(0)
    expected = generator.integers(0, 2, sequences * 10)

    def codes(share: float) -> npt.NDArray[np.int64]:
        return np.where(generator.random(len(expected)) < share, expected, 1 - expected)

    p = np.where(np.eye(2)[codes(accuracy)] == 1, 0.8, 0.2)
    lengths = np.full(sequences, 10)
    return judge(expected, p, CLASSES, lengths, baselines={"majority": codes(0.5), "one_step": codes(other)}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accuracy", "other", "standing", "said"),
    [
        (0.9, 0.7, "better", "The model beats every simple labeling. Its macro F1 is "),
        (0.8, 0.8, "unclear", "The model does not clearly beat simple labelings."),
        (0.6, 0.9, "worse", "The model is worse than a simple labeling: use that instead."),
    ],
)
def test_the_verdict(accuracy: float, other: float, standing: str, said: str) -> None:
    judgement = judged(accuracy, other)
    assert judgement.standing == standing
    verdict = judgement.verdict
    assert verdict.startswith(said)
    assert "a regression on one step at a time" in verdict


def test_the_verdict_without_certainty() -> None:
    assert judged(0.9, 0.5, sequences=1).standing == "unknown"
    assert "A single sequence cannot tell how sure that is." in judged(0.9, 0.5, sequences=1).verdict
    assert judge([0, 1], np.eye(2), CLASSES).verdict.endswith("there is nothing to compare it with.")


def test_the_verdict_where_the_two_scores_disagree() -> None:
    expected = np.array([0] * 90 + [1] * 10)
    p = np.where(np.arange(100) >= 75, 0.9, 0.1)
    verdict = judge(expected, np.stack([1 - p, p], axis=1), CLASSES, baselines={"majority": [0] * 100}).verdict
    assert "By the share of labels that are right it is no better: 85.0%, against 90.0% of always the" in verdict


def test_the_json_shape() -> None:
    judgement = judged(0.9, 0.7, positive=1, threshold=0.5, asked=0.1, hours=2.0)
    shape = json.loads(json.dumps(judgement.to_json("test"), allow_nan=False))
    before = ["split", "sequences", "steps", "accuracy", "macro_f1", "classes", "baselines"]
    assert list(shape) == [*before, "confusion", "calibration", "unlabeled", "intervals", "threshold"]
    assert set(shape["classes"]["attack"]) > {"f1", "average_precision", "roc_auc"}
    assert shape["baselines"]["one_step"]["model_ahead_by"]["macro_f1"]["low"] > 0
    assert shape["intervals"]["accuracy"]["low"] < shape["accuracy"] < shape["intervals"]["accuracy"]["high"]
    rate = shape["threshold"]["intervals"]["detection_rate"]
    assert rate["low"] < shape["threshold"]["detection_rate"] == rate["value"] < rate["high"]


def test_steps_without_a_label_raise_no_alarms() -> None:
    expected = np.array([0, 1, -1, 1, -1, 0])
    p = np.array([0.1, 0.9, 0.9, 0.2, 0.9, 0.8])
    judgement = judge(expected, np.stack([1 - p, p], axis=1), CLASSES, [3, 3], positive=1, threshold=0.5)
    assert judgement.alarms == at_threshold(p[expected >= 0], expected[expected >= 0] == 1, 0.5)
    assert judgement.scores.unlabeled == 2


def test_a_threshold_needs_a_class() -> None:
    with pytest.raises(InputError, match="needs the class that it is for; positive is None"):
        judge([0, 1], np.eye(2), CLASSES, threshold=0.5)
