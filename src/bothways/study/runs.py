"""Runs, and the files that keep them: a journal while they come in, one Parquet file of all of them afterwards.

The Parquet file has one row per run:

    setting                 the factors that are not at their defaults, JSON
    FACTOR ...              every factor, typed
    seed, status, reason    status: "finished", "diverged" (the loss was not finite), "failed"
    accuracy, macro_f1, entity_f1, loss
                            entity_f1 of tags only
    backend                 that of Keras
    parameters, updates, epochs, best_epoch
    compile_seconds, train_seconds, train_us_per_step, label_us_per_step
    curve                   list of {updates, seconds, loss, valid_loss, valid_metric}
    true_positives, predicted, support
                            counts of labels for each sequence and class, one sequence after the other
    entities                of tags: for each sequence how many entities are right, predicted, expected
    sequence_loss           for each sequence the sum of the cross-entropies of its labels
    alarms                  list of {rate, right, wrong}, the latter two for each sequence
    study                   what was compared, JSON; the same in every row

The journal, `NAME.parquet.journal`, is an SQLite database of such rows, so that each is kept at once and whole.
"""

from __future__ import annotations

import io
import json
import reprlib
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bothways.errors import DataError
from bothways.files import check_output, locked, written_whole
from bothways.metrics import Counts, score
from bothways.sequences import Array
from bothways.study.factors import Setting, factors
from bothways.tables.opening import BROKEN

FORMAT = 2
FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"
COUNTS = ("true_positives", "predicted", "support")
SCORES = ("accuracy", "macro_f1", "entity_f1", "loss")
ALARMS = ("rate", "right", "wrong")
CURVE = ("updates", "seconds", "loss", "valid_loss", "valid_metric")

RunId = tuple[Setting, int]  # a setting and a seed


@dataclass(frozen=True, eq=False)
class Run:
    """One training, and what came of it.

    `counts` are of the test part, None if it is not finished; `curve` has arrays of one length by the names in `CURVE`:
    `loss` is the mean of the batches since the point before, each before its update; without a valid part the last two
    are NaN. Times per step are in microseconds, those of training with validation.
    """

    setting: Setting
    seed: int
    status: str = FINISHED
    reason: str = ""
    backend: str = ""
    counts: Counts | None = None
    curve: Mapping[str, Array] = field(default_factory=dict)
    parameters: int = 0
    updates: int = 0
    epochs: int = 0
    best_epoch: int = 0
    compile_seconds: float = 0.0
    train_seconds: float = 0.0
    train_us_per_step: float = 0.0
    label_us_per_step: float = 0.0

    @property
    def id(self) -> RunId:
        """Its setting and its seed."""
        return self.setting, self.seed


class Store:
    """The runs of a study, and the file that they are kept in; None for memory only.

    A context that has the file to itself. `add` keeps a run in the journal; when the context ends, the Parquet file is
    written, whole or not at all, and the journal is removed. `runs` are those that are there, without failed ones.
    """

    def __init__(self, path: Path | None, fingerprint: str, study: Mapping[str, Any]) -> None:
        self.runs: list[Run] = []
        self._study = {"format": FORMAT, "fingerprint": fingerprint, **study}
        self._path = path
        self._open = ExitStack()
        if path is None:
            return
        check_output(path, (".parquet",))
        self._journal = path.with_name(path.name + ".journal")
        self._open.enter_context(locked(path))
        try:
            if self._journal.is_symlink():
                raise DataError(f"{self._journal}: this is a link, and not a journal of a comparison. Remove it.")
            found = self._checked(read_runs(path), path) if path.exists() else []
            found += self._read() if self._journal.exists() else []
        except BaseException:
            self._open.close()
            raise
        self.runs = [run for run in {run.id: run for run in found}.values() if run.status != FAILED]

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._open:
            if self._path is None or not self._journal.exists():
                return
            with written_whole(self._path, DataError) as temporary:
                content = io.BytesIO()
                frame(self.runs, self._study).write_parquet(content)
                temporary.write_bytes(content.getbuffer())
            self._journal.unlink()

    def add(self, run: Run) -> None:
        """Keep a run; when this returns, it is safe."""
        self.runs.append(run)
        if self._path is None:
            return
        content = io.BytesIO()
        frame([run], self._study).write_ipc(content)
        row = content.getvalue()
        try:
            self._database.execute("CREATE TABLE IF NOT EXISTS runs (row BLOB, checksum INTEGER)")
            self._database.execute("INSERT INTO runs VALUES (?, ?)", (row, zlib.crc32(row)))
        except (sqlite3.Error, OSError) as reason:
            raise DataError(f"{self._journal}: cannot be written ({reason}).") from None

    @cached_property
    def _database(self) -> sqlite3.Connection:
        """The journal; each statement is a transaction of its own."""
        database = sqlite3.connect(self._journal, isolation_level=None)
        self._open.callback(database.close)
        return database

    def _read(self) -> list[Run]:
        damaged = f"{self._journal}: this is no journal of a comparison, or it is damaged. Remove it to begin anew."
        try:
            if self._database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise DataError(damaged)
            there = self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone()
            rows = self._database.execute("SELECT row, checksum FROM runs").fetchall() if there else []
            if any(not isinstance(row, bytes) or zlib.crc32(row) != checksum for row, checksum in rows):
                raise DataError(damaged)
            tables = [pl.read_ipc(io.BytesIO(row)) for row, _ in rows]
            found = _parsed(pl.concat(tables, how="diagonal")) if tables else None
        except (sqlite3.Error, *UNREADABLE):
            raise DataError(damaged) from None
        return [] if found is None else self._checked(found, self._journal)

    def _checked(self, found: tuple[dict[str, Any], list[Run]], path: Path) -> list[Run]:
        study, runs = found
        if study.get("fingerprint") != self._study["fingerprint"]:
            raise DataError(
                f"{path}: holds the runs of another study: {_another(study, self._study)}. Give another output, or "
                "remove this file."
            )
        return runs


def _another(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What two studies do not have in common, in words."""
    there, here = there.get("facts", {}), here.get("facts", {})
    other = [name for name in dict.fromkeys([*here, *there]) if there.get(name) != here.get(name)]
    told = [
        f"{name} is {reprlib.repr(there.get(name))} there and {reprlib.repr(here.get(name))} here"
        for name in other
        if name != "content"
    ]
    return "; ".join(told + ["the data are others"] * (not told or "content" in other))


UNREADABLE = (*BROKEN, ValueError, KeyError, IndexError, TypeError, AttributeError)


def read_runs(path: Path) -> tuple[dict[str, Any], list[Run]]:
    """The study and its runs from a Parquet file."""
    try:
        return _parsed(pl.read_parquet(path))
    except OSError as reason:
        raise DataError(f"{path}: cannot be read ({reason.strerror or reason}).") from None
    except UNREADABLE:
        raise DataError(f"{path}: this file holds no runs of a comparison.") from None


def frame(runs: Iterable[Run], study: Mapping[str, Any]) -> pl.DataFrame:
    """The runs as a table, as the top of this module says."""
    text, classes = json.dumps(study, default=str), study["classes"]
    of_scores = [score(name, classes) for name in SCORES]
    rows = []
    for run in runs:
        row: dict[str, Any] = {"setting": run.setting.text, "study": text}
        row |= {name: run.setting[name] for name in factors()} | {name: getattr(run, name) for name in _PLAIN}
        if run.counts is not None:
            entities, alarms = run.counts.entities, run.counts.alarms
            row |= {each.name: each.of(run.counts) for each in of_scores if entities or each.name != "entity_f1"}
            row["entities"] = None if entities is None else np.stack(entities, axis=1).sum(axis=2).ravel()
            row |= {name: getattr(run.counts, name).ravel() for name in COUNTS}
            row["alarms"] = [dict(zip(ALARMS, (rate, *each.T.tolist()), strict=True)) for rate, each in alarms.items()]
            row["sequence_loss"] = run.counts.loss
        if run.curve:
            points = zip(*(run.curve[name].tolist() for name in CURVE), strict=True)
            row["curve"] = [dict(zip(CURVE, point, strict=True)) for point in points]
        rows.append(row)
    return pl.DataFrame(rows, schema=_schema(), strict=False)


_PLAIN = {each.name: str(each.type) for each in fields(Run) if each.type in ("int", "float", "str")}
"""The fields of a run that are plain values, and their types."""


def _schema() -> dict[str, Any]:
    kinds = {"int": pl.Int64, "float": pl.Float64, "str": pl.String, "bool": pl.Boolean}
    counts = pl.List(pl.Int32)
    return {
        "setting": pl.String,
        **{name: kinds[option.kind.__name__] for name, option in factors().items()},
        **{name: kinds[kind] for name, kind in _PLAIN.items()},
        **dict.fromkeys(SCORES, pl.Float64),
        "curve": pl.List(pl.Struct({name: pl.Int64 if name == "updates" else pl.Float64 for name in CURVE})),
        **dict.fromkeys((*COUNTS, "entities"), counts),
        "sequence_loss": pl.List(pl.Float64),
        "alarms": pl.List(pl.Struct(dict(zip(ALARMS, (pl.Float64, counts, counts), strict=True)))),
        "study": pl.String,
    }


def _parsed(table: pl.DataFrame) -> tuple[dict[str, Any], list[Run]]:
    study = json.loads(table["study"][0])
    classes = len(study["classes"])
    return study, [_run(row, classes) for row in table.iter_rows(named=True)]


def _run(row: Mapping[str, Any], classes: int) -> Run:
    counts = None
    if row["support"] is not None:
        right, predicted, support = (np.array(row[name], np.int32).reshape(-1, classes) for name in COUNTS)
        alarms = {each["rate"]: np.array([each["right"], each["wrong"]], np.int32).T for each in row["alarms"]}
        entities = None
        if row["entities"] is not None:
            entities = tuple(np.array(row["entities"], np.int32).reshape(-1, 3, 1).swapaxes(0, 1))
        counts = Counts(right, predicted, support, np.array(row["sequence_loss"]), alarms, entities)
    points = row["curve"] or []
    curve = {name: np.array([point[name] for point in points]) for name in CURVE} if points else {}
    plain = {name: row[name] for name in _PLAIN}
    return Run(setting=Setting.of(json.loads(row["setting"])), counts=counts, curve=curve, **plain)
