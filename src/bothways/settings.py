"""How a table is read, how to look for settings, and how to train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

from bothways.errors import InputError, option
from bothways.network import PERS
from bothways.options import check_options, option_field


class ScoreFacts(NamedTuple):
    """How a score is called (`{of}` stands for its class or rate), and whether more (1) or less (-1) is better."""

    title: str
    better: int = 1


SCORES: Mapping[str, ScoreFacts] = {
    "f1": ScoreFacts("F1 of {of}"),
    "macro_f1": ScoreFacts("macro F1"),
    "entity_f1": ScoreFacts("entity F1"),
    "accuracy": ScoreFacts("accuracy"),
    "average_precision": ScoreFacts("average precision"),
    "loss": ScoreFacts("loss", -1),
    "detection": ScoreFacts("detection rate at {of} false alarms"),
    "false_alarms": ScoreFacts("false-alarm rate at a threshold for {of}", -1),
}
"""All scores by name; `bothways.metrics.score` computes them."""


def title(name: str, of: object = "") -> str:
    """What a score of `SCORES` is called in headings; `of` is its class or false-alarm rate.

    Example:
        >>> title("f1", "attack"), title("detection", 0.01), title("macro_f1")
        ('F1 of attack', 'detection rate at 1 % false alarms', 'macro F1')
    """
    if isinstance(of, float):
        of = f"{100 * of:g} %"
    return SCORES[name].title.format(of=of)


MONITORS = ("f1", "macro_f1", "entity_f1", "accuracy", "average_precision", "loss")
"""The scores that can decide which weights are best. "f1" is for two classes, "entity_f1" for tags; the average
precision is that of the rarer of two classes, else the mean over all classes."""


def unweighable() -> InputError:
    """The error of weights beside a CRF."""
    return InputError(
        f"{option('head', 'crf')} learns the labels of a sequence together, which weights other than 0 and 1 cannot "
        f"weigh. Leave out the weights ({option('class_weight', 'balanced')}, too), or give "
        f"{option('head', 'softmax')}."
    )


def as_names(given: Any) -> tuple[Any, ...]:
    """Names, or numbers of columns, of which one alone is a list of one, and None is a list of none."""
    if given is None:
        return ()
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are for; what is not given is guessed, and said.

    Example:
        >>> roles = Roles(sequence=["subject", "trial"], drop="port")
        >>> roles.sequence, roles.drop
        ('subject,trial', ('port',))
    """

    label: str | None = option_field(None, "Column to predict.", shown="guessed")
    sequence: str | None = option_field(
        None,
        "Column that tells sequences apart, or several, as in subject,trial; none if all rows are one sequence.",
        shown="guessed",
    )
    order: str | None = option_field(
        None,
        "Column that sorts the steps, a number or a time, or several that tell a time, as in date,hour; none for the "
        "order of the rows.",
        shown="guessed",
    )
    split: str | None = option_field(
        None, "Column that says train, valid or test; none to draw the parts.", shown="guessed"
    )
    group: str | None = option_field(None, "Column whose values are kept together where parts are drawn.")
    drop: tuple[str, ...] = option_field((), "Columns to leave out: A,B.")
    features: tuple[str, ...] = option_field((), "The only columns to learn from: A,B.")
    categorical: tuple[str, ...] = option_field((), "Columns of numbers that are categories: A,B.")
    numeric: tuple[str, ...] = option_field((), "Columns of whole numbers that are quantities: A,B.")
    vectors: str | None = option_field(
        None,
        "Pretrained vectors of the words: a file with a word and its numbers per line, or an installed package. "
        "Nothing is downloaded.",
        shown="none",
        metavar="FILE|PACKAGE",
    )
    per: str | None = option_field(None, "What has a label.", choices=PERS, shown="as the table shows")

    def __post_init__(self) -> None:
        for name in ("drop", "features", "categorical", "numeric"):
            object.__setattr__(self, name, tuple(map(str, as_names(getattr(self, name)))))
        for name in ("label", "sequence", "order", "split", "group"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, ",".join(map(str, as_names(given))))


@dataclass(frozen=True)
class Reading:
    """How fields of text are read where a column can be read in two ways."""

    missing: tuple[str, ...] = option_field(
        (), "Words for missing values besides ?, -, NA, null, NaN and their like: A,B."
    )
    decimal: str | None = option_field(None, "Decimal sign.", choices=("point", "comma"), shown="as the columns show")
    dates: str | None = option_field(
        None, "Order of dates.", choices=("day-first", "month-first", "year-first"), shown="as the columns show"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing", tuple(map(str, as_names(self.missing))))
        check_options(self)


@dataclass(frozen=True)
class Settings:
    """How to train."""

    epochs: int = option_field(60, "Maximum number of passes over the training data.", least=1)
    batch_size: int = option_field(8, "Sequences, or pieces of sequences, per update.", least=1, usual=(8, 32))
    learning_rate: float = option_field(
        0.01, "Highest learning rate; it falls linearly to 0.", above=0, usual=(0.003, 0.01, 0.03)
    )
    patience: int | None = option_field(
        10, "Stop after N epochs in a row without a better validation score; 0: never.", least=0, optional=True
    )
    window: int | None = option_field(
        1000, "Cut training sequences into pieces of at most N steps; 0: never.", least=0, most=10**9, optional=True
    )
    seed: int = option_field(0, "The same seed gives the same result.", least=0, most=2**32 - 1)
    warmup: float = option_field(
        0.0, "Share of the updates in which the learning rate rises linearly.", least=0, below=1
    )
    clip: float = option_field(1.0, "Scale gradients down to this norm.", above=0)
    class_weight: str | None = option_field(
        None, "balanced gives all classes the same total weight.", choices=("balanced",), shown="none"
    )
    monitor: str = option_field(
        "auto",
        "Validation score that decides which epoch is best. auto: f1 of the rarer of two classes, entity_f1 "
        "for tags such as B-person, else macro_f1. "
        "none: train on everything that is not test, and keep the last epoch.",
        choices=("auto", "none", *MONITORS),
    )
    category_dropout: float = option_field(
        0.25, "A category seen n times in training counts as unknown with probability a / (a + n); this is a.", least=0
    )
    min_count: int = option_field(1, "Categories that training sees less often count as unknown.", least=1)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class Search:
    """How to look for settings that suit a table; those that are given are kept."""

    budget: str | None = option_field(
        None,
        "Time to look for settings on the valid part, such as 90s or 10m, up to half as long again on a busy machine; "
        "simple models before it and fitting again after it come on top. 0: train once, with the defaults.",
        shown="about a minute for 100,000 steps",
        metavar="TIME",
    )
    members: int = option_field(
        5, "The most networks and simple models that the model is an average of.", least=1, most=100
    )
    refit: bool = option_field(
        True, "Fit what was chosen again, on the train and valid parts together.", flag="--refit/--no-refit"
    )

    def __post_init__(self) -> None:
        if isinstance(self.budget, Real) and not isinstance(self.budget, bool):
            object.__setattr__(self, "budget", f"{float(self.budget):.15g}")
        check_options(self)
