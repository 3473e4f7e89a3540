"""What the tests of tables share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tables, BOTHWAYS_DATA or one beside the project; the test is skipped where there is none."""
    folder = Path(os.environ.get("BOTHWAYS_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the real tables are not on this machine")
    return folder
