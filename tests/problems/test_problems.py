"""What every generated problem keeps to, and the page about them."""

from __future__ import annotations

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.problems import PROBLEMS, Problem


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_every_problem_is_as_its_entry_says(problem: Problem) -> None:
    assert problem.generate.__name__ == problem.name.replace("-", "_")
    for steps in (1, 2, 12):
        X, y = problem.generate(40, steps, seed=1)
        assert X.shape == (40, steps, problem.features)
        assert y.shape == (40, steps, 1)
        assert X.dtype == np.float32
        assert y.dtype == np.int64
        assert (y >= 0).all()
        assert (y < problem.classes).all()
        for column, codes in enumerate(problem.categories, problem.features - len(problem.categories)):
            assert set(np.unique(X[..., column])) <= set(range(codes))
    again, other = problem.generate(40, 12, seed=1), problem.generate(40, 12, seed=2)
    assert (again[0] == X).all()
    assert (again[1] == y).all()
    assert (other[0] != X).any()
    generator = np.random.default_rng(1)
    assert (problem.generate(40, 12, seed=generator)[0] == X).all()
    assert (problem.generate(40, 12, seed=generator)[0] != X).any()


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_every_problem_has_a_bayes_accuracy(problem: Problem) -> None:
    for steps in (1, 2, 12):
        possible = problem.bayes_accuracy(steps)
        parts = possible.forward_steps, possible.backward_steps, possible.both_steps
        assert all(part.shape == (steps,) for part in parts)
        assert all((part >= 0.5).all() and (part <= 1 + 1e-12).all() for part in parts)
        slack = 5 * possible.error + 1e-9
        assert possible.both >= max(possible.forward, possible.backward) - slack
        # At its end a sequence has no more to show to one direction than to both.
        assert possible.forward_steps[-1] == pytest.approx(possible.both_steps[-1], abs=1e-9)
        assert possible.backward_steps[0] == pytest.approx(possible.both_steps[0], abs=1e-9)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_bad_counts_and_seeds_are_named(problem: Problem) -> None:
    for arguments, named in (((0, 5), "n_sequences is 0"), ((5, 0), "n_timesteps is 0"), ((5, 2.5), "n_timesteps")):
        with pytest.raises(InputError, match=named):
            problem.generate(*arguments)
    with pytest.raises(InputError, match="seed is -1"):
        problem.generate(2, 5, seed=-1)
    with pytest.raises(InputError, match="n_timesteps is 0"):
        problem.bayes_accuracy(0)
