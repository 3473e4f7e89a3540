"""Calls of the compiled extension itself, around the checks in Python: nothing that comes in reaches other memory."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.engine import _native
from bothways.spec import CELLS, cell_number
from engine_cases import Array, Case, make_case
from tolerances import ENGINE, error

Path = tuple[int, ...]
SHAPES = [(3, 4, 5, (6, 7)), (1, 1, 1, (1, 16)), (4, 2, 16, (33, 33)), (0, 3, 2, (5, 5)), (3, 0, 2, (5, 5))]


class Memory:
    """Makes arrays with `guard` floats of NaN on either side; with none, each has exactly its own memory."""

    def __init__(self, guard: int) -> None:
        self.guard = guard
        self.all: list[Array] = []

    def array(self, values: Array) -> Array:
        memory = np.full(values.size + 2 * self.guard, np.nan, np.float32)
        self.all.append(memory)
        inner = memory[self.guard : self.guard + values.size].reshape(values.shape)
        inner[...] = values
        return inner

    def empty(self, *shape: int) -> Array:
        return self.array(np.full(shape, np.nan))

    def is_intact(self) -> bool:
        return all(np.isnan(m[: self.guard]).all() and np.isnan(m[m.size - self.guard :]).all() for m in self.all)


def native_calls(case: Case, memory: Memory, *more: bool) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The arguments of `_native.forward` and `_native.backward` for a case with states; `more` is `time_major`."""
    batch, time, features = case.x.shape
    x, mask = memory.array(case.x.swapaxes(0, 1) if any(more) else case.x), case.options.get("mask")
    directions, results, gradients = [], [], []
    for d in case.directions:
        assert d.cell is not None
        assert d.initial_state is not None
        assert d.bias is not None
        cell = cell_number(d.cell)
        kernel, recurrent, bias = (memory.array(each) for each in (d.kernel, d.recurrent_kernel, d.bias))
        states = tuple(map(memory.array, d.initial_state))
        residuals = memory.empty(_native.residual_floats(cell, batch, time, features, d.units))
        finals, d_finals, d_initials = ([memory.array(np.ones(s.shape)) for s in states] for _ in range(3))
        directions.append((cell, kernel, recurrent, bias, d.reverse, states, None))
        results.append((finals, residuals))
        d_weights = [memory.empty(*each.shape) for each in (kernel, recurrent, bias)]
        gradients.append((residuals, d_finals, *d_weights, d_initials))
    width = sum(d.units for d in case.directions)
    outputs, d_outputs = memory.empty(*x.shape[:2], width), memory.array(np.ones((*x.shape[:2], width)))
    return (
        (x, mask, False, False, directions, outputs, results, *more),
        (x, mask, False, False, directions, d_outputs, memory.empty(*x.shape), gradients, *more),
    )


def fill_call(case: Case, memory: Memory, time_major: bool = False) -> tuple[Any, tuple[Any, ...]]:
    """`fill` of packed weights, and its arguments for a case with states."""
    (x, mask, _, _, directions, outputs, results, *_), _ = native_calls(case, memory, time_major)
    packed = _native.Weights(directions, False, False)
    packed.freeze()
    return packed.fill, (x, mask, [each[5] for each in directions], outputs, [each[0] for each in results], time_major)


def arrays_in(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Array]]:
    """Every array of nested tuples and lists, with the indices that lead to it."""
    if isinstance(tree, np.ndarray):
        yield path, tree
    elif isinstance(tree, (tuple, list)):
        for i, each in enumerate(tree):
            yield from arrays_in(each, (*path, i))


def with_item(tree: Any, path: Path, item: Any) -> Any:
    """The tree with another item at the end of a path."""
    if not path:
        return item
    each = list(tree)
    each[path[0]] = with_item(each[path[0]], path[1:], item)
    return type(tree)(each)


def written_in(call: tuple[Any, ...]) -> Iterator[tuple[Path, Array]]:
    """Those of a call that are written; of the gradients' items, the second is read."""
    backward = isinstance(call[6], np.ndarray)
    for path, array in arrays_in(call):
        if path[0] >= (6 if backward else 5) and not (backward and path[2:3] == (1,)):
            yield path, array


@pytest.mark.parametrize("guard", [0, 64])  # 0 is for the sanitizers, which have guards of their own
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mask", [None, "random"])
@pytest.mark.parametrize("time_major", [False, True])
def test_calls_stay_in_their_arrays(
    instruction_set: str, time_major: bool, mask: str | None, shape: tuple[Any, ...], cell: str, guard: int
) -> None:
    memory = Memory(guard)
    case = make_case(*shape, mask=mask, states=True, cells=(cell, cell))
    forward, backward = native_calls(case, memory, time_major)
    _native.forward(*forward)
    _native.backward(*backward)
    fill, filled = fill_call(case, memory, time_major)
    fill(*filled)
    for found, expected in zip(filled[3:5], (forward[5], [each[0] for each in forward[6]]), strict=True):
        for (_, one), (_, other) in zip(arrays_in([found]), arrays_in([expected]), strict=True):
            assert np.array_equal(one, other)
    assert memory.is_intact()
    residuals = [id(each) for _, each in forward[6]]
    assert all(
        np.isfinite(a).all() for call in (forward, backward) for _, a in written_in(call) if id(a) not in residuals
    )


WRONG: dict[str, Callable[[Array], Any]] = {
    "an element short": lambda array: array.reshape(-1)[:-1],
    "an element more": lambda array: np.append(array, array.reshape(-1)[:1]),
    "objects": lambda array: array.astype(object),
    "a list": lambda array: array.tolist(),
    "a number": lambda array: 1.0,
}


@pytest.fixture(params=["forward", "backward"])
def right(request: pytest.FixtureRequest) -> tuple[Any, tuple[Any, ...]]:
    """A function of the extension, and arguments that it takes."""
    calls = native_calls(make_case(3, 4, 5, (6, 7), mask="random", states=True), Memory(0))
    _native.forward(*calls[0])
    return getattr(_native, request.param), calls[request.param == "backward"]


def assert_refused(function: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError, BufferError, IndexError, OverflowError, RuntimeError)):
        function(*arguments)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arrays_are_refused(right: tuple[Any, Any], wrong: str) -> None:
    function, call = right
    for path, array in arrays_in(call):
        assert_refused(function, with_item(call, path, WRONG[wrong](array)))


def test_wrong_arrays_are_not_filled() -> None:
    fill, call = fill_call(make_case(3, 4, 5, (6, 7), mask="random", states=True), Memory(0))
    for path, array in arrays_in(call):
        for wrong in WRONG.values():
            assert_refused(fill, with_item(call, path, wrong(array)))
        if path[0] > 2:
            array.setflags(write=False)
            assert_refused(fill, call)
            array.setflags(write=True)


def test_read_only_results_are_refused(right: tuple[Any, Any]) -> None:
    function, call = right
    for path, array in written_in(call):
        read_only = array.copy()
        read_only.setflags(write=False)
        assert_refused(function, with_item(call, path, read_only))


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ((4,), []),
        ((4,), None),
        ((4, 0), ()),
        ((4, 0), (0,)),
        ((4, 0), None),
        ((4, 0, 0), -1),
        ((4, 0, 0), len(CELLS)),
        ((4, 0, 0), 2**40),
        ((4, 0, 0), "lstm"),
        ((4, 0, 1), None),
        ((4, 0, 2), None),
        ((4, 0, 2), np.zeros((0, 0), np.float32)),
        ((4, 0, 4), "yes"),
        ((4, 0, 5), (np.zeros((3, 6), np.float32),)),
        ((4, 0, 5), (np.zeros((3, 6), np.float32),) * 3),
        ((-1,), []),
        ((-1,), None),
        ((-1, 0), ()),
        ((-1, 0), None),
        ((0,), None),
    ],
)
def test_wrong_counts_and_kinds_are_refused(right: tuple[Any, Any], path: Path, item: Any) -> None:
    function, call = right
    assert_refused(function, with_item(call, (path[0] % len(call), *path[1:]), item))


@pytest.mark.parametrize(("batch", "units"), [(16, 2**60), (2**30, 2**59), (1, 2**60)])
def test_sizes_whose_products_overflow_are_refused(batch: int, units: int) -> None:
    """No array has memory here, and 64 bits of their products are all zero."""
    nothing, recurrent = np.zeros(0, np.float32), np.zeros((units, 0), np.float32)
    direction = (0, nothing, recurrent, None, False, (), None)
    x = np.zeros((batch, 1, 0), np.float32)
    assert_refused(_native.forward, (x, None, False, False, [direction], nothing, [((nothing, nothing), None)]))
    assert_refused(_native.residual_floats, (0, batch, 1, 4, units))


@pytest.mark.parametrize("shape", [(0, 2**31, 4), (2**31, 0, 4)])
def test_axes_beyond_32_bits_are_refused(shape: tuple[int, int, int]) -> None:
    direction = engine.Direction(np.ones((4, 4)), np.ones((1, 4)), cell="lstm")
    with pytest.raises((ValueError, MemoryError)):
        engine.run(np.zeros(shape, np.float32), [direction])
    with pytest.raises(ValueError, match="too large"):
        _native.residual_floats(0, shape[0], shape[1], shape[2], 1)


def gradients_in(call: tuple[Any, ...]) -> list[Array]:
    """What a backward pass gives, without the residuals."""
    return [array for path, array in written_in(call) if path[2:3] != (0,)]


def test_residuals_of_another_instruction_set_are_read_right_or_refused() -> None:
    """Of such sizes they have as many floats for every set."""
    before = engine.instruction_set()
    try:
        for of_forward, of_backward in itertools.permutations(engine.instruction_sets(), 2):
            forward, backward = native_calls(make_case(16, 16, 16, (16, 16), states=True), Memory(0))
            again, same = native_calls(make_case(16, 16, 16, (16, 16), states=True), Memory(0))
            engine.set_instruction_set(of_forward)
            _native.forward(*forward)
            _native.forward(*again)
            _native.backward(*same)
            engine.set_instruction_set(of_backward)
            with contextlib.suppress(ValueError):
                _native.backward(*backward)
                for found, right in zip(gradients_in(backward), gradients_in(same), strict=True):
                    assert error(found, right) < ENGINE
    finally:
        engine.set_instruction_set(before)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("mask", [None, "random", "all"])
@pytest.mark.usefixtures("four_threads")
def test_time_may_come_first(mask: str | None, cell: str) -> None:
    found = []
    for more in ([], [True]):
        forward, backward = native_calls(
            make_case(40, 9, 5, (16, 7), mask=mask, states=True, cells=(cell, cell)), Memory(0), *more
        )
        _native.forward(*forward)
        _native.backward(*backward)
        d_x, *gradients = gradients_in(backward)
        by_step = [each.swapaxes(0, 1) if more else each for each in (forward[5], d_x)]
        found.append([*by_step, *(state for finals, _ in forward[6] for state in finals), *gradients])
    for actual, expected in zip(*found, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_three_directions_are_refused(right: tuple[Any, Any]) -> None:
    function, call = right
    more = with_item(call, (4,), [*call[4], call[4][0]])
    assert_refused(function, with_item(more, (len(call) - 1,), [*call[-1], call[-1][0]]))


def test_the_calls_themselves_are_right() -> None:
    """Or they would be refused for reasons of their own."""
    case = make_case(3, 4, 5, (6, 7), mask="random", states=True)
    forward, backward = native_calls(case, Memory(0))
    _native.forward(*forward)
    np.testing.assert_array_equal(forward[5], engine.run(case.x, case.directions, **case.options).outputs)
    _native.backward(*backward)
    assert np.isfinite(backward[6]).all()
