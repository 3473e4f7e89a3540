"""Times of day and weekdays as features: only where they show labels of other days."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import match_columns, read_and_split
from bothways.data.calendar import CLOCK, clock_of, timestamps
from bothways.data.encoding import Encoding
from bothways.errors import DataError
from bothways.tables.table import Table

HOURS = np.arange(24 * 7 * 6)  # from a Monday on, for six weeks
START = datetime(2024, 1, 1)
NOISE = np.random.default_rng(0).normal(size=len(HOURS))


def encoding_of(label: Any, times: Any = None, **roles: Any) -> tuple[Encoding, list[str]]:
    at = [START + timedelta(hours=each) for each in HOURS.tolist()] if times is None else times
    frame = pl.DataFrame({"at": at, "x": NOISE[: len(at)], "label": label[: len(at)]})
    table = Table("some.csv", frame.with_columns(part=pl.int_range(pl.len()) // 168))
    columns, _, notices = read_and_split(table, sequence="part", order="at", **roles).encoded()
    return columns.fitted, notices


def test_a_time_of_day_that_shows_labels_is_a_feature() -> None:
    encoding, notices = encoding_of(HOURS % 24 >= 18)
    assert encoding.clock == ("time of day",)
    assert encoding.names == ("x", "time of day")
    assert "The time of day of 'at' is a feature, since it makes labels of other days likelier." in notices


def test_a_weekday_that_shows_labels_is_one_too() -> None:
    encoding, notices = encoding_of((HOURS // 24 % 7 == 6) & (HOURS % 24 > 8))
    assert encoding.clock == CLOCK
    assert any("The time of day and the weekday of 'at' are features, since they make" in each for each in notices)


@pytest.mark.parametrize("seed", range(3))
def test_what_shows_nothing_is_none(seed: int) -> None:
    """Noise; what happened at one time on one day; and what the other features say."""
    random = np.random.default_rng(seed)
    assert encoding_of(random.integers(0, 2, len(HOURS)))[0].clock == ()
    assert encoding_of((500 + seed <= HOURS) & (HOURS < 512))[0].clock == ()
    assert encoding_of(0.2 * seed < NOISE)[0].clock == ()


def test_few_days_other_orders_and_labels_of_sequences_have_none() -> None:
    label = HOURS % 24 >= 18
    assert encoding_of(label, [START + timedelta(minutes=each) for each in HOURS.tolist()])[0].clock == ()
    assert encoding_of(label, HOURS * 3600.0)[0].clock == ()
    assert encoding_of(HOURS // 168 % 2, per="sequence")[0].clock == ()


def test_times_with_zones_are_in_utc() -> None:
    there = timezone(timedelta(hours=5))
    places = pl.Series([datetime(2024, 5, 1, 2, 30, tzinfo=there), datetime(2024, 5, 1, 5, 0, tzinfo=there)])
    assert clock_of(timestamps(places), CLOCK).tolist() == [[21.5, 1], [0, 2]]
    assert clock_of(timestamps(pl.Series([datetime(1969, 12, 28, 23)])), CLOCK).tolist() == [[23, 6]]


@pytest.mark.parametrize("kind", [pl.Time, pl.Duration("us")])
def test_times_of_day_and_durations_have_gaps_and_no_clock(kind: Any) -> None:
    places = pl.Series("at", [0, 1, 9, 10] * 10).sort() * 60_000_000
    at = places.cast(kind) if kind != pl.Time else (places * 1000).cast(pl.Time)
    frame = pl.DataFrame({"at": at, "x": NOISE[:40], "label": [0, 1] * 20})
    columns, parts, _ = read_and_split(Table("some.csv", frame), order="at").encoded()
    assert columns.fitted.names == ("x", "gap")
    assert parts.train.values[10, 1] == np.log1p(np.float32(60))
    dates = replace(columns, encoding=replace(columns.fitted, clock=CLOCK))
    with pytest.raises(DataError, match=r"'at' is of type .*; the model was trained on dates"):
        match_columns(Table("some.csv", frame), dates, label=False)


def test_gaps_of_durations_are_those_of_their_seconds() -> None:
    """Which CSV files, `predict` among those who write them, and streams have in their place."""
    at = pl.Series("at", [0, 1, 9, 10] * 10).sort() * 60_000_000
    frames = [
        pl.DataFrame({"at": each, "x": NOISE[:40], "label": [0, 1] * 20}) for each in (at.cast(pl.Duration), at / 1e6)
    ]
    for frame in frames:
        columns, parts, _ = read_and_split(Table("some.csv", frame), order="at").encoded()
        assert (columns.fitted.order, parts.train.values[10, 1]) == ("numbers", np.log1p(np.float32(60)))
        for other in frames:
            match_columns(Table("some.csv", other), columns, label=False)
    earlier = replace(columns, encoding=replace(columns.fitted, gaps="times"))
    match_columns(Table("some.csv", frames[0]), earlier, label=False)
