"""The edges: sizes of one and of none, other dtypes, and wrong input; `test_backends.py` runs this on each backend."""

from __future__ import annotations

import importlib
import multiprocessing
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import bothways
from bothways import layers as ours
from bothways.errors import InputError
from bothways.layers import ops
from layer_cases import numpy, tensor
from tolerances import KERAS, error

L = keras.layers
BACKEND = keras.backend.backend()
KINDS = pytest.mark.parametrize("wrapped", [False, True], ids=["one direction", "both"])


def normal(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def layer_of(home: Any, wrapped: bool, cell: str = "LSTM", units: int = 5, **options: Any) -> Any:
    layer = getattr(home, cell)(units, **options)
    return home.Bidirectional(layer, dtype=options.get("dtype")) if wrapped else layer


def gradients(layer: Any, x: Any) -> list[Any]:
    """Those of the sum of squares of what the layer puts out, for every weight; none on NumPy."""
    variables = layer.trainable_variables
    if BACKEND == "jax":
        jax = importlib.import_module("jax")

        def loss(weights: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
                return keras.ops.sum(layer(x) ** 2)

        return list(jax.jit(jax.grad(loss))([v.value for v in variables]))
    if BACKEND == "torch":
        torch = importlib.import_module("torch")
        return list(torch.autograd.grad((layer(tensor(x)) ** 2).sum(), [v.value for v in variables]))
    if BACKEND == "tensorflow":
        with importlib.import_module("tensorflow").GradientTape() as tape:
            loss = keras.ops.sum(layer(tensor(x)) ** 2)
        return list(tape.gradient(loss, [v.value for v in variables]))
    return []


SIZES = {
    "one step": (3, 1, 4, 5),
    "one sequence": (1, 6, 4, 5),
    "one feature": (3, 6, 1, 5),
    "one unit": (3, 6, 4, 1),
    "one of all": (1, 1, 1, 1),
    "odd widths": (3, 4, 7, 33),
}


@KINDS
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("size", SIZES)
def test_small_and_odd_sizes(size: str, cell: str, wrapped: bool) -> None:
    batch, time, features, units = SIZES[size]
    x = normal(batch, time, features)
    layers = [layer_of(home, wrapped, cell, units, return_sequences=True) for home in (ours, L)]
    for layer in layers:
        layer.build(x.shape)
    layers[1].set_weights(layers[0].get_weights())
    outputs = [numpy(layer(x)) for layer in layers]
    assert layers[0].engine == "native"
    assert error(*outputs) < KERAS
    for actual, expected in zip(*(gradients(layer, x) for layer in layers), strict=True):
        assert error(numpy(actual), numpy(expected)) < KERAS


@KINDS
@pytest.mark.parametrize("return_sequences", [False, True])
def test_a_batch_of_nothing(wrapped: bool, return_sequences: bool) -> None:
    """Stock Keras on TensorFlow fails here."""
    layer = layer_of(ours, wrapped, return_sequences=return_sequences)
    layer(normal(2, 4, 3))
    width = 10 if wrapped else 5
    x = normal(0, 4, 3)
    for call in ({}, {"mask": tensor(np.ones((0, 4), bool))}):
        assert tuple(layer(tensor(x), **call).shape) == ((0, 4, width) if return_sequences else (0, width))
    for gradient in gradients(layer, x):
        assert not numpy(gradient).any()


@KINDS
@pytest.mark.parametrize("batch", [0, 2])
def test_sequences_of_nothing_are_refused(batch: int, wrapped: bool) -> None:
    """Stock Keras fails, too, with an index out of bounds."""
    layer = layer_of(ours, wrapped)
    with pytest.raises(InputError, match=rf"sequences has shape \({batch}, 0, 3\): no steps\. Give at least one"):
        layer(tensor(normal(batch, 0, 3)))


@KINDS
def test_a_wholly_masked_sequence_of_one_step(wrapped: bool) -> None:
    pair = [layer_of(home, wrapped) for home in (ours, L)]
    x, mask = normal(2, 1, 3), tensor(np.array([[False], [True]]))
    for layer in pair:
        layer(x)
    pair[1].set_weights(pair[0].get_weights())
    outputs = [numpy(layer(x, mask=mask)) for layer in pair]
    assert error(*outputs) < KERAS
    assert not outputs[0][0].any()


@KINDS
def test_wrong_input_is_named(wrapped: bool) -> None:
    layer = layer_of(ours, wrapped)
    x = normal(2, 4, 3)
    layer(x)
    zero, states = normal(2, 5), 4 if wrapped else 2
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (normal(2, 4, 4), {}, r"sequences has shape \(2, 4, 4\): 4 features; .* was built for 3\."),
        (x.astype("complex64"), {}, "sequences has dtype complex64; real numbers are needed"),
        (x, {"mask": np.ones((2, 5), bool)}, r"mask has shape \(2, 5\); sequences \(2, 4, 3\) need \(2, 4\)"),
        (x, {"mask": np.ones((3, 4), bool)}, r"mask has shape \(3, 4\)"),
        (x, {"mask": np.ones(2, bool)}, r"mask has shape \(2,\)"),
        (x, {"mask": np.ones((2, 4, 3), bool)}, r"mask has shape \(2, 4, 3\)"),
        (x, {"mask": np.ones((2, 4), "complex64")}, "mask has dtype complex64; real numbers are needed"),
        (x, {"initial_state": [zero]}, r"initial_state has shapes \[\(2, 5\)\]; this layer needs \[\(2, 5\), \(2, 5\)"),
        (x, {"initial_state": [zero] * 3}, r"initial_state has shapes \[\(2, 5\), \(2, 5\), \(2, 5\)\]; this layer"),
        (x, {"initial_state": [normal(3, 5)] * states}, r"initial_state has shapes \[\(3, 5\)"),
        (x, {"initial_state": [normal(2, 4)] * states}, r"initial_state has shapes \[\(2, 4\)"),
        (x, {"initial_state": [None] * states}, "initial_state holds NoneType; this layer needs arrays"),
        (x, {"initial_state": [zero.astype("complex64")] * states}, "initial_state has dtype complex64"),
    ]
    for sequences, call, message in wrong:
        call = {key: value if isinstance(value, list) else tensor(value) for key, value in call.items()}
        with pytest.raises(InputError, match=message):
            layer(tensor(sequences), **call)
    for mask in ([[True] * 4] * 2, "right"):
        with pytest.raises(InputError, match=r"mask is of type (list|str); give an array of bool, \(batch, time\)"):
            layer(tensor(x), mask=mask)
    for shape in ((2, 4), (2, 4, 3, 1)):  # before the call, by Keras itself
        with pytest.raises(ValueError, match="expected ndim=3"):
            layer(normal(*shape))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="about tensors of TensorFlow")
@KINDS
@pytest.mark.parametrize("kind", ["RaggedTensor", "SparseTensor"])
def test_tensors_that_are_not_dense_are_named(kind: str, wrapped: bool) -> None:
    tf, layer = importlib.import_module("tensorflow"), layer_of(ours, wrapped)
    x = tensor(normal(2, 4, 3))
    layer(x)
    other = tf.RaggedTensor.from_tensor(x) if kind == "RaggedTensor" else tf.sparse.from_dense(x)
    with pytest.raises(InputError, match=f"sequences is a {kind}; give a dense tensor"):
        layer(other)


@KINDS
@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "bool"])
def test_other_dtypes_of_sequences_are_cast(dtype: str, wrapped: bool) -> None:
    layer = layer_of(ours, wrapped)
    x = (3 * normal(2, 4, 3)).astype(dtype)
    assert error(numpy(layer(tensor(x))), numpy(layer(tensor(x.astype("float32"))))) == 0


@pytest.mark.parametrize("flag", ["go_backwards", "zero_output_for_mask", "return_sequences"])
def test_truths_of_numpy(flag: str) -> None:
    x = tensor(normal(2, 4, 3))
    values: tuple[Any, ...] = (True, np.True_, 1)
    layers = [layer_of(ours, False, **{flag: value}) for value in values]
    for layer in layers:
        layer.build(x.shape)
        layer.set_weights(layers[0].get_weights())
    outputs = [numpy(layer(x, mask=tensor(np.arange(8).reshape(2, 4) > 0))) for layer in layers]
    assert error(outputs[1], outputs[0]) == error(outputs[2], outputs[0]) == 0
    assert {layer.engine for layer in layers} == {"native"}


@KINDS
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
def test_layers_of_float16_run_in_stock_keras(cell: str, wrapped: bool) -> None:
    # The orthogonal matrices with which Keras starts cannot be made in float16 on the CPU.
    options: dict[str, Any] = {"dtype": "float16", "recurrent_initializer": "glorot_uniform"}
    x, pair = normal(2, 4, 3), [layer_of(home, wrapped, cell, **options) for home in (ours, L)]
    for layer in pair:
        layer(x)
    pair[1].set_weights(pair[0].get_weights())
    reason = "computes in float16; the engine has float32 and bfloat16"
    assert pair[0].engine == ("forward layer: " if wrapped else "") + reason
    outputs = [layer(x) for layer in pair]
    assert keras.backend.standardize_dtype(outputs[0].dtype) == "float16"
    np.testing.assert_array_equal(*map(numpy, outputs))


@KINDS
@pytest.mark.usefixtures("four_threads")
def test_several_python_threads_at_once(wrapped: bool) -> None:
    layer = layer_of(ours, wrapped, units=32, return_sequences=True)
    inputs = [normal(8, 20, 8) * np.float32(scale) for scale in np.linspace(0.5, 2, 12)]

    def call(x: Any) -> list[Any]:
        return [numpy(each) for each in (layer(tensor(x)), *gradients(layer, x))]

    expected = [call(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for actual, value in zip(pool.map(call, inputs), expected, strict=True):
            for a, b in zip(actual, value, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(BACKEND in ("jax", "tensorflow"), reason=f"{BACKEND} itself does not outlive a fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("four_threads")
def test_a_forked_child_can_run() -> None:
    """As the workers of a `DataLoader` of torch are."""
    layer, x = layer_of(ours, True, units=32), normal(8, 20, 8)
    expected = numpy(layer(tensor(x)))

    def child() -> None:
        np.testing.assert_array_equal(numpy(layer(tensor(x))), expected)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode == 0


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the backend tell us, and only us, of a GPU; gives what the layers have to say of that."""
    if BACKEND == "jax":
        backend = importlib.import_module("bothways.layers.ops.jax.custom_call")
        monkeypatch.setattr(backend, "jax", SimpleNamespace(default_backend=lambda: "gpu"))
        backend.why_not.cache_clear()
        yield "JAX runs on gpu; the engine is for the CPU"
        backend.why_not.cache_clear()
    elif BACKEND == "torch":
        monkeypatch.setattr(importlib.import_module("bothways.layers.ops.torch"), "_device", lambda: "cuda")
        yield "torch runs on cuda; the engine is for the CPU"
    elif BACKEND == "tensorflow":
        devices = [SimpleNamespace(name=f"{kind}:0", device_type=kind) for kind in ("CPU", "GPU")]
        config = importlib.import_module("tensorflow").config
        monkeypatch.setattr(config, "get_visible_devices", lambda: devices)
        yield "TensorFlow uses GPU:0; the engine is for the CPU"
    else:
        pytest.skip("NumPy knows the CPU only")


@KINDS
def test_stock_keras_runs_where_there_is_another_device(
    wrapped: bool, accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That there is one is pretended; all numbers come from the CPU."""
    monkeypatch.setattr(ops, "recurrence", lambda *_, **__: pytest.fail("the engine ran"))
    pair, x = [layer_of(home, wrapped) for home in (ours, L)], normal(2, 4, 3)
    for layer in pair:
        layer(x)
    pair[1].set_weights(pair[0].get_weights())
    reason = ("forward layer: " if wrapped else "") + accelerator
    assert pair[0].engine == reason
    assert reason in str(bothways.accelerate(pair[1]))
    for actual, expected in zip(*(gradients(layer, x) for layer in pair), strict=True):
        np.testing.assert_array_equal(numpy(actual), numpy(expected))
    if BACKEND == "torch":
        compile = importlib.import_module("torch").compile
        compiled = compile(lambda x: pair[0](x), fullgraph=True, backend="aot_eager")
        assert error(numpy(compiled(tensor(x))), numpy(pair[1](tensor(x)))) < KERAS


@pytest.mark.skipif(BACKEND != "torch", reason="about torch")
@KINDS
def test_what_is_on_another_device_is_named(wrapped: bool) -> None:
    layer, x = layer_of(ours, wrapped), tensor(normal(2, 4, 3))
    layer(x)
    mask = importlib.import_module("torch").ones((2, 4), dtype=bool, device="meta")
    with pytest.raises(InputError, match=r"mask \(2, 4\) is on meta, and Keras on the CPU"):
        layer(x, mask=mask)


@pytest.mark.skipif(BACKEND != "torch", reason="about torch")
@KINDS
def test_what_traces_each_operation_sees_those_of_stock_keras(wrapped: bool) -> None:
    trace = importlib.import_module("torch.fx.experimental.proxy_tensor").make_fx
    layer, x, other = layer_of(ours, wrapped), tensor(normal(2, 4, 3)), tensor(normal(2, 4, 3) + 1)
    expected = layer(other)
    assert layer.engine == "native"
    assert error(numpy(trace(layer)(x)(other)), numpy(expected)) < KERAS


@pytest.mark.skipif(BACKEND not in ("jax", "tensorflow"), reason="a SavedModel is of JAX or TensorFlow")
@KINDS
def test_what_cannot_be_exported_says_what_to_do(wrapped: bool, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    model = keras.Sequential([keras.Input((4, 3)), layer_of(L, wrapped)])
    acceleration = bothways.accelerate(model)
    model.predict(normal(2, 4, 3), verbose=0)  # a graph, too
    with pytest.raises(
        InputError, match=r"An exported model cannot hold the engine\..* call undo\(\) of what accelerate"
    ):
        model.export(tmp_path / "refused", verbose=False)
    acceleration.undo()
    model.export(tmp_path / "exported", verbose=False)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow")
def test_a_converter_that_hides_errors_warns() -> None:
    lite = importlib.import_module("tensorflow").lite
    model = keras.Sequential([keras.Input((4, 3)), layer_of(L, False)])
    bothways.accelerate(model)
    with pytest.warns(UserWarning, match="An exported model cannot hold the engine"), pytest.raises(TypeError):
        lite.TFLiteConverter.from_keras_model(model).convert()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow")
def test_a_graph_of_another_process_is_refused(tmp_path: Path) -> None:
    """What TensorFlow knows a function by is its number in the process, which another function has elsewhere."""
    write = (
        "import sys, keras, tensorflow as tf, bothways\n"
        "from tensorflow.python.framework import convert_to_constants\n"
        "model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(5)])\n"
        "bothways.accelerate(model)\n"
        "function = tf.function(model, input_signature=[tf.TensorSpec((2, 4, 3), name='x')]).get_concrete_function()\n"
        "graph = convert_to_constants.convert_variables_to_constants_v2(function).graph\n"
        "open(sys.argv[1], 'wb').write(graph.as_graph_def().SerializeToString())\n"
    )
    read = (
        "import sys, keras, tensorflow as tf, bothways\n"
        "model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(5, go_backwards=True)])\n"
        "bothways.accelerate(model)\n"
        "model.predict(tf.ones((2, 4, 3)), verbose=0)\n"
        "graph = tf.compat.v1.GraphDef.FromString(open(sys.argv[1], 'rb').read())\n"
        "def imported():\n"
        "    tf.import_graph_def(graph, name='')\n"
        "function = tf.compat.v1.wrap_function(imported, [])\n"
        "name = next(node.name for node in graph.node if node.op == 'PyFuncStateless')\n"
        "function.prune('x:0', name + ':0')(tf.ones((2, 4, 3)))\n"
    )
    for code, refusal in [(write, None), (read, "This graph was traced in another process")]:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "frozen")], capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) == (refusal is None), done.stderr[-2000:]
        assert refusal is None or refusal in done.stderr


@pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow")
@KINDS
def test_what_xla_of_tensorflow_cannot_compile_says_what_to_do(wrapped: bool) -> None:
    tf = importlib.import_module("tensorflow")
    layer, x = layer_of(ours, wrapped), tensor(normal(2, 4, 3))
    layer(x)
    for function in (tf.function(layer, jit_compile=True), tf.function(tf.function(layer), jit_compile=True)):
        # AutoGraph makes an error of its own of ours, with all that it says.
        with pytest.raises(Exception, match=r"XLA of TensorFlow cannot compile the engine.*jit_compile.*undo\(\)"):
            function(x)
    traced = tf.function(layer)
    traced(x)
    with pytest.raises(tf.errors.InvalidArgumentError, match="bothways"):
        tf.function(traced, jit_compile=True)(x)


@pytest.mark.skipif(BACKEND != "torch", reason="a trace is of torch")
@pytest.mark.parametrize("accelerated", [False, True])
@KINDS
def test_a_traced_model_is_of_stock_keras(wrapped: bool, accelerated: bool) -> None:
    """The engine would leave its numbers in the trace, the same for any input: in files of ONNX, too."""
    jit = importlib.import_module("torch").jit
    model = keras.Sequential([keras.Input((4, 3)), layer_of(L if accelerated else ours, wrapped)])
    if accelerated:
        bothways.accelerate(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and Keras looks at shapes
        traced = jit.trace(model, tensor(normal(2, 4, 3)))
    other = tensor(normal(2, 4, 3)[::-1].copy())
    assert error(numpy(traced(other)), numpy(model(other))) < KERAS


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tapes are of TensorFlow")
@KINDS
def test_second_derivatives_on_tensorflow_are_refused(wrapped: bool) -> None:
    tape_of = importlib.import_module("tensorflow").GradientTape
    layer, x = layer_of(ours, wrapped), tensor(normal(2, 4, 3))
    layer(x)
    with tape_of() as outer:
        with tape_of() as inner:
            inner.watch(x)
            loss = keras.ops.sum(layer(x))
        penalty = keras.ops.sum(inner.gradient(loss, x) ** 2)
    with pytest.raises(InputError, match="first derivatives on TensorFlow"):
        outer.gradient(penalty, [each.value for each in layer.trainable_variables])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow")
@KINDS
def test_forward_mode_on_tensorflow_is_refused(wrapped: bool) -> None:
    accumulator_of = importlib.import_module("tensorflow").autodiff.ForwardAccumulator
    layer, x = layer_of(ours, wrapped), tensor(normal(2, 4, 3))
    layer(x)
    with accumulator_of(x, keras.ops.ones_like(x)), pytest.raises(InputError, match=r"forward by\s+tf\.autodiff"):
        layer(x)


@pytest.mark.skipif(BACKEND != "torch", reason="about torch")
@KINDS
def test_torch_func_is_refused(wrapped: bool) -> None:
    func = importlib.import_module("torch").func
    layer, x = layer_of(ours, wrapped), tensor(normal(2, 4, 3))
    layer(x)
    for transformed in (func.grad(lambda x: layer(x).sum()), func.vmap(lambda x: layer(x[None]))):
        with pytest.raises(
            InputError, match=r"torch\.func .* cannot look into the engine\. Take torch\.autograd\.grad"
        ):
            transformed(x)


@pytest.mark.skipif(BACKEND != "torch", reason="about torch")
@pytest.mark.parametrize("trainable", [False, True])
@KINDS
def test_forward_mode_and_batches_of_gradients_on_torch_are_refused(wrapped: bool, trainable: bool) -> None:
    torch = importlib.import_module("torch")
    forward_ad = torch.autograd.forward_ad
    layer, x = layer_of(ours, wrapped), tensor(normal(2, 4, 3))
    layer(x)
    for variable in layer.trainable_variables:
        variable.value.requires_grad_(trainable)
    with forward_ad.dual_level():
        with pytest.raises(InputError, match="forward mode cannot look into the engine"):
            layer(forward_ad.make_dual(x, torch.ones_like(x)))
        layer(x)  # which carries no tangent
    sums = layer(x.requires_grad_()).sum(0)
    with pytest.raises(InputError, match="one gradient at a time"):
        torch.autograd.grad(sums, x, torch.eye(len(sums)), is_grads_batched=True)
