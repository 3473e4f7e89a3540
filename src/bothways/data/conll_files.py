"""CoNLL files: a line per word, columns between tabs or spaces, blank lines between sentences; CoNLL-U among them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from bothways.data.csv_files import Say, utf8
from bothways.data.words import SENTENCE, Piece, Pieces
from bothways.errors import DataError, counted

WORDS = ("form", "word")
"""How the column of words is called, in CoNLL-U and in other files."""

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U (https://universaldependencies.org/format.html)."""

DOCUMENT = "-DOCSTART-"
BETWEEN = {"\t": re.compile("(\t)"), " ": re.compile("([ \t]+)")}
"""What stands between columns."""

RANGE = re.compile(r"\d+[-.]\d+")
"""The id of a token of several words or of an empty node of CoNLL-U, neither of which is a word."""

COMMENT = re.compile(r"#\s+(?:[\w.]+ ?= |id |newdoc|newpar)")
"""A comment, even if it has as many columns as a word."""

HEAD = 1000
"""How many lines show what the columns are."""

LONG_SENTENCE, LONG_WORD = 2_000, 1_000
"""Words of a sentence and characters of a word above which the user is told, for a separator may be missing."""


class Line(NamedTuple):
    """A line with its end, its fields if it is a word, and whether a sentence ends at it."""

    number: int
    text: str
    fields: list[str] | None
    ends: bool = False


def read(path: Path, say: Say) -> pl.DataFrame:
    """The words, with the number of their sentence; columns are text.

    CoNLL-U has its own names; in other files the first column is `word`, or the second one after an `id`. A single
    further one is `tag`; several have their numbers for names.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "some.conll")
        ...     _ = path.write_text("In O\\nRome B-LOC\\n\\nHello O\\n")
        ...     read(path, print).rows()
        [(1, 'In', 'O'), (1, 'Rome', 'B-LOC'), (2, 'Hello', 'O')]
    """
    return pl.concat(batches(path, 2**18, say))


def batches(path: Path, rows: int, say: Say) -> Iterator[pl.DataFrame]:
    """The same in order, `rows` at a time.

    Raises:
        DataError: a line with another number of columns than the first word has, or no word at all.
    """
    with _opened(path, say) as (names, _, lines):
        at = int(names[0] == "id")
        words: list[list[str]] = []
        sentences: list[int] = []
        sentence, size, begin, new = 0, 0, 0, True
        longest = widest = (0, 0)
        for number, _, fields, ends in lines:
            if fields is None:
                new = new or ends
                continue
            if new:
                sentence, size, begin, new = sentence + 1, 0, number, False
            size += 1
            longest, widest = max(longest, (size, begin)), max(widest, (len(fields[at]), number))
            words.append(fields)
            sentences.append(sentence)
            if len(words) == rows:
                yield _frame(names, words, sentences)
                words, sentences = [], []
        if words:
            yield _frame(names, words, sentences)
    if longest[0] > LONG_SENTENCE:
        say(f"{path}: the sentence from line {longest[1]} has {longest[0]:,} words. Is a blank line missing?")
    if widest[0] > LONG_WORD:
        say(f"{path}: line {widest[1]} holds a word of {widest[0]:,} characters.")


def line(path: Path, row: int) -> int:
    """The number of the line of a word, whose number from 0 is `row`."""
    with _opened(path, lambda _: None) as (_, _, lines):
        return next(islice((line.number for line in lines if line.fields is not None), row, None))


def pieces(path: Path, label: str, per: str, more: bool) -> Pieces:
    """The sentences, to be written again with what is predicted in the column `label`, or in a further one at the end.

    `more` says that another file follows.
    """
    with _opened(path, lambda _: None) as (names, separator, lines):
        fill = partial(_labeled, path, separator, names.index(label) if label in names else None)
        held: list[Line] = []
        for line in lines:
            held.append(line)
            if line.ends:
                yield Piece(sum(line.fields is not None for line in held), partial(fill, held))
                held = []
        yield Piece(sum(line.fields is not None for line in held), partial(fill, held))
        if more:
            yield Piece(0, lambda _: "\n")


def _labeled(
    path: Path, separator: str, place: int | None, lines: Sequence[Line], predicted: Sequence[dict[str, Any]]
) -> str:
    """Lines with a label for each word, at its place or at the end."""
    labels = [str(row["predicted"]) for row in predicted]
    blank = "\t\r\n" if separator == "\t" else string.whitespace
    for label in set(labels):
        if not set(label).isdisjoint(blank):
            raise DataError(f"{path}: this file has no room for the label {label!r}, which holds a blank.")
    written, following = [], iter(labels)
    for line in lines:
        text = line.text if line.text.endswith("\n") else line.text + "\n"
        if line.fields is not None:
            bare = text.rstrip("\r\n")
            parts = BETWEEN[separator].split(bare)
            if place is None:
                parts += [separator, next(following)]
            else:
                parts[2 * place + 2 * (parts[0] == "" and separator == " ")] = next(following)
            text = "".join(parts) + text[len(bare) :]
        written.append(text)
    return "".join(written)


@contextmanager
def _opened(path: Path, say: Say) -> Iterator[tuple[list[str], str, Iterator[Line]]]:
    """The names of the columns, what separates them, and the lines."""
    with utf8(path, say) as plain, plain.open(encoding="utf-8-sig", newline="\n") as text:
        head = list(islice(text, HEAD))
        names, separator = _dialect(path, head)
        yield names, separator, _lines(path, chain(head, text), names, separator)


def _dialect(path: Path, head: Sequence[str]) -> tuple[list[str], str]:
    """The names of the columns and what separates them, as the first sentence shows."""
    bare: list[str] = []
    for line in head:
        text = line.rstrip("\r\n")
        if not text.strip(" \t"):
            if bare:
                break
        elif not text.startswith(("#", DOCUMENT)):
            bare.append(text)
    if not bare:
        raise DataError(f"{path}: this file holds no words; each stands on a line of its own.")
    separator = " " if " " in bare[0].strip(" ") and "\t" not in bare[0] else "\t"
    width = len(_split(bare[0], separator))
    ids = [text.split(separator)[0] for text in bare]
    ids = [each for each in ids if not RANGE.fullmatch(each)]
    numbered = width > 1 and ids == [str(k + 1) for k in range(len(ids))] and (len(ids) > 1 or width == len(CONLLU))
    if ".conllu" in path.name.lower() or (numbered and width == len(CONLLU)):
        return list(CONLLU), separator
    names = ["id", "word"] if numbered else ["word"]
    rest = [str(k) for k in range(len(names) + 1, width + 1)]
    return names + (["tag"] if len(rest) == 1 else rest), separator


def _lines(path: Path, text: Iterator[str], names: Sequence[str], separator: str) -> Iterator[Line]:
    numbered, begins = names[0] == "id", True
    for number, line in enumerate(text, start=1):
        bare = line.rstrip("\r\n")
        if not bare.strip(" \t"):
            begins = True
            yield Line(number, line, None, ends=True)
            continue
        fields = _split(bare, separator)
        fits = len(fields) == len(names)
        if bare.startswith(DOCUMENT):
            begins = True
            yield Line(number, line, None, ends=True)
        elif bare[0] == "#" and begins and (numbered or not fits or COMMENT.match(bare)):
            yield Line(number, line, None)
        elif not fits:
            between = "tabs" if separator == "\t" else "spaces"
            raise DataError(
                f"{path}: line {number} ({bare[:40]!r}) has {counted(len(fields), 'column')} between {between}; a word "
                f"has {len(names)} here ({', '.join(names)}). Put it right."
            )
        else:
            begins = False
            yield Line(number, line, None if numbered and RANGE.fullmatch(fields[0]) else fields)


def _split(bare: str, separator: str) -> list[str]:
    # Not at every blank of Unicode: words may hold one, such as the no-break space of "10 000".
    if separator == "\t":
        return bare.split("\t")
    return [field for field in bare.replace("\t", " ").split(" ") if field]


def _frame(names: Sequence[str], words: list[list[str]], sentences: list[int]) -> pl.DataFrame:
    columns = [pl.Series(name, column, pl.String) for name, column in zip(names, zip(*words, strict=True), strict=True)]
    frame = pl.DataFrame([pl.Series(SENTENCE, sentences, pl.Int64), *columns])
    return frame.with_columns(pl.col(CONLLU[3:]).replace("_", None)) if tuple(names) == CONLLU else frame
