"""What an update costs in the compiled epochs of training on JAX, at the size of the tutorial's model.

    python benchmarks/epochs.py --save epochs.json

The model is that of the tutorial: a bidirectional LSTM of 20 units over 10 steps of 1 feature, 1,000 sequences, one
an update, so that almost all of it is the price of an update and not arithmetic. Beside it the same in batches of 64,
those of 24 features without and with a convolution in front, and the same model by `train_on_batch` of Keras, which is
what other backends get. Takes about half a minute.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import study

TARGET = 40.0
"""Microseconds an update, at most."""

CASE = {"sequences": 1000, "time": 10, "units": 20}
QUICK = {"sequences": 8, "time": 3, "units": 4}
CALLS: Mapping[str, Mapping[str, Any]] = {
    "one by one": {"batch": 1, "compiled": True},
    "in batches of 64": {"batch": 64, "compiled": True},
    "in batches of 64, 24 features": {"batch": 64, "compiled": True, "features": 24},
    "the same, a convolution of 9 steps before": {"batch": 64, "compiled": True, "features": 24, "conv_window": 9},
    "one by one, train_on_batch": {"batch": 1, "compiled": False},
}


def with_jax(threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """Training of networks on JAX."""
    os.environ["KERAS_BACKEND"] = "jax"
    from bothways import engine, training  # noqa: F401

    engine.set_threads(threads)
    import jax  # noqa: F401

    from bothways.interrupts import Stop
    from bothways.network import Network
    from bothways.problems import cumulative_sum
    from bothways.sequences import Sequences
    from bothways.settings import Settings
    from bothways.training.batches import bucketed, epoch_plan
    from bothways.training.compiled import CompiledEpochs
    from bothways.training.epochs import BatchEpochs, learning_rates
    from bothways.training.initializers import initial_weights
    from bothways.training.keras_model import compile_model, keras_model, set_weights

    def build(case: Any) -> study.Call:
        plain: Any = {"encoding": "standard", "levels": "raw", "changes": 0}
        features = case.get("features", 1)
        network = Network(features, 2, units=case["units"], conv_window=case.get("conv_window", 0), **plain)
        x, y = cumulative_sum(case["sequences"], case["time"], seed=0)
        lengths = np.full(len(x), case["time"])
        buckets = bucketed(
            Sequences(
                np.tile(x.reshape(-1, 1), features).astype(np.float32), lengths, y.ravel(), np.ones(y.size, np.float32)
            ),
            case["batch"],
        )
        model = keras_model(network, masked=False)
        compile_model(network, model, clip=1.0)
        set_weights(network, model, initial_weights(network, seed=0))
        epochs = (CompiledEpochs if case["compiled"] else BatchEpochs)(model)
        epochs.load(buckets)
        rates = learning_rates(Settings(), 10**6)
        generator = np.random.default_rng(0)
        return lambda: epochs.run(epoch_plan(buckets, generator), rates, Stop())

    return build, {"versions": study.versions("keras", "jax"), "instruction_set": engine.instruction_set()}


STARTS: Mapping[str, study.Start] = {"jax": with_jax}


def main() -> None:
    """Measure an epoch each way, and print a row for each."""
    options = study.options(__doc__, STARTS, seconds=15.0)
    epochs = study.study(options)
    case = QUICK if options.quick else CASE
    rows = []
    with epochs.workers(STARTS) as workers:
        times = epochs.times(workers, {name: ("jax", {**case, **call}) for name, call in CALLS.items()})
    for name, ms in times.pop("ms").items():
        updates = -(-case["sequences"] // CALLS[name]["batch"])
        us = 1e3 * ms / updates
        target = TARGET if name == "one by one" else None
        epochs.add(name=name, **case, **CALLS[name], **times, ms=ms, updates=updates, us_an_update=us, target=target)
        rows.append([name, study.ms(ms), updates, study.ms(us), "" if target is None else f"{target:g}"])
    epochs.done(["an epoch of the tutorial's model", "ms", "updates", "us an update", "target"], rows)


if __name__ == "__main__":
    main()
