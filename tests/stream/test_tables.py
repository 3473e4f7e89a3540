"""Events as mappings, for models of tables: read as the table would be."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import Columns, Encoding
from bothways.data.encoding import Category, Number
from bothways.errors import DataError
from bothways.network import Network
from bothways.runtime import Member, Model

START = datetime(2024, 2, 28, 23, 59, 58, 123457)


def model_of(gaps: str) -> Model:
    random = np.random.default_rng(0)
    numbers = (Number("bytes", fill=3.5, flagged=True), Number("on"), Number("load", fill=0.25))
    encoding = Encoding(numbers, (Category("proto", ("tcp", None, "80")), Category("flag", ("true",))), gaps)
    columns = Columns(
        label="attack",
        features=("bytes", "on", "load", "proto", "flag"),
        categories=("proto", "flag"),
        sequence="flow",
        order="at",
        encoding=encoding,
    )
    network = Network(features=len(encoding.names), classes=2, categories=encoding.sizes, units=8)
    weights = {
        name: random.uniform(0.1, 1, shape).astype(np.float32) for name, shape in network.weight_shapes().items()
    }
    return Model([Member(network, weights)], ("no", "yes"), columns)


def rows_of(times: bool) -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    at = np.cumsum(random.integers(1, 10**7, 200)).tolist()
    return [
        {
            "flow": f"f{i % 3}",
            "at": START + timedelta(microseconds=at[i]) if times else at[i],
            "bytes": [None, i, float("nan"), i / 7][i % 4],
            "on": i % 2 == 0,
            "load": random.normal(),
            "proto": ["tcp", None, "80", "udp"][i % 4],
            "flag": i % 5 == 0,
        }
        for i in range(200)
    ]


@pytest.mark.parametrize("gaps", ["", "numbers", "times"])
def test_mappings_give_what_a_data_frame_gives(gaps: str) -> None:
    model, rows = model_of(gaps), rows_of(gaps == "times")
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


def test_fields_that_do_not_fit_are_named() -> None:
    stream = model_of("").stream()
    good = {"bytes": 1, "on": 0, "load": None, "proto": 80, "flag": True}
    for change, said in (
        ({"bytes": "12"}, "events, row 2, column 'bytes' holds '12', which is no number"),
        ({"on": None}, "column 'on' is empty"),
        ({"load": 1e300}, "no finite float32"),
    ):
        with pytest.raises(DataError, match=said):
            stream.push_many(["a", "a"], [0, 1], [good, good | change])
    with pytest.raises(DataError, match="row 1: there is no 'flag'"):
        stream.push("a", 0, {name: good[name] for name in list(good)[:-1]})
    assert stream.push("a", 0, good) == []
