"""The file of runs: nothing is lost, whatever happens while it is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bothways.errors import DataError
from bothways.metrics import Counts
from bothways.study.runs import DIVERGED, FAILED, Curve, Journal, Run, read_runs

STUDY = {"classes": ["calm", "attack", "odd"], "task": "flows"}


def made_run(seed: int, key: str = '{"units": 8}', status: str = "finished") -> Run:
    generator = np.random.default_rng(seed)
    if status != "finished":
        return Run(key, seed, status, "The loss is nan.")
    counts = generator.integers(0, 9, (3, 5, 3)).astype(np.int32)
    alarms = {rate: generator.integers(0, 9, (5, 2)).astype(np.int32) for rate in (0.01, 0.001)}
    judged = Counts(counts[0], counts[1], counts[2], generator.random(5).astype(np.float32), alarms)
    nothing = np.full(4, np.nan)
    curve = Curve(np.arange(1, 5), generator.random(4), generator.random(4), nothing, nothing)
    return Run(key, seed, judged=judged, curve=curve, parameters=7, updates=4, train_seconds=0.25)


def check_same(one: Run, other: Run) -> None:
    for field in dataclasses.fields(Run):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name not in ("judged", "curve"):
            assert a == b, field.name
        elif a is None:
            assert b is None
        else:
            for part in dataclasses.fields(a):
                left, right = getattr(a, part.name), getattr(b, part.name)
                pairs = [(left, right)] if part.name != "alarms" else [(left[rate], right[rate]) for rate in left]
                for x, y in pairs:
                    np.testing.assert_array_equal(x, y)
                    assert x.dtype == y.dtype


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.parquet"


RUNS = [made_run(0), made_run(1), made_run(2, status=DIVERGED), made_run(0, '{"direction": "forward"}')]


@pytest.mark.parametrize("closed", [False, True])
def test_runs_come_back_as_they_were(path: Path, closed: bool) -> None:
    journal = Journal(path, "study", STUDY)
    for run in RUNS:
        journal.append(run)
    if closed:
        journal.close()
    again = Journal(path, "study", STUDY).runs
    assert len(again) == len(RUNS)
    for one, other in zip(RUNS, again, strict=True):
        check_same(one, other)


def test_one_parquet_file_is_left(path: Path) -> None:
    journal = Journal(path, "study", STUDY)
    for run in RUNS:
        journal.append(run)
    journal.close()
    assert [file.name for file in path.parent.iterdir()] == ["runs.parquet"]
    table = pl.read_parquet(path)
    assert table["direction"].to_list() == ["both"] * 3 + ["forward"]
    assert table["units"].to_list() == [8, 8, 8, 32]
    assert table["status"].to_list() == ["finished", "finished", "diverged", "finished"]
    judged = RUNS[0].judged
    assert judged is not None
    assert table["accuracy"][0] == pytest.approx(judged.true_positives.sum() / judged.support.sum())
    assert table["accuracy"][2] is None
    assert table["true_positives"][0].to_list() == judged.true_positives.ravel().tolist()
    assert read_runs(path)[0]["task"] == "flows"


def test_a_line_that_a_kill_cut_off_is_left_out(path: Path) -> None:
    journal = Journal(path, "study", STUDY)
    journal.append(RUNS[0])
    journal.append(RUNS[1])
    file = path.with_name("runs.parquet.journal")
    content = file.read_bytes()
    file.write_bytes(content[:-20])
    again = Journal(path, "study", STUDY)
    assert [run.seed for run in again.runs] == [0]
    again.append(RUNS[2])
    assert [run.seed for run in Journal(path, "study", STUDY).runs] == [0, 2]


def test_more_runs_join_those_of_a_file(path: Path) -> None:
    for run in RUNS[:2]:
        journal = Journal(path, "study", STUDY)
        journal.append(run)
        journal.close()
    assert [run.seed for run in Journal(path, "study", STUDY).runs] == [0, 1]


def test_failed_runs_are_done_again(path: Path) -> None:
    journal = Journal(path, "study", STUDY)
    journal.append(made_run(3, status=FAILED))
    journal.close()
    assert pl.read_parquet(path)["status"].to_list() == ["failed"]
    assert Journal(path, "study", STUDY).runs == []


@pytest.mark.parametrize("closed", [False, True])
def test_the_runs_of_another_study_are_refused(path: Path, closed: bool) -> None:
    journal = Journal(path, "study", STUDY)
    journal.append(RUNS[0])
    if closed:
        journal.close()
    with pytest.raises(DataError, match="holds the runs of another study"):
        Journal(path, "another", STUDY)


@pytest.mark.parametrize("name", ["runs.parquet", "runs.parquet.journal"])
def test_other_files_are_refused(path: Path, name: str) -> None:
    path.with_name(name).write_bytes(b"something else\nin two lines\n")
    with pytest.raises(DataError, match=r"holds no runs|no journal"):
        Journal(path, "study", STUDY)


def test_a_table_of_something_else_is_refused(path: Path) -> None:
    pl.DataFrame({"study": [json.dumps(STUDY)], "x": [1]}).write_parquet(path)
    with pytest.raises(DataError, match="holds no runs of a comparison"):
        Journal(path, "study", STUDY)


def test_what_cannot_be_written_is_told(path: Path) -> None:
    journal = Journal(path, "study", STUDY)
    path.with_name("runs.parquet.journal").mkdir()
    with pytest.raises(DataError, match=r"runs.parquet.journal: cannot be"):
        journal.append(RUNS[0])


def test_without_a_file_runs_stay_in_memory() -> None:
    journal = Journal(None, "study", STUDY)
    journal.append(RUNS[0])
    journal.close()
    assert journal.runs == [RUNS[0]]
