"""Ctrl-C and SIGTERM, at any moment of any command."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import bothways
from bothways import interrupts, jobs
from bothways.interrupts import deferred

COMMANDS = {
    "demo": ["demo"],
    "train": ["train", "flows.csv", "--label", "kind", "-o", "flows.bothways"],
    "compare": ["compare", "cumulative-sum", "-o", "runs.parquet"],
}
ON_MODELS = {
    "evaluate": ["evaluate", "flows.bothways", "flows.csv", "--split", "all"],
    "predict": ["predict", "flows.bothways", "flows.csv", "-o", "labeled.csv"],
    "info": ["info", "flows.bothways"],
    "export": ["export", "flows.bothways", "-o", "flows.onnx"],
    "quantize": ["quantize", "flows.bothways", "flows.csv", "-o", "small.bothways"],
    "page": ["page", "flows.bothways", "-o", "flows.html"],
}
"""Commands on a model, which import for most of their time."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    frame = pl.DataFrame({"flow": np.arange(400) // 8, "x": generator.random(400), "kind": generator.random(400) < 0.5})
    frame.write_csv(tmp_path / "flows.csv")
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bothways", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stopped(process: subprocess.Popen[str], number: int = signal.SIGINT) -> str:
    """Send the signal, see that the process ends as it should; gives what it said."""
    sent = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    print(f"ended after {(took := time.monotonic() - sent):.2f} s")  # pytest -rP shows it
    assert took < 5  # 1 s where nothing else runs
    assert (process.returncode, out) == (128 + number, ""), err
    assert err.count("Stopped.") == 1
    assert "Traceback" not in err
    return err


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_ends_a_command(folder: Path, name: str) -> None:
    stop_at_some_moment(folder, COMMANDS[name], 2)
    assert not set(folder.iterdir()) - {folder / "flows.csv", folder / "flows.bothways.checkpoint"}


@pytest.mark.slow
def test_a_signal_ends_the_commands_on_a_model(folder: Path) -> None:
    how: dict[str, Any] = {"label": "kind", "sequence": "flow", "settings": {"epochs": 1, "units": 2}}
    jobs.train(folder / "flows.csv", folder / "flows.bothways", **how, say=lambda text: None)
    there = set(folder.iterdir())
    for arguments in ON_MODELS.values():
        stop_at_some_moment(folder, arguments, 0.3)
        assert set(folder.iterdir()) == there


def stop_at_some_moment(folder: Path, arguments: list[str], latest: float) -> None:
    process = start(folder, *arguments)
    while len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1:  # signals are not watched yet
        time.sleep(0.01)
    time.sleep(random.uniform(0, latest))
    stopped(process, random.choice([signal.SIGINT, signal.SIGTERM]))


@pytest.mark.parametrize(
    ("how", "progress"),
    [
        (["--budget", "0", "--epochs", "1000000", "--patience", "0"], "epoch"),
        pytest.param(["--budget", "10m", "--epochs", "2", "--units", "2"], "1 training done", marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_in_training_keeps_the_best_model(folder: Path, how: list[str], progress: str) -> None:
    process = start(folder, *COMMANDS["train"], "--sequence", "flow", *how)
    assert process.stderr is not None
    line = ""
    while not line.startswith(progress):
        line = process.stderr.readline()
        assert line, "it ended by itself"
    said = stopped(process)
    assert "flows.bothways" in said.splitlines()[-1]
    assert "--resume" in said.splitlines()[-1]
    model = bothways.load(folder / "flows.bothways")
    assert model.facts["epochs"] >= 1


@pytest.mark.slow
def test_ctrl_c_while_fitting_again_keeps_the_model_before(folder: Path) -> None:
    how = ["--sequence", "flow", "--budget", "0.1s", "--epochs", "50", "--patience", "0", "--units", "2"]
    process = start(folder, *COMMANDS["train"], *how)
    assert process.stderr is not None
    line = ""
    while not line.startswith("Fitting what was chosen again"):
        line = process.stderr.readline()
        assert line, "it ended by itself"
    assert "flows.bothways learned from the train part alone" in stopped(process)
    assert "refit" not in bothways.load(folder / "flows.bothways").facts
    assert (folder / "flows.bothways.checkpoint").exists()
    again = start(folder, *COMMANDS["train"], *how, "--resume")
    _, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert "refit" in bothways.load(folder / "flows.bothways").facts
    assert not (folder / "flows.bothways.checkpoint").exists()


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_with_what_it_had(folder: Path) -> None:
    command = [*COMMANDS["train"], "--sequence", "flow", "--epochs", "2", "--units", "2", "--budget", "10m"]
    process = start(folder, *command)
    while not (folder / "flows.bothways.checkpoint").exists():
        assert process.poll() is None, "it ended by itself"
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=30)
    assert not (folder / "flows.bothways").exists()
    again = start(folder, *command, "--resume")
    assert again.stderr is not None
    line = ""
    while not re.match(r"\d+ trainings? done", line):
        line = again.stderr.readline()
        assert line, "it ended by itself"
    assert int(line.split()[0]) > 1, "the first one after it was killed is not the first of all"
    stopped(again)
    trials = bothways.load(folder / "flows.bothways").facts["search"]["trials"]
    assert len(trials) >= int(line.split()[0])


def test_what_libraries_say_is_no_signal_where_the_standard_streams_are_closed() -> None:
    code = (
        "import os, sys, time; from bothways import __main__, cli;"
        "cli.main = lambda: (os.write(2, b'2026: a warning'), sys.stdout.flush(), time.sleep(0.2), sys.exit(7));"
        "__main__.main()"
    )
    done = subprocess.run(["sh", "-c", f'exec {sys.executable} -c "$0" >&- 2>&-', code], timeout=20)
    assert done.returncode == 7


def test_ctrl_c_is_noted_where_it_is_deferred() -> None:
    with deferred() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        stop.raises = True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_another_thread_is_in_no_block_of_the_main_one() -> None:
    """A pool of threads, or of none, trains in one: a training whose time is over must not stop the search."""

    def stop_own() -> None:
        with deferred() as own:
            own.requested = True

    with deferred() as stop:
        with deferred() as inner:
            assert inner is stop
        (thread := threading.Thread(target=stop_own)).start()
        thread.join()
    assert not stop.requested


def test_an_error_waits_for_the_end_that_caused_it() -> None:
    """Once a signal ends the process its children die, and what misses them must not choose the exit code."""
    settled = threading.Thread(target=interrupts.settle, daemon=True)
    with interrupts._ending:
        settled.start()
        settled.join(0.2)
        assert settled.is_alive()
    settled.join(5)
    assert not settled.is_alive()


def test_files_that_are_begun_while_it_ends_do_not_keep_it() -> None:
    code = """
from bothways import interrupts
class Leftover:
    def unlink(self): interrupts.leftovers.add(Leftover())
interrupts.leftovers.add(Leftover())
interrupts.leave(7)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 7


def test_who_handles_ctrl_c_goes_on_to(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with deferred() as stop:
            signal.raise_signal(signal.SIGINT)
        assert (heard, stop.requested) == ([signal.SIGINT], False)
    finally:
        signal.signal(signal.SIGINT, before)
