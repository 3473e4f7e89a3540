"""Looking for settings: what is found, what is kept, and what it never sees."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bothways import baselines
from bothways.errors import InputError
from bothways.metrics import count, score
from bothways.patterns import ConvolutionPatterns
from bothways.runtime import Member, Model, balancing, decided, tempered
from bothways.sequences import Sequences
from bothways.study.factors import DataShape, Setting
from bothways.study.held_out import HeldOut
from bothways.study.plan import WHOLE, SearchClock, SearchPlan, Trial, Tried
from bothways.study.pool import _batches
from bothways.study.trials import SearchData, attempt, folds, of_piece
from bothways.study.tuning import SearchProgress, Tuned, _too_short, default_budget, tune
from bothways.tags import scheme_of

SHAPE = DataShape(features=1, classes=2, longest=20)
QUICK: dict[str, Any] = {"epochs": 8, "units": 4}
ENOUGH = 6  # so many trainings show how they are chosen and averaged, however long they take


def rising(count: int, seed: int, rare: float = 0.0) -> Sequences:
    """Sequences in which a step is 1 where it is higher than the one before it by more than `rare`."""
    x = np.random.default_rng(seed).normal(size=(count, 20))
    y = np.diff(x, axis=1, prepend=9) > rare
    return Sequences(x.reshape(-1, 1), np.full(count, 20), labels=y.astype(np.int64).ravel())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tuned, list[SearchProgress], Path]:
    progress: list[SearchProgress] = []
    path = tmp_path_factory.mktemp("tuned") / "some.checkpoint"
    train, valid = rising(60, seed=0), rising(30, seed=1)

    def note(each: SearchProgress) -> None:
        progress.append(each)
        if len(progress) == ENOUGH:
            signal.raise_signal(signal.SIGINT)

    how: dict[str, Any] = {"workers": 1, "members": 3, "on_progress": note, "checkpoint": path}
    tuned = tune(train, valid, SHAPE, QUICK, budget=600, **how)
    return tuned, progress, path


def test_a_search_tries_settings_and_averages_networks(found: tuple[Tuned, list[SearchProgress], Path]) -> None:
    tuned, progress, _ = found
    assert len(tuned.tried) == len(progress) == progress[-1].done > 1
    assert 1 <= len(tuned.members) <= 3
    assert sum(member.share for member in tuned.members) <= 3
    assert tuned.score >= max(each.score for each in tuned.tried) - 0.05
    assert all(
        network.units == 4 for network in (tuned.network, *(m.network for m in tuned.members if hasattr(m, "network")))
    )
    assert {each["setting"] for each in tuned.to_json()["trials"]} == {str(each.trial.setting) for each in tuned.tried}
    assert tuned.settings.epochs <= 8


def test_a_search_goes_on_from_its_checkpoint(found: tuple[Tuned, list[SearchProgress], Path]) -> None:
    tuned, _, path = found
    train, valid = rising(60, seed=0), rising(30, seed=1)
    again = tune(train, valid, SHAPE, QUICK, budget=0.01, workers=1, members=3, checkpoint=path, resume=True)
    assert [each.trial for each in again.tried] == [each.trial for each in tuned.tried]
    assert again.decision == tuned.decision
    for one, other in zip(again.members, tuned.members, strict=True):
        for name, array in one.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[name])
    with pytest.raises(InputError, match="another training"):
        tune(valid, train, SHAPE, QUICK, budget=0.01, checkpoint=path, resume=True)
    others = {each.trial.setting["encoding"] for each in tuned.tried}
    assert len(others) > 1
    for value in others:  # one of them is what is tried first, too
        with pytest.raises(InputError, match=r"is of a search that tried .*, with less given|another training"):
            tune(train, valid, SHAPE, {**QUICK, "encoding": value}, budget=0.01, checkpoint=path, resume=True)
    groups = np.arange(len(train)) // 10
    with pytest.raises(InputError, match="another training; what differs: data"):
        tune(train, valid, SHAPE, QUICK, groups=groups, budget=0.01, checkpoint=path, resume=True)


def test_a_search_that_is_stopped_before_a_training_is_done_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempts(*what: Any) -> Iterator[Tried]:
        signal.raise_signal(signal.SIGINT)
        yield from ()

    monkeypatch.setattr("bothways.study.tuning._attempts", attempts)
    with pytest.raises(KeyboardInterrupt):
        tune(rising(20, seed=0), rising(10, seed=1), SHAPE, QUICK, budget=600, workers=1)


def test_nobody_waits_for_simple_models_after_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """To know how good they are on pieces of the train part they are fitted to each anew, which may take long."""
    train, valid, asked = rising(20, seed=0), rising(10, seed=1), list[Any]()
    simple = [each for each in baselines.fit(train, 2, (), 0) if isinstance(each, baselines.CLASSIFIERS)]
    assert simple
    monkeypatch.setattr("bothways.study.tuning.of_piece", lambda data, kind, place: asked.append(kind))

    def stop(progress: SearchProgress) -> None:
        signal.raise_signal(signal.SIGINT)

    tuned = tune(train, valid, SHAPE, QUICK, simple=simple, budget=600, workers=1, on_progress=stop)
    assert (tuned.interrupted, len(tuned.tried), asked) == (True, 1, [])


@pytest.mark.parametrize(("seconds", "count", "said"), [([5.0], 1, 1), ([5.0, 4.0], 2, 1), ([0.5, 4.0], 2, 0)])
def test_a_budget_for_one_training_alone_is_said(
    seconds: list[float], count: int, said: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a second one had begun beside the first, and was cut short; not where the first one left time."""
    train, valid, heard, clock = rising(20, seed=0), rising(10, seed=1), list[str](), [0.0]

    def attempts(data: SearchData, plan: SearchPlan, done: list[Tried], *more: Any) -> Iterator[Tried]:
        first = attempt(data, plan.next(done), 600)
        assert first is not None
        for clock[0] in seconds:
            yield first

    monkeypatch.setattr("bothways.study.tuning._attempts", attempts)
    monkeypatch.setattr(SearchClock, "seconds", property(lambda self: clock[0]))
    monkeypatch.setattr(SearchClock, "budget", 4.5)
    tuned = tune(train, valid, SHAPE, QUICK, budget=4.5, workers=1, say=heard.append)
    assert len(tuned.tried) == count
    budget = "The budget (4.5 s) was enough for one whole training alone. To compare settings, give budget='10m'."
    assert heard == [budget] * said


def test_a_budget_that_was_too_short_is_told_in_plain_seconds_and_a_longer_one_advised() -> None:
    assert _too_short(120) == (
        "The budget (120 s) was enough for one whole training alone. To compare settings, give budget='10m'."
    )
    assert _too_short(1800).endswith("give budget='120m'.")


def test_a_setting_that_cannot_work_is_said_before_anything_is_trained() -> None:
    with pytest.raises(InputError, match="a window of 50 steps is longer"):
        tune(rising(9, 0), rising(9, 1), SHAPE, {"conv_window": 50}, budget=60)
    with pytest.raises(InputError, match="which weights other than 0 and 1 cannot weigh"):
        tune(rising(9, 0), rising(9, 1), SHAPE, {"head": "crf", "class_weight": "balanced"}, budget=60)


def test_a_search_without_a_finite_loss_was_not_stopped() -> None:
    wild = {**QUICK, "cell": "rnn_relu", "learning_rate": 1e30}
    with pytest.raises(InputError, match=r"In no training .* Lower learning_rate=1e\+30\."):
        tune(rising(9, 0), rising(9, 1), SHAPE, wild, budget=0.01, workers=1)


def test_what_a_longer_training_had_no_time_for_the_shorter_one_stands_for() -> None:
    """On a slow machine whole trainings are over before all pieces of the train part were held out."""
    train, valid = rising(30, seed=0), rising(5, seed=1)
    data = SearchData(folds(train, valid, seed=0), SHAPE, QUICK, "f1", 1)
    assert len(data.folds) == 4
    trial, before = Trial(Setting.of(QUICK), 0, WHOLE), np.full((700, 2), 0.5, np.float32)
    found = attempt(data, trial, 0.0, before)
    assert found is not None
    assert (found.p[:100] != 0.5).all()
    np.testing.assert_array_equal(found.p[100:], before[100:])
    assert (found.score, found.unfinished) == (data.held_out.value(found.p), True)
    assert attempt(data, trial, 0.0) is None


@pytest.mark.slow
def test_patterns_may_be_members() -> None:
    values = [np.sin(np.arange(20) * (0.5 + i % 2) + i)[:, None] for i in range(40)]
    waves = Sequences.from_arrays(values, np.arange(40) % 2, per="sequence")
    patterns = ConvolutionPatterns.fit(waves, 2, (), seed=0)
    assert patterns is not None
    shape = SHAPE._replace(per="sequence")
    tuned = tune(waves, waves, shape, {"units": 1, "epochs": 1}, simple=[patterns], budget=0.01, workers=1)
    assert isinstance(tuned.members[0], Member)
    assert any(not isinstance(member, Member) for member in tuned.members)
    assert tuned.score == 1.0


def test_the_threshold_suits_a_rare_class_and_probabilities_are_calibrated() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random(4000) < 0.05).astype(np.int64)
    logits = generator.normal(size=4000) + 2 * labels - 3
    held_out = HeldOut(Sequences(np.zeros((4000, 1)), np.full(40, 100), labels=labels), 2, "f1", 1)
    p = 1 / (1 + np.exp(-5 * logits))  # five times as sure as it should be
    sure = np.stack([1 - p, p], axis=1).astype(np.float32)
    temperature = held_out.temperature(sure)
    assert temperature > 2
    calibrated = tempered(sure, temperature)
    assert held_out.loss(calibrated) < held_out.loss(sure)
    threshold = held_out.threshold(calibrated)
    best = held_out.value(calibrated, (calibrated[:, 1] >= threshold).astype(np.int64))
    assert best >= held_out.value(calibrated, calibrated.argmax(axis=1))
    assert best >= held_out.value(calibrated) - 0.05, "the best threshold for these very labels"


def test_of_three_classes_rare_ones_are_preferred_a_little() -> None:
    """90, 6 and 4 labels of a hundred; an average of networks and what says nothing leaves out the rare ones."""
    generator, shares = np.random.default_rng(0), np.array([0.9, 0.06, 0.04])
    labels = generator.choice(3, 6000, p=shares)
    likely = shares * np.exp(generator.normal(size=(6000, 3)) + np.eye(3)[labels])
    p = (likely / likely.sum(axis=1, keepdims=True) + shares) / 2
    sequences, counts = Sequences(np.zeros((6000, 1)), np.full(60, 100), labels=labels), [9000, 600, 400]
    held_out = HeldOut(sequences, 3, "macro_f1", 0, counts)
    preferred, plain = decided(p, balance=balancing(counts, held_out.balance)), p.argmax(axis=1)
    assert held_out.value(p) == held_out.value(p, preferred) > held_out.value(p, plain) + 0.015
    assert (preferred == labels).mean() > (plain == labels).mean() - 0.005
    for other in (replace(held_out, monitor="accuracy"), replace(held_out, counts=(1, 1, 1))):
        assert other.value(p) == other.value(p, plain)


def test_where_nothing_can_be_told_there_are_no_alarms_everywhere() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random(4000) < 0.3).astype(np.int64)
    held_out = HeldOut(Sequences(np.zeros((4000, 1)), np.full(40, 100), labels=labels), 2, "f1", 1)
    p = generator.uniform(0.2, 0.4, 4000).astype(np.float32)
    decided = p >= held_out.threshold(np.stack([1 - p, p], axis=1))
    assert 0.2 < decided.mean() < 0.8


@pytest.mark.parametrize("labels", [[0] * 9, [1] * 9, [0, 1, 2] * 3, [-1, 0, 1] * 3])
def test_whatever_is_held_out_decides_something(labels: list[int]) -> None:
    """One class alone, a class that training does not have, labels that are missing."""
    held_out = HeldOut(Sequences(np.zeros((9, 1)), np.full(3, 3), labels=np.array(labels)), 2, "f1", 1)
    p = np.tile(np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]], np.float32), (3, 1))
    if held_out.classes > 2:
        held_out = replace(held_out, monitor="macro_f1")
    assert 0 <= held_out.value(p) <= 1
    assert 0.2 < held_out.temperature(p) < 5
    assert 0 < held_out.threshold(p) < 1
    for networks, simple in ([p, p[:, ::-1]], []), ([p], [p[:, ::-1]]):
        assert 1 <= len(held_out.average(networks, simple, 3)) <= 3


def test_a_label_of_weight_2_decides_as_two_do() -> None:
    generator, lengths = np.random.default_rng(0), np.full(30, 5)
    labels, weights = generator.integers(0, 2, 30), generator.integers(1, 4, 30).astype(np.float32)
    one = Sequences(np.zeros((150, 1)), lengths, labels, weights, per="sequence")
    often = replace(one, weights=None).take(np.repeat(np.arange(30), weights.astype(int)))
    weighed, repeated = (HeldOut(each, 2, "macro_f1", 1) for each in (one, often))
    p = np.clip(generator.normal(labels, 0.6), 0.05, 0.95)
    p = np.stack([1 - p, p], axis=1)
    again = p.repeat(weights.astype(int), axis=0)
    assert weighed.loss(p) == pytest.approx(repeated.loss(again))
    assert weighed.loss(p) != pytest.approx(HeldOut(replace(one, weights=None), 2, "macro_f1", 1).loss(p))
    assert weighed.value(p) == pytest.approx(repeated.value(again))


def test_gains_of_heavy_labels_make_networks_better() -> None:
    """The network is surer of half of the labels, and less sure of the others."""
    labels, heavy = np.tile([0, 1], 200), np.arange(400) % 20 < 10
    network, simple = (
        np.where(np.arange(2) == labels[:, None], right[:, None], 1 - right[:, None])
        for right in (np.where(heavy, 0.9, 0.2), np.full(400, 0.6))
    )
    for weights, networks in ((np.where(heavy, 9, 1), True), (np.where(heavy, 1, 9), False)):
        sequences = Sequences(np.zeros((400, 1)), np.full(20, 20), labels, weights.astype(np.float32))
        assert HeldOut(sequences, 2, "macro_f1", 1)._likelier(network, simple) == networks


def told(labels: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Probabilities of two classes, where these are those of the labels."""
    return np.where(np.arange(2) == labels[:, None], right[:, None], 1 - right[:, None])


@pytest.mark.parametrize(("better", "member"), [(0.0, True), (0.2, False)])
def test_a_simple_model_is_a_member_unless_networks_are_better_by_more_than_chance(better: float, member: bool) -> None:
    """Of 20 networks the best ones look better here than a simple model that is as good as they are."""
    generator, lengths = np.random.default_rng(0), np.full(60, 5)
    labels = generator.integers(0, 2, 300)
    held_out = HeldOut(Sequences(np.zeros((300, 1)), lengths, labels=labels), 2, "macro_f1", 1)

    def probabilities(mean: float) -> np.ndarray:
        return told(labels, np.clip(generator.normal(mean, 0.2, len(labels)), 0.05, 0.95))

    networks, simple = [probabilities(0.6 + better) for _ in range(20)], [probabilities(0.6)]
    assert (20 in held_out.average(networks, simple, 5)) == member
    assert min(held_out.average(networks, simple, 5)) < 20, "networks add to it"
    assert len(held_out.average(networks, simple, 1)) == 1


@pytest.mark.parametrize(("of_network", "places"), [(0.6, 2), (0.8, 2), (0.95, 0)])
def test_of_labels_of_sequences_two_places_of_five_are_for_simple_models(of_network: float, places: int) -> None:
    """Unless these are far behind."""
    labels = np.arange(60) % 2
    held_out = HeldOut(replace(single_steps(labels), per="sequence"), 2, "macro_f1", 1)
    network, *simple = (told(labels, np.full(60, right)) for right in (of_network, 0.55, 0.51))
    chosen = held_out.average([network], simple, 5)
    assert chosen.count(1) == places
    assert held_out.average([network], simple, 1) == [0]
    assert held_out.average([network], [], 5) == [0]


def test_few_labels_of_sequences_hardly_change_how_sure_a_model_is() -> None:
    labels = np.arange(60) % 2
    p = told(labels, np.where(np.arange(60) % 10 < 9, 0.7, 0.3))  # 90 % are right
    few, of_steps = (HeldOut(replace(single_steps(labels), per=per), 2, "f1", 1) for per in ("sequence", "step"))
    many = HeldOut(replace(single_steps(np.tile(labels, 100)), per="sequence"), 2, "f1", 1)
    temperature = many.temperature(np.tile(p, (100, 1)))
    assert 0.3 < temperature < of_steps.temperature(p) < few.temperature(p) - 0.1 < 0.9


@pytest.mark.parametrize(("sequences", "rooted"), [(1, True), (2, True), (20, False)])
def test_one_or_two_sequences_do_not_say_that_networks_are_better_by_more_than_chance(
    sequences: int, rooted: bool
) -> None:
    """The network is surer of each label here; of two sequences the second gains less, of many so do the odd ones."""
    labels = np.tile([0, 1], 10 * sequences)
    of_sequences = Sequences(np.zeros((20 * sequences, 1)), np.full(sequences, 20), labels=labels)
    held_out = HeldOut(of_sequences, 2, "macro_f1", 1)
    gains = np.where(np.arange(sequences) % 2, 0.62, 0.9).repeat(20)
    network, simple = told(labels, gains), told(labels, np.full(len(labels), 0.6))
    assert (1 in held_out.average([network], [simple], 3)) == rooted


def test_the_time_goes_with_the_size_of_the_table() -> None:
    tables = [Sequences(np.zeros((n, 1)), np.array([n])) for n in (100, 100_000, 10_000_000)]
    assert [default_budget([(table, table)]) for table in tables] == [30, 60, 360]
    # Where each trial is four trainings, twice as many steps take twice as long, and no trial is cut short.
    assert [default_budget([(table, table)] * 4) for table in tables[:2]] == [60, 60]
    longer = Sequences(np.zeros((200_000, 1)), np.array([200_000]))
    assert default_budget([(longer, longer)] * 4) == 120


def tagged(p_outside: float) -> tuple[Sequences, np.ndarray]:
    """Entities of one word in every fourth step, to which a model gives this probability of lying outside."""
    labels = np.tile([2, 2, 0, 2], 200)
    scheme = scheme_of(("B-x", "I-x", "O"))
    sequences = Sequences(np.zeros((800, 1)), np.full(100, 8), labels=labels, scheme=scheme)
    p = np.where(labels[:, None] == 0, [0.9 * (1 - p_outside), 0.1 * (1 - p_outside), p_outside], [0.01, 0.01, 0.98])
    return sequences, p


def single_steps(labels: Any) -> Sequences:
    """Sequences of one step each."""
    return Sequences(np.zeros((len(labels), 1)), np.ones(len(labels), np.int64), labels=labels.astype(np.int64))


def test_the_threshold_is_the_middle_of_all_that_are_best() -> None:
    """A range of them where the classes are told apart; it was the lowest, and the next label near it wrong."""
    labels = np.arange(60) % 3 == 0
    p = np.where(labels, 0.9, 0.04 + 0.02 * (np.arange(60) % 2))
    held_out = HeldOut(single_steps(labels), 2, "f1", 1)
    assert held_out.threshold(np.stack([1 - p, p], axis=1)) == pytest.approx((0.06 + 0.9) / 2, abs=0.03)


def test_few_labels_do_not_choose_the_threshold_alone() -> None:
    """Probabilities say what to expect; by the labels alone the thresholds of these draws differ by a third more."""
    generator = np.random.default_rng(2)
    chosen = []
    for _ in range(50):
        p = generator.beta(0.5, 2.0, size=30)
        held_out = HeldOut(single_steps(generator.random(30) < p), 2, "f1", 1)
        chosen.append(held_out.threshold(np.stack([1 - p, p], axis=1)))
    assert np.std(chosen) < 0.11


def test_a_threshold_for_tags_finds_entities_that_are_likely_without_being_likeliest() -> None:
    sequences, p = tagged(p_outside=0.7)
    held_out = HeldOut(sequences, 3, "entity_f1", 0)
    assert score("entity_f1", range(3), 0).of(count(sequences, p, 3)) == 0
    assert held_out.value(p) == 1
    threshold = held_out.threshold(p)
    assert 0.02 < threshold < 0.4
    predicted = decided(p, threshold, sequences.scheme, sequences.lengths)
    np.testing.assert_array_equal(predicted, sequences.labels)
    assert held_out.threshold(tagged(p_outside=0.1)[1]) == 0.5


def test_few_entities_do_not_choose_the_threshold() -> None:
    """Calibrated probabilities give the highest F1 from half of it up; the best of some thresholds differs by draw."""
    generator = np.random.default_rng(3)
    chosen, highest = [], []
    for _ in range(20):
        p = generator.beta(0.5, 4.0, size=300)
        labels = np.where(generator.random(300) < p, 0, 2)
        sequences = replace(single_steps(labels), scheme=scheme_of(["B-x", "I-x", "O"]))
        held_out = HeldOut(sequences, 3, "entity_f1", 0)
        p = np.stack([p, np.zeros(300), 1 - p], axis=1)
        chosen.append(held_out.threshold(p))
        highest.append(held_out.value(p))
    assert np.std(chosen) < 0.04
    assert np.mean(chosen) == pytest.approx(np.mean(highest) / 2, abs=0.02)


def test_pieces_of_the_train_part_keep_groups_together() -> None:
    people = np.repeat(np.arange(9), 10)
    train = Sequences(np.repeat(people, 2)[:, None], np.full(90, 2), labels=np.arange(180) % 2)
    pieces = folds(train, train.take(np.arange(20)), seed=0, groups=people)
    assert [len(hold) for _, hold in pieces] == [20, 30, 30, 30]
    for learn, hold in pieces[1:]:
        assert not set(learn.values.ravel()) & set(hold.values.ravel())


@pytest.mark.slow
def test_trees_may_be_members_where_labels_of_steps_go_by_thresholds() -> None:
    generator = np.random.default_rng(0)

    def boxes(count: int) -> Sequences:
        values = generator.uniform(size=(count * 20, 2))
        labels = np.asarray(((values > 0.3) & (values < 0.6)).all(axis=1), np.int64)
        return Sequences(values, np.full(count, 20), labels=labels)

    train, valid, new = boxes(60), boxes(20), boxes(20)
    shape = DataShape(features=2, classes=2, longest=20)
    simple = [each for each in baselines.fit(train, 2) if isinstance(each, baselines.CLASSIFIERS)]
    assert [each.name for each in simple] == ["one_step", "trees"]
    tuned = tune(train, valid, shape, {"units": 1, "epochs": 1}, simple=simple, budget=0.01, workers=1)
    model = Model(tuned.members, (0, 1), **tuned.decision._asdict())
    assert "trees" in model.summary["averaged with"]
    assert (model.decide(model.probabilities(new)) == new.labels).mean() > 0.97


def test_batches_of_runs_grow_smaller() -> None:
    batches = _batches([(Setting(), seed) for seed in range(10)], 2, singly=False)
    assert [len(seeds) for _, seeds in batches] == [3, 2, 2, 1, 1, 1]


def test_of_a_few_long_sequences_a_third_each_is_held_out_too() -> None:
    """The valid part of one machine says little: of five the first, second and third part of the time are held out."""
    labels = np.tile([0, 0, 0, 1], 150)
    train = Sequences(np.arange(600.0)[:, None], np.full(5, 120), labels=labels)
    found = folds(train, train.take(np.array([0])), seed=0)
    assert [(learn.lengths.tolist(), hold.lengths.tolist()) for learn, hold in found[1:]] == [([40] * 10, [40] * 5)] * 3
    for learn, hold in found[1:]:
        assert not set(learn.values.ravel()) & set(hold.values.ravel())
        assert (np.diff(hold.values.reshape(5, 40)) == 1).all()
    one = train.take(np.array([0]))
    assert len(folds(one, one, seed=0)) == 4
    assert len(folds(one, one, seed=0, groups=np.zeros(1, np.int64))) == 1, "a group stays together"
    early = replace(one, labels=np.r_[np.ones(10, np.int64), np.zeros(50, np.int64), np.full(60, -1)])
    assert len(folds(early, one, seed=0)) == 2, "the last third has no label; without the first there is one class"


@pytest.mark.parametrize(("failing", "count"), [(9, 4), (10, 1)])
def test_sequences_without_the_rarer_of_two_classes_say_little(failing: int, count: int) -> None:
    """Of 15 engines that are held out few fail: they decide on the threshold, and on who is a member."""
    train, labels = rising(60, seed=0, rare=1.0), np.zeros((15, 20), np.int64)
    labels[:failing, -1] = 1
    valid = replace(train.take(np.arange(15)), labels=labels.ravel())
    assert len(folds(train, valid, seed=0)) == count
    three = replace(train, labels=np.arange(train.steps) % 3)
    assert len(folds(three, valid, seed=0)) == 1
    equal = replace(train, labels=np.arange(train.steps) % 2)
    assert len(folds(equal, valid, seed=0)) == count, "of equal ones the last is the rarer one, as in scores"


@pytest.mark.parametrize(("length", "count"), [(5000, 4), (6000, 1)])
def test_of_few_sequences_with_a_label_each_thirds_are_held_out_though_they_are_long(length: int, count: int) -> None:
    train = Sequences(np.zeros((51 * length, 1)), np.full(51, length), labels=np.arange(51) % 6, per="sequence")
    assert len(folds(train, train.take(np.arange(9)), seed=0)) == count


def test_a_simple_model_that_pieces_are_too_small_for_does_not_know_what_is_held_out() -> None:
    labels = np.zeros(120, np.int64)
    labels[::10] = 1  # 12 in all, and 8 of them in two thirds of the sequences: too few for trees
    train = Sequences(labels[:, None] + 0.0, np.full(6, 20), labels=labels)
    trees = next(each for each in baselines.fit(train, 2) if isinstance(each, baselines.Trees))
    data = SearchData(folds(train, train, seed=0), DataShape(features=1, classes=2), {}, "f1", 1)
    for i in (1, 2, 3):
        np.testing.assert_allclose(of_piece(data, type(trees), (0, i))[1], np.tile([0.9, 0.1], (40, 1)))


def test_simple_models_of_pieces_are_fitted_on_one_thread() -> None:
    """On busy cores threads that wait for each other take a minute where one takes a second."""
    seen = list[int]()

    def fit(*given: Any) -> None:
        seen.extend(library["num_threads"] for library in threadpool_info())

    probe: Any = SimpleNamespace(fit=fit)
    train = rising(9, seed=0)
    with threadpool_limits(3):
        of_piece(SearchData(folds(train, train, seed=0), SHAPE, {}, "f1", 1), probe, (0, 1))
    assert set(seen) == {1}
