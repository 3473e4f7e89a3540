"""What is averaged, and how the average and the simple models beside it decide."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from bothways import baselines
from bothways.baselines import OneStep
from bothways.network import Network
from bothways.runtime import Member, Model, probabilities, tempered
from bothways.sequences import Sequences
from bothways.study.factors import DataShape, Setting
from bothways.study.held_out import HeldOut
from bothways.study.plan import WHOLE, Trial, Tried
from bothways.study.trials import SearchData
from bothways.study.tuning import _averaged, tune

SHAPE = DataShape(features=1, classes=2, longest=20)


def rare(count: int, seed: int) -> Sequences:
    """Steps of which one in ten is of class 1, more likely the higher its number is."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(count * 20) < 0.1).astype(np.int64)
    return Sequences((generator.normal(size=len(labels)) + labels)[:, None], np.full(count, 20), labels=labels)


@pytest.mark.slow
def test_simple_models_decide_as_the_average_does() -> None:
    """By a threshold that was chosen on the same labels: nothing that they are compared with has another start."""
    train, valid, new = rare(60, 0), rare(40, 1), rare(60, 2)
    simple = [each for each in baselines.fit(train, 2) if isinstance(each, baselines.CLASSIFIERS)]
    tuned = tune(train, valid, SHAPE, {"units": 1, "epochs": 1}, simple=simple, budget=0.01, workers=1)
    best = Member(tuned.network, tuned.best.trained.weights)
    model = tuned.adopted(Model([best], (0, 1), baselines=[baselines.Majority(0), *simple]))
    assert list(model.facts["decisions"]) == [each.name for each in simple] == ["one_step", "trees"]
    held_out = HeldOut(valid, 2, "f1", 1)
    found = model.predict_baselines(new)
    for each in simple:
        decision = held_out.decision(probabilities(each.logits(valid)))
        assert model.facts["decisions"][each.name] == decision._asdict()
        assert decision.threshold < 0.4
        p = tempered(probabilities(each.logits(new)), decision.temperature)
        np.testing.assert_array_equal(found[each.name], p[:, 1] >= decision.threshold)
        assert found[each.name].sum() > 2 * each.predict(new).sum()
    assert not found["majority"].any()


@pytest.mark.parametrize("classes", [2, 3])
def test_the_average_precision_decides(classes: int) -> None:
    """That of the rarer of two classes, else the mean over all, as in training."""
    valid = rare(9, 0)
    labels = np.minimum(np.arange(180) % 3, classes - 1)
    held_out = HeldOut(replace(valid, labels=labels), classes, "average_precision", 1)
    p = np.random.default_rng(0).dirichlet(np.ones(classes), 180)
    each = [average_precision_score(labels == code, p[:, code]) for code in range(classes)]
    assert held_out.value(p) == pytest.approx(each[1] if classes == 2 else np.mean(each))


@pytest.mark.parametrize(("threshold", "balance"), [(0.1, 0.0), (0.5, 1.0)])
def test_simple_models_have_the_balance_and_the_tags_of_the_model(threshold: float, balance: float) -> None:
    """Tags come out well-formed, "O" where it is likely enough; of other classes the rare ones are preferred."""
    classes = ("B-x", "I-x", "O") if balance == 0 else ("a", "b", "c")
    network = Network(features=1, classes=3, units=1)
    weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
    x = np.random.default_rng(0).normal(size=(300, 1))
    labels = np.asarray((x[:, 0] > 1) + 2 * (x[:, 0] < 0.5), np.int64) % 3
    sequences = Sequences(x, np.full(60, 5), labels=labels)
    simple = OneStep.fit(sequences, 3, (), 0)
    assert simple is not None
    counts: dict[Any, int] = dict(zip(classes, sequences.class_counts(3).tolist(), strict=True))
    model = Model([Member(network, weights)], classes, None, counts, baselines=[simple])
    np.testing.assert_array_equal(model.predict_baselines(sequences)["one_step"], simple.predict(sequences))
    decision = {"temperature": 2.0, "threshold": threshold, "balance": balance}
    alike = replace(model, facts={"decisions": {"one_step": decision}})
    expected = replace(model, threshold=threshold, balance=balance)
    p = tempered(probabilities(simple.logits(sequences)), 2.0)
    found = alike.predict_baselines(sequences)["one_step"]
    np.testing.assert_array_equal(found, expected.decide(p, sequences.lengths))
    assert (found != simple.predict(sequences)).any()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_an_average_has_no_more_members_than_it_may(most: int) -> None:
    """Where simple models alone are better, a network takes the place of one of them."""
    labels = np.arange(40) % 2
    hold = Sequences(np.zeros((800, 1)), np.full(40, 20), labels=labels, per="sequence")
    data = SearchData(((hold, hold),), SHAPE._replace(per="sequence"), {}, "f1", 1)
    done = [Tried(Trial(Setting.of({}), 0, WHOLE), None, np.full((40, 2), 0.5), 0.0, 1.0)]  # type: ignore[arg-type]
    parts = np.arange(40) % 4 // 2
    simple: list[Any] = [
        (SimpleNamespace(name=str(part)), np.eye(2)[labels] * np.where(parts == part, 0.8, 0.02)[:, None] + 0.1)
        for part in (0, 1)
    ]
    simple = [(each, p / p.sum(axis=1, keepdims=True)) for each, p in simple]
    tuned = _averaged(data, done, simple, most)
    assert len(tuned.chosen) == most
    assert tuned.chosen[0][0] is done[0]
    assert list(tuned.decisions) == ["0", "1"]
