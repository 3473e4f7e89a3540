"""`SequenceLabeler`, the estimator itself."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from bothways import baselines, metrics, store
from bothways.data import Columns
from bothways.errors import InputError, calling
from bothways.files import locked
from bothways.labeler.examples import places, split_arrays, split_frame, validation
from bothways.labeler.labels import read_truth
from bothways.network import Network
from bothways.options import Option, options, seconds_of
from bothways.runtime import Model
from bothways.runtime.inputs import is_frame
from bothways.sequences import Array
from bothways.settings import Search
from bothways.study.factors import DataShape
from bothways.study.refit import refit
from bothways.study.tuning import tune
from bothways.training import EpochReport, Settings, train, trained_model

HELD_OUT = 0.2  # the share of the sequences by which settings are chosen


@dataclass(eq=False, repr=False)
class SequenceLabeler(ClassifierMixin, BaseEstimator):
    """Labels steps or whole sequences with recurrent layers that read them forward, backward or both ways.

    What X and y may be, and what comes back:

    =========================================  =======================================  ===================
    X                                          y                                        `predict` gives
    =========================================  =======================================  ===================
    one sequence, an array `(time, features)`  `(time,)`                                `(time,)`
    an array `(sequences, time, features)`     one label per step, `(sequences, time)`  `(sequences, time)`
    the same                                   one label per sequence, `(sequences,)`   `(sequences,)`
    a list of arrays `(time, features)`        for each sequence `(time,)`              a list of `(time,)`
    the same                                   one label per sequence, `(sequences,)`   `(sequences,)`
    a data frame, one row per step             one label per row, `(rows,)`             `(rows,)`
    =========================================  =======================================  ===================

    Labels are all int, all str or all bool. Missing ones (None or NaN) are not learned from, and a warning counts them.
    Missing numbers (NaN) are filled with the mean, and a further feature says where, if training has some.

    In a data frame (Polars, pandas) `sequence` names the column that tells sequences apart (without it all rows are one
    sequence), and `order` the one that sorts the steps. The labels are given as y, and their column must not be in X,
    or be named in `drop`. With `per="sequence"` all rows of a sequence have the same label. Nothing is guessed, as it
    is for the tables of `bothways train`: text is a category, and a number a number unless it is `categorical`. Times
    that sort no steps are left out, also those in text.

    For cross-validation of one long sequence use `cv=TimeSeriesSplit(5)`; for a data frame keep sequences whole with
    `cv=GroupKFold(5)` and `groups=X["flow"]`; `bothways.labeler.scorer` makes any score work on any form of X and y.
    Some tools of scikit-learn take one row per label: `cross_val_predict`, `CalibratedClassifierCV` and
    `StackingClassifier` need a data frame, one long sequence, or one label per sequence; `permutation_importance` needs
    a data frame of pandas or one long sequence. With several sequences in arrays and one label per step they fail, but
    for `cross_val_predict` where all are of one length.

    Args:
        SETTINGS
        per: what has a label, a "step" or a "sequence"; "auto" tells by the shape of y, and for a data frame is "step".
        class_weight: "balanced", or a mapping from labels to weights (1 for those that are not in it).
        validation_fraction: the share of the sequences to stop early by and to choose the best epoch by, drawn as
            `bothways train` draws its parts; of a single sequence, its last steps. None for none, unless `fit` is given
            some.
        budget: how long to look for settings that suit the data, in seconds or as text such as "1m"; those that are not
            at their defaults are kept. A fifth is held out to choose by, if nothing else is. None trains once.
        members: of how many networks and simple models the model may be an average, if settings are looked for.
        refit: whether what was chosen is then fitted again, together with what was held out.
        missing_label: a label that stands for none, such as -1; None and NaN always do.
        random_state: the seed; or None or a NumPy `RandomState`, from which one is drawn.
        verbose: print a line after each epoch, or each setting that is tried.
        sequence: for a data frame, the column that tells sequences apart, or several that do together.
        order: for a data frame, the column that sorts the steps, or several that tell a time together.
        features: for a data frame, the only column or columns to learn from.
        drop: for a data frame, columns to leave out, or one.
        vectors: for a data frame, pretrained vectors of its words: a file with a word and its numbers per line, or an
            installed package. The model keeps those that it may need. Where `encoding`, `levels` and `changes` are at
            their defaults and nothing is searched for, they enter standardised.
        categorical: columns of numbers, or of times in text, that are categories, or one: names in a data frame, where
            other text always is a category; numbers of columns, from 0, in an array, where a category is a whole number
            from 0, and 0 is unknown.

    Attributes:
        classes_: the labels, sorted.
        n_features_in_: the number of features per step.
        feature_names_in_: their names, if X was a data frame.
        per_: what has a label, "step" or "sequence".
        model_: the trained `bothways.runtime.Model`, as `bothways.load` gives it.
        n_iter_: the number of epochs that were run.
        columns_: the roles of the columns of X, and how they become numbers.
        history_: one report per epoch.
        seconds_: how long it took to "compile", and to "train" after that.
        feature_importances_: `(n_features_in_,)`, how far the score falls without each column of X.
        importance_: the same with intervals, and how far it falls without the past and without the future; a
            `bothways.metrics.Importance`.

    Example:
        One label per step, sequences of one length, then of several:

        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(100, 5, 1))
        >>> y = np.where(X[:, :, 0] > 0, "up", "down")
        >>> labeler = SequenceLabeler(units=4, epochs=10).fit(X, y)
        >>> labeler.predict(X[:2]).shape
        (2, 5)
        >>> [labels.tolist() for labels in labeler.predict([[[2.0], [-2.0]], [[-2.0]]])]
        [['up', 'down'], ['down']]

        One label per sequence:

        >>> rising = X[:, -1, 0] > X[:, 0, 0]
        >>> labeler = SequenceLabeler(units=4, epochs=20, pooling="last").fit(list(X), rising)
        >>> labeler.per_, labeler.predict([[[-1.0], [1.0]], [[1.0], [0.0], [-1.0]]]).tolist()
        ('sequence', [True, False])

        One long sequence:

        >>> from sklearn.model_selection import TimeSeriesSplit, cross_val_score
        >>> labeler = SequenceLabeler(units=4, epochs=10, window=10)
        >>> bool(cross_val_score(labeler, X.reshape(-1, 1), y.ravel(), cv=TimeSeriesSplit(2)).min() > 0.8)
        True

        A data frame:

        >>> import polars as pl
        >>> frame = pl.DataFrame({"flow": np.repeat(np.arange(100), 5), "bytes": X.ravel()})
        >>> labeler = SequenceLabeler(units=4, epochs=10, sequence="flow").fit(frame, y.ravel())
        >>> labeler.predict(pl.DataFrame({"flow": ["a", "b", "a"], "bytes": [2.0, -2.0, -2.0]})).tolist()
        ['up', 'down', 'down']
    """

    direction: str = Network.direction
    merge_mode: str = Network.merge_mode
    cell: str = Network.cell
    units: int = Network.units
    depth: int = Network.depth
    dropout: float = Network.dropout
    conv_window: int = Network.conv_window
    conv_stride: int = Network.conv_stride
    embedding: int = Network.embedding
    encoding: str = Network.encoding
    bins: int = Network.bins
    levels: str = Network.levels
    changes: int = Network.changes
    per: str = "auto"
    pooling: str = Network.pooling
    lookahead: int = Network.lookahead
    head: str = Network.head
    epochs: int = Settings.epochs
    batch_size: int = Settings.batch_size
    learning_rate: float = Settings.learning_rate
    warmup: float = Settings.warmup
    clip: float = Settings.clip
    patience: int | None = Settings.patience
    monitor: str = Settings.monitor
    window: int | None = Settings.window
    category_dropout: float = Settings.category_dropout
    min_count: int = Settings.min_count
    class_weight: str | Mapping[Any, float] | None = None
    validation_fraction: float | None = None
    budget: float | str | None = None
    members: int = Search.members
    refit: bool = Search.refit
    missing_label: int | str | None = None
    random_state: int | np.integer[Any] | np.random.RandomState | None = Settings.seed
    verbose: bool = False
    sequence: str | Sequence[str] | None = None
    order: str | Sequence[str] | None = None
    features: str | Sequence[str] = ()
    drop: str | Sequence[str] = ()
    categorical: str | int | Sequence[str | int] = ()
    vectors: str | None = None

    model_: Model = field(init=False)
    columns_: Columns = field(init=False)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        on_epoch: Callable[[EpochReport], None] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> SequenceLabeler:
        """Train from the start.

        Ctrl-C ends it with the best weights so far: the labeler is ready to predict when `KeyboardInterrupt` comes.
        Before the first epoch has ended there are none, and the labeler is not fitted, whatever it was before.

        Args:
            X: sequences; see the class for what they may be.
            y: their labels.
            sample_weight: how much each label counts, 0 or more, in the form of y; or one weight per sequence. A label
                of weight 0 is as good as missing. Of a sequence of a data frame with one label, the weight of its first
                row counts.
            validation_data: `(X, y)` to stop early by and to choose the best epoch by; without it, and without
                `validation_fraction`, training runs all epochs and keeps the last weights. After a search for settings
                the model learns from it, too, unless `refit=False`.
            on_epoch: is called after each epoch.
            checkpoint: a file that keeps where training stands. It stays when training is done: remove it then.
            resume: go on from the checkpoint, if there is one, to the same weights as if training had never stopped.

        Raises:
            InputError: a setting out of its range; sequences or labels that do not fit; `resume` without a checkpoint.
            DataError: a data frame that cannot be used, or too few sequences to hold some out.
        """
        settings = self._settings()
        if resume and checkpoint is None:
            raise InputError("resume=True needs the file of the checkpoint. Give checkpoint=path.")
        seed, search = settings.seed, Search(self.budget, self.members, self.refit)  # type: ignore[arg-type]  # seconds, too
        budget = 0.0 if search.budget in (None, "0") else seconds_of("budget", str(search.budget))
        shares = self._shares(bool(budget)) if validation_data is None else (1.0,)
        X = list(X) if isinstance(X, Iterator) else X
        split = split_frame if is_frame(X) else split_arrays
        with calling("the labeler"):
            columns, classes, sequences, valid = split(self, X, y, sample_weight, settings, shares)
            if validation_data is not None:
                valid = validation(self, validation_data, columns, classes, sequences.scheme)
        shape = DataShape.of(sequences, len(classes), columns.fitted.sizes, columns.fitted.dimensions)
        given = self._given(settings)
        network = shape.network_once({name: given[name] for name in options(Network) if name in given})
        read = sequences, shape.classes, shape.categories, seed
        simple = baselines.fit(*read, vectors=shape.vectors, strong=bool(budget))
        parts = {"train": sequences} | ({} if valid is None else {"valid": valid})

        def watch(report: EpochReport) -> None:
            if self.verbose:
                print(report)
            if on_epoch is not None:
                on_epoch(report)

        for name in [name for name in vars(self) if name.endswith("_") or name == "_sample"]:
            delattr(self, name)  # what an earlier fit has left
        with nullcontext() if checkpoint is None else locked(Path(checkpoint)):
            if budget and valid is not None:
                tuned = tune(
                    sequences,
                    valid,
                    shape,
                    given,
                    simple=simple,
                    budget=budget,
                    members=search.members,
                    seed=seed,
                    checkpoint=None if checkpoint is None else Path(checkpoint),
                    resume=resume,
                    on_progress=print if self.verbose else lambda progress: None,
                    say=partial(warnings.warn, stacklevel=3),
                )
                network, settings, trained = tuned.network, tuned.settings, tuned.best.trained
            else:
                tuned = None
                trained = train(network, sequences, settings, valid, watch, checkpoint, resume)
        labeler = {name: json.loads(text) for name, value in self.get_params().items() if (text := _json(value))}
        model = trained_model(network, settings, trained, classes.tolist(), columns, parts, simple, labeler=labeler)
        model = model if tuned is None else tuned.adopted(model)
        if valid is not None:
            kept = metrics.kept_thresholds(valid, model.probabilities(valid))
            model = replace(model, facts={**model.facts, "thresholds": kept})
        self._adopt(model)
        self._sample = metrics.sample(sequences if valid is None else valid, settings.seed), model
        self.history_, self.seconds_ = trained.history, trained.seconds
        if trained.interrupted or (tuned is not None and tuned.interrupted):
            raise KeyboardInterrupt
        if tuned is not None and valid is not None and search.refit:
            self._adopt(refit(model, tuned, sequences, valid, seed=seed))
        return self

    def predict(self, X: Any) -> Any:
        """The label of each step, or of each sequence, in the form of X; see the class.

        It is the likeliest one, unless the model was searched for with a `budget`: that may have chosen a `threshold`
        or a `balance`; see `bothways.runtime.Model`. X is as for `fit`; sequences may have no steps.
        """
        check_is_fitted(self, "model_")
        return self.model_.predict(X)

    def predict_proba(self, X: Any) -> Any:
        """What `predict` gives, but the probability of each class of `classes_`, in one more axis at the end."""
        check_is_fitted(self, "model_")
        return self.model_.predict_proba(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of right labels; missing ones do not count. X, y and `sample_weight` are as for `fit`."""
        check_is_fitted(self, "model_")
        sequences, form, labels, given = read_truth(self, X, y, sample_weight)
        predicted = self.classes_[self.model_.decide(self.model_.probabilities(sequences), sequences.lengths)]
        chosen = places(sequences, form)
        weights = labels.present[chosen].astype(float)
        if given is not None:
            weights *= given[chosen]
        if not weights.any():
            raise InputError("sample_weight is zero wherever y has a label; at least one must be above zero.")
        return float(np.average(predicted == labels.values[chosen], weights=weights))

    @property
    def feature_importances_(self) -> Array:
        """`(n_features_in_,)`, how far the score falls without each column, from `importance_`.

        They need not add up to 1, and may be below 0. A column that was left out, or not measured since 40 others move
        the probabilities more, has 0.

        Raises:
            AttributeError: as `importance_`.
        """
        columns = self.importance_.columns
        return np.array([columns[name].value if name in columns else 0.0 for name in self.columns_.features])

    @property
    def importance_(self) -> metrics.Importance:
        """How far the score falls without each column, the past and the future, with intervals over whole sequences.

        The score is the macro F1, or where labels are tags that of entities. It is measured when it is first asked
        for, on what `fit` held out, or was given as `validation_data`; else on what it was trained on, which flatters
        columns that were learned by heart. A file of the model keeps it, but only if it was asked for before; so does
        a pickle or a copy. None of them has the data.

        Raises:
            AttributeError: the labeler comes from a file, a pickle or a copy that does not have it.
        """
        check_is_fitted(self, "model_")
        known = self.model_.facts.get("importance")
        if known is None:
            if (sample := getattr(self, "_sample", None)) is None:
                raise AttributeError(
                    "Importances take data, which a saved or copied labeler does not have. Ask for them after fit, "
                    "before the labeler is saved, copied, pickled or sent to another process."
                )
            (drawn, model), places = sample, self.columns_.fitted.places
            found = metrics.permutation_importance(model.probabilities, drawn, places, decide=model.decide)
            known = found.to_json()
            self.model_ = replace(self.model_, facts={**self.model_.facts, "importance": known})
        return metrics.Importance.from_json(known)

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: all but the data, and the model before it was fitted to them."""
        return {name: value for name, value in super().__getstate__().items() if name != "_sample"}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trained model to a file, whole or not at all.

        `bothways.load` reads it, also where Keras is not installed. A model that was fitted on a data frame labels
        tables, too: `bothways predict FILE TABLE -o LABELS`.
        """
        check_is_fitted(self, "model_")
        self.model_.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SequenceLabeler:
        """A fitted labeler from a file that `save` or `bothways train` wrote.

        Its settings are those of the training, except a `class_weight` by label and a `random_state` that is no number.

        Raises:
            ModelFileError: the file cannot be read.
            InputError: the model does not say how its inputs become numbers.
        """
        model = store.load(path)
        if model.columns is None:
            raise InputError(f"{path}: this model does not say how its inputs become numbers. Train it again.")
        roles = {name: column for name, column in model.columns.roles.items() if name in ("sequence", "order")}
        read = model.table.features if model.table else ()
        said = model.network.to_json() | roles | {"features": read, "categorical": model.columns.categories}
        said |= {"random_state": model.facts.get("settings", {}).get("seed")}
        said |= {"vectors": model.columns.vectors.source} if model.columns.vectors else {}
        for name in ("settings", "labeler"):  # the last of which is surest
            said |= model.facts.get(name, {})
        known: dict[str, Any] = {name: said[name] for name in cls().get_params() if name in said}
        labeler = cls(**known | {name: tuple(value) for name, value in known.items() if isinstance(value, list)})
        labeler._adopt(model)
        return labeler

    def _adopt(self, model: Model) -> None:
        assert model.columns is not None
        self.model_, self.columns_, self.per_ = model, model.columns, model.network.per
        self.classes_ = np.array(model.classes)
        self.n_features_in_ = len(self.columns_.features)
        self.n_iter_ = model.facts.get("epochs")
        if self.columns_.label:
            self.feature_names_in_ = np.array(self.columns_.features, object)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn should know: sequences have three axes or two, and NaN is a missing number."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _settings(self) -> Settings:
        seed: Any = self.random_state
        if seed is None or isinstance(seed, np.random.RandomState):
            seed = int(check_random_state(seed).randint(np.iinfo(np.int32).max))
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
            raise InputError(
                f"random_state is {seed!r}; it must be a whole number from 0 to {2**32 - 1}, a NumPy RandomState or "
                "None."
            )
        given = {name: getattr(self, name) for name in options(Settings) if name != "seed"}
        given["class_weight"] = "balanced" if isinstance(self.class_weight, str) else None
        return Settings(seed=int(seed), **given)

    def _shares(self, searches: bool) -> tuple[float, ...]:
        """The share of the sequences to learn from, and that to hold out, if any."""
        if self.validation_fraction is None:
            return (1 - HELD_OUT, HELD_OUT) if searches else (1.0,)
        fraction = Option(HELD_OUT, "", above=0, below=1).check("validation_fraction", self.validation_fraction)
        return 1 - fraction, fraction

    def _given(self, settings: Settings) -> dict[str, Any]:
        """The settings that are not at their defaults, which a search keeps; weights by label are in the sequences."""
        known, defaults = _SETTINGS, type(self)().get_params()
        given = {name: value for name, value in self.get_params().items() if name in known and value != defaults[name]}
        return given | ({"class_weight": settings.class_weight} if "class_weight" in given else {})


_SETTINGS = {**options(Network), **options(Settings)}
_HELP = [f"{name}: {option.help}" for name, option in _SETTINGS.items() if name not in ("seed", "class_weight")]
SequenceLabeler.__doc__ = (SequenceLabeler.__doc__ or "").replace("SETTINGS", "\n        ".join(_HELP))


def _json(value: Any) -> str:
    """A setting as a model file keeps it, those of NumPy as Python's; "" if it cannot: keys would become text."""
    if isinstance(value, Mapping):
        return ""
    try:
        return json.dumps(value, default=methodcaller("tolist"), allow_nan=False)
    except (AttributeError, TypeError, ValueError):
        return ""
