"""How training grows: time and memory against batch and steps, and what dropout costs.

    python benchmarks/growth.py --save growth.json

A bidirectional LSTM on the engine, sizes doubled one at a time: the outputs, and the gradients of the input and of all
weights. Time is measured in turns in one process. Memory is the peak of a process of its own for each size, above what
it had before the call, and stands beside what backpropagation cannot do without: the input, and for each step and
direction the gates, the cell state and the output. Beside that, for its own sake, what the caller gets back (the
gradient of the input).

Then the same layer in Keras on JAX, in a compiled training step: without dropout, with dropout of the inputs, and with
dropout of the recurrent state if the engine has it. Takes about two minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import study

from bothways.bench import Case, Shape, peers, rounds

MEMORY_TARGET = 1.5
"""So many times what backpropagation has to keep, at most."""
DROPOUT_TARGET = 1.2
"""So many times as long as without dropout, at most."""

BASE, QUICK = Shape(16, 50, 64, 128), Shape(2, 3, 3, 8)
DOUBLINGS = 3
DROPOUTS = {"none": {}, "inputs": {"dropout": 0.2}, "recurrent": {"recurrent_dropout": 0.2}}
FLOAT = 4
"""Bytes."""


def needed_bytes(shape: Shape) -> int:
    """What backpropagation has to keep of a bidirectional LSTM: x; and per step and direction 4 gates, c and h."""
    batch, time, features, units = shape
    return FLOAT * batch * time * (features + 2 * (4 + 1 + 1) * units)


def memory(shape: Shape, threads: int) -> None:
    """Print the peak bytes of one training call above what was there before, and those of the input."""
    from bothways import engine

    engine.set_threads(threads)
    tiny = Case(Shape(2, 2, *shape[2:]), mode="train")
    peers.with_engine(threads)(tiny)()  # whatever is made once
    call = peers.with_engine(threads)(Case(shape, mode="train"))
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    call()
    print(json.dumps({"peak": status("VmHWM") - before, "input": FLOAT * int(np.prod(shape[:3]))}))


def status(name: str) -> int:
    """A number of bytes that Linux knows of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def peak_bytes(shape: Shape, threads: int) -> int | None:
    """The input and the peak above it of one training call, measured in a process of its own; None where it cannot."""
    command = [sys.executable, __file__, "--memory", json.dumps(shape), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env=rounds.environment(threads))
    if done.returncode:
        print(f"memory of {shape}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    told = json.loads(done.stdout)
    return int(told["peak"] + told["input"])


def with_engine(threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """The engine through its NumPy face."""
    from bothways import engine

    build = peers.with_engine(threads)
    return lambda case: build(Case.from_json(case)), {"instruction_set": engine.instruction_set()}


def with_keras(threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """The layer of bothways in Keras on JAX; refuses what the engine does not run."""
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import jax.numpy as jnp

    from bothways import engine, layers

    engine.set_threads(threads)

    def build(case: Any) -> study.Call:
        batch, time, features, units = case["shape"]
        layer = layers.Bidirectional(layers.LSTM(units, return_sequences=True, **case["options"]))
        if layer.engine != "native":
            raise RuntimeError(f"not on the engine: {layer.engine}")
        layer.build((batch, time, features))
        x, d_outputs = jax.device_put((random(batch, time, features), random(batch, time, 2 * units)))
        weights, others = ([v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables))

        def loss(weights: Any, others: Any, x: Any) -> Any:
            outputs, others = layer.stateless_call(weights, others, x, training=True)
            return jnp.vdot(outputs, d_outputs), others

        step = jax.jit(jax.value_and_grad(loss, argnums=(0, 2), has_aux=True))
        when_done: Any = jax.block_until_ready
        return lambda: when_done(step(weights, others, x))

    import keras

    return build, {"versions": {"keras": keras.__version__, **study.versions("jax")}}


def random(*shape: int) -> npt.NDArray[np.float32]:
    """Numbers from -1 to 1, the same every time."""
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


STARTS: Mapping[str, study.Start] = {"engine": with_engine, "keras": with_keras}


def main() -> None:
    """Measure, and print a row for each size and each dropout."""
    if sys.argv[1:2] == ["--memory"]:
        memory(Shape(*json.loads(sys.argv[2])), int(sys.argv[3]))
        return
    options = study.options(__doc__, STARTS, seconds=12.0)
    growth = study.study(options)
    base = QUICK if options.quick else BASE
    rows = []
    with growth.workers(["engine"]) as workers:
        for axis in ("batch", "time"):
            sizes = [base._replace(**{axis: getattr(base, axis) * 2**k}) for k in range(DOUBLINGS + 1)]
            cases = {str(shape): Case(shape, mode="train") for shape in sizes}
            times = growth.times(workers, {name: ("engine", case.to_json()) for name, case in cases.items()})
            for name, case in cases.items():
                if name not in times["ms"]:
                    continue
                size, needed = getattr(case.shape, axis), needed_bytes(case.shape)
                peak = peak_bytes(case.shape, options.threads)
                memory_ratio = None if peak is None else peak / needed
                us = 1e3 * times["ms"][name] / size
                of_size = {"ms": times["ms"][name], "disturbed": name in times["disturbed"]}
                more = {"us_each": us, "bytes": peak, "bytes_needed": needed, "memory_ratio": memory_ratio}
                growth.add(shape=case.shape, against=axis, **of_size, other_work=times["other_work"], **more)
                shown = [study.ms(times["ms"][name]), study.ms(us), "" if peak is None else f"{peak / 1e6:.1f}"]
                rows.append([f"{axis} {size}", *shown, f"{needed / 1e6:.1f}", study.times_as(memory_ratio)])
    with growth.workers(["keras"]) as workers:
        shape = QUICK if options.quick else Shape(32, 100, 64, 128)
        calls = {f"dropout {name}": ("keras", {"shape": shape, "options": of}) for name, of in DROPOUTS.items()}
        times = growth.times(workers, calls)
        for name in calls:
            if name in times["ms"]:
                ratio = study.quotient(times["ms"], name, "dropout none")
                growth.add(shape=shape, dropout=name, **times, ratio=ratio, target=DROPOUT_TARGET)
                rows.append([name, study.ms(times["ms"][name]), "", "", "", study.times_as(ratio)])
    headings = [f"LSTM train from {base}", "ms", "us each", "peak MB", "needed MB", "ratio"]
    growth.done(headings, rows)


if __name__ == "__main__":
    main()
