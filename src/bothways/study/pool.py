"""Runs side by side, by joblib: on the cores of this machine, or on whatever `joblib.parallel_config` names."""

from __future__ import annotations

import itertools
import math
import os
import queue
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import joblib

from bothways.errors import BothwaysError, InputError, missing
from bothways.metrics import Score
from bothways.study.factors import Setting
from bothways.study.runs import FAILED, Run, RunId
from bothways.study.worker import Driver, StudySpec, begin, train_runs

FEW = 4  # with fewer runs done, there is no telling how long the rest will take
IDLE = 0.05  # seconds after which a process without work asks again
TRIES = 3  # a run whose process dies each time is tried this often, the last time alone; then it has failed
LOST = 6  # when processes die this often and no run is done in between, something else is wrong
Batch = tuple[Setting, tuple[int, ...]]  # a setting, and seeds that one process trains it with


class PoolError(BothwaysError):
    """The processes that train do not work."""


@dataclass
class Progress:
    """How far a study is, for whoever shows it.

    `first` is when the first run was done, on the clock of `time.monotonic`; what went before was mostly compiling.
    """

    score: Score
    total: int = 0
    done: list[Run] = field(default_factory=list)
    running: list[Setting] = field(default_factory=list)
    first: float | None = None
    deadline: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """An estimate of how long the rest will take; None as long as there is little to go by."""
        if self.first is None or len(self.done) < FEW:
            return None
        return (time.monotonic() - self.first) / (len(self.done) - 1) * (self.total - len(self.done))

    @property
    def until_deadline(self) -> float:
        """Seconds until the deadline."""
        return math.inf if self.deadline is None else self.deadline - time.monotonic()


def do_runs(
    spec: StudySpec,
    wanted: Sequence[RunId],
    workers: int | None,
    keep: Callable[[Run], None],
    progress: Progress,
    show: Callable[[Progress], None] = lambda progress: None,
) -> bool:
    """Do runs side by side, and tell whether all are done before the deadline.

    `keep` is called with each run that is done, so that whatever happens to a process costs its own runs at most.
    """
    left, tries, lost = dict.fromkeys(wanted), Counter[RunId](), 0

    def finish(run: Run) -> None:
        del left[run.id]
        progress.done.append(run)
        progress.first = progress.first or time.monotonic()
        keep(run)

    while left and progress.until_deadline > 0:
        suspects = [each for each in left if tries[each] == TRIES - 1]
        count = processes(workers)
        waiting = deque(_batches(suspects or list(left), count, singly=progress.deadline is not None or bool(tries)))
        flying: list[Batch] = []

        def tasks(flying: list[Batch] = flying, waiting: deque[Batch] = waiting) -> Iterator[Any]:
            """What to do next, whenever a process is free; a nap if all that is left is being done."""
            while (waiting or flying) and progress.until_deadline > 0:
                if not waiting:
                    yield joblib.delayed(time.sleep)(IDLE)
                    continue
                flying.append(waiting.popleft())
                yield joblib.delayed(train_runs)(spec, *flying[-1], progress.until_deadline)

        try:
            with results(tasks(), count, alone=bool(suspects)) as found:
                for runs in found:
                    if not runs:  # a nap, or time was over
                        continue
                    lost, ids = 0, {run.id for run in runs}
                    batch = next(each for each in flying if ids <= {(each[0], seed) for seed in each[1]})
                    for run in runs:
                        finish(run)
                    if rest := tuple(seed for seed in batch[1] if (batch[0], seed) in left):
                        waiting.appendleft((batch[0], rest))
                    flying.remove(batch)
                    progress.running = [setting for setting, _ in flying]
                    show(progress)
        except BothwaysError:
            raise
        except Exception as reason:  # a process died, or a machine
            lost += 1
            if lost == LOST:
                raise PoolError(f"The processes that train end without a result: {_words(reason)}") from None
            for each in [(setting, seed) for setting, seeds in flying for seed in seeds]:
                tries[each] += 1
                if tries[each] == TRIES and each in left:
                    finish(Run(*each, FAILED, _words(reason)))
    return not left


def processes(workers: int | None) -> int:
    """How many processes there are to be, here or on the cluster."""
    chosen = joblib.parallel.get_active_backend()[1] if workers is None else workers
    return int(joblib.effective_n_jobs(-1 if chosen in (None, 1) and workers is None else chosen))


def _batches(wanted: Sequence[RunId], processes: int, singly: bool) -> Iterator[Batch]:
    """The runs, with others of their setting, which is compiled once; fewer and fewer, lest one process ends last."""
    if singly:
        yield from ((setting, (seed,)) for setting, seed in wanted)
        return
    seeds: dict[Setting, list[int]] = {}
    for setting, seed in wanted:
        seeds.setdefault(setting, []).append(seed)
    left = len(wanted)
    for setting, waiting in seeds.items():
        while waiting:
            size = -(-left // (2 * processes))
            yield setting, tuple(waiting[:size])
            left -= len(waiting[:size])
            del waiting[:size]


@contextmanager
def results(tasks: Iterator[Any], processes: int, alone: bool) -> Iterator[Iterator[Any]]:
    """What comes of tasks, as it comes; the processes are stopped if nobody waits for it any longer."""
    # One process of joblib is this one, which must not die with a run: there are two, and one has nothing to do.
    parallel = joblib.Parallel(max(2, processes), pre_dispatch=1 if alone else processes, batch_size=1)
    # To give results as they come, which some backends can do though they do not say so.
    parallel.return_generator, parallel.return_ordered = True, False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = os.environ.get("PYTHONWARNINGS")
        # joblib's own process that removes files tells of those that a stop leaves to it.
        os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, "ignore:resource_tracker")))
        with closing(parallel(tasks)) as results:
            os.environ["PYTHONWARNINGS"] = before or ""
            yield results


def until_stopped(what: str, tasks: Iterator[Any], processes: int, stopped: Callable[[], bool]) -> Iterator[Any]:
    """What comes of tasks but None, as it comes, until somebody stops it; the processes are made ready before. Raises
    PoolError, which tells `what` was to be done, if a process died, and a BothwaysError of a task.

    The pool has a thread of its own, so that nobody waits for it when stopped; `tasks` should end then.
    """
    ready = [joblib.delayed(begin)(Driver.here())] * processes
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        end = None
        try:
            with results(itertools.chain(ready, tasks), processes, alone=False) as each:
                for result in each:
                    if result is not None:
                        found.put(result)
        except Exception as reason:  # a process died, or what was asked for cannot work
            end = reason
        found.put(end)

    threading.Thread(target=run, daemon=True).start()
    while not stopped():
        try:
            result = found.get(timeout=0.2)
        except queue.Empty:
            continue
        if result is None:
            return
        if isinstance(result, BothwaysError):
            raise result
        if isinstance(result, Exception):
            raise PoolError(f"{what} ended without a result: {result}") from result
        yield result


def _words(reason: Exception) -> str:
    return f"{type(reason).__name__}: {' '.join(str(reason).split())[:300]}"


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Do what joblib does meanwhile on a cluster; None is where `joblib.parallel_config` says, or this machine."""
    kind, _, place = (address or "").partition("://")
    if address is not None and (kind not in ("ray", "dask") or not place):
        raise InputError(f"cluster is {address!r}; give ray://HOST, ray://auto or dask://HOST:PORT.")
    if address is None and type(joblib.parallel.get_active_backend()[0]).__name__ == "RayBackend":
        kind = "ray"
    with ExitStack() as connected:
        try:
            if kind == "ray":
                from bothways.study import ray_backend

                if place:
                    connected.enter_context(ray_backend.connected(place))
                connected.enter_context(joblib.parallel_config("bothways-ray"))
            elif kind == "dask":
                from distributed import Client

                connected.enter_context(Client(f"tcp://{place}", timeout=10))
                connected.enter_context(joblib.parallel_config("dask"))
        except ModuleNotFoundError as reason:
            package, extra = ("distributed", "") if kind == "dask" else (reason.name, "cluster")
            raise missing(f"A cluster at {address}", package, extra) from None
        except (OSError, RuntimeError, ValueError) as reason:
            raise InputError(f"There is no cluster at {address} ({_words(reason)}).") from None
        yield
