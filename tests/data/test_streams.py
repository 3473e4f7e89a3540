"""Tables read in chunks, and written with labels."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bothways.data import (
    Columns,
    LabeledWriter,
    SplitTable,
    evaluation_part,
    read_and_split,
    read_sequences,
    split_table,
    stream_sequences,
)
from bothways.data.labeled import opened
from bothways.errors import DataError, counted
from bothways.sequences import Sequences
from bothways.tables import Table, read_table
from bothways.tables.opening import decompressed
from bothways.tables.table import filled_down
from prepared import write_table

ENDINGS = [".parquet", ".csv", ".jsonl.gz"]


def flows(lengths: list[int]) -> pl.DataFrame:
    """Sequences of these lengths, together and in order."""
    names = [f"f{i:03}" for i, length in enumerate(lengths) for _ in range(length)]
    places = [float(i * i) for length in lengths for i in range(length)]
    rows = range(len(names))
    kinds = [["tcp", "udp", "icmp"][row % 3] for row in rows]
    frame = pl.DataFrame({"flow": names, "at": places, "x": [row * 0.5 for row in rows], "kind": kinds})
    return frame.with_columns(label=pl.int_range(pl.len()) % 2)


def fitted(frame: pl.DataFrame) -> Columns:
    columns = Columns("label", ("x", "kind"), sequence="flow", order="at", categories=("kind",))
    return SplitTable(Table("some.csv", frame), *split_table(Table("some.csv", frame), columns, seed=0)).encoded()[0]


COLUMNS = fitted(flows([5] * 10))


def even(sequences: Sequences) -> tuple[Any, Any]:
    x = sequences.values[:, 0]
    return (x % 2 == 0).astype(np.int64), np.stack([x, x], axis=1)


def label_all(source: Any, output: Path, columns: Columns = COLUMNS, **how: Any) -> tuple[LabeledWriter, list[str]]:
    """Label the even numbers of x."""
    said: list[str] = []
    with LabeledWriter(output, ["odd", "even"]) as writer:
        writer.label(source, columns, even, say=said.append, **how)
    return writer, said


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), rows=st.integers(1, 20))
def test_chunks_are_the_table(tmp_path: Path, ending: str, lengths: list[int], rows: int) -> None:
    path = tmp_path / f"some{ending}"
    write_table(flows(lengths), path)
    whole, _ = read_sequences(read_table(path, COLUMNS.categories), COLUMNS)
    assert whole.ids is not None
    chunks = list(stream_sequences(path, COLUMNS, rows=rows, say=pytest.fail))
    assert np.concatenate([chunk.sequences.values for chunk in chunks]).tolist() == whole.values.tolist()
    assert [name for chunk in chunks for name in chunk.sequences.ids or ()] == list(whole.ids)
    assert np.concatenate([chunk.sequences.lengths for chunk in chunks]).tolist() == whole.lengths.tolist()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_large_table_comes_in_several_chunks(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"some{ending}"
    write_table(flows([100] * 2000), path)
    assert len(list(stream_sequences(path, COLUMNS, rows=20_000, say=pytest.fail))) > 3


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("output", ENDINGS)
@pytest.mark.parametrize("scattered", [False, True])
def test_every_row_is_labeled_and_stays_where_it_was(tmp_path: Path, ending: str, output: str, scattered: bool) -> None:
    frame = flows([100] * 200)
    if scattered:
        frame = pl.concat([frame.head(18_050).sort("at", maintain_order=True), frame.tail(1_950)])
    write_table(frame, tmp_path / f"some{ending}")
    writer, said = label_all(tmp_path / f"some{ending}", tmp_path / f"out{output}", rows=4_000)
    labeled = read_table(tmp_path / f"out{output}").frame()
    assert labeled.drop("predicted", "probability").equals(frame)
    assert (labeled["predicted"] == pl.Series(["odd", "even"]).gather((frame["x"] % 2 == 0).cast(int))).all()
    assert (labeled["probability"].cast(pl.Float32) == frame["x"].cast(pl.Float32)).all()
    assert (writer.rows, writer.sequences) == (20_000, 200)
    assert writer.counts.tolist() == [15_000, 5_000]
    assert any("the whole table is read at once" in notice for notice in said) == scattered
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([f"some{ending}", f"out{output}"])


def test_rows_that_come_again_later_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    late = flows([100]).with_columns(at=pl.col("at") + 1e6)
    write_table(pl.concat([flows([100] * 1000), late]), path)
    said: list[str] = []
    chunks = list(stream_sequences(path, COLUMNS, rows=10_000, say=said.append))
    assert [chunk.anew for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].sequences.steps == 100_100
    assert "the rows of some sequences in 'flow' stand apart" in said[0]


def test_names_with_blanks_around_them_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("flow,x\n" + "".join(f"{flow},1.5\n" for flow in ["a"] * 3 + ["b"] * 3 + [" a"] * 3))
    *_, chunk = stream_sequences(path, Columns("label", ("x",), sequence="flow"), rows=3, say=lambda text: None)
    assert chunk.anew
    assert chunk.sequences.lengths.tolist() == [6, 3]


def sentences(lengths: list[int]) -> pl.DataFrame:
    """As in Kaggle's table of entities: the number of each sentence stands on its first row."""
    firsts = [place == 0 for length in lengths for place in range(length)]
    ids = [f"Sentence: {number}" if first else None for number, first in zip(np.cumsum(firsts), firsts, strict=True)]
    rows = np.arange(len(ids))
    words = [f"w{row * 7 % 5}" for row in rows]
    frame = pl.DataFrame({"Sentence #": ids, "word": words, "x": rows * 3 % 11 + rows / 64, "label": rows % 2})
    return frame.with_columns(pl.col("Sentence #").cast(pl.String))


SENTENCES = filled_down(Table("some.csv", sentences([3, 1, 4, 2] * 10)))
OF_SENTENCES = SplitTable(
    SENTENCES, *split_table(SENTENCES, Columns("label", ("x",), sequence="Sentence #"), seed=0)
).encoded()[0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_ids_on_the_first_row_of_each_sequence_are_filled_downward(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"some{ending}"
    write_table(sentences([3, 1, 4, 2] * 10), path)
    split = read_and_split(path)
    columns, _, notices = split.encoded()
    assert (columns.sequence, columns.features) == ("Sentence #", ("word", "x"))
    (why,) = (guess.why for guess in columns.guesses if guess.role == "sequence")
    assert why == "by its name and its 40 values; stands on the first row of each; filled downward"
    whole, _ = read_sequences(split.table, columns)
    assert sorted(whole.lengths.tolist()) == [1] * 10 + [2] * 10 + [3] * 10 + [4] * 10
    assert not any("'Sentence #'" in notice for notice in notices)
    name = columns.sequence
    assert read_table(path, sequence=name).column("Sentence #").null_count() == 0
    assert read_table(path, sequence="x").column("Sentence #").null_count() == 60
    (chunk,) = stream_sequences(path, columns)
    assert chunk.sequences.ids == tuple(f"Sentence: {number}" for number in range(1, 41))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=12), rows=st.integers(1, 20), twice=st.booleans())
def test_ids_are_filled_in_chunks_as_in_the_whole(
    tmp_path: Path, ending: str, lengths: list[int], rows: int, twice: bool
) -> None:
    path = tmp_path / f"some{ending}"
    frame = sentences(lengths)
    if twice:  # an id that comes again shows that empty rows have none
        frame[-1, "Sentence #"] = "Sentence: 1"
    write_table(frame, path)
    table, said = read_table(path, sequence="Sentence #"), list[str]()
    if empty := table.column("Sentence #").null_count():
        with pytest.raises(DataError, match=f"is empty. {counted(empty, 'such row')}. Write the name of the sequence"):
            list(stream_sequences(path, OF_SENTENCES, rows=rows, say=said.append))
        return
    whole, _ = read_sequences(table, OF_SENTENCES)
    chunks = list(stream_sequences(path, OF_SENTENCES, rows=rows, say=said.append))
    chunks = chunks[next((at for at, chunk in enumerate(chunks) if chunk.anew), 0) :]
    assert {name: x for chunk in chunks for name, x in named(chunk.sequences)} == dict(named(whole))
    assert all(chunk.frame["Sentence #"].null_count() == 0 for chunk in chunks)
    assert any("filled downward" in notice for notice in said) == (frame["Sentence #"].null_count() > 0)


def test_the_column_of_sequences_may_have_any_name(tmp_path: Path) -> None:
    write_table(flows([3, 2]).rename({"flow": "^x$"}), tmp_path / "some.csv")
    (chunk,) = stream_sequences(tmp_path / "some.csv", replace(COLUMNS, sequence="^x$"), say=pytest.fail)
    assert chunk.sequences.lengths.tolist() == [3, 2]


def test_ids_that_are_learned_from_are_not_filled(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    write_table(sentences([3, 1, 4, 2] * 10), path)
    split = read_and_split(path, categorical=["Sentence #"])
    assert (split.columns.sequence, split.columns.categories) == (None, ("Sentence #", "word"))
    assert split.table.column("Sentence #").null_count() == 60
    columns = split.encoded()[0]
    (chunk,) = stream_sequences(path, columns)
    assert np.array_equal(chunk.sequences.values, read_sequences(split.table, columns)[0].values)


def named(sequences: Sequences) -> list[tuple[Any, list[float]]]:
    values = np.split(sequences.values[:, 0], sequences.offsets[1:-1])
    return list(zip(sequences.ids or (), (each.tolist() for each in values), strict=True))


def test_files_may_number_their_sentences_anew(tmp_path: Path) -> None:
    for name in ("train", "test"):
        sentences([3, 1, 4, 2]).write_csv(tmp_path / f"{name}.csv")
    table = read_table(tmp_path)
    assert table.readings["Sentence #"] == "stands on the first row of each; filled downward"
    sentences([3, 1, 4, 2]).slice(1).write_csv(tmp_path / "train.csv")
    assert "Sentence #" not in read_table(tmp_path).readings


def test_cells_of_csv_stay_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("flow;at;x;kind\na;0; 1.50;tcp\na;1;;udp\n")
    label_all(path, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[1] == "a;0; 1.50;tcp;odd;1.5"
    assert lines[2].startswith("a;1;;udp;")
    label_all(path, tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["x"].to_list() == [1.5, None]


@pytest.mark.parametrize("scattered", [False, True])
def test_categories_of_parquet_are_read_as_they_were_learned(tmp_path: Path, scattered: bool) -> None:
    path, share = tmp_path / "some.parquet", pl.col("x") % 2
    frame = flows([5] * 8).with_columns(share.cast(pl.Decimal(9, 2)), kind=pl.Series(["tcp", " tcp", "", "udp "] * 10))
    frame = frame.with_columns(code=pl.Series([7.0, float("nan")] * 20), wait=pl.Series([timedelta(seconds=5)] * 40))
    frame = frame.sample(fraction=1.0, shuffle=True, seed=0) if scattered else frame
    write_table(frame, path)
    split = read_and_split(path, categorical=["x", "code", "wait"], sequence="flow", order="at", split="none")
    columns = split.encoded()[0]
    assert {each.name: {*each.values} for each in columns.fitted.categories} == {
        "x": {"0", "0.5", "1", "1.5"},
        "kind": {"tcp", None, "udp"},
        "code": {"7", None},
        "wait": {"5"},
    }
    *_, chunk = stream_sequences(path, columns)
    assert np.array_equal(chunk.sequences.values, read_sequences(split.table, columns)[0].values)
    label_all(path, tmp_path / "out.parquet", columns)
    assert pl.read_parquet(tmp_path / "out.parquet").drop("predicted", "probability").equals(frame)


@pytest.mark.parametrize("files", [1, 2])
def test_categories_with_a_type_of_their_own_are_text(tmp_path: Path, files: int) -> None:
    frame = flows([5] * 8).with_columns(kind=pl.Series(["1.5", " 1.5", "", "2.5"] * 10).cast(pl.Categorical))
    for at in range(files):
        write_table(frame[at * 20 : 20 + at * 20 if files > 1 else None], tmp_path / f"{at}.parquet")
    split = read_and_split(tmp_path, sequence="flow", order="at", categorical="kind")
    columns = split.encoded()[0]
    assert {*columns.fitted.categories[0].values} == {"1.5", None, "2.5"}
    found = np.concatenate([chunk.sequences.values for chunk in stream_sequences(tmp_path, columns)])
    assert np.array_equal(found, read_sequences(split.table, columns)[0].values)


def test_whole_numbers_first_and_others_later(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    late = flows([100] * 1000).with_columns(x=pl.int_range(pl.len()).cast(pl.String)).to_dicts()
    late[-1]["x"] = "7.5"
    write_table(pl.DataFrame(late), path)
    _, said = label_all(path, tmp_path / "out.parquet", rows=10_000)
    assert pl.read_parquet(tmp_path / "out.parquet")["x"][-1] == 7.5
    assert "the first rows alone do not show how to read all of them" in said[0]
    assert label_all(path, tmp_path / "out.csv", rows=10_000)[1] == []


def test_a_column_that_is_empty_at_first_has_the_type_of_its_later_values(tmp_path: Path) -> None:
    write_table(flows([5] * 8).with_columns(more=pl.Series([None] * 30 + [7] * 10)), tmp_path / "some.csv")
    label_all(tmp_path / "some.csv", tmp_path / "out.parquet", rows=10)
    assert pl.read_parquet(tmp_path / "out.parquet")["more"].drop_nulls().to_list() == [7] * 10


def test_several_files_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    frame = flows([7] * 10)
    write_table(frame.head(33), folder / "a.parquet")
    write_table(frame.tail(37).select(reversed(frame.columns)), folder / "b.parquet")
    writer, said = label_all(folder, tmp_path / "out.parquet")
    assert (writer.sequences, said) == (10, [])
    assert pl.read_parquet(tmp_path / "out.parquet").drop("predicted", "probability").equals(frame)
    write_table(frame.tail(37).with_columns(at=pl.lit(None, pl.Float64)), folder / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: data row 1 \(the first is 1\), column 'at' is empty"):
        label_all(folder, tmp_path / "out.parquet")


def test_times_in_a_later_file_are_kept(tmp_path: Path) -> None:
    days = pl.DataFrame({"flow": ["a", "a"], "at": [date(2024, 1, 1), date(2024, 1, 2)], "x": [1.0, 2.0]})
    write_table(days, tmp_path / "a.parquet")
    late = pl.Series([datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 9)])
    write_table(days.with_columns(flow=pl.lit("b"), at=late, x=pl.col("x") + 2), tmp_path / "b.parquet")
    *_, chunk = stream_sequences(tmp_path, Columns("label", ("x",), sequence="flow", order="at"), say=lambda text: None)
    assert chunk.sequences.values.ravel().tolist() == [1, 2, 4, 3]
    assert chunk.frame["at"].dtype == pl.Datetime


def test_parts_that_count_anew_are_labeled_as_they_were_learned(tmp_path: Path) -> None:
    frame = flows([5] * 10)
    both = pl.concat([frame.with_columns(part=pl.lit("train")), frame.with_columns(part=pl.lit("test"))])
    path, columns = tmp_path / "some.csv", replace(COLUMNS, split="part")
    both.write_csv(path)
    for rows in (20, 1000):
        *_, chunk = stream_sequences(path, columns, rows=rows)
        assert chunk.sequences.lengths.tolist() == [5] * 20


def test_rows_are_named_by_their_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    frame = flows([100] * 1000)
    write_table(frame.with_columns(at=pl.when(pl.int_range(pl.len()) != 70_000).then("at")), path)
    with pytest.raises(DataError, match=r"some\.parquet: data row 70001 "):
        label_all(path, tmp_path / "out.parquet", rows=10_000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["some.parquet"]


def test_unknown_values_and_missing_numbers_are_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    kinds = pl.when(pl.int_range(pl.len()) % 1000 == 0).then(pl.lit("new")).otherwise("kind")
    missing = pl.when(pl.int_range(pl.len()) % 500 == 0).then(None).otherwise("x")
    write_table(flows([100] * 1000).with_columns(kind=kinds, x=missing), path)
    _, said = label_all(path, tmp_path / "out.parquet", rows=10_000)
    assert len(said) == 2
    assert said[0].startswith("Column 'x': 200 rows without a finite number, which training never met")
    assert said[1].startswith("Column 'kind': 100 rows with values that training never saw ('new')")


def test_long_sequences_are_cut_and_said(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    write_table(flows([70_000, 10]), path)
    said: list[str] = []
    chunks = list(stream_sequences(path, COLUMNS, rows=10_000, max_steps=30_000, say=said.append))
    assert [n for chunk in chunks for n in chunk.sequences.lengths.tolist()] == [30_000, 30_000, 10_000, 10]
    assert len(said) == 1
    assert "1 sequence is longer than 30,000 steps and cut" in said[0]
    one = Columns("label", ("x",))
    chunks = list(stream_sequences(path, one, rows=10_000, max_steps=30_000, say=said.append))
    assert [chunk.sequences.lengths.tolist() for chunk in chunks] == [[30_000], [30_000], [10_010]]


@pytest.mark.parametrize(("lengths", "cut", "longer"), [([22, 8], [22, 8], 0), ([28, 40, 5], [25, 3, 25, 15, 5], 2)])
def test_they_are_cut_where_a_table_is(tmp_path: Path, lengths: list[int], cut: list[int], longer: int) -> None:
    path = tmp_path / "some.parquet"
    write_table(flows(lengths), path)
    said: list[str] = []
    chunks = list(stream_sequences(path, COLUMNS, rows=10, max_steps=25, say=said.append))
    assert [n for chunk in chunks for n in chunk.sequences.lengths.tolist()] == cut
    table = evaluation_part(read_table(path), COLUMNS, "all", (0, 1), max_steps=25)[1]
    assert np.array_equal(np.concatenate([chunk.sequences.values for chunk in chunks]), table.values)
    assert [notice.partition(" longer")[0] for notice in said] == (
        [f"Careful: {counted(longer, 'sequence is', 'sequences are')}"] if longer else []
    )


def test_a_label_for_each_sequence_is_given_to_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    write_table(flows([2, 3]), path)
    columns = Columns("label", ("x",), sequence="flow", order="at", per="sequence")
    p = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    with LabeledWriter(tmp_path / "out.csv", ["calm", "attack"]) as writer:
        writer.label(path, columns, lambda part: (np.array([1, 0]), p))
    assert pl.read_csv(tmp_path / "out.csv")["predicted"].to_list() == ["attack"] * 2 + ["calm"] * 3


def test_files_may_come_one_by_one(tmp_path: Path) -> None:
    for name in "ab":
        write_table(flows([2]).with_columns(flow=pl.lit(name)), tmp_path / f"{name}.csv")
    writer, _ = label_all((tmp_path / f"{name}.csv" for name in "ab"), tmp_path / "out.csv")
    assert (writer.rows, writer.sequences) == (4, 2)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("change", [lambda f: f.rename({"x": "X"}), lambda f: f.with_columns(x=pl.lit("much"))])
def test_a_table_that_changed(tmp_path: Path, ending: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    write_table(change(flows([3, 3])), tmp_path / f"some{ending}")
    with pytest.raises(DataError, match=r"Did you mean 'X'|trained on numbers, but 'x' is text"):
        label_all(tmp_path / f"some{ending}", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("ending", [".parquet", ".jsonl.gz"])
def test_lists_are_no_categories(tmp_path: Path, ending: str) -> None:
    write_table(flows([3, 3]).with_columns(kind=pl.concat_list("kind")), tmp_path / f"some{ending}")
    with pytest.raises(DataError, match=r"'kind' is of type List\(String\); the model was trained on categories"):
        label_all(tmp_path / f"some{ending}", tmp_path / "out.csv")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("when", [0, 3])
def test_what_goes_wrong_midway_leaves_what_was(tmp_path: Path, ending: str, when: int) -> None:
    path, output = tmp_path / "some.parquet", tmp_path / f"out{ending}"
    write_table(flows([100] * 1000), path)
    output.write_text("before")

    chunks = itertools.count()

    def stop_midway(part: Sequences) -> tuple[Any, Any]:
        if next(chunks) == when:
            raise KeyboardInterrupt
        return even(part)

    with pytest.raises(KeyboardInterrupt), LabeledWriter(output, [0, 1]) as writer:
        writer.label(path, COLUMNS, stop_midway, rows=10_000)
    assert output.read_text() == "before"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([path.name, output.name])


@pytest.mark.parametrize("name", ["predicted", "probability"])
def test_predictions_take_no_column_away(tmp_path: Path, name: str) -> None:
    write_table(flows([3]).with_columns(pl.lit(1).alias(name)), tmp_path / "some.csv")
    with pytest.raises(DataError, match=f"column '{name}' already"):
        label_all(tmp_path / "some.csv", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("ending", "rows", "most"),
    [
        (".parquet", 2_000, 1_000),
        *(pytest.param(each, 500_000, 100_000, marks=pytest.mark.slow) for each in ENDINGS),
    ],
)
def test_a_full_disk_is_said(tmp_path: Path, ending: str, rows: int, most: int) -> None:
    path = tmp_path / "some.parquet"
    write_table(flows([100] * (rows // 100)), path)
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}));"
        "sys.path.append('..'); from test_streams import *; from bothways.errors import DataError\n"
        "try: label_all(sys.argv[1], Path(sys.argv[2]))\n"
        "except DataError as error: print(error)"
    )
    # -B: bytecode of modules would be cut off as well, and stay so
    command = [sys.executable, "-B", "-c", code, str(path), str(tmp_path / f"out{ending}")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.stdout.startswith(f"{tmp_path / f'out{ending}'}: cannot be written"), done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["some.parquet"]


def test_what_csv_cannot_hold_is_said(tmp_path: Path) -> None:
    write_table(flows([3]).with_columns(many=pl.lit([1, 2])), tmp_path / "some.parquet")
    with pytest.raises(DataError, match=r"out\.csv: this file cannot hold the table.*Use \.parquet"):
        label_all(tmp_path / "some.parquet", tmp_path / "out.csv")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.append('..'); from test_streams import *\n"
        "label_all(sys.argv[1], Path(sys.argv[2]), rows=50_000)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    peaks = []
    some = flows([100] * 1000)
    for times in (10, 40):
        path = tmp_path / f"{times}.parquet"
        named = [some.with_columns(flow=pl.col("flow") + f"-{i:02}") for i in range(times)]
        write_table(pl.concat(named), path)
        command = [sys.executable, "-c", code, str(path), str(tmp_path / "out.parquet")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
        peaks.append(int(done.stdout))
    # The larger table holds 3 million rows more, of 40 bytes and more each.
    assert peaks[1] - peaks[0] < 60_000


def test_bytes_are_no_json(tmp_path: Path) -> None:
    write_table(flows([3]).with_columns(raw=pl.lit(b"x")), tmp_path / "some.parquet")
    with pytest.raises(DataError, match=r"JSON has no form for bytes, which 'raw' holds.*Use \.parquet"):
        label_all(tmp_path / "some.parquet", tmp_path / "out.jsonl")


def test_labels_that_a_spreadsheet_runs_are_told(tmp_path: Path) -> None:
    assert "'=1+1' are written as they are" in LabeledWriter(tmp_path / "out.csv", ["calm", "=1+1"]).notices[0]
    assert LabeledWriter(tmp_path / "out.parquet", ["calm", "=1+1"]).notices == []
    for classes in ([0, -1], ["-", "calm"]):
        assert LabeledWriter(tmp_path / "out.csv", classes).notices == []


@pytest.mark.parametrize("rows", [30, 70, 1000])
@pytest.mark.parametrize("backwards", [False, True])
def test_without_a_sequence_column_each_file_is_one(tmp_path: Path, rows: int, backwards: bool) -> None:
    lengths, frames = (40, 1, 90), []
    for number, length in enumerate(lengths):
        at = np.arange(length)[:: -1 if backwards else 1]
        frames.append(pl.DataFrame({"t": at, "x": np.sin(at) + number, "label": at % 2}))
        frames[-1].write_csv(tmp_path / f"run {number}.csv")
    (tmp_path / "run 3.csv").write_text("t,x,label\n")  # no rows, no sequence
    split = read_and_split(tmp_path)
    assert (split.columns.sequence, split.columns.order) == (None, "t")
    assert any("each of the 3 files is one" in notice for notice in split.notices)
    whole, _ = read_sequences(split.table, split.columns)
    assert (whole.ids, whole.lengths.tolist()) == (("run 0.csv", "run 1.csv", "run 2.csv"), [40, 1, 90])
    assert (
        whole.values[:, 0].tolist()
        == np.concatenate([frame.sort("t")["x"] for frame in frames]).astype(np.float32).tolist()
    )
    columns, said = split.encoded()[0], list[str]()
    chunks = list(stream_sequences(tmp_path, columns, rows=rows, say=said.append))
    chunks = chunks[next((at for at, chunk in enumerate(chunks) if chunk.anew), 0) :]
    assert [name for chunk in chunks for name in chunk.sequences.ids or ()] == list(whole.ids or ())
    assert np.array_equal(np.concatenate([chunk.sequences.values for chunk in chunks]), whole.values)
    one, _ = read_sequences(read_table(tmp_path / "run 2.csv"), columns)
    assert one.lengths.tolist() == [90]


ODD = [
    '{"flow": "%s", "at": %d, "x": %s, "kind": "tcp", "big": 1152921504606846977, "nest": {"a": [1, {"b": null}]}}',
    '{"flow":"%s","at":%d,"x":%s,"kind":"tcp","text":"\\u00e9\u2028\\"}" }',
    '{"flow": "%s", "at": %d, "x": %s, "opt": 1.50, "list": [1, 2.5, "x"]}',
]
"""Lines whose values a table would change: numbers, nested values and keys that some lack."""


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("flows", ["aabb", "abab"])
def test_json_lines_come_back_as_they_stand(tmp_path: Path, ending: str, flows: str) -> None:
    lines = [ODD[at % 3] % (flow, at, ["0", "1.50", "NaN", "2e0"][at]) for at, flow in enumerate(flows)]
    source, output = tmp_path / f"some{ending}", tmp_path / f"out{ending}"
    with opened(source, source) as file:
        file.write("\n\n".join(lines).encode())
    label_all(source, output, rows=1)
    with decompressed(output) as file:
        found = file.read().decode().split("\n")[:-1]
    assert [line.partition(', "predicted": ')[0] for line in found] == [line[:-1].rstrip() for line in lines]
    assert [json.loads(line)["predicted"] for line in found][:2] == ["even", "odd"]


def test_json_in_a_list_becomes_lines(tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text(
        '[{"x": 2, "flow": "a", "at": 0, "kind": null}, {"flow": "a", "at": 1, "x": 1}]'
    )
    label_all(tmp_path / "some.json", tmp_path / "out.jsonl")
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert first == {"x": 2, "flow": "a", "at": 0, "kind": None, "predicted": "even", "probability": 2.0}
    assert list(second) == ["flow", "at", "x", "predicted", "probability"]
