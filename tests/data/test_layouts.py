"""Rows that are separate cases, such as one per person, and not the steps of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import read_and_split
from bothways.tables import Table

RANDOM = np.random.default_rng(0)
ROWS = 200
PEOPLE: dict[str, Any] = {
    "age": RANDOM.integers(18, 80, ROWS),
    "fare": RANDOM.gamma(2, 20, ROWS),
    "cabin": RANDOM.choice(["first", "second", "third"], ROWS),
    "label": RANDOM.choice(["lived", "died"], ROWS),
}
WALK: dict[str, Any] = {
    **{name: RANDOM.normal(size=ROWS).cumsum() for name in ("x", "y", "z")},
    "label": np.repeat([*"abab"], ROWS // 4),
}
CASES = "Careful: rows look like separate cases"


def said(columns: Any, **roles: Any) -> str:
    return "\n".join(read_and_split(Table("some.csv", pl.DataFrame(columns)), **roles).notices)


@pytest.mark.parametrize("by_label", [False, True])
def test_rows_that_look_like_separate_cases_are_told_with_what_is_assumed_and_what_helps(by_label: bool) -> None:
    people = pl.DataFrame(PEOPLE)
    people = people.sort("label").select("age", "fare", "label", "cabin") if by_label else people
    notice = said(people)
    assert CASES in notice
    assert "steps of one sequence" in notice
    assert "sequence='case' (pandas: frame.assign(case=range(len(frame))))" in notice
    assert CASES not in said(people, sequence="none"), "somebody said that they are steps"
    assert CASES not in said(people.with_row_index("case"), sequence="case")


@pytest.mark.parametrize("name", ["passenger", "index", "customer_id"])
def test_a_column_that_numbers_the_cases_is_named(name: str) -> None:
    numbers = pl.Series(name, range(1, ROWS + 1))
    ids = numbers if name != "customer_id" else numbers.shuffle(1).cast(pl.String) + "-X"
    notice = said({name: ids, **PEOPLE})
    assert CASES in notice
    assert f"use sequence={name!r}." in notice
    assert CASES not in said({name: ids, **PEOPLE}, sequence=name)


@pytest.mark.parametrize(
    "columns",
    [
        WALK,
        {"time": np.arange(ROWS), **PEOPLE},
        {"event": PEOPLE["cabin"], "label": PEOPLE["label"]},
    ],
    ids=["go on", "a clock", "one column of events"],
)
def test_steps_are_no_cases(columns: dict[str, Any]) -> None:
    assert CASES not in said(columns)
