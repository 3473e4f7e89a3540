"""Training a network: epochs, early stopping, the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np

from bothways.errors import InputError
from bothways.network import Network
from bothways.settings import MONITORS, Settings
from bothways.training.batches import epoch_plan, updates
from bothways.training.epochs import epochs
from bothways.training.examples import Examples, Prepared, check_examples, prepare
from bothways.training.front import Rates
from bothways.training.initial import Floats, initial_weights
from bothways.training.keras_model import compile_model, get_weights, keras_model, set_weights
from bothways.training.validation import Validation


@dataclass(frozen=True)
class EpochReport:
    """What an epoch did.

    Attributes:
        epoch: its number, from 1.
        epochs: how many there are at most.
        loss: the mean cross-entropy of its batches, each before its update.
        valid_loss: the mean cross-entropy of the validation labels after it; None without such data.
        valid_metric: the score of the validation labels after it; None without such data.
        steps_per_second: the time steps trained on in a second, validation aside.
        best: whether its weights are the ones to keep so far.
        metric: what the score is called, one of the values of `bothways.settings.MONITORS`.
        seconds_left: how long the remaining epochs will take if none is left out.
    """

    epoch: int
    epochs: int
    loss: float
    valid_loss: float | None
    valid_metric: float | None
    steps_per_second: float
    best: bool
    metric: str = MONITORS["macro_f1"]
    seconds_left: float = 0.0


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gives.

    Attributes:
        weights: the arrays that `network.weight_shapes()` names: the best ones by validation, else the last ones.
        history: a report an epoch.
        seconds: "compile", and "train" for everything after it, validation included.
        backend: the Keras backend.
        compiled: whether each epoch ran as one compiled loop, which takes JAX.
        interrupted: whether Ctrl-C ended it before its time.
    """

    weights: dict[str, Floats]
    history: list[EpochReport]
    seconds: dict[str, float]
    backend: str
    compiled: bool
    interrupted: bool = False


def train(
    network: Network,
    examples: Examples,
    settings: Settings,
    valid: Examples | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> Trained:
    """Train a network.

    With validation data, training stops after `settings.patience` epochs without a better score (of equals the lower
    loss), and the best weights are kept. The score is the one that `settings.monitor` names, by itself an F1 rather than
    the loss, since the labels are what people use: on few sequences the loss of an overconfident network rises while its
    labels still improve.

    Args:
        network: what to train.
        examples: what to learn from; at least one label.
        settings: how.
        valid: what to validate on.
        on_epoch: is called after each epoch.

    Raises:
        InputError: examples that do not fit the network; the loss is not a finite number.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(50, 4, 1))
        >>> examples = Examples(list(x), (x > 0).astype(int).ravel())
        >>> trained = train(Network(features=1, classes=2, units=4), examples, Settings(epochs=20))
        >>> trained.history[-1].loss < trained.history[0].loss
        True
    """
    check_examples("examples", examples, network)
    prepared = prepare(network, examples, settings)
    monitor = settings.monitor if settings.monitor != "auto" else "f1" if network.classes == 2 else "macro_f1"
    validation = None
    if valid is not None:
        check_examples("valid", valid, network)
        validation = Validation(network, prepared.standardisation, valid, monitor, _rarer(examples))
    buckets = prepared.buckets
    masked = not all(bucket.valid.all() for bucket in buckets)
    model = keras_model(network, masked, _unknown_rates(prepared, settings), settings.seed)
    compile_model(network, model, settings, settings.epochs * updates(buckets, settings.batch_size))
    set_weights(network, model, initial_weights(network, settings.seed))
    runner = epochs(model, buckets, settings.batch_size)

    generator = np.random.default_rng(settings.seed)
    history: list[EpochReport] = []
    best = _Best(settings.patience)
    seconds = 0.0
    while len(history) < settings.epochs and not best.given_up:
        started = time.perf_counter()
        loss = runner.run(epoch_plan(buckets, settings.batch_size, generator))
        weights = _finished(prepared, get_weights(network, model))
        update_seconds = time.perf_counter() - started
        epoch = len(history) + 1
        if not math.isfinite(loss):
            raise InputError(f"The loss is {loss} in epoch {epoch}. Lower learning_rate={settings.learning_rate}.")
        valid_metric, valid_loss = (None, None) if validation is None else validation(weights)
        better = best.offer(weights, valid_metric, valid_loss, monitor)
        seconds += time.perf_counter() - started
        history.append(
            EpochReport(
                epoch=epoch,
                epochs=settings.epochs,
                loss=loss,
                valid_loss=valid_loss,
                valid_metric=valid_metric,
                steps_per_second=prepared.steps / update_seconds,
                best=better,
                metric=MONITORS[monitor],
                seconds_left=seconds / epoch * (settings.epochs - epoch),
            )
        )
        if on_epoch is not None:
            on_epoch(history[-1])
    return Trained(
        weights=best.weights,
        history=history,
        seconds={"compile": runner.compile_seconds, "train": seconds},
        backend=keras.backend.backend(),
        compiled=runner.compiled,
    )


@dataclass
class _Best:
    """The weights to keep: the best by validation, or without one the last.

    Attributes:
        patience: how many epochs in a row may be no better; None for any number.
    """

    patience: int | None
    weights: dict[str, Floats] = field(default_factory=dict)
    _score: tuple[float, float] = (-math.inf, -math.inf)
    _waited: int = 0

    def offer(self, weights: dict[str, Floats], metric: float | None, loss: float | None, monitor: str) -> bool:
        """Keep the weights if they are better; tells whether they are."""
        if metric is not None and loss is not None:
            score = (-metric if monitor == "loss" else metric, -loss)
            if score <= self._score:
                self._waited += 1
                return False
            self._score = score
        self.weights, self._waited = weights, 0
        return True

    @property
    def given_up(self) -> bool:
        """Whether the last epochs, as many as the patience, were no better."""
        return self.patience is not None and self._waited >= self.patience


def _rarer(examples: Examples) -> int:
    """Of two classes the one with fewer labels; of equals the second."""
    counts = np.bincount(examples.labels[examples.labels >= 0], minlength=2)
    return int(counts[0] < counts[1]) ^ 1


def _unknown_rates(prepared: Prepared, settings: Settings) -> list[Rates] | None:
    """How likely training is to take each code for the unknown one."""
    a = settings.category_dropout
    if not a or not prepared.counts:
        return None
    return [(a / (a + counts)).astype(np.float32) for counts in prepared.counts]


def _finished(prepared: Prepared, weights: dict[str, Floats]) -> dict[str, Floats]:
    """The weights of the whole network: a code that training never saw means as much as the unknown one."""
    for i, counts in enumerate(prepared.counts):
        table = weights[f"category_{i}/embeddings"]
        weights[f"category_{i}/embeddings"] = np.where(counts[:, None] > 0, table, table[0])
    return prepared.standardisation | weights
