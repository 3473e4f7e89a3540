"""The page for people: a server gives it, or it is one file with a model and the engine as WebAssembly."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import struct
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.data import Columns
from bothways.errors import InputError, MissingDependencyError, ModelFileError
from bothways.export import graph_of
from bothways.export.graph import Graph
from bothways.files import check_output, written_whole
from bothways.jobs.models import table_columns
from bothways.jobs.prediction import threshold_of
from bothways.runtime import Model

__all__ = ["card", "write_page"]

ENGINE = "engine.wasm"

SCRIPTS = ("graph.js", "recurrent.js", "table.js", "worker.js")
"""What runs in the thread that labels tables."""

OPSET = 20
"""The version of the operators that graph.js knows."""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""What a browser lets the page do: nothing over the network."""


def write_page(model: Model, path: str | os.PathLike[str], name: str) -> Path:
    """Write a page that labels tables by itself.

    Args:
        model: a model of a table.
        path: the file, .html.
        name: what the page calls the model.

    Raises:
        InputError: the model was trained on arrays, or holds what a graph cannot do; or another ending of the file.
        MissingDependencyError: bothways was installed without the engine for pages.

    Example:
        >>> from bothways.network import Network
        >>> from bothways.runtime import Member
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> write_page(Model([Member(network, weights)], classes=(0, 1)), "some.html", "some")
        Traceback (most recent call last):
        bothways.errors.InputError: some: this model was trained on arrays, so it does not know the columns of a table.
    """
    path = check_output(path, (".html",))
    described = _described(model, table_columns(model, name), name)
    page = files("bothways.page")
    if not page.joinpath(ENGINE).is_file():
        raise MissingDependencyError(f"This installation has no {ENGINE}, which pip compiles. Install bothways again.")
    packed = {
        "wasm": _packed(page.joinpath(ENGINE).read_bytes()),
        "weights": _packed(described),
        "worker": _packed("\n".join(["'use strict'", *(page.joinpath(each).read_text() for each in SCRIPTS)]).encode()),
    }
    head, _, rest = page.joinpath("page.html").read_text().partition("<script>")
    _, _, rest = rest.partition("</script>")
    brought = "".join(f'<script id="{key}" type="text/plain">{text}</script>\n' for key, text in packed.items())
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    head = head.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}')
    with written_whole(path, ModelFileError) as temporary:
        temporary.write_text(f"{head}{brought}<script>\n{page.joinpath('engine.js').read_text()}</script>{rest}")
    return path


def card(model: Model, name: str) -> dict[str, Any]:
    """What a model is, for people; the page shows it."""
    columns = model.columns if model.columns and model.columns.label else None
    positive, threshold = None, None
    if len(model.classes) == 2:
        positive, threshold = threshold_of(model, "0.5") or (1, 0.5)
        kept = model.facts.get("threshold")
        threshold = kept["value"] if kept else model.threshold if positive else 1 - model.threshold
    return {
        "name": name,
        "summary": model.summary,
        "classes": [str(label) for label in model.classes],
        "per": model.network.per,
        "positive": positive,
        "threshold": threshold,
        "columns": None
        if columns is None
        else {
            "sequence": columns.sequence,
            "order": columns.order,
            "numbers": [name for name in columns.features if name not in columns.categories],
            "categories": list(columns.categories),
        },
    }


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _described(model: Model, columns: Columns, name: str) -> bytes:
    """What worker.js makes a model of: a length, so many bytes of JSON, and arrays, each from a multiple of 8 on."""
    graph, encoding = graph_of(model, OPSET, coded=True), columns.fitted
    for node in graph.nodes:
        if node.operator not in _operators():
            raise InputError(f"{name}: this model needs the operator {node.operator}, which a page does not have.")
    constants = {key: _narrowed(name, array) for key, array in graph.constants.items()}
    values = {each.name: each.values for each in encoding.categories if not each.view}
    described = {
        "card": card(model, name),
        "classes": model.classes,
        "table": {
            "sequence": columns.sequence,
            "order": columns.order,
            "gaps": encoding.gaps,
            "features": columns.features,
            "reading": asdict(columns.reading),
            "numbers": [{"name": each.name, "filled": each.fill is not None} for each in encoding.numbers],
            "texts": [{"name": each, "values": values.get(each)} for each in encoding.texts],
        },
        "graph": _nodes(graph),
        "constants": [(key, array.dtype.name, array.shape) for key, array in constants.items()],
    }
    said = json.dumps(described).encode()
    content = struct.pack("<I", len(said)) + said
    for array in constants.values():
        content += bytes(-len(content) % 8) + array.tobytes()
    return content


def _narrowed(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Whole numbers in 32 bits, which is what JavaScript computes with."""
    if array.dtype != np.int64:
        return array
    if array.size and np.abs(array).max() > np.iinfo(np.int32).max:
        raise InputError(f"{name}: this model has codes of more than 32 bits, which a page does not have.")
    return array.astype(np.int32)


def _nodes(graph: Graph) -> dict[str, Any]:
    return {
        "inputs": [{"name": each.name, "type": each.dtype and _type(each.dtype)} for each in graph.inputs],
        "outputs": [each.name for each in graph.outputs],
        "nodes": [
            {
                "operator": node.operator,
                "inputs": node.inputs,
                "outputs": node.outputs,
                "attributes": {key: _plain(each) for key, each in node.attributes.items()},
            }
            for node in graph.nodes
        ],
    }


def _plain(attribute: Any) -> Any:
    if isinstance(attribute, Graph):
        return _nodes(attribute)
    if isinstance(attribute, np.dtype):
        return _type(attribute)
    return attribute.tolist() if isinstance(attribute, np.ndarray | np.generic) else attribute


def _type(dtype: np.dtype[Any]) -> str:
    return "text" if dtype.hasobject else dtype.name


@cache
def _operators() -> frozenset[str]:
    """Those that the scripts know."""
    text = "".join(files("bothways.page").joinpath(each).read_text() for each in SCRIPTS)
    return frozenset(re.findall(r"\b([A-Z][A-Za-z]+)(?:: (?:pair|asks|alone|\(|\[)| = \()", text))
