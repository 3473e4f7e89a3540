"""Claim 1 of the tutorials over many seeds: `bothways compare` against stock Keras on JAX.

    python benchmarks/compare.py --save compare.json

The study: the cumulative sum, 10 steps, 20 units; forward, backward, and both ways with each of the four merge modes;
50 seeds of each; 250 updates of one sequence. `bothways compare` does all of it, from the start of Python to the last
number, in a process of its own. The peer does a sample, in a process of its own: stock layers, `compile`, and one
`fit` a run over as many sequences in batches of 1. From the sample two times are worked out: the peer builds a model
for each run, as most programs do; or, which is kinder, one for each setting, whose weights and optimizer are set back
for each seed, so that it compiles once a setting. Takes about two minutes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import study

from bothways.bench import rounds

MERGES = ("concat", "sum", "mul", "ave")
SETTINGS = ("forward", "backward", *MERGES)
STEPS, UNITS, UPDATES, SEEDS = 10, 20, 250, 50
SAMPLE = 2
"""So many seeds of each setting the peer runs."""

WITHIN, TIMES = 60.0, 20.0
"""What we want: within so many seconds, and so many times as fast as a model for each run."""


def main() -> None:
    """Run the study, then the peer, and print both."""
    if sys.argv[1:2] == ["--peer"]:
        print(json.dumps(peer(*map(int, sys.argv[2:]))))
        return
    options = study.options(__doc__, {}, seconds=1.0)
    seeds, sample, updates = (2, 1, 20) if options.quick else (SEEDS, SAMPLE, UPDATES)
    comparison, since = study.study(options), rounds.clocks()
    ours = run_study(seeds, updates)
    command = [sys.executable, __file__, "--peer", str(sample), str(updates)]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    stock = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    busy = rounds.other_work(since, rounds.clocks())
    comparison.machine["versions"].update(stock.pop("versions"))

    first, again = sum(stock["first"].values()), sum(stock["again"].values())
    seconds = {
        "bothways compare": ours["seconds"],
        "stock Keras-JAX, a model for each run": stock["start"] + seeds * first,
        "stock Keras-JAX, a model for each setting": stock["start"] + first + (seeds - 1) * again,
    }
    targets = [f"{WITHIN:g} s", f"{TIMES:g}", ""]
    rows = []
    for (name, value), target, told in zip(seconds.items(), targets, (ours, stock, stock), strict=True):
        times = value / ours["seconds"]
        comparison.add(name=name, runs=len(SETTINGS) * seeds, seconds=value, times=times, told=told, other_work=busy)
        rows.append([f"{name}{'' if told is ours else ' *'}", f"{value:.1f}", f"{times:.1f}", target])
    comparison.done([f"{len(SETTINGS)} settings x {seeds} seeds", "seconds", "times as long", "target"], rows)
    print(f"\n* worked out from {sample} seeds of each setting")


def run_study(seeds: int, updates: int) -> dict[str, Any]:
    """Our own command, as a user would give it: seconds in all, and the median accuracy of each setting."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from bothways.cli import main; main()", "compare", "cumulative-sum"]
        command += ["--vary", "direction=forward,backward,both", "--vary", "merge"]
        plain = ("encoding=standard", "levels=raw", "changes=0", "epochs=1", "batch_size=1", f"units={UNITS}")
        command += ["--seeds", str(seeds), *(word for setting in plain for word in ("--set", setting))]
        command += ["--problem", f"sequences={updates}", "--problem", f"steps={STEPS}", "--json"]
        command += ["--output", str(Path(folder, "runs.parquet"))]
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - started
    found = json.loads(done.stdout)
    own = [setting for setting in found["settings"] if setting["same_as"] is None]
    assert found["left"] == 0
    assert len(own) == len(SETTINGS)
    return {
        "seconds": seconds,
        "compile_seconds": sum(setting["compile_seconds"] for setting in own),
        "train_seconds": {str(setting["factors"]): setting["seconds"] for setting in own},
        "accuracy": {str(setting["factors"]): setting["median"] for setting in own},
    }


def peer(seeds: int, updates: int) -> dict[str, Any]:
    """Stock Keras: for each setting, seconds of a run with a new model, and of one with a model that is there."""
    started = time.perf_counter()
    import jax
    import keras

    start = time.perf_counter() - started
    first, again, losses = {}, {}, {}
    for setting in SETTINGS:
        fresh, there = [], []
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            x, y = data(updates, seed)
            started = time.perf_counter()
            model = build(keras, setting)
            history = fit(model, x, y)
            fresh.append(time.perf_counter() - started)
            weights = [np.asarray(w) for w in build(keras, setting).get_weights()]
            started = time.perf_counter()
            model.set_weights(weights)
            for variable in model.optimizer.variables:
                if "learning_rate" not in variable.name:
                    variable.assign(np.zeros(variable.shape, variable.dtype))
            history = fit(model, x, y)
            there.append(time.perf_counter() - started)
        first[setting], again[setting] = statistics.median(fresh), statistics.median(there)
        losses[setting] = history.history["loss"][-1]
    versions = {"keras": keras.__version__, "jax": jax.__version__}
    return {"start": start, "first": first, "again": again, "loss": losses, "versions": versions}


def data(updates: int, seed: int) -> tuple[Any, Any]:
    """Sequences as the tutorial draws them."""
    x = np.random.default_rng(seed).random((updates, STEPS, 1), np.float32)
    return x, (np.cumsum(x, axis=1) >= STEPS / 4).astype(np.float32)


def build(keras: Any, setting: str) -> Any:
    """The tutorial's model."""
    layers = keras.layers
    inputs = keras.Input((STEPS, 1))
    if setting in MERGES:
        hidden = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True), merge_mode=setting)(inputs)
    else:
        hidden = layers.LSTM(UNITS, return_sequences=True, go_backwards=setting != "forward")(inputs)
        if setting == "backward":  # its outputs come in the order of reading
            hidden = keras.ops.flip(hidden, axis=1)
    model = keras.Model(inputs, layers.TimeDistributed(layers.Dense(1, activation="sigmoid"))(hidden))
    model.compile(loss="binary_crossentropy", optimizer="adam")
    return model


def fit(model: Any, x: Any, y: Any) -> Any:
    """One sequence an update."""
    return model.fit(x, y, epochs=1, batch_size=1, shuffle=False, verbose=0)


if __name__ == "__main__":
    main()
