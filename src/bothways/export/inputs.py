"""The inputs of a graph: raw columns to the features that a model's networks read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.export import spelling
from bothways.export.graph import Graph, Value
from bothways.means import deviations_of
from bothways.runtime import Model

if TYPE_CHECKING:
    from bothways.data.encoding import Category, Encoding

LENGTHS, LABEL, PROBABILITIES, FEATURES = "lengths", "label", "probabilities", "features"
"""The names of inputs and outputs that are no columns."""

BATCH_TIME = ("batch", "time")


class Inputs(NamedTuple):
    """What networks read. Beyond the end of a sequence numbers and codes are 0."""

    dtype: np.dtype[Any]  # of the numbers
    numbers: Value | None  # `(batch, time, numeric)`, none missing; None without numeric columns
    codes: Value | None  # `(batch, time, categories)` int64; None without categories
    lengths: Value  # `(batch,)` int64
    steps: Value  # `(time,)` int64, counted from 0
    known: Value  # `(batch, time)`, whether there is such a step
    inside: Value  # the same as `(batch, time, 1)`


def at_least_one(graph: Graph, lengths: Value, dtype: Any) -> Value:
    """`(batch, 1)` how many steps each sequence has, at least one."""
    return graph.cast(graph.unsqueeze(graph("Max", lengths, np.int64(1)), 1), dtype)


def moved(graph: Graph, data: Inputs, values: Value, shift: int) -> Value:
    """For each step the values `shift` steps later; beyond the ends of a sequence those of its first or last step."""
    last = graph.unsqueeze(data.lengths, 1) - np.int64(1)
    places = graph("Max", graph("Min", later(graph, data, shift), last), np.int64(0))
    return graph("GatherND", values, graph.unsqueeze(places, 2), batch_dims=1)


def later(graph: Graph, data: Inputs, shift: int) -> Value:
    """`(1, time)` the numbers of the steps that are `shift` later, which need not be there."""
    return graph.unsqueeze(data.steps + np.int64(shift), 0)


def means_of(graph: Graph, direction: str, levels: Value, data: Inputs) -> Value:
    """The means over a sequence, or over what one direction has read so far, in float64: `bothways.means.means_of`."""
    lengths, steps = graph.unsqueeze(data.lengths, 1), graph.unsqueeze(data.steps, 0)
    levels = graph.cast(levels, np.float64)
    if direction == "both":
        sums, counts = graph("ReduceSum", levels, [1], keepdims=1), lengths
    else:
        backward = direction == "backward"
        sums = graph("CumSum", levels, np.int64(1), reverse=int(backward))
        counts = lengths - steps if backward else steps + np.int64(1)
    counts = graph.cast(graph("Max", counts, np.int64(1)), np.float64)
    return sums / graph.unsqueeze(counts, 2)


def moments_of(graph: Graph, direction: str, levels: Value, data: Inputs) -> tuple[Value, Value]:
    """Means and deviations over a sequence, or over what one direction has read: `bothways.means.moments_of`."""
    levels = graph.cast(levels, np.float64)
    both = means_of(graph, direction, graph("Concat", levels, levels * levels, axis=2), data)
    means, squares = graph.several(2, "Split", both, axis=2, num_outputs=2)
    return means, deviations_of(means, squares, partial(graph, "Max"), partial(graph, "Sqrt"))


def joined_codes(data: Inputs, sizes: tuple[int, ...]) -> Value:
    """The codes, those of a column going on where those of the column before end."""
    assert data.codes is not None
    return data.codes + np.cumsum([0, *sizes[:-1]])


def inputs(graph: Graph, model: Model) -> Inputs:
    """Declare the inputs of a model and turn them into features."""
    columns = model.table
    if columns is None:
        array = graph.input(FEATURES, np.float32, (*BATCH_TIME, model.width), "As the model was fitted on.")
        known = model.columns
        encoded = _split(graph, model, array) if known is None else _of_arrays(graph, known.fitted, array)
        return _inputs(graph, np.dtype(np.float32), *encoded, *_steps(graph, array))
    encoding = columns.fitted
    if encoding.vectors is not None:
        raise InputError("The model reads pretrained vectors of words, which a graph does not hold.")
    for name in columns.needed:
        if name in ("", LENGTHS, LABEL, PROBABILITIES):
            raise InputError(
                f"The model reads a column named {name!r}, which cannot be the name of an input. Rename the column "
                "in the table, and train again."
            )
    numbers_of = [graph.input(each.name, encoding.dtype, BATCH_TIME, _said(each.fill)) for each in encoding.numbers]
    words = "Text; whole numbers without a point; the empty text where it is missing."
    texts = {name: graph.input(name, str, BATCH_TIME, words) for name in encoding.texts}
    order = None
    if encoding.order:
        unit = "seconds" if encoding.order == "times" else "the unit of training"
        unit += " since 1970 or whole weeks after" * bool(encoding.clock)
        order = graph.input(str(columns.order), np.float64, BATCH_TIME, f"Ascending within a sequence, in {unit}.")
    lengths, steps = _steps(graph, (*numbers_of, *texts.values())[0])
    raw = _joined(graph, numbers_of)
    made = [] if order is None else [_clock(graph, order, part) for part in encoding.clock]
    if order is not None and encoding.gaps:
        made.insert(0, _gaps(graph, order, steps))
    codes = [_text_codes(graph, each, texts[each.name]) for each in encoding.categories]
    numbers = _complete(graph, encoding, raw, made)
    return _inputs(graph, encoding.dtype, numbers, _joined(graph, codes), lengths, steps)


def _said(fill: float | None) -> str:
    return "NaN where it is missing." if fill is not None else "None may be missing."


def _steps(graph: Graph, first: Value) -> tuple[Value, Value]:
    said = "The steps of each sequence; what comes after is not read."
    return graph.input(LENGTHS, np.int64, ("batch",), said), graph.steps(first, 1)


def _inputs(
    graph: Graph, dtype: np.dtype[Any], numbers: Value | None, codes: Value | None, lengths: Value, steps: Value
) -> Inputs:
    known = graph("Less", graph.unsqueeze(steps, 0), graph.unsqueeze(lengths, 1))
    inside = graph.unsqueeze(known, 2)
    numbers = None if numbers is None else graph.where(inside, numbers, np.zeros((), dtype))
    codes = None if codes is None else graph.where(inside, codes, np.int64(0))
    return Inputs(dtype, numbers, codes, lengths, steps, known, inside)


def _split(graph: Graph, model: Model, array: Value) -> tuple[Value | None, Value | None]:
    """Features that need no encoding: numbers, then codes."""
    network = model.network
    numbers = graph("Slice", array, [0], [network.numeric], [2]) if network.numeric else None
    codes = None
    if network.categories:
        codes = graph.cast(graph("Slice", array, [network.numeric], [network.features], [2]), np.int64)
    return numbers, codes


def _of_arrays(graph: Graph, encoding: Encoding, array: Value) -> tuple[Value | None, Value | None]:
    """The columns of arrays, which are named by their numbers."""
    places = [int(each.name) for each in encoding.numbers]
    raw = graph("Gather", array, places, axis=2) if places else None
    codes = []
    for category in encoding.categories:
        column = graph("Gather", array, np.int64(int(category.name)), axis=2)
        found = graph.cast(graph.where(graph("IsNaN", column), -1.0, column), np.int64)
        known = {-1: 0} | {int(str(value)): code for code, value in enumerate(category.values, 1)}
        codes.append(_encoded(graph, found, "keys_int64s", known))
    return _complete(graph, encoding, raw, []), _joined(graph, codes)


def _text_codes(graph: Graph, category: Category, text: Value) -> Value:
    """The codes of a column of text; unknown values have 0."""
    if category.view:
        return spelling.codes(graph, category, text)
    known = {value: code for value, code in category.codes.items() if value is not None}
    missing = category.values.index(None) + 1 if None in category.values else 0
    known.setdefault("", missing)
    return _encoded(graph, text, "keys_strings", known)


def _encoded(graph: Graph, values: Value, keys: str, known: Mapping[Any, int]) -> Value:
    """The codes of values; unknown ones have 0."""
    codes = {keys: list(known), "values_int64s": list(known.values()), "default_int64": 0}
    return graph("LabelEncoder", values, domain="ai.onnx.ml", **codes)


def _joined(graph: Graph, columns: list[Value]) -> Value | None:
    return graph("Concat", *(graph.unsqueeze(each, 2) for each in columns), axis=2) if columns else None


def _complete(graph: Graph, encoding: Encoding, raw: Value | None, of_order: list[Value]) -> Value | None:
    """Numbers with what is missing filled, the flags of it, and what is made of the order column: `Encoding.encode`."""
    parts = []
    if raw is not None:
        single = graph.cast(raw, np.float32)
        missing = graph("IsNaN", single - single)  # of infinite numbers, too, and of those too large for float32
        fill = [np.nan if each.fill is None else each.fill for each in encoding.numbers]
        parts.append(graph.where(missing, np.array(fill, encoding.dtype), raw))
        if flagged := [at for at, each in enumerate(encoding.numbers) if each.flagged]:
            parts.append(graph.cast(graph("Gather", missing, flagged, axis=2), encoding.dtype))
    parts += [graph.cast(each, encoding.dtype) for each in of_order]
    return graph("Concat", *parts, axis=2) if parts else None


def _gaps(graph: Graph, order: Value, steps: Value) -> Value:
    """log(1 + the gap to the previous step), 0 at the first one: `bothways.data.encoding.gaps_of`."""
    before = graph("Gather", order, graph("Max", steps - np.int64(1), np.int64(0)), axis=1)
    logs = graph("Log", order - before + np.float64(1))
    return graph.unsqueeze(graph.cast(logs, np.float32), 2)


def _clock(graph: Graph, seconds: Value, part: str) -> Value:
    """The time of day in hours, or the weekday: `bothways.data.calendar.clock_of`."""
    from bothways.data.calendar import DAY, THURSDAY, TIME_OF_DAY

    days = graph("Floor", graph("Div", seconds, np.float64(DAY)))
    if part == TIME_OF_DAY:
        found = graph("Div", seconds - graph("Mul", days, np.float64(DAY)), np.float64(3600))
    else:
        days = days + np.float64(THURSDAY)
        found = days - graph("Mul", graph("Floor", graph("Div", days, np.float64(7))), np.float64(7))
    return graph.unsqueeze(found, 2)
