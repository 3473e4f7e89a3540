"""What the engine needs of Keras that Keras does not document: looked at once, when the first layer asks.

Layers run on the engine below Keras's `RNN.call`, in the place of its `inner_loop`. Where that is not what it was,
stock Keras runs, and `engine` of the layer says why.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator
from operator import attrgetter

import keras

from bothways.errors import InputError

try:
    from keras.src.backend import AutocastScope as AutocastScope
except ImportError:
    AutocastScope = None

# Functions of Keras, and the arguments that they take after self.
_ARGUMENTS = {
    "layers.RNN.inner_loop": "sequences initial_state mask training",
    "layers.LSTM.inner_loop": "sequences initial_state mask training",
    "layers.GRU.inner_loop": "sequences initial_state mask training",
    "layers.RNN.call": "sequences initial_state mask training",
    "layers.RNN._maybe_reset_dropout_masks": "cell",
    "layers.Bidirectional.call": "sequences initial_state mask training",
    "layers.LSTMCell.get_dropout_mask": "step_input",
    "layers.LSTMCell.get_recurrent_dropout_mask": "step_input",
}
# What they use or set, by name.
_CELL = "units activation dropout recurrent_dropout"
_NAMES = {
    "layers.RNN.call": "inner_loop _maybe_config_dropout_masks _maybe_reset_dropout_masks",
    "layers.LSTMCell.__init__": f"{_CELL} recurrent_activation",
    "layers.GRUCell.__init__": f"{_CELL} recurrent_activation reset_after",
    "layers.SimpleRNNCell.__init__": _CELL,
    **{f"layers.{cell}.build": "kernel recurrent_kernel bias" for cell in ("LSTMCell", "GRUCell", "SimpleRNNCell")},
}


looked: list[str | None] = []
"""What looking found, once it was done; no `functools.cache`, of which torch.compile warns."""


def why_not() -> str | None:
    """None if Keras is as the engine knows it, else in words what is not."""
    if not looked:
        looked.append(next((known(found) for found in _differences()), None))
    return looked[0]


def refuse_export() -> None:
    """Refuse to be traced for a SavedModel, which would fail where it is loaded, or cannot be written: raises
    InputError if an exporter of Keras or TensorFlow is what calls.
    """
    callers, frame = [], sys._getframe()
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        callers.append(str(frame.f_globals.get("__name__")))
    if not any(name.startswith(("keras.src.export", "tensorflow.python.saved_model")) for name in callers):
        return
    refusal = (
        "An exported model cannot hold the engine. Give it back to stock Keras first: call undo() of what "
        "accelerate returned, or load its file with bothways.layers.load_model(path, layers='keras')."
    )
    if any(name.startswith("tensorflow.lite") for name in callers):  # which hides errors, and goes on to others
        warnings.warn(refusal, stacklevel=2)
    raise InputError(refusal)


def known(found: str) -> str:
    """The sentence about something that was found to differ."""
    return f"Keras {keras.__version__} is not as the engine knows it: {found}"


def _differences() -> Iterator[str]:
    if AutocastScope is None:
        yield "there is no src.backend.AutocastScope"
    for path in {**_ARGUMENTS, **_NAMES}:
        try:
            function = inspect.unwrap(attrgetter(path)(keras))
        except AttributeError:
            yield f"there is no {path}"
            continue
        signature = inspect.signature(function)
        if path in _ARGUMENTS and list(signature.parameters)[1:] != _ARGUMENTS[path].split():
            yield f"{path} is {signature}"
        for name in _NAMES.get(path, "").split():
            if name not in function.__code__.co_names:
                yield f"{path} makes no use of {name}"
