"""What fields of text mean."""

from __future__ import annotations

import datetime
import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bothways.data import Columns, LabeledWriter, choose_columns, read_and_split, stream_sequences
from bothways.errors import BothwaysError, DataError, InputError, calling
from bothways.fields.reader import FieldReader, LaterRowsDifferError
from bothways.settings import Reading
from bothways.tables import read_table
from prepared import csv


def read(*fields: str, reading: Reading | None = None, **more: list[str]) -> tuple[pl.Series, str]:
    reader = FieldReader(reading or Reading())
    values = reader.read(pl.DataFrame({"x": list(fields)} | more))["x"]
    return values, reader.notices().get("x", "")


def test_dates_with_am_and_pm_begin_with_the_month() -> None:
    fields = ["1/2/2015 6:00:00 AM", "1/3/2015 6:00:00 p.m."]
    values, said = read(*fields)
    assert values.dt.month().to_list() == [1, 1]
    assert said == "dates are month/day/year; or day/month/year? (dates='day-first')"
    assert read(*fields, reading=Reading(dates="day-first"))[0].dt.month().to_list() == [2, 3]
    assert read(*fields, other=["13/2/2015", "1/1/2015"])[0].dt.month().to_list() == [2, 3]
    assert read(*(field.replace("/", ".") for field in fields))[0].dt.month().to_list() == [2, 3]
    assert read("25/2/2015 6:00 AM", "1/3/2015 6:00 PM")[0].dt.month().to_list() == [2, 3]
    batches = FieldReader(whole=False)
    assert batches.read(pl.DataFrame({"x": fields}))["x"].dt.month().to_list() == [1, 1]


def test_dates_beside_times_with_am_and_pm_begin_with_the_month() -> None:
    days = {"Date": [f"01/0{day}/2024" for day in (1, 1, 2, 3)], "Time": ["11:30 AM", "01:00 PM"] * 2}
    for fields in (pl.DataFrame(days), pl.DataFrame(days).select("Time", "Date")):
        reader = FieldReader()
        assert reader.read(fields)["Date"].dt.day().to_list() == [1, 1, 2, 3]
        assert reader.decided.dates == "month-first"
    hours = [f"{(hour - 1) % 12 + 1:02}:00 {'AM' if hour < 12 else 'PM'}" for hour in range(24)]
    for pattern in ("{:02}/02/2024", "02/{:02}/2024"):  # where steps show what days are, they decide
        dates = [pattern.format(day) for day in range(1, 9) for _ in hours]
        values = FieldReader().read(pl.DataFrame({"Date": dates, "Time": hours * 8}))["Date"]
        assert values.dt.month().unique().to_list() == [2]
    pointed = pl.DataFrame(days).with_columns(pl.col("Date").str.replace_all("/", "."))
    assert FieldReader().read(pointed)["Date"].dt.month().to_list() == [1, 1, 2, 3]


def test_codes_that_look_like_numbers() -> None:
    assert read("+491700000001", "+14155550100", "")[0].to_list() == ["+491700000001", "+14155550100", None]
    assert read("+12", "-7")[0].to_list() == [12, -7]
    values, said = read("00501", "10001")
    assert values.to_list() == [501, 10001]
    assert said == "zeros in front are left out"
    assert read("0.5", "0")[1] == ""


@pytest.mark.parametrize(
    ("fields", "values", "said"),
    [
        (["3,5", "2"], [3.5, 2.0], "decimal comma"),
        (["1.234,56", "-7,0"], [1234.56, -7.0], "decimal comma"),
        (["0,123", "0,456"], [0.123, 0.456], "decimal comma"),
        (["1,234,567", "12"], [1234567, 12], "thousands"),
        (["1,234.5", "1,000"], [1234.5, 1000.0], "thousands"),
        (["1 234", "5"], [1234, 5], "thousands"),
        (["1'234.5", "5"], [1234.5, 5.0], "thousands"),
        (["1\u202f234,5", "5"], [1234.5, 5.0], "decimal comma"),
        (["1.234", "2.345"], [1.234, 2.345], ""),
        (["950", "1.200", "0"], ["950", "1.200", "0"], r"in doubt: 1.2 \(decimal=.point.\) or 1200 "),
        (["950", "1.202", "0"], [950, 1.202, 0], ""),
        (["45 %", "3%"], [45, 3], "units"),
        (["16.22", "(1,016.22)"], [16.22, -1016.22], "units left out; amounts in parentheses are negative"),
        (["( 3,5)", "1.016,2"], [-3.5, 1016.2], "decimal comma; amounts in parentheses are negative"),
        (["1,07-", "1.016,2", "3-"], [-1.07, 1016.2, -3.0], "comma; amounts with a minus after them are negative"),
        (["1.07-", "2.5"], [-1.07, 2.5], "amounts with a minus after them are negative"),
        (["2-", "1", "3-"], ["2-", "1", "3-"], ""),
        (["8.2D-01", "1.5D+00", "3"], [0.82, 1.5, 3.0], "left out"),
        (["1D2", "2D4"], ["1D2", "2D4"], ""),
        (['="0.82"', '=" 1"', ""], [0.82, 1.0, None], ""),
        (['="007"', '="a"'], ["007", "a"], ""),
        (["($5)", "(6)", "$7"], ["($5)", "(6)", "$7"], ""),
        (["($5)", "$7"], [-5, 7], "amounts in parentheses are negative"),
        (["(3)", "(a)"], ["(3)", "(a)"], ""),
        (["$1,250.50", "$3"], [1250.5, 3.0], "units"),
        (["3,541E+06", "1.5"], ["3,541E+06", "1.5"], ""),
        (["3,541E+06", "-1,407e-2"], [3.541e6, -1.407e-2], "decimal comma"),
        (["3.541E+06", "1,407"], [3.541e6, 1407.0], "thousands"),
        (["1,5 €", "2,25 €"], [1.5, 2.25], "decimal comma"),
        (["1", "?", "N/A", "null", "NaN", "-", "none", "Inf"], [1, *[None] * 7], r"7 fields are missing \('\?', "),
        (["2.5", "inf"], [2.5, None], r"1 field is missing \('inf'\)"),
        (["true", "-", "FALSE"], [True, None, False], "1 field is missing"),
        (["?", "-"], [None, None], "2 fields are missing"),
        (["tcp", "?"], ["tcp", "?"], ""),
        (["$5", "€3"], ["$5", "€3"], ""),
        (["1.234 mm/s", "-7 mm/s", "?"], [1.234, -7.0, None], "1 field is missing .*; unit 'mm/s' left out"),
        (["21.3°C", "20°C"], [21.3, 20.0], "unit '°C' left out"),
        (["21.5℃", "20℃"], [21.5, 20.0], "unit '℃' left out"),
        (["1\u00a0976,11 zł", "2 323,39 zł", "9 zł"], [1976.11, 2323.39, 9.0], "decimal comma; unit 'zł' left out"),
        (["1 234 567 EUR", "12.5 EUR"], [1234567.0, 12.5], "left out; unit 'EUR' left out"),
        (["20.15kWh", "3.0kWh"], [20.15, 3.0], "unit 'kWh' left out"),
        (["-0.41;", "12;", ""], [-0.41, 12.0, None], "unit ';' left out"),
        (["3,5 dB", "2 dB"], [3.5, 2.0], "decimal comma; unit 'dB' left out"),
        (["1.5e3 W/m²", "2 W/m²"], [1500.0, 2.0], "unit 'W/m²' left out"),
        ([f"{k}rpm" for k in range(20)], [*range(20)], "unit 'rpm' left out"),
    ],
)
def test_numbers(fields: list[str], values: list[Any], said: str) -> None:
    found, notice = read(*fields)
    assert found.to_list() == values
    assert bool(notice) == bool(said)
    assert re.search(said, notice)


@pytest.mark.parametrize(
    ("fields", "values", "said"),
    [
        (["01.03.2024", "02.03.2024"], ["2024-03-01", "2024-03-02"], "day/month/year"),
        (["13/02/2024", "01/02/2024"], ["2024-02-13", "2024-02-01"], "day/month/year"),
        (["02/13/2024", "01/02/2024"], ["2024-02-13", "2024-01-02"], "month/day/year"),
        (["1/2/2024", "3/4/2024"], ["2024-02-01", "2024-04-03"], "month-first"),
        (["12-Mar-24", "1-Apr-24"], ["2024-03-12", "2024-04-01"], "day/month/year"),
        (["2024/1/5", "2024/12/31"], ["2024-01-05", "2024-12-31"], ""),
        (["2024-01-05T10:00:00Z", "2024-01-05 10:00:00+01:00"], ["2024-01-05 10", "2024-01-05 09"], ""),
        (["5.1.2024 9:05", "12.5.2024 23:59:59.25"], ["2024-01-05 09:05", "2024-05-12 23:59:59.25"], "day/month"),
        (["01/02/2024 12:00 AM", "13/02/2024 1:05 pm"], ["2024-02-01", "2024-02-13 13:05"], "day/month"),
        (
            ["05/Mar/2024:08:00:00 +0100", "6/Mar/2024:23:15:00 +0000"],
            ["2024-03-05 07", "2024-03-06 23:15"],
            "day/month",
        ),
        (["[05/Mar/2024:08:00:00 +0100]", "[6/Mar/2024:23:15:00 +0000]"], ["2024-03-05 07", "2024-03-06 23:15"], "day"),
        (
            ["01-MAR-24 12.05.00.000000000 AM", "01-MAR-24 01.05.00.250000000 PM"],
            ["2024-03-01 00:05", "2024-03-01 13:05:00.25"],
            "day/month",
        ),
        (["5.1.2024 9.05", "12.5.2024 23.59.59"], ["2024-01-05 09:05", "2024-05-12 23:59:59"], "day/month"),
        (["Tue, 05 Mar 2024 08:00:00 GMT", "Wed, 6 Mar 2024 09:00:00 GMT"], ["2024-03-05 08", "2024-03-06 09"], "day"),
        (["2024-01-02", "?"], ["2024-01-02", None], "1 field is missing"),
        (["30/02/2024", "01/02/2024"], None, ""),
        (["13/02/2024", "02/13/2024"], None, ""),
        (["2024-01-02", "later"], None, ""),
    ],
)
def test_dates(fields: list[str], values: list[str] | None, said: str) -> None:
    found, notice = read(*fields)
    assert said in notice
    if values is None:
        assert found.to_list() == fields
    else:
        texts = [
            text if text is None else text.replace("T", " ")[: len(want or "")]
            for text, want in zip(found.dt.to_string("%Y-%m-%d %H:%M:%S%.f").to_list(), values, strict=True)
        ]
        assert texts == values


def written(form: str, days: int, start: str = "2024-01-25", step: int = 1) -> list[str]:
    first = datetime.datetime.fromisoformat(start)
    return [(first + datetime.timedelta(days=step * day)).strftime(form) for day in range(days)]


MACHINES = pl.Series([*written("%y/%m/%d", 60)] * 5)


@pytest.mark.parametrize(
    ("fields", "dates", "doubt"),
    [
        (written("%y-%m-%d", 90), "year-first", ""),
        (written("%y.%m.%d", 90)[::-1], "year-first", ""),
        (MACHINES.to_list(), "year-first", ""),
        (MACHINES.shuffle(0).to_list(), "year-first", ""),
        ([f"{day} 06:0{k}" for day in written("%y-%m-%d", 5, "2024-03-04") for k in range(9)], "year-first", ""),
        (written("%y-%m-%d", 5, "2024-03-04"), "day-first", "year-first"),
        (written("%d.%m.%y", 90), "day-first", ""),
        (sorted(written("%d.%m.%y", 90)), "day-first", "year-first"),
        (pl.Series(written("%d.%m.%y", 90) * 5).shuffle(0).to_list(), "day-first", ""),
        (["31.12.20", "31.12.21", "31.12.22", "31.12.23"], "day-first", "year-first"),
        (written("%m/%d/%y", 90), "month-first", ""),
        (["01/02/24", "03/04/24"], "day-first", "month-first year-first"),
        (["12-Mar-24", "13-Mar-24", "14-Mar-24"], "day-first", ""),
        (["99-12-31", "00-01-01"], "year-first", ""),
    ],
)
def test_years_of_two_digits(fields: list[str], dates: str, doubt: str) -> None:
    reader = FieldReader()
    values = reader.read(pl.DataFrame({"at": fields}))["at"]
    forms = {"year-first": "%y-%m-%d", "day-first": "%d-%m-%y", "month-first": "%m-%d-%y"}
    plain = [re.sub("[./]", "-", field.replace("Mar", "03"))[:8] for field in fields]
    assert values.dt.strftime(forms[dates]).to_list() == plain
    assert reader.decided.dates == dates
    assert re.findall(r"dates='(.*?)'", reader.notices()["at"]) == doubt.split()
    pieces = pl.DataFrame({"at": fields}).iter_slices(20)
    learned = FieldReader(learned=Reading(dates=dates), whole=False)
    assert [value for piece in pieces for value in learned.read(piece)["at"]] == values.to_list()
    if doubt == "year-first":
        asked = FieldReader(Reading(dates="year-first")).read(pl.DataFrame({"at": fields}))["at"]
        assert asked.dt.strftime("%y-%m-%d").to_list() == plain
        with pytest.raises(LaterRowsDifferError):
            FieldReader(whole=False).read(pl.DataFrame({"at": fields}))


def test_the_order_of_dates_in_which_steps_are_even() -> None:
    start, step = datetime.datetime(2024, 3, 1), datetime.timedelta(minutes=20)
    times = [start + row * step for row in range(300)]
    months = [datetime.datetime(2024, month, 1, hour) for month in range(1, 7) for hour in (8, 9)]
    for form, said in (("%m/%d/%Y %H:%M", "month/day/year"), ("%d/%m/%Y %H:%M", "day/month/year")):
        for some in (times, times * 2, [time for time in times for _ in "ab"]):
            values, notice = read(*(f"{time:{form}}" for time in some))
            assert (values.to_list(), notice) == (some, f"dates are {said}")
    for some in (months, [datetime.datetime(2024, month, 1) for month in range(1, 13)], times[:20]):
        values, notice = read(*(f"{time:%d/%m/%Y %H:%M}" for time in some))
        assert (values.to_list(), notice.count("or month/day/year?")) == (some, 1)


def test_times_of_day() -> None:
    found, _ = read("08:15", "23:59:59.5", "1:05 PM")
    assert found.to_list() == [datetime.time(8, 15), datetime.time(23, 59, 59, 500_000), datetime.time(13, 5)]
    assert read("24:00", "12:00")[0].dtype == pl.String


def test_other_columns_and_options_decide_what_is_in_doubt() -> None:
    doubtful = ["12,345", "1,000"]
    found, notice = read(*doubtful)
    assert found.to_list() == doubtful
    assert notice == "numbers in doubt: 12345 (decimal='point') or 12.345 (decimal='comma')?"
    assert read(*doubtful, y=["3,5", "2"])[0].to_list() == [12.345, 1.0]
    assert read(*doubtful, y=["3.5", "2"])[0].to_list() == [12345, 1000]
    assert read(*doubtful, y=["3.5", "2"], reading=Reading(decimal="comma"))[0].to_list() == [12.345, 1.0]
    assert read("1.234", "2.345", y=["3,5", "2"])[0].to_list() == [1234, 2345]
    dates = ["01/02/2024", "03/04/2024"]
    assert read(*dates, y=["12/31/2024", "1/1/2024"])[0].dt.month().to_list() == [1, 3]
    assert read(*dates, reading=Reading(dates="month-first"))[0].dt.month().to_list() == [1, 3]
    learned = FieldReader(learned=Reading(decimal="comma", dates="month-first"), whole=False)
    assert learned.read(pl.DataFrame({"x": doubtful, "at": dates})).row(0) == (12.345, datetime.datetime(2024, 1, 2))


def test_words_for_missing_values() -> None:
    assert read("1", "-999", "tcp", reading=Reading(missing=("-999", "tcp")))[0].to_list() == [1, None, None]
    assert read("a", "unknown", reading=Reading(missing=("unknown",)))[0].to_list() == ["a", None]


@pytest.mark.parametrize("reading", [{"decimal": ";"}, {"dates": "year-last"}])
def test_what_is_no_way_to_read(reading: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Use one of"):
        Reading(**reading)


@pytest.mark.parametrize(
    "fields",
    [
        *(["12A", "3A"], ["12A", "3B"], ["5h", "7h"], ["1.5h", "7h"], ["3 MB", "5 GB"], ["3.5 MB", "5.5 GB"]),
        *(["3 MB", "5 MB"], ["A-7", "A-8"], ["1.2.3 rc", "1.2.4 rc"], ["1.5 m", "wide"], ["5 PM", "7 PM"]),
        *([f"{k}AB" for k in range(20)], [f"{k}h" for k in range(24)]),
    ],
)
def test_codes_that_look_like_numbers_with_a_unit(fields: list[str]) -> None:
    values, said = read(*fields)
    assert (values.to_list(), said) == (fields, "")


def test_units_in_batches() -> None:
    frame = pl.DataFrame({"x": ["1 mm", "2 mm", "3.5 mm", "4 mm"]})
    reader = FieldReader(whole=False, numbers=["x"])
    assert [part["x"].to_list() for part in map(reader.read, frame.iter_slices(2))] == [[1, 2], [3.5, 4.0]]
    for more in ("5 cm", "5", "wide"):
        with pytest.raises(LaterRowsDifferError):
            reader.read(pl.DataFrame({"x": [more]}))
    with pytest.raises(LaterRowsDifferError):
        FieldReader(whole=False).read(frame)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["3,5", "2,5", "oops"], "data row 3 .*'oops', which is no number.*--missing oops.*--drop x"),
        ([*["10", "11"] * 30, "1a"], "data row 61 .*'1a', which is no number"),
        (["3,5", "2,5", "1.5"], "data row 3 .*'1.5', which is no number"),
        (["12,345", "1,000", "2,000"], "numbers in doubt: 12345 .--decimal point. or 12.345 .--decimal comma"),
        (["$5", "$6", "€7"], "data row 3 .*'€7', which is no number"),
        (["M", "M", "no", "{row}.5"], "row 1 .*'M', which is no number .89 more.*such fields.*--missing M,no.,"),
        (["1.5", "2.5", "3.5", "{row}x7"], "row 4 .*, which is no number .29 more such fields.. Put it right, or lea"),
    ],
)
def test_columns_of_numbers_are_read_or_refused(tmp_path: Path, fields: list[str], said: str) -> None:
    rows = "".join(f"{field.format(row=row)};{row % 2}\n" for row, field in enumerate(fields * 30))
    with calling("the command line"), pytest.raises(DataError, match=said):
        choose_columns(read_table(csv(tmp_path, "x;label\n" + rows)))


@pytest.mark.parametrize("field", ["[{row}.5, 2]", "[ {row} 2.5 ]", '{{"x": {row}}}'])
def test_lists_and_objects_in_text_are_refused(tmp_path: Path, field: str) -> None:
    def columns(field: str, **roles: Any) -> Columns:
        rows = "".join(f"{field.format(row=row)}\t{row % 7}\t{row % 2}\n" for row in range(30))
        return choose_columns(read_table(csv(tmp_path, "x\tz\tlabel\n" + rows)), **roles)

    with pytest.raises(DataError, match=r"'x' holds lists or objects in text.*drop=\['x'\].*categorical=\['x'\]"):
        columns(field)
    assert columns(field, categorical=["x"]).categories == columns("[level {row}]").categories == ("x",)


@pytest.mark.parametrize(
    "fields",
    [
        *(["OK", "OK", "OK", "404", "500"], ["a{row}", "b{row}", "c{row}", "{row}"], ["02a0", "0316", "018f", "0130"]),
        *(["{row}", "1{row}", "2{row}", "c{row}"], ["{row}", "1{row}", "PC {row}"]),
    ],
)
def test_codes_and_names_some_of_which_are_numbers_are_categories(tmp_path: Path, fields: list[str]) -> None:
    rows = "".join(f"{field.format(row=row)};{row % 2}\n" for row, field in enumerate(fields * 30))
    assert choose_columns(read_table(csv(tmp_path, "x;label\n" + rows))).categories == ("x",)


def test_numbers_among_text_are_counted(tmp_path: Path) -> None:
    def why(*fields: str) -> str:
        rows = "".join(f"{field.format(row=row)};{row % 2}\n" for row, field in enumerate(fields * 30))
        columns = choose_columns(read_table(csv(tmp_path, "x;label\n" + rows)), sequence="none")
        return {guess.name: guess.why for guess in columns.guesses}["x"]

    assert why("{row}.5", "low", "high", "off") == "text, though 30 of 120 fields are numbers"
    assert why("4", "f", "r") == "text"


@pytest.mark.parametrize(
    "word",
    [
        *("\\N", "(null)", "<NULL>", "#VALUE!", "#DIV/0!", ".", "NaT"),
        *("0000-00-00", "0000-00-00 00:00:00", "00.00.0000"),
        *("nil", "Missing", "n.a.", "..", ":", "\u2014", "#N/A N/A", "-1.#IND"),
        *("#NV", "#WERT!", "#N/D", "#VALEUR!"),
    ],
)
def test_words_of_databases_and_spreadsheets_for_no_value(word: str) -> None:
    assert read("1.5", word)[0].to_list() == [1.5, None]
    assert read("2024-01-02", word)[0].null_count() == 1
    assert read("a", word)[0].to_list() == ["a", word]


def test_what_was_learned_is_kept(tmp_path: Path) -> None:
    rows = "".join(f"{i % 28 + 1}.02.2024;1,{i};{'ab'[i % 2]}\n" for i in range(60))
    table = read_table(csv(tmp_path, "day;x;label\n" + rows), reading=Reading(missing=("n.k.",)))
    columns = choose_columns(table, sequence="none", order="none")
    assert columns.reading == Reading(("n.k.",), "comma", "day-first")
    assert Columns.from_json(columns.to_json()).reading == columns.reading
    assert "decimal comma" in {guess.name: guess.why for guess in columns.guesses}["x"]


FIELDS = st.one_of(
    st.sampled_from(["1", "2.5", "3,5", "12,345", "?", "nan", "", " ", "a", "01/02/2024", "2024-01-02", "08:15", "5%"]),
    st.from_regex(r"[-+$]?[0-9]{1,4}([.,/: -][0-9]{1,4}){0,4}[%€]?", fullmatch=True),
    st.text(max_size=6),
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(rows=[["?", "1"], [":", "1"], ["?", "1"]], size=1)
@given(rows=st.lists(st.lists(FIELDS, min_size=2, max_size=2), min_size=1, max_size=8), size=st.integers(1, 4))
def test_batches_are_read_as_the_whole(rows: list[list[str]], size: int) -> None:
    frame = pl.DataFrame(rows, schema=["x", "y"], orient="row")
    whole = FieldReader().read(frame)
    reader = FieldReader(whole=False)
    try:
        parts = [reader.read(part) for part in frame.iter_slices(size)]
    except LaterRowsDifferError:
        return
    for name in ("x", "y"):
        values = [value for part in parts for value in part[name].to_list()]
        assert [value for value in values if value is not None] == [
            v for v in whole[name].to_list() if v in values and v is not None
        ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.text(alphabet='ab1,.;|\t"\n-?é ', max_size=60).map(str.encode),
        st.lists(st.lists(FIELDS, min_size=3, max_size=3).map(",".join), max_size=8).map(
            lambda rows: "\n".join(["x,label,flow", *rows]).encode()
        ),
    ),
    ending=st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".csv.gz", ".parquet", ".xlsx"]),
)
def test_any_file_is_read_or_refused(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"some{ending}"
    path.write_bytes(gzip.compress(content) if ending == ".csv.gz" else content)
    try:
        table = read_table(path)
        columns = choose_columns(table)
        for chunk in stream_sequences(path, columns, typed=True, say=lambda text: None):
            assert len(chunk.frame) == len(table)
    except BothwaysError:
        pass


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        (["-$12.34", "$5.00", "-$1,200.50"], [-12.34, 5.0, -1200.5]),
        (["-€5,00", "€3,50"], [-5.0, 3.5]),
        (["$ -", "$5.00", "$-"], [0.0, 5.0, 0.0]),
        (["₹1,66,837.66", "₹5.00"], [166837.66, 5.0]),
        (["1,00,000.50", "5.00"], [100000.5, 5.0]),
        (["R$ 1.200,50", "R$ -3,00"], [1200.5, -3.0]),
        (["CHF 5.00", "CHF -7.50"], [5.0, -7.5]),
        (["($3.00)", "$1,200.50"], [-3.0, 1200.5]),
        (["\u22120.04", "1.5", "\u20132.5"], [-0.04, 1.5, -2.5]),
        (["USD 5.00", "EUR 3.00"], ["USD 5.00", "EUR 3.00"]),
    ],
)
def test_amounts_of_money(fields: list[str], values: list[Any]) -> None:
    assert read(*fields)[0].to_list() == values


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        (["4m 25s", "1h 20m", "30s"], [265.0, 4800.0, 30.0]),
        (["PT4M25S", "P1DT2H"], [265.0, 93600.0]),
        (["05:35.5", "59:59.0", "1:00:00.5"], [335.5, 3599.0, 3600.5]),
        (["1 days 02:03:04.5", "26:00:01"], [93784.5, 93601.0]),
        (["0:05:35.5", "1:00:00"], [datetime.time(0, 5, 35, 500_000), datetime.time(1)]),
        (["5m", "7m"], ["5m", "7m"]),
        (["Apr-23", "May-23", "Apr-24"], [datetime.date(*each, 1) for each in ((2023, 4), (2023, 5), (2024, 4))]),
        (["Jul.93", "Aug.93", "Jan.94"], [datetime.date(*each, 1) for each in ((1993, 7), (1993, 8), (1994, 1))]),
        (["Dec-99", "Jan-00", "Dec-00"], [datetime.date(*each, 1) for each in ((1999, 12), (2000, 1), (2000, 12))]),
        (["Apr-01", "Apr-02", "Apr-03"], ["Apr-01", "Apr-02", "Apr-03"]),
    ],
)  # fmt: skip
def test_durations_and_short_months(fields: list[str], values: list[Any]) -> None:
    assert read(*fields)[0].to_list() == values


def test_times_of_day_that_are_to_be_numbers_are_durations() -> None:
    frame = pl.DataFrame({"cycle": ["0:05:12", "1:00:00"]})
    assert FieldReader().read(frame.rename({"cycle": "Pause"}))["Pause"].to_list() == [312.0, 3600.0]
    assert FieldReader(numbers=["cycle"]).read(frame)["cycle"].to_list() == [312.0, 3600.0]
    assert FieldReader().read(frame)["cycle"].dtype == pl.Time


def test_times_left_out_say_how_to_read_them_as_durations(tmp_path: Path) -> None:
    rows = range(60)
    times = [f"{k * 7 % 3}:{k * 11 % 60:02}:{k * 13 % 60:02}" for k in rows]
    frame = pl.DataFrame({"at": [f"2024-03-04 10:{k:02}" for k in rows], "length": times, "Talk Time": times})
    path = tmp_path / "some.csv"
    frame.with_columns(x=pl.Series([k * k % 7 for k in rows]), label=pl.Series([0, 1] * 30)).write_csv(path)
    columns = read_and_split(path).columns
    assert columns.features == ("Talk Time", "x")
    why = {guess.name: guess.why for guess in columns.guesses}["length"]
    assert why == "a time of day (numeric=['length'] if it is how long something took)"
    assert read_and_split(path, numeric=["length"]).columns.features == ("length", "Talk Time", "x")
    read_table(path).frame().write_parquet(tmp_path / "some.parquet")
    split = read_and_split(tmp_path / "some.parquet", numeric=["length"])
    assert split.columns.features == ("length", "Talk Time", "x")
    assert np.allclose(split.table.column("length"), split.table.column("Talk Time"))
    (chunk,) = stream_sequences(tmp_path / "some.parquet", split.columns)
    assert np.allclose(chunk.sequences.values[:, 0], chunk.sequences.values[:, 1])


def test_ids_that_would_become_one_stay_text() -> None:
    fields = {"code": ["1.1", "1.10"], "account_id": ["01", "1"], "trip_id": ["01", "02"], "x": ["1.1", "1.10"]}
    got = FieldReader(ids=["code"]).read(pl.DataFrame(fields))
    assert got.rows() == [("1.1", "01", 1, 1.1), ("1.10", "1", 2, 1.1)]
    long = ["12345678901234567890123", "12345678901234567890124"]
    assert read(*long)[0].to_list() == long
    reader = FieldReader(whole=False, ids=["code"])
    assert reader.read(pl.DataFrame({"code": ["1.1"]}))["code"].to_list() == [1.1]
    with pytest.raises(LaterRowsDifferError):
        reader.read(pl.DataFrame({"code": ["1.10"]}))


def test_a_column_called_number_may_hold_amounts() -> None:
    """Two of them may be the same number, written in two ways."""
    texts = ["1.1", "1.10", *(f"{k}.25" for k in range(20))]
    for reader, again in ((FieldReader(), 1), (FieldReader(numbers=["number"]), 5)):
        assert reader.read(pl.DataFrame({"number": texts * again})).schema["number"] == pl.Float64
    assert FieldReader().read(pl.DataFrame({"number": texts * 5})).schema["number"] == pl.String


def test_labels_are_written_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    pl.DataFrame({"x": [k * k % 7 for k in range(60)], "label": ["01", "02"] * 30}).write_csv(path)
    split = read_and_split(path, sequence="none")
    assert split.parts.classes == ("01", "02")
    pl.DataFrame({"x": [k * k % 7 for k in range(60)], "label": ["0%", "100%"] * 30}).write_csv(path)
    assert read_and_split(path, sequence="none").parts.classes == ("0%", "100%")


def test_differences_of_times_are_seconds(tmp_path: Path) -> None:
    numbers = [k * 7 % 60 for k in range(60)]
    waits = pl.Series([datetime.timedelta(seconds=k) for k in numbers])
    frame = pl.DataFrame({"unit": [k // 10 for k in range(60)], "gap": waits, "label": [0, 1] * 30})
    path = tmp_path / "some.parquet"
    frame.write_parquet(path)
    table = read_table(path)
    assert table.column("gap").to_list() == numbers
    columns = choose_columns(table)
    assert columns.features == ("gap",)
    with LabeledWriter(tmp_path / "labeled.csv", ["a"]) as writer:
        writer.label(path, columns, lambda part: (np.zeros(60, np.int64), np.ones((60, 1), np.float32)))
    assert (tmp_path / "labeled.csv").read_text().splitlines()[1] == "0,0.0,0,a,1.0"


def test_durations_of_one_unit_are_seconds_too() -> None:
    """A table of another unit than that of training would else be off by a factor, in silence."""
    values, said = read(*(f"{k} min" for k in range(30)))
    assert (values.to_list(), said) == ([60.0 * k for k in range(30)], "unit 'min', read in seconds")
    assert read("1.5 hours", "2 hours")[0].to_list() == [5400.0, 7200.0]
    assert read(*(f"{k}.5 m" for k in range(30)))[0].to_list() == [k + 0.5 for k in range(30)]  # metres, perhaps


def test_numbers_of_a_model_that_look_like_text_are_read_at_once(tmp_path: Path) -> None:
    reader = FieldReader(whole=False, numbers=["x"])
    with pytest.raises(LaterRowsDifferError):
        reader.read(pl.DataFrame({"x": ["5m", "6m"]}))


def test_padded_ids_do_not_keep_a_table_from_being_read_in_pieces() -> None:
    reader = FieldReader(whole=False, ids=["id"])
    got = [reader.read(pl.DataFrame({"id": fields}))["id"].to_list() for fields in (["001", "002"], ["003", "3"])]
    assert got == [["001", "002"], ["003", "3"]]


def test_names_of_things_are_no_months() -> None:
    for fields in (["Marlin 2021", "Spruce 2022"], ["Augusta-21", "Marina-74"], ["(1)", "(2)"]):
        assert read(*fields)[0].to_list() == fields
    for fields in (["März 2021", "Sept 2022"], ["juil. 2021", "juin 2022"], ["mei 2021", "Out 2022"]):
        assert read(*fields)[0].dtype == pl.Date
    assert FieldReader(order=["x"]).read(pl.DataFrame({"x": ["Mar-21", "Mar-22", "Mar-23"]}))["x"].dtype == pl.Date


@pytest.mark.parametrize("labels", [["30s", "1h 5m"], ["PT1H", "PT2H"], ["($1)", "($2)"], ["1:30", "2:30"]])
def test_labels_that_look_like_something_else(tmp_path: Path, labels: list[str]) -> None:
    path = tmp_path / "some.csv"
    pl.DataFrame({"x": [k * k % 7 for k in range(60)], "label": labels * 30}).write_csv(path)
    if labels[0] == "1:30":
        with pytest.raises(DataError, match=r"say categorical=\['label'\]"):
            read_and_split(path, sequence="none")
        return
    assert sorted(read_and_split(path, sequence="none").parts.classes) == sorted(labels)


@pytest.mark.parametrize("ending", [".parquet", ".jsonl"])
@pytest.mark.parametrize("typed", [False, True])
def test_values_that_files_with_types_hold_as_text(ending: str, typed: bool, tmp_path: Path) -> None:
    """As those who read a CSV file without types write it again."""
    rows = range(120)
    x = [round(float(np.sin(k * k)), 3) for k in rows]
    counts = [k * k % 101 for k in rows]
    start = datetime.datetime(2024, 1, 20, 9)
    times = [start + datetime.timedelta(minutes=7 * k) for k in rows]
    frame = pl.DataFrame(
        {
            "at": [f"{time:%d.%m.%Y %H:%M}" for time in times],
            "x": list(map(str, x)),
            "load": [f"{100 * each:.1f} %" for each in x],
            "count": list(map(str, counts)),
            "mode": ["on", "off", "on"] * 40,
            "label": ["1", "0"] * 60,
        }
    )
    frame = frame.with_columns(z=pl.lit(1.5)) if typed else frame
    path = tmp_path / f"some{ending}"
    for rising in (True, False):
        write = frame if rising else frame.reverse()
        write.write_parquet(path) if ending == ".parquet" else write.write_ndjson(path)
        split = read_and_split(path, drop=["z"] if typed else [])
        kinds = split.table.schema
        assert split.columns.order == "at"
        assert kinds["x"] == kinds["load"] == pl.Float64
        assert kinds["count"] == (pl.String if typed else pl.Int64)
        assert kinds["label"] == pl.String
        assert split.parts.classes == ("0", "1")
        assert split.table.column("x").sort().to_list() == sorted(x)
        columns = Columns("label", ("x", "load", "count"), order="at")
        chunks = list(stream_sequences(path, columns, rows=50))
        values = np.concatenate([chunk.sequences.values for chunk in chunks])
        assert np.allclose(values, np.stack([x, np.round(100 * np.array(x), 1), counts], 1), rtol=1e-6)
        assert all(chunk.frame.schema["x"] == pl.String for chunk in chunks)


def test_another_unit_than_in_training_is_told(tmp_path: Path) -> None:
    numbers = [1.5 + k * k % 17 for k in range(60)]
    frame = pl.DataFrame({"x": numbers, "label": [0, 1] * 30})

    def path_of(unit: str, ending: str = ".csv") -> Path:
        path = tmp_path / f"some{ending}"
        own = frame.with_columns(x=pl.col("x").cast(pl.String) + f" {unit}") if unit else frame
        own.write_csv(path) if ending == ".csv" else own.write_parquet(path)
        return path

    def told(columns: Columns, path: Path, **more: Any) -> list[str]:
        said: list[str] = []
        list(stream_sequences(path, columns, say=said.append, **more))
        return [each for each in said if "Careful" in each]

    for unit in ("kg", "ms"):
        columns = Columns.from_json(choose_columns(read_table(path_of(unit)), sequence="none", order="none").to_json())
        assert columns.units == {"x": unit}
        assert told(columns, path_of(unit)) == []
        for other in ("g", "") if unit == "kg" else ("kg", ""):
            for rows in (20, 1000):
                (said,) = told(columns, path_of(other), rows=rows)
                assert "column 'x' has " + (f"the unit '{other}'" if other else "no unit") in said
                assert f"had '{unit}' in training" in said
        assert len(told(columns, path_of("", ".parquet"))) == 1
    assert told(columns, path_of("s")) == []  # both are read in seconds
    old = {name: value for name, value in columns.to_json().items() if name != "units"}
    assert told(Columns.from_json(old), path_of("")) == []
