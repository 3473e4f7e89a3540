"""Factors and grids: what can be varied, what is the same run, what cannot work."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from bothways.errors import InputError
from bothways.study.factors import VALUES, Value, checked_vary, factors, parse_settings, parse_vary
from bothways.study.grid import (
    Shape,
    canonical,
    check_cells,
    check_size,
    fraction_of,
    full_grid,
    key_of,
    network_of,
    settings_of,
)

STEPS = Shape(features=2, classes=2, longest=10)


def test_every_factor_with_usual_values_can_take_them() -> None:
    assert set(VALUES) <= set(factors())
    for name, values in checked_vary(dict.fromkeys(VALUES)).items():
        assert len(values) > 1, name


def test_the_seed_and_what_the_data_tell_are_no_factors() -> None:
    assert not {"seed", "features", "classes", "categories", "per"} & set(factors())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["direction,merge"], {"direction": VALUES["direction"], "merge_mode": VALUES["merge_mode"]}),
        (["units=16,32", "depth=1"], {"units": (16, 32), "depth": (1,)}),
        (["units=16,32,depth"], {"units": (16, 32), "depth": VALUES["depth"]}),
        (
            ["direction,units=8,16,conv.window=0,5"],
            {"direction": VALUES["direction"], "units": (8, 16), "conv_window": (0, 5)},
        ),
        (["learning-rate=1e-3,0.1"], {"learning_rate": (0.001, 0.1)}),
        (["patience=none,3"], {"patience": (None, 3)}),
    ],
)
def test_factors_from_the_command_line(arguments: list[str], expected: dict[str, object]) -> None:
    assert parse_vary(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dircetion"], "no factor 'dircetion'. Did you mean 'direction'"),
        (["direction=up"], "no direction 'up'. Use one of: forward, backward, both, backward_as_written"),
        (["units=0"], "units is 0"),
        (["units=few"], "units=few: a value of units is a whole number"),
        (["units=8,8"], "none twice"),
        (["units,units=8"], "given twice"),
        (["epochs"], "epochs has no values that are always worth trying"),
        (["merge=add"], "no merge_mode 'add'"),
        (["dropout=2"], "dropout is 2.0"),
    ],
)
def test_what_no_factor_can_be_is_told(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_vary(arguments)


def test_settings_from_the_command_line() -> None:
    assert parse_settings(["units=20", "merge=sum", "class_weight=none"]) == {
        "units": 20,
        "merge_mode": "sum",
        "class_weight": None,
    }
    with pytest.raises(InputError, match="write NAME=VALUE"):
        parse_settings(["units"])


def test_a_million_cells_are_counted_and_refused() -> None:
    vary = {"units": range(1, 1001), "depth": range(1, 1001)}
    with pytest.raises(InputError, match="1,000,000 settings with 2 seeds each are 2,000,000 runs"):
        check_size(vary, seeds=2, fraction=1.0, yes=False)
    assert check_size(vary, seeds=2, fraction=1.0, yes=True) == 2_000_000


def test_values_that_change_nothing_share_a_run() -> None:
    vary: dict[str, tuple[Value, ...]] = {
        "direction": ("forward", "both"),
        "merge_mode": ("concat", "sum"),
        "conv_window": (0, 3),
        "conv_stride": (1, 2),
        "pooling": ("last", "max"),
        "embedding": (8, 16),
    }
    grid = full_grid(vary)
    # (1 + 2 merge modes) x (1 + 2 strides)
    assert len(set(grid.keys(STEPS))) == 9
    whole = Shape(features=2, classes=2, categories=(5,), per="sequence", longest=10)
    assert len(set(grid.keys(whole))) == 9 * 2 * 2
    for key, cell in zip(grid.keys(STEPS), grid.cells, strict=True):
        assert network_of(canonical(grid.setting(cell), STEPS), STEPS).classes == 2, key


def test_a_key_tells_settings_apart_and_names_only_what_is_no_default() -> None:
    default = {name: each.default for name, each in factors().items()}
    assert key_of(default) == "{}"
    assert key_of(default | {"units": 8}) == '{"units": 8}'


@pytest.mark.parametrize(
    ("vary", "base", "message"),
    [
        ({"conv_window": (3, 11)}, {}, "conv_window=11: a convolution with a window of 11 steps is longer .* has 10"),
        ({"conv_stride": (1, 12)}, {"conv_window": 3}, "conv_stride=12: a convolution with a stride of 12"),
        ({"depth": (1, 101)}, {}, "depth=101: depth is 101; .* at most 100"),
    ],
)
def test_settings_that_cannot_work_are_named(
    vary: dict[str, tuple[int, ...]], base: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_cells(full_grid(vary, base), STEPS)


def test_what_is_varied_cannot_be_set() -> None:
    with pytest.raises(InputError, match="units is varied, and so it cannot be set"):
        full_grid({"units": (8, 16)}, {"units": 4})


def test_the_reference() -> None:
    grid = full_grid({"direction": ("forward", "both"), "units": (8, 16)})
    assert grid.values(grid.reference({})) == {"direction": "both", "units": 8}
    assert grid.values(grid.reference({"direction": "forward", "units": 16})) == {
        "direction": "forward",
        "units": 16,
    }
    with pytest.raises(InputError, match="units=32, which is not among the values"):
        grid.reference({"units": 32})
    with pytest.raises(InputError, match="The reference names depth, which does not vary"):
        grid.reference({"depth": 1})


def test_a_fraction_is_balanced() -> None:
    grid = full_grid({"units": (8, 16, 32), "depth": (1, 2), "cell": ("lstm", "gru"), "batch_size": (4, 8, 16)})
    part = fraction_of(grid, 0.5, keep=7)
    assert len(part.cells) == 18
    assert grid.cells[7] in part.cells
    for i in range(4):
        counts = Counter(cell[i] for cell in part.cells).values()
        assert max(counts) - min(counts) <= 1
    for i, j in itertools.combinations(range(4), 2):
        pairs = Counter((cell[i], cell[j]) for cell in part.cells)
        assert len(pairs) == len(set(itertools.product({c[i] for c in grid.cells}, {c[j] for c in grid.cells})))
    assert set(fraction_of(grid, 0.25, keep=7).cells) <= set(part.cells)
    with pytest.raises(InputError, match="fraction is 0"):
        fraction_of(grid, 0, keep=0)


def test_network_and_settings_of_a_setting() -> None:
    setting = canonical(
        full_grid({"units": (5,)}, {"epochs": 3, "direction": "backward_as_written"}).setting((0,)), STEPS
    )
    assert (network_of(setting, STEPS).units, network_of(setting, STEPS).direction) == (5, "forward")
    assert (settings_of(setting, seed=4).epochs, settings_of(setting, seed=4).seed) == (3, 4)
