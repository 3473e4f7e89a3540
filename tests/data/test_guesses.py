"""Guesses at the parts of columns."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import Columns, Guess, choose_columns, guess_table, split_table
from bothways.errors import DataError, InputError
from bothways.tables import Table, read_table


def table(**columns: Any) -> Table:
    base = {"session_id": [1, 1, 2, 2, 3, 3], "step": [0, 1] * 3, "bytes": [1.5, 2.5, 3.5] * 2, "label": [0, 1] * 3}
    return Table("some.csv", pl.DataFrame(base | columns))


PARTS = ["train"] * 2 + ["val"] * 2 + ["test"] * 2


def why(columns: Columns, name: str) -> tuple[str, str]:
    """The role of a column, and the reason."""
    (guess,) = (guess for guess in columns.guesses if guess.name == name)
    return guess.role, guess.why


def test_every_guess_is_made_and_kept() -> None:
    columns = choose_columns(table(split=PARTS))
    assert columns.roles == {"label": "label", "sequence": "session_id", "order": "step", "split": "split"}
    assert columns.features == ("bytes",)
    assert {guess.name: guess.role for guess in columns.guesses} == {
        name: role for role, name in columns.roles.items()
    } | {"bytes": "feature"}


def test_a_place_is_no_label() -> None:
    assert choose_columns(table(x=[0.5, 1.5, 2.5] * 2, y=[3.5, None, 4.5] * 2)).label == "label"
    with pytest.raises(DataError, match=r"which column is the label\? It may be 'label' or 'y'"):
        choose_columns(table(label=[3.5] * 6, y=[3.5, 0.5] * 3))


def test_what_is_named_wins() -> None:
    some = table(split=PARTS, tag=[1, 0] * 3, host=["a"] * 3 + ["b"] * 3, time=range(6))
    roles = {"label": "tag", "sequence": "host", "order": "time"}
    columns = choose_columns(some, **roles, split="none", drop=["label", "session_id", "step"])
    assert columns.roles == roles
    assert all(guess.plain for guess in columns.guesses)


@pytest.mark.parametrize("part", ["sequence", "order", "split"])
def test_no_column_plays_a_part_where_none_is_said(part: str) -> None:
    given: Any = {part: "none"}
    columns = choose_columns(table(split=PARTS), **given)
    assert part not in columns.roles


def test_a_feature_that_is_given_twice_is_one() -> None:
    columns = choose_columns(table(x=[1, 2, 3] * 2), features=["bytes", "x", "bytes"], categorical=["x", "x"])
    assert (columns.features, columns.categories) == (("bytes", "x"), ("x",))
    assert Columns.from_json(columns.to_json()) == columns


def test_a_column_called_none_is_a_column() -> None:
    assert choose_columns(table(none=[1, 1, 1, 2, 2, 2]), sequence="none").sequence == "none"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"tag": [0, 1] * 3}, "which column is the label. It may be 'label' or 'tag'. Say it with label="),
        ({"part": PARTS, "split": PARTS}, "which column is the split. It may be 'part' or 'split'"),
        (
            {"host": ["a1", "b2", "b2", "a1", "a1", "b2"]},
            "which column is the sequence. It may be 'session_id' or 'host'",
        ),
    ],
)
def test_a_guess_that_could_be_two_columns_is_refused(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=f"^some.csv: {said}"):
        choose_columns(table(**columns))


def test_a_feature_that_is_called_as_a_label_is_told() -> None:
    some = table(state=list("abcabc"), y=[0.5, 1.5, 2.5] * 2)
    columns = choose_columns(some, label="state")
    assert why(columns, "label") == ("feature", "called as a label is (drop=['label'] if it is one, too)")
    assert why(columns, "y") == ("feature", "numbers")
    assert why(choose_columns(table(tag=list("abcabc")), label="label"), "tag")[0] == "category"
    assert "label" not in choose_columns(some, label="state", drop=["label"]).features


def test_no_label_at_all() -> None:
    with pytest.raises(DataError, match=r"some.csv: no column is called label, .*label=. The columns are: 'x'"):
        choose_columns(Table("some.csv", pl.DataFrame({"x": [1, 2]})))
    with pytest.raises(InputError, match="per is 'word'; it must be one of: step, sequence"):
        choose_columns(table(), per="word")


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4, 5, 6],  # each its own
        [7] * 6,  # all one
        [1.5, 1.5, 2.0, 2.0, 3.0, 3.0],  # amounts
    ],
)
def test_what_tells_no_sequences_apart(values: list[Any]) -> None:
    columns = choose_columns(table(session_id=values), order="none")
    assert columns.sequence is None


def test_what_is_empty_somewhere_sorts_nothing() -> None:
    assert choose_columns(table(step=[0, None, 0, 1, 0, 1])).order is None


def test_a_time_sorts_before_a_number() -> None:
    times = [datetime.datetime(2024, 1, 1, 0, minute) for minute in range(6)]
    columns = choose_columns(table(timestamp=times))
    assert columns.order == "timestamp"
    assert columns.features == ("bytes",)
    assert why(columns, "step") == ("left out", "sorts the steps as 'timestamp' does")


@pytest.mark.parametrize("values", [["a", "b"] * 3, [0, 1] * 3])
def test_a_split_column_says_train_valid_and_test_only(values: list[Any]) -> None:
    columns = choose_columns(table(fold=values))
    assert (columns.split, columns.features) == (None, ("bytes",))


def test_whole_numbers_that_are_kinds_by_their_names() -> None:
    rows = {"label": [0, 1] * 200, "dest_port": [22, 80, 443, 53] * 100, "size": [9, 1500, 40, 77] * 100}
    columns = choose_columns(Table("some.csv", pl.DataFrame(rows)))
    assert columns.categories == ("dest_port",)
    assert why(columns, "dest_port")[0] == "category"
    assert why(columns, "size") == ("feature", "4 whole numbers; if they are categories: categorical=['size']")
    columns = choose_columns(
        Table("some.csv", pl.DataFrame(rows)), label="label", numeric=["dest_port"], categorical=["size"]
    )
    assert columns.categories == ("size",)
    assert all(guess.plain for guess in columns.guesses)
    columns = choose_columns(Table("some.csv", pl.DataFrame(rows).rename({"dest_port": "sample identifier"})))
    assert columns.categories == ("sample identifier",)


def test_one_label_for_each_sequence_where_none_changes() -> None:
    rows = {
        "seq": [i // 3 for i in range(36)],
        "x": [i * i % 7 for i in range(36)],
        "label": [i // 3 % 2 for i in range(36)],
    }
    columns = choose_columns(Table("some.csv", pl.DataFrame(rows)))
    assert columns.per == "sequence"
    assert "one per sequence, as it never changes within one (per='step'" in why(columns, "label")[1]
    assert choose_columns(Table("some.csv", pl.DataFrame(rows)), per="step").per == "step"
    first = pl.DataFrame(rows).with_columns(pl.when(pl.int_range(pl.len()) % 3 == 0).then("label"))
    found = why(choose_columns(Table("some.csv", first)), "label")[1]
    assert "never changes within one; empty in 24 rows (per='step'" in found
    for change in ({"label": [0] * 35 + [1]}, {"seq": [i // 12 for i in range(36)]}):
        assert choose_columns(Table("some.csv", pl.DataFrame(rows | change)), sequence="seq").per == "step"


MINUTES = np.tile(np.arange(100), 12)
DEVICES = np.repeat(np.arange(12), 100)
GENERATOR = np.random.default_rng(0)


def log(**columns: Any) -> pl.DataFrame:
    """12 pumps, one after the other, each with a reading a minute."""
    start = datetime.datetime(2024, 1, 1)
    base = {
        "pump": [f"P{device:02}" for device in DEVICES],
        "time": [start + datetime.timedelta(minutes=int(minute)) for minute in MINUTES],
        "x": GENERATOR.normal(size=1200),
        "label": GENERATOR.integers(0, 2, 1200),
    }
    return pl.DataFrame(base | columns)


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sample(fraction=1.0, shuffle=True, seed=1)


def one(**columns: Any) -> pl.DataFrame:
    """One sequence."""
    frame = log().drop("pump", "time")
    return frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (log(), "it rises from row to row"),
        (shuffled(log()), "the rows stand in another order"),
        (log().reverse(), "the newest rows stand first"),
        (log().sort("time", descending=True), "the newest rows stand first"),
        (shuffled(log().with_columns(pl.col("time").dt.truncate("10m"))), "the rows stand in another order"),
        (log().sort("time"), "it rises from row to row"),
    ],
    ids=["sorted", "shuffled", "newest first", "newest first, interleaved", "ties", "interleaved"],
)
def test_rows_in_any_order_are_sorted_by_their_times(frame: pl.DataFrame, said: str) -> None:
    columns = choose_columns(Table("some.csv", frame))
    assert columns.roles == {"label": "label", "sequence": "pump", "order": "time"}
    assert said in why(columns, "time")[1]
    parts = split_table(Table("some.csv", frame), columns, seed=0)[1]
    assert len(parts.train) == 8


@pytest.mark.parametrize("order", [lambda frame: frame, shuffled, lambda frame: frame.sort("t")])
def test_machines_with_a_counter_each(order: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    frame = order(log(machine=DEVICES, t=MINUTES).drop("pump", "time"))
    for name in ("machine", "Anlage"):
        columns = choose_columns(Table("some.csv", frame.rename({"machine": name})))
        assert columns.roles == {"label": "label", "sequence": name, "order": "t"}, name
        assert columns.features == ("x",)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("machine", DEVICES),
        ("device_id", [f"{device:x}f3" for device in DEVICES]),
        ("userId", DEVICES + 1000),
        ("patient_no", DEVICES),
        ("src_host", [f"10.0.0.{device}" for device in DEVICES]),
    ],
)
def test_devices_that_log_at_times_of_their_own(name: str, values: Any) -> None:
    frame = shuffled(log(**{name: values}).drop("pump", "time"))
    frame = frame.with_columns(ts=1.7e9 + pl.int_range(pl.len()) * 3)
    assert choose_columns(Table("some.csv", frame)).roles == {"label": "label", "sequence": name, "order": "ts"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("host", GENERATOR.choice(["web", "mail", "files", "print", "backup"], 1200)),
        ("dst_ip", [f"10.0.0.{host}" for host in GENERATOR.integers(0, 20, 1200)]),
        ("node", GENERATOR.integers(0, 20, 1200)),
        ("phase", [f"phase {device}" for device in DEVICES]),
    ],
)
def test_what_may_tell_sequences_apart_is_asked_about_and_no_feature(name: str, values: Any) -> None:
    columns = choose_columns(Table("some.csv", one(**{name: values})))
    assert (columns.sequence, columns.features) == (None, ("x",))
    role, said = why(columns, name)
    assert role == "left out"
    assert said == f"may tell sequences apart (sequence={name!r} if it does, categorical=[{name!r}] to learn from it)"
    assert choose_columns(Table("some.csv", one(**{name: values})), sequence=name).sequence == name
    kept = choose_columns(Table("some.csv", one(**{name: values})), categorical=[name])
    assert (kept.sequence, kept.categories) == (None, (name,))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("device", GENERATOR.choice(["mobile", "desktop"], 1200)),
        ("sensor", GENERATOR.choice(["heat", "smoke", "door"], 1200)),
        ("event_id", GENERATOR.integers(0, 20, 1200)),
        ("cell_id", GENERATOR.choice([4711, 4712, 4790], 1200)),
        ("Zone", [f"A-{device}" for device in GENERATOR.permutation(DEVICES)]),
        ("product_no", [f"{kind:03}" for kind in GENERATOR.integers(0, 20, 1200)]),
    ],
)
def test_kinds_of_things_stay_categories_with_a_word(name: str, values: Any) -> None:
    frame = one(**{name: values})
    columns = choose_columns(Table("some.csv", frame))
    assert (columns.sequence, columns.features, columns.categories) == (
        None,
        ("x", name),
        (name,) if isinstance(frame[name][0], str) or name.endswith("_id") else (),
    )
    assert why(columns, name)[1].startswith(f"comes again and again (sequence={name!r} if it tells sequences apart)")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("protocol", np.repeat(["tcp", "udp", "icmp"], 400)),
        ("state", np.repeat(["on", "off"] * 6, 100)),
        ("session_length", GENERATOR.integers(0, 50, 1200)),
        ("sensor_3", GENERATOR.normal(size=1200)),
        ("device_type", GENERATOR.choice(["a1", "b2", "c1"], 1200)),
    ],
)
def test_what_tells_no_sequences_apart_is_not_asked_about(name: str, values: Any) -> None:
    assert why(choose_columns(Table("some.csv", one(**{name: values}))), name)[1] in ("text", "numbers")


def test_the_finest_of_nested_ids_tells_sequences_apart() -> None:
    columns = choose_columns(Table("some.csv", log(user_id=DEVICES // 3).rename({"pump": "session_id"})))
    assert columns.sequence == "session_id"
    assert why(columns, "user_id") == ("left out", "joins sequences (group='user_id' keeps these in one part)")
    given = choose_columns(Table("some.csv", log(user_id=DEVICES // 3)), sequence="pump")
    assert why(given, "user_id") == why(columns, "user_id")
    kept = choose_columns(Table("some.csv", log(user_id=DEVICES // 3)), sequence="pump", categorical=["user_id"])
    assert "user_id" in kept.features, "what is asked for stays"


def test_what_each_sequence_has_one_of_is_no_feature() -> None:
    ships = {"MMSI": 367000000 + DEVICES * 7, "VesselName": [f"SHIP {each}" for each in DEVICES]}
    ships |= {"CallSign": [f"W{each}A" for each in DEVICES], "flag": np.array(["PA", "LR"])[DEVICES % 2]}
    columns = choose_columns(Table("some.csv", one(**ships, time=MINUTES)))
    assert (columns.sequence, columns.features) == ("MMSI", ("x", "flag"))
    some = Table("some.csv", one(**ships))
    columns = choose_columns(some, sequence="MMSI")
    said = "each sequence has one of its own (categorical=['CallSign'] to learn from it)"
    assert (columns.features, why(columns, "CallSign")) == (("x", "flag"), ("left out", said))
    assert choose_columns(some, sequence="MMSI", categorical=["CallSign"]).features == ("x", "CallSign", "flag")
    numbered = choose_columns(Table("some.csv", one(**ships, admission_no=DEVICES)), sequence="MMSI")
    assert why(numbered, "admission_no")[1].startswith("each sequence has one of its own"), "it joins none"
    sizes = choose_columns(Table("some.csv", log(size=DEVICES + 30, code=[f"c{each // 2}" for each in DEVICES])))
    assert sizes.features == ("x", "size", "code")


def test_a_flag_that_only_rises_is_no_meter() -> None:
    subjects, visits = np.repeat(np.arange(60), 4), np.tile(np.arange(4), 60)
    rows = {"subject": subjects, "last": visits // 3, "used": np.sqrt(visits), "label": subjects % 2}
    columns = choose_columns(Table("some.csv", pl.DataFrame(rows)))
    assert why(columns, "last")[1] == "numbers"
    assert why(columns, "used")[1].startswith("numbers; only rises within sequences, as a meter does")


def test_what_nearly_each_sequence_has_one_of_is_no_feature() -> None:
    """Two countries share a code."""
    columns = choose_columns(Table("some.csv", log(iso=[f"c{max(each, 1)}" for each in DEVICES])))
    said = "nearly each sequence has one of its own (categorical=['iso'] to learn from it)"
    assert why(columns, "iso") == ("left out", said)


def test_rows_that_are_sorted_by_a_category_are_no_sequences() -> None:
    kinds, rows = np.repeat(["adelie", "chinstrap", "gentoo"], 100), np.arange(300)
    base = {"kind": kinds, "x": rows * 7 % 11, "label": rows % 2}
    years = pl.DataFrame(base | {"year": 2007 + rows % 100 // 34})
    assert choose_columns(Table("some.csv", years)).sequence is None
    measured = pl.DataFrame(base | {"year": 1900 + rows % 100})
    assert choose_columns(Table("some.csv", measured)).sequence == "kind"
    numbers = pl.DataFrame(base | {"rowid": np.concatenate([rows[start::3] for start in range(3)])})
    assert choose_columns(Table("some.csv", numbers)).sequence is None
    counted = pl.DataFrame(base | {"rowid": rows % 100})
    assert choose_columns(Table("some.csv", counted)).sequence == "kind"
    sold = pl.DataFrame({"Yr.Sold": 2006 + rows // 50, "PID": rows % 50 * 7, "x": rows * 7 % 11, "label": rows % 2})
    assert choose_columns(Table("some.csv", sold)).sequence is None


@pytest.mark.parametrize("name", ["id", "subject", "patient_no"])
@pytest.mark.parametrize("missed", [False, True])
def test_the_number_of_a_visit_tells_no_sequences_apart(name: str, missed: bool) -> None:
    visits = {name: np.repeat(np.arange(50), 4), "visit": np.tile(np.arange(1, 5), 50)}
    frame = pl.DataFrame(visits | {"x": np.arange(200) * 7 % 11, "label": np.arange(200) % 2})
    columns = choose_columns(Table("some.csv", frame.filter(pl.col("x") > 0) if missed else frame))
    assert columns.sequence == name
    assert "visit" not in columns.features or missed


def test_a_flag_that_is_called_after_a_thing_is_asked_about() -> None:
    for name, sequence in (("driver", None), ("driver_id", "driver_id")):
        frame = {name: np.arange(200) * 7 % 5 % 2, "x": np.arange(200) * 7 % 11, "label": np.arange(200) % 3 % 2}
        columns = choose_columns(Table("some.csv", pl.DataFrame(frame)))
        assert columns.sequence == sequence
        assert sequence or why(columns, name)[1].startswith("may tell sequences apart (")


def test_visits_of_patients_whom_two_centers_number_are_told() -> None:
    rows = np.arange(200)
    frame = {"center": rows // 100, "id": rows % 100 // 4, "visit": rows % 4 + 1, "x": rows * 7 % 11, "label": rows % 2}
    said = "numbers the rows of each sequence, and no column tells these apart (numeric=['visit'] to keep it)"
    assert why(choose_columns(Table("some.csv", pl.DataFrame(frame))), "visit") == ("left out", said)


def test_rows_of_visits_are_no_steps_of_one() -> None:
    """Each visit has several rows, so it is one sequence."""
    rows = np.arange(600)
    frame = pl.DataFrame({"patient": rows // 60, "visit": rows // 10, "x": rows * 7 % 11, "label": rows % 2})
    assert choose_columns(Table("some.csv", frame)).sequence == "visit"


def test_the_code_of_a_label_tells_no_sequences_apart() -> None:
    kinds = np.arange(150) // 50
    rows = {"x": np.arange(150) * 7 % 11, "species": np.array(["setosa", "versicolor", "virginica"])[kinds]}
    columns = choose_columns(Table("some.csv", pl.DataFrame(rows | {"species_id": kinds + 1})), label="species")
    assert columns.sequence is None
    assert why(columns, "species_id")[0] == "category"
    columns = choose_columns(Table("some.csv", pl.DataFrame(rows | {"machine": kinds + 1})), label="species")
    assert columns.sequence == "machine", "what sequences surely belong to tells them apart"


def test_columns_that_tell_single_rows_are_not_both_asked_for() -> None:
    trials = one(subject=[f"S{each}" for each in DEVICES], machine=MINUTES + 1)
    with pytest.raises(DataError, match=r"It may be 'subject' or 'machine'\. Say it with sequence=\.$"):
        choose_columns(Table("some.csv", trials))


@pytest.mark.parametrize(
    ("name", "values", "role", "said"),
    [
        ("t", np.arange(1200), "order", "by its name; it rises from row to row"),
        ("t", np.cumsum(GENERATOR.random(1200)), "order", "it rises from row to row"),
        ("time", GENERATOR.permutation(1200) / 7, "order", "the rows stand in another order"),
        ("id", GENERATOR.permutation(1200), "order", "it numbers the rows"),
        ("Unnamed: 0", GENERATOR.permutation(1200), "order", "it numbers the rows"),
        ("Unnamed: 0", np.arange(1200), "left out", "numbers the rows"),
        ("n", np.arange(1200), "left out", "same amount with each step, as a counter does (order='n' to sort by it,"),
        ("n", GENERATOR.permutation(1200), "left out", "numbers rows that stand in another order (order='n'?)"),
        ("n", np.arange(1200) * 0.1, "left out", "rises by the same amount with each step"),
        ("days_left", np.arange(1200)[::-1], "left out", "falls by the same amount with each step"),
        ("event", np.cumsum(GENERATOR.integers(0, 5, 1200)), "left out", "only rises, as a counter does"),
        ("id", np.arange(1200) ** 2 * 1000.0, "left out", "only rises, as a counter does"),
        ("ptnum", np.arange(1200) // 4 * 3, "left out", "counter does (sequence='ptnum' if it tells"),
        ("kwh", np.cumsum(GENERATOR.random(1200)), "feature", "meter does (order='kwh' if it is a clock, drop=['kwh']"),
        ("t", MINUTES, "left out", "starts over 11 times, and no column tells these sequences apart"),
        ("response_time", GENERATOR.random(1200), "feature", "numbers"),
        ("price_index", GENERATOR.random(1200), "feature", "numbers"),
        ("time", np.arange(1200) // 5 % 24, "left out", "starts over 9 times"),
        ("time", GENERATOR.integers(0, 24, 1200), "feature", "numbers, though called after a clock (drop=['time']?)"),
        ("when", [None, *range(1199)], "feature", "numbers"),
    ],
)
def test_no_clock_or_counter_is_a_feature_in_silence(name: str, values: Any, role: str, said: str) -> None:
    columns = choose_columns(Table("some.csv", one(**{name: values})))
    assert why(columns, name)[0] == role
    assert why(columns, name)[1].startswith(said) or said in why(columns, name)[1]
    assert columns.features == (("x", name) if role == "feature" else ("x",))
    if role != "feature":
        assert choose_columns(Table("some.csv", one(**{name: values})), numeric=[name]).features == ("x", name)


def test_readings_that_rise_within_many_sequences_are_told() -> None:
    total = np.concatenate([np.cumsum(GENERATOR.integers(1, 99, 100)) for _ in range(12)])
    columns = choose_columns(Table("some.csv", log(total=total)))
    assert why(columns, "total")[1].startswith("numbers; only rises within sequences, as a meter does (drop=['total']")


def test_numbers_of_the_rows_of_a_file_are_no_feature_of_its_sequences() -> None:
    """Storms are called by the same names again, years later."""
    frame = log().sort(pl.Series(MINUTES // 50), maintain_order=True)
    numbered = choose_columns(Table("some.csv", frame.with_row_index("rownames", 1)))
    assert why(numbered, "rownames") == ("left out", "numbers the rows (numeric=['rownames'] to learn from it)")


def test_the_table_of_guesses_is_short() -> None:
    shown = guess_table(
        [Guess("y", "label", "by its name"), *(Guess(f"x{i}", "feature", "numbers") for i in range(2000))]
    )
    assert len(shown.splitlines()) == 4
    assert shown.endswith("\nTo change a role, use label=, sequence=, order=, split=, drop=.")
    assert "x0, x1, x2 and 1,997 more" in shown
    many = [
        Guess(f"port{i}", "category", f"{i} kinds, which takes quite a few words to say in one line") for i in range(99)
    ]
    lines = guess_table(many, hint=False).splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) <= 80
    assert "75 further columns" in lines[-1]
    doubt = "dates are month/day/year; or day/month/year? (--dates day-first)"
    assert "--dates day-first" in " ".join(guess_table([Guess("x" * 9, "order", doubt)]).replace("\n", " ").split())
    assert guess_table([Guess("", "left out", "numbers the rows")]).splitlines()[1].startswith("''  ")
    assert "\x1b" not in guess_table([Guess("\x1b[31m", "feature", "\x1b")])


@pytest.mark.parametrize(
    ("name", "per", "features", "categories"),
    [
        ("adfa_ld", "sequence", 1, ("syscall",)),
        ("bach_chords", "step", 14, ("bass", "meter")),
        ("cmapss_fd001", "step", 17, ()),
        ("ewt_pos", "step", 1, ("token",)),
        ("hdfs_blocks", "sequence", 1, ("event",)),
        ("japanese_vowels", "sequence", 12, ()),
        ("malapi", "sequence", 1, ("call",)),
        ("occupancy", "step", 4, ()),
        ("plaid", "sequence", 1, ()),
        ("shoulder_watch", "sequence", 6, ()),
        ("snips_slots", "step", 1, ("word",)),
        ("wnut17", "step", 1, ("token",)),
    ],
)
def test_real_tables(shared_data: Path, name: str, per: str, features: int, categories: Any) -> None:
    order = "timestamp" if name == "occupancy" else "step"
    given_away = {"adfa_ld": ["attack_type", "source_part"], "ewt_pos": ["xpos"], "occupancy": ["Light"]}.get(name, [])
    columns = choose_columns(read_table(shared_data / f"{name}.parquet"), drop=given_away)
    assert columns.roles == {"label": "label", "sequence": "sequence_id", "order": order, "split": "split"}
    assert (columns.per, len(columns.features), columns.categories) == (per, features, categories)
    out = {guess.name for guess in columns.guesses if guess.role == "left out"}
    assert out == ({"step"} if name == "occupancy" else set())


def test_the_index_of_a_shuffled_data_frame_of_pandas_sorts_its_rows(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).permutation(300)
    labels = np.where(rows % 7 < 3, "a", "b")
    frame = pl.DataFrame({"": rows, "machine": rows // 30, "x": np.sin(rows), "label": labels})
    frame.write_csv(tmp_path / "some.csv")
    columns = choose_columns(read_table(tmp_path / "some.csv"))
    assert (columns.order, columns.sequence, columns.features) == ("", "machine", ("x",))


@pytest.mark.parametrize("names", [("T1", "T2"), ("t0", "t1"), ("T", "RH")])
def test_temperatures_are_no_clocks(names: tuple[str, str]) -> None:
    values = np.random.default_rng(0).normal(size=(2, 300)).cumsum(1)
    columns = dict(zip(names, values, strict=True)) | {"machine": np.arange(300) // 30, "label": np.arange(300) % 2}
    found = choose_columns(Table("some.csv", pl.DataFrame(columns)))
    assert (found.order, found.features, found.sequence) == (None, names, "machine")


@pytest.mark.parametrize("mixed", [False, True])
def test_times_of_day_do_not_sort_rows_of_several_days(mixed: bool) -> None:
    at = [datetime.datetime(2024, 1, 1, 20) + datetime.timedelta(minutes=7 * row) for row in range(600)]
    frame = pl.DataFrame({"Time": [each.time() for each in at], "x": np.sin(np.arange(600)), "label": [0, 1] * 300})
    found = choose_columns(Table("some.csv", frame.sample(fraction=1, shuffle=True, seed=0) if mixed else frame))
    assert ("order='Time' to sort" in why(found, "Time")[1]) == mixed


def test_the_days_of_a_year_are_no_sequences_in_silence() -> None:
    rows = np.arange(960)  # as towers that measure fluxes write it
    frame = pl.DataFrame(
        {"DOY": 300 + rows // 48, "HRMIN": rows % 48 // 2 * 100 + rows % 2 * 30, "label": rows // 30 % 2}
    )
    found = choose_columns(Table("some.csv", frame.with_columns(x=np.sin(rows))))
    assert found.sequence is None
    assert any(guess.name == "DOY" and "may tell sequences apart" in guess.why for guess in found.guesses)


@pytest.mark.parametrize("name", ["hr", "Time", "hour_of_day", "slot"])
def test_the_hours_of_a_day_are_no_sequences(name: str) -> None:
    hours, days = np.arange(600) % 24, np.arange(600) // 24
    dates = pl.date_range(datetime.date(2024, 1, 1), datetime.date(2024, 1, 25), eager=True).gather(days)
    shown = pl.Series([f"{hour:02}.00.00" for hour in hours]) if name == "Time" else pl.Series(hours)
    frame = pl.DataFrame({"date": dates, name: shown, "x": np.sin(np.arange(600)), "label": hours // 12})
    found = choose_columns(Table("some.csv", frame))
    assert (found.sequence, found.order) == (None, f"date,{name}" if name in ("hr", "Time", "hour") else "date")


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kind", [str, int])
@pytest.mark.parametrize("lengths", [GENERATOR.integers(3, 200, 40), np.full(40, 100)])
def test_a_counter_that_starts_over_shows_what_tells_sequences_apart(lengths: Any, kind: Any, first: int) -> None:
    """Whatever the columns are called: `n` starts over with each visit, and not with each of the towns."""
    visits = pl.Series(np.repeat(GENERATOR.permutation(40) * 7, lengths)).cast(pl.String if kind is str else pl.Int64)
    n = np.concatenate([np.arange(first, first + length) for length in lengths])
    frame = pl.DataFrame({"besuch": visits, "n": n, "x": GENERATOR.normal(size=len(n)), "y": n % 3})
    columns = choose_columns(Table("some.csv", frame.with_columns(stadt=visits.hash() % 5)), label="y")
    assert why(columns, "besuch") == ("sequence", "'n' rises within each of its 40 values")
    assert columns.features == ("x", "stadt")
    one = frame.with_columns(n=pl.when(pl.int_range(pl.len()) == 50).then(-9).otherwise("n"))
    assert choose_columns(Table("some.csv", one), label="y").sequence is None


@pytest.mark.parametrize("at", [0, 20, 39])
def test_a_counter_that_starts_over_may_have_sequences_of_one_row(at: int) -> None:
    """As a sentence of one word; 0 and 1 that take turns are no counter."""
    lengths = np.random.default_rng(0).integers(2, 9, 40)
    lengths[at] = 1
    address = np.repeat([f"Main {each}" for each in range(40)], lengths)
    n = np.concatenate([np.arange(1, length + 1) for length in lengths])
    frame = pl.DataFrame({"address": address, "n": n, "word": [f"w{each}" for each in n % 3], "y": n % 2})
    columns = choose_columns(Table("some.csv", frame), label="y")
    assert (columns.sequence, columns.features) == ("address", ("word",))
    found = choose_columns(Table("some.csv", frame.with_columns(n=pl.int_range(pl.len()) % 2)), label="y")
    assert found.sequence is None


@pytest.mark.parametrize(
    "lengths",
    [[12] * 9, [24, 24, 23, 24, 25, 24], [31, 28, 31, 30, 31, 30, 31], [52, 53, 52, 52, 53], [365, 366, 365, 365]],
)
def test_the_parts_of_years_are_no_sequences(lengths: list[int]) -> None:
    n = np.concatenate([np.arange(1, length + 1) for length in lengths])
    jahr = np.repeat(np.arange(len(lengths)) + 1990, lengths)
    frame = pl.DataFrame({"jahr": jahr, "n": n, "x": GENERATOR.normal(size=len(n)), "label": n % 2})
    assert choose_columns(Table("some.csv", frame)).sequence is None


@pytest.mark.parametrize("kind", [pl.String, pl.Int64, pl.Float64])
@pytest.mark.parametrize("seed", range(3))
def test_a_counter_with_gaps_that_starts_anywhere_shows_sequences_too(kind: Any, seed: int) -> None:
    """As readings of machines do, of which some are lost; the numbers of the machines rise or stand in any order."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(20, 90, 30)
    numbers = (np.arange(30) if seed == 0 else draw.permutation(30)) * 13
    machines = pl.Series(np.repeat(numbers, lengths)).cast(pl.Int64).cast(kind)
    n = np.concatenate([draw.integers(0, 500) + np.cumsum(draw.integers(1, 4, length)) for length in lengths])
    frame = pl.DataFrame({"lot": machines, "n": n, "x": draw.normal(size=len(n)), "label": draw.integers(0, 2, len(n))})
    columns = choose_columns(Table("some.csv", frame))
    assert why(columns, "lot") == ("sequence", "'n' rises within each of its 30 values")
    assert "lot" not in columns.features


@pytest.mark.parametrize("name", ["machine", "unit", "dev"])
def test_ids_that_are_written_with_a_point_are_ids(name: str) -> None:
    """As pandas writes whole numbers beside missing ones."""
    frame = log().drop("pump").with_columns(pl.Series(name, DEVICES + 3.0)).sort("time")
    columns = choose_columns(Table("some.csv", frame))
    assert (columns.sequence, columns.features) == (name, ("x",))


def by_day(per_day: Any, days: int = 40) -> pl.DataFrame:
    """Rows of days, with the same numbers on each."""
    dates = pl.date_range(datetime.date(2024, 1, 1), periods(days), eager=True)
    rows = len(per_day) * days
    return pl.DataFrame(
        {
            "date": dates.gather(np.repeat(np.arange(days), len(per_day))),
            "count": np.tile(per_day, days),
            "temp": GENERATOR.normal(size=rows),
            "label": GENERATOR.integers(0, 2, rows),
        }
    )


def periods(days: int) -> datetime.date:
    return datetime.date(2024, 1, 1) + datetime.timedelta(days=days - 1)


def test_what_numbers_the_rows_of_a_day_is_no_sequence_without_asking() -> None:
    said = "comes again and again (sequence='count' if it tells sequences apart)"
    rising = by_day(np.arange(24) * 3 + 5)
    mixed = by_day(np.arange(24) * 3 + 5).sample(fraction=1.0, shuffle=True, seed=0).sort("date")
    for frame in (rising, mixed, rising.with_columns(pl.col("date").cast(pl.Datetime("us")))):
        columns = choose_columns(Table("some.csv", frame))
        assert (columns.sequence, columns.order, columns.features) == (None, "date", ("count", "temp"))
        assert why(columns, "count")[1].startswith(said)
        assert choose_columns(Table("some.csv", frame), sequence="count").sequence == "count"


@pytest.mark.parametrize("mixed", [shuffled, pl.DataFrame.reverse, lambda frame: frame.drop("pump")])
@pytest.mark.parametrize("name", ["time", "when"])
def test_a_time_that_is_empty_somewhere_does_not_lose_the_order_in_silence(mixed: Any, name: str) -> None:
    whole = log().rename({"time": name})
    frame = mixed(whole)
    gap = frame.with_columns(pl.when(pl.int_range(pl.len()) != 700).then(name).alias(name))
    with pytest.raises(DataError) as error:
        choose_columns(Table("some.csv", gap))
    assert str(error.value) == (
        f"some.csv: data row 701 (the first is 1), column {name!r} is empty (1 such row), so it cannot sort the rows, "
        f"which do not stand in its order. Fill such fields, or remove these rows; or leave the column out "
        f"(drop=[{name!r}]) to take the rows as they stand."
    )
    assert choose_columns(Table("some.csv", gap), drop=[name]).order is None
    some = Table("some.csv", gap.drop_nulls(name))
    assert "pump" not in frame.columns or choose_columns(some).order == name
    once = whole.with_columns(pl.when(pl.int_range(pl.len()) != 700).then(name).alias(name))
    found = choose_columns(Table("some.csv", once))
    assert why(found, name) == (
        "left out",
        "a date or time, but empty in 1 row, so it sorts nothing; see some.csv: data row 701 (the first is 1)",
    )
    assert (found.sequence, found.order) == ("pump", None)
    often = gap.with_columns(pl.when(pl.int_range(pl.len()) % 20 > 0).then(name).alias(name))
    assert why(choose_columns(Table("some.csv", often)), name)[1].startswith("a date or time, but empty in 6")


def test_what_is_no_time_among_times_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    frame = shuffled(log(note=["n/a", "-", *["a", "b"] * 599])).with_columns(
        pl.col("time").dt.to_string("%d.%m.%Y %H:%M")
    )
    bad = frame.with_columns(
        pl.when(pl.int_range(pl.len()) != 700).then("time").otherwise(pl.lit("soon")).alias("time")
    )
    bad.write_csv(path)
    said = (
        r"data row 701 \(the first is 1\), column 'time' holds 'soon', which is no date or time\. Put it right, or take"
    )
    for given in ({}, {"order": "time"}):
        with pytest.raises(DataError, match=said):
            choose_columns(read_table(path), **given)
    frame.write_csv(path)
    assert choose_columns(read_table(path)).order == "time"


def test_words_among_times_make_them_no_category_in_silence() -> None:
    rows = range(1200)
    often = [f"{1 + row % 28:02}.01.2024 {row // 60:02}:{row % 60:02}" if row % 9 else "never" for row in rows]
    with pytest.raises(DataError) as error:
        choose_columns(Table("some.csv", log(closed=often)))
    assert str(error.value) == (
        "some.csv: data row 1 (the first is 1), column 'closed' holds 'never', which is no date or time (133 more such "
        "fields). Put it right, or take this row out, or read it as missing (missing=['never']), or leave the column "
        "out (drop=['closed']), or take all for codes (categorical=['closed'])."
    )
    assert "closed" in choose_columns(Table("some.csv", log(closed=often)), categorical=["closed"]).categories
    months = pl.Series([f"2024-{row % 9 + 1:02}" if row % 3 else "before" for row in rows])
    assert "closed" in choose_columns(Table("some.csv", log(closed=months))).categories


@pytest.mark.parametrize("thing", ["Maschine", "Gerät", "GERÄT-Nr", "véhicule", "Máquina"])
@pytest.mark.parametrize("time", ["Zeit", "Zeitstempel", "Tiempo"])
def test_names_in_other_languages(thing: str, time: str) -> None:
    values = {thing: [f"M-{device}" for device in DEVICES], time: MINUTES // 2, "Qualität": GENERATOR.normal(size=1200)}
    columns = choose_columns(Table("some.csv", one(**values)))
    assert (columns.sequence, columns.order, columns.features) == (thing, time, ("x", "Qualität"))


def test_visits_of_patients_are_sequences() -> None:
    """They are the finer ones, as trips of users are; a group keeps those of a patient together."""
    frame = shuffled(log(patient_id=DEVICES // 3 + 70, visit_id=DEVICES + 200).drop("pump"))
    columns = choose_columns(Table("some.csv", frame))
    assert (columns.sequence, columns.order, columns.features) == ("visit_id", "time", ("x",))
    assert why(columns, "patient_id")[1] == "joins sequences (group='patient_id' keeps these in one part)"


def test_devices_that_report_each_day_are_sequences() -> None:
    same = by_day(np.array([7, 3, 12, 5]))
    after = by_day(np.array([3, 5, 7, 12])).sort("count", maintain_order=True)
    hourly = by_day(np.array([3, 5, 7, 12])).with_columns(pl.col("date").cast(pl.Datetime("us")).dt.offset_by("6h"))
    for frame in (same, after, hourly):
        assert choose_columns(Table("some.csv", frame)).sequence == "count"
    for name in ("dev", "store_nbr", "machine_id"):
        frame = by_day(np.array([3, 5, 7, 12])).rename({"count": name})
        assert choose_columns(Table("some.csv", frame)).sequence == name
    text = by_day(np.array([3, 5, 7, 12])).with_columns(pl.col("count").cast(pl.String))
    assert choose_columns(Table("some.csv", text)).sequence == "count"


def test_a_column_of_one_value_cuts_nothing() -> None:
    columns = choose_columns(Table("some.csv", log(site=["north"] * 1200, run=np.full(1200, 3))))
    assert columns.sequence == "pump"
    assert (why(columns, "site")[1], why(columns, "run")[1]) == ("text", "numbers")


def test_a_column_that_stays_as_it_is_within_sequences_cuts_nothing() -> None:
    """It is a feature as any other, unless it is as good as a name of the sequence."""
    columns = {"unit": [f"unit {each}" for each in DEVICES % 3], "ip": [f"10.0.0.{each}" for each in DEVICES]}
    moved = np.where((DEVICES == 3) & (MINUTES > 50), "unit 5", columns["unit"])
    for unit in (columns["unit"], moved):
        found = choose_columns(Table("some.csv", log(**columns | {"unit": unit})))
        assert (found.sequence, why(found, "unit")) == ("pump", ("category", "text"))
        assert why(found, "ip")[1].startswith("each sequence has one of its own")


def test_trials_of_subjects_take_both_columns() -> None:
    """Neither the number of a trial nor the subject alone is a sequence."""
    columns = {"subject": DEVICES // 4, "trial": DEVICES % 4, "run": DEVICES % 4}
    frame = log(**columns).drop("pump", "time")
    with pytest.raises(DataError, match=r"It may be .subject. or .trial.. Say it .*; name both if it"):
        choose_columns(Table("some.csv", frame))
    given = choose_columns(Table("some.csv", frame), sequence="subject")
    assert given.features == ("x",)
    for name in ("trial", "run"):
        assert why(given, name)[0] == "left out"
        assert why(given, name)[1].startswith(f"cuts sequences; sequence='subject,{name}' to learn")


@pytest.mark.parametrize("seed", range(4))
def test_categories_beside_counters_of_one_sequence_stay_categories(seed: int) -> None:
    """A mode that switches now and then, a kind of event, and a counter that is reset whatever they are."""
    draw = np.random.default_rng(seed)
    mode = np.repeat(draw.permutation(np.arange(40) % 4), 30)
    n = np.concatenate([np.arange(length) for length in np.diff([0, *np.sort(draw.choice(1199, 9, False)), 1200])])
    columns = {"mode": [f"mode {each}" for each in mode], "kind": draw.choice(["read", "write", "open"], 1200), "n": n}
    found = choose_columns(Table("some.csv", one(**columns)))
    assert found.sequence is None
    assert found.categories == ("mode", "kind")


def test_what_was_left_out_is_named_where_nothing_is_left() -> None:
    hosts = [f"10.0.0.{host}" for host in GENERATOR.integers(0, 20, 1200)]
    with pytest.raises(
        DataError, match=r"'label' from. Column 'dst_ip': left out \(may tell .*categorical=\['dst_ip'\]"
    ):
        choose_columns(Table("some.csv", one(dst_ip=hosts).drop("x")))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("split", ["A", "B", "C"] * 400),
        ("fold", DEVICES % 5),
        ("kfold", DEVICES % 5),
        ("split", DEVICES % 2),
        ("is_train", DEVICES % 3),
        ("is_valid", DEVICES > 3),
    ],
)
def test_what_says_parts_in_other_words_is_no_feature(name: str, values: Any) -> None:
    columns = choose_columns(Table("some.csv", log(**{name: values})))
    assert (columns.split, columns.features) == (None, ("x",))
    assert why(columns, name)[0] == "left out"
    assert "not in the words train, valid and test" in why(columns, name)[1]
    assert f"group={name!r} to keep the rows of each in one part" in why(columns, name)[1]
    assert name in choose_columns(Table("some.csv", log(**{name: values})), categorical=[name]).features


def test_values_say_parts_whatever_the_name() -> None:
    parts = np.where(DEVICES > 8, "Test", "train")
    assert choose_columns(Table("some.csv", log(menge=parts))).split == "menge"
    assert choose_columns(Table("some.csv", log(menge=parts, split=parts))).split == "split"
    assert choose_columns(Table("some.csv", log(menge=np.full(1200, "test")))).split is None


def parts_by(some: Table, **roles: Any) -> tuple[str | None, list[list[int]]]:
    """The split column, and the devices of each part, numbered as they stand."""
    columns = choose_columns(some, **roles)
    _, parts, _ = split_table(some, columns, seed=0)
    own = (None if part is None else part.ids for part in (parts.train, parts.valid, parts.test))
    return columns.split, [sorted(int(str(name)[1:]) for name in ids or ()) for ids in own]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Usage", ("Training", "PublicTest", "PrivateTest")),
        ("dataset", ("train", "holdout", "test")),
        ("phase", ("train", "Eval", "TEST")),
        ("phase", ("train", "val", "eval")),
        ("partition", ("tr", "va", "te")),
        ("menge", ("train", "development", "hold-out")),
        ("dataset", ("Training set", "Validation set", "Test set")),
        ("from", ("trainset", "devset", "testset")),
    ],
)
def test_parts_in_other_words(name: str, words: tuple[str, str, str]) -> None:
    some = Table("some.csv", log(**{name: np.array(words)[DEVICES // 4]}))
    assert parts_by(some) == (name, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    assert parts_by(some, split=name)[1] == parts_by(some)[1]


@pytest.mark.parametrize("word", ["eval", "holdout", "evaluation", "PrivateTest"])
def test_what_is_not_trained_on_is_the_test_part(word: str) -> None:
    some = Table("some.csv", log(phase=np.where(DEVICES < 9, "train", word)))
    split, (train, valid, test) = parts_by(some)
    assert (split, sorted(train + valid), test) == ("phase", list(range(9)), [9, 10, 11])


@pytest.mark.parametrize("true", [True, 1, 1.0, "True", "yes", "1", "Y"])
@pytest.mark.parametrize("name", ["is_train", "isTrain", "train", "is_test", "test", "is_training"])
def test_one_column_says_yes_or_no_to_a_part(name: str, true: Any) -> None:
    no = {"True": "False", "yes": "no", "1": "0", "Y": "N"}.get(true, type(true)(0))
    first = "train" in name.lower()
    some = Table("some.csv", log(**{name: [true if (device < 9) == first else no for device in DEVICES]}))
    split, (train, valid, test) = parts_by(some)
    assert (split, sorted(train + valid), test) == (name, list(range(9)), [9, 10, 11])
    assert len(valid) == 1
    assert parts_by(some, split=name) == (split, [train, valid, test])
    assert "yes or no" in why(choose_columns(some), name)[1]


def test_columns_that_say_yes_or_no_to_different_parts_are_none() -> None:
    both = choose_columns(Table("some.csv", log(is_train=DEVICES < 9, is_test=DEVICES >= 9)))
    assert (both.split, both.features) == ("is_train", ("x",))
    three = log(is_train=DEVICES < 6, is_valid=DEVICES % 12 > 9, is_test=np.isin(DEVICES, range(6, 10)))
    assert choose_columns(Table("some.csv", three)).split is None
    assert choose_columns(Table("some.csv", three)).features == ("x",)
    words = log(is_train=DEVICES < 9, part=np.where(DEVICES < 9, "train", "test"))
    assert choose_columns(Table("some.csv", words)).split == "part"
    assert choose_columns(Table("some.csv", words)).features == ("x",)
    assert choose_columns(Table("some.json", log(is_train=[[device // 9] for device in DEVICES]))).split is None


@pytest.mark.parametrize("name", ["fold", "menge"])
@pytest.mark.parametrize("other", ["gallery", "tset", None])
def test_a_column_that_says_train_and_what_is_unknown_is_refused(name: str, other: str | None) -> None:
    some = Table("some.csv", log(**{name: ["Training" if device else other for device in DEVICES]}))
    said = (
        f"some.csv: data row 1 (the first is 1), column {name!r} holds {other!r}; other rows of it say train or test. "
        f"Write train, valid or test in each, or leave the column out (drop=['{name}']), or take it for categories "
        f"(categorical=['{name}'])."
    )
    with pytest.raises(DataError) as error:
        choose_columns(some)
    assert str(error.value) == said
    assert choose_columns(some, drop=[name]).features == ("x",)
    assert choose_columns(some, categorical=[name]).features == ("x", name)
    both = Table("some.csv", some.frame().with_columns(Set=pl.Series(np.where(DEVICES < 9, "train", "test"))))
    assert (choose_columns(both).split, choose_columns(both).features) == ("Set", ("x",))
    assert why(choose_columns(both), name)[0] == "left out"


def test_trains_are_not_always_training() -> None:
    """Trips by car and train, languages, what people do; and of many things one may be called so."""
    many = ["train", *(f"thing {i}" for i in range(30))]
    people = ["school", "training", "employment", "joblessness"]
    for kinds in (["bus", "train", "car"], ["en", "tr", "de"], ["tr", "te", "va"], people, many):
        kind = [kinds[row % len(kinds)] for row in range(1200)]
        assert choose_columns(Table("some.csv", log(by=kind))).categories == ("by",)


@pytest.mark.parametrize("name", [" Label", "Anomaly", "is_fraud", "isAttack", "outlier"])
def test_names_of_labels(name: str) -> None:
    frame = log().rename({"label": name})
    assert choose_columns(Table("some.csv", frame)).label == name
    both = frame.with_columns(y=pl.col(name)) if name != " Label" else frame
    assert choose_columns(Table("some.csv", both)).label == ("y" if name != " Label" else name)


def test_measurements_may_be_of_any_size() -> None:
    columns = choose_columns(Table("some.csv", log(density=GENERATOR.uniform(1e18, 1e20, 1200))))
    assert columns.features == ("x", "density")


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("hash", GENERATOR.integers(2**51, 2**62, 1200), "too large for an amount, as ids and hashes are"),
        ("hash", [None] * 500 + [2**61] * 700, "too large for an amount, as ids and hashes are"),
        ("tick", [None, *MINUTES[1:].tolist()], "a clock, but empty in 1 row"),
        ("seen", [f"2024-03-05 08:{minute % 60:02}:00 CEST" for minute in MINUTES], "text that looks like times"),
        ("seen", [None, *(f"Tue Mar  5 08:{minute % 60:02}:00 2024" for minute in MINUTES[1:])], "looks like times"),
    ],
)
def test_what_would_be_a_wrong_feature_is_left_out_and_told(name: str, values: Any, said: str) -> None:
    frame = log(**{name: values})
    columns = choose_columns(Table("some.csv", frame))
    assert columns.features == ("x",)
    assert why(columns, name)[0] == "left out"
    assert said in why(columns, name)[1]
    nothing = frame.with_columns(nothing=pl.lit(None, pl.Float64))
    assert "nothing" in choose_columns(Table("some.csv", nothing)).features, "known once the train part is"
    asked: Any = {"categorical" if name == "seen" else "numeric": [name]}
    assert choose_columns(Table("some.csv", frame), **asked).features == ("x", name)


def test_huge_numbers_that_come_again_may_tell_sequences_apart() -> None:
    cards = 2**52 + GENERATOR.integers(0, 60, 1200)
    ask = "; sequence='cc_num' if it tells sequences apart)"
    assert why(choose_columns(Table("some.csv", one(cc_num=cards))), "cc_num")[1].endswith(ask)
    for frame in (log(cc_num=cards), one(cc_num=2**52 + GENERATOR.permutation(1200) * 5)):
        said = why(choose_columns(Table("some.csv", frame)), "cc_num")[1]
        assert said.endswith("categorical=['cc_num'] to learn from it)")


def test_numbers_that_point_to_another_row_are_no_feature() -> None:
    rows = np.arange(1200)
    last = MINUTES == 99
    frame = log(id=rows + 1, next_id=np.where(last, -1, rows + 2), product_id=rows % 40, size=(rows * 7 + 3) % 1200)
    columns = choose_columns(Table("some.csv", frame))
    assert columns.features == ("x", "product_id", "size")
    said = "points to another row, by its 'id' (numeric=['next_id'] to learn from it)"
    assert why(columns, "next_id") == ("left out", said)
    assert "next_id" in choose_columns(Table("some.csv", frame), numeric=["next_id"]).features
    empty = frame.with_columns(next_id=pl.when(pl.Series(~last)).then("next_id"))
    assert why(choose_columns(Table("some.csv", empty)), "next_id") == ("left out", said)
    others = frame.with_columns(next_id=pl.Series((rows * 7 + 3) % 1201))
    assert "next_id" in choose_columns(Table("some.csv", others)).features


def test_stations_that_each_part_passes_are_no_sequences_in_silence() -> None:
    parts, stations = np.repeat(np.arange(150), 8), np.tile(np.arange(1, 9), 150)
    frame = one(part_no=[f"PN{part:05}" for part in parts], station=stations)
    with pytest.raises(DataError, match=r"which column is the sequence. It may be 'station' or 'part_no'"):
        choose_columns(Table("some.csv", frame))
    assert choose_columns(Table("some.csv", frame), sequence="part_no").features == ("x",)
    players = pl.DataFrame({"match_id": np.repeat(np.arange(6), 200), "tick": np.tile(np.arange(1200) // 5 % 40, 1)})
    players = players.with_columns(player=pl.Series([f"p{at % 5}" for at in range(1200)]), x=pl.Series(MINUTES / 7))
    with pytest.raises(DataError, match=r"It may be 'player' or 'match_id'"):
        choose_columns(Table("some.csv", players.with_columns(label=pl.Series(DEVICES % 2))))
    polled = one(device=stations, time=np.arange(1200))
    assert choose_columns(Table("some.csv", polled)).sequence == "device"


def test_cases_of_processes_and_numbers_of_visits(tmp_path: Path) -> None:
    """Cases stand mixed in logs of processes; visits are numbered, and there is one row of each."""
    cases = shuffled(
        one(**{"case:concept:name": [f"Case {each}" for each in DEVICES], "concept:name": list("abc") * 400})
    )
    columns = choose_columns(Table("some.csv", cases))
    assert (columns.sequence, columns.features) == ("case:concept:name", ("x", "concept:name"))
    visits = one(patient_id=DEVICES + 1000, visit_number=MINUTES + 1)
    assert choose_columns(Table("some.csv", visits)).sequence == "patient_id"
    assert choose_columns(Table("some.csv", shuffled(visits))).sequence == "patient_id"


def test_a_clock_that_counts_down_turns_no_game_around() -> None:
    frame = one(game=DEVICES, ply=MINUTES + 1, clock=600 - MINUTES)
    columns = choose_columns(Table("some.csv", frame))
    assert (columns.sequence, columns.order, columns.features) == ("game", None, ("x",))
    assert choose_columns(Table("some.csv", frame.drop("ply"))).order == "clock"


def test_records_of_samples_are_sequences() -> None:
    """Both are called after what may number rows."""
    columns = choose_columns(Table("some.csv", one(record=DEVICES + 100, sample=MINUTES)))
    assert (columns.sequence, columns.order, columns.features) == ("record", "sample", ("x",))
    columns = choose_columns(Table("some.csv", one(record=np.arange(1200), sample=GENERATOR.normal(size=1200))))
    assert (columns.sequence, columns.order) == (None, "record")
    columns = choose_columns(Table("some.csv", one(epoch=np.arange(1200) // 5)))
    assert (columns.sequence, columns.order) == (None, "epoch")


def test_a_test_that_goes_up_and_down_is_no_split_column() -> None:
    frame = pl.DataFrame({"x": [0.5, 2.5, 1.5] * 20, "test": [0, 1, 1] * 20, "label": [0, 1] * 30})
    assert "test" in choose_columns(Table("some.csv", frame), sequence="none").features
    frame = frame.with_columns(test=pl.Series([0] * 40 + [1] * 20))
    assert choose_columns(Table("some.csv", frame), sequence="none").split == "test"


def in_pieces(ids: Sequence[Any]) -> pl.DataFrame:
    """Sequences of 20 steps, whose clocks start over."""
    rows = np.arange(20 * len(ids))
    named = np.repeat(np.array(ids, object), 20)
    return pl.DataFrame(
        {"machine": pl.Series(named.tolist()), "t": rows % 20, "x": np.sin(rows), "label": rows // 7 % 2}
    )


@pytest.mark.parametrize("name", ["match", "game", "song"])
def test_matches_without_a_clock_are_sequences_where_each_is_one_run(name: str) -> None:
    frame = in_pieces(range(12)).drop("t").rename({"machine": name})
    assert choose_columns(Table("some.csv", frame)).sequence == name
    kinds = frame.with_columns(pl.Series(name, GENERATOR.choice(["chess", "go"], len(frame))))
    assert choose_columns(Table("some.csv", kinds)).categories == (name,)


@pytest.mark.parametrize("ids", [["M1", "M2", "M3", "M4"], [1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]])
def test_an_id_that_is_empty_in_a_row_makes_no_one_sequence(ids: list[Any], tmp_path: Path) -> None:
    frame = in_pieces(ids).with_row_index("row")
    gone = frame.with_columns(machine=pl.when(pl.col("row") == 30).then(None).otherwise(pl.col("machine"))).drop("row")
    for ending, write in ((".csv", gone.write_csv), (".parquet", gone.write_parquet)):
        write(tmp_path / f"some{ending}")
        said = r"data row 31 \(the first is 1\), column 'machine' is empty \(1 such row\), so it cannot tell"
        with pytest.raises(DataError, match=said):
            choose_columns(read_table(tmp_path / f"some{ending}"))
    half = frame.with_columns(machine=pl.when(pl.col("row") % 2 == 0).then(pl.col("machine"))).drop("row")
    columns = choose_columns(Table("some.csv", half), order="none")
    assert "machine" not in columns.features
    assert (
        why(columns, "machine")[1]
        == "empty in 40 rows, or it would tell sequences apart (categorical=['machine'] to learn from it)"
    )
    other = gone.with_columns(sequence_id=pl.int_range(pl.len()) // 20)
    assert choose_columns(Table("some.csv", other)).sequence == "sequence_id"


def test_words_for_no_id_are_none(tmp_path: Path) -> None:
    frame = in_pieces(["U1", "NULL", "U2", "U3", "U4", "U5", "U6"]).rename({"machine": "user_id"})
    frame.write_csv(tmp_path / "some.csv")
    with pytest.raises(DataError, match=r"data row 21 .*, column 'user_id' is empty \(20 such rows\)"):
        choose_columns(read_table(tmp_path / "some.csv"))
    kept = read_table(tmp_path / "some.csv", text=["user_id"])  # a category
    assert "NULL" in kept.column("user_id").to_list()


def test_what_takes_turns_is_asked_about() -> None:
    rows, rng = np.arange(600), np.random.default_rng(0)
    hosts = np.concatenate([rng.permutation(["web", "db", "cache", "mail", "auth"]) for _ in range(120)])
    drawn = rng.choice(["web", "db", "cache", "mail", "auth"], 600)
    gateways = np.concatenate([rng.permutation(12) for _ in range(50)])
    lift = np.abs(rows % 8 - 4)
    told = [
        (hosts, True),
        (np.delete(hosts, 77), True),
        (drawn, False),
        (gateways, True),
        (np.delete(gateways, 77), True),
    ]
    for values, asked in (*told, (rng.integers(0, 12, 600), False), (lift, False), (rng.poisson(2, 600), False)):
        own = rows[: len(values)]
        frame = pl.DataFrame({"at": own * 1.7, "place": values, "load": np.sin(own), "label": own // 7 % 2})
        columns = choose_columns(Table("some.csv", frame), order="at")
        assert ("sequence='place' if it " in why(columns, "place")[1]) == asked


SENTENCES = [s for s in range(12) for _ in range(3 + s % 3)]
PLACES = [w for s in range(12) for w in range(1, 4 + s % 3)]


def words_of(**columns: Any) -> Columns:
    frame = pl.DataFrame({**columns, "word": list("abcd") * 12, "tag": [0, 1] * 24})
    return choose_columns(Table("some.csv", frame))


@pytest.mark.parametrize("name", ["sentence_idx", "sentence_index", "doc_idx", "sent_id", "SentenceIdx", "sent_ix"])
@pytest.mark.parametrize("values", [SENTENCES, [s % 6 for s in SENTENCES]])
def test_the_index_of_sentences_tells_them_apart(name: str, values: Any) -> None:
    columns = words_of(**{name: values})
    assert (columns.sequence, columns.order, columns.features) == (name, None, ("word",))


@pytest.mark.parametrize("name", ["index", "idx", "word_idx", "sentence_idx", "sequence_index"])
def test_the_index_of_places_sorts_them(name: str) -> None:
    columns = words_of(**{"sentence_id": SENTENCES, name: PLACES})
    assert (columns.sequence, columns.order) == ("sentence_id", name)
    assert words_of(**{name: range(48)}).sequence is None


def test_an_index_that_starts_over_within_documents_is_no_sequence() -> None:
    columns = words_of(doc_id=[k // 12 for k in range(48)], sentence_idx=[k // 3 % 4 for k in range(48)])
    assert columns.sequence == "doc_id"


@pytest.mark.parametrize("name", ["bytes_sent", "sent"])
def test_what_is_sent_is_no_sentence(name: str) -> None:
    assert words_of(**{name: [s * 2 for s in SENTENCES]}).sequence is None


def test_ids_of_words_that_start_over_are_told() -> None:
    role, said = why(words_of(token_id=PLACES), "token_id")
    assert role == "left out"
    assert "starts over 11 times, and no column tells these sequences apart" in said
    assert why(words_of(port_id=[80, 443, 22, 80] * 12), "port_id")[0] == "category"


def test_minutes_and_seconds_of_several_hours_sort_nothing() -> None:
    seconds = [(61.3 * step + 600 * machine) % 3600 for machine in range(6) for step in range(90)]
    machines = [machine for machine in range(6) for _ in range(90)]
    frame = pl.DataFrame({"machine": machines, "time": seconds, "label": [0, 1] * 270})
    columns = choose_columns(Table("some.csv", frame))
    assert (columns.sequence, columns.order, columns.features) == ("machine", None, ("time",))


@pytest.mark.parametrize("name", ["", "^run$", "*"])
def test_a_sequence_may_be_called_as_a_pattern_is(name: str) -> None:
    runs = pl.DataFrame({name: [row // 20 for row in range(60)], "machine": [row // 5 % 4 for row in range(60)]})
    table = Table("some.csv", runs.with_columns(x=pl.int_range(60) % 7, label=pl.int_range(60) % 2))
    assert why(choose_columns(table, sequence=name), "machine")[1].startswith("cuts sequences")


def test_a_table_of_one_row_whose_clock_is_empty() -> None:
    frame = pl.DataFrame({"t": [None], "x": [1.5], "label": ["a"]}, schema_overrides={"t": pl.Float64})
    assert "x" in choose_columns(Table("some.csv", frame)).features


def test_an_age_that_grows_with_each_year_is_left_out_with_the_flag_that_keeps_it() -> None:
    years = pl.int_range(pl.len()) % 8
    frame = pl.DataFrame({"nr": np.repeat(np.arange(20), 8)}).with_columns(
        year=1980 + years, age=30 + pl.col("nr") % 7 + years, label=pl.col("nr") % 3 % 2, x=pl.col("nr") ** 2 % 5
    )
    role, said = why(choose_columns(Table("some.csv", frame)), "age")
    assert (role, said) == (
        "left out",
        "rises by the same amount with each step, as a counter does (numeric=['age'] to learn from it)",
    )


def test_objects_are_refused_with_the_lines_that_make_columns_of_them() -> None:
    frame = pl.DataFrame(
        {"x": [0, 1] * 5, "flow": [{"bytes": k, "state": "open"} for k in range(10)], "label": [*"ab"] * 5}
    )
    with pytest.raises(DataError, match=r"Polars: frame.unnest\(\['flow'\]\); pandas: pd.json_normalize") as raised:
        choose_columns(Table("some.jsonl", frame))
    polars, pandas = re.findall(r"(?:Polars|pandas): (.*?\))(?:;|\.$)", str(raised.value))
    assert eval(polars, {"frame": frame}).columns == ["x", "bytes", "state", "label"]
    pd = pytest.importorskip("pandas")
    assert [*eval(pandas, {"pd": pd, "frame": pd.DataFrame(frame.to_dicts())})] == [
        "x",
        "label",
        "flow.bytes",
        "flow.state",
    ]
