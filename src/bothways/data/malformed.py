"""Tags that break the rules of their scheme: said once, with the place of the first, and kept as they are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bothways.data.labels import listed
from bothways.data.tables import Table
from bothways.sequences import NO_LABEL, Numbers, Sequences
from bothways.tags import Scheme, convert, no_tags, scheme_of, tag_key

LEAST = 3  # with fewer malformed sequences than this in a row, tags are wrong; with more, they may be of another scheme


def malformed_notices(table: Table, label: str, parts: Sequence[Sequences], classes: Sequence[Any]) -> list[str]:
    """A word about malformed tags in the column `label`, a scheme that changes, and labels that are or may be no tags.

    Example:
        >>> import polars as pl
        >>> from bothways.tags import scheme_of
        >>> sequences = Sequences(
        ...     np.zeros((3, 0)), np.array([3]), np.array([2, 1, 0]), scheme=scheme_of(("B-x", "I-x", "O"))
        ... )
        >>> table = Table("words.csv", pl.DataFrame({"tag": ["O", "I-x", "B-x"]}))
        >>> malformed_notices(table, "tag", [sequences], ["B-x", "I-x", "O"])
        ["words.csv: data row 2 (the first is 1), column 'tag': 'I-x' may not follow 'O' in BIO. Such tags: 1; \
they count as in conlleval."]
    """
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
    """Tags of a table as a model has them, where they are of a scheme with other letters, such as BIOES for BIO.

    `labels` are those of the table by code, first the `classes` of the model, whose `scheme` it is. What is returned is
    the sequences, the labels, of which some may be left out, and what to say.
    """
    codes, lengths = sequences.known_labels, sequences.lengths
    there = np.unique(codes[codes != NO_LABEL])
    own = np.where(codes == NO_LABEL, NO_LABEL, np.searchsorted(there, codes))
    found = scheme_of([labels[code] for code in there], own, lengths)
    alike = found is None or found.name == scheme.name or {found.name, scheme.name} == {"BIO", "IOB1"}
    if found is None or alike or not set(found.types) & set(scheme.types):
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
    if len(core) < max(LEAST, ((tagged >= core[0]) & (tagged <= core[-1])).sum() / 2):
        return None
    for name in ("BIO", "IOB1"):
        still = numbers[replace(scheme, name=name).malformed(codes, lengths)]
        if len(np.intersect1d(malformed, still)) <= len(malformed) / 10:
            return name
    return None
