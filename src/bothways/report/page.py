"""A report as one page of HTML, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bothways.errors import DataError, counted, missing
from bothways.files import check_output, written_whole
from bothways.report.content import Report
from bothways.report.html import text
from bothways.report.words import part_words


def check_report_file(path: str | os.PathLike[str]) -> Path:
    """Say before the work whether a report can be drawn and written.

    Raises:
        InputError: as `bothways.files.check_output`.
        MissingDependencyError: matplotlib is not installed.

    Example:
        >>> check_report_file("report.pdf")
        Traceback (most recent call last):
        bothways.errors.InputError: report.pdf: the name of this file must end in .html or .htm.
    """
    path = check_output(path, (".html", ".htm"))
    try:
        import bothways.report.figures  # noqa: F401
    except ModuleNotFoundError as reason:
        raise missing("A report", reason.name, "report") from None
    return path


def write_page(path: str | os.PathLike[str], make: Callable[[], str]) -> None:
    """Write the page that `make` makes, whole or not at all; raises what `write_report` does."""
    path = check_report_file(path)
    page = make()
    with written_whole(path, DataError) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_report(path: str | os.PathLike[str], report: Report) -> None:
    """Write a report: one file that opens in any browser, without a network.

    Args:
        path: the file, ending in .html.
        report: what to show.

    Raises:
        InputError, MissingDependencyError: as `check_report_file`.
        DataError: the file cannot be written; what stood at `path` is untouched.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from bothways.metrics import evaluate
        >>> from bothways.sequences import Sequences
        >>> sequences = Sequences(np.zeros((4, 1)), np.array([2, 2]), labels=np.array([0, 1, 0, 0]))
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
        >>> evaluation = evaluate(sequences, p, ["calm", "attack"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "report.html")
        ...     write_report(path, Report("alarms", evaluation, sequences, p))
        ...     path.read_text()[:15]
        '<!doctype html>'
    """
    write_page(path, lambda: _page(report))


def _page(report: Report) -> str:
    from bothways.report import sections

    of = report.evaluation
    steps = f"{counted(of.labels, 'step')} in " if of.per == "step" else ""
    what = f"{steps}{counted(of.sequences, 'sequence')}, {counted(len(of.classes), 'class', 'classes')}"
    part = text(part_words(of.split))
    body = "".join(draw(report) for draw in sections.ALL)
    return shell(report.title, f"{part[0].upper()}{part[1:]}: {what}.", body)


def shell(title: str, part: str, body: str) -> str:
    """The HTML of a page: its title, as text, and what it is about and its sections, as HTML."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title, 200)} | bothways</title><style>{style}</style></head>\n"
        f'<body><main><header><h1>{text(title, 200)}</h1><p class="part">{part}</p></header>'
        f"{body}<footer>Written by bothways. This page is complete in itself and loads nothing.</footer>"
        "</main></body></html>\n"
    )
