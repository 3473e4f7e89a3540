"""Judge a model on a part of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.data import (
    Columns,
    Table,
    evaluation_part,
    hours,
    match_columns,
    read_table,
)
from bothways.errors import InputError
from bothways.jobs.models import load_with_columns
from bothways.metrics import Baselines, Judgement, choose_threshold, judge, majority
from bothways.runtime import Label, Model
from bothways.sequences import NO_LABEL, Sequences


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is on one part of a table.

    Attributes:
        split: the name of the part.
        judgement: its scores, beside those of simpler ways to label the same steps.
        majority: the label that training saw most often.
        positive: the label that raises alarms; None if no threshold was asked for.
    """

    split: str
    judgement: Judgement
    majority: Label
    positive: Label | None = None

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways evaluate --json` prints."""
        shape = self.judgement.to_json(self.split)
        if self.positive is not None:
            shape["threshold"] = {"class": str(self.positive)} | shape["threshold"]
        return shape


def evaluate(
    model: str | Path,
    data: str | Path,
    part: str | None = None,
    *,
    false_alarm_rate: float | None = None,
    positive: str | None = None,
    report: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> Evaluation:
    """Judge a model on a part of a table.

    Args:
        model: the file of the model.
        data: the table, as in `bothways.data.read_table`.
        part: "train", "valid", "test" or "all"; None for "test", or "all" in a table that has no parts.
        false_alarm_rate: choose on the valid part the threshold that raises an alarm on no larger share of what is not
            `positive`, and say what it gives on the part that is judged.
        positive: the label to raise alarms for; the rarest one if not given.
        report: write a page that shows it all to this file, ending in `.html`.
        say: is called with whatever the user should know.

    Raises:
        ModelFileError: the model cannot be read.
        DataError: the table cannot be used, does not fit the model, or the report could not be written.
        InputError: a rate out of its range, or no such label.
        MissingDependencyError: a report was asked for, and what draws it is not installed.

    Example:
        >>> evaluate("nowhere.bothways", "flows.csv")
        Traceback (most recent call last):
        bothways.errors.ModelFileError: nowhere.bothways: no such file.
    """
    if report is not None:
        from bothways.report import check_report_file

        check_report_file(report)
    loaded, columns = load_with_columns(model)
    code = _positive(loaded, positive) if false_alarm_rate is not None or positive is not None else None
    table = read_table(data, columns.texts)
    match_columns(table, columns, label=True)
    name, sequences, notices = evaluation_part(table, columns, part, loaded.classes)
    threshold = None
    if code is not None and false_alarm_rate is not None:
        if name == "valid":
            notices.append("Careful: the threshold is chosen on the very part that is judged.")
        _, valid, _ = evaluation_part(table, columns, "valid", loaded.classes)
        threshold = _threshold(loaded, valid, code, false_alarm_rate)
    for notice in notices:
        say(notice)
    p = loaded.probabilities(sequences)
    time = hours(table, columns, sequences) if threshold is not None else None
    judgement = judge_part(loaded, sequences, p, positive=code, threshold=threshold, asked=false_alarm_rate, hours=time)
    common = majority(loaded.class_counts)
    chosen = None if threshold is None or code is None else loaded.classes[code]
    evaluation = Evaluation(name, judgement, common, chosen)
    if report is not None:
        _write_report(Path(report), Path(model), loaded, table, columns, sequences, p, evaluation, code, notices)
    return evaluation


def judge_part(model: Model, sequences: Sequences, p: npt.NDArray[np.float32], **alarms: Any) -> Judgement:
    """Judge probabilities of a part beside the baselines that the model brings along.

    Args:
        model: the model.
        sequences: the part, with its labels.
        p: what the model says of it.
        alarms: as in `bothways.metrics.judge`.
    """
    stored = model.facts.get("baselines")
    if stored is not None:
        baselines = Baselines.from_json(stored).predict(sequences)
    else:
        common = model.classes.index(majority(model.class_counts))
        baselines = {"majority": np.full(len(p), common)}
    lengths = sequences.lengths if sequences.per == "step" else None
    return judge(sequences.known_labels, p, model.classes, lengths, baselines=baselines, **alarms)


def _positive(model: Model, name: str | None) -> int:
    """The code of the label to raise alarms for."""
    if name is None:
        return model.classes.index(min(model.classes, key=lambda label: model.class_counts.get(label, 0)))
    for code, label in enumerate(model.classes):
        if str(label) == name:
            return code
    known = ", ".join(repr(str(label)) for label in model.classes)
    raise InputError(f"There is no class {name!r} to raise alarms for; there are: {known}.")


def _threshold(model: Model, valid: Sequences, code: int, false_alarm_rate: float) -> float:
    """The threshold that the valid part gives."""
    codes = valid.known_labels
    labeled = codes != NO_LABEL
    return choose_threshold(model.probabilities(valid)[labeled, code], codes[labeled] == code, false_alarm_rate)


def _write_report(
    path: Path,
    model_path: Path,
    model: Model,
    table: Table,
    columns: Columns,
    sequences: Sequences,
    p: npt.NDArray[np.float32],
    evaluation: Evaluation,
    positive: int | None,
    notes: list[str],
) -> None:
    from bothways.report import Epoch, Report, write_report

    facts = model.facts
    texts = None
    if sequences.per == "step" and len(columns.categories) == 1:
        texts = table.column(columns.categories[0]).gather(sequences.table_rows).to_list()
    write_report(
        path,
        Report(
            title=model_path.stem,
            split=evaluation.split,
            judgement=evaluation.judgement,
            classes=model.classes,
            expected=sequences.known_labels,
            probabilities=p,
            lengths=sequences.lengths if sequences.per == "step" else None,
            ids=[str(sequences.id(number)) for number in range(len(sequences))],
            positive=positive,
            history=[Epoch(**epoch) for epoch in facts.get("history", [])],
            facts=_facts(model, table, columns),
            notes=notes,
            texts=texts,
        ),
    )


def _facts(model: Model, table: Table, columns: Columns) -> Mapping[str, Mapping[str, Any]]:
    """What the page says of how the model was made."""
    network = model.network
    reads = "both ways" if network.direction == "both" else network.direction
    made = {
        "cell": network.cell,
        "reads": reads + (f", merged by {network.merge_mode}" if network.direction == "both" else ""),
        "units": network.units,
        "depth": network.depth,
        "a label for each": network.per,
        "weights": f"{sum(array.size for array in model.weights.values()):,} numbers",
    }
    if network.conv_window:
        made["convolution"] = f"{network.conv_window} steps, stride {network.conv_stride}"
    if network.categories:
        made["embedding"] = network.embedding
    if network.per == "sequence":
        made["pooling"] = network.pooling
    parts = {
        f"{name} part": f"{size['sequences']:,} sequences, {size['steps']:,} steps"
        for name, size in model.facts.get("parts", {}).items()
    }
    data = {"judged on": table.source, "learned from": model.facts.get("data"), **parts, **columns.roles}
    data["features"] = ", ".join(columns.features)
    return {
        "Data": {name: value for name, value in data.items() if value is not None},
        "Network": made,
        "Training": model.facts.get("settings", {}),
        "Made with": model.facts.get("versions", {}),
    }
