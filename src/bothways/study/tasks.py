"""What is learned and tested: a table or sequences, with parts that are fixed or drawn for each seed; or a problem."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bothways.data import SplitTable, draw_parts, guess_table, read_and_split, refuse_leaks
from bothways.data.clocks import time_of_day
from bothways.data.columns import Guess
from bothways.data.sequences import MAX_STEPS
from bothways.data.splits import SHARES
from bothways.errors import DataError, InputError
from bothways.options import whole
from bothways.problems import PROBLEMS
from bothways.runtime import Label
from bothways.sequences import Numbers, Sequences
from bothways.study.factors import DataShape
from bothways.tables import Table

LEAST_DRAWN = 10  # parts are drawn for each seed from at least this many sequences


class Split(NamedTuple):
    """The data of one run; `categories` are the numbers of codes of the category columns, the last ones."""

    train: Sequences
    valid: Sequences | None
    test: Sequences
    categories: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Task:
    """What every setting learns, and what it is tested on.

    Attributes:
        name: for headings.
        classes: the labels, in the order of their codes; after those of the train part those that only other parts
            have.
        draw: from a seed to the data of the run.
        shape: what the data determine about networks; of the first draw, where each seed has its own.
        facts: what tells it from other tasks, as JSON values.
        tested_on: the name of the part that settings are tested on.
        test_share: test sequences divided by train sequences, where each seed draws its own parts; else None.
        tested: from a seed to the numbers of the sequences of its test part, where each draws its own parts; else None.
        bayes_accuracy: the accuracy that is possible, by direction, where it is known.
        about: what a repetition needs to know, by name.
        columns: what each column of a table is for, and why.
    """

    name: str
    classes: tuple[Label, ...]
    draw: Callable[[int], Split]
    shape: DataShape
    facts: Mapping[str, Any]
    tested_on: str = "test"
    test_share: float | None = None
    tested: Callable[[int], Numbers] | None = None
    bayes_accuracy: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[Guess, ...] = ()

    def told_by(self, false_alarm_rates: Sequence[float], positive: Label) -> tuple[str, dict[str, Any]]:
        """What tells the runs of a study from those of others: a fingerprint, and what it is made of, as JSON."""
        facts = {**self.facts, "false_alarm_rates": list(false_alarm_rates), "positive": positive}
        text = json.dumps(facts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16], json.loads(text)


def array_task(
    name: str,
    classes: Sequence[Label],
    split: Split,
    *,
    redraw: bool = False,
    unseen: int = 0,
    tested_on: str = "test",
    about: Mapping[str, Any] | None = None,
) -> Task:
    """A task of sequences that are there.

    With `redraw` each seed draws its own parts, of all sequences together. The last `unseen` classes are not in the
    train part. All else is as in `Task`.

    Example:
        >>> part = Sequences.from_arrays([np.full((3, 1), i) for i in range(20)], labels=np.tile([0, 1, 1], 20))
        >>> array_task("flows", ("calm", "attack"), Split(part, None, part)).shape
        DataShape(features=1, classes=2, categories=(), per='step', longest=3, vectors=0)
        >>> parts = array_task("flows", ("calm", "attack"), Split(part, None, part), redraw=True)
        >>> train, valid, test, _ = parts.draw(0)
        >>> len(train), len(valid), len(test)
        (28, 6, 6)
    """
    parts = [part for part in split[:3] if part is not None]
    digest = hashlib.sha256()
    for part in parts:
        for array in (part.lengths, part.labels, part.values, *([] if part.weights is None else [part.weights])):
            digest.update(np.ascontiguousarray(array).data)
    facts = {
        "task": "redrawn table" if redraw else "table",
        "classes": list(classes),
        "categories": list(split.categories),
        "per": split.train.per,
        "tested_on": tested_on,
        "content": digest.hexdigest()[:16],
    }
    known = len(classes) - unseen
    share = tested = None
    if redraw:
        tested = partial(_tested, [replace(part, values=part.values[:, :0]) for part in parts], None)
        count = sum(map(len, parts))
        if count < LEAST_DRAWN:
            raise InputError(f"{name} has {count} sequences; drawing parts for each seed needs at least {LEAST_DRAWN}.")
        tested_on, test = "a test part of its own for each seed", max(1, round(count * SHARES[2]))
        share, known = test / (count - 2 * test), len(classes)
    return Task(
        name=name,
        classes=tuple(classes),
        draw=partial(_redrawn, parts, split.categories) if redraw else partial(_given, split),
        shape=DataShape.of(split.train, known, split.categories),
        facts=facts,
        tested_on=tested_on,
        test_share=share,
        tested=tested,
        about=about or {},
    )


def table_task(
    path: str | Path,
    *,
    redraw: bool = False,
    allow_leaks: bool = False,
    say: Callable[[str], None] = lambda message: None,
    **roles: Any,
) -> Task:
    """A table as a task: every setting learns from train, stops by valid and is tested on test.

    With `redraw` each seed draws its own parts, of whole sequences, and encodes features by its own train part; shapes
    may so differ from seed to seed. `roles` are arguments of `bothways.data.read_and_split`.
    """
    read = read_and_split(path, **roles)
    if redraw and (read.columns.split is not None or read.columns.group is not None):
        raise InputError(
            f"{path}: a column divides it into parts or groups, and so no parts can be drawn for each seed."
        )
    columns, parts, more = read.encoded()
    test = parts.valid if parts.test is None else parts.test
    if test is None:
        raise DataError(f"{path}: there is only a train part, and so nothing to test settings on.")
    for notice in (guess_table(columns.guesses), *read.notices, *more):
        say(notice)
    refuse_leaks(read.table, columns, parts, allowed=allow_leaks, to="compare", say=say)
    about = {
        "data": str(path),
        "label": columns.label,
        "features": ", ".join(columns.features),
        **{name: part.size for name, part in parts.named.items()},
    }
    task = array_task(
        Path(path).name,
        (*parts.classes, *parts.unseen),
        Split(parts.train, parts.valid if test is parts.test else None, test, columns.fitted.sizes),
        redraw=redraw,
        unseen=len(parts.unseen),
        tested_on="valid" if parts.test is None else "test",
        about=about,
    )
    task = replace(task, shape=task.shape._replace(vectors=columns.fitted.dimensions), columns=columns.known)
    if not redraw:
        return task
    # In memory, as the processes that draw may be on another machine than the file.
    time = time_of_day(read.table, read.columns.order)
    names = [*read.columns.needed, *([] if time is None else [time])]
    read = replace(read, table=Table(read.table.source, read.table.columns(names)))
    return replace(
        task,
        draw=partial(_encoded_anew, read),
        tested=partial(_tested, list(read.parts.named.values()), MAX_STEPS),
        facts={**task.facts, "encoded by": "the train part of each seed"},
    )


def problem_task(
    problem: str, sequences: int = 1000, steps: int = 10, unseen: int = 1000, **parameters: int | float
) -> Task:
    """A generated problem: each seed learns from sequences of its own, all are tested on the same unseen ones.

    `problem` is a key of `bothways.problems.PROBLEMS`, `parameters` are numbers that it takes besides.

    Example:
        >>> train, _, test, _ = problem_task("cumulative-sum", sequences=5).draw(1)
        >>> len(train), train.values.shape, len(test)
        (5, (50, 1), 1000)
    """
    if problem not in PROBLEMS:
        raise InputError(f"There is no problem {problem!r}. There are: {', '.join(PROBLEMS)}.")
    generated = PROBLEMS[problem]
    takes = list(inspect.signature(generated.generate).parameters.values())[2:-1]
    known = [each.name for each in takes if not isinstance(each.default, str)]  # others make other classes
    if unknown := sorted(set(parameters) - set(known)):
        there_are = ", ".join(["sequences", "steps", "unseen", *known])
        raise InputError(f"{problem} has no parameter {unknown[0]!r}. It has: {there_are}.")
    sizes = {"sequences": sequences, "steps": steps, "unseen": unseen}
    for name, value in sizes.items():
        whole(name, value, 1)
    generated.generate(1, steps, **parameters, seed=0)  # refuses what it cannot do
    described = "".join(f", {name} {value}" for name, value in parameters.items())
    return Task(
        name=f"{problem}, {steps} steps{described}",
        classes=tuple(range(generated.classes)),
        draw=partial(_generated, problem, sizes, parameters),
        shape=DataShape(generated.features, generated.classes, generated.categories, "step", steps),
        facts={"task": problem, **sizes, "parameters": dict(parameters)},
        tested_on="unseen sequences",
        bayes_accuracy=generated.bayes_accuracy(steps, **parameters).means(),
        about={"problem": problem, **sizes, **parameters},
    )


def parse_parameters(arguments: Sequence[str]) -> dict[str, Any]:
    """Parameters of a problem from the command line, each `NAME=NUMBER`."""
    found: dict[str, Any] = {}
    for argument in arguments:
        head, _, text = argument.partition("=")
        if (name := head.strip()) in found:
            raise InputError(f"The parameter {name} is given twice.")
        try:
            found[name] = float(text) if set(".eE") & set(text) else int(text)
        except ValueError:
            raise InputError(f"{argument!r} sets no parameter; write NAME=NUMBER, such as steps=20.") from None
    return found


def _given(split: Split, seed: int) -> Split:
    return split


def _drawn(parts: Sequence[Sequences], seed: int) -> tuple[Sequences, list[Numbers]]:
    """The sequences of all parts together, and the numbers of those that a seed draws for train, valid and test."""
    together = Sequences.joined(parts)
    _, drawn, _ = draw_parts("the table", together, SHARES, [2, seed])
    return together, [np.flatnonzero(drawn == part) for part in range(len(SHARES))]


def _redrawn(parts: Sequence[Sequences], categories: tuple[int, ...], seed: int) -> Split:
    together, numbers = _drawn(parts, seed)
    train, valid, test = map(together.take, numbers)
    return Split(train, valid, test, categories)


def _tested(parts: Sequence[Sequences], longest: int | None, seed: int) -> Numbers:
    """The number of each sequence that a seed is tested on; of each piece, where they are cut to be no longer."""
    together, (*_, numbers) = _drawn(parts, seed)
    return numbers if longest is None else np.repeat(numbers, -(-together.lengths[numbers] // longest))


def _encoded_anew(read: SplitTable, seed: int) -> Split:
    train, valid, test, _ = _redrawn(list(read.parts.named.values()), (), seed)
    columns, parts, _ = replace(read, parts=replace(read.parts, train=train, valid=valid, test=test)).encoded()
    assert parts.test is not None, "three parts were drawn"
    return Split(parts.train, parts.valid, parts.test, columns.fitted.sizes)


def _generated(problem: str, sizes: Mapping[str, int], parameters: Mapping[str, Any], seed: int) -> Split:
    found = PROBLEMS[problem]

    def part(count: int, stream: list[int]) -> Sequences:
        X, y = found.generate(count, sizes["steps"], **parameters, seed=np.random.default_rng(stream))
        return Sequences.from_arrays(X, labels=y.reshape(-1).astype(np.int64))

    # Two streams, so that no seed learns from what it is tested on.
    return Split(part(sizes["sequences"], [0, seed]), None, part(sizes["unseen"], [1]), found.categories)
