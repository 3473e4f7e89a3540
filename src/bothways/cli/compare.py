"""The command that compares settings, and how a comparison is shown while runs come in and afterwards."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typer import Argument
from typer import Option as Flag

from bothways.cli import display
from bothways.cli.app import ROLES, Given, Json, print_result, takes
from bothways.errors import counted
from bothways.options import Option, options
from bothways.settings import Reading

if TYPE_CHECKING:
    from bothways.study import Comparison
    from bothways.study import view as views
    from bothways.study.pool import Progress
    from bothways.study.runs import Run

SHOWN = 12  # at most this many settings are shown while runs come in
LOG_WIDTH = 160  # where no line width is known, it is this: wide enough for a table

STYLES = {"better": "green", "worse": "red"}

COMPARING = {
    "seeds": Option(10, "Seeds that each setting is trained with.", least=1),
    "metric": Option(
        None,
        "accuracy, macro_f1, entity_f1, f1, f1:LABEL, loss, detection@RATE or false_alarms@RATE.",
        shown="f1 of the rarer of two classes, entity_f1 of tags, else accuracy",
        metavar="NAME",
    ),
    "positive": Option(None, "The class to detect.", shown="the rarest", metavar="LABEL"),
    "fraction": Option(1.0, "Run this share of the grid, each value about equally often."),
    "search": Option(None, "Instead of the grid, try N settings that Optuna proposes.", least=1, of=int),
    "budget": Option(None, "Stop after this time: 90s, 10m, 2h.", metavar="TIME"),
    "workers": Option(None, "Number of processes.", least=1, shown="the cores", of=int),
    "cluster": Option(None, "Run on a cluster: ray://HOST, ray://auto or dask://HOST:PORT.", metavar="ADDRESS"),
    "yes": Option(False, "Very many runs are meant."),
}
REDRAWING = {"redraw": Option(False, "Draw new parts for each seed, of whole sequences.")}


@takes(reading=options(Reading), roles=ROLES | REDRAWING, how=COMPARING)
def compare(
    data: Annotated[str, Argument(metavar="DATA", help="A table, or a generated problem such as balance.")],
    vary: Annotated[
        list[str] | None,
        Flag(help="Factors: NAME for its usual values, or NAME=A,B; separated by commas, or repeated."),
    ] = None,
    settings: Annotated[
        list[str] | None, Flag("--set", help="What is not varied: NAME=VALUE, such as units=20; repeatable.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        Flag(help="The setting to compare with: NAME=VALUE; repeatable.", show_default="the defaults"),
    ] = None,
    false_alarm_rate: Annotated[
        list[float] | None,
        Flag(help="Of detection@RATE; thresholds come from the valid part.", show_default="0.01 and 0.001"),
    ] = None,
    output: Annotated[
        Path | None,
        Flag("--output", "-o", metavar="RUNS.parquet", help="Keep all runs in this file, and go on from it."),
    ] = None,
    report: Annotated[Path | None, Flag(metavar="FILE.html", help="Write a page about it.")] = None,
    *,
    how: Given,
    reading: Given,
    roles: Given,
    problem: Annotated[
        list[str] | None, Flag(help="Of a generated problem: NAME=VALUE (sequences, steps, ...); repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare settings over many seeds: what helps, by how much, and how sure that is.

    Example: [bold]bothways compare flows.csv --label attack --vary direction,merge --seeds 10 -o runs.parquet[/]

    Example: [bold]bothways compare cumulative-sum --vary direction,units=8,16 --budget 2m --report compare.html[/]
    """
    from bothways.report import check_report_file
    from bothways.study import compare as compare_settings
    from bothways.study.comparing import FALSE_ALARM_RATES
    from bothways.study.factors import parse_settings, parse_vary
    from bothways.study.page import write_page
    from bothways.study.tasks import parse_parameters

    page = None if report is None else check_report_file(report)
    varied = parse_vary(vary or ["direction"])
    with run_progress() as on_progress:
        comparison = compare_settings(
            data,
            varied,
            settings=parse_settings(settings or []),
            reference=parse_settings(reference or []),
            false_alarm_rates=false_alarm_rate or FALSE_ALARM_RATES,
            output=output,
            **how,
            table=reading | roles,
            problem=parse_parameters(problem or []),
            say=display.say,
            on_progress=on_progress,
        )
    if page:
        write_page(page, comparison)
    print_result(comparison, as_json, show_comparison)
    if page and not as_json:
        display.say(f"Saved: {page}")


@contextmanager
def run_progress() -> Iterator[Callable[[Progress], None]]:
    """Show runs come in: a live table on a terminal, a line now and then in a log. Gives what to call with how far the
    study is.
    """
    console = display.stderr()
    if not console.is_interactive:
        with display.bar() as (_, log):
            yield lambda progress: log(len(progress.done), progress.total, _how_far(progress), "")
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield lambda progress: live.update(_live_table(progress))


def show_comparison(comparison: Comparison) -> None:
    """Settings with their differences and costs, the shares of variance, and what can be said."""
    from bothways.study import view

    console = display.stdout()
    if not console.is_terminal:
        console.width = LOG_WIDTH
    console.print(
        f"{comparison.task.name}, tested on {comparison.task.tested_on}: median {comparison.metric.title} over "
        f"{counted(len(comparison.seeds), 'seed')}, 95 % intervals over seeds and sequences."
    )
    display.print_table(console, _table(view.settings_table(comparison)))
    display.print_table(console, _table(view.costs_table(comparison)))
    for name, value in view.marks(comparison).items():
        console.print(f"{name}: {value:.4g}")
    if (shares := view.shares_table(comparison)).rows:
        display.print_table(console, _table(shares))
    for sentence in (*comparison.verdict(), f"p: {comparison.test}."):
        console.print(sentence, soft_wrap=not console.is_terminal)


def _table(found: views.TableView) -> Table:
    table = display.table(*found.head)
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
        scores = [score for score in scores if not math.isnan(score)]  # of nothing to detect
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
