"""How good a network is on the validation data, after each epoch."""

from __future__ import annotations

from bothways.errors import InputError
from bothways.metrics import count, score
from bothways.metrics.counts import counted_labels
from bothways.metrics.probabilities import average_precision
from bothways.metrics.scores import check_monitor
from bothways.network import Network
from bothways.runtime import logits_of_padded, padded, probabilities
from bothways.runtime.decisions import decided
from bothways.runtime.stack import Stack
from bothways.sequences import Floats, Sequences


class Validation:
    """Validation data, standardised by the weights `input/...` in `numbers` and padded once for all epochs. `positive`
    is the class that "f1" is about, and of two classes "average_precision". Labels from `network.classes` up are of
    classes that training does not have, and are missed. Raises InputError if there are no labels, or the monitor is for
    two classes or for tags only.
    """

    def __init__(
        self, network: Network, numbers: dict[str, Floats], sequences: Sequences, monitor: str, positive: int
    ) -> None:
        check_monitor(monitor, network.classes, sequences)
        labels = sequences.known_labels
        if not counted_labels(sequences).any():
            raise InputError("The validation data have no label, or none with a weight above 0.")
        self._network, self._sequences, self._monitor, self._positive = network, sequences, monitor, positive
        self._groups = list(padded(network, numbers, sequences))
        self._classes = range(max(network.classes, int(labels.max()) + 1))
        self._count, self._loss = len(labels), score("loss", self._classes)

    def __call__(self, weights: dict[str, Floats]) -> tuple[float, float]:
        """The score that decides and the mean cross-entropy of a network with these weights."""
        p = probabilities(logits_of_padded([Stack(self._network, weights)], self._groups, self._count)[0])
        scheme, lengths = self._sequences.scheme, self._sequences.lengths
        predicted = decided(p, scheme=scheme, lengths=lengths) if scheme else None  # as a model: well-formed tags
        counts = count(self._sequences, p, len(self._classes), whole=True, predicted=predicted)
        if self._monitor == "average_precision":
            metric = average_precision(self._sequences, p, len(self._classes), self._positive)
        else:
            metric = score(self._monitor, self._classes, self._positive).of(counts)
        return metric, self._loss.of(counts)
