"""The native engine on NumPy arrays: checks, memory, one call into C++."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from bothways.engine import _native
from bothways.engine.arguments import (
    PRECISIONS,
    Array,
    Call,
    Direction,
    DirectionGradients,
    Dropout,
    Gradients,
    Result,
    States,
    aligned,
    check_call,
    check_flag,
    check_gradients,
    check_setup,
)
from bothways.engine.bins import Bins, through_bins
from bothways.errors import InputError
from bothways.spec import cell_number

_FLOAT32 = np.dtype(np.float32)


@dataclass(eq=False, slots=True)
class Tape:
    """A recorded run: its layer and arguments, its outputs side by side, and the engine's residuals.

    Until `backprop` has read it, the arrays of the weights, of the input and of the outputs must stay as they are.
    The backward pass writes over the residuals, so a tape serves once; afterwards the layer has them back.
    """

    layer: Layer
    call: Call
    both: Array
    _residuals: list[Array]  # one array or none: whoever pops it has it alone, whatever other threads do
    instruction_set: str


class Layer:
    """A recurrent layer in one direction or in both: weights that are checked once, for any number of runs.

    Any number of threads may run it at once.

    Weights that are contiguous float32 arrays are read where they are, so that changes of them in place count from the
    next run on. Others are converted, that is copied, here: later changes of them do not count.

    The residuals of a recorded run take about as much memory as all gates of all steps. The layer keeps those of one
    tape that was used up, the latest, for as long as it lives, and a run that needs no more takes them.

    Args:
        directions: one `Direction`, or two, which run side by side.
        cell: a cell of `bothways.spec`, for the directions that name none.
        merge_mode: what becomes of two outputs: a key of `bothways.merge.MERGE_MODES`, or None for a pair.
        zero_output_for_mask: a masked step puts out zeros, not the state that it carries.
        precision: what products take their factors in, a key of `PRECISIONS`: "float32", or "bfloat16", rounded to 8
            bits and faster where the machine multiplies such numbers, or "int8", for inference alone: every column of
            the weights, and x and h of every row at every step, as whole numbers from -127 to 127 times a scale. Gates,
            states and all arrays are float32. A row with a number that is not finite gives NaN in int8.
        frozen: take the weights as they are now, in the engine's own layout, which saves short runs much of their time.
            Later changes of them do not count, and runs cannot be recorded. It saves most with int8.
        bins: the first inputs are numbers that enter through `Bins`: x has a column for each number, where the kernels
            have a row for each of its bins. Of frozen layers, without dropout, and not in bfloat16. In int8 they and
            what they are multiplied with are float32.

    Raises:
        InputError: an argument has the wrong shape or dtype; the message names it.

    Example:
        >>> import numpy as np
        >>> from bothways import engine
        >>> def weights(features, units):
        ...     return np.ones((features, 4 * units)), np.ones((units, 4 * units)), np.zeros(4 * units)
        >>> layer = engine.Layer([engine.Direction(*weights(3, 8)), engine.Direction(*weights(3, 8), reverse=True)])
        >>> layer(np.zeros((2, 5, 3))).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        directions: Sequence[Direction],
        *,
        cell: str = "lstm",
        merge_mode: str | None = "concat",
        zero_output_for_mask: bool = False,
        precision: str = "float32",
        frozen: bool = False,
        bins: Bins | None = None,
    ) -> None:
        if not isinstance(precision, str) or precision not in PRECISIONS:
            raise InputError(f"There is no precision {precision!r}. Use one of: {', '.join(PRECISIONS)}.")
        setup = check_setup(directions, cell, merge_mode, zero_output_for_mask, _FLOAT32)
        self._precision, self._frozen, packed = precision, check_flag("frozen", frozen), None
        if bins is not None:
            if not self._frozen or precision == "bfloat16":
                raise InputError("Numbers enter through bins in layers made with frozen=True, and not in bfloat16.")
            setup, bins = through_bins(setup, bins)
            packed = bins.packed
        self._setup, self._bins = setup, bins
        weights = [
            (cell_number(spec.name), d.kernel, d.recurrent_kernel, d.bias, d.reverse)
            for spec, d in zip(setup.specs, setup.directions, strict=True)
        ]
        self._weights = _native.Weights(weights, setup.zero_output_for_mask, PRECISIONS[precision], packed)
        if frozen:
            self._weights.freeze()
        self._own_states = tuple(d.initial_state for d in setup.directions)
        self._spare: deque[Array] = deque(maxlen=1)

    def __call__(self, x: Array, mask: Array | None = None) -> Any:
        """The outputs of `run` alone."""
        try:
            both = self._weights.outputs(x, mask, self._own_states)
        except ValueError:  # these are not such arrays as the engine reads: convert them, or say what is wrong
            call = check_call(self._setup, x, mask)
            both = self._weights.outputs(call.x, call.mask, call.initial_states)
        return self._setup.merged(both)

    def run(
        self,
        x: Array,
        mask: Array | None = None,
        *,
        initial_states: Sequence[States | None] | None = None,
        dropout: Sequence[Dropout | None] | None = None,
        record: bool = False,
    ) -> Result:
        """Run the layer over a batch of sequences.

        Args:
            x: `(batch, time, features)`. Anything numeric; computed in float32.
            mask: `(batch, time)` of bool, True where a step counts. A masked step carries the state, and puts out
                the state that it carries.
            initial_states: what each direction starts from, one tuple of `(batch, units)` arrays per direction, as
                `Result.states` are; None, for one or for all of them, for the `initial_state` of the direction.
            dropout: for each direction what x and h are multiplied with before the products of a gate, the same at all
                steps (Gal and Ghahramani 2016); None for no dropout.
            record: keep what `backprop` needs, in `Result.tape`.

        Returns:
            Outputs `(batch, time, units)` after merging, each at its own step whatever the direction, and the final
            states of each direction.

        Raises:
            InputError: an argument has the wrong shape or dtype.

        Example:
            A long sequence, piece by piece:

            >>> import numpy as np
            >>> from bothways import engine
            >>> layer = engine.Layer([engine.Direction(np.ones((1, 8)), np.ones((2, 8)))])
            >>> first = layer.run(np.ones((1, 3, 1)))
            >>> rest = layer.run(np.ones((1, 2, 1)), initial_states=first.states)
            >>> bool((rest.outputs == layer(np.ones((1, 5, 1)))[:, 3:]).all())
            True
        """
        if self._bins is not None and dropout is not None:
            raise InputError("Where numbers enter through bins there is no dropout. Make a layer without bins.")
        call = check_call(self._setup, x, mask, initial_states, dropout)
        record = check_flag("record", record)
        if self._precision == "int8" and (record or dropout is not None):
            raise InputError("int8 is for inference: it has no gradients and no dropout. Train in float32 or bfloat16.")
        if record and self._frozen:
            raise InputError("This layer is frozen, and its runs cannot be recorded. Make one with frozen=False.")
        residuals = self._residuals(call) if record else None
        both, states = self._weights.run(call.x, call.mask, call.initial_states, call.dropout, residuals)
        tape = None if residuals is None else Tape(self, call, both, [residuals], _native.instruction_set())
        return Result(self._setup.merged(both), states, tape)

    def _residuals(self, call: Call) -> Array:
        """Memory for the residuals of a run: what an earlier one has left, if that is enough."""
        batch, time, _ = call.x.shape
        size = self._weights.residual_floats(batch, time, call.dropout is not None)
        with suppress(IndexError):
            if (residuals := self._spare.pop()).size >= size:
                return residuals
        return aligned((size,), _FLOAT32)


def run(
    x: Array,
    directions: Sequence[Direction],
    *,
    mask: Array | None = None,
    merge_mode: str | None = "concat",
    zero_output_for_mask: bool = False,
    cell: str = "lstm",
    precision: str = "float32",
    dropout: Sequence[Dropout | None] | None = None,
    record: bool = False,
) -> Result:
    """Run a recurrent layer over a batch of sequences: a `Layer` that is made, run once and dropped.

    `x`, `mask`, `dropout` and `record` are those of `Layer.run`, the others those of `Layer`; so are the result and the
    errors.

    Example:
        >>> import numpy as np
        >>> from bothways import engine
        >>> random = np.random.default_rng(0)
        >>> def weights(features, units):
        ...     shapes = [(features, 4 * units), (units, 4 * units), (4 * units,)]
        ...     return [random.normal(size=shape) for shape in shapes]
        >>> both = [engine.Direction(*weights(3, 8)), engine.Direction(*weights(3, 8), reverse=True)]
        >>> result = engine.run(random.normal(size=(2, 5, 3)), both, merge_mode="sum")
        >>> result.outputs.shape, [h.shape for h, c in result.states]
        ((2, 5, 8), [(2, 8), (2, 8)])
    """
    layer = Layer(
        directions, cell=cell, merge_mode=merge_mode, zero_output_for_mask=zero_output_for_mask, precision=precision
    )
    layer._spare = deque(maxlen=0)  # it will not run again: let no tape keep memory for it
    return layer.run(x, mask, dropout=dropout, record=record)


def backprop(tape: Tape, d_outputs: Any, d_states: Any = None) -> Gradients:
    """Backpropagate through a recorded run.

    Args:
        tape: of a `run(..., record=True)`; it serves once.
        d_outputs: the gradient of `Result.outputs`, shaped as they are (a pair for `merge_mode=None`).
        d_states: the gradients of `Result.states`, one tuple (or None) per direction; None for zeros.

    Raises:
        InputError: a wrong shape or dtype, or a tape that has been used.

    Example:
        >>> import numpy as np
        >>> from bothways import engine
        >>> direction = engine.Direction(np.ones((1, 8)), np.ones((2, 8)), np.zeros(8))
        >>> result = engine.run(np.ones((1, 3, 1)), [direction], record=True)
        >>> engine.backprop(result.tape, np.ones_like(result.outputs)).x.shape
        (1, 3, 1)
    """
    if not isinstance(tape, Tape):
        raise InputError(f"tape is of type {type(tape).__name__}; give that of a run with record=True.")
    if tape.instruction_set != _native.instruction_set():
        raise InputError(
            f"This tape was recorded with {tape.instruction_set} and {_native.instruction_set()} is now in use. "
            "Choose the instruction set before the run."
        )
    call, layer = tape.call, tape.layer
    d_outputs, d_states = check_gradients(call, d_outputs, d_states)
    d_both = call.setup.unmerged(d_outputs, tape.both)
    try:
        residuals = tape._residuals.pop()
    except IndexError:
        raise InputError(
            "This tape has been used: a recorded run can be backpropagated once. Run again with record=True."
        ) from None
    arguments = call.x, call.mask, call.initial_states, call.dropout
    d_x, gradients = layer._weights.backward(*arguments, d_both, d_states, residuals)
    layer._spare.append(residuals)
    return Gradients(d_x, tuple(map(DirectionGradients._make, gradients)))
