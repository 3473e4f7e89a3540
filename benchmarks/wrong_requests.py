"""Wrong requests for a server, of all kinds; now and then one is wrong in nothing."""

from __future__ import annotations

import io
import json
import random
import zlib
from functools import cache
from typing import Any

import polars as pl

INFER = "/v2/models/short/infer"

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**63,
    1e400,
    1.5,
    "",
    "x",
    "ä" * 100,
    [],
    [[]],
    [None],
    {},
    {"a": []},
    [[1, 2], [3]],
]
"""Values for places where JSON should have others."""

HEADERS = [
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Content-Encoding: gzip",
    "Origin: http://a.b",
    ": x",
    "Host: b",
    "X: " + "y" * 100_000,
    "A: b\r\n" * 300 + "A: b",
    "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
]
"""Headers that are wrong, too much, or belong to something else."""

LINES = [
    "GET / HTTP/1.1",
    "POST /label HTTP/1.1",
    "POST /label/short?threshold=x HTTP/1.1",
    "PUT /v2 HTTP/1.1",
    f"POST {INFER} HTTP/3.0",
    "GET /v2/models/%ff%00 HTTP/1.1",
    "GET /" + "a" * 9000 + " HTTP/1.1",
    "GET /stream/short HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "POST //v2//models HTTP/1.1",
    "\x00",
    "GET /v2",
]
"""First lines that ask for something else, or for nothing."""


TABLES = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/jsonl": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
    "text/plain": ".txt",
}
"""What tables come as."""

UPGRADE = """GET /stream/table?lookahead=2 HTTP/1.1\r
Host: localhost\r
Upgrade: websocket\r
Connection: upgrade\r
Sec-WebSocket-Version: 13\r
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
\r
"""


def wrong_request(rng: random.Random) -> bytes:
    """A request that is wrong in some way."""
    kind = rng.randrange(11)
    return wrong_frames(rng) if kind == 10 else wrong_table(rng) if kind == 9 else wrong_inference(rng, kind)


def wrong_table(rng: random.Random) -> bytes:
    """A table that is damaged, cut off, or said to be another kind of file."""
    said = kind = rng.choice(list(TABLES))
    if rng.random() < 0.1:
        said = rng.choice([*TABLES, "application/pdf", ""])
    body = damaged(rng, table(TABLES[kind]))
    if rng.random() < 0.2:
        body = rng.choice([zlib.compress(body, wbits=31), damaged(rng, zlib.compress(body, wbits=31))])
    query = rng.choice(["", "", "?threshold=0.3", "?threshold=x", "?probabilities=true"])
    lines = [f"POST /label/table{query} HTTP/1.1", "Host: localhost", f"Content-Type: {said}"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def wrong_frames(rng: random.Random) -> bytes:
    """A WebSocket whose events are odd, or whose frames are damaged."""
    frames = b""
    for step in range(rng.randrange(5)):
        event: Any = {"flow": "a", "x": step, "y": 1.5}
        event[rng.choice(["flow", "x", "y", "z"])] = rng.choice(ODD)
        text = json.dumps(rng.choice([event, ["close", rng.choice(ODD)], ["flush"], rng.choice(ODD)])).encode()
        first = rng.choice([0x81] * 8 + [0x80, 0x01, 0x82, 0x88, 0x89, 0xF1, 0x83])
        frames += bytes([first, 0x80 | 126]) + len(text).to_bytes(2, "big") + bytes(4) + text
    return UPGRADE.encode() + rng.choice([frames, damaged(rng, frames)])


def damaged(rng: random.Random, whole: bytes) -> bytes:
    """Bytes of which some are missing, or others."""
    at = rng.randrange(len(whole) + 1)
    return rng.choice([whole[:at], whole[:at] + rng.randbytes(3) + whole[at + 1 :], whole[at:], whole[:at] + whole])


@cache
def table(ending: str) -> bytes:
    """A table of two sequences that the server's model labels."""
    frame, file = pl.DataFrame({"flow": ["a"] * 9 + ["ä"] * 9, "x": range(18), "y": [0.5] * 18}), io.BytesIO()
    if ending == ".parquet":
        frame.write_parquet(file)
    elif ending == ".jsonl":
        frame.write_ndjson(file)
    else:
        frame.write_csv(file, separator="\t" if ending == ".tsv" else ",")
    return file.getvalue()


def wrong_inference(rng: random.Random, kind: int) -> bytes:
    """A request of the protocol that is wrong in one of nine ways."""
    tensor: dict[str, Any] = {"name": "sequences", "shape": [1, 10, 4], "datatype": "FP32", "data": [0.5] * 40}
    more: dict[str, Any] = {"name": rng.choice(["lengths", "mask", "x"]), "shape": [1], "datatype": "INT64"}
    message: dict[str, Any] = {"id": "a", "parameters": {}, "inputs": [tensor], "outputs": [{"name": "labels"}]}
    headers, line, behind = ["Host: localhost"], f"POST {INFER} HTTP/1.1", b""
    if kind < 3:  # JSON with something odd somewhere
        if rng.random() < 0.3:
            more["data"] = rng.choice(ODD)
            message["inputs"].append(more)
        part = rng.choice([message, tensor, message["parameters"], message["outputs"][0]])
        names = [*part, "parameters", "binary_data_size", "sequence_id", "sequence_start", "datatype", "shape"]
        part[rng.choice(names)] = rng.choice(ODD)
    elif kind == 3:  # bytes with wrong lengths
        del tensor["data"]
        tensor["parameters"] = {"binary_data_size": rng.choice([0, 4, 160, 161, 2**40, -4])}
        tensor["datatype"] = rng.choice(["FP32", "FP64", "BYTES", "BOOL", "INT8"])
        behind = rng.randbytes(rng.choice([0, 10, 160, 1000]))
        headers.append(f"Inference-Header-Content-Length: {rng.choice([len(json.dumps(message)), 0, 10**30, -1, 'x'])}")
    body = rng.randbytes(rng.randrange(2000)) if kind == 4 else json.dumps(message).encode() + behind
    if kind == 8:  # compressed, but cut off, something else, or far larger than it looks
        wbits = rng.choice([31, 15])
        packed = rng.choice([zlib.compress(body, wbits=wbits), zeros(wbits)])
        body = rng.choice([packed, packed[: rng.randrange(len(packed))], body])
        headers.append(f"Content-Encoding: {rng.choice(['gzip', 'deflate', 'br'])}")
    length: Any = len(body)
    if kind == 5:
        length = rng.choice([length, 0, -1, "x", 10**20, length + 5, f"{length}, {length}"])
        headers += rng.sample(HEADERS, rng.randrange(3))
    if kind == 6:
        line = rng.choice(LINES)
    request = "\r\n".join([line, *headers, f"Content-Length: {length}", "", ""]).encode() + body
    if kind == 7:  # something is damaged, or missing
        at = rng.randrange(len(request))
        request = rng.choice([request[:at], request[:at] + rng.randbytes(3) + request[at + 1 :], request[at:]])
    return request


@cache
def zeros(wbits: int) -> bytes:
    """4 MiB in a few kB."""
    return zlib.compress(bytes(4 << 20), wbits=wbits)
