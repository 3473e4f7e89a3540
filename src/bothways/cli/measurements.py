"""How `demo` and `bench` print their results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from bothways.cli.display import results, say, table
from bothways.errors import counted

if TYPE_CHECKING:
    from bothways.bench import Benchmark, Measurement
    from bothways.demo import Demo

OTHER_WORK = 0.05  # a larger share of the processors used by other programs is reported


def show_demo(demo: Demo, steps: int, units: int, direction: str) -> None:
    """Print expected and predicted labels of one sequence, and the accuracy on new sequences."""
    console = results()
    reads = {"both": "reads them both ways", "forward": "reads them forward"}.get(direction, "reads them backward")
    console.print(
        f"Numbers between 0 and 1: the label turns from 0 to 1 when their sum reaches {steps / 4:g}.\n"
        f"An LSTM of {units} units {reads}. One sequence that it has never seen:"
    )
    grid = table("step", "number", "sum", "expected", "predicted", "")
    total = 0.0
    for step, (number, expected, predicted) in enumerate(
        zip(demo.numbers, demo.expected, demo.predicted, strict=True), start=1
    ):
        total += number
        mark = Text("right", "green") if expected == predicted else Text("wrong", "bold red")
        shown = Text(str(predicted), mark.style)
        grid.add_row(str(step), f"{number:.2f}", f"{total:.2f}", str(expected), shown, mark)
    console.print(grid)
    seconds = demo.first.seconds
    console.print(
        f"Right on {demo.first.accuracy:.1%} of the steps of 1,000 unseen sequences, "
        f"after {demo.first.updates:,} updates.\n"
        f"Start {seconds['start']:.1f} s, compile {seconds['compile']:.1f} s, training {seconds['train']:.2f} s."
    )
    longer = demo.longer
    console.print(
        f"Trained longer: {longer.accuracy:.1%}, after {longer.updates:,} updates of 64 sequences "
        f"({longer.seconds['train']:.1f} s of training)."
    )


def say_missing_peers(missing: Mapping[str, list[str]]) -> None:
    """Print which peers are not installed, and how to install them."""
    if missing:
        modules = dict.fromkeys(module for needed in missing.values() for module in needed)
        say(f"Not installed: {', '.join(missing)}. To measure against them: pip install {' '.join(modules)}")


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
    from bothways.bench import DTYPES, PEERS

    console = results()
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
        grid.padding = (0, 1, 0, 0)
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
        whole = console.measure(grid, options=console.options.update(max_width=200)).maximum
        console.width = max(console.width, whole)  # rather too wide than numbers cut off
        console.print(grid)
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
