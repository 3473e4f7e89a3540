"""The jobs that start at a table in a file: train on it, judge a model on it, label it.

`bothways.cli` reads the arguments of these functions from the command line and prints what they return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways import store
from bothways.data import (
    Columns,
    LabeledWriter,
    Sequences,
    check_output,
    choose_columns,
    evaluation_part,
    match_columns,
    read_table,
    split_table,
    stream_sequences,
)
from bothways.errors import InputError, MissingDependencyError
from bothways.metrics import Scores, majority, score_labels
from bothways.network import Network
from bothways.runtime import Label, Model

if TYPE_CHECKING:
    from bothways.layers.survey import Survey
    from bothways.training import EpochReport

MODEL_ENDING = ".bothways"
KERAS_ENDINGS = (".keras", ".h5", ".hdf5")
SHOWN = 20
"""So many features are named."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is on one part of a table.

    Attributes:
        split: the name of the part.
        sequences: how many sequences it has.
        scores: those of the model.
        majority: the label that training saw most often.
        baselines: the scores of simpler ways to label the same steps, by name.
    """

    split: str
    sequences: int
    scores: Scores
    majority: Label
    baselines: Mapping[str, Scores]

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways evaluate --json` prints."""
        return self.scores.to_json(self.split, self.sequences, self.baselines)


@dataclass(frozen=True, eq=False)
class Training:
    """What training on a table gave.

    Attributes:
        path: the file of the model.
        model: the model itself.
        evaluation: on the valid part, or on the train part if there is no other.
        epochs: how many were run.
        best_epoch: the one whose weights were kept.
        seconds: how long they took, in "compile" and "train".
        steps_per_second: steps trained on in a second, compiling aside.
    """

    path: Path
    model: Model
    evaluation: Evaluation
    epochs: int
    best_epoch: int
    seconds: Mapping[str, float]
    steps_per_second: float

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways train --json` prints."""
        return self.evaluation.to_json() | {
            "epochs": self.epochs,
            "seconds": dict(self.seconds),
            "steps_per_second": self.steps_per_second,
            "model": str(self.path),
        }


@dataclass(frozen=True, eq=False)
class Prediction:
    """What labeling a table gave.

    Attributes:
        path: the file with the labels.
        rows: how many rows it has.
        sequences: how many sequences they form.
        predicted: how many rows got each label.
    """

    path: Path
    rows: int
    sequences: int
    predicted: Mapping[Any, int]

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways predict --json` prints."""
        return {
            "output": str(self.path),
            "rows": self.rows,
            "sequences": self.sequences,
            "predicted": {str(label): count for label, count in self.predicted.items()},
        }


def train(
    data: str | Path,
    output: str | Path,
    *,
    label: str | None = None,
    sequence: str | None = None,
    order: str | None = None,
    split: str | None = None,
    drop: Iterable[str] = (),
    features: Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> Training:
    """Train a model on a table and write it to a file, whole or not at all.

    Args:
        data: the table, Parquet or CSV.
        output: the file to write, ending in `.bothways`.
        label: as in `bothways.data.choose_columns`, as are the next five.
        sequence: the column that tells sequences apart.
        order: the column that sorts steps.
        split: the column with train, valid and test.
        drop: columns to leave out.
        features: if given, the only columns to learn from.
        settings: arguments of `SequenceLabeler`; its own defaults for those that are not given.
        say: is called with whatever the user should know.
        on_epoch: is called after each epoch.

    Raises:
        DataError: the table cannot be used, or the output could not be written.
        InputError: a setting out of its range.
    """
    settings = dict(settings or {})
    known = {field.name for field in fields(Network)}
    Network(features=1, classes=2, **{name: value for name, value in settings.items() if name in known})
    output = check_output(output, (MODEL_ENDING,))
    table = read_table(data)
    columns, notices = choose_columns(
        table, label=label, sequence=sequence, order=order, split=split, drop=drop, features=features
    )
    columns, parts, more = split_table(table, columns, settings.get("seed", 0))
    for notice in (*notices, *more):
        say(notice)
    more_features = f" and {len(columns.features) - SHOWN} more" if len(columns.features) > SHOWN else ""
    say(f"Learns {columns.label!r} from: {', '.join(columns.features[:SHOWN])}{more_features}.")
    say("; ".join(f"{name}: {_size(part)}" for name, part in parts.named.items()) + ".")

    # Keras and JAX take seconds to import; a wrong column should be told before.
    from bothways.labeler import SequenceLabeler

    labeler = SequenceLabeler(**{"random_state" if name == "seed" else name: settings[name] for name in settings})
    valid = None if parts.valid is None else (parts.valid.inputs(), _named(parts.valid, parts.classes))
    labeler.fit(parts.train.inputs(), _named(parts.train, parts.classes), validation_data=valid, on_epoch=on_epoch)
    model = replace(labeler.model_, columns=columns.to_json())
    store.save(model, output)
    name, part = ("train", parts.train) if parts.valid is None else ("valid", parts.valid)
    return Training(
        path=output,
        model=model,
        evaluation=_judge(model, name, part),
        epochs=len(labeler.history_),
        best_epoch=max(report.epoch for report in labeler.history_ if report.best),
        seconds=labeler.seconds_,
        steps_per_second=len(labeler.history_) * parts.train.steps / labeler.seconds_["train"],
    )


def evaluate(
    model: str | Path, data: str | Path, part: str | None = None, say: Callable[[str], None] = print
) -> Evaluation:
    """Judge a model on a part of a table.

    Args:
        model: the file of the model.
        data: the table, Parquet or CSV.
        part: "train", "valid", "test" or "all"; None for "test", or "all" in a table that has no parts.
        say: is called with whatever the user should know.

    Raises:
        ModelFileError: the model cannot be read.
        DataError: the table cannot be used, or does not fit the model.
    """
    loaded, columns = _load(model)
    table = read_table(data)
    match_columns(table, columns, label=True)
    name, sequences, notices = evaluation_part(table, columns, part, loaded.classes)
    for notice in notices:
        say(notice)
    return _judge(loaded, name, sequences)


def predict(model: str | Path, data: str | Path, output: str | Path, say: Callable[[str], None] = print) -> Prediction:
    """Label every row of a table and write it with the columns `predicted` and `probability`, whole or not at all.

    Args:
        model: the file of the model.
        data: the table, Parquet or CSV; it needs no labels.
        output: the table to write, Parquet or CSV.
        say: is called with whatever the user should know.

    Raises:
        ModelFileError: the model cannot be read.
        DataError: the table cannot be used, does not fit the model, or could not be written.
        InputError: the output is the table itself.
    """
    output = check_output(output)
    if output.exists() and Path(data).exists() and output.samefile(data):
        raise InputError(f"{output}: this is the table itself; write the labels to another file.")
    loaded, columns = _load(model)
    with LabeledWriter(output, loaded.classes) as writer:
        for chunk in stream_sequences(data, columns, typed=writer.typed, say=say):
            p = np.concatenate(loaded.predict_proba(chunk.sequences.inputs()))
            writer.write(chunk, p.argmax(axis=1), p.max(axis=1))
    predicted = dict(zip(loaded.classes, writer.counts.tolist(), strict=True))
    return Prediction(output, writer.rows, writer.sequences, predicted)


def info(path: str | Path) -> Model | Survey:
    """Say what is in a model file: a model of ours, or what the engine would run of a Keras model.

    Args:
        path: a file that `train` or `SequenceLabeler.save` wrote, or one of Keras, `.keras` or `.h5`.

    Raises:
        ModelFileError: the file cannot be read.
        MissingDependencyError: it is one of Keras, and Keras or a backend of it is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in KERAS_ENDINGS:
        return store.load(path)
    try:
        from bothways.layers.survey import load_keras_file, survey
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            f"{path}: a file of Keras can be read only where {missing.name} is installed, and here it is not. "
            "Install Keras and a backend: pip install keras jax"
        ) from None
    return survey(load_keras_file(path))


def _load(path: str | Path) -> tuple[Model, Columns]:
    model = store.load(path)
    if model.columns is None:
        raise InputError(f"{path}: this model was trained on arrays, so it does not know the columns of a table.")
    return model, Columns.from_json(model.columns)


def _judge(model: Model, name: str, sequences: Sequences) -> Evaluation:
    classes = np.array(model.classes, object)
    predicted = classes[np.concatenate(model.predict_proba(sequences.inputs())).argmax(axis=1)]
    expected = np.concatenate(_named(sequences, model.classes))
    common = majority(model.class_counts)
    return Evaluation(
        split=name,
        sequences=len(sequences),
        scores=score_labels(expected, predicted, model.classes),
        majority=common,
        baselines={"majority": score_labels(expected, [common] * len(expected), model.classes)},
    )


def _named(sequences: Sequences, classes: Iterable[Any]) -> list[Any]:
    """The labels of all steps; None where there is none."""
    return [np.array([*classes, None], object)[codes] for codes in sequences.targets()]


def _size(part: Sequences) -> str:
    return f"{len(part):,} sequence{'s' if len(part) > 1 else ''} ({part.steps:,} steps)"
