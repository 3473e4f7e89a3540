"""A test part full of nonsense changes nothing in a model, of whatever it is made and whatever chose it."""

from __future__ import annotations

import datetime
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import jobs
from bothways.study import refit, tuning

START = datetime.datetime(2026, 3, 2, 7, 30)
STEPS, SEQUENCES = 12, 60
QUICK: dict[str, Any] = {"epochs": 3, "units": 4}


def clean(kind: str) -> pl.DataFrame:
    """Sequences with labels per step or sequence, which go by numbers, codes and the time of day, or by words."""
    random, rows = np.random.default_rng(0), np.arange(SEQUENCES * STEPS)
    flow = rows // STEPS
    minutes = flow * 7 * 24 * 60 // SEQUENCES + rows % STEPS * 5  # over seven days
    x, code = random.normal(size=len(rows)).round(3), random.choice(["read", "write", "open"], len(rows))
    label = (x > 0.8) | ((code == "open") & (x > 0))
    if kind == "sequence":
        label = np.repeat(random.random(SEQUENCES) < 0.4, STEPS)
        x = (x + label).round(3)
    names = [f"{'un' if i % 3 else 're'}{'abcdefghij'[i % 10]}{i}{'ing' if i % 2 else 'ed'}" for i in range(1500)]
    words = random.choice(1500, len(rows))
    frame = pl.DataFrame({"flow": flow, "part": np.array(["train", "train", "valid", "test"])[flow % 4]})
    if kind == "words":
        return frame.with_columns(
            step=pl.Series(rows % STEPS),
            word=pl.Series([names[i] for i in words]),
            label=pl.Series(words % 3).cast(str),
        )
    return frame.with_columns(
        at=pl.Series([START + datetime.timedelta(minutes=int(each)) for each in minutes]),
        x=pl.Series(np.where(random.random(len(rows)) < 0.1, np.nan, x)),
        code=pl.Series(code),
        label=pl.Series(np.where(label, "bad", "good")),
    )


def poisoned(frame: pl.DataFrame) -> pl.DataFrame:
    """The table with other times, numbers, kinds and labels in its test part."""
    wrong = {
        "at": pl.col("at") + pl.duration(days=1000) + (pl.col("at") - START) * 3,
        "x": pl.lit(1e30),
        "code": pl.lit("format"),
        "word": pl.concat_str(pl.lit("zz"), "word"),
        "label": pl.lit("ape"),
    }
    test = pl.col("part") == "test"
    return frame.with_columns(
        pl.when(test).then(value).otherwise(name).alias(name) for name, value in wrong.items() if name in frame.columns
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["step", "sequence", "words"])
def test_a_model_is_the_same_whatever_stands_in_the_test_part(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics, quantiles, categories, clocks, spellings, members, temperatures, thresholds: all of the file."""
    monkeypatch.setattr(refit, "SPARE", 1e12)
    for room in (tuning, refit):
        monkeypatch.setattr(room, "processes", lambda workers: 1)
    found: list[dict[str, Any]] = []
    data, output = tmp_path / "some.parquet", tmp_path / "some.bothways"
    for frame in (clean(kind), poisoned(clean(kind))):
        frame.write_parquet(data)
        roles: dict[str, Any] = {"label": "label", "sequence": "flow", "split": "part"}
        roles["order"] = "at" if "at" in frame.columns else "step"
        quiet: dict[str, Any] = {"say": lambda message: None, "allow_leaks": True}
        jobs.train(data, output, settings=QUICK, budget="0.0000001s", **quiet, **roles)
        with zipfile.ZipFile(output) as archive:
            found.append({each: archive.read(each) for each in archive.namelist()})
    described = [json.loads(each.pop("model.json")) for each in found]
    assert described[0] == described[1]
    assert found[0] == found[1]
    assert {"search", "refit", "thresholds", "decisions"} <= described[0]["facts"].keys()
    assert described[0]["facts"]["decisions"]
    if kind != "words":
        assert described[0]["threshold"] != 0.5
