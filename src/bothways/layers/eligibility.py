"""Which recurrent layers the engine can run, and in words why it cannot run the others."""

from __future__ import annotations

from typing import Any

import keras

from bothways.acceleration import NATIVE as NATIVE
from bothways.layers import ops, seams
from bothways.spec import ACTIVATIONS, cell_named

ORACLE = "step by step in float64, for gradient checks"

_CELLS = {keras.layers.LSTMCell: "lstm", keras.layers.GRUCell: "gru", keras.layers.SimpleRNNCell: "rnn"}
_FUNCTIONS = {
    id(getattr(home, name)): name
    for home in (keras.ops, keras.activations)
    for name in dir(keras.activations)
    if hasattr(home, name)
}


def name_of(activation: Any) -> str:
    """The name of a function of Keras; "" for one that is only called so."""
    return _FUNCTIONS.get(id(activation), "")


def is_of_keras(method: Any) -> bool:
    """Whether a method is that of a class of Keras, or ours that does the same."""
    return method.__module__.split(".")[0] in ("keras", "bothways")


def begins_with_zeros(layer: Any) -> bool:
    """Whether neither a layer nor a cell of it has another `get_initial_state` than Keras's."""
    return all(is_of_keras(each.get_initial_state) for each in (layer, *cells_of(layer)))


def is_stack(layer: Any) -> bool:
    """Whether a layer steps several cells, each of which reads what the one before puts out."""
    return type(layer.cell) is keras.layers.StackedRNNCells


def cells_of(layer: Any) -> list[Any]:
    """The cells of a layer, the first one first."""
    return list(layer.cell.cells) if is_stack(layer) else [layer.cell]


def cell_of(cell: Any) -> str:
    """The cell of `bothways.spec` that an eligible one of Keras is."""
    kind, functions = cell_kind(cell), [name_of(function) for function in _activations_of(cell).values()]
    if functions == ["relu"]:
        kind = "rnn_relu"
    elif kind == "gru" and not cell.reset_after:
        kind = "gru_reset_before"
    return cell_named(kind, *functions)


def engine_of(layer: Any, oracle: bool = False) -> str:
    """`"native"`, or the reason for which stock Keras runs a layer, or those of a `Bidirectional`, instead."""
    if isinstance(layer, keras.layers.Bidirectional):
        return _engine_of_both(layer, oracle)
    if not isinstance(layer, keras.layers.RNN):
        return f"{type(layer).__name__} is not a layer of the engine; it has LSTM, GRU, SimpleRNN and RNN"
    if (changed := seams.why_not()) is not None:
        return changed
    for name in ("call", "inner_loop"):
        if not is_of_keras(getattr(type(layer), name)):
            return f"{type(layer).__name__} has its own {name}; the engine has that of Keras"
    cells = cells_of(layer)
    for number, cell in enumerate(cells, 1):
        if (reason := _why_not(cell, oracle)) is not None:
            return f"cell {number} of {len(cells)}: {reason}" if is_stack(layer) else reason
    dtypes = [cell.compute_dtype for cell in cells]
    if len(set(dtypes)) > 1:
        return f"its cells compute in {' and '.join(dtypes)}; the engine has one dtype for all"
    return ops.why_not() or (ORACLE if dtypes[0] == "float64" else NATIVE)


def _why_not(cell: Any, oracle: bool) -> str | None:
    """The reason for which the engine has no such cell, if there is one."""
    if not cell_kind(cell):
        return f"{type(cell).__name__} is no cell of the engine; it has LSTMCell, GRUCell and SimpleRNNCell"
    for name in ("call", "_compute_carry_and_output", "_compute_carry_and_output_fused"):  # the last two: of an LSTM
        if not is_of_keras(getattr(cell, name, cell.call)):
            return f"{type(cell).__name__} is a cell with its own {name}; the engine has that of Keras"
    for name, function in _activations_of(cell).items():
        if name_of(function) not in ACTIVATIONS:
            return f"{name}={qualified_name(function)}; the engine has {', '.join(ACTIVATIONS)}"
    if cell.compute_dtype == "float64" and oracle and not ops.has_float64():
        return "computes in float64, of which JAX makes float32 unless jax_enable_x64 is set"
    if cell.compute_dtype not in ("float32", "bfloat16", *(["float64"] if oracle else [])):
        return f"computes in {cell.compute_dtype}; the engine has float32 and bfloat16"
    for name in ("dropout", "recurrent_dropout"):
        if getattr(cell, name) == 1.0:  # LSTM and GRU cells drop nothing then, while some fused calls drop all
            return f"{name}=1.0, of which Keras makes different things; the engine has rates below 1"
    implementation = getattr(cell, "implementation", 1)
    if cell.recurrent_dropout and implementation != 1:  # the rate was set later, and stock Keras makes no use of it
        return f"recurrent_dropout with implementation={implementation}; the engine has that of implementation=1"
    return None


def _engine_of_both(wrapper: Any, oracle: bool) -> str:
    if not is_of_keras(type(wrapper).call):
        return f"{type(wrapper).__name__} has its own call; the engine has that of Keras"
    layers = wrapper.forward_layer, wrapper.backward_layer
    for side, layer in zip(("forward", "backward"), layers, strict=True):
        engine = engine_of(layer, oracle)
        if engine not in (NATIVE, ORACLE):
            return f"{side} layer: {engine}"
        if layer.activity_regularizer is not None:
            return f"{side} layer: an activity regularizer, which only stock Keras applies"
    for each in (layers, [cells_of(layer)[0] for layer in layers]):
        forward, backward = (one.compute_dtype for one in each)
        if forward != backward:
            return f"its layers compute in {forward} and {backward}; the engine has one dtype for both"
    if bool(layers[0].zero_output_for_mask) != bool(layers[1].zero_output_for_mask):
        return "its layers differ in zero_output_for_mask, of which the engine has one for both"
    return engine


def differs_from_stock(layer: Any, mask: Any) -> bool:
    """Whether stock Keras must run a call: unrolled, it does not make masked outputs zero, if they are to be."""
    if mask is None:
        return False
    sides = [getattr(layer, f"{side}_layer", layer) for side in ("forward", "backward")]
    return any(getattr(side, "unroll", False) and side.zero_output_for_mask for side in sides)


def cell_kind(cell: Any) -> str:
    """The kind of a cell by what it is derived from; nothing if the engine has none of that kind."""
    return next((name for kind, name in _CELLS.items() if isinstance(cell, kind)), "")


def _activations_of(cell: Any) -> dict[str, Any]:
    names = ("activation",) if cell_kind(cell) == "rnn" else ("activation", "recurrent_activation")
    return {name: getattr(cell, name) for name in names}


def qualified_name(function: Any) -> str:
    """A function by the name under which it can be found."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if name.endswith("<lambda>"):
        return "a lambda"
    homes = (home.__name__ for home in (keras.activations, keras.ops) if getattr(home, name, None) is function)
    return f"{next(homes, function.__module__)}.{name}"
