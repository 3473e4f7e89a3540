"""Parts of sequences, and the forest on them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax

from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns import DyadicFeatures, Forest
from bothways.patterns import forest as forests
from bothways.patterns.correlations import correlations, pairs_of
from bothways.patterns.dyadic import HALVINGS, MOST, MOST_BANDS, MOST_COUNTS, MOST_MEANS, SERIES, SPANS, ends_of_parts
from bothways.patterns.spectrum import FREQUENCIES, spectra
from bothways.sequences import NO_LABEL, Array, Sequences

CATEGORIES = (5, 3)


def walks(count: int = 120, longest: int = 60, numbers: int = 2, seed: int = 0) -> Sequences:
    """Random walks and two categories; the label says whether the first walk ever got far."""
    random = np.random.default_rng(seed)
    values = [random.normal(size=(n, numbers)).cumsum(axis=0) for n in random.integers(1, longest, count)]
    labels = [int(each[:, 0].max() > 2) for each in values]
    codes = [np.stack([random.integers(0, size, len(each)) for size in CATEGORIES], axis=1) for each in values]
    both = [np.hstack(each) for each in zip(values, codes, strict=True)]
    return Sequences.from_arrays(both, np.array(labels), per="sequence")


def right_on_the_rest(sequences: Sequences, categories: tuple[int, ...] = ()) -> float:
    """The share of the second half of sequences that a forest on the first half tells."""
    half = len(sequences) // 2
    found = Forest.fit(sequences.take(np.arange(half)), 2, categories, 0)
    assert found is not None
    others = sequences.take(np.arange(half, len(sequences)))
    return float((found.logits(others).argmax(axis=1) == others.labels).mean())


def by_hand(parts: DyadicFeatures, values: Array) -> list[float]:
    """The features of a sequence, one after the other."""
    codes = values[:, parts.numbers :].astype(int) + np.cumsum([0, *parts.categories])[:-1]
    places = [np.flatnonzero((codes == code).any(axis=1)) / len(values) for code in parts.codes]
    found = [float(len(values)), *((codes == code).sum() for code in parts.codes)]
    found += [min(each, default=2) for each in places] + [max(each, default=-1) for each in places]
    numbers = with_norm_by_hand(values[:, : parts.numbers], parts.scale)
    series = [numbers]
    for _ in range(SERIES - 1):
        series.append(np.vstack([0 * numbers[:1], np.diff(series[-1], axis=0)]))
        series[-1][0] = 0
    for halvings, count in enumerate(parts.quantiles):
        shares = np.linspace(0, 1, count) if count > 1 else [0.5]
        for part in range(1 << halvings):
            start, end = part * len(values) // (1 << halvings), -(-(part + 1) * len(values) // (1 << halvings))
            found += np.quantile(np.hstack(series)[start:end], shares, axis=0).ravel().tolist()
    means = list[Array]()
    for code in parts.averaged:
        there = (codes == code).any(axis=1)
        means.append(numbers[there if there.any() else slice(None)].mean(axis=0))
    means += [each - numbers.mean(axis=0) for each in means]
    found += np.ravel(means).tolist()
    distances = np.abs(numbers - numbers.mean(axis=0))
    spectrum = list[float]()
    for span in parts.spans:
        for moves in (numbers, distances):
            moves = moves - moves.mean(axis=0)
            means = [each.mean(axis=0) for each in np.split(moves, range(span, len(moves), span))]
            spectrum += spectrum_by_hand(np.array(means), parts.bands)
    return [*found, *spectrum, *rises_by_hand(numbers), *pairs_by_hand(numbers)]


def with_norm_by_hand(numbers: Array, scale: Array) -> Array:
    """Numbers, and how far all of them are from their means."""
    moves = (numbers - numbers.mean(axis=0)) / scale
    norm = np.linalg.norm(moves, axis=1, keepdims=True).astype(np.float32)
    return np.hstack([numbers, norm]) if len(scale) > 1 else numbers


def correlated(values: list[Array]) -> Array:
    return correlations(np.concatenate(values), Sequences.from_arrays(values))


def pairs_by_hand(numbers: Array) -> list[float]:
    """Correlations of all pairs of columns, of their changes, and of each with what the other was a step before."""
    found, turns = list[float](), list[float]()
    for values in (numbers, np.vstack([0 * numbers[:1], np.diff(numbers, axis=0)])):
        units = values - values.mean(axis=0)
        units /= np.maximum(np.sqrt((units**2).sum(axis=0)), 1e-150)
        before = units[[0, *range(len(units) - 1)]]
        pairs = list(itertools.combinations(range(numbers.shape[1]), 2))
        found += [units[:, i] @ units[:, j] for i, j in pairs]
        turns += [before[:, i] @ units[:, j] - units[:, i] @ before[:, j] for i, j in pairs]
    return found + turns[: len(pairs)]


def rises_by_hand(numbers: Array) -> list[float]:
    """How often means of 1 to 16 steps, less those of 4 times as many, rise above each level."""
    found, last = list[float](), len(numbers) - 1
    for window in (1, 2, 4, 8, 16):
        near, wide = (
            np.array([numbers[np.minimum(np.arange(at, at + steps), last)].mean(axis=0) for at in range(last + 1)])
            for steps in (window, 4 * window)
        )
        z = near - wide[np.maximum(np.arange(last + 1) - 3 * window // 2, 0)]
        for level in (-1, 0, 1, 2):
            above = z > level * np.sqrt((z**2).mean(axis=0)) + 1e-12
            found += (above[1:] & ~above[:-1]).sum(axis=0).tolist()
    return found


def spectrum_by_hand(numbers: Array, bands: int) -> list[float]:
    """Shares of bands, then autocorrelations, of all columns."""
    powers = np.zeros((32, numbers.shape[1]))
    for start in range(0, len(numbers), 32):
        for frequency in range(32):
            turns = np.exp(-2j * np.pi * (frequency + 1) * np.arange(64) / 64)
            turns *= 0.5 * (1 - np.cos(2 * np.pi * np.arange(64) / 64))
            piece = numbers[start : start + 64]
            powers[frequency] += np.abs((turns[: len(piece), None] * piece).sum(axis=0)) ** 2
    shares = powers / np.maximum(powers.sum(axis=0), 1e-300)
    angles = 2 * np.pi * np.arange(1, 9)[:, None] * np.arange(1, 33) / 64
    logs = np.log(shares.reshape(bands, -1, numbers.shape[1]).sum(axis=1) + 1e-6)
    return [*logs.ravel().tolist(), *(np.cos(angles) @ shares).ravel().tolist()]


def test_features_are_quantiles_of_parts_counts_places_spectra_crossings_and_means() -> None:
    sequences = walks()
    parts = DyadicFeatures.fit(sequences, CATEGORIES)
    assert parts.quantiles.tolist() == [8, 4, 2, 1]
    assert (parts.bands, parts.spans.tolist()) == (FREQUENCIES, [1])
    assert parts.counts_crossings
    assert parts.averaged.tolist() == list(range(8))
    features = parts.features(sequences)
    assert features.shape == (120, parts.size)
    expected = [by_hand(parts, values) for values in np.split(sequences.values, sequences.offsets[1:-1])]
    np.testing.assert_allclose(features, expected, rtol=1e-6, atol=1e-6)
    some = np.array([7, 100, 7])
    np.testing.assert_array_equal(parts.features(sequences.take(some)), features[some])  # whatever stands beside


@pytest.mark.parametrize("columns", [1, 5, 40, 300, 1000])
@pytest.mark.parametrize("length", [1, 2, 9, 3000])
def test_there_are_not_too_many_features(columns: int, length: int) -> None:
    sequences = Sequences(np.zeros((length, columns)), np.array([length]), per="sequence")
    parts = DyadicFeatures.fit(sequences, ())
    of_pairs, of_spectra = 3 * pairs_of(columns + 1).shape[1], 2 * len(SPANS) * MOST_BANDS
    assert parts.size <= 1 + max(MOST, SERIES * (columns + 1)) + of_spectra + MOST_COUNTS + of_pairs
    assert parts.counts_crossings == (length > 9 and columns < 300)
    assert parts.spans.tolist() == ([1, 8, 64] if length > 9 and columns < 300 else [])
    assert 1 <= len(parts.quantiles) <= HALVINGS + 1
    assert parts.features(sequences).shape == (1, parts.size)


@pytest.mark.parametrize("span", [1, 8])
@pytest.mark.parametrize("distances", [False, True])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e25])
def test_spectra_know_no_scale_and_nothing_of_what_is_constant(scale: float, distances: bool, span: int) -> None:
    random = np.random.default_rng(0)
    values = [np.stack([random.normal(size=n), np.full(n, 0.1), np.zeros(n)], axis=1) for n in (1, 40, 33, 64, 65)]
    plain, scaled = (
        spectra(np.concatenate(values) * by, np.array([1, 40, 33, 64, 65]), 8, distances, span) for by in (1, scale)
    )
    np.testing.assert_allclose(scaled, plain, rtol=1e-9, atol=1e-9)
    constant = plain.reshape(5, -1, 3)[:, :, 1:]
    np.testing.assert_allclose(constant[:, :8], np.log(1e-6), rtol=1e-6)
    np.testing.assert_allclose(constant[:, 8:], 0, atol=1e-6)


def test_tones_are_told_apart() -> None:
    """Two classes of sequences with the same numbers, one in an order that is slow and one that is fast."""
    random, values = np.random.default_rng(1), []
    for i in range(80):
        tone = np.sin(2 * np.pi * np.arange(200) * (0.11 if i % 2 else 0.13) + random.uniform(0, 6))
        values.append((tone + random.normal(size=200))[:, None])
    sequences = Sequences.from_arrays(values, np.arange(80) % 2, per="sequence")
    assert right_on_the_rest(sequences) > 0.9


def test_numbers_of_a_category_are_seen() -> None:
    """Sequences with the same numbers and categories: in half of them 1 has the larger numbers, in half 2."""
    random, values = np.random.default_rng(0), []
    for i in range(120):
        codes = random.integers(1, 3, 20)
        values.append(np.stack([random.normal(size=20) + (codes == 1 + i % 2), codes], axis=1))
    sequences = Sequences.from_arrays(values, np.arange(120) % 2, per="sequence")
    assert right_on_the_rest(sequences, (3,)) > 0.85


@pytest.mark.parametrize(("steps", "periods"), [(300, (10, 20)), pytest.param(800, (160, 120), id="beyond a segment")])
def test_swings_of_loudness_are_told_apart(steps: int, periods: tuple[int, int]) -> None:
    random, values = np.random.default_rng(1), []
    for i in range(160):
        swing = 1 + 0.8 * np.sin(2 * np.pi * np.arange(steps) / periods[i % 2] + random.uniform(0, 6))
        values.append((swing * random.normal(size=steps))[:, None])
    sequences = Sequences.from_arrays(values, np.arange(160) % 2, per="sequence")
    assert right_on_the_rest(sequences) > 0.85


def test_turns_are_seen_whichever_way_axes_point() -> None:
    """Two axes that turn by chance; the radius swings in half of the sequences faster than in the others."""
    random, values = np.random.default_rng(1), []
    for i in range(120):
        angle, phase = random.uniform(0, 6.3, 200), random.uniform(0, 6)
        radius = 1 + 0.05 * np.sin(np.arange(200) / (2 if i % 2 else 3) + phase)
        values.append(radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    sequences = Sequences.from_arrays(values, np.arange(120) % 2, per="sequence")
    assert right_on_the_rest(sequences) > 0.9


def test_events_are_counted() -> None:
    """Sequences of unequal lengths with three or four pulses in noise that drifts."""
    random, values = np.random.default_rng(0), []
    for i in range(200):
        length = int(random.integers(150, 400))
        pulses = np.linspace(0, length, 5 + i % 2)[1:-1] + random.uniform(-10, 10, 3 + i % 2)
        noise = random.normal(size=length) * 0.1 + random.normal(size=length).cumsum() * 0.05
        values.append((noise + np.exp(-(((np.arange(length) - pulses[:, None]) / 5) ** 2)).sum(axis=0))[:, None])
    sequences = Sequences.from_arrays(values, np.arange(200) % 2, per="sequence")
    assert right_on_the_rest(sequences) > 0.85


def test_means_are_those_of_the_most_frequent_codes() -> None:
    random = np.random.default_rng(0)
    values = np.hstack([random.normal(size=(2000, 300)), random.permutation(2000)[:, None] % 50 // 10])
    values[::2, -1] = 3
    parts = DyadicFeatures.fit(Sequences(values, np.full(10, 200), per="sequence"), (5,))
    assert 3 in parts.averaged
    assert len(parts.averaged) == MOST_MEANS // 301


def test_a_spectrum_has_bands_of_one_width() -> None:
    arrays = DyadicFeatures.fit(walks(), CATEGORIES).arrays() | {"bands": np.array([3])}
    with pytest.raises(InputError, match="power of two, not 3"):
        DyadicFeatures.from_arrays(arrays, Network(features=4, classes=2, categories=CATEGORIES, per="sequence"))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e25])
def test_columns_that_are_constant_go_with_no_others(scale: float) -> None:
    random = np.random.default_rng(0)
    values = [np.stack([random.normal(size=n), np.full(n, 0.1), random.normal(size=n)], axis=1) for n in (1, 2, 64)]
    plain, scaled = (correlated([each * by for each in values]) for by in (1, scale))
    np.testing.assert_allclose(scaled, plain, rtol=1e-9, atol=1e-6)
    of_pairs = plain.reshape(3, 3, 3)
    np.testing.assert_allclose(of_pairs[:, :, [0, 2]], 0, atol=1e-6)
    assert (np.abs(of_pairs[1:, 0, 1]) > 0.05).all()


def test_correlations_are_those_of_all_pairs() -> None:
    values = [np.random.default_rng(n).normal(size=(n, 4)).cumsum(axis=0) for n in (3, 10, 70)]
    found = correlated(values)
    np.testing.assert_allclose(found, [pairs_by_hand(each) for each in values], rtol=1e-9, atol=1e-9)


def test_columns_that_go_together_are_seen() -> None:
    """Two columns of noise that are alike in half of the sequences, and opposite in the others."""
    random, values = np.random.default_rng(1), []
    for i in range(120):
        both = random.normal(size=(60, 2))
        values.append(both + random.normal(size=(60, 1)) * (1, 1 if i % 2 else -1))
    sequences = Sequences.from_arrays(values, np.arange(120) % 2, per="sequence")
    assert right_on_the_rest(sequences) > 0.9


def test_the_order_of_categories_is_seen() -> None:
    """Sequences with the same counts: in half of them 1 comes before 2."""
    random, values = np.random.default_rng(0), []
    for i in range(80):
        codes = np.zeros(20)
        codes[np.sort(random.choice(20, 2, replace=False))] = (1, 2) if i % 2 else (2, 1)
        values.append(codes[:, None])
    sequences = Sequences.from_arrays(values, np.arange(80) % 2, per="sequence")
    assert right_on_the_rest(sequences, (3,)) > 0.8


def test_sequences_without_steps_and_huge_numbers() -> None:
    sequences = walks()
    found = Forest.fit(sequences, 2, CATEGORIES, 0)
    assert found is not None
    values = np.array([[1e300, -1e300, 0, 0], [-np.inf, np.inf, 4, 2]])
    strange = Sequences(values, np.array([0, 2, 0]), per="sequence")
    logits = found.logits(strange)
    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(logits[0], logits[2])
    assert found.logits(sequences.take(np.zeros(0, np.int64))).shape == (0, 2)


def test_votes_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.ensemble import ExtraTreesClassifier

    models, fit = [], ExtraTreesClassifier.fit

    def spied(self: Any, *given: Any) -> Any:
        models.append(self)
        return fit(self, *given)

    monkeypatch.setattr(ExtraTreesClassifier, "fit", spied)
    sequences, new = walks(), walks(1500, seed=1)
    found = Forest.fit(sequences, 4, CATEGORIES, 0)
    assert found is not None
    logits = found.logits(new)
    assert (logits[:, 2:] == -1e4).all(), "classes that training never saw"
    shares = np.exp(logits[:, :2] / found.power)
    theirs = models[-1].predict_proba(found.features.features(new))
    np.testing.assert_allclose(shares, np.maximum(theirs, forests.RARELY), rtol=0, atol=1e-6)
    assert (found.predict(new) == new.labels).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=pytest.mark.slow), 0.4])
def test_probabilities_are_as_sure_as_they_are_right(noise: float) -> None:
    def noisy(sequences: Sequences, seed: int) -> Sequences:
        wrong = np.random.default_rng(seed).random(len(sequences)) < noise
        return replace(sequences, labels=np.where(wrong, 1 - sequences.known_labels, sequences.known_labels))

    found, new = Forest.fit(noisy(walks(400), 0), 2, CATEGORIES, 0), noisy(walks(2000, seed=1), 1)
    assert found is not None
    assert (found.power > 1) == (noise == 0)
    likely = [replace(found, power=power).logits(new) for power in (found.power, np.ones(1, np.float32))]
    powered, plain = (log_softmax(each, axis=1)[np.arange(2000), new.known_labels].mean() for each in likely)
    assert powered > plain + 0.01


def test_it_learns_nothing_from_what_says_nothing() -> None:
    sequences = walks()
    assert Forest.fit(Sequences(sequences.values, sequences.lengths), 2, CATEGORIES, 0) is None
    assert Forest.fit(replace(sequences, labels=np.full(120, NO_LABEL)), 2, CATEGORIES, 0) is None
    assert Forest.fit(replace(sequences, labels=np.full(120, 1)), 2, CATEGORIES, 0) is None
    same = Sequences(np.ones((40, 1)), np.full(20, 2), np.arange(20) % 2, per="sequence")
    assert Forest.fit(same, 2, (), 0) is None


def test_large_parts_to_learn_from_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forests, "NUMBERS", 80 * DyadicFeatures.fit(walks(), CATEGORIES).size)
    found = Forest.fit(walks(), 2, CATEGORIES, 0)
    assert found is not None
    leaves = found.inputs < 0
    assert leaves.sum() <= 80 * len(found.roots)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("quantiles", np.array([0]), "from 1 to"),
        ("codes", np.array([8]), "from 0 to 7"),
        ("averaged", np.array([8]), "from 0 to 7"),
        ("inputs", np.full(9, 10**6, np.int32), "from -1 to"),
        ("values", np.zeros(2, np.float32), r"must be float32"),
        ("children", "backward", "must lead to later ones"),
        ("roots", np.array([1]), "must lead to later ones"),
        ("leaves", 2, "from 0 to 1"),
    ],
)
def test_arrays_that_are_no_forest(name: str, wrong: Any, said: str) -> None:
    network = Network(4, 2, categories=CATEGORIES, per="sequence")
    found = Forest.fit(walks(), 2, CATEGORIES, 0)
    assert found is not None
    arrays = {key: np.ascontiguousarray(array) for key, array in found.arrays().items()}
    kept = Forest.from_arrays(arrays, network)
    np.testing.assert_array_equal(kept.logits(walks()), found.logits(walks()))
    if name == "leaves":
        arrays["values"] = np.where(arrays["inputs"] < 0, np.float32(wrong), arrays["values"])
    else:
        arrays[name] = np.roll(arrays[name], 1, axis=0) if isinstance(wrong, str) else wrong
    with pytest.raises(InputError, match=said):
        Forest.from_arrays(arrays, network)
    with pytest.raises(InputError, match="labels steps"):
        Forest.from_arrays(arrays, Network(4, 2, categories=CATEGORIES))


def test_each_part_of_a_sequence_has_a_step() -> None:
    start, end = ends_of_parts(np.array([[5], [1]]), 2)
    assert (start.tolist(), end.tolist()) == ([[0, 2], [0, 0]], [[3, 5], [1, 1]])
