"""Through Keras: an epoch of `fit`, accelerated against stock, on each backend that is installed.

    python benchmarks/fit.py --save fit.json

The model labels every step: `Bidirectional(LSTM(128, return_sequences=True))`, then
`TimeDistributed(Dense(10, activation="softmax"))`; Adam, sparse categorical cross-entropy; batches of 32 sequences of
100 steps of 64 features. Each backend has a process of its own, in which both models take turns, an epoch at a time,
after an epoch that is not timed; so has each step of the way: the recurrent layer alone on the engine, and with it all
steps of the last layer in one product, which is what `bothways.accelerate` does. Takes some minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import study

TARGETS = {"jax": 2.5, "tensorflow": 1.5, "torch": 2.5}
"""What we want at least: so many times as fast."""

CASE = {"batch": 32, "time": 100, "features": 64, "units": 128, "classes": 10, "batches": 10}
QUICK = {"batch": 4, "time": 5, "features": 3, "units": 8, "classes": 3, "batches": 2}
STOCK, LAYER, ALL = "stock", "layer", "accelerated"


def with_keras(backend: str, threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """Keras on a backend, with so many threads."""
    os.environ["KERAS_BACKEND"] = backend
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)
    elif backend == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    import keras

    from bothways import accelerate, engine

    engine.set_threads(threads)

    def build(case: Any) -> study.Call:
        keras.utils.set_random_seed(0)
        lstm = keras.layers.LSTM(case["units"], return_sequences=True)
        dense = keras.layers.Dense(case["classes"], activation="softmax")
        layers = [keras.layers.Bidirectional(lstm), keras.layers.TimeDistributed(dense)]
        model = keras.Sequential([keras.Input((case["time"], case["features"])), *layers])
        if case["variant"] != STOCK:
            accelerate(model if case["variant"] == ALL else layers[0])
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        random = np.random.default_rng(0)
        sequences = case["batch"] * case["batches"]
        x = random.normal(size=(sequences, case["time"], case["features"])).astype("float32")
        y = random.integers(case["classes"], size=(sequences, case["time"]))
        return lambda: model.fit(x, y, batch_size=case["batch"], epochs=1, verbose=0)

    return build, {"versions": study.versions("keras", backend)}


STARTS: Mapping[str, study.Start] = {backend: partial(with_keras, backend) for backend in TARGETS}


def main() -> None:
    """Measure a backend after the other, and print a row for each."""
    options = study.options(__doc__, STARTS, seconds=40.0)
    fit = study.study(options)
    case = QUICK if options.quick else CASE
    variants = (STOCK, ALL) if options.quick else (STOCK, LAYER, ALL)  # each costs seconds of compiling
    rows = []
    for backend, target in TARGETS.items():
        with fit.workers([backend]) as workers:
            calls = {variant: (backend, {**case, "variant": variant}) for variant in variants}
            times = fit.times(workers, calls)
        ratios = {variant: study.quotient(times["ms"], STOCK, variant) for variant in (LAYER, ALL)}
        if ratios[ALL] is not None:
            fit.add(backend=backend, **case, **times, ratios=ratios, target=target)
            of = (study.ms(times["ms"].get(variant)) for variant in (STOCK, LAYER, ALL))
            rows.append([backend, *of, *map(study.times_as, ratios.values()), target])
    fit.done(["epoch of fit, ms", "stock", "layer only", "accelerated", "layer ratio", "ratio", "target"], rows)


if __name__ == "__main__":
    main()
