"""The time of day and the weekday of steps, where they help to tell labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from bothways.sequences import NO_LABEL, Array, Bools, Doubles, Numbers, Sequences

CLOCK = TIME_OF_DAY, WEEKDAY = "time of day", "weekday"
"""In hours since midnight, and in days since Monday; of times with a zone in UTC."""

DAY = 24 * 3600.0
THURSDAY = 3  # 1970 began on one

DAYS, WEEKS = 6, 2  # at least as many days and weeks show whether what holds on one holds on others
LEAST = 0.02  # of what is open at first, in nats, so much must be told
SEVERAL = 3  # classes of fewer days are left out
ROWS, NUMBERS = 20_000, 1_000_000  # trees learn from at most this many steps and numbers
TREES, ROUNDS, LEAVES = 400, 60, 16  # in all, of a class, and the leaves of one


def clock_of(seconds: Array, parts: Sequence[str]) -> Doubles:
    """`(steps, parts)` the parts of `CLOCK` that are asked for, of seconds since 1970."""
    days = np.floor(seconds / DAY)
    found = {TIME_OF_DAY: (seconds - days * DAY) / 3600, WEEKDAY: (days + THURSDAY) % 7}
    return np.array([found[part] for part in parts]).reshape(len(parts), len(seconds)).T


def timestamps(places: pl.Series) -> Doubles:
    """Seconds since 1970 of times, or of numbers that say them."""
    if not places.dtype.is_temporal():
        return places.cast(pl.Float64).to_numpy()
    return places.cast(pl.Datetime("us")).to_physical().to_numpy() / 1e6


def helpful_parts(values: Array, places: pl.Series, train: Sequences) -> tuple[str, ...]:
    """The parts of `CLOCK` that make labels of other days likelier.

    By more than the standard error over days, and a fiftieth of what the shares of the classes leave open. Boosted
    trees say so, on `values` of single steps, `(steps, features)`: they learn on half of the days and are asked about
    the other half, and the other way round.
    """
    if train.per != "step" or places.dtype not in (pl.Date, pl.Datetime):
        return ()
    labels, seconds, random = train.known_labels, timestamps(places), np.random.default_rng(0)
    rows = random.permutation(np.flatnonzero(labels != NO_LABEL))
    rows = np.sort(rows[: min(ROWS, NUMBERS // (values.shape[1] + len(CLOCK)))])
    known, count = np.unique(np.unique([labels[rows], seconds[rows] // DAY], axis=1)[0], return_counts=True)
    rows = rows[np.isin(labels[rows], known[count >= SEVERAL])]
    days, of = np.unique(seconds[rows] // DAY, return_inverse=True)
    found: tuple[str, ...] = ()
    if len(days) < DAYS or len(np.unique(labels[rows])) < 2:
        return found
    shares = np.unique(labels[rows], return_counts=True)[1] / len(rows)
    open_before = -(shares * np.log(shares)).sum()
    half = np.isin(of, random.permutation(len(days))[: len(days) // 2])
    before = _losses(values[rows], labels[rows], half)
    for part in _changing(clock_of(seconds[rows], CLOCK), days):
        inputs = np.hstack([values[rows], clock_of(seconds[rows], [*found, part])])
        after = _losses(inputs, labels[rows], half)
        gains = np.bincount(of, before - after) / len(rows)
        error = np.sqrt(len(days) / (len(days) - 1) * ((gains - gains.mean()) ** 2).sum())
        if gains.sum() > max(error, LEAST * open_before):
            found, before = (*found, part), after
    return found


def _changing(clock: Doubles, days: Doubles) -> Iterator[str]:
    """The parts that may show something: times of day that differ, weekdays that come again."""
    hours, _ = clock.T
    if len(np.unique(hours)) > 2:
        yield TIME_OF_DAY
    if len(np.unique(days // 7)) > WEEKS:
        yield WEEKDAY


def _losses(inputs: Array, labels: Numbers, half: Bools) -> Doubles:
    """`(steps,)` how unlikely trees find the label of each step, which learn on the other half."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    classes = len(np.unique(labels))
    settings: dict[str, Any] = {"max_leaf_nodes": LEAVES, "l2_regularization": 1, "early_stopping": False}
    model = HistGradientBoostingClassifier(max_iter=min(ROUNDS, max(TREES // classes, 1)), random_state=0, **settings)
    losses = np.zeros(len(labels))
    for held in (half, ~half):
        known, targets = np.unique(labels[~held], return_inverse=True)
        asked = held & np.isin(labels, known)
        if len(known) > 1 and asked.any():
            with threadpool_limits(1):  # threads that wait for each other on busy cores take many times as long as one
                p = model.fit(inputs[~held], targets).predict_proba(inputs[asked])
            own = p[np.arange(len(p)), known.searchsorted(labels[asked])]
            losses[asked] = -np.log(own.clip(1e-9))
    return losses
