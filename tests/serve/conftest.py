"""Servers that end with the tests that started them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving import Running

Start = Callable[..., Running]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts servers, each in a process of its own."""
    pytest.importorskip("granian")
    running: list[Running] = []

    def begin(path: Path, *options: str, **environment: str) -> Running:
        running.append(Running.begin(path, *options, **environment))
        return running[-1]

    yield begin
    for server in running:
        server.process.kill()
        server.process.communicate()
