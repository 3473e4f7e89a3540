"""Checkpoints: a training that was killed goes on to the very weights that it would have had."""

from __future__ import annotations

import hashlib
import json
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from bothways.errors import InputError, ModelFileError
from bothways.files import written_whole
from bothways.network import Network
from bothways.sequences import Array, Sequences
from bothways.settings import Settings
from bothways.training.keras_model import variables

Arrays = dict[str, Array]

SECONDS_APART = 5.0  # between checkpoints, but for the last: many epochs are much shorter than writing a file
NOTES = "notes"  # the name of the array that holds everything that is no array, as JSON
DIGEST = "digest"  # the name of the array that holds the digest of these notes, by which an edited file is told


class Checkpoint(NamedTuple):
    """Where a training stands after an epoch: its variables and the best weights so far; all else, as JSON values."""

    arrays: Arrays
    notes: dict[str, Any]


class Checkpoints:
    """Keeps the latest checkpoint of a training in a file; `say` is called once if it cannot be written."""

    def __init__(self, path: Path, fingerprint: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._path, self._fingerprint, self._say = path, dict(fingerprint), say
        self._written = time.monotonic()
        self._waiting: Checkpoint | None = None
        self._failed = False

    def offer(self, checkpoint: Checkpoint, last: bool) -> None:
        """Write it, unless the one before is recent and this is not the last."""
        self._waiting = checkpoint
        if last or time.monotonic() - self._written > SECONDS_APART:
            self.flush()

    def flush(self) -> None:
        """Write what was offered and not written yet."""
        if self._waiting is None:
            return
        arrays, notes = self._waiting
        text = json.dumps(notes | {"fingerprint": self._fingerprint, "arrays": _digest(arrays.values())})
        described = np.frombuffer(text.encode(), np.uint8)
        try:
            with written_whole(self._path, ModelFileError) as temporary, temporary.open("wb") as file:
                np.savez(
                    file, allow_pickle=False, **arrays, **{NOTES: described, DIGEST: np.array(_digest([described]))}
                )
        except ModelFileError as error:
            if not self._failed:
                self._say(f"No checkpoint: {error} Training goes on; an older checkpoint stays as it was.")
            self._failed = True
        self._written, self._waiting = time.monotonic(), None

    def load(self, note: str) -> Checkpoint | None:
        """The checkpoint in the file; None if there is none.

        `note` is one that it must have: a training notes its "history", and a search for settings its "trials".
        """
        if not self._path.exists():
            return None
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
            described, digest = arrays.pop(NOTES), arrays.pop(DIGEST)
            notes = json.loads(described.tobytes())
            if digest.item() != _digest([described]) or notes["arrays"] != _digest(arrays.values()):
                raise ValueError
            theirs = notes["fingerprint"]
            differing = [name for name, mark in self._fingerprint.items() if theirs.get(name) != mark]
            differing += [] if note in notes else ["budget"]
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
            raise ModelFileError(
                f"{self._path}: damaged, or not a checkpoint. Remove it to train from the start."
            ) from None
        if differing:
            raise InputError(
                f"{self._path}: this checkpoint is of another training; what differs: {', '.join(differing)}. "
                "Give the same again, or remove the file to train from the start."
            )
        return Checkpoint(arrays, notes)


def fingerprint(network: Network, settings: Settings, sequences: Sequences, valid: Sequences | None) -> dict[str, str]:
    """What tells one training from another, part by part."""
    parts = [part for part in (sequences, valid) if part is not None]
    data = [array for part in parts for array in (part.lengths, part.values, part.labels, part.weights)]
    packages = ("bothways", "keras", "numpy", keras.backend.backend())
    return {
        "network": _mark(network.to_json()),
        "settings": _mark(asdict(settings)),
        "data": _digest(array for array in data if array is not None),
        "versions": _mark({name: sys.modules[name].__version__ for name in packages}),
    }


def _digest(arrays: Iterable[Array]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _mark(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def model_values(model: Any) -> Arrays:
    """The values of all variables of a compiled Keras model that training changes, under names of their own."""
    return {f"model/{i}": keras.ops.convert_to_numpy(variable.value) for i, variable in enumerate(_changing(model))}


def set_model_values(model: Any, arrays: Arrays) -> None:
    """Put back what `model_values` gave."""
    for i, variable in enumerate(_changing(model)):
        variable.assign(arrays[f"model/{i}"])


def _changing(model: Any) -> Iterator[Any]:
    """All variables but those of metrics."""
    return chain.from_iterable(variables(model)[:-1])
