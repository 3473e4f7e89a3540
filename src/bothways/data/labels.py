"""The labels of a table: what they are, and what a user should know of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from bothways.data.columns import Columns
from bothways.errors import DataError, counted, option
from bothways.fields.numbers import all_fit
from bothways.fields.reader import NO_VALUES
from bothways.sequences import NO_LABEL, Numbers, Sequences
from bothways.tables.hints import columns_are
from bothways.tables.table import Table
from bothways.tags import Scheme, convert, no_tags, scheme_of, tag_key

NO_LABELS = ("?", "n/a", "#n/a", "na", "<na>", "null", "nan", "unlabeled", "unlabelled", *NO_VALUES)
"""Words that mean that there is no label; `none`, `unknown` and `-` may well be one."""
MANY_ONCE = 20  # where more labels than these come once, and most do, they are no classes
MANY_NUMBERS = 50  # more whole numbers than these may be amounts
FEW_MALFORMED = 3  # with fewer such sequences in a row tags are wrong; with more they may be of another scheme


def label_values(table: Table, name: str) -> pl.Series:
    """The labels `(rows,)` in the order of the table: whole numbers, text or true/false, null where there is none."""
    column = table.column(name)
    if column.null_count() == len(column):
        raise DataError(f"{table.source}: the label {name!r} is empty in every row.")
    if column.dtype == pl.String and all_fit(column, r"""^\s*\[\s*['"]"""):
        raise DataError(
            f"{table.source}: the label {name!r} holds lists in text, such as {column.drop_nulls()[0][:40]!r}. Read "
            "them with ast.literal_eval, and write lists called 'tokens' and 'tags' into JSON lines or Parquet."
        )
    whole = column.cast(pl.Int64, strict=False) if column.dtype.is_numeric() else column
    fits = whole.null_count() == column.null_count()
    if column.dtype.is_integer():
        return whole if fits else column.cast(pl.String)
    if column.dtype.is_float() and fits and (whole == column).all():
        return whole
    if column.dtype in (pl.Boolean, pl.String):
        return column
    kind = "holds fractions" if column.dtype.is_float() else f"is of type {column.dtype}"
    amounts = "; cut amounts into a few ranges" if column.dtype.is_float() else ""
    cure = f"If these are names of classes, say {option('categorical', name)}{amounts}."
    cure = columns_are(table.schema, table.files) if column.dtype.is_nested() else cure
    raise DataError(f"{table.source}: the label {name!r} {kind}; labels are whole numbers, text or true/false. {cure}")


def label_codes(table: Table, name: str, classes: Sequence[Any] = ()) -> tuple[Numbers, list[Any]]:
    """The code of the label of each row, `NO_LABEL` where there is none, and the labels in the order of their codes."""
    values = label_values(table, name)
    known = pl.Series(list(classes)) if classes else values.clear()
    if {known.dtype, values.dtype} == {pl.String(), pl.Int64()}:
        known, values = known.cast(pl.String), values.cast(pl.String)
    alike = known if known.dtype == values.dtype else values.clear()
    found = values.drop_nulls().unique().sort()
    others = found.filter(~found.is_in(alike.implode()))
    names = pl.concat([alike, others])
    codes = pl.Series([*range(len(alike)), *range(len(classes), len(classes) + len(others))], dtype=pl.Int64)
    return values.replace_strict(names, codes, default=NO_LABEL).to_numpy(), [*classes, *others.to_list()]


def with_labels(
    table: Table, columns: Columns, sequences: Sequences, codes: Numbers, classes: Sequence[Any]
) -> Sequences:
    """Sequences with labels, one per sequence where `columns.per` says so."""
    labels = codes[sequences.table_rows]
    if columns.per == "step":
        return replace(sequences, labels=labels)
    starts = sequences.offsets[:-1]
    highest = np.maximum.reduceat(labels, starts)
    lowest = np.minimum.reduceat(np.where(labels == NO_LABEL, len(classes), labels), starts)
    wrong = np.flatnonzero((lowest < highest) & (highest != NO_LABEL))
    if len(wrong):
        at = int(wrong[0])
        pair = listed([classes[int(lowest[at])], classes[int(highest[at])]])
        raise DataError(
            f"{table.source}: sequence {sequences.id(at)!r} has two labels in {columns.label!r}: {pair}. Give each "
            f"sequence one, or learn one per step with {option('per', 'step')}. Such sequences: {len(wrong):,} of "
            f"{len(sequences):,}."
        )
    return replace(sequences, labels=highest)


def listed(labels: Sequence[Any]) -> str:
    """Labels in a message, at most ten."""
    shown = [repr(label) for label in sorted(labels)]
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")


def check_labels(table: Table, columns: Columns, whole: Sequences, labels: Sequence[Any]) -> None:
    """Refuse labels most of which come once."""
    counts = whole.class_counts(len(labels))
    once = int((counts == 1).sum())
    if once > MANY_ONCE and 2 * once > counts.sum():
        first = labels[int((counts == 1).argmax())]
        letters = " If each letter labels a step, write letters one below the other." if isinstance(first, str) else ""
        shown = first[:40] if isinstance(first, str) else first
        raise DataError(
            f"{table.source}: {once:,} of the {counted(int(counts.sum()), 'label')} in {columns.label!r} come once, "
            f"such as {shown!r}: amounts or names are no classes. Cut amounts into a few ranges, or name another "
            f"column with {option('label')}.{letters}"
        )


def fill_hint(columns: Columns, labels: Sequence[Any]) -> str:
    """How to write into the table what an empty label means, by a value that none has; "" if 0 or the like is one."""
    value = ("normal" if no_tags(labels) else "O") if isinstance(labels[0], str) else type(labels[0])()
    if value in labels:
        return ""
    return (
        f" If an empty {columns.label!r} means a class, write it in (Polars: frame.with_columns(pl.col("
        f"{columns.label!r}).fill_null({value!r})); pandas: frame.fillna({{{columns.label!r}: {value!r}}}))."
    )


def masked_notices(columns: Columns, sequences: Sequences) -> Iterator[str]:
    """A word about steps, or sequences, without a label."""
    if missing := int((~sequences.has_label).sum()):
        has = f"{counted(missing, columns.per)} {'has' if missing == 1 else 'have'}"
        yield f"{has} no label in {columns.label!r}: read as input, not learned or scored."


def number_notices(table: Table, columns: Columns, classes: Sequence[Any]) -> Iterator[str]:
    """A word about labels that are numbers and may be amounts, or tags without their names."""
    if not all(type(label) is int for label in classes):
        return
    if table.word is not None and len(classes) > 2:
        yield (
            f"The tags in {columns.label!r} are numbers: with their names (O, B-PER, I-PER, ...) entities would be "
            "scored, too."
        )
    elif len(classes) > MANY_NUMBERS:
        yield (
            f"The labels in {columns.label!r} are {len(classes):,} whole numbers: if they are amounts, classes have no "
            "order here; cut them into ranges."
        )


def spelling_notices(columns: Columns, labels: Sequence[Any]) -> Iterator[str]:
    """A word about labels that differ only in blanks and capitals, and one about words for a missing label."""
    name, same = columns.label, dict[str, list[str]]()
    for label in (label for label in labels if isinstance(label, str)):
        same.setdefault("".join(label.lower().split()), []).append(label)
    if twins := [twin for each in same.values() if len(each) > 1 for twin in each]:
        case = "lower" if no_tags(twins) else "upper"  # tags are written in capitals
        inside = any(len({" ".join(twin.lower().split()) for twin in each}) > 1 for each in same.values())
        polars, pandas = ("replace_all(' ', '')", "replace(' ', '')") if inside else ("strip_chars()", "strip()")
        yield (
            f"Careful: labels in {name!r} differ in blanks and capitals only, and count as several: {listed(twins)}. "
            f"If they mean the same, write it in one way (Polars: frame.with_columns(pl.col({name!r}).str.{polars}"
            f".str.to_{case}case()); pandas: frame[{name!r}] = frame[{name!r}].str.{pandas}.str.{case}())."
        )
    if missing := [label for each in same.values() for label in each if " ".join(label.lower().split()) in NO_LABELS]:
        yield (
            f"Careful: {listed(missing)} in {name!r} counts as a label. If it says that there is none, leave the field "
            f"empty, or read it as missing ({option('missing', *missing)})."
        )


def malformed_notices(table: Table, label: str, parts: Sequence[Sequences], classes: Sequence[Any]) -> list[str]:
    """A word about malformed tags in the column `label`, a scheme that changes, and labels that may be no tags."""
    whole = Sequences.joined(parts)
    whole = whole.take(np.argsort(whole.table_rows[whole.offsets[:-1]], kind="stable"))
    scheme, codes, rows = whole.scheme, whole.known_labels, whole.table_rows
    assert scheme is not None
    notices = []
    if others := no_tags(classes):
        are, count = ("is no tag", "counts") if len(others) == 1 else ("are no tags", "count")
        notices = [f"Careful: {listed(others)} in {label!r} {are}, and {count} as outside of every entity, as O does."]
    if not any(scheme.types) and "O" not in scheme.letters:
        said = f"The labels {listed(classes)} in {label!r} are read as tags of {scheme.name}, which say where pieces"
        notices += [f"{said} begin. If they are something else, spell them out."]
    wrong = scheme.malformed(codes, whole.lengths)
    if not len(wrong):
        return notices
    step = int(wrong[rows[wrong].argmin()])
    _, place = whole.place(step)
    before = codes[step - 1] if place else NO_LABEL
    if place and before != NO_LABEL and not scheme.allowed()[before, codes[step]]:
        how = f"follow {str(classes[before])!r}"
    else:
        how = "stand first" if not place and not scheme.allowed()[-1, codes[step]] else "stand last"
    other = _other_scheme(scheme, whole, wrong)
    change = f" They stand together and read as {other}: does the scheme change?" if other else ""
    return [
        *notices,
        f"{table.place(int(rows[step]))}, column {label!r}: {str(classes[codes[step]])!r} may not {how} in "
        f"{scheme.name}. Such tags: {len(wrong):,}; they count as in conlleval.{change}",
    ]


def retagged(
    table: Table, label: str, sequences: Sequences, labels: Sequence[Any], classes: Sequence[Any], scheme: Scheme
) -> tuple[Sequences, list[Any], list[str]]:
    """Tags of a table as a model has them, where they are of another scheme, such as BIOES for BIO.

    `labels` are those of the table by code, first the `classes` of the model, whose `scheme` it is. What is returned is
    the sequences, the labels, of which some may be left out, and what to say.
    """
    codes, lengths = sequences.known_labels, sequences.lengths
    there = np.unique(codes[codes != NO_LABEL])
    own = np.where(codes == NO_LABEL, NO_LABEL, np.searchsorted(there, codes))
    found = scheme_of([labels[code] for code in there], own, lengths)
    if found is None or found.name == scheme.name or not set(found.types) & set(scheme.types):
        return sequences, [*labels], []
    tags = [str(each) if tag_key(each) else "O" for each in [*labels, None]]  # the last one is for no label
    converted = convert([[tags[code] for code in each] for each in sequences.split(codes)], scheme.name)
    names, places = np.unique(list(itertools.chain.from_iterable(converted)), return_inverse=True)
    known = {tag_key(each): code for code, each in reversed([*enumerate(classes)])}
    new = [name for name in names.tolist() if tag_key(name) not in known]
    known |= {tag_key(name): len(labels) + i for i, name in enumerate(new)}
    is_tag = np.array([tag_key(each) is not None for each in labels] + [False])
    codes = np.where(is_tag[codes], np.array([known[tag_key(name)] for name in names.tolist()])[places], codes)
    said = (
        f"{table.source}: the tags in {label!r} are {found.name}; they are compared as {scheme.name}, as in the model."
    )
    wrong = len(found.malformed(own, lengths))
    return replace(sequences, labels=codes), [*labels, *new], [f"{said} Malformed: {wrong:,}." if wrong else said]


def _other_scheme(scheme: Scheme, sequences: Sequences, wrong: Numbers) -> str | None:
    """The scheme of malformed sequences that stand together; None where they do not, or follow none."""
    codes, lengths = sequences.known_labels, sequences.lengths
    numbers = sequences.sequence_of_steps
    malformed = np.unique(numbers[wrong])
    core = malformed[len(malformed) // 10 : len(malformed) - len(malformed) // 10]  # without some far away from others
    tagged = np.unique(scheme.chunks(codes, lengths).sequence)
    if len(core) < max(FEW_MALFORMED, ((tagged >= core[0]) & (tagged <= core[-1])).sum() / 2):
        return None
    for name in ("BIO", "IOB1"):
        still = numbers[replace(scheme, name=name).malformed(codes, lengths)]
        if len(np.intersect1d(malformed, still)) <= len(malformed) / 10:
            return name
    return None
