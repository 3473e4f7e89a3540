"""Tables as sequences."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.data import Columns, evaluation_part, read_sequences
from bothways.data.labels import label_values
from bothways.errors import DataError
from bothways.tables import Table

COLUMNS = Columns("label", ("x",), sequence="flow", order="at")


def read(frame: pl.DataFrame, columns: Columns = COLUMNS, classes: Any = (0, 1)) -> Any:
    return evaluation_part(Table("some.csv", frame), columns, "all", classes)[1]


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
    for flow, x, labels in zip(sequences.ids, sequences.arrays(), sequences.split(sequences.labels), strict=True):
        assert x.dtype == np.float32
        assert x.tolist() == [[100.0 * ord(flow) + at] for at in groups[flow]]
        assert labels.tolist() == [at % 2 for at in groups[flow]]
    assert sequences.by_row(sequences.values)[:, 0].tolist() == frame["x"].to_list()


def test_without_sequence_and_order_the_rows_are_one_sequence_as_they_stand() -> None:
    frame = pl.DataFrame({"x": [3, 1, 2], "label": [0, 1, 0]})
    sequences = read(frame, Columns("label", ("x",)))
    assert sequences.values[:, 0].tolist() == [3, 1, 2]
    assert sequences.offsets.tolist() == [0, 3]


def test_without_order_rows_keep_their_order_within_a_sequence() -> None:
    frame = pl.DataFrame({"flow": ["b", "a", "b", "a"], "x": [4, 3, 2, 1], "label": [0, 1, 0, 1]})
    sequences = read(frame, Columns("label", ("x",), sequence="flow"))
    assert [x[:, 0].tolist() for x in sequences.arrays()] == [[3, 1], [4, 2]]


def test_order_by_time() -> None:
    at = [datetime.datetime(2024, 1, day) for day in (3, 1, 2)]
    frame = pl.DataFrame({"at": at, "x": [3, 1, 2], "label": [0, 1, 0]})
    assert read(frame, Columns("label", ("x",), order="at")).values[:, 0].tolist() == [1, 2, 3]


def test_features_of_every_numeric_kind_in_the_order_of_the_columns() -> None:
    frame = pl.DataFrame(
        {
            "flag": [True, False],
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "number": [0.5, 1.5],
            "exact": pl.Series(["1.25", "2.5"]).cast(pl.Decimal(10, 2)),
        }
    )
    sequences, _ = read_sequences(Table("some.csv", frame), Columns("label", ("number", "flag", "small", "exact")))
    assert sequences.values.tolist() == [[0.5, 1, 1, 1.25], [1.5, 0, 2, 2.5]]
    assert sequences.values.flags.c_contiguous
    assert sequences.labels is None


@pytest.mark.parametrize(
    ("column", "classes", "codes"),
    [
        ([0, 1, None], (0, 1), [0, 1, -1]),
        (pl.Series([7, 3], dtype=pl.UInt8), (3, 7), [1, 0]),
        ([0.0, 1.0, float("nan")], (0, 1), [0, 1, -1]),
        ([True, False, None], (False, True), [1, 0, -1]),
        (["b", "a", None], ("a", "b", "c"), [1, 0, -1]),
        ([2, 1], ("1", "2"), [1, 0]),
        (["2", None, "1"], (1, 2), [1, -1, 0]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ("a", "b"), [1, 0]),
    ],
)
def test_labels_are_codes_of_classes(column: Any, classes: Any, codes: list[int]) -> None:
    table = Table("some.csv", pl.DataFrame({"label": column, "x": 1}))
    _, sequences, _, notices = evaluation_part(table, Columns("label", ("x",)), "all", classes)
    assert sequences.labels is not None
    assert sequences.labels.dtype == np.int64
    assert sequences.labels.tolist() == codes
    missing = codes.count(-1)
    said = "1 step has no label in 'label': read as input, not learned or scored."
    assert notices == ([said] if missing else [])


def test_one_label_that_is_no_number_leaves_the_others_known() -> None:
    table = Table("some.csv", pl.DataFrame({"label": ["2", "?!", "1"], "x": 1}))
    _, sequences, unseen, _ = evaluation_part(table, Columns("label", ("x",)), "all", (1, 2))
    assert (sequences.known_labels.tolist(), unseen) == ([1, 2, 0], ("?!",))


@pytest.mark.parametrize(
    ("column", "classes"), [([7, 5], (0, 1)), ([True, False], (0, 1)), (["c", "b"], ("a",)), (["01", "x"], (1, 2))]
)
def test_labels_that_are_no_classes(column: Any, classes: Any) -> None:
    with pytest.raises(DataError, match="no label that the model knows"):
        read(pl.DataFrame({"label": column, "x": 1}), Columns("label", ("x",)), classes)


def test_a_label_each() -> None:
    columns = replace(COLUMNS, per="sequence")
    frame = pl.DataFrame({"flow": list("aabbc"), "at": range(5), "x": range(5), "label": [1, None, 0, 0, None]})
    sequences = read(frame, columns)
    assert sequences.labels.tolist() == [1, 0, -1]
    assert sequences.by_row(np.array([5.0, 6.0, 7.0])).tolist() == [5, 5, 6, 6, 7]
    assert sequences.keep(np.array([False, True, True])).labels.tolist() == [0, -1]
    with pytest.raises(DataError, match=r"sequence 'b' has two labels in 'label': 0, 1. .*Such sequences: 1 of 3"):
        read(frame.with_columns(label=pl.Series([1, None, 0, 1, None])), columns)


def test_rows_out_of_order_are_said() -> None:
    frame = pl.DataFrame({"flow": [2, 2, 1, 1], "at": [0, 1, 2, 1], "x": [1, 2, 3, 4], "label": [0, 1, 0, 1]})
    assert read_sequences(Table("some.csv", frame), COLUMNS)[1] == [
        "some.csv: the rows are not in the order of 'at' (1 of 4 stand after a later one); they are sorted."
    ]
    assert read_sequences(Table("some.csv", frame.head(2)), COLUMNS)[1] == []


def test_long_sequences_are_cut_and_said() -> None:
    frame = pl.DataFrame({"flow": list("aaaaabb"), "at": range(7), "x": range(7), "label": [0, 1, 0, 1, 0, 0, 1]})
    _, sequences, _, notices = evaluation_part(Table("some.csv", frame), COLUMNS, "all", (0, 1), max_steps=2)
    assert sequences.ids == ("a", "a", "a", "b")
    assert [x[:, 0].tolist() for x in sequences.arrays()] == [[0, 1], [2, 3], [4], [5, 6]]
    assert sequences.by_row(sequences.values)[:, 0].tolist() == list(range(7))
    assert "1 sequence is longer than 2 steps and cut" in notices[0]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), 1e39])
def test_features_that_are_no_numbers(value: float | None) -> None:
    frame = pl.DataFrame({"flow": [2, 1, 1], "at": [0, 1, 0], "x": [1.0, value, value], "label": [0, 1, 0]})
    with pytest.raises(DataError, match=r"^some.csv: data row 2 \(the first is 1\), column 'x' is .*Such rows: 2\."):
        read(frame)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": [None, None, None]}, "the label 'label' is empty in every row"),
        ({"label": [0.5, 1.0, 2.0]}, "the label 'label' holds fractions"),
        ({"label": [datetime.date(2024, 1, 1)] * 3}, "the label 'label' is of type Date"),
        ({"flow": ["a", None, "b"]}, "data row 2 .* column 'flow' is empty"),
        ({"flow": [[1], [1], [2]]}, "column 'flow' is of type List"),
        ({"at": [0.0, 1.0, float("nan")]}, "data row 3 .* column 'at' is empty"),
    ],
)
def test_tables_that_cannot_be_read(change: dict[str, Any], said: str) -> None:
    frame = {"flow": ["a", "a", "b"], "at": [0, 1, 0], "x": [1.0, 2.0, 3.0], "label": [0, 1, 0]}
    with pytest.raises(DataError, match=f"^some.csv: .*{said}"):
        read(pl.DataFrame(frame | change))


@pytest.mark.parametrize(
    ("at", "rows", "kept"),
    [
        ([0, 1, 1, 1, 2], [0, 1, 2, 3, 4], "keep their order"),
        ([1, 2, 1, 0, 1], [3, 0, 2, 4, 1], "keep their order"),
        ([2, 1, 1, 1, 0], [4, 3, 2, 1, 0], "are turned around, too"),
    ],
    ids=["sorted", "shuffled", "newest first"],
)
@pytest.mark.parametrize("sequence", [None, "flow"])
def test_rows_at_one_place_keep_their_order_and_it_is_said(
    at: list[int], rows: list[int], kept: str, sequence: str | None
) -> None:
    frame = pl.DataFrame({"flow": ["b"] * 5, "at": at, "x": range(5), "label": [0, 1] * 2 + [0]})
    if sequence:
        frame = pl.concat([frame, frame.with_columns(flow=pl.lit("a"))])
        rows = [*(row + 5 for row in rows), *rows]
    sequences, notices = read_sequences(
        Table("some.csv", frame), Columns("label", ("x",), sequence=sequence, order="at")
    )
    assert sequences.table_rows.tolist() == rows
    said = f"some.csv: {4 if sequence else 2} rows stand at the same 'at' as the row before; such rows {kept}."
    (notice,) = (notice for notice in notices if "at the same" in notice)
    assert notice == said if sequence else notice.startswith(f"{said} Does a column tell sequences apart? Name it")


def test_keep_and_cut() -> None:
    frame = pl.DataFrame({"flow": list("aaabbc"), "at": range(6), "x": range(6), "label": [0, 1] * 3})
    sequences = read(frame)
    kept = sequences.keep(np.array([True, False, True]))
    assert kept.ids == ("a", "c")
    assert kept.rows.tolist() == [0, 1, 2, 5]
    assert [x[:, 0].tolist() for x in kept.arrays()] == [[0, 1, 2], [5]]
    assert [y.tolist() for y in kept.split(kept.labels)] == [[0, 1, 0], [1]]
    cut, numbers = sequences.cut(np.array([0, 1, 0, 2, 2, 0]))
    assert cut.ids == ("a", "a", "b", "c")
    assert numbers.tolist() == [0, 1, 2, 0]
    assert [x[:, 0].tolist() for x in cut.arrays()] == [[0, 2], [1], [3, 4], [5]]
    assert cut.rows.tolist() == [0, 2, 1, 3, 4, 5]


@pytest.mark.parametrize("dtype", [pl.UInt64, pl.Int128])
def test_labels_beyond_64_bits_are_text(dtype: Any) -> None:
    labels = pl.Series([2**64 - 1, 1, None], dtype=dtype)
    assert label_values(Table("some.csv", pl.DataFrame({"label": labels})), "label").to_list() == [
        str(2**64 - 1),
        "1",
        None,
    ]


@pytest.mark.parametrize("odd", [0.5, 1e300])
def test_labels_that_are_no_whole_numbers_are_refused(odd: float) -> None:
    with pytest.raises(DataError, match="the label 'label' holds fractions"):
        label_values(Table("some.csv", pl.DataFrame({"label": [odd, 1.0]})), "label")


def test_sequences_that_are_too_coarse_are_asked_about() -> None:
    """Players of one match stand at the same ticks."""
    rows = [(match, tick, f"p{player}", tick / 7) for match in range(3) for tick in range(9) for player in range(4)]
    frame = pl.DataFrame(rows, ["match", "tick", "player", "x"], orient="row")
    columns = Columns("label", ("x",), "match", "tick")
    (said,) = read_sequences(Table("some.csv", frame), columns)[1]
    assert said.endswith("Does 'player' tell sequences apart, too? Then name both: sequence='match,player'.")
    days = frame.with_columns(day=pl.col("tick") // 3, step=pl.col("tick") % 3).filter(pl.col("player") == "p0")
    (said,) = read_sequences(Table("some.csv", days), Columns("label", ("x",), "match", "day"))[1]
    assert said.endswith("Does 'step' count the steps of each 'day'? Then name both: sequence='match,day'.")
    (said,) = read_sequences(Table("some.csv", frame.drop("player")), columns)[1]
    assert said.endswith("such rows keep their order.")


def test_what_only_training_can_change_is_not_asked_of_a_model() -> None:
    columns = Columns("label", ("x",), order="at")
    clock = (1, 0), (2, 0), (2, 30), (2, 59), (2, 0), (3, 0)
    at = [datetime.datetime(2024, 10, 27, hour, minute) for hour, minute in clock]
    table = Table("some.csv", pl.DataFrame({"at": at, "x": range(6), "label": [0, 1] * 3}))
    assert sum("sequence=" in said or "order=" in said for said in read_sequences(table, columns)[1]) == 2
    asked = read_sequences(table, replace(columns, encoding=columns.fitted))[1]
    assert len(asked) == 3
    assert not any("sequence=" in said or "order=" in said for said in asked)
