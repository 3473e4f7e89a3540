"""What the tests of pages share: models of random weights, and tables dropped on a page."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from bothways import jobs
from bothways.network import Network
from bothways.runtime import Member
from members import random_member
from tolerances import EXPORTED


def member(seed: int = 0, per: str = "step", share: float = 1.0, classes: int = 3, **given: Any) -> Member:
    """A network with weights at random that reads the columns of `model`."""
    more: dict[str, Any] = {"features": 6, "categories": (4, 3)} | given
    return random_member(Network(embedding=3, units=5, per=per, classes=classes, **more), seed, share=share)


def numeric(features: int, units: int) -> Member:
    """A network with weights at random that reads numbers alone."""
    return random_member(Network(features=features, classes=2, units=units), spread=0.3)


def written(table: Path, text: str, encoding: str = "utf-8") -> Path:
    table.write_bytes(text.encode(encoding))
    return table


def pictured(page: Any, name: str) -> None:
    """Keep a picture of the page to be looked at, in the folder that BOTHWAYS_SCREENSHOTS names, if it does."""
    if folder := os.environ.get("BOTHWAYS_SCREENSHOTS"):
        page.screenshot(path=Path(folder, f"{name}.png"), full_page=True)


def dropped(page: Any, table: Path) -> None:
    page.wait_for_selector("#does:not(:empty)")
    page.set_input_files("#file", table)
    page.wait_for_selector("#results:not([hidden]), #said.wrong")


def check(page: Any, table: Path, tmp_path: Path, read: Callable[[Path], pl.DataFrame] = pl.read_csv) -> None:
    """The table from the page is that of `bothways predict`."""
    dropped(page, table)
    assert page.get_attribute("#said", "class") != "wrong", page.inner_text("#said")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / f"page{table.suffix}")
    jobs.predict(tmp_path / "flows.bothways", table, tmp_path / f"command{table.suffix}", say=list[str]().append)
    ours, theirs = read(tmp_path / f"page{table.suffix}"), read(tmp_path / f"command{table.suffix}")
    assert ours.drop("probability").equals(theirs.drop("probability"))
    far = ours["probability"].cast(pl.Float64) - theirs["probability"].cast(pl.Float64)
    assert far.abs().max() < EXPORTED  # type: ignore[operator]
