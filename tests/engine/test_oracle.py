"""The oracle itself: against finite differences, and against what a cell is by definition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bothways.engine import reference
from engine_cases import Array, Case, make_case
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


@pytest.mark.parametrize("cells", [("lstm", "lstm"), ("gru", "gru"), ("rnn", "rnn_relu")], ids="-".join)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize(("mask", "zero"), [(None, False), ("random", False), ("random", True)])
def test_gradients_agree_with_finite_differences(
    cells: tuple[str, str], merge_mode: str | None, mask: str | None, zero: bool
) -> None:
    options: dict[str, Any] = {"merge_mode": merge_mode, "zero_output_for_mask": zero}
    case = make_case(2, 4, 2, (3, 3), mask=mask, states=True, cells=cells, seed=3, **options)
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
