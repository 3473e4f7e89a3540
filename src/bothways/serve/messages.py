"""Requests and answers of HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple
from urllib.parse import parse_qs

from bothways.errors import BothwaysError, InputError
from bothways.serve.metrics import Counters

JSON, HTML, BYTES = b"application/json", b"text/html; charset=utf-8", b"application/octet-stream"
CLOSE, RETRY = (b"connection", b"close"), (b"retry-after", b"1")

TEXTS = (JSON, b"text/csv", b"text/tab-separated-values", b"application/x-ndjson", b"application/jsonl")
"""What becomes much smaller when it is compressed."""

LARGE_BYTES = 1 << 15  # bodies above this size are read, and their answers compressed, in another thread

GZIP_LEVEL = 1
WEIGHT = re.compile(r";\s*q\s*=\s*([01](?:\.\d*)?)")
GZIP = b"\x1f\x8b"  # what gzip begins with, and no table and no JSON

log = logging.getLogger("bothways.serve")


@dataclass(eq=False, slots=True)
class HttpRequest:
    """A request of HTTP."""

    method: bytes
    path: str  # without the query, its escapes resolved
    query: bytes
    headers: Mapping[bytes, bytes]  # by their names in lower case
    body: bytes = b""  # the whole of it, compressed or not
    refused: Answer | None = None  # where the head alone decides the answer
    active: bool = False  # whether it counts as one of those at once
    held: int = 0  # how many bytes of it are counted as memory in use
    counters: Counters | None = None  # of the model that is asked, once it is known
    started: float = field(default_factory=time.perf_counter)  # when all of it had arrived
    answered: Callable[[Answer], None] | None = None  # takes an answer that comes later; None once nobody waits for it
    work: asyncio.Future[Answer] | None = None  # what a thread does for it

    def head(self, url: bytes) -> bytes:
        """Its head as bytes, for this target."""
        headers = [b"%b: %b\r\n" % header for header in self.headers.items()]
        return b"".join([b"%b %b HTTP/1.1\r\n" % (self.method, url), *headers, b"\r\n"])

    def options(self, known: Sequence[str]) -> dict[str, str]:
        """The parameters of the query, of which none is unknown."""
        given = parse_qs(self.query.decode("latin-1"), keep_blank_values=True)
        if unknown := given.keys() - set(known):
            raise InputError(f"There is no {min(unknown)!r} here; there are {', '.join(known)}.")
        return {name: values[-1] for name, values in given.items()}

    @property
    def encoding(self) -> bytes:
        """How the body is compressed, `identity` if it is not; one of gzip shows it also where no header says so."""
        said = self.headers.get(b"content-encoding", b"identity").lower()
        return b"gzip" if said == b"identity" and self.body.startswith(GZIP) else said

    def unpacked(self, most: int) -> bytes:
        """The body, decompressed. Raises RefusedError if it has more than `most` bytes, or is compressed in another way
        than gzip or deflate, and InputError if it is damaged.
        """
        encoding = self.encoding
        if encoding == b"identity":
            return self.body
        if encoding not in (b"gzip", b"x-gzip", b"deflate"):
            raise RefusedError(415, "Content-Encoding must be gzip, deflate or identity.")
        unpacking = zlib.decompressobj(wbits=47)  # takes either
        try:
            body = unpacking.decompress(self.body, most + 1)
        except zlib.error:
            raise InputError(f"The body is not compressed by {encoding.decode()}, or damaged.") from None
        if len(body) > most:
            raise RefusedError(413, f"A request may have {most >> 20} MiB.")
        if not unpacking.eof or unpacking.unused_data:
            raise InputError("The compressed body ends too early or too late.")
        return body

    def accepted(self, header: bytes) -> list[str]:
        """What a header such as `Accept` names, in small letters, by its weights, but for those of 0."""
        found = []
        for each in self.headers.get(header, b"").decode("latin-1").lower().split(","):
            name, _, more = each.partition(";")
            weight = WEIGHT.search(f";{more}")
            found.append((float(weight[1]) if weight else 1.0, name.strip()))
        return [name for weight, name in sorted(found, key=itemgetter(0), reverse=True) if weight]


class Answer(NamedTuple):
    """What goes back; `kind` is its content type."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()

    def packed(self, request: HttpRequest) -> Answer:
        """The same, compressed if it is large text and the caller takes that."""
        large = len(self.body) > LARGE_BYTES and self.kind in TEXTS
        if not (large and "gzip" in request.accepted(b"accept-encoding")):
            return self
        body = zlib.compress(self.body, GZIP_LEVEL, wbits=31)
        return self._replace(
            body=body, headers=[*self.headers, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        )


class RefusedError(Exception):
    """A request that is not answered with what it asks for; says why."""

    def __init__(self, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(why)
        self.answer = Answer(status, json.dumps({"error": why}).encode(), headers=headers)


def log_failure(request: HttpRequest, error: BaseException) -> None:
    """Log an error that no caller is to blame for."""
    log.error("failed", exc_info=error, extra={"facts": {"path": request.path, "error": type(error).__name__}})


def failed(request: HttpRequest, error: BaseException) -> Answer:
    """The answer to a request that has failed."""
    if isinstance(error, RefusedError):
        return error.answer
    if isinstance(error, BothwaysError):
        return RefusedError(400, str(error)).answer
    log_failure(request, error)
    return RefusedError(500, "The server failed to answer; its log says more.").answer
