"""How fast `bothways predict` labels: 1,000 rows from a cold start, and millions of rows from Parquet to Parquet.

    python benchmarks/predict.py room.parquet --label label --drop Light

Trains a model of 32 units both ways on the table for one epoch, labels its first 1,000 rows several times, and then a
table that is its rows again and again, each time under other names of sequences, in a process of its own whose largest
memory is told. A tenth of the rows is labeled first, so that the two show whether memory grows with the table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from bothways import jobs
from bothways.errors import DataError
from bothways.files import check_output, written_whole

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
        seconds, memory = label(model, large, folder / "labeled.parquet")
        labeled = pl.scan_parquet(folder / "labeled.parquet").select(pl.len()).collect().item()
        assert labeled == rows, f"{labeled} of {rows} rows are labeled"
        figures |= {f"{rows:,} rows, seconds": seconds, f"{rows:,} rows, steps a second": rows / seconds}
        figures[f"{rows:,} rows, largest memory in MB"] = memory
    return figures


def repeated(frame: pl.DataFrame, sequence: str, rows: int, path: Path) -> None:
    """Write the rows again and again, each time under other names of sequences."""
    times = -(-rows // frame.height)
    pl.concat([frame.lazy().with_columns(pl.concat_str(pl.col(sequence), pl.lit(f"-{k}"))) for k in range(times)]).head(
        rows
    ).sink_parquet(path)


def label(model: Path, data: Path, output: Path) -> tuple[float, int]:
    """The seconds and the largest memory, in MB, of `bothways predict` in a new process."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "predict", str(model), str(data), "-o", str(output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    return seconds, int(done.stderr.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main()
