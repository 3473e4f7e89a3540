"""Settings that suit a table: many are tried on its valid part within a budget, and the best networks averaged.

Trials are trainings with fewer or more epochs. What did well in few is tried again in more, and then with other seeds
(`plan`). What is held out decides what is good, and which networks are averaged (`held_out`). Nothing but the train and
the valid part is looked at.
"""

from __future__ import annotations

import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
import numpy as np

from bothways import interrupts
from bothways.errors import BothwaysError
from bothways.metrics import check_tags, monitored, title
from bothways.network import Network
from bothways.patterns import Patterns
from bothways.runtime import Member, Model, PatternMember, decided, probabilities, scores, tempered
from bothways.sequences import NO_LABEL, Numbers, Sequences
from bothways.settings import Search, Settings
from bothways.study.clock import SearchClock
from bothways.study.factors import DataShape, Setting, Value
from bothways.study.held_out import HeldOut
from bothways.study.plan import SearchPlan, Trial, Tried, rank
from bothways.study.pool import PoolError, processes, results
from bothways.study.worker import Process, begin, this_process

if TYPE_CHECKING:
    from bothways.training import EpochReport
    from bothways.training.checkpoints import Checkpoint

UPDATES = 3000
"""About so many updates a whole training has."""

STEPS = 600_000, 1_500_000
"""And so many steps at least and at most."""

SHORT = 3
"""A first trial has a share of one in so many of the epochs of a whole training."""

FEW_HELD_OUT: Mapping[str, int] = {"step": 10, "sequence": 50}
"""Fewer sequences than these are few, by what has a label."""

PIECES = 3
"""Into so many pieces the train part is cut where the valid part is small."""

MOST_STEPS = 100_000
"""With more steps in the train part that would take too long."""

LEAST_SHARE = 0.01
"""What the best network counts beside patterns that are better without any."""

CANDIDATES = 20
"""So many of the best networks may become members."""

BUDGET = 60.0
"""Seconds for a table of 100,000 steps; others have a time by the square root of their size."""

LONGEST_BUDGET = 6 * BUDGET


@dataclass(frozen=True, eq=False)
class Tuned:
    """What was found.

    Attributes:
        members: the networks, the best of them first, and patterns.
        best: the trial of the best one.
        settings: how it was trained.
        temperature: as in `bothways.runtime.Model`.
        threshold: as there.
        tried: all trials, the best first.
        score: the score of the average on the valid part.
        metric: the title of that score.
        interrupted: whether Ctrl-C ended it before its time.
    """

    members: list[Member | PatternMember]
    best: Tried
    settings: Settings
    temperature: float
    threshold: float
    tried: list[Tried]
    score: float
    metric: str
    interrupted: bool = False

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


class SearchProgress(NamedTuple):
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

    @property
    def metric(self) -> str:
        """The title of the score that decides."""
        return title(self.monitor, "the rarer class")

    @cached_property
    def held_out(self) -> HeldOut:
        """All that is held out in one fold or another."""
        together = Sequences.joined([valid for _, valid in self.folds])
        return HeldOut(together, self.shape.classes, self.monitor, self.positive)


def folds(
    train: Sequences, valid: Sequences, seed: int, groups: Numbers | None = None
) -> tuple[tuple[Sequences, Sequences], ...]:
    """What to learn from and what to hold out, train and valid first.

    Where there are few sequences for what is labelled in the valid part, or few groups in the train part, thirds of the
    train part are held out in turn, too. `groups` has for each sequence of it the number of its group, which stays
    together.

    Example:
        >>> days = Sequences(np.zeros((90, 1)), np.full(9, 10), labels=np.zeros(90, np.int64))
        >>> [(len(learn), len(hold)) for learn, hold in folds(days, days.take(np.arange(2)), seed=0)]
        [(9, 2), (6, 3), (6, 3), (6, 3)]
    """
    units = np.arange(len(train)) if groups is None else groups
    count, few = int(units.max(initial=-1)) + 1, FEW_HELD_OUT[train.per]
    if (len(valid) if groups is None else count) >= few or count < 2 * PIECES or train.steps > MOST_STEPS:
        return ((train, valid),)
    pieces = (np.random.default_rng(seed).permutation(count) % PIECES)[units]
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
    groups: Numbers | None = None,
    budget: float,
    seed: int = 0,
    members: int = Search.members,
    workers: int | None = None,
    on_progress: Callable[[SearchProgress], None] = lambda progress: None,
    stopped: Callable[[], bool] = lambda: False,
    checkpoint: Path | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> Tuned:
    """Look for settings that suit a table, and average the best networks.

    Ctrl-C ends it with what there is.

    Args:
        train: what to learn from.
        valid: what to choose by.
        shape: what the data determine about every network.
        given: values of factors that are kept.
        patterns: classifiers that are fitted already, and may become members.
        groups: as in `folds`.
        budget: seconds after which no trial begins, and those that are going on end, up to half as many again on a
            machine with other work; the first trial is done in any case.
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
    monitor, positive = monitored(str(given.get("monitor", Settings.monitor)), counts, train.scheme is not None)
    check_tags(monitor, train)
    data = _Data(folds(train, valid, seed, groups), shape, given, monitor, positive)
    plan, done, clock = SearchPlan(shape, train, given, seed), list[Tried](), SearchClock(budget)
    first = plan.first[0]
    kept = None
    if checkpoint is not None:
        marks = fingerprint(first.network(shape), first.settings(seed), train, valid)
        kept = Checkpoints(checkpoint, marks, say)
        if resume and (stored := kept.load()) is not None:
            clock.before, done = stored.notes["seconds"], _restored(stored)
            plan.take(done)
    else:
        first.network(shape)
    with interrupts.deferred() as stop:

        def ended() -> bool:
            return stop.requested or stopped()

        for tried in _attempts(data, plan, done, clock, processes(workers), ended):
            stop.keeping = True  # from now on there is something to save
            done.append(tried)
            clock.note(tried.took, tried.processor)
            best = max(done, key=rank)
            seconds, setting = clock.seconds, str(best.trial.setting)
            on_progress(SearchProgress(len(done), seconds, clock.budget, setting, abs(best.score), data.metric))
            if kept is not None:
                kept.offer(_stored(done, seconds), last=False)
    if kept is not None:
        kept.flush()
    if not done:
        raise KeyboardInterrupt
    if len(done) == 1 and not ended():
        say("The budget was enough for one training: nothing else was tried.")
    return replace(_averaged(data, done, patterns, members), interrupted=stop.requested)


def _attempts(
    data: _Data, plan: SearchPlan, done: Sequence[Tried], clock: SearchClock, count: int, stopped: Callable[[], bool]
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
    while not stopped():
        try:
            tried = found.get(timeout=0.2)
        except queue.Empty:
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


def attempt(data: _Data, trial: Trial, seconds: float) -> Tried | None:
    """Train and validate, in a process of the pool; None if the loss is no finite number."""
    begin(data.driver, data.backend)
    from bothways.training import DivergedError, train

    begun, processor = time.monotonic(), time.process_time()
    end = begun + seconds
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
    best = replace(done[0], interrupted=False, losses=[])
    took, processor = time.monotonic() - begun, time.process_time() - processor
    return Tried(trial, best, p, data.held_out.value(p), data.held_out.loss(p), took, processor)


def _settings(data: _Data, trial: Trial) -> Settings:
    """How to train: in so many epochs that there are about `UPDATES` in all, or a share of them."""
    settings, given = trial.setting.settings(trial.seed), data.given
    train = data.folds[0][0]
    pieces = len(train) + train.steps // (settings.window or train.steps)
    usual = np.clip(UPDATES * settings.batch_size / pieces, STEPS[0] / train.steps, STEPS[1] / train.steps)
    epochs = settings.epochs if "epochs" in given else int(np.clip(usual, 9, 200))
    epochs = epochs if trial.whole else max(min(3, epochs), epochs // SHORT)
    patience = settings.patience if "patience" in given else max(5, epochs // 5)
    # Of a rare class all may be below any one threshold for many epochs.
    monitor = "average_precision" if data.held_out.chooses_threshold and "monitor" not in given else settings.monitor
    return replace(settings, epochs=epochs, patience=patience, monitor=monitor)


def _averaged(data: _Data, done: Sequence[Tried], patterns: Sequence[Patterns], most: int) -> Tuned:
    """The average that does best, with temperature and threshold."""
    ranked, held_out = sorted(done, key=rank, reverse=True), data.held_out
    candidates: list[tuple[Tried | Patterns, Any]] = [(each, each.p) for each in ranked[:CANDIDATES]]
    candidates += [(each, _of_patterns(data, each)) for each in patterns]
    chosen = held_out.average([p for _, p in candidates], most)
    p = np.mean([candidates[i][1] for i in chosen], axis=0)
    temperature = held_out.temperature(p)
    p = tempered(p, temperature)
    threshold = held_out.threshold(p)
    predicted = decided(p, threshold, held_out.sequences.scheme, held_out.sequences.lengths)
    shares = {i: float(chosen.count(i)) for i in sorted(set(chosen))}  # networks stand before patterns, by their rank
    if min(shares) >= len(ranked[:CANDIDATES]):  # a model needs a network
        shares = {0: LEAST_SHARE} | shares
    members = [_member(data, candidates[i][0], share) for i, share in shares.items()]
    best = ranked[min(shares)]
    settings, found = _settings(data, best.trial), abs(held_out.value(p, predicted))
    return Tuned(members, best, settings, temperature, threshold, ranked, found, data.metric)


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
