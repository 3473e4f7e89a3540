"""What a stream holds of its keys, many at once: arrays with a slot for each."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.runtime import Model
from bothways.sequences import Array, Numbers, ranges
from bothways.stream.events import Step
from bothways.stream.windows import States, passed, state_widths

OBJECT_BYTES = 100  # what the number or the time of a step takes, and beside it an event that waits


class Events(NamedTuple):
    """Events of a push: the slot of the key, the step, the row of values, and which event it came with."""

    slots: Numbers
    steps: Array
    values: Array
    triggers: Numbers

    def by_key(self) -> Events:
        """Those of a key together."""
        order = np.argsort(self.slots, kind="stable")
        return Events(*(array[order] for array in self))


class Keys:
    """The keys that are open. The first axis of arrays is that of slots; most of them are `(slots,)`."""

    def __init__(self, model: Model, dtype: Any, most: int) -> None:
        network, self._most, self._classes = model.network, most, len(model.classes)
        self.slots: dict[Hashable, int] = {}  # by key
        self.waiting: dict[int, list[tuple[Step, Array]]] = {}  # by slot the events that wait to be sorted
        self.names, self.last = np.empty((2, 0), object)  # its key; the last step that was taken, None if there is none
        self.past, self.length = np.zeros((2, 0), np.int64)  # how many of its steps are labeled; how many it holds
        self.label = np.zeros(0, np.int64)  # the code of its last label; as many as there are classes if it has none
        self.steps = np.empty((0, 0), object)  # `(slots, room)`
        self.values = np.empty((0, 0, network.features), dtype)  # `(slots, room, features)`
        self.before = np.empty((0, 1 + 2 * network.numeric))  # of steps before those: how many, their sums, of squares
        # In which each member of the model has come, reading forward, to the next step.
        self.states: list[States] = [
            [[np.zeros((0, width), np.float32) for width in layer] for layer in state_widths(member)]
            for member in model.members
        ]
        self._free: list[int] = []

    def check(self, keys: Iterable[Hashable]) -> None:
        """Refuse what can be no key."""
        try:
            different = set(keys)
        except TypeError as error:
            raise InputError(f"These keys are none ({error}). Give text, numbers, or tuples of them.") from None
        if any(isinstance(key, float) and key != key for key in different):  # each would be a sequence of its own
            raise InputError("A key is nan; give each event the key of its sequence.")

    def slots_of(self, keys: Iterable[Hashable]) -> Numbers:
        """The slots of keys."""
        known = list(map(self.slots.get, keys))
        return np.array(list(map(self.slot, keys)) if None in known else known, np.int64)

    def slot(self, key: Hashable) -> int:
        """The slot of a key; a new one gets one."""
        slot = self.slots.get(key)
        if slot is None:
            if not self._free:
                self._more_slots()
            slot = self.slots[key] = self._free.pop()
            self.names[slot], self.last[slot] = key, None
            self.length[slot], self.past[slot], self.label[slot] = 0, 0, self._classes
            for row in self.carried(slot):
                row[:] = 0
        return slot

    def bytes_of(self, waiting: int) -> int:
        """How many bytes a key takes at most, of which `waiting` events wait to be sorted."""
        held: int = self.steps.itemsize + self.values.shape[2] * self.values.itemsize + OBJECT_BYTES
        layers = ([self.before], *chain(*self.states))
        kept: int = sum(array.shape[1] * array.itemsize for array in chain(*layers))
        return self._most * held + waiting * (held + OBJECT_BYTES) + kept

    def carried(self, slot: int) -> list[Array]:
        """What a key carries from chunk to chunk, sums of what came before and states; to be read or written."""
        return [self.before[slot], *(array[slot] for layer in chain(*self.states) for array in layer)]

    def remove(self, slots: Sequence[int]) -> None:
        """Close keys."""
        for slot in slots:
            del self.slots[self.names[slot]]
            self.steps[slot] = self.names[slot] = self.last[slot] = None
        self._free += slots

    def make_room(self, steps: int) -> None:
        """Let every key hold this many steps."""
        slots, room, features = self.values.shape
        if steps > room:
            more = min(max(steps, 2 * room), self._most) - room
            self.steps = np.concatenate([self.steps, np.empty((slots, more), object)], axis=1)
            self.values = np.concatenate([self.values, np.zeros((slots, more, features), self.values.dtype)], axis=1)

    def add(self, slots: Numbers, events: Events, starts: Numbers, counts: Numbers) -> None:
        """Let keys hold further steps: of each the events from its start on, as many as its count."""
        held = self.length[slots]
        self.make_room(int((held + counts).max()))
        source, place = ranges(starts, counts), (np.repeat(slots, counts), ranges(held, counts))
        self.values[place], self.steps[place] = events.values[source], events.steps[source]
        self.length[slots] = held + counts

    def forget(self, slots: Numbers, drop: Numbers) -> None:
        """Let go of the first steps of keys, as many of each as `drop` says."""
        lengths, most = self.length[slots], int(self.length[slots].max())
        values = self.values[slots, :most]
        self.before[slots] = passed(self.before[slots], values, drop)
        source = np.minimum(np.arange(most) + drop[:, None], most - 1)
        self.values[slots, :most] = np.take_along_axis(values, source[..., None], axis=1)
        self.steps[slots, :most] = np.take_along_axis(self.steps[slots, :most], source, axis=1)
        self.past[slots], self.length[slots] = self.past[slots] - drop, lengths - drop

    def _more_slots(self) -> None:
        old = len(self.names)
        more = max(1, old)

        def grown(array: Array) -> Array:
            return np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)])

        for name in ("names", "last", "past", "length", "steps", "values", "before", "label"):
            setattr(self, name, grown(getattr(self, name)))
        for layer in chain(*self.states):
            layer[:] = map(grown, layer)
        self._free = list(range(old + more - 1, old - 1, -1))
