"""Features that do not know the level: changes, and numbers without the mean of their sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import Columns, Table, choose_columns
from bothways.data.encoding import Encoding
from bothways.errors import InputError
from bothways.sequences import Sequences
from prepared import prepared

CO2 = [400.0, 410.0, 430.0, 430.0, 900.0, 880.0, 850.0]


def split(co2: list[float], **how: Any) -> tuple[Columns, Sequences, Sequences]:
    frame = pl.DataFrame(
        {
            "day": ["a"] * 4 + ["b"] * 3,
            "co2": co2,
            "room": ["x", "y"] * 3 + ["x"],
            "label": [0, 1, 0, 1, 0, 1, 0],
            "split": ["train"] * 4 + ["test"] * 3,
        }
    )
    table = Table("rooms.csv", frame)
    columns = choose_columns(table, label="label", sequence="day", order=None, split="split")
    columns, parts, _ = prepared(table, columns, **how)
    assert parts.test is not None
    return columns, parts.train, parts.test


def test_changes_stand_beside_the_numbers_and_start_anew_with_each_sequence() -> None:
    columns, train, test = split(CO2, changes=2)
    assert columns.fitted.names == ("co2", "change of co2", "room")
    np.testing.assert_array_equal(train.values[:, 1], [0, 10, 30, 20])
    np.testing.assert_array_equal(test.values[:, 0], CO2[4:])
    np.testing.assert_array_equal(test.values[:, 1], [0, -20, -50])


def test_a_level_that_drifts_from_day_to_day_changes_nothing_once_centered() -> None:
    drifted = [x + 64 for x in CO2[:4]] + [x - 128 for x in CO2[4:]]
    columns, train, test = split(CO2, changes=2, centered=True)
    _, other_train, other_test = split(drifted, changes=2, centered=True)
    assert columns.fitted.names == ("co2", "change of co2", "room")
    np.testing.assert_array_equal(train.values, other_train.values)
    np.testing.assert_allclose(test.values, other_test.values, atol=1e-4)
    np.testing.assert_array_equal(train.values[:, 2], [1, 2, 1, 2])  # categories are not centered


def test_a_model_file_keeps_both() -> None:
    encoding = split(CO2, changes=2, centered=True)[0].fitted
    assert (encoding.changes, encoding.centered) == (2, True)
    assert Encoding.from_json(encoding.to_json()) == encoding


def test_steps_below_none_are_refused() -> None:
    with pytest.raises(InputError, match=r"changes is -1; it must be a whole number"):
        split(CO2, changes=-1)
