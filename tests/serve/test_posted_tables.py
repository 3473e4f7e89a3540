"""Tables that are posted come back with labels."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bothways import jobs, store
from bothways.data import Columns, Encoding, stream_sequences
from bothways.data.encoding import Category
from bothways.data.streams import Chunk
from bothways.page import card
from bothways.serve import tables
from serving import TABLE, Running, model_of

FRAME = pl.DataFrame({"flow": ["a"] * 4 + ["b"] * 3, "x": [0.5, -1, 2, 0, 1, 3, -2], "y": [1.0, 2, 3, 4, 5, 6, 7]})
CSV, PARQUET, LINES = "text/csv", "application/vnd.apache.parquet", "application/jsonl"


def content(kind: str) -> bytes:
    file = io.BytesIO()
    write: dict[str, Any] = {CSV: FRAME.write_csv, PARQUET: FRAME.write_parquet, LINES: FRAME.write_ndjson}
    write[kind](file)
    return file.getvalue()


def read(kind: str, body: bytes) -> pl.DataFrame:
    readers: dict[str, Any] = {CSV: pl.read_csv, PARQUET: pl.read_parquet, LINES: pl.read_ndjson}
    frame: pl.DataFrame = readers[kind](body)
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    store.save(model_of(2, columns=TABLE), folder / "table.bothways")
    store.save(model_of(2, ("=calm", "scan"), columns=TABLE), folder / "formulas.bothways")
    store.save(model_of(), folder / "arrays.bothways")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, start: Any) -> Running:
    return start(folder)  # type: ignore[no-any-return]


@pytest.mark.parametrize("accept", [CSV, "application/json"])
def test_posted_tables_are_counted(server: Running, accept: str) -> None:
    before = server.counted("table")
    for body in (content(CSV), b"x,y\n"):
        server.call("/label/table", body, {"content-type": CSV, "accept": accept})
    after = server.counted("table")
    more = {name: value - before.get(name, 0) for name, value in after.items()}
    times = [more.pop(f"{part}_duration_us") for part in ("request", "queue", "compute_infer")]
    expected = {"request_success": 1, "request_failure": 1, "count": 2, "exec_count": 1, "steps_total": 7}
    assert more == {**expected, "open_streams": 0}
    assert times[0] > times[2] > 0 <= times[1]


@pytest.mark.parametrize("turned", [False, True])
def test_a_view_where_columns_are_joined(start: Any, tmp_path: Path, turned: bool) -> None:
    columns = Columns("label", ("x", "y"), "who,run", "Date,Time", encoding=TABLE.encoding)
    store.save(model_of(2, columns=columns), tmp_path / "joined.bothways")
    keys: dict[str, list[Any]] = {
        "who": ["a", "a", "a", "b", "b", "b", "b"],
        "run": [1, 2, 2, 1, 1, 1, 1],
        "Date": ["2024-03-01"] * 7,
    }
    frame = FRAME.drop("flow").with_columns(**{name: pl.Series(values) for name, values in keys.items()})
    frame = frame.with_columns(Time=pl.Series([f"0{hour}:00" for hour in range(7)]))
    body = (frame.reverse() if turned else frame).write_csv().encode()
    status, view, _ = start(tmp_path).call("/label/joined", body, {"Content-Type": CSV, "Accept": "application/json"})
    assert status == 200
    sequences = {each["name"]: each for each in view["sequences"]}
    assert {name: each["inputs"]["x"] for name, each in sequences.items()} == {
        "a,1": [0.5],
        "a,2": [-1, 2],
        "b,1": [0, 1, 3, -2],
    }
    assert sequences["b,1"]["order"][0].startswith("2024-03-01 03:00:00")


@pytest.mark.parametrize("accept", [CSV, PARQUET, LINES, ""])
@pytest.mark.parametrize("kind", [CSV, PARQUET, LINES])
def test_a_table_comes_back_as_predict_writes_it(
    server: Running, folder: Path, tmp_path: Path, kind: str, accept: str
) -> None:
    headers = {"Content-Type": kind} | ({"Accept": accept} if accept else {})
    status, body, said = server.call("/label/table?threshold=0.6&probabilities=true", content(kind), headers)
    assert (status, said["content-type"]) == (200, accept or kind)
    path = tmp_path / "table.parquet"
    path.write_bytes(content(PARQUET))
    how: dict[str, Any] = {"threshold": 0.6, "probabilities": True, "say": print}
    jobs.predict(folder / "table.bothways", path, tmp_path / "labeled.parquet", **how)
    expected = pl.read_parquet(tmp_path / "labeled.parquet")
    labeled = read(accept or kind, body)
    assert labeled.columns == expected.columns
    assert labeled["predicted"].to_list() == expected["predicted"].to_list()
    assert labeled["probability"].to_list() == pytest.approx(expected["probability"].to_list(), abs=1e-6)


def test_a_view_for_drawing(server: Running) -> None:
    headers = {"Content-Type": CSV, "Accept": "application/json"}
    status, seen, _ = server.call("/label/table", content(CSV), headers)
    assert status == 200
    assert [each["name"] for each in seen["sequences"]] == ["a", "b"]
    assert seen["sequences"][1]["inputs"] == {"x": [1, 3, -2], "y": [5, 6, 7]}
    p = model_of(2, columns=TABLE).predict_proba(FRAME)
    found = [step for each in seen["sequences"] for step in each["probabilities"]]
    assert found == p.tolist(), "exact: a threshold may be one of them"
    assert not seen["cut"]


def test_a_view_of_a_table_that_must_be_sorted_holds_as_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(*given: Any, **how: Any) -> Iterator[Chunk]:
        for chunk in stream_sequences(*given, **how):
            yield from (chunk, replace(chunk, anew=True))

    monkeypatch.setattr(tables, "stream_sequences", twice)
    monkeypatch.setattr(tables, "MOST_FIELDS", len(FRAME) * 4)  # two inputs and two classes
    FRAME.write_csv(tmp_path / "table.csv")
    shown = tables.view(model_of(2, columns=TABLE), TABLE, tmp_path / "table.csv", None, print)
    assert [each["name"] for each in shown["sequences"]] == ["a", "b"]
    assert not shown["cut"]


def test_a_view_has_the_threshold_that_is_asked_for(tmp_path: Path) -> None:
    FRAME.write_csv(tmp_path / "table.csv")
    for threshold, codes in (("0", {1}), ("1", {0})):
        shown = tables.view(model_of(2, columns=TABLE), TABLE, tmp_path / "table.csv", threshold, print)
        assert {code for each in shown["sequences"] for code in each["codes"]} == codes


@pytest.mark.parametrize(
    ("name", "text"),
    [("table.jsonl", '{"tokens": ["In", "Rome"]}\n{"tokens": ["In"]}\n'), ("table.txt", "In Rome\n\nIn\n")],
)
def test_a_view_of_words_that_the_model_calls_otherwise(name: str, text: str, tmp_path: Path) -> None:
    encoding = Encoding((), (Category("word", ("In", "Rome")),))
    columns = Columns("tag", ("word",), "sentence_id", categories=("word",), encoding=encoding)
    (tmp_path / name).write_text(text)
    model = model_of(1, columns=columns, categories=encoding.sizes)
    shown = tables.view(model, columns, tmp_path / name, None, print)["sequences"]
    assert [each["inputs"] for each in shown] == [{"word": ["In", "Rome"]}, {"word": ["In"]}]


def test_true_and_false_are_shown_as_an_event_has_them(tmp_path: Path) -> None:
    """A page sends what it is shown, step by step, to a stream; there "True" is no number."""
    FRAME.with_columns(pl.col("x") > 0).write_csv(tmp_path / "table.csv")
    model = model_of(2, columns=TABLE)
    shown = tables.view(model, TABLE, tmp_path / "table.csv", None, print)["sequences"][1]["inputs"]
    events = [dict(zip(shown, row, strict=True)) for row in zip(*shown.values(), strict=True)]
    assert len(model.stream(0, chunk=1).push_many(["b"] * 3, [0, 1, 2], events)) == 3


def test_of_two_tags_that_come_out_together_none_is_an_alarm() -> None:
    """By a threshold for each step a sequence may begin with I, which `bothways predict` never gives."""
    cards = [card(model_of(2, classes, columns=TABLE), "words") for classes in (("B", "I"), ("B-x", "O"))]
    assert [each["positive"] is None for each in cards] == [True, False]


def test_what_the_page_says_of_a_model(server: Running) -> None:
    card = server.call("/models/table")[1]
    assert (card["classes"], card["per"], card["threshold"]) == (["calm", "scan"], "step", 0.5)
    roles = {"sequence": "flow", "order": None, "numbers": ["x", "y"], "categories": [], "words": None}
    assert card["columns"] == roles
    assert server.call("/models/arrays")[1]["columns"] is None


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "said"),
    [
        ("/label", {"Content-Type": CSV}, content(CSV), 400, "Say which model: arrays, formulas, table"),
        ("/label/arrays", {"Content-Type": CSV}, content(CSV), 400, "trained on arrays"),
        ("/label/table", {"Content-Type": "text/html"}, content(CSV), 415, "a table is one of: text/csv"),
        ("/label/table", {"Content-Type": CSV, "Accept": "image/png"}, content(CSV), 406, "comes as one of"),
        ("/label/table?treshold=1", {"Content-Type": CSV}, content(CSV), 400, "no 'treshold'"),
        ("/label/table?threshold=2", {"Content-Type": CSV}, content(CSV), 400, "from 0 to 1"),
        ("/label/table?probabilities=7", {"Content-Type": CSV}, content(CSV), 400, "true or false"),
        ("/label/table", {"Content-Type": CSV}, b"flow,x\na,1\n", 400, "table.csv: there is no column 'y'"),
        ("/label/table", {"Content-Type": CSV}, b"", 400, "table.csv: this file is empty"),
        ("/label/table", {"Content-Type": PARQUET}, content(CSV), 400, "no Parquet file"),
        ("/label/table", {"Content-Type": PARQUET}, content(PARQUET)[:-20], 400, "no Parquet file"),
        ("/label/table", {}, content(CSV), 415, "Content-Type"),
        ("/label/table", {"Content-Type": LINES}, b"[1]\n", 400, "table.jsonl"),
        (
            "/label/table",
            {"Content-Type": CSV},
            b"flow,x,y\na,1,0x1\n" + b"a,1,2\n" * 9,
            400,
            "(bothways predict --missing 0x1)",
        ),
    ],
)
def test_what_is_wrong_is_said(
    server: Running, path: str, headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    found, answer, _ = server.call(path, body, headers)
    assert found == status
    assert said in answer["error"]
    assert "/tmp" not in answer["error"]


@pytest.mark.parametrize("accept", ["application/json;q=0.1, text/csv", "application/jsonl; q=0, */*; q=0.001"])
def test_the_weights_of_accept_count(server: Running, accept: str) -> None:
    assert server.call("/label/table", content(CSV), {"Content-Type": CSV, "Accept": accept})[2]["content-type"] == CSV


def test_a_compressed_table_shows_what_it_is(server: Running) -> None:
    packed = gzip.compress(content(CSV))
    for headers in ({}, {"Content-Encoding": "gzip"}):
        status, body, _ = server.call("/label/table", packed, {"Content-Type": CSV} | headers)
        assert (status, body) == (200, server.call("/label/table", content(CSV), {"Content-Type": CSV})[1])
    status, answer, _ = server.call("/label/table", packed[:-9], {"Content-Type": CSV})
    assert (status, "ends too early" in answer["error"]) == (400, True)


def test_plain_text_may_be_sent_and_comes_back_as_a_table(server: Running) -> None:
    status, body, headers = server.call("/label/table", content(CSV), {"Content-Type": "text/plain"})
    assert (status, headers["content-type"]) == (200, CSV)
    assert body == server.call("/label/table", content(CSV), {"Content-Type": CSV})[1]


def test_what_to_know_of_a_table_is_said(server: Running) -> None:
    status, _, said = server.call("/label/formulas", content(CSV), {"Content-Type": CSV})
    assert status == 200
    assert any("formulas" in notice for notice in json.loads(said["bothways-notices"]))


def test_a_damaged_parquet_file_is_no_failure(server: Running) -> None:
    whole = content(PARQUET)
    for at in range(0, len(whole), 23):
        body = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        assert server.call("/label/table", body, {"Content-Type": PARQUET})[0] in (200, 400)
