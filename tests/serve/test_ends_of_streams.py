"""How streams end: when nothing comes, when nobody reads, and while something is on its way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from socket import create_connection
from typing import Any, TypeVar

import pytest

pytest.importorskip("httptools")

from bothways.serve import Limits
from bothways.serve.app import App
from bothways.serve.connection import Connection
from bothways.serve.models import Models
from serving import UPGRADE, Running, events, model_of, saved

MODELS = {"flows": model_of()}
T = TypeVar("T")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Any) -> Running:
    return start(saved(MODELS, tmp_path_factory.mktemp("models")))  # type: ignore[no-any-return]


def test_a_message_that_crosses_the_end_of_its_stream(server: Running) -> None:
    """What the client says to the end is read nevertheless, so that it need not wait for it."""
    with create_connection(("127.0.0.1", server.port), 1) as client:
        client.sendall(UPGRADE.replace(b"flows", b"none"))
        received = b""
        while b"no model" not in received:
            received += client.recv(1000)
        client.sendall(b"\x81\x82" + bytes(4) + b"{}")
        time.sleep(0.1)
        client.sendall(b"\x88\x82" + bytes(4) + b"\x03\xf0")
        assert client.recv(1000) == b""


def test_a_stream_of_which_nothing_comes_ends(tmp_path: Path) -> None:
    """With the labels of what has come. Pings, which clients send by themselves, keep it open."""
    client = pytest.importorskip("websockets.asyncio.client")
    app = impatient(tmp_path)
    room = app.inference.room._left

    async def said(port: int) -> list[str]:
        async with client.connect(f"ws://127.0.0.1:{port}/stream/flows?lookahead=1", ping_interval=None) as socket:
            await socket.send(events([7], 0))
            for _ in range(2):
                await asyncio.sleep(0.16)
                await socket.ping()
            lines = [line async for line in socket]
            assert socket.close_code == 1001
        return lines

    label, end = map(json.loads, served(app, said))
    assert (label["key"], label["step"]) == (7, 0)
    assert end == {"error": "Nothing came for 0.3 seconds (--max-idle)."}
    assert (app.talking, app.inference.room._left) == (0, room)


@pytest.mark.slow
def test_a_stream_that_nobody_reads_ends(tmp_path: Path) -> None:
    app = impatient(tmp_path)
    text = events(range(100), 0).encode()
    frame = b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text

    async def ended(port: int) -> bool:
        with create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            rest = UPGRADE + frame * 3000
            for _ in range(2000):
                with suppress(BlockingIOError, ConnectionError):
                    rest = rest[client.send(rest) :]
                await asyncio.sleep(0.01)
                if not app.talking and len(rest) < len(frame) * 3000:
                    return True
        return False

    assert served(app, ended)


def impatient(folder: Path) -> App:
    """A server whose streams may be idle for tenths of a second."""
    app = App(Models(saved(MODELS, folder)), Limits())
    object.__setattr__(app.limits, "idle", 0.3)
    return app


def served(app: App, asks: Callable[[int], Coroutine[Any, Any, T]]) -> T:
    """What comes of asking a server in this process at its port."""

    async def asked() -> T:
        server = await asyncio.get_running_loop().create_server(lambda: Connection(app), "127.0.0.1", 0)
        async with server:
            return await asks(server.sockets[0].getsockname()[1])

    try:
        with ThreadPoolExecutor(1) as pool:  # Playwright's loop may be running in this one
            return pool.submit(lambda: asyncio.run(asked())).result()
    finally:
        app.inference.close(1)
