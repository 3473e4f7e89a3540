"""Rows of a file of fields that hold no data: blank ones, which may part blocks of rows, and a total at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bothways.data.headers import NUMBER
from bothways.data.names import words
from bothways.data.opening import BROKEN, HEAD, Say
from bothways.data.words import BLOCK
from bothways.errors import counted

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


def without_total(path: Path, frame: pl.DataFrame, say: Say) -> pl.DataFrame:
    """Rows of text without the last one, if that is a total, or the number of rows alone.

    The first field of a total says so and that of the row before does not; and at least half of the other fields are
    empty that are not in the row before, or the next one is, and those that are not empty hold numbers.

    Example:
        >>> frame = pl.DataFrame({"machine": ["a", "a", "Total"], "time": ["1", "2", None], "x": ["3", "4", "7"]})
        >>> without_total(Path("some.csv"), frame, print)["time"].to_list()
        some.csv: the last row is a total ('Total') and is left out.
        ['1', '2']
    """
    some = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series()
    rows = some.alias("").arg_true()[-2:]  # which takes a name such as "^x$" for a pattern
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
    count = re.fullmatch(COUNT, word) and other and not at and gone == filled
    if not gone or not (total or count):
        return frame
    is_what = "is a total" if total else "counts the rows"
    say(f"{path}: the last row {is_what} ({last[at].strip()!r}) and is left out.")
    return frame.head(rows[-2] + 1)


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
    rows = blanks.left_out(without_total(file, first, lambda _: None))
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
    """The rows without any value of a file, which are left out; all rows of one column are kept.

    Attributes:
        path: the file.
        part: whether they part blocks of rows, which a column numbers.
        rows: how many there were.
        blocks: how many blocks there were.
    """

    path: Path
    part: bool
    rows: int = 0
    blocks: int = 0
    _inside: bool = False

    def left_out(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The other ones of the next rows."""
        if frame.width == 1 or not frame.height:
            return frame
        filled = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series()
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
