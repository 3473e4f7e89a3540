"""The jobs that start at a table in a file: train on it, evaluate a model on it, label it; and those at a model file.

`bothways.cli` reads the arguments of these functions from the command line and prints what they return.
"""

from bothways.jobs.evaluation import evaluate
from bothways.jobs.models import info
from bothways.jobs.prediction import Prediction, predict
from bothways.jobs.quantization import Quantization, quantize
from bothways.jobs.streaming import Streaming, stream
from bothways.jobs.training import Training, train

__all__ = [
    "Prediction",
    "Quantization",
    "Streaming",
    "Training",
    "evaluate",
    "info",
    "predict",
    "quantize",
    "stream",
    "train",
]
