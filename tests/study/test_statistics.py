"""The statistics against enumeration, against other formulas, and against data of known making."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from bothways.errors import InputError
from bothways.study.statistics import holm, resampled_t_test, sign_flip_test, variance_shares


def test_signs_are_flipped_in_every_way() -> None:
    x = np.array([0.3, -0.1, 0.2, 0.4])
    flipped = [abs(np.dot(signs, x)) for signs in itertools.product((-1, 1), repeat=4)]
    assert sign_flip_test(x.tolist()) == np.mean(np.array(flipped) >= x.sum() - 1e-12)
    assert sign_flip_test([0.0, 0.0]) == 1.0


def test_many_differences_are_tested_by_random_signs() -> None:
    x = np.random.default_rng(0).normal(0.4, 1, 30).tolist()
    assert sign_flip_test(x) == pytest.approx(stats.ttest_1samp(x, 0).pvalue, abs=0.02)
    assert sign_flip_test([1.0] * 40) < 1e-4


def test_where_nothing_differs_few_tests_say_so() -> None:
    generator = np.random.default_rng(1)
    p = np.array([sign_flip_test(generator.normal(size=8).tolist()) for _ in range(1000)])
    assert 0.03 < (p < 0.05).mean() < 0.07


def test_without_a_test_part_the_resampled_test_is_the_plain_one() -> None:
    x = [0.1, 0.2, 0.1, 0.3, 0.2]
    plain = stats.ttest_1samp(x, 0).pvalue
    assert resampled_t_test(x, test_share=0.0) == pytest.approx(plain)
    assert resampled_t_test(x, test_share=0.5) > plain
    assert resampled_t_test([0.0, 0.0], 0.1) == resampled_t_test([0.3], 0.1) == 1.0
    assert resampled_t_test([0.5, 0.5], 0.1) == 0.0


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


LEVELS = {"a": 3, "b": 2, "c": 2}
CELLS = list(itertools.product(*(range(n) for n in LEVELS.values())))


def made_scores(seeds: int, noise: float, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Main effects of a and b, an interaction of b and c, and noise."""
    means = [(-1, 0, 1)[a] + 0.5 * (1, -1)[b] + 0.4 * (1, -1)[b] * (1, -1)[c] for a, b, c in CELLS]
    return np.array(means)[:, None] + np.random.default_rng(seed).normal(0, noise, (len(CELLS), seeds))


def test_shares_are_those_that_the_data_were_made_with() -> None:
    known = {("a",): 2 / 3, ("b",): 0.25, ("c",): 0.0, ("a", "b"): 0.0, ("a", "c"): 0.0, ("b", "c"): 0.16}
    total = sum(known.values())
    exact = variance_shares(made_scores(3, 0.0, 0), CELLS, LEVELS)
    assert exact.effects == pytest.approx({names: square / total for names, square in known.items()})
    assert exact.higher == pytest.approx(0) == exact.seed
    assert exact.variance == pytest.approx(total)


def test_noise_does_not_inflate_shares() -> None:
    """The mean over many studies of 4 seeds is close to the truth, though the noise is as large as the effects."""
    studies = [variance_shares(made_scores(4, 1.0, seed), CELLS, LEVELS) for seed in range(300)]
    total = 2 / 3 + 0.25 + 0.16 + 1.0
    for names, square in {("a",): 2 / 3, ("b",): 0.25}.items():
        assert np.mean([s.effects[names] for s in studies]) == pytest.approx(square / total, abs=0.03)
    assert np.mean([s.seed for s in studies]) == pytest.approx(1 / total, abs=0.06)
    # Squares that would be below 0 by chance are 0, so what is not there has a little.
    assert np.mean([s.effects["a", "c"] for s in studies]) < 0.04


def test_the_error_of_a_share_is_its_spread_over_studies() -> None:
    studies = [variance_shares(made_scores(6, 0.8, seed), CELLS, LEVELS) for seed in range(200)]
    spread = np.std([study.effects["a",] for study in studies])
    assert np.sqrt(np.mean([study.errors["a",] ** 2 for study in studies])) == pytest.approx(spread, rel=0.3)
    assert variance_shares(made_scores(2, 0.8, 0), CELLS, LEVELS).errors == {}


def test_shares_add_up_to_one() -> None:
    for seeds in (1, 2, 5):
        shares = variance_shares(made_scores(seeds, 0.5, 7), CELLS, LEVELS)
        assert sum(shares.effects.values()) + shares.higher + (shares.seed or 0.0) == pytest.approx(1)
        assert (shares.seed is None) == (seeds == 1)


def test_main_effects_are_found_in_a_part_of_the_grid() -> None:
    means = np.array([(-1, 0, 1)[a] + 0.5 * (1, -1)[b] for a, b, _ in CELLS])
    some = [0, 1, 3, 5, 6, 8, 10]
    shares = variance_shares(np.repeat(means[some, None], 2, axis=1), [CELLS[i] for i in some], LEVELS)
    total = 2 / 3 + 0.25
    assert shares.effects == pytest.approx({("a",): 2 / 3 / total, ("b",): 0.25 / total, ("c",): 0.0}, abs=1e-9)


def test_nothing_to_explain() -> None:
    shares = variance_shares(np.full((12, 3), 0.1), CELLS, LEVELS)
    assert set(shares.effects.values()) == {0.0} == {shares.higher, shares.seed, shares.variance}


def test_scores_must_be_numbers_for_every_cell() -> None:
    with pytest.raises(InputError, match=r"must be \(cells, seeds\), all finite"):
        variance_shares(np.full((12, 2), np.nan), CELLS, LEVELS)
    with pytest.raises(InputError, match=r"of shape \(3, 2\)"):
        variance_shares(np.zeros((3, 2)), CELLS, LEVELS)
