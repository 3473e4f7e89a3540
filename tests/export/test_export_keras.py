"""Models of Keras as graphs of ONNX give the numbers of Keras, under any mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import bothways.layers
from bothways.cli import main
from bothways.errors import InputError
from bothways.export import export_onnx, keras_model
from tolerances import KERAS, error

onnxruntime = pytest.importorskip("onnxruntime")
L = keras.layers
CELLS = {
    "lstm": L.LSTM,
    "gru": L.GRU,
    "gru_reset_before": lambda units, **how: L.GRU(units, reset_after=False, **how),
    "rnn": L.SimpleRNN,
    "rnn_relu": lambda units, **how: L.SimpleRNN(units, activation="relu", use_bias=False, **how),
    "lstm_linear": lambda units, **how: L.LSTM(units, activation="linear", recurrent_activation="hard_sigmoid", **how),
    "gru_relu": lambda units, **how: L.GRU(units, activation="relu", recurrent_activation="hard_sigmoid", **how),
}


def check(model: Any, path: Path, **inputs: Any) -> None:
    """ONNX Runtime gives what Keras gives."""
    for weight in model.weights:
        if "seed" not in weight.path:  # biases, too, which begin as zeros
            weight.assign(np.random.default_rng(weight.shape[0]).normal(size=weight.shape) * 0.3)
    export_onnx(model, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    named = {each.name: inputs[each.name] for each in session.get_inputs()}
    expected = model.predict([*named.values()] if len(named) > 1 else inputs["x"], verbose=0)
    for actual, one in zip(
        session.run(None, named), expected if isinstance(expected, list) else [expected], strict=True
    ):
        assert error(actual, one) < KERAS


def masked() -> Any:
    """Numbers with masked steps at the end, in the middle, at the beginning, and everywhere."""
    x = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
    x[0, 5:] = x[1, 2:4] = x[2, :3] = x[3] = 0
    return x


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_both_directions(cell: str, merge_mode: str, mask: bool, sequences: bool, tmp_path: Path) -> None:
    layers = [L.Input((None, 3), name="x"), *([L.Masking()] if mask else [])]
    layers += [L.Bidirectional(CELLS[cell](4, return_sequences=True))]
    layers += [L.Bidirectional(CELLS[cell](4, return_sequences=sequences), merge_mode=merge_mode)]
    layers += [L.Dropout(0.5), L.Dense(2, activation="softmax")]
    check(keras.Sequential(layers), tmp_path / "some.onnx", x=masked())


@pytest.mark.parametrize("mask", [False, True])
def test_one_direction(mask: bool, tmp_path: Path) -> None:
    begin = [L.Input((7, 3), name="x"), *([L.Masking()] if mask else [])]
    forward = [
        L.LSTM(4, return_sequences=True, zero_output_for_mask=True),
        L.TimeDistributed(L.Dense(3, activation="relu")),
    ]
    backward = [L.GRU(4, return_sequences=not mask, go_backwards=True), L.Activation("tanh")]
    check(keras.Sequential([*begin, *forward, *backward]), tmp_path / "some.onnx", x=masked())


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_unrolled_layers_make_no_zeros(both: bool, sequences: bool, tmp_path: Path) -> None:
    layer = L.LSTM(4, return_sequences=sequences, zero_output_for_mask=True, unroll=True)
    layers = [L.Input((7, 3), name="x"), L.Masking(), L.Bidirectional(layer) if both else layer]
    check(keras.Sequential(layers), tmp_path / "some.onnx", x=masked())


def test_zeros_of_one_direction_alone(tmp_path: Path) -> None:
    back = L.LSTM(4, return_sequences=True, go_backwards=True, unroll=True)
    layer = L.Bidirectional(L.LSTM(4, return_sequences=True), backward_layer=back)
    layer.backward_layer.zero_output_for_mask = layer.forward_layer.zero_output_for_mask = True
    check(keras.Sequential([L.Input((7, 3), name="x"), L.Masking(), layer]), tmp_path / "some.onnx", x=masked())


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype .*64")
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "int64", "float16", "float64"])
@pytest.mark.parametrize("mask", [None, 0.0, -1, 0.5])
@pytest.mark.slow
def test_inputs_of_any_numbers(dtype: str, mask: float | None, tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x", dtype=dtype)
    read = x if mask is None else L.Masking(mask)(x)
    layers = [L.Dense(2)(read), L.Bidirectional(L.GRU(2))(L.Dropout(0.5)(read)), L.TimeDistributed(L.Dense(2))(read)]
    check(keras.Model(x, [read, *layers]), tmp_path / "some.onnx", x=np.abs(masked() * 3).astype(dtype))


def test_inputs_of_other_things_are_refused(tmp_path: Path) -> None:
    for dtype in ("bfloat16", "string"):
        x = keras.Input((None, 3), name="x", dtype=dtype)
        with pytest.raises(InputError, match=f"The input 'x' is of {dtype}; a graph reads bool, int8"):
            export_onnx(keras.Model(x, x), tmp_path / "some.onnx")
    x = keras.Input((None, 3), dtype="uint8")
    with pytest.raises(InputError, match=r"'a' reads uint8; make it float32 by keras\.ops\.cast"):
        export_onnx(keras.Model(x, L.Activation("relu", name="a")(x)), tmp_path / "some.onnx")
    x = keras.Input((None, 3), name="x", dtype="uint8")
    model = keras.Model(x, L.Activation("relu")(keras.ops.cast(x, "float32")))
    check(model, tmp_path / "some.onnx", x=masked().astype("uint8"))


def test_outputs_of_one_name_are_numbered(tmp_path: Path) -> None:
    x, y, shared = keras.Input((None, 3), name="x"), keras.Input((None, 3), name="y"), L.Dense(2, name="d")
    outputs = [x, shared(x), shared(y), L.Dense(2, name="d_1")(x), shared(x)]
    model = keras.Model([x, y], [*outputs, outputs[1]])
    check(model, tmp_path / "some.onnx", x=masked(), y=masked()[::-1])
    session = onnxruntime.InferenceSession(tmp_path / "some.onnx", providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == ["x_1", "d", "d_2", "d_1", "d_3", "d_4"]


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_masks_of_any_numbers(dtype: str, tmp_path: Path) -> None:
    x, mask = keras.Input((None, 3), name="x"), keras.Input((None,), name="mask", dtype=dtype)
    there = np.any(masked() != 0, axis=-1) * np.float32(-0.5 if dtype == "float32" else 3)
    model = keras.Model([x, mask], L.Bidirectional(L.LSTM(3, return_sequences=True))(x, mask=mask))
    check(model, tmp_path / "some.onnx", x=masked(), mask=there.astype(dtype))
    model = keras.Model([x, mask], L.LSTM(3)(x, mask=keras.ops.not_equal(0, mask)))
    check(model, tmp_path / "some.onnx", x=masked(), mask=there.astype(dtype))


def test_masking_of_four_axes(tmp_path: Path) -> None:
    x = np.stack([masked(), masked()[::-1]], axis=1)
    layers = [L.Input((2, 7, 3), name="x"), L.Masking(), L.TimeDistributed(L.Dense(2))]
    check(keras.Sequential(layers), tmp_path / "some.onnx", x=x)


def test_a_functional_model_with_two_inputs_and_outputs(tmp_path: Path) -> None:
    words, x = keras.Input((None,), name="words", dtype="int32"), keras.Input((None, 3), name="x")
    read = L.Bidirectional(L.LSTM(4, return_sequences=True))(L.Embedding(9, 5, mask_zero=True)(words))
    tags, tone = L.Dense(2, activation="softmax", name="tags")(read), L.Dense(1, name="tone")(L.SimpleRNN(4)(x))
    codes = np.random.default_rng(0).integers(0, 9, (5, 7)).astype(np.int32)
    model = keras.Model([words, x], [tags, tone])
    model.save(tmp_path / "some.keras")
    check(keras.saving.load_model(tmp_path / "some.keras"), tmp_path / "some.onnx", words=codes, x=masked())


def test_our_layers_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = bothways.layers.Bidirectional(bothways.layers.LSTM(4))
    model = keras.Sequential([L.Input((None, 3), name="x"), layer, L.Dense(1)])
    check(model, tmp_path / "some.onnx", x=masked())
    model.save(tmp_path / "some.keras")
    with pytest.raises(SystemExit, match="0"):
        main(["export", str(tmp_path / "some.keras"), "-o", str(tmp_path / "some.onnx")])
    assert "float32 (batch, time, 3)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([L.LSTM(4, stateful=True)], "is stateful, or returns states"),
        ([L.Conv1D(4, 3, name="c")], r"'c' is a Conv1D; a graph is made of these: Dense, "),
        (
            [L.LSTM(4, activation="elu", name="r")],
            r"The layer 'r' cannot be a node: activation=keras",
        ),
        ([L.RNN([L.LSTMCell(4), L.GRUCell(4)], name="s")], "The layer 's' is a stack of cells. Make a layer of each"),
        ([L.Dense(4, activation="gelu", name="d")], r"'d' has activation=keras.activations.gelu; a graph has linear, "),
        ([L.Masking(), L.LSTM(4, go_backwards=True, return_sequences=True)], "reads backward under a mask"),
        ([L.Dense(4, dtype="bfloat16")], "computes in bfloat16"),
        ([L.Bidirectional(L.LSTM(4, dtype="mixed_bfloat16", name="r"))], "'forward_r' computes in bfloat16"),
        ([L.RNN(L.LSTMCell(4, dtype="mixed_bfloat16", name="c"))], "The layer 'c' computes in bfloat16"),
    ],
)
def test_what_no_graph_can_do_is_told(layers: list[Any], said: str, tmp_path: Path) -> None:
    batch = 2 if getattr(layers[0], "stateful", False) else None
    model = keras.Sequential([L.Input((7, 3), batch_size=batch), *layers])
    with pytest.raises(InputError, match=said):
        export_onnx(model, tmp_path / "some.onnx")
    with pytest.raises(InputError, match="This is a float; give a model"):
        export_onnx(3.5, tmp_path / "some.onnx")
    with pytest.raises(InputError, match=r"has no known inputs\. Build it"):
        export_onnx(keras.Sequential([L.Dense(1)]), tmp_path / "some.onnx")


def own(layer: type) -> type:
    """A class of layers that compute something else than the one that they are derived from."""

    def call(self: Any, inputs: Any, training: bool | None = None) -> Any:
        return 2 * layer.call(self, inputs)  # type: ignore[attr-defined]

    return type(f"Own{layer.__name__}", (layer,), {"call": call})


def relu(x: Any) -> Any:
    """Called like one of Keras's."""
    return 3 * keras.ops.relu(x)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([own(L.Dense)(4, name="d")], "The layer 'd' is a OwnDense with its own call; a graph has that of Keras"),
        ([L.TimeDistributed(own(L.Dense)(4, name="d"))], "The layer 'd' is a OwnDense with its own call"),
        ([own(L.TimeDistributed)(L.Dense(4))], "a OwnTimeDistributed with its own call"),
        ([own(L.Masking)()], "a OwnMasking with its own call"),
        ([type("Mask", (L.Masking,), {"compute_mask": lambda *of: None})(), L.LSTM(4)], "with its own compute_mask"),
        ([own(L.Dropout)(0.5)], "a OwnDropout with its own call"),
        ([own(L.Activation)("tanh")], "a OwnActivation with its own call"),
        (
            [L.Dense(4, activation=relu, name="d")],
            r"'d' has activation=.*test_export_keras\.relu; a graph has ",
        ),
        ([L.Activation(lambda x: 2 * x)], "has activation=a lambda; a graph has "),
    ],
)
def test_what_only_looks_like_keras_is_refused(layers: list[Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        export_onnx(keras.Sequential([L.Input((7, 3)), *layers]), tmp_path / "some.onnx")


def test_own_embeddings_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([L.Input((7,), dtype="int32"), own(L.Embedding)(9, 4, name="e")])
    with pytest.raises(InputError, match="The layer 'e' is a OwnEmbedding with its own call"):
        export_onnx(model, tmp_path / "some.onnx")


@pytest.mark.parametrize("wrapped", [False, True])
def test_quantized_layers_are_refused(wrapped: bool, tmp_path: Path) -> None:
    dense = L.Dense(4, name="d")
    model = keras.Sequential([L.Input((7, 3)), L.LSTM(4, return_sequences=True)])
    model.add(L.TimeDistributed(dense) if wrapped else dense)
    dense.quantize("int8")
    with pytest.raises(InputError, match="The layer 'd' is quantized to int8; a graph has its weights as float32"):
        export_onnx(model, tmp_path / "some.onnx")


def test_a_model_with_its_own_call_is_refused(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x")
    for model in (own(keras.Sequential)([x, L.Dense(2)], name="m"), own(keras.Model)(x, L.Dense(2)(x), name="m")):
        with pytest.raises(InputError, match=r"The model 'm' is a Own.* with its own call; make it of layers"):
            export_onnx(model, tmp_path / "some.onnx")


@pytest.mark.parametrize("wrapped", [False, True])
def test_initial_states_of_a_layers_own_are_refused(wrapped: bool, tmp_path: Path) -> None:
    layer = L.LSTM(4, name="r")
    layer.get_initial_state = lambda batch_size: [keras.ops.ones((batch_size, 4))] * 2
    wrapped_layer = L.Bidirectional(layer) if wrapped else layer
    if wrapped:
        wrapped_layer.forward_layer.get_initial_state = layer.get_initial_state
    with pytest.raises(InputError, match="has its own get_initial_state; a graph begins with zeros"):
        export_onnx(keras.Sequential([L.Input((7, 3)), wrapped_layer]), tmp_path / "some.onnx")


def test_functions_of_keras_ops_are_those_of_keras(tmp_path: Path) -> None:
    model = keras.Sequential([L.Input((7, 3), name="x"), L.Dense(4, activation=keras.ops.tanh)])
    check(model, tmp_path / "some.onnx", x=masked())


def test_a_shared_layer(tmp_path: Path) -> None:
    x, shared = keras.Input((None, 3), name="x"), L.Dense(3, "tanh")
    check(keras.Model(x, shared(shared(x))), tmp_path / "some.onnx", x=masked())


def test_layers_of_several_inputs_are_refused(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x")
    state = L.LSTM(4, return_state=True)(x)[1:]
    for output, said in [
        (L.Concatenate(name="both")([x, x]), "'both' is a Concatenate"),
        (L.Dense(2)(keras.ops.sin(x)), "'sin' is a Sin"),
        (L.LSTM(4, name="on")(x, initial_state=[L.Dense(4)(x)[:, 0]] * 2), "is a GetItem|'on' reads states"),
        (state[0], "reads states, or several inputs, or gives several outputs"),
    ]:
        with pytest.raises(InputError, match=said):
            export_onnx(keras.Model(x, output), tmp_path / "some.onnx")


def test_calls_that_no_node_knows_are_refused(tmp_path: Path) -> None:
    codes, x = keras.Input((7,), dtype="int32"), keras.Input((7, 3), name="x")
    shown = [
        (L.LSTM(4, name="r")(x, initial_state=[np.ones((1, 4), "float32")] * 2), "'r' is called with initial_state")
    ]
    shown += [
        (L.LSTM(4, name="r")(x, mask=mask), "The mask of the layer 'r' is a constant, or not")
        for mask in (np.ones((1, 7), bool), keras.ops.not_equal(x, 0))
    ]
    if hasattr(L, "ReversibleEmbedding"):
        both = L.ReversibleEmbedding(9, 4, name="e")
        shown += [(both(both(codes), reverse=True), "'e' is called with reverse")]
        shown += [
            (L.LSTM(4)(L.ReversibleEmbedding(9, 4, mask_zero=True, name="e")(codes)), "'e' masks zeros while it runs")
        ]
    for output, said in shown:
        with pytest.raises(InputError, match=said):
            export_onnx(keras.Model([codes, x], output), tmp_path / "some.onnx")


def test_a_graph_that_is_none_is_our_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(keras_model.ACTIVATIONS, "tanh", "Nothing")
    with pytest.raises(
        InputError, match=r"(?s)The model 'm' cannot be exported: .*Nothing.* a fault of `bothways export`"
    ):
        export_onnx(keras.Sequential([L.Input((7, 3)), L.Activation("tanh")], name="m"), tmp_path / "some.onnx")
