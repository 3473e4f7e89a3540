"""Recurrent layers as nodes of ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bothways.sequences import Array
from bothways.spec import cell_spec


class Operator(NamedTuple):
    """The operator for a cell; its gates, by their names in `bothways.spec`, in the order of ONNX."""

    name: str
    gates: tuple[str, ...]


_GRU = ("update", "reset", "candidate")

OPERATORS: Mapping[str, Operator] = {
    "lstm": Operator("LSTM", ("input", "output", "forget", "candidate")),
    "gru": Operator("GRU", _GRU),
    "rnn": Operator("RNN", ("output",)),
    "rnn_relu": Operator("RNN", ("output",)),
    "gru_reset_before": Operator("GRU", _GRU),
}
"""For each cell of `bothways.spec.CELLS` its operator."""

# For each activation of `bothways.spec` its name, and its alpha and beta, if it has them.
_ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "relu": ("Relu", ()),
    "linear": ("Affine", (1.0, 0.0)),
    "hard_sigmoid": ("HardSigmoid", (1 / 6, 0.5)),
}


def attributes(cell: str, directions: int) -> dict[str, Any]:
    """Those of a node with this many directions, beside its size."""
    spec = cell_spec(cell)
    gates = [spec.recurrent_activation] if len(spec.gates) > 1 else []
    names = [*gates, *[spec.activation] * len(spec.states)] * directions
    found: dict[str, Any] = {}
    if OPERATORS[spec.kind].name == "GRU":
        found["linear_before_reset"] = int(spec.kind == "gru")
    if cell in ("lstm", "gru", "gru_reset_before", "rnn"):  # whose activations are those of ONNX anyway
        return found
    found["activations"] = [_ACTIVATIONS[name][0] for name in names]
    numbers = [_ACTIVATIONS[name][1] for name in names if _ACTIVATIONS[name][1]]
    if numbers:
        found["activation_alpha"], found["activation_beta"] = map(list, zip(*numbers, strict=True))
    return found


def weights(cell: str, directions: Sequence[Mapping[str, Array]]) -> tuple[Array, Array, Array]:
    """The inputs W, R and B of a node, from the kernels and biases of each direction, in Keras's order of gates."""
    spec = cell_spec(cell)
    order = [spec.gates.index(gate) for gate in OPERATORS[spec.kind].gates]

    def in_order(array: Array) -> Array:
        return array.reshape(-1, len(order), array.shape[-1] // len(order))[:, order].reshape(-1, array.shape[-1])

    kernels, recurrent = (
        np.stack([in_order(each[name]).T for each in directions]) for name in ("kernel", "recurrent_kernel")
    )
    biases = [in_order(each["bias"]) for each in directions]
    if spec.biases == 1:
        biases = [np.concatenate([bias, np.zeros_like(bias)]) for bias in biases]
    return kernels, recurrent, np.stack([bias.reshape(-1) for bias in biases])
