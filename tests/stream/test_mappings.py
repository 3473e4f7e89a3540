"""Events as mappings, for models of tables: read as the table would be."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from bothways.errors import DataError
from stream_cases import table_model, table_rows


@pytest.mark.parametrize("gaps", ["", "numbers", "times"])
def test_mappings_give_what_a_data_frame_gives(gaps: str) -> None:
    model, rows = table_model(gaps), table_rows(gaps == "times")
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
    stream = table_model("").stream()
    good = {"bytes": 1, "on": 0, "load": None, "proto": 80, "flag": True}
    for change, said in (
        ({"bytes": "12"}, "events, row 2, column 'bytes' holds '12', which is no number"),
        ({"on": None}, "column 'on' is empty"),
    ):
        with pytest.raises(DataError, match=said):
            stream.push_many(["a", "a"], [0, 1], [good, good | change])
    with pytest.raises(DataError, match="row 1: there is no 'flag'"):
        stream.push("a", 0, {name: good[name] for name in list(good)[:-1]})
    assert stream.push("a", 0, good) == []
