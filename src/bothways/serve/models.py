"""The models of a server: what each takes and gives, and their files, which may be replaced while it runs."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bothways import store
from bothways.data.frames import column_sequences
from bothways.errors import BothwaysError, InputError, ModelFileError
from bothways.files import stamp_of
from bothways.jobs.models import MODEL_ENDING
from bothways.runtime import Model
from bothways.runtime.inputs import encoded_arrays, read_arrays
from bothways.sequences import Array, Bools, Floats, Numbers, Sequences
from bothways.serve.protocol import LABELS, NAMES, PROBABILITIES, InferenceRequest
from bothways.stream.events import EPOCH

SEQUENCES, LENGTHS, MASK = "sequences", "lengths", "mask"

QUICK_SECONDS = 0.002  # the longest computation that may hold up other requests; longer ones get another thread

MOST_VALUES = 1 << 25  # how many probabilities an answer may hold

log = logging.getLogger("bothways.serve")


class Steps(NamedTuple):
    """Sequences out of a request, their steps one after the other."""

    values: Any  # `(steps, features)`, or by the names of columns `(steps,)`
    lengths: Numbers  # `(sequences,)`
    shape: tuple[int, ...]  # of the outputs where there is one label per step
    places: Bools | None  # where the steps lie in such outputs; None if they fill them
    single: bool  # whether values are float32, else float64; both in one array would change bits
    total: int  # how many steps there are


@dataclass(frozen=True, eq=False)
class Served:
    """A model, as the protocol shows it."""

    name: str  # by the name of its file
    path: Path
    version: str  # the first digits of the SHA-256 of the file
    model: Model
    quick: int = 0  # how many steps take it at most `QUICK_SECONDS`

    @classmethod
    def load(cls, path: Path) -> Served:
        """Read a model, and run it once so that the first request need not wait. Raises ModelFileError as `store.load`
        does, or if the file is gone.
        """
        model = store.load(path)
        try:
            version = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        except OSError as error:
            raise ModelFileError(f"{path}: cannot be read ({error.strerror}).") from None
        zeros = Sequences(np.zeros((32, model.network.features)), np.array([32]), per=model.network.per)
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            model.probabilities(zeros)
            seconds.append(time.perf_counter() - start)
        quick = int(QUICK_SECONDS / min(seconds) * zeros.steps)
        return cls(path.name.removesuffix(MODEL_ENDING), path, version, model, quick)

    @cached_property
    def named(self) -> dict[str, str]:
        """What an answer says of it."""
        return {"model_name": self.name, "model_version": self.version}

    @cached_property
    def per_step(self) -> bool:
        """Whether it labels each step."""
        return self.model.network.per == "step"

    @cached_property
    def columns(self) -> dict[str, str]:
        """The data types of the columns of its table, by name; none where it was trained on arrays."""
        columns = self.model.table
        if columns is None:
            return {}
        types = {name: "BYTES" if name in columns.categories else "FP64" for name in columns.features}
        return types | ({str(columns.order): "FP64"} if columns.fitted.order else {})

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What the protocol tells of it."""
        inputs = [{"name": name, "datatype": kind, "shape": [-1, -1]} for name, kind in self.columns.items()]
        lead = [-1, -1] if self.per_step else [-1]
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "bothways",
            "inputs": inputs or [{"name": SEQUENCES, "datatype": "FP32", "shape": [-1, -1, self.model.width]}],
            "outputs": [
                {"name": LABELS, "datatype": self._kind, "shape": lead},
                {"name": PROBABILITIES, "datatype": "FP32", "shape": [*lead, len(self.model.classes)]},
            ],
        }

    def steps(self, request: InferenceRequest) -> Steps:
        """The sequences of a request; raises InputError for inputs that the model does not have, or that do not fit
        each other.

        `sequences` is `(sequences, time, features)`, or `(steps, features)` of one sequence after the other; an input
        per column has these axes but the last one. `lengths` says how many steps each has, or `mask (sequences, time)`
        which ones count.
        """
        inputs, lengths, mask = dict(request.inputs), None, None
        if len(inputs) > 1:
            lengths, mask = (inputs.pop(name, None) if name not in self.columns else None for name in (LENGTHS, MASK))
        matrix = None if SEQUENCES in self.columns else inputs.get(SEQUENCES)
        if matrix is not None:
            self._check_matrix(matrix, inputs)
            shape = matrix.shape[:-1]
        else:
            self._check_columns(inputs)
            shape = next(iter(inputs.values())).shape
        total = math.prod(shape)
        if total * len(self.model.classes) > MOST_VALUES:
            raise InputError(f"{total:,} steps are too many for one request. Send fewer sequences at once.")
        places, lengths = _counted(shape, lengths, mask)

        def flat(array: Array) -> Array:
            rows = array.reshape(total, *array.shape[len(shape) :])
            return rows if places is None else rows[places.ravel()]

        values: Any
        single = matrix is not None and matrix.dtype == np.float32
        if matrix is None:
            types = {name: float if kind == "FP64" else object for name, kind in self.columns.items()}
            values = {name: flat(array).astype(types[name]) for name, array in inputs.items()}
        else:
            values = flat(matrix if single else matrix.astype(np.float64, copy=False))
            if self.columns:
                values = dict(zip(self.columns, values.T, strict=True))
        return Steps(values, lengths, shape, places, single, total if places is None else int(lengths.sum()))

    def sequences(self, parts: Sequence[Steps]) -> Sequences:
        """The sequences of several requests, as the network takes them. Raises InputError, or DataError of a table, for
        values that are no finite numbers where they must be some.
        """
        model, table = self.model, self.model.table
        lengths = np.concatenate([part.lengths for part in parts]) if len(parts) > 1 else parts[0].lengths
        if table is not None:
            values = {name: np.concatenate([part.values[name] for part in parts]) for name in self.columns}
            if table.fitted.order:
                _check_order(str(table.order), values[str(table.order)], lengths)
            return column_sequences("inputs", table, values, lengths)
        steps = np.concatenate([part.values for part in parts]) if len(parts) > 1 else parts[0].values
        if model.columns is None:
            sequences, _ = model.read(SEQUENCES, [steps])
        else:
            sequences, _ = read_arrays(SEQUENCES, [steps], model.width)
            sequences = encoded_arrays(SEQUENCES, sequences, model.columns)
        return replace(sequences, lengths=lengths)

    def events(self, steps: Steps, first: int) -> tuple[list[Any], Any]:
        """The steps of one sequence as `Stream.push_many` takes them: places, numbered from `first`, and values."""
        table, places = self.model.table, list(range(first, first + steps.total))
        if table is None:
            return places, steps.values
        lists = {name: array.tolist() for name, array in steps.values.items()}
        rows = [
            {name: None if value != value else value for name, value in zip(lists, row, strict=True)}
            for row in zip(*lists.values(), strict=True)
        ]
        if not table.fitted.order:
            return places, rows
        places = lists[str(table.order)]
        if table.fitted.order == "numbers":
            return places, rows
        try:
            return [EPOCH + timedelta(seconds=each) for each in places], rows
        except (OverflowError, ValueError):
            raise InputError(f"Input {table.order!r} holds seconds that are no time.") from None

    def results(self, steps: Steps, codes: Numbers, p: Floats) -> dict[str, tuple[str, Array]]:
        """The outputs by name, with their data types. What stands at steps that do not count means nothing."""

        def placed(values: Array) -> Array:
            if steps.places is None:
                return values.reshape(*steps.shape, *values.shape[1:])
            whole = np.zeros((*steps.shape, *values.shape[1:]), values.dtype)
            whole[steps.places] = values
            return whole

        return self.outputs(placed(codes), placed(p)) if self.per_step else self.outputs(codes, p)

    def outputs(self, codes: Numbers, p: Floats) -> dict[str, tuple[str, Array]]:
        """Labels by their codes, and probabilities, as the protocol has them."""
        return {LABELS: (self._kind, self._labels[codes]), PROBABILITIES: ("FP32", p)}

    @cached_property
    def _labels(self) -> Array:
        return np.array(self.model.classes, object if self._kind == "BYTES" else None)

    @cached_property
    def _kind(self) -> str:
        """The data type of labels."""
        return {int: "INT64", str: "BYTES", bool: "BOOL"}[type(self.model.classes[0])]

    def _check_matrix(self, matrix: Array, inputs: Mapping[str, Array]) -> None:
        if len(inputs) > 1:
            others = inputs.keys() - {SEQUENCES}
            raise InputError(f"There is no input {min(others)!r} beside {SEQUENCES!r}, {LENGTHS!r} and {MASK!r}.")
        if self.columns and ("BYTES" in self.columns.values() or len(self.columns) > self.model.width):
            raise InputError(f"This model needs an input for each column: {', '.join(self.columns)}.")
        if matrix.ndim not in (2, 3) or matrix.shape[-1] != self.model.width or matrix.dtype.kind not in "fiu":
            raise InputError(
                f"{SEQUENCES!r} is {NAMES[matrix.dtype]} of shape {list(matrix.shape)}; it must be numbers, "
                f"[sequences, time, {self.model.width}] or [steps, {self.model.width}]."
            )

    def _check_columns(self, inputs: Mapping[str, Array]) -> None:
        needed = self.columns or {SEQUENCES: "FP32"}
        if inputs.keys() != needed.keys():
            raise InputError(f"The inputs are {sorted(inputs)}; the model needs {sorted(needed)}.")
        first = next(iter(inputs.values()))
        for name, array in inputs.items():
            if array.shape != first.shape or array.ndim not in (1, 2):
                raise InputError(
                    f"Input {name!r} has the shape {list(array.shape)}; all must have the same one, [sequences, time] "
                    "or [steps]."
                )
            if array.dtype.kind not in ("fiub" if needed[name] == "FP64" else "Oiub"):
                wanted = "numbers, such as FP64" if needed[name] == "FP64" else "BYTES, whole numbers or BOOL"
                raise InputError(f"Input {name!r} is {NAMES[array.dtype]}; the model needs {wanted}.")


def _counted(shape: tuple[int, ...], lengths: Array | None, mask: Array | None) -> tuple[Bools | None, Numbers]:
    """Which steps of an input count, None for all; and how many of each sequence."""
    if mask is not None:
        if lengths is not None:
            raise InputError("Give lengths or a mask, not both.")
        if mask.dtype != bool or mask.shape != shape or len(shape) != 2:
            raise InputError(
                f"mask is {NAMES[mask.dtype]} {list(mask.shape)}; it must be BOOL [sequences, time] of the inputs."
            )
        return (None if mask.all() else mask), mask.sum(axis=1)
    if lengths is None:
        return None, np.array(shape[-1:] * (shape[0] if len(shape) == 2 else 1))
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any():
        raise InputError("lengths must be whole numbers from 0, [sequences].")
    if len(shape) == 2 and len(lengths) != shape[0]:
        raise InputError(f"There are {len(lengths)} lengths and {shape[0]} sequences.")
    if (lengths > shape[-1]).any():
        place = int((lengths > shape[-1]).argmax())
        raise InputError(f"Length {place + 1:,} is {lengths[place]}, and there are {shape[-1]} steps.")
    lengths = lengths.astype(np.int64)
    if len(shape) == 2:
        return np.arange(shape[1]) < lengths[:, None], lengths
    if lengths.sum() != shape[0] or not lengths.all():
        raise InputError(f"The lengths must be above 0 and sum up to the {shape[0]} steps.")
    return None, lengths


def _check_order(name: str, places: Array, lengths: Numbers) -> None:
    """Refuse an order column that is none."""
    inner = np.repeat(np.arange(len(lengths)), lengths)
    if not np.isfinite(places).all() or (np.diff(places) < 0)[inner[1:] == inner[:-1]].any():
        raise InputError(f"Input {name!r} must be finite numbers that do not fall within a sequence; times in seconds.")


class Models:
    """The models of a file, or of a folder of files that end in .bothways; one that cannot be read is told in the log.
    Raises ModelFileError if no model is there, or none can be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamps: dict[Path, tuple[int, ...]] = {}
        loaded = dict(self._load(self._files()))
        self.served = {each.name: each for each in loaded.values() if isinstance(each, Served)}
        broken = {file: each for file, each in loaded.items() if not isinstance(each, Served)}
        if not self.served:
            raise next(iter(broken.values()), ModelFileError(f"{path}: this folder holds no {MODEL_ENDING} file."))
        for file, why in broken.items():
            _log_refused(file, why)

    def refresh(self) -> None:
        """Take up files that are new or were replaced; of a folder give up those that are gone.

        A file that cannot be read leaves things as they were, and a line in the log.
        """
        files = self._files()
        for file, served in self._load(files):
            if isinstance(served, Served):
                self.served = {**self.served, served.name: served}
                log.info("model loaded", extra={"facts": {"model": served.name, "version": served.version}})
            else:
                _log_refused(file, served)
        for name in [each.name for each in self.served.values() if each.path not in files and self._path.is_dir()]:
            self.served = {other: each for other, each in self.served.items() if other != name}
            log.info("model gone", extra={"facts": {"model": name}})

    def _load(self, files: list[Path]) -> Iterator[tuple[Path, Served | BothwaysError]]:
        """What is in those files that are new or were replaced, or why it cannot be read."""
        # One that is gone may come back as it was.
        self._stamps = {file: stamp for file, stamp in self._stamps.items() if file in files}
        for file in files:
            if self._stamps.get(file) != (stamp := stamp_of(file)):
                self._stamps[file] = stamp
                try:
                    yield file, Served.load(file)
                except BothwaysError as error:
                    yield file, error

    def _files(self) -> list[Path]:
        if not self._path.is_dir():
            return [self._path]
        files = (file for file in self._path.iterdir() if not file.name.startswith("."))
        return sorted(file for file in files if file.suffix == MODEL_ENDING)


def _log_refused(file: Path, error: BothwaysError) -> None:
    log.error("model refused", extra={"facts": {"file": str(file), "why": str(error)}})
