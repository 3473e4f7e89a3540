"""What a cell is: its gates in order, its states, the shapes of its weights.

The order of the gates is Keras's and is stated here and nowhere else in Python; `csrc/cells/*.inc`
follows it, and the oracle (`bothways.engine.reference`), which reads it from here, holds the two together
in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Mapping

from bothways.errors import InputError


@dataclass(frozen=True)
class CellSpec:
    """One kind of recurrent cell.

    Attributes:
        name: how users call it.
        gates: the gates, in the order in which their blocks of `units` columns stand in
            `kernel`, `recurrent_kernel` and `bias`.
        states: the states that one step hands to the next; the first one is the output.

    Example:
        >>> CELLS["lstm"].weight_shapes(features=3, units=8)
        {'kernel': (3, 32), 'recurrent_kernel': (8, 32), 'bias': (32,)}
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]

    def weight_shapes(self, features: int, units: int) -> dict[str, tuple[int, ...]]:
        """The shapes of `kernel`, `recurrent_kernel` and `bias`, in Keras's order of weights."""
        columns = len(self.gates) * units
        return {"kernel": (features, columns), "recurrent_kernel": (units, columns), "bias": (columns,)}


CELLS: Mapping[str, CellSpec] = MappingProxyType(
    {"lstm": CellSpec("lstm", gates=("input", "forget", "candidate", "output"), states=("h", "c"))}
)


def cell_spec(name: str) -> CellSpec:
    """The cell called `name`.

    Raises:
        InputError: there is no such cell.

    Example:
        >>> cell_spec("lstm").states
        ('h', 'c')
    """
    if name not in CELLS:
        raise InputError(f"There is no cell {name!r}. Use one of: {', '.join(CELLS)}.")
    return CELLS[name]
