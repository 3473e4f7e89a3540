"""A page that needs no server: how large it is, and how long a table takes from the drop to the drawing, in Chromium.

python benchmarks/page.py [--rows N] [--columns N]       networks with weights at random, and numbers at random
python benchmarks/page.py --model MODEL --table TABLE    a model that was trained, and a table for it
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from playwright.sync_api import Browser, sync_playwright

from bothways import load
from bothways.data import Columns
from bothways.data.encoding import Encoding, Number
from bothways.network import Network
from bothways.page import write_page
from bothways.runtime import Member, Model


def some_model(members: int, names: tuple[str, ...]) -> Model:
    """Networks of 32 units with weights at random."""
    columns = Columns("label", names, "flow", encoding=Encoding(tuple(map(Number, names))))
    network = Network(features=len(names), classes=2, units=32)
    found = []
    for seed in range(members):
        random = np.random.default_rng(seed)
        weights = {name: 0.3 * random.normal(size=shape) for name, shape in network.weight_shapes().items()}
        weights["input/scale"] = np.abs(weights["input/scale"]) + 0.5
        weights["input/centers"][:], weights["input/slopes"][:] = np.linspace(-1.75, 1.75, network.bins_per_number), 4
        found.append(Member(network, {name: array.astype(np.float32) for name, array in weights.items()}))
    return Model(found, ("calm", "scan"), columns)


TIMED = """
document.getElementById("file").addEventListener("change", () => { began = performance.now() }, {capture: true})
new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => { drawn = performance.now() })))
  .observe(document.getElementById("chart"), {childList: true})
"""
"""Notes in a page when it gets a table and when it has been drawn: Playwright looks every half second only."""


def seconds(browser: Browser, path: Path, table: Path) -> float:
    """The least of three times from the choice of a table to its drawing."""
    found = []
    for _ in range(3):
        page = browser.new_page()
        page.goto(path.as_uri())
        page.wait_for_selector("#does:not(:empty)")
        page.evaluate(TIMED)
        page.set_input_files("#file", table)
        page.wait_for_function("typeof drawn === 'number'", timeout=300_000)
        found.append(float(page.evaluate("(drawn - began) / 1000")))
        page.close()
    return min(found)


def main() -> None:
    """Print a line for each number of networks and each length of sequences, or one for the model and table given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=5)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        path = Path(folder, "some.html")
        if given.model:
            write_page(load(given.model), path, "some")
            taken = seconds(browser, path, given.table)
            print(f"{given.model}, {path.stat().st_size / 1000:,.0f} KB: {given.table} in {taken:.2f} s")
            return
        rows, names = given.rows, tuple(f"x{i}" for i in range(given.columns))
        random = np.random.default_rng(0)
        values = pl.DataFrame({name: random.normal(size=rows).round(4) for name in names})
        for members in (1, 3):
            write_page(some_model(members, names), path, "some")
            for length in (rows // 200, rows):
                table = Path(folder, "table.csv")
                values.with_columns(flow=np.arange(rows) // length).write_csv(table)
                taken, size = seconds(browser, path, table), path.stat().st_size / 1000
                print(
                    f"{members} network(s), {size:,.0f} KB: {rows:,} steps in sequences of {length:,} in {taken:.2f} s"
                )


if __name__ == "__main__":
    main()
