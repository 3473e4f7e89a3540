"""What a search for settings tries, in which order, and for how long."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bothways.sequences import Sequences
from bothways.study.factors import DataShape, Setting
from bothways.study.plan import CHOICES, FIRST, LONG, SHORT, WHOLE, SearchClock, SearchPlan, Trial, Tried, _batch_size
from bothways.study.trials import SearchData, settings_of
from bothways.study.tuning import _attempts
from bothways.tags import scheme_of

SHAPE = DataShape(features=1, classes=2, longest=20)


def tried(values: dict[str, Any], score: float, length: int = SHORT, seed: int = 0, unfinished: bool = False) -> Tried:
    trial = Trial(Setting.of(values), seed, length)
    return Tried(trial, None, None, score, 0.0, 1, unfinished, took=1.0)  # type: ignore[arg-type]  # not looked at


def plan(given: dict[str, Any] | None = None, steps: int = 100) -> SearchPlan:
    train = Sequences(np.zeros((steps, 1)), np.full(steps // 5, 5), labels=np.arange(steps) % 2)
    return SearchPlan(SHAPE, train, given or {}, seed=0)


def test_what_is_given_is_kept_and_what_has_no_effect_is_not_varied() -> None:
    of = plan({"units": 8, "dropout": 0.1})
    done: list[Any] = []
    for _ in range(40):
        trial = of.next(done)
        assert (trial.setting["units"], trial.setting["dropout"]) == (8, 0.1)
        assert trial.setting["pooling"] == "mean_max", "there is one label a step"
        assert int(trial.setting["conv_window"] or 0) <= SHAPE.longest
        done.append(tried(dict(trial.setting.changed), score=-len(done), length=trial.length, seed=trial.seed))
    assert len({each.trial for each in done}) == 40


def test_weights_of_classes_that_are_given_are_kept() -> None:
    """A CRF has none."""
    of = plan({"class_weight": "balanced"})
    assert {setting["class_weight"] for setting in of.first} == {"balanced"}


def test_what_is_searched() -> None:
    """What a table may need one day is not lost without a word."""
    wanted = {"learning_rate", "units", "depth", "direction", "cell", "encoding", "levels", "changes", "dropout"}
    assert wanted | {"conv_window", "window", "pooling", "class_weight"} <= CHOICES.keys()
    assert all(len(values) > 1 for values in CHOICES.values())


def test_of_short_trials_the_best_third_is_tried_whole() -> None:
    of = plan()
    first = [of.next([]) for _ in range(6)]
    assert {trial.length for trial in first} == {SHORT}
    assert len(set(first)) == 6
    done = [tried(dict(trial.setting.changed), score=i) for i, trial in enumerate(first)]
    assert of.next(done) == first[5]._replace(length=WHOLE)
    assert of.next(done) == first[4]._replace(length=WHOLE)
    assert of.next(done).length == SHORT


@pytest.mark.parametrize(("left", "longer"), [(9.0, 1), (1.5, 2), (0.8, 5)])
def test_where_there_is_no_time_for_others_more_trials_go_on(left: float, longer: int) -> None:
    """Else a search on a slow machine ends with short trainings alone."""
    of = plan()
    done = [tried({"units": units}, units) for units in (8, 16, 24, 32, 40)]
    found = [of.next(done, left) for _ in range(longer + 1)]
    best = [each.trial._replace(length=WHOLE) for each in reversed(done)]
    assert found[:longer] == best[:longer]
    assert found[longer] not in best


def test_a_longer_training_is_given_what_the_shorter_one_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def until_stopped(what: str, tasks: Any, *_: Any) -> Any:
        for _, (_, trial, _, before), _ in tasks:
            given.append((trial.length, before))
            yield replace(tried(dict(trial.setting.changed), len(given), trial.length), p=f"p of trial {len(given)}")

    given, done = list[Any](), list[Tried]()
    monkeypatch.setattr("bothways.study.tuning.until_stopped", until_stopped)
    for each in _attempts(None, plan(), done, SearchClock(600), 1, lambda: len(done) == 4):  # type: ignore[arg-type]
        done.append(each)
    assert given == [(SHORT, None), (SHORT, None), (SHORT, None), (WHOLE, "p of trial 3")]


@pytest.mark.parametrize(
    ("steps", "unfinished", "left", "given", "longer"),
    [
        (40_000, True, 4.0, {}, True),
        (20_000, True, 4.0, {}, False),
        (40_000, False, 4.0, {}, False),
        (40_000, True, 2.0, {}, False),
        (40_000, True, 4.0, {"epochs": 9}, False),
    ],
)
def test_a_good_training_whose_epochs_were_too_few_has_three_times_as_many(
    steps: int, unfinished: bool, left: float, given: dict[str, Any], longer: bool
) -> None:
    """Not one that stopped by itself, nor one for which there is no time; epochs that are given stay."""
    of = plan(given, steps)
    done = [tried({**given, "units": units}, units, WHOLE, unfinished=unfinished) for units in (8, 16, 32)]
    assert (of.next(done, left) == done[2].trial._replace(length=LONG)) == longer
    assert of.next(done, left) != done[2].trial._replace(length=LONG), "once"


def test_long_trainings_have_three_times_the_epochs_and_short_ones_a_third() -> None:
    train = Sequences(np.zeros((100_000, 1)), np.full(100, 1000), labels=np.arange(100_000) % 2)
    data = SearchData(((train, train),), DataShape(features=1, classes=2, longest=1000), {}, "f1", 1)
    found = [settings_of(data, Trial(Setting(), 0, length)) for length in (SHORT, WHOLE, LONG)]
    assert [each.epochs for each in found] == [5, 15, 45]
    assert [each.patience for each in found] == [5, 5, 9]


def test_long_sequences_of_large_tables_are_learned_in_short_pieces_first() -> None:
    def windows(longest: int, given: dict[str, Any], steps: int = 40_000) -> set[Any]:
        train = Sequences(np.zeros((steps, 1)), np.full(steps // longest, longest), labels=np.arange(steps) % 2)
        shape = DataShape(features=1, classes=2, longest=longest)
        return {each["window"] for each in SearchPlan(shape, train, given, seed=0).first}

    assert windows(1000, {}) == {250, 1000}
    assert windows(250, {}) == {1000}, "which has no effect"
    assert windows(1000, {"window": 400}) == {400}
    assert windows(1000, {}, steps=30_000) == {1000}
    assert windows(2000, {"window": None}) == {None}, "whole, where by default they are cut"
    assert windows(2000, {"window": 3000}) == {3000}


def test_choices_are_values_of_factors() -> None:
    for values in itertools.chain(*FIRST.values()):
        Setting.of(values).settings(0)
    for name, choices in CHOICES.items():
        for value in choices:
            Setting.of({name: value}).settings(0)


def test_words_are_tried_with_a_crf_and_in_whole_trainings() -> None:
    shape = DataShape(features=2, classes=3, categories=(900, 300), longest=20)
    train = Sequences(np.zeros((800, 2)), np.full(100, 8), labels=np.zeros(800, np.int64))
    first = SearchPlan(shape, train, {}, seed=0).next([])
    assert first.length == WHOLE
    assert first.setting["head"] == "crf"
    assert [setting["encoding"] for setting in SearchPlan(shape, train, {}, seed=0).first] == ["piecewise"] * 5
    weighed = replace(train, weights=np.full(800, 0.5, np.float32))
    assert SearchPlan(shape, weighed, {}, seed=0).next([]).setting["head"] == "softmax"


def test_very_many_fine_tags_of_words_are_told_without_a_crf() -> None:
    """It takes so long that there is no time for several networks; for tags of entities it is worth that."""
    shape = DataShape(features=2, classes=250, categories=(900, 300), longest=20)
    train = Sequences(np.zeros((800, 2)), np.full(100, 8), labels=np.zeros(800, np.int64))

    def heads(train: Sequences, **given: Any) -> set[Any]:
        plan = SearchPlan(shape, train, given, seed=0)
        return {plan.next([]).setting["head"] for _ in range(30)}

    assert heads(train) == {"softmax"}
    assert heads(train, head="crf") == {"crf"}
    tags = scheme_of([f"{begin}-{kind}" for kind in range(125) for begin in "BI"])
    assert "crf" in heads(replace(train, scheme=tags))


def test_letters_are_tried_with_a_convolution_early() -> None:
    """Genes, proteins and hyphens are told by motifs, and on a slow machine few settings are tried."""
    shape = DataShape(features=1, classes=3, categories=(20,), longest=8)
    train = Sequences(np.zeros((800, 1)), np.full(100, 8), labels=np.arange(800) % 3)
    first = SearchPlan(shape, train, {}, seed=0).first
    assert [(each["conv_window"], each["head"]) for each in first[:2]] == [(0, "softmax"), (7, "softmax")]
    measured = SearchPlan(shape._replace(features=2), replace(train, values=np.zeros((800, 2))), {}, seed=0).first
    assert [each["conv_window"] for each in measured[:2]] == [0, 0]


def test_words_are_learned_in_half_as_many_epochs() -> None:
    train = Sequences(np.zeros((100_000, 2)), np.full(2000, 50), labels=np.zeros(100_000, np.int64))
    words = DataShape(features=2, classes=3, categories=(900, 300), longest=50)
    epochs = [
        settings_of(SearchData(((train, train),), shape, {}, "macro_f1", 1), Trial(Setting(), 0, WHOLE)).epochs
        for shape in (words, words._replace(categories=(90, 30)))
    ]
    assert epochs == [5, 11]


def test_settings_that_go_with_no_other_are_left_out() -> None:
    train = Sequences(np.zeros((1200, 1)), np.full(60, 20), labels=np.arange(1200) % 2)
    plan = SearchPlan(SHAPE, train, {"lookahead": 3, "direction": "forward"}, seed=0)
    done: list[Tried] = []
    for _ in range(30):
        trial = plan.next(done)
        assert trial.setting.network(SHAPE).lookahead == 3
        done.append(Tried(trial, None, None, 0.5, 0.5))  # type: ignore[arg-type]


def test_what_has_numbers_and_very_many_kinds_is_tried_as_both() -> None:
    """So of flows with addresses: their numbers enter piecewise first. Vectors of words are no numbers of their own."""
    train = Sequences(np.zeros((800, 5)), np.full(100, 8), labels=np.zeros(800, np.int64))
    shape = DataShape(features=5, classes=3, categories=(900, 300), longest=20)
    plan = SearchPlan(shape, train, {}, seed=0)
    assert [setting["head"] for setting in plan.first[:4]] == ["softmax", "crf", "softmax", "crf"]
    assert [setting["encoding"] for setting in plan.first[:2]] == ["piecewise", "standard"]
    assert plan.next([]).length == SHORT
    assert len(SearchPlan(shape._replace(vectors=3), train, {}, seed=0).first) == len(FIRST["word"])


def test_few_sequences_are_learned_a_few_at_a_time() -> None:
    sizes = [_batch_size(Sequences(np.zeros((n, 1)), np.ones(n, np.int64))) for n in (20, 3000, 20_000)]
    assert sizes == [8, 16, 64]


def test_of_very_many_numbers_each_enters_once_at_first() -> None:
    """With levels and changes, 80 numbers have one bin each, from the least value to the largest."""
    shape = DataShape(features=80, classes=3, longest=20)
    train = Sequences(np.zeros((800, 80)), np.full(100, 8), labels=np.arange(800) % 3)
    plan = SearchPlan(shape, train, {}, seed=0)
    assert [setting["encoding"] for setting in plan.first[:2]] == ["piecewise", "standard"]
    assert [setting.network(shape).channels for setting in plan.first[:2]] == [80, 80]
    assert plan.first[0].network(shape).bins_per_number == 6
    assert plan.first[-1].network(shape).channels == 320, "the usual is tried, too"
    assert SearchPlan(shape, train, {"changes": 1}, seed=0).first[0]["changes"] == 1


def test_a_busy_machine_has_a_longer_budget_and_no_trial_begins_that_cannot_end() -> None:
    clock = SearchClock(60)
    clock.note(took=10, processor=8)
    assert (round(clock.budget), round(clock.left)) == (75, 75)
    assert clock.enough
    clock.before = 71  # which leaves less than half of what the shortest trial took
    assert not clock.enough
