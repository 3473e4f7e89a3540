"""The train, valid and test parts of a table; no sequence stands in two of them unless it is cut in time."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from bothways.data.clocks import changes
from bothways.data.columns import Columns, Draw, Remark
from bothways.data.encoding import Tally
from bothways.data.guesses import parts_of_rows
from bothways.data.labels import (
    check_labels,
    fill_hint,
    label_codes,
    listed,
    malformed_notices,
    masked_notices,
    number_notices,
    retagged,
    spelling_notices,
    with_labels,
)
from bothways.data.sequences import MAX_STEPS, cut_long, encoded, group_rows
from bothways.errors import DataError, counted, option, part_words
from bothways.sequences import NO_LABEL, Numbers, Sequences
from bothways.tables.sources import EITHER, SPELLINGS
from bothways.tables.table import Table
from bothways.tags import Scheme, scheme_of

PARTS = ("train", "valid", "test")
SHARES = (0.7, 0.15, 0.15)  # the shares of the parts where they are drawn, in the order of `PARTS`
DRAWS = 200  # how often to draw for parts that have every class
GAP = 32  # steps to leave out between two parts of one sequence, where training does not cut sequences
WIDEST_GAP = 0.05  # a gap is no wider than this share of the longest sequence
LONG = 100  # a train sequence of at least this many steps is long enough to cut a valid part off
MANY_EMPTY = 0.1  # where more of the labels are empty, that may be one
FEW = 5  # a class with fewer labels than this in the train part is too rare to learn
RULE = b"3"  # of drawing, part of the fingerprint: models whose parts another rule drew do not know the table


@dataclass(frozen=True, eq=False)
class Parts:
    """A table in parts; `valid` and `test` are None if there are none."""

    train: Sequences
    valid: Sequences | None
    test: Sequences | None
    classes: tuple[Any, ...] = ()  # the labels of the train part, sorted, in the order of their codes
    unseen: tuple[Any, ...] = ()  # those of other parts alone, first of `valid`, with the next codes; always missed

    @property
    def named(self) -> dict[str, Sequences]:
        """The parts that there are, by name."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def unseen_in(self, part: Sequences) -> tuple[Any, ...]:
        """The unseen labels up to the last one that a part has."""
        return self.unseen[: max(0, int(part.known_labels.max(initial=0)) + 1 - len(self.classes))]


def split_table(
    table: Table,
    columns: Columns,
    seed: int,
    *,
    gap: int = GAP,
    draw_valid: bool = True,
    shares: Sequence[float] = SHARES,
) -> tuple[Columns, Parts, list[str]]:
    """Split a table by its split column, or by `draw_parts`. The parts have labels and no features yet.

    `gap`, `shares` and `seed` are those of `draw_parts`. With `draw_valid`, a split column that names no valid part
    leaves it to be drawn from the train part. The train part must have two classes or more. With the parts come the
    columns, with the draw if there was one, and what the user should be told.
    """
    whole, labels, notices = _labeled(table, columns)
    check_labels(table, columns, whole, labels)
    fill = fill_hint(columns, labels) if (~whole.has_label).mean() > MANY_EMPTY else ""
    notices += [Remark(notice + fill) for notice in masked_notices(columns, whole)]
    if columns.split is not None:
        pieces = _numbered_parts(table, columns.split)[whole.table_rows]
        sequences, numbers = whole.cut(pieces)
        notices += _warn_of_mixing(whole, pieces)
        if draw_valid and (numbers == 0).any() and not (numbers == 1).any():
            sequences, numbers, said = _with_valid(table, columns, sequences, numbers, seed, gap)
            notices += said
    else:
        groups = groups_of(table, columns, whole)
        sequences, numbers, said = draw_parts(table.source, whole, shares, seed, groups=groups, gap=gap)
        notices += said
        if tuple(shares) == SHARES:
            columns = replace(columns, draw=Draw(seed, _fingerprints(whole)(numbers), gap))
    found = {name: sequences.keep(numbers == k) for k, name in enumerate(PARTS) if (numbers == k).any()}
    if "train" not in found:
        raise DataError(f"{table.source}: no row is in the train part. Mark some with 'train' in {columns.split!r}.")
    classes, *later = map(_seen, found.values())
    unseen = [code for code in dict.fromkeys(itertools.chain(*later)) if code not in classes]
    known, new = (tuple(labels[code] for code in codes) for codes in (classes, unseen))
    if len(known) < 2:
        raise _one_class(table, columns, labels, known, new)
    found = {name: _recoded(part, [*classes, *unseen]) for name, part in found.items()}
    train = found["train"]
    if columns.per == "step" and (scheme := scheme_of(known, train.labels, train.lengths, new)):
        found = {name: replace(part, scheme=scheme) for name, part in found.items()}
        notices += malformed_notices(table, columns.label, [*found.values()], (*known, *new))
    parts = Parts(found["train"], found.get("valid"), found.get("test"), known, new)
    notices += [*number_notices(table, columns, known), *spelling_notices(columns, (*known, *new))]
    return columns, parts, [*notices, *_class_notices(table, columns, parts)]


def draw_parts(
    source: str,
    sequences: Sequences,
    shares: Sequence[float],
    seed: int | Sequence[int],
    *,
    groups: Numbers | None = None,
    gap: int = 0,
    known: Callable[[Numbers], bool] | None = None,
) -> tuple[Sequences, Numbers, list[str]]:
    """Draw parts of whole sequences or groups; where there are too few of them, cut each sequence in time.

    It draws again, up to `DRAWS` times, until each class is in as many parts as it has sequences (or groups) for, the
    train part first; or until parts are `known`. Sequences without steps go to the train part. The `shares` of the
    parts, in the order of `PARTS`, add up to 1; the same `seed` draws the same parts; `groups` are numbers, one per
    sequence. At each cut in time `gap` steps are left out, but no more than `WIDEST_GAP` of the longest sequence.

    What is returned is the sequences, the number of the part of each (-1 for what is left out), and what to say of
    them; messages call them `source`.
    """
    parts = len(shares)
    filled = np.flatnonzero(sequences.lengths)
    units = np.unique(filled if groups is None else groups[filled], return_inverse=True)[1]
    count, what = int(units.max(initial=-1)) + 1, "sequence" if groups is None else "group"
    if count == 0:
        raise DataError(f"{source}: no sequence has a step to learn from.")
    if count < parts:
        if sequences.per == "sequence" or groups is not None:
            raise DataError(
                f"{source}: {counted(count, what)} {'is' if count == 1 else 'are'} too few to draw "
                f"{', '.join(PARTS[: parts - 1])} and {PARTS[parts - 1]} parts."
            )
        return _blocks(source, sequences, shares, gap)
    others = [min(max(1, round(count * share)), count - 1) for share in shares[1:]]
    sizes = [count - sum(others), *others]
    labels = sequences.step_labels
    seen = np.zeros((count, int(labels.max(initial=0)) + 2), bool)
    seen[np.repeat(units, sequences.lengths[filled]), labels] = True
    seen = seen[:, :-1]  # the last one is that of no label
    due = np.minimum(seen.sum(axis=0), parts)
    generator = np.random.default_rng(seed)
    drawn, least = np.repeat(np.arange(parts), sizes), np.inf
    found = numbers = np.zeros(len(sequences), np.int64)
    for _ in range(DRAWS):
        drawn = generator.permutation(drawn)
        numbers[filled] = drawn[units]
        if known is None:
            has = np.stack([seen[drawn == part].any(axis=0) for part in range(parts)])
            missing = sum(float((due > part) @ ~has[part]) * len(due) ** (parts - part) for part in range(parts))
        else:
            missing = float(not known(numbers))
        if missing < least:
            found, least = numbers.copy(), missing
        if not missing:
            break
    shown = ", ".join(f"{size} for {part}" for size, part in zip(sizes, PARTS, strict=False))
    return sequences, found, [Remark(f"There is no split column: of {counted(count, what)}, {shown} are drawn.")]


def evaluation_part(
    table: Table,
    columns: Columns,
    part: str | None,
    classes: Sequence[Any],
    max_steps: int = MAX_STEPS,
    scheme: Scheme | None = None,
) -> tuple[str, Sequences, tuple[Any, ...], list[str]]:
    """The part of a table that a model is evaluated on.

    `part` is one of `PARTS`, or "all"; None is "test", or "all" in a table that has no parts. `classes` are those of
    the model, and `scheme` the one of which they are tags. A part without a label that the model knows is refused.

    What is returned is the name of the part, its sequences, the labels that the model does not know (their codes follow
    those of `classes`), and what the user should be told.
    """
    spelled = {word: each for word, each in SPELLINGS.items() if word not in EITHER}
    if part is not None and part != "all" and (part := spelled.get(asked := part.lower())) is None:
        raise DataError(f"There is no part {asked!r}. Use one of: {', '.join(PARTS)}, or all.")
    sequences, labels, notices = _labeled(table, columns, classes)
    if scheme is not None:
        sequences, labels, said = retagged(table, columns.label, sequences, labels, classes, scheme)
        notices = [*notices, *said]
    if part != "all":
        part, sequences, said = _one_part(table, columns, part, sequences)
        notices += said
    seen = _seen(sequences)
    if not seen:
        raise DataError(
            f"{table.source}: {part_words(part)} has no label in {columns.label!r}, so there is nothing to score."
        )
    unseen = [code for code in seen if code >= len(classes)]
    names = tuple(labels[code] for code in unseen)
    if len(unseen) == len(seen):
        raise DataError(
            f"{table.source}: {part_words(part)} has no label that the model knows, but {listed(names)}; it knows "
            f"{listed(classes)}."
        )
    if unseen:
        sequences = _recoded(sequences, [*range(len(classes)), *unseen])
        notices.append(
            f"{part_words(part).capitalize()} has labels in {columns.label!r} that the model never saw: "
            f"{listed(names)}. They count as missed. The first: {_first_unseen(table, sequences, len(classes))}."
        )
    if scheme is not None:
        sequences = replace(sequences, scheme=scheme.among([*classes, *names]))
        notices += malformed_notices(table, columns.label, [sequences], [*classes, *names])
    notices += masked_notices(columns, sequences)
    tally = Tally()
    sequences, more = cut_long(sequences, max_steps)
    return part, encoded(table, columns, sequences, tally), names, [*notices, *more, *tally.notices()]


def _one_part(table: Table, columns: Columns, part: str | None, whole: Sequences) -> tuple[str, Sequences, list[str]]:
    """The sequences of a part, of "test" for None, or "all" where there are no parts; with its name and what to say."""
    drawn = _drawn_again(table, columns, whole)
    if drawn is not None:
        (sequences, numbers), said = drawn, ["The parts are drawn as they were for training."]
    elif columns.split in table.names:
        sequences, numbers = whole.cut(_numbered_parts(table, str(columns.split))[whole.table_rows])
        said = []
    elif part is None:
        return "all", whole, []
    else:
        why = "by its sequences, their lengths and groups it is not the table that the model was trained on"
        if columns.split is not None:
            why = f"there is no split column {columns.split!r}"
        raise DataError(f"{table.source}: {why}, so it has no parts. Leave out {option('split')} to use all rows.")
    part = part or "test"
    chosen = numbers == PARTS.index(part)
    if not chosen.any():
        there = ", ".join(name for k, name in enumerate(PARTS) if (numbers == k).any())
        raise DataError(f"{table.source}: there is no {part} part; there is: {there}.")
    return part, sequences.keep(chosen), said


def _drawn_again(table: Table, columns: Columns, whole: Sequences) -> tuple[Sequences, Numbers] | None:
    """The sequences and parts that training drew, whatever labels the table has now; None if it is another table."""
    draw = columns.draw
    if draw is None or columns.group not in (None, *table.names):
        return None
    fingerprint = _fingerprints(whole)

    def known(numbers: Numbers) -> bool:
        return fingerprint(numbers) == draw.fingerprint

    try:
        groups = groups_of(table, columns, whole)
        found, numbers, _ = draw_parts(table.source, whole, SHARES, draw.seed, groups=groups, gap=draw.gap, known=known)
    except DataError:  # nothing can be drawn of this one
        return None
    return (found, numbers) if known(numbers) else None


def _labeled(table: Table, columns: Columns, classes: Sequence[Any] = ()) -> tuple[Sequences, list[Any], list[str]]:
    """The sequences of a table, with labels and without features; the labels by code; and what is to be said."""
    bare, notices = group_rows(table, columns)
    codes, labels = label_codes(table, columns.label, classes)
    return with_labels(table, columns, bare, codes, labels), labels, notices


def _numbered_parts(table: Table, name: str) -> Numbers:
    parts = parts_of_rows(table, name)
    return parts.replace_strict(list(PARTS), range(len(PARTS)), return_dtype=pl.Int64).to_numpy()


def _warn_of_mixing(whole: Sequences, pieces: Numbers) -> Iterator[str]:
    """A word if parts alternate within a sequence, which is as good as learning the test by heart."""
    numbers = whole.sequence_of_steps
    changes = np.flatnonzero((np.diff(pieces) != 0) & (np.diff(numbers) == 0))
    counts = np.bincount(numbers[changes], minlength=len(whole))
    if counts.max(initial=0) >= len(PARTS):
        where = f"sequence {whole.id(int(counts.argmax()))!r}" if len(whole) > 1 else "the only sequence"
        yield (
            f"Careful: within {where} the parts alternate {counts.max()} times. "
            "Neighbouring steps are alike, so the scores will look better than they are. Give each part whole "
            "sequences, or one stretch of time."
        )


def _one_class(
    table: Table, columns: Columns, labels: list[Any], known: Sequence[Any], new: Sequence[Any]
) -> DataError:
    """The error of a train part that has one class or none, and what may be the matter."""
    has = f"one label only ({listed(known)} in {columns.label!r})" if known else f"no label in {columns.label!r}"
    what = "the table" if len(known) == len(labels) else "the train part"
    later = columns.split is None and new
    ask = f" Others come later: say with {option('split')} which rows are train, valid and test." if later else ""
    # Of sequences that have one label each, all but one of its fields may be empty.
    many_empty = table.column(columns.label).null_count() > MANY_EMPTY * len(table)
    empty = fill_hint(columns, labels) if many_empty else ""
    return DataError(f"{table.source}: {what} has {has}; telling labels apart takes two at least.{ask}{empty}")


def _with_valid(
    table: Table, columns: Columns, sequences: Sequences, numbers: Numbers, seed: int, gap: int
) -> tuple[Sequences, Numbers, list[str]]:
    """Draw a valid part from the train part; of one or two long sequences with labels of steps, cut it off the end."""
    part = sequences.keep(numbers == 0)
    groups = groups_of(table, columns, part)
    count = len(part) if groups is None else len(np.unique(groups))
    shares = (1 - SHARES[1], SHARES[1])
    if count < 3:
        if groups is None and part.per == "step" and part.lengths.max() >= LONG:
            cut, own, _ = _blocks(table.source, part, shares, gap)
            if _seen(cut.keep(own == 0)) == _seen(part) and _seen(cut.keep(own == 1)):
                whole = Sequences.joined([sequences.keep(numbers != 0), cut])
                said = f"There is no valid part: the last {shares[1]:.0%} of each train sequence are taken for it."
                return whole, np.append(numbers[numbers != 0], own), [said]
        return sequences, numbers, ["There is no valid part, so training cannot stop early."]
    numbers = numbers.copy()
    numbers[numbers == 0] = drawn = draw_parts(table.source, part, shares, seed, groups=groups)[1]
    valid = int(drawn.sum()) if groups is None else len(np.unique(groups[drawn == 1]))
    what = "sequences" if groups is None else "groups"
    return sequences, numbers, [f"There is no valid part: {valid:,} of the {count:,} train {what} are drawn for it."]


def groups_of(table: Table, columns: Columns, sequences: Sequences) -> Numbers | None:
    """For each sequence the number of its group; None where there are none."""
    if columns.group is None:
        return None
    groups = table.column(columns.group).gather(sequences.table_rows)
    inside = changes(groups).to_numpy() & (sequences.positions[1:] > 0)
    if inside.any():
        name = sequences.id(sequences.place(int(inside.argmax()))[0])
        raise DataError(f"{table.source}: sequence {name!r} stands in two groups of {columns.group!r}.")
    return groups.gather(sequences.offsets[:-1]).rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1


def _blocks(source: str, whole: Sequences, shares: Sequence[float], gap: int) -> tuple[Sequences, Numbers, list[str]]:
    """Each sequence cut along time."""
    if whole.lengths.max() < len(shares):
        raise DataError(
            f"{source}: {counted(whole.steps, 'row is', 'rows are')} too few to cut into {len(shares)} parts."
        )
    gap = min(gap, int(whole.lengths.max() * WIDEST_GAP))
    lengths, steps = whole.lengths_of_steps, whole.positions
    borders = np.cumsum(shares[:-1])
    numbers = np.digitize(steps / lengths, borders)
    numbers[np.digitize((steps - gap) / lengths, borders) != numbers] = -1
    sequences, numbers = whole.cut(numbers)
    what = "The one sequence is" if len(whole) == 1 else f"All {len(whole)} sequences are"
    between = f", with {gap} steps left out at each cut" if gap else ""
    parts = ", ".join(f"{share:.0%} to {part}" for share, part in zip(shares, PARTS, strict=False))
    return sequences, numbers, [Remark(f"There is no split column. {what} cut in time: {parts}{between}.")]


def _recoded(part: Sequences, codes: Sequence[int]) -> Sequences:
    """The part with the places of its labels among the codes, which are all that it has, in their place."""
    places = np.full(max(codes) + 2, NO_LABEL)  # the last one is that of no label
    places[codes] = np.arange(len(codes))
    return replace(part, labels=places[part.known_labels])


def _seen(part: Sequences) -> list[int]:
    """The codes that some label has, sorted."""
    return list(np.unique(part.known_labels[part.has_label]).tolist())


def _first_unseen(table: Table, part: Sequences, known: int) -> str:
    """The place of the first row in the table whose label is none of the known ones."""
    return table.place(int(part.table_rows[part.step_labels >= known].min()))


def _class_notices(table: Table, columns: Columns, parts: Parts) -> Iterator[str]:
    """A word about labels that training does not have, and one about classes that are too rare."""
    if parts.unseen:
        others = Sequences.joined([part for part in (parts.valid, parts.test) if part is not None])
        yield (
            f"The train part has no label {listed(parts.unseen)} in {columns.label!r}; the other parts do. Such labels "
            f"cannot be learned and count as missed. The first: {_first_unseen(table, others, len(parts.classes))}."
        )
    counts = parts.train.class_counts(len(parts.classes))
    rare = [label for label, count in zip(parts.classes, counts.tolist(), strict=True) if count < FEW]
    said = [f"{listed(rare)} in {columns.label!r}: fewer than {FEW} {columns.per}s in the train part"] if rare else []
    if parts.valid is not None:
        there = _seen(parts.valid)
        absent = [label for code, label in enumerate(parts.classes) if code not in there]
        said += [f"{listed(absent)}: none in the valid part, so F1 is 0 there"] if absent else []
    if said:
        yield f"Too rare to be sure of: {'; '.join(said)}."


def _fingerprints(whole: Sequences) -> Callable[[Numbers], int]:
    """For parts what tells them and their sequences, whatever types the names have in files of several formats."""
    names = [str(name).removesuffix(" 00:00:00").removesuffix(".0").lstrip("0") for name in whole.ids or ()]
    named = zlib.crc32(RULE + repr((names, whole.lengths.tolist())).encode())
    return lambda numbers: zlib.crc32(numbers.astype(np.int8).tobytes(), named)
