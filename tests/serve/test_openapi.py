"""The description for programs is true: its paths are those of the server."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest

pytest.importorskip("httptools")

from bothways.serve import app

BEFORE = ("403", "405", "408", "421", "431")  # what any request may get before it is looked at


def test_every_path_is_described_and_every_description_has_its_path() -> None:
    described = json.loads(files("bothways.serve").joinpath("openapi.json").read_bytes())["paths"]
    found: dict[str, set[str]] = {}
    for path, methods in described.items():
        concrete = re.sub(r"\{\w+\}", "some", path)
        routes = [methods for pattern, methods in app._routes() if pattern.fullmatch(concrete)]
        assert len(routes) == 1, path
        assert {method.upper() for method in methods} == routes[0].keys(), path
        found[path] = set(methods)
    undescribed = [
        pattern.pattern
        for pattern, _ in app._routes()
        if not any(pattern.fullmatch(re.sub(r"\{\w+\}", "some", path)) for path in found)
    ]
    assert undescribed == list(app.FILES)


def test_every_path_says_what_may_be_refused() -> None:
    whole = json.loads(files("bothways.serve").joinpath("openapi.json").read_bytes())
    responses = {(path, name): each["responses"] for path, of in whole["paths"].items() for name, each in of.items()}
    assert all("default" in each for each in responses.values())
    assert all(status in whole["components"]["responses"]["default"]["description"] for status in BEFORE)
    assert responses["/label", "post"].keys() == responses["/label/{model}", "post"].keys() >= {"406"}
    assert responses["/stream/{model}", "get"].keys() == responses["/watch/{model}", "get"].keys() >= {"426"}


def test_every_reference_leads_somewhere() -> None:
    whole = json.loads(files("bothways.serve").joinpath("openapi.json").read_bytes())

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                at = whole
                for name in part["$ref"].removeprefix("#/").split("/"):
                    at = at[name]
            for each in part.values():
                walk(each)
        elif isinstance(part, list):
            for each in part:
                walk(each)

    walk(whole)
