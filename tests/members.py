"""Small networks, and members whose weights are drawn at random, for tests of models that need no training."""

from __future__ import annotations

from typing import Any

import numpy as np

from bothways.network import Network
from bothways.runtime import Member
from bothways.sequences import Array


def some_network(**more: Any) -> Network:
    """A small one, of two features and classes unless something else is said."""
    return Network(**{"features": 2, "classes": 2, "units": 4, **more})


def random_member(
    network: Network, seed: int | np.random.Generator = 0, spread: float = 0.5, share: float = 1.0
) -> Member:
    random = np.random.default_rng(seed)
    weights = {name: spread * random.normal(size=shape) for name, shape in network.weight_shapes().items()}
    weights["input/scale"] = np.abs(weights["input/scale"]) + 0.5
    set_bins(weights, random)
    return Member(network, {name: array.astype(np.float32) for name, array in weights.items()}, share)


def set_bins(weights: dict[str, Array], random: np.random.Generator) -> None:
    """Makes bins follow one another, as those of trained networks do; of some numbers there are fewer."""
    if "input/centers" in weights:
        numbers, bins = weights["input/centers"].shape
        edges = random.uniform(0.1, 0.8, (numbers, bins + 1)).cumsum(1) - bins / 4
        used = np.arange(bins) < random.integers(0, bins + 1, (numbers, 1))
        weights["input/centers"] = np.where(used, (edges[:, 1:] + edges[:, :-1]) / 2, 0).astype(np.float32)
        weights["input/slopes"] = np.where(used, 2 / np.diff(edges), 0).astype(np.float32)
