"""A page that needs no server: how large it is, and how long a table takes from the drop to the drawing, in Chromium.

python benchmarks/page.py [--rows N] [--columns N]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from playwright.sync_api import sync_playwright

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
        found.append(Member(network, {name: array.astype(np.float32) for name, array in weights.items()}))
    return Model(found, ("calm", "scan"), columns)


def main() -> None:
    """Print a line for each number of networks and each length of sequences; seconds are the least of three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=5)
    given = parser.parse_args()
    rows, names = given.rows, tuple(f"x{i}" for i in range(given.columns))
    random = np.random.default_rng(0)
    values = pl.DataFrame({name: random.normal(size=rows).round(4) for name in names})
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for members in (1, 3):
            path = write_page(some_model(members, names), Path(folder, "some.html"), "some")
            for length in (rows // 200, rows):
                table = Path(folder, "table.csv")
                values.with_columns(flow=np.arange(rows) // length).write_csv(table)
                seconds = []
                for _ in range(3):
                    page = browser.new_page()
                    page.goto(path.as_uri())
                    page.wait_for_selector("#does:not(:empty)")
                    start = time.perf_counter()
                    page.set_input_files("#file", table)
                    page.wait_for_selector("#results:not([hidden])", timeout=300_000)
                    seconds.append(time.perf_counter() - start)
                    page.close()
                print(
                    f"{members} network(s), {path.stat().st_size / 1000:,.0f} KB: {rows:,} steps in sequences of "
                    f"{length:,} in {min(seconds):.2f} s"
                )
        browser.close()


if __name__ == "__main__":
    main()
