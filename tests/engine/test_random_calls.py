"""Whatever is passed to the engine, it works or raises an error of the project."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.errors import InputError

CALLS = 3000


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
        lambda: direction(random.Random(0), 4, "lstm"),
    ]
    return [*(partial(_same, value) for value in [*plain, *arrays, *nested]), *made]


def _same(value: Any) -> Any:
    return value


JUNK = junk()
GATES = {"lstm": 4, "gru": 3, "gru_reset_before": 3, "rnn": 1, "rnn_relu": 1}


def direction(dice: random.Random, features: int, cell: str) -> engine.Direction:
    units, gates = dice.choice([1, 2, 5]), GATES[cell]
    values: dict[str, Any] = {
        "kernel": np.ones((features, gates * units)),
        "recurrent_kernel": np.ones((units, gates * units), np.float32),
        "bias": None,
        "reverse": dice.choice([True, False, np.True_]),
        "initial_state": None,
        "cell": dice.choice([None, cell]),
    }
    return engine.Direction(**spoiled(dice, values, 0.03))


def spoiled(dice: random.Random, values: dict[str, Any], share: float) -> dict[str, Any]:
    return {name: dice.choice(JUNK)() if dice.random() < share else value for name, value in values.items()}


def call(dice: random.Random) -> None:
    """One run of a layer, and what may follow it."""
    batch, time, features, cell = dice.choice([1, 2]), dice.choice([1, 3]), dice.choice([1, 4]), dice.choice([*GATES])
    x = np.ones((batch, time, features), dice.choice(["f4", "f8", "i4"]))
    settings: dict[str, Any] = {
        "directions": [direction(dice, features, cell) for _ in range(dice.choice([1, 1, 2]))],
        "cell": cell,
        "merge_mode": dice.choice(["concat", "sum", "mul", "ave", None]),
        "zero_output_for_mask": dice.choice([True, False, np.True_]),
    }
    arguments: dict[str, Any] = {
        "x": x,
        "mask": dice.choice([None, np.ones((batch, time), bool)]),
        "dropout": None,
        "record": dice.choice([True, False, np.True_]),
    }
    arguments, settings = spoiled(dice, arguments, 0.08), spoiled(dice, settings, 0.06)
    if dice.random() < 0.2:
        engine.reference.run(arguments["x"], settings.pop("directions"), mask=arguments["mask"], **settings)
        return
    if dice.random() < 0.3:
        engine.run(arguments.pop("x"), settings.pop("directions"), **arguments, **settings)
        return
    more = spoiled(dice, {"precision": dice.choice(["float32", "bfloat16"]), "frozen": False}, 0.05)
    layer = engine.Layer(settings.pop("directions"), **settings, **more)
    layer(arguments["x"], arguments["mask"])
    result = layer.run(**arguments, **spoiled(dice, {"initial_states": None}, 0.1))
    if result.tape is not None:
        engine.backprop(**spoiled(dice, {"tape": result.tape, "d_outputs": result.outputs, "d_states": None}, 0.1))


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_calls_work_or_raise_an_error_of_the_project() -> None:
    works = 0
    for seed in range(CALLS):
        try:
            call(random.Random(seed))
            works += 1
        except InputError:
            pass
        except Exception as raw:
            raise AssertionError(f"call({seed})") from raw
    assert CALLS / 4 < works < CALLS * 3 / 4


@pytest.mark.parametrize("function", [engine.set_threads, engine.set_instruction_set])
@pytest.mark.parametrize("value", [None, 2.5, True, "x", [], -1, np.zeros(2)], ids=repr)
def test_settings_of_the_machine_raise_an_error_of_the_project(function: Any, value: Any) -> None:
    with pytest.raises(InputError):
        function(value)
