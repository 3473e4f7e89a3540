"""`accelerate`: an existing Keras model on the engine, in place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import keras

from bothways.acceleration import Acceleration, LayerReport
from bothways.errors import InputError
from bothways.layers import ops, seams
from bothways.layers.eligibility import NATIVE, cells_of, differs_from_stock, engine_of
from bothways.layers.native import INT8, refuse_training, run_both, run_layer
from bothways.layers.recurrent import OnEngine

ONE_PRODUCT = "all steps in one product"


class Planned(NamedTuple):
    """What `accelerate` does with one layer."""

    layer: Any
    path: str
    """The names of the layers that it is in, then its own, with `/` between them; the model itself is left out."""
    engine: str  # "native", or why stock Keras runs it; `ONE_PRODUCT` for a `TimeDistributed(Dense)`
    within: bool  # whether it runs as part of a `Bidirectional` that is native
    method: str  # the method that the engine replaces by `run`
    check: Callable[[Any], str]  # gives `engine` again, as "native" or not, when the layer is called
    run: Callable[..., Any]


def accelerate(model: keras.Layer, *, precision: str | None = None) -> Acceleration:
    """Run the recurrent layers of a Keras model on the engine, in place.

    Weights, numbers, `fit`, callbacks and files stay those of stock Keras: a file that is saved afterwards loads where
    only Keras is installed. The model need not be built or compiled yet. Layers in nested models and wrappers are
    found too; layers that are added later, copies and loaded files need a call of their own. Stateful layers give the
    numbers of stock Keras, too: on JAX their states do not change in what Keras compiles, `fit` and `predict`. The
    layers of `bothways.layers` carry them everywhere. A `TimeDistributed(Dense)`, which Keras runs step by step,
    becomes one product over all steps.

    Args:
        model: any Keras model or layer.
        precision: "int8" multiplies in int8, for predictions alone, as `bothways.engine.Layer` does; weights stay as
            they are. None: as the layers compute, in float32 or bfloat16.

    Returns:
        The report: which layers run on the engine, and for every other recurrent layer the reason why not.
        Its `undo()` takes back what this call did, not what an earlier one did to the same model.

    Raises:
        InputError: `model` is no model or layer of Keras; another precision. Training in int8 raises it, too.

    Example:
        >>> model = keras.Sequential([
        ...     keras.Input((5, 3)),
        ...     keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True), name="both"),
        ...     keras.layers.GRU(4, activation="elu", name="last"),
        ... ])
        >>> print(accelerate(model))
        both  Bidirectional  native
        last  GRU            activation=keras.activations.elu; the engine has tanh, sigmoid, relu, linear, hard_sigmoid
    """
    if precision not in (None, "int8"):
        raise InputError(f"There is no precision {precision!r} here. Use None, or 'int8' for predictions.")
    plan = list(planned(model))
    found = model._flatten_layers(include_self=True)
    undoing: list[Callable[[], None]] = [functools.partial(_compile_again, found)]  # the last to be undone
    for each in plan:
        undoing += _hook(each)
        if precision is not None and each.engine == NATIVE:
            undoing += _in_int8(each.layer)
    for layer in found if precision is not None else ():
        undoing += _without_training(layer)
    for layer in found:
        if not ops.SUPPORTS_JIT and isinstance(layer, keras.Model) and layer.compiled and layer.jit_compile:
            layer.jit_compile = False
            undoing.insert(0, functools.partial(setattr, layer, "jit_compile", True))
    _compile_again(found)
    reports = (
        LayerReport(each.layer.name, type(each.layer).__name__, _with_precision(each))
        for each in plan
        if not each.within
    )
    return Acceleration(reports, undoing)


def planned(model: Any) -> Iterator[Planned]:
    """What `accelerate` does to a model: an entry for every layer that it reports, and for those that run with one."""
    if not isinstance(model, keras.Layer):
        kind = "None" if model is None else f"of type {type(model).__name__}"
        raise InputError(
            f"model is {kind}; give a Keras model or layer, such as keras.Sequential([...]). "
            "bothways.accelerate takes a torch.nn.Module, too."
        )
    if not hasattr(model, "_flatten_layers"):
        raise InputError(f"accelerate cannot look into models: {seams.known('there is no Layer._flatten_layers')}.")
    return _planned(model, (), False, set())


def _planned(layer: Any, inside: tuple[str, ...], within: bool, seen: set[int]) -> Iterator[Planned]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    path, engine = "/".join((*inside[1:], layer.name)), None
    if isinstance(layer, keras.layers.Bidirectional):
        engine = engine_of(layer)
        yield Planned(layer, path, engine, within, "call", engine_of, run_both)
    elif isinstance(layer, keras.layers.RNN):
        yield Planned(layer, path, engine_of(layer), within, "inner_loop", engine_of, run_layer)
    elif isinstance(layer, keras.layers.TimeDistributed) and _engine_of_steps(layer) == NATIVE:
        yield Planned(layer, path, ONE_PRODUCT, within, "call", _engine_of_steps, _run_steps)
    for child in layer._flatten_layers(include_self=False, recursive=False):
        yield from _planned(child, (*inside, layer.name), within or engine == NATIVE, seen)


def _hook(of: Planned) -> Iterator[Callable[[], None]]:
    """Put the engine in the place of a method of one stock layer; gives what undoes it."""
    layer, method, check, run = of.layer, of.method, of.check, of.run
    if isinstance(layer, OnEngine) or method in vars(layer) or check(layer) != NATIVE:
        return  # a layer of ours, one that is accelerated already, or one for stock Keras
    stock = getattr(layer, method)

    def call(*arguments: Any, **options: Any) -> Any:
        mask = options.get("mask", arguments[2] if len(arguments) > 2 else None)
        if differs_from_stock(layer, mask) or check(layer) != NATIVE:  # it may have been changed since
            return stock(*arguments, **options)
        return run(layer, *arguments, **options)

    setattr(layer, method, functools.wraps(stock)(call))
    yield functools.partial(delattr, layer, method)
    if not ops.SUPPORTS_JIT:
        yield functools.partial(setattr, layer, "supports_jit", layer.supports_jit)
        layer.supports_jit = False


def _in_int8(layer: Any) -> Iterator[Callable[[], None]]:
    """Let the cells of a layer run in int8, if it is no wrapper; gives what undoes it."""
    for cell in cells_of(layer) if isinstance(layer, keras.layers.RNN) else ():
        if not hasattr(cell, INT8):
            setattr(cell, INT8, True)
            yield functools.partial(delattr, cell, INT8)


def _with_precision(each: Planned) -> str:
    """What runs a layer, and that it is in int8 where an earlier call of `accelerate` asked for it, too."""
    in_int8 = each.engine == NATIVE and any(hasattr(part, INT8) for part in each.layer._flatten_layers())
    return f"{NATIVE}, in int8" if in_int8 else each.engine


def _without_training(layer: Any) -> Iterator[Callable[[], None]]:
    """Refuse `fit` before Keras starts it: on JAX a model whose first step fails has lost its weights."""
    if isinstance(layer, keras.Model) and "make_train_function" not in vars(layer):
        layer.make_train_function = refuse_training
        yield functools.partial(delattr, layer, "make_train_function")


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
