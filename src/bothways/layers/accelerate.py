"""`accelerate`: an existing Keras model on the engine, in place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras

from bothways.layers import ops
from bothways.layers.bidirectional import run_both
from bothways.layers.eligibility import NATIVE, engine_of, engine_of_both
from bothways.layers.native import JitAsTheEngineCan, run_layer

ONE_PRODUCT = "all steps in one product"


class LayerReport(NamedTuple):
    """What became of one layer.

    Attributes:
        name: the layer's name.
        kind: its class.
        engine: "native", or why stock Keras runs it; `ONE_PRODUCT` for a `TimeDistributed(Dense)`.
    """

    name: str
    kind: str
    engine: str


class Acceleration:
    """What `accelerate` did to a model: `str()` of it is a small table; `undo()` takes it back.

    Attributes:
        layers: a `LayerReport` for every recurrent layer; those inside of a `Bidirectional` that runs on the engine
            run with it and have none of their own. And for every `TimeDistributed(Dense)`.

    Example:
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="reader")])
        >>> acceleration = accelerate(model)
        >>> acceleration.layers
        (LayerReport(name='reader', kind='LSTM', engine='native'),)
        >>> acceleration.undo()
    """

    def __init__(self, layers: Iterable[LayerReport], undoing: Iterable[Callable[[], None]]) -> None:
        self.layers = tuple(layers)
        self._undoing = list(undoing)

    def undo(self) -> None:
        """Give the model back to stock Keras; to do so twice does no harm."""
        while self._undoing:
            self._undoing.pop()()

    def __str__(self) -> str:
        if not self.layers:
            return "There is no layer for the engine in this model."
        widths = [max(len(layer[column]) for layer in self.layers) for column in (0, 1)]
        return "\n".join(f"{name:{widths[0]}}  {kind:{widths[1]}}  {engine}" for name, kind, engine in self.layers)

    __repr__ = __str__


def accelerate(model: keras.Layer) -> Acceleration:
    """Run the recurrent layers of a Keras model on the engine, in place.

    Weights, numbers, `fit`, callbacks and files stay those of stock Keras: a file that is saved afterwards loads where
    only Keras is installed. The model need not be built or compiled yet; layers that are added later, copies and
    loaded files need a call of their own. Layers in models inside of the model, and in wrappers, are found too.
    Numbers are those of stock Keras for stateful layers, too: on JAX their states stay what they were in all that Keras
    compiles, `fit` and `predict`. The layers of `bothways.layers` carry them everywhere.
    Besides, a `TimeDistributed(Dense)`, which Keras runs step by step, becomes one product over all steps.

    Args:
        model: any Keras model or layer.

    Returns:
        The report: which layers run on the engine, and for every other recurrent layer the reason why not.
        Its `undo()` takes everything back.

    Example:
        >>> model = keras.Sequential([
        ...     keras.Input((5, 3)),
        ...     keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True), name="both"),
        ...     keras.layers.GRU(4, unroll=True, name="summary"),
        ... ])
        >>> print(accelerate(model))
        both     Bidirectional  native
        summary  GRU            unroll=True; the engine does not unroll
    """
    found = model._flatten_layers(include_self=True)
    undoing: list[Callable[[], None]] = []
    reports, inside = [], set()
    for layer in found:
        if isinstance(layer, keras.layers.Bidirectional):
            engine = engine_of_both(layer)
            if engine == NATIVE:
                inside |= {id(layer.forward_layer), id(layer.backward_layer)}
            undoing += _hook(layer, "call", engine_of_both, run_both)
        elif isinstance(layer, keras.layers.RNN):
            engine = engine_of(layer)
            undoing += _hook(layer, "inner_loop", engine_of, run_layer)
        elif isinstance(layer, keras.layers.TimeDistributed) and _engine_of_steps(layer) == NATIVE:
            engine = ONE_PRODUCT
            undoing += _hook(layer, "call", _engine_of_steps, _run_steps)
        else:
            continue
        reports.append((layer, LayerReport(layer.name, type(layer).__name__, engine)))
    undoing.insert(0, functools.partial(_compile_again, found))  # the last to be undone
    for layer in found:
        if not ops.SUPPORTS_JIT and isinstance(layer, keras.Model) and layer.compiled and layer.jit_compile:
            layer.jit_compile = False
            undoing.insert(0, functools.partial(setattr, layer, "jit_compile", True))
    _compile_again(found)
    return Acceleration((report for layer, report in reports if id(layer) not in inside), undoing)


def _hook(
    layer: Any, method: str, engine: Callable[[Any], str], run: Callable[..., Any]
) -> Iterable[Callable[[], None]]:
    """Put the engine in the place of a method of one stock layer; gives what undoes it."""
    if isinstance(layer, JitAsTheEngineCan) or method in vars(layer):
        return  # a layer of ours, or one that is accelerated already
    if engine(layer) != NATIVE:
        return
    stock = getattr(layer, method)

    def call(*arguments: Any, **options: Any) -> Any:
        if engine(layer) != NATIVE:  # it may have been changed since
            return stock(*arguments, **options)
        return run(layer, *arguments, **options)

    setattr(layer, method, functools.wraps(stock)(call))
    yield functools.partial(delattr, layer, method)
    if not ops.SUPPORTS_JIT:
        yield functools.partial(setattr, layer, "supports_jit", layer.supports_jit)
        layer.supports_jit = False


def _engine_of_steps(wrapper: Any) -> str:
    """`"native"` for a `TimeDistributed` over a stock `Dense`: its steps need no loop, they are rows of one product."""
    layer = wrapper.layer
    stock = type(wrapper) is keras.layers.TimeDistributed and type(layer) is keras.layers.Dense
    return NATIVE if stock and layer.quantization_mode is None else "not a stock Dense"


def _run_steps(wrapper: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    return wrapper.layer.call(inputs)


def _compile_again(layers: Iterable[Any]) -> None:
    """Make models forget their compiled steps, which hold what the layers were when they were traced."""
    for layer in layers:
        if isinstance(layer, keras.Model):
            layer.train_function = layer.test_function = layer.predict_function = None
