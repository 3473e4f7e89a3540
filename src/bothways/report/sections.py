"""The sections of a report, each a function from its content to HTML; one that has nothing to show is empty."""

from __future__ import annotations

import numpy as np

from bothways.metrics import Interval, curve, share, title
from bothways.report import figures
from bothways.report.content import Report, short
from bothways.report.html import between, facts, figure, number, row, section, table, text, track, wide
from bothways.report.words import baseline_words
from bothways.report.words import verdict as verdict_words
from bothways.report.worst import Floats, busiest_window, input_values, telling_inputs, worst_sequences

WORST = 10
STEPS_SHOWN = 1500
CONFUSION_CLASSES = 20
ROOMY_CLASSES = 9
FEW_CLASSES = 4
CURVES = 6
CLASS_ROWS = 200
COLUMN_ROWS = 200
INPUTS = 3
WORDS = 40
MISTAKES = 12
EVEN = 0.02
"""Confidence and accuracy this close are as good as equal."""


def verdict(report: Report) -> str:
    """Whether the model is worth anything, and what to know when reading on."""
    evaluation = report.evaluation
    first, _, rest = verdict_words(evaluation).partition(". ")
    notes = [*report.notes, *evaluation.warnings]
    items = "".join(f"<li>{text(note, 500)}</li>" for note in notes)
    return (
        f'<div class="verdict {evaluation.standing}"><p><b>{text(first, 500)}.</b>{text(rest, 1000)}</p>'
        + (f'<ul class="notes">{items}</ul>' if items else "")
        + "</div>"
    )


def scores(report: Report) -> str:
    """The model beside the baselines."""
    evaluation, intervals = report.evaluation, report.evaluation.intervals

    def cell(value: float, interval: Interval | None, said: str) -> str:
        return f"{value:.3f} {said}{track(value, interval)}"

    names = ("macro_f1", "accuracy")
    ends = {name: intervals.get(name) for name in names}
    rows = [row("this model", (cell(getattr(evaluation, n), ends[n], between(ends[n])) for n in names), "model")]
    for name, baseline in evaluation.baselines.items():
        ahead = {n: f"<small>model {between(each, '+')}</small>" for n, each in baseline.ahead.items()}
        cells = (cell(getattr(baseline, n), None, ahead.get(n, "")) for n in names)
        rows.append(row(text(baseline_words(name, evaluation.per)), cells))
    lead = "Macro F1 weighs all classes alike; accuracy is the share of labels that are right."
    if intervals:
        lead += (
            f" In small print: {evaluation.confidence:.0%} intervals from {evaluation.resamples:,} samples of whole "
            "sequences, of the model's score and of how far it is ahead of each baseline."
        )
    return section("Scores", lead, table(["", *(title(n)[0].upper() + title(n)[1:] for n in names)], rows, "scores"))


def alarms(report: Report) -> str:
    """What the threshold gives."""
    given = report.evaluation.alarms
    if given is None:
        return ""
    name = report.names[report.positive] if report.positive is not None else "it"
    rates = report.evaluation.intervals
    asked = given.asked_false_alarm_rate
    cards = [
        ("Detection rate", number(given.detection_rate), between(rates.get("detection_rate"))),
        (
            "False-alarm rate",
            number(given.false_alarm_rate, 4),
            between(rates.get("false_alarm_rate")) + ("" if asked is None else f"<small>asked for: {asked:g}</small>"),
        ),
        ("Precision of alarms", number(given.precision), ""),
        ("Alarms", f"{given.alarms:,}", f"<small>{given.false_alarms:,} of them false</small>"),
    ]
    if given.alarms_per_hour is not None:
        false = f"<small>{given.false_alarms_per_hour:.3g} of them false, in {given.hours:,.4g} hours</small>"
        cards.append(("Alarms per hour", f"{given.alarms_per_hour:.3g}", false))
    chosen = "" if asked is None else ", which was chosen on the valid part"
    lead = (
        f"An alarm is raised where the probability of <b>{text(name)}</b> is {given.threshold:.6g} or more{chosen}. "
        f"{given.positives:,} {report.evaluation.per}s should raise one, {given.negatives:,} should not."
    )
    return section("Alarms", lead, _cards(cards))


def classes(report: Report) -> str:
    """Precision, recall and the like of each class."""
    evaluation = report.evaluation
    rows = []
    for label, of in list(evaluation.classes.items())[:CLASS_ROWS]:
        cells = (
            number(of.precision),
            number(of.recall),
            f"{number(of.f1)} {between(evaluation.intervals.get(f'f1:{label}'))}",
            number(of.false_alarm_rate, 4),
            number(of.average_precision),
            number(of.roc_auc),
            f"{of.support:,}",
        )
        rows.append(row(text(label), cells))
    head = [
        "",
        "Precision",
        "Recall",
        "F1",
        "False-alarm rate",
        "Average precision",
        "ROC AUC",
        f"{evaluation.per.capitalize()}s",
    ]
    lead = (
        "Precision: the share of predictions of a class that are right. Recall: the share of labels of a class that "
        "are predicted. False-alarm rate: the share of other labels that are predicted as this class."
    )
    if (more := len(report.classes) - CLASS_ROWS) > 0:
        lead += f" {more:,} more classes are not shown."
    return section("Classes", lead, table(head, rows))


def confusion_and_calibration(report: Report) -> str:
    """What is taken for what; beside it, whether probabilities can be trusted."""
    few = len(report.classes) <= FEW_CLASSES
    lead = "Each row is an expected label, and how often which label was predicted for it."
    matrix = section("Confusion", lead, _matrix(report), _mistakes(report) if few else "")
    if few:
        return f'<div class="side">{matrix}{_calibration(report)}</div>'
    mistakes = section("The most frequent mistakes", "What is predicted instead of what.", _mistakes(report))
    return f'{matrix if _matrix(report) else ""}<div class="side">{mistakes}{_calibration(report)}</div>'


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


def curves(report: Report) -> str:
    """What other thresholds would give."""
    known = report.expected >= 0
    expected = report.expected[known]
    if report.positive is not None:
        codes = [report.positive]
    elif len(report.classes) == 2:
        codes = [1]
    else:
        precisions = {code: of.average_precision for code, of in enumerate(report.evaluation.classes.values())}
        ranked = sorted((precision, code) for code, precision in precisions.items() if precision is not None)
        codes = [code for _, code in ranked[:CURVES]]
    lines = {}
    for code in codes:
        if (line := curve(expected == code, report.probabilities[known, code])) is not None:
            lines[f"{short(report.classes[code], 24)}"] = line
    drawings = []
    if lines:
        base = float((expected == codes[0]).mean())
        given = report.evaluation.alarms
        which = f" of {text(report.classes[codes[0]], 24)}" if len(codes) == 1 else ""
        drawings.append(figure(f"Precision and recall{which}", figures.precision_recall(lines, base, given)))
        drawings.append(figure(f"Detection and false alarms{which}", figures.detection_false_alarms(lines, given)))
    lead = "What other thresholds on the probability of a class would give."
    if len(report.classes) > len(codes) > 1:
        lead += f" Of {len(report.classes)} classes, the {len(codes)} with the lowest average precision are drawn."
    return section("Thresholds", lead, f'<div class="pair">{"".join(drawings)}</div>' if drawings else "")


def _calibration(report: Report) -> str:
    """Whether probabilities can be trusted."""
    result = report.evaluation.calibration
    steps = sum(part.steps for part in result.bins)
    confidence = sum(part.confidence * part.steps for part in result.bins) / steps
    accuracy = report.evaluation.accuracy
    said = "overconfident" if confidence > accuracy else "too cautious"
    said = "well calibrated on the whole" if abs(confidence - accuracy) < EVEN else said
    lead = (
        f"Whether probabilities can be trusted. The model is {said}: predicted labels have a probability of "
        f"{confidence:.3f} on average, and a share of {accuracy:.3f} is right."
    )
    cards = [
        ("Expected calibration error", number(result.error), f"<small>best at 0; {len(result.bins)} bins</small>"),
        ("Brier score", number(result.brier), "<small>best at 0</small>"),
    ]
    drawing = f"<figure>{figures.reliability(result)}</figure>"
    return section("Calibration", lead, _cards(cards), drawing)


def worst(report: Report) -> str:
    """The sequences that are labeled worst."""
    return _worst_labels(report) if report.sequences.per == "sequence" else _worst_steps(report)


def training(report: Report) -> str:
    """How training went."""
    if not report.history:
        return ""
    best = max((epoch.epoch for epoch in report.history if epoch.best), default=report.history[-1].epoch)
    lead = f"{len(report.history)} epochs were run, and the weights of epoch {best} kept."
    drawing = figures.training_curves(report.history, report.metric)
    return section("Training", lead, wide(drawing))


def making(report: Report) -> str:
    """Sizes, splits, network, settings, versions, and what each column is for."""
    roles = [row(text(name), (text(role), text(why, 200))) for name, role, why in report.roles[:COLUMN_ROWS]]
    columns = [f"<h3>Columns</h3>{table(['Column', 'Role', 'Why'], roles, 'words')}"] if roles else []
    if (more := len(report.roles) - COLUMN_ROWS) > 0:
        columns.append(f"<p>{more:,} more columns are not shown.</p>")
    return section("How it was made", "What it takes to repeat it.", facts(report.facts), *columns)


def _cards(cards: list[tuple[str, str, str]]) -> str:
    """Numbers with their names above and small print below; all HTML."""
    items = "".join(f"<div><dt>{name}</dt><dd>{value}{small}</dd></div>" for name, value, small in cards)
    return f'<dl class="numbers">{items}</dl>'


def _worst_steps(report: Report) -> str:
    expected, predicted = report.expected, report.predicted
    lengths, offsets = report.sequences.lengths, report.sequences.offsets
    numbers = report.sequences.sequence_of_steps
    wrong = (expected >= 0) & (expected != predicted)
    mistakes = np.bincount(numbers[wrong], minlength=len(lengths))
    judged = np.bincount(numbers[expected >= 0], minlength=len(lengths))
    chosen = worst_sequences(mistakes, judged, WORST)
    if not chosen:
        return section("The worst sequences", "Not one step of any sequence is labeled wrong.", " ")
    windows = []
    for sequence in chosen:
        start, end = int(offsets[sequence]), int(offsets[sequence + 1])
        inside = busiest_window(wrong[start:end], STEPS_SHOWN)
        windows.append(slice(start + inside.start, start + inside.stop))
    coloured, inputs, shown = _coloured(report, windows), telling_inputs(report, INPUTS), []
    for k, (sequence, window) in enumerate(zip(chosen, windows, strict=True)):
        start, length = int(offsets[sequence]), int(lengths[sequence])
        first, last = window.start - start, window.stop - start - 1
        said = (
            f"{mistakes[sequence]:,} of {judged[sequence]:,} steps wrong ({mistakes[sequence] / judged[sequence]:.1%})"
        )
        if length > STEPS_SHOWN:
            said += f"; steps {first:,} to {last:,} are shown, {length - STEPS_SHOWN:,} others are cut"
        name = text(report.sequences.id(sequence))
        drawing = figures.steps(report, k, window, first, coloured, inputs, f"Sequence {name}, step by step: {said}")
        shown.append(f"<h3>{name} <small>{said}</small></h3>{wide(drawing)}")
    lead = (
        "By the number of wrong steps times their share, so that neither short nor long sequences crowd out others. "
        "Steps count from 0. Below the bands: the probability of the expected label"
    )
    lead += f", and the {len(inputs)} inputs that tell the labels apart best." if inputs else "."
    return section("The worst sequences", lead, _legend(report, coloured), *shown)


def _worst_labels(report: Report) -> str:
    expected, predicted = report.expected, report.predicted
    chance = report.probabilities[np.arange(len(expected)), np.maximum(expected, 0)]
    wrong = np.flatnonzero((expected >= 0) & (expected != predicted))
    if len(wrong) == 0:
        return section("The worst sequences", "Not one sequence is labeled wrong.", " ")
    chosen = wrong[np.argsort(chance[wrong], kind="stable")][:WORST].tolist()
    mass = report.probabilities[chosen].sum(axis=0)
    coloured = sorted(np.argsort(-mass, kind="stable")[: figures.CLASS_COLOURS].tolist())
    means, inputs, rows = input_values(report), telling_inputs(report, INPUTS), []
    for i in chosen:
        bar = "".join(
            f'<span style="width:{share:.2%};background:{_colour(code, coloured)}" '
            f'title="{text(report.classes[code])}: {share:.3f}"></span>'
            for code, share in enumerate(report.probabilities[i].tolist())
            if share > 0.002
        )
        cells = (
            text(report.classes[expected[i]]),
            text(report.classes[predicted[i]]),
            number(float(chance[i])),
            number(float(report.probabilities[i].max())),
            f'<span class="chances">{bar}</span>',
            text(_inside(report, i, means, inputs), 160),
        )
        rows.append(row(text(report.sequences.id(i)), cells))
    head = [
        "Sequence",
        "Expected",
        "Predicted",
        "P(expected)",
        "P(predicted)",
        "All classes",
        "Words" if report.texts is not None else "Means of inputs",
    ]
    lead = f"Of {len(wrong):,} sequences that are labeled wrong, the {len(chosen)} that the model was most sure of."
    return section("The worst sequences", lead, _legend(report, coloured), table(head, rows, "labels"))


def _inside(report: Report, sequence: int, means: Floats, inputs: list[int]) -> str:
    """What a sequence holds, in short: its words, or the means of some inputs."""
    if report.texts is not None:
        start = int(report.sequences.offsets[sequence])
        words = report.texts[start : start + min(WORDS, int(report.sequences.lengths[sequence]))]
        return " ".join(str(word) for word in words)
    return ", ".join(f"{report.inputs[k]} {means[sequence, k]:.4g}" for k in inputs)


def _coloured(report: Report, windows: list[slice]) -> list[int]:
    """The classes that get a colour of their own: those that are seen most in the drawings."""
    if len(report.classes) <= figures.CLASS_COLOURS:
        return list(range(len(report.classes)))
    seen = np.zeros(len(report.classes), np.int64)
    for window in windows:
        for codes in (report.expected[window], report.predicted[window]):
            seen += np.bincount(codes[codes >= 0], minlength=len(seen))
    return sorted(np.argsort(-seen, kind="stable")[: figures.CLASS_COLOURS].tolist())


def _legend(report: Report, coloured: list[int]) -> str:
    names = [(_colour(code, coloured), text(report.classes[code])) for code in coloured]
    if len(report.classes) > len(coloured):
        names.append(("var(--soft)", f"{len(report.classes) - len(coloured)} others"))
    items = "".join(f'<li><span style="background:{colour}"></span>{name}</li>' for colour, name in names)
    return f'<ul class="legend">{items}</ul>'


def _colour(code: int, coloured: list[int]) -> str:
    return f"var(--{figures.COLOURS[figures.class_colour(code, coloured)]})"
