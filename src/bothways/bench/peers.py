"""How each peer, ours and the matrix product are called. Runs in workers only.

Each function imports one library, tells it how many threads to use, and returns what makes a call out of a case.
A call does the work once, waits until it is done, and returns the outputs. Every library is used as its makers would:
in its own layout of the axes, with inputs and weights that already lie in its own arrays, compiled where it can be.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.bench.cases import DTYPES, OURS, SGEMM, SGEMM_SIZE, Case
from bothways.errors import InputError
from bothways.export.cells import OPERATORS, attributes
from bothways.spec import cell_spec

Call = Callable[[], Any]
Build = Callable[[Case], Call]


@dataclass(frozen=True)
class Approximate:
    """A call whose products have factors of lower precision, and what does the same in float32."""

    call: Call
    exact: Call

    def __call__(self) -> Any:
        return self.call()

    def error(self) -> float:
        """The largest difference of an output."""
        return float(np.abs(self.call() - self.exact()).max())


def with_engine(threads: int) -> Build:
    """The engine through its NumPy face: a layer made once, as a session of ONNX Runtime is.

    The memory for outputs and gradients is allocated in every call.
    """
    from bothways import engine

    engine.set_threads(threads)

    def build(case: Case) -> Call:
        _, _, features, units = case.shape
        shapes = cell_spec(case.cell).weight_shapes(features=features, units=units)
        x, d_outputs = _arrays(case)
        scale = units**-0.5
        weights = {name: scale * _random(*shape) for name, shape in shapes.items()}
        both = [engine.Direction(**weights), engine.Direction(**weights, reverse=True)][: case.directions]
        layer_of = partial(engine.Layer, both, cell=case.cell, frozen=case.mode == "infer")
        layer = layer_of(precision=case.dtype)

        def train() -> Any:
            result = layer.run(x, record=True)
            engine.backprop(result.tape, d_outputs)
            return result.outputs

        call = train if case.mode == "train" else lambda: layer(x)
        return call if case.dtype == DTYPES[0] else Approximate(call, lambda: layer_of()(x))

    return build


def with_numpy(threads: int) -> Build:
    """NumPy's product of two square matrices; the environment of the worker has set the threads."""

    def build(case: Case) -> Call:
        a, b = _random(SGEMM_SIZE, SGEMM_SIZE), _random(SGEMM_SIZE, SGEMM_SIZE)
        out = np.empty_like(a)
        return lambda: np.matmul(a, b, out=out)

    return build


def with_torch(threads: int) -> Build:
    """`torch.nn.LSTM`, `GRU` and `RNN`, time before batch, their own order (`batch_first` made no difference)."""
    import torch

    torch.set_num_threads(threads)
    layers: dict[str, Callable[..., Any]] = {
        "lstm": torch.nn.LSTM,
        "gru": torch.nn.GRU,
        "rnn": torch.nn.RNN,
        "rnn_relu": partial(torch.nn.RNN, nonlinearity="relu"),
    }

    def build(case: Case) -> Call:
        if case.cell not in layers:
            raise InputError(f"torch has no {case.cell}.")
        layer = layers[case.cell](case.shape.features, case.shape.units, bidirectional=case.directions == 2)
        arrays = _arrays(case, time_first=True)
        return _torch_call(case, layer, lambda x: layer(x)[0], *arrays, torch.inference_mode)

    return build


def with_onnxruntime(threads: int) -> Build:
    """One node of ONNX in ONNX Runtime."""
    return lambda case: _onnxruntime_call(case, _onnx_model(case), threads)


def with_onnxruntime_int8(threads: int) -> Build:
    """The same node as ONNX Runtime's own tool quantizes it: weights when it is made, x and h in each call.

    Weights have 7 bits, as ONNX Runtime advises, where its sums of 16 bits could overflow: on x86 without VNNI.
    """
    from onnxruntime.quantization import quantize_dynamic

    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("flags")[2].split("\n")[0]  # "" but on x86
    overflows = "avx2" in flags and "vnni" not in flags

    def build(case: Case) -> Call:
        if case.cell != "lstm":
            raise InputError("ONNX Runtime has int8 for lstm only.")
        model = _onnx_model(case)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "int8.onnx")
            quantize_dynamic(model, path, reduce_range=overflows)
            call = _onnxruntime_call(case, path, threads)
        return Approximate(call, _onnxruntime_call(case, model, threads))

    return build


def with_openvino(threads: int) -> Build:
    """The same node in OpenVINO, told not to use bfloat16 (its own node for it made no difference)."""
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}

    def build(case: Case) -> Call:
        model = core.compile_model(core.read_model(_onnx_model(case).SerializeToString()), "CPU", options)
        x, _ = _arrays(case, time_first=True)
        return lambda: model(x)[0]

    return build


def with_keras_jax(threads: int) -> Build:
    """Stock Keras on JAX, compiled; the environment of the worker has set the threads."""
    layer_of = _keras("jax")
    import jax

    def build(case: Case) -> Call:
        layer, x, d_outputs = layer_of(case)
        weights, others = ([v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables))
        x, d_outputs = jax.device_put((x, d_outputs))

        def outputs(x: Any, weights: Any) -> Any:
            return layer.stateless_call(weights, others, x)[0]

        def outputs_and_gradients(x: Any, weights: Any, d_outputs: Any) -> Any:
            result, pull_back = jax.vjp(outputs, x, weights)
            return result, pull_back(d_outputs)

        infer, train = jax.jit(outputs), jax.jit(outputs_and_gradients)
        when_done: Any = jax.block_until_ready
        if case.mode == "train":
            return lambda: when_done(train(x, weights, d_outputs))[0]
        return lambda: when_done(infer(x, weights))

    return build


def with_keras_torch(threads: int) -> Build:
    """Stock Keras on torch, step by step as Keras runs it there."""
    layer_of = _keras("torch")
    import torch

    torch.set_num_threads(threads)

    def build(case: Case) -> Call:
        layer, x, d_outputs = layer_of(case)
        return _torch_call(case, layer, layer, x, d_outputs, torch.no_grad)

    return build


def with_keras_tensorflow(threads: int) -> Build:
    """Stock Keras on TensorFlow, as a graph: Keras itself does not let XLA compile these layers there."""
    layer_of = _keras("tensorflow")  # first: TensorFlow imports Keras, which then has its backend for good
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)

    def build(case: Case) -> Call:
        layer, x, d_outputs = layer_of(case)
        x, d_outputs = tensorflow.constant(x), tensorflow.constant(d_outputs)
        weights = [variable.value for variable in layer.trainable_variables]

        def outputs_and_gradients() -> Any:
            with tensorflow.GradientTape() as tape:
                tape.watch(x)
                result = layer(x)
            return result, tape.gradient(result, [x, *weights], d_outputs)

        infer, train = tensorflow.function(lambda: layer(x)), tensorflow.function(outputs_and_gradients)
        return (lambda: train()[0]) if case.mode == "train" else infer

    return build


START: Mapping[str, Callable[[int], Build]] = {
    OURS: with_engine,
    SGEMM: with_numpy,
    "torch": with_torch,
    "onnxruntime": with_onnxruntime,
    "onnxruntime-int8": with_onnxruntime_int8,
    "openvino": with_openvino,
    "keras-jax": with_keras_jax,
    "keras-torch": with_keras_torch,
    "keras-tensorflow": with_keras_tensorflow,
}
"""What starts each worker, given the number of threads."""


def _onnx_model(case: Case) -> Any:
    """A layer as one node, time before batch, the only order that ONNX Runtime has for these nodes."""
    import onnx
    from onnx import helper, numpy_helper

    batch, time, features, units = case.shape
    operator, directions = OPERATORS[case.cell], case.directions
    columns = len(cell_spec(case.cell).gates) * units
    shapes = {"W": (directions, columns, features), "R": (directions, columns, units), "B": (directions, 2 * columns)}
    node = helper.make_node(
        operator.name,
        ["X", *shapes],
        ["Y"],
        direction="bidirectional" if directions == 2 else "forward",
        hidden_size=units,
        **attributes(case.cell, directions),
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, (time, batch, features))],
        [helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, (time, directions, batch, units))],
        [numpy_helper.from_array(units**-0.5 * _random(*shape), name) for name, shape in shapes.items()],
    )
    # Old numbers, which every release of ONNX Runtime reads; the nodes have not changed since.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def _onnxruntime_call(case: Case, model: Any, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    x, _ = _arrays(case, time_first=True)
    return lambda: session.run(["Y"], {"X": x})[0]


def _torch_call(
    case: Case, layer: Any, outputs_of: Callable[[Any], Any], x: Any, d_outputs: Any, unrecorded: Callable[[], Any]
) -> Call:
    """Forward, and in training backward: the gradients of the call before are dropped, not added to."""
    import torch

    x, d_outputs = torch.from_numpy(x), torch.from_numpy(d_outputs)

    def infer() -> Any:
        with unrecorded():
            return outputs_of(x)

    if case.mode == "infer":
        return infer
    x.requires_grad_()

    def train() -> Any:
        x.grad = None
        layer.zero_grad(set_to_none=True)
        outputs = outputs_of(x)
        outputs.backward(d_outputs)
        return outputs

    return train


def _keras(backend: str) -> Callable[[Case], tuple[Any, Any, Any]]:
    """Import stock Keras on a backend; give what makes the layer of a case, its input, and gradients of its outputs."""
    os.environ["KERAS_BACKEND"] = backend
    import keras

    if keras.backend.backend() != backend:
        raise RuntimeError(f"Keras has been imported with {keras.backend.backend()}, {backend} is needed.")
    layers: dict[str, Callable[..., Any]] = {
        "lstm": keras.layers.LSTM,
        "gru": keras.layers.GRU,
        "rnn": keras.layers.SimpleRNN,
        "rnn_relu": partial(keras.layers.SimpleRNN, activation="relu"),
        "gru_reset_before": partial(keras.layers.GRU, reset_after=False),
    }

    def layer_of(case: Case) -> tuple[Any, Any, Any]:
        layer = layers[case.cell](case.shape.units, return_sequences=True, dtype="float32")
        layer = keras.layers.Bidirectional(layer) if case.directions == 2 else layer
        layer.build(case.shape[:3])
        return layer, *_arrays(case)

    return layer_of


def _arrays(case: Case, time_first: bool = False) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The input of a layer and the gradient of its outputs."""
    batch, time, features, units = case.shape
    rows = (time, batch) if time_first else (batch, time)
    return _random(*rows, features), _random(*rows, case.directions * units)


def _random(*shape: int) -> npt.NDArray[np.float32]:
    """Numbers from -1 to 1, the same every time."""
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
