"""What a comparison found, as one page of HTML that opens offline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from bothways.report.html import facts, figure, number, row, section, table, text
from bothways.report.page import shell
from bothways.report.page import write_page as write
from bothways.study.results import SURE, Comparison, Setting

DRAWN = 40
"""So many settings are drawn; the table has all."""

CURVES = 8
"""So many learning curves are drawn: those of the best settings, of the worst, and of the reference."""


def write_page(path: str | os.PathLike[str], comparison: Comparison, about: Mapping[str, Any] | None = None) -> None:
    """Write a page: one file that opens in any browser, without a network, whole or not at all.

    Args:
        path: the file, ending in .html.
        comparison: what to show.
        about: what else there is to know, by name.

    Raises:
        InputError: a name that cannot be that of a page.
        MissingDependencyError: matplotlib is not installed.
        DataError: the file cannot be written; what stood at `path` is untouched.
    """
    write(path, lambda: page_of(comparison, about or {}))


def page_of(comparison: Comparison, about: Mapping[str, Any]) -> str:
    """The HTML of the page."""
    from bothways.study import figures

    own = [setting for setting in comparison.settings if setting.same_as is None]
    done = [setting for setting in own if setting.median is not None]
    drawn = done[:DRAWN]
    parts = [_verdict(comparison)]
    if drawn:
        lead = (
            "A dot is a run with one seed, a diamond the median, the line behind it a 95 % interval over other seeds "
            "and other sequences. The reference has a colour of its own."
        )
        if len(done) > DRAWN:
            lead += f" The best {DRAWN} of {len(done)} are drawn."
        parts.append(
            section("Settings", lead, _wide(figures.settings_figure(comparison, drawn)), _table(comparison, own))
        )
    shares = _shares(comparison)
    if shares:
        lead = (
            "The variance of the score over all settings and seeds, split into what each factor explains alone "
            "(functional ANOVA: Hutter et al. 2014), what two explain only together, and what the seed does. A line is "
            "a standard error over seeds."
        )
        parts.append(section("What matters", lead, _wide(figures.shares_figure(shares, _errors(comparison)))))
    curved = _curved(comparison, [setting for setting in done if setting.curve])
    if curved:
        lead = "The median over seeds of the loss of batches before their updates, neighbours averaged."
        parts.append(section("Learning", lead, _wide(figures.curves_figure(curved))))
    if drawn:
        lead = (
            "Times are medians with one thread, runs side by side; compiling is done once for all seeds of a setting."
        )
        parts.append(section("Cost", lead, _wide(figures.costs_figure(comparison, drawn)), _costs(comparison, own)))
    parts.append(section("How it was done", "What a repetition needs to know.", facts(_facts(comparison, about))))
    seeds = len(comparison.seeds)
    part = f"Judged on {text(comparison.judged)}: {comparison.runs:,} runs, {len(own):,} settings, {seeds} seeds."
    return shell(f"What helps: {comparison.task}", part, "".join(parts))


def _verdict(comparison: Comparison) -> str:
    first, *rest = comparison.verdict()
    items = "".join(f"<li>{text(sentence, 1000)}</li>" for sentence in rest)
    notes = f'<ul class="notes">{items}</ul>' if items else ""
    best = next((setting for setting in comparison.settings if setting.median is not None), None)
    p = None if best is None or best.difference is None else best.difference.p
    kind = "better" if p is not None and p < SURE else "unclear"
    return f'<div class="verdict {kind}"><p><b>{text(first, 1000)}</b></p>{notes}</div>'


def _table(comparison: Comparison, settings: Sequence[Setting]) -> str:
    rows = []
    for setting in settings:
        difference = setting.difference
        ends = "" if setting.low is None else f"<small>{setting.low:.3f} to {setting.high:.3f}</small>"
        cells = [f"{number(setting.median, 4)} {ends}"]
        if difference is None:
            cells += ["", ""]
        else:
            sure = difference.p is not None and difference.p < SURE
            mark = ("b", "b") if sure else ("span", "span")
            between = f"<small>{difference.low:+.3f} to {difference.high:+.3f}</small>"
            cells += [f"<{mark[0]}>{difference.median:+.4f}</{mark[1]}> {between}", number(difference.p, 4)]
        cells.append(
            "".join(f"{n} {what} " for n, what in ((setting.diverged, "diverged"), (setting.failed, "failed")) if n)
        )
        rows.append(row(text(setting.title, 200), cells, "model" if setting.difference is None else ""))
    head = ["", text(comparison.metric.title), "against the reference", "p", ""]
    return table(head, rows)


def _costs(comparison: Comparison, settings: Sequence[Setting]) -> str:
    rows = [
        row(
            text(setting.title, 200),
            (
                f"{setting.parameters:,}",
                number(setting.compile_seconds, 2),
                number(setting.seconds, 3),
                number(setting.train_us_a_step, 2),
                number(setting.label_us_a_step, 2),
            ),
            "model" if setting.difference is None else "",
        )
        for setting in settings
    ]
    return table(["", "weights", "compiling, s", "training, s", "us a step to train", "us a step to label"], rows)


def _shares(comparison: Comparison) -> dict[str, float]:
    shares = comparison.shares
    if shares is None or not shares.variance:
        return {}
    pairs = {" x ".join(names): share for names, share in comparison.shares_of_pairs.items()}
    found = {**comparison.shares_of_factors, **pairs}
    if len(comparison.shares_of_factors) > 2 or not pairs:
        found["more together" if pairs else "together"] = shares.higher
    return found | ({} if shares.seed is None else {"the seed": shares.seed})


def _errors(comparison: Comparison) -> dict[str, float]:
    return {} if comparison.shares is None else {" x ".join(n): error for n, error in comparison.shares.errors.items()}


def _curved(comparison: Comparison, settings: Sequence[Setting]) -> list[Setting]:
    """Those whose learning curves are drawn."""
    if len(settings) <= CURVES:
        return list(settings)
    half = CURVES // 2
    chosen = [*settings[:half], *settings[-half + 1 :]]
    return chosen + [setting for setting in settings if setting.difference is None and setting not in chosen]


def _facts(comparison: Comparison, about: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    from bothways import __version__

    how = {
        "seeds": ", ".join(str(seed) for seed in comparison.seeds),
        "intervals": "bootstrap over seeds and sequences, 1,000 draws, percentiles",
        "p": comparison.test,
        "runs still to do": comparison.left,
        "seconds of all runs": f"{comparison.seconds:.0f}",
        "bothways": __version__,
    }
    marks = {f"possible reading {name}": f"{value:.4f}" for name, value in comparison.bayes_accuracy.items()}
    if comparison.baseline is not None:
        marks["always the commonest label"] = f"{comparison.baseline:.4f}"
    found: dict[str, dict[str, Any]] = {"Study": how}
    if marks:
        found["To hold scores against"] = marks
    if about:
        found["Besides"] = dict(about)
    return found


def _wide(drawing: str) -> str:
    return f'<div class="scroll wide">{figure("", drawing)}</div>'
