"""What a labeling network is, described once.

A network reads sequences `(time, features)`. Its input encoder turns each step into a row of numbers: numeric columns,
their distances from the mean of the sequence and their changes, standardised or encoded piecewise; a vector looked up
for each category column; and, if asked for, a convolution over all of it. A stack of recurrent layers reads these rows,
and a head scores the classes, at every step or once for the whole sequence. Training builds it in Keras, the runtime
runs it on the engine and NumPy; both follow the description here and name the weights as it does.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from bothways.errors import InputError, option
from bothways.merge import MERGE_MODES
from bothways.options import check_options, choice_field, option_field, whole
from bothways.spec import CELLS, cell_spec

DIRECTIONS: Mapping[str, tuple[str, ...]] = {
    "forward": ("forward",),
    "backward": ("backward",),
    "both": ("forward", "backward"),
}

PERS = ("step", "sequence")  # what can have a label

POOLINGS: Mapping[str, tuple[str, ...]] = {"last": (), "mean": ("mean",), "max": ("max",), "mean_max": ("mean", "max")}
"""How the steps of a sequence become one row for its label: the final state of each direction, or what is named here,
taken over the steps and put side by side (Howard and Ruder 2018)."""

HEADS = ("softmax", "crf")
"""How labels of steps are told from logits: each by its own, or all together, by which label stands next to which (a
linear-chain conditional random field: Lafferty, McCallum and Pereira 2001)."""

ENCODINGS = ("piecewise", "standard")
"""How numbers enter: between quantiles of the train part ("PLE" in Gorishniy, Rubachev and Babenko 2022, "On Embeddings
for Numerical Features in Tabular Deep Learning"), or standardised."""

LEVELS: Mapping[str, tuple[str, ...]] = {
    "raw": ("raw",),
    "centered": ("centered",),
    "scaled": ("scaled",),
    "both": ("raw", "centered"),
}
"""What of a number enters, beside its changes."""

CHANGES = (1, 4, 16, 64)  # the numbers of steps over which changes can be taken
MAX_BINS = 512  # the most bins of all numbers of a step together, where there are fewer numbers than that
MAX_DEPTH = 100  # layers; a model file could claim a billion, whose mere description would fill the memory

MAX_WINDOW = 10_000  # of a convolution, and its stride: with one of a billion, one step would be padded to as many
MANY_CODES = 1000  # with more codes of categories than that, steps are like words, of which most are rare
MAX_CODES = 1 << 24  # codes of categories stand in float32 columns, which hold every whole number up to here


@dataclass(frozen=True)
class Recurrent:
    """One recurrent layer of the stack."""

    name: str
    cell: str
    directions: tuple[str, ...]
    merge_mode: str
    features: int
    units: int

    @property
    def width(self) -> int:
        """The width of its output."""
        side_by_side = len(self.directions) == 2 and not MERGE_MODES[self.merge_mode].equal_units
        return self.units * (2 if side_by_side else 1)

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of its weights, in Keras's order."""
        shapes = cell_spec(self.cell).weight_shapes(self.features, self.units)
        return {
            f"{self.name}/{direction}/{weight}": shape
            for direction in self.directions
            for weight, shape in shapes.items()
        }


@dataclass(frozen=True)
class Convolution:
    """A convolution over time in front of the recurrent layers; what it puts out goes through a relu.

    Output `j` stands for the steps from `j * stride` up to `(j + 1) * stride`, and reads a window whose middle is
    theirs; a window shorter than the stride reads the first of them. Around a sequence stand zeros.

    Example:
        >>> Convolution(window=5, stride=2, features=3, filters=8).padding
        (1, 3)
    """

    window: int
    stride: int
    features: int
    filters: int

    @property
    def padding(self) -> tuple[int, int]:
        """How many zeros go before and after a sequence; with them it has one output for each `stride` steps begun."""
        before = max(0, (self.window - self.stride) // 2)
        return before, self.window - 1 - before

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of its weights, in Keras's order."""
        kernel = (self.window, self.features, self.filters)
        return {"convolution/kernel": kernel, "convolution/bias": (self.filters,)}


@dataclass(frozen=True)
class Network:
    """A network that labels every step, or whole sequences.

    The options say what they mean: `bothways.options.options(Network)`. The rest comes from the data.
    """

    features: int  # values per step, codes of categories included
    classes: int  # at least two
    cell: str = option_field("lstm", "Recurrent cell.", choices=tuple(CELLS), usual=("lstm", "gru", "rnn"))
    direction: str = choice_field("both", "Reading direction.", DIRECTIONS)
    merge_mode: str = choice_field(
        "concat", "How the outputs of both directions are merged.", MERGE_MODES, flag="--merge"
    )
    units: int = option_field(32, "Units in each direction.", least=1, usual=(16, 32, 64))
    depth: int = option_field(1, "Number of recurrent layers.", least=1, most=MAX_DEPTH, usual=(1, 2))
    categories: tuple[int, ...] = ()
    """For each category column the number of its codes. These columns are the last ones of a step and hold whole
    numbers from 0, which stands for unknown values."""
    encoding: str = choice_field(
        "piecewise",
        "How numbers enter the network: piecewise, by where they lie between quantiles of the train part, or standard, "
        "with mean 0 and deviation 1.",
        ENCODINGS,
    )
    bins: int = option_field(
        8, "Most bins of a number that enters piecewise; fewer where there are many numbers.", least=1, most=MAX_BINS
    )
    levels: str = choice_field(
        "both",
        "What of a number enters: raw, the number itself; centered, its distance from the mean of its sequence, for "
        "levels that drift from one sequence to the next; both of them; or scaled, that distance and the changes over "
        "the deviation of its sequence.",
        LEVELS,
    )
    changes: int = option_field(
        2,
        f"Add each number's changes over the last {', '.join(map(str, CHANGES[:-1]))} and {CHANGES[-1]} steps: the "
        "first N of these.",
        least=0,
        most=len(CHANGES),
        usual=(0, 1, 2),
    )
    embedding: int = option_field(16, "Size of the vector that stands for a category.", least=1, usual=(8, 16, 32))
    conv_window: int = option_field(
        0,
        "A convolution before the recurrent layers: steps that it reads at once, and steps per output.",
        least=0,
        most=MAX_WINDOW,
        usual=(0, 3, 7),
        flag="--conv",
        shown="none",
    )
    conv_stride: int = option_field(
        1, "Steps per output of the convolution.", least=1, most=MAX_WINDOW, usual=(1, 2), follows=True
    )
    dropout: float = option_field(
        0.0, "Share of the inputs of each layer that training drops.", least=0, below=1, usual=(0.0, 0.25, 0.5)
    )
    lookahead: int = option_field(
        0,
        "Train a network that reads forward to label each step this many steps later, for streams.",
        least=0,
        most=MAX_WINDOW,
    )
    head: str = choice_field(
        "softmax", "With one label per step: crf learns which label stands next to which, too.", HEADS
    )
    per: str = "step"  # what has a label, each "step" or each "sequence"
    pooling: str = choice_field(
        "mean_max",
        "With one label per sequence, what it is read from: the last state, the mean or maximum of all steps, or both.",
        POOLINGS,
    )

    def __post_init__(self) -> None:
        check_options(self)
        for name, least in {"features": 1, "classes": 2}.items():
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        object.__setattr__(self, "categories", _checked_categories(self.categories, self.features))
        if self.conv_stride > 1 and not self.conv_window:
            raise InputError(f"conv_stride is {self.conv_stride}, but there is no convolution. Give conv_window, too.")
        if self.per not in PERS:
            raise InputError(f"There is no per {self.per!r}. Use one of: {', '.join(PERS)}.")
        wanted = {"direction": "forward", "per": "step", "head": "softmax"} if self.lookahead else {}
        for name, value in wanted.items():
            if (given := getattr(self, name)) != value:
                raise InputError(
                    f"lookahead is {self.lookahead}, which is for networks that read forward, without a CRF, and label "
                    f"steps; {name} is {given!r}. Leave lookahead out (others can label late without it), or give "
                    f"{option(name, value)}."
                )
        if self.lookahead % self.conv_stride:
            raise InputError(
                f"lookahead is {self.lookahead}; it must be a multiple of conv_stride, {self.conv_stride}."
            )
        if self.head == "crf" and self.per == "sequence":
            raise InputError("head='crf' is for one label per step, and here a sequence has one. Leave it out.")

    @property
    def numeric(self) -> int:
        """The number of numeric columns, which stand before those of the categories."""
        return self.features - len(self.categories)

    @property
    def channels(self) -> int:
        """The number of numbers of a step: those of the columns, their distances from a mean, and their changes."""
        return self.numeric * (len(LEVELS[self.levels]) + self.changes)

    @property
    def inputs(self) -> int:
        """The number of values of a step that enter: its numbers, and the codes of its categories."""
        return self.channels + len(self.categories)

    @property
    def bins_per_number(self) -> int:
        """Into how many values the encoding turns each number."""
        return 1 if self.encoding == "standard" else max(1, min(self.bins, MAX_BINS // max(1, self.channels)))

    @property
    def first_codes(self) -> tuple[int, ...]:
        """For each category the row of its code 0 in the vectors of all categories, which stand one below the other."""
        return tuple(itertools.accumulate(self.categories[:-1], initial=0)) if self.categories else ()

    @property
    def convolution(self) -> Convolution | None:
        """The convolution in front, or None."""
        if not self.conv_window:
            return None
        return Convolution(self.conv_window, self.conv_stride, self._embedded, self.units)

    @property
    def _embedded(self) -> int:
        """The width of a step whose numbers are encoded, with a vector for each category."""
        return self.channels * self.bins_per_number + len(self.categories) * self.embedding

    @property
    def recurrent(self) -> tuple[Recurrent, ...]:
        """The stack of recurrent layers, from the input up."""
        first = self.units if self.conv_window else self._embedded
        one = Recurrent("recurrent_0", self.cell, DIRECTIONS[self.direction], self.merge_mode, first, self.units)
        above = (replace(one, name=f"recurrent_{i}", features=one.width) for i in range(1, self.depth))
        return one, *above

    @property
    def pools(self) -> tuple[str, ...]:
        """What of the steps of a sequence the head reads, side by side; nothing for labels of steps or final states."""
        return POOLINGS[self.pooling] if self.per == "sequence" else ()

    @property
    def outputs(self) -> int:
        """The number of logits per label: one per class, but one for two classes (a sigmoid) without a CRF."""
        return 1 if self.classes == 2 and self.head == "softmax" else self.classes

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of all weights, from the input up.

        Numbers (`input/`, which are not trained but come from the train part), categories, convolution, recurrent
        layers, head. All but those of numbers stand in the order of Keras's `model.get_weights()`.
        """
        shapes: dict[str, tuple[int, ...]] = {"input/mean": (self.channels,), "input/scale": (self.channels,)}
        if self.encoding == "piecewise":
            shapes |= dict.fromkeys(("input/centers", "input/slopes"), (self.channels, self.bins_per_number))
        if self.categories:
            shapes["categories/embeddings"] = (sum(self.categories), self.embedding)
        if self.convolution is not None:
            shapes |= self.convolution.weight_shapes()
        for layer in self.recurrent:
            shapes |= layer.weight_shapes()
        width = self.recurrent[-1].width * max(1, len(self.pools))
        shapes |= {"head/kernel": (width, self.outputs), "head/bias": (self.outputs,)}
        return shapes | ({"head/transitions": (self.classes, self.classes)} if self.head == "crf" else {})

    def trained_shapes(self) -> dict[str, tuple[int, ...]]:
        """Those of the weights that are trained, which is all but those of numbers."""
        return {name: shape for name, shape in self.weight_shapes().items() if not name.startswith("input/")}

    def to_json(self) -> dict[str, Any]:
        """The description as plain JSON values."""
        return asdict(self) | {"categories": list(self.categories)}

    @classmethod
    def from_json(cls, data: Any) -> Network:
        """The network that `to_json` described; `InputError` for what is no description of one names what is wrong."""
        if not isinstance(data, dict):
            raise InputError(f"A network is described by a JSON object, not by {type(data).__name__}.")
        known = {field.name for field in fields(cls)}
        if wrong := sorted(known.symmetric_difference(data)):
            raise InputError(f"The description of the network has missing or unknown entries: {', '.join(wrong)}.")
        return cls(**data)


def _checked_categories(categories: Any, features: int) -> tuple[int, ...]:
    if isinstance(categories, (str, bytes)) or not isinstance(categories, Sequence):
        raise InputError(f"categories is {categories!r}; give for each category column how many codes it has.")
    checked = tuple(whole(f"categories[{i}]", codes, 1) for i, codes in enumerate(categories))
    if len(checked) > features:
        raise InputError(f"There are {len(checked)} categories, but a step has {features} columns in all.")
    if max(checked, default=0) > MAX_CODES:
        raise InputError(f"A category has {max(checked)} codes; it must have {MAX_CODES} at most.")
    return checked
