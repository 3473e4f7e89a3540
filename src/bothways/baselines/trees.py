"""Gradient-boosted trees on the steps around each label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bothways.arrays import checked_array
from bothways.baselines.tree_inputs import AROUND, CODES, WIDTHS, inputs_of, moments_so_far, places_of, reach_of
from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns.classifiers import NEVER, Classifier
from bothways.patterns.forest import checked_nodes, leaves_of
from bothways.sequences import Array, Bools, Doubles, Numbers, Sequences, in_blocks

ROWS, NUMBERS = 20_000, 9_000_000  # the most labels, and numbers beside them, of which trees learn in seconds
TREES, ROUNDS, LEAVES = 600, 100, 16  # the most trees, rounds of one tree per class, and leaves of a tree
SEVERAL = 6  # of this many sequences or more a third shows which inputs are to be looked at
SHARE = 0.5  # of the inputs each node looks at this share, where there are numbers
RARE = 10  # classes with fewer labels than this are never predicted
MISSING = CODES + 1  # the place of a category that is missing
LARGEST = 1e300  # numbers in trees are no larger, so that sums of them are finite
BLOCK = 512  # labels that are worked on together


@dataclass(frozen=True, eq=False)
class Trees(Classifier):
    """Gradient-boosted trees, as `HistGradientBoostingClassifier` of scikit-learn fits them.

    They look at the steps from 5 before to 5 after, and at `windows` of numbers that are wider. Where that shows labels
    of sequences that are held out better, they look at how far numbers are above the mean of the sequence so far, too,
    or at that and at windows over its deviation so far.
    """

    name: ClassVar[str] = "trees"
    kept: ClassVar[tuple[str, ...]] = ("seen", "start", "roots", "inputs", "values", "missing", "children")
    kept += ("sets", "left", "places", "widths", "flags")
    classes: int  # how many classes there are
    categories: tuple[int, ...]  # for each categorical column how many codes there are
    seen: Numbers  # `(classes seen,)` the codes of the classes that the trees know
    start: Array  # `(logits,)` what trees add to: a logit of each such class, or of two only that of the second
    roots: Numbers  # `(trees,)` the node that each tree starts with, ascending; tree `i` adds to logit `i % logits`
    inputs: Array  # `(nodes,)` the input that a node asks for; -1 for a leaf
    values: Array  # `(nodes,)` the largest number that goes left; what a leaf adds
    missing: Array  # `(nodes,)` whether a missing number goes left
    children: Array  # `(nodes, 2)` where to go on, left and right: later in the same tree
    sets: Array  # `(nodes,)` for a category the row of `left`; else -1
    left: Array  # `(sets, 32)` the places of a category that go left, as bits
    places: Array  # `(codes of all categories,)` the place of each code of each column, one column after the other
    widths: Numbers  # `(widths,)` of the windows, in steps, powers of two, ascending
    flags: Numbers  # `(numbers,)` for each number the column that is 1 where it was missing; -1 for none

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Trees | None:
        """Fit them; None for labels of sequences, fewer than two classes of some labels, or nothing to look at."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        if sequences.per != "step":
            return None
        labels, generator = sequences.known_labels, np.random.default_rng(seed)
        counts = sequences.class_counts(classes)
        seen = np.flatnonzero(counts >= RARE)
        places = places_of(sequences, categories)
        widths = np.array(WIDTHS, np.int64)
        count = sequences.features - len(categories)
        flag_of = dict(sequences.flags)
        flags = np.array([flag_of.get(number, -1) for number in range(count)], np.int64)

        def asked(labels: Numbers, moments: Array) -> Array:
            return inputs_of(sequences, labels, moments, categories, places, widths, flags)

        columns = asked(np.zeros(0, np.int64), np.zeros((0, 2 * count))).shape[1]
        if len(seen) < 2 or not sequences.features:
            return None
        # Rare classes stay whole; of others some are taken, and their logits raised by as much (King and Zeng, 2001).
        each = max(min(ROWS, NUMBERS // columns) // len(seen), RARE)
        chosen = np.concatenate([generator.permutation(np.flatnonzero(labels == code))[:each] for code in seen])
        raised = np.log(np.maximum(counts[seen] / each, 1))
        moments = moments_so_far(sequences, chosen, count)
        blocks = [(chosen[some], moments[some]) for some in in_blocks(len(chosen), BLOCK)]
        inputs = np.concatenate([asked(*each) for each in blocks])
        # Scikit-learn stumbles over inputs that are all missing, as they may be once a tenth is held out to stop by.
        inputs[:, np.isnan(inputs).mean(axis=0) > 0.8] = 0
        kinds = len(categories) * (2 * AROUND + 1)  # inputs, the first ones, that are places of categories
        rounds = min(ROUNDS, max(TREES // len(seen), 1))
        model = HistGradientBoostingClassifier(
            learning_rate=0.1 if rounds >= 50 else 0.2,
            max_leaf_nodes=LEAVES,
            l2_regularization=1,  # without which rounds over many classes diverge
            max_features=SHARE if count else 1.0,
            early_stopping=True,
            categorical_features=range(kinds) if kinds else None,
            random_state=seed,
        )
        targets, weights = labels[chosen], sequences.weights_of(chosen)
        scaled = columns - count * (1 + 5 * len(widths))
        choices = [inputs[:, : scaled - count * (1 + len(widths))], inputs[:, :scaled], inputs]
        of = sequences.offsets.searchsorted(chosen, "right")
        numbers = generator.permutation(np.unique(of))
        held = np.isin(of, numbers[: len(numbers) // 3])
        taken = choices[0]
        if count and len(numbers) >= SEVERAL:
            model.set_params(max_iter=max(rounds // 2, 1))  # enough to choose by
            taken = min(choices, key=lambda each: _loss(model, each, targets, weights, held))
        model.set_params(max_iter=rounds)
        model.fit(taken, targets, weights)
        nodes = _nodes(model, kinds)
        nodes["start"] += raised if len(seen) > 2 else raised[1] - raised[0]
        return cls(classes=classes, categories=categories, places=places, widths=widths, flags=flags, **nodes)

    def logits(self, sequences: Sequences, before: Array | None = None) -> Array:
        found = np.full((sequences.steps, self.classes), NEVER, np.float32)
        count = sequences.features - len(self.categories)
        with np.errstate(over="ignore", invalid="ignore"):  # a file may hold numbers of any size
            moments = moments_so_far(sequences, np.arange(sequences.steps), count, before)
            for rows in in_blocks(sequences.steps, BLOCK):
                of = self.categories, self.places, self.widths, self.flags
                sums = self._sums(inputs_of(sequences, rows, moments[rows], *of))
                if len(self.start) == 1:  # of two classes
                    sums = np.hstack([np.zeros_like(sums), sums])
                found[rows[:, None], self.seen] = sums
        return found

    @property
    def reach(self) -> int:
        return reach_of(self.widths, self.flags)

    def _sums(self, inputs: Array) -> Array:
        """`(rows, logits)` what all trees add up to."""
        kinds = np.unpackbits(self.left, axis=1).astype(bool)

        def right(asked: Array, at: Numbers) -> Array:
            nothing = np.isnan(asked)
            found = np.asarray(~((asked <= self.values[at]) | (nothing & self.missing[at])))
            if len(kinds):
                of = np.flatnonzero(self.sets[at] >= 0)
                places = np.where(nothing[of], MISSING, asked[of]).astype(np.uint8)
                found[of] = ~kinds[self.sets[at[of]], places]
            return found

        sums = self.values[leaves_of(self, inputs, right)].reshape(len(inputs), -1, len(self.start)).sum(axis=1)
        return np.asarray(self.start + sums)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> Trees:
        if network.per != "step":
            raise InputError("Boosted trees label steps; this model labels whole sequences.")
        seen = checked_array(arrays, "seen", np.int64, (None,), 0, network.classes - 1)
        start = checked_array(arrays, "start", np.float64, (1 if len(seen) == 2 else len(seen),), -LARGEST, LARGEST)
        kinds = len(network.categories) * (2 * AROUND + 1)
        one = Sequences(np.zeros((1, network.features)), np.array([1]))
        places = checked_array(arrays, "places", np.uint8, (sum(network.categories),), 0, CODES)
        widths = checked_array(arrays, "widths", np.int64, (None,), 2, max(WIDTHS))
        count = network.numeric
        with_flags = {"flags": np.full(count, -1), **arrays}  # a file may leave them out
        flags = checked_array(with_flags, "flags", np.int64, (count,), -1, count - 1)
        moments = np.ones((1, 2 * count))
        columns = inputs_of(one, np.array([0]), moments, network.categories, places, widths, flags).shape[1]
        roots, inputs, children = checked_nodes(arrays, columns)
        nodes = len(inputs)
        left = checked_array(arrays, "left", np.uint8, (None, 32))
        made = cls(
            network.classes,
            network.categories,
            seen,
            start,
            roots,
            inputs,
            checked_array(arrays, "values", np.float64, (nodes,), -LARGEST, LARGEST),
            checked_array(arrays, "missing", np.bool_, (nodes,)),
            children,
            checked_array(arrays, "sets", np.int32, (nodes,), -1, len(left) - 1),
            left,
            places,
            widths,
            flags,
        )
        powers = (np.diff(widths) > 0).all() and not (widths & (widths - 1)).any()
        ordered = len(seen) >= 2 and (np.diff(seen) > 0).all()
        if not (powers and ordered and (inputs[made.sets >= 0] < kinds).all()):
            raise InputError("The arrays of trees describe none: classes and widths ascend; sets are of categories.")
        return made


def _loss(model: Any, inputs: Array, targets: Numbers, weights: Doubles | None, held: Bools) -> float:
    """The cross-entropy of labels that are held out, of the classes that the others have; 0 if that says nothing."""
    classes, counts = np.unique(targets[~held], return_counts=True)
    known = np.isin(targets, classes[counts >= RARE // 2])
    mine, theirs = known & ~held, known & held
    count = len(np.unique(targets[mine]))
    # Of what it stops by, a share of these, scikit-learn wants a label of each class.
    if count < 2 or not theirs.any() or np.ceil(model.validation_fraction * mine.sum()) < count:
        return 0.0
    model.fit(inputs[mine], targets[mine], None if weights is None else weights[mine])
    p = model.predict_proba(inputs[theirs])[np.arange(theirs.sum()), model.classes_.searchsorted(targets[theirs])]
    return -float(np.average(np.log(np.maximum(p, 1e-7)), weights=None if weights is None else weights[theirs]))


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
