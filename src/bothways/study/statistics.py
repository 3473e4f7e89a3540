"""What scores over seeds and sequences allow one to say: corrected tests, shares of variance.

Nothing here knows of networks or tables: arrays in, arrays out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import stdtr

from bothways.errors import InputError
from bothways.sequences import Doubles

EXACT_SEEDS, FLIPS = 14, 100_000  # all signs of at most this many differences are tried; of more, this many random ones


def sign_flip_test(differences: Sequence[float]) -> float:
    """The two-sided p-value of the mean of paired differences, one for each seed; with n it is at least 2 / 2**n.

    Where neither side is better, each difference is as likely to have the other sign (Fisher 1935; Dror et al. 2018
    advise it for scores of unknown distribution).
    """
    x = np.asarray(differences, np.float64)
    observed = abs(x.sum()) * (1 - 1e-12)  # equal sums may differ in their last bits
    if len(x) <= EXACT_SEEDS:
        signs = 1 - 2 * ((np.arange(2 ** len(x))[:, None] >> np.arange(len(x))) & 1)
        return float((np.abs(signs @ x) >= observed).mean())
    signs = np.random.default_rng(0).integers(0, 2, (FLIPS, len(x)), np.int8) * 2 - 1
    return float((1 + (np.abs(signs @ x) >= observed).sum()) / (1 + FLIPS))


def resampled_t_test(differences: Sequence[float], test_share: float) -> float:
    """The corrected resampled t-test of Nadeau and Bengio (2003, equation 9), two-sided.

    For differences from splits of one table: their training parts overlap, so that their variance understates that of
    the mean, the more the larger `test_share` is: sequences to test on divided by sequences to train on.
    """
    x = np.asarray(differences, np.float64)
    n = len(x)
    if n < 2:
        return 1.0
    spread = x.var(ddof=1)
    if spread == 0:
        return 1.0 if x.mean() == 0 else 0.0
    t = x.mean() / math.sqrt((1 / n + test_share) * spread)
    return float(2 * stdtr(n - 1, -abs(t)))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction (1979) of p-values that are looked at together."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return [float(value) for value in corrected]


@dataclass(frozen=True)
class Shares:
    """Where the variance of a score comes from; the shares add up to 1.

    That of the seed is everything that differs between runs of one setting. `errors` are standard errors of effects, as
    far as other seeds would give other ones (jackknife over seeds: Tukey 1958); there are none below 3 seeds.
    """

    effects: Mapping[tuple[str, ...], float]  # by the factors involved: main effects, and interactions of two
    higher: float  # all interactions of more factors together; where the grid is not full, all interactions
    seed: float | None  # None with a single seed, where it cannot be told from the rest
    variance: float  # what they are shares of
    errors: Mapping[tuple[str, ...], float] = field(default_factory=dict)


def variance_shares(scores: Doubles, cells: Sequence[Sequence[int]], levels: Mapping[str, int]) -> Shares:
    """The share of the variance of a score that each factor explains: functional ANOVA (Hutter et al. 2014). Scores are
    `(cells, seeds)`, `cells` has the number of each cell's value, factor by factor, and `levels` how many values each
    factor has; raises InputError if they do not fit, or scores are not finite.

    On a full grid the score of a cell is a sum of a mean, one term per factor, one per pair of factors and so on,
    each with mean 0 over every factor in it; the variances of the terms add up to that of the score, all cells of
    equal weight. Runs with noise would inflate every term, and most of all interactions, which have many cells and
    few runs. So squares of a term are taken between different seeds, whose noise is independent: their mean is the
    square of the term itself. A share may so come out below 0 by chance, and is then 0. What cells do not explain is
    the seed's. On a part of the grid main effects are fitted by least squares.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or len(scores) != len(cells) or not np.isfinite(scores).all():
        raise InputError(f"scores are of shape {scores.shape}; they must be (cells, seeds), all finite.")
    shares, seeds = _shares(scores, cells, levels), scores.shape[1]
    if seeds < 3 or not shares.variance:
        return shares
    without = [_shares(np.delete(scores, seed, axis=1), cells, levels).effects for seed in range(seeds)]
    errors = {
        names: float(np.sqrt((seeds - 1) * np.var([effects[names] for effects in without]))) for names in shares.effects
    }
    return replace(shares, errors=errors)


def _shares(scores: Doubles, cells: Sequence[Sequence[int]], levels: Mapping[str, int]) -> Shares:
    full = len(cells) == math.prod(levels.values())
    centred = scores - scores.mean()  # a common shift changes nothing but roundings
    total = float((centred**2).mean() - _square(centred.mean(axis=0, keepdims=True)))
    between = _square(centred) - _square(centred.mean(axis=0, keepdims=True))
    terms = _grid_terms(centred, cells, levels) if full else _fitted_terms(centred, cells, levels)
    squares = {names: max(0.0, _square(term)) for names, term in terms}
    single = scores.shape[1] == 1
    higher = max(0.0, between - sum(squares.values()))
    noise = 0.0 if single else max(0.0, total - between)
    whole = sum(squares.values()) + higher + noise
    # Roundings of scores that are all equal are no variance.
    if whole <= 1e-12 * max(1.0, float((scores**2).mean())):
        return Shares(dict.fromkeys(squares, 0.0), 0.0, None if single else 0.0, 0.0)
    shares = {names: square / whole for names, square in squares.items()}
    return Shares(shares, higher / whole, None if single else noise / whole, whole)


def _square(term: Doubles) -> float:
    """The mean over cells of the square of a term `(cells, seeds)`, between different seeds if there are two."""
    cells, seeds = term.shape
    if seeds == 1:
        return float((term**2).mean())
    return float((term.sum(axis=1) ** 2 - (term**2).sum(axis=1)).sum() / (seeds * (seeds - 1) * cells))


def _grid_terms(
    scores: Doubles, cells: Sequence[Sequence[int]], levels: Mapping[str, int]
) -> Iterator[tuple[tuple[str, ...], Doubles]]:
    """The terms of one factor and of two, each `(cells of the factors in it, seeds)`."""
    order = sorted(range(len(cells)), key=lambda i: tuple(cells[i]))
    grid = scores[order].reshape(*levels.values(), -1)
    names, terms = list(levels), dict[tuple[int, ...], Doubles]()
    for size in (0, 1, 2):
        for kept in itertools.combinations(range(len(names)), size):
            term = grid.mean(axis=tuple(axis for axis in range(len(names)) if axis not in kept), keepdims=True)
            for smaller in sorted(terms, key=len, reverse=True):
                if set(smaller) < set(kept):
                    term = term - terms[smaller]
            terms[kept] = term
            if kept:
                yield tuple(names[i] for i in kept), term.reshape(-1, term.shape[-1])


def _fitted_terms(
    scores: Doubles, cells: Sequence[Sequence[int]], levels: Mapping[str, int]
) -> Iterator[tuple[tuple[str, ...], Doubles]]:
    """The main effects by least squares, each `(values of the factor, seeds)` with mean 0."""
    contrasts = {name: np.vstack([np.eye(count - 1), -np.ones(count - 1)]) for name, count in levels.items()}
    place = np.asarray(cells)
    columns = [contrasts[name][place[:, i]] for i, name in enumerate(levels)]
    design = np.hstack([np.ones((len(place), 1)), *columns])
    fitted = np.linalg.lstsq(design, scores, rcond=None)[0]
    start = 1
    for name, count in levels.items():
        yield (name,), contrasts[name] @ fitted[start : start + count - 1]
        start += count - 1
