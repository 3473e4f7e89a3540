"""The commands about tables: train on one, judge a model on one, label one, and say what a model is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from bothways.cli import columns, display, results
from bothways.cli.app import Data, Json, ModelFile, Seed, names, print_json
from bothways.errors import InputError
from bothways.merge import MERGE_MODES
from bothways.network import DIRECTIONS, POOLINGS, Network
from bothways.settings import MONITORS, Settings
from bothways.spec import CELLS

BACKENDS = ("jax", "torch", "tensorflow")

_NETWORK: dict[str, Any] = {"rich_help_panel": "The network"}
_TRAINING: dict[str, Any] = {"rich_help_panel": "Training"}


def train(
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The model to write, NAME.bothways.", show_default=False)
    ],
    label: columns.Label = None,
    sequence: columns.Sequence = None,
    order: columns.Order = None,
    split: columns.Split = None,
    group: columns.Group = None,
    drop: columns.Drop = None,
    features: columns.Features = None,
    categorical: columns.Categorical = None,
    numeric: columns.Numeric = None,
    per: columns.Per = None,
    min_count: columns.MinCount = 1,
    changes: columns.Changes = 0,
    centered: columns.Centered = False,
    allow_leaks: columns.AllowLeaks = False,
    direction: Annotated[str, typer.Option(help=f"How to read: {', '.join(DIRECTIONS)}.", **_NETWORK)] = "both",
    merge: Annotated[str, typer.Option(help=f"How both ways become one: {', '.join(MERGE_MODES)}.", **_NETWORK)] = (
        Network.merge_mode
    ),
    cell: Annotated[str, typer.Option(help=f"The recurrent cell: {', '.join(CELLS)}.", **_NETWORK)] = Network.cell,
    units: Annotated[int, typer.Option(min=1, help="Units in each direction.", **_NETWORK)] = Network.units,
    depth: Annotated[
        int, typer.Option(min=1, help="Recurrent layers, one on top of the other.", **_NETWORK)
    ] = Network.depth,
    conv: Annotated[
        str | None,
        typer.Option(
            metavar="WINDOW[:STRIDE]",
            help="A convolution in front: how many steps it looks at, and by how many it moves on.",
            show_default="none",
            **_NETWORK,
        ),
    ] = None,
    embedding: Annotated[
        int, typer.Option(min=1, help="Numbers that stand for a category.", **_NETWORK)
    ] = Network.embedding,
    pooling: Annotated[
        str, typer.Option(help=f"How steps become one label of a sequence: {', '.join(POOLINGS)}.", **_NETWORK)
    ] = Network.pooling,
    dropout: Annotated[
        float, typer.Option(help="The share of the inputs of layers that training leaves out.", **_NETWORK)
    ] = Network.dropout,
    epochs: Annotated[
        int, typer.Option(min=1, help="How often to go through the data at most.", **_TRAINING)
    ] = Settings.epochs,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Sequences, or pieces of them, an update.", **_TRAINING)
    ] = Settings.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="The largest step size; it falls to nothing in the end.", **_TRAINING)
    ] = Settings.learning_rate,
    warmup: Annotated[
        float, typer.Option(help="The share of all updates in which it rises.", **_TRAINING)
    ] = Settings.warmup,
    patience: Annotated[
        int | None,
        typer.Option(min=0, help="Stop after so many epochs without a better valid part; 0: never.", **_TRAINING),
    ] = Settings.patience,
    monitor: Annotated[
        str, typer.Option(help=f"What is better: auto, none, {', '.join(MONITORS)}.", **_TRAINING)
    ] = Settings.monitor,
    window: Annotated[
        int | None,
        typer.Option(min=0, help="Cut training sequences into pieces of so many steps; 0: never.", **_TRAINING),
    ] = Settings.window,
    class_weight: Annotated[
        str | None, typer.Option(help="balanced: all classes count the same.", show_default="none", **_TRAINING)
    ] = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the same command was killed.", **_TRAINING)
    ] = False,
    backend: Annotated[
        str | None,
        typer.Option(
            help=f"What Keras runs on: {', '.join(BACKENDS)}.", show_default="the first installed", **_TRAINING
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write curves for TensorBoard.", **_TRAINING)
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="EXPERIMENT", help="Log the run to MLflow.", **_TRAINING)
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model on the train part of a table; stop early on its valid part.

    What the columns are for is guessed, and said, where it is not given. Ctrl-C keeps the best model so far.

    Example: [bold]bothways train flows.csv --label attack --sequence flow --order time -o flows.bothways[/]

    Example: [bold]bothways train traces.parquet --categorical call --conv 5:2 --pooling max -o traces.bothways[/]
    """
    from bothways import jobs

    if backend is not None:
        if backend not in BACKENDS:
            raise InputError(f"There is no backend {backend!r}. Use one of: {', '.join(BACKENDS)}.")
        os.environ["KERAS_BACKEND"] = backend
    conv_window, conv_stride = _convolution(conv)
    settings = {
        "direction": direction,
        "merge_mode": merge,
        "cell": cell,
        "units": units,
        "depth": depth,
        "conv_window": conv_window,
        "conv_stride": conv_stride,
        "embedding": embedding,
        "pooling": pooling,
        "dropout": dropout,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "warmup": warmup,
        "patience": patience or None,
        "monitor": monitor,
        "window": window or None,
        "class_weight": class_weight,
        "seed": seed,
    }
    with display.epoch_progress() as (say, on_epoch):
        training = jobs.train(
            data,
            output,
            settings=settings,
            allow_leaks=allow_leaks,
            min_count=min_count,
            changes=changes,
            centered=centered,
            resume=resume,
            tensorboard=tensorboard,
            mlflow=mlflow,
            say=say,
            on_epoch=on_epoch,
            label=label,
            sequence=sequence,
            order=order,
            split=split,
            group=group,
            drop=names(drop),
            features=names(features),
            categorical=names(categorical),
            numeric=names(numeric),
            per=per,
        )
    if as_json:
        print_json(training.to_json())
    else:
        results.show_training(training)


def evaluate(
    model: ModelFile,
    data: Data,
    split: Annotated[
        str | None, typer.Option(help="The part to judge on: train, valid, test or all.", show_default="test")
    ] = None,
    false_alarm_rate: Annotated[
        float | None,
        typer.Option(
            help="Choose on the valid part the threshold for this false-alarm rate, as 0.01; say what it gives."
        ),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="LABEL", help="The label to raise alarms for.", show_default="the rarest")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page that shows it all.")] = None,
    as_json: Json = False,
) -> None:
    """Say how good a model is, and how sure that is, beside what simple labelings score.

    Example: [bold]bothways evaluate flows.bothways flows.csv --false-alarm-rate 0.01 --report report.html[/]
    """
    from bothways import jobs

    with display.waiting("Judging"):
        evaluation = jobs.evaluate(
            model,
            data,
            split,
            false_alarm_rate=false_alarm_rate,
            positive=positive,
            report=report,
            say=display.say,
        )
    if as_json:
        print_json(evaluation.to_json())
    else:
        results.show_evaluation(evaluation)
    if report:
        display.say(f"Saved: {report}")


def predict(
    model: ModelFile,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The table to write, .parquet, .csv or .jsonl.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Label every row of a table: writes its columns, and [bold]predicted[/] and [bold]probability[/] after them.

    Example: [bold]bothways predict flows.bothways new.csv -o labeled.csv[/]
    """
    from bothways import jobs

    with display.row_progress() as (say, on_rows):
        prediction = jobs.predict(model, data, output, say=say, on_rows=on_rows)
    if as_json:
        print_json(prediction.to_json())
    else:
        results.show_prediction(prediction)


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
            print_json(loaded.to_json())
        else:
            results.show_survey(loaded)
    elif as_json:
        print_json(
            {
                "network": loaded.network.to_json(),
                "classes": list(loaded.classes),
                "columns": loaded.columns,
                "class_counts": {str(label): count for label, count in loaded.class_counts.items()},
                "facts": dict(loaded.facts),
            }
        )
    else:
        results.show_model(loaded)


def _convolution(given: str | None) -> tuple[int, int]:
    """The window and the stride of `WINDOW[:STRIDE]`; a window of 0 is no convolution."""
    if given is None:
        return 0, 1
    window, _, stride = given.partition(":")
    if not window.isdecimal() or not (stride or "1").isdecimal():
        raise InputError(f"--conv is {given!r}; it must be WINDOW or WINDOW:STRIDE, such as 5 or 5:2.")
    return int(window), int(stride or 1)
