"""The recurrent layers of Keras on the engine: `LSTM`, `GRU`, `SimpleRNN`, and `RNN` over their cells."""

from __future__ import annotations

import keras

from bothways.layers.native import RecurrentOnEngine


@keras.saving.register_keras_serializable(package="bothways")
class LSTM(RecurrentOnEngine, keras.layers.LSTM):
    """Long short-term memory: `keras.layers.LSTM` with the same arguments, weights and numbers.

    The engine has the activations tanh, sigmoid, relu, linear and hard_sigmoid, for gates, too. What it does not do
    (see `engine`) stock Keras does, with the same result.

    Args:
        units: the width of the state.
        **kwargs: every other argument of `keras.layers.LSTM`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h, c]`, each `(batch, units)`; zeros if not given.
        mask: `(batch, time)` of bool: a masked step carries the state and repeats the last output.
        training: whether dropout applies.

    Returns:
        `(batch, units)`; `(batch, time, units)` with `return_sequences`; with `return_state` followed by h and c.

    Example:
        >>> import numpy as np
        >>> layer = LSTM(8, return_sequences=True)
        >>> layer(np.zeros((2, 5, 3), "float32")).shape
        (2, 5, 8)
        >>> layer.engine
        'native'
    """


@keras.saving.register_keras_serializable(package="bothways")
class GRU(RecurrentOnEngine, keras.layers.GRU):
    """Gated recurrent unit: `keras.layers.GRU` with the same arguments, weights and numbers.

    Arguments, call and result are those of `LSTM`, with one state, h. The engine has both forms, with
    the reset after the product (`reset_after=True`, the default) and before it.

    Args:
        units: the width of the state.
        **kwargs: every other argument of `keras.layers.GRU`.

    Example:
        >>> import numpy as np
        >>> layer = GRU(8, return_sequences=True)
        >>> layer(np.zeros((2, 5, 3), "float32")).shape
        (2, 5, 8)
        >>> layer.engine
        'native'
    """


@keras.saving.register_keras_serializable(package="bothways")
class SimpleRNN(RecurrentOnEngine, keras.layers.SimpleRNN):
    """A simple recurrent layer: `keras.layers.SimpleRNN` with the same arguments, weights and numbers.

    Arguments, call and result are those of `LSTM`, with one state, h.

    Args:
        units: the width of the state.
        **kwargs: every other argument of `keras.layers.SimpleRNN`.

    Example:
        >>> import numpy as np
        >>> layer = SimpleRNN(8, activation="linear")
        >>> layer(np.zeros((2, 5, 3), "float32")).shape
        (2, 8)
        >>> layer.engine
        'native'
    """


@keras.saving.register_keras_serializable(package="bothways")
class RNN(RecurrentOnEngine, keras.layers.RNN):
    """Any cell, or a stack of cells: `keras.layers.RNN` with the same arguments, weights and numbers.

    The engine has Keras's `LSTMCell`, `GRUCell` and `SimpleRNNCell`, one or several, each of which reads what the one
    before puts out. Call and result are those of `LSTM`; states of a stack stand in lists, one for each cell.

    Args:
        cell: a cell, a list of cells, or a `StackedRNNCells`.
        **kwargs: every other argument of `keras.layers.RNN`.

    Example:
        >>> import numpy as np
        >>> layer = RNN([keras.layers.LSTMCell(8), keras.layers.GRUCell(4)], return_sequences=True)
        >>> layer(np.zeros((2, 5, 3), "float32")).shape
        (2, 5, 4)
        >>> layer.engine
        'native'
    """
