"""Names of sequences that come again in other files."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bothways.data import Columns, SplitTable, evaluation_part, read_and_split, read_sequences, stream_sequences
from bothways.errors import DataError
from bothways.tables import read_table

START = datetime.datetime(2024, 3, 1)
ANEW = "Names in 'machine' come again in other files, with the same"
STAND = "Names in 'machine' stand in several files, and each is one sequence. If every file counts its own: "


def site(number: int, steps: int = 40) -> pl.DataFrame:
    """Three machines, 0 to 2, one after the other."""
    random, rows = np.random.default_rng(number), 3 * steps
    t = np.arange(rows) % steps
    columns = {"machine": np.arange(rows) // steps, "t": t, "x": random.normal(size=rows).round(4)}
    return pl.DataFrame({**columns, "label": random.choice(["idle", "run"], rows)})


def written(folder: Path, files: list[pl.DataFrame], ending: str = ".csv") -> Path:
    for number, frame in enumerate(files):
        path = folder / f"site{number}{ending}"
        frame.write_csv(path) if ending == ".csv" else frame.write_parquet(path)
    return folder


def stamped(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(t=START + pl.duration(minutes=pl.col("t")))


def lengths(split: SplitTable) -> list[int]:
    return sorted(length for part in split.parts.named.values() for length in part.lengths.tolist())


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("clock", ["t", "at", "frame", "sorted"])
def test_each_file_may_count_its_sequences_anew(tmp_path: Path, ending: str, clock: str) -> None:
    files = [site(number, 40 + 5 * number) for number in range(4)]
    if clock == "at":
        files = [stamped(frame) for frame in files]
    if clock == "sorted":  # machines take turns
        files = [frame.sort("t", "machine") for frame in files]
    name = "frame" if clock == "frame" else "t"
    split = read_and_split(written(tmp_path, [frame.rename({"t": name}) for frame in files], ending))
    columns, _, _ = split.encoded()
    assert (columns.sequence, columns.order, columns.features) == ("machine", name, ("x",))
    assert lengths(split) == [40] * 3 + [45] * 3 + [50] * 3 + [55] * 3
    assert any(f"{ANEW} {name!r}" in notice for notice in split.notices)
    assert not any("keep their order" in notice or STAND in notice for notice in split.notices)
    test = split.parts.test
    assert test is not None
    assert evaluation_part(split.table, split.columns, "test", split.parts.classes)[1].ids == test.ids
    chunks = [chunk.sequences for chunk in stream_sequences(tmp_path, columns, rows=50, say=lambda _: None)]
    assert chunks[-1].lengths.sum() == 570
    assert chunks[-1].ids == read_sequences(split.table, columns)[0].ids


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_parts_may_count_anew_under_names_that_say_little(tmp_path: Path, ending: str) -> None:
    """As where arrays are written with the place of each sequence."""
    for number, part in enumerate(("dev", "test", "train")):
        path = tmp_path / f"{part}{ending}"
        frame = site(number, 20 + number).rename({"machine": "id"})
        frame.write_csv(path) if ending == ".csv" else frame.write_parquet(path)
    split = read_and_split(tmp_path)
    assert (split.columns.sequence, split.columns.order, split.columns.features) == ("id", "t", ("x",))
    assert {name: part.lengths.tolist() for name, part in split.parts.named.items()} == {
        "train": [22] * 3,
        "valid": [20] * 3,
        "test": [21] * 3,
    }


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_log_that_goes_on_in_the_next_file_is_one(tmp_path: Path, index: bool, backwards: bool) -> None:
    days = [
        stamped(site(day)).with_columns(
            pl.col("t") + datetime.timedelta(minutes=39 * day)
        )  # the last minute comes twice
        for day in range(3)
    ]
    if index:  # as pandas writes it, anew in each file
        days = [day.with_row_index() for day in days]
    split = read_and_split(written(tmp_path, days[::-1] if backwards else days))
    assert (split.columns.order, lengths(split)) == ("t", [120] * 3)
    assert not any(ANEW in notice for notice in split.notices)
    assert any(STAND in notice for notice in split.notices)


def test_times_of_day_numbers_of_rows_and_copies_do_not_show_it(tmp_path: Path) -> None:
    def said(name: str, *files: pl.DataFrame) -> str:
        (tmp_path / name).mkdir()
        split = read_and_split(written(tmp_path / name, [*files]))
        assert len(lengths(split)) == 3
        assert any(STAND in notice for notice in split.notices)
        return " ".join(split.notices)

    hours = [stamped(site(day)).with_columns(pl.col("t").dt.time()) for day in range(2)]
    assert ANEW not in said("hours", *hours)
    assert ANEW not in said("index", *(site(day).drop("t").with_row_index() for day in range(2)))
    assert ANEW not in said("bare", *(site(day).drop("t") for day in range(2)))
    assert ANEW not in said("copies", site(0), site(0))
    shards = (
        stamped(site(0, 200)).with_columns(t=pl.col("t").dt.truncate("2m")).sample(fraction=1, shuffle=True, seed=0)
    )
    assert ANEW not in said("shards", shards.head(300), shards.tail(300))


def test_each_file_may_count_anew_where_two_columns_tell_the_time(tmp_path: Path) -> None:
    files = [
        stamped(site(number)).with_columns(date=pl.col("t").dt.date(), time=pl.col("t").dt.time()).drop("t")
        for number in range(4)
    ]
    split = read_and_split(written(tmp_path, files))
    assert (split.columns.sequence, split.columns.order, split.columns.per) == ("machine", "date,time", "step")
    assert lengths(split) == [40] * 12


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_names_of_sequences_may_hold_the_file(tmp_path: Path, ending: str) -> None:
    files = [site(number).drop("t") for number in range(4)]
    split = read_and_split(written(tmp_path, files, ending), sequence="file,machine")
    columns, _, _ = split.encoded()
    assert (columns.sequence, columns.features, lengths(split)) == ("file,machine", ("x",), [40] * 12)
    read = list(stream_sequences(tmp_path, columns, rows=50))
    assert [length for chunk in read for length in chunk.sequences.lengths.tolist()] == [40] * 12
    assert read[0].frame.columns == ["machine", "x", "label"]
    one = tmp_path / f"site0{ending}"
    assert read_table(one, sequence="file,machine").column("file,machine").n_unique() == 3
    (chunk,) = stream_sequences(one, columns)
    assert chunk.sequences.lengths.tolist() == [40] * 3


def test_a_column_called_file_is_that_column(tmp_path: Path) -> None:
    files = [site(0).with_columns(file=pl.lit("a")), site(1).with_columns(file=pl.lit("a"))]
    table = read_table(written(tmp_path, files), sequence="file,machine")
    assert table.column("file,machine").unique().sort().to_list() == ["a,0", "a,1", "a,2"]


def test_one_label_per_trial_where_each_file_counts_its_trials(tmp_path: Path) -> None:
    files = [
        site(number).with_columns(label=pl.lit("run") if number % 2 else pl.lit("idle")).rename({"machine": "trial"})
        for number in range(6)
    ]
    columns: Columns = read_and_split(written(tmp_path, files)).columns
    assert columns.per == "sequence"


def test_folders_that_tell_a_column_are_read(tmp_path: Path) -> None:
    """As Spark and pandas write partitions."""
    for number in range(3):
        (tmp_path / f"machine={number}" / "day=2024-03-01").mkdir(parents=True)
        site(number).drop("machine").write_parquet(tmp_path / f"machine={number}" / "day=2024-03-01" / "part-0.parquet")
    (tmp_path / "_SUCCESS").touch()
    split = read_and_split(tmp_path, order="t")
    columns, _, _ = split.encoded()
    assert (columns.sequence, columns.order, columns.features, lengths(split)) == ("machine", "t", ("x",), [120] * 3)
    read = list(stream_sequences(tmp_path, columns, rows=50, say=lambda _: None))
    assert [length for chunk in read for length in chunk.sequences.lengths.tolist()] == [120] * 3
    assert set(read[0].frame.columns) == {"machine", "day", "t", "x", "label"}


def test_a_column_of_the_file_is_not_read_from_its_folder(tmp_path: Path) -> None:
    for number in (8, 9):
        (tmp_path / f"machine={number}").mkdir()
        site(0).write_parquet(tmp_path / f"machine={number}" / "part-0.parquet")
    assert read_table(tmp_path).column("machine").unique().sort().to_list() == [0, 1, 2]


def test_the_folder_of_a_single_file_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "run=9").mkdir()
    site(0).write_parquet(file := tmp_path / "run=9" / "part-0.parquet")
    assert "run" not in read_table(file).names


def test_files_of_a_delta_table_are_not_read_as_they_stand(tmp_path: Path) -> None:
    (written(tmp_path, [site(0), site(1)], ".parquet") / "_delta_log").mkdir()
    with pytest.raises(DataError, match=r"this is a Delta table; .* rows that were removed. Write .*pl\.read_delta\('"):
        read_table(tmp_path)


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("some.ts", "sktime reads this file"),
        ("some.arff", "Below @data it is CSV"),
        ("seq.out", "stand in two files"),
        ("some.dta", r"pd\.read_stata\('.*some\.dta'\)\.to_csv"),
        ("some.TextGrid", "Praat writes it as a table"),
        ("some.pcap", r"tshark -r '.*some\.pcap' -T fields"),
    ],
)
def test_files_of_other_formats_are_refused_with_what_makes_tables_of_them(
    name: str, said: str, folder: bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text("@data\n1,2\n")
    path.with_suffix(".in").write_text("a b\n")
    with pytest.raises(DataError, match=said):
        read_table(tmp_path if folder else path)
    if name == "seq.out":
        path.with_suffix(".in").unlink()
        with pytest.raises(DataError, match="files that end in" if not folder else "holds no"):
            read_table(tmp_path if folder else path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the line leaves closing to Python
def test_words_and_tags_in_two_files_are_joined_by_the_line_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seq.in").write_text("to new york\nto rome\n")
    Path("seq.out").write_text("O B-city I-city\nO B-city\n")
    with pytest.raises(DataError) as raised:
        read_table("seq.in")
    line = str(raised.value).split("(pandas: ")[1].split("), and give")[0]
    eval(line, {"pd": pytest.importorskip("pandas")})
    table = read_table("words.jsonl")
    assert table.column("tokens").to_list() == ["to", "new", "york", "to", "rome"]
    assert table.column("tags").to_list() == ["O", "B-city", "I-city", "O", "B-city"]
