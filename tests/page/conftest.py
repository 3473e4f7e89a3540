"""Pages opened from disk in a headless Chromium."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from bothways import store
from bothways.page import write_page
from bothways.runtime import Model


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Any:
    """Opens the page of a model in a window; no request may leave it, and nothing may go wrong."""
    if not files("bothways.page").joinpath("engine.wasm").is_file():
        pytest.skip("The engine for pages is not compiled.")
    pages, faults = [], list[str]()

    def begin(model: Model, width: int = 1280, scheme: str = "light", change: Callable[[str], str] = str) -> Any:
        store.save(model, tmp_path / "flows.bothways")
        path = write_page(model, tmp_path / "flows.html", "flows")
        path.write_text(change(path.read_text()))
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda asked: faults.append(asked.url) if asked.url.startswith("http") else None)
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield begin
    for page in pages:
        page.close()
    assert faults == []
