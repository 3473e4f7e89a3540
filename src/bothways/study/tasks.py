"""What is learned and judged: a table in parts, or a generated problem."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bothways.errors import InputError
from bothways.options import whole
from bothways.problems import PROBLEMS
from bothways.sequences import Sequences
from bothways.study.grid import Shape

Label = int | str | bool

DRAWN_SHARE = 0.15
"""The shares of the valid and of the test part where each seed draws its own."""

LEAST_DRAWN = 10

SEQUENCES, STEPS, UNSEEN = 1000, 10, 1000
"""Of a generated problem: sequences to learn from, steps of each, unseen sequences to be judged on."""


class Task(Protocol):
    """What every setting learns, and what it is judged on."""

    @property
    def name(self) -> str:
        """For headings."""

    @property
    def classes(self) -> tuple[Label, ...]:
        """The labels, in the order of their codes."""

    @property
    def shape(self) -> Shape:
        """What it tells about every network."""

    @property
    def judged(self) -> str:
        """The name of the part that settings are judged on."""

    @property
    def shared(self) -> bool:
        """Whether every seed is judged on the same sequences."""

    def parts(self, seed: int) -> tuple[Sequences, Sequences | None, Sequences]:
        """What to learn from, to stop early by (or None), and to be judged on."""

    def facts(self) -> dict[str, Any]:
        """What tells it from other tasks, as JSON values."""


@dataclass(frozen=True, eq=False)
class ArrayTask:
    """Sequences in arrays; every seed has the same.

    Attributes:
        name: for headings.
        classes: the labels, in the order of their codes.
        train: what to learn from.
        valid: what to stop early by, and to choose thresholds on.
        test: what settings are judged on.
        categories: the codes of each category column, which are the last ones.
        judged: the name of the part that settings are judged on.

    Example:
        >>> part = Sequences.from_arrays([np.zeros((3, 2))], labels=np.array([0, 1, 1]))
        >>> ArrayTask("flows", ("calm", "attack"), part, None, part).shape
        Shape(features=2, classes=2, categories=(), per='step', longest=3)
    """

    name: str
    classes: tuple[Label, ...]
    train: Sequences
    valid: Sequences | None
    test: Sequences
    categories: tuple[int, ...] = ()
    judged: str = "test"
    shared: bool = True

    @property
    def shape(self) -> Shape:
        """What it tells about every network."""
        train = self.train
        return Shape(train.features, len(self.classes), self.categories, train.per, int(train.lengths.max()))

    def parts(self, seed: int) -> tuple[Sequences, Sequences | None, Sequences]:
        """The same for every seed."""
        del seed
        return self.train, self.valid, self.test

    def facts(self) -> dict[str, Any]:
        """The classes, and a hash of all there is."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid, self.test):
            for array in [] if part is None else [part.lengths, part.known_labels, part.values]:
                digest.update(np.ascontiguousarray(array).data)
        return {
            "task": "table",
            "classes": list(self.classes),
            "categories": list(self.categories),
            "per": self.train.per,
            "judged": self.judged,
            "content": digest.hexdigest()[:16],
        }


@dataclass(frozen=True, eq=False)
class RedrawnTask:
    """Sequences in arrays of which each seed draws its own parts; that of the sequences is then part of the noise.

    Attributes:
        name: for headings.
        classes: the labels, in the order of their codes.
        whole: all sequences.
        categories: the codes of each category column, which are the last ones.

    Raises:
        InputError: there are too few sequences.

    Example:
        >>> whole = Sequences.from_arrays([np.full((3, 1), i) for i in range(20)], labels=np.tile([0, 1, 1], 20))
        >>> train, valid, test = RedrawnTask("flows", ("calm", "attack"), whole).parts(seed=0)
        >>> len(train), len(valid), len(test)
        (14, 3, 3)
    """

    name: str
    classes: tuple[Label, ...]
    whole: Sequences
    categories: tuple[int, ...] = ()
    judged: str = "a test part for each seed"
    shared: bool = False

    def __post_init__(self) -> None:
        """Refuse too few sequences."""
        if len(self.whole) < LEAST_DRAWN:
            raise InputError(
                f"{self.name} has {len(self.whole)} sequences; to draw parts for each seed takes "
                f"{LEAST_DRAWN} at least."
            )

    @property
    def shape(self) -> Shape:
        """What it tells about every network."""
        whole = self.whole
        return Shape(whole.features, len(self.classes), self.categories, whole.per, int(whole.lengths.max()))

    @property
    def test_share(self) -> float:
        """Sequences to test on divided by sequences to train on."""
        train, _, test = self._sizes
        return test / train

    def parts(self, seed: int) -> tuple[Sequences, Sequences | None, Sequences]:
        """Parts drawn from the seed."""
        order = np.random.default_rng([2, seed]).permutation(len(self.whole))
        train, valid, test = np.split(order, np.cumsum(self._sizes)[:-1])
        return self.whole.take(train), self.whole.take(valid), self.whole.take(test)

    def facts(self) -> dict[str, Any]:
        """The classes, and a hash of all there is."""
        return ArrayTask(
            self.name, self.classes, self.whole, None, self.whole, self.categories, self.judged
        ).facts() | {"task": "redrawn table"}

    @property
    def _sizes(self) -> tuple[int, int, int]:
        count = len(self.whole)
        rest = max(1, round(count * DRAWN_SHARE))
        return count - 2 * rest, rest, rest


@dataclass(frozen=True)
class ProblemTask:
    """A generated problem: each seed learns from sequences of its own, all are judged on the same unseen ones.

    Attributes:
        problem: a key of `bothways.problems.PROBLEMS`.
        sequences: to learn from.
        steps: of each sequence.
        unseen: sequences to be judged on.
        parameters: further arguments of the problem.

    Raises:
        InputError: an unknown problem or parameter, or a value out of its range.

    Example:
        >>> task = ProblemTask("cumulative-sum", sequences=5)
        >>> train, _, test = task.parts(seed=1)
        >>> len(train), train.values.shape, len(test)
        (5, (50, 1), 1000)
    """

    problem: str
    sequences: int = SEQUENCES
    steps: int = STEPS
    unseen: int = UNSEEN
    parameters: Mapping[str, Any] = field(default_factory=dict)
    judged: str = "unseen sequences"
    shared: bool = True

    def __post_init__(self) -> None:
        """Refuse what no problem can be."""
        if self.problem not in PROBLEMS:
            raise InputError(f"There is no problem {self.problem!r}. There are: {', '.join(PROBLEMS)}.")
        known = list(inspect.signature(PROBLEMS[self.problem].generate).parameters)[2:-1]
        if unknown := sorted(set(self.parameters) - set(known)):
            there_are = ", ".join(["sequences", "steps", "unseen", *known])
            raise InputError(f"{self.problem} has no parameter {unknown[0]!r}. It has: {there_are}.")
        for name in ("sequences", "steps", "unseen"):
            whole(name, getattr(self, name), 1)
        self._draw(1, np.random.default_rng(0))

    @property
    def name(self) -> str:
        """For headings."""
        parameters = "".join(f", {name} {value}" for name, value in self.parameters.items())
        return f"{self.problem}, {self.steps} steps{parameters}"

    @property
    def classes(self) -> tuple[Label, ...]:
        """The labels."""
        return tuple(range(PROBLEMS[self.problem].classes))

    @property
    def shape(self) -> Shape:
        """What it tells about every network."""
        problem = PROBLEMS[self.problem]
        return Shape(problem.features, problem.classes, problem.categories, "step", self.steps)

    def parts(self, seed: int) -> tuple[Sequences, Sequences | None, Sequences]:
        """Sequences drawn from the seed, nothing to stop by, and the unseen ones."""
        # Two streams, so that no seed learns from what it is judged on.
        train = self._draw(self.sequences, np.random.default_rng([0, seed]))
        return train, None, self._draw(self.unseen, np.random.default_rng([1]))

    def facts(self) -> dict[str, Any]:
        """Its name and parameters."""
        return {
            "task": self.problem,
            "sequences": self.sequences,
            "steps": self.steps,
            "unseen": self.unseen,
            "parameters": dict(self.parameters),
        }

    def bayes_accuracy(self) -> dict[str, float]:
        """The accuracy that is possible, by direction."""
        return PROBLEMS[self.problem].bayes_accuracy(self.steps, **self.parameters).means()

    def _draw(self, count: int, generator: np.random.Generator) -> Sequences:
        X, y = PROBLEMS[self.problem].generate(count, self.steps, **self.parameters, seed=generator)
        return Sequences.from_arrays(X, labels=y.reshape(-1).astype(np.int64))


def parse_parameters(arguments: Sequence[str]) -> dict[str, Any]:
    """Parameters of a problem from the command line, each `NAME=VALUE`.

    Raises:
        InputError: it is no number, or has no name.

    Example:
        >>> parse_parameters(["steps=20", "threshold=2.5"])
        {'steps': 20, 'threshold': 2.5}
    """
    found: dict[str, Any] = {}
    for argument in arguments:
        name, _, text = argument.partition("=")
        try:
            found[name.strip()] = float(text) if set(".eE") & set(text) else int(text)
        except ValueError:
            raise InputError(f"{argument!r} is no parameter of a problem; write NAME=NUMBER, as steps=20.") from None
    return found


def fingerprint(task: Task, false_alarm_rates: Sequence[float], positive: Label) -> str:
    """The text that tells a study's runs from those of others: task, and how runs are judged.

    Example:
        >>> len(fingerprint(ProblemTask("cumulative-sum"), (0.01,), 1))
        16
    """
    facts = {**task.facts(), "false_alarm_rates": list(false_alarm_rates), "positive": positive}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
