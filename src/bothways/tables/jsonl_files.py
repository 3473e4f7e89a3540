"""JSON: one object per line, or a list of objects; one key per column, or lists with an entry per word."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from bothways.errors import DataError
from bothways.fields.reader import LaterRowsDifferError
from bothways.tables.opening import BROKEN, Say, utf8
from bothways.tables.words import LISTS, Learned, Piece, Pieces, by_word

BYTES = 2**24  # how many bytes of lines are read at a time
ENTRIES = 1000  # objects written again at a time
DEEPEST = 32  # values that are nested deeper are refused: Polars takes time that grows with the cube of the depth

KINDS = {bool: "true/false", int: "numbers", float: "numbers", str: "text", list: "lists", dict: "objects"}

NOT_FINITE = (
    rb'("(?:[^"\\]|\\.)*")|-?\b(?:NaN|Infinity)\b'  # which json.dumps writes, though JSON has no such number; or text
)


def read(path: Path, say: Say) -> pl.DataFrame:
    """The values of all keys; one that an object does not have is null there.

    An object with a list of `words.LISTS` is a sentence: it becomes a row per word, with the number of the sentence.
    """
    with utf8(path, say) as file:
        frame = _parse(path, file.read_bytes())
    objects = all(isinstance(dtype, pl.Struct) for dtype in frame.dtypes)
    if frame.height == 1 and (objects or ("data" in frame.columns and {"columns", "schema"} & {*frame.columns})):
        raise DataError(
            f"{path}: one object holds all rows, as pandas writes it. Write an object per row: "
            "frame.to_json(path, orient='records', lines=True), and call the file .jsonl."
        )
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List) and dtype.inner == pl.Struct]
    if frame.height == 1 and lists and "text" not in frame.columns:
        raise DataError(
            f"{path}: one object holds all rows, in the list under the key {lists[0]!r}. Write this list alone into a "
            "file, or one object per line."
        )
    return by_word(partial(_place, path), frame)


def batches(path: Path, rows: int, say: Say) -> Iterator[pl.DataFrame]:
    """The rows in order, about `rows` at a time, with the types of the first ones; else LaterRowsDifferError."""
    schema: pl.Schema | None = None
    count, start = 0, 1
    with utf8(path, say) as text, text.open("rb") as file:
        while lines := file.readlines(BYTES):
            frame = _parse(path, b"".join(lines), None, start)
            if schema is None:
                schema = frame.schema
            elif frame.schema != schema:
                if not set(frame.columns) <= set(schema):
                    raise LaterRowsDifferError
                try:
                    frame = _parse(path, b"".join(lines), schema, start)
                except DataError:
                    raise LaterRowsDifferError from None
            yield from by_word(partial(_place, path), frame, count).iter_slices(rows)
            count, start = count + frame.height, start + len(lines)


def pieces(path: Path, sentences: bool, learned: Learned, more: bool) -> Pieces:
    """Its lines as they stand, to be written again with what is predicted: in sentences lists, or one value of each."""
    entries = _entries(path, sentences)
    while some := list(islice(entries, ENTRIES)):
        yield Piece(sum(rows for _, rows, _ in some), partial(_labeled, some, learned.per))


def line(path: Path, row: int) -> int:
    """The number of the line of a word, whose number from 0 is `row`."""
    ends = accumulate(words for _, words, _ in _entries(path, sentences=True))
    return next(number for (number, _), end in zip(_objects(path), ends, strict=False) if row < end)


def write(frame: pl.DataFrame, file: BinaryIO, first: bool) -> None:
    """Add rows to a file of lines."""
    for name, dtype in frame.schema.items():
        if "Binary" in str(dtype):
            raise pl.exceptions.SchemaError(f"JSON has no form for bytes, which {name!r} holds")
    frame.write_ndjson(file)


def _parse(path: Path, lines: bytes, schema: pl.Schema | None = None, start: int = 1) -> pl.DataFrame:
    lines = lines.replace(b"\n" + codecs.BOM_UTF8, b"\n").removeprefix(codecs.BOM_UTF8)  # of files put together
    if not lines.strip():
        raise DataError(f"{path}: this file is empty.")
    _check_depth(path, lines, start)
    try:
        if lines.lstrip().startswith(b"["):
            return pl.read_json(io.BytesIO(lines), infer_schema_length=None)
        return pl.read_ndjson(io.BytesIO(lines), schema=schema, infer_schema_length=None)
    except BROKEN as error:
        if lines != (whole := re.sub(NOT_FINITE, lambda found: found[1] or b"null", lines)):
            return _parse(path, whole, schema, start)
        raise DataError(f"{path}: {_fault(lines, start, str(error).splitlines()[0].rstrip('.'))}") from None


def _fault(lines: bytes, start: int, reason: str) -> str:
    """What keeps lines from being a table, or the `reason` of Polars; `start` is the number of the first one."""
    listed, kinds = lines.lstrip().startswith(b"["), defaultdict[str, set[str]](set)
    for number, line in enumerate([lines] if listed else lines.splitlines(), start):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        objects = found if listed and isinstance(found, list) else [found]
        if not all(isinstance(each, dict) for each in objects):
            where = "" if listed else f" (line {number} is {line[:40].decode('utf-8', 'replace')!r})"
            return f"this is no file of JSON objects, one per line or in one list{where}."
        for key, value in ((key, value) for each in objects for key, value in each.items() if value is not None):
            kinds[key].add(KINDS[type(value)])
    mixed = {key: sorted(some) for key, some in kinds.items() if len(some) > 1}
    if not mixed:
        return f"these objects make no table ({reason})."
    key = min(mixed, key=lambda key: "text" in mixed[key])  # among text, numbers are text
    return f"the key {key!r} has values of several kinds: {' and '.join(mixed[key])}. Write them in one way."


def _place(path: Path, number: int) -> str:
    """How messages call an object, by its number from 1."""
    if ".json" in path.suffixes:
        return f"{path}: object {number}"
    return f"{path}: line {next(islice(_objects(path), number - 1, None))[0]}"


def _entries(path: Path, sentences: bool) -> Iterator[tuple[str, int, bool]]:
    """The objects as text, how many rows each is, and whether it holds lists with an entry per row."""
    lists = (key for _, text in _objects(path) for key in LISTS if _is_list(json.loads(text).get(key)))
    word = next(lists, None) if sentences else None
    for _, text in _objects(path):
        yield text, 1 if word is None else len(json.loads(text).get(word) or ()), word is not None


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(each, (list, dict)) for each in value)


def _objects(path: Path) -> Iterator[tuple[int, str]]:
    """The number of the line at which each object begins, or the list that holds it, and the text of the object."""
    with utf8(path, lambda _: None) as text, text.open(encoding="utf-8-sig", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if line.lstrip().startswith("["):
                objects = json.loads(line + lines.read())
                yield from ((number, json.dumps(each, ensure_ascii=False)) for each in objects)
            elif line.strip():
                yield number, line.strip()


def _labeled(entries: Sequence[tuple[str, int, bool]], per: str, predicted: pl.DataFrame) -> str:
    floats = pl.col(pl.Float32, pl.Float64).cast(pl.Float64).round(6)
    columns = predicted.with_columns(floats).to_dict(as_series=False)
    written, start = [], 0
    for text, rows, lists in entries:
        own = {name: values[start : start + rows] for name, values in columns.items()}
        found: dict[str, Any] = own
        if not (lists and per == "step"):
            found = {name: values[0] if values else None for name, values in own.items()}
        bare, more = text.removesuffix("}").rstrip(), json.dumps(found, ensure_ascii=False)
        written.append(f"{bare}{', ' * (bare != '{')}{more.removeprefix('{')}\n")
        start += rows
    return "".join(written)


def _check_depth(path: Path, lines: bytes, start: int) -> None:
    if lines.count(b"{") + lines.count(b"[") <= lines.count(b"\n") + DEEPEST:
        return
    for number, line in enumerate(lines.splitlines(), start):
        if line.count(b"{") + line.count(b"[") > DEEPEST:
            brackets = re.findall(rb"[][{}]", re.sub(rb'"(?:[^"\\]|\\.)*"', b"", line))
            if max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0) > DEEPEST:
                raise DataError(f"{path}: line {number} is nested more than {DEEPEST} deep.")
