"""What others send through a server, watched."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("httptools")

from bothways import store
from bothways.serve.models import Served
from bothways.serve.watching import MOST_BEHIND, MOST_WATCHERS, Watching
from serving import TABLE, Running, model_of, saved

MODELS = {"flows": model_of(), "table": model_of(2, columns=TABLE), "traces": model_of(2, per="sequence")}
X = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Any) -> Running:
    return start(saved(MODELS, tmp_path_factory.mktemp("models")))  # type: ignore[no-any-return]


@pytest.fixture
def watch(connect: Any) -> Any:
    """Watches a model; it does when this returns."""

    def begin(name: str, *to: Running, **how: Any) -> Any:
        socket = connect(f"/watch/{name}", *to, **how)
        assert socket.recv(timeout=10) == "{}"
        return socket

    return begin


def seen(socket: Any, until: Any) -> list[dict[str, Any]]:
    """The lines that come, as soon as they suffice."""
    lines: list[dict[str, Any]] = []
    while not until(lines):
        lines += map(json.loads, socket.recv(timeout=10).splitlines())
    return lines


def ended(lines: list[dict[str, Any]]) -> bool:
    return any("ended" in line for line in lines)


def pushed(connect: Any, **more: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Events of two sequences of 25 steps, pushed, and their labels."""
    socket = connect("/stream/table?lookahead=4")
    rows = [{"flow": "ab"[i % 2], "x": float(x), "y": float(y), **more} for i, (x, y, _) in enumerate(X)]
    for first in range(0, 50, 10):
        socket.send("\n".join(map(json.dumps, rows[first : first + 10])))
    socket.send('["flush"]')
    labels: list[dict[str, Any]] = []
    while len(labels) < 50:
        labels += map(json.loads, socket.recv(timeout=10).splitlines())
    return rows, labels


def test_steps_and_labels_of_others(connect: Any, watch: Any) -> None:
    watching = [watch("table"), watch("table")]
    rows, labels = pushed(connect, comment="is not shown")
    for socket in watching:
        lines = seen(socket, ended)
        events = [line for line in lines if "inputs" in line]
        assert [(line["key"], line["step"]) for line in events] == [
            (row["flow"], str(i)) for i, row in enumerate(rows, 1)
        ]
        assert [line["inputs"] for line in events] == [[row["x"], row["y"]] for row in rows]
        found = [(line["key"], line["step"], line["code"]) for line in lines if "code" in line]
        assert found == [
            (each["flow"], str(each["line"]), MODELS["table"].classes.index(each["predicted"])) for each in labels
        ]
        p = [line["probability"] for line in lines if "code" in line]
        assert p == pytest.approx([each["probability"] for each in labels], abs=1e-5)
        assert lines[-1] == {"stream": lines[0]["stream"], "ended": None}


def test_a_sequence_in_several_requests(server: Running, watch: Any) -> None:
    socket = watch("flows")
    for first in (0, 25):
        given = {"name": "sequences", "shape": [1, 25, 3], "datatype": "FP64", "data": X[first : first + 25].tolist()}
        parameters = {"sequence_id": 7, "sequence_start": first == 0, "sequence_end": first == 25}
        status, _, _ = server.call("/v2/models/flows/infer", {"inputs": [given], "parameters": parameters})
        assert status == 200
    lines = seen(socket, ended)
    assert [line["inputs"] for line in lines if "inputs" in line] == X.astype(np.float64).tolist()
    assert [line["step"] for line in lines if "code" in line] == [str(i) for i in range(50)]
    assert {line["key"] for line in lines[:-1]} == {"7"}


def test_who_may_not_watch(connect: Any, watch: Any, server: Running) -> None:
    exceptions = pytest.importorskip("websockets.exceptions")
    for path, said in (("/watch/none", "no model"), ("/watch/traces", "one label per sequence")):
        with pytest.raises(exceptions.ConnectionClosed, match=said):
            connect(path).recv(timeout=10)
    with pytest.raises(exceptions.InvalidStatus, match="403"):
        connect("/watch/flows", origin="https://evil.example")
    socket = watch("flows")
    socket.send('{"key": 1, "step": 1, "values": [1, 2, 3]}')
    with pytest.raises(exceptions.ConnectionClosed, match="sends nothing"):
        socket.recv(timeout=10)
    many = [watch("flows") for _ in range(MOST_WATCHERS)]
    with pytest.raises(exceptions.ConnectionClosed, match="watch already"):
        connect("/watch/table").recv(timeout=10)
    many[0].close()
    deadline = time.monotonic() + 10
    while True:
        try:
            return watch("table").close()  # type: ignore[no-any-return]
        except exceptions.ConnectionClosed:
            assert time.monotonic() < deadline


@pytest.mark.slow
def test_a_key_a_new_file_and_the_end(connect: Any, watch: Any, tmp_path: Path, start: Any) -> None:
    exceptions = pytest.importorskip("websockets.exceptions")
    store.save(MODELS["flows"], tmp_path / "flows.bothways")
    server = start(tmp_path, BOTHWAYS_API_KEY="secret")
    wrong = connect("/watch/flows", server)
    wrong.send('{"authorization": "Bearer wrong"}')
    with pytest.raises(exceptions.ConnectionClosed, match="authorization"):
        wrong.recv(timeout=10)
    by_message = connect("/watch/flows", server)
    by_message.send('{"authorization": "Bearer secret"}')
    assert by_message.recv(timeout=10) == "{}"
    store.save(model_of(seed=1), tmp_path / "flows.bothways")
    with pytest.raises(exceptions.ConnectionClosed, match="was replaced"):
        by_message.recv(timeout=10)
    by_header = watch("flows", server, additional_headers={"Authorization": "Bearer secret"})
    assert server.stop() == 0
    with pytest.raises(exceptions.ConnectionClosed, match="server ends"):
        by_header.recv(timeout=10)


@pytest.mark.slow
def test_a_watcher_that_does_not_read_slows_nobody(connect: Any, watch: Any) -> None:
    slow, socket = watch("flows", max_queue=1), connect("/stream/flows?lookahead=0")
    lines = [json.dumps({"key": f"{i % 100:0100}", "step": i, "values": [0.123456, 1, 2]}) for i in range(40_000)]
    blocks = ["\n".join(lines[i : i + 1000]) for i in range(0, 40_000, 1000)]
    sending = threading.Thread(target=lambda: [socket.send(block) for block in blocks])
    sending.start()
    count = 0
    while count < 40_000:
        count += len(socket.recv(timeout=30).splitlines())
    sending.join()
    count = 0
    while count < 80_000:  # events and labels, and how many of them were left out
        count += sum(line.get("missed", "key" in line) for line in map(json.loads, slow.recv(timeout=30).splitlines()))
    assert count == 80_000


def test_how_much_waits_for_a_watcher() -> None:
    watching, served = Watching(), Served("some", Path("some.bothways"), "1", MODELS["flows"])
    source = watching.source(served)
    events = [("a", step, [1.0, 2.0, 3.0]) for step in range(1000)]
    with watching.watcher(served) as watcher:
        for _ in range(40):
            source.show(events, [])
        text = watcher.take()
        *lines, missed = map(json.loads, text.splitlines())
        assert 0.9 * MOST_BEHIND < len(text) < 1 << 20
        assert len(lines) + missed["missed"] == 40_000
        assert watcher.take() == ""
        source.show([("x" * 1000, 1, [1, 2, 3])], [])
        assert json.loads(watcher.take())["key"] == "x" * 100
    assert watching.of(served) == []
