"""The CRF head: its sums and its loss against every sequence of labels there is, and that training learns from it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

import bothways
from bothways import store
from bothways.errors import InputError
from bothways.network import Network
from bothways.runtime import Member, Model, logits, probabilities
from bothways.runtime.crf import best_path, marginals
from bothways.runtime.decisions import decided
from bothways.sequences import NO_LABEL, Sequences
from bothways.settings import Settings
from bothways.tags import scheme_of
from bothways.training import train
from bothways.training.keras_model import CrfLoss
from bothways.training.network_layers import Transitions
from tolerances import ENGINE, error

LENGTHS = np.array([4, 1, 3])


def drawn(classes: int = 3, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of padded sequences, transitions, and which steps count."""
    generator = np.random.default_rng(classes)
    z = generator.normal(size=(len(LENGTHS), LENGTHS.max(), classes), scale=scale).astype(np.float32)
    transitions = generator.normal(size=(classes, classes), scale=scale).astype(np.float32)
    return z, transitions, np.arange(LENGTHS.max()) < LENGTHS[:, None]


def paths(z: np.ndarray, transitions: np.ndarray) -> dict[tuple[int, ...], float]:
    """The score of every sequence of labels, from `z` `(time, classes)`."""
    found = {}
    for path in itertools.product(range(z.shape[1]), repeat=len(z)):
        of_steps = sum(z[t, label] for t, label in enumerate(path))
        found[path] = float(of_steps + sum(transitions[a, b] for a, b in itertools.pairwise(path)))
    return found


@pytest.mark.parametrize("classes", [2, 4])
def test_marginals_are_those_of_all_sequences_of_labels(classes: int) -> None:
    z, transitions, counts = drawn(classes)
    found = np.exp(marginals(z, transitions, counts))
    for row, length in enumerate(LENGTHS):
        every = paths(z[row, :length], transitions)
        p = softmax(list(every.values()))
        expected = [[sum(p[np.array(list(every))[:, t] == k]) for k in range(classes)] for t in range(length)]
        assert error(found[row, :length], expected) < ENGINE


@pytest.mark.parametrize("classes", [5, 17])
def test_marginals_have_the_same_bits_beside_any_other_sequences(classes: int) -> None:
    generator = np.random.default_rng(0)
    lengths = np.sort(generator.integers(1, 12, 150))[::-1]
    z = generator.normal(size=(150, 11, classes)).astype(np.float32)
    transitions, counts = z[0, :1] - z[0, :1].T, np.arange(11) < lengths[:, None]
    together = marginals(z, transitions, counts)
    for row, length in enumerate(lengths):
        alone = marginals(z[row : row + 1, :length], transitions, counts[row : row + 1, :length])
        np.testing.assert_array_equal(together[row, :length], alone[0])


def test_the_loss_is_that_of_all_sequences_of_labels() -> None:
    """Of a step without a label all labels are possible; one of weight 0 is no step."""
    z, transitions, counts = drawn()
    y = np.array([[0, 2, NO_LABEL, 1], [1, 0, 0, 0], [2, 2, 0, 0]], np.int32)
    weights = (counts & (y >= 0)).astype(np.float32)
    layer = Transitions(3, "transitions")
    layer.transitions.assign(transitions)
    loss = float(keras.ops.convert_to_numpy(CrfLoss(layer.transitions)(y[..., None], z, weights)))
    expected = 0.0
    for row, length in enumerate(LENGTHS):
        every = paths(z[row, :length], transitions)
        fitting = [
            score
            for path, score in every.items()
            if all(wanted in (label, NO_LABEL) for label, wanted in zip(path, y[row], strict=False))
        ]
        expected += logsumexp(list(every.values())) - logsumexp(fitting)
    assert loss == pytest.approx(expected / weights.sum(), rel=1e-5)


def test_the_best_path_is_the_best_of_those_that_are_allowed() -> None:
    scheme = scheme_of(("B-x", "I-x", "E-x", "O"))
    assert scheme is not None
    allowed = scheme.allowed()
    z, _, _ = drawn(4)
    found = best_path(z, allowed, LENGTHS)
    for row, length in enumerate(LENGTHS):
        possible = {
            path: score
            for path, score in paths(z[row, :length], np.zeros((4, 4))).items()
            if all(allowed[a, b] for a, b in itertools.pairwise((4, *path, 4)))
        }
        assert tuple(found[row, :length]) == max(possible, key=possible.__getitem__)


def test_two_tags_are_well_formed_too() -> None:
    """As of words cut into characters; a threshold is for O, which is not among them."""
    scheme = scheme_of(("B", "I"))
    codes = decided(np.array([[0.3, 0.7], [0.4, 0.6], [0.45, 0.55]]), 0.5, scheme, np.array([2, 1]))
    assert codes.tolist() == [0, 1, 0]
    beside = scheme_of(("B-x", "O"))
    assert decided(np.array([[0.3, 0.7]]), 0.2, beside, np.array([1])).tolist() == [0]


def test_predicted_tags_are_well_formed_and_a_threshold_finds_more_of_them() -> None:
    scheme = scheme_of(("B-x", "I-x", "B-y", "I-y", "O"))
    assert scheme is not None
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, 30, 50)
    p = generator.dirichlet(np.ones(5), lengths.sum())
    codes = decided(p, 0.5, scheme, lengths)
    assert len(scheme.malformed(p.argmax(axis=1), lengths)) > 100
    assert len(scheme.malformed(codes, lengths)) == 0
    others = scheme_of(("B-x", "I-x", "B-y", "I-y", "O"), unseen=["I-z"])
    np.testing.assert_array_equal(decided(p, 0.5, others, lengths), codes)
    more = decided(p, 0.2, scheme, lengths)
    assert (more == 4).sum() < (codes == 4).sum()
    assert len(scheme.malformed(more, lengths)) == 0


def test_it_learns_what_stands_next_to_what(tmp_path: Path) -> None:
    """Noise hides which of two labels a step has, and labels alternate: only together they can be told."""
    generator = np.random.default_rng(0)
    labels = (np.arange(30) + generator.integers(0, 2, (200, 1))) % 2
    values = labels[..., None] + generator.normal(size=(200, 30, 1), scale=2.0)
    data = Sequences(values.reshape(-1, 1), np.full(200, 30), labels.reshape(-1))
    facts: dict[str, Any] = {"units": 1, "direction": "forward", "encoding": "standard", "levels": "raw", "changes": 0}
    accuracy = {}
    for head in ("softmax", "crf"):
        network = Network(features=1, classes=2, head=head, **facts)
        trained = train(network, data, Settings(epochs=30, learning_rate=0.03), say=lambda message: None)
        p = probabilities(logits(network, trained.weights, data))
        accuracy[head] = float((p.argmax(axis=1) == data.labels).mean())
    assert accuracy["crf"] > accuracy["softmax"] + 0.05, accuracy
    model = Model([Member(network, trained.weights)], (0, 1))
    store.save(model, tmp_path / "crf.bothways")
    np.testing.assert_array_equal(bothways.load(tmp_path / "crf.bothways").probabilities(data), p)


def test_a_crf_is_for_labels_of_steps() -> None:
    with pytest.raises(InputError, match="head='crf' is for one label per step"):
        Network(features=1, classes=2, per="sequence", head="crf")
