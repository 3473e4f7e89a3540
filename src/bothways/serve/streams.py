"""Sequences whose steps come bit by bit: in several requests of the protocol, or over a WebSocket."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import orjson

from bothways.errors import InputError
from bothways.jobs.streaming import EventLines
from bothways.serve.models import Served, Steps
from bothways.serve.watching import Watched, Watching
from bothways.stream import Labeled, Stream

MOST_OPEN = 10_000  # how many sequences may be open at once in requests of the protocol, and in a WebSocket
IDLE_SECONDS = 600.0  # a sequence of the protocol of which nothing has come for so long is forgotten


class Events:
    """Events as lines of JSON to labels as such lines, as `bothways stream` has them.

    An event is an object with the columns of the table that the model learned from; for a model of arrays, with `key`,
    `step` and `values`. `["close", KEY]` ends a sequence, `["flush"]` all of them.

    Args:
        served: the model.
        lookahead: how many later steps each label sees.
        source: shows them to those who watch.

    Raises:
        InputError: a model that cannot label streams, or a lookahead out of its range.
    """

    def __init__(self, served: Served, lookahead: int, source: Watched) -> None:
        self._stream, self._form, self._count = served.model.stream(lookahead), EventLines(served.model), 0
        self._source = source

    def labeled(self, text: str) -> str:
        """The labels that events make ready, a line for each.

        Raises:
            InputError: a line that is neither an event nor a command; those before a command may have been taken.
            DataError: an event that the model cannot read.
        """
        found: list[Labeled] = []
        events: list[tuple[Any, Any, Any]] = []
        for line in filter(None, map(str.strip, text.splitlines())):
            if not line.startswith("["):
                self._count += 1
                if (event := self._form.event(line, self._count)) is not None:
                    events.append(event)
                continue
            found += self._push(events)
            events = []
            match _command(line):
                case ["flush"]:
                    found += self._ended(self._stream.flush())
                case ["close", str() | int() | float() as key]:
                    found += self._ended(self._stream.close(key), key)
                case _:
                    raise InputError('A line is an event, an object; or ["close", KEY] or ["flush"].')
        return "\n".join(map(self._form.line, found + self._push(events)))

    def _push(self, events: list[tuple[Any, Any, Any]]) -> list[Labeled]:
        if not events:
            return []
        if len(self._stream) + len({key for key, _, _ in events}) > MOST_OPEN:
            raise InputError(f"{len(self._stream):,} sequences are open; {MOST_OPEN:,} may be. Close some.")
        found = self._stream.push_many(*map(list, zip(*events, strict=True)))
        self._source.show(events, found)
        return found

    def _ended(self, found: list[Labeled], key: Any = None) -> list[Labeled]:
        self._source.show([], found)
        self._source.ended(key)
        return found


def _command(line: str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


@dataclass(eq=False)
class _Open:
    """A sequence that has begun: its model, the last step's place, how many steps came and are labeled, and when."""

    served: Served
    source: Watched
    last: Any = None
    steps: int = 0
    labeled: int = 0
    heard: float = field(default_factory=time.monotonic)


class OpenSequences:
    """Sequences whose steps come in several requests: `sequence_id`, `sequence_start`, `sequence_end`.

    Each stays with the model that it began with, also if the file is replaced.

    Args:
        watching: who watches them.
    """

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._open: dict[tuple[str, Any], _Open] = {}
        self._streams: dict[Served, Stream] = {}
        self._lock = threading.Lock()

    def take(self, served: Served, parameters: Mapping[str, Any], steps: Steps) -> tuple[Served, dict[str, Any]]:
        """Take the steps of a request; the outputs are those of the steps whose labels are ready.

        Beside labels and probabilities there is `steps`, the numbers of these steps in the sequence, from 0.

        Raises:
            InputError: a sequence that has not begun, more than one sequence at once, or a model that cannot do it.
        """
        name = parameters["sequence_id"]
        if type(name) not in (int, str):
            raise InputError("sequence_id must be text or a whole number.")
        if len(steps.lengths) != 1:
            raise InputError(f"There are {len(steps.lengths)} sequences in a request with a sequence_id; it takes one.")
        key = served.name, name
        with self._lock:
            known = self._open.get(key)
            if parameters.get("sequence_start") is True:
                if known is not None:
                    self._streams[known.served].close(name)
                    known.source.ended()
                elif len(self._open) >= MOST_OPEN:
                    raise InputError(f"{MOST_OPEN:,} sequences are open. End some.")
                if served not in self._streams:
                    self._streams[served] = served.model.stream()
                known = self._open[key] = _Open(served, self._watching.source(served))
            if known is None:
                raise InputError(f"Sequence {name!r} has not begun here: send sequence_start with its first steps.")
            stream = self._streams[known.served]
            count = steps.total
            places, values = known.served.events(steps, known.steps)
            if any(place <= last for last, place in pairwise([known.last, *places] if known.steps else places)):
                raise InputError("The order column must rise from step to step in a sequence that comes bit by bit.")
            ready = stream.push_many([name] * count, places, values)
            known.steps, known.last, known.heard = known.steps + count, places[-1], time.monotonic()
            if parameters.get("sequence_end") is True:
                ready += stream.close(name)
                del self._open[key]
            known.source.show(zip([name] * count, places, values, strict=True), ready)
            if key not in self._open:
                known.source.ended()
            p = np.array([each.probabilities for each in ready], np.float32)
            p = p.reshape(len(ready), len(known.served.model.classes))
            numbers = np.arange(known.labeled, known.labeled + len(ready))
            known.labeled += len(ready)
            return known.served, known.served.outputs(known.served.model.decide(p), p) | {"steps": ("INT64", numbers)}

    def forget(self) -> None:
        """Forget sequences of which nothing has come for long, and models that are replaced and have none."""
        with self._lock:
            for (name, key), known in list(self._open.items()):
                if time.monotonic() - known.heard > IDLE_SECONDS:
                    self._streams[known.served].close(key)
                    known.source.ended()
                    del self._open[name, key]
            used = {known.served for known in self._open.values()}
            self._streams = {served: stream for served, stream in self._streams.items() if served in used}
