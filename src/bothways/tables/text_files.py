"""Plain text, cut into sentences and words by the rules of spaCy for English, without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from bothways.errors import DataError, missing
from bothways.tables.opening import Say, head, utf8
from bothways.tables.words import SENTENCE

WORDS = ("token",)  # how the column of words is called
LINES = 1000  # how many lines are cut at a time
FEW = 10  # fewer lines of as many words each may be chance


def read(path: Path, say: Say) -> pl.DataFrame:
    """Refuse text where labels are needed."""
    width = _width(head(path))
    table = f" Each line has {width} fields between blanks" if width else ""
    raise DataError(
        f"{path}: plain text has no labels to learn from or to compare with; it can only be labeled. A file with a "
        "word and a label per line, and a blank line after each sentence, is called .conll; a table .csv or .tsv."
        + (table and f"{table}: as a table it needs commas between them, and a line of names above.")
    )


def batches(path: Path, rows: int, say: Say) -> Iterator[pl.DataFrame]:
    """The words with their sentences and places; a sentence never goes beyond its line.

    `start` and `end` count characters from the beginning of the file, a byte order mark aside.
    """
    english = _english(path)
    schema = {SENTENCE: pl.Int64, WORDS[0]: pl.String, "start": pl.Int64, "end": pl.Int64}
    found: list[tuple[int, str, int, int]] = []
    sentence = begin = 0
    with utf8(path, say) as plain, plain.open(encoding="utf-8-sig", newline="\n") as text:
        while lines := list(islice(text, LINES)):
            if not begin and (width := _width(lines)):
                say(f"{path}: every line has {width} columns. If these are a word and its tags, call it .conll.")
            with english.memory_zone():  # else spaCy keeps every word that it meets
                for line in lines:
                    for words in english(line).sents:
                        tokens = [(token.text, begin + token.idx) for token in words if not token.is_space]
                        sentence += bool(tokens)
                        found += [(sentence, word, at, at + len(word)) for word, at in tokens]
                    begin += len(line)
            while len(found) >= rows:
                yield pl.DataFrame(found[:rows], schema, orient="row")
                found = found[rows:]
    if found:
        yield pl.DataFrame(found, schema, orient="row")


def _width(lines: Sequence[str]) -> int:
    """How many words all lines have, as lines of columns do; 0 where they differ, for one word, and by chance."""
    widths = [count for line in lines if (count := len(line.split()))]
    return widths[0] if len(widths) >= FEW and set(widths) == {max(2, widths[0])} else 0


def _english(path: Path) -> Any:
    try:
        from spacy.lang.en import English
    except ImportError:
        raise missing(f"{path}: cutting plain text into words", "spaCy", "text") from None
    english = English(max_length=2**31)
    english.add_pipe("sentencizer")
    return english
