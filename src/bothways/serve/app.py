"""The server as an ASGI application: who may ask, what there is to ask for, and how much at once."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import bothways
from bothways.errors import BothwaysError
from bothways.serve.inference import Inference
from bothways.serve.limits import Limits
from bothways.serve.metrics import Metrics
from bothways.serve.models import Models, Served
from bothways.serve.protocol import HEADER_LENGTH

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[bytes, bytes]
More = Sequence[tuple[bytes, bytes]]

JSON, TEXT = b"application/json", b"text/plain; version=0.0.4; charset=utf-8"
PLAIN = (b"x-content-type-options", b"nosniff")

OPEN = ("/v2/health/live", "/v2/health/ready")
"""What is answered without a key: it tells nothing of the models."""

LOCAL = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})

log = logging.getLogger("bothways.serve")


class Answer(NamedTuple):
    """What goes back.

    Attributes:
        status: of HTTP.
        body: its parts.
        kind: its content type.
        headers: further headers.
    """

    status: int
    body: Sequence[bytes]
    kind: bytes = JSON
    headers: More = ()


class RefusedError(Exception):
    """A request that is not answered with what it asks for; says why."""

    def __init__(self, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
        """Keep what goes back."""
        super().__init__(why)
        self.answer = Answer(status, [json.dumps({"error": why}).encode()], headers=headers)


class _GoneError(Exception):
    """Nobody waits for the answer any more."""


class App:
    """The server.

    Args:
        models: what it serves.
        limits: what it takes on at most.
        key: what `Authorization: Bearer KEY` must say; None if nobody is asked for it.
        hosts: the names by which it may be called, so that no web page reaches it by a name of its own; None for any.

    Attributes:
        stopping: it is no longer ready, and closes connections; to be set before it ends.
        active: how many requests are not answered yet.
    """

    def __init__(
        self, models: Models, limits: Limits, key: str | None = None, hosts: frozenset[bytes] | None = LOCAL
    ) -> None:
        """Begin with nothing to do."""
        self._models, self._limits, self._hosts = models, limits, hosts
        self._key = None if key is None else b"Bearer " + key.encode()
        self._held = 0
        self.active = 0
        self.stopping = False
        self.inference = Inference(threads=2)
        self.metrics = Metrics(lambda: self.active)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 4404})
            return
        started = time.perf_counter()
        self.active += 1
        try:
            try:
                answer = await self._answer(scope, dict(scope["headers"]), receive)
            except RefusedError as refused:
                answer = refused.answer
            except BothwaysError as error:
                answer = RefusedError(400, str(error)).answer
            except _GoneError:
                return
            except Exception as error:
                log.exception("failed", extra={"facts": {"path": scope["path"], "error": type(error).__name__}})
                answer = RefusedError(500, "The server failed to answer; its log says more.").answer
            headers = [(b"content-type", answer.kind), PLAIN, *answer.headers]
            if self.stopping:
                headers.append((b"connection", b"close"))
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            *parts, last = answer.body
            for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": last})
            if log.isEnabledFor(logging.DEBUG):
                facts = {"method": scope["method"], "path": scope["path"], "status": answer.status}
                log.debug("request", extra={"facts": facts | {"ms": round(1e3 * (time.perf_counter() - started), 2)}})
        finally:
            self.active -= 1

    async def _answer(self, scope: Message, headers: Headers, receive: Receive) -> Answer:
        method, path = scope["method"], scope["path"]
        self._admit(path, headers)
        for pattern, methods in _routes():
            if (match := pattern.fullmatch(path)) is None:
                continue
            if (handler := methods.get("GET" if method == "HEAD" else method)) is None:
                allowed = ", ".join(methods).encode()
                raise RefusedError(405, f"{path} does not take {method}.", (b"allow", allowed))
            return await handler(self, headers, receive, **match.groupdict())
        raise RefusedError(404, f"There is nothing at {path}.")

    def _admit(self, path: str, headers: Headers) -> None:
        """Refuse who must not ask, and all if there is too much to do."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if self._hosts is not None and re.sub(rb":\d*$", b"", host) not in self._hosts:
            raise RefusedError(421, "This server does not go by that name. Call it localhost, or start it with a key.")
        if origin is not None and origin.partition(b"://")[2] != host:
            raise RefusedError(403, "Pages of other origins may not use this server.")
        if path in OPEN:
            return
        if self._key is not None and not hmac.compare_digest(headers.get(b"authorization", b""), self._key):
            raise RefusedError(401, "Send the key as Authorization: Bearer KEY.", (b"www-authenticate", b"Bearer"))
        if self.active > self._limits.queue:
            raise RefusedError(503, "There is too much to do. Try again in a second.", (b"retry-after", b"1"))

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """The body of a request; it is counted as held until `_holding` ends."""
        length = headers.get(b"content-length", b"0")
        self._check_size(int(length) if length.isdigit() else 0)
        try:
            async with asyncio.timeout(self._limits.seconds):
                message = await receive()
                if not message.get("more_body"):
                    body: bytes = message.get("body", b"")
                    self._check_size(len(body))
                else:
                    parts = bytearray(message["body"])
                    while message.get("more_body"):
                        self._check_size(len(parts))
                        message = await receive()
                        parts += message.get("body", b"")
                    body = bytes(parts)
        except TimeoutError:
            raise RefusedError(408, "The request took too long to arrive.", (b"connection", b"close")) from None
        if message["type"] != "http.request":
            raise _GoneError
        return body

    def _check_size(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise RefusedError(413, f"A request may have {self._limits.body} MiB.", (b"connection", b"close"))

    @contextmanager
    def _counted(self, served: Served) -> Iterator[Any]:
        """Counts a request as a success or a failure of a model."""
        counts = self.metrics.of(served.name, served.version)
        started = time.perf_counter()
        try:
            yield counts
        except BaseException:
            counts.failure += 1
            raise
        counts.success += 1
        counts.seconds += time.perf_counter() - started

    def _served(self, name: str | None, version: str | None = None) -> Served:
        served = self._models.served
        if name is None:
            if len(served) > 1:
                raise RefusedError(400, f"Say which model: {', '.join(sorted(served))}.")
            return next(iter(served.values()))
        if name not in served:
            raise RefusedError(404, f"There is no model {name!r}.")
        if version not in (None, served[name].version):
            raise RefusedError(404, f"Model {name!r} has the version {served[name].version}, not {version!r}.")
        return served[name]

    async def _infer(self, headers: Headers, receive: Receive, model: str, version: str | None = None) -> Answer:
        served = self._served(model, version)
        with self._counted(served) as counts:
            length = headers.get(HEADER_LENGTH)
            if length is not None and not length.isdigit():
                raise RefusedError(400, "Inference-Header-Content-Length must be a whole number.")
            if headers.get(b"content-encoding", b"identity") != b"identity":
                raise RefusedError(415, "Bodies must not be compressed.")
            body = await self._body(headers, receive)
            binary, parts = await self.inference.infer(served, body, None if length is None else int(length), counts)
        if not binary:
            return Answer(200, parts)
        more = (HEADER_LENGTH, str(len(parts[0])).encode())
        return Answer(200, [b"".join(parts)], b"application/octet-stream", [more])

    async def _server(self, headers: Headers, receive: Receive) -> Answer:
        return _json({"name": "bothways", "version": bothways.__version__, "extensions": ["binary_tensor_data"]})

    async def _live(self, headers: Headers, receive: Receive) -> Answer:
        return _json({"live": True})

    async def _ready(self, headers: Headers, receive: Receive) -> Answer:
        return _json({"ready": not self.stopping}, 503 if self.stopping else 200)

    async def _list(self, headers: Headers, receive: Receive) -> Answer:
        return _json({"models": sorted(self._models.served)})

    async def _metadata(self, headers: Headers, receive: Receive, model: str, version: str | None = None) -> Answer:
        return _json(self._served(model, version).metadata)

    async def _model_ready(self, headers: Headers, receive: Receive, model: str, version: str | None = None) -> Answer:
        served = self._served(model, version)
        return _json({"name": served.name, "ready": True})

    async def _metrics(self, headers: Headers, receive: Receive) -> Answer:
        return Answer(200, [self.metrics.page()], TEXT)


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, [json.dumps(value).encode()])


@cache
def _routes() -> list[tuple[re.Pattern[str], dict[str, Callable[..., Awaitable[Answer]]]]]:
    """What there is at which paths."""
    model = r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?"
    routes: dict[str, dict[str, Callable[..., Awaitable[Answer]]]] = {
        f"{model}/infer": {"POST": App._infer},
        "/v2/?": {"GET": App._server},
        "/v2/health/live": {"GET": App._live},
        "/v2/health/ready": {"GET": App._ready},
        "/v2/models": {"GET": App._list},
        model: {"GET": App._metadata},
        f"{model}/ready": {"GET": App._model_ready},
        "/metrics": {"GET": App._metrics},
    }
    return [(re.compile(path), methods) for path, methods in routes.items()]
