"""Reading and writing tables."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import (
    Columns,
    choose_columns,
    match_columns,
    read_and_split,
    read_sequences,
    refuse_leaks,
    stream_sequences,
)
from bothways.data.frames import frame_table
from bothways.errors import DataError, MissingDependencyError
from bothways.settings import Reading
from bothways.tables import Table, csv_files, jsonl_files, opening, read_table
from bothways.tables.sources import OUTPUTS
from prepared import csv, write_table


@pytest.mark.parametrize("ending", [*OUTPUTS, ".CSV", ".Csv.GZ"])
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
    assert table.frame().equals(frame)
    assert table.source == str(path)
    assert len(table) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        ("1\n2", pl.Int64, [1, 2]),
        ("1\n 2.5 ", pl.Float64, [1.0, 2.5]),
        ("1e3\n-inf", pl.Float64, [1000.0, None]),
        ("1\n\n3", pl.Int64, [1, None, 3]),
        ("true\nFalse", pl.Boolean, [True, False]),
        ("true\n1", pl.String, ["true", "1"]),
        ("2024-01-02\n2024-01-03", pl.Datetime, [datetime.datetime(2024, 1, 2), datetime.datetime(2024, 1, 3)]),
        ("2024-01-02 10:00:01\n2024-01-03 10:00:00", pl.Datetime, None),
        ("2024-01-02\nlater", pl.String, ["2024-01-02", "later"]),
        ("04/02/2015\n05/02/2015", pl.Datetime, [datetime.datetime(2015, 2, 4), datetime.datetime(2015, 2, 5)]),
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
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r\r\n"], ids=["unix", "windows", "windows twice"])
def test_dialects_of_csv(tmp_path: Path, separator: str, before: bytes, newline: str) -> None:
    text = newline.join(separator.join(row) for row in (("a", "b"), ("1", "x"), ("2", "y"))) + newline
    table = read_table(csv(tmp_path, before + text.encode()))
    assert table.frame().to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r\r\n"], ids=["unix", "windows", "windows twice"])
def test_lines_of_utf_16(tmp_path: Path, encoding: str, newline: str) -> None:
    text = newline.join(["\ufeffa,b", "1,x", "2,y", ""])
    table = read_table(csv(tmp_path, text.encode(encoding)))
    assert table.frame().to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}


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
        ("some.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, and the header has 2"),
        ("some.csv", b'# x\na,b\n1,"2\n"\n1,2,3\n1,2,3,4\n', "line 5 has 3 fields, and the header has 2"),
        ("some.csv", bytes(range(256)) * 20, "no file of text"),
        ("some.csv", b"a\n\x81\n", "no text in UTF-8"),
        ("some.csv", b"\xff", "has no rows"),
        ("some.parquet", b"", "no Parquet file"),
        ("some.parquet", b"garbage" * 1000, "no Parquet file"),
        ("some.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", "no Parquet file"),
        ("some.jsonl", b"", "this file is empty"),
        (
            "some.jsonl",
            b'{"x": 1, "y": 5}\n{"x": true, "y": "a"}\n',
            "'x' has values of several kinds: numbers and true/false",
        ),
        ("some.json", b'[{"x": 1}, {"x": [1]}]', "'x' has values of several kinds: lists and numbers"),
        ("some.jsonl", b'{"a": 1}\n[1, 2]\n', "no file of JSON objects"),
        ("some.jsonl", b'{"a": 1}\n{"a": \n', "no file of JSON objects"),
        ("some.jsonl", b"garbage\n", "no file of JSON objects"),
        ("some.docx", b"a,b\n1,2\n", r"\.conllu\.gz or \.txt"),
        ("some", b"a,b\n1,2\n", r"\.conllu\.gz or \.txt"),
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


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.parquet", "nowhere.jsonl"])
def test_no_such_file_and_an_empty_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: no such file"):
        read_table(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: this folder holds no"):
        read_table(tmp_path / name)
    with pytest.raises(DataError, match=r"\*\.csv: no file has a name like this"):
        read_table(tmp_path / name / "*.csv")


@pytest.mark.parametrize("address", ["https://example.com/some.csv", "s3://bucket/*.parquet"])
def test_an_address_is_no_file(address: str) -> None:
    with pytest.raises(DataError, match=r"//.*: tables are read from files of this machine\. Download it first"):
        read_table(address)


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path) -> None:
    csv(tmp_path, "a\n1\n", "ab.csv")
    assert len(read_table(csv(tmp_path, "a\n1\n2\n", "[a]*.csv"))) == 2


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_several_files_a_folder_and_a_pattern(tmp_path: Path, ending: str) -> None:
    first = pl.DataFrame({"flow": ["a", "a"], "x": [1, 2], "note": pl.Series([None, None], dtype=pl.String)})
    second = pl.DataFrame({"note": ["n"], "x": [2.5], "flow": ["b"]})
    (tmp_path / "notes.txt").write_text("none of it")
    (tmp_path / "training.log").write_text("epoch 1\tloss 2\n")
    write_table(second, tmp_path / f"b{ending}")
    write_table(first, tmp_path / f"a{ending}")
    whole = {"flow": ["a", "a", "b"], "x": [1.0, 2.0, 2.5], "note": [None, None, "n"]}
    paths = [tmp_path / f"a{ending}", tmp_path / f"b{ending}"]
    for source in (tmp_path, tmp_path / f"*{ending}", paths, [str(path) for path in paths]):
        table = read_table(source)
        assert table.frame().to_dict(as_series=False) == whole
        assert "(2 files)" in table.source
        assert table.place(1) == f"{paths[0]}: data row 2 (the first is 1)"
        assert table.place(2) == f"{paths[1]}: data row 1 (the first is 1)"
    assert read_table(paths[::-1]).frame()["flow"].to_list() == ["b", "a", "a"]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"flow": ["b"]}, "^B: there is no column 'x', which A has"),
        ({"flow": ["b"], "x": [1], "y": [1]}, "^A: there is no column 'y', which B has"),
        ({"flow": ["b"], "X": [1]}, "^B: there is no column 'x', which A has.*Did you mean 'X'"),
        ({"flow": ["b"], "x": ["much"]}, "^B: the column 'x' is of type String, and of type Int64 in A"),
    ],
)
def test_a_file_that_differs_is_named(tmp_path: Path, second: dict[str, Any], said: str) -> None:
    a, b = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_table(pl.DataFrame({"flow": ["a"], "x": [1]}), a)
    write_table(pl.DataFrame(second), b)
    with pytest.raises(DataError, match=said.replace("A", str(a)).replace("B", str(b))):
        read_table(tmp_path)


def test_pages_of_parquet_that_are_damaged(tmp_path: Path) -> None:
    write_table(pl.DataFrame({"when": ["soon", "late"] * 50}), tmp_path / "some.parquet")
    content = (tmp_path / "some.parquet").read_bytes()
    (tmp_path / "some.parquet").write_bytes(content[:4] + b"\xff" * 40 + content[44:])
    with pytest.raises(DataError, match=r"some.parquet: the file is damaged or cut short"):
        read_table(tmp_path / "some.parquet")


@pytest.mark.parametrize("name", ["flows.csv.zip", "flows.TAR.gz", "flows.zst"])
def test_what_is_packed_has_to_be_unpacked(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: this file is packed or compressed; unpack it first"):
        read_table(csv(tmp_path, b"PK\0", name))


def test_times_of_several_files_are_of_one_zone(tmp_path: Path) -> None:
    times = pl.DataFrame({"at": [datetime.datetime(2024, 3, 1)]})
    write_table(times, tmp_path / "a.parquet")
    write_table(times.select(pl.col("at").dt.replace_time_zone("UTC")), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet: the column 'at' is of type Datetime.*'UTC'.* of the same kind"):
        read_table(tmp_path)


def test_files_of_two_formats_are_no_table(tmp_path: Path) -> None:
    write_table(pl.DataFrame({"x": [1]}), tmp_path / "a.parquet")
    write_table(pl.DataFrame({"x": [1]}), tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"a\.parquet and .*b\.csv are of two formats"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="No file is given"):
        read_table([])
    with pytest.raises(DataError, match="No file is given"):
        read_table("")  # of a variable that is not set; it would be the working folder


@pytest.mark.parametrize("name", ["a.psv", "a.dat", "a.tab"])
def test_a_license_beside_a_table_of_any_name(tmp_path: Path, name: str) -> None:
    table, beside = "x|y\n1|2\n3|4\n", "All rights reserved.\nNone are left.\n"
    for file, text in ((name, table), ("LICENSE.txt", beside), ("run.log", beside)):
        csv(tmp_path, text, file)
    assert read_table(tmp_path).source == str(tmp_path)
    assert len(read_table(tmp_path)) == 2


def test_columns_can_be_kept_as_text(tmp_path: Path) -> None:
    path = csv(tmp_path, "port,x\n080,1\n 22,2\n")
    assert read_table(path).column("port").to_list() == [80, 22]
    assert read_table(path, text=["port"]).column("port").to_list() == ["080", "22"]
    lines = csv(tmp_path, '{"port": 80, "at": "2024-01-02"}\n{"port": 22}\n', "some.jsonl")
    assert read_table(lines, text=["port"]).column("port").to_list() == ["80", "22"]
    assert read_table(lines).column("at").to_list() == [datetime.datetime(2024, 1, 2), None]


def test_only_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    random = np.random.default_rng(0).normal(size=20_000)
    pl.DataFrame({"x": random, "y": random}).write_parquet(path)
    table = read_table(path)
    assert table.names == ["x", "y"]
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 2 + 10_000, len(content) - 10_000)
    content[middle] = bytes(len(content[middle]))
    path.write_bytes(content)
    assert table.column("x").to_list() == random.tolist()
    with pytest.raises(DataError, match=r"some\.parquet: the file is damaged"):
        table.column("y")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("lable", "Did you mean 'label'"),
        ("LABEL", "Did you mean 'label'"),
        ("labtimes", "The columns are"),
        ("nothing like it", "The columns are: 'flow', 'label'"),
    ],
)
def test_the_nearest_name_is_suggested(asked: str, said: str) -> None:
    table = Table("some.csv", pl.DataFrame({"flow": [1], "label": [0]}))
    with pytest.raises(DataError, match=f"some.csv: there is no column '{asked}'. {said}"):
        table.column(asked)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("series,step,x\n1,1,0.5\n", r"labels\.csv has it: join the two by 'series' \(pandas: .*labels\.csv'\), how="),
        ("series\n1\n", r"labels\.csv has it, and all columns of this table\."),
        ("time,tag,value\n1,surface,0.5\n", "It is a value of 'tag': name that column, or pivot the table"),
        ("1.5,2.5\n3.5,2.5\n", "'column 2'. The file has no header: write a line of names above the rows"),
    ],
)
def test_a_label_that_stands_elsewhere_is_told(tmp_path: Path, text: str, said: str) -> None:
    csv(tmp_path, '\ufeff"series","surface"\n1,wood\n', "labels.csv")
    with pytest.raises(DataError, match=rf"there is no column 'surface'\. .*{said}"):
        read_table(csv(tmp_path, text)).column("surface")


def test_the_last_of_many_columns_are_named() -> None:
    table = Table("some.csv", pl.DataFrame({**{f"x{at}": [1] for at in range(50)}, "activity": [1]}))
    with pytest.raises(DataError, match=r"are: 'x0', 'x1', .* 'x16', \.\.\., 'x48', 'x49', 'activity'\."):
        table.require("state")


NAMES = ["^x$", "*", "x", "^.*$", 'say "x"', "two\nlines", "Größe", "n", "count", " ", "a,b", "row"]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_names_are_names(tmp_path: Path, ending: str) -> None:
    frame = pl.DataFrame({name: [at, at + 1] for at, name in enumerate(NAMES)})
    write_table(frame, tmp_path / f"some{ending}")
    table = read_table(tmp_path / f"some{ending}")
    assert list(table.names) == NAMES
    for at, name in enumerate(NAMES):
        assert table.column(name).to_list() == [at, at + 1]
    assert table.columns(NAMES[::-1]).columns == NAMES[::-1]
    write_table(frame.cast(pl.Float64), tmp_path / f"other{ending}")
    both = read_table(tmp_path)
    assert both.names == NAMES
    assert [both.column(name)[-1] for name in NAMES] == [at + 1 for at in range(len(NAMES))]


@pytest.mark.parametrize("kind", ["numbers", "text"])
def test_columns_of_any_name_are_learnt_from(kind: str) -> None:
    values: list[Any] = [1, 2, 3, 4] if kind == "numbers" else ["a", "b", "c", "a"]
    frame = pl.DataFrame(dict.fromkeys(NAMES, values * 10)).with_columns(label=pl.Series([0, 1] * 20))
    table = Table("some.csv", frame)
    columns, parts, _ = read_and_split(table, numeric=NAMES if kind == "numbers" else (), sequence="none").encoded()
    assert set(columns.features) == set(NAMES)
    refuse_leaks(table, columns, parts, allowed=True, to="train", say=lambda text: None)
    other = Table("new.csv", frame.with_columns(pl.Series("*", ["new"] * 40 if kind == "text" else [9] * 40)))
    assert read_sequences(other, columns)[0].values.shape == (40, len(NAMES))


def test_a_file_of_many_columns_is_read_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work: Counter[str] = Counter()

    def count(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def counting(self: Any, *how: Any, **more: Any) -> Any:
            work[name] += 1
            return real(self, *how, **more)

        monkeypatch.setattr(owner, name, counting)

    count(pl.LazyFrame, "collect_schema")
    count(Table, "_collected")
    seen = []
    for many in (100, 400):
        columns = {f"x{at}": np.sin(np.arange(60) * at) for at in range(many)}
        pl.DataFrame(columns | {"label": [0, 1] * 30}).write_parquet(tmp_path / "some.parquet")
        work.clear()
        table = read_table(tmp_path / "some.parquet")
        for name in table.names:
            table.column(name)
        seen.append(dict(work))
    assert seen[0]["collect_schema"] == seen[1]["collect_schema"] < 5
    assert seen[1]["_collected"] < 40


def test_separators_and_encodings(tmp_path: Path) -> None:
    for separator in ",;\t|":
        rows = ["a b c".replace(" ", separator), *(f'{i}{separator}"1{separator}5"{separator}é' for i in range(3))]
        for encoding, said in {"utf-8": 0, "utf-8-sig": 0, "utf-16": 0, "cp1252": 1}.items():
            table = read_table(csv(tmp_path, "\r\n".join(rows).encode(encoding), "some.tsv"))
            assert table.column("c").to_list() == ["é"] * 3
            assert [("Windows-1252" in notice) for notice in table.notices] == [True] * said
    one = read_table(csv(tmp_path, "x\n1,5\n2,5\n"))
    assert one.column("x").to_list() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("# by logger 3\n# site; A\nid\tx\n", ["id", "x"]),
        ("#id\tx\n", ["#id", "x"]),
        ("# by logger 3\n#id\tx\n", ["#id", "x"]),
        ("# id\tx\n", ["id", "x"]),
        ("# by numpy.savetxt\n# id\tx\n", ["id", "x"]),
    ],
)
def test_comments_before_the_header_are_no_rows(tmp_path: Path, lines: str, names: list[str]) -> None:
    path = csv(tmp_path, f"{lines}a\t1\n#b\t2\n", "some.tsv")
    assert read_table(path).names == names
    assert read_table(path).frame().rows() == [("a", 1), ("#b", 2)]


@pytest.mark.parametrize("line", ["sep={}", '"SEP={}"'])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_line_that_tells_excel_the_separator_is_no_row(tmp_path: Path, line: str, separator: str) -> None:
    for names, row in ((["x"], [1]), (["x", "label"], [1, "a"]), (["#", "x", "label"], [1, 2, "a"])):
        lines = [line.format(separator), separator.join(names), *[separator.join(map(str, row))] * 5]
        table = read_table(csv(tmp_path, "\ufeff" + "".join(f"{each}\r\n" for each in lines)))
        assert (table.names, table.frame().rows(), table.notices) == (names, [tuple(row)] * 5, ())


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "title",
    [
        "Logger X200, rev. 2\nSerial: 7, 8\n\n",
        "# by a logger\nReport\n",
        "\n\nReport of March\n",
        "Report{0}{0}{0}\n{0}{0}{0}\n",
        "# Report{0}{0}{0}\n",
    ],
)
def test_a_title_before_the_header_is_left_out_and_told(tmp_path: Path, title: str, separator: str) -> None:
    rows = [separator.join(row) for row in (["time", "x", "y", "label"], *[["1", "2,5", "3", "a"]] * 9)]
    if separator == ",":
        rows = [row.replace("2,5", '"2,5"') for row in rows]
    path = csv(tmp_path, title.format(separator) + "\n".join(rows) + "\n")
    table = read_table(path)
    assert (table.names, len(table), table.column("x")[0]) == (["time", "x", "y", "label"], 9, 2.5)
    assert any("before the header" in notice for notice in table.notices)
    said = list[str]()
    assert sum(map(len, csv_files.batches(path, 4, said.append))) == 9
    assert said == list(table.notices)


@pytest.mark.parametrize("title", ["", "\n", "Report of March\n", '"Report\nof March, 2024"\n'])
def test_a_field_of_two_lines_below_a_title(tmp_path: Path, title: str) -> None:
    path = csv(tmp_path, title + "t,x,note,label\n" + '1,2,"two\nlines",a\n' * 5)
    assert read_table(path).frame().rows() == [(1, 2, "two\nlines", "a")] * 5


def test_blank_lines_before_the_header_of_ragged_rows(tmp_path: Path) -> None:
    path = csv(tmp_path, "\n \nt,x,y,label\n" + "1,2,3,a\n1,2\n" * 5)
    assert read_table(path).names == ["t", "x", "y", "label"]
    assert read_table(csv(tmp_path, "# a logger\n\nx\n1\n2\n")).column("x").to_list() == [1, 2]


HOURS = "machine,time,x,y,label\n" + "".join(f"{'ab'[at // 20]},{at},{at / 7:.3f},1,ok\n" for at in range(40))


@pytest.mark.parametrize("between", ["", "\n", ",,,,\n"])
@pytest.mark.parametrize("line", ["Total,,4298,,\n", " Summe: ,,,40,", ",Gesamt,3,,\n\n\n", "GRAND TOTAL,,7,40"])
def test_a_total_at_the_end_is_no_row(tmp_path: Path, between: str, line: str) -> None:
    path = csv(tmp_path, HOURS + between + line)
    table = read_table(path)
    assert (table.names, len(table)) == (["machine", "time", "x", "y", "label"], 40)
    assert table.schema["time"] == pl.Int64
    word = line.strip(" ,\n").split(",")[0].strip()
    assert table.notices[0] == f"{path}: the last row is a total ({word!r}) and is left out."
    for rows in (1000, 20, 8):
        said = list[str]()
        assert sum(map(len, csv_files.batches(path, rows, said.append))) == 40
        assert said[0] == table.notices[0]


@pytest.mark.parametrize("line", ["Total;;4.298,5;79", ";Summe;;4298;79,5"])
def test_a_total_of_nearly_all_columns_is_no_row(tmp_path: Path, line: str) -> None:
    first = ";" * line.startswith(";")
    rows = [f"{first}pump 1;{day:02}.05.2024;1{day},5;20" for day in range(1, 31)]
    lines = [f"{first}machine;time;x;y", *rows]
    table = read_table(csv(tmp_path, "\n".join([*lines, line])))
    assert len(table) == 30
    assert "is a total" in table.notices[0]
    for other in ("Total;31.05.2024;;20", "Total;;fast;20"):
        assert len(read_table(csv(tmp_path, "\n".join([*lines, first + other])))) == 31


@pytest.mark.parametrize("total", ["", "Total,,4298,,\n"])
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('\n"Source: ERP, Finance"\n', "the last row is a note ('Source: ERP, Finance')"),
        ("Source: ERP, Finance\n", "the last row is a note ('Source: ERP')"),
        (',,,,\n"Applied filters:\nSite is Munich",,,,\n', "the last row is a note ('Applied filters:')"),
        ("\nPrinted by Ann\nFor internal use,,,,\n", "the last 2 rows are notes ('Printed by Ann')"),
        ("Quelle: Amt\n\nStand Mai\n\n", "the last 2 rows are notes ('Quelle: Amt')"),
    ],
)
def test_notes_at_the_end_are_no_rows(tmp_path: Path, total: str, lines: str, said: str) -> None:
    path = csv(tmp_path, HOURS + total + lines)
    table = read_table(path)
    assert (table.names, len(table)) == (["machine", "time", "x", "y", "label"], 40)
    assert table.notices[0].startswith(f"{path}: {said} and ")
    told = list[str]()
    assert sum(map(len, csv_files.batches(path, 20, told.append))) == 40
    assert told == [*table.notices]


@pytest.mark.parametrize("line", ["\nc\n", "Printed by Ann\n", "Source: a,7,8,9,\n", "\n2024-05-01 10:00\n"])
def test_what_is_no_note_stays(tmp_path: Path, line: str) -> None:
    assert len(read_table(csv(tmp_path, HOURS + line))) == 41


@pytest.mark.parametrize("line", ["\n(40 rows affected)\n", "(40 rows),,,,", "\n\n40 rows selected.\n\n"])
def test_the_number_of_rows_at_the_end_is_no_row(tmp_path: Path, line: str) -> None:
    table = read_table(csv(tmp_path, HOURS + line))
    assert len(table) == 40
    assert table.schema["time"] == pl.Int64
    said = list[str]()
    assert sum(map(len, csv_files.batches(tmp_path / "some.csv", 20, said.append))) == 40
    assert said[0] == table.notices[0]
    assert said[0].endswith(f"the last row counts the rows ({line.strip().rstrip(',')!r}) and is left out.")


@pytest.mark.parametrize("width", [6, 9])
def test_names_between_bars_have_no_blanks_around_them(tmp_path: Path, width: int) -> None:
    line, rows = f"----+{'-' * width}", "".join(f" {at:2} | {at / 8}\n" for at in range(30))
    table = read_table(csv(tmp_path, f" at |{'x':^{width}}\n{line}\n{rows}(30 rows)\n"))
    assert (table.names, len(table)) == (["at", "x"], 30)


def test_tables_of_mysql(tmp_path: Path) -> None:
    line, rows = "+------+-----+-------+\n", "".join(f"| {at:4} | {at / 8:3} | state |\n" for at in range(30))
    table = read_table(csv(tmp_path, f"{line}| at   | x   | label |\n{line}{rows}{line}30 rows in set (0.00 sec)\n"))
    assert (len(table), table.column("x").to_list()) == (30, [at / 8 for at in range(30)])


@pytest.mark.parametrize(
    "line",
    [
        *("Total,40,2,1,ok\n", "total7,,,,\n", ",3,Total,,\n", "Total,,,,\nb,40,2,1,ok\n"),
        *("9 rows,40,,,\n", ",9 rows,,,\n", "9 rowers,,,,\n"),
    ],
)
def test_what_is_no_total_stays(tmp_path: Path, line: str) -> None:
    path = csv(tmp_path, HOURS + line)
    assert (len(read_table(path)), read_table(path).notices) == (40 + line.count("\n"), ())
    assert len(read_table(csv(tmp_path, HOURS + "Total,40,2,1,ok\nTotal,,,,\n"))) == 42


UNITS = "Datum;Druck;Drehzahl;Ventil\n{}\n" + "12.03.2024;4,5;1.443,9;ZU\n13.03.2024;?;1.422,9;AUF\n" * 3


@pytest.mark.parametrize("line", [";bar;1/min;", "dd.mm.yyyy;bar;1/min;", "-;bar;-;-", ";;1/min;"])
def test_units_below_the_header_are_left_out_and_told(tmp_path: Path, line: str) -> None:
    path = csv(tmp_path, UNITS.format(line))
    table = read_table(path)
    assert (len(table), table.column("Drehzahl")[0]) == (6, 1443.9)
    (said,) = table.notices
    assert said.startswith(f"{path}: the row of units below the names (")
    told = list[str]()
    assert sum(map(len, csv_files.batches(path, 4, told.append))) == 6
    assert told == [said]


@pytest.mark.parametrize("line", ["11.03.2024;oops;1.400,1;ZU", "11.03.2024;oops;oops;ZU", "11.03.2024;oops;oops;"])
def test_a_row_with_a_wrong_field_is_no_row_of_units(tmp_path: Path, line: str) -> None:
    assert len(read_table(csv(tmp_path, UNITS.format(line)))) == 7


def test_a_header_of_two_rows_is_refused(tmp_path: Path) -> None:
    rows = "a,1,2\na,2,3\nb,2,3\nb,3,3\n"
    for text in (f"who,acc,\n,x,y\n{rows}", f"who,acc,acc\n,x,y\n{rows}"):
        with pytest.raises(DataError, match=r"the header takes several rows \(x, y in the second\)\. Write"):
            read_table(csv(tmp_path, text))


def test_columns_of_one_name_are_numbered_and_told(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y,x,x_2,x\n1,2,3,4,5\n")
    table = read_table(path)
    assert table.names == ["x", "y", "x_3", "x_2", "x_4"]
    assert table.notices == (f"{path}: several columns are called 'x'; the later ones are 'x_3', 'x_4' here.",)
    assert next(csv_files.batches(path, 4, print)).columns == table.names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('id\tword\n1\t"\n1\tHi\n1\t"\n', ['"', "Hi", '"']),
        ('id\tword\n1\t5" pipe\n1\tHi\n' + "1\tHi\n" * 2000 + '1\t"Yes\n', ['5" pipe', *["Hi"] * 2001, '"Yes']),
        ('id\tword\n1\t"a\nb"\n1\t"say ""no"""\n', ["a\nb", 'say "no"']),
        ('id\tword\n1\t""""\n1\t"a\tb"\n', ['"', "a\tb"]),
        ('word"\tid\na"\t1\nb\t1\n', ['a"', "b"]),
    ],
)
def test_quotes_between_tabs(tmp_path: Path, text: str, words: list[str]) -> None:
    path = csv(tmp_path, text, "some.tsv")
    table = read_table(path)
    assert table.column(next(name for name in table.names if "word" in name)).to_list() == words
    batches = pl.concat(csv_files.batches(path, 2, print))
    assert batches.equals(csv_files.read(path, print))


@pytest.mark.parametrize("text", ["a b\n1,2,3,4\n5,6,7,8\n", "x;y;z\n1,5;2,5;3,5\n1,5;2,5;3,5\n", "x\n1,5\n2,5\n"])
def test_a_short_header_is_no_title(tmp_path: Path, text: str) -> None:
    said = list[str]()
    csv_files.read(csv(tmp_path, text), said.append)
    assert not said


def test_logs_of_zeek(tmp_path: Path) -> None:
    lines = ["#separator \\x09", "#unset_field\t-", "#path\tconn", "#fields\tts\tuid\tid.orig_h\torig_bytes\tlabel"]
    lines += ["#types\ttime\tstring\taddr\tcount\tstring", "1.5\tC1\t10.0.0.1\t-\tBenign"]
    lines += ["2.5\tC2\t10.0.0.2\t700\tBenign", "#close\t2024-03-05-09-00-00"]
    text = "\n".join(lines) + "\n"
    whole = gzip.compress(text.encode())
    for path in (
        csv(tmp_path, text, "conn.log"),
        csv(tmp_path, text, "c.log.labeled"),
        csv(tmp_path, whole, "c.log.gz"),
    ):
        table = read_table(path)
        assert table.names == ["ts", "uid", "id.orig_h", "orig_bytes", "label"]
        assert table.columns(["ts", "orig_bytes"]).rows() == [(1.5, None), (2.5, 700)]
        assert [len(batch) for batch in csv_files.batches(path, 1000, print)] == [2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_log_of_zeek_with_a_line_at_fault(tmp_path: Path, encoding: str) -> None:
    lines = [
        "#separator \\x09",
        "#path\tconn",
        "#fields\tts\tuid",
        "#types\ttime\tstring",
        "1.5\tö",
        "# more",
        "1\t2\t3",
    ]
    path = csv(tmp_path, "\n".join(lines).encode(encoding), "conn.log")
    with pytest.raises(DataError, match=r"conn\.log: line 7 has 3 fields, and the header has 2\. "):
        read_table(path)


@pytest.mark.parametrize("header", ["1.5,-2,3e1", "0,1,1"])
def test_a_line_of_numbers_is_no_header(tmp_path: Path, header: str) -> None:
    table = both_ways(csv(tmp_path, f"{header}\n1,2,3\n"))
    assert (table.names, len(table)) == (["column 1", "column 2", "column 3"], 2)
    assert "the first line looks like data" in table.notices[0]
    assert table.notices[0].endswith("the columns are called 'column 1' to 'column 3'.")


def test_numbers_in_order_behind_an_empty_name_are_a_header(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, ",1940,1945,1950.5\nFood,22.2,44.5,59.6\nHealth,3.5,5.8,9.7\n"))
    assert table.names == ["", "1940", "1945", "1950.5"]
    assert len(table) == 2


@pytest.mark.parametrize("line", ["M{0},2024-05-{1},3.5,ok", "a,{0},1.5,ok", "SN10{1};2;hot", "3/5/2024 8:{1};2;hot"])
def test_a_line_as_those_below_is_no_header(tmp_path: Path, line: str) -> None:
    rows = [line.format(row, 10 + row) for row in range(5)]
    table = read_table(csv(tmp_path, "\n".join(rows)))
    assert (table.names[0], len(table)) == ("column 1", 5)
    assert "not like a header" in table.notices[0]
    names = ",".join(["t", "1", "x2024-05-01", "fault"][: line.count(",") + line.count(";") + 1])
    header = names if "," in line else names.replace(",", ";")
    assert len(read_table(csv(tmp_path, "\n".join([header, *rows, header, *rows])))) == 10


def test_separators_without_fields_are_no_columns_and_no_rows(tmp_path: Path) -> None:
    path = csv(tmp_path, "x;label;;\n1,5;a;;\n;;;\n2,5;b;;\n;;;\n")
    table = read_table(path)
    assert table.columns(["x", "label"]).rows() == [(1.5, "a"), (2.5, "b")]
    assert table.notices == (f"{path}: 2 rows without any value are left out.",)
    said = list[str]()
    assert [len(batch) for batch in csv_files.batches(path, 1000, said.append)] == [2]
    assert said == list(table.notices)
    assert choose_columns(table).features == ("x",)


@pytest.mark.parametrize("header", [",0,1", "1,2,3", "400.5,401.5,402.5,label"])
def test_names_may_count_the_columns(tmp_path: Path, header: str) -> None:
    names = header.split(",")
    assert read_table(csv(tmp_path, f"{header}\n{','.join('1' for _ in names)}\n")).names == names


def test_compressed_files_that_are_cut_short(tmp_path: Path) -> None:
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    assert len(read_table(csv(tmp_path, whole, "some.csv.gz"))) == 1000
    for content in (whole[:-20], b"a,b\n1,2\n", b""):
        with pytest.raises(DataError, match=r"no gzip file|is empty"):
            read_table(csv(tmp_path, content, "some.csv.gz"))


@pytest.mark.parametrize("name", ["some.csv", "some.csv.gz", "some.log", "some.jsonl.gz"])
def test_no_temporary_file_of_a_table_has_a_name_that_a_kill_would_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (folder := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    content = '{"a": "ü"}\n' if ".jsonl" in name else "#fields\ta\tb\nü\t1\n" if ".log" in name else "a,b\nü,1\n"
    path = csv(tmp_path, gzip.compress(content.encode("cp1252")) if ".gz" in name else content.encode("cp1252"), name)
    with opening.utf8(path, lambda said: None) as text:
        assert "ü" in text.read_text(encoding="utf-8")
        assert list(folder.iterdir()) == []
    monkeypatch.setattr(opening, "OPEN_FILES", tmp_path / "as on macOS")
    with opening.utf8(path, lambda said: None) as text:
        assert "ü" in text.read_text(encoding="utf-8")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["some.csv", "some.csv.gz"])
def test_tables_are_read_where_no_folder_takes_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    content = "# one\na,b\n# two\nü,1\n".encode("cp1252")
    path = csv(tmp_path, gzip.compress(content) if ".gz" in name else content, name)
    assert read_table(path).frame().rows() == [("ü", 1)]


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "some.csv")
    with pytest.raises(DataError, match=r"some\.csv: this is no file, but a pipe or a device"):
        read_table(tmp_path / "some.csv")


def test_a_list_of_json_objects(tmp_path: Path) -> None:
    path = csv(tmp_path, '[{"a": 1, "at": "13.02.2024"},\n {"a": null, "b": "?"}]', "some.json")
    assert read_table(path).frame().dtypes == [pl.Int64, pl.Datetime, pl.String]
    assert read_table(csv(tmp_path, '[{"x": 1}, {"x": "?"}]', "some.json")).column("x").to_list() == [1, None]
    with pytest.raises(DataError, match="no file of JSON objects"):
        read_table(csv(tmp_path, "[1, 2]", "some.json"))


@pytest.mark.parametrize("line", ['{"a":' + "[" * 200 + "]" * 200 + "}", '{"a":' * 200 + "1" + "}" * 200])
def test_deeply_nested_json_is_refused_at_once(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="line 2 is nested more than 32 deep"):
        read_table(csv(tmp_path, '{"a": 1}\n' + line, "some.jsonl"))
    brackets = '{"a": "' + "[" * 200 + '"}\n'
    assert len(read_table(csv(tmp_path, brackets * 2, "some.jsonl"))) == 2


def test_workbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastexcel")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    frame = {"x": ["1,5", "2"], "n": [1.5, 2.0], "at": [datetime.datetime(2024, 1, 2, 3, 4, 5)] * 2, "b": [True, False]}
    with xlsxwriter.Workbook(tmp_path / "some.xlsx") as book:
        pl.DataFrame(frame).write_excel(book, worksheet="first")
        book.add_worksheet("second")
    table = read_table(tmp_path / "some.xlsx")
    assert table.frame().to_dict(as_series=False) == frame | {"x": [1.5, 2.0]}
    assert table.notices == (f"{tmp_path / 'some.xlsx'}: 'first' is read, the first of 2 sheets.",)
    (tmp_path / "macros.xlsm").write_bytes((tmp_path / "some.xlsx").read_bytes())
    assert read_table(tmp_path / "macros.xlsm").frame().equals(table.frame())
    (tmp_path / "some.xlsx").write_bytes(b"PK garbage")
    with pytest.raises(DataError, match="no workbook"):
        read_table(tmp_path / "some.xlsx")
    (tmp_path / "some.xls").write_text("x\tlabel\n1\ta\n")
    with pytest.raises(DataError, match=r"called. It begins with 'x.tlabel'. Give it the ending of what it holds"):
        read_table(tmp_path / "some.xls")
    for start, ending in ((b"PK\3\4", ".xlsx"), (b"\xd0\xcf\x11\xe0", ".xls"), (b"\x1f\x8b", ".csv.gz")):
        (tmp_path / "other.csv").write_bytes(start + b"\0")
        with pytest.raises(DataError, match=f"it begins as files that end in {ending} do. Give it that ending."):
            read_table(tmp_path / "other.csv")
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'bothways\[excel\]'"):
        read_table(tmp_path / "some.xlsx")


def test_workbooks_of_libreoffice(tmp_path: Path) -> None:
    """All digits of numbers, gaps that are missing values and no text, times of day; no duration is lost in silence."""
    pytest.importorskip("fastexcel")
    half_past_eight = datetime.timedelta(hours=8.5)
    rows: list[list[object]] = [["t", "x", "state", "clock"], ["2024-01-01", 1 / 3, "on", half_past_eight]]
    rows += [["2024-01-02", "", "off", 2 * half_past_eight], ["", 2.0, "", ""]]
    write_ods(tmp_path / "some.ods", rows)
    assert read_table(tmp_path / "some.ods").frame().to_dict(as_series=False) == {
        "t": [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2), None],
        "x": [1 / 3, None, 2.0],
        "state": ["on", "off", None],
        "clock": [datetime.time(8, 30), datetime.time(17), None],
    }
    write_ods(tmp_path / "some.ods", [["run"], [half_past_eight], [3 * half_past_eight]])
    with pytest.raises(DataError, match=r"such as PT25H30M00S, are lost where \.ods is read\. Save it as \.xlsx\."):
        read_table(tmp_path / "some.ods")


def write_ods(path: Path, rows: Iterable[Iterable[object]]) -> None:
    manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    names = " ".join(f'xmlns:{k}="urn:oasis:names:tc:opendocument:xmlns:{k}:1.0"' for k in ("office", "table", "text"))
    content = "".join(f"<table:table-row>{''.join(map(_field, row))}</table:table-row>" for row in rows)
    for tag in ("table:table", "office:spreadsheet", "office:body"):
        content = f'<{tag} table:name="first">{content}</{tag}>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", manifest)
        archive.writestr("content.xml", f"<office:document-content {names}>{content}</office:document-content>")


def _field(value: object) -> str:
    if isinstance(value, datetime.timedelta):
        hours, minutes = divmod(value // datetime.timedelta(minutes=1), 60)
        return f'<table:table-cell office:value-type="time" office:time-value="PT{hours:02}H{minutes:02}M00S"/>'
    if isinstance(value, float):
        return f'<table:table-cell office:value-type="float" office:value="{value!r}"/>'
    return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'


def test_a_sheet_without_a_table_is_passed_over(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    path = tmp_path / "some.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("info").write_column(0, 0, ["Report", "of March"])
        book.add_worksheet("empty").write_row(0, 0, ["a", "b"])
        pl.DataFrame({"x": [1.5, 2.0], "label": ["a", "b"]}).write_excel(book, worksheet="data")
    table = read_table(path)
    assert table.names == ["x", "label"]
    assert table.notices == (f"{path}: 'data' is read, the first of 3 sheets that holds a table.",)
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("info")
        book.add_worksheet("empty").write_row(0, 0, ["a", "b"])
    with pytest.raises(DataError, match=r"some.xlsx: none of the 2 sheets has rows\."):
        read_table(path)


def test_a_title_of_a_sheet_is_left_out_and_told(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    path = tmp_path / "some.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.merge_range(0, 0, 0, 2, "Report of March")
        for row, fields in enumerate([("t", "x", "label"), *[(at, at / 7, "a") for at in range(9)]], 2):
            sheet.write_row(row, 0, fields)
        sheet.write_row(row + 2, 0, ["Sum", 7])
        sheet.write_row(3, 0, ["s", "bar", "-"])
        sheet.merge_range(5, 2, row, 2, "a")
    table = read_table(path)
    assert (table.names, len(table)) == (["t", "x", "label"], 8)
    assert table.notices == (
        f"{path}: 2 rows before the header are left out.",
        f"{path}: the row of units below the names ('bar') is left out.",
        f"{path}: the last row is a total ('Sum') and is left out.",
    )


@pytest.mark.parametrize("header", ['"a,c', '"a"b",c'])
def test_a_quote_in_the_header_is_told(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match=r"a quote in the header is not closed|a quote that no other closes"):
        read_table(csv(tmp_path, header + "\n1,2\n3,4\n"))


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
@pytest.mark.parametrize("where", [0, 1])
def test_columns_to_drop_need_not_be_in_all_files(tmp_path: Path, ending: str, where: int) -> None:
    frame = pl.DataFrame({"x": [1.5, 0.5, 2.5, 3.0], "label": [0, 1, 1, 0]})
    for place, name in enumerate(("train", "test")):
        write_table(frame.with_columns(more=pl.lit("a")) if place == where else frame, tmp_path / f"{name}{ending}")
    with pytest.raises(DataError, match=r"no column 'more', which .* has.*drop=.'more'. leaves the column out"):
        read_and_split(tmp_path)
    assert read_and_split(tmp_path, drop=["more"]).columns.features == ("x",)
    with pytest.raises(DataError, match="no column 'less'"):
        read_and_split(tmp_path, drop=["more", "less"])


@pytest.mark.parametrize("frame", ["{}", "+---+---+-------+\n{}+---+---+-------+\n"])
def test_tables_between_bars_may_be_called_txt(tmp_path: Path, frame: str) -> None:
    rows = "".join(f"| {row:3} | {row * 0.5} | {'ab'[row % 2]} |\n" for row in range(9))
    table = read_table(csv(tmp_path, frame.format(f"| t | x | label |\n+---+---+-------+\n{rows}"), "some.txt"))
    assert [table.column(table.called(name)).to_list()[:2] for name in ("t", "x", "label")] == [
        [0, 1],
        [0, 0.5],
        ["a", "b"],
    ]
    with pytest.raises(DataError, match="plain text has no labels"):
        read_table(csv(tmp_path, "Either | or.\nSo | it | is.\nYes | no.\n", "words.txt"))


@pytest.mark.parametrize("more", [{}, {"status": "ok", "page": {"size": 300}, "notes": ["a"]}])
def test_json_of_a_service_is_told(tmp_path: Path, more: dict[str, Any]) -> None:
    rows = [{"x": row * 0.5, "label": row % 2} for row in range(300)]
    path = csv(tmp_path, json.dumps(more | {"data": rows}), "some.json")
    with pytest.raises(DataError, match=r"one object holds all rows, in the list under the key 'data'"):
        read_table(path)
    assert len(read_table(csv(tmp_path, json.dumps(rows), "rows.json"))) == 300


def test_json_that_pandas_wrote_in_one_object_is_told(tmp_path: Path) -> None:
    rows = [{"x": row * 0.5, "label": row % 2} for row in range(300)]
    forms = {
        "columns": {name: {str(at): row[name] for at, row in enumerate(rows)} for name in ("x", "label")},
        "index": {str(at): row for at, row in enumerate(rows)},
        "split": {"columns": ["x", "label"], "index": [*range(300)], "data": [[*row.values()] for row in rows]},
        "table": {"schema": {"fields": [{"name": "x"}]}, "data": rows},
    }
    for name, form in forms.items():
        path = csv(tmp_path, json.dumps(form), f"{name}.json")
        with pytest.raises(DataError, match=r"one object holds all rows.*orient='records', lines=True") as error:
            read_table(path)
        assert len(str(error.value)) < 400
    one = read_table(csv(tmp_path, '{"x": 1.5, "at": {"hour": 7}, "label": 1}', "one.json"))
    assert one.names == ["x", "at", "label"]
    wide = csv(tmp_path, json.dumps([{"x": {f"field {at}": at for at in range(300)}, "label": 1}] * 2), "wide.json")
    with pytest.raises(DataError, match=r"'x' is of type Struct\(\{'field .* \.\.\.\. Leave") as error:
        choose_columns(read_table(wide))
    assert len(str(error.value)) < 400


def test_messages_say_what_to_do_next(tmp_path: Path) -> None:
    def said(name: str, text: str, *others: Path) -> str:
        with pytest.raises(DataError) as error:
            choose_columns(read_table([csv(tmp_path, text, name), *others]))
        return str(error.value)

    assert "is no number. If it is the unit of the column, take this row out. Put it right, " in said(
        "units.csv", "x,label\n°C,-\n1,0\n2,1\n"
    )
    blanks = said("blanks.csv", "x  label\n1  0\n2  1  9\n")
    assert (
        r"separated by something other than , ; | or tabs? Put commas between them (pandas: read_csv('FILE'" in blanks
    )
    assert "explode lists" in said("lists.jsonl", '{"x": [1, 2], "label": 0}\n{"x": [3], "label": 1}\n')
    test = csv(tmp_path, "x\n1\n", "test.csv")
    assert "files without labels are for `bothways predict`" in said("train.csv", "x,label\n1,0\n", test)
    parts = csv(tmp_path, "trip,x\n1,2\n", "points.csv")
    assert "`, and those that tell of the same 'trip' have to be joined by it." in said(
        "l.csv", "trip,label\n1,a\n", parts
    )
    for name in ("walk", "run"):
        (tmp_path / name).mkdir()
        csv(tmp_path / name, "x,z\n1,2\n2,3\n")
    with pytest.raises(DataError, match=r"If the folders \(run, walk, ...\) are called after labels, write these into"):
        choose_columns(read_table(str(tmp_path / "[rw]*" / "*.csv")))
    with pytest.raises(DataError, match=r"no column 'activity'.*If the folders \(run, walk, ...\) are called after"):
        choose_columns(read_table(str(tmp_path / "[rw]*" / "*.csv")), label="activity")
    with pytest.raises(DataError, match=r"no column 'alarm'.*separated by something other"):
        choose_columns(read_table(tmp_path / "blanks.csv"), label="alarm")
    with pytest.raises(DataError, match="tables are not read from standard input"):
        read_table("-")
    (tmp_path / "classes" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"a pattern names them, such as '.*/classes/\*/\*.csv'"):
        read_table(tmp_path / "classes")


ROWS = "time;x;label\n" + "".join(f"{at};{at % 7},5;{'ab'[at % 2]}\n" for at in range(30))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("some.txt", ROWS),
        ("some.txt", ROWS.replace(";", "\t")),
        ("some.txt", ROWS.replace(",", ".").replace(";", ",")),
        ("some.txt", ROWS.replace(",", ".").replace(";", "  ").replace("\n", " \n")),
        ("some.data", ROWS.replace(";", " ")),
        *((f"some.{ending}", ROWS.replace(";", "|")) for ending in ("psv", "tab", "dat", "data")),
    ],
)
def test_tables_under_other_names(tmp_path: Path, name: str, text: str) -> None:
    table = read_table(csv(tmp_path, text, name))
    assert (table.names, len(table), table.column("x")[1]) == (["time", "x", "label"], 30, 1.5)
    assert len(read_table(tmp_path)) == 30
    csv(tmp_path, "a,b\n1,2\n")
    assert read_table(tmp_path).names == ["a", "b"]


@pytest.mark.parametrize("line", ["1 x", "1 2 3 x", '1 "2 x', "Total 60"])
def test_lines_that_blanks_cut_otherwise_are_refused(tmp_path: Path, line: str) -> None:
    path = csv(tmp_path, "# by logger 3\nat x label\n" + "1 2 a\n" * 30 + f"{line}\n1 2 b\n")
    with pytest.raises(DataError, match=r"line 33 \(.*\) does not have 3 fields between blanks.*Put commas between"):
        read_table(path)


def test_logs_of_web_servers_name_their_columns(tmp_path: Path) -> None:
    """As IIS writes them (W3C), which begins anew after each start."""
    start = "#Software: IIS 10.0\n#Version: 1.0\n#Date: 2024-03-01 00:00:00\n#Fields: date time sc-status label\n"
    rows = "".join(f"2024-03-01 00:{at:02}:00 {200 + at % 2} a\n" for at in range(30))
    (tmp_path / "u_ex.log").write_text(start + rows + start + rows)
    table = read_table(tmp_path / "u_ex.log")
    assert table.frame().columns == ["date", "time", "sc-status", "label"]
    assert table.column("sc-status").to_list() == [200, 201] * 30


@pytest.mark.parametrize("above", ["", "#Version: 1.0\n"])
def test_lines_of_a_log_keep_their_numbers(tmp_path: Path, above: str) -> None:
    start = f"{above}#Fields: date sc-status label\n"
    rows = "".join(f"2024-03-01 {200 + at % 2} a\n" for at in range(30))
    (tmp_path / "u_ex.log").write_text(start + rows + start + rows)
    table, line = read_table(tmp_path / "u_ex.log"), len(start.splitlines()) + 31
    assert len(table) == 60
    assert f"(line {line}: {start.splitlines()[0]!r})" in table.notices[-1]


def test_a_comment_names_columns_between_blanks(tmp_path: Path) -> None:
    path = tmp_path / "saved.txt"
    steps = np.arange(40)
    np.savetxt(path, np.stack([steps, steps % 7, steps % 2], axis=1), header="made by hand\ntime heat label")
    table = read_table(path)
    assert table.frame().columns == ["time", "heat", "label"]
    assert any(each.endswith("line 2, a comment, names the columns.") for each in table.notices)
    np.savetxt(path, np.stack([steps, steps % 7, steps % 2], axis=1), header="made by my own hand")
    assert read_table(path).frame().columns == ["column 1", "column 2", "column 3"]


def test_fields_between_blanks(tmp_path: Path) -> None:
    written_by_r = '"dist" "a name" "state"\n"1" 4.5 "x  y" "a"\n"2" 3 "z" NA\n"3" 2 "x  y" "a"\n'
    table = read_table(csv(tmp_path, f"# cars\n{written_by_r}"))
    assert table.names == ["", "dist", "a name", "state"]
    assert (table.column("dist").to_list(), table.column("a name")[0]) == ([4.5, 3, 2], "x  y")
    assert any(each.endswith("fields are separated by blanks.") for each in table.notices)
    aligned = csv(tmp_path, "  at      x label\n" + "".join(f"{at:4d} {at / 7:6.2f}   {at % 2}\n" for at in range(30)))
    frame = pl.concat(csv_files.batches(aligned, 10, print))
    assert (frame.columns, frame.rows()[-1]) == (["at", "x", "label"], ("29", "4.14", "1"))
    bare = read_table(csv(tmp_path, "".join(f" {at} {at / 7:.2f}  {at % 2} \n" for at in range(30)), "some.dat"))
    assert (bare.names, len(bare)) == (["column 1", "column 2", "column 3"], 30)
    commented = read_table(csv(tmp_path, "at x label\n" + ("1 2 a\n" * 4 + "# a pause\n") * 3))
    assert len(commented) == 12
    for text in ("my text\nis this\nor that\n", "time stamp\n2024-01-01 10:00\n2024-01-01 11:00\n", "a, b c\n1, 2 3\n"):
        assert not any("blanks" in each for each in read_table(csv(tmp_path, text)).notices)


@pytest.mark.parametrize(
    "text",
    [
        "Free, for all, and all.\n" * 30,
        "free, for, all\n" * 4,
        "time;x\n1;2\n" * 3 + "or;so;it;is\n",
        "a b\n" * 20,
        "one\ttwo\nthree\tfour\n",
    ],
)
def test_text_that_is_no_table(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="plain text has no labels") as caught:
        read_table(csv(tmp_path, text, "some.txt"))
    assert ("Each line has 2 fields between blanks" in str(caught.value)) == text.startswith("a b")


@pytest.mark.parametrize("name", ["some.csv", "some.jsonl", "some.conll", "some.csv.gz"])
def test_lines_that_end_in_carriage_returns_alone(tmp_path: Path, name: str) -> None:
    text = {
        "some.jsonl": '{"x": 1}\n{"x": 2}\n{"x": 3}\n{"x": 4}\n',
        "some.conll": "01 O\n02 O\n\n03 O\n04 O\n",
    }.get(name, 'x,y\n1,a\n2,b\n3,c\n4,"d\ne"\n')
    content = text.replace("\n", "\r").encode()
    path = csv(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    table = read_table(path)
    column = table.column("word" if "word" in table.names else "x")
    assert column.cast(pl.Int64).to_list() == [1, 2, 3, 4]
    assert table.notices == (f"{path}: lines end in CR alone, as on old Macs; they are written with LF again.",)


def blocks(*sizes: int, columns: str = "x,label") -> str:
    """Rows of two columns in blocks of these sizes, with blank rows between."""
    rows = ([f"{at * 7 % 11 / 4},{'ab'[at % 2]}\n" for at in range(size)] for size in sizes)
    return f"{columns}\n" + "\n".join("".join(each) for each in rows)


@pytest.mark.parametrize("blank", ["\n", ",\n", "\r\n"])
def test_blank_rows_part_blocks(tmp_path: Path, blank: str) -> None:
    for name in "ab":
        csv(tmp_path, blocks(3, 1, 4).replace("\n\n", "\n" + blank) + blank, f"{name}.csv")
    table = read_table(tmp_path)
    assert table.names == ["block", "x", "label"]
    assert table.column("block").to_list() == [1, 1, 1, 2, 3, 3, 3, 3, 4, 4, 4, 5, 6, 6, 6, 6]
    assert table.notices[0] == (
        f"{tmp_path}/a.csv: 3 rows without any value are taken for the ends of 3 blocks, "
        "which the column 'block' numbers."
    )
    columns = choose_columns(table)
    assert (columns.sequence, columns.features) == ("block", ("x",))
    said = list[str]()
    batches = pl.concat(csv_files.batches(tmp_path / "a.csv", 2, said.append))
    assert batches.equals(csv_files.read(tmp_path / "a.csv", print))
    assert said == [table.notices[0]]


def test_blocks_are_in_all_files_or_in_none(tmp_path: Path) -> None:
    csv(tmp_path, blocks(5, 4), "a.csv")
    csv(tmp_path, blocks(6), "b.csv")
    table = read_table(tmp_path)
    assert (table.names, len(table)) == (["x", "label"], 15)
    assert table.notices == (f"{tmp_path}/a.csv: 1 row without any value is left out.",)
    columns = choose_columns(table)
    (chunk,) = stream_sequences(csv(tmp_path, blocks(5, 4, 3), "c.csv"), columns)
    assert (chunk.frame.columns, chunk.sequences.lengths.tolist()) == (["x", "label"], [12])


ABREAST = "".join(f"d{k},{k * at % 5 / 4},{'ab'[k % 2]}\n" + "\n" * (k == 4) for at in range(6) for k in range(5))
NO_BLOCKS = {
    "double space": blocks(*[1] * 6),
    "one block": blocks(6) + "\n",
    "a column of that name": blocks(3, 3, columns="block,label"),
    "numbered already": "s,label\n" + "".join(f"{k // 3},{'ab'[k % 2]}\n" + "\n" * (k % 3 == 2) for k in range(12)),
    "a column that goes on": "run,label\n" + "".join(f"{k // 4},{k % 3}\n" + "\n" * (k % 3 == 2) for k in range(12)),
    "devices abreast": "device,x,label\n" + ABREAST,
}


@pytest.mark.parametrize("text", NO_BLOCKS.values(), ids=NO_BLOCKS)
def test_blank_rows_that_part_no_blocks(tmp_path: Path, text: str) -> None:
    said = list[str]()
    frame = csv_files.read(csv(tmp_path, text), said.append)
    assert frame.columns == text.split("\n", 1)[0].split(",")
    assert all("left out" in each for each in said)


def test_blocks_of_other_sequences_are_no_feature(tmp_path: Path) -> None:
    machines = "".join(f"m{k // 40},{k * 7 % 11},{'ab'[k % 2]}\n" + "\n" * (k % 8 == 7) for k in range(120))
    path = csv(tmp_path, "machine,x,label\n" + machines)
    columns = choose_columns(read_table(path))
    assert (columns.sequence, columns.features) == ("machine", ("x",))
    columns = read_and_split(path, sequence="machine,block").columns
    (chunk,) = stream_sequences(path, columns)
    assert (chunk.frame.columns, len(chunk.sequences)) == (["block", "machine", "x", "label"], 15)


@pytest.mark.parametrize("rows", [2, 1000])
def test_models_of_blocks_read_any_file_so(tmp_path: Path, rows: int) -> None:
    columns = choose_columns(read_table(csv(tmp_path, blocks(*[4, 5] * 5), "train.csv")))
    for sizes in ((4,), (3, 1), (5, 2, 2)):
        said = list[str]()
        path = csv(tmp_path, blocks(*sizes), "new.csv")
        chunks = list(stream_sequences(path, columns, rows=rows, say=said.append))
        assert [length for chunk in chunks for length in chunk.sequences.lengths] == list(sizes)
        assert any("block" in each for each in said)
    with pytest.raises(DataError, match="there is no column 'block'"):
        list(stream_sequences(csv(tmp_path, blocks(1001), "new.csv"), columns))


def test_one_wrong_number_is_no_time() -> None:
    with pytest.raises(DataError, match="trained on numbers, but 'x' is text"):
        match_columns(Table("new.csv", pl.DataFrame({"x": ["abc"]})), Columns("label", ("x",)), label=False)


def test_a_line_that_is_no_object_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some.jsonl").write_text('{"x": 1}\nbroken{\n')
    monkeypatch.setattr(jsonl_files, "BYTES", 1)
    for read in (read_table, lambda path: list(jsonl_files.batches(path, 10, print))):
        with pytest.raises(DataError, match=r"no file of JSON objects.* \(line 2 is 'broken{'\)\."):
            read(tmp_path / "some.jsonl")


def test_names_that_are_patterns_in_files_with_gaps(tmp_path: Path) -> None:
    pl.DataFrame({"^x$": [1.5, float("inf")], "*": [float("nan"), 2.0]}).write_parquet(tmp_path / "some.parquet")
    table = read_table(tmp_path / "some.parquet")
    assert (table.column("^x$").to_list(), table.column("*").to_list()) == ([1.5, None], [None, 2.0])


def test_numbers_names_and_blank_rows_of_excel(tmp_path: Path) -> None:
    """All digits of numbers; a column without a name, as pandas writes its index; a blank row is no step."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    rows = [["", "x", "code", ""], [0, 1.5e-12, "007", 2], [1, 1 / 3, "10", 2], [], [2, "n/a", "1", 3]]
    with xlsxwriter.Workbook(tmp_path / "some.xlsx", {"strings_to_numbers": False}) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    table = read_table(tmp_path / "some.xlsx", text=["code"])
    assert table.names == ["", "x", "code", "column 4"]
    assert table.column("x").to_list() == [1.5e-12, 1 / 3, None]
    assert table.column("code").to_list() == ["007", "10", "1"]
    assert table.notices == (f"{tmp_path / 'some.xlsx'}: 1 row without any value is left out.",)


def test_names_of_excel_are_those_of_fields(tmp_path: Path) -> None:
    """Patterns, numbers, and names that come twice, which a library tells apart in silence."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    names = [*NAMES, 2020, "x", ""]
    with xlsxwriter.Workbook(tmp_path / "some.xlsx") as book:
        sheet = book.add_worksheet()
        for row in range(3):
            sheet.write_row(row + 1, 0, names if row == 0 else [row * at for at in range(len(names))])
    table = read_table(tmp_path / "some.xlsx")
    assert table.names == [*NAMES, "2020", "x_2", f"column {len(names)}"]
    assert table.frame().row(1) == tuple(range(0, 2 * len(names), 2))
    assert table.notices == (f"{tmp_path / 'some.xlsx'}: several columns are called 'x'; the later one is 'x_2' here.",)


def test_times_of_day_and_durations_of_excel(tmp_path: Path) -> None:
    """They are numbers below 1 there, which a library shows as times of the day before 1900."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    with xlsxwriter.Workbook(tmp_path / "some.xlsx") as book:
        sheet = book.add_worksheet()
        formats = [book.add_format({"num_format": form}) for form in ("dd/mm/yyyy", "hh:mm:ss", "[h]:mm:ss")]
        sheet.write_row(0, 0, ["Date", "Time", "stay", "alarm"])
        for row, hour in enumerate([13, 10, 4], 1):
            for column, value in enumerate([45292, hour / 24, hour / 6]):
                sheet.write_number(row, column, value, formats[column])
            sheet.write(row, 3, row % 2)
    table = read_table(tmp_path / "some.xlsx", order="Date,Time")
    assert table.column("Time").cast(str).to_list() == ["13:00:00", "10:00:00", "04:00:00"]
    assert table.column("stay").to_list() == [187200.0, 144000.0, 57600.0]
    assert table.column("Date,Time").dt.hour().to_list() == [13, 10, 4]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_headers_of_files_that_were_put_together(mark: str, tmp_path: Path) -> None:
    path = csv(tmp_path, f"{mark}x,y\n1,2\n{mark}x,y\n3,4\nx,z\n")
    table = read_table(path)
    assert table.frame().rows() == [("1", "2"), ("3", "4"), ("x", "z")]
    assert table.notices == (f"{path}: 1 line repeats the header and is left out.",)


def test_lines_of_json_that_were_put_together(tmp_path: Path) -> None:
    lines = csv(tmp_path, '\ufeff{"x": 1}\n\ufeff{"x": 2}\n', "some.jsonl")
    assert read_table(lines).column("x").to_list() == [1, 2]


@pytest.mark.parametrize("header", [",x,y", "x,x,y", "n,x,"])
def test_headers_that_come_again_with_names_that_are_empty_or_come_twice(header: str, tmp_path: Path) -> None:
    path = csv(tmp_path, f"{header}\n0,a,p\n1,b,q\n{header}\n2,a,p\n,b,q\n")
    table = read_table(path)
    assert [row[1:] for row in table.frame().rows()] == [("a", "p"), ("b", "q"), ("a", "p"), ("b", "q")]
    assert f"{path}: 1 line repeats the header and is left out." in table.notices


def test_headers_that_come_again_soon_and_do_not_name_the_rows(tmp_path: Path) -> None:
    """As R appends to a file."""
    path = csv(tmp_path, "x,label\nr1,5,a\nr2,6,b\nx,label\nr3,7,a\nr4,8,b\n")
    table = both_ways(path)
    assert (table.names, table.column("x").to_list()) == (["", "x", "label"], [5, 6, 7, 8])
    assert f"{path}: 1 line repeats the header and is left out." in table.notices


def test_folders_that_are_parts(tmp_path: Path) -> None:
    for part, number in (("train", 0), ("train", 1), ("test", 2)):
        folder = tmp_path / "runs" / part
        folder.mkdir(parents=True, exist_ok=True)
        csv(folder, f"x,label\n{number},a\n", f"{number}.csv")
        (folder / f"~${number}.xlsx").write_text("lock")
    table = read_table(tmp_path / "runs")
    assert table.column("split").to_list() == ["test", "train", "train"]
    assert read_table(f"{tmp_path}/runs/*/*.csv").column("split").to_list() == ["test", "train", "train"]


def test_labels_that_are_fractions_are_told_what_to_do(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,label\n" + "".join(f"{k * k % 7},{k % 3 / 2}\n" for k in range(60)))
    with pytest.raises(DataError, match=r"holds fractions; .* say categorical=\['label'\]"):
        read_and_split(path, sequence="none")
    assert read_and_split(path, label="label", sequence="none", categorical=["label"]).parts.classes == (
        "0.0",
        "0.5",
        "1.0",
    )


@pytest.mark.parametrize("form", ["{}", "[{}]"])
def test_numbers_that_json_has_not_are_missing(tmp_path: Path, form: str) -> None:
    objects = ['{"x": NaN, "s": "NaN, -Infinity"}', '{"x": -Infinity, "s": "\\"Infinity"}', '{"x": 1.5, "s": "NaN"}']
    lines = ["\n".join(objects)] if form == "{}" else [form.format(",\n".join(objects))]
    table = read_table(csv(tmp_path, lines[0], "some.jsonl"))
    assert table.column("x").to_list() == [None, None, 1.5]
    assert table.column("s").to_list() == ["NaN, -Infinity", '"Infinity', "NaN"]
    with pytest.raises(DataError, match=r"\(line 2 is '\{"):
        read_table(csv(tmp_path, '{"x": NaN}\n{"x": Infinite}', "some.jsonl"))


def both_ways(path: Path) -> Table:
    """The table, which is the same in batches."""
    frame, said = csv_files.read(path, lambda _: None), list[str]()
    assert pl.concat(csv_files.batches(path, 2, said.append)).equals(frame)
    table = read_table(path)
    assert said == list(table.notices)
    return table


def test_row_names_without_a_name(tmp_path: Path) -> None:
    """As R's write.table writes them, and some who fill spreadsheets by hand."""
    rows = [("r1", "a", "1,5", "u"), ("r2", "a", "2", "v"), ("r3", "b", "", "u"), ("r4", "b", "3", "u")]
    for separator in "\t;|":
        lines = [separator.join(row) for row in [("pump", "x", "label"), *rows]]
        table = both_ways(csv(tmp_path, "\n".join(lines)))
        assert table.names == ["", "pump", "x", "label"]
        assert table.frame().row(0) == ("r1", "a", 1.5, "u")
        assert "it is taken for the name of the row" in table.notices[0]
    table = both_ways(csv(tmp_path, "pump,x,label\n,,bar,\n" + "".join(f"{at},a,1.5,u\n" for at in range(6))))
    assert (table.names, len(table), table.column("x")[0]) == (["", "pump", "x", "label"], 6, 1.5)


@pytest.mark.parametrize("rows", ["12,20,5\n13,20,7\n", "S0,20,5\nS1,21,5\n", "a,u,1.5\na,v,2.5\n", "0,5,a\n1,6,b\n"])
def test_a_header_that_is_too_short(tmp_path: Path, rows: str) -> None:
    """Decimal commas that are not quoted, or a name that is missing at the end."""
    with pytest.raises(DataError, match="the header has 2 names, and rows have 3 fields"):
        read_table(csv(tmp_path, "t,x\n" + rows))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_separator_at_the_end_of_all_rows_but_the_header(tmp_path: Path, separator: str) -> None:
    lines = ["line,oee,label", *["L0,69.5,a,", "L1,70.5,b,"] * 15]
    table = both_ways(csv(tmp_path, "\n".join(lines).replace(",", separator)))
    assert (table.names, len(table)) == (["line", "oee", "label"], 30)
    with pytest.raises(DataError, match="the header has 3 names, and rows have 4 fields"):
        read_table(csv(tmp_path, "\n".join([*lines, "L1,70.5,b,c"]).replace(",", separator)))


@pytest.mark.parametrize("separator", [",", ";", "|"])
@pytest.mark.parametrize("notes", [['5" pipe', "ok"], ["ok", "ok", "ok", '5" pipe'], ['3"', '4" to 5"', 'a"b"c"']])
def test_quotes_inside_fields(tmp_path: Path, separator: str, notes: list[str]) -> None:
    rows = [separator.join(("a", note, "1.5", "u")) for note in notes]
    table = both_ways(csv(tmp_path, "\n".join([separator.join(("m", 'no"te', "x", "label")), *rows])))
    assert (table.names, table.frame().to_series(1).to_list()) == (["m", 'no"te', "x", "label"], notes)


@pytest.mark.parametrize("field", ['5" pipe', '"5in pipe'])
def test_a_quote_that_is_not_closed_is_told(tmp_path: Path, field: str) -> None:
    rows = [f"a,{at},{note}" for at, note in enumerate(['"so, so"', '"one\ntwo"', field, "ok", "ok"])]
    with pytest.raises(DataError, match=r"some.csv: line 6 \('a,2,.*\) has a quote that no other closes. Quote such a"):
        read_table(csv(tmp_path, "# by hand\nm,t,note\n" + "\n".join(rows) + "\n"))


def test_text_behind_a_closing_quote_is_told(tmp_path: Path) -> None:
    """As in fields between blanks that are not even."""
    with pytest.raises(DataError, match=r"some.csv: line 2 .* text behind a closing quote. .* something other than"):
        read_table(csv(tmp_path, 'pump "at hour" state\n"pump 1" 3 ok\n"pump 2" 3\n'))


def test_quotes_around_lines_stay(tmp_path: Path) -> None:
    text = 'x,note\n1,"so\nand, so"\n2,"# no, comment\n# and none\n---"\n3,ok\n'
    table = both_ways(csv(tmp_path, text))
    assert table.column("note").to_list() == ["so\nand, so", "# no, comment\n# and none\n---", "ok"]
    assert table.notices == ()


def test_comments_between_rows_are_left_out_and_told(tmp_path: Path) -> None:
    rows = "1,0.5,a\n# marker\n2,1.5,b\n# end, really\n"
    path = csv(tmp_path, "# by logger 3\nt,x,label\n" + rows)
    table = both_ways(path)
    assert (len(table), table.column("x").to_list()) == (2, [0.5, 1.5])
    assert table.notices == (f"{path}: 2 lines of comments or dashes are left out (line 4: '# marker').",)
    assert len(both_ways(csv(tmp_path, "t,x,label\n" + rows))) == 3
    with pytest.raises(DataError, match="line 7 has 4 fields, and the header has 3"):
        read_table(csv(tmp_path, "# by logger 3\nt,x,label\n" + rows + "1,2,3,4\n"))


@pytest.mark.parametrize("above", ["", "# tags of March\n"])
def test_rows_that_begin_with_a_hash_stay(tmp_path: Path, above: str) -> None:
    for text, rows in (("tag,n,label\n#so,1,a\n#it,2,b\n", 2), ("tag\n#so\n#it\n", 2), ("#tag,n\nso,1\n#it,2\n", 2)):
        assert len(both_ways(csv(tmp_path, above + text))) == rows


def test_lines_of_dashes_are_left_out_and_told(tmp_path: Path) -> None:
    rule = "-" * 30 + "\n"
    rows = "".join(f"|100{at}|{at},5|{'ab'[at % 2]}|\n" for at in range(30))
    table = both_ways(csv(tmp_path, f"Stock list    Dynamic list\n\n{rule}|Plant|Amount|Status|\n{rule}{rows}{rule}"))
    assert table.names == ["", "Plant", "Amount", "Status", "column 5"]
    assert (len(table), table.column("Amount")[1]) == (30, 1.5)
    assert "2 lines of comments or dashes are left out (line 5: '-----" in table.notices[1]
    assert len(both_ways(csv(tmp_path, "a;b\n---;---\n1;2\n3;4\n"))) == 2
    assert len(both_ways(csv(tmp_path, "a;b\n1;2\n---;---\n3;4\n"))) == 3


def test_several_rows_of_units(tmp_path: Path) -> None:
    """As the loggers of Campbell write them, below a line that is longer than the header."""
    head = '"TOA5","CR1000","CR1000","1234","CR1000.Std.32","CPU:prog.CR1","5432","Table1"\n'
    head += '"TIMESTAMP","RECORD","Air","RH"\n"TS","RN","Deg C","%"\n"","","Avg","Smp"\n'
    rows = "".join(f'"2024-03-04 06:{at}:00",{at},{at / 7:.2f},{at}\n' for at in range(10, 40))
    table = both_ways(csv(tmp_path, head + rows, "some.dat"))
    assert (table.names, len(table)) == (["TIMESTAMP", "RECORD", "Air", "RH"], 30)
    assert table.schema["Air"] == pl.Float64
    assert "1 line before the header" in table.notices[0]
    assert "the 2 rows of units below the names ('RN', 'Deg C', '%') are left out" in table.notices[1]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
@pytest.mark.parametrize("word", ["-99", "-99.0", "-99.00"])
def test_numbers_for_missing_values_are_compared_as_numbers(tmp_path: Path, ending: str, word: str) -> None:
    rows = 40
    v = [-99.0 if at % 7 == 0 else at / 8 for at in range(rows)]
    w = [-99 if at % 5 == 0 else at for at in range(rows)]
    frame = pl.DataFrame({"v": v, "w": w, "code": ["-99", "7"] * 20, "label": ["a", "b"] * 20})
    frame = frame.with_columns(pl.col("v").cast(pl.Float32).alias("single"))
    path = tmp_path / f"some{ending}"
    write_table(frame, path)
    table = read_table(path, ("code",), Reading(missing=(word, "gone")))
    for name in ("v", "w", "single"):
        assert table.column(name).to_list() == [None if each == -99 else each for each in frame[name]]
    assert table.column("code").null_count() == (20 if word == "-99" else 0)
    assert table.notices == (f"Careful: {path}: 'gone' (missing=) occurs in no column.",)
    columns = replace(choose_columns(table, features=["v", "w"], label="label"), order=None)
    with pytest.raises(DataError, match=r"'v' is empty. Such rows: 6\."):
        list(stream_sequences(path, columns))


@pytest.mark.parametrize("text", ["v;x\n-99,0;a\n1,5;b\n", "v;x\n-99;a\n1,5;b\n"])
def test_numbers_for_missing_values_with_decimal_commas(tmp_path: Path, text: str) -> None:
    table = read_table(csv(tmp_path, text), (), Reading(missing=("-99",)))
    assert (table.column("v").to_list(), table.notices) == ([None, 1.5], ())
    assert read_table(csv(tmp_path, text), (), Reading(missing=("-9",))).column("v").to_list() == [-99, 1.5]


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_lines_with_some_bytes(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BYTES", size)
    for text in ("#a\n\nb#\r\n##c#\nd\n#", "#", "", "a\n", "a\n#\n"):
        path = csv(tmp_path, text)
        assert [*opening.lines_with(path, b"#")] == [
            line for line in path.read_bytes().splitlines(True) if b"#" in line
        ]


def test_decimals_of_databases_are_numbers(tmp_path: Path) -> None:
    t, count = pl.int_range(240) % 40, pl.Decimal(38, 0)
    frame = pl.select(
        machine=(pl.int_range(240) // 40).cast(count),
        t=t.cast(count),
        label=(t % 3 // 2).cast(count),
        price=(t * t / 8).cast(pl.Decimal(12, 3)),
        id=pl.lit(10**30).cast(count),
    )
    frame.write_parquet(path := tmp_path / "some.parquet")
    whole = dict.fromkeys(("machine", "t", "label"), pl.Int64)
    assert read_table(path).schema == {**whole, "price": pl.Float64, "id": pl.Decimal(38, 0)}
    split = read_and_split(path, drop=["id"])
    assert split.columns.roles == {"label": "label", "sequence": "machine", "order": "t"}
    assert split.parts.classes == (0, 1)
    columns, _, _ = split.encoded()
    (chunk,) = stream_sequences(path, columns)
    assert chunk.frame.equals(frame)  # as they stand in the file
    assert chunk.sequences.values[:3, 0].tolist() == [0, 0.125, 0.5]
    assert frame_table("X", frame, "machine").schema == read_table(path).schema
    coded = read_and_split(path, label="label", order="none", drop=["id"], categorical=["t"])
    assert coded.columns.categories == ("t",)


@pytest.mark.parametrize("rows", [3, 1])
def test_a_second_table_below_is_refused_with_its_line(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("time,label\n" + "1,a\n2,b\n" * 20 + "\nwho,start,end\n" + "bob,1,2\n" * rows + 'eve,3,"4"\n')
    with pytest.raises(DataError, match=r"line 43 has 3 fields, and the header has 2. Does another table begin there"):
        read_table(path)
    path.write_text("time,label\n" + "1,a\n2,b\n" * 20 + "3,a,b\n" + "4,a\n" * rows)
    with pytest.raises(DataError, match=r"line 42 has 3 fields, and the header has 2. Quote fields"):
        read_table(path)
