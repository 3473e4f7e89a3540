"""Options: the fields of dataclasses that users set, each with its default, meaning, range and choices in one place.

Checks, command-line options, factors of a study and what `info` and reports show are all made from these fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import field, fields
from numbers import Integral, Real
from typing import Any, NamedTuple

from bothways.errors import InputError, on_command_line


class Option(NamedTuple):
    """What there is to know of an option."""

    default: Any  # its value if none is given. Its type is that of all values; where it is None, `of` says that
    help: str  # one or two sentences
    least: float | None = None  # the smallest value, or None
    above: float | None = None  # what a value must be larger than, or None
    most: float | None = None  # the largest value, or None
    below: float | None = None  # what a value must be smaller than, or None
    choices: tuple[str, ...] = ()  # the only values; empty for any
    usual: tuple[Any, ...] = ()  # values worth trying in a comparison
    optional: bool = False  # whether None is a value, and 0 another way to give it
    flag: str = ""  # the name on the command line, if it is not made from that of the field
    follows: bool = False
    """Whether the command line gives it after a colon, with the field before: `--conv WINDOW:STRIDE`."""
    shown: str = ""  # what help texts show as the default, if not `default`
    metavar: str = ""  # what help texts call its value, if that is not as usual
    of: type = str  # the type of its values, if the default is None and they are no strings

    @property
    def kind(self) -> type:
        """The type of its values, None aside."""
        return self.of if self.default is None else type(self.default)

    def check(self, name: str, value: Any) -> Any:
        """The value as one of `kind`.

        `InputError` for one of another type, out of the range, or not among the choices; it names the field.
        """
        if value is None and (self.optional or self.default is None):
            return None
        if self.choices and (not isinstance(value, str) or value not in self.choices):
            raise InputError(f"There is no {self.called(name)} {value!r}. Use one of: {', '.join(self.choices)}.")
        numbers = {int: Integral, float: Real}.get(self.kind)
        if numbers is None:
            right = isinstance(value, self.kind)
        else:
            right = isinstance(value, numbers) and not isinstance(value, bool) and self._within(value)
        if right:
            return None if self.optional and not value else self.kind(value)
        raise InputError(f"{self.called(name)} is {value!r}; it must be {self.needed}.")

    def called(self, name: str) -> str:
        """What messages call it: the name of the field; on the command line that of the flag, or plain words."""
        return (self.flag or name).lstrip("-").replace("_", " ") if on_command_line() else name

    def parse(self, name: str, text: str) -> Any:
        """The value that a text stands for, checked."""
        value: Any = text
        if (self.optional or self.default is None) and text.lower() == "none":
            value = None
        elif self.kind is bool:
            value = {"true": True, "false": False}.get(text.lower(), text)
        elif self.kind in (int, float):
            with suppress(ValueError):  # `check` says what is needed
                value = self.kind(text)
        return self.check(name, value)

    @property
    def needed(self) -> str:
        """What a value must be, in words."""
        if self.kind is bool:
            return "True or False"
        if self.kind not in (int, float):
            return "a string"
        ranges = {"above": self.above, "of at least": self.least, "at most": self.most, "below": self.below}
        known = [f"{words} {number:.15g}" for words, number in ranges.items() if number is not None]
        return f"a {'whole ' if self.kind is int else ''}number {' and '.join(known)}".strip()

    def _within(self, value: Any) -> bool:
        return bool(
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and value < (float("inf") if self.below is None else self.below)
        )


def option_field(default: Any, help: str, **more: Any) -> Any:
    """A field of a dataclass that is an option."""
    return field(default=default, metadata={"option": Option(default, help, **more)})


def choice_field(default: str, help: str, choices: Iterable[str], **more: Any) -> Any:
    """The same of an option all of whose choices are worth trying."""
    return option_field(default, help, choices=tuple(choices), usual=tuple(choices), **more)


def options(owner: type, *names: str) -> dict[str, Option]:
    """The options of a dataclass by the names of their fields."""
    found = {each.name: each.metadata["option"] for each in fields(owner) if "option" in each.metadata}
    return {name: found[name] for name in names or found}


def check_options(instance: Any) -> None:
    """Check all options of a new dataclass and put in what `Option.check` makes of them."""
    for name, option in options(type(instance)).items():
        object.__setattr__(instance, name, option.check(name, getattr(instance, name)))


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """`value` as an int of at least `least`, and at most `most`."""
    return int(Option(0, "", least=least, most=most).check(name, value))


def seconds_of(name: str, value: float | str) -> float:
    """A time above 0 in seconds, from a number or from text such as 10m."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([smhd]?)\s*", str(value))
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]] if found else 0.0
    if not 0 < seconds < math.inf:
        raise InputError(f"{name} is {value!r}; it must be a time such as 90s, 10m, 2h or 1d.")
    return seconds
