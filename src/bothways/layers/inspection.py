"""What `accelerate` would do to a Keras model, one that lies in a file too."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras

from bothways.errors import ModelFileError
from bothways.layers.accelerate import ONE_PRODUCT, Planned, planned
from bothways.layers.eligibility import NATIVE

HOW = "bothways.accelerate(model)"


class InspectedLayer(NamedTuple):
    """One layer, and what would run it.

    Attributes:
        name: the layer's own name.
        path: the names of the layers that it is in, then its own, with `/` between them.
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
class Inspection:
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
    layers: tuple[InspectedLayer, ...]

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


def inspect_model(model: Any) -> Inspection:
    """Say what `accelerate` would do to a model; the model stays as it is.

    Args:
        model: any Keras model or layer.

    Raises:
        InputError: `model` is neither.

    Example:
        >>> inner = keras.Sequential([keras.layers.GRU(4, unroll=True, name="summary")], name="inner")
        >>> both = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True), name="both")
        >>> found = inspect_model(keras.Sequential([keras.Input((5, 3)), both, inner]))
        >>> [(layer.path, layer.parameters, layer.engine == "native") for layer in found.layers]
        [('both', 256, True), ('inner/summary', 168, False)]
        >>> found.native, len(found.recurrent)
        (1, 2)
    """
    layers = tuple(_inspected(each) for each in planned(model) if not each.within)
    return Inspection(model.name, type(model).__name__, _parameters(model), keras.backend.backend(), layers)


def load_keras_file(path: Path) -> Any:
    """The model in a `.keras` or `.h5` file, for looking at: not compiled, and without running code that lies in it.

    Raises:
        ModelFileError: no such file, damaged, no model, or a model with layers of its own; says which.

    Example:
        >>> load_keras_file(Path("nowhere.keras"))
        Traceback (most recent call last):
        bothways.errors.ModelFileError: nowhere.keras: no such file.
    """
    if path.is_dir():
        raise ModelFileError(f"{path}: this is a folder; give the model file itself.")
    if not path.exists():
        raise ModelFileError(f"{path}: no such file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about how the program that wrote it was written
            model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras lets through whatever its readers raise
        raise ModelFileError(f"{path}: {_why_not_loaded(str(error), path)}") from None
    if not isinstance(model, keras.Model):
        raise ModelFileError(
            f"{path}: holds {type(model).__name__}, which is no model. Save the whole model: model.save(...)"
        )
    return model


def _why_not_loaded(message: str, path: Path) -> str:
    """What Keras meant, and what to do about it."""
    in_python = f"and print(bothways.accelerate(keras.models.load_model({str(path)!r}"
    if re.search(r"Lambda.{0,200}(safe_mode|unsafe|arbitrary code)", message, re.DOTALL):
        return (
            "has a Lambda layer, which is code from the file; it was not run. If you trust the file, go to Python "
            f"{in_python}, safe_mode=False)))."
        )
    unknown = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:?) '([^']+)'", message)
    if unknown:
        name = unknown.group(1).rsplit(">", 1)[-1]
        return (
            f"has {name!r}, which is neither of Keras nor of bothways. If you trust the file, go to Python, "
            f"import it there, {in_python}, "
            f"custom_objects={{{name!r}: {name}}})))."
        )
    if "No model config" in message:
        return "holds weights only. Save the whole model: model.save(...)"
    said = "" if "File not found" in message else f" (Keras says: {_first_line(message)})"  # of any file that is no zip
    return f"damaged or cut short, or not a Keras model{said}. Save it again."


def _first_line(message: str) -> str:
    line = (message.strip() or "nothing").splitlines()[0]
    return line if len(line) <= 160 else f"{line[:157]}..."


def _inspected(each: Planned) -> InspectedLayer:
    layer = each.layer
    package = "bothways" if type(layer).__module__.startswith("bothways.") else "keras"
    kind = type(layer).__name__
    return InspectedLayer(layer.name, each.path, kind, package, _units(layer), _parameters(layer), each.engine)


def _units(layer: Any) -> int | None:
    parts = (layer, *(getattr(layer, name, None) for name in ("forward_layer", "layer", "cell")))
    return next((part.units for part in parts if isinstance(getattr(part, "units", None), int)), None)


def _parameters(layer: Any) -> int | None:
    return int(layer.count_params()) if layer.built else None
