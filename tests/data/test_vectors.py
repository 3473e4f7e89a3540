"""Pretrained vectors of words: read from files and packages, and the features that they become."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data import read_and_split
from bothways.data import vectors as module
from bothways.data.columns import Columns
from bothways.data.encoding import Category, Encoding, Number
from bothways.data.frames import column_sequences
from bothways.data.vectors import Vectors, find_vectors, read_vectors
from bothways.errors import DataError, InputError, MissingDependencyError
from bothways.tables.table import Table

WORDS = ["the", "Rome", "rome", "\N{SNOWMAN}", "x-1"]
NUMBERS = np.array([[0.5, -1], [2, 3], [4, 5], [1e-3, 7], [-2.25, 0.125]], np.float32)
LINES = [f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, NUMBERS.tolist(), strict=True)]
TEXT = "\n".join(LINES) + "\n"


def written(folder: Path, content: str | bytes, name: str = "some.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: bytes) -> None:
    """Install the package `some-vectors`, which brings these files, with underscores for dots."""
    described = folder / "some_vectors-1.0.dist-info"
    for name in ("some_vectors/data", described.name):
        (folder / name).mkdir(parents=True)
    named = {f"some_vectors/data/{name.replace('_', '.')}": content for name, content in files.items()}
    about = b"Metadata-Version: 2.4\nName: some-vectors\nVersion: 1.0\nLicense-Expression: PDDL-1.0\n"
    named |= {f"{described.name}/METADATA": about, f"{described.name}/top_level.txt": b"some_vectors\n"}
    for name, content in named.items():
        (folder / name).write_bytes(content)
    (described / "RECORD").write_text("".join(f"{name},,\n" for name in named))
    monkeypatch.syspath_prepend(folder)


def npy(folder: Path, array: Any) -> bytes:
    np.save(folder / "array.npy", array, allow_pickle=True)
    return (folder / "array.npy").read_bytes()


def parquet(folder: Path, words: list[Any]) -> bytes:
    pl.DataFrame({"index": words}).write_parquet(folder / "words.parquet")
    return (folder / "words.parquet").read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("glove.txt", TEXT.encode()),
        ("windows.txt", b"\xef\xbb\xbf" + TEXT.replace("\n", " \r\n").encode()),
        ("tabs.txt", TEXT.replace(" ", "\t").encode()),
        ("fast.vec", f"5 2\n{TEXT}\n".encode()),
        ("fast.vec.gz", gzip.compress(f"5 2\n{TEXT}".encode(), mtime=0)),
    ],
)
def test_files_of_text(tmp_path: Path, name: str, content: bytes) -> None:
    path = written(tmp_path, content, name)
    read, notices = read_vectors(find_vectors(path), "word", ["Rome", "THE", None, "new"])
    assert read.words == tuple(WORDS)
    assert np.array_equal(read.matrix, NUMBERS.astype(np.float16))
    assert read.license == "not known"
    assert notices == [
        f"Vectors of words: 2 of the 3 values of 'word' in the train part have one, 1 of them only in small letters. "
        f"Kept: {path}: 5 words, 2 numbers each, license not known."
    ]


@pytest.mark.parametrize("index", ["parquet", "txt"])
def test_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: str) -> None:
    words = (
        {"index_parquet": parquet(tmp_path, WORDS)} if index == "parquet" else {"index_txt": "\n".join(WORDS).encode()}
    )
    package(tmp_path / "site", monkeypatch, vectors_npy=npy(tmp_path, NUMBERS), **words)
    read, _ = read_vectors(find_vectors("Some_Vectors"), "word", ["Rome"])
    assert read.words == tuple(WORDS)
    assert np.array_equal(read.matrix, NUMBERS.astype(np.float16))
    assert read.summary == "Some_Vectors: 5 words, 2 numbers each, license PDDL-1.0"


def test_packages_without_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "site", monkeypatch, vectors_npy=npy(tmp_path, NUMBERS))
    with pytest.raises(DataError, match=r"some-vectors: this package has no vectors; .* It has: vectors\.npy"):
        find_vectors("some-vectors")
    with pytest.raises(DataError, match=r"pytest: this package has no vectors; .* It has: none\."):
        find_vectors("pytest")


@pytest.mark.parametrize(
    ("array", "words", "said"),
    [
        (NUMBERS[:4], WORDS, r"this is float32 \(4, 2\); .* the 5 words"),
        (NUMBERS[0], WORDS, r"this is float32 \(2,\)"),
        (np.array(WORDS), WORDS, "this is <U4"),
        (np.array([{}] * 5), WORDS, "cannot be read"),
        (np.full_like(NUMBERS, 1e6), WORDS, "no finite number"),
        (NUMBERS, [1, 2, 3, 4, 5], "cannot be read"),
        (NUMBERS[:1], ["two\nlines"], "no vectors"),
    ],
)
def test_packages_that_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, array: Any, words: list[Any], said: str
) -> None:
    package(tmp_path / "s", monkeypatch, x_npy=npy(tmp_path, array), index_parquet=parquet(tmp_path, words))
    with pytest.raises(DataError, match=said):
        read_vectors(find_vectors("some-vectors"), "word", ["Rome"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no vectors"),
        (b"\n\n", "holds no vectors"),
        (b"400000 50\n", "holds no vectors"),
        (b"one\ntwo\n", "line 1 has 0 numbers, not 1"),
        (b"a 1 x\n", "line 1 holds what is no finite number of half precision. Such lines: 1 of 1"),
        (b"a 1 nan\nb 1 70000\n", "line 1 holds what is no finite number of half precision. Such lines: 2 of 2"),
        (b"a 1 2\nb 1\nc 1 2 3\n", "line 2 has 1 number, not 2. Such lines: 2 of 3. Each must hold"),
        (b"3 2\n" + bytes(range(256)) * 9, "line 1 says that vectors have 2 numbers; they have 1 here"),
        (b"2 300\nRome 1 2\nthe 3 4\n", "line 1 says that vectors have 300 numbers; they have 2 here"),
        (b"\0" * 100, "line 1 has 0 numbers"),
        (TEXT.encode("utf-16"), "line 1 .* Each must hold"),
        (b"9" * 5000 + b" 1\na 1\n", "none of the 1 values of 'word' in the train part, such as 'Rome', has a vector"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_vectors(find_vectors(written(tmp_path, content)), "word", ["Rome"])


@pytest.mark.parametrize(
    ("content", "left", "said"),
    [
        (f"{TEXT}half 0.", WORDS, r"some\.txt, line 6 has 1 number, not 2\. Such lines: 1 of 6; they are left out\."),
        (f"{TEXT}at me 1 2\n", WORDS, "line 6 has 3 numbers, not 2"),
        (f"Rom 1 2 3\n{TEXT}", WORDS, "line 1 has 3 numbers, not 2. Such lines: 1 of 6; they are left out"),
        (f"{TEXT}a 1 _\n", WORDS, "line 6 holds what is no finite number"),
        (f"{TEXT}Rome 8 9\nthe 1 1\n", WORDS, "line 6: this word stood above. Such lines: 2; the first counts"),
        (f"9 2\n{TEXT}", WORDS, "line 1 says 9 words, but 5 follow. Is it cut short?"),
        (TEXT.strip(), WORDS, r"some\.txt, line 5: the last line has no line end\. If it is cut short"),
        (f"a\0b 1 2\n{TEXT}", ["a\0b", *WORDS], "Vectors of words"),
    ],
)
def test_lines_that_are_left_out_are_said(tmp_path: Path, content: str, left: list[str], said: str) -> None:
    read, notices = read_vectors(find_vectors(written(tmp_path, content)), "word", ["Rome"])
    assert read.words == tuple(left)
    assert np.array_equal(read.matrix[-5:], NUMBERS.astype(np.float16))
    assert any(re.search(said, notice) for notice in notices)


def test_gzip_that_is_cut_short(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(TEXT.encode())[:-9], "some.txt.gz")
    with pytest.raises(DataError, match="no gzip file, or it is damaged or cut short"):
        read_vectors(find_vectors(path), "word", ["Rome"])


def test_names_of_nothing(tmp_path: Path) -> None:
    for name, said in (("no.vec", "no such file"), (str(tmp_path), "a folder"), ("a/b", "no such file")):
        with pytest.raises(DataError, match=said):
            find_vectors(name)
    with pytest.raises(MissingDependencyError, match=r"pip install no-such-vectors$"):
        find_vectors("no-such-vectors")
    for wrong in ("", 7):
        with pytest.raises(InputError, match="must be a file of vectors"):
            find_vectors(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["text", "package"])
def test_the_first_words_are_kept_and_those_of_the_train_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(module, "FIRST", 2)
    words = [f"w{i}" for i in range(8)]
    if kind == "text":
        source = str(written(tmp_path, "".join(f"{word} {i}\n" for i, word in enumerate(words))))
    else:
        array = npy(tmp_path, np.arange(8.0)[:, None])
        package(tmp_path / "s", monkeypatch, x_npy=array, index_parquet=parquet(tmp_path, words))
        source = "some-vectors"
    frame = pl.DataFrame(
        {
            "word": ["W5", "w7", "w7", "other", "w3", "w4"],
            "label": ["a", "b", "a", "b", "a", "b"],
            "split": ["train"] * 4 + ["valid", "test"],
        }
    )
    columns, parts, notices = read_and_split(Table("some.csv", frame), sequence="none", vectors=source).encoded()
    assert columns.vectors is not None
    assert columns.vectors.words == ("w0", "w1", "w5", "w7")
    assert any("2 of the 3 values of 'word' in the train part have one, 1 of them only" in each for each in notices)
    assert parts.train.values[:, 0].tolist() == [5, 7, 7, 0]
    assert parts.test is not None
    assert parts.test.values[:, 0].tolist() == [0]  # its word has a vector in the file


def test_places_and_names() -> None:
    vectors = Vectors("word", ("a", "b"), np.array([[1, 2], [3, 4]], np.float16), "some.txt")
    encoding = Encoding((Number("x", 0.5, flagged=True),), (Category("word", ("a",)),), gaps="numbers", vectors=vectors)
    first, second = (f"word, number {i} of its vector" for i in (1, 2))
    assert encoding.names == ("x", "x is missing", first, second, "gap", "word")
    assert encoding.places == {"x": [0, 1], "word": [2, 3, 5], "gap to the previous step": [4]}
    columns = Columns("y", ("x", "word"), order="t", categories=("word",), encoding=encoding)
    arrays = {"x": [np.nan, 2.0, 3.0], "word": ["b", "B", "c"], "t": [1.0, 2.0, 4.0]}
    read = column_sequences("inputs", columns, {name: np.array(each) for name, each in arrays.items()}, np.array([3]))
    gaps = np.log1p([0, 1, 2]).astype(np.float32)
    assert read.values[:, :4].tolist() == [[0.5, 1, 3, 4], [2, 0, 3, 4], [3, 0, 0, 0]]
    assert read.values[:, 4:].tolist() == [[gap, 0] for gap in gaps.tolist()]
    assert Columns.from_json(columns.to_json(), vectors.arrays()) == columns


@pytest.mark.parametrize("words", [[], [None], ["b"], ["a", None, "A"]])
def test_columns_of_few_words_or_none(words: list[str | None]) -> None:
    vectors = Vectors("word", ("a",), np.array([[1, 2]], np.float16), "some.txt")
    found = vectors.of(pl.Series(words, dtype=pl.String))
    assert found.shape == (len(words), 2)
    assert found.tolist() == [[1, 2] if word in ("a", "A") else [0, 0] for word in words]


def test_no_words(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    for values, said in ((["1", "2"], "no column holds words"), (["p", "q"], "none of the 2 values of 'kind'")):
        frame = pl.DataFrame({"kind": values * 4, "label": ["a", "b"] * 4})
        split = read_and_split(Table("some.csv", frame), sequence="none", categorical=["kind"], vectors=path)
        with pytest.raises(DataError, match=said):
            split.encoded()
