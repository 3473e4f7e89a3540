"""What flows through the streams of a server, for those who watch: as much as they keep up with."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import orjson

from bothways.errors import InputError
from bothways.serve.models import Served
from bothways.stream import Labeled

MOST_WATCHERS = 16  # how many may watch at once

MOST_BEHIND = 1_000_000
"""How many bytes wait for a watcher at most, so that no message is larger than the MiB that clients take; what comes
beyond that is left out."""

MOST_INPUTS = 12  # how many inputs of a step are shown, which is what the page draws
MOST_TEXT = 100  # how many characters of a text are shown
Event = tuple[Any, Any, Any]  # key, step and values


class Watcher:
    """What one who watches a model has not been sent yet."""

    def __init__(self, served: Served) -> None:
        self.served, self._lock = served, threading.Lock()
        self._lines: list[bytes] = []
        self._size = self._missed = 0

    @property
    def room(self) -> int:
        """How many bytes there is room for."""
        return MOST_BEHIND - self._size

    def put(self, lines: Sequence[bytes], missed: int) -> None:
        """Keep lines as long as there is room; `missed` and the others are counted."""
        with self._lock:
            for i, line in enumerate(lines):
                if len(line) >= self.room:
                    missed += len(lines) - i
                    break
                self._lines.append(line)
                self._size += len(line) + 1
            self._missed += missed

    def take(self) -> str:
        """What has come since the last time, as lines of JSON."""
        with self._lock:
            lines, missed = self._lines, self._missed
            self._lines, self._size, self._missed = [], 0, 0
        if missed:
            lines.append(b'{"missed":%d}' % missed)
        return b"\n".join(lines).decode()


class Watching:
    """Who watches which model; only the loop changes that."""

    def __init__(self) -> None:
        self._watchers: tuple[Watcher, ...] = ()
        self._numbers = itertools.count()

    @contextmanager
    def watcher(self, served: Served) -> Iterator[Watcher]:
        """Watch a model; raises InputError if it gives one label per sequence, or too many watch already."""
        if not served.per_step:
            raise InputError("This model gives one label per sequence, so that there are no streams to watch.")
        if len(self._watchers) == MOST_WATCHERS:
            raise InputError(f"{MOST_WATCHERS} watch already; more cannot.")
        watcher = Watcher(served)
        self._watchers = (*self._watchers, watcher)
        try:
            yield watcher
        finally:
            self._watchers = tuple(each for each in self._watchers if each is not watcher)

    def of(self, served: Served) -> list[Watcher]:
        """Those who watch a model."""
        return [watcher for watcher in self._watchers if watcher.served is served]

    def source(self, served: Served) -> Watched:
        """A stream that can be watched from now on."""
        return Watched(self, served, next(self._numbers))


class Watched:
    """A stream that can be watched. It costs next to nothing where nobody does, and waits for nobody."""

    def __init__(self, watching: Watching, served: Served, number: int) -> None:
        self._watching, self._served, self._number = watching, served, number
        model, columns = served.model, served.model.table
        self._codes = {label: code for code, label in enumerate(model.classes)}
        self._names: list[str] | None = None
        if columns is not None:
            self._names = [*columns.numbers, *columns.categories][:MOST_INPUTS]

    def show(self, events: Iterable[Event], labels: Sequence[Labeled]) -> None:
        """Show events that have been taken, and labels that have become ready; of too many the first ones."""
        if not (watchers := self._watching.of(self._served)):
            return
        events, lines, size = list(events), list[bytes](), 0
        room = max(watcher.room for watcher in watchers)
        for some, most in ((map(self._event, events), room // 2), (map(self._label, labels), room)):
            for line in some:
                if size + len(line) >= most:
                    break
                lines.append(line)
                size += len(line) + 1
        for watcher in watchers:
            watcher.put(lines, len(events) + len(labels) - len(lines))

    def ended(self, key: Any = None) -> None:
        """Say that a sequence has ended; None for all of this stream."""
        line = {"stream": self._number, "ended": None if key is None else _text(key)}
        for watcher in self._watching.of(self._served):
            watcher.put([orjson.dumps(line)], 0)

    def _event(self, event: Event) -> bytes:
        key, step, values = event
        if self._names is None:
            inputs = np.asarray(values, np.float64)[:MOST_INPUTS].tolist()
        else:
            inputs = [_shown(values.get(name)) for name in self._names]
        return orjson.dumps({"stream": self._number, "key": _text(key), "step": _text(step), "inputs": inputs})

    def _label(self, labeled: Labeled) -> bytes:
        key, step, label, p = labeled
        code = self._codes[label]
        line = {"stream": self._number, "key": _text(key), "step": _text(step)}
        return orjson.dumps(line | {"code": code, "probability": round(p[code], 5)})


def _text(value: Any) -> str:
    """A key or a step, to be read by people."""
    return (value.isoformat() if isinstance(value, datetime) else str(value))[:MOST_TEXT]


def _shown(value: Any) -> float | int | str | None:
    """A field, as JSON and a page have it."""
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 53):
        return value
    return str(value)[:MOST_TEXT]
