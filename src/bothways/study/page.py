"""What a comparison found, as one page of HTML that opens offline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from bothways.data import guess_rows
from bothways.errors import counted
from bothways.report import html
from bothways.report.page import shell, write_html
from bothways.study import view
from bothways.study.results import Comparison, SettingResult

DRAWN = 40  # at most this many settings are drawn; the table has all
CURVES = 8  # at most this many learning curves are drawn: the best, the worst, and the reference


def write_page(path: str | os.PathLike[str], comparison: Comparison, about: Mapping[str, Any] | None = None) -> None:
    """Write a page, whole or not at all; `about` is what else there is to know, by name."""
    write_html(path, lambda: page_of(comparison, about or {}))


def page_of(comparison: Comparison, about: Mapping[str, Any]) -> str:
    """The HTML of the page."""
    from bothways.study import figures

    own = comparison.own
    done = [result for result in own if result.median is not None]
    drawn, curved = done[:DRAWN], _curved([result for result in done if result.curve])
    colours = figures.colours_of(done, curved)
    parts = [_verdict(comparison)]
    if drawn:
        lead = (
            "A dot is a run with one seed, a diamond the median, the line behind it a 95 % interval over other seeds "
            "and other sequences. A setting has the same colour in all drawings: the reference is orange"
        )
        lead += ", settings without a learning curve are grey." if len(curved) < len(done) else "."
        lead += f" The best {DRAWN} of {len(done)} are drawn." if len(done) > DRAWN else ""
        drawing = figures.settings_figure(comparison, drawn, colours)
        parts.append(_section("Settings", lead, drawing, view.settings_table(comparison)))
    if shares := view.shares_of(comparison):
        lead = (
            "The variance of the score over all settings and seeds, split into what each factor explains alone "
            "(functional ANOVA: Hutter et al. 2014), what two explain only together, and what the seed does. A line is "
            "a standard error over seeds."
        )
        parts.append(_section("What matters", lead, figures.shares_figure(shares)))
    if curved:
        lead = "The median over seeds of the loss of batches before their updates, neighbours averaged."
        parts.append(_section("Learning", lead, figures.curves_figure(curved, colours)))
    if drawn:
        lead = "Times are medians with one thread, runs side by side; a setting is compiled once per process."
        drawing = figures.costs_figure(comparison, drawn, colours)
        parts.append(_section("Cost", lead, drawing, view.costs_table(comparison)))
    facts = {**view.facts(comparison), **({"Besides": about} if about else {})}
    roles = html.roles_table(guess_rows(comparison.task.columns))
    parts.append(html.section("How it was done", "What a repetition needs to know.", html.facts_list(facts), roles))
    tested_on = html.text(comparison.task.tested_on)
    sizes = {"run": comparison.runs, "setting": len(own), "seed": len(comparison.seeds)}
    part = f"Tested on {tested_on}: {', '.join(counted(count, noun) for noun, count in sizes.items())}."
    return shell(f"What helps: {comparison.task.name}", part, "".join(parts))


def _verdict(comparison: Comparison) -> str:
    first, *rest = comparison.verdict()
    best = comparison.settings[0].difference
    kind = "better" if best is not None and best.verdict == "better" else "unclear"
    return html.verdict(kind, html.text(first, 1000), "", [html.text(sentence, 1000) for sentence in rest])


def _table(table: view.TableView) -> str:
    rows = [
        html.row(html.text(row.name, 200), map(_cell, row.cells), "model" if row.reference else "")
        for row in table.rows
    ]
    return html.table(["", *map(html.text, table.head[1:])], rows)


def _cell(cell: view.Entry) -> str:
    words = f"<b>{html.text(cell.text)}</b>" if cell.mark else html.text(cell.text)
    return words + (f" <small>{html.text(cell.ends)}</small>" if cell.ends else "")


def _curved(results: Sequence[SettingResult]) -> list[SettingResult]:
    """Those whose learning curves are drawn."""
    if len(results) <= CURVES:
        return list(results)
    half = CURVES // 2
    chosen = [*results[:half], *results[-half + 1 :]]
    return chosen + [result for result in results if result.reference and result not in chosen]


def _section(title: str, lead: str, drawing: str, table: view.TableView | None = None) -> str:
    return html.section(title, lead, html.wide(drawing), "" if table is None else _table(table))
