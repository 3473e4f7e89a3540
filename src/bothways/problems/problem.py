"""What a generated problem is: a generator, and the accuracy that the best reader of its sequences reaches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.options import whole
from bothways.sequences import Doubles, Floats, Numbers

Seed = int | np.random.Generator | None  # None gives fresh sequences at each call; a generator goes on where it stands


@dataclass(frozen=True, repr=False)
class BayesAccuracy:
    """The highest expected accuracy at each step, by what the reader has seen when it labels that step.

    It is one minus the Bayes error: no model that reads the same way does better on average, however large it is and
    however long it is trained. The reader knows the problem and its parameters, and counts its steps.

    Attributes:
        forward_steps: `(n_timesteps,)`, for a reader that has seen the steps up to t, t included.
        backward_steps: the same for a reader that has seen the steps from t on, t included.
        both_steps: the same for a reader that has seen the whole sequence.
        error: the largest standard error of the three means; 0 where they are computed and not estimated.

    Example:
        >>> BayesAccuracy(np.array([0.5, 1.0]), np.ones(2), np.ones(2))
        BayesAccuracy(forward=0.7500, backward=1.0000, both=1.0000)
    """

    forward_steps: Doubles
    backward_steps: Doubles
    both_steps: Doubles
    error: float = 0.0

    def __repr__(self) -> str:
        return f"BayesAccuracy({', '.join(f'{name}={value:.4f}' for name, value in self.means().items())})"

    @property
    def forward(self) -> float:
        """Reading forward only: the mean over all steps."""
        return float(self.forward_steps.mean())

    @property
    def backward(self) -> float:
        """Reading backward only: the mean over all steps."""
        return float(self.backward_steps.mean())

    @property
    def both(self) -> float:
        """Reading both ways: the mean over all steps."""
        return float(self.both_steps.mean())

    def means(self) -> dict[str, float]:
        """The mean over all steps, by direction."""
        return {"forward": self.forward, "backward": self.backward, "both": self.both}

    def mirrored(self) -> BayesAccuracy:
        """That of the same problem on reversed sequences."""
        return BayesAccuracy(self.backward_steps[::-1], self.forward_steps[::-1], self.both_steps[::-1], self.error)


@dataclass(frozen=True)
class Problem:
    """A generated problem.

    Attributes:
        name: as on the command line, as "cumulative-sum".
        generate: `generate(n_sequences, n_timesteps, ..., seed=None)` gives `X (n_sequences, n_timesteps, features)`
            and `y (n_sequences, n_timesteps, 1)`.
        bayes_accuracy: `bayes_accuracy(n_timesteps, ...)`, with the same parameters as `generate`.
        features: the width of X.
        categories: for each of the last columns of X that hold codes, how many codes there are, 0 included.
        classes: the number of labels.

    Example:
        >>> from bothways.problems import PROBLEMS
        >>> X, y = PROBLEMS["cumulative-sum"].generate(2, 10, seed=1)
        >>> X.shape, PROBLEMS["cumulative-sum"].bayes_accuracy(10)
        ((2, 10, 1), BayesAccuracy(forward=1.0000, backward=0.9050, both=1.0000))
    """

    name: str
    generate: Callable[..., tuple[Floats, Numbers]]
    bayes_accuracy: Callable[..., BayesAccuracy]
    features: int = 1
    categories: tuple[int, ...] = ()
    classes: int = 2


def generator(seed: Seed) -> np.random.Generator:
    """The source of random numbers that a seed stands for; raises `InputError` if it is none."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise InputError(f"seed is {seed!r}; it must be a whole number of at least 0, or None.") from None


def finite(name: str, value: Any, above: float = -math.inf, below: float = math.inf) -> float:
    """The value as a float; raises `InputError` if it is no finite number in the range."""
    number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    if not math.isfinite(number) or not above < number < below:
        limits = [f"above {above:g}"] * (above > -math.inf) + [f"below {below:g}"] * (below < math.inf)
        raise InputError(f"{name} is {value!r}; it must be a finite number {' and '.join(limits)}".rstrip() + ".")
    return number


def shape(n_sequences: int, n_timesteps: int) -> tuple[int, int]:
    """Both numbers, if they are whole and at least 1; else it raises `InputError`."""
    return whole("n_sequences", n_sequences, 1), whole("n_timesteps", n_timesteps, 1)


def uniform(n_sequences: int, n_timesteps: int, seed: Seed) -> Floats:
    """Uniform numbers in [0, 1): `(n_sequences, n_timesteps, 1)`; each is a multiple of 2**-24."""
    return generator(seed).random((*shape(n_sequences, n_timesteps), 1), dtype=np.float32)
