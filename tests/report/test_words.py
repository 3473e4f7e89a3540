"""What is said of an evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bothways.metrics import BaselineScores, Evaluation, Fall, Importance, Interval, evaluate
from bothways.report import importance_words, verdict, warnings
from bothways.sequences import Sequences


def evaluated(
    labels: list[int], p: Any, classes: Any = ("calm", "attack"), lengths: Any = None, **more: Any
) -> Evaluation:
    lengths = np.ones(len(labels), np.int64) if lengths is None else np.array(lengths)
    return evaluate(Sequences(np.zeros((len(labels), 0)), lengths, np.array(labels)), np.asarray(p), classes, **more)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        ((0.1, 0.3), "The model beats every baseline. Its macro F1 is 1.000 .* 0.100 to 0.300 less."),
        ((-0.1, 0.3), "The model does not clearly beat the baselines. .* may be 0.100 behind or 0.300 ahead."),
        ((-0.0001, 0.0), "The model does not clearly beat the baselines. .*: here the two are alike."),
        (
            (-0.3, -0.1),
            "The model is worse than a simple one: use regression on single steps instead. .* 0.100 to 0.300 more.",
        ),
    ],
)
def test_the_verdict(ahead: tuple[float, float], said: str) -> None:
    evaluation = evaluated([0, 1] * 10, np.eye(2)[[0, 1] * 10])
    baseline = BaselineScores(0.5, 0.8, dict.fromkeys(("accuracy", "macro_f1"), Interval(0.2, *ahead)))
    object.__setattr__(evaluation, "baselines", {"one_step": baseline})
    import re

    assert re.fullmatch(said, verdict(evaluation))
    assert "the best baseline (regression on single steps) is 0.800" in verdict(evaluation)


def test_the_parts_that_made_the_model_are_no_judges() -> None:
    labels = [0, 1] * 10
    found = evaluated(labels, np.eye(2)[labels], baselines={"majority": np.zeros(20, int)}, split="valid")
    assert verdict(found).startswith("On the valid part, by which it was chosen, the model is ahead of every")
    assert "so flatters the model" in warnings(found)[0]
    assert warnings(evaluated(labels, np.eye(2)[labels], split="valid")) == ()
    found = evaluated(labels, np.eye(2)[labels], baselines={"majority": np.zeros(20, int)}, split="train")
    assert verdict(found).startswith("On the train part, from which it learned, the model is ahead of every")
    assert "learned from the train part" in warnings(found)[0]


@pytest.mark.parametrize(("sequences", "said"), [(3, "3 sequences cannot tell"), (6, "The model beats every baseline")])
def test_few_sequences_cannot_tell(sequences: int, said: str) -> None:
    """Of three that differ by chance all differ the same way in one of four cases, and so does their interval."""
    labels = [0, 1] * sequences
    p, lengths = np.eye(2)[labels], [2] * sequences
    found = evaluated(labels, p, lengths=lengths, baselines={"majority": np.zeros(2 * sequences, int)})
    assert found.baselines["majority"].ahead["macro_f1"].low > 0
    assert found.standing == ("better" if sequences == 6 else "unclear")
    assert said in verdict(found)


def test_the_verdict_without_certainty() -> None:
    one = evaluated([0, 1], np.eye(2), lengths=[2], baselines={"majority": np.zeros(2, int)})
    assert "a single sequence cannot tell" in verdict(one)
    assert verdict(evaluated([0, 1], np.eye(2))).startswith("The model was compared with no baseline.")


def test_the_verdict_where_the_two_scores_disagree() -> None:
    p = np.where(np.arange(100) >= 75, 0.9, 0.1)
    labels = [0] * 90 + [1] * 10
    found = evaluated(labels, np.stack([1 - p, p], axis=1), baselines={"majority": np.zeros(100, int)})
    assert "By accuracy it is no better: 85.0%, and 90.0% for the most frequent label" in verdict(found)


def test_warnings() -> None:
    p = np.tile([0.2, 0.8], (30, 1))
    assert warnings(evaluated([0, 1] * 15, p)) == ()
    few = warnings(evaluated([0, 1, -1, 2] * 2, p[:8], ("calm", "attack", "scan"), [4, 4]))
    assert [warning.split(":")[0] for warning in few] == [
        "Only 2 sequences have labels",
        "Training has no label 'scan'",
        "2 steps have no label and do not count.",
    ]
    absent = warnings(evaluated([0] * 30, p))
    assert absent == ("No step here has the label 'attack', so its F1 is 0 and lowers the macro F1.",)
    alarms = evaluated([0, 1] * 15, p, split="test", positive=1, threshold=0.5, asked=0.01)
    assert "There are more false alarms than were asked for." in warnings(alarms)[0]
    assert "the test part is not like it" in warnings(alarms)[0]


def test_how_importance_was_measured() -> None:
    found = Importance("macro_f1", 0.9, {"age": Fall(0.2)}, {}, None, (), sequences=1, steps=50)
    assert importance_words(found) == (
        "Measured on 1 sequence, where macro F1 is 0.900. Without a column: its values are those of another place. "
        "Columns that say the same stand in for each other, so that each may look unimportant."
    )
