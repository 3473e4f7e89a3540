"""What a search for settings tries, in which order, and for how long: asynchronous successive halving.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning".
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bothways.sequences import Sequences
from bothways.settings import Settings
from bothways.study.factors import NARROW, PLAIN, WIDE, DataShape, Setting, Value

if TYPE_CHECKING:
    from bothways.training import Trained

WORDS: Mapping[str, Value] = {"head": "crf", "units": 128, "embedding": 32, "dropout": 0.5, **PLAIN}
"""What suits words, of which training seldom knows the rare ones, and reads their spelling and vectors."""

FIRST: Mapping[str, tuple[Mapping[str, Value], ...]] = {
    "step": (
        {},
        {"encoding": "standard"},
        {"dropout": 0.25, "units": 64},
        {"head": "crf"},
        {"levels": "centered", "dropout": 0.25},
        {"levels": "scaled", "dropout": 0.25},
        PLAIN,
        {"encoding": "standard", "window": 1000},
        {"learning_rate": 0.003},
        {"conv_window": 7},
        NARROW,
    ),
    "letter": (
        {},
        {"conv_window": 7},
        {"dropout": 0.25, "units": 64},
        {"head": "crf"},
        {"dropout": 0.25},
        {"window": 1000},
        {"learning_rate": 0.003},
    ),
    "word": (
        {**WORDS, "category_dropout": 1.0},
        {**WORDS, "category_dropout": 5.0},
        WORDS,
        {**WORDS, "category_dropout": 5.0, "units": 64},
        {**WORDS, "head": "softmax", "units": 64},
    ),
    "sequence": (
        {},
        {"conv_window": 9, "conv_stride": 2},
        {"encoding": "standard"},
        {"dropout": 0.25, "units": 64},
        {"conv_window": 9, "conv_stride": 4, "units": 64},
        {"pooling": "last"},
        PLAIN,
        {"pooling": "mean", "learning_rate": 0.003},
    ),
}
"""What is tried first, by what has a label, where the data allow it; a letter is a step without numbers, a word one of
very many kinds."""

CHOICES: Mapping[str, tuple[Value, ...]] = {
    "encoding": ("piecewise", "standard"),
    "levels": ("both", "raw", "centered", "scaled"),
    "changes": (0, 1, 2, 3),
    "bins": (8, 16),
    "units": (32, 64),
    "depth": (1, 2),
    "cell": ("lstm", "gru"),
    "direction": ("both", "forward"),
    "dropout": (0.0, 0.25, 0.5),
    "learning_rate": (0.003, 0.01, 0.03),
    "conv_window": (0, 3, 7, 15),
    "conv_stride": (1, 2, 4),
    "pooling": ("mean_max", "last", "mean", "max"),
    "embedding": (8, 16, 32),
    "category_dropout": (0.25, 1.0, 5.0),
    "head": ("softmax", "crf"),
    "class_weight": (None, "balanced"),
    "window": (1000, 250),
}
"""What is varied, one value of the best so far at a time."""

RATE = 3  # one in this many trials is tried again in more epochs
BUSY = 1.5  # times its budget: what a search takes at most on a machine with other work


SHORT, WHOLE, LONG = range(3)
"""How long a training is: a share of the usual epochs, all of them, or several times as many."""

FINE = 200  # of more classes of words, as of fine tags, a CRF takes most of the time; see `docs/decisions/words.md`
LARGE = 30_000  # of more steps the usual epochs are few: `LONG` trainings may be worth their time
PIECE = 250  # steps of the pieces in which long sequences are learned at first, for more updates per epoch


class Trial(NamedTuple):
    """What is to be trained: a setting, the seed, and how long: `SHORT`, `WHOLE` or `LONG`."""

    setting: Setting
    seed: int
    length: int


@dataclass(frozen=True, eq=False)
class Tried:
    """What came of a trial."""

    trial: Trial
    trained: Trained
    p: Any  # `(labels, classes)` the probabilities of what is held out
    score: float  # how good they are, the higher the better
    loss: float  # their mean cross-entropy
    epochs: int = 1  # after how many it was best, in the median of all that is held out in turn
    unfinished: bool = False  # whether its epochs, or the time, were over before it stopped getting better
    whole: int = 1  # how many epochs a whole training of its setting has
    took: float = 0.0  # its seconds
    processor: float = 0.0  # its seconds of a processor, fewer on a machine with other work


def ranked(done: Iterable[Tried]) -> list[Tried]:
    """Trials by their scores, of equal ones by their losses, the best first."""
    return sorted(done, key=lambda tried: (tried.score, -tried.loss), reverse=True)


class SearchPlan:
    """What to try next, with the `given` values of factors; the first training of each setting has the seed itself.

    `first` are the settings that are tried first, `begun` counts the trials that were given out.
    """

    def __init__(self, shape: DataShape, train: Sequences, given: Mapping[str, Value], seed: int) -> None:
        self._shape, self._given, self._seed, self.begun = shape, given, seed, 0
        large = train.steps > LARGE
        self._of_size: dict[str, Value] = {"batch_size": _batch_size(train), **({"window": PIECE} if large else {})}
        self._generator = np.random.default_rng(seed)
        # Of words alone few trials are possible, and what is tried first does well.
        self._least = WHOLE if shape.only_words else SHORT
        self._most = LONG if large and self._least == SHORT and "epochs" not in given else WHOLE
        self._trials: set[Trial] = set()
        weighed = given.get("class_weight") or not np.isin(train.known_weights, (0, 1)).all()
        if weighed or (shape.words and train.scheme is None and shape.classes > FINE):
            self._given = {"head": "softmax", **self._given}  # a CRF cannot weigh labels
        kinds = [FIRST["word"]] if shape.words else []
        usual = "letter" if shape.per == "step" and not shape.measured else shape.per
        kinds += [] if shape.only_words else [FIRST[usual]]
        turns = itertools.chain.from_iterable(itertools.zip_longest(*reversed(kinds)))
        values = [each for each in turns if each is not None]
        if shape.measured > WIDE:
            values = [{**NARROW, **each} for each in values] + values[:1]
        first = [self._setting(each) for each in values]
        self.first = [setting for setting in first if not setting.refused(shape)] or first[:1]

    def next(self, done: Sequence[Tried], left: float = math.inf) -> Trial:
        """The next trial, by what is known of those that are done, and the seconds that are left."""
        self.begun += 1
        self._trials |= {each.trial for each in done}  # some perhaps of an earlier search
        chosen = self._promoted(done, left) or self._new(done) or self._again(done)
        self._trials.add(chosen)
        return chosen

    def _promoted(self, done: Sequence[Tried], left: float) -> Trial | None:
        """A trial that did well, in more epochs; in more than the usual ones only where those were too few."""
        for length in range(self._most - 1, -1, -1):
            same = ranked(each for each in done if each.trial.length == length)
            others = left / max(1e-9, float(np.median([each.took for each in same]))) if same else RATE
            # Where there is no time to try many others, more of those that were tried go on.
            for each in same[: len(same) // max(1, math.ceil(min(others, RATE)))]:
                longer = each.trial._replace(length=length + 1)
                worth = length == SHORT or (each.unfinished and each.took * RATE < left)
                if worth and longer not in self._trials:
                    return longer
        return None

    def _new(self, done: Sequence[Tried]) -> Trial | None:
        """A setting that was not tried yet: of those to try first, else one like the best but for one or two values."""
        whole = [each for each in done if each.trial.length > SHORT]
        if len(whole) > 2 and self._generator.random() < 1 / RATE:
            return None
        for setting in self.first:
            if (trial := Trial(setting, self._seed, self._least)) not in self._trials:
                return trial
        best = ranked(done)[:RATE]
        for _ in range(20 if best else 0):
            values = dict(best[self._generator.integers(len(best))].trial.setting.changed)
            for name in self._generator.choice(list(CHOICES), self._generator.integers(1, 3), replace=False).tolist():
                values[name] = CHOICES[name][self._generator.integers(len(CHOICES[name]))]
            trial = Trial(self._setting(values), self._seed, self._least)
            if trial not in self._trials and not trial.setting.refused(self._shape):
                return trial
        return None

    def _again(self, done: Sequence[Tried]) -> Trial:
        """One of the best settings with another seed."""
        best = ranked(each for each in done if each.trial.length > SHORT)[:RATE]
        one = best[self._generator.integers(len(best))].trial if best else Trial(self.first[0], self._seed, WHOLE)
        return next(
            trial for seed in itertools.count(self._seed) if (trial := one._replace(seed=seed)) not in self._trials
        )

    def _setting(self, values: Mapping[str, Value]) -> Setting:
        """The setting of values that are not given, without those that have no effect on these data."""
        given = self._given
        chosen = {**self._of_size, **values, **given}
        if "conv_window" not in given and int(chosen.get("conv_window") or 0) > self._shape.longest:
            del chosen["conv_window"]
        late, stride = int(chosen.get("lookahead") or 0), int(chosen.get("conv_stride") or 1)
        if (not chosen.get("conv_window") or late % stride) and "conv_stride" not in given:
            chosen.pop("conv_stride", None)
        return Setting.of(chosen).alone(self._shape)


def _batch_size(train: Sequences) -> int:
    """Few sequences are learned a few at a time (20: 8), many more at once (3,000: 16; 20,000: 64)."""
    pieces = len(train) + train.steps // int(Settings.window or 1000)
    return int(2 ** np.clip(np.log2(pieces / 200).round(), 3, 6))


class SearchClock:
    """How much of a budget, in seconds, is spent; what the processes take to start is not counted.

    On a machine with other work trials get but a share of a processor, and the budget is longer, up to `BUSY` times.
    `before` is what an earlier search has spent.
    """

    def __init__(self, budget: float) -> None:
        self._budget, self.before = budget, 0.0
        self._started: float | None = None
        self._wanted = self._got = 1e-9
        self._shortest = math.inf

    def start(self) -> None:
        """Start, if it does not go yet."""
        self._started = self._started or time.monotonic()

    def note(self, took: float, processor: float) -> None:
        """Know of a trial's seconds, and of its seconds of a processor."""
        self._wanted += took
        self._shortest = min(self._shortest, took)
        self._got += min(took, processor)

    @property
    def budget(self) -> float:
        """How many seconds there are in all."""
        return self._budget * min(BUSY, self._wanted / self._got)

    @property
    def seconds(self) -> float:
        """What is spent."""
        return self.before + (0 if self._started is None else time.monotonic() - self._started)

    @property
    def left(self) -> float:
        """What is left."""
        return self.budget - self.seconds

    @property
    def enough(self) -> bool:
        """Whether another trial is worth beginning: there is time for half of the shortest one so far."""
        return self.left > (0 if self._shortest == math.inf else self._shortest / 2)
