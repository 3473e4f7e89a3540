"""A graph as a model of ONNX; the only file that knows the package."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bothways.errors import InputError
from bothways.export.graph import Graph, Port

INVALID: tuple[type[Exception], ...] = (onnx.checker.ValidationError, onnx.shape_inference.InferenceError)
"""What `onnx_model` raises of a graph that was put together wrongly."""


def onnx_model(graph: Graph, name: str, **facts: str) -> Any:
    """The `onnx.ModelProto` of a graph, checked; `facts` are fields of it.

    `InputError` if it is larger than a file of ONNX can be.
    """
    if (size := sum(array.nbytes for array in graph.constants.values())) >= 2**31:
        raise InputError(f"The weights take {size / 2**30:.1f} GiB; a file of ONNX has room for less than 2 GiB.")
    # Version 3 of the others has what is needed; the format is the oldest one that knows the operators.
    opsets = [helper.make_opsetid("", graph.opset), helper.make_opsetid("ai.onnx.ml", 3)]
    ir = helper.find_min_ir_version_for(opsets)
    model = helper.make_model(_graph(graph, name), opset_imports=opsets, ir_version=ir, **facts)
    onnx.checker.check_model(model, full_check=True)
    return model


def newest_opset() -> int:
    """The newest version of the operators that the installed package knows."""
    return int(onnx.defs.onnx_opset_version())


def _graph(graph: Graph, name: str) -> Any:
    nodes = [
        helper.make_node(
            node.operator,
            node.inputs,
            node.outputs,
            domain=node.domain,
            **{key: _attribute(value) for key, value in node.attributes.items()},
        )
        for node in graph.nodes
    ]
    constants = [numpy_helper.from_array(array, key) for key, array in graph.constants.items()]
    return helper.make_graph(nodes, name, list(map(_port, graph.inputs)), list(map(_port, graph.outputs)), constants)


def _attribute(value: Any) -> Any:
    if isinstance(value, Graph):
        return _graph(value, "body")
    return helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value


def _port(port: Port) -> Any:
    if port.dtype is None:
        return onnx.ValueInfoProto(name=port.name)
    return helper.make_tensor_value_info(
        port.name, int(helper.np_dtype_to_tensor_dtype(port.dtype)), port.shape, port.said
    )
