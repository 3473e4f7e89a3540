"""The handlers themselves, called by XLA around `layers/ops/jax.py`: a program that does not fit gets an error."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bothways import engine
from bothways.engine import _native
from bothways.layers.ops import jax as ops
from bothways.spec import CELLS, cell_number

Shape = tuple[int, ...]
BATCH, TIME, FEATURES, UNITS = 3, 4, 16, 16  # residuals have as many floats for every instruction set
TARGETS = dict(zip(("digest", "forward", "backward"), ops.CUSTOM_CALLS, strict=True))
DIGEST = (4,)
RESIDUALS = (_native.residual_floats(cell_number("lstm"), BATCH, TIME, FEATURES, UNITS),)


class Program(NamedTuple):
    """A call of a handler: shapes of operands and results, float32 but for masks, residuals and digests; attributes."""

    target: str
    operands: list[Shape]
    results: list[Shape]
    attributes: dict[str, Any]
    wrong_dtype: tuple[str, int, str] | None = None  # kind, index, dtype

    def run(self) -> list[Any]:
        def dtype(kind: str, i: int) -> Any:
            if self.wrong_dtype is not None and self.wrong_dtype[:2] == (kind, i):
                return self.wrong_dtype[2]
            shape = (self.operands if kind == "operand" else self.results)[i]
            return "bool" if (kind, i) == ("operand", 1) else "uint32" if shape in (RESIDUALS, DIGEST) else "float32"

        def operand(i: int, shape: Shape) -> Any:
            if shape == RESIDUALS and dtype("operand", i) == "uint32":
                return residuals()
            return jnp.zeros(shape, dtype("operand", i))

        operands = [operand(i, shape) for i, shape in enumerate(self.operands)]
        shaped: Any = jax.ShapeDtypeStruct
        results = [shaped(shape, dtype("result", i)) for i, shape in enumerate(self.results)]
        return [np.asarray(each) for each in jax.ffi.ffi_call(self.target, results)(*operands, **self.attributes)]


def program(target: str, directions: int = 2) -> Program:
    """One that fits: LSTMs with a mask."""
    assert ops.why_not() is None
    states: list[Shape] = [(BATCH, UNITS)] * len(CELLS["lstm"].states)
    operands: list[Shape]
    results: list[Shape]
    weights = list(CELLS["lstm"].weight_shapes(FEATURES, UNITS).values())
    x, outputs = (BATCH, TIME, FEATURES), (BATCH, TIME, directions * UNITS)
    attributes: dict[str, Any] = {"masked": True, "zero_output_for_mask": False, "sequences": True}
    attributes |= {
        "precision": np.int64(0),
        "cells": [cell_number("lstm")],
        "units": [UNITS],
        "reverse": [0],
        "dropouts": [0],
    }
    names = ("cells", "units", "reverse", "dropouts")
    attributes |= {name: np.asarray(attributes[name] * directions) for name in names}
    if target == "forward":
        operands, results = [x, x[:2]], [outputs]
        operands += [*weights, *states, DIGEST] * directions
        results += [*states, RESIDUALS] * directions
        return Program(
            TARGETS["forward"], operands, results, attributes | {"with_residuals": True, "with_digests": True}
        )
    operands, results = [x, x[:2], outputs], [x]
    operands += [*weights[:2], RESIDUALS, *states] * directions
    results += [RESIDUALS, *weights, *states] * directions
    return Program(TARGETS["backward"], operands, results, attributes | {"wants_d_x": True})


def residuals() -> Any:
    """What a forward pass leaves for one direction."""
    return program("forward", directions=1).run()[-1]


@pytest.fixture(params=["forward", "backward"])
def right(request: pytest.FixtureRequest) -> Program:
    return program(request.param)


def assert_refused(wrong: Program) -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"bothways: |Wrong (number|attribute|buffer)"):
        wrong.run()


@pytest.mark.parametrize("target", ["forward", "backward"])
@pytest.mark.parametrize("directions", [1, 2])
def test_programs_that_fit_run(target: str, directions: int) -> None:
    assert all(np.isfinite(each).all() for each in program(target, directions).run()[:1])


def test_residuals_of_another_instruction_set_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    before = engine.instruction_set()
    try:
        engine.set_instruction_set("base")
        left = residuals()
        engine.set_instruction_set(engine.instruction_sets()[0])
        monkeypatch.setitem(globals(), "residuals", lambda: left)
        with pytest.raises((jax.errors.JaxRuntimeError, ValueError), match="another instruction set"):
            program("backward").run()
    finally:
        engine.set_instruction_set(before)


@pytest.mark.parametrize("kind", ["operand", "result"])
@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_sizes_are_refused(right: Program, kind: str, change: int) -> None:
    shapes = right.operands if kind == "operand" else right.results
    for i, shape in enumerate(shapes):
        others = [*shapes[:i], (*shape[:-1], shape[-1] + change), *shapes[i + 1 :]]
        assert_refused(right._replace(operands=others) if kind == "operand" else right._replace(results=others))


@pytest.mark.parametrize("dtype", ["float16", "bool"])
@pytest.mark.parametrize("kind", ["operand", "result"])
def test_wrong_types_are_refused(right: Program, kind: str, dtype: str) -> None:
    for i in range(len(right.operands if kind == "operand" else right.results)):
        if (kind, i, dtype) != ("operand", 1, "bool"):
            assert_refused(right._replace(wrong_dtype=(kind, i, dtype)))


def test_operands_and_results_too_many_are_refused(right: Program) -> None:
    assert_refused(right._replace(operands=[*right.operands, (1,)]))
    assert_refused(right._replace(results=[*right.results, (1,)]))


def test_missing_operands_and_results_are_refused(right: Program) -> None:
    for count in range(len(right.operands)):
        assert_refused(right._replace(operands=right.operands[:count]))
    for count in range(1, len(right.results)):  # XLA leaves out a call without results
        assert_refused(right._replace(results=right.results[:count]))


@pytest.mark.parametrize(
    "change",
    [
        {"cells": []},
        {"cells": [0]},
        {"cells": [0, len(CELLS)]},
        {"cells": [0, -1]},
        {"cells": [0, 2**40]},
        {"units": []},
        {"units": [UNITS] * 3},
        {"units": [UNITS, 0]},
        {"units": [UNITS, -UNITS]},
        {"units": [UNITS, UNITS + 1]},
        {"units": [UNITS, 2**40]},
        {"units": [UNITS, 2**62]},
        {"reverse": [0]},
        {"masked": False},
        {"sequences": False},
        {"sequences": "yes"},
    ],
    ids=str,
)
def test_wrong_attributes_are_refused(right: Program, change: dict[str, Any]) -> None:
    change = {k: np.asarray(v, np.int64) if isinstance(v, list) else v for k, v in change.items()}
    assert_refused(right._replace(attributes=right.attributes | change))


def test_missing_attributes_are_refused(right: Program) -> None:
    for name in right.attributes:
        assert_refused(right._replace(attributes={k: v for k, v in right.attributes.items() if k != name}))
