"""What the spelling of a word shows: the word in small letters, its beginnings and ends, its shape and length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import polars as pl

LONGEST = 100  # at most this many characters of a word show its shape
LONG = 20  # characters; of a longer word no more are counted

SIGNS = {r"\p{Lu}": "\x01", r"\p{L}": "\x02", r"\p{Nd}": "\x03"}
"""What stands for capitals, other letters and digits before the shape is whole."""


def _small(text: pl.Series) -> pl.Series:
    return text.str.to_lowercase().str.replace_all(r"\p{Nd}", "0")


def _edge(text: pl.Series, length: int) -> pl.Series:
    return _small(text).str.head(length) if length > 0 else _small(text).str.tail(-length)


def _shape(text: pl.Series) -> pl.Series:
    """X for a capital, x for another letter, d for a digit; two for any longer run: iPhones is xXxx, 1:30 is d:dd."""
    shape = text.str.head(LONGEST)
    for pattern, sign in SIGNS.items():
        shape = shape.str.replace_all(pattern, sign)
    for sign, shown in zip(SIGNS.values(), "Xxd", strict=True):
        shape = shape.str.replace_all(f"{sign}{{2,}}", shown * 2).str.replace_all(sign, shown)
    return shape


VIEWS: Mapping[str, Callable[[pl.Series], pl.Series]] = {
    "in small letters": _small,
    **{f"first {n}": partial(_edge, length=n) for n in (1, 2, 3)},
    **{f"last {n}": partial(_edge, length=-n) for n in (1, 2, 3, 4)},
    "shape": _shape,
    "length": lambda text: text.str.len_chars().clip(0, LONG).cast(pl.String),
}
"""What of its spelling is read beside a word itself, each as a category of its own."""

LEAST = 2  # a view of words is known if training has seen it at least this often


def views(name: str, text: pl.Series) -> pl.Series:
    """What a view shows of each word; "" is the word itself."""
    return VIEWS[name](text) if name else text
