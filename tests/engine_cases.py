"""Calls of the engine for the tests: any shape, any mask, filled from a seed; and the oracle's word on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bothways import engine
from bothways.spec import cell_spec
from tolerances import ENGINE, error

Array = npt.NDArray[Any]

THREADS = (1, 2, 3, 4, 8, 16)

MASKS = (None, "random", "right", "left", "all", "holes")

DROPOUTS = ("x", "h", "both", "same x", "same x, h")
"""Of what, by gate; "same": with one factor for all gates."""


class Case(NamedTuple):
    """Arguments for `engine.run`."""

    x: Array
    directions: list[engine.Direction]
    options: dict[str, Any]


def make_case(
    batch: int = 3,
    time: int = 5,
    features: int = 4,
    units: tuple[int, ...] = (6, 6),
    *,
    mask: str | None = None,
    states: bool = False,
    bias: bool = True,
    cells: tuple[str, ...] = ("lstm", "lstm"),
    dropout: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Case:
    """Random input and weights, small enough that gates stay off their limits.

    `mask` is None, "random", "right" or "left" padding, "all" (every step masked) or "holes". `dropout` is None, or
    one of `DROPOUTS`.
    """
    random = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 0.4) -> Array:
        return random.normal(size=shape, scale=scale)

    def direction(width: int, cell: str, reverse: bool) -> engine.Direction:
        shapes = cell_spec(cell).weight_shapes(features, width)
        return engine.Direction(
            normal(*shapes["kernel"], scale=0.4 / np.sqrt(max(features, 1))),
            normal(*shapes["recurrent_kernel"], scale=0.4 / np.sqrt(width)),
            normal(*shapes["bias"]) if bias else None,
            reverse=reverse,
            initial_state=tuple(normal(batch, width) for _ in cell_spec(cell).states) if states else None,
            cell=cell,
        )

    directions = [direction(width, cells[i], reverse=i == 1) for i, width in enumerate(units)]
    steps = np.arange(time)
    lengths = random.integers(0, time + 1, size=(batch, 1))
    masks = {
        "random": random.random((batch, time)) < 0.6,
        "right": steps < lengths,
        "left": steps >= lengths,
        "all": np.zeros((batch, time), np.bool_),
        "holes": np.broadcast_to(steps % 3 != 1, (batch, time)),
    }
    if dropout is not None:

        def factors(cell: str, width: int, same: bool = False) -> Array:
            gates = 1 if same else len(cell_spec(cell).gates)
            return (random.random((gates, batch, width)) < 0.7) / 0.7

        options["dropout"] = [
            engine.Dropout(
                factors(cell, features, same="same" in dropout) if dropout != "h" else None,
                factors(cell, width) if dropout in ("h", "both", "same x, h") else None,
            )
            for cell, width in zip(cells, units, strict=False)
        ]
    if mask is not None:
        options["mask"] = masks[mask]
    return Case(normal(batch, time, features, scale=1.0), directions, options)


def strided(array: Array, step: int) -> Array:
    """The same values, `step` apart on every axis, with NaN (True in a mask) in between."""
    memory = np.full([abs(step) * n for n in array.shape], np.nan, array.dtype)
    view = memory[(slice(None, None, step),) * array.ndim]
    view[...] = array
    return view


def read_only(array: Array) -> Array:
    array = array.copy()
    array.setflags(write=False)
    return array


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "dense": np.array,
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "every second": lambda array: strided(array, 2),
    "backwards": lambda array: strided(array, -1),
    "every third, backwards": lambda array: strided(array, -3),
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
}


def laid_out(case: Case, layout: str, dtype: str = "f8") -> Case:
    """The same call with every array in other memory."""

    def lay(array: Array | None) -> Any:
        return None if array is None else LAYOUTS[layout](array.astype(dtype))

    directions = [
        replace(
            d,
            kernel=lay(d.kernel),
            recurrent_kernel=lay(d.recurrent_kernel),
            bias=lay(d.bias),
            initial_state=d.initial_state and tuple(map(lay, d.initial_state)),
        )
        for d in case.directions
    ]
    mask = case.options.get("mask")
    return Case(lay(case.x), directions, case.options | {"mask": None if mask is None else LAYOUTS[layout](mask)})


def everything(runner: Any, case: Case, seed: int = 1, lay: Callable[[Array], Array] = np.asarray) -> list[Array]:
    """All that a run and its backward pass give; `runner` is `engine` or the oracle, `lay` places the gradients."""
    random = np.random.default_rng(seed)

    def like(array: Array) -> Array:
        return lay(random.normal(size=array.shape))

    result = runner.run(case.x, case.directions, record=True, **case.options)
    pair = isinstance(result.outputs, tuple)
    d_outputs = tuple(map(like, result.outputs)) if pair else like(result.outputs)
    d_states = [tuple(map(like, states)) for states in result.states]
    return [*flat(result), *flat(runner.backprop(result.tape, d_outputs, d_states))]


def flat(result: Any) -> list[Array]:
    """The arrays of a result or of gradients, in order."""
    if isinstance(result, np.ndarray):
        return [result]
    if isinstance(result, engine.Result):
        result = result[:2]
    return [array for part in result for array in flat(part)]


def assert_agrees(case: Case, tolerance: float = ENGINE, **options: Any) -> None:
    """The engine, with `options` of its own, gives what the oracle gives, forward and backward."""
    ours = case._replace(options=case.options | options)
    for actual, expected in zip(everything(engine, ours), everything(engine.reference, case), strict=True):
        assert error(actual, expected) < tolerance


def rounded(values: Array, axis: int) -> Array:
    """Values as whole numbers from -127 to 127 times the scale of their axis."""
    scale = np.abs(values).max(axis=axis, keepdims=True, initial=0) / 127
    codes: Array = np.round(np.divide(values, scale, out=np.zeros_like(values), where=scale > 0))
    return np.asarray(codes * scale)
