"""Which column plays which part."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import Columns, Draw, Encoding, Guess, choose_columns, match_columns
from bothways.data.encoding import Category, Number, Tally, gaps_of
from bothways.errors import DataError, ModelFileError
from bothways.sequences import Sequences
from bothways.tables import Table
from bothways.tables.table import with_joined


def table(**more: Any) -> Table:
    base = {"flow": ["a", "a", "b"], "at": [0, 1, 0], "part": ["train", "train", "test"], "label": ["x", "y", "x"]}
    return Table("some.csv", pl.DataFrame(base | {"bytes": [1.5, 2.5, 3.5], "packets": [1, 2, 3]} | more))


CATEGORY = {"name": "b", "values": ["x"], "view": ""}
ROLES = {"label": "label", "sequence": "flow", "order": "at", "split": "part"}


def test_features_are_the_numbers_that_are_left() -> None:
    columns = choose_columns(table(urgent=[True, False, True], small=pl.Series([1, 2, 3], dtype=pl.UInt8)), **ROLES)
    assert columns.features == ("bytes", "packets", "urgent", "small")
    assert columns.roles == ROLES
    assert all(guess.plain for guess in columns.guesses)


def test_drop_and_features() -> None:
    assert choose_columns(table(), **ROLES, drop=["bytes"]).features == ("packets",)
    assert choose_columns(table(), **ROLES, features=["packets", "bytes"]).features == ("packets", "bytes")
    # What is not asked for may be anything.
    assert choose_columns(table(protocol=["tcp"] * 3), **ROLES, features=["bytes"]).features == ("bytes",)


@pytest.mark.parametrize(
    "values",
    [
        [datetime.datetime(2024, 1, 1)] * 3,
        [datetime.date(2024, 1, 1)] * 3,
        [datetime.time(1, 2)] * 3,
        [datetime.timedelta(1)] * 3,
    ],
)
def test_dates_are_left_out_and_said(values: list[Any]) -> None:
    columns = choose_columns(table(when=values), **ROLES)
    assert "when" not in columns.features
    why = "a time of day (numeric=['when'] if it is how long something took)"
    why = why if isinstance(values[0], datetime.time) else "a date or time"
    assert Guess("when", "left out", why) in columns.guesses
    assert "when" not in {guess.name for guess in choose_columns(table(when=values), **ROLES, drop=["when"]).guesses}
    with pytest.raises(DataError, match="'when' is a date or time"):
        choose_columns(table(when=values), **ROLES, features=["when"])


@pytest.mark.parametrize("values", [[None] * 3, pl.Series([None] * 3, dtype=pl.String)])
def test_empty_columns_are_left_out_and_said(values: Any) -> None:
    columns = choose_columns(table(nothing=values), **ROLES)
    assert "nothing" not in columns.features
    assert Guess("nothing", "left out", "empty") in columns.guesses
    with pytest.raises(DataError, match="'nothing' is empty"):
        choose_columns(table(nothing=values), **ROLES, features=["nothing"])


@pytest.mark.parametrize(
    "values",
    [["tcp", "udp", None], pl.Series(["tcp", "udp", "tcp"], dtype=pl.Categorical), ["1", "n/a", "?"], ["07", "8", "9"]],
)
def test_text_is_categories(values: Any) -> None:
    columns = choose_columns(table(proto=values), **ROLES)
    assert columns.features == ("bytes", "packets", "proto")
    assert columns.categories == ("proto",)
    assert Guess("proto", "category", "text") in columns.guesses
    with pytest.raises(DataError, match="'proto' is text; it cannot be numeric"):
        choose_columns(table(proto=values), **ROLES, numeric=["proto"])


def test_numbers_are_categories_where_it_is_said() -> None:
    assert choose_columns(table(), **ROLES, categorical=["packets"]).categories == ("packets",)
    with pytest.raises(DataError, match="given twice, as categorical and as numeric"):
        choose_columns(table(), **ROLES, categorical=["packets"], numeric=["packets"])


@pytest.mark.parametrize("name", ["", "__index_level_0__"])
def test_numbers_of_rows_are_left_out_and_said(name: str) -> None:
    columns = choose_columns(table(**{name: [0, 1, 2]}), **ROLES)
    assert columns.features == ("bytes", "packets")
    assert Guess(name, "left out", "numbers the rows") in columns.guesses


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"many": [[1.0]] * 3}, r"'many' is of type List.*Leave it out with drop=\['many'\], or say what it is for"),
        ({"many": [[1.0]] * 3, "more": [[1]] * 3}, r"Leave them out with drop=\['many', 'more'\]"),
        (
            {"x": ["1", "2", "oops"]},
            r"data row 3 \(the first is 1\), column 'x' holds 'oops', which is no number. .*drop=\['x'\]",
        ),
        ({"x": ["n/a", "2", None]}, r"data row 1 .*holds 'n/a'"),
        ({"x": ["1", "2.5", "3"]}, "'x' holds numbers written as text"),
    ],
)
def test_columns_that_can_be_no_features(more: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        choose_columns(table(**more), **ROLES)
    assert str(caught.value).startswith("some.csv: ")


def test_further_stray_cells_are_counted() -> None:
    cells = ["1"] * 8 + ["oops", "2", "n/a", "?"]
    frame = pl.DataFrame({"label": ["a", "b"] * 6, "x": cells})
    with pytest.raises(DataError, match=r"data row 9 .* holds 'oops', which is no number \(2 more such fields\)"):
        choose_columns(Table("some.csv", frame), label="label")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"label": "lable"}, "there is no column 'lable'. Did you mean 'label'"),
        ({"sequence": "flw"}, "Did you mean 'flow'"),
        ({"order": "zzz"}, "The columns are: 'flow', 'at'"),
        ({"split": "prt"}, "Did you mean 'part'"),
        ({"drop": ["byte"]}, "Did you mean 'bytes'"),
        ({"features": ["pakets"]}, "Did you mean 'packets'"),
        ({"sequence": "label"}, "'label' is given twice, as label and as sequence"),
        ({"drop": ["label"]}, "'label' is given twice, as label and as drop"),
        ({"features": ["bytes"], "drop": ["bytes"]}, "'bytes' is given twice, as drop and as features"),
        ({"drop": ["bytes", "packets"]}, "no column is left to learn 'label' from"),
        ({"order": "flow", "sequence": None, "drop": ["at"]}, "order column 'flow' must be a number or a time"),
    ],
)
def test_choices_that_cannot_be(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        choose_columns(table(), **(ROLES | arguments))


def test_where_all_columns_went_is_said() -> None:
    frame = pl.DataFrame({"time": [i / 2 for i in range(40)], "label": ["a", "b"] * 20})
    with pytest.raises(DataError, match=r"'time': order \(by its name.*To learn from .*numeric"):
        choose_columns(Table("some.csv", frame), label="label")
    assert choose_columns(Table("some.csv", frame), label="label", numeric=["time"]).features == ("time",)


def test_spaces_around_a_name_need_not_be_given() -> None:
    frame = pl.DataFrame({" Label": ["a", "b"] * 6, "Label ": [1, 2] * 6, " x": range(12), "y": [2.5, 1.5] * 6})
    columns = choose_columns(Table("some.csv", frame.drop("Label ")), label="Label", drop=["x"])
    assert (columns.label, columns.features) == (" Label", ("y",))
    with pytest.raises(DataError, match="there is no column 'Label'"):
        choose_columns(Table("some.csv", frame), label="Label")


@pytest.mark.parametrize("draw", [None, Draw(seed=3, fingerprint=2**32 - 1)])
def test_columns_go_through_json(draw: Draw | None) -> None:
    columns = Columns("label", ("a", "b"), sequence="flow", draw=draw, guesses=(Guess("a", "feature", "numbers"),))
    assert Columns.from_json(json.loads(json.dumps(columns.to_json()))) == columns


@pytest.mark.parametrize(
    "change",
    [
        {"label": None},
        {"label": 3},
        {"features": []},
        {"features": [1]},
        {"features": 3},
        {"order": ["at"]},
        {"draw": {"seed": 1}},
        {"draw": 5},
        {"draw": {"seed": "x", "fingerprint": 1}},
        {"per": "word"},
        {"per": None},
        {"categories": ["c"]},
        {"group": 3},
        {"features": ["a", "a", "b"]},
        {"categories": [["b"]]},
        {"guesses": [{"name": "a"}]},
        {"guesses": [{"name": "a", "role": "feature", "why": 3}]},
        {"guesses": 3},
        {"per": ["step"]},
        {"draw": {"seed": float("inf"), "fingerprint": 1}},
        {"encoding": {}},
        {"encoding": 5},
        {"encoding": {"numbers": [{"name": "a"}], "categories": [], "gaps": ""}},
        {"encoding": {"numbers": [], "categories": [{"name": "b", "values": ["x"]}], "gaps": "", "vectors": None}},
        {"encoding": {"numbers": [], "categories": [CATEGORY | {"values": [1]}], "gaps": "", "vectors": None}},
        {"encoding": {"numbers": [], "categories": [CATEGORY], "gaps": "wide", "vectors": None}},
        {"encoding": {"numbers": [], "categories": [CATEGORY], "gaps": ""}},
    ],
)
def test_broken_descriptions_are_refused(change: dict[str, Any]) -> None:
    encoding = Encoding((Number("a", 0.5),), (Category("b", ("x",)),))
    good = Columns("label", ("a", "b"), categories=("b",), encoding=encoding).to_json()
    with pytest.raises(ModelFileError, match="description of columns"):
        Columns.from_json(good | change)


@pytest.mark.parametrize("name", sorted(Columns("label", ("a",)).to_json().keys() - {"units"}))
def test_descriptions_that_lack_something_are_refused(name: str) -> None:
    good = Columns("label", ("a",)).to_json()
    with pytest.raises(ModelFileError, match="description of columns"):
        Columns.from_json({key: value for key, value in good.items() if key != name})


def test_descriptions_without_an_encoding_are_plain_numbers() -> None:
    columns = Columns.from_json(Columns("label", ("a",)).to_json())
    assert columns == Columns("label", ("a",))
    assert columns.fitted.names == ("a",)


def test_a_table_is_matched_by_name() -> None:
    columns = choose_columns(table(), **ROLES)
    frame = table().values
    other = Table("new.csv", frame.select(reversed(frame.columns)).with_columns(more=pl.lit("text")))
    match_columns(other, columns, label=True)
    unlabeled = Table("new.csv", frame.drop("label", "part"))
    match_columns(unlabeled, columns, label=False)
    with pytest.raises(DataError, match=r"new\.csv: there is no column 'label'"):
        match_columns(unlabeled, columns, label=True)
    for name in ("bytes", "flow", "at"):
        with pytest.raises(DataError, match=f"there is no column '{name}'"):
            match_columns(Table("new.csv", frame.drop(name)), columns, label=False)


def test_a_matched_feature_must_be_numbers() -> None:
    columns = Columns("label", ("bytes",))
    for values, said in (
        (["a", "b"], "trained on numbers, but 'bytes' is text"),
        (["1", "b"], "data row 2 .* holds 'b'"),
        (["1", "2"], "numbers written as text"),
        (["[1, 2]", "[3, 4]"], "lists or objects in text"),
    ):
        with pytest.raises(DataError, match=said) as caught:
            match_columns(Table("new.csv", pl.DataFrame({"bytes": values})), columns, label=False)
        assert "drop" not in str(caught.value)


def test_words_are_the_category_with_most_values_that_have_letters() -> None:
    def category(name: str, word: str, count: int, view: str = "") -> Category:
        return Category(name, (None, *(word.format(i) for i in range(count))), view)

    kinds = [
        category("tag", "T{}", 40),
        category("code", "{}", 900),
        category("lemma", "walk{}", 60),
        category("word", "walks{}", 80),
        category("word", "w{}", 80, "first 1"),
    ]
    for count, words in ((2, None), (3, "lemma"), (4, "word"), (5, "word")):
        encoding = Encoding((), tuple(kinds[:count]))
        names = tuple(dict.fromkeys(each.name for each in encoding.categories))
        assert Columns("kind", names, categories=names, encoding=encoding).words == words


@pytest.mark.parametrize(
    ("known", "values", "codes"),
    [
        (("1.0", "0.5", "0.0"), [1.0, 0.0, 2.0], [1, 3, 0]),
        (("1.0", "0.5", "0.0"), ["1.0", "1", "0.5", "01"], [1, 1, 2, 0]),
        (("1", "0.5", "-3"), [-3.0, 0.5, None, 1.0], [3, 2, 0, 1]),
        (("1", "0.5", "-3"), ["1.0", "-3.0", "1.00"], [1, 3, 0]),
        (("1.0", "1"), ["1", "1.0"], [2, 1]),
        (("v1", "2.0.0"), ["v1.0", "v1", "2.0"], [0, 1, 0]),
        (("True", "False"), [True, False, None], [1, 2, 0]),
        (("false", None), ["FALSE", "False", "false", "true"], [1, 1, 1, 0]),
        (("True", "true"), ["true", "True"], [2, 1]),
        (("True", "so"), ["true", "True"], [0, 1]),
    ],
)
def test_values_have_one_code_however_they_are_written(known: Any, values: list[Any], codes: list[int]) -> None:
    """Models hold "1.0" whose column of floats was not whole, and files of floats say so; pandas writes "True"."""
    steps = Sequences(np.empty((len(values), 0)), np.array([len(values)]))
    encoding = Encoding((), (Category("kind", known),))
    found = encoding.encode(Table("some.csv", pl.DataFrame({"kind": values})), None, steps, Tally())
    assert found[:, 0].tolist() == codes


@pytest.mark.parametrize("role", ["sequence", "split", "group"])
@pytest.mark.parametrize("values", [[[1], [1], [2]], pl.Series([object()] * 3, dtype=pl.Object)])
def test_lists_and_objects_tell_no_rows_apart(role: str, values: Any) -> None:
    some = table(own=values)
    with pytest.raises(DataError, match=r"'own' is of type (Object|List\(Int64\)), which tells no rows apart"):
        choose_columns(some, **{role: "own"})
    with pytest.raises(DataError, match="which tells no rows apart"):
        with_joined(some, "own,at")


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt8, pl.Int64])
def test_gaps_between_numbers_of_few_bits(kind: Any) -> None:
    places = pl.Series([100, 127] if kind == pl.UInt8 else [-100, 100], dtype=kind)
    assert gaps_of(places, np.array([0, 2]))[1] == np.log1p(places[1] - places[0]).astype(np.float32)


def test_gaps_of_centuries() -> None:
    """As to 9999-12-31, which stands for no end."""
    places = pl.Series([datetime.date(2024, 1, 1), datetime.date(9999, 12, 31)])
    assert gaps_of(places, np.array([0, 2]))[1] == np.log1p((places[1] - places[0]).days * 86400).astype(np.float32)
