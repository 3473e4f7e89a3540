"""The command that compares settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bothways.cli import display
from bothways.cli.app import Json, print_json
from bothways.cli.options import PANELS, AllowLeaks, Given, takes
from bothways.options import options
from bothways.settings import Reading, Roles


@takes(reading=options(Reading), roles=options(Roles))
def compare(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A table, or a generated problem: cumulative-sum.", show_default=False)
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(help="Factors: NAME for its usual values, or NAME=A,B; separated by commas, or repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds that each setting is trained with.")] = 10,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="What is not varied: NAME=VALUE, such as units=20; repeatable.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="The setting to compare with: NAME=VALUE; repeatable.", show_default="the defaults"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="accuracy, macro_f1, entity_f1, f1, f1:LABEL, loss, detection@RATE or false_alarms@RATE.",
            show_default="f1 of the rarer of two classes, entity_f1 of tags, else accuracy",
        ),
    ] = None,
    positive: Annotated[str | None, typer.Option(help="The class to detect.", show_default="the rarest")] = None,
    false_alarm_rate: Annotated[
        list[float] | None,
        typer.Option(help="Of detection@RATE; thresholds come from the valid part.", show_default="0.01 and 0.001"),
    ] = None,
    fraction: Annotated[float, typer.Option(help="Run this share of the grid, each value about equally often.")] = 1.0,
    search: Annotated[
        int | None, typer.Option(min=1, help="Instead of the grid, try N settings that Optuna proposes.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Stop after this time: 90s, 10m, 2h.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="RUNS.parquet", help="Keep all runs in this file, and go on from it."),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page about it.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of processes.", show_default="the cores")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Run on a cluster: ray://HOST, ray://auto or dask://HOST:PORT.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Very many runs are meant.")] = False,
    *,
    reading: Given,
    roles: Given,
    allow_leaks: AllowLeaks = False,
    redraw: Annotated[
        bool,
        typer.Option(
            "--redraw", help="Draw new parts for each seed, of whole sequences.", rich_help_panel=PANELS["roles"]
        ),
    ] = False,
    problem: Annotated[
        list[str] | None, typer.Option(help="Of a generated problem: NAME=VALUE (sequences, steps, ...); repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare settings over many seeds: what helps, by how much, and how sure that is.

    Example: [bold]bothways compare flows.csv --label attack --vary direction,merge --seeds 10 -o runs.parquet[/]

    Example: [bold]bothways compare cumulative-sum --vary direction,units=8,16 --budget 2m --report compare.html[/]
    """
    from bothways.cli.comparisons import run_progress, show_comparison
    from bothways.report import check_report_file
    from bothways.study import compare as compare_settings
    from bothways.study.factors import parse_settings, parse_vary
    from bothways.study.page import write_page
    from bothways.study.tasks import parse_parameters

    page = None if report is None else check_report_file(report)
    varied = parse_vary(vary or ["direction"])
    with run_progress() as on_progress:
        comparison = compare_settings(
            data,
            varied,
            seeds=seeds,
            settings=parse_settings(settings or []),
            reference=parse_settings(reference or []),
            metric=metric,
            positive=positive,
            false_alarm_rates=false_alarm_rate or (0.01, 0.001),
            fraction=fraction,
            search=search,
            output=output,
            budget=budget,
            workers=workers,
            cluster=cluster,
            yes=yes,
            table={**reading, **roles, "allow_leaks": allow_leaks, "redraw": redraw},
            problem=parse_parameters(problem or []),
            say=display.say,
            on_progress=on_progress,
        )
    if page:
        write_page(page, comparison)
    if as_json:
        print_json(comparison.to_json())
    else:
        show_comparison(comparison)
        if page:
            display.say(f"Saved: {page}")
