"""The grid: which settings there are, which of them are the same run, and which cannot work."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bothways.errors import InputError, option
from bothways.network import Network
from bothways.settings import Settings
from bothways.study.factors import AS_WRITTEN, Setting, Value, check_value, factor, factors

MANY_RUNS = 3000
"""A grid of more runs is counted and refused, unless the user says that it is meant."""


@dataclass(frozen=True)
class Shape:
    """What the data tell about every network.

    Attributes:
        features: the numbers of a step, codes of categories included.
        classes: how many there are.
        categories: the codes of each category column.
        per: "step" or "sequence", what has a label.
        longest: the steps of the longest sequence to train on.
    """

    features: int
    classes: int
    categories: tuple[int, ...] = ()
    per: str = "step"
    longest: int = 1


@dataclass(frozen=True)
class Grid:
    """Settings to compare.

    Attributes:
        vary: the values of each factor, by field.
        base: what the other factors are, where not their defaults.
        cells: for each cell, the place of its value in `vary`, factor by factor.

    Example:
        >>> grid = full_grid({"direction": ("forward", "both"), "merge_mode": ("concat", "sum")})
        >>> [grid.name(cell) for cell in grid.cells]
        ['direction=forward merge_mode=concat', 'direction=forward merge_mode=sum', ...]
        >>> len(grid.cells), len(set(grid.keys(Shape(features=1, classes=2))))
        (4, 3)
    """

    vary: Mapping[str, tuple[Value, ...]]
    base: Mapping[str, Value]
    cells: tuple[tuple[int, ...], ...]

    @property
    def full(self) -> bool:
        """Whether every combination of values is there."""
        return len(self.cells) == math.prod(len(values) for values in self.vary.values())

    def values(self, cell: Sequence[int]) -> Setting:
        """The values of the varied factors."""
        return {field: values[i] for (field, values), i in zip(self.vary.items(), cell, strict=True)}

    def setting(self, cell: Sequence[int]) -> Setting:
        """The values of all factors."""
        return {name: each.default for name, each in factors().items()} | dict(self.base) | self.values(cell)

    def name(self, cell: Sequence[int]) -> str:
        """The varied factors in words."""
        return " ".join(f"{field}={value}" for field, value in self.values(cell).items()) or "the only setting"

    def keys(self, shape: Shape) -> list[str]:
        """For each cell the text that tells its run from others; cells of equal text are the same run."""
        return [key_of(canonical(self.setting(cell), shape)) for cell in self.cells]

    def reference(self, wanted: Mapping[str, Value]) -> tuple[int, ...]:
        """The cell to compare the others with, whether it is among `cells` or not.

        Args:
            wanted: values of some of the varied factors; the others take the default, or their first value.

        Raises:
            InputError: no such values.
        """
        wanted = {factor(name).field: value for name, value in wanted.items()}
        choice = []
        for field, values in self.vary.items():
            default = factors()[field].default
            value = wanted.pop(field) if field in wanted else default if default in values else values[0]
            if value not in values:
                raise InputError(f"The reference has {field}={value}, which is not among the values: {values}.")
            choice.append(values.index(value))
        if wanted:
            raise InputError(f"The reference names {', '.join(wanted)}, which does not vary. Varied: {self.names}.")
        return tuple(choice)

    @property
    def names(self) -> str:
        """The varied factors, for messages."""
        return ", ".join(self.vary)


def full_grid(vary: Mapping[str, tuple[Value, ...]], base: Mapping[str, Value] | None = None) -> Grid:
    """Every combination of values.

    Args:
        vary: the values of each factor, as `checked_vary` gives them.
        base: values of factors that are not varied.

    Raises:
        InputError: a base value out of its range, or of a factor that is varied.
    """
    places = itertools.product(*(range(len(values)) for values in vary.values()))
    return Grid(dict(vary), checked_base(vary, base or {}), tuple(places))


def checked_base(vary: Mapping[str, tuple[Value, ...]], base: Mapping[str, Value]) -> Setting:
    """Values of factors that are not varied, by field.

    Raises:
        InputError: a value out of its range, or of a factor that is varied.
    """
    checked: Setting = {}
    for name, value in base.items():
        field = factor(name).field
        check_value(field, value)
        if field in vary:
            raise InputError(f"{field} is varied, and so it cannot be set to {value!r} for all.")
        checked[field] = value
    return checked


def check_size(vary: Mapping[str, Sequence[Value]], seeds: int, fraction: float, yes: bool) -> int:
    """Count the runs of a grid before it is made.

    Raises:
        InputError: there are more than `MANY_RUNS`, and nobody said that this is meant.

    Example:
        >>> check_size({"units": range(1, 1001), "depth": range(1, 101)}, seeds=10, fraction=1.0, yes=False)
        Traceback (most recent call last):
        bothways.errors.InputError: 100,000 settings with 10 seeds each are 1,000,000 runs (units: 1000, depth: 100). \
Vary less, run a part of them with fraction=, or say yes=True if that is meant.
    """
    cells = math.ceil(math.prod(len(values) for values in vary.values()) * fraction)
    if cells * seeds > MANY_RUNS and not yes:
        sizes = ", ".join(f"{field}: {len(values)}" for field, values in vary.items())
        raise InputError(
            f"{cells:,} settings with {seeds} seeds each are {cells * seeds:,} runs ({sizes}). Vary less, run a part "
            f"of them with {option('fraction')}, or say {option('yes', True)} if that is meant."
        )
    return cells * seeds


def fraction_of(grid: Grid, fraction: float, keep: int) -> Grid:
    """A part of a grid in which every value, and every pair of values, stands about equally often.

    Cells are taken one by one, each the one whose values were met least so far, ties by lot from a fixed seed; so the
    cells of a smaller fraction are among those of a larger one.

    Args:
        grid: a full grid.
        fraction: the share to keep, above 0 and at most 1.
        keep: the number of a cell that is kept whatever happens, the reference.

    Raises:
        InputError: a fraction out of its range.

    Example:
        >>> grid = full_grid({"direction": ("forward", "both"), "units": (8, 16)})
        >>> fraction_of(grid, 0.5, keep=0).cells
        ((0, 0), (1, 1))
    """
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 < fraction <= 1:
        raise InputError(f"fraction is {fraction!r}; it must be above 0 and at most 1, as 0.5.")
    if fraction == 1:
        return grid
    cells = np.array(grid.cells)
    columns = [_codes(cells[:, list(pair)]) for pair in _pairs(cells.shape[1])]
    met = [np.zeros(column.max() + 1) for column in columns]
    lots = np.random.default_rng(0).random(len(cells))
    left = np.ones(len(cells), bool)
    chosen = [keep]
    while True:
        left[chosen[-1]] = False
        for column, counts in zip(columns, met, strict=True):
            counts[column[chosen[-1]]] += 1
        if len(chosen) >= fraction * len(cells):
            break
        # Adding a cell raises the sum of squared counts by twice these, and a constant; rarer values weigh more.
        cost = sum(counts[column] * len(counts) for column, counts in zip(columns, met, strict=True))
        chosen.append(int(np.lexsort((lots, np.where(left, cost, np.inf)))[0]))
    return Grid(grid.vary, grid.base, tuple(grid.cells[i] for i in sorted(chosen)))


def _pairs(factors_: int) -> list[tuple[int, ...]]:
    return [*((i,) for i in range(factors_)), *itertools.combinations(range(factors_), 2)]


def _codes(columns: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.unique(columns, axis=0, return_inverse=True)[1].ravel()


def canonical(setting: Mapping[str, Value], shape: Shape) -> Setting:
    """A setting with the values that change nothing set to their defaults: settings of equal result are equal.

    Example:
        >>> setting = {"direction": "forward", "merge_mode": "sum"}
        >>> canonical(setting, Shape(features=1, classes=2))
        {'direction': 'forward', 'merge_mode': 'concat'}
    """
    nothing = idle(setting, shape)
    return {name: factors()[name].default if name in nothing else value for name, value in setting.items()}


def idle(setting: Mapping[str, Value], shape: Shape) -> set[str]:
    """The factors that do nothing beside the values of the others.

    Example:
        >>> sorted(idle({"direction": "forward", "conv_window": 0}, Shape(features=1, classes=2)))
        ['category_dropout', 'conv_stride', 'embedding', 'merge_mode', 'pooling']
    """
    found = set()
    if setting.get("direction") != "both":
        found.add("merge_mode")
    if setting.get("conv_window") == 0:
        found.add("conv_stride")
    found.add("window" if shape.per == "sequence" else "pooling")
    if not shape.categories:
        found |= {"embedding", "category_dropout"}
    return found


def key_of(setting: Mapping[str, Value]) -> str:
    """The text that tells the run of a canonical setting from others: what is not a default, sorted by name.

    Defaults are part of the study as a whole, so a factor that a later version adds changes no text.
    """
    known = factors()
    changed = {name: setting[name] for name in sorted(setting) if setting[name] != known[name].default}
    return json.dumps(changed)


def network_of(setting: Mapping[str, Value], shape: Shape) -> Network:
    """The network of a setting.

    Raises:
        InputError: there can be none; says why.
    """
    fields = {name: setting[name] for name, each in factors().items() if each.home == "network" and name in setting}
    if fields.get("direction") == AS_WRITTEN:
        fields["direction"] = "forward"
    told: dict[str, object] = {"features": shape.features, "classes": shape.classes}
    # Left out where they are the defaults.
    told |= {"categories": shape.categories} if shape.categories else {}
    told |= {"per": shape.per} if shape.per != "step" else {}
    network = Network(**(told | fields))  # type: ignore[arg-type]  # checked there
    for name, what in (("conv_window", "window"), ("conv_stride", "stride")):
        length = fields.get(name)
        if fields.get("conv_window") and isinstance(length, int) and length > shape.longest:
            raise InputError(
                f"a convolution with a {what} of {length} steps is longer than the longest sequence, "
                f"which has {shape.longest}"
            )
    return network


def settings_of(setting: Mapping[str, Value], seed: int) -> Settings:
    """How to train a setting.

    Raises:
        InputError: a value out of its range.
    """
    fields = {name: setting[name] for name, each in factors().items() if each.home == "settings" and name in setting}
    return Settings(**fields, seed=seed)  # type: ignore[arg-type]  # checked there


def check_cells(grid: Grid, shape: Shape) -> None:
    """Refuse settings that cannot work, before anything is trained.

    Raises:
        InputError: names the first of them, why, and how many there are.

    Example:
        >>> grid = full_grid({"depth": (1, 2)}, base={"units": 4})
        >>> check_cells(grid, Shape(features=1, classes=2))
    """
    wrong = []
    for cell in grid.cells:
        setting = canonical(grid.setting(cell), shape)
        try:
            network_of(setting, shape)
            settings_of(setting, seed=0)
        except InputError as reason:
            wrong.append((grid.name(cell), str(reason)))
    if wrong:
        more = f" {len(wrong)} of {len(grid.cells)} settings cannot work." if len(wrong) > 1 else ""
        raise InputError(f"{wrong[0][0]}: {wrong[0][1].removesuffix('.')}. Leave out that value.{more}")
