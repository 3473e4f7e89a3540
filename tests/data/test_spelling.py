"""Words are read with their spelling, also those that training never saw."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest

from bothways.data import read_and_split
from bothways.data.encoding import Category, Encoding, Tally
from bothways.data.spelling import VIEWS, views
from bothways.errors import ModelFileError
from bothways.sequences import Sequences
from bothways.tables.table import Table

ENDS = {"ing": "verb", "ly": "adverb", "ness": "noun"}


def words(seed: int = 0, sentences: int = 60) -> pl.DataFrame:
    """Sentences of words that are nearly all different, whose ends tell what they are."""
    generator = np.random.default_rng(seed)
    letters = np.array(list("bcdfgklmnprst"))
    ends = generator.choice(list(ENDS), sentences * 8)
    stems = ["".join(row) for row in generator.choice(letters, (len(ends), 5))]
    common = generator.random(len(ends)) < 0.5
    return pl.DataFrame(
        {
            "sentence": np.repeat(np.arange(sentences), 8),
            "word": [("the" if often else stem + end) for often, stem, end in zip(common, stems, ends, strict=True)],
            "tag": [("article" if often else ENDS[end]) for often, end in zip(common, ends, strict=True)],
        }
    )


def test_words_that_come_once_are_spelled() -> None:
    split = read_and_split(Table("words", words()), label="tag", sequence="sentence", order="none")
    columns, parts, notices = split.encoded()
    assert parts.test is not None
    assert [category.view for category in columns.fitted.categories] == ["", *VIEWS]
    assert columns.categories == columns.fitted.texts == ("word",)
    assert columns.fitted.places == {"word": list(range(1 + len(VIEWS)))}
    known = parts.test.values[:, list(VIEWS).index("last 2") + 1] > 0
    new = parts.test.values[:, 0] == 0
    assert new.sum() > 10
    assert known[new].all()
    assert any("known by their spelling" in notice for notice in notices)


def test_categories_that_come_often_are_not() -> None:
    frame = words().with_columns(pl.col("word").str.tail(2))
    columns, _, _ = read_and_split(Table("ends", frame), label="tag", sequence="sentence", order="none").encoded()
    assert [category.view for category in columns.fitted.categories] == [""]


def test_views_of_strange_words() -> None:
    strange = pl.Series(["", "x" * 10_000, "\N{FAMILY}\u0301", "שלום", "a\x00b", "ǅ"])
    for name, view in VIEWS.items():
        shown = view(strange)
        assert len(shown) == len(strange), name
        assert not shown.is_null().any(), name


def test_files_name_their_views() -> None:
    split = read_and_split(Table("words", words()), label="tag", sequence="sentence", order="none")
    encoding = split.encoded()[0].fitted
    assert Encoding.from_json(encoding.to_json()) == encoding
    old = encoding.to_json()
    assert old["categories"][-1]["view"] == "length"
    old["categories"] = old["categories"][:-1]
    assert Encoding.from_json(old).categories == encoding.categories[:-1]  # of files from before there was this view
    damaged = encoding.to_json()
    damaged["categories"][1]["view"] = "sideways"
    with pytest.raises(ModelFileError):
        Encoding.from_json(damaged)


def test_empty_fields_are_words_of_their_own_or_unknown() -> None:
    frame = words().with_columns(pl.when(pl.int_range(pl.len()) % 50 > 0).then("word").alias("word"))
    split = read_and_split(Table("words", frame), label="tag", sequence="sentence", order="none")
    columns, parts, _ = split.encoded()
    assert None in columns.fitted.categories[0].values
    assert not np.isnan(parts.train.values).any()
    tally = Tally()
    columns.fitted.encode(Table("words", frame), None, parts.train, tally)
    assert not tally.unknown


def test_the_shape_of_words() -> None:
    assert views("shape", pl.Series(["iPhones", "USA", "1:30", "e-mail"])).to_list() == ["xXxx", "XX", "d:dd", "x-xx"]


def test_the_length_of_words_counts_characters_to_20() -> None:
    words = pl.Series(["", "è", "Zürich", "x" * 19, "x" * 20, "x" * 200, None])
    assert views("length", words).to_list() == ["0", "1", "6", "19", "20", "20", None]


def test_of_unknown_values_the_first_ones_are_named() -> None:
    table, tally = Table("words", pl.DataFrame({"word": [f"w{place}" for place in range(50)]})), Tally()
    steps = Sequences(np.empty((50, 0)), np.array([50]))
    Encoding((), (Category("word", ("known",)),)).encode(table, None, steps, tally)
    assert "('w0', 'w1', 'w2' and 47 more)" in tally.notices()[0]
    for first in range(0, 5000, 50):  # as a stream brings them
        tally.count_unknown("host", {str(host): 2 for host in range(first, first + 50)})
    assert "10,000 rows" in tally.notices()[1]
    assert "('0', '1', '2' and at least 997 more)" in tally.notices()[1]
    long = Tally(unknown={"message": Counter(["a very long story of " + 500 * "words, " + "that ends"])})
    assert "('a very long ...ds, that ends')" in long.notices()[0]
