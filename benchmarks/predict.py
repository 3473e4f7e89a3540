"""How fast `bothways predict` labels: 1,000 rows from a cold start, and millions of rows from Parquet to Parquet.

    python benchmarks/predict.py room.parquet --label label --drop Light

Trains a model of 32 units both ways on the table for one epoch, labels its first 1,000 rows several times, and then a
table that is its rows again and again, each time under other names of sequences, in a process of its own whose largest
memory is told. A tenth of the rows is labeled first, so that the two show whether memory grows with the table. Five
networks of that kind, as an average, then label that tenth in turn with one, and steps in memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from bothways import jobs, load, store
from bothways.data import read_sequences
from bothways.errors import DataError
from bothways.files import check_output, written_whole
from bothways.runtime import Member, Model
from bothways.tables import read_table

MEMBERS, TIMES = 5, 3
"""So many members make an average, and each of both is run so many times."""

COMMAND = """
import atexit, pathlib, sys
atexit.register(lambda: sys.stderr.write(pathlib.Path("/proc/self/status").read_text()))
from bothways.cli import main
main()
"""
"""Tells its largest memory at the end, for what the system tells of an ended process counts that of its parent, too."""


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--label", default="label")
    parser.add_argument("--sequence", default="sequence_id")
    parser.add_argument("--drop", nargs="*", default=())
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--starts", type=int, default=5, help="so many cold starts")
    parser.add_argument("--save", type=Path, help="keep the figures in a .json file")
    given = parser.parse_args()
    save = None if given.save is None else check_output(given.save, (".json",))
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(given, Path(folder))
    for name, value in figures.items():
        print(f"{name}: {value:,.3g}" if isinstance(value, float) else f"{name}: {value:,}")
    if save:
        with written_whole(save, DataError) as temporary:
            temporary.write_text(json.dumps(figures, indent=2))


def measure(given: argparse.Namespace, folder: Path) -> dict[str, float | int]:
    """Train, and label tables of three sizes."""
    model = folder / "model.bothways"
    jobs.train(
        given.data,
        model,
        settings={"units": 32, "epochs": 1},
        label=given.label,
        sequence=given.sequence,
        drop=list(given.drop),
        say=lambda message: None,
    )
    frame = pl.read_parquet(given.data)
    small = folder / "small.parquet"
    frame.head(1000).write_parquet(small)
    cold = [label(model, small, folder / "labeled.parquet")[0] for _ in range(given.starts)]
    figures: dict[str, float | int] = {"seconds for 1,000 rows, median": statistics.median(cold)}
    for rows in (given.rows // 10, given.rows):
        large = folder / f"{rows}.parquet"
        repeated(frame, given.sequence, rows, large)
        seconds, _, memory = label(model, large, folder / "labeled.parquet")
        labeled = pl.scan_parquet(folder / "labeled.parquet").select(pl.len()).collect().item()
        assert labeled == rows, f"{labeled} of {rows} rows are labeled"
        figures |= {f"{rows:,} rows, seconds": seconds, f"{rows:,} rows, steps a second": rows / seconds}
        figures[f"{rows:,} rows, largest memory in MB"] = memory
    five = folder / "five.bothways"
    store.save(average(load(model), MEMBERS), five)
    return figures | of_members(model, five, small, folder / f"{given.rows // 10}.parquet", folder / "labeled.parquet")


def repeated(frame: pl.DataFrame, sequence: str, rows: int, path: Path) -> None:
    """Write the rows again and again, each time under other names of sequences."""
    times = -(-rows // frame.height)
    pl.concat([frame.lazy().with_columns(pl.concat_str(pl.col(sequence), pl.lit(f"-{k}"))) for k in range(times)]).head(
        rows
    ).sink_parquet(path)


def average(model: Model, members: int) -> Model:
    """So many networks like that of a model, with weights that differ a little."""
    (member,), random = model.members, np.random.default_rng(0)
    assert isinstance(member, Member)

    def other() -> Member:
        inner = {name: w for name, w in member.weights.items() if not name.startswith("input/")}
        inner = {name: w + random.normal(0, 0.01, w.shape).astype(np.float32) for name, w in inner.items()}
        return replace(member, weights={**member.weights, **inner})

    return replace(model, members=[other() for _ in range(members)])


def of_members(one: Path, five: Path, small: Path, large: Path, output: Path) -> dict[str, float | int]:
    """How fast an average labels as a share of one network's speed: beyond the start, and in memory; medians."""
    models = {"one": one, "five": five}
    took: dict[str, list[tuple[float, ...]]] = {name: [] for name in models}
    for _ in range(TIMES):
        for name, model in models.items():
            begun, processor, _ = label(model, small, output)
            seconds, more, _ = label(model, large, output)
            loaded = load(model)
            assert loaded.columns is not None
            sequences, _ = read_sequences(read_table(large), loaded.columns)
            of_process = time.process_time()
            loaded.probabilities(sequences)
            took[name].append((seconds - begun, more - processor, time.process_time() - of_process))
    medians = {name: np.median(each, axis=0) for name, each in took.items()}
    ways = ("file to file", "file to file, by processor time", "in memory, by processor time")
    ratios = medians["one"] / medians["five"]
    return {f"speed of five members to that of one, {way}": float(each) for way, each in zip(ways, ratios, strict=True)}


def processor_seconds() -> float:
    """Those of all processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def label(model: Path, data: Path, output: Path) -> tuple[float, float, int]:
    """The seconds, those of processors, and the largest memory, in MB, of `bothways predict` in a new process."""
    started, processor = time.perf_counter(), processor_seconds()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "predict", str(model), str(data), "-o", str(output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    return seconds, processor_seconds() - processor, int(done.stderr.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main()
