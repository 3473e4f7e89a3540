"""Evaluate a model on a part of a table."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from bothways import baselines, metrics, store
from bothways.data import Columns, evaluation_part, guess_rows, hours, match_columns, times
from bothways.data.guesses import label_of_words
from bothways.data.leaks import said_of_known
from bothways.data.renaming import as_trained
from bothways.data.roles import NONE
from bothways.errors import InputError, counted, option
from bothways.files import stamp_of
from bothways.jobs.models import load_with_columns
from bothways.jobs.prediction import refuse_tags
from bothways.metrics import Evaluation, Interval, LateScores, class_to_detect, kept_threshold, thresholds_for
from bothways.report import Report, check_report_file, warnings, write_report
from bothways.runtime import Label, Model
from bothways.sequences import Array, Sequences
from bothways.settings import Reading
from bothways.stream.windows import reads_forward_alone
from bothways.tables import Table, read_table
from bothways.tables.hints import column_notices
from bothways.tables.sources import find_files, with_blocks


def evaluate(
    model: str | Path,
    data: str | Path,
    part: str | None = None,
    *,
    label: str | None = None,
    false_alarm_rate: float | None = None,
    positive: str | None = None,
    save_threshold: bool = False,
    importance: bool = False,
    lookahead: Sequence[int] = (),
    report: str | Path | None = None,
    say: Callable[[str], None] = print,
    **reading: Any,
) -> Evaluation:
    """Evaluate a model on a part of a table: on "test" if no part is given, or on "all" where there are no parts.

    A rate of false alarms takes the lowest threshold that had at most this share of them on the valid part, as training
    kept it for `bothways.metrics.alarms.KEPT_RATES`; for a model that was trained without a valid part it is chosen on
    that of the table. Alarms are raised for the rarest label, unless `positive` names another. For each lookahead the
    decisive score in streams is measured, as in `late_scores`. What is not given of `bothways.settings.Reading` is as
    it was in training. Without a rate there is no threshold to save, nor for tags, which is an `InputError`.
    """
    if report is not None:
        check_report_file(report)
    if save_threshold and false_alarm_rate is None:
        raise InputError(f"There is no threshold to save. Choose one: add {option('false_alarm_rate', 0.01)}.")
    stamp = stamp_of(Path(model))
    loaded, columns = load_with_columns(model)
    if save_threshold:
        refuse_tags(loaded)
    code = None
    if false_alarm_rate is not None or positive is not None:
        code = class_to_detect(loaded.classes, loaded.counts, positive)
    table, (name, sequences, unseen, notices) = read_part(data, loaded, columns, part, reading, say, label)
    alarms: dict[str, Any] = {"positive": code}
    if code is not None and false_alarm_rate is not None:
        if name == "valid":
            notices.append("Careful: the threshold is chosen on the same part that is evaluated.")
        threshold = _threshold(loaded, table, columns, false_alarm_rate, code)
        alarms |= {"threshold": threshold, "asked": false_alarm_rate, "hours": hours(table, columns, sequences)}
    if name == "valid" and "refit" in loaded.facts:
        notices.append("Careful: the model learned from the valid part, too, so that its scores there are too high.")
    if name == "all":
        notices += said_of_known(sequences, loaded.facts.get("sequences", []))
    for notice in notices:
        say(notice)
    p = loaded.probabilities(sequences)
    evaluation = evaluate_part(loaded, sequences, p, unseen, split=name, **alarms)
    if lookahead:
        evaluation = replace(evaluation, late=late_scores(loaded, sequences, lookahead, unseen))
        if not set(lookahead) <= {each.lookahead for each in evaluation.late}:
            waits = counted(evaluation.late[0].lookahead or 0, "later step")
            say(f"This model reads forward: its labels wait for {waits}; as more change none, only that is shown.")
    if importance or report is not None:
        places = columns.fitted.places
        found = metrics.permutation_importance(loaded.probabilities, sequences, places, decide=loaded.decide)
        evaluation = replace(evaluation, importance=found)
    if save_threshold and code is not None:
        if stamp_of(Path(model)) != stamp:
            raise InputError(f"{model}: another model was written here meanwhile. Evaluate again.")
        kept = {"class": loaded.classes[code], "value": alarms["threshold"], "false_alarm_rate": false_alarm_rate}
        store.save(replace(loaded, facts={**loaded.facts, "threshold": kept}), model)
    if report is not None:
        about = {"title": Path(model).stem, "positive": code, "notes": notices}
        write_report(report, _report(loaded, table, columns, evaluation, sequences, p, **about))
    return evaluation


def read_part(
    data: str | Path,
    model: Model,
    columns: Columns,
    part: str | None,
    reading: Mapping[str, Any],
    say: Callable[[str], None],
    label: str | None = None,
) -> tuple[Table, tuple[str, Sequences, tuple[Label, ...], list[str]]]:
    """A table that fits a model, and the part of it that `evaluation_part` gives; `say` tells how the table is read."""
    keys = columns.sequence or NONE, columns.order
    text = [*columns.categories, *([label or columns.label] if isinstance(model.classes[0], str) else [])]
    numbers = set(columns.features).difference(text)
    files = with_blocks(find_files(data), columns.parted)
    table = read_table(files, text, Reading(**reading), columns.reading, *keys, numbers)
    table = _as_trained(table, columns, label)
    match_columns(table, columns, label=True)
    read = {name: text for name, text in table.readings.items() if name in columns.needed}
    for notice in (*table.notices, *column_notices(read.items()), *columns.unit_notices(table.units)):
        say(notice)
    return table, evaluation_part(table, columns, part, model.classes, scheme=model.scheme)


def _as_trained(table: Table, columns: Columns, label: str | None) -> Table:
    """A table by the names that the model knows: with labels from another column; words in a file of another kind."""
    if label is not None and label != columns.label:
        frame = table.frame().with_columns(table.column(table.called(label)).alias(columns.label))
        table = replace(table, values=frame)
    if table.word is None:
        return table
    (frame, names), notices = as_trained(table.frame(), table.word, columns), table.notices
    free = [name for name in table.names if name not in {*names.values(), *columns.needed, table.word}]
    if columns.label not in frame.columns and (found := label_of_words(table, free)):
        frame = frame.rename({found.name: columns.label})
        notices += (f"{table.source}: the label {columns.label!r} is read from column {found.name!r}.",)
    word = next((name for name, own in names.items() if own == table.word), table.word)
    return replace(table, values=frame, word=word, notices=notices)


def _threshold(model: Model, table: Table, columns: Columns, false_alarm_rate: float, positive: int) -> float:
    """The threshold for a rate of false alarms, by the valid part: as training knew it, before it learned from it."""
    if (kept := model.facts.get("thresholds")) is None:
        _, valid, *_ = evaluation_part(table, columns, "valid", model.classes, scheme=model.scheme)
        return thresholds_for(valid, model.probabilities(valid), [false_alarm_rate], positive)[false_alarm_rate]
    if (found := kept_threshold(kept, false_alarm_rate, positive)) is None:
        raise InputError(
            f"The valid part of training had no label {model.classes[positive]}, or no other one, so no threshold can "
            "be chosen. Name another class."
        )
    return found


def evaluate_part(model: Model, part: Sequences, p: Array, unseen: Sequence[Label] = (), **more: Any) -> Evaluation:
    """Evaluate the probabilities of a part beside the baselines of the model; `more` as in `metrics.evaluate`.

    `unseen` are the labels that the model does not know, whose codes follow those of its classes.
    """
    columns = model.columns
    if columns is not None and columns.words is not None and part.per == "step":
        more["unseen_words"] = part.values[:, columns.fitted.names.index(columns.words)] == 0
    model = model if model.baselines else replace(model, baselines=[baselines.Majority(int(np.argmax(model.counts)))])
    simple = model.predict_baselines(part)
    predicted, labels = model.decide(p, part.lengths), [*model.classes, *unseen]
    evaluation = metrics.evaluate(part, p, labels, predicted=predicted, baselines=simple, **more)
    known = () if columns is None else tuple(map(asdict, columns.known))
    return replace(evaluation, warnings=warnings(evaluation), columns=known)


def late_scores(
    model: Model, part: Sequences, lookaheads: Sequence[int], unseen: Sequence[Label] = ()
) -> tuple[LateScores, ...]:
    """The decisive score and the time of a step in streams: for each lookahead step by step, and in chunks as long.

    The last one is that of whole sequences. A model that reads forward alone sees no more than it was trained to, so
    its own is the one lookahead. `InputError` for a model that no stream can have, or a lookahead below what it was
    trained for.
    """
    asked = [model.stream().lookahead] if reads_forward_alone(model) else dict.fromkeys(lookaheads)
    stride = math.lcm(*(network.conv_stride for network in model.networks))
    ways = {(each, chunk): None for each in asked for chunk in (stride, model.stream(each).chunk)}
    found = []
    for lookahead, chunk in [*ways, (None, 1)]:
        start = time.perf_counter()
        if lookahead is None:
            p = model.probabilities(part)
            decided = model.decide(p, part.lengths)
        else:
            decided, p = model.stream(lookahead, chunk=chunk).replay(part)
        seconds = time.perf_counter() - start
        evaluation = metrics.evaluate(part, p, [*model.classes, *unseen], predicted=decided)
        value = float(getattr(evaluation, evaluation.decisive))
        score = evaluation.intervals.get(evaluation.decisive, Interval(value, value, value))
        found.append(LateScores(lookahead, chunk, score, 1e6 * seconds / max(1, part.steps)))
    return tuple(found)


def _report(
    model: Model, table: Table, columns: Columns, evaluation: Evaluation, part: Sequences, p: Array, **more: Any
) -> Report:
    """The page about an evaluation of a part with these probabilities."""
    only = columns.words or (columns.categories[0] if len(columns.categories) == 1 else None)
    settings = model.facts.get("settings", {})
    monitor, code = metrics.monitored(settings.get("monitor", "auto"), model.counts, part.scheme is not None)
    return Report(
        evaluation=evaluation,
        sequences=part,
        probabilities=p,
        decided=model.decide(p, part.lengths),
        history=model.facts.get("history", []),
        metric=metrics.title(monitor, model.classes[code]),
        facts=_facts(model, table),
        texts=None if only is None else table.column(only).gather(part.table_rows).to_list(),
        sentences=columns.words is not None,
        times=times(table, columns, part),
        inputs=[number.name for number in columns.fitted.numbers],
        roles=guess_rows(columns.known),
        **more,
    )


def _facts(model: Model, table: Table) -> Mapping[str, Mapping[str, Any]]:
    """What the page says of how the model was made."""
    facts = model.facts
    parts = {
        f"{name} part": f"{counted(size['sequences'], 'sequence')}, {counted(size['steps'], 'step')}"
        for name, size in facts.get("parts", {}).items()
    }
    sizes = {name: each for name, each in model.summary.items() if name in ("averaged with", "weights")}
    return {
        "Data": {"evaluated on": table.source, "learned from": facts.get("data", "not known"), **parts},
        "Network": asdict(model.network) | sizes,
        "Training": facts.get("settings", {}),
        "Made with": facts.get("versions", {}),
    }
