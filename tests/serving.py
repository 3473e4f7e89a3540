"""A server in a process of its own, as people start it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bothways import store
from bothways.data import Columns
from bothways.network import Network
from bothways.runtime import Label, Member, Model


def saved(models: Mapping[str, Model], folder: Path) -> Path:
    """The folder, with a file of each model under its name."""
    for name, model in models.items():
        store.save(model, folder / f"{name}.bothways")
    return folder


def model_of(features: int = 3, classes: tuple[Label, ...] = ("calm", "scan"), seed: int = 0, **how: Any) -> Model:
    """A model with weights at random; `columns` for one of a table."""
    columns = how.pop("columns", None)
    network = Network(features=features, classes=len(classes), units=4, **how)
    generator = np.random.default_rng(seed)
    weights = {name: generator.normal(size=shape).astype(np.float32) for name, shape in network.weight_shapes().items()}
    weights["input/scale"] = abs(weights["input/scale"]) + 0.1
    return Model([Member(network, weights)], classes, columns)


WITHOUT_KERAS = (
    "import sys; sys.modules['keras'] = sys.modules['jax'] = None; from bothways.__main__ import main; main()"
)

UPGRADE = (
    b"GET /stream/flows?lookahead=0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
"""Asks for a stream of the model called flows."""

TABLE = Columns("kind", ("x", "y"), "flow")


@dataclass
class Running:
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int
    log: list[str] = field(default_factory=list)

    def call(
        self, path: str, body: bytes | Any = None, headers: Mapping[str, str] = {}, method: str | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body (as JSON where it is some) and headers of an answer."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, dict(headers), method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, content, said = answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                status, content, said = error.code, error.read(), error.headers
        is_json = said.get("content-type") == "application/json"
        return status, json.loads(content) if is_json and content else content, said

    def counted(self, model: str) -> dict[str, float]:
        """What /metrics has of a model, by names without what is before and behind."""
        lines = self.call("/metrics")[1].decode().splitlines()
        pattern = r"(?:nv_inference|bothways)_(\w+)\{.*model=\"" + model + r"\".*\} (\S+)"
        return {found[1]: float(found[2]) for line in lines if (found := re.fullmatch(pattern, line))}

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        _, error = self.process.communicate(timeout=20)
        self.log += error.splitlines()
        return self.process.returncode

    @classmethod
    def begin(cls, path: Path, *options: str, **environment: str) -> Running:
        """Start one and wait until it listens."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-c", WITHOUT_KERAS, "serve", str(path), "--port", str(port), *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
        assert process.stderr is not None
        server = cls(process, port)
        while line := process.stderr.readline():
            server.log.append(line)
            if '"event": "serving"' in line:
                return server
        raise AssertionError("".join(server.log))


def events(keys: Iterable[int], step: int) -> str:
    """A message with an event of each of these sequences, for a model of three numbers."""
    return "\n".join(json.dumps({"key": key, "step": step, "values": [1, 2, 3]}) for key in keys)
