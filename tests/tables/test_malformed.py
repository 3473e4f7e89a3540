"""Tags that break the rules of their scheme are said once, and change nothing."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest

from bothways.data import evaluation_part, read_and_split
from bothways.tables.table import Table
from bothways.tags import scheme_of

BIO = ["O", "B-x", "I-x", "O", "B-x", "B-x"]
IOB1 = ["O", "I-x", "I-x", "O", "I-x", "B-x"]
ROLES: dict[str, Any] = {"label": "tag", "sequence": "sentence", "order": "none", "draw_valid": False}
BIOES = ["O", "B-x", "E-x", "O", "S-x", "S-x"]


def table(sentences: list[list[str]], test: list[list[str]]) -> Table:
    every = [*sentences, *test]
    rows = [(i, i < len(sentences), tag) for i, tags in enumerate(every) for tag in tags]
    numbers, train, tags = zip(*rows, strict=True)
    parts = ["train" if each else "test" for each in train]
    words = [f"word {i % 7}" for i in range(len(tags))]
    return Table("words.csv", pl.DataFrame({"sentence": numbers, "word": words, "tag": tags, "split": parts}))


def said(sentences: list[list[str]], test: list[list[str]] | None = None) -> tuple[str | None, list[str]]:
    """The scheme that is found, and what is said of tags."""
    split = read_and_split(table(sentences, test or sentences[:1]), **ROLES)
    scheme = split.parts.train.scheme
    return None if scheme is None else scheme.name, [notice for notice in split.notices if "conlleval" in notice]


@pytest.mark.parametrize(("tags", "name"), [(BIO, "BIO"), (IOB1, "IOB1"), (BIOES, "BIOES")])
def test_tags_in_order_need_no_word(tags: list[str], name: str) -> None:
    assert said([tags] * 20) == (name, [])


@pytest.mark.parametrize("tags", [["NOUN", "VERB"], ["B-x", "NOUN", "I-x", "VERB", "O"]])
def test_labels_that_are_no_tags(tags: list[str]) -> None:
    assert said([tags] * 20) == (None, [])


def test_a_label_that_is_no_tag_is_named() -> None:
    split = read_and_split(table([BIO] * 20 + [["B-x", "I-x", "0"]], [BIO]), **ROLES)
    assert split.parts.train.scheme is not None
    assert "Careful: '0' in 'tag' is no tag, and counts as outside of every entity, as O does." in split.notices


def test_tags_that_differ_in_capitals_stay_tags() -> None:
    split = read_and_split(table([BIO] * 20 + [["B-X", "O", "B-X"]], [BIO]), **ROLES)
    assert any("str.to_uppercase()" in notice for notice in split.notices)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (["O", "I-x"], "data row 62 (the first is 1), column 'tag': 'I-x' may not follow 'O' in BIO. Such tags: 1;"),
        (["I-x", "I-x"], "data row 61 (the first is 1), column 'tag': 'I-x' may not stand first in BIO. Such tags: 1;"),
    ],
)
def test_a_malformed_tag_has_its_place(broken: list[str], words: str) -> None:
    name, notices = said([BIO] * 10 + [broken] + [BIO] * 10)
    assert name == "BIO"
    assert notices == [f"words.csv: {words} they count as in conlleval."]


def test_a_chunk_that_does_not_end() -> None:
    _, notices = said([BIOES] * 10 + [["O", "B-x"]])
    assert "data row 62 (the first is 1), column 'tag': 'B-x' may not stand last in BIOES." in notices[0]


@pytest.mark.parametrize(
    ("first", "then", "name", "other"),
    [(BIO, IOB1, "BIO", "IOB1"), (IOB1, BIO, "IOB1", "BIO"), (BIOES, BIO, "BIOES", "BIO")],
)
def test_a_scheme_that_changes(first: list[str], then: list[str], name: str, other: str) -> None:
    found, notices = said([first] * 11 + [then] * 10)
    assert found == name
    assert len(notices) == 1
    assert re.search(r"data row [67]\d ", notices[0])
    assert notices[0].endswith(f"They stand together and read as {other}: does the scheme change?")


def test_a_scheme_that_changes_beside_a_mistake() -> None:
    _, notices = said([BIO] * 11 + [IOB1] * 10 + [BIO] * 80 + [["O", "I-x"]])
    assert notices[0].endswith("They stand together and read as IOB1: does the scheme change?")


@pytest.mark.parametrize(("own", "other"), [(BIO, IOB1), (IOB1, BIO)])
def test_the_scheme_of_a_model_holds_for_other_tables(own: list[str], other: list[str]) -> None:
    """In the middle of a table in its own scheme, tags of the other one are malformed; alone they are converted."""
    split = read_and_split(table([own] * 9, [own]), **ROLES)
    columns, parts = split.encoded()[:2]
    classes, scheme = parts.classes, split.parts.train.scheme
    assert scheme is not None
    for sentences, expected, said in (
        ([other] * 9, own * 9, f"they are compared as {scheme.name}, as in the model."),
        ([own] * 9 + [other] * 2, own * 9 + other * 2, f"in {scheme.name}. Such tags: 4;"),
    ):
        _, part, _, notices = evaluation_part(table(sentences, []), columns, "all", classes, scheme=scheme)
        assert part.scheme == scheme
        assert [classes[code] for code in part.known_labels] == expected
        assert sum(said in notice for notice in notices) == 1


@pytest.mark.parametrize("model", [("B-x", "I-x", "O"), ("b_x", "i_x", "O")])
def test_tags_of_another_scheme_are_compared_as_those_of_the_model(model: tuple[str, ...]) -> None:
    columns = read_and_split(table([BIO] * 9, [BIO]), **ROLES).encoded()[0]
    words = table([BIOES, ["I-x", "0", "S-y", "O", "E-x", "O"]], [])
    _, part, unseen, notices = evaluation_part(words, columns, "all", model, scheme=scheme_of(model))
    assert part.labels is not None
    assert unseen == ("0", "B-y")
    assert part.labels.tolist() == [2, 0, 1, 2, 0, 0, 0, 3, 4, 2, 0, 2]
    assert "the tags in 'tag' are BIOES; they are compared as BIO, as in the model. Malformed: 3." in notices[0]


def test_tags_with_other_letters_are_compared_as_those_of_the_model() -> None:
    classes = ("B-x", "L-x", "O", "U-x")
    columns = read_and_split(table([BIOES] * 9, [BIOES]), **ROLES).encoded()[0]
    for tags, changed in ((BIO, True), (BIOES, True), (["O", "B-x", "L-x", "O", "U-x", "U-x"], False)):
        words = table([tags] * 9, [])
        _, part, unseen, notices = evaluation_part(words, columns, "all", classes, scheme=scheme_of(classes))
        assert part.labels is not None
        assert part.labels.tolist() == [2, 0, 1, 2, 3, 3] * 9
        assert not unseen
        assert any("are compared as BILOU" in notice for notice in notices) == changed


def test_the_test_part_does_not_choose_the_scheme() -> None:
    assert said([BIO] * 20, test=[IOB1] * 90)[0] == "BIO"
    assert said([["NOUN", "VERB"]] * 20, test=[BIO] * 9)[0] is None


def test_labels_that_training_does_not_have() -> None:
    words = table([BIO] * 20, [["O", "B-y", "I-y", "foo", "I-x"]])
    split = read_and_split(words, **ROLES)
    part, names = split.parts.test, (*split.parts.classes, *split.parts.unseen)
    assert part is not None
    assert part.scheme is not None
    assert names == ("B-x", "I-x", "O", "B-y", "I-y", "foo")
    chunks = part.scheme.chunks(part.known_labels, part.lengths)
    assert [part.scheme.types[kind] for kind in chunks.type] == ["y", "x"]
    said = next(notice for notice in split.notices if "The train part has no label" in notice)
    assert said.endswith("The first: words.csv: data row 122 (the first is 1).")
    columns = split.encoded()[0]
    _, again, unseen, notices = evaluation_part(
        words, columns, "test", split.parts.classes, scheme=split.parts.train.scheme
    )
    assert unseen == split.parts.unseen
    assert again.scheme == part.scheme
    assert sum("'I-x' may not follow 'foo' in BIO" in notice for notice in notices) == 1
