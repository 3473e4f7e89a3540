"""The server's answers: who may ask, what there is to ask for, and how much at once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson

import bothways
from bothways.page import card, server_page
from bothways.serve import Limits
from bothways.serve.inference import Inference
from bothways.serve.messages import CLOSE, HTML, JSON, RETRY, Answer, HttpRequest, RefusedError, failed
from bothways.serve.metrics import Metrics
from bothways.serve.models import Models, Served
from bothways.serve.sessions import SOCKETS
from bothways.serve.tables import asked, label_table

if TYPE_CHECKING:
    from bothways.serve.connection import Connection
    from bothways.serve.sockets import WebSocket

METRICS = b"text/plain; version=0.0.4; charset=utf-8"

FILES = {
    "/": (server_page, HTML),
    "/docs": (files("bothways.serve").joinpath("docs.html").read_bytes, HTML),
    "/openapi.json": (files("bothways.serve").joinpath("openapi.json").read_bytes, JSON),
}

MOST_NOTICES = 4096  # characters of notices in a header of an answer

OPEN = frozenset({*FILES, "/v2/health/live", "/v2/health/ready"})
"""What is answered without a key: it tells nothing of the models."""

MOST_HEADS, LONGEST_HEAD = 1024, 2048  # how many heads of requests are kept, of at most how many bytes

LOCAL = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})

LAST_SECONDS = 0.5
"""When the server ends, a connection may wait this long for a request, which may be on its way."""

BUSY = "There is too much to do. Try again in a second."

log = logging.getLogger("bothways.serve")

Reply = Answer | asyncio.Future[Answer] | None


class App:
    """The server. Requests must bring `key`, if there is one, as `Authorization: Bearer KEY`, and call it by one of
    `hosts`, if any, so that no web page reaches it by a name of its own; `threads` long ones are answered at once.
    """

    def __init__(
        self,
        models: Models,
        limits: Limits,
        key: str | None = None,
        hosts: frozenset[bytes] | None = LOCAL,
        threads: int = 1,
    ) -> None:
        self._models, self._hosts = models, hosts
        self._key = None if key is None else key.encode()
        self._held = 0
        self._heads: dict[bytes, tuple[bytes, str, bytes, Mapping[bytes, bytes], int]] = {}
        self.limits = limits
        self.open: set[Connection | WebSocket] = set()
        self.active = self.talking = 0  # requests that are not answered yet; WebSockets that have not ended
        self.ending, self.patience = asyncio.Event(), limits.seconds / 2  # for which a connection may wait for requests
        self.date = b""  # the header that tells the time, which the server keeps
        self.inference = Inference(threads, limits)
        self.metrics = Metrics(lambda: self.active)

    def end(self) -> None:
        """Be no longer ready, wait little for requests; end all WebSockets with the labels of what they sent."""
        self.patience = LAST_SECONDS
        self.ending.set()

    @property
    def ready(self) -> bool:
        """Whether there is a model, and the server goes on."""
        return bool(self._models.served) and not self.ending.is_set()

    def admit(self, request: HttpRequest) -> None:
        """Refuse who must not ask, what is too large, and all if there is too much to do, by a RefusedError that says
        why; what is taken counts.
        """
        self._check_origin(request.headers)
        length = request.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.limits.body << 20:
            raise RefusedError(413, f"A request may have {self.limits.body} MiB.", CLOSE)
        if request.path in OPEN or request.path.startswith(SOCKETS):
            return
        if not self.knows(request.headers.get(b"authorization", b"")):
            raise RefusedError(401, "Send the key as Authorization: Bearer KEY.", (b"www-authenticate", b"Bearer"))
        if self.active >= self.limits.queue:
            raise RefusedError(503, BUSY, RETRY)
        request.active = True
        self.active += 1

    def known(self, data: bytes) -> HttpRequest | None:
        """A whole request with a head that was admitted before, byte for byte; None if it is none, or there is no room.

        Clients send the same heads again and again; to look one up takes a fraction of the time that it takes to parse.
        """
        end = data.find(b"\r\n\r\n") + 4
        if (head := self._heads.get(data[:end])) is None:
            return None
        method, path, query, headers, size = head
        full = self.active >= self.limits.queue or self._held + size > self.limits.memory << 20
        if full or len(data) != end + size:
            return None
        request = HttpRequest(method, path, query, headers, data[end:], active=True)
        self.active += 1
        self.hold(request, size)
        return request

    def remember(self, data: bytes, request: HttpRequest) -> None:
        """Keep the head of a request that was admitted, if it alone says where the body ends."""
        end, size = data.find(b"\r\n\r\n") + 4, len(request.body)
        usual = request.refused is None and request.path not in OPEN and b"expect" not in request.headers
        if usual and end + size == len(data) and end <= LONGEST_HEAD:
            if len(self._heads) == MOST_HEADS:
                self._heads.clear()
            self._heads[data[:end]] = (request.method, request.path, request.query, request.headers, size)

    def hold(self, request: HttpRequest, size: int) -> None:
        """Count a part of a body, until the request is answered. Raises RefusedError if it is too much."""
        request.held += size
        self._held += size
        if request.held > self.limits.body << 20:
            raise RefusedError(413, f"A request may have {self.limits.body} MiB.", CLOSE)
        if self._held > self.limits.memory << 20:
            raise RefusedError(503, BUSY, RETRY, CLOSE)

    def release(self, request: HttpRequest) -> None:
        """Count no more what was held for a request."""
        self._held -= request.held
        request.held = 0

    def respond(self, request: HttpRequest) -> Answer | None:
        """The answer to a request; None if `request.answered` will be given it."""
        request.started = time.perf_counter()
        try:
            handler, names = _route(request.method, request.path)
            reply: Reply = handler(self, request, **names)
        except Exception as error:
            return failed(request, error)
        if isinstance(reply, asyncio.Future):
            request.work = reply
            reply.add_done_callback(partial(_worked, request))
            return None
        return reply

    def done(self, request: HttpRequest, answer: Answer | None) -> None:
        """Count a request that is answered, or is given up."""
        self.active -= request.active
        self.release(request)
        took = time.perf_counter() - request.started
        if (counters := request.counters) is not None:
            counters.answered(answer is not None and answer.status == 200, took)
        if answer is not None and log.isEnabledFor(logging.DEBUG):
            facts = {"method": request.method.decode(), "path": request.path, "status": answer.status}
            log.debug("request", extra={"facts": facts | {"ms": round(1e3 * took, 2)}})

    def knows(self, said: bytes) -> bool:
        """Whether an `Authorization` lets its sender use the server."""
        scheme, _, key = said.partition(b" ")
        return self._key is None or (scheme.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key))

    def _check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Keep out the pages of others, which a browser here may show."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if self._hosts is not None and _name(host) not in self._hosts:
            raise RefusedError(421, "This server does not go by that name. Call it localhost, or start it with a key.")
        if origin is not None and origin.partition(b"://")[2] != host:
            raise RefusedError(403, "Pages of other origins may not use this server. A proxy must pass on the Host.")

    def served(self, model: str | None, version: str | None = None) -> Served:
        """A model by its name; None for the only one."""
        served = self._models.served
        if model is None:
            if len(served) != 1:
                raise RefusedError(400, f"Say which model: {', '.join(sorted(served)) or 'there is none yet'}.")
            return next(iter(served.values()))
        if model not in served:
            raise RefusedError(
                404, f"There is no model {model!r}; this server has {', '.join(sorted(served)) or 'none yet'}."
            )
        if version not in (None, served[model].version):
            raise RefusedError(404, f"Model {model!r} has the version {served[model].version}, not {version!r}.")
        return served[model]

    def _counted(self, request: HttpRequest, name: str | None, version: str | None = None) -> Served:
        """A model whose requests are counted."""
        served = self.served(name, version)
        request.counters = self.metrics.of(served)
        return served

    def _infer(self, request: HttpRequest, model: str, version: str | None = None) -> Reply:
        return self.inference.infer(self._counted(request, model, version), request)

    def _card(self, request: HttpRequest, model: str) -> Answer:
        served = self.served(model)
        return _json({"version": served.version, **card(served.model, served.name)})

    def _label(self, request: HttpRequest, model: str | None = None) -> Reply:
        served = self._counted(request, model)
        counters, how = self.metrics.of(served), asked(request)

        def labeled() -> Answer:
            start = time.perf_counter()
            table, notices, sequences, steps = label_table(served, request.unpacked(self.limits.body << 20), how)
            counters.ran([request.started], start, sequences, steps)
            if isinstance(table, dict):
                return Answer(200, orjson.dumps(table | {"notices": notices})).packed(request)
            while len(said := json.dumps(notices).encode()) > MOST_NOTICES:
                notices.pop()
            headers = [(b"bothways-notices", said)] if notices else []
            return Answer(200, table, how.kind.encode(), headers).packed(request)

        return self.inference.run(labeled)

    def _socket(self, request: HttpRequest, model: str) -> Answer:
        raise RefusedError(
            426,
            f"{request.path} takes a WebSocket, and this request has no Upgrade: websocket over HTTP/1.1. A proxy "
            "in between must pass that on.",
            (b"upgrade", b"websocket"),
        )

    def _file(self, request: HttpRequest) -> Answer:
        read, kind = FILES[request.path]
        content, policy = _content(read)
        return Answer(200, content, kind, [(b"content-security-policy", policy), (b"cache-control", b"no-cache")])


def _worked(request: HttpRequest, work: asyncio.Future[Answer]) -> None:
    if request.answered is not None:
        error = work.exception()
        request.answered(work.result() if error is None else failed(request, error))


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


@lru_cache(64)
def _name(host: bytes) -> bytes:
    """A host without its port."""
    return re.sub(rb":\d*$", b"", host.lower())


@cache
def _content(read: Callable[[], bytes]) -> tuple[bytes, bytes]:
    """A file, and the policy that lets its own scripts and styles run and nothing else."""
    content = read()
    policy = b"default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    for tag in (b"script", b"style"):
        texts = re.findall(b"<%b>(.*?)</%b>" % (tag, tag), content, re.DOTALL)
        hashes = (b" 'sha256-%b'" % b64encode(hashlib.sha256(text).digest()) for text in texts)
        policy += b"; %b-src%b" % (tag, b"".join(hashes))
    return content, policy


@lru_cache(64)
def _route(method: bytes, path: str) -> tuple[Callable[..., Reply], dict[str, str | None]]:
    """What answers a request, and the names in its path."""
    for pattern, methods in _routes():
        if (match := pattern.fullmatch(path)) is None:
            continue
        if (handler := methods.get("GET" if method == b"HEAD" else method.decode())) is None:
            allowed = ", ".join(methods).encode()
            raise RefusedError(405, f"{path} does not take {method.decode()}.", (b"allow", allowed))
        return handler, match.groupdict()
    raise RefusedError(404, f"There is nothing at {path}.")


@cache
def _routes() -> list[tuple[re.Pattern[str], dict[str, Callable[..., Reply]]]]:
    """What there is at which paths."""
    server = {"name": "bothways", "version": bothways.__version__, "extensions": ["binary_tensor_data"]}
    model = r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?"
    routes: dict[str, dict[str, Callable[..., Reply]]] = {
        f"{model}/infer": {"POST": App._infer},
        "/v2/?": {"GET": lambda app, request: _json(server)},
        "/v2/health/live": {"GET": lambda app, request: _json({"live": True})},
        "/v2/health/ready": {"GET": lambda app, request: _json({"ready": app.ready}, 200 if app.ready else 503)},
        "/v2/models/?": {"GET": lambda app, request: _json({"models": sorted(app._models.served)})},
        f"{model}/?": {"GET": lambda app, request, **names: _json(app.served(**names).metadata)},
        f"{model}/ready": {
            "GET": lambda app, request, **names: _json({"name": app.served(**names).name, "ready": True})
        },
        r"/models/(?P<model>[^/]+)": {"GET": App._card},
        r"/label(?:/(?P<model>[^/]+))?": {"POST": App._label},
        **{rf"{path}(?P<model>[^/]+)": {"GET": App._socket} for path in SOCKETS},
        "/metrics": {"GET": lambda app, request: Answer(200, app.metrics.page(), METRICS)},
        **{path: {"GET": App._file} for path in FILES},
    }
    return [(re.compile(path), methods) for path, methods in routes.items()]
