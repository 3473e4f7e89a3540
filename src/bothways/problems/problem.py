"""What a generated problem is: a generator, and how well any reader of its sequences can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Inputs = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ceilings:
    """The highest expected share of right labels, by what the reader has seen when it labels step t.

    No model that reads the same way can do better on average, however large and however long it is trained.
    A reader knows the problem and its parameters and counts its steps.

    Attributes:
        forward_steps: `(n_timesteps,)`, for a reader that has seen the steps up to t, t included.
        backward_steps: the same for a reader that has seen the steps from t on, t included.
        both_steps: the same for a reader that has seen the whole sequence.
        error: the standard error of `forward`, `backward` and `both` (the largest of the three); 0 where they
            are computed and not estimated.

    Example:
        >>> ceilings = Ceilings(np.array([0.5, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]))
        >>> ceilings.forward, ceilings.both
        (0.75, 1.0)
    """

    forward_steps: Floats
    backward_steps: Floats
    both_steps: Floats
    error: float = 0.0

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

    def mirrored(self) -> Ceilings:
        """The ceilings of the same problem on reversed sequences.

        Example:
            >>> Ceilings(np.array([0.5, 1.0]), np.ones(2), np.ones(2)).mirrored().backward_steps
            array([1. , 0.5])
        """
        return Ceilings(self.backward_steps[::-1], self.forward_steps[::-1], self.both_steps[::-1], self.error)


@dataclass(frozen=True)
class Problem:
    """A generated problem.

    Attributes:
        name: as on the command line, as "cumulative-sum".
        shows: what it is there to show, in a line.
        generate: `generate(n_sequences, n_timesteps, ..., seed=None)` gives `X (n_sequences, n_timesteps, features)`
            and `y (n_sequences, n_timesteps, 1)`.
        ceilings: `ceilings(n_timesteps, ...)`, with the same parameters as `generate`.
        features: the width of X.
        categories: for each of the last columns of X that hold codes, how many codes there are, 0 included.
        classes: the number of labels.

    Example:
        >>> from bothways.problems import PROBLEMS
        >>> problem = PROBLEMS["cumulative-sum"]
        >>> X, y = problem.generate(2, 10, seed=1)
        >>> X.shape, problem.ceilings(10).forward
        ((2, 10, 1), 1.0)
    """

    name: str
    shows: str
    generate: Callable[..., tuple[Inputs, Labels]]
    ceilings: Callable[..., Ceilings]
    features: int = 1
    categories: tuple[int, ...] = ()
    classes: int = 2
