"""The sequences that are labeled worst: steps are drawn, and words written between what is expected and predicted."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bothways.report import figures
from bothways.report.html import number, row, section, short, table, text, wide
from bothways.report.page import Report
from bothways.sequences import Array, Bools, Doubles, Numbers

WORST = 10
STEPS_SHOWN = 1500
WORDS_SHOWN = 150
INPUTS = 3
WORDS = 40


def worst(report: Report) -> str:
    """The section of the sequences that are labeled worst, as HTML."""
    return _worst_labels(report) if report.sequences.per == "sequence" else _worst_steps(report)


def worst_sequences(wrong: Any, labels: Any, most: int) -> list[int]:
    """The worst sequences, the very worst first; none that is all right.

    What counts is the number of wrong steps times their share: by the share alone the worst sentences are all of one
    word, and by the number alone they are just the longest.
    """
    mistakes = np.asarray(wrong, np.float64)
    weight = mistakes**2 / np.maximum(labels, 1)
    order = np.argsort(-weight, kind="stable")[:most]
    return [i for i in order.tolist() if mistakes[i] > 0]


def busiest_window(wrong: Bools, most: int) -> slice:
    """The run of at most `most` steps with most of them wrong, with what is wrong in its middle."""
    if len(wrong) <= most:
        return slice(0, len(wrong))
    before = np.concatenate([[0], np.cumsum(wrong)])
    inside = before[most:] - before[:-most]
    best = np.flatnonzero(inside == inside.max())
    run = best[: int(np.argmax(np.append(np.diff(best) > 1, True))) + 1]  # the first stretch of equally good starts
    start = int(run[len(run) // 2])
    return slice(start, start + most)


def telling_inputs(report: Report, most: int) -> list[int]:
    """The columns that tell the labels apart best: by the share of their variance that lies between the classes."""
    known = report.expected >= 0
    labels, values = report.expected[known], input_values(report)[known]
    values = values - values.mean(axis=0)
    counts = np.maximum(np.bincount(labels), 1)
    between = [(np.bincount(labels, column) ** 2 / counts).sum() for column in values.T]
    spread = np.array(between) / np.maximum((values**2).sum(axis=0), 1e-300)
    order = np.argsort(-spread, kind="stable")
    return [int(column) for column in order[:most] if spread[column] > 0]


def input_values(report: Report) -> Doubles:
    """`(labels, inputs)` the inputs of each label: those of its step, or their means over its sequence."""
    sequences = report.sequences
    values = np.asarray(sequences.values[:, : len(report.inputs)], np.float64)
    return values if sequences.per == "step" else sequences.means(values)


def _worst_steps(report: Report) -> str:
    lengths, offsets = report.sequences.lengths, report.sequences.offsets.tolist()
    numbers, known = report.sequences.sequence_of_steps, report.expected >= 0
    wrong = known & (report.expected != report.predicted)
    mistakes, labels = (np.bincount(numbers[some], minlength=len(lengths)) for some in (wrong, known))
    chosen = worst_sequences(mistakes, labels, WORST)
    if not chosen:
        return section("The worst sequences", "Not one step of any sequence is labeled wrong.", " ")
    most = WORDS_SHOWN if report.sentences else STEPS_SHOWN
    inside = [busiest_window(wrong[offsets[i] : offsets[i + 1]], most) for i in chosen]
    windows = [slice(offsets[i] + at.start, offsets[i] + at.stop) for i, at in zip(chosen, inside, strict=True)]
    expected, predicted = (spans(report, codes) for codes in (report.expected, report.predicted))
    names = expected.names if report.sentences else report.names
    pair = (expected.kinds, predicted.kinds) if report.sentences else (report.expected, report.predicted)
    seen = np.concatenate([kinds[window] for window in windows for kinds in pair])
    coloured = _coloured(np.bincount(seen + 1, minlength=len(names) + 1)[1:])  # -1 is none
    colours = [_colour(code, coloured) for code in range(len(names))]
    inputs, shown = [] if report.sentences else telling_inputs(report, INPUTS), []
    for k, (i, at, window) in enumerate(zip(chosen, inside, windows, strict=True)):
        said = f"{mistakes[i]:,} of {labels[i]:,} steps wrong ({mistakes[i] / labels[i]:.1%})"
        if (cut := int(lengths[i]) - most) > 0:
            said += f"; steps {at.start:,} to {at.stop - 1:,} are shown, {cut:,} others are cut"
        name = short(report.sequences.id(i), 60)
        if report.sentences:
            drawing = sentence(report.texts, expected, predicted, wrong, window, colours)
        else:
            says = f"Sequence {name}, step by step: {said}"
            drawing = wide(figures.steps(report, k, window, at.start, coloured, inputs, says))
        shown.append(f"<h3>{text(name)} <small>{said}</small></h3>{drawing}")
    lead = (
        "By the number of wrong steps times their share, so that neither short nor long sequences crowd out others. "
        "Steps count from 0. "
    )
    if report.sentences:
        lead += "Above the words: what is expected; below: what is predicted. Words that are labeled wrong are bold."
    else:
        lead += "Below the bands: the probability of the expected label"
        lead += f", and the {len(inputs)} inputs that tell the labels apart best." if inputs else "."
    return section("The worst sequences", lead, _legend(names, coloured), *shown)


def _worst_labels(report: Report) -> str:
    expected, predicted, p = report.expected, report.predicted, report.probabilities
    chance = p[np.arange(len(expected)), np.maximum(expected, 0)]
    wrong = np.flatnonzero((expected >= 0) & (expected != predicted))
    if len(wrong) == 0:
        return section("The worst sequences", "Not one sequence is labeled wrong.", " ")
    chosen = wrong[np.argsort(chance[wrong], kind="stable")][:WORST].tolist()
    coloured, means, inputs = _coloured(p[chosen].sum(axis=0)), input_values(report), telling_inputs(report, INPUTS)
    rows = []
    for i in chosen:
        bar = "".join(
            f'<span style="width:{part:.2%};background:{_colour(code, coloured)}" '
            f'title="{text(report.classes[code])}: {part:.3f}"></span>'
            for code, part in enumerate(p[i].tolist())
            if part > 0.002
        )
        names = (text(report.classes[expected[i]]), text(report.classes[predicted[i]]))
        chances = (number(float(chance[i])), number(float(p[i].max())), f'<span class="chances">{bar}</span>')
        rows.append(row(text(report.sequences.id(i)), (*names, *chances, text(_inside(report, i, means, inputs), 160))))
    what = "Means of inputs" if report.texts is None else "Words"
    head = ["Sequence", "Expected", "Predicted", "P(expected)", "P(predicted)", "All classes", what]
    lead = f"Of {len(wrong):,} sequences that are labeled wrong, the {len(chosen)} with the least P(expected)."
    return section("The worst sequences", lead, _legend(report.names, coloured), table(head, rows, "labels"))


def _inside(report: Report, sequence: int, means: Doubles, inputs: list[int]) -> str:
    """What a sequence holds, in short: its words, or the means of some inputs."""
    if report.texts is None:
        return ", ".join(f"{report.inputs[k]} {means[sequence, k]:.4g}" for k in inputs)
    start = int(report.sequences.offsets[sequence])
    words = report.texts[start : start + min(WORDS, int(report.sequences.lengths[sequence]))]
    return " ".join(map(short, words))


def _coloured(counts: Array) -> list[int]:
    """The codes that get a colour of their own: those that are seen most."""
    return sorted(np.argsort(-counts, kind="stable")[: figures.CLASS_COLOURS].tolist())


def _legend(names: Sequence[str], coloured: list[int]) -> str:
    items = [(_colour(code, coloured), text(names[code])) for code in coloured]
    if len(names) > len(coloured):
        items.append(("var(--soft)", f"{len(names) - len(coloured)} others"))
    listed = "".join(f'<li><span style="background:{colour}"></span>{name}</li>' for colour, name in items)
    return f'<ul class="legend">{listed}</ul>'


def _colour(code: int, coloured: list[int]) -> str:
    return f"var(--{figures.COLOURS[figures.class_colour(code, coloured)]})"


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
    kinds = (unicodedata.bidirectional(letter) for word in words for letter in short(word))
    return "rtl" if next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L" else "ltr"
