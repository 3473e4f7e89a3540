"""What starts at the file of a model: what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bothways import store
from bothways.data import Columns
from bothways.errors import InputError, MissingDependencyError
from bothways.runtime import Model

if TYPE_CHECKING:
    from bothways.layers.inspection import Inspection

MODEL_ENDING = ".bothways"
KERAS_ENDINGS = (".keras", ".h5", ".hdf5")


def info(path: str | Path) -> Model | Inspection:
    """What is in a model file: a model of ours, or what the engine would run of a Keras model (`.keras` or `.h5`)."""
    model = load_any(path)
    if isinstance(model, Model):
        return model
    from bothways.layers.inspection import inspect_model

    return inspect_model(model)


def load_any(path: str | Path) -> Any:
    """A model of ours, or one of Keras, as the ending of its file says."""
    path = Path(path)
    if path.suffix.lower() not in KERAS_ENDINGS:
        return store.load(path)
    try:
        from bothways.layers.files import load_keras_file
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            f"{path}: a file of Keras can be read only where {missing.name} is installed, and here it is not. "
            "Install Keras and a backend: pip install keras jax"
        ) from None
    return load_keras_file(path)


def load_with_columns(path: str | Path) -> tuple[Model, Columns]:
    """A model that was trained on a table, and its columns."""
    model = store.load(path)
    return model, table_columns(model, path)


def table_columns(model: Model, name: str | Path) -> Columns:
    """The columns of a model that was trained on a table; messages call it `name`."""
    if model.table is None:
        raise InputError(f"{name}: this model was trained on arrays, so it does not know the columns of a table.")
    return model.table
