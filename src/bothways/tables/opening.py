"""Files opened to be read: their text as UTF-8 without compression, and a word where that cannot be."""

from __future__ import annotations

import codecs
import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from bothways.errors import DataError

BYTES = 2**20
HEAD, HEAD_BYTES = 1000, 2**16  # the first lines and bytes, which show what a file is whose name does not say it
MOST_COMMENTS = 100  # lines before a header that are looked at
MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what text may begin with
DOUBLED = "\r\r\n"  # what Windows makes of CR LF where it puts CR before each LF
WINDOWS = "cp1252"  # what text is taken for that is neither UTF-8 nor says what it is
BROKEN = (pl.exceptions.PolarsError, pl.exceptions.PanicException)  # what Polars raises for damaged files

NUL = "line {} holds a byte that is no text (NUL), so this is no file of text."
OTHERS = "this is no file of text; it begins as files that end in {} do. Give it that ending."
SIGNATURES = {b"PK\3\4": ".xlsx", b"\xd0\xcf\x11\xe0": ".xls", b"PAR1": ".parquet", b"\x1f\x8b": ".csv.gz"}
"""What files begin with, and how they are called."""

OPEN_FILES = Path("/proc/self/fd")

Say = Callable[[str], None]


@contextmanager
def utf8(path: Path, say: Say) -> Iterator[Path]:
    """A file of text as UTF-8 that is not compressed: the file itself, or a temporary one."""
    with temporary_file() as unpacked, temporary_file() as text:
        plain = path
        if path.suffix.lower() == ".gz":
            plain = unpacked
            with decompressed(path) as compressed, plain.open("wb") as file:
                shutil.copyfileobj(compressed, file, BYTES)
        encoding, newline = _encoding(path, plain)
        if (encoding, newline) == ("utf-8", ""):
            yield plain
            return
        if newline is None:
            say(f"{path}: lines end in CR alone, as on old Macs; they are written with LF again.")
        try:
            with (
                plain.open(encoding=encoding, newline=newline) as old,
                text.open("w", encoding="utf-8", newline="") as new,
            ):
                if newline:
                    new.writelines(line.replace(DOUBLED, "\r\n") for line in old)
                else:
                    shutil.copyfileobj(old, new, BYTES)
        except UnicodeError:
            raise DataError(f"{path}: this is no text in UTF-8, UTF-16 or Windows-1252. Save it as UTF-8.") from None
        if encoding == WINDOWS:
            cure = "If letters look wrong, save it as UTF-8."
            say(f"{path}: this is not UTF-8; it is read as Windows-1252 (Western European), written as UTF-8. {cure}")
        yield text


@contextmanager
def temporary_file() -> Iterator[Path]:
    """The path of a temporary file. Where the system shows open files it has no name, and ends with this process.

    Where no folder takes temporary files, as in a container that may write nothing, it lies in memory.
    """
    if OPEN_FILES.is_dir():
        try:
            opened = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        except FileNotFoundError:
            opened = os.fdopen(os.memfd_create("bothways"), "w+b")
        with opened as file:
            yield OPEN_FILES / str(file.fileno())
    else:
        with tempfile.NamedTemporaryFile(prefix="bothways-") as file:
            yield Path(file.name)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say which file the system cannot read: a DataError instead of an OSError."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


@contextmanager
def decompressed(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, without the compression of one whose name ends in .gz."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield cast("BinaryIO", file)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError(f"{path}: this is no gzip file, or it is damaged or cut short.") from None


@contextmanager
def intact(refusal: str) -> Iterator[None]:
    """A DataError with this text instead of what Polars raises for damaged files."""
    try:
        yield
    except BROKEN:
        raise DataError(refusal) from None


def has_mark(path: Path, *marks: bytes) -> bool:
    """Whether a file of text begins with a byte order mark, or with one of these."""
    with readable(path), decompressed(path) as file:
        return file.read(3).startswith(marks or MARKS)


def lines_with(file: Path, some: bytes) -> Iterator[bytes]:
    """The lines of a file in which these bytes stand, found faster than all lines are gone through."""
    with file.open("rb") as content:
        rest = b""
        while block := content.read(BYTES):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            whole, end = whole + newline, 0
            while (found := whole.find(some, end)) >= 0:
                begin, end = whole.rfind(b"\n", 0, found) + 1, whole.find(b"\n", found) + 1
                yield whole[begin:end]
        if some in rest:
            yield rest


def head(path: Path) -> list[str]:
    """The first lines of a file of text; none of another file, nor of one that cannot be read."""
    if not path.is_file():
        return []
    try:
        with decompressed(path) as file:
            block = file.read(HEAD_BYTES)
    except (OSError, DataError):
        return []
    wide = block[:2] in MARKS
    if b"\0" in block and not wide:
        return []
    text = block.decode("utf-16" if wide else "utf-8-sig", "replace")
    lines = text.replace(DOUBLED, "\n").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1][:HEAD] if len(block) == HEAD_BYTES or not lines[-1] else lines[:HEAD]


def signature(path: Path) -> str:
    """The ending of files that begin as this one does; "" if it is none of a few."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((ending for sign, ending in SIGNATURES.items() if start.startswith(sign)), "")


def _encoding(path: Path, plain: Path) -> tuple[str, str | None]:
    """The encoding, and how lines end: None where most end in a carriage return alone, "\\n" where one too many stands
    before some ends, as Windows makes of lines that end in CR LF already, else as they do.
    """
    with plain.open("rb") as file:
        if (mark := file.read(2)) in MARKS:
            doubled = DOUBLED.encode("utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be")
            return "utf-16", "\n" if any(doubled in block for block in iter(partial(file.read, BYTES), b"")) else ""
        file.seek(0)
        decoder, found, ends, block, line, returns = codecs.getincrementaldecoder("utf-8")(), "utf-8", "", b"?", 1, 0
        while block:
            block = file.read(BYTES)
            if b"\0" in block:
                line += block[: block.index(0)].count(b"\n")
                raise DataError(
                    f"{path}: {OTHERS.format(ending) if (ending := signature(plain)) else NUL.format(line)}"
                )
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                found = WINDOWS
            line += block.count(b"\n")
            returns += (here := block.count(b"\r"))
            ends = "\n" if here and DOUBLED.encode() in block else ends
        return found, None if returns > 2 * (line - 1) else ends
