"""What several tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import bothways.layers  # noqa: F401  before any test imports Keras, so that the backend is the one chosen here
from bothways import engine


@pytest.fixture(params=engine.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once with every instruction set that the machine has."""
    before = engine.instruction_set()
    engine.set_instruction_set(request.param)
    yield request.param
    engine.set_instruction_set(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real tables, BOTHWAYS_DATA or one beside the project; the test is skipped where there is none."""
    folder = Path(os.environ.get("BOTHWAYS_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the real data sets are not on this machine")
    return folder
