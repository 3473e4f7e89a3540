"""How much `bothways serve` answers, with the client on the same cores, and what wrong requests do to it.

    python benchmarks/server.py                          # requests/s beside FastAPI on uvicorn, and steps/s as bytes
    python benchmarks/server.py --steady 600             # 2,000 requests/s for ten minutes
    python benchmarks/server.py --malformed 100000       # wrong requests of all kinds

The model has the defaults of `bothways train`: 4 features, 32 units both ways; its weights are random. The request is
one sequence of 10 steps in JSON, with other numbers each time, from 16 connections. FastAPI runs the same model by
`Model.predict_proba`, in the plainest program, once in its threads (`def`) and once on its loop (`async def`); the
better one counts. Servers take turns, in processes of their own. It needs
`pip install '.[serve]' fastapi uvicorn httptools`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from wrong_requests import INFER, wrong_request

from bothways import store
from bothways.data import Columns
from bothways.errors import DataError
from bothways.files import check_output, written_whole
from bothways.network import Network
from bothways.runtime import Member, Model

CONNECTIONS = 16
AT_ONCE = 32  # wrong requests, most of whose time is waiting
OFTEN = 5000  # requests between two looks at the memory

FASTAPI = """
import sys
import numpy as np, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
import bothways
model = bothways.load(sys.argv[1])
classes = np.array(model.classes)
class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]
class Request(BaseModel):
    inputs: list[Tensor]
class Answer(BaseModel):
    labels: list[list[str]]
    probabilities: list[list[list[float]]]
app = FastAPI()
@app.post("/v2/models/short/infer")
KIND infer(request: Request) -> Answer:
    given = request.inputs[0]
    found = model.predict_proba(list(np.array(given.data, np.float32).reshape(given.shape)))
    return Answer(labels=[classes[p.argmax(1)].tolist() for p in found], probabilities=[p.tolist() for p in found])
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


def main() -> None:
    """Measure what is asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steady", type=float, default=0, help="seconds of a steady load")
    parser.add_argument("--rate", type=int, default=2000, help="requests a second of the steady load")
    parser.add_argument("--malformed", type=int, default=0, help="so many wrong requests")
    parser.add_argument("--save", type=Path, help="keep the figures in a .json file")
    given = parser.parse_args()
    save = None if given.save is None else check_output(given.save, (".json",))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "short.bothways")
        store.save(model(), path)
        if given.steady:
            figures = steady(path, given.rate, given.steady)
        elif given.malformed:
            figures = malformed(path, given.malformed)
        else:
            figures = compared(path, given.seconds, given.rounds)
    for name, value in figures.items():
        print(f"{name}: {value:,.4g}" if isinstance(value, float) else f"{name}: {value}")
    if save:
        with written_whole(save, DataError) as temporary:
            temporary.write_text(json.dumps(figures, indent=2))


def model(features: int = 4, columns: Columns | None = None) -> Model:
    """A model with the defaults of training, and weights at random."""
    network = Network(features=features, classes=2)
    generator = np.random.default_rng(0)
    weights = {
        name: generator.normal(scale=0.3, size=shape).astype(np.float32)
        for name, shape in network.weight_shapes().items()
    }
    weights["input/scale"] = np.ones_like(weights["input/scale"])
    weights["input/centers"][:], weights["input/slopes"][:] = np.linspace(-1.75, 1.75, network.bins_per_number), 4
    return Model([Member(network, weights)], ("calm", "alarm"), columns)


def compared(path: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Requests a second of ours and of FastAPI, in turns; and steps a second of ours with tensors as bytes.

    Beside them what a request costs the server, and the client, of a processor: such times hardly depend on what else
    the machine does.
    """
    short, (large, steps) = short_requests(), large_request()
    found: dict[str, list[float]] = {}
    with serving(path) as ours, fastapi(path, "def") as threads, fastapi(path, "async def") as loop:
        for _ in range(rounds):
            for name, server, requests, connections in (
                ("bothways", ours, short, CONNECTIONS),
                ("FastAPI, def", threads, short, CONNECTIONS),
                ("FastAPI, async def", loop, short, CONNECTIONS),
                ("bytes", ours, [large], 4),
            ):
                worked, waited = server.worked(), time.process_time()
                rate, delays = loaded(server.port, requests, connections, seconds)
                for what, value in (
                    ("requests/s", rate),
                    ("µs of a processor", (server.worked() - worked) / len(delays) * 1e6),
                    ("µs of the client's", (time.process_time() - waited) / len(delays) * 1e6),
                    ("p99 in ms", percentile(delays, 0.99) * 1e3),
                ):
                    found.setdefault(f"{name}, {what}", []).append(value)
    medians = {name: statistics.median(values) for name, values in found.items()}
    best = max("FastAPI, def", "FastAPI, async def", key=lambda name: medians[f"{name}, requests/s"])
    return {
        "times the requests/s of FastAPI": medians["bothways, requests/s"] / medians[f"{best}, requests/s"],
        "FastAPI's processor per request, in ours": (
            medians[f"{best}, µs of a processor"] / medians["bothways, µs of a processor"]
        ),
        "bytes, steps/s": medians["bytes, requests/s"] * steps,
        **medians,
    }


def steady(path: Path, rate: int, seconds: float) -> dict[str, Any]:
    """Delays of a load that does not wait for answers: each counts from when its request was due."""
    requests, delays, wrong = short_requests(), list[float](), 0
    with serving(path) as server:
        loaded(server.port, requests, CONNECTIONS, 2)  # warm
        before, worked = server.memory(), server.worked()
        poll, idle, due = select.epoll(), deque[int](), dict[int, float]()
        sockets = {each.fileno(): each for each in (connected(server.port) for _ in range(64))}
        rests = dict.fromkeys(sockets, b"")
        for number in sockets:
            poll.register(number, select.EPOLLIN)
            idle.append(number)
        start, sent, total = time.perf_counter(), 0, int(rate * seconds)
        while len(delays) + wrong < total:
            now = time.perf_counter()
            while idle and sent < total and start + sent / rate <= now:
                number = idle.popleft()  # each in turn, lest the server closes one that is idle for long
                due[number] = start + sent / rate
                sockets[number].send(requests[sent % len(requests)])
                sent += 1
            for number, _ in poll.poll(max(0.0, min(0.001, start + sent / rate - now))):
                received = sockets[number].recv(65536)
                if not received:
                    raise SystemExit(f"The server closed a connection after {len(delays):,} answers.")
                rests[number] += received
                if (end := answered(rests[number])) is not None:
                    wrong += not rests[number].startswith(b"HTTP/1.1 200")
                    delays += [time.perf_counter() - due[number]]
                    rests[number] = rests[number][end:]
                    idle.append(number)
        took = time.perf_counter() - start
        after, worked = server.memory(), server.worked() - worked
    return {
        "requests": len(delays),
        "requests/s": len(delays) / took,
        "errors": wrong,
        "µs of a processor": worked / total * 1e6,
        "p50 in ms": percentile(delays, 0.5) * 1e3,
        "p99 in ms": percentile(delays, 0.99) * 1e3,
        "largest in ms": max(delays) * 1e3,
        "memory in MB before": before,
        "memory in MB after": after,
    }


def malformed(path: Path, count: int) -> dict[str, Any]:
    """What wrong requests are answered, and whether the server is as it was afterwards."""
    rng, log, memory = random.Random(0), path.parent / "log", list[int]()
    store.save(model(2, Columns("kind", ("x", "y"), "flow")), path.parent / "table.bothways")
    with log.open("w") as said, serving(path.parent, "--max-seconds", "2", "--max-body", "1", log=said) as server:
        statuses = outcomes(server, count // 5, rng, memory)  # what the first ones need stays
        before, files = server.memory(), server.files()
        statuses += outcomes(server, count - count // 5, rng, memory)
        assert server.process.poll() is None, "The server has ended."
        after, files_after = server.memory(), server.files()
        _, delays = loaded(server.port, short_requests(), CONNECTIONS, 2)
    return {
        **{f"answered {status}": n for status, n in sorted(statuses.items())},
        "failures (5xx but 503)": sum(n for status, n in statuses.items() if status[0] == "5" and status != "503"),
        "failures in the log": len(re.findall('"failed"|Traceback|Exception', log.read_text())),
        "memory in MB before": before,
        "memory in MB after": after,
        f"memory in MB, every {OFTEN:,}": memory,
        "open files before": files,
        "open files after": files_after,
        "p99 in ms afterwards": percentile(delays, 0.99) * 1e3,
    }


def outcomes(server: Server, count: int, rng: random.Random, memory: list[int]) -> Counter[str]:
    """What comes of wrong requests, many at once, beside which some send part of one and then nothing; its `memory`."""
    port = server.port
    found, slow, short = Counter[str](), list[socket.socket](), short_requests()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for i in range(0, count, 500):
            requests = [(wrong_request(rng), rng.random() < 0.5) for _ in range(min(500, count - i))]
            if i % OFTEN == 0:
                memory.append(round(server.memory()))
            found.update(pool.map(lambda each: outcome(port, *each), requests))
            for request in short[:25]:
                slow.append(connected(port))
                slow[-1].send(request[: rng.randrange(1, 400)])
            while len(slow) > 500:
                slow.pop(0).close()
    time.sleep(3)
    for each in slow:
        each.close()
    time.sleep(1)
    return found


def outcome(port: int, request: bytes, half_closed: bool) -> str:
    """The status of the answer to a request, or what else came of it."""
    with connected(port) as connection:
        try:
            connection.sendall(request)
            if half_closed:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.2)
            answer = connection.recv(65536)
        except TimeoutError:
            return "still waited for the rest"
        except OSError:
            return "closed"
    return answer[9:12].decode() if answer.startswith(b"HTTP/1") else "closed"


def short_requests() -> list[bytes]:
    """Requests of one sequence of 10 steps, in JSON; their lengths differ, as numbers do."""
    rng, requests = random.Random(1), []
    for _ in range(256):
        data = [round(rng.gauss(0, 1), 4) for _ in range(40)]
        body = json.dumps({"inputs": [{"name": "sequences", "shape": [1, 10, 4], "datatype": "FP32", "data": data}]})
        requests.append(posted(body.encode(), "Content-Type: application/json"))
    return requests


def large_request() -> tuple[bytes, int]:
    """100 sequences of 200 steps as bytes, answered so; and how many steps that is."""
    x = np.random.default_rng(0).normal(size=(100, 200, 4)).astype("<f4")
    tensor = {"name": "sequences", "shape": x.shape, "datatype": "FP32", "parameters": {"binary_data_size": x.nbytes}}
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    return posted(head + x.tobytes(), f"Inference-Header-Content-Length: {len(head)}"), x.shape[0] * x.shape[1]


def posted(body: bytes, header: str) -> bytes:
    """A whole request."""
    lines = [f"POST {INFER} HTTP/1.1", "Host: localhost", header, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def loaded(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> tuple[float, list[float]]:
    """Answers a second and their delays, where each connection sends again when it has its answer."""
    poll, delays, following = select.epoll(), list[float](), cycle(requests)
    sockets = {each.fileno(): each for each in (connected(port) for _ in range(connections))}
    rests, sent = dict.fromkeys(sockets, b""), {}
    for number, each in sockets.items():
        poll.register(number, select.EPOLLIN)
        sent[number] = time.perf_counter()
        each.sendall(next(following))
    start = now = time.perf_counter()
    while now < start + seconds:
        for number, _ in poll.poll(1.0):
            rests[number] += sockets[number].recv(1 << 20)
            if (end := answered(rests[number])) is None:
                continue
            assert rests[number].startswith(b"HTTP/1.1 200"), rests[number][:500]
            now = time.perf_counter()
            delays.append(now - sent[number])
            rests[number] = rests[number][end:]
            sent[number] = now
            sockets[number].sendall(next(following))
        now = time.perf_counter()
    for each in sockets.values():
        each.close()
    return len(delays) / (now - start), delays


def answered(received: bytes) -> int | None:
    """Where an answer ends; None if it is not all there."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    at = received[:head].lower().find(b"\ncontent-length:")
    end = head + 4 + int(received[at + 16 : received.find(b"\r", at)])
    return end if len(received) >= end else None


def connected(port: int) -> socket.socket:
    """A connection."""
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all is at most."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Server:
    """A server in a process of its own."""

    def __init__(self, command: list[str], ready: str, log: Any = subprocess.DEVNULL) -> None:
        """Start it, with its standard error in a file, and wait until it answers."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.process = subprocess.Popen([*command, str(self.port)], stderr=log)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{ready}", timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{command[-1]} does not answer.")

    def worked(self) -> float:
        """Seconds of processors that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Its resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def files(self) -> int:
        """How many files and connections it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def serving(path: Path, *options: str, log: Any = subprocess.DEVNULL) -> Iterator[Server]:
    """`bothways serve`."""
    command = [sys.executable, "-m", "bothways", "serve", str(path), *options, "--port"]
    yield from _running(Server(command, "/v2/health/ready", log))


@contextmanager
def fastapi(path: Path, kind: str) -> Iterator[Server]:
    """The same model behind FastAPI."""
    yield from _running(Server([sys.executable, "-c", FASTAPI.replace("KIND", kind), str(path)], "/openapi.json"))


def _running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(40)


if __name__ == "__main__":
    main()
