"""Samples of sequences and seeds: against samples drawn one by one, and against data of known making."""

from __future__ import annotations

import numpy as np
import pytest

from bothways.metrics import Resamples, bootstrap, interval, medians
from bothways.sequences import Doubles


def share(sums: Doubles, _whole: Doubles) -> Doubles:
    return np.asarray(sums[..., 0] / sums[..., 1])


def test_samples_are_of_whole_sequences() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (30, 2))
    drawn = np.random.default_rng(3).integers(30, size=(50, 30))
    (sums,) = Resamples([30], times=50, seed=3).sums(counts)
    np.testing.assert_array_equal(sums, [counts[sample].sum(axis=0) for sample in drawn])


def test_many_samples_at_once_or_few_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.random.default_rng(0).integers(0, 9, (30, 2))
    (at_once,) = Resamples([30], times=20).sums(counts)
    monkeypatch.setattr(bootstrap, "AT_ONCE", 5)
    few = Resamples([30], times=20)
    for _ in range(2):
        np.testing.assert_array_equal(few.sums(counts)[0], at_once)


def test_samples_without_a_score_do_not_count() -> None:
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Scores with a spread over seeds and one over sequences: the mean is inside about as often as promised."""
    generator = np.random.default_rng(2)
    held = 0
    for trial in range(200):
        rates = 0.7 + generator.normal(0, 0.05, (20, 1)) + generator.normal(0, 0.1, (1, 60))
        right = generator.binomial(50, np.clip(rates, 0, 1))
        counts = np.stack([right, np.full_like(right, 50)], axis=-1)
        draws = Resamples([60] * 20, times=200, seed=trial).scores(list(counts), share, worst=0.0)
        low, high = interval(np.mean(draws, axis=1))
        held += low <= 0.7 <= high
    assert 0.88 < held / 200 <= 1.0


def test_draws_are_paired() -> None:
    """Two settings of which one is right once more in every sequence differ by just that in every draw."""
    one = np.random.default_rng(3).integers(0, 9, (5, 30))
    steps = np.full_like(one, 10)
    resamples = Resamples([30] * 5, times=50)
    first, second = (resamples.scores(list(np.stack([n, steps], -1)), share, 0.0) for n in (one, one + 1))
    np.testing.assert_allclose(second - first, 0.1, atol=1e-6)


def test_a_seed_that_came_to_nothing_counts_as_worst() -> None:
    counts = [np.array([[1, 1]]), None]
    draws = Resamples([1, 1], times=100).scores(counts, share, worst=0.0)
    assert set(np.unique(draws)) == {0.0, 1.0}


def test_seeds_may_have_sequences_of_their_own() -> None:
    counts = [np.array([[1, 2], [1, 2]]), np.array([[0, 3], [3, 3], [3, 3]])]
    draws = Resamples([np.arange(2), np.arange(2, 5)], times=400).scores(counts, share, 0.0)
    assert draws.shape == (400, 2)
    of_first = np.abs(draws - 0.5) < 1e-6  # whatever is drawn of its sequences
    assert 0.3 < of_first.mean() < 0.7
    assert np.nanmin(draws) == 0
    assert np.nanmax(draws) == 1
    assert 0 < np.isnan(draws).mean() < 0.1  # none of its sequences may be drawn
    assert np.isfinite(interval(medians(draws))).all()


def test_a_sequence_of_several_seeds_is_drawn_for_all_of_them() -> None:
    counts = [np.array([[1, 2], [0, 2]]), np.array([[0, 2], [1, 2]])]  # the same two, in another order
    resamples = Resamples([np.array([7, 9]), np.array([9, 7])], times=200)
    draws = resamples.scores(counts, share, 0.0)
    same = Resamples([2, 2], times=200).scores([counts[0]] * 2, share, 0.0)
    np.testing.assert_array_equal(draws, same)
    assert (draws[:, 0] == draws[:, 1]).all()


@pytest.mark.slow
def test_an_interval_holds_the_truth_where_seeds_test_on_parts_of_one_table() -> None:
    """Of a fixed model: its score on 9 of 60 sequences, which each of 50 seeds draws for itself."""
    generator = np.random.default_rng(5)
    held, alone = 0, 0
    for trial in range(200):
        right = generator.normal(0.7, 0.15, 60).clip(0, 1) * 100
        parts = [generator.permutation(60)[:9] for _ in range(50)]
        counts = [np.stack([right[part], np.full(9, 100)], axis=1) for part in parts]
        found = Resamples(parts, times=200, seed=trial).scores(counts, share, worst=0.0)
        low, high = interval(medians(found))
        held += low <= 0.7 <= high
        others = [part + 60 * seed for seed, part in enumerate(parts)]  # as if each seed had sequences of its own
        low, high = interval(medians(Resamples(others, times=200, seed=trial).scores(counts, share, worst=0.0)))
        alone += low <= 0.7 <= high
    assert 0.92 < held / 200 < 1.0
    assert alone / 200 < 0.88
