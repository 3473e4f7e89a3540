"""The file of runs: nothing is lost, whatever happens while it is written."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.errors import DataError, InputError
from bothways.metrics import Counts
from bothways.study.factors import Setting
from bothways.study.runs import CURVE, DIVERGED, FAILED, Run, Store, read_runs

STUDY = {"classes": ["calm", "attack", "odd"], "task": "flows"}
EIGHT = Setting.of({"units": 8})


def made_run(seed: int, setting: Setting = EIGHT, status: str = "finished") -> Run:
    generator = np.random.default_rng(seed)
    if status != "finished":
        return Run(setting, seed, status, "The loss is nan.")
    counts = generator.integers(0, 9, (3, 5, 3)).astype(np.int32)
    alarms = {rate: generator.integers(0, 9, (5, 2)).astype(np.int32) for rate in (0.01, 0.001)}
    entities: Any = tuple(generator.integers(0, 9, (3, 5, 1)).astype(np.int32)) if seed else None
    nothing = np.full(4, np.nan)
    points = (np.arange(1, 5), generator.random(4), generator.random(4), nothing, nothing)
    return Run(
        setting,
        seed,
        counts=Counts(counts[0], counts[1], counts[2], generator.random(5), alarms, entities),
        curve=dict(zip(CURVE, points, strict=True)),
        parameters=7,
        updates=4,
        train_seconds=0.25,
    )


RUNS = [made_run(0), made_run(1), made_run(2, status=DIVERGED), made_run(0, Setting.of({"direction": "forward"}))]


def values(run: Run) -> list[Any]:
    counts: tuple[Any, ...] = ()
    if run.counts is not None:
        counts = (*run.counts.of_classes, run.counts.loss, *run.counts.alarms.values(), *(run.counts.entities or ()))
    plain = [getattr(run, each.name) for each in dataclasses.fields(run) if each.name not in ("counts", "curve")]
    return [*plain, *(array.tolist() for array in counts), *(str(run.curve[name]) for name in run.curve)]


def store(path: Path | None, fingerprint: str = "study") -> Store:
    return Store(path, fingerprint, STUDY)


def journal(path: Path, *runs: Run) -> Path:
    """What a killed process leaves."""
    kept = store(path)
    for run in runs:
        kept.add(run)
    kept._open.close()  # as the end of a process does
    return path.with_name(path.name + ".journal")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.parquet"


@pytest.mark.parametrize("killed", [False, True])
def test_runs_come_back_as_they_were(path: Path, killed: bool) -> None:
    if killed:
        journal(path, *RUNS)
    else:
        with store(path) as kept:
            for run in RUNS:
                kept.add(run)
    with store(path) as again:
        assert [values(run) for run in again.runs] == [values(run) for run in RUNS]
    assert [file.name for file in path.parent.iterdir()] == ["runs.parquet"]
    table = pl.read_parquet(path)
    assert table["direction"].to_list() == ["both"] * 3 + ["forward"]
    assert table["units"].to_list() == [8, 8, 8, 32]
    assert table["status"].to_list() == ["finished", "finished", "diverged", "finished"]
    counts = RUNS[0].counts
    assert counts is not None
    assert table["accuracy"][0] == pytest.approx(counts.true_positives.sum() / counts.support.sum())
    assert table["accuracy"][2] is None
    assert table["predicted"][0].to_list() == counts.predicted.ravel().tolist()
    assert read_runs(path)[0]["task"] == "flows"


def test_more_runs_join_those_of_a_file(path: Path) -> None:
    for run in RUNS[:2]:
        with store(path) as kept:
            kept.add(run)
    journal(path, RUNS[2])
    with store(path) as again:
        assert [run.seed for run in again.runs] == [0, 1, 2]


def test_failed_runs_are_done_again(path: Path) -> None:
    with store(path) as kept:
        kept.add(made_run(3, status=FAILED))
    assert pl.read_parquet(path)["status"].to_list() == ["failed"]
    with store(path) as again:
        assert again.runs == []


def test_one_file_is_for_one_comparison_at_a_time(path: Path) -> None:
    with store(path) as kept:
        kept.add(RUNS[0])
        with pytest.raises(InputError, match="another process is writing this file"):
            store(path)
    with store(path) as again:
        assert len(again.runs) == 1


@pytest.mark.parametrize("killed", [False, True])
def test_the_runs_of_another_study_are_refused(path: Path, killed: bool) -> None:
    if killed:
        journal(path, RUNS[0])
    else:
        with store(path) as kept:
            kept.add(RUNS[0])
    for _ in range(2):  # what is refused lets go of the file
        with pytest.raises(DataError, match="holds the runs of another study"):
            store(path, "another")


@pytest.mark.parametrize("name", ["runs.parquet", "runs.parquet.journal"])
def test_other_files_are_refused(path: Path, name: str) -> None:
    path.with_name(name).write_bytes(b"something else\nin two lines\n")
    with pytest.raises(DataError, match=r"holds no runs|no journal"):
        store(path)
    assert path.with_name(name).read_bytes() == b"something else\nin two lines\n"


def test_a_table_of_something_else_is_refused(path: Path) -> None:
    pl.DataFrame({"study": [json.dumps(STUDY)], "x": [1]}).write_parquet(path)
    with pytest.raises(DataError, match="holds no runs of a comparison"):
        store(path)


def test_an_edited_or_cut_journal_is_refused(path: Path) -> None:
    file = journal(path, *RUNS)
    content = file.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for i in range(40):
        damaged = bytearray(content)
        if i % 2:
            damaged = damaged[: generator.integers(1, len(damaged))]
        else:
            damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
        file.write_bytes(damaged)
        try:
            with store(path) as kept:
                assert all(values(run) in [values(each) for each in RUNS] for run in kept.runs)
            path.unlink(missing_ok=True)
        except DataError as error:
            assert "no journal" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 20
    database = sqlite3.connect(file.with_name("other"))
    database.execute("CREATE TABLE runs (row BLOB, checksum INTEGER)")
    database.execute("INSERT INTO runs VALUES ('x', 1)")
    database.commit()
    database.close()
    file.with_name("other").replace(file)
    with pytest.raises(DataError, match="no journal"):
        store(path)


def test_a_damaged_file_is_refused(path: Path) -> None:
    """Polars panics at some."""
    with store(path) as kept:
        for run in RUNS:
            kept.add(run)
    content, generator, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        damaged = bytearray(content)
        for place in generator.integers(len(damaged), size=3):
            damaged[place] ^= 1 << generator.integers(8)
        path.write_bytes(damaged)
        try:
            read_runs(path)
        except DataError:
            refused += 1
    assert refused > 20


def test_a_journal_that_was_just_begun_is_gone_on_with(path: Path) -> None:
    """A process may be killed when the file is there, and nothing in it."""
    path.with_name("runs.parquet.journal").touch()
    with store(path) as kept:
        kept.add(RUNS[0])
    with store(path) as again:
        assert [values(run) for run in again.runs] == [values(RUNS[0])]


def test_a_link_is_not_followed(path: Path) -> None:
    target = path.with_name("precious")
    target.write_bytes(b"no newline")
    path.with_name("runs.parquet.journal").symlink_to(target)
    with pytest.raises(DataError, match="this is a link"):
        store(path)
    assert target.read_bytes() == b"no newline"


@pytest.mark.parametrize("limit", [1_000, 40_000])
@pytest.mark.slow
def test_a_full_disk_is_told(path: Path, limit: int) -> None:
    """A file may have `limit` bytes: too few for the journal, or for the Parquet file."""
    code = f"""
import resource, signal
from pathlib import Path
from test_runs import RUNS, made_run, store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from bothways.errors import DataError
try:
    with store(Path({str(path)!r})) as kept:
        if {limit} > 10_000:
            for seed in range(3):
                kept.add(made_run(seed))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
        if {limit} < 10_000:
            kept.add(RUNS[0])
except DataError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-B", "-c", code]  # -B: bytecode of modules would be cut off as well, and stay so
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "cannot be written" in done.stdout, done.stdout + done.stderr
    assert not path.exists()
    with store(path) as again:  # what was kept before is there
        assert len(again.runs) == (3 if limit > 10_000 else 0)


def test_what_cannot_be_written_is_told_before(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.parquet"):
        store(tmp_path / "runs.csv")
    with pytest.raises(InputError, match="there is no folder"):
        store(tmp_path / "nowhere" / "runs.parquet")
    path = tmp_path / "runs.parquet"
    path.with_name("runs.parquet.journal").mkdir()
    with pytest.raises(DataError, match=r"runs.parquet.journal: this is no journal"):
        store(path)


def test_without_a_file_runs_stay_in_memory() -> None:
    with store(None) as kept:
        kept.add(RUNS[0])
    assert kept.runs == [RUNS[0]]
