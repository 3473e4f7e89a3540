"""`SequenceLabeler`: a label for every step of a sequence, in the manner of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bothways.errors import InputError
from bothways.network import Network
from bothways.runtime import Label, Model, checked_sequences
from bothways.training import EpochReport, Examples, Settings, Trained, train

Array = npt.NDArray[Any]

KINDS = {"b": bool, "i": np.int64, "u": np.int64, "U": str}
"""What labels of a NumPy kind become."""


class SequenceLabeler(ClassifierMixin, BaseEstimator):
    """Labels every step of a sequence with recurrent layers that read it forward, backward or both ways.

    Args:
        direction: "both", "forward" or "backward".
        merge_mode: how both directions become one: "concat", "sum", "mul" or "ave".
        cell: the recurrent cell, "lstm".
        units: the width of the state of each direction.
        depth: the number of recurrent layers, one on top of the other.
        epochs: how often to go through the data at most.
        batch_size: how many sequences, or pieces of them, make an update.
        learning_rate: that of Adam at the start; it falls in a straight line to nothing at the end of `epochs`.
        patience: stop after so many epochs in a row without better validation; None never stops early.
        window: training cuts sequences into equal pieces of at most so many steps, and starts each afresh; None
            leaves them whole. Predictions always read whole sequences.
        seed: the same seed gives the same weights, bit for bit.

    Attributes:
        classes_: the labels, sorted.
        n_features_in_: how many features a step has.
        model_: the trained `bothways.runtime.Model`, for `bothways.store.save`.
        history_: a report an epoch.
        seconds_: how long it took to "compile", and to "train" after that.

    Example:
        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(100, 5, 1))
        >>> y = np.where(X[:, :, 0] > 0, "up", "down")
        >>> labeler = SequenceLabeler(units=4, epochs=10).fit(X, y)
        >>> [labels.tolist() for labels in labeler.predict([[[2.0], [-2.0]], [[-2.0]]])]
        [['up', 'down'], ['down']]
    """

    def __init__(
        self,
        direction: str = "both",
        merge_mode: str = "concat",
        cell: str = "lstm",
        units: int = 32,
        depth: int = 1,
        epochs: int = Settings.epochs,
        batch_size: int = Settings.batch_size,
        learning_rate: float = Settings.learning_rate,
        patience: int | None = Settings.patience,
        window: int | None = Settings.window,
        seed: int = Settings.seed,
    ) -> None:
        """Keep the settings; `fit` checks them."""
        self.direction = direction
        self.merge_mode = merge_mode
        self.cell = cell
        self.units = units
        self.depth = depth
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.window = window
        self.seed = seed

    def fit(
        self,
        X: Iterable[Any],
        y: Iterable[Any],
        validation_data: tuple[Any, Any] | None = None,
        on_epoch: Callable[[EpochReport], None] | None = None,
    ) -> SequenceLabeler:
        """Train from the start.

        Args:
            X: sequences `(time, features)`, or one array `(sequences, time, features)`.
            y: for each sequence `(time,)` or `(time, 1)` labels, all int, all str or all bool.
            validation_data: `(X, y)` to stop early by and to choose the best epoch by; without it, training runs
                all epochs and keeps the last weights.
            on_epoch: is called after each epoch.

        Raises:
            InputError: a setting out of its range; sequences or labels that do not fit, with the number of the
                sequence, from 0.
        """
        settings = Settings(self.epochs, self.batch_size, self.learning_rate, self.patience, self.window, self.seed)
        sequences = checked_sequences("X", X, features=None)
        labels = _checked_labels("y", y, "X", sequences)
        classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if len(classes) < 2:
            raise InputError(f"y holds one label only, {classes[0].item()!r}; a labeler tells at least two apart.")
        network = Network(
            features=sequences[0].shape[1],
            classes=len(classes),
            cell=self.cell,
            direction=self.direction,
            merge_mode=self.merge_mode,
            units=self.units,
            depth=self.depth,
        )
        valid = None if validation_data is None else _validation_examples(validation_data, network.features, classes)
        trained = train(network, Examples(sequences, numbers), settings, valid, on_epoch)
        names: list[Label] = classes.tolist()
        self.classes_ = classes
        self.n_features_in_ = network.features
        self.history_ = trained.history
        self.seconds_ = trained.seconds
        self.model_ = Model(
            network=network,
            weights=trained.weights,
            classes=tuple(names),
            class_counts=dict(zip(names, counts.tolist(), strict=True)),
            facts=_facts(settings, trained),
        )
        return self

    def predict(self, X: Iterable[Any]) -> list[Array]:
        """The likeliest label at each step.

        Args:
            X: as for `fit`; sequences may have no steps.

        Returns:
            For each sequence `(time,)` labels.

        Raises:
            InputError: sequences that do not fit the model.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self, "model_")
        return self.model_.predict(X)

    def predict_proba(self, X: Iterable[Any]) -> list[npt.NDArray[np.float32]]:
        """The probability of each class at each step, in the order of `classes_`.

        Args:
            X: as for `predict`.

        Returns:
            For each sequence `(time, classes)`.

        Raises:
            InputError: sequences that do not fit the model.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self, "model_")
        return self.model_.predict_proba(X)

    def score(self, X: Iterable[Any], y: Iterable[Any]) -> float:
        """The share of steps labeled right.

        Args:
            X: as for `predict`, with at least one step.
            y: as for `fit`.

        Raises:
            InputError: sequences or labels that do not fit.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self, "model_")
        sequences = checked_sequences("X", X, self.n_features_in_)
        labels = _checked_labels("y", y, "X", sequences)
        return float((np.concatenate(self.predict(sequences)) == labels).mean())


def _facts(settings: Settings, trained: Trained) -> dict[str, Any]:
    best = max(report.epoch for report in trained.history if report.best)
    return {
        "settings": vars(settings),
        "epochs": len(trained.history),
        "best_epoch": best,
        "keras_backend": trained.backend,
        "compiled_epochs": trained.compiled,
    }


def _validation_examples(data: Any, features: int, classes: Array) -> Examples:
    """Validation data, with its labels as numbers of classes."""
    if not isinstance(data, tuple) or len(data) != 2:
        raise InputError("validation_data must be a pair (X, y).")
    sequences = checked_sequences("validation X", data[0], features)
    labels = _checked_labels("validation y", data[1], "validation X", sequences)
    # True equals 1, so kinds are compared before labels.
    unseen = labels if labels.dtype.kind != classes.dtype.kind else labels[~np.isin(labels, classes)]
    if len(unseen):
        raise InputError(
            f"validation y has the label {unseen[0].item()!r}, which training never saw; "
            f"it saw {', '.join(repr(label) for label in classes.tolist())}."
        )
    return Examples(sequences, np.searchsorted(classes, labels))


def _checked_labels(name: str, y: Any, x_name: str, sequences: Sequence[Array]) -> Array:
    """The labels of all steps, `(steps,)`: as many for each sequence as it has steps, all of one kind."""
    if isinstance(y, (str, bytes, Mapping)) or not isinstance(y, Iterable):
        raise InputError(f"{name} is of type {type(y).__name__}; give a list of arrays (time,).")
    if isinstance(y, np.ndarray) and y.dtype != object and (y.ndim == 2 or y.shape[2:] == (1,)):
        labels = list(_checked_label(name, y.reshape(-1)).reshape(y.shape[:2]))
    else:
        labels = [_checked_label(f"{name}[{i}]", label) for i, label in enumerate(y)]
    if len(labels) != len(sequences):
        raise InputError(f"{name} has labels for {len(labels)} sequences; {x_name} has {len(sequences)} sequences.")
    for i, (label, sequence) in enumerate(zip(labels, sequences, strict=True)):
        if len(label) != len(sequence):
            raise InputError(f"{name}[{i}] has {len(label)} labels; {x_name}[{i}] has {len(sequence)} steps.")
    labels = [label for label in labels if len(label)]
    if not labels:
        raise InputError(f"{x_name} has no steps in its {len(sequences)} sequences; it needs at least one.")
    if len({label.dtype.kind for label in labels}) > 1:
        raise InputError(f"{name} mixes kinds of labels; they must be all int, all str or all bool.")
    return np.concatenate(labels)


def _checked_label(name: str, label: Any) -> Array:
    """The labels of one sequence, `(time,)`, as int64, str or bool; floats that are whole numbers become int64."""
    array = np.asarray(label, None if isinstance(label, np.ndarray) else object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{name} has shape {array.shape}; it needs one label a step, (time,) or (time, 1).")
    if array.dtype == object:
        types = set(map(type, array))
        if len({np.dtype(kind).kind for kind in types}) > 1 or type(None) in types:
            names = ", ".join(sorted(kind.__name__ for kind in types))
            raise InputError(f"{name} has labels of the types {names}; they must be all int, all str or all bool.")
        array = np.array(array.tolist())
    if array.dtype.kind == "f" and (np.abs(array) < 2**53).all() and (array == np.round(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in KINDS or (array.dtype.kind == "u" and (array > np.iinfo(np.int64).max).any()):
        raise InputError(
            f"{name} has labels of dtype {array.dtype}; they must be all int (64 bits), all str or all bool."
        )
    return array.astype(KINDS[array.dtype.kind])
