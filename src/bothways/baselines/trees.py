"""Gradient-boosted trees: on the steps around each label, or on summaries of whole sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bothways.arrays import checked_array
from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns.classifiers import NEVER
from bothways.sequences import NO_LABEL, Array, Numbers, Sequences

AROUND = 5
"""This many steps before and after a label."""

ROWS, NUMBERS = 20_000, 2_000_000
"""Of at most so many labels, and so many numbers beside them, trees learn in seconds."""

TREES, ROUNDS, LEAVES = 600, 100, 16
"""At most so many trees, rounds of one tree per class, and leaves of a tree."""

RARE = 10
"""Classes with fewer labels than this are never predicted."""

CODES, MISSING = 254, 255
"""Of each category this many codes, the most frequent ones; others share a place, and what is missing has the last."""

LARGEST = 1e300
"""Numbers in trees are no larger, so that sums of them are finite."""

BLOCK = 512
"""Labels that are worked on together."""


@dataclass(frozen=True, eq=False)
class Trees:
    """Gradient-boosted trees, as `HistGradientBoostingClassifier` of scikit-learn fits them.

    For labels of steps they look at the steps from 5 before to 5 after; for labels of sequences, at the mean,
    deviation, least, largest, first and last value of each numeric column, and at the length.

    Attributes:
        classes: how many classes there are.
        categories: for each categorical column how many codes there are.
        seen: `(classes seen,)` the codes of the classes that the trees know.
        start: `(scores,)` what trees add to: a score of each such class, or of two only that of the second.
        roots: `(trees,)` the node that each tree starts with, ascending; tree `i` adds to score `i % scores`.
        inputs: `(nodes,)` the input that a node asks for; -1 for a leaf.
        values: `(nodes,)` the largest number that goes left; what a leaf adds.
        missing: `(nodes,)` whether a missing number goes left.
        children: `(nodes, 2)` where to go on, left and right: later in the same tree.
        sets: `(nodes,)` for a category the row of `left`; else -1.
        left: `(sets, 32)` the places of a category that go left, as bits.
        places: `(codes of all categories,)` the place of each code of each column, one column after the other.
    """

    name: ClassVar[str] = "trees"
    classes: int
    categories: tuple[int, ...]
    seen: Numbers
    start: Array
    roots: Numbers
    inputs: Array
    values: Array
    missing: Array
    children: Array
    sets: Array
    left: Array
    places: Array

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Trees | None:
        """Fit them; None where fewer than two classes have some labels, or there is nothing to look at."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        labels, generator = sequences.known_labels, np.random.default_rng(seed)
        counts = np.bincount(labels[labels != NO_LABEL], minlength=classes)
        seen = np.flatnonzero(counts >= RARE)
        places = _places(sequences, categories) if sequences.per == "step" else np.zeros(0, np.uint8)
        columns = _inputs(sequences, np.zeros(0, np.int64), categories, places).shape[1]
        if len(seen) < 2 or not columns or not sequences.steps:
            return None
        # Rare classes stay whole; of others some are taken, and their scores raised by as much (King and Zeng, 2001).
        each = max(min(ROWS, NUMBERS // columns) // len(seen), RARE)
        chosen = np.concatenate([generator.permutation(np.flatnonzero(labels == code))[:each] for code in seen])
        raised = np.log(np.maximum(counts[seen] / each, 1))
        inputs = _inputs(sequences, chosen, categories, places)
        # Scikit-learn stumbles over inputs that are all missing, as they may be once a tenth is held out to stop by.
        inputs[:, np.isnan(inputs).mean(axis=0) > 0.8] = 0
        kinds = _kinds(sequences.per, categories)
        rounds = min(ROUNDS, max(TREES // len(seen), 1))
        model = HistGradientBoostingClassifier(
            learning_rate=0.1 if rounds >= 50 else 0.2,
            max_iter=rounds,
            max_leaf_nodes=LEAVES,
            l2_regularization=1,  # without which rounds over many classes diverge
            early_stopping=True,
            categorical_features=np.arange(columns) < kinds if kinds else None,
            random_state=seed,
        )
        model.fit(inputs, labels[chosen])
        nodes = _nodes(model, kinds)
        nodes["start"] += raised if len(seen) > 2 else raised[1] - raised[0]
        return cls(classes=classes, categories=categories, places=places, **nodes)

    def scores(self, sequences: Sequences) -> Array:
        """`(labels, classes)`; a softmax of them gives probabilities."""
        count = len(sequences) if sequences.per == "sequence" else sequences.steps
        found = np.full((count, self.classes), NEVER, np.float32)
        for at in range(0, count, BLOCK):
            rows = np.arange(at, min(at + BLOCK, count))
            sums = self._sums(_inputs(sequences, rows, self.categories, self.places))
            if len(self.start) == 1:  # of two classes
                sums = np.hstack([np.zeros_like(sums), sums])
            with np.errstate(over="ignore"):  # a file may hold numbers of any size
                found[rows[:, None], self.seen] = sums
        return found

    def predict(self, sequences: Sequences) -> Numbers:
        """The most probable class of each label."""
        return np.asarray(self.scores(sequences).argmax(axis=1), np.int64)

    def _sums(self, inputs: Array) -> Array:
        """`(rows, scores)` what all trees add up to. All go down their trees together, a node at a time."""
        kinds = np.unpackbits(self.left, axis=1).astype(bool)
        nodes = np.tile(self.roots, len(inputs))  # of each row and tree
        starts, flat = np.repeat(np.arange(len(inputs)) * inputs.shape[1], len(self.roots)), inputs.ravel()
        going = np.arange(len(nodes))
        while len(going := going[self.inputs[nodes[going]] >= 0]):
            at = nodes[going]
            asked = flat[starts[going] + self.inputs[at]]
            nothing = np.isnan(asked)
            right = ~((asked <= self.values[at]) | (nothing & self.missing[at]))
            if len(kinds):
                of = np.flatnonzero(self.sets[at] >= 0)
                places = np.where(nothing[of], MISSING, asked[of]).astype(np.uint8)
                right[of] = ~kinds[self.sets[at[of]], places]
            nodes[going] = self.children[at, right.astype(np.int8)]
        sums = self.values[nodes].reshape(len(inputs), -1, len(self.start)).sum(axis=1)
        return np.asarray(self.start + sums)

    def arrays(self) -> dict[str, Array]:
        """Itself as arrays, by name."""
        return {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> Trees:
        """What `arrays` gave; raises `InputError` for arrays that describe no trees for such sequences."""
        seen = checked_array(arrays, "seen", np.int64, (None,), 0, network.classes - 1)
        start = checked_array(arrays, "start", np.float64, (1 if len(seen) == 2 else len(seen),), -LARGEST, LARGEST)
        kinds = _kinds(network.per, network.categories)
        one = Sequences(np.zeros((1, network.features)), np.array([1]), per=network.per)
        codes = sum(network.categories) if kinds else 0
        places = checked_array(arrays, "places", np.uint8, (codes,), 0, CODES)
        columns = _inputs(one, np.array([0]), network.categories, places).shape[1]
        inputs = checked_array(arrays, "inputs", np.int32, (None,), -1, columns - 1)
        nodes, inner = len(inputs), inputs >= 0
        left = checked_array(arrays, "left", np.uint8, (None, 32))
        made = cls(
            network.classes,
            network.categories,
            seen,
            start,
            checked_array(arrays, "roots", np.int64, (None,), 0, nodes - 1),
            inputs,
            checked_array(arrays, "values", np.float64, (nodes,), -LARGEST, LARGEST),
            checked_array(arrays, "missing", np.bool_, (nodes,)),
            checked_array(arrays, "children", np.int32, (nodes, 2), 0, nodes - 1),
            checked_array(arrays, "sets", np.int32, (nodes,), -1, len(left) - 1),
            left,
            places,
        )
        ends = np.append(made.roots, nodes)
        end = ends[np.searchsorted(made.roots, np.arange(nodes), side="right")]
        forward = (made.children > np.arange(nodes)[:, None]) & (made.children < end[:, None])
        whole = len(seen) >= 2 and (np.diff(seen) > 0).all() and ends[0] == 0 and (np.diff(ends) > 0).all()
        if not (whole and forward[inner].all() and (inputs[made.sets >= 0] < kinds).all()):
            raise InputError("The arrays of trees describe none: nodes must lead to later ones of the same tree.")
        return made


ARRAYS = ("seen", "start", "roots", "inputs", "values", "missing", "children", "sets", "left", "places")


def _nodes(model: Any, kinds: int) -> dict[str, Array]:
    """The nodes of all trees that scikit-learn fitted, one tree after the other; the first inputs are categories."""
    trees = [each for of_round in model._predictors for each in of_round]
    sizes = [len(tree.nodes) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    nodes = np.concatenate([tree.nodes for tree in trees])
    leaf = nodes["is_leaf"] == 1
    asks = np.flatnonzero((nodes["is_categorical"] == 1) & ~leaf)
    # What scikit-learn makes of each place of a category; of what it has not seen, NaN.
    probe = np.zeros((MISSING + 1, model.n_features_in_))
    probe[:MISSING, :kinds], probe[MISSING, :kinds] = np.arange(MISSING)[:, None], np.nan
    known = np.nan_to_num(model._preprocess_X(probe, reset=False)[:, nodes["feature_idx"][asks]], nan=-1).astype(int).T
    first = np.cumsum([0, *(len(tree.raw_left_cat_bitsets) for tree in trees[:-1])])
    words = np.concatenate([tree.raw_left_cat_bitsets for tree in trees])
    words = words[np.repeat(first, sizes)[asks] + nodes["bitset_idx"][asks]]
    bits = np.take_along_axis(words, np.maximum(known, 0) >> 5, axis=1) >> (np.maximum(known, 0) & 31) & 1
    goes = np.where(known < 0, nodes["missing_go_to_left"][asks, None], bits)
    sets = np.full(len(nodes), -1, np.int32)
    sets[asks] = np.arange(len(asks))
    children = np.stack([nodes["left"], nodes["right"]], axis=1) + np.repeat(roots, sizes)[:, None]
    return {
        "seen": model.classes_,
        "start": np.asarray(model._baseline_prediction, np.float64).ravel(),
        "roots": roots,
        "inputs": np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
        "values": np.where(leaf, nodes["value"], np.clip(nodes["num_threshold"], -LARGEST, LARGEST)),
        "missing": nodes["missing_go_to_left"] == 1,
        "children": np.where(leaf[:, None], 0, children).astype(np.int32),
        "sets": sets,
        "left": np.packbits(goes.astype(bool), axis=1),
    }


def _kinds(per: str, categories: tuple[int, ...]) -> int:
    """How many of the inputs, the first ones, are places of categories."""
    return len(categories) * (2 * AROUND + 1) if per == "step" else 0


def _places(sequences: Sequences, categories: tuple[int, ...]) -> Array:
    """For each code of each categorical column its place."""
    found = []
    for column, size in enumerate(categories, -len(categories)):
        counts = np.bincount(np.asarray(sequences.values[:, column], np.int64), minlength=size)
        places = np.full(size, CODES, np.uint8)
        chosen = np.argsort(-counts, kind="stable")[:CODES]
        places[chosen] = np.arange(len(chosen))
        found.append(places)
    return np.concatenate([np.zeros(0, np.uint8), *found])


def _inputs(sequences: Sequences, chosen: Numbers, categories: tuple[int, ...], places: Array) -> Array:
    """`(chosen, inputs)` what trees look at for these labels; NaN for what is missing."""
    numbers = np.asarray(sequences.values[:, : sequences.features - len(categories)], np.float64)
    if sequences.per == "sequence":
        return _summaries(sequences.take(chosen), numbers.shape[1])
    codes = np.asarray(sequences.values[:, numbers.shape[1] :], np.int64)
    codes += np.cumsum([0, *categories])[:-1].astype(np.int64)
    columns = np.hstack([places[codes], numbers])
    shifts = np.arange(-AROUND, AROUND + 1)
    position, length = sequences.positions[chosen, None], sequences.lengths[sequences.sequence_of_steps[chosen], None]
    there = (position + shifts >= 0) & (position + shifts < length)
    around = columns[np.where(there, chosen[:, None] + shifts, 0)]
    around[~there] = np.nan
    return around.transpose(0, 2, 1).reshape(len(chosen), columns.shape[1] * len(shifts))


def _summaries(sequences: Sequences, numbers: int) -> Array:
    """`(sequences, 6 numbers + 1)`: mean, deviation, least, largest, first, last of each numeric column; the length."""
    if not numbers:
        return np.zeros((len(sequences), 0))
    found = np.full((len(sequences), 6 * numbers + 1), np.nan)
    found[:, -1] = sequences.lengths
    if (filled := np.flatnonzero(sequences.lengths)).size:
        values, starts = np.asarray(sequences.values[:, :numbers], np.float64), sequences.offsets[filled]
        lengths = sequences.lengths[filled, None]
        means = np.add.reduceat(values, starts) / lengths
        squares = np.add.reduceat((values - np.repeat(means, lengths[:, 0], axis=0)) ** 2, starts)
        ends = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        last = starts + lengths[:, 0] - 1
        found[filled, :-1] = np.hstack([means, np.sqrt(squares / lengths), *ends, values[starts], values[last]])
    return found
