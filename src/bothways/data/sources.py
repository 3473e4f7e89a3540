"""Which files a table lies in. To add a format, add a file beside this one and an entry to `FORMATS`."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from bothways.data import csv_files, jsonl_files, parquet_files
from bothways.errors import DataError

Source = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A file, a folder of files, a pattern such as `flows/*.parquet`, or several of these."""

WILDCARDS = "*?["


class Format(NamedTuple):
    """How files of one kind are read and written.

    Attributes:
        read: `(path, text) -> values`; the columns in `text` are text even where they look like numbers.
        batches: `(path, rows) -> frames`, as they stand in the file, in order.
        typed: `(frame, text) -> values`, what a batch means.
        write: `(frame, path) -> None`.
        text: whether a batch is text whatever it means.
    """

    read: Callable[[Path, Collection[str]], pl.LazyFrame]
    batches: Callable[[Path, int], Iterator[pl.DataFrame]]
    typed: Callable[[pl.DataFrame, Collection[str]], pl.DataFrame]
    write: Callable[[pl.DataFrame, Path], None]
    text: bool = False


def _as_it_stands(frame: pl.DataFrame, text: Collection[str] = ()) -> pl.DataFrame:
    return frame


_JSONL = Format(jsonl_files.read, jsonl_files.batches, jsonl_files.typed, jsonl_files.write)
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".parquet": Format(parquet_files.read, parquet_files.batches, _as_it_stands, parquet_files.write),
        ".csv": Format(csv_files.read, csv_files.batches, csv_files.typed, csv_files.write, text=True),
        ".jsonl": _JSONL,
        ".ndjson": _JSONL,
    }
)


class Files(NamedTuple):
    """The files of a table, all of one format.

    Attributes:
        name: how messages call them together.
        paths: each of them, in order.
        format: how they are read.
    """

    name: str
    paths: tuple[Path, ...]
    format: Format


def find_files(source: Source) -> Files:
    """The files that `source` names: sorted by name in a folder or for a pattern, else as they are given.

    Raises:
        DataError: no such file, none in the folder or of the pattern, an unknown ending, or files of two formats.

    Example:
        >>> find_files("flows.xlsx")
        Traceback (most recent call last):
        bothways.errors.DataError: flows.xlsx: tables are read from .parquet, .csv, .jsonl and .ndjson files only.
    """
    given = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not given:
        raise DataError("No file is given to read a table from.")
    paths = tuple(path for each in given for path in _expanded(Path(each)))
    for path in paths:
        if path.suffix.lower() not in FORMATS:
            *some, last = FORMATS
            raise DataError(f"{path}: tables are read from {', '.join(some)} and {last} files only.")
    formats = {FORMATS[path.suffix.lower()]: path for path in reversed(paths)}
    name = ", ".join(str(Path(each)) for each in given[:3]) + (", ..." if len(given) > 3 else "")
    if len(formats) > 1:
        first, second, *_ = formats.values()
        raise DataError(f"{name}: {second} and {first} are of two formats; a table is read from files of one.")
    if len(paths) > 1:
        name += f" ({len(paths)} files)"
    return Files(name, paths, next(iter(formats)))


def _expanded(path: Path) -> list[Path]:
    if path.is_dir():
        inside = sorted(
            entry
            for entry in path.iterdir()
            if entry.suffix.lower() in FORMATS and not entry.name.startswith((".", "_")) and entry.is_file()
        )
        if not inside:
            raise DataError(f"{path}: this folder holds no {', '.join(FORMATS)} file.")
        return inside
    if path.exists():
        return [path]
    if any(character in str(path) for character in WILDCARDS):
        found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207  (Path.glob takes no absolute pattern)
        if not found:
            raise DataError(f"{path}: no file has a name like this.")
        return found
    if path.suffix.lower() in FORMATS:
        raise DataError(f"{path}: no such file.")
    return [path]
