"""Baselines: simple models that a network must beat to be worth anything. They are kept without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from bothways.baselines.frequent import Majority, MostFrequentPerValue
from bothways.baselines.linear import OneStep
from bothways.errors import InputError
from bothways.sequences import Numbers, Sequences

__all__ = [
    "BASELINES",
    "Baseline",
    "Majority",
    "MostFrequentPerValue",
    "OneStep",
    "fit",
    "from_json",
    "predict",
    "to_json",
]


class Baseline(Protocol):
    """A simple model of labels; `name` is what reports and model files call it."""

    name: ClassVar[str]

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Self | None:
        """Fit it to labeled sequences, as `bothways.baselines.fit` describes them; None where it can learn nothing."""

    def predict(self, sequences: Sequences) -> Numbers:
        """For each label the code of a class."""

    def to_json(self) -> Any:
        """Itself as plain JSON values."""

    @classmethod
    def from_json(cls, data: Any, classes: int, categories: tuple[int, ...]) -> Self:
        """What `to_json` described; raises whatever it stumbles over."""


BASELINES: tuple[type[Baseline], ...] = (Majority, MostFrequentPerValue, OneStep)
"""All baselines. To add one, write a class with the methods of `Baseline` and list it here."""


def fit(sequences: Sequences, classes: int, categories: Sequence[int] = (), seed: int = 0) -> list[Baseline]:
    """Fit all baselines to the sequences that a model learns from.

    Args:
        sequences: of which at least one label is known.
        classes: how many classes there are.
        categories: for each categorical column, which are the last ones, how many codes there are.
        seed: of whatever is drawn.

    Example:
        >>> values = np.array([[0.1, 1], [0.2, 2], [0.3, 1], [0.4, 2]])
        >>> sequences = Sequences(values, np.array([2, 2]), labels=np.array([0, 1, 0, 1]))
        >>> {name: codes.tolist() for name, codes in predict(fit(sequences, 2, [3]), sequences).items()}
        {'majority': [0, 0, 0, 0], 'most_frequent_per_value': [0, 1, 0, 1], 'one_step': [0, 1, 0, 1]}
    """
    fitted = (each.fit(sequences, classes, tuple(categories), seed) for each in BASELINES)
    return [each for each in fitted if each is not None]


def predict(baselines: Sequence[Baseline], sequences: Sequences) -> dict[str, Numbers]:
    """For each baseline, by its name, the codes that it predicts: one for each label."""
    return {baseline.name: baseline.predict(sequences) for baseline in baselines}


def to_json(baselines: Sequence[Baseline]) -> dict[str, Any]:
    """Fitted baselines as plain JSON values, to keep them beside a model."""
    return {baseline.name: baseline.to_json() for baseline in baselines}


def from_json(data: Mapping[str, Any], features: int, classes: int, categories: Sequence[int] = ()) -> list[Baseline]:
    """The baselines that `to_json` described, for sequences of these sizes; unknown names are left out.

    Raises:
        InputError: `data` describes none for such sequences.

    Example:
        >>> from_json({"majority": "some"}, features=1, classes=2)
        Traceback (most recent call last):
        bothways.errors.InputError: These are no baselines of such a model (ValueError). Train it again.
    """
    one = Sequences(np.zeros((1, features)), np.array([1]))
    try:
        found = [each.from_json(data[each.name], classes, tuple(categories)) for each in BASELINES if each.name in data]
        codes = np.concatenate([np.zeros(1, np.int64), *predict(found, one).values()])
        if codes.min() < 0 or codes.max() >= classes:
            raise ValueError("codes out of range")
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError) as error:
        raise InputError(f"These are no baselines of such a model ({type(error).__name__}). Train it again.") from None
    return found
