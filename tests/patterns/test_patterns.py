"""Patterns of whole sequences: what they find, that they can be kept, and that a wrong file is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns import ConvolutionPatterns, NGramPatterns, NGrams, Patterns, RandomConvolutions, classifiers
from bothways.patterns.numbers import with_norm
from bothways.sequences import Sequences

CATEGORIES = (5, 4)
NETWORK = Network(features=4, classes=3, categories=CATEGORIES, per="sequence")


def mixed(count: int = 60, seed: int = 0) -> Sequences:
    """Sequences of 0 to 40 steps of two numbers and two categories; class 0 or 2, by the pace of a wave or of codes."""
    generator = np.random.default_rng(seed)
    labels, arrays = np.arange(count) % 2 * 2, []
    for label, length in zip(labels, np.r_[0, 1, generator.integers(12, 40, count - 2)], strict=True):
        steps = np.arange(length)
        wave = np.sin(steps * (0.4 + label / 2) + generator.uniform(0, 6)) + generator.normal(0, 0.1, length)
        codes = steps // (1 + label // 2) % 2 + 1
        arrays.append(np.stack([wave, generator.normal(size=length), codes, generator.integers(0, 4, length)], axis=1))
    return Sequences.from_arrays(arrays, labels, per="sequence")


@pytest.fixture(params=[ConvolutionPatterns, NGramPatterns])
def fitted(request: pytest.FixtureRequest) -> Patterns:
    found: Patterns | None = request.param.fit(mixed(), 3, CATEGORIES, seed=0)
    assert found is not None
    return found


def test_they_tell_new_sequences_apart(fitted: Patterns) -> None:
    new = mixed(seed=1)
    logits = fitted.logits(new)
    assert logits.shape == (60, 3)
    assert (logits.argmax(axis=1) == new.labels)[2:].mean() > 0.95
    assert np.isfinite(logits).all()
    assert (logits[:, 1] < -1000).all()  # training has nothing of class 1


@pytest.mark.parametrize("of_levels", [False, True])
def test_levels_weigh_what_suits_the_sequences(of_levels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the class is how large numbers are, or how they go and levels are chance."""

    def waves(count: int, seed: int) -> Sequences:
        generator, labels, arrays = np.random.default_rng(seed), np.arange(count) % 2, []
        for label in labels:
            pace, level = (0.7, 0.4 * label) if of_levels else (0.6 + 0.1 * label, generator.normal(scale=3))
            wave = np.sin(np.arange(40) * pace + generator.uniform(0, 6)) + generator.normal(0, 0.7, 40)
            arrays.append((level + wave)[:, None])
        return Sequences.from_arrays(arrays, labels, per="sequence")

    def right() -> float:
        found = ConvolutionPatterns.fit(waves(40, 0), 2, (), seed=0)
        assert found is not None
        new = waves(200, 1)
        return float((found.predict(new) == new.labels).mean())

    chosen = right()
    alone = {}
    for level in classifiers.LEVELS:
        monkeypatch.setattr(classifiers, "LEVELS", (level,))
        alone[level] = right()
    assert chosen == alone[1.0 if of_levels else 0.1]
    assert chosen > alone[0.1 if of_levels else 1.0]


def test_sequences_are_scored_one_by_one_as_together(fitted: Patterns) -> None:
    new = mixed(20, seed=1)
    alone = np.concatenate([fitted.logits(new.take(np.array([i]))) for i in range(20)])
    np.testing.assert_array_equal(alone, fitted.logits(new))
    assert fitted.logits(new.take(np.zeros(0, np.int64))).shape == (0, 3)


def test_a_single_step_has_the_same_features_in_any_company() -> None:
    steps = Sequences(
        np.random.default_rng(0).normal(size=(20, 3)), np.ones(20, np.int64), np.arange(20), per="sequence"
    )
    made = RandomConvolutions.fit(steps, (), seed=0)
    assert made is not None
    alone = np.concatenate([made.features(steps.take(np.array([i]))) for i in range(20)])
    np.testing.assert_array_equal(alone, made.features(steps))


def test_they_can_be_kept(fitted: Patterns) -> None:
    kept = type(fitted).from_arrays(fitted.arrays(), NETWORK)
    np.testing.assert_array_equal(kept.logits(mixed(seed=1)), fitted.logits(mixed(seed=1)))


def test_arrays_that_do_not_fit_are_refused(fitted: Patterns) -> None:
    arrays = fitted.arrays()
    for name, array in arrays.items():
        for wrong in (None, array[:-1], array.astype(np.float16), array[None], np.full_like(array, -(1 << 40))[:0]):
            with pytest.raises(InputError, match="array"):
                type(fitted).from_arrays({**arrays, name: wrong}, NETWORK)
    with pytest.raises(InputError, match="this model labels steps"):
        type(fitted).from_arrays(arrays, Network(features=4, classes=3, categories=CATEGORIES))


@pytest.mark.parametrize(
    ("name", "value"), [("dilations", 0), ("dilations", 1 << 40), ("columns", 3), ("columns", -1), ("scale", 0.0),
                        ("mean", np.nan), ("thresholds", np.inf), ("kernel", 1e30)]
)  # fmt: skip
def test_convolutions_of_a_stranger(name: str, value: Any) -> None:
    found = ConvolutionPatterns.fit(mixed(), 3, CATEGORIES, seed=0)
    assert found is not None
    arrays = found.arrays()
    with pytest.raises(InputError, match=f"The array '{name}' holds numbers that are not"):
        ConvolutionPatterns.from_arrays({**arrays, name: np.full_like(arrays[name], value)}, NETWORK)


def test_a_feature_is_the_share_of_steps_above_a_threshold() -> None:
    """One kernel, computed step by step."""
    sequences = mixed()
    found = RandomConvolutions.fit(sequences, CATEGORIES, seed=0)
    assert found is not None
    features = found.features(sequences)[:, : found.thresholds.size].reshape(len(sequences), *found.thresholds.shape)
    numbers = (with_norm(sequences, found.scale[:2]) - found.mean) / found.scale
    standardised = np.split(numbers, sequences.offsets[1:-1])
    taps, number = (0, 1, 2), 0  # the first kernel has its 2s on the first three taps
    for dilation, (step, columns, reads) in enumerate(zip(found.dilations, found.columns, found.reads, strict=True)):
        for i, values in enumerate(standardised):
            values = values[:, columns[reads[:, number]]].sum(axis=1)
            at = np.arange(len(values))[:, None] + (np.arange(9) - 4) * step
            weights = np.where(np.isin(np.arange(9), taps), 2.0, -1.0)
            outputs = values[np.clip(at, 0, max(len(values) - 1, 0))] @ weights if len(values) else np.zeros(0)
            above = outputs[:, None] > found.thresholds[dilation, number]
            expected = above.mean(axis=0) if len(values) else np.zeros(above.shape[1])
            np.testing.assert_allclose(features[i, dilation, number], expected, rtol=0, atol=0.1)
            assert np.abs(features[i, dilation, number] - expected).mean() < 0.01
    for i, values in enumerate(standardised):
        above = values[:, :, None] > found.levels
        expected = above.mean(axis=0) if len(values) else np.zeros(above.shape[1:])
        np.testing.assert_allclose(found.features(sequences)[i, found.thresholds.size :], expected.ravel(), atol=0.05)


def test_n_grams_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    sequences = mixed()
    found = NGrams.fit(sequences, CATEGORIES)
    assert found is not None
    texts = ["".join(map(str, values[:, 2].astype(int))) for values in sequences.arrays()]
    texts = [f"|{text}|" if text else "" for text in texts]  # edges are a code of their own
    words = TfidfVectorizer(ngram_range=(1, 3), min_df=2, sublinear_tf=True, analyzer="char", norm=None)
    expected = words.fit_transform(texts).toarray()
    expected = np.delete(expected, words.vocabulary_["|"], axis=1)  # alone they say nothing
    count = expected.shape[1]  # those of the first column come first
    ours = found.features(sequences).toarray()[:, :count]
    ours *= np.linalg.norm(expected, axis=1, keepdims=True) / np.maximum(np.linalg.norm(ours, axis=1), 1e-9)[:, None]
    np.testing.assert_allclose(np.sort(ours, axis=1), np.sort(expected, axis=1), rtol=1e-5, atol=1e-5)


def test_n_grams_see_how_sequences_begin_and_end() -> None:
    """Two codes in turn, which one comes last decides: inside, sequences are the same."""
    arrays = [np.tile([[1.0], [2.0]], (5 + i // 4, 1))[: 9 + i // 4 * 2 + i % 2] for i in range(80)]
    sequences = Sequences.from_arrays(arrays, np.arange(80) % 2, per="sequence")
    found = NGramPatterns.fit(sequences, 2, (3,), seed=0)
    assert found is not None
    np.testing.assert_array_equal(found.predict(sequences), sequences.labels)


def test_nothing_to_learn_from() -> None:
    sequences, empty = mixed(), Sequences(np.zeros((0, 2)), np.zeros(5, np.int64), np.arange(5) % 2, per="sequence")
    steps = Sequences(sequences.values, sequences.lengths, np.zeros(sequences.steps, np.int64))
    same = Sequences(np.ones((4, 2)), np.full(2, 2), np.array([0, 1]), per="sequence")
    one = Sequences(np.ones((4, 2)), np.full(2, 2), np.array([0, 0]), per="sequence")
    for kind in (ConvolutionPatterns, NGramPatterns):
        assert kind.fit(steps, 3, CATEGORIES, 0) is None
        assert kind.fit(empty, 3, (4,), 0) is None
        assert kind.fit(one, 3, (4,), 0) is None
    assert ConvolutionPatterns.fit(same, 3, (), 0) is None
    assert NGramPatterns.fit(sequences, 3, (), 0) is None


def test_codes_that_no_number_of_64_bits_holds() -> None:
    """Three codes out of 2^24 need 72 bits: runs of three are left out. Two may begin or end at an edge."""
    sequences = Sequences(np.full((8, 1), (1 << 24) - 1), np.full(2, 4), np.array([0, 1]), per="sequence")
    found = NGrams.fit(sequences, (1 << 24,))
    assert found is not None
    assert found.size == 4
