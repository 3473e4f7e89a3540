"""A comparison from its arguments to what it found."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.problems import PROBLEMS
from bothways.study.factors import Value, checked_vary
from bothways.study.grid import Grid, check_cells, check_size, fraction_of, full_grid
from bothways.study.results import Comparison, compare_runs
from bothways.study.runs import ENDING, Journal
from bothways.study.scores import metric as metric_called
from bothways.study.tables import table_task
from bothways.study.tasks import NO_LABEL, Label, ProblemTask, Task, fingerprint
from bothways.study.worker import Order
from bothways.study.workers import State, run_jobs

FALSE_ALARM_RATES = (0.01, 0.001)
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def compare(
    data: str | Path | Task,
    vary: Mapping[str, Iterable[Value] | None],
    *,
    seeds: int | Sequence[int] = 10,
    settings: Mapping[str, Value] | None = None,
    reference: Mapping[str, Value] | None = None,
    metric: str | None = None,
    positive: Label | None = None,
    false_alarm_rates: Sequence[float] = FALSE_ALARM_RATES,
    fraction: float = 1.0,
    output: str | Path | None = None,
    budget: float | str | None = None,
    workers: int | None = None,
    yes: bool = False,
    table: Mapping[str, Any] | None = None,
    problem: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda message: None,
    on_state: Callable[[State], None] = lambda state: None,
) -> Comparison:
    """Train every combination of values with every seed, and say what the differences are worth.

    Args:
        data: a table, the name of a generated problem (`bothways.problems.PROBLEMS`), or a task.
        vary: the factors, each with its values, or None for the usual ones (`bothways.study.factors.VALUES`).
        seeds: how many, from 0, or which.
        settings: what the factors are that are not varied, where not their defaults.
        reference: the setting to compare the others with, by the values of some factors; the defaults if not given.
        metric: the score: "accuracy", "macro_f1", "f1" (of the class to detect), "f1:LABEL", "loss", "detection@RATE"
            or "false_alarms@RATE". If not given, accuracy for problems and for more than two classes, else f1.
        positive: the class to detect; the rarer of two (of equals the second), else the rarest.
        false_alarm_rates: those for which thresholds are chosen, on the valid part.
        fraction: the share of the grid that is run.
        output: the Parquet file of all runs; it is gone on with if it is there. None keeps nothing.
        budget: seconds, or text as "10m", after which it stops.
        workers: how many processes side by side; as many as there are cores if not given.
        yes: whether very many runs are meant.
        table: the roles of the columns of a table, as `bothways.study.tables.table_task` takes them.
        problem: of a generated problem "sequences", "steps", "unseen", and its own parameters.
        say: is called with what the user should know.
        on_state: is called now and then with how far it is.

    Raises:
        InputError: an argument out of its range, or settings that cannot work; before anything is trained.
        DataError: the table cannot be used, or the output is not of this study or cannot be written.

    Example:
        >>> found = compare(
        ...     "cumulative-sum", {"direction": ["forward", "backward"]}, seeds=2, settings={"units": 4, "epochs": 1},
        ...     problem={"sequences": 40, "unseen": 50},
        ... )
        >>> found.runs, sorted(setting.name for setting in found.settings)
        (4, ['direction=backward', 'direction=forward'])
    """
    chosen = _seeds(seeds)
    varied = checked_vary(vary)
    check_size(varied, len(chosen), fraction, yes)
    grid = full_grid(varied, settings)
    seconds = None if budget is None else budget_seconds(budget)
    cores = _workers(workers)
    path = None if output is None else _checked_output(output)
    task = _task(data, table or {}, dict(problem or {}), say)
    grid, place = _with_reference(grid, reference or {}, fraction)
    check_cells(grid, task.shape)
    code = _positive(task, positive)
    label = task.classes[code]
    rates = _rates(task, false_alarm_rates, code)
    of = metric_called(metric or _usual_metric(task), task.classes, rates, label)

    study: dict[str, Any] = {"task": task.name, "judged": task.judged, "classes": list(task.classes), "positive": label}
    study |= {"vary": {name: list(values) for name, values in grid.vary.items()}, "settings": dict(grid.base)}
    journal = Journal(path, fingerprint(task, rates, label), study)
    keys = grid.keys(task.shape)
    there = {(run.key, run.seed) for run in journal.runs}
    wanted = [(key, seed) for seed in chosen for key in dict.fromkeys(keys)]
    jobs = [job for job in wanted if job not in there]
    shared = "" if len(set(keys)) == len(keys) else f", {len(set(keys))} of them with runs of their own"
    say(f"{task.name}: {len(keys)} settings{shared}, {len(chosen)} seeds: {len(wanted)} runs.")
    if len(jobs) < len(wanted):
        say(f"{len(wanted) - len(jobs)} of them are in {path} already.")
    try:
        if jobs:
            deadline = None if seconds is None else time.monotonic() + seconds
            run_jobs(jobs, Order(task, rates, code), cores, journal.append, deadline, on_state)
    finally:
        journal.close()
    return compare_runs(grid, task, chosen, journal.runs, of, place)


def budget_seconds(budget: float | str) -> float:
    """A time in seconds from a number, or from text.

    Raises:
        InputError: it is no time.

    Example:
        >>> budget_seconds("10m"), budget_seconds("1.5h"), budget_seconds(90)
        (600.0, 5400.0, 90.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([smh]?)\s*", str(budget))
    seconds = float(found[1]) * UNITS[found[2] or "s"] if found else 0.0
    if not 0 < seconds < math.inf:
        raise InputError(f"budget is {budget!r}; it must be a time above 0, as 90s, 10m or 2h.")
    return seconds


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    chosen = tuple(range(seeds)) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds
    whole = isinstance(chosen, Sequence) and all(isinstance(s, int) and not isinstance(s, bool) for s in chosen)
    if not whole or not chosen or min(chosen) < 0 or len(set(chosen)) < len(chosen):  # type: ignore[arg-type]
        raise InputError(f"seeds is {seeds!r}; it must be how many there are, at least 1, or different whole numbers.")
    return tuple(chosen)  # type: ignore[arg-type]  # checked


def _workers(workers: int | None) -> int:
    if workers is None:
        return len(os.sched_getaffinity(0))
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InputError(f"workers is {workers!r}; it must be a whole number of at least 1.")
    return workers


def _checked_output(output: str | Path) -> Path:
    path = Path(output)
    if path.suffix.lower() != ENDING:
        raise InputError(f"{path}: the runs are kept in a Parquet file; give it a name that ends in {ENDING}.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist.")
    return path


def _task(
    data: str | Path | Task, table: Mapping[str, Any], problem: dict[str, Any], say: Callable[[str], None]
) -> Task:
    if not isinstance(data, (str, Path)):
        return data
    if str(data) in PROBLEMS:
        sizes = {name: problem.pop(name) for name in ("sequences", "steps", "unseen") if name in problem}
        return ProblemTask(str(data), **sizes, parameters=problem)
    if problem:
        raise InputError(f"{data} is no generated problem, and so it has no {', '.join(problem)}.")
    if not Path(data).suffix and not Path(data).exists():
        raise InputError(f"{data}: there is no such table, and no such problem. Problems: {', '.join(PROBLEMS)}.")
    return table_task(data, **table, say=say)


def _with_reference(grid: Grid, reference: Mapping[str, Value], fraction: float) -> tuple[Grid, int]:
    place = grid.reference(reference)
    part = fraction_of(grid, fraction, place)
    return part, part.cells.index(grid.cells[place])


def _positive(task: Task, positive: Label | None) -> int:
    if positive is not None:
        names = [str(label) for label in task.classes]
        if str(positive) not in names:
            raise InputError(f"There is no class {positive!r} to detect; there are {', '.join(names)}.")
        return names.index(str(positive))
    counts = _counts(task)
    return int(len(counts) - 1 - counts[::-1].argmin())


def _counts(task: Task) -> Any:
    labels = task.parts(0)[0].labels
    return np.bincount(labels[labels != NO_LABEL], minlength=len(task.classes))


def _rates(task: Task, rates: Sequence[float], positive: int) -> tuple[float, ...]:
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
            raise InputError(f"A false-alarm rate is {rate!r}; it must be from 0 up to, not including, 1, as 0.01.")
    test = task.parts(0)[2].labels
    found = test[test != NO_LABEL] == positive
    # Without both kinds there is nothing to detect, or nothing to mistake for it.
    return tuple(float(rate) for rate in rates) if found.any() and not found.all() else ()


def _usual_metric(task: Task) -> str:
    return "f1" if len(task.classes) == 2 and not isinstance(task, ProblemTask) else "accuracy"
