"""What stands around the rows of a file of fields: a title, names, a line of units; blank rows; notes and a total."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bothways.errors import DataError, counted
from bothways.fields.names import words
from bothways.fields.reader import MISSING
from bothways.tables.opening import BROKEN, HEAD, Say
from bothways.tables.words import BLOCK

MOST_ALIKE = 0.8  # this share of the lines of a table has as many fields as its header
FEW = 3  # fewer rows do not show what a column holds
LOOKED_AT = 20  # rows that show it
MOST_NOTES = 10  # rows of notes at the end
MOST_UNITS = 3  # rows of units, of types and of ways to measure
NOTHING = "\0"  # instead of a name: the field behind the last separator of all rows
NUMBER = r"^[-+(]*[$€£¥]?[-+]?\s*[.,]?\d[\d.,'\u2019 \u00a0\u202f]*(?:[eE][-+]?\d+)?\s*[%$€£¥)]*$"  # however written

FIRST_BYTES, MOST_FIELDS = 2**24, 2_000_000  # so much shows whether blank rows part blocks
MOST_IN_ONE = 1000  # more rows without a blank one are no block

TOTALS = frozenset(
    words(
        "total totals sum sums subtotal summe summen gesamt gesamtsumme insgesamt endsumme zwischensumme ergebnis "
        "gesamtergebnis somme suma"
    )
) | {"totaux", "totale", "totali", "grand total", "sous-total"}
"""What a row of totals begins with, in small letters."""

COUNT = r"\(?\d+ (?:rows?|records?)\b.*"
"""What clients of databases write below the rows: (360 rows affected), 360 rows selected."""

NOTE = r"(?is)(?:sources?|notes?|applied filters|quellen?|hinweise?|anmerkung(?:en)?|fuentes?|notas?) ?:.*"
SENTENCE = r"(?s).*[^\W\d_]{2}.*[\s:].*"  # a few words


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def rows_of_title(rows: list[list[str]]) -> tuple[int, float] | None:
    """How many rows of a title stand before the header: with half as many fields as most rows, or fewer.

    A row with a number may have more. Before the first row of which most fields are filled, those that are empty do not
    count. The header is the first row of as many fields as most; it holds no number. Beside it the share of the rows
    from it on that have as many. None where there is no such row, or that share is too small. A header that is one name
    shorter than the rows below is no title.
    """
    counts = [len(row) for row in rows]
    for at, row in enumerate(rows):
        if 2 * (filled := sum(map(bool, row))) > len(row):
            break
        counts[at] = filled
    later = [count for count in counts[len(counts) // 2 :] if count]
    most = max(later, key=later.count, default=0)
    if most < 2:
        return None
    start = counts.index(most)
    table = [count for count in counts[start:] if count]
    share = table.count(most) / len(table)
    if start == 1 and counts[0] == most - 1 > 1 and not any(map(is_number, rows[0])):
        start = 0
    title = all(2 * count <= most or any(map(is_number, row)) for count, row in zip(counts, rows[:start], strict=False))
    whole = not start or (title and most > 2 and not any(map(is_number, rows[start])))
    return (start, share) if whole and share >= MOST_ALIKE else None


def say_title(path: Path, lines: int, what: str, say: Say) -> None:
    """Say how much stands before the header."""
    if lines:
        say(f"{path}: {counted(lines, what)} before the header {'is' if lines == 1 else 'are'} left out.")


def units_below(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]], say: Say) -> int:
    """How many rows right below the names hold units and the like, as `;;bar;°C`; `say` tells that they are left out.

    Such a row has no number where the other rows have nothing else, and text at one such place at least. Elsewhere it
    is empty, or has text without digits that none of them has. Text below an empty name, or below one that comes twice,
    is the second line of a header, and refused.
    """
    filled = list(filter(any, rows))[: LOOKED_AT + MOST_UNITS]
    for many in range(min(MOST_UNITS, len(filled) - FEW), 0, -1):
        shown = [_units(row, filled[many:]) for row in filled[:many]]
        if not (all(shown) and all(map(any, rows[:many]))):
            continue
        counts = Counter(names)
        if any(field and (not name or counts[name] > 1) for name, field in zip(names, filled[0], strict=False)):
            second = ", ".join(shown[0])
            raise DataError(f"{path}: the header takes several rows ({second} in the second). Write it in one.")
        row, is_left = ("row", "is") if many == 1 else (f"{many} rows", "are")
        say(f"{path}: the {row} of units below the names ({', '.join(map(repr, shown[0]))}) {is_left} left out.")
        return many
    return 0


def _units(row: Sequence[str], others: Sequence[Sequence[str]]) -> list[str]:
    """The units in a row above others; none if it is no row of units."""
    shown = list[str]()
    for at, field in enumerate(map(str.strip, row)):
        texts = [other[at].strip() for other in others if at < len(other)]
        below = [text for text in texts if text and text.lower() not in MISSING]
        if below and all(re.match(NUMBER, text) for text in below):
            if re.match(NUMBER, field):
                return []
            shown += [field] if field and field.lower() not in MISSING else []
        elif field in below or re.search(r"\d", field):
            return []
    return shown


def unnamed(
    path: Path, names: int, rows: Sequence[Sequence[str]], separator: str, say: Say
) -> tuple[list[str], list[str]]:
    """What to call the field that all rows have and the header has not: before the names, or after them.

    It is the name of the row, as R and pandas write it, of which each comes once; or nothing, behind a separator at the
    end of all rows. `names` is how many there are. Refused are first fields that come again, and rows in which two
    fields may be a number with a decimal comma.
    """
    if names < 2 or not rows or {*map(len, rows)} != {names + 1}:
        return [], []
    if not any(row[-1].strip() for row in rows):
        return [], [NOTHING]
    pairs = [itertools.pairwise(row) for row in rows]
    whole = [[re.fullmatch(r"[-+]?\d+", one) and other.isdecimal() for one, other in pair] for pair in pairs]
    if len({row[0] for row in rows}) < len(rows) or (separator == "," and any(map(all, zip(*whole, strict=True)))):
        raise DataError(f"{path}: {short_header(names)}")
    say(f"{path}: the first field of each row has no name in the header; it is taken for the name of the row.")
    return [""], []


def short_header(names: int) -> str:
    """What to say of a header with fewer names than the rows have fields."""
    return (
        f"the header has {counted(names, 'name')}, and rows have {names + 1} fields. Give each column a name; quote "
        "fields that hold the separator."
    )


def as_below(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether names are data as the rows below: one is a time or an id as there, or each is a number or a word."""
    fields = [{row[at] for row in rows if at < len(row)} for at in range(len(names))]
    for name, texts in zip(names, fields, strict=True):
        shape = re.sub(r"\d", "0", name)
        if shape.count("0") > 3 and not is_number(shape) and shape in {re.sub(r"\d", "0", text) for text in texts}:
            return True
    numbers = [is_number(name) for name in names]
    known = [name in texts for name, texts in zip(names, fields, strict=True)]
    return any(numbers) and not all(numbers) and all(map(max, numbers, known))


def told_apart(path: Path, names: Sequence[str], say: Say) -> list[str]:
    """The names, those that come again with a number, of which `say` tells; and a name where there is none.

    Without one the first column is the index of a data frame; others end lines with one separator too many.
    """
    found = [name or (f"column {at + 1}" if at else "") for at, name in enumerate(names)]
    places = defaultdict[str, list[int]](list)
    for at, name in enumerate(found):
        places[name].append(at)
    for name, (_, *later) in places.items():
        if later:
            free = (new for number in itertools.count(2) if (new := f"{name}_{number}") not in places)
            for at in later:
                found[at] = next(free)
            are = "one is" if len(later) == 1 else "ones are"
            shown = ", ".join(repr(found[at]) for at in later)
            say(f"{path}: several columns are called {name!r}; the later {are} {shown} here.")
    return found


def without_end(path: Path, frame: pl.DataFrame, say: Say) -> pl.DataFrame:
    """Rows of text without notes, a total and the number of rows below them."""
    return _without_total(path, _without_notes(path, frame, say), say)


def _without_notes(path: Path, frame: pl.DataFrame, say: Say) -> pl.DataFrame:
    """Rows of text without the last ones, if these are notes, as below the tables of reports.

    They are a few words in the first field each, and nothing else, below a blank row or a note that begins as such
    (`Source: ...`), of which half of the fields may be filled. One of the rows before them has three fields or more.
    """
    some = _filled(frame)
    rows, cut, first = some.arg_true()[-MOST_NOTES - 1 :].to_list(), None, ""
    for before, at in reversed([*itertools.pairwise(rows)]):
        row = [(field or "").strip() for field in frame.row(at)]
        begins = re.fullmatch(NOTE, row[0]) and 2 * sum(map(bool, row)) <= len(row)
        few_words = re.fullmatch(SENTENCE, row[0]) and not re.fullmatch(COUNT, row[0]) and not any(row[1:])
        if not (begins or few_words):
            break
        if begins or before + 1 < at:
            cut, first = before, row[0]
    if cut is None or max(sum(map(bool, row)) for row in frame[max(0, cut - LOOKED_AT) : cut + 1].rows()) < FEW:
        return frame
    many = int(some[cut + 1 :].sum())
    are, is_left = ("row is a note", "is") if many == 1 else (f"{many} rows are notes", "are")
    say(f"{path}: the last {are} ({first.splitlines()[0]!r}) and {is_left} left out.")
    return frame.head(cut + 1)


def _without_total(path: Path, frame: pl.DataFrame, say: Say) -> pl.DataFrame:
    """Rows of text without the last one, if that is a total, or the number of rows alone.

    The first field of a total says so and that of the row before does not; and at least half of the other fields are
    empty that are not in the row before, or the next one is, and those that are not empty hold numbers.
    """
    rows = _filled(frame).arg_true()[-2:]
    if frame.width < 2 or len(rows) < 2:
        return frame
    before, last = ([field or "" for field in frame.row(row)] for row in rows)
    at = next((at for at, field in enumerate(last) if field.strip()), 0)
    word, other = (row[at].strip().rstrip(": ") for row in (last, before))
    filled = [place for place, field in enumerate(before) if field.strip() and place != at]
    gone = [place for place in filled if not last[place].strip()]
    sums = gone[:1] == filled[:1] and all(re.match(NUMBER, last[place].strip()) for place in {*filled} - {*gone})
    empty = sums or 2 * len(gone) >= len(filled)
    total = word.lower() in TOTALS and other.lower() not in TOTALS and empty
    count = re.fullmatch(COUNT, word) and not at and gone == filled
    if not gone or not (total or count):
        return frame
    is_what = "is a total" if total else "counts the rows"
    say(f"{path}: the last row {is_what} ({last[at].strip()!r}) and is left out.")
    return frame.head(rows[-2] + 1)


def _filled(frame: pl.DataFrame) -> pl.Series:
    """Which rows hold any value; it has no name, as one such as "^x$" would be taken for a pattern."""
    return frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series().alias("")


def parts_blocks(file: Path, how: Mapping[str, Any], names: Sequence[str], parted: bool | None) -> bool:
    """Whether blank rows part blocks of rows, as the beginning of the file shows: two rows or more on average.

    They do not where a column tells the same blocks apart, where the rows of a value go on after a blank row, and where
    each block has the same values once. If the table is `parted`, any blank row between others parts blocks, and a few
    rows without one are a block.
    """
    if len(names) < 2 or BLOCK in names or parted is False:
        return False
    with file.open("rb") as content:
        blank = re.search(rb"\n[\r,;\t| ]*\n", content.read(FIRST_BYTES)) is not None
    if not (blank or parted):
        return False
    try:
        first = pl.read_csv(file, n_rows=max(HEAD, MOST_FIELDS // len(names)), **how)
    except BROKEN:
        return False
    first.columns = [str(place) for place in range(first.width)]
    blanks = BlankRows(file, True)
    rows = blanks.left_out(without_end(file, first, lambda _: None))
    blocks = blanks.blocks
    if parted:
        return blocks > 1 or rows.height <= MOST_IN_ONE
    if blocks < 2 or rows.height < 2 * blocks:
        return False
    for name in first.columns:
        column, pairs = rows.get_column(name), rows.select(BLOCK, name).n_unique()
        values = column.n_unique()
        runs = 1 + int(column[1:].ne_missing(column[:-1]).sum())
        crossing = runs == values and 2 <= values <= rows.height / 2 and pairs > max(values, blocks)
        if crossing or pairs == values == blocks or pairs == values * blocks == rows.height:
            return False
    return True


@dataclass
class BlankRows:
    """The rows without any value of a file, which are left out; all rows of one column are kept."""

    path: Path
    part: bool  # whether they part blocks of rows, which a column numbers
    rows: int = 0  # how many there were
    blocks: int = 0
    _inside: bool = False

    def left_out(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The other ones of the next rows."""
        if frame.width == 1 or not frame.height:
            return frame
        filled = _filled(frame)
        self.rows += frame.height - int(filled.sum())
        if self.part:
            begins = filled & ~filled.shift(1, fill_value=self._inside)
            numbers = self.blocks + begins.cast(pl.Int64).cum_sum()
            self.blocks, self._inside = numbers[-1], filled[-1]
            frame = frame.select(numbers.alias(BLOCK), pl.all())
        return frame.filter(filled)

    def told(self, say: Say) -> None:
        """Say what became of them."""
        are = counted(self.rows, "row without any value is", "rows without any value are")
        if self.part and self.blocks < 2:
            say(f"{self.path}: no blank rows part blocks here; all rows are one, by the column {BLOCK!r}.")
        elif self.part:
            say(f"{self.path}: {are} taken for the ends of {self.blocks:,} blocks, which the column {BLOCK!r} numbers.")
        elif self.rows:
            say(f"{self.path}: {are} left out.")
