"""Model files changed at random: each ends in a clear error, or in a model whose probabilities are numbers.

`python tests/test_damaged_models.py 20000` tries as many and counts.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

from bothways import baselines, jobs, store
from bothways.data import Columns, fit_arrays
from bothways.data.fitting import fit_encoding
from bothways.data.leaks import sample_of
from bothways.data.sequences import group_rows
from bothways.data.vectors import Vectors
from bothways.errors import BothwaysError, ModelFileError
from bothways.network import Network
from bothways.runtime import BaselineMember, Label, Member, Model, quantize
from bothways.sequences import Sequences
from bothways.tables import Table

TRIES = 300

FRAME = pl.DataFrame(
    {
        "flow": np.repeat(["a", "b", "c"], 4),
        "bytes": [1.0, 2.0, None, 4.0] * 3,
        "protocol": ["tcp", "udp", "tcp", None] * 3,
        "time": [0, 1, 3, 9] * 3,
        "kind": ["calm", "scan", "flood"] * 4,
    }
)

FRAMES = {
    "step": FRAME,
    "sequence": FRAME.with_columns(
        kind=FRAME["kind"][:3].gather(np.arange(12) // 4), time=pl.from_epoch(FRAME["time"] * 3600)
    ),
}

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 7, 100, 10**9, 2**31, 2**63, 2**64, 10**30, 0.5, -1.5, 1e300, 1e308, float("nan"),
    float("inf"), "", "step", "sequence", "both", "lstm", "bytes", "protocol", "tcp", "\ud800", "\x1b[31m", "a" * 1000,
    [], [1], ["tcp", "tcp"], [None, None], [[]], {}, {"": 1}, [{}],
]  # fmt: skip
"""Values to put in the place of others."""

ODD_NUMBERS = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-45, 1e30, 3e38, -3e38]


def models() -> list[Model]:
    """Models of a table, of one label per sequence, and of arrays; and one of them in int8."""
    generator = np.random.default_rng(0)
    made = []
    for per, conv, table in (("step", 3, True), ("sequence", 0, True), ("step", 2, False)):
        if table:
            columns = Columns("kind", ("bytes", "protocol"), "flow", "time", categories=("protocol",), per=per)
            read = Table("flows.csv", FRAMES[per])
            encoding, _ = fit_encoding(read, columns, group_rows(read, columns)[0])
            encoding = replace(encoding, clock=("time of day",) if per == "sequence" else ())
            if conv:
                numbers = generator.normal(size=(2, 3)).astype(np.float16)
                encoding = replace(encoding, vectors=Vectors("protocol", ("tcp", "udp"), numbers, "some.txt"))
        else:
            values = np.column_stack([np.arange(12) % 5, generator.normal(size=(12, 2))])
            columns = Columns("", ("0", "1", "2"), categories=("0",), per=per)
            encoding, _ = fit_arrays("X", Sequences(values, np.full(3, 4)), (0,))
        columns = columns.adopt(encoding)
        categories, features = encoding.sizes, len(encoding.names)
        network = Network(
            features=features, classes=3, units=3, categories=categories, embedding=2, conv_window=conv, per=per
        )
        weights = {
            name: generator.uniform(0.1, 1, shape).astype(np.float32) for name, shape in network.weight_shapes().items()
        }
        values = np.column_stack([generator.normal(size=(240, features - 1)), generator.integers(0, 4, 240)])
        labels = np.arange(240 if per == "step" else 60) % 3
        sequences = Sequences(values, np.full(60, 4), labels, per=per)
        epoch = {"epoch": 1, "loss": 0.5, "valid_loss": 0.25, "valid_metric": 1.0, "best": True}
        facts = {
            "data": "flows.csv",
            "parts": {"train": {"sequences": 3, "steps": 12}},
            "settings": {"epochs": 1, "monitor": "auto"},
            "epochs": 1,
            "best_epoch": 1,
            "history": [epoch, epoch | {"valid_loss": None, "valid_metric": None}],
            "versions": {"bothways": "0"},
            "threshold": {"class": "scan", "value": 0.5, "false_alarm_rate": 0.01},
            "thresholds": {"rates": [0, 0.01, 1.0], "values": [[0.9, 0.5, 0.1], [], [0.9, 0.5, 0.1]]},
            "scheme": "",
            "sequences": sample_of([sequences]),
            "refit": {"networks": 1},
            "labeler": {"units": 3, "class_weight": None, "categorical": ["0"]},
            "search": {
                "score": "macro F1",
                "of the average": 0.5,
                "trials": [{"setting": "both", "epochs": 1, "score": 0.5}],
            },
            "importances": {"0": 0.5},
        }
        counts: dict[Label, int] = {"calm": 4, "flood": 4, "scan": 4}
        simple = baselines.fit(sequences, 3, categories)
        averaged = BaselineMember(next(each for each in simple if isinstance(each, baselines.CLASSIFIERS)), 0.5)
        made.append(
            Model(
                [Member(network, weights), *([averaged] if table else [])],
                tuple(counts),
                columns,
                counts,
                facts,
                simple,
            )
        )
    return [*made, quantize(made[1])]


def parts_of(model: Model, folder: Path) -> dict[str, bytes]:
    store.save(model, folder / "whole.bothways")
    with zipfile.ZipFile(folder / "whole.bothways") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def damaged(parts: dict[str, bytes], generator: np.random.Generator) -> dict[str, bytes]:
    """The parts of a file with one to three changes; checksums will be right."""
    description = json.loads(parts["model.json"])
    names = [name for name in parts if name.endswith(".safetensors")]
    arrays = {name: safetensors.numpy.load(parts[name]) for name in names}
    for _ in range(generator.integers(1, 4)):
        if generator.random() < 0.5:
            name = generator.choice(names)
            arrays[name] = _other_weights(arrays[name], generator)
        else:
            description = _other_json(description, generator)
    written = {name: safetensors.numpy.save(of) for name, of in arrays.items()}
    return {"model.json": json.dumps(description).encode(), **written}


def _other_weights(weights: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
    name = generator.choice(sorted(weights))
    array = weights[name].copy()
    match generator.integers(8):
        case 0 | 5 | 6 | 7 if array.size:
            array.flat[generator.integers(array.size)] = _odd(array, generator)
        case 1:
            array[...] = _odd(array, generator)
        case 2:
            with np.errstate(invalid="ignore", over="ignore"):
                array = array.astype(generator.choice(["float64", "int32", "float16"]))
        case 3:
            array = array[..., :-1].copy()
        case _:
            return {other: value for other, value in weights.items() if other != name}
    return weights | {name: array}


def _odd(array: Any, generator: np.random.Generator) -> Any:
    """A number to put in the place of others."""
    numbers = ODD_NUMBERS if array.dtype.kind == "f" else [-1, 0, 1, 2, 7, 1 << 20, 1 << 40]
    with np.errstate(over="ignore"):
        return np.array(generator.choice(numbers)).astype(array.dtype)


def _other_json(description: Any, generator: np.random.Generator) -> Any:
    """The same with one value, somewhere, replaced, removed, doubled or exchanged with another."""
    description = copy.deepcopy(description)
    places = list(_places(description))
    holder, key = places[generator.integers(len(places))]
    match generator.integers(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 2:
            other, place = places[generator.integers(len(places))]
            holder[key] = copy.deepcopy(other[place])
        case 3 if type(holder[key]) in (int, float):
            holder[key] *= float(generator.choice([-1, 0, 0.5, 3, 1e9, 1e200]))
        case _:
            holder[key] = copy.deepcopy(ODD[generator.integers(len(ODD))])
    return description


def _places(value: Any) -> Any:
    """Each list or object with each key or index of it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def outcome(parts: dict[str, bytes], folder: Path, evaluate: bool) -> str:
    """What becomes of a file: "refused", or "used"; the table may be told not to fit it."""
    path = folder / "damaged.bothways"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    try:
        model = store.load(path)
    except ModelFileError as error:
        if not str(error).startswith(f"{path}: "):
            raise RuntimeError("The message does not name the file.") from error
        return "refused"
    assert str(model)
    try:
        if model.columns is None or not model.columns.label:
            p = np.concatenate(model.predict_proba([np.array([[1.0, 0.5, 1.0]])]))
        else:
            data = folder / f"{model.network.per}.csv"
            jobs.predict(path, data, folder / "labeled.csv", say=lambda message: None)
            p = pl.read_csv(folder / "labeled.csv")["probability"].to_numpy()
            if evaluate:
                jobs.evaluate(path, data, "all", say=lambda message: None)
    except BothwaysError as error:
        return f"used, but {type(error).__name__}"
    assert np.isfinite(p).all()
    return "used"


def run(tries: int, folder: Path, evaluate: int) -> Counter[str]:
    for per, frame in FRAMES.items():
        frame.write_csv(folder / f"{per}.csv")
    wholes = [parts_of(model, folder) for model in models()]
    assert all(outcome(whole, folder, evaluate=True) == "used" for whole in wholes)
    found: Counter[str] = Counter()
    for number in range(tries):
        generator = np.random.default_rng(number)
        try:
            found[outcome(damaged(wholes[number % len(wholes)], generator), folder, number % evaluate == 0)] += 1
        except Exception as error:
            raise AssertionError(f"seed {number}") from error
    return found


@pytest.mark.slow
def test_damaged_files_end_in_a_clear_error_or_in_numbers(tmp_path: Path) -> None:
    found = run(TRIES, tmp_path, evaluate=10)
    assert found["refused"] > TRIES / 2
    assert found["used"] > TRIES / 20


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(run(int(sys.argv[1]), Path(name), evaluate=10))
