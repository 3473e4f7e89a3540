"""A forest of extremely randomized trees on the parts of whole sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from bothways.arrays import checked_array
from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns.classifiers import BLOCK, NEVER, Classifier, some_labels
from bothways.patterns.dyadic import DyadicFeatures
from bothways.sequences import Array, Doubles, Numbers, Sequences, in_blocks, pair_counts

ROWS, NUMBERS = 10_000, 4_000_000  # sequences to learn from, at most; and features of all that are worked on together
TREES, LEAVES = 100, 1000  # trees, and leaves of a tree at most
SHARE = 0.3  # of the features, of which each node chooses one
FOLDS, MOST_POWER = 4, 5.0  # as many parts are held out in turn, to see how sure votes are; they are raised to no more
RARELY = 1e-3  # the least share of a class that training saw


@dataclass(frozen=True, eq=False)
class Forest(Classifier):
    """Trees that vote for classes, as `ExtraTreesClassifier` of scikit-learn fits them (Geurts et al. 2006)."""

    name: ClassVar[str] = "forest"
    kept = ("power", "roots", "inputs", "values", "children")
    features: DyadicFeatures
    classes: int  # how many there are
    power: Array  # `(1,)` what the shares of votes are raised to, so that probabilities are as sure as they are right
    roots: Numbers  # `(trees,)` the node that each tree starts with, ascending
    inputs: Array  # `(nodes,)` the feature that a node asks for; -1 for a leaf
    values: Array  # `(nodes,)` float32, the largest number that goes left; of a leaf the code of its class
    children: Array  # `(nodes, 2)` where to go on, left and right: later in the same tree

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Forest | None:
        """Fit it; None for labels of steps, labels of one class, or sequences that do not differ."""
        from sklearn.ensemble import ExtraTreesClassifier

        if sequences.per != "sequence":
            return None
        there, generator = sequences.lengths > 0, np.random.default_rng(seed)
        chosen = some_labels(sequences, there, ROWS, generator)
        if not len(chosen):
            return None
        made = DyadicFeatures.fit(sequences.take(chosen), categories)
        chosen = some_labels(sequences, there, min(ROWS, NUMBERS // made.size), generator)
        labels, features = sequences.known_labels[chosen], made.features(sequences.take(chosen))
        if len(np.unique(labels)) < 2 or not np.ptp(features, axis=0).any():
            return None
        weights, folds = sequences.weights_of(chosen), generator.permutation(len(labels)) % FOLDS

        def fitted(trees: int, some: Any) -> Forest:
            model = ExtraTreesClassifier(
                trees, criterion="entropy", max_features=SHARE, max_leaf_nodes=LEAVES, random_state=seed
            )
            model.fit(features[some], labels[some], None if weights is None else weights[some])
            return Forest(made, classes, np.ones(1, np.float32), **_nodes(model))

        logs = np.zeros((len(labels), classes), np.float32)
        for fold in range(min(FOLDS, len(labels))):
            own = folds == fold
            logs[own] = fitted(TREES // FOLDS, ~own)._logs(features[own])
        return replace(fitted(TREES, slice(None)), power=_power(logs, labels, weights))

    def logits(self, sequences: Sequences, before: Array | None = None) -> Array:
        seen = np.isin(np.arange(self.classes), self.values[self.inputs < 0])
        found = np.full((len(sequences), self.classes), NEVER, np.float32)
        block = max(1, min(BLOCK, NUMBERS // self.features.size))
        for rows in in_blocks(len(sequences), block):
            logs = self._logs(self.features.features(sequences.take(rows)))
            found[rows] = np.where(seen, self.power * logs, np.float32(NEVER))
        return found

    def arrays(self) -> dict[str, Array]:
        return {**self.features.arrays(), **super().arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> Forest:
        if network.per != "sequence":
            raise InputError("A forest labels whole sequences; this model labels steps.")
        made = DyadicFeatures.from_arrays(arrays, network)
        roots, inputs, children = checked_nodes(arrays, made.size)
        values = checked_array(arrays, "values", np.float32, inputs.shape)
        power = checked_array(arrays, "power", np.float32, (1,), 0, MOST_POWER)
        if not np.isin(values[inputs < 0], np.arange(network.classes)).all():
            raise InputError(f"The leaves of a forest must be classes from 0 to {network.classes - 1}.")
        return Forest(made, network.classes, power, roots, inputs, values, children)

    def _logs(self, features: Array) -> Array:
        """`(rows, classes)` the logarithms of the shares of trees that are for each class."""
        leaves = leaves_of(self, features, lambda asked, at: asked > self.values[at])
        codes, shape = self.values[leaves].astype(np.int64), (len(features), self.classes)
        votes = pair_counts(np.arange(len(features))[:, None], codes, shape)
        shares = votes.astype(np.float32) / np.float32(len(self.roots))
        return np.asarray(np.log(np.maximum(shares, np.float32(RARELY))))


def leaves_of(trees: Any, rows: Array, right: Callable[[Array, Numbers], Array]) -> Numbers:
    """`(rows, trees)` the leaves that rows of inputs come to: all go down all trees together, a node at a time.

    `right` tells of inputs that are asked for, and the nodes that ask, whether they go right.
    """
    nodes, flat = np.tile(trees.roots, len(rows)), rows.ravel()
    starts, going = np.repeat(np.arange(len(rows)) * rows.shape[1], len(trees.roots)), np.arange(len(nodes))
    while len(going := going[trees.inputs[nodes[going]] >= 0]):
        at = nodes[going]
        nodes[going] = trees.children[at, right(flat[starts[going] + trees.inputs[at]], at).astype(np.int8)]
    return nodes.reshape(len(rows), -1)


def depth(inputs: Array, children: Array) -> int:
    """How many nodes of trees are asked at most, one after the other; as `checked_nodes` gives them."""
    found = np.zeros(len(inputs), np.int64)
    for node in np.flatnonzero(inputs >= 0):
        found[children[node]] = found[node] + 1
    return int(found.max())


def checked_nodes(arrays: Mapping[str, Any], columns: int) -> tuple[Numbers, Array, Array]:
    """Roots, inputs and children of trees from a file; each node must lead to later ones of its own tree."""
    inputs = checked_array(arrays, "inputs", np.int32, (None,), -1, columns - 1)
    nodes, inner = len(inputs), inputs >= 0
    roots = checked_array(arrays, "roots", np.int64, (None,), 0, nodes - 1)
    children = checked_array(arrays, "children", np.int32, (nodes, 2), 0, nodes - 1)
    ends = np.append(roots, nodes)
    end = ends[np.searchsorted(roots, np.arange(nodes), side="right")]
    forward = (children > np.arange(nodes)[:, None]) & (children < end[:, None])
    if not (len(roots) and ends[0] == 0 and (np.diff(ends) > 0).all() and forward[inner].all()):
        raise InputError("The arrays of trees describe none: nodes must lead to later ones of the same tree.")
    return roots, inputs, children


def _power(logs: Array, labels: Numbers, weights: Doubles | None) -> Array:
    """`(1,)` the power at which the labels of what was held out are likeliest; few sequences say little."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log: float) -> float:
        own = np.take_along_axis(log_softmax(logs * np.exp(log), axis=1), labels[:, None], axis=1)
        return log**2 / len(labels) - float(np.average(own[:, 0], weights=weights))

    most = np.log(MOST_POWER)
    return np.exp([minimize_scalar(loss, bounds=(-most, most), method="bounded").x]).astype(np.float32)


def _nodes(model: Any) -> dict[str, Array]:
    """The nodes of all trees that scikit-learn fitted, one tree after the other."""
    trees = [each.tree_ for each in model.estimators_]
    sizes = [tree.node_count for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    inputs = np.concatenate([tree.feature for tree in trees])
    leaf = inputs < 0
    # What goes left is not above a double; the numbers are single, and so are not above the next one below it.
    limits = np.concatenate([tree.threshold for tree in trees])
    values = limits.astype(np.float32)
    values = np.where(values > limits, np.nextafter(values, np.float32(-np.inf)), values)
    codes = model.classes_[np.concatenate([tree.value[:, 0].argmax(axis=1) for tree in trees])]
    children = [
        np.stack([tree.children_left, tree.children_right], axis=1) + root
        for tree, root in zip(trees, roots, strict=True)
    ]
    return {
        "roots": roots,
        "inputs": np.where(leaf, -1, inputs).astype(np.int32),
        "values": np.where(leaf, codes, values).astype(np.float32),
        "children": np.where(leaf[:, None], 0, np.concatenate(children)).astype(np.int32),
    }
