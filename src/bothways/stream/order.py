"""In which order events are taken: the steps of a key rise, and those that come too late are dropped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np

from bothways.runtime.forward import Array
from bothways.stream.events import Step, gaps
from bothways.stream.keys import Events, Keys, objects
from bothways.stream.windows import Numbers


class Order:
    """The rule of a stream.

    Attributes:
        dropped: how many events were late or came twice.
    """

    def __init__(self, keys: Keys, reorder: int, gap: int | None) -> None:
        self._keys, self._reorder, self._gap, self.dropped = keys, reorder, gap, 0

    def taken(self, slots: Numbers, steps: list[Step], values: Array) -> Events:
        """The events that are to be taken when these have come, those of a key together and in order."""
        if not self._reorder:
            events = Events(slots, objects(steps), values, np.arange(len(slots))).by_key()
            known, before = self._before(events)
            if (events.steps[known] > before).all():
                return self._complete(events, known, before)
        ready: list[tuple[int, Step, Array, int]] = []
        lasts: dict[int, Step] = {}
        for i, (slot, step) in enumerate(zip(slots.tolist(), steps, strict=True)):
            waiting, last = self._keys.waiting.setdefault(slot, []), lasts.get(slot, self._keys.last[slot])
            at = bisect_left(waiting, step, key=lambda each: each[0])
            if (last is not None and step <= last) or (at < len(waiting) and waiting[at][0] == step):
                self.dropped += 1
                continue
            waiting.insert(at, (step, values[i]))
            if len(waiting) > self._reorder:
                ready.append((slot, *waiting.pop(0), i))
                lasts[slot] = ready[-1][1]
        return self._events(ready)

    def rest(self, slots: Iterable[int]) -> Events:
        """What waits of keys that end; they are told by their places."""
        return self._events([(s, *event, i) for i, s in enumerate(slots) for event in self._keys.waiting.pop(s, [])])

    def _events(self, ready: list[tuple[int, Step, Array, int]]) -> Events:
        slots, steps, rows, triggers = zip(*ready, strict=True) if ready else ((), (), (), ())
        values = np.array(rows, self._keys.values.dtype).reshape(len(rows), self._keys.values.shape[2])
        events = Events(np.array(slots, np.int64), objects(steps), values, np.array(triggers, np.int64)).by_key()
        return self._complete(events, *self._before(events))

    def _before(self, events: Events) -> tuple[Numbers, Array]:
        """Which events, those of a key together, have a step before them; and that step."""
        first = np.diff(events.slots, prepend=-1) != 0
        before = np.concatenate([events.steps[:1], events.steps[:-1]])
        before[first] = self._keys.last[events.slots[first]]
        known = np.array([i for i, each in enumerate(before) if each is not None], np.int64)
        return known, before[known]

    def _complete(self, events: Events, known: Numbers, before: Array) -> Events:
        """Events with their gaps to the steps before them."""
        if self._gap is not None:
            events.values[known, self._gap] = gaps(events.steps[known], before)
        return events
