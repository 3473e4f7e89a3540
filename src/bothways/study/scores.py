"""How runs are scored: counts for each sequence, from which any score of any sample of sequences can be made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.metrics import choose_threshold
from bothways.sequences import NO_LABEL, Sequences
from bothways.study.tasks import Label

Counts = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a run did on the sequences that it is judged on.

    Attributes:
        hits: `(sequences, classes)` labels of each class that were given it.
        called: `(sequences, classes)` labels that were given each class.
        support: `(sequences, classes)` labels of each class.
        loss: `(sequences,)` the sum of the cross-entropies of its labels.
        alarms: by false-alarm rate, `(sequences, 2)` alarms that were right, and that were wrong.
    """

    hits: Counts
    called: Counts
    support: Counts
    loss: npt.NDArray[np.float32]
    alarms: Mapping[float, Counts] = field(default_factory=dict)


def judge(
    part: Sequences,
    p: npt.NDArray[np.float32],
    thresholds: Mapping[float, float],
    positive: int,
) -> Judged:
    """Count for each sequence what was right.

    Args:
        part: what was judged.
        p: `(labels, classes)` probabilities, the labels in the order of `part`.
        thresholds: by false-alarm rate, the probability of the class `positive` from which an alarm is raised.
        positive: the code of the class to detect.

    Example:
        >>> part = Sequences.from_arrays([np.zeros((2, 1)), np.zeros((1, 1))], labels=np.array([0, 1, 1]))
        >>> p = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]], np.float32)
        >>> judged = judge(part, p, {0.01: 0.5}, positive=1)
        >>> judged.hits.tolist(), judged.alarms[0.01].tolist()
        ([[1, 1], [0, 0]], [[1, 0], [0, 0]])
    """
    sequences = len(part)
    numbers = np.arange(sequences) if part.per == "sequence" else part.sequence_of_steps
    judged = part.known_labels != NO_LABEL
    numbers, true, p = numbers[judged], part.known_labels[judged], p[judged]
    said, classes = p.argmax(axis=1), p.shape[1]

    def counted(chosen: npt.NDArray[np.bool_], codes: npt.NDArray[np.int64], kinds: int) -> Counts:
        places = numbers[chosen] * kinds + codes[chosen]
        return np.bincount(places, minlength=sequences * kinds).reshape(sequences, kinds).astype(np.int32)

    everything = np.ones(len(true), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = -np.log(np.maximum(p[np.arange(len(true)), true], np.finfo(np.float32).tiny))
    wrong_alarm = (true != positive).astype(np.int64)
    return Judged(
        hits=counted(said == true, true, classes),
        called=counted(everything, said, classes),
        support=counted(everything, true, classes),
        loss=np.bincount(numbers, cost, minlength=sequences).astype(np.float32),
        alarms={rate: counted(p[:, positive] >= threshold, wrong_alarm, 2) for rate, threshold in thresholds.items()},
    )


def thresholds_for(
    part: Sequences, p: npt.NDArray[np.float32], rates: Sequence[float], positive: int
) -> dict[float, float]:
    """The threshold of each false-alarm rate, chosen on the labels of a part.

    Args:
        part: the one to choose on.
        p: `(labels, classes)` probabilities.
        rates: the false-alarm rates.
        positive: the code of the class to detect.
    """
    judged = part.known_labels != NO_LABEL
    true = part.known_labels[judged] == positive
    return {rate: choose_threshold(p[judged, positive], true, rate) for rate in rates}


@dataclass(frozen=True)
class Metric:
    """A score.

    Attributes:
        name: what users call it.
        title: for headings.
        better: 1 if more is better, -1 if less is.
        worst: what a run gets that came to nothing.
        columns: `Judged` to `(sequences, k)` counts.
        score: their sums `(..., k)` to the score `(...)`.
    """

    name: str
    title: str
    better: int
    worst: float
    columns: Callable[[Judged], npt.NDArray[np.generic]]
    score: Callable[[Floats], Floats]

    def of(self, judged: Judged) -> float:
        """The score of a run on all sequences."""
        return float(self.score(self.columns(judged).astype(np.float64).sum(axis=0)))


def metric(name: str, classes: Sequence[Label], false_alarm_rates: Sequence[float], positive: Label) -> Metric:
    """The metric called `name`.

    Args:
        name: "accuracy", "macro_f1", "f1" (of the class to detect), "f1:LABEL", "loss", "detection" (the detection rate
            at the first false-alarm rate), "detection@RATE", or "false_alarms@RATE" (the rate that the threshold gave).
        classes: the labels.
        false_alarm_rates: those that runs are judged at.
        positive: the class to detect.

    Raises:
        InputError: there is no such metric; the known ones are listed.

    Example:
        >>> metric("f1", ("calm", "attack"), (0.01,), "attack").title
        'F1 of attack'
    """
    kind, _, of = name.partition(":")
    if name == "accuracy":
        return Metric(name, "accuracy", 1, 0.0, lambda j: np.stack([j.hits.sum(1), j.support.sum(1)], 1), _share)
    if name == "macro_f1":
        return Metric(name, "macro F1", 1, 0.0, lambda j: np.hstack([j.hits, j.called, j.support]), _macro_f1)
    if name == "loss":
        # As probabilities are kept above the smallest float32, no label costs more.
        worst = float(-np.log(np.finfo(np.float32).tiny))
        return Metric(name, "loss", -1, worst, lambda j: np.stack([j.loss, j.support.sum(1)], 1), _share)
    if kind == "f1":
        names = [str(label) for label in classes]
        of = of or str(positive)
        if of not in names:
            raise InputError(f"There is no class {of!r}; there are {', '.join(names)}.")
        k = names.index(of)
        return Metric(
            name, f"F1 of {of}", 1, 0.0, lambda j: np.stack([j.hits[:, k], j.called[:, k], j.support[:, k]], 1), _f1
        )
    kind, _, at = name.partition("@")
    if kind in ("detection", "false_alarms") and (rate := _rate(at, false_alarm_rates)) is not None:
        k, place = [str(label) for label in classes].index(str(positive)), int(kind == "false_alarms")

        def columns(judged: Judged) -> npt.NDArray[np.generic]:
            positives = judged.support[:, k]
            return np.stack([judged.alarms[rate][:, place], [positives, judged.support.sum(1) - positives][place]], 1)

        title = f"{'false alarms' if place else 'detection rate'} at {100 * rate:g} % false alarms"
        return Metric(name, title, -1 if place else 1, float(place), columns, _share)
    rates = ", ".join(f"detection@{rate:g}, false_alarms@{rate:g}" for rate in false_alarm_rates)
    raise InputError(f"There is no metric {name!r}. Use one of: accuracy, macro_f1, f1, f1:LABEL, loss, {rates}.")


def _rate(text: str, rates: Sequence[float]) -> float | None:
    if not text:
        return rates[0] if rates else None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value in rates else None


def _share(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-9))


def _f1(sums: Floats) -> Floats:
    hits, called, support = np.moveaxis(sums, -1, 0)
    return np.asarray(2 * hits / np.maximum(called + support, 1))


def _macro_f1(sums: Floats) -> Floats:
    return np.asarray(_f1(np.stack(np.split(sums, 3, axis=-1), axis=-1)).mean(axis=-1))
