"""How fast labels of streams are: labels a second, from an event to its label, and the same file after kills.

    python benchmarks/streams.py [--seconds 10] [--keys 1000] [--kills 100] [--quick] [--save FILE]

One LSTM of 32 units both ways over 8 numbers, K = 16, with random weights, which cost what others do; model and events
are in one process with two threads of the engine.

- labels a second: events of all keys in turn, 16 of each at once, in chunks of C = 16, and with C = 1.
- milliseconds: events of random keys come at `--rate` a second whatever the stream does, and those that have come
  meanwhile go in together. A label counts from the moment when the event came that it had to wait for: with C = 1 the
  K-th later one of its key, with C = 16 the one that makes its chunk whole.
- killed: `bothways stream --checkpoint` writes labels of a file, is killed (SIGKILL) at a random moment of the first 3
  seconds in which it writes, and started again each time, also when it has come to the end; whenever it has, the file
  must be that of a run without kills, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bothways import engine, store
from bothways.errors import DataError
from bothways.files import check_output, written_whole
from bothways.network import Network
from bothways.runtime import Member, Model

K = 16
FEATURES = 8
COMMAND = "from bothways.cli import main; main()"


def model() -> Model:
    """A model with random weights."""
    random = np.random.default_rng(0)
    network = Network(features=FEATURES, classes=2, units=32)
    weights = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in network.weight_shapes().items()}
    weights["input/scale"] = np.ones_like(weights["input/scale"])
    weights["input/centers"][:], weights["input/slopes"][:] = np.linspace(-1.75, 1.75, network.bins_per_number), 4
    return Model([Member(network, weights)], ("calm", "attack"))


def labels_a_second(chunk: int, keys: int, seconds: float) -> float:
    """How many steps are labeled in a second of pushing."""
    stream, names = model().stream(K, chunk=chunk), [f"key {k}" for k in range(keys)] * K
    values = np.random.default_rng(1).normal(size=(K * keys, FEATURES))

    def push(round_: int) -> int:
        steps = np.repeat(np.arange(K * round_, K * (round_ + 1)), keys)
        return len(stream.push_many(names, steps.tolist(), values))

    for warm in range(3):
        push(warm)
    labels, rounds, begun = 0, 3, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        labels += push(rounds)
        rounds += 1
    return labels / spent


def delays(chunk: int, keys: int, rate: float, seconds: float) -> dict[str, float]:
    """Milliseconds from the event that a label waits for to the label."""
    random, stream = np.random.default_rng(2), model().stream(K, chunk=chunk)
    count = int(rate * seconds) + keys * (K + chunk)
    names = random.integers(0, keys, count).tolist()
    steps, places = [0] * keys, []
    for name in names:
        places.append(steps[name])
        steps[name] += 1
    came = np.zeros(count)
    index = {pair: i for i, pair in enumerate(zip(names, places, strict=True))}
    values = random.normal(size=(count, FEATURES))
    warm = count - int(rate * seconds)
    stream.push_many(names[:warm], places[:warm], values[:warm])  # so that keys are due from the first moment on
    begun, done, found = time.perf_counter(), warm, []
    came[warm:] = begun + np.arange(count - warm) / rate
    while done < count:
        now = time.perf_counter()
        ready = warm + min(count - warm, int((now - begun) * rate) + 1)
        if ready == done:
            time.sleep(max(0.0, came[done] - now))
            continue
        labeled = stream.push_many(names[done:ready], places[done:ready], values[done:ready])
        now = time.perf_counter()
        waited = [index[each.key, each.step - each.step % chunk + chunk - 1 + K] for each in labeled]
        found.append(1e3 * (now - came[waited]))
        done = ready
    late = np.concatenate(found)
    return {name: float(np.quantile(late, q)) for name, q in (("p50", 0.5), ("p99", 0.99), ("largest", 1.0))}


def kills(times: int, keys: int, steps: int) -> dict[str, Any]:
    """Whether the labels are the same after a run was killed at random moments."""
    random = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store.save(model(), folder / "some.bothways")
        with (folder / "events.jsonl").open("w") as file:
            for step in range(steps):
                for key, row in enumerate(random.normal(size=(keys, FEATURES)).round(4).tolist()):
                    file.write(json.dumps({"key": key, "step": step, "values": row}) + "\n")
        arguments = [str(folder / each) for each in ("some.bothways", "events.jsonl")]
        command = [sys.executable, "-c", COMMAND, "stream", *arguments, "--lookahead", str(K)]
        begun = time.perf_counter()
        subprocess.run([*command, "-o", str(folder / "whole.jsonl")], check=True, stderr=subprocess.DEVNULL)
        seconds, killed, passes, ended = time.perf_counter() - begun, 0, 0, False
        whole, labels = folder / "whole.jsonl", folder / "killed.jsonl"
        command += ["-o", str(labels), "--checkpoint", str(folder / "state")]
        while killed < times or not ended:
            before = _written(labels)
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            while process.poll() is None and (killed == times or _written(labels) == before):
                time.sleep(0.01)  # a kill before the first label would hit nothing but imports
            try:
                ended = process.wait(random.uniform(0, 3)) == 0
                assert ended, "bothways stream failed"
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed, ended = killed + 1, False
            else:
                passes += 1
                if whole.read_bytes() != labels.read_bytes():
                    return {"kills": killed, "same file": False}
        return {"kills": killed, "runs to the end": passes, "same file": True, "events/s": keys * steps / seconds}


def _written(path: Path) -> tuple[int, int]:
    """When a file was written, and how long it is; zeros if it is not there."""
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else (0, 0)


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each figure")
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=10_000.0, help="events a second")
    parser.add_argument("--kills", type=int, default=100, help="0: only the figures")
    parser.add_argument("--quick", action="store_true", help="to see that it works; the numbers mean nothing")
    parser.add_argument("--save", type=Path, help="keep the figures in a .json file")
    given = parser.parse_args()
    save = None if given.save is None else check_output(given.save, (".json",))
    keys, seconds, rate, times = given.keys, given.seconds, given.rate, given.kills
    if given.quick:
        keys, seconds, rate, times = 100, 1.0, 1000.0, 2
    engine.set_threads(2)
    measures: dict[str, Callable[[], Any]] = {}
    for chunk in (K, 1):
        measures[f"labels/s, C = {chunk}"] = partial(labels_a_second, chunk, keys, seconds)
        measures[f"ms at {rate:g} events/s, C = {chunk}"] = partial(delays, chunk, keys, rate, seconds)
    if times:
        measures["killed"] = partial(kills, times, keys, 200 if given.quick else 300)
    figures: dict[str, Any] = {}
    for name, measure in measures.items():
        figures[name] = measure()
        print(f"{name}: {figures[name]}", flush=True)
    if save:
        with written_whole(save, DataError) as temporary:
            temporary.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
