"""Runs side by side: one process a core, each with one thread, whatever happens to any of them."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bothways.errors import BothwaysError
from bothways.study.runs import FAILED, Run
from bothways.study.worker import Order, Progress, receive, send

Job = tuple[str, int]
"""The key of a setting, and a seed."""

LAST_WORDS = 300
"""So many characters of what a worker said at its end are told."""


class WorkerError(BothwaysError):
    """No process for training could be started.

    Example:
        >>> issubclass(WorkerError, BothwaysError)
        True
    """


@dataclass
class State:
    """How far a study is, for whoever shows it.

    Attributes:
        total: how many runs there are to do in all.
        done: those that are done, in the order in which they came.
        running: for each run that goes on, how far it is.
        started: on the clock of `time.monotonic`.
        deadline: when it must end; None for never.
    """

    total: int
    done: list[Run] = field(default_factory=list)
    running: dict[Job, Progress | None] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    deadline: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """A guess at how long the rest will take; None before anything is done."""
        if not self.done:
            return None
        each = (time.monotonic() - self.started) / len(self.done)
        return each * (self.total - len(self.done))


def run_jobs(
    jobs: Sequence[Job],
    order: Order,
    workers: int,
    on_run: Callable[[Run], None],
    deadline: float | None = None,
    on_state: Callable[[State], None] = lambda state: None,
) -> State:
    """Do runs side by side.

    A setting stays with the process that compiled it while others have settings of their own, and the seeds of a
    setting are spread over processes only when there is nothing else to do.

    Args:
        jobs: what to do, in the order in which it should be begun.
        order: what all of them share.
        workers: how many processes.
        on_run: is called with each run that is done.
        deadline: on the clock of `time.monotonic`; what goes on then is given up.
        on_state: is called now and then.

    Raises:
        WorkerError: the processes cannot start.
    """
    state = State(len(jobs), deadline=deadline)
    waiting = list(jobs)
    homes: dict[str, int] = {}
    pool = {i: _Process(order) for i in range(min(workers, len(jobs)))}
    try:
        with selectors.DefaultSelector() as selector:
            for i, process in pool.items():
                selector.register(process.output, selectors.EVENT_READ, i)
            while len(state.done) < len(jobs):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                for key, _ in selector.select(0.2 if left is None else min(0.2, left)):
                    i = key.data
                    message = pool[i].hear()
                    if message is None:
                        selector.unregister(pool[i].output)
                        died = pool[i].end()
                        if (job := pool[i].job) is None:
                            raise WorkerError(f"A process for training ended at its start: {died}")
                        _finish(state, Run(job[0], job[1], FAILED, died), on_run)
                        pool[i] = _Process(order)
                        selector.register(pool[i].output, selectors.EVENT_READ, i)
                        continue
                    if isinstance(message, Progress):
                        state.running[message.job] = message
                        continue
                    if isinstance(message, Run):
                        _finish(state, message, on_run)
                    pool[i].job = None
                    if waiting:
                        job = waiting.pop(_choose(waiting, homes, i))
                        homes.setdefault(job[0], i)
                        pool[i].ask(job)
                        state.running[job] = None
                on_state(state)
    finally:
        for process in pool.values():
            process.end()
    return state


def _finish(state: State, run: Run, on_run: Callable[[Run], None]) -> None:
    state.running.pop((run.key, run.seed), None)
    state.done.append(run)
    on_run(run)


def _choose(waiting: Sequence[Job], homes: dict[str, int], worker: int) -> int:
    """Which job a worker takes: one of a setting of its own or of nobody, else any."""
    for i, (key, _) in enumerate(waiting):
        if homes.get(key, worker) == worker:
            return i
    # The last ones, since their owner goes on from the first.
    return len(waiting) - 1


class _Process:
    """A process that trains.

    Attributes:
        job: what it does now.
    """

    def __init__(self, order: Order) -> None:
        self.job: Job | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
        environment = os.environ | {"OMP_NUM_THREADS": "1", "XLA_FLAGS": flags, "TF_CPP_MIN_LOG_LEVEL": "3"}
        try:
            # In a session of its own, Ctrl-C reaches the process that waits only, which then ends the others.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", "from bothways.study.worker import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,  # what waits in a buffer would not wake the selector
                env=environment,
                start_new_session=True,
            )
        except OSError as reason:
            self._errors.close()
            raise WorkerError(f"A process for training cannot be started ({reason.strerror or reason}).") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.output = self._process.stdout
        self._tell(order)

    def ask(self, job: Job) -> None:
        """Have it do a run."""
        self.job = job
        self._tell(job)

    def hear(self) -> Any:
        """What it says next; None if it is gone."""
        try:
            return receive(self.output)
        except (EOFError, OSError, ValueError):
            return None

    def end(self) -> str:
        """End it; gives how it ended."""
        if self._errors.closed:
            return ""
        with contextlib.suppress(OSError):
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]  # both are there
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()[-LAST_WORDS:]
        self._errors.close()
        return f"it ended with {code}" + (f": {said}" if said else "")

    def _tell(self, message: Any) -> None:
        # Where it is gone already, reading from it will tell.
        with contextlib.suppress(OSError):
            send(self._process.stdin, message)
