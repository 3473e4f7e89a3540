"""`bothways compare`: what it prints, what it refuses, and how it shows runs come in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from bothways.cli import main
from bothways.cli.compare import _live_table, run_progress
from bothways.metrics import Counts, score
from bothways.study.factors import Setting
from bothways.study.pool import Progress
from bothways.study.runs import DIVERGED, Run

RunCommand = Callable[..., tuple[int, str, str]]
SMALL = ["--set", "units=4", "--set", "epochs=1", "--seeds", "2"]
PROBLEM = ["cumulative-sum", "--problem", "sequences=40", "--problem", "unseen=30", *SMALL]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Runs a command; gives exit code, standard output, standard error."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["compare", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run_command


@pytest.mark.slow
def test_tables_sentences_and_a_page(run: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "compare.html"
    code, out, err = run(*PROBLEM, "--vary", "direction,merge=concat,sum", "--report", path)
    assert code == 0, err
    assert "median accuracy over 2 seeds" in out
    assert "possible reading forward or both: 1" in out
    assert "With 2 seeds no difference can be significant" in out
    assert "direction explains" in out
    assert "6 settings, 4 of them with runs of their own, 2 seeds: 8 runs." in err
    assert "8 of 8 runs" in err
    rows = [line for line in out.splitlines() if line.strip().startswith(("forward", "backward", "both"))]
    assert len(rows) == 8  # four settings in two tables
    assert path.read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_a_table_and_one_json_object(run: RunCommand, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "host": np.repeat(np.arange(40), 5),
            "at": np.tile(np.arange(5), 40),
            "bytes": generator.random(200),
            "call": generator.choice(["open", "read", "exec"], 200),
        }
    ).with_columns(pl.when(pl.col("call") == "exec").then(pl.lit("attack")).otherwise(pl.lit("calm")).alias("kind"))
    path, runs = tmp_path / "flows.csv", tmp_path / "runs.parquet"
    frame.write_csv(path)
    roles = ["--label", "kind", "--sequence", "host", "--order", "at"]
    code, out, err = run(path, *roles)
    assert (code, out) == (2, "")
    assert "Column 'call' gives the answer away" in err
    roles.append("--allow-leaks")
    code, out, err = run(path, *roles, *SMALL, "--vary", "embedding=2,4", "-o", runs, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["metric"] == "f1"
    assert [setting["factors"] for setting in found["settings"]].count({"embedding": 2}) == 1
    assert len(found["settings"][0]["runs"]) == 2
    assert pl.read_parquet(runs).height == 4
    code, out, _ = run(
        path, *roles, *SMALL, "--vary", "embedding=2,4", "-o", runs, "--json", "--metric", "detection@0.01"
    )
    again = json.loads(out)
    assert {s["metric"] for s in again["settings"]} == {"detection@0.01"}
    code, _, err = run(path, *roles, *SMALL, "--vary", "embedding=2", "-o", runs, "--drop", "bytes")
    assert code == 2
    assert "holds the runs of another study: the data are others. Give another output" in " ".join(err.split())
    same = [path, *roles, *SMALL, "--vary", "embedding=2", "-o", runs]
    code, _, err = run(*same, "--metric", "detection@0.05")
    assert code == 2
    said = "another study: false_alarm_rates is [0.01, 0.001] there and [0.01, 0.001, 0.05] here. Give another output"
    assert said in " ".join(err.split())
    code, _, err = run(*same, "--positive", "calm")
    assert code == 2
    assert "another study: positive is 'attack' there and 'calm' here. Give another output" in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cumulative-sun"], "no such problem"),
        (["nowhere.csv"], "nowhere.csv"),
        (["cumulative-sum", "--vary", "wings"], "no factor 'wings'"),
        (["cumulative-sum", "--vary", "direction=up"], "no direction 'up'"),
        (["cumulative-sum", "--set", "units"], "write NAME=VALUE"),
        (["cumulative-sum", "--problem", "steps=few"], "write NAME=NUMBER"),
        (["cumulative-sum", "--vary", "units=1,2,3", "--seeds", "2000"], "are 6,000 runs"),
        (["cumulative-sum", "--vary", "conv.window=0,12"], "longer than the longest training sequence"),
        (["cumulative-sum", "--report", "page.txt"], "must end in .html"),
        (["cumulative-sum", "--fraction", "2"], "fraction is 2"),
        (["cumulative-sum", "--redraw"], "cumulative-sum is a generated problem, and --redraw is for tables"),
        (
            ["cumulative-sum", "--label", "y", "--drop", "a,b", "--allow-leaks"],
            "--label, --drop, --allow-leaks are for",
        ),
        (["cumulative-sum", "--decimal", "comma"], "--decimal is for tables"),
        (["cumulative-sum", "--set", "cell=gru", "--set", "cell=lstm"], "The factor cell is given twice"),
        (["cumulative-sum", "--set", "merge=sum", "--set", "merge_mode=sum"], "The factor merge_mode is given twice"),
        (["cumulative-sum", "--reference", "direction=both", "--reference", "direction=forward"], "direction is given"),
        (["cumulative-sum", "--problem", "steps=5", "--problem", "steps=6"], "parameter steps is given twice"),
    ],
)
def test_bad_use(run: RunCommand, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


def three_runs() -> Progress:
    ones = np.ones((2, 2), np.int32)
    counts = Counts(ones, ones, ones, np.ones(2))
    eight, nine = Setting.of({"units": 8}), Setting.of({"units": 9})
    done = [Run(eight, 0, counts=counts), Run(Setting(), 0, DIVERGED)]
    return Progress(score("macro_f1", (0, 1)), 5, done=done, running=[Setting(), nine])


def test_runs_come_in_on_a_terminal() -> None:
    console = Console(width=100, record=True, force_terminal=True)
    console.print(_live_table(three_runs()))
    shown = console.export_text()
    assert "all defaults" in shown
    assert "macro F1 so far" in shown  # the score of the result
    assert shown.count("training") == 2
    assert "units=9" in shown
    assert "1.0000" in shown
    assert "2 of 5 runs, 1 diverged" in shown


def test_runs_come_in_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    progress = three_runs()
    with run_progress() as log:
        for _ in range(3):
            log(progress)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "2 of 5 runs, 1 diverged" in err
