"""How a comparison is shown on a terminal, while runs come in and afterwards."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bothways.cli import display
from bothways.errors import counted

if TYPE_CHECKING:
    from bothways.study import Comparison
    from bothways.study import view as views
    from bothways.study.pool import Progress
    from bothways.study.runs import Run

SHOWN = 12  # at most this many settings are shown while runs come in
LOG_WIDTH = 160  # where no line width is known, it is this: wide enough for a table

STYLES = {"better": "green", "worse": "red"}


@contextmanager
def run_progress() -> Iterator[Callable[[Progress], None]]:
    """Show runs come in: a live table on a terminal, a line now and then in a log.

    Returns:
        What to call with how far the study is.
    """
    console = display.words()
    if not console.is_terminal:
        with display.bar() as (_, log):
            yield lambda progress: log(len(progress.done), progress.total, _how_far(progress), "")
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield lambda progress: live.update(_live_table(progress))


def show_comparison(comparison: Comparison) -> None:
    """Settings with their differences and costs, the shares of variance, and what can be said."""
    from bothways.study import view

    console = display.results()
    if not console.is_terminal:
        console.width = LOG_WIDTH
    console.print(
        f"{comparison.task.name}, tested on {comparison.task.tested_on}: median {comparison.metric.title} over "
        f"{counted(len(comparison.seeds), 'seed')}, 95 % intervals over seeds and sequences."
    )
    console.print(_table(view.settings_table(comparison)))
    console.print(_table(view.costs_table(comparison)))
    for name, value in view.marks(comparison).items():
        console.print(f"{name}: {value:.4g}")
    if (shares := view.shares_table(comparison)).rows:
        console.print(_table(shares))
    for sentence in (*comparison.verdict(), f"p: {comparison.test}."):
        console.print(sentence, soft_wrap=not console.is_terminal)


def _table(found: views.TableView) -> Table:
    table = display.table(*found.head)
    table.padding = (0, 1, 0, 0)
    for row in found.rows:
        cells = [Text(f"{cell.text}  {cell.ends}".rstrip(), STYLES.get(cell.mark, "")) for cell in row.cells]
        table.add_row(row.name, *cells, style="bold" if row.reference else "")
    return table


def _live_table(progress: Progress) -> Group:
    by_setting: dict[str, list[Run]] = {str(setting): [] for setting in progress.running}
    running = len(by_setting)
    for run in reversed(progress.done):
        by_setting.setdefault(str(run.setting), []).append(run)
    table = display.table("setting", "runs", f"{progress.score.title} so far", "")
    for i, (name, runs) in enumerate(list(by_setting.items())[:SHOWN]):
        scores = [progress.score.of(run.counts) for run in runs if run.counts is not None]
        median = f"{statistics.median(scores):.4f}" if scores else ""
        table.add_row(name, str(len(runs)), median, "training" if i < running else "")
    bar = ProgressBar(total=progress.total, completed=len(progress.done), width=40)
    return Group(table, bar, Text(_how_far(progress)))


def _how_far(progress: Progress) -> str:
    parts = [f"{len(progress.done)} of {counted(progress.total, 'run')}"]
    bad = [run.status for run in progress.done if run.status != "finished"]
    parts += [f"{bad.count(status)} {status}" for status in dict.fromkeys(bad)]
    if (left := progress.seconds_left) is not None and len(progress.done) < progress.total:
        parts.append(f"about {left:.0f} s left")
    if progress.deadline is not None:
        parts.append(f"stops in {max(0.0, progress.until_deadline):.0f} s")
    return ", ".join(parts)
