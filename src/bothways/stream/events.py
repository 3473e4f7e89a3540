"""Events as they come, to what the network reads."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import InputError
from bothways.runtime import Model, check_codes, checked_sequences
from bothways.runtime.inputs import encoded_arrays, is_frame
from bothways.sequences import Array, Numbers, Sequences, unmasked

if TYPE_CHECKING:
    from bothways.data import Columns, Tally

Step = int | float | datetime

LARGEST = sys.float_info.max
EPOCH = datetime(1970, 1, 1)


class Time(datetime):
    """A time that keeps the `text` in which it came."""

    text: str

    @classmethod
    def of(cls, text: str, iso: str | None = None) -> Time:
        """The time that a text says, or `iso` in its place; raises ValueError if that is none of ISO 8601."""
        time = cls.fromisoformat(iso or text.strip())
        time.text = text
        return time


class EventReader:
    """Reads the steps and values of events for a model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.dtype = np.dtype(np.float64) if model.table is None else model.table.fitted.dtype
        self.kind = ""  # that of the steps which were taken, as `step_kind` says
        self.tally: Tally | None = None  # what of the values was filled or not known
        self.of_order = slice(0, 0)  # the places of the values that `complete` makes of steps; they are 0 before
        self._clock: tuple[str, ...] = ()
        self._wanted = ""
        if model.columns is not None:
            from bothways.data import Tally  # brings Polars, of which a model of arrays has no use

            self.tally, encoding = Tally(), model.columns.fitted
            self.of_order, self._clock, self._wanted = encoding.of_order, encoding.clock, encoding.order

    def values(self, values: Any) -> Array:
        """The values of events as `(events, network.features)`."""
        if self._model.table is not None:
            return self._of_rows(values, self._model.table)
        columns, needed = self._model.columns, self._model.width
        try:
            array = unmasked(values) if len(values) else np.empty((0, needed))
        except ValueError:
            raise InputError("The values of these events are not all of one length.") from None
        if array.dtype.kind in "US" or array.shape[1:] != (needed,):
            found = shown(array[:1].tolist()[0])
            raise InputError(f"The values of an event must be a list of {needed} numbers; these are {found}.")
        sequences = checked_sequences("values", [array], needed, missing=columns is not None)
        if columns is None:
            check_codes("values", sequences, self._model.network)
            return sequences.values
        return encoded_arrays("values", sequences, columns, self.tally).values

    def _of_rows(self, rows: Any, columns: Columns) -> Array:
        from bothways.data.frames import frame_table, rows_table

        if is_frame(rows):
            rows = frame_table("events", rows, None).frame().to_dicts()
        assert self.tally is not None
        encoding = replace(columns.fitted, gaps="", clock=())
        together = Sequences(np.empty((len(rows), 0), np.float32), np.array([len(rows)]), rows=np.arange(len(rows)))
        table = rows_table("events", rows, encoding, columns.reading)
        read = encoding.encode(table, None, together, self.tally)
        made = self.of_order.stop - self.of_order.start
        return np.insert(read, [self.of_order.start] * made, 0, axis=1) if made else read

    def complete(self, values: Array, steps: Array, known: Numbers, before: Array) -> None:
        """Put the gap to the step before, where one is `known`, and the parts of the clock into values of events."""
        first, end = self.of_order.start, self.of_order.stop
        if end - first > len(self._clock):
            values[known, first] = gaps(steps[known], before)
        if self._clock:
            from bothways.data.calendar import clock_of

            values[:, end - len(self._clock) : end] = clock_of(_seconds(steps), self._clock)

    def steps(self, steps: Iterable[Any]) -> tuple[list[Step], str]:
        """Steps, and their kind, which is that of all steps of a stream once it is `kind`."""
        if isinstance(steps, np.ndarray) and steps.dtype.kind != "M":  # nanoseconds would be numbers
            steps = steps.tolist()
        given: list[Any] = list(steps)
        if not set(map(type, given)) <= {int, float}:
            given = list(map(_plain, given))
        kind = self.kind or (step_kind(given[0]) if given else "")
        if kind == "numbers" and kind.startswith(self._wanted) and _are_numbers(given):
            return given, kind
        for step in given:
            if (found := step_kind(step)) != kind or not found.startswith(self._wanted) or not found:
                wanted = self.kind or self._wanted or kind or "numbers, or times"
                finite = "" if wanted.startswith("times") else "finite "
                raise InputError(f"A step is {shown(step)}; the steps of this stream must be {finite}{wanted}.")
        return given, kind


def gaps(steps: Array, before: Array) -> Array:
    """log(1 + the gap to the step before), as in training: in seconds where steps are times."""
    found = steps - before
    if len(found) and isinstance(found[0], timedelta):
        found = np.array([each // timedelta(microseconds=1) / 1e6 for each in found])
    return np.log1p(found.astype(np.float64))


def _seconds(times: Array) -> Array:
    """Seconds since 1970."""
    epochs = (EPOCH.replace(tzinfo=each.tzinfo and UTC) for each in times)
    found = [(each - epoch) / timedelta(seconds=1) for each, epoch in zip(times, epochs, strict=True)]
    return np.array(found, np.float64)


def step_kind(step: Any) -> str:
    """What kind of step it is; "" for none."""
    if isinstance(step, datetime) and step == step:  # which the NaT of pandas is not
        return "times without time zones" if step.tzinfo is None else "times with time zones"
    return "numbers" if _are_numbers([step]) else ""


def _plain(step: Any) -> Any:
    """A step of NumPy as one of Python; a time with its offset alone: Python forgets that clocks of a zone change."""
    if isinstance(step, np.datetime64):
        step = step.astype("datetime64[us]")
    if isinstance(step, datetime) and not isinstance(step.tzinfo, timezone | None):
        return step.replace(tzinfo=timezone(step.utcoffset() or timedelta(0)))
    return step.item() if isinstance(step, np.generic) else step


def shown(value: Any) -> str:
    """A value in a message; of a number with hundreds of digits, how it is."""
    if isinstance(value, datetime):
        return value.text if isinstance(value, Time) else value.isoformat()
    return "a number that is out of range" if type(value) is int and abs(value) > LARGEST else reprlib.repr(value)


def _are_numbers(steps: list[Any]) -> bool:
    try:
        return set(map(type, steps)) <= {int, float} and all(map(isfinite, steps))
    except OverflowError:
        return False
