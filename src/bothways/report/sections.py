"""The sections of a report, each a function from its content to HTML; one that has nothing to show is empty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bothways.errors import counted
from bothways.metrics import EntityScores, Interval, curve, share, title
from bothways.report import figures, html
from bothways.report.html import between, capital, number, row, scored, section, short, table, text, track, wide
from bothways.report.page import Report
from bothways.report.words import baseline_words, importance_words
from bothways.report.words import verdict as verdict_words
from bothways.report.worst import worst

CONFUSION_CLASSES = 20
ROOMY_CLASSES = 9
FEW_CLASSES = 4
CURVES = 6
ROWS = 200
COLUMNS = 20
MISTAKES = 10
EVEN = 0.02  # confidence and accuracy this close are as good as equal


def verdict(report: Report) -> str:
    """Whether the model is worth anything, and what to know when reading on."""
    first, _, rest = verdict_words(report.evaluation).partition(". ")
    notes = [text(note, 500) for note in (*report.notes, *report.evaluation.warnings)]
    return html.verdict(report.evaluation.standing, f"{text(first, 500)}.", text(rest, 1000), notes)


def scores(report: Report) -> str:
    """The model beside the baselines."""
    evaluation, intervals = report.evaluation, report.evaluation.intervals
    names = ("macro_f1", "accuracy") if evaluation.entities is None else ("entity_f1", "macro_f1", "accuracy")

    def cell(value: float, said: str, interval: Interval | None = None) -> str:
        return f"{value:.3f} {said}{track(value, interval)}"

    own = (cell(getattr(evaluation, n), between(intervals.get(n)), intervals.get(n)) for n in names)
    rows = [row("this model", own, "model")]
    for name, baseline in evaluation.baselines.items():
        ahead = {n: f"<small>model {between(each, '+')}</small>" for n, each in baseline.ahead.items()}
        cells = (cell(getattr(baseline, n), ahead.get(n, "")) for n in names)
        rows.append(row(text(baseline_words(name, evaluation.per)), cells))
    lead = "Macro F1 weighs all classes alike; accuracy is the share of labels that are right."
    if evaluation.entities is not None:
        lead = f"Entity F1 is that of whole entities, as conlleval counts them. {lead}"
    if intervals:
        lead += (
            f" In small print: {evaluation.confidence:.0%} intervals from {evaluation.resamples:,} samples of whole "
            "sequences, of the model's score and of how far it is ahead of each baseline."
        )
    return section("Scores", lead, table(["", *(capital(title(n)) for n in names)], rows, "scores"))


def alarms(report: Report) -> str:
    """What the threshold gives."""
    given, rates = report.evaluation.alarms, report.evaluation.intervals
    if given is None:
        return ""
    asked, chosen = "", ""
    if given.asked_false_alarm_rate is not None:
        asked, chosen = f"<small>asked for: {given.asked_false_alarm_rate:g}</small>", ", chosen on the valid part"
    cards = {
        "Detection rate": number(given.detection_rate) + between(rates.get("detection_rate")),
        "False-alarm rate": number(given.false_alarm_rate, 4) + between(rates.get("false_alarm_rate")) + asked,
        "Precision of alarms": number(given.precision),
        "Alarms": f"{given.alarms:,}<small>{given.false_alarms:,} of them false</small>",
    }
    if given.alarms_per_hour is not None:
        false = f"<small>{given.false_alarms_per_hour:.3g} of them false, in {given.hours:,.4g} hours</small>"
        cards["Alarms per hour"] = f"{given.alarms_per_hour:.3g}{false}"
    lead = (
        f"An alarm is raised where the probability of <b>{text(report.evaluation.positive)}</b> is at least "
        f"{given.threshold:.6g}{chosen}. {given.positives:,} {report.evaluation.per}s should raise one, "
        f"{given.negatives:,} should not."
    )
    return section("Alarms", lead, _cards(cards))


def entities(report: Report) -> str:
    """How well entities of each type are found."""
    evaluation, intervals = report.evaluation, report.evaluation.intervals
    if evaluation.entities is None:
        return ""
    keys = ("entity_precision", "entity_recall", "entity_f1")

    def cells(of: EntityScores, names: Sequence[str]) -> list[str]:
        shares = map(scored, (of.precision, of.recall, of.f1), map(intervals.get, names))
        return [*shares, f"{of.support:,}", f"{of.predicted:,}"]

    types = list(evaluation.entity_types.items())[:ROWS]
    rows = [row(text(name), cells(of, [f"{key}:{name}" for key in keys])) for name, of in types]
    rows.append(row("all", cells(evaluation.entities, keys), "model"))
    lead = "An entity is right if its type, its first and its last step are."
    head = ["", "Precision", "Recall", "F1", "Expected", "Predicted"]
    return section("Entities", lead, table(head, rows), _more(len(evaluation.entity_types), "types"))


def words(report: Report) -> str:
    """How good the model is on words that training saw, and on others."""
    evaluation, rows = report.evaluation, []
    names = ("accuracy", "entity_f1") if evaluation.entities else ("accuracy",)
    for kind, of in evaluation.words.items():
        found = {"accuracy": of.accuracy, "entity_f1": of.entities and of.entities.f1}
        ends = {name: evaluation.intervals.get(f"{name} of {kind} words") for name in names}
        scores = ("" if found[name] is None else scored(found[name], ends[name]) for name in names)
        rows.append(row(kind, (*scores, f"{of.steps:,}")))
    lead = "Words that the train part has, and others. An entity with a word that it does not have counts as unseen."
    head = ["", *(capital(title(name)) for name in names), "Steps"]
    return section("Seen and unseen words", lead, table(head, rows)) if rows else ""


def classes(report: Report) -> str:
    """Precision, recall and the like of each class."""
    evaluation = report.evaluation
    rows = []
    for label, of in list(evaluation.classes.items())[:ROWS]:
        f1 = scored(of.f1, evaluation.intervals.get(f"f1:{label}"))
        ranking = (number(of.average_precision), number(of.roc_auc))
        shares = (number(of.precision), number(of.recall), f1, number(of.false_alarm_rate, 4))
        rows.append(row(text(label), (*shares, *ranking, f"{of.support:,}")))
    labels = f"{evaluation.per.capitalize()}s"
    head = ["", "Precision", "Recall", "F1", "False-alarm rate", "Average precision", "ROC AUC", labels]
    lead = (
        "Precision: the share of predictions of a class that are right. Recall: the share of labels of a class that "
        "are predicted. False-alarm rate: the share of other labels that are predicted as this class."
    )
    return section("Classes", lead, table(head, rows), _more(len(report.classes), "classes"))


def confusion_and_calibration(report: Report) -> str:
    """What is taken for what; beside it, whether probabilities can be trusted."""
    few, matrix, mistakes = len(report.classes) <= FEW_CLASSES, _matrix(report), _mistakes(report)
    lead = "Each row is an expected label, and how often which label was predicted for it."
    confusion = section("Confusion", lead, matrix, mistakes if few else "")
    if few:
        return f'<div class="side">{confusion}{_calibration(report)}</div>'
    mistakes = section("The most frequent mistakes", "What is predicted instead of what.", mistakes)
    return f'{confusion}<div class="side">{mistakes}{_calibration(report)}</div>'


def curves(report: Report) -> str:
    """What other thresholds would give."""
    known = report.expected >= 0
    expected, evaluation = report.expected[known], report.evaluation
    if report.positive is not None or len(report.classes) == 2:
        codes = [1 if report.positive is None else report.positive]
    else:
        precisions = [of.average_precision for of in evaluation.classes.values()]
        codes = [code for _, code in sorted((p, code) for code, p in enumerate(precisions) if p is not None)[:CURVES]]
    few = len(report.classes) <= figures.CLASS_COLOURS  # then each has the same colour in all drawings
    found = [
        (short(report.classes[c], 24), c if few else i, curve(expected == c, report.probabilities[known, c]))
        for i, c in enumerate(codes)
    ]
    lines = [(name, colour, line) for name, colour, line in found if line is not None]
    drawings = []
    for roc, name in enumerate(("Precision and recall", "Detection and false alarms") if lines else ()):
        base = float((expected == codes[0]).mean())
        which = f" of {text(report.classes[codes[0]], 24)}" if len(codes) == 1 else ""
        drawing = figures.threshold_curves(lines, base, evaluation.alarms, bool(roc))
        drawings.append(f"<figure><figcaption>{name}{which}</figcaption>{drawing}</figure>")
    lead = "What other thresholds on the probability of a class would give."
    if len(report.classes) > len(codes) > 1:
        lead += f" Of {len(report.classes)} classes, the {len(codes)} with the lowest average precision are drawn."
    return section("Thresholds", lead, f'<div class="pair">{"".join(drawings)}</div>' if drawings else "")


def importance(report: Report) -> str:
    """How far the score falls without each column, the past and the future."""
    found = report.evaluation.importance
    if found is None:
        return ""
    columns = dict(list(found.columns.items())[:COLUMNS])
    sides = {f"the {side}": fall for side, fall in found.sides.items()}
    more = len(found.columns) - len(columns)
    groups = [(title(found.score), columns), (title("macro_f1"), sides)]
    return section(
        "What the labels rest on",
        f"How far the score falls without each. {importance_words(found)}",
        wide(figures.falls([group for group in groups if group[1]])),
        f"<p>{more} less important columns are not shown.</p>" if more else "",
    )


def late(report: Report) -> str:
    """How good labels are in a stream, before their sequence has ended."""
    evaluation = report.evaluation
    if not evaluation.late:
        return ""
    rows = [
        row(each.delay, (scored(each.score.value, each.score), f"{each.microseconds:.1f}")) for each in evaluation.late
    ]
    lead = "How good labels are that wait for at most this many later steps, instead of the end of their sequence."
    head = ["Later steps", capital(title(evaluation.decisive)), "µs per step"]
    return section("Labels in a stream", lead, table(head, rows))


def training(report: Report) -> str:
    """How training went."""
    if not report.history:
        return ""
    best = max((epoch["epoch"] for epoch in report.history if epoch.get("best")), default=len(report.history))
    lead = f"{counted(len(report.history), 'epoch was', 'epochs were')} run, and the weights of epoch {best} kept."
    return section("Training", lead, wide(figures.training_curves(report.history, best, report.metric)))


def making(report: Report) -> str:
    """Sizes, splits, network, settings, versions, and what each column is for."""
    facts, roles = html.facts_list(report.facts), html.roles_table(report.roles)
    return section("How it was made", "What it takes to repeat it.", facts, roles)


def _cards(cards: dict[str, str]) -> str:
    """Numbers by name, with small print; all HTML."""
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in cards.items())
    return f'<dl class="numbers">{items}</dl>'


def _more(count: int, what: str) -> str:
    return f"<p>{count - ROWS:,} more {what} are not shown.</p>" if count > ROWS else ""


def _matrix(report: Report) -> str:
    """The confusion matrix; nothing where there are too many classes for one."""
    counts, names = report.evaluation.confusion, report.names
    if len(names) > CONFUSION_CLASSES:
        return ""
    shares, compact = share(counts, counts.sum(axis=1, keepdims=True)), len(names) > ROOMY_CLASSES
    rows = []
    for i, name in enumerate(names):
        cells = []
        for j, part in enumerate(shares[i].tolist()):
            style = f"--share:{part:.0%};--hue:var(--{'accent' if i == j else 'bad'})"
            strong = ' class="strong"' if part > 0.55 else ""
            said = f"{part:.0%}" if compact else f"{part:.1%}<small>{counts[i, j]:,}</small>"
            said = said if part >= (0.005 if compact else 1e-9) else ""
            cells.append(f'<td{strong} style="{style}" title="{counts[i, j]:,}">{said}</td>')
        rows.append(f'<tr><th scope="row">{text(name)}</th>{"".join(cells)}</tr>')
    head = ["predicted →<br>expected ↓", *(text(name, 8 if compact else 20) for name in names)]
    return table(head, rows, "confusion compact" if compact else "confusion")


def _mistakes(report: Report) -> str:
    """The most frequent mistakes; nothing for two classes, whose matrix shows them."""
    counts, names = report.evaluation.confusion, report.names
    mistakes = np.where(np.eye(len(names), dtype=bool), 0, counts)
    shares = share(counts, counts.sum(axis=1, keepdims=True))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:MISTAKES]
    rows = [
        row(text(names[i]), (text(names[j]), f"{mistakes[i, j]:,}", f"{shares[i, j]:.1%}"))
        for i, j in zip(*(axis.tolist() for axis in np.unravel_index(order, counts.shape)), strict=True)
        if mistakes[i, j] and len(names) > 2
    ]
    head = ["Expected", "Predicted", f"{report.evaluation.per.capitalize()}s", "Of those expected"]
    return table(head, rows, "mistakes") if rows else ""


def _calibration(report: Report) -> str:
    result = report.evaluation.calibration
    labels = [part.steps for part in result.bins]
    confidence, accuracy = np.average([(part.confidence, part.accuracy) for part in result.bins], 0, labels)
    said = "overconfident" if confidence > accuracy else "too cautious"
    said = "well calibrated on the whole" if abs(confidence - accuracy) < EVEN else said
    lead = (
        f"Whether probabilities can be trusted. The model is {said}: the likeliest labels have a probability of "
        f"{confidence:.3f} on average, and a share of {accuracy:.3f} is right."
    )
    error = f"{number(result.error)}<small>best at 0; {len(result.bins)} bins</small>"
    brier = f"{number(result.brier)}<small>best at 0</small>"
    cards = _cards({"Expected calibration error": error, "Brier score": brier})
    return section("Calibration", lead, cards, f"<figure>{figures.reliability(result)}</figure>")


ALL = (
    verdict,
    scores,
    entities,
    words,
    alarms,
    classes,
    confusion_and_calibration,
    curves,
    importance,
    late,
    worst,
    training,
    making,
)
"""The sections in their order."""
