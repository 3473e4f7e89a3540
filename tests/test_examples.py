"""The programs in examples/ run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
DOCS = EXAMPLES.parent / "docs"


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


def claims(output: Path, *studies: str) -> str:
    command = [sys.executable, str(EXAMPLES / "claims.py"), "--quick", "--workers", "1", "-o", str(output)]
    done = subprocess.run([*command, "--only", *studies], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_claims_are_tried_and_gone_on_with(tmp_path: Path) -> None:
    claims(tmp_path, "ceiling-parity", "intrusion-flows")
    found = json.loads((tmp_path / "summary.json").read_text())
    assert {name: each["left"] for name, each in found["studies"].items()} == {
        "ceiling-parity": 0,
        "intrusion-flows": 0,
    }
    assert {each["study"] for each in found["findings"]} == {"ceilings", "ceiling-parity", "intrusion-flows"}
    assert {each["verdict"] for each in found["findings"]} <= {"holds", "does not hold", "not shown"}
    said = (tmp_path / "summary.txt").read_text()
    assert all(each[part] in said for each in found["findings"] for part in ("claim", "by", "sure"))
    for name in ("ceiling-parity", "intrusion-flows", "intrusion-flows-detection-at-0.001"):
        assert "<html" in (tmp_path / f"{name}.html").read_text()
    said = claims(tmp_path, "ceiling-parity", "intrusion-flows")
    assert "10 of them are in" in said
    again = json.loads((tmp_path / "summary.json").read_text())
    assert again["findings"] == found["findings"]


def test_a_study_without_its_table_is_left_out(tmp_path: Path) -> None:
    assert "adfa-ld: left out" in claims(tmp_path, "adfa-ld")
    assert json.loads((tmp_path / "summary.json").read_text())["studies"] == {}


def test_the_page_of_claims_is_what_its_run_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from claimed import pages

    page, found = DOCS / "claims.md", json.loads((DOCS / "claims.json").read_text())
    assert not found["quick"]
    made = pages.blocks(found)
    assert pages.filled(page.read_text(), made) == page.read_text()
    assert all((DOCS / link).exists() for link in re.findall(r"\((claims[^)]*)\)", page.read_text()))
    assert set(made) <= set(re.findall(r"<!-- ([a-z0-9-]+) -->", page.read_text()))


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_says_how_to_run_it(name: str) -> None:
    assert f"python examples/{name}" in (EXAMPLES / name).read_text()
