"""The drawings of a report, as SVG that takes its colours from the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bothways.metrics import Alarms, Calibration, Curve, Fall
from bothways.report.html import capital, short
from bothways.report.page import Report
from bothways.sequences import Array, Numbers

# What matplotlib is told, and what the page makes of it; so drawings turn dark with the page.
INK, SOFT, LINE, ACCENT, WARM, BAD, CARD = (f"#0101{i:02x}" for i in range(1, 8))
COLOURS = {INK: "ink", SOFT: "soft", LINE: "line", ACCENT: "accent", WARM: "warm", BAD: "bad", CARD: "card"}
CLASS_COLOURS = 10
CLASSES = [f"#0202{i:02x}" for i in range(CLASS_COLOURS)]
COLOURS |= {code: f"class-{i}" for i, code in enumerate(CLASSES)}

# Its type is not the same in all releases of matplotlib.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bothways",
    "text.parse_math": False,
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}
MANY_STEPS = 40  # at most this many are drawn one by one
FEW_STEPS = 16  # fewer are not drawn wider
BAND, LETTER = 0.8, 5.3  # the height of a band, and about how many points wide a letter in it is


def class_colour(code: int, coloured: Sequence[int]) -> str:
    """The colour of a class among those that have one of their own."""
    return CLASSES[coloured.index(code)] if code in coloured else SOFT


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of the page; each function that draws is decorated with it."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # The browser has fonts of its own for letters that matplotlib's lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def blank(width: float, height: float, margins: tuple[float, float, float, float] | None = None) -> Figure:
    """A figure to draw on; sizes are in points, which become pixels.

    `margins` are left, bottom, right, top; None finds them, which takes as long as all else.
    """
    figure = Figure(figsize=(width / 72, height / 72), layout=None if margins else "constrained")
    if margins:
        left, bottom, right, top = margins
        figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    return figure


def svg(figure: Figure, name: str, says: str) -> str:
    """A drawing as an `<svg>` element; `name` goes before its identifiers, `says` is for those who cannot see it."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)

    def in_page(tag: re.Match[str]) -> str:
        found = re.sub(r"font: (?:\w+ )*([\d.]+)px [^;\"]*", r"font-size: \1px", tag.group())
        found = re.sub(r"(\bid=\"|url\(#|href=\"#)", rf"\g<1>{name}-", found)
        found = re.sub(r"(\d\.\d\d)\d+", r"\1", found)  # a hundredth of a pixel is enough
        return re.sub(r"#0[12]0[12][0-9a-f]{2}", lambda code: f"var(--{COLOURS[code.group()]})", found)

    text = re.sub(r"<[^>]*>", in_page, text)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert size is not None
    head = f'<svg viewBox="0 0 {size[1]} {size[2]}" xmlns:xlink="http://www.w3.org/1999/xlink" role="img"'
    return f'{head} aria-label="{escape(short(says, 300))}">' + text[text.index(">") + 1 :].strip()


@styled()
def threshold_curves(curves: Sequence[tuple[str, int, Curve]], share: float, alarms: Alarms | None, roc: bool) -> str:
    """Precision against recall, or detection against false alarms (`roc`), one line per class, with its
    name and the number of its colour.

    `share` is that of the labels of the first class, the precision of guessing; `alarms`, what to mark.
    """
    x, y = ("false_alarm_rate", "detection_rate") if roc else ("detection_rate", "precision")
    names = ("False-alarm rate", "Detection rate") if roc else ("Recall", "Precision")
    figure = blank(360, 270)
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02), xlabel=names[0], ylabel=names[1])
    for name, number, line in curves:
        some = np.isfinite(line.thresholds) | roc  # without alarms there is no precision
        colour = ACCENT if len(curves) == 1 else CLASSES[number]
        # Of names that begin with "_" matplotlib makes no entry.
        axes.plot(getattr(line, x)[some], getattr(line, y)[some], color=colour, label=f" {name}")
    if roc or len(curves) == 1:
        guess = [0, 1] if roc else [share, share]
        axes.plot([0, 1], guess, color=SOFT, linestyle=":", linewidth=1.2, label="guessing")
    if alarms is not None:
        asked, at = alarms.asked_false_alarm_rate, (getattr(alarms, x), getattr(alarms, y))
        if roc and asked is not None:
            axes.axvline(asked, color=BAD, linestyle="--", linewidth=1, label=f"asked: {asked:g}")
        if None not in at:
            label = f"threshold {alarms.threshold:.3g}"
            axes.plot(*at, "o", color=BAD, markersize=7, label=label, clip_on=False)
    axes.legend(loc="best")
    return svg(figure, "roc" if roc else "pr", f"{names[1]} against {names[0].lower()}")


@styled()
def reliability(result: Calibration) -> str:
    """Accuracy by the probability of the predicted label, and how many labels there are of each."""
    figure = blank(420, 270)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="Accuracy")
    below.set(xlabel="Probability of the predicted label", ylabel="Labels")
    above.plot([0, 1], [0, 1], color=SOFT, linestyle=":", linewidth=1.2, label="perfect")
    some = [part for part in result.bins if part.steps]
    middles = [(part.low + part.high) / 2 for part in some]
    width = 0.9 / len(result.bins)
    above.bar(middles, [part.accuracy for part in some], width, color=ACCENT, alpha=0.35)
    points = [[part.confidence for part in some], [part.accuracy for part in some]]
    above.plot(*points, color=ACCENT, marker="o", markersize=4, linewidth=1.2, label="this model")
    above.legend(loc="upper left")
    total = sum(part.steps for part in some)
    below.bar(middles, [part.steps / total for part in some], width, color=SOFT, alpha=0.6)
    below.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    below.yaxis.set_major_locator(MaxNLocator(3))
    return svg(figure, "calibration", "Accuracy by the probability of the predicted label")


@styled()
def falls(groups: Sequence[tuple[str, Mapping[str, Fall]]]) -> str:
    """How far a score falls without something, a bar with its interval for each; groups stand apart."""
    rows = [len(group) for _, group in groups]
    figure = blank(720, 48 + 22 * sum(rows) + 14 * len(rows))
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0]
    for at, (axes, (score, group)) in enumerate(zip(panels, groups, strict=True), 1):
        places = np.arange(len(group))
        axes.barh(places, [of.value for of in group.values()], 0.6, color=ACCENT, alpha=0.5)
        for place, (value, low, high) in zip(places, group.values(), strict=True):
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=INK, linewidth=1.6, marker="|", markersize=7)
            between = "" if low is None else f"  ({low:z.3f} to {high:z.3f})"
            axes.annotate(
                f"{value:z.3f}{between}",
                (1, place),
                (8, 0),
                ("axes fraction", "data"),
                "offset points",
                va="center",
            )
        axes.set_yticks(places, [short(name, 30) for name in group])
        axes.set_ylim(len(group) - 0.4, -0.6)
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.axvline(0, color=SOFT, linewidth=1)
        if at == len(groups) or groups[at][0] != score:
            axes.set_xlabel(f"{capital(score)} falls by")
    return svg(figure, "importance", "How far the score falls without each")


@styled()
def training_curves(history: Sequence[Mapping[str, Any]], best: int, metric: str) -> str:
    """Loss and valid score by epoch; the best one, whose weights were kept, is marked."""
    losses, valid_losses, metrics = (
        [(epoch["epoch"], epoch[name]) for epoch in history if epoch.get(name) is not None]
        for name in ("loss", "valid_loss", "valid_metric")
    )
    figure = blank(720, 230)
    panels = figure.subplots(1, 2 if metrics else 1, squeeze=False)[0]
    marker = "o" if len(history) < 3 else ""
    panels[0].plot(*zip(*losses, strict=True), color=ACCENT, marker=marker, label="train")
    if valid_losses:
        panels[0].plot(*zip(*valid_losses, strict=True), color=WARM, marker=marker, label="valid")
    panels[0].set(title="Loss", xlabel="Epoch", ylim=(0, None))
    if metrics:
        panels[1].plot(*zip(*metrics, strict=True), color=WARM, marker=marker, label="valid")
        panels[1].set(title=f"{capital(metric)} of the valid part", xlabel="Epoch")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.axvline(best, color=SOFT, linestyle="--", linewidth=1, label=f"kept: epoch {best}")
        axes.legend()
    return svg(figure, "training", f"Loss and {short(metric)} by epoch")


@styled()
def steps(
    report: Report, number: int, window: slice, first: int, coloured: Sequence[int], inputs: Sequence[int], says: str
) -> str:
    """A sequence step by step: labels as bands, the probability of the expected label, and some inputs.

    `window` are the shown steps among those of all sequences, `first` the number of the first of them in its own.
    """
    expected, predicted, names = report.expected[window], report.predicted[window], report.names
    count = len(expected)
    texts = None if report.texts is None or count > MANY_STEPS else report.texts[window]
    times = None if report.times is None else report.times[window]
    width, across = 860, max(count, FEW_STEPS)
    point, gap = (width - 90) / across, 1.0 if count <= MANY_STEPS else 0.0

    def band(axes: Any, codes: Numbers, middle: float) -> None:
        for code, at, end in _runs(codes, apart=count <= MANY_STEPS):
            if code < 0:
                continue
            where = (first + at - 0.5, end - at)
            colour = class_colour(code, coloured)
            axes.broken_barh([where], (middle - BAND / 2, BAND), facecolor=colour, edgecolor=CARD, linewidth=gap)
            if len(names[code]) * LETTER < point * (end - at):
                place = (first + (at + end - 1) / 2, middle)
                axes.text(*place, names[code], ha="center", va="center", fontsize=8, color=CARD)

    below = 50 if texts is not None else 20 if times is None else 34
    margins = (62 if not inputs else 84, below, 34, 4)
    figure = blank(width, 130 + below + 44 * len(inputs), margins)
    heights = [1, 0.9, *[0.6] * len(inputs)]
    bands, line, *more = figure.subplots(
        len(heights), 1, sharex=True, height_ratios=heights, gridspec_kw={"hspace": 0.2}
    )
    band(bands, expected, 1.0)
    band(bands, predicted, 0.0)
    runs = _runs((expected != predicted) & (expected >= 0))
    wrong = [(first + at - 0.5, end - at) for is_wrong, at, end in runs if is_wrong]
    bands.broken_barh(wrong, (0.42, 0.16), color=BAD, linewidth=0)
    bands.set(yticks=[1, 0.5, 0], yticklabels=["expected", "wrong", "predicted"], ylim=(-0.45, 1.45))
    bands.grid(False)
    bands.spines[:].set_visible(False)
    bands.tick_params(length=0)
    p = report.probabilities[np.arange(window.start, window.stop), np.maximum(expected, 0)]
    known = np.where(expected >= 0, p, np.nan)
    edges = np.arange(first, first + count + 1) - 0.5
    line.stairs(known, edges, fill=True, color=ACCENT, alpha=0.25, linewidth=0)
    line.stairs(known, edges, baseline=None, color=ACCENT, linewidth=1.2)
    line.set(xlim=(first - 0.5, first + across - 0.5), ylim=(0, 1.02), yticks=[0, 0.5, 1])
    line.set_ylabel("P(expected)", fontsize=8.5)
    for axes, column in zip(more, inputs, strict=True):
        values = report.sequences.values[window, column]
        axes.plot(np.arange(first, first + count), values, color=SOFT, linewidth=1.1, marker="." * (count == 1))
        axes.set_ylabel(short(report.inputs[column], 13), fontsize=8.5, rotation=0, ha="right", va="center")
        axes.yaxis.tick_right()
        axes.yaxis.set_major_locator(MaxNLocator(2))
    _name_steps([line, *more][-1], range(first, first + count), texts, times)
    return svg(figure, f"steps-{number}", says)


def _name_steps(axes: Any, numbers: range, texts: Any, times: Array | None) -> None:
    """Write under steps of these numbers their texts, or their times, if there are any."""
    axes.xaxis.set_major_locator(MaxNLocator(8 if times is not None else 12, integer=True))
    if texts is not None:
        axes.set_xticks(numbers, [short(text, 16) for text in texts], rotation=50, ha="right", fontsize=8)
    elif times is not None:
        day, clock = clock_ticks(times)
        axes.set_xlabel(day, fontsize=8.5)
        axes.xaxis.set_major_formatter(
            lambda at, _: clock[int(at) - numbers.start] if numbers.start <= at < numbers.stop else ""
        )


def clock_ticks(times: Array) -> tuple[str, list[str]]:
    """The day, if all times are of one, and what to write at each step."""
    texts = np.datetime_as_string(times, unit="s").tolist()
    if len({text[:10] for text in texts}) > 1:
        days = float((times.max() - times.min()) / np.timedelta64(1, "D"))
        return "", [text[:10] if days > 20 else text[5:16].replace("T", " ") for text in texts]
    seconds = any(text[17:] != "00" for text in texts) and times.max() - times.min() < np.timedelta64(1, "h")
    day = "" if texts[0].startswith("1970-01-01") else texts[0][:10]
    return day, [text[11 : 19 if seconds else 16] for text in texts]


def _runs(codes: Array, apart: bool = False) -> Iterator[tuple[int, int, int]]:
    """Of each run of equal codes the code, where it starts, and where the next one does; or each step by itself."""
    changes = np.flatnonzero(np.diff(codes.astype(np.int64))) + 1
    starts = list(range(len(codes))) if apart else [0, *changes.tolist()]
    for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
        yield int(codes[start]), start, end
