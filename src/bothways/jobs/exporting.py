"""Write a model for other runtimes."""

from __future__ import annotations

from pathlib import Path

from bothways.export import Exported, export_onnx
from bothways.jobs.models import load_any


def export(model: str | Path, output: str | Path, opset: int | None = None) -> Exported:
    """Write a model file, of ours or of Keras, as a graph of ONNX; see `bothways.export.export_onnx`.

    Raises:
        ModelFileError: the model cannot be read.
        InputError: there is no such opset, the model holds what ONNX cannot do, or the output does not end in .onnx.
        MissingDependencyError: onnx is not installed; or Keras, for a file of it.

    Example:
        >>> export("nowhere.bothways", "some.onnx")
        Traceback (most recent call last):
        bothways.errors.ModelFileError: nowhere.bothways: no such file.
    """
    return export_onnx(load_any(model), output, opset)
