"""The state of a key, and all that a stream holds, as bytes: a digest, a line of JSON, arrays.

The digest covers the rest; the line begins with the fingerprint of the stream that the bytes are for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.runtime import Model
from bothways.sequences import Array
from bothways.stream.events import Time, step_kind
from bothways.stream.keys import Keys

DIGEST = 16  # the size of digests, in bytes
FORM = 3  # raised whenever what a state holds changes, so that states of another form are refused


def fingerprint(model: Model, *settings: int) -> str:
    """What tells apart streams that cannot read each other's states."""
    digest = hashlib.blake2b(digest_size=DIGEST)
    for member in model.members:
        for name, array in sorted(member.arrays().items()):
            digest.update(f"{name} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    averaged = [each.share for each in model.members], model.temperature
    factors = [] if model.factors is None else model.factors.tolist()
    decided = model.threshold, factors, model.scheme and model.scheme.name
    described = [[asdict(network) for network in model.networks], model.classes, averaged, decided, settings, FORM]
    digest.update(json.dumps([*described, None if model.columns is None else model.columns.to_json()]).encode())
    return digest.hexdigest()


def pack(mark: str, facts: Mapping[str, Any], arrays: Iterable[Array]) -> bytes:
    """Facts and arrays as bytes; raises InputError if a fact is, or holds, what JSON has no form for."""
    line = json.dumps({"stream": mark, **facts}, default=_coded).encode() + b"\n"
    body = line + b"".join(array.tobytes() for array in arrays)
    return hashlib.blake2b(body, digest_size=DIGEST).digest() + body


def unpack(mark: str, state: bytes, fact: str) -> tuple[dict[str, Any], Callable[[tuple[int, ...], Any], Array]]:
    """The facts, and what takes the arrays, of which shape and type must be known, one after the other. Raises
    InputError if the bytes are damaged, not of a stream with this mark, or without this `fact`.
    """
    if not isinstance(state, (bytes, bytearray, memoryview)):
        raise InputError(f"The state of a stream is bytes, as Stream.state or Stream.save gave it; {state!r} is none.")
    body = memoryview(state)[DIGEST:]
    if hashlib.blake2b(body, digest_size=DIGEST).digest() != bytes(state[:DIGEST]):
        raise InputError("This state of a stream is damaged or cut short. Take one that is whole.")
    line, _, rest = bytes(body).partition(b"\n")
    facts = json.loads(line, object_hook=_decoded)
    if facts.pop("stream") != mark:
        raise InputError(
            "This state is of another model or version of bothways, or of a stream with another lookahead, chunk or "
            "reorder. Make the stream as that one was made."
        )
    if fact not in facts:
        raise InputError("Stream.restore takes what Stream.state gave, of a key; Stream.load what Stream.save gave.")
    place = 0

    def take(shape: tuple[int, ...], dtype: Any) -> Array:
        nonlocal place
        count = int(np.prod(shape))
        array = np.frombuffer(rest, dtype, count, place).reshape(shape)
        place += array.nbytes
        return array

    return facts, take


def key_state(mark: str, keys: Keys, slot: int) -> bytes:
    """What is known of a key."""
    length, waiting = int(keys.length[slot]), keys.waiting.get(slot, [])
    facts = {
        "steps": keys.steps[slot, :length].tolist(),
        "past": int(keys.past[slot]),
        "label": int(keys.label[slot]),
        "last": keys.last[slot],
        "waiting": [step for step, _ in waiting],
    }
    rows = [keys.values[slot, :length], *(row for _, row in waiting)]
    return pack(mark, facts, [*rows, *keys.carried(slot)])


def restore_key(mark: str, keys: Keys, key: Hashable, state: bytes, kind: str) -> str:
    """Let a key be as it was; returns the kind of its steps. Raises as `unpack`, and if `kind`, of the steps of the
    stream, is another one.
    """
    facts, take = unpack(mark, state, "steps")
    found = next((step_kind(step) for step in (facts["last"], *facts["waiting"]) if step is not None), kind)
    if kind not in ("", found):
        raise InputError(f"The steps of this state are {found}; those of this stream are {kind}.")
    features, dtype = keys.values.shape[2], keys.values.dtype
    values = take((len(facts["steps"]), features), dtype)
    waiting = [(step, take((features,), dtype)) for step in facts["waiting"]]
    slot = keys.slot(key)
    keys.make_room(len(values))
    keys.steps[slot, : len(values)], keys.values[slot, : len(values)] = facts["steps"], values
    keys.length[slot], keys.past[slot], keys.last[slot] = len(values), facts["past"], facts["last"]
    keys.label[slot] = facts["label"]
    keys.waiting[slot] = waiting
    for row in keys.carried(slot):
        row[:] = take(row.shape, row.dtype)
    return found


def coded_key(key: Hashable) -> Any:
    """A key as JSON holds it, which has no tuples."""
    return {"tuple": list(map(coded_key, key))} if isinstance(key, tuple) else key


def _coded(value: Any) -> Any:
    if isinstance(value, Time):
        return {"text": value.text, "time": value.isoformat()}
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, np.generic):
        return value.item()
    raise InputError(f"A key or step is {value!r}, which cannot be saved; use numbers, text or times.")


def _decoded(value: dict[str, Any]) -> Any:
    match value:  # by types, too: columns and values that a `Tally` counts may have any name
        case {"text": str(text)}:
            return Time.of(text, value.get("time"))
        case {"time": str(time)}:
            return datetime.fromisoformat(time)
        case {"tuple": list(parts)}:
            return tuple(parts)
    return value
