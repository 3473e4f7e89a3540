"""The commands `demo` and `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bothways.bench import DTYPES, MODES, PEERS, SHAPES
from bothways.cli import display, measurements
from bothways.cli.app import Json, print_json
from bothways.cli.options import Given, names, takes
from bothways.files import check_output
from bothways.network import Network
from bothways.options import options
from bothways.settings import Settings
from bothways.spec import CELLS


@takes(
    network={
        **options(Network, "direction", "merge_mode", "units"),
        "units": options(Network)["units"]._replace(default=20),
    },
    settings={"epochs": options(Settings)["epochs"]._replace(default=1), **options(Settings, "seed")},
)
def demo(
    network: Given,
    settings: Given,
    steps: Annotated[int, typer.Option(min=1, help="Steps per sequence.")] = 10,
    as_json: Json = False,
) -> None:
    """Run the tutorial's example: learn where a running sum reaches a threshold, then label new sequences.

    Example: [bold]bothways demo --direction forward[/]
    """
    from bothways.demo import run

    with display.waiting("Starting", logged=True) as (_, say):
        shown = run(steps, **network, **settings, say=say)
    if as_json:
        print_json(shown.to_json())
    else:
        measurements.show_demo(shown, steps, network["units"], network["direction"])


def bench(
    shapes: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(SHAPES)} or batch,steps,features,units. Can be repeated.", show_default="all"),
    ] = None,
    mode: Annotated[str, typer.Option(help=f"What to time. One of: {', '.join(MODES)}, both.")] = "both",
    cell: Annotated[
        list[str] | None, typer.Option(help=f"Recurrent cells: {', '.join(CELLS)}.", show_default="lstm")
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Number types of our matrix products: {', '.join(DTYPES)}; peers have their own.",
            show_default="float32",
        ),
    ] = None,
    directions: Annotated[list[str] | None, typer.Option(help="Directions: 1, 2 or 1,2.", show_default="2")] = None,
    peers: Annotated[
        list[str] | None,
        typer.Option(help=f"Libraries to compare with: {', '.join(PEERS)}; or none.", show_default="all installed"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads per library.", show_default="OMP_NUM_THREADS, or all processors")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Seconds per shape and mode, without compiling.")] = 4.0,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write results and facts about this machine to a .json file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the speed of the engine on this machine, beside other libraries that are installed.

    Example: [bold]bothways bench --shapes small --shapes 8,50,16,64 --save bench.json[/]
    """
    from bothways import bench

    modes = list(MODES) if mode == "both" else [mode]
    cases = [
        bench.Case(shape, name, each, product, int(count) if count.isdecimal() else 0)
        for name in names(cell) or ["lstm"]
        for each in modes
        for product in names(dtype) or ["float32"]
        for count in names(directions) or ["2"]
        for shape in bench.choose_shapes(shapes or ["all"])
        if (product, each) != ("int8", "train")
    ]
    wanted = names(peers) or list(PEERS)
    wanted = [] if wanted == ["none"] else wanted
    path = check_output(save, (".json",)) if save else None
    measurements.say_missing_peers(bench.choose_peers(wanted)[1])
    with display.bar(each=True) as (_, show):
        benchmark = bench.measure(
            cases,
            wanted,
            threads=threads,
            seconds=seconds,
            on_progress=lambda done, count, what: show(done, count, what, f"{min(int(done) + 1, count)}/{count}"),
        )
    measurements.say_reasons(benchmark)
    if path:
        benchmark.save(path)
    if as_json:
        print_json([measurement.to_json() for measurement in benchmark.measurements])
    else:
        measurements.show_benchmark(benchmark, path)
    if len(benchmark.measurements) < len(cases):
        raise typer.Exit(1)
