"""A run, and the file that keeps runs: a journal while they come in, one Parquet file of all of them afterwards.

The Parquet file has one row a run:

    setting                 the factors that are not at their defaults, JSON
    FACTOR ...              every factor, typed
    seed, status, reason    status: "finished", "diverged" (the loss was no finite number), "failed"
    accuracy, macro_f1, loss
    backend                 that of Keras
    parameters, updates, epochs, best_epoch
    compile_seconds, train_seconds, train_us_a_step, label_us_a_step
    curve                   list of {updates, seconds, loss, valid_loss, valid_metric}
    true_positives, predicted, support
                            for each sequence and class, one sequence after the other: labels right, given, there
    sequence_loss           for each sequence the sum of the cross-entropies of its labels
    alarms                  list of {rate, right, wrong}, the latter two for each sequence
    study                   what was compared, JSON; the same in every row
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.errors import DataError, option
from bothways.files import written_whole
from bothways.metrics import Counts, score
from bothways.study.factors import factors

ENDING = ".parquet"
FORMAT = 1
FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"


@dataclass(frozen=True, eq=False)
class Curve:
    """How a run learned, point by point.

    Attributes:
        updates: `(points,)` how many there were.
        seconds: `(points,)` of training, compiling aside.
        loss: `(points,)` the mean cross-entropy of the batches since the point before, each before its update.
        valid_loss: `(points,)` that of the valid part; NaN where there is none.
        valid_metric: `(points,)` its score; NaN where there is none.
    """

    updates: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float64]
    valid_loss: npt.NDArray[np.float64]
    valid_metric: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """One training, and what came of it.

    Attributes:
        key: the setting, as `bothways.study.grid.key_of` writes it.
        seed: of the initial weights, the order of the data and, for generated problems, the data.
        status: "finished", "diverged" or "failed".
        reason: why it is not finished.
        backend: that of Keras; "" where it came to nothing.
        judged: what it did on the sequences that it is judged on; None if it is not finished.
        curve: how it learned.
        parameters: numbers that are trained.
        updates: how many were made.
        epochs: how many were run.
        best_epoch: the one whose weights were judged.
        compile_seconds: spent compiling; 0 where a program was there already.
        train_seconds: spent training, validation included.
        train_us_a_step: microseconds of training for each time step, validation included.
        label_us_a_step: microseconds of labeling for each time step, on one thread.
    """

    key: str
    seed: int
    status: str = FINISHED
    reason: str = ""
    backend: str = ""
    judged: Counts | None = None
    curve: Curve | None = None
    parameters: int = 0
    updates: int = 0
    epochs: int = 0
    best_epoch: int = 0
    compile_seconds: float = 0.0
    train_seconds: float = 0.0
    train_us_a_step: float = 0.0
    label_us_a_step: float = 0.0

    @property
    def setting(self) -> dict[str, Any]:
        """The value of every factor."""
        changed: dict[str, Any] = json.loads(self.key)
        return {name: each.default for name, each in factors().items()} | changed


class Journal:
    """The runs of a study in a file, from which they are read when it goes on.

    Runs are appended to `NAME.parquet.journal` as they are finished; a line that was cut off by a kill is left out.
    `close` makes the Parquet file of them, whole or not at all, and the journal goes.

    Args:
        path: the Parquet file; None to keep the runs in memory only.
        fingerprint: what tells the study from others.
        study: what was compared, for whoever reads the file.

    Raises:
        DataError: the file is of another study, is none, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "study.parquet")
        ...     journal = Journal(path, "abc", {})
        ...     journal.append(Run('{"units": 8}', seed=0))
        ...     journal.close()
        ...     [(run.key, run.seed) for run in Journal(path, "abc", {}).runs]
        [('{"units": 8}', 0)]
    """

    def __init__(self, path: Path | None, fingerprint: str, study: Mapping[str, Any]) -> None:
        """Read what is there."""
        self.runs: list[Run] = []
        self._study = {"format": FORMAT, "fingerprint": fingerprint, **study}
        self._begun = False
        self._path = path
        if path is None:
            return
        self._journal = path.with_name(path.name + ".journal")
        head, found = read_runs(path) if path.exists() else ({}, [])
        if path.exists():
            self._check(head.get("fingerprint"), path)
        found += self._read()
        self.runs = [run for run in {(run.key, run.seed): run for run in found}.values() if run.status != FAILED]

    def append(self, run: Run) -> None:
        """Keep a run; it is safe from a kill when this returns."""
        self.runs.append(run)
        if self._path is None:
            return
        try:
            if not self._begun:
                self._begin()
            with self._journal.open("ab") as file:
                file.write(json.dumps(_packed(run)).encode() + b"\n")
        except OSError as reason:
            raise DataError(f"{self._journal}: cannot be written ({reason.strerror or reason}).") from None

    def close(self) -> None:
        """Make the Parquet file of all runs."""
        if self._path is None or not self._journal.exists():
            return
        with written_whole(self._path, DataError) as temporary:
            frame(self.runs, self._study).write_parquet(temporary)
        self._journal.unlink(missing_ok=True)
        self._begun = False

    def _begin(self) -> None:
        lines = self._lines()
        with self._journal.open("ab") as file:
            if not lines:
                file.truncate(0)
                file.write(json.dumps(self._study).encode() + b"\n")
            # What a kill left of its last line is cut off, lest the next one be appended to it.
            file.truncate(sum(len(line) + 1 for line in lines) or None)
        self._begun = True

    def _lines(self) -> list[bytes]:
        """The whole lines of the journal."""
        if not self._journal.exists():
            return []
        try:
            return self._journal.read_bytes().split(b"\n")[:-1]
        except OSError as reason:
            raise DataError(f"{self._journal}: cannot be read ({reason.strerror or reason}).") from None

    def _read(self) -> list[Run]:
        lines = self._lines()
        if not lines:
            return []
        try:
            head, *runs = [json.loads(line) for line in lines]
            self._check(head["fingerprint"], self._journal)
            return [_unpacked(run) for run in runs]
        except (ValueError, KeyError, TypeError, zlib.error):
            raise DataError(f"{self._journal}: this is no journal of a comparison, or it is damaged.") from None

    def _check(self, fingerprint: Any, path: Path) -> None:
        if fingerprint != self._study["fingerprint"]:
            raise DataError(
                f"{path}: holds the runs of another study: other data, or other sequences to be judged on. Give "
                f"another {option('output')}, or remove this file."
            )


def frame(runs: Iterable[Run], study: Mapping[str, Any]) -> pl.DataFrame:
    """The runs as a table; see the top of this module for its columns."""
    text = json.dumps(study, default=str)
    rows = []
    for run in runs:
        judged, curve = run.judged, run.curve
        names = ("accuracy", "macro_f1", "loss")
        values = [None if judged is None else score(name, range(judged.support.shape[1])).of(judged) for name in names]
        rows.append(
            {"setting": run.key}
            | {name: None if value is None else value for name, value in run.setting.items()}
            | {
                each.name: getattr(run, each.name)
                for each in fields(Run)
                if each.name not in ("key", "judged", "curve")
            }
            | dict(zip(names, values, strict=True))
            | {
                "curve": None
                if curve is None
                else [
                    dict(zip([each.name for each in fields(Curve)], point, strict=True))
                    for point in zip(*(getattr(curve, each.name).tolist() for each in fields(Curve)), strict=True)
                ]
            }
            | {
                name: None if judged is None else getattr(judged, name).ravel()
                for name in ("true_positives", "predicted", "support")
            }
            | {"sequence_loss": None if judged is None else judged.loss}
            | {
                "alarms": None
                if judged is None
                else [
                    {"rate": rate, "right": counts[:, 0].tolist(), "wrong": counts[:, 1].tolist()}
                    for rate, counts in judged.alarms.items()
                ]
            }
            | {"study": text}
        )
    return pl.DataFrame(rows, schema=_schema(), strict=False)


def read_runs(path: Path) -> tuple[dict[str, Any], list[Run]]:
    """The study and its runs from a Parquet file.

    Raises:
        DataError: it cannot be read, or holds no runs.
    """
    try:
        table = pl.read_parquet(path)
        study = json.loads(table["study"][0])
        runs = [_run_of(row, len(study["classes"]) if "classes" in study else 2) for row in table.to_dicts()]
    except OSError as reason:
        raise DataError(f"{path}: cannot be read ({reason.strerror or reason}).") from None
    except (pl.exceptions.PolarsError, ValueError, KeyError, IndexError, TypeError):
        raise DataError(f"{path}: this file holds no runs of a comparison.") from None
    return study, runs


def _schema() -> dict[str, Any]:
    kinds = {int: pl.Int64, float: pl.Float64, str: pl.String, bool: pl.Boolean}
    of_factors = {
        name: next(kinds[kind] for kind in (float, int, str, bool) if kind in each.types)
        for name, each in factors().items()
    }
    of_run = {each.name: {"int": pl.Int64, "float": pl.Float64, "str": pl.String}[str(each.type)] for each in _plain()}
    curve = {each.name: pl.Int64 if each.name == "updates" else pl.Float64 for each in fields(Curve)}
    counts = pl.List(pl.Int32)
    return (
        {"setting": pl.String}
        | of_factors
        | of_run
        | dict.fromkeys(("accuracy", "macro_f1", "loss"), pl.Float64)
        | {"curve": pl.List(pl.Struct(curve))}
        | dict.fromkeys(("true_positives", "predicted", "support"), counts)
        | {"sequence_loss": pl.List(pl.Float32)}
        | {"alarms": pl.List(pl.Struct({"rate": pl.Float64, "right": counts, "wrong": counts})), "study": pl.String}
    )


def _plain() -> list[Any]:
    return [each for each in fields(Run) if each.name not in ("key", "judged", "curve")]


def _run_of(row: Mapping[str, Any], classes: int) -> Run:
    judged = curve = None
    if row["true_positives"] is not None:
        counts = [
            np.array(row[name], np.int32).reshape(-1, classes) for name in ("true_positives", "predicted", "support")
        ]
        alarms = {each["rate"]: np.array([each["right"], each["wrong"]], np.int32).T for each in row["alarms"]}
        judged = Counts(counts[0], counts[1], counts[2], np.array(row["sequence_loss"], np.float32), alarms)
    if row["curve"] is not None:
        names = [each.name for each in fields(Curve)]
        columns = [[point[name] for point in row["curve"]] for name in names]
        curve = Curve(
            *(
                np.array(column, np.int64 if name == "updates" else float)
                for name, column in zip(names, columns, strict=True)
            )
        )
    return Run(row["setting"], judged=judged, curve=curve, **{each.name: row[each.name] for each in _plain()})


def _packed(run: Run) -> dict[str, Any]:
    """A run as JSON values, its arrays as text."""
    plain = {each.name: getattr(run, each.name) for each in _plain()}
    arrays: dict[str, Any] = {}
    if run.judged is not None:
        judged = run.judged
        arrays |= {name: getattr(judged, name) for name in ("true_positives", "predicted", "support", "loss")}
        arrays |= {f"alarms {rate!r}": counts for rate, counts in judged.alarms.items()}
    if run.curve is not None:
        arrays |= {f"curve {each.name}": getattr(run.curve, each.name) for each in fields(Curve)}
    return {"key": run.key, **plain, "arrays": {name: _text(array) for name, array in arrays.items()}}


def _unpacked(row: dict[str, Any]) -> Run:
    arrays = {name: _array(*packed) for name, packed in row.pop("arrays").items()}
    judged = curve = None
    if "true_positives" in arrays:
        alarms = {float(name.split()[1]): array for name, array in arrays.items() if name.startswith("alarms ")}
        judged = Counts(arrays["true_positives"], arrays["predicted"], arrays["support"], arrays["loss"], alarms)
    if "curve updates" in arrays:
        curve = Curve(*(arrays[f"curve {each.name}"] for each in fields(Curve)))
    return Run(**row, judged=judged, curve=curve)


def _text(array: npt.NDArray[Any]) -> tuple[str, list[int], str]:
    return array.dtype.str, list(array.shape), base64.b64encode(zlib.compress(array.tobytes(), 1)).decode()


def _array(dtype: str, shape: list[int], text: str) -> npt.NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape)
