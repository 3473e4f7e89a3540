"""Packed weights that the engine keeps from call to call: changes of the weights count all the same."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.engine import _native
from bothways.spec import CELLS
from engine_cases import Array, make_case

SIZES = (2, 3, 40, (400, 400))
"""Of a call whose packs are kept."""


def outputs(case: tuple[Array, list[engine.Direction]], *, frozen: bool = False) -> Array:
    x, directions = case
    return np.array(engine.Layer(directions, frozen=frozen)(x))


def test_changes_of_weights_in_place_count() -> None:
    case = make_case(*SIZES)
    names = ("kernel", "recurrent_kernel", "bias")
    converted: list[dict[str, Any]] = [
        {name: np.asarray(getattr(each, name), np.float32) for name in names} for each in case.directions
    ]
    directions = [replace(each, **weights) for each, weights in zip(case.directions, converted, strict=True)]
    layer = engine.Layer(directions)
    random = np.random.default_rng(0)
    for name in names * 4:
        for direction in directions:
            weights = getattr(direction, name).reshape(-1)
            some = random.choice(weights.size, 2, replace=False)  # signs: one bit each, the highest
            weights[some] *= -1
        np.testing.assert_array_equal(layer(case.x), layer(case.x))
        np.testing.assert_array_equal(layer(case.x), outputs((case.x, directions), frozen=True))


@pytest.mark.parametrize("size", [1, 31, 32, 33, 500])
def test_a_digest_tells_values_apart(size: int) -> None:
    """Each bit counts, and each place: of one array, and of which array."""
    values = np.random.default_rng(0).normal(size=size).astype(np.float32)
    seen: list[tuple[int, int]] = []

    def check(*arrays: Array) -> None:
        seen.append(_native.digest(list(arrays)))

    check(values)
    for place in range(size):
        for bit in range(32):
            changed = values.copy()
            changed.view(np.uint32)[place] ^= np.uint32(1 << bit)
            check(changed)
    for first in range(0, size, 7):
        for second in range(first + 1, size, 5):
            swapped = values.copy()
            swapped[[first, second]] = values[[second, first]]
            check(swapped)
            swapped[[first, second]] = -values[[first, second]]
            check(swapped)
    zeros = np.zeros(size, np.float32)
    lists = ((zeros,), (zeros, zeros), (zeros[:-1], zeros), (zeros, zeros[:-1]), (values, zeros), (zeros, values))
    for arrays in lists:
        check(*arrays)
    assert len(set(seen)) == len(seen)
    assert _native.digest([values.copy()]) == seen[0]


def test_cells_sizes_and_precisions_do_not_mix() -> None:
    for precision in ("float32", "bfloat16", "float32"):
        for cell in CELLS:
            case = make_case(*SIZES, cells=(cell, cell))
            for _ in range(2):
                found = engine.run(case.x, case.directions, cell=cell, precision=precision).outputs
            frozen = engine.Layer(case.directions, cell=cell, precision=precision, frozen=True)
            np.testing.assert_array_equal(found, frozen(case.x))


def test_an_instruction_set_has_its_own_packs(instruction_set: str) -> None:
    case = make_case(*SIZES)
    for name in (engine.instruction_sets()[0], instruction_set):
        engine.set_instruction_set(name)
        found = engine.run(case.x, case.directions).outputs
        np.testing.assert_array_equal(found, outputs((case.x, case.directions), frozen=True))


def test_weights_that_stay_are_packed_once() -> None:
    case = make_case(*SIZES, seed=100)  # of no other test: what one has packed is there
    rounds, _ = _native.rehearse(lambda: engine.run(case.x, case.directions))
    again, _ = _native.rehearse(lambda: engine.run(case.x, case.directions))
    assert len(rounds) == len(again) + 1


@pytest.mark.usefixtures("four_threads")
def test_many_callers_with_many_weights() -> None:
    cases = [make_case(*SIZES, seed=seed) for seed in range(6)]
    right = [outputs((case.x, case.directions), frozen=True) for case in cases]
    wrong = []

    def call(first: int) -> None:
        for i in range(20):
            k = (first + i) % len(cases)
            if not np.array_equal(outputs((cases[k].x, cases[k].directions)), right[k]):
                wrong.append(k)

    threads = [threading.Thread(target=call, args=(5 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
