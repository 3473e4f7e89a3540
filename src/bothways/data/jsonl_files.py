"""JSON: one object per line, or a list of objects; one key per column."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

from bothways.data.csv_files import BROKEN, Say, utf8
from bothways.data.fields import LaterRowsDifferError
from bothways.errors import DataError

BYTES = 2**24
"""How many bytes of lines are read at a time."""

DEEPEST = 32
"""Values that are nested deeper are refused: Polars takes time that grows with the cube of the depth."""


def read(path: Path, say: Say) -> pl.DataFrame:
    """The values of all keys; one that an object does not have is null there."""
    with utf8(path, say) as file:
        return _parse(path, file.read_bytes().removeprefix(b"\xef\xbb\xbf"), None)


def batches(path: Path, rows: int, say: Say) -> Iterator[pl.DataFrame]:
    """The rows in order, about `rows` at a time, with the columns and types of the first ones.

    Raises:
        LaterRowsDifferError: a later line has a key or a kind of value that the first ones have not.
    """
    schema: pl.Schema | None = None
    if ".json" in path.suffixes:
        yield from read(path, say).iter_slices(rows)
        return
    with utf8(path, say) as text, text.open("rb") as file:
        while lines := file.readlines(BYTES):
            frame = _parse(path, b"".join(lines).removeprefix(b"\xef\xbb\xbf"), None)
            if schema is None:
                schema = frame.schema
            elif frame.schema != schema:
                if not set(frame.columns) <= set(schema):
                    raise LaterRowsDifferError
                try:
                    frame = _parse(path, b"".join(lines), schema)
                except DataError:
                    raise LaterRowsDifferError from None
            yield from frame.iter_slices(rows)


def write(frame: pl.DataFrame, file: BinaryIO, first: bool) -> None:
    """Add rows to a file of lines."""
    for name, dtype in frame.schema.items():
        if "Binary" in str(dtype):
            raise pl.exceptions.SchemaError(f"JSON has no form for bytes, which {name!r} holds")
    frame.write_ndjson(file)


def _parse(path: Path, lines: bytes, schema: pl.Schema | None) -> pl.DataFrame:
    if not lines.strip():
        raise DataError(f"{path}: this file is empty.")
    _check_depth(path, lines)
    try:
        if lines.lstrip().startswith(b"["):
            return pl.read_json(io.BytesIO(lines), infer_schema_length=None)
        return pl.read_ndjson(io.BytesIO(lines), schema=schema, infer_schema_length=None)
    except BROKEN as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: this is no file of JSON objects, one a line or in one list ({reason}).") from None


def _check_depth(path: Path, lines: bytes) -> None:
    if lines.count(b"{") + lines.count(b"[") <= lines.count(b"\n") + DEEPEST:
        return
    for number, line in enumerate(lines.splitlines(), start=1):
        if line.count(b"{") + line.count(b"[") > DEEPEST:
            depth = 0
            for bracket in re.findall(rb"[][{}]", re.sub(rb'"(?:[^"\\]|\\.)*"', b"", line)):
                depth += 1 if bracket in b"[{" else -1
                if depth > DEEPEST:
                    raise DataError(f"{path}: line {number} is nested more than {DEEPEST} deep.")
