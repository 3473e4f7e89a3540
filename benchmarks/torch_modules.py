"""The modules of torch with and without `bothways.accelerate`, on padded batches and on packed sequences.

    python benchmarks/torch_modules.py --save torch.json

A bidirectional layer that gives every step, in the shapes of `bothways bench --shapes small`; lengths of packed
sequences are uniformly random from 1 to T, in no order. Training is the gradients of the input and of all weights, from
given gradients of the outputs. Both take turns, each in a process of its own. Takes about six minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import study

from bothways.bench.cases import MODES, SHAPES, Shape

CELLS = ("lstm", "gru")
FORMS = ("padded", "packed")
QUICK = (Shape(4, 6, 3, 8),)
TARGET = 3.0
"""How many times as fast as torch training on packed sequences shall be."""


def with_modules(accelerated: bool, threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """`torch.nn.LSTM` and `GRU`, as they are or accelerated."""
    import torch
    from torch.nn.utils import rnn

    import bothways

    torch.set_num_threads(threads)
    bothways.engine.set_threads(threads)
    layers = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}

    def build(case: Any) -> study.Call:
        batch, time, features, units = case["shape"]
        layer = layers[case["cell"]](features, units, bidirectional=True)
        if accelerated:
            bothways.accelerate(layer)
        x: Any = torch.from_numpy(random(time, batch, features))
        if case["form"] == "packed":
            lengths = np.random.default_rng(0).integers(1, time, size=batch, endpoint=True)
            x = rnn.pack_padded_sequence(x, torch.from_numpy(lengths), enforce_sorted=False)
        data = x.data if case["form"] == "packed" else x
        d_outputs = torch.from_numpy(random(*data.shape[:-1], 2 * units))

        def infer() -> Any:
            with torch.inference_mode():
                return layer(x)[0]

        def train() -> Any:
            data.grad = None
            layer.zero_grad(set_to_none=True)
            outputs = layer(x)[0]
            (outputs.data if case["form"] == "packed" else outputs).backward(d_outputs)
            return outputs

        data.requires_grad_(case["mode"] == "train")
        return train if case["mode"] == "train" else infer

    return build, {"versions": study.versions("torch")}


def random(*shape: int) -> npt.NDArray[np.float32]:
    """Numbers from -1 to 1, the same every time."""
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


STARTS: Mapping[str, study.Start] = {"torch": partial(with_modules, False), "accelerated": partial(with_modules, True)}


def main() -> None:
    """Measure each cell, form, mode and shape, and print a row for each."""
    options = study.options(__doc__, STARTS, seconds=10.0)
    modules = study.study(options)
    rows = []
    with modules.workers(STARTS) as workers:
        for cell, form, mode, shape in product(CELLS, FORMS, MODES, QUICK if options.quick else SHAPES["small"]):
            case = {"cell": cell, "form": form, "mode": mode, "shape": shape}
            times = modules.times(workers, {name: (name, case) for name in workers})
            ratio = study.quotient(times["ms"], "torch", "accelerated")
            if ratio is not None:
                target = TARGET if (form, mode) == ("packed", "train") else None
                modules.add(**case, **times, ratio=ratio, target=target)
                row = [f"{cell} {form} {mode} {shape}", *(study.ms(times["ms"][name]) for name in STARTS)]
                rows.append([*row, study.times_as(ratio)])
    modules.done(["B,T,D,H", *(f"{name}, ms" for name in STARTS), "ratio"], rows)


if __name__ == "__main__":
    main()
