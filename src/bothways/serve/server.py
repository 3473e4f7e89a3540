"""A server from its start to its graceful end."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from bothways.errors import InputError
from bothways.serve.app import LOCAL, App
from bothways.serve.limits import Limits
from bothways.serve.models import Models

REFRESH_SECONDS = 1.0
"""So often files are looked at for changes."""

log = logging.getLogger("bothways.serve")


class Lines(logging.Formatter):
    """Log lines as JSON: when, what, and facts; never data."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["where"] = self.formatException(record.exc_info).rpartition("\n")[0]  # the last line may hold data
        return json.dumps(line | getattr(record, "facts", {}))


def serve(path: Path, host: str, port: int, limits: Limits, key: str | None = None, each: bool = False) -> None:
    """Serve models until SIGTERM or Ctrl-C; then finish what has been asked for.

    Args:
        path: the file of a model, or a folder of such files.
        host: the address to listen at.
        port: the port.
        limits: what to take on at most.
        key: as in `App`.
        each: log a line per request.

    Raises:
        ModelFileError: there is no model, or it cannot be read.
        InputError: the address cannot be had.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if each else logging.INFO)
    log.propagate = False
    host = "127.0.0.1" if host == "localhost" else host
    try:
        models = Models(path)
        local = host in ("127.0.0.1", "::1")
        app = App(models, limits, key, LOCAL if local and key is None else None)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(app, models, host, port, limits, open_to_all=not local and key is None))
    finally:
        log.removeHandler(handler)


async def _run(app: App, models: Models, host: str, port: int, limits: Limits, open_to_all: bool) -> None:
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        backpressure=limits.connections,
        backlog=max(128, limits.connections),
        http1_settings=HTTP1Settings(
            header_read_timeout=500 * limits.seconds, max_buffer_size=max(8192, limits.header << 10)
        ),
        log_enabled=False,
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()  # granian would share a port that is taken
    except OSError as error:
        raise InputError(f"{host}:{port}: the server cannot listen here ({error.strerror}).") from None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    serving = loop.create_task(server.serve())
    refreshing = loop.create_task(_refresh(app, models))
    await _listening(host, port, serving)
    shown = f"[{host}]" if ":" in host else host
    log.info("serving", extra={"facts": {"url": f"http://{shown}:{port}", "models": sorted(models.served)}})
    if open_to_all:
        log.warning("whoever reaches this port may use it; a key can be asked for")
    stopped = loop.create_task(stop.wait())
    await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    log.info("stopping", extra={"facts": {"requests": app.active}})
    app.end()
    refreshing.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(limits.seconds):
            while app.active or app.sockets:
                await asyncio.sleep(0.02)
    server.stop()  # type: ignore[no-untyped-call]
    await serving
    app.inference.close()
    log.info("stopped", extra={"facts": {"unfinished": app.active}})


async def _listening(host: str, port: int, serving: asyncio.Task[None]) -> None:
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


async def _refresh(app: App, models: Models) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await app.inference.run(models.refresh)
            await app.inference.run(app.inference.sequences.forget)
        except Exception:
            log.exception("files could not be looked at")
