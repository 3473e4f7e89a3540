"""Sequences whose steps come bit by bit: in several requests of the protocol, or over a WebSocket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from sys import getsizeof
from typing import Any

import numpy as np
import orjson

from bothways.errors import BothwaysError, InputError
from bothways.jobs.event_lines import EventLines
from bothways.serve.models import Served, Steps
from bothways.serve.watching import Watched, Watching
from bothways.stream import Labeled, Stream

MOST_OPEN = 10_000  # how many sequences may be open at once in requests of the protocol, and in a WebSocket


class Room:
    """The memory that open sequences may take, all together."""

    def __init__(self, most: int) -> None:
        self._left, self._lock = most, threading.Lock()

    def take(self, size: int) -> None:
        """Take some; raises InputError if less is left."""
        with self._lock:
            if size > self._left:
                raise InputError(
                    "The sequences that are open may need all of the memory that there is (--max-memory). End some, or "
                    "ask for a smaller lookahead, chunk or reorder."
                )
            self._left -= size

    def give(self, size: int) -> None:
        """Give some back."""
        with self._lock:
            self._left += size


class EventStream:
    """Events as lines of JSON to labels as such lines, as `bothways stream` has them; `source` shows them to those who
    watch, and its sequences take of the `room`. `pace` is as for `bothways.stream.Stream`, which also says what it
    raises.

    An event is an object with the columns of the table that the model learned from; for a model of arrays, with `key`,
    `step` and `values`. `["close", KEY]` ends a sequence, `["flush"]` all of them.
    """

    def __init__(self, served: Served, source: Watched, room: Room, **pace: Any) -> None:
        self._stream, self._form, self._source = served.model.stream(**pace), EventLines(served.model), source
        self._room, self._count, self._size = room, 0, self._stream.key_bytes
        self._sizes: dict[Any, int] = {}  # by key
        # Of the last message: the keys of its events, how many these were, and how many lines were refused.
        self.keys, self.steps, self.refused = set[Any](), 0, 0

    def labeled(self, text: str) -> str:
        """What a message gives, a line for each label, in order.

        A line that is neither an event nor a command changes nothing; `{"error": ..., "line": N}` names it by its
        number in the message. `{"dropped": N}` says how many events were late or came twice; `{"notices": [...]}`, what
        of the values so far was filled or not known, when that has changed.
        """
        answers: list[str] = []
        events: list[tuple[int, int, str]] = []
        self.keys, self.steps, self.refused = set(), 0, 0
        dropped, before = self._stream.dropped, self._stream.notices
        for number, line in enumerate(map(str.strip, text.split("\n")), 1):
            if line.startswith("["):
                self._take(events, answers)
                try:
                    answers += map(self._form.line, self._command(line))
                except InputError as error:
                    answers.append(self._refusal(number, error))
            elif line:
                self._count += 1
                events.append((number, self._count, line))
        self._take(events, answers)
        if self._stream.dropped > dropped:
            answers.append(json.dumps({"dropped": self._stream.dropped - dropped}))
        if notices := [each for each in self._stream.notices if each not in before]:
            answers.append(json.dumps({"notices": notices}, ensure_ascii=False))
        return "\n".join(answers)

    def _take(self, events: list[tuple[int, int, str]], answers: list[str]) -> None:
        """Answer lines of events, which are done then."""

        def refused(number: int, error: BothwaysError) -> None:
            answers.append(self._refusal(number, error))

        for found in self._form.labels(self._push, events, refused):
            answers += map(self._form.line, found)
        events.clear()

    def _command(self, line: str) -> list[Labeled]:
        try:
            command = orjson.loads(line)
        except orjson.JSONDecodeError:
            command = None
        match command:
            case ["flush"]:
                return self.ended(self._stream.flush())
            case ["close", key] if type(key) in (str, int, float):
                key = key.strip() if isinstance(key, str) else key  # as that of an event
                return self.ended(self._stream.close(key), key)
        raise InputError('A line is an event, an object; or ["close", KEY] or ["flush"].')

    def _push(self, keys: list[Any], steps: list[Any], values: list[Any]) -> list[Labeled]:
        new = {key: self._size + getsizeof(key) for key in keys if key not in self._sizes}
        if len(self._sizes) + len(new) > MOST_OPEN:
            raise InputError(f"{len(self._sizes):,} sequences are open; {MOST_OPEN:,} may be. Close some.")
        self._room.take(sum(new.values()))
        self._sizes |= new
        try:
            found = self._stream.push_many(keys, steps, values)
        except BothwaysError:
            self._forget(new)
            raise
        self.keys.update(keys)
        self.steps += len(keys)
        self._source.show(zip(keys, steps, values, strict=True), found)
        return found

    def ended(self, found: list[Labeled], key: Any = None) -> list[Labeled]:
        """Show the last labels of a sequence, None for all, and forget it."""
        self._source.show([], found)
        self._source.ended(key)
        self._forget(list(self._sizes) if key is None else [key])
        return found

    def _refusal(self, number: int, error: BothwaysError) -> str:
        self.refused += 1
        return json.dumps({"error": str(error), "line": number}, ensure_ascii=False)

    def _forget(self, keys: Iterable[Any]) -> None:
        self._room.give(sum(self._sizes.pop(key, 0) for key in keys))


@dataclass(eq=False)
class _Open:
    """A sequence that has begun."""

    served: Served
    stream: Stream
    source: Watched
    size: int  # how much of the room it takes
    last: list[Any] = field(default_factory=list)  # the place of its last step, if there is one
    steps: int = 0  # how many have come
    labeled: int = 0  # how many of them have labels
    heard: float = field(default_factory=time.monotonic)

    def outputs(self, ready: list[Labeled]) -> dict[str, Any]:
        """Labels that are ready, as the protocol has them, with the numbers of their steps."""
        classes = self.served.model.classes
        codes = np.array([classes.index(each.label) for each in ready], np.int64)
        p = np.array([each.probabilities for each in ready], np.float32).reshape(len(ready), len(classes))
        numbers = np.arange(self.labeled, self.labeled + len(ready))
        self.labeled += len(ready)
        return self.served.outputs(codes, p) | {"steps": ("INT64", numbers)}


class OpenSequences:
    """Sequences whose steps come in several requests: `sequence_id`, `sequence_start`, `sequence_end`.

    Each stays with the model that it began with, also if the file is replaced, and is forgotten when nothing has come
    for `idle` seconds.
    """

    def __init__(self, watching: Watching, room: Room, idle: float) -> None:
        self._watching, self._room, self._idle = watching, room, idle
        self._open: dict[tuple[str, Any], _Open] = {}
        self._streams: dict[Served, Stream] = {}
        self._lock = threading.Lock()

    def take(self, served: Served, parameters: Mapping[str, Any], steps: Steps) -> tuple[Served, dict[str, Any]]:
        """Take the steps of a request; the outputs are those of the steps whose labels are ready, with the numbers of
        these steps in the sequence, from 0, as `steps`. Raises InputError for a sequence that has not begun, for more
        than one at once, and for a model that cannot do it.
        """
        name = parameters["sequence_id"]
        for flag in ("sequence_start", "sequence_end"):
            if type(parameters.get(flag, False)) is not bool:
                raise InputError(f"{flag} must be true or false.")
        if type(name) not in (int, str):
            raise InputError("sequence_id must be text or a whole number.")
        if len(steps.lengths) != 1:
            raise InputError(f"There are {len(steps.lengths)} sequences in a request with a sequence_id; it takes one.")
        starts, ends = (parameters.get(flag, False) for flag in ("sequence_start", "sequence_end"))
        key, count = (served.name, name), steps.total
        with self._lock:
            known = self._known(served, name, starts)
            begun, first, last = (known.served, known.steps, known.last) if known else (served, 0, [])
            places, values = begun.events(steps, first)
            if any(place <= before for before, place in pairwise([*last, *places])):
                raise InputError("The order column must rise from step to step in a sequence that comes bit by bit.")
            known = known or self._begin(served, name)
            try:
                ready = known.stream.push_many([name] * count, places, values)
            except BothwaysError:
                if starts:  # it has not begun
                    self._end(key)
                raise
            known.steps, known.last, known.heard = known.steps + count, places[-1:] or last, time.monotonic()
            if ends:
                ready += known.stream.close(name)
            known.source.show(zip([name] * count, places, values, strict=True), ready)
            if ends:
                self._end(key)
            return known.served, known.outputs(ready)

    def _known(self, served: Served, name: Any, starts: bool) -> _Open | None:
        """The sequence of this name, None if it is to begin. Raises InputError if it has not, or may not."""
        known = self._open.get((served.name, name))
        if starts:
            if known is None and len(self._open) >= MOST_OPEN:
                raise InputError(f"{MOST_OPEN:,} sequences are open. End some.")
            return None
        if known is None:
            raise InputError(f"Sequence {name!r} has not begun here: send sequence_start with its first steps.")
        if known.served.metadata["inputs"] != served.metadata["inputs"]:
            raise InputError(f"Sequence {name!r} began with a model of other inputs, now replaced. Begin it again.")
        return known

    def _begin(self, served: Served, name: Any) -> _Open:
        """Open a sequence, in the place of one that has its name."""
        key = served.name, name
        if key in self._open:
            self._end(key)
        if served not in self._streams:
            self._streams[served] = served.model.stream()
        stream = self._streams[served]
        self._room.take(size := stream.key_bytes + getsizeof(name))
        self._open[key] = _Open(served, stream, self._watching.source(served), size)
        return self._open[key]

    def _end(self, key: tuple[str, Any]) -> None:
        """Forget a sequence."""
        known, name = self._open.pop(key), key[1]
        known.stream.close(name)
        known.source.ended()
        self._room.give(known.size)

    def forget(self) -> None:
        """Forget sequences of which nothing has come for long, and models that are replaced and have none."""
        with self._lock:
            for key, known in list(self._open.items()):
                if time.monotonic() - known.heard > self._idle:
                    self._end(key)
            used = {known.served for known in self._open.values()}
            self._streams = {served: stream for served, stream in self._streams.items() if served in used}
