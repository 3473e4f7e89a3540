"""Label a table, or each file of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bothways.data import Columns, LabeledWriter
from bothways.errors import BothwaysError, DataError, InputError
from bothways.files import check_output
from bothways.jobs.models import load_with_columns
from bothways.metrics import rarest
from bothways.runtime import Model
from bothways.sequences import Floats, Numbers, Sequences
from bothways.settings import Reading
from bothways.tables.sources import LABELED, Source, find_files, labeled_name

SAVED = "saved"  # asks for the threshold that `bothways evaluate --save-threshold` keeps in the model


@dataclass(frozen=True, eq=False)
class Prediction:
    """What labeling a table, or each file of a folder, gave."""

    path: Path  # the file with the labels, or the folder of such files
    rows: int  # how many rows are labeled
    sequences: int  # how many sequences they form
    predicted: Mapping[Any, int]  # how many rows got each label
    files: tuple[Prediction, ...] = ()  # what each file gave, where each was labeled on its own

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways predict --json` prints."""
        return {
            "output": str(self.path),
            "rows": self.rows,
            "sequences": self.sequences,
            "predicted": {str(label): count for label, count in self.predicted.items()},
            **({"files": [each.to_json() for each in self.files]} if self.files else {}),
        }


def predict(
    model: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    threshold: float | str | None = None,
    probabilities: bool = False,
    say: Callable[[str], None] = print,
    on_rows: Callable[[int], None] | None = None,
    **reading: Any,
) -> Prediction:
    """Label every row of a table and write it with the columns `predicted` and `probability`, whole or not at all.

    Sentences come back in the form in which they came, if the output is a file of the same kind: CoNLL with the label
    in its column, or in one more; JSON lines with lists. Plain text becomes a table of its words and their places.
    Where the output is a folder, which is made if need be, each file of the data is labeled on its own, several at a
    time: by joblib on the cores of this machine, or where `joblib.parallel_config` says. Memory does not grow with the
    table as long as the rows of each sequence stand together and in order.

    The positive class is predicted where its probability is at least the threshold, else the likeliest other one;
    "saved" is the threshold that the model keeps. The positive class is that of it, else the rarest one. What is not
    given of `bothways.settings.Reading` is as it was in training.
    """
    output = Path(output)
    if output.is_dir() or not output.suffix:
        how = {"threshold": threshold, "probabilities": probabilities, **reading}
        return _predict_each(Path(model), data, output, how, say, on_rows)
    check_output(output, LABELED)
    _refuse_inputs(data, output)
    loaded, columns = load_with_columns(model)
    return label(loaded, columns, data, output, threshold, probabilities, reading, say, on_rows)


def label(
    model: Model,
    columns: Columns,
    data: Source,
    output: Path,
    threshold: float | str | None,
    probabilities: bool,
    reading: Mapping[str, Any],
    say: Callable[[str], None],
    on_rows: Callable[[int], None] | None = None,
) -> Prediction:
    """What `predict` does, with a model that is loaded already."""
    above = threshold_of(model, threshold)

    def labeled(part: Sequences) -> tuple[Numbers, Floats]:
        p = model.probabilities(part)
        return decide(model, p, part.lengths, above), p

    with LabeledWriter(output, model.classes, probabilities) as writer:
        writer.label(data, columns, labeled, on_rows, reading=Reading(**reading), say=say)
    for notice in writer.notices:
        say(notice)
    predicted = dict(zip(model.classes, writer.counts.tolist(), strict=True))
    return Prediction(output, writer.rows, writer.sequences, predicted)


def _refuse_inputs(data: str | Path, output: Path) -> None:
    """Refuse an output that is one of the inputs, or would be the next time."""
    source = Path(data)
    if source.is_dir():
        taken = output.parent.samefile(source)
    else:
        taken = not source.exists() and output != source and output.absolute().match(str(source.absolute()))
    if taken or (output.exists() and any(output.samefile(path) for path in find_files(data).paths)):
        raise InputError(f"{output}: this is one of the tables to label; write the labels somewhere else.")


def decide(model: Model, p: Floats, lengths: Numbers, above: tuple[int, float] | None) -> Numbers:
    """The codes of labels: one code wherever its probability is above a threshold, else as the model decides."""
    if above is None:
        return model.decide(p, lengths)
    code, value = above
    others = np.delete(p if model.factors is None else p * model.factors, code, axis=1).argmax(axis=1)
    return np.where(p[:, code] >= value, code, others + (others >= code))


def threshold_of(model: Model, asked: float | str | None) -> tuple[int, float] | None:
    """The code of the positive class, and from which probability it is predicted; None for the model's own decision."""
    if asked is None:
        return None
    refuse_tags(model)
    given, kept = asked, model.facts.get("threshold")
    if asked == SAVED:
        if kept is None:
            raise InputError(
                "This model keeps no alarm threshold. Give one as a number, or let `bothways evaluate MODEL DATA "
                "--false-alarm-rate 0.01 --save-threshold` choose and keep one."
            )
        given = kept["value"]
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not (0 <= value <= 1 or (kept is not None and value == kept["value"])):  # which may lie just above 1
        raise InputError(f"threshold is {asked!r}; it must be a probability from 0 to 1, or {SAVED!r}.")
    return rarest(model.counts) if kept is None else model.classes.index(kept["class"]), value


def refuse_tags(model: Model) -> None:
    """Refuse a threshold where labels are tags, which come out together and not one against the rest."""
    if len(model.classes) > 2 and model.scheme is not None:
        raise InputError("A threshold is for classes; the labels of this model are tags, which are told together.")


def _predict_each(
    model: Path,
    data: str | Path,
    output: Path,
    how: Mapping[str, Any],
    say: Callable[[str], None],
    on_rows: Callable[[int], None] | None,
) -> Prediction:
    """Label each file of the data on its own, into a folder."""
    from joblib import Parallel, delayed

    if str(output) == "-":
        raise InputError("-: tables are not written to standard output; give a file. Events are: bothways stream.")
    threshold_of(load_with_columns(model)[0], how["threshold"])
    # Each file is called as the one that it is made of, unless that has a format that cannot be written.
    files = find_files(data)
    for notice in files.notices:
        say(notice)
    targets = {path: output / labeled_name(path) for path in files.paths}
    for target, count in Counter(targets.values()).items():
        if count > 1:
            raise InputError(f"{target}: the labels of several tables would be written to this file. Rename one.")
    if output.is_dir() and any(path.parent.samefile(output) for path in targets):
        raise InputError(f"{output}: this is the folder of the tables to label; write the labels to another one.")
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: this folder cannot be made ({error.strerror}).") from None
    done, failed = list[Prediction](), list[str]()
    parallel = Parallel(n_jobs=-1 if len(targets) > 1 else 1, return_as="generator")
    tasks = (delayed(_predict_one)(model, path, target, how) for path, target in targets.items())
    try:
        for result, said in parallel(tasks):
            for message in said:
                say(message)
            if isinstance(result, str):
                failed.append(result)
                continue
            done.append(result)
            if on_rows is not None:
                on_rows(sum(each.rows for each in done))
    except BrokenProcessPool:
        raise DataError(
            f"{output}: a process that labels files was killed, as where memory is short. What is there is whole; "
            "label the other files again, fewer of them at once."
        ) from None
    if failed:
        more = f" And {len(failed) - 3} more." if len(failed) > 3 else ""
        raise DataError(f"{len(failed)} of {len(targets)} files could not be labeled. {' '.join(failed[:3])}{more}")
    rows, sequences = (sum(getattr(each, name) for each in done) for name in ("rows", "sequences"))
    predicted = {label: sum(each.predicted[label] for each in done) for label in done[0].predicted}
    return Prediction(output, rows, sequences, predicted, tuple(done))


def _predict_one(model: Path, data: Path, output: Path, how: Mapping[str, Any]) -> tuple[Prediction | str, list[str]]:
    """What labeling a file gave, or why it could not be labeled; and what is to be said."""
    said = list[str]()
    try:
        done: Prediction | str = predict(model, data, output, say=said.append, **how)
    except BothwaysError as error:
        done = _of(data, str(error))
    return done, [_of(data, message) for message in said]


def _of(data: Path, message: str) -> str:
    return message if str(data) in message else f"{data}: {message}"
