"""Files of whole models: ours as stock ones, stock ones as ours, and where only Keras is installed."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bothways import layers as ours
from bothways.errors import InputError, ModelFileError
from tolerances import KERAS, error

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
FORMATS = pytest.mark.parametrize("name", ["model.keras", "model.h5"])
# Of the .h5 format Keras says that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@functools.cache
def model_of(home: Any, name: str) -> keras.Model:
    """All recurrent layers, in a model in a model, with a backward layer of its own, and inside of a wrapper.

    One for each kind of file, for Keras 3.15 takes the optimizer out of what a model knows of its compilation when it
    writes an .h5 file.
    """
    backward = home.LSTM(4, return_sequences=True, go_backwards=True)
    inner = keras.Sequential(
        [
            keras.Input((6, 3)),
            home.Bidirectional(home.LSTM(4, return_sequences=True), backward_layer=backward),
        ],
        name="inner",
    )
    x = keras.Input((6, 3))
    h = home.SimpleRNN(4, return_sequences=True, activation="relu")(inner(x))
    h = keras.layers.TimeDistributed(home.GRU(3))(keras.layers.Reshape((6, 4, 1))(h))
    model = keras.Model(x, home.Bidirectional(home.GRU(2), merge_mode="sum")(h))
    model.compile(
        loss=keras.losses.MeanSquaredError(), optimizer=keras.optimizers.SGD(0.1, momentum=0.9)
    )  # Keras 3.15 cannot read "mse" from an .h5 file that it wrote
    model.fit(X, np.ones((4, 2)), verbose=0)  # so that the optimizer has a state
    return model


def recurrent_layers(layer: Any) -> Iterator[Any]:
    """Those in a model, nested and wrapped ones too."""
    inside = [layer.layer] if isinstance(layer, keras.layers.TimeDistributed) else getattr(layer, "layers", [])
    for each in inside:
        yield from recurrent_layers(each)
    if isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)):
        yield layer
    if isinstance(layer, keras.layers.Bidirectional):
        yield from (layer.forward_layer, layer.backward_layer)


def assert_is_of(model: keras.Model, home: Any) -> None:
    found = list(recurrent_layers(model))
    assert len(found) == 8
    for layer in found:
        assert type(layer) is getattr(home, type(layer).__name__)


def assert_goes_on_like(model: keras.Model, other: keras.Model, name: str) -> None:
    """The same predictions, and after one more step of training, which the state of the optimizer decides, too."""
    assert error(model.predict(X, verbose=0), other.predict(X, verbose=0)) < KERAS
    if name.endswith(".h5"):  # Keras on JAX cannot go on to train what it loads from an .h5 file, stock layers or not
        return
    for each in (model, other):
        each.fit(X, np.ones((4, 2)), verbose=0)
    assert error(model.predict(X, verbose=0), other.predict(X, verbose=0)) < KERAS


@FORMATS
def test_a_stock_file_opens_with_our_layers(name: str, tmp_path: Path) -> None:
    stock = model_of(keras.layers, name)
    stock.save(tmp_path / name)
    model = ours.load_model(tmp_path / name)
    assert_is_of(model, ours)
    assert all(layer.engine == "native" for layer in recurrent_layers(model))
    assert_goes_on_like(model, stock, name)


@pytest.mark.slow
@FORMATS
def test_our_file_opens_as_a_stock_model(name: str, tmp_path: Path) -> None:
    model = model_of(ours, name)
    model.save(tmp_path / name)
    stock = ours.load_model(tmp_path / name, layers="keras")
    assert_is_of(stock, keras.layers)
    assert_goes_on_like(model, stock, name)


@FORMATS
@pytest.mark.parametrize("home", [ours, keras.layers], ids=["ours", "stock"])
@pytest.mark.parametrize("layers", ["keras", "bothways"])
def test_files_of_either_kind_from_models_of_either_kind(name: str, home: Any, layers: str, tmp_path: Path) -> None:
    model = model_of(home, name)
    ours.save_model(model, tmp_path / name, layers=layers)
    loaded = keras.saving.load_model(tmp_path / name)
    assert_is_of(loaded, ours if layers == "bothways" else keras.layers)
    assert error(loaded.predict(X, verbose=0), model.predict(X, verbose=0)) < KERAS
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_file_that_is_not_to_be_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_text("precious")
    with pytest.raises(ModelFileError, match=r"model\.keras: exists, and overwrite=False"):
        ours.save_model(keras.Sequential([keras.Input((6, 3)), ours.LSTM(4)]), path, overwrite=False)
    assert path.read_text() == "precious"


@pytest.mark.slow
def test_files_open_where_only_keras_is_installed(tmp_path: Path) -> None:
    """Those of `save_model` as they are; for one of `model.save` Keras can be told what our names mean.

    Where bothways is imported, its registered names win over `custom_objects`.
    """
    model = model_of(ours, "model.h5")
    for name in ("stock.keras", "stock.h5"):
        ours.save_model(model, tmp_path / name)
    model.save(tmp_path / "ours.keras")
    np.save(tmp_path / "x.npy", X)
    code = """
import sys, warnings
sys.modules["bothways"] = None
warnings.simplefilter("ignore")
import keras, numpy
x = numpy.load("x.npy")
ours = {f"bothways>{name}": getattr(keras.layers, name) for name in ("LSTM", "GRU", "SimpleRNN", "Bidirectional")}
for name, names in (("stock.keras", None), ("stock.h5", None), ("ours.keras", ours)):
    model = keras.saving.load_model(name, custom_objects=names)
    numpy.save(name, model.predict(x, verbose=0))
"""
    environment = os.environ | {"KERAS_BACKEND": "numpy"}  # which has nothing to compile
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    for name in ("stock.keras", "stock.h5", "ours.keras"):
        assert error(np.load(tmp_path / f"{name}.npy"), model.predict(X, verbose=0)) < KERAS


def test_other_classes_keep_their_names(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable(package="mine")
    class LSTM(keras.layers.LSTM):  # type: ignore[misc]
        pass

    mine = keras.Sequential([keras.Input((6, 3)), LSTM(4), keras.layers.Dense(1)])
    mine.save(tmp_path / "mine.keras")
    assert type(ours.load_model(tmp_path / "mine.keras").layers[0]) is LSTM
    ours.save_model(mine, tmp_path / "mine.keras")
    assert type(keras.saving.load_model(tmp_path / "mine.keras").layers[0]) is LSTM


def test_a_wrapper_that_stock_keras_runs_is_read(tmp_path: Path) -> None:
    """Keras builds the layers of a functional model in a file with a list for the shape."""
    x = keras.Input((4, 3, 2))
    model = keras.Model(x, keras.layers.Bidirectional(keras.layers.ConvLSTM1D(2, 2))(x))
    model.save(tmp_path / "model.keras")
    loaded, frames = ours.load_model(tmp_path / "model.keras"), np.ones((1, 4, 3, 2), "float32")
    assert isinstance(loaded.layers[1], ours.Bidirectional)
    assert error(loaded(frames), model(frames)) < KERAS


@pytest.mark.parametrize("name", ["some.weights.h5", "legacy.h5"])
def test_weights_of_nested_models_pass_both_ways(name: str, tmp_path: Path) -> None:
    models = model_of(ours, "model.h5"), model_of(keras.layers, "model.h5")
    for saved, other in (models, models[::-1]):
        path = tmp_path / f"{id(saved)}-{name}"
        if name == "legacy.h5":  # a whole model in the legacy format has its weights in the legacy layout
            saved.save(path)
            other.load_weights(path)
        else:
            saved.save_weights(path)
            other.load_weights(path)
        assert error(other.predict(X, verbose=0), saved.predict(X, verbose=0)) < KERAS
        other.set_weights([weight + 1 for weight in other.get_weights()])


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with pytest.raises(ModelFileError, match=r"model\.keras: no such file"):
        ours.load_model(path)
    path.write_text("no archive")
    with pytest.raises(ModelFileError, match=r"neither a \.keras nor an \.h5 file"):
        ours.load_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("something.txt", "else")
    with pytest.raises(ModelFileError, match=r"an archive without config\.json"):
        ours.load_model(path)
    model = keras.Sequential([keras.Input((6, 3)), ours.LSTM(4)])
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ModelFileError, match="weights without a model"):
        ours.load_model(tmp_path / "model.weights.h5")
    with pytest.raises(TypeError, match="unexpected keyword argument 'custom_object'"):
        ours.load_model(path, custom_object={})
    with pytest.raises(InputError, match="There are no layers 'torch'"):
        ours.save_model(model, path, layers="torch")
    with zipfile.ZipFile(path) as archive:  # what was there is there still
        assert archive.namelist() == ["something.txt"]


def rewritten(path: Path, change: Callable[[str], str]) -> Path:
    """A `.keras` file with another configuration."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content.decode()) if name == "config.json" else content)
    return path


@pytest.mark.parametrize("load", [ours.load_model, ours.files.load_keras_file])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config[:-1], "damaged or cut short, or not a Keras model"),
        (lambda config: "[" * 100_000, "damaged or cut short, or not a Keras model"),
        (lambda config: "5", "damaged or cut short, or not a Keras model"),
        (
            lambda config: config.replace('"tanh"', '{"module": "os", "class_name": "function", "config": "system"}'),
            "has 'system', which is neither of Keras nor of bothways. If you trust the file, import 'system' in Python",
        ),
    ],
    ids=["cut", "deep", "number", "system"],
)
def test_a_configuration_that_is_none(tmp_path: Path, load: Any, change: Callable[[str], str], said: str) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((6, 3)), keras.layers.LSTM(4, activation="tanh")]).save(path)
    with pytest.raises(ModelFileError, match=re.escape(said)):
        load(rewritten(path, change))
