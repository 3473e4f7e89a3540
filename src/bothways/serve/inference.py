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

from bothways.sequences import Numbers
from bothways.serve.metrics import Counts
from bothways.serve.models import Served, Steps
from bothways.serve.protocol import Request, answer, parse
from bothways.serve.streams import OpenSequences

Labels = tuple[Numbers, npt.NDArray[np.float32]]

SMALL_BYTES = 1 << 15
"""A body of at most this size is read at once; a larger one in another thread."""

STEPS_TOGETHER = 4
"""Requests share a run until they have so many times the steps that a model does quickly."""


@dataclass(eq=False)
class _Batch:
    """Requests that will share a run."""

    parts: list[tuple[Steps, asyncio.Future[Labels]]] = field(default_factory=list)
    steps: int = 0
    since: float = field(default_factory=time.perf_counter)


class Inference:
    """Runs models for requests, on one event loop; `sequences` are those that come bit by bit.

    Short requests that arrived while others were answered share a run, which is several times as fast with 16
    connections. Nothing waits for company.
    """

    def __init__(self, threads: int) -> None:
        """Start no thread yet."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compute")
        self._open: dict[tuple[Served, bool], _Batch] = {}
        self.sequences = OpenSequences()

    async def infer(self, served: Served, body: bytes, header_length: int | None, counts: Counts) -> list[bytes]:
        """The body of an answer, first its JSON and then the bytes behind it.

        Raises:
            InputError: the request cannot be answered.
            DataError: the same.
        """
        since = time.perf_counter()
        if len(body) > SMALL_BYTES:
            request, steps = await self.run(_read, served, body, header_length)
        else:
            request, steps = _read(served, body, header_length)
        count = int(steps.lengths.sum())
        if count <= served.quick and not request.parameters.get("sequence_id"):
            return answer(served.named, request, served.results(steps, *await self._join(served, steps, count, counts)))
        whole: list[bytes] = await self.run(self._alone, served, request, steps, counts, since)
        return whole

    async def run(self, work: Any, *arguments: Any) -> Any:
        """Do something in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def close(self) -> None:
        """Wait for the threads."""
        self._pool.shutdown()

    def _join(self, served: Served, steps: Steps, count: int, counts: Counts) -> asyncio.Future[Labels]:
        """The probabilities, when the run that it shares with others is done."""
        loop = asyncio.get_running_loop()
        key = served, steps.single
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = _Batch()
            loop.call_soon(self._run, key, batch, counts)
        future: asyncio.Future[Labels] = loop.create_future()
        batch.parts.append((steps, future))
        batch.steps += count
        if batch.steps > STEPS_TOGETHER * served.quick:
            del self._open[key]
        return future

    def _run(self, key: tuple[Served, bool], batch: _Batch, counts: Counts) -> None:
        if self._open.get(key) is batch:
            del self._open[key]
        served, _ = key
        together = [steps for steps, _ in batch.parts]
        try:
            codes, p = _labeled(served, together, counts, batch.since)
        except Exception as error:
            if len(batch.parts) > 1:  # one of them is wrong; each gets its own answer
                for part in batch.parts:
                    self._run(key, _Batch([part], since=batch.since), counts)
            elif not batch.parts[0][1].cancelled():
                batch.parts[0][1].set_exception(error)
            return
        start = 0
        for steps, future in batch.parts:
            end = start + int(steps.lengths.sum() if served.model.network.per == "step" else len(steps.lengths))
            if not future.cancelled():
                future.set_result((codes[start:end], p[start:end]))
            start = end

    def _alone(self, served: Served, request: Request, steps: Steps, counts: Counts, since: float) -> list[bytes]:
        """The body of an answer to a request that shares nothing."""
        if request.parameters.get("sequence_id"):
            start = time.perf_counter()
            served, results = self.sequences.take(served, request.parameters, steps)
            counts.ran(1, 1, start - since, time.perf_counter() - start)
        else:
            results = served.results(steps, *_labeled(served, [steps], counts, since))
        return answer(served.named, request, results)


def _read(served: Served, body: bytes, header_length: int | None) -> tuple[Request, Steps]:
    request = parse(body, header_length)
    return request, served.steps(request)


def _labeled(served: Served, parts: Sequence[Steps], counts: Counts, since: float) -> Labels:
    """The codes of all labels, and their probabilities."""
    start = time.perf_counter()
    sequences = served.sequences(parts)
    p = served.model.probabilities(sequences)
    codes = served.model.decide(p, sequences.lengths)
    counts.ran(len(parts), sum(len(part.lengths) for part in parts), start - since, time.perf_counter() - start)
    return codes, p
