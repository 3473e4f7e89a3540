"""Reading and writing tables."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import Table, check_output, read_table, with_predictions, write_table
from bothways.data.tables import FORMATS
from bothways.errors import DataError


def csv(folder: Path, content: str | bytes, name: str = "some.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("ending", [*FORMATS, ".CSV"])
def test_what_is_written_is_read(tmp_path: Path, ending: str) -> None:
    frame = pl.DataFrame(
        {
            "whole": [1, -2],
            "number": [0.1, 2e-30],
            "text": ["a,b", 'say "x"'],
            "flag": [True, False],
            "at": [datetime.datetime(2024, 2, 29, 1, 2, 3), datetime.datetime(2024, 3, 1)],
        }
    )
    path = tmp_path / f"some{ending}"
    write_table(frame, path)
    table = read_table(path)
    assert table.values.equals(frame)
    assert table.source == str(path)
    assert len(table) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        ("1\n2", pl.Int64, [1, 2]),
        ("1\n 2.5 ", pl.Float64, [1.0, 2.5]),
        ("1e3\n-inf", pl.Float64, [1000.0, float("-inf")]),
        ("1\n\n3", pl.Int64, [1, None, 3]),
        ("true\nFalse", pl.Boolean, [True, False]),
        ("true\n1", pl.String, ["true", "1"]),
        ("2024-01-02\n2024-01-03", pl.Datetime, [datetime.datetime(2024, 1, 2), datetime.datetime(2024, 1, 3)]),
        ("2024-01-02 10:00:01\n2024-01-03 10:00:00", pl.Datetime, None),
        ("2024-01-02\nlater", pl.String, ["2024-01-02", "later"]),
        ("04/02/2015\n05/02/2015", pl.String, ["04/02/2015", "05/02/2015"]),
        ('"a"\n"b"', pl.String, ["a", "b"]),
    ],
)
def test_what_cells_of_csv_mean(tmp_path: Path, cells: str, dtype: Any, values: list[Any] | None) -> None:
    rows = "\n".join(f"{cell},0" for cell in cells.split("\n"))
    column = read_table(csv(tmp_path, f"x,y\n{rows}\n")).column("x")
    assert column.dtype == dtype
    if values is not None:
        assert column.to_list() == values


def test_text_in_the_last_row_of_many_is_seen(tmp_path: Path) -> None:
    column = read_table(csv(tmp_path, "x\n" + "1\n" * 50_000 + "oops\n")).column("x")
    assert column.dtype == pl.String


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
def test_dialects_of_csv(tmp_path: Path, separator: str, before: bytes, newline: str) -> None:
    text = newline.join(separator.join(row) for row in (("a", "b"), ("1", "x"), ("2", "y"))) + newline
    table = read_table(csv(tmp_path, before + text.encode()))
    assert table.values.to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}


def test_categories_come_as_text(tmp_path: Path) -> None:
    pl.DataFrame({"kind": pl.Series(["b", "a"], dtype=pl.Categorical)}).write_parquet(tmp_path / "some.parquet")
    assert read_table(tmp_path / "some.parquet").column("kind").to_list() == ["b", "a"]
    assert read_table(tmp_path / "some.parquet").column("kind").dtype == pl.String


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("some.csv", b"", "this file is empty"),
        ("some.csv", b"\n\n", "empty|no rows"),
        ("some.csv", b"a,b\n", "has no rows"),
        ("some.csv", b"a,b\n1,2\n1,2,3\n", "a line has more cells"),
        ("some.csv", b"a,b,a\n1,2,3\n", "two columns are called 'a'"),
        ("some.csv", bytes(range(256)) * 20, "no CSV file"),
        ("some.csv", "a\né\n".encode("latin-1"), "no UTF-8 text"),
        ("some.parquet", b"", "no Parquet file"),
        ("some.parquet", b"garbage" * 1000, "no Parquet file"),
        ("some.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", "no Parquet file"),
        ("some.xlsx", b"a,b\n1,2\n", r"\.parquet and \.csv"),
        ("some", b"a,b\n1,2\n", r"\.parquet and \.csv"),
    ],
)
def test_what_is_no_table(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_every_cut_of_a_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    pl.DataFrame({"x": np.arange(100), "label": ["a", "b"] * 50}).write_parquet(path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="no Parquet file"):
            read_table(path)


def test_parquet_without_rows(tmp_path: Path) -> None:
    pl.DataFrame({"x": pl.Series([], dtype=pl.Float64)}).write_parquet(tmp_path / "some.parquet")
    with pytest.raises(DataError, match="has no rows"):
        read_table(tmp_path / "some.parquet")


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.parquet"])
def test_no_such_file_and_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: no such file"):
        read_table(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: this is a folder"):
        read_table(tmp_path / name)


def test_names_with_wildcards_are_names(tmp_path: Path) -> None:
    csv(tmp_path, "a\n1\n", "ab.csv")
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "*.csv")
    assert len(read_table(csv(tmp_path, "a\n1\n2\n", "[a]*.csv"))) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("some.txt", r"must end in \.parquet or \.csv"),
        ("some", "must end in"),
        ("nowhere/some.csv", "there is no folder"),
        ("folder.csv", "this is a folder"),
    ],
)
def test_outputs_that_cannot_be(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=said):
        check_output(tmp_path / name)
    with pytest.raises(DataError, match=said):
        write_table(pl.DataFrame({"x": [1]}), tmp_path / name)


def test_a_folder_that_takes_no_files() -> None:
    with pytest.raises(DataError, match="cannot be written in '/proc'"):
        check_output("/proc/some.csv")


@pytest.mark.parametrize(
    ("error", "raised"), [(OSError("disk full"), DataError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_a_failed_write_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, raised: type[BaseException]
) -> None:
    path = csv(tmp_path, "before")

    def fail(frame: pl.DataFrame, file: Path) -> None:
        file.write_text("half")
        raise error

    monkeypatch.setattr(pl.DataFrame, "write_csv", fail)
    with pytest.raises(raised):
        write_table(pl.DataFrame({"x": [1]}), path)
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_what_csv_cannot_hold_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"CSV cannot hold this table.*Use \.parquet"):
        write_table(pl.DataFrame({"x": [[1, 2]]}), tmp_path / "some.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("lable", "Did you mean 'label'"),
        ("LABEL", "Did you mean 'label'"),
        ("nothing like it", "The columns are: 'flow', 'label'"),
    ],
)
def test_the_nearest_name_is_suggested(asked: str, said: str) -> None:
    table = Table("some.csv", pl.DataFrame({"flow": [1], "label": [0]}))
    with pytest.raises(DataError, match=f"some.csv: there is no column '{asked}'. {said}"):
        table.column(asked)


@pytest.mark.parametrize("classes", [(0, 1), ("calm", "attack"), (False, True)])
def test_predictions_stand_beside_the_cells_as_written(tmp_path: Path, classes: tuple[Any, Any]) -> None:
    table = read_table(csv(tmp_path, "id;x;at\n007; 1.50;2024-01-02\n008;2;2024-01-03\n"))
    codes, probabilities = np.array([1, 0]), np.array([0.75, 0.5], np.float32)
    write_table(with_predictions(table, classes, codes, probabilities, "out.csv"), tmp_path / "out.csv")
    said = [str(label).lower() if isinstance(label, bool) else str(label) for label in classes]
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "id,x,at,predicted,probability",
        f"007, 1.50,2024-01-02,{said[1]},0.75",
        f"008,2,2024-01-03,{said[0]},0.5",
    ]
    write_table(with_predictions(table, classes, codes, probabilities, "out.parquet"), tmp_path / "out.parquet")
    typed = pl.read_parquet(tmp_path / "out.parquet")
    assert typed["x"].to_list() == [1.5, 2.0]
    assert typed["predicted"].to_list() == [classes[1], classes[0]]
    assert typed["probability"].dtype == pl.Float32


@pytest.mark.parametrize("name", ["predicted", "probability"])
def test_predictions_take_no_column_away(name: str) -> None:
    table = Table("some.csv", pl.DataFrame({name: [1]}))
    with pytest.raises(DataError, match=f"column '{name}' already"):
        with_predictions(table, (0, 1), np.array([0]), np.array([1], np.float32), "out.csv")
