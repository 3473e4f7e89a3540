"""Labeled tables: the columns of a table and, after them, what a model says of each row; written as they come."""

from __future__ import annotations

import errno
import gzip
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from contextvars import copy_context
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from bothways.data.columns import Columns
from bothways.data.streams import Chunk, stream_sequences
from bothways.errors import DataError
from bothways.files import check_output, written_whole
from bothways.sequences import Floats, Numbers, Sequences
from bothways.tables import csv_files
from bothways.tables.conll_files import CONLLU, MARK, new_lines
from bothways.tables.opening import BROKEN
from bothways.tables.sources import FORMATS, LABELED, OUTPUTS, Files, Source, ending, find_files
from bothways.tables.words import SENTENCE, Learned, Pieces, word_column

PREDICTED = "predicted"
PROBABILITY = "probability"

OTHERS = "Write a .jsonl, .csv or .parquet file."

FORMULA = "[=+@-]."  # how text begins that is a formula to a spreadsheet; the normal of some logs, - alone, is none


class LabeledWriter:
    """Writes the rows of a table with the columns `predicted` and `probability` after its own, whole or not at all.

    The ending of `path` says what the file is. `classes` are the labels in the order of their codes; with `each`, the
    probability of each class is written, too, as `probability of LABEL`.

    CoNLL files and JSON lines are written as they came, if the file is of the same kind: CoNLL with the label in its
    column, or in one more column; JSON lines with further keys, of lists in sentences. Other sentences become new CoNLL
    files, with a word and its label per line.

    Memory does not grow with the table. If the block is left by an exception, what stood at `path` is untouched.
    """

    def __init__(self, path: str | os.PathLike[str], classes: Sequence[Any], each: bool = False) -> None:
        self.path = check_output(path, LABELED)
        self._classes = pl.Series(list(classes))
        self._each = [f"{PROBABILITY} of {label}" for label in classes] if each else []
        self._format = FORMATS[ending(self.path)]
        self._typed = self._format.fields != "fields"
        self._converts = False
        self._stack, self._sink = ExitStack(), ExitStack()
        self._add: Callable[[pl.DataFrame], None] | None
        self._files: Files
        self._columns: Columns
        self._start()

    def __enter__(self) -> LabeledWriter:
        self._temporary = self._stack.enter_context(written_whole(self.path, DataError))
        self._stack.push(self._sink)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def notices(self) -> list[str]:
        """What the user should know of the file."""
        risky = [name for name in self._classes if isinstance(name, str) and re.match(FORMULA, name)]
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
        predict: Callable[[Sequences], tuple[Numbers, Floats]],
        on_rows: Callable[[int], None] | None = None,
        **how: Any,
    ) -> None:
        """Label and write every row of a table; a CoNLL file holds words and their labels, and no probabilities.

        `on_rows` is called by another thread.
        """
        files = self._files = find_files(source)
        self._columns = columns
        self._converts = self._typed and files.format.fields == "fields"  # what has types of its own keeps them
        first, decimal = files.paths[0], how.get("reading", columns.reading).decimal or columns.reading.decimal
        if any({ending(self.path), ending(first)} <= {name, f"{name}.gz"} for name in (".csv", ".tsv")):
            form = csv_files.form_of(first, decimal == "comma")
            self._format = self._format._replace(write=partial(csv_files.write, **form))
        if ending(self.path) not in OUTPUTS and self._each:
            raise DataError(f"{self.path}: a CoNLL file has no room for probabilities. {OTHERS}")
        with (
            closing(stream_sequences(files, columns, typed=self._converts, **how)) as chunks,
            ThreadPoolExecutor(1) as reads,
            ThreadPoolExecutor(1) as writes,
        ):
            # While a chunk is labeled, the next one is read and the one before it written.
            written, read = writes.submit(lambda: None), partial(next, chunks, None)
            following = reads.submit(copy_context().run, read)
            while (chunk := following.result()) is not None:
                following = reads.submit(copy_context().run, read)
                write = partial(self._write, chunk, *predict(chunk.sequences), on_rows)
                written.result()
                written = writes.submit(copy_context().run, write)
            written.result()

    def _write(
        self, chunk: Chunk, codes: Numbers, probabilities: Floats, on_rows: Callable[[int], None] | None
    ) -> None:
        """Write the rows of a chunk, and tell how many are written."""
        if chunk.anew:
            self._sink.__exit__(_VoidError, _VoidError(), None)
            self._start()
        frame = chunk.values if self._converts else chunk.frame
        for name in (PREDICTED, PROBABILITY, *self._each):
            if name in frame.columns:
                raise DataError(f"There is a column {name!r} already, which the predictions would take. Rename it.")
        codes, p = chunk.sequences.by_row(codes), chunk.sequences.by_row(probabilities)
        labeled = frame.with_columns(
            self._classes.gather(codes).alias(PREDICTED),
            pl.Series(PROBABILITY, p[np.arange(len(p)), codes], dtype=pl.Float32),
            *(pl.Series(name, p[:, code], dtype=pl.Float32) for code, name in enumerate(self._each)),
        )
        if self._add is None:
            self._add = self._sink.enter_context(self._file(frame, labeled.schema))
        with explained(self.path):
            self._add(labeled[chunk.sequences.table_rows] if self._in_order else labeled)
        self.rows += frame.height
        self.sequences += len(chunk.sequences)
        self.counts += np.bincount(codes, minlength=len(self.counts))
        if on_rows is not None:
            on_rows(self.rows)

    def _file(self, frame: pl.DataFrame, schema: pl.Schema) -> AbstractContextManager[Callable[[pl.DataFrame], None]]:
        """The file to write, for rows such as these with labels of this schema; gives what adds rows."""
        pieces, write, files, columns = self._format.pieces, self._format.write, self._files, self._columns
        same = ending(self.path) == ending(files.paths[0])
        if ending(self.path).startswith(".conllu") and not (same or {*CONLLU} <= {*frame.columns}):
            raise DataError(f"{self.path}: CoNLL-U has ten columns, which are not there to label. Call it .conll.")
        if pieces is not None and files.format.pieces is pieces:
            sentences = word_column(frame.columns, files.format.words) is not None
            learned = Learned(columns.label, columns.per, frozenset(each.name for each in columns.known))
            each = (pieces(path, sentences, learned, path != files.paths[-1]) for path in files.paths)
            results = [PREDICTED, PROBABILITY, *self._each]
            return _again(files.name, opened(self.path, self._temporary), chain.from_iterable(each), results)
        if ending(self.path) not in OUTPUTS:
            self._in_order, names = True, self._words_of(files, columns, frame)
            return _words(self.path, opened(self.path, self._temporary), *names)
        return _parquet(self._temporary, schema) if write is None else _lines(opened(self.path, self._temporary), write)

    def _words_of(self, files: Files, columns: Columns, frame: pl.DataFrame) -> tuple[str, str]:
        """The columns of the words and of their sentences."""
        word = word_column(frame.columns, files.format.words)
        if word is not None:
            return word, SENTENCE
        if columns.sequence is None or len(columns.features) != 1 or columns.features != columns.categories:
            raise DataError(f"{self.path}: a CoNLL file has no form for what stands in {files.name}. {OTHERS}")
        return columns.features[0], columns.sequence

    def _start(self) -> None:
        self._add, self._in_order = None, False
        self.rows = self.sequences = 0  # how many rows are written, and how many sequences they form
        self.counts = np.zeros(len(self._classes), np.int64)  # how many rows got each label, in the order of `classes`


class _VoidError(Exception):
    """What was written is void, and the file need not be one that can be read."""


@contextmanager
def _lines(
    file: BinaryIO, add: Callable[[pl.DataFrame, BinaryIO, bool], None]
) -> Iterator[Callable[[pl.DataFrame], None]]:
    """A file of lines; gives what adds rows."""
    with file:
        yield lambda frame: add(frame, file, file.tell() == 0)


@contextmanager
def _again(
    name: str, file: BinaryIO, pieces: Pieces, results: Sequence[str]
) -> Iterator[Callable[[pl.DataFrame], None]]:
    """A file in the form of the files called `name`; gives what adds the results of further rows."""
    rows, piece = pl.DataFrame(), next(pieces, None)

    def write(frame: pl.DataFrame) -> None:
        nonlocal rows, piece
        rows = pl.concat([rows, frame.select(results)]) if rows.height else frame.select(results)
        while piece is not None and piece.rows <= rows.height:
            text = piece.labeled(rows.head(piece.rows)).removeprefix(MARK * bool(file.tell()))  # one mark, if any
            file.write(text.encode(errors="backslashreplace"))  # halves of letters in JSON are escapes again
            rows, piece = rows.slice(piece.rows), next(pieces, None)

    with file:
        yield write
        if piece is not None or rows.height:
            raise DataError(f"{name}: changed while it was labeled. Label it again.")


@contextmanager
def _words(path: Path, file: BinaryIO, word: str, sentence: str) -> Iterator[Callable[[pl.DataFrame], None]]:
    """A new CoNLL file, with a blank line after each sentence; gives what adds words and their labels, in order."""
    last: Any = None

    def write(frame: pl.DataFrame) -> None:
        nonlocal last
        words, labels, ids = (frame.get_column(name).cast(pl.String) for name in (word, PREDICTED, sentence))
        begins = ids.ne_missing(ids.shift(1, fill_value=last))
        if last is None:
            begins[0] = False
        last = ids[-1]
        try:
            file.write(new_lines(words, labels, begins).encode())
        except ValueError as wrong:
            raise DataError(
                f"{path}: a CoNLL file cannot hold {wrong.args[0]!r} as a word or label. {OTHERS}"
            ) from None

    with file:
        yield write
        file.write(b"\n")


@contextmanager
def _parquet(path: Path, schema: pl.Schema) -> Iterator[Callable[[pl.DataFrame], None]]:
    """A Parquet file that a thread of its own writes, while the next frame is made; gives what adds rows."""
    frames: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def read(with_columns: Any, predicate: Any, n_rows: Any, batch_size: Any) -> Iterator[pl.DataFrame]:
        while not stopped.is_set() and (frame := frames.get()) is not None:
            yield frame

    def put(frame: pl.DataFrame | None) -> None:
        while not writing.done():
            with suppress(queue.Full):
                frames.put(frame, timeout=0.2)
                return
        writing.result()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(_write_parquet, register_io_source(read, schema=schema), path)
        try:
            yield put
            put(None)
        except BaseException:
            stopped.set()
            with suppress(queue.Empty):  # if it is full, nothing more could be put
                frames.get_nowait()
            frames.put(None)
            raise
        writing.result()


def _write_parquet(frame: pl.LazyFrame, path: Path) -> None:
    try:
        frame.sink_parquet(path, compression="zstd", compression_level=1, statistics=False)
    except pl.exceptions.PolarsError as error:
        # Polars tells of a full disk in words; of one that fills up within the frame of a page, without the reason.
        if "transport error" in str(error):
            raise OSError(errno.EIO, "a write failed, as on a full disk") from None
        code = re.search(r"\(os error (\d+)\)", str(error))
        raise error if code is None else OSError(int(code[1]), os.strerror(int(code[1]))) from None


def opened(path: Path, temporary: Path) -> BinaryIO:
    """The file to write in the place of `path`, compressed if its name says so."""
    return cast("BinaryIO", gzip.open(temporary, "wb", 6) if ending(path).endswith(".gz") else temporary.open("wb"))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say which file cannot hold a table: a DataError instead of what Polars raises."""
    try:
        yield
    except BROKEN as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: this file cannot hold the table ({reason}). Use .parquet.") from None
