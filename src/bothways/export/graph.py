"""A graph of operators of ONNX, put together value by value."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partialmethod
from typing import Any, NamedTuple

import numpy as np

from bothways.sequences import Array

Operand = Any  # a `Value`, or a constant: an array, a float (float32), or an int or a list of them (int64)


class Node(NamedTuple):
    """An operator and what it works on."""

    operator: str
    inputs: list[str]  # names of values; "" for one that is left out
    outputs: list[str]
    domain: str
    attributes: dict[str, Any]  # numbers, text, lists and arrays of these, a data type, or a graph


class Port(NamedTuple):
    """An input or an output, and what is said of it."""

    name: str
    dtype: np.dtype[Any] | None = None  # `object` for text; None in the body of a node, where types are not said
    shape: tuple[str | int, ...] = ()  # names of axes, or their lengths
    said: str = ""

    @property
    def type(self) -> str | None:
        """Its data type in words."""
        return None if self.dtype is None else type_name(self.dtype)


@dataclass(frozen=True)
class Value:
    """A value in a graph. Arithmetic and logic with it adds a node; a plain number counts as float32 there."""

    graph: Graph
    name: str

    def _with(self, operator: str, other: Operand) -> Value:
        return self.graph(operator, self, np.float32(other) if type(other) in (int, float) else other)

    __add__ = partialmethod(_with, "Add")
    __sub__ = partialmethod(_with, "Sub")
    __mul__ = partialmethod(_with, "Mul")
    __truediv__ = partialmethod(_with, "Div")
    __floordiv__ = partialmethod(_with, "Div")  # of whole numbers, none below 0
    __and__ = partialmethod(_with, "And")


class Graph:
    """Nodes, in the order of the work, and constants by their names; calling it adds a node.

    A graph that is the body of a node of another one, `outer`, has its constants there. A `page` has what ONNX has not:
    an operator for trees, `Leaves`, and recurrent layers which numbers enter through bins, that are their last input.
    """

    def __init__(self, opset: int, outer: Graph | None = None, page: bool = False) -> None:
        self.opset, self.page = opset, page
        self._root: Graph = outer._root if outer else self
        self.nodes: list[Node] = []
        self.inputs: list[Port] = []
        self.outputs: list[Port] = []
        self.constants: dict[str, Array] = {}
        self._known: dict[int, tuple[Array, Value]] = {}  # arrays, each of which is one constant, by their identity
        self._numbers = itertools.count()

    def __call__(self, operator: str, *operands: Operand, domain: str = "", **attributes: Any) -> Value:
        """The first output of a new node."""
        return self.several(1, operator, *operands, domain=domain, **attributes)[0]

    def several(
        self, count: int, operator: str, *operands: Operand, domain: str = "", **attributes: Any
    ) -> list[Value]:
        """The first outputs of a new node."""
        outputs = [self._named() for _ in range(count)]
        inputs = ["" if each is None else self._value(each).name for each in operands]
        self.nodes.append(Node(operator, inputs, [each.name for each in outputs], domain, attributes))
        return outputs

    def cast(self, value: Operand, dtype: Any) -> Value:
        """The same as another type."""
        return self("Cast", value, to=_typed(dtype))

    def where(self, condition: Value, value: Operand, other: Operand) -> Value:
        """One or the other."""
        return self("Where", condition, value, other)

    def unsqueeze(self, value: Operand, axis: int) -> Value:
        """The same with one more axis."""
        return self("Unsqueeze", value, [axis])

    def steps(self, value: Value, axis: int) -> Value:
        """The whole numbers from 0 up to the length of an axis."""
        return self("Range", np.int64(0), self("Gather", self("Shape", value), np.int64(axis)), np.int64(1))

    def scan(
        self,
        body: Callable[[Graph, Value, Sequence[Value]], tuple[Value, Value]],
        state: Value,
        inputs: Sequence[Value],
        reverse: bool = False,
    ) -> tuple[Value, Value]:
        """Go through the first axis of the inputs; the last state and the output.

        The body makes of its graph, the state and a part of each input the next state and a part of the output. In
        reverse it goes from the last part to the first; the parts of the output lie where those of the inputs do.
        """
        inner = Graph(self.opset, self)
        before, *parts = (inner._named() for _ in range(1 + len(inputs)))
        inner.inputs = [Port(each.name) for each in (before, *parts)]
        # An output of its own each: none may be an input, or both.
        after = [inner("Identity", each) for each in body(inner, before, parts)]
        inner.outputs = [Port(each.name) for each in after]
        last, output = self.several(
            2,
            "Scan",
            state,
            *inputs,
            body=inner,
            num_scan_inputs=len(inputs),
            scan_input_directions=[int(reverse)] * len(inputs),
            scan_output_directions=[int(reverse)],
        )
        return last, output

    def input(self, name: str, dtype: Any, shape: Sequence[str | int], said: str) -> Value:
        """An input of the model, and what is to be said of it."""
        self.inputs.append(Port(name, _typed(dtype), tuple(shape), said))
        return Value(self, name)

    def output(self, name: str, dtype: Any, shape: Sequence[str | int], value: Value, said: str) -> None:
        """Give a value a name as an output of the model."""
        self.nodes.append(Node("Identity", [value.name], [name], "", {}))
        self.outputs.append(Port(name, _typed(dtype), tuple(shape), said))

    def _named(self) -> Value:
        return Value(self, f"bothways/{next(self._root._numbers)}")

    def _value(self, operand: Operand) -> Value:
        if isinstance(operand, Value):
            return operand
        if (known := self._root._known.get(id(operand))) is not None:
            return known[1]
        value = self._named()
        self._root.constants[value.name] = np.asarray(operand, np.float32 if type(operand) is float else None)
        if isinstance(operand, np.ndarray):
            self._root._known[id(operand)] = operand, value
        return value


def type_name(dtype: np.dtype[Any]) -> str:
    """A data type in words."""
    return "text" if dtype.hasobject else dtype.name


def _typed(dtype: Any) -> np.dtype[Any]:
    return np.dtype(object if dtype is str else dtype)
