"""The command line: what it prints, where, and how it ends."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

import bothways
from bothways import demo, jobs
from bothways.cli import app, display, main
from bothways.cli.display import _duration
from bothways.cli.engine import _ms
from bothways.cli.results import show_evaluation
from bothways.errors import ModelFileError
from bothways.jobs import quantization
from bothways.metrics import evaluate
from bothways.network import Network
from bothways.options import Option, options
from bothways.runtime import Label, Member, Model, quantize
from bothways.sequences import Sequences
from bothways.settings import Reading, Roles, Search, Settings

COMMANDS = (
    *("demo", "train", "evaluate", "predict", "stream", "info"),
    *("export", "quantize", "page", "serve", "compare", "bench"),
)
ROLES = ["--label", "kind", "--sequence", "flow", "--order", "at", "--split", "part"]
TINY = ["--units", "4", "--epochs", "3", "--seed", "1", "--budget", "0"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; gives exit code, standard output, standard error."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run_command


def flows(labels: tuple[Any, Any] = ("attack", "calm")) -> pl.DataFrame:
    """12 flows of 8 steps; a step is the first label when `bytes` is high. Rows are shuffled."""
    generator = np.random.default_rng(0)
    rows = np.arange(12 * 8)
    high = generator.random(len(rows)) < 0.4
    frame = pl.DataFrame(
        {
            "flow": [f"f{row // 8:02}" for row in rows],
            "at": rows % 8,
            "bytes": high * 2.0 + generator.random(len(rows)),
            "packets": generator.integers(0, 9, len(rows)),
            "kind": [labels[0] if is_high else labels[1] for is_high in high],
            "part": [("train", "valid", "test")[(row // 8) % 3] for row in rows],
        }
    )
    return frame.sample(fraction=1.0, shuffle=True, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds flows.csv, flows.parquet, and flows.bothways trained on them."""
    path = tmp_path_factory.mktemp("flows")
    flows().write_csv(path / "flows.csv")
    flows().write_parquet(path / "flows.parquet")
    with pytest.raises(SystemExit) as end:
        main(["train", str(path / "flows.csv"), *ROLES, *TINY, "--epochs", "30", "-o", str(path / "flows.bothways")])
    assert not end.value.code
    return path


def test_train_evaluate_predict_and_info(folder: Path, run: Run, tmp_path: Path) -> None:
    code, out, err = run("evaluate", folder / "flows.bothways", folder / "flows.parquet", "--json")
    assert code == 0
    assert "they are sorted" in err
    scores = json.loads(out)
    assert (scores["split"], scores["sequences"], scores["steps"]) == ("test", 4, 32)
    assert list(scores["classes"]) == ["attack", "calm"]
    per_class = ["precision", "recall", "f1", "false_alarm_rate", "support"]
    assert list(scores["classes"]["calm"])[: len(per_class)] == per_class
    assert scores["accuracy"] > scores["baselines"]["majority"]["accuracy"]

    code, out, err = run("evaluate", folder / "flows.bothways", folder / "flows.csv", "--split", "valid")
    assert code == 0
    for word in ("valid part: 4 sequences, 32 steps", "precision", "F1", "alarms", "most frequent label"):
        assert word in out
    assert "Careful: Only 4 sequences have labels" in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())

    assert "without" not in out
    assert "importance" not in scores

    code, out, _ = run("evaluate", folder / "flows.bothways", folder / "flows.csv", "--importance")
    assert code == 0
    for word in ("macro F1", "falls by", "the past", "the future", "Measured on 4 sequences"):
        assert word in out
    assert all(len(line) <= 80 for line in out.splitlines())
    _, out, _ = run("evaluate", folder / "flows.bothways", folder / "flows.csv", "--importance", "--json")
    assert json.loads(out)["importance"]["sides"]["past"].keys() == {"value", "low", "high"}

    output = tmp_path / "labeled.csv"
    code, out, err = run("predict", folder / "flows.bothways", folder / "flows.csv", "-o", output)
    assert code == 0
    assert "96 rows labeled" in out
    written = pl.read_csv(output)
    assert written.columns == [*flows().columns, "predicted", "probability"]
    assert written.drop("predicted", "probability").equals(flows())
    assert written["probability"].is_between(0.5, 1).all()
    test = written.filter(part="test")
    assert (test["predicted"] == test["kind"]).mean() == pytest.approx(scores["accuracy"])

    code, out, err = run("info", folder / "flows.bothways")
    assert [name for name in options(Settings) if name not in out] == []
    assert (code, err) == (0, "")
    for word in ("4 units", "both ways", "concat", "bytes, packets", "sequence  as given", "calm"):
        assert word in out
    facts = json.loads(run("info", folder / "flows.bothways", "--json")[1])
    assert facts["columns"]["features"] == ["bytes", "packets"]
    assert facts["classes"] == ["attack", "calm"]
    assert sum(facts["class_counts"].values()) == 32


def test_help_fills_its_lines() -> None:
    for command in app.registered_commands:
        assert not re.search(r"[^\n]\n[^\n]", str(command.help)), command.callback


def test_quantize(folder: Path, run: Run, tmp_path: Path) -> None:
    model, table, small = folder / "flows.bothways", folder / "flows.csv", tmp_path / "small.bothways"
    code, out, err = run("quantize", model, table, "-o", small)
    assert code == 0
    assert "they are sorted" in err
    assert out.startswith("test part: 4 sequences; ")
    verdict = " ".join(out.splitlines()[out.splitlines().index(f"Model: {small}") + 1 :])
    assert verdict.startswith(("No loss is shown: in int8 macro F1", "Worse: ", "Not worse: "))
    shown = json.loads(run("quantize", model, table, "-o", small, "--split", "all", "--json")[1])
    assert (shown["split"], shown["sequences"], shown["steps"], shown["score"]) == ("all", 12, 96, "macro_f1")
    for name, path in {"float32": model, "int8": small}.items():
        scores = json.loads(run("evaluate", path, table, "--split", "all", "--json")[1])
        assert {end: shown[name][end] for end in ("value", "low", "high")} == scores["intervals"]["macro_f1"]
        assert shown[name]["bytes"] == path.stat().st_size
        assert json.loads(run("info", path, "--json")[1])["precision"] == name
    assert shown["float32"]["bytes"] > shown["int8"]["bytes"]
    assert "int8" in run("info", small)[1]
    labels = []
    for path in (model, small):
        assert run("predict", path, table, "-o", tmp_path / "labeled.csv")[0] == 0
        labels.append(pl.read_csv(tmp_path / "labeled.csv")["predicted"])
    assert shown["changed"] == (labels[0] != labels[1]).mean()
    assert all(shown[name]["steps_per_second"] > 0 for name in ("float32", "int8"))
    for arguments, said in {
        (small, "other.bothways"): "is of int8 already",
        (small, small): "this is the model of float32 itself",
        (model, "small.onnx"): "small.onnx",
    }.items():
        code, _, err = run("quantize", arguments[0], table, "-o", arguments[1])
        assert code == 2
        assert said in " ".join(err.split())


def test_quantize_writes_no_worse_model_unless_told(
    folder: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head of its network is turned around here, so that labels are wrong."""
    model, table, small = folder / "flows.bothways", folder / "flows.csv", tmp_path / "small.bothways"

    def spoiled(model: Model) -> Model:
        (member,) = quantize(model).members
        assert isinstance(member, Member)
        turned = {name: -array if name.startswith("head") else array for name, array in member.weights.items()}
        return replace(model, members=[replace(member, weights=turned)])

    monkeypatch.setattr(quantization, "quantized", spoiled)
    small.write_text("an older file")
    command = ("quantize", model, table, "-o", small, "--split", "all")
    code, out, _ = run(*command)
    assert code == 1
    assert "Worse: in int8 macro F1" in out
    assert "Not written; --force writes it all the same." in " ".join(out.split())
    assert f"Model: {small}" not in out
    code, out, _ = run(*command, "--json")
    shown = json.loads(out)
    assert (code, shown["output"], shown["standing"]) == (1, None, "worse")
    assert shown["int8"]["bytes"] < shown["float32"]["bytes"]
    assert jobs.quantize(model, table, small, "all", say=list[str]().append).verdict.endswith(
        "Not written; force=True writes it all the same."
    )
    assert small.read_text() == "an older file"
    code, out, _ = run(*command, "--force")
    assert (code, "Not written" in out) == (0, False)
    assert json.loads(run("info", small, "--json")[1])["precision"] == "int8"


def test_train_prints_one_json_object_and_says_the_rest_elsewhere(folder: Path, run: Run, tmp_path: Path) -> None:
    output = tmp_path / "some.bothways"
    dated = tmp_path / "dated.parquet"
    flows().with_columns(when=pl.datetime(2024, 1, 1), note=pl.lit("x")).write_parquet(dated)
    code, out, err = run("train", dated, *ROLES, *TINY, "--drop", "note, packets", "-o", output, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["split"], result["epochs"], result["model"]) == ("valid", 3, str(output))
    assert set(result["seconds"]) == {"compile", "train"}
    assert result["steps_per_second"] > 0
    assert "when    left out  a date or time" in err
    guesses = {guess["name"]: guess["role"] for guess in result["columns"]}
    assert guesses == {"kind": "label", "flow": "sequence", "at": "order", "part": "split"} | {
        "bytes": "feature",
        "when": "left out",
    }
    assert "epoch 1/3" in err
    assert [path.name for path in tmp_path.glob("*.bothways")] == ["some.bothways"]
    scores = json.loads(run("evaluate", output, dated, "--split", "valid", "--json")[1])
    assert scores["accuracy"] == result["accuracy"]
    assert scores["columns"] == result["columns"]


def test_train_looks_for_settings(folder: Path, run: Run, tmp_path: Path) -> None:
    """Those that are given are kept; the model is labeled with, evaluated and described as any other."""
    model, data = tmp_path / "found.bothways", folder / "flows.csv"
    code, out, err = run("train", data, *ROLES, "--units", 4, "--epochs", 3, "--budget", "1s", "-o", model, "--json")
    assert code == 0, err
    assert re.search(r"trainings? done: best F1 of the rarer class \d", err)
    assert "epoch 1/" not in err
    assert (
        json.loads(run("evaluate", model, data, "--split", "valid", "--json")[1])["macro_f1"]
        == json.loads(out)["macro_f1"]
    )
    found = bothways.load(model)
    assert {network.units for network in found.networks} == {4}
    asked = {"epochs": 3, "budget": "1s", "members": 5, "refit": True}
    assert found.facts["settings"].items() >= asked.items()
    assert "budget 1s, members 5" in " ".join(run("info", model)[1].split())
    assert list(tmp_path.iterdir()) == [model]
    code, card, _ = run("info", model)
    card = " ".join(card.split())
    assert re.search(r"search \d+ trainings? tried; F1 of the rarer class on what was held out: the best one \d", card)
    assert found.facts["search"]["trials"][0]["setting"] in card


def test_without_a_valid_part_training_runs_once(folder: Path, run: Run, tmp_path: Path) -> None:
    once = ["--epochs", 2, "--units", 4, "--monitor", "none"]
    flows().with_columns(pl.col("part").replace("valid", "train")).write_csv(tmp_path / "two.csv")
    code, _, err = run("train", tmp_path / "two.csv", *ROLES, *once, "-o", tmp_path / "some.bothways")
    assert code == 0, err
    assert "no valid part to choose settings by: training runs once" in err
    assert "epoch 2/2" in err


@pytest.mark.parametrize("labels", [(1, 0), (True, False)])
def test_labels_keep_their_kind(run: Run, tmp_path: Path, labels: tuple[Any, Any]) -> None:
    data, model, output = (tmp_path / name for name in ("some.parquet", "some.bothways", "out.parquet"))
    flows(labels).write_parquet(data)
    code, out, err = run("train", data, *ROLES, *TINY, "-o", model)
    assert code == 0, err
    assert "valid part" in out
    assert re.search(r"The model (is|beats|does|was)|On the valid part, by which it was chosen, the model is", out)
    assert run("predict", model, data, "-o", output)[0] == 0
    assert set(pl.read_parquet(output)["predicted"].to_list()) <= set(labels)
    assert pl.read_parquet(output)["predicted"].dtype == pl.Series(labels).dtype


def test_predict_needs_no_labels_and_no_order_of_columns(folder: Path, run: Run, tmp_path: Path) -> None:
    shuffled = flows().select("packets", "at", "bytes", "flow")
    shuffled.write_csv(tmp_path / "new.csv")
    assert run("predict", folder / "flows.bothways", tmp_path / "new.csv", "-o", tmp_path / "a.csv")[0] == 0
    code, out, _ = run("predict", folder / "flows.bothways", folder / "flows.csv", "-o", tmp_path / "b.csv", "--json")
    assert code == 0
    assert json.loads(out)["rows"] == 96
    assert sum(json.loads(out)["predicted"].values()) == 96
    for name in ("predicted", "probability"):
        assert pl.read_csv(tmp_path / "a.csv")[name].equals(pl.read_csv(tmp_path / "b.csv")[name])


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "FOLDER/flows.bothways", "FOLDER/flows.csv"],
        ["predict", "FOLDER/flows.bothways", "FOLDER/flows.csv", "-o", "FOLDER/labeled.csv"],
        ["info", "FOLDER/flows.bothways"],
    ],
)
def test_what_needs_no_keras_imports_none(folder: Path, command: list[str]) -> None:
    arguments = [argument.replace("FOLDER", str(folder)) for argument in command]
    code = "import sys; sys.modules['keras'] = sys.modules['jax'] = None; from bothways.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(line.endswith("they are sorted.") for line in done.stderr.splitlines())


def test_help_imports_next_to_nothing() -> None:
    code = "import sys, bothways.cli; print({'numpy', 'polars', 'sklearn', 'keras', 'jax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_package_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bothways", "info", "nowhere.bothways"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere.bothways" in done.stderr


@pytest.mark.slow
def test_worker_processes_take_no_module_from_the_working_folder(folder: Path, tmp_path: Path) -> None:
    for part in ("bin", "tables"):
        (tmp_path / part).mkdir()
    for name in ("a.csv", "b.csv"):
        flows().write_csv(tmp_path / "tables" / name)
    (tmp_path / "random.py").write_text("raise RuntimeError('This is another one.')")
    script = tmp_path / "bin" / "bothways"
    script.write_text("from bothways.__main__ import main\nmain()\n")
    command = [sys.executable, str(script), "predict", str(folder / "flows.bothways"), "tables", "-o", "labeled"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "labeled").iterdir()) == ["a.csv", "b.csv"]


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"bothways {bothways.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example: bothways {command}" in out
    assert ("--json" in out) == (command not in ("serve",))  # whose lines are JSON as they are
    assert ("--seed" in out) == (command in ("demo", "train", "compare"))


def test_every_command_is_tested() -> None:
    assert {command.callback.__name__ for command in app.registered_commands if command.callback} == set(COMMANDS)


def another(option: Option) -> Any:
    """A value that is not the default."""
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    return option.default + (1 if option.kind is int else 0.5)


def test_what_is_given_of_the_options_of_the_dataclasses_reaches_training(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    class Reached(Exception):
        pass

    def train(data: str, output: Path, settings: dict[str, Any], **more: Any) -> None:
        given.update(more, settings=settings)
        raise Reached

    given: dict[str, Any] = {}
    monkeypatch.setattr(jobs, "train", train)
    arguments = ["--merge", "sum", "--conv", "5:2", "--patience", "0", "--drop", "a,b", "--drop", "c", "--changes", "3"]
    with pytest.raises(Reached):
        main(["train", "flows.csv", "-o", "flows.bothways", *arguments])
    assert given["settings"] == {"merge_mode": "sum", "conv_window": 5, "conv_stride": 2, "patience": 0, "changes": 3}
    others = {name: option.default for owner in (Roles, Reading, Search) for name, option in options(owner).items()}
    assert {name: given[name] for name in others} == others | {"drop": ("a", "b", "c")}
    assert given["budget"] is None

    every = {name: option for owner in (Network, Settings) for name, option in options(owner).items()}
    changed = {name: another(option) for name, option in every.items() if not option.follows}
    flags = {name: every[name].flag or "--" + name.replace("_", "-") for name in changed}
    with pytest.raises(Reached):
        main(["train", "flows.csv", "-o", "x.bothways", *(f"{flags[name]}={changed[name]}" for name in changed)])
    assert given["settings"] == changed
    for conv, said in {
        "many": "conv is 'many'",
        "5:0": "conv stride is 0",
        "5:2:1": "give it as 5 or 5:2",
    }.items():
        assert said in run("train", "flows.csv", "-o", "flows.bothways", "--conv", conv)[2]


def test_the_labeler_has_the_options_of_network_and_settings() -> None:
    from bothways.labeler import SequenceLabeler

    theirs = {name: parameter.default for name, parameter in inspect.signature(SequenceLabeler).parameters.items()}
    theirs["seed"] = theirs.pop("random_state")
    for name, option in {**options(Network), **options(Settings)}.items():
        assert theirs[name] == option.default, name


def bad_tables() -> dict[str, pl.DataFrame]:
    frame = flows().sort("flow", "at")
    seventeenth = pl.int_range(pl.len()) == 16

    def changed(name: str, value: Any) -> pl.DataFrame:
        return frame.with_columns(pl.when(seventeenth).then(pl.lit(value)).otherwise(pl.col(name)).alias(name))

    return {
        "nan.csv": changed("bytes", float("nan")),
        "missing.csv": changed("bytes", None),
        "text.csv": frame.with_columns(bytes=pl.col("bytes").cast(pl.String)).with_columns(
            bytes=pl.when(seventeenth).then(pl.lit("oops")).otherwise("bytes")
        ),
        "words.csv": frame.with_columns(note=pl.lit("x")),
        "unlabeled.csv": changed("kind", None),
        "one.csv": frame.with_columns(kind=pl.lit("calm")),
        "parts.csv": changed("part", "tset"),
        "empty.csv": frame[:0],
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.csv", "no such file"),
        ("text.csv", "data row 17 (the first is 1), column 'bytes' holds 'oops'"),
        ("one.csv", "one label only"),
        ("parts.csv", "'tset'; it must say train, valid or test"),
        ("empty.csv", "no rows"),
        ("garbage.parquet", "no Parquet file"),
        ("garbage.csv", "this is no file of text"),
        ("table.xlsx", "no workbook"),
        ("folder.csv", "this folder holds no"),
    ],
)
def test_bad_tables(run: Run, tmp_path: Path, name: str, said: str) -> None:
    if (frame := bad_tables().get(name)) is not None:
        frame.write_csv(tmp_path / name)
    (tmp_path / "garbage.parquet").write_bytes(b"garbage" * 100)
    (tmp_path / "garbage.csv").write_bytes(bytes(range(256)))
    (tmp_path / "table.xlsx").write_text("x")
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.iterdir())
    code, out, err = run("train", tmp_path / name, *ROLES, "-o", tmp_path / "some.bothways")
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {tmp_path / name}: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--label", "knid"], "Did you mean 'kind'?"),
        (["--sequence", "flo"], "Did you mean 'flow'?"),
        (["--drop", "byte"], "Did you mean 'bytes'?"),
        (["--features", "bytes,pakets"], "Did you mean 'packets'?"),
        (["-o", "nowhere/some.bothways"], "there is no folder"),
        (["-o", "some.pkl"], "must end in .bothways"),
        (["--direction", "up"], "forward, backward, both"),
        (["--merge", "max"], "concat, sum, mul, ave"),
        (["--cell", "transformer"], "There is no cell 'transformer'"),
        (["--units", "0"], "--units"),
        (["--epochs", "many"], "--epochs"),
        (["--seed", "-1"], "--seed"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_arguments_of_train(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    code, out, err = run("train", "flows.csv", *ROLES, *TINY, "-o", "other.bothways", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "nowhere.bothways", "flows.csv"], "nowhere.bothways: no such file"),
        (["evaluate", "flows.csv", "flows.csv"], "flows.csv: "),
        (["evaluate", "cut.bothways", "flows.csv"], "cut.bothways: "),
        (["info", "cut.bothways"], "cut.bothways: "),
        (["evaluate", "flows.bothways", "nowhere.csv"], "nowhere.csv: no such file"),
        (["evaluate", "flows.bothways", "flows.csv", "--split", "tset"], "There is no part 'tset'"),
        (["evaluate", "flows.bothways", "unparted.csv", "--split", "test"], "no split column"),
        (["evaluate", "flows.bothways", "unlabeled.csv"], "there is no column 'kind'"),
        (
            ["predict", "flows.bothways", "renamed.csv", "-o", "out.csv"],
            "'bytes', which the model needs. Did you mean 'Bytes'?",
        ),
        (["evaluate", "flows.bothways", "a.csv", "b.csv", "c.csv"], "2 arguments too many, from 'b.csv' on"),
        (["predict", "flows.bothways", "flows.csv", "-o", "out.txt"], "must end in .parquet, .csv, .tsv, .jsonl"),
        (["predict", "flows.bothways", "flows.csv", "-o", "nowhere/out.csv"], "there is no folder"),
        (["predict", "flows.bothways", "flows.csv", "-o", "./flows.csv"], "this is one of the tables to label"),
        (["predict", "flows.bothways", "predicted.csv", "-o", "out.csv"], "'predicted' already"),
        (["predict", "flows.bothways", "flows.csv"], "--output"),
        (["evaluate"], "MODEL"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_use_of_a_model(
    folder: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("flows.csv", "flows.bothways"):
        Path(name).write_bytes((folder / name).read_bytes())
    Path("cut.bothways").write_bytes((folder / "flows.bothways").read_bytes()[:700])
    flows().drop("part").write_csv("unparted.csv")
    flows().drop("kind").write_csv("unlabeled.csv")
    flows().rename({"bytes": "Bytes"}).write_csv("renamed.csv")
    flows().with_columns(predicted=1).write_csv("predicted.csv")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds models of Keras, good ones and bad ones."""
    import keras

    from bothways import layers

    folder = tmp_path_factory.mktemp("keras")
    inner = [keras.layers.LSTM(4, name="plain", return_sequences=True), keras.layers.SimpleRNN(4, name="relu")]
    stock = [
        keras.layers.Bidirectional(keras.layers.GRU(5, return_sequences=True), name="both"),
        keras.layers.TimeDistributed(keras.layers.Dense(6), name="each"),
        keras.layers.Bidirectional(
            keras.layers.GRU(5, return_sequences=True, activation="elu", name="rectified"), name="half"
        ),
        keras.Sequential(inner, name="inner"),
    ]
    ours = [layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.GRU(4)]

    def model(*of: Any) -> Any:
        return keras.Sequential([keras.Input((5, 3)), *of])

    class Mine(keras.layers.Layer):  # type: ignore[misc, unused-ignore]
        def call(self, x: Any) -> Any:
            return x

    kinds = {
        "stock": model(*stock),
        "ours": model(*ours),
        "none": model(keras.layers.Dense(2)),
        "lambda": model(keras.layers.LSTM(4), keras.layers.Lambda(lambda x: 2 * x)),
        "mine": model(Mine(), keras.layers.LSTM(4)),
    }
    for name, of in kinds.items():
        for ending in ("keras", "h5"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Keras, that .h5 is old
                of.save(folder / f"{name}.{ending}")
    kinds["ours"].save_weights(folder / "some.weights.h5")
    for ending in ("keras", "h5"):
        whole = (folder / f"stock.{ending}").read_bytes()
        (folder / f"cut.{ending}").write_bytes(whole[: len(whole) // 2])
        (folder / f"words.{ending}").write_text("these are words" * 100)
        (folder / f"folder.{ending}").mkdir()
    with zipfile.ZipFile(folder / "layer.keras", "w") as archive, zipfile.ZipFile(folder / "stock.keras") as whole_one:
        for part in whole_one.namelist():
            dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}, "registered_name": None}
            archive.writestr(part, json.dumps(dense) if part == "config.json" else whole_one.read(part))
    return folder


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_what_the_engine_would_run_of_a_keras_model(keras_files: Path, run: Run, ending: str) -> None:
    code, out, err = run("info", keras_files / f"stock.{ending}", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert list(told) == ["model", "kind", "parameters", "backend", "recurrent", "native", "how", "layers"]
    assert (told["kind"], told["native"], told["recurrent"]) == ("Sequential", 3, 5)
    assert told["how"] == "bothways.accelerate(model)"
    no = "activation=keras.activations.elu; the engine has tanh, sigmoid, relu, linear, hard_sigmoid"
    assert [(of["path"], of["kind"], of["units"], of["engine"]) for of in told["layers"]] == [
        ("both", "Bidirectional", 5, "native"),
        ("each", "TimeDistributed", 6, "all steps in one product"),
        ("half", "Bidirectional", 5, f"forward layer: {no}"),
        ("half/forward_rectified", "GRU", 5, no),
        ("half/backward_rectified", "GRU", 5, no),
        ("inner/plain", "LSTM", 4, "native"),
        ("inner/relu", "SimpleRNN", 4, "native"),
    ]
    assert [of["name"] for of in told["layers"]][3:] == ["forward_rectified", "backward_rectified", "plain", "relu"]
    assert {of["package"] for of in told["layers"]} == {"keras"}
    assert told["layers"][0]["parameters"] == 2 * (3 * 15 + 5 * 15 + 2 * 15)
    assert told["parameters"] == sum(of["parameters"] for of in told["layers"] if "/" not in of["path"]) + sum(
        of["parameters"] for of in told["layers"] if of["path"].startswith("inner/")
    )

    code, out, err = run("info", keras_files / f"stock.{ending}")
    assert (code, err) == (0, "")
    assert "3 of 5 recurrent layers would run on the engine." in out
    assert "bothways.accelerate(model)" in out
    assert f"\nhalf/forward_rectified, half/backward_rectified: {no}\n" in out
    assert all(len(line) <= 80 for line in out.splitlines() if no not in line)


def test_info_says_what_accelerate_does(keras_files: Path) -> None:
    import keras

    import bothways
    from bothways.layers.inspection import inspect_model

    for name in ("stock", "ours", "none"):
        model = keras.models.load_model(keras_files / f"{name}.keras")
        told = inspect_model(model)
        assert jobs.info(keras_files / f"{name}.keras") == told
        done = bothways.accelerate(model).layers
        assert sorted((of.name, of.kind, of.engine) for of in told.layers) == sorted(done)


def test_our_own_layers_in_a_keras_file_run_without_more(keras_files: Path, run: Run) -> None:
    for ending in ("keras", "h5"):
        told = json.loads(run("info", keras_files / f"ours.{ending}", "--json")[1])
        assert (told["native"], told["recurrent"], told["how"]) == (2, 2, None)
        assert {of["package"] for of in told["layers"]} == {"bothways"}
    _, out, _ = run("info", keras_files / "ours.keras")
    assert "2 of 2 recurrent layers run on the engine." in out
    assert "accelerate" not in out
    assert "GRU (bothways)" in " ".join(out.split())
    assert "There is no recurrent layer in this model." in run("info", keras_files / "none.keras")[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.keras", "no such file"),
        ("folder.keras", "this is a folder"),
        ("cut.keras", "damaged or cut short"),
        ("words.keras", "damaged or cut short"),
        ("layer.keras", "holds Dense, which is no model"),
        ("lambda.keras", "has a Lambda layer, which is code from the file; it was not run"),
        ("mine.keras", "has 'Mine', which is neither of Keras nor of bothways. If you trust the file, import"),
        ("nowhere.h5", "no such file"),
        ("folder.h5", "this is a folder"),
        ("cut.h5", "damaged or cut short"),
        ("words.h5", "damaged or cut short"),
        ("lambda.h5", "has a Lambda layer, which is code from the file; it was not run"),
        ("mine.h5", "has 'Mine', which is neither of Keras nor of bothways"),
        ("some.weights.h5", "holds weights only"),
    ],
)
def test_bad_keras_files(keras_files: Path, run: Run, name: str, said: str) -> None:
    for more in ([], ["--json"]):
        code, out, err = run("info", keras_files / name, *more)
        assert (code, out) == (2, "")
        assert err.startswith(f"Error: {keras_files / name}: ")
        assert said in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize("missing", [["keras"], ["jax", "torch", "tensorflow"]])
def test_a_keras_file_where_keras_is_not_installed(keras_files: Path, missing: list[str]) -> None:
    code = f"import sys; sys.modules.update(dict.fromkeys({missing})); from bothways.cli import main; main()"
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    arguments = [sys.executable, "-c", code, "info", str(keras_files / "stock.keras")]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    if missing == ["keras"]:
        assert last.startswith(f"Error: {keras_files / 'stock.keras'}: a file of Keras can be read only where ")
        assert last.endswith("pip install keras jax")
    else:
        assert last == "Error: Keras needs a backend, and none is installed. Install one: pip install jax"
    assert "Traceback" not in done.stderr


def test_a_model_without_columns_says_so(folder: Path, run: Run, tmp_path: Path) -> None:
    from dataclasses import replace

    from bothways import store

    store.save(replace(store.load(folder / "flows.bothways"), columns=None), tmp_path / "some.bothways")
    code, _, err = run("evaluate", tmp_path / "some.bothways", folder / "flows.csv")
    assert code == 2
    assert "trained on arrays" in err
    assert run("info", tmp_path / "some.bothways")[0] == 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(28, "No space left on device"), 1, "Error: [Errno 28] No space left on device"),
        (ModelFileError("some.bothways: damaged."), 2, "Error: some.bothways: damaged."),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
)
def test_how_failures_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(jobs, "evaluate", fail)
    assert run("evaluate", "some.bothways", "some.csv") == (code, "", f"{said}\n")


def test_other_failures_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "evaluate", lambda *arguments, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["evaluate", "some.bothways", "some.csv"])


def test_messages_are_not_read_as_markup(run: Run, tmp_path: Path) -> None:
    code, _, err = run("evaluate", tmp_path / "[bold]x[/bold].bothways", "some.csv")
    assert code == 2
    assert "[bold]x[/bold].bothways: no such file" in err


def test_no_escape_sequence_of_a_file_reaches_the_terminal(folder: Path, run: Run, tmp_path: Path) -> None:
    """Colours, titles of windows and the like: neither in what is shown nor in messages."""
    from dataclasses import replace

    from bothways import store

    model = store.load(folder / "flows.bothways")
    evil, *others = ("\x1b[31mcalm", "\x9b2Jscan", "\x1b]0;title\x07")[: len(model.classes)]
    counts: dict[Label, int] = dict.fromkeys((evil, *others), 1)
    facts = dict(model.facts) | {"data": "\x1b[2J", "versions": {"bothways": "\x1b[5m"}}
    store.save(replace(model, classes=(evil, *others), class_counts=counts, facts=facts), tmp_path / "evil.bothways")
    code, out, err = run("info", tmp_path / "evil.bothways")
    assert code == 0
    assert "?[31mcalm" in out
    assert run("predict", tmp_path / "evil.bothways", folder / "flows.csv", "-o", tmp_path / "out.csv")[0] == 0
    _, more, told = run("info", "\x1b[31mnowhere.bothways")
    assert not {"\x1b", "\x9b", "\x07"} & set(out + err + more + told)


def test_on_a_terminal_epochs_go_by_as_a_bar(
    folder: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "stderr", lambda: Console(stderr=True, force_terminal=True, width=80, markup=False))
    code, out, err = run("train", folder / "flows.csv", *ROLES, *TINY, "-o", tmp_path / "some.bothways")
    assert code == 0, err
    assert "\x1b[" in err
    assert "valid part" in out
    plain = re.sub(r"\x1b\[[0-9;?]*m", "", err)  # without colours
    lines = [line for line in re.split(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]", plain) if "epoch 3/3" in line]
    assert "━" in lines[0]
    assert "valid F1 of " in lines[0]
    assert len(lines[0]) <= 80


@pytest.fixture(scope="module")
def shown() -> demo.Demo:
    """A real run of the demo with its defaults."""
    return demo.run()


def test_the_demo_learns_the_problem(shown: demo.Demo) -> None:
    assert shown.first.updates == 1000
    assert shown.first.accuracy > 0.9
    assert shown.longer.accuracy >= 0.995
    assert shown.longer.updates <= 3000
    assert shown.longer.seconds["train"] < 5 * 4  # 5 s on the machine of the project; others may be slower
    total = np.cumsum(shown.numbers)
    assert shown.expected == [int(x >= 2.5) for x in total]
    assert len(shown.predicted) == 10


def test_the_json_of_the_demo(shown: demo.Demo, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def run_demo(steps: int, **options: Any) -> demo.Demo:
        asked.update(options, steps=steps)
        return shown

    monkeypatch.setattr(demo, "run", run_demo)
    arguments = ["--steps", 7, "--units", 3, "--direction", "forward", "--merge", "sum", "--epochs", 2, "--seed", 9]
    code, out, err = run("demo", *arguments, "--json")
    assert (code, err) == (0, "")
    assert asked.pop("say") is not None
    assert asked == {"steps": 7, "units": 3, "direction": "forward", "merge_mode": "sum", "epochs": 2, "seed": 9}
    result = json.loads(out)
    assert list(result) == ["accuracy", "expected", "predicted", "updates", "seconds", "longer"]
    assert set(result["seconds"]) == set(result["longer"]["seconds"]) == {"start", "compile", "train"}
    assert set(result["longer"]) == {"accuracy", "updates", "seconds"}


def test_the_demo_says_right_and_wrong_in_words_and_colours(
    shown: demo.Demo, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    wrong = replace(shown, predicted=[1 - shown.expected[0], *shown.expected[1:]])
    monkeypatch.setattr(demo, "run", lambda *arguments, **options: wrong)
    code, out, _ = run("demo")
    assert code == 0
    assert out.count("wrong") == 1
    assert out.count("right") == 9
    assert "\x1b[" not in out
    assert all(len(line) <= 80 for line in out.splitlines())
    for word in ("1,000 unseen sequences", "Start", "compile", "training", "Trained longer"):
        assert word in out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    _, out, _ = run("demo")
    assert "\x1b[32mright" in out
    assert "\x1b[1;31mwrong" in out


def test_the_demo_works_with_other_settings() -> None:
    settings: dict[str, Any] = {
        "steps": 3,
        "units": 2,
        "direction": "backward",
        "merge_mode": "sum",
        "epochs": 2,
        "seed": 4,
    }
    small = {"SEQUENCES": 20, "LONGER_UPDATES": 3}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small.items():
            patch.setattr(demo, name, value)
        first, again = (demo.run(**settings) for _ in range(2))
    assert first.first.updates == 40
    assert first.longer.updates == 3
    assert (first.expected, first.predicted) == (again.expected, again.predicted)
    assert first.longer.accuracy == again.longer.accuracy


@pytest.mark.parametrize("arguments", [["--units", "0"], ["--merge", "max"], ["--direction", "up"], ["--steps", "0"]])
def test_bad_arguments_of_the_demo(run: Run, arguments: list[str]) -> None:
    code, out, err = run("demo", *arguments)
    assert (code, out) == (2, "")
    assert "Error" in err


@pytest.mark.slow
def test_the_occupancy_of_a_room(shared_data: Path, run: Run, tmp_path: Path) -> None:
    data, model = shared_data / "occupancy.parquet", tmp_path / "room.bothways"
    roles = ["--label", "label", "--sequence", "sequence_id", "--order", "step", "--split", "split", "--drop", "Light"]
    code, out, err = run("train", data, *roles, "--budget", "0", "-o", model, "--json")
    assert code == 0
    assert "timestamp" in err
    assert "left out" in err
    trained = json.loads(out)
    assert trained["macro_f1"] > 0.8 > trained["baselines"]["majority"]["macro_f1"]
    code, out, _ = run("evaluate", model, data, "--split", "test", "--json")
    assert code == 0
    scores = json.loads(out)
    assert (scores["split"], scores["sequences"], scores["steps"]) == ("test", 8, 9752)
    assert [of["support"] for of in scores["classes"].values()] == [7703, 2049]


def test_times_have_units_and_three_digits() -> None:
    assert [_duration(seconds) for seconds in (4.4, 75, 7300)] == ["4 s", "1:15 min", "2:01 h"]
    assert [_ms(ms) for ms in (0.01234, 1.234, 123.4, 1234.5, None)] == ["0.0123", "1.23", "123", "1234", ""]


def test_the_rate_that_was_asked_for_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    sequences = Sequences(np.zeros((2, 1)), np.array([2]), np.array([0, 1]))
    show_evaluation(evaluate(sequences, np.eye(2), ["calm", "attack"], positive=1, threshold=0.5, asked=1e-5))
    assert "chosen for 0.001 % false alarms" in " ".join(capsys.readouterr().out.split())


def test_of_many_labels_in_few_rows_scikit_learn_says_nothing(run: Run, tmp_path: Path) -> None:
    labels = [f"grade {row % 30}" for row in range(60)]
    pl.DataFrame({"x": np.arange(60) * 7 % 11, "z": np.arange(60) % 9, "label": labels}).write_csv(tmp_path / "s.csv")
    code, _, err = run("train", tmp_path / "s.csv", "--sequence", "none", "-o", tmp_path / "s.bothways", *TINY)
    assert (code, "Warning" in err) == (0, False)
