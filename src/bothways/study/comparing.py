"""A comparison from its arguments to what it found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bothways import interrupts
from bothways.errors import InputError, calling, counted, imports_for, on_command_line, option
from bothways.metrics import Score, check_tags, class_to_detect, score
from bothways.metrics.alarms import detectable
from bothways.metrics.scores import check_monitor, with_rate_of
from bothways.options import Option, options, seconds_of, whole
from bothways.problems import PROBLEMS
from bothways.runtime import Label
from bothways.settings import Reading, Roles, Settings, as_names
from bothways.study.factors import Value, checked_settings, checked_vary
from bothways.study.grid import Grid, GridCell, check_size
from bothways.study.pool import Progress, do_runs, on_cluster
from bothways.study.results import Comparison, compare_runs
from bothways.study.runs import FAILED, Run, RunId, Store
from bothways.study.tasks import Split, Task, problem_task, table_task
from bothways.study.worker import StudySpec

FALSE_ALARM_RATES = (0.01, 0.001)


def compare(
    data: str | Path | Task,
    vary: Mapping[str, Iterable[Value] | None],
    *,
    seeds: int | Sequence[int] = 10,
    settings: Mapping[str, Value] | None = None,
    reference: Mapping[str, Value] | None = None,
    metric: str | None = None,
    positive: Label | None = None,
    false_alarm_rates: float | Sequence[float] = FALSE_ALARM_RATES,
    fraction: float = 1.0,
    search: int | None = None,
    output: str | Path | None = None,
    budget: float | str | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    yes: bool = False,
    table: Mapping[str, Any] | None = None,
    problem: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda message: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Comparison:
    """Train every combination of values with every seed, and say what the differences are worth.

    Runs go side by side through joblib: on the cores of this machine, or on the cluster that `cluster` or
    `joblib.parallel_config` names.

    Args:
        data: a table, the name of a generated problem (`bothways.problems.PROBLEMS`), or a task.
        vary: the factors, each with its values, or None for the usual ones (`bothways.study.factors.factors`).
        seeds: how many, from 0, or which.
        settings: values of factors that are not varied, where not their defaults (with vectors of words, what suits
            these).
        reference: the setting that others are compared with, by the values of some factors; the defaults if not given.
        metric: the score: "accuracy", "macro_f1", "entity_f1" (of tags), "f1" (of the class to detect), "f1:LABEL",
            "loss", "detection@RATE" or "false_alarms@RATE". If not given, entity_f1 for tags, accuracy for problems and
            for more than two classes, else f1.
        positive: the class to detect; the rarest if not given.
        false_alarm_rates: those that thresholds are chosen for, on the valid part.
        fraction: the share of the grid that is run.
        search: instead of the grid, try this many settings that Optuna proposes (the extra `search`).
        output: the Parquet file of all runs; it is gone on with if it is there. None keeps nothing.
        budget: seconds, or text such as "10m", after which it stops.
        workers: how many processes; as many as there are cores if not given.
        cluster: "ray://HOST", "ray://auto" or "dask://HOST:PORT" (the extra `cluster`).
        yes: whether very many runs are meant.
        table: for a table, the arguments of `bothways.study.tasks.table_task`.
        problem: for a generated problem, the arguments of `bothways.study.tasks.problem_task`.
        say: is called with what the user should know.
        on_progress: is called with how far it is.

    Returns:
        The settings, the best first, with their differences to the reference, and what each factor explains.

    Raises:
        InputError: an argument out of its range, or settings that cannot work; before anything is trained.
        DataError: the table cannot be used, or the output is not of this study or cannot be written.
        MissingDependencyError: a search without Optuna, or a cluster without Ray or Dask.

    Example:
        >>> found = compare(
        ...     "cumulative-sum", {"direction": ["forward", "backward"]}, seeds=2, settings={"units": 4, "epochs": 1},
        ...     problem={"sequences": 40, "unseen": 50},
        ... )
        >>> found.runs, sorted(result.name for result in found.settings)
        (4, ['direction=backward', 'direction=forward'])
    """
    chosen = _seeds(seeds)
    fraction = Option(1.0, "", above=0, most=1).check("fraction", fraction)
    Option(None, "", least=1, of=int).check("workers", workers)
    if search is not None:
        whole("search", search, 1)
        with imports_for("A search", "search"):
            from bothways.study.search import search_settings
    grid, first = _grid(vary, settings, reference, None if search else fraction, len(chosen), yes)
    deadline = None if budget is None else time.monotonic() + seconds_of("budget", budget)
    longest = max((int(each) for each in grid.choices("window") if each), default=None)
    with calling("the command line" if on_command_line() else "a comparison"):
        task = _task(data, dict(table or {}), dict(problem or {}), longest, say)
    grid = grid.beside(task.shape.usual)
    grid.check(task.shape)
    split = task.draw(0)
    detected, rates, of = _scoring(task, split, metric, positive, false_alarm_rates)
    _check_parts(grid, task, split, whole_weights=output is not None)
    fingerprint, facts = task.told_by(rates, task.classes[detected])
    study = {
        "task": task.name,
        "tested_on": task.tested_on,
        "classes": list(task.classes),
        "positive": task.classes[detected],
        "vary": {name: list(values) for name, values in grid.vary.items()},
        "settings": dict(grid.base),
        "facts": facts,
    }
    spec, progress = StudySpec(task, rates, detected), Progress(of, deadline=deadline)
    path = None if output is None else Path(output)
    cells, shares = grid.cells, None
    with Store(path, fingerprint, study) as store, on_cluster(cluster):
        do = _doer(store, path, spec, workers, progress, on_progress)
        if search is None:
            own = dict.fromkeys(grid.setting(cell).alone(task.shape) for cell in cells)
            runs = [(setting, seed) for seed in chosen for setting in own]
            shared = "" if len(own) == len(cells) else f", {len(own)} of them with runs of their own"
            say(
                f"{task.name}: {counted(len(cells), 'setting')}{shared}, {counted(len(chosen), 'seed')}: "
                f"{counted(len(runs), 'run')}."
            )
            if there := len({run.id for run in store.runs} & set(runs)):
                say(f"{there} of them are in {path} already.")
            do(runs)
        else:
            say(f"{task.name}: a search among {counted(search, 'setting')}, {counted(len(chosen), 'seed')} each.")
            if split.valid is None or "none" in grid.choices("monitor"):
                say("Without a valid part it goes by the scores on what is tested, which flatters the best settings.")
            found, shares = search_settings(grid, task, of, first, search, chosen, do, store.runs)
            cells = tuple(dict.fromkeys((first, *found)))
    for remark in _remarks(progress.done):
        say(remark)
    comparison = compare_runs(replace(grid, cells=cells), task, chosen, store.runs, of, first)
    return comparison if shares is None else replace(comparison, shares=shares)


def _grid(
    vary: Mapping[str, Iterable[Value] | None],
    settings: Mapping[str, Value] | None,
    reference: Mapping[str, Value] | None,
    fraction: float | None,
    seeds: int,
    yes: bool,
) -> tuple[Grid, GridCell]:
    """This share of all settings, or the reference alone where a search chooses the others; and the reference."""
    varied = checked_vary(vary)
    if fraction is None:
        grid = Grid(varied, checked_settings(settings or {}), ())
        first = grid.reference(reference or {})
        return replace(grid, cells=(first,)), first
    check_size(varied, seeds, fraction, yes)
    grid = Grid.full(varied, settings)
    first = grid.reference(reference or {})
    return grid.part(fraction, first), first


def _scoring(
    task: Task, split: Split, metric: str | None, positive: Label | None, rates: float | Sequence[float]
) -> tuple[int, tuple[float, ...], Score]:
    """The class to detect, the false-alarm rates that can be looked at, and the score."""
    detected = class_to_detect(task.classes, split.train.class_counts(task.shape.classes), positive)
    label, given = task.classes[detected], with_rate_of(str(metric), as_names(rates))
    checked = tuple(Option(0.01, "", least=0, below=1).check("A false-alarm rate", rate) for rate in given)
    parts = (split.test,) if task.test_share is not None or split.valid is None else (split.test, split.valid)
    usable = checked if all(detectable(part, detected) for part in parts) else ()
    if str(metric).startswith(("detection@", "false_alarms@")) and not usable:
        raise InputError(
            f"The test part, or the valid part, by which thresholds are chosen, has no label {label!r} or no other, so "
            f"that {option('metric', metric)} cannot be scored. Choose another metric, or other parts."
        )
    check_tags(str(metric), split.test)
    usual = "accuracy" if task.bayes_accuracy or len(task.classes) > 2 else "f1"
    usual = "entity_f1" if split.test.scheme is not None else usual
    return detected, usable, score(metric or usual, task.classes, label, usable)


def _check_parts(grid: Grid, task: Task, split: Split, *, whole_weights: bool) -> None:
    """Refuse parts that cannot be scored, or, if weights must be whole, counted."""
    tested = (split.test,) if task.test_share is None else split[:3]  # other seeds test on other parts of all
    if whole_weights and any((part.known_weights % 1).any() for part in tested if part is not None):
        raise InputError(
            "output keeps whole counts of labels, and some weights of what is tested are no whole numbers. Leave out "
            "output, or those weights."
        )
    if split.valid is not None:
        for monitor in grid.choices("monitor"):
            check_monitor(str(monitor), task.shape.classes, split.valid)


def _doer(
    store: Store,
    path: Path | None,
    spec: StudySpec,
    workers: int | None,
    progress: Progress,
    on_progress: Callable[[Progress], None],
) -> Callable[[Sequence[RunId]], bool]:
    """What does the runs that are not in the store yet, and says what Ctrl-C would leave."""

    def tell() -> None:
        kept = counted(len(store.runs), "run is", "runs are")
        where = f"{kept} kept in {path}; the same command goes on from there."
        interrupts.kept = "Without an output file no run is kept." if path is None else where

    def keep(run: Run) -> None:
        store.add(run)
        tell()

    def do(wanted: Sequence[RunId]) -> bool:
        there = {run.id for run in store.runs}
        missing = [each for each in wanted if each not in there]
        progress.total += len(missing)
        return do_runs(spec, missing, workers, keep, progress, on_progress)

    if store.runs:
        tell()
    return do


def _remarks(done: Sequence[Run]) -> Iterator[str]:
    """What the user should know of the runs that were done."""
    if slow := {run.backend for run in done if run.backend not in ("", "jax")}:
        yield (
            f"Keras ran on {', '.join(sorted(slow))}, where each batch is a call of its own; on jax, which "
            "compiles whole epochs, small models train many times as fast (set KERAS_BACKEND)."
        )
    if failed := [run.reason for run in done if run.status == FAILED]:
        yield f"{counted(len(failed), 'run')} failed, the first one by {failed[0]}"


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    chosen = as_names(seeds)
    if isinstance(seeds, (int, np.integer)) and not isinstance(seeds, bool):
        chosen = tuple(range(seeds))
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"seeds is {seeds!r}; give how many there are, at least 1, or different whole numbers.")
    return tuple(options(Settings)["seed"].check("a seed", seed) for seed in chosen)


def _task(
    data: str | Path | Task,
    table: dict[str, Any],
    problem: dict[str, Any],
    window: int | None,
    say: Callable[[str], None],
) -> Task:
    if isinstance(data, Task):
        return data
    if str(data) in PROBLEMS:
        usual = {name: each.default for name, each in {**options(Reading), **options(Roles)}.items()}
        if given := [name for name, value in table.items() if value and value != usual.get(name)]:
            flags = ", ".join(map(option, given))
            raise InputError(
                f"{data} is a generated problem, and {flags} {'is' if len(given) == 1 else 'are'} for tables."
            )
        return problem_task(str(data), **problem)
    if problem:
        raise InputError(f"{data} is no generated problem, and so it has no {', '.join(problem)}.")
    if not isinstance(data, (str, os.PathLike)):
        raise InputError(
            f"data is of type {type(data).__name__}; it must be a table in a file, the name of a problem, or a task. "
            "Write a data frame to a file first, such as table.parquet."
        )
    if not Path(data).suffix and not Path(data).exists():
        raise InputError(f"{data}: there is no such table, and no such problem. Problems: {', '.join(PROBLEMS)}.")
    return table_task(data, **{"window": window, **table}, say=say)
