"""The claims of tutorials are tried, gone on with, and told as the page tells them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.sequences import Sequences
from bothways.study import problem_task
from claimed import pages
from claimed.studies import PLAIN, STUDIES, as_written

ROOT = Path(__file__).parents[2]


def claims(output: Path, *studies: str) -> str:
    command = [sys.executable, str(ROOT / "studies" / "claims.py"), "--quick", "--workers", "1", "-o", str(output)]
    done = subprocess.run([*command, "--only", *studies], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_claims_are_tried_and_gone_on_with(tmp_path: Path) -> None:
    names = ("cumulative-sum-as-written", "bayes-parity", "intrusion-flows")
    claims(tmp_path, *names)
    found = json.loads((tmp_path / "summary.json").read_text())
    assert {name: each["left"] for name, each in found["studies"].items()} == dict.fromkeys(names, 0)
    assert {each["study"] for each in found["findings"]} == {"bayes-accuracy", "bayes-parity", "intrusion-flows"}
    assert {each["verdict"] for each in found["findings"]} <= {"holds", "does not hold", "not shown"}
    said = (tmp_path / "summary.txt").read_text()
    assert all(each[part] in said for each in found["findings"] for part in ("claim", "by", "sure"))
    for name in ("bayes-parity", "intrusion-flows", "intrusion-flows-detection-at-0.001"):
        assert "<html" in (tmp_path / f"{name}.html").read_text()
    said = claims(tmp_path, *names)
    assert "10 of them are in" in said
    again = json.loads((tmp_path / "summary.json").read_text())
    assert again["findings"] == found["findings"]


@pytest.mark.slow
def test_a_study_without_its_table_is_left_out(tmp_path: Path) -> None:
    assert "adfa-ld: left out" in claims(tmp_path, "adfa-ld")
    assert json.loads((tmp_path / "summary.json").read_text())["studies"] == {}


def test_the_page_of_claims_is_what_its_run_found() -> None:
    page = (ROOT / "docs" / "claims.md").read_text()
    found = json.loads((ROOT / "studies" / "claims.json").read_text())
    assert not found["quick"]
    made = pages.blocks(found)
    assert pages.filled(page, made) == page
    assert set(made) <= set(re.findall(r"<!-- ([a-z0-9-]+) -->", page))


def test_the_page_names_what_its_studies_set() -> None:
    """Also what is set for all of them, without which other networks are trained."""
    found = json.loads((ROOT / "studies" / "claims.json").read_text())["studies"]
    assert {name: each["settings"] for name, each in found.items()} == {
        study.name: dict(study.settings) for study in STUDIES
    }
    named = ", ".join(f"{factor} {value}" for factor, value in sorted(PLAIN.items()))
    assert f"Set in all studies: {named}." in (ROOT / "docs" / "claims.md").read_text()


def test_as_written_turns_the_sequences_and_keeps_the_labels() -> None:
    sizes: dict[str, Any] = {"sequences": 3, "steps": 5, "unseen": 4}
    task, turned = problem_task("cumulative-sum", **sizes), as_written("cumulative-sum", **sizes)
    for plain, other in zip(task.draw(1)[::2], turned.draw(1)[::2], strict=True):
        assert isinstance(plain, Sequences)
        assert isinstance(other, Sequences)
        np.testing.assert_array_equal(np.stack(plain.arrays())[:, ::-1], np.stack(other.arrays()))
        np.testing.assert_array_equal(plain.known_labels, other.known_labels)
    assert task.facts != turned.facts
