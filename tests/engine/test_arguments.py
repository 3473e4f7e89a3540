"""Wrong arguments: each error names what came, what is needed, and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.errors import InputError
from engine_cases import make_case

CASE = make_case(8, 5, 4, (6, 6))
FORWARD, BACKWARD = CASE.directions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((5, 4))}, r"x has shape \(5, 4\); it needs 3 axes \(batch, time, features\)\."),
        ({"x": np.zeros((8, 5, 3))}, r"directions\[0\]\.kernel has shape \(4, 24\); it must be \(3, 24\)\."),
        ({"x": np.full((8, 5, 4), "a")}, r"x has dtype <U1; it must be numbers"),
        ({"x": np.zeros((8, 5, 4), complex)}, r"x has dtype complex128"),
        ({"directions": []}, r"directions has 0 entries; give one, or two to read both ways\."),
        ({"directions": [FORWARD, BACKWARD, FORWARD]}, r"directions has 3 entries"),
        ({"mask": np.ones((8, 5))}, r"mask has dtype float64; it must be bool"),
        ({"mask": np.ones((8, 4), bool)}, r"mask has shape \(8, 4\).*\(8, 5\)\."),
        ({"merge_mode": "add"}, r"There is no merge_mode 'add'\. Use one of: concat, sum, mul, ave, or None\."),
        (
            {"directions": [replace(FORWARD, cell="gate")]},
            r"There is no cell 'gate'\. Use one of: lstm, gru",
        ),
        (
            {"directions": [replace(FORWARD, initial_state=(np.zeros((8, 6)),))]},
            r"directions\[0\]\.initial_state has 1 arrays; lstm needs 2 \(h, c\), each \(8, 6\)\.",
        ),
        (
            {"directions": [replace(FORWARD, initial_state=(np.zeros((8, 6)), np.zeros((8, 7))))]},
            r"directions\[0\]\.initial_state\[1\] \(c\) has shape \(8, 7\); it must be \(8, 6\)\.",
        ),
        ({"directions": [replace(FORWARD, bias=np.zeros(23))]}, r"directions\[0\]\.bias has shape \(23,\).*\(24,\)"),
        (
            {"directions": [replace(FORWARD, recurrent_kernel=np.zeros((6, 20)))]},
            r"directions\[0\]\.recurrent_kernel has shape \(6, 20\); it must be \(6, 24\)\.",
        ),
        (
            {"directions": [replace(FORWARD, recurrent_kernel=np.zeros((0, 0)))]},
            r"recurrent_kernel has shape \(0, 0\); a cell needs at least one unit\.",
        ),
    ],
)
@pytest.mark.parametrize("run", [engine.run, engine.reference.run])
def test_wrong_arguments_are_named(run: Any, change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"x": CASE.x, "directions": CASE.directions} | change
    with pytest.raises(InputError, match=message):
        run(arguments.pop("x"), arguments.pop("directions"), **arguments)


def test_unequal_widths_cannot_be_added() -> None:
    case = make_case(2, 3, 4, (6, 7), merge_mode="sum")
    with pytest.raises(InputError, match=r"merge_mode='sum' needs equal widths.*6 units.*7\. Use merge_mode='concat'"):
        engine.run(case.x, case.directions, **case.options)


@pytest.mark.parametrize(
    ("d_outputs", "d_states", "message"),
    [
        (np.zeros((8, 5, 6)), None, r"d_outputs has shape \(8, 5, 6\); it must be \(8, 5, 12\)\."),
        (np.zeros((8, 5, 12)), [None], r"d_states has 1 entries; there are 2 directions\."),
        (np.zeros((8, 5, 12)), [(np.zeros((8, 6)),), None], r"d_states\[0\] has 1 arrays; lstm needs 2"),
    ],
)
def test_wrong_gradients_are_named(d_outputs: Any, d_states: Any, message: str) -> None:
    result = engine.run(CASE.x, CASE.directions, record=True)
    with pytest.raises(InputError, match=message):
        engine.backprop(result.tape, d_outputs, d_states)


def test_gradients_of_a_pair_must_be_a_pair() -> None:
    result = engine.run(CASE.x, CASE.directions, merge_mode=None, record=True)
    with pytest.raises(InputError, match=r"d_outputs must be a pair \(forward, backward\)"):
        engine.backprop(result.tape, np.zeros((8, 5, 12)))


def test_the_compiled_border_refuses_memory_that_is_not_there() -> None:
    from bothways.engine import _native

    x = np.zeros((2, 3, 4), np.float32)
    kernel, recurrent = np.zeros((4, 8), np.float32), np.zeros((2, 8), np.float32)
    state = np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match="outputs has 6 elements; 12 are needed"):
        _native.forward(
            x,
            None,
            False,
            False,
            [(0, kernel, recurrent, None, False, (), None)],
            np.zeros(6, np.float32),
            [((state, state), None)],
        )


def test_machine_settings_are_checked() -> None:
    with pytest.raises(InputError, match=r"There is no instruction set 'sse9' here\. Use one of:"):
        engine.set_instruction_set("sse9")
    with pytest.raises(InputError, match="count is 0; it must be a whole number of at least 1"):
        engine.set_threads(0)


@pytest.mark.parametrize("ways", [lambda layer: layer, lambda layer: layer.run], ids=["call", "run"])
@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        (np.zeros((5, 4)), None, r"x has shape \(5, 4\); it needs 3 axes"),
        (
            np.zeros((8, 5, 3), np.float32),
            None,
            r"x has shape \(8, 5, 3\), and directions\[0\]\.kernel has .*\(3, 24\)\.",
        ),
        (np.full((8, 5, 4), "a"), None, r"x has dtype <U1; it must be numbers \(float32\)"),
        ([[[1.0, 2.0], [3.0]]], None, r"x has rows of unequal length; it must be an array of numbers"),
        (None, None, r"x has dtype object; it must be numbers"),
        (np.empty((8, 5, 4), "V0"), None, r"x has dtype .*; it must be numbers"),
        (np.zeros((8, 5, 4), np.float32), np.ones((8, 5), np.float32), r"mask has dtype float32; it must be bool"),
        (np.zeros((8, 5, 4), np.float32), np.ones((5, 8), bool), r"mask has shape \(5, 8\).*\(8, 5\)\."),
    ],
)
def test_a_layer_names_wrong_input(ways: Any, x: Any, mask: Any, message: str) -> None:
    layer = engine.Layer(CASE.directions)
    with pytest.raises(InputError, match=message):
        ways(layer)(x, mask)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (np.zeros((2, 8, 6)), r"initial_states is of type ndarray; give a list with an entry for each direction\."),
        ([None], r"initial_states has 1 entries; there are 2 directions\."),
        ([None, (np.zeros((8, 6)),)], r"initial_states\[1\] has 1 arrays; lstm needs 2 \(h, c\), each \(8, 6\)\."),
        (
            [(np.zeros((8, 6)), np.zeros((7, 6))), None],
            r"initial_states\[0\]\[1\] \(c\) has shape \(7, 6\).*\(8, 6\)\.",
        ),
    ],
)
def test_wrong_initial_states_of_a_run_are_named(states: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        engine.Layer(CASE.directions).run(CASE.x, initial_states=states)


def test_a_layer_with_states_of_its_own_needs_their_batch() -> None:
    layer = engine.Layer(make_case(8, 5, 4, (6, 6), states=True).directions)
    message = r"directions\[0\]\.initial_state\[0\] \(h\) has shape \(8, 6\); it must be \(2, 6\)\."
    with pytest.raises(InputError, match=message):
        layer(np.zeros((2, 5, 4), np.float32))
    with pytest.raises(InputError, match=message):
        layer.run(np.zeros((2, 5, 4)))


def test_both_directions_read_the_same_features() -> None:
    other = make_case(8, 5, 3, (6, 6)).directions[1]
    with pytest.raises(InputError, match=r"directions\[1\]\.kernel has shape \(3, 24\); it must be \(4, 24\)\."):
        engine.Layer([FORWARD, other])


def test_the_compiled_border_takes_only_arrays_that_it_can_read() -> None:
    from bothways.engine import _native

    kernel, recurrent = np.zeros((4, 8), np.float32), np.zeros((2, 8), np.float32)
    weights = _native.Weights([(0, kernel, recurrent, None, False)], False, False)
    x, residuals = np.zeros((2, 3, 4), np.float32), np.zeros(10_000, np.float32)
    assert weights.outputs(x, None, None).shape == (2, 3, 2)
    unaligned = np.frombuffer(bytearray(x.nbytes + 1), np.uint8)[1:].view(np.float32).reshape(x.shape)
    for wrong in (x.astype(np.float64), x.astype(">f4"), x[:, ::2], unaligned, x.tolist()):
        with pytest.raises(ValueError, match="x is not a contiguous array of the type that is needed"):
            weights.outputs(wrong, None, None)
    with pytest.raises(ValueError, match="x needs 3 axes, the last of 4"):
        weights.outputs(x[:, :, 0].copy(), None, None)
    with pytest.raises(ValueError, match=r"mask needs the shape \(2, 3\)"):
        weights.outputs(x, np.ones((3, 2), np.bool_), None)
    with pytest.raises(ValueError, match=r"a state needs the shape \(2, 2\)"):
        weights.outputs(x, None, [(x[0, :2, :2].copy(), np.zeros(4, np.float32))])
    with pytest.raises(ValueError, match="initial_states has 2 items; 1 are needed"):
        weights.outputs(x, None, [None, None])
    with pytest.raises(ValueError, match="there are too few residuals"):
        weights.run(x, None, (None,), None, residuals[:10])
    residuals.setflags(write=False)
    with pytest.raises(ValueError, match="residuals is not a contiguous array"):
        weights.run(x, None, (None,), None, residuals)
    with pytest.raises(ValueError, match="d_outputs has 6 elements; 12 are needed"):
        weights.backward(x, None, (None,), None, np.zeros(6, np.float32), (None,), residuals.copy())
    with pytest.raises(ValueError, match="kernel has 12 elements; 32 are needed"):
        _native.Weights(
            [(0, kernel, recurrent, None, False), (0, kernel[:, :3].copy(), recurrent, None, True)], False, False
        )
