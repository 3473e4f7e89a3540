"""Sequences that several columns tell apart, as in `--sequence subject,trial`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bothways import SequenceLabeler, jobs, page, store
from bothways.data import Columns, choose_columns, read_and_split, stream_sequences
from bothways.data.frames import frame_table
from bothways.errors import DataError
from bothways.jobs.event_lines import EventLines
from bothways.network import Network
from bothways.runtime import Model
from bothways.tables import read_table
from members import random_member

BOTH = "subject,trial"
COLUMNS = Columns("grew", ("x",), BOTH)


def trials() -> pl.DataFrame:
    """Three trials of each of four subjects, five steps long; the name of a subject has a comma."""
    x = np.random.default_rng(0).normal(size=60).round(3)
    subject, trial = np.repeat(["s,0", "s,1", "s,2", "s3"], 15), np.tile(np.repeat([1, 2, 3], 5), 4)
    return pl.DataFrame({"subject": subject, "trial": trial, "x": x, "grew": np.diff(x, prepend=0) > 0})


def some_model() -> Model:
    return Model([random_member(Network(features=1, classes=2, units=3))], ("no", "yes"), COLUMNS)


def written(frame: pl.DataFrame, path: Path) -> Path:
    getattr(frame, {".csv": "write_csv", ".parquet": "write_parquet", ".jsonl": "write_ndjson"}[path.suffix])(path)
    return path


def test_their_values_stand_side_by_side_and_are_no_features() -> None:
    frame = trials().with_columns(step=pl.int_range(60))
    columns = choose_columns(frame_table("some", frame, BOTH), label="grew", sequence=BOTH)
    assert (columns.sequence, columns.order, columns.features) == (BOTH, "step", ("x",))
    why = {guess.name: (guess.role, guess.why) for guess in columns.guesses}
    assert why["subject"] == why["trial"] == ("left out", "part of the name of a sequence")
    columns = choose_columns(frame_table("some", frame, BOTH), label="grew", sequence=BOTH, group="subject")
    assert columns.group == "subject"
    assert [(guess.role, guess.why) for guess in columns.guesses if guess.name == "subject"] == [("group", "as given")]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
@pytest.mark.parametrize("spaces", [False, True])
def test_from_a_file_in_pieces_or_as_a_whole(ending: str, spaces: bool, tmp_path: Path) -> None:
    frame = trials()
    if spaces and ending == ".csv":
        frame = frame.rename({"trial": " trial"})
    path = written(frame, tmp_path / f"trials{ending}")
    names = [f'"s,{i}",{j}' for i in range(3) for j in (1, 2, 3)] + [f"s3,{j}" for j in (1, 2, 3)]
    told = list[str]()
    chunks = list(stream_sequences(path, COLUMNS, rows=7, say=told.append))
    assert pl.concat([chunk.frame for chunk in chunks]).columns == frame.columns
    assert [name for chunk in chunks for name in chunk.sequences.ids or ()] == names
    numbers = frame.with_columns(subject=pl.Series(np.repeat([1, 10, 2, 20], 15)))
    chunks = list(stream_sequences(written(numbers, path), COLUMNS, rows=7, say=told.append))
    assert sum(len(chunk.sequences) for chunk in chunks) == 12
    assert told == []
    (whole,) = stream_sequences(written(frame[::-1], path), COLUMNS)
    assert sorted(whole.sequences.ids or ()) == names
    (apart,) = stream_sequences(written(frame.sample(60, shuffle=True, seed=1), path), COLUMNS, typed=True)
    assert sorted(apart.sequences.ids or ()) == names
    assert apart.frame.columns == apart.values.columns == frame.columns


def test_durations_are_seconds_in_names(tmp_path: Path) -> None:
    frame = trials().with_columns(pl.duration(minutes="trial").alias("trial"))
    path = written(frame, tmp_path / "trials.parquet")
    names = [name for chunk in stream_sequences(path, COLUMNS) for name in chunk.sequences.ids or ()]
    assert names[:2] == ['"s,0",60.0', '"s,0",120.0']
    assert {*names} == {*read_table(path, sequence=BOTH).column(BOTH)}


def test_blanks_around_ids_make_no_sequence(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("subject,trial,x\na,1,0.5\na, 1,0.5\n")
    (chunk,) = stream_sequences(tmp_path / "some.csv", COLUMNS)
    assert chunk.sequences.ids == ("a,1",)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_labels_are_written_beside_the_columns_of_the_file(ending: str, tmp_path: Path) -> None:
    model, out = tmp_path / "some.bothways", tmp_path / f"out{ending}"
    store.save(some_model(), model)
    path = written(trials(), tmp_path / f"trials{ending}")
    jobs.predict(model, path, out, say=lambda message: None)
    assert read_table(out).names == ["subject", "trial", "x", "grew", "predicted", "probability"]


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    path = written(trials().rename({"trial": "trail"}), tmp_path / "some.csv")
    for read in (lambda: read_table(path, sequence=BOTH), lambda: list(stream_sequences(path, COLUMNS))):
        with pytest.raises(DataError, match=r"there is no column 'trial'. Did you mean 'trail'?"):
            read()


def test_a_column_may_have_a_comma_in_its_name(tmp_path: Path) -> None:
    path = written(trials().rename({"trial": BOTH}), tmp_path / "some.parquet")
    assert read_table(path, sequence=BOTH).names == ["subject", BOTH, "x", "grew"]


@pytest.mark.parametrize("beside", [["trial"], ["subject", "trial"]])
def test_a_column_with_a_comma_in_its_name_is_not_made_of_others(beside: list[str]) -> None:
    kind = np.tile(["p", "q", "r"], 20)
    frame = trials().select("x", "grew", pl.col("subject").alias(BOTH), *(pl.Series(name, kind) for name in beside))
    fitted = SequenceLabeler(sequence=BOTH, units=2, epochs=1).fit(frame.drop("grew"), frame["grew"].to_numpy())
    assert fitted.columns_.features == ("x", *beside)
    table, _ = page._described(fitted.model_, fitted.columns_, "some")
    assert table["table"]["joined"] == []


def test_an_order_column_with_a_comma_in_its_name_is_not_made_of_others() -> None:
    step = np.arange(60)
    frame = trials().select("x", "grew", pl.Series("year,day", step), pl.Series("year", step % 3), day=step % 7)
    fitted = SequenceLabeler(order="year,day", units=2, epochs=1).fit(frame.drop("grew"), frame["grew"].to_numpy())
    assert fitted.columns_.features == ("x", "year", "day")
    table, _ = page._described(fitted.model_, fitted.columns_, "some")
    assert [part["name"] for part in table["table"]["told"]] == ["year,day"]


def test_the_estimator() -> None:
    frame = trials()
    labeler = SequenceLabeler(sequence=BOTH, budget="0", epochs=1).fit(frame.drop("grew"), frame["grew"].to_numpy())
    predicted = labeler.predict(frame.drop("grew"))
    assert len(predicted) == 60
    apart = frame.with_row_index().sample(60, shuffle=True, seed=1)
    found = labeler.predict(apart.sort("trial", "index").select("subject", "trial", "x"))
    assert np.array_equal(found, predicted[apart.sort("trial", "index")["index"].to_numpy()])


def test_a_group_keeps_the_sequences_of_a_subject_in_one_part(tmp_path: Path) -> None:
    said = "Sequences of one 'subject' may stand in several parts; group='subject' keeps them in one."
    some = frame_table("some", pl.concat([trials()] * 3), BOTH)
    assert said in read_and_split(some, label="grew", sequence=BOTH).notices
    assert said not in read_and_split(some, label="grew", sequence=BOTH, group="subject").notices
    zeros = trials().with_columns(subject=pl.Series([f"0{row // 15}" for row in range(60)]))
    assert said in read_and_split(written(zeros, tmp_path / "some.csv"), label="grew", sequence=BOTH).notices


def test_events() -> None:
    lines = EventLines(some_model())
    assert lines.event('{"subject": "a", "trial": 3, "x": 1.5}', 1) == (
        "a,3",
        1,
        {"subject": "a", "trial": 3, "x": 1.5},
    )
    for line in ('\ufeff{"subject": "a", "trial": 3}', b'\xef\xbb\xbf{"subject": "a", "trial": 3}'):  # as editors write
        assert lines.event(line, 1) == ("a,3", 1, {"subject": "a", "trial": 3})
    one, other = '{"subject": "a,b", "trial": "c", "x": 1}', '{"subject": "a", "trial": "b,c", "x": 1}'
    assert [event and event[0] for event in (lines.event(one, 1), lines.event(other, 1))] == ['"a,b",c', 'a,"b,c"']
    assert lines.event('{"subject,trial": "a,3", "x": 1.5}', 1) == ("a,3", 1, {BOTH: "a,3", "x": 1.5})
    with pytest.raises(DataError, match="'trial' is None, which names no sequence"):
        lines.event('{"subject": "a", "trial": null, "x": 1.5}', 1)
    with pytest.raises(DataError, match="Line 1 has no 'trial'"):
        lines.event('{"subject": "a", "x": 1.5}', 1)
