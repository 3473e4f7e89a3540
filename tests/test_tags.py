"""Tags of a scheme: which classes are, what may follow what, and where chunks are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.sequences import Numbers
from bothways.tags import LETTERS, Scheme, convert, scheme_of

CLASSES = {
    "BIO": ("O", "B-x", "I-x", "B-y", "I-y"),
    "IOB1": ("O", "B-x", "I-x", "B-y", "I-y"),
    "BIOES": ("O", "B-x", "I-x", "E-x", "S-x", "B-y", "E-y", "S-y"),
    "BILOU": ("O", "B_x", "I_x", "L_x", "U_x", "B_y", "I_y", "L_y", "U_y"),
}


def scheme(name: str) -> Scheme:
    codes = np.array([2]) if name == "IOB1" else np.array([0])
    found = scheme_of(CLASSES[name], codes, np.array([1]))
    assert found is not None
    assert found.name == name
    return found


def joined(lists: Sequence[Sequence[int]]) -> tuple[Numbers, Numbers]:
    codes = np.array([code for each in lists for code in each], np.int64)
    return codes, np.array([len(each) for each in lists], np.int64)


def conlleval(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The chunks of a sequence by startOfChunk and endOfChunk of the script, with the pairs that seqeval adds for S."""
    chunks: list[tuple[str, int, int]] = []
    first = 0
    split = [("O", "")] + [(tag[0].translate(str.maketrans("LU", "ES")), tag[2:]) for tag in tags] + [("O", "")]
    for at, ((before, type_before), (tag, type_)) in enumerate(itertools.pairwise(split)):
        other = type_ != type_before
        ends = before + tag in (
            "BB",
            "BO",
            "BS",
            "IB",
            "IO",
            "IS",
            "EE",
            "EI",
            "EO",
            "EB",
            "ES",
            "SS",
            "SI",
            "SO",
            "SB",
            "SE",
        )
        if ends or (before != "O" and other):
            chunks.append((type_before, first, at - 1))
        starts = before + tag in (
            "BB",
            "IB",
            "OB",
            "OI",
            "EE",
            "EI",
            "EB",
            "OE",
            "SB",
            "SI",
            "SE",
            "SS",
            "ES",
            "OS",
            "BS",
            "IS",
        )
        if starts or (tag != "O" and other):
            first = at
    return chunks


@pytest.mark.parametrize("name", CLASSES)
@given(st.data())
def test_chunks_are_those_of_conlleval(name: str, data: st.DataObject) -> None:
    lists = data.draw(st.lists(st.lists(st.integers(0, len(CLASSES[name]) - 1), max_size=8), max_size=5))
    codes, lengths = joined(lists)
    found = scheme(name)
    chunks = found.chunks(codes, lengths)
    starts = np.cumsum(lengths) - lengths
    got = [
        (int(number), found.types[kind], int(first - starts[number]), int(last - starts[number]))
        for number, kind, first, last in zip(*chunks, strict=True)
    ]
    assert got == [
        (number, *chunk) for number, each in enumerate(lists) for chunk in conlleval([CLASSES[name][k] for k in each])
    ]


def written(name: str, chunks: Sequence[tuple[str, int]]) -> list[str]:
    """The tags of chunks of types and sizes, one after the other; type O is outside."""
    tags: list[str] = []
    for number, (kind, size) in enumerate(chunks):
        if kind == "O":
            tags += "O" * size
            continue
        letters = list("B" + "I" * (size - 1))
        if name == "IOB1" and (number == 0 or chunks[number - 1][0] != kind):
            letters[0] = "I"
        if name in ("BIOES", "BILOU"):
            last, only = ("E", "S") if name == "BIOES" else ("L", "U")
            letters[-1] = only if size == 1 else last
        tags += [f"{letter}{CLASSES[name][1][1]}{kind}" for letter in letters]
    return tags


@pytest.mark.parametrize("name", CLASSES)
def test_allowed_is_what_chunks_can_give(name: str) -> None:
    """Written out, all series of three chunks show every pair of tags that may stand together, and no other."""
    classes = CLASSES[name]
    sizes = [(kind, size) for kind in "Oxy" for size in (1, 2, 4)]
    seen = np.zeros((len(classes) + 1, len(classes) + 1), bool)
    for series in itertools.product(sizes, repeat=3):
        tags = written(name, series)
        if not set(tags) <= set(classes):  # BIOES here has no I-y
            continue
        codes = [classes.index(tag) for tag in tags]
        seen[[-1, *codes], [*codes, -1]] = True
        assert scheme(name).malformed(np.array(codes), np.array([len(codes)])).size == 0
    allowed = scheme(name).allowed()
    assert allowed[-1, -1]  # a sequence of no steps
    allowed[-1, -1] = False
    np.testing.assert_array_equal(allowed, seen)


@pytest.mark.parametrize("name", CLASSES)
@given(st.data())
def test_malformed_are_the_steps_that_are_not_allowed(name: str, data: st.DataObject) -> None:
    lists = data.draw(st.lists(st.lists(st.integers(-1, len(CLASSES[name]) - 1), max_size=8), max_size=5))
    allowed, expected, at = scheme(name).allowed(), [], 0
    for each in lists:
        for place, code in enumerate(each):
            before = each[place - 1] if place else len(CLASSES[name])
            wrong = -1 not in (before, code) and not allowed[before, code]
            if code >= 0 and (wrong or (place == len(each) - 1 and not allowed[code, -1])):
                expected.append(at)
            at += 1
    codes, lengths = joined(lists)
    assert scheme(name).malformed(codes, lengths).tolist() == expected


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        (("O", "B-x", "I-x"), "BIO"),
        (("I", "O", "B"), "BIO"),
        (("O", "B-x", "I-x", "B-only"), "BIO"),
        (("O", "B-x", "E-x"), "BIOES"),
        (("O", "B-x", "I-x", "S-y"), "BIOES"),
        (("O", "B-x-y", "I-x-y", "U-z"), "BILOU"),
        (("O", "B-x", "I-y"), "BIO"),
        (("O", "B-x", "B-y"), "BIO"),
        (("O", "I-x"), "IOB1"),
        (("B-x", "I-x"), "BIO"),
        (("B-x", "I-y"), None),
        (("O", "I"), None),
        (("O", "S-x"), None),
        (("O", "B-x", "I-x", "NOUN", "VERB"), None),
        (("O", "B-x", "I-x", "B-", "0"), None),
        (("B-x", "I-x", "NOUN"), None),
        (("B", "I", "O", "A"), None),
        (("O", "B-x", "I-x", "0"), "BIO"),
        (("O", "B-x", "E-x", "I-x", "S-x", "0", "OUT"), "BIOES"),
        (("o", "b-x", "i-x"), "BIO"),
        (("O", "B-x", "M-x", "E-x", "S-x"), "BIOES"),
        (("O", "B-x", "M-x", "E-x", "W-x"), "BIOES"),
        ((0, 1, 2), None),
        ((), None),
    ],
)
def test_classes_that_are_tags(classes: tuple[str, ...], name: str | None) -> None:
    found = scheme_of(classes)
    assert (found and found.name) == name


def bare(letters: str, chunks: bool) -> tuple[tuple[str, ...], Numbers, Numbers]:
    """Sequences of these letters, at random or as tags of chunks of one to four steps, as codes and lengths."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(2, 20, 60)
    tags = [letters[code] for code in generator.integers(0, len(letters), lengths.sum())]
    if chunks:
        name = "BIO" if letters == "BI" else "BIOES"
        cut = [generator.multinomial(length - 1, [0.4, 0.3, 0.2, 0.1]) for length in lengths]
        sizes = [[("x", 1)] + [("x", size + 1) for size in range(4) for _ in range(count[size])] for count in cut]
        lists = [[tag[0].replace("I", letters[1]) for tag in written(name, each)] for each in sizes]
        tags, lengths = [tag for each in lists for tag in each], np.array([len(each) for each in lists])
    return tuple(letters), np.array([letters.index(tag) for tag in tags]), lengths


@pytest.mark.parametrize(("letters", "name"), [("BI", "BIO"), ("BMES", "BIOES"), ("BIES", "BIOES")])
def test_tags_without_types_and_o_follow_the_rules(letters: str, name: str) -> None:
    found = scheme_of(*bare(letters, chunks=True))
    assert (found and found.name) == name
    classes, codes, lengths = bare(letters, chunks=False)
    assert scheme_of(classes, codes, lengths) is None
    assert scheme_of((*classes, "O"), codes, lengths) is not None


@pytest.mark.parametrize("letters", ["BE", "BM", "BS", "BIE"])
def test_letters_that_are_no_tags(letters: str) -> None:
    assert scheme_of(*bare(letters, chunks=False)) is None


def test_a_cut_within_a_piece_is_no_other_scheme() -> None:
    classes, codes, _ = bare("BMES", chunks=True)
    assert scheme_of(classes, codes[5:-1], np.array([len(codes) - 6])) is not None


def test_one_sequence_proves_no_rules_about_first_steps() -> None:
    assert scheme_of(("B", "I"), np.array([0, 1, 1, 0, 1] * 9), np.array([45])) is None


def test_a_label_that_is_no_tag_is_outside_of_every_chunk() -> None:
    found = scheme_of(("0", "B-x", "I-x", "O"))
    assert found is not None
    assert found.chunks(np.array([1, 0, 2, 2]), np.array([4])).first.tolist() == [0, 2]
    assert found.malformed(np.array([1, 0, 2, 2]), np.array([4])).tolist() == [2]


def test_types_keep_their_hyphens() -> None:
    found = scheme_of(("O", "B-x-y_z", "I-x-y_z", "B_a", "I_a"))
    assert found is not None
    assert found.types == ("a", "x-y_z")
    assert found.type_of == (-1, 1, 1, 0, 0)


@pytest.mark.parametrize("name", ["BIO", "IOB1"])
def test_labels_tell_iob1_from_bio(name: str) -> None:
    lists = [
        [CLASSES[name].index(tag) for tag in written(name, chunks)] for chunks in ([("x", 2)], [("x", 1), ("x", 2)])
    ]
    found = scheme_of(CLASSES[name], *joined(lists))
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("to", LETTERS)
def test_tags_of_another_scheme_mark_the_same_chunks(to: str) -> None:
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, 9, 500)
    flat = generator.choice(["O", "B-x", "I-x", "B-y", "I-y"], lengths.sum())
    tags = [each.tolist() for each in np.split(flat, np.cumsum(lengths)[:-1])]
    converted = convert(tags, to)
    assert [len(each) for each in converted] == lengths.tolist()
    assert convert(converted, "BIO") == convert(tags, "BIO")
    classes = [f"{letter}-{kind}" for letter in sorted({*LETTERS[to], "B"}) for kind in "xy"] + ["O"]
    scheme = scheme_of(classes)
    assert scheme is not None
    codes = np.array([classes.index(each) for sequence in converted for each in sequence])
    assert not len(replace(scheme, name=to).malformed(codes, lengths))


def test_what_is_no_tag_or_scheme_is_refused() -> None:
    with pytest.raises(InputError, match="'Q-x' is no tag"):
        convert([["Q-x"]], "BIO")
    tags: Any = [["B-x", None]]
    with pytest.raises(InputError, match="None is no tag"):
        convert(tags, "BIO")
    with pytest.raises(InputError, match=r"tags are those of one sequence; .* \[tags\]"):
        convert(["B-x", "I-x"], "BIO")
    with pytest.raises(InputError, match="no scheme 'XYZ'"):
        convert([["O"]], "XYZ")
