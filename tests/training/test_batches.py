"""Cutting, padding and the order of batches: no step is lost, none counts twice."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.sequences import Numbers, Sequences
from bothways.training.batches import (
    SHAPES,
    Bucket,
    batch_shape,
    bucket_lengths,
    bucketed,
    epoch_plan,
    piece_lengths,
    updates,
)

some_lengths = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@given(st.lists(st.integers(0, 50)), st.none() | st.integers(1, 20))
def test_pieces_are_equal_shares_no_longer_than_the_window(lengths: list[int], window: int | None) -> None:
    pieces = iter(piece_lengths(lengths, window).tolist())
    for length in lengths:
        shares = list(itertools.islice(pieces, 0 if not length else 1 if window is None else -(-length // window)))
        assert sum(shares) == length
        assert not shares or max(shares) - min(shares) <= 1
        assert window is None or max(shares, default=0) <= window
    assert next(pieces, None) is None


def padded_steps(lengths: list[int], edges: tuple[int, ...]) -> int:
    return sum(min(edge for edge in edges if edge >= length) for length in lengths)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=60)
def test_no_other_lengths_need_less_padding(lengths: list[int], least: int, most: int) -> None:
    edges = bucket_lengths(lengths, least, most)
    assert len(edges) <= most
    shared = Counter(min(edge for edge in edges if edge >= length) for length in lengths)
    assert all(shared[edge] >= min(least, len(lengths)) for edge in edges)
    choices = (
        (*some, max(lengths))
        for count in range(most)
        for some in itertools.combinations(sorted(set(lengths) - {max(lengths)}), count)
    )
    possible = [
        choice
        for choice in choices
        if all(
            count >= min(least, len(lengths))
            for count in Counter(min(e for e in choice if e >= length) for length in lengths).values()
        )
    ]
    assert padded_steps(lengths, tuple(edges)) == min(padded_steps(lengths, choice) for choice in possible)


def test_a_thousand_lengths_are_padded_little() -> None:
    lengths = list(range(1, 1001))
    edges = bucket_lengths(lengths)
    assert len(edges) == SHAPES
    assert padded_steps(lengths, tuple(edges)) < 1.27 * sum(lengths)  # quarters have 1.25


@given(some_lengths, st.integers(1, 9))
def test_buckets_hold_every_step_once(lengths: list[int], batch_size: int) -> None:
    steps = sum(lengths)
    x = np.arange(2 * steps, dtype=np.float32).reshape(steps, 2) + 1
    buckets = bucketed(Sequences(x, np.array(lengths), np.arange(steps), np.ones(steps, np.float32)), batch_size)
    held = np.concatenate([bucket.y[bucket.valid] for bucket in buckets])
    assert sorted(held.tolist()) == list(range(steps))
    starts = dict(zip(np.cumsum(lengths) - lengths, lengths, strict=True))
    for bucket in buckets:
        assert np.array_equal(bucket.x[bucket.valid], x[bucket.y[bucket.valid]])
        assert not bucket.x[~bucket.valid].any()
        for y, valid in zip(bucket.y, bucket.valid, strict=True):
            length = starts[y[0]]
            assert y[valid].tolist() == list(range(y[0], y[0] + length))
            assert valid.tolist() == [True] * length + [False] * (len(valid) - length)


def unlabeled(lengths: list[int], batch_size: int, room: Numbers | None = None) -> list[Bucket]:
    steps = sum(lengths)
    return bucketed(
        Sequences(
            np.zeros((steps, 1), np.float32), np.array(lengths), np.zeros(steps, int), np.ones(steps, np.float32)
        ),
        batch_size,
        room=room,
    )


@given(some_lengths, st.integers(1, 9), st.sampled_from(["step", "sequence"]), st.integers(0, 2**32))
def test_what_has_no_label_is_left_out(lengths: list[int], batch_size: int, per: str, seed: int) -> None:
    steps, starts = sum(lengths), np.cumsum(lengths) - lengths
    count = steps if per == "step" else len(lengths)
    weights = np.random.default_rng(seed).integers(0, 2, count) * 0.5
    weights[0] = 1.0
    x = np.arange(steps, dtype=np.float32)[:, None]
    buckets = bucketed(Sequences(x, np.array(lengths), np.arange(count), weights, per), batch_size)
    kept = [int(row[0, 0]) for bucket in buckets for row in bucket.x]
    labeled = np.split(weights, starts[1:]) if per == "step" else weights
    assert sorted(kept) == [start for start, some in zip(starts, labeled, strict=True) if np.any(some)]
    for bucket in buckets:
        assert bucket.y.shape == bucket.weights.shape == (bucket.valid.shape if per == "step" else (len(bucket.x),))
        some = bucket.weights > 0
        assert np.array_equal(bucket.weights[some], weights[bucket.y[some]])


@given(some_lengths, st.integers(1, 9))
def test_an_epoch_visits_every_sequence_once_in_full_batches(lengths: list[int], batch_size: int) -> None:
    buckets = unlabeled(lengths, batch_size)
    seen: list[list[int]] = [[] for _ in buckets]
    batches = 0
    for bucket, rows in epoch_plan(buckets, np.random.default_rng(0)):
        assert rows.shape[1] == batch_shape(buckets[bucket])[1] <= batch_size
        assert (rows >= 0).sum(axis=1).min() >= rows.shape[1] - 1
        seen[bucket] += rows[rows >= 0].tolist()
        batches += len(rows)
    assert batches == updates(buckets)
    assert [sorted(rows) for rows in seen] == [list(range(len(bucket.x))) for bucket in buckets]


@given(some_lengths, st.integers(1, 9), st.integers(0, 2**32))
def test_parts_have_the_shapes_of_the_whole(lengths: list[int], batch_size: int, seed: int) -> None:
    def shapes(buckets: list[Bucket]) -> set[tuple[int, int, int]]:
        return {(bucket.x.shape[1], bucket.room, batch_shape(bucket)[1]) for bucket in buckets}

    some = np.random.default_rng(seed).random(len(lengths)) < 0.5
    part = [length for length, chosen in zip(lengths, some, strict=True) if chosen] or lengths[:1]
    found = unlabeled(part, batch_size, np.array(lengths))
    assert shapes(found) <= shapes(unlabeled(lengths, batch_size))
    assert sum(len(bucket.x) for bucket in found) == len(part)
    for bucket, rows in epoch_plan(found, np.random.default_rng(0)):
        assert rows.shape[1] == batch_shape(found[bucket])[1]
        assert (rows >= 0).any(axis=1).all(), "no batch is empty"


def test_the_order_comes_from_the_generator() -> None:
    buckets = unlabeled([1] * 100 + [2] * 100, 10)

    def order(seed: int) -> list[tuple[int, list[list[int]]]]:
        plan = epoch_plan(buckets, np.random.default_rng(seed))
        return [(bucket, rows.tolist()) for bucket, rows in plan]

    assert order(0) == order(0) != order(1)
    assert len(order(0)) > 2, "buckets take turns"


def test_empty_places_are_spread_over_the_batches() -> None:
    buckets = unlabeled([1] * 19, 9)
    ((_, rows),) = epoch_plan(buckets, np.random.default_rng(0))
    assert sorted((rows >= 0).sum(axis=1).tolist()) == [6, 6, 7]


@pytest.mark.parametrize(("sequences", "batch_size", "shape"), [(10, 8, (2, 5)), (9, 3, (3, 3)), (2, 8, (1, 2))])
def test_batches_are_as_equal_as_can_be(sequences: int, batch_size: int, shape: tuple[int, int]) -> None:
    bucket = unlabeled([1] * sequences, batch_size)[0]
    assert batch_shape(bucket) == shape
