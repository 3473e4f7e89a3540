"""The server as an ASGI application: who may ask, what there is to ask for, and how much at once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import orjson

import bothways
from bothways.errors import BothwaysError
from bothways.serve.inference import Inference
from bothways.serve.limits import Limits
from bothways.serve.metrics import Metrics
from bothways.serve.models import Models, Served
from bothways.serve.protocol import HEADER_LENGTH
from bothways.serve.streams import Events
from bothways.serve.tables import asked, card, label_table

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON, HTML = b"application/json", b"text/html; charset=utf-8"
METRICS = b"text/plain; version=0.0.4; charset=utf-8"
PLAIN = (b"x-content-type-options", b"nosniff")
CLOSE, RETRY = (b"connection", b"close"), (b"retry-after", b"1")
HELD = "bothways.held"

FILES = {"/": ("page.html", HTML), "/docs": ("docs.html", HTML), "/openapi.json": ("openapi.json", JSON)}

MOST_LOOKAHEAD = 10_000

MOST_NOTICES = 4096
"""Characters of notices in a header of an answer."""

OPEN = (*FILES, "/v2/health/live", "/v2/health/ready")
"""What is answered without a key: it tells nothing of the models."""

LOCAL = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})

log = logging.getLogger("bothways.serve")


class Call(NamedTuple):
    """A request: what ASGI says of it, its headers by name, and what gives its body."""

    scope: Message
    headers: Mapping[bytes, bytes]
    receive: Receive


class Answer(NamedTuple):
    """What goes back.

    Attributes:
        status: of HTTP.
        body: the whole of it.
        kind: its content type.
        headers: further headers.
    """

    status: int
    body: bytes
    kind: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()


class RefusedError(Exception):
    """A request that is not answered with what it asks for; says why."""

    def __init__(self, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
        """Keep what goes back."""
        super().__init__(why)
        self.answer = Answer(status, json.dumps({"error": why}).encode(), headers=headers)


class _GoneError(Exception):
    """A WebSocket has ended."""


class App:
    """The server.

    Args:
        models: what it serves.
        limits: what it takes on at most.
        key: what `Authorization: Bearer KEY` must say; None if nobody is asked for it.
        hosts: the names by which it may be called, so that no web page reaches it by a name of its own; None for any.

    Attributes:
        stopping: it is no longer ready, and closes connections.
        active: how many requests are not answered yet.
        sockets: how many WebSockets are open.
    """

    def __init__(
        self, models: Models, limits: Limits, key: str | None = None, hosts: frozenset[bytes] | None = LOCAL
    ) -> None:
        """Begin with nothing to do."""
        self._models, self._limits, self._hosts = models, limits, hosts
        self._key = None if key is None else b"Bearer " + key.encode()
        self._held = 0
        self._ending = asyncio.Event()
        self.active = self.sockets = 0
        self.stopping = False
        self.inference = Inference(threads=2)
        self.metrics = Metrics(lambda: self.active)

    def end(self) -> None:
        """Be no longer ready; end all WebSockets with the labels of what they sent."""
        self.stopping = True
        self._ending.set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            self.sockets += 1
            try:
                await self._socket(Call(scope, dict(scope["headers"]), receive), send)
            except Exception as error:
                log.exception("failed", extra={"facts": {"path": scope["path"], "error": type(error).__name__}})
            finally:
                self.sockets -= 1
            return
        started = time.perf_counter()
        self.active += 1
        try:
            try:
                answer = await self._answer(Call(scope, dict(scope["headers"]), receive))
            except RefusedError as refused:
                answer = refused.answer
            except BothwaysError as error:
                answer = RefusedError(400, str(error)).answer
            except Exception as error:
                log.exception("failed", extra={"facts": {"path": scope["path"], "error": type(error).__name__}})
                answer = RefusedError(500, "The server failed to answer; its log says more.").answer
            headers = [(b"content-type", answer.kind), PLAIN, *answer.headers]
            if self.stopping:
                headers.append((b"connection", b"close"))
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})
            if log.isEnabledFor(logging.DEBUG):
                facts = {"method": scope["method"], "path": scope["path"], "status": answer.status}
                log.debug("request", extra={"facts": facts | {"ms": round(1e3 * (time.perf_counter() - started), 2)}})
        finally:
            self.active -= 1
            self._held -= scope.get(HELD, 0)

    async def _answer(self, call: Call) -> Answer:
        method, path = call.scope["method"], call.scope["path"]
        self._admit(path, call.headers)
        for pattern, methods in _routes():
            if (match := pattern.fullmatch(path)) is None:
                continue
            if (handler := methods.get("GET" if method == "HEAD" else method)) is None:
                allowed = ", ".join(methods).encode()
                raise RefusedError(405, f"{path} does not take {method}.", (b"allow", allowed))
            return await handler(self, call, **match.groupdict())
        raise RefusedError(404, f"There is nothing at {path}.")

    def _knows(self, said: bytes) -> bool:
        return self._key is None or hmac.compare_digest(said, self._key)

    def _admit(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuse who must not ask, and all if there is too much to do."""
        self._check_origin(headers)
        if path in OPEN:
            return
        if not self._knows(headers.get(b"authorization", b"")):
            raise RefusedError(401, "Send the key as Authorization: Bearer KEY.", (b"www-authenticate", b"Bearer"))
        if self.active > self._limits.queue:
            raise RefusedError(503, "There is too much to do. Try again in a second.", RETRY)

    def _check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Keep out the pages of others, which a browser here may show."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if self._hosts is not None and re.sub(rb":\d*$", b"", host.lower()) not in self._hosts:
            raise RefusedError(421, "This server does not go by that name. Call it localhost, or start it with a key.")
        if origin is not None and origin.partition(b"://")[2] != host:
            raise RefusedError(403, "Pages of other origins may not use this server.")

    async def _body(self, call: Call) -> bytes:
        """The whole body of a request."""
        length = call.headers.get(b"content-length", b"0")
        self._hold(call.scope, 0, int(length) if length.isdigit() else 0)
        try:
            async with asyncio.timeout(self._limits.seconds):
                message = await call.receive()
                if not message.get("more_body"):
                    body: bytes = message.get("body", b"")
                    self._hold(call.scope, len(body))
                else:
                    parts = bytearray(message["body"])
                    while message.get("more_body"):
                        self._hold(call.scope, len(parts))
                        message = await call.receive()
                        parts += message.get("body", b"")
                    body = bytes(parts)
        except TimeoutError:
            raise RefusedError(408, "The request took too long to arrive.", CLOSE) from None
        if message["type"] != "http.request":
            raise RefusedError(400, "The request ended before its body did.", CLOSE)
        return body

    def _hold(self, scope: Message, size: int, announced: int = 0) -> None:
        """Count what has arrived of a request, until it is answered."""
        if max(size, announced) > self._limits.body << 20:
            raise RefusedError(413, f"A request may have {self._limits.body} MiB.", CLOSE)
        self._held += size - scope.get(HELD, 0)
        scope[HELD] = size
        if self._held > self._limits.memory << 20:
            raise RefusedError(503, "There is too much to do. Try again in a second.", RETRY, CLOSE)

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
            if len(served) != 1:
                raise RefusedError(400, f"Say which model: {', '.join(sorted(served)) or 'there is none yet'}.")
            return next(iter(served.values()))
        if name not in served:
            raise RefusedError(404, f"There is no model {name!r}.")
        if version not in (None, served[name].version):
            raise RefusedError(404, f"Model {name!r} has the version {served[name].version}, not {version!r}.")
        return served[name]

    async def _infer(self, call: Call, model: str, version: str | None = None) -> Answer:
        served = self._served(model, version)
        with self._counted(served) as counts:
            headers = call.headers
            length = headers.get(HEADER_LENGTH)
            if length is not None and not (length.isdigit() and len(length) < 12):
                raise RefusedError(400, "Inference-Header-Content-Length must be a whole number.")
            if headers.get(b"content-encoding", b"identity") != b"identity":
                raise RefusedError(415, "Bodies must not be compressed.")
            body = await self._body(call)
            parts = await self.inference.infer(served, body, None if length is None else int(length), counts)
        if len(parts) == 1:
            return Answer(200, parts[0])
        more = (HEADER_LENGTH, str(len(parts[0])).encode())
        return Answer(200, b"".join(parts), b"application/octet-stream", [more])

    async def _socket(self, call: Call, send: Send) -> None:
        """Label the events that come over a WebSocket, until it or the server ends."""
        await call.receive()  # that it wants to connect
        match = re.fullmatch(r"/stream/([^/]+)", call.scope["path"])
        query = parse_qs(call.scope["query_string"].decode("latin-1"))
        try:
            self._check_origin(call.headers)
            if match is None:
                raise RefusedError(404, "There is nothing here.")
        except RefusedError:
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept"})
        why = ""
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            if not self._knows(call.headers.get(b"authorization", b"")):
                async with asyncio.timeout(self._limits.seconds):
                    text = _text(await call.receive())
                if not self._knows(_authorization(text)):
                    raise RefusedError(401, 'Send {"authorization": "Bearer KEY"} first.')
            lookahead = query.get("lookahead", ["16"])[-1]
            if not (lookahead.isdecimal() and int(lookahead[:6]) <= MOST_LOOKAHEAD):
                raise RefusedError(400, f"lookahead must be a whole number up to {MOST_LOOKAHEAD}.")
            events = Events(self._served(match[1]), int(lookahead))
            while True:
                receiving = asyncio.ensure_future(call.receive())
                await asyncio.wait([receiving, ending], return_when=asyncio.FIRST_COMPLETED)
                text = _text(receiving.result()) if receiving.done() else '["flush"]'
                try:
                    lines = await self.inference.run(events.labeled, text)
                except BothwaysError as error:
                    lines = json.dumps({"error": str(error)})
                if lines:
                    await send({"type": "websocket.send", "text": lines})
                if not receiving.done():
                    await send({"type": "websocket.send", "text": '{"error": "The server ends."}'})
                    receiving.cancel()  # closes it; granian would wait for its end before it closes it in another way
                    return
        except _GoneError:
            return
        except TimeoutError:
            why = "Nothing came."
        except (RefusedError, BothwaysError) as error:
            why = str(error)
        finally:
            ending.cancel()
        await send({"type": "websocket.close", "code": 1008, "reason": why.encode()[:120].decode(errors="ignore")})

    async def _server(self, call: Call) -> Answer:
        return _json({"name": "bothways", "version": bothways.__version__, "extensions": ["binary_tensor_data"]})

    async def _live(self, call: Call) -> Answer:
        return _json({"live": True})

    async def _ready(self, call: Call) -> Answer:
        return _json({"ready": not self.stopping}, 503 if self.stopping else 200)

    async def _list(self, call: Call) -> Answer:
        return _json({"models": sorted(self._models.served)})

    async def _metadata(self, call: Call, model: str, version: str | None = None) -> Answer:
        return _json(self._served(model, version).metadata)

    async def _model_ready(self, call: Call, model: str, version: str | None = None) -> Answer:
        served = self._served(model, version)
        return _json({"name": served.name, "ready": True})

    async def _card(self, call: Call, model: str) -> Answer:
        return _json(card(self._served(model)))

    async def _label(self, call: Call, model: str | None = None) -> Answer:
        served = self._served(model)
        with self._counted(served):
            content, accept = (call.headers.get(name, b"").decode("latin-1") for name in (b"content-type", b"accept"))
            how = asked(content, accept, parse_qs(call.scope["query_string"].decode("latin-1"), keep_blank_values=True))
            body = await self._body(call)
            table, notices = await self.inference.run(label_table, served, body, how)
        if isinstance(table, dict):
            return Answer(200, orjson.dumps(table))
        while len(said := json.dumps(notices).encode()) > MOST_NOTICES:
            notices.pop()
        return Answer(200, table, how.kind.encode(), [(b"bothways-notices", said)] if notices else [])

    async def _metrics(self, call: Call) -> Answer:
        return Answer(200, self.metrics.page(), METRICS)

    async def _file(self, call: Call) -> Answer:
        name, kind = FILES[call.scope["path"]]
        content, policy = _content(name)
        return Answer(200, content, kind, [(b"content-security-policy", policy), (b"cache-control", b"no-cache")])


def _text(message: Message) -> str:
    """What a message over a WebSocket holds."""
    if message["type"] != "websocket.receive":
        raise _GoneError
    return message.get("text") or (message.get("bytes") or b"").decode(errors="replace")


def _authorization(text: str) -> bytes:
    """What the first message over a WebSocket says in place of a header."""
    try:
        return str(json.loads(text)["authorization"]).encode()
    except (ValueError, TypeError, KeyError):
        return b""


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


@cache
def _content(name: str) -> tuple[bytes, bytes]:
    """A file, and the policy that lets its own script and style run and nothing else."""
    content = files("bothways.serve").joinpath(name).read_bytes()
    policy = b"default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    for tag in (b"script", b"style"):
        for text in re.findall(b"<%b>(.*?)</%b>" % (tag, tag), content, re.DOTALL):
            policy += b"; %b-src 'sha256-%b'" % (tag, b64encode(hashlib.sha256(text).digest()))
    return content, policy


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
        r"/models/(?P<model>[^/]+)": {"GET": App._card},
        r"/label(?:/(?P<model>[^/]+))?": {"POST": App._label},
        "/metrics": {"GET": App._metrics},
        **{path: {"GET": App._file} for path in FILES},
    }
    return [(re.compile(path), methods) for path, methods in routes.items()]
