"""Events as mappings, for models of tables: read as the table would be."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import jobs, store
from bothways.data.calendar import CLOCK
from bothways.errors import DataError
from bothways.labeler import SequenceLabeler
from bothways.runtime import Model
from bothways.settings import Reading
from stream_cases import table_model, table_rows


@pytest.mark.parametrize(
    ("gaps", "clock"), [("", ()), ("numbers", ()), ("times", ()), ("", CLOCK[:1]), ("times", CLOCK)]
)
def test_mappings_give_what_a_data_frame_gives(gaps: str, clock: tuple[str, ...]) -> None:
    model, rows = table_model(gaps, clock=clock), table_rows(gaps == "times" or bool(clock))
    stream = model.stream(lookahead=1000)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    with pytest.warns(UserWarning, match="never saw"):
        expected = model.predict_proba(frame)
    found = []
    for first in range(0, len(rows), 33):
        some = rows[first : first + 33]
        found += stream.push_many([row["flow"] for row in some], [row["at"] for row in some], some)
    found += stream.flush()
    assert len(found) == len(rows)
    by_step = {row["at"]: p for row, p in zip(rows, expected, strict=True)}
    for each in found:
        assert np.array_equal(np.array(each.probabilities, np.float32), by_step[each.step])
    assert any("never saw ('udp')" in notice for notice in stream.notices)


def test_events_may_be_the_rows_of_a_data_frame() -> None:
    model, rows = table_model(""), table_rows(False)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    by_frame, by_rows = model.stream(), model.stream()
    found = by_frame.push_many(frame["flow"].to_numpy(), frame["at"].to_numpy(), frame) + by_frame.flush()
    assert found == by_rows.push_many(frame["flow"].to_list(), frame["at"].to_list(), rows) + by_rows.flush() != []


def test_text_is_read_as_in_files(tmp_path: Path) -> None:
    """Blanks around it are left out, and what is blank or a word for it is missing."""
    model = table_model("", least=-1.0)
    assert model.columns is not None
    model = replace(model, columns=replace(model.columns, reading=Reading(missing=("n/a",))))
    store.save(model, tmp_path / "some.bothways")
    words = ["tcp", " tcp", "80\t", "", "  ", "n/a", None, "TCP"]
    rows = [{"flow": str(i), "at": 0, "bytes": 1, "on": 1, "load": 0.5, "proto": w} for i, w in enumerate(words)]
    rows = [row | {"flag": "true"} for row in rows]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = [tmp_path / name for name in ("some.bothways", "some.jsonl", "labeled.jsonl")]
    jobs.predict(*names, probabilities=True, say=lambda words: None)
    expected = pl.read_ndjson(tmp_path / "labeled.jsonl")["probability of yes"].to_list()
    stream = model.stream()
    stream.push_many([row["flow"] for row in rows], [0] * len(rows), rows)
    found = {each.key: each.probabilities[1] for each in stream.flush()}
    assert [found[row["flow"]] for row in rows] == pytest.approx(expected, abs=1e-6)
    assert len(set(expected)) > 2
    for word in (" ", "NA", " -inf", "n/a"):
        missing, empty = model.stream(lookahead=0), model.stream(lookahead=0)
        assert missing.push("a", 0, rows[0] | {"load": word}) == empty.push("a", 0, rows[0] | {"load": None}) != []


@pytest.mark.parametrize("key", ["", "  ", "NA", "n/a", "none yet"])
def test_what_is_missing_names_no_sequence(key: str, tmp_path: Path) -> None:
    """Neither in a table nor in a stream, which would take all such events for one sequence."""
    model = table_model("")
    assert model.columns is not None
    store.save(replace(model, columns=replace(model.columns, reading=Reading(missing=("none yet",)))), tmp_path / "m")
    row = {"at": 1, "bytes": 1, "on": 1, "load": 0.5, "proto": "tcp", "flag": "true"}
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"flow": flow} | row) + "\n" for flow in ("a", key)))
    names = [tmp_path / name for name in ("m", "t.jsonl", "out.jsonl")]
    with pytest.raises(DataError, match=r"row 2 .* 'flow' is empty"):
        jobs.predict(*names)
    with pytest.raises(DataError, match=rf"Line 2 .* '{key.strip()}', which names no sequence"):
        jobs.stream(*names)


@pytest.mark.slow
def test_a_country_may_be_called_NA(tmp_path: Path) -> None:
    frame = pl.DataFrame({"country": ["DE", "NA", "US"] * 12, "x": np.arange(36) % 7, "label": [0, 1, 1, 0] * 9})
    frame = frame.with_columns(year=pl.Series(np.arange(36) // 3 + 1990)).sort("country", "year")
    frame.write_csv(tmp_path / "some.csv")
    frame.write_ndjson(tmp_path / "some.jsonl")
    names = [tmp_path / name for name in ("some.bothways", "some.csv", "out.csv")]
    said: list[str] = []
    jobs.train(names[1], names[0], label="label", settings={"epochs": 1, "units": 2}, say=said.append)
    assert re.search("country +sequence +'year' rises within each of its 3 values", said[0])
    assert jobs.predict(*names, say=said.append).rows == 36
    assert jobs.evaluate(names[0], names[1], part="all", say=said.append).sequences == 3
    jobs.stream(names[0], tmp_path / "some.jsonl", tmp_path / "out.jsonl")
    assert pl.read_ndjson(tmp_path / "out.jsonl")["country"].value_counts(sort=True)["count"].to_list() == [12, 12, 12]


def test_blanks_around_text_are_left_out_of_data_frames_too() -> None:
    kinds = ["tcp", "tcp ", "", None] * 10
    frame = pl.DataFrame({"flow": [row // 4 for row in range(40)], "proto": kinds, "x": range(40)})
    labeler = SequenceLabeler(sequence="flow", order="none", units=2, epochs=1).fit(frame, [0, 1] * 20)
    assert labeler.columns_.fitted.categories[0].values == ("tcp", None)
    stream = labeler.model_.stream(lookahead=4)
    stream.push_many(["a"] * 4, range(4), [{"proto": kind, "x": 1} for kind in kinds[:4]])
    found = [each.probabilities for each in stream.flush()]
    expected = labeler.predict_proba(pl.DataFrame({"flow": [0] * 4, "proto": kinds[:4], "x": [1] * 4}))
    assert np.array_equal(np.array(found, np.float32), expected)


def test_differences_of_times_are_seconds() -> None:
    row = {"bytes": timedelta(seconds=7), "on": 1, "load": 0.5, "proto": timedelta(seconds=80), "flag": "true"}
    own, other = table_model("").stream(lookahead=0), table_model("").stream(lookahead=0)
    assert own.push("a", 0, row) == other.push("a", 0, row | {"bytes": 7, "proto": 80}) != []


def test_true_and_false_may_be_those_of_numpy() -> None:
    model = table_model("")
    row = {"bytes": 1, "on": np.True_, "load": 0.5, "proto": "tcp", "flag": np.True_}
    own, other = model.stream(lookahead=0), model.stream(lookahead=0)
    assert own.push("a", 0, row) == other.push("a", 0, row | {"on": True, "flag": True}) != []
    assert own.notices == other.notices == []


def test_decimal_commas_are_read_where_the_table_of_the_model_had_them() -> None:
    model = table_model("")
    assert model.columns is not None
    commas = replace(model, columns=replace(model.columns, reading=Reading(decimal="comma")))
    row = {"bytes": 1, "on": 1, "proto": "tcp", "flag": "true"}
    for text, number in (
        ("2,5", 2.5),
        (" -1.234,5 ", -1234.5),
        (",5", 0.5),
        ("1,5e2", 150.0),
        ("2", 2),
        ("1.234", 1234),
    ):
        found = commas.stream(lookahead=0).push("a", 0, row | {"load": text})
        assert found == commas.stream(lookahead=0).push("a", 0, row | {"load": number}) != []
    for text, number in (("2.5", 2.5), (" -12 ", -12), (".5", 0.5), ("1.5e2", 150.0)):
        found = model.stream(lookahead=0).push("a", 0, row | {"load": text})
        assert found == model.stream(lookahead=0).push("a", 0, row | {"load": number}) != []
    for stream, text in ((model.stream(), "2,5"), (commas.stream(), "2.5"), (commas.stream(), "1,2,5")):
        with pytest.raises(DataError, match=f"holds '{text}', which is no number. Give one, such as 2.5."):
            stream.push("a", 0, row | {"load": text})


def test_fields_that_do_not_fit_are_named() -> None:
    stream = table_model("").stream()
    good = {"bytes": 1, "on": 0, "load": None, "proto": 80, "flag": True}
    for change, said in (
        ({"bytes": "12 KB"}, "events, row 2, column 'bytes' holds '12 KB', which is no number"),
        ({"bytes": [1]}, r"events, row 2, column 'bytes' holds \[1\], which is no number"),
        ({"bytes": 10**400}, "events, row 2, column 'bytes' holds a number that is out of range"),
        ({"on": None}, "column 'on' is empty"),
        ({"proto": ["tcp", 80]}, r"row 2, column 'proto' holds \['tcp', 80\]. An event is one step, with one value in"),
    ):
        with pytest.raises(DataError, match=said):
            stream.push_many(["a", "a"], [0, 1], [good, good | change])
    with pytest.raises(DataError, match="row 1: there is no 'flag'"):
        stream.push("a", 0, {name: good[name] for name in list(good)[:-1]})
    assert stream.push("a", 0, good) == []


def test_numbers_that_stand_for_nothing_are_missing_however_they_are_written() -> None:
    model = table_model("")
    assert model.columns is not None
    marked = replace(model, columns=replace(model.columns, reading=Reading(missing=("-999", "none"))))
    row = {"bytes": 1, "on": 1, "proto": "tcp", "flag": "true"}

    def labeled(model: Model, value: Any) -> Any:
        stream = model.stream(lookahead=1)
        stream.push_many(["a"] * 3, [0, 1, 2], [row | {"load": each} for each in (1, value, 7)])
        return stream.close("a")

    for value in (-999, -999.0, "-999", np.int64(-999), Decimal(-999), float("nan")):
        assert labeled(marked, value) == labeled(marked, None)
    for one in (np.True_, Decimal(1), True):
        assert labeled(model, one) == labeled(model, 1)
    assert labeled(model, -999) != labeled(model, None)
