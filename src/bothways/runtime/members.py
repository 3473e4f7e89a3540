"""What a model averages: networks and simple models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bothways.baselines import Classifier
from bothways.errors import InputError
from bothways.network import Network
from bothways.runtime.codes import quantized
from bothways.runtime.forward import logits_of, probabilities
from bothways.runtime.stack import Stack
from bothways.sequences import Array, Floats, Sequences

PRECISIONS = ("float32", "int8")
"""Of the recurrent layers of a trained network; see `bothways.engine.Layer`."""


@dataclass(frozen=True, eq=False)
class Member:
    """A network of an average."""

    network: Network
    weights: Mapping[str, Floats]  # the arrays that `network.weight_shapes()` names, float32 and finite
    share: float = 1.0  # how much its probabilities count, above 0
    precision: str = "float32"  # in which the recurrent layers run; in "int8" files keep codes of the weights

    def __post_init__(self) -> None:
        check_weights(self.network, self.weights)
        _check_share(self.share)
        if self.precision not in PRECISIONS:
            raise InputError(f"There is no precision {self.precision!r}. Use one of: {', '.join(PRECISIONS)}.")

    @cached_property
    def stack(self) -> Stack:
        """Its layers."""
        return Stack(self.network, self.weights, self.precision)

    @cached_property
    def entrance(self) -> tuple[Any, ...]:
        """What networks have in common that `logits_of` can take together: steps enter them in the same way."""
        arrays = (array.tobytes() for name, array in sorted(self.weights.items()) if name.startswith("input/"))
        network = self.network
        return network.direction, network.levels, network.changes, network.encoding, network.lookahead, *arrays

    def arrays(self) -> Mapping[str, Any]:
        """What a model file keeps of it."""
        return self.weights if self.precision == "float32" else quantized(self.weights)


@dataclass(frozen=True, eq=False)
class BaselineMember:
    """A simple model, as a member of an average."""

    baseline: Classifier
    share: float = 1.0

    def __post_init__(self) -> None:
        _check_share(self.share)

    def arrays(self) -> Mapping[str, Any]:
        """What a model file keeps of it."""
        return self.baseline.arrays()

    def probabilities(self, sequences: Sequences, before: Array | None = None) -> Floats:
        """The probability of each class for all labels; `before` says what came before sequences that go on."""
        return checked_probabilities(self.baseline.logits(sequences, before)).astype(np.float32, copy=False)


def of_members(members: Sequence[Member | BaselineMember], sequences: Sequences) -> list[Floats]:
    """The probabilities that each gives, `(labels, classes)`; networks into which steps enter alike run together."""
    found, alike = dict[int, Floats](), dict[tuple[Any, ...], dict[int, Stack]]()
    for i, member in enumerate(members):
        if isinstance(member, Member):
            alike.setdefault(member.entrance, {})[i] = member.stack
        else:
            found[i] = member.probabilities(sequences)
    with np.errstate(over="ignore", invalid="ignore"):
        for stacks in alike.values():
            of_stacks = logits_of(list(stacks.values()), sequences)
            found |= {i: checked_probabilities(z) for i, z in zip(stacks, of_stacks, strict=True)}
    return [found[i] for i in range(len(members))]


def checked_probabilities(z: Floats) -> Floats:
    """Scores to probabilities; refuses those that overflow."""
    if not np.isfinite(z).all():
        raise InputError("The outputs overflow: weights of the model, or values of the sequences, are too large.")
    return probabilities(z)


def _check_share(share: float) -> None:
    if not 0 < share < np.inf:
        raise InputError(f"The share of a member is {share}; it must be above 0.")


def check_weights(network: Network, weights: Mapping[str, Any]) -> None:
    """Refuse weights that do not fit the network."""
    shapes = network.weight_shapes()
    for name, shape in shapes.items():
        if name not in weights:
            raise InputError(f"The weight {name!r} is missing.")
        array = weights[name]
        if array.shape != shape or array.dtype != np.float32:
            raise InputError(f"The weight {name!r} is {array.dtype} {array.shape}; it must be float32 {shape}.")
        if not np.isfinite(array).all():
            raise InputError(f"The weight {name!r} holds values that are not finite numbers.")
    if unknown := sorted(set(weights) - set(shapes)):
        raise InputError(f"The network has no weight {unknown[0]!r}.")
    if not (weights["input/scale"] > 0).all():
        raise InputError("The weight 'input/scale' must be above 0 everywhere.")
