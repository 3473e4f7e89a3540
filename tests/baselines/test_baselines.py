"""Baselines: that each finds what it can find, and nothing else."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from bothways import baselines
from bothways.baselines import NearbyNGrams, Neighbors, linear, neighbors, tree_inputs, trees
from bothways.data.encoding import Encoding, Number
from bothways.errors import InputError
from bothways.network import Network
from bothways.sequences import Array, Sequences


def made(values: Array, labels: Any, lengths: Any, per: str = "step") -> Sequences:
    return Sequences(values, np.asarray(lengths, np.int64), np.asarray(labels, np.int64), per=per)


def predicted(fitted: list[baselines.Baseline], sequences: Sequences) -> dict[str, Array]:
    return {each.name: each.predict(sequences) for each in fitted}


def right(sequences: Sequences, classes: int, categories: tuple[int, ...] = ()) -> dict[str, float]:
    """The share of labels that each baseline has right on what it learned from."""
    found = predicted(baselines.fit(sequences, classes, categories), sequences)
    assert sequences.labels is not None
    known = sequences.labels >= 0
    return {name: float((codes == sequences.labels)[known].mean()) for name, codes in found.items()}


def test_numbers() -> None:
    x = np.random.default_rng(0).normal(size=(500, 2))
    labels = np.where(x[:, 1] > 0.5, 2, 0)  # nothing is of class 1
    shares = right(made(x, labels, [10] * 50), 3)
    assert list(shares) == ["majority", "one_step", "trees"]
    assert shares["majority"] == (labels == 0).mean()
    assert min(shares["one_step"], shares["trees"]) > 0.98
    # What came before decides: no single step can tell, and trees see it.
    before = np.concatenate([np.append(0, part[:-1, 1] > 0) for part in np.split(x, 50)])
    shares = right(made(x, before, [10] * 50), 2)
    assert shares["one_step"] < 0.6
    assert shares["trees"] > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("heavy", [0, 1])
def test_weights_decide_between_labels_that_contradict_each_other(heavy: int) -> None:
    """Every sequence stands there twice: what weighs more is learned, and which class is frequent."""
    generator = np.random.default_rng(0)
    numbers, codes = generator.normal(size=(1200, 1)), generator.integers(1, 3, (1200, 1))
    waves = np.sin(np.arange(1200) * np.repeat([0.4, 1.4] * 20, 30))[:, None]
    cases = (
        (numbers, numbers[:, 0] > 0.3, "step", (), ["one_step", "trees"]),
        (codes, codes[:, 0] > 1, "step", (3,), ["most_frequent_per_value", "neighbor_regression", "nearby_n_grams"]),
        (waves, np.arange(40) % 2, "sequence", (), ["random_convolutions", "forest"]),
        (np.repeat([[1], [2]] * 20, 30, axis=0), np.arange(40) % 2, "sequence", (3,), ["n_grams", "forest"]),
    )
    for values, truth, per, categories, names in cases:
        labels = np.concatenate([truth, 1 - truth.astype(int)]).astype(np.int64)
        weights = np.where(np.arange(len(labels)) < len(truth), [9, 1][heavy], [1, 9][heavy]).astype(np.float32)
        both = Sequences(np.tile(values, (2, 1)), np.full(80, 30), labels, weights, per=per)
        found = predicted(baselines.fit(both, 2, categories), both)
        assert {*names} <= {*found}
        for name in names:
            assert ((found[name] == labels)[: len(truth)].mean() > 0.9) != bool(heavy), name
        assert set(found["majority"]) == {np.bincount(labels, weights).argmax()}


def test_categories() -> None:
    generator = np.random.default_rng(0)
    said, told = generator.integers(1, 5, (2, 400))
    numbers = generator.normal(size=400)
    labels = (told >= 3).astype(int) + (numbers > 0) * (told == 1)
    sequences = made(np.stack([numbers, said, told], axis=1), labels, [10] * 40)
    shares = right(sequences, 3, (5, 5))
    best = sum(np.bincount(labels[told == value]).max() for value in range(1, 5)) / 400
    assert shares["most_frequent_per_value"] == pytest.approx(best)
    assert shares["one_step"] >= shares["most_frequent_per_value"] > shares["majority"]
    # Values that training never saw get the label that is most frequent.
    fitted = baselines.fit(sequences, 3, (5, 5))
    strange = predicted(fitted, made(np.zeros((2, 3)), [0, 0], [2]))
    assert strange["most_frequent_per_value"].tolist() == strange["majority"].tolist()


def test_one_category_needs_no_regression() -> None:
    assert list(right(made(np.array([[1], [2]]), [0, 1], [2]), 2, (3,))) == ["majority", "most_frequent_per_value"]


def test_labels_of_sequences() -> None:
    generator = np.random.default_rng(0)
    lengths, pieces = generator.integers(5, 30, 200), []
    for i, length in enumerate(lengths):
        values = generator.integers(1, 5, length)
        if i % 4 == 0:
            values[: length // 3] = 7  # a third of the calls tell, and the most frequent one mostly
        pieces.append(values)
    labels = (np.arange(200) % 4 == 0).astype(int)
    labels[3] = -1
    values = np.concatenate(pieces)[:, None]
    shares = right(made(values, labels, lengths, "sequence"), 2, (8,))
    assert shares["majority"] == (labels[labels >= 0] == 0).mean()
    assert shares["one_step"] > 0.98
    assert shares["one_step"] > shares["most_frequent_per_value"] > shares["majority"]
    assert shares["n_grams"] > 0.98
    assert shares["forest"] > 0.98  # which sees how often each call occurs
    numbers = right(made(values - 3.0, labels, lengths, "sequence"), 2)
    assert list(numbers) == ["majority", "one_step", "forest", "random_convolutions"]


def test_boosted_trees_label_steps_alone() -> None:
    with pytest.raises(InputError, match="this model labels whole sequences"):
        trees.Trees.from_arrays({}, Network(1, 2, per="sequence"))


def test_the_value_of_a_sequence_is_its_most_frequent_one() -> None:
    sequences = made(np.array([[2], [1], [2], [1], [1], [3]]), [0, 1, 2, 0], [3, 2, 1, 0], "sequence")
    found = predicted(baselines.fit(sequences, 3, (4,)), sequences)
    assert found["most_frequent_per_value"].tolist() == [0, 1, 2, 0]


def test_steps_without_a_label_teach_nothing() -> None:
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    some, same = made(x, [0, 0, -1, 1], [4]), made(x[[0, 1, 3]], [0, 0, 1], [3])
    for one, other in zip(baselines.fit(some, 2), baselines.fit(same, 2), strict=True):
        for name, array in one.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[name])


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_they_can_be_kept(per: str) -> None:
    generator = np.random.default_rng(0)
    steps = np.concatenate([generator.normal(size=(90, 2)), generator.integers(0, 4, (90, 1))], axis=1)
    labels = generator.integers(0, 3, 90 if per == "step" else 30)
    labels[labels == 1] = 0  # a class that nothing is of
    sequences = made(steps, labels, [3] * 30, per)
    fitted = baselines.fit(sequences, 3, (4,))
    assert len(fitted) == (4 if per == "step" else 6)
    kept = baselines.from_arrays(baselines.to_arrays(fitted), Network(3, 3, categories=(4,), per=per))
    for name, codes in predicted(fitted, sequences).items():
        np.testing.assert_array_equal(predicted(kept, sequences)[name], codes)


KINDS = 1200


def of_words(steps: int = 6000, seed: int = 0) -> Sequences:
    """Words, most of them rare, and a number; the label is told by the ending of the word before, or by the number."""
    generator = np.random.default_rng(seed)
    words = np.minimum(generator.geometric(0.005, steps), KINDS - 1)
    numbers = generator.normal(size=steps)
    before = np.where(np.arange(steps) % 10 == 0, 0, np.roll(words, 1) % 5)
    labels = np.where(before == 4, 1, np.where(numbers > 1, 2, 0))
    return made(np.stack([numbers, words, words % 5], axis=1), labels, [10] * (steps // 10))


@pytest.mark.slow
def test_words_and_their_neighbors() -> None:
    sequences, new = of_words(), of_words(1000, seed=1)
    fitted = baselines.fit(sequences, 4, (KINDS, 5))
    found = predicted(fitted, new)
    assert list(found) == ["majority", "most_frequent_per_value", "one_step", "neighbor_regression", "trees"]
    shares = {name: float((codes == new.labels).mean()) for name, codes in found.items()}
    assert shares["neighbor_regression"] > 0.94 > 0.8 > shares["one_step"]
    # Where words have no number, or those of vectors alone, nothing else is worth its time.
    alone = made(sequences.values[:, 1:], sequences.labels, sequences.lengths)
    for part, vectors in ((alone, 0), (sequences, 1)):
        names = [each.name for each in baselines.fit(part, 4, (KINDS, 5), vectors=vectors)]
        assert names == ["majority", "most_frequent_per_value", "neighbor_regression"]
    assert Neighbors.fit(sequences, 4, (500, 5), 0) is None, "few kinds, and numbers"


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_words_without_numbers_on_other_backends(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = (
        "import numpy as np; from bothways.baselines import Neighbors; from bothways.sequences import Sequences\n"
        "words = np.arange(2000) % 40\n"
        "sequences = Sequences(words[:, None], np.full(200, 10), words // 20)\n"
        "assert (Neighbors.fit(sequences, 2, (2000,), 0).predict(sequences) == words // 20).mean() > 0.99\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"KERAS_BACKEND": backend}, check=False)
    assert done.returncode == 0


@pytest.mark.slow
def test_neighbors_can_be_kept() -> None:
    sequences = of_words()
    fitted = Neighbors.fit(sequences, 4, (KINDS, 5), 0)
    assert fitted is not None
    arrays, network = fitted.arrays(), Network(3, 4, categories=(KINDS, 5))
    kept = Neighbors.from_arrays(arrays, network)
    assert np.array_equal(fitted.logits(sequences), kept.logits(sequences))
    assert (fitted.logits(sequences)[:, 3] < -1000).all(), "training never saw this class"
    for name, wrong in [
        ("codes", arrays["codes"][::-1].copy()),
        ("codes", arrays["codes"] + fitted.places.ends[-1]),
        ("table", arrays["table"][1:]),
        ("table", np.full_like(arrays["table"], np.inf)),
        ("scale", np.zeros(1, np.float32)),
        ("kernel", arrays["kernel"][:1]),
        ("bias", np.full(4, np.nan, np.float32)),
    ]:
        with pytest.raises(InputError, match=f"The array '{name}'"):
            Neighbors.from_arrays({**arrays, name: wrong}, network)
    with pytest.raises(InputError, match="many kinds, or without numbers"):
        Neighbors.from_arrays(arrays, Network(3, 4, categories=(5, 5)))


@pytest.mark.slow
@pytest.mark.parametrize("shift", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_columns_of_few_codes_are_seen_two_steps_away_where_that_helps(shift: int) -> None:
    sequences, network = of_words(), Network(3, 4, categories=(KINDS, 5))
    found = Neighbors.fit(
        made(sequences.values, np.roll(sequences.known_labels, shift - 1), [10] * 600), 4, (KINDS, 5), 0
    )
    assert found is not None
    arrays = found.arrays()
    assert arrays["wide"].tolist() == [shift - 1]
    kept = Neighbors.from_arrays(arrays, network)
    assert np.array_equal(found.logits(sequences), kept.logits(sequences))
    with pytest.raises(InputError, match="The array 'wide'"):
        Neighbors.from_arrays({**arrays, "wide": np.array([2])}, network)
    old = {name: array for name, array in arrays.items() if name != "wide"}
    if shift == 1:  # files from before it was chosen
        assert np.array_equal(found.logits(sequences), Neighbors.from_arrays(old, network).logits(sequences))
    # Of two sequences none is held out.
    one = Neighbors.fit(made(sequences.values, sequences.labels, [3000, 3000]), 4, (KINDS, 5), 0)
    assert one is not None
    assert one.arrays()["wide"].tolist() == [0]


@pytest.mark.slow
def test_few_words_are_learned_in_more_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    few, new = of_words(1500), of_words(1000, seed=1)
    shares = []
    for updates in (1, neighbors.UPDATES):
        monkeypatch.setattr(neighbors, "UPDATES", updates)
        found = Neighbors.fit(few, 4, (KINDS, 5), 0)
        assert found is not None
        shares.append((found.predict(new) == new.labels).mean())
    assert shares[1] > shares[0] + 0.02


def of_letters(words: int = 700, seed: int = 0) -> Sequences:
    """Letters, and another category; a label is told by the three letters before, or by one eight letters before."""
    generator = np.random.default_rng(seed)
    letters = generator.integers(0, 6, (words, 12))
    before = [np.roll(letters, shift, axis=1) for shift in (1, 2, 3, 8)]
    labels = np.where((before[0] + 2 * before[1] + 3 * before[2]) % 4 == 0, 1, np.where(before[3] == 5, 2, 0))
    other = generator.integers(0, 3, letters.size)
    return made(np.stack([other, letters.ravel()], axis=1), labels.ravel(), [12] * words)


@pytest.mark.slow
def test_letters_and_their_neighbors() -> None:
    new = of_letters(200, seed=1)
    fitted = baselines.fit(of_letters(), 4, (3, 6))
    shares = {name: float((codes == new.labels).mean()) for name, codes in predicted(fitted, new).items()}
    assert shares["nearby_n_grams"] > shares["neighbor_regression"] + 0.05
    assert NearbyNGrams.fit(of_words(), 4, (KINDS, 5), 0) is None, "many kinds"
    assert NearbyNGrams.fit(of_letters(), 4, (6,), 0) is None, "numbers"


@pytest.mark.slow
def test_n_grams_beside_a_step_can_be_kept() -> None:
    sequences, network = of_letters(), Network(2, 4, categories=(3, 6))
    fitted = NearbyNGrams.fit(sequences, 4, (3, 6), 0)
    assert fitted is not None
    arrays = fitted.arrays()
    kept = NearbyNGrams.from_arrays(arrays, network)
    logits = fitted.logits(sequences)
    assert np.array_equal(logits, kept.logits(sequences))
    assert np.array_equal(logits[120:132], kept.logits(sequences.take(np.array([10]))))
    assert fitted.reach == 4
    runs, counts = arrays["runs"], arrays["counts"]
    for name, wrong in [
        ("runs", runs[1:]),
        ("runs", runs[::-1].copy()),
        ("runs", runs + 7 * 7 * 1000),
        ("counts", counts[:2]),
        ("counts", counts[::-1].copy()),
        ("codes", arrays["codes"] + fitted.places.ends[-1]),
    ]:
        with pytest.raises(InputError, match="The array '"):
            NearbyNGrams.from_arrays({**arrays, name: wrong}, network)
    with pytest.raises(InputError, match="many kinds, or without numbers"):
        NearbyNGrams.from_arrays(arrays, Network(3, 4, categories=(3, 6)))


def test_codes_of_runs_are_those_of_each_run_looked_up() -> None:
    sequences = of_letters(60)
    fitted = NearbyNGrams.fit(sequences, 4, (3, 6), 0)
    assert fitted is not None
    places = fitted.places
    names: dict[tuple[int, ...], int] = {(code,): code for code in range(7)}
    for length, known in enumerate(places.runs, 2):
        of = {number: run for run, number in names.items() if len(run) == length - 1}
        names |= {(*of[int(key) // 7], int(key) % 7): number for number, key in enumerate(known, 1)}
    rows = np.arange(sequences.steps)
    codes = places.codes(sequences, rows) - places.ends[:-1]
    letters = sequences.values[:, 1].reshape(-1, 12).astype(int)
    padded = np.pad(letters, ((0, 0), (9, 9)), constant_values=6)
    for i, (shift, column, length) in enumerate(places.places):
        if column == 1:
            begin = 9 + shift
            runs = [tuple(map(int, word[begin + at : begin + at + length])) for word in padded for at in range(12)]
            assert codes[:, i].tolist() == [names.get(run, 0) for run in runs]


@pytest.mark.slow
def test_scores_of_neighbors_do_not_depend_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = of_words()
    fitted = Neighbors.fit(sequences, 4, (KINDS, 5), 0)
    again = Neighbors.fit(sequences, 4, (KINDS, 5), 0)
    assert fitted is not None
    assert again is not None
    logits = fitted.logits(sequences)
    assert np.array_equal(logits, again.logits(sequences))
    monkeypatch.setattr(neighbors, "BLOCK", 7)
    assert np.array_equal(logits, fitted.logits(sequences))
    one = sequences.take(np.array([17]))
    assert np.array_equal(logits[170:180], fitted.logits(one))
    values = sequences.values.copy()
    values[0, 0] = 1e30
    assert np.isfinite(fitted.logits(made(values, sequences.labels, sequences.lengths))).all()


@pytest.mark.slow
def test_numbers_that_hardly_differ_can_be_kept() -> None:
    sequences = of_words()
    sequences.values[:, 0] = np.arange(sequences.steps) % 2 * 1e-42
    fitted = Neighbors.fit(sequences, 4, (KINDS, 5), 0)
    assert fitted is not None
    kept = Neighbors.from_arrays(fitted.arrays(), Network(3, 4, categories=(KINDS, 5)))
    assert np.isfinite(kept.logits(sequences)).all()


@pytest.mark.slow
def test_few_words_and_many(monkeypatch: pytest.MonkeyPatch) -> None:
    few = made(np.array([[1.0], [2.0], [1.0]]), [0, 1, -1], [2, 1])
    fitted = Neighbors.fit(few, 2, (KINDS,), 0)
    assert fitted is not None
    assert fitted.logits(few).shape == (3, 2)
    assert Neighbors.fit(made(few.values, [1, 1, -1], [2, 1]), 2, (KINDS,), 0) is None, "one class"
    monkeypatch.setattr(neighbors, "STEPS", 3000)
    fitted = Neighbors.fit(of_words(), 4, (KINDS, 5), 0)
    assert fitted is not None
    new = of_words(1000, seed=1)
    assert (fitted.predict(new) == new.labels).mean() > 0.94


NETWORK = Network(features=2, classes=2, categories=(3,))
STEPS = np.stack([np.arange(120.0), np.arange(120) % 2 + 1], axis=1)
KEPT = baselines.to_arrays(baselines.fit(made(STEPS, np.arange(120) // 60, [120]), 2, (3,)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("majority/code", np.array([2])),
        ("majority/code", np.array([-1])),
        ("majority/code", np.array([0.0])),
        ("most_frequent_per_value/column", np.array([-2])),
        ("most_frequent_per_value/column", np.array([0])),
        ("most_frequent_per_value/codes", np.array([0, 1])),
        ("most_frequent_per_value/codes", np.array([0, 1, 9])),
        ("one_step/mean", np.zeros(0)),
        ("one_step/bias", np.zeros(1)),
        ("one_step/scale", np.zeros(1)),
        ("one_step/codes", np.array([2, 1, 0])),
        ("one_step/codes", np.array([0, 1, 3])),
        ("one_step/kernel", np.full((1, 2), np.nan)),
        ("trees/roots", KEPT["trees/roots"] + 1),
        ("trees/roots", KEPT["trees/roots"][::-1].copy()),
        ("trees/seen", np.array([1, 1])),
        ("trees/seen", np.array([0, 2])),
        ("trees/inputs", KEPT["trees/inputs"] + 28),
        ("trees/children", np.zeros_like(KEPT["trees/children"])),
        ("trees/children", np.full_like(KEPT["trees/children"], len(KEPT["trees/inputs"]) - 1)),
        ("trees/sets", np.zeros_like(KEPT["trees/sets"]) + len(KEPT["trees/left"])),
        ("trees/places", np.array([0, 1, 255], np.uint8)),
        ("trees/flags", np.array([1])),
        ("trees/widths", np.array([8, 8])),
        ("trees/widths", np.array([8, 24])),
        ("trees/widths", np.array([8, 1 << 40])),
    ],
)
def test_what_was_edited_is_refused(name: str, value: Any) -> None:
    assert len(baselines.from_arrays(KEPT, NETWORK)) == 4
    with pytest.raises(InputError, match="no baselines of such a model"):
        baselines.from_arrays({**KEPT, name: value}, NETWORK)


@pytest.mark.parametrize("name", ["trees/start", "trees/values", "one_step/kernel", "one_step/table"])
def test_numbers_of_any_size_give_classes(name: str) -> None:
    large = baselines.from_arrays({**KEPT, name: np.full_like(KEPT[name], 1e300)}, NETWORK)
    for codes in predicted(large, made(STEPS, np.arange(120) // 60, [120])).values():
        assert set(codes.tolist()) <= {0, 1}


def test_rows_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "ROWS", 100)
    x = np.random.default_rng(0).normal(size=(1000, 1))
    sequences = made(x, x[:, 0] > 0, [1000])
    monkeypatch.setattr(trees, "ROWS", 100)
    first, again, other = (baselines.to_arrays(baselines.fit(sequences, 2, seed=seed)) for seed in (0, 0, 1))
    for name in ("one_step/kernel", "trees/values"):
        assert np.array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])
    shares = right(sequences, 2)
    assert min(shares["one_step"], shares["trees"]) > 0.9


def test_a_regression_on_many_labels_of_few_steps_warns_of_nothing() -> None:
    sequences = made(np.arange(60.0)[:, None], np.arange(60) % 40, [60])
    assert linear.OneStep.fit(sequences, 40, (), 0) is not None


def test_one_class_only() -> None:
    sequences = made(np.zeros((3, 1)), [1, 1, 1], [3])
    assert list(right(sequences, 2)) == ["majority"]


@pytest.mark.parametrize("classes", [2, 4])
def test_trees_are_those_of_scikit_learn(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, and a category of more codes than scikit-learn takes; some codes are new, and sequences are short."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    models, fit = [], HistGradientBoostingClassifier.fit

    def spied(self: Any, *given: Any) -> Any:
        models.append(self)
        return fit(self, *given)

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", spied)
    generator = np.random.default_rng(0)
    codes = np.minimum(generator.geometric(0.02, 3000), 299)
    values = np.stack([generator.normal(size=3000), codes], axis=1)
    labels = (codes // 7 + (values[:, 0] > 0) + np.roll(codes // 11, 1)) % classes
    fitted = trees.Trees.fit(made(values, labels, [100] * 30), classes, (300,), 0)
    assert fitted is not None
    assert (fitted.sets >= 0).any()
    values[:, 1] = generator.integers(0, 300, 3000)
    new = made(values, labels, [1] * 20 + [5] * 96 + [100] * 25)
    rows = np.arange(3000)
    moments = tree_inputs.moments_so_far(new, rows, 1)
    inputs = tree_inputs.inputs_of(new, rows, moments, (300,), fitted.places, fitted.widths, fitted.flags)
    logits = fitted.logits(new)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    model = models[-1]  # those before it were fitted to choose inputs
    np.testing.assert_allclose(p, model.predict_proba(inputs[:, : model.n_features_in_]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("drifts", [False, True])
def test_trees_look_at_levels_where_that_helps(drifts: bool) -> None:
    """Where each sequence begins at another level, labels say whether the last steps were above its own mean."""
    generator = np.random.default_rng(0)
    starts = generator.normal(size=(30, 1)) * (20 if drifts else 0)
    x = generator.normal(size=(30, 100)).cumsum(axis=1) / 4
    labels = (x > x.mean(axis=1, keepdims=True)) if drifts else generator.integers(0, 2, (30, 100))
    sequences = made((x + starts).reshape(-1, 1), labels.astype(int).ravel(), [100] * 30)
    fitted = trees.Trees.fit(sequences.take(np.arange(20)), 2, (), 0)
    assert fitted is not None
    near = 2 * tree_inputs.AROUND + 1 + 4 * len(fitted.widths)
    if drifts:
        assert (fitted.inputs >= near).any()
        others = sequences.take(np.arange(20, 30))
        assert (fitted.predict(others) == others.labels).mean() > 0.75
    few = trees.Trees.fit(sequences.take(np.arange(5)), 2, (), 0)
    assert few is not None
    assert fitted.predict(sequences).shape == few.predict(sequences).shape
    assert (few.inputs < near).all()


def test_trees_look_at_levels_over_the_deviation_where_that_helps() -> None:
    """Each sequence has its own gain; labels say whether the last steps moved more than it is used to."""
    generator = np.random.default_rng(0)
    labels = np.repeat(generator.integers(0, 2, (30, 20)), 20, axis=1)
    gains = np.exp(generator.normal(0, 1.5, (30, 1)))
    x = gains * generator.normal(size=(30, 400)) * np.where(labels, 2, 1)
    sequences = made(x.reshape(-1, 1), labels.ravel(), [400] * 30)
    fitted = trees.Trees.fit(sequences.take(np.arange(20)), 2, (), 0)
    assert fitted is not None
    assert (fitted.inputs >= 2 * tree_inputs.AROUND + 1 + 1 + 5 * len(fitted.widths)).any()
    others = sequences.take(np.arange(20, 30))
    assert (fitted.predict(others) == others.labels).mean() > 0.8


def test_trees_find_where_a_reading_is_frozen() -> None:
    """For 6 to 9 steps it hardly moves: at the first of them what comes is flat, at the last what was, never both."""
    generator = np.random.default_rng(0)
    x, labels = generator.gamma(1, 3, (120, 60)), np.zeros((120, 60), int)
    for row, own in zip(x, labels, strict=True):
        begin = generator.integers(0, 48)
        end = begin + generator.integers(6, 10)
        row[begin:end] = row[begin] + generator.normal(0, 0.2, end - begin)
        own[begin:end] = 1
    sequences = made(x.reshape(-1, 1), labels.ravel(), [60] * 120)
    fitted = trees.Trees.fit(sequences.take(np.arange(60)), 2, (), 0)
    assert fitted is not None
    others = sequences.take(np.arange(60, 120))
    found = fitted.predict(others) & others.known_labels
    assert 2 * found.sum() / (fitted.predict(others) + others.known_labels).sum() > 0.85  # F1


def test_trees_go_by_the_last_number_where_one_is_missing() -> None:
    """Levels rise and fall from anywhere, and the label is which; 2 of 5 are missing."""
    generator = np.random.default_rng(0)
    rising = np.repeat(generator.integers(0, 2, (40, 5)), 20, axis=1)
    moves = np.where(rising, 1, -1) + generator.normal(size=rising.shape)
    x = generator.normal(0, 50, (40, 1)) + moves.cumsum(axis=1)
    x[generator.random(x.shape) < 0.4] = np.nan
    encoding = Encoding((Number("0", 0.0, flagged=True),))
    sequences = encoding.encode_arrays(made(x.reshape(-1, 1), rising.ravel(), [100] * 40))
    fitted = trees.Trees.fit(sequences.take(np.arange(30)), 2, (), 0)
    assert fitted is not None
    others = sequences.take(np.arange(30, 40))
    assert (fitted.predict(others) == others.known_labels).mean() > 0.95
    old = fitted.arrays()
    del old["flags"]
    assert trees.Trees.from_arrays(old, Network(2, 2)).flags.tolist() == [-1, -1]


def test_trees_of_rare_classes() -> None:
    """Of many labels few are taken: logits are as sure as they were with all."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40_000, 1))
    labels = (generator.random(40_000) < 0.02 * (1 + (x[:, 0] > 0))).astype(int)
    sequences = made(x, labels, [40_000])
    fitted = trees.Trees.fit(sequences, 2, (), 0)
    assert fitted is not None
    logits = fitted.logits(sequences)
    p = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    assert p.mean() == pytest.approx(labels.mean(), rel=0.15)


def test_trees_of_few_labels_of_many_classes() -> None:
    """Of what is left where a third is held out, a tenth, by which scikit-learn stops, has not a label of each."""
    labels = np.arange(240) % 20
    sequences = made(np.random.default_rng(0).normal(size=(240, 2)) + labels[:, None], labels, [12] * 20)
    assert trees.Trees.fit(sequences, 20, (), 0) is not None
