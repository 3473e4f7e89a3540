"""What a labeling network is, described once.

A network reads sequences `(time, features)` through a stack of recurrent layers and ends in a head that
scores the classes at every step. Training builds it in Keras, the runtime runs it on the engine and NumPy;
both follow the description here and name the weights as it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Integral
from types import MappingProxyType
from typing import Any

from bothways.errors import InputError
from bothways.merge import MERGE_MODES, check_merge_mode
from bothways.spec import cell_spec

DIRECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"forward": ("forward",), "backward": ("backward",), "both": ("forward", "backward")}
)

MAX_DEPTH = 100
"""No network needs more layers; a model file could claim a billion, whose mere description would fill the memory."""


@dataclass(frozen=True)
class Recurrent:
    """One recurrent layer of the stack.

    Attributes:
        name: what the names of its weights begin with.
        cell: a key of `bothways.spec.CELLS`.
        directions: the ways in which it reads, "forward" before "backward".
        merge_mode: how two directions become one; without meaning for a single one.
        features: the width of its input.
        units: the width of the state of each direction.
    """

    name: str
    cell: str
    directions: tuple[str, ...]
    merge_mode: str
    features: int
    units: int

    @property
    def width(self) -> int:
        """The width of its output."""
        side_by_side = len(self.directions) == 2 and not MERGE_MODES[self.merge_mode].equal_units
        return self.units * (2 if side_by_side else 1)

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of its weights, in Keras's order."""
        shapes = cell_spec(self.cell).weight_shapes(self.features, self.units)
        return {
            f"{self.name}/{direction}/{weight}": shape
            for direction in self.directions
            for weight, shape in shapes.items()
        }


@dataclass(frozen=True)
class Network:
    """A network that labels every step.

    Attributes:
        features: the number of numbers that a step has.
        classes: the number of classes, at least two.
        cell: a key of `bothways.spec.CELLS`.
        direction: "forward", "backward" or "both".
        merge_mode: a key of `bothways.merge.MERGE_MODES`; without meaning unless `direction` is "both".
        units: the width of the state of each direction.
        depth: the number of recurrent layers, one on top of the other.

    Raises:
        InputError: an attribute out of its range.

    Example:
        >>> network = Network(features=3, classes=2, units=8)
        >>> for name, shape in network.weight_shapes().items():
        ...     print(name, shape)
        input/mean (3,)
        input/scale (3,)
        recurrent_0/forward/kernel (3, 32)
        recurrent_0/forward/recurrent_kernel (8, 32)
        recurrent_0/forward/bias (32,)
        recurrent_0/backward/kernel (3, 32)
        recurrent_0/backward/recurrent_kernel (8, 32)
        recurrent_0/backward/bias (32,)
        head/kernel (16, 1)
        head/bias (1,)
    """

    features: int
    classes: int
    cell: str = "lstm"
    direction: str = "both"
    merge_mode: str = "concat"
    units: int = 32
    depth: int = 1

    def __post_init__(self) -> None:
        """Refuse what no network can have."""
        for name, least in {"features": 1, "classes": 2, "units": 1, "depth": 1}.items():
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if self.depth > MAX_DEPTH:
            raise InputError(f"depth is {self.depth}; it must be at most {MAX_DEPTH}.")
        if self.merge_mode is None:
            raise InputError(f"merge_mode=None leaves two outputs; a labeler needs one of: {', '.join(MERGE_MODES)}.")
        for name in ("cell", "direction", "merge_mode"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be a string.")
        cell_spec(self.cell)
        if self.direction not in DIRECTIONS:
            raise InputError(f"There is no direction {self.direction!r}. Use one of: {', '.join(DIRECTIONS)}.")
        check_merge_mode(self.merge_mode, self.units, self.units)

    @property
    def recurrent(self) -> tuple[Recurrent, ...]:
        """The stack of recurrent layers, from the input up."""
        layers: list[Recurrent] = []
        for i in range(self.depth):
            features = layers[-1].width if layers else self.features
            layers.append(
                Recurrent(
                    f"recurrent_{i}", self.cell, DIRECTIONS[self.direction], self.merge_mode, features, self.units
                )
            )
        return tuple(layers)

    @property
    def outputs(self) -> int:
        """The number of scores (logits) a step: one for two classes (a sigmoid), else one a class (a softmax)."""
        return 1 if self.classes == 2 else self.classes

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of all weights, from the input up: standardisation, recurrent layers, head.

        From the first recurrent layer on, they stand in the order of Keras's `model.get_weights()`.
        """
        shapes: dict[str, tuple[int, ...]] = {"input/mean": (self.features,), "input/scale": (self.features,)}
        for layer in self.recurrent:
            shapes |= layer.weight_shapes()
        return shapes | {"head/kernel": (self.recurrent[-1].width, self.outputs), "head/bias": (self.outputs,)}

    def to_json(self) -> dict[str, Any]:
        """The description as plain JSON values.

        Example:
            >>> Network(features=1, classes=2, units=20).to_json()["units"]
            20
        """
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Network:
        """The network that `to_json` described.

        Raises:
            InputError: `data` is no description of a network; names what is wrong.

        Example:
            >>> network = Network(features=1, classes=2)
            >>> Network.from_json(network.to_json()) == network
            True
        """
        if not isinstance(data, dict):
            raise InputError(f"A network is described by a JSON object, not by {type(data).__name__}.")
        known = {field.name for field in fields(cls)}
        if wrong := sorted(known.symmetric_difference(data)):
            raise InputError(f"The description of the network has missing or unknown entries: {', '.join(wrong)}.")
        return cls(**data)


def whole(name: str, value: Any, least: int) -> int:
    """`value` as an int; refuses what is no whole number from `least` up.

    Raises:
        InputError: names the argument, what came and what is needed.

    Example:
        >>> whole("units", 0, least=1)
        Traceback (most recent call last):
        bothways.errors.InputError: units is 0; it must be a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name} is {value!r}; it must be a whole number of at least {least}.")
    return int(value)
