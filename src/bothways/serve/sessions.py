"""What is said over WebSockets: events in and labels out, or what others send, for those who watch."""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING, Any

from bothways.errors import BothwaysError, InputError
from bothways.serve.messages import HttpRequest, RefusedError, log_failure
from bothways.serve.metrics import Counters
from bothways.serve.sockets import GoneError, WebSocket
from bothways.serve.streams import EventStream

if TYPE_CHECKING:
    from bothways.serve.app import App

STREAM, WATCH = "/stream/", "/watch/"
SOCKETS = (STREAM, WATCH)  # where WebSockets are, which may send the key in their first message

PACE = {"lookahead": 0, "chunk": 1, "reorder": 0}  # the options of a stream, and the least they may be
MOST_STEPS = 10_000  # the most

WATCH_SECONDS = 0.1  # between two messages to a watcher

SILENT_SECONDS = 15.0
"""After this time without news a watcher is sent an empty line, lest a proxy take the connection for dead."""


async def talk(app: App, request: HttpRequest, socket: WebSocket) -> None:
    """Do what a WebSocket was opened for, until it or the server ends."""
    app.talking += 1
    ending = asyncio.ensure_future(app.ending.wait())
    try:
        if not socket.trusted:
            async with asyncio.timeout(app.limits.seconds):
                text = await socket.receive()
            if not app.knows(_authorization(text)):
                raise RefusedError(401, 'Send {"authorization": "Bearer KEY"} first.')
            socket.trusted = True
        await (_watch if request.path.startswith(WATCH) else _stream)(app, request, socket, ending)
    except GoneError:
        pass
    except TimeoutError:
        socket.end(1008, "Nothing came.")
    except (RefusedError, BothwaysError) as error:
        socket.end(1008, str(error))
    except Exception as error:
        socket.end(1011, "The server failed; its log says more.")
        log_failure(request, error)
    finally:
        ending.cancel()
        app.talking -= 1


async def _stream(app: App, request: HttpRequest, socket: WebSocket, ending: asyncio.Future[Any]) -> None:
    """Label events as they come."""
    pace = request.options(tuple(PACE))
    for name, value in pace.items():
        if not (value.isdecimal() and len(value) < 7 and PACE[name] <= int(value) <= MOST_STEPS):
            raise InputError(f"{name} must be a whole number from {PACE[name]} to {MOST_STEPS:,}.")
    served = app.served(request.path.removeprefix(STREAM))
    source = app.inference.watching.source(served)
    events = EventStream(served, source, app.inference.room, **{name: int(value) for name, value in pace.items()})
    counters = app.metrics.of(served)
    counters.streams += 1
    try:
        while True:
            receiving, end = asyncio.ensure_future(socket.receive(app.limits.idle)), ""
            await asyncio.wait([receiving, ending], return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                receiving.cancel()
                end = "The server ends."
            elif isinstance(receiving.exception(), TimeoutError):
                end = f"Nothing came for {app.limits.idle} seconds (--max-idle)."
            if lines := await _labeled(app, events, '["flush"]' if end else receiving.result(), counters):
                await socket.send(lines)
            if end:
                await socket.send(json.dumps({"error": end}))
                socket.end(1001, end)
                return
    finally:
        counters.streams -= 1
        events.ended([])


async def _labeled(app: App, events: EventStream, text: str, counters: Counters) -> str:
    """What a message of events gives; it counts as a request."""
    asked = time.perf_counter()

    def labeled() -> str:
        start = time.perf_counter()
        lines = events.labeled(text)
        if events.steps:
            counters.ran([asked], start, len(events.keys), events.steps)
        return lines

    lines = await app.inference.run(labeled)
    counters.answered(not events.refused, time.perf_counter() - asked)
    return lines


async def _watch(app: App, request: HttpRequest, socket: WebSocket, ending: asyncio.Future[Any]) -> None:
    """Send what others push through a model and what it says of that; whoever reads too slowly misses some."""
    name = request.path.removeprefix(WATCH)
    served, clock = app.served(name), asyncio.get_running_loop().time
    sent, read = -math.inf, clock()
    receiving = asyncio.ensure_future(socket.receive())
    try:
        with app.inference.watching.watcher(served) as watcher:
            while app.served(name) is served:
                now = clock()
                if not socket.blocked:
                    read = now
                    if (text := watcher.take()) or now - sent > SILENT_SECONDS:
                        socket.put(text or "{}")
                        sent = now
                elif now - read > app.limits.seconds:
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


def _authorization(text: str) -> bytes:
    """What the first message over a WebSocket says in place of a header."""
    try:
        return str(json.loads(text)["authorization"]).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return b""
