"""The native engine: against the oracle, and what must hold whatever the numbers."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways import engine
from bothways.errors import InputError
from bothways.spec import CELLS
from engine_cases import assert_agrees, everything, flat, make_case

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


@pytest.mark.parametrize("cell", ["gru", "rnn", "rnn_relu"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mask", [None, "random"])
def test_other_cells_agree_with_the_oracle(
    instruction_set: str, cell: str, shape: tuple[Any, ...], mask: str | None
) -> None:
    assert_agrees(make_case(*shape, mask=mask, states=True, cells=(cell, cell)))


def test_two_cells_side_by_side(instruction_set: str) -> None:
    assert_agrees(make_case(5, 7, 3, (9, 9), mask="random", cells=("gru", "lstm"), merge_mode="mul"))
    assert_agrees(make_case(5, 7, 3, (9, 4), bias=False, cells=("rnn", "gru")))


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("mask", [None, "random"])
def test_every_merge_mode_agrees_with_the_oracle(instruction_set: str, merge_mode: str | None, mask: str) -> None:
    assert_agrees(make_case(5, 7, 3, (9, 9), mask=mask, merge_mode=merge_mode))


@pytest.mark.parametrize("mask", ["random", "right", "left", "all", "holes"])
def test_zero_output_for_mask_agrees_with_the_oracle(instruction_set: str, mask: str) -> None:
    assert_agrees(make_case(6, 8, 3, (5, 5), mask=mask, states=True, zero_output_for_mask=True))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_single_direction_without_bias_agrees_with_the_oracle(instruction_set: str, reverse: bool) -> None:
    case = make_case(4, 6, 3, (7,), bias=False)
    assert_agrees(case._replace(directions=[replace(case.directions[0], reverse=reverse)]))


def test_directions_of_different_widths(instruction_set: str) -> None:
    case = make_case(4, 6, 3, (7, 18))
    assert_agrees(case)
    assert np.shape(engine.run(case.x, case.directions).outputs) == (4, 6, 25)


@settings(max_examples=150, deadline=None)
@given(
    batch=st.integers(0, 20),
    time=st.integers(0, 12),
    features=st.integers(1, 20),
    units=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mask=st.sampled_from([None, "random", "right", "left", "all", "holes"]),
    states=st.booleans(),
    cells=st.tuples(st.sampled_from(sorted(CELLS)), st.sampled_from(sorted(CELLS))),
    zero=st.booleans(),
    seed=st.integers(0, 100),
)
def test_any_shape_and_mask_agrees_with_the_oracle(
    batch: int,
    time: int,
    features: int,
    units: tuple[int, int],
    mask: str | None,
    states: bool,
    cells: tuple[str, str],
    zero: bool,
    seed: int,
) -> None:
    options: dict[str, Any] = {
        "mask": mask,
        "states": states,
        "cells": cells,
        "seed": seed,
        "zero_output_for_mask": zero,
    }
    assert_agrees(make_case(batch, time, features, units, **options))


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


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_bits_do_not_depend_on_threads(threads: int) -> None:
    case = make_case(32, 20, 16, (32, 32), mask="random", states=True)
    before = engine.threads()
    results = []
    for count in (1, threads):
        engine.set_threads(count)
        results.append(everything(engine, case))
    engine.set_threads(before)
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)


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


def test_very_large_sums_saturate(instruction_set: str) -> None:
    case = make_case(3, 4, 2, (5, 5))
    result = engine.run(case.x * 1e30, case.directions, record=True)
    gradients = engine.backprop(result.tape, np.ones_like(result.outputs))
    assert all(np.isfinite(array).all() for array in [*flat(result), *flat(gradients)])


def test_nan_stays_in_its_row(instruction_set: str) -> None:
    case = make_case(9, 4, 2, (5, 5))
    case.x[3, 1, 0] = np.nan
    outputs = engine.run(case.x, case.directions).outputs
    assert isinstance(outputs, np.ndarray)
    assert np.isnan(outputs[3]).any()
    assert np.isfinite(np.delete(outputs, 3, axis=0)).all()


def test_strided_read_only_and_other_dtypes_are_taken(instruction_set: str) -> None:
    case = make_case(6, 8, 4, (5, 5))
    expected = engine.run(case.x.astype(np.float32), case.directions).outputs
    wide = np.empty((6, 16, 4))
    wide[:, ::2] = case.x
    read_only = case.x.copy()
    read_only.setflags(write=False)
    for x in (wide[:, ::2], np.asfortranarray(case.x), read_only):
        np.testing.assert_array_equal(engine.run(x, case.directions).outputs, expected)
    whole = np.arange(6 * 8 * 4).reshape(6, 8, 4) % 3
    np.testing.assert_array_equal(
        engine.run(whole, case.directions).outputs, engine.run(whole.astype(np.float32), case.directions).outputs
    )


def test_a_tape_serves_once() -> None:
    case = make_case()
    result = engine.run(case.x, case.directions, record=True)
    engine.backprop(result.tape, np.ones_like(result.outputs))
    with pytest.raises(InputError, match=r"can be backpropagated once.*record=True"):
        engine.backprop(result.tape, np.ones_like(result.outputs))
