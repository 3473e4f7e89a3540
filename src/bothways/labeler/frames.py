"""The columns of a data frame as sequences, in the roles that the settings of a labeler give them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.data import Columns, Table, choose_columns, match_columns, read_sequences
from bothways.data.columns import NONE
from bothways.data.encoding import Tally, fit_encoding
from bothways.data.frames import frame_table, is_frame, with_column
from bothways.data.sequences import group_rows
from bothways.errors import InputError
from bothways.labeler.inputs import Form
from bothways.sequences import Sequences


@dataclass(frozen=True, eq=False)
class FrameColumns:
    """The columns of the data frame that a labeler was fitted on.

    Attributes:
        roles: what each column is for, and how it becomes numbers.
    """

    roles: Columns

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are learnt from, in the order of the frame."""
        return self.roles.features

    @property
    def features(self) -> int:
        """How many these are."""
        return len(self.names)

    @property
    def codes(self) -> tuple[int, ...]:
        """How many codes each category has, 0 for the unknown included."""
        return self.roles.fitted.sizes

    @classmethod
    def fit(cls, X: Any, y_name: Any, labeler: Any, rows: npt.NDArray[np.int64] | None = None) -> FrameColumns:
        """The columns of a data frame, and how they become numbers.

        Args:
            X: the frame.
            y_name: what y is called, or None.
            labeler: a `SequenceLabeler`, whose settings name the columns.
            rows: the numbers of the rows to learn from how columns become numbers; None for all.

        Raises:
            DataError: the frame cannot be used so.
            InputError: y is still a column of it.

        Example:
            >>> import polars as pl
            >>> from bothways.labeler import SequenceLabeler
            >>> frame = pl.DataFrame({"flow": [1, 1, 2], "bytes": [7.0, 9.0, 8.0], "protocol": ["tcp", "udp", "tcp"]})
            >>> columns = FrameColumns.fit(frame, "label", SequenceLabeler(sequence="flow"))
            >>> columns.names, columns.codes
            (('bytes', 'protocol'), (3,))
        """
        table = frame_table("X", X)
        label = _label(table, y_name, labeler.drop)
        schema = table.schema
        roles = choose_columns(
            with_column(table, label),
            label=label,
            sequence=labeler.sequence or NONE,
            order=labeler.order or NONE,
            split=NONE,
            drop=labeler.drop,
            features=labeler.features,
            categorical=labeler.categorical,
            numeric=[name for name in schema if schema[name].is_numeric() and name not in labeler.categorical],
            per="sequence" if labeler.per == "sequence" else "step",
        )
        sequences, _ = group_rows(table, roles)
        if rows is not None:
            pieces, kept = sequences.cut(np.isin(sequences.table_rows, rows).astype(np.int64))
            sequences = pieces.keep(kept == 1)
        encoding, more = fit_encoding(
            table, roles.features, roles.categories, roles.order, sequences.table_rows, sequences.offsets
        )
        _say(*(str(guess) for guess in roles.guesses if not guess.plain), *more)
        return cls(roles.adopt(encoding))

    def read(self, name: str, X: Any) -> tuple[Sequences, Form]:
        """The sequences of a data frame.

        Args:
            name: what the caller calls it.
            X: a frame with the columns that `fit` chose, in whatever order.

        Raises:
            DataError: the frame does not fit; names the column.
            InputError: X is no data frame.

        Example:
            >>> import polars as pl
            >>> from bothways.labeler import SequenceLabeler
            >>> frame = pl.DataFrame({"flow": [1, 2, 1], "bytes": [7.0, 9.0, 8.0]})
            >>> columns = FrameColumns.fit(frame, "label", SequenceLabeler(sequence="flow"))
            >>> [sequence.tolist() for sequence in columns.read("X", frame)[0].arrays()]
            [[[7.0], [8.0]], [[9.0]]]
        """
        if not is_frame(X):
            raise InputError(
                f"{name} is of type {type(X).__name__}; the labeler was fitted on a data frame and needs one with the "
                f"columns {', '.join(map(repr, self.names))}."
            )
        table = frame_table(name, X)
        match_columns(table, self.roles, label=False)
        tally = Tally()
        # Whole, as arrays are; and that rows are sorted by the column that was named for it needs no word.
        sequences, _ = read_sequences(table, self.roles, max_steps=len(table), tally=tally)
        _say(*tally.notices())
        return sequences, "frame"


def _label(table: Table, y_name: Any, drop: Any) -> str:
    """What y is called: by its own name, or by one that no column has."""
    if isinstance(y_name, str) and y_name:
        if y_name in table.names and y_name not in drop:
            raise InputError(
                f"X has the column {y_name!r}, as y is called: the labels would be learnt from themselves. Leave it "
                f"out of X, or give drop=[{y_name!r}]."
            )
        if y_name not in table.names:
            return y_name
    name = "label"
    while name in table.names:
        name += "_"
    return name


def _say(*notices: str) -> None:
    for notice in notices:
        warnings.warn(notice, UserWarning, stacklevel=5)
