"""One preparation: `train`, `compare` and a data frame make the same arrays of one table."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import jobs
from bothways.data import Columns, Parts, evaluation_part, guess_rows, read_and_split
from bothways.errors import DataError
from bothways.labeler import SequenceLabeler, estimator
from bothways.sequences import Sequences
from bothways.study.tasks import table_task
from bothways.tables import Table
from bothways.tables.table import with_joined


class StopError(Exception):
    """What stands in for training."""


def trained_on(monkeypatch: pytest.MonkeyPatch, start: Any) -> tuple[Sequences, Sequences | None]:
    """The arrays that training is given."""
    given: list[Any] = []

    def train(
        network: Any, sequences: Sequences, settings: Any, valid: Sequences | None = None, *more: Any, **how: Any
    ) -> None:
        given.extend([sequences, valid])
        raise StopError

    monkeypatch.setattr("bothways.training.train", train)
    monkeypatch.setattr(estimator, "train", train)
    with pytest.raises(StopError):
        start()
    return given[0], given[1]


def same(one: Sequences | None, other: Sequences | None) -> None:
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.lengths, other.lengths)
    np.testing.assert_array_equal(one.known_labels, other.known_labels)


def a_table(sequences: int, steps: int) -> pl.DataFrame:
    random = np.random.default_rng(0)
    rows = sequences * steps
    return pl.DataFrame(
        {
            "flow": np.repeat(np.arange(sequences), steps),
            "at": random.integers(1, 9, rows).cumsum(),
            "code": random.choice(["007", "7", "08", "9"], rows),
            "bytes": np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows).round(3)),
            "label": random.choice(["calm", "worm", "scan"], rows),
        },
        nan_to_null=True,
    ).sample(fraction=1, shuffle=True, seed=1)


@pytest.mark.parametrize(("sequences", "steps"), [(30, 8), (1, 20_000)])
def test_train_compare_and_a_data_frame_make_the_same_arrays(
    sequences: int, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "flows.csv"
    frame = a_table(sequences, steps)
    frame.write_csv(path)
    roles: dict[str, Any] = {"label": "label", "sequence": "flow", "order": "at"}

    def start() -> None:
        jobs.train(path, tmp_path / "some.bothways", say=lambda text: None, **roles)

    train, valid = trained_on(monkeypatch, start)
    assert (train.values[:, -1].max(), train.features) == (4, 4), "007, 7, 08 and 9 are four categories; and a gap"
    compared = table_task(path, **roles).draw(0)
    same(train, compared.train)
    same(valid, compared.valid)
    split = read_and_split(path, **roles)
    columns, parts, _ = split.encoded()
    same(compared.test, parts.test)
    same(compared.test, evaluation_part(split.table, columns, "test", parts.classes)[1])

    # The labeler draws train and valid, so the parts are given.
    rows, held = (part.table_rows for part in (split.parts.train, split.parts.valid) if part is not None)
    X = frame.select("flow", "at", "code", "bytes")
    labeler = SequenceLabeler(sequence="flow", order="at")
    with pytest.warns(UserWarning, match="without a finite number"), pytest.warns(match="gaps between steps vary"):
        given = trained_on(
            monkeypatch,
            lambda: labeler.fit(X[rows], frame["label"][rows], validation_data=(X[held], frame["label"][held])),
        )
    same(train, given[0])
    same(valid, given[1])


def test_a_data_frame_is_drawn_as_a_table_is(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = a_table(30, 8)
    labeler = SequenceLabeler(sequence="flow", order="at", validation_fraction=0.2)
    X, y = frame.drop("label"), frame["label"]
    with pytest.warns(UserWarning, match="without a finite number"), pytest.warns(match="gaps between steps vary"):
        train, valid = trained_on(monkeypatch, lambda: labeler.fit(X, y))
    split = read_and_split(Table("X", frame), shares=(0.8, 0.2), label="label", sequence="flow", order="at")
    _, parts, _ = split.encoded()
    same(train, parts.train)
    same(valid, parts.valid)


def test_arrays_are_prepared_as_tables_are() -> None:
    x = [np.array([[1.0, 3], [np.nan, 3], [4.0, 9]]), np.array([[2.0, 3]])]
    labeler = SequenceLabeler(units=2, epochs=1, categorical=[1])
    with pytest.warns(UserWarning, match="Column '0' of X is missing at 1 step of the train part; filled"):
        labeler.fit(x, [["a", "b", "a"], ["b"]])
    frame = pl.DataFrame(
        {"flow": [0, 0, 0, 1], "x": [1.0, None, 4.0, 2.0], "kind": ["3", "3", "9", "3"], "label": list("abab")}
    )
    roles: dict[str, Any] = {"label": "label", "sequence": "flow", "order": "none", "split": "none"}
    split = read_and_split(Table("X", frame), shares=(1.0,), per="step", numeric=["x"], categorical=["kind"], **roles)
    expected = split.encoded()[1].train.values
    np.testing.assert_allclose(labeler.model_.read("X", x)[0].values, expected, atol=1e-6)
    assert labeler.model_.predict(x)[0].tolist() == labeler.predict(x)[0].tolist()


COLUMNS = Columns("label", ("x",), sequence="flow", split="part", per="step")


def parted(labels: list[Any]) -> tuple[Columns, Parts, list[str]]:
    """Three sequences of two steps: train, valid and test."""
    frame = pl.DataFrame(
        {
            "flow": [0, 0, 1, 1, 2, 2],
            "x": np.arange(6.0),
            "part": np.repeat(["train", "valid", "test"], 2),
            "label": labels,
        }
    )
    split = read_and_split(Table("some.csv", frame), label="label", sequence="flow", split="part", numeric=["x"])
    return *split.encoded()[:2], split.notices


def test_labels_that_training_does_not_have_follow_its_classes_and_are_said() -> None:
    _, parts, notices = parted(["b", "d", "a", "b", "c", "d"])
    assert (parts.classes, parts.unseen) == (("b", "d"), ("a", "c"))
    assert [part.known_labels.tolist() for part in parts.named.values()] == [[0, 1], [2, 0], [3, 1]]
    assert parts.valid is not None
    assert parts.unseen_in(parts.valid) == ("a",)
    assert "The train part has no label 'a', 'c' in 'label'; the other parts do. Such labels" in " ".join(notices)
    assert (
        "Too rare to be sure of: 'b', 'd' in 'label': fewer than 5 steps in the train part; 'd': none in the valid"
        in (notices[-1])
    )


def test_labels_that_the_model_never_saw_are_missed() -> None:
    frame = pl.DataFrame({"flow": [0] * 4, "x": range(4), "label": ["a", "e", None, "c"]})
    _, part, unseen, notices = evaluation_part(Table("new.csv", frame), COLUMNS, "all", ("a", "b"))
    assert (part.known_labels.tolist(), unseen) == ([0, 3, -1, 2], ("c", "e"))
    assert (
        "labels in 'label' that the model never saw: 'c', 'e'. They count as missed. The first: new.csv: data row 2 ("
        in notices[0]
    )
    with pytest.raises(DataError, match="no label that the model knows, but 'a', 'c', 'e'; it knows 'x', 'y'"):
        evaluation_part(Table("new.csv", frame), COLUMNS, "all", ("x", "y"))
    numbers = frame.with_columns(label=pl.Series([1, 0, 1, 1]))
    with pytest.raises(DataError, match="no label that the model knows"):
        evaluation_part(Table("new.csv", numbers), COLUMNS, "all", (False, True))


def test_nothing_of_the_test_part_reaches_training_or_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a statistic, quantile, category, threshold, temperature or choice, as these arrays are all that they see."""
    frame = a_table(30, 8).with_columns(
        part=pl.col("flow").replace_strict(dict(enumerate(["train", "valid", "test"] * 10)))
    )
    poisoned = pl.col("part") == "test"
    other = frame.with_columns(
        bytes=pl.when(poisoned).then(pl.lit(1e30)).otherwise("bytes"),
        code=pl.when(poisoned).then(pl.lit("5")).otherwise("code"),
        label=pl.when(poisoned).then(pl.lit("ape")).otherwise("label"),
    )
    roles: dict[str, Any] = {"label": "label", "sequence": "flow", "order": "at", "split": "part"}
    given: list[Any] = []

    def tune(*arguments: Any, simple: Any, **more: Any) -> None:
        given.append([*arguments, [each.arrays() for each in simple]])
        raise StopError

    monkeypatch.setattr("bothways.study.tuning.tune", tune)
    for name, table in {"clean": frame, "poisoned": other}.items():
        table.write_csv(tmp_path / f"{name}.csv")
        with pytest.raises(StopError):
            jobs.train(tmp_path / f"{name}.csv", tmp_path / "a.bothways", budget=9, say=lambda text: None, **roles)
    clean, dirty = given
    for one, two in zip(clean[:2], dirty[:2], strict=True):
        same(one, two)
    assert repr(clean[2:]) == repr(dirty[2:])


def test_columns_that_look_like_steps_are_told() -> None:
    values = {f"t{at}": np.random.default_rng(at).normal(size=200) for at in range(40)}
    frame = pl.DataFrame(values | {"label": np.arange(200) % 2, "machine": np.arange(200) // 10})
    said = read_and_split(Table("some.csv", frame), sequence="none", drop=["machine"]).notices
    assert any(notice.startswith("The columns 't0' to 't39' are numbered.") for notice in said)
    said = read_and_split(Table("some.csv", frame)).notices
    assert not any("are numbered" in notice for notice in said)


def test_columns_that_look_like_steps_are_told_beside_numbered_answers() -> None:
    steps = {f"{at + 1}": np.random.default_rng(at).normal(size=200) for at in range(40)}
    answers = {f"sat{at}": np.random.default_rng(-at).normal(size=200) for at in (-1, -5)}
    frame = pl.DataFrame(answers | steps | {"label": np.arange(200) % 2})
    (said,) = (text for text in read_and_split(Table("some.csv", frame)).notices if "are numbered" in text)
    assert said.startswith("The columns '1' to '40' are numbered.")
    sensors = {f"valve_{at}": np.random.default_rng(at).normal(size=200) for at in range(10)}
    notices = read_and_split(Table("some.csv", frame.with_columns(**sensors))).notices
    assert not any("are numbered" in notice for notice in notices), "a plant has such columns"


@pytest.mark.parametrize("form", ["%b %Y", "%b-%y", "%B %Y", "%b.%y"])
def test_columns_called_after_months_are_told(form: str) -> None:
    names = [datetime.date(1993 + at // 12, at % 12 + 1, 1).strftime(form) for at in range(24)]
    states = {name: [f"state {(row * row + at) // 9 % 3}" for row in range(200)] for at, name in enumerate(names)}
    frame = pl.DataFrame({"person": [f"P{row}" for row in range(200)], "label": np.arange(200) % 2} | states)
    (said,) = (text for text in read_and_split(Table("some.csv", frame)).notices if text.startswith("The columns"))
    assert said.startswith(f"The columns {names[0]!r} to {names[-1]!r} are dates.")


def test_columns_that_look_like_sweeps_are_told() -> None:
    sweeps = {f"{400 + 2.5 * at} nm": np.random.default_rng(at).normal(size=40) for at in range(40)}
    frame = pl.DataFrame(sweeps | {"label": np.arange(40) % 2})
    (said,) = (text for text in read_and_split(Table("some.csv", frame)).notices if "are numbered" in text)
    assert said.startswith("The columns '400.0 nm' to '497.5 nm' are numbered.")
    long = eval(said.split("(Polars: ")[1].split("; pandas: ")[0], {"pl": pl, "frame": frame})
    assert long["step"].unique().sort().to_list() == [400 + 2.5 * at for at in range(40)]
    assert read_and_split(Table("some.csv", long)).columns.per == "sequence"


@pytest.mark.parametrize(
    ("classes", "per"), [(("01", "02"), "step"), (("$5", "$7"), "step"), (("01", "02"), "sequence")]
)
def test_what_labels_were_as_numbers_is_not_said(tmp_path: Path, classes: tuple[str, str], per: str) -> None:
    label = [classes[row // 10 % 2 if per == "sequence" else row % 2] for row in range(240)]
    frame = pl.DataFrame({"machine": [row // 10 for row in range(240)], "x": np.sqrt(np.arange(240)), "label": label})
    frame.write_csv(tmp_path / "some.csv")
    split = read_and_split(tmp_path / "some.csv")
    assert split.parts.classes == classes
    assert split.columns.per == per
    assert [guess.name for guess in split.columns.guesses] == ["label", "machine", "x"]
    assert ("one per sequence" in split.columns.guesses[0].why) == (per == "sequence")
    assert "left out" not in split.columns.guesses[0].why


def test_texts_that_may_be_sequences_are_told() -> None:
    texts = [f"open read {'write ' * (row % 30)}close" for row in range(90)]
    kind, school = [f"kind {row % 4}" for row in range(90)], ["a full-time school"] * 80 + ["none"] * 10
    frame = pl.DataFrame({"calls": texts, "kind": kind, "school": school, "label": [0, 1] * 45})
    said = read_and_split(Table("some.csv", frame), sequence="none").notices
    assert [notice for notice in said if "several words" in notice] == [
        "Column 'calls' holds several words in most rows. If each text is a sequence of its own, write its words one "
        "below the other, with a column that tells sequences apart (Polars, pandas: split and explode)."
    ]
    timed = frame.with_columns(time=pl.int_range(pl.len()))
    assert not any("several words" in notice for notice in read_and_split(Table("some.csv", timed)).notices)


def test_long_words_that_may_be_sequences_are_told() -> None:
    """As genes are, beside what else is known of them; not the names of events, which come again, nor hashes."""
    genes = ["".join("ACGT"[(row * at * at + at) % 89 % 4] for at in range(30)) for row in range(90)]
    more = {"event": ["BlockReceivedFromNamedNode"] * 90, "hash": [f"x{row:031x}" for row in range(90)]}
    frame = pl.DataFrame({"gene": genes, **more, "kind": ["a", "b", "c"] * 30, "label": [0, 1] * 45})
    said = read_and_split(Table("some.csv", frame), sequence="none").notices
    assert [notice for notice in said if "in most rows" in notice] == [
        "Column 'gene' holds one long word in most rows. If each text is a sequence of its own, write its letters one "
        "below the other, with a column that tells sequences apart (Polars, pandas: split and explode)."
    ]


@pytest.mark.parametrize("total", ["{} Total", "Total {}", "{} Ergebnis"])
def test_subtotals_among_sequences_are_told(total: str) -> None:
    names = [total.format(f"pump {row // 20}") if row % 20 == 19 else f"pump {row // 20}" for row in range(200)]
    frame = pl.DataFrame({"pump": names, "x": np.sin(np.arange(200)), "label": np.arange(200) % 7 % 2})
    said = f"Careful: 10 rows of 'pump' such as {total.format('pump 0')!r} seem to be totals of others. Remove them."
    assert said in read_and_split(Table("some.csv", frame), sequence="pump").notices
    others = frame.with_columns(pump=pl.Series([f"{'Total' if row % 20 == 19 else row // 20} x" for row in range(200)]))
    assert not any("totals" in each for each in read_and_split(Table("some.csv", others), sequence="pump").notices)


def test_a_labeler_fills_the_names_of_sequences_downward(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.repeat(np.arange(30.0), 3)
    frame = pl.DataFrame({"flow": ids, "x": np.sin(np.arange(90)), "label": np.arange(90) % 2})
    first = frame.with_columns(flow=pl.when(pl.int_range(pl.len()) % 3 == 0).then("flow"))
    labeler = SequenceLabeler(units=2, epochs=1, sequence="flow")
    X, y = frame.drop("label"), frame["label"]
    whole = trained_on(monkeypatch, lambda: labeler.fit(X, y))
    with pytest.warns(UserWarning, match="'flow': sequence .as given; stands on the first row of each; filled down"):
        filled = trained_on(monkeypatch, lambda: labeler.fit(first.drop("label"), y))
    same(whole[0], filled[0])
    monkeypatch.undo()
    labeler.fit(X, y)
    assert labeler.predict(first.drop("label")).tolist() == labeler.predict(X).tolist()
    with pytest.raises(DataError, match=r"'flow' is empty\. 60 such rows\. Write the name of the sequence in each"):
        labeler.predict(first.drop("label").reverse())


@pytest.mark.parametrize("points", [True, False])
def test_a_moment_in_two_columns_is_told_where_one_was_named(points: bool) -> None:
    at = pl.Series([datetime.datetime(2004, 3, 10) + datetime.timedelta(hours=row) for row in range(240)])
    time = at.dt.strftime("%H.%M.%S") if points else at.dt.time()
    values = {"x": np.sin(np.arange(240)), "label": np.arange(240) // 3 % 2}
    frame = pl.DataFrame({"Date": at.dt.date(), "Time": time, **values})
    split = read_and_split(Table("air.csv", frame), order="Date", drop=["Time"] if points else [])
    assert split.notices[0] == (
        "air.csv: 230 rows stand at the same 'Date' as the row before; such rows keep their order. 'Date' and 'Time' "
        "are one moment in two columns; to sort by both: order='Date,Time'."
    )
    columns, _, notices = split.encoded()
    assert columns.fitted.gaps == ""
    assert not any("gap to the previous step" in notice for notice in notices)
    several = frame.with_columns(Time=pl.lit("noon"))
    assert read_and_split(Table("air.csv", several)).encoded()[0].fitted.gaps == "times"
    daily = frame.gather_every(24).with_columns(label=pl.Series([0, 1] * 5))
    assert not any("one moment" in notice for notice in read_and_split(Table("air.csv", daily), order="Date").notices)


def test_each_seed_knows_of_the_time_of_day(tmp_path: Path) -> None:
    rows = np.arange(1200)
    at = pl.Series([datetime.datetime(2004, 3, 10) + datetime.timedelta(hours=int(row)) for row in rows % 100])
    values = {"pump": rows // 100, "x": np.sin(rows), "label": rows // 7 % 2}
    pl.DataFrame({"Date": at.dt.date(), "Time": at.dt.time(), **values}).write_csv(tmp_path / "some.csv")
    assert table_task(tmp_path / "some.csv", redraw=True, order="Date").draw(1).train.features == 1
    assert table_task(tmp_path / "some.csv", redraw=True).draw(1).train.features == 1


def test_sequences_that_are_several_are_told() -> None:
    rows = np.arange(1200)
    values = {"x": np.sin(rows), "label": rows // 7 % 2, "participant": [f"P{row // 300}" for row in rows]}
    frame = pl.DataFrame({"trial": rows // 100 % 3, "time_ms": rows % 100 * 16.67, **values})
    said = read_and_split(Table("some.csv", frame), sequence="trial").notices
    assert [notice for notice in said if "Careful" in notice] == [
        "Careful: sequences of 'trial' seem to be several, one after the other: 'time_ms' starts over where "
        "'participant' changes. Name both: sequence='trial,participant'."
    ]
    onward = frame.with_columns(time_ms=pl.int_range(pl.len()) * 0.5)
    often = frame.with_columns(time_ms=pl.Series(rows % 50 * 16.67))
    for other in (onward, often):
        assert not any("Careful" in each for each in read_and_split(Table("some.csv", other), sequence="trial").notices)


def unpivoted(steps: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A table of one row per step, or one per sequence, and the same as melt and unpivot write it."""
    rows = np.arange(600)
    names = [f"t{at}" for at in range(40)] if steps else ["temp", "hum", "co2"]
    ids = {"patient": rows} if steps else {"room": rows // 50, "ts": rows % 50 * 60_000}
    values = {name: np.sin(rows + at) for at, name in enumerate(names)}
    whole = pl.DataFrame(ids | {"label": rows // 10 % 2} | values)
    return whole, whole.unpivot(index=[*ids, "label"]).sample(600 * len(names), shuffle=True, seed=0)


def test_what_were_columns_is_no_sequence() -> None:
    whole, long = unpivoted(False)
    some = Table("some.csv", long)
    said = "some.csv: 'variable' and 'value' hold what were columns ('co2', 'hum', 'temp'), as melt and unpivot write"
    with pytest.raises(DataError, match=re.escape(said)) as error:
        read_and_split(some)
    assert str(error.value).endswith("or learn from the rows as they are: categorical=['variable'].")
    line = str(error.value).split("(Polars: ")[1].split("; pandas: ")[0]
    columns = read_and_split(Table("some.csv", eval(line, {"frame": long}))).columns
    assert (columns.sequence, columns.order, columns.features) == ("room", "ts", ("co2", "hum", "temp"))
    assert read_and_split(some, categorical=["variable"]).columns.sequence is None
    assert any(said in notice for notice in read_and_split(some, sequence="room").notices)
    twice = Table("some.csv", pl.concat([long, long]))
    assert read_and_split(twice).columns.sequence is None
    assert "variable" in read_and_split(Table("some.csv", whole.rename({"hum": "variable"}))).columns.features


def test_what_seems_to_have_been_columns() -> None:
    """Under any name: one reading a tag and time, and a label a time."""
    whole, _ = unpivoted(False)
    one = whole.filter(pl.col("room") == 3).drop("room")
    long = one.unpivot(index=["ts", "label"], variable_name="metric", value_name="reading").sort("ts")
    said = "Careful: some.csv: 'metric' and 'reading' seem to hold what were columns ('co2', 'hum', 'temp')"
    assert any(each.startswith(said) for each in read_and_split(Table("some.csv", long)).notices)
    assert not any("seem to" in each for each in read_and_split(Table("some.csv", long), sequence="metric").notices)
    beside = long.with_columns(variable=pl.int_range(pl.len()) % 7 / 2)
    assert any(each.startswith(said) for each in read_and_split(Table("some.csv", beside), drop="variable").notices)
    at = pl.from_epoch("ts", "ms")
    moments = long.with_columns(date=at.dt.date(), time=at.dt.time()).drop("ts")  # which are put together, to sort
    (notice,) = (each for each in read_and_split(Table("some.csv", moments)).notices if each.startswith(said))
    line = notice.split("(Polars: ")[1].split("; pandas: ")[0]
    assert eval(line, {"frame": moments}).columns[:3] == ["label", "date", "time"]
    own = long.with_columns(label=(pl.col("reading") > 0).cast(pl.Int64))  # devices, each with labels of its own
    stacked = long.sort("metric", maintain_order=True)
    for other in (own, stacked):
        assert not any("seem to" in each for each in read_and_split(Table("some.csv", other)).notices)


def test_what_were_columns_of_steps_becomes_their_numbers() -> None:
    whole, long = unpivoted(True)
    with pytest.raises(DataError, match=r"'t0', 't1', 't2' and 37 more.*are steps of sequences") as error:
        read_and_split(Table("some.csv", long))
    line = str(error.value).split("(Polars: ")[1].split("; pandas: ")[0]
    for frame in (eval(line, {"pl": pl, "frame": long}), eval(said_of_wide(whole), {"pl": pl, "frame": whole})):
        split = read_and_split(Table("some.csv", frame))
        assert (split.columns.order, split.columns.per) == ("step", "sequence")
        assert split.columns.sequence == "patient" if "sequence_id" not in frame.columns else "sequence_id"
        assert split.parts.train.lengths.tolist() == [40] * 420


def said_of_wide(frame: pl.DataFrame) -> str:
    notices = read_and_split(Table("some.csv", frame), sequence="none", order="none").notices
    (said,) = (notice for notice in notices if notice.startswith("The columns 't0' to 't39' are numbered."))
    return said.split("(Polars: ")[1].split("; pandas: ")[0]


def tracks(**columns: Any) -> pl.DataFrame:
    """Two halves of 60 frames, in each of which five players of two teams stand, called by the same numbers."""
    rows = np.arange(1200)
    half, frame, team, player = rows // 600, rows // 10 % 60, rows // 5 % 2, rows % 5
    values = {"x": np.sin(rows), "label": rows // 7 % 2}
    return pl.DataFrame({"half": half, "frame": frame, "team": team, "player": player, **values, **columns})


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_players_who_are_called_the_same_in_both_teams_are_told(index: bool, mixed: bool) -> None:
    frame = tracks()
    if index:
        frame = frame.sort("player").with_row_index("").sort("half", "frame", maintain_order=True)
    some = Table("some.csv", frame.sample(1200, shuffle=True, seed=0) if mixed else frame)
    split = read_and_split(some)
    assert split.columns.sequence == "player"
    both = "player,half,team"
    assert [notice for notice in split.notices if "Careful" in notice] == [
        "Careful: sequences of 'player' seem to be several: in each the same 'frame' comes several times, and but once "
        f"where 'half' and 'team' are the same, too. Name all: sequence={both!r}."
    ]
    joined = with_joined(some, both)
    assert read_and_split(joined, sequence=both).columns.order == "frame"
    assert not any("Careful" in each for each in read_and_split(joined, sequence=both).notices)


def test_times_that_come_again_each_day_tell_no_sequences_apart() -> None:
    rows = np.arange(1200)
    days = {"week": rows // 240 % 10, "weekday": rows // 24 % 10, "hour": rows % 24}
    for names in (["week", "weekday"], ["week", "weekday", "hour"]):
        frame = tracks(**{name: days[name] for name in names}).drop("half", "team", "frame")
        frame = frame.with_columns(player=pl.lit(1), step=pl.Series(rows % 24))
        some = Table("some.csv", pl.concat([frame, frame.with_columns(player=pl.lit(2))]))
        assert not any("Careful" in each for each in read_and_split(some, sequence="player").notices)


@pytest.mark.parametrize("several", [True, False])
def test_texts_with_a_label_each_are_refused_with_the_line_that_helps(several: bool) -> None:
    letters = np.array(list("ACGT"))[np.random.default_rng(0).integers(0, 4, (60, 12))]
    texts = ["".join(row[:4]) + (" of it " if several else "") + "".join(row[4:]) for row in letters]
    frame = pl.DataFrame({"sequence": texts, "label": np.arange(60) % 2})
    with pytest.raises(DataError) as error:
        read_and_split(Table("dna.csv", frame))
    said = str(error.value)
    assert "dna.csv: each row holds a text of its own in 'sequence'" in said
    assert said.endswith("with per='sequence'. If the rows are steps of one sequence all the same: sequence='none'.")
    line = said.split("(Polars: ")[1].split("; pandas: ")[0]
    apart = eval(line, {"pl": pl, "frame": frame})
    split = read_and_split(Table("dna.csv", apart))
    word = "word" if several else "letter"
    assert (split.columns.sequence, split.columns.features, split.columns.per) == ("sequence_id", (word,), "sequence")
    assert apart[word].to_list() == [each for text in texts for each in (text.split(" ") if several else text)]
    assert read_and_split(Table("dna.csv", frame), sequence="none").columns.features == ("sequence",)
    named = frame.with_columns(entry=pl.format("P{}", pl.int_range(100, 160)))
    with pytest.raises(DataError, match="each row holds a text of its own in 'sequence'"):
        read_and_split(Table("dna.csv", named))
    entries = eval(line, {"pl": pl, "frame": named})
    assert read_and_split(Table("dna.csv", entries)).columns.features == (word,)
    kinds = frame.with_columns(species=pl.format("species {}", pl.int_range(pl.len()) % 3))
    assert "species" in read_and_split(Table("dna.csv", kinds)).columns.features
    again = frame.select("label", text=pl.col("sequence").gather(pl.int_range(pl.len()) % 9))
    if not several:
        assert read_and_split(Table("dna.csv", again)).columns.features == ("text",)


@pytest.mark.parametrize(("what", "between"), [("letter", ""), ("word", " ")])
def test_texts_with_a_label_per_part_are_refused_with_the_line_that_helps(what: str, between: str) -> None:
    draw = np.random.default_rng(0)
    texts = {"seq": [between.join(draw.choice(list("ACDE"), 12)) for _ in range(60)]}
    frame = pl.DataFrame(texts | {"sst3": [between.join(draw.choice(list("HEC"), 12)) for _ in range(60)]})
    with pytest.raises(DataError, match=f"and learn one label per {what}") as error:
        read_and_split(Table("some.csv", frame), label="sst3")
    apart = eval(str(error.value).split("(Polars: ")[1].split("; pandas: ")[0], {"pl": pl, "frame": frame})
    split = read_and_split(Table("some.csv", apart), label="sst3")
    assert (split.columns.sequence, split.columns.features, split.columns.per) == ("sequence_id", (what,), "step")
    assert apart["sst3"].to_list() == [part for text in frame["sst3"] for part in text.replace(" ", "")]


def test_the_line_for_pandas_helps_as_well() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": [f"{'ab'[row % 2] * 5}{row:03}" for row in range(60)], "label": [0, 1] * 30})
    with pytest.raises(DataError) as error:
        read_and_split(Table("some.csv", pl.DataFrame(frame.to_dict("list"))))
    line = str(error.value).split("pandas: ")[1].split("), and learn")[0]
    apart = eval(line, {"frame": frame})
    assert list(apart.columns) == ["label", "sequence_id", "letter"]
    assert len(apart) == 480


def labels_of(labels: list[Any], sequences: int = 60, **roles: Any) -> list[str]:
    rows = np.arange(sequences * 5)
    frame = pl.DataFrame({"flow": rows // 5, "x": np.sin(rows), "label": labels})
    return read_and_split(Table("some.csv", frame), **roles).notices


def test_labels_that_are_no_classes() -> None:
    said = "some.csv: {} of the {} labels in 'label' come once, such as {}: amounts or names are no classes. Cut"
    with pytest.raises(DataError, match=said.format(200, 300, 1) + r".*with label=\.$"):
        labels_of([0] * 100 + list(range(1, 201)), per="step")
    with pytest.raises(DataError, match=said.format(60, 60, "'name 0'") + ".*If each letter labels a step"):
        labels_of([f"name {row // 5}" for row in range(300)], per="sequence")
    assert labels_of([row % 100 if row < 200 else 0 for row in range(300)])


def test_labels_that_are_empty_may_mean_a_class() -> None:
    for label, value in ((1, 0), ("worm", "normal"), ("B-name", "O"), (True, False)):
        with pytest.raises(DataError, match="the table has one label only") as error:
            labels_of([label if row % 5 else None for row in range(300)], per="step")
        line = str(error.value).split("(Polars: ")[1].split("; pandas: ")[0]
        frame = pl.DataFrame({"label": [label, None]})
        assert eval(line, {"pl": pl, "frame": frame})["label"].to_list() == [label, value]
    some = labels_of([None if row % 5 == 2 else 1 + row % 2 for row in range(300)], per="step")
    assert some[0].startswith("60 steps have no label in 'label': read as input, not learned or scored. If an empty")
    few = labels_of([None if row == 2 else row % 2 for row in range(300)], per="step")
    assert few[0] == "1 step has no label in 'label': read as input, not learned or scored."


@pytest.mark.parametrize("other", ["No", "n o"])
def test_labels_in_several_spellings_are_told_with_the_line_that_helps(other: str) -> None:
    labels = ["yes", "Yes", " YES", "no", other] * 60
    said = next(each for each in labels_of(labels, per="step") if "differ in blanks" in each)
    line = said.split("(Polars: ")[1].split("; pandas: ")[0]
    assert eval(line, {"pl": pl, "frame": pl.DataFrame({"label": labels})})["label"].unique().sort().to_list() == [
        "no",
        "yes",
    ]


def test_labels_that_are_numbers() -> None:
    amounts = "The labels in 'label' are 51 whole numbers: if they are amounts, classes have no order here; cut them"
    for kinds, said in ((51, True), (50, False)):
        assert any(amounts in each for each in labels_of([row * 7 % kinds for row in range(300)])) == said
    assert not any("whole numbers" in each for each in labels_of([f"w{row * 7 % 60}" for row in range(300)]))


def test_tags_that_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    for tags, said in (([0, 1, 2, 0], True), (["O", "B-PER", "I-PER", "O"], False), ([0, 1, 1, 0], False)):
        frame = pl.DataFrame({"tokens": [["the", "Ada", "Byron", "is"]] * 40, "ner_tags": [tags] * 40})
        frame.write_ndjson(path)
        notices = read_and_split(path).notices
        assert ("The tags in 'ner_tags' are numbers: with their names" in " ".join(notices)) == said


def test_nines_far_from_all_other_values_are_told(tmp_path: Path) -> None:
    rows = range(120)
    x = [9999.9 if row % 10 == 3 else -999.0 if row % 10 == 4 else row % 7 / 2 for row in rows]
    y = [-99 if row % 9 == 2 else row % 5 for row in rows]
    once = [9999 if row == 50 else row % 11 for row in rows]
    frame = pl.DataFrame({"x": x, "z": y, "once": once, "percent": [99 - row % 90 for row in rows]})
    path = tmp_path / "some.csv"
    frame.with_columns(label=pl.Series([0, 1] * 60)).write_csv(path)
    notices = [each for each in read_and_split(path, sequence="none").notices if each.startswith("Careful")]
    assert notices == [
        "Careful: far from all other values there is -999, 9999.9 in 'x'; -99 in 'z'. If that means that there is "
        "no value, leave such fields empty, or read it as missing (missing=['-999', '9999.9', '-99'])."
    ]
    read = read_and_split(path, sequence="none", missing=[-999, 9999.9, "-99"])
    assert not any(each.startswith("Careful") for each in read.notices)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_devices_in_any_order_under_any_name_are_told(whole: bool, shuffled: bool) -> None:
    random, rows = np.random.default_rng(0), np.arange(2400)
    devices, load = random.integers(0, 12, len(rows)), np.zeros(len(rows))
    last = random.normal(size=12)
    for row, device in enumerate(devices):
        load[row] = last[device] = 0.9 * last[device] + random.normal()
    names = devices if whole else np.array(list("kqxzbvwjphgf"))[devices]
    frame = pl.DataFrame({"at": rows * 1.5, "gw": names, "load": load, "label": random.integers(0, 2, len(rows))})
    frame = frame.sample(fraction=1.0, shuffle=True, seed=0) if shuffled else frame
    said = (
        "Careful: 'gw' may tell sequences apart: 'load' goes on from the last row of the same 'gw', not from the row "
        "before. If it does, use sequence='gw'."
    )
    assert said in read_and_split(Table("some.csv", frame), order="at").notices
    for given in ("gw", "none"):
        assert said not in read_and_split(Table("some.csv", frame), order="at", sequence=given).notices


def test_states_floors_and_hours_of_one_thing_are_no_devices() -> None:
    random, rows = np.random.default_rng(0), np.arange(2400)
    drift = np.cumsum(random.normal(size=len(rows)))
    hod = rows % 24
    frame = pl.DataFrame(
        {
            "state": random.choice(["on", "off", "idle"], len(rows)),
            "floor": np.abs(rows % 12 - 6),
            "hod": hod,
            "turn": rows % 5,
            "gust": random.poisson(3, len(rows)),
            "temperature": np.sin(hod / 24 * 6.28) + 0.1 * drift,
            "load": random.normal(size=len(rows)) + hod,
            "label": random.integers(0, 2, len(rows)),
        }
    )
    split = read_and_split(Table("some.csv", frame))
    assert not any("may tell sequences apart" in each for each in split.notices)
    assert {guess.role for guess in split.columns.guesses} == {"feature", "category", "label"}


@pytest.mark.parametrize("kind", ["{:.1f} MB|{:.1f} KB", "<{:.3f}|>{:.3f}", "{:.2f}-9|{:.2f} - 12"])
def test_numbers_in_several_units_are_not_dropped_as_ids(kind: str, tmp_path: Path) -> None:
    forms = kind.split("|")
    size = [forms[row * row % 7 % 2].format(1.37 + row * 1.13) for row in range(200)]
    ids = [f"{row * 7919:x}-{row:03}" for row in range(200)]
    frame = pl.DataFrame({"size": size, "id_": ids, "x": range(200), "label": [row // 3 % 2 for row in range(200)]})
    frame.write_csv(tmp_path / "some.csv")
    split = read_and_split(tmp_path / "some.csv", sequence="none", order="none", features=["size", "id_", "x"])
    *_, notices = split.encoded()
    cure = "Most hold a number: to learn from amounts, write them as numbers, in one unit."
    assert [each for each in notices if cure in each] == [
        notice for notice in notices if notice.startswith("Careful: Column 'size' is left out")
    ]
    assert any(notice.startswith("Careful: Column 'size' is left out") for notice in notices)
    assert any("Column 'id_' is left out" in each and "tells rows apart and nothing else" in each for each in notices)


TO_ARRAYS = """
import sys, time
from bothways.data import read_and_split, refuse_leaks

for path in sys.argv[1:]:
    start = time.process_time()
    split = read_and_split(path, sequence="flow", label="label")
    columns, parts, _ = split.encoded()
    refuse_leaks(split.table, columns, parts, allowed=False, to="train", say=lambda text: None)
    print(parts.train.features, time.process_time() - start)
"""


@pytest.mark.slow
def test_the_time_grows_with_the_columns_and_no_faster(tmp_path: Path) -> None:
    """Twice the columns take at most 2.2 times as long, the whole way to arrays; 10,000 columns work.

    One thread of Polars, in a process of its own, does not wait for others. Of several tries one has to show it, since
    what else runs makes some of them longer; each column took 1.5 to 1.7 ms, however many there were.
    """
    random = np.random.default_rng(0)
    for count in (100, 1000, 2000, 10_000):
        frame = pl.DataFrame(random.normal(size=(200, count)).round(3), [f"x{i}" for i in range(count)], orient="row")
        frame = frame.with_columns(flow=np.arange(200) // 10, label=random.integers(0, 2, 200))
        frame.write_csv(tmp_path / f"{count}.csv")

    def ratio(few: int, many: int) -> float:
        paths = [str(tmp_path / f"{count}.csv") for count in (100, few, many)]  # the first brings what is imported late
        command = [sys.executable, "-c", TO_ARRAYS, *paths]
        said = subprocess.check_output(command, env={**os.environ, "POLARS_MAX_THREADS": "1"}, text=True)
        _, of_few, of_many = (line.split() for line in said.splitlines())
        assert (of_few[0], of_many[0]) == (str(few), str(many))
        return float(of_many[1]) / float(of_few[1])

    ratios = [ratio(1000, 2000)]
    while ratios[-1] > 2.2 and len(ratios) < 8:
        ratios.append(ratio(1000, 2000))
    assert ratios[-1] <= 2.2, ratios
    assert ratio(2000, 10_000) < 2.2 * 5


def test_columns_of_text_take_as_long_as_a_few_of_numbers() -> None:
    def seconds(column: list[Any]) -> float:
        columns = {f"x{at}": column for at in range(60)}
        frame = pl.DataFrame({"flow": [f"F{row // 20}" for row in range(400)], "label": np.arange(400) % 2} | columns)
        start = time.process_time()
        read_and_split(Table("some.csv", frame))
        return time.process_time() - start

    states = [f"state {row * row // 9 % 3}" for row in range(400)]
    assert seconds(states) < 20 * seconds([row * row / 9 % 3 for row in range(400)])


@pytest.mark.parametrize("group", [None, "date"])
def test_days_may_be_sequences(group: str | None) -> None:
    days = [datetime.date(2024, 5, 1 + row // 24) for row in range(240)]
    frame = pl.DataFrame({"date": days, "load": [row * 7 % 5 for row in range(240)], "label": [0, 0, 1] * 80})
    split = read_and_split(Table("some.csv", frame), sequence="date", group=group)
    assert (split.columns.sequence, split.columns.features) == ("date", ("load",))
    assert not any("several" in notice for notice in split.notices)


def test_many_columns_of_which_the_same_is_said_share_a_line(tmp_path: Path) -> None:
    """A table of a survey has fields that are missing in most columns, in each another number of them."""
    rows = [",".join(["NA" if row < name else str(row * name % 7) for name in range(40)]) for row in range(60)]
    text = ",".join(["label", *(f"x{name}" for name in range(40))]) + "\n"
    (tmp_path / "some.csv").write_text(text + "".join(f"{row % 2},{line}\n" for row, line in enumerate(rows)))
    split = read_and_split(tmp_path / "some.csv", sequence="none", order="none")
    columns, _, notices = split.encoded()
    assert [row for row in guess_rows(columns.guesses) if "missing" in row[2]] == [
        ("x1, x2, x3 and 36 more", "feature", "numbers; 1 to 39 fields are missing ('NA')")
    ]
    assert notices == [
        "Columns 'x1', 'x2', 'x3' and 36 more: 1 to 39 rows of the train part without a finite number; filled with the "
        "mean, and a column says where."
    ]


def test_a_word_beside_whole_numbers_may_be_a_label(tmp_path: Path) -> None:
    file = tmp_path / "stress.csv"
    labels = [(word, ("none", "0", "1")[step % 3], 7 * step % 5) for word in range(12) for step in range(9)]
    pl.DataFrame(labels, ["word_id", "stress", "x"], orient="row").write_csv(file)
    split = read_and_split(file, label="stress")
    assert split.parts.classes == (0, 1)
    said = "Label 'stress': 36 fields are missing ('none'). If that is a label of its own: categorical=['stress']."
    assert said in split.notices
    split = read_and_split(file, label="stress", categorical=["stress"])
    assert split.parts.classes == ("0", "1", "none")
    assert not any("missing" in notice for notice in split.notices)
