"""Events to labels: first in their order, then in rounds, each of which ends where keys are due.

The steps of a key rise, and those that come too late are dropped. Keys that are due are labeled together.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from bothways.runtime import Model
from bothways.runtime.forward import groups
from bothways.sequences import Array, Floats, Numbers
from bothways.stream.events import EventReader, Step
from bothways.stream.keys import Events, Keys
from bothways.stream.windows import Windows, probabilities, reach_of


class Found(NamedTuple):
    """Steps that are labeled; `triggers` says by which event of a push."""

    triggers: Numbers
    keys: Array
    steps: Array
    codes: Numbers
    probabilities: Floats


class Rounds:
    """Takes the events of keys in their order and labels their steps; `dropped` events were late or came twice."""

    def __init__(self, model: Model, keys: Keys, reader: EventReader, lookahead: int, chunk: int, reorder: int) -> None:
        self._model, self._keys, self._reader, self._reorder = model, keys, reader, reorder
        self._lookahead, self._full, self._reach = lookahead, chunk + lookahead, reach_of(model)
        self.dropped = 0

    def in_order(self, slots: Numbers, steps: list[Step], values: Array) -> Events:
        """The events that are to be taken when these have come, those of a key together and in order."""
        if not self._reorder:
            events = Events(slots, np.array(steps, object), values, np.arange(len(slots))).by_key()
            known, before = self._before(events)
            if (events.steps[known] > before).all():
                self._reader.complete(events.values, events.steps, known, before)
                return events
        ready: list[tuple[int, Step, Array, int]] = []
        lasts: dict[int, Step] = {}
        for i, (slot, step) in enumerate(zip(slots.tolist(), steps, strict=True)):
            waiting, last = self._keys.waiting.setdefault(slot, []), lasts.get(slot, self._keys.last[slot])
            at = bisect_left(waiting, step, key=lambda each: each[0])
            if (last is not None and step <= last) or (at < len(waiting) and waiting[at][0] == step):
                self.dropped += 1
                continue
            waiting.insert(at, (step, values[i].copy()))  # a view would keep all that came with it
            if len(waiting) > self._reorder:
                ready.append((slot, *waiting.pop(0), i))
                lasts[slot] = ready[-1][1]
        return self._events(ready)

    def _events(self, ready: list[tuple[int, Step, Array, int]]) -> Events:
        slots, steps, rows, triggers = zip(*ready, strict=True) if ready else ((), (), (), ())
        values = np.array(rows, self._keys.values.dtype).reshape(len(rows), self._keys.values.shape[2])
        events = Events(
            np.array(slots, np.int64), np.array(steps, object), values, np.array(triggers, np.int64)
        ).by_key()
        self._reader.complete(events.values, events.steps, *self._before(events))
        return events

    def _before(self, events: Events) -> tuple[Numbers, Array]:
        """Which events, those of a key together, have a step before them; and that step."""
        first = np.diff(events.slots, prepend=-1) != 0
        before = np.concatenate([events.steps[:1], events.steps[:-1]])
        before[first] = self._keys.last[events.slots[first]]
        known = np.array([i for i, each in enumerate(before) if each is not None], np.int64)
        return known, before[known]

    def take(self, events: Events) -> list[Found]:
        """Hand events, those of a key together, to their keys, and label the chunks that become due."""
        keys = self._keys
        starts = np.flatnonzero(np.diff(events.slots, prepend=-1))
        counts = np.diff(np.append(starts, len(events.slots)))
        slots, found = events.slots[starts], []
        keys.last[slots] = events.steps[starts + counts - 1]
        while len(slots):
            full = keys.past[slots] + self._full
            some = np.minimum(full - keys.length[slots], counts)
            keys.add(slots, events, starts, some)
            starts, counts = starts + some, counts - some
            due = keys.length[slots] == full
            found += self._label(slots[due], events.triggers[starts[due] - 1], ends=False)
            more = counts > 0
            slots, starts, counts = slots[more], starts[more], counts[more]
        return found

    def close(self, slots: list[int]) -> list[Found]:
        """The labels of what still waits of keys, and of what they hold; they are triggered by the places of the keys,
        which are no more.
        """
        waiting = [(s, *event, i) for i, s in enumerate(slots) for event in self._keys.waiting.pop(s, [])]
        found = self.take(self._events(waiting))
        closed = np.array(slots, np.int64)
        holding = np.flatnonzero(self._keys.length[closed] > self._keys.past[closed])
        found += self._label(closed[holding], holding, ends=True)
        self._keys.remove(slots)
        return found

    def _label(self, slots: Numbers, triggers: Numbers, ends: bool) -> list[Found]:
        """Label the next chunk of keys, or all that they hold if it `ends` there."""
        keys, found = self._keys, []
        for some in groups(keys.length[slots]):
            of = slots[some]
            past, lengths = keys.past[of], keys.length[of]
            labeled = lengths if ends else lengths - self._lookahead
            places = np.arange(lengths.max())
            values = keys.values[of, : len(places)]
            windows = Windows(of, values, past, labeled - past, lengths, keys.before[of], ends)
            p = self._model.averaged(
                probabilities(member, windows, states)
                for member, states in zip(self._model.members, keys.states, strict=True)
            )
            steps = keys.steps[of, : len(places)][(places >= past[:, None]) & (places < labeled[:, None])]
            counts = labeled - past
            codes = self._model.decide(p, counts, keys.label[of], ends)
            keys.label[of] = codes[np.cumsum(counts) - 1]
            of_steps = np.repeat(some, counts)
            found.append(Found(triggers[of_steps], keys.names[slots[of_steps]], steps, codes, p))
            if not ends:
                keys.past[of] = labeled
                keys.forget(of, np.maximum(0, labeled - self._reach))
        return found
