"""Trackers pass reports on, and say in one line what is not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bothways.errors import MissingDependencyError
from bothways.training import EpochReport
from bothways.training.trackers import mlflow_run, tensorboard

REPORTS = [
    EpochReport(1, 2, 0.5, 0.75, 0.25, 1e3, best=True, metric="macro F1"),
    EpochReport(2, 2, 0.25, None, None, 1e3, best=True),
]


def test_tensorboard_reads_what_was_reported(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    with tensorboard(tmp_path / "run") as tracker:
        for report in REPORTS:
            tracker(report)
    (file,) = (tmp_path / "run").iterdir()
    read = [
        (event.step, value.tag, value.simple_value)
        for event in LegacyEventFileLoader(str(file)).Load()
        for value in event.summary.value
    ]
    assert read == [
        (1, "loss", 0.5),
        (1, "valid/loss", 0.75),
        (1, "valid/macro_F1", 0.25),
        (1, "steps_per_second", 1e3),
        (2, "loss", 0.25),
        (2, "steps_per_second", 1e3),
    ]


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (KeyboardInterrupt, "FINISHED"), (OSError, "FAILED")]
)
def test_mlflow_gets_what_was_reported(error: Any, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for MLflow, whose four functions and their arguments are those of its documentation."""
    calls: list[Any] = []
    names = ("set_experiment", "start_run", "log_params", "end_run")
    fake = SimpleNamespace(
        **{name: (lambda *a, _name=name: calls.append((_name, *a))) for name in names},
        log_metrics=lambda metrics, step: calls.append((step, metrics["loss"])),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    try:
        with mlflow_run("flows", {"epochs": 2}) as tracker:
            for report in REPORTS:
                tracker(report)
            if error is not None:
                raise error
    except (KeyboardInterrupt, OSError):
        pass
    assert calls == [
        ("set_experiment", "flows"),
        ("start_run",),
        ("log_params", {"epochs": 2}),
        (1, 0.5),
        (2, 0.25),
        ("end_run", status),
    ]


def test_a_run_of_mlflow_that_refuses_parameters_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    fake = SimpleNamespace(set_experiment=str, start_run=str, log_params=int, end_run=ended.append)
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    with pytest.raises(TypeError), mlflow_run("flows", {"epochs": 2}):
        pass
    assert ended == ["FAILED"]


@pytest.mark.parametrize(
    ("tracker", "package"),
    [(lambda: tensorboard("nowhere"), "tensorboard"), (lambda: mlflow_run("flows", {}), "mlflow")],
)
def test_what_is_not_installed_is_said(tracker: Any, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'bothways\[{package}\]'"):
        tracker().__enter__()
