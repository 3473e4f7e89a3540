"""A trained labeler: what a model file holds and what predictions need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.network import MAX_CODES, Network
from bothways.runtime.forward import Floats, check_codes, checked_sequences, probabilities, scores
from bothways.runtime.inputs import Form, arranged, read_input
from bothways.sequences import Sequences

if TYPE_CHECKING:
    from bothways.baselines import Baseline
    from bothways.data import Columns

Label = int | str | bool


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained network with its classes: what `bothways train` and `SequenceLabeler` make, and `bothways.load` reads.

    Attributes:
        network: what the network is.
        weights: the arrays that `network.weight_shapes()` names, float32 and finite.
        classes: the labels, in the order of the probabilities; all int, all str or all bool.
        columns: how the columns of a table, or of arrays if their label is empty, become features; None for arrays
            that are features already.
        class_counts: how many labels of each class training saw.
        facts: whatever else is worth knowing, as JSON values.
        baselines: the simple models that it is compared with.

    Raises:
        InputError: weights or classes that do not fit the network.

    Example:
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> model = Model(network, weights, classes=("quiet", "alarm"))
        >>> [labels.tolist() for labels in model.predict([np.zeros((2, 1)), np.zeros((1, 1))])]
        [['alarm', 'alarm'], ['alarm']]
    """

    network: Network
    weights: Mapping[str, Floats]
    classes: tuple[Label, ...]
    columns: Columns | None = None
    class_counts: Mapping[Label, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    baselines: Sequence[Baseline] = ()

    def __post_init__(self) -> None:
        """Refuse weights or classes that do not fit the network."""
        check_weights(self.network, self.weights)
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

    def __repr__(self) -> str:
        """One line."""
        return (
            f"<Model: {self.network.cell} of {self.network.units} units, classes {', '.join(map(str, self.classes))}>"
        )

    def __str__(self) -> str:
        """A short card."""
        width = max(len(name) for name in self.summary)
        return "\n".join(f"{name:{width}}  {value}" for name, value in self.summary.items())

    @property
    def summary(self) -> dict[str, str]:
        """What it labels, from what, how, and what it was trained on; in words, by name."""
        network, columns, facts = self.network, self.columns, self.facts
        reads = "both ways" if network.direction == "both" else network.direction
        merged = f", merged by {network.merge_mode}" if network.direction == "both" else ""
        pooled = " and ".join(network.pools) or "last"
        summary = {
            "classes": ", ".join(map(str, self.classes)),
            "labels": "one per step" if network.per == "step" else f"one per sequence, from its {pooled} state",
            "network": f"{network.depth} x {network.cell} of {network.units} units, reads {reads}{merged}",
        }
        if network.conv_window:
            summary["convolution"] = f"{network.conv_window} steps, stride {network.conv_stride}"
        summary["weights"] = f"{sum(array.size for array in self.weights.values()):,} numbers"
        named = columns is not None and columns.label
        summary["features"] = ", ".join(columns.features) if columns and named else f"{network.features} per step"
        summary |= columns.roles if columns and named else {}
        sizes = [f"{name} {of['sequences']:,} ({of['steps']:,} steps)" for name, of in facts.get("parts", {}).items()]
        best: Mapping[str, Any] = next((epoch for epoch in reversed(facts.get("history", [])) if epoch["best"]), {})
        found = {
            "trained on": facts.get("data"),
            "sequences": ", ".join(sizes),
            "epochs": facts.get("epochs"),
            "best epoch": facts.get("best_epoch"),
            "valid score": None if best.get("valid_metric") is None else f"{best['valid_metric']:.3f}",
            "threshold": f"{facts['threshold']['value']:.4g}" if "threshold" in facts else None,
        }
        found["settings"] = ", ".join(f"{key} {value}" for key, value in facts.get("settings", {}).items())
        return summary | {name: str(value) for name, value in found.items() if value}

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, in the order of `classes`.

        Args:
            X: as for `predict`.

        Returns:
            What `predict` gives, with one more axis at the end for the classes.
        """
        return self._arranged(X, lambda p: p)

    def predict(self, X: Any) -> Any:
        """The likeliest class of each step, or of each sequence; of equals the first one.

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
        return self._arranged(X, lambda p: classes[p.argmax(axis=-1)])

    def read(self, name: str, X: Any) -> tuple[Sequences, Form]:
        """Sequences as the network takes them, and the form in which they came."""
        if self.columns is not None:
            return read_input(name, X, self.columns)
        sequences = checked_sequences(name, X, self.network.features)
        check_codes(name, sequences, self.network)
        return replace(sequences, per=self.network.per), "list"

    def probabilities(self, sequences: Sequences) -> Floats:
        """The probability of each class for all labels at once.

        Args:
            sequences: checked, with as many features as the network reads.

        Returns:
            `(steps, classes)`, or `(sequences, classes)` where a sequence has one label.

        Raises:
            InputError: weights or values so large that their sums overflow.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            z = scores(self.network, self.weights, sequences)
        if not np.isfinite(z).all():
            raise InputError("The scores overflow: weights of the model, or values of the sequences, are too large.")
        return probabilities(z)

    def _arranged(self, X: Any, function: Callable[[Floats], npt.NDArray[Any]]) -> Any:
        """A function of the probabilities, in the form of X."""
        sequences, form = self.read("X" if self.columns else "sequences", X)
        return arranged(sequences, form, function(self.probabilities(sequences)))


def _check_columns(network: Network, columns: Columns) -> None:
    """Refuse columns that do not fit the network."""
    encoding = columns.fitted
    if (columns.per, encoding.sizes, len(encoding.names)) != (network.per, network.categories, network.features):
        raise InputError(
            f"The columns give one label per {columns.per}, {len(encoding.names)} features and categories of the sizes "
            f"{list(encoding.sizes)}; the network has one per {network.per}, {network.features} and "
            f"{list(network.categories)}."
        )
    if sorted(encoding.read) != sorted(columns.features) or sorted(encoding.texts) != sorted(columns.categories):
        raise InputError("The columns have other features than those that become numbers.")
    if set(columns.features) & set(columns.roles.values()) or columns.sequence == columns.order is not None:
        raise InputError("A column is for two things at once.")
    if not columns.label:  # those of arrays, which have numbers for names, and codes for values
        names = tuple(map(str, range(len(columns.features))))
        values = [value for each in encoding.categories for value in each.values if value is not None]
        codes = all(value.isdecimal() and len(value) < len(str(MAX_CODES)) + 1 for value in values)
        roles = (columns.sequence, columns.order, columns.split, columns.group)
        if columns.features != names or not codes or encoding.gaps or any(role is not None for role in roles):
            raise InputError("The columns are those of no arrays.")


def check_weights(network: Network, weights: Mapping[str, Any]) -> None:
    """Refuse weights that do not fit the network."""
    shapes = network.weight_shapes()
    for name, shape in shapes.items():
        if name not in weights:
            raise InputError(f"The weight {name!r} is missing.")
        array = weights[name]
        if array.shape != shape or array.dtype != np.float32:
            raise InputError(f"The weight {name!r} is {array.dtype} {array.shape}; it must be float32 {shape}.")
        if not np.isfinite(array).all():
            raise InputError(f"The weight {name!r} holds values that are not finite numbers.")
    if unknown := sorted(set(weights) - set(shapes)):
        raise InputError(f"The network has no weight {unknown[0]!r}.")
    if not (weights["input/scale"] > 0).all():
        raise InputError("The weight 'input/scale' must be above 0 everywhere.")
