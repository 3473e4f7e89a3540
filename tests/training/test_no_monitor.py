"""Training without validation."""

import numpy as np

from bothways.network import Network
from bothways.sequences import Sequences
from bothways.training import Settings, train


def test_without_a_monitor_all_epochs_run_and_the_last_weights_are_kept() -> None:
    x = np.random.default_rng(0).normal(size=(20, 4, 1))
    examples = Sequences.from_arrays(x, (x > 0).astype(int).ravel())
    wrong = Sequences.from_arrays(x, (x < 0).astype(int).ravel())  # each epoch is worse by these
    network = Network(features=1, classes=2, units=4)
    trained = train(network, examples, Settings(epochs=6, patience=1, monitor="none"), wrong)
    assert len(trained.history) == 6
    assert all(report.best and report.valid_metric is None for report in trained.history)
    alone = train(network, examples, Settings(epochs=6, patience=1))
    for name, weights in trained.weights.items():
        np.testing.assert_array_equal(weights, alone.weights[name])
    assert len(train(network, examples, Settings(epochs=6, patience=1), wrong).history) < 6
