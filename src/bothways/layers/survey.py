"""What `accelerate` would do to a Keras model, one that lies in a file too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

from bothways.layers.accelerate import ONE_PRODUCT, _engine_of_steps
from bothways.layers.eligibility import NATIVE, engine_of, engine_of_both

HOW = "bothways.accelerate(model)"


class Surveyed(NamedTuple):
    """One layer, and what would run it.

    Attributes:
        name: the layer's own name.
        path: the names of what it lies in, then its own, with `/` between them; the model itself is left out.
        kind: its class.
        package: "keras", or "bothways" for a layer that runs on the engine without `accelerate`.
        units: the width of a step's output, in each direction; None where there is no such number.
        parameters: how many numbers its weights have; None if it is not built.
        engine: "native", or why stock Keras runs it; `ONE_PRODUCT` for a `TimeDistributed(Dense)`.
    """

    name: str
    path: str
    kind: str
    package: str
    units: int | None
    parameters: int | None
    engine: str

    @property
    def gains(self) -> bool:
        """Whether `accelerate` has something for it."""
        return self.engine in (NATIVE, ONE_PRODUCT)


@dataclass(frozen=True)
class Survey:
    """What `accelerate` would do to a model.

    Attributes:
        model: its name.
        kind: its class.
        parameters: how many numbers its weights have; None if it is not built.
        backend: the Keras backend that was asked.
        layers: those that `accelerate` would report.
    """

    model: str
    kind: str
    parameters: int | None
    backend: str
    layers: tuple[Surveyed, ...]

    @property
    def recurrent(self) -> tuple[Surveyed, ...]:
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
        return HOW if any(of.package == "keras" and of.gains for of in self.layers) else None

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways info --json` prints for a Keras file."""
        return {
            "model": self.model,
            "kind": self.kind,
            "parameters": self.parameters,
            "backend": self.backend,
            "recurrent": len(self.recurrent),
            "native": self.native,
            "how": self.how,
            "layers": [layer._asdict() for layer in self.layers],
        }


def survey(model: Any) -> Survey:
    """Say what `accelerate` would do to a model; the model stays as it is.

    Args:
        model: any Keras model or layer.

    Example:
        >>> inner = keras.Sequential([keras.layers.GRU(4, unroll=True, name="summary")], name="inner")
        >>> both = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True), name="both")
        >>> found = survey(keras.Sequential([keras.Input((5, 3)), both, inner]))
        >>> [(layer.path, layer.parameters, layer.engine == "native") for layer in found.layers]
        [('both', 256, True), ('inner/summary', 168, False)]
        >>> found.native, len(found.recurrent)
        (1, 2)
    """
    seen: set[int] = set()
    layers = tuple(_surveyed(layer, path) for layer, path in _walk(model, (), seen))
    return Survey(model.name, type(model).__name__, _parameters(model), keras.backend.backend(), layers)


def _walk(layer: Any, inside: tuple[str, ...], seen: set[int]) -> Iterator[tuple[Any, str]]:
    """The layers that `accelerate` would report and where they are, each once."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    path = "/".join((*inside[1:], layer.name))
    if isinstance(layer, keras.layers.Bidirectional):
        yield layer, path
        if engine_of_both(layer) == NATIVE:
            return  # its two layers run with it
    elif isinstance(layer, keras.layers.RNN) or _engine_of(layer) == ONE_PRODUCT:
        yield layer, path
    for child in layer._flatten_layers(include_self=False, recursive=False):
        yield from _walk(child, (*inside, layer.name), seen)


def _surveyed(layer: Any, path: str) -> Surveyed:
    package = "bothways" if type(layer).__module__.startswith("bothways.") else "keras"
    return Surveyed(
        layer.name, path, type(layer).__name__, package, _units(layer), _parameters(layer), _engine_of(layer) or ""
    )


def _engine_of(layer: Any) -> str | None:
    """What `accelerate` would say of a layer; None if nothing."""
    if isinstance(layer, keras.layers.Bidirectional):
        return engine_of_both(layer)
    if isinstance(layer, keras.layers.RNN):
        return engine_of(layer)
    if isinstance(layer, keras.layers.TimeDistributed) and _engine_of_steps(layer) == NATIVE:
        return ONE_PRODUCT
    return None


def _units(layer: Any) -> int | None:
    for of in (
        layer,
        getattr(layer, "forward_layer", None),
        getattr(layer, "layer", None),
        getattr(layer, "cell", None),
    ):
        units = getattr(of, "units", None)
        if isinstance(units, int):
            return units
    return None


def _parameters(layer: Any) -> int | None:
    return int(layer.count_params()) if layer.built else None
