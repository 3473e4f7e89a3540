"""Epochs on JAX as one compiled loop."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bothways.interrupts import Stop
from bothways.training.batches import Batches, Bucket, batch_shape
from bothways.training.epochs import Schedule, mean
from bothways.training.executables import compiled
from bothways.training.keras_model import batch, labeled_arrays, variables

UPDATES_PER_CALL = 512  # the most updates in one compiled call
SHAPES_KEPT = 64  # the most shapes of data that compiled code is kept for
SECONDS_PER_CALL = 0.25  # about how long a call may take: between two calls Ctrl-C is seen


class CompiledEpochs:
    """Epochs on JAX: the loop over the batches is compiled, with the train step of the model inside it.

    Beside the work itself an update costs 2 us; in a loop of Python, as in `fit`, it costs some 300 us.
    """

    compiled = True

    def __init__(self, model: Any) -> None:
        self._model = model
        self._calls: dict[Hashable, Any] = {}
        self._steps_per_call = 1 << 10
        self._rate = [variable is model.optimizer.learning_rate for variable in model.optimizer.variables].index(True)
        self.load([])

    def load(self, buckets: Sequence[Bucket]) -> None:
        """Take data, and compile for shapes that are new; nothing of that is left for later."""
        started = time.perf_counter()
        self.losses: list[float] = []
        self._data = [
            jax.device_put([_more_rows(array, bucket.room) for array in labeled_arrays(bucket)]) for bucket in buckets
        ]
        state = _state(self._model) if buckets else ()
        self._shapes, lowered = [], {}
        for bucket, data in zip(buckets, self._data, strict=True):
            order = np.zeros((UPDATES_PER_CALL, batch_shape(bucket)[1]), np.int32)
            self._shapes.append((data[0].shape, order.shape))
            if self._shapes[-1] not in self._calls:
                # Donated: the updated weights are written where the old ones stand.
                call = jax.jit(self._updates, donate_argnums=0)
                lowered[self._shapes[-1]] = call.lower(state, data, order, order[:, 0].astype(np.float32), np.int32(0))
        weights = self._model.count_params()
        with ThreadPoolExecutor() as pool:
            found = pool.map(lambda each: compiled(each, weights), lowered.values())
            self._calls |= dict(zip(lowered, found, strict=True))
        self._calls |= {shape: self._calls.pop(shape) for shape in self._shapes}  # now the last ones
        for shape in list(self._calls)[:-SHAPES_KEPT]:
            del self._calls[shape]
        self.compile_seconds = time.perf_counter() - started

    def run(self, plan: Iterable[Batches], schedule: Schedule, stop: Stop) -> float:
        """Run one epoch; the weights are in the model afterwards."""
        self._model.reset_metrics()
        state, losses = _state(self._model), list[float]()
        done = int(self._model.optimizer.iterations.value)
        for bucket, rows in plan:
            first, steps = 0, rows.shape[1] * self._data[bucket][0].shape[1]
            while first < len(rows) and not stop.requested:
                some = rows[first:][: min(UPDATES_PER_CALL, max(1, self._steps_per_call // steps))]
                order = np.zeros((UPDATES_PER_CALL, rows.shape[1]), np.int32)
                order[: len(some)] = some
                numbers = done + len(losses) + np.arange(UPDATES_PER_CALL)
                started = time.perf_counter()
                call = self._calls[self._shapes[bucket]]
                state, each = call(state, self._data[bucket], order, schedule(numbers), np.int32(len(some)))
                losses += np.asarray(each)[: len(some)].tolist()  # waits for the updates
                share = SECONDS_PER_CALL / (time.perf_counter() - started)
                self._steps_per_call = int(len(some) * steps * min(share, 4))
                first += len(some)
        for group, values in zip(variables(self._model), state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        self.losses += losses
        return mean(losses)

    def _updates(self, state: Any, data: Any, order: Any, rates: Any, count: Any) -> Any:
        """What is compiled: `count` updates, each with the rows of `data` that `order` names and its rate."""

        def update(i: Any, carry: Any) -> Any:
            # With metrics that start from zero the loss is that of the batch, not a mean since the epoch began.
            trainable, others, optimizer, metrics = carry[0]
            optimizer = [rates[i] if k == self._rate else value for k, value in enumerate(optimizer)]
            fresh = (trainable, others, optimizer, [jnp.zeros_like(value) for value in metrics])
            logs, state = self._model.train_step(fresh, batch(self._model, data, order[i]))
            return tuple(list(values) for values in state), carry[1].at[i].set(jnp.float32(logs["loss"]))

        return jax.lax.fori_loop(0, count, update, (state, jnp.zeros(UPDATES_PER_CALL, jnp.float32)))


def _state(model: Any) -> tuple[list[Any], ...]:
    """The values of the variables; copies, since the compiled loop writes over what it is given."""
    return tuple([jnp.copy(variable.value) for variable in group] for group in variables(model))


def _more_rows(array: Any, room: int) -> Any:
    """Rows of zeros that no batch has, up to a number of rows that data of nearly the same size share."""
    step = 1 << max(0, room.bit_length() - 4)
    return np.pad(array, ((0, room - len(array) + -room % step), *((0, 0),) * (array.ndim - 1)))
