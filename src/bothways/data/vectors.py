"""Pretrained vectors of words, out of a file of text or an installed package. Nothing is ever downloaded."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from itertools import chain, islice
from pathlib import Path
from statistics import mode
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.errors import DataError, InputError, MissingDependencyError, counted
from bothways.tables.opening import BROKEN, decompressed, readable

FIRST = 150_000
"""Words kept for new text, from the beginning of a file, where the most frequent ones stand."""

FILES = (".txt", ".vec", ".gz")  # what a name ends in that is meant for a file
LOOKED_AT = 100  # the first lines, which show how many numbers a vector has
MOST_WRONG = 0.01  # with a larger share of lines that cannot be read, a file is something else

HEADER = re.compile(rb"\s*(\d{1,18})\s+(\d{1,18})\s*")
"""What the first line may be: how many words there are, and how many numbers for each."""

UNKNOWN = "not known"

Matrix = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Vectors:
    """Vectors of the words of a column."""

    column: str
    words: tuple[str, ...] = field(repr=False)  # those that have a vector
    matrix: Matrix = field(repr=False, compare=False)  # `(words, numbers)`, all finite
    source: str  # the file or package that they come from
    license: str = UNKNOWN

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return int(self.matrix.shape[1])

    @property
    def names(self) -> list[str]:
        """What the numbers of a vector are called as features."""
        return [f"{self.column}, number {i + 1} of its vector" for i in range(self.size)]

    @property
    def summary(self) -> str:
        """Where they come from, and how many there are; in words."""
        words, numbers = counted(len(self.words), "word"), counted(self.size, "number")
        return f"{self.source}: {words}, {numbers} each, license {self.license}"

    def of(self, text: pl.Series) -> Matrix:
        """`(words, numbers)` the vector of each word, by its letters or else by small ones; zeros where it has none."""
        distinct = text.unique()
        rows = text.replace_strict(distinct, list(map(self._row, distinct))).cast(pl.Int64).to_numpy()  # text if empty
        found: Matrix = self.matrix[rows]
        found[rows < 0] = 0
        return found

    def _row(self, word: str | None) -> int:
        return -1 if word is None else self._rows.get(word, self._rows.get(word.lower(), -1))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    def to_json(self) -> dict[str, str]:
        """All but words and numbers as plain JSON values."""
        return {"column": self.column, "source": self.source, "license": self.license}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The words, as UTF-8 with a line for each, and the numbers."""
        return {"words": np.frombuffer("\n".join(self.words).encode(), np.uint8), "matrix": self.matrix}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Vectors:
        """The vectors of `to_json` and `arrays`; ValueError, KeyError or TypeError where these describe none."""
        words, matrix = tuple(arrays["words"].tobytes().decode().split("\n")), arrays["matrix"]
        said = {name: data[name] for name in ("column", "source", "license")}
        if not (
            matrix.dtype == np.float16
            and matrix.ndim == 2
            and len(matrix) == len(words) == len(set(words))
            and matrix.shape[1]
            and np.isfinite(matrix).all()
            and all(isinstance(text, str) for text in said.values())
        ):
            raise ValueError
        return cls(words=words, matrix=matrix, **said)


class VectorFiles(NamedTuple):
    """Where vectors are."""

    name: str  # as they were asked for
    path: Path  # the file of text, or of the matrix
    words: Path | None = None  # the file of its words; None for a file of text
    license: str = UNKNOWN  # what the package says of it


def find_vectors(name: str | os.PathLike[str]) -> VectorFiles:
    """Find the file, or else the installed package, of vectors."""
    if not isinstance(name, (str, os.PathLike)) or not (name := os.fspath(name)):
        raise InputError(f"vectors is {name!r}; it must be a file of vectors, or an installed package that has some.")
    path = Path(name)
    if path.is_file():
        return VectorFiles(name, path)
    if path.suffix.lower() in FILES or len(path.parts) > 1 or path.exists():
        raise DataError(f"{name}: {'this is a folder' if path.exists() else 'no such file'}; give a file of vectors.")
    try:
        package = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        raise MissingDependencyError(
            f"{name}: no such file, and no such package is installed. If it is one: pip install {name}"
        ) from None
    paths = [Path(str(package.locate_file(each))) for each in package.files or ()]
    matrices = [path for path in paths if path.suffix == ".npy"]
    folders = {path.parent for path in matrices}
    indices = [path for path in paths if path.suffix in (".parquet", ".txt") and path.parent in folders]
    if len(matrices) != 1 or len(indices) != 1:
        raise DataError(
            f"{name}: this package has no vectors; they are one .npy file, with the words in one .parquet or .txt file "
            f"beside it. It has: {', '.join(path.name for path in [*matrices, *indices]) or 'none'}."
        )
    license = (package.metadata.get_all("License-Expression") or [UNKNOWN])[0]
    return VectorFiles(name, matrices[0], indices[0], license)


def read_vectors(files: VectorFiles, column: str, seen: Collection[str | None]) -> tuple[Vectors, list[str]]:
    """Read the vectors of words that training saw in a column, and of the most frequent other ones; and what to say."""
    words = [word for word in seen if word is not None]
    wanted = {*words, *map(str.lower, words)}
    if files.words is None:
        found, notices = _of_text(files.path, wanted)
    else:
        found, notices = _of_package(files.path, files.words, wanted), []
    vectors = Vectors(column, tuple(found), np.stack(list(found.values())), files.name, files.license)
    known = sum(vectors._row(word) >= 0 for word in words)
    small = known - sum(word in found for word in words)
    if not known:
        raise DataError(
            f"{files.name}: none of the {len(words):,} values of {column!r} in the train part, such as "
            f"{', '.join(map(repr, words[:3]))}, has a vector there. Are these words, and of this language?"
        )
    notices.append(
        f"Vectors of words: {known:,} of the {len(words):,} values of {column!r} in the train part have one, {small:,} "
        f"of them only in small letters. Kept: {vectors.summary}."
    )
    return vectors, notices


def _of_text(path: Path, wanted: Collection[str]) -> tuple[dict[str, Matrix], list[str]]:
    """The vectors by word, out of lines `word number number ...`, of which the first may be `words numbers`."""
    found: dict[str, Matrix] = {}
    wrong: list[tuple[int, str]] = []
    twice: list[int] = []
    number, line = 0, b"\n"
    with readable(path), decompressed(path) as file:
        first = file.readline().removeprefix(b"\xef\xbb\xbf")
        header = HEADER.fullmatch(first)
        told, size = map(int, header.groups()) if header else (0, 1)
        head = [*islice(file, LOOKED_AT)] if header else [first, *islice(file, LOOKED_AT)]
        usual = max(1, mode([len(line.split()) - 1 for line in head if line.strip()] or [size]))
        if header and usual != size:
            raise DataError(f"{path}: line 1 says that vectors have {counted(size, 'number')}; they have {usual} here.")
        size = usual
        lines = enumerate(chain(head, file), 2 if header else 1)
        for number, line in lines:
            fields = line.split()
            if not fields:
                continue
            if len(fields) != size + 1:
                wrong.append((number, f"has {counted(len(fields) - 1, 'number')}, not {size}"))
                continue
            word = fields[0].decode("utf-8", "replace")
            if number - bool(header) > FIRST and word not in wanted:
                continue
            if word in found:
                twice.append(number)
            elif (vector := _vector(fields[1:])) is None:
                wrong.append((number, "holds what is no finite number of half precision"))
            else:
                found[word] = vector
    notices = []
    if wrong:
        at = f"{path}, line {wrong[0][0]} {wrong[0][1]}. Such lines: {len(wrong):,} of {number:,}"
        if len(wrong) > max(1, MOST_WRONG * number) or not found:
            raise DataError(f"{at}. Each must hold a word and its numbers, with spaces between them.")
        notices.append(f"{at}; they are left out.")
    if not found:
        raise DataError(f"{path}: this file holds no vectors. Each line must hold a word and its numbers.")
    if number <= told:
        notices.append(f"{path}: line 1 says {counted(told, 'word')}, but {number - 1:,} follow. Is it cut short?")
    if not line.endswith(b"\n") and number not in (at for at, _ in wrong):
        notices.append(
            f"{path}, line {number}: the last line has no line end. If it is cut short, so is its last number."
        )
    if twice:
        notices.append(f"{path}, line {twice[0]}: this word stood above. Such lines: {len(twice):,}; the first counts.")
    return found, notices


def _vector(fields: list[bytes]) -> Matrix | None:
    """The numbers; None if they are none, or not finite in half precision."""
    try:
        with np.errstate(over="ignore"):
            vector = np.array(list(map(float, fields)), np.float16)
    except ValueError:
        return None
    return vector if np.isfinite(vector).all() else None


def _of_package(matrix_path: Path, words_path: Path, wanted: Collection[str]) -> dict[str, Matrix]:
    """The same out of a matrix and its words."""
    try:
        matrix = np.load(matrix_path, mmap_mode="r", allow_pickle=False)
        if words_path.suffix == ".parquet":
            words = pl.read_parquet(words_path).select(pl.selectors.string()).to_series().to_list()
        else:
            words = words_path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError, IndexError, *BROKEN) as error:
        raise DataError(f"{matrix_path} and {words_path.name} cannot be read ({error}).") from None
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or len(matrix) != len(words):
        raise DataError(
            f"{matrix_path}: this is {matrix.dtype} {matrix.shape}; it must be numbers, with a row for each of the "
            f"{len(words):,} words of {words_path.name}."
        )
    rows: dict[str, int] = {}
    for row, word in enumerate(words):
        if word is not None and "\n" not in word and (row < FIRST or word in wanted):
            rows.setdefault(word, row)
    with np.errstate(over="ignore"):
        kept = matrix[list(rows.values())].astype(np.float16)
    if not rows or not np.isfinite(kept).all():
        raise DataError(f"{matrix_path}: these are no vectors of words, or they hold what is no finite number.")
    return dict(zip(rows, kept, strict=True))
