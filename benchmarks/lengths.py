"""Sequences of different lengths: what a mask saves, against running all the padding.

    python benchmarks/lengths.py --save lengths.json

Lengths are uniform from 1 to T, rows in no order; half of all steps are padding. The engine runs the same batch without
a mask, with the padding on the right, on the left, and scattered among the steps. Beside it, if torch is installed: its
layer over the same batch padded, and packed (`pack_padded_sequence` with `enforce_sorted=False`, and back again, as one
uses it). Everyone takes turns. Takes about two minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import study

TARGET = 1.7
"""So many times as fast as the padded run we want the masked ones to be."""

SHAPES = ((32, 100, 64, 128), (64, 200, 64, 256))
QUICK = ((4, 6, 3, 8),)
MASKS = ("right", "left", "scattered")


def lengths_of(batch: int, time: int) -> npt.NDArray[np.int64]:
    """Lengths from 1 to `time`, spread evenly, in random order: the same every time."""
    return np.random.default_rng(0).permutation(np.linspace(1, time, batch).round().astype(np.int64))


def mask_of(batch: int, time: int, padding: str) -> npt.NDArray[np.bool_]:
    """True where a step counts, `(batch, time)`."""
    right = np.arange(time) < lengths_of(batch, time)[:, None]
    if padding == "left":
        return np.ascontiguousarray(right[:, ::-1])
    return np.random.default_rng(1).permuted(right, axis=1) if padding == "scattered" else right


def with_engine(threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """The engine through its NumPy face."""
    from bothways import engine
    from bothways.spec import cell_spec

    engine.set_threads(threads)

    def build(case: Any) -> study.Call:
        batch, time, features, units = case["shape"]
        shapes = cell_spec("lstm").weight_shapes(features=features, units=units)
        x, d_outputs = random(batch, time, features), random(batch, time, 2 * units)
        weights = {name: units**-0.5 * random(*shape) for name, shape in shapes.items()}
        both = [engine.Direction(**weights), engine.Direction(**weights, reverse=True)]
        mask = None if case["padding"] is None else mask_of(batch, time, case["padding"])

        def infer() -> Any:
            return engine.run(x, both, mask=mask).outputs

        def train() -> Any:
            result = engine.run(x, both, mask=mask, record=True)
            return engine.backprop(result.tape, d_outputs).x

        return train if case["mode"] == "train" else infer

    return build, {"instruction_set": engine.instruction_set()}


def with_torch(threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """`torch.nn.LSTM`, on packed sequences or on padded ones."""
    import torch
    from torch.nn.utils import rnn

    torch.set_num_threads(threads)

    def build(case: Any) -> study.Call:
        batch, time, features, units = case["shape"]
        layer = torch.nn.LSTM(features, units, bidirectional=True)
        x = torch.from_numpy(random(time, batch, features))
        d_outputs = torch.from_numpy(random(time, batch, 2 * units))
        lengths = torch.from_numpy(lengths_of(batch, time))

        def outputs() -> Any:
            if case["padding"] is None:
                return layer(x)[0]
            packed = layer(rnn.pack_padded_sequence(x, lengths, enforce_sorted=False))[0]
            return rnn.pad_packed_sequence(packed, total_length=time)[0]

        def infer() -> Any:
            with torch.inference_mode():
                return outputs()

        def train() -> Any:
            x.grad = None
            layer.zero_grad(set_to_none=True)
            result = outputs()
            result.backward(d_outputs)
            return result

        x.requires_grad_(case["mode"] == "train")
        return train if case["mode"] == "train" else infer

    return build, {"versions": study.versions("torch")}


def random(*shape: int) -> npt.NDArray[np.float32]:
    """Numbers from -1 to 1, the same every time."""
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


STARTS: Mapping[str, study.Start] = {"engine": with_engine, "torch": with_torch}


def main() -> None:
    """Measure each shape and mode, and print a row for each."""
    options = study.options(__doc__, STARTS, seconds=12.0)
    lengths = study.study(options)
    rows = []
    with lengths.workers(STARTS) as workers:
        for shape in QUICK if options.quick else SHAPES:
            for mode in ("infer", "train"):
                case: dict[str, Any] = {"shape": shape, "mode": mode}
                calls = {padding: ("engine", {**case, "padding": padding}) for padding in MASKS}
                calls["padded"] = ("engine", {**case, "padding": None})
                calls["torch padded"] = ("torch", {**case, "padding": None})
                calls["torch packed"] = ("torch", {**case, "padding": "right"})
                times = lengths.times(workers, calls)
                ratios = {padding: study.quotient(times["ms"], "padded", padding) for padding in MASKS}
                ratios["torch packed"] = study.quotient(times["ms"], "torch padded", "torch packed")
                if "padded" in times["ms"]:
                    counts = float(mask_of(*shape[:2], "right").mean())
                    lengths.add(**case, steps_that_count=counts, **times, ratios=ratios, target=TARGET)
                    of = (
                        study.ms(times["ms"].get(name)) for name in ("padded", *MASKS, "torch padded", "torch packed")
                    )
                    rows.append([f"{mode} {','.join(map(str, shape))}", *of, *map(study.times_as, ratios.values())])
    names = ["padded", *MASKS, "torch padded", "torch packed"]
    lengths.done(["LSTM, ms", *names, *(f"ratio {name}" for name in (*MASKS, "torch packed"))], rows)


if __name__ == "__main__":
    main()
