"""CSV files: fields of text, whatever separates them and however they are encoded."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import polars as pl

from bothways.errors import DataError, counted
from bothways.fields.reader import seconds
from bothways.tables import headers
from bothways.tables.opening import BROKEN, MOST_COMMENTS, Say, has_mark, head, lines_with, temporary_file, utf8

SEPARATORS = ",;\t|"
SEPARATOR_LINE = r"""(?i)"?sep=[,;|\t]"?\s*"""  # the first line of files for Excel, which names the separator
RULER = r"[-=+|:,;\s]*[-=]{3}[-=+|:,;\s]*"
OPENS = rb'(?:^|[,;\t|]) *"'  # a quote that begins a field
LOG_HEADER = "#fields\t"  # what the names of the columns stand after in the logs of Zeek
FEW_ROWS = 3  # so many rows show that another table begins
FEW = 100  # rows of a batch that may all be blank


def read(path: Path, say: Say, parted: bool | None = None) -> pl.DataFrame:
    """The fields as text.

    Blank rows are left out. Where they part blocks of rows, a column `block` numbers these; `parted` says whether they
    do, None that the file shows it.

    Reading text and converting whole columns takes 0.9 s for a file of 129 MB; Polars's own inference takes 9.3 s.
    """
    with _opened(path, say, parted) as (file, how, filled):
        return filled(headers.without_end(path, pl.read_csv(file, **how), say))


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
            yield filled(headers.without_end(path, held, say))


def write(frame: pl.DataFrame, file: BinaryIO, first: bool, include_bom: bool = False, **form: Any) -> None:
    """Add rows to a file, after the header if they are the first; differences of times in seconds."""
    frame = frame.with_columns(seconds(frame.schema))
    frame.write_csv(file, include_header=first, include_bom=include_bom and first, **form)


def form_of(path: Path, decimal_comma: bool) -> dict[str, Any]:
    """How `write` makes a table like that of a file: separator, decimal sign, and the mark that spreadsheets go by."""
    with temporary_file() as first:
        first.write_text("\n".join([*head(path), ""]), encoding="utf-8")
        separator = _sniffed(first).separator
    return {"separator": separator, "include_bom": has_mark(path), "decimal_comma": decimal_comma and separator != ","}


@contextmanager
def _opened(
    path: Path, say: Say, parted: bool | None
) -> Iterator[tuple[Path, dict[str, Any], Callable[[pl.DataFrame], pl.DataFrame]]]:
    """The file as UTF-8, how Polars reads its fields, and what names these and leaves blank rows out."""
    with _table(path, say) as (file, how, names, header):
        blanks, repeated = headers.BlankRows(path, headers.parts_blocks(file, how, names, parted)), 0

        def filled(fields: pl.DataFrame) -> pl.DataFrame:
            if len(names) != fields.width:
                raise DataError(f"{path}: the header cannot be read. Are its quotes closed?")
            if names[-1] == headers.NOTHING:
                if fields.to_series(-1).count():
                    raise DataError(f"{path}: {headers.short_header(len(names) - 1)}")
                fields = fields[:, :-1]
            nonlocal repeated
            first = fields.to_series(0).alias("")
            if fields.width > 1 and (first.eq_missing(header[0]) | (first == f"\ufeff{header[0]}")).any():
                # Files that were put together, each perhaps with a mark of the order of bytes.
                same = [pl.nth(at).eq_missing(header[at]) for at in range(1, fields.width)]
                same.append(pl.nth(0).str.strip_prefix("\ufeff").eq_missing(header[0]))
                again = fields.select(pl.all_horizontal(same)).to_series()
                fields = fields.filter(~again)
                repeated += int(again.sum())
            fields.columns = names[: fields.width]  # in which Polars leaves doubled quotes
            return blanks.left_out(fields)

        yield file, how, filled
        blanks.told(say)
        if repeated:
            lines = counted(repeated, "line repeats the header and is", "lines repeat the header and are")
            say(f"{path}: {lines} left out.")


@contextmanager
def _table(path: Path, say: Say) -> Iterator[tuple[Path, dict[str, Any], list[str], list[str | None]]]:
    """The file as UTF-8 without remarks, how Polars reads its fields, the names of the columns, and the header."""
    with utf8(path, say) as given, temporary_file() as log, temporary_file() as tabs, temporary_file() as table:
        named, unsaid = _without_log(given, log)
        text = _with_tabs(path, named, tabs, say)
        form = _sniffed(text)
        headers.say_title(path, form.title, "line", say)
        file, gone = _without_remarks(path, text, form, table, say)
        with _explained(path, file, form, [*gone, *unsaid]):
            how, names, header = _dialect(path, file, form, say)
            yield file, how, names, header


def _dialect(path: Path, file: Path, form: _Form, say: Say) -> tuple[dict[str, Any], list[str], list[str | None]]:
    """How Polars reads the fields, the names of the columns, and the header as it stands, a field for each.

    `headers.NOTHING` is the name behind the last separator of rows.
    """
    separator, quoted, above, _ = form
    how: dict[str, Any] = {"separator": separator, "quote_char": '"' if quoted else None, "skip_lines": above}
    how |= {"infer_schema": False, "glob": False}
    first = pl.read_csv(file, has_header=False, n_rows=1, truncate_ragged_lines=True, **how)
    written = [name or "" for name in first.row(0)] if first.height else []
    lines = 1 + sum(name.count("\n") for name in written)
    if quoted and "".join(islice(_lines(file, above), lines)).count('"') % 2:
        raise DataError(f"{path}: a quote in the header is not closed. Double it, and quote the name that holds it.")
    below = _rows(_lines(file, above), separator, quoted, headers.LOOKED_AT + 4)[1:]
    below = [row for row in below if row != written]  # the header of a further file that was put behind this one
    if _are_data(written) or headers.as_below(written, below):
        shown = ", ".join(written[:3]) + (", ..." if len(written) > 3 else "")
        columns = [f"column {at + 1}" for at in range(len(written))]
        called = f"{columns[0]!r} to {columns[-1]!r}" if len(columns) > 1 else repr(columns[0])
        say(f"{path}: the first line looks like data ({shown}), not like a header; the columns are called {called}.")
        return how | {"has_header": False}, columns, [*columns]
    names = [*(name.removeprefix("# ") for name in written[:1]), *written[1:]]  # numpy.savetxt writes a comment
    if separator == "|":  # as clients of databases print tables, whose widths are those of the widest fields
        names = [name.strip() for name in names]
    before, after = headers.unnamed(path, len(names), list(filter(any, below)), separator, say)
    header = [*(name or None for name in written), *(None for _ in (*before, *after))]
    bare, names = [*before, *names, *after], [*before, *headers.told_apart(path, names, say), *after]
    units = headers.units_below(path, bare, below, say)
    if before or after:
        return how | {"has_header": False, "skip_lines": above + lines + units}, names, header
    return how | {"skip_rows_after_header": units}, names, header


class _Form(NamedTuple):
    """What a file of fields looks like."""

    separator: str
    quoted: bool  # whether fields may be quoted
    above: int  # how many lines come before the header
    title: int  # how many of these are no comments, but a title


def _sniffed(file: Path) -> _Form:
    comments = _comments(file)
    letters = _quotes_are_letters(file, comments)
    title = _title(file, comments, letters)
    shapes = {each: _shape(file, each, comments + title, each not in letters) for each in SEPARATORS}
    separator = max(SEPARATORS, key=lambda each: shapes[each])
    return _Form(separator, separator not in letters, comments + title, title)


def _without_log(text: Path, target: Path) -> tuple[Path, list[int]]:
    """A log of Zeek as a table with a header, written to `target`, and the lines that are gone; any other as it is."""
    with text.open(encoding="utf-8-sig", newline="") as lines:
        remarks = enumerate(islice(lines, MOST_COMMENTS), 1)
        place, header = next((each for each in remarks if each[1].startswith(LOG_HEADER)), (0, ""))
        if not place:
            return text, []
        lines.seek(0)
        gone = list[int]()
        with target.open("w", encoding="utf-8", newline="") as file:
            file.write(header.removeprefix(LOG_HEADER))
            for number, line in enumerate(lines, 1):
                if not line.startswith("#"):
                    file.write(line)
                elif number != place:
                    gone.append(number)
    return target, gone


def _with_tabs(path: Path, text: Path, target: Path, say: Say) -> Path:
    """The file with tabs between its fields, written to `target`, where blanks separate them; any other as it is.

    A line with more or fewer fields is refused, for a value that is missing between blanks moves the later ones.
    """
    comments, header = _comments(text), None
    first = [line for line in islice(_lines(text, comments), headers.LOOKED_AT) if not line.startswith("#")]
    width = _between_blanks(first, 2)
    if not width:
        return text
    say(f"{path}: fields are separated by blanks.")
    with text.open(encoding="utf-8-sig", newline="") as lines, target.open("w", encoding="utf-8", newline="") as file:
        above = list(islice(lines, comments))
        named = _rows((re.sub(r"^[# ]+(?:Fields:)?", "", line).strip() for line in above[-1:]), " ")
        tabs = csv.writer(file, delimiter="\t", lineterminator="\n")
        if [*map(len, named)] == [width] and any(map(headers.is_number, first[0].split())):
            (header,) = named
            say(f"{path}: line {comments}, a comment, names the columns.")
            above.pop()  # whose place the names take, so that lines keep their numbers
        file.writelines(above)
        if header is not None:
            tabs.writerow(header)
        for number, line in enumerate(lines, comments + 1):
            if line.startswith("#"):
                file.write(line)
                continue
            row = None
            with suppress(csv.Error):
                row = next(_reader([line.strip()], " ", quoted=True, strict=True))
            header = header or row
            if row is None or (row and row is not header and len(row) != width):
                raise DataError(
                    f"{path}: line {number} ({line.strip()[:40]!r}) does not have {width} fields between blanks, as "
                    "the first lines do. Put commas between the fields, and nothing where a value is missing."
                )
            tabs.writerow(row)
    return target


def _between_blanks(lines: Sequence[str], least: int) -> int:
    """How many fields the first lines have, if blanks separate them, and nothing else does; else 0.

    The header has `least` names or more; each row has as many fields, or the name of the row before them; and there is
    a column of numbers.
    """
    header, *rows = [row for row in _rows(map(str.strip, lines), " ") if row] or [[]]
    numbers = [all(re.match(headers.NUMBER, field) for field in column) for column in zip(*rows, strict=False)]
    even = len({*map(len, rows)}) == 1 and len(header) in (len(numbers), len(numbers) - 1)
    found = even and len(header) >= least and any(numbers[-len(header) :]) and not {*SEPARATORS} & {*"".join(header)}
    return len(numbers) if found else 0


def _without_remarks(path: Path, text: Path, form: _Form, target: Path, say: Say) -> tuple[Path, list[int]]:
    """The file without comments and rulers below the header, written to `target` if it has any; and their lines.

    Comments are lines that begin with "#" and have no separator, or not as many fields as the header where comments
    stand above it, too. Rulers are lines of dashes, where there is one right below the header.
    """
    separator, quoted, above, title = form
    reader, header = _reader(_lines(text, above), separator, quoted), list[str]()
    with suppress(csv.Error):
        header = next(reader, header)
        ruled = re.fullmatch(RULER, next(_lines(text, above + reader.line_num), "")) is not None
        if len(header) < 2 or not (ruled or any(line.startswith(b"#") for line in lines_with(text, b"#"))):
            return text, []
    found, first, inside = list[int](), "", False
    with text.open(encoding="utf-8-sig", newline="") as lines, target.open("w", encoding="utf-8", newline="") as file:
        for number, line in enumerate(lines, 1):
            remark = line.startswith("#") and (
                len(_rows([line], separator, quoted)[0]) != len(header) if above > title else separator not in line
            )
            if number > above + 1 and not inside and (remark or (ruled and re.fullmatch(RULER, line))):
                found, first = [*found, number], first or line.strip()[:40]
                continue
            inside ^= quoted and line.count('"') % 2 == 1
            file.write(line)
    if not found:
        return text, []
    are = counted(len(found), "line of comments or dashes is", "lines of comments or dashes are")
    say(f"{path}: {are} left out (line {found[0]}: {first!r}).")
    return target, found


def _lines(file: Path, skip: int) -> Iterator[str]:
    """The lines below the first ones."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        yield from islice(lines, skip, None)


def _reader(lines: Iterable[str], separator: str, quoted: bool, strict: bool = False) -> Any:
    return csv.reader(
        lines,
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=strict,
        skipinitialspace=separator == " ",
    )


def _rows(lines: Iterable[str], separator: str, quoted: bool = True, most: int | None = None) -> list[list[str]]:
    """The fields of rows, of `most` at most; none where they cannot be read."""
    with suppress(csv.Error):
        return list(islice(_reader(lines, separator, quoted), most))
    return []


def _quotes_are_letters(file: Path, comments: int) -> str:
    """The separators between which quotes would be characters as any other, as in texts that are cut into words.

    Some lines have an odd number of them, and each of these has as many fields as most lines have. But for tabs, this
    is so of all lines with quotes, and none of these begins a field.
    """
    with file.open("rb") as lines:
        first = [line for line in islice(lines, comments, comments + MOST_COMMENTS) if line.strip()]
        counts = {each: [line.count(each.encode()) for line in first] for each in SEPARATORS}
        most = {each: often for each, some in counts.items() if some and (often := max(some, key=some.count))}
        some_odd = False
        for line in lines_with(file, b'"'):
            odd = line.count(b'"') % 2 == 1
            some_odd |= odd
            opens = re.search(OPENS, line) is not None
            for each in [*most]:
                strict = odd or each != "\t"
                if strict and (line.count(each.encode()) != most[each] or (opens and each != "\t")):
                    del most[each]
            if not most:
                return ""
    return "".join(most) if some_odd else ""


def _comments(file: Path) -> int:
    """How many lines that begin with "#" stand before the header, which may begin so itself; and `SEPARATOR_LINE`."""
    some = [*islice(_lines(file, 0), MOST_COMMENTS + 1), ""]
    told = re.fullmatch(SEPARATOR_LINE, some[0]) is not None
    first = list(takewhile(lambda line: line.startswith("#"), some[told:MOST_COMMENTS]))
    fits = any(first and first[-1].count(each) == some[told + len(first)].count(each) > 0 for each in SEPARATORS)
    return told + len(first) - fits


def _title(file: Path, comments: int, letters: str) -> int:
    """How many lines of a title stand before the header, by the separator with which most lines are alike after it."""
    lines = islice(_lines(file, comments), MOST_COMMENTS)
    first = ["\n" if re.fullmatch(RULER, line) else line for line in lines]
    blank = sum(1 for _ in takewhile(lambda line: not line.strip(), first))
    found = [(0.0, -blank)]
    for separator in SEPARATORS:
        rows = _rows(first, separator, separator not in letters)
        if (title := headers.rows_of_title(rows)) is not None:
            found.append((title[1], -sum(1 + "".join(row).count("\n") for row in rows[: title[0]])))
    return -max(found)[1]


def look_so(lines: Sequence[str]) -> bool:
    """Whether the first lines of a file look like a table, whatever it is called.

    The header has as many fields as each of the next lines: two or more between tabs or semicolons, or three or more
    between bars, commas or blanks; the latter two are five lines at least, since a few sentences may have as many each.
    """
    some = lines[: headers.LOOKED_AT + 1]
    filled = (line for line in some if line.strip() and not line.startswith("#") and not re.fullmatch(RULER, line))
    first = list(islice(filled, headers.LOOKED_AT))
    if len(first) < 3 or first[0].rstrip().endswith((".", "!", "?", ":")):
        return False
    for separator, least, rows in (("\t", 2, 3), (";", 2, 3), ("|", 3, 3), (",", 3, 5)):
        widths = {len(row) for row in _rows(first, separator)}
        if len(widths) == 1 and widths.pop() >= least and len(first) >= rows:
            return True
    return len(first) >= 5 and _between_blanks(first, 3) > 0


def _are_data(names: Sequence[str]) -> bool:
    """Whether names are data: a number comes twice, all are numbers, or most are numbers with fractions.

    But columns may be counted from 0 or 1; fractions in order are wavelengths or the like; and so are all numbers in
    order behind an empty name, that of the names of rows.
    """
    filled, numbers = list(filter(None, names)), list(filter(headers.is_number, names))
    if names[:1] == [""] and numbers == filled and (values := [*map(float, filled)]) == sorted({*values}):
        return False
    counted_on = [list(range(start, start + len(filled))) for start in (0, 1)]
    if len(set(numbers)) < len(numbers) or (numbers == filled != [] and list(map(float, filled)) not in counted_on):
        return True
    fractions = [float(name) for name in numbers if "." in name]
    return len(fractions) > max(2, len(names) // 2) and sorted(fractions) not in (fractions, fractions[::-1])


def _shape(file: Path, separator: str, comments: int, quoted: bool) -> tuple[float, bool, float, int]:
    """How well a separator fits the first lines: the share with as many fields as the header, and their number.

    Where it is none, all may have more.
    """
    header, *rows = _rows(_lines(file, comments), separator, quoted, headers.LOOKED_AT) or [[]]
    widths = [len(row) for row in rows if row]
    share = widths.count(len(header)) / max(len(widths), 1)
    longer = len(header) > 1 and len({*widths}) == 1 and widths[0] > len(header)
    return (share if rows and len(header) > 1 else 0.0), longer, share, len(header)


@contextmanager
def _explained(path: Path, file: Path, form: _Form, gone: Sequence[int]) -> Iterator[None]:
    """Say what is wrong with a file, and where: a DataError instead of what Polars raises.

    `gone` are the lines that were left out of it, the last ones first if that was done more than once.
    """
    try:
        yield
    except pl.exceptions.NoDataError:
        raise DataError(f"{path}: this file is empty.") from None
    except BROKEN as error:
        reason = f"this is no CSV file that can be read ({str(error).splitlines()[0].rstrip('.')})."
        line, fault = _first_fault(file, form, "more fields" in str(error))
        for number in gone:
            line += number <= line
        raise DataError(f"{path}: {f'line {line} {fault}' if fault else reason}") from None


def _first_fault(file: Path, form: _Form, longer: bool) -> tuple[int, str]:
    """The first line with more fields than the header, or with a quote at fault; and what to say of it."""
    held = list[str]()

    def lines() -> Iterator[str]:
        for line in _lines(file, form.above):
            held.append(line)
            yield line

    reader = _reader(lines(), form.separator, form.quoted, strict=True)
    end, columns = 0, 0
    with suppress(csv.Error):
        for row in reader:
            columns, place = columns or len(row), form.above + reader.line_num
            if longer and len(row) > columns:
                has = f"has {counted(len(row), 'field')}, and the header has {columns}"
                cure = "Quote fields that hold the separator."
                widths = {*map(len, _rows(_lines(file, place), form.separator, form.quoted, FEW_ROWS))}
                if widths == {len(row)} and not any(map(headers.is_number, row)):
                    cure = "Does another table begin there? Write each into a file of its own."
                return place, f"{has}. {cure}"
            odd = "".join(held).count('"') % 2 == 1
            if not longer and (odd or (len(held) > 1 and len(row) != columns)):
                break
            end = reader.line_num
            held.clear()
    if longer or not held:
        return 0, ""
    fault, cure = "has a quote that no other closes", 'Quote such a field, and double the quote in it ("5"" pipe").'
    if len(held) == 1 and held[0].count('"') % 2 == 0:
        fault = "has text behind a closing quote"
        cure = 'Double a quote in a field ("5"" pipe"); or are fields separated by something other than , ; | or tabs?'
    return form.above + end + 1, f"({held[0].strip()[:40]!r}) {fault}. {cure}"


def shows_blocks(path: Path) -> bool:
    """Whether blank rows part blocks of rows; not in a file that cannot be read."""
    try:
        with _table(path, lambda _: None) as (file, how, names, _):
            return headers.parts_blocks(file, how, names, None)
    except (DataError, OSError):
        return False
