"""What is measured, and against whom."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bothways.errors import InputError
from bothways.options import Option
from bothways.spec import cell_spec

OURS = "bothways"
SGEMM = "sgemm"
"""The worker that multiplies matrices with NumPy: what the machine can reach."""

SGEMM_SIZE = 1024

CALM_SLICES = 3  # with this many slices of time that no other program disturbed, disturbed ones do not count

MODES = ("infer", "train")
DTYPES = ("float32", "bfloat16", "int8")
"""What our matrix products multiply; all else is float32. Only inference has int8. Peers have one dtype each."""


class Shape(NamedTuple):
    """Sizes of one layer and its batch."""

    batch: int
    time: int
    features: int
    units: int

    def __str__(self) -> str:
        return ",".join(map(str, self))


_SMALL = (Shape(1, 10, 1, 20), Shape(1, 100, 32, 128), Shape(32, 10, 1, 20), Shape(32, 100, 64, 128))
_WIDE = (Shape(64, 200, 64, 256), Shape(16, 50, 300, 512), Shape(256, 100, 16, 64))

SHAPES: Mapping[str, tuple[Shape, ...]] = {"small": _SMALL, "all": _SMALL + _WIDE}
"""Sets of shapes by name: from one short sequence, where calling costs most, to wide ones, where arithmetic does."""


@dataclass(frozen=True)
class Peer:
    """Someone else's layer."""

    title: str  # for people
    modules: tuple[str, ...]  # what must be installed
    trains: bool = True  # whether it has gradients
    dtype: str = DTYPES[0]  # what its matrix products multiply


PEERS: Mapping[str, Peer] = {
    "torch": Peer("torch", ("torch",)),
    "onnxruntime": Peer("ONNX RT", ("onnxruntime", "onnx"), trains=False),
    "onnxruntime-int8": Peer("ONNX RT int8", ("onnxruntime", "onnx"), trains=False, dtype="int8"),
    "openvino": Peer("Open VINO", ("openvino", "onnx"), trains=False),
    "keras-jax": Peer("Keras JAX", ("keras", "jax")),
    "keras-torch": Peer("Keras torch", ("keras", "torch")),
    "keras-tensorflow": Peer("Keras TF", ("keras", "tensorflow")),
}
"""Who can be measured against; `bothways.bench.peers` says how."""


@dataclass(frozen=True)
class Case:
    """One thing to measure: a layer that gives every step, the outputs of two directions side by side."""

    shape: Shape
    cell: str = "lstm"  # a key of `bothways.spec.CELLS`
    mode: str = "infer"  # that is the outputs; "train" also the gradients of the input and of all weights
    dtype: str = DTYPES[0]  # one of `DTYPES`, for ours; peers have their own whatever it is
    directions: int = 2  # or 1

    def __post_init__(self) -> None:
        cell_spec(self.cell)
        for name, choices in {"mode": MODES, "dtype": DTYPES}.items():
            Option("", "", choices=choices).check(name, getattr(self, name))
        if self.directions not in (1, 2):
            raise InputError(f"directions is {self.directions!r}; a layer has 1 or 2.")

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products in one call: those of training are three times as many."""
        batch, time, features, units = self.shape
        columns = len(cell_spec(self.cell).gates) * units
        forward = self.directions * (2 * batch * time * columns * (features + units))
        return forward * (3 if self.mode == "train" else 1)

    @property
    def outputs(self) -> int:
        """How many numbers the layer puts out."""
        return self.shape.batch * self.shape.time * self.directions * self.shape.units

    def to_json(self) -> dict[str, Any]:
        """As it stands in results, and as it is sent to workers."""
        return vars(self) | {"shape": list(self.shape)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Case:
        """What `to_json` gave."""
        return cls(**{**value, "shape": Shape(*value["shape"])})

    def __str__(self) -> str:
        """As it stands in progress and reasons."""
        return f"{self.kind} {self.shape}"

    @property
    def kind(self) -> str:
        """All but the shape; of dtype and directions only what is not usual."""
        dtype = "" if self.dtype == DTYPES[0] else f" {self.dtype}"
        return f"{self.cell} {self.mode}{dtype}{'' if self.directions == 2 else ' one direction'}"


def choose_shapes(names: Iterable[str]) -> list[Shape]:
    """The shapes meant by names of sets and by four sizes written out, each once; InputError for anything else."""
    chosen: list[Shape] = []
    for name in names:
        chosen += SHAPES[name] if name in SHAPES else [_shape(name)]
    return list(dict.fromkeys(chosen))


def _shape(text: str) -> Shape:
    sizes = [part.strip() for part in text.split(",")]
    if len(sizes) != len(Shape._fields) or not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
        raise InputError(
            f"The shape is {text!r}; it must be {' or '.join(SHAPES)}, or batch, steps, features and units, as in "
            "32,100,64,128."
        )
    return Shape(*map(int, sizes))


def choose_peers(names: Iterable[str] | None = None) -> tuple[list[str], dict[str, list[str]]]:
    """The names of the peers that are installed, of those wanted or of all, and for each other one the modules that are
    missing. Raises InputError if there is no such peer.
    """
    wanted = list(PEERS if names is None else names)
    for name in wanted:
        if name not in PEERS:
            raise InputError(f"There is no peer {name!r}. Use some of: {', '.join(PEERS)}; or none.")
    missing = {
        name: [module for module in PEERS[name].modules if importlib.util.find_spec(module) is None]
        for name in PEERS
        if name in wanted
    }
    installed = [name for name, modules in missing.items() if not modules]
    return installed, {name: modules for name, modules in missing.items() if modules}
