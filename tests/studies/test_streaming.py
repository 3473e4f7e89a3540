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
    small = ["--only", "future-echo", "--seeds", "2", "--epochs", "1", "--lookahead", "0,2"]
    subprocess.run([sys.executable, str(STUDY), *small, "--write", str(page)], check=True, timeout=600)
    text = page.read_text()
    assert text.startswith("before\n<!-- results -->")
    assert text.endswith("<!-- end of results -->\nafter\n")
    assert "old" not in text
    assert "**future-echo**: accuracy; the accuracy that is possible: forward 0." in text
    rows = [line.split("|") for line in text.splitlines() if line.startswith(("| 0 ", "| 2 ", "| all "))]
    assert [len(row) for row in rows] == [7, 7, 7]
    assert rows[2][5].strip() == ""
