"""Many sequences that go on at once, labeled in batches across them."""

from __future__ import annotations

import gc
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from functools import partial
from math import lcm
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.options import whole
from bothways.runtime import Label, Model
from bothways.runtime.forward import STEPS_A_CALL
from bothways.sequences import Array, Floats, Numbers, Sequences
from bothways.stream.events import EventReader, Step
from bothways.stream.keys import Events, Keys
from bothways.stream.rounds import Found, Rounds
from bothways.stream.state import coded_key, fingerprint, key_state, pack, restore_key, unpack
from bothways.stream.windows import ahead, reach_of, reads_forward_alone

LOOKAHEAD = 16  # how many later steps labels see, unless something else is asked for; none where `reads_forward_alone`

MOST_STEPS = 10**9  # of lookahead, chunk and reorder: more than any sequence has

SWEEP = 1024
"""Idle keys are closed each time after this many events, or as many as there are keys if these are more."""


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


class Stream:
    """Labels of many sequences that go on, each a bounded number of steps late; made by `Model.stream`.

    Steps are labeled in chunks. A chunk of steps is read forward from where the chunk before it ended, and backward
    from `lookahead` steps after it ("latency-controlled" in Zhang et al. 2015, "Highway Long Short-Term Memory RNNs for
    Distant Speech Recognition"). With `chunk=1` every label sees exactly `lookahead` later steps; longer chunks cost
    less, and their first steps see, and wait for, more. With a `lookahead` that no sequence reaches, the probabilities
    are those of `Model.predict_proba`, bit for bit. All keys that are due go through the engine together, and the bits
    of a label never depend on what else does. A CRF carries what it knows of the labels so far forward as well, and
    looks back from the last step that is there. Tags that may not follow the last label of their key do not come out:
    of a chunk they are the likeliest that may.

    The steps of a key must rise. With `reorder=n` each event waits for n more of its key and they are sorted, so that
    they may come up to n places out of order. An event whose step is not above the last one taken is late, or came
    twice: it is dropped and counted. Steps that never come are simply not there, as in a table.

    With `idle`, a key is closed when its last step is further than that behind the newest step of all; this is looked
    after every 1,024 events, or as many as there are keys. A step of it that comes later begins a new sequence.

    Memory is bounded: a key takes that of `reach + chunk + lookahead` encoded steps at most (`reach` is what changes,
    convolutions and simple models read of the past), of `reorder` events, and of the forward states of all layers.
    Labels are returned by the push that makes them due. One thread at a time may use it.

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
        >>> from bothways.runtime import Member
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
        if model.network.per != "step":
            raise InputError(
                "This model gives one label per sequence, which it can read only when the sequence has ended. A stream "
                "needs one that labels steps; use predict."
            )
        stride = lcm(*(network.conv_stride for network in model.networks))
        late = max(network.lookahead for network in model.networks)
        forward = reads_forward_alone(model)
        least = max(*map(ahead, model.networks), 0 if forward else LOOKAHEAD)
        self.lookahead = whole("lookahead", least if lookahead is None else lookahead, 0, MOST_STEPS)
        if self.lookahead < late:
            raise InputError(f"lookahead is {self.lookahead}; this model was trained to label steps {late} steps late.")
        usual = stride if forward else -(-max(1, self.lookahead) // stride) * stride
        self.chunk = whole("chunk", usual if chunk is None else chunk, 1, MOST_STEPS)
        self.reorder = whole("reorder", reorder, 0, MOST_STEPS)
        if self.chunk % stride:
            raise InputError(f"chunk is {self.chunk}; the convolution of this model needs a multiple of {stride}.")
        if idle is not None and not (isinstance(idle, Real) and idle > 0):
            raise InputError(f"idle is {idle!r}; it must be a number above 0: of seconds, where steps are times.")
        self.model, self.idle, self.events = model, idle, 0
        self._reader = EventReader(model)
        most = reach_of(model) + self.chunk + self.lookahead
        self._keys = Keys(model, self._reader.dtype, most)
        self._rounds = Rounds(model, self._keys, self._reader, self.lookahead, self.chunk, self.reorder)
        self._newest: Any = None
        self._next_sweep = SWEEP
        self._fingerprint = fingerprint(model, self.lookahead, self.chunk, self.reorder)

    def __len__(self) -> int:
        """How many keys are open."""
        return len(self._keys.slots)

    def __contains__(self, key: Hashable) -> bool:
        """Whether a key is open."""
        return key in self._keys.slots

    @property
    def dropped(self) -> int:
        """How many events were late or came twice."""
        return self._rounds.dropped

    @property
    def key_bytes(self) -> int:
        """How much memory a key takes at most, about, in bytes; room is made for up to twice as many as are open."""
        return self._keys.bytes_of(self.reorder)

    @property
    def notices(self) -> list[str]:
        """What of the values was filled or not known, in words."""
        return [] if self._reader.tally is None else self._reader.tally.notices()

    def push(
        self, key: Hashable, step: Step | np.generic, values: Mapping[str, Any] | Sequence[float] | Array
    ) -> list[Labeled]:
        """Take one event; see `push_many`."""
        return self.push_many([key], [step], [values])

    def push_many(
        self, keys: Sequence[Hashable] | Array, steps: Sequence[Step | np.generic] | Array, values: Any
    ) -> list[Labeled]:
        """Take events, in the order in which they came.

        Args:
            keys: of each event the key of its sequence; a new one opens it.
            steps: of each event its place in the sequence: whole numbers, floats or datetimes, of Python or NumPy.
            values: for a model of a table, of each event a mapping by the names of columns, None where a field is
                empty, or a data frame with a row for each; for a model of arrays `(events, features)`.

        Returns:
            The labels that are ready, in the order of the events that made them so, each key's in that of its steps.

        Raises:
            InputError: arguments of unequal length; keys, steps or values that do not fit. No event is taken.
            DataError: fields that the model cannot read; no event is taken.
        """
        if not len(keys) == len(steps) == len(values):
            raise InputError(f"There are {len(keys)} keys, {len(steps)} steps and values of {len(values)} events.")
        self._keys.check(keys)
        steps, kind = self._reader.steps(steps)
        read = self._reader.values(values)
        self._reader.kind = kind
        labeled: list[Labeled] = []
        first = 0
        while first < len(keys):
            until = len(keys) if self.idle is None else min(len(keys), first + self._next_sweep - self.events)
            slots = self._keys.slots_of(keys[first:until])
            taken = self._rounds.in_order(slots, steps[first:until], read[first:until])
            labeled += self._listed(self._rounds.take(taken))
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
        return self._listed(self._rounds.close([self._keys.slots[key]] if key in self._keys.slots else []))

    def flush(self) -> list[Labeled]:
        """End all sequences, in the order in which they began."""
        return self._listed(self._rounds.close(list(self._keys.slots.values())))

    def state(self, key: Hashable) -> bytes:
        """What is known of a key, to be restored here or elsewhere; see `restore`.

        Raises:
            InputError: there is no such key.
        """
        if key not in self._keys.slots:
            raise InputError(f"There is no key {key!r} in this stream.")
        return key_state(self._fingerprint, self._keys, self._keys.slots[key])

    def restore(self, key: Hashable, state: bytes) -> None:
        """Go on with a key as it was when `state` was taken: the same events give the same labels, bit for bit.

        Whatever is known of the key is replaced.

        Args:
            key: the key.
            state: what `state` gave, of any process, for this model, lookahead, chunk and reorder.

        Raises:
            InputError: it is damaged, of another model or stream, or its steps are of another kind than those here.
        """
        self._reader.kind = restore_key(self._fingerprint, self._keys, key, state, self._reader.kind)

    def save(self) -> bytes:
        """All keys and counts, for `load`."""
        states = [np.frombuffer(self.state(key), np.uint8) for key in self._keys.slots]
        counts = self.events, self.dropped, self._newest, self._next_sweep
        facts: dict[str, Any] = {"counts": counts, "sizes": list(map(len, states))}
        facts["keys"] = list(map(coded_key, self._keys.slots))
        if self._reader.tally is not None:
            facts["met"] = self._reader.tally.to_json()
        return pack(self._fingerprint, facts, states)

    def load(self, saved: bytes) -> None:
        """Go on in a new stream where another one was saved: the same events give the same labels, bit for bit.

        Raises:
            InputError: the bytes are damaged, or of another model or stream; or this stream has keys already.
        """
        if len(self):
            raise InputError(f"This stream has {len(self)} keys already. Load what was saved into a new one.")
        facts, take = unpack(self._fingerprint, saved, "counts")
        if self._reader.tally is not None and "met" in facts:
            self._reader.tally.add_json(facts["met"])
        self.events, self._rounds.dropped, self._newest, sweep = facts["counts"]
        self._next_sweep = max(sweep, self.events + 1)  # a stream without `idle` puts it off for ever
        for key, size in zip(facts["keys"], facts["sizes"], strict=True):
            self.restore(key, take((size,), np.uint8).tobytes())

    def replay(self, sequences: Sequences) -> tuple[Numbers, Floats]:
        """The labels and probabilities of the steps of whole sequences, whose first steps come first, then the second.

        Args:
            sequences: as the network reads them, all at once; their numbers are the keys.

        Returns:
            The codes of the labels, `(steps,)`, and the probabilities, `(steps, classes)`.

        Raises:
            InputError: the stream has keys already.
        """
        if len(self):
            raise InputError(f"This stream has {len(self)} keys already. Replay sequences in a new one.")
        found, keys, order = [], sequences.sequence_of_steps, np.argsort(sequences.positions, kind="stable")
        for first in range(0, len(order), STEPS_A_CALL):
            some = order[first : first + STEPS_A_CALL]
            slots = self._keys.slots_of(keys[some].tolist())
            events = Events(slots, some.astype(object), sequences.values[some], np.arange(len(some)))
            found += self._rounds.take(events.by_key())
        codes, p = np.empty(sequences.steps, np.int64), np.empty((sequences.steps, len(self.model.classes)), np.float32)
        for each in [*found, *self._rounds.close(list(self._keys.slots.values()))]:
            steps = each.steps.astype(np.int64)
            codes[steps], p[steps] = each.codes, each.probabilities
        return codes, p

    def _swept(self) -> list[Found]:
        """The labels of keys that have been idle for too long."""
        waiting, last = self._keys.waiting, self._keys.last
        newest = {s: waiting[s][-1][0] if waiting.get(s) else last[s] for s in self._keys.slots.values()}
        found = self._rounds.close([slot for slot, step in newest.items() if _behind(self._newest, step) > self.idle])
        self._next_sweep = self.events + max(SWEEP, len(self))
        return found

    def _listed(self, found: list[Found]) -> list[Labeled]:
        """Labels in the order of the events that made them ready."""
        if not found:
            return []
        triggers, keys, steps, codes, p = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.argsort(triggers, kind="stable")
        p = p[order]
        on = gc.isenabled()
        gc.disable()  # of thousands of new tuples, none of which is a cycle, it takes a third of the time
        try:
            labels = [self.model.classes[code] for code in codes[order].tolist()]
            items = zip(keys[order].tolist(), steps[order].tolist(), labels, p.tolist(), strict=True)
            return list(map(partial(tuple.__new__, Labeled), items))  # as `Labeled._make`, in half the time
        finally:
            if on:
                gc.enable()


def _behind(newest: Any, step: Any) -> Any:
    """How far a step is behind another one, in seconds if they are times."""
    return (newest - step).total_seconds() if isinstance(newest, datetime) else newest - step
