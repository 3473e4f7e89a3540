"""What one can do without a network: the labelings that a model must beat to be worth anything."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.metrics.labels import Floats, Numbers
from bothways.sequences import NO_LABEL, Sequences

ROWS = 50_000
"""So many steps are enough for a regression on single steps, and take seconds."""

VALUES = 1000
"""So many values of a category column get a weight in a regression, the most frequent ones."""

ITERATIONS = 200


@dataclass(frozen=True, eq=False)
class OneStep:
    """A logistic regression on one step at a time; for labels of sequences, on the mean of their steps.

    Attributes:
        values: for each category column the codes that have an input of their own.
        mean: `(inputs,)` what is taken from each input.
        scale: `(inputs,)` what each is divided by then.
        kernel: `(inputs, classes)` the weights.
        bias: `(classes,)`, minus infinity for classes that training never saw.
    """

    values: tuple[tuple[int, ...], ...]
    mean: Floats
    scale: Floats
    kernel: Floats
    bias: Floats

    def predict(self, sequences: Sequences) -> Numbers:
        """Codes, one per step or one per sequence."""
        inputs = (_inputs(sequences, self.values) - self.mean) / self.scale
        return np.asarray((inputs @ self.kernel + self.bias).argmax(axis=1), np.int64)

    def to_json(self) -> dict[str, Any]:
        """The regression as plain JSON values."""
        return {
            "values": [list(codes) for codes in self.values],
            "mean": _digits(self.mean),
            "scale": _digits(self.scale),
            "kernel": _digits(self.kernel),
            "bias": [None if number == -np.inf else number for number in _digits(self.bias)],
        }

    @classmethod
    def from_json(cls, data: Any) -> OneStep:
        """The regression that `to_json` described."""
        return cls(
            values=tuple(tuple(int(code) for code in codes) for codes in data["values"]),
            mean=np.array(data["mean"], np.float64),
            scale=np.array(data["scale"], np.float64),
            kernel=np.array(data["kernel"], np.float64),
            bias=np.array([-np.inf if number is None else number for number in data["bias"]], np.float64),
        )


@dataclass(frozen=True, eq=False)
class Baselines:
    """Simple ways to label, fitted on the part that a model learned from; see `fit_baselines`.

    Attributes:
        per: "step" or "sequence", what has a label.
        majority: the code that is most frequent.
        column: which of the category columns tells the label best, from 0; None without such columns.
        by_value: `(values,)` the most frequent code for each value of that column.
        one_step: a logistic regression; None where it would be the same as `by_value`, or nothing could be learned.
        categories: for each category column how many codes there are.
    """

    per: str
    majority: int
    column: int | None
    by_value: Numbers
    one_step: OneStep | None
    categories: tuple[int, ...] = ()

    def predict(self, sequences: Sequences) -> dict[str, Numbers]:
        """The codes that each of them gives, by its name: "majority", "most_frequent_per_value", "one_step".

        For labels of sequences, the second one looks at the most frequent value of each, and the third at the mean of
        its steps.

        Args:
            sequences: the category columns last, and `per` as the baselines have it; labels are not looked at.

        Returns:
            For each name `(steps,)`, or `(sequences,)` where those have the labels.
        """
        count = sequences.steps if self.per == "step" else len(sequences)
        codes = {"majority": np.full(count, self.majority, np.int64)}
        if self.column is not None:
            at = self.column - len(self.categories)
            codes["most_frequent_per_value"] = self.by_value[_values(sequences, at, len(self.by_value))]
        if self.one_step is not None:
            codes["one_step"] = self.one_step.predict(sequences)
        return codes

    def to_json(self) -> dict[str, Any]:
        """The fitted baselines as plain JSON values, to keep them beside a model."""
        return {
            "per": self.per,
            "majority": self.majority,
            "column": self.column,
            "by_value": self.by_value.tolist(),
            "one_step": None if self.one_step is None else self.one_step.to_json(),
            "categories": list(self.categories),
        }

    @classmethod
    def from_json(cls, data: Any) -> Baselines:
        """The baselines that `to_json` described.

        Raises:
            InputError: `data` describes no baselines.
        """
        try:
            one = data["one_step"]
            return cls(
                per=str(data["per"]),
                majority=int(data["majority"]),
                column=None if data["column"] is None else int(data["column"]),
                by_value=np.array(data["by_value"], np.int64),
                one_step=None if one is None else OneStep.from_json(one),
                categories=tuple(int(values) for values in data["categories"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"This does not describe baselines ({type(error).__name__}: {error}).") from None


def fit_baselines(sequences: Sequences, classes: int, categories: Sequence[int] = (), seed: int = 0) -> Baselines:
    """Learn the simple labelings from the part that the model learns from.

    Args:
        sequences: with labels; the last columns hold codes of categories.
        classes: how many classes there are.
        categories: for each category column how many codes there are.
        seed: which steps the regression learns from, where there are more than it needs.

    Raises:
        InputError: no labels.

    Example:
        >>> x = [np.array([[0.1, 1], [0.2, 2]]), np.array([[0.3, 1], [0.4, 2]])]
        >>> sequences = Sequences.from_arrays(x, labels=np.array([0, 1, 0, 1]))
        >>> baselines = fit_baselines(sequences, classes=2, categories=[3])
        >>> {name: codes.tolist() for name, codes in baselines.predict(sequences).items()}
        {'majority': [0, 0, 0, 0], 'most_frequent_per_value': [0, 1, 0, 1], 'one_step': [0, 1, 0, 1]}
    """
    per, codes = sequences.per, sequences.known_labels
    labeled = codes != NO_LABEL
    if not labeled.any():
        raise InputError(f"None of the {len(codes)} {per}s has a label; there is nothing to learn.")
    known = codes[labeled]
    most = int(np.bincount(known, minlength=classes).argmax())

    best, column, by_value = -1, None, np.zeros(0, np.int64)
    for i, values in enumerate(categories):
        of_column = _values(sequences, i - len(categories), values)[labeled]
        table = np.bincount(of_column * classes + known, minlength=values * classes).reshape(values, classes)
        if (right := int(table.max(axis=1).sum())) > best:
            best, column = right, i
            by_value = np.where(table.any(axis=1), table.argmax(axis=1), most)

    same = per == "step" and len(categories) == 1 == sequences.features
    one_step = None if same else _fit_one_step(sequences, classes, categories, seed)
    return Baselines(per, most, column, by_value, one_step, tuple(categories))


def _fit_one_step(sequences: Sequences, classes: int, categories: Sequence[int], seed: int) -> OneStep | None:
    """The regression; None where there are no inputs or only one class."""
    # Importing scikit-learn takes most of a second, which is no price for asking for --help.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    codes = sequences.known_labels
    rows = np.flatnonzero(codes != NO_LABEL)
    if len(rows) > ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, ROWS, replace=False))
    if sequences.per == "step":
        chosen = Sequences(sequences.values[rows], np.ones(len(rows), np.int64))
    else:
        chosen = sequences.take(rows)
    values = tuple(_frequent(chosen.values[:, i - len(categories)]) for i in range(len(categories)))
    inputs, known = _inputs(chosen, values), codes[rows]
    seen = np.unique(known)
    if inputs.shape[1] == 0 or len(seen) < 2:
        return None
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale[scale == 0] = 1
    regression = LogisticRegression(max_iter=ITERATIONS)
    with warnings.catch_warnings():
        # It is good enough as it is, and must not take longer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit((inputs - mean) / scale, known)
    kernel, bias = np.zeros((inputs.shape[1], classes)), np.full(classes, -np.inf)
    # For two classes there is one column of weights, that of the second one.
    bias[seen] = 0
    fitted = seen if len(seen) > 2 else seen[1:]
    kernel[:, fitted], bias[fitted] = regression.coef_.T, regression.intercept_
    return OneStep(values, mean, scale, kernel, bias)


def _inputs(sequences: Sequences, values: Sequence[Sequence[int]]) -> Floats:
    """`(labels, inputs)`: numbers, then a 1 for the value of each category column; per sequence, their means."""
    numeric, steps = sequences.features - len(values), sequences.values
    per_step = sequences.per == "step"
    rows = len(steps) if per_step else len(sequences)
    numbers = np.arange(rows) if per_step else sequences.sequence_of_steps
    blocks = [np.bincount(numbers, steps[:, i], rows)[:, None] for i in range(numeric)]
    for i, codes in enumerate(values):
        known = np.asarray(codes, np.int64)
        column = steps[:, numeric + i].astype(np.int64)
        places = np.searchsorted(known, column).clip(max=max(len(known) - 1, 0))
        found = known[places] == column if len(known) else np.zeros(len(column), bool)
        cells = numbers[found] * len(known) + places[found]
        blocks.append(np.bincount(cells, minlength=rows * len(known)).reshape(rows, len(known)))
    inputs = np.concatenate(blocks, axis=1) if blocks else np.zeros((rows, 0))
    return inputs.astype(np.float64) if per_step else inputs / np.maximum(sequences.lengths, 1)[:, None]


def _values(sequences: Sequences, at: int, values: int) -> Numbers:
    """The value of a category column at each step, or the most frequent one of each sequence; 0 where out of range."""
    column = sequences.values[:, at].astype(np.int64)
    column = np.where((column < 0) | (column >= values), 0, column)
    if sequences.per == "step":
        return column
    pieces = np.split(column, sequences.offsets[1:-1]) if len(sequences) else []
    return np.array([np.bincount(piece).argmax() if len(piece) else 0 for piece in pieces], np.int64)


def _frequent(column: npt.NDArray[Any]) -> tuple[int, ...]:
    """The most frequent codes, in their order."""
    codes, counts = np.unique(column.astype(np.int64), return_counts=True)
    return tuple(np.sort(codes[np.argsort(-counts, kind="stable")[:VALUES]]).tolist())


def _digits(numbers: Floats) -> Any:
    """Numbers of six digits, which is enough to label by and a third of the text."""
    return np.vectorize(lambda number: float(f"{number:.6g}"), otypes=[np.float64])(numbers).tolist()
