"""What a comparison found, as one page."""

from __future__ import annotations

from pathlib import Path

from bothways.study.results import Comparison


def check_page(path: Path) -> Path:
    return path


def write_page(path: Path, comparison: Comparison) -> None:
    raise NotImplementedError
