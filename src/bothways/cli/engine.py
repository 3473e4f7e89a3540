"""The commands `demo` and `bench`, and how they print their results."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.text import Text
from typer import Exit
from typer import Option as Flag

from bothways.bench import DTYPES, MODES, PEERS, SHAPES
from bothways.cli import display
from bothways.cli.app import Given, Json, print_json, print_result, takes
from bothways.cli.display import print_table, say, stdout, table
from bothways.errors import InputError, counted
from bothways.files import check_output
from bothways.network import Network
from bothways.options import Option, options
from bothways.settings import Settings
from bothways.spec import CELLS

if TYPE_CHECKING:
    from bothways.bench import Benchmark, Measurement
    from bothways.demo import Demo

OTHER_WORK = 0.05  # a larger share of the processors used by other programs is reported

MEASURING = {
    "mode": Option("both", "What to time.", choices=(*MODES, "both")),
    "cell": Option((), f"Recurrent cells: {', '.join(CELLS)}.", shown="lstm"),
    "dtype": Option(
        (), f"Number types of our matrix products: {', '.join(DTYPES)}; peers have their own.", shown="float32"
    ),
    "directions": Option((), "Directions: 1, 2 or 1,2.", shown="2"),
    "peers": Option((), f"Libraries to compare with: {', '.join(PEERS)}; or none.", shown="all installed"),
    "threads": Option(None, "Threads per library.", least=1, shown="OMP_NUM_THREADS, or all processors", of=int),
    "seconds": Option(4.0, "Seconds per shape and mode, without compiling."),
    "save": Option(None, "Write results and facts about this machine to a .json file.", metavar="FILE"),
}


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
    steps: Annotated[int, Flag(min=1, help="Steps per sequence.")] = 10,
    as_json: Json = False,
) -> None:
    """Run the tutorial's example: learn where a running sum reaches a threshold, then label new sequences.

    Example: [bold]bothways demo --direction forward[/]
    """
    from bothways.demo import run

    with display.waiting("Starting", logged=True) as (_, say):
        shown = run(steps, **network, **settings, say=say)
    print_result(shown, as_json, lambda shown: show_demo(shown, steps, network["units"], network["direction"]))


@takes(how=MEASURING)
def bench(
    shapes: Annotated[
        list[str] | None,
        Flag(help=f"{', '.join(SHAPES)} or batch,steps,features,units. Can be repeated.", show_default="all"),
    ] = None,
    *,
    how: Given,
    as_json: Json = False,
) -> None:
    """Measure the speed of the engine on this machine, beside other libraries that are installed.

    Example: [bold]bothways bench --shapes small --shapes 8,50,16,64 --save bench.json[/]
    """
    from bothways import bench

    modes = list(MODES) if how["mode"] == "both" else [how["mode"]]
    cases = [
        bench.Case(shape, name, each, product, Option(2, "", least=1, most=2).parse("directions", count))
        for name in how["cell"] or ["lstm"]
        for each in modes
        for product in how["dtype"] or ["float32"]
        for count in how["directions"] or ["2"]
        for shape in bench.choose_shapes(shapes or ["all"])
        if (product, each) != ("int8", "train")
    ]
    if not cases:
        raise InputError("There is nothing to measure: --dtype int8 is for --mode infer.")
    wanted = how["peers"] or tuple(PEERS)
    wanted = () if wanted == ("none",) else wanted
    path = check_output(how["save"], (".json",)) if how["save"] else None
    _, missing = bench.choose_peers(wanted)
    if missing:
        modules = dict.fromkeys(module for needed in missing.values() for module in needed)
        say(f"Not installed: {', '.join(missing)}. To measure against them: pip install {' '.join(modules)}")
    with display.bar(each=True) as (_, show):
        benchmark = bench.measure(
            cases,
            wanted,
            threads=how["threads"],
            seconds=how["seconds"],
            on_progress=lambda done, count, what: show(done, count, what, f"{min(int(done) + 1, count)}/{count}"),
        )
    say_reasons(benchmark)
    if path:
        benchmark.save(path)
    if as_json:
        print_json([measurement.to_json() for measurement in benchmark.measurements])
    else:
        show_benchmark(benchmark, path)
    if len(benchmark.measurements) < len(cases):
        raise Exit(1)


def show_demo(demo: Demo, steps: int, units: int, direction: str) -> None:
    """Print expected and predicted labels of one sequence, and the accuracy on new sequences."""
    console = stdout()
    reads = {"both": "reads them both ways", "forward": "reads them forward"}.get(direction, "reads them backward")
    console.print(
        f"Numbers between 0 and 1: the label turns from 0 to 1 when their sum reaches {steps / 4:g}.\n"
        f"An LSTM of {units} units {reads}. One sequence that it has never seen:"
    )
    grid = table("step", "number", "sum", "expected", "predicted", "")
    rows = zip(demo.numbers, accumulate(demo.numbers), demo.expected, demo.predicted, strict=True)
    for step, (number, total, expected, predicted) in enumerate(rows, start=1):
        mark = Text("right", "green") if expected == predicted else Text("wrong", "bold red")
        shown = Text(str(predicted), mark.style)
        grid.add_row(str(step), f"{number:.2f}", f"{total:.2f}", str(expected), shown, mark)
    print_table(console, grid)
    first, longer = demo.first, demo.longer
    console.print(
        f"Right on {first.accuracy:.1%} of the steps of 1,000 unseen sequences, after {first.updates:,} updates.\n"
        f"Start {first.seconds['start']:.1f} s, compile {first.seconds['compile']:.1f} s, training "
        f"{first.seconds['train']:.2f} s.\n"
        f"Trained longer: {longer.accuracy:.1%}, after {longer.updates:,} updates of 64 sequences "
        f"({longer.seconds['train']:.1f} s of training)."
    )


def say_reasons(benchmark: Benchmark) -> None:
    """Print why installed peers have no result, and whether other programs ran."""
    for name, reason in benchmark.reasons.items():
        if not reason.startswith("not installed"):
            say(f"{name}: {reason}")
    if benchmark.machine["other_work"] > OTHER_WORK:
        say(
            f"Other programs used {benchmark.machine['other_work']:.0%} of the processors meanwhile. "
            "The numbers are reliable only on a quiet machine."
        )


def show_benchmark(benchmark: Benchmark, path: Path | None) -> None:
    """Print a table for each cell, mode, dtype and number of directions."""
    console = stdout()
    machine = benchmark.machine
    console.print(
        f"{machine['processor']}, {machine.get('instruction_set', '')}, {counted(machine['threads'], 'thread')}.\n"
        "Median milliseconds per call, float32; for ours also 10^9 operations per\n"
        "second, the share of NumPy's matrix product, and the ratio to the best peer."
    )
    for dtype in DTYPES[1:]:
        if any(m.case.dtype == dtype for m in benchmark.measurements):
            console.print(f"{dtype}: our matrix products use {dtype} numbers; everything else uses float32.")
    for title in dict.fromkeys(m.case.kind for m in benchmark.measurements):
        of_table = [m for m in benchmark.measurements if m.case.kind == title]
        peers = [name for name in PEERS if any(name in m.ms for m in of_table)]
        lossy = {name for m in of_table for name in m.errors}
        titles = {"bothways": "ours", **{name: PEERS[name].title.replace(" ", "\n") for name in peers}}
        columns = [column for name, title in titles.items() for column in (title, *["error"] * (name in lossy))]
        busy = ["busy"] if any(m.other_work > OTHER_WORK for m in of_table) else []
        grid = table(title.replace(" one", "\none") + "\nB,T,D,H", *columns, "GF/s", "of\nsgemm", "ratio", *busy)
        grid.columns[0].no_wrap = True
        for m in of_table:
            styles = {"bothways": "bold", m.best_peer: "bold"}
            times: list[Text | str] = []
            for name in titles:
                times.append(Text(_ms(m.ms.get(name)) + ("*" if name in m.disturbed else ""), styles.get(name, "")))
                times += [f"{m.errors[name]:.1g}" if name in m.errors else ""] * (name in lossy)
            grid.add_row(
                str(m.case.shape),
                *times,
                f"{m.gflops:.1f}" if m.gflops < 100 else f"{m.gflops:.0f}",
                "" if m.share_of_sgemm is None else f"{m.share_of_sgemm:.0%}",
                _ratio(m),
                *([Text(f"{m.other_work:.0%}", "bold red") if m.other_work > OTHER_WORK else ""] if busy else []),
            )
        print_table(console, grid)
    if any(m.errors for m in benchmark.measurements):
        console.print("error: largest difference of an output from float32. Ours in float32 has no ratio to int8.")
    if any(m.disturbed for m in benchmark.measurements):
        console.print("* Other programs kept its processors busy all the time: unreliable.")
    if any(m.other_work > OTHER_WORK for m in benchmark.measurements):
        console.print("busy: share of the processors used by other programs. Measure these rows again.")
    if path:
        console.print(f"Saved: {path}", soft_wrap=True)


def _ratio(m: Measurement) -> Text:
    """The ratio, with a star if one of its times has one."""
    if m.ratio is None:
        return Text("")
    if {"bothways", m.best_peer} & set(m.disturbed):
        return Text(f"{m.ratio:.2f}*", "yellow")
    return Text(f"{m.ratio:.2f}", "green" if m.ratio >= 1 else "bold red")


def _ms(ms: float | None) -> str:
    """A time with three digits: 0.0123, 1.23, 123, 1234; or nothing."""
    if ms is None:
        return ""
    return f"{ms:.0f}" if ms >= 100 else f"{ms:#.3g}"
