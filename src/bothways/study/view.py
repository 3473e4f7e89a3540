"""What is shown of a comparison, as tables of labeled cells: the terminal and the page render the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bothways.study.factors import default, factors
from bothways.study.results import Comparison, SettingResult


class Entry(NamedTuple):
    """A place in a table; `ends` stand in small print, `mark` is "better" or "worse" for a significant difference."""

    text: str = ""
    ends: str = ""
    mark: str = ""


class Row(NamedTuple):
    """A setting, or whatever else is named, and its cells."""

    name: str
    cells: list[Entry]
    reference: bool = False


class TableView(NamedTuple):
    """The names of the columns, the first of which has the names of the rows, and the rows."""

    head: tuple[str, ...]
    rows: list[Row]


def settings_table(comparison: Comparison) -> TableView:
    """Each setting with its score and its difference to the reference, the best first."""
    head = ("setting", comparison.metric.title, "ahead of the reference", "p")
    return TableView(head, [Row(each.title, _score_cells(each), each.reference) for each in comparison.own])


def costs_table(comparison: Comparison) -> TableView:
    """Each setting with what it costs."""
    head = ("setting", "weights", "compile s", "train s", "us/step, train", "us/step, label")
    rows = []
    for each in comparison.own:
        times = (each.seconds, each.train_us_per_step, each.label_us_per_step)
        texts = [f"{each.parameters:,}", f"{each.compile_seconds:.2f}", *(f"{time:.3g}" for time in times)]
        rows.append(Row(each.title, list(map(Entry, texts)), each.reference))
    return TableView(head, rows)


def shares_table(comparison: Comparison) -> TableView:
    """Where the variance of the score comes from."""
    rows = [
        Row(name, [Entry(f"{share:.1%}"), Entry("" if error is None else f"{error:.1%}")])
        for name, (share, error) in shares_of(comparison).items()
    ]
    return TableView(("source of variance", "share", "standard error"), rows)


def shares_of(comparison: Comparison) -> dict[str, tuple[float, float | None]]:
    """The share of the variance of each source, by name, with its standard error if any; empty without variance."""
    shares = comparison.shares
    if shares is None or not shares.variance:
        return {}
    alone, pairs = comparison.effects(1), comparison.effects(2)
    found = {" x ".join(names): (share, shares.errors.get(names)) for names, share in {**alone, **pairs}.items()}
    if len(alone) > (2 if pairs else 1):
        found["interactions of more" if pairs else "interactions"] = (shares.higher, None)
    return found | ({} if shares.seed is None else {"the seed": (shares.seed, None)})


def marks(comparison: Comparison) -> dict[str, float]:
    """What scores can be compared with, by name."""
    found = {} if comparison.baseline is None else {"most frequent label": comparison.baseline}
    names: dict[float, list[str]] = {}
    for direction, value in comparison.bayes_accuracy.items():
        names.setdefault(round(value, 4), []).append(direction)
    return found | {f"possible reading {' or '.join(directions)}": value for value, directions in names.items()}


def facts(comparison: Comparison) -> dict[str, Mapping[str, Any]]:
    """What a repetition needs to know, under headings."""
    from bothways import __version__

    task = comparison.task
    varied = comparison.settings[0].factors
    study = {
        "tested on": task.tested_on,
        "seeds": ", ".join(map(str, comparison.seeds)),
        "intervals": "bootstrap over seeds and sequences, 1,000 samples, percentiles",
        "p": comparison.test,
        "runs still to do": comparison.left,
        "seconds of all runs": f"{comparison.seconds:.0f}",
        "bothways": __version__,
    }
    same = {name: comparison.base.get(name, default(name)) for name in factors() if name not in varied}
    found = {"Study": study, "The data": task.about, "The same for all settings": same}
    compare_with = {name: f"{value:.4f}" for name, value in marks(comparison).items()}
    return {name: each for name, each in {**found, "To compare scores with": compare_with}.items() if each}


def _score_cells(result: SettingResult) -> list[Entry]:
    remarks = [f"{n} {what}" for n, what in ((result.diverged, "diverged"), (result.failed, "failed")) if n]
    if result.median is None:
        return [Entry("no run", ", ".join(remarks)), Entry(), Entry()]
    ends = ", ".join([f"{result.low:.3f} to {result.high:.3f}", *remarks])
    score, difference = Entry(f"{result.median:.4f}", ends), result.difference
    if difference is None:
        return [score, Entry(), Entry()]
    mark = difference.verdict
    ahead = Entry(f"{difference.median:+.4f}", f"{difference.low:+.3f} to {difference.high:+.3f}", mark)
    return [score, ahead, Entry("" if difference.p is None else f"{difference.p:.2g}", "", mark)]
