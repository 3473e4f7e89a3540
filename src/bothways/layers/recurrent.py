"""The recurrent layers of Keras on the engine: `LSTM`, `GRU`, `SimpleRNN`, and `RNN` over their cells."""

from __future__ import annotations

from typing import Any

import keras

from bothways.errors import InputError
from bothways.layers import ops
from bothways.layers.eligibility import cell_kind, cells_of, differs_from_stock, engine_of
from bothways.layers.native import check_sequences, check_states, one_mask, run_layer, runs_here


class OnEngine:
    """What makes a Keras layer, recurrent or `Bidirectional`, run on the engine; stands first in the list of bases."""

    @property
    def engine(self) -> str:
        """`"native"`, or why stock Keras runs the layer, or the layers in it one after the other, instead.

        In float64 the oracle of `bothways.engine` runs it, step by step, and `engine` says so.
        """
        return engine_of(self, oracle=True)

    @property
    def supports_jit(self) -> bool:
        """Whether Keras may compile a model with this layer by `jit_compile`: XLA has to take the engine, too."""
        return self._supports_jit and (ops.SUPPORTS_JIT or not runs_here(self))

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:  # the constructor of Keras sets it
        self._supports_jit = value

    @property
    def variables(self) -> list[Any]:
        """Weights, the states of random generators and those of stateful layers.

        Stock Keras leaves the last ones out, and on JAX `fit`, `evaluate`, `predict`, `predict_on_batch` and
        `stateless_call`, which hand every variable in and out, lose what they did to the states. Like the states of
        random generators, they are no weights: files, `get_weights` and optimizers do not see them.
        """
        variables = list(super().variables)  # type: ignore[misc]
        known = set(map(id, variables))
        states = keras.tree.flatten(self.states or ())  # type: ignore[attr-defined]
        return variables + [state for state in states if id(state) not in known]

    def reset_state(self) -> None:
        """Set the states to zero; those of a stack of cells, too, on which Keras fails."""
        states = keras.tree.flatten(self.states or ())  # type: ignore[attr-defined]
        if not states:
            super().reset_state()  # type: ignore[misc]
        try:
            for state in states:
                state.assign(keras.ops.zeros_like(state.value))
        except TypeError as away:  # while it runs, the trainer for JAX takes the values of all variables away
            raise InputError(
                f"The states of {self.name} are on their way through a model on JAX. "  # type: ignore[attr-defined]
                "Call model.jax_state_sync() first, and then reset_state()."
            ) from away


class RecurrentOnEngine(OnEngine):
    """The same for a recurrent layer, which the engine runs below its `call`."""

    @property
    def supports_masking(self) -> bool:
        """True: the steps of sequences that are returned keep their mask, also where Keras would drop it."""
        return True

    @supports_masking.setter
    def supports_masking(self, value: bool) -> None:  # the constructor of Keras sets it
        pass

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """As in Keras; but Keras on torch assigns states to copies of them where it casts variables by itself.

        Keras calls all states alike, and `get_state_tree` of a model wants a path for each variable.
        """
        super().build(sequences_shape, initial_state_shape)  # type: ignore[misc]
        for number, state in enumerate(keras.tree.flatten(self.states or ())):  # type: ignore[attr-defined]
            state._autocast, state._path = False, f"{state.path}_{number}"

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """As in Keras."""
        check_sequences([self], sequences)
        mask = one_mask(mask)
        if initial_state is not None and all(map(cell_kind, cells_of(self))):
            check_states([self], initial_state, sequences)
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)  # type: ignore[misc]

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """The seam of Keras's `RNN.call`: `(last_output, outputs, states)`, outputs in the order of reading."""
        if not runs_here(self) or differs_from_stock(self, mask):
            return super().inner_loop(sequences, initial_state, mask, training)  # type: ignore[misc]
        return run_layer(self, sequences, initial_state, mask, training)


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
