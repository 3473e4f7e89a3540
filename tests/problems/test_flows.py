"""Network flows: what they look like, exact posteriors, and the limits of telling attacks."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.problems import PROBLEMS, flow_columns, flow_posteriors, intrusion_flows
from bothways.problems.flows import ATTACKS, IS_ATTACK, LOOKS, REGIMES, SERVICES, STAGES
from bothways.problems.regimes import Chain, Regime

SMALL = {
    "calm": Regime(1, 2, {"calm": 0.5, "storm": 0.3, "odd": 0.2}),
    "storm": Regime(2, 3, {"calm": 1.0}),
    "odd": Regime(1, 1, {"storm": 0.5, "calm": 0.5}),
}


def test_posteriors_agree_with_weighing_every_possible_path() -> None:
    chain = Chain.of(SMALL)
    steps, states = 5, len(chain.start)
    log_likelihood = np.random.default_rng(0).normal(size=(2, steps, len(SMALL)))
    paths = np.array(list(itertools.product(range(states), repeat=steps)))
    prior = chain.start[paths[:, 0]] * chain.move[paths[:, :-1], paths[:, 1:]].prod(axis=1)
    posteriors = chain.posteriors(log_likelihood)
    for row, t in itertools.product(range(2), range(steps)):
        likelihood = np.exp(log_likelihood[row, np.arange(steps), chain.regime[paths]])
        for direction, seen in (("forward", slice(0, t + 1)), ("backward", slice(t, steps)), ("both", slice(steps))):
            weights = prior * likelihood[:, seen].prod(axis=1)
            expected = np.bincount(chain.regime[paths[:, t]], weights) / weights.sum()
            np.testing.assert_allclose(posteriors[direction][row, t], expected, atol=1e-12)


def test_drawn_regimes_last_and_follow_as_described() -> None:
    drawn = Chain.of(SMALL).draw(4000, 60, np.random.default_rng(1))
    shares = np.bincount(Chain.of(SMALL).regime, Chain.of(SMALL).start)
    for t in (0, 1, 30, 59):
        np.testing.assert_allclose(np.bincount(drawn[:, t]) / 4000, shares, atol=5 * 0.5 / 4000**0.5)
    storms = [len(run) for row in drawn.tolist() for run in re.findall("(?<=[02])1+(?=[02])", "".join(map(str, row)))]
    assert set(storms) == {2, 3}
    # Those that the end cuts off are left out, which are more of the long ones, by one in sixty.
    assert np.mean(storms) == pytest.approx(2.5, abs=2.5 / len(storms) ** 0.5 + 0.01)
    odd = (drawn[:, :-1] == 2).sum()
    assert ((drawn[:, :-1] == 2) & (drawn[:, 1:] == 1)).sum() / odd == pytest.approx(0.5, abs=2.5 / odd**0.5)
    assert not ((drawn[:, :-1] == 2) & (drawn[:, 1:] == 2)).any()


def test_disguised_stages_look_exactly_like_harmless_ones() -> None:
    assert LOOKS["probe"] == LOOKS["beacon"] == LOOKS["normal"]
    assert LOOKS["guess"] == LOOKS["mistype"]
    assert LOOKS["theft"] == LOOKS["backup"]
    for name, regime in REGIMES.items():
        assert sum(regime.then.values()) == pytest.approx(1), name
        assert sum(LOOKS[name].services) == pytest.approx(1), name


def test_both_kinds_of_labels_are_of_the_same_flows() -> None:
    X, attack = intrusion_flows(30, 40, seed=4)
    same, stage = intrusion_flows(30, 40, labels="stage", seed=4)
    assert X.shape == (30, 40, 5)
    assert X.dtype == np.float32
    assert attack.dtype == stage.dtype == np.int64
    assert (same == X).all()
    assert (attack == np.isin(stage, [STAGES.index(name) for name in ATTACKS])).all()
    assert set(np.unique(X[..., 4])) == {1, 2, 3, 4, 5}
    assert set(np.unique(X[..., 3])) == {0, 1}


def test_a_posterior_of_so_much_is_right_so_often() -> None:
    X, y = intrusion_flows(600, 60, seed=6)
    for p in flow_posteriors(X).values():
        np.testing.assert_allclose(p.sum(axis=-1), 1)
        attack = p[..., IS_ATTACK].sum(axis=-1)
        for low, high in itertools.pairwise((0, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 1.01)):
            inside = (attack >= low) & (attack < high)
            # Flows of one sequence share their fate, in runs of about 8.
            error = (8 * attack[inside].mean() * (1 - attack[inside].mean()) / inside.sum()) ** 0.5
            assert abs(y[inside, 0].mean() - attack[inside].mean()) < 5 * error + 1e-3


def test_flows_become_columns_of_a_table() -> None:
    X, y = intrusion_flows(3, 4, seed=0)
    columns = flow_columns(X, y)
    assert {len(column) for column in columns.values()} == {12}
    assert columns["sequence_id"][4:8] == [1] * 4
    assert columns["step"][4:8] == [0, 1, 2, 3]
    assert columns["log_sent"][5] == X[1, 1, 1]
    assert columns["service"][5] == SERVICES[int(X[1, 1, 4])]
    assert columns["label"] == [("normal", "attack")[label] for label in y.ravel().tolist()]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda X, y: intrusion_flows(2, 3, labels="kind"), 'labels is .kind.; it must be "attack" or "stage"'),
        (lambda X, y: PROBLEMS["intrusion-flows"].bayes_accuracy(3, labels="kind"), "labels is 'kind'"),
        (lambda X, y: flow_columns(X, y[:, :, 0]), r"X is \(2, 3, 5\) and y is \(2, 3\)"),
        (lambda X, y: flow_columns(X, y + 5), "each 0 or 1"),
        (lambda X, y: flow_posteriors(X[..., :4]), r"X is \(2, 3, 4\)"),
        (lambda X, y: flow_posteriors(X * 0), "services from 1 to 5"),
        (lambda X, y: flow_posteriors(np.where(X[0, 0, 0] == X, np.nan, X)), "finite numbers"),
    ],
)
def test_bad_arguments_are_named(call: Any, named: str) -> None:
    X, y = intrusion_flows(2, 3, seed=0)
    with pytest.raises(InputError, match=named):
        call(X, y)
