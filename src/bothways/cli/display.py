"""How the command line shows things: tables on the standard output, words and progress on the standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from bothways.bench import Measurement, Report
    from bothways.demo import Demo
    from bothways.jobs import Evaluation, Prediction, Training
    from bothways.layers.survey import Survey
    from bothways.runtime import Model
    from bothways.training import EpochReport

LOG_EVERY = 10.0
"""Seconds between two lines on progress in a log."""

OTHER_WORK = 0.05
"""The share of the processors that other programs may use before it is said."""

Say = Callable[[str], None]


def results() -> Console:
    """Where results go."""
    return Console(highlight=False, markup=False)


def words() -> Console:
    """Where everything else goes."""
    return Console(stderr=True, highlight=False, markup=False)


def say(message: str) -> None:
    """A word to the user; not part of the result."""
    _print_words(words(), message)


def show_error(message: str) -> None:
    """Say what was wrong."""
    _print_words(words(), Text.assemble(("Error: ", "bold red"), message))


@contextmanager
def epoch_progress() -> Iterator[tuple[Say, Callable[[EpochReport], None]]]:
    """Show the epochs go by: a bar on a terminal, a line now and then in a log.

    Returns:
        How to say a word meanwhile, and what to call after each epoch.
    """
    console = words()
    if not console.is_terminal:
        yield say, _log_epochs()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(16), TextColumn("{task.fields[epoch]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("starting", total=None, epoch="")

        def update(report: EpochReport) -> None:
            progress.update(
                bar,
                total=report.epochs,
                completed=report.epoch,
                description=f"epoch {report.epoch}/{report.epochs}",
                epoch=_epoch_words(report),
            )

        yield lambda message: _print_words(progress.console, message), update


@contextmanager
def waiting(message: str) -> Iterator[Say]:
    """Show that something goes on, on a terminal; in a log, a line for each thing.

    Returns:
        What to call when something else goes on.
    """
    console = words()
    if not console.is_terminal:
        yield say
        return
    with console.status(message) as status:
        yield status.update


@contextmanager
def case_progress() -> Iterator[Callable[[float, int, str], None]]:
    """Show how far measuring is: a bar on a terminal, a line for each case in a log.

    Returns:
        What to call with the cases done, their number, and what is going on.
    """
    console = words()
    if not console.is_terminal:
        said: set[str] = set()

        def log(done: float, cases: int, what: str) -> None:
            if what not in said and done < cases:
                said.add(what)
                say(f"{what}, {int(done) + 1}/{cases}")

        yield log
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("starting", total=None)
        yield lambda done, cases, what: progress.update(bar, total=cases, completed=done, description=what)


def show_training(training: Training) -> None:
    """What came of training, and what to do next."""
    seconds = training.seconds
    show_evaluation(training.evaluation)
    results().print(
        f"Epochs: {training.epochs}, the best one {training.best_epoch}; {seconds['train']:.1f} s of training after "
        f"{seconds['compile']:.1f} s of compiling.\nModel: {training.path}",
        soft_wrap=True,
    )


def show_evaluation(evaluation: Evaluation) -> None:
    """The scores of a model, class by class, beside those of its baselines."""
    console = results()
    scores = evaluation.scores
    part = "all rows" if evaluation.split == "all" else f"{evaluation.split} part"
    plural = "s" if evaluation.sequences > 1 else ""
    console.print(f"{part}: {evaluation.sequences:,} sequence{plural}, {scores.steps:,} steps")
    table = _table("class", "precision", "recall", "F1", "false-alarm rate", "steps")
    for label, of in scores.classes.items():
        shares = (of.precision, of.recall, of.f1, of.false_alarm_rate)
        table.add_row(str(label), *(f"{share:.3f}" for share in shares), f"{of.support:,}")
    console.print(table)
    table = _table("", "accuracy", "macro F1")
    table.add_row("this model", f"{scores.accuracy:.3f}", f"{scores.macro_f1:.3f}")
    for name, baseline in evaluation.baselines.items():
        what = f"always {evaluation.majority}" if name == "majority" else name
        table.add_row(what, f"{baseline.accuracy:.3f}", f"{baseline.macro_f1:.3f}")
    console.print(table)


def show_prediction(prediction: Prediction) -> None:
    """What was labeled, and where it is."""
    console = results()
    console.print(f"{prediction.path}: {prediction.rows:,} rows labeled.", soft_wrap=True)
    table = _table("label", "rows", "share")
    for label, count in prediction.predicted.items():
        table.add_row(str(label), f"{count:,}", f"{count / prediction.rows:.1%}")
    console.print(table)


def show_model(model: Model) -> None:
    """What a model is and what it was trained on."""
    console = results()
    network, columns = model.network, model.columns or {}
    reads = "both ways" if network.direction == "both" else network.direction
    merge = f", merged by {network.merge_mode}" if network.direction == "both" else ""
    facts = {
        "network": f"{network.depth} x {network.cell} of {network.units} units, reads {reads}{merge}",
        "weights": f"{sum(array.size for array in model.weights.values()):,} numbers",
        "label": columns.get("label"),
        "features": ", ".join(columns.get("features", ())) or f"{network.features} numbers a step",
        "sequence": columns.get("sequence"),
        "order": columns.get("order"),
        "split": columns.get("split"),
        **{str(name).replace("_", " "): value for name, value in model.facts.items()},
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value is not None:
            grid.add_row(f" {name}", str(value))
    console.print(grid)
    table = _table("class", "training steps")
    for label in model.classes:
        table.add_row(str(label), f"{model.class_counts.get(label, 0):,}")
    console.print(table)


def show_survey(survey: Survey) -> None:
    """Which layers of a Keras model the engine would run, and why not the others."""
    console = results()
    size = "not built" if survey.parameters is None else f"{survey.parameters:,} parameters"
    console.print(f"{survey.model}: {survey.kind} of Keras on {survey.backend}, {size}")
    why_not: dict[str, list[str]] = {}
    if survey.layers:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
        table.add_column("layer", overflow="fold")
        table.add_column("kind", overflow="fold")
        table.add_column("units", justify="right")
        table.add_column("parameters", justify="right")
        table.add_column("engine", overflow="fold")
        for layer in survey.layers:
            units, parameters = ("" if n is None else f"{n:,}" for n in (layer.units, layer.parameters))
            kind = f"{layer.kind} (bothways)" if layer.package == "bothways" else layer.kind
            gain = "native" if layer.engine == "native" else "one product"
            engine = Text(gain, "green") if layer.gains else Text("no", "yellow")
            table.add_row(layer.path, kind, units, parameters, engine)
            if not layer.gains:
                why_not.setdefault(layer.engine, []).append(layer.path)
        console.print(table)
    for reason, layers in why_not.items():
        console.print(f"{', '.join(layers)}: {reason}", soft_wrap=not console.is_terminal)
    count = len(survey.recurrent)
    if not count:
        console.print("There is no recurrent layer in this model.")
    else:
        do = "would run" if survey.how else ("runs" if survey.native == 1 else "run")
        console.print(f"{survey.native} of {count} recurrent layer{'s' if count > 1 else ''} {do} on the engine.")
    if survey.how:
        console.print(f"In Python, once it is loaded: {survey.how}")


def show_demo(demo: Demo, steps: int, units: int, direction: str) -> None:
    """Expected against predicted, step by step, and how well it goes on unseen sequences."""
    console = results()
    reads = {"both": "reads them both ways", "forward": "reads them forward"}.get(direction, "reads them backward")
    console.print(
        f"Numbers between 0 and 1: the label turns from 0 to 1 when their sum reaches {steps / 4:g}.\n"
        f"An LSTM of {units} units {reads}. One sequence that it has never seen:"
    )
    table = _table("step", "number", "sum", "expected", "predicted", "")
    total = 0.0
    for step, (number, expected, predicted) in enumerate(
        zip(demo.numbers, demo.expected, demo.predicted, strict=True), start=1
    ):
        total += number
        mark = Text("right", "green") if expected == predicted else Text("wrong", "bold red")
        shown = Text(str(predicted), mark.style)
        table.add_row(str(step), f"{number:.2f}", f"{total:.2f}", str(expected), shown, mark)
    console.print(table)
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
    """Which peers are not installed, and how to install them."""
    if missing:
        modules = dict.fromkeys(module for needed in missing.values() for module in needed)
        say(f"Not installed: {', '.join(missing)}. To measure against them: pip install {' '.join(modules)}")


def say_reasons(report: Report) -> None:
    """Who gave no number though installed, and what else ran."""
    for name, reason in report.reasons.items():
        if not reason.startswith("not installed"):
            say(f"{name}: {reason}")
    if report.machine["other_work"] > OTHER_WORK:
        say(
            f"Other programs used {report.machine['other_work']:.0%} of the processors meanwhile. "
            "Measure on a quiet machine before you believe the numbers."
        )


def show_report(report: Report, path: Path | None) -> None:
    """A table for each cell, mode and dtype: milliseconds, and what they mean."""
    from bothways.bench import DTYPES, PEERS

    console = results()
    machine = report.machine
    plural = "s" if machine["threads"] > 1 else ""
    console.print(
        f"{machine['processor']}, {machine.get('instruction_set', '')}, {machine['threads']} thread{plural}.\n"
        "Bidirectional, float32: median milliseconds of a call; ours in 10^9 operations a\n"
        "second, against NumPy's matrix product, and against the best peer."
    )
    if any(m.case.dtype != DTYPES[0] for m in report.measurements):
        console.print("Where it says bfloat16, our products multiply bfloat16 numbers; all others have float32.")
    for kind in dict.fromkeys((m.case.cell, m.case.mode, m.case.dtype) for m in report.measurements):
        of_table = [m for m in report.measurements if (m.case.cell, m.case.mode, m.case.dtype) == kind]
        title = " ".join(kind[:2] if kind[2] == DTYPES[0] else kind)
        peers = [name for name in PEERS if any(name in m.ms for m in of_table)]
        titles = [PEERS[name].title.replace(" ", "\n") for name in peers]
        busy = ["busy"] if any(m.other_work > OTHER_WORK for m in of_table) else []
        table = _table(f"{title}\nB,T,D,H", "ours", *titles, "GF/s", "of\nsgemm", "ratio", *busy)
        table.padding = (0, 1, 0, 0)
        table.columns[0].no_wrap = True
        for m in of_table:
            styles = {"bothways": "bold", m.best_peer: "bold"}
            times = {
                name: Text(_ms(m.ms.get(name)) + ("*" if name in m.disturbed else ""), styles.get(name, ""))
                for name in ("bothways", *peers)
            }
            table.add_row(
                str(m.case.shape),
                *times.values(),
                f"{m.gflops:.1f}" if m.gflops < 100 else f"{m.gflops:.0f}",
                "" if m.share_of_sgemm is None else f"{m.share_of_sgemm:.0%}",
                _ratio(m),
                *([Text(f"{m.other_work:.0%}", "bold red") if m.other_work > OTHER_WORK else ""] if busy else []),
            )
        console.print(table)
    if any(m.disturbed for m in report.measurements):
        console.print("* Other programs had its processors all the time: not to be believed.")
    if any(m.other_work > OTHER_WORK for m in report.measurements):
        console.print("busy: the share of the processors that other programs used. Measure that row again.")
    if path:
        console.print(f"Saved: {path}", soft_wrap=True)


def _ratio(m: Measurement) -> Text:
    """The ratio, with a star if it is made of a time that has one."""
    if m.ratio is None:
        return Text("")
    if {"bothways", m.best_peer} & set(m.disturbed):
        return Text(f"{m.ratio:.2f}*", "yellow")
    return Text(f"{m.ratio:.2f}", "green" if m.ratio >= 1 else "bold red")


def _ms(ms: float | None) -> str:
    """Three digits of a time, or nothing.

    Example:
        >>> [_ms(ms) for ms in (0.01234, 1.234, 123.4, 1234.5, None)]
        ['0.0123', '1.23', '123', '1234', '']
    """
    if ms is None:
        return ""
    return f"{ms:.0f}" if ms >= 100 else f"{ms:#.3g}"


def _print_words(console: Console, message: str | Text) -> None:
    """Print a message, wrapped between words on a terminal and not at all in a log."""
    console.print(message, soft_wrap=not console.is_terminal)


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    table.add_column(first, justify="left", overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    return table


def _log_epochs() -> Callable[[EpochReport], None]:
    """A line for the first epoch, then one when some seconds have gone by, and one for the last."""
    last = float("-inf")

    def log(report: EpochReport) -> None:
        nonlocal last
        if time.monotonic() - last >= LOG_EVERY or report.epoch == report.epochs:
            last = time.monotonic()
            say(f"epoch {report.epoch}/{report.epochs}: {_epoch_words(report)}")

    return log


def _epoch_words(report: EpochReport) -> str:
    parts = [f"loss {report.loss:.4f}"]
    if report.valid_metric is not None:
        parts.append(f"valid F1 {report.valid_metric:.3f}{' (best)' if report.best else ''}")
    return ", ".join(parts)
