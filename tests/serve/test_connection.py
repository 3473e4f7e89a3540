"""HTTP/1.1 as it comes over a connection: one request after the other, in pieces, compressed, and otherwise odd."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bothways import store
from serving import TABLE, Running, model_of

INFER = "/v2/models/flows/infer"
BODY = json.dumps(
    {"inputs": [{"name": "sequences", "shape": [1, 2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}]}
).encode()


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "flows.bothways"
    store.save(model_of(), path)
    return path


@pytest.fixture(scope="module")
def server(model_file: Path, start: Any) -> Running:
    return start(model_file, "--max-body", "1", "--max-seconds", "4", "--max-connections", "20")  # type: ignore[no-any-return]


def posted(body: bytes = BODY, *lines: str, line: str = f"POST {INFER} HTTP/1.1") -> bytes:
    return "\r\n".join([line, "Host: localhost", f"Content-Length: {len(body)}", *lines, "", ""]).encode() + body


@dataclass
class Answered:
    """An answer; equal to another one if they differ in nothing but headers."""

    status: int
    body: bytes
    head: bytes = field(compare=False)


def sent(server: Running, *parts: bytes, pause: float = 0.0) -> list[Answered]:
    """The answers to bytes behind which nothing more is sent."""
    with socket.create_connection(("127.0.0.1", server.port), 15) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while more := connection.recv(65536):
            received += more
    answers = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        answers.append(Answered(int(head[9:12]), received[:size], head))
        received = received[size:]
    return answers


def test_requests_that_do_not_wait_are_answered_in_order(server: Running) -> None:
    requests = [posted(line="GET /v2 HTTP/1.1", body=b""), posted(), posted(b"?"), posted()] * 50
    (alone,) = sent(server, posted())
    answers = sent(server, b"".join(requests))
    assert [each.status for each in answers] == [200, 200, 400, 200] * 50
    assert {each.body for each in answers[1::2]} == {alone.body}


def test_a_request_in_single_bytes_and_in_chunks(server: Running) -> None:
    whole = sent(server, posted())
    assert sent(server, *[bytes([byte]) for byte in posted()], pause=0.001) == whole
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(BODY[i : i + 50]), BODY[i : i + 50]) for i in range(0, len(BODY), 50))
    assert sent(server, head + chunks + b"0\r\nContent-Type: x\r\n\r\n", posted()) == whole * 2


def test_the_same_head_with_other_bodies(server: Running) -> None:
    other = BODY.replace(b"6]", b"9]")
    (whole,), (changed,) = sent(server, posted()), sent(server, posted(other))
    assert whole != changed
    parts = [posted(), posted(other), posted()[:60], posted()[60:], posted(other) + posted(), posted(b"x" * len(BODY))]
    answers = sent(server, *parts, posted(other)[:-1], pause=0.05)
    assert answers[:5] == [whole, changed, whole, changed, whole]
    assert [each.status for each in answers[5:]] == [400, 400]  # the last body never ends


def test_a_host_is_needed(server: Running) -> None:
    (answer,) = sent(server, b"GET /v2 HTTP/1.1\r\n\r\n")
    assert (answer.status, b"Host" in answer.body) == (400, True)
    assert sent(server, b"GET /v2 HTTP/1.0\r\n\r\n")[0].status == 421
    hosts = [b"Host: localhost\r\n", b"HOST: evil.example\r\n"]
    for two in (hosts, hosts[::-1], hosts[:1] * 2):
        assert [each.status for each in sent(server, b"GET /v2 HTTP/1.1\r\n%s\r\n" % b"".join(two))] == [400]


def test_blanks_around_a_header_are_none_of_it(server: Running) -> None:
    (answer,) = sent(server, b"GET /v2 HTTP/1.1\r\nHost: \tlocalhost \t\r\n\r\n")
    assert answer.status == 200


def test_what_is_offered_beside_http_is_let_be(server: Running) -> None:
    whole = sent(server, posted())
    offered = posted(BODY, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    assert sent(server, offered + posted()) == whole * 2
    assert re.search(rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", whole[0].head)
    continued = posted(BODY, "Expect: 100-continue")
    first, answer = sent(server, continued)
    assert first.status == 100
    assert answer == whole[0]
    absolute = posted(line=f"POST http://localhost{INFER}?a=b HTTP/1.1")
    assert sent(server, absolute) == whole
    assert [each.status for each in sent(server, posted(line="CONNECT localhost:80 HTTP/1.1"))] == [405]


@pytest.mark.parametrize("path", ["/stream/flows", "/watch/none?lookahead=1"])
def test_a_websocket_whose_upgrade_got_lost(server: Running, path: str) -> None:
    """A proxy that is not told to pass it on leaves it out, or speaks HTTP/1.0."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket")
    for version, lines in (("1.1", ()), ("1.1", upgrade[:1]), ("1.0", upgrade)):
        (answer,) = sent(server, posted(b"", *lines, line=f"GET {path} HTTP/{version}"))
        assert answer.status == 426
        assert b"upgrade: websocket" in answer.head
        assert b"proxy" in answer.body
    assert sent(server, posted(b"", line=f"PUT {path} HTTP/1.1"))[0].status == 405


def test_the_last_request_of_a_connection(server: Running) -> None:
    old = f"POST {INFER} HTTP/1.0"
    for request in (
        posted(BODY, "Connection: close"),
        posted(line=old),
        posted(BODY, "Connection: keep-alive", line=old),
    ):
        (answer,) = sent(server, request + posted())
        assert answer.status == 200
        assert b"connection: close" in answer.head


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"GET /v2 HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (posted(line="GET /" + "a" * 40_000 + " HTTP/1.1"), 431),
        (posted(BODY, "X: " + "y" * 40_000), 431),
        (posted(BODY, *["X: y"] * 10_000), 431),
        (b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"y" * 300_000, 431),
        (b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"y" * 300_000, 431),
        (posted()[:-1], 400),
    ],
)
def test_what_ends_a_connection(server: Running, request_: bytes, status: int) -> None:
    answers = sent(server, posted() + request_)
    assert [each.status for each in answers] == [200, status]
    assert b"connection: close" in answers[-1].head


@pytest.mark.slow
def test_what_waits_for_nothing_is_cut_off(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 15) as connection:
        connection.sendall(posted() + b"POST ")
        began = time.monotonic()
        received = b""
        while more := connection.recv(65536):
            received += more
        assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"408"]
        assert 4 <= time.monotonic() - began < 8


def test_who_does_not_read_is_not_answered_for_ever(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 15) as connection:
        connection.settimeout(0.5)
        request = posted(line="GET /openapi.json HTTP/1.1", body=b"")
        with pytest.raises(TimeoutError):
            connection.sendall(request * 1_000_000)
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        assert int(status.partition("VmRSS:")[2].split()[0]) < 1 << 20  # KiB
    assert server.call("/v2")[0] == 200


def test_too_many_connections(server: Running) -> None:
    opened = [socket.create_connection(("127.0.0.1", server.port), 15) for _ in range(21)]
    time.sleep(0.2)
    assert opened[-1].recv(65536).startswith(b"HTTP/1.1 503")
    for each in opened:
        each.close()
    time.sleep(0.2)
    assert server.call("/v2")[0] == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies(server: Running, encoding: str) -> None:
    packed: Any = gzip.compress if encoding == "gzip" else zlib.compress
    header = f"Content-Encoding: {encoding}"
    (answer,) = sent(server, posted(packed(BODY), header))
    assert answer.status == 200
    assert json.loads(answer.body) == server.call(INFER, BODY)[1]
    for wrong, expected in (
        (BODY, 400),
        (packed(BODY)[:-3], 400),
        (packed(BODY) + b"x", 400),
        (packed(bytes((1 << 20) + 1)), 413),
        (packed(bytes(1 << 20)), 400),
    ):
        assert [each.status for each in sent(server, posted(wrong, header))] == [expected]
    assert sent(server, posted(packed(BODY), "Content-Encoding: x-gzip \t"))[0].status == 200
    assert sent(server, posted(BODY, "Content-Encoding: br"))[0].status == 415


def test_compressed_answers(server: Running) -> None:
    tensor = {"name": "sequences", "shape": [1, 8000, 3], "datatype": "FP32", "data": [0.5] * 24_000}
    body = json.dumps({"inputs": [tensor]}).encode()
    plain = sent(server, posted(body))[0]
    for accept in ("br, gzip;q=0.5", "GZIP"):
        answer = sent(server, posted(body, f"Accept-Encoding: {accept}"))[0]
        assert answer.status == 200
        assert b"content-encoding: gzip" in answer.head
        assert gzip.decompress(answer.body) == plain.body
    for accept in ("br", "gzip;q=0", "identity"):
        assert sent(server, posted(body, f"Accept-Encoding: {accept}"))[0] == plain
    assert b"content-encoding" not in sent(server, posted(BODY, "Accept-Encoding: gzip"))[0].head


@pytest.mark.slow
def test_who_only_sends_requests_that_are_refused_leaves_room_for_others(model_file: Path, start: Any) -> None:
    """Many at once on one connection, whose answers are not read, do not count as work."""
    server = start(model_file, "--max-queue", "4", BOTHWAYS_API_KEY="secret")
    with socket.create_connection(("127.0.0.1", server.port), 15) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
        time.sleep(0.3)
        for _ in range(5):
            assert server.call(INFER, BODY, {"Authorization": "Bearer secret"})[0] == 200


@pytest.mark.slow
def test_bodies_that_become_far_larger_are_refused(tmp_path: Path, start: Any) -> None:
    store.save(model_of(), tmp_path / "flows.bothways")
    store.save(model_of(2, columns=TABLE), tmp_path / "table.bothways")
    server = start(tmp_path)
    commas = gzip.compress(b"," * 5_000_000 + b"\n")
    status, answer, _ = server.call("/label/table", commas, {"Content-Type": "text/csv"})
    assert (status, "it may have 1,048,576" in answer["error"]) == (400, True)
    wide = gzip.compress(b"," * 500_000 + b"\n" * 3)
    status, answer, _ = server.call("/label/table", wide, {"Content-Type": "text/csv"})
    assert (status, "a table may have 20,000 columns" in answer["error"]) == (400, True)
    status, answer, _ = server.call("/label/table", gzip.compress(b"a " * 500_000), {"Content-Type": "text/plain"})
    assert (status, "it may have 65,536" in answer["error"]) == (400, True)
    empty = gzip.compress(b"\n" * 30_000_000)
    assert server.call("/label/table", empty, {"Content-Type": "text/csv"})[0] == 400
    lists = gzip.compress(b'{"inputs":[' + b"[]," * 2_000_000 + b"0]}")
    status, answer, _ = server.call(INFER, lists, {"Content-Encoding": "gzip"})
    assert (status, "lists and objects" in answer["error"]) == (400, True)
