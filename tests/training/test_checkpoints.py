"""Checkpoints: a killed training goes on to the same bits, and whatever is wrong with a file is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError, ModelFileError
from bothways.network import Network
from bothways.options import options
from bothways.sequences import Sequences
from bothways.study.factors import DataShape
from bothways.study.tuning import tune
from bothways.training import (
    EpochReport,
    Settings,
    Trained,
    batches,
    checkpoints,
    compiled_models,
    epochs,
    loop,
    train,
)

NETWORK = Network(features=2, classes=2, units=4, categories=(9,), embedding=3, dropout=0.2, conv_window=3)
SETTINGS = Settings(epochs=8, batch_size=4, patience=3, monitor="loss", learning_rate=0.03)


def some_examples(seed: int = 0) -> Sequences:
    random = np.random.default_rng(seed)
    lengths = random.integers(7, 9, 40)
    sequences = [np.column_stack([random.normal(size=n), random.integers(0, 9, n)]) for n in lengths]
    return Sequences.from_arrays(
        sequences, np.concatenate([(x[:, 0] > 0) ^ (x[:, 1] > 4) for x in sequences]).astype(int)
    )


def some_training(path: Path | None, **more: Any) -> Trained:
    return train(NETWORK, some_examples(), SETTINGS, some_examples(1), checkpoint=path, **more)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for checkpoints, written after each epoch."""
    monkeypatch.setattr(checkpoints, "SECONDS_APART", 0.0)
    return tmp_path / "some.checkpoint"


def same(a: Trained, b: Trained) -> bool:
    results = ([(report.loss, report.valid_loss, report.best) for report in one.history] for one in (a, b))
    return next(results) == next(results) and all(
        np.array_equal(a.weights[name], b.weights[name]) for name in a.weights
    )


@pytest.mark.slow  # tests/jobs kills one by default
def test_a_killed_training_goes_on_to_the_same_bits(path: Path) -> None:
    """The process is killed in the middle of its fourth epoch."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_checkpoints import Path, checkpoints, loop, some_training

def killing(buckets, generator, plan=loop.epoch_plan, epochs=[]):
    epochs.append(1)
    for i, batches in enumerate(plan(buckets, generator)):
        if len(epochs) == 4 and i == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batches

checkpoints.SECONDS_APART = 0.0
loop.epoch_plan = killing
some_training(Path({str(path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    reports: list[EpochReport] = []
    resumed = some_training(path, resume=True, on_epoch=reports.append)
    assert reports[0].epoch == 4
    whole = some_training(None)
    assert len(whole.history) > 4
    assert same(resumed, whole)


def test_a_finished_training_is_not_run_again(path: Path) -> None:
    whole = some_training(path)
    reports: list[EpochReport] = []
    again = some_training(path, resume=True, on_epoch=reports.append)
    assert reports == []
    assert same(again, whole)


@pytest.mark.slow
def test_checkpoints_are_some_seconds_apart_but_for_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(checkpoints, "SECONDS_APART", 1e9)
    monkeypatch.setattr(np, "savez", lambda file, **arrays: written.append(len(arrays)))
    path = tmp_path / "some.checkpoint"
    some_training(path)
    assert len(written) == 1


def test_without_a_file_training_starts_from_the_start(path: Path) -> None:
    assert same(some_training(path, resume=True), some_training(None))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Network(features=2, classes=2, units=4), some_examples(), SETTINGS), "what differs: network, data"),
        ((NETWORK, some_examples(2), SETTINGS, some_examples(1)), "what differs: data"),
        ((NETWORK, some_examples(), Settings(epochs=9), some_examples(1)), "what differs: settings"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(path: Path, arguments: Any, message: str) -> None:
    some_training(path)
    before = path.read_bytes()
    resuming: dict[str, Any] = {"checkpoint": path, "resume": True}
    with pytest.raises(InputError, match=message):
        train(*arguments, **resuming)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_training_and_a_search_do_not_go_on_from_each_other(path: Path) -> None:
    data = some_examples(), some_examples(1)
    given = {
        name: getattr(owner, name) for owner in (NETWORK, SETTINGS) for name in options(type(owner)) if name != "seed"
    }
    some_training(path)
    with pytest.raises(InputError, match="what differs: budget"):
        tune(*data, DataShape.of(data[0], 2, (9,)), given, checkpoint=path, resume=True)
    searched = checkpoints.Checkpoint({}, {"seconds": 1.0, "trials": []})
    kept = checkpoints.Checkpoints(path, checkpoints.fingerprint(NETWORK, SETTINGS, *data), print)
    kept.offer(searched, last=True)
    with pytest.raises(InputError, match="what differs: budget"):
        some_training(path, resume=True)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"some\.checkpoint: damaged, or not a checkpoint"):
        some_training(path, resume=True)
    some_training(path)
    whole = path.read_bytes()
    encrypted = bytearray(whole)
    encrypted[whole.rindex(b"PK\x01\x02") + 8] = 1  # says the directory
    for damaged in (whole[:-30], bytes(encrypted)):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match="damaged"):
            some_training(path, resume=True)


@pytest.mark.parametrize("name", [checkpoints.NOTES, "model/0"])
def test_an_edited_checkpoint_is_refused(path: Path, name: str) -> None:
    some_training(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    notes = b'{"fingerprint": {}}'
    edited = np.frombuffer(notes, np.uint8) if name == checkpoints.NOTES else arrays[name] + np.float32(1)
    with path.open("wb") as file:
        np.savez(file, **(arrays | {name: edited}))
    with pytest.raises(ModelFileError, match="damaged, or not a checkpoint"):
        some_training(path, resume=True)


def test_resuming_needs_a_file() -> None:
    with pytest.raises(InputError, match="needs the file of the checkpoint"):
        some_training(None, resume=True)


def test_a_full_disk_is_said_once_and_leaves_the_old_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    first: list[bytes] = []

    def no_space(handle: int) -> None:
        raise OSError(28, "No space left on device")

    def after(report: EpochReport) -> None:
        if report.epoch == 2:
            first.append(path.read_bytes())
            monkeypatch.setattr(os, "fsync", no_space)

    trained = some_training(path, on_epoch=after, say=said.append)
    assert len(trained.history) > 3
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert path.read_bytes() == first[0]
    assert list(path.parent.iterdir()) == [path]


def test_ctrl_c_ends_with_the_best_weights_so_far(path: Path) -> None:
    def stop(report: EpochReport) -> None:
        if report.epoch == 3:
            raise KeyboardInterrupt

    stopped = some_training(path, on_epoch=stop)
    assert stopped.interrupted
    assert len(stopped.history) == 3
    assert same(some_training(path, resume=True), some_training(None)), "the last epoch is in the checkpoint"


@pytest.mark.parametrize("kind", ["compiled", "looped"])
def test_ctrl_c_in_the_first_epoch_keeps_what_it_has_learned(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(buckets: Any, generator: Any) -> Any:
        for i, some in enumerate(plan(buckets, generator)):
            if i == 3:
                signal.raise_signal(signal.SIGINT)
            yield some

    plan = batches.epoch_plan
    monkeypatch.setattr(loop, "epoch_plan", stopping)
    if kind == "looped":
        monkeypatch.setattr(compiled_models, "best_epochs", epochs.BatchEpochs)
        monkeypatch.setattr(compiled_models, "_free", OrderedDict())
    stopped = some_training(None)
    assert stopped.interrupted
    assert [report.epoch for report in stopped.history] == [1]
    monkeypatch.setattr(loop, "epoch_plan", lambda buckets, generator: iter(list(plan(buckets, generator))[:3]))
    alike = train(NETWORK, some_examples(), Settings(**{**vars(SETTINGS), "epochs": 8}), some_examples(1))
    assert stopped.history[0].loss == alike.history[0].loss


def test_ctrl_c_before_the_first_update_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(buckets: Any, generator: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return plan(buckets, generator)

    plan = batches.epoch_plan
    monkeypatch.setattr(loop, "epoch_plan", stopping)
    with pytest.raises(KeyboardInterrupt):
        some_training(None)
