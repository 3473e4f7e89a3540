"""A model judged: every score with its interval, beside what simpler labelings score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.metrics.alarms import Alarms, at_threshold
from bothways.metrics.intervals import Interval, Intervals, alarm_intervals, bootstrap, difference
from bothways.metrics.labels import NONE, Scores, code_array, score_codes
from bothways.metrics.probabilities import ProbabilityScores, score_probabilities


@dataclass(frozen=True)
class BaselineScores:
    """How good a simpler labeling is.

    Attributes:
        scores: its scores.
        ahead: by how much the model is ahead of it in "accuracy" and "macro_f1", on the same sequences; None where
            there are too few sequences to tell.
    """

    scores: Scores
    ahead: Mapping[str, Interval] | None


@dataclass(frozen=True)
class Judgement:
    """A model judged on one part of the data.

    Attributes:
        scores: how good its labels are.
        probabilities: how good its probabilities are.
        sequences: how many sequences there are.
        intervals: how far the scores may be off; None where there are too few sequences to tell.
        baselines: simpler labelings of the same steps, by name.
        alarms: what the threshold gives; None if there is none.
        alarm_intervals: how far its rates may be off.
        per: "step" or "sequence", what has a label.
    """

    scores: Scores
    probabilities: ProbabilityScores
    sequences: int
    intervals: Intervals | None
    baselines: Mapping[str, BaselineScores]
    alarms: Alarms | None = None
    alarm_intervals: Mapping[str, Interval] = field(default_factory=dict)
    per: str = "step"

    @property
    def standing(self) -> str:
        """How the model stands to the best of the baselines by macro F1.

        Returns:
            "better" or "worse" where the interval of the difference says so, "unclear" where it leaves both open, and
            "unknown" where there is no interval or no baseline.
        """
        ahead = self._rivals[0][1].ahead if self.baselines else None
        if ahead is None:
            return "unknown"
        return "better" if ahead["macro_f1"].low > 0 else "worse" if ahead["macro_f1"].high < 0 else "unclear"

    @property
    def verdict(self) -> str:
        """Whether the model is worth anything, in a few plain sentences."""
        said = f"Its macro F1 is {self.scores.macro_f1:.3f}"
        if self.intervals is not None:
            said += f" ({self.intervals.macro_f1.low:.3f} to {self.intervals.macro_f1.high:.3f})"
        if not self.baselines:
            return f"{said}, and there is nothing to compare it with."
        (name, best), (by_share, most) = self._rivals
        said += f"; the best simple labeling, {baseline_words(name, self.per)}, has {best.scores.macro_f1:.3f}"
        gap = self.scores.macro_f1 - best.scores.macro_f1
        if best.ahead is None:
            word = "is ahead of" if gap > 0 else "does not beat"
            verdict = f"The model {word} simple labelings here. {said}. A single sequence cannot tell how sure that is."
        else:
            verdict = _sure_verdict(self.standing, said, best.ahead["macro_f1"])
        if self.standing != "worse" and most.scores.accuracy >= self.scores.accuracy:
            sure = most.ahead is not None and most.ahead["accuracy"].high < 0
            word = "worse" if sure else "no better"
            verdict += (
                f" By the share of labels that are right it is {word}: {self.scores.accuracy:.1%}, against "
                f"{most.scores.accuracy:.1%} of {baseline_words(by_share, self.per)}."
            )
        return verdict

    @property
    def _rivals(self) -> tuple[tuple[str, BaselineScores], tuple[str, BaselineScores]]:
        """The best baselines with their names: by macro F1, and by accuracy."""
        return (
            max(self.baselines.items(), key=lambda item: item[1].scores.macro_f1),
            max(self.baselines.items(), key=lambda item: item[1].scores.accuracy),
        )

    def to_json(self, split: str) -> dict[str, Any]:
        """The judgement as plain JSON values, in the shape that `bothways evaluate --json` prints.

        Args:
            split: the name of the part that was judged.
        """
        others = {name: baseline.scores for name, baseline in self.baselines.items()}
        shape = self.scores.to_json(split, self.sequences, others)
        for label, ranking in self.probabilities.classes.items():
            shape["classes"][str(label)] |= {
                "average_precision": ranking.average_precision,
                "roc_auc": ranking.roc_auc,
            }
        for name, baseline in self.baselines.items():
            if baseline.ahead is not None:
                ahead = {metric: interval.to_json() for metric, interval in baseline.ahead.items()}
                shape["baselines"][name]["model_ahead_by"] = ahead
        shape["confusion"] = self.scores.confusion.tolist()
        shape["calibration"] = self.probabilities.calibration.to_json()
        shape["unlabeled"] = self.scores.unlabeled
        if self.intervals is not None:
            shape["intervals"] = self.intervals.to_json()
        if self.alarms is not None:
            rates = {name: interval.to_json() for name, interval in self.alarm_intervals.items()}
            shape["threshold"] = self.alarms.to_json() | {"intervals": rates}
        return shape


def judge(
    expected: Any,
    probabilities: Any,
    classes: Sequence[Any],
    lengths: Any = None,
    *,
    baselines: Mapping[str, Any] | None = None,
    positive: int | None = None,
    threshold: float | None = None,
    asked: float | None = None,
    hours: float | None = None,
    seed: int = 0,
) -> Judgement:
    """Judge a model in every way that there is here.

    Args:
        expected: `(steps,)` codes, one sequence after the other, or `(sequences,)`; -1 where there is no label.
        probabilities: `(steps, classes)` or `(sequences, classes)`; the label given is the likeliest.
        classes: the name of every class.
        lengths: `(sequences,)` how many steps each sequence has; None where each label is that of a sequence.
        baselines: the codes that simpler labelings give, by name; see `Baselines.predict`.
        positive: the code of the class to raise alarms for.
        threshold: the probability of it from which there is an alarm; see `choose_threshold`.
        asked: the false-alarm rate that the threshold was chosen for.
        hours: how long all sequences together took.
        seed: that of the intervals.

    Raises:
        InputError: arrays that do not fit, no labels, or a threshold without a class.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8]] * 10)
        >>> judgement = judge([0, 1] * 10, p, ["calm", "attack"], baselines={"majority": [0] * 20})
        >>> judgement.verdict
        'The model beats every simple labeling. Its macro F1 is 1.000 (1.000 to 1.000); the best simple labeling, always
         the commonest label, has 0.333, which is 0.571 to 0.800 less.'
    """
    true = code_array("expected", expected)
    p = np.asarray(probabilities)
    ranked = score_probabilities(true, p, classes)
    said = p.argmax(axis=1)
    others = {
        name: BaselineScores(
            score_codes(true, codes, classes), difference(true, said, codes, classes, lengths, seed=seed)
        )
        for name, codes in (baselines or {}).items()
    }
    alarms, rates = None, None
    if threshold is not None:
        if positive is None or not 0 <= positive < len(classes):
            raise InputError(f"A threshold needs the class that it is for; positive is {positive}.")
        labeled = true != NONE
        scores, due = p[labeled, positive].astype(np.float64), true[labeled] == positive
        alarms = at_threshold(scores, due, threshold, asked=asked, hours=hours)
        judged = None if lengths is None else _labeled_lengths(labeled, lengths)
        rates = alarm_intervals(scores >= threshold, due, judged, seed=seed)
    return Judgement(
        scores=score_codes(true, said, classes),
        probabilities=ranked,
        sequences=len(true) if lengths is None else len(lengths),
        intervals=bootstrap(true, said, classes, lengths, seed=seed),
        baselines=others,
        alarms=alarms,
        alarm_intervals=rates or {},
        per="sequence" if lengths is None else "step",
    )


def baseline_words(name: str, per: str = "step") -> str:
    """What a baseline does, in a few words.

    Args:
        name: that of the baseline.
        per: "step" or "sequence", what has a label.

    Example:
        >>> baseline_words("majority")
        'always the commonest label'
    """
    words = {
        "majority": ("always the commonest label",) * 2,
        "most_frequent_per_value": (
            "the commonest label of each value",
            "the commonest label of the value seen most",
        ),
        "one_step": ("a regression on one step at a time", "a regression on the mean of all steps"),
    }
    return words[name][per == "sequence"] if name in words else name.replace("_", " ")


def _labeled_lengths(labeled: Any, lengths: Any) -> Any:
    """How many labeled steps each sequence has."""
    numbers = np.repeat(np.arange(len(lengths)), lengths)
    return np.bincount(numbers[labeled], minlength=len(lengths))


def _sure_verdict(standing: str, said: str, ahead: Interval) -> str:
    """The verdict, where it can be told how sure it is."""
    if standing == "better":
        return f"The model beats every simple labeling. {said}, which is {ahead.low:.3f} to {ahead.high:.3f} less."
    if standing == "worse":
        behind = f"{-ahead.high:.3f} to {-ahead.low:.3f}"
        return f"The model is worse than a simple labeling: use that instead. {said}, which is {behind} more."
    return (
        f"The model does not clearly beat simple labelings. {said}; on other sequences it may be {abs(ahead.low):.3f} "
        f"behind or {ahead.high:.3f} ahead."
    )
