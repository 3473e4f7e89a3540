"""A model evaluated: every score with its interval, beside the scores of the baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.metrics.alarms import Alarms
from bothways.metrics.bootstrap import CONFIDENCE, RESAMPLES, Interval, Resamples
from bothways.metrics.counts import Counts, count, f1, labeled, share, shares
from bothways.metrics.entities import EntityScores, Summed, WordScores, micro, score_entities, score_words
from bothways.metrics.importance import Importance
from bothways.metrics.probabilities import Calibration, calibration, ranking
from bothways.metrics.scores import Score, score
from bothways.sequences import Array, Bools, Doubles, Numbers, Sequences, pair_counts

RATES = ("detection_rate", "false_alarm_rate")  # the rates at the threshold, as their intervals are called

TELLING = 6
"""So many sequences tell two models apart; of 5 that differ by chance, all do so the same way in 1 of 16 cases."""


class ClassScores(NamedTuple):
    """How well one class is told from the others; a share of nothing is 0."""

    precision: float  # of the predictions of the class, the share that is right
    recall: float  # of the labels of the class, the share that is predicted
    f1: float  # the harmonic mean of the two
    false_alarm_rate: float  # of the labels of other classes, the share that is predicted as this one
    support: int  # the number of labels of the class
    average_precision: float | None  # how well its probability ranks labels; see `bothways.metrics.ranking`
    roc_auc: float | None  # likewise; see there


class BaselineScores(NamedTuple):
    """How good a baseline is.

    Attributes:
        accuracy: the share of right labels.
        macro_f1: the mean F1 over all classes.
        ahead: by how much the model is ahead of it in each of these scores, on the same samples of sequences; empty
            where there are too few sequences to tell.
        entity_f1: the F1 of entities; None where labels are no tags.
    """

    accuracy: float
    macro_f1: float
    ahead: Mapping[str, Interval] = {}
    entity_f1: float | None = None


class LateScores(NamedTuple):
    """How good a model is in a stream, which labels steps before their sequence has ended.

    Attributes:
        lookahead: how many later steps each label sees at least; None for all of them.
        chunk: how many steps are labeled at once; all but the last of them see, and wait for, more.
        score: the decisive score, as `Evaluation.decisive` says, with its interval; the ends are the value where there
            are too few sequences for one.
        microseconds: how long a step takes, with many sequences at once.
    """

    lookahead: int | None
    chunk: int
    score: Interval
    microseconds: float

    @property
    def delay(self) -> str:
        """How many later steps a label waits for.

        Example:
            >>> LateScores(4, 4, Interval(0.5, 0.4, 0.6), 1.0).delay
            '4 to 7'
        """
        if self.lookahead is None:
            return "all"
        return f"{self.lookahead}" if self.chunk == 1 else f"{self.lookahead} to {self.lookahead + self.chunk - 1}"


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on one part of the data.

    Attributes:
        split: the name of the part.
        per: "step" or "sequence", what has a label.
        sequences: how many sequences there are.
        labels: how many labels there are.
        unlabeled: how many steps (or sequences) have none; they do not count.
        accuracy: the share of right labels.
        macro_f1: the mean F1 over all classes, each of equal weight.
        classes: the scores of each class.
        unseen: the classes that training did not have; all their labels are missed.
        confusion: `(classes, classes)` how many labels of the class of the row are predicted as that of the column.
        calibration: whether probabilities can be trusted.
        baselines: the scores of simple models on the same labels, by name.
        intervals: by score ("accuracy", "macro_f1", "f1:LABEL", "detection_rate", "false_alarm_rate",
            "entity_precision", "entity_recall", "entity_f1", of a type "entity_f1:TYPE" and so on, "accuracy of
            seen words" and the like)
            its interval over samples of whole sequences; empty where fewer than two sequences have labels.
        resampled: how many sequences the samples are drawn from.
        resamples: how many samples are drawn.
        confidence: the share of the samples inside an interval.
        positive: the class to raise alarms for; None if there is no threshold.
        alarms: what the threshold gives; None if there is none.
        warnings: what to know before believing any of it, in sentences.
        columns: what each column of the table is for, and why; as JSON.
        importance: what the labels rest on; None where it was not measured.
        entities: the scores of entities of all types together; None where labels are no tags.
        entity_types: the scores of the entities of each type.
        words: the scores of "seen" words and of "unseen" ones, which the train part does not have, and of entities with
            such a word; empty where no step has words, or all are seen, or none.
        late: the decisive score in streams, for some lookaheads and chunks; empty where it was not measured.
    """

    split: str
    per: str
    sequences: int
    labels: int
    unlabeled: int
    accuracy: float
    macro_f1: float
    classes: Mapping[Any, ClassScores]
    unseen: tuple[Any, ...]
    confusion: Array = field(repr=False, compare=False)
    calibration: Calibration = field(repr=False)
    baselines: Mapping[str, BaselineScores] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    resampled: int = 0
    resamples: int = RESAMPLES
    confidence: float = CONFIDENCE
    positive: Any = None
    alarms: Alarms | None = None
    warnings: tuple[str, ...] = ()
    columns: tuple[Mapping[str, str], ...] = field(default=(), repr=False)
    importance: Importance | None = field(default=None, repr=False)
    entities: EntityScores | None = None
    entity_types: Mapping[str, EntityScores] = field(default_factory=dict)
    words: Mapping[str, WordScores] = field(default_factory=dict)
    late: tuple[LateScores, ...] = ()

    @property
    def entity_f1(self) -> float | None:
        """The F1 of entities; None where labels are no tags."""
        return None if self.entities is None else self.entities.f1

    @property
    def decisive(self) -> str:
        """The score by which models are compared, "entity_f1" where labels are tags, else "macro_f1"."""
        return "macro_f1" if self.entities is None else "entity_f1"

    @property
    def standing(self) -> str:
        """How the model compares with the best baseline by the decisive score, as `beside` says it."""
        best = max(self.baselines.values(), key=lambda baseline: float(getattr(baseline, self.decisive)), default=None)
        return "unknown" if best is None else self.beside(best, self.decisive)

    def beside(self, baseline: BaselineScores, score: str) -> str:
        """How the model compares with a baseline by a score.

        Returns:
            "better" or "worse" where the interval of the difference says so, "unclear" where it leaves both open or
            comes from fewer than 6 sequences, and "unknown" where there is none.
        """
        if not baseline.ahead:
            return "unknown"
        ahead = baseline.ahead[score]
        if self.resampled < TELLING or ahead.low <= 0 <= ahead.high:
            return "unclear"
        return "better" if ahead.low > 0 else "worse"

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways evaluate --json` prints."""
        intervals = {name: each._asdict() for name, each in self.intervals.items()}
        shape: dict[str, Any] = {
            "split": self.split,
            "sequences": self.sequences,
            "steps": self.labels,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "classes": {str(label): scores._asdict() for label, scores in self.classes.items()},
            "baselines": {},
            "unseen_classes": [str(label) for label in self.unseen],
            "confusion": self.confusion.tolist(),
            "calibration": self.calibration.to_json(),
            "unlabeled": self.unlabeled,
            "warnings": list(self.warnings),
            "columns": list(self.columns),
        }
        for name, (accuracy, macro_f1, ahead, entity_f1) in self.baselines.items():
            shape["baselines"][name] = {"accuracy": accuracy, "macro_f1": macro_f1}
            if entity_f1 is not None:
                shape["baselines"][name]["entity_f1"] = entity_f1
            if ahead:
                shape["baselines"][name]["model_ahead_by"] = {score: each._asdict() for score, each in ahead.items()}
        if self.entities is not None:
            types = {name: of._asdict() for name, of in self.entity_types.items()}
            shape["entities"] = self.entities._asdict() | {"types": types}
        if self.words:
            shape["words"] = {name: of.to_json() for name, of in self.words.items()}
        if intervals:
            shape["intervals"] = {
                **{name: each for name, each in intervals.items() if name not in RATES and name[:3] != "f1:"},
                "f1": {str(label): intervals[f"f1:{label}"] for label in self.classes},
                "sequences": self.resampled,
                "resamples": self.resamples,
                "confidence": self.confidence,
            }
        if self.alarms is not None:
            rates = {name: intervals[name] for name in RATES if name in intervals}
            shape["threshold"] = {"class": str(self.positive), **self.alarms.to_json(), "intervals": rates}
        if self.importance is not None:
            shape["importance"] = self.importance.to_json()
        if self.late:
            shape["late"] = [each._asdict() | {"score": each.score._asdict()} for each in self.late]
        return shape


def evaluate(
    sequences: Sequences,
    probabilities: Any,
    classes: Sequence[Any],
    *,
    split: str = "all",
    predicted: Numbers | None = None,
    baselines: Mapping[str, Numbers] | None = None,
    positive: int | None = None,
    threshold: float | None = None,
    asked: float | None = None,
    hours: float | None = None,
    unseen_words: Bools | None = None,
) -> Evaluation:
    """Evaluate a model in every way that there is here.

    Args:
        sequences: with labels.
        probabilities: `(labels, n)`, what the model predicts for each label; the most probable class is predicted.
        classes: the name of every class: the `n` of the model, then those that only these labels have.
        split: the name of the part that the sequences are.
        predicted: for each label the code of the predicted class, where not the most probable one.
        baselines: the codes that simple models predict, by name; see `bothways.baselines`.
        positive: the code of the class to raise alarms for.
        threshold: the probability of it from which there is an alarm; see `choose_threshold`.
        asked: the false-alarm rate that the threshold was chosen for.
        hours: how long all sequences together took.
        unseen_words: `(steps,)` whether training never saw the word of a step; None where steps have no words.

    Raises:
        InputError: arrays that do not fit, no labels, or a threshold without a class.

    Example:
        >>> sequences = Sequences(np.zeros((20, 1)), np.full(10, 2), labels=np.tile([0, 1], 10))
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8]] * 10)
        >>> evaluation = evaluate(sequences, p, ["calm", "attack"], baselines={"majority": np.zeros(20, int)})
        >>> evaluation.standing, evaluation.classes["attack"].f1, evaluation.baselines["majority"].accuracy
        ('better', 1.0, 0.5)
    """
    n, given = len(classes), np.asarray(probabilities)
    if given.ndim != 2 or not np.isfinite(given).all():
        raise InputError(f"probabilities are {given.shape}; they must be finite, {n} for each label.")
    if threshold is not None and (positive is None or not 0 <= positive < n):
        raise InputError(f"A threshold needs the class that it is for; positive is {positive}.")
    if hours is not None and not 0 < hours < np.inf:
        raise InputError(f"hours is {hours}; it must be a number above 0, or None where there are no times.")
    labels, p, _, weights = labeled(sequences, given, n)
    decided = p.argmax(axis=1) if predicted is None else labeled(sequences, predicted, n)[1]
    code, thresholds = positive or 0, {} if threshold is None else {0.0: threshold}
    counts = count(sequences, given, n, positive=code, thresholds=thresholds, predicted=predicted)
    others = {name: count(sequences, codes, n) for name, codes in (baselines or {}).items()}
    resampled = np.flatnonzero(counts.support.any(axis=1))
    samples = Resamples([len(resampled)])

    def drawn(*arrays: Array) -> list[Doubles]:
        return samples.with_whole(*(array[resampled] for array in arrays))

    summed = drawn if len(resampled) > 1 else None
    scheme = sequences.scheme
    names = ["accuracy", "macro_f1", *(["entity_f1"] if scheme is not None else [])]
    of_scores = [score(name, classes) for name in names]
    entities, types = (None, dict[str, EntityScores]()) if scheme is None else score_entities(counts, scheme.types)
    intervals, ahead = (
        ({}, {}) if summed is None else _intervals(counts, others, of_scores, classes, types, code, summed)
    )
    words, of_words = ({}, {}) if unseen_words is None else score_words(sequences, decided, unseen_words, summed)
    return Evaluation(
        split=split,
        per=sequences.per,
        sequences=len(sequences),
        labels=len(labels),
        unlabeled=len(sequences.known_labels) - len(labels),
        accuracy=of_scores[0].of(counts),
        macro_f1=of_scores[1].of(counts),
        classes=_class_scores(counts, classes, labels, p, weights),
        unseen=tuple(classes[given.shape[1] :]),
        confusion=pair_counts(labels, decided, (n, n), weights),
        calibration=calibration(labels, p, weights),
        baselines={
            name: BaselineScores(**{of.name: of.of(each) for of in of_scores}, ahead=ahead.get(name, {}))
            for name, each in others.items()
        },
        intervals=intervals | of_words,
        resampled=len(resampled),
        positive=None if threshold is None else classes[code],
        alarms=None if threshold is None else _alarms(counts, code, float(threshold), asked, hours),
        entities=entities,
        entity_types=types,
        words=words,
    )


def _class_scores(
    counts: Counts, classes: Sequence[Any], labels: Numbers, p: Array, weights: Array | None
) -> dict[Any, ClassScores]:
    """The scores of each class; labels, their probabilities and their weights are as `labeled` gives them."""
    right, predicted, support = (array.sum(axis=0) for array in counts.of_classes)
    columns = (*shares(right, predicted, support), share(predicted - right, support.sum() - support), support)
    rankings = [ranking(labels == k, p[:, k], weights) for k in range(len(classes))]
    rows = zip(*(column.tolist() for column in columns), *zip(*rankings, strict=True), strict=True)
    return {label: ClassScores(*row) for label, row in zip(classes, rows, strict=True)}


def _alarms(counts: Counts, code: int, threshold: float, asked: float | None, hours: float | None) -> Alarms:
    """What the one threshold of these counts gives for the class of this code."""
    (alarms,) = counts.alarms.values()
    (true, false), support = alarms.sum(axis=0).tolist(), counts.support.sum(axis=0)
    positives, labels = support[code].item(), support.sum().item()
    return Alarms(threshold, asked, true + false, false, positives, labels - positives, hours)


def _intervals(
    counts: Counts,
    others: Mapping[str, Counts],
    scores: Sequence[Score],
    classes: Iterable[Any],
    types: Iterable[str],
    code: int,
    summed: Summed,
) -> tuple[dict[str, Interval], dict[str, dict[str, Interval]]]:
    """The intervals of the scores, and for each baseline those of how far the model is ahead of it."""
    every = [counts, *others.values()]
    sums = summed(*(of.columns(each) for each in every for of in scores), *counts.alarms.values())
    rest = iter(sums)
    drawn, *of_others = [{of.name: of.of_sums(some := next(rest), some[0]) for of in scores} for _ in every]
    found = {name: Interval.of(of) for name, of in drawn.items()}
    own = dict(zip(drawn, sums, strict=False))  # the sums of the model come first
    of_classes = np.split(own["macro_f1"], 3, axis=-1)
    found |= {f"f1:{label}": Interval.of(of) for label, of in zip(classes, f1(*of_classes).T, strict=True)}
    ahead = {
        name: {score: Interval.of(drawn[score] - of) for score, of in other.items()}
        for name, other in zip(others, of_others, strict=True)
    }
    if counts.alarms:
        positives, steps = of_classes[2][:, code], of_classes[2].sum(axis=1)
        for place, (name, due) in enumerate(zip(RATES, (positives, steps - positives), strict=True)):
            if due[0]:
                found[name] = Interval.of(share(sums[-1][:, place], due, np.nan))
    if counts.entities is not None:
        entities = np.split(own["entity_f1"], 3, axis=-1)
        precision, recall, _ = micro(*entities)
        found |= {"entity_precision": Interval.of(precision), "entity_recall": Interval.of(recall)}
        for each, of_types in zip(("precision", "recall", "f1"), shares(*entities), strict=True):
            found |= {f"entity_{each}:{k}": Interval.of(of) for k, of in zip(types, of_types.T, strict=True)}
    return found, ahead
