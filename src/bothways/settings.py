"""How to train: the settings and their defaults, for everyone who passes them on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from bothways.errors import InputError
from bothways.network import whole


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: how often to go through the data at most.
        batch_size: how many sequences, or pieces of them, make an update.
        learning_rate: that of Adam at the start; it falls in a straight line to nothing at the end of `epochs`.
        patience: stop after so many epochs in a row without better validation; None never stops early.
        window: cut training sequences into equal pieces of at most so many steps; None leaves them whole.
        seed: the same seed gives the same weights, bit for bit.

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

    def __post_init__(self) -> None:
        """Refuse what no training can use."""
        for name, least in {"epochs": 1, "batch_size": 1, "patience": 1, "window": 1, "seed": 0}.items():
            value = getattr(self, name)
            if value is not None or name not in ("patience", "window"):
                object.__setattr__(self, name, whole(name, value, least))
        if not isinstance(self.learning_rate, Real) or not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate is {self.learning_rate!r}; it must be a number above 0, such as 0.01.")
        object.__setattr__(self, "learning_rate", float(self.learning_rate))
