"""What is held out of training, and what it decides: scores, which networks are averaged, temperature, threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, stdtrit

from bothways.metrics import Resamples, count, count_entities, f1, labeled, score
from bothways.metrics.probabilities import average_precision
from bothways.runtime import balancing, decided, tempered
from bothways.sequences import Sequences, pair_counts

LIKELIHOOD = 2.0
"""What the cross-entropy counts beside the score in the choice of members, both as shares of those of the best one."""

PENALTY: Mapping[str, float] = {"step": 1.0, "sequence": 10.0}
"""That on the squared logarithm of the temperature, over the number of sequences, by what has a label."""

THRESHOLDS = 100  # the number of thresholds that are tried
OF_TAGS = (0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05)  # these are tried where labels are tags
BY_CHANCE = 3.0  # so many standard errors ahead of another, the best of several thresholds may be by chance
BALANCE = 0.15  # an average gives rare classes too little
FAR = 4.0  # simple models with more than so many times the cross-entropy of an average have no place of their own
SAMPLES = 200  # the number of samples of the sequences that choose a threshold


class Decision(NamedTuple):
    """How probabilities are decided; see `bothways.runtime.Model`."""

    temperature: float
    threshold: float
    balance: float


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Labeled sequences that training does not learn from."""

    sequences: Sequences  # with labels; of classes that training does not have, too
    known: int  # how many classes training has
    monitor: str  # the name of the score that decides
    positive: int  # the class that it may be about
    counts: Sequence[int] = ()  # how many labels of each class the train part has; () where they are not known

    @cached_property
    def classes(self) -> int:
        """How many classes there are, those included that training does not have."""
        return max(self.known, int(self.sequences.known_labels.max()) + 1)

    @property
    def chooses_threshold(self) -> bool:
        """Whether a threshold is chosen for the second of two classes."""
        return self.monitor == "f1" and self.classes == 2

    @property
    def balance(self) -> float:
        """How far rare classes are preferred, of three classes and more; see `bothways.runtime.Model.balance`."""
        return BALANCE if self.monitor == "macro_f1" and self.known > 2 else 0.0

    @property
    def has_tags(self) -> bool:
        """Whether labels are tags, and entities are what counts; a threshold is chosen for all tags but "O"."""
        return self.monitor == "entity_f1"

    def value(self, p: Any, predicted: Any = None) -> float:
        """How good probabilities `(labels, classes)` are, the higher the better; at the threshold that suits them.

        `predicted` are the codes of the predicted classes, where they are decided.
        """
        if self.monitor == "average_precision":
            return average_precision(self.sequences, p, self.classes, self.positive)
        if self.chooses_threshold and predicted is None:
            sums = [each.sum(axis=0) for each in self._counts(p)]
            return float(f1(*sums[:3])[_macro_f1(*sums).argmax()])
        if self.has_tags and predicted is None:
            return float(f1(*(each.sum(axis=0) for each in self._entities(p))).max())
        if self.balance and predicted is None:
            predicted = decided(p, balance=balancing(self.counts, self.balance))
        found = score(self.monitor, range(self.classes), self.positive)
        counts = count(self.sequences, p, self.classes, whole=True, predicted=predicted)
        return found.better * found.of(counts)

    def loss(self, p: Any) -> float:
        """The mean cross-entropy of the labels of known classes."""
        known, labels, weights = self._known(p)
        return float(np.average(-np.log(np.maximum(p[known, labels], 1e-12)), weights=weights))

    def average(self, networks: Sequence[Any], simple: Sequence[Any], most: int) -> list[int]:
        """The numbers of the probabilities whose average is best, at most `most` of them, some perhaps twice.

        Networks were stopped, and the best of many taken, by these very labels, and so look better here than they are;
        simple models do not. Where sequences have labels, `most // 2` places are for the best one or two simple ones,
        unless they are far behind. Where steps have labels, the average begins with them, unless one that begins with
        nothing is better by more than chance.
        """
        given, few = [*networks, *simple], most // 2
        freely = self._average(given, range(len(given)), [], most)
        if not simple or not few:
            return freely
        alone = self._average(given, range(len(networks), len(given)), [], few)
        p, of_simple = (np.mean([given[i] for i in each], axis=0) for each in (freely, alone))
        if self.sequences.per == "sequence":
            far_behind = self.loss(of_simple) > FAR * self.loss(p)
            return freely if far_behind else [*freely[: most - few], *(alone * few)[:few]]
        rooted = self._average(given, range(len(given)), alone, most)
        return freely if self._likelier(p, np.mean([given[i] for i in rooted], axis=0)) else rooted

    def _average(self, given: Sequence[Any], among: Sequence[int], chosen: Sequence[int], most: int) -> list[int]:
        """The chosen ones and more of those among, one at a time, as each adds to what the average is worth.

        See Caruana et al. 2004, "Ensemble Selection from Libraries of Models".
        """
        chosen = list(chosen)
        total = np.sum([given[i] for i in chosen], axis=0) if chosen else np.zeros_like(given[0], np.float64)
        best, cost = max(abs(self.value(given[0])), 1e-3), max(self.loss(given[0]), 1e-3)

        def worth(p: Any) -> float:
            return self.value(p) / best - LIKELIHOOD * self.loss(p) / cost

        while len(chosen) < most:
            found = [worth((total + given[i]) / (len(chosen) + 1)) for i in among]
            at = int(np.argmax(found))
            if chosen and found[at] <= worth(total / len(chosen)):
                break
            chosen.append(among[at])
            total = total + given[among[at]]
        return chosen

    def _likelier(self, p: Any, other: Any) -> bool:
        """Whether `p` makes the labels likelier than `other`, by more than the standard error over sequences.

        With few sequences the error is wider, by Student's t; one sequence says nothing.
        """
        known, labels, weights = self._known(p)
        gains = np.diff(np.log(np.maximum([each[known, labels] for each in (other, p)], 1e-12)), axis=0)[0]
        of = self.sequences.sequence_of_labels[known]
        mean, count = np.average(gains, weights=weights), len(np.unique(of))
        if count < 2:
            return False
        off = gains - mean if weights is None else (gains - mean) * weights
        error = math.sqrt((np.bincount(of, off) ** 2).sum() * count / (count - 1)) / len(gains)
        return bool(mean > stdtrit(count - 1, ndtr(1)) * error)

    def _known(self, p: Any) -> tuple[Any, Any, Any]:
        """The numbers of the labels of known classes, their codes and their weights."""
        labels = self.sequences.known_labels
        known = np.flatnonzero((labels >= 0) & (labels < p.shape[1]))
        return known, labels[known], self.sequences.weights_of(known)

    def decision(self, p: Any) -> Decision:
        """How labels are best decided by such probabilities."""
        temperature = self.temperature(p)
        return Decision(temperature, self.threshold(tempered(p, temperature)), self.balance)

    def temperature(self, p: Any) -> float:
        """The temperature at which the labels are likeliest; few sequences say little."""
        penalty = PENALTY[self.sequences.per] / len(self.sequences)

        def loss(log: float) -> float:
            return self.loss(tempered(p, math.exp(log))) + penalty * log**2

        return round(math.exp(minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded").x), 4)

    def threshold(self, p: Any) -> float:
        """The probability of the second of two classes from which the macro F1 is highest.

        By the F1 of a rare class it would be much the same; but where nothing can be told, that is highest for alarms
        everywhere. Each label counts for one half, and for the other what the probabilities expect of it, lest few
        labels decide alone. Where a range of thresholds is best, the middle of it is taken. It is the median over
        samples of sequences; 0.5 where another score or more classes count.
        """
        if self.has_tags:
            return self._threshold_of_tags(p)
        if not self.chooses_threshold or len(np.unique(labeled(self.sequences, p, 2)[0])) < 2:
            return 0.5
        counts = self._counts(p, expected=True)
        found = _macro_f1(*Resamples([len(self.sequences)], times=SAMPLES).sums(*counts))
        best = found >= found.max(axis=-1, keepdims=True) - 1e-9
        at = float(np.median(np.average(np.broadcast_to(np.arange(THRESHOLDS), best.shape), axis=-1, weights=best)))
        return min(max(at, 0.5), THRESHOLDS - 0.5) / THRESHOLDS

    def _threshold_of_tags(self, p: Any) -> float:
        """Half of the highest F1 of entities, unless the threshold that had it is better by more than chance.

        Calibrated probabilities give the highest F1 from half of it up (Lipton, Elkan and Naryanaswamy 2014, "Optimal
        Thresholding of Classifiers to Maximize F1 Measure"). 0.5 where no entity is found.
        """
        found = f1(*(each.sum(axis=0) for each in self._entities(p)))
        if not found.any():
            return 0.5
        best, half = OF_TAGS[found.argmax()], max(float(found.max()) / 2, min(OF_TAGS))
        samples = f1(*Resamples([len(self.sequences)], times=SAMPLES).sums(*self._entities(p, (half, best))))
        ahead = np.diff(samples)
        return best if ahead.mean() > BY_CHANCE * ahead.std() else half

    def _entities(self, p: Any, thresholds: Sequence[float] = OF_TAGS) -> list[Any]:
        """For each sequence and threshold how many entities are found, predicted, there."""
        found = [count_entities(self.sequences, decided(p, at, self.sequences.scheme)) for at in thresholds]
        return [np.stack([each.sum(axis=1) for each in kind], axis=1) for kind in zip(*found, strict=True)]

    def _counts(self, p: Any, expected: bool = False) -> tuple[Any, Any, Any, Any]:
        """For each sequence and threshold how many of the class to detect are found, predicted, there; and of both.

        Each label counts once, and if `expected` as much again for what the probabilities say of it.
        """
        labels, p, numbers, weights = labeled(self.sequences, p, 2)
        places = np.minimum((p[:, 1] * THRESHOLDS).astype(np.int64), THRESHOLDS - 1)
        shares = np.eye(2)[labels] + (p if expected else 0)
        shares = shares if weights is None else shares * weights[:, None]
        shape = (len(self.sequences), THRESHOLDS)
        counts = np.stack([pair_counts(numbers, places, shape, each) for each in shares.T], axis=1)
        above = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]  # those predicted as the second class, by label
        wanted = above if self.positive else counts.sum(axis=-1, keepdims=True) - above
        there = counts.sum(axis=-1)
        return wanted[:, self.positive], wanted.sum(axis=1), there[:, self.positive, None], there.sum(axis=1)[:, None]


def _macro_f1(found: Any, predicted: Any, there: Any, both: Any) -> Any:
    """That of two classes, from the counts of one of them."""
    other = f1(both - there - predicted + found, both - predicted, both - there)
    return (f1(found, predicted, there) + other) / 2
