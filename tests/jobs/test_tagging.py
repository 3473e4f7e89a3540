"""Tables of words with tags: what is trained by, said, printed and written of entities."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import SequenceLabeler, jobs, load
from bothways.cli import main
from bothways.data import choose_columns
from bothways.errors import DataError, InputError
from bothways.network import Network
from bothways.runtime import Member, Model
from bothways.sequences import Sequences
from bothways.tables import read_table
from bothways.tags import scheme_of
from bothways.training.validation import Validation

NAMES = [f"Name{letter}{i}" for letter in "abcdef" for i in range(12)]
OTHERS = [f"word{letter}" for letter in "abcdefghij"]


def sentences(count: int = 150) -> pl.DataFrame:
    """Names of one to three words among others; the last sentences have names that stand in no other."""
    generator, rows = np.random.default_rng(0), []
    for number in range(count):
        part = ("train", "train", "train", "valid", "test")[number * 5 // count]
        known = NAMES[:60] if part == "train" else NAMES
        for _ in range(generator.integers(1, 4)):
            size = generator.integers(1, 4)
            words = [("O", str(word)) for word in generator.choice(OTHERS, generator.integers(1, 4))]
            words += [("BII"[i] + "-name", str(word)) for i, word in enumerate(generator.choice(known, size))]
            rows += [(number, word, tag, part) for tag, word in words]
    return pl.DataFrame(rows, ["sentence", "word", "tag", "split"], orient="row")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds words.csv, and words.bothways trained on them."""
    path = tmp_path_factory.mktemp("words")
    sentences().write_csv(path / "words.csv")
    with pytest.raises(SystemExit) as end:
        main(["train", str(path / "words.csv"), "--budget", "0", "--epochs", "4", "-o", str(path / "words.bothways")])
    assert not end.value.code
    return path


def test_training_goes_by_the_entity_f1(folder: Path) -> None:
    model = load(folder / "words.bothways")
    assert model.columns is not None
    assert model.columns.words == "word"
    best = [epoch for epoch in model.facts["history"] if epoch["best"]][-1]
    valid = jobs.evaluate(folder / "words.bothways", folder / "words.csv", "valid", say=lambda message: None)
    assert best["valid_metric"] == pytest.approx(valid.entity_f1)


def conll(frame: pl.DataFrame, between: str = "\t") -> str:
    """Sentences as lines of a word, something else if `between` holds it, and a tag."""
    groups = frame.group_by("sentence", maintain_order=True).agg("word", "tag")
    blocks = [zip(*each, strict=True) for each in groups.select("word", "tag").iter_rows()]
    return "\n\n".join("\n".join(between.join(pair) for pair in block) for block in blocks) + "\n"


@pytest.mark.slow
def test_files_of_other_kinds_are_evaluated_alike(folder: Path, tmp_path: Path) -> None:
    frame = sentences(40)
    learned, model = tmp_path / "some.conll", tmp_path / "some.bothways"
    learned.write_text(conll(frame))
    jobs.train(learned, model, settings={"epochs": 2, "head": "softmax"}, say=lambda message: None)
    scores = jobs.evaluate(model, learned, "all", say=lambda message: None)
    (tmp_path / "four.conll").write_text(conll(frame, "\tX\tY\t"))
    lists = frame.group_by("sentence", maintain_order=True).agg(words="word", ner_tags="tag").drop("sentence")
    lists.write_ndjson(tmp_path / "lists.jsonl")
    for name, own in (("four.conll", "4"), ("lists.jsonl", "ner_tags")):
        said: list[str] = []
        found = jobs.evaluate(model, tmp_path / name, "all", say=said.append)
        assert (found.entity_f1, found.accuracy) == (scores.entity_f1, scores.accuracy)
        assert any(f"the label 'tag' is read from column {own!r}" in each for each in said)


def test_letters_that_are_no_tags_stay_labels(tmp_path: Path) -> None:
    """Residues of proteins that are buried or exposed; and models of before this was asked of the labels."""
    generator = np.random.default_rng(0)
    residues = generator.choice(list("AVIDEKGHS"), 400)
    labels = ["B" if each in "AVI" else "E" if each in "DEK" else "I" for each in residues]
    frame = pl.DataFrame({"protein": np.arange(400) // 20, "residue": residues, "label": labels})
    frame.write_csv(tmp_path / "some.csv")
    found = jobs.train(
        tmp_path / "some.csv",
        tmp_path / "some.bothways",
        settings={"epochs": 30, "learning_rate": 0.05},
        allow_leaks=True,
        say=lambda message: None,
    )
    assert (found.evaluation.accuracy, found.evaluation.entities) == (1.0, None)
    model = load(tmp_path / "some.bothways")
    assert model.scheme is None
    again = jobs.evaluate(tmp_path / "some.bothways", tmp_path / "some.csv", say=lambda message: None)
    assert (again.accuracy, again.entities) == (1.0, None)
    old = replace(model, facts={name: fact for name, fact in model.facts.items() if name != "scheme"})
    assert old.scheme is not None


def test_labels_in_a_column_of_another_name(folder: Path, tmp_path: Path) -> None:
    model, frame = folder / "words.bothways", sentences()
    scores = jobs.evaluate(model, folder / "words.csv", "all", say=lambda message: None)
    frame.rename({"tag": "own"}).with_columns(tag=pl.lit("O")).write_csv(tmp_path / "some.csv")
    lists = frame.group_by("sentence", maintain_order=True).agg("word", a_tags="tag", b_tags="tag")
    lists.rename({"word": "words"}).write_ndjson(tmp_path / "some.jsonl")
    with pytest.raises(DataError, match=r"'a_tags' or 'b_tags'\. Say it with label="):
        jobs.evaluate(model, tmp_path / "some.jsonl", "all")
    for name, label in (("some.csv", "own"), ("some.jsonl", "b_tags")):
        found = jobs.evaluate(model, tmp_path / name, "all", label=label, say=lambda message: None)
        assert found.accuracy == scores.accuracy
    with pytest.raises(DataError, match=r"there is no column 'owns'\. Did you mean 'own'"):
        jobs.evaluate(model, tmp_path / "some.csv", "all", label="owns")


def test_words_that_are_not_asked_for_are_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "three.conll"
    path.write_text(conll(sentences(20), "\tX\t"))
    columns = choose_columns(read_table(path), features=["2"])
    assert columns.features == ("2",)
    assert [guess.role for guess in columns.guesses if guess.name == "word"] == ["left out"]


def test_words_as_lists_are_told_how_to_come() -> None:
    words, tags = [["play", "jazz"], ["stop"]], [["O", "B-genre"], ["O"]]
    for X in (words, words[:1]):
        with pytest.raises(InputError, match=r"X holds text\. Give a data frame with a row per word"):
            SequenceLabeler().fit(X, tags)


def test_what_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", str(folder / "words.bothways"), str(folder / "words.csv")]
    with pytest.raises(SystemExit):
        main(arguments)
    out = capsys.readouterr().out
    for said in ("entities", "name ", "all ", "expected", "seen", "unseen", "entity F1", "Its entity F1 is"):
        assert said in out
    assert max(map(len, out.splitlines())) <= 80
    with pytest.raises(SystemExit):
        main([*arguments, "--json"])
    shape: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shape["entities"]["f1"] == shape["entities"]["types"]["name"]["f1"]
    assert shape["intervals"]["entity_f1"]["low"] <= shape["entities"]["f1"] <= shape["intervals"]["entity_f1"]["high"]
    frame = sentences()
    known = frame.filter(pl.col("split") == "train")["word"].implode()
    unseen = frame.filter(pl.col("split") == "test", ~pl.col("word").is_in(known)).height
    assert shape["words"]["unseen"]["steps"] == unseen > 0


def test_the_estimator_goes_by_it_too() -> None:
    frame = sentences(40)
    groups = frame.group_by("sentence", maintain_order=True).agg("word", "tag")
    codes = {word: i for i, word in enumerate(frame["word"].unique().sort())}
    X = [np.array([[codes[word]] for word in words]) for words in groups["word"]]
    y = groups["tag"].to_list()
    other = [["B-odd", *tags[1:]] for tags in y[:9]]  # which training does not have
    with pytest.warns(UserWarning, match="values that training never saw"):
        labeler = SequenceLabeler(categorical=[0], epochs=9).fit(X[9:], y[9:], validation_data=(X[:9], other))
    assert {report.metric for report in labeler.history_} == {"entity F1"}
    best = [report.valid_metric for report in labeler.history_ if report.best][-1]
    with pytest.warns(UserWarning, match="values that training never saw"):
        predicted = [tags.tolist() for tags in labeler.predict(X[:9])]
    nervaluate = pytest.importorskip("nervaluate")
    found = nervaluate.Evaluator(other, predicted, tags=["name", "odd"], loader="list").evaluate()["overall"]["strict"]
    assert found.f1 > 0.5
    assert best == pytest.approx(found.f1)


def test_validation_decides_as_a_model_does() -> None:
    """A network whose weights are all 0 but for a bias towards I, which may not stand first."""
    network = Network(features=1, classes=3, units=2)
    weights = {name: np.zeros(shape, np.float32) for name, shape in network.weight_shapes().items()}
    weights["input/scale"][:] = 1
    weights["head/bias"][:] = np.log([0.3, 0.6, 0.1])
    labels, lengths = np.array([0, 1, 1, 3, 4]), np.array([3, 2])  # the last two are of a type that training lacks
    scheme = scheme_of(("B-x", "I-x", "O"), unseen=("B-y", "I-y"))
    sequences = Sequences(np.zeros((5, 1)), lengths, labels, scheme=scheme)
    assert Validation(network, weights, sequences, "entity_f1", 0)(weights)[0] == 0.5
    model = Model([Member(network, weights)], ("B-x", "I-x", "O"))
    assert [tags.tolist() for tags in model.predict(sequences.arrays())] == [["B-x", "I-x", "I-x"], ["B-x", "I-x"]]


def test_words_that_training_never_saw_are_known_by_their_spelling(folder: Path) -> None:
    evaluation = jobs.evaluate(folder / "words.bothways", folder / "words.csv", say=lambda message: None)
    assert evaluation.words["unseen"].steps > 10
    assert evaluation.words["unseen"].accuracy > 0.9


@pytest.mark.slow
def test_a_sentence_of_20000_words_with_a_crf(folder: Path, tmp_path: Path) -> None:
    model = load(folder / "words.bothways")
    first = model.members[0]
    assert isinstance(first, Member)
    weights = {**first.weights, "head/transitions": np.zeros((len(model.classes),) * 2, np.float32)}
    replace(model, members=[Member(replace(first.network, head="crf"), weights)]).save(tmp_path / "crf.bothways")
    words = sentences()["word"].extend_constant("new", 1).gather(np.arange(20_000) % 500)
    (tmp_path / "long.conll").write_text("\n".join(words) + "\n")
    jobs.predict(tmp_path / "crf.bothways", tmp_path / "long.conll", tmp_path / "out.conll", say=lambda message: None)
    lines = [line.split("\t") for line in (tmp_path / "out.conll").read_text().splitlines()]
    assert [line[0] for line in lines if line[0]] == words.to_list()
    assert "I-name" in {line[1] for line in lines if line[0]}
