"""Sequences of words as text: each word between what is expected, above it, and what is predicted, below it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bothways.report.html import text
from bothways.report.page import Report
from bothways.sequences import Array, Numbers


class Spans(NamedTuple):
    """What steps are labeled as: `(steps,)` the code of a kind, -1 for none, and whether a span begins there.

    `names` are those of the kinds: the types of entities, or the classes where labels are no tags.
    """

    names: Sequence[str]
    kinds: Numbers
    starts: Array


def spans(report: Report, codes: Numbers) -> Spans:
    """The entities that codes `(steps,)` mark; where labels are no tags, each step is a span of its own."""
    scheme = report.sequences.scheme
    if scheme is None:
        return Spans(report.names, codes, codes >= 0)
    chunks = scheme.chunks(codes, report.sequences.lengths)
    marks = np.zeros(len(codes) + 1, np.int64)
    marks[chunks.first] += chunks.type + 1
    np.subtract.at(marks, chunks.last + 1, chunks.type + 1)
    return Spans(scheme.types, marks[:-1].cumsum() - 1, np.isin(np.arange(len(codes)), chunks.first))


def sentence(
    words: Sequence[object], expected: Spans, predicted: Spans, wrong: Array, window: slice, colours: Sequence[str]
) -> str:
    """The words of a window, of which `wrong (steps,)` are labeled wrong, as HTML; `colours` are those of the kinds."""
    shown = []
    for step, word in zip(range(window.start, window.stop), words[window], strict=True):
        above, below = (_label(each, step, colours, side) for each, side in ((expected, "top"), (predicted, "bottom")))
        mark = "b" if wrong[step] else "span"
        shown.append(f"<span>{above}<{mark}><bdi>{text(word, 40) or '&nbsp;'}</bdi></{mark}>{below}</span>")
    return f'<div class="sentence" dir="{_direction(words[window])}">{"".join(shown)}</div>'


def _label(of: Spans, step: int, colours: Sequence[str], side: str) -> str:
    """The bar of a step, with the name of its kind where the span begins."""
    kind = int(of.kinds[step])
    if kind < 0:
        return "<i></i>"
    if not of.starts[step]:
        return f'<i class="{side}" style="--hue:{colours[kind]}"></i>'
    more = step + 1 < len(of.kinds) and of.kinds[step + 1] == kind and not of.starts[step + 1]
    name, shape = text(of.names[kind], 24), f"{side} first {'more' if more else ''}"
    return f'<i class="{shape}" style="--hue:{colours[kind]}">{name}</i>'


def _direction(words: Sequence[object]) -> str:
    """Which way a sentence reads: that of its first letter that has one."""
    kinds = (unicodedata.bidirectional(letter) for word in words for letter in str(word))
    return "rtl" if next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L" else "ltr"
