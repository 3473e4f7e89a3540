"""What `accelerate` would do to a Keras model, one that lies in a file too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

from bothways.layers.accelerate import ONE_PRODUCT, Planned, planned
from bothways.layers.eligibility import NATIVE


class InspectedLayer(NamedTuple):
    """One layer, and what would run it."""

    name: str
    path: str  # the names of the layers that it is in, then its own, with `/` between them
    kind: str  # its class
    package: str  # "keras", or "bothways" for a layer that runs on the engine without `accelerate`
    units: int | None  # the width of a step's output, in each direction; None where there is no such number
    parameters: int | None  # how many numbers its weights have; None if it is not built
    engine: str  # as in `LayerReport`

    @property
    def gains(self) -> bool:
        """Whether `accelerate` has something for it."""
        return self.engine in (NATIVE, ONE_PRODUCT)


@dataclass(frozen=True)
class Inspection:
    """What `accelerate` would do to a model, of which `kind` and `parameters` tell as of an `InspectedLayer`."""

    model: str  # its name
    kind: str
    parameters: int | None
    backend: str  # the Keras backend that was asked
    layers: tuple[InspectedLayer, ...]  # those that `accelerate` would report

    @property
    def recurrent(self) -> tuple[InspectedLayer, ...]:
        """The recurrent layers; a `Bidirectional` that does not run as a whole does not count, its two layers do."""
        return tuple(
            layer
            for layer in self.layers
            if layer.kind != "TimeDistributed" and (layer.kind != "Bidirectional" or layer.engine == NATIVE)
        )

    @property
    def native(self) -> int:
        """How many of `recurrent` the engine would run."""
        return sum(layer.engine == NATIVE for layer in self.recurrent)

    @property
    def how(self) -> str | None:
        """What puts the engine into the model; None if that would change nothing."""
        gains = any(of.package == "keras" and of.gains for of in self.layers)
        return "bothways.accelerate(model)" if gains else None

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways info --json` prints for a Keras file."""
        names = ("model", "kind", "parameters", "backend", "recurrent", "native", "how")
        shape = {name: getattr(self, name) for name in names}
        return shape | {"recurrent": len(self.recurrent), "layers": [layer._asdict() for layer in self.layers]}


def inspect_model(model: Any) -> Inspection:
    """Say what `accelerate` would do to a model; the model stays as it is."""
    layers = tuple(_inspected(each) for each in planned(model) if not each.within)
    return Inspection(model.name, type(model).__name__, _parameters(model), keras.backend.backend(), layers)


def _inspected(each: Planned) -> InspectedLayer:
    layer = each.layer
    package = "bothways" if type(layer).__module__.startswith("bothways.") else "keras"
    kind = type(layer).__name__
    return InspectedLayer(layer.name, each.path, kind, package, _units(layer), _parameters(layer), each.engine)


def _units(layer: Any) -> int | None:
    layer = getattr(layer, "forward_layer", getattr(layer, "layer", layer))
    units = getattr(layer, "units", getattr(getattr(layer, "cell", None), "output_size", None))
    return units if isinstance(units, int) else None


def _parameters(layer: Any) -> int | None:
    return int(layer.count_params()) if layer.built else None
