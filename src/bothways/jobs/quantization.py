"""A model in int8, and what that costs on a table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bothways import metrics, store
from bothways.errors import InputError, option
from bothways.files import check_output
from bothways.jobs.evaluation import read_part
from bothways.jobs.models import MODEL_ENDING, load_with_columns
from bothways.metrics import Evaluation, Interval
from bothways.runtime import quantize as quantized
from bothways.sequences import Array

FLOAT32 = "float32"
ROUNDS = 2  # how often each model labels the part, by turns; the fastest counts


@dataclass(frozen=True)
class Quantization:
    """A model of float32 and the same one in int8, on one part of a table."""

    path: Path | None  # the file of the model in int8; None if it was not written, because it is worse
    before: Evaluation  # how good the model of float32 is
    after: Evaluation  # how good the one in int8 is; its baseline "float32" is the other one
    changed: float  # the share of labels that are others in int8
    size: tuple[int, int]  # the bytes of both files
    speed: tuple[float, float]  # how many steps per second both label

    @property
    def scores(self) -> tuple[Interval, ...]:
        """The decisive scores of both, with their intervals; NaN for their ends where there are none."""
        name = self.after.decisive
        values = ((each, float(getattr(each, name))) for each in (self.before, self.after))
        return tuple(each.intervals.get(name, Interval(value, np.nan, np.nan)) for each, value in values)

    @property
    def difference(self) -> Interval:
        """By how much the score of int8 is above the other, on the same samples; NaN for its ends as in `scores`."""
        before, after = self.scores
        ahead = self.after.baselines[FLOAT32].ahead
        return ahead.get(self.after.decisive, Interval(after.value - before.value, np.nan, np.nan))

    @property
    def standing(self) -> str:
        """How int8 stands beside float32, as `Evaluation.beside` says it; of few sequences, too, a loss is one."""
        return "worse" if self.worse and self.after.baselines[FLOAT32].ahead else self.after.standing

    @property
    def worse(self) -> bool:
        """Whether the score falls: the interval of the difference says so, or without one the difference itself."""
        value, low, high = self.difference
        return value < 0 if np.isnan(low) else high < 0

    @property
    def verdict(self) -> str:
        """What int8 costs, and what helps where it was not written."""
        name, (value, low, high) = metrics.title(self.after.decisive), self.difference
        moved = f"{name} changes by {value:+.4f}"
        between = f"{moved} [{low:+.4f}, {high:+.4f}]"
        cost = {
            "worse": f"Worse: in int8 {between}, an interval below 0. Keep the model of float32.",
            "better": f"Not worse: in int8 {between}.",
            "unclear": f"No loss is shown: in int8 {between}.",
            "unknown": f"In int8 {moved}; there are too few sequences for an interval.",
        }[self.standing]
        return cost + f" Not written; {option('force', True)} writes it all the same." * (self.path is None)

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways quantize --json` prints."""

        def shape(interval: Interval) -> dict[str, float | None]:
            return {name: None if np.isnan(end) else end for name, end in interval._asdict().items()}

        rows = zip((FLOAT32, "int8"), self.scores, self.size, self.speed, strict=True)
        return {
            "output": None if self.path is None else str(self.path),
            "split": self.after.split,
            "sequences": self.after.sequences,
            "steps": self.after.labels,
            "changed": self.changed,
            "score": self.after.decisive,
            **{name: shape(of) | {"bytes": size, "steps_per_second": speed} for name, of, size, speed in rows},
            "difference": shape(self.difference),
            "standing": self.standing,
            "verdict": self.verdict,
        }


def quantize(
    model: str | Path,
    data: str | Path,
    output: str | Path,
    part: str | None = None,
    *,
    force: bool = False,
    say: Callable[[str], None] = print,
    **reading: Any,
) -> Quantization:
    """Write a model in int8, as `bothways.quantize` makes it, and compare it with the one of float32 on a table.

    One that is worse is not written, unless `force` is given. The part and how the table is read are as for
    `bothways.jobs.evaluate`. `InputError` if the model is of int8 already, or the output is the model itself.
    """
    output = check_output(output, (MODEL_ENDING,))
    loaded, columns = load_with_columns(model)
    if output.exists() and output.samefile(model):
        raise InputError(f"{output}: this is the model of float32 itself; write that in int8 to another file.")
    both = (loaded, quantized(loaded))
    _, (name, sequences, unseen, notices) = read_part(data, loaded, columns, part, reading, say)
    for notice in notices:
        say(notice)
    probabilities: list[Array] = [np.empty(0)] * 2
    seconds = np.empty((ROUNDS, 2))
    for i, k in np.ndindex(ROUNDS, 2):
        start = time.perf_counter()
        probabilities[k] = both[k].probabilities(sequences)
        seconds[i, k] = time.perf_counter() - start
    codes = [loaded.decide(p, sequences.lengths) for p in probabilities]

    def evaluated(k: int, **more: Any) -> Evaluation:
        known = [*loaded.classes, *unseen]
        return metrics.evaluate(sequences, probabilities[k], known, split=name, predicted=codes[k], **more)

    before, after = evaluated(0), evaluated(1, baselines={FLOAT32: codes[0]})
    with tempfile.TemporaryDirectory() as folder:
        store.save(both[1], trial := Path(folder) / "small")
        size = trial.stat().st_size
    done = Quantization(
        path=None,
        before=before,
        after=after,
        changed=float((codes[0] != codes[1]).mean()),
        size=(Path(model).stat().st_size, size),
        speed=tuple(sequences.steps / seconds.min(axis=0)),
    )
    if done.worse and not force:
        return done
    store.save(both[1], output)
    return replace(done, path=output)
