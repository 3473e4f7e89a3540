"""A server from its start to its graceful end."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import time
import traceback
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import uvloop

from bothways import engine
from bothways.errors import InputError
from bothways.serve import Limits
from bothways.serve.app import LOCAL, App
from bothways.serve.connection import Connection
from bothways.serve.models import Models
from bothways.serve.sockets import CLOSING_SECONDS

REFRESH_SECONDS = 1.0  # between two looks at files for changes
EXPIRE_SECONDS = 0.25  # between two looks for connections of which nothing has come in time

log = logging.getLogger("bothways.serve")


class Lines(logging.Formatter):
    """Log lines as JSON: when, what, and facts; never data."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["where"] = "".join(traceback.format_tb(record.exc_info[2]))  # without messages, which may hold data
        return json.dumps(line | getattr(record, "facts", {}))


def serve(path: Path, host: str, port: int, limits: Limits, key: str | None = None, each: bool = False) -> None:
    """Serve the model of a file, or those of a folder, until SIGTERM, SIGHUP or Ctrl-C; then finish what has been asked
    for. An IPv6 `host` may stand in brackets, as in URLs; blanks around the key do not count; `each` logs a line per
    request. Raises ModelFileError if there is no model to read, and InputError if the key or the host is empty, the key
    is not printable ASCII, or the address cannot be had.
    """
    if key is not None and not (key := key.strip()):
        raise InputError("The key is empty. Give one, or neither --key nor BOTHWAYS_API_KEY to ask for none.")
    if not (key or "").isascii() or not (key or "").isprintable():  # browsers and curl send others in two ways
        raise InputError("The key is not ASCII alone. Give one of letters, digits and signs that are.")
    if not (host := "127.0.0.1" if host == "localhost" else host.strip(" []")):  # to asyncio it would be all there are
        raise InputError("The host is empty. Give an address, or no --host for 127.0.0.1.")
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if each else logging.INFO)
    log.propagate = False
    threads = engine.threads()
    engine.set_threads(1)  # requests run side by side; to wake a helper would cost more than a short one takes
    try:
        models = Models(path)
        local = host in ("127.0.0.1", "::1")
        app = App(models, limits, key, LOCAL if local and key is None else None, threads)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(app, models, host, port, open_to_all=not local and key is None))
    finally:
        log.removeHandler(handler)


async def _run(app: App, models: Models, host: str, port: int, open_to_all: bool) -> None:
    loop, backlog = asyncio.get_running_loop(), max(128, app.limits.connections)
    try:
        server = await loop.create_server(lambda: Connection(app), host, port, backlog=backlog)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        what = "Choose another --port, or end what listens there." if error.errno == errno.EADDRINUSE else ""
        raise InputError(f"{host}:{port}: the server cannot listen here ({why}). {what}".rstrip()) from None
    loop.set_exception_handler(_told)
    stop = asyncio.Event()
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup ignores it
    for number in (signal.SIGINT, signal.SIGTERM, *hangup):
        loop.add_signal_handler(number, stop.set)
    watching = [loop.create_task(_refresh(app, models)), loop.create_task(_expire(app))]
    shown = f"[{host}]" if ":" in host else host
    log.info("serving", extra={"facts": {"url": f"http://{shown}:{port}", "models": sorted(models.served)}})
    if open_to_all:
        log.warning("whoever reaches this port may use it; a key can be asked for")
    await stop.wait()
    log.info("stopping", extra={"facts": {"requests": app.active}})
    app.end()
    await _listen_no_more(server, app)
    await _emptied(app, app.limits.seconds)
    unfinished = app.active + app.talking
    for connection in list(app.open):
        connection.close()
    for task in watching:
        task.cancel()
    await _emptied(app, CLOSING_SECONDS)
    closed = app.inference.close(CLOSING_SECONDS)
    log.info("stopped", extra={"facts": {"unfinished": unfinished}})
    if not closed:  # Python would wait for a thread that still computes
        logging.shutdown()
        os._exit(0)


def _told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody else has caught as all else: what asyncio says of it may hold data."""
    log.error("failed", exc_info=context.get("exception"))


async def _emptied(app: App, seconds: float) -> None:
    """Wait for the end of all connections, at most that many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while app.open:
                await asyncio.sleep(0.02)


async def _listen_no_more(server: asyncio.Server, app: App) -> None:
    """Close what listens, but first take the connections that wait there: else they would be cut."""
    listening = [socket.socket(fileno=os.dup(each.fileno())) for each in server.sockets]
    server.close()
    for each in listening:
        each.setblocking(False)
        accepted = []
        with each, suppress(OSError):
            while True:  # until it would block
                accepted.append(each.accept()[0])
        for connection in accepted:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: Connection(app), connection)


async def _refresh(app: App, models: Models) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await app.inference.run(models.refresh)
            await app.inference.run(app.inference.sequences.forget)
        except Exception:
            log.exception("files could not be looked at")


async def _expire(app: App) -> None:
    while True:
        app.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        await asyncio.sleep(EXPIRE_SECONDS)
        for connection in list(app.open):
            connection.expire()
