"""WebSockets, by the protocol of the package websockets."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from bothways.serve.messages import HttpRequest, RefusedError

if TYPE_CHECKING:
    from bothways.serve.app import App

PORTION = 1 << 11  # bytes of frames that are parsed in a turn of the loop: there may be a frame in each two of them
MOST_FRAMES = 1 << 14  # of a message
UNKNOWN_BYTES = 1 << 14  # the most that may come before the key
FRAME_BYTES = 100  # what a frame takes beside what it holds
CLOSING_SECONDS = 2.0  # within which a client must agree to the end

Talk = Callable[["App", HttpRequest, "WebSocket"], Coroutine[Any, Any, None]]


class GoneError(Exception):
    """A WebSocket has ended."""


class WebSocket(asyncio.Protocol):
    """A WebSocket, which takes over the connection that a request for it came by.

    `url` is the target of the request, `rest` what came behind it; `talk` does what it was opened for. Nothing more is
    read before a message has been received.
    """

    def __init__(
        self, app: App, request: HttpRequest, url: bytes, transport: asyncio.Transport, rest: bytes, talk: Talk
    ) -> None:
        self._deadline = math.inf  # by which it must have ended
        self._app, self._transport, self._loop = app, transport, asyncio.get_running_loop()
        self._protocol = ServerProtocol(max_size=app.limits.body << 20)
        self._messages: asyncio.Queue[str | None] = asyncio.Queue()
        self._frames: list[bytes] = []
        self._ended = False  # by this side, which waits for the client's agreement
        self._later, self._request, self._received = bytearray(), request, 0
        # Whether it may send messages as large as a request.
        self.trusted = app.knows(request.headers.get(b"authorization", b""))
        self._heard = self._loop.time()  # when something came
        self._writable = asyncio.Event()
        self._writable.set()
        app.open.add(self)
        transport.set_protocol(self)
        self._protocol.receive_data(request.head(url))
        for upgrade in self._protocol.events_received():
            if isinstance(upgrade, Request):
                self._protocol.send_response(self._protocol.accept(upgrade))
        self._flush()
        if self._protocol.state is OPEN:
            self._task = self._loop.create_task(talk(app, request, self))
            if rest:
                self.data_received(rest)

    async def receive(self, patience: float | None = None) -> str:
        """The next message; raises GoneError if there are no more, and TimeoutError after `patience` seconds in which
        nothing has come, not even a ping.
        """
        self._read_on()
        self._heard = self._loop.time()
        while True:
            begun = self._heard
            try:
                async with asyncio.timeout_at(None if patience is None else begun + patience):
                    message = await self._messages.get()
                break
            except TimeoutError:
                if self._heard == begun:
                    raise
        if message is None:
            raise GoneError
        return message

    def _read_on(self) -> None:
        """Read more, unless there is some to parse, or to send."""
        if not self._later and self._writable.is_set() and not self._transport.is_closing():
            self._transport.resume_reading()

    async def send(self, text: str) -> None:
        """Send a message; waits while the client reads too slowly. One that reads nothing for as long as it may be idle
        is gone: GoneError.
        """
        self.put(text)
        while self.blocked:
            unsent = self._transport.get_write_buffer_size()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._app.limits.idle):
                    await self._writable.wait()
            if self.blocked and self._transport.get_write_buffer_size() >= unsent:
                self._transport.abort()
                raise GoneError

    def put(self, text: str) -> None:
        """Send a message that may have to wait for the client, in memory."""
        if self._protocol.state is OPEN:
            self._protocol.send_text(text.encode())
            self._flush()

    @property
    def blocked(self) -> bool:
        """Whether the client reads too slowly."""
        return not self._writable.is_set()

    def end(self, code: int, why: str) -> None:
        """Close it and say why."""
        self._ended = True
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, why.encode()[:120].decode(errors="ignore"))
            self._flush()
            self._transport.resume_reading()  # the client's agreement

    def data_received(self, data: bytes) -> None:
        """Take frames, some in each turn of the loop."""
        self._heard = self._loop.time()
        self._received += len(data)
        try:
            if not self.trusted and self._received > UNKNOWN_BYTES:
                raise RefusedError(401, "The key must come first.")
            self._app.hold(self._request, len(data))  # until a message is complete
        except RefusedError as refused:
            self._later.clear()
            self.end(1008, str(refused))
            return
        idle = not self._later
        self._later += data
        if idle:
            self._take()

    def _take(self) -> None:
        """Parse a portion of what has come."""
        if not self._later:  # the connection has ended
            return
        self._protocol.receive_data(bytes(self._later[:PORTION]))
        del self._later[:PORTION]
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._add(event)
        self._flush()
        if self._later:
            self._transport.pause_reading()
            self._loop.call_soon(self._take)
        elif self._ended or self._messages.empty():
            self._read_on()
        else:
            self._transport.pause_reading()

    def _add(self, frame: Frame) -> None:
        """Add a frame to a message, as long as there is somebody to receive it."""
        if self._ended:
            self._app.release(self._request)
            return
        self._frames.append(bytes(frame.data))
        try:
            self._app.hold(self._request, FRAME_BYTES)
            if len(self._frames) > MOST_FRAMES:
                raise RefusedError(413, f"A message may have {MOST_FRAMES:,} frames.")
            if not frame.fin:
                return
            self._messages.put_nowait(b"".join(self._frames).decode())
        except RefusedError as refused:
            self.end(1009, str(refused))
        except UnicodeDecodeError:
            self.end(1007, "This is no text in UTF-8.")
        self._frames = []
        self._app.release(self._request)

    def eof_received(self) -> None:
        """The client sends no more, and the connection closes."""
        self._later.clear()
        self._protocol.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._app.open.discard(self)
        self._app.release(self._request)
        self._later.clear()
        self._writable.set()
        self._messages.put_nowait(None)

    def pause_writing(self) -> None:
        """Hold back messages, and read none, lest answers to pings pile up."""
        self._writable.clear()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._writable.set()
        self._read_on()

    def close(self) -> None:
        """Close it when all is sent."""
        self._transport.close()

    def expire(self) -> None:
        """End what should have ended."""
        if self._loop.time() >= self._deadline:
            self._transport.abort()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._transport.is_closing():  # the client has gone
                continue
            if data:
                self._transport.write(data)
            else:
                self._transport.close()
        if self._protocol.close_expected() and self._deadline == math.inf:
            self._messages.put_nowait(None)
            self._deadline = self._loop.time() + CLOSING_SECONDS
