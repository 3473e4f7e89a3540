"""The process that trains runs, spoken to by `bothways.study.workers`.

Messages are pickles with their length before them, on the standard input and output; nothing else may write there. It
is told once what the task is, then one run after the other; it says how a run goes on, and what came of it. It ends
when there is nothing more to read, which is also when the process that started it is gone.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.metrics import Counts, count, thresholds_for
from bothways.sequences import Sequences
from bothways.study.factors import AS_WRITTEN
from bothways.study.grid import network_of, settings_of
from bothways.study.runs import DIVERGED, FAILED, Curve, Run
from bothways.study.tasks import Task

LENGTH = struct.Struct("<Q")
POINTS = 250
"""A learning curve has so many points at most."""

KEPT_SEEDS = 4
"""The data of so many seeds are kept."""

EVERY = 0.25
"""Seconds between two words on how a run goes on."""


@dataclass(frozen=True)
class Order:
    """What all runs of a study share.

    Attributes:
        task: what is learned.
        false_alarm_rates: at which rates alarms are counted.
        positive: the code of the class to detect.
    """

    task: Task
    false_alarm_rates: tuple[float, ...]
    positive: int


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        job: the key of its setting, and its seed.
        epoch: how many are done.
        epochs: how many there will be at most.
    """

    job: tuple[str, int]
    epoch: int
    epochs: int


class Trainer:
    """Trains the runs of a study, one compiled model for all seeds of a setting.

    Args:
        order: what they share.

    Example:
        >>> from bothways.study.tasks import ProblemTask
        >>> trainer = Trainer(Order(ProblemTask("cumulative-sum", sequences=20), (), positive=1))
        >>> run = trainer.run('{"epochs": 2, "units": 4}', seed=0, say=lambda progress: None)
        >>> run.status, run.updates, len(run.judged.true_positives)
        ('finished', 6, 1000)
    """

    def __init__(self, order: Order) -> None:
        """Import what trains, which takes a second or two."""
        self._order = order
        # Settings take turns with one seed after the other, so that the parts of a seed are soon needed again.
        self._parts = lru_cache(KEPT_SEEDS)(order.task.parts)

    def run(self, key: str, seed: int, say: Callable[[Progress], None]) -> Run:
        """Train a setting with a seed, and judge it."""
        from bothways.training import train

        setting = Run(key, seed).setting
        task = self._order.task
        parts = self._parts(seed)
        if setting["direction"] == AS_WRITTEN:
            learned, valid, test = (None if part is None else part.backward() for part in parts)
        else:
            learned, valid, test = parts
        assert learned is not None and test is not None  # noqa: PT018
        network, settings = network_of(setting, task.shape), settings_of(setting, seed)
        parameters = sum(int(np.prod(shape)) for name, shape in network.weight_shapes().items() if name[:6] != "input/")
        started = last = time.perf_counter()

        def on_epoch(report: Any) -> None:
            nonlocal last
            if time.perf_counter() - last >= EVERY:
                last = time.perf_counter()
                say(Progress((key, seed), report.epoch, report.epochs))

        try:
            trained = train(
                network,
                learned,
                settings,
                valid,
                on_epoch,
            )
        except InputError as reason:
            # What a network cannot be was refused before; what is left is a loss that is no number.
            seconds = time.perf_counter() - started
            return Run(key, seed, DIVERGED, str(reason), parameters=parameters, train_seconds=seconds)
        judged, label_us = self._judged(network, trained.weights, valid, test)
        epochs = len(trained.history)
        train_seconds = trained.seconds["train"]
        return Run(
            key,
            seed,
            backend=trained.backend,
            judged=judged,
            curve=curve(trained),
            parameters=parameters,
            updates=len(trained.losses),
            epochs=epochs,
            best_epoch=max(report.epoch for report in trained.history if report.best),
            compile_seconds=trained.seconds["compile"],
            train_seconds=train_seconds,
            train_us_a_step=1e6 * train_seconds / max(1, epochs * learned.steps),
            label_us_a_step=label_us,
        )

    def _judged(self, network: Any, weights: Any, valid: Sequences | None, test: Sequences) -> tuple[Counts, float]:
        from bothways.runtime import probabilities, scores

        order = self._order
        started = time.perf_counter()
        p = probabilities(scores(network, weights, test))
        seconds = time.perf_counter() - started
        thresholds: dict[float, float] = {}
        if order.false_alarm_rates:
            on = valid if valid is not None and (valid.known_labels == order.positive).any() else test
            chosen_on = p if on is test else probabilities(scores(network, weights, on))
            thresholds = thresholds_for(on, chosen_on, order.false_alarm_rates, order.positive)
        judged = count(test, p, len(order.task.classes), positive=order.positive, thresholds=thresholds)
        return judged, 1e6 * seconds / max(1, test.steps)


def curve(trained: Any) -> Curve:
    """The learning curve of a training: a point an epoch with validation, else one an update, thinned out to `POINTS`.

    Args:
        trained: a `bothways.training.Trained`.
    """
    losses = np.asarray(trained.losses, np.float64)
    history = trained.history
    ends = np.linspace(0, len(losses), len(history) + 1)[1:].round().astype(np.int64)
    validated = bool(history) and history[0].valid_loss is not None
    if not validated:
        ends = np.arange(1, len(losses) + 1)
    if len(ends) > POINTS:
        ends = ends[np.linspace(0, len(ends) - 1, POINTS).round().astype(np.int64)]
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    starts = np.concatenate([[0], ends[:-1]])
    nothing = np.full(len(ends), np.nan)
    which = (ends * len(history) / max(1, len(losses))).round().astype(np.int64) - 1
    return Curve(
        updates=ends,
        seconds=trained.seconds["train"] * ends / max(1, len(losses)),
        loss=(sums[ends] - sums[starts]) / (ends - starts),
        valid_loss=np.array([history[i].valid_loss for i in which]) if validated else nothing,
        valid_metric=np.array([history[i].valid_metric for i in which]) if validated else nothing,
    )


def send(file: Any, message: Any) -> None:
    """Write a message to a file that may take it in parts."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    left = memoryview(LENGTH.pack(len(content)) + content)
    while left:
        left = left[file.write(left) :]
    file.flush()


def receive(file: Any) -> Any:
    """Read a message from a file that may give it in parts; None if there will be no more."""
    head = _exactly(file, LENGTH.size)
    content = None if head is None else _exactly(file, LENGTH.unpack(head)[0])
    return None if content is None else pickle.loads(content)


def _exactly(file: Any, size: int) -> bytes | None:
    parts = []
    while size:
        part = file.read(min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def main() -> None:
    """Be a worker: train what the standard input asks for."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints goes with the errors
    order = receive(requests)
    trainer = Trainer(order)
    # Keras on another backend imports TensorFlow all the same, where there is one, to look for its types in what it
    # saves: four seconds for nothing. This process is ours, so here there is none.
    sys.modules.setdefault("tensorflow", None)  # type: ignore[arg-type]  # which is how to say so
    send(answers, "ready")
    while (request := receive(requests)) is not None:
        key, seed = request
        try:
            run = trainer.run(key, seed, lambda progress: send(answers, progress))
        except Exception as reason:  # one run that fails must not take the others with it
            run = Run(key, seed, FAILED, f"{type(reason).__name__}: {reason}")
        send(answers, run)
