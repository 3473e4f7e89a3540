"""Factors, settings and grids: what can be varied, what is the same run, what cannot work."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest

from bothways.errors import InputError
from bothways.study.factors import WIDE, DataShape, Setting, Value, checked_vary, factors, parse_settings, parse_vary
from bothways.study.grid import Grid, check_size

STEPS = DataShape(features=2, classes=2, longest=10)
USUAL = {name: option.usual for name, option in factors().items() if option.usual}


def test_every_factor_with_usual_values_can_take_them() -> None:
    for name, values in checked_vary(dict.fromkeys(USUAL)).items():
        assert len(values) > 1, name
        for value in values:
            Setting.of({"conv_window": 1, name: value}).network(STEPS)


def test_how_a_table_is_prepared_can_be_varied_and_seeds_and_what_the_data_tell_cannot() -> None:
    assert not {"seed", "features", "classes", "categories", "per"} & set(factors())


def test_many_numbers_enter_standardised_where_no_settings_are_looked_for() -> None:
    wide, words = STEPS._replace(features=WIDE + 1), STEPS._replace(features=WIDE + 1, categories=(1,))
    assert [each.network_once({}).encoding for each in (STEPS, words, wide)] == ["piecewise", "piecewise", "standard"]
    assert wide.network_once({"encoding": "piecewise", "changes": 2}).changes == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["direction,merge"], {"direction": USUAL["direction"], "merge_mode": USUAL["merge_mode"]}),
        (["units=16,32", "depth=1"], {"units": (16, 32), "depth": (1,)}),
        (["units=16,32,depth"], {"units": (16, 32), "depth": USUAL["depth"]}),
        (["direction,conv.window=0,5"], {"direction": USUAL["direction"], "conv_window": (0, 5)}),
        (["learning-rate=1e-3,0.1"], {"learning_rate": (0.001, 0.1)}),
        (["patience=0,3"], {"patience": (None, 3)}),
        (["levels,changes=0,2"], {"levels": ("raw", "centered", "scaled", "both"), "changes": (0, 2)}),
    ],
)
def test_factors_from_the_command_line(arguments: list[str], expected: dict[str, object]) -> None:
    assert parse_vary(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dircetion"], "no factor 'dircetion'. Did you mean 'direction'"),
        (["direction=up"], "no direction 'up'. Use one of: forward, backward, both"),
        (["units=0"], "units is 0"),
        (["units=few"], "units is 'few'; it must be a whole number"),
        (["units=8,8"], "none twice"),
        (["units,units=8"], "given twice"),
        (["epochs"], "epochs has no usual values"),
        (["merge=add"], "no merge_mode 'add'"),
        (["dropout=2"], r"dropout is 2\.0"),
    ],
)
def test_what_no_factor_can_be_is_told(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_vary(arguments)


def test_settings_from_the_command_line() -> None:
    expected = {"units": 20, "merge_mode": "sum", "class_weight": None, "patience": None}
    assert parse_settings(["units=20", "merge=sum", "class_weight=none", "patience=0"]) == expected
    with pytest.raises(InputError, match="write NAME=VALUE"):
        parse_settings(["units"])


def test_a_setting_is_one_value_from_its_words_to_its_network() -> None:
    setting = Setting.of({"units": 5, "epochs": 3, "changes": 1, "depth": 1})
    assert setting == Setting.of(json.loads(setting.text))
    assert hash(setting) == hash(Setting.of({"changes": 1, "epochs": 3, "units": 5}))
    assert (setting.network(STEPS).units, setting.network(STEPS).features) == (5, 2)
    assert (setting.settings(seed=4).epochs, setting.settings(seed=4).seed) == (3, 4)
    assert setting.network(STEPS).changes == 1
    assert (setting["units"], setting["depth"], str(Setting())) == (5, 1, "all defaults")


def test_a_million_cells_are_counted_and_refused() -> None:
    vary = {"units": range(1, 1001), "depth": range(1, 1001)}
    with pytest.raises(InputError, match="1,000,000 settings with 2 seeds each are 2,000,000 runs"):
        check_size(vary, seeds=2, fraction=1.0, yes=False)
    check_size(vary, seeds=2, fraction=1.0, yes=True)


def test_values_that_change_nothing_share_a_run() -> None:
    vary: dict[str, tuple[Value, ...]] = {
        "direction": ("forward", "both"),
        "merge_mode": ("concat", "sum"),
        "conv_window": (0, 3),
        "conv_stride": (1, 2),
        "pooling": ("last", "max"),
        "embedding": (8, 16),
    }
    grid = Grid.full(vary)
    # forward: no merge; a window of 0: no stride; labels of steps: no pooling; no categories: no embedding
    assert len({grid.setting(cell).alone(STEPS) for cell in grid.cells}) == (1 + 2) * (1 + 2)
    sequences = STEPS._replace(per="sequence", categories=(5,), features=3)
    assert len({grid.setting(cell).alone(sequences) for cell in grid.cells}) == (1 + 2) * (1 + 2) * 2 * 2


def test_classes_weigh_where_a_crf_has_no_effect() -> None:
    setting = Setting.of({"head": "crf", "class_weight": "balanced"})
    assert setting.alone(STEPS) == Setting.of({"head": "crf"})
    assert setting.alone(STEPS._replace(per="sequence")) == Setting.of({"class_weight": "balanced"})


@pytest.mark.parametrize(
    ("vary", "base", "message"),
    [
        ({"conv_window": (0, 12)}, {}, "conv_window=12: a convolution with a window of 12 steps is longer"),
        ({"conv_window": (12, 13)}, {}, "2 of 2 settings cannot work"),
        ({"conv_stride": (1, 12)}, {"conv_window": 3}, "conv_stride=12: a convolution with a stride of 12"),
    ],
)
def test_settings_that_cannot_work_are_named(
    vary: dict[str, tuple[int, ...]], base: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Grid.full(vary, base).check(STEPS)


def test_what_is_varied_cannot_be_set() -> None:
    with pytest.raises(InputError, match="units is varied, and so it cannot be set"):
        Grid.full({"units": (8, 16)}, {"units": 4})


def test_the_reference() -> None:
    grid = Grid.full({"direction": ("forward", "both"), "units": (8, 16)})
    assert grid.values(grid.reference({})) == {"direction": "both", "units": 8}
    assert grid.values(grid.reference({"direction": "forward", "units": 16})) == {"direction": "forward", "units": 16}
    with pytest.raises(InputError, match="units=32, which is not among the values"):
        grid.reference({"units": 32})
    with pytest.raises(InputError, match="The reference names depth"):
        grid.reference({"depth": 1})


def test_a_fraction_is_balanced() -> None:
    grid = Grid.full({"units": (8, 16, 32), "depth": (1, 2), "cell": ("lstm", "gru"), "batch_size": (4, 8, 16)})
    keep = grid.cells[7]
    part = grid.part(0.5, keep)
    assert len(part.cells) == 18
    assert keep in part.cells
    for i in range(4):
        counts = Counter(cell[i] for cell in part.cells).values()
        assert max(counts) - min(counts) <= 1
    for i, j in itertools.combinations(range(4), 2):
        pairs = Counter((cell[i], cell[j]) for cell in part.cells)
        assert len(pairs) == len(set(itertools.product({c[i] for c in grid.cells}, {c[j] for c in grid.cells})))
    assert set(grid.part(0.25, keep).cells) <= set(part.cells)
