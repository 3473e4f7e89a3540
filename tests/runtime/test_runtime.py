"""Predictions from trained weights: the numbers, sequences of any length, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.engine import Bins, Direction, reference
from bothways.errors import InputError
from bothways.network import DIRECTIONS, POOLINGS, Network
from bothways.runtime import Member, Model, forward, probabilities, stack
from bothways.runtime.members import of_members
from bothways.runtime.numbers import entering
from bothways.sequences import Array
from members import random_member
from tolerances import ENGINE, error


def some_model(classes: tuple[Any, ...] = ("a", "b", "c"), seed: int = 0, **more: Any) -> Model:
    plain = {"encoding": "standard", "levels": "raw", "changes": 0}
    network = Network(**{"features": 2, "classes": len(classes), "units": 4, **plain, **more})
    random = np.random.default_rng(seed)
    weights = {name: random.normal(size=shape) for name, shape in network.weight_shapes().items()}
    weights["input/scale"] = np.abs(weights["input/scale"]) + 0.1
    return Model([Member(network, {name: array.astype(np.float32) for name, array in weights.items()})], classes)


def sequences_of(lengths: list[int], features: int = 2) -> list[Array]:
    random = np.random.default_rng(1)
    return [random.normal(size=(length, features)) for length in lengths]


def by_the_oracle(model: Model, sequence: Array) -> Array:
    """The probabilities of one sequence, step by step in float64."""
    weights = {name: array.astype(np.float64) for name, array in model.weights.items()}
    x: Any = ((sequence - weights["input/mean"]) / weights["input/scale"])[None]
    for i in range(model.network.depth):
        directions = [
            Direction(
                weights[f"recurrent_{i}/{name}/kernel"],
                weights[f"recurrent_{i}/{name}/recurrent_kernel"],
                weights[f"recurrent_{i}/{name}/bias"],
                reverse=name == "backward",
            )
            for name in DIRECTIONS[model.network.direction]
        ]
        x = reference.run(x, directions, merge_mode=model.network.merge_mode).outputs
    z = x[0] @ weights["head/kernel"] + weights["head/bias"]
    if model.network.classes == 2:
        return np.concatenate([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))], axis=-1)
    return np.asarray(np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("direction", sorted(DIRECTIONS))
@pytest.mark.parametrize("classes", [(False, True), ("a", "b", "c")])
@pytest.mark.parametrize(("merge_mode", "depth"), [("concat", 1), ("mul", 2), ("concat", 3)])
def test_the_numbers_are_those_of_the_oracle(
    direction: str, classes: tuple[Any, ...], merge_mode: str, depth: int
) -> None:
    model = some_model(classes, direction=direction, merge_mode=merge_mode, depth=depth)
    sequences = sequences_of([7, 1, 12, 7, 3])
    for p, sequence in zip(model.predict_proba(sequences), sequences, strict=True):
        assert error(p, by_the_oracle(model, sequence)) < ENGINE


@given(st.lists(st.integers(0, 12), max_size=8), st.integers(1, 30))
@settings(max_examples=40)
def test_a_sequence_gets_the_same_labels_in_any_company(lengths: list[int], steps_a_call: int) -> None:
    model = some_model()
    sequences = sequences_of(lengths)
    alone = [model.predict_proba([sequence])[0] for sequence in sequences]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forward, "STEPS_A_CALL", steps_a_call)
        together = model.predict_proba(sequences)
    assert [p.shape for p in together] == [(length, 3) for length in lengths]
    assert all(error(p, q) < ENGINE for p, q in zip(together, alone, strict=True))


FRONTS: list[dict[str, Any]] = [
    {},
    {"categories": (7,), "conv_window": 3},
    {"conv_window": 4, "conv_stride": 2, "depth": 2},
    {"conv_window": 2, "conv_stride": 3, "merge_mode": "mul"},
]
TOPS: list[dict[str, Any]] = [{}, {"head": "crf"}, *({"per": "sequence", "pooling": pooling} for pooling in POOLINGS)]


@pytest.mark.parametrize("top", TOPS, ids=str)
@pytest.mark.parametrize("front", FRONTS, ids=str)
@pytest.mark.parametrize("direction", sorted(DIRECTIONS))
def test_a_long_sequence_read_in_pieces_is_the_same(
    direction: str, front: dict[str, Any], top: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = some_model(direction=direction, **front, **top)
    random = np.random.default_rng(0)
    sequences = [np.column_stack([random.normal(size=n), random.integers(0, 7, n)]) for n in (53, 20, 5)]
    whole = model.predict_proba(sequences)
    monkeypatch.setattr(forward, "STEPS_A_CALL", 6)
    monkeypatch.setattr(stack, "STEPS_A_PIECE", 6)
    assert all(error(p, q) < ENGINE for p, q in zip(model.predict_proba(sequences), whole, strict=True))


def test_labels_of_sequences() -> None:
    for pooling in POOLINGS:
        model = some_model(per="sequence", pooling=pooling)
        sequences = sequences_of([5, 0, 4])
        p = model.predict_proba(sequences)
        assert p.shape == (3, 3)
        assert error(p[1], probabilities(model.weights["head/bias"])) < ENGINE
        assert model.predict(sequences).tolist() == [model.classes[k] for k in p.argmax(axis=-1)]
        assert model.predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("code", [-1, 5, 0.5, 2**30])
def test_a_code_that_is_none_is_refused(code: float) -> None:
    model = some_model(categories=(5,))
    with pytest.raises(
        InputError, match=r"sequences\[1\] holds .* at step 1, feature 1, a category; its codes are .* 4"
    ):
        model.predict([np.zeros((2, 2)), np.array([[0.5, 4], [0.5, code]])])


def test_labels_are_the_likeliest_classes() -> None:
    for classes in (("a", "b", "c"), (3, 1, 2), (False, True)):
        model = some_model(classes)
        sequences = sequences_of([5, 0, 4])
        for labels, p in zip(model.predict(sequences), model.predict_proba(sequences), strict=True):
            assert labels.tolist() == [classes[k] for k in p.argmax(axis=-1)]
            assert labels.dtype.kind == np.array(classes).dtype.kind


@pytest.mark.parametrize(
    ("classes", "detected"), [(("calm", "attack"), "attack"), (("B-x", "I-x", "O"), "all tags but O")]
)
def test_what_a_threshold_is_for_is_told(classes: tuple[str, ...], detected: str) -> None:
    assert replace(some_model(classes), threshold=0.3).summary["threshold"] == f"0.3 for {detected}"


def test_no_sequences_and_no_steps() -> None:
    model = some_model()
    assert model.predict([]) == []
    assert [p.shape for p in model.predict_proba([np.zeros((0, 2)), np.zeros((0, 2))])] == [(0, 3), (0, 3)]


def test_one_array_is_a_list_of_sequences() -> None:
    model = some_model()
    X = np.stack(sequences_of([6, 6, 6]))
    for p, q in zip(model.predict_proba(X), model.predict_proba(list(X)), strict=True):
        assert np.array_equal(p, q)
    assert model.predict(np.zeros((0, 6, 2))) == []


def test_integers_float32_and_views_are_taken_as_they_are() -> None:
    model = some_model()
    x = np.arange(12).reshape(6, 2)
    expected = model.predict_proba([x.astype(np.float64)])[0]
    for same in (x, x.astype(np.float32), np.asfortranarray(x, np.float64), x.tolist(), np.repeat(x, 2, 0)[::2]):
        assert np.array_equal(model.predict_proba([same])[0], expected)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1000, 1000, 1), (1, 1_000_000, 1)])
@pytest.mark.parametrize("top", [{}, {"per": "sequence"}, {"per": "sequence", "pooling": "mean"}], ids=str)
def test_memory_is_bounded(shape: tuple[int, ...], top: dict[str, Any]) -> None:
    """The network's arrays for a million steps at once would take 400 MB."""
    model = some_model(("a", "b"), units=50, features=1, **top)
    sequences = list(np.zeros(shape, np.float32))
    tracemalloc.start()
    model.predict_proba(sequences)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120e6


def test_standardisation_keeps_small_differences_of_large_numbers() -> None:
    weights = {"input/mean": np.array([1.4e9], np.float32), "input/scale": np.array([10], np.float32)}
    x = np.array([[1.4e9], [1.4e9 + 5], [1.4e9 - 20]])
    network = Network(features=1, classes=2, encoding="standard", levels="raw", changes=0)
    assert entering(network, weights, x, np.array([3])).ravel().tolist() == [0.0, 0.5, -2.0]


def test_extreme_inputs_give_numbers() -> None:
    model = some_model()
    model.weights["input/scale"][:] = 1e-30
    p = model.predict_proba([np.array([[3e38, -3e38], [0.0, 3e38]])])[0]
    assert np.isfinite(p).all()


def test_probabilities_are_exact_at_both_ends() -> None:
    p = probabilities(np.array([[-50.0], [50.0]], np.float32))
    assert np.allclose(p, [[1, np.exp(-50.0)], [np.exp(-50.0), 1]], rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((3, 4))], r"sequences\[1\] has 4 features; it needs 2"),
        ([np.zeros(3)], r"sequences\[0\] has shape \(3,\); it must be \(time, features\)"),
        ([[[1.0, 2.0], [3.0]]], r"sequences\[0\] has rows of unequal length"),
        ([[["a", "b"]]], r"sequences\[0\] has dtype <U1; it must be numbers"),
        ([[[10**400, 0]]], r"sequences\[0\] holds a number that is out of range\."),
        ([np.array([[date(2024, 1, 1), 0]])], r"sequences\[0\] holds what is no number: .* not 'datetime.date'"),
        ([np.array([[1.0, np.nan]])], r"sequences\[0\] holds nan at step 0, feature 1"),
        ([np.zeros((2, 2)), np.array([[1, 2], [np.inf, 0]])], r"sequences\[1\] holds inf at step 1, feature 0"),
        ([np.array([[1e39, 0]])], r"sequences\[0\] holds 1e\+39 at step 0, feature 0"),
        (np.full((2, 2, 2), np.nan), r"sequences\[0\] holds nan at step 0, feature 0"),
        (np.zeros((4, 2)), r"sequences has shape \(4, 2\); it must be \(sequences, time, features\), or be a list"),
        (np.zeros((4, 2, 3)), r"sequences\[0\] has 3 features; it needs 2"),
        (np.zeros((4, 2, 0)), "it needs at least one feature"),
        (3, "sequences is of type int; give a list of arrays"),
        ("abc", "sequences is of type str; give a list of arrays"),
        ({"a": 1}, "sequences is of type dict; give a list of arrays"),
        ([None], r"sequences\[0\] has shape \(\)"),
    ],
)
def test_wrong_sequences_are_refused(sequences: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        some_model().predict(sequences)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("a", "b"), "the network needs 3 that differ"),
        (("a", "b", "a"), "the network needs 3 that differ"),
        (("a", "b", 3), "all int, all str or all bool"),
        ((0.5, 1.5, 2.5), "all int, all str or all bool"),
        ((), "all int, all str or all bool"),
    ],
)
def test_wrong_classes_are_refused(classes: tuple[Any, ...], message: str) -> None:
    model = some_model()
    with pytest.raises(InputError, match=message):
        Model(model.members, classes)


def test_predictions_need_neither_keras_nor_jax() -> None:
    code = (
        "import sys, bothways.runtime, bothways.store; "
        "print(sorted({'keras', 'jax', 'sklearn', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


NETWORKS: list[dict[str, Any]] = [
    {},
    {"encoding": "piecewise", "levels": "both", "changes": 2},
    {"categories": (7,), "encoding": "piecewise", "direction": "forward", "lookahead": 2},
    {"per": "sequence", "pooling": "mean", "encoding": "piecewise"},
    {"head": "crf", "depth": 2},
    {"levels": "scaled"},
]


@pytest.mark.parametrize("kind", NETWORKS, ids=str)
def test_members_of_an_average_give_what_they_give_alone(kind: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit; what is the same for several of them is prepared once."""
    random, counts = np.random.default_rng(0), list[int]()

    def counted(*arguments: Any) -> Any:
        counts.append(1)
        return entering(*arguments)

    monkeypatch.setattr(forward, "entering", counted)
    alike = [some_model(**kind, units=units) for units in (4, 5)]
    own = {name: array for name, array in alike[0].weights.items() if name.startswith("input/")}
    members: list[Any] = [Member(model.network, {**model.weights, **own}, k) for k, model in enumerate(alike, 1)]
    members.insert(1, some_model(**kind, seed=1).members[0])
    sequences = [np.column_stack([random.normal(size=n), random.integers(0, 7, n)]) for n in (53, 0, 20, 5)]
    for steps_a_piece in (1 << 16, 6):
        monkeypatch.setattr(stack, "STEPS_A_PIECE", steps_a_piece)
        alone = [Model([member], ("a", "b", "c")) for member in members]
        read, _ = alone[0].read("sequences", sequences)
        counts.clear()
        together = of_members(members, read)
        prepared = len(counts)
        expected = [model.probabilities(read) for model in alone]
        assert 3 * prepared == 2 * (len(counts) - prepared)
        for p, q in zip(together, expected, strict=True):
            np.testing.assert_array_equal(p, q)
        shares = np.array([1, 1, 2]) / 4
        average = sum(share * p for share, p in zip(shares, expected, strict=True))
        assert error(Model(members, ("a", "b", "c")).probabilities(read), average) < ENGINE


@pytest.mark.parametrize(
    "kind", [{}, {"depth": 2, "categories": (3, 4)}, {"direction": "backward", "per": "sequence"}, {"conv_window": 3}]
)
def test_numbers_enter_through_bins_or_as_values_of_them(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(features=2 + len(kind.get("categories", ())), classes=3, units=8, **kind)
    arrays = [np.hstack([each, np.ones((len(each), len(network.categories)))]) for each in sequences_of([9, 1, 30])]
    members = [random_member(network, seed) for seed in (0, 1)]
    members[1] = replace(members[1], weights={**members[1].weights, **inputs_of(members[0])})
    found = Model(members, ("a", "b", "c")).predict_proba(arrays)
    assert members[0].stack.encodes == (network.convolution is not None)
    monkeypatch.setattr(Bins, "in_order", False)
    plain = [replace(each) for each in members]
    for one, other in zip(found, Model(plain, ("a", "b", "c")).predict_proba(arrays), strict=True):
        assert error(one, other) < ENGINE
    assert plain[0].stack.encodes


def inputs_of(member: Member) -> dict[str, Array]:
    return {name: array for name, array in member.weights.items() if name.startswith("input/")}
