"""The networks of a stream: from the steps that each key holds to logits, for many keys at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bothways.means import with_squares
from bothways.network import CHANGES, Network
from bothways.runtime.members import BaselineMember, Member, checked_probabilities
from bothways.runtime.model import Model
from bothways.runtime.numbers import entering
from bothways.runtime.stack import Stack
from bothways.sequences import Array, Doubles, Floats, Numbers, Sequences
from bothways.spec import cell_spec

States = list[list[Array]]  # of each layer the arrays `(slots, width)` of its states


class Windows(NamedTuple):
    """What some keys hold: steps that are labeled, those to label, and those after them."""

    slots: Numbers  # `(keys,)` which keys
    values: Array  # `(keys, time, features)`, anything beyond their lengths
    past: Numbers  # `(keys,)` how many of its steps come before those to label
    size: Numbers  # `(keys,)` how many to label
    lengths: Numbers  # `(keys,)` how many there are in all
    before: Doubles  # `(keys, 1 + 2 * numeric)`, as for `numbers`: what came before its first step here
    ends: bool  # whether nothing comes after these steps


def reach(network: Network) -> int:
    """How many steps before those to label a network reads again: for a convolution, and for changes to its steps."""
    of_changes = 0 if network.direction == "backward" else max(CHANGES[: network.changes], default=0)
    return of_changes + (network.convolution.padding[0] if network.convolution else 0)


def reach_of(model: Model) -> int:
    """How many steps before those to label a model reads again; some simple models look at steps of their own."""
    simple = (each.baseline.reach for each in model.members if isinstance(each, BaselineMember))
    return max([*map(reach, model.networks), *simple])


def ahead(network: Network) -> int:
    """How many later steps a network reads for a label, its backward direction aside."""
    convolution = network.convolution
    return network.lookahead + (max(0, convolution.padding[1] + 1 - convolution.stride) if convolution else 0)


def reads_forward_alone(model: Model) -> bool:
    """Whether no step after those that `ahead` counts changes a label; those after it do in a CRF, which smooths, and
    in simple models.
    """
    forward = (network.direction == "forward" and network.head != "crf" for network in model.networks)
    return len(model.networks) == len(model.members) and all(forward)


def passed(before: Array, values: Array, steps: Numbers) -> Array:
    """What came before the steps that follow: `Windows.before` with the first `steps` of `values` taken in.

    Sums are taken step by step, so that they have the same bits however steps come.
    """
    numbers = with_squares(values[:, : steps.max(), : before.shape[1] // 2])
    sums = np.cumsum(np.concatenate([before[:, None, 1:], numbers], axis=1), axis=1)
    return np.concatenate([before[:, :1] + steps[:, None], sums[np.arange(len(steps)), steps]], axis=1)


def state_widths(member: Member | BaselineMember) -> list[list[int]]:
    """How wide each array of states is that a layer reading forward keeps of a key; and the messages of a CRF."""
    if isinstance(member, BaselineMember):
        return []
    network, widths = member.network, list[list[int]]()
    for layer in network.recurrent:
        kept = cell_spec(layer.cell).states if layer.directions[0] == "forward" else ()
        widths.append([layer.units for _ in kept])
    return [*widths, [network.classes]] if network.head == "crf" else widths


def probabilities(member: Member | BaselineMember, windows: Windows, states: States) -> Floats:
    """Label steps, and move the states on: `(steps to label, classes)`, one key after the other."""
    if isinstance(member, BaselineMember):
        return _of_baseline(member, windows)
    # A network that answers late has read `late` steps more than are labeled, except of new keys.
    network, late = member.network, member.network.lookahead
    lead = np.where(windows.before[:, 0] + windows.past > 0, 0, late)
    first = windows.past + late - lead
    again = np.maximum(0, first - reach(network))
    time = np.arange(windows.values.shape[1])
    there = (time >= again[:, None]) & (time < windows.lengths[:, None])
    before, lengths = passed(windows.before, windows.values, again), windows.lengths - again
    x = np.zeros((*there.shape, network.inputs), np.float32)
    x[there] = entering(network, member.weights, windows.values[there], lengths, before)
    z = np.empty((windows.size.sum(), network.outputs), np.float32)
    for each in {0, late}:
        some = np.flatnonzero(lead == each)
        if len(some):
            z[np.repeat(lead == each, windows.size)] = _logits(member.stack, windows, states, x, first, some, each)
    return checked_probabilities(z)


def _of_baseline(member: BaselineMember, windows: Windows) -> Floats:
    """The same of a simple model: it looks at the steps that a key holds, and the means of those before them."""
    there = np.arange(windows.values.shape[1]) < windows.lengths[:, None]
    held = Sequences(windows.values[there], windows.lengths)
    past, size = (counts[held.sequence_of_steps] for counts in (windows.past, windows.size))
    return member.probabilities(held, windows.before)[(held.positions >= past) & (held.positions < past + size)]


def _logits(
    stack: Stack, windows: Windows, states: States, values: Floats, begin: Numbers, some: Numbers, lead: int
) -> Floats:
    """The logits of the steps to label of some keys, which begin `lead` steps after the first one not yet read."""
    network = stack.network
    before = network.convolution.padding[0] if network.convolution else 0
    known, first = windows.lengths[some, None], begin[some, None]
    lengths = known + network.lookahead if windows.ends else known
    rows = np.arange(before + int((lengths - first).max())) + first - before  # which of its steps stands where
    counts = (rows >= 0) & (rows < lengths)
    there = counts & (rows < known)
    x = np.zeros((*counts.shape, network.inputs), np.float32)
    x[there] = values[np.broadcast_to(some[:, None], there.shape)[there], rows[there]]
    slots, size = windows.slots[some], windows.size[some, None]
    entered = [tuple(array[slots] for array in layer) or None for layer in states]
    with np.errstate(over="ignore", invalid="ignore"):
        z, left = stack.window(x, counts, lead + int(size.max()), entered)
    for layer, new in zip(states, left, strict=True):
        for array, of_keys in zip(layer, new or (), strict=True):
            array[slots] = of_keys
    return z[:, lead:][np.arange(z.shape[1] - lead) < size]
