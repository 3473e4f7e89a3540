"""The commands that start at a table or at the file of a model."""

from __future__ import annotations

import os
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

from typer import Context, Exit
from typer import Option as Flag
from typer.core import TyperCommand

from bothways.cli import display, results
from bothways.cli.app import (
    ROLES,
    AnyModelFile,
    Data,
    Given,
    Json,
    ModelFile,
    Part,
    given,
    print_json,
    print_result,
    takes,
)
from bothways.errors import InputError, counted
from bothways.network import Network
from bothways.options import Option, options
from bothways.settings import Reading, Search, Settings

BACKENDS = ("jax", "torch", "tensorflow")

RUNNING = {
    "resume": Option(False, "Continue where the same command was stopped."),
    "backend": Option(None, "Keras backend.", choices=BACKENDS, shown="the first installed"),
    "tensorboard": Option(None, "Folder for TensorBoard logs.", metavar="FOLDER"),
    "mlflow": Option(None, "Log to this MLflow experiment.", metavar="EXPERIMENT"),
}

EVALUATING = {
    "label": Option(None, "Column with the labels.", shown="as in training"),
    "false_alarm_rate": Option(
        None,
        "Take the lowest threshold with at most this share of false alarms on the valid part, such as 0.01.",
        of=float,
    ),
    "positive": Option(None, "Label that raises alarms.", shown="the rarest", metavar="LABEL"),
    "save_threshold": Option(False, "Keep the threshold in the model, for predict --threshold."),
    "importance": Option(
        False, "Show how far the score falls without each column, the past, and the future of a step."
    ),
    "lookahead": Option(
        None, "Show the score, delay and cost of labels in a stream, which see only K later steps.", metavar="K,K"
    ),
    "report": Option(None, "Write a report page.", metavar="FILE.html"),
}

LABELING = {
    "threshold": Option(
        None,
        "Predict the positive class from this probability up, else the likeliest other one. Without a value, the "
        "threshold that [bold]evaluate --save-threshold[/] chose.",
        metavar="[VALUE]",
    ),
    "probabilities": Option(False, "Write the probability of each class."),
}


@takes(
    reading=options(Reading),
    roles=ROLES,
    search=options(Search),
    network=options(Network),
    settings=options(Settings),
    running=RUNNING,
)
def train(
    context: Context,
    data: Data,
    output: Annotated[Path, Flag("--output", "-o", help="File of the model, NAME.bothways.")],
    *,
    reading: Given,
    roles: Given,
    search: Given,
    network: Given,
    settings: Given,
    running: Given,
    as_json: Json = False,
) -> None:
    """Train a model on a table.

    It learns from the train part. Settings that suit the table are looked for on the valid part, within the budget;
    those that are given are kept. What was chosen then learns from both parts, unless you say [bold]--no-refit[/].
    Roles of columns that are not given are guessed and printed. Ctrl-C keeps the best model so far.

    Example: [bold]bothways train flows.csv --label attack --sequence flow --order time -o flows.bothways[/]

    Example: [bold]bothways train traces.parquet --categorical call --conv 5:2 --pooling max -o traces.bothways[/]
    """
    from bothways import jobs

    if (backend := RUNNING["backend"].check("backend", running.pop("backend"))) is not None:
        os.environ["KERAS_BACKEND"] = backend
        from bothways import layers  # noqa: F401  (says at once if the backend is not installed)
    with display.training_progress() as watching:
        training = jobs.train(
            data,
            output,
            settings=given(context, network | settings),
            **running,
            **watching,
            **search,
            **roles,
            **reading,
        )
    print_result(training, as_json, results.show_training)


@takes(reading=options(Reading), asked=EVALUATING)
def evaluate(
    model: ModelFile,
    data: Data,
    *,
    reading: Given,
    split: Part = None,
    asked: Given,
    as_json: Json = False,
) -> None:
    """Evaluate a model on a table: scores with confidence intervals, beside simple baselines.

    Example: [bold]bothways evaluate flows.bothways flows.csv --false-alarm-rate 0.01 --report report.html[/]
    """
    from bothways import jobs

    asked["lookahead"] = _lookaheads(asked["lookahead"])
    with display.waiting("Evaluating"):
        evaluation = jobs.evaluate(model, data, split, **asked, say=display.say, **reading)
    print_result(evaluation, as_json, results.show_evaluation)
    if asked["save_threshold"]:
        display.say(f"Saved: the threshold, in {model}")
    if asked["report"]:
        display.say(f"Saved: {asked['report']}")


def _lookaheads(text: str | None) -> list[int]:
    """Numbers from 0 with commas between them."""
    words = [] if text is None else text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise InputError(f"--lookahead is {text!r}; give whole numbers with commas between them, such as 0,4,16.")
    return list(map(int, words))


@takes(reading=options(Reading), how=LABELING)
def predict(
    model: ModelFile,
    data: Data,
    *,
    reading: Given,
    output: Annotated[
        Path,
        Flag(
            "--output", "-o", help="The table to write, such as NAME.csv; or a folder, to label each file on its own."
        ),
    ],
    how: Given,
    as_json: Json = False,
) -> None:
    """Label every row of a table. The output has two more columns, [bold]predicted[/] and [bold]probability[/].

    CoNLL files keep their form, with the labels in their column. Plain text (.txt) is cut into words.

    Example: [bold]bothways predict flows.bothways new.csv -o labeled.csv[/]

    Example: [bold]bothways predict names.bothways new.txt -o names.csv[/]

    Example: [bold]bothways predict flows.bothways new/ -o labeled/ --threshold --probabilities[/]
    """
    from bothways import jobs

    with display.waiting("Labeling") as (say, show):

        def on_rows(rows: int) -> None:
            show(f"Labeling: {counted(rows, 'row')}")

        prediction = jobs.predict(model, data, output, **how, say=say, on_rows=on_rows, **reading)
    print_result(prediction, as_json, results.show_prediction)


class TableCommand(TyperCommand):
    """A command that takes one table; a shell makes several files of a pattern without quotes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True
        rest = list(super().parse_args(ctx, args))
        if rest and not ctx.resilient_parsing:
            raise InputError(
                f"{counted(len(rest), 'argument')} too many, from {rest[0]!r} on: a table is one argument. Of several "
                "files name the folder, or a pattern in quotes, such as 'logs/*.csv'."
            )
        return rest


class PredictCommand(TableCommand):
    """`predict`, whose `--threshold` may stand without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = [
            f"{word}=saved" if word == "--threshold" and not _is_value(following) else word
            for word, following in zip_longest(args, args[1:], fillvalue="")
        ]
        return list(super().parse_args(ctx, words))


def _is_value(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word == "saved"
    return True


def info(model: AnyModelFile, as_json: Json = False) -> None:
    """Describe a model; for a Keras model, list the layers that the engine would run.

    Example: [bold]bothways info flows.bothways[/]

    Example: [bold]bothways info model.keras --json[/]
    """
    from bothways import jobs
    from bothways.runtime import Model

    loaded = jobs.info(model)
    if not isinstance(loaded, Model):
        print_result(loaded, as_json, results.show_inspection)
    elif as_json:
        described = {
            "network": loaded.network.to_json(),
            "precision": loaded.precision,
            "classes": list(loaded.classes),
            "columns": None if loaded.columns is None else loaded.columns.to_json(),
            "class_counts": {str(label): count for label, count in loaded.class_counts.items()},
            "facts": {name: fact for name, fact in loaded.facts.items() if name != "sequences"},  # hashes
        }
        print_json(described)
    else:
        results.show_model(loaded)


def export(
    model: AnyModelFile,
    *,
    output: Annotated[Path, Flag("--output", "-o", help="File to write, NAME.onnx.")],
    opset: Annotated[int | None, Flag(help="Version of the operators.", show_default="the oldest that will do")] = None,
    as_json: Json = False,
) -> None:
    """Write a model as one graph of ONNX, from raw columns to labels and probabilities.

    It runs in ONNX Runtime, without bothways. Each column is an input, (batch, time); [bold]lengths[/] says how many
    steps each sequence has.

    Example: [bold]bothways export flows.bothways -o flows.onnx[/]

    Example: [bold]bothways export model.keras -o model.onnx[/]
    """
    from bothways.export import export_onnx
    from bothways.jobs.models import load_any

    loaded = load_any(model)
    exported = export_onnx(loaded, output, opset)
    _say_what_differs(loaded, "graph")
    print_result(exported, as_json, results.show_exported)


def _say_what_differs(model: Any, written: str) -> None:
    """What is written of a model in int8 has its weights, and not its arithmetic."""
    from bothways.runtime import Model

    if isinstance(model, Model) and model.precision == "int8":
        display.say(
            f"The model is in int8, and the {written} computes in float32: some labels may be others than those of "
            "bothways predict."
        )


@takes(reading=options(Reading))
def quantize(
    model: ModelFile,
    data: Data,
    *,
    reading: Given,
    output: Annotated[Path, Flag("--output", "-o", help="File of the smaller model, NAME.bothways.")],
    split: Part = None,
    force: Annotated[bool, Flag("--force", help="Write it even if it is worse.")] = False,
    as_json: Json = False,
) -> None:
    """Write a model in int8, and show what that changes: labels, the score, the size and the speed.

    Its networks take a quarter of the bytes, the simple models beside them as many as before. Every other command takes
    it as any model. If its score is worse, it is not written, and the exit code is 1.

    Example: [bold]bothways quantize flows.bothways flows.csv -o small.bothways[/]
    """
    from bothways import jobs

    with display.waiting("Comparing"):
        done = jobs.quantize(model, data, output, split, force=force, say=display.say, **reading)
    print_result(done, as_json, results.show_quantization)
    if done.path is None:
        raise Exit(1)


def page(
    model: ModelFile,
    *,
    output: Annotated[Path, Flag("--output", "-o", help="File to write, NAME.html.")],
    as_json: Json = False,
) -> None:
    """Write a page that labels tables by itself: one file with the model, to be opened in any browser.

    It needs no server and no network; a table that is dropped on it stays on the machine. It reads CSV, TSV and JSON
    lines, and gives labels with their probabilities, drawn over time.

    Example: [bold]bothways page flows.bothways -o flows.html[/]
    """
    from bothways import store
    from bothways.page import write_page

    loaded = store.load(model)
    path = write_page(loaded, output, model.name.removesuffix(".bothways"))
    _say_what_differs(loaded, "page")
    size = path.stat().st_size
    if as_json:
        print_json({"page": str(path), "bytes": size})
    else:
        display.stdout().print(f"Page: {path}, {size / 1000:,.0f} KB", soft_wrap=True)
