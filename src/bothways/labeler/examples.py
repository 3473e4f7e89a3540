"""What a labeler learns from, and what it holds out: out of arrays, or of data frames."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.data import (
    GAP,
    Columns,
    Remark,
    Tally,
    draw_parts,
    evaluation_part,
    find_leaks,
    fit_arrays,
    match_columns,
    read_and_split,
)
from bothways.data.clocks import ROW_NUMBERS
from bothways.data.frames import frame_table, with_column
from bothways.data.roles import NONE
from bothways.errors import DataError, InputError, option
from bothways.labeler.labels import Labels, class_weights, coded, read_labels, read_weights, unseen
from bothways.runtime.inputs import (
    Form,
    category_places,
    check_categories,
    frame_rows,
    is_frame,
    read_arrays,
    read_input,
)
from bothways.sequences import NO_LABEL, Array, Sequences
from bothways.settings import Roles, as_names
from bothways.tables import Table
from bothways.tags import Scheme, scheme_of
from bothways.training import Settings

if TYPE_CHECKING:
    from bothways.labeler.estimator import SequenceLabeler


def split_arrays(
    labeler: SequenceLabeler, X: Any, y: Any, sample_weight: Any, settings: Settings, shares: tuple[float, ...]
) -> tuple[Columns, Array, Sequences, Sequences | None]:
    """The columns of arrays, the classes, what to learn from, and what is held out."""
    for name in ("vectors", "sequence", "order", "features", "drop"):
        if any(as_names(getattr(labeler, name))):
            raise InputError(
                f"{name}={getattr(labeler, name)!r} is for a data frame, but X holds arrays. Leave it out."
            )
    sequences, form = read_arrays("X", X, features=None)
    categorical = category_places(labeler.categorical, sequences.features)
    check_categories("X", sequences, categorical)
    labels = read_labels("y", y, sequences, form, labeler.per, labeler.missing_label)
    classes = _classes(labels)
    if sample_weight is not None:
        sample_weight = read_weights(sample_weight, sequences, form, labels.per)
    sequences = replace(sequences, labels=coded(labels, classes), per=labels.per)
    sequences = _weighed(labeler, sample_weight, sequences, classes)
    if labels.per == "step":
        sequences = replace(sequences, scheme=scheme_of(classes.tolist(), sequences.known_labels, sequences.lengths))
    gap = GAP if settings.window is None else settings.window
    sequences, parts, _ = draw_parts("X", sequences, shares, settings.seed, gap=gap)
    train = sequences.keep(parts == 0)
    encoding, notices = fit_arrays("X", train, categorical)
    names = tuple(map(str, range(train.features)))
    columns = Columns("", names, categories=tuple(map(str, categorical)), per=labels.per, encoding=encoding)
    tally = Tally()
    valid = encoding.encode_arrays(sequences.keep(parts == 1), tally) if len(shares) > 1 else None
    _say(labels, *notices, *tally.notices())
    return columns, classes, encoding.encode_arrays(train), valid


def split_frame(
    labeler: SequenceLabeler, X: Any, y: Any, sample_weight: Any, settings: Settings, shares: tuple[float, ...]
) -> tuple[Columns, Array, Sequences, Sequences | None]:
    """The same for a data frame."""
    asked = _roles(labeler)
    table, label, labels = _labeled_table(labeler, "X", X, y, labeler.per)
    _classes(labels)
    # Roles are given and never guessed: numbers are numbers, except those of rows that pandas read out of a file.
    numeric = [name for name, dtype in table.schema.items() if dtype.is_numeric()]
    split = read_and_split(
        table,
        seed=settings.seed,
        window=settings.window,
        shares=shares,
        label=label,
        sequence=asked.sequence or NONE,
        order=asked.order or NONE,
        split=NONE,
        drop=[name for name in asked.drop if name != label],
        features=asked.features,
        categorical=asked.categorical,
        numeric=[name for name in numeric if name not in {label, *asked.categorical, *ROW_NUMBERS}],
        per=labels.per,
        vectors=labeler.vectors,
    )
    columns, parts, notices = split.encoded(max_steps=len(table))
    leaks = find_leaks(split.table, columns, replace(parts, valid=None, test=None))
    said = [*(str(guess) for guess in columns.guesses if not guess.plain), *split.notices, *notices]
    said += [leak.text for leak in leaks if leak.sure]
    _say(labels, *(notice for notice in said if not isinstance(notice, Remark)))
    classes = np.array(parts.classes)
    if sample_weight is not None:
        sample_weight = read_weights(sample_weight, frame_rows(len(table)), "frame", labels.per)

    def weighed(part: Sequences) -> Sequences:
        own = None if sample_weight is None else sample_weight[places(part, "frame")]
        return _weighed(labeler, own, part, classes)

    return columns, classes, weighed(parts.train), None if parts.valid is None else weighed(parts.valid)


def places(sequences: Sequences, form: Form) -> Any:
    """Where the label of each step, or sequence, stands in y; of a sequence of a frame, in its first row."""
    if form != "frame":
        return slice(None)
    return sequences.table_rows if sequences.per == "step" else sequences.table_rows[sequences.offsets[:-1]]


def _weighed(labeler: SequenceLabeler, weights: Any, sequences: Sequences, classes: Array) -> Sequences:
    """Sequences with the weights of their labels, times those of their classes; a label of weight 0 is none."""
    of_classes, labels = class_weights(labeler.class_weight, classes), sequences.known_labels
    if of_classes is not None:
        # Of labels that are missing or not known, anything: they weigh nothing, or are validated only.
        chosen = np.append(of_classes, np.float32(1))[np.minimum(labels, len(classes))]
        weights = chosen if weights is None else weights * chosen
    if weights is None:
        return sequences
    return replace(sequences, labels=np.where(weights > 0, labels, NO_LABEL), weights=weights)


def _roles(labeler: SequenceLabeler) -> Roles:
    """What the columns of data frames are for, as the user says."""
    return Roles(**{name: getattr(labeler, name) for name in ("sequence", "order", "drop", "features", "categorical")})


def _labeled_table(labeler: SequenceLabeler, name: str, X: Any, y: Any, per: str) -> tuple[Table, str, Labels]:
    """A data frame with y as a column, in the place of one to drop that is called so."""
    asked = _roles(labeler)
    sequence, order = (None if role in ("", NONE) else role for role in (asked.sequence, asked.order))
    named = (*asked.drop, *asked.features, *asked.categorical)
    table = frame_table(name, X, sequence, order=order, needed=named)
    if not len(table):
        raise DataError(f"{name}: this data frame has no rows.")
    said = "y" if name == "X" else name.replace("X", "y")
    labels = read_labels(said, y, frame_rows(len(table)), "frame", per, labeler.missing_label)
    own = y.columns[0] if is_frame(y) else getattr(y, "name", None)
    if isinstance(own, str) and own in table.names and own not in asked.drop:
        raise InputError(
            f"{name} has the column {own!r}, as {said} is called: the labels would be learned from themselves. Leave "
            f"it out of {name}, or give {option('drop', own)}."
        )
    label = own if isinstance(own, str) and own else "label"
    while label in table.names and label not in asked.drop:
        label += "_"
    values = [value if there else None for value, there in zip(labels.values.tolist(), labels.present, strict=True)]
    return with_column(table, label, values), label, labels


def validation(
    labeler: SequenceLabeler, data: Any, columns: Columns, classes: Array, scheme: Scheme | None
) -> Sequences:
    """Validation data, as the network takes them, with labels of the scheme that those of training are of."""
    if not isinstance(data, tuple) or len(data) != 2:
        raise InputError("validation_data must be a pair (X, y).")
    name, (X, y) = "validation X", data
    if is_frame(X) and columns.label:
        table, label, _ = _labeled_table(labeler, name, X, y, columns.per)
        match_columns(table, replace(columns, label=label), label=True)
        return evaluation_part(table, replace(columns, label=label), "all", classes.tolist(), len(table), scheme)[1]
    sequences, form = read_input(name, X, columns)
    labels = read_labels("validation y", y, sequences, form, columns.per, labeler.missing_label)
    codes = coded(labels, classes)
    if not ((codes >= 0) & (codes < len(classes))).any():
        raise InputError(
            f"validation y has no label that training saw; it saw {', '.join(map(repr, classes.tolist()))}."
        )
    sequences = replace(sequences, labels=codes)
    return replace(sequences, scheme=scheme and scheme.among([*classes.tolist(), *unseen(labels, classes)]))


def _classes(labels: Labels) -> Array:
    classes = np.unique(labels.values[labels.present])
    if len(classes) < 2:
        raise InputError(
            f"y holds one label only, {classes[0].item()!r}: 1 class. A labeler tells at least two classes apart."
        )
    return np.asarray(classes)


def _say(labels: Labels, *notices: str) -> None:
    """Warn of what a user should know, missing labels last."""
    if lacking := int((~labels.present).sum()):
        total = len(labels.present)
        notices = (*notices, f"y lacks {lacking} of {total} labels; nothing is learned where there is none.")
    for notice in notices:
        warnings.warn(notice, UserWarning, stacklevel=4)
