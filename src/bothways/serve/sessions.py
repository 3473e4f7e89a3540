"""What is said over WebSockets: events in and labels out, or what others send, for those who watch."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from bothways.errors import BothwaysError, InputError
from bothways.serve.inference import Inference
from bothways.serve.messages import Call, RefusedError
from bothways.serve.models import Served
from bothways.serve.sockets import GoneError, WebSocket
from bothways.serve.streams import Events

STREAM, WATCH = "/stream/", "/watch/"

SOCKETS = (STREAM, WATCH)  # where WebSockets are, which may send the key in their first message

PACE = {"lookahead": 0, "chunk": 1, "reorder": 0}  # the options of a stream, and the least they may be
MOST_STEPS = 10_000  # the most

WATCH_SECONDS = 0.1  # so often a watcher is sent what has come

SILENT_SECONDS = 15.0
"""A watcher for whom nothing has come for so long is sent an empty line, lest a proxy take the connection for dead."""

log = logging.getLogger("bothways.serve")


class Sessions:
    """The WebSockets of a server.

    Args:
        served: gives a model by its name.
        knows: whether what it is given is an `Authorization` to use the server.
        inference: what runs models.
        seconds: how long the key may take to come, and a watcher to read on.

    Attributes:
        open: how many there are.
    """

    def __init__(
        self, served: Callable[[str], Served], knows: Callable[[bytes], bool], inference: Inference, seconds: float
    ) -> None:
        self._served, self._knows, self._inference, self._seconds = served, knows, inference, seconds
        self._ending = asyncio.Event()
        self.open = 0

    def end(self) -> None:
        """End them all, with the labels of what they sent."""
        self._ending.set()

    async def talk(self, call: Call, socket: WebSocket) -> None:
        """Do what a WebSocket was opened for, until it or the server ends."""
        self.open += 1
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            if not self._knows(call.headers.get(b"authorization", b"")):
                async with asyncio.timeout(self._seconds):
                    text = await socket.receive()
                if not self._knows(_authorization(text)):
                    raise RefusedError(401, 'Send {"authorization": "Bearer KEY"} first.')
            await (self._watch if call.path.startswith(WATCH) else self._stream)(call, socket, ending)
        except GoneError:
            pass
        except TimeoutError:
            socket.end(1008, "Nothing came.")
        except (RefusedError, BothwaysError) as error:
            socket.end(1008, str(error))
        except Exception as error:
            socket.end(1011, "The server failed; its log says more.")
            log.exception("failed", extra={"facts": {"path": call.path, "error": type(error).__name__}})
        finally:
            ending.cancel()
            self.open -= 1

    async def _stream(self, call: Call, socket: WebSocket, ending: asyncio.Future[Any]) -> None:
        """Label events as they come."""
        pace = _pace(call.query)
        served = self._served(call.path.removeprefix(STREAM))
        source = self._inference.watching.source(served)
        events = Events(served, source, **pace)
        try:
            while True:
                receiving = asyncio.ensure_future(socket.receive())
                await asyncio.wait([receiving, ending], return_when=asyncio.FIRST_COMPLETED)
                ended = not receiving.done()
                text = '["flush"]' if ended else receiving.result()
                try:
                    lines = await self._inference.run(events.labeled, text)
                except BothwaysError as error:
                    lines = json.dumps({"error": str(error)})
                if lines:
                    await socket.send(lines)
                if ended:
                    receiving.cancel()
                    await socket.send('{"error": "The server ends."}')
                    socket.end(1001, "The server ends.")
                    return
        finally:
            source.ended()

    async def _watch(self, call: Call, socket: WebSocket, ending: asyncio.Future[Any]) -> None:
        """Send what others push through a model and what it says of that; whoever reads too slowly misses some."""
        name = call.path.removeprefix(WATCH)
        served, clock = self._served(name), asyncio.get_running_loop().time
        sent, read = -math.inf, clock()
        receiving = asyncio.ensure_future(socket.receive())
        try:
            with self._inference.watching.watcher(served) as watcher:
                while self._served(name) is served:
                    now = clock()
                    if not socket.blocked:
                        read = now
                        if (text := watcher.take()) or now - sent > SILENT_SECONDS:
                            socket.put(text or "{}")
                            sent = now
                    elif now - read > self._seconds:
                        raise InputError("The watcher reads too slowly.")
                    await asyncio.wait([receiving, ending], timeout=WATCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    if receiving.done():
                        receiving.result()
                        raise InputError("A watcher sends nothing.")
                    if ending.done():
                        socket.end(1001, "The server ends.")
                        return
                socket.end(1001, "The model was replaced. Watch again.")
        finally:
            receiving.cancel()


def _pace(query: bytes) -> dict[str, int]:
    """The options of a stream.

    Raises:
        InputError: one that is not there, or out of its range.
    """
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    if unknown := given.keys() - set(PACE):
        raise InputError(f"There is no {min(unknown)!r} here; there are {', '.join(PACE)}.")
    for name, (*_, value) in given.items():
        if not (value.isdecimal() and PACE[name] <= int(value[:6]) <= MOST_STEPS):
            raise InputError(f"{name} must be a whole number from {PACE[name]} to {MOST_STEPS:,}.")
    return {name: int(values[-1]) for name, values in given.items()}


def _authorization(text: str) -> bytes:
    """What the first message over a WebSocket says in place of a header."""
    try:
        return str(json.loads(text)["authorization"]).encode()
    except (ValueError, TypeError, KeyError):
        return b""
