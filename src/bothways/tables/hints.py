"""What may be the matter where a table lacks what is looked for, in messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from bothways.errors import option
from bothways.fields.kinds import TEXT
from bothways.fields.numbers import as_values
from bothways.tables.opening import head

FILES = 100  # at most this many files beside a table are looked into
SHOWN = 3  # at most this many columns are named where the same is said of several
COUNTED = r"\b(\d[\d,]*) (field|row)(s are|s| is|)\b"

Files = Sequence[tuple[str, int]]  # names of files, and how many rows each has


def suggestion(name: str, schema: Mapping[str, pl.DataType], files: Files = ()) -> str:
    """The column that is called nearly as the one that is missing, or all of them."""
    near = _nearest(name, schema)
    return f"Did you mean {near!r}?" if near else columns_are(schema, files)


def _nearest(name: str, schema: Mapping[str, pl.DataType]) -> str | None:
    by_lower = {known.lower(): known for known in reversed(list(schema))}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[near[0]] if near else None


def elsewhere(name: str, source: str, values: pl.LazyFrame) -> str:
    """Where the name of a missing column stands: among the values of a column; or, if no column is called nearly so, in
    a file beside the table. "" if it stands nowhere.
    """
    schema, path = values.collect_schema(), Path(source)
    text = [(at, column) for at, (column, dtype) in enumerate(schema.items()) if isinstance(dtype, TEXT)]
    found = values.select((pl.nth(at).cast(pl.String) == name).any().alias(str(at)) for at, _ in text).collect()
    for at, column in text:
        if found[str(at)].item():
            cure = "name that column, or pivot the table (Polars, pandas) if these values were columns"
            return f"It is a value of {column!r}: {cure}."
    known = path.is_file() and not _nearest(name, schema)
    beside = path.parent.glob(f"*{path.suffix}") if known else ()
    for other in sorted(islice(beside, FILES)):
        names = [each.strip('" \ufeff') for each in re.split(r"[,;\t|]", next(iter(head(other)), ""))]
        shared = [each for each in names if each in schema]
        if name in names and len(shared) == len(schema):
            return f"{other} has it, and all columns of this table."
        if name in names and shared:
            join = f"pandas: frame.merge(pd.read_csv({str(other)!r}), how='left')"
            return f"{other} has it: join the two by {named([*map(repr, shared)])} ({join})."
    return ""


def columns_are(schema: Mapping[str, pl.DataType], files: Files = ()) -> str:
    """The columns of a table, and where what is missing may be."""
    names = [*map(repr, schema)]
    shown = ", ".join(names if len(names) <= 20 else [*names[:17], "...", *names[-3:]])  # a label often stands last
    return f"The columns are: {shown}.{_hint(schema, files)}"


def named(columns: Sequence[str]) -> str:
    """The first few columns, with commas between them, and how many more there are."""
    more = f" and {len(columns) - SHOWN:,} more" if len(columns) > SHOWN else ""
    return ", ".join(columns[:SHOWN]) + more


def uncounted(text: str) -> str:
    """A text without the numbers of fields or rows in it, which is the same for all that differ in these alone."""
    return re.sub(COUNTED, r"\2", text)


def in_one(texts: Sequence[str]) -> str:
    """What several texts say that differ in the numbers of fields or rows in them alone.

    Example:
        >>> in_one(["1 field is missing", "1,200 fields are missing", "7 fields are missing"])
        '1 to 1,200 fields are missing'
    """
    if len({*texts}) == 1:
        return texts[0]
    counts = [int(count.replace(",", "")) for text in texts for count, *_ in re.findall(COUNTED, text)]
    _, noun, end = re.findall(COUNTED, texts[0])[0]
    are = " are" if end.strip() in ("is", "s are") else ""
    return re.sub(COUNTED, f"{min(counts):,} to {max(counts):,} {noun}s{are}", texts[0])


def column_notices(said: Iterable[tuple[str, str]]) -> list[str]:
    """A sentence about each column; one for all of which the same is said but for numbers, where these are many."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, text in said:
        groups.setdefault(uncounted(text), []).append((repr(name), text))
    notices = []
    for group in groups.values():
        names, texts = zip(*group, strict=True)
        if len(group) > SHOWN:
            notices.append(f"Columns {named(names)}: {in_one(texts)}")
        else:
            notices += [f"Column {name}: {text}" for name, text in group]
    return [text if text.endswith("?") else f"{text}." for text in notices]


def unused(values: pl.DataFrame | pl.LazyFrame, words: Collection[str]) -> Iterator[str]:
    """Those of the words for missing values that occur nowhere in a table as it stands in its files."""
    text = pl.selectors.by_dtype(TEXT).cast(pl.String).str.strip_chars()
    read = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    for word in words:
        numbers = as_values([word], pl.Float64())
        same = [text == word, *(each == number for each in (read, pl.selectors.numeric()) for number in numbers)]
        found = values.lazy().select(pl.any_horizontal(pl.lit(value=False), *(each.any() for each in same)))
        if not found.collect().item():
            yield f"{word!r} ({option('missing')}) occurs in no column."


def _hint(schema: Mapping[str, pl.DataType], files: Files) -> str:
    nested = [name for name, dtype in schema.items() if dtype.is_nested() and name != "tokens"]
    if len(folders := {Path(name).parent for name, _ in files}) > 1:
        some = ", ".join(sorted(folder.name for folder in folders)[:3])
        return f" If the folders ({some}, ...) are called after labels, write these into a column of each file."
    if nested and "text" in schema:
        return (
            f" If {nested[0]!r} says where names stand in 'text', as from spaCy and Prodigy, write lists 'tokens' and "
            "'tags' in its place, of the words and a tag for each, which spacy.training.offsets_to_biluo_tags makes."
        )
    if len(schema) > 1 and [*schema] == [f"column {at}" for at in range(1, len(schema) + 1)]:
        return " The file has no header: write a line of names above the rows, or name columns so ('column 2')."
    if len(schema) == 1 and re.search(r"\W", next(iter(schema))):
        blanks = " Put commas between them (pandas: read_csv('FILE', sep=r'\\s+').to_csv('FILE.csv', index=False))."
        separated = re.search(r"\S\s", next(iter(schema))) is not None
        return " Are the fields separated by something other than , ; | or tabs?" + separated * blanks
    return ""
