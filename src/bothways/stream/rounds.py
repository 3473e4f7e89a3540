"""Events to labels, in rounds: each ends where keys are due, which are then labeled together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bothways.runtime import Model
from bothways.runtime.forward import Array, Floats, groups
from bothways.stream.keys import Events, Keys
from bothways.stream.windows import Numbers, Windows, reach_of


class Found(NamedTuple):
    """Steps that are labeled; `triggers` says by which event of a push."""

    triggers: Numbers
    keys: Array
    steps: Array
    probabilities: Floats


class Rounds:
    """What labels the steps of keys."""

    def __init__(self, model: Model, keys: Keys, lookahead: int, chunk: int) -> None:
        self._model, self._keys, self._lookahead, self._full = model, keys, lookahead, chunk + lookahead
        self._reach = reach_of(model)

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
        """The labels of what keys still hold; they are triggered by their places. The keys are no more."""
        closed = np.array(slots, np.int64)
        holding = np.flatnonzero(self._keys.length[closed] > self._keys.past[closed])
        found = self._label(closed[holding], holding, ends=True)
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
            p = self._model.averaged(member.probabilities(windows) for member in keys.members)
            steps = keys.steps[of, : len(places)][(places >= past[:, None]) & (places < labeled[:, None])]
            of_steps = np.repeat(some, labeled - past)
            found.append(Found(triggers[of_steps], keys.names[slots[of_steps]], steps, p))
            if not ends:
                keys.past[of] = labeled
                keys.forget(of, np.maximum(0, labeled - self._reach))
        return found
