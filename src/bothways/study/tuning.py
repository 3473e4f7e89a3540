"""Settings that suit a table: many are tried on its valid part within a budget, and the best networks averaged.

Trials are trainings with fewer or more epochs. What did well in few is tried again in more, and then with other seeds
(`plan`). What is held out decides what is good, and which networks are averaged (`held_out`). Nothing but the train and
the valid part is looked at.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
import numpy as np

from bothways import interrupts
from bothways.baselines import Baseline, Classifier
from bothways.errors import BothwaysError, InputError, counted, option
from bothways.metrics import monitored
from bothways.metrics.scores import check_monitor
from bothways.network import Network
from bothways.runtime import BaselineMember, Member, Model, balancing, decided, probabilities, tempered
from bothways.sequences import Numbers, Sequences
from bothways.settings import Search, Settings, unweighable
from bothways.study.factors import DataShape, Setting, Value
from bothways.study.held_out import Decision
from bothways.study.plan import SearchClock, SearchPlan, Trial, Tried, ranked
from bothways.study.pool import processes, until_stopped
from bothways.study.trials import SearchData, attempt, folds, of_piece, settings_of

if TYPE_CHECKING:
    from bothways.training.checkpoints import Checkpoint

LEAST_SHARE = 0.01  # what the best network counts beside simple models that are better without any
CANDIDATES = 20  # the number of the best networks that may become members
KEPT = ("score", "loss", "epochs", "unfinished", "whole")  # what a checkpoint keeps of a trial as it is

BUDGET = 60.0
"""Seconds for a table of 100,000 steps; others have a time by the square root of their size, or by their size where
each trial is several trainings."""

LONGEST_BUDGET = 6 * BUDGET


@dataclass(frozen=True, eq=False)
class Tuned:
    """What was found."""

    chosen: list[tuple[Tried | Classifier, float]]  # networks, the best first, and simple models; with their shares
    shape: DataShape
    settings: Settings  # of the best network
    decision: Decision
    decisions: Mapping[str, Decision]  # of each simple model, by its name; none if Ctrl-C ended it
    tried: list[Tried]  # the best first
    score: float  # of the average on the valid part
    metric: str  # the title of that score
    budget: float = 0.0  # the seconds that the search had
    interrupted: bool = False  # whether Ctrl-C ended it before its time

    @property
    def best(self) -> Tried:
        """The trial of the best network."""
        best, _ = self.chosen[0]
        assert isinstance(best, Tried)
        return best

    @property
    def network(self) -> Network:
        """The best network."""
        return self.best.trial.setting.network(self.shape)

    @property
    def members(self) -> list[Member | BaselineMember]:
        """What is averaged."""
        return [
            Member(each.trial.setting.network(self.shape), each.trained.weights, share)
            if isinstance(each, Tried)
            else BaselineMember(each, share)
            for each, share in self.chosen
        ]

    def adopted(self, model: Model) -> Model:
        """A model of the best network, made one of the average."""
        decisions = {name: each._asdict() for name, each in self.decisions.items()}
        facts = {**model.facts, "search": self.to_json(), "decisions": decisions}
        return replace(model, members=self.members, facts=facts, **self.decision._asdict())

    def to_json(self) -> dict[str, Any]:
        """What a model file keeps of it."""
        trials = [
            {"setting": str(each.trial.setting), "epochs": len(each.trained.history), "score": each.score}
            for each in self.tried
        ]
        return {"score": self.metric, "of the average": self.score, "trials": trials}


class SearchProgress(NamedTuple):
    """How far a search is: trials that are done, seconds that are over and in all, the best setting and its score."""

    done: int
    seconds: float
    budget: float
    best: str
    score: float
    metric: str

    def __str__(self) -> str:
        return f"{counted(self.done, 'training')} done: best {self.metric} {self.score:.3f} ({self.best})"


def default_budget(folds: Sequence[tuple[Sequences, Sequences]]) -> float:
    """Seconds to look for settings for a table of this size; more where each trial is several trainings."""
    size = folds[0][0].steps / 100_000
    least, more = (BUDGET / 2, math.sqrt(size)) if len(folds) == 1 else (BUDGET, size)
    return float(min(LONGEST_BUDGET, max(least, BUDGET * more)))


def tune(
    train: Sequences,
    valid: Sequences,
    shape: DataShape,
    given: Mapping[str, Value],
    *,
    simple: Sequence[Baseline] = (),
    groups: Numbers | None = None,
    budget: float | None = None,
    seed: int = 0,
    members: int = Search.members,
    workers: int | None = None,
    on_progress: Callable[[SearchProgress], None] = lambda progress: None,
    checkpoint: Path | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> Tuned:
    """Look for settings that suit a table, and average the best networks with some of the `simple` models, which are
    fitted already: `members` at most in all. Factors in `given` keep their values; `groups` is as in `folds`. What is
    found depends on the speed of the machine, whatever the seed. Ctrl-C ends it with what there is.

    After `budget` seconds, by itself what suits the table's size, no trial begins, and those that are going on end, up
    to half as many again on a machine with other work; the first trial is done in any case, and none begins that has
    not half the time of the shortest one. Trials that are done are kept in `checkpoint`, from which `resume` goes on,
    if it is there. Raises InputError for settings that cannot work, or with which no loss is a finite number, or a
    checkpoint of another search; KeyboardInterrupt if it was stopped before the first trial was done; PoolError if the
    processes that train die.
    """
    from bothways.training.checkpoints import Checkpoints, fingerprint

    asked, counts = str(given.get("monitor", Settings.monitor)), train.class_counts(shape.classes)
    monitor, positive = monitored(asked, counts, train.scheme is not None)
    check_monitor(monitor, shape.classes, train)
    if given.get("head") == "crf" and given.get("class_weight"):
        raise unweighable()
    data = SearchData(folds(train, valid, seed, groups), shape, given, monitor, positive)
    budget = default_budget(data.folds) if budget is None else budget
    clock = SearchClock(budget)
    plan, done = SearchPlan(shape, train, given, seed), list[Tried]()
    first, kept, short = plan.first[0], None, False
    network = first.network(shape)  # refuses what cannot work
    if checkpoint is not None:
        kept = Checkpoints(checkpoint, fingerprint(network, first.settings(seed), train, data.held_out.sequences), say)
        if resume and (stored := kept.load("trials")) is not None:
            clock.before, done = stored.notes["seconds"], _restored(stored)
            for earlier in (each.trial.setting for each in done):
                if Setting.of({**dict(earlier.changed), **given}).alone(shape) != earlier:
                    raise InputError(
                        f"{checkpoint}: this checkpoint is of a search that tried {earlier}, with less given. Give the "
                        "same again, or remove the file to train from the start."
                    )
    with interrupts.deferred() as stop:
        for tried in _attempts(data, plan, done, clock, processes(workers), lambda: stop.requested):
            stop.keeping = True  # from now on there is something to save
            done.append(tried)
            clock.note(tried.took, tried.processor)
            short = short or (len(done) == 1 and clock.left <= 0)  # others that had begun were cut short
            best = ranked(done)[0]
            seconds, setting = clock.seconds, str(best.trial.setting)
            on_progress(SearchProgress(len(done), seconds, clock.budget, setting, abs(best.score), data.metric))
            if kept is not None:
                kept.offer(_stored(done, seconds), last=False)
        if kept is not None:
            kept.flush()
        if (short or len(done) == 1) and not stop.requested:
            say(_too_short(budget))  # that which was asked for: the clock's grows on a busy machine
        able = [each for each in simple if isinstance(each, Classifier)]
        company = _with_probabilities(data, able, processes(workers), lambda: stop.requested) if done else []
    if not done and stop.requested:
        raise KeyboardInterrupt
    if not done:
        rate = option("learning_rate", first["learning_rate"])
        raise InputError(f"In no training of the search was the loss a finite number. Lower {rate}.")
    return replace(_averaged(data, done, company, members), budget=clock.budget, interrupted=stop.requested)


def _too_short(budget: float) -> str:
    """What to say of a budget of so many seconds that was too short for a search."""
    more = option("budget", f"{max(10, round(4 * budget / 60))}m")
    enough = f"The budget ({round(budget, 1):g} s) was enough for one whole training alone."
    return f"{enough} To compare settings, give {more}."


def _attempts(
    data: SearchData, plan: SearchPlan, done: list[Tried], clock: SearchClock, count: int, stopped: Callable[[], bool]
) -> Iterator[Tried]:
    """What comes of trials, as it comes."""

    def trials() -> Iterator[Any]:
        clock.start()
        while not stopped():
            first = not plan.begun and not done
            if not (clock.enough or first):
                return
            trial = plan.next(done, clock.left)
            before = next((each.p for each in ranked(done) if each.trial.setting == trial.setting), None)
            yield joblib.delayed(attempt)(data, trial, math.inf if first else clock.left, before)

    try:
        yield from until_stopped("The search", trials(), count, stopped)
    except BothwaysError:
        if not done:
            raise


def _stored(done: Sequence[Tried], seconds: float) -> Checkpoint:
    """All trials that are done, as a checkpoint keeps them."""
    from bothways.training.checkpoints import Checkpoint

    arrays = {f"{i}/{name}": array for i, each in enumerate(done) for name, array in each.trained.weights.items()}
    arrays |= {f"{i}/p": each.p for i, each in enumerate(done)}
    trials = [
        {
            "trial": [each.trial.setting.text, each.trial.seed, each.trial.length],
            "trained": asdict(replace(each.trained, weights={})),
            **{name: getattr(each, name) for name in KEPT},
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
        setting, seed, length = said["trial"]
        p, history = own.pop("p"), [EpochReport(**report) for report in said["trained"]["history"]]
        trained = Trained(**{**said["trained"], "weights": own, "history": history})
        trial = Trial(Setting.of(json.loads(setting)), seed, length)
        found.append(Tried(trial, trained, p, **{name: said[name] for name in KEPT}))
    return found


def _averaged(data: SearchData, done: Sequence[Tried], simple: Sequence[tuple[Classifier, Any]], most: int) -> Tuned:
    """The average that does best, with temperature, threshold and balance; simple models with their probabilities."""
    tried, held_out = ranked(done), data.held_out
    networks = tried[:CANDIDATES]
    candidates: list[Tried | Classifier] = [*networks, *(each for each, _ in simple)]
    of_networks, of_simple = [each.p for each in networks], [p for _, p in simple]
    chosen = held_out.average(of_networks, of_simple, most)
    if min(chosen) >= len(networks) and len(set(chosen)) == most:
        chosen = chosen[:-1] or [0]  # which leaves room for a network
    p = np.mean([[*of_networks, *of_simple][i] for i in chosen], axis=0)
    decision, decisions = held_out.decision(p), {each.name: held_out.decision(own) for each, own in simple}
    p, sequences = tempered(p, decision.temperature), held_out.sequences
    of_classes = balancing(held_out.counts, held_out.balance)
    predicted = decided(p, decision.threshold, sequences.scheme, sequences.lengths, of_classes)
    shares = {i: float(chosen.count(i)) for i in sorted(set(chosen))}  # networks stand first, by their rank
    if min(shares) >= len(networks):  # a model needs a network
        shares = {0: LEAST_SHARE} | shares
    members = [(candidates[i], share) for i, share in shares.items()]
    return Tuned(
        chosen=members,
        shape=data.shape,
        settings=settings_of(data, tried[min(shares)].trial),
        decision=decision,
        decisions=decisions,
        tried=tried,
        score=abs(held_out.value(p, predicted)),
        metric=data.metric,
    )


def _with_probabilities(
    data: SearchData, simple: Sequence[Classifier], count: int, stopped: Callable[[], bool]
) -> list[tuple[Classifier, Any]]:
    """Simple models, and their probabilities of all that is held out; none of them if somebody stops it."""
    found: dict[tuple[int, int], Any] = {}
    for number, each in enumerate(simple):
        if stopped():  # all this may take long, and whoever stopped it waits
            return []
        found[number, 0] = probabilities(each.logits(data.folds[0][1]))
    places = list(itertools.product(range(len(simple)), range(1, len(data.folds))))
    tasks = (joblib.delayed(of_piece)(data, type(simple[number]), (number, i)) for number, i in places if not stopped())
    found |= dict(until_stopped("Fitting simple models", tasks, count, stopped)) if places else {}
    if len(found) < len(simple) * len(data.folds):
        return []
    together = (np.concatenate([found[number, i] for i in range(len(data.folds))]) for number in range(len(simple)))
    return list(zip(simple, together, strict=True))
