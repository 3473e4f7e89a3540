"""The spelling of words as nodes. ONNX cuts no text, but it matches patterns: `bothways.data.spelling` backward."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bothways.data.spelling import LONG
from bothways.export.graph import Graph, Value

if TYPE_CHECKING:
    from bothways.data.encoding import Category

OPSET = 20  # the first version of the operators that matches patterns
LONGEST = 20_000  # characters of a pattern; the memory that a runtime gives one is bounded
LARGE = 8  # classes of all characters in a pattern; one with more knows the letters of Latin, Greek and Cyrillic

SHAPES = {"X": r"\p{Lu}", "x": r"[\p{Ll}\p{Lt}\p{Lm}\p{Lo}]", "d": r"\p{Nd}"}
LENGTHS = {**{str(length): f".{{{length}}}" for length in range(LONG)}, str(LONG): f".{{{LONG},}}"}
PLAIN, DOT, DOTTED = r"[\x{49}\x{69}]", r"\x{307}", r"\x{130}"  # in small letters the I with a dot is two characters
NOTHING = r"[^\x{0}-\x{10ffff}]"  # what a file says that no view shows


def codes(graph: Graph, category: Category, text: Value) -> Value:
    """The codes of what a view shows of each word, 0 where training never saw that.

    A pattern says whether a word has one of many codes; one for each binary digit makes a code. Shapes, of which there
    are few and which are made of large classes of characters, have one for each.
    """
    patterns = dict(enumerate((pattern_of(category.view, str(value)) for value in category.values), 1))
    chosen = [(at, [pattern]) for at, pattern in patterns.items()]
    if category.view != "shape":
        digits = [1 << digit for digit in range(len(patterns).bit_length())]
        chosen = [(digit, sorted(pattern for at, pattern in patterns.items() if at & digit)) for digit in digits]
    code = graph("Shape", text, start=0, end=1) * np.int64(0)
    for part, some in chosen:
        for pattern in _joined(some):
            found = graph("RegexFullMatch", text, pattern=pattern)
            code = code + graph.where(found, np.int64(part), np.int64(0))
    return code


def pattern_of(view: str, value: str) -> str:
    r"""What matches the words of which a view shows this.

    Example:
        >>> pattern_of("first 2", "a0"), pattern_of("last 3", "?"), pattern_of("shape", "Xxx")
        ('[\\x{41}\\x{61}]\\p{Nd}.*', '\\x{3f}', '\\p{Lu}[\\p{Ll}\\p{Lt}\\p{Lm}\\p{Lo}]{2,}')
    """
    if view == "shape":
        runs = re.findall(r"XX?|xx?|dd?|.", value, re.DOTALL)
        # The states of a pattern of more classes than this need more memory than RE2 takes.
        kinds = SHAPES if sum(len(run) for run in runs if run[0] in SHAPES) <= LARGE else _near()
        return "".join(kinds[run[0]] + "{2,}" * (len(run) > 1) if run[0] in SHAPES else _one(run) for run in runs)
    if view == "length":
        return LENGTHS.get(value, NOTHING)
    letters = "".join(
        r"\p{Nd}" if letter == "0" else _one(*sorted([*_large().get(letter, ()), letter])) for letter in value
    )
    letters = letters.replace(PLAIN + DOT, f"(?:{PLAIN}{DOT}|{DOTTED})")
    side, _, count = view.partition(" ")
    if not count.isdecimal() or len(value) < int(count):
        return letters
    if side == "last":
        return ".*" + (f"[{DOT}{DOTTED}]{letters.removeprefix(DOT)}" if letters.startswith(DOT) else letters)
    return (f"{letters.removesuffix(PLAIN)}(?:{PLAIN}|{DOTTED})" if letters.endswith(PLAIN) else letters) + ".*"


@cache
def _large() -> dict[str, list[str]]:
    """For each small letter the other characters that become it."""
    found = defaultdict(list)
    for character in map(chr, range(sys.maxunicode + 1)):
        if (small := character.lower()) != character:
            found[small].append(character)
    return found


@cache
def _near() -> dict[str, str]:
    """The classes of `SHAPES` without the characters after those of Cyrillic."""
    found: dict[str, list[str]] = {sign: [] for sign in SHAPES}
    for character in map(chr, range(0x530)):
        kind = unicodedata.category(character)
        if sign := "d" if kind == "Nd" else "X" if kind == "Lu" else "x" if kind[0] == "L" else "":
            found[sign].append(character)
    return {sign: _one(*characters) for sign, characters in found.items()}


def _one(*characters: str) -> str:
    """One of some characters."""
    codes = "".join(f"\\x{{{ord(character):x}}}" for character in characters)
    return codes if len(characters) == 1 else f"[{codes}]"


def _joined(patterns: list[str]) -> Iterator[str]:
    """Patterns of any of those given, none longer than it may be."""
    some: list[str] = []
    for pattern in patterns:
        if some and sum(map(len, some)) + len(pattern) > LONGEST:
            yield f"(?s)({'|'.join(some)})"
            some = []
        some.append(pattern)
    if some:
        yield f"(?s)({'|'.join(some)})"
