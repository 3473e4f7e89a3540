"""The grid: which settings there are, and which of them cannot work."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bothways.errors import InputError, option
from bothways.study.factors import DataShape, Setting, Value, checked_settings, default

MANY_RUNS = 3000  # a grid of more runs is refused, unless the user says that it is meant
GridCell = tuple[int, ...]  # for each factor, the place of its value in `Grid.vary`


@dataclass(frozen=True)
class Grid:
    """Settings to compare: the values of each factor, those of others for all, and the combinations that are meant."""

    vary: Mapping[str, tuple[Value, ...]]
    base: Mapping[str, Value]
    cells: tuple[GridCell, ...]

    def __post_init__(self) -> None:
        if both := set(self.base) & set(self.vary):
            name = min(both)
            raise InputError(f"{name} is varied, and so it cannot be set to {self.base[name]!r} for all.")

    @classmethod
    def full(cls, vary: Mapping[str, tuple[Value, ...]], base: Mapping[str, Value] | None = None) -> Grid:
        """Every combination of values."""
        cells = tuple(itertools.product(*(range(len(each)) for each in vary.values())))
        return cls(vary, checked_settings(base or {}), cells)

    def beside(self, usual: Mapping[str, Value]) -> Grid:
        """The same, with these values of factors that are neither varied nor set."""
        return replace(self, base={**{name: usual[name] for name in usual.keys() - self.vary.keys()}, **self.base})

    def choices(self, name: str) -> tuple[Value, ...]:
        """All values of a factor, which is varied, set, or at its default."""
        return self.vary.get(name, (self.base.get(name, default(name)),))

    def values(self, cell: GridCell) -> dict[str, Value]:
        """The values of the varied factors."""
        return {name: values[i] for (name, values), i in zip(self.vary.items(), cell, strict=True)}

    def setting(self, cell: GridCell) -> Setting:
        """The values of all factors."""
        return Setting.of({**self.base, **self.values(cell)})

    def name(self, cell: GridCell) -> str:
        """The varied factors in words."""
        return " ".join(f"{name}={value}" for name, value in self.values(cell).items()) or "the only setting"

    def reference(self, wanted: Mapping[str, Value]) -> GridCell:
        """The cell that others are compared with: `wanted`, else the default of a factor, else its first value."""
        wanted = checked_settings(wanted)
        if unknown := set(wanted) - set(self.vary):
            raise InputError(
                f"The reference names {', '.join(sorted(unknown))}, not varied here. Varied: {', '.join(self.vary)}."
            )
        choice = []
        for name, values in self.vary.items():
            value = wanted.get(name, default(name) if default(name) in values else values[0])
            if value not in values:
                raise InputError(f"The reference has {name}={value}, which is not among the values: {values}.")
            choice.append(values.index(value))
        return tuple(choice)

    def part(self, fraction: float, keep: GridCell) -> Grid:
        """A share of a full grid in which every value, and every pair of values, occurs about equally often.

        Cells are taken one by one, each the one whose values were met least so far, ties by lot from a fixed seed; so
        the cells of a smaller fraction are among those of a larger one. `keep` is kept whatever happens.
        """
        if fraction == 1:
            return self
        cells, factors = np.array(self.cells), range(len(self.vary))
        groups = [*((i,) for i in factors), *itertools.combinations(factors, 2)]
        columns = [np.unique(cells[:, list(group)], axis=0, return_inverse=True)[1].ravel() for group in groups]
        met = [np.zeros(column.max() + 1) for column in columns]
        lots = np.random.default_rng(0).random(len(cells))
        left = np.ones(len(cells), bool)
        chosen = [self.cells.index(keep)]
        while True:
            left[chosen[-1]] = False
            for column, counts in zip(columns, met, strict=True):
                counts[column[chosen[-1]]] += 1
            if len(chosen) >= fraction * len(cells):
                break
            # Adding a cell raises the sum of squared counts by twice these, and a constant; rarer values weigh more.
            cost = sum(counts[column] * len(counts) for column, counts in zip(columns, met, strict=True))
            chosen.append(int(np.lexsort((lots, np.where(left, cost, np.inf)))[0]))
        return replace(self, cells=tuple(self.cells[i] for i in sorted(chosen)))

    def check(self, shape: DataShape) -> None:
        """Refuse settings that cannot work on data of such a shape, before anything is trained."""
        refused = {self.name(cell): self.setting(cell).alone(shape).refused(shape) for cell in self.cells}
        wrong = [f"{name}: {reason.removesuffix('.')}" for name, reason in refused.items() if reason]
        if wrong:
            more = f" {len(wrong)} of {len(self.cells)} settings cannot work." if len(wrong) > 1 else ""
            raise InputError(f"{wrong[0]}. Leave out that value.{more}")


def check_size(vary: Mapping[str, Sequence[Value]], seeds: int, fraction: float, yes: bool) -> None:
    """Refuse a grid of more than `MANY_RUNS` before it is made, unless it is meant."""
    cells = math.ceil(math.prod(len(values) for values in vary.values()) * fraction)
    if cells * seeds > MANY_RUNS and not yes:
        sizes = ", ".join(f"{name}: {len(values)}" for name, values in vary.items())
        raise InputError(
            f"{cells:,} settings with {seeds} seeds each are {cells * seeds:,} runs ({sizes}). Vary less, run a part "
            f"of them with {option('fraction')}, or say {option('yes', True)} if that is meant."
        )
