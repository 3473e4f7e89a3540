"""Label events as they come, JSON lines in and out, so that a process that is killed can go on where it was."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from bothways import store
from bothways.errors import DataError, InputError, option
from bothways.files import locked, written_whole
from bothways.runtime import Model
from bothways.stream import Labeled, Stream

STANDARD = "-"  # names the standard input, or output
BLOCK = 1 << 20  # so many bytes are read at once, or less if no more are there
CHECKPOINT_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class Streaming:
    """What labeling events gave.

    Attributes:
        events: how many came, those before a restart included.
        labels: how many labels this run wrote.
        dropped: how many events were late or came twice.
    """

    events: int
    labels: int
    dropped: int


def stream(
    model: str | Path,
    events: str | Path = STANDARD,
    output: str | Path = STANDARD,
    *,
    key: str | None = None,
    step: str | None = None,
    checkpoint: str | Path | None = None,
    say: Callable[[str], None] = print,
    **pace: Any,
) -> Streaming:
    """Label events, one JSON object a line, as they come; each label is a line with its key and step.

    What is read at once is labeled at once, and nothing more is read before the labels are written.

    Args:
        model: the file of the model.
        events: the file to read, or "-" for the standard input. An object has the columns of the table that the model
            learned from, or for a model of arrays "values".
        output: the file to write, or "-" for the standard output.
        key: the name that tells sequences apart; that of the model if not given. Without any, all is one sequence.
        step: the name of the place of a step in its sequence, a number or a time as in ISO 8601; that of the model if
            not given. Without any, it is the number of the line.
        checkpoint: a file that is written each second, and from which the same command goes on after it was killed. The
            same events must be there again from the beginning; the output is cut where the checkpoint was made.
        say: is called with whatever the user should know.
        pace: `lookahead`, `chunk`, `reorder` and `idle`, as for `bothways.stream.Stream`.

    Raises:
        ModelFileError: the model cannot be read.
        DataError: a line that is no event for the model; names it.
        InputError: an argument out of its range, or a checkpoint of another model or stream.

    Example:
        >>> stream("nowhere.bothways", "events.jsonl")
        Traceback (most recent call last):
        bothways.errors.ModelFileError: nowhere.bothways: no such file.
    """
    loaded = store.load(model)
    labeler = loaded.stream(**pace)
    if checkpoint is not None and str(output) == STANDARD:
        raise InputError(
            f"A checkpoint is for an output that can be cut: give a file, {option('output', 'NAME.jsonl')}."
        )
    with ExitStack() as stack:
        source = sys.stdin.fileno() if str(events) == STANDARD else stack.enter_context(_opened(events, "rb")).fileno()
        if checkpoint is not None:
            stack.enter_context(locked(Path(checkpoint)))
        saved = None if checkpoint is None or not Path(checkpoint).exists() else Path(checkpoint).read_bytes()
        target = sys.stdout.buffer
        if str(output) != STANDARD:
            target = stack.enter_context(_opened(output, "wb" if saved is None else "r+b"))
        run = _Run(loaded, labeler, source, target, key, step)
        if saved is not None:
            run.resume(saved, str(checkpoint))
        run.all(None if checkpoint is None else Path(checkpoint))
    for notice in labeler.notices:
        say(notice)
    return Streaming(labeler.events, run.labels, labeler.dropped)


class EventLines:
    """Events out of lines of JSON, and labels as such lines.

    Args:
        model: what labels them.
        key: as for `stream`, and so is `step`.
        step: see there.

    Example:
        >>> import numpy as np
        >>> from bothways.network import Network
        >>> from bothways.runtime import Member
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> lines = EventLines(Model([Member(network, weights)], classes=("quiet", "alarm")))
        >>> lines.event('{"key": "a", "step": 7, "values": [0.5]}', 1)
        ('a', 7, [0.5])
        >>> lines.line(Labeled("a", 7, "alarm", [0.25, 0.75]))
        '{"key": "a", "step": 7, "predicted": "alarm", "probability": 0.75}'
    """

    def __init__(self, model: Model, key: str | None = None, step: str | None = None) -> None:
        columns = model.columns if model.columns is not None and model.columns.label else None
        self._table = columns is not None
        self._key = key or (columns.sequence if columns else "key")
        self._step = step or (columns.order if columns else "step")
        self._places = {label: place for place, label in enumerate(model.classes)}

    def event(self, line: bytes | str, number: int) -> tuple[Any, Any, Any] | None:
        """The key, the step and the values that the line of this number holds; None if it is empty.

        Raises:
            DataError: it is no event.
        """
        if not line.strip():
            return None
        try:
            event = json.loads(line)
            key = event[self._key] if self._key else ""
            step = event[self._step] if self._step else number
            if not isinstance(key, (str, int, float)):
                raise TypeError(f"{self._key!r} is {key!r}, which names no sequence")
            step = datetime.fromisoformat(step) if isinstance(step, str) else step
            return key, step, event if self._table else event["values"]
        except KeyError as missing:
            raise DataError(f"Line {number:,} has no {missing}; an event needs it.") from None
        except json.JSONDecodeError as error:
            raise DataError(f"Line {number:,} is no JSON: {error.msg} at character {error.pos + 1}.") from None
        except (ValueError, TypeError) as error:
            raise DataError(f"Line {number:,} is no event: {error}.") from None

    def line(self, labeled: Labeled) -> str:
        """A label with its key and step."""
        key, step, label, p = labeled
        line = {} if self._key is None else {self._key: key}
        line |= {self._step or "line": step.isoformat() if isinstance(step, datetime) else step}
        return json.dumps(line | {"predicted": label, "probability": round(p[self._places[label]], 6)})


class _Run:
    """One pass over the events."""

    def __init__(
        self, model: Model, stream: Stream, source: int, target: BinaryIO, key: str | None, step: str | None
    ) -> None:
        self._stream, self._source, self._target = stream, source, target
        self._form = EventLines(model, key, step)
        self._read = self._lines = self.labels = 0

    def resume(self, saved: bytes, name: str) -> None:
        """Go on where a checkpoint was made."""
        line, _, state = saved.partition(b"\n")
        try:
            self._stream.load(state)
            facts = json.loads(line)
        except (InputError, ValueError) as error:
            raise InputError(f"{name}: this checkpoint is of no use here; remove it to start anew. {error}") from None
        self._lines, written = facts["lines"], facts["written"]
        while self._read < facts["read"]:
            if not (skipped := os.read(self._source, min(BLOCK, facts["read"] - self._read))):
                raise DataError(
                    f"{name}: the events end before the place of this checkpoint. Give the same ones again."
                )
            self._read += len(skipped)
        if self._target.seek(0, os.SEEK_END) < written:
            raise DataError(f"{name}: the output is shorter than it was at this checkpoint. Remove both to start anew.")
        self._target.truncate(written)
        self._target.seek(written)

    def all(self, checkpoint: Path | None) -> None:
        """Label what comes, to the end."""
        last = time.monotonic()
        for lines in self._blocks():
            self._write(self._labeled(lines))
            if checkpoint is not None and time.monotonic() - last >= CHECKPOINT_EVERY:
                self._save(checkpoint)
                last = time.monotonic()
        self._write(self._stream.flush())
        if checkpoint is not None:
            os.fsync(self._target.fileno())
            checkpoint.unlink(missing_ok=True)

    def _blocks(self) -> Iterator[list[bytes]]:
        """Whole lines, as many as are there; `_read` counts the bytes of those that were given."""
        rest = b""
        while block := os.read(self._source, BLOCK):
            whole, end, rest = (rest + block).rpartition(b"\n")
            if end:
                self._read += len(whole) + 1
                yield whole.split(b"\n")
        if rest:
            self._read += len(rest)
            yield [rest]

    def _labeled(self, lines: list[bytes]) -> list[Labeled]:
        """The labels that lines make ready."""
        first = self._lines + 1
        events = []
        for line in lines:
            self._lines += 1
            if (event := self._form.event(line, self._lines)) is not None:
                events.append(event)
        try:
            return self._stream.push_many(*map(list, zip(*events, strict=True))) if events else []
        except (DataError, InputError) as error:
            raise DataError(f"In the lines from {first:,} to {self._lines:,}: {error}") from None

    def _write(self, labeled: list[Labeled]) -> None:
        self.labels += len(labeled)
        lines = [self._form.line(each) + "\n" for each in labeled]
        self._target.write("".join(lines).encode())
        self._target.flush()

    def _save(self, checkpoint: Path) -> None:
        os.fsync(self._target.fileno())
        facts = {"read": self._read, "lines": self._lines, "written": self._target.tell()}
        with written_whole(checkpoint, DataError) as temporary:
            temporary.write_bytes(json.dumps(facts).encode() + b"\n" + self._stream.save())


def _opened(path: str | Path, mode: str) -> Any:
    try:
        return open(path, mode)  # noqa: PTH123
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}).") from None
