"""Entities are counted as two other libraries count them, and as conlleval prints them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.metrics import check_tags, count, evaluate, monitored, score
from bothways.metrics.counts import count_entities
from bothways.sequences import Numbers, Sequences
from bothways.tags import scheme_of

TYPES = ("group", "person", "place")
BIO = ("O", *(f"{letter}-{kind}" for kind in TYPES for letter in "BI"))
BIOES = ("O", *(f"{letter}-{kind}" for kind in TYPES for letter in "BIES"))
TAGGINGS = 4000


def made(labels: Any, lengths: Any, classes: Sequence[str] = BIO, **more: Any) -> Sequences:
    codes, lengths = np.asarray(labels, np.int64), np.asarray(lengths, np.int64)
    return Sequences(np.zeros((len(codes), 0)), lengths, codes, scheme=scheme_of(classes), **more)


def random_taggings(count: int = TAGGINGS) -> tuple[Sequences, Numbers]:
    """Tags of any kind, malformed ones most of them, and others that agree with them in places."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 12, count)
    # From sentence to sentence tags are rarer, and mistakes more frequent.
    rare, wrong = (np.repeat(generator.random(count), lengths) for _ in range(2))
    expected, other = (
        np.where(generator.random(len(rare)) < rare, 0, generator.integers(0, len(BIO), len(rare))) for _ in range(2)
    )
    return made(expected, lengths), np.where(generator.random(len(wrong)) < wrong, other, expected)


def words(sequences: Sequences, codes: Numbers, classes: Sequence[str] = BIO) -> list[list[str]]:
    return [[classes[code] for code in each] for each in sequences.split(codes)]


def test_counts_are_those_of_nervaluate() -> None:
    nervaluate = pytest.importorskip("nervaluate")
    sequences, predicted = random_taggings()
    pairs = zip(words(sequences, sequences.known_labels), words(sequences, predicted), strict=True)
    ours = np.stack(count_entities(sequences, predicted), axis=1)
    for each, (theirs, said) in zip(ours.sum(axis=2), pairs, strict=True):
        strict = nervaluate.Evaluator([theirs], [said], tags=TYPES, loader="list").evaluate()["overall"]["strict"]
        assert each.tolist() == [strict.correct, strict.actual, strict.possible], (theirs, said)


def test_counts_are_those_of_seqscore() -> None:
    pytest.importorskip("seqscore")
    from seqscore.encoding import get_encoding
    from seqscore.scoring import ClassificationScore, score_sequence_mentions

    sequences, predicted = random_taggings()
    encoding = get_encoding("BIO")
    pairs = zip(words(sequences, sequences.known_labels), words(sequences, predicted), strict=True)
    ours = np.stack(count_entities(sequences, predicted), axis=1)
    for each, (theirs, said) in zip(ours, pairs, strict=True):
        found = ClassificationScore()
        mentions = [encoding.decode_labels(encoding.repair_labels(tags, "conlleval")) for tags in (said, theirs)]
        score_sequence_mentions(*mentions, found)
        for kind, (right, called, support) in zip(TYPES, each.T.tolist(), strict=True):
            of = found.type_scores[kind]
            assert (right, called, support) == (of.true_pos, of.total_pos, of.total_ref), (kind, theirs, said)


@given(st.data())
def test_bioes_counts_are_those_of_seqscore(data: st.DataObject) -> None:
    pytest.importorskip("seqscore")
    from seqscore.encoding import get_encoding

    encoding, tags = get_encoding("BIOES"), []
    kinds = st.lists(st.tuples(st.sampled_from(("O", *TYPES)), st.integers(1, 3)), min_size=1, max_size=5)
    for chunks in data.draw(st.tuples(kinds, kinds)):
        written: list[str] = []
        for kind, size in chunks:
            letters = "S" if size == 1 else f"B{'I' * (size - 2)}E"
            written += ["O"] * size if kind == "O" else [f"{letter}-{kind}" for letter in letters]
        tags.append(written)
    steps = max(map(len, tags))
    expected, predicted = (each + ["O"] * (steps - len(each)) for each in tags)
    theirs, said = (set(encoding.decode_labels(each)) for each in (expected, predicted))
    codes = [[BIOES.index(tag) for tag in each] for each in (expected, predicted)]
    found = count_entities(made(codes[0], [steps], BIOES), np.array(codes[1]))
    counts = [int(each.sum()) for each in found]
    assert counts == [len(theirs & said), len(said), len(theirs)]


def test_scores_of_known_entities() -> None:
    """Two sentences: a person found, a place cut short, a group missed; and a person where there is none."""
    expected = ["B-person", "I-person", "O", "B-place", "I-place", "O", "B-group"]
    predicted = ["B-person", "I-person", "O", "B-place", "O", "I-person", "O"]
    codes = [BIO.index(tag) for tag in (*expected, *predicted)]
    sequences = made(codes[:7], [5, 2])
    evaluation = evaluate(sequences, np.eye(len(BIO))[codes[7:]], BIO, baselines={"majority": np.zeros(7, int)})
    assert evaluation.entities is not None
    assert list(evaluation.entities) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 3, 3])
    assert list(evaluation.entity_types["person"]) == pytest.approx([0.5, 1.0, 2 / 3, 1, 2])
    assert evaluation.entity_types["group"] == (0.0, 0.0, 0.0, 1, 0)
    assert evaluation.decisive == "entity_f1"
    assert evaluation.baselines["majority"].entity_f1 == 0.0
    assert evaluation.intervals["entity_f1"].value == evaluation.entity_f1
    assert evaluation.baselines["majority"].ahead["entity_f1"].value == evaluation.entity_f1
    shape = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert shape["entities"]["types"]["person"]["recall"] == 1.0
    assert shape["intervals"]["entity_f1:person"]["value"] == pytest.approx(2 / 3)
    assert shape["intervals"]["entity_precision:person"]["value"] == 0.5
    assert shape["intervals"]["entity_recall:person"]["value"] == 1.0
    assert shape["baselines"]["majority"]["entity_f1"] == 0.0


def test_one_count_serves_every_score() -> None:
    sequences, predicted = random_taggings(200)
    counts = count(sequences, predicted, len(BIO))
    whole = count(sequences, predicted, len(BIO), whole=True)
    assert counts.entities is not None
    entity_f1 = score("entity_f1", range(len(BIO)))
    right, called, support = (int(each.sum()) for each in counts.entities)
    assert entity_f1.of(counts) == entity_f1.of(whole) == pytest.approx(2 * right / (called + support))
    evaluation = evaluate(sequences, np.eye(len(BIO))[predicted], BIO)
    assert evaluation.entity_f1 == pytest.approx(entity_f1.of(counts))
    low, high = evaluation.intervals["entity_f1"][1:]
    assert low < entity_f1.of(counts) < high


def test_intervals_are_over_sentences() -> None:
    """Sentences whose four entities are all right or all wrong tell as little as sentences of one."""
    tags = np.tile([1, 0], 4)
    right = np.arange(100) % 2
    many, one = (
        evaluate(
            made(np.tile(tags[: 2 * size], 100), np.full(100, 2 * size)),
            np.eye(len(BIO))[np.concatenate([tags[: 2 * size] * each for each in right])],
            BIO,
        )
        for size in (4, 1)
    )
    assert many.intervals["entity_recall"] == one.intervals["entity_recall"]


def test_words_that_training_saw_and_others() -> None:
    expected = [1, 2, 0, 3, 0, 3, 5, 6]
    predicted = [1, 2, 0, 0, 0, 3, 5, 5]
    unseen = np.array([False, True, False, True, False, False, False, False])
    codes, lengths = np.tile(expected, 5), np.full(5, 8)
    evaluation = evaluate(
        made(codes, lengths), np.eye(len(BIO))[np.tile(predicted, 5)], BIO, unseen_words=np.tile(unseen, 5)
    )
    seen, other = evaluation.words["seen"], evaluation.words["unseen"]
    assert (seen.steps, seen.accuracy, other.steps, other.accuracy) == (30, 5 / 6, 10, 0.5)
    assert seen.entities is not None
    assert other.entities is not None
    assert (seen.entities.recall, seen.entities.support, seen.entities.predicted) == (0.5, 10, 15)
    assert (other.entities.precision, other.entities.recall) == (1.0, 0.5)
    assert evaluation.intervals["entity_f1 of unseen words"].value == other.entities.f1
    shape = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert shape["words"]["unseen"]["entities"]["recall"] == 0.5
    outside = np.tile(predicted, 5) == BIO.index("O")
    outside &= codes == BIO.index("O")
    empty = evaluate(made(codes, lengths), np.eye(len(BIO))[np.tile(predicted, 5)], BIO, unseen_words=outside)
    assert empty.words["unseen"].entities is None  # there is none, so no score of 0
    assert "entity_f1 of unseen words" not in empty.intervals
    nothing = evaluate(made(codes, lengths), np.eye(len(BIO))[codes], BIO, unseen_words=np.zeros(40, bool))
    assert nothing.words == {}


def test_samples_without_unseen_words_do_not_count() -> None:
    codes, unseen = np.tile([1, 2, 0], 4), np.arange(12) < 2
    evaluation = evaluate(made(codes, np.full(4, 3)), np.eye(len(BIO))[codes], BIO, unseen_words=unseen)
    for name in ("accuracy", "entity_f1"):
        assert evaluation.intervals[f"{name} of unseen words"] == (1, 1, 1)


def test_words_of_other_labels_have_an_accuracy() -> None:
    sequences = Sequences(np.zeros((4, 0)), np.array([2, 2]), np.array([0, 1, 1, 0]))
    unseen = np.array([True, False, True, False])
    evaluation = evaluate(sequences, np.eye(2)[[0, 1, 0, 0]], ["NOUN", "VERB"], unseen_words=unseen)
    assert evaluation.words["unseen"] == (2, 0.5, None)
    assert evaluation.entities is None
    assert evaluation.decisive == "macro_f1"


def test_steps_that_do_not_count_end_entities() -> None:
    labels, predicted = np.array([1, -1, 2, 1, 2]), np.array([1, 2, 2, 1, 2])
    assert [int(each.sum()) for each in count_entities(made(labels, [5]), predicted)] == [3, 3, 3]
    weights = np.array([0.5, 1, 1, 2, 0], np.float32)
    right, called, support = count_entities(made(labels, [5], weights=weights), predicted)
    assert (right.sum(), called.sum(), support.sum()) == (3.5, 3.5, 3.5)


def test_auto_takes_the_entity_f1_of_tags() -> None:
    assert monitored("auto", [5, 3, 2], tags=True) == ("entity_f1", 2)
    assert monitored("loss", [5, 3, 2], tags=True) == ("loss", 2)
    with pytest.raises(InputError, match="entity_f1 is for labels per step that are tags"):
        check_tags("entity_f1", Sequences(np.zeros((1, 0)), np.array([1]), np.array([0])))
