"""One-file models: a zip of `model.json` and `weights.safetensors`, stored without compression.

    model.json            {"format": "bothways", "version": 2, "network": {...}, "classes": {"kind": "int",
                          "values": [...]}, "columns": {...} or null, "class_counts": [...], "facts": {...}}
    weights.safetensors   the arrays that `Network.weight_shapes()` names

Nothing in it is code, so a file from a stranger can be wrong but cannot run anything.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any

import safetensors
import safetensors.numpy

from bothways.errors import InputError, ModelFileError
from bothways.files import written_whole
from bothways.network import Network
from bothways.runtime import Model

FORMAT = "bothways"
VERSION = 2
SINCE_VERSION_2 = ("categories", "embedding", "conv_window", "conv_stride", "dropout", "per", "pooling")
"""What descriptions of networks in files of version 1 lack; the defaults of `Network` say what those networks are."""

ENTRIES: dict[str, Any] = {
    "network": dict,
    "classes": dict,
    "columns": (dict, NoneType),
    "class_counts": list,
    "facts": dict,
}
"""What stands in `model.json` beside the format and its version, and as what."""

UNREADABLE = (zipfile.BadZipFile, safetensors.SafetensorError, ValueError, EOFError, NotImplementedError, RuntimeError)
"""What a damaged file makes its readers raise."""


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as one file, whole or not at all.

    It is written under another name beside `path`, flushed to the disk, and renamed. The same model gives the same
    bytes.

    Raises:
        InputError: the model holds something that JSON cannot.
        ModelFileError: the file cannot be written; what stood at `path` is untouched.

    Example:
        >>> import numpy as np, tempfile
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(Model(network, weights, classes=(0, 1)), f"{folder}/some.bothways")
        ...     load(f"{folder}/some.bothways").classes
        (0, 1)
    """
    description = {
        "format": FORMAT,
        "version": VERSION,
        "network": model.network.to_json(),
        "classes": {"kind": type(model.classes[0]).__name__, "values": list(model.classes)},
        "columns": model.columns,
        "class_counts": [model.class_counts.get(label, 0) for label in model.classes] if model.class_counts else [],
        "facts": dict(model.facts),
    }
    try:
        text = json.dumps(description, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"columns or facts of the model hold what JSON cannot: {error}.") from None
    parts = {"model.json": text.encode(), "weights.safetensors": safetensors.numpy.save(dict(model.weights))}
    _write(Path(path), parts)


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `save` wrote.

    Raises:
        ModelFileError: no such file, damaged, not ours, or of a newer version; says which.

    Example:
        >>> load("nowhere.bothways")
        Traceback (most recent call last):
        bothways.errors.ModelFileError: nowhere.bothways: no such file.
    """
    path = Path(path)
    description, weights = _read(path)
    try:
        return _model(description, weights)
    except InputError as error:
        raise ModelFileError(f"{path}: the model in it cannot be used. {error}") from None


def _write(path: Path, parts: dict[str, bytes]) -> None:
    with (
        written_whole(path, ModelFileError) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for part, content in parts.items():
            archive.writestr(zipfile.ZipInfo(part), content)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The description, of a format and version that we read, and the weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            description = json.loads(_part(archive, "model.json", path))
            _check_format(description, path)
            return description, safetensors.numpy.load(_part(archive, "weights.safetensors", path))
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path}: this is a folder; give the model file itself.") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except UNREADABLE:
        raise ModelFileError(
            f"{path}: damaged or cut short, or not a bothways model. Copy it again, or train again."
        ) from None


def _part(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """A part of the file, which can be no larger than the file itself since nothing is compressed."""
    if name not in archive.namelist():
        raise ModelFileError(f"{path}: not a bothways model ({name} is missing in it).")
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > path.stat().st_size:
        raise zipfile.BadZipFile
    return archive.read(name)


def _check_format(description: Any, path: Path) -> None:
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ModelFileError(f"{path}: not a bothways model.")
    version = description.get("version")
    if not isinstance(version, int) or version < 1:
        raise ModelFileError(f"{path}: the version of the file is {version!r}; it must be a whole number.")
    if version > VERSION:
        raise ModelFileError(
            f"{path}: written by a newer bothways (file version {version}; this one reads up to {VERSION}). "
            "Upgrade with: pip install --upgrade bothways"
        )


def _model(description: dict[str, Any], weights: dict[str, Any]) -> Model:
    """The model that the parts of a file describe.

    Raises:
        InputError: they describe none that can be.
    """
    missing = [name for name, kind in ENTRIES.items() if not isinstance(description.get(name), kind)]
    if missing:
        raise InputError(f"In its description these are missing or of another type: {', '.join(missing)}.")
    kind, values = (description["classes"].get(name) for name in ("kind", "values"))
    if not isinstance(values, list) or not all(type(value).__name__ == kind for value in values):
        raise InputError(f"The classes are {values}; they must all be of the kind {kind}.")
    counts = description["class_counts"]
    if counts and (len(counts) != len(values) or not all(type(count) is int for count in counts)):
        raise InputError(f"The counts of the classes are {counts}; they must be {len(values)} whole numbers.")
    since = SINCE_VERSION_2 if description["version"] < 2 else ()
    defaults = {field.name: field.default for field in fields(Network) if field.name in since}
    return Model(
        network=Network.from_json(defaults | description["network"]),
        weights=weights,
        classes=tuple(values),
        columns=description["columns"],
        class_counts=dict(zip(values, counts, strict=False)),
        facts=description["facts"],
    )
