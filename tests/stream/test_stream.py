"""Labels K steps late: offline numbers with enough lookahead, the same bits whatever else is in a batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.sequences import Sequences
from bothways.stream import Labeled, Stream
from stream_cases import NETWORKS, START, events_of, model_of, sequences_of


def pushed(stream: Stream, events: list[Any], at_once: int) -> list[Labeled]:
    found = []
    for first in range(0, len(events), at_once):
        keys, steps, values = zip(*events[first : first + at_once], strict=True)
        found += stream.push_many(keys, steps, np.array(values))
    return found


@pytest.mark.parametrize("kinds", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("chunk", [None, 6])
def test_enough_lookahead_gives_the_offline_numbers(kinds: list[dict[str, Any]], chunk: int | None) -> None:
    model, sequences = model_of(kinds), sequences_of([1, 2, 40, 90, 17, 16, 65])
    stream = model.stream(lookahead=100, chunk=chunk)
    found = pushed(stream, list(events_of(sequences)), 64) + stream.flush()
    assert len(stream) == 0
    for k, (p, labels) in enumerate(zip(model.predict_proba(sequences), model.predict(sequences), strict=True)):
        mine = [each for each in found if each.key == f"key {k}"]
        assert [each.step for each in mine] == list(range(len(p)))
        assert np.array_equal(np.array([each.probabilities for each in mine], np.float32), p)
        assert [each.label for each in mine] == labels.tolist()


@pytest.mark.parametrize("kinds", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(("lookahead", "chunk"), [(0, None), (5, 3), (16, 1), (2, 9)])
def test_the_same_labels_however_events_come(kinds: list[dict[str, Any]], lookahead: int, chunk: int | None) -> None:
    model = model_of(kinds)
    if chunk is not None:
        chunk += -chunk % model.network.conv_stride
    lookahead = max(lookahead, *(network.lookahead for network in model.networks), 0)
    events = list(events_of(sequences_of([1, 30, 77, 5, 64])))
    one, many = (model.stream(lookahead, chunk=chunk) for _ in range(2))
    alone, together = pushed(one, events, 1), pushed(many, events, 61)
    assert alone == together
    assert one.flush() == many.flush()
    assert len(alone) > 50


LEAST = {"forward": 0, "forward, convolution": 2, "late": 4, "late, plain": 5, "late, stride": 6}


@pytest.mark.parametrize("kind", LEAST)
@pytest.mark.parametrize("chunk", [None, 6])
def test_a_forward_network_gives_the_offline_numbers_at_once(kind: str, chunk: int | None) -> None:
    model, sequences = model_of(NETWORKS[kind]), sequences_of([1, 3, 5, 160])
    stream = model.stream(chunk=chunk)
    found = sorted(pushed(stream, list(events_of(sequences)), 20) + stream.flush())
    expected = np.concatenate(model.predict_proba(sequences))
    assert np.array_equal(np.array([each.probabilities for each in found], np.float32), expected)
    assert stream.lookahead == LEAST[kind]
    if late := model.network.lookahead:
        with pytest.raises(InputError, match=f"trained to label steps {late} steps late"):
            model.stream(late - 1)


PROMISED = [
    {},
    {"changes": 4},
    {"conv_window": 5, "cell": "gru"},
    {"conv_window": 6, "conv_stride": 3},
    {"depth": 2, "changes": 4},
    {"head": "crf", "direction": "forward"},
    {"head": "crf"},
    {"levels": "both"},
    {"levels": "centered"},
    {"levels": "both", "direction": "forward"},
    {"levels": "both", "direction": "backward"},
    {"levels": "scaled", "direction": "backward"},
]


@pytest.mark.parametrize("kind", PROMISED)
@pytest.mark.parametrize("chunk", [6, 1])
def test_a_label_sees_just_the_steps_that_are_promised(kind: dict[str, Any], chunk: int) -> None:
    (sequence,) = sequences_of([60])
    model = model_of([{"levels": "raw"} | kind])
    network = model.network
    chunk = max(chunk, network.conv_stride)
    stream = model.stream(7, chunk=chunk)
    # What upper layers and a CRF carry forward, and the means that the forward direction read, come from what was known
    # then: it is the same for the first chunk.
    carried = network.direction == "both" and (network.depth > 1 or network.head == "crf" or network.levels != "raw")
    checked = 0
    for step, values in enumerate(sequence):
        found = stream.push("a", step, values)
        first, due = step + 1 - chunk - 7, (step - 6) % chunk == 0 and step >= 7
        assert [each.step for each in found] == (list(range(first, first + chunk)) if due else [])
        if found and not (carried and first):
            (offline,) = model.predict_proba([sequence[: step + 1]])
            p = [each.probabilities for each in found]
            np.testing.assert_allclose(p, offline[first : first + chunk], atol=1e-6)
            checked += 1
    assert checked == (1 if carried else 53 // chunk)


@pytest.mark.parametrize("kinds", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("reorder", [0, 3])
def test_replay_after_a_restore_gives_the_same_bits(kinds: list[dict[str, Any]], reorder: int) -> None:
    model, events = model_of(kinds), list(events_of(sequences_of([60, 3, 45])))
    first = model.stream(6, reorder=reorder)
    pushed(first, events[:70], 7)
    states = {key: first.state(key) for key in ("key 0", "key 1", "key 2")}
    rest = pushed(first, events[70:], 7) + first.flush()
    second = model.stream(6, reorder=reorder)
    for key in reversed(states):
        second.restore(key, states[key])
    again = pushed(second, events[70:], 50) + second.flush()
    assert {each[:2]: each for each in again} == {each[:2]: each for each in rest}
    assert len(again) == len(rest) > 30
    second.restore("key 0", states["key 0"])
    before = len(second)
    assert pushed(second, [event for event in events[:70] if event[0] == "key 0"], 9) == []
    assert len(second) == before
    assert second.dropped == sum(event[0] == "key 0" for event in events[:70])


def test_a_stream_that_is_loaded_goes_on_in_the_same_order() -> None:
    model, events = model_of([{}]), list(events_of(sequences_of([60, 3, 45, 50, 2])))
    first = model.stream(2, chunk=1, reorder=4)
    pushed(first, events[:40], 7)
    first.close("key 0")  # so that the next key gets a place among older ones
    pushed(first, events[40:90], 7)
    second = model.stream(2, chunk=1, reorder=4)
    second.load(first.save())
    assert second.save() == first.save()
    assert pushed(second, events[90:], 11) == pushed(first, events[90:], 5)
    assert second.flush() == first.flush()


def test_a_state_that_is_not_whole_or_not_ours_is_refused() -> None:
    model, (sequence,) = model_of([{}]), sequences_of([30])
    stream = model.stream(4)
    pushed(stream, [("a", i, values) for i, values in enumerate(sequence)], 30)
    state = stream.state("a")
    for damaged in (state[:-1], state[:10], b"", bytes([state[0] ^ 1]) + state[1:], state + b"0"):
        with pytest.raises(InputError, match="damaged"):
            stream.restore("a", damaged)
    for other in (model.stream(5), model.stream(4, chunk=9), model_of([{}], seed=5).stream(4)):
        with pytest.raises(InputError, match="another model"):
            other.restore("a", state)
    with pytest.raises(InputError, match=r"is bytes, as Stream.state or Stream.save gave it; 'x' is none"):
        stream.restore("a", "x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no key 'b'"):
        stream.state("b")
    with pytest.raises(InputError, match=r"restore takes what Stream.state gave"):
        stream.restore("a", stream.save())
    with pytest.raises(InputError, match=r"Stream.load what Stream.save gave"):
        model.stream(4).load(state)
    times = model.stream(4)
    times.push("a", START, sequence[0])
    with pytest.raises(InputError, match=r"steps of this state are times without time zones; .* stream are numbers"):
        stream.restore("b", times.state("a"))
    assert "b" not in stream
    assert stream.state("a") == state


@pytest.mark.every_case
@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 1.4},
        {"threshold": 0.6},
        {"balance": 0.5},
        {"classes": ("O", "B-x", "I-x"), "facts": {"scheme": ""}},
        {"members": [replace(model_of([{}]).members[0], share=2.0)]},
    ],
)
def test_a_state_of_a_model_that_decides_in_another_way_is_refused(other: dict[str, Any]) -> None:
    model = replace(model_of([{}]), class_counts={"c0": 9, "c1": 3, "c2": 1})
    model = replace(model, classes=other.get("classes", model.classes))
    saved = model.stream(4).save()
    model.stream(4).load(saved)
    with pytest.raises(InputError, match="another model"):
        replace(model, **other).stream(4).load(saved)


@pytest.mark.parametrize("pace", [(0, 1), (3, 1), (2, 4), (99, 99)])
@pytest.mark.parametrize("tags", [("B-x", "I-x", "B-y", "I-y", "O"), ("B-x", "E-x", "I-x", "O", "S-x"), ("B", "I")])
def test_tags_that_may_not_follow_each_other_do_not_come_out(tags: tuple[str, ...], pace: tuple[int, int]) -> None:
    """Also where a key is restored within a name; all but the last tag, which is out before its sequence ends."""
    model = replace(model_of([{"head": "crf"}], len(tags), seed=4), classes=tags)
    scheme, lengths = model.scheme, [40, 1, 55]
    assert scheme is not None
    arrays = sequences_of(lengths)
    events = list(events_of(arrays))
    found, stream = [], model.stream(pace[0], chunk=pace[1])
    for some in (events[:45], events[45:]):
        found += pushed(stream, some, 7)
        saved, stream = stream.save(), model.stream(pace[0], chunk=pace[1])
        stream.load(saved)
    found = sorted(found + stream.flush())
    codes = np.array([tags.index(each.label) for each in found])
    of_each = np.array([count for _, count in sorted(Counter(each.key for each in found).items())])
    if pace == (99, 99):
        assert [each.label for each in found] == np.concatenate(model.predict(arrays)).tolist()
    before = np.full(3, len(tags))
    single = np.array([each.probabilities for each in found]).argmax(axis=1)
    assert len(scheme.malformed(single, of_each, before, ends=False)) > 0
    assert len(scheme.malformed(codes, of_each, before, ends=pace[0] > 0)) == 0
    assert model.stream(pace[0], chunk=pace[1]).replay(Sequences.from_arrays(arrays))[0].tolist() == codes.tolist()


def test_a_replay_of_sequences_gives_what_pushes_give() -> None:
    model, arrays = model_of(NETWORKS["average"]), sequences_of([30, 1, 55])
    stream = model.stream(5, chunk=3)
    found = sorted(pushed(stream, list(events_of(arrays)), 20) + stream.flush())
    replayed = model.stream(5, chunk=3).replay(Sequences.from_arrays(arrays))
    assert np.array_equal(replayed[1], np.array([each.probabilities for each in found], np.float32))
    assert replayed[0].tolist() == [model.classes.index(each.label) for each in found]
    stream.push("a", 0, arrays[0][0])
    with pytest.raises(InputError, match="1 keys already"):
        stream.replay(Sequences.from_arrays(arrays))


def test_late_and_double_events_are_dropped_and_counted() -> None:
    model, (sequence,) = model_of([{}]), sequences_of([20])
    events = [("a", i, values) for i, values in enumerate(sequence)]
    plain, noisy = model.stream(3), model.stream(3)
    expected = pushed(plain, events, 5) + plain.flush()
    assert pushed(noisy, [*events[:9], events[3], events[8], *events[9:], events[0]], 5) + noisy.flush() == expected
    assert (noisy.dropped, plain.dropped) == (3, 0)


@pytest.mark.parametrize("at_once", [1, 4, 100])
def test_events_out_of_order_within_bounds_are_sorted(at_once: int) -> None:
    model, sequences = model_of([{}]), sequences_of([40, 25])
    events = list(events_of(sequences))
    plain, mixed = model.stream(3), model.stream(3, reorder=2)
    expected = pushed(plain, events, 7) + plain.flush()
    shuffled = []
    for key in ("key 0", "key 1"):
        mine = [event for event in events if event[0] == key]
        for i in range(0, len(mine), 3):
            shuffled += reversed(mine[i : i + 3])
    found = pushed(mixed, shuffled, at_once) + mixed.flush()
    assert sorted(found) == sorted(expected)
    assert mixed.dropped == 0
    found = pushed(mixed, [events[0]] * 2, at_once)
    assert mixed.dropped == 1


def test_idle_keys_are_closed_at_the_same_events_however_they_come() -> None:
    model = model_of([{}])
    (values,) = sequences_of([3000])
    events = [(f"key {i % 3 if i < 500 else 3 + i % 2}", i, row) for i, row in enumerate(values)]
    found = []
    for at_once in (1, 700, 3000):
        stream = model.stream(16, idle=900)
        found.append(pushed(stream, events, at_once))
        assert len(stream) == 2
    assert found[0] == found[1] == found[2]
    assert {f"key {i}" for i in range(3)} <= {each.key for each in found[0]}


def test_idle_keys_are_closed_where_those_of_the_stream_that_was_saved_were_not() -> None:
    model, (sequence,) = model_of([{}]), sequences_of([1100])
    first, second = model.stream(2), model.stream(2, idle=10)
    first.push_many(["a"] * 1100, range(1100), sequence)
    second.load(first.save())
    assert second.push_many(["b"] * 3, [2000, 2001, 2002], sequence[:3]) == first.close("a")
    assert (second.events, "a" in second, "b" in second) == (1103, False, True)


def test_times_as_steps() -> None:
    model, (sequence,) = model_of([{}]), sequences_of([1500])
    start = datetime(2024, 5, 1, tzinfo=UTC)
    events = [("a" if i < 9 else "b", start + timedelta(seconds=i), row) for i, row in enumerate(sequence)]
    stream = model.stream(4, idle=600)
    found = pushed(stream, events, 100)
    assert [each.step for each in found if each.key == "a"] == [event[1] for event in events[:9]]
    other = model.stream(4, idle=600)
    other.restore("b", stream.state("b"))
    assert other.flush() == stream.flush()
    with pytest.raises(InputError, match="A step is 3; the steps of this stream must be times with time zones"):
        stream.push("b", 3, sequence[0])


def test_hours_of_a_change_of_clocks_come_one_after_the_other() -> None:
    """Python takes no notice of it where both times are of one zone."""
    stream, (sequence,) = model_of([{}]).stream(2), sequences_of([9])
    times = [datetime(2024, 10, 27, tzinfo=UTC) + timedelta(minutes=20 * i) for i in range(9)]
    found = pushed(stream, [("a", time.astimezone(ZoneInfo("Europe/Berlin")), sequence[0]) for time in times], 1)
    assert [each.step for each in (*found, *stream.flush())] == times
    assert stream.dropped == 0


@pytest.mark.parametrize("kind", ["int64", "float64", "float32", "datetime64[s]", "datetime64[ns]"])
def test_steps_may_be_numbers_and_times_of_numpy(kind: str) -> None:
    """One at a time, as the rows of a data frame give them, they are what they are in an array."""
    model, (sequence,) = model_of([{}]), sequences_of([9])
    steps = np.arange(9).astype("datetime64[s]" if "date" in kind else kind).astype(kind)
    stream, at_once = model.stream(2), model.stream(2)
    found = [each for step, row in zip(steps, sequence, strict=True) for each in stream.push("a", step, row)]
    assert found == at_once.push_many(["a"] * 9, steps, sequence) != []
    assert {type(each.step) for each in found} == {datetime if "date" in kind else type(steps[0].item())}
    with pytest.raises(InputError, match="A step is None"):
        stream.push("a", np.datetime64("NaT", "s"), sequence[0])


def test_a_time_that_is_missing_in_a_data_frame_is_no_step() -> None:
    times = pytest.importorskip("pandas").Series([datetime(2024, 5, 1), None])
    with pytest.raises(InputError, match="A step is NaT"):
        model_of([{}]).stream().push_many(["a", "a"], times, sequences_of([2])[0])


def test_keys_of_numpy_can_be_saved() -> None:
    model, (sequence,) = model_of([{}]), sequences_of([3])
    stream, other = model.stream(2), model.stream(2)
    stream.push_many(np.full(3, 7), np.arange(3), sequence)
    other.load(stream.save())
    assert other.close(7) == stream.close(7) != []


def test_a_crf_waits_for_later_steps_even_if_its_network_reads_forward() -> None:
    stream = model_of([{"head": "crf", "direction": "forward"}]).stream()
    assert (stream.lookahead, stream.chunk) == (16, 16)


def test_bad_input_is_refused_and_nothing_taken() -> None:
    model = model_of([{}])
    stream = model.stream(idle=9)
    for bad, said in (
        ((["a"], [1, 2], [[0, 0, 0]]), "1 keys, 2 steps and values of 1"),
        ((["a"], [float("nan")], [[0, 0, 0]]), "A step is nan"),
        ((["a"], [True], [[0, 0, 0]]), "A step is True"),
        ((["a"], ["1"], [[0, 0, 0]]), "A step is '1'"),
        ((["a", float("nan")], [1, 1], [[0, 0, 0]] * 2), "A key is nan"),
        ((["a"] * 2000 + [float("nan")], range(2001), [[0, 0, 0]] * 2001), "A key is nan"),
        (([["a", 1]], [1], [[0, 0, 0]]), "These keys are none .*'list'"),
        ((["a"], [1], [[0, 0]]), r"a list of 3 numbers; these are \[0, 0\]"),
        ((["a"], [1], [[0, np.inf, 0]]), "inf"),
        ((["a"], [1], [[0, 0, 9999]]), "codes are the whole numbers"),
    ):
        with pytest.raises(InputError, match=said):
            stream.push_many(*bad)
    assert (len(stream), stream.events) == (0, 0)
    assert stream.close("a") == stream.flush() == stream.push_many([], [], []) == []
    for options, said in (
        ({"lookahead": -1}, "lookahead"),
        ({"lookahead": 10**20}, "at most 1000000000"),
        ({"chunk": 0}, "chunk"),
        ({"reorder": 1.5}, "reorder"),
        ({"idle": 0}, "idle"),
        ({"idle": "10m"}, "idle is '10m'; it must be a number above 0"),
    ):
        with pytest.raises(InputError, match=said):
            model.stream(**options)
    with pytest.raises(InputError, match="multiple of 3"):
        model_of(NETWORKS["stride"]).stream(4, chunk=4)
    with pytest.raises(InputError, match="one label per sequence"):
        model_of([{"per": "sequence"}]).stream()


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("kind", "reach"),
    [
        ("both ways", 4),
        ("gru, all changes", 64),
        pytest.param("average with simple models", 32 + 31, marks=pytest.mark.slow),
    ],
)
def test_the_memory_of_a_key_is_bounded(kind: str, reach: int) -> None:
    """However many steps it has had, and however many events came with those that wait to be sorted."""
    model, (sequence,) = model_of(NETWORKS[kind]), sequences_of([1000])
    stream = model.stream(8, reorder=3)
    for first in range(0, 1000, 50):
        stream.push_many(["a"] * 50, range(first, first + 50), sequence[first : first + 50])
        assert len(stream.state("a")) < stream.key_bytes
    assert stream._keys.values.shape[1] <= reach + 8 + 8
    assert all(row.base is None for waiting in stream._keys.waiting.values() for _, row in waiting)


def test_keys_of_several_parts_are_saved() -> None:
    model = model_of([{}])
    stream, whole = model.stream(lookahead=2), model.stream(lookahead=2)
    keys = [("site", 1), ("site", (2, "b")), "site"]
    for each in (stream, whole):
        each.push_many(keys, [0, 0, 0], np.ones((3, 3)))
    other = model.stream(lookahead=2)
    other.load(stream.save())
    assert [key in other for key in keys] == [True] * 3
    assert other.flush() == whole.flush()
    with pytest.raises(InputError, match="This stream has 3 keys already"):
        stream.load(whole.save())
