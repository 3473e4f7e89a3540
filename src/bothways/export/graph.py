"""A graph of ONNX, put together value by value."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Operand = Any
"""A `Value`, or a constant: an array, a float (float32), or an int or a list of them (int64)."""


@dataclass(frozen=True)
class Value:
    """A value in a graph. Arithmetic with it adds a node; a plain number counts as float32 there."""

    graph: Graph
    name: str

    def __add__(self, other: Operand) -> Value:
        """The sum."""
        return self._with("Add", other)

    def __sub__(self, other: Operand) -> Value:
        """The difference."""
        return self._with("Sub", other)

    def __mul__(self, other: Operand) -> Value:
        """The product."""
        return self._with("Mul", other)

    def __truediv__(self, other: Operand) -> Value:
        """The quotient; of whole numbers, cut off."""
        return self._with("Div", other)

    def _with(self, operator: str, other: Operand) -> Value:
        return self.graph(operator, self, np.float32(other) if type(other) in (int, float) else other)


class Graph:
    """Nodes and constants; calling it adds a node.

    Args:
        opset: the version of the operators.
        outer: the graph in which this one is the body of a node; the constants of both lie there.

    Example:
        >>> graph = Graph(opset=18)
        >>> x = graph.input("x", np.float32, ("batch",), "Any numbers.")
        >>> graph.output("y", np.float32, ("batch",), (x + 1) / 2, "Half of one more.")
        >>> [node.op_type for node in graph.model("example").graph.node]
        ['Add', 'Div', 'Identity']
    """

    def __init__(self, opset: int, outer: Graph | None = None) -> None:
        """Begin an empty graph."""
        self.opset = opset
        self._root: Graph = outer._root if outer else self
        self._nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._constants: list[Any] = []
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
        self._nodes.append(
            helper.make_node(operator, inputs, [each.name for each in outputs], domain=domain, **attributes)
        )
        return outputs

    def cast(self, value: Operand, dtype: Any) -> Value:
        """The same as another type."""
        return self("Cast", value, to=_type(dtype))

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
        """Go through the first axis of the inputs.

        Args:
            body: from its graph, the state and a part of each input to the next state and a part of the output.
            state: with which it begins.
            inputs: what it goes through.
            reverse: from the last part to the first, which is what the output begins with all the same.

        Returns:
            The last state and the output.
        """
        inner = Graph(self.opset, self)
        before, *parts = (inner._named() for _ in range(1 + len(inputs)))
        inner.inputs = [onnx.ValueInfoProto(name=each.name) for each in (before, *parts)]
        # An output of its own each: none may be an input, or both.
        after = [inner("Identity", each) for each in body(inner, before, parts)]
        inner.outputs = [onnx.ValueInfoProto(name=each.name) for each in after]
        last, output = self.several(
            2,
            "Scan",
            state,
            *inputs,
            body=inner._proto("body"),
            num_scan_inputs=len(inputs),
            scan_input_directions=[int(reverse)] * len(inputs),
            scan_output_directions=[int(reverse)],
        )
        return last, output

    def input(self, name: str, dtype: Any, shape: Sequence[str | int], said: str) -> Value:
        """An input of the model, and what is to be said of it."""
        self.inputs.append(helper.make_tensor_value_info(name, _type(dtype), shape, said))
        return Value(self, name)

    def output(self, name: str, dtype: Any, shape: Sequence[str | int], value: Value, said: str) -> None:
        """Give a value a name as an output of the model."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, _type(dtype), shape, said))

    def model(self, name: str, **facts: str) -> Any:
        """The `onnx.ModelProto`, checked."""
        # Version 3 of the others has what is needed; the format is the oldest one that knows the operators.
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("ai.onnx.ml", 3)]
        ir = helper.find_min_ir_version_for(opsets)
        model = helper.make_model(self._proto(name), opset_imports=opsets, ir_version=ir, **facts)
        onnx.checker.check_model(model, full_check=True)
        return model

    @staticmethod
    def described(values: Sequence[Any]) -> dict[str, str]:
        """Name -> type and shape of inputs or outputs.

        Example:
            >>> graph = Graph(opset=18)
            >>> _ = graph.input("x", np.float32, ("batch", 3), "Any numbers.")
            >>> graph.described(graph.inputs)
            {'x': 'float32 (batch, 3)'}
        """
        found = {}
        for value in values:
            tensor = value.type.tensor_type
            dims = [each.dim_param or str(each.dim_value) for each in tensor.shape.dim]
            dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            name = "text" if dtype.hasobject else dtype.name
            found[value.name] = f"{name} ({', '.join(dims)}{',' if len(dims) == 1 else ''})"
        return found

    def _proto(self, name: str) -> Any:
        return helper.make_graph(self._nodes, name, self.inputs, self.outputs, self._constants)

    def _named(self) -> Value:
        return Value(self, f"bothways/{next(self._root._numbers)}")

    def _value(self, operand: Operand) -> Value:
        if isinstance(operand, Value):
            return operand
        array = np.asarray(operand, np.float32 if type(operand) is float else None)
        value = self._named()
        self._root._constants.append(numpy_helper.from_array(array, value.name))
        return value


def newest_opset() -> int:
    """The newest version of the operators that the installed package knows."""
    return int(onnx.defs.onnx_opset_version())


def _type(dtype: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(object if dtype is str else dtype)))
