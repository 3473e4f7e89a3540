"""Keras 3 layers on the engine: `LSTM`, `GRU`, `SimpleRNN`, `RNN` over their cells, and `Bidirectional`.

They take Keras's arguments and have its weights and numbers, in float32 and, with factors of products rounded to
bfloat16, under a policy of bfloat16; dropout, of inputs and of states, draws Keras's masks. Each has a
readable attribute `engine`: "native", or why stock Keras runs instead. `accelerate` puts the engine into a Keras model
that exists; `load_model` and `save_model` open and write files with either kind of layer. `step_weights` makes of
weights of classes those of steps, which `fit` takes for labels of steps. What stands beside recurrent layers in most
models is Keras's own: `TimeDistributed` and the cells.
"""

from bothways.layers.backend import choose_backend

choose_backend()

from keras.layers import (  # noqa: E402
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    TimeDistributed,
)

from bothways.acceleration import Acceleration  # noqa: E402
from bothways.layers.accelerate import accelerate  # noqa: E402
from bothways.layers.bidirectional import Bidirectional  # noqa: E402
from bothways.layers.files import load_model, save_model  # noqa: E402
from bothways.layers.ops import custom_calls  # noqa: E402
from bothways.layers.recurrent import GRU, LSTM, RNN, SimpleRNN  # noqa: E402
from bothways.layers.weights import step_weights  # noqa: E402

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Acceleration",
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "TimeDistributed",
    "accelerate",
    "custom_calls",
    "load_model",
    "save_model",
    "step_weights",
]
