"""Settings that suit a table: many are tried on its valid part within a budget, and the best networks averaged.

Trials are trainings with fewer or more epochs. What did well in few is tried again in more, and then with other seeds
(asynchronous successive halving: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning"). The average
is put together greedily (Caruana et al. 2004, "Ensemble Selection from Libraries of Models"). Nothing but the train and
the valid part is looked at.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
import numpy as np
from scipy.optimize import minimize_scalar

from bothways.errors import BothwaysError
from bothways.metrics import Resamples, Score, count, f1, labeled, monitored, score
from bothways.network import Network
from bothways.patterns import Patterns
from bothways.runtime import Member, Model, PatternMember, probabilities, scores, tempered
from bothways.sequences import NO_LABEL, Sequences
from bothways.settings import SCORES, Search, Settings
from bothways.study.factors import DataShape, Setting, Value
from bothways.study.pool import PoolError, processes, results
from bothways.study.worker import Process, begin, this_process

if TYPE_CHECKING:
    from bothways.training import EpochReport, Trained
    from bothways.training.checkpoints import Checkpoint

FIRST: Mapping[str, tuple[dict[str, Value], ...]] = {
    "step": (
        {},
        {"encoding": "standard"},
        {"dropout": 0.25, "units": 64},
        {"levels": "centered", "dropout": 0.25},
        {"encoding": "standard", "levels": "raw", "changes": 0},
        {"learning_rate": 0.003},
        {"conv_window": 7},
        {"levels": "raw", "changes": 0},
    ),
    "sequence": (
        {"pooling": "mean_max"},
        {"pooling": "mean_max", "conv_window": 9, "conv_stride": 2},
        {"pooling": "mean_max", "encoding": "standard"},
        {"pooling": "mean_max", "dropout": 0.25, "units": 64},
        {"pooling": "mean_max", "conv_window": 9, "conv_stride": 4, "units": 64},
        {"pooling": "last"},
        {"pooling": "mean_max", "encoding": "standard", "levels": "raw", "changes": 0},
        {"pooling": "mean", "learning_rate": 0.003},
    ),
}
"""What is tried first, by what has a label, where the data allow it."""

CHOICES: Mapping[str, tuple[Value, ...]] = {
    "encoding": ("piecewise", "standard"),
    "levels": ("both", "raw", "centered"),
    "changes": (0, 1, 2, 3),
    "bins": (8, 16, 32),
    "units": (32, 64),
    "depth": (1, 2),
    "cell": ("lstm", "gru"),
    "direction": ("both", "forward"),
    "dropout": (0.0, 0.25, 0.5),
    "learning_rate": (0.003, 0.01, 0.03),
    "conv_window": (0, 3, 7, 15),
    "conv_stride": (1, 2, 4),
    "pooling": ("mean_max", "last", "mean", "max"),
    "embedding": (8, 16, 32),
    "class_weight": (None, "balanced"),
    "window": (1000, 250),
}
"""What is varied, one value of the best so far at a time."""

RATE = 3
"""Of so many trials one is tried again in more epochs."""

UPDATES = 3000
"""About so many updates a whole training has."""

STEPS = 1_500_000
"""And so many steps at most."""

SHORT = 3
"""A first trial has a share of one in so many of the epochs of a whole training."""

FEW_HELD_OUT: Mapping[str, int] = {"step": 10, "sequence": 50}
"""Fewer sequences than these are few, by what has a label."""

PIECES = 3
"""Into so many pieces the train part is cut where the valid part is small."""

MOST_STEPS = 100_000
"""With more steps in the train part that would take too long."""

LIKELIHOOD = 0.5
"""What the cross-entropy counts beside the score in the choice of members, both as shares of those of the best one."""

CANDIDATES = 20
"""So many of the best networks may become members."""

THRESHOLDS = 100
"""So many thresholds are tried."""

SAMPLES = 200
"""On so many samples of the sequences of the valid part."""

BUDGET = 60.0
"""Seconds for a table of 100,000 steps; others have a time by the square root of their size."""

LONGEST_BUDGET = 6 * BUDGET


class Trial(NamedTuple):
    """What is to be trained: a setting, the seed, and whether in all epochs or in a share of them."""

    setting: Setting
    seed: int
    whole: bool


@dataclass(frozen=True, eq=False)
class Tried:
    """What came of a trial.

    Attributes:
        trial: what was trained.
        trained: what came of it.
        p: `(labels, classes)` the probabilities of what is held out.
        score: how good they are, the higher the better.
        loss: the mean cross-entropy of it.
    """

    trial: Trial
    trained: Trained
    p: Any
    score: float
    loss: float


@dataclass(frozen=True, eq=False)
class Tuned:
    """What was found.

    Attributes:
        members: the networks, the best one first.
        best: the trial of the best one.
        settings: how it was trained.
        temperature: as in `bothways.runtime.Model`.
        threshold: as there.
        tried: all trials, the best first.
        score: the score of the average on the valid part.
        metric: the name of that score.
    """

    members: list[Member | PatternMember]
    best: Tried
    settings: Settings
    temperature: float
    threshold: float
    tried: list[Tried]
    score: float
    metric: str

    @property
    def network(self) -> Network:
        """The best network."""
        best = self.members[0]
        assert isinstance(best, Member)
        return best.network

    def adopted(self, model: Model) -> Model:
        """A model of the best network, made one of the average."""
        return replace(
            model,
            members=self.members,
            temperature=self.temperature,
            threshold=self.threshold,
            facts={**model.facts, "search": self.to_json()},
        )

    def to_json(self) -> dict[str, Any]:
        """What a model file keeps of it."""
        return {
            "score": self.metric,
            "of the average": self.score,
            "trials": [
                {"setting": str(each.trial.setting), "epochs": len(each.trained.history), "score": each.score}
                for each in self.tried
            ],
        }


class Progress(NamedTuple):
    """How far a search is: trials that are done, seconds that are over and left, the best setting and its score."""

    done: int
    seconds: float
    budget: float
    best: str
    score: float
    metric: str


@dataclass(frozen=True, eq=False)
class _Data:
    """What all trials share.

    Attributes:
        folds: what to learn from and what to hold out: the train and valid parts first. Where the valid part is small,
            pieces of the train part are held out in turn, too.
        shape: what the data determine about every network.
        given: values of factors that are kept.
        monitor: the name of the score that decides.
        positive: the class that it may be about.
    """

    folds: tuple[tuple[Sequences, Sequences], ...]
    shape: DataShape
    given: Mapping[str, Value]
    monitor: str
    positive: int
    driver: Process = field(default_factory=this_process)
    backend: str | None = field(default_factory=lambda: os.environ.get("KERAS_BACKEND"))

    @cached_property
    def held_out(self) -> Sequences:
        """All that is held out in one fold or another."""
        return Sequences.joined([valid for _, valid in self.folds])

    @cached_property
    def score(self) -> Score:
        """The score that decides."""
        return score(self.monitor, range(self.classes), self.positive)

    @cached_property
    def classes(self) -> int:
        """How many classes there are, those included that the train part does not have."""
        return max(self.shape.classes, int(self.held_out.known_labels.max()) + 1)

    @property
    def chooses_threshold(self) -> bool:
        """Whether a threshold is chosen for the second of two classes."""
        return self.monitor == "f1" and self.shape.classes == 2

    def of(self, p: Any, predicted: Any = None) -> float:
        """How good probabilities of what is held out are, the higher the better; at the threshold that suits them."""
        if self.chooses_threshold and predicted is None and self.classes == 2:
            return float(f1(*(each.sum(axis=0) for each in _threshold_counts(self, p))).max())
        counts = count(self.held_out, p, self.classes, whole=True, predicted=predicted)
        return SCORES[self.monitor].better * self.score.of(counts)


def folds(train: Sequences, valid: Sequences, seed: int) -> tuple[tuple[Sequences, Sequences], ...]:
    """What to learn from and what to hold out, train and valid first.

    Where the valid part has few sequences for what is labelled, thirds of the train part are held out in turn, too.

    Example:
        >>> days = Sequences(np.zeros((90, 1)), np.full(9, 10), labels=np.zeros(90, np.int64))
        >>> [(len(learn), len(hold)) for learn, hold in folds(days, days.take(np.arange(2)), seed=0)]
        [(9, 2), (6, 3), (6, 3), (6, 3)]
    """
    few = FEW_HELD_OUT[train.per]
    if len(valid) >= few or len(train) < 2 * PIECES or train.steps > MOST_STEPS:
        return ((train, valid),)
    pieces = np.random.default_rng(seed).permutation(len(train)) % PIECES
    return ((train, valid), *((train.keep(pieces != i), train.keep(pieces == i)) for i in range(PIECES)))


def default_budget(sequences: Sequences) -> float:
    """Seconds to look for settings for a table of this size."""
    return float(min(LONGEST_BUDGET, max(BUDGET / 2, BUDGET * math.sqrt(sequences.steps / 100_000))))


def tune(
    train: Sequences,
    valid: Sequences,
    shape: DataShape,
    given: Mapping[str, Value],
    *,
    patterns: Sequence[Patterns] = (),
    budget: float,
    seed: int = 0,
    members: int = Search.members,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stopped: Callable[[], bool] = lambda: False,
    checkpoint: Path | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> Tuned:
    """Look for settings that suit a table, and average the best networks.

    Args:
        train: what to learn from.
        valid: what to choose by.
        shape: what the data determine about every network.
        given: values of factors that are kept.
        patterns: classifiers that are fitted already, and may become members.
        budget: seconds after which no trial begins, and those that are going on end; the first one is done in any case.
        seed: of everything that is drawn. What is found depends on the speed of the machine all the same.
        members: the most networks that are averaged.
        workers: how many processes; as many as there are cores if not given.
        on_progress: is called after each trial.
        stopped: tells whether to end with what there is.
        checkpoint: a file that keeps the trials that are done.
        resume: go on from the checkpoint, if there is one.
        say: is called with what the user should know.

    Raises:
        InputError: settings that cannot work, or a checkpoint of another search.
        KeyboardInterrupt: it was stopped before the first trial was done.
        PoolError: the processes that train die.
    """
    from bothways.training.checkpoints import Checkpoints, fingerprint

    labels = train.known_labels
    counts = np.bincount(labels[labels != NO_LABEL], minlength=shape.classes)
    monitor, positive = monitored(str(given.get("monitor", Settings.monitor)), counts)
    data = _Data(folds(train, valid, seed), shape, given, monitor, positive)
    plan, done, clock = _Plan(data, seed), list[Tried](), _Clock(budget)
    first = plan.first[0]
    kept = None
    if checkpoint is not None:
        marks = fingerprint(first.network(shape), first.settings(seed), train, valid)
        kept = Checkpoints(checkpoint, marks, say)
        if resume and (stored := kept.load()) is not None:
            clock.spent, done = stored.notes["seconds"], _restored(stored)
            plan.take(done)
    else:
        first.network(shape)
    for tried in _attempts(data, plan, done, clock, processes(workers), stopped):
        done.append(tried)
        best = max(done, key=_rank)
        on_progress(Progress(len(done), clock.seconds, budget, str(best.trial.setting), abs(best.score), monitor))
        if kept is not None:
            kept.offer(_stored(done, clock.seconds), last=False)
    if kept is not None:
        kept.flush()
    if not done:
        raise KeyboardInterrupt
    if len(done) == 1 and not stopped():
        say("The budget was enough for one training: nothing else was tried.")
    return _averaged(data, done, patterns, members)


class _Clock:
    """How much of the budget is spent; what the processes take to start is not counted."""

    def __init__(self, budget: float) -> None:
        self._budget, self.spent = budget, 0.0
        self._started: float | None = None

    def start(self) -> None:
        """Start, if it does not go yet."""
        self._started = self._started or time.monotonic()

    @property
    def seconds(self) -> float:
        """What is spent."""
        return self.spent + (0 if self._started is None else time.monotonic() - self._started)

    @property
    def left(self) -> float:
        """What is left."""
        return self._budget - self.seconds


def _attempts(
    data: _Data, plan: _Plan, done: Sequence[Tried], clock: _Clock, count: int, stopped: Callable[[], bool]
) -> Iterator[Tried]:
    """What comes of trials, as it comes. The pool has a thread of its own, so that nobody waits for it when stopped."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def trials() -> Iterator[Any]:
        yield from [joblib.delayed(begin)(data.driver, data.backend)] * count
        clock.start()
        while not stopped():
            first = not plan.begun and not done
            if clock.left <= 0 and not first:
                return
            yield joblib.delayed(attempt)(data, plan.next(done), math.inf if first else clock.left)

    def run() -> None:
        try:
            with results(trials(), count, alone=False) as each:
                for tried in each:
                    found.put(tried)
            found.put(StopIteration)
        except Exception as reason:  # a process died, or a setting cannot work
            found.put(reason)

    threading.Thread(target=run, daemon=True).start()
    while True:
        try:
            tried = found.get(timeout=0.2)
        except queue.Empty:
            if stopped():
                return
            continue
        if isinstance(tried, Tried):
            yield tried
        elif tried is not None:
            if isinstance(tried, Exception) and not done:
                known = isinstance(tried, BothwaysError)
                raise tried if known else PoolError(f"The search ended without a result: {tried}")
            return


def _stored(done: Sequence[Tried], seconds: float) -> Checkpoint:
    """All trials that are done, as a checkpoint keeps them."""
    from bothways.training.checkpoints import Checkpoint

    arrays = {f"{i}/{name}": array for i, each in enumerate(done) for name, array in each.trained.weights.items()}
    arrays |= {f"{i}/p": each.p for i, each in enumerate(done)}
    trials = [
        {
            "trial": [each.trial.setting.text, each.trial.seed, each.trial.whole],
            "trained": asdict(replace(each.trained, weights={})),
            "score": each.score,
            "loss": each.loss,
        }
        for each in done
    ]
    return Checkpoint(arrays, {"seconds": seconds, "trials": trials})


def _restored(stored: Checkpoint) -> list[Tried]:
    """What `_stored` kept."""
    from bothways.training import EpochReport, Trained

    found = []
    for i, said in enumerate(stored.notes["trials"]):
        own = {name.partition("/")[2]: array for name, array in stored.arrays.items() if name.startswith(f"{i}/")}
        setting, seed, whole = said["trial"]
        p, history = own.pop("p"), [EpochReport(**report) for report in said["trained"]["history"]]
        trained = Trained(**{**said["trained"], "weights": own, "history": history})
        found.append(
            Tried(Trial(Setting.of(json.loads(setting)), seed, whole), trained, p, said["score"], said["loss"])
        )
    return found


def _rank(tried: Tried) -> tuple[float, float]:
    return tried.score, -tried.loss


class _Plan:
    """What to try next."""

    def __init__(self, data: _Data, seed: int) -> None:
        self._data, self._seed = data, seed
        self._generator = np.random.default_rng(seed)
        self._given: set[Trial] = set()
        self.first = [self._setting(values) for values in FIRST[data.shape.per]]
        self.begun = 0

    def take(self, done: Sequence[Tried]) -> None:
        """Know of trials that an earlier search has done."""
        self._given |= {each.trial for each in done}

    def next(self, done: Sequence[Tried]) -> Trial:
        """The next trial, by what is known of those that are done."""
        self.begun += 1
        chosen = self._promoted(done) or self._new(done) or self._again(done)
        self._given.add(chosen)
        return chosen

    def _promoted(self, done: Sequence[Tried]) -> Trial | None:
        """A setting that did well in few epochs, in all of them."""
        short = sorted((each for each in done if not each.trial.whole), key=_rank, reverse=True)
        for each in short[: len(short) // RATE]:
            whole = each.trial._replace(whole=True)
            if whole not in self._given:
                return whole
        return None

    def _new(self, done: Sequence[Tried]) -> Trial | None:
        """A setting that was not tried yet: of those to try first, else one like the best but for one or two values."""
        whole = [each for each in done if each.trial.whole]
        if len(whole) > 2 and self._generator.random() < 1 / RATE:
            return None
        for setting in self.first:
            if (trial := Trial(setting, self._seed, False)) not in self._given:
                return trial
        best = sorted(done, key=_rank, reverse=True)[:RATE]
        for _ in range(20 if best else 0):
            values = dict(best[self._generator.integers(len(best))].trial.setting.changed)
            for name in self._generator.choice(list(CHOICES), self._generator.integers(1, 3), replace=False).tolist():
                values[name] = CHOICES[name][self._generator.integers(len(CHOICES[name]))]
            if (trial := Trial(self._setting(values), self._seed, False)) not in self._given:
                return trial
        return None

    def _again(self, done: Sequence[Tried]) -> Trial:
        """One of the best settings with another seed."""
        best = sorted((each for each in done if each.trial.whole), key=_rank, reverse=True)[:RATE]
        setting = best[self._generator.integers(len(best))].trial.setting if best else self.first[0]
        for seed in itertools.count(self._seed):
            if (trial := Trial(setting, seed, True)) not in self._given:
                return trial
        raise AssertionError("there is no end of numbers")

    def _setting(self, values: Mapping[str, Value]) -> Setting:
        """The setting of values that are not given, without those that have no effect on these data."""
        shape = self._data.shape
        of_size: dict[str, Value] = {"batch_size": _batch_size(self._data.folds[0][0])}
        chosen = {**of_size, **values, **self._data.given}
        if "conv_window" not in self._data.given and int(chosen.get("conv_window") or 0) > shape.longest:
            del chosen["conv_window"]
        if not chosen.get("conv_window") and "conv_stride" not in self._data.given:
            chosen.pop("conv_stride", None)
        return Setting.of(chosen).alone(shape)


def _batch_size(train: Sequences) -> int:
    """Few sequences are learned a few at a time, many more at once.

    Example:
        >>> [_batch_size(Sequences(np.zeros((n, 1)), np.ones(n, np.int64))) for n in (20, 3000, 20_000)]
        [8, 16, 64]
    """
    pieces = len(train) + train.steps // int(Settings.window or 1000)
    return int(2 ** np.clip(np.log2(pieces / 200).round(), 3, 6))


def attempt(data: _Data, trial: Trial, seconds: float) -> Tried | None:
    """Train and validate, in a process of the pool; None if the loss is no finite number."""
    begin(data.driver, data.backend)
    from bothways.training import DivergedError, train

    end = time.monotonic() + seconds
    settings, network = _settings(data, trial), trial.setting.network(data.shape)

    def on_epoch(report: EpochReport) -> None:
        if time.monotonic() > end:
            raise KeyboardInterrupt  # which keeps the best weights so far

    done, held_out = [], []
    for i, (learn, hold) in enumerate(data.folds):
        if i and time.monotonic() > end:  # networks of some folds say nothing, or the wrong thing
            return None
        try:
            done.append(train(network, learn, settings, hold, on_epoch, say=lambda message: None))
        except (DivergedError, KeyboardInterrupt):  # or time was over before the first update was done
            return None
        if i and done[-1].interrupted:
            return None
        held_out.append(probabilities(scores(network, done[-1].weights, hold)))
    p = np.concatenate(held_out)
    return Tried(trial, replace(done[0], interrupted=False, losses=[]), p, data.of(p), _loss(data, p))


def _settings(data: _Data, trial: Trial) -> Settings:
    """How to train: in so many epochs that there are about `UPDATES` in all, or a share of them."""
    settings, given = trial.setting.settings(trial.seed), data.given
    train = data.folds[0][0]
    pieces = len(train) + train.steps // (settings.window or train.steps)
    usual = min(UPDATES * settings.batch_size / pieces, STEPS / train.steps)
    epochs = settings.epochs if "epochs" in given else int(np.clip(usual, 9, 200))
    epochs = epochs if trial.whole else max(min(3, epochs), epochs // SHORT)
    patience = settings.patience if "patience" in given else max(5, epochs // 5)
    # Of a rare class all may be below any one threshold for many epochs.
    monitor = "average_precision" if data.chooses_threshold and "monitor" not in given else settings.monitor
    return replace(settings, epochs=epochs, patience=patience, monitor=monitor)


def _averaged(data: _Data, done: Sequence[Tried], patterns: Sequence[Patterns], most: int) -> Tuned:
    """The average that does best, with temperature and threshold."""
    ranked = sorted(done, key=_rank, reverse=True)
    candidates: list[tuple[Tried | Patterns, Any]] = [(each, each.p) for each in ranked[:CANDIDATES]]
    candidates += [(each, _of_patterns(data, each)) for each in patterns]
    chosen = _greedy(data, [p for _, p in candidates], most)
    p = tempered(np.mean([candidates[i][1] for i in chosen], axis=0), 1.0)
    temperature = _temperature(data, p)
    p = tempered(p, temperature)
    threshold = _threshold(data, p) if data.chooses_threshold else 0.5
    predicted = (p[:, 1] >= threshold).astype(np.int64) if data.shape.classes == 2 else None
    members = [_member(data, candidates[i][0], float(chosen.count(i))) for i in dict.fromkeys(chosen)]
    settings, found = _settings(data, ranked[0].trial), abs(data.of(p, predicted))
    return Tuned(members, ranked[0], settings, temperature, threshold, ranked, found, data.monitor)


def _of_patterns(data: _Data, fitted: Patterns) -> Any:
    """The probabilities of what is held out; of pieces of the train part, by patterns that do not know them."""
    found = []
    for i, (learn, hold) in enumerate(data.folds):
        own = type(fitted).fit(learn, data.shape.classes, data.shape.categories, i) if i else fitted
        found.append(probabilities((own or fitted).scores(hold)))
    return np.concatenate(found)


def _member(data: _Data, chosen: Tried | Patterns, share: float) -> Member | PatternMember:
    if isinstance(chosen, Patterns):
        return PatternMember(chosen, share)
    return Member(chosen.trial.setting.network(data.shape), chosen.trained.weights, share)


def _greedy(data: _Data, given: Sequence[Any], most: int) -> list[int]:
    """The numbers of so many probabilities, some perhaps twice, as each adds to what their average is worth.

    The first one is among them.
    """
    chosen, total = [0], np.array(given[0], np.float64)
    score, cost = (max(abs(value(given[0])), 1e-3) for value in (data.of, partial(_loss, data)))

    def value(p: Any) -> float:
        return data.of(p) / score - LIKELIHOOD * _loss(data, p) / cost

    while len(chosen) < most:
        sums = [total + p for p in given]
        values = [value(each / (len(chosen) + 1)) for each in sums]
        at = max(range(len(values)), key=values.__getitem__)
        if values[at] <= value(total / len(chosen)):
            break
        chosen.append(at)
        total = sums[at]
    return chosen


def _loss(data: _Data, p: Any) -> float:
    labels = data.held_out.known_labels
    known = (labels >= 0) & (labels < p.shape[1])
    return float(-np.log(np.maximum(p[known, labels[known]], 1e-12)).mean())


def _temperature(data: _Data, p: Any) -> float:
    """The temperature at which what is held out is likeliest; few sequences say little."""

    def loss(log: float) -> float:
        return _loss(data, tempered(p, math.exp(log))) + log**2 / len(data.held_out)

    return round(math.exp(minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded").x), 4)


def _threshold(data: _Data, p: Any) -> float:
    """The probability of the second class from which the F1 of the class to detect is highest.

    It is the median over samples of sequences, lest a few decide.
    """
    counts = _threshold_counts(data, p)
    if not 0 < counts[2].sum() < counts[1].sum(axis=0).max():
        return 0.5
    best = f1(*Resamples([len(data.held_out)], times=SAMPLES).sums(*counts)).argmax(axis=-1)
    at = float(np.median(np.linspace(0, 1, THRESHOLDS + 1)[best]))
    return min(max(at, 0.5 / THRESHOLDS), 1 - 0.5 / THRESHOLDS)


def _threshold_counts(data: _Data, p: Any) -> tuple[Any, Any, Any]:
    """Of the class to detect, for each sequence and threshold: how many are found, predicted, and there."""
    labels, p, numbers, weights = labeled(data.held_out, p, 2)
    cells = np.minimum((p[:, 1] * THRESHOLDS).astype(np.int64), THRESHOLDS - 1)
    shape = (len(data.held_out), 2, THRESHOLDS)
    counts = np.bincount((numbers * 2 + labels) * THRESHOLDS + cells, weights, math.prod(shape)).reshape(shape)
    above = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]  # those predicted as the second class, by label
    wanted = above if data.positive else counts.sum(axis=-1, keepdims=True) - above
    return wanted[:, data.positive], wanted.sum(axis=1), counts[:, data.positive].sum(axis=-1)[:, None]
