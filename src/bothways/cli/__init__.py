"""The command line: reads arguments and hands them on. What is done stands in `jobs` and `demo`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bothways.bench import DTYPES, MODES, PEERS, SHAPES
from bothways.cli import display
from bothways.errors import BothwaysError
from bothways.merge import MERGE_MODES
from bothways.network import DIRECTIONS
from bothways.settings import Settings
from bothways.spec import CELLS

app = typer.Typer(
    help="Label every step of a sequence with LSTMs that read it both ways.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="The table, .parquet or .csv: one row a step.", show_default=False)
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The model, as [bold]bothways train[/] wrote it.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same result.")]
DirectionOption = Annotated[str, typer.Option(help=f"How to read: {', '.join(DIRECTIONS)}.")]
MergeOption = Annotated[str, typer.Option("--merge", help=f"How both ways become one: {', '.join(MERGE_MODES)}.")]


INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: exit 0, 1 if something failed, 2 for bad usage or bad input.

    Args:
        arguments: what follows the name of the command; that of the process if not given.

    Example:
        >>> main(["evaluate", "nowhere.bothways", "flows.csv"])
        Traceback (most recent call last):
        SystemExit: 2
    """
    try:
        app(arguments, prog_name="bothways")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            display.say("Stopped.")
        raise
    except BothwaysError as error:
        display.show_error(str(error))
        sys.exit(2)
    except OSError as error:
        display.show_error(str(error))
        sys.exit(1)


@app.command()
def demo(
    steps: Annotated[int, typer.Option(min=1, help="Steps of each sequence.")] = 10,
    units: Annotated[int, typer.Option(min=1, help="Units of the LSTM in each direction.")] = 20,
    direction: DirectionOption = "both",
    merge: MergeOption = "concat",
    epochs: Annotated[int, typer.Option(min=1, help="How often to go through the 1,000 sequences.")] = 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The tutorial's job: learn where a running sum reaches its threshold, and label unseen sequences.

    Example: [bold]bothways demo --direction forward[/]
    """
    from bothways.demo import run

    with display.waiting("Starting") as say:
        shown = run(steps, units, direction, merge, epochs, seed, say)
    if as_json:
        _print_json(shown.to_json())
    else:
        display.show_demo(shown, steps, units, direction)


@app.command()
def train(
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The model to write, NAME.bothways.", show_default=False)
    ],
    label: Annotated[str, typer.Option(help="The column to learn.")] = "label",
    sequence: Annotated[str | None, typer.Option(help="The column that tells sequences apart.")] = None,
    order: Annotated[str | None, typer.Option(help="The column that sorts steps, a number or a time.")] = None,
    split: Annotated[str | None, typer.Option(help="The column that says train, valid or test.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Columns to leave out: A,B or again and again.")] = None,
    features: Annotated[list[str] | None, typer.Option(help="The only columns to learn from: A,B.")] = None,
    direction: DirectionOption = "both",
    merge: MergeOption = "concat",
    cell: Annotated[str, typer.Option(help=f"The recurrent cell: {', '.join(CELLS)}.")] = "lstm",
    units: Annotated[int, typer.Option(min=1, help="Units in each direction.")] = 32,
    depth: Annotated[int, typer.Option(min=1, help="Recurrent layers, one on top of the other.")] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="How often to go through the data at most.")] = Settings.epochs,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Sequences, or pieces of them, an update.")
    ] = Settings.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="Size of the first updates; it falls to nothing.")
    ] = Settings.learning_rate,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a better valid part.")
    ] = Settings.patience,
    window: Annotated[
        int | None, typer.Option(min=1, help="Cut training sequences into pieces of so many steps.")
    ] = Settings.window,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a model on the train part of a table; stop early on its valid part.

    Example: [bold]bothways train flows.csv --label attack --sequence flow --order time -o flows.bothways[/]
    """
    from bothways import jobs

    settings = {
        "direction": direction,
        "merge_mode": merge,
        "cell": cell,
        "units": units,
        "depth": depth,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "patience": patience,
        "window": window,
        "seed": seed,
    }
    with display.epoch_progress() as (say, on_epoch):
        training = jobs.train(
            data,
            output,
            label=label,
            sequence=sequence,
            order=order,
            split=split,
            drop=_names(drop),
            features=_names(features),
            settings=settings,
            say=say,
            on_epoch=on_epoch,
        )
    if as_json:
        _print_json(training.to_json())
    else:
        display.show_training(training)


@app.command()
def evaluate(
    model: ModelFile,
    data: Data,
    split: Annotated[
        str | None, typer.Option(help="The part to judge on: train, valid, test or all.", show_default="test")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how good a model is: precision, recall, F1 and false-alarm rate of each class.

    Example: [bold]bothways evaluate flows.bothways flows.csv --split test[/]
    """
    from bothways import jobs

    evaluation = jobs.evaluate(model, data, split, say=display.say)
    if as_json:
        _print_json(evaluation.to_json())
    else:
        display.show_evaluation(evaluation)


@app.command()
def predict(
    model: ModelFile,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The table to write, .parquet or .csv.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Label every row of a table: writes its columns, and [bold]predicted[/] and [bold]probability[/] after them.

    Example: [bold]bothways predict flows.bothways new.csv -o labeled.csv[/]
    """
    from bothways import jobs

    prediction = jobs.predict(model, data, output, say=display.say)
    if as_json:
        _print_json(prediction.to_json())
    else:
        display.show_prediction(prediction)


@app.command()
def info(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A model of [bold]bothways train[/], or one of Keras, .keras or .h5.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Say what a model is and what it was trained on; of a Keras model, which layers the engine would run.

    Example: [bold]bothways info flows.bothways[/]

    Example: [bold]bothways info model.keras --json[/]
    """
    from bothways import jobs
    from bothways.runtime import Model

    loaded = jobs.info(model)
    if not isinstance(loaded, Model):
        if as_json:
            _print_json(loaded.to_json())
        else:
            display.show_survey(loaded)
    elif as_json:
        _print_json(
            {
                "network": loaded.network.to_json(),
                "classes": list(loaded.classes),
                "columns": loaded.columns,
                "class_counts": {str(label): count for label, count in loaded.class_counts.items()},
                "facts": dict(loaded.facts),
            }
        )
    else:
        display.show_model(loaded)


@app.command()
def bench(
    shapes: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(SHAPES)}, or batch,steps,features,units; again and again.", show_default="all"),
    ] = None,
    mode: Annotated[str, typer.Option(help=f"What to time: {', '.join(MODES)} or both.")] = "both",
    cell: Annotated[
        list[str] | None, typer.Option(help=f"The recurrent cells: {', '.join(CELLS)}.", show_default="lstm")
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What our products multiply: {', '.join(DTYPES)}; peers have float32.", show_default="float32"
        ),
    ] = None,
    peers: Annotated[
        list[str] | None,
        typer.Option(help=f"Whom to measure against: {', '.join(PEERS)}; or none.", show_default="all installed"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads for each.", show_default="the processors, or OMP_NUM_THREADS")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time for each shape and mode, compiling aside.")] = 4.0,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep it all, this machine too, in a .json file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the engine on this machine, against whatever peers are installed.

    Example: [bold]bothways bench --shapes small --shapes 8,50,16,64 --save bench.json[/]
    """
    from bothways import bench

    modes = list(MODES) if mode == "both" else [mode]
    cases = [
        bench.Case(shape, name, each, product)
        for name in _names(cell) or ["lstm"]
        for each in modes
        for product in _names(dtype) or ["float32"]
        for shape in bench.choose_shapes(shapes or ["all"])
    ]
    wanted = _names(peers) or list(PEERS)
    wanted = [] if wanted == ["none"] else wanted
    path = bench.check_file(save) if save else None
    display.say_missing_peers(bench.choose_peers(wanted)[1])
    with display.case_progress() as on_progress:
        report = bench.measure(cases, wanted, threads=threads, seconds=seconds, on_progress=on_progress)
    display.say_reasons(report)
    if path:
        report.save(path)
    if as_json:
        _print_json([measurement.to_json() for measurement in report.measurements])
    else:
        display.show_report(report, path)
    if len(report.measurements) < len(cases):
        raise typer.Exit(1)


def _names(given: list[str] | None) -> list[str]:
    """Names, of which one argument may hold several with commas between them."""
    return [name.strip() for argument in given or [] for name in argument.split(",") if name.strip()]


def _print_json(value: Any) -> None:
    print(json.dumps(value, allow_nan=False))
