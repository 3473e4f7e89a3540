"""The programs in examples/ run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "tutorial.py"), *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_tutorials_program() -> None:
    lines = run("3")
    assert sum("loss:" in line for line in lines) == 3
    assert all(re.fullmatch(r"Expected: \[[01]\] Predicted \[[01]\]", line) for line in lines[-10:])


def test_the_tutorials_program_learns() -> None:
    lines = run("600", "--quiet")
    assert len(lines) == 10
    right = sum(len(set(re.findall(r"\[([01])\]", line))) == 1 for line in lines)
    # Nine of ten steps are right by then on average; fewer than five would be worse than guessing.
    assert right >= 5


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_says_how_to_run_it(name: str) -> None:
    assert f"python examples/{name}" in (EXAMPLES / name).read_text()
