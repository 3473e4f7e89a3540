"""Labels and weights of steps or of sequences, in whatever form they come: checked and laid out flat."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import DataConversionWarning

from bothways.data.frames import is_missing
from bothways.errors import InputError, counted
from bothways.runtime.inputs import Form, Per, axes, frame_rows, read_arrays
from bothways.sequences import NO_LABEL, Array, Bools, Floats, Numbers, Sequences, unmasked

KINDS = {"b": bool, "i": np.int64, "u": np.int64, "U": str}  # what labels of a NumPy kind become

COLUMN = "A column-vector {} was passed when a 1d array was expected. Please change its shape, such as with ravel()."
"""The words by which scikit-learn warns, so that a filter for its warnings serves here too."""


class Labels(NamedTuple):
    """The labels of all steps `(steps,)`, sequence after sequence, or of all sequences; for a frame of its rows.

    `values` are int64, str or bool, and mean nothing where `present` is false.
    """

    per: Per
    values: Array
    present: Bools


def read_labels(name: str, y: Any, sequences: Sequences, form: Form, per: str, missing: Any) -> Labels:
    """Labels that belong to sequences: one per sequence, or per step as `(time,)` or `(time, 1)`.

    None, NaN and `missing` stand for no label. `per` is "step", "sequence", or "auto" for either.
    """
    if per not in ("auto", "step", "sequence"):
        raise InputError(f"per is {per!r}; it must be 'step', 'sequence' or 'auto'.")
    if y is None:
        raise InputError(f"SequenceLabeler requires y to be passed, but the target {name} is None.")
    found, parts = _flat(name, "label", y, sequences, form)
    if form == "frame" and per == "sequence":
        found = "sequence"
    if per not in ("auto", found):
        raise InputError(
            f"{name} has one label per {found}, and per={per!r} asks for one per {per}. Give such labels, or "
            f"per={found!r}."
        )
    checked = [checked_labels(label, values, missing) for label, values in parts]
    filled = [labels for labels in checked if labels[1].any()]
    if not filled:
        if not sum(len(values) for _, values in parts):
            nothing = "rows" if form == "frame" else f"{found}s in its {counted(len(sequences), 'sequence')}"
            raise InputError(f"{_x(name)} has no {nothing}; it needs at least one.")
        raise InputError(f"{name} holds no label at all; every one of them is missing.")
    kinds = {values.dtype.kind for values, _ in filled}
    if len(kinds) > 1:
        raise InputError(f"{name} mixes kinds of labels; they must be all int, all str or all bool.")
    empty = filled[0][0].dtype
    values = np.concatenate([v if p.any() else np.zeros(len(p), empty) for v, p in checked])
    present = np.concatenate([p for _, p in checked])
    return Labels(found, values, present)


def read_weights(weights: Any, sequences: Sequences, form: Form, per: str) -> Floats:
    """One weight per label, 0 or more; a weight per sequence is that of each of its steps. For a frame, one per row."""
    name = "sample_weight"
    found, parts = _flat(name, "weight", weights, sequences, form)
    try:
        flat = np.concatenate([np.asarray(values, np.float64) for _, values in parts])
    except (TypeError, ValueError):
        raise InputError(f"{name} holds what is no number; a weight is a number of at least 0.") from None
    if not (np.isfinite(flat) & (flat >= 0)).all():
        raise InputError(f"{name} holds {flat[~(flat >= 0) | np.isinf(flat)][0]}; a weight is a number of at least 0.")
    if len(flat) and not flat.any():
        raise InputError(f"{name} is zero everywhere; at least one weight must be above zero.")
    if form == "frame":
        return flat.astype(np.float32)
    if found == "step" and per == "sequence":
        raise InputError(f"{name} has one weight per step, and y one label per sequence. Give one weight per sequence.")
    if found == "sequence" and per == "step":
        flat = np.repeat(flat, sequences.lengths)
    return flat.astype(np.float32)


def read_truth(labeler: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Sequences, Form, Labels, Floats | None]:
    """What the predictions of a fitted labeler are compared with: sequences as its model takes them, the form of X, and
    the labels and weights of y in the order of y; an estimator that has no such model gets the arrays themselves.
    Raises InputError if y or the weights do not fit X, or labels are of another kind than those of the labeler.
    """
    model = getattr(labeler, "model_", None)
    sequences, form = model.read("X", X) if model is not None else read_arrays("X", X, None)
    given = frame_rows(sequences.steps) if form == "frame" else sequences
    per = getattr(labeler, "per_", "auto")
    labels = read_labels("y", y, given, form, per, getattr(labeler, "missing_label", None))
    there, classes = labels.values[labels.present], labeler.classes_
    if len(there) and there.dtype.kind != classes.dtype.kind:  # none of these labels can be right
        own, known = type(there[0].item()).__name__, type(classes[0].item()).__name__
        raise InputError(
            f"y has labels of type {own}, such as {there[0].item()!r}; those of the model are of type {known}: "
            f"{', '.join(map(repr, classes.tolist()))}. Convert one to the other."
        )
    if form == "frame" and labels.per == "sequence":
        labels = _spread(labels, sequences)
    if sample_weight is None:
        return sequences, form, labels, None
    return sequences, form, labels, read_weights(sample_weight, given, form, labels.per)


def _spread(labels: Labels, sequences: Sequences) -> Labels:
    """The labels of the rows of a frame, each that of its sequence: the first one that there is in it."""
    rows, lacking = sequences.table_rows, ~labels.present[sequences.table_rows]
    first = np.minimum.reduceat(np.arange(len(rows)) + len(rows) * lacking, sequences.offsets[:-1]) % len(rows)
    of_rows = np.empty_like(rows)
    of_rows[rows] = np.repeat(rows[first], sequences.lengths)
    return labels._replace(values=labels.values[of_rows], present=labels.present[of_rows])


def coded(labels: Labels, classes: Array) -> Numbers:
    """Labels as codes, -1 where there is none; labels that are not among the classes have codes after theirs."""
    values = labels.values[labels.present]
    found, order = np.unique(values, return_inverse=True)
    known = _known(found, classes)
    of_found = np.empty(len(found), np.int64)
    of_found[known] = np.searchsorted(classes, found[known])
    of_found[~known] = len(classes) + np.arange(len(found) - known.sum())
    codes = np.full(len(labels.values), NO_LABEL, np.int64)
    codes[labels.present] = of_found[order]
    return codes


def unseen(labels: Labels, classes: Array) -> list[Any]:
    """The labels that are not among the classes, in the order of the codes that `coded` gives them."""
    found = np.unique(labels.values[labels.present])
    return list(found[~_known(found, classes)].tolist())


def class_weights(class_weight: Any, classes: Array) -> Floats | None:
    """The weight of each class, by a mapping from labels, 1 for those that are not in it; None if there is none."""
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return None
    if not isinstance(class_weight, Mapping):
        raise InputError(f"class_weight is {class_weight!r}; it must be None, 'balanced', or weights by label.")
    known = classes.tolist()
    for label, weight in class_weight.items():
        if label not in known and not class_weight.keys() >= set(known):  # else a part of the data may lack the label
            shown = ", ".join(map(repr, known))
            raise InputError(f"class_weight has the label {label!r}, which y has not; it has {shown}.")
        if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
            raise InputError(f"class_weight[{label!r}] is {weight!r}; a weight is a number of at least 0.")
    return np.array([class_weight.get(label, 1) for label in known], np.float32)


def _known(found: Array, classes: Array) -> Bools:
    """Which labels are among the classes; True equals 1, so kinds are compared before labels."""
    return np.isin(found, classes) if found.dtype.kind == classes.dtype.kind else np.zeros(len(found), bool)


def _flat(name: str, noun: str, values: Any, x: Sequences, form: Form) -> tuple[Per, list[tuple[str, Array]]]:
    """Whether they are those of steps or of sequences; and they, in flat arrays with a name each."""
    if isinstance(values, (str, bytes, Mapping)) or not (isinstance(values, Iterable) or hasattr(values, "__array__")):
        raise InputError(f"{name} is of type {type(values).__name__}; give a list or array of {noun}s.")
    values = np.atleast_1d(unmasked(values)) if hasattr(values, "__array__") else list(values)
    if form in ("one", "frame"):
        return "step", [(name, _rows(name, noun, values, x, form))]
    array = values if isinstance(values, np.ndarray) else None
    sequences, lengths = len(x), x.lengths
    if array is not None and array.dtype != object and array.ndim > 1:
        if array.ndim == 2 and array.shape[1] == 1 and not (lengths == 1).all():
            warnings.warn(COLUMN.format(name), DataConversionWarning, stacklevel=4)
            array = array[:, 0]
        elif (array.ndim == 2 or array.shape[2:] == (1,)) and len(array) == sequences:
            if not (wrong := np.flatnonzero(lengths != array.shape[1])).size:
                return "step", [(name, array.reshape(-1))]
            raise _unequal(name, noun, int(wrong[0]), array.shape[1], x)
    items = list(values) if array is None or array.ndim != 1 or array.dtype == object else array
    if len(items) != sequences:
        raise InputError(f"{name} has {noun}s for {counted(len(items), 'sequence')}; {_x(name)} has {sequences}.")
    if isinstance(items, np.ndarray):
        return "sequence", [(name, items)]
    if items and all(axes(item) == 0 for item in items):
        return "sequence", [(name, _objects(items))]
    parts = [(f"{name}[{i}]", _steps(f"{name}[{i}]", noun, item)) for i, item in enumerate(items)]
    for i, (_, part) in enumerate(parts):
        if len(part) != lengths[i]:
            raise _unequal(name, noun, i, len(part), x)
    return "step", parts


def _x(name: str) -> str:
    """What the sequences are called to which labels or weights belong."""
    return "validation X" if name.startswith("validation") else "X"


def _unequal(name: str, noun: str, i: int, came: int, x: Sequences) -> InputError:
    return InputError(f"{name}[{i}] has {came} {noun}s; {_x(name)}[{i}] has {x.lengths[i]} steps.")


def _rows(name: str, noun: str, values: Any, x: Sequences, form: Form) -> Array:
    """Those of one sequence, or of the rows of a frame."""
    what = "rows" if form == "frame" else "steps"
    array = _objects(values)
    if array.ndim == 2 and array.shape[1] == 1:
        warnings.warn(COLUMN.format(name), DataConversionWarning, stacklevel=5)
        array = array[:, 0]
    if array.ndim != 1:
        one = f" {_x(name)} of two axes is one sequence (time, features)"
        cure = "" if form == "frame" else f"{one}; if each row is a sequence, give {_x(name)}[..., None]."
        raise InputError(
            f"{name} should be a 1d array of a {noun} for each of the {what}; it has shape {array.shape}.{cure}"
        )
    if len(array) != x.steps:
        raise InputError(f"{name} has {len(array)} {noun}s; {_x(name)} has {x.steps} {what}.")
    return array


def _steps(name: str, noun: str, values: Any) -> Array:
    """Those of the steps of one sequence, `(time,)`."""
    array = _objects(values)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim != 1:
        raise InputError(f"{name} has shape {array.shape}; it needs one {noun} per step, (time,) or (time, 1).")
    return array


def _objects(values: Any) -> Array:
    """An array that leaves the items of a list as they are: NumPy would make text of numbers beside text."""
    if hasattr(values, "__array__"):
        return unmasked(values)
    try:
        return np.asarray(values, object)
    except ValueError:
        array = np.empty(len(values), object)
        array[:] = values
        return array


def checked_labels(name: str, array: Array, missing: Any) -> tuple[Array, Bools]:
    """Labels `(n,)` as int64, str or bool, and which of them there are; floats that are whole become int64."""
    nothing = array.dtype.kind == "f" and np.isnan(array)
    if array.dtype == object:
        nothing = np.array(list(map(is_missing, array)), bool)
    present = np.logical_not(np.broadcast_to(nothing, array.shape))
    if missing is not None:
        present &= np.array([label != missing for label in array.tolist()], bool)
    labels = array[present]
    if array.dtype == object:
        types = set(map(type, labels))
        if types == {Decimal}:  # as databases write numbers
            labels, types = labels.astype(np.float64), {float}
        kinds = {np.dtype(kind).kind for kind in types}
        if len(kinds) > 1 or "O" in kinds:
            names = ", ".join(sorted(kind.__name__ for kind in types))
            raise InputError(f"{name} has labels of the types {names}; they must be all int, all str or all bool.")
        labels = np.array(labels.tolist())
    if labels.dtype.kind == "f":
        if (np.abs(labels) < 2**53).all() and (labels == np.round(labels)).all():
            labels = labels.astype(np.int64)
        else:
            raise InputError(
                f"Unknown label type: continuous. {name} has labels of dtype {labels.dtype} that are no whole numbers; "
                "they must be all int, all str or all bool."
            )
    if labels.dtype.kind not in KINDS or (labels.dtype.kind == "u" and (labels > np.iinfo(np.int64).max).any()):
        raise InputError(
            f"{name} has labels of dtype {labels.dtype}; they must be all int (64 bits), all str or all bool."
        )
    labels = labels.astype(KINDS[labels.dtype.kind])
    values = np.zeros(len(array), labels.dtype)
    values[present] = labels
    return values, present
