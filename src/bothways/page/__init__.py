"""The page for people: a server gives it, or it is one file with a model and the engine as WebAssembly."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.data import Columns
from bothways.data.columns import NAMED, TOLD
from bothways.errors import InputError, MissingDependencyError, ModelFileError
from bothways.export import graph_of
from bothways.export.graph import Graph, type_name
from bothways.fields.moments import template
from bothways.fields.names import digits_of_date, joined_columns, names_sequences, names_time_of_day, part_of_time
from bothways.files import check_output, written_whole
from bothways.jobs.models import table_columns
from bothways.jobs.prediction import threshold_of
from bothways.runtime import Model

__all__ = ["card", "server_page", "write_page"]

ENGINE = "engine.wasm"

SCRIPTS = ("graph.js", "kernels.js", "table.js", "fields.js", "sequences.js", "thread.js", "worker.js")
"""What runs in the threads that label tables."""

OPSET = 20  # the version of the operators that graph.js knows

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""What a browser lets the page do: nothing over the network."""


def write_page(model: Model, path: str | os.PathLike[str], name: str) -> Path:
    """Write an .html page that labels tables by itself, and calls the model `name`. Raises InputError if the model was
    trained on arrays or holds what a graph cannot do, and MissingDependencyError if bothways was installed without the
    engine for pages.
    """
    path = check_output(path, (".html",))
    said, arrays = _described(model, table_columns(model, name), name)
    engine = files("bothways.page").joinpath(ENGINE)
    if not engine.is_file():
        raise MissingDependencyError(f"This installation has no {ENGINE}, which pip compiles. Install bothways again.")
    parts = {
        "page": _bare(_text("page.js", "engine.js", "thread.js", "draw.js")).encode(),
        "wasm": engine.read_bytes(),
        "described": json.dumps(said).encode(),
        "weights": b"".join(map(_planes, arrays)),
        "worker": _bare(f"'use strict'\n{_text(*SCRIPTS)}").encode(),
    }
    brought = "".join(f'<script id="{key}" type="text/plain">{_packed(part)}</script>\n' for key, part in parts.items())
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    text = _bare(_with(_text("packed.js"))).replace("</html>", f"{brought}</html>")
    with written_whole(path, ModelFileError) as temporary:
        text = text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}', 1)
        temporary.write_text(text, encoding="utf-8")
    return path


@cache
def server_page() -> bytes:
    """The page in front of a server."""
    return _with(_text("page.js", "server.js", "draw.js", "live.js")).encode()


def _with(script: str) -> str:
    """The page and its script."""
    return _text("page.html").replace("</html>", f"<script>\n{script}</script>\n</html>")


def _text(*names: str) -> str:
    """These files, one after the other."""
    return "".join(files("bothways.page").joinpath(name).read_text("utf-8") for name in names)


def _bare(text: str) -> str:
    """Scripts without indentation, and without comments on lines of their own or at the ends of others; styles without
    any white space that says nothing: a page is sent by mail.
    """
    comment = r"/\*(?:[^*]|\*(?!/))*\*/"
    text = re.sub(r"(?m)^ +", "", re.sub(rf"(?m)^ *{comment}\n|  {comment}$", "", text))
    return re.sub("(?s)<style>.*?</style>", lambda found: re.sub(r"\s*([{};,])\s*|(:)\s+", r"\1\2", found[0]), text)


def card(model: Model, name: str) -> dict[str, Any]:
    """What a model is, for people; the page shows it."""
    positive, threshold, roles = None, None, None
    if len(model.classes) == 2 and (model.scheme is None or "O" in model.scheme.letters):
        positive, threshold = threshold_of(model, "0.5") or (1, 0.5)
        kept = model.facts.get("threshold")
        threshold = kept["value"] if kept else model.threshold if positive else 1 - model.threshold
    if (columns := model.table) is not None:
        roles = {
            "sequence": columns.sequence,
            "order": columns.order,
            "numbers": list(columns.numbers),
            "categories": list(columns.categories),
            "words": columns.words,
        }
    return {
        "name": name,
        "summary": model.summary,
        "classes": [str(label) for label in model.classes],
        "per": model.network.per,
        "positive": positive,
        "threshold": threshold,
        "columns": roles,
    }


def _packed(content: bytes) -> str:
    """Compressed, as letters that do not end a script; weights hold no words to refer back to."""
    found = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE):
        packing = zlib.compressobj(9, wbits=31, memLevel=9, strategy=strategy)
        found.append(packing.compress(content) + packing.flush())
    return base64.b85encode(min(found, key=len)).decode().replace("<", ",")


def _described(model: Model, columns: Columns, name: str) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    """What worker.js makes a model of: a description, and the arrays that it names."""
    graph = graph_of(model, OPSET, page=True)
    for node in graph.nodes:
        if node.operator not in _operators():
            raise InputError(f"{name}: this model needs the operator {node.operator}, which a page does not have.")
    constants = {key: _narrowed(name, array) for key, array in graph.constants.items()}
    described = {
        "card": card(model, name),
        "classes": model.classes,
        "table": _table(columns),
        "graph": _nodes(graph),
        "constants": [(key, array.dtype.name, array.shape) for key, array in constants.items()],
    }
    return described, list(constants.values())


def _table(columns: Columns) -> dict[str, Any]:
    """How sequences.js reads a table."""
    encoding = columns.fitted
    known = {each.name for each in columns.guesses}
    whys = " ".join(each.why for each in columns.guesses)
    parts = joined_columns(columns.order, known - {columns.order}) if TOLD in whys else []
    parts = parts or ([] if columns.order is None else [columns.order])
    told = [
        {
            "name": part,
            "part": part_of_time(part),
            "digits": 0 if place else digits_of_date(part),
            "hours": place > 0 and names_time_of_day(part),
        }
        for place, part in enumerate(parts)
    ]
    values = {each.name: list(each.codes) for each in encoding.categories if not each.view}
    spelled = {each.name for each in encoding.categories if each.view}
    return {
        "sequence": columns.sequence,
        "names_things": bool(names_sequences(columns.sequence or "")),
        "joined": joined_columns(columns.sequence, known - {columns.sequence}) if NAMED in whys else [],
        "order": columns.order,
        "told": told,
        "between": template(parts) if parts else [],
        "wanted": encoding.order,
        "clock": bool(encoding.clock),
        "features": columns.features,
        "reading": asdict(columns.reading),
        "numbers": [
            {"name": each.name, "filled": each.fill is not None, "flagged": each.flagged} for each in encoding.numbers
        ],
        "texts": [{"name": each, "values": values.get(each), "spelled": each in spelled} for each in encoding.texts],
    }


def _narrowed(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Whole numbers in 32 bits, which is what JavaScript computes with."""
    if array.dtype != np.int64:
        return array
    if array.size and np.abs(array).max() > np.iinfo(np.int32).max:
        raise InputError(f"{name}: this model has codes of more than 32 bits, which a page does not have.")
    return array.astype(np.int32)


def _planes(array: npt.NDArray[Any]) -> bytes:
    """The first byte of all numbers, the second one of all, and so on.

    Signs and exponents of weights, of which there are few, so stand apart from digits, of which there are all.
    """
    return np.frombuffer(array.tobytes(), np.uint8).reshape(array.size, array.itemsize).T.tobytes()


def _nodes(graph: Graph) -> dict[str, Any]:
    return {
        "inputs": [{"name": each.name, "type": each.type} for each in graph.inputs],
        "outputs": [each.name for each in graph.outputs],
        "nodes": [
            node._asdict() | {"attributes": {key: _plain(each) for key, each in node.attributes.items()}}
            for node in graph.nodes
        ],
    }


def _plain(attribute: Any) -> Any:
    if isinstance(attribute, Graph):
        return _nodes(attribute)
    if isinstance(attribute, np.dtype):
        return type_name(attribute)
    return attribute.tolist() if isinstance(attribute, np.ndarray | np.generic) else attribute


@cache
def _operators() -> frozenset[str]:
    """Those that the scripts know."""
    return frozenset(re.findall(r"\b([A-Z][A-Za-z]+)(?:: (?:pair|asks|alone|\(|\[)| = \()", _text(*SCRIPTS)))
