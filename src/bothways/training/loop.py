"""Training a network: epochs, early stopping, the best weights, and the model that comes of them."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

import bothways
from bothways import baselines
from bothways.data.leaks import sample_of
from bothways.errors import InputError, option
from bothways.interrupts import Stop, deferred
from bothways.layers.backend import PREFERRED
from bothways.metrics import monitored, title
from bothways.network import Network
from bothways.runtime import Label, Member, Model
from bothways.sequences import Floats, Numbers, Sequences
from bothways.settings import SCORES, Settings
from bothways.training.batches import epoch_plan, updates
from bothways.training.checkpoints import Checkpoint, Checkpoints, fingerprint, model_values, set_model_values
from bothways.training.compiled_models import CompiledModel, compiled_model
from bothways.training.epochs import learning_rates
from bothways.training.examples import TrainingData, check_sequences, prepare
from bothways.training.initializers import initial_weights
from bothways.training.keras_model import get_weights, set_weights
from bothways.training.validation import Validation

if TYPE_CHECKING:
    from bothways.data import Columns


class DivergedError(InputError):
    """The loss is no finite number."""


@dataclass(frozen=True)
class EpochReport:
    """What an epoch did."""

    epoch: int  # its number, from 1
    epochs: int  # how many there are at most
    loss: float  # the mean cross-entropy of its batches, each before its update
    valid_loss: float | None  # the mean cross-entropy of the validation labels after it; None without such data
    valid_metric: float | None  # the score of the validation labels after it; None without such data
    steps_per_second: float  # the time steps trained on in a second, validation aside
    best: bool  # whether its weights are the ones to keep so far
    metric: str = "macro F1"  # the title of the score
    seconds_left: float = 0.0  # how long the remaining epochs will take if none is left out

    def __str__(self) -> str:
        valid = "" if self.valid_metric is None else f", valid {self.metric} {self.valid_metric:.3f}"
        return (
            f"epoch {self.epoch}/{self.epochs}: loss {self.loss:.4f}{valid}{' (best)' if valid and self.best else ''}"
        )


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gives."""

    weights: dict[str, Floats]
    """The arrays that `network.weight_shapes()` names: the best ones by validation, else the last ones."""
    history: list[EpochReport]  # one report per epoch
    seconds: dict[str, float]  # "compile", and "train" for everything after it, validation included
    backend: str  # the Keras backend
    compiled: bool  # whether each epoch ran as one compiled loop, which takes JAX
    interrupted: bool = False  # whether Ctrl-C ended it before its time
    losses: list[float] = field(default_factory=list)
    """The mean cross-entropy of each batch before its update, those before a checkpoint left out."""

    @property
    def best_epoch(self) -> int:
        """The number of the epoch whose weights were kept; 0 if none was run."""
        return max((report.epoch for report in self.history if report.best), default=0)


def train(
    network: Network,
    sequences: Sequences,
    settings: Settings,
    valid: Sequences | None = None,
    on_epoch: Callable[[EpochReport], object] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    say: Callable[[str], None] | None = None,
    room: Numbers | None = None,
    start: Mapping[str, Floats] | None = None,
) -> Trained:
    """Train a network on sequences, of which one label at least is needed; without `valid` it trains all epochs. Raises
    InputError for sequences that do not fit it, for a loss that is not a finite number and for a checkpoint of another
    training, ModelFileError for a damaged one, and KeyboardInterrupt for Ctrl-C before the first update was done.

    With validation data, training stops after `settings.patience` epochs without a better score (of equals the lower
    loss), and the best weights are kept. The score is the one that `settings.monitor` names, by itself an F1 rather
    than the loss, since the labels are what people use: on few sequences the loss of an overconfident network rises
    while its labels still improve.

    Ctrl-C ends training with the best weights so far; those of an epoch that it cuts short count only in the first one.
    With `resume` training goes on from `checkpoint`, if it is there, to the very weights, bit for bit, of a training
    that was never stopped. The file is written after an epoch if the last time is some seconds ago; it stays when
    training is done, and where it cannot be written, training goes on.

    A sequence, or a batch, that would take more memory than there is gets cut, or smaller. `say`, by default a warning,
    tells of this and of whatever else the user should know. `room` has the lengths of sequences of which these are a
    part: all parts of those have arrays of one shape, and so share one compilation. `start` has the weights to begin
    with, those of an earlier training, instead of random ones.
    """
    if resume and checkpoint is None:
        raise InputError("resume=True needs the file of the checkpoint. Give checkpoint=path.")
    if (backend := keras.backend.backend()) not in PREFERRED:
        raise InputError(f"Keras runs on {backend}, which cannot train. Set KERAS_BACKEND to jax, torch or tensorflow.")
    say = say or partial(warnings.warn, stacklevel=2)
    check_sequences("sequences", sequences, network)
    prepared = prepare(network, sequences, settings, say, room)
    counts = sequences.class_counts(network.classes)
    monitor, positive = monitored(settings.monitor, counts, sequences.scheme is not None)
    validation = checkpoints = None
    if settings.monitor == "none":
        valid = None
    if valid is not None:
        check_sequences("valid", valid, network, unseen=True)
        validation = Validation(network, prepared.numbers, valid, monitor, positive)
    if checkpoint is not None:
        checkpoints = Checkpoints(Path(checkpoint), fingerprint(network, settings, sequences, valid), say)
    stored = checkpoints.load("history") if checkpoints is not None and resume else None
    rates = _unknown_rates(prepared, settings)
    with compiled_model(network, settings, prepared, rates) as model:
        weights = initial_weights(network, settings.seed) if start is None else start
        training = _Training(network, settings, prepared, validation, monitor, stored, model, weights)
        with deferred() as stop:
            stop.keeping = True
            try:
                while not training.done and not stop.requested:
                    if training.epoch(stop):
                        if checkpoints is not None and not stop.requested:
                            checkpoints.offer(training.checkpoint(), last=training.done)
                        if on_epoch is not None:
                            on_epoch(training.history[-1])
            except KeyboardInterrupt:
                stop.requested = True
        if stop.requested and not training.history:
            raise KeyboardInterrupt
        if stop.requested and checkpoints is not None:
            checkpoints.flush()
    return Trained(
        weights=training.weights,
        history=training.history,
        seconds={"compile": training.compile_seconds, "train": training.seconds},
        backend=backend,
        compiled=model.epochs.compiled,
        interrupted=stop.requested,
        losses=training.losses,
    )


def trained_model(
    network: Network,
    settings: Settings,
    trained: Trained,
    classes: Sequence[Label],
    columns: Columns,
    parts: Mapping[str, Sequences],
    simple: Sequence[baselines.Baseline],
    **more: Any,
) -> Model:
    """The model of a training, whoever trains: `parts` by name, "train" among them; `simple`, the baselines."""
    counts = parts["train"].class_counts(len(classes)).tolist()
    history = [
        {name: getattr(report, name) for name in ("epoch", "loss", "valid_loss", "valid_metric", "best")}
        for report in trained.history
    ]
    facts = {
        "parts": {name: {"sequences": len(part), "steps": part.steps} for name, part in parts.items()},
        "sequences": sample_of(part for name, part in parts.items() if name != "test"),
        "settings": asdict(settings),
        "epochs": len(history),
        "best_epoch": trained.best_epoch,
        "keras_backend": trained.backend,
        "compiled_epochs": trained.compiled,
        "history": history,
        "versions": {"bothways": bothways.__version__},
        "scheme": "" if (scheme := parts["train"].scheme) is None else scheme.name,
    }
    class_counts = dict(zip(classes, counts, strict=True))
    members = [Member(network, trained.weights)]
    return Model(members, tuple(classes), columns, class_counts, facts | more, simple)


class _Training:
    def __init__(
        self,
        network: Network,
        settings: Settings,
        prepared: TrainingData,
        validation: Validation | None,
        monitor: str,
        stored: Checkpoint | None,
        model: CompiledModel,
        weights: Mapping[str, Floats],
    ) -> None:
        self._network, self._settings, self._prepared = network, settings, prepared
        self._validation, self._monitor = validation, monitor
        self._generator = np.random.default_rng(settings.seed)
        self.history: list[EpochReport] = []
        self.weights: dict[str, Floats] = {}
        self._score, self._waited = (-math.inf, -math.inf), 0
        self.seconds = 0.0
        self._epochs, self._model = model.epochs, model.keras_model
        self._rates = learning_rates(settings, settings.epochs * updates(prepared.buckets))
        set_weights(network, self._model, weights)
        if stored is not None:
            self._restore(stored)
        self._epochs.load([] if self.done else prepared.buckets)
        self.losses, self.compile_seconds = self._epochs.losses, self._epochs.compile_seconds

    @property
    def done(self) -> bool:
        """Whether all epochs were run, or the last ones, as many as the patience, were no better."""
        patience = self._settings.patience
        return len(self.history) >= self._settings.epochs or (patience is not None and self._waited >= patience)

    def epoch(self, stop: Stop) -> bool:
        """Run the next epoch and evaluate it; tells whether it counts: one that is cut short does only as the first."""
        started = time.perf_counter()
        loss = self._epochs.run(epoch_plan(self._prepared.buckets, self._generator), self._rates, stop)
        if stop.requested and (self.history or not self._epochs.losses):
            return False
        stop.raises = not stop.requested
        weights = _finished(self._network, self._prepared, get_weights(self._network, self._model))
        update_seconds = time.perf_counter() - started
        epoch, settings = len(self.history) + 1, self._settings
        if not math.isfinite(loss):
            rate = option("learning_rate", settings.learning_rate)
            raise DivergedError(f"The loss is {loss} in epoch {epoch}. Lower {rate}.")
        metric = valid_loss = None
        better = True
        if self._validation is not None:
            metric, valid_loss = self._validation(weights)
            score = (SCORES[self._monitor].better * metric, -valid_loss)  # of equal scores the lower loss
            better = not score <= self._score
            self._score = score if better else self._score
        self.weights, self._waited = (weights, 0) if better else (self.weights, self._waited + 1)
        self.seconds += time.perf_counter() - started
        self.history.append(
            EpochReport(
                epoch=epoch,
                epochs=settings.epochs,
                loss=loss,
                valid_loss=valid_loss,
                valid_metric=metric,
                steps_per_second=self._prepared.steps / update_seconds,
                best=better,
                metric=title(self._monitor, "the rarer class"),
                seconds_left=self.seconds / epoch * (settings.epochs - epoch),
            )
        )
        stop.raises = False
        return True

    def checkpoint(self) -> Checkpoint:
        """Where it stands."""
        arrays = model_values(self._model) | {f"best/{name}": array for name, array in self.weights.items()}
        notes = {
            "history": [asdict(report) for report in self.history],
            "seconds": self.seconds,
            "generator": self._generator.bit_generator.state,
            "best": [list(self._score), self._waited],
        }
        return Checkpoint(arrays, notes)

    def _restore(self, stored: Checkpoint) -> None:
        notes = stored.notes
        set_model_values(self._model, stored.arrays)
        self.history = [EpochReport(**report) for report in notes["history"]]
        self.seconds = notes["seconds"]
        self._generator.bit_generator.state = notes["generator"]
        score, self._waited = notes["best"]
        self._score = (score[0], score[1])
        self.weights = {
            name.removeprefix("best/"): array for name, array in stored.arrays.items() if name.startswith("best/")
        }


def _unknown_rates(prepared: TrainingData, settings: Settings) -> Floats | None:
    """How likely training is to take each code for the unknown one."""
    a = settings.category_dropout
    if not a or not prepared.counts:
        return None
    return (a / (a + np.concatenate(prepared.counts))).astype(np.float32)


def _finished(network: Network, prepared: TrainingData, weights: dict[str, Floats]) -> dict[str, Floats]:
    """The weights of the whole network: a code that training never saw means as much as the unknown one."""
    if prepared.counts:
        table, counts = weights["categories/embeddings"], np.concatenate(prepared.counts)
        unknown = np.repeat(network.first_codes, network.categories)
        weights["categories/embeddings"] = np.where(counts[:, None] > 0, table, table[unknown])
    return prepared.numbers | weights
