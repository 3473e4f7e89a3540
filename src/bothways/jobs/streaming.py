"""Label events as they come, JSON lines in and out, so that a process that is killed can go on where it was."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import select
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, BinaryIO

from bothways import interrupts, store
from bothways.errors import DataError, InputError, counted, option
from bothways.files import locked, written_whole
from bothways.jobs.event_lines import EventLines
from bothways.stream import Labeled, Stream
from bothways.tables.sources import LABELED, ending

STANDARD = "-"  # names the standard input, or output
LONGEST_LINE = 1 << 26  # bytes: a longer one is no event
BLOCK = 1 << 20  # bytes that are read at once, or fewer if no more are there
CHECKPOINT_EVERY = 1.0  # seconds
KEPT = ("lines", "labels", "skipped", "first_bad")  # what a checkpoint keeps of a run as it is


@dataclass(frozen=True)
class Streaming:
    """What labeling events gave, all of it also before restarts."""

    events: int  # how many came
    labels: int  # how many labels were written
    dropped: int  # how many events were late or came twice
    skipped: int = 0  # how many lines were no events


def stream(
    model: str | Path,
    events: str | Path = STANDARD,
    output: str | Path = STANDARD,
    *,
    key: str | None = None,
    step: str | None = None,
    checkpoint: str | Path | None = None,
    skip_bad: bool = False,
    say: Callable[[str], None] = print,
    **pace: Any,
) -> Streaming:
    """Label events, one JSON object a line, as they come; each label is a line with its key and step.

    An object has the columns of the table that the model learned from, or for a model of arrays "values". `key` names
    what tells sequences apart, and `step` the place in a sequence, a number or a time; those of the model count if not
    given. Without a key all is one sequence, without a step it is the number of the line. What is read at once is
    labeled at once, and nothing more is read before the labels are written. The events may be compressed (.gz); "-" is
    the standard input or output. `lookahead`, `chunk`, `reorder` and `idle` are those of `bothways.stream.Stream`.

    A checkpoint is written each second, and before a signal or a bad line ends it. The same command goes on from there:
    the same events must be there again from the beginning, and the output is cut where the checkpoint was made. A line
    that is no event for the model is a `DataError` once the events before it are labeled, unless bad lines are skipped.
    Without a checkpoint all sequences end there, as they do at a signal.
    """
    loaded = store.load(model)
    labeler = loaded.stream(**pace)
    cannot_be_cut = str(output) == STANDARD or (Path(output).exists() and not Path(output).is_file())
    if checkpoint is not None and cannot_be_cut:
        raise InputError(f"A checkpoint needs an output to cut: give a file, {option('output', 'NAME.jsonl')}.")
    _check_files(model, events, output, checkpoint)
    checkpoint, saved = None if checkpoint is None else Path(checkpoint), None
    with _told("standard output" if str(output) == STANDARD else output, "written"), ExitStack() as stack:
        read, waits = _source(events, stack)
        if checkpoint is not None:
            stack.enter_context(locked(checkpoint))
            saved = stack.enter_context(_opened(checkpoint, "rb")).read() if checkpoint.exists() else None
        if saved is not None and not Path(output).exists():
            raise InputError(
                f"{checkpoint}: this checkpoint goes on with {output}, which is not there. Put it back, or remove the "
                "checkpoint to start anew."
            )
        if str(output) == STANDARD:
            if sys.__stdout__ is None:
                raise DataError("Standard output is closed; give the labels a file with --output.")
            target = sys.stdout.buffer
        else:
            target = stack.enter_context(_opened(output, "wb" if saved is None else "r+b"))
        form = EventLines(loaded, key, step)
        run = _Run(form, labeler, read, waits, target, checkpoint, skip_bad)
        if saved is not None:
            run.resume(saved, str(checkpoint))
        try:
            run.all()
        finally:
            for notice in (*run.notices, *labeler.notices):
                say(notice)
    return Streaming(labeler.events, run.labels, labeler.dropped, run.skipped)


@dataclass(eq=False)
class _Run:
    """One pass over the events: how many `labels` were written, and how many lines were no events and `skipped`."""

    form: EventLines
    stream: Stream
    read_some: Callable[[int], bytes]
    waits: int | None
    target: BinaryIO
    checkpoint: Path | None
    skip_bad: bool
    read: int = 0
    lines: int = 0
    labels: int = 0
    skipped: int = 0
    first_bad: str = ""
    seen: Any = field(default_factory=hashlib.sha256)  # the digest of what was read
    saved: int = 0  # how much was read at the last checkpoint
    last: float = field(default_factory=time.monotonic)  # when that was
    stop: interrupts.Stop = field(default_factory=interrupts.Stop)

    @property
    def notices(self) -> list[str]:
        """What was skipped and, if a signal ended the run, what was dropped; in words."""
        said = []
        if self.skipped:
            lines = counted(self.skipped, "line was no event", "lines were no events")
            said.append(f"{lines} for this model, and skipped. The first: {self.first_bad}")
        if self.stop.requested and self.stream.dropped:
            said.append(f"{counted(self.stream.dropped, 'event was', 'events were')} late or came twice, and dropped.")
        return said

    def resume(self, saved: bytes, name: str) -> None:
        """Go on where a checkpoint was made."""
        line, _, rest = saved.partition(b"\n")
        mark, _, state = rest.partition(b"\n")
        try:
            if mark != _mark(line):
                raise ValueError("It is damaged.")
            facts = json.loads(line)
            if facts.get("fields", self.form.fields) != self.form.fields:
                raise ValueError(f"Its key and step were {' and '.join(map(repr, facts['fields']))}.")
            self.stream.load(state)
            read, written, seen = facts["read"], facts["written"], facts["seen"]
            for fact in KEPT:
                setattr(self, fact, facts[fact])
        except (InputError, ValueError, KeyError) as error:
            raise InputError(f"{name}: this checkpoint is of no use here; remove it to start anew. {error}") from None
        while self.read < read:
            if not (skipped := self.read_some(min(BLOCK, read - self.read))):
                raise DataError(
                    f"{name}: the events end before the place of this checkpoint. Give the same ones again."
                )
            self.read += len(skipped)
            self.seen.update(skipped)
        if seen != self.seen.hexdigest():
            raise DataError(
                f"{name}: the events before the place of this checkpoint are not those that were read. Give the same "
                "ones from their beginning, or remove the checkpoint and the output to start anew."
            )
        self.saved = self.read
        if self.target.seek(0, os.SEEK_END) < written:
            raise DataError(f"{name}: the output is shorter than it was at this checkpoint. Remove both to start anew.")
        self.target.truncate(written)
        self.target.seek(written)

    def all(self) -> None:
        """Label what comes, to the end; or until a signal asks for it, when what is needed to go on is saved.

        Without a checkpoint all sequences end there, and with a line that is no event.
        """
        try:
            with interrupts.deferred(signal.SIGTERM) as self.stop:
                self.stop.keeping = True
                for lines in self._blocks():
                    self._label(lines)
                    if self.stop.requested:
                        break
                    if self._due() <= 0:
                        self._save()
        except KeyboardInterrupt:
            if not self.stop.requested:  # somebody else handles Ctrl-C, and it came anywhere
                raise
        except DataError:
            self._keep()
            raise
        if self.stop.requested:
            self._keep()
            raise SystemExit(interrupts.TERMINATED) if self.stop.number == signal.SIGTERM else KeyboardInterrupt
        self._write(self.stream.flush())
        if self.checkpoint is not None:
            os.fsync(self.target.fileno())
            self.checkpoint.unlink(missing_ok=True)

    def _keep(self) -> None:
        """Save what is needed to go on, or end all sequences."""
        if self.checkpoint is None:
            self._write(self.stream.flush())
        else:
            self._save()
            if self.stop.requested:
                interrupts.kept = f"The same command goes on where it was, by {self.checkpoint}."

    def _due(self) -> float:
        """In how many seconds a checkpoint is due; infinite as long as nothing has come since the last one."""
        if self.checkpoint is None or self.read == self.saved:
            return inf
        return self.last + CHECKPOINT_EVERY - time.monotonic()

    def _blocks(self) -> Iterator[list[bytes]]:
        """Whole lines with their ends, as many as are there; none of them if a checkpoint is due and nothing comes."""
        rest, size = list[bytes](), 0  # joined when the line ends: to add to a long one takes a copy of it each time
        while (block := self._next()) != b"":
            whole, end, begun = (block or b"").rpartition(b"\n")
            if end:
                yield io.BytesIO(b"".join([*rest, whole, end])).readlines()
                rest, size = [], 0
            elif block is None:
                yield []
            rest.append(begun)
            size += len(begun)
            if size > LONGEST_LINE:
                raise DataError(f"Line {self.lines + 1:,} has more than {LONGEST_LINE >> 20} MiB, so it is no event.")
        if size:
            yield [b"".join(rest)]

    def _next(self) -> bytes | None:
        """What comes next; nothing at the end, None if it does not come before a checkpoint is due."""
        self.stop.raises = True
        try:
            if self.stop.requested:
                raise KeyboardInterrupt
            due = self._due()
            if self.waits is not None and due < inf and not select.select([self.waits], [], [], max(0, due))[0]:
                return None
            return self.read_some(BLOCK)
        finally:
            self.stop.raises = False

    def _label(self, lines: list[bytes]) -> None:
        """Write the labels that lines make ready."""

        def refused(number: int, error: DataError) -> None:
            if not self.skip_bad:
                self._done(lines[: number - 1 - self.lines])
                raise DataError(f"{error} To go on after such lines, add {option('skip_bad', True)}.")
            self.skipped += 1
            self.first_bad = self.first_bad or str(error)

        numbered = ((number, number, line) for number, line in enumerate(lines, self.lines + 1))
        for labeled in self.form.labels(self.stream.push_many, numbered, refused):
            self._write(labeled)
        self._done(lines)

    def _done(self, lines: list[bytes]) -> None:
        """Count lines as read."""
        whole = b"".join(lines)
        self.seen.update(whole)
        self.lines, self.read = self.lines + len(lines), self.read + len(whole)

    def _write(self, labeled: list[Labeled]) -> None:
        self.labels += len(labeled)
        lines = [self.form.line(each) + "\n" for each in labeled]
        self.target.write("".join(lines).encode())
        self.target.flush()

    def _save(self) -> None:
        assert self.checkpoint is not None
        os.fsync(self.target.fileno())
        facts = {"read": self.read, "seen": self.seen.hexdigest(), "written": self.target.tell()}
        facts |= {"fields": self.form.fields} | {fact: getattr(self, fact) for fact in KEPT}
        with written_whole(self.checkpoint, DataError) as temporary:
            line = json.dumps(facts).encode()
            temporary.write_bytes(b"\n".join([line, _mark(line), self.stream.save()]))
        self.saved, self.last = self.read, time.monotonic()


@contextmanager
def _told(name: str | Path, what: str) -> Iterator[None]:
    """Say that a file cannot be read or the like, but nothing to whom has read enough of an output."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"{name}: cannot be {what} ({error.strerror}).") from None


def _mark(line: bytes) -> bytes:
    """By which it is seen that a line is as it was written."""
    return hashlib.sha256(line).hexdigest().encode()


def _check_files(model: str | Path, events: str | Path, output: str | Path, checkpoint: str | Path | None) -> None:
    """Refuse one file for two things, or an output that is to hold no lines of JSON, before any of them is written."""
    kind = ending(Path(output))
    if kind.endswith(".gz") or kind in {*LABELED} - {".jsonl", ".ndjson"}:
        raise InputError(f"{output}: the labels of a stream are lines of JSON; call their file NAME.jsonl.")
    known = {"the model": model, "the events": events}
    for what, path in (("the labels", output), ("the checkpoint", checkpoint)):
        if path is None or str(path) == STANDARD:
            continue
        for other, taken in known.items():
            if str(taken) != STANDARD and _is_same(Path(path), Path(taken)):
                raise InputError(f"{path}: this is the file of {other}; name another one for {what}.")
        known[what] = path


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def _source(events: str | Path, stack: ExitStack) -> tuple[Callable[[int], bytes], int | None]:
    """What reads bytes of the events, as many as are there, and the descriptor that tells whether some are."""
    if str(events) == STANDARD:
        if sys.stdin is None:
            raise DataError("Standard input is closed; send events to it, or name their file.")
        descriptor = sys.stdin.fileno()
        return partial(_read, "standard input", partial(os.read, descriptor)), descriptor
    file = stack.enter_context(_opened(events, "rb"))
    if str(events).lower().endswith(".gz"):
        return partial(_read, events, stack.enter_context(gzip.GzipFile(fileobj=file)).read1), None
    return partial(_read, events, partial(os.read, file.fileno())), file.fileno()


def _read(name: str | Path, read: Callable[[int], bytes], size: int) -> bytes:
    with _told(name, "read"):
        try:
            return read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise DataError(f"{name}: this file is not compressed by gzip, or damaged or cut short.") from None


def _opened(path: str | Path, mode: str) -> Any:
    with _told(path, "opened"):
        return open(path, mode)  # noqa: PTH123
