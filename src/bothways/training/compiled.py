"""Epochs on JAX as one compiled loop."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bothways.interrupts import Stop
from bothways.training.batches import Batches, Bucket, batch_shape
from bothways.training.epochs import mean
from bothways.training.keras_model import batch, labeled_arrays

UPDATES_PER_CALL = 512
"""The most updates in one compiled call."""

SECONDS_PER_CALL = 0.25
"""About how long a call may take: between two calls Ctrl-C is seen."""


class CompiledEpochs:
    """Epochs on JAX: the loop over the batches is compiled, with the train step of the model inside it.

    Beside the work itself an update costs 2 us; in a loop of Python, as in `fit`, it costs some 300 us.

    Attributes:
        compiled: True.
        compile_seconds: how long compiling took; none of it is left for later.
        losses: the mean loss of each batch since `renew`, before its update.
    """

    compiled = True

    def __init__(self, model: Any, buckets: Sequence[Bucket]) -> None:
        """Compile for every bucket.

        Args:
            model: a Keras model as `compile_model` leaves it.
            buckets: the data.
        """
        started = time.perf_counter()
        self._model = model
        self._steps_per_call = 1 << 10
        self.renew(buckets)
        state = _state(model)
        lowered = []
        for bucket, data in zip(buckets, self._data, strict=True):
            order = np.zeros((UPDATES_PER_CALL, batch_shape(bucket)[1]), np.int32)
            # Donated: the updated weights are written where the old ones stand.
            lowered.append(jax.jit(self._updates, donate_argnums=0).lower(state, data, order, np.int32(0)))
        with ThreadPoolExecutor() as pool:
            self._calls = list(pool.map(lambda call: call.compile(), lowered))
        self.compile_seconds = time.perf_counter() - started

    def renew(self, buckets: Sequence[Bucket]) -> None:
        """Take other data, of the same shapes; nothing is compiled again."""
        self._data = [jax.device_put(labeled_arrays(bucket)) for bucket in buckets]
        self.losses: list[float] = []
        self.compile_seconds = 0.0

    def run(self, plan: Iterable[Batches], stop: Stop) -> float:
        """Run one epoch, as `Epochs.run` says."""
        self._model.reset_metrics()
        state, losses = _state(self._model), list[float]()
        for bucket, rows in plan:
            first, steps = 0, rows.shape[1] * self._data[bucket][0].shape[1]
            while first < len(rows) and not stop.requested:
                some = rows[first:][: min(UPDATES_PER_CALL, max(1, self._steps_per_call // steps))]
                order = np.zeros((UPDATES_PER_CALL, rows.shape[1]), np.int32)
                order[: len(some)] = some
                started = time.perf_counter()
                state, each = self._calls[bucket](state, self._data[bucket], order, np.int32(len(some)))
                losses += np.asarray(each)[: len(some)].tolist()  # waits for the updates
                share = SECONDS_PER_CALL / (time.perf_counter() - started)
                self._steps_per_call = int(len(some) * steps * min(share, 4))
                first += len(some)
        for variables, values in zip(_variables(self._model), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self.losses += losses
        return mean(losses)

    def _updates(self, state: Any, data: Any, order: Any, count: Any) -> Any:
        """What is compiled: `count` updates, each with the rows of `data` that `order` names."""

        def update(i: Any, carry: Any) -> Any:
            # With metrics that start from zero the loss is that of the batch, not a mean since the epoch began.
            *variables, metrics = carry[0]
            fresh = (*variables, [jnp.zeros_like(value) for value in metrics])
            logs, state = self._model.train_step(fresh, batch(self._model, data, order[i]))
            return tuple(list(values) for values in state), carry[1].at[i].set(jnp.float32(logs["loss"]))

        return jax.lax.fori_loop(0, count, update, (state, jnp.zeros(UPDATES_PER_CALL, jnp.float32)))


def _variables(model: Any) -> tuple[Any, ...]:
    """The variables whose values the train step of a Keras model on JAX takes and gives, in its order."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _state(model: Any) -> tuple[list[Any], ...]:
    """The values of the variables; copies, since the compiled loop writes over what it is given."""
    return tuple([jnp.copy(variable.value) for variable in variables] for variables in _variables(model))
