"""The Open Inference Protocol V2: bodies of requests to arrays, and results to bodies of answers.

https://github.com/kserve/open-inference-protocol, with Triton's extension for binary tensors.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
import orjson

from bothways.errors import InputError
from bothways.sequences import Array

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(bool),
    **{f"{sign}INT{bits}": np.dtype(f"{sign.lower()}int{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
}
"""The data types of tensors of numbers; that of text is BYTES."""

KINDS: dict[str, set[type]] = {
    "F": {int, float, NoneType},
    "I": {int},
    "U": {int},
    "B": {bool},
    "BYTES": {str, NoneType},
}
"""What JSON holds of a data type that begins so."""

MOST_AXES = 3

LABELS, PROBABILITIES = "labels", "probabilities"
HEADER_LENGTH = b"inference-header-content-length"

NAMES = {dtype: name for name, dtype in DTYPES.items()} | {np.dtype(object): "BYTES"}
"""The data types by those of arrays."""


class Output(NamedTuple):
    """An output that a request asks for, and whether as bytes behind the JSON."""

    name: str
    binary: bool


class InferenceRequest(NamedTuple):
    """What a request asks for."""

    id: str | None  # what the caller calls it, to be sent back
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Array]  # of text, those of `str` objects, of which None is missing
    outputs: Sequence[Output]  # in order; none for all
    binary: bool  # whether all outputs come as bytes where none are named


MANY_BYTES, MOST_LISTS = 1 << 16, 1 << 20  # the most lists and objects of a longer body of JSON: each takes memory


def parse(body: bytes, header_length: int | None = None) -> InferenceRequest:
    """Read the body of a request: JSON of `header_length` bytes, None for all, and behind it the tensors that are sent
    as bytes. Raises InputError if it is none of the protocol, or a tensor does not hold what it says.
    """
    at = len(body) if header_length is None else header_length
    if not 0 <= at <= len(body):
        raise InputError(f"Inference-Header-Content-Length is {at}; the body has {len(body)} bytes.")
    lists = body.count(b"[", 0, at) + body.count(b"{", 0, at) if at > MANY_BYTES else 0
    if lists > MOST_LISTS:
        raise InputError(
            f"The request has {lists:,} lists and objects; it may have {MOST_LISTS:,}. Send tensors as bytes."
        )
    try:
        message = orjson.loads(body[:at])
    except orjson.JSONDecodeError as error:
        cure = " What is missing is null; JSON has no NaN." if b"NaN" in body[:at] else ""
        raise InputError(f"The request is no JSON: {error}.{cure}") from None
    if type(message) is not dict:
        raise InputError("The request is no JSON object; it needs one with inputs.")
    parameters = _typed(message, "parameters", dict, {})
    name = message.get("id")
    if name is not None and type(name) is not str:
        raise InputError("id must be text.")
    inputs: dict[str, Array] = {}
    for tensor in _typed(message, "inputs", list):
        key, array, at = _tensor(tensor, body, at)
        if key in inputs:
            raise InputError(f"There are two inputs {key!r}.")
        inputs[key] = array
    if at != len(body):
        raise InputError(f"{len(body) - at} bytes of the body belong to no input.")
    binary = parameters.get("binary_data_output") is True
    outputs = []
    for output in _typed(message, "outputs", list, ()):
        if type(output) is not dict or type(output.get("name")) is not str:
            raise InputError("Each output must be a JSON object with a name.")
        own = _typed(output, "parameters", dict, {}).get("binary_data", binary)
        outputs.append(Output(output["name"], own is True))
    return InferenceRequest(name, parameters, inputs, outputs, binary)


def answer(
    model: Mapping[str, str], request: InferenceRequest, results: Mapping[str, tuple[str, Array]]
) -> list[bytes]:
    """The body of an answer: JSON with what `model` says, and behind it the tensors that are asked for as bytes.
    `results` has data type and array by name; raises InputError if an output is asked for that is not there.
    """
    tensors, behind = [], []
    for name, binary in request.outputs or [Output(name, request.binary) for name in results]:
        if name not in results:
            raise InputError(f"There is no output {name!r}; the outputs are {', '.join(results)}.")
        datatype, array = results[name]
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": array.shape}
        if binary:
            data = _text_bytes(array) if datatype == "BYTES" else array.tobytes()
            tensor["parameters"] = {"binary_data_size": len(data)}
            behind.append(data)
        else:
            tensor["data"] = array.ravel().tolist() if datatype == "BYTES" else array.ravel()
        tensors.append(tensor)
    head = {**model, "id": request.id} if request.id is not None else model
    return [orjson.dumps({**head, "outputs": tensors}, option=orjson.OPT_SERIALIZE_NUMPY), *behind]


def _typed(message: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """A part of a message, of its type."""
    value = message.get(name)
    if value is None and default is not None:
        return default
    if type(value) is not kind:
        raise InputError(f"{name} must be a JSON {'object' if kind is dict else 'array'}.")
    return value


def _tensor(tensor: Any, body: bytes, at: int) -> tuple[str, Array, int]:
    """The name and the array of a tensor, and where the bytes of the next one begin."""
    if type(tensor) is not dict or type(name := tensor.get("name")) is not str:
        raise InputError("Each input must be a JSON object with a name.")
    shape, datatype = tensor.get("shape"), tensor.get("datatype")
    if (
        type(shape) is not list
        or not 0 < len(shape) <= MOST_AXES
        or {type(n) for n in shape} != {int}
        or min(shape) < 1
    ):
        raise InputError(f"Input {name!r}: shape must be a list of 1 to {MOST_AXES} whole numbers from 1.")
    if type(datatype) is not str or (datatype not in DTYPES and datatype != "BYTES"):
        raise InputError(f"Input {name!r}: datatype must be one of: {', '.join(DTYPES)}, BYTES.")
    size = math.prod(shape)
    length = _typed(tensor, "parameters", dict, {}).get("binary_data_size")
    if length is None:
        array = _from_json(name, datatype, tensor.get("data"), shape)
        if array.size != size:
            raise InputError(f"Input {name!r}: data has {array.size} values; the shape {shape} needs {size}.")
        return name, array.reshape(shape), at
    if type(length) is not int or not 0 <= length <= len(body) - at:
        raise InputError(f"Input {name!r}: binary_data_size is {length}; {len(body) - at} bytes are left of the body.")
    if datatype == "BYTES":
        return name, _from_text_bytes(name, body[at : at + length], size).reshape(shape), at + length
    dtype = DTYPES[datatype]
    if length != size * dtype.itemsize:
        raise InputError(f"Input {name!r} has {length} bytes; {shape} of {datatype} needs {size * dtype.itemsize}.")
    if datatype == "BOOL":
        return name, (np.frombuffer(body, np.uint8, size, at) != 0).reshape(shape), at + length
    return name, np.frombuffer(body, dtype, size, at).reshape(shape), at + length


def _from_json(name: str, datatype: str, data: Any, shape: list[int]) -> Array:
    """The values of a tensor, one after the other; null is a missing number or text."""
    if type(data) is not list:
        raise InputError(f"Input {name!r} needs data, a list, or binary_data_size.")
    flat = _flat(name, data, shape) if data and type(data[0]) is list else data
    kinds = KINDS[datatype[0] if datatype != "BYTES" else datatype]
    if not set(map(type, flat)) <= kinds:
        place = next(i for i, value in enumerate(flat) if type(value) not in kinds)
        found = orjson.dumps(flat[place]).decode()[:100]
        raise InputError(f"Input {name!r} is {datatype}, but value {place + 1:,} of its data is {found}.")
    if datatype == "BYTES":
        return np.array(flat, object)
    large = datatype == "UINT64" and min(flat, default=0) >= 0
    widest: Any = {"F": np.float64, "B": np.bool_}.get(datatype[0], np.uint64 if large else np.int64)
    try:
        array = np.array(flat, widest)
    except OverflowError:
        raise InputError(f"Input {name!r}: a number is out of range.") from None
    with np.errstate(over="ignore"):
        return array.astype(DTYPES[datatype]) if datatype[0] == "F" else array


def _flat(name: str, data: list[Any], shape: list[int]) -> list[Any]:
    """The values of nested lists of a shape; axes of length 1 may be left out."""
    sizes = []
    while data and type(data[0]) is list:
        sizes.append(len(data))
        if any(type(row) is not list or len(row) != len(data[0]) for row in data):
            break
        data = [value for row in data for value in row]
    else:
        counts = [size // before for before, size in zip([1, *sizes], [*sizes, len(data)], strict=True)]
        if [size for size in counts if size > 1] == [size for size in shape if size > 1]:
            return data
    raise InputError(f"Input {name!r}: data is nested, but not of the shape {shape}.")


def _from_text_bytes(name: str, data: bytes, count: int) -> Array:
    """Texts, each behind its length in 4 bytes."""
    texts: list[bytes] = []
    at = 0
    while at + 4 <= len(data) and len(texts) < count:
        (length,) = struct.unpack_from("<I", data, at)
        texts.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(data) or len(texts) != count:
        raise InputError(f"Input {name!r}: its bytes are not {count} texts, each behind its length in 4 bytes.")
    try:
        return np.array([text.decode() for text in texts], object)
    except UnicodeDecodeError:
        raise InputError(f"Input {name!r} holds text that is not UTF-8.") from None


def _text_bytes(array: Array) -> bytes:
    texts = [str(text).encode() for text in array.flat]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
