"""What can be varied: the factors, their names, and the values that they take if none are given.

Every field of `Network` that is not told by the data, and every one of `Settings` but the seed, is a factor under its
own name; a factor that a later version adds to either is one here, too.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Any

from bothways.errors import InputError
from bothways.merge import MERGE_MODES
from bothways.network import DIRECTIONS, POOLINGS, Network
from bothways.settings import Settings

AS_WRITTEN = "backward_as_written"
"""A direction beyond those of `Network`: a layer that goes backward and whose outputs stay in the order of its going,
as `LSTM(go_backwards=True)` gives them, against labels in the order of the steps. Many a tutorial trains that."""

BY_THE_DATA = ("features", "classes", "categories", "per")
"""Fields of `Network` that are told by the data."""

ALIASES: Mapping[str, str] = MappingProxyType({"merge": "merge_mode"})

VALUES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "direction": tuple(DIRECTIONS),
        "merge_mode": tuple(MERGE_MODES),
        "cell": ("lstm", "gru", "rnn"),
        "units": (16, 32, 64),
        "depth": (1, 2),
        "conv_window": (0, 3, 7),
        "conv_stride": (1, 2),
        "pooling": tuple(POOLINGS),
        "dropout": (0.0, 0.25, 0.5),
        "embedding": (8, 16, 32),
        "learning_rate": (0.003, 0.01, 0.03),
        "batch_size": (8, 32),
    }
)
"""The values of a factor that is varied without saying how."""

Value = int | float | str | bool | None
Setting = dict[str, Value]
"""A value for every factor, by the name of its field."""


@dataclass(frozen=True)
class Factor:
    """Something that can be varied.

    Attributes:
        field: its name, that of a field of `Network` or `Settings`.
        home: "network" or "settings".
        default: its value where it is not varied.
        types: what its values can be.
    """

    field: str
    home: str
    default: Value
    types: tuple[type, ...]

    def parse(self, text: str) -> Value:
        """A value from text.

        Raises:
            InputError: it is no value of such a kind; names what is needed.

        Example:
            >>> factors()["units"].parse("16"), factors()["patience"].parse("none")
            (16, None)
            >>> factors()["units"].parse("many")
            Traceback (most recent call last):
            bothways.errors.InputError: units=many: a value of units is a whole number, as 32.
        """
        if type(None) in self.types and text.lower() == "none":
            return None
        if bool in self.types and text.lower() in ("true", "false"):
            return text.lower() == "true"
        for kind in (int, float):
            if kind in self.types or (kind is int and float in self.types):
                try:
                    return float(text) if float in self.types else int(text)
                except ValueError:
                    continue
        if str in self.types:
            return text
        kinds = " or ".join(_KINDS[kind] for kind in self.types)
        raise InputError(f"{self.field}={text}: a value of {self.field} is {kinds}, as {self.default}.")


_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", type(None): "none"}


@cache
def factors() -> Mapping[str, Factor]:
    """All factors by name.

    Example:
        >>> factors()["merge_mode"].default
        'concat'
    """
    found = {}
    for home, owner in (("network", Network), ("settings", Settings)):
        hints = typing.get_type_hints(owner)
        for field in fields(owner):
            if field.name in (*BY_THE_DATA, "seed") or field.default is MISSING:
                continue
            hint = hints[field.name]
            kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
            if set(kinds) <= set(_KINDS):
                found[field.name] = Factor(field.name, home, field.default, tuple(kinds))
    return MappingProxyType(found)


def factor(name: str) -> Factor:
    """The factor called `name`; a dot or a dash is as good as an underscore.

    Raises:
        InputError: there is none; the known ones are listed.

    Example:
        >>> factor("merge").field
        'merge_mode'
        >>> factor("dirction")
        Traceback (most recent call last):
        bothways.errors.InputError: There is no factor 'dirction'. Did you mean 'direction'? Known: direction, ...
    """
    plain = name.strip().replace(".", "_").replace("-", "_")
    plain = ALIASES.get(plain, plain)
    known = factors()
    if plain not in known:
        # Those that people vary first.
        names = [*(field for field in VALUES if field in known), *(field for field in known if field not in VALUES)]
        close = difflib.get_close_matches(plain, [*names, *ALIASES], 1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"There is no factor {name.strip()!r}.{guess} Known: {', '.join(names)}.")
    return known[plain]


def parse_vary(arguments: Iterable[str]) -> dict[str, tuple[Value, ...]]:
    """Factors and their values from the command line.

    Args:
        arguments: each one of `NAME`, `NAME,NAME` (the values of `VALUES`) or `NAME=VALUE,VALUE`.

    Returns:
        The values of each factor, by field.

    Raises:
        InputError: an unknown factor or value, or a factor twice.

    Example:
        >>> parse_vary(["direction", "units=16,32"])
        {'direction': ('forward', 'backward', 'both'), 'units': (16, 32)}
    """
    given: dict[str, list[str] | None] = {}
    for argument in arguments:
        # "direction,units=16,32,depth": a word that is no value of its neighbours begins a factor of its own.
        name = ""
        for word in argument.split(","):
            head, equals, value = word.partition("=")
            if equals:
                name = _new(factor(head).field, given)
                given[name] = [value.strip()]
            elif name and given[name] is not None and not _is_factor(word, given):
                typing.cast("list[str]", given[name]).append(word.strip())
            elif word.strip():
                name = _new(factor(word).field, given)
                given[name] = None
    return checked_vary(
        {name: None if texts is None else [factor(name).parse(text) for text in texts] for name, texts in given.items()}
    )


def parse_settings(arguments: Iterable[str]) -> Setting:
    """Values of factors that are not varied, each argument `NAME=VALUE`.

    Raises:
        InputError: an unknown factor or value.

    Example:
        >>> parse_settings(["units=20", "epochs=5"])
        {'units': 20, 'epochs': 5}
    """
    found: Setting = {}
    for argument in arguments:
        head, equals, value = argument.partition("=")
        if not equals:
            raise InputError(f"{argument!r} sets nothing; write NAME=VALUE, as units=20.")
        found[factor(head).field] = factor(head).parse(value.strip())
    return found


def checked_vary(vary: Mapping[str, Iterable[Value] | None]) -> dict[str, tuple[Value, ...]]:
    """The values of every factor to vary.

    Args:
        vary: by name, the values; None for those of `VALUES`.

    Raises:
        InputError: an unknown factor or value, a value twice, none at all, or none given where there are none to take.

    Example:
        >>> checked_vary({"direction": ["sideways"]})
        Traceback (most recent call last):
        bothways.errors.InputError: There is no direction 'sideways'. Use one of: forward, backward, both, ...
    """
    found: dict[str, tuple[Value, ...]] = {}
    for name, given in vary.items():
        field = factor(name).field
        if given is None:
            if field not in VALUES:
                raise InputError(f"{field} has no values that are always worth trying; give some: {field}=A,B.")
            values = VALUES[field]
        elif isinstance(given, str) or not isinstance(given, Iterable):
            raise InputError(f"{name} is {given!r}; it must be a list of values, or None for the usual ones.")
        else:
            values = tuple(given)
        if field in found:
            raise InputError(f"The factor {field} is given twice.")
        if not values or len(set(map(repr, values))) < len(values):
            raise InputError(f"{field} takes the values {values}; give at least one, and none twice.")
        for value in values:
            check_value(field, value)
        found[field] = values
    return found


def check_value(field: str, value: Value) -> None:
    """Refuse a value that no network, or no training, could have.

    Raises:
        InputError: what came, and what there is.
    """
    of = factors()[field]
    if field == "direction" and isinstance(value, str) and value not in DIRECTIONS:
        if value != AS_WRITTEN:
            known = ", ".join((*DIRECTIONS, AS_WRITTEN))
            raise InputError(f"There is no direction {value!r}. Use one of: {known}.")
        return
    if of.home == "settings":
        Settings(**{field: value})  # type: ignore[arg-type]  # checked there
        return
    # A stride needs a convolution; without one it does nothing, which is no mistake in a grid.
    beside = {"conv_window": 1} if field == "conv_stride" else {}
    Network(features=1, classes=2, **beside, **{field: value})  # type: ignore[arg-type]  # checked there


def _new(field: str, given: Mapping[str, Any]) -> str:
    if field in given:
        raise InputError(f"The factor {field} is given twice.")
    return field


def _is_factor(word: str, given: Mapping[str, Any]) -> bool:
    plain = word.strip().replace(".", "_").replace("-", "_")
    return ALIASES.get(plain, plain) in factors()
