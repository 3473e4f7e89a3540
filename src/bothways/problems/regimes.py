"""Hidden regimes that last a while and follow one another: drawing them, and exact inference about them.

A hidden semi-Markov model (Murphy 2002, "Hidden semi-Markov models"): a regime lasts a number of steps that is even
between its shortest and longest stay, and another one follows, by chance. It becomes a plain Markov chain with a
state for each regime and number of steps left, and the forward-backward algorithm (Rabiner 1989, section III)
gives the probability of each regime at each step exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bothways.sequences import Doubles, Numbers


@dataclass(frozen=True)
class Regime:
    """What goes on for `shortest` to `longest` steps, each number as likely, and what follows, with its probability."""

    shortest: int
    longest: int
    then: Mapping[str, float]


@dataclass(frozen=True)
class Chain:
    """Regimes as a Markov chain, in equilibrium: every step has the same probabilities."""

    regime: Numbers  # `(states,)` the number of the regime of each state
    start: Doubles  # `(states,)` the probability of each state at any step of which nothing is known
    move: Doubles  # `(states, states)` the probability of going from one (row) to another (column)

    @classmethod
    def of(cls, regimes: Mapping[str, Regime]) -> Chain:
        """The chain of some regimes; they are numbered in their order."""
        states = [(name, left) for name, regime in regimes.items() for left in range(1, regime.longest + 1)]
        place = {state: i for i, state in enumerate(states)}
        move = np.zeros((len(states), len(states)))
        for (name, left), i in place.items():
            if left > 1:
                move[i, place[name, left - 1]] = 1.0
                continue
            for follower, probability in regimes[name].then.items():
                stays = range(regimes[follower].shortest, regimes[follower].longest + 1)
                for stay in stays:
                    move[i, place[follower, stay]] += probability / len(stays)
        # The equilibrium p solves p = p move with sum 1.
        equations = np.vstack([move.T - np.eye(len(states)), np.ones(len(states))])
        start = np.linalg.lstsq(equations, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
        names = list(regimes)
        return cls(np.array([names.index(name) for name, _ in states]), np.maximum(start, 0.0), move)

    def draw(self, n_sequences: int, n_timesteps: int, random: np.random.Generator) -> Numbers:
        """Random sequences of regimes, `(n_sequences, n_timesteps)`."""
        following = np.cumsum(self.move, axis=1)
        states = np.empty((n_sequences, n_timesteps), np.int64)
        last = len(self.start) - 1
        chance = random.random((n_timesteps, n_sequences))
        states[:, 0] = np.minimum(np.searchsorted(np.cumsum(self.start), chance[0], side="right"), last)
        for t in range(1, n_timesteps):
            reached = chance[t][:, None] >= following[states[:, t - 1]]
            states[:, t] = np.minimum(reached.sum(axis=1), last)
        return np.asarray(self.regime[states])

    def posteriors(self, log_likelihood: Doubles) -> dict[str, Doubles]:
        """The probability of each regime at each step: `(sequences, steps, regimes)` for each direction."""
        seen = np.exp(log_likelihood - log_likelihood.max(axis=-1, keepdims=True))[..., self.regime]
        steps = seen.shape[1]
        past, future = np.empty_like(seen), np.ones_like(seen)
        past[:, 0] = _shares(self.start * seen[:, 0])
        for t in range(1, steps):
            past[:, t] = _shares((past[:, t - 1] @ self.move) * seen[:, t])
        for t in range(steps - 2, -1, -1):
            future[:, t] = _shares((future[:, t + 1] * seen[:, t + 1]) @ self.move.T)
        members = np.eye(self.regime.max() + 1)[self.regime]
        return {
            "forward": past @ members,
            "backward": _shares(self.start * seen * future) @ members,
            "both": _shares(past * future) @ members,
        }


def _shares(x: Doubles) -> Doubles:
    return np.asarray(x / x.sum(axis=-1, keepdims=True))
