"""Baselines: simple models that a network must beat to be worth anything. They are kept without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from bothways.baselines.frequent import Majority, MostFrequentPerValue
from bothways.baselines.linear import OneStep
from bothways.baselines.neighbors import NearbyNGrams, Neighbors, are_many
from bothways.baselines.trees import Trees
from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns import Baseline, Classifier, ConvolutionPatterns, Forest, NGramPatterns
from bothways.sequences import Array, Sequences

__all__ = [
    "BASELINES",
    "CLASSIFIERS",
    "Baseline",
    "Classifier",
    "Majority",
    "MostFrequentPerValue",
    "NearbyNGrams",
    "Neighbors",
    "OneStep",
    "Trees",
    "fit",
    "fit_one",
    "from_arrays",
    "to_arrays",
]


Fitted = TypeVar("Fitted", bound=Baseline)

STRONG: tuple[type[Classifier], ...] = (Neighbors, NearbyNGrams, Trees, Forest, ConvolutionPatterns, NGramPatterns)
"""Those that take seconds to fit."""

CLASSIFIERS: tuple[type[Classifier], ...] = (OneStep, *STRONG)
"""Those that may be members of an average."""

OF_FEW_KINDS: tuple[type[Classifier], ...] = (OneStep, Trees)
"""Those that know only the most frequent codes. Where steps are words they are slow, and `Neighbors` does better."""

BASELINES: tuple[type[Baseline], ...] = (Majority, MostFrequentPerValue, OneStep, *STRONG)
"""All baselines. To add one, write a `Baseline` or `Classifier` and list it here."""


def fit(
    sequences: Sequences,
    classes: int,
    categories: Sequence[int] = (),
    seed: int = 0,
    *,
    vectors: int = 0,
    strong: bool = True,
) -> list[Baseline]:
    """Fit all baselines to the sequences that a model learns from, of which at least one label is known.

    Labels count by their weights. `categories` says for each categorical column, which are the last ones, how many
    codes there are; `vectors`, how many of the numeric columns are the pretrained vectors of words.
    """
    sizes = tuple(categories)
    words = strong and are_many(sequences.per, sizes) and sequences.features == len(sizes) + vectors
    left_out = OF_FEW_KINDS if words else () if strong else STRONG
    fitted = (fit_one(each, sequences, classes, sizes, seed) for each in BASELINES if each not in left_out)
    return [each for each in fitted if each is not None]


def fit_one(
    kind: type[Fitted], sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int
) -> Fitted | None:
    """A baseline of this kind, fitted on one thread; None where it has nothing to learn from."""
    with threadpool_limits(1):  # threads that wait for each other on busy cores take many times as long as one
        return kind.fit(sequences, classes, categories, seed)


def to_arrays(baselines: Sequence[Baseline]) -> dict[str, Array]:
    """Fitted baselines as arrays, by the name of the baseline and that of the array, to keep them beside a model."""
    return {f"{each.name}/{name}": array for each in baselines for name, array in each.arrays().items()}


def from_arrays(arrays: Mapping[str, Any], network: Network) -> list[Baseline]:
    """The baselines that `to_arrays` gave, for sequences such as this network labels; unknown ones are left out.

    `InputError` for arrays that describe none for such sequences.
    """
    of: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        baseline, _, part = name.partition("/")
        of.setdefault(baseline, {})[part] = array
    try:
        return [each.from_arrays(of[each.name], network) for each in BASELINES if each.name in of]
    except InputError as error:
        raise InputError(f"These are no baselines of such a model. {error}") from None
