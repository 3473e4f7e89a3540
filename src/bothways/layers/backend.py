"""Which Keras backend to use, when the user has not said."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path

from bothways.errors import InputError, MissingDependencyError, on_command_line

PREFERRED = ("jax", "torch", "tensorflow")
KNOWN = (*PREFERRED, "numpy", "openvino")

WRITTEN_BY_KERAS = {
    "floatx": "float32",
    "epsilon": 1e-07,
    "backend": "tensorflow",
    "image_data_format": "channels_last",
}
"""What Keras itself puts into a configuration file, wherever it is first imported and finds none."""


def choose_backend() -> None:
    """Choose the first installed of JAX, torch and TensorFlow as the backend of Keras; say so if it is not JAX.

    A user's own choice always wins: `KERAS_BACKEND`, a Keras configuration file, or a Keras that is already
    imported leave everything as it is, and so does TensorFlow if it is. A configuration file counts for nothing if it
    names a backend that is not installed, or is word for word the one that Keras writes by itself, naming TensorFlow,
    wherever it is first imported: nobody chose that.
    """
    if sys.modules.get("keras") or sys.modules.get("tensorflow"):
        return
    backend = os.environ.get("KERAS_BACKEND") or _configured()
    if backend is None:
        backend = next(filter(_installed, PREFERRED), None)
        if backend is None:
            raise MissingDependencyError("Keras needs a backend, and none is installed. Install one: pip install jax")
        os.environ["KERAS_BACKEND"] = backend
        if backend != PREFERRED[0]:
            warnings.warn(
                f"bothways uses Keras on {backend}, because {PREFERRED[0]} is not installed. "
                "Set KERAS_BACKEND to choose yourself.",
                stacklevel=3,
            )
    elif backend not in KNOWN:
        raise InputError(f"KERAS_BACKEND is {backend!r}; Keras runs on {', '.join(KNOWN)}.")
    elif not _installed(backend):
        raise MissingDependencyError(
            f"Keras is to run on {backend}, which is not installed. Install it (pip install {backend}), or choose "
            f"another backend: {', '.join(filter(_installed, PREFERRED)) or 'none is installed'}."
        )
    if backend != "tensorflow" and on_command_line():
        # Keras imports it wherever it is installed, which takes seconds and prints banners.
        sys.modules["tensorflow"] = None  # type: ignore[assignment]


def _configured() -> str | None:
    """The backend that the configuration file of Keras names, if somebody wrote it and that backend is installed."""
    try:
        home = Path(os.environ["KERAS_HOME"]) if "KERAS_HOME" in os.environ else Path.home() / ".keras"
        configuration = json.loads((home / "keras.json").read_text())
        backend = configuration["backend"]
    except (OSError, RuntimeError, ValueError, LookupError, TypeError):  # Keras, too, goes on without such a file
        return None
    chosen = isinstance(backend, str) and configuration != WRITTEN_BY_KERAS and _installed(backend)
    return backend if chosen else None


def _installed(backend: str) -> bool:
    return backend == "numpy" or importlib.util.find_spec(backend) is not None
