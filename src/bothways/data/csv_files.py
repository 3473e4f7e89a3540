"""CSV files: fields of text, whatever separates them and however they are encoded."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import polars as pl

from bothways.data.blank_rows import BlankRows, parts_blocks, without_total
from bothways.data.fields import seconds
from bothways.data.headers import LOOKED_AT, is_number, say_title, title_of, told_apart, units_below
from bothways.data.opening import BROKEN, MOST_COMMENTS, Say, has_mark, head, utf8
from bothways.errors import DataError, counted

SEPARATORS = ",;\t|"
FEW = 100  # rows of a batch that may all be blank


def read(path: Path, say: Say, parted: bool | None = None) -> pl.DataFrame:
    """The fields as text.

    Blank rows are left out. Where they part blocks of rows, a column `block` numbers these; `parted` says whether they
    do, None that the file shows it.

    Reading text and converting whole columns takes 0.9 s for a file of 129 MB; Polars's own inference takes 9.3 s.
    """
    with _opened(path, say, parted) as (file, how, filled):
        return filled(without_total(path, pl.read_csv(file, **how), say))


def batches(path: Path, rows: int, say: Say, parted: bool | None = None) -> Iterator[pl.DataFrame]:
    """The same, about `rows` rows at a time."""
    held = None
    with _opened(path, say, parted) as (file, how, filled):
        for batch in pl.scan_csv(file, **how).collect_batches(chunk_size=rows, maintain_order=True):
            if held is not None and batch.height > min(FEW, rows // 2):
                yield filled(held)
                held = None
            held = batch if held is None else held.vstack(batch)
        if held is not None:
            yield filled(without_total(path, held, say))


def write(
    frame: pl.DataFrame,
    file: BinaryIO,
    first: bool,
    separator: str = ",",
    include_bom: bool = False,
    decimal_comma: bool = False,
) -> None:
    """Add rows to a file, after the header if they are the first; differences of times in seconds."""
    frame = frame.with_columns(seconds(frame.schema))
    bom = include_bom and first
    frame.write_csv(file, include_header=first, separator=separator, include_bom=bom, decimal_comma=decimal_comma)


def form_of(path: Path, decimal_comma: bool) -> dict[str, Any]:
    """How `write` makes a table like that of a file: separator, decimal sign, and the mark that spreadsheets go by."""
    with TemporaryDirectory(prefix="bothways-") as folder:
        first = Path(folder, "first")
        first.write_text("\n".join([*head(path), ""]), encoding="utf-8")
        separator = _sniffed(first)[0]
    return {
        "separator": separator,
        "include_bom": has_mark(path),
        "decimal_comma": decimal_comma and separator != ",",
    }


@contextmanager
def _opened(
    path: Path, say: Say, parted: bool | None
) -> Iterator[tuple[Path, dict[str, Any], Callable[[pl.DataFrame], pl.DataFrame]]]:
    """The file as UTF-8, how Polars reads its fields, and what names these and leaves blank rows out."""
    with utf8(path, say) as file:
        how, names = _dialect(path, file, say)
        blanks, repeated = BlankRows(path, parts_blocks(file, how, names, parted)), 0

        def filled(fields: pl.DataFrame) -> pl.DataFrame:
            if len(names) != fields.width:
                raise DataError(f"{path}: the header cannot be read. Are its quotes closed?")
            nonlocal repeated
            if fields.width > 1 and (fields.to_series(0) == names[0]).any():  # files that were put together
                header = fields.select(pl.all_horizontal(pl.nth(at) == name for at, name in enumerate(names)))
                fields = fields.filter(~header.to_series().fill_null(False))
                repeated += int(header.to_series().sum())
            fields.columns = names  # in which Polars leaves doubled quotes
            return blanks.left_out(fields)

        with _explained(path, file, how):
            yield file, how, filled
        blanks.told(say)
        if repeated:
            lines = counted(repeated, "line repeats the header and is", "lines repeat the header and are")
            say(f"{path}: {lines} left out.")


def _dialect(path: Path, file: Path, say: Say) -> tuple[dict[str, Any], list[str]]:
    """How Polars reads the fields, all of them as text, and the names of the columns."""
    separator, quoted, comments, title = _sniffed(file)
    say_title(path, title, "line", say)
    how: dict[str, Any] = {"separator": separator, "quote_char": '"' if quoted else None, "skip_lines": comments}
    how |= {"infer_schema": False, "glob": False}
    with _explained(path, file, how):
        first = pl.read_csv(file, has_header=False, n_rows=1, **how)
    names = [name or "" for name in first.row(0)] if first.height else []
    header = "".join(islice(_lines(file, comments), 1 + sum(name.count("\n") for name in names)))
    if quoted and header.count('"') % 2:
        raise DataError(f"{path}: a quote in the header is not closed. Double it, and quote the name that holds it.")
    # Without a name the first column is the index of a data frame; others end lines with one separator too many.
    bare, names = names, [name or (f"column {at + 1}" if at else "") for at, name in enumerate(names)]
    if _are_data(bare):
        shown = ", ".join(bare[:3]) + (", ..." if len(bare) > 3 else "")
        raise DataError(
            f"{path}: the first line looks like data ({shown}); has the file no header? Add a line with a name for "
            "each column."
        )
    below = _rows(_lines(file, comments), separator, quoted, LOOKED_AT + 2)[1:]
    if below and any(below[0]) and units_below(path, bare, list(filter(any, below)), say):
        how["skip_rows_after_header"] = 1
    return how, told_apart(path, names, say)


def _sniffed(file: Path) -> tuple[str, bool, int, int]:
    """What separates fields, whether they are quoted, and how many lines come before the header, and of a title."""
    comments = _comments(file)
    quoted = not _quotes_are_letters(file, comments)
    title = _title(file, comments, quoted)
    shapes = {separator: _shape(file, separator, comments + title, quoted) for separator in SEPARATORS}
    separator = max(SEPARATORS, key=lambda each: shapes[each])
    return separator, quoted or separator != "\t", comments + title, title


def _lines(file: Path, skip: int) -> Iterator[str]:
    """The lines below the first ones."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        yield from islice(lines, skip, None)


def _reader(lines: Iterable[str], separator: str, quoted: bool) -> Any:
    return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)


def _rows(lines: Iterable[str], separator: str, quoted: bool = True, most: int | None = None) -> list[list[str]]:
    """The fields of rows, of `most` at most; none where they cannot be read."""
    with suppress(csv.Error):
        return list(islice(_reader(lines, separator, quoted), most))
    return []


def _quotes_are_letters(file: Path, comments: int) -> bool:
    """Whether quotes in a table between tabs are characters as any other, as in texts that are cut into words.

    Some lines have an odd number of them, and each of these has as many fields as most lines have.
    """
    with file.open("rb") as lines:
        first = [line for line in islice(lines, comments, comments + MOST_COMMENTS) if line.strip()]
        tabs = max(counts, key=counts.count) if (counts := [line.count(b"\t") for line in first]) else 0
        if not tabs:
            return False
        lines.seek(0)
        odd = [line.count(b"\t") == tabs for line in lines if line.count(b'"') % 2]
    return bool(odd) and all(odd)


def _comments(file: Path) -> int:
    """How many lines that begin with "#" stand before the header, which may begin so itself."""
    some = [*islice(_lines(file, 0), MOST_COMMENTS + 1), ""]
    first = list(takewhile(lambda line: line.startswith("#"), some[:MOST_COMMENTS]))
    fits = any(first and first[-1].count(each) == some[len(first)].count(each) > 0 for each in SEPARATORS)
    return len(first) - fits


def _title(file: Path, comments: int, quoted: bool) -> int:
    """How many lines of a title stand before the header, by the separator with which most lines are alike after it."""
    first = list(islice(_lines(file, comments), MOST_COMMENTS))
    found = [(0.0, 0)]
    for separator in SEPARATORS:
        rows = _rows(first, separator, quoted)
        title = title_of(rows)
        if title is not None and not (title[0] and len(rows) < len(first)):
            found.append((title[1], -title[0]))
    return -max(found)[1]


def look_so(lines: Sequence[str]) -> bool:
    """Whether the first lines of a file look like a table, whatever it is called.

    The header has as many fields as each of the next lines: two or more between tabs or semicolons, or three or more
    between commas; these are five lines at least, since a few sentences may have as many commas each.

    Example:
        >>> look_so(["time;x;label", "1;0,5;a", "2;0,7;b"]), look_so(["Yes, well, no.", "One, two, three."] * 3)
        (True, False)
    """
    first = [line for line in lines[: LOOKED_AT + 1] if line.strip()][:LOOKED_AT]
    if len(first) < 3 or first[0].rstrip().endswith((".", "!", "?", ":")):
        return False
    for separator, least, rows in (("\t", 2, 3), (";", 2, 3), (",", 3, 5)):
        widths = {len(row) for row in _rows(first, separator)}
        if len(widths) == 1 and widths.pop() >= least and len(first) >= rows:
            return True
    return False


def _are_data(names: Sequence[str]) -> bool:
    """Whether names are data: a number comes twice, all are numbers, or most are numbers with fractions.

    But columns may be counted from 0 or 1; and fractions in order are wavelengths or the like.
    """
    filled, numbers = list(filter(None, names)), list(filter(is_number, names))
    counted_on = [list(range(start, start + len(filled))) for start in (0, 1)]
    if len(set(numbers)) < len(numbers) or (numbers == filled != [] and list(map(float, filled)) not in counted_on):
        return True
    fractions = [float(name) for name in numbers if "." in name]
    return len(fractions) > max(2, len(names) // 2) and sorted(fractions) not in (fractions, fractions[::-1])


def _shape(file: Path, separator: str, comments: int, quoted: bool) -> tuple[float, float, int]:
    """How well a separator fits the first lines: the share with as many fields as the header, and their number."""
    header, *rows = _rows(_lines(file, comments), separator, quoted, LOOKED_AT) or [[]]
    share = sum(len(row) == len(header) for row in rows if row) / max(sum(map(bool, rows)), 1)
    return (share if rows and len(header) > 1 else 0.0), share, len(header)


@contextmanager
def _explained(path: Path, file: Path, how: Mapping[str, Any]) -> Iterator[None]:
    """Say what is wrong with a file, and where: a DataError instead of what Polars raises."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise DataError(f"{path}: this file is empty.") from None
    except BROKEN as error:
        reason = f"this is no CSV file that can be read ({str(error).splitlines()[0].rstrip('.')})."
        if "more fields" in str(error):
            reason = f"{_longer(file, how)}. Quote fields that hold the separator."
        raise DataError(f"{path}: {reason}") from None


def _longer(file: Path, how: Mapping[str, Any]) -> str:
    """Which line is the first with more fields than the header."""
    with suppress(csv.Error, StopIteration):
        rows = _reader(_lines(file, how["skip_lines"]), how["separator"], how["quote_char"] is not None)
        columns = len(next(rows))
        fields = next(len(row) for row in rows if len(row) > columns)
        line = how["skip_lines"] + rows.line_num
        return f"line {line} has {counted(fields, 'field')}, and the header has {columns}"
    return "a line has more fields than the header has columns"


def shows_blocks(path: Path) -> bool:
    """Whether blank rows part blocks of rows; not in a file that cannot be read."""
    try:
        with utf8(path, lambda _: None) as file:
            return parts_blocks(file, *_dialect(path, file, lambda _: None), None)
    except (DataError, OSError):
        return False
