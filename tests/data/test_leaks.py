"""Answers that are given away."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import Columns, Leak, choose_columns, find_leaks, split_table
from bothways.data.leaks import said_of_known, sample_of
from bothways.sequences import Sequences
from bothways.tables import Table, read_table

LENGTH = 40


def leaks(sequences: int = 30, per: str = "step", features: tuple[str, ...] = ("x",), **more: Any) -> list[Leak]:
    generator = np.random.default_rng(0)
    rows = np.arange(sequences * LENGTH)
    frame = pl.DataFrame(
        {
            "flow": rows // LENGTH,
            "x": generator.normal(size=len(rows)),
            "label": generator.integers(0, 2, len(rows)),
            "part": [("train", "valid", "test")[flow % 3] for flow in (rows // LENGTH).tolist()],
        }
    ).with_columns(**more)
    kinds = tuple(name for name in features if frame.schema[name] == pl.String)
    columns = Columns("label", features, sequence="flow", split="part", categories=kinds, per=per)
    table = Table("some.csv", frame)
    columns, parts, _ = split_table(table, columns, seed=0)
    return find_leaks(table, columns, parts)


def test_a_clean_table_has_none() -> None:
    assert leaks() == []


def test_the_same_sequence_in_two_parts() -> None:
    twin = pl.when(pl.col("flow") == 5).then(pl.col("x").shift(5 * LENGTH)).otherwise("x")
    (leak,) = leaks(x=twin)
    assert (leak.kind, leak.names, leak.sure) == ("sequence", ("train", "test"), True)
    assert leak.figure == pytest.approx(1 / 10)
    assert "1 of the 10 sequences of the test part" in leak.text
    assert "(the first: 5, which is 0 there)" in leak.text


def test_one_copy_of_a_measurement_among_many_is_told() -> None:
    twin = pl.when(pl.col("flow") == 5).then(pl.col("x").shift(5 * LENGTH)).otherwise("x")
    (leak,) = leaks(sequences=360, x=twin)
    assert (leak.kind, leak.sure, leak.figure) == ("sequence", False, 1 / 120)
    assert "by nature" not in leak.text


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_words_that_are_said_again_are_told(share: float) -> None:
    # As in mails and logs: the same short text comes again and again, whoever made the parts.
    generator = np.random.default_rng(0)
    said = generator.integers(0, 50, (20, LENGTH))
    texts = [
        said[generator.integers(20)] if flow % 10 < 10 * share else generator.integers(0, 50, LENGTH)
        for flow in range(300)
    ]
    found = leaks(sequences=300, features=("word",), word=pl.Series([f"w{code}" for text in texts for code in text]))
    assert {(leak.kind, leak.sure) for leak in found if leak.kind == "sequence"} == {("sequence", False)}
    assert all("by nature" in leak.text for leak in found if leak.kind == "sequence")


def test_windows_that_overlap() -> None:
    # Every sequence begins 10 steps after the one before it.
    series = np.random.default_rng(1).normal(size=1000)
    x = pl.Series(np.concatenate([series[10 * flow : 10 * flow + LENGTH] for flow in range(30)]))
    found = leaks(x=x)
    assert [(leak.kind, leak.names) for leak in found] == []
    x = pl.Series(np.concatenate([series[2 * flow : 2 * flow + LENGTH] for flow in range(30)]))
    found = leaks(x=x)
    assert [leak.kind for leak in found] == ["overlap", "overlap"]
    assert [leak.names for leak in found] == [("train", "valid"), ("train", "test")]
    assert all(leak.figure > 0.9 for leak in found)


def test_days_on_which_nothing_changes_are_no_twins() -> None:
    still = pl.when(pl.col("flow").is_in([4, 5, 6])).then(0.0).otherwise("x")  # one day of each part
    assert leaks(x=still) == []


def test_quiet_hours_are_no_windows_that_overlap() -> None:
    quiet = pl.when(pl.int_range(pl.len()) % LENGTH < 36).then(0.0).otherwise("x")
    assert leaks(x=quiet) == []


@pytest.mark.parametrize(
    "column",
    [
        pl.col("label"),
        1 - pl.col("label"),
        pl.when(pl.col("label") == 1).then(pl.lit("attack")).otherwise(pl.lit("calm")),
        pl.col("label") * 10.0 + pl.col("x").clip(-4, 4),
    ],
)
def test_a_column_that_gives_the_answer(column: pl.Expr) -> None:
    (leak,) = leaks(features=("x", "answer"), answer=column)
    assert (leak.kind, leak.names, leak.sure) == ("column", ("answer",), True)
    assert "drop=['answer']" in leak.text
    assert "100.0%" in leak.text


def test_a_column_that_nearly_gives_the_answer_is_suspected() -> None:
    slips = pl.when(pl.int_range(pl.len()) % 200 == 0).then(1 - pl.col("label")).otherwise("label")
    (leak,) = leaks(features=("x", "answer"), answer=slips)
    assert (leak.kind, leak.names, leak.sure) == ("column", ("answer",), False)
    assert leak.figure == pytest.approx(0.995, abs=0.002)


@pytest.mark.parametrize("every", [0, 100])
def test_columns_that_give_the_answer_share_a_line_that_leaves_them_all_out(every: int) -> None:
    slips = pl.int_range(pl.len()) % every < every // 100 if every else pl.lit(value=False)
    answer = pl.when(slips).then(1 - pl.col("label")).otherwise("label")
    years: Any = {f"y{year}": answer * 10 + year for year in range(1970, 1975)}
    (leak,) = leaks(features=("x", *years), **years)
    assert (leak.names, leak.sure) == (tuple(years), not every)
    assert leak.text.startswith("Columns 'y1970', 'y1971', 'y1972' and 2 more: each ")
    assert "drop=['y1970', 'y1971', 'y1972', 'y1973', 'y1974']" in leak.text


def test_a_column_that_helps_is_no_leak() -> None:
    often = pl.when(pl.int_range(pl.len()) % 5 == 0).then(1 - pl.col("label")).otherwise("label")
    assert leaks(features=("x", "hint"), hint=often) == []


def test_names_of_sequences_prove_nothing() -> None:
    # Each is right about its own sequence only, and no other sequence has it.
    named = pl.col("flow").cast(pl.String)
    assert leaks(features=("x", "name"), name=named, label=pl.col("flow") // 3 % 2) == []


def test_an_id_that_sorts_the_labels() -> None:
    position = (pl.col("label") * 100_000 + pl.int_range(pl.len())).alias("id")
    (leak,) = leaks(features=("x", "id"), id=position)
    assert (leak.kind, leak.names) == ("column", ("id",))


def test_a_step_number_that_tells_the_label() -> None:
    step = pl.int_range(pl.len()) % LENGTH
    for label, way in ((step > 19, "first"), (step < 3, "first")):
        (leak,) = leaks(label=label.cast(pl.Int64))
        assert (leak.kind, leak.figure, leak.sure) == ("step", 1.0, False)
        assert f"counted from the {way}" in leak.text
    assert leaks(label=(pl.col("flow") // 3 % 2), per="sequence") == []


def test_labels_per_sequence() -> None:
    label = pl.col("flow") // 3 % 2
    kind = pl.when(label == 1).then(pl.lit("attack")).otherwise(pl.lit("calm"))
    (leak,) = leaks(per="sequence", features=("x", "kind"), label=label, kind=kind)
    assert leak.names == ("kind",)


@pytest.mark.slow
def test_real_tables(shared_data: Path) -> None:
    def found(name: str) -> dict[str, bool]:
        table = read_table(shared_data / f"{name}.parquet")
        columns, parts, _ = split_table(table, choose_columns(table), seed=0)
        told = [leak for leak in find_leaks(table, columns, parts) if leak.kind == "column"]
        return {name: leak.sure for leak in told for name in leak.names}

    given_away = {
        "occupancy": {"Light": False},
        "ewt_pos": {"xpos": False},
        "adfa_ld": {"attack_type": True, "source_part": True},
    }
    for name in ("cmapss_fd001", "hdfs_blocks", "japanese_vowels", "malapi", "plaid", "shoulder_watch", "wnut17"):
        assert found(name) == {}, name
    for name, columns in given_away.items():
        assert found(name) == columns, name


def test_a_number_out_of_range_hides_no_leak() -> None:
    (leak,) = leaks(x=pl.when(pl.int_range(pl.len()) == 7).then(-1e300).otherwise(pl.col("label") + pl.col("x") / 100))
    assert (leak.kind, leak.names) == ("column", ("x",))


def test_copies_of_what_training_has_seen_are_all_counted() -> None:
    once, thrice = (Sequences(np.ones((2 * count, 1)), np.full(count, 2)) for count in (1, 3))
    (said,) = said_of_known(thrice, sample_of([once]))
    assert said.startswith("Careful: 3 of the 3 sequences are some that training has seen")


def test_a_log_that_has_grown_is_told() -> None:
    x = np.random.default_rng(0).normal(size=(500, 2))
    known = sample_of([Sequences(x[:300], np.array([300])), Sequences(x[330:400], np.array([70]))])
    (said,) = said_of_known(Sequences(x, np.array([500])), known)
    assert said.startswith("Careful: training has learned from 300 of the 500 steps.")
    assert not said_of_known(Sequences(x[300:], np.array([200])), known)


@pytest.mark.slow
def test_two_million_rows_take_seconds() -> None:
    start = time.perf_counter()
    leaks(sequences=50_000)
    assert time.perf_counter() - start < 60


@pytest.mark.parametrize("file", ["some.conll", "some.csv"])
def test_words_that_have_one_tag_each_are_told(tmp_path: Path, file: str) -> None:
    words = np.random.default_rng(0).choice([f"w{code}" for code in range(20)], (60, 8)).tolist()
    rows = [[(word, "AB"[int(word[1:]) % 2]) for word in each] for each in words]
    if file.endswith("csv"):
        lines = [f"{number},{word},{tag}" for number, each in enumerate(rows) for word, tag in each]
        (tmp_path / file).write_text("\n".join(["sentence,word,tag", *lines]))
    else:
        (tmp_path / file).write_text("\n\n".join("\n".join(f"{word} X {tag}" for word, tag in each) for each in rows))
    table = read_table(tmp_path / file)
    for roles in ({}, {"features": ["word", "2"]})[: 1 + (table.word is not None)]:
        columns, parts, _ = split_table(table, choose_columns(table, **roles), seed=0)
        (leak,) = find_leaks(table, columns, parts)
        assert (leak.kind, leak.names, leak.sure) == ("column", ("word",), False)
        assert "A lookup of 'word' alone tells" in leak.text
        assert "100.0%" in leak.text
