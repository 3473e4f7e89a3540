"""Events out of lines of JSON, and labels as such lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from math import isfinite
from typing import Any

from bothways.errors import DataError, InputError
from bothways.fields.kinds import SingleTimes
from bothways.fields.moments import moment_text
from bothways.fields.names import joined_columns, names_sequences, side_by_side
from bothways.fields.reader import MISSING
from bothways.runtime import Model
from bothways.stream import Labeled
from bothways.stream.events import Time, shown

PACKED = b"\x1f\x8b"  # with which what gzip made begins
ENCODER = json.JSONEncoder(ensure_ascii=False)

Event = tuple[Any, Any, Any]  # key, step and values
Push = Callable[..., list[Labeled]]
Refused = Callable[[int, DataError], None]


class EventLines:
    """Events out of lines of JSON, and labels as such lines; `key` and `step` are as for `bothways.jobs.stream`."""

    def __init__(self, model: Model, key: str | None = None, step: str | None = None) -> None:
        columns = model.table
        self._table = columns is not None
        self._key = key or (columns.sequence if columns else "key")
        none = MISSING if names_sequences(self._key or "") else ()
        self._none = {"", *none, *map(str.lower, columns.reading.missing)} if columns else set[str]()
        self._step = step or (columns.order if columns else "step")
        self.fields = [self._key, self._step]  # their names
        self._times = SingleTimes(columns.reading.dates if columns else None)
        self._of_times = columns is not None and columns.fitted.order == "times"
        self._places = {label: place for place, label in enumerate(model.classes)}

    def event(self, line: bytes | str, number: int, place: int | None = None) -> Event | None:
        """The key, the step and the values that a line holds, which messages call `number`; None if it is empty.

        Where events have no step of their own it is `place`, or the number of the line. `DataError` if it is no event.
        """
        if not (line := line.rstrip()):
            return None
        event = _object(line, number)
        try:
            key = self._named(event, number)
            step: Any = number if place is None else place
            if self._step:
                names = joined_columns(self._step, event)
                step = moment_text(names, (event[name] for name in names)) if names else event[self._step]
            values = event if self._table else event["values"]
        except KeyError as missing:
            raise DataError(
                f"Line {number:,} has no {missing}; an event, which is one step of a sequence, needs it."
            ) from None
        if isinstance(step, str):
            step = self._told(step, number)
        return key, step, values

    def _told(self, step: str, number: int) -> Any:
        """The number or the time that a text says: as the model's table was read, or as in ISO 8601."""
        numbers = (int, float) if "_" not in step else ()
        first = (Time.of, self._time) if self._of_times else (self._time,) if step.isdigit() else ()
        for way in (*first, *numbers, Time.of, self._time):
            with suppress(ValueError):
                return way(step)
        raise DataError(
            f"Line {number:,} is no event: {self._step!r} is {shown(step)}, which is no number and no time. Times "
            "as in ISO 8601, such as 2024-05-31T12:00:00, can be read in one way only."
        )

    def _time(self, step: str) -> Time:
        """The time that a text says, read as the model's table was; ValueError if it says none, or may say two."""
        if (found := self._times.read(step)) is None:
            raise ValueError(step)
        return Time.of(step, found.isoformat())

    def _named(self, event: Mapping[str, Any], number: int) -> Any:
        """The key of an event; several of its fields, if the key joins columns."""
        if not self._key:
            return ""
        names = joined_columns(self._key, event) or [self._key]
        parts = {name: part.strip() if isinstance(part := event[name], str) else part for name in names}
        none = self._none if len(names) == 1 else self._none & {""}
        for name, part in parts.items():
            is_name = type(part) in (str, int) or (type(part) is float and isfinite(part))
            if not is_name or str(part).lower() in none:
                raise DataError(f"Line {number:,} is no event: {name!r} is {shown(part)}, which names no sequence.")
        if len(names) == 1:
            return parts[self._key]
        return side_by_side(int(part) if isinstance(part, float) and part % 1 == 0 else part for part in parts.values())

    def labels(
        self, push: Push, lines: Iterable[tuple[int, int, bytes | str]], refused: Refused
    ) -> Iterator[list[Labeled]]:
        """The labels that lines, with their numbers and places as for `event`, make ready, some after the other.

        `push` takes keys, steps and values, as `Stream.push_many`. `refused` is called for a line that is no event when
        the events before it are labeled; it may raise.
        """
        events: list[tuple[int, Event]] = []
        for number, place, line in lines:
            try:
                event = self.event(line, number, place)
            except DataError as error:
                yield from _pushed(push, events, refused)
                events = []
                refused(number, error)
            else:
                if event is not None:
                    events.append((number, event))
        yield from _pushed(push, events, refused)

    def line(self, labeled: Labeled) -> str:
        """A label with its key and step."""
        key, step, label, p = labeled
        if isinstance(step, datetime):
            step = step.text if isinstance(step, Time) else step.isoformat()
        line = {self._step or "line": step, "predicted": label, "probability": round(p[self._places[label]], 6)}
        return ENCODER.encode(line if self._key is None else {self._key: key, **line})


def _object(line: bytes | str, number: int) -> dict[str, Any]:
    """The JSON object that a line holds."""
    try:
        text = (line if isinstance(line, str) else line.decode()).removeprefix("\ufeff")
        event = json.loads(text)
        if "\\u" in text:
            ENCODER.encode(event).encode()
    except json.JSONDecodeError as error:
        why = f"is no JSON: {error.msg} at character {error.pos + 1}."
    except UnicodeError:
        packed = bytes(line[:2]) == PACKED if isinstance(line, bytes) else False
        why = "is compressed by gzip: give a file called .gz, or zcat FILE | ..." if packed else "is no text in UTF-8."
    except RecursionError:
        why = "is nested too deeply for an event."
    except ValueError:
        why = "holds a number that is out of range."
    else:
        if isinstance(event, dict):
            return event
        why = "is no JSON object; an event is one: {...}."
    raise DataError(f"Line {number:,} {why}")


def _pushed(push: Push, events: Sequence[tuple[int, Event]], refused: Refused) -> Iterator[list[Labeled]]:
    """The labels that events, with the numbers of their lines, make ready; what does not fit is found by halves."""
    if not events:
        return
    try:
        yield push(*map(list, zip(*(event for _, event in events), strict=True)))
    except (DataError, InputError) as error:
        number, half = events[0][0], len(events) // 2
        if half:
            yield from _pushed(push, events[:half], refused)
            yield from _pushed(push, events[half:], refused)
        else:
            told = str(error).removeprefix("events, row 1")
            refused(number, DataError(f"Line {number:,}{told if told != str(error) else f': {error}'}"))
