"""Whatever is passed to the engine, it works or raises an error of the project."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.errors import InputError
from bothways.spec import ACTIVATIONS, CELLS, cell_named
from engine_cases import DROPOUTS, LAYOUTS, MASKS, Case, laid_out, make_case

CALLS = int(os.environ.get("BOTHWAYS_RANDOM_CALLS", "2500"))


def junk() -> list[Callable[[], Any]]:
    """What no caller should pass, or seldom."""
    plain: list[Any] = [
        None,
        True,
        False,
        0,
        1,
        -1,
        2**70,
        2.5,
        float("nan"),
        1j,
        "x",
        "",
        b"x",
        [],
        (),
        {},
        {1},
        ...,
        int,
    ]
    arrays: list[Any] = [
        np.True_,
        np.float64(3),
        np.datetime64("2020"),
        np.zeros(0),
        np.zeros((0, 0, 0)),
        np.zeros((2, 3, 4)),
        np.zeros((2, 3), bool),
        np.zeros((2, 3), complex),
        np.full((2, 3, 4), np.nan),
        np.full((2, 3), "x"),
        np.array([None, 1], object),
        np.zeros((2, 3, 4), ">f4")[:, ::-1],
        np.zeros(2, [("a", "f4")]),
        np.ma.zeros((2, 3, 4)),
    ]
    nested: list[Any] = [
        [[1, 2], [3]],
        [[True, True, True], [True]],
        [[[0.0] * 4] * 3] * 2,
        ["lstm"],
        [None],
        [None, None],
        [[]],
    ]
    made: list[Callable[[], Any]] = [
        lambda: iter([1]),
        lambda: lambda: 0,
        object,
        lambda: case_of(random.Random(0)).directions[0],
    ]
    return [*(partial(_same, value) for value in [*plain, *arrays, *nested]), *made]


def _same(value: Any) -> Any:
    return value


JUNK = junk()


def case_of(dice: random.Random) -> Case:
    """A call that works, of arrays of any dtype in any memory, with or without all that it may have."""
    cell = dice.choice([*CELLS])
    if dice.random() < 0.2:
        cell = cell_named(cell, dice.choice(ACTIVATIONS), dice.choice(ACTIVATIONS))
    units = tuple(dice.choice([1, 2, 5]) for _ in range(dice.choice([1, 1, 2])))
    case = make_case(
        dice.choice([1, 2, 9]),
        dice.choice([1, 3]),
        dice.choice([1, 4]),
        units,
        mask=dice.choice(MASKS),
        states=dice.choice([True, False]),
        bias=dice.choice([True, False]),
        cells=(cell, cell),
        dropout=dice.choice([None, None, None, *DROPOUTS]),
        seed=dice.randrange(100),
    )
    return laid_out(case, dice.choice([*LAYOUTS]), dice.choice(["f4", "f8", "i4"]))


def spoiled(dice: random.Random, values: dict[str, Any], share: float) -> dict[str, Any]:
    return {name: dice.choice(JUNK)() if dice.random() < share else value for name, value in values.items()}


def call(dice: random.Random) -> None:
    """One run of a layer, and what may follow it."""
    case = case_of(dice)
    engine.set_threads(dice.choice([1, 2, 3]))
    directions = [engine.Direction(**spoiled(dice, vars(each), 0.02)) for each in case.directions]
    settings: dict[str, Any] = {
        "directions": directions,
        "cell": "lstm",
        "merge_mode": dice.choice(["concat", "sum", "mul", "ave", None]),
        "zero_output_for_mask": dice.choice([True, False, np.True_]),
    }
    arguments: dict[str, Any] = {
        "x": case.x,
        "mask": case.options["mask"],
        "dropout": case.options.get("dropout"),
        "record": dice.choice([True, False, np.True_]),
    }
    arguments, settings = spoiled(dice, arguments, 0.06), spoiled(dice, settings, 0.04)
    if dice.random() < 0.2:
        engine.reference.run(arguments.pop("x"), settings.pop("directions"), **arguments, **settings)
        return
    precision: dict[str, Any] = {"precision": dice.choice(["float32", "float32", "bfloat16", "int8"])}
    if dice.random() < 0.3:
        engine.run(arguments.pop("x"), settings.pop("directions"), **arguments, **settings, **precision)
        return
    more = spoiled(dice, {**precision, "frozen": dice.choice([False, True])}, 0.05)
    layer = engine.Layer(settings.pop("directions"), **settings, **more)
    layer(arguments["x"], arguments["mask"])
    states = [each.initial_state for each in case.directions]
    result = layer.run(**arguments, **spoiled(dice, {"initial_states": dice.choice([None, states])}, 0.1))
    if result.tape is not None:
        d_states = dice.choice([None, result.states])
        given = {"tape": result.tape, "d_outputs": result.outputs, "d_states": d_states}
        engine.backprop(**spoiled(dice, given, 0.1))


def tasks() -> set[str]:
    """The threads of this process, by the numbers that Linux gives them."""
    return {task.name for task in Path("/proc/self/task").iterdir()} if sys.platform == "linux" else set()


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.usefixtures("four_threads")
def test_calls_work_or_raise_an_error_of_the_project() -> None:
    """BOTHWAYS_RANDOM_CALLS says how many; none of them leaves a thread behind but those of the pool."""
    engine.run(*make_case(32, 20, 16, (32, 32))[:2])  # with its threads
    works, threads = 0, tasks()
    for seed in range(CALLS):
        try:
            call(random.Random(seed))
            works += 1
        except InputError:
            pass
        except Exception as raw:
            raise AssertionError(f"call({seed})") from raw
    assert CALLS / 4 < works < CALLS * 3 / 4
    assert tasks() <= threads


@pytest.mark.parametrize("function", [engine.set_threads, engine.set_instruction_set])
@pytest.mark.parametrize("value", [None, 2.5, True, "x", [], -1, np.zeros(2)], ids=repr)
def test_settings_of_the_machine_raise_an_error_of_the_project(function: Any, value: Any) -> None:
    with pytest.raises(InputError):
        function(value)
