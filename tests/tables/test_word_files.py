"""Files of sentences: CoNLL, JSON lines with lists, plain text; read as rows per word, written again with labels."""

from __future__ import annotations

import gzip
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bothways.data import Columns, LabeledWriter, choose_columns, read_and_split, stream_sequences
from bothways.errors import DataError, MissingDependencyError
from bothways.sequences import Sequences
from bothways.tables import conll_files, csv_files, jsonl_files, read_table
from bothways.tables.sources import FORMATS, format_of, labeled_name

HARD = [
    "#",
    "👩‍👩‍👧",
    "é",
    "e\u0301",
    "\u05e9\u05dc\u05d5\u05dd",
    "10\u00a0000",
    "a\u2028b",
    '"',
    "12",
    "x" * 2_000,
    "a,b;c|d",
    "\x85",
    "-",
]
"""Words that are easily lost."""


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def trained(source: Path) -> Columns:
    return read_and_split(source).encoded()[0]


def first_or_not(sequences: Sequences) -> tuple[Any, Any]:
    """A label that tells whether the step is the first of its sequence."""
    first = (sequences.positions == 0).astype(np.int64)
    return first, np.tile(np.array([[0.25, 0.75]], np.float32), (len(first), 1))


def labeled(source: Path, output: Path, columns: Columns, **how: Any) -> list[str]:
    said: list[str] = []
    with LabeledWriter(output, ["in", "first"]) as writer:
        writer.label(source, columns, first_or_not, say=said.append, **how)
    return said


TAGGED = "".join(f"w{i % 7}\t{'AB'[i % 2]}\n" + "\n" * (i % 5 == 4) for i in range(60))


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Columns:
    return trained(written(tmp_path_factory.mktemp("train"), "some.conll", TAGGED))


def test_conll(tmp_path: Path) -> None:
    content = "\ufeff-DOCSTART- -X- O O\r\n\r\nEU NNP B-NP B-ORG\r\n# # O O\r\n\r\n \r\n# id 12\r\n#tag NN O O"
    table = read_table(written(tmp_path, "some.iob2", content))
    assert table.names == ["sentence_id", "word", "2", "3", "4"]
    assert table.frame().rows() == [
        (1, "EU", "NNP", "B-NP", "B-ORG"), (1, "#", "#", "O", "O"), (2, "#tag", "NN", "O", "O"),
    ]  # fmt: skip
    columns = choose_columns(table)
    assert (columns.label, columns.features, columns.sequence, columns.order) == ("4", ("word",), "sentence_id", None)
    assert {guess.role for guess in columns.guesses if guess.name in "23"} == {"left out"}
    table = read_table(written(tmp_path, "some.iob2", "EU 0-2 B-ORG _\nwill 3-7 O _\n\nEU 0-2 B-ORG _\n"))
    assert choose_columns(table).label == "3"  # the last column says nothing


CONLLU = (
    "# text = Don't go\n1-2\tDon't" + "\t_" * 8 + "\n1\tDo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_\n"
    "2\tn't\t_\tPART\tRB\t_\t3\tadvmod\t_\t_\n3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_\n3.1\tx\tx\tX" + "\t_" * 6 + "\n\n"
    "1\t_\t_\tSYM\t_\t_\t0\troot\t_\t_\n\n"
)  # fmt: skip


@pytest.mark.parametrize("name", ["some.conllu", "some.conll"])
def test_conllu(tmp_path: Path, name: str) -> None:
    table = read_table(written(tmp_path, name, CONLLU))
    assert table.column("form").to_list() == ["Do", "n't", "go", "_"]
    assert table.column("sentence_id").to_list() == [1, 1, 1, 2]
    assert table.column("xpos").to_list() == ["VBP", "RB", "VB", None]
    columns = choose_columns(table)
    assert (columns.label, columns.features, columns.categories) == ("upos", ("form",), ("form",))
    left = [guess.name for guess in columns.guesses if guess.role == "left out"]
    assert sorted(left) == sorted(["id", "lemma", "xpos", "feats", "head", "deprel", "deps", "misc"])
    assert choose_columns(table, label="xpos", categorical=["lemma"]).features == ("form", "lemma")


def test_a_column_of_numbers_before_the_words(tmp_path: Path) -> None:
    table = read_table(
        written(tmp_path, "some.conll", "# source\n1\tSchartau\tB-PER\n2\tsagte\tO\n\n# source\n1\tJa\tO\n")
    )
    assert table.frame().rows() == [(1, "1", "Schartau", "B-PER"), (1, "2", "sagte", "O"), (2, "1", "Ja", "O")]
    assert table.names == ["sentence_id", "id", "word", "tag"]


def test_json_lines(tmp_path: Path) -> None:
    entries = [
        {"id": "x", "tokens": ["a", "b"], "pos_tags": ["N", "V"], "ner_tags": [0, 1], "spans": [[0, 1]], "urls": ["u"]},
        {"id": "y", "tokens": [], "pos_tags": [], "ner_tags": []},
        {"id": "z", "tokens": ["007"], "pos_tags": ["N"]},
    ]
    table = read_table(written(tmp_path, "some.jsonl", "\n".join(map(json.dumps, entries))))
    assert table.frame().select("sentence_id", "tokens", "id", "pos_tags", "ner_tags").rows() == [
        (1, "a", "x", "N", 0), (1, "b", "x", "V", 1), (3, "007", "z", "N", None),
    ]  # fmt: skip
    with pytest.raises(DataError, match="'pos_tags' or 'ner_tags'"):
        choose_columns(table)
    columns = choose_columns(table, label="ner_tags")
    assert (columns.features, columns.sequence) == (("tokens",), "sentence_id")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("some.conll", "a O\nb O\n\nc\n", r"some.conll: line 4 \('c'\) has 1 column between spaces; a word has 2"),
        ("some.conll", "a\tO\nb O\tB\tC\n", r"line 2 .* has 3 columns between tabs"),
        ("some.conll", "a O\n# no comment here\n", "line 2 "),
        ("some.conllu", "1\ta\tN\n", "line 1 .* has 3 columns .* has 10 here"),
        ("some.conll", "\n\n# nothing\n", "holds no words"),
        ("some.conll", "a\tO\t\nb\tO\t\n", "the lines end in a tab"),
        ("some.conllu", "1-2\tdu" + "\t_" * 8, "holds no words"),
        ("some.conll", b"a O\nb\0 O\n", "line 2 holds a byte that is no text"),
        ("some.conll", "", "holds no words"),
        ("some.jsonl", '{"tokens": ["a"], "tags": ["O"]}\n{"tokens": ["a", "b"], "tags": []}', "line 2 has 2 entries"),
        ("some.jsonl", '{"tokens": ["a"], "sentence_id": 1}', "line 1 has a 'sentence_id' of its own"),
        ("some.jsonl", '{"tokens": ["a"]}\n{"tags": ["O"]}', "line 2 has 0 entries in 'tokens' and 1 in 'tags'"),
        ("some.jsonl", '\n{"tokens": []}\n\n{"tokens": ["a"], "tags": []}', "line 4 has 1 entry in 'tokens' and 0 in"),
        ("some.txt", "a b", "plain text has no labels"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_table(written(tmp_path, name, content))


def test_what_is_told(tmp_path: Path) -> None:
    table = read_table(
        written(tmp_path, "some.conll", "é O\n".encode("latin-1") * 20_000 + b"\n" + b"x" * 10_000 + b" O")
    )
    assert [notice.removeprefix(f"{tmp_path}/some.conll: ") for notice in table.notices] == [
        "this is not UTF-8; it is read as Windows-1252 (Western European), written as UTF-8. "
        "If letters look wrong, save it as UTF-8.",
        "the sentence from line 1 has 20,000 words. Is a blank line missing?",
        "line 20002 holds a word of 10,000 characters.",
    ]
    assert (len(table), table.column("word")[0], len(table.column("word")[-1])) == (20_001, "é", 10_000)


PARTS = ("train", "dev", "test")


@pytest.mark.parametrize(("form", "lazy"), [("conll", False), ("parquet", True)])
def test_parts_by_the_names_of_files(tmp_path: Path, form: str, lazy: bool) -> None:
    frame = pl.DataFrame({"x": [i % 7 for i in range(20)], "label": [0, 1] * 10, "flow": [i // 4 for i in range(20)]})
    for part in PARTS:
        path = tmp_path / f"en_some-ud-{part}.{form}"
        frame.write_parquet(path) if lazy else path.write_text(TAGGED)
    written(tmp_path, "LICENSE.txt", "free")
    table = read_table(tmp_path)
    rows = 20 if lazy else 60
    assert table.column("split").to_list() == [part for part in ("valid", "test", "train") for _ in range(rows)]
    columns = choose_columns(table)
    assert columns.split == "split"
    (said,) = [guess.why for guess in columns.guesses if guess.role == "split"]
    assert "names of the files" in said
    assert choose_columns(table, split="none").split is None
    assert "split" not in choose_columns(table, split="none").features
    if not lazy:
        assert table.column("sentence_id").to_list() == sorted(table.column("sentence_id").to_list())
        assert table.column("sentence_id").n_unique() == 36


def test_messages_name_the_line_of_a_word(tmp_path: Path) -> None:
    for name in ("a.conll", "b.conll"):
        written(tmp_path, name, "# id 1\na O\n\n\nb O\nc O\n")
    assert [read_table(tmp_path).place(row) for row in (2, 4)] == [
        f"{tmp_path}/a.conll: line 6",
        f"{tmp_path}/b.conll: line 5",
    ]
    table = read_table(written(tmp_path, "a.jsonl", '{"tokens": ["a", "b"]}\n\n{"tokens": []}\n{"tokens": ["c"]}'))
    assert table.place(2) == f"{tmp_path}/a.jsonl: line 4"


def test_parquet_with_lists(tmp_path: Path, columns: Columns) -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "ner_tags": [[0, 1], [], [2]], "tokens": [["a", "b"], [], ["c"]]})
    frame.write_parquet(tmp_path / "some.parquet")
    table = read_table(tmp_path / "some.parquet")
    assert table.frame().rows() == [(1, "a", 1, 0), (1, "b", 1, 1), (3, "c", 3, 2)]
    assert choose_columns(table).label == "ner_tags"
    labeled(tmp_path / "some.parquet", tmp_path / "out.csv", columns)
    assert pl.read_csv(tmp_path / "out.csv")["predicted"].to_list() == ["first", "in", "first"]


def test_the_same_sentences_give_the_same_arrays(tmp_path: Path) -> None:
    rows = [(f"s{k // 6:02}", f"w{k * k % 11}", "ABC"[k * k % 3]) for k in range(240)]
    frame = pl.DataFrame(rows, schema=["sentence_id", "word", "tag"], orient="row")
    sentences = frame.group_by("sentence_id", maintain_order=True).agg("word", "tag").rename({"word": "words"})
    frame.write_parquet(tmp_path / "flat.parquet")
    sentences.drop("sentence_id").write_parquet(tmp_path / "lists.parquet")
    sentences.drop("sentence_id").write_ndjson(tmp_path / "lists.jsonl")
    pairs = [zip(words, tags, strict=True) for words, tags in sentences.select("words", "tag").rows()]
    written(tmp_path, "some.conll", "\n".join("".join(f"{word} {tag}\n" for word, tag in each) for each in pairs))

    def arrays(name: str) -> list[tuple[Any, ...]]:
        parts = read_and_split(tmp_path / name, sequence="sentence_id").encoded()[1].named
        return [(part, each.values.tolist(), each.known_labels.tolist()) for part, each in parts.items()]

    flat, *others = map(arrays, ("flat.parquet", "lists.parquet", "lists.jsonl", "some.conll"))
    assert [len(labels) for _, _, labels in flat] == [168, 36, 36]
    assert others == [flat] * 3


def test_parts_that_are_called_sets(tmp_path: Path) -> None:
    for name in ("trainset.conll", "devset.conll", "testset.conll"):
        written(tmp_path, name, TAGGED)
    assert read_table(tmp_path).column("split").unique().sort().to_list() == ["test", "train", "valid"]


def test_parts_as_corpora_of_biomedicine_call_them(tmp_path: Path) -> None:
    for name in ("train.tsv", "devel.tsv", "test.tsv"):
        written(tmp_path, name, TAGGED)
    assert read_table(tmp_path).column("split").unique().sort().to_list() == ["test", "train", "valid"]


@pytest.mark.parametrize("other", ["train_dev", "reviewed"])
def test_a_file_that_says_no_part_or_two_beside_others_is_named(tmp_path: Path, other: str) -> None:
    names = [f"{name}.conll" for name in ("train", "dev", "test", other)]
    for name in names:
        written(tmp_path, name, TAGGED)
    table = read_table(tmp_path)
    assert "split" not in table.names
    (said,) = table.notices
    assert f"called after no part, or after several: {other}.conll. So names of files tell no parts" in said
    assert not read_table([tmp_path / name for name in names[:3]]).notices
    for name in names:  # a column tells them
        (tmp_path / name).unlink()
        written(tmp_path, f"{name}.csv", "x,split\n1,train\n2,test\n")
    assert not read_table(tmp_path).notices


def test_files_of_one_part_are_no_split(tmp_path: Path) -> None:
    for name in ("train-0.conll", "train-1.conll"):
        written(tmp_path, name, TAGGED)
    assert "split" not in read_table(tmp_path).names


ONES = np.ones((1, 1), np.float32)
COMMENT, DOCUMENT = "# text = a b c d", "-DOCSTART- -X- O"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from(["", "", COMMENT, DOCUMENT, "a", *HARD]), max_size=30),
    separator=st.sampled_from(["\t", " ", "  "]),
    end=st.sampled_from(["\n", "\r\n"]),
    complete=st.booleans(),
    rows=st.integers(1, 9),
)
@pytest.mark.slow
def test_conll_comes_back_line_by_line(
    tmp_path: Path, columns: Columns, lines: list[str], separator: str, end: str, complete: bool, rows: int
) -> None:
    given, wanted, begins = [], [], True
    for line in ["first", *lines]:
        if line == COMMENT and not begins:
            continue  # it would be a word with too few columns
        word = line not in ("", COMMENT, DOCUMENT)
        given.append(f"{line}{separator}O" if word else line)
        wanted.append(f"{line}{separator}{'first' if begins else 'in'}" if word else line)
        begins = not word and (begins or line != COMMENT)
    source = written(tmp_path, "some.conll", end.join(given) + end * complete)
    labeled(source, tmp_path / "out.conll", columns, rows=rows)
    assert (tmp_path / "out.conll").read_bytes().decode() == end.join(wanted) + end * complete


def test_words_alone_get_a_column(tmp_path: Path, columns: Columns) -> None:
    labeled(written(tmp_path, "some.bio", "#\nRome\n\n\nb\n"), tmp_path / "out.iob", columns)
    assert (tmp_path / "out.iob").read_text() == "#\tfirst\nRome\tin\n\n\nb\tfirst\n"


def test_conllu_comes_back(tmp_path: Path, columns: Columns) -> None:
    source = written(tmp_path, "some.conllu.gz", gzip.compress(CONLLU.encode()))
    noted = CONLLU.replace("aux\t_\t_\n", "aux\t_\tSpaceAfter=No\n")
    labeled(written(tmp_path, "noted.conllu", noted), tmp_path / "further.conllu", columns)
    further = (tmp_path / "further.conllu").read_text().splitlines()
    assert [line.split("\t")[9:] for line in further if line[:1].isdigit()] == [
        ["_"], ["SpaceAfter=No|tag=first"], ["tag=in"], ["tag=in"], ["_"], ["tag=first"],
    ]  # fmt: skip
    labeled(tmp_path / "further.conllu", tmp_path / "again.conllu", columns)
    assert (tmp_path / "again.conllu").read_text().splitlines() == further
    labeled(source, tmp_path / "numbered.conllu", replace(columns, label="4"))
    assert "advmod\t_\tLabel=in\n" in (tmp_path / "numbered.conllu").read_text()
    labeled(source, tmp_path / "out.conllu", replace(columns, label="upos"))
    wanted = CONLLU.replace("\tAUX\t", "\tfirst\t").replace("\tPART\t", "\tin\t").replace("\tVERB\t", "\tin\t")
    assert (tmp_path / "out.conllu").read_text() == wanted.replace("\tSYM\t", "\tfirst\t")


@pytest.mark.parametrize("rows", [1, 1000])
def test_json_lines_come_back(tmp_path: Path, columns: Columns, rows: int) -> None:
    entries: list[dict[str, Any]] = [
        {"id": 1e3, "tokens": HARD, "tags": ["O"] * len(HARD)},
        {"tokens": [], "note": None},
        {"tokens": ["a\0b", "b"], "more": {"x": [1, "é"]}},
    ]
    source = written(tmp_path, "some.jsonl", "\n\n".join(map(json.dumps, entries)))
    labeled(source, tmp_path / "out.jsonl", columns, rows=rows)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n")[:-1]]
    assert [entry.pop("predicted") for entry in found] == [["first", *["in"] * (len(HARD) - 1)], [], ["first", "in"]]
    assert [entry.pop("probability") for entry in found] == [[0.75, *[0.25] * (len(HARD) - 1)], [], [0.75, 0.25]]
    assert found == entries


def test_half_a_letter_in_json_comes_back(tmp_path: Path, columns: Columns) -> None:
    entries: list[dict[str, Any]] = [{"tokens": ["a", "b\ud83d"], "text": "é \ud83d"}, {"tokens": ["👩"]}]
    labeled(written(tmp_path, "some.json", json.dumps(entries)), tmp_path / "out.jsonl", columns)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{key: entry[key] for key in own} for own, entry in zip(entries, found, strict=True)] == entries


def test_json_lines_that_change_come_back(tmp_path: Path, columns: Columns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_files, "BYTES", 40)
    entries: list[dict[str, Any]] = [{"tokens": ["a", "b"]}, {"tokens": ["c"]}, {"tokens": ["a"], "new": [1, 2]}]
    source = written(tmp_path, "some.jsonl", "\n".join(map(json.dumps, entries)))
    said = labeled(source, tmp_path / "out.jsonl", columns, rows=1)
    assert "the whole table is read at once" in said[0]
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [entry.pop("predicted") for entry in found] == [["first", "in"], ["first"], ["first"]]
    assert [{**entry, "probability": 0} for entry in found] == [{**entry, "probability": 0} for entry in entries]


def test_json_lines_with_a_label_per_sentence(tmp_path: Path) -> None:
    lines = [json.dumps({"tokens": ["w", f"w{i % 7}", "w"], "intent": "AB"[i % 2]}) for i in range(40)]
    source = written(tmp_path, "some.jsonl", "\n".join([*lines, '{"tokens": []}']))
    columns = read_and_split(source, label="intent").encoded()[0]
    assert columns.per == "sequence"
    with LabeledWriter(tmp_path / "out.jsonl", ["A", "B"], each=True) as writer:
        writer.label(source, columns, lambda part: (np.zeros(len(part), np.int64), np.ones((len(part), 2), np.float32)))
    first, *_, last = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (first["predicted"], first["probability of B"], last["predicted"]) == ("A", 1.0, None)


def test_json_lines_per_word_that_look_like_sentences(tmp_path: Path, columns: Columns) -> None:
    rows = [{"sentence_id": k // 2, "tokens": "w"} for k in range(4)]
    labeled(written(tmp_path, "some.jsonl", "\n".join(map(json.dumps, rows))), tmp_path / "out.jsonl", columns)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [entry["predicted"] for entry in found] == ["first", "in"] * 2


def test_several_files_become_one(tmp_path: Path, columns: Columns) -> None:
    (tmp_path / "data").mkdir()
    for name in "ab":
        written(tmp_path, f"data/{name}.conll", "x O\ny O")
    labeled(tmp_path / "data", tmp_path / "out.conll", columns, rows=1)
    assert (tmp_path / "out.conll").read_text() == "x first\ny in\n\nx first\ny in"
    labeled(tmp_path / "data", tmp_path / "out.csv", columns, rows=1)
    table = pl.read_csv(tmp_path / "out.csv")
    assert table.columns == ["sentence_id", "word", "tag", "predicted", "probability"]
    assert table["sentence_id"].to_list() == [1, 1, 2, 2]


@pytest.mark.parametrize(("output", "each"), [("out.conll", False), ("out.iob", True)])
def test_what_conll_cannot_hold(tmp_path: Path, columns: Columns, output: str, each: bool) -> None:
    source = written(tmp_path, "some.conll", "a O\n")
    roles = replace(columns, sequence=None)
    if not each:
        source = written(tmp_path, "some.csv", "word,tag\na,O\n")
    with (
        pytest.raises(DataError, match="a CoNLL file has no"),
        LabeledWriter(tmp_path / output, ["a", "b"], each) as it,
    ):
        it.label(source, columns if each else roles, first_or_not)
    with (
        pytest.raises(DataError, match=r"ten columns, .* Call it \.conll"),
        LabeledWriter(tmp_path / "x.conllu", ["a", "b"]) as it,
    ):
        it.label(written(tmp_path, "x.conll", "a O\n"), columns, first_or_not)
    with pytest.raises(DataError, match="'a b', which holds a blank"), LabeledWriter(tmp_path / output, ["a b"]) as it:
        it.label(written(tmp_path, "x.conll", "a O\n"), columns, lambda part: (np.zeros(1, np.int64), ONES))
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize("rows", [3, 1000])
def test_text(tmp_path: Path, columns: Columns, rows: int) -> None:
    text = "\ufeffDr. Smith isn't here. He\u00a0left!\r\n\n  👩‍👩‍👧 é\t\u05e9\u05dc\u05d5\u05dd\nno end " + "x" * 10_000
    source = written(tmp_path, "some.txt", text)
    columns = replace(columns, order="step")
    labeled(source, tmp_path / "out.jsonl", columns, rows=rows)
    table = pl.read_ndjson(tmp_path / "out.jsonl")
    assert table.columns == ["sentence_id", "token", "start", "end", "predicted", "probability"]
    assert table["token"].head(8).to_list() == ["Dr.", "Smith", "is", "n't", "here", ".", "He", "left"]
    plain = text[1:]
    assert [plain[start:end] for start, end in table.select("start", "end").rows()] == table["token"].to_list()
    assert "".join(table["token"]) == "".join(plain.split())
    assert table.filter(pl.col("predicted") == "first")["token"].to_list() == ["Dr.", "He", "👩", "no"]
    labeled(source, tmp_path / "out.csv", columns, rows=rows)
    assert pl.read_csv(tmp_path / "out.csv").equals(table.with_columns(pl.col("probability").cast(pl.Float64)))


def test_text_that_is_columns_is_told(tmp_path: Path, columns: Columns) -> None:
    said = labeled(written(tmp_path, "some.txt", "EU B-ORG\n\n" * 10), tmp_path / "out.csv", columns)
    assert "every line has 2 columns" in said[0]


def test_text_without_spacy(tmp_path: Path, columns: Columns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy.lang.en", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'bothways\[text\]'"):
        list(stream_sequences(written(tmp_path, "some.txt", "a b"), columns))


SENTENCES = "I O\nwant O\nEU B-ORG\n\nIt O\n's O\n\nIn O\nMay O\n\n" * 3


@pytest.mark.parametrize("name", ["train.txt", "some.train", "eng.testa", "some.tsv", "some.csv", "a.tsv.gz", "some"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n"])
def test_conll_under_other_names(tmp_path: Path, name: str, end: str, columns: Columns) -> None:
    tabs = ".tsv" in name or ".csv" in name
    content = (SENTENCES.replace(" ", "\t") if tabs else SENTENCES).replace("\n", end)
    source = written(tmp_path, name, gzip.compress(content.encode()) if name.endswith(".gz") else content)
    table = read_table(source)
    assert (table.names, len(table), table.column("sentence_id")[-1]) == (["sentence_id", "word", "tag"], 21, 9)
    assert table.notices == (
        f"{source}: this looks like CoNLL, with a word per line and blank lines between sentences, and is read so.",
    )
    assert table.place(3) == f"{source}: line 5"
    said = labeled(source, tmp_path / "out.conll", columns)
    assert table.notices[0] in said
    assert (tmp_path / "out.conll").read_text().count("first") == 9


NO_CONLL = {
    "a header": "word\ttag\nI\tO\nam\tO\n\nI\tO\nam\tO\n\nI\tO\nam\tO\n",
    "another header": "surface\tkind\nI\tO\nam\tO\n\nI\tO\nam\tO\n\nI\tO\nam\tO\n",
    "numbers": "1.5\ta\n2.5\tb\n\n1.5\ta\n2.5\tb\n\n1.5\ta\n2.5\tb\n",
    "a header of numbers": "x\ta\n2.5\ta\n\n1.5\ta\n2.5\tb\n\n1.5\ta\n2.5\tb\n",
    "no blank lines": "I\tO\nam\tO\nI\tO\nam\tO\n",
    "double space": "I\tO\n\nam\tO\n\nI\tO\n\nam\tO\n\n",
}


@pytest.mark.parametrize("content", NO_CONLL.values(), ids=NO_CONLL)
def test_what_is_not_taken_for_conll(tmp_path: Path, content: str) -> None:
    said = list[str]()
    list(csv_files.batches(written(tmp_path, "some.tsv", content), 9, said.append))
    assert format_of(tmp_path / "some.tsv") is FORMATS[".tsv"]


def test_prose_stays_prose(tmp_path: Path, columns: Columns) -> None:
    poem = "my friend\nhello you\n\nyour dog\nyour cat\n\nnew house\nold car\n\n"
    source = written(tmp_path, "some.txt", poem)
    labeled(source, tmp_path / "out.csv", columns)
    assert pl.read_csv(tmp_path / "out.csv").height == 12


def test_folders_of_conll_under_other_names(tmp_path: Path) -> None:
    for name in ("README.txt", "notes.md", "picture.png"):
        written(tmp_path, name, "Free text, all of it.\n")
    for name in ("eng.train", "eng.testa", "eng.testb"):
        written(tmp_path, name, SENTENCES)
    assert read_table(tmp_path).column("split").unique_counts().to_list() == [21, 21, 21]
    written(tmp_path, "some.conll", SENTENCES)
    assert len(read_table(tmp_path)) == 21


def test_labeled_copies_have_names_of_their_own(tmp_path: Path) -> None:
    named = {"dev.txt": "dev.conll", "eng.testa": "eng.testa.conll", "x.tsv": "x.conll", "y.conllu": "y.conllu"}
    for name, copy in named.items():
        assert labeled_name(written(tmp_path, name, SENTENCES.replace(" ", "\t"))) == copy


def test_conll_with_carriage_returns_alone_comes_back(tmp_path: Path, columns: Columns) -> None:
    source = written(tmp_path, "some.conll", "x O\ry O\r\rz O\r")
    labeled(source, tmp_path / "out.conll", columns)
    assert (tmp_path / "out.conll").read_text() == "x first\ny in\n\nz first\n"


@pytest.mark.parametrize("rows", [1, 1000])
@pytest.mark.parametrize(
    ("name", "content", "sentences"),
    [
        ("some.txt", "He left.\nShe said hi! No.\n", [["He", "left", "."], ["She", "said", "hi", "!"], ["No", "."]]),
        ("some.jsonl", '{"tokens": ["a", "b"]}\n{"tokens": []}\n{"tokens": ["c"]}', [["a", "b"], ["c"]]),
        ("some.csv", "word,s,n\nb,7,2\n#,8,1\na,7,1\n", [["a", "b"], ["#"]]),
    ],
)
def test_sentences_become_conll(
    tmp_path: Path, columns: Columns, name: str, content: str, sentences: list[list[str]], rows: int
) -> None:
    if name == "some.csv":
        columns = replace(columns, sequence="s", order="n")
    labeled(written(tmp_path, name, content), tmp_path / "out.conll.gz", columns, rows=rows)
    lines = [[f"{word}\t{'in' if k else 'first'}\n" for k, word in enumerate(each)] for each in sentences]
    found = gzip.decompress((tmp_path / "out.conll.gz").read_bytes()).decode()
    assert found == "".join("".join(each) + "\n" for each in lines)


@pytest.mark.parametrize("word", ["a\\tb", "-DOCSTART-"])
def test_words_that_conll_cannot_hold(tmp_path: Path, columns: Columns, word: str) -> None:
    source = written(tmp_path, "some.jsonl", f'{{"tokens": ["{word}"]}}')
    with pytest.raises(DataError, match=re.escape(f"a CoNLL file cannot hold '{word}' as a word or label")):
        labeled(source, tmp_path / "out.conll", columns)


def test_text_in_json_is_told(tmp_path: Path, columns: Columns) -> None:
    source = written(tmp_path, "some.jsonl", '{"text": "Play some rock."}')
    with pytest.raises(DataError, match=r"'tokens'.*\.txt"):
        labeled(source, tmp_path / "out.jsonl", columns)


NAMED = "word\tner\n" + TAGGED


@pytest.mark.parametrize("content", [NAMED, "# a remark\n" + NAMED.replace("\t", " "), NAMED.replace("\n", " \n")])
def test_a_header_is_no_word(tmp_path: Path, content: str) -> None:
    said: list[str] = []
    [got] = conll_files.batches(written(tmp_path, "some.conll", content), 1000, said.append)
    assert got.rows() == read_table(written(tmp_path, "other.conll", TAGGED)).frame().rows()
    assert any("names the columns and is left out" in each for each in said)


def test_a_header_comes_back(tmp_path: Path, columns: Columns) -> None:
    labeled(written(tmp_path, "some.conll", NAMED), tmp_path / "out.conll", columns)
    assert (tmp_path / "out.conll").read_text().splitlines()[:3] == ["word\tner", "w0\tfirst", "w1\tin"]


def test_blanks_at_the_ends_of_lines_are_no_part_of_labels(tmp_path: Path) -> None:
    got = read_table(written(tmp_path, "some.conll", TAGGED.replace("A\n", "A  \n"))).frame()
    assert got["tag"].unique().sort().to_list() == ["A", "B"]


def test_fields_of_blanks_are_read_as_those_of_other_files(tmp_path: Path, columns: Columns) -> None:
    content = "Rome \tA\n w1\t \nw2\t\n\nw3\tB\n"
    got = read_table(written(tmp_path, "some.conll", content)).frame()
    assert got.rows() == [(1, "Rome", "A"), (1, "w1", None), (1, "w2", None), (2, "w3", "B")]
    labeled(tmp_path / "some.conll", tmp_path / "out.conll", columns)
    assert (tmp_path / "out.conll").read_text() == "Rome \tfirst\n w1\tin \nw2\tin\n\nw3\tfirst\n"


@pytest.mark.parametrize("content", ["EU\nrejects\nGerman\n\nPlay\njazz\n", "a\nb\n\nc\nd\n\n\ne\nf\n"])
def test_a_word_per_line_is_a_sentence_per_block(tmp_path: Path, columns: Columns, content: str) -> None:
    said = labeled(written(tmp_path, "some.txt", content), tmp_path / "out.conll", columns)
    assert (tmp_path / "out.conll").read_text().count("first") == len(content.split("\n\n"))
    assert any("looks like CoNLL" in each for each in said)


def test_a_number_means_another_column_in_another_file(tmp_path: Path) -> None:
    three = "".join(f"w{i % 7} N {'AB'[i % 2]}\n" + "\n" * (i % 5 == 4) for i in range(60))
    columns = trained(written(tmp_path, "three.conll", three))
    labeled(written(tmp_path, "more.conll", "w1 N x A\nw2 N y A\n"), tmp_path / "out.conll", columns)
    assert (tmp_path / "out.conll").read_text() == "w1 N x A first\nw2 N y A in\n"
    labeled(written(tmp_path, "same.conll", "w1 N A\nw2 N A\n"), tmp_path / "out.conll", columns)
    assert (tmp_path / "out.conll").read_text() == "w1 N first\nw2 N in\n"


def test_a_number_means_the_same_column_in_a_file_like_that_of_training(tmp_path: Path) -> None:
    four = "".join(f"w{i % 7} N {'AB'[i % 2]} x\n" + "\n" * (i % 5 == 4) for i in range(60))
    columns = read_and_split(written(tmp_path, "four.conll", four), label="3").encoded()[0]
    for line, said in (("w1 N A x", "w1 N {} x"), ("w1 N A", "w1 N {}"), ("w1 N A x y", "w1 N A x y {}")):
        labeled(written(tmp_path, "some.conll", f"{line}\n{line}\n"), tmp_path / "out.conll", columns)
        assert (tmp_path / "out.conll").read_text() == f"{said}\n{said}\n".format("first", "in")


def test_conllu_plus(tmp_path: Path, columns: Columns) -> None:
    content = "# global.columns = ID FORM UPOS\n1\tIn\tADP\n2\tRome\tPROPN\n\n"
    got = read_table(written(tmp_path, "some.conllup", content)).frame()
    assert got.rows() == [(1, "1", "In", "ADP"), (1, "2", "Rome", "PROPN")]
    labeled(tmp_path / "some.conllup", tmp_path / "out.conllup", columns)
    assert (tmp_path / "out.conllup").read_text() == content.replace("ADP", "first").replace("PROPN", "in")


def test_documents_and_counters_before_the_words(tmp_path: Path) -> None:
    content = "#begin document (a); part 000\na 0 0 In IN *\na 0 1 Rome NNP *\n\na 0 0 Hi UH *\n\n#end document\n"
    got = read_table(written(tmp_path, "some.conll", content)).frame()
    assert got.columns == ["sentence_id", "1", "2", "3", "word", "5", "6"]
    assert got["word"].to_list() == ["In", "Rome", "Hi"]


TAGS_FIRST = "B-LOC\tOslo\nO\tlikes\nO\tAnna\n\nO\tI\nI-PER\tAnna\n\n"


def test_tags_before_the_words(tmp_path: Path) -> None:
    source = written(tmp_path, "some.bio", TAGS_FIRST * 9)
    table = read_table(source)
    assert table.names == ["sentence_id", "tag", "word"]
    assert table.notices == (
        f"{source}: the first column holds tags, such as B-X, so the words are those in the second one.",
    )
    columns = trained(source)
    assert (columns.label, columns.features) == ("tag", ("word",))
    labeled(source, tmp_path / "out.bio", columns)
    expected = "first\tOslo\nin\tlikes\nin\tAnna\n\nfirst\tI\nin\tAnna\n\n" * 9
    assert (tmp_path / "out.bio").read_text() == expected


@pytest.mark.parametrize("content", ["O\tNN\nI\tPRP\n", "B-52\tB-X\nO\tO\n", "B-52\tNN\nflies\tVB\n", "O\tNN\n"])
def test_words_that_look_like_tags(tmp_path: Path, content: str) -> None:
    assert read_table(written(tmp_path, "some.conll", content)).names == ["sentence_id", "word", "tag"]


def numbered(form: str, sentences: int = 5) -> str:
    lines = ["\n".join(form.format(s=s, w=w, word=word) for w, word in enumerate("abca")) for s in range(sentences)]
    return "\n\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("{w}\t{word}\tO", ["id", "word", "tag"]),
        ("s{s}\t{word}\tO", ["1", "word", "tag"]),
        ("{s}-1 {word} N O", ["1", "word", "3", "4"]),
        ("d\t{s}\t{word}\tO", ["1", "2", "word", "tag"]),
        ("{w}\t{word}", ["word", "tag"]),
        ("{word}\tO\tX", ["word", "2", "3"]),
        ("{word}\t_\t_\tO", ["word", "2", "3", "4"]),
    ],
)
def test_what_stands_before_the_words(tmp_path: Path, form: str, names: list[str]) -> None:
    table = read_table(written(tmp_path, "some.conll", numbered(form)))
    assert table.names == ["sentence_id", *names]
    assert len(table) == 20


def test_few_sentences_do_not_show_what_stands_before_the_words(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "some.conll", "ha\tUH\tO\nha\tUH\tO\n\n" * 4))
    assert table.names == ["sentence_id", "word", "2", "3"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xef\xbb\xbfa\tO\nb\tO\n", b"\xef\xbb\xbfa\tfirst\nb\tin\n"),
        (b"a\tO", b"a\tfirst"),
        (b"a\tO  \r\nb\tO \r\n", b"a\tfirst  \r\nb\tin \r\n"),
        (b"a  \nb\n", b"a\tfirst  \nb\tin\n"),
        ("a\tO\n".encode("utf-16"), b"a\tfirst\n"),
    ],
)
def test_a_file_comes_back_as_it_came(tmp_path: Path, columns: Columns, content: bytes, expected: bytes) -> None:
    said = labeled(written(tmp_path, "some.conll", content), tmp_path / "out.conll", columns)
    assert (tmp_path / "out.conll").read_bytes() == expected
    assert any("are written as UTF-8" in each for each in said) == (content[:2] == b"\xff\xfe")


def test_a_file_of_several_has_one_mark(tmp_path: Path, columns: Columns) -> None:
    (tmp_path / "data").mkdir()
    for name in "ab":
        written(tmp_path, f"data/{name}.conll", "\ufeffx O\n")
    labeled(tmp_path / "data", tmp_path / "out.conll", columns)
    assert (tmp_path / "out.conll").read_text() == "\ufeffx first\n\nx first\n"


@pytest.mark.parametrize("tokens", [2, "a b", None, [{"text": "a", "id": 0}, {"text": "b", "id": 1}]])
def test_json_lines_with_something_else_called_tokens(tmp_path: Path, columns: Columns, tokens: Any) -> None:
    entries = [{"tokens": tokens, "words": ["a", "b"], "tags": ["A", "B"]}] * 2
    source = written(tmp_path, "some.jsonl", "\n".join(map(json.dumps, entries)))
    table = read_table(source)
    assert table.word == "words"
    assert choose_columns(table).features == ("words",)
    labeled(source, tmp_path / "out.jsonl", columns)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [entry["predicted"] for entry in found] == [["first", "in"]] * 2


@pytest.mark.parametrize(
    ("name", "entry", "said"),
    [
        ("some.jsonl", {"text": "In Rome", "entities": [[3, 7, "LOC"]]}, "'entities' says .*offsets_to_biluo_tags"),
        (
            "some.jsonl",
            {"text": "In Rome", "tokens": [{"text": "In", "id": 0}], "spans": [{"start": 3, "end": 7, "label": "LOC"}]},
            "'spans' says .*offsets_to_biluo_tags",
        ),
        ("some.json", {"data": [{"tokens": ["In"], "tags": ["O"]}]}, "in the list under the key 'data'"),
        ("some.json", [{"x": 1}, {"x": 2}], r"The columns are: 'x'\.$"),
    ],
)
def test_json_without_labels(tmp_path: Path, name: str, entry: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        choose_columns(read_table(written(tmp_path, name, json.dumps(entry))))


def test_tables_of_a_folder_that_are_passed_over_are_named(tmp_path: Path, columns: Columns) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("a.conll", "eng.testa", "plain.txt"):
        written(folder, name, SENTENCES)
    for name in ("README.txt", "notes.md", ".hidden.conll", "x.log"):
        written(folder, name, "Free text, all of it.\n")
    text = f"{folder}: passed over, beside a.conll: eng.testa, plain.txt. Name each file, or give it such an ending."
    assert read_table(folder).notices == (text,)
    assert labeled(folder, tmp_path / "out.conll", columns)[0] == text
    (folder / "a.conll").unlink()
    assert "passed over" not in str(read_table(folder).notices)
    written(tmp_path, "x.csv", "word,tag\na,O\n")
    (tmp_path / "out.conll").unlink()
    assert read_table(tmp_path).notices == ()


@pytest.mark.parametrize("spans", [[[3, 7, "LOC"]], [{"start": 3, "end": 7, "labels": ["LOC"]}]])
@pytest.mark.parametrize("roles", [{}, {"sequence": "none"}])
def test_spans_that_are_called_label(tmp_path: Path, spans: list[Any], roles: dict[str, Any]) -> None:
    """As Doccano and Label Studio write them."""
    lines = [json.dumps({"id": i, "text": f"In Rome, {i} of us", "label": spans, "Comments": []}) for i in range(30)]
    source = written(tmp_path, "some.jsonl", "\n".join(lines))
    with pytest.raises(DataError, match=r"the label 'label' is of type List.* 'label' says .*offsets_to_biluo_tags"):
        read_and_split(source, **roles)


@pytest.mark.parametrize("between", [", ", " "])  # as pandas writes lists, and arrays of NumPy
def test_labels_that_are_lists_in_text(tmp_path: Path, between: str) -> None:
    tags = [f"[{between.join(map(repr, 'O' * (i % 5 + 1)))}]" for i in range(60)]
    frame = pl.DataFrame({"id": [f"Sentence: {i}" for i in range(60)], "kind": ["a", "b"] * 30, "tags": tags})
    frame.write_csv(tmp_path / "some.csv")
    with pytest.raises(DataError, match=r"the label 'tags' holds lists in text, such as .*'O'.*'tokens' and 'tags'"):
        read_and_split(tmp_path / "some.csv")
