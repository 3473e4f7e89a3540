"""The tables of speed in README.md and benchmarks/README.md, written anew from `benchmarks/results/`.

    bothways bench --directions 1,2 --dtype float32,bfloat16,int8 --save benchmarks/results/NAME.json
    python benchmarks/tables.py

What stands between `<!-- speed: NAME -->` and `<!-- end -->` is replaced; the first page marks where a peer is faster,
the other one names those rows below the table. With `--check` nothing is written, and a page that is not up to date is
an error.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import study

from bothways.bench import MODES, PEERS, Case, Measurement

ROOT = Path(__file__).parents[1]
NAMES = {"infer": "inference", "train": "training", 1: "one direction", 2: "both"}
INT8 = "onnxruntime-int8"


class Row(NamedTuple):
    """A measurement, and what part of NumPy's matrix product it reached."""

    of: Measurement
    share: float | None

    @property
    def name(self) -> str:
        """The row in a sentence."""
        case = self.of.case
        return f"{case.shape} {NAMES[case.mode]} in {case.dtype}, {NAMES[case.directions]}"

    @property
    def place(self) -> tuple[str, int, Any]:
        """Its column and its line on the first page."""
        return self.of.case.mode, self.of.case.directions, self.of.case.shape

    @property
    def ratio(self) -> str:
        """The ratio; with a star if other programs disturbed one of its two times, bold where the peer is faster."""
        of = self.of
        star = r"\*" if {"bothways", of.best_peer} & set(of.disturbed) else ""
        return "" if of.ratio is None else f"{of.ratio:.2f}{star}" if of.ratio >= 1 else f"**{of.ratio:.2f}{star}**"


def rows_of(name: str) -> list[Row]:
    """What was measured."""
    rows = []
    for result in json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text())["results"]:
        case = Case.from_json({key: result[key] for key in Case.__dataclass_fields__})
        measured = Measurement(case, result["ms"], result["errors"], disturbed=result["disturbed"])
        rows.append(Row(measured, result["share_of_sgemm"]))
    return rows


def whole(rows: list[Row]) -> list[str]:
    """Every row, for the page of benchmarks, and those in which a peer is faster."""
    lines: list[list[str]] = []
    for of, share in rows:
        case, peer, int8 = of.case, of.best_peer, of.ms.get(INT8)
        best = "" if peer is None else f"{PEERS[peer].title} {study.ms(of.ms[peer])}"
        ours = [f"{of.ms['bothways']:.3g}", best, Row(of, share).ratio, "" if share is None else f"{share:.0%}"]
        rough = "" if int8 is None else f"{study.ms(int8)} ({of.errors[INT8]:.1g})"
        lines.append([str(case.shape), NAMES[case.directions], NAMES[case.mode], case.dtype, *ours, rough])
    titles = ["LSTM, B,T,D,H", "directions", "", "our factors", "ours ms", "best peer, ms", "ratio", "of sgemm"]
    return [*study.table([*titles, "ONNX int8, ms (error)"], lines), *behind(rows)]


def short(rows: list[Row]) -> list[str]:
    """The ratios in float32, a line for each shape, for the first page, and what its marks mean."""
    rows = [row for row in rows if exact(row.of)]
    ratios = {row.place: row.ratio + "†" * rougher(row) for row in rows}
    kinds = [(mode, count) for mode in MODES for count in (2, 1) if any(key[:2] == (mode, count) for key in ratios)]
    shapes = dict.fromkeys(key[2] for key in ratios)
    lines = [[str(shape), *(ratios.get((*kind, shape), "") for kind in kinds)] for shape in shapes]
    slower = sum(ratio.startswith("**") for ratio in ratios.values())
    marks = [f"Bold: the best peer is faster, in {slower} of {len(rows)}."] if slower else []
    marks += ["†: ONNX Runtime's int8 is faster than our float32."] if any(map(rougher, rows)) else []
    titles = ["B,T,D,H", *(f"{NAMES[mode]}, {NAMES[count]}" for mode, count in kinds)]
    return [*study.table(titles, lines), "", " ".join(marks)]


def exact(of: Measurement) -> bool:
    """Whether our factors are float32."""
    return of.case.dtype == "float32"


def rougher(row: Row) -> bool:
    """Whether ONNX Runtime's int8 is faster than our float32."""
    return exact(row.of) and row.of.ms.get(INT8, float("inf")) < row.of.ms["bothways"]


def behind(rows: list[Row]) -> list[str]:
    """The rows in which a peer is faster, in words."""
    slower = [row for row in rows if row.of.ratio is not None and row.of.ratio < 1]
    named = [f"{row.name} ({PEERS[row.of.best_peer or ''].title}, {row.ratio.strip('*')})" for row in slower]
    colon = ": " if named else ""
    words = [f"Slower than the best peer in {len(slower)} of {len(rows)} rows{colon}{'; '.join(named)}."]
    rough = [row.name for row in rows if rougher(row)]
    if rough:
        words.append(f"ONNX Runtime's int8 is faster than our float32 in {len(rough)} rows: {'; '.join(rough)}.")
    return [line for sentence in words for line in ("", sentence)]


def written(page: str, table: Any) -> str:
    """The page with its tables made anew."""

    def block(match: re.Match[str]) -> str:
        return "\n".join([match[1], "", *table(rows_of(match[2])), "", match[3]])

    return re.sub(r"(<!-- speed: ([\w-]+) -->).*?(<!-- end -->)", block, page, flags=re.DOTALL)


def main() -> None:
    """Write both pages, or check them."""
    for path, table in ((ROOT / "README.md", short), (ROOT / "benchmarks/README.md", whole)):
        page = path.read_text(encoding="utf-8")
        new = written(page, table)
        if "--check" in sys.argv and new != page:
            sys.exit(f"{path} is not up to date: python benchmarks/tables.py")
        if new != page:
            path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
