"""What a search has chosen, fitted again: on what it learned from and on what chose it, together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import joblib
import numpy as np

from bothways import baselines, interrupts
from bothways.baselines import Baseline
from bothways.network import Network
from bothways.runtime import BaselineMember, Member, Model
from bothways.sequences import NO_LABEL, Floats, Numbers, Sequences
from bothways.settings import Settings
from bothways.study.factors import DataShape
from bothways.study.plan import SHORT, WHOLE, Tried
from bothways.study.pool import processes, until_stopped
from bothways.study.tuning import Tuned

SIMPLE = -1  # the number of what is compared with, where members are numbered from 0
LONGER = 1.5  # times the best number of epochs: how long a network trains, until its learning rate is 0
LATE = 0.8  # short trainings that were best after this share of their epochs were too short
GOES_ON = 1 / 3  # of the best number of epochs: how long a network goes on where there is no time to train anew
SPARE = 0.5  # networks are fitted again as long as that takes at most this share of the search's processor time


def refit(
    model: Model,
    tuned: Tuned,
    train: Sequences,
    valid: Sequences,
    *,
    seed: int = 0,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Model:
    """The model of a search, its members and what it is compared with fitted to train and valid parts together. Raises
    KeyboardInterrupt if it was stopped, and PoolError if the processes that train die.

    Shares, temperature and threshold stay. A network trains half as many epochs again as were best when the valid part
    stopped it, at most all, with a learning rate that has fallen to 0 by then; whole, if there is time, where the
    search had none for more than a short training that was best near its end. Where there is no time for that, it goes
    on from its weights for a third of the best epochs, or else stays as it is, as one does whose loss is no finite
    number. Labels of `valid` of classes that the model does not have count as unknown.
    """
    together, count = Sequences.joined([train, _known(valid, len(model.classes))]), processes(workers)
    room = np.concatenate([train.lengths, valid.lengths])  # the networks share what the search has compiled
    chosen = _affordable(tuned, together.steps / train.steps, SPARE * tuned.budget * count)

    def tasks() -> Iterator[Any]:
        for number, plan in chosen.items():
            yield joblib.delayed(_trained)(number, plan, together, room)
        yield joblib.delayed(_fitted)(together, tuned.shape, seed)

    found: dict[int, Any] = {}
    on_progress(0, len(chosen) + 1)
    with interrupts.deferred() as stop:
        for number, fitted in until_stopped("Fitting again", tasks(), count, lambda: stop.requested):
            found[number] = fitted
            on_progress(len(found), len(chosen) + 1)
    if stop.requested:
        raise KeyboardInterrupt
    simple: Sequence[Baseline] = found.pop(SIMPLE)
    of = {each.name: each for each in simple if isinstance(each, baselines.Classifier)}
    members = [
        replace(each, weights=found.get(number, each.weights))
        if isinstance(each, Member)
        else BaselineMember(of.get(each.baseline.name, each.baseline), each.share)
        for number, each in enumerate(model.members)
    ]
    return replace(model, members=members, baselines=simple, facts={**model.facts, "refit": {"networks": len(found)}})


def _known(valid: Sequences, classes: int) -> Sequences:
    """Without the labels that the train part does not have; sequences that have no other label are left out."""
    labels = np.where(valid.known_labels < classes, valid.known_labels, NO_LABEL)
    known = replace(valid, labels=labels)
    return known if valid.per == "step" else known.keep(labels != NO_LABEL)


class _Plan(NamedTuple):
    """How a network is fitted again: from its weights, or from random ones."""

    network: Network
    settings: Settings
    start: Mapping[str, Floats] | None


def _affordable(tuned: Tuned, growth: float, seconds: float) -> dict[int, _Plan]:
    """The networks, by their numbers, for which these seconds of a processor are enough; of large shares first."""
    found = {}
    known = {each.trial for each in tuned.tried if not each.unfinished or len(each.trained.history) == each.whole}
    networks = [(number, each, share) for number, (each, share) in enumerate(tuned.chosen) if isinstance(each, Tried)]

    def cost(each: Tried, epochs: int) -> float:
        took = each.trained.seconds
        return float(took["compile"] + took["train"] * growth / len(each.trained.history) * epochs)

    going_on = {number: max(1, round(GOES_ON * each.epochs)) for number, each, _ in networks}
    reserved = sum(cost(each, going_on[number]) for number, each, _ in networks)
    for number, each, _ in sorted(networks, key=lambda item: -item[2]):
        reserved -= cost(each, going_on[number])
        left = min(seconds, 2 * SPARE * tuned.budget)  # nobody waits longer because there are many processors
        most, anew = each.trained.history[0].epochs, left - reserved
        epochs, start = min(round(LONGER * each.epochs), most), None
        if each.trial.length == SHORT and each.epochs > LATE * most and each.trial._replace(length=WHOLE) not in known:
            an_epoch = cost(each, 1) - cost(each, 0)
            epochs = max(epochs, min(each.whole, int((anew - cost(each, 0)) / an_epoch)))
        if cost(each, epochs) > anew:
            epochs, start = going_on[number], each.trained.weights
        if cost(each, epochs) > left:
            break
        seconds -= cost(each, epochs)
        settings = replace(each.trial.setting.settings(each.trial.seed), epochs=epochs, monitor="none", patience=None)
        found[number] = _Plan(each.trial.setting.network(tuned.shape), settings, start)
    return found


def _trained(number: int, plan: _Plan, sequences: Sequences, room: Numbers) -> Any:
    """The number and the weights of a network that was trained on sequences; None if its loss is no finite number."""
    from bothways.training import DivergedError, train

    try:
        trained = train(plan.network, sequences, plan.settings, say=lambda message: None, room=room, start=plan.start)
    except DivergedError:
        return None
    return number, trained.weights


def _fitted(sequences: Sequences, shape: DataShape, seed: int) -> Any:
    """Simple models of sequences, and the number that stands for them."""
    return SIMPLE, baselines.fit(sequences, shape.classes, shape.categories, seed, vectors=shape.vectors)
