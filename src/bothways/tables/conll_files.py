"""CoNLL files: a line per word, columns between tabs or spaces, blank lines between sentences; CoNLL-U among them."""

from __future__ import annotations

import codecs
import re
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from bothways.errors import DataError, counted
from bothways.tables.headers import is_number
from bothways.tables.opening import HEAD, Say, has_mark, utf8
from bothways.tables.words import SENTENCE, Learned, Piece, Pieces

WORDS = ("form", "word")  # how the column of words is called, in CoNLL-U and in other files

ENDINGS = (".conll", ".conllu", ".conllup", ".conll03", ".bio", ".iob", ".iob2", ".conll.gz", ".conllu.gz")
"""What the names of these files end in; others are told by what they look like, see `look_so`."""

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U (https://universaldependencies.org/format.html)."""

LABELS = frozenset(("label", "labels", "tag", "tags", "ner", "ner_tag", "ner_tags", "pos", "upos", "xpos", "chunk"))
HEADER = LABELS.union(
    CONLLU, ("word", "words", "token", "tokens", "text", "sentence", "sentence_id", "class", "target")
)
"""Names of columns, in small letters: a first line of these is a header, which few CoNLL files have."""

TAG = r"[BIOESLUMW](?:[-_].+)?"  # a tag of a chunk, no name of a column
TYPED = r"[BIESLUMW][-_].+"  # one with a type, no word

DOCUMENT = "-DOCSTART-"
BETWEEN = {"\t": "\t", " ": "[ \t]+"}  # what stands between columns; blanks may stand at the ends of a line as well
NAME = r"[\w.-]*[^\W\d][\w.-]*"  # the name of an entry in MISC
RANGE = r"\d+[-.]\d+"  # the id of a token of several words or of an empty node of CoNLL-U, neither of which is a word
COMMENT = r"^#\s+(?:[\w.]+ ?= |id |newdoc|newpar)"  # a comment, even if it has as many columns as a word
FEW = 5  # a column that is the same within as many sentences, each of several words, holds no words
LINES = 2**17  # at most this many lines are parsed or written again at a time

TAGS_FIRST = ["tag", "word"]  # the names of two columns of which the first holds tags
MARK = codecs.BOM_UTF8.decode()

NO_WORDS = "this file holds no words; each stands on a line of its own."
LONG_SENTENCE, LONG_WORD = 2_000, 1_000  # above these words and characters a separator may be missing, which is said


class _Form(NamedTuple):
    """What the lines of a file are: the names of the columns, what separates them, and which line is a header."""

    names: list[str]
    separator: str
    header: int  # its number; 0 if there is none


def read(path: Path, say: Say) -> pl.DataFrame:
    """The words, with the number of their sentence; columns are text.

    CoNLL-U has its own names; in other files the first column is `word`, or the second one after an `id`, or that after
    the names of documents or sentences and a counter of words, as in CoNLL-2012. A single further one is `tag`, also
    where it stands before the words; several have their numbers for names.
    """
    return pl.concat(batches(path, LINES, say))


def batches(path: Path, rows: int, say: Say) -> Iterator[pl.DataFrame]:
    """The same in order, `rows` at a time at most; refuses a line with more or fewer columns than the first word."""
    if not path.name.lower().endswith(ENDINGS):
        say(f"{path}: this looks like CoNLL, with a word per line and blank lines between sentences, and is read so.")
    with _opened(path, say, rows) as ((names, _, header), blocks):
        if header:
            say(f"{path}: line {header} names the columns and is left out.")
        if names == TAGS_FIRST:
            say(f"{path}: the first column holds tags, such as B-X, so the words are those in the second one.")
        fields = pl.col("fields").list
        columns = [fields.get(at).str.strip_chars().replace("", None).alias(name) for at, name in enumerate(names)]
        empty = [pl.col(CONLLU[3:]).replace("_", None)] if tuple(names) == CONLLU else []
        width = fields.get(next(map(names.index, set(WORDS).intersection(names)))).str.len_chars()
        longest = widest = 0, 0
        for lines in blocks:
            words = lines.filter("word")
            if words.height:
                longest = max(longest, *words.select("words", "begin").top_k(1, by="words").iter_rows())
                widest = max(widest, *words.select(width, "number").top_k(1, by="fields").iter_rows())
                yield words.select(pl.col("sentence").alias(SENTENCE), *columns).with_columns(empty)
    if longest == (0, 0):
        raise DataError(f"{path}: {NO_WORDS}")
    if longest[0] > LONG_SENTENCE:
        say(f"{path}: the sentence from line {longest[1]} has {longest[0]:,} words. Is a blank line missing?")
    if widest[0] > LONG_WORD:
        say(f"{path}: line {widest[1]} holds a word of {widest[0]:,} characters.")


def look_so(lines: Sequence[str], tabs: bool) -> bool:
    """Whether the first lines of a file look like CoNLL, whatever it is called.

    They have the same number of columns, between tabs or, unless `tabs` says that these are needed, single blanks, or
    one word each; blank lines stand between them, two lines apart and more on average; and the first is no header.
    """
    words, sentences, ends, inside = list[str](), 0, 0, False
    for line in lines:
        if not line.strip():
            ends, inside = ends + inside, False
        elif not line.startswith(("#", DOCUMENT)):
            words.append(line)
            sentences, inside = sentences + (not inside), True
    if ends == 0 or len(words) < 2 * sentences or (tabs and "\t" not in words[0]):
        return False
    separator = "\t" if "\t" in words[0] else " "
    rows = [(line if separator == "\t" else line.strip(" ")).split(separator) for line in words]
    width = len(rows[0])
    if any(len(row) != width or (separator == " " and "" in row) for row in rows):
        return False
    numbers = [sum(is_number(row[place]) for row in rows) for place in range(width)]
    first, last = rows[0], [row[-1] for row in rows]
    if numbers[int(width > 2 and all(row[0].isdecimal() for row in rows))] == len(rows):
        return False  # numbers are no words
    if width == 1:
        return first[0].lower() not in HEADER
    if ends == 1:
        return False
    if separator == " " and 2 * len(set(last)) > len(last):
        return False  # the lines of a poem, say; tags come again and again
    named = first[-1].lower() in LABELS or {*map(str.lower, first)} <= HEADER
    alone = last.count(first[-1]) == 1 and not re.fullmatch(TAG, first[-1])
    return not named and not alone and len(rows) - 1 not in numbers


def line(path: Path, row: int) -> int:
    """The number of the line of a word, whose number from 0 is `row`."""
    with _opened(path, lambda _: None) as (_, blocks):
        numbers = chain.from_iterable(lines.filter("word")["number"] for lines in blocks)
        return int(next(islice(numbers, row, None)))


def pieces(path: Path, sentences: bool, learned: Learned, more: bool) -> Pieces:
    """Its lines, to be written again with what is predicted in the column of the label, or in a further one at the end.

    A label that is called by a number replaces the last column alone, unless there are as many columns as in training:
    in another kind of file that number means something else.

    CoNLL-U has no room for a further column: there MISC gets an entry such as `ner=B-LOC`.

    `more` says that another file follows.
    """
    with _opened(path, lambda _: None) as ((names, separator, _), blocks):
        if has_mark(path, codecs.BOM_UTF8):
            yield Piece(0, lambda _: MARK)
        label, known = learned.label, learned.columns
        noted = tuple(names) == CONLLU and label not in names
        alike = not label.isdecimal() or (names[-1] in known and str(len(names) + 1) not in known)
        there = label in names if alike else label == names[-1]
        place = names.index("misc" if noted else label) if noted or there else None
        key = f"{label if re.fullmatch(NAME, label) else 'Label'}=" if noted else ""
        fill = partial(_labeled, path, separator, place, key)
        for lines in blocks:
            yield Piece(int(lines["word"].sum()), partial(fill, lines))
        if more:  # files follow
            yield Piece(0, lambda _: "\n" if lines["text"][-1].endswith("\n") else "\n\n")


def new_lines(words: pl.Series, labels: pl.Series, begins: pl.Series) -> str:
    """Words and labels as lines, after a blank one where a sentence `begins`.

    A ValueError has the word or label that is missing, blank, the mark of a document, or holds a tab or a line break.
    """
    for texts in (words, labels):
        wrong = texts.filter(texts.str.contains(rf"[\t\r\n]|^\s*$|^{DOCUMENT}").fill_null(True))
        if len(wrong):
            raise ValueError(wrong[0])
    frame = pl.DataFrame({"word": words, "label": labels, "begins": begins})
    end = pl.when("begins").then(pl.lit("\n")).otherwise(pl.lit(""))
    return "".join(frame.select(pl.concat_str(end, "word", pl.lit("\t"), "label", pl.lit("\n"))).to_series())


def _labeled(
    path: Path, separator: str, place: int | None, key: str, lines: pl.DataFrame, predicted: pl.DataFrame
) -> str:
    """Lines with a label for each word: in the place of a field, after `key` in the entries of one, or at the end."""
    labels = key + predicted["predicted"].cast(pl.String)
    blank = ("\t\r\n" if separator == "\t" else string.whitespace) + "|" * bool(key)
    for label in labels.unique():
        if not set(label).isdisjoint(blank):
            what = "a blank or |" if key else "a blank"
            raise DataError(f"{path}: this file has no room for the label {label!r}, which holds {what}.")
    words = lines.filter("word").with_columns(labels.alias("label"))
    edge, field, rest = ("", r"[^\t]*", r" *|\t.*") if separator == "\t" else (r"[ \t]*", r"[^ \t]+", r"[ \t].*|")
    pattern = (
        f"{edge}(?:{field}{BETWEEN[separator]}){{{place}}})({field}?)({rest}" if place is not None else ".*?)()( *"
    )
    before, old, after = (pl.col("bare").str.extract(f"(?s)^({pattern})$", group) for group in (1, 2, 3))
    if place is None:
        before = pl.concat_str(before, pl.lit(separator))
    elif key:
        others = old.str.replace(rf"(^|\|){re.escape(key)}[^|]*", "").str.strip_chars_start("|")
        before = pl.concat_str(before, pl.when(others.is_in(["_", ""])).then(pl.lit("")).otherwise(others + "|"))
    end = pl.col("text").str.strip_prefix(pl.col("bare"))
    written = words.select(pl.concat_str(before, "label", after, end)).to_series()
    return "".join(lines["text"].scatter(lines["word"].arg_true(), written).to_list())


@contextmanager
def _opened(path: Path, say: Say, rows: int = LINES) -> Iterator[tuple[_Form, Iterator[pl.DataFrame]]]:
    """What the lines are, and the lines, `rows` at a time."""
    if has_mark(path, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        say(f"{path}: this is UTF-16; its words are written as UTF-8.")
    with utf8(path, say) as plain, plain.open(encoding="utf-8-sig", newline="\n") as text:
        head = list(islice(text, HEAD))
        form = _form(path, head)
        yield form, _parsed(path, chain(head, text), form, min(rows, LINES))


def _form(path: Path, head: Sequence[str]) -> _Form:
    """What the lines are, as the first sentences show."""
    texts, header = [list[str]()], 0
    for number, line in enumerate(head, 1):
        text = line.rstrip(" \r\n")
        if not text.strip(" \t"):
            texts += [[]] * bool(texts[-1])
        elif not texts[0] and not header and len(text.split()) > 1 and {*text.lower().split()} <= HEADER:
            header = number
        elif not text.startswith(("#", DOCUMENT)):
            texts[-1].append(text)
    if not texts[0]:
        raise DataError(f"{path}: {NO_WORDS}")
    first = texts[0][0]
    separator = " " if " " in first.strip(" ") and "\t" not in first else "\t"
    sentences = [
        [re.split(BETWEEN[separator], text.strip(" ") if separator == " " else text) for text in each] for each in texts
    ]
    rows, width = sentences[0], len(sentences[0][0])
    if width > 2 and all(row[-1] == "" for row in rows):
        raise DataError(f"{path}: the lines end in a tab, with nothing behind it. Remove these tabs.")
    if path.name.lower().endswith((".conllu", ".conllu.gz")):
        return _Form(list(CONLLU), separator, header)
    if width == 2 and _are_tags(sentences, 0) and not _are_tags(sentences, 1):
        return _Form([*TAGS_FIRST], separator, header)
    if before := next((place + 1 for place in range(min(3, width - 1)) if _counts_words(rows, place)), 0):
        if before == 1 and width == len(CONLLU):
            return _Form(list(CONLLU), separator, header)
        names = [*(["id"] if before == 1 else [str(k + 1) for k in range(before)]), "word"]
    else:
        names = [*map(str, range(1, _same_within(sentences, width - 2) + 1)), "word"]
    rest = [str(k) for k in range(len(names) + 1, width + 1)]
    return _Form(names + (["tag"] if len(rest) == 1 else rest), separator, header)


def _are_tags(sentences: Sequence[Sequence[Sequence[str]]], place: int) -> bool:
    """Whether a column holds tags of chunks alone, at least one of which has a type."""
    found = {row[place] for rows in sentences for row in rows if len(row) > place}
    return any(re.fullmatch(TYPED, tag) for tag in found) and all(re.fullmatch(f"O|{TYPED}", tag) for tag in found)


def _same_within(sentences: Sequence[Sequence[Sequence[str]]], most: int) -> int:
    """How many of the first columns, `most` at most, are the same in all rows of each sentence, as the document is."""
    several = [rows for rows in sentences if len(rows) > 1]
    if len(several) < FEW:
        return 0
    differ = (
        place
        for place in range(most)
        if any(row[place : place + 1] != rows[0][place : place + 1] for rows in several for row in rows)
    )
    return next(differ, max(0, most))


def _counts_words(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Whether a column counts the words of a sentence, behind columns such as the document that are always the same."""
    if any(len(row) != len(rows[0]) or row[:place] != rows[0][:place] for row in rows):
        return False
    ids = [row[place] for row in rows if place or not re.fullmatch(RANGE, row[place])]
    first = int(ids[:1] != ["0"] or (place == 0 and len(rows[0]) == 2))
    enough = len(ids) > 1 or (place == 0 and len(rows[0]) == len(CONLLU))
    return enough and ids == [str(k) for k in range(first, first + len(ids))]


def _parsed(path: Path, text: Iterator[str], form: _Form, rows: int) -> Iterator[pl.DataFrame]:
    """The lines, `rows` at a time: which are words, of which sentence, and their fields."""
    names, separator, header = form
    numbered, number, sentence, begin, tokens, words = names[0] == "id", 1, 0, 0, 0, 0
    bare, fields = pl.col("bare"), pl.col("bare").str.strip_chars_end(" ").str.split("\t")
    if separator == " ":
        # Not at every blank of Unicode: words may hold one, such as the no-break space of "10 000".
        fields = bare.str.strip_chars(" \t").str.replace_all(BETWEEN[" "], " ").str.split(" ")
    ends = bare.str.strip_chars(" \t").eq("") | bare.str.starts_with(DOCUMENT)
    fits = pl.col("fields").list.len() == len(names)
    remark = bare.str.starts_with("#") & (pl.lit(numbered) | ~fits | bare.str.contains(COMMENT))
    remark |= pl.col("number") == header
    filled = ~pl.col("ends") & (pl.col("tokens") > 0)
    word = filled & ~pl.col("fields").list.first().str.contains(f"^{RANGE}$") if numbered else filled
    first = pl.col("word") & (pl.col("words") == 1)
    while lines := list(islice(text, rows)):
        frame = pl.DataFrame({"text": lines}).with_columns(bare=pl.col("text").str.strip_chars_end("\r\n"))
        frame = frame.with_columns(number=pl.int_range(number, number + pl.len()), ends=ends, fields=fields)
        # What looks like a remark is one where a sentence begins, and a word behind other words.
        frame = frame.with_columns(tokens=_since_the_end(~pl.col("ends") & ~remark, tokens))
        wrong = frame.filter(filled & ~fits)
        if wrong.height:
            at, line, width = wrong.select("number", bare.str.head(40), pl.col("fields").list.len()).row(0)
            between = "tabs" if separator == "\t" else "spaces"
            raise DataError(
                f"{path}: line {at} ({line!r}) has {counted(width, 'column')} between {between}; a word has "
                f"{len(names)} here ({', '.join(names)}). Put it right."
            )
        frame = frame.with_columns(word=word)
        frame = frame.with_columns(words=_since_the_end(pl.col("word"), words))
        frame = frame.with_columns(
            sentence=sentence + first.cast(pl.Int64).cum_sum(),
            begin=pl.when(first).then("number").forward_fill().fill_null(begin),
        )
        number += len(lines)
        sentence, begin, tokens, words = frame.select("sentence", "begin", "tokens", "words").row(-1)
        yield frame


def _since_the_end(flag: pl.Expr, before: int) -> pl.Expr:
    """How many lines with a flag there are since the last end, with those `before` the first line."""
    count = flag.cast(pl.Int64).cum_sum()
    return count - pl.when("ends").then(count).forward_fill().fill_null(-before)
