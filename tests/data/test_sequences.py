"""Tables as sequences."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.data import Columns, Table, read_sequences
from bothways.errors import DataError

COLUMNS = Columns("label", ("x",), sequence="flow", order="at")


def read(frame: pl.DataFrame, columns: Columns = COLUMNS, labels: bool = True) -> Any:
    return read_sequences(Table("some.csv", frame), columns, labels=labels)


@settings(deadline=None)
@given(
    places=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9, 9)), min_size=1, max_size=30, unique=True),
    shuffle=st.randoms(),
)
def test_rows_are_grouped_and_sorted_and_found_again(places: list[tuple[str, int]], shuffle: Any) -> None:
    shuffle.shuffle(places)
    frame = pl.DataFrame(
        {
            "flow": [flow for flow, _ in places],
            "at": [at for _, at in places],
            "x": [100.0 * ord(flow) + at for flow, at in places],
            "label": [at % 2 for _, at in places],
        }
    )
    sequences = read(frame)
    groups = {flow: sorted(at for other, at in places if other == flow) for flow in sorted({f for f, _ in places})}
    assert list(sequences.ids) == list(groups)
    assert len(sequences) == len(groups)
    assert sequences.steps == len(places)
    for flow, x, labels in zip(sequences.ids, sequences.inputs(), sequences.targets(), strict=True):
        assert x.dtype == np.float32
        assert x.tolist() == [[100.0 * ord(flow) + at] for at in groups[flow]]
        assert labels.tolist() == [at % 2 for at in groups[flow]]
    assert sequences.by_row(sequences.features)[:, 0].tolist() == frame["x"].to_list()


def test_inputs_and_targets_are_views() -> None:
    sequences = read(pl.DataFrame({"flow": [1, 1, 2], "at": [0, 1, 0], "x": [1, 2, 3], "label": [0, 1, 0]}))
    assert all(np.shares_memory(x, sequences.features) for x in sequences.inputs())
    assert all(np.shares_memory(y, sequences.labels) for y in sequences.targets())


def test_without_sequence_and_order_the_rows_are_one_sequence_as_they_stand() -> None:
    frame = pl.DataFrame({"x": [3, 1, 2], "label": [0, 1, 0]})
    sequences = read(frame, Columns("label", ("x",)))
    assert sequences.features[:, 0].tolist() == [3, 1, 2]
    assert sequences.offsets.tolist() == [0, 3]


def test_without_order_rows_keep_their_order_within_a_sequence() -> None:
    frame = pl.DataFrame({"flow": ["b", "a", "b", "a"], "x": [4, 3, 2, 1], "label": [0, 1, 0, 1]})
    sequences = read(frame, Columns("label", ("x",), sequence="flow"))
    assert [x[:, 0].tolist() for x in sequences.inputs()] == [[3, 1], [4, 2]]


def test_order_by_time() -> None:
    at = [datetime.datetime(2024, 1, day) for day in (3, 1, 2)]
    frame = pl.DataFrame({"at": at, "x": [3, 1, 2], "label": [0, 1, 0]})
    assert read(frame, Columns("label", ("x",), order="at")).features[:, 0].tolist() == [1, 2, 3]


def test_features_of_every_numeric_kind_in_the_order_of_the_columns() -> None:
    frame = pl.DataFrame(
        {
            "flag": [True, False],
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "number": [0.5, 1.5],
            "exact": pl.Series(["1.25", "2.5"]).cast(pl.Decimal(10, 2)),
        }
    )
    sequences = read(frame, Columns("label", ("number", "flag", "small", "exact")), labels=False)
    assert sequences.features.tolist() == [[0.5, 1, 1, 1.25], [1.5, 0, 2, 2.5]]
    assert sequences.features.flags.c_contiguous
    with pytest.raises(DataError, match="without their labels"):
        sequences.targets()


@pytest.mark.parametrize(
    ("column", "kind", "labels"),
    [
        ([0, 1], np.int64, [0, 1]),
        (pl.Series([0, 1], dtype=pl.UInt8), np.int64, [0, 1]),
        ([0.0, 1.0], np.int64, [0, 1]),
        ([True, False], np.bool_, [True, False]),
        (["b", "a"], np.object_, ["b", "a"]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), np.object_, ["b", "a"]),
    ],
)
def test_labels_keep_their_kind(column: Any, kind: type, labels: list[Any]) -> None:
    read_labels = read(pl.DataFrame({"x": [1, 2], "label": column}), Columns("label", ("x",))).labels
    assert read_labels.dtype == kind
    assert read_labels.tolist() == labels
    assert [type(label) for label in read_labels.tolist()] == [type(label) for label in labels]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), 1e39])
def test_features_that_are_no_numbers(value: float | None) -> None:
    frame = pl.DataFrame({"flow": [2, 1, 1], "at": [0, 1, 0], "x": [1.0, value, value], "label": [0, 1, 0]})
    with pytest.raises(DataError, match=r"^some.csv: data row 2 \(the first is 1\), column 'x' is .*Such rows: 2\."):
        read(frame)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": [0, None, None]}, "data row 2 .* the label 'label' is empty. 2 rows have no label"),
        ({"label": [0.0, float("nan"), 1.0]}, "data row 2 .* the label 'label' is empty. 1 rows"),
        ({"label": [0.5, 1.0, 2.0]}, "the label 'label' is of type Float64"),
        ({"label": [datetime.date(2024, 1, 1)] * 3}, "the label 'label' is of type Date"),
        ({"flow": ["a", None, "b"]}, "data row 2 .* column 'flow' is empty"),
        ({"flow": [[1], [1], [2]]}, "column 'flow' is of type List"),
        ({"at": [0.0, 1.0, float("nan")]}, "data row 3 .* column 'at' is empty"),
        ({"at": [1, 1, 0]}, "rows 1 and 2 stand at one place: flow = 'a', at = 1"),
    ],
)
def test_tables_that_cannot_be_read(change: dict[str, Any], said: str) -> None:
    frame = {"flow": ["a", "a", "b"], "at": [0, 1, 0], "x": [1.0, 2.0, 3.0], "label": [0, 1, 0]}
    with pytest.raises(DataError, match=f"^some.csv: .*{said}"):
        read(pl.DataFrame(frame | change))


def test_one_place_twice_in_a_table_without_sequences() -> None:
    frame = pl.DataFrame({"at": [0, 1, 0], "x": [1, 2, 3], "label": [0, 1, 0]})
    with pytest.raises(DataError, match=r"rows 1 and 3 stand at one place: at = 0. .*--sequence"):
        read(frame, Columns("label", ("x",), order="at"))


def test_keep_and_cut() -> None:
    frame = pl.DataFrame({"flow": list("aaabbc"), "at": range(6), "x": range(6), "label": [0, 1] * 3})
    sequences = read(frame)
    kept = sequences.keep(np.array([True, False, True]))
    assert kept.ids == ("a", "c")
    assert kept.rows.tolist() == [0, 1, 2, 5]
    assert [x[:, 0].tolist() for x in kept.inputs()] == [[0, 1, 2], [5]]
    assert [y.tolist() for y in kept.targets()] == [[0, 1, 0], [1]]
    cut, numbers = sequences.cut(np.array([0, 1, 0, 2, 2, 0]))
    assert cut.ids == ("a", "a", "b", "c")
    assert numbers.tolist() == [0, 1, 2, 0]
    assert [x[:, 0].tolist() for x in cut.inputs()] == [[0, 2], [1], [3, 4], [5]]
    assert cut.rows.tolist() == [0, 2, 1, 3, 4, 5]
