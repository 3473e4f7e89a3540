"""What a cell is: its gates in order, its states, the shapes of its weights.

The order of the gates is Keras's and is stated here and nowhere else in Python; `csrc/cells/*.inc`
follows it, and the oracle (`bothways.engine.reference`), which reads it from here, holds the two together
in the tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bothways.errors import InputError

ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear", "hard_sigmoid")
"""What a cell can make of its sums, in the order of `enum class Function` in csrc/engine.h. `bothways.engine.cells` has
the functions, under Keras's names."""


@dataclass(frozen=True)
class CellSpec:
    """One kind of recurrent cell."""

    name: str  # how users call it
    gates: tuple[str, ...]
    """The gates, in the order in which their blocks of `units` columns stand in `kernel`, `recurrent_kernel` and
    `bias`."""
    states: tuple[str, ...]  # the states that one step hands to the next; the first one is the output
    biases: int = 1  # rows of the bias: one, or one for the kernel and one for the recurrent kernel
    activation: str = "tanh"  # of the candidate and, in an LSTM, of c; one of `ACTIVATIONS`
    recurrent_activation: str = "sigmoid"  # of the gates
    kind: str = ""  # the key in `CELLS` of the cell that it is but for its activations

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
    CellSpec("rnn_relu", gates=("output",), states=("h",), activation="relu"),
    CellSpec("gru_reset_before", gates=("update", "reset", "candidate"), states=("h",)),
)

CELLS: Mapping[str, CellSpec] = {cell.name: replace(cell, kind=cell.name) for cell in _CELLS}
"""The cells by name: an LSTM; a GRU with the reset after the product (Keras's default); a simple recurrent layer
with tanh, and one with relu; a GRU with the reset before the product (Keras's `reset_after=False`). With other
functions they have names such as "lstm/relu/sigmoid", which `cell_named` makes."""


def cell_named(kind: str, activation: str, recurrent_activation: str = "sigmoid") -> str:
    """The name of a cell of a kind in `CELLS` with these functions, of `ACTIVATIONS`; the second one is for the gates.

    Example:
        >>> cell_named("gru", "tanh"), cell_named("gru", "relu", "hard_sigmoid")
        ('gru', 'gru/relu/hard_sigmoid')
    """
    own = cell_spec(kind)
    same = (activation, recurrent_activation) == (own.activation, own.recurrent_activation)
    return kind if same else f"{kind}/{activation}/{recurrent_activation}"


# By the numbers by which the compiled engine knows them: that of the kind, and in the bits above, if there are other
# functions, that of the two of them, from 1 on.
_NUMBERS = dict(enumerate(CELLS.values())) | {
    kind + 256 * functions: replace(cell, name=f"{cell.name}/{f}/{g}", activation=f, recurrent_activation=g)
    for kind, cell in enumerate(CELLS.values())
    for functions, (g, f) in enumerate(itertools.product(ACTIVATIONS, repeat=2), 1)
}
_NAMES = {spec.name: number for number, spec in _NUMBERS.items()}


def cell_number(name: str) -> int:
    """The number by which the compiled engine knows the cell."""
    return _NAMES[cell_spec(name).name]


def cell_spec(name: str) -> CellSpec:
    """The cell called `name`."""
    if not isinstance(name, str) or name not in _NAMES:
        raise InputError(f"There is no cell {name!r}. Use one of: {', '.join(CELLS)}.")
    return _NUMBERS[_NAMES[name]]
