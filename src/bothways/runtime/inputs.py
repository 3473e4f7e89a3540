"""What a model takes for X, and how what it gives gets the form of X again."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bothways.errors import InputError, calling
from bothways.network import MAX_CODES
from bothways.runtime.forward import checked_sequences
from bothways.sequences import Array, Sequences, unmasked
from bothways.settings import as_names

if TYPE_CHECKING:
    from bothways.data import Columns, Tally

Per = Literal["step", "sequence"]
Form = Literal["one", "array", "list", "frame"]
"""One sequence as an array of two axes, an array of three, a list of arrays, or a data frame."""

WANTED = "(time, features), (sequences, time, features), or a list of (time, features)"


def arranged(X: Any, sequences: Sequences, form: Form, results: Array) -> Any:
    """Results of all labels in the form of X, of which these are the sequences."""
    if form == "frame":
        return sequences.by_row(results)
    if sequences.per == "sequence" or form == "one":
        return results
    if form == "array":
        return results.reshape(*np.shape(X)[:2], *results.shape[1:])
    return sequences.split(results)


def read_arrays(name: str, X: Any, features: int | None) -> tuple[Sequences, Form]:
    """Sequences out of an array or a list of arrays."""
    if hasattr(X, "toarray"):
        raise InputError(f"{name} is a sparse array; a labeler needs a dense one. Give {name}.toarray().")
    if isinstance(X, (str, bytes, Mapping)) or not (isinstance(X, Iterable) or hasattr(X, "__array__")):
        raise InputError(f"{name} is of type {type(X).__name__}; it must be {WANTED}.")
    if not hasattr(X, "__array__"):
        X = list(X)
        if any(map(is_frame, X)):
            raise InputError(
                f"{name} is a list of data frames, whose columns would go by their places alone. Give one frame, with "
                f"a column that tells sequences apart (sequence=...), or arrays: [each.to_numpy() for each in {name}]."
            )
        if X and isinstance(X[0], (list, tuple)) and X[0] and isinstance(X[0][0], str):
            raise InputError(
                f"{name} holds text. Give a data frame with a row per word, which says the number of its sentence and "
                "the word."
            )
        if not X or axes(X[0]) > 1:
            return checked_sequences(name, X, features, missing=True), "list"
    try:
        array = unmasked(X)
    except ValueError:
        raise InputError(f"{name} has rows of unequal length; it must be {WANTED}.") from None
    if array.dtype == object and array.ndim == 1 and len(array) and axes(array[0]) > 1:
        return checked_sequences(name, list(array), features, missing=True), "list"
    if array.ndim not in (2, 3):
        cure = " Reshape your data: X.reshape(-1, 1) is one sequence of one feature." if array.ndim < 2 else ""
        raise InputError(f"{name} has shape {array.shape}; it must be {WANTED}.{cure}")
    if array.shape[-1] == 0:
        raise InputError(f"{name} has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    if features is not None and array.shape[-1] != features:
        raise InputError(
            f"{name} has {array.shape[-1]} features, but SequenceLabeler is expecting {features} features as input."
        )
    if array.ndim == 3:
        return checked_sequences(name, array, features, missing=True), "array"
    return checked_sequences(name, array[None], features, missing=True), "one"


def read_input(name: str, X: Any, columns: Columns) -> tuple[Sequences, Form]:
    """Sequences as the network takes them, out of a data frame or of arrays; of what is unusual, it warns."""
    from bothways.data import Tally, match_columns, read_sequences  # brings Polars, which takes its time to start
    from bothways.data.frames import frame_table

    tally = Tally()
    form: Form = "frame"
    if not columns.label:
        if is_frame(X):
            raise InputError(f"{name} is a data frame; the labeler was fitted on arrays. Give {name}.to_numpy().")
        sequences, form = read_arrays(name, X, len(columns.features))
        sequences = encoded_arrays(name, sequences, columns, tally)
    elif not is_frame(X):
        needed = filter(None, (columns.sequence, columns.order, *columns.features))
        raise InputError(
            f"{name} is of type {type(X).__name__}; the labeler was fitted on a data frame and needs one with the "
            f"columns {', '.join(map(repr, needed))}."
        )
    else:
        features, fields, order, learned = columns.features, columns.numbers, columns.order, columns.reading
        with calling("the labeler"):
            table = frame_table(name, X, columns.sequence, order=order, needed=features, fields=fields, learned=learned)
            if not len(table):
                nothing = np.empty((0, len(columns.fitted.names)), columns.fitted.dtype)
                return Sequences(nothing, np.array([], np.int64), per=columns.per, rows=np.array([], np.int64)), form
            match_columns(table, columns, label=False)
            # That rows are sorted by the column that was named for it needs no word.
            sequences, _ = read_sequences(table, columns, tally)
    for notice in tally.notices():
        warnings.warn(notice, UserWarning, stacklevel=4)
    return sequences, form


def encoded_arrays(name: str, sequences: Sequences, columns: Columns, tally: Tally | None = None) -> Sequences:
    """Sequences of arrays as the network takes them."""
    check_categories(name, sequences, map(int, columns.categories))
    return replace(columns.fitted.encode_arrays(sequences, tally), per=columns.per)


def check_categories(name: str, sequences: Sequences, places: Iterable[int]) -> None:
    """Refuse columns of categories that hold anything but whole numbers from 0; NaN is an unknown one."""
    for k in places:
        codes = np.nan_to_num(sequences.values[:, k])
        wrong = (codes < 0) | (codes != np.floor(codes)) | (codes >= MAX_CODES)
        if wrong.any():
            number, step = sequences.place(int(wrong.argmax()))
            raise InputError(
                f"{name}[{number}] holds {codes[wrong][0]} at step {step}, feature {k}, which is categorical; "
                f"categories in arrays are whole numbers from 0, for whatever is unknown, up to {MAX_CODES - 1}."
            )


def category_places(categorical: Any, features: int) -> tuple[int, ...]:
    """The numbers of the columns that hold categories, sorted; those below 0 count from the last one."""
    places = set()
    for place in as_names(categorical):
        if isinstance(place, bool) or not isinstance(place, (int, np.integer)) or not -features <= place < features:
            raise InputError(
                f"categorical names the column {place!r}; in an array it must be the number of one, from 0 to "
                f"{features - 1}."
            )
        places.add(int(place) % features)
    return tuple(sorted(places))


def frame_rows(count: int) -> Sequences:
    """The rows of a frame, before they are sequences."""
    return Sequences(np.empty((count, 0)), np.array([count]))


def is_frame(X: Any) -> bool:
    """Whether X has columns with a type each; Polars, which takes its time to start, need not be there."""
    return hasattr(type(X), "columns") or type(X).__name__ == "LazyFrame"


def axes(value: Any) -> int:
    """The number of axes of an array or of nested lists, also of some whose rows differ in length."""
    try:
        return np.ndim(value)
    except ValueError:
        return 2
