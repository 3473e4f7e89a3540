"""The command `bothways compare`, and how it shows what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bothways.cli import display

if TYPE_CHECKING:
    from bothways.study import Comparison, Setting
    from bothways.study.runs import Run
    from bothways.study.workers import State

SHOWN = 12
"""So many settings are shown while runs come in."""

SURE = 0.05

LOG_WIDTH = 160
"""Where nobody says how wide a line may be, wide enough for a table."""


@contextmanager
def run_progress() -> Iterator[Callable[[State], None]]:
    """Show runs come in: a live table on a terminal, a line now and then in a log.

    Returns:
        What to call with how far the study is.
    """
    console = display.words()
    if not console.is_terminal:
        yield _log_runs()
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield lambda state: live.update(_live_table(state))


def show_comparison(comparison: Comparison) -> None:
    """Settings with their differences and costs, the shares of variance, and what can be said."""
    console = display.results()
    if not console.is_terminal:
        console.width = LOG_WIDTH
    seeds = len(comparison.seeds)
    over = f"{seeds} seed{'s' if seeds > 1 else ''}"
    console.print(
        f"{comparison.task}, judged on {comparison.judged}: median {comparison.metric.title} over {over}, "
        "95 % intervals over seeds and sequences."
    )
    console.print(_settings_table(comparison))
    console.print(_costs_table(comparison))
    for name, value in _marks(comparison).items():
        console.print(f"{name}: {value:.4g}")
    if comparison.shares is not None and comparison.shares.variance > 0:
        console.print(_shares_table(comparison))
    for sentence in comparison.verdict():
        console.print(sentence, soft_wrap=not console.is_terminal)
    console.print(f"p: {comparison.test}.", soft_wrap=not console.is_terminal)


def _marks(comparison: Comparison) -> dict[str, float]:
    marks = {f"possible reading {name}": value for name, value in comparison.bayes_accuracy.items()}
    if comparison.baseline is not None:
        marks = {"always the commonest label": comparison.baseline} | marks
    return marks


def _settings_table(comparison: Comparison) -> Table:
    table = _of_settings(comparison, (comparison.metric.title, "95 %", "against", "95 %", "p"))
    for setting in _own_runs(comparison):
        cells: list[str | Text] = ["no run"]
        if setting.median is not None:
            mark = f" ({setting.diverged} diverged)" if setting.diverged else ""
            cells = [f"{setting.median:.4f}{mark}", f"{setting.low:.3f} to {setting.high:.3f}"]
        if (difference := setting.difference) is not None:
            sure = difference.p is not None and difference.p < SURE
            style = ("green" if difference.median > 0 else "red") if sure else ""
            cells += [Text(f"{difference.median:+.4f}", style), f"{difference.low:+.3f} to {difference.high:+.3f}"]
            cells.append(Text("" if difference.p is None else f"{difference.p:.2g}", style))
        _add(table, setting, comparison, cells)
    return table


def _costs_table(comparison: Comparison) -> Table:
    names = ("weights", "compile s", "train s", "us a step to train", "to label")
    table = _of_settings(comparison, names)
    for setting in _own_runs(comparison):
        seconds = (f"{setting.compile_seconds:.2f}", f"{setting.seconds:.3g}")
        us = (f"{setting.train_us_a_step:.3g}", f"{setting.label_us_a_step:.3g}")
        _add(table, setting, comparison, [f"{setting.parameters:,}", *seconds, *us])
    return table


def _of_settings(comparison: Comparison, columns: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, padding=(0, 1, 0, 0))
    for name in list(comparison.settings[0].factors) or ["setting"]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _own_runs(comparison: Comparison) -> list[Setting]:
    """The settings, each once."""
    return [setting for setting in comparison.settings if setting.same_as is None]


def _add(table: Table, setting: Setting, comparison: Comparison, cells: Sequence[str | Text]) -> None:
    values = ["-" if name in setting.idle else str(value) for name, value in setting.factors.items()]
    values = values or ["the only one"]
    table.add_row(*values, *cells, style="bold" if setting.difference is None else "")


def _shares_table(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    table.add_column("of the variance", overflow="fold")
    table.add_column("share", justify="right")
    shares = comparison.shares
    assert shares is not None
    table.add_column("error", justify="right")
    rows = dict(comparison.shares_of_factors)
    rows |= {" x ".join(names): share for names, share in comparison.shares_of_pairs.items()}
    errors = {" x ".join(names): f"{error:.1%}" for names, error in shares.errors.items()}
    if len(comparison.settings[0].factors) > 2 or not comparison.shares_of_pairs:
        rows["interactions of more" if comparison.shares_of_pairs else "interactions"] = shares.higher
    if shares.seed is not None:
        rows["the seed"] = shares.seed
    for name, share in rows.items():
        table.add_row(name, f"{share:.1%}", errors.get(name, ""))
    return table


def _live_table(state: State) -> Group:
    by_setting: dict[str, list[Run]] = {}
    for run in state.done:
        by_setting.setdefault(run.key, []).append(run)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    table.add_column("setting", overflow="fold")
    for name in ("runs", "accuracy so far", "now"):
        table.add_column(name, justify="right")
    now = {key: progress for (key, _), progress in state.running.items()}
    keys = [*now, *(key for key in reversed(by_setting) if key not in now)]
    for key in keys[:SHOWN]:
        runs = by_setting.get(key, [])
        progress = now.get(key)
        epoch = (
            "" if key not in now else "starting" if progress is None else f"epoch {progress.epoch}/{progress.epochs}"
        )
        table.add_row(_words(key), str(len(runs)), _median(runs), epoch)
    bar = ProgressBar(total=state.total, completed=len(state.done), width=40)
    return Group(table, bar, Text(_how_far(state)))


def _log_runs() -> Callable[[State], None]:
    """A line for the first run, then one when some seconds have gone by, and one for the last."""
    last, told = float("-inf"), -1

    def log(state: State) -> None:
        nonlocal last, told
        done = len(state.done)
        if done != told and (time.monotonic() - last >= display.LOG_EVERY or done == state.total):
            last, told = time.monotonic(), done
            display.say(_how_far(state))

    return log


def _how_far(state: State) -> str:
    parts = [f"{len(state.done)} of {state.total} runs"]
    bad = [run.status for run in state.done if run.status != "finished"]
    parts += [f"{bad.count(status)} {status}" for status in dict.fromkeys(bad)]
    if (left := state.seconds_left) is not None and len(state.done) < state.total:
        parts.append(f"about {left:.0f} s left")
    if state.deadline is not None:
        parts.append(f"stops in {max(0.0, state.deadline - time.monotonic()):.0f} s")
    return ", ".join(parts)


def _words(key: str) -> str:
    return key.strip("{}").replace('"', "").replace(": ", "=").replace(", ", " ") or "all defaults"


def _median(runs: Sequence[Run]) -> str:
    import statistics

    from bothways.metrics import score

    of = score("accuracy", ())
    scores = [of.of(run.judged) for run in runs if run.judged is not None]
    return f"{statistics.median(scores):.4f}" if scores else ""
