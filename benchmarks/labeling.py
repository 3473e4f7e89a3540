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
the others; and the median of the epochs. `--quick` cuts the data to 400 sequences. `words.py` asks for words with
their spelling and a CRF, too. That of torch is written out below: among the packages for it only `pyt-crf` is kept,
which runs on Python 3.12 and later, and took 1.8 times as long for 17 classes, 16 times for 73. Keras has none that is
kept, and gets ours, which is made of its operations.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
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
    """A table as arrays: codes of each category (from 1) and how many, classes, lengths; and how it is trained on."""
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
    sizes = np.array([codes.max() + 1])
    return {**case, "codes": codes[:, None], "sizes": sizes, "labels": labels, "lengths": lengths, "head": "softmax"}


def buckets_of(case: dict[str, Any]) -> tuple[Any, Callable[[int], Any]]:
    """The padded sequences of training, and the batches of an epoch by its number."""
    from bothways.sequences import Sequences
    from bothways.training.batches import bucketed, epoch_plan

    weights = np.ones(len(case["labels"]), np.float32)
    sequences = Sequences(case["codes"].astype(np.float32), case["lengths"], case["labels"], weights, case["per"])
    buckets = bucketed(sequences, case["batch"])
    return buckets, lambda epoch: epoch_plan(buckets, np.random.default_rng(epoch))


def with_bothways(case: dict[str, Any]) -> dict[str, float]:
    """Train with our own loop."""
    from bothways.network import Network
    from bothways.sequences import Sequences
    from bothways.training import Settings, train

    network = Network(
        features=len(case["sizes"]),
        classes=int(case["labels"].max()) + 1,
        units=case["units"],
        categories=tuple(case["sizes"].tolist()),
        embedding=case["embedding"],
        per=case["per"],
        head=case["head"],
    )
    settings = Settings(epochs=case["epochs"], batch_size=case["batch"], window=None, category_dropout=0.0)
    sequences = Sequences(case["codes"].astype(np.float32), case["lengths"], case["labels"], per=case["per"])
    started = time.perf_counter()
    trained = train(network, sequences, settings)
    seconds, of = time.perf_counter() - started, trained.seconds
    return {"seconds": seconds, "compile": of["compile"], "epoch": of["train"] / case["epochs"]}


def with_keras(case: dict[str, Any]) -> dict[str, float]:
    """Train with `fit` and stock layers."""
    import keras

    from bothways.training.keras_model import CrfLoss
    from bothways.training.network_layers import Transitions

    whole, crf = case["per"] == "sequence", case["head"] == "crf"
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
            return bucket.x[rows].astype(np.int32), bucket.y[rows][..., None] if crf else bucket.y[rows], weights

    clock = Clock()
    layers = keras.layers
    x = keras.Input((None, len(case["sizes"])), dtype="int32")
    # Padding has the code 0, which no word of training has; a view of a word may have it.
    vectors = [
        layers.Embedding(size, case["embedding"], mask_zero=i == 0)(x[:, :, i])
        for i, size in enumerate(case["sizes"].tolist())
    ]
    rows = layers.Concatenate()(vectors) if len(vectors) > 1 else vectors[0]
    rows = layers.Bidirectional(layers.LSTM(case["units"], return_sequences=not whole))(rows)
    z, loss = layers.Dense(classes)(rows), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if crf:
        transitions = Transitions(classes, name="transitions")
        z, loss = transitions(z), CrfLoss(transitions.transitions)
    model = keras.Model(x, z)
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
    classes = int(case["labels"].max()) + 1
    embed = nn.ModuleList(nn.Embedding(size, case["embedding"]) for size in case["sizes"].tolist())
    lstm = nn.LSTM(case["embedding"] * len(embed), case["units"], batch_first=True, bidirectional=True)
    head, transitions = nn.Linear(2 * case["units"], classes), nn.Parameter(torch.zeros(classes, classes))
    crf = case["head"] == "crf"
    weights = [*embed.parameters(), *lstm.parameters(), *head.parameters(), *([transitions] if crf else [])]
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
                codes = torch.from_numpy(bucket.x[some, :longest].astype(np.int64))
                x = torch.cat([each(codes[..., i]) for i, each in enumerate(embed)], dim=-1)
                packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
                outputs, (last, _) = lstm(packed)
                y = torch.from_numpy(bucket.y[some].astype(np.int64))
                if whole:
                    z = head(torch.cat([last[0], last[1]], dim=1))
                elif crf:
                    z, _ = rnn.pad_packed_sequence(outputs, batch_first=True)
                    loss = crf_loss(
                        head(z), y[:, :longest], torch.from_numpy(bucket.valid[some, :longest]), transitions
                    )
                else:
                    # The labels in the order in which packing puts the outputs.
                    z = head(outputs.data)
                    y = rnn.pack_padded_sequence(y[:, :longest], lengths, batch_first=True, enforce_sorted=False).data
                adam.zero_grad()
                (loss if crf else nn.functional.cross_entropy(z, y)).backward()
                nn.utils.clip_grad_norm_(weights, 1.0)
                adam.step()
        clock.epoch()
    return clock.times()


def crf_loss(z: Any, labels: Any, counts: Any, transitions: Any) -> Any:
    """The mean of -log p(labels) per label, of a linear-chain CRF in torch.

    Args:
        z: `(sequences, time, classes)` scores.
        labels: `(sequences, time)`.
        counts: `(sequences, time)`, True where a step counts; such steps come first.
        transitions: `(classes, classes)` what is added for a label, in the columns, after another, in the rows.
    """
    import torch

    follows, row = transitions.exp(), z[:, 0]
    for t in range(1, z.shape[1]):
        highest = row.detach().amax(dim=1, keepdim=True)  # a product of matrices, and no sum over (classes, classes)
        after = ((row - highest).exp() @ follows).log() + highest + z[:, t]
        row = torch.where(counts[:, t, None], after, row)
    own = z.gather(2, labels[..., None])[..., 0] * counts
    pairs = transitions[labels[:, :-1], labels[:, 1:]] * counts[:, 1:]
    return (row.logsumexp(dim=1).sum() - own.sum() - pairs.sum()) / counts.sum()


class Clock:
    """The time since it was made, epoch by epoch."""

    def __init__(self) -> None:
        self._ends = [time.perf_counter()]

    def epoch(self) -> None:
        """An epoch has ended."""
        self._ends.append(time.perf_counter())

    def times(self) -> dict[str, float]:
        """The whole time, the median of all epochs but the first, and by how much that took longer."""
        first, *others = np.diff(self._ends)
        epoch = float(np.median(others))
        return {"seconds": self._ends[-1] - self._ends[0], "compile": max(0.0, float(first) - epoch), "epoch": epoch}


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
        command = [sys.executable, __file__, "--worker", name, str(file)]
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
    cases = {path.stem: read(path, given.quick) for path in given.tables}
    results = compare(cases, given.only or list(WORKERS), threads)
    if given.save is not None:
        machine = {**rounds.machine_facts(), "threads": threads}
        with written_whole(check_output(given.save, (".json",)), DataError) as temporary:
            temporary.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


def compare(cases: Mapping[str, dict[str, Any]], names: Sequence[str], threads: int) -> list[dict[str, Any]]:
    """Measure who trains on each table, and print a row for each; gives the same."""
    rows, results = [], []
    for table, case in cases.items():
        steps = int(case["lengths"].sum()) * case["epochs"]
        times = {}
        for name in names:
            print(f"{table}: {name}", file=sys.stderr)
            times[name] = measured(name, case, threads)
        ours = times.get("bothways")
        for name, time_ in times.items():
            if time_ is None:
                continue
            whole, epoch = (
                None if ours is None or name == "bothways" else time_[key] / ours[key] for key in ("seconds", "epoch")
            )
            results.append({"table": table, "name": name, "steps": steps, **time_, "ratio": whole, "of epochs": epoch})
            columns = [f"{time_[key]:.1f}" for key in ("seconds", "compile")]
            columns += [f"{steps / time_['seconds']:,.0f}", study.times_as(whole), f"{time_['epoch']:.2f}"]
            rows.append([table, name, *columns, study.times_as(epoch)])
    headings = ["table", "trained by", "s", "of them compiling", "steps/s", f"ratio (asked: {TARGET:g})"]
    print(f"{rounds.machine_facts()['processor']}, {threads} threads\n")
    print("\n".join(study.table([*headings, "s per epoch", "ratio"], rows)))
    return results


if __name__ == "__main__":
    main()
