"""How good and how fast the labels of words are, beside python-crfsuite with plain spelling features.

    python benchmarks/words.py FOLDER [--seeds 5] [--tables ewt_pos,wnut17] [--rehearse] [--budget 60s] [--json FILE]
                               [--vectors FILE|PACKAGE]
    python benchmarks/words.py FOLDER --speed [--quick]

FOLDER holds `ewt_pos`, `snips_slots` and `wnut17` in Parquet, as in `accuracy.py`, which says what is done for each
table and seed, and what --rehearse is. python-crfsuite learns from the same parts: the word, in small letters, too, its
first and last one to four letters, its shape, and of two words to either side small letters, last three letters and
short shape; L1 and L2 of .1. Pairs of words, tried on the valid part of `wnut17`, were no better.

With --speed nothing is scored, but timed on `ewt_pos`: training of one network, by us, by stock layers of Keras on JAX
and by torch (`labeling.py` says how; a vector of 110 numbers per word, 10 for the word and for each of ten views of
its spelling; a bidirectional LSTM of 100 units; a CRF); then `bothways predict` from one CoNLL file to another, by one
network with spelling and CRF.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import accuracy
import labeling
import numpy as np
import polars as pl
import predict

from bothways import interrupts, jobs
from bothways.bench import rounds
from bothways.data import read_and_split
from bothways.runtime import Model
from bothways.sequences import Sequences

MARKS = {
    "ewt_pos": "BiLSTM-CNN-CRF .951 (a thesis of 2018), UDPipe 1 .944 to .945",
    "snips_slots": "none on this file",
    "wnut17": "the best of 2017, with vectors, .42",
}
"""What others have published."""

BESIDE = 2
"""So many words to either side are seen by python-crfsuite."""

REGULAR = {"c1": 0.1, "c2": 0.1, "max_iterations": 100}
"""L1 and L2 of python-crfsuite, and the steps of its optimizer."""

TRAINING = {"embedding": 10, "units": 100, "head": "crf", "batch": 32, "epochs": 3, "per": "step"}
LABELING = {"units": 64, "head": "crf", "epochs": 1}
WORDS = 2_000_000
TARGET = 200_000
"""Words per second that are wanted."""


def features(words: list[str]) -> list[list[str]]:
    """The features of python-crfsuite for the words of a sentence."""
    edge = [["edge"]] * BESIDE
    seen = [*edge, *(list(_seen(word)) for word in words), *edge]
    return [
        ["bias", *_spelling(word)]
        + [f"{by:+} {each}" for by in range(-BESIDE, BESIDE + 1) if by for each in seen[place + BESIDE + by]]
        for place, word in enumerate(words)
    ]


def _spelling(word: str) -> Iterator[str]:
    """Of the word itself."""
    small, shape = word.lower(), _shape(word)
    yield from (f"word {word}", f"shape {shape}", *_seen(word))
    for size in range(1, min(4, len(small)) + 1):
        yield from (f"begins {small[:size]}", f"ends {small[-size:]}")
    yield from (name for name, has in {"a digit": "d" in shape, "hyphen": "-" in word}.items() if has)


def _seen(word: str) -> Iterator[str]:
    """Of the words beside it, too."""
    small, short = word.lower(), re.sub(r"(.)\1+", r"\1", _shape(word))
    yield from (f"small {small}", f"last {small[-3:]}", f"short {short}")
    yield from (name for name in ("isupper", "istitle", "isdigit") if getattr(word, name)())


def _shape(word: str) -> str:
    """X for a capital, x for another letter, d for a digit."""
    letters = re.sub(r"[^\W\d_]", lambda found: "X" if found[0].isupper() else "x", word)
    return re.sub(r"\d", "d", letters)


class Crfsuite:
    """python-crfsuite as a rival; it draws nothing, so each table is learned once for all seeds."""

    def __init__(self) -> None:
        """Nothing is learned yet."""
        self._found: dict[tuple[str, ...], Mapping[str, Any]] = {}

    def __call__(
        self, frame: pl.DataFrame, model: Model, parts: Mapping[str, Sequences], seed: int
    ) -> Mapping[str, Any]:
        """The codes that it predicts on the test part."""
        key = tuple(map(str, model.classes))
        if key not in self._found:
            self._found[key] = {"python-crfsuite": learned(frame, model, parts)}
        return self._found[key]


def learned(frame: pl.DataFrame, model: Model, parts: Mapping[str, Sequences]) -> Any:
    """What python-crfsuite predicts on the test part after learning from what the model learned from."""
    import pycrfsuite

    assert model.columns is not None
    words, labels = (frame[name].cast(pl.String) for name in (model.columns.features[0], model.columns.label))

    def sentences(part: Sequences) -> Iterator[tuple[list[list[str]], list[str]]]:
        for rows in part.split(part.table_rows):
            yield features(words.gather(rows).to_list()), labels.gather(rows).to_list()

    begun, code = time.perf_counter(), {str(label): k for k, label in enumerate(model.classes)}
    trainer = pycrfsuite.Trainer(verbose=False, params=REGULAR)
    for part in ("train", "valid") if "refit" in model.facts else ("train",):
        for each, tags in sentences(parts[part]):
            if code.keys() >= set(tags):
                trainer.append(each, tags)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "crf"))
        trainer.train(file)
        tagger = pycrfsuite.Tagger()
        tagger.open(file)
        codes = [code[tag] for each, _ in sentences(parts["test"]) for tag in tagger.tag(each)]
    print(f"python-crfsuite: {time.perf_counter() - begun:.0f} s", flush=True)
    return np.array(codes)


def spelled(frame: pl.DataFrame) -> dict[str, Any]:
    """The train part with the spelling of its words, as `labeling.measured` takes it."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "words.parquet")
        frame.write_parquet(data)
        roles: dict[str, Any] = {**accuracy.ROLES}
        columns, parts, _ = read_and_split(data, **roles).encoded()
    train = parts.train
    codes, sizes = train.values.astype(np.int64), np.array(columns.fitted.sizes)
    return {**TRAINING, "codes": codes, "sizes": sizes, "labels": train.known_labels, "lengths": train.lengths}


def label_files(frame: pl.DataFrame, words: int) -> None:
    """Print how fast CoNLL files are labeled, and in how much memory: one of a tenth of the words, then all."""
    parts = {part: conll(frame.filter(split=part)) for part in ("train", "valid")}
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), Path(name, "words.bothways")
        (folder / "parts").mkdir()
        for part, text in parts.items():
            (folder / "parts" / f"{part}.conll").write_text(text)
        jobs.train(folder / "parts", model, settings=LABELING, say=lambda message: None)
        once = int((frame["split"] == "train").sum())
        for times in (max(1, words // once // 10), max(1, words // once)):
            data = folder / "many.conll"
            with data.open("w") as file:
                file.writelines(parts["train"] for _ in range(times))
            seconds, _, memory = predict.label(model, data, folder / "labeled.conll")
            print(
                f"{times * once:,} words from CoNLL to CoNLL: {seconds:.2f} s from a cold start, "
                f"{times * once / seconds:,.0f} words per second (asked: {TARGET:,}), largest memory {memory} MB",
                flush=True,
            )


def conll(frame: pl.DataFrame) -> str:
    """Words and labels, a line each, and a blank line after each sentence."""
    lines = pl.concat_str(frame.columns[2], pl.lit("\t"), "label", pl.lit("\n"))
    return "".join(frame.group_by("sequence_id", maintain_order=True).agg(lines.str.join("") + "\n")["token"])


def main() -> None:
    """Score all tables, or measure how fast it is."""
    parser = accuracy.options(__doc__, MARKS)
    parser.add_argument("--speed", action="store_true", help="measure times instead of scores")
    parser.add_argument("--quick", action="store_true", help="a tenth of the words, to see that it works")
    parser.add_argument("--only", choices=sorted(labeling.WORKERS), action="append", help="who trains, with --speed")
    parser.add_argument("--threads", type=int, help="with --speed; the processors if not given")
    given = parser.parse_args()
    if given.speed:
        speed(given)
    else:
        accuracy.measure(given, Crfsuite(), MARKS)


def speed(given: argparse.Namespace) -> None:
    """Print how fast training and labeling are."""
    frame = pl.read_parquet(given.folder / "ewt_pos.parquet").drop("xpos")
    if given.quick:
        names = frame["sequence_id"].unique(maintain_order=True)
        frame = frame.filter(pl.col("sequence_id").is_in(names.gather_every(10).implode()))
    cases = {"ewt_pos, spelling and CRF": spelled(frame)}
    labeling.compare(cases, given.only or list(labeling.WORKERS), rounds.check_threads(given.threads))
    label_files(frame, WORDS // 10 if given.quick else WORDS)


if __name__ == "__main__":
    interrupts.watch()
    main()
