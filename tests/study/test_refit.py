"""What a search has chosen learns from the valid part, too; what it chose stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import bothways
from bothways import baselines, jobs
from bothways.errors import InputError
from bothways.labeler import SequenceLabeler
from bothways.metrics import choose_threshold, kept_thresholds
from bothways.runtime import BaselineMember, Member, Model
from bothways.sequences import Sequences
from bothways.study import refit as refitting
from bothways.study.factors import DataShape
from bothways.study.plan import SHORT, WHOLE, SearchClock
from bothways.study.refit import refit
from bothways.study.tuning import Tuned, tune

SHAPE = DataShape(features=2, classes=2, longest=5, categories=(9,))
INSTANT = "0.0000001s"  # over before another training could begin
QUICK: dict[str, Any] = {"epochs": 12, "units": 4, "batch_size": 8, "head": "softmax", "category_dropout": 0.0}
ROLES: dict[str, Any] = {"label": "state", "sequence": "id", "order": "t", "split": "part"}


def kinds(codes: list[int], count: int, unknown: int = 0) -> Sequences:
    """Steps of kinds, of which the even ones are of class 0; the first ones of a class that nobody knows."""
    rng = np.random.default_rng(len(codes) + count)
    values = np.stack([rng.normal(size=count * 5), rng.choice(codes, count * 5)], axis=1)
    labels = values[:, 1].astype(np.int64) % 2
    labels[:unknown] = 2
    return Sequences(values, np.full(count, 5), labels=labels)


@pytest.fixture(scope="module")
def searched() -> tuple[Tuned, Model, Sequences, Sequences]:
    train, valid = kinds([1, 2], 60), kinds([1, 2, 3, 4, 5, 6], 40, unknown=3)
    simple = baselines.fit(train, 2, (9,), 0)
    scoring = [each for each in simple if isinstance(each, baselines.CLASSIFIERS)]
    done: list[Any] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SearchClock, "enough", property(lambda self: len(done) < 2))
        tuned = tune(train, valid, SHAPE, QUICK, simple=scoring, budget=600, workers=1, on_progress=done.append)
    best = tuned.best.trained
    return tuned, tuned.adopted(Model([Member(tuned.network, best.weights)], (0, 1), baselines=simple)), train, valid


def right(model: Model, sequences: Sequences) -> float:
    return float(np.mean(model.decide(model.probabilities(sequences), sequences.lengths) == sequences.labels))


def test_members_learn_from_the_valid_part_too(searched: tuple[Tuned, Model, Sequences, Sequences]) -> None:
    tuned, model, train, valid = searched
    new = kinds([3, 4, 5, 6], 30)  # kinds that only the valid part has
    again = refit(model, tuned, train, valid, workers=1)
    assert right(model, new) < 0.8
    assert right(again, new) > 0.95
    assert right(again, kinds([1, 2], 30)) > 0.95
    assert (again.temperature, again.threshold) == (model.temperature, model.threshold)
    assert [each.share for each in again.members] == [each.share for each in model.members]
    known = replace(valid, labels=np.where(valid.known_labels < 2, valid.known_labels, -1))
    together = Sequences.joined([train, known])
    for one, other in zip(again.baselines, baselines.fit(together, 2, (9,), 0), strict=True):
        for name, array in other.arrays().items():
            np.testing.assert_array_equal(one.arrays()[name], array)
    of = {each.name: each for each in again.baselines}
    for member in again.members:
        if isinstance(member, BaselineMember):
            assert member.baseline is of[member.baseline.name]
    networks = sum(isinstance(each, Member) for each in again.members)
    assert again.facts["refit"] == {"networks": networks}
    assert again.summary["fitted again"] == "on the train and valid parts together"


def test_networks_for_which_there_is_no_time_stay(
    searched: tuple[Tuned, Model, Sequences, Sequences], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned, model, train, valid = searched
    monkeypatch.setattr(refitting, "SPARE", 0.0)
    again = refit(model, tuned, train, valid, workers=1)
    for one, other in zip(again.members, model.members, strict=True):
        if isinstance(one, Member):
            assert one is not other
            for name, array in other.arrays().items():
                np.testing.assert_array_equal(one.arrays()[name], array)
    assert "would have taken too long" in again.summary["fitted again"]


@pytest.mark.parametrize(
    ("length", "best", "whole", "seconds", "epochs"),
    [
        (SHORT, 4, None, 90.0, 12),
        (SHORT, 4, None, 8.0, 7),
        (SHORT, 4, None, 4.0, 1),
        (SHORT, 4, None, 1.5, None),
        (SHORT, 4, "cut short", 90.0, 12),
        (SHORT, 4, "stopped", 90.0, 4),
        (SHORT, 4, "to its end", 90.0, 4),
        (SHORT, 2, None, 90.0, 3),
        (WHOLE, 4, None, 90.0, 4),
    ],
)
def test_a_network_of_a_short_training_is_fitted_again_in_a_whole_one(
    searched: tuple[Tuned, Model, Sequences, Sequences],
    length: int,
    best: int,
    whole: str | None,
    seconds: float,
    epochs: int | None,
) -> None:
    """Where the search had no time for one; not where the short one was best early, or a whole one was no better."""
    tuned, *_ = searched
    history = [replace(tuned.best.trained.history[0], epochs=4)] * 4
    trained = replace(tuned.best.trained, seconds={"compile": 1.0, "train": 4.0}, history=history)
    one = replace(tuned.best, trial=tuned.best.trial._replace(length=length), trained=trained, epochs=best, whole=12)
    longer = replace(trained, history=history * 3 if whole == "to its end" else history)
    other = replace(one, trial=one.trial._replace(length=WHOLE), trained=longer, unfinished=whole != "stopped")
    known = [one, other] if whole else [one]
    found = refitting._affordable(replace(tuned, chosen=[(one, 1.0)], tried=known), 1.0, seconds)
    assert [plan.settings.epochs for plan in found.values()] == ([] if epochs is None else [epochs])


def test_networks_go_on_where_there_is_no_time_to_train_them_anew(
    searched: tuple[Tuned, Model, Sequences, Sequences],
) -> None:
    """The largest share first, but with time left for the others to go on."""
    tuned, *_ = searched
    history = [replace(tuned.best.trained.history[0], epochs=6)] * 6
    trained = replace(tuned.best.trained, seconds={"compile": 1.0, "train": 6.0}, history=history)
    one = replace(tuned.best, trial=tuned.best.trial._replace(length=WHOLE), trained=trained, epochs=6, whole=6)
    three = replace(tuned, chosen=[(one, 0.2), (one, 0.5), (one, 0.3)], tried=[one], budget=90.0)
    for seconds, expected in ((21.0, {1: 6, 2: 6, 0: 6}), (13.0, {1: 6, 2: 2, 0: 2}), (6.0, {1: 2, 2: 2}), (2.0, {})):
        found = refitting._affordable(three, 1.0, seconds)
        assert {number: plan.settings.epochs for number, plan in found.items()} == expected
        for plan in found.values():
            assert plan.start is (None if plan.settings.epochs == 6 else trained.weights)


def test_sequences_whose_label_nobody_knows_are_left_out() -> None:
    valid = Sequences(np.zeros((6, 1)), np.full(3, 2), labels=np.array([0, 5, 1]), per="sequence")
    known = refitting._known(valid, 2)
    assert known.known_labels.tolist() == [0, 1]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers whose whole part is odd or even; in the train part there are but those below 2."""
    rng, rows = np.random.default_rng(0), []
    for i in range(150):
        part, most = (("train", 2), ("valid", 4), ("test", 4))[i % 3]
        for t, x in enumerate(rng.uniform(0, most, 10)):
            rows.append((i, t, part, x, "odd" if x % 2 >= 1 else "even"))
    path = tmp_path_factory.mktemp("refit") / "numbers.parquet"
    pl.DataFrame(rows, ["id", "t", "part", "x", "state"], orient="row").write_parquet(path)
    return path


@pytest.mark.slow
def test_training_keeps_thresholds_of_the_model_before(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refitting, "SPARE", 1e9)
    said: list[str] = []
    how: dict[str, Any] = {"settings": QUICK, "budget": INSTANT, "allow_leaks": True, "say": said.append, **ROLES}
    before = jobs.train(table, table.with_name("before.bothways"), refit=False, **how)
    assert not [each for each in said if "again" in each]
    trained = jobs.train(table, table.with_name("after.bothways"), **how)
    assert "Fitting what was chosen again, on the train and valid parts together." in said
    assert "refit" in trained.model.facts
    assert "refit" not in before.model.facts
    assert trained.evaluation.macro_f1 == before.evaluation.macro_f1, "it is that of the model before"
    assert trained.model.facts["thresholds"] == before.model.facts["thresholds"]
    frame = pl.read_parquet(table)
    valid = frame.filter(part="valid").sort("id", "t")
    p = before.model.predict_proba(valid)
    odd = before.model.classes.index("odd")
    expected = choose_threshold(p[:, odd], (valid["state"] == "odd").to_numpy(), 0.05)
    quiet: dict[str, Any] = {"say": said.append, "false_alarm_rate": 0.05, "positive": "odd"}
    found = jobs.evaluate(table.with_name("after.bothways"), table, **quiet)
    assert found.alarms is not None
    assert found.alarms.threshold == pytest.approx(expected)
    test = jobs.evaluate(table.with_name("before.bothways"), table, say=said.append)
    assert found.macro_f1 > test.macro_f1
    jobs.evaluate(table.with_name("after.bothways"), table, "valid", say=said.append)
    assert said[-1].startswith("Careful: the model learned from the valid part, too")
    again = bothways.load(table.with_name("after.bothways"))
    assert again.facts["thresholds"] == trained.model.facts["thresholds"]


@pytest.mark.slow
def test_a_class_that_the_valid_part_has_not_has_no_threshold(table: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(table).filter((pl.col("part") != "valid") | (pl.col("state") == "even"))
    path = tmp_path / "even.parquet"
    frame.write_parquet(path)
    model = tmp_path / "even.bothways"
    quiet: dict[str, Any] = {"allow_leaks": True, "say": lambda message: None}
    jobs.train(path, model, settings=QUICK | {"epochs": 1}, budget=INSTANT, **quiet, **ROLES)
    with pytest.raises(InputError, match="The valid part of training had no label odd"):
        jobs.evaluate(model, path, false_alarm_rate=0.1, positive="odd", say=lambda message: None)


def test_a_model_is_saved_before_it_is_evaluated(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("the machine is gone")

    monkeypatch.setattr("bothways.jobs.training.evaluate_part", fails)
    quiet: dict[str, Any] = {"allow_leaks": True, "say": lambda message: None}
    with pytest.raises(RuntimeError, match="the machine is gone"):
        jobs.train(table, tmp_path / "some.bothways", settings=QUICK | {"epochs": 1}, **quiet, **ROLES)
    assert bothways.load(tmp_path / "some.bothways").classes == ("even", "odd")


def test_held_out_labels_of_which_none_counts_give_no_thresholds() -> None:
    held_out = kinds([1, 2], 4)
    silent = replace(held_out, weights=np.zeros(len(held_out.known_labels), np.float32))
    assert kept_thresholds(silent, np.full((20, 2), 0.5))["values"] == [[], []]


@pytest.mark.slow
@pytest.mark.parametrize(("per", "sequences"), [("step", 2), ("step", 40), ("sequence", 40)])
def test_a_search_ends_well_on_columns_of_all_kinds(per: str, sequences: int, tmp_path: Path) -> None:
    """Constant, of two values, huge, tiny, missing in the train part; all simple models learn from them, too."""
    random, rows = np.random.default_rng(0), np.arange(sequences * 60)
    flow, x = rows // 60, random.normal(size=len(rows))
    labels = x > 0 if per == "step" else flow % 2 == 1
    x = x if per == "step" else np.sin(rows * (0.5 + labels)) + x / 5
    columns = {
        "x": x,
        "constant": np.full(len(rows), 7.0),
        "binary": random.choice([-3.5, 9.25], len(rows)),
        "huge": random.choice([-1e30, 1e30, 2e30, 0.5], len(rows)) * random.random(len(rows)),
        "tiny": random.random(len(rows)) * 1e-44,
        "denormal": random.random(len(rows)) * 1e-310,
    }
    frame = pl.DataFrame({"flow": flow, "at": rows % 60, **columns, "kind": np.where(labels, "high", "low")})
    frame.write_parquet(tmp_path / "some.parquet")
    said: list[str] = []
    how: dict[str, Any] = {"label": "kind", "sequence": "flow", "order": "at", "say": said.append, "allow_leaks": True}
    settings = {"epochs": 5, "units": 4}
    trained = jobs.train(
        tmp_path / "some.parquet", tmp_path / "some.bothways", budget=INSTANT, settings=settings, **how
    )
    names = {each.name for each in trained.model.baselines}
    assert names >= ({"one_step", "trees"} if per == "step" else {"one_step", "forest", "random_convolutions"})
    assert trained.model.facts["decisions"].keys() == names - {"majority"}
    assert [each for each in said if each.startswith("The budget")]
    part = "train" if sequences == 2 else "test"
    found = jobs.evaluate(tmp_path / "some.bothways", tmp_path / "some.parquet", part, say=said.append)
    assert found.baselines.keys() == names
    assert max(each.macro_f1 for each in found.baselines.values()) > 0.8
    assert 0 <= found.macro_f1 <= 1
    assert np.isfinite(trained.model.predict_proba(frame)).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The budget .* was enough for one whole training alone")
def test_a_labeler_measures_importance_with_the_model_before(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refitting, "SPARE", 1e9)
    frame = pl.read_parquet(table).sort("id", "t").filter(pl.col("part") != "test")
    train, valid = (
        (own["x"].to_numpy().reshape(-1, 10, 1), own["state"].to_numpy().reshape(-1, 10))
        for own in (frame.filter(part=name) for name in ("train", "valid"))
    )
    settings: dict[str, Any] = {"epochs": 12, "units": 4, "budget": INSTANT}
    plain = SequenceLabeler(**settings, refit=False).fit(*train, validation_data=valid)
    again = SequenceLabeler(**settings).fit(*train, validation_data=valid)
    assert "refit" in again.model_.facts
    assert "refit" not in plain.model_.facts
    np.testing.assert_array_equal(again.feature_importances_, plain.feature_importances_)
    assert again.score(*valid) > plain.score(*valid) + 0.05
