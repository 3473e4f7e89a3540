"""The oracle itself: against finite differences, and against what a cell is by definition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.engine import memory, reference
from engine_cases import DROPOUTS, MASKS, Array, Case, make_case
from tolerances import DIFFERENCES, error


def loss_weights(result: Any, seed: int = 1) -> tuple[Any, Any]:
    """Random gradients of the outputs and the final states."""
    random = np.random.default_rng(seed)
    outputs = result.outputs
    if isinstance(outputs, tuple):
        d_outputs: Any = tuple(random.normal(size=o.shape) for o in outputs)
    else:
        d_outputs = random.normal(size=outputs.shape)
    return d_outputs, [tuple(random.normal(size=s.shape) for s in states) for states in result.states]


def loss(case: Case, d_outputs: Any, d_states: Any) -> float:
    result = reference.run(case.x, case.directions, **case.options)
    pairs = list(zip(result.outputs, d_outputs, strict=True)) if isinstance(d_outputs, tuple) else []
    pairs = pairs or [(result.outputs, d_outputs)]
    for states, gradients in zip(result.states, d_states, strict=True):
        pairs += zip(states, gradients, strict=True)
    return float(sum((value * weight).sum() for value, weight in pairs))


def differences(case: Case, array: Array, d_outputs: Any, d_states: Any, step: float = 1e-6) -> Array:
    """Central differences of the loss over every element of `array`, which is changed in place and restored."""
    result = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        before = array[index]
        array[index] = before + step
        above = loss(case, d_outputs, d_states)
        array[index] = before - step
        below = loss(case, d_outputs, d_states)
        array[index] = before
        result[index] = (above - below) / (2 * step)
    return result


CELL_PAIRS = [("lstm", "lstm"), ("gru", "gru"), ("rnn", "rnn_relu"), ("gru_reset_before", "gru_reset_before")]
CELL_PAIRS += [
    ("lstm/relu/hard_sigmoid", "lstm/sigmoid/linear"),
    ("gru/linear/hard_sigmoid", "gru/hard_sigmoid/relu"),
    ("gru_reset_before/relu/tanh", "rnn/sigmoid/sigmoid"),
]


@pytest.mark.parametrize("cells", CELL_PAIRS, ids="-".join)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize(("mask", "zero"), [(None, False), ("random", False), ("random", True)])
def test_gradients_agree_with_finite_differences(
    cells: tuple[str, str], merge_mode: str | None, mask: str | None, zero: bool
) -> None:
    options: dict[str, Any] = {"merge_mode": merge_mode, "zero_output_for_mask": zero}
    assert_gradients_agree(make_case(2, 4, 2, (3, 3), mask=mask, states=True, cells=cells, seed=3, **options))


@pytest.mark.parametrize("cells", CELL_PAIRS, ids="-".join)
@pytest.mark.parametrize("dropout", DROPOUTS)
def test_gradients_with_dropout_agree_with_finite_differences(cells: tuple[str, str], dropout: str) -> None:
    assert_gradients_agree(make_case(2, 4, 2, (3, 3), mask="random", states=True, cells=cells, seed=3, dropout=dropout))


def assert_gradients_agree(case: Case) -> None:
    result = reference.run(case.x, case.directions, record=True, **case.options)
    d_outputs, d_states = loss_weights(result)
    gradients = reference.backprop(result.tape, d_outputs, d_states)
    assert error(gradients.x, differences(case, case.x, d_outputs, d_states)) < DIFFERENCES
    for direction, gradient in zip(case.directions, gradients.directions, strict=True):
        for name in ("kernel", "recurrent_kernel", "bias"):
            numeric = differences(case, getattr(direction, name), d_outputs, d_states)
            assert error(getattr(gradient, name), numeric) < DIFFERENCES, name
        assert direction.initial_state is not None
        for array, d_array in zip(direction.initial_state, gradient.initial_state, strict=True):
            assert error(d_array, differences(case, array, d_outputs, d_states)) < DIFFERENCES


def test_a_reset_before_the_product_by_hand() -> None:
    """Two units, so that the order of reset and product counts; gates: update, reset, candidate."""
    case = make_case(1, 1, 1, (2,), states=True, cells=("gru_reset_before",))
    direction = case.directions[0]
    assert direction.bias is not None
    assert direction.initial_state is not None
    h = direction.initial_state[0][0]
    w, u, b = (np.split(each, 3, axis=-1) for each in (direction.kernel[0], direction.recurrent_kernel, direction.bias))
    z, r = (1 / (1 + np.exp(-(2.0 * w[i] + h @ u[i] + b[i]))) for i in range(2))
    n = np.tanh(2.0 * w[2] + (r * h) @ u[2] + b[2])
    result = reference.run(np.array([[[2.0]]]), [direction])
    np.testing.assert_allclose(result.states[0][0][0], z * h + (1 - z) * n, rtol=0, atol=1e-15)


def test_one_step_by_hand() -> None:
    """One unit, one feature, gates in Keras's order: input, forget, candidate, output."""
    case = make_case(1, 1, 1, (1,), states=True)
    direction = replace(
        case.directions[0],
        kernel=np.array([[0.1, 0.2, 0.3, 0.4]]),
        recurrent_kernel=np.array([[-0.5, 0.6, 0.7, -0.8]]),
        bias=np.array([0.01, 0.02, 0.03, 0.04]),
        initial_state=(np.array([[0.5]]), np.array([[-0.25]])),
    )
    z = 2.0 * np.array([0.1, 0.2, 0.3, 0.4]) + 0.5 * np.array([-0.5, 0.6, 0.7, -0.8]) + [0.01, 0.02, 0.03, 0.04]
    i, f, _, o = 1 / (1 + np.exp(-z))
    c = f * -0.25 + i * np.tanh(z[2])
    result = reference.run(np.array([[[2.0]]]), [direction])
    assert result.states[0][0].item() == pytest.approx(o * np.tanh(c), abs=1e-15)
    assert result.states[0][1].item() == pytest.approx(c, abs=1e-15)


@pytest.mark.parametrize("mask", MASKS)
def test_time_may_come_first_for_the_oracle(mask: str | None) -> None:
    """Which answers in float64 where callers of `bothways.engine.memory` do."""
    case = make_case(4, 6, 3, (5, 2), mask=mask, states=True)
    found = []
    for time_major in (False, True):
        options = memory.Options(False, True, "float32", time_major)
        readings = [(each, engine.Dropout()) for each in case.directions]
        x = case.x.swapaxes(0, 1) if time_major else case.x
        plan, constants, arrays = memory.plan_of(x, case.options.get("mask"), readings, options, np.zeros)
        results = [np.empty(shape) for shape in plan.forward_shapes(x.shape, arrays)]
        memory.forward(plan, x, constants, arrays, results)
        d_x, d_arrays = np.empty_like(x), [np.empty_like(each) for each in arrays]
        memory.backward(plan, x, constants, arrays, [], results, d_x, d_arrays)
        by_step = [plan.batch_first(each) for each in (results[0], d_x)]
        found.append([*by_step, *results[1:], *d_arrays])
    for actual, expected in zip(*found, strict=True):
        np.testing.assert_array_equal(actual, expected)
