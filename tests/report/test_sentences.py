"""Sentences as text: what is expected above each word, what is predicted below, whatever the words are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.metrics import evaluate
from bothways.report import Report, write_report
from bothways.report.worst import spans
from bothways.sequences import Sequences
from bothways.tags import scheme_of

pytest.importorskip("matplotlib")

TAGS = ("O", "B-person", "I-person", "B-place", "I-place")


def report(words: Sequence[Any], expected: Sequence[int], predicted: Sequence[int], classes: Any = TAGS) -> Report:
    """One sentence, and another whose labels are right."""
    labels, p = np.array([*expected, 0, 0]), np.eye(len(classes))[[*predicted, 0, 0]]
    sequences = Sequences(np.zeros((len(labels), 0)), np.array([len(words), 2]), labels, scheme=scheme_of(classes))
    unseen = np.arange(len(labels)) == 0
    evaluation = evaluate(sequences, p, classes, unseen_words=unseen)
    return Report("tags", evaluation, sequences, p, texts=[*words, "some", "words"], sentences=True)


def written(folder: Path, *content: Any, **more: Any) -> list[tuple[str, ...]]:
    """For each word of the page its direction, the label above, the element of the word, it, and the label below."""
    write_report(folder / "report.html", report(*content, **more))
    page = (folder / "report.html").read_text(encoding="utf-8")
    (shown,) = re.findall(r'<div class="sentence" dir="(ltr|rtl)">(.*?)</div>', page)
    label = r"<i[^>]*>(.*?)</i>"
    return [
        (shown[0], *each)
        for each in re.findall(rf"<span>{label}<(b|span)><bdi>(.*?)</bdi></\2>{label}</span>", shown[1])
    ]


def test_spans_of_tags() -> None:
    content = report(["a", "b", "c", "d", "e"], [1, 2, 1, 0, 4], [0, 2, 2, 3, 3])
    found = spans(content, content.expected)
    assert found.names == ("person", "place")
    assert found.kinds.tolist() == [0, 0, 0, -1, 1, -1, -1]
    assert found.starts.tolist() == [True, False, True, False, True, False, False]
    found = spans(content, content.predicted)
    assert found.kinds.tolist() == [-1, 0, 0, 1, 1, -1, -1]
    assert found.starts.tolist() == [False, True, False, True, True, False, False]


def test_a_sentence_with_tags(tmp_path: Path) -> None:
    shown = written(tmp_path, ["John", "Smith", "saw", "Rome"], [1, 2, 0, 3], [1, 0, 0, 1])
    assert shown == [
        ("ltr", "person", "span", "John", "person"),
        ("ltr", "", "b", "Smith", ""),
        ("ltr", "", "span", "saw", ""),
        ("ltr", "place", "b", "Rome", "person"),
    ]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for heading in ("Entities", "Seen and unseen words", "Entity F1"):
        assert f">{heading}<" in page


def test_labels_that_are_no_tags_stand_at_every_word(tmp_path: Path) -> None:
    shown = written(tmp_path, ["dogs", "bark"], [1, 2], [1, 1], classes=("DET", "NOUN", "VERB"))
    assert shown == [("ltr", "NOUN", "span", "dogs", "NOUN"), ("ltr", "VERB", "b", "bark", "NOUN")]
    assert ">Entities<" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_word_that_is_missing_is_a_dash(tmp_path: Path) -> None:
    shown = written(tmp_path, [None, "שלום"], [1, 2], [1, 1], classes=("DET", "NOUN", "VERB"))
    assert shown == [("rtl", "NOUN", "span", "-", "NOUN"), ("rtl", "VERB", "b", "שלום", "NOUN")]


def test_words_are_escaped_and_cannot_turn_the_page(tmp_path: Path) -> None:
    words = ["<script>", "\u202eevil", "", None, "a" * 99, "NUL\0x", "👨\u200d👩"]
    shown = [word for *_, word, _ in written(tmp_path, words, [1] * 7, [0] * 7)]
    assert shown[:3] == ["&lt;script&gt;", "evil", "&nbsp;"]
    assert shown[4:] == ["a" * 39 + "…", "NUL x", "👨\u200d👩"]
    assert "\u202e" not in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "way"), [(["(", "שלום", "John"], "rtl"), (["زار", "1"], "rtl"), (["1", "x", "زار"], "ltr")]
)
def test_a_sentence_reads_its_own_way(words: list[str], way: str, tmp_path: Path) -> None:
    assert {way} == {shown[0] for shown in written(tmp_path, words, [1] * len(words), [0] * len(words))}


def test_a_long_sentence_is_cut_to_its_worst_words(tmp_path: Path) -> None:
    expected = [0] * 20_000
    expected[9_000] = 1
    shown = written(tmp_path, [f"w{i}" for i in range(20_000)], expected, [0] * 20_000)
    assert len(shown) == 150
    assert shown[74][1:4] == ("person", "b", "w9000")
