"""The programs in examples/ run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
STUDIES = EXAMPLES.parent / "studies"


def run(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "tutorial.py"), *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_tutorials_program() -> None:
    lines = run("3")
    assert sum("loss:" in line for line in lines) == 3
    assert all(re.fullmatch(r"Expected: \[[01]\] Predicted \[[01]\]", line) for line in lines[-10:])


@pytest.mark.slow
def test_the_tutorials_program_learns() -> None:
    lines = run("600", "--quiet")
    assert len(lines) == 10
    right = sum(len(set(re.findall(r"\[([01])\]", line))) == 1 for line in lines)
    # Nine of ten steps are right by then on average; fewer than five would be worse than guessing.
    assert right >= 5


def test_a_table_of_flows(tmp_path: Path) -> None:
    table = tmp_path / "flows.parquet"
    done = subprocess.run([sys.executable, str(EXAMPLES / "flows.py"), str(table)], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert table.stat().st_size > 100_000


@pytest.mark.parametrize("path", [*EXAMPLES.glob("*.py"), STUDIES / "claims.py", STUDIES / "problems.py"], ids=str)
def test_every_program_says_how_to_run_it(path: Path) -> None:
    assert f"python {path.parent.name}/{path.name}" in path.read_text()
