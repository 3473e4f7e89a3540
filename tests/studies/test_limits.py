"""What is possible for readers that only research asks about, and the page that tells it."""

from __future__ import annotations

import doctest
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import limits as possible
from best_guess import BLUR, best_guess, bins
from bothways.problems import PROBLEMS, cumulative_sum, flow_posteriors, intrusion_flows, parity
from bothways.problems.flows import ATTACKS, IS_ATTACK
from limits import FlowLimits, intrusion_limits, parity_added, reversed_as_written

ROOT = Path(__file__).parents[2]


def test_docstring_examples_hold() -> None:
    assert doctest.testmod(possible, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


@pytest.mark.slow
def test_the_page_has_the_figures_that_its_script_prints() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "studies" / "problems.py")], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "problems.md").read_text()
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(rows) > 25
    missing = [row for row in rows if row not in page]
    assert not missing
    assert all(name in done.stdout for name in PROBLEMS)


def test_scores_that_are_added_reach_their_limit_of_parity_and_no_more() -> None:
    X, y = parity(2000, 3, seed=1)
    rows, places = np.unique(X[..., 0], axis=0, return_index=True)
    assert len(rows) == 8
    bits = rows.astype(np.int64)
    # Every way to score (first, second) and (second, third) with four values each: 256 by 256 networks.
    scores = np.array(list(itertools.product((-1.5, -0.5, 0.5, 1.5), repeat=4)))
    past = scores[:, 2 * bits[:, 0] + bits[:, 1]]
    future = scores[:, 2 * bits[:, 1] + bits[:, 2]]
    right = ((past[:, None] + future >= 0) == y[places, 1, 0]).mean(axis=-1)
    assert right.max() == parity_added(3)[1] == 0.75
    assert parity_added(3).tolist() == [1, 0.75, 1]
    assert parity_added(3, reach=0).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("n_timesteps", "threshold"), [(4, None), (10, None), (7, 2.3)])
def test_sums_reversed_as_written_cannot_be_guessed_better(n_timesteps: int, threshold: float | None) -> None:
    X, y = cumulative_sum(60_000, n_timesteps, threshold, seed=3)
    written = reversed_as_written(n_timesteps, threshold)
    for t in range(n_timesteps):
        seen = X[:, n_timesteps - 1 - t : t + 1, 0].sum(axis=1)
        guessed, error = best_guess(bins(seen), y[:, t, 0])
        assert abs(guessed - written[t]) < 5 * error + BLUR


@pytest.fixture(scope="module")
def limits() -> dict[str, FlowLimits]:
    return intrusion_limits(100, n_sequences=1000, seed=1)


@pytest.mark.slow
def test_the_best_detector_reaches_the_limits_on_labelled_flows(limits: dict[str, FlowLimits]) -> None:
    X, y = intrusion_flows(1000, 100, seed=2)
    is_attack = y[..., 0] == 1
    for direction, p in flow_posteriors(X).items():
        attack = p[..., IS_ATTACK].sum(axis=-1)
        limit = limits[direction]
        assert ((attack > 0.5) == is_attack).mean() == pytest.approx(limit.accuracy.value, abs=8 * limit.accuracy.error)
        for rate, (value, error) in limit.detection.items():
            assert error < 0.015
            threshold = np.quantile(attack[~is_attack], 1 - rate)
            assert (attack[is_attack] > threshold).mean() == pytest.approx(value, abs=8 * error)


def test_which_attacks_each_direction_can_tell(limits: dict[str, FlowLimits]) -> None:
    for rate in (0.01, 0.001):
        found = {direction: limit.stages[rate] for direction, limit in limits.items()}
        for stage in ("probe", "guess"):
            assert found["forward"][stage] < 0.15 < 0.6 < found["backward"][stage]
        for stage in ("theft", "beacon"):
            assert found["backward"][stage] < 0.15 < 0.5 < found["forward"][stage]
        for stage in ("burst", "flood"):
            assert min(found["forward"][stage], found["backward"][stage]) > 0.85
        assert all(found["both"][stage] > 0.5 for stage in ATTACKS)
        assert found["both"]["normal"] < 2 * rate
        one_way = max(limits["forward"].detection[rate].value, limits["backward"].detection[rate].value)
        assert limits["both"].detection[rate].value > one_way + 0.1


def test_the_accuracies_agree_with_the_limits(limits: dict[str, FlowLimits]) -> None:
    possible = PROBLEMS["intrusion-flows"].bayes_accuracy(100)
    for direction, value in (("forward", possible.forward), ("backward", possible.backward), ("both", possible.both)):
        assert abs(value - limits[direction].accuracy.value) < 5 * (possible.error + limits[direction].accuracy.error)
    stages = PROBLEMS["intrusion-flows"].bayes_accuracy(20, labels="stage")
    assert 0.5 < stages.forward < stages.both < 1
