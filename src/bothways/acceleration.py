"""What `accelerate` did to a model of Keras or of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

NATIVE = "native"  # the `LayerReport.engine` of a layer that the engine runs


class LayerReport(NamedTuple):
    """What runs one layer."""

    name: str  # the layer's name; in torch, its path in the model
    kind: str  # its class
    engine: str  # "native", or why its own library runs it; "all steps in one product" for a `TimeDistributed(Dense)`


class Acceleration:
    """What `accelerate` did to a model: `str()` of it is a small table; `undo()` takes it back.

    Attributes:
        layers: a `LayerReport` for every recurrent layer and every `TimeDistributed(Dense)`. The two layers of a
            `Bidirectional` that runs on the engine run with it and have none of their own.

    Example:
        >>> import bothways, keras
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="reader")])
        >>> acceleration = bothways.accelerate(model)
        >>> acceleration.layers
        (LayerReport(name='reader', kind='LSTM', engine='native'),)
        >>> acceleration.undo()
    """

    def __init__(self, layers: Iterable[LayerReport], undoing: Iterable[Callable[[], None]]) -> None:
        self.layers = tuple(layers)
        self._undoing = list(undoing)

    def undo(self) -> None:
        """Give the model back to its own library; calling it twice does no harm."""
        while self._undoing:
            self._undoing.pop()()

    def __str__(self) -> str:
        if not self.layers:
            return "There is no layer for the engine in this model."
        widths = [max(len(layer[column]) for layer in self.layers) for column in (0, 1)]
        return "\n".join(f"{name:{widths[0]}}  {kind:{widths[1]}}  {engine}" for name, kind, engine in self.layers)

    __repr__ = __str__
