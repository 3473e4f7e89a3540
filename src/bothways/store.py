"""One-file models: a zip of `model.json` and `weights.safetensors`, stored without compression.

    model.json            {"format": "bothways", "version": 11, "members": [{"network": {...}, "share": 1.0}, ...],
                          "classes": {"kind": "int", "values": [...]}, "columns": {...} or null, "class_counts": [...],
                          "facts": {...}, "temperature": 1.0, "threshold": 0.5, "balance": 0.0}
    weights.safetensors   the arrays that `Network.weight_shapes()` names, behind "0/" for the first member and so on
                          (of members with "precision": "int8" as `bothways.runtime.codes` gives them)
    baselines.safetensors the simple models beside it, as `bothways.baselines.to_arrays` gives them
    vectors.safetensors   pretrained vectors of words, if it has some, as `bothways.data.vectors.Vectors` gives them

Members that are no networks have "baseline", their name, in place of "network".

Nothing in it is code, so a file from a stranger can be wrong but cannot run anything.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from bothways import baselines
from bothways.errors import InputError, ModelFileError
from bothways.files import written_whole
from bothways.network import Network
from bothways.runtime import BaselineMember, Member, Model
from bothways.runtime.codes import dequantized

FORMAT = "bothways"
VERSION = 11

NUMBER = (int, float)
MAYBE = (int, float, NoneType)
FALL = {"value": NUMBER, "low": MAYBE, "high": MAYBE}
FACTS: dict[str, Any] = {
    "data": str,
    "parts": {...: {"sequences": int, "steps": int}},
    "sequences": [int],
    "settings": {...: (str, bool, *MAYBE)},
    "epochs": int,
    "best_epoch": int,
    "keras_backend": str,
    "compiled_epochs": bool,
    "history": [{"epoch": int, "loss": NUMBER, "valid_loss": MAYBE, "valid_metric": MAYBE, "best": bool}],
    "versions": {...: str},
    "scheme": str,
    "threshold": {"class": (str, int, bool), "value": NUMBER, "false_alarm_rate": NUMBER},
    "thresholds": {"rates": [NUMBER], "values": [[NUMBER]]},
    "decisions": {...: {"temperature": NUMBER, "threshold": NUMBER, "balance": NUMBER}},
    "refit": {"networks": int},
    "labeler": {...: object},
    "search": {"score": str, "of the average": NUMBER, "trials": [{"setting": str, "epochs": int, "score": NUMBER}]},
    "importance": {
        **{"score": str, "value": NUMBER, "sides_macro_f1": MAYBE, "sequences": int, "steps": int, "left_out": [str]},
        **{"columns": {...: FALL}, "sides": {...: FALL}},
    },
}
"""The shapes of those facts that a model has; see `_fits`."""

ENTRIES: dict[str, Any] = {
    "members": [{...: object}],
    "classes": {"kind": str, "values": list},
    "columns": (dict, NoneType),
    "class_counts": [int],
    "facts": {...: object},
    "temperature": NUMBER,
    "threshold": NUMBER,
    "balance": NUMBER,
}
"""What stands in `model.json` beside the format and its version, and its shapes."""

LARGEST = 1 << 64  # whole numbers of this size and more mean nothing anywhere in a description

UNREADABLE = (zipfile.BadZipFile, safetensors.SafetensorError, ValueError, KeyError, EOFError, RuntimeError)
"""What a damaged file makes its readers raise."""


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as one file, whole or not at all. The same model gives the same bytes.

    `InputError` if the model holds something that JSON cannot; `ModelFileError` if the file cannot be written.
    """
    description = {
        "format": FORMAT,
        "version": VERSION,
        "members": [_description(member) for member in model.members],
        "classes": {"kind": type(model.classes[0]).__name__, "values": list(model.classes)},
        "columns": None if model.columns is None else model.columns.to_json(),
        "class_counts": model.counts if model.class_counts else [],
        "facts": dict(model.facts),
        "temperature": model.temperature,
        "threshold": model.threshold,
        "balance": model.balance,
    }
    weights = {f"{i}/{name}": array for i, each in enumerate(model.members) for name, array in each.arrays().items()}
    try:
        text = json.dumps(description, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"columns or facts of the model hold what JSON cannot: {error}.") from None
    parts = {"weights": weights, "baselines": baselines.to_arrays(model.baselines)}
    if model.columns is not None and model.columns.vectors is not None:
        parts["vectors"] = model.columns.vectors.arrays()
    with written_whole(Path(path), ModelFileError) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(zipfile.ZipInfo("model.json"), text.encode())
        for name, arrays in parts.items():
            # Of an array in another order than C's, it would write the bytes as they lie, with the shape as it is.
            ordered = {key: np.asarray(array, order="C") for key, array in arrays.items()}
            archive.writestr(zipfile.ZipInfo(f"{name}.safetensors"), safetensors.numpy.save(ordered))


def _description(member: Member | BaselineMember) -> dict[str, Any]:
    if isinstance(member, Member):
        precision = {} if member.precision == "float32" else {"precision": member.precision}
        return {"network": member.network.to_json(), "share": member.share} | precision
    return {"baseline": member.baseline.name, "share": member.share}


def _member(said: dict[str, Any], arrays: dict[str, Any], network: Network) -> Member | BaselineMember:
    """The member that `_description` described, of a model whose best network is given."""
    of_network = {"precision": "float32"} | said
    if _fits(of_network, {"network": {...: object}, "share": NUMBER, "precision": str}):
        own, precision = Network.from_json(said["network"]), of_network["precision"]
        weights = dequantized(arrays, own.weight_shapes()) if precision == "int8" else arrays
        return Member(own, weights, float(said["share"]), precision)
    kinds = {each.name: each for each in baselines.CLASSIFIERS}
    if _fits(said, {"baseline": str, "share": NUMBER}) and said["baseline"] in kinds:
        return BaselineMember(kinds[said["baseline"]].from_arrays(arrays, network), float(said["share"]))
    raise InputError(f"A member of it is neither a network nor a simple model: {sorted(said)}.")


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `save` wrote.

    Raises:
        ModelFileError: no such file, damaged, not ours, or of another version; says which.

    Example:
        >>> load("nowhere.bothways")
        Traceback (most recent call last):
        bothways.errors.ModelFileError: nowhere.bothways: no such file.
    """
    path = Path(path)
    description, parts = _read(path)
    try:
        return _model(description, parts)
    except (InputError, ModelFileError) as error:
        raise ModelFileError(f"{path}: the model in it cannot be used. {error}") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The description, of the format and version that we read, and the arrays of each part."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ModelFileError(f"{path}: this is no file, but a pipe or a device.")  # to open it may wait for ever
    try:
        with zipfile.ZipFile(path) as archive:
            description = _parsed(_part(archive, "model.json", path))
            _check_format(description, path)
            names = ["weights", "baselines"]
            names += ["vectors"] if "vectors.safetensors" in archive.namelist() else []
            return description, {n: safetensors.numpy.load(_part(archive, f"{n}.safetensors", path)) for n in names}
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path}: this is a folder; give the model file itself.") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except UNREADABLE:
        why = "damaged or cut short, or not a bothways model. Copy it again, or train again."
        with path.open("rb") as file:
            begins = file.read(2)
        if not b"PK".startswith(begins):  # as every model does, wherever it is cut off
            why = "not a bothways model. Give the file that `bothways train` wrote; a table, if any, comes after it."
        raise ModelFileError(f"{path}: {why}") from None


def _parsed(content: bytes) -> Any:
    """JSON; a ValueError if it holds numbers or text that nothing else could hold."""

    def finite(text: str) -> float:
        if not math.isfinite(number := float(text)):
            raise ValueError(f"{text} is no finite number")
        return number

    def small(text: str) -> int:
        if abs(number := int(text)) >= LARGEST:
            raise ValueError(f"{text} is too large")
        return number

    description = json.loads(content, parse_constant=finite, parse_float=finite, parse_int=small)
    json.dumps(description, ensure_ascii=False).encode()  # halves of surrogate pairs are no text
    return description


def _fits(value: Any, shape: Any) -> bool:
    """Whether a JSON value has a shape.

    That is types; `[shape]` for lists; `{name: shape}` for objects of these names, `{...: shape}` for those of any.
    """
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(each, shape[0]) for each in value)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return False
        shapes = dict.fromkeys(value, shape[...]) if ... in shape else shape
        return value.keys() == shapes.keys() and all(_fits(value[name], each) for name, each in shapes.items())
    return shape is object or type(value) in (shape if isinstance(shape, tuple) else (shape,))


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
    if version != VERSION:
        upgrade, again = "Upgrade with: pip install --upgrade bothways", "Train the model again."
        by, cure = ("a newer", upgrade) if version > VERSION else ("an early", again)
        said = f"written by {by} bothways (file version {version}; this one reads {VERSION})"
        raise ModelFileError(f"{path}: {said}. {cure}")


def _check(description: Mapping[str, Any]) -> None:
    """Refuse a description whose entries are missing, of another type, or do not fit its classes."""
    wrong = [name for name, shape in ENTRIES.items() if not _fits(description.get(name, ...), shape)]
    facts = {} if wrong else description["facts"]
    wrong += [f"facts: {name}" for name in FACTS.keys() & facts if not _fits(facts[name], FACTS[name])]
    if wrong:
        raise InputError(f"In its description these are missing or of another type: {', '.join(sorted(wrong))}.")
    kind, values = description["classes"]["kind"], description["classes"]["values"]
    if not all(type(value).__name__ == kind for value in values):
        raise InputError(f"The classes are {values}; they must all be of the kind {kind}.")
    counts = description["class_counts"]
    if counts and (len(counts) != len(values) or min(counts) < 0):
        raise InputError(f"The counts of the classes are {counts}; they must be {len(values)} whole numbers from 0.")
    if "threshold" in facts and facts["threshold"]["class"] not in values:
        raise InputError("The threshold in it is for none of its classes.")
    if kept := facts.get("thresholds"):
        rates, sizes = kept["rates"], {len(each) for each in kept["values"]}
        if rates[:1] != [0] or sorted(rates) != rates or len(kept["values"]) != len(values) or sizes - {0, len(rates)}:
            raise InputError("The thresholds in it do not fit its classes, or the rates that they are for.")


def _members(described: list[dict[str, Any]], weights: Mapping[str, Any]) -> list[Member | BaselineMember]:
    """The members that are described, the first of them a network, out of the arrays of all."""
    arrays: list[dict[str, Any]] = [{} for _ in described]
    for name, array in weights.items():
        number, _, own = name.partition("/")
        if not number.isdecimal() or int(number) >= len(arrays):
            raise InputError(f"It has no network with a weight {name!r}.")
        arrays[int(number)][own] = array
    if not described or "network" not in described[0]:
        raise InputError("Its first member is no network.")
    best = Network.from_json(described[0]["network"])
    return [_member(*each, best) for each in zip(described, arrays, strict=True)]


def _model(description: dict[str, Any], parts: Mapping[str, dict[str, Any]]) -> Model:
    """The model that the parts of a file describe."""
    _check(description)
    weights, simple, vectors = (parts.get(name, {}) for name in ("weights", "baselines", "vectors"))
    columns = description["columns"]
    if columns is not None:
        from bothways.data import Columns  # brings Polars, of which a model of arrays has no use

        columns = Columns.from_json(columns, vectors)
    values, facts = tuple(description["classes"]["values"]), dict(description["facts"])
    class_counts = dict(zip(values, description["class_counts"], strict=False))
    numbers = {name: description[name] for name in ("temperature", "threshold", "balance")}
    model = Model(_members(description["members"], weights), values, columns, class_counts, facts, **numbers)
    for decision in facts.get("decisions", {}).values():
        replace(model, **decision)  # refuses what cannot be
    return replace(model, baselines=baselines.from_arrays(simple, model.network))
