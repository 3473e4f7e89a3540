"""How the command line prints: results to standard output, everything else to standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook
from rich.measure import measure_renderables
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from bothways.errors import counted

if TYPE_CHECKING:
    from bothways.study.tuning import SearchProgress
    from bothways.training import EpochReport

FOLDED = 12  # to this width names are folded where numbers beside them leave no more
LOG_EVERY = 10.0  # seconds between two lines about progress in a log

UNPRINTABLE = dict.fromkeys([*range(10), *range(11, 32), *range(127, 160), *range(0xD800, 0xE000)], "?")
"""Control characters but the end of a line, and halves of surrogate pairs: a file must not send them to a terminal."""

Say = Callable[[str], None]


def stdout() -> Console:
    """The console for results, on the standard output."""
    return _console(stderr=False)


def stderr() -> Console:
    """The console for everything else, on the standard error."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False)
    console.push_render_hook(_Printable())
    return console


class _Printable(RenderHook):
    """Shows a question mark for each unprintable character."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(renderable) for renderable in renderables]


@dataclass(frozen=True)
class _Shown:
    renderable: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.renderable, options):
            yield segment if segment.control else segment._replace(text=segment.text.translate(UNPRINTABLE))


def say(message: str) -> None:
    """Print a message that is not part of the result."""
    print_words(stderr(), message)


def show_error(message: str) -> None:
    """Print what was wrong."""
    print_words(stderr(), Text.assemble(("Error: ", "bold red"), message))


@contextmanager
def bar(each: bool = False) -> Iterator[tuple[Say, Callable[[float, float, str, str], None]]]:
    """Show progress: a bar on a terminal, in a log one line every `LOG_EVERY` seconds, or for `each` name. Gives how to
    print a message meanwhile, and what to call with how much is done, of how much, its name, and more.
    """
    console, last, logged = stderr(), float("-inf"), ""

    def log(done: float, total: float, name: str, more: str) -> None:
        nonlocal last, logged
        if name != logged if each else time.monotonic() - last >= LOG_EVERY or done >= total:
            last, logged = time.monotonic(), name
            say(f"{name}: {more}" if more else name)

    if not console.is_interactive:
        yield say, log
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(16),
        TextColumn("{task.fields[more]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        task = progress.add_task("starting", total=None, more="")

        def show(done: float, total: float, name: str, more: str) -> None:
            progress.update(task, total=total, completed=done, description=name, more=more)

        yield lambda message: print_words(progress.console, message), show


@contextmanager
def training_progress() -> Iterator[dict[str, Any]]:
    """`bar` for what `jobs.train` reports, by the names of its arguments: epochs, trials, and what is fitted again."""
    with bar() as (message, show):

        def epoch(report: EpochReport) -> None:
            show(report.epoch, report.epochs, f"epoch {report.epoch}/{report.epochs}", _epoch_words(report))

        def trial(progress: SearchProgress) -> None:
            left = _duration(max(0, progress.budget - progress.seconds))
            name = f"{counted(progress.done, 'training')} done"
            words = f"best {progress.metric} {progress.score:.3f}, {left} left ({progress.best})"
            show(min(progress.seconds, progress.budget), progress.budget, name, words)

        def refit(done: int, total: int) -> None:
            show(done, total, "fitting again", f"{done} of {total} done")

        yield {"say": message, "on_epoch": epoch, "on_trial": trial, "on_refit": refit}


@contextmanager
def waiting(doing: str, logged: bool = False) -> Iterator[tuple[Say, Say]]:
    """Show on a terminal, and if `logged` in a log, what is being done. Gives how to print a message meanwhile, and
    what to call with the next thing that is done.
    """
    console = stderr()
    if not console.is_interactive:
        yield say, say if logged else lambda doing: None
        return
    with console.status(doing) as status:
        yield lambda message: print_words(console, message), status.update


def print_words(console: Console, message: str | Text) -> None:
    """Print a message, wrapped between words on a terminal and not at all in a log."""
    console.print(message, soft_wrap=not console.is_terminal)


def table(first: str, *others: str) -> Table:
    """An empty table: a column of text, then columns of numbers that wrap only between words of their names."""
    numbers = [Column(name, justify="right", no_wrap=" " not in name) for name in others]
    # Little between columns: long names in the first one need the width of a terminal.
    return Table(Column(first, overflow="fold"), *numbers, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def print_table(console: Console, grid: Table) -> None:
    """Print a table, rather wider than the console than with numbers cut off."""
    wide, width = console.options.update(max_width=1000), console.width
    for column in grid.columns:
        needed = measure_renderables(console, wide, [column.header, *column.cells])
        column.min_width = needed.maximum if column.no_wrap else min(needed.minimum, FOLDED)
    console.width = max(width, sum(2 + (column.min_width or 0) for column in grid.columns))
    console.print(grid, crop=False)
    console.width = width


def _epoch_words(report: EpochReport) -> str:
    """The results of an epoch, the most important first, since a narrow terminal cuts off the end."""
    parts = []
    if report.valid_metric is not None:
        parts.append(f"valid {report.metric} {report.valid_metric:.3f}{' (best)' if report.best else ''}")
    if report.epoch < report.epochs:
        parts.append(f"at most {_duration(report.seconds_left)} left")
    return ", ".join([*parts, f"loss {report.loss:.4f}", f"{report.steps_per_second:,.0f} steps/s"])


def _duration(seconds: float) -> str:
    """A time in seconds, minutes or hours: 4 s, 1:15 min, 2:01 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    small, unit = (seconds, "min") if seconds < 3600 else (seconds / 60, "h")
    return f"{int(small // 60)}:{int(small % 60):02} {unit}"
