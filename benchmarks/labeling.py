"""How long it takes to train a sequence labeler, against the same network in stock Keras and in torch.

    python benchmarks/labeling.py adfa_ld.parquet ewt_pos.parquet --save labeling.json

Tables are told by their columns: system calls with a label for each trace (`syscall`), read whole, or words with a
label each (`token`); sequences are told apart by `sequence_id` and sorted by `step`, and those whose `split` is "train"
count. Everyone trains a network of one size (a vector for each category, a bidirectional LSTM, one dense layer; Adam,
gradients clipped to a norm of 1) for as many epochs over the same batches, in a process of its own, one after the
other:

    bothways     `bothways.training.train`: compiled epochs, sequences in at most four lengths
    keras-jax    `fit` of stock layers of Keras on JAX, with masks, over batches of those same four lengths: shapes that
                 vary with the batch would have it compile anew each time
    torch        `nn.LSTM` over packed sequences, each batch padded to its own longest

The time is that of the whole training, building the model and compiling included; beside it what of it was compiling:
for bothways as it says, for the others by how much the first epoch and all before it took longer than the median of
the others. `--quick` cuts the data to 400 sequences.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import study

from bothways.bench import rounds
from bothways.errors import DataError
from bothways.files import check_output, written_whole

TARGET = 3.0
"""How many times faster than each of the others training has to be."""

QUICK = 400
CASES: dict[str, dict[str, Any]] = {
    "syscall": {"per": "sequence", "embedding": 16, "units": 32, "batch": 16, "epochs": 3},
    "token": {"per": "step", "embedding": 32, "units": 64, "batch": 32, "epochs": 5},
}
"""How each kind of table is trained on, by the name of its category column."""


def read(path: Path, quick: bool) -> dict[str, Any]:
    """A table as arrays: codes of categories from 1, numbers of classes, lengths; and how it is trained on."""
    frame = pl.read_parquet(path).filter(pl.col("split").cast(pl.String) == "train").sort("sequence_id", "step")
    category = next(name for name in CASES if name in frame.columns)
    case = CASES[category]
    lengths = frame.group_by("sequence_id", maintain_order=True).len()["len"].to_numpy().astype(np.int64)
    if quick:
        some = np.sort(np.random.default_rng(0).permutation(len(lengths))[:QUICK])
        kept = np.repeat(np.isin(np.arange(len(lengths)), some), lengths)
        frame, lengths = frame.filter(pl.Series(kept)), lengths[some]
    codes = frame[category].cast(pl.String).rank("dense").to_numpy().astype(np.int64)
    labels = frame["label"].cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
    if case["per"] == "sequence":
        labels = labels[np.cumsum(lengths) - lengths]
    return {**case, "codes": codes, "labels": labels, "lengths": lengths}


def buckets_of(case: dict[str, Any]) -> tuple[Any, Callable[[int], Any]]:
    """The padded sequences of training, and the batches of an epoch by its number."""
    from bothways.sequences import Sequences
    from bothways.training.batches import bucketed, epoch_plan

    weights = np.ones(len(case["labels"]), np.float32)
    codes = case["codes"][:, None].astype(np.float32)
    sequences = Sequences(codes, case["lengths"], case["labels"], weights, case["per"])
    buckets = bucketed(sequences, case["batch"])
    return buckets, lambda epoch: epoch_plan(buckets, np.random.default_rng(epoch))


def with_bothways(case: dict[str, Any]) -> dict[str, float]:
    """Train with our own loop."""
    from bothways.network import Network
    from bothways.sequences import Sequences
    from bothways.training import Settings, train

    network = Network(
        features=1,
        classes=int(case["labels"].max()) + 1,
        units=case["units"],
        categories=(int(case["codes"].max()) + 1,),
        embedding=case["embedding"],
        per=case["per"],
    )
    settings = Settings(epochs=case["epochs"], batch_size=case["batch"], window=None, category_dropout=0.0)
    codes = case["codes"][:, None].astype(np.float32)
    sequences = Sequences(codes, case["lengths"], case["labels"], per=case["per"])
    started = time.perf_counter()
    trained = train(network, sequences, settings)
    return {"seconds": time.perf_counter() - started, "compile": trained.seconds["compile"]}


def with_keras(case: dict[str, Any]) -> dict[str, float]:
    """Train with `fit` and stock layers."""
    import keras

    whole = case["per"] == "sequence"
    classes = int(case["labels"].max()) + 1
    buckets, plan = buckets_of(case)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.epoch = 0
            self.on_epoch_end()

        def on_epoch_end(self) -> None:
            self.batches = [(bucket, rows) for bucket, order in plan(self.epoch) for rows in order]
            self.epoch += 1

        def __len__(self) -> int:
            return len(self.batches)

        def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
            number, rows = self.batches[index]
            bucket, there = buckets[number], rows >= 0
            weights = bucket.weights[rows] * (there if whole else there[:, None])
            return bucket.x[rows, :, 0].astype(np.int32), bucket.y[rows], weights

    clock = Clock()
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(int(case["codes"].max()) + 1, case["embedding"], mask_zero=True),
            keras.layers.Bidirectional(keras.layers.LSTM(case["units"], return_sequences=not whole)),
            keras.layers.Dense(classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.01, global_clipnorm=1.0), loss=loss)
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: clock.epoch())
    model.fit(Batches(), epochs=case["epochs"], callbacks=[callback], shuffle=False, verbose=0)
    return clock.times()


def with_torch(case: dict[str, Any]) -> dict[str, float]:
    """Train with packed sequences."""
    import torch
    from torch import nn
    from torch.nn.utils import rnn

    whole = case["per"] == "sequence"
    embed = nn.Embedding(int(case["codes"].max()) + 1, case["embedding"])
    lstm = nn.LSTM(case["embedding"], case["units"], batch_first=True, bidirectional=True)
    head = nn.Linear(2 * case["units"], int(case["labels"].max()) + 1)
    weights = [*embed.parameters(), *lstm.parameters(), *head.parameters()]
    adam = torch.optim.Adam(weights, 0.01)
    buckets, plan = buckets_of(case)
    clock = Clock()
    for epoch in range(case["epochs"]):
        for number, order in plan(epoch):
            bucket = buckets[number]
            for rows in order:
                some = rows[rows >= 0]
                lengths = torch.from_numpy(bucket.valid[some].sum(axis=1))
                longest = int(lengths.max())
                x = embed(torch.from_numpy(bucket.x[some, :longest, 0].astype(np.int64)))
                packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
                outputs, (last, _) = lstm(packed)
                y = torch.from_numpy(bucket.y[some].astype(np.int64))
                if whole:
                    z = head(torch.cat([last[0], last[1]], dim=1))
                else:
                    # The labels in the order in which packing puts the outputs.
                    z = head(outputs.data)
                    y = rnn.pack_padded_sequence(y[:, :longest], lengths, batch_first=True, enforce_sorted=False).data
                adam.zero_grad()
                nn.functional.cross_entropy(z, y).backward()
                nn.utils.clip_grad_norm_(weights, 1.0)
                adam.step()
        clock.epoch()
    return clock.times()


class Clock:
    """The time since it was made, epoch by epoch."""

    def __init__(self) -> None:
        self._ends = [time.perf_counter()]

    def epoch(self) -> None:
        """An epoch has ended."""
        self._ends.append(time.perf_counter())

    def times(self) -> dict[str, float]:
        """The whole time, and by how much the first epoch took longer than the others."""
        first, *others = np.diff(self._ends)
        return {"seconds": self._ends[-1] - self._ends[0], "compile": max(0.0, float(first - np.median(others)))}


WORKERS: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    "bothways": with_bothways,
    "keras-jax": with_keras,
    "torch": with_torch,
}


def measured(name: str, case: dict[str, Any], threads: int) -> dict[str, float] | None:
    """What a worker measured in a process of its own; None if it failed, which is then said."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "case.npz")
        np.savez(file, allow_pickle=False, **case)
        environment = rounds.environment(threads) | {"KERAS_BACKEND": "jax"}
        command = [sys.executable, sys.argv[0], "--worker", name, str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"    {result['seconds']:.1f} s, {result['compile']:.1f} s of them compiling", file=sys.stderr)
    return result


def main() -> None:
    """Measure each table, and print a row for each who trains."""
    if sys.argv[1:2] == ["--worker"]:
        _, _, name, file = sys.argv
        with np.load(file) as arrays:
            case = {key: value if value.ndim else value.item() for key, value in arrays.items()}
        print(json.dumps(WORKERS[name](case)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path, help="Parquet files")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} sequences of each table")
    parser.add_argument("--threads", type=int, help="for each who trains; the processors if not given")
    parser.add_argument("--only", choices=sorted(WORKERS), action="append", help="these alone")
    parser.add_argument("--save", metavar="FILE", help="keep it all, this machine too, in a .json file")
    given = parser.parse_args()
    threads = rounds.check_threads(given.threads)
    rows, results = [], []
    for path in given.tables:
        case = read(path, given.quick)
        steps = int(case["lengths"].sum()) * case["epochs"]
        times = {}
        for name in given.only or WORKERS:
            print(f"{path.stem}: {name}", file=sys.stderr)
            times[name] = measured(name, case, threads)
        ours = times.get("bothways")
        for name, time_ in times.items():
            if time_ is None:
                continue
            ratio = None if ours is None or name == "bothways" else time_["seconds"] / ours["seconds"]
            results.append({"table": path.stem, "name": name, "steps": steps, **time_, "ratio": ratio})
            columns = [f"{time_[key]:.1f}" for key in ("seconds", "compile")]
            rows.append([path.stem, name, *columns, f"{steps / time_['seconds']:,.0f}", study.times_as(ratio)])
    headings = ["table", "trained by", "s", "of them compiling", "steps/s", f"ratio (asked: {TARGET:g})"]
    machine = {**rounds.machine_facts(), "threads": threads}
    print(f"{machine['processor']}, {threads} threads\n")
    print("\n".join(study.table(headings, rows)))
    if given.save is not None:
        with written_whole(check_output(given.save, (".json",)), DataError) as temporary:
            temporary.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
