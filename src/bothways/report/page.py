"""A report: what it is about, and its page of HTML, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bothways.errors import DataError, counted, imports_for, part_words
from bothways.files import check_output, written_whole
from bothways.metrics import Evaluation
from bothways.report.html import capital, short, text
from bothways.sequences import Array, Numbers, Sequences


@dataclass(frozen=True, eq=False)
class Report:
    """All that a report shows.

    `history` has for each epoch of training, by name: "epoch" (from 1), "loss", "valid_loss" and "valid_metric" (None
    without a valid part), and "best", whether its weights were the best so far.
    """

    title: str  # such as the name of the model
    evaluation: Evaluation
    sequences: Sequences  # what was evaluated, with labels
    probabilities: Array  # `(labels, n)` of the model; 0 for classes at the end that it does not know
    positive: int | None = None  # the code of the class to raise alarms for
    history: Sequence[Mapping[str, Any]] = ()
    metric: str = "macro F1"  # the title of the score in the history
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # whatever else there is, under headings
    notes: Collection[str] = ()  # sentences that the reader should know, such as what was left out
    texts: Any = None  # `(steps,)` what to write under each step of a drawing, such as the words
    times: Array | None = None  # `(steps,)` datetime64
    inputs: Sequence[str] = ()  # the names of the first columns of the sequences' values, which are numbers
    roles: Sequence[tuple[str, str, str]] = ()  # what each column is for: its name, its role, and why
    decided: Numbers | None = None  # the codes of the predicted classes, where not the most probable ones
    sentences: bool = False  # whether the texts are words to read: sequences are then written, not drawn

    def __post_init__(self) -> None:
        if unseen := len(self.evaluation.classes) - self.probabilities.shape[1]:
            object.__setattr__(self, "probabilities", np.pad(self.probabilities, ((0, 0), (0, unseen))))

    @property
    def expected(self) -> Numbers:
        """The codes of the labels; -1 where there is none."""
        return self.sequences.known_labels

    @property
    def predicted(self) -> Numbers:
        """The codes of the predicted classes."""
        if self.decided is not None:
            return self.decided
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def classes(self) -> list[Any]:
        """The name of every class."""
        return list(self.evaluation.classes)

    @property
    def names(self) -> list[str]:
        """The classes as text of one short line."""
        return [short(label) for label in self.classes]


def check_report_file(path: str | os.PathLike[str]) -> Path:
    """Say before the work whether a report can be drawn and written; raises what `bothways.files.check_output` does, or
    MissingDependencyError where matplotlib is not installed.
    """
    path = check_output(path, (".html", ".htm"))
    with imports_for("A report", "report"):
        import bothways.report.figures  # noqa: F401
    return path


def write_html(path: str | os.PathLike[str], make: Callable[[], str]) -> None:
    """Write the page that `make` makes, whole or not at all; raises what `write_report` does."""
    path = check_report_file(path)
    page = make()
    with written_whole(path, DataError) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_report(path: str | os.PathLike[str], report: Report) -> None:
    """Write a report: one .html file that opens in any browser, without a network. Raises what `check_report_file`
    does, or DataError if it cannot be written; what stood at `path` is then untouched.
    """
    write_html(path, lambda: _page(report))


def _page(report: Report) -> str:
    from bothways.report import sections

    of = report.evaluation
    steps = f"{counted(of.labels, 'step')} in " if of.per == "step" else ""
    what = f"{steps}{counted(of.sequences, 'sequence')}, {counted(len(of.classes), 'class', 'classes')}"
    part = text(part_words(of.split))
    body = "".join(draw(report) for draw in sections.ALL)
    return shell(report.title, f"{capital(part)}: {what}.", body)


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
