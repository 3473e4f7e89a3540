"""Label sequences by reading them both ways.

    layers            Keras 3 layers on a fused engine for the CPU: LSTM, GRU, SimpleRNN, Bidirectional
    accelerate        puts that engine into a model of Keras or torch that exists, in place
    SequenceLabeler   an estimator in the manner of scikit-learn: sequences in, labels for every step out
    compare           settings over many seeds: what helps, by how much, how sure that is
    load              a trained model from its file; it predicts without Keras
    quantize          a trained model in int8, a quarter of the size
    export_onnx       a trained model as one graph of ONNX, for other runtimes
    engine            the engine on NumPy arrays
    problems          generated problems, the cumulative sum of the tutorials among them
    labeler, metrics, report, tags    what stands beside these: scorers, scores, pages, tags of chunks

Importing this package imports neither Keras nor JAX: each name brings what it needs when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know the name; importing it takes time in which Ctrl-C gives a traceback
if TYPE_CHECKING:
    from typing import Any

    from bothways import engine, layers, problems
    from bothways.export import export_onnx
    from bothways.labeler import SequenceLabeler
    from bothways.runtime import quantize
    from bothways.store import load
    from bothways.study import compare
    from bothways.torch_modules import accelerate

__version__ = "0.1.0"

_HOMES = {
    "SequenceLabeler": "bothways.labeler",
    "accelerate": "bothways.torch_modules",
    "compare": "bothways.study",
    "export_onnx": "bothways.export",
    "load": "bothways.store",
    "quantize": "bothways.runtime",
}
_MODULES = ("engine", "labeler", "layers", "metrics", "problems", "report", "tags")

__all__ = [
    "SequenceLabeler",
    "accelerate",
    "compare",
    "engine",
    "export_onnx",
    "layers",
    "load",
    "problems",
    "quantize",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"bothways.{name}")
    raise AttributeError(f"module 'bothways' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
