"""The studies: what is learned, what is varied, how many seeds, and why so many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bothways.problems import PROBLEMS
from bothways.sequences import Sequences
from bothways.study import Comparison, Split, Task, array_task, compare, problem_task
from bothways.study.factors import Value
from bothways.study.pool import Progress
from bothways.study.runs import Run, read_runs
from bothways.study.tasks import table_task
from limits import reversed_as_written

DIRECTIONS = ("forward", "backward", "both")
AS_WRITTEN = "-as-written"
"""The end of the names of studies of the tutorials' reversed layer."""

MERGES = ("concat", "sum", "mul", "ave")
CALLS = 300
"""Of a trace of system calls the first so many are read, which is all of half of them; whole traces, of up to 4,494
calls, would take hours."""

RATES = ("detection@0.01", "detection@0.001")


@dataclass(frozen=True)
class Study:
    """A comparison to run.

    Attributes:
        name: of its files.
        chapter: 1 to 4, the group of claims that it is about.
        task: what is learned, from the folder of tables and whether it must be quick.
        vary: the factors and their values.
        seeds: how many.
        metrics: the scores; runs are done once, for all of them.
        settings: the other factors.
        table: the file that it needs, in the folder of tables; empty if none.
        positive: the class to detect.
    """

    name: str
    chapter: int
    task: Callable[[Path, bool], Task]
    vary: Mapping[str, Sequence[Value]]
    seeds: int
    metrics: tuple[str, ...]
    settings: Mapping[str, Value]
    table: str = ""
    positive: str | int | None = None

    def quick(self) -> Study:
        """The same in a few seconds: what it finds is worth nothing, but all of it has run."""
        few = {name: list(values)[:3] for name, values in self.vary.items()}
        small = {name: value for name, value in {"epochs": 1, "units": 4}.items() if name not in few}
        if "conv_window" in few:
            few |= {"conv_window": [0, 3], "pooling": ["last"]}
        return replace(self, vary=few, seeds=2, settings={**self.settings, **small})


@dataclass(frozen=True, eq=False)
class Done:
    """A study that was run.

    Attributes:
        study: which.
        task: what was learned.
        found: what was found, by metric.
        runs: all runs.
    """

    study: Study
    task: Task
    found: Mapping[str, Comparison]
    runs: Sequence[Run] = field(default_factory=list)


def run(
    study: Study,
    output: Path,
    data: Path,
    quick: bool,
    say: Callable[[str], None],
    on_progress: Callable[[Progress], None],
    workers: int | None = None,
) -> Done:
    """Run a study, or go on with it, and keep its runs in `output/NAME.parquet`.

    Args:
        study: which.
        output: the folder of results.
        data: the folder of tables.
        quick: whether tasks must be small.
        say: is called with what the user should know.
        on_progress: is called now and then with how far it is.
        workers: processes side by side; as many as there are cores if None.
    """
    task = study.task(data, quick)
    path = output / f"{study.name}.parquet"
    found: dict[str, Comparison] = {}
    for metric in study.metrics:
        found[metric] = compare(
            task,
            study.vary,
            seeds=study.seeds,
            settings=study.settings,
            reference={"direction": "both"} if "direction" in study.vary else {},
            metric=metric,
            positive=study.positive,
            output=path,
            workers=workers,
            say=say if not found else lambda message: None,
            on_progress=on_progress,
        )
    return Done(study, task, found, read_runs(path)[1])


def as_written(problem: str, steps: int = 10, **sizes: Any) -> Task:
    """A problem as the tutorials' reversed layer meets it, if it is read forward.

    `LSTM(go_backwards=True)` emits its outputs in the order in which it reads, and they are compared with labels in the
    order of time: the same as reading reversed sequences forward, with labels that stay where they are.
    """
    task = problem_task(problem, steps=steps, **sizes)
    return replace(
        task,
        draw=partial(_turned, task.draw),
        facts={**task.facts, "reversed": "as written"},
        bayes_accuracy={"forward": float(reversed_as_written(steps).mean())},
    )


def _turned(draw: Callable[[int], Split], seed: int) -> Split:
    train, _, test, categories = draw(seed)
    return Split(_backward(train), None, _backward(test), categories)


def _backward(sequences: Sequences) -> Sequences:
    """The same sequences, each from its last step to its first; labels stay where they are."""
    offsets = sequences.offsets
    steps = np.repeat(offsets[:-1] + offsets[1:] - 1, sequences.lengths) - np.arange(sequences.steps)
    return replace(sequences, values=sequences.values[steps])


def _problem(name: str, of: Callable[..., Task] = problem_task, **sizes: Any) -> Callable[[Path, bool], Task]:
    def task(data: Path, quick: bool) -> Task:
        del data
        return of(name, **(sizes | ({"sequences": 40, "unseen": 100} if quick else {})))

    return task


def _table(name: str, calls: int = 0, **roles: Any) -> Callable[[Path, bool], Task]:
    """A table as a task; of each sequence the first steps if `calls` says how many."""

    def task(data: Path, quick: bool) -> Task:
        whole = table_task(data / name, sequence="sequence_id", order="step", split="split", label="label", **roles)
        if not calls and not quick:
            return whole
        steps, every = (min(calls or 64, 64), 10) if quick else (calls, 1)
        train, valid, test, categories = whole.draw(0)
        cut = None if valid is None else _cut(valid, steps, every)
        split = Split(_cut(train, steps, every), cut, _cut(test, steps, every), categories)
        return array_task(whole.name, whole.classes, split, tested_on=whole.tested_on)

    return task


def _cut(part: Sequences, steps: int, every: int) -> Sequences:
    """The first steps of every so many sequences."""
    pieces, numbers = part.take(np.arange(0, len(part), every)).cut_at(steps)
    return pieces.keep(numbers == 0)


def _cumulative(learning_rate: float, name: str = "cumulative-sum") -> tuple[Study, Study, Study]:
    """As tutorials do it; their reversed layer; and a forward layer with as many weights as both ways have.

    Both ways have 3,561 weights, forward with 20 units 1,781, with 29 units 3,626.
    """
    settings: dict[str, Value] = {"epochs": 1, "batch_size": 1, "learning_rate": learning_rate}
    sizes: dict[str, Any] = {"sequences": 250, "steps": 10, "unseen": 1000}
    task, turned = _problem("cumulative-sum", **sizes), _problem("cumulative-sum", as_written, **sizes)
    vary: dict[str, Sequence[Value]] = {"direction": ("both", "forward", "backward"), "merge_mode": MERGES}
    both, forward, metrics = settings | {"units": 20}, settings | {"direction": "forward"}, ("loss", "accuracy")
    return (
        Study(name, 1, task, vary, 50, metrics, both),
        Study(name + AS_WRITTEN, 1, turned, {"units": (20,)}, 50, metrics, forward),
        Study(f"{name}-wide", 1, task, {"units": (29,)}, 50, metrics, forward),
    )


def _possible(problem: str) -> Study:
    vary: dict[str, Sequence[Value]] = {"direction": DIRECTIONS}
    if problem == "parity":
        vary["merge_mode"] = MERGES
    settings: dict[str, Value] = {"epochs": 12, "batch_size": 32, "units": 24}
    task = _problem(problem, sequences=4000, steps=10, unseen=4000)
    # Few seeds cannot make a difference sure: five comparisons need eight.
    seeds = 10 if problem == "parity" else 7
    return Study(f"bayes-{problem}", 2, task, vary, seeds, ("accuracy",), settings)


_STUDIES = (
    # The learning rate falls to nothing; 0.002 is on average the 0.001 of Keras's Adam, with which tutorials train.
    *_cumulative(0.01),
    *_cumulative(0.002, "cumulative-sum-slow"),
    *(_possible(problem) for problem in PROBLEMS if problem != "intrusion-flows"),
    Study(
        "intrusion-flows",
        3,
        _problem("intrusion-flows", sequences=2000, steps=100, unseen=1000),
        {"direction": DIRECTIONS},
        7,
        (*RATES, "accuracy"),
        {"epochs": 10, "batch_size": 32, "units": 32},
        positive=1,
    ),
    Study(
        "adfa-ld",
        3,
        _table("adfa_ld.parquet", CALLS, features=["syscall"], categorical=["syscall"], per="sequence"),
        {
            "direction": DIRECTIONS,
            "conv_window": (0, 3, 7),
            "conv_stride": (1, 2),
            "pooling": ("last", "max"),
        },
        5,
        RATES,
        # Weights are those of the best epoch by average precision, as what counts is the order of the traces.
        {"epochs": 8, "batch_size": 32, "units": 16, "embedding": 16, "monitor": "average_precision"},
        table="adfa_ld.parquet",
        positive="attack",
    ),
    Study(
        "occupancy",
        4,
        _table("occupancy.parquet", features=["Temperature", "Humidity", "CO2", "HumidityRatio"], per="step"),
        {"direction": DIRECTIONS, "merge_mode": MERGES},
        10,
        ("f1", "accuracy"),
        {},
        table="occupancy.parquet",
        positive=1,
    ),
    Study(
        "japanese-vowels",
        4,
        _table("japanese_vowels.parquet", per="sequence"),
        {"direction": DIRECTIONS, "merge_mode": MERGES},
        10,
        ("accuracy",),
        {"epochs": 40, "pooling": "last"},
        table="japanese_vowels.parquet",
    ),
    Study(
        "ewt-pos",
        4,
        _table("ewt_pos.parquet", features=["token"], per="step"),
        {"direction": DIRECTIONS, "merge_mode": MERGES},
        8,
        ("accuracy",),
        {"epochs": 3, "batch_size": 32, "embedding": 32, "learning_rate": 0.02},
        table="ewt_pos.parquet",
    ),
)

PLAIN: Mapping[str, Value] = {"encoding": "standard", "levels": "raw", "changes": 0}
"""Tutorials' networks read the numbers themselves; a distance from the mean of the sequence would tell what follows."""

STUDIES = tuple(replace(study, settings={**PLAIN, **study.settings}) for study in _STUDIES)
"""All studies, in the order in which they are run."""
