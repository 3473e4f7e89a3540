"""Months, quarters and weeks; and times that several columns tell together, as in `--order Date,Time`."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import SequenceLabeler, jobs, store
from bothways.data import Columns, choose_columns, read_and_split, stream_sequences
from bothways.data.columns import TOLD
from bothways.data.encoding import Encoding, Number
from bothways.data.frames import frame_table
from bothways.errors import DataError
from bothways.fields.moments import template
from bothways.fields.reader import FieldReader, LaterRowsDifferError
from bothways.jobs.event_lines import EventLines
from bothways.network import Network
from bothways.runtime import Model
from bothways.tables import read_table
from bothways.tables.table import Table
from members import random_member

GENERATOR = np.random.default_rng(0)
HOURS = [datetime.datetime(2023, 11, 28) + datetime.timedelta(hours=row) for row in range(120)]


def dates(*texts: str | None) -> list[Any]:
    """What a column of these texts is read as."""
    (column,) = FieldReader().read(pl.DataFrame({"at": pl.Series(texts, dtype=pl.String)})).get_columns()
    return [value.isoformat()[:10] if isinstance(value, datetime.date) else value for value in column]


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (("2024-Q1", "2023Q4"), ["2024-01-01", "2023-10-01"]),
        (("Q3 2024", "q2 2023", None), ["2024-07-01", "2023-04-01", None]),
        (("2022-W05", "2020-W53", "2021W01"), ["2022-01-31", "2020-12-28", "2021-01-04"]),
        (("KW 5/2022", "KW52/2022"), ["2022-01-31", "2022-12-26"]),
        (("2010M01", "2011-M12"), ["2010-01-01", "2011-12-01"]),
        (("2015-01", "2015/12", "?"), ["2015-01-01", "2015-12-01", None]),
        (("Jan 2015", "December 2016"), ["2015-01-01", "2016-12-01"]),
        (("Fall 2021", "Spring 2022"), ["2021-09-01", "2022-03-01"]),
        (("1/2015", "12/2015"), ["2015-01-01", "2015-12-01"]),
        (("2001-02", "2013-14"), ["2001-01-01", "2013-01-01"]),
        (("2023/24", "2023/24", "2001-02"), ["2023-01-01", "2023-01-01", "2001-01-01"]),
        (("Q1 2024", "2023-Q4", "2024 Q2"), ["2024-01-01", "2023-10-01", "2024-04-01"]),
        (("2001-02", "2001-03"), ["2001-02-01", "2001-03-01"]),
    ],
)
def test_periods_are_their_first_days(texts: tuple[str | None, ...], read: list[Any]) -> None:
    assert dates(*texts) == read


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (("Jan 31, 2024", "February 1, 2024"), ["2024-01-31T00:00:00", "2024-02-01T00:00:00"]),
        (
            ("Wednesday, Jan 31, 2024 1:05 PM", "Thu, Feb 1, 2024 at 01:05 am"),
            ["2024-01-31T13:05:00", "2024-02-01T01:05:00"],
        ),
        (("Wed Jan 31 12:00:00 2024", "Thu Feb  1 12:00:00 UTC 2024"), ["2024-01-31T12:00:00", "2024-02-01T12:00:00"]),
        (("Wed Aug 27 13:08:45 +0200 2008",), ["2008-08-27T11:08:45+00:00"]),
        (("Nov 28 05:06:07", "Nov  8 05:06:08"), ["2000-11-28T05:06:07", "2000-11-08T05:06:08"]),
        (("20240131T120000", "20240201T120000.5"), ["2024-01-31T12:00:00", "2024-02-01T12:00:00.500000"]),
        (("20240131120000", "20240201120000"), ["2024-01-31T12:00:00", "2024-02-01T12:00:00"]),
        (("20240131 12:00", "20240201 13:00"), ["2024-01-31T12:00:00", "2024-02-01T13:00:00"]),
        (("2024-01-31T12:00:00+01:00[Europe/Berlin]",), ["2024-01-31T11:00:00+00:00"]),
        (
            ("31. Januar 2024", "1. März 2024", "1. Mai 2024"),
            ["2024-01-31T00:00:00", "2024-03-01T00:00:00", "2024-05-01T00:00:00"],
        ),
        (
            ("31 janv. 2024", "1 août 2024", "1 juin 2024"),
            ["2024-01-31T00:00:00", "2024-08-01T00:00:00", "2024-06-01T00:00:00"],
        ),
        (("31JAN2024:08:30:00", "01Feb24:08:30:00.5"), ["2024-01-31T08:30:00", "2024-02-01T08:30:00.500000"]),
        (("2024年1月31日 8時05分", "2024年12月1日18時05分09秒"), ["2024-01-31T08:05:00", "2024-12-01T18:05:09"]),
        (("2024年1月31日", "2024年2月1日"), ["2024-01-31T00:00:00", "2024-02-01T00:00:00"]),
        (("31. Januar 2024, 8:05 Uhr", "1. Feb. 2024, 18.05 Uhr"), ["2024-01-31T08:05:00", "2024-02-01T18:05:00"]),
        (("31 janv. 2024 à 8h05", "01/02/2024 18h05"), ["2024-01-31T08:05:00", "2024-02-01T18:05:00"]),
        (("31 sty 2024 08:05", "1 października 2024 18:05"), ["2024-01-31T08:05:00", "2024-10-01T18:05:00"]),
        (("31. 1. 2024 8:05", "1. 2. 2024 18:05"), ["2024-01-31T08:05:00", "2024-02-01T18:05:00"]),
        (("31 Oca 2024", "1 Ağustos 2024"), ["2024-01-31T00:00:00", "2024-08-01T00:00:00"]),
        (("31/01/24 23", "01/02/24 00"), ["2024-01-31T23:00:00", "2024-02-01T00:00:00"]),
        (("2024-01-31 11 PM", "2024-02-01 12 AM"), ["2024-01-31T23:00:00", "2024-02-01T00:00:00"]),
        (("2024-01-31 24:00", "2024-02-01 01:00"), ["2024-02-01T00:00:00", "2024-02-01T01:00:00"]),
        (("0 days 00:00:05", "1 days 00:00:06.5"), [5.0, 86406.5]),
        (("1 day, 2:03:04",), [93784.0]),
    ],
)
def test_times_of_other_forms(texts: tuple[str, ...], read: list[Any]) -> None:
    (column,) = FieldReader().read(pl.DataFrame({"at": pl.Series(texts)})).get_columns()
    assert [value.isoformat() if isinstance(value, datetime.datetime) else value for value in column] == read


@pytest.mark.parametrize(
    "texts",
    [
        ("20241331120000", "x"),
        ("May 5 pm",),
        ("Ann 31, 2024",),
        ("Total 12, 2024",),
        ("201513010000", "?x"),
        ("2015-13", "2015-01"),
        ("march 2012", "Wuhan 2019"),
        ("W1 2020", "W60 2020"),
        ("Q5 2020",),
        ("kilo",),
    ],
)
def test_what_is_no_period_stays_text(texts: tuple[str, ...]) -> None:
    assert dates(*texts) == [*texts]


def test_ids_are_no_months() -> None:
    assert dates("1001-01", "1002-12") == ["1001-01", "1002-12"]
    frame = pl.DataFrame({"subject_id": ["2001-01", "2002-12"], "month": ["2001-01", "2002-12"]})
    assert FieldReader().read(frame).dtypes == [pl.String, pl.Date]


def panel(kind: str) -> pl.DataFrame:
    """Twelve lands over the same months, by months."""
    frame = pl.DataFrame({"land": [f"l{i}" for i in range(12)]}).join(
        pl.DataFrame({"at": pl.date_range(datetime.date(2015, 1, 1), datetime.date(2021, 12, 1), "1mo", eager=True)}),
        how="cross",
    )
    at = pl.col("at").dt
    told = {
        "month": {"when": at.strftime("%b %Y")},
        "two": {"year": at.year(), "month": at.month()},
        "names": {"year": at.year(), "month": at.strftime("%B")},
        "three": {"Year": at.year(), "Month": at.month(), "Day": at.day()},
        "number": {"yyyymm": at.strftime("%Y%m").cast(pl.Int64)},
        "year": {"year": 1000 + at.year() + at.month()},
    }[kind]
    x = pl.Series("x", GENERATOR.normal(size=frame.height))
    return frame.select("land", **told).with_columns(x, label=(x > 0).cast(pl.Int64))


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        ("month", "when"),
        ("two", "year,month"),
        ("names", "year,month"),
        ("three", "Year,Month,Day"),
        ("number", "yyyymm"),
    ],
)
@pytest.mark.parametrize("stand", ["sorted", "by time", "newest first", "shuffled"])
def test_tables_of_a_row_per_month_and_land(kind: str, order: str, stand: str, tmp_path: Path) -> None:
    frame = panel(kind)
    months = pl.int_range(84).repeat_by(1).explode()
    place = pl.concat([pl.DataFrame({"m": pl.select(months).to_series()})] * 12)["m"]
    mixed = {
        "sorted": frame,
        "by time": frame[place.arg_sort()],
        "newest first": frame.reverse(),
        "shuffled": frame.sample(frame.height, shuffle=True, seed=1),
    }[stand]
    mixed.write_csv(tmp_path / "some.csv")
    split = read_and_split(tmp_path / "some.csv")
    assert (split.columns.sequence, split.columns.order) == ("land", order)
    assert "year" not in map(str.lower, split.columns.features)
    sequences = [part for part in (split.parts.train, split.parts.valid, split.parts.test) if part is not None]
    for part in sequences:
        first = part.table_rows[part.offsets[0] : part.offsets[1]]
        names, x = mixed["land"].gather(first), mixed["x"].gather(first)
        assert x.to_list() == frame.filter(pl.col("land") == names[0])["x"].to_list()
    columns, _, notices = split.encoded()
    assert columns.fitted.gaps == "" or kind == "number"
    assert not any("gap" in notice for notice in notices) or kind == "number"


def test_years_sort_and_are_no_feature() -> None:
    frame = panel("year").unique(["land", "year"], maintain_order=True)
    columns = choose_columns(Table("some.csv", frame.sample(frame.height, shuffle=True, seed=0)))
    assert (columns.sequence, columns.order, columns.features) == ("land", "year", ("x",))
    built = frame.with_columns(year_built=pl.Series(GENERATOR.integers(1950, 2000, frame.height)))
    assert choose_columns(Table("some.csv", built)).features == ("x", "year_built")


def hourly(kind: str) -> pl.DataFrame:
    """Steps an hour apart, their times in two columns or four."""
    at = pl.Series("at", HOURS)
    told = {
        "times": {"Date": at.dt.date(), "Time": at.dt.time()},
        "texts": {"Date": at.dt.strftime("%d/%m/%Y"), "Time": at.dt.strftime("%H.%M.%S")},
        "clock": {"Date": at.dt.strftime("%Y-%m-%d"), "Time": at.dt.strftime("%H:%M:%S")},
        "midnight": {"Date": at.dt.strftime("%m/%d/%Y 12:00:00 AM"), "Time": at.dt.strftime(" %H:%M:%S")},
        "hour": {"Date": at.dt.date(), "Hour": at.dt.hour()},
        "four": {name: getattr(at.dt, name)() for name in ("year", "month", "day", "hour")},
        "digits": {"<DATE>": at.dt.strftime("%Y%m%d"), "<TIME>": at.dt.strftime("%H%M%S")},
        "short": {"DATE": at.dt.strftime("%d%m%Y"), "HrMn": at.dt.strftime("%H%M")},
        "bare": {"day": at.dt.strftime("%Y%m%d").cast(int), "time": at.dt.strftime("%k%M").str.strip_chars().cast(int)},
    }[kind]
    x = np.round(np.sin(np.arange(120)), 3)
    return pl.DataFrame({**told, "x": x, "label": np.random.default_rng(1).integers(0, 2, 120)})


def test_the_last_hour_of_a_day_may_be_24(tmp_path: Path) -> None:
    frame = pl.DataFrame({"Datum": [time.date() for time in HOURS], "Stunde": [time.hour + 1 for time in HOURS]})
    frame = frame.with_columns(x=pl.int_range(120) / 7, label=pl.int_range(120) // 5 % 2)
    frame.sample(120, shuffle=True, seed=0).write_csv(tmp_path / "some.csv")
    split = read_and_split(tmp_path / "some.csv")
    assert split.columns.order == "Datum,Stunde"
    assert split.table.column("Datum,Stunde").max() == datetime.datetime(2023, 12, 3)


NAMES = {"times": "Date,Time", "texts": "Date,Time", "hour": "Date,Hour", "four": "year,month,day,hour"}
NAMES |= {"midnight": "Date,Time", "digits": "<DATE>,<TIME>", "short": "DATE,HrMn", "bare": "day,time"}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_from_files_in_pieces_or_as_a_whole(kind: str, ending: str, tmp_path: Path) -> None:
    frame, order = hourly(kind), NAMES[kind]
    write = {".csv": "write_csv", ".parquet": "write_parquet", ".jsonl": "write_ndjson"}[ending]
    for rows in (frame, frame.sample(120, shuffle=True, seed=1)):
        path = tmp_path / f"some{ending}"
        getattr(rows, write)(path)
        split = read_and_split(path)
        assert split.columns.order == order
        assert split.table.column(order).sort().to_list() == HOURS
        assert not {*split.columns.features} & {"year", "Date", "Time"}
        columns = Columns("label", ("x",), order=order, encoding=Encoding((Number("x"),), gaps="times"))
        told = list[str]()
        chunks = list(stream_sequences(path, columns, rows=50, typed=True, say=told.append))
        x = np.concatenate([chunk.sequences.values[:, 0] for chunk in chunks])
        assert np.array_equal(x, frame["x"].to_numpy().astype(np.float32))
        assert [*chunks[-1].frame.columns] == frame.columns == chunks[-1].values.columns
        assert len(chunks) == (1 if rows is not frame else 3) or len(chunks) == 1


def some_model(order: str, gaps: str = "times") -> Model:
    encoding = Encoding((Number("x"),), gaps=gaps)
    member = random_member(Network(features=len(encoding.names), classes=2, units=3))
    return Model([member], ("a", "b"), Columns("label", ("x",), order=order, encoding=encoding))


@pytest.mark.parametrize("kind", NAMES)
def test_labels_are_those_of_rows_in_order(kind: str, tmp_path: Path) -> None:
    model = some_model(NAMES[kind])
    store.save(model, tmp_path / "some.bothways")
    found = []
    for rows in (hourly(kind), hourly(kind).sample(120, shuffle=True, seed=3)):
        rows.write_csv(tmp_path / "some.csv")
        jobs.predict(tmp_path / "some.bothways", tmp_path / "some.csv", tmp_path / "out.csv", say=lambda text: None)
        out = read_table(tmp_path / "out.csv").frame()
        assert out.columns == [*rows.columns, "predicted", "probability"]
        found.append(out.sort(rows.columns[:-2])["probability"].to_list())
    assert found[0] == found[1]


def test_one_of_the_columns_is_missing(tmp_path: Path) -> None:
    hourly("times").rename({"Time": "Tme"}).write_csv(tmp_path / "some.csv")
    for read in (
        lambda: read_table(tmp_path / "some.csv", order="Date,Time"),
        lambda: list(stream_sequences(tmp_path / "some.csv", Columns("label", ("x",), order="Date,Time"))),
    ):
        with pytest.raises(DataError, match=r"there is no column 'Time'\. Did you mean 'Tme'"):
            read()


def test_columns_that_tell_no_time_are_refused(tmp_path: Path) -> None:
    frame = hourly("times").with_columns(run=pl.int_range(pl.len()))
    frame.write_csv(tmp_path / "some.csv")
    with pytest.raises(DataError, match=r"'Date,run' must be a number or a time.* such as '2023-11-28 0'"):
        read_and_split(tmp_path / "some.csv", order="Date,run")


@pytest.mark.parametrize("month", ["2023-11", "202311", "Nov 2023", "2023-Q4", "KW 48/2023"])
def test_what_is_read_in_training_is_read_in_prediction(month: str, tmp_path: Path) -> None:
    """A month, a quarter or a week and a time of day; no two times."""
    frame = hourly("clock").with_columns(month=pl.lit(month)).drop("Date")
    frame.write_csv(tmp_path / "some.csv")
    split = read_and_split(tmp_path / "some.csv", order="month,Time")
    (chunk,) = stream_sequences(tmp_path / "some.csv", replace(split.columns, features=("x",)))
    assert chunk.sequences.lengths.tolist() == [120]
    hourly("clock").with_columns(Date=pl.Series(HOURS)).write_parquet(tmp_path / "some.parquet")
    with pytest.raises(DataError, match="'Date,Time' must be a number or a time"):
        read_and_split(tmp_path / "some.parquet", order="Date,Time")


def test_numbers_of_few_bits_called_years() -> None:
    frame = pl.DataFrame(
        {"month": [row % 12 + 1 for row in range(60)], "x": np.arange(60) * 7 % 11, "label": [0, 1] * 30}
    )
    table = Table("some.csv", frame.with_columns(year=pl.Series([23, 24] * 30, dtype=pl.Int8)))
    assert choose_columns(table).order is None


def test_a_date_and_a_duration_tell_no_time_together() -> None:
    hours = [datetime.timedelta(hours=1)] * 120
    frame = pl.DataFrame({"date": [at.date() for at in HOURS], "time": hours, "label": [0, 1] * 60})
    with pytest.raises(DataError, match=r"'date,time' must be a number or a time.* such as '2023-11-28 PT1H'"):
        read_and_split(frame_table("X", frame, None, order="date,time"), order="date,time")


@pytest.mark.parametrize(
    "times",
    [[k * 30 % 1440 for k in range(120)], [*range(120)], [k % 24 for k in range(120)], [2401, 9999] * 60, [0] * 120],
)
def test_numbers_beside_a_date_that_are_no_times_of_day(times: list[int]) -> None:
    frame = pl.DataFrame({"date": [at.date() for at in HOURS], "time": times, "x": [k * k % 7 for k in range(120)]})
    table = Table("some.csv", frame.with_columns(label=pl.Series([0, 1, 1] * 40)))
    assert choose_columns(table).order == "date"
    bytes_sent = frame.drop("time").with_columns(bytes=hourly("bare")["time"], label=pl.Series([0, 1, 1] * 40))
    assert choose_columns(Table("some.csv", bytes_sent)).features == ("x", "bytes")


@pytest.mark.parametrize("kind", ["times", "clock", "four"])
def test_the_estimator(kind: str) -> None:
    frame = hourly(kind)
    labeler = SequenceLabeler(order=NAMES.get(kind, "Date,Time"), budget="0", epochs=1, units=4)
    labeler.fit(frame.drop("label"), frame["label"].to_numpy())
    mixed = frame.with_row_index().sample(120, shuffle=True, seed=2)
    found = labeler.predict(mixed.drop("index", "label"))
    assert np.array_equal(found, labeler.predict(frame.drop("label"))[mixed["index"].to_numpy()])


@pytest.mark.parametrize("kind", ["times", "texts", "midnight", "hour", "four", "digits", "bare"])
def test_events(kind: str) -> None:
    row = hourly(kind).drop("label").row(7, named=True)
    if kind == "texts":
        row["Date"] = "2023-11-28"
    line = json.dumps({name: value if isinstance(value, int | float) else str(value) for name, value in row.items()})
    event = EventLines(some_model(NAMES[kind])).event(line, 1)
    assert event is not None
    assert event[1] == EventLines(some_model("at")).event('{"at": "2023-11-28T07:00:00", "x": 1}', 1)[1]  # type: ignore[index]
    with pytest.raises(DataError, match="has no "):
        EventLines(some_model(NAMES[kind])).event('{"x": 1}', 1)
    with pytest.raises(DataError, match="which is no number and no time"):
        EventLines(some_model(NAMES[kind])).event(json.dumps(dict.fromkeys(row, " ")), 1)


def test_what_stands_between() -> None:
    assert template(["year", "week"]) == ["", "-W", ""]
    assert template(["date", "hour", "minute"]) == ["", " ", ":", ""]
    assert template(["jahr", "monat"]) == ["", "-", "-01"]


@pytest.mark.parametrize("zone", ["", "Z"])
def test_times_that_parquet_holds_as_text(zone: str, tmp_path: Path) -> None:
    """As pandas writes them where nobody made them times."""
    x = np.sin(np.arange(120))
    texts = [time.isoformat() + zone for time in HOURS]
    labels = np.random.default_rng(1).integers(0, 2, 120)
    frame = pl.DataFrame({"at": texts, "^x$": x, "note": "2024-03-01, later", "label": labels})
    frame.sample(120, shuffle=True, seed=0).write_parquet(tmp_path / "some.parquet")
    split = read_and_split(tmp_path / "some.parquet")
    assert (split.columns.order, split.columns.features) == ("at", ("^x$", "note"))
    assert split.parts.train.table_rows[:3].tolist() != [0, 1, 2]
    for rows, whole in ((frame, False), (frame.reverse(), True)):
        rows.write_parquet(tmp_path / "some.parquet")
        chunks = list(stream_sequences(tmp_path / "some.parquet", Columns("label", ("^x$",), order="at"), rows=50))
        assert np.array_equal(np.concatenate([chunk.sequences.values[:, 0] for chunk in chunks]), x.astype(np.float32))
        assert all(chunk.frame.schema["at"] == pl.String for chunk in chunks)
        assert len(chunks) == 1 or not whole


DAYS = [datetime.datetime(2024, 1, 20) + datetime.timedelta(days=row) for row in range(120)]


def by_days(name: str, form: str, whole: bool = False) -> pl.DataFrame:
    """A step a day, dates of digits alone."""
    at = pl.Series(name, [day.strftime(form) for day in DAYS])
    x = np.random.default_rng(0).normal(size=120)
    return pl.DataFrame({name: at.cast(pl.Int64) if whole else at, "x": x, "label": (x > 0).astype(int)})


@pytest.mark.parametrize(
    ("name", "form", "dates"),
    [
        ("date", "%Y%m%d", None),
        ("Day", "%Y%m%d", None),
        ("MESS_DATUM", "%Y%m%d%H", None),
        ("Datum", "%d%m%Y", "day-first"),
        ("event_date", "%m%d%Y", "month-first"),
        ("yyyymm", "%Y%m", None),
        ("AAAAMMJJ", "%Y%m%d", None),
        ("year_month", "%Y%m", None),
    ],
)
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_dates_of_digits_alone(name: str, form: str, dates: str | None, ending: str, tmp_path: Path) -> None:
    path, write = tmp_path / f"some{ending}", {".csv": "csv", ".parquet": "parquet", ".jsonl": "ndjson"}[ending]
    days = [day.replace(day=1) for day in DAYS] if "%d" not in form else DAYS
    frame = by_days(name, form, whole=ending != ".csv")
    for rows in (frame, frame.reverse()):
        getattr(rows, f"write_{write}")(path)
        split = read_and_split(path)
        assert (split.columns.order, split.columns.features) == (name, ("x",))
        assert split.table.column(name).cast(pl.Datetime("us")).sort().to_list() == days
        assert split.columns.reading.dates == dates
        assert split.encoded()[0].fitted.gaps == "" or days is not DAYS
    frame.write_csv(path) if ending == ".csv" else getattr(frame, f"write_{write}")(path)
    chunks = list(stream_sequences(path, split.columns, rows=50))
    assert not chunks[-1].anew
    assert all(chunk.sequences.table_rows.tolist() == [*range(chunk.frame.height)] for chunk in chunks)
    assert sum(chunk.frame.height for chunk in chunks) == 120


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("order_id", [f"{day:%Y%m%d}" for day in DAYS]),
        pl.Series("amount", [f"{day:%Y%m%d}" for day in DAYS]),
        pl.Series("step", [str(20240101 + k) for k in range(120)]),
        pl.Series("date", [str(240101 + k) for k in range(120)]),
        pl.Series("month", [str(k % 12 + 1) for k in range(120)]),
        pl.Series("time", [str(1700000000 + k) for k in range(120)]),
        pl.Series("time", [str(2012010120 + k) for k in range(120)]),
        pl.Series("day", [str(k) for k in range(120)]),
    ],
)
def test_digits_that_are_no_dates(column: pl.Series) -> None:
    assert FieldReader().read(column.to_frame()).dtypes == [pl.Int64]
    assert FieldReader().read(column.cast(pl.Int64).to_frame()).dtypes == [pl.Int64]


def test_digits_that_somebody_calls_numbers_are_none(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    by_days("date", "%Y%m%d").with_columns(due_date="date", z=pl.col("x").cum_sum()).write_csv(path)
    assert read_and_split(path).columns.features == ("x", "z")
    assert read_and_split(path, numeric=["due_date"]).columns.features == ("x", "due_date", "z")
    some = FieldReader(whole=False)
    for whole in (False, True):
        dates = by_days("date", "%Y%m%d", whole=whole).select("date")
        others = dates.with_columns(pl.lit(20249999 if whole else "20249999").alias("date"))
        for first, second in ((dates, others), (others, dates)):
            some = FieldReader(whole=False)
            some.read(first)
            with pytest.raises(LaterRowsDifferError):
                some.read(second)


def test_whole_numbers_of_frames_that_are_dates() -> None:
    frame = by_days("date", "%Y%m%d", whole=True)
    labeler = SequenceLabeler(order="date", budget="0", epochs=1, units=4)
    labeler.fit(frame.drop("label"), frame["label"].to_numpy())
    assert labeler.columns_.fitted.gaps == ""
    mixed = frame.with_row_index().sample(120, shuffle=True, seed=2)
    found = labeler.predict(mixed.drop("index", "label"))
    texts = labeler.predict(frame.drop("label").cast({"date": pl.String}))
    assert np.array_equal(found, texts[mixed["index"].to_numpy()])


def test_dates_that_are_called_day_are_a_part_of_the_time(tmp_path: Path) -> None:
    x = np.sin(np.arange(120))
    days = [f"{time:%Y-%m-%d}" for time in HOURS]
    frame = pl.DataFrame({"day": days, "time": [f"{time:%H:%M}" for time in HOURS], "x": x, "label": [0, 1] * 60})
    frame.write_csv(tmp_path / "some.csv")
    columns = read_and_split(tmp_path / "some.csv").columns
    assert columns.order == "day,time"
    for name in ("day", "time"):
        assert next((each.role, each.why) for each in columns.guesses if each.name == name) == ("left out", TOLD)


def test_hours_that_end_at_24_stand_beside_a_date(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    rows = [(f"2024-03-{1 + row // 24:02}", f"{1 + row % 24}:00", row * row % 7, row % 2) for row in range(96)]
    frame = pl.DataFrame(rows, schema=["date", "hour_ending", "x", "label"], orient="row")
    frame.write_csv(path)
    columns = read_and_split(path).columns
    assert (columns.order, columns.features) == ("date,hour_ending", ("x",))
    (chunk,) = stream_sequences(path, columns)
    assert len(chunk.sequences.values) == 96
    other = frame.with_columns(other=pl.lit("2024-05-01"))  # two dates, neither of which is joined with the hours
    other.write_csv(path)
    assert choose_columns(read_table(path), sequence="none").order == "date"
    other.with_columns(frame["hour_ending"].shuffle(seed=0)).write_csv(path)
    with pytest.raises(DataError, match="do not stand in the order that 'date' and 'hour_ending' say together"):
        choose_columns(read_table(path), sequence="none")


def test_parts_of_times_that_are_called_as_in_forms(tmp_path: Path) -> None:
    names = ["#YY", "MM", "DD", "hh", "mm"]
    frame = pl.DataFrame([(*time.timetuple()[:4], 50) for time in HOURS], schema=names, orient="row")
    frame = frame.with_columns(x=pl.Series([row * row % 7 for row in range(120)]), label=pl.Series([0, 1] * 60))
    frame.write_csv(tmp_path / "some.csv")
    assert read_and_split(tmp_path / "some.csv").columns.order == "#YY,MM,DD,hh,mm"
    rain = frame.drop("#YY", "hh").rename({"DD": "wind"})
    assert choose_columns(Table("some.csv", rain), sequence="none").order is None


@pytest.mark.parametrize(("month", "backwards", "told"), [(10, False, True), (7, False, False), (10, True, False)])
def test_clocks_that_are_set_back_are_told(month: int, backwards: bool, told: bool) -> None:
    start = datetime.datetime(2024, month, 26, 20)
    at = [start + datetime.timedelta(minutes=5 * (row - 12 * (row >= 84))) for row in range(240)]  # from 3:00 to 2:00
    x = GENERATOR.normal(size=480)
    frame = pl.DataFrame({"machine": np.repeat(["a", "b"], 240), "time": at * 2, "x": x, "label": [0, 1] * 240})
    split = read_and_split(Table("some.csv", frame.reverse() if backwards else frame))
    said = "Careful: some.csv: the times in 'time' go back within an hour after 2024-10-27 02:55:00, as local time does"
    assert any(notice.startswith(said) and "order='none'" in notice for notice in split.notices) == told
    one = read_and_split(Table("some.csv", frame.head(240).drop("machine"))).notices
    assert any(said in notice for notice in one) == (month == 10)
    late = frame.with_columns(pl.Series("time", [*at[:100], at[70], *at[101:]] * 2))  # one row more that came late
    assert not any("go back" in notice for notice in read_and_split(Table("some.csv", late)).notices)


def test_rows_that_come_a_little_late_set_no_clock_back() -> None:
    start = datetime.datetime(2024, 3, 15)
    late = [start + datetime.timedelta(seconds=row - 3 * (row % 5 == 0)) for row in range(400)]  # flows, as they end
    frame = pl.DataFrame({"time": late, "x": GENERATOR.normal(size=400), "label": [0, 1] * 200})
    notices = read_and_split(Table("some.csv", frame)).notices
    assert any("not in the order of 'time'" in notice for notice in notices)
    assert not any("go back" in notice for notice in notices)
