"""Requests of the protocol through models: short ones together, long ones in threads of their own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from bothways.sequences import Array, Floats, Numbers
from bothways.serve import Limits
from bothways.serve.messages import BYTES, LARGE_BYTES, Answer, HttpRequest, RefusedError, failed
from bothways.serve.models import Served, Steps
from bothways.serve.protocol import HEADER_LENGTH, InferenceRequest, answer, parse
from bothways.serve.streams import OpenSequences, Room
from bothways.serve.watching import Watching

T = TypeVar("T")

STEPS_TOGETHER = 4  # requests share a run up to this multiple of the steps that a model does quickly
TURNS = 3  # of the loop, each with a look at all connections, in which requests may join a run


class _Part(NamedTuple):
    """A request in a batch."""

    request: HttpRequest
    parsed: InferenceRequest
    steps: Steps


@dataclass(eq=False, slots=True)
class _Batch:
    """Requests that will share a run."""

    parts: list[_Part] = field(default_factory=list)
    steps: int = 0


class Inference:
    """Runs models for requests, on one event loop, `threads` long ones at once.

    Short requests that have arrived within a few turns of the loop share a run, which with 16 connections takes a sixth
    of the time. Nothing waits for company: a turn with nothing to do takes microseconds.
    """

    def __init__(self, threads: int, limits: Limits) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compute")
        self._most = limits.body << 20
        self._open: dict[tuple[Served, bool], _Batch] = {}
        self.watching, self.room = Watching(), Room(limits.memory << 20)
        self.sequences = OpenSequences(self.watching, self.room, limits.idle)

    def infer(self, served: Served, request: HttpRequest) -> asyncio.Future[Answer] | None:
        """The answer to a request; None if `request.answered` will be given it. Raises RefusedError for wrong headers,
        and InputError or DataError where it cannot be answered; the future may say so, too.
        """
        said = request.headers.get(HEADER_LENGTH)
        if said is not None and not (said.isdigit() and len(said) < 12):
            raise RefusedError(400, "Inference-Header-Content-Length must be a whole number.")
        header_length = None if said is None else int(said)
        if len(request.body) > LARGE_BYTES or request.encoding != b"identity":
            return self.run(lambda: self._alone(served, self._part(served, request, header_length)))
        part = self._part(served, request, header_length)
        if part.steps.total <= served.quick and not part.parsed.parameters.get("sequence_id"):
            self._join(served, part)
            return None
        return self.run(self._alone, served, part)

    def run(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Do something in a thread."""
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def close(self, seconds: float) -> bool:
        """Wait for the threads, at most that many seconds; whether all have ended."""
        closing = threading.Thread(target=partial(self._pool.shutdown, cancel_futures=True), daemon=True)
        closing.start()
        closing.join(seconds)
        return not closing.is_alive()

    def _join(self, served: Served, part: _Part) -> None:
        """Let a request share the next run with others."""
        key = served, part.steps.single
        if (batch := self._open.get(key)) is None:
            batch = self._open[key] = _Batch()
            asyncio.get_running_loop().call_soon(self._close, key, batch, TURNS - 1)
        batch.parts.append(part)
        batch.steps += part.steps.total
        if batch.steps > STEPS_TOGETHER * served.quick:
            del self._open[key]

    def _close(self, key: tuple[Served, bool], batch: _Batch, turns: int) -> None:
        """After `turns` turns of the loop, take no more into a batch, and run it."""
        if self._open.get(key) is batch:
            if turns > 0:
                asyncio.get_running_loop().call_soon(self._close, key, batch, turns - 1)
                return
            del self._open[key]
        _run(key[0], [part for part in batch.parts if part.request.answered is not None])

    def _part(self, served: Served, request: HttpRequest, header_length: int | None) -> _Part:
        parsed = parse(request.unpacked(self._most), header_length)
        return _Part(request, parsed, served.steps(parsed))

    def _alone(self, served: Served, part: _Part) -> Answer:
        """The answer to a request that shares nothing."""
        request, parsed, steps = part
        if parsed.parameters.get("sequence_id"):
            start = time.perf_counter()
            served, results = self.sequences.take(served, parsed.parameters, steps)
            if request.counters is not None:
                request.counters.ran([request.started], start, 1, steps.total)
        else:
            results = served.results(steps, *_labeled(served, [part]))
        return _answer(served, part, results)


def _run(served: Served, parts: Sequence[_Part]) -> None:
    """Answer requests by one run; if one of them is wrong, each by its own."""
    if not parts:
        return
    try:
        codes, p = _labeled(served, parts)
    except Exception as error:
        if len(parts) == 1:
            _give(parts[0].request, failed(parts[0].request, error))
        else:
            for part in parts:
                _run(served, [part])
        return
    start = 0
    for part in parts:
        end = start + (part.steps.total if served.per_step else len(part.steps.lengths))
        try:
            results = served.results(part.steps, codes[start:end], p[start:end])
            found = _answer(served, part, results)
        except Exception as error:
            found = failed(part.request, error)
        _give(part.request, found)
        start = end


def _give(request: HttpRequest, answer: Answer) -> None:
    if request.answered is not None:
        request.answered(answer)


def _labeled(served: Served, parts: Sequence[_Part]) -> tuple[Numbers, Floats]:
    """The codes of all labels, and their probabilities."""
    start = time.perf_counter()
    sequences = served.sequences([part.steps for part in parts])
    p = served.model.probabilities(sequences)
    codes = served.model.decide(p, sequences.lengths)
    if (counters := parts[0].request.counters) is not None:
        counters.ran([part.request.started for part in parts], start, len(sequences), sequences.steps)
    return codes, p


def _answer(served: Served, part: _Part, results: dict[str, tuple[str, Array]]) -> Answer:
    head, *tensors = answer(served.named, part.parsed, results)
    if not tensors:
        return Answer(200, head).packed(part.request)
    return Answer(200, b"".join([head, *tensors]), BYTES, [(HEADER_LENGTH, str(len(head)).encode())])
