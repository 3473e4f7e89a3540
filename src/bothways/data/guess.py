"""A guess of what a column is for, and guesses as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from bothways.errors import counted, option

PLAIN = ("as given", "numbers", "text")  # reasons that need no word of their own
SHOWN = 3  # as many columns are named where several have one role for one reason
MOST_ROWS, WIDTH = 24, 80  # of a table of guesses


@dataclass(frozen=True)
class Guess:
    """What a column is for, and why.

    Attributes:
        name: the column.
        role: "label", "sequence", "order", "split", "group", "feature", "category" or "left out".
        why: the reason, with the option that changes it.

    Example:
        >>> print(Guess("when", "left out", "a date or time"))
        Column 'when': left out (a date or time).
    """

    name: str
    role: str
    why: str

    def __str__(self) -> str:
        return f"Column {self.name!r}: {self.role} ({self.why})."

    @property
    def plain(self) -> bool:
        """Whether it goes without saying."""
        return self.why in PLAIN


def guess_rows(guesses: Iterable[Guess]) -> list[tuple[str, str, str]]:
    """Guesses in few rows: columns, role, why. Columns of one role for one reason share a row.

    Of what is beyond `MOST_ROWS`, only how much it is.

    Example:
        >>> guess_rows(Guess(f"x{i}", "feature", "numbers") for i in range(9))
        [('x0, x1, x2 and 6 more', 'feature', 'numbers')]
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for guess in guesses:
        groups.setdefault((guess.role, guess.why), []).append(guess.name)
    rows = [
        (", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""), role, why)
        for (role, why), names in groups.items()
    ]
    left = sum(map(len, list(groups.values())[MOST_ROWS:]))
    return [*rows[:MOST_ROWS], *([(counted(left, "further column"), "", "--json of info lists them")] if left else [])]


def guess_table(guesses: Iterable[Guess], hint: bool = True) -> str:
    """Guesses as a table of text, of lines of at most `WIDTH` characters; see `guess_rows`.

    With a `hint`, the last line says how to change them, if there is anything to change.

    Example:
        >>> print(guess_table([Guess("kind", "label", "by its name"), Guess("t", "order", "it rises")]))
        column  role   why
        kind    label  by its name
        t       order  it rises
        To change a role, use label=, sequence=, order=, split=, drop=.
    """
    guesses = list(guesses)
    printable = [[text if text.isprintable() else repr(text)[1:-1] for text in row] for row in guess_rows(guesses)]
    rows = [["column", "role", "why"], *printable]
    first = min(max(len(row[0]) for row in rows), WIDTH * 2 // 5)
    second = max(len(row[1]) for row in rows)
    lines = []
    for name, role, why in rows:
        cells = textwrap.wrap(name, first), [role], textwrap.wrap(why, max(20, WIDTH - first - second - 4))
        lines += [f"{a:{first}}  {b:{second}}  {c}".rstrip() for a, b, c in zip_longest(*cells, fillvalue="")]
    if hint and not all(guess.plain for guess in guesses):
        roles = ("label", "sequence", "order", "split", "drop")
        lines.append(f"To change a role, use {', '.join(map(option, roles))}.")
    return "\n".join(lines)
