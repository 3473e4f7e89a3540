"""Training a network: epochs, early stopping, the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.metrics import score_labels
from bothways.network import Network
from bothways.runtime import probabilities, scores, standardise
from bothways.settings import Settings
from bothways.training.batches import bucketed, epoch_plan, piece_lengths, updates
from bothways.training.epochs import Epochs, epochs
from bothways.training.initial import Floats, initial_weights
from bothways.training.keras_model import compile_model, get_weights, keras_model, set_weights
from bothways.training.programs import Programs

Array = npt.NDArray[Any]


class Examples(NamedTuple):
    """Labeled sequences.

    Attributes:
        sequences: each `(time, features)`, finite numbers.
        labels: `(steps,)`, the number of the class of every step, one sequence after the other.
    """

    sequences: Sequence[Array]
    labels: npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class EpochReport:
    """What an epoch did.

    Attributes:
        epoch: its number, from 1.
        epochs: how many there are at most.
        loss: the mean cross-entropy of its batches, each before its update.
        valid_loss: the mean cross-entropy of the validation steps after it; None without such data.
        valid_metric: the macro F1 of the validation steps after it; None without such data.
        steps_per_second: the time steps trained on in a second, validation aside.
        best: whether its weights are the ones to keep so far.
    """

    epoch: int
    epochs: int
    loss: float
    valid_loss: float | None
    valid_metric: float | None
    steps_per_second: float
    best: bool


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gives.

    Attributes:
        weights: the arrays that `network.weight_shapes()` names: the best ones by validation, else the last ones.
        history: a report an epoch.
        seconds: "compile", and "train" for everything after it, validation included.
        backend: the Keras backend.
        compiled: whether each epoch ran as one compiled loop, which takes JAX.
        losses: the mean cross-entropy of each batch before its update.
    """

    weights: dict[str, Floats]
    history: list[EpochReport]
    seconds: dict[str, float]
    backend: str
    compiled: bool
    losses: list[float]


def train(
    network: Network,
    examples: Examples,
    settings: Settings,
    valid: Examples | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    programs: Programs | None = None,
) -> Trained:
    """Train a network.

    With validation data, training stops after `settings.patience` epochs without a better macro F1 (of equals
    the lower loss), and the best weights are kept. Macro F1 rather than the loss, since the labels are what people
    use: on few sequences the loss of an overconfident network rises while its labels still improve.

    Args:
        network: what to train.
        examples: what to learn from; at least one step.
        settings: how.
        valid: what to validate on.
        on_epoch: is called after each epoch.
        programs: those of trainings before, to use again where they fit, and to which a new one is added.

    Raises:
        InputError: the loss is not a finite number.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(50, 4, 1))
        >>> examples = Examples(list(x), (x > 0).astype(int).ravel())
        >>> trained = train(Network(features=1, classes=2, units=4), examples, Settings(epochs=20))
        >>> trained.history[-1].loss < trained.history[0].loss
        True
    """
    steps = np.concatenate(examples.sequences)
    standardisation = statistics(steps)
    lengths = piece_lengths([len(sequence) for sequence in examples.sequences], settings.window)
    buckets = bucketed(standardise(steps, standardisation), examples.labels, lengths, settings.batch_size)
    masked = not all(bucket.valid.all() for bucket in buckets)

    def make() -> tuple[Any, Epochs]:
        model = keras_model(network, masked)
        total = settings.epochs * updates(buckets, settings.batch_size)
        compile_model(network, model, keras.optimizers.schedules.PolynomialDecay(settings.learning_rate, total, 0.0))
        return model, epochs(model, buckets, settings.batch_size)

    key = (network, replace(settings, seed=0), masked, tuple(bucket.x.shape for bucket in buckets))
    model, runner = (Programs() if programs is None else programs).ready(key, make, buckets, settings.seed)
    set_weights(network, model, initial_weights(network, settings.seed))

    generator = np.random.default_rng(settings.seed)
    history: list[EpochReport] = []
    best = _Best(settings.patience)
    seconds = 0.0
    while len(history) < settings.epochs and not best.given_up:
        started = time.perf_counter()
        loss = runner.run(epoch_plan(buckets, settings.batch_size, generator))
        weights = standardisation | get_weights(network, model)
        update_seconds = time.perf_counter() - started
        epoch = len(history) + 1
        if not math.isfinite(loss):
            raise InputError(f"The loss is {loss} in epoch {epoch}. Lower learning_rate={settings.learning_rate}.")
        valid_loss, valid_metric = (None, None) if valid is None else validate(network, weights, valid)
        better = best.offer(weights, valid_metric, valid_loss)
        seconds += time.perf_counter() - started
        history.append(
            EpochReport(
                epoch, settings.epochs, loss, valid_loss, valid_metric, len(steps) / update_seconds, best=better
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
        losses=runner.losses,
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

    def offer(self, weights: dict[str, Floats], metric: float | None, loss: float | None) -> bool:
        """Keep the weights if they are better; tells whether they are."""
        if metric is not None and loss is not None:
            if (metric, -loss) <= self._score:
                self._waited += 1
                return False
            self._score = metric, -loss
        self.weights, self._waited = weights, 0
        return True

    @property
    def given_up(self) -> bool:
        """Whether the last epochs, as many as the patience, were no better."""
        return self.patience is not None and self._waited >= self.patience


def statistics(steps: Array) -> dict[str, Floats]:
    """The standardisation of the inputs: mean and scale of each feature.

    The scale is the deviation from the mean as float32 has it; that of a constant feature is 1.

    Args:
        steps: `(steps, features)`.

    Example:
        >>> statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))
        {'input/mean': array([2., 5.], dtype=float32), 'input/scale': array([1., 1.], dtype=float32)}
    """
    mean = steps.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = np.sqrt(np.square(np.subtract(steps, mean, dtype=np.float64)).mean(axis=0)).astype(np.float32)
    constant = (steps.min(axis=0) == steps.max(axis=0)) | (scale == 0)
    return {"input/mean": mean, "input/scale": np.where(constant, np.float32(1), scale)}


def validate(network: Network, weights: dict[str, Floats], examples: Examples) -> tuple[float, float]:
    """The mean cross-entropy and the macro F1 over all steps."""
    p = probabilities(scores(network, weights, examples.sequences))
    y = examples.labels
    loss = -np.log(np.maximum(p[np.arange(len(y)), y], np.finfo(np.float32).tiny)).mean()
    return float(loss), score_labels(y, p.argmax(axis=-1), range(network.classes)).macro_f1
