"""Sequences whose steps come bit by bit."""

from __future__ import annotations

import json
import struct
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET, create_connection
from typing import Any

import numpy as np
import pytest

pytest.importorskip("httptools")

from bothways import store
from bothways.data import Columns, Encoding
from bothways.data.calendar import CLOCK
from bothways.data.encoding import Number
from bothways.errors import InputError
from bothways.serve.models import Served
from bothways.serve.protocol import InferenceRequest
from bothways.serve.streams import EventStream, OpenSequences, Room
from bothways.serve.watching import Watching
from serving import TABLE, UPGRADE, Running, events, model_of, saved

GAPS = Columns("kind", ("x",), "flow", "at", encoding=Encoding((Number("x", 0.5),), (), "times", clock=CLOCK))
MODELS = {
    "flows": model_of(),
    "table": model_of(2, columns=TABLE),
    "gaps": model_of(4, columns=GAPS),
    "traces": model_of(2, per="sequence"),
}
X = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Any) -> Running:
    return start(saved(MODELS, tmp_path_factory.mktemp("models")))  # type: ignore[no-any-return]


def part(server: Running, x: Any, model: str = "flows", **parameters: Any) -> tuple[int, Any]:
    given = {"name": "sequences", "shape": list(x.shape), "datatype": "FP64", "data": x.ravel().tolist()}
    status, answer, _ = server.call(f"/v2/models/{model}/infer", {"inputs": [given], "parameters": parameters})
    if status != 200:
        return status, answer["error"]
    return status, {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in answer["outputs"]}


def test_a_sequence_whose_first_steps_are_refused_has_not_begun(server: Running) -> None:
    for wrong in (X[None, :2] * np.float64(1e300), X[None, :2, :2]):
        status, _ = part(server, wrong.astype(np.float64), sequence_id="wrong", sequence_start=True)
        assert status == 400
        status, error = part(server, X[None, :2], sequence_id="wrong")
        assert (status, "has not begun here" in str(error)) == (400, True)


def test_a_sequence_in_several_requests(server: Running) -> None:
    expected = [each.probabilities for each in _streamed(MODELS["flows"], X.astype(np.float64))]
    found, numbers = [], []
    for first in range(0, 50, 7):
        ends = first + 7 >= 50
        status, outputs = part(
            server, X[None, first : first + 7], sequence_id="a", sequence_start=first == 0, sequence_end=ends
        )
        assert status == 200
        numbers += outputs["steps"].tolist()
        found += outputs["probabilities"].tolist()
        # Another sequence at the same time changes nothing.
        assert part(server, X[None, :3] + first, sequence_id=7, sequence_start=first == 0)[0] == 200
    assert numbers == list(range(50))
    assert np.array_equal(np.array(found, np.float32), np.array(expected, np.float32))
    status, error = part(server, X[None, :2], sequence_id="a")
    assert status == 400
    assert "has not begun here" in error


def _streamed(model: Any, x: Any) -> list[Any]:
    stream = model.stream()
    return [*stream.push_many(["a"] * len(x), list(range(len(x))), x), *stream.flush()]


def test_a_sequence_that_begins_again(server: Running) -> None:
    for _ in range(2):
        status, outputs = part(server, X[None, :5], sequence_id=3, sequence_start=True)
        assert (status, outputs["steps"].tolist()) == (200, [])
    status, outputs = part(server, X[None, 5:6], sequence_id=3, sequence_end=True)
    assert outputs["steps"].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_sequence_may_begin_and_end_without_steps(server: Running) -> None:
    none = [
        {"name": "sequences", "shape": [1, 1, 3], "datatype": "FP64", "data": [0, 0, 0]},
        {"name": "lengths", "shape": [1], "datatype": "INT64", "data": [0]},
    ]
    for parameters in ({"sequence_start": True}, {}, {"sequence_end": True}):
        body = {"inputs": none, "parameters": {"sequence_id": "none", **parameters}}
        status, answer, _ = server.call("/v2/models/flows/infer", body)
        assert status == 200, answer
        if not parameters:
            assert part(server, X[None, :2], sequence_id="none")[0] == 200
    assert answer["outputs"][2]["data"] == [0, 1]


def test_times_between_steps(server: Running) -> None:
    times = np.cumsum(np.arange(1.0, 21.0)) * 0.25
    start = datetime(1970, 1, 1)
    stream = MODELS["gaps"].stream()
    rows = [{"x": float(x)} for x in X[:20, 0]]
    expected = stream.push_many(["a"] * 20, [start + timedelta(seconds=each) for each in times], rows) + stream.flush()
    inputs = [
        {"name": name, "shape": [1, 20], "datatype": "FP64", "data": values.tolist()}
        for name, values in (("x", X[:20, 0]), ("at", times))
    ]
    parameters = {"sequence_id": "a", "sequence_start": True, "sequence_end": True}
    _, answer, _ = server.call("/v2/models/gaps/infer", {"inputs": inputs, "parameters": parameters})
    p = np.array(answer["outputs"][1]["data"], np.float32).reshape(20, 2)
    assert np.array_equal(p, np.array([each.probabilities for each in expected], np.float32))


@pytest.mark.parametrize("times", [[1e300, 2e300], [2.0, 1.0], [1.0, 1.0], [1.0, None]])
def test_times_that_are_none_or_do_not_rise(server: Running, times: list[float]) -> None:
    inputs = [
        {"name": name, "shape": [1, 2], "datatype": "FP64", "data": data}
        for name, data in (("x", [1, 2]), ("at", times))
    ]
    body = {"inputs": inputs, "parameters": {"sequence_id": "c", "sequence_start": True}}
    status, answer, _ = server.call("/v2/models/gaps/infer", body)
    assert status == 400
    assert "order column" in answer["error"] or "'at'" in answer["error"]


@pytest.mark.parametrize(
    ("x", "model", "parameters", "said"),
    [
        (X.reshape(2, 25, 3), "flows", {"sequence_id": "b", "sequence_start": True}, "it takes one"),
        (X[None], "flows", {"sequence_id": [1], "sequence_start": True}, "text or a whole number"),
        (X[None], "flows", {"sequence_id": "b", "sequence_start": "yes"}, "sequence_start must be true or false"),
        (X[None], "flows", {"sequence_id": "b", "sequence_end": 1}, "sequence_end must be true or false"),
        (X[None, :, :2], "traces", {"sequence_id": "b", "sequence_start": True}, "one label per sequence"),
        (X[None].astype(np.float64) * 1e40, "flows", {"sequence_id": "b", "sequence_start": True}, "finite"),
    ],
)
def test_what_is_wrong_is_said(server: Running, x: Any, model: str, parameters: Any, said: str) -> None:
    status, error = part(server, x, model, **parameters)
    assert status == 400
    assert said in error


def read(socket: Any, count: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    while len(lines) < count:
        lines += map(json.loads, socket.recv(timeout=10).splitlines())
    return lines


def test_streams_are_counted(connect: Any, server: Running) -> None:
    """Their messages as requests, in which sequences come in part; as the requests with a sequence_id are."""
    before = server.counted("flows")
    socket = connect("/stream/flows?lookahead=1&chunk=1")
    for message, lines in ((events(range(3), 0), 0), (events((0, 1, 0), 1), 3), ("?\n" + events([5], 0), 1), ("{", 1)):
        socket.send(message)
        read(socket, lines)
    socket.send('["flush"]')
    read(socket, 3)
    part(server, X[None, :2], sequence_id="counted", sequence_start=True, sequence_end=True)
    after = server.counted("flows")
    more = {name: value - before.get(name, 0) for name, value in after.items()}
    times = [more.pop(f"{part}_duration_us") for part in ("request", "queue", "compute_infer")]
    expected = {"request_success": 4, "request_failure": 2, "count": 7, "exec_count": 4, "steps_total": 9}
    assert more == {**expected, "open_streams": 1}
    assert times[0] > times[2] > 0 < times[1]
    socket.close()
    for _ in range(50):
        if server.counted("flows")["open_streams"] == before.get("open_streams", 0):
            return
        time.sleep(0.02)
    raise AssertionError("The stream is still counted.")


def test_events_over_a_websocket(connect: Any) -> None:
    socket = connect("/stream/table?lookahead=4")
    rows = [{"flow": "ab"[i % 2], "x": float(x), "y": float(y)} for i, (x, y, _) in enumerate(X)]
    for first in range(0, 50, 10):
        socket.send("\n".join(map(json.dumps, rows[first : first + 10])))
    socket.send('["close", "a"]')
    socket.send('["flush"]')
    lines = read(socket, 50)
    for name, at in (("a", 0), ("b", 1)):
        stream = MODELS["table"].stream(4)
        expected = stream.push_many([name] * 25, list(range(25)), rows[at::2]) + stream.flush()
        assert [each["predicted"] for each in lines if each["flow"] == name] == [each.label for each in expected]
        found = [each["probability"] for each in lines if each["flow"] == name]
        assert found == pytest.approx([max(each.probabilities) for each in expected], abs=1e-6)


def test_events_of_a_model_of_arrays_and_errors(connect: Any) -> None:
    socket = connect("/stream/flows?lookahead=0")
    for text, said in (
        ("{", "no JSON"),
        ("{}", "no 'key'"),
        ('["stop"]', "A line is an event"),
        ('{"key": [1], "step": 1, "values": [1, 2, 3]}', "names no sequence"),
        ('{"key": 1, "step": "soon", "values": [1, 2, 3]}', "no event"),
        ("[1, 2]", "A line is an event"),
        ('["close", true]', "A line is an event"),
        ("5", "no JSON object"),
        ('{"key": 1, "step": 1, "values": [1, 2]}', "3"),
    ):
        socket.send(text)
        assert said in read(socket, 1)[0]["error"]
    socket.send('{"key": 1, "step": 2.5, "values": [1, 2, 3]}')
    (line,) = read(socket, 1)
    assert (line["key"], line["step"]) == (1, 2.5)


def test_a_bad_line_leaves_the_others_of_its_message(connect: Any) -> None:
    socket = connect("/stream/gaps?lookahead=0")
    good = [json.dumps({"flow": "a", "at": f"2024-05-01T00:00:{i:02}Z", "x": i}) for i in range(8)]
    bad = ("{", "[1, 2]", '{"flow": "a"}', good[0].replace('"x": 0', '"x": "zz"'), '["close"', "5")
    for i, line in enumerate(bad):
        socket.send(f"\n{good[i]}\n{line}\n")
        label, error = read(socket, 2)
        assert (label["at"], error["line"]) == (f"2024-05-01T00:00:{i:02}Z", 3)
    deep, large = '{"x": ' + "[" * 100_000, good[7].replace('"x": 7', '"x": ' + "9" * 400)
    socket.send(f"{deep}\n{large}\n{good[7]}")
    lines = read(socket, 3)
    assert ["nested too deeply" in lines[0]["error"], "out of range" in lines[1]["error"]] == [True, True]
    assert lines[2]["at"] == "2024-05-01T00:00:07Z"
    socket.send(f"{good[7]}\n{good[0]}")
    assert read(socket, 1) == [{"dropped": 2}]


def test_a_stream_tells_what_of_the_values_was_filled(connect: Any) -> None:
    socket = connect("/stream/gaps?lookahead=0&chunk=1")
    for i, (x, filled) in enumerate([(None, "1 row "), (1, ""), (None, "2 rows ")]):
        socket.send(json.dumps({"flow": "a", "at": f"2024-05-01T00:00:{i:02}Z", "x": x}))
        (label, *said) = read(socket, 1 + bool(filled))
        assert label["flow"] == "a"
        assert all(f"'x': {filled}without" in each["notices"][0] for each in said)


def test_how_a_stream_is_asked_for(connect: Any) -> None:
    exceptions = pytest.importorskip("websockets.exceptions")
    socket = connect("/stream/flows?lookahead=0&chunk=2&reorder=1")
    for step in (2, 1, 3):
        socket.send(json.dumps({"key": 1, "step": step, "values": [1, 2, 3]}))
    assert [line["step"] for line in read(socket, 2)] == [1, 2]
    for query, said in (
        ("lookahed=1", "no 'lookahed' here"),
        ("chunk=0", "chunk must be"),
        ("reorder=", "reorder must"),
    ):
        with pytest.raises(exceptions.ConnectionClosed, match=said):
            connect(f"/stream/flows?{query}").recv(timeout=10)


def test_who_may_not_stream(connect: Any, server: Running) -> None:
    exceptions = pytest.importorskip("websockets.exceptions")
    for path, said in (
        ("/stream/none", "no model 'none'; this server has flows, gaps, table, traces"),
        ("/stream/traces", "one label per sequence"),
        ("/stream/flows?lookahead=-1", "lookahead"),
        ("/stream/flows?lookahead=99999999", "lookahead"),
        ("/stream/flows?lookahead=0000099999999", "lookahead"),
    ):
        with pytest.raises(exceptions.ConnectionClosed, match=said):
            connect(path).recv(timeout=10)
    with pytest.raises(exceptions.InvalidStatus):
        connect("/stream/flows", origin="https://evil.example")
    with pytest.raises(exceptions.InvalidStatus):
        connect("/nothing")


FLOWS = Served("flows", Path("flows.bothways"), "1", MODELS["flows"])


def test_open_sequences_take_no_more_memory_than_there_is() -> None:
    """All together, each with what it may come to hold."""
    room, source = Room(32 << 20), Watching().source(FLOWS)
    few, many = (EventStream(FLOWS, source, room, lookahead=late, chunk=late) for late in (10_000, 16))
    lines = few.labeled(events(range(20), 0)).splitlines()
    assert 5 < len(few._sizes) < 20
    assert len(lines) == 20 - len(few._sizes)
    assert "--max-memory" in json.loads(lines[0])["error"]
    assert few.labeled(events(few._sizes, 1)) == ""  # those that are open go on
    assert "--max-memory" in few.labeled(events([100], 0))
    few.labeled('["close", 0]')
    assert few.labeled(events([100], 0)) == ""
    few.labeled('["flush"]')
    assert few.labeled(events(range(5), 0)) == many.labeled(events(range(100), 0)) == ""
    assert "no 'key'" in few.labeled('{"step": 0}')
    wrong = json.dumps({"key": 200, "step": 0, "values": [1, 2]})
    assert "3" in many.labeled(wrong)
    for each in (few, many):
        each.ended([])
    assert room._left == 32 << 20


def test_blanks_around_a_key_do_not_count() -> None:
    stream = EventStream(FLOWS, Watching().source(FLOWS), Room(1 << 20))
    event = {"key": " a", "step": 0, "values": [1, 2, 3]}
    assert stream.labeled(json.dumps(event)) == ""
    assert json.loads(stream.labeled('["close", " a"]'))["key"] == "a"


def test_long_names_of_sequences_count_as_memory() -> None:
    stream = EventStream(FLOWS, Watching().source(FLOWS), Room(1 << 20))
    event = {"key": "a" * 400_000, "step": 0, "values": [1, 2, 3]}
    assert stream.labeled(json.dumps(event)) == stream.labeled(json.dumps(event | {"key": "b" * 400_000})) == ""
    assert "--max-memory" in stream.labeled(json.dumps(event | {"key": "c" * 400_000}))


def test_sequences_of_which_nothing_comes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    size = MODELS["flows"].stream().key_bytes
    sequences = OpenSequences(Watching(), Room(3 * size), idle=60)
    steps = FLOWS.steps(InferenceRequest(None, {}, {"sequences": X[None, :3]}, [], False))
    for name in (1, 2):
        sequences.take(FLOWS, {"sequence_id": name, "sequence_start": True}, steps)
    with pytest.raises(InputError, match="--max-memory"):
        sequences.take(FLOWS, {"sequence_id": 3, "sequence_start": True}, steps)
    sequences.take(FLOWS, {"sequence_id": 2, "sequence_start": True}, steps)  # once more
    sequences.forget()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 30)
    sequences.take(FLOWS, {"sequence_id": 2}, steps)
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    sequences.forget()
    with pytest.raises(InputError, match="has not begun here"):
        sequences.take(FLOWS, {"sequence_id": 1}, steps)
    sequences.take(FLOWS, {"sequence_id": 2, "sequence_end": True}, steps)
    assert sequences._room._left == 3 * size


def test_a_sequence_does_not_go_on_with_other_inputs() -> None:
    """As where its model was replaced by one that learned from other columns."""
    sequences, table = OpenSequences(Watching(), Room(1 << 30), idle=60), Served("flows", Path(), "2", MODELS["table"])
    steps = FLOWS.steps(InferenceRequest(None, {}, {"sequences": X[None, :3]}, [], False))
    sequences.take(FLOWS, {"sequence_id": 1, "sequence_start": True}, steps)
    columns = table.steps(InferenceRequest(None, {}, {"x": X[None, :3, 0], "y": X[None, :3, 1]}, [], False))
    with pytest.raises(InputError, match="began with a model of other inputs"):
        sequences.take(table, {"sequence_id": 1}, columns)
    sequences.take(table, {"sequence_id": 1, "sequence_start": True}, columns)


def test_a_key_and_a_graceful_end(connect: Any, tmp_path: Path, start: Any) -> None:
    exceptions = pytest.importorskip("websockets.exceptions")
    store.save(MODELS["flows"], tmp_path / "flows.bothways")
    server = start(tmp_path, BOTHWAYS_API_KEY="secret")
    event = '{"key": 1, "step": 1, "values": [1, 2, 3]}'
    without = connect("/stream/flows", server)
    without.send(event)
    with pytest.raises(exceptions.ConnectionClosed, match="authorization"):
        without.recv(timeout=10)
    by_header = connect("/stream/flows", server, additional_headers={"Authorization": "Bearer secret"})
    by_message = connect("/stream/flows", server)
    by_message.send('{"authorization": "Bearer secret"}')
    for socket in (by_header, by_message):
        socket.send(event)
        socket.ping().wait(10)
    assert server.stop() == 0
    for socket in (by_header, by_message):
        line, last = read(socket, 2)
        assert line["step"] == 1
        assert last["error"] == "The server ends."


@pytest.mark.slow
def test_without_a_key_only_little_is_read(connect: Any, tmp_path: Path, start: Any) -> None:
    exceptions = pytest.importorskip("websockets.exceptions")
    store.save(MODELS["flows"], tmp_path / "flows.bothways")
    server = start(tmp_path, BOTHWAYS_API_KEY="secret")
    for text in ("x" * (1 << 20), "[" * 10_000):
        socket = connect("/stream/flows", server)
        with suppress(exceptions.ConnectionClosed):
            socket.send(text)
        with pytest.raises(exceptions.ConnectionClosed):
            socket.recv(timeout=10)
    assert not any("Traceback" in line for line in server.log)


def test_messages_of_many_frames_are_read_in_turns(connect: Any, server: Running) -> None:
    """While they come, others are answered."""
    exceptions = pytest.importorskip("websockets.exceptions")
    socket = connect("/stream/flows")
    event = '{"key": 1, "step": 1, "values": [1, 2, 3]}'
    socket.send([*event, "\n", *event.replace('"step": 1', '"step": 2')])
    socket.send('["flush"]')
    assert [line["step"] for line in read(socket, 2)] == [1, 2]
    with suppress(exceptions.ConnectionClosed):
        socket.send("" for _ in range(40_000))
    with pytest.raises(exceptions.ConnectionClosed, match="frames"):
        socket.recv(timeout=20)
    assert server.call("/v2/health/live")[0] == 200


@pytest.mark.slow
def test_messages_that_never_end_count_as_memory(connect: Any, tmp_path: Path, start: Any) -> None:
    exceptions = pytest.importorskip("websockets.exceptions")
    store.save(MODELS["flows"], tmp_path / "flows.bothways")
    server = start(tmp_path, "--max-memory", "2", "--max-body", "1")
    begun = b"\x81\xff" + (900_000).to_bytes(8, "big") + bytes(4) + b"x" * 800_000  # a frame, but for its end
    sockets = [connect("/stream/flows", server) for _ in range(4)]
    for socket in sockets:
        socket.socket.sendall(begun)
    with pytest.raises(exceptions.ConnectionClosed, match="too much"):
        sockets[-1].recv(timeout=10)
    assert server.call("/v2/health/live")[0] == 200


@pytest.mark.slow
def test_a_client_that_goes_while_its_events_are_labeled_is_no_failure(tmp_path: Path, start: Any) -> None:
    server = start(saved({"flows": MODELS["flows"]}, tmp_path))
    messages = [events(range(100), step).encode() for step in range(20)]
    frames = b"".join(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text for text in messages)
    for pause in np.linspace(0, 0.2, 11):
        with create_connection(("127.0.0.1", server.port), 5) as client:
            client.sendall(UPGRADE + frames)
            time.sleep(pause)
            client.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))  # it ends at once, by a reset
    assert server.call("/v2/health/live")[0] == 200
    time.sleep(1)  # what has come is still labeled
    assert server.stop() == 0
    assert [json.loads(line)["event"] for line in server.log] == ["serving", "stopping", "stopped"]


@pytest.mark.slow
def test_a_client_that_reads_nothing_can_send_no_more(server: Running) -> None:
    """What it has sent waits on its side, not in the server's memory; others are answered."""

    def memory() -> int:
        return int(Path(f"/proc/{server.process.pid}/status").read_text().partition("VmRSS:")[2].split()[0]) >> 10

    def send_on(client: Any) -> None:
        for step in range(1 << 18):
            text = events(range(100), step).encode()
            client.sendall(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text)

    before = memory()
    with create_connection(("127.0.0.1", server.port), 5) as client:
        client.sendall(UPGRADE)
        with pytest.raises(TimeoutError):
            send_on(client)
        assert server.call("/v2/health/live")[0] == 200
        assert memory() < before + 64  # of more than 1,000 MB
