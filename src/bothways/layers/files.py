"""Whole models in files: with the layers of bothways, or with those of Keras.

A file names the class of every layer. `model.save` writes `bothways>LSTM` for ours, and such a file needs bothways
wherever it is opened. Keras offers no way to write another name or, by `custom_objects`, to read one as another. So the
names are changed in the file. All the rest, weights, state of the optimizer, compilation, is the same.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import keras

from bothways.errors import BothwaysError, InputError, ModelFileError
from bothways.files import written_whole
from bothways.layers.bidirectional import Bidirectional
from bothways.layers.recurrent import GRU, LSTM, RNN, SimpleRNN

_OURS = {kind.__name__: kind for kind in (LSTM, GRU, SimpleRNN, RNN, Bidirectional)}
_REGISTERED = {keras.saving.get_registered_name(kind): name for name, kind in _OURS.items()}
_CONFIG = "config.json"  # in a .keras file, which is an archive
_H5_CONFIG = "model_config"  # in a legacy .h5 file, an attribute


def load_model(path: str | Path, layers: str = "bothways", **options: Any) -> keras.Model:
    """Load a model that Keras or bothways saved, with the recurrent layers of either.

    Args:
        path: a `.keras` or legacy `.h5` file of a whole model.
        layers: "bothways" for the layers of the engine, "keras" for stock ones.
        **options: those of `keras.saving.load_model`.

    Raises:
        InputError: `layers` is neither.
        ModelFileError: no such file, damaged, no model of Keras, or one with layers or code of its own; says which.

    Example:
        >>> stock = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     stock.save(Path(folder, "stock.keras"))
        ...     model = load_model(Path(folder, "stock.keras"))
        >>> model.layers[0].engine
        'native'
    """
    path = Path(path)
    inspect.signature(keras.saving.load_model).bind(path, **options)  # a wrong option is not the fault of the file
    with tempfile.TemporaryDirectory() as folder, _reading(path):
        copy = Path(folder, path.name)
        _convert(path, copy, layers)
        return keras.saving.load_model(copy, **options)


def load_keras_file(path: str | Path) -> keras.Model:
    """The model in a `.keras` or `.h5` file as it is, for inspection: not compiled, and none of its code is run."""
    path = Path(path)
    with warnings.catch_warnings(), _reading(path):
        warnings.simplefilter("ignore")  # they are about how the program that wrote it was written
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise ModelFileError(
            f"{path}: holds {type(model).__name__}, which is no model. Save the whole model: model.save(...)"
        )
    return model


def save_model(model: keras.Model, path: str | Path, layers: str = "keras", **options: Any) -> None:
    """Save a model so that it loads where only Keras is installed.

    Args:
        model: any Keras model, with layers of bothways or without.
        path: the file, whose name ends in `.keras` or `.h5`; one that exists is replaced, unless `overwrite=False`.
        layers: "keras" for a file of stock Keras, "bothways" for one that needs bothways, as `model.save` writes it.
        **options: those of `model.save`.

    Raises:
        InputError: `layers` is neither.
        ModelFileError: the file cannot be written, or exists with `overwrite=False`.

    Example:
        >>> from bothways.layers import LSTM
        >>> model = keras.Sequential([keras.Input((5, 3)), LSTM(4)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(model, Path(folder, "model.keras"))
        ...     loaded = keras.saving.load_model(Path(folder, "model.keras"))
        >>> type(loaded.layers[0]) is keras.layers.LSTM
        True
    """
    path = Path(path)
    if path.exists() and not options.get("overwrite", True):
        raise ModelFileError(f"{path}: exists, and overwrite=False. Give another name, or leave overwrite out.")
    with tempfile.TemporaryDirectory() as folder, written_whole(path, ModelFileError) as whole:
        saved, converted = Path(folder, path.name), Path(folder, "converted")
        model.save(saved, **options)
        _convert(saved, converted, layers)
        shutil.copyfile(converted, whole)


def _convert(source: Path, target: Path, layers: str) -> None:
    """Copy a file of a model, with the recurrent layers in it renamed."""
    if layers not in ("bothways", "keras"):
        raise InputError(f"There are no layers {layers!r}. Use layers='bothways' or 'keras'.")
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            if _CONFIG not in old.namelist():
                raise ModelFileError(f"{source}: an archive without {_CONFIG}. A model saved by Keras is needed.")
            for entry in old.infolist():
                if entry.filename == _CONFIG:
                    new.writestr(entry, json.dumps(_renamed(json.loads(old.read(entry)), layers)))
                else:
                    with old.open(entry) as content, new.open(entry, "w", force_zip64=True) as copy:
                        shutil.copyfileobj(content, copy)
    elif h5py.is_hdf5(source):
        shutil.copyfile(source, target)
        with h5py.File(target, "r+") as file:
            if _H5_CONFIG not in file.attrs:
                raise ModelFileError(f"{source}: weights without a model. Build one and call its load_weights.")
            file.attrs[_H5_CONFIG] = json.dumps(_renamed(json.loads(file.attrs[_H5_CONFIG]), layers))
    else:
        raise ModelFileError(f"{source}: neither a .keras nor an .h5 file. A model saved by Keras is needed.")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever the block raises on reading a file of a model, in our words."""
    if path.is_dir():
        raise ModelFileError(f"{path}: this is a folder; give the model file itself.")
    if not path.exists():
        raise ModelFileError(f"{path}: no such file.")
    try:
        yield
    except BothwaysError:
        raise
    except Exception as error:  # Keras lets through whatever its readers raise
        raise ModelFileError(f"{path}: {_why_not_loaded(str(error), path)}") from None


def _why_not_loaded(message: str, path: Path) -> str:
    """What Keras meant, and what to do about it."""
    if re.search(r"Lambda.{0,200}(safe_mode|unsafe|arbitrary code)", message, re.DOTALL):
        return (
            "has a Lambda layer, which is code from the file; it was not run. If you trust the file, load it in Python "
            f"with bothways.layers.load_model({str(path)!r}, safe_mode=False)."
        )
    unknown = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:?) '([^']+)'", message)
    if unknown:
        name = unknown.group(1).rsplit(">", 1)[-1]
        return (
            f"has {name!r}, which is neither of Keras nor of bothways. If you trust the file, import {name!r} in "
            f"Python and load the file there: bothways.layers.load_model({str(path)!r}, "
            f"custom_objects={{{name!r}: {name}}})."
        )
    if "No model config" in message:
        return "holds weights only. Save the whole model: model.save(...)"
    first = (message.strip() or "nothing").splitlines()[0]
    first = first if len(first) <= 160 else f"{first[:157]}..."
    said = "" if "File not found" in message else f" (Keras says: {first})"  # of any file that is no zip
    return f"damaged or cut short, or not a Keras model{said}. Save it again."


def _renamed(node: Any, layers: str) -> Any:
    """A configuration with our classes in the place of Keras's, or the other way round.

    An entry of today has a module, a class and a registered name; in legacy files some have nothing but the class,
    which then is the registered name.
    """
    if isinstance(node, list):
        return [_renamed(each, layers) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: _renamed(value, layers) for key, value in node.items()}
    kind = node.get("class_name")
    ours = _REGISTERED.get(node.get("registered_name") or kind)
    if layers == "keras" and ours is not None:
        whole = {"module": "keras.layers", "registered_name": None} if "module" in node else {}
        return node | {"class_name": ours} | whole
    if layers == "bothways" and kind in _OURS and node.get("module", "keras.layers") == "keras.layers":
        registered = keras.saving.get_registered_name(_OURS[kind])
        if "module" in node:
            return node | {"module": _OURS[kind].__module__, "registered_name": registered}
        return node | {"class_name": registered}
    return node
