"""Thresholds, against all that could have been chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.metrics import choose_threshold


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30),
    st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 1.0]),
)
def test_the_lowest_score_that_keeps_the_rate(pairs: list[tuple[int, bool]], rate: float) -> None:
    scores, positives = np.array([s for s, _ in pairs]) / 6, np.array([p for _, p in pairs])
    if positives.all() or not positives.any():
        with pytest.raises(InputError, match="no threshold can be chosen"):
            choose_threshold(scores, positives, rate)
        return
    threshold = choose_threshold(scores, positives, rate)
    fits = [s for s in sorted(set(scores)) if (scores[~positives] >= s).mean() <= rate]
    assert (threshold == fits[0]) if fits else (threshold > scores.max())
    assert (scores[~positives] >= threshold).mean() <= rate


def test_a_rate_that_floating_point_rounds_down() -> None:
    scores, positives = np.arange(101) / 101, np.arange(101) == 100
    threshold = choose_threshold(scores, positives, 0.29)  # 0.29 * 100 is 28.999999999999996
    assert (scores[:100] >= threshold).sum() == 29


def test_float32_scores_that_are_all_one() -> None:
    scores, positives = np.ones(4, np.float32), np.array([True, False, True, False])
    threshold = choose_threshold(scores, positives, 0.01)
    assert threshold > 1
    assert not (scores >= threshold).any()  # in float32, as labels are told


@pytest.mark.parametrize(
    ("scores", "positives", "said"),
    [
        ([0.1, 0.2], [False, False], "Nothing to detect is among the 2 scores"),
        ([0.1, 0.2], [True, True], "Nothing to leave alone is among the 2 scores"),
        ([0.1], [True, False], r"scores are \(1,\) and positives \(2,\)"),
        ([0.1, np.nan], [True, False], "not finite"),
    ],
)
def test_no_threshold(scores: list[float], positives: list[bool], said: str) -> None:
    with pytest.raises(InputError, match=said):
        choose_threshold(scores, positives, 0.01)


def test_arguments_out_of_range() -> None:
    with pytest.raises(InputError, match=r"The false-alarm rate is 1\.5"):
        choose_threshold([0.1, 0.2], [True, False], 1.5)
