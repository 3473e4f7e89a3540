"""Models with pretrained vectors of words: what they are good for, what their files hold, and damage to it."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

from bothways import SequenceLabeler, compare, jobs, load
from bothways.cli import main
from bothways.data import Columns
from bothways.data.vectors import Vectors
from bothways.errors import InputError, MissingDependencyError, ModelFileError
from bothways.jobs.models import load_with_columns
from bothways.serve.models import Served

Arrays = dict[str, Any]


def silent(message: str) -> None:
    pass


def words() -> tuple[pl.DataFrame, str]:
    """Sentences of words that are nearly all different and say nothing of their tags, and vectors that say all."""
    generator = np.random.default_rng(0)
    known = ["".join(row) for row in generator.choice(list("abcdefghijklmnop"), (600, 6))]
    kinds = generator.integers(0, 2, 600)
    lines = [
        f"{word} {2 * kind - 1 + generator.normal(0, 0.3):.4f} 0.5" for word, kind in zip(known, kinds, strict=True)
    ]
    frame = pl.DataFrame(
        {
            "sentence": np.arange(600) // 6,
            "word": [word.title() if i % 3 else word for i, word in enumerate(known)],
            "tag": np.where(kinds, "thing", "deed"),
            "split": np.repeat(["train", "valid", "test"], (360, 60, 180)),
        }
    )
    often = pl.concat([frame[:360]] * 2).with_columns(sentence=pl.int_range(1000, 1720) // 6)
    return pl.concat([frame[360:], often]), "\n".join(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds words.csv, and words.bothways trained on them with vectors whose file is gone."""
    path = tmp_path_factory.mktemp("words")
    frame, lines = words()
    frame.write_csv(path / "words.csv")
    (path / "vectors.txt").write_text(lines)
    options = ["--vectors", str(path / "vectors.txt"), "--budget", "0", "--epochs", "4"]
    with pytest.raises(SystemExit) as end:
        main(["train", str(path / "words.csv"), *options, "-o", str(path / "words.bothways")])
    assert not end.value.code
    (path / "vectors.txt").unlink()
    return path


def test_words_that_training_never_saw_are_known_by_their_vectors(folder: Path) -> None:
    evaluation = jobs.evaluate(folder / "words.bothways", folder / "words.csv", say=silent)
    assert evaluation.accuracy > 0.95
    model = load(folder / "words.bothways")
    assert model.summary["vectors"] == f"{folder / 'vectors.txt'}: 600 words, 2 numbers each, license not known"


def test_vectors_enter_standardised_unless_told_otherwise(tmp_path: Path) -> None:
    """In bins, with changes and distances from a mean, one training would learn nothing of them."""
    frame, lines = words()
    (tmp_path / "vectors.txt").write_text(lines)
    given: dict[str, Any] = {"vectors": str(tmp_path / "vectors.txt"), "sequence": "sentence"}
    frame.write_csv(tmp_path / "words.csv")

    def entering(**settings: Any) -> tuple[str, str, int]:
        model = tmp_path / "m.bothways"
        jobs.train(tmp_path / "words.csv", model, settings={"epochs": 1, **settings}, say=silent, **given)
        network = load(model).network
        return network.encoding, network.levels, network.changes

    assert entering() == ("standard", "raw", 0)
    assert entering(encoding="piecewise", changes=1) == ("piecewise", "raw", 1)
    with warnings.catch_warnings(action="ignore"):
        labeler = SequenceLabeler(**given, epochs=1).fit(frame.drop("tag", "split"), frame["tag"])
    assert labeler.model_.network.encoding == "standard"


def test_settings_are_compared_with_vectors_that_enter_as_they_are(tmp_path: Path) -> None:
    frame, lines = words()
    (tmp_path / "vectors.txt").write_text(lines)
    frame.write_csv(tmp_path / "words.csv")
    table = {"vectors": str(tmp_path / "vectors.txt"), "sequence": "sentence"}
    runs = tmp_path / "runs.parquet"
    compare(tmp_path / "words.csv", {"changes": [0, 1]}, seeds=1, settings={"epochs": 1}, table=table, output=runs)
    found = pl.read_parquet(runs).select("encoding", "levels", "changes").rows()
    assert sorted(found) == [("standard", "raw", 0), ("standard", "raw", 1)]


def test_commands_streams_servers_and_frames_agree(folder: Path) -> None:
    frame = pl.read_csv(folder / "words.csv").filter(split="test").drop("tag", "split")
    frame.write_csv(folder / "new.csv")
    jobs.predict(folder / "words.bothways", folder / "new.csv", folder / "labeled.csv", say=silent)
    expected = pl.read_csv(folder / "labeled.csv")["predicted"].to_list()
    model = load(folder / "words.bothways")
    with pytest.warns(UserWarning, match="never saw"):
        assert model.predict(frame).tolist() == expected
    stream = model.stream(lookahead=10)
    rows = frame.with_row_index("at").to_dicts()
    found = stream.push_many([row["sentence"] for row in rows], [row["at"] for row in rows], rows)
    found += stream.flush()
    assert [each.label for each in sorted(found, key=lambda each: each.step)] == expected
    served = Served.load(folder / "words.bothways")
    assert list(served.columns) == ["word"]


def test_a_file_keeps_what_training_read(folder: Path, tmp_path: Path) -> None:
    model, columns = load_with_columns(folder / "words.bothways")
    labeler = SequenceLabeler.load(folder / "words.bothways")
    assert labeler.vectors == str(folder / "vectors.txt")
    labeler.save(tmp_path / "again.bothways")
    assert (tmp_path / "again.bothways").read_bytes() == (folder / "words.bothways").read_bytes()
    assert columns.vectors is not None
    assert columns.vectors.matrix.dtype == np.float16
    with pytest.raises(ModelFileError):  # the description alone is not enough
        Columns.from_json(model.columns.to_json() if model.columns else {})


@pytest.mark.filterwarnings("ignore:.*many of its values come once")
def test_data_frames(tmp_path: Path) -> None:
    frame, lines = words()
    (tmp_path / "vectors.vec").write_text(lines + "\n")
    X, y = frame.drop("tag", "split")[300:], frame["tag"][300:]
    labeler = SequenceLabeler(sequence="sentence", vectors=str(tmp_path / "vectors.vec"), epochs=4)
    with (
        pytest.warns(UserWarning, match="Vectors of words: 360 of the 360 values"),
        pytest.warns(UserWarning, match="their spelling is read, too"),
    ):
        labeler.fit(X, y)
    labeler.save(tmp_path / "some.bothways")
    with pytest.warns(UserWarning, match="never saw"):
        p = labeler.predict_proba(frame[:180])
    with pytest.warns(UserWarning, match="never saw"):
        assert np.array_equal(load(tmp_path / "some.bothways").predict_proba(frame[:180]), p)
    with pytest.raises(InputError, match="is for a data frame, but X holds arrays"):
        labeler.fit(np.zeros((8, 2, 1)), np.arange(16).reshape(8, 2) % 2)


def test_a_package_that_is_not_installed_ends_before_the_table_is_read(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="pip install no-such-vectors"):
        jobs.train(tmp_path / "none.csv", tmp_path / "m.bothways", vectors="no-such-vectors", say=silent)


def no_matrix(arrays: Arrays) -> Arrays:
    return {"words": arrays["words"]}


def changed(**changes: Callable[[Any], Any]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: change(arrays[name]) for name, change in changes.items()}


def not_finite(matrix: Any) -> Any:
    return np.where(np.arange(len(matrix))[:, None] == 3, np.float16(np.inf), matrix)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {},
        no_matrix,
        changed(matrix=lambda matrix: matrix.astype(np.float32)),
        changed(matrix=lambda matrix: matrix[:-1].copy()),
        changed(matrix=lambda matrix: matrix[:, 0].copy()),
        changed(matrix=lambda matrix: matrix[:, :0].copy()),
        changed(matrix=lambda matrix: matrix[:, :1].copy()),
        changed(matrix=not_finite),
        changed(words=lambda words: words[:-8]),
        changed(words=lambda words: np.full_like(words, 10)),
        changed(words=lambda words: np.full_like(words, 255)),
    ],
)
def test_damaged_vectors(folder: Path, tmp_path: Path, change: Callable[[Arrays], Arrays]) -> None:
    with zipfile.ZipFile(folder / "words.bothways") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    arrays = change(safetensors.numpy.load(parts["vectors.safetensors"]))
    parts["vectors.safetensors"] = safetensors.numpy.save(arrays)
    with zipfile.ZipFile(tmp_path / "damaged.bothways", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ModelFileError, match=r"damaged\.bothways: the model in it cannot be used"):
        load(tmp_path / "damaged.bothways")


@pytest.mark.parametrize("wrong", [{"column": "tag"}, {"source": 7}, {}])
def test_descriptions_of_vectors_that_fit_nothing(folder: Path, wrong: dict[str, Any]) -> None:
    columns = load_with_columns(folder / "words.bothways")[1]
    assert isinstance(columns.vectors, Vectors)
    data = columns.to_json()
    data["encoding"]["vectors"] = data["encoding"]["vectors"] | wrong if wrong else None
    with pytest.raises(ModelFileError):
        Columns.from_json(data, columns.vectors.arrays())
