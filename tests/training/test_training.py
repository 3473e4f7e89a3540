"""Training: the Keras model is the described network, epochs learn, the best weights are kept, seeds decide."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bothways.errors import InputError, calling
from bothways.interrupts import Stop
from bothways.network import DIRECTIONS, Network
from bothways.runtime import logits
from bothways.runtime.numbers import entering
from bothways.sequences import Array, Sequences
from bothways.training import EpochReport, Settings, Trained, train
from bothways.training.batches import Bucket, bucketed, epoch_plan
from bothways.training.compiled_models import best_epochs
from bothways.training.epochs import BatchEpochs, learning_rates
from bothways.training.initializers import initial_weights, number_weights
from bothways.training.keras_model import batch, compile_model, get_weights, keras_model, labeled_arrays, set_weights
from bothways.training.validation import Validation
from members import some_network
from tolerances import KERAS, error


def some_examples(lengths: list[int], classes: int = 2, seed: int = 0) -> Sequences:
    """The class of a step is the range that the sum of its neighbours falls into."""
    random = np.random.default_rng(seed)
    sequences = [random.normal(size=(length, 2)) for length in lengths]
    sums = [np.convolve(np.pad(sequence.sum(axis=1), 1), np.ones(3), "valid") for sequence in sequences]
    numbers = np.digitize(np.concatenate(sums), np.linspace(-2, 2, classes + 1)[1:-1])
    return Sequences.from_arrays(sequences, numbers)


def plain_network(**more: Any) -> Network:
    """Its numbers enter standardised, and nothing else does."""
    return some_network(**{"encoding": "standard", "levels": "raw", "changes": 0, **more})


def some_weights(network: Network) -> dict[str, npt.NDArray[np.float32]]:
    """What training starts from, for the examples of any lengths: they have the same numbers, more or less of them."""
    return number_weights(network, some_examples([40])) | initial_weights(network, seed=0)


def some_buckets(network: Network, lengths: list[int], batch_size: int) -> list[Bucket]:
    examples = some_examples(lengths)
    values = entering(network, some_weights(network), examples.values, examples.lengths)
    return bucketed(replace(examples, values=values, weights=np.ones(examples.steps, np.float32)), batch_size)


def test_the_recurrent_layers_run_on_the_engine() -> None:
    for direction in DIRECTIONS:
        model = keras_model(some_network(direction=direction), masked=True)
        assert [layer.engine for layer in model.layers if layer.name.startswith("recurrent")] == ["native"]


def test_initial_weights_follow_the_rules_of_keras() -> None:
    network = Network(features=30, classes=2, units=40, encoding="standard", levels="raw", changes=0)
    weights = initial_weights(network, seed=0)
    kernel = weights["recurrent_0/forward/kernel"]
    limit = math.sqrt(6 / (30 + 160))
    assert 0.98 * limit < np.abs(kernel).max() <= limit
    assert abs(kernel.mean()) < 0.05 * limit
    recurrent = weights["recurrent_0/forward/recurrent_kernel"].astype(np.float64)
    assert error(recurrent @ recurrent.T, np.eye(40)) < 1e-6
    assert weights["recurrent_0/forward/bias"].reshape(4, 40).tolist() == [
        [0.0] * 40,
        [1.0] * 40,
        [0.0] * 40,
        [0.0] * 40,
    ]
    assert not weights["head/bias"].any()
    assert not np.array_equal(kernel, weights["recurrent_0/backward/kernel"])


def test_training_goes_on_from_weights() -> None:
    network, examples = some_network(), some_examples([5, 9, 12])
    first = train(network, examples, Settings(epochs=2))
    again = train(network, examples, Settings(epochs=1, learning_rate=1e-9), start=first.weights)
    for name, array in first.weights.items():
        np.testing.assert_allclose(again.weights[name], array, atol=1e-6)
    assert error(first.weights["head/kernel"], initial_weights(network, 0)["head/kernel"]) > 0.001


def test_the_forward_layer_starts_the_same_with_or_without_a_backward_one() -> None:
    both, forward = (initial_weights(some_network(direction=name), seed=3) for name in ("both", "forward"))
    for name in ("kernel", "recurrent_kernel", "bias"):
        assert np.array_equal(both[f"recurrent_0/forward/{name}"], forward[f"recurrent_0/forward/{name}"])


RATES = learning_rates(Settings(learning_rate=0.01), 10**6)


def runner(kind: Any, network: Network, buckets: list[Bucket]) -> tuple[BatchEpochs, Any]:
    model = keras_model(network, masked=not all(bucket.valid.all() for bucket in buckets))
    compile_model(network, model, clip=1.0)
    weights = some_weights(network)
    set_weights(network, model, weights)
    if network.encoding == "piecewise":
        model.get_layer("input_encoder").set_bins(weights)
    epochs = kind(model)
    epochs.load(buckets)
    return epochs, model


@pytest.mark.parametrize("lengths", [[6] * 9, [6] * 5 + [3, 2, 9, 1]])
@pytest.mark.parametrize("classes", [2, 3])
def test_compiled_epochs_do_what_a_loop_over_batches_does(lengths: list[int], classes: int) -> None:
    network = some_network(classes=classes)
    buckets = some_buckets(network, lengths, 4)
    results = []
    for kind in (best_epochs, BatchEpochs):
        run, model = runner(kind, network, buckets)
        generator = np.random.default_rng(0)
        losses = [run.run(epoch_plan(buckets, generator), RATES, Stop()) for _ in range(3)]
        results.append((run.compiled, losses, get_weights(network, model)))
    (compiled, losses, weights), (looped, other_losses, other_weights) = results
    assert (compiled, looped) == (True, False)
    assert error(losses, other_losses) < 1e-4
    assert all(error(weights[name], other_weights[name]) < 1e-4 for name in weights)  # nine updates of Adam apart


def test_an_epoch_longer_than_a_call_visits_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    from bothways.training import compiled

    results = []
    for updates in (3, 512):
        monkeypatch.setattr(compiled, "UPDATES_PER_CALL", updates)
        buckets = some_buckets(some_network(), [5] * 22, 2)
        run, model = runner(best_epochs, some_network(), buckets)
        loss = run.run(epoch_plan(buckets, np.random.default_rng(0)), RATES, Stop())
        results.append((loss, get_weights(some_network(), model)))
        assert int(model.optimizer.iterations.numpy()) == 11
    assert results[0][0] == results[1][0]
    assert all(np.array_equal(results[0][1][name], results[1][1][name]) for name in results[0][1])


def test_padding_and_empty_places_change_neither_loss_nor_weights() -> None:
    """Five sequences as one batch, and again longer, with empty places, with rubbish where nothing counts."""
    network = some_network()
    bucket = some_buckets(network, [3, 7, 5, 1, 4], 8)[0]
    padding = ((0, 0), (0, 4))
    rubbish = np.random.default_rng(0).normal(size=(5, 11, network.inputs)).astype(np.float32)
    rubbish[:, :7][bucket.valid] = bucket.x[bucket.valid]
    longer = Bucket(
        rubbish,
        np.pad(bucket.y, padding, constant_values=1),
        np.pad(bucket.valid, padding),
        np.pad(bucket.weights, padding),
        8,
        5,
    )
    results = []
    for some, rows in ((bucket, [0, 1, 2, 3, 4]), (longer, [0, 1, -1, 2, 3, 4, -1])):
        _, model = runner(BatchEpochs, network, [some])
        arrays = batch(model, labeled_arrays(some), np.array(rows))
        results.append((float(np.asarray(model.train_on_batch(*arrays))), get_weights(network, model)))
    assert abs(results[0][0] - results[1][0]) < 1e-6
    assert all(error(results[0][1][name], results[1][1][name]) < 1e-4 for name in results[0][1])


def test_the_loss_is_the_mean_over_the_steps_that_count() -> None:
    network = some_network()
    bucket = some_buckets(network, [3, 7, 5, 1, 4], 8)[0]
    run, model = runner(best_epochs, network, [bucket])
    examples = some_examples([3, 7, 5, 1, 4])
    z = logits(network, some_weights(network), examples)[:, 0]
    expected = np.log1p(np.exp(np.where(examples.known_labels == 1, -z, z))).mean()
    assert abs(run.run(epoch_plan([bucket], np.random.default_rng(0)), RATES, Stop()) - expected) < 1e-5
    assert model.optimizer.iterations.numpy() == 1


def test_a_backend_that_cannot_train_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: "numpy")
    with pytest.raises(InputError, match="Keras runs on numpy, which cannot train"):
        train(some_network(), some_examples([3]), Settings())


def test_training_learns() -> None:
    examples = some_examples([5, 9] * 60, classes=3)
    trained = train(some_network(classes=3, units=8), examples, Settings(epochs=40, batch_size=8))
    losses = [report.loss for report in trained.history]
    assert losses[-1] < 0.3 < losses[0]
    assert trained.compiled
    assert set(trained.seconds) == {"compile", "train"}
    assert trained.seconds["compile"] > 0.05
    assert all(report.best and report.valid_loss is None and report.valid_metric is None for report in trained.history)


def test_the_learning_rate_falls_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of ten epochs moves the weights about a tenth as far as one in the middle."""
    seen = []

    def validate(self: Validation, weights: dict[str, Array]) -> tuple[float, float]:
        seen.append(np.concatenate([array.ravel() for array in weights.values()]))
        return 0.0, 0.0

    monkeypatch.setattr(Validation, "__call__", validate)
    examples = some_examples([6] * 80)
    train(some_network(), examples, Settings(epochs=10, patience=None), examples)
    moved = [float(np.abs(after - before).mean()) for before, after in itertools.pairwise(seen)]
    assert 0 < moved[-1] < 0.3 * moved[4]


def same_weights(a: Trained, b: Trained) -> bool:
    return all(np.array_equal(a.weights[name], b.weights[name]) for name in a.weights)


def test_the_seed_decides_every_bit() -> None:
    examples = some_examples([5, 9, 9, 5] * 4)
    first, again, other = (
        train(some_network(), examples, Settings(epochs=3, batch_size=4, seed=seed)) for seed in (1, 1, 2)
    )
    assert same_weights(first, again)
    assert [report.loss for report in first.history] == [report.loss for report in again.history]
    assert not same_weights(first, other)


def test_a_dtype_policy_of_keras_changes_nothing() -> None:
    import keras

    examples = some_examples([6] * 8)
    plain = train(some_network(), examples, Settings(epochs=2))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert same_weights(train(some_network(), examples, Settings(epochs=2)), plain)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_other_backends_train_the_same_network_but_do_not_compile(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = """
import json
import numpy as np
from bothways.labeler import SequenceLabeler

random = np.random.default_rng(0)
X = [np.c_[random.normal(size=(n, 2)), random.integers(0, 5, n)] for n in [4, 9, 5] * 20]
y = [(x[:, 0] > 0).astype(int) for x in X]
options = dict(units=8, epochs=20, categorical=[2], conv_window=3, dropout=0.1)
first, labeler = (SequenceLabeler(**options).fit(X, y) for _ in range(2))
losses, again = ([epoch.loss for epoch in each.history_] for each in (first, labeler))
assert losses == again, "the second one has the model of the first"
facts = labeler.model_.facts
print(json.dumps([facts["keras_backend"], facts["compiled_epochs"], labeler.score(X, y), losses]))
"""
    found = []
    for name in ("jax", backend):
        environment = os.environ | {"KERAS_BACKEND": name}
        if name == "tensorflow":  # whose XLA may not know the flags of JAX's
            del environment["XLA_FLAGS"]
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    (*on_jax, _, losses), (*on_other, score, other_losses) = found
    assert (on_jax, on_other) == (["jax", True], [backend, False])
    assert score > 0.9
    assert error(other_losses, losses) < KERAS


def test_without_a_valid_part_or_a_monitor_all_epochs_run_and_the_last_weights_are_kept() -> None:
    x = np.random.default_rng(0).normal(size=(20, 4, 1))
    examples = Sequences.from_arrays(x, (x > 0).astype(int).ravel())
    wrong = Sequences.from_arrays(x, (x < 0).astype(int).ravel())  # each epoch is worse by these
    network = Network(features=1, classes=2, units=4)
    trained = train(network, examples, Settings(epochs=6, patience=1, monitor="none"), wrong)
    assert len(trained.history) == 6
    assert all(report.best and report.valid_metric is None for report in trained.history)
    alone = train(network, examples, Settings(epochs=6, patience=1))
    assert len(alone.history) == 6
    assert same_weights(trained, alone)
    assert len(train(network, examples, Settings(epochs=6, patience=1), wrong).history) < 6


def test_the_best_weights_are_kept_and_training_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The validations of six epochs are given; the third is the best: of equal F1, it has the lower loss."""
    given = iter([(0.5, 0.9), (0.7, 0.8), (0.7, 0.7), (0.7, 0.7), (0.6, 0.1), (0.9, 0.9)])
    seen = []

    def validate(self: Validation, weights: Any) -> tuple[float, float]:
        seen.append(weights)
        return next(given)

    monkeypatch.setattr(Validation, "__call__", validate)
    reports: list[EpochReport] = []
    examples = some_examples([6] * 8)
    trained = train(some_network(), examples, Settings(epochs=9, patience=2), examples, reports.append)
    assert [report.best for report in reports] == [True, True, True, False, False]
    assert [report.valid_metric for report in reports] == [0.5, 0.7, 0.7, 0.7, 0.6]
    assert [(report.epoch, report.epochs) for report in reports] == [(epoch, 9) for epoch in range(1, 6)]
    assert trained.history == reports
    assert all(np.array_equal(trained.weights[name], seen[2][name]) for name in trained.weights)
    assert not all(np.array_equal(trained.weights[name], seen[4][name]) for name in trained.weights)


def test_a_window_cuts_training_sequences() -> None:
    """Of a network that reads the steps alone: means and changes are taken over the whole sequences before."""
    examples = some_examples([20, 20])
    whole, cut, pieces = (
        train(plain_network(), data, Settings(epochs=2, batch_size=8, window=window))
        for data, window in (
            (examples, None),
            (examples, 5),
            (replace(examples, lengths=np.full(8, 5)), None),
        )
    )
    assert same_weights(cut, pieces)
    assert not same_weights(whole, cut)


def test_standardisation_comes_from_training_steps_alone() -> None:
    examples = some_examples([6] * 8)
    shifted = replace(examples, values=examples.values * 100 + 7)
    for network in (some_network(), plain_network()):
        alone = train(network, examples, Settings(epochs=1))
        assert same_weights(alone, train(network, examples, Settings(epochs=1), shifted))
    steps = examples.values
    assert error(alone.weights["input/mean"], steps.mean(axis=0)) < 1e-6
    assert error(alone.weights["input/scale"], steps.std(axis=0)) < 1e-6


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_a_constant_feature_has_scale_one(constant: float) -> None:
    steps = np.stack([np.full(1000, constant), np.arange(1000.0)], axis=1)
    assert number_weights(plain_network(), Sequences(steps, np.array([1000])))["input/scale"][0] == 1


def test_a_loss_that_is_no_number_is_an_error() -> None:
    with calling("the command line"), pytest.raises(InputError, match=r"in epoch 1\. Lower --learning-rate 1e"):
        train(some_network(), some_examples([6] * 80), Settings(epochs=1, batch_size=1, learning_rate=1e38))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"patience": -1}, "patience is -1; it must be a whole number of at least 0"),
        ({"window": -1}, "window is -1"),
        ({"window": 2.5}, "window is 2.5"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None"),
        ({"learning_rate": 0}, "learning_rate is 0; it must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"learning_rate": True}, "learning_rate is True"),
        ({"clip": 0.0}, "clip is 0.0; it must be a number above 0"),
        ({"warmup": 1.0}, "warmup is 1.0; it must be a number of at least 0 and below 1"),
        ({"category_dropout": -1}, "category_dropout is -1; it must be a number of at least 0"),
        ({"class_weight": "fair"}, "no class_weight 'fair'. Use one of: balanced"),
        (
            {"monitor": "f2"},
            "no monitor 'f2'. Use one of: auto, none, f1, macro_f1, entity_f1, accuracy, average_precision, loss",
        ),
    ],
)
def test_wrong_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Settings(**arguments)


def test_an_update_costs_little_beside_its_work() -> None:
    """1,000 updates of the tutorial's size take 0.03 s on the machine of the benchmarks; `fit` needs 0.3 s and more."""
    network = plain_network(units=20)
    buckets = some_buckets(network, [10] * 1000, 1)
    run, _ = runner(best_epochs, network, buckets)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        run.run(epoch_plan(buckets, np.random.default_rng(0)), RATES, Stop())
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.25
