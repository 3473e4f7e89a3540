"""A trained labeler: what a model file holds and what predictions need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.baselines import Baseline, Classifier
from bothways.errors import InputError, counted
from bothways.network import MAX_CODES, Network
from bothways.runtime.codes import dequantized, quantized
from bothways.runtime.decisions import balancing, decided
from bothways.runtime.forward import check_codes, checked_sequences, probabilities
from bothways.runtime.inputs import Form, arranged, read_input
from bothways.runtime.members import BaselineMember, Member, of_members
from bothways.sequences import Array, Floats, Numbers, Sequences
from bothways.settings import SCORES, title
from bothways.tags import Scheme, scheme_of

if TYPE_CHECKING:
    from bothways.data import Columns
    from bothways.stream import Stream

Label = int | str | bool


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained network with its classes: what `bothways train` and `SequenceLabeler` make, and `bothways.load` reads.

    It may be an average of several networks, over whose probabilities it averages.

    Attributes:
        members: what it averages: the best network first, then others, and simple models.
        classes: the labels, in the order of the probabilities; all int, all str or all bool.
        columns: how the columns of a table, or of arrays if their label is empty, become features; None for arrays
            that are features already.
        class_counts: how many labels of each class training saw.
        facts: whatever else is worth knowing, as JSON values.
        baselines: the simple models that it is compared with.
        temperature: above 1 it makes probabilities less certain, below 1 more so: p ** (1 / temperature), made to sum
            to 1 (Guo et al. 2017, "On Calibration of Modern Neural Networks").
        threshold: of two classes that are no tags, the second one is predicted where its probability is at least this.
            Where they are tags of a scheme, "O" is predicted where its probability against another one is at least 1
            less this.
        balance: of more classes that are no tags, that is predicted whose probability is highest when it is divided by
            the share of the class in training to this power: from 0 to 1, the higher the more rare classes count (Menon
            et al. 2021, "Long-tail learning via logit adjustment").

    Raises:
        InputError: networks or classes that do not fit each other.

    Example:
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> model = Model([Member(network, weights)], classes=("quiet", "alarm"))
        >>> [labels.tolist() for labels in model.predict([np.zeros((2, 1)), np.zeros((1, 1))])]
        [['alarm', 'alarm'], ['alarm']]
    """

    members: Sequence[Member | BaselineMember]
    classes: tuple[Label, ...]
    columns: Columns | None = None
    class_counts: Mapping[Label, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    baselines: Sequence[Baseline] = ()
    temperature: float = 1.0
    threshold: float = 0.5
    balance: float = 0.0

    def __post_init__(self) -> None:
        if not self.members or not isinstance(self.members[0], Member):
            raise InputError("A model needs a network, as its first member.")
        alike = {(each.features, each.classes, each.categories, each.per) for each in self.networks}
        if len(alike) != 1:
            raise InputError("The networks of a model must read the same features and label the same classes.")
        if not (0 < self.temperature < np.inf and 0 < self.threshold < 1 and 0 <= self.balance <= 1):
            raise InputError(
                f"temperature is {self.temperature}, threshold {self.threshold} and balance {self.balance}; the first "
                "two must be above 0, and the threshold below 1; balance goes from 0 to 1."
            )
        kinds = {type(label) for label in self.classes}
        if len(kinds) != 1 or not kinds <= {int, str, bool}:
            raise InputError(f"classes are {self.classes}; they must be all int, all str or all bool.")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) != self.network.classes:
            raise InputError(
                f"classes are {self.classes}; the network needs {self.network.classes} that differ from one another."
            )
        if kinds == {int} and not all(-(1 << 63) <= int(label) < 1 << 63 for label in self.classes):
            raise InputError(f"classes are {self.classes}; whole numbers must fit into 64 bits.")
        if self.columns is not None:
            _check_columns(self.network, self.columns)

    @cached_property
    def scheme(self) -> Scheme | None:
        """The scheme that the classes are tags of, if any; see `bothways.tags`."""
        scheme = scheme_of(self.classes) if self.network.per == "step" else None
        name = self.facts.get("scheme", scheme and scheme.name)  # "" if the labels of training were no tags
        return replace(scheme, name=name) if scheme and name else None

    @property
    def table(self) -> Columns | None:
        """The columns of the table that it was trained on; None for arrays."""
        return self.columns if self.columns is not None and self.columns.label else None

    @property
    def width(self) -> int:
        """How many features it is given, which `columns` turn into those of the network."""
        return self.network.features if self.columns is None else len(self.columns.features)

    @property
    def counts(self) -> list[int]:
        """How many labels of each class training saw, in the order of the classes."""
        return [self.class_counts.get(label, 0) for label in self.classes]

    @property
    def factors(self) -> Floats | None:
        """By what the probabilities of more than two classes that are no tags are multiplied; None for nothing."""
        return balancing(self.counts, self.balance) if self.balance and len(self.classes) > 2 else None

    @property
    def networks(self) -> tuple[Network, ...]:
        """What the networks are."""
        return tuple(member.network for member in self.members if isinstance(member, Member))

    @property
    def network(self) -> Network:
        """What the best network is."""
        return self._best.network

    @property
    def weights(self) -> Mapping[str, Floats]:
        """The weights of the best network."""
        return self._best.weights

    @property
    def precision(self) -> str:
        """In which the recurrent layers of the best network run."""
        return self._best.precision

    @property
    def _best(self) -> Member:
        assert isinstance(self.members[0], Member)
        return self.members[0]

    def __repr__(self) -> str:
        return f"<Model: {self.summary['network']}, classes {', '.join(map(str, self.classes))}>"

    def __str__(self) -> str:
        width = max(len(name) for name in self.summary)
        return "\n".join(f"{name:{width}}  {value}" for name, value in self.summary.items())

    @property
    def summary(self) -> dict[str, str]:
        """What it labels, from what, how, and what it was trained on; in words, by name."""
        network, columns, table, facts = self.network, self.columns, self.table, self.facts
        reads = "both ways" if network.direction == "both" else network.direction
        late = f", labels {counted(network.lookahead, 'step')} late" if network.lookahead else ""
        merged = f", merged by {network.merge_mode}" if network.direction == "both" else ""
        pooled = " and ".join(network.pools) or "last"
        others = [counted(len(self.networks) - 1, "more network")] if len(self.networks) > 1 else []
        simple = [each.baseline.name for each in self.members if isinstance(each, BaselineMember)]
        others += [name.replace("_", " ") for name in simple]
        size = sum(array.size for member in self.members for array in member.arrays().values())
        detected = "all tags but O" if self.scheme else self.classes[-1]
        parts = facts.get("parts", {}).items()
        sizes = [f"{name} {of['sequences']:,} ({counted(of['steps'], 'step')})" for name, of in parts]
        best: Mapping[str, Any] = next((epoch for epoch in reversed(facts.get("history", [])) if epoch["best"]), {})
        monitor = facts.get("settings", {}).get("monitor")
        monitor = f" ({title(monitor, 'the rarer class')}, of the best network)" if monitor in SCORES else ""
        found = {
            "classes": ", ".join(map(str, self.classes)),
            "labels": "one per step" if network.per == "step" else f"one per sequence, from its {pooled} state",
            "network": f"{network.depth} x {network.cell} of {network.units} units, reads {reads}{merged}{late}",
            "convolution": f"{network.conv_window} steps, stride {network.conv_stride}"
            if network.conv_window
            else None,
            "averaged with": ", ".join(others),
            "weights": f"{size:,} numbers",
            "precision": None if self.precision == "float32" else self.precision,
            "features": ", ".join(table.features) if table else f"{network.features} per step",
            **(table.roles if table else {}),
            "vectors": columns.vectors.summary if columns and columns.vectors else None,
            "trained on": facts.get("data"),
            "sequences": ", ".join(sizes),
            "epochs": facts.get("epochs"),
            "best epoch": facts.get("best_epoch"),
            "valid score": None if best.get("valid_metric") is None else f"{best['valid_metric']:.3f}{monitor}",
            "search": _search_words(facts.get("search")),
            "fitted again": _refit_words(facts.get("refit"), len(self.networks)),
            "temperature": None if self.temperature == 1 else f"{self.temperature:.3g}",
            "threshold": None if self.threshold == 0.5 else f"{self.threshold:.3g} for {detected}",
            "balance": f"probabilities over the shares of classes to the power of {self.balance:.2g}"
            * bool(self.balance),
            "alarm threshold": f"{facts['threshold']['value']:.4g}" if "threshold" in facts else None,
            "settings": ", ".join(f"{key} {value}" for key, value in facts.get("settings", {}).items()),
        }
        return {name: str(value) for name, value in found.items() if value}

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, in the order of `classes`.

        Args:
            X: as for `predict`.

        Returns:
            What `predict` gives, with one more axis at the end for the classes.
        """
        return self._arranged(X, lambda p, lengths: p)

    def predict(self, X: Any) -> Any:
        """The class of each step, or of each sequence: the likeliest, unless `threshold` or `balance` say otherwise.

        Of classes that are equally likely it is the first; of two classes in all, the second.

        Args:
            X: a data frame of Polars or pandas for a model of a table; else arrays as those that it was fitted on.
                Lengths may differ and may be 0.

        Returns:
            One label per row of a data frame, in their order. Else for each sequence `(time,)` labels, in the form of
            X; or `(sequences,)` where a sequence has one label.

        Raises:
            InputError: sequences that do not fit the model; names the sequence by its number, from 0.
            DataError: a data frame that does not fit the model; names the column.
        """
        classes = np.array(self.classes)
        return self._arranged(X, lambda p, lengths: classes[self.decide(p, lengths)])

    def stream(
        self, lookahead: int | None = None, *, chunk: int | None = None, reorder: int = 0, idle: float | None = None
    ) -> Stream:
        """Label sequences that go on, many at once, each step `lookahead` steps late; see `bothways.stream.Stream`."""
        from bothways.stream import Stream

        return Stream(self, lookahead, chunk=chunk, reorder=reorder, idle=idle)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file, whole or not at all; `bothways.load` reads it.

        Raises:
            ModelFileError: the file cannot be written; what stood at `path` is untouched.
        """
        from bothways import store

        store.save(self, path)

    def decide(
        self, p: Floats, lengths: Numbers | None = None, before: Numbers | None = None, ends: bool = True
    ) -> Numbers:
        """The codes of the classes to predict by their probabilities `(labels, classes)`.

        Args:
            p: the probabilities.
            lengths: `(sequences,)` how many steps each sequence has: tags of a scheme then come out well-formed. Not
                given, each label is told by its own probabilities.
            before: `(sequences,)` of pieces of sequences the code of the label before each, as many as there are
                classes where it is the first piece; not given, all are.
            ends: whether the sequences end there.
        """
        return decided(p, self.threshold, self.scheme, lengths, self.factors, before, ends)

    def read(self, name: str, X: Any) -> tuple[Sequences, Form]:
        """Sequences as the network takes them, and the form in which they came."""
        if self.columns is not None:
            return read_input(name, X, self.columns)
        sequences = checked_sequences(name, X, self.network.features)
        check_codes(name, sequences, self.network)
        return sequences if sequences.per == self.network.per else replace(sequences, per=self.network.per), "list"

    def probabilities(self, sequences: Sequences) -> Floats:
        """The probability of each class for all labels at once.

        Args:
            sequences: checked, with as many features as the network reads.

        Returns:
            `(steps, classes)`, or `(sequences, classes)` where a sequence has one label.

        Raises:
            InputError: weights or values so large that their sums overflow.
        """
        return self.averaged(of_members(self.members, sequences))

    def averaged(self, of_members: Iterable[Floats]) -> Floats:
        """The probabilities of the model from those of its members, in their order."""
        first, *others = of_members
        p = first
        if others:
            total = sum(member.share for member in self.members)
            p = self.members[0].share / total * first
            for member, each in zip(self.members[1:], others, strict=True):
                p += member.share / total * each
        return p if self.temperature == 1 else tempered(p, self.temperature)

    def predict_baselines(self, sequences: Sequences) -> dict[str, Numbers]:
        """For each simple model, by its name, the codes that it predicts: one for each label.

        After a search each decides as the model does, by a temperature, threshold and balance that were chosen on the
        same labels; else, or where it has no probabilities, it predicts what it finds likeliest.
        """
        decisions, found = self.facts.get("decisions", {}), dict[str, Numbers]()
        for each in self.baselines:
            if isinstance(each, Classifier) and each.name in decisions:
                alike = replace(self, **decisions[each.name])
                p = tempered(probabilities(each.logits(sequences)), alike.temperature)
                found[each.name] = alike.decide(p, sequences.lengths)
            else:
                found[each.name] = each.predict(sequences)
        return found

    def _arranged(self, X: Any, function: Callable[[Floats, Numbers], Array]) -> Any:
        """A function of the probabilities, in the form of X."""
        sequences, form = self.read("X" if self.columns else "sequences", X)
        return arranged(X, sequences, form, function(self.probabilities(sequences), sequences.lengths))


def quantize(model: Model) -> Model:
    """The same model in int8: a file keeps its networks in about a quarter of the bytes.

    Kernels and embeddings become whole numbers from -127 to 127 times a scale for each column, and the recurrent layers
    run in int8 as `bothways.engine.Layer` has it. Labels can change: `bothways quantize` measures how many do. To keep
    it: `quantize(bothways.load("some.bothways")).save("small.bothways")`.

    Raises:
        InputError: the model is of int8 already, or something else.

    Example:
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> quantize(Model([Member(network, weights)], classes=(0, 1))).precision
        'int8'
    """
    if not isinstance(model, Model):
        raise InputError(
            f"model is of type {type(model).__name__}; give what bothways.load gives, or labeler.model_ of a fitted "
            "SequenceLabeler."
        )
    if model.precision == "int8":
        raise InputError("This model is of int8 already. Quantize the model of float32 that it was made of.")
    members = [
        replace(each, weights=dequantized(quantized(each.weights), each.network.weight_shapes()), precision="int8")
        if isinstance(each, Member)
        else each
        for each in model.members
    ]
    return replace(model, members=members)


def _search_words(search: Mapping[str, Any] | None) -> str | None:
    """What a search tried, and why it chose what it did."""
    if not search or not search["trials"]:
        return None
    best = search["trials"][0]
    return (
        f"{counted(len(search['trials']), 'training')} tried; {search['score']} on what was held out: the best one "
        f"{abs(best['score']):.3f} ({best['setting']}), the average {search['of the average']:.3f}"
    )


def _refit_words(refit: Mapping[str, Any] | None, networks: int) -> str | None:
    """What was fitted again to the train and valid parts together, after a search."""
    if refit is None:
        return None
    left = networks - refit["networks"]
    but = f", but for {counted(left, 'network')} that would have taken too long" if left else ""
    return f"on the train and valid parts together{but}"


def tempered(p: Floats, temperature: float) -> Floats:
    """Probabilities made less certain by a temperature above 1, more so by one below."""
    powers = np.maximum(p, 1e-30) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _check_columns(network: Network, columns: Columns) -> None:
    """Refuse columns that do not fit the network."""
    encoding = columns.fitted
    if (columns.per, encoding.sizes, len(encoding.names)) != (network.per, network.categories, network.features):
        raise InputError(
            f"The columns give one label per {columns.per}, {len(encoding.names)} features and categories of the sizes "
            f"{list(encoding.sizes)}; the network has one per {network.per}, {network.features} and "
            f"{list(network.categories)}."
        )
    given, read = set(columns.features), set(encoding.read)
    # What is missing everywhere in arrays is not read, and still a column of them.
    if not (read == given if columns.label else read <= given) or {*encoding.texts} != {*columns.categories}:
        raise InputError("The columns have other features than those that become numbers.")
    if set(columns.features) & set(columns.roles.values()) or columns.sequence == columns.order is not None:
        raise InputError("A column is for two things at once.")
    if not columns.label:  # those of arrays, which have numbers for names, and codes for values
        names = tuple(map(str, range(len(columns.features))))
        values = [value for each in encoding.categories for value in each.values if value is not None]
        codes = all(value.isdecimal() and len(value) < len(str(MAX_CODES)) + 1 for value in values)
        roles = (columns.sequence, columns.order, columns.split, columns.group, columns.vectors)
        if columns.features != names or not codes or encoding.gaps or any(role is not None for role in roles):
            raise InputError("The columns are those of no arrays.")
