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

FEW = 4
"""Before so many runs are done, how long the rest will take is anybody's guess."""

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
        first: when the first run was done, on the clock of `time.monotonic`; what went before was mostly compiling.
        deadline: when it must end; None for never.
    """

    total: int
    done: list[Run] = field(default_factory=list)
    running: dict[Job, Progress | None] = field(default_factory=dict)
    first: float | None = None
    deadline: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """A guess at how long the rest will take; None as long as there is little to go by."""
        if self.first is None or len(self.done) < FEW:
            return None
        each = (time.monotonic() - self.first) / (len(self.done) - 1)
        return each * (self.total - len(self.done))


class Pool:
    """Processes that train, one run each at a time.

    A setting stays with the process that compiled it while others have settings of their own, and the seeds of a
    setting are spread over processes only when there is nothing else to do.

    Args:
        order: what all runs share.
        workers: how many processes.

    Raises:
        WorkerError: the processes cannot start.
    """

    def __init__(self, order: Order, workers: int) -> None:
        """Start them."""
        self._order = order
        self._homes: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._pool: dict[int, _Process] = {}
        try:
            for i in range(workers):
                self._start(i)
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> Pool:
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End them all, whatever they do."""
        self.end()

    def run(
        self,
        jobs: Sequence[Job],
        on_run: Callable[[Run], None],
        state: State,
        on_state: Callable[[State], None] = lambda state: None,
    ) -> bool:
        """Do runs side by side.

        Args:
            jobs: what to do, in the order in which it should be begun.
            on_run: is called with each run that is done.
            state: is brought up to date; what goes on at its deadline is given up.
            on_state: is called now and then.

        Returns:
            Whether all is done.

        Raises:
            WorkerError: a process ended before it was ready.
        """
        waiting, done = list(jobs), 0
        while done < len(jobs):
            for i, process in self._pool.items():
                if process.ready and process.job is None and waiting:
                    process.job = waiting.pop(_choose(waiting, self._homes, i))
                    self._homes.setdefault(process.job[0], i)
                    process.tell(process.job)
                    state.running[process.job] = None
            left = None if state.deadline is None else state.deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            for key, _ in self._selector.select(0.2 if left is None else min(0.2, left)):
                if (run := self._heard(key.data, state)) is not None:
                    state.running.pop((run.key, run.seed), None)
                    state.done.append(run)
                    state.first = state.first or time.monotonic()
                    on_run(run)
                    done += 1
            on_state(state)
        return True

    def end(self) -> None:
        """End them all, whatever they do."""
        for process in self._pool.values():
            process.end()
        self._selector.close()

    def _heard(self, i: int, state: State) -> Run | None:
        """Hear what a process says; gives a run that is done."""
        process, message = self._pool[i], self._pool[i].hear()
        job = process.job
        if message is None:
            self._selector.unregister(process.output)
            died = process.end()
            if job is None:
                raise WorkerError(f"A process for training ended without work: {died}")
            self._start(i)
            return Run(job[0], job[1], FAILED, died)
        if isinstance(message, Progress):
            state.running[message.job] = message
            return None
        process.ready, process.job = True, None
        return message if isinstance(message, Run) else None

    def _start(self, i: int) -> None:
        self._pool[i] = _Process(self._order)
        self._selector.register(self._pool[i].output, selectors.EVENT_READ, i)


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
        ready: whether it has said that it can work.
        job: what it does now.
    """

    def __init__(self, order: Order) -> None:
        self.job: Job | None = None
        self.ready = False
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
        self.tell(order)

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

    def tell(self, message: Any) -> None:
        """Tell it what to do."""
        # Where it is gone already, reading from it will tell.
        with contextlib.suppress(OSError):
            send(self._process.stdin, message)
