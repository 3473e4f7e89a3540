"""Guesses at the parts of columns."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bothways.data import Table, choose_columns, read_table
from bothways.errors import DataError, InputError


def table(**columns: Any) -> Table:
    base = {"session_id": [1, 1, 2, 2, 3, 3], "step": [0, 1] * 3, "bytes": [1.5, 2.5, 3.5] * 2, "label": [0, 1] * 3}
    return Table("some.csv", pl.DataFrame(base | columns))


PARTS = ["train"] * 2 + ["val"] * 2 + ["test"] * 2


def test_every_guess_is_made_and_said() -> None:
    columns, notices = choose_columns(table(split=PARTS))
    roles = {"label": "label", "sequence": "session_id", "order": "step", "split": "split"}
    assert columns.roles == roles
    assert columns.features == ("bytes",)
    for role, name in roles.items():
        assert any(repr(name) in notice and f"{role}=" in notice for notice in notices), role
    assert len(notices) == 4


def test_what_is_named_wins() -> None:
    some = table(split=PARTS, tag=[1, 0] * 3, host=["a"] * 3 + ["b"] * 3, time=range(6))
    roles = {"label": "tag", "sequence": "host", "order": "time"}
    columns, notices = choose_columns(some, **roles, split="none", drop=["label", "session_id"])
    assert columns.roles == roles
    assert notices == []


@pytest.mark.parametrize("part", ["sequence", "order", "split"])
def test_no_column_plays_a_part_where_none_is_said(part: str) -> None:
    given: Any = {part: "none"}
    columns, _ = choose_columns(table(split=PARTS), **given)
    assert part not in columns.roles


def test_a_column_called_none_is_a_column() -> None:
    assert choose_columns(table(none=[1, 1, 1, 2, 2, 2]), sequence="none")[0].sequence == "none"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"tag": [0, 1] * 3}, "which column is the label. It may be 'label' or 'tag'. Say it with label="),
        ({"part": PARTS, "split": PARTS}, "which column is the split. It may be 'part' or 'split'"),
        ({"host": list("aabbcc")}, "which column is the sequence. It may be 'session_id' or 'host'"),
    ],
)
def test_a_guess_that_could_be_two_columns_is_refused(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=f"^some.csv: {said}"):
        choose_columns(table(**columns))


def test_no_label_at_all() -> None:
    with pytest.raises(DataError, match=r"some.csv: no column is called label, .*label=. The columns are: 'x'"):
        choose_columns(Table("some.csv", pl.DataFrame({"x": [1, 2]})))
    with pytest.raises(InputError, match="per is 'word'; it must be one of: step, sequence"):
        choose_columns(table(), per="word")


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 1, 2, 1, 2],  # apart
        [1, 2, 3, 4, 5, 6],  # each its own
        [7] * 6,  # all one
        [1.0, 1.0, 2.0, 2.0, 3.0, 3.0],  # amounts
        [1, 1, 2, 2, 3, None],
    ],
)
def test_what_tells_no_sequences_apart(values: list[Any]) -> None:
    columns, _ = choose_columns(table(session_id=values), order="none")
    assert columns.sequence is None


@pytest.mark.parametrize("values", [[0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 0, 1], [0, None, 0, 1, 0, 1]])
def test_what_does_not_rise_within_sequences_sorts_nothing(values: list[Any]) -> None:
    assert choose_columns(table(step=values))[0].order is None


def test_a_time_sorts_before_a_number() -> None:
    times = [datetime.datetime(2024, 1, 1, 0, minute) for minute in range(6)]
    columns, notices = choose_columns(table(timestamp=times))
    assert columns.order == "timestamp"
    assert columns.features == ("bytes",)
    assert "Column 'step' is left out: it sorts the steps as 'timestamp' does." in notices


@pytest.mark.parametrize("values", [["a", "b"] * 3, ["train", "test", "other"] * 2, [0, 1] * 3])
def test_a_split_column_says_train_valid_and_test_only(values: list[Any]) -> None:
    assert choose_columns(table(fold=values))[0].split is None


def test_whole_numbers_that_are_kinds_by_their_names() -> None:
    rows = {"label": [0, 1] * 200, "dest_port": [22, 80, 443, 53] * 100, "size": [9, 1500, 40, 77] * 100}
    columns, notices = choose_columns(Table("some.csv", pl.DataFrame(rows)))
    assert columns.categories == ("dest_port",)
    assert any("'dest_port' holds whole numbers that are names of kinds" in notice for notice in notices)
    assert any("'size' is read as amounts" in notice and "categorical=['size']" in notice for notice in notices)
    columns, notices = choose_columns(
        Table("some.csv", pl.DataFrame(rows)), label="label", numeric=["dest_port"], categorical=["size"]
    )
    assert columns.categories == ("size",)
    assert notices == []


def test_one_label_for_each_sequence_where_none_changes() -> None:
    rows = {"seq": [i // 3 for i in range(36)], "x": range(36), "label": [i // 3 % 2 for i in range(36)]}
    columns, notices = choose_columns(Table("some.csv", pl.DataFrame(rows)))
    assert columns.per == "sequence"
    assert any("per='step'" in notice for notice in notices)
    assert choose_columns(Table("some.csv", pl.DataFrame(rows)), per="step")[0].per == "step"
    for change in ({"label": [0] * 35 + [1]}, {"seq": [i // 12 for i in range(36)]}):
        assert choose_columns(Table("some.csv", pl.DataFrame(rows | change)), sequence="seq")[0].per == "step"


@pytest.mark.parametrize(
    ("name", "per", "order", "features", "categories"),
    [
        ("occupancy", "step", "timestamp", 5, ()),
        ("adfa_ld", "sequence", "step", 1, ("syscall",)),
        ("ewt_pos", "step", "step", 1, ("token",)),
        ("wnut17", "step", "step", 1, ("token",)),
        ("japanese_vowels", "sequence", "step", 12, ()),
    ],
)
def test_real_tables(shared_data: Path, name: str, per: str, order: str, features: int, categories: Any) -> None:
    given_away = {"adfa_ld": ["attack_type", "source_part"], "ewt_pos": ["xpos"]}.get(name, [])
    columns, _ = choose_columns(read_table(shared_data / f"{name}.parquet"), drop=given_away)
    assert columns.roles == {"label": "label", "sequence": "sequence_id", "order": order, "split": "split"}
    assert (columns.per, len(columns.features), columns.categories) == (per, features, categories)
