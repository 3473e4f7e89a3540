"""Label a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bothways.data import LabeledWriter, stream_sequences
from bothways.data.sources import OUTPUTS
from bothways.errors import InputError
from bothways.files import check_output
from bothways.jobs.models import load_with_columns


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


def predict(
    model: str | Path,
    data: str | Path,
    output: str | Path,
    say: Callable[[str], None] = print,
    on_rows: Callable[[int], None] | None = None,
) -> Prediction:
    """Label every row of a table and write it with the columns `predicted` and `probability`, whole or not at all.

    Memory does not grow with the table as long as the rows of each sequence stand together and in order.

    Args:
        model: the file of the model.
        data: the table, as in `bothways.data.read_table`; it needs no labels.
        output: the table to write, .parquet, .csv or .jsonl.
        say: is called with whatever the user should know.
        on_rows: is called with the number of rows labeled so far.

    Raises:
        ModelFileError: the model cannot be read.
        DataError: the table cannot be used, does not fit the model, or could not be written.
        InputError: the output is the table itself.

    Example:
        >>> predict("nowhere.bothways", "flows.csv", "labeled.csv")
        Traceback (most recent call last):
        bothways.errors.ModelFileError: nowhere.bothways: no such file.
    """
    output = check_output(output, OUTPUTS)
    if output.exists() and Path(data).exists() and output.samefile(data):
        raise InputError(f"{output}: this is the table itself; write the labels to another file.")
    loaded, columns = load_with_columns(model)
    with LabeledWriter(output, loaded.classes) as writer:
        for chunk in stream_sequences(data, columns, typed=writer.typed, say=say):
            p = loaded.probabilities(chunk.sequences)
            writer.write(chunk, p.argmax(axis=1), p.max(axis=1))
            if on_rows is not None:
                on_rows(writer.rows)
    predicted = dict(zip(loaded.classes, writer.counts.tolist(), strict=True))
    return Prediction(output, writer.rows, writer.sequences, predicted)
