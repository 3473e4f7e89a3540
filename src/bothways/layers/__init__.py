"""Keras 3 layers on the engine: `LSTM` and `Bidirectional`, with Keras's arguments, weights and numbers.

Each has a readable attribute `engine`: "native", or why stock Keras runs instead.
"""

from bothways.layers.backend import choose_backend

choose_backend()

from bothways.layers.bidirectional import Bidirectional  # noqa: E402
from bothways.layers.lstm import LSTM  # noqa: E402

__all__ = ["LSTM", "Bidirectional"]
