"""Networks that read forward and label late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import SequenceLabeler, jobs, load
from bothways.errors import InputError
from bothways.network import Network

TINY: dict[str, Any] = {"units": 8, "epochs": 60, "random_state": 1, "patience": 60}


def echoes(sequences: int = 60, steps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Random numbers; a step is labeled by the number two steps later."""
    x = np.random.default_rng(0).normal(size=(sequences, steps, 1))
    y = np.zeros(x.shape[:2], int)
    y[:, :-2] = x[:, 2:, 0] > 0
    return x, y


def test_it_learns_what_comes_later() -> None:
    x, y = echoes()
    accuracies = {}
    for lookahead in (0, 2):
        labeler = SequenceLabeler(direction="forward", lookahead=lookahead, budget=0, learning_rate=0.03, **TINY)
        labeler.fit(x[:40], y[:40])
        accuracies[lookahead] = float((labeler.predict(x[40:]) == y[40:]).mean())
    assert accuracies[0] < 0.7
    assert accuracies[2] > 0.9


def test_the_command_reads_forward_by_itself_and_keeps_it_in_the_model(tmp_path: Path) -> None:
    x, y = echoes(20, 10)
    frame = pl.DataFrame({"flow": np.repeat(range(20), 10), "x": x.ravel(), "high": y.ravel()})
    frame.write_csv(tmp_path / "some.csv")
    jobs.train(
        tmp_path / "some.csv",
        tmp_path / "some.bothways",
        settings={"lookahead": 3, "units": 4, "epochs": 1},
        label="high",
        sequence="flow",
        say=lambda words: None,
    )
    model = load(tmp_path / "some.bothways")
    assert (model.network.direction, model.network.lookahead) == ("forward", 3)
    assert model.stream().lookahead == 3
    assert "reads forward, labels 3 steps late" in str(model)
    again = Network.from_json(model.network.to_json())
    assert again == model.network


def test_networks_that_cannot_label_late_are_refused() -> None:
    refused: list[dict[str, Any]] = [{}, {"direction": "backward"}, {"direction": "forward", "per": "sequence"}]
    for more in refused:
        with pytest.raises(InputError, match="lookahead is 4, which is for networks that read forward"):
            Network(3, 2, lookahead=4, **more)
    with pytest.raises(InputError, match="multiple of conv_stride, 3"):
        Network(3, 2, direction="forward", lookahead=4, conv_window=3, conv_stride=3)
