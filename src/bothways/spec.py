"""What a cell is: its gates in order, its states, the shapes of its weights.

The order of the gates is Keras's and is stated here and nowhere else in Python; `csrc/cells/*.inc`
follows it, and the oracle (`bothways.engine.reference`), which reads it from here, holds the two together
in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bothways.errors import InputError


@dataclass(frozen=True)
class CellSpec:
    """One kind of recurrent cell.

    Attributes:
        name: how users call it.
        gates: the gates, in the order in which their blocks of `units` columns stand in
            `kernel`, `recurrent_kernel` and `bias`.
        states: the states that one step hands to the next; the first one is the output.
        biases: rows of the bias: one, or one for the kernel and one for the recurrent kernel.

    Example:
        >>> CELLS["lstm"].weight_shapes(features=3, units=8)
        {'kernel': (3, 32), 'recurrent_kernel': (8, 32), 'bias': (32,)}
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    biases: int = 1

    def weight_shapes(self, features: int, units: int) -> dict[str, tuple[int, ...]]:
        """The shapes of `kernel`, `recurrent_kernel` and `bias`, in Keras's order of weights."""
        columns = len(self.gates) * units
        bias = (columns,) if self.biases == 1 else (self.biases, columns)
        return {"kernel": (features, columns), "recurrent_kernel": (units, columns), "bias": bias}


# In the order of `enum class CellKind` in csrc/engine.h.
_CELLS = (
    CellSpec("lstm", gates=("input", "forget", "candidate", "output"), states=("h", "c")),
    CellSpec("gru", gates=("update", "reset", "candidate"), states=("h",), biases=2),
    CellSpec("rnn", gates=("output",), states=("h",)),
    CellSpec("rnn_relu", gates=("output",), states=("h",)),
    CellSpec("gru_reset_before", gates=("update", "reset", "candidate"), states=("h",)),
)

CELLS: Mapping[str, CellSpec] = MappingProxyType({cell.name: cell for cell in _CELLS})
"""The cells by name: an LSTM; a GRU with the reset after the product (Keras's default); a simple recurrent layer
with tanh, and one with relu; a GRU with the reset before the product (Keras's `reset_after=False`)."""


def cell_number(name: str) -> int:
    """The number by which the compiled engine knows the cell.

    Example:
        >>> cell_number("lstm")
        0
    """
    return list(CELLS).index(cell_spec(name).name)


def cell_spec(name: str) -> CellSpec:
    """The cell called `name`.

    Raises:
        InputError: there is no such cell.

    Example:
        >>> cell_spec("lstm").states
        ('h', 'c')
    """
    if not isinstance(name, str) or name not in CELLS:
        raise InputError(f"There is no cell {name!r}. Use one of: {', '.join(CELLS)}.")
    return CELLS[name]
