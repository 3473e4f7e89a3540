"""The parts of a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import Columns, Encoding, evaluation_part
from bothways.data.encoding import Category, Number
from bothways.data.labels import listed
from bothways.data.splits import Parts, split_table
from bothways.errors import DataError
from bothways.tables import Table
from prepared import prepared

COLUMNS = Columns("label", ("x",), sequence="flow", order="at", split="part")
DRAWN = replace(COLUMNS, split=None)


def table(sequences: int = 20, steps: int = 4, **more: Any) -> Table:
    rows = np.arange(sequences * steps)
    frame = pl.DataFrame({"flow": rows // steps, "at": rows % steps, "x": rows * 1.0, "label": rows % 2})
    return Table("some.csv", frame.with_columns(**more))


def ids(parts: Parts) -> list[list[Any]]:
    return [[] if part is None else list(part.ids or ()) for part in (parts.train, parts.valid, parts.test)]


def part_column(*parts: str, steps: int = 4) -> pl.Series:
    return pl.Series([part for part in parts for _ in range(steps)])


@pytest.mark.parametrize("valid", ["valid", "validation", "val", "dev", "VALID", " valid "])
def test_the_split_column_decides(valid: str) -> None:
    columns, parts, notices = prepared(table(3, part=part_column("test", "train", valid)), COLUMNS, seed=0)
    assert ids(parts) == [[1], [2], [0]]
    assert columns == replace(COLUMNS, encoding=Encoding((Number("x", fill=5.5),)))
    assert notices == []


def test_evaluation_finds_the_parts_of_training_whatever_they_are_called() -> None:
    test = pl.Series(np.repeat([False, False, True], 4))
    for name, values in {"is_test": test, "Usage": part_column("Training", "PublicTest", "PrivateTest")}.items():
        some = table(3, 4, **{name: values})
        columns, parts, _ = prepared(some, replace(COLUMNS, split=name), seed=0)
        assert parts.test is not None
        assert parts.test.ids == (2,)
        assert evaluation_part(some, columns, "test", (0, 1))[1].ids == (2,)
    with pytest.raises(DataError, match=r"There is no part 'holdout'\. Use one of: train, valid, test, or all"):
        evaluation_part(some, columns, "holdout", (0, 1))
    bad = table(3, is_test=pl.Series([0, 1, 2] * 4))
    with pytest.raises(DataError, match=r"data row 3 .* 'is_test' holds 2; it must say yes or no"):
        prepared(bad, replace(COLUMNS, split="is_test"), seed=0)


def test_without_valid_some_train_sequences_are_drawn_for_it() -> None:
    _, parts, notices = prepared(table(12, part=part_column(*["train"] * 10, "test", "test")), COLUMNS, seed=0)
    train, valid, test = ids(parts)
    assert (len(train), len(valid), test) == (8, 2, [10, 11])
    assert sorted(train + valid) == list(range(10))
    assert notices == ["There is no valid part: 2 of the 10 train sequences are drawn for it."]


def test_without_valid_and_with_two_train_sequences_there_is_none() -> None:
    _, parts, notices = prepared(table(2, part=part_column("train", "train")), COLUMNS, seed=0)
    assert ids(parts) == [[0, 1], [], []]
    assert notices == ["There is no valid part, so training cannot stop early."]


@pytest.mark.parametrize("sequences", [1, 2])
def test_without_valid_the_end_of_one_or_two_long_train_sequences_is_taken_for_it(sequences: int) -> None:
    part = pl.Series((["train"] * 200 + ["test"] * 50) * sequences)
    _, parts, notices = prepared(table(sequences, 250, part=part), COLUMNS, seed=0, gap=8)
    lengths = [each.lengths.tolist() for each in parts.named.values()]
    assert lengths == [[170] * sequences, [22] * sequences, [50] * sequences]
    assert parts.valid is not None
    assert parts.valid.values[:22, 0].tolist() == list(range(178, 200))
    assert notices == ["There is no valid part: the last 15% of each train sequence are taken for it."]


def test_a_sequence_cut_by_the_column_is_read_in_pieces() -> None:
    part = pl.Series(["train"] * 6 + ["valid"] * 2 + ["test"] * 2)
    _, parts, notices = prepared(table(1, 10, part=part), COLUMNS, seed=0)
    assert parts.train.values[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert parts.test is not None
    assert parts.test.values[:, 0].tolist() == [8, 9]
    assert notices == []


def test_parts_that_alternate_within_a_sequence_are_warned_of() -> None:
    part = pl.Series(["train", "train", "train", "test"] * 5)
    _, _, notices = prepared(table(2, 10, part=part), COLUMNS, seed=0)
    assert any("within sequence 1 the parts alternate 5 times" in notice for notice in notices)
    _, _, notices = prepared(table(1, 10, part=part[:10]), replace(COLUMNS, sequence=None), seed=0)
    assert any("within the only sequence the parts alternate" in notice for notice in notices)


def test_sequences_are_drawn_whole_and_by_the_seed() -> None:
    columns, parts, notices = prepared(table(), DRAWN, seed=5)
    train, valid, test = ids(parts)
    assert (len(train), len(valid), len(test)) == (14, 3, 3)
    assert sorted(train + valid + test) == list(range(20))
    assert notices == ["There is no split column: of 20 sequences, 14 for train, 3 for valid, 3 for test are drawn."]
    assert columns.draw is not None
    assert columns.draw.seed == 5
    assert ids(prepared(table(), DRAWN, seed=5)[1]) == [train, valid, test]
    assert ids(prepared(table(), DRAWN, seed=6)[1]) != [train, valid, test]


def test_the_order_of_the_rows_does_not_matter_to_a_draw() -> None:
    shuffled = Table("some.csv", table().frame().sample(fraction=1.0, shuffle=True, seed=1))
    columns, parts, _ = prepared(shuffled, DRAWN, seed=5)
    other_columns, other, _ = prepared(table(), DRAWN, seed=5)
    assert ids(parts) == ids(other)
    assert columns == other_columns
    assert (parts.train.values == other.train.values).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_class_of_one_sequence_is_drawn_for_training(seed: int) -> None:
    rare = pl.when(pl.col("flow") == 7).then(2).otherwise("label")
    _, parts, _ = prepared(table(label=rare), DRAWN, seed=seed)
    assert 7 in (parts.train.ids or ())
    part = part_column(*["train"] * 19, "test")
    _, parts, _ = prepared(table(label=rare, part=part), COLUMNS, seed=seed)
    assert 7 in (parts.train.ids or ())


@pytest.mark.parametrize("sequences", [1, 2])
def test_one_or_two_sequences_are_cut_in_time(sequences: int) -> None:
    _, parts, notices = prepared(table(sequences, 100), DRAWN, seed=0, gap=0)
    assert parts.valid is not None
    assert parts.test is not None
    assert [part.lengths.tolist() for part in (parts.train, parts.valid, parts.test)] == [
        [70] * sequences,
        [15] * sequences,
        [15] * sequences,
    ]
    assert parts.train.values[:70, 0].tolist() == list(range(70))
    assert parts.test.values[:15, 0].tolist() == list(range(85, 100))
    assert "cut in time" in notices[0]


@pytest.mark.parametrize(("gap", "left_out"), [(3, 3), (32, 5)])
def test_blocks_of_time_are_kept_apart(gap: int, left_out: int) -> None:
    columns, parts, notices = prepared(table(1, 100), DRAWN, seed=0, gap=gap)
    steps = [part.values[:, 0].tolist() for part in parts.named.values()]
    assert steps == [list(range(70)), list(range(70 + left_out, 85)), list(range(85 + left_out, 100))]
    assert f"with {left_out} steps left out at each cut" in notices[0]
    assert evaluation_part(table(1, 100), columns, "test", (0, 1))[1].values[:, 0].tolist() == steps[2]


def test_groups_are_drawn_whole() -> None:
    frame = table().values.with_columns(host=pl.col("flow") // 2)
    for seed in range(5):
        columns, parts, notices = prepared(Table("some.csv", frame), replace(DRAWN, group="host"), seed=seed)
        hosts = [{flow // 2 for flow in flows} for flows in ids(parts)]
        assert [len(each) for each in hosts] == [6, 2, 2]
        assert len(set.union(*hosts)) == 10
        assert notices == ["There is no split column: of 10 groups, 6 for train, 2 for valid, 2 for test are drawn."]
        assert evaluation_part(Table("some.csv", frame), columns, "test", (0, 1))[1].ids == parts.test.ids  # type: ignore[union-attr]
    mixed = frame.with_columns(host=pl.col("at") // 2)
    with pytest.raises(DataError, match="sequence 0 stands in two groups of 'host'"):
        prepared(Table("some.csv", mixed), replace(DRAWN, group="host"), seed=0)
    few = frame.with_columns(host=pl.col("flow") // 10)
    with pytest.raises(DataError, match="2 groups are too few"):
        prepared(Table("some.csv", few), replace(DRAWN, group="host"), seed=0)


def test_sequences_of_no_group_are_one_group() -> None:
    frame = table().values.with_columns(host=pl.col("flow").replace_strict({0: 1, 1: 1, 2: 2}, default=None))
    frame = frame.with_columns(part=pl.lit("train"))
    _, parts, notices = prepared(Table("some.csv", frame), replace(COLUMNS, group="host"), seed=0)
    assert parts.valid is not None
    assert "There is no valid part: 1 of the 3 train groups are drawn for it." in notices


def test_what_is_learnt_of_columns_is_learnt_from_the_train_part() -> None:
    part = part_column("train", "valid", "test")
    x = pl.Series([1.0, None, 3.0, 5.0, 100.0, None, 100.0, 100.0, 7.0, 7.0, 7.0, 7.0])
    kind = pl.Series(["a", "b", "b", "b", "a", "new", "a", "a", "b", "b", "other", "new"])
    columns, parts, notices = prepared(
        table(3, part=part, x=x, kind=kind), replace(COLUMNS, features=("x", "kind"), categories=("kind",)), seed=0
    )
    assert columns.encoding == Encoding((Number("x", fill=3.0, flagged=True),), (Category("kind", ("b", "a")),))
    assert parts.train.values.tolist() == [[1, 0, 2], [3, 1, 1], [3, 0, 1], [5, 0, 1]]
    assert parts.valid is not None
    assert parts.valid.values[1].tolist() == [3, 1, 0]
    assert notices == [
        "Column 'x': 1 row of the train part without a finite number; filled with the mean, and a column says where.",
        "Column 'kind': 3 rows with values that training never saw ('new', 'other'); they are read as unknown.",
    ]


def test_infinite_numbers_are_missing_whatever_the_file() -> None:
    part = part_column("train", "valid", "test")
    x = pl.Series([1.0, float("inf"), 3.0, 5.0, None, float("nan"), float("-inf"), 1e300, 7.0, 7.0, 7.0, 7.0])
    columns, parts, notices = prepared(table(3, part=part, x=x), replace(COLUMNS, features=("x",)), seed=0)
    assert columns.encoding == Encoding((Number("x", fill=3.0, flagged=True),))
    assert parts.valid is not None
    assert parts.train.values[:, 1].tolist() == [0, 1, 0, 0]
    assert parts.valid.values.tolist() == [[3, 1]] * 4
    assert notices == [
        "Column 'x': 1 row of the train part without a finite number; filled with the mean, and a column says where."
    ]


def test_a_column_of_infinite_numbers_is_left_out() -> None:
    part, y = part_column("train", "valid", "test"), pl.int_range(12).cast(pl.Float64)
    for value in (float("inf"), 1e39):
        found, _, notices = prepared(
            table(3, part=part, x=pl.lit(value), y=y), replace(COLUMNS, features=("x", "y")), seed=0
        )
        assert [number.name for number in found.fitted.numbers] == ["y"]
        assert notices[0].startswith("Column 'x' is left out")


def test_steps_without_a_label_are_masked_and_counted() -> None:
    label = pl.Series([0, 1, None, 1, 0, 1, 0, 1, None, 1, 0, 1])
    _, parts, notices = prepared(table(3, part=part_column("train", "valid", "test"), label=label), COLUMNS, seed=0)
    assert parts.classes == (0, 1)
    assert parts.train.known_labels.tolist() == [0, 1, -1, 1]
    assert notices == ["2 steps have no label in 'label': read as input, not learned or scored."]
    empty = pl.Series([0, 1, 0, 1, 0, 1, 0, 1, None, None, None, None])
    hollow = table(3, part=part_column("train", "valid", "test"), label=empty)
    with pytest.raises(DataError, match="the test part has no label in 'label'"):
        evaluation_part(hollow, COLUMNS, "test", (0, 1))


def test_codes_are_those_of_the_classes() -> None:
    label = pl.Series(["b", "a", "b", "c"] * 2 + ["a", "b", "c", "c"])
    some = table(3, part=part_column("train", "train", "test"), label=label)
    _, parts, _ = prepared(some, COLUMNS, seed=0)
    assert parts.classes == ("a", "b", "c")
    assert parts.train.known_labels.tolist() == [1, 0, 1, 2] * 2
    assert evaluation_part(some, COLUMNS, "test", ("c", "b", "a"))[1].known_labels.tolist() == [2, 1, 0, 0]


def test_a_label_for_each_sequence() -> None:
    label = pl.col("flow") % 2
    _, parts, _ = prepared(table(label=label), replace(DRAWN, per="sequence"), seed=0)
    assert parts.train.known_labels.tolist() == [flow % 2 for flow in parts.train.ids or ()]
    with pytest.raises(DataError, match="sequence 0 has two labels"):
        prepared(table(), replace(DRAWN, per="sequence"), seed=0)
    with pytest.raises(DataError, match="2 sequences are too few"):
        prepared(table(2, label=label), replace(DRAWN, per="sequence"), seed=0)


def test_columns_that_say_nothing_are_left_out_and_said() -> None:
    names = pl.Series([f"id-{i}" for i in range(80)])
    empty = pl.Series([None] * 80, dtype=pl.Float64)
    columns = replace(DRAWN, features=("x", "name", "empty"), categories=("name",))
    columns, parts, notices = prepared(table(name=names, empty=empty), columns, seed=0)
    assert columns.features == ("x",)
    assert columns.categories == ()
    assert parts.train.values.shape == (56, 1)
    assert any("'name' is left out: 56 of its 56 values in the train part differ" in notice for notice in notices)
    assert any("'empty' is left out: it is empty in the train part" in notice for notice in notices)
    with pytest.raises(DataError, match=r"some.csv: no column is left to learn from.*'empty' is left out"):
        prepared(table(empty=empty), replace(columns, features=("empty",), categories=(), draw=None), seed=0)


def test_text_that_differs_in_every_row_is_read_where_there_is_nothing_else() -> None:
    names = [f"{'lib' if i % 2 else 'python-'}{chr(97 + i % 26) * (i % 7)}{i}" for i in range(80)]
    frame = pl.DataFrame({"name": names, "nothing": [None] * 80, "label": [i % 2 for i in range(80)]})
    frame = frame.with_columns(pl.Series("part", ["train"] * 60 + ["test"] * 20))
    given = Columns("label", ("name", "nothing"), split="part", categories=("name",))
    columns, parts, _ = prepared(Table("some.csv", frame), given, seed=0)
    assert {category.name for category in columns.fitted.categories} == {"name"}
    assert len(columns.fitted.categories) > 1  # its spelling
    assert parts.test is not None
    assert parts.test.values.any(axis=0).sum() > 1


def test_parts_may_count_their_sequences_anew() -> None:
    rows = np.arange(240)
    frame = pl.DataFrame({"flow": rows // 12 % 10, "at": rows % 12, "x": rows * 0.5, "label": rows // 3 % 2})
    frame = frame.with_columns(pl.Series("part", ["train"] * 120 + ["valid"] * 60 + ["test"] * 60))
    given = Columns("label", ("x",), sequence="flow", order="at", split="part")
    columns, parts, notices = prepared(Table("some.csv", frame), given, seed=0)
    assert "Names in 'flow' come again in other parts of 'part', with the same 'at': they are other" in notices[0]
    assert [len(part) for part in parts.named.values()] == [10, 5, 5]
    assert {length for part in parts.named.values() for length in part.lengths.tolist()} == {12}
    assert ids(parts)[0] == [f"{flow} (train)" for flow in range(10)]
    assert parts.test is not None
    assert evaluation_part(Table("some.csv", frame), columns, "test", (0, 1))[1].ids == parts.test.ids
    # In one part they are one sequence, as far as anyone can tell.
    twice = pl.concat([frame, frame.head(12)])
    assert "132 rows stand at the same 'at'" in " ".join(prepared(Table("some.csv", twice), given, seed=0)[2])


def test_where_labels_come_late_the_user_says_the_parts() -> None:
    late = Table("some.csv", pl.DataFrame({"x": np.arange(200.0), "label": np.arange(200) > 180}))
    with pytest.raises(
        DataError, match=r"the train part has one label only .* Others come later: say with split= which"
    ):
        split_table(late, Columns("label", ("x",)), seed=0)


def test_where_the_train_part_has_no_label_that_is_said() -> None:
    labels = pl.Series([None] * 180 + [True, False] * 10)
    late = Table("some.csv", pl.DataFrame({"x": np.arange(200.0), "label": labels}))
    with pytest.raises(DataError, match=r"the train part has no label in 'label'; telling"):
        split_table(late, Columns("label", ("x",)), seed=0)


@pytest.mark.parametrize(
    ("more", "columns", "said"),
    [
        ({"part": part_column("train", "tset", "test")}, COLUMNS, "data row 5 .* 'part' holds 'tset'; it must say"),
        ({"part": pl.Series([0] * 12)}, COLUMNS, "data row 1 .* 'part' holds 0; it must say"),
        ({"part": pl.Series(["train"] * 11 + [None])}, COLUMNS, "data row 12 .* 'part' holds None"),
        ({"part": part_column("test", "valid", "test")}, COLUMNS, "no row is in the train part"),
        ({"label": pl.lit("calm")}, DRAWN, "the table has one label only .'calm' in 'label'."),
    ],
)
def test_tables_that_cannot_be_split(more: dict[str, Any], columns: Columns, said: str) -> None:
    with pytest.raises(DataError, match=f"^some.csv: .*{said}"):
        prepared(table(3, **more), columns, seed=0)


def test_too_few_rows_to_cut() -> None:
    with pytest.raises(DataError, match="2 rows are too few"):
        prepared(table(1, 2), DRAWN, seed=0)


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_one_label_beside_empty_fields_asks_what_these_mean(per: str) -> None:
    """As where a table names failures alone."""
    failures = pl.when(pl.col("at") == 3).then(pl.lit("leak"))
    with pytest.raises(DataError, match=r"one label only .* If an empty 'label' means a class, .*fill_null.'normal'"):
        prepared(table(label=failures), replace(DRAWN, per=per), seed=0)


PARTED = table(3, part=part_column("train", "valid", "test"))


@pytest.mark.parametrize(
    ("asked", "name", "sequences"),
    [
        (None, "test", [2]),
        ("test", "test", [2]),
        ("dev", "valid", [1]),
        ("Train", "train", [0]),
        ("all", "all", [0, 1, 2]),
    ],
)
def test_the_part_to_judge_on(asked: str | None, name: str, sequences: list[int]) -> None:
    part, chosen, _, notices = evaluation_part(PARTED, COLUMNS, asked, (0, 1))
    assert part == name
    assert list(chosen.ids or ()) == sequences
    assert notices == []


def test_a_table_without_parts_is_judged_whole() -> None:
    part, chosen, _, _ = evaluation_part(table(3), COLUMNS, None, (0, 1))
    assert (part, len(chosen)) == ("all", 3)
    with pytest.raises(DataError, match=r"there is no split column 'part', so it has no parts. Leave out split="):
        evaluation_part(table(3), COLUMNS, "test", (0, 1))


def test_drawn_parts_are_drawn_again_for_the_same_table_only() -> None:
    columns, parts, _ = prepared(table(), DRAWN, seed=5)
    for asked in (None, "test"):
        part, chosen, _, notices = evaluation_part(table(), columns, asked, (0, 1))
        assert part == "test"
        assert list(chosen.ids or ()) == ids(parts)[2]
        assert notices == ["The parts are drawn as they were for training."]
    assert list(evaluation_part(table(), columns, "train", (0, 1))[1].ids or ()) == ids(parts)[0]
    assert evaluation_part(table(19), columns, None, (0, 1))[0] == "all"
    with pytest.raises(DataError, match="it is not the table that the model was trained on"):
        evaluation_part(table(19), columns, "test", (0, 1))


@pytest.mark.parametrize("seed", range(3))
def test_other_labels_draw_no_other_parts(seed: int) -> None:
    """Labels of a second person, or some that were put right, of which a draw would have to have others."""
    rare = (pl.col("flow").is_in([3, 11, 25, 31]) & (pl.col("at") == 1)).cast(pl.Int64)
    first = table(40).frame().with_columns(label=rare + 2 * pl.col("label"))
    columns, parts, _ = prepared(Table("some.csv", first), DRAWN, seed=seed)
    for label in (
        pl.col("label") // 2,
        (pl.col("flow") == 3).cast(pl.Int64),
        pl.when(pl.col("flow") > 9).then("label"),
    ):
        other = Table("some.csv", first.with_columns(label.alias("label")))
        assert list(evaluation_part(other, columns, "test", parts.classes)[1].ids or ()) == ids(parts)[2]


def test_groups_in_another_order_draw_no_other_parts() -> None:
    """As text they are sorted in another way than as numbers."""
    numbers = pl.Series("driver", np.arange(120 * 4) // 12)
    names = pl.format("flow {}", pl.col("flow").cast(str).str.zfill(3))
    frames = [table(120, flow=names, driver=each).frame() for each in (numbers, numbers.cast(str))]
    columns, parts, _ = prepared(Table("some.parquet", frames[1]), replace(DRAWN, group="driver"), seed=0)
    assert list(evaluation_part(Table("", frames[1]), columns, "test", (0, 1))[1].ids or ()) == ids(parts)[2]
    with pytest.raises(DataError, match="by its sequences, their lengths and groups it is not the table"):
        evaluation_part(Table("some.csv", frames[0]), columns, "test", (0, 1))
    for other in (frames[1].drop("driver"), frames[1].with_columns(driver=pl.col("at"))):
        assert evaluation_part(Table("some.csv", other), columns, None, (0, 1))[0] == "all"


def test_names_of_another_type_are_those_of_the_same_table() -> None:
    """Which files of other formats have."""
    numbers = table(40).frame()
    days = numbers.with_columns(flow=datetime(2024, 1, 1) + pl.duration(days="flow"))
    for frame, others in (
        (numbers, [pl.col("flow").cast(pl.Float64), pl.col("flow").cast(str).str.zfill(3)]),
        (days, [pl.col("flow").cast(pl.Date), pl.col("flow").dt.strftime("%Y-%m-%d")]),
    ):
        columns, parts, _ = prepared(Table("some.csv", frame), DRAWN, seed=0)
        for other in others:
            found = evaluation_part(Table("some.csv", frame.with_columns(flow=other)), columns, "test", (0, 1))
            assert parts.test is not None
            assert np.array_equal(found[1].table_rows, parts.test.table_rows)


def test_parts_that_there_are_not() -> None:
    with pytest.raises(DataError, match="There is no part 'tset'"):
        evaluation_part(PARTED, COLUMNS, "tset", (0, 1))
    two = table(2, part=part_column("train", "test"))
    with pytest.raises(DataError, match=r"some.csv: there is no valid part; there is: train, test"):
        evaluation_part(two, COLUMNS, "valid", (0, 1))


def test_labels_that_are_one_but_for_their_spelling_are_told() -> None:
    frame = pl.DataFrame({"x": range(40), "label": ["Normal", "normal ", "attack", "N/A"] * 10})
    notices = split_table(Table("some.csv", frame), Columns("label", ("x",)), seed=0)[2]
    assert any("capitals only, and count as several: 'Normal', 'normal '. If they" in notice for notice in notices)
    assert any("'N/A' in 'label' counts as a label." in notice and "missing=['N/A']" in notice for notice in notices)
    frame = pl.DataFrame({"x": range(40), "label": ["normal", "attack", "none", "-"] * 10})
    assert not any("Careful" in said for said in split_table(Table("", frame), Columns("label", ("x",)), seed=0)[2])


def test_labels_are_listed_in_their_own_order() -> None:
    assert (listed([10, 2, 1]), listed(["b", "a"])) == ("1, 2, 10", "'a', 'b'")
