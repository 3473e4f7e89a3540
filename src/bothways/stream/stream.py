"""Many sequences that go on at once, labeled in batches across them."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from math import lcm
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.options import whole
from bothways.runtime import Label, Member, Model
from bothways.runtime.forward import STEPS_A_CALL, Array, Floats, groups
from bothways.sequences import Sequences
from bothways.stream.events import EventReader, Step, gaps
from bothways.stream.state import fingerprint, pack, unpack
from bothways.stream.windows import MemberStream, Numbers, Windows, ahead, reach, reads_forward_alone

LOOKAHEAD = 16
"""How many later steps labels see, unless something else is asked for; none where `reads_forward_alone`."""

SWEEP = 1024
"""After so many events, or as many as there are keys, those keys are closed that have been idle for too long."""

SAVED = ("events", "dropped", "_newest", "_next_sweep")
"""What `Stream.save` keeps beside the keys."""


class Labeled(NamedTuple):
    """The label of a step.

    Attributes:
        key: of the sequence.
        step: as it was pushed.
        label: a class of the model.
        probabilities: one for each class, in the order of `Model.classes`.
    """

    key: Any
    step: Any
    label: Label
    probabilities: list[float]


class _Events(NamedTuple):
    """Events of a push: the slot of the key, the step, the row of values, and which event it came with."""

    slots: Numbers
    steps: Array
    values: Array
    triggers: Numbers

    @classmethod
    def of(cls, events: Sequence[tuple[int, Step, Array, int]], like: Array) -> _Events:
        """Some, with values as those are."""
        slots, steps, rows, triggers = zip(*events, strict=True) if events else ((), (), (), ())
        values = np.array(rows, like.dtype).reshape(len(rows), like.shape[1])
        return cls(np.array(slots, np.int64), _objects(steps), values, np.array(triggers, np.int64))


class _Found(NamedTuple):
    """Steps that are labeled; `triggers` says by which event of a push."""

    triggers: Numbers
    keys: Array
    steps: Array
    probabilities: Floats


class Stream:
    """Labels of many sequences that go on, each a bounded number of steps late; made by `Model.stream`.

    Steps are labeled in chunks. A chunk of steps is read forward from where the chunk before it ended, and backward
    from `lookahead` steps after it ("latency-controlled" in Zhang et al. 2015, "Highway Long Short-Term Memory RNNs for
    Distant Speech Recognition"). With `chunk=1` every label sees exactly `lookahead` later steps; longer chunks cost
    less, and their first steps see, and wait for, more. With a `lookahead` that no sequence reaches, the probabilities
    are those of `Model.predict_proba`, bit for bit. All keys that are due go through the engine together, and the bits
    of a label never depend on what else does. A CRF carries what it knows of the labels so far forward as well, and
    looks back from the last step that is there.

    The steps of a key must rise. With `reorder=n` each event waits for n more of its key and they are sorted, so that
    they may come up to n places out of order. An event whose step is not above the last one taken is late, or came
    twice: it is dropped and counted. Steps that never come are simply not there, as in a table.

    With `idle`, a key is closed when its last step is further than that behind the newest step of all; this is looked
    after every 1,024 events, or as many as there are keys. A step of it that comes later begins a new sequence.

    Memory is bounded: a key takes that of `reach + chunk + lookahead` encoded steps at most (`reach` is the longest
    change of numbers that is taken, up to 64 steps, and what a convolution reads before a step), of `reorder` events,
    and of the forward states of all layers. Nothing waits anywhere else: labels are returned by the push that makes
    them due.

    One thread at a time may use it.

    Args:
        model: what labels; one label per step.
        lookahead: how many later steps a label sees at least, where the sequence has them; None for 16. Networks that
            read forward, without a CRF, see what their convolution does, and what they were trained for
            (`Network.lookahead`), which is the least; both together are their default.
        chunk: how many steps are labeled at once, a multiple of the strides of convolutions; None for the lookahead,
            and for 1 where all networks read forward, without a CRF.
        reorder: how many places events of a key may be out of order.
        idle: after how much silence a key is closed: in seconds where steps are times, else in their unit; None for
            never.

    Raises:
        InputError: an argument out of its range, or a model of whole sequences.

    Example:
        >>> from bothways.network import Network
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> model = Model([Member(network, weights)], classes=("quiet", "alarm"))
        >>> stream = model.stream(lookahead=2, chunk=1)
        >>> [len(stream.push("a", step, [0.5])) for step in range(4)]
        [0, 0, 1, 1]
        >>> [(each.key, each.step, each.label) for each in stream.close("a")]
        [('a', 2, 'alarm'), ('a', 3, 'alarm')]
    """

    def __init__(
        self,
        model: Model,
        lookahead: int | None = None,
        *,
        chunk: int | None = None,
        reorder: int = 0,
        idle: float | None = None,
    ) -> None:
        """Check the arguments; no key is open."""
        members = [member for member in model.members if isinstance(member, Member)]
        if model.network.per != "step" or len(members) < len(model.members):
            raise InputError(
                "This model gives one label per sequence, which it can read only when the sequence has ended. A stream "
                "needs one that labels steps; use predict."
            )
        stride = lcm(*(network.conv_stride for network in model.networks))
        late = max(network.lookahead for network in model.networks)
        forward = all(map(reads_forward_alone, model.networks))
        least = max(*map(ahead, model.networks), 0 if forward else LOOKAHEAD)
        self.lookahead = whole("lookahead", least if lookahead is None else lookahead, 0)
        if self.lookahead < late:
            raise InputError(f"lookahead is {self.lookahead}; this model was trained to label steps {late} steps late.")
        usual = stride if forward else -(-max(1, self.lookahead) // stride) * stride
        self.chunk = whole("chunk", usual if chunk is None else chunk, 1)
        self.reorder = whole("reorder", reorder, 0)
        if self.chunk % stride:
            raise InputError(f"chunk is {self.chunk}; the convolution of this model needs a multiple of {stride}.")
        if idle is not None and not idle > 0:
            raise InputError(f"idle is {idle!r}; it must be above 0.")
        self.model, self.idle = model, idle
        self.events = self.dropped = 0
        self._reader = EventReader(model)
        self._members = [MemberStream(member) for member in members]
        self._reach = max(map(reach, model.networks))
        self._slots: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._waiting: dict[int, list[tuple[Step, Array]]] = {}
        self._newest: Any = None
        self._next_sweep = SWEEP
        self._fingerprint = fingerprint(model, self.lookahead, self.chunk, self.reorder)
        self._keys = np.empty(0, object)
        self._last = np.empty(0, object)
        self._steps = np.empty((0, 0), object)
        self._values = np.empty((0, 0, model.network.features), self._reader.dtype)
        self._before = np.empty((0, 1 + model.network.numeric))
        self._past, self._length = np.zeros((2, 0), np.int64)

    def __len__(self) -> int:
        """How many keys are open."""
        return len(self._slots)

    @property
    def notices(self) -> list[str]:
        """What of the values was filled or not known, in words."""
        return [] if self._reader.tally is None else self._reader.tally.notices()

    def push(self, key: Hashable, step: Step, values: Mapping[str, Any] | Sequence[float] | Array) -> list[Labeled]:
        """Take one event; see `push_many`."""
        return self.push_many([key], [step], [values])

    def push_many(self, keys: Sequence[Hashable], steps: Sequence[Step], values: Any) -> list[Labeled]:
        """Take events, in the order in which they came.

        Args:
            keys: of each event the key of its sequence; a new one opens it.
            steps: of each event its place in the sequence: whole numbers, floats or datetimes.
            values: for a model of a table, of each event a mapping by the names of columns, None where a field is
                empty; for a model of arrays `(events, features)`.

        Returns:
            The labels that are ready, in the order of the events that made them so, each key's in that of its steps.

        Raises:
            InputError: arguments of unequal length, steps or values that do not fit; no event is taken.
            DataError: fields that the model cannot read; no event is taken.
        """
        if not len(keys) == len(steps) == len(values):
            raise InputError(
                f"There are {len(keys)} keys, {len(steps)} steps and values of {len(values)} events; give as many of "
                "each."
            )
        steps, read = self._reader.steps(steps), self._reader.values(values)
        labeled: list[Labeled] = []
        first = 0
        while first < len(keys):
            until = len(keys) if self.idle is None else min(len(keys), first + self._next_sweep - self.events)
            slots = self._slots_of(keys[first:until])
            labeled += self._listed(
                self._take(self._in_order(slots, steps[first:until], read[first:until]), self._reader.gap)
            )
            self.events += until - first
            if self.idle is not None:
                self._newest = max(steps[first:until] if self._newest is None else [self._newest, *steps[first:until]])
                if self.events == self._next_sweep:
                    labeled += self._listed(self._swept())
            first = until
        return labeled

    def close(self, key: Hashable) -> list[Labeled]:
        """End a sequence, and forget it.

        Returns:
            The labels of its steps that had none; nothing if there is no such key.
        """
        return self._listed(self._closed([self._slots[key]] if key in self._slots else []))

    def flush(self) -> list[Labeled]:
        """End all sequences, in the order in which they began."""
        return self._listed(self._closed(list(self._slots.values())))

    def state(self, key: Hashable) -> bytes:
        """What is known of a key, to be restored here or elsewhere; see `restore`.

        Raises:
            InputError: there is no such key.
        """
        if key not in self._slots:
            raise InputError(f"There is no key {key!r} in this stream.")
        slot = self._slots[key]
        length = int(self._length[slot])
        waiting = self._waiting.get(slot, [])
        facts = {
            "steps": self._steps[slot, :length].tolist(),
            "past": int(self._past[slot]),
            "last": self._last[slot],
            "waiting": [step for step, _ in waiting],
        }
        arrays = [self._values[slot, :length], *(row for _, row in waiting), self._before[slot], *self._rows_of(slot)]
        return pack(self._fingerprint, facts, arrays)

    def restore(self, key: Hashable, state: bytes) -> None:
        """Go on with a key as it was when `state` was taken: the same events give the same labels, bit for bit.

        Whatever is known of the key is replaced.

        Args:
            key: the key.
            state: what `state` gave, of any process, for this model, lookahead, chunk and reorder.

        Raises:
            InputError: it is damaged, or of another model or stream.
        """
        facts, take = unpack(self._fingerprint, state)
        length = len(facts["steps"])
        features = self._values.shape[2]
        values = take((length, features), self._values.dtype)
        waiting = [(step, take((features,), self._values.dtype)) for step in facts["waiting"]]
        before = take(self._before.shape[1:], self._before.dtype)
        states = [take(array.shape[1:], array.dtype) for member in self._members for array in member.states]
        slot = self._slot(key)
        self._make_room(length)
        self._steps[slot, :length] = facts["steps"]
        self._values[slot, :length], self._before[slot] = values, before
        self._length[slot], self._past[slot], self._last[slot] = length, facts["past"], facts["last"]
        self._waiting[slot] = waiting
        for row, array in zip(self._rows_of(slot), states, strict=True):
            row[:] = array

    def save(self) -> bytes:
        """All keys and counts, for `load`."""
        states = [np.frombuffer(self.state(key), np.uint8) for key in self._slots]
        facts = {name: getattr(self, name) for name in SAVED}
        return pack(self._fingerprint, {"keys": list(self._slots), "sizes": list(map(len, states)), **facts}, states)

    def load(self, saved: bytes) -> None:
        """Go on in a new stream where another one was saved: the same events give the same labels, bit for bit.

        Raises:
            InputError: the bytes are damaged, or of another model or stream.
        """
        facts, take = unpack(self._fingerprint, saved)
        for name in SAVED:
            setattr(self, name, facts[name])
        for key, size in zip(facts["keys"], facts["sizes"], strict=True):
            self.restore(key, take((size,), np.uint8).tobytes())

    def _rows_of(self, slot: int) -> list[Floats]:
        """The forward states of a key."""
        return [array[slot] for member in self._members for array in member.states]

    def _slots_of(self, keys: Sequence[Hashable]) -> Numbers:
        known = list(map(self._slots.get, keys))
        return np.array([self._slot(key) for key in keys] if None in known else known, np.int64)

    def _slot(self, key: Hashable) -> int:
        """Where the arrays hold a key; a new one gets a place."""
        slot = self._slots.get(key)
        if slot is None:
            if not self._free:
                self._more_slots()
            slot = self._slots[key] = self._free.pop()
            self._keys[slot], self._last[slot] = key, None
            self._length[slot] = self._past[slot] = 0
            self._before[slot] = 0
            for row in self._rows_of(slot):
                row[:] = 0
        return slot

    def _more_slots(self) -> None:
        old = len(self._keys)
        more = max(16, old)
        for name in ("_keys", "_last", "_steps", "_values", "_before", "_past", "_length"):
            array = getattr(self, name)
            setattr(self, name, np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)]))
        for member in self._members:
            member.grow(old + more)
        self._free = list(range(old + more - 1, old - 1, -1))

    def _make_room(self, steps: int) -> None:
        """Let every key hold so many steps."""
        slots, room = self._steps.shape
        if steps > room:
            more = min(max(steps, 2 * room), self._reach + self.chunk + self.lookahead) - room
            self._steps = np.concatenate([self._steps, np.empty((slots, more), object)], axis=1)
            new = np.empty((slots, more, self._values.shape[2]), self._values.dtype)
            self._values = np.concatenate([self._values, new], axis=1)

    def _in_order(self, slots: Numbers, steps: list[Step], values: Array) -> _Events:
        """Events as they are to be taken: the steps of each key rise."""
        events = _Events(slots, _objects(steps), values, np.arange(len(slots)))
        if not self.reorder and self._rise(events):
            return events
        taken: list[tuple[int, Step, Array, int]] = []
        lasts: dict[int, Step | None] = {}
        for i, (slot, step) in enumerate(zip(slots.tolist(), steps, strict=True)):
            waiting, last = self._waiting.setdefault(slot, []), lasts.get(slot, self._last[slot])
            at = bisect_left(waiting, step, key=lambda each: each[0])
            if (last is not None and step <= last) or (at < len(waiting) and waiting[at][0] == step):
                self.dropped += 1
                continue
            waiting.insert(at, (step, values[i]))
            if len(waiting) > self.reorder:
                taken.append((slot, *waiting.pop(0), i))
                lasts[slot] = taken[-1][1]
        return _Events.of(taken, values)

    def _rise(self, events: _Events) -> bool:
        """Whether the steps of each key rise, from its last one on."""
        order = np.argsort(events.slots, kind="stable")
        known, before = self._steps_before(events.slots[order], events.steps[order])
        return bool((events.steps[order][known] > before).all())

    def _steps_before(self, slots: Numbers, steps: Array) -> tuple[Numbers, Array]:
        """Which events, those of a key together, have a step before them; and that step."""
        first = np.diff(slots, prepend=-1) != 0
        before = np.concatenate([steps[:1], steps[:-1]])
        before[first] = self._last[slots[first]]
        known = np.array([i for i, each in enumerate(before) if each is not None], np.int64)
        return known, before[known]

    def replay(self, sequences: Sequences) -> Floats:
        """The probabilities that the steps of whole sequences get, whose first steps come first, then the second ones.

        Args:
            sequences: as the network reads them, all at once; their numbers are the keys.

        Returns:
            `(steps, classes)`.

        Raises:
            InputError: the stream has keys already.
        """
        if self._slots:
            raise InputError(f"This stream has {len(self)} keys already. Replay sequences in a new one.")
        found, keys, order = [], sequences.sequence_of_steps, np.argsort(sequences.positions, kind="stable")
        for first in range(0, len(order), STEPS_A_CALL):
            some = order[first : first + STEPS_A_CALL]
            slots = self._slots_of(keys[some].tolist())
            found += self._take(_Events(slots, some.astype(object), sequences.values[some], np.arange(len(some))), None)
        p = np.empty((sequences.steps, len(self.model.classes)), np.float32)
        for each in [*found, *self._closed(list(self._slots.values()))]:
            p[each.steps.astype(np.int64)] = each.probabilities
        return p

    def _take(self, events: _Events, gap: int | None) -> list[_Found]:
        """Hand events to their keys, in rounds that end where keys are due; `gap` is its place among their values."""
        order = np.argsort(events.slots, kind="stable")
        slots, steps, values, triggers = (array[order] for array in events)
        if gap is not None:
            known, before = self._steps_before(slots, steps)
            values[known, gap] = gaps(steps[known], before)
        starts = np.flatnonzero(np.diff(slots, prepend=-1))
        counts = np.diff(np.append(starts, len(slots)))
        who, found = slots[starts], []
        self._last[who] = steps[starts + counts - 1]
        full = self.chunk + self.lookahead
        while len(who):
            held, past = self._length[who], self._past[who]
            some = np.minimum(past + full - held, counts)
            self._make_room(int((held + some).max()))
            within = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
            source, place = np.repeat(starts, some) + within, (np.repeat(who, some), np.repeat(held, some) + within)
            self._values[place], self._steps[place] = values[source], steps[source]
            self._length[who] = held + some
            starts, counts = starts + some, counts - some
            due = held + some == past + full
            found += self._label(who[due], triggers[starts[due] - 1], ends=False)
            more = counts > 0
            who, starts, counts = who[more], starts[more], counts[more]
        return found

    def _closed(self, slots: list[int]) -> list[_Found]:
        """The labels of what these keys still hold; they are no more."""
        rest = [(slot, *event, i) for i, slot in enumerate(slots) for event in self._waiting.pop(slot, [])]
        found = self._take(_Events.of(rest, self._values[0, :0]), self._reader.gap) if rest else []
        closed = np.array(slots, np.int64)
        holding = np.flatnonzero(self._length[closed] > self._past[closed])
        found += self._label(closed[holding], holding, ends=True)
        for slot in slots:
            del self._slots[self._keys[slot]]
            self._steps[slot] = self._keys[slot] = self._last[slot] = None
        self._free += slots
        return found

    def _swept(self) -> list[_Found]:
        """The labels of keys that have been idle for too long."""
        waiting = self._waiting
        last = {slot: waiting[slot][-1][0] if waiting.get(slot) else self._last[slot] for slot in self._slots.values()}
        found = self._closed([slot for slot, step in last.items() if _behind(self._newest, step) > self.idle])
        self._next_sweep = self.events + max(SWEEP, len(self._slots))
        return found

    def _label(self, slots: Numbers, triggers: Numbers, ends: bool) -> list[_Found]:
        """Label the next chunk of keys, or all that they hold if it `ends` there."""
        ahead = 0 if ends else self.lookahead
        found = []
        for some in groups(self._length[slots]):
            keys, past, lengths = slots[some], self._past[slots[some]], self._length[slots[some]]
            size = lengths - past - ahead
            places = np.arange(lengths.max())
            there = places < lengths[:, None]
            values = self._values[keys, : len(places)]
            windows = Windows(keys, values[there], past, size, lengths, self._before[keys], ends)
            p = self.model.averaged(member.probabilities(windows) for member in self._members)
            labeled = (places >= past[:, None]) & (places < (past + size)[:, None])
            steps = self._steps[keys, : len(places)]
            of_steps = np.repeat(some, size)
            found.append(_Found(triggers[of_steps], self._keys[slots[of_steps]], steps[labeled], p))
            if not ends:
                self._forget(keys, past + size, lengths, values)
        return found

    def _forget(self, keys: Numbers, past: Numbers, lengths: Numbers, values: Array) -> None:
        """Drop the steps of keys that nothing will read again; `past` of those that are held are labeled now."""
        drop = np.maximum(0, past - self._reach)
        numbers = values[:, : drop.max(), : self._before.shape[1] - 1]
        sums = np.cumsum(np.concatenate([self._before[keys, None, 1:], numbers], axis=1), axis=1)
        self._before[keys, 1:] = sums[np.arange(len(keys)), drop]
        self._before[keys, 0] += drop
        source = np.minimum(np.arange(lengths.max()) + drop[:, None], lengths.max() - 1)
        self._values[keys, : len(source[0])] = np.take_along_axis(values, source[..., None], axis=1)
        self._steps[keys, : len(source[0])] = np.take_along_axis(self._steps[keys, : len(source[0])], source, axis=1)
        self._past[keys], self._length[keys] = past - drop, lengths - drop

    def _listed(self, found: list[_Found]) -> list[Labeled]:
        """Labels in the order of the events that made them ready."""
        if not found:
            return []
        triggers, keys, steps, p = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.argsort(triggers, kind="stable")
        p = p[order]
        with _no_collector():
            labels = [self.model.classes[code] for code in self.model.decide(p).tolist()]
            items = zip(keys[order].tolist(), steps[order].tolist(), labels, p.tolist(), strict=True)
            return list(map(partial(tuple.__new__, Labeled), items))  # as `Labeled._make`, in half the time


@contextmanager
def _no_collector() -> Iterator[None]:
    """Python's collector waits: of thousands of new tuples, none of which is a cycle, it takes a third of the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _behind(newest: Any, step: Any) -> Any:
    """How far a step is behind another one, in seconds if they are times."""
    return (newest - step).total_seconds() if isinstance(newest, datetime) else newest - step


def _objects(values: Sequence[Any]) -> Array:
    """An array of one axis, whatever the values are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
