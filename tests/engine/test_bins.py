"""Numbers that enter through bins: against the same layer that reads a value for each bin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.engine import _native, reference
from bothways.engine.arguments import PRECISIONS
from bothways.engine.cells import Product
from bothways.errors import InputError
from bothways.runtime.numbers import piecewise
from bothways.spec import CELLS
from engine_cases import THREADS, Array, make_case, rounded
from tolerances import ENGINE, INT8, INT8_CODES, error

WIDTHS = [(1, 1, 0), (4, 8, 0), (16, 8, 3), (19, 3, 5)]
"""How many numbers, bins of each, and other inputs."""


def make_bins(numbers: int, count: int) -> engine.Bins:
    """Bins of many widths; of the first number fewer."""
    edges = np.random.default_rng(0).uniform(0.05, 1, (numbers, count + 1)).cumsum(1) - count / 4
    slopes = 2 / np.diff(edges)
    slopes[0, 1 + count // 2 :] = 0
    return engine.Bins(((edges[:, 1:] + edges[:, :-1]) / 2).astype(np.float32), slopes.astype(np.float32))


def make_layer(
    width: tuple[int, int, int] = (4, 8, 2), batch: int = 5, time: int = 7, precision: str = "float32", **options: Any
) -> tuple[engine.Layer, Array, Array | None, Array]:
    """A layer, numbers at edges, between them and beyond, their mask, and what the oracle makes of values of bins."""
    numbers, count, others = width
    bins = make_bins(numbers, count)
    case = make_case(batch, time, numbers * count + others, **options)
    x = np.random.default_rng(1).normal(0, 3, (batch, time, numbers + others)).astype(np.float32)
    x[0, 0, :numbers] = bins.centers[:, 0] - 1 / bins.slopes[:, 0]
    x[-1, -1, :numbers] = 1e30
    values = np.concatenate([piecewise(x[..., :numbers], *bins), x[..., numbers:]], axis=-1)
    mask = case.options.get("mask")
    expected = np.asarray(reference.run(values, case.directions, mask=mask).outputs)
    return engine.Layer(case.directions, precision=precision, frozen=True, bins=bins), x, mask, expected


@pytest.mark.parametrize("cell", [*CELLS, "lstm/relu/hard_sigmoid"])
@pytest.mark.parametrize("width", WIDTHS, ids=str)
def test_agrees_with_values_of_bins(instruction_set: str, cell: str, width: tuple[int, int, int]) -> None:
    for units in ((1, 1), (20, 20), (64,)):
        for batch in (1, 5, 13):
            layer, x, mask, expected = make_layer(width, batch, units=units, cells=(cell, cell), mask="random")
            assert error(layer(x, mask), expected) < ENGINE


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("width", WIDTHS, ids=str)
def test_in_int8_numbers_and_their_weights_are_not_rounded(
    instruction_set: str, cell: str, width: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_bins = width[0] * width[1]

    class Int8Product(Product):
        def sums(self, values: Array) -> Array:
            exact = 0 if len(self.weights) == 21 else of_bins  # of h, or of x
            numbers = values[:, :exact] @ self.weights[:exact]
            others = rounded(values[:, exact:], 1) @ rounded(self.weights[exact:], 0)
            return np.asarray(numbers + others + self.bias)

    def make() -> tuple[engine.Layer, Array, Array | None, Array]:
        return make_layer(width, 13, precision="int8", units=(21, 21), cells=(cell, cell), mask="random")

    layer, x, mask, exact = make()
    assert error(layer(x, mask), exact) < INT8
    monkeypatch.setattr(reference, "Product", Int8Product)
    *_, expected = make()
    assert error(layer(x, mask), expected) < INT8_CODES


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_same_bits_for_any_threads_and_for_a_row_alone(instruction_set: str, precision: str) -> None:
    for batch, units in ((29, (20, 20)), (1, (330,)), (6, (260, 260))):
        layer, x, mask, _ = make_layer(batch=batch, time=23, precision=precision, units=units, mask="random")
        assert mask is not None
        before, found = engine.threads(), []
        for threads in THREADS:
            engine.set_threads(threads)
            found.append(layer(x, mask).tobytes())
        engine.set_threads(before)
        assert len(set(found)) == 1
        assert layer(x[:1], mask[:1]).tobytes() == layer(x, mask)[:1].tobytes()


@pytest.mark.parametrize(("precision", "most"), [("float32", ENGINE), ("int8", INT8)])
def test_weights_are_laid_out_again_for_another_instruction_set(precision: str, most: float) -> None:
    layer, x, mask, expected = make_layer(precision=precision)
    for name in engine.instruction_sets():
        engine.set_instruction_set(name)
        assert error(layer(x, mask), expected) < most
    engine.set_instruction_set(engine.instruction_sets()[0])


def test_what_is_packed_of_the_same_rows_without_bins_is_no_use(instruction_set: str) -> None:
    (direction,) = make_case(features=6, units=(4,)).directions
    weights = [
        (0, *(np.float32(each) for each in (direction.kernel, direction.recurrent_kernel, direction.bias)), False)
    ]
    bins = make_bins(1, 5).packed
    _native.Weights(weights, False, PRECISIONS["int8"]).outputs(np.ones((1, 2, 6), np.float32), None, None)
    kept, frozen = (_native.Weights(weights, False, PRECISIONS["int8"], bins) for _ in range(2))
    frozen.freeze()
    x = np.ones((1, 2, 1), np.float32)
    np.testing.assert_array_equal(kept.outputs(x, None, None), frozen.outputs(x, None, None))


def test_nan_stays_in_its_row(instruction_set: str) -> None:
    layer, x, _, expected = make_layer(units=(8,))
    x[2, 3, 1] = np.nan
    outputs = layer(x)
    assert np.isnan(outputs[2, 3:]).all()
    assert np.isfinite(outputs[2, :3]).all()
    assert error(np.delete(outputs, 2, axis=0), np.delete(expected, 2, axis=0)) < ENGINE


def test_infinite_numbers_are_beyond_all_bins(instruction_set: str) -> None:
    layer, x, _, _ = make_layer()
    x[1, :, :4], x[3, :, :4] = np.inf, -np.inf
    outputs = layer(x)
    x[1, :, :4], x[3, :, :4] = 1e6, -1e6
    np.testing.assert_array_equal(outputs, layer(x))


def test_bins_with_gaps_between_them(instruction_set: str) -> None:
    bins, case = make_bins(3, 4), make_case(9, 11, 12)
    bins.centers[1] += [-1, 0, 2, 5]
    x = np.random.default_rng(0).normal(0, 4, (9, 11, 3)).astype(np.float32)
    expected = engine.Layer(case.directions)(piecewise(x, *bins))
    assert error(engine.Layer(case.directions, frozen=True, bins=bins)(x), expected) < ENGINE


def test_bins_that_are_not_in_order() -> None:
    bins = make_bins(3, 4)
    assert bins.in_order
    overlapping, unused, falling = (engine.Bins(bins.centers.copy(), bins.slopes.copy()) for _ in range(3))
    overlapping.centers[1, 2] += 0.01
    unused.slopes[1, 1] = 0
    falling.slopes[1, 1] *= -1
    directions = make_case(features=12).directions
    for wrong in (overlapping, unused, falling):
        assert not wrong.in_order
        with pytest.raises(InputError, match="none begins before the one before it ends"):
            engine.Layer(directions, frozen=True, bins=wrong)


def test_what_does_not_fit() -> None:
    directions, bins = make_case(features=12).directions, make_bins(3, 4)
    for frozen, precision in ((False, "float32"), (False, "int8"), (True, "bfloat16")):
        with pytest.raises(InputError, match="made with frozen=True, and not in bfloat16"):
            engine.Layer(directions, frozen=frozen, precision=precision, bins=bins)
    for wrong in (make_bins(4, 4), engine.Bins(bins.centers[0], bins.slopes[0]), bins._replace(slopes=bins.slopes.T)):
        with pytest.raises(InputError, match=r"both must be \(numbers, bins\)"):
            engine.Layer(directions, frozen=True, bins=wrong)
    none: Any = engine.Bins(np.zeros((0, 4)), np.zeros((0, 4)))
    pair: Any = tuple(bins)
    text: Any = engine.Bins(bins.centers, np.array([["wide"]]))
    for some, message in ((none, "neither 0"), (pair, "give Bins"), (text, r"bins\.slopes has dtype")):
        with pytest.raises(InputError, match=message):
            engine.Layer(directions, frozen=True, bins=some)
    lists: Any = engine.Bins(bins.centers.tolist(), bins.slopes.tolist())
    x = np.ones((2, 5, 3), np.float32)
    layer = engine.Layer(directions, frozen=True, bins=bins)
    np.testing.assert_array_equal(engine.Layer(directions, frozen=True, bins=lists)(x), layer(x))
    with pytest.raises(InputError, match="with its bins this layer reads 3 inputs a step"):
        layer(np.zeros((2, 5, 12)))
    case = make_case(features=12, dropout="x")
    with pytest.raises(InputError, match="no dropout"):
        layer.run(case.x[..., :3], dropout=case.options["dropout"])


@pytest.mark.parametrize("shape", [(2, 4), (1, 4, 3), (2, 0, 3), (2, 4, 0), (2, 4, 9), (2, 1 << 40, 0)], ids=str)
def test_no_bins_reach_beyond_the_weights(shape: tuple[int, ...]) -> None:
    (direction,) = make_case(features=15, units=(4,)).directions
    weights = [np.float32(each) for each in (direction.kernel, direction.recurrent_kernel, direction.bias)]
    with pytest.raises(ValueError, match="bins"):
        _native.Weights([(0, *weights, False)], False, 0, np.zeros(shape, np.float32))
