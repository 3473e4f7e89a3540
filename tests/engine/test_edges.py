"""The edges of what the engine takes: empty axes, odd widths, extreme values, memory of any layout."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways import engine
from bothways.engine import _native
from bothways.spec import CELLS, cell_number
from engine_cases import LAYOUTS, MASKS, Array, Case, assert_agrees, everything, flat, laid_out, make_case
from tolerances import ENGINE, error

# batch, time, features, units: an axis of none or one, units beside the widths of vectors, one feature and many.
SHAPES = [
    (0, 5, 3, (4, 4)),
    (3, 0, 3, (5, 5)),
    (0, 0, 3, (5, 5)),
    (3, 4, 0, (5, 5)),
    (1, 1, 1, (1, 1)),
    (1, 4, 1, (7, 7)),
    (2, 1, 1000, (33, 17)),
    (5, 3, 2, (17, 1)),
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_edge_shapes_agree_with_the_oracle(instruction_set: str, cell: str, shape: tuple[Any, ...]) -> None:
    for mask in MASKS:
        assert_agrees(make_case(*shape, mask=mask, states=True, cells=(cell, cell)))


# ---------------------------------------------------------------- values


def single_product_case(cell: str, scale: float) -> Case:
    """One feature, nought or large: no large numbers that cancel, for which float32 would be to blame."""
    case = make_case(5, 4, 1, (7, 7), mask="random", states=True, cells=(cell, cell))
    return case._replace(x=np.round(case.x) * scale)


@pytest.mark.parametrize("scale", [1e3, 1e30])
@pytest.mark.parametrize("cell", CELLS)
def test_very_large_sums_agree_with_the_oracle(instruction_set: str, cell: str, scale: float) -> None:
    case = single_product_case(cell, scale)
    kernels = {d.kernel.shape for d in case.directions}  # the shapes of no other arrays; their gradients are sums of x
    for actual, expected in zip(everything(engine, case), everything(engine.reference, case), strict=True):
        unit = scale if actual.shape in kernels else 1.0
        assert error(actual / unit, expected / unit) < ENGINE


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("cell", CELLS)
def test_infinite_inputs_give_what_the_oracle_gives(instruction_set: str, cell: str, value: float) -> None:
    case = make_case(9, 4, 2, (5, 5), cells=(cell, cell))
    case.x[3, 1, 0] = value
    with np.errstate(invalid="ignore"):
        expected = flat(engine.reference.run(case.x, case.directions))
    for actual, each in zip(flat(engine.run(case.x, case.directions)), expected, strict=True):
        np.testing.assert_allclose(actual, each, rtol=ENGINE, atol=ENGINE)


@pytest.mark.parametrize("where", ["x", "state"])
@pytest.mark.parametrize("cell", CELLS)
def test_nan_stays_in_its_row_forward_and_backward(instruction_set: str, cell: str, where: str) -> None:
    case = make_case(9, 4, 2, (5, 5), states=True, cells=(cell, cell))
    clean = rows_of(case)
    states = case.directions[0].initial_state
    assert states is not None
    (case.x[3, 1] if where == "x" else states[-1][3])[...] = np.nan
    touched = rows_of(case)
    assert any(np.isnan(array[3]).any() for array in touched)
    for before, after in zip(clean, touched, strict=True):
        np.testing.assert_array_equal(np.delete(after, 3, axis=0), np.delete(before, 3, axis=0))


def rows_of(case: Case) -> list[Array]:
    """What a run and its backward pass give for each row."""
    result = engine.run(case.x, case.directions, record=True)
    gradients = engine.backprop(result.tape, np.ones_like(result.outputs))
    return [*flat(result), gradients.x, *flat([d.initial_state for d in gradients.directions])]


@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e38])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_masked_is_never_read(instruction_set: str, cell: str, junk: float) -> None:
    case = make_case(7, 6, 3, (9, 9), mask="random", states=True, cells=(cell, cell))
    masked = ~case.options["mask"]
    case.x[masked] = 0
    expected = everything(engine, case)
    case.x[masked] = junk
    for actual, each in zip(everything(engine, case), expected, strict=True):
        np.testing.assert_array_equal(actual, each)


def test_denormal_numbers_are_kept(instruction_set: str) -> None:
    """Through a cell that hands on what it gets: relu(1 x + 0 h)."""
    x = np.float32(2.0**-149) * np.arange(1, 13, dtype=np.float32).reshape(2, 6, 1)
    direction = engine.Direction(np.ones((1, 1)), np.zeros((1, 1)), cell="rnn_relu")
    result = engine.run(x, [direction], record=True)
    np.testing.assert_array_equal(result.outputs, x)
    np.testing.assert_array_equal(engine.backprop(result.tape, x).x, x)


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer takes all addresses")
@pytest.mark.parametrize("sides", [1, 2])
def test_too_little_memory_is_an_error(sides: int) -> None:
    code = f"""
import resource
import numpy as np
from bothways import engine

direction = engine.Direction(np.ones((1, 4)), np.ones((1, 4)))
engine.run(np.zeros((64, 64, 1)), [direction] * {sides})  # with its threads
x = np.zeros((2**24, 0, 1), np.float32)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
try:
    engine.run(x, [direction] * {sides})
except MemoryError:
    print("MemoryError")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["MemoryError"], done.stderr


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_bits(layout: str, dtype: str) -> None:
    case = make_case(6, 8, 4, (5, 5), mask="random", states=True, cells=("lstm", "gru"))
    other = everything(engine, laid_out(case, layout, dtype), lay=LAYOUTS[layout])
    for actual, expected in zip(other, everything(engine, case), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("axis", [0, 1])
def test_masks_and_inputs_may_repeat_without_memory(instruction_set: str, axis: int) -> None:
    case = make_case(6, 8, 4, (5, 5), mask="random")
    one = (slice(0, 1), slice(None)) if axis == 0 else (slice(None), slice(0, 1))
    for x, mask in (
        (np.broadcast_to(case.x[one], case.x.shape), case.options["mask"]),
        (case.x, np.broadcast_to(case.options["mask"][one], (6, 8))),
        (np.broadcast_to(np.float32(0.5), case.x.shape), np.broadcast_to(np.True_, (6, 8))),
    ):
        assert_agrees(Case(x, case.directions, {"mask": mask}))


@settings(max_examples=150)
@given(data=st.data())
def test_any_shape_mask_and_layout_agrees_with_the_oracle(data: st.DataObject) -> None:
    sides = data.draw(st.sampled_from([1, 2]), "directions")
    units = data.draw(st.tuples(*[st.integers(1, 40)] * sides), "units")
    case = make_case(
        data.draw(st.integers(0, 20), "batch"),
        data.draw(st.integers(0, 12), "time"),
        data.draw(st.integers(0, 20), "features"),
        units,
        mask=data.draw(st.sampled_from(MASKS), "mask"),
        states=data.draw(st.booleans(), "states"),
        bias=data.draw(st.booleans(), "bias"),
        cells=data.draw(st.tuples(*[st.sampled_from(sorted(CELLS))] * sides), "cells"),
        seed=data.draw(st.integers(0, 100), "seed"),
        zero_output_for_mask=data.draw(st.booleans(), "zero"),
        merge_mode=data.draw(st.sampled_from(["concat", None]), "merge_mode"),
    )
    layout = data.draw(st.sampled_from(sorted(LAYOUTS)), "layout")
    before = engine.instruction_set()
    engine.set_instruction_set(data.draw(st.sampled_from(engine.instruction_sets()), "instruction set"))
    try:
        actual = everything(engine, laid_out(case, layout), lay=LAYOUTS[layout])
    finally:
        engine.set_instruction_set(before)
    for each, expected in zip(actual, everything(engine.reference, case), strict=True):
        assert error(each, expected) < ENGINE


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFFFFFFF, 0x7F800001])
@pytest.mark.parametrize("cell", CELLS)
def test_nan_of_any_bits_stays_nan(instruction_set: str, cell: str, bits: int) -> None:
    case = make_case(2, 3, 4, (5,), cells=(cell,))
    nan = np.array([bits], np.uint32).view(np.float32)
    for gate in range(len(CELLS[cell].gates)):
        bias = np.zeros(CELLS[cell].weight_shapes(4, 5)["bias"], np.float32)
        bias[..., 5 * gate] = nan
        found = engine.run(case.x, [replace(case.directions[0], bias=bias)]).outputs
        assert isinstance(found, np.ndarray)
        assert np.isnan(found[:, 1:, 0]).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("gates", [(4, 0), (0, 4), (4, 4)])
def test_dropout_by_gate_keeps_no_more_for_the_backward_pass(cell: str, gates: tuple[int, int]) -> None:
    """More than 32 MB would be memory that the C library gets anew for each call."""
    shape = cell_number(cell), 32, 100, 64, 128
    assert _native.residual_floats(*shape, 0, *gates) <= _native.residual_floats(*shape)
