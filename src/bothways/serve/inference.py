"""Requests of the protocol through models: short ones together, long ones in threads of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import BothwaysError
from bothways.serve.metrics import Counts
from bothways.serve.models import Served, Steps
from bothways.serve.protocol import Request, answer, parse

Floats = npt.NDArray[np.float32]

SMALL_BYTES = 1 << 15
"""A body of at most this size is read at once; a larger one in another thread."""

STEPS_TOGETHER = 4
"""Requests share a run until they have so many times the steps that a model does quickly."""


@dataclass(eq=False)
class _Batch:
    """Requests that will share a run."""

    parts: list[tuple[Steps, asyncio.Future[Floats]]] = field(default_factory=list)
    steps: int = 0
    since: float = field(default_factory=time.perf_counter)


class Inference:
    """Runs models for requests, on one event loop.

    Short requests that arrived while others were answered share a run, which is several times as fast with 16
    connections. Nothing waits for company.
    """

    def __init__(self, threads: int) -> None:
        """Start no thread yet."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compute")
        self._open: dict[tuple[Served, bool], _Batch] = {}

    async def infer(
        self, served: Served, body: bytes, header_length: int | None, counts: Counts
    ) -> tuple[bool, list[bytes]]:
        """Whether some of the answer is bytes behind its JSON, and its parts.

        Raises:
            InputError: the request cannot be answered.
            DataError: the same.
        """
        if len(body) > SMALL_BYTES:
            done: tuple[bool, list[bytes]] = await self.run(
                _whole, served, body, header_length, counts, time.perf_counter()
            )
            return done
        request = parse(body, header_length)
        steps = served.steps(request)
        count = int(steps.lengths.sum())
        if count > served.quick:
            p = await self.run(_probabilities, served, [steps], counts, time.perf_counter())
        else:
            p = await self._join(served, steps, count, counts)
        return _answer(served, request, steps, p)

    async def run(self, work: Any, *arguments: Any) -> Any:
        """Do something in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def close(self) -> None:
        """Wait for the threads."""
        self._pool.shutdown()

    def _join(self, served: Served, steps: Steps, count: int, counts: Counts) -> asyncio.Future[Floats]:
        """The probabilities, when the run that it shares with others is done."""
        loop = asyncio.get_running_loop()
        key = served, steps.single
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = _Batch()
            loop.call_soon(self._run, key, batch, counts)
        future: asyncio.Future[Floats] = loop.create_future()
        batch.parts.append((steps, future))
        batch.steps += count
        if batch.steps > STEPS_TOGETHER * served.quick:
            del self._open[key]
        return future

    def _run(self, key: tuple[Served, bool], batch: _Batch, counts: Counts) -> None:
        if self._open.get(key) is batch:
            del self._open[key]
        served, _ = key
        parts = [steps for steps, _ in batch.parts]
        try:
            p = _probabilities(served, parts, counts, batch.since)
        except BothwaysError:
            for steps, future in batch.parts:  # one of them is wrong; each gets its own answer
                try:
                    result = _probabilities(served, [steps], counts, batch.since)
                except BothwaysError as error:
                    if not future.cancelled():
                        future.set_exception(error)
                else:
                    if not future.cancelled():
                        future.set_result(result)
            return
        start = 0
        per_step = served.model.network.per == "step"
        for steps, future in batch.parts:
            end = start + int(steps.lengths.sum() if per_step else len(steps.lengths))
            if not future.cancelled():
                future.set_result(p[start:end])
            start = end


def _probabilities(served: Served, parts: Sequence[Steps], counts: Counts, since: float) -> Floats:
    start = time.perf_counter()
    p = served.model.probabilities(served.sequences(parts))
    counts.ran(len(parts), sum(len(part.lengths) for part in parts), start - since, time.perf_counter() - start)
    return p


def _whole(
    served: Served, body: bytes, header_length: int | None, counts: Counts, since: float
) -> tuple[bool, list[bytes]]:
    request = parse(body, header_length)
    steps = served.steps(request)
    return _answer(served, request, steps, _probabilities(served, [steps], counts, since))


def _answer(served: Served, request: Request, steps: Steps, p: Floats) -> tuple[bool, list[bytes]]:
    """Whether some of the answer is bytes behind its JSON, and its parts."""
    head: dict[str, Any] = {"model_name": served.name, "model_version": served.version}
    if request.id is not None:
        head["id"] = request.id
    binary = any(output.binary for output in request.outputs)
    return binary, answer(head, served.results(steps, p), request.outputs)
