"""What can go wrong, as one tree.

    BothwaysError
    ├── InputError              an argument or array has the wrong value, shape or dtype (a ValueError)
    │   └── InputTypeError      an array holds objects that are no numbers (a TypeError, too)
    ├── DataError               a table or data frame cannot be used; names the row and column (a ValueError)
    ├── ModelFileError          a model file is missing, damaged or not ours
    └── MissingDependencyError  an optional package is not installed (an ImportError)

Every message says what came, what is needed and what to do, in one or two lines. The command line
prints it and exits with 2. Messages name an option with `option`, and count things with `counted`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LISTS = ("drop", "features", "categorical", "numeric", "missing")  # the arguments that take a list of columns or words

IN_FRAMES = {"missing": "replace([{}], None)", "dates": "to_datetime", "group": "groups=X[{}]"}
"""What does to a data frame what these arguments do to a table; `SequenceLabeler` has them not."""

_caller: ContextVar[str] = ContextVar("caller", default="Python")


@contextmanager
def calling(caller: str) -> Iterator[None]:
    """Name options as "the command line" or "the labeler" knows them, or for "a server", in all messages meanwhile.

    Or for "a comparison" in Python, whose `table` takes what is said of a table.
    """
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def on_command_line() -> bool:
    """Whether the command line runs."""
    return _caller.get() == "the command line"


def option(name: str, *values: object) -> str:
    """An option as the caller knows it: a flag on the command line, an argument in Python.

    True stands for a flag without a value.
    """
    caller = _caller.get()
    if caller == "the labeler" and name in IN_FRAMES:
        return IN_FRAMES[name].format(", ".join(map(repr, values)))
    if caller in ("Python", "the labeler", "a comparison"):
        value = repr(list(values)) if name in LISTS and values else ", ".join(map(repr, values))
        return f"table={{{name!r}: {value or '...'}}}" if caller == "a comparison" else f"{name}={value}"
    flag = f"{'bothways predict ' if caller == 'a server' else ''}--{name.replace('_', '-')}"
    return flag if values in ((), (True,)) else f"{flag} {_argument(name, values)}"


def _argument(name: str, values: tuple[object, ...]) -> str:
    """The values of a flag, with the quotes that a shell needs; in a list, a name that holds a comma is quoted too."""
    texts = [str(value) for value in values]
    if name in LISTS:
        quote = [text != text.strip() or "," in text or text[:1] == '"' for text in texts]
        texts = ['"' + text.replace('"', '""') + '"' if q else text for text, q in zip(texts, quote, strict=True)]
    text = ",".join(texts)
    quoted = shlex.quote(text)
    return f'"{text}"' if quoted != text and not set(text) & set('"$`!\\') else quoted


def missing(what: str, package: str | None, extra: str) -> MissingDependencyError:
    """The error of work that needs a package which is not installed, of an extra of ours if it has a name."""
    install = f"'bothways[{extra}]'" if extra else package
    return MissingDependencyError(f"{what} needs {package}, which is not installed. Install it: pip install {install}")


@contextmanager
def imports_for(what: str, extra: str) -> Iterator[None]:
    """Say of packages that are imported meanwhile and not installed what needs them; all are of an extra of ours."""
    try:
        yield
    except ModuleNotFoundError as reason:
        raise missing(what, reason.name, extra) from None


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number and its noun, in the plural (the noun with an s, if not given) unless there is one."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def part_words(part: str) -> str:
    """The part of a table in a sentence."""
    return "the whole table" if part == "all" else f"the {part} part"


class BothwaysError(Exception):
    """Whatever bothways raises on purpose."""


class InputError(BothwaysError, ValueError):
    """An argument or array has the wrong value, shape or dtype."""


class InputTypeError(InputError, TypeError):
    """An array holds objects that are no numbers. scikit-learn asks its estimators for a TypeError here."""


class DataError(BothwaysError, ValueError):
    """A table cannot be used: the message names the file, and the row and column where known.

    Example:
        >>> raise DataError("flows.csv: no column 'lable'. Did you mean 'label'?")
        Traceback (most recent call last):
        bothways.errors.DataError: flows.csv: no column 'lable'. Did you mean 'label'?
    """


class ModelFileError(BothwaysError):
    """A model file is missing, damaged, or was not written by bothways."""


class MissingDependencyError(BothwaysError, ImportError):
    """An optional package is needed and not installed; the message says how to install it."""
