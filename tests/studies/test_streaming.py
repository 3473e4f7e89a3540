"""The page on streams is written by one command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "studies" / "streaming.py"


@pytest.mark.slow
def test_tables_are_put_where_they_belong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    results = tmp_path / "some.jsonl"
    command = [sys.executable, str(STUDY), "--only", "future-echo", "--seeds", "2", "--epochs", "1"]
    command += ["--results", str(results), "--page", str(page), "--write"]
    subprocess.run(command, check=True, timeout=600)
    text = page.read_text()
    assert text.startswith("before\n<!-- results -->")
    assert text.endswith("<!-- end of results -->\nafter\n")
    assert "old" not in text
    assert "**future-echo**: accuracy; 1 epochs; the accuracy that is possible: forward 0." in text
    rows = [line.split("|") for line in text.splitlines() if line.startswith(("| 0 ", "| 2 ", "| all "))]
    assert [len(row) for row in rows] == [9, 9, 6, 6, 6]
    assert rows[-1][4].strip() == ""
    # It goes on where it was stopped, in the middle of a line, too.
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:-1]) + lines[-1][:10])
    subprocess.run(command, check=True, timeout=600)
    assert len(results.read_text().splitlines()) == len(lines)
    assert results.read_text().startswith("".join(lines[:-1]))
