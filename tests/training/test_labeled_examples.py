"""What training makes of examples: labels that are missing, weights, rare categories, too little memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError, calling
from bothways.network import Network
from bothways.runtime import Member, Model
from bothways.sequences import Array, Sequences
from bothways.training import EpochReport, Settings, Trained, examples, train
from bothways.training.initializers import number_weights
from members import some_network


def some_data(count: int = 24, time: int = 6, seed: int = 0) -> tuple[list[Array], Array]:
    random = np.random.default_rng(seed)
    sequences = list(random.normal(size=(count, time, 2)))
    return sequences, np.concatenate([(x.sum(axis=1) > 0).astype(int) for x in sequences])


def labeled(arrays: list[Array], labels: Array, weights: Any = None, per: str = "step") -> Sequences:
    return Sequences.from_arrays(arrays, labels, weights, per)


def same(a: Trained, b: Trained) -> bool:
    return all(np.array_equal(a.weights[name], b.weights[name]) for name in a.weights)


def test_a_label_that_is_missing_is_a_label_that_weighs_nothing() -> None:
    sequences, labels = some_data()
    missing = np.random.default_rng(1).random(len(labels)) < 0.3
    without = train(some_network(), labeled(sequences, np.where(missing, -1, labels)), Settings(epochs=2))
    weightless = train(some_network(), labeled(sequences, labels, (~missing).astype(float)), Settings(epochs=2))
    other = train(some_network(), labeled(sequences, labels), Settings(epochs=2))
    assert same(without, weightless)
    assert not same(without, other)


def test_balanced_classes_are_weights() -> None:
    sequences, labels = some_data()
    labels = labels * (np.arange(len(labels)) % 3 == 0)
    counts = np.bincount(labels)
    weights = (len(labels) / (2 * counts))[labels]
    balanced = train(some_network(), labeled(sequences, labels), Settings(epochs=2, class_weight="balanced"))
    weighted = train(some_network(), labeled(sequences, labels, weights), Settings(epochs=2))
    assert same(balanced, weighted)


def test_labels_of_sequences_are_learned_with_and_without_steps() -> None:
    """A sequence is of the class 1 if code 3 stands anywhere in it; one of them has no steps, another no label."""
    random = np.random.default_rng(0)
    sequences = [random.integers(1, 20, (n, 1)).astype(float) for n in random.integers(2, 9, 300)]
    labels = np.array([int((x == 3).any()) for x in sequences])
    sequences[5], labels[9] = np.zeros((0, 1)), -1
    network = Network(features=1, classes=2, units=8, categories=(20,), embedding=4, per="sequence", pooling="max")
    trained = train(network, labeled(sequences, labels, per="sequence"), Settings(epochs=15, batch_size=16))
    model = Model([Member(network, trained.weights)], (False, True))
    counted = np.array([len(x) > 0 for x in sequences]) & (labels >= 0)
    assert (model.predict(sequences) == labels)[counted].mean() > 0.97


def test_a_category_never_seen_means_what_the_unknown_one_means() -> None:
    random = np.random.default_rng(0)
    sequences = list(random.integers(1, 5, (40, 6, 1)).astype(float))
    labels = np.concatenate([x[:, 0] > 2 for x in sequences]).astype(int)
    network = Network(features=1, classes=2, units=4, categories=(9,), embedding=3)
    start = train(network, labeled(sequences, labels), Settings(epochs=1, category_dropout=0.0)).weights
    trained = train(network, labeled(sequences, labels), Settings(epochs=3, category_dropout=20.0)).weights
    table = trained["categories/embeddings"]
    assert (table[5:] == table[0]).all()
    assert not (table[1:5] == table[0]).all(axis=1).any()
    assert not np.array_equal(table[0], start["categories/embeddings"][0]), "the unknown one learns by dropout"


def test_too_long_for_the_memory_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences, labels = some_data(time=30)
    said: list[str] = []
    monkeypatch.setattr(examples, "free_bytes", lambda: 10 * examples.bytes_a_step(some_network()))
    cut = train(some_network(), labeled(sequences, labels), Settings(epochs=2, window=None), say=said.append)
    assert "30 steps, which take more memory" in said[0]
    assert "pieces of 10 steps" in said[0]
    assert "hold 1 instead of 8" in said[1]
    assert len(said) == 2
    monkeypatch.undo()
    assert same(cut, train(some_network(), labeled(sequences, labels), Settings(epochs=2, window=10, batch_size=1)))


def test_of_a_sequence_with_one_label_the_first_steps_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers enter as they do in the whole sequences."""
    sequences, labels = some_data(time=30)
    network, labels = some_network(per="sequence", levels="raw", changes=0), labels[::30]
    whole = labeled(sequences, labels, per="sequence")
    monkeypatch.setattr(examples, "free_bytes", lambda: 10 * examples.bytes_a_step(network))
    with pytest.warns(UserWarning, match="the first 10 steps are learned from"):
        cut = train(network, whole, Settings(epochs=2, batch_size=1))
    monkeypatch.undo()
    monkeypatch.setattr(examples, "number_weights", lambda network, cut: number_weights(network, whole))
    short = labeled([x[:10] for x in sequences], labels, per="sequence")
    assert same(cut, train(network, short, Settings(epochs=2, batch_size=1)))


def test_not_the_memory_for_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "free_bytes", lambda: 10)
    with pytest.raises(InputError, match="that much is not free"):
        train(some_network(), labeled(*some_data()), Settings(epochs=1))


@pytest.mark.parametrize(
    ("labels", "weights", "network", "message"),
    [
        (np.zeros(11, int), None, {}, r"labels have shape \(11,\); 2 sequences of 12 steps need \(12,\)"),
        (np.zeros(12, int), None, {"per": "sequence"}, "one label per step; the network gives one per sequence"),
        (np.full(12, 2), None, {}, "has the label 2; labels are from 0 to 1, or -1"),
        (np.full(12, -1), None, {}, "nothing to learn from"),
        (np.zeros(12, int), np.zeros(12), {}, "nothing to learn from"),
        (np.zeros(12, int), np.full(12, np.nan), {}, "weights that are no finite numbers"),
        (np.zeros(12, int), np.zeros(3), {}, r"weights have shape \(3,\)"),
        (np.zeros(12, int), None, {"categories": (2,)}, r"sequences\[0\] holds .* a category"),
        (
            np.arange(12) // 8,
            None,
            {"head": "crf"},
            r"^--head crf .* \(--class-weight balanced, too\), .* --head softmax",
        ),
    ],
)
def test_examples_that_do_not_fit(labels: Array, weights: Any, network: Any, message: str) -> None:
    settings = Settings(epochs=1, class_weight="balanced")
    with calling("the command line"), pytest.raises(InputError, match=message):
        train(some_network(**network), labeled(some_data(2)[0], labels, weights), settings)


def test_the_monitor_is_what_the_report_says() -> None:
    sequences, labels = some_data()
    reports: list[EpochReport] = []
    for monitor in ("auto", "accuracy"):
        data = labeled(sequences, labels)
        train(some_network(), data, Settings(epochs=1, monitor=monitor), data, reports.append)
    assert [report.metric for report in reports] == ["F1 of the rarer class", "accuracy"]
    assert reports[0].seconds_left == 0
