"""A hidden switch behind noise."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from bothways.options import whole
from bothways.problems.problem import BayesAccuracy, Seed, finite, generator, shape
from bothways.sequences import Floats, Numbers

NODES = 600  # points of the Gauss-Legendre rule over the log-odds; the Gaussian kernel makes all integrands smooth


def noisy_switch(
    n_sequences: int, n_timesteps: int, flip: float = 0.1, noise: float = 1.0, seed: Seed = None
) -> tuple[Floats, Numbers]:
    """A switch that is on or off and seldom moves, seen through noise; the label is its position.

    Every step says something of the label and so do its neighbours on either side: the case of most real
    sequences. Nobody can label it all rightly; reading both ways goes further than either way alone.

    The switch z[t] is -1 or +1, each with probability 1/2 at the first step, and flips before every later step with
    probability q (`flip`, above 0 and below 1). One sees x[t] = z[t] + noise e[t], e standard normal, with a `noise`
    above 0.05 and below 20. The label is 1 where z is +1.

    What is possible. The log-odds of z[t] are the sum of three parts that are independent given z[t]: of the past,
    of the step, and of the future. That of the step is 2 x[t] / noise**2, normal with mean m z[t] and variance 2 m,
    m = 2 / noise**2. If the steps up to t - 1 give the log-odds l for z[t-1], they give for z[t]

        g(l) = log(((1 - q) e**l + q) / (q e**l + 1 - q))

    and so do those from t + 1 on. *Forward* the log-odds of t are l[t] = g(l[t-1]) + 2 x[t] / noise**2, and the best
    guess is right where their sign is that of z[t]. Given z[t] = +1 the density of l[t] follows from that of l[t-1]
    by an integral over l[t-1], in which z[t-1] is +1 with 1 - q and -1, with the density mirrored, with q; it is done
    numerically, to about 1e-9 ("density evolution": Richardson and Urbanke 2001). *Backward* is the same read from
    the end, as the switch looks the same both ways. *Both*: the sign of g(past) + g(future) + 2 x[t] / noise**2, an
    integral over the two.

    Example:
        >>> X, y = noisy_switch(n_sequences=2, n_timesteps=6, seed=1)
        >>> X[0, :, 0].round(1), y[0, :, 0]
        (array([0.5, 1.6, 1. , 0.7, 0.2, 0.7], dtype=float32), array([1, 1, 1, 1, 1, 1]))
    """
    size = (*shape(n_sequences, n_timesteps), 1)
    flip, noise = _parameters(flip, noise)
    random = generator(seed)
    moves = random.random(size) < flip
    moves[:, 0] = random.random((n_sequences, 1)) < 0.5
    y = np.cumsum(moves, axis=1, dtype=np.int64) % 2
    X = 2.0 * y - 1 + noise * random.standard_normal(size)
    return X.astype(np.float32), y


def noisy_switch_accuracy(n_timesteps: int, flip: float = 0.1, noise: float = 1.0) -> BayesAccuracy:
    """The accuracy that `noisy_switch` derives, to about 1e-9."""
    steps = whole("n_timesteps", n_timesteps, 1)
    flip, noise = _parameters(flip, noise)
    told = 2 / noise**2
    of_one, of_all = (n * told + 9 * math.sqrt(2 * n * told) for n in (1, steps))
    reach = min(of_one + abs(math.log(1 / flip - 1)), of_all)  # so much a flip lets through, and all steps tell
    # In the middle stands a node without width: even odds, which is what nothing seen gives.
    x, w = (np.insert(each, NODES // 2, 0.0) for each in np.polynomial.legendre.leggauss(NODES))
    nodes, widths = reach * x, reach * w
    nothing = (np.arange(NODES + 1) == NODES // 2).astype(float)
    stays, flips = math.log(1 - flip), math.log(flip)
    carried = np.logaddexp(stays + nodes, flips) - np.logaddexp(flips + nodes, stays)
    kernel = np.exp(-((nodes[:, None] - carried - told) ** 2) / (4 * told)) / math.sqrt(4 * math.pi * told)

    # For each step, the weights of the nodes, given +1 at that step, as log-odds of the step before.
    befores = [nothing]
    for _ in range(steps - 1):
        density = kernel @ befores[-1]
        before = widths * ((1 - flip) * density + flip * density[::-1])
        befores.append(before / before.sum())

    together = ndtr((carried[:, None] + carried + told) / math.sqrt(2 * told))
    past = np.array(befores)
    forward, both = past @ together @ nothing, (past @ together * past[::-1]).sum(axis=1)
    return BayesAccuracy(forward, forward[::-1], both)


def _parameters(flip: float, noise: float) -> tuple[float, float]:
    return finite("flip", flip, 0, 1), finite("noise", noise, 0.05, 20)
