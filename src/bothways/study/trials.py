"""The trials of a search for settings: what all of them share, and how one is trained and validated."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways import baselines
from bothways.metrics import rarest, title
from bothways.runtime import logits, probabilities
from bothways.sequences import Numbers, Sequences
from bothways.settings import Settings
from bothways.study.factors import DataShape, Value
from bothways.study.held_out import HeldOut
from bothways.study.plan import LONG, RATE, SHORT, WHOLE, Trial, Tried
from bothways.study.worker import Driver, begin

if TYPE_CHECKING:
    from bothways.training import EpochReport

UPDATES = 3000  # about how many updates a whole training has
STEPS = 600_000, 1_500_000  # and how many steps, at least and at most
OF_WORDS = 0.5  # words, of which the rare ones are soon known by heart, need but this share of updates
LEAST_EPOCHS = 9, 5  # the fewest epochs of a whole training; the second is for words
FEW_HELD_OUT: Mapping[str, int] = {"step": 10, "sequence": 100}  # fewer sequences are few, by what has a label
PIECES = 3  # the number of pieces of the train part, which is cut where the valid part is small
MOST_STEPS: Mapping[str, int] = {"step": 100_000, "sequence": 300_000}  # of longer train parts that takes too long


@dataclass(frozen=True, eq=False)
class SearchData:
    """What all trials share."""

    folds: tuple[tuple[Sequences, Sequences], ...]  # what to learn from and what to hold out; see `folds` below
    shape: DataShape
    given: Mapping[str, Value]  # of factors that are kept
    monitor: str  # the name of the score that decides
    positive: int  # the class that it may be about
    driver: Driver = field(default_factory=Driver.here)

    @property
    def metric(self) -> str:
        """The title of the score that decides."""
        return title(self.monitor, "the rarer class")

    @property
    def room(self) -> Numbers:
        """The lengths of all sequences: trainings on any part of them, or on all, share what is compiled."""
        return np.concatenate([part.lengths for part in self.folds[0]])

    @cached_property
    def held_out(self) -> HeldOut:
        """All that is held out in one fold or another."""
        together = Sequences.joined([valid for _, valid in self.folds])
        counts = self.folds[0][0].class_counts(self.shape.classes).tolist()
        return HeldOut(together, self.shape.classes, self.monitor, self.positive, counts)


def folds(
    train: Sequences, valid: Sequences, seed: int, groups: Numbers | None = None
) -> tuple[tuple[Sequences, Sequences], ...]:
    """What to learn from and what to hold out, train and valid first.

    Where there are few sequences for what is labelled in the valid part (of two classes those with steps of the rarer
    one count), or few groups in the train part, thirds of the train part are held out in turn, too; of a few long
    sequences with labels of steps a third each. `groups` has for each sequence of the train part the number of its
    group, which stays together.
    """
    units = np.arange(len(train)) if groups is None else groups
    count, few = int(units.max(initial=-1)) + 1, FEW_HELD_OUT[train.per]
    whole = ((train, valid),)
    if (_telling(train, valid) if groups is None else count) >= few or train.steps > MOST_STEPS[train.per]:
        return whole
    part, pieces = train, (np.random.default_rng(seed).permutation(count) % PIECES)[units]
    if count < 2 * PIECES:
        if groups is not None or train.per == "sequence":
            return whole
        part, pieces = train.cut(train.positions * PIECES // train.lengths_of_steps)
    found = [(part.keep(pieces != i), part.keep(pieces == i)) for i in range(PIECES)]
    return (*whole, *(each for each in found if _serves(*each)))


def _telling(train: Sequences, valid: Sequences) -> int:
    """How many sequences of the valid part say something: where steps are of two classes, those with the rarer one."""
    classes, counts = np.unique(train.known_labels[train.has_label], return_counts=True)
    if valid.per == "sequence" or len(classes) != 2:
        return len(valid)
    return len(np.unique(valid.sequence_of_steps[valid.known_labels == classes[rarest(counts)]]))


def _serves(learn: Sequences, hold: Sequences) -> bool:
    """Whether there are labels to tell apart, and some to score."""
    return len(np.unique(learn.known_labels[learn.has_label])) > 1 and bool(hold.has_label.any())


def attempt(data: SearchData, trial: Trial, seconds: float, before: Any = None) -> Tried | None:
    """Train and validate, in a process of the pool; None if the loss is no finite number.

    Of pieces for which there is no time the probabilities `before` stand, those by another training of the setting;
    where there are none, nothing comes of it.
    """
    begin(data.driver)
    from bothways.training import DivergedError, train

    begun, processor = time.monotonic(), time.process_time()
    end = begun + seconds
    settings, network = settings_of(data, trial), trial.setting.network(data.shape)

    def on_epoch(report: EpochReport) -> None:
        if time.monotonic() > end:
            raise KeyboardInterrupt  # which keeps the best weights so far

    done, held_out, room = [], [], data.room
    for i, (learn, hold) in enumerate(data.folds):
        if i and time.monotonic() > end:
            break
        try:
            trained = train(network, learn, settings, hold, on_epoch, say=lambda message: None, room=room)
        except DivergedError:
            return None
        except KeyboardInterrupt:  # time was over before the first update was done
            break
        if i and trained.interrupted:
            break
        done.append(trained)
        held_out.append(probabilities(logits(network, trained.weights, hold)))
    if not done:
        return None
    if len(done) < len(data.folds):  # which alone say nothing, or the wrong thing
        if before is None:
            return None
        held_out.append(before[sum(map(len, held_out)) :])
    p = np.concatenate(held_out)
    best = replace(done[0], interrupted=False, losses=[])
    epochs = int(np.median([each.best_epoch for each in done]))
    unfinished = done[0].interrupted or float(np.median([len(each.history) for each in done])) == settings.epochs
    value, loss, whole = data.held_out.value(p), data.held_out.loss(p), settings_of(data, trial._replace(length=WHOLE))
    took, processor = time.monotonic() - begun, time.process_time() - processor
    return Tried(trial, best, p, value, loss, epochs, unfinished, whole.epochs, took, processor)


def of_piece(data: SearchData, kind: type[baselines.Classifier], place: tuple[int, int]) -> tuple[tuple[int, int], Any]:
    """The place, and the probabilities of what its second number holds out, by a simple model that does not know it."""
    (_, fold), classes = place, data.shape.classes
    learn, hold = data.folds[fold]
    own = baselines.fit_one(kind, learn, classes, data.shape.categories, fold)
    if own is not None:
        return place, probabilities(own.logits(hold))
    counts = learn.class_counts(classes)  # all that is known where nothing can be learned
    return place, np.tile(counts / counts.sum(), (len(hold.known_labels), 1))


def settings_of(data: SearchData, trial: Trial) -> Settings:
    """How to train: for about `UPDATES` updates in all, fewer or more by the trial's length."""
    settings, given = trial.setting.settings(trial.seed), data.given
    train = data.folds[0][0]
    pieces = len(train) + train.steps // (settings.window or train.steps)
    share, least = (OF_WORDS, LEAST_EPOCHS[1]) if data.shape.only_words else (1.0, LEAST_EPOCHS[0])
    low, high = share * STEPS[0] / train.steps, STEPS[1] / train.steps
    usual = np.clip(share * UPDATES * settings.batch_size / pieces, low, high)
    epochs = settings.epochs if "epochs" in given else int(np.clip(usual, least, 200))
    epochs = RATE * epochs if trial.length == LONG else epochs
    patience = settings.patience if "patience" in given else max(5, epochs // 5)
    epochs = max(min(3, epochs), epochs // RATE) if trial.length == SHORT else epochs
    # Of a rare class all may be below any one threshold for many epochs.
    monitor = "average_precision" if data.held_out.chooses_threshold and "monitor" not in given else settings.monitor
    return replace(settings, epochs=epochs, patience=patience, monitor=monitor)
