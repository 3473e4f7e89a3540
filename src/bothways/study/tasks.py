"""What is learned and judged: a table in parts, or a generated problem."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.problems import PROBLEMS
from bothways.study.grid import Shape

Label = int | str | bool
Numbers = npt.NDArray[np.int64]

NO_LABEL = -1
"""The code of a step, or sequence, without a label; it is neither trained on nor judged."""

DRAWN_SHARE = 0.15
"""The shares of the valid and of the test part where each seed draws its own."""

LEAST_DRAWN = 10

SEQUENCES, STEPS, UNSEEN = 1000, 10, 1000
"""Of a generated problem: sequences to learn from, steps of each, unseen sequences to be judged on."""


@dataclass(frozen=True, eq=False)
class Part:
    """Labeled sequences.

    Attributes:
        sequences: each `(time, features)`.
        labels: `(steps,)` the codes of all steps, one sequence after the other, or `(sequences,)`; -1 for no label.
    """

    sequences: Sequence[npt.NDArray[Any]]
    labels: Numbers

    @property
    def lengths(self) -> Numbers:
        """The steps of each sequence."""
        return np.array([len(sequence) for sequence in self.sequences], np.int64)

    def turned(self) -> Part:
        """The same with the steps of each sequence from the last to the first, and the labels as they were."""
        return Part([sequence[::-1] for sequence in self.sequences], self.labels)


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

    def parts(self, seed: int) -> tuple[Part, Part | None, Part]:
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
        per: what has a label, each "step" or each "sequence".
        judged: the name of the part that settings are judged on.

    Example:
        >>> part = Part([np.zeros((3, 2))], np.array([0, 1, 1]))
        >>> ArrayTask("flows", ("calm", "attack"), part, None, part).shape
        Shape(features=2, classes=2, categories=(), per='step', longest=3)
    """

    name: str
    classes: tuple[Label, ...]
    train: Part
    valid: Part | None
    test: Part
    categories: tuple[int, ...] = ()
    per: str = "step"
    judged: str = "test"
    shared: bool = True

    @property
    def shape(self) -> Shape:
        """What it tells about every network."""
        features = self.train.sequences[0].shape[1]
        return Shape(features, len(self.classes), self.categories, self.per, int(self.train.lengths.max()))

    def parts(self, seed: int) -> tuple[Part, Part | None, Part]:
        """The same for every seed."""
        del seed
        return self.train, self.valid, self.test

    def facts(self) -> dict[str, Any]:
        """The classes, and a hash of all there is."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid, self.test):
            for array in [] if part is None else [part.lengths, part.labels, *part.sequences]:
                digest.update(np.ascontiguousarray(array).data)
        return {
            "task": "table",
            "classes": list(self.classes),
            "categories": list(self.categories),
            "per": self.per,
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
        per: what has a label, each "step" or each "sequence".

    Raises:
        InputError: there are too few sequences.

    Example:
        >>> whole = Part([np.full((3, 1), i) for i in range(20)], np.tile([0, 1, 1], 20))
        >>> train, valid, test = RedrawnTask("flows", ("calm", "attack"), whole).parts(seed=0)
        >>> len(train.sequences), len(valid.sequences), len(test.sequences)
        (14, 3, 3)
    """

    name: str
    classes: tuple[Label, ...]
    whole: Part
    categories: tuple[int, ...] = ()
    per: str = "step"
    judged: str = "a test part for each seed"
    shared: bool = False

    def __post_init__(self) -> None:
        """Refuse too few sequences."""
        if len(self.whole.sequences) < LEAST_DRAWN:
            raise InputError(
                f"{self.name} has {len(self.whole.sequences)} sequences; to draw parts for each seed takes "
                f"{LEAST_DRAWN} at least."
            )

    @property
    def shape(self) -> Shape:
        """What it tells about every network."""
        features = self.whole.sequences[0].shape[1]
        return Shape(features, len(self.classes), self.categories, self.per, int(self.whole.lengths.max()))

    @property
    def test_share(self) -> float:
        """Sequences to test on divided by sequences to train on."""
        train, _, test = self._sizes
        return test / train

    def parts(self, seed: int) -> tuple[Part, Part | None, Part]:
        """Parts drawn from the seed."""
        order = np.random.default_rng([2, seed]).permutation(len(self.whole.sequences))
        train, valid, test = np.split(order, np.cumsum(self._sizes)[:-1])
        return self._taken(train), self._taken(valid), self._taken(test)

    def facts(self) -> dict[str, Any]:
        """The classes, and a hash of all there is."""
        return ArrayTask(
            self.name, self.classes, self.whole, None, self.whole, self.categories, self.per, self.judged
        ).facts() | {"task": "redrawn table"}

    @property
    def _sizes(self) -> tuple[int, int, int]:
        count = len(self.whole.sequences)
        rest = max(1, round(count * DRAWN_SHARE))
        return count - 2 * rest, rest, rest

    def _taken(self, chosen: npt.NDArray[np.int64]) -> Part:
        labels = self.whole.labels
        if self.per == "step":
            pieces = np.split(labels, np.cumsum(self.whole.lengths)[:-1])
            return Part([self.whole.sequences[i] for i in chosen], np.concatenate([pieces[i] for i in chosen]))
        return Part([self.whole.sequences[i] for i in chosen], labels[chosen])


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
        >>> len(train.sequences), train.sequences[0].shape, len(test.sequences)
        (5, (10, 1), 1000)
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
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}; it must be a whole number of at least 1.")
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

    def parts(self, seed: int) -> tuple[Part, Part | None, Part]:
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

    def ceilings(self) -> dict[str, float]:
        """The accuracy that is possible, by direction."""
        ceilings = PROBLEMS[self.problem].ceilings(self.steps, **self.parameters)
        return {"forward": ceilings.forward, "backward": ceilings.backward, "both": ceilings.both}

    def _draw(self, count: int, generator: np.random.Generator) -> Part:
        X, y = PROBLEMS[self.problem].generate(count, self.steps, **self.parameters, seed=generator)
        return Part(list(X), y.reshape(-1).astype(np.int64))


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
