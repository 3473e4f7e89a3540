"""Compiling happens once: for fits in one process, and for processes that follow each other."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from bothways.network import Network
from bothways.sequences import Sequences
from bothways.settings import Settings
from bothways.training import Trained, compiled_models, executables, train

pytestmark = pytest.mark.skipif(os.environ.get("KERAS_BACKEND", "jax") != "jax", reason="JAX compiles epochs")

NETWORK = Network(features=2, classes=2, units=3, categories=(5,), embedding=2, dropout=0.1)


def some_training(count: int = 40, seed: int = 0, **settings: Any) -> Trained:
    random = np.random.default_rng(seed)
    arrays = [np.stack([random.normal(size=6), random.integers(0, 5, 6)], axis=1) for _ in range(count)]
    sequences = Sequences.from_arrays(arrays, labels=random.integers(0, 2, 6 * count))
    return train(NETWORK, sequences, Settings(**{"epochs": 2, **settings}))


def bits(trained: Trained) -> list[tuple[str, bytes]]:
    return sorted((name, array.tobytes()) for name, array in trained.weights.items())


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was lowered to be compiled, from an empty cache on."""
    seen: list[Any] = []

    def compiled(lowered: Any, weights: int) -> Any:
        seen.append(lowered)
        return lowered.compile()

    monkeypatch.setattr(compiled_models, "_free", OrderedDict())
    monkeypatch.setattr("bothways.training.compiled.compiled", compiled)
    return seen


@pytest.mark.slow
def test_what_is_no_shape_compiles_nothing(compilations: list[Any]) -> None:
    some_training()
    some_training(learning_rate=0.1, epochs=3, warmup=0.2)
    some_training(category_dropout=0.5, patience=2, monitor="loss")
    some_training(39, seed=1, class_weight="balanced")
    assert len(compilations) == 1
    some_training(clip=0.5)
    assert len(compilations) == 2


def test_parts_of_sequences_share_what_is_compiled(compilations: list[Any]) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(3, 30, 60)
    arrays = [np.stack([random.normal(size=each), random.integers(0, 5, each)], axis=1) for each in lengths]
    whole = Sequences.from_arrays(arrays, labels=random.integers(0, 2, int(lengths.sum())))
    for chosen in (np.arange(60), np.arange(0, 60, 2), np.arange(20, 60)):
        train(NETWORK, whole.take(chosen), Settings(epochs=2), room=lengths)
        assert len(compilations) == 2, "one for each of two lengths"


def test_shapes_that_are_used_are_kept(compilations: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.training.compiled.SHAPES_KEPT", 2)
    for lengths in ([6] * 40, [6] * 80, [6] * 40 + [60] * 40):
        arrays = [np.ones((length, 2)) for length in lengths]
        train(NETWORK, Sequences.from_arrays(arrays, labels=np.arange(sum(lengths)) % 2), Settings(epochs=1))
    assert len(compilations) == 3


def test_a_convolution_is_a_product(compilations: list[Any]) -> None:
    """In a compiled loop XLA takes many times as long for a convolution."""
    sequences = Sequences.from_arrays([np.ones((9, 1))] * 4, labels=np.tile([0, 1, 1], 12))
    train(Network(features=1, classes=2, units=2, conv_window=3, conv_stride=2), sequences, Settings(epochs=1))
    text = compilations[0].as_text()
    assert "dot_general" in text
    assert "stablehlo.convolution" not in text


def test_a_model_from_the_cache_trains_as_a_new_one(compilations: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    some_training(seed=1, learning_rate=0.1, category_dropout=0.9)
    again = some_training()
    monkeypatch.setattr(compiled_models, "_free", OrderedDict())
    new = some_training()
    assert len(compilations) == 2
    for name, array in new.weights.items():
        np.testing.assert_array_equal(again.weights[name], array)


@pytest.mark.slow
def test_threads_have_a_model_each(compilations: list[Any]) -> None:
    alone = some_training()
    found: list[Trained] = []
    threads = [threading.Thread(target=lambda: found.append(some_training())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(compilations) <= 4
    for trained in found:
        for name, array in alone.weights.items():
            np.testing.assert_array_equal(trained.weights[name], array)


def lowered(factor: float = 2.0) -> Any:
    return jax.jit(lambda x: x * factor).lower(np.ones(3, np.float32))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("BOTHWAYS_CACHE", raising=False)
    return tmp_path / "bothways" / "compiled"


def test_what_is_on_the_disk_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        assert executables.compiled(lowered(), weights=6)(np.ones(3, np.float32)).tolist() == [2, 2, 2]
        assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(jax.stages.Lowered, "compile", None)
    assert executables.compiled(lowered(), weights=6)(np.ones(3, np.float32)).tolist() == [2, 2, 2]


def test_options_go_by_the_size_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTHWAYS_CACHE", "off")
    seen: list[Any] = []
    monkeypatch.setattr(executables, "_known", lambda *options: dict(options))
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda lowered, options: seen.append(options))
    for weights in (executables.FEW_WEIGHTS, executables.FEW_WEIGHTS + 1):
        executables.compiled(lowered(), weights)
    assert seen == [executables.FEW, executables.MANY]


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_damaged_file_is_compiled_again(folder: Path, damage: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    executables.compiled(lowered(), weights=6)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    assert executables.compiled(lowered(), weights=6)(np.ones(3, np.float32)).tolist() == [2, 2, 2]
    monkeypatch.setattr(jax.stages.Lowered, "compile", None)  # the file is whole again
    assert executables.compiled(lowered(), weights=6)(np.ones(3, np.float32)).tolist() == [2, 2, 2]


def test_the_files_stay_small_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executables.compiled(lowered(), weights=6)
    (first,) = folder.iterdir()
    monkeypatch.setattr(executables, "MOST_BYTES", first.stat().st_size + 1000)
    os.utime(first, (0, 0))
    executables.compiled(lowered(3.0), weights=6)
    assert len(list(folder.iterdir())) == 1
    assert not first.exists()


def test_there_need_be_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BOTHWAYS_CACHE", "off")
    assert executables.cache_folder() is None
    monkeypatch.delenv("BOTHWAYS_CACHE")
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert executables.cache_folder() is None, "others could put machine code there"
    folder.rmdir()
    folder.write_text("a file")
    assert executables.cache_folder() is None
    assert executables.compiled(lowered(), weights=6)(np.ones(3, np.float32)).tolist() == [2, 2, 2]


@pytest.mark.slow
def test_the_engine_is_found_again_by_another_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import jax
from test_compile_once import bits, some_training
jax.stages.Lowered.compile = None  # what is not found cannot be made
print(bits(some_training()))
"""
    monkeypatch.setattr(compiled_models, "_free", OrderedDict())
    here = bits(some_training())
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert len(list(folder.iterdir())) == 1
    assert there == f"{here}\n"
