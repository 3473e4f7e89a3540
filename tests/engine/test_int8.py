"""int8 of the engine: against an oracle that takes the same codes, and what becomes of numbers that have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.engine import _native, reference
from bothways.engine.arguments import PRECISIONS
from bothways.engine.cells import Product
from bothways.errors import InputError
from bothways.spec import CELLS, cell_number
from engine_cases import THREADS, Array, Case, flat, make_case, rounded
from tolerances import ENGINE, INT8, INT8_CODES, error

SHAPES = [
    (1, 1, 1, (1, 1)),
    (2, 5, 3, (4, 4)),
    (7, 9, 1, (20, 20)),
    (13, 6, 17, (33, 33)),
    (5, 3, 300, (16,)),
    (61, 7, 2, (17, 17)),
    (4, 5, 40, (200,)),
]
WITH_FUNCTIONS = ["lstm/relu/hard_sigmoid", "gru_reset_before/sigmoid/sigmoid"]


class Int8Product(Product):
    """Weights by column, values by row."""

    def sums(self, values: Array) -> Array:
        return np.asarray(rounded(values, 1) @ rounded(self.weights, 0) + self.bias)


def outputs(x: Array, directions: list[engine.Direction]) -> Array:
    return np.asarray(engine.run(x, directions, precision="int8").outputs)


def everything(runner: Any, case: Case, **options: Any) -> list[Array]:
    return flat(runner.run(case.x, case.directions, **case.options, **options))


@pytest.mark.parametrize("cell", [*CELLS, *WITH_FUNCTIONS])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mask", [None, "random"])
def test_agrees_with_the_oracle(
    instruction_set: str, cell: str, shape: tuple[Any, ...], mask: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, time, features, units = shape
    case = make_case(batch, time, features, units, mask=mask, states=True, cells=(cell, cell))
    ours = everything(engine, case, precision="int8")
    for actual, exact in zip(ours, everything(reference, case), strict=True):
        assert error(actual, exact) < INT8
    monkeypatch.setattr(reference, "Product", Int8Product)
    for actual, expected in zip(ours, everything(reference, case), strict=True):
        assert error(actual, expected) < INT8_CODES


@pytest.mark.parametrize("merge_mode", ["sum", "mul", "ave", None])
def test_merges(merge_mode: str | None) -> None:
    case = make_case(5, 6, merge_mode=merge_mode)
    for actual, exact in zip(everything(engine, case, precision="int8"), everything(reference, case), strict=True):
        assert error(actual, exact) < INT8


@pytest.mark.parametrize("cell", CELLS)
def test_sums_are_the_same_on_every_instruction_set(cell: str) -> None:
    case = make_case(7, 1, 19, (21, 21), states=True, cells=(cell, cell))
    found = []
    for name in engine.instruction_sets():
        engine.set_instruction_set(name)
        found.append(outputs(case.x, case.directions))
    engine.set_instruction_set(engine.instruction_sets()[0])
    for other in found[1:]:
        assert error(other, found[0]) < ENGINE


@pytest.mark.parametrize("features", [1, 2, 7, 64, 301])
def test_sums_are_exact(instruction_set: str, features: int) -> None:
    """Whole numbers up to 127 are their own codes, so that outputs are sums of products, to the bit."""
    random = np.random.default_rng(features)
    x = random.integers(-127, 128, size=(13, 1, features)).astype(np.float32)
    kernel = random.integers(-127, 128, size=(features, 37)).astype(np.float32)
    x[:, :, 0], kernel[0] = 127, -127  # the scale of every row and column is 1
    x[0], x[1], kernel[:, 0], kernel[:, 1] = 127, -127, 127, -127  # the largest sums that there are
    direction = engine.Direction(kernel, np.zeros((37, 37)), cell="rnn/linear/sigmoid")
    np.testing.assert_array_equal(outputs(x, [direction])[:, 0], x[:, 0] @ kernel)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("batch", "time", "units"), [(9, 20, (53, 53)), (1, 31, (330,)), (3, 31, (260, 260))])
def test_the_same_bits_for_any_number_of_threads(
    instruction_set: str, cell: str, batch: int, time: int, units: tuple[int, ...]
) -> None:
    case = make_case(batch, time, 19, units, mask="random", cells=(cell, cell))
    before, found = engine.threads(), []
    for threads in THREADS:
        engine.set_threads(threads)
        for frozen in (False, True):
            layer = engine.Layer(case.directions, precision="int8", frozen=frozen)
            found.append(layer(case.x, **case.options).tobytes())
    engine.set_threads(before)
    assert len(set(found)) == 1


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_with_a_number_that_is_not_finite_is_nan_and_no_other(
    instruction_set: str, cell: str, bad: float
) -> None:
    case = make_case(3, 4, cells=(cell, cell), units=(6,))
    clean = outputs(case.x, case.directions)
    case.x[1, 2, 0] = bad
    spoiled = outputs(case.x, case.directions)
    assert np.isnan(spoiled[1, 2:]).all()
    np.testing.assert_array_equal(spoiled[[0, 2]], clean[[0, 2]])
    np.testing.assert_array_equal(spoiled[1, :2], clean[1, :2])


def test_a_weight_that_is_not_finite_shows_in_its_column(instruction_set: str) -> None:
    kernel = np.ones((2, 3))
    kernel[0, 1] = np.inf
    direction = engine.Direction(kernel, np.zeros((3, 3)), cell="rnn")
    found = outputs(np.ones((1, 1, 2)), [direction])
    assert np.isnan(found[0, 0]).tolist() == [False, True, False]


def test_zeros_and_numbers_of_any_size(instruction_set: str) -> None:
    def linear(x: Any, kernel: Any) -> list[float]:
        direction = engine.Direction(np.reshape(kernel, (-1, 1)), np.zeros((1, 1)), cell="rnn/linear/sigmoid")
        found: list[float] = outputs(np.array([[x]], np.float32), [direction]).ravel().tolist()
        return found

    assert linear([0, 0], [1, 1]) == [0]
    assert linear([1, 1], [0, 0]) == [0]
    assert linear([1e-38, 0], [1, 1]) == [0]
    assert linear([1e30, 1], [1, 1]) == pytest.approx([1e30])
    assert linear([1e-6, 0], [1e6, 1]) == pytest.approx([1])
    assert linear([3e38, 3e38], [1, 1]) == [np.inf]


@pytest.mark.parametrize("cell", ["rnn_relu", "rnn/linear/sigmoid"])
def test_a_state_that_overflows_never_becomes_a_number_again(instruction_set: str, cell: str) -> None:
    """Its row is NaN from the step after on, for all units."""
    direction = engine.Direction(np.ones((1, 3)), np.full((3, 3), 1e20), cell=cell)
    finite = np.isfinite(outputs(np.ones((2, 6, 1)), [direction]))
    assert finite.all(axis=(0, 2)).tolist() == [True, True, False, False, False, False]
    assert not finite[:, 2:].any()


def test_it_is_refused_for_training() -> None:
    case = make_case()
    layer = engine.Layer(case.directions, precision="int8")
    with pytest.raises(InputError, match="int8 is for inference"):
        layer.run(case.x, record=True)
    dropout = make_case(dropout="both")
    with pytest.raises(InputError, match="int8 is for inference"):
        layer.run(dropout.x, **dropout.options)
    with pytest.raises(ValueError, match="int8 has no backward pass"):
        _native.residual_floats(cell_number("lstm"), 1, 1, 1, 1, PRECISIONS["int8"])
