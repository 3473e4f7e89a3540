"""A comparison from its arguments to what it found."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.files import check_output
from bothways.metrics import rarest, score
from bothways.options import whole
from bothways.problems import PROBLEMS
from bothways.sequences import NO_LABEL
from bothways.study.factors import Value, checked_vary
from bothways.study.grid import Grid, check_cells, check_size, checked_base, fraction_of, full_grid
from bothways.study.results import Comparison, compare_runs
from bothways.study.runs import ENDING, Journal, Run
from bothways.study.search import Search, check_trials, need_optuna, search_cells
from bothways.study.tables import table_task
from bothways.study.tasks import Label, ProblemTask, Task, fingerprint
from bothways.study.worker import Order
from bothways.study.workers import Job, Pool, State

FALSE_ALARM_RATES = (0.01, 0.001)
COMPILED = "jax"
"""The backend of Keras on which whole epochs are compiled."""

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
    search: int | None = None,
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
        search: instead of the grid, so many settings that Optuna proposes (the extra `search`).
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
        MissingDependencyError: a search without Optuna.

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
    if search is None:
        check_size(varied, len(chosen), fraction, yes)
        grid = full_grid(varied, settings)
    else:
        grid = Grid(varied, checked_base(varied, settings or {}), ())
    seconds = None if budget is None else budget_seconds(budget)
    cores = _workers(workers)
    if search is not None:
        check_trials(search)
        need_optuna()
    path = None if output is None else check_output(output, (ENDING,))
    task = _task(data, table or {}, dict(problem or {}), say)
    first = grid.reference(reference or {})
    grid = fraction_of(grid, fraction, grid.cells.index(first)) if search is None else replace(grid, cells=(first,))
    check_cells(grid, task.shape)
    code = _positive(task, positive)
    label = task.classes[code]
    rates = _rates(task, false_alarm_rates, code)
    of = score(metric or _usual_metric(task), task.classes, label, rates)

    study: dict[str, Any] = {"task": task.name, "judged": task.judged, "classes": list(task.classes), "positive": label}
    study |= {"vary": {name: list(values) for name, values in grid.vary.items()}, "settings": dict(grid.base)}
    journal = Journal(path, fingerprint(task, rates, label), study)
    deadline = None if seconds is None else time.monotonic() + seconds
    work = _Work(journal, Order(task, rates, code), cores, State(0, deadline=deadline), on_state)
    shares = None
    try:
        if search is None:
            keys = grid.keys(task.shape)
            jobs = [(key, seed) for seed in chosen for key in dict.fromkeys(keys)]
            shared = "" if len(set(keys)) == len(keys) else f", {len(set(keys))} of them with runs of their own"
            say(f"{task.name}: {len(keys)} settings{shared}, {len(chosen)} seeds: {len(jobs)} runs.")
            if there := work.there(jobs):
                say(f"{there} of them are in {path} already.")
            work.do(jobs)
        else:
            say(f"{task.name}: a search among {search} settings, {len(chosen)} seeds each.")
            found = Search(grid, task.shape, of, first)
            search_cells(found, search, chosen, work.do, work.runs)
            grid = replace(grid, cells=tuple(found.cells) or grid.cells)
            shares = found.shares()
    finally:
        work.end()
    if slow := {run.backend for run in work.new if run.backend not in ("", COMPILED)}:
        say(
            f"Keras ran on {', '.join(sorted(slow))}, where each batch is a call of its own; on {COMPILED}, which "
            "compiles whole epochs, small models train many times as fast (set KERAS_BACKEND)."
        )
    comparison = compare_runs(grid, task, chosen, journal.runs, of, grid.cells.index(first))
    return comparison if shares is None else replace(comparison, shares=shares)


class _Work:
    """The runs of a study, done by processes that are started when there is something to do."""

    def __init__(
        self, journal: Journal, order: Order, workers: int, state: State, on_state: Callable[[State], None]
    ) -> None:
        self._journal, self._order, self._workers = journal, order, workers
        self._state, self._on_state = state, on_state
        self._pool: Pool | None = None

    @property
    def new(self) -> list[Run]:
        """Those that were done now."""
        return self._state.done

    def runs(self) -> dict[Job, Run]:
        """Those that are there."""
        return {(run.key, run.seed): run for run in self._journal.runs}

    def there(self, jobs: Sequence[Job]) -> int:
        """How many of some are there."""
        return len(self.runs().keys() & set(jobs))

    def do(self, jobs: Sequence[Job]) -> bool:
        """Do those that are not there; tells whether all are."""
        runs = self.runs()
        missing = [job for job in jobs if job not in runs]
        if not missing:
            return True
        self._state.total += len(missing)
        if self._pool is None:
            self._pool = Pool(self._order, self._workers)
        return self._pool.run(missing, self._journal.append, self._state, self._on_state)

    def end(self) -> None:
        """End the processes and keep the runs in one file."""
        if self._pool is not None:
            self._pool.end()
        self._journal.close()


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
    return whole("workers", workers, 1)


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


def _positive(task: Task, positive: Label | None) -> int:
    if positive is not None:
        names = [str(label) for label in task.classes]
        if str(positive) not in names:
            raise InputError(f"There is no class {positive!r} to detect; there are {', '.join(names)}.")
        return names.index(str(positive))
    labels = task.parts(0)[0].known_labels
    return rarest(np.bincount(labels[labels != NO_LABEL], minlength=len(task.classes)))


def _rates(task: Task, rates: Sequence[float], positive: int) -> tuple[float, ...]:
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
            raise InputError(f"A false-alarm rate is {rate!r}; it must be from 0 up to, not including, 1, as 0.01.")
    test = task.parts(0)[2].known_labels
    found = test[test != NO_LABEL] == positive
    # Without both kinds there is nothing to detect, or nothing to mistake for it.
    return tuple(float(rate) for rate in rates) if found.any() and not found.all() else ()


def _usual_metric(task: Task) -> str:
    return "f1" if len(task.classes) == 2 and not isinstance(task, ProblemTask) else "accuracy"
