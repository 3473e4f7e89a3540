"""Recurrent layers as nodes of ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.spec import cell_spec

Array = npt.NDArray[Any]


class Operator(NamedTuple):
    """The operator for a cell.

    Attributes:
        name: what ONNX calls it.
        gates: in the order of ONNX, by their names in `bothways.spec`.
        reset: for GRU, whether the reset comes after the product ("linear_before_reset").
        activations: for each direction, where they are not the default ones.
    """

    name: str
    gates: tuple[str, ...]
    reset: int | None = None
    activations: tuple[str, ...] = ()

    def attributes(self, directions: int) -> dict[str, Any]:
        """Those of a node of so many directions."""
        reset = {} if self.reset is None else {"linear_before_reset": self.reset}
        return reset | ({"activations": list(self.activations) * directions} if self.activations else {})


_GRU = ("update", "reset", "candidate")

OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "lstm": Operator("LSTM", ("input", "output", "forget", "candidate")),
        "gru": Operator("GRU", _GRU, reset=1),
        "rnn": Operator("RNN", ("output",)),
        "rnn_relu": Operator("RNN", ("output",), activations=("Relu",)),
        "gru_reset_before": Operator("GRU", _GRU, reset=0),
    }
)
"""For each cell of `bothways.spec.CELLS` its operator."""


def weights(cell: str, directions: Sequence[Mapping[str, Array]]) -> tuple[Array, Array, Array]:
    """The inputs W, R and B of a node.

    Args:
        cell: its name.
        directions: `kernel`, `recurrent_kernel` and `bias` of each, in Keras's order of gates.

    Example:
        >>> one = {"kernel": np.arange(8.0)[None], "recurrent_kernel": np.ones((2, 8)), "bias": np.ones(8)}
        >>> W, R, B = weights("lstm", [one])
        >>> W[0, :, 0], R.shape, B.shape
        (array([0., 1., 6., 7., 2., 3., 4., 5.]), (1, 8, 2), (1, 16))
    """
    spec = cell_spec(cell)
    order = [spec.gates.index(gate) for gate in OPERATORS[cell].gates]

    def in_order(array: Array) -> Array:
        return array.reshape(-1, len(order), array.shape[-1] // len(order))[:, order].reshape(-1, array.shape[-1])

    kernels, recurrent = (
        np.stack([in_order(each[name]).T for each in directions]) for name in ("kernel", "recurrent_kernel")
    )
    biases = [in_order(each["bias"]) for each in directions]
    if spec.biases == 1:
        biases = [np.concatenate([bias, np.zeros_like(bias)]) for bias in biases]
    return kernels, recurrent, np.stack([bias.reshape(-1) for bias in biases])
