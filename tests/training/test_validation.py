"""Validation: each monitor is the score of its name, and what has no label does not count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.network import Network
from bothways.sequences import Sequences
from bothways.settings import MONITORS
from bothways.training.validation import Validation


def always(classes: int, logits: list[float], per: str = "step") -> tuple[Network, Any]:
    """A network that gives every label the same scores."""
    network = Network(features=1, classes=classes, units=2, per=per)
    weights = {name: np.zeros(shape, np.float32) for name, shape in network.weight_shapes().items()}
    weights["input/scale"] += 1
    weights["head/bias"] += np.array(logits, np.float32)
    return network, weights


def validated(monitor: str, rarer: int = 1, weights: Any = None) -> tuple[float, float]:
    """Four labels, three of them right, and one step without; three to one for class 1 at every step."""
    network, values = always(2, [math.log(3)])
    sequences = Sequences(np.zeros((5, 1)), np.array([3, 2]), np.array([1, -1, 1, 1, 0]), weights)
    return Validation(network, values, sequences, monitor, rarer)(values)


def test_the_loss_and_each_monitor() -> None:
    loss = -(3 * math.log(0.75) + math.log(0.25)) / 4
    expected = {"f1": 6 / 7, "macro_f1": 3 / 7, "accuracy": 0.75, "average_precision": 0.75, "loss": loss}
    assert set(expected) == set(MONITORS) - {"entity_f1"}  # which is for tags
    for monitor, metric in expected.items():
        assert np.allclose(validated(monitor), (metric, loss))
    assert validated("f1", rarer=0)[0] == 0
    assert math.isclose(validated("average_precision", rarer=0)[0], 0.25)


def test_weights_count() -> None:
    metric, loss = validated("accuracy", weights=np.array([0, 9, 1, 1, 2.0]))
    assert metric == 0.5
    assert math.isclose(loss, -(math.log(0.75) + math.log(0.25)) / 2, rel_tol=1e-6)


def test_labels_of_sequences_are_validated_one_by_one() -> None:
    network, weights = always(3, [1.0, 0.0, 0.0], per="sequence")
    sequences = Sequences(np.zeros((9, 1)), np.array([3, 0, 5, 1]), np.array([0, 0, -1, 2]), per="sequence")
    assert math.isclose(Validation(network, weights, sequences, "accuracy", 0)(weights)[0], 2 / 3)


def test_labels_that_training_does_not_have_are_missed() -> None:
    network, weights = always(2, [math.log(3)])
    sequences = Sequences(np.zeros((4, 1)), np.array([4]), np.array([1, 1, 1, 2]))
    found = {m: Validation(network, weights, sequences, m, 1)(weights) for m in ("f1", "macro_f1", "accuracy")}
    assert np.allclose([each[0] for each in found.values()], [6 / 7, 2 / 7, 3 / 4])
    assert math.isfinite(found["f1"][1])


def test_what_cannot_be_validated_is_refused() -> None:
    network, weights = always(3, [0.0, 0.0, 0.0])
    with pytest.raises(InputError, match="'f1' is for two classes, and there are 3"):
        Validation(network, weights, Sequences(np.zeros((1, 1)), np.array([1]), np.array([0])), "f1", 0)
    with pytest.raises(InputError, match="have no label"):
        Validation(network, weights, Sequences(np.zeros((1, 1)), np.array([1]), np.array([-1])), "loss", 0)
