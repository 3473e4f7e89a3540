"""What a process of the pool does: it trains runs, with one thread."""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from bothways.metrics import Counts, count, thresholds_for
from bothways.metrics.alarms import detectable
from bothways.study.factors import DataShape, Setting
from bothways.study.runs import CURVE, DIVERGED, FAILED, Run
from bothways.study.tasks import Split, Task

POINTS = 250  # a learning curve has at most this many points, and that of the best epoch
AT_ONCE = 2.0  # seconds after which a process hands over the runs that it has done
KEPT_SPLITS = 4  # the data of this many runs are kept


class Driver(NamedTuple):
    """The process that hands out the work: its machine, its number there, and the Keras backend that it asks for."""

    host: str
    number: int
    backend: str | None

    @classmethod
    def here(cls) -> Driver:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), os.environ.get("KERAS_BACKEND"))


@dataclass(frozen=True)
class StudySpec:
    """What all runs of a study share; `positive` is the code of the class to detect."""

    task: Task = field(compare=False)  # a copy of it is as good as another
    false_alarm_rates: tuple[float, ...]
    positive: int
    driver: Driver = field(default_factory=Driver.here)
    id: str = field(default_factory=lambda: uuid4().hex)


class OutOfTimeError(Exception):
    """The time for all runs is over."""


_lock = threading.Lock()


def train_runs(spec: StudySpec, setting: Setting, seeds: Sequence[int], seconds: float = float("inf")) -> list[Run]:
    """Train a setting with one seed after the other, and give up the run that is going on after `seconds`.

    At least one run comes of it unless time is over; those for which `AT_ONCE` was too short are missing.
    """
    begun, done = time.monotonic(), list[Run]()
    begin(spec.driver)
    with _lock:  # some pools have threads
        for seed in seeds:
            try:
                done.append(_trained(spec, setting, seed, begun + seconds))
            except OutOfTimeError:
                break
            except Exception as reason:  # one run that fails must not take the others with it
                done.append(Run(setting, seed, FAILED, f"{type(reason).__name__}: {reason}"))
            if time.monotonic() - begun > min(AT_ONCE, seconds):
                break
    return done


@cache
def begin(driver: Driver) -> None:
    """Make a process of a pool ready; the one that compares is left as it is."""
    here = Driver.here()
    if here[:2] == driver[:2]:
        return
    if (here.host, os.getppid()) == driver[:2]:
        threading.Thread(target=_end_with, args=(driver.number,), daemon=True).start()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that compares
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
    os.environ.update({"OMP_NUM_THREADS": "1", "XLA_FLAGS": flags, "TF_CPP_MIN_LOG_LEVEL": "3"})
    if driver.backend is not None:
        os.environ["KERAS_BACKEND"] = driver.backend
    from threadpoolctl import threadpool_limits

    import bothways.training  # noqa: F401
    from bothways import engine

    # Keras is there; in what it saves it looks for types of TensorFlow, whose import costs four seconds.
    if driver.backend != "tensorflow":
        sys.modules.setdefault("tensorflow", None)  # type: ignore[arg-type]  # which is how to say so
    threadpool_limits(1)
    engine.set_threads(1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@lru_cache(KEPT_SPLITS)
def _split(spec: StudySpec, seed: int) -> Split:
    return spec.task.draw(seed)


def _trained(spec: StudySpec, setting: Setting, seed: int, end: float) -> Run:
    from bothways.training import DivergedError, train

    split = _split(spec, seed)
    network = setting.network(DataShape.of(split.train, spec.task.shape.classes, split.categories))
    parameters = sum(map(math.prod, network.trained_shapes().values()))
    started = time.perf_counter()

    def on_epoch(report: Any) -> None:
        if time.monotonic() > end:
            raise OutOfTimeError

    try:
        trained = train(network, split.train, setting.settings(seed), split.valid, on_epoch)
    except DivergedError as reason:
        seconds = time.perf_counter() - started
        return Run(setting, seed, DIVERGED, str(reason), parameters=parameters, train_seconds=seconds)
    if trained.interrupted:
        raise KeyboardInterrupt
    counts, label_us = _tested(spec, network, trained.weights, split)
    epochs, train_seconds = len(trained.history), trained.seconds["train"]
    return Run(
        setting,
        seed,
        backend=trained.backend,
        counts=counts,
        curve=learning_curve(trained),
        parameters=parameters,
        updates=len(trained.losses),
        epochs=epochs,
        best_epoch=trained.best_epoch,
        compile_seconds=trained.seconds["compile"],
        train_seconds=train_seconds,
        train_us_per_step=1e6 * train_seconds / max(1, epochs * split.train.steps),
        label_us_per_step=label_us,
    )


def _tested(spec: StudySpec, network: Any, weights: Any, split: Split) -> tuple[Counts, float]:
    from bothways.runtime import decided, logits, probabilities

    test, valid = split.test, split.valid
    started = time.perf_counter()
    p = probabilities(logits(network, weights, test))
    seconds = time.perf_counter() - started
    thresholds: dict[float, float] = {}
    on = test if valid is None else valid
    if spec.false_alarm_rates and detectable(on, spec.positive):
        chosen_on = p if on is test else probabilities(logits(network, weights, on))
        thresholds = thresholds_for(on, chosen_on, spec.false_alarm_rates, spec.positive)
    predicted = decided(p, scheme=test.scheme, lengths=test.lengths)
    counts = count(test, p, len(spec.task.classes), positive=spec.positive, thresholds=thresholds, predicted=predicted)
    return counts, 1e6 * seconds / max(1, test.steps)


def learning_curve(trained: Any) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """How a training learned: a point per epoch with validation, else one per update, thinned out to `POINTS`."""
    losses = np.asarray(trained.losses, np.float64)
    history = trained.history
    ends = np.linspace(0, len(losses), len(history) + 1)[1:].round().astype(np.int64)
    validated = history[0].valid_loss is not None
    if not validated:
        ends = np.arange(1, len(losses) + 1)
    if len(ends) > POINTS:
        kept = np.linspace(0, len(ends) - 1, POINTS).round().astype(np.int64)
        best = [trained.best_epoch - 1] if validated else []  # by which a search goes
        ends = ends[np.unique([*kept, *best])]
    sums = np.concatenate([[0.0], np.cumsum(losses)])[ends]
    nothing = np.full(len(ends), np.nan)
    which = (ends * len(history) / len(losses)).round().astype(np.int64) - 1
    found = (
        ends,
        trained.seconds["train"] * ends / len(losses),
        np.diff(sums, prepend=0.0) / np.diff(ends, prepend=0),
        np.array([history[i].valid_loss for i in which]) if validated else nothing,
        np.array([history[i].valid_metric for i in which]) if validated else nothing,
    )
    return dict(zip(CURVE, found, strict=True))
