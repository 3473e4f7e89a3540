"""What the engine has set itself, each figure beside its target.

    python benchmarks/targets.py --save targets.json

Shares are of a matrix product with the same instructions (as in `cells.py`); times are beside those of the same work
without what is in question. Training is the outputs and the gradients of the input and of all weights. Takes about two
minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import cells
import growth
import numpy as np
import study

from bothways import engine
from bothways.bench import MODES, Case, Shape, peers
from bothways.bench.cases import SGEMM_SIZE

AVX2, DROPOUT_ENGINE, DROPOUT_KERAS, WIDE, STEP = 0.9, 1.1, 1.2, 0.85, 2.0
SHAPE, STEP_SHAPE = Shape(32, 100, 64, 128), Shape(1, 1, 64, 128)
WIDTHS = (Shape(16, 50, 300, 512), Shape(16, 50, 300, 2048))
TURNS = 100  # beside weights that the engine keeps packed
QUICK = Shape(4, 5, 3, 8)


def with_engine(threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """The engine on arrays: a case of `bothways bench`, training with factors of dropout, or single steps."""
    build = peers.with_engine(threads)

    def weights_of(features: int, units: int) -> tuple[Any, Any, Any]:
        return growth.random(features, 4 * units), growth.random(units, 4 * units), growth.random(4 * units)

    def single_steps(shape: Shape, turns: int) -> study.Call:
        batch, steps, features, units = shape
        layer = engine.Layer([engine.Direction(*weights_of(features, units))], frozen=turns > 1)
        x, state = growth.random(batch, steps, features), growth.random(batch, units)

        def call() -> Any:
            states: Any = [(state, state)]
            for _ in range(turns):
                states = layer.run(x, initial_states=states).states
            return states

        return call

    def special(shape: Shape, recurrent: bool) -> study.Call:
        batch, steps, features, units = shape
        weights = weights_of(features, units)
        layer = engine.Layer([engine.Direction(*weights), engine.Direction(*weights, reverse=True)])
        kept = np.where(growth.random(4, batch, units) < 0.6, np.float32(1.25), np.float32(0))
        dropout = [engine.Dropout(None, kept)] * 2 if recurrent else None
        x, d_outputs = growth.random(batch, steps, features), growth.random(batch, steps, 2 * units)
        return lambda: engine.backprop(layer.run(x, dropout=dropout, record=True).tape, d_outputs)

    def call_of(case: Any) -> study.Call:
        if "turns" in case:
            return single_steps(Shape(*case["shape"]), case["turns"])
        return special(Shape(*case["shape"]), case["recurrent"]) if "recurrent" in case else build(Case.from_json(case))

    return call_of, {}


def with_step(threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """A single step of a stateful layer in Keras on JAX, compiled: states in, states out; or a loop of them."""
    os.environ["KERAS_BACKEND"] = "jax"
    import jax

    from bothways import layers

    engine.set_threads(threads)

    def build(case: Any) -> study.Call:
        batch, steps, features, units = case["shape"]
        layer = layers.LSTM(units, stateful=True)
        layer.build((batch, steps, features))
        x = jax.device_put(growth.random(batch, steps, features))
        weights, others = ([v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables))
        when_done: Any = jax.block_until_ready

        def loop(weights: Any, others: Any, x: Any) -> Any:
            def turn(_: Any, others: Any) -> Any:
                return layer.stateless_call(weights, others, x)[1]

            return jax.lax.fori_loop(0, case["turns"], turn, others)

        work = jax.jit(layer.stateless_call if case["turns"] == 1 else loop)
        return lambda: when_done(work(weights, others, x))

    return build, {"versions": study.versions("jax")}


PRODUCT = cells.PRODUCT + "avx2"
STARTS: Mapping[str, study.Start] = {
    "engine": with_engine,
    "step": with_step,
    "keras": growth.with_keras,
    "avx2": partial(cells.with_engine, "avx2"),
    PRODUCT: partial(cells.with_product, "avx2"),
}


def main() -> None:
    """Measure each, and print a row with its target."""
    options = study.options(__doc__, STARTS, seconds=8.0)
    targets = study.study(options)
    rows: list[list[str]] = []

    def row(what: str, times: dict[str, Any], value: float | None, target: float, least: bool) -> None:
        if value is None:
            return
        met = value >= target if least else value <= target
        targets.add(what=what, value=value, target=target, met=met, **times)
        wanted = f"at {'least' if least else 'most'} {target:g}"
        rows.append([what, f"{value:.2f}", wanted, ("met" if met else "short") + "*" * bool(times["disturbed"])])

    def pair(workers: Any, what: str, one: tuple[str, Any], other: tuple[str, Any], target: float) -> None:
        times = targets.times(workers, {"one": one, "other": other})
        row(what, times, study.quotient(times["ms"], "one", "other"), target, least=False)

    shape, step = (QUICK, QUICK) if options.quick else (SHAPE, STEP_SHAPE)
    with targets.workers(["avx2", PRODUCT], {PRODUCT: {"OPENBLAS_CORETYPE": cells.CORES["avx2"]}}) as workers:
        for case in (Case(shape, cell, mode) for cell in cells.CELLS for mode in MODES):
            times = targets.times(workers, {name: (name, case.to_json()) for name in workers})
            product = study.quotient(times["ms"], PRODUCT, "avx2")
            share = None if product is None else product * case.flops / (2 * SGEMM_SIZE**3)
            row(f"{case}: share of a product, AVX2", times, share, AVX2, least=True)
    with targets.workers(["engine"]) as workers:
        of = {"shape": shape, "recurrent": True}
        pair(workers, "recurrent dropout", ("engine", of), ("engine", of | {"recurrent": False}), DROPOUT_ENGINE)
        for mode in MODES:
            few, many = (Case(QUICK if options.quick else width, mode=mode) for width in WIDTHS)
            times = targets.times(workers, {"few": ("engine", few.to_json()), "many": ("engine", many.to_json())})
            gain = study.quotient(times["ms"], "few", "many")
            share = None if gain is None else gain * many.flops / few.flops
            row(f"H = 2048, {mode}: GF/s beside H = 512", times, share, WIDE, least=True)
    with targets.workers(["keras"]) as workers:
        both = ({"shape": shape, "options": growth.DROPOUTS[name]} for name in ("recurrent", "none"))
        dropped, kept = (("keras", case) for case in both)
        pair(workers, "recurrent dropout, Keras on JAX", dropped, kept, DROPOUT_KERAS)
    with targets.workers(["step", "engine"]) as workers:
        for turns, what in ((1, "single step"), (TURNS, "single steps in a compiled loop")):
            steps = {"shape": step, "turns": turns}
            pair(workers, f"{what}, Keras on JAX beside the engine", ("step", steps), ("engine", steps), STEP)
    targets.done([f"B,T,D,H = {shape}", "measured", "target", ""], rows)


if __name__ == "__main__":
    main()
