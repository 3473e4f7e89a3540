"""What a simple model is; linear classifiers of patterns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import matmul
from typing import Any, ClassVar, Self

import numpy as np

from bothways.arrays import checked_array, product
from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns.convolutions import RandomConvolutions
from bothways.patterns.ngrams import NGrams
from bothways.sequences import Array, Doubles, Numbers, Sequences, in_blocks

WEIGHTS = 500_000  # at most about this many weights, so that a model file stays small where there are many classes
STRENGTH, ITERATIONS = 10, 100  # of the logistic regression of n-grams: `C` and `max_iter` of scikit-learn
LEVELS, FEW = (1.0, 0.3, 0.1), 500  # what levels may weigh beside random convolutions; and how many sequences show it
LARGEST = 1e9  # weights are no larger, so that logits are finite
NEVER = -1e4  # the logit of a class that training never saw
BLOCK = 1024  # sequences whose features are made together


class Baseline:
    """A simple model of labels. Reports and model files call it `name`; files keep the attributes in `kept`."""

    name: ClassVar[str]
    kept: ClassVar[tuple[str, ...]]

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Self | None:
        """Fit it to labeled sequences, as `bothways.baselines.fit` describes them; None where it can learn nothing."""
        raise NotImplementedError

    def predict(self, sequences: Sequences) -> Numbers:
        """For each label the code of a class."""
        raise NotImplementedError

    def arrays(self) -> dict[str, Array]:
        """Itself as arrays, by name."""
        return {name: np.atleast_1d(getattr(self, name)) for name in self.kept}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> Self:
        """What `arrays` gave, for sequences such as the network labels; `InputError` for what does not fit them."""
        raise NotImplementedError


class Classifier(Baseline):
    """A baseline that says how sure it is, and so may count in an average with networks."""

    def logits(self, sequences: Sequences, before: Array | None = None) -> Array:
        """`(labels, classes)`: their softmax gives probabilities. The bits of a label do not depend on others.

        `before` says what came before sequences that go on; see `bothways.means.means_of`.
        """
        raise NotImplementedError

    @property
    def reach(self) -> int:
        """How many steps before and after a label of a step it looks at."""
        return 0

    def predict(self, sequences: Sequences) -> Numbers:
        """The most probable class of each label."""
        return np.asarray(self.logits(sequences).argmax(axis=1), np.int64)


def some_labels(sequences: Sequences, chosen: Any, most: int, generator: np.random.Generator) -> Numbers:
    """The numbers of the labels that there are among the chosen; of more than `most` some, drawn."""
    numbers = np.flatnonzero(sequences.has_label & chosen)
    return numbers if len(numbers) <= most else np.sort(generator.choice(numbers, most, replace=False))


@dataclass(frozen=True, eq=False)
class Patterns(Classifier):
    """Features of whole sequences and a linear classifier."""

    maker: ClassVar[Any]  # of features
    multiply: ClassVar[Any]  # features by weights; the bits of a row do not depend on others
    rows: ClassVar[int]  # at most this many sequences to learn from
    kept = ("kernel", "bias")
    features: Any  # makes the features
    kernel: Array  # `(size, classes)` float32, the weights of the features
    bias: Array  # `(classes,)` float32

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Self | None:
        """Fit it; None for labels of steps, labels of one class, or sequences without such columns or patterns."""
        if sequences.per != "sequence":
            return None
        chosen = some_labels(sequences, sequences.lengths > 0, cls.rows, np.random.default_rng(seed))
        labels = sequences.known_labels[chosen]
        seen, codes = np.unique(labels, return_inverse=True)
        part = sequences.take(chosen)
        if len(seen) < 2 or (features := cls.maker.fit(part, categories, seed, WEIGHTS // len(seen))) is None:
            return None
        weights, offsets = cls._linear(features, features.features(part), codes, sequences.weights_of(chosen))
        kernel, bias = np.zeros((len(weights), classes), np.float32), np.full(classes, NEVER, np.float32)
        kernel[:, seen], bias[seen] = weights, offsets
        return cls(features, kernel, bias)

    def logits(self, sequences: Sequences, before: Array | None = None) -> Array:
        blocks = (sequences.take(numbers) for numbers in in_blocks(len(sequences), BLOCK))
        found = [self.multiply(self.features.features(block), self.kernel) + self.bias for block in blocks]
        return np.concatenate(found) if found else np.zeros((0, len(self.bias)), np.float32)

    def arrays(self) -> dict[str, Array]:
        return {**self.features.arrays(), **super().arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> Self:
        if network.per != "sequence":
            raise InputError("Patterns label whole sequences; this model labels steps.")
        made, classes = cls.maker.from_arrays(arrays, network), network.classes
        kernel = checked_array(arrays, "kernel", np.float32, (made.size, classes), -LARGEST, LARGEST)
        return cls(made, kernel, checked_array(arrays, "bias", np.float32, (classes,), -LARGEST, LARGEST))

    @staticmethod
    def _linear(made: Any, features: Any, codes: Numbers, counted: Doubles | None) -> tuple[Array, Array]:
        raise NotImplementedError


class ConvolutionPatterns(Patterns):
    """Random convolutions of the numeric columns, and a ridge regression of each class.

    Its penalty is the best of leaving one sequence out at a time; what is predicted for those left out also says how
    much levels weigh beside convolutions, and by how much logits are multiplied, so that they are as sure as they are
    right.
    """

    name = "random_convolutions"
    maker, multiply = RandomConvolutions, staticmethod(product)
    rows = 2000  # the time of a ridge regression grows with their square

    @staticmethod
    def _linear(made: Any, features: Array, codes: Numbers, counted: Doubles | None) -> tuple[Array, Array]:
        from scipy.optimize import minimize_scalar
        from scipy.special import log_softmax
        from sklearn.linear_model import RidgeCV

        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale[scale < 1e-6] = 1
        targets = np.where(codes[:, None] == np.arange(codes.max() + 1), 1.0, -1.0)

        def fitted(level: float, some: Any) -> tuple[float, float, Any, Array]:
            """The least loss of those left out, the power of two to multiply by, the regression and its scale."""
            own, weighed = scale / made.weights(level), None if counted is None else counted[some]
            ridge = RidgeCV(np.logspace(-1, 5, 13), scoring="neg_mean_squared_error", store_cv_results=True)
            ridge.fit((features[some] - mean) / own, targets[some], weighed)
            left_out = ridge.cv_results_[:, :, np.argmin(np.abs(ridge.alphas - ridge.alpha_))]

            def loss(power: float) -> float:
                p = log_softmax(left_out * 2**power, axis=1)
                return -float(np.average(np.take_along_axis(p, codes[some, None], axis=1)[:, 0], weights=weighed))

            found = minimize_scalar(loss, bounds=(-3, 5), method="bounded")
            return found.fun, found.x, ridge, own

        few = np.random.default_rng(0).permutation(len(codes))[:FEW]
        level = min(LEVELS, key=lambda level: fitted(level, few)[0])
        _, power, ridge, scale = fitted(level, slice(None))
        weights = 2**power * ridge.coef_.T / scale[:, None]
        return weights, 2**power * ridge.intercept_ - mean @ weights


class NGramPatterns(Patterns):
    """n-grams of the categorical columns, and a logistic regression."""

    name = "n_grams"
    maker, multiply = NGrams, staticmethod(matmul)
    rows = 10_000

    @staticmethod
    def _linear(made: Any, features: Any, codes: Numbers, counted: Doubles | None) -> tuple[Array, Array]:
        from sklearn.linear_model import LogisticRegression

        found = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS).fit(features, codes, counted)
        weights, bias = found.coef_.T, found.intercept_
        if len(bias) == 1:  # of two classes, that is the second one's
            weights, bias = np.hstack([0 * weights, weights]), np.array([0, bias[0]])
        return weights, bias
