"""The bench: who takes part, what is counted, and that nothing breaks it. Peers need not be installed."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.bench import (
    DTYPES,
    MODES,
    PEERS,
    SHAPES,
    Benchmark,
    Case,
    Measurement,
    Shape,
    choose_peers,
    choose_shapes,
    measure,
    peers,
    rounds,
    worker,
)
from bothways.cli import engine, main
from bothways.errors import DataError, InputError
from bothways.spec import CELLS

TINY = Shape(2, 5, 3, 4)
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
QUICK: dict[str, Any] = {"seconds": 0.05}

ANSWERS = """
import json, sys
print(json.dumps({"ready": {"version": "1"}}), flush=True)
for line in sys.stdin:
    do = json.loads(line)["do"]
    %s
    print(json.dumps({"outputs": 80, "calm": 3, "ms": 7.5, "disturbed": False}), flush=True)
"""


def pretend(monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """Let the worker of a peer be a program of ours, and the peer be installed."""
    real = rounds.command
    monkeypatch.setattr(
        rounds, "command", lambda peer, n: [sys.executable, "-c", code] if peer == name else real(peer, n)
    )
    monkeypatch.setattr(rounds, "choose_peers", lambda peers: (list(peers), {}))


def test_what_is_counted() -> None:
    for cell, gates in {"lstm": 4, "gru": 3, "rnn": 1}.items():
        if cell in CELLS:
            forward = 2 * 2 * 5 * gates * 4 * (3 + 4)
            assert Case(TINY, cell).flops == 2 * forward
            assert Case(TINY, cell, "train").flops == 6 * forward
            assert Case(TINY, cell, directions=1).flops == forward
    measured = Measurement(Case(TINY), {"bothways": 2.0, "torch": 5.0, "onnxruntime": 4.0}, sgemm=1.0)
    assert (measured.best_peer, measured.ratio) == ("onnxruntime", 2.0)
    assert measured.gflops == pytest.approx(Case(TINY).flops / 2e-3 / 1e9)
    rough = {"bothways": 2.0, "torch": 5.0, "onnxruntime-int8": 1.0}
    assert Measurement(Case(TINY), rough).best_peer == "torch"
    assert Measurement(Case(TINY, dtype="bfloat16"), rough).ratio == 0.5
    alone = Measurement(Case(TINY), {"bothways": 2.0})
    assert (alone.best_peer, alone.ratio, alone.share_of_sgemm) == (None, None, None)
    shape = Measurement(Case(TINY), {"bothways": 0.123456, "torch": 0.25}, sgemm=64.0).to_json()
    assert (shape["ms"], shape["gflops"]) == ({"bothways": 0.1235, "torch": 0.25}, 0.03629)
    assert (shape["share_of_sgemm"], shape["ratio"], shape["shape"]) == (0.000567, 2.025, list(TINY))


def test_shapes() -> None:
    assert len(SHAPES["all"]) == 7
    assert set(SHAPES["small"]) < set(SHAPES["all"])
    assert choose_shapes(["small", "all", " 2, 5,3,4"]) == [*SHAPES["all"], TINY]


@pytest.mark.parametrize("text", ["", "huge", "1,2,3", "1,2,3,0", "1,2,3,-4", "1,2,3,4,5", "1,2,3,x", "1,2,3,²"])
def test_no_shape(text: str) -> None:
    with pytest.raises(InputError, match="batch, steps, features and units"):
        choose_shapes([text])


def test_peers_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("torch", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    assert choose_peers(["onnxruntime", "torch"])[0] == []
    report = measure([Case(TINY)], ["torch"], **QUICK)
    assert report.reasons == {"torch": "not installed: torch"}
    assert list(report.measurements[0].ms) == ["bothways"]
    with pytest.raises(InputError, match=r"no peer 'pytorch'\. Use some of: torch"):
        choose_peers(["pytorch"])


@pytest.mark.slow
def test_every_cell_and_mode_of_ours() -> None:
    done: list[tuple[float, int, str]] = []
    cases = [Case(TINY, cell, mode) for cell in CELLS for mode in MODES]
    report = measure([*cases, cases[0]], [], threads=1, **QUICK, on_progress=lambda *what: done.append(what))
    assert [measured.case for measured in report.measurements] == cases
    for measured in report.measurements:
        assert measured.ms["bothways"] > 0
        assert measured.share_of_sgemm is not None
        assert 0 < measured.share_of_sgemm < 1
    assert done == sorted(done, key=lambda what: what[0])
    assert done[-1] == (len(cases), len(cases), "done")
    assert {"processor", "cores", "threads", "instruction_set", "versions", "date", "load", "other_work"} <= set(
        report.machine
    )
    assert report.machine["threads"] == 1
    assert set(report.machine["versions"]) == {"bothways", "numpy"}


def test_a_dtype_of_ours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(TINY, "gru", "train", "bfloat16")
    assert case.to_json()["dtype"] == "bfloat16"
    assert Case.from_json(case.to_json()) == case
    assert case.flops == Case(TINY, "gru", "train").flops
    with pytest.raises(InputError, match=r"no dtype 'float8'\. Use one of: float32, bfloat16, int8"):
        Case(TINY, dtype="float8")
    pretend(
        monkeypatch,
        "bothways",
        ANSWERS % """assert do != "build" or json.loads(line)["case"]["dtype"] == "bfloat16" """,
    )
    assert run("--shapes", TINY, "--dtype", "bfloat16", "--mode", "infer", "--peers", "none", "--seconds", "0.05") == 0
    out, err = capsys.readouterr()
    assert "lstm infer bfloat16" in out
    assert "our matrix products use bfloat16 numbers" in out
    assert "lstm infer bfloat16 2,5,3,4: 1/1" in err


@pytest.mark.parametrize(("mode", "dtype"), [("infer", "bfloat16"), ("train", "bfloat16"), ("infer", "int8")])
def test_ours_in_lower_precision(mode: str, dtype: str) -> None:
    build = peers.with_engine(1)
    exact, rounded = (build(Case(Shape(4, 6, 16, 32), "lstm", mode, each)) for each in (DTYPES[0], dtype))
    assert isinstance(rounded, peers.Approximate)
    assert 0 < rounded.error() < 0.1
    assert rounded.error() == np.abs(exact() - rounded()).max()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PEERS if not choose_peers([name])[1]])
def test_installed_peers_do_the_same_work(name: str) -> None:
    peer = rounds.Worker(name, rounds.command(name, 1), rounds.environment(1))
    try:
        assert peer.hear()["ready"]["version"]
        for number, cell in enumerate(CELLS):  # both modes of each would compile for seconds
            case = Case(TINY, cell, MODES[number % 2] if PEERS[name].trains else "infer", directions=1 + number % 2)
            if (name, cell) == ("torch", "gru_reset_before") or (name, cell != "lstm") == ("onnxruntime-int8", True):
                with pytest.raises(rounds.WorkerError, match=f"torch has no {cell}|has int8 for lstm only"):
                    peer.ask({"do": "build", "case": case.to_json()})
            else:
                assert peer.ask({"do": "build", "case": case.to_json()}) == {"outputs": case.outputs}
        assert peer.ask({"do": "build", "case": Case(TINY).to_json()}) == {"outputs": Case(TINY).outputs}
        assert peer.ask({"do": "slice", "seconds": 0.001})["calm"] in (0, 1)
        finish = peer.ask({"do": "finish"})
        assert finish["ms"] > 0
        assert finish["error"] is None if PEERS[name].dtype == "float32" else 0 < finish["error"] < 0.1
    finally:
        peer.end()


@pytest.mark.slow
def test_a_peer_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "torch", ANSWERS % "pass")
    report = measure([Case(TINY)], ["torch"], **QUICK)
    (measured,) = report.measurements
    assert measured.ms["torch"] == 7.5
    assert measured.ratio == pytest.approx(7.5 / measured.ms["bothways"])
    assert report.machine["versions"]["torch"] == "1"
    assert report.reasons == {}
    assert "torch" not in measured.disturbed


@pytest.mark.slow
def test_a_peer_that_others_disturb_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "torch", (ANSWERS % "pass").replace('"calm": 3', '"calm": 0').replace("False", "True"))
    started = time.monotonic()
    report = measure([Case(TINY)], ["torch"], seconds=0.2)
    assert time.monotonic() - started > 0.2 * rounds.PATIENCE
    assert "torch" in report.measurements[0].disturbed
    assert "torch" in report.to_json()["results"][0]["disturbed"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(
            "import sys; sys.exit('No luck today')", "ended with exit code 1: No luck today", marks=pytest.mark.slow
        ),
        pytest.param("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL", marks=pytest.mark.slow),
        pytest.param(
            'print(\'{"refused": "ImportError: half of it"}\')', "ImportError: half of it", marks=pytest.mark.slow
        ),
        (ANSWERS % "if do == 'slice': sys.exit(3)", "ended with exit code 3 (in lstm infer 2,5,3,4)"),
    ],
)
def test_a_worker_that_dies_is_a_reason(monkeypatch: pytest.MonkeyPatch, code: str, reason: str) -> None:
    pretend(monkeypatch, "torch", code)
    report = measure([Case(TINY), Case(TINY, mode="train")], ["torch"], **QUICK)
    assert report.reasons == {"torch": reason}
    assert [list(measured.ms) for measured in report.measurements] == [["bothways"], ["bothways"]]


@pytest.mark.slow
def test_a_worker_that_refuses_a_case_goes_on_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = """if '"infer"' in line: print('{"refused": "RuntimeError: not this one"}', flush=True); continue"""
    pretend(monkeypatch, "torch", ANSWERS % refuse)
    report = measure([Case(TINY), Case(TINY, mode="train")], ["torch"], **QUICK)
    assert report.reasons == {"torch, lstm infer 2,5,3,4": "RuntimeError: not this one"}
    assert [list(measured.ms) for measured in report.measurements] == [["bothways"], ["bothways", "torch"]]


def test_a_worker_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ANSWER_SECONDS", 0.1)
    hanging = rounds.Worker("torch", [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(rounds.WorkerError, match=r"gave no answer for 0\.1 s"):
        hanging.hear()
    assert not hanging.running


def test_a_thread_that_ends_while_it_is_looked_at_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> str:
        raise ProcessLookupError

    worker = rounds.Worker("some", [sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        monkeypatch.setattr(Path, "read_text", gone)
        worker.fall_asleep()
    finally:
        worker.end()


def test_without_ours_there_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "bothways", "import sys; sys.exit('gone')")
    report = measure([Case(TINY)], [], **QUICK)
    assert report.measurements == []
    assert "gone" in report.reasons["bothways"]


def test_workers_end_with_ctrl_c() -> None:
    code = "from bothways.cli import main; main(['bench', '--shapes', '1,4,2,8', '--peers', 'none', '--seconds', '60'])"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    while line and "lstm infer" not in line:
        line = process.stderr.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert "Stopped." in err
    assert "Traceback" not in err
    until = time.monotonic() + 5
    while any(Path("/proc", child).exists() for child in children) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(Path("/proc", child).exists() for child in children)


def test_what_a_worker_answers() -> None:
    said: list[dict[str, Any]] = []

    def build(case: Case) -> Any:
        if case.mode == "train":
            raise RuntimeError("no gradients\nat all")
        return lambda: None

    requests = [
        {"do": "slice", "seconds": 0.0},
        {"do": "build", "case": Case(TINY).to_json()},
        {"do": "slice", "seconds": 0.0},
        {"do": "slice", "seconds": 0.0},
        {"do": "finish"},
        {"do": "build", "case": Case(TINY, mode="train").to_json()},
        {"do": "finish"},
    ]
    worker.handle(build, io.StringIO("\n".join(map(json.dumps, requests))), said.append)
    assert said[0] == {"refused": "nothing has been built"}
    assert said[1] == {"outputs": 1}
    assert [set(answer) for answer in said[2:5]] == [{"calm"}, {"calm"}, {"ms", "disturbed", "error"}]
    assert said[4]["disturbed"] is True
    assert said[5:] == [{"refused": "RuntimeError: no gradients"}, {"refused": "nothing has been built"}]


def test_slices_that_others_disturbed_do_not_count_if_there_are_calm_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_waited", lambda: 0.0)
    stopwatch = worker.Stopwatch(lambda: None)
    stopwatch.slice(0.0)
    waits = iter([0.0, 60.0])
    monkeypatch.setattr(worker, "_waited", lambda: next(waits))
    stopwatch.slice(0.0)
    assert (len(stopwatch.calm), len(stopwatch.disturbed)) == (1, 1)
    stopwatch.calm, stopwatch.disturbed = [[0.001], [0.001, 0.002], [0.003, 0.002]], [[9.0]]
    assert stopwatch.median_ms() == 2.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"threads": 10**6}, "this process may use 1 to"),
        ({"seconds": 0.0}, "seconds is 0"),
        ({"seconds": float("nan")}, "seconds is nan"),
    ],
)
def test_bad_settings(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        measure([Case(TINY)], [], **settings)
    with pytest.raises(InputError, match="no mode 'both'"):
        Case(TINY, mode="both")
    with pytest.raises(InputError, match="directions is 3; a layer has 1 or 2"):
        Case(TINY, directions=3)


def test_saved_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bench.json"
    report = Benchmark([Measurement(Case(TINY), {"bothways": 1.0})], {"threads": 1}, {"torch": "not installed"})
    report.save(path)
    before = path.read_text()
    assert json.loads(before) == report.to_json()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"bench\.json: cannot be written \(No space left on device\)"):
        Benchmark([], {}, {}).save(path)
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["bench", *map(str, arguments)])
    return int(end.value.code or 0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bench.json"
    tiny = ["--shapes", TINY, "--peers", "none", "--seconds", "0.05"]
    assert run(*tiny, "--shapes", "1,2,3,4", "--save", path, "--json") == 0
    out, err = capsys.readouterr()
    results = json.loads(out)
    assert [(of["shape"], of["mode"]) for of in results] == [
        ([2, 5, 3, 4], "infer"),
        ([1, 2, 3, 4], "infer"),
        ([2, 5, 3, 4], "train"),
        ([1, 2, 3, 4], "train"),
    ]
    for of in results:
        assert list(of)[:5] == ["shape", "cell", "mode", "dtype", "directions"]
        assert list(of)[5:] == ["ms", "errors", "gflops", "share_of_sgemm", "ratio", "disturbed", "other_work"]
        assert (of["cell"], of["dtype"], list(of["ms"]), of["ratio"]) == ("lstm", "float32", ["bothways"], None)
    assert json.loads(path.read_text())["results"] == results
    assert "lstm train 2,5,3,4: 3/4" in err

    assert run(*tiny, "--mode", "infer", "--directions", "1,2") == 0
    out, _ = capsys.readouterr()
    assert out.count("lstm infer") == 2
    assert out.count("one direction") == 1
    assert out.count("2,5,3,4") == 2


@pytest.mark.slow
def test_the_command_says_what_is_missing_or_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ["--shapes", TINY, "--seconds", "0.05", "--mode", "infer", "--json"]
    for module in ("torch", "onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, module, None)
    assert run(*tiny, "--peers", "torch,onnxruntime") == 0
    _, err = capsys.readouterr()
    wanted = "Not installed: torch, onnxruntime. To measure against them: pip install torch onnxruntime onnx"
    assert err.splitlines().count(wanted) == 1
    pretend(monkeypatch, "bothways", "import sys; sys.exit('gone')")
    assert run(*tiny, "--peers", "none") == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == []
    assert "bothways: ended with exit code 1: gone" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--shapes", "huge"],
        ["--mode", "guess"],
        ["--cell", "xlstm"],
        ["--dtype", "float32,float8"],
        ["--dtype", "int8", "--mode", "train"],
        ["--directions", "1,3"],
        ["--directions", "both"],
        ["--peers", "pytorch"],
        ["--threads", "0"],
        ["--threads", "1000000"],
        ["--seconds", "-1"],
        ["--save", "nowhere/bench.json"],
        ["--save", "bench.txt"],
    ],
)
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error" in err


def test_directions_are_told_as_they_were_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--directions", "both") == 2
    assert "directions is 'both'" in capsys.readouterr().err


def test_the_widest_table_is_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ms = {"bothways": 1234.5, **dict.fromkeys(PEERS, 12345.6)}
    machine = {"processor": "some", "threads": 2, "instruction_set": "avx512", "other_work": 0.2}
    cases = [Case(Shape(256, 1000, 300, 1024), mode=mode) for mode in MODES]
    errors = {"onnxruntime-int8": 0.0123}
    of_each = [Measurement(case, ms, errors, 1.0, ("torch",), 0.2) for case in cases]
    report = Benchmark(of_each, machine, {"torch": "died"})
    engine.show_benchmark(report, None)
    engine.say_reasons(report)
    out, err = capsys.readouterr()
    assert "busy: share of the processors" in out
    widest = "256,1000,300,1024 1234 12346* 12346 12346 0.01 12346 12346 12346 12346"
    assert " ".join(out.split()).count(widest) == 2
    assert "…" not in out
    assert "10.00*" in out  # the best peer is the disturbed one
    assert "torch: died" in err
    assert "Other programs used 20% of the processors" in err


STUDIES = {
    "cells": {"instruction_set", "gflops", "sgemm_gflops", "share_of_sgemm", "disturbed", "other_work"},
    "compare": {"runs", "seconds", "times", "other_work"},
    "epochs": {"us_an_update", "updates", "disturbed", "other_work"},
    "fit": {"backend", "ratios", "disturbed", "other_work"},
    "growth": {"other_work"},
    "lengths": {"mode", "ratios", "disturbed", "other_work"},
    "targets": {"what", "value", "target", "met", "disturbed", "other_work"},
    "torch_modules": {"form", "mode", "ratio", "disturbed", "other_work"},
}


LONG = ("cells", "compare", "epochs", "fit", "growth", "targets")
"""Studies that take long even when they are quick: most of them compile models of stock Keras."""


ON_TABLES = ("predict", "labeling")
"""Studies that are given a table."""

BIG = ("page", "server", "streams", "threads", "words")
"""Studies of whole programs."""


@pytest.mark.parametrize("name", [path.stem for path in sorted(BENCHMARKS.glob("*.py"))])
def test_every_study_is_tested(name: str) -> None:
    assert name in {*STUDIES, *ON_TABLES, *BIG, "accuracy", "cluster", "study", "tables", "training", "wrong_requests"}


@pytest.mark.slow
def test_labels_are_measured_on_tables(tmp_path: Path) -> None:
    """Of the bare command beside simple models and a network of Keras; in the end come the rows of README."""
    steps = np.arange(1200)
    x = np.random.default_rng(0).normal(size=1200)
    frame = {"sequence_id": steps // 20, "step": steps % 20, "x": x, "label": np.roll(x > 1, 1).astype(int)}
    parts = np.array(["train", "train", "valid", "test"])[steps // 20 % 4]
    pl.DataFrame({**frame, "split": parts}).write_parquet(tmp_path / "some.parquet")
    command: list[Any] = [sys.executable, BENCHMARKS / "accuracy.py", tmp_path, "--tables", "some", "--seeds", "1"]
    done = subprocess.run([*command, "--budget", "0.1s", "--json", tmp_path / "runs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, header, _, row = done.stdout.splitlines()
    assert header == "| table | score | bothways | seeds | best simple model | ahead by | a Keras user |"
    table, score, ours, seeds, *_ = row.strip("| ").split(" | ")
    run = json.loads((tmp_path / "runs").read_text())
    assert (table, score, seeds) == ("`some`", "accuracy", "1")
    assert ours.strip("*").startswith(f"{run['scores']['bothways']:.3f}".replace("0.", "."))
    assert {"trees", "one_step", "a Keras user"} < run["scores"].keys()


def test_the_tables_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, BENCHMARKS / "tables.py", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_study_of_a_cluster_says_what_it_needs() -> None:
    done = subprocess.run([sys.executable, BENCHMARKS / "cluster.py", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "bothways[cluster]" in done.stdout


@pytest.mark.slow
def test_a_node_of_a_cluster_that_dies_loses_and_doubles_nothing() -> None:
    pytest.importorskip("ray")
    command = [sys.executable, str(BENCHMARKS / "cluster.py"), "--kill", "--seeds", "2", "--epochs", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "8 runs, each once, with the numbers of loky" in done.stdout


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "server")) for name in BIG])
def test_studies_of_programs_start(name: str) -> None:
    done = subprocess.run([sys.executable, f"{BENCHMARKS}/{name}.py", "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"benchmarks/{name}.py" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("streams --quick", "'same file': True"),
        ("server --malformed 500", "failures (5xx but 503): 0\nfailures in the log: 0"),
        ("server --steady 2 --rate 200", "errors: 0"),
        ("server --rounds 1 --seconds 0.3", "times the requests/s of FastAPI"),
    ],
)
def test_studies_of_streams_and_servers_run(command: str, told: str) -> None:
    name, *options = command.split()
    if "FastAPI" in told:
        pytest.importorskip("fastapi")
        pytest.importorskip("uvicorn")
    done = subprocess.run([sys.executable, f"{BENCHMARKS}/{name}.py", *options], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", [ON_TABLES[0], pytest.param(ON_TABLES[1], marks=pytest.mark.slow)])
def test_studies_on_tables_say_what_they_need(name: str) -> None:
    command = [sys.executable, f"{BENCHMARKS}/{name}.py"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert ".parquet" in done.stdout
    assert subprocess.run(command, capture_output=True, text=True).returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in STUDIES])
def test_a_study(name: str, tmp_path: Path) -> None:
    if name == "torch_modules" and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    path = tmp_path / "study.json"
    command = [sys.executable, f"{BENCHMARKS}/{name}.py", "--quick", "--seconds", "0.05", "--save", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    saved = json.loads(path.read_text())
    assert {"processor", "threads", "versions", "date", "other_work"} <= set(saved["machine"])
    assert saved["results"]
    for result in saved["results"]:
        assert STUDIES[name] <= set(result), result
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(saved["results"])
    assert len({len(line) for line in lines}) == 1
    assert "bothways" in saved["machine"]["versions"]


@pytest.mark.slow
def test_the_memory_of_training(tmp_path: Path) -> None:
    """At a size where nothing else counts: about what backpropagation needs, and not twice as much."""
    command = [sys.executable, f"{BENCHMARKS}/growth.py", "--memory", "[32, 50, 64, 64]", "1"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    needed = 4 * 32 * 50 * (64 + 2 * 6 * 64)
    assert needed / 2 < told["peak"] + told["input"] < 2 * needed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "0"], "--seconds is 0"),
        (["--save", "nowhere/some.json"], "there is no folder 'nowhere'"),
        (["--threads", "0"], "threads is 0"),
    ],
)
def test_bad_arguments_of_a_study(arguments: list[str], said: str) -> None:
    done = subprocess.run([sys.executable, BENCHMARKS / "lengths.py", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_with_several_calls_dies_with_all_of_them() -> None:
    code = ANSWERS % "if do == 'slice': sys.exit(3)"
    ours = rounds.Worker("ours", [sys.executable, "-c", code])
    other = rounds.Worker("other", [sys.executable, "-c", ANSWERS % "pass"])
    refused: list[str] = []
    try:
        ours.hear()
        other.hear()
        calls: dict[str, Any] = {"one": (ours, {}), "two": (ours, {}), "three": (other, {})}
        answers = rounds.take_turns(calls, 0.05, refused=lambda name, worker, error: refused.append(name))
    finally:
        ours.end()
        other.end()
    assert refused in (["one"], ["two"])
    assert {name: answer["ms"] for name, answer in answers.items()} == {"three": 7.5}


def test_who_used_the_processors() -> None:
    other = rounds.Worker("some", [sys.executable, "-c", "while True: pass"])
    try:
        until = time.monotonic() + 10
        while other.processor_seconds() < 0.05 and time.monotonic() < until:
            time.sleep(0.02)
        assert other.processor_seconds() >= 0.05
        since = rounds.clocks([other])
        assert since[2] >= rounds.clocks()[2] + 0.04
    finally:
        other.end()
    assert rounds.other_work((0.0, 10.0, 5.0), (1.0, 10.0 + (os.cpu_count() or 1), 5.0)) == 1.0
