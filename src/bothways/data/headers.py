"""What stands around the names of the columns in a file of fields: a title before them, a line of units below."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from bothways.data.fields import MISSING
from bothways.data.opening import Say
from bothways.errors import DataError, counted

MOST_ALIKE = 0.8  # this share of the lines of a table has as many fields as its header
FEW = 3  # fewer rows do not show what a column holds
LOOKED_AT = 20  # rows that show it
NUMBER = r"^[-+(]*[$€£¥]?[-+]?\s*[.,]?\d[\d.,'\u2019 \u00a0\u202f]*(?:[eE][-+]?\d+)?\s*[%$€£¥)]*$"  # however written


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def title_of(rows: list[list[str]]) -> tuple[int, float] | None:
    """How many rows of a title stand before the header: with half as many fields as most rows, or fewer.

    Before the first row of which most fields are filled, those that are empty do not count. The header is the first row
    of as many fields as most; it holds no number. Beside it the share of the rows from it on that have as many. None
    where there is no such row, or that share is too small.

    Example:
        >>> title_of([["March", ""], [], ["t", "x", "y"], ["0", "1", "2"], ["1", "1", "2"], ["2", "1", "2"]])
        (2, 1.0)
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
    whole = not start or (2 * max(counts[:start]) <= most > 2 and not any(map(is_number, rows[start])))
    return (start, share) if whole and share >= MOST_ALIKE else None


def say_title(path: Path, lines: int, what: str, say: Say) -> None:
    """Say how much stands before the header."""
    if lines:
        say(f"{path}: {counted(lines, what)} before the header {'is' if lines == 1 else 'are'} left out.")


def units_below(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]], say: Say) -> bool:
    """Whether the first row below the names holds units, as `;;bar;°C`; then `say` tells that it is left out.

    It has no number where the other rows have nothing else, and text at one such place at least. Elsewhere it is empty,
    or has text without digits that none of them has.

    Raises:
        DataError: it has text below an empty name, or below one that comes twice, as the second line of a header.

    Example:
        >>> rows = [["", "bar"], ["a", "1,5"], ["b", "2"], ["b", "3"]]
        >>> units_below(Path("some.csv"), ["pump", "pressure"], rows, print)
        some.csv: the row of units below the names ('bar') is left out.
        True
    """
    if len(rows) <= FEW:
        return False
    first, *others = ([field.strip() for field in row] for row in rows[: LOOKED_AT + 1])
    shown = list[str]()
    for at, field in enumerate(first):
        below = [row[at] for row in others if at < len(row) and row[at] and row[at].lower() not in MISSING]
        if below and all(re.match(NUMBER, text) for text in below):
            if re.match(NUMBER, field):
                return False
            shown += [field] if field and field.lower() not in MISSING else []
        elif field in below or re.search(r"\d", field):
            return False
    counts = Counter(names)
    if shown and any(field and (not name or counts[name] > 1) for name, field in zip(names, first, strict=False)):
        raise DataError(f"{path}: the header takes several rows ({', '.join(shown)} in the second). Write it in one.")
    if shown:
        say(f"{path}: the row of units below the names ({', '.join(map(repr, shown))}) is left out.")
    return bool(shown)


def told_apart(path: Path, names: Sequence[str], say: Say) -> list[str]:
    """The names, those that come again with a number, of which `say` tells.

    Example:
        >>> told_apart(Path("some.csv"), ["x", "x", "x_2", "x"], print)
        some.csv: several columns are called 'x'; the later ones are 'x_3', 'x_4' here.
        ['x', 'x_3', 'x_2', 'x_4']
    """
    found, places = list(names), defaultdict[str, list[int]](list)
    for at, name in enumerate(names):
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
