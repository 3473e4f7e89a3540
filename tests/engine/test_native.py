"""The native engine: against the oracle, and what must hold whatever the numbers."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.errors import InputError
from bothways.spec import ACTIVATIONS, CELLS
from engine_cases import DROPOUTS, Array, assert_agrees, everything, flat, make_case
from tolerances import BFLOAT16, ENGINE, error

FUNCTIONS = [*((activation, "hard_sigmoid") for activation in ACTIVATIONS), *(("tanh", gate) for gate in ACTIVATIONS)]

# batch, time, features, units: single rows, rows beyond a tile, units around the widths of vectors, wide input,
# sequences longer than a chunk of the weight gradient, more rows than share a panel.
SHAPES = [
    (1, 1, 1, (1, 1)),
    (2, 5, 3, (4, 4)),
    (7, 9, 1, (20, 20)),
    (13, 6, 17, (33, 33)),
    (5, 3, 300, (16, 16)),
    (4, 300, 3, (5, 5)),
    (61, 7, 2, (17, 17)),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mask", [None, "random", "right", "left", "all", "holes"])
def test_agrees_with_the_oracle(instruction_set: str, shape: tuple[Any, ...], mask: str | None) -> None:
    assert_agrees(make_case(*shape, mask=mask, states=True))


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "lstm"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mask", [None, "random"])
def test_other_cells_agree_with_the_oracle(
    instruction_set: str, cell: str, shape: tuple[Any, ...], mask: str | None
) -> None:
    assert_agrees(make_case(*shape, mask=mask, states=True, cells=(cell, cell)))


@pytest.mark.parametrize("kind", ["lstm", "gru", "gru_reset_before", "rnn"])
@pytest.mark.parametrize("functions", FUNCTIONS, ids="-".join)
@pytest.mark.parametrize("shape", [(1, 70, 40, (65, 65)), (13, 6, 17, (33, 33))], ids=str)
@pytest.mark.parametrize("dropout", [None, "both"])
def test_other_activations_agree_with_the_oracle(
    instruction_set: str, kind: str, functions: tuple[str, str], shape: tuple[Any, ...], dropout: str | None
) -> None:
    cell, (batch, time, *rest) = "/".join((kind, *functions)), shape
    if kind.startswith("gru") and functions[1] in ("relu", "linear"):  # gates that are no shares: states grow for ever
        time = min(time, 6)
    case = make_case(batch, time, *rest, mask="random", states=True, cells=(cell, cell), dropout=dropout)
    assert_agrees(case)
    if "relu" not in cell:  # which has a kink, where roundings change gradients at once
        assert_agrees(case, BFLOAT16, precision="bfloat16")


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "rnn_relu"])
def test_named_activations_are_those_that_the_compiler_knows(instruction_set: str, cell: str) -> None:
    known, named = (
        everything(engine, make_case(7, 9, 3, (20, 20), mask="random", states=True, cells=(name, name)))
        for name in (cell, f"{cell}/tanh/sigmoid")
    )
    for one, other in zip(known, named, strict=True):
        assert error(one, other) < ENGINE


def test_what_is_no_number_stays_none(instruction_set: str) -> None:
    for activation in ACTIVATIONS:
        direction = engine.Direction(np.ones((1, 1)), np.zeros((1, 1)), cell=f"rnn/{activation}/sigmoid")
        assert np.isnan(engine.run(np.full((1, 1, 1), np.nan), [direction]).outputs).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shape", [*SHAPES, (1, 70, 40, (65, 65)), (33, 5, 4, (70, 70))], ids=str)
@pytest.mark.parametrize("dropout", DROPOUTS)
def test_dropout_agrees_with_the_oracle(instruction_set: str, cell: str, shape: tuple[Any, ...], dropout: str) -> None:
    assert_agrees(make_case(*shape, mask="random", states=True, cells=(cell, cell), dropout=dropout))


# relu has a kink, where roundings change gradients at once
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "rnn_relu"])
@pytest.mark.parametrize("shape", [*SHAPES, (1, 70, 40, (65, 65)), (33, 5, 4, (70, 70))], ids=str)
@pytest.mark.parametrize("dropout", [None, "both", "same x"])
def test_bfloat16_agrees_with_the_oracle(
    instruction_set: str, cell: str, shape: tuple[Any, ...], dropout: str | None
) -> None:
    case = make_case(*shape, mask="random", states=True, cells=(cell, cell), dropout=dropout)
    assert_agrees(case, BFLOAT16, precision="bfloat16")


@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_rounds_the_same_on_every_instruction_set(cell: str) -> None:
    case = make_case(7, 1, 19, (21, 21), states=True, cells=(cell, cell))
    found = []
    for name in engine.instruction_sets():
        engine.set_instruction_set(name)
        found.append(engine.run(case.x, case.directions, precision="bfloat16").outputs)
    engine.set_instruction_set(engine.instruction_sets()[0])
    for outputs in found[1:]:
        assert error(outputs, found[0]) < ENGINE


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch", [2, 5])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_frozen_layer_gives_the_same_numbers(instruction_set: str, precision: str, batch: int, cell: str) -> None:
    case = make_case(batch, 7, 3, (9, 83), mask="random", cells=(cell, cell))
    frozen = engine.Layer(case.directions, precision=precision, frozen=True)
    open_ = engine.Layer(case.directions, precision=precision)
    np.testing.assert_array_equal(frozen(case.x, case.options["mask"]), open_(case.x, case.options["mask"]))
    with pytest.raises(InputError, match="This layer is frozen"):
        frozen.run(case.x, record=True)
    dropout = make_case(batch, 7, 3, (9, 83), cells=(cell, cell), dropout="both").options["dropout"]
    one, other = (layer.run(case.x, case.options["mask"], dropout=dropout).outputs for layer in (frozen, open_))
    np.testing.assert_array_equal(one, other)


def test_a_frozen_layer_keeps_its_weights() -> None:
    kernel = np.ones((3, 16), np.float32)
    directions = [engine.Direction(kernel, np.ones((4, 16), np.float32))]
    x = np.ones((2, 5, 3), np.float32)
    frozen, read_in_place = engine.Layer(directions, frozen=True), engine.Layer(directions)
    before = frozen(x)
    kernel[:] = 0.0
    np.testing.assert_array_equal(frozen(x), before)
    assert error(read_in_place(x), before) > 0.1


def test_two_cells_side_by_side(instruction_set: str) -> None:
    assert_agrees(make_case(5, 7, 3, (9, 9), mask="random", cells=("gru", "lstm"), merge_mode="mul"))
    assert_agrees(make_case(5, 7, 3, (9, 4), bias=False, cells=("rnn", "gru")))
    assert_agrees(make_case(5, 7, 3, (9, 9), mask="holes", cells=("gru_reset_before", "gru"), merge_mode="sum"))


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("mask", [None, "random"])
def test_every_merge_mode_agrees_with_the_oracle(instruction_set: str, merge_mode: str | None, mask: str) -> None:
    assert_agrees(make_case(5, 7, 3, (9, 9), mask=mask, merge_mode=merge_mode))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("mask", ["random", "right", "left", "all", "holes"])
def test_zero_output_for_mask_agrees_with_the_oracle(instruction_set: str, mask: str, cell: str) -> None:
    assert_agrees(make_case(6, 8, 3, (5, 5), mask=mask, states=True, zero_output_for_mask=True, cells=(cell, cell)))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_single_direction_without_bias_agrees_with_the_oracle(instruction_set: str, reverse: bool) -> None:
    case = make_case(4, 6, 3, (7,), bias=False)
    assert_agrees(case._replace(directions=[replace(case.directions[0], reverse=reverse)]))


def test_directions_of_different_widths(instruction_set: str) -> None:
    case = make_case(4, 6, 3, (7, 18))
    assert_agrees(case)
    assert np.shape(engine.run(case.x, case.directions).outputs) == (4, 6, 25)


def test_reading_backward_is_reading_the_flipped_sequence(instruction_set: str) -> None:
    case = make_case(5, 9, 3, (8,))
    forward = case.directions[0]
    backward = replace(forward, reverse=True)
    flipped = engine.run(case.x[:, ::-1], [forward]).outputs
    assert isinstance(flipped, np.ndarray)
    np.testing.assert_array_equal(engine.run(case.x, [backward]).outputs, flipped[:, ::-1])


def test_each_half_of_concat_is_its_direction(instruction_set: str) -> None:
    case = make_case(5, 9, 3, (8, 8), mask="random")
    both = engine.run(case.x, case.directions, **case.options).outputs
    assert isinstance(both, np.ndarray)
    for i, direction in enumerate(case.directions):
        alone = engine.run(case.x, [direction], **case.options).outputs
        np.testing.assert_array_equal(both[:, :, 8 * i : 8 * i + 8], alone)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_never_changes_a_valid_output(instruction_set: str, side: str) -> None:
    case = make_case(5, 9, 3, (8, 8))
    junk = np.full((5, 4, 3), 1e6)
    x = np.concatenate([case.x, junk] if side == "right" else [junk, case.x], axis=1)
    mask = np.ones((5, 13), np.bool_)
    valid = slice(0, 9) if side == "right" else slice(4, 13)
    mask[:, slice(9, 13) if side == "right" else slice(0, 4)] = False
    padded = engine.run(x, case.directions, mask=mask)
    plain = engine.run(case.x, case.directions)
    assert isinstance(padded.outputs, np.ndarray)
    np.testing.assert_array_equal(padded.outputs[:, valid], plain.outputs)
    for actual, expected in zip(flat(padded.states), flat(plain.states), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_rows_do_not_depend_on_their_neighbours(instruction_set: str) -> None:
    case = make_case(13, 6, 3, (8, 8), mask="random")
    together = engine.run(case.x, case.directions, **case.options).outputs
    assert isinstance(together, np.ndarray)
    for row in range(13):
        alone = engine.run(case.x[row : row + 1], case.directions, mask=case.options["mask"][row : row + 1]).outputs
        assert isinstance(alone, np.ndarray)
        np.testing.assert_array_equal(alone[0], together[row])


@pytest.mark.usefixtures("four_threads")
def test_several_python_threads_at_once() -> None:
    cases = [make_case(16, 20, 16, (32, 32), seed=seed) for seed in range(4)]
    expected = [engine.run(case.x, case.directions).outputs for case in cases]
    wrong = []

    def check(i: int) -> None:
        for _ in range(20):
            outputs = engine.run(cases[i].x, cases[i].directions).outputs
            if not np.array_equal(outputs, expected[i]):
                wrong.append(i)

    workers = [threading.Thread(target=check, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*fork.*:RuntimeWarning")
@pytest.mark.usefixtures("four_threads")
def test_a_forked_child_can_run() -> None:
    case = make_case(32, 20, 16, (32, 32))
    expected = engine.run(case.x, case.directions).outputs
    child = os.fork()
    if child == 0:
        outputs = engine.run(case.x, case.directions).outputs
        os._exit(0 if np.array_equal(outputs, expected) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_activations_meet_their_stated_errors(instruction_set: str) -> None:
    """Through a cell whose gates are opened by bias: h = sigmoid(30) * tanh(sigmoid(30) * tanh(x)) and the like."""
    x = np.concatenate([np.linspace(-20, 20, 4001), [0.0, 1e-30, -1e-30, 80.0, -80.0]])[:, None, None]
    candidate = engine.Direction(np.array([[0.0, 0.0, 1.0, 0.0]]), np.zeros((1, 4)), np.array([30.0, -30.0, 0.0, 30.0]))
    _, c = engine.run(x, [candidate]).states[0]
    assert np.abs(c[:, 0] - np.tanh(x[:, 0, 0])).max() < 4e-7
    assert np.abs(c).max() <= 1.0
    assert c[np.abs(x[:, 0, 0]) > 9.1].size > 0
    np.testing.assert_array_equal(np.abs(c[np.abs(x[:, 0, 0]) > 9.1]), 1.0)
    gate = engine.Direction(np.array([[1.0, 0.0, 0.0, 0.0]]), np.zeros((1, 4)), np.array([0.0, -30.0, 30.0, 30.0]))
    _, c = engine.run(x, [gate]).states[0]
    assert np.abs(c[:, 0] - 1 / (1 + np.exp(-x[:, 0, 0]))).max() < 2e-7
    np.testing.assert_array_equal(c[x[:, 0] == 0], 0.5)


def test_a_tape_serves_once() -> None:
    case = make_case()
    result = engine.run(case.x, case.directions, record=True)
    engine.backprop(result.tape, np.ones_like(result.outputs))
    with pytest.raises(InputError, match=r"can be backpropagated once.*record=True"):
        engine.backprop(result.tape, np.ones_like(result.outputs))


def forms(x: Array) -> dict[str, Any]:
    """The whole numbers of `x`, `(batch, time, features)`, in every form that is taken."""
    batch, time, features = x.shape
    wide = np.zeros((batch, 2 * time, features), np.float32)
    wide[:, ::2] = x
    read_only = x.astype(np.float32)
    read_only.setflags(write=False)
    unaligned = np.frombuffer(bytearray(4 * x.size + 1), np.uint8)[1:].view(np.float32).reshape(x.shape)
    unaligned[:] = x
    dtypes = ["f2", "f4", "f8", "longdouble", "i1", "i8", "u2", ">f4", ">f8", ">i4"]
    return {
        **{dtype: x.astype(dtype) for dtype in dtypes},
        "strided": wide[:, ::2],
        "backwards": np.ascontiguousarray(x[::-1], np.float32)[::-1],
        "transposed": np.asfortranarray(x, np.float32),
        "read-only": read_only,
        "unaligned": unaligned,
        "list": x.tolist(),
    }


@pytest.mark.parametrize("merge_mode", ["concat", "mul", None])
def test_every_form_of_input_gives_the_same_bits(merge_mode: str | None) -> None:
    case = make_case(4, 5, 3, (6, 6), mask="random")
    layer = engine.Layer(case.directions, merge_mode=merge_mode)
    whole = np.arange(4 * 5 * 3).reshape(4, 5, 3) % 3
    mask = case.options["mask"]
    expected = engine.run(whole, case.directions, mask=mask, merge_mode=merge_mode).outputs
    for x in forms(whole).values():
        for m in (mask, np.asfortranarray(mask), mask.tolist(), np.repeat(mask, 2, axis=1)[:, ::2]):
            for outputs in (layer(x, m), layer.run(x, m).outputs):
                assert [o.dtype for o in flat(outputs)] == [np.float32] * len(flat(expected))
                assert all(map(np.array_equal, flat(outputs), flat(expected)))


def test_bool_input_is_zeros_and_ones() -> None:
    case = make_case(4, 5, 3, (6, 6))
    layer, x = engine.Layer(case.directions), case.x > 0
    np.testing.assert_array_equal(layer(x), layer(x.astype(np.float32)))


def test_every_form_of_weights_states_and_gradients_gives_the_same_bits() -> None:
    case = make_case(4, 5, 3, (6, 6), states=True)
    h, c = np.arange(4 * 6).reshape(4, 6) % 3, np.arange(4 * 6).reshape(4, 6) % 2
    d_outputs = np.arange(4 * 5 * 12).reshape(4, 5, 12) % 4
    kernel = np.arange(3 * 24).reshape(3, 24) % 2
    results = []
    for form in forms(kernel[None]):
        k, d, hs, cs = (forms(a.reshape(-1, *a.shape[-2:]))[form] for a in (kernel, d_outputs, h, c))
        directions = [replace(direction, kernel=k[0]) for direction in case.directions]
        layer = engine.Layer(directions)
        result = layer.run(case.x, initial_states=[(hs[0], cs[0]), None], record=True)
        results.append(flat([*result[:2], engine.backprop(result.tape, d, [None, (hs[0], cs[0])])]))
    for arrays in results[1:]:
        assert all(map(np.array_equal, arrays, results[0]))


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 0, 3), (0, 0, 3), (2, 4, 0)], ids=str)
def test_nothing_to_read(shape: tuple[int, int, int]) -> None:
    batch, time, features = shape
    case = make_case(2, 4, max(features, 1), (5, 5))
    directions = [replace(direction, kernel=direction.kernel[:features]) for direction in case.directions]
    layer = engine.Layer(directions)
    result = layer.run(np.zeros(shape), record=True)
    gradients = engine.backprop(result.tape, np.ones((batch, time, 10)))
    expected = engine.reference.run(np.zeros(shape), directions, record=True)
    d_expected = engine.reference.backprop(expected.tape, np.ones((batch, time, 10)))
    assert layer(np.zeros(shape, np.float32)).shape == (batch, time, 10)
    for actual, right in zip(flat([result, gradients]), flat([expected, d_expected]), strict=True):
        assert error(actual, right) < ENGINE


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("mask", [None, "random"])
def test_a_layer_gives_what_a_run_gives(
    instruction_set: str, merge_mode: str | None, states: bool, mask: str | None
) -> None:
    case = make_case(5, 7, 3, (9, 9), mask=mask, states=states, merge_mode=merge_mode, cells=("gru", "lstm"))
    m = case.options.pop("mask", None)
    layer = engine.Layer(case.directions, **case.options)
    expected = engine.run(case.x, case.directions, mask=m, **case.options)
    for x in (case.x, case.x.astype(np.float32)):
        assert all(map(np.array_equal, flat(layer(x, m)), flat(expected.outputs)))
        for record in (False, True):
            assert all(map(np.array_equal, flat(layer.run(x, m, record=record)), flat(expected)))


def test_the_states_of_a_run_come_before_those_of_the_directions() -> None:
    case, other = make_case(4, 5, 3, (6, 7), states=True), make_case(4, 5, 3, (6, 7), states=True, seed=1)
    own, brought = (case.directions[1].initial_state, other.directions[0].initial_state)
    mixed = [replace(case.directions[0], initial_state=brought), replace(case.directions[1], initial_state=own)]
    result = engine.Layer(case.directions).run(case.x, initial_states=[brought, None])
    assert all(map(np.array_equal, flat(result), flat(engine.run(case.x, mixed))))


def test_weights_are_read_where_they_are_or_copied_once() -> None:
    case = make_case(4, 5, 3, (6,))
    plain = [replace(d, kernel=d.kernel.astype(np.float32)) for d in case.directions]
    for direction, seen in ((plain[0], True), (case.directions[0], False)):
        layer = engine.Layer([direction])
        before = layer(case.x)
        direction.kernel[:] *= 2
        after = engine.run(case.x, [direction]).outputs
        assert not np.array_equal(before, after)
        np.testing.assert_array_equal(layer(case.x), after if seen else before)


def gradients_of(layer: engine.Layer, x: Array) -> list[Array]:
    result = layer.run(x, record=True)
    return flat(engine.backprop(result.tape, np.ones_like(result.outputs)))


def test_residuals_are_handed_on_but_never_shared() -> None:
    case = make_case(6, 8, 3, (5, 5))
    layer = engine.Layer(case.directions)
    long, short = case.x, case.x[:2, :3]
    expected = {"long": gradients_of(engine.Layer(case.directions), long)}
    expected["short"] = gradients_of(engine.Layer(case.directions), short)
    for name, x in [("short", short), ("long", long), ("short", short), ("long", long)]:
        assert all(map(np.array_equal, gradients_of(layer, x), expected[name]))
    first, second, third = (layer.run(long, record=True) for _ in range(3))
    for result in (second, first, third):
        gradients = flat(engine.backprop(result.tape, np.ones_like(result.outputs)))
        assert all(map(np.array_equal, gradients, expected["long"]))


def test_what_was_handed_out_stays_as_it_is() -> None:
    case = make_case(6, 8, 3, (5, 5), merge_mode=None)
    layer = engine.Layer(case.directions, merge_mode=None)
    result = layer.run(case.x, record=True)
    held = flat([result, engine.backprop(result.tape, result.outputs)])
    copies = [array.copy() for array in held]
    for _ in range(3):
        result = layer.run(case.x * 2, record=True)
        engine.backprop(result.tape, result.outputs)
        layer(case.x * 3)
    assert all(map(np.array_equal, held, copies))


def test_a_layer_keeps_the_residuals_of_one_tape() -> None:
    case = make_case(6, 8, 3, (5, 5))
    layer = engine.Layer(case.directions)
    tapes = [layer.run(case.x, record=True).tape for _ in range(3)]
    memory = [tape._residuals[0] for tape in tapes]
    assert all(residuals.ctypes.data % 64 == 0 for residuals in memory)
    for tape in tapes:
        engine.backprop(tape, np.ones((6, 8, 10)))
    assert layer.run(case.x, record=True).tape._residuals[0] is memory[-1]
    assert layer.run(case.x, record=True).tape._residuals[0] is not memory[-1]


@pytest.mark.usefixtures("four_threads")
def test_several_python_threads_train_one_layer() -> None:
    case = make_case(16, 12, 4, (24, 24))
    layer = engine.Layer(case.directions)
    xs = [case.x[: 4 * i + 4, : 3 * i + 3] for i in range(4)]
    expected = [gradients_of(engine.Layer(case.directions), x) for x in xs]
    wrong = []

    def check(i: int) -> None:
        for _ in range(50):
            if not all(map(np.array_equal, gradients_of(layer, xs[i]), expected[i])):
                wrong.append(i)

    workers = [threading.Thread(target=check, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.mark.usefixtures("four_threads")
def test_one_thread_alone_gets_a_tape() -> None:
    case = make_case(32, 20, 16, (32, 32))
    layer = engine.Layer(case.directions)
    for _ in range(10):
        tape = layer.run(case.x, record=True).tape
        outcomes: list[str] = []

        def use(tape: engine.Tape = tape, outcomes: list[str] = outcomes) -> None:
            try:
                engine.backprop(tape, np.ones((32, 20, 64)))
                outcomes.append("served")
            except InputError:
                outcomes.append("refused")

        workers = [threading.Thread(target=use) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sorted(outcomes) == ["refused", "refused", "refused", "served"]


def test_a_tape_outlives_wrong_gradients() -> None:
    case = make_case(4, 5, 3, (6, 6))
    result = engine.Layer(case.directions).run(case.x, record=True)
    with pytest.raises(InputError, match="d_outputs has shape"):
        engine.backprop(result.tape, np.ones((1, 1, 1)))
    assert engine.backprop(result.tape, np.ones((4, 5, 12))).x.shape == (4, 5, 3)


def test_a_tape_needs_its_instruction_set() -> None:
    if len(engine.instruction_sets()) == 1:
        pytest.skip("this machine has one instruction set")
    case, before = make_case(), engine.instruction_set()
    tape = engine.run(case.x, case.directions, record=True).tape
    engine.set_instruction_set(engine.instruction_sets()[-1])
    try:
        with pytest.raises(InputError, match=r"recorded with .* is now in use\. Choose the instruction set before"):
            engine.backprop(tape, np.ones((3, 5, 12)))
    finally:
        engine.set_instruction_set(before)
