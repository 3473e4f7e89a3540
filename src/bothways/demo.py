"""The tutorial's job: learn where a running sum reaches its threshold, then label sequences never seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bothways.network import Network
from bothways.problems import cumulative_sum

SEQUENCES = 1000  # how many sequences the first training goes through, one at a time, and how many unseen ones judge it

LONGER_UPDATES = 3000
LONGER_BATCH = 64
LONGER_SECONDS = 5.0  # what the longer training may take at most, compiling aside; long sequences get fewer updates

BATCH_GAIN = 3.0
"""How many times as many steps per second a batch of 64 is taken to give as one by one: 5.5 was measured for 10 steps
of 20 units, less for longer sequences."""


PLAIN: dict[str, Any] = {"encoding": "standard", "levels": "raw", "changes": 0}  # the network reads the number itself


@dataclass(frozen=True)
class Round:
    """One training."""

    accuracy: float
    updates: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class Demo:
    """What the demo shows."""

    numbers: list[float]
    expected: list[int]
    predicted: list[int]
    first: Round
    longer: Round

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways demo --json` prints."""
        return {
            "accuracy": self.first.accuracy,
            "expected": self.expected,
            "predicted": self.predicted,
            "updates": self.first.updates,
            "seconds": self.first.seconds,
            "longer": vars(self.longer),
        }


def run(
    steps: int = 10,
    units: int = 20,
    direction: str = "both",
    merge_mode: str = "concat",
    epochs: int = 1,
    seed: int = 0,
    say: Callable[[str], None] = lambda message: None,
) -> Demo:
    """Train as the tutorial does, on fresh sequences one at a time, and then longer."""
    started = time.perf_counter()
    Network(features=1, classes=2, direction=direction, merge_mode=merge_mode, units=units, **PLAIN)
    generator = np.random.default_rng(seed)
    first_data = cumulative_sum(SEQUENCES, steps, seed=generator)
    unseen = cumulative_sum(SEQUENCES, steps, seed=generator)
    say("Starting Keras")
    from bothways.labeler import SequenceLabeler

    def training(data: Any, batch_size: int, passes: int, since: float) -> tuple[Any, Round]:
        labeler = SequenceLabeler(
            direction=direction,
            merge_mode=merge_mode,
            units=units,
            epochs=passes,
            batch_size=batch_size,
            patience=None,
            window=None,
            random_state=seed,
            **PLAIN,
        )
        X, y = data
        labeler.fit(X, y[:, :, 0])
        seconds = {"start": time.perf_counter() - since - sum(labeler.seconds_.values()), **labeler.seconds_}
        accuracy = labeler.score(unseen[0], unseen[1][:, :, 0])
        return labeler, Round(accuracy, passes * len(X) // batch_size, seconds)

    say("Training as the tutorial does")
    labeler, first = training(first_data, 1, epochs, started)
    say("Training longer")
    since = time.perf_counter()
    steps_per_second = BATCH_GAIN * first.updates * steps / first.seconds["train"]
    updates = min(LONGER_UPDATES, max(1, int(LONGER_SECONDS * steps_per_second / (LONGER_BATCH * steps))))
    longer_data = cumulative_sum(updates * LONGER_BATCH, steps, seed=generator)
    _, longer = training(longer_data, LONGER_BATCH, 1, since)
    return Demo(
        numbers=unseen[0][0, :, 0].tolist(),
        expected=unseen[1][0, :, 0].tolist(),
        predicted=labeler.predict(unseen[0][:1])[0].tolist(),
        first=first,
        longer=longer,
    )
