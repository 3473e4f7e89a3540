"""How to prepare a table and how to train on it: the settings and their defaults, for everyone who passes them on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType

from bothways.errors import InputError
from bothways.network import whole

MONITORS: Mapping[str, str] = MappingProxyType(
    {
        "f1": "F1 of the rarer class",
        "macro_f1": "macro F1",
        "accuracy": "accuracy",
        "average_precision": "average precision",
        "loss": "loss",
    }
)
"""The scores that can decide which weights are best, and what they are called. "f1" is for two classes; the average
precision is that of the rarer of two classes, else the mean over all classes."""

RANGES: Mapping[str, tuple[float, bool, float]] = MappingProxyType(
    {
        "learning_rate": (0.0, True, math.inf),
        "clip": (0.0, True, math.inf),
        "warmup": (0.0, False, 1.0),
        "category_dropout": (0.0, False, math.inf),
    }
)
"""For each number that need not be whole: the least one, whether it must be above that, and what it must be below."""


@dataclass(frozen=True)
class Preparation:
    """How the columns of a table become the features of a network; statistics come from the train part alone.

    Attributes:
        changes: if above 0, each number's change over this many steps is a feature, too.
        centered: subtract each sequence's mean from its numbers.
        min_count: values of categories that the train part has less often than this count as unknown.

    Raises:
        InputError: an attribute out of its range.

    Example:
        >>> Preparation(changes=-1)
        Traceback (most recent call last):
        bothways.errors.InputError: changes is -1; it must be a whole number of at least 0.
    """

    changes: int = 0
    centered: bool = False
    min_count: int = 1

    def __post_init__(self) -> None:
        """Refuse what no preparation can use."""
        for name, least in {"changes": 0, "min_count": 1}.items():
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if not isinstance(self.centered, bool):
            raise InputError(f"centered is {self.centered!r}; it must be True or False.")


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: how often to go through the data at most.
        batch_size: how many sequences, or pieces of them, make an update.
        learning_rate: the highest one of Adam, from which it falls in a straight line to nothing at the end of
            `epochs`.
        patience: stop after so many epochs in a row without better validation; None never stops early.
        window: cut training sequences into equal pieces of at most so many steps; None leaves them whole. Where a whole
            sequence has one label it is left whole.
        seed: the same seed gives the same weights, bit for bit.
        warmup: the share of all updates during which the learning rate rises in a straight line.
        clip: gradients are scaled down to this norm where they are longer.
        class_weight: None, or "balanced", which gives all classes the same weight together, as in scikit-learn.
        monitor: the score of the validation data that decides which weights are best: a key of `MONITORS`, or "auto":
            for two classes "f1", that of the rarer one, else "macro_f1". With "none" nothing is validated: every
            epoch runs, and the last weights are kept. That is for few sequences, of which none can be spared.
        category_dropout: a category that the training data have n times is taken for the unknown one with the
            probability a / (a + n), where this is a; 0 for never.

    Raises:
        InputError: an attribute out of its range.

    Example:
        >>> Settings(batch_size=0)
        Traceback (most recent call last):
        bothways.errors.InputError: batch_size is 0; it must be a whole number of at least 1.
    """

    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 0.01
    patience: int | None = 10
    window: int | None = 1000
    seed: int = 0
    warmup: float = 0.0
    clip: float = 1.0
    class_weight: str | None = None
    monitor: str = "auto"
    category_dropout: float = 0.25

    def __post_init__(self) -> None:
        """Refuse what no training can use."""
        for name, least in {"epochs": 1, "batch_size": 1, "patience": 1, "window": 1, "seed": 0}.items():
            value = getattr(self, name)
            if value is not None or name not in ("patience", "window"):
                object.__setattr__(self, name, whole(name, value, least))
        for name, (lowest, above, most) in RANGES.items():
            value = getattr(self, name)
            number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
            if not (lowest < number if above else lowest <= number) or not number < most:
                kind = f"above {lowest:g}" if above else f"of at least {lowest:g}"
                kind += "" if most == math.inf else f" and below {most:g}"
                raise InputError(f"{name} is {value!r}; it must be a number {kind}.")
            object.__setattr__(self, name, number)
        if self.class_weight not in (None, "balanced"):
            raise InputError(f"class_weight is {self.class_weight!r}; it must be None or 'balanced'.")
        if self.monitor not in ("auto", "none", *MONITORS):
            raise InputError(f"There is no monitor {self.monitor!r}. Use one of: auto, none, {', '.join(MONITORS)}.")
