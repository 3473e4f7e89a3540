"""A trained labeler: what a model file holds and what predictions need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.network import Network
from bothways.runtime.forward import Floats, check_codes, checked_sequences, probabilities, scores
from bothways.sequences import Sequences

Label = int | str | bool


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with its classes.

    Attributes:
        network: what the network is.
        weights: the arrays that `network.weight_shapes()` names, float32 and finite.
        classes: the labels, in the order of the probabilities; all int, all str or all bool.
        columns: how the columns of a table become sequences; None if no table was involved.
        class_counts: how many labels of each class training saw.
        facts: whatever else is worth knowing, as JSON values.

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
    columns: dict[str, Any] | None = None
    class_counts: Mapping[Label, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

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

    def predict_proba(self, sequences: Iterable[Any]) -> Any:
        """The probability of each class at each step, or of each sequence.

        Memory beyond that of the sequences and the result is bounded: so many steps go through the network at once.

        Args:
            sequences: arrays `(time, features)`; lengths may differ and may be 0.

        Returns:
            For each sequence `(time, classes)`; or one array `(sequences, classes)` for labels of sequences.

        Raises:
            InputError: names the sequence by its number, from 0.
        """
        return self._split(sequences, lambda p: p)

    def predict(self, sequences: Iterable[Any]) -> Any:
        """The likeliest class at each step, or of each sequence; of equals the first one.

        Args:
            sequences: as in `predict_proba`.

        Returns:
            For each sequence `(time,)` labels; or one array `(sequences,)` for labels of sequences.

        Raises:
            InputError: names the sequence by its number, from 0.
        """
        classes = np.array(self.classes)
        return self._split(sequences, lambda p: classes[p.argmax(axis=-1)])

    def probabilities(self, sequences: Sequences) -> Floats:
        """The probability of each class for all labels at once.

        Args:
            sequences: checked, with as many features as the network reads.

        Returns:
            `(steps, classes)`, or `(sequences, classes)` where a sequence has one label.
        """
        return probabilities(scores(self.network, self.weights, sequences))

    def _split(self, sequences: Iterable[Any], function: Callable[[Floats], npt.NDArray[Any]]) -> Any:
        """A function of the probabilities, given for each sequence where steps have labels."""
        checked = checked_sequences("sequences", sequences, self.network.features)
        check_codes("sequences", checked, self.network)
        return replace(checked, per=self.network.per).split(function(self.probabilities(checked)))


def check_weights(network: Network, weights: Mapping[str, Any]) -> None:
    """Refuse weights that do not fit the network.

    Raises:
        InputError: names the weight, what came and what is needed.

    Example:
        >>> check_weights(Network(features=1, classes=2), {})
        Traceback (most recent call last):
        bothways.errors.InputError: The weight 'input/mean' is missing.
    """
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
