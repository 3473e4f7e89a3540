"""The time that a search for settings has."""

from __future__ import annotations

import time

BUSY = 1.5
"""On a machine with other work a search takes up to so many times its budget, lest it try too little."""


class SearchClock:
    """How much of a budget is spent; what the processes take to start is not counted.

    On a machine with other work trials get but a share of a processor, and the budget is longer, up to `BUSY` times.

    Args:
        budget: seconds.

    Attributes:
        before: what an earlier search has spent, in seconds.

    Example:
        >>> clock = SearchClock(60)
        >>> clock.note(took=10, processor=8)
        >>> round(clock.budget), round(clock.left)
        (75, 75)
    """

    def __init__(self, budget: float) -> None:
        self._budget, self.before = budget, 0.0
        self._started: float | None = None
        self._wanted = self._got = 1e-9

    def start(self) -> None:
        """Start, if it does not go yet."""
        self._started = self._started or time.monotonic()

    def note(self, took: float, processor: float) -> None:
        """Know of a trial's seconds, and of its seconds of a processor."""
        self._wanted += took
        self._got += min(took, processor)

    @property
    def budget(self) -> float:
        """How many seconds there are in all."""
        return self._budget * min(BUSY, self._wanted / self._got)

    @property
    def seconds(self) -> float:
        """What is spent."""
        return self.before + (0 if self._started is None else time.monotonic() - self._started)

    @property
    def left(self) -> float:
        """What is left."""
        return self.budget - self.seconds
