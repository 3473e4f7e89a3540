"""Events as they come, to what the network reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.runtime import Model, check_codes, checked_sequences
from bothways.runtime.inputs import check_categories
from bothways.sequences import Array, Sequences

Step = int | float | datetime


class EventReader:
    """Reads the steps and values of events for a model.

    Attributes:
        dtype: of the values: that of tables, or of arrays in double precision.
        gap: the place of the gap to the step before among the values, which is 0 as long as that is not known; None if
            the network does not read it.
        tally: what of the values was filled or not known.
    """

    def __init__(self, model: Model) -> None:
        self._network, self._columns = model.network, model.columns
        self._table = model.columns is not None and bool(model.columns.label)
        self.dtype = np.dtype(np.float32 if self._table else np.float64)
        self.gap, self.tally, self._kind = None, None, ""
        if model.columns is not None:
            from bothways.data import Tally  # brings Polars, of which a model of arrays has no use

            self.tally, encoding = Tally(), model.columns.fitted
            if encoding.gaps:
                self.gap = len(encoding.names) - len(encoding.categories) - 1
                self._kind = encoding.gaps

    def values(self, values: Any) -> Array:
        """The values of events as `(events, network.features)`."""
        if self._table:
            return self._of_rows(values)
        columns, given = self._columns, [np.asarray(values)]
        if columns is None:
            sequences = checked_sequences("values", given, self._network.features)
            check_codes("values", sequences, self._network)
            return sequences.values
        sequences = checked_sequences("values", given, len(columns.features), missing=True)
        check_categories("values", sequences, map(int, columns.categories))
        return columns.fitted.encode_arrays(sequences, self.tally).values

    def _of_rows(self, rows: Sequence[Any]) -> Array:
        from bothways.data.frames import rows_table

        assert self._columns is not None
        assert self.tally is not None
        encoding = replace(self._columns.fitted, gaps="")
        together = Sequences(np.empty((len(rows), 0), np.float32), np.array([len(rows)]), rows=np.arange(len(rows)))
        table = rows_table("events", rows, encoding, self._columns.reading.missing)
        read = encoding.encode(table, None, together, self.tally)
        return read if self.gap is None else np.insert(read, self.gap, 0, axis=1)

    def steps(self, steps: Sequence[Any]) -> list[Step]:
        """Steps, all of one kind in a stream."""
        given: list[Any] = steps.tolist() if isinstance(steps, np.ndarray) else list(steps)
        if not given:
            return given
        plain = set(map(type, given)) <= {int, float} and all(map(isfinite, given))
        kinds = {"numbers"} if plain else set(map(_kind, given))
        for kind in kinds:
            if not kind or kind != (self._kind or kind):
                wrong = next(step for step in given if _kind(step) == kind)
                wanted = self._kind or "numbers, or times"
                raise InputError(f"A step is {wrong!r}; the steps of this stream must be finite {wanted}.")
            self._kind = kind
        return given


def gaps(steps: Array, before: Array) -> Array:
    """log(1 + the gap to the step before), as in training: in seconds where steps are times.

    Example:
        >>> gaps(np.array([5, 9.5], object), np.array([4, 9], object)).round(3)
        array([0.693, 0.405])
    """
    found = steps - before
    if len(found) and isinstance(found[0], timedelta):
        found = np.array([each // timedelta(microseconds=1) * 1000 / 1e9 for each in found])
    return np.log1p(found.astype(np.float64))


def _kind(step: Any) -> str:
    if isinstance(step, datetime):
        return "times" if step.tzinfo is None else "times with time zones"
    return "numbers" if type(step) in (int, float) and isfinite(step) else ""
