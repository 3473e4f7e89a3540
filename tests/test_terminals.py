"""What the command prints where terminals are narrow, dumb or of another encoding, and where memory is short."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from bothways import jobs
from bothways.cli import display, main
from bothways.cli.results import show_evaluation
from bothways.metrics import Evaluation, evaluate
from bothways.sequences import Sequences

LONG = "a_very_long_name_of_a_class_without_any_blank"


def evaluation(*classes: str) -> Evaluation:
    labels = np.arange(40) % len(classes)
    sequences = Sequences(np.zeros((40, 1)), np.full(10, 4), labels)
    return evaluate(sequences, np.eye(len(classes))[labels], list(classes), baselines={"majority": labels * 0})


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_no_number_and_no_name_is_cut_off_for_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    show_evaluation(evaluation("calm", "attack", LONG))
    out = capsys.readouterr().out
    assert "…" not in out
    for shown in ("calm", "attack", "precision", "recall", "[1.000, 1.000]", LONG[:8]):
        assert shown in out
    assert all(len(line) <= max(width, 78) for line in out.splitlines())
    assert all(len(line) <= width for line in out.splitlines() if "samples" in line), "words have room"


def test_a_dumb_terminal_gets_a_log_of_what_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    with display.bar() as (_, show):
        show(1, 2, "epoch 1/2", "loss 1")
    with display.waiting("Starting", logged=True) as (_, say):
        say("Training")
    assert capsys.readouterr().err == "epoch 1/2: loss 1\nTraining\n"


def test_letters_that_the_encoding_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    monkeypatch.setattr(jobs, "evaluate", lambda *arguments, **more: evaluation("ruhig ü", "Angriff ✓"))
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "some.bothways", "some.csv"])
    sys.stdout.flush()
    assert not end.value.code
    assert "ruhig ü".encode("latin-1") in raw.getvalue()
    assert b"Angriff ?" in raw.getvalue()


@pytest.mark.parametrize("reason", ["", "Unable to allocate 93.1 GiB"])
def test_where_memory_is_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise MemoryError(reason)

    monkeypatch.setattr(jobs, "evaluate", fail)
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "some.bothways", "some.csv"])
    assert end.value.code == 1
    assert capsys.readouterr().err == f"Error: There is not enough memory. {reason}".strip() + "\n"
