"""How commands about tables and models print their results."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from rich import box
from rich.table import Column, Table
from rich.text import Text

from bothways.cli.display import print_table, stdout, table
from bothways.errors import counted
from bothways.settings import title

if TYPE_CHECKING:
    from bothways.export import Exported
    from bothways.jobs import Prediction, Quantization, Training
    from bothways.layers.inspection import Inspection
    from bothways.metrics import Alarms, EntityScores, Evaluation, Importance, Interval
    from bothways.metrics.evaluation import ClassScores
    from bothways.runtime import Model

SHARES = ("precision", "recall", "F1")
MOST_COLUMNS = 10  # at most this many columns are shown, the most important ones
MOST_CLASSES = 30  # at most this many classes are shown, those with the most labels


def show_training(training: Training) -> None:
    """Print the scores of the new model and where it is."""
    seconds = training.seconds
    show_evaluation(training.evaluation)
    stdout().print(
        f"Epochs: {training.epochs}, the best one {training.best_epoch}; {seconds['train']:.1f} s of training after "
        f"{seconds['compile']:.1f} s of compiling.\nModel: {training.path}",
        soft_wrap=True,
    )


def show_evaluation(evaluation: Evaluation) -> None:
    """Print scores with intervals, the baselines, and the verdict."""
    from bothways.report import baseline_words, verdict  # brings NumPy, which --help has no use for

    console, per, intervals = stdout(), evaluation.per, evaluation.intervals
    steps = f", {counted(evaluation.labels, 'step')}" if per == "step" else ""
    console.print(f"{_part(evaluation)}: {counted(evaluation.sequences, 'sequence')}{steps}")
    if evaluation.entities is None:
        _show_classes(evaluation)
    else:
        _show_entities(evaluation, evaluation.entities)
    if evaluation.words:
        _show_words(evaluation)
    key = evaluation.decisive
    grid = table("", "accuracy", "", title(key), "")
    own = [f"{evaluation.accuracy:.3f}", _between(intervals.get("accuracy"))]
    grid.add_row("this model", *own, f"{getattr(evaluation, key):.3f}", _between(intervals.get(key)))
    for name, baseline in evaluation.baselines.items():
        grid.add_row(baseline_words(name, per), f"{baseline.accuracy:.3f}", "", f"{getattr(baseline, key):.3f}", "")
    print_table(console, grid)
    if intervals:
        console.print(
            f"In brackets: {evaluation.confidence:.0%} intervals, from {evaluation.resamples:,} samples of "
            f"{evaluation.resampled:,} sequences."
        )
    if evaluation.alarms is not None:
        _show_alarms(evaluation, evaluation.alarms)
    if evaluation.importance is not None:
        _show_importance(evaluation.importance)
    if evaluation.late:
        _show_late(evaluation)
    for warning in evaluation.warnings:
        console.print(f"Careful: {warning}")
    console.print(verdict(evaluation))


def _part(evaluation: Evaluation) -> str:
    return "all rows" if evaluation.split == "all" else f"{evaluation.split} part"


def _show_classes(evaluation: Evaluation) -> None:
    intervals, classes = evaluation.intervals, evaluation.classes
    grid = table("class", *SHARES, *([""] if intervals else []), "false\nalarms", f"{evaluation.per}s")
    shown = sorted(classes, key=lambda label: -classes[label].support)[:MOST_CLASSES]
    for label, of in classes.items():
        if label in shown:
            shares = _shares(of, intervals, f"f1:{label}")
            grid.add_row(str(label), *shares, f"{of.false_alarm_rate:.3f}", f"{of.support:,}")
    print_table(stdout(), grid)
    if len(shown) < len(classes):
        stdout().print(f"These are the {len(shown)} most frequent of {len(classes)} classes; --json has them all.")


def _show_entities(evaluation: Evaluation, entities: EntityScores) -> None:
    """Print how well entities of each type are found, and all together, instead of the scores of each tag."""
    intervals, types = evaluation.intervals, evaluation.entity_types
    grid = table("entities", *SHARES, *([""] if intervals else []), "expected")
    shown = sorted(types, key=lambda name: -types[name].support)[:MOST_CLASSES]
    rows = {name: (types[name], f"entity_f1:{name}") for name in sorted(shown)}
    for name, (of, key) in {**rows, "all": (entities, "entity_f1")}.items():
        style = "bold" if name == "all" else ""
        grid.add_row(name, *_shares(of, intervals, key), f"{of.support:,}", style=style)
    print_table(stdout(), grid)
    if intervals:
        precision, recall = (_between(intervals.get(f"entity_{name}")) for name in ("precision", "recall"))
        stdout().print(f"All: precision {precision}, recall {recall}; {entities.predicted:,} entities are predicted.")
    rest = ""
    if len(shown) < len(types):
        stdout().print(f"These are the {len(shown)} most frequent of {len(types)} types.")
        rest = "the others, and "
    stdout().print(f"--json has {rest}the scores of each tag.")


def _shares(of: ClassScores | EntityScores, intervals: Mapping[str, Interval], key: str) -> list[str]:
    """`SHARES` of a class or of entities, and the interval of the last one if there are any."""
    shares = [f"{share:.3f}" for share in (of.precision, of.recall, of.f1)]
    return [*shares, _between(intervals.get(key))] if intervals else shares


def _show_words(evaluation: Evaluation) -> None:
    intervals = evaluation.intervals
    grid = table("words", "steps", "accuracy", "", *(["entity F1", ""] if evaluation.entities else []))
    for name, of in evaluation.words.items():
        cells = [f"{of.steps:,}", f"{of.accuracy:.3f}", _between(intervals.get(f"accuracy of {name} words"))]
        if of.entities is not None:
            cells += [f"{of.entities.f1:.3f}", _between(intervals.get(f"entity_f1 of {name} words"))]
        grid.add_row(name, *cells)
    print_table(stdout(), grid)


def _show_alarms(evaluation: Evaluation, alarms: Alarms) -> None:
    console, intervals, rate = stdout(), evaluation.intervals, alarms.asked_false_alarm_rate
    asked = "" if rate is None else f", chosen for {100 * rate:g} % false alarms"
    console.print(f"Alarms for {str(evaluation.positive)!r} from a probability of {alarms.threshold:.4f} up{asked}:")
    grid = table("", "", "")
    grid.show_header = False
    rates = {"detected": "detection_rate", "false alarms": "false_alarm_rate", "alarms that are right": "precision"}
    for name, key in rates.items():
        if (share := getattr(alarms, key)) is not None:
            grid.add_row(name, f"{share:.2%}", _between(intervals.get(key), ".2%"))
    grid.add_row("alarms", f"{alarms.alarms:,}", f"{alarms.false_alarms:,} of them false")
    per_hour, false = alarms.alarms_per_hour, alarms.false_alarms_per_hour
    if per_hour is not None and false is not None:
        grid.add_row("alarms per hour", f"{per_hour:.3g}", f"{false:.3g} of them false")
    print_table(console, grid)


def _show_importance(importance: Importance) -> None:
    from bothways.report import importance_words

    columns = list(importance.columns.items())
    sides = [(f"the {side}", fall) for side, fall in importance.sides.items()]
    groups = {importance.score: columns[:MOST_COLUMNS]}
    groups["macro_f1"] = [*groups.get("macro_f1", ()), *sides]
    for name, falls in groups.items():
        grid = table("without", f"{title(name)}\nfalls by", "")
        for without, (value, low, high) in falls:
            grid.add_row(without, f"{value:z.3f}", "" if low is None else f"[{low:z.3f}, {high:z.3f}]")
        if falls:
            print_table(stdout(), grid)
    if (more := len(columns) - MOST_COLUMNS) > 0:
        stdout().print(f"These are the {MOST_COLUMNS} most important columns; --json has {more} more.")
    stdout().print(importance_words(importance))


def _show_late(evaluation: Evaluation) -> None:
    grid = table("later steps\nthat labels wait for", title(evaluation.decisive), "", "microseconds\nper step")
    for each in evaluation.late:
        grid.add_row(each.delay, f"{each.score.value:.3f}", _between(each.score), f"{each.microseconds:.1f}")
    print_table(stdout(), grid)


def _between(interval: Interval | None, form: str = ".3f") -> str:
    """The ends of an interval in brackets; nothing if there is none."""
    return "" if interval is None else f"[{interval.low:{form}}, {interval.high:{form}}]"


def show_prediction(prediction: Prediction) -> None:
    """Print how many rows got each label."""
    console = stdout()
    files = f" of {counted(len(prediction.files), 'file')}" if prediction.files else ""
    console.print(f"{prediction.path}: {counted(prediction.rows, 'row')}{files} labeled.", soft_wrap=True)
    grid = table("label", "rows", "share")
    for label, count in prediction.predicted.items():
        grid.add_row(str(label), f"{count:,}", f"{count / prediction.rows:.1%}")
    print_table(console, grid)


def show_model(model: Model) -> None:
    """Print a model's card, the roles of its columns, and its classes."""
    from bothways.data import guess_table  # brings Polars, which --help has no use for

    console = stdout()
    grid = Table.grid(padding=(0, 2))
    told_below = {"classes", *(("features", *model.columns.roles) if model.columns else ())}
    for name, value in model.summary.items():
        if name not in told_below:
            grid.add_row(f" {name}", value)
    console.print(grid)
    if model.columns:
        console.print(guess_table(model.columns.known, hint=False))
    grid = table("class", f"training {model.network.per}s")
    for label in model.classes:
        grid.add_row(str(label), f"{model.class_counts.get(label, 0):,}")
    print_table(console, grid)


def show_inspection(found: Inspection) -> None:
    """Print which layers of a Keras model the engine would run, and why not the others."""
    console = stdout()
    size = "not built" if found.parameters is None else f"{found.parameters:,} parameters"
    console.print(f"{found.model}: {found.kind} of Keras on {found.backend}, {size}")
    why_not: dict[str, list[str]] = {}
    if found.layers:
        text, number = partial(Column, overflow="fold"), partial(Column, justify="right")
        columns = text("layer"), text("kind"), number("units"), number("parameters"), text("engine")
        grid = Table(*columns, box=box.SIMPLE_HEAD)
        for layer in found.layers:
            units, parameters = ("" if n is None else f"{n:,}" for n in (layer.units, layer.parameters))
            kind = f"{layer.kind} (bothways)" if layer.package == "bothways" else layer.kind
            gain = "native" if layer.engine == "native" else "one product"
            engine = Text(gain, "green") if layer.gains else Text("no", "yellow")
            grid.add_row(layer.path, kind, units, parameters, engine)
            if not layer.gains:
                why_not.setdefault(layer.engine, []).append(layer.path)
        console.print(grid)
    for reason, layers in why_not.items():
        console.print(f"{', '.join(layers)}: {reason}", soft_wrap=not console.is_terminal)
    count = len(found.recurrent)
    if not count:
        console.print("There is no recurrent layer in this model.")
    else:
        do = "would run" if found.how else ("runs" if found.native == 1 else "run")
        console.print(f"{found.native} of {counted(count, 'recurrent layer')} {do} on the engine.")
    if found.how:
        console.print(f"In Python, once it is loaded: {found.how}")


def show_quantization(done: Quantization) -> None:
    """Print both models side by side, how many labels change, and the verdict."""
    evaluation = done.after
    grid = table("", title(evaluation.decisive), "", "KB", "steps per\nsecond")
    for name, each, size, speed in zip(("float32", "int8"), done.scores, done.size, done.speed, strict=True):
        between = _between(each if evaluation.intervals else None)
        grid.add_row(name, f"{each.value:.3f}", between, f"{size / 1000:,.1f}", f"{speed:,.0f}")
    console = stdout()
    console.print(
        f"{_part(evaluation)}: {counted(evaluation.sequences, 'sequence')}; {done.changed:.2%} of the labels change."
    )
    print_table(console, grid)
    if done.path is not None:
        console.print(f"Model: {done.path}", soft_wrap=True)
    console.print(done.verdict)


def show_exported(exported: Exported) -> None:
    """Print the inputs and outputs of a graph, and where it is."""
    grid = table("", "name", "type, shape")
    for kind in ("inputs", "outputs"):
        for name, shape in getattr(exported, kind).items():
            grid.add_row(kind.removesuffix("s"), Text(name), shape)
    print_table(stdout(), grid)
    stdout().print(f"Graph: {exported.path}, opset {exported.opset}", soft_wrap=True)
