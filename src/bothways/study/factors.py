"""What can be varied: the options of `Network` and `Settings`, each under its own name."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from bothways.baselines.neighbors import are_many
from bothways.errors import InputError
from bothways.network import Network
from bothways.options import Option, options
from bothways.sequences import Sequences
from bothways.settings import Settings

Value = int | float | str | bool | None

WIDE = 32
"""With more numeric columns, their levels and changes leave fewer than 4 bins to each: `MAX_BINS` of `Network`."""

NARROW: Mapping[str, Value] = {"levels": "raw", "changes": 0}  # how the numbers of wide tables enter first
PLAIN: Mapping[str, Value] = {"encoding": "standard", **NARROW}
"""How the numbers of vectors of words enter, of which bins and changes say little; and many others, trained once."""


@cache
def factors() -> Mapping[str, Option]:
    """All factors by name; those with usual values first."""
    found = {**options(Network), **options(Settings)}
    del found["seed"]
    return dict(sorted(found.items(), key=lambda item: not item[1].usual))


class DataShape(NamedTuple):
    """What the data determine about every network.

    `longest` is the number of steps of the longest train sequence; `vectors` of the features are the vector of a word.
    """

    features: int
    classes: int
    categories: tuple[int, ...] = ()
    per: str = "step"
    longest: int = 1
    vectors: int = 0

    @property
    def words(self) -> bool:
        """Whether steps have labels and are words, or other things of many kinds."""
        return are_many(self.per, self.categories)

    @property
    def measured(self) -> int:
        """How many numbers steps have besides the vectors of their words."""
        return self.features - len(self.categories) - self.vectors

    @property
    def only_words(self) -> bool:
        """Whether steps are words and nothing is measured beside them."""
        return self.words and not self.measured

    @classmethod
    def of(cls, train: Sequences, classes: int, categories: tuple[int, ...], vectors: int = 0) -> DataShape:
        """What these train sequences determine about networks for this number of classes."""
        return cls(train.features, classes, categories, train.per, int(train.lengths.max()), vectors)

    def network(self, **options: Any) -> Network:
        """The network with these options for such data."""
        return Network(self.features, self.classes, categories=self.categories, per=self.per, **options)

    @property
    def usual(self) -> Mapping[str, Value]:
        """What suits such data better than the defaults, where no settings are looked for."""
        return PLAIN if self.vectors or self.measured > WIDE else {}

    def network_once(self, given: Mapping[str, Any]) -> Network:
        """The network to train where no settings are looked for: with what is given, else with what is usual."""
        return self.network(**{**self.usual, **given})


@dataclass(frozen=True)
class Setting:
    """A value for every factor; `changed` has those that are not at their defaults, sorted by name."""

    changed: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Setting:
        """The setting with these values, and the defaults of all other factors."""
        return cls(tuple(sorted((name, each) for name, each in values.items() if each != default(name))))

    @property
    def text(self) -> str:
        """What is not at its default, as JSON."""
        return json.dumps(dict(self.changed))

    def __getitem__(self, name: str) -> Value:
        return dict(self.changed).get(name, default(name))

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.changed) or "all defaults"

    def settings(self, seed: int) -> Settings:
        """How to train."""
        return Settings(seed=seed, **self._of(Settings))

    def network(self, shape: DataShape) -> Network:
        """The network for data of a shape; an InputError says why there is none."""
        for name, what in (("conv_window", "window"), ("conv_stride", "stride")):
            length = self[name]
            if self["conv_window"] and isinstance(length, int) and length > shape.longest:
                raise InputError(
                    f"a convolution with a {what} of {length} steps is longer than the longest training sequence "
                    f"({shape.longest} steps)"
                )
        return shape.network(**self._of(Network))

    def refused(self, shape: DataShape) -> str:
        """Why there is no network for data of a shape; "" where there is one."""
        try:
            self.network(shape)
        except InputError as reason:
            return str(reason)
        return ""

    def alone(self, shape: DataShape) -> Setting:
        """The setting with everything at its default that has no effect: equal ones give equal results."""
        idle = self.idle(shape)
        return Setting(tuple((name, value) for name, value in self.changed if name not in idle))

    def idle(self, shape: DataShape) -> set[str]:
        """The factors that have no effect beside the values of the others."""
        whole, numbers = shape.per == "sequence", shape.features > len(shape.categories)
        cut_from = min(int(each or shape.longest) for each in (self["window"], default("window")))
        one_head = whole or bool(self["lookahead"])
        idle = {
            "pooling": not whole,
            "window": whole or shape.longest <= cut_from,
            "head": one_head,
            "class_weight": self["head"] == "crf" and not one_head,
            "merge_mode": self["direction"] != "both",
            "conv_stride": not self["conv_window"],
            "bins": not numbers or self["encoding"] == "standard",
            **dict.fromkeys(("encoding", "levels", "changes"), not numbers),
            **dict.fromkeys(("embedding", "category_dropout", "min_count"), not shape.categories),
        }
        return {name for name, has_no_effect in idle.items() if has_no_effect}

    def _of(self, owner: type) -> dict[str, Any]:
        return {name: value for name, value in self.changed if name in options(owner)}


def default(name: str) -> Value:
    """The value of a factor that is not varied."""
    value: Value = factors()[name].default
    return value


def factor(name: str) -> str:
    """The name of the factor that `name` stands for; a dot or a dash is as good as an underscore."""
    known, plain = _names(), _plain(name)
    if plain not in known:
        close = difflib.get_close_matches(plain, known, 1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"There is no factor {name.strip()!r}.{guess} Factors: {', '.join(factors())}.")
    return known[plain]


def parse_vary(arguments: Iterable[str]) -> dict[str, tuple[Value, ...]]:
    """Factors and their values from the command line: each argument `NAME`, `NAME,NAME` or `NAME=VALUE,VALUE`."""
    given: dict[str, list[str] | None] = {}
    for argument in arguments:
        # "direction,units=16,32,depth": a word that names a factor is no value of the one before it.
        texts: list[str] | None = None
        for word in filter(None, map(str.strip, argument.split(","))):
            head, equals, value = word.partition("=")
            if not equals and texts is not None and _plain(word) not in _names():
                texts.append(word)
                continue
            texts = [value.strip()] if equals else None
            _put(given, factor(head), texts)
    values = {name: texts and [factors()[name].parse(name, text) for text in texts] for name, texts in given.items()}
    return checked_vary(values)


def parse_settings(arguments: Iterable[str]) -> dict[str, Value]:
    """Values of factors from the command line, each argument `NAME=VALUE`."""
    found: dict[str, Value] = {}
    for argument in arguments:
        head, equals, value = argument.partition("=")
        if not equals:
            raise InputError(f"{argument!r} sets nothing; write NAME=VALUE, such as units=20.")
        name = factor(head)
        _put(found, name, factors()[name].parse(name, value.strip()))
    return found


def checked_vary(vary: Mapping[str, Iterable[Value] | None]) -> dict[str, tuple[Value, ...]]:
    """The values of every factor to vary, checked; the usual ones where they are None."""
    if not isinstance(vary, Mapping):
        raise InputError(
            f"vary is {vary!r}; give each factor its values, or None for the usual ones: {{'units': None}}."
        )
    found: dict[str, tuple[Value, ...]] = {}
    for given_name, given in vary.items():
        name = factor(given_name)
        option = factors()[name]
        if given is None and not option.usual:
            raise InputError(f"{name} has no usual values; give some: {name}=A,B.")
        if isinstance(given, str) or not isinstance(given, Iterable | None):
            raise InputError(f"{name} is {given!r}; it must be a list of values, or None for the usual ones.")
        values = tuple(option.check(name, value) for value in (option.usual if given is None else given))
        if not values or len(set(map(repr, values))) < len(values):
            raise InputError(f"{name} has the values {values}; give at least one, and none twice.")
        _put(found, name, values)
    return found


def checked_settings(values: Mapping[str, Value]) -> dict[str, Value]:
    """Values of factors, checked, by their full names."""
    if not isinstance(values, Mapping):
        raise InputError(f"{values!r} sets no factors; give their values by name: {{'units': 8}}.")
    found: dict[str, Value] = {}
    for given, value in values.items():
        name = factor(given)
        _put(found, name, factors()[name].check(name, value))
    return found


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if name in found:
        raise InputError(f"The factor {name} is given twice.")
    found[name] = value


@cache
def _names() -> dict[str, str]:
    """The factors by their names and by the names of their flags."""
    flags = {_plain(option.flag.lstrip("-")): name for name, option in factors().items() if option.flag}
    return {**flags, **{name: name for name in factors()}}


def _plain(name: str) -> str:
    return name.strip().replace(".", "_").replace("-", "_")
