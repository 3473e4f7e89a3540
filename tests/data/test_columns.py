"""Which column plays which part."""

from __future__ import annotations

import datetime
import json
from typing import Any

import polars as pl
import pytest

from bothways.data import Columns, Draw, Table, choose_columns, match_columns
from bothways.errors import DataError, ModelFileError


def table(**more: Any) -> Table:
    base = {"flow": ["a", "a", "b"], "at": [0, 1, 0], "part": ["train", "train", "test"], "label": ["x", "y", "x"]}
    return Table("some.csv", pl.DataFrame(base | {"bytes": [1.5, 2.5, 3.5], "packets": [1, 2, 3]} | more))


ROLES = {"label": "label", "sequence": "flow", "order": "at", "split": "part"}


def test_features_are_the_numbers_that_are_left() -> None:
    columns, notices = choose_columns(
        table(urgent=[True, False, True], small=pl.Series([1, 2, 3], dtype=pl.UInt8)), **ROLES
    )
    assert columns.features == ("bytes", "packets", "urgent", "small")
    assert columns.roles == ROLES
    assert notices == []


def test_drop_and_features() -> None:
    assert choose_columns(table(), **ROLES, drop=["bytes"])[0].features == ("packets",)
    assert choose_columns(table(), **ROLES, features=["packets", "bytes"])[0].features == ("packets", "bytes")
    # What is not asked for may be anything.
    assert choose_columns(table(protocol=["tcp"] * 3), **ROLES, features=["bytes"])[0].features == ("bytes",)


@pytest.mark.parametrize(
    "values",
    [
        [datetime.datetime(2024, 1, 1)] * 3,
        [datetime.date(2024, 1, 1)] * 3,
        [datetime.time(1, 2)] * 3,
        [datetime.timedelta(1)] * 3,
    ],
)
def test_dates_are_left_out_and_said(values: list[Any]) -> None:
    columns, notices = choose_columns(table(when=values), **ROLES)
    assert "when" not in columns.features
    assert notices == ["Column 'when' is left out: a date or time is no feature."]
    assert choose_columns(table(when=values), **ROLES, drop=["when"])[1] == []
    with pytest.raises(DataError, match="'when' is a date or time"):
        choose_columns(table(when=values), **ROLES, features=["when"])


@pytest.mark.parametrize("name", ["", "__index_level_0__"])
def test_numbers_of_rows_are_left_out_and_said(name: str) -> None:
    columns, notices = choose_columns(table(**{name: [0, 1, 2]}), **ROLES)
    assert columns.features == ("bytes", "packets")
    assert "only numbers the rows" in notices[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"proto": ["tcp"] * 3}, "'proto' is text. Leave it out with --drop proto, or say what it is for"),
        (
            {"proto": ["tcp"] * 3, "flag": ["S"] * 3},
            "'proto' is text; 'flag' is text. Leave them out with --drop proto,flag",
        ),
        ({"proto": pl.Series(["tcp"] * 3, dtype=pl.Categorical)}, "'proto' is text"),
        ({"nothing": [None] * 3}, "'nothing' is empty"),
        ({"many": [[1.0]] * 3}, "'many' is of type List"),
        (
            {"x": ["1", "2", "oops"]},
            r"data row 3 \(the first is 1\), column 'x' holds 'oops', which is no number. .*--drop x",
        ),
        ({"x": ["1", "n/a", "?"]}, None),
        ({"x": ["n/a", "2", None]}, r"data row 1 .*holds 'n/a'"),
        ({"x": ["1", "2", "3"]}, "'x' holds numbers written as text"),
    ],
)
def test_columns_that_are_no_numbers(more: dict[str, Any], said: str | None) -> None:
    with pytest.raises(DataError, match=said or "'x' is text") as caught:
        choose_columns(table(**more), **ROLES)
    assert str(caught.value).startswith("some.csv: ")


def test_further_stray_cells_are_counted() -> None:
    cells = ["1"] * 8 + ["oops", "2", "n/a", "?"]
    frame = pl.DataFrame({"label": ["a", "b"] * 6, "x": cells})
    with pytest.raises(DataError, match=r"data row 9 .* holds 'oops', which is no number \(2 more such cells below\)"):
        choose_columns(Table("some.csv", frame), label="label")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"label": "lable"}, "there is no column 'lable'. Did you mean 'label'"),
        ({"sequence": "flw"}, "Did you mean 'flow'"),
        ({"order": "zzz"}, "The columns are: 'flow', 'at'"),
        ({"split": "prt"}, "Did you mean 'part'"),
        ({"drop": ["byte"]}, "Did you mean 'bytes'"),
        ({"features": ["pakets"]}, "Did you mean 'packets'"),
        ({"sequence": "label"}, "'label' is given twice, as label and as sequence"),
        ({"drop": ["label"]}, "'label' is given twice, as label and as drop"),
        ({"features": ["bytes"], "drop": ["bytes"]}, "'bytes' is given twice, as drop and as features"),
        ({"drop": ["bytes", "packets"]}, "no numeric column is left to learn 'label' from"),
        ({"order": "flow", "sequence": None, "drop": ["at"]}, "order column 'flow' must be a number or a time"),
    ],
)
def test_choices_that_cannot_be(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        choose_columns(table(), **(ROLES | arguments))


@pytest.mark.parametrize("draw", [None, Draw(seed=3, fingerprint=2**32 - 1)])
def test_columns_go_through_json(draw: Draw | None) -> None:
    columns = Columns("label", ("a", "b"), sequence="flow", draw=draw)
    assert Columns.from_json(json.loads(json.dumps(columns.to_json()))) == columns


@pytest.mark.parametrize(
    "change",
    [
        {"label": None},
        {"label": 3},
        {"features": []},
        {"features": [1]},
        {"features": 3},
        {"order": ["at"]},
        {"draw": {"seed": 1}},
        {"draw": 5},
        {"draw": {"seed": "x", "fingerprint": 1}},
    ],
)
def test_broken_descriptions_are_refused(change: dict[str, Any]) -> None:
    good = Columns("label", ("a",)).to_json()
    with pytest.raises(ModelFileError, match="description of columns"):
        Columns.from_json(good | change)
    with pytest.raises(ModelFileError, match="description of columns"):
        Columns.from_json({name: value for name, value in good.items() if name not in change})


def test_a_table_is_matched_by_name() -> None:
    columns, _ = choose_columns(table(), **ROLES)
    frame = table().values
    other = Table("new.csv", frame.select(reversed(frame.columns)).with_columns(more=pl.lit("text")))
    match_columns(other, columns, label=True)
    unlabeled = Table("new.csv", frame.drop("label", "part"))
    match_columns(unlabeled, columns, label=False)
    with pytest.raises(DataError, match=r"new\.csv: there is no column 'label'"):
        match_columns(unlabeled, columns, label=True)
    for name in ("bytes", "flow", "at"):
        with pytest.raises(DataError, match=f"there is no column '{name}'"):
            match_columns(Table("new.csv", frame.drop(name)), columns, label=False)


def test_a_matched_feature_must_be_numbers() -> None:
    columns = Columns("label", ("bytes",))
    for values, said in ((["a", "b"], "'bytes' is text"), (["1", "b"], "data row 2 .* holds 'b'")):
        with pytest.raises(DataError, match=said) as caught:
            match_columns(Table("new.csv", pl.DataFrame({"bytes": values})), columns, label=False)
        assert "--drop" not in str(caught.value)
