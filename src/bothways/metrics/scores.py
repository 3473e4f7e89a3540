"""Scores by their names, made of counts: for validation, evaluation and comparisons alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.metrics.counts import SMALLEST, Counts, OfClasses, f1, rarest, share
from bothways.metrics.entities import micro
from bothways.sequences import Array, Doubles, Sequences
from bothways.settings import MONITORS, SCORES, title


@dataclass(frozen=True)
class Score:
    """A score that can be made of counts.

    Attributes:
        name: how settings and options spell it.
        title: for headings.
        better: 1 if more is better, -1 if less is.
        worst: what a run gets that failed to give a model.
        columns: from `Counts` to `(sequences, k)`, which may be summed over any sample of sequences.
        of_sums: from such sums, `(..., k)`, to the score, `(...)`; NaN for a share of nothing. For samples it is given
            the sums over all sequences, too, and leaves a class that only other sequences have out of the macro F1.
    """

    name: str
    title: str
    better: int
    worst: float
    columns: Callable[[Counts], Array]
    of_sums: Callable[..., Doubles]

    def of(self, counts: Counts) -> float:
        """The score of all sequences together."""
        return float(self.of_sums(self.columns(counts).sum(axis=0, dtype=np.float64)))


def monitored(monitor: str, counts: Sequence[int] | Array, tags: bool = False) -> tuple[str, int]:
    """The score that decides which weights are best, and the class that it is about, the rarest in training.

    Of two classes, "auto" is the F1 of the rarer one, of `tags` the entity F1, else the macro F1.

    Example:
        >>> monitored("auto", [70, 30]), monitored("auto", [70, 20, 10])
        (('f1', 1), ('macro_f1', 2))
    """
    automatic = "f1" if len(counts) == 2 else "entity_f1" if tags else "macro_f1"
    return monitor if monitor in MONITORS else automatic, rarest(counts)


def score(name: str, classes: Sequence[Any], positive: Any = None, false_alarm_rates: Sequence[float] = ()) -> Score:
    """The score of a name.

    Args:
        name: "accuracy", "macro_f1", "entity_f1", "loss", "f1" (of the class to detect), "f1:LABEL",
            "detection" (the detection rate at the first false-alarm rate), "detection@RATE", or "false_alarms@RATE"
            (the rate that the threshold gives).
        classes: the labels.
        positive: the one to detect.
        false_alarm_rates: those that alarms are counted at.

    Raises:
        InputError: there is no such score; the message lists those that there are.

    Example:
        >>> score("f1", ("calm", "attack"), "attack").title
        'F1 of attack'
    """
    names = [str(label) for label in classes]
    kind, _, of = name.partition(":")
    if name in ("accuracy", "loss"):

        def parts(counts: Counts) -> Array:
            part = counts.loss if name == "loss" else counts.true_positives.sum(axis=1)
            return np.stack([part, counts.support.sum(axis=1)], axis=1)

        # As probabilities are at least `SMALLEST`, no label costs more.
        return _score(name, name, "", parts, _share, -np.log(SMALLEST) if name == "loss" else 0.0)
    if name == "entity_f1":
        return _score(name, name, "", lambda counts: np.hstack(_entities(counts)), _entity_f1)
    if name == "macro_f1":
        return _score(name, name, "", lambda counts: np.hstack(counts.of_classes), _macro_f1)
    if kind == "f1":
        of = of or str(positive)
        if of not in names:
            raise InputError(f"There is no class {of!r}; there are {', '.join(names)}.")
        chosen = [names.index(of)]
        return _score(name, kind, of, lambda counts: np.hstack([a[:, chosen] for a in counts.of_classes]), _macro_f1)
    kind, _, at = name.partition("@")
    if kind in ("detection", "false_alarms") and (rate := _rate(at, false_alarm_rates)) is not None:
        k, place = names.index(str(positive)), int(kind == "false_alarms")

        def alarms(counts: Counts) -> Array:
            if rate not in counts.alarms:  # no threshold could be chosen
                return np.zeros((len(counts.support), 2))
            positives = counts.support[:, k]
            due = counts.support.sum(axis=1) - positives if place else positives
            return np.stack([counts.alarms[rate][:, place], due], axis=1)

        return _score(name, kind, rate, alarms, _share, float(place))
    known = ["accuracy", "macro_f1", "entity_f1", "f1", "f1:LABEL", "loss"]
    known += [f"{each}@{rate:g}" for rate in false_alarm_rates for each in ("detection", "false_alarms")]
    raise InputError(f"There is no metric {name!r}. Use one of: {', '.join(known)}.")


def _score(name: str, kind: str, of: Any, columns: Any, of_sums: Any, worst: float = 0.0) -> Score:
    return Score(name, title(kind, of), SCORES[kind].better, float(worst), columns, of_sums)


def with_rate_of(name: str, rates: Sequence[float]) -> tuple[float, ...]:
    """False-alarm rates, that which a score is named after among them.

    Example:
        >>> with_rate_of("detection@0.05", (0.01,)), with_rate_of("accuracy", (0.01,))
        ((0.01, 0.05), (0.01,))
    """
    with suppress(ValueError):
        return tuple(dict.fromkeys([*rates, float(name.partition("@")[2])]))
    return tuple(rates)


def _rate(text: str, rates: Sequence[float]) -> float | None:
    if not text:
        return rates[0] if rates else None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value in rates else None


def check_tags(name: str, sequences: Sequences) -> None:
    """Refuse the entity F1 for labels that are no tags."""
    if name == "entity_f1" and sequences.scheme is None:
        raise InputError(
            "entity_f1 is for labels per step that are tags, such as B-person, I-person and O; these labels are not. "
            "Use macro_f1."
        )


def check_monitor(monitor: str, classes: int, sequences: Sequences) -> None:
    """Refuse to choose epochs by a score that labels of this number of classes do not have."""
    if monitor == "f1" and classes != 2:
        raise InputError(f"monitor='f1' is for two classes, and there are {classes}. Use 'macro_f1'.")
    check_tags(monitor, sequences)


def _entities(counts: Counts) -> OfClasses:
    assert counts.entities is not None
    return counts.entities


def _entity_f1(sums: Doubles, _whole: Doubles | None = None) -> Doubles:
    return np.asarray(micro(*np.split(sums, 3, axis=-1))[2])


def _share(sums: Doubles, _whole: Doubles | None = None) -> Doubles:
    return share(sums[..., 0], sums[..., 1], of_nothing=np.nan)


def _macro_f1(sums: Doubles, whole: Doubles | None = None) -> Doubles:
    """The mean F1 from sums `(..., 3 * classes)`: true positives, predictions, support."""
    of_classes = np.split(sums, 3, axis=-1)
    scores = f1(*of_classes)
    if whole is None:
        return np.asarray(scores.mean(axis=-1))
    counted = (of_classes[2] > 0) | (np.split(whole, 3, axis=-1)[2] == 0)
    return share((scores * counted).sum(axis=-1), counted.sum(axis=-1))
