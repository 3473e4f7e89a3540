"""Labeled tables: the columns of a table and, after them, what a model says of each row; written as they come."""

from __future__ import annotations

import os
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.io.plugins import register_io_source

from bothways.data.columns import Columns
from bothways.data.sources import FORMATS, OUTPUTS, Source, ending
from bothways.data.streams import Chunk, stream_sequences
from bothways.data.tables import explained, opened
from bothways.errors import DataError
from bothways.files import check_output, written_whole
from bothways.sequences import Numbers, Sequences

PREDICTED = "predicted"
PROBABILITY = "probability"

FORMULAS = ("=", "+", "-", "@")
"""Text that begins so is a formula to a spreadsheet."""


class LabeledWriter:
    """Writes the rows of a table with the columns `predicted` and `probability` after its own, whole or not at all.

    Memory does not grow with the table. If the block is left by an exception, what stood at `path` is untouched.

    Args:
        path: the file to write; its ending says what it is.
        classes: the labels, in the order of their codes.
        each: whether to write the probability of each class, too, as `probability of LABEL`.

    Attributes:
        rows: how many rows are written.
        sequences: how many sequences they form.
        counts: how many rows got each label, in the order of `classes`.

    Raises:
        InputError: as `check_output`.
        DataError: on leaving the block, where the system cannot write the file.

    Example:
        >>> import tempfile
        >>> from bothways.data.columns import Columns
        >>> def predict(sequences):
        ...     return np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path, labeled = Path(folder, "flows.csv"), Path(folder, "labeled.csv")
        ...     _ = path.write_text("flow,bytes\\na,12\\na,7\\n")
        ...     columns = Columns("attack", features=("bytes",), sequence="flow")
        ...     with LabeledWriter(labeled, ["calm", "attack"]) as writer:
        ...         writer.label(path, columns, predict)
        ...     print(labeled.read_text().split())
        ['flow,bytes,predicted,probability', 'a,12,calm,0.75', 'a,7,attack,0.5']
    """

    def __init__(self, path: str | os.PathLike[str], classes: Sequence[Any], each: bool = False) -> None:
        """Check that the file can be written."""
        self.path = check_output(path, OUTPUTS)
        self._classes = pl.Series(list(classes))
        self._each = [f"{PROBABILITY} of {label}" for label in classes] if each else []
        self._format = FORMATS[ending(self.path)]
        self._typed = self._format.fields != "fields"
        self._stack = ExitStack()
        self._sink: _Sink | None = None
        self._start()

    def __enter__(self) -> LabeledWriter:
        """Begin the file, under another name."""
        self._temporary = self._stack.enter_context(written_whole(self.path, DataError))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its name if all went well, else remove it."""
        with self._stack:
            if self._sink is not None:
                self._sink.close(whole=kind is None)
            self._stack.__exit__(kind, error, trace)

    @property
    def notices(self) -> list[str]:
        """What the user should know of the file."""
        risky = [name for name in self._classes if isinstance(name, str) and name.startswith(FORMULAS)]
        if self._typed or not risky:
            return []
        return [
            f"Careful: labels such as {risky[0]!r} are written as they are, and a spreadsheet takes them for formulas. "
            "Import that column as text."
        ]

    def label(
        self,
        source: Source,
        columns: Columns,
        predict: Callable[[Sequences], tuple[Numbers, npt.NDArray[np.float32]]],
        on_rows: Callable[[int], None] | None = None,
        **how: Any,
    ) -> None:
        """Label and write every row of a table."""
        for chunk in stream_sequences(source, columns, typed=self._typed, **how):
            self.write(chunk, *predict(chunk.sequences))
            if on_rows is not None:
                on_rows(self.rows)

    def write(self, chunk: Chunk, codes: Numbers, probabilities: npt.NDArray[np.float32]) -> None:
        """Write the rows of a chunk, as `label` does."""
        if chunk.anew:
            if self._sink is not None:
                self._sink.close(whole=False)
            self._start()
        frame = chunk.values if self._typed else chunk.frame
        for name in (PREDICTED, PROBABILITY, *self._each):
            if name in frame.columns:
                raise DataError(f"There is a column {name!r} already, which the predictions would take. Rename it.")
        codes, p = chunk.sequences.by_row(codes), chunk.sequences.by_row(probabilities)
        labeled = frame.with_columns(
            self._classes.gather(codes).alias(PREDICTED),
            pl.Series(PROBABILITY, p[np.arange(len(p)), codes], dtype=pl.Float32),
            *(pl.Series(name, p[:, code], dtype=pl.Float32) for code, name in enumerate(self._each)),
        )
        if self._sink is None:
            if self._format.write is None:
                self._sink = _Parquet(self._temporary, labeled.schema)
            else:
                self._sink = _Lines(opened(self.path, self._temporary), self._format.write)
        with explained(self.path):
            self._sink.write(labeled)
        self.rows += frame.height
        self.sequences += len(chunk.sequences)
        self.counts += np.bincount(codes, minlength=len(self.counts))

    def _start(self) -> None:
        self._sink = None
        self.rows = self.sequences = 0
        self.counts = np.zeros(len(self._classes), np.int64)


class _Sink(Protocol):
    """Takes frames of one schema, and puts them into a file one after the other."""

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows."""

    def close(self, *, whole: bool) -> None:
        """End the file; without `whole` it need not be one that can be read."""


class _Lines:
    """A file of lines, to which frames are added as they come."""

    def __init__(self, file: BinaryIO, add: Callable[[pl.DataFrame, BinaryIO, bool], None]) -> None:
        self._file = file
        self._add = add
        self._first = True

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows."""
        self._add(frame, self._file, self._first)
        self._first = False

    def close(self, *, whole: bool) -> None:
        """End the file."""
        self._file.close()


class _Parquet:
    """A Parquet file that a thread of its own writes, while the next frame is made."""

    def __init__(self, path: Path, schema: pl.Schema) -> None:
        self._frames: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=1)
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, args=(path, schema), daemon=True)
        self._thread.start()

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows."""
        self._put(frame)

    def close(self, *, whole: bool) -> None:
        """End the file."""
        self._stopped = not whole
        if self._thread.is_alive():
            if whole:
                self._put(None)
            else:
                # The queue may be full; whoever reads it stops at the next frame.
                while self._thread.is_alive():
                    try:
                        self._frames.put(None, timeout=0.05)
                    except queue.Full:
                        continue
                    break
        self._thread.join()
        if whole and self._error is not None:
            raise self._error

    def _put(self, frame: pl.DataFrame | None) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._frames.put(frame, timeout=0.2)
                return
            except queue.Full:
                continue

    def _run(self, path: Path, schema: pl.Schema) -> None:
        def frames(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            while not self._stopped and (frame := self._frames.get()) is not None:
                yield frame

        try:
            lazy = register_io_source(frames, schema=schema)
            lazy.sink_parquet(path, compression="zstd", compression_level=1, statistics=False)
        except pl.exceptions.PolarsError as error:
            # Polars tells of a full disk in words.
            code = re.search(r"\(os error (\d+)\)", str(error))
            self._error = error if code is None else OSError(int(code[1]), os.strerror(int(code[1])))
        except BaseException as error:
            self._error = error
