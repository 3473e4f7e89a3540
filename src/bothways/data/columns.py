"""The roles of the columns of a table, as a model keeps them; what each is for, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from typing import Any

from bothways.data.encoding import INCOMPLETE, Encoding, Number
from bothways.data.vectors import Vectors
from bothways.errors import InputError, ModelFileError, counted, option
from bothways.fields.numbers import SECONDS
from bothways.network import PERS
from bothways.sequences import Array
from bothways.settings import Reading
from bothways.tables.hints import in_one, named, uncounted
from bothways.tables.words import BLOCK

ROLES = ("label", "sequence", "order", "split", "group")  # what one column each may be for
WORDS = 50  # a category with fewer values than this holds no words
NAMED = "part of the name of a sequence"
TOLD = "part of the time that sorts the steps"
PLAIN = ("as given", "numbers", "text", NAMED, TOLD)  # reasons that need no word of their own
MOST_ROWS, WIDTH = 24, 80  # of a table of guesses


class Remark(str):
    """A notice that asks for nothing that `SequenceLabeler` takes: commands print it, and `fit` does not warn of it."""

    __slots__ = ()


@dataclass(frozen=True)
class Guess:
    """What a column is for, and why."""

    name: str  # the column
    role: str  # "label", "sequence", "order", "split", "group", "feature", "category" or "left out"
    why: str  # the reason, with the option that changes it

    def __str__(self) -> str:
        return f"Column {self.name!r}: {self.role} ({self.why})."

    @property
    def plain(self) -> bool:
        """Whether it goes without saying."""
        return self.why in PLAIN


@dataclass(frozen=True)
class Draw:
    """How whole sequences were drawn into parts, for a table without a column that says so."""

    seed: int
    fingerprint: int  # tells the table by the names and lengths of its sequences, and the parts by their numbers
    gap: int = 0  # how many steps were left out between parts of one sequence


@dataclass(frozen=True)
class Columns:
    """The roles of the columns of a table."""

    label: str  # what to learn
    features: tuple[str, ...]  # what to learn it from
    sequence: str | None = None  # tells sequences apart; None if the table is one sequence
    order: str | None = None  # sorts the steps of a sequence, a number or a time; None for the order of the rows
    split: str | None = None  # says train, valid or test; None if there is no such column
    draw: Draw | None = None  # how parts were drawn where there is no `split`
    categories: tuple[str, ...] = ()  # the categorical features; the others are numeric
    group: str | None = None  # tells apart what may not be divided among parts; None for the sequences themselves
    per: str = "step"  # what has a label, "step" or "sequence"
    encoding: Encoding | None = None  # how features become numbers; None as long as the train part was not seen
    guesses: tuple[Guess, ...] = ()  # what each column is for, and why
    reading: Reading = field(default_factory=Reading)  # how fields of text were read
    units: Mapping[str, str] | None = None  # what stood after all numbers of a feature; None where it is not known

    @property
    def roles(self) -> dict[str, str]:
        """The columns that are no features, by what they are for."""
        return {role: name for role in ROLES if (name := getattr(self, role)) is not None}

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numeric features."""
        categories = set(self.categories)
        return tuple(name for name in self.features if name not in categories)

    @property
    def fitted(self) -> Encoding:
        """The encoding; where there is none, plain numbers of which none may be missing."""
        if self.encoding is not None:
            return self.encoding
        if self.categories:
            raise InputError("Categories have no codes before `split_table` has seen the train part.")
        return Encoding(tuple(Number(name) for name in self.features))

    def adopt(self, encoding: Encoding) -> Columns:
        """The same with the encoding that was fitted; a feature that it does not read is left out."""
        read = {*encoding.read}
        out = [name for name in self.features if name not in read]
        why = "in the train part empty, or text that differs in nearly every row"
        return replace(
            self,
            features=tuple(name for name in self.features if name in read),
            categories=tuple(name for name in self.categories if name in read),
            encoding=encoding,
            guesses=tuple(Guess(each.name, "left out", why) if each.name in out else each for each in self.guesses),
        )

    @property
    def known(self) -> tuple[Guess, ...]:
        """The guesses; the bare roles of columns that were not guessed."""
        features = [Guess(name, "category" if name in self.categories else "feature", "") for name in self.features]
        return self.guesses or (*(Guess(name, role, "") for role, name in self.roles.items()), *features)

    @property
    def words(self) -> str | None:
        """The category whose values are words, many of them, most with a letter; of several that with most values."""
        return self.fitted.words(WORDS)

    @property
    def vectors(self) -> Vectors | None:
        """The pretrained vectors of words, if any."""
        return None if self.encoding is None else self.encoding.vectors

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that must be there to predict."""
        keys = (self.sequence, self.order)
        return tuple(dict.fromkeys([*(name for name in keys if name is not None), *self.features]))

    @property
    def parted(self) -> bool:
        """Whether rows stand in blocks, between blank rows, that are its sequences or say something of a step."""
        return BLOCK in {*self.features, *(self.sequence or "").split(",")}

    def unit_notices(self, units: Mapping[str, str]) -> list[str]:
        """A word about each numeric feature that another table has in another unit than that of training."""
        if self.units is None:
            return []
        said = []
        for name in self.numbers:
            own, other = self.units.get(name, ""), units.get(name, "")
            if own != other and not {own, other} <= {*SECONDS}:  # those are all read in seconds
                here, had = f"the unit {other!r}" if other else "no unit", repr(own) if own else "none"
                taken = "seconds" if own in SECONDS else "they are"
                said.append(
                    f"Careful: column {name!r} has {here} here, and had {had} in training; numbers are taken as "
                    f"{taken}."
                )
        return said

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values, for a model file."""
        encoding = None if self.encoding is None else self.encoding.to_json()
        bare = asdict(replace(self, encoding=None))
        return bare | {"encoding": encoding, "features": list(self.features), "categories": list(self.categories)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], arrays: Mapping[str, Array] = {}) -> Columns:
        """The columns that `to_json` described, with the arrays of their vectors; ModelFileError where it did not."""
        try:
            draw, encoding = data["draw"], data["encoding"]
            columns = cls(
                features=tuple(data["features"]),
                categories=tuple(data["categories"]),
                draw=draw and Draw(int(draw["seed"]), int(draw["fingerprint"]), int(draw["gap"])),
                guesses=tuple(Guess(each["name"], each["role"], each["why"]) for each in data["guesses"]),
                reading=Reading(**data["reading"]),
                units=data.get("units"),
                **{name: data[name] for name in (*ROLES, "per")},
            )
            texts = [columns.label, *columns.roles.values(), *columns.features, *columns.reading.missing]
            texts += [text for each in columns.guesses for text in (each.name, each.role, each.why)]
            texts += [text for each in (columns.units or {}).items() for text in each]
            if not (
                all(isinstance(text, str) for text in texts)
                and 0 < len(columns.features) == len(set(columns.features))
                and len(columns.categories) == len(set(columns.categories) & set(columns.features))
                and columns.per in PERS
                and (columns.draw is None or min(columns.draw.seed, columns.draw.gap) >= 0)
            ):
                raise ValueError
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise ModelFileError(INCOMPLETE) from None
        return columns if encoding is None else replace(columns, encoding=Encoding.from_json(encoding, arrays))


def guess_rows(guesses: Iterable[Guess]) -> list[tuple[str, str, str]]:
    """Guesses in few rows: columns, role, why. Columns of one role for one reason share a row.

    So do those whose reasons differ in numbers of fields alone, if there would be more than `MOST_ROWS`. Of what is
    beyond these, only how much it is.
    """
    guesses = list(guesses)
    many = len({(guess.role, guess.why) for guess in guesses}) > MOST_ROWS
    groups: dict[tuple[str, str], list[Guess]] = {}
    for guess in guesses:
        groups.setdefault((guess.role, uncounted(guess.why) if many else guess.why), []).append(guess)
    rows = [
        (named([guess.name or "''" for guess in group]), role, in_one([guess.why for guess in group]))
        for (role, _), group in groups.items()
    ]
    left = sum(map(len, list(groups.values())[MOST_ROWS:]))
    return [*rows[:MOST_ROWS], *([(counted(left, "further column"), "", "--json of info lists them")] if left else [])]


def guess_table(guesses: Iterable[Guess], hint: bool = True) -> str:
    """Guesses as a table of text, of lines of at most `WIDTH` characters; see `guess_rows`.

    With a `hint`, the last line says how to change them, if there is anything to change.
    """
    guesses = list(guesses)
    printable = [[text if text.isprintable() else repr(text)[1:-1] for text in row] for row in guess_rows(guesses)]
    rows = [["column", "role", "why"], *printable]
    first = min(max(len(row[0]) for row in rows), WIDTH * 2 // 5)
    second = max(len(row[1]) for row in rows)
    lines = []
    for name, role, why in rows:
        whys = textwrap.wrap(why, max(20, WIDTH - first - second - 4), break_on_hyphens=False)
        cells = textwrap.wrap(name, first), [role], whys
        lines += [f"{a:{first}}  {b:{second}}  {c}".rstrip() for a, b, c in zip_longest(*cells, fillvalue="")]
    if hint and not all(guess.plain for guess in guesses):
        roles = ("label", "sequence", "order", "split", "drop")
        lines.append(f"To change a role, use {', '.join(map(option, roles))}.")
    return "\n".join(lines)
