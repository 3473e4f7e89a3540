"""Who may ask, for how much at once, and what happens to those who do it wrong."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways import store
from bothways.cli import main
from bothways.errors import InputError
from bothways.serve import Limits
from bothways.serve.server import serve
from serving import Running, model_of

BODY = {"inputs": [{"name": "sequences", "shape": [1, 2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}]}
INFER = "/v2/models/flows/infer"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "flows.bothways"
    store.save(model_of(), path)
    return path


@pytest.fixture(scope="module")
def server(path: Path, start: Any) -> Running:
    """One that asks for little, but soon."""
    return start(path, "--max-body", "1", "--max-seconds", "2")  # type: ignore[no-any-return]


def sent(server: Running, *parts: bytes, pause: float = 0.0, half_close: bool = False) -> bytes:
    """What comes back for bytes that are sent one after the other, until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), 15) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while more := connection.recv(65536):
                received += more
        except ConnectionResetError:
            pass
        return received


def head(length: int | str, *lines: str, path: str = INFER) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *lines)
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_key(path: Path, start: Any) -> None:
    server = start(path, BOTHWAYS_API_KEY="secret")
    for headers in ({}, {"Authorization": "Bearer secre"}, {"Authorization": "secret"}):
        status, answer, said = server.call(INFER, BODY, headers)
        assert (status, said["www-authenticate"]) == (401, "Bearer")
        assert "Authorization" in answer["error"]
    for scheme in ("Bearer", "bearer", "BEARER "):
        assert server.call(INFER, BODY, {"Authorization": f"{scheme} secret"})[0] == 200
    assert server.call("/metrics")[0] == server.call("/v2/models")[0] == 401
    assert server.call("/v2/health/ready")[0] == server.call("/docs")[0] == 200
    assert server.call("/v2", headers={"Host": "models.example", "Authorization": "Bearer secret"})[0] == 200
    server.stop()
    assert "secret" not in "".join(server.log)


@pytest.mark.parametrize(
    ("given", "variable"), [([], ""), ([], " \n"), (["--key", ""], None), (["--key", " "], "secret")]
)
def test_a_key_that_is_empty_is_refused(
    path: Path, given: list[str], variable: str | None, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """As that of a secret which is not set."""
    if variable is not None:
        monkeypatch.setenv("BOTHWAYS_API_KEY", variable)
    with pytest.raises(SystemExit, match="2"):
        main(["serve", str(path), "--port", "1", *given])
    assert "The key is empty" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("key", ["clé", "a\nb", "łódź"])
def test_a_key_that_not_all_clients_can_send_is_refused(path: Path, key: str) -> None:
    with pytest.raises(InputError, match="ASCII"):
        serve(path, "127.0.0.1", 1, Limits(), key)


@pytest.mark.parametrize("host", ["", " ", "[]"])
def test_a_host_that_is_empty_is_refused(path: Path, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be every address of the machine."""
    with pytest.raises(SystemExit, match="2"):
        main(["serve", str(path), "--port", "1", "--host", host])
    assert "The host is empty" in " ".join(capsys.readouterr().err.split())


def test_blanks_around_a_key_do_not_count(path: Path, start: Any) -> None:
    server = start(path, BOTHWAYS_API_KEY=" secret\n")
    assert server.call(INFER, BODY, {"Authorization": "Bearer secret"})[0] == 200


def test_pages_of_others_do_not_get_in(server: Running) -> None:
    assert server.call("/v2", headers={"Host": "evil.example"})[0] == 421
    status, answer, _ = server.call(INFER, BODY, {"Origin": "https://models.example"})  # as behind nginx without more
    assert (status, "A proxy must pass on the Host" in answer["error"]) == (403, True)
    status, _, said = server.call(INFER, BODY, {"Origin": f"http://127.0.0.1:{server.port}"})
    assert status == 200
    assert not [name for name in said if name.lower().startswith("access-control")]
    status, _, said = server.call(INFER, method="OPTIONS")
    assert (status, said["allow"]) == (405, "POST")


def test_what_is_not_there(server: Running) -> None:
    assert server.call("/nothing")[0] == server.call("/v2/models/a/b/c")[0] == 404
    assert server.call("/v2", b"{}")[0] == 405
    status, answer, _ = server.call("/v2", method="HEAD")
    assert (status, answer) == (200, b"")


def test_bodies_that_are_too_large(server: Running) -> None:
    for request in (head(2 << 20), head(10**12)):
        assert sent(server, request).startswith(b"HTTP/1.1 413")
    chunked = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    assert sent(server, chunked, *[piece] * 17).startswith(b"HTTP/1.1 413")


def test_headers_that_are_too_large_or_no_headers(server: Running) -> None:
    assert b" 431 " in sent(server, b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n")[:20]
    for nonsense in (b"\x16\x03\x01" * 50 + b"\r\n\r\n", head("many"), head(-1), b"GET /v2 HTTP/9.9\r\n\r\n"):
        assert sent(server, nonsense)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 505", b"")


@pytest.mark.slow
def test_the_slow_ones(server: Running) -> None:
    began = time.monotonic()
    assert sent(server, b"GET /v2 HTT")[:12] in (b"", b"HTTP/1.1 408")  # no whole header
    assert sent(server, head(500), b"{")[:12] == b"HTTP/1.1 408"  # no whole body
    assert sent(server, b"") == b""  # nothing at all
    assert time.monotonic() - began < 12
    assert server.call("/v2/health/live")[0] == 200


def test_half_closed_and_broken_connections(server: Running) -> None:
    body = json.dumps(BODY).encode()
    assert sent(server, head(len(body)) + body, half_close=True)[:12] in (b"HTTP/1.1 200", b"")
    assert sent(server, head(len(body)) + body[:20], half_close=True)[:12] in (b"HTTP/1.1 400", b"")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head(len(body)) + body[:20])
    assert server.call(INFER, BODY)[0] == 200


def test_a_full_queue_says_when_to_come_again(path: Path, start: Any) -> None:
    server = start(path, "--max-queue", "1", "--max-seconds", "5")
    with socket.create_connection(("127.0.0.1", server.port)) as waiting:
        waiting.sendall(head(500) + b"{")
        time.sleep(0.3)
        status, answer, said = server.call(INFER, BODY)
        assert (status, said["retry-after"], list(answer)) == (503, "1", ["error"])
        assert server.call("/v2/health/ready")[0] == 200
    time.sleep(0.3)
    assert server.call(INFER, BODY)[0] == 200


def test_a_graceful_end(path: Path, start: Any) -> None:
    server = start(path)
    body = json.dumps(BODY).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as late:
        late.sendall(head(len(body)) + body[:30])
        time.sleep(0.3)
        codes: list[int] = []
        ending = threading.Thread(target=lambda: codes.append(server.stop()))
        ending.start()
        time.sleep(0.5)
        late.sendall(body[30:])
        assert late.recv(65536).startswith(b"HTTP/1.1 200")
    ending.join()
    assert codes == [0]
    events = [json.loads(line)["event"] for line in server.log]
    assert events == ["serving", "stopping", "stopped"]


@pytest.mark.slow
def test_what_has_arrived_is_answered_at_the_end(path: Path, start: Any) -> None:
    """Also what the server has not seen yet, over connections that it has not accepted yet."""
    server = start(path)
    body = json.dumps(BODY).encode()
    connections = [socket.create_connection(("127.0.0.1", server.port), 15) for _ in range(3)]
    connections[0].sendall(head(len(body)) + body)
    assert connections[0].recv(65536).startswith(b"HTTP/1.1 200")
    server.process.send_signal(signal.SIGSTOP)
    connections += [socket.create_connection(("127.0.0.1", server.port), 15) for _ in range(20)]
    for connection in connections[:-1]:
        connection.sendall(head(len(body)) + body)
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGCONT)
    for connection in connections[:-1]:
        with connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            assert connection.recv(65536) == b""
    with connections[-1] as silent:
        assert silent.recv(65536) == b""
    assert server.stop() == 0
    assert json.loads(server.log[-1])["unfinished"] == 0


@pytest.mark.slow
def test_clients_that_ask_again_and_again_are_told_to_go(path: Path, start: Any) -> None:
    server = start(path)
    body = json.dumps(BODY)
    failures: list[Exception] = []

    def ask() -> None:
        try:
            while True:
                with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)) as client:
                    for _ in range(10**6):
                        client.request("POST", INFER, body)
                        with client.getresponse() as answer:
                            answer.read()
                            assert answer.status == 200
                            if answer.will_close:
                                break
        except ConnectionRefusedError:
            pass
        except Exception as error:
            failures.append(error)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    for client in clients:
        client.join()
    assert not failures
    assert json.loads(server.log[-1])["unfinished"] == 0


@pytest.mark.slow
def test_what_is_not_done_in_time_at_the_end_is_counted(path: Path, start: Any) -> None:
    server = start(path, "--max-seconds", "2")
    with socket.create_connection(("127.0.0.1", server.port), 15) as slow:
        slow.sendall(head(500)[:-2])
        ending = threading.Thread(target=server.stop)
        ending.start()
        time.sleep(1)
        slow.sendall(b"\r\n")
        ending.join()
    assert json.loads(server.log[-1])["unfinished"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_ends_it_gracefully_or_not_at_all(path: Path, start: Any, ignored: bool) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)  # servers inherit it
    server = start(path)
    signal.signal(signal.SIGHUP, before)
    server.process.send_signal(signal.SIGHUP)
    if ignored:
        time.sleep(0.5)
        assert server.call(INFER, BODY)[0] == 200
    else:
        assert server.process.wait(15) == 0


@pytest.mark.slow
def test_a_signal_that_comes_twice_ends_it_gracefully(path: Path, start: Any) -> None:
    server = start(path)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert server.stop() == 0


def test_a_line_for_each_request_without_its_data(path: Path, start: Any) -> None:
    server = start(path, "--log-requests")
    server.call(f"{INFER}?token=1234", BODY)
    server.stop()
    (line,) = [json.loads(line) for line in server.log if '"request"' in line]
    assert line.items() >= {"method": "POST", "path": INFER, "status": 200}.items()
    assert "1234" not in json.dumps(line)


def test_a_failure_is_logged_without_its_data() -> None:
    """Also where its message has several lines, as those of Polars, and where it comes of another one."""
    from bothways.serve.server import Lines

    data = "secret\nin a column of numbers\n"
    try:
        try:
            raise ValueError(data)
        except ValueError as cause:
            raise RuntimeError(data) from cause
    except RuntimeError:
        record = logging.LogRecord("bothways.serve", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    line = json.loads(Lines().format(record))
    assert "test_a_failure_is_logged_without_its_data" in line["where"]
    assert "secret" not in line["where"]


def test_what_nobody_catches_is_logged_without_its_data(caplog: pytest.LogCaptureFixture) -> None:
    from bothways.serve.server import Lines, _told

    async def fail() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_told)
        loop.call_soon(lambda: float("secret"))
        await asyncio.sleep(0)

    with ThreadPoolExecutor(1) as thread:  # in this one a browser of other tests may have a loop
        thread.submit(asyncio.run, fail()).result()
    (record,) = (each for each in caplog.records if each.name == "bothways.serve")  # others may log, too
    line = json.loads(Lines().format(record))
    assert (line["event"], "secret" in record.getMessage()) == ("failed", False)
    assert "in fail" not in line["where"] or "ValueError" not in line["where"]


def test_metrics(path: Path, start: Any) -> None:
    server = start(path)
    for _ in range(3):
        server.call(INFER, {"inputs": [BODY["inputs"][0] | {"shape": [2, 1, 3]}]})
    server.call(INFER, b"?")
    (version,) = server.call("/v2/models/flows")[1]["versions"]
    lines = server.call("/metrics")[1].decode().splitlines()
    found = {line.partition("{")[0]: float(line.split()[-1]) for line in lines if f'version="{version}"' in line}
    assert found["nv_inference_request_success"] == 3
    assert found["nv_inference_request_failure"] == 1
    assert found["nv_inference_count"] == found["bothways_steps_total"] == 6
    assert 0 < found["nv_inference_exec_count"] <= 3
    assert 0 < found["nv_inference_compute_infer_duration_us"] < found["nv_inference_request_duration_us"] < 6e7
    assert found["nv_inference_queue_duration_us"] >= 0
    assert "# TYPE nv_inference_request_success counter" in lines
    assert not [line for line in lines if line.endswith("untyped")]
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)


def test_other_machines_do_not_reach_it(server: Running) -> None:
    """For whom another address of this one stands."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port))


@pytest.mark.slow
def test_other_machines_reach_it_where_it_is_told(path: Path, start: Any) -> None:
    server = start(path, "--host", "0.0.0.0")
    with socket.create_connection(("127.0.0.2", server.port), 15) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: models.example\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    line = server.process.stderr.readline()  # the one after "serving"
    assert '"warning"' in line
    assert "whoever reaches this port" in line
    assert server.stop() == 0


def test_an_address_of_ipv6_in_brackets(path: Path, start: Any) -> None:
    """As the log shows it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("This machine has no IPv6.")
    server = start(path, "--host", "[::1]")
    assert f"http://[::1]:{server.port}" in server.log[-1]


def test_a_port_that_is_taken(path: Path, server: Running) -> None:
    command = [sys.executable, "-m", "bothways", "serve", str(path), "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "cannot listen here (Address already in use). Choose another --port" in " ".join(done.stderr.split())


@pytest.mark.parametrize(("name", "said"), [("", "holds no .bothways file"), ("none.bothways", "no such file")])
def test_no_model(name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["serve", str(tmp_path / name)])
    assert end.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_what_is_not_installed_is_said(path: Path) -> None:
    code = "import sys; sys.modules['httptools'] = None; from bothways.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "serve", str(path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'bothways[serve]'" in " ".join(done.stderr.split())


def test_requests_at_once_get_what_they_would_alone(server: Running) -> None:
    """Runs that are shared change nothing, and one wrong request harms nobody."""
    generator = np.random.default_rng(0)
    bodies, alone = [], []
    for i in range(40):
        x = generator.normal(size=(1, 1 + i % 7, 3)).astype(np.float32)
        data = x.ravel().tolist()
        if i % 10 == 3:
            data[0] = 1e39
        bodies.append({"inputs": [{"name": "sequences", "shape": list(x.shape), "datatype": "FP32", "data": data}]})
        alone.append(server.call(INFER, bodies[-1])[:2])
    assert [status for status, _ in alone].count(400) == 4
    together: list[Any] = [None] * len(bodies)

    def ask(i: int) -> None:
        together[i] = server.call(INFER, bodies[i])[:2]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
