"""Graphs of ONNX give what the runtime gives, in ONNX Runtime."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

import bothways
from bothways import jobs
from bothways.baselines import NearbyNGrams, Neighbors, OneStep, Trees
from bothways.data import Columns, read_sequences
from bothways.data.calendar import CLOCK
from bothways.data.encoding import Category, Encoding, Number
from bothways.data.spelling import VIEWS, views
from bothways.errors import InputError
from bothways.export import OLDEST_OPSET, export_onnx, graph_of
from bothways.export.cells import OPERATORS
from bothways.export.graph import Graph
from bothways.merge import MERGE_MODES
from bothways.network import DIRECTIONS, POOLINGS, Network
from bothways.patterns import ConvolutionPatterns, Forest, NGramPatterns
from bothways.runtime import BaselineMember, Member, Model
from bothways.sequences import Sequences
from bothways.spec import CELLS
from bothways.tables import Table, read_table
from members import random_member
from tolerances import EXPORTED, error

onnxruntime = pytest.importorskip("onnxruntime")

Array = npt.NDArray[Any]
TABLES: dict[str, list[str]] = {
    "occupancy": ["Light"],
    "cmapss_fd001": [],
    "bach_chords": [],
    "shoulder_watch": [],
    "plaid": [],
    "japanese_vowels": [],
    "adfa_ld": ["attack_type", "source_part"],
    "malapi": [],
    "hdfs_blocks": [],
    "ewt_pos": ["xpos"],
    "snips_slots": [],
    "wnut17": [],
}
FOUND = ("cmapss_fd001", "malapi", "occupancy", "wnut17")
"""Those for which settings are looked for, too: what comes of that is an average with simple models."""

TAGS = ("B-x", "I-x", "B-y", "I-y", "O")


def some_member(seed: int = 0, share: float = 1.0, **more: Any) -> Member:
    plain: dict[str, Any] = {"features": 4, "classes": 3, "units": 4, "categories": (6, 3), "embedding": 3}
    return random_member(Network(**plain | more), seed, share=share)


def some_model(**more: Any) -> Model:
    member = some_member(**more)
    return Model([member], tuple(range(member.network.classes)))


def run(model: Model, path: Path, inputs: dict[str, Array], opset: int | None = None) -> list[Array]:
    """The labels and probabilities of ONNX Runtime."""
    export_onnx(model, path, opset)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return list(session.run(["label", "probabilities"], inputs))


def check(model: Model, path: Path, inputs: dict[str, Array], sequences: Sequences, opset: int | None = None) -> None:
    """The same labels and probabilities as the runtime gives of the same sequences."""
    labels, p = run(model, path, inputs, opset)
    if model.network.per == "step":
        known = np.arange(labels.shape[1]) < sequences.lengths[:, None]
        labels, p = labels[known], p[known]
    expected = model.probabilities(sequences)
    assert error(p, expected) < EXPORTED
    assert labels.tolist() == np.array(model.classes)[model.decide(expected, sequences.lengths)].tolist()


def check_random(model: Model, path: Path, opset: int | None = None) -> None:
    """The same over sequences of random lengths, 0 among them, two of zeros; what comes after their ends is NaN."""
    random, network = np.random.default_rng(1), model.network
    lengths = np.array([12, 0, 1, 5, 11, *random.integers(0, 13, 4)])
    values = random.normal(size=(len(lengths), 12, network.features)).astype(np.float32)
    for place, codes in enumerate(network.categories, network.numeric):
        values[:, :, place] = random.integers(0, codes, values.shape[:2])
    values[2:4, :, : network.numeric] = 0  # they have no deviation
    known = np.arange(12) < lengths[:, None]
    sequences = Sequences(values[known], lengths, per=network.per)
    values[~known] = np.nan
    check(model, path, {"features": values, "lengths": lengths}, sequences, opset)


def test_every_cell_has_an_operator() -> None:
    assert OPERATORS.keys() == CELLS.keys()
    assert all(sorted(OPERATORS[name].gates) == sorted(cell.gates) for name, cell in CELLS.items())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("depth", [1, 2])
def test_recurrent_layers(cell: str, direction: str, depth: int, tmp_path: Path) -> None:
    check_random(some_model(cell=cell, direction=direction, depth=depth), tmp_path / "some.onnx")


@pytest.mark.parametrize("merge_mode", MERGE_MODES)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("conv", [(0, 1), (5, 2)])
def test_labels_of_sequences(merge_mode: str, pooling: str, conv: tuple[int, int], tmp_path: Path) -> None:
    how = {"merge_mode": merge_mode, "pooling": pooling, "conv_window": conv[0], "conv_stride": conv[1]}
    check_random(some_model(per="sequence", depth=2, **how), tmp_path / "some.onnx")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("levels", ["raw", "centered", "both", "scaled"])
@pytest.mark.parametrize("encoding", ["piecewise", "standard"])
@pytest.mark.parametrize("changes", [0, 3])
def test_how_numbers_enter(direction: str, levels: str, encoding: str, changes: int, tmp_path: Path) -> None:
    how = {"direction": direction, "levels": levels, "encoding": encoding, "changes": changes}
    check_random(some_model(**how), tmp_path / "some.onnx")


@pytest.mark.parametrize("conv", [(1, 1), (5, 3), (2, 3)])
@pytest.mark.parametrize("late", [0, 6])
def test_convolutions_and_labels_that_come_late(conv: tuple[int, int], late: int, tmp_path: Path) -> None:
    how = {"conv_window": conv[0], "conv_stride": conv[1], "lookahead": late}
    check_random(some_model(direction="forward", **how), tmp_path / "some.onnx")


def test_numbers_or_categories_alone(tmp_path: Path) -> None:
    check_random(some_model(categories=()), tmp_path / "some.onnx")
    check_random(some_model(features=2), tmp_path / "some.onnx")


@pytest.mark.parametrize("head", ["softmax", "crf"])
@pytest.mark.parametrize("classes", [("a", "b"), (False, True), (3, 1, 2), TAGS, ("B", "I")])
def test_heads_and_decisions(head: str, classes: tuple[Any, ...], tmp_path: Path) -> None:
    member = some_member(head=head, classes=len(classes))
    for temperature, threshold in [(1.0, 0.5), (1.7, 0.3)]:
        how: dict[str, Any] = {"temperature": temperature, "threshold": threshold, "balance": 1 - temperature % 1}
        counts = dict(zip(classes, (900, 50, 3, 7, 40, 1), strict=False))
        check_random(Model([member], classes, class_counts=counts, **how), tmp_path / "some.onnx")


def test_an_average(tmp_path: Path) -> None:
    members = [
        some_member(share=3.0),
        some_member(1, 0.5, cell="gru", levels="both"),
        some_member(2, direction="forward"),
    ]
    check_random(Model(members, ("a", "b", "c"), temperature=0.8), tmp_path / "some.onnx")


def of_a_table(gaps: str = "times", per: str = "step", clock: tuple[str, ...] = ()) -> Model:
    numbers = (Number("size", 2.5, flagged=True), Number("rate", None), Number("port", 0.5))
    kinds = Category("kind", ("tcp", None, "7")), Category("host", ("Åse", "b"))
    encoding = Encoding(numbers, kinds, gaps, clock=clock)
    columns = Columns(
        "attack",
        ("size", "rate", "port", "kind", "host"),
        "flow",
        "at",
        categories=("kind", "host"),
        per=per,
        encoding=encoding,
    )
    features = len(encoding.names)
    member = some_member(features=features, categories=encoding.sizes, per=per, levels="both", changes=2)
    return Model([member], ("calm", "odd", "attack"), columns)


def padded(model: Model, frame: pl.DataFrame, sequences: Sequences) -> dict[str, Array]:
    """The columns of a table as a graph takes them; what comes after the end of a sequence is anything."""
    columns = model.columns
    assert columns is not None
    known = np.arange(sequences.lengths.max()) < sequences.lengths[:, None]
    inputs: dict[str, Array] = {"lengths": sequences.lengths}
    for name in (*columns.features, *([columns.order] if columns.fitted.order and columns.order else [])):
        column = frame[name]
        other: Any = -3.0
        if name == columns.order:
            values = column.dt.timestamp("us").to_numpy() / 1e6 if column.dtype.is_temporal() else column.to_numpy()
        elif name in columns.categories:
            values, other = column.cast(pl.String).fill_null("").to_numpy().astype(object), "?"
        else:
            values = column.cast(pl.Float32).fill_null(np.nan).to_numpy()
        inputs[name] = np.full(known.shape, other, np.float64 if name == columns.order else values.dtype)
        inputs[name][known] = values[sequences.table_rows]
    return inputs


@pytest.mark.parametrize(
    ("gaps", "clock"), [("", ()), ("times", ()), ("numbers", ()), ("", CLOCK), ("times", CLOCK[1:]), ("times", CLOCK)]
)
@pytest.mark.parametrize("per", ["step", "sequence"])
def test_raw_columns(gaps: str, clock: tuple[str, ...], per: str, tmp_path: Path) -> None:
    """Missing, infinite and unknown values, gaps, times of day and weekdays, and text of any kind."""
    model, random = of_a_table(gaps, per, clock), np.random.default_rng(0)
    lengths = [9, 1, 4, 8]
    at = pl.Series(random.uniform(0, 1e5, sum(lengths)) + 1.7e9)
    some = random.normal(size=(3, sum(lengths))).astype(np.float32)
    some[0, ::3] = some[2, 1::4] = np.nan
    some[0, 1::7], some[2, 2::4] = np.inf, -np.inf
    frame = pl.DataFrame(
        {
            "flow": np.repeat(np.arange(4), lengths),
            **dict(zip(("size", "rate", "port"), some, strict=True)),
            "kind": random.choice(np.array(["tcp", "udp", None, "7", "7.0"]), sum(lengths)).tolist(),
            "host": random.choice(np.array(["Åse", "b", "c", None]), sum(lengths)).tolist(),
            "at": pl.from_epoch((at * 1e6).cast(pl.Int64), time_unit="us") if gaps == "times" or clock else at,
        }
    )
    assert model.columns is not None
    sequences, _ = read_sequences(Table("flows.csv", frame), model.columns)
    check(model, tmp_path / "some.onnx", padded(model, frame, sequences), sequences)


def test_numbers_too_large_for_float32_are_missing_in_double_precision_too(tmp_path: Path) -> None:
    columns = Columns("y", ("a", "b"), "id", encoding=Encoding((Number("a", 0.5, True, double=True), Number("b", 0.5))))
    model = Model([some_member(features=3, categories=())], (1, 2, 3), columns)
    frame = pl.DataFrame({"id": [0, 0, 0], "a": [1e9, 1e300, 2e9], "b": [1.0, 2.0, 1e39]})
    sequences, _ = read_sequences(Table("some.csv", frame), columns)
    inputs = {name: frame[name].to_numpy()[None] for name in columns.features}
    check(model, tmp_path / "some.onnx", {**inputs, "lengths": np.array([3])}, sequences)


def test_arrays_with_categories_and_missing_numbers(tmp_path: Path) -> None:
    encoding = Encoding((Number("1", 0.5, flagged=True), Number("2")), (Category("0", ("7", "3")),))
    columns = Columns("", ("0", "1", "2"), categories=("0",), encoding=encoding)
    model = Model([some_member(features=4, categories=(3,))], (1, 2, 3), columns)
    values = np.array([[[7, np.nan, 1], [5, 2, 3]], [[np.nan, 1, 2], [3, 0, 0]]], np.float32)
    with pytest.warns(UserWarning, match=r"1 row with values that training never saw \('5'\)"):
        sequences, _ = model.read("X", values)
    check(model, tmp_path / "some.onnx", {"features": values, "lengths": np.array([2, 2])}, sequences)


@pytest.mark.parametrize("opset", [OLDEST_OPSET, 20, 22])
def test_versions_of_operators(opset: int, tmp_path: Path) -> None:
    member = some_member(head="crf", classes=5, conv_window=3, levels="both")
    check_random(Model([member], TAGS), tmp_path / "some.onnx", opset)


@pytest.mark.parametrize("opset", [OLDEST_OPSET - 1, 1000])
def test_an_opset_that_cannot_be(opset: int, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"The opset is {opset}; for this model it must be from {OLDEST_OPSET} to .* Leave out opset="
    ):
        export_onnx(some_model(), tmp_path / "some.onnx", opset)
    assert not list(tmp_path.iterdir())


def test_what_no_graph_can_do_is_named(tmp_path: Path) -> None:
    model = of_a_table("")
    assert model.columns is not None
    renamed = Encoding((Number("lengths"),), model.columns.fitted.categories)
    columns = replace(model.columns, features=("lengths", "kind", "host"), encoding=renamed)
    member = some_member(features=3, categories=renamed.sizes)
    with pytest.raises(InputError, match="a column named 'lengths', which cannot be the name of an input"):
        export_onnx(Model([member], ("a", "b", "c"), columns), tmp_path / "some.onnx")


def test_what_no_file_of_onnx_can_hold_is_told() -> None:
    graph = Graph(opset=18)
    weights = np.broadcast_to(np.float32(0), (2**29,))  # which takes no memory
    graph.output("y", np.float32, (2**29,), graph.input("x", np.float32, (), "A number.") + weights, "Too many.")
    with pytest.raises(InputError, match=r"The weights take 2\.0 GiB; a file of ONNX has room for less than 2 GiB"):
        pytest.importorskip("bothways.export.onnx_model").onnx_model(graph, "large")


@pytest.mark.slow
def test_without_onnx(tmp_path: Path) -> None:
    bothways.store.save(some_model(), tmp_path / "some.bothways")
    code = "import sys; sys.modules['onnx'] = None; from bothways.__main__ import main; main()"
    arguments = ["export", str(tmp_path / "some.bothways"), "-o", str(tmp_path / "some.onnx")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        done.stderr == "Error: To export needs onnx, which is not installed. Install it: pip install 'bothways[onnx]'\n"
    )


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bothways.cli import main

    bothways.store.save(of_a_table(), tmp_path / "some.bothways")
    with pytest.raises(SystemExit, match="0"):
        main(["export", str(tmp_path / "some.bothways"), "-o", str(tmp_path / "some.onnx"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["inputs"]["kind"] == "text (batch, time)"
    assert told["inputs"]["at"] == "float64 (batch, time)"
    assert told["outputs"] == {"label": "text (batch, time)", "probabilities": "float32 (batch, time, 3)"}
    with pytest.raises(SystemExit, match="0"):
        main(["export", str(tmp_path / "some.bothways"), "-o", str(tmp_path / "some.onnx")])
    shown = capsys.readouterr()
    assert "opset 18" in shown.out
    assert "int8" not in shown.err
    bothways.quantize(of_a_table()).save(tmp_path / "small.bothways")
    with pytest.raises(SystemExit, match="0"):
        main(["export", str(tmp_path / "small.bothways"), "-o", str(tmp_path / "some.onnx")])
    assert "in int8, and the graph computes in float32: some labels may be others" in capsys.readouterr().err


def check_table(model: Path, data: Path, tmp_path: Path) -> None:
    """A model of a table gives the same of its rows, by the graph; sequences that are too long stay away."""
    loaded = bothways.load(model)
    assert loaded.columns is not None
    table = read_table(data, loaded.columns.categories)
    sequences, _ = read_sequences(table, loaded.columns)
    some = sequences.take(np.flatnonzero(sequences.lengths <= 1500)[::7][:200])
    check(loaded, tmp_path / "some.onnx", padded(loaded, table.frame(), some), some)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "budget"), [*((name, "0") for name in TABLES), *((name, "30s") for name in FOUND)])
def test_public_tables(name: str, budget: str, shared_data: Path, tmp_path: Path) -> None:
    data, model = shared_data / f"{name}.parquet", tmp_path / "some.bothways"
    how: Any = {"drop": TABLES[name], "budget": budget, "settings": {"epochs": 1}}
    jobs.train(data, model, label="label", sequence="sequence_id", order="step", split="split", say=print, **how)
    check_table(model, data, tmp_path)


def test_ngrams(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 15, 60)
    values = random.integers(0, 3, (lengths.sum(), 4)).astype(np.float32)
    values[:, 2] *= 2
    sequences = Sequences(values, lengths, random.integers(0, 3, 60), per="sequence")
    member = some_member(per="sequence")
    found = NGramPatterns.fit(sequences, 3, member.network.categories, seed=0)
    assert found is not None
    check_random(Model([member, BaselineMember(found, 9.0)], ("a", "b", "c")), tmp_path / "some.onnx")


def test_random_convolutions(tmp_path: Path) -> None:
    """Of the sequences of training, too, whose sums are among the thresholds."""
    random = np.random.default_rng(0)
    lengths = random.integers(0, 40, 60)
    values = random.normal(size=(lengths.sum(), 4)).astype(np.float32)
    sequences = Sequences(values, lengths, random.integers(0, 3, 60), per="sequence")
    found = ConvolutionPatterns.fit(sequences, 3, (), seed=0)
    assert found is not None
    model = Model([some_member(per="sequence", categories=()), BaselineMember(found, 9.0)], ("a", "b", "c"))
    check_random(model, tmp_path / "some.onnx")
    known = np.arange(lengths.max()) < lengths[:, None]
    padded = np.full((*known.shape, 4), np.nan, np.float32)
    padded[known] = values
    check(model, tmp_path / "some.onnx", {"features": padded, "lengths": lengths}, sequences)


def test_a_forest_on_long_sequences(tmp_path: Path) -> None:
    """Their norm, spectra, crossings and means by code."""
    random = np.random.default_rng(0)
    lengths = random.integers(0, 300, 120)
    values = random.normal(size=(lengths.sum(), 4)).astype(np.float32)
    values[:, 3] = random.integers(0, 3, len(values))
    sequences = Sequences(values, lengths, (lengths + random.integers(0, 60, 120)) // 120, per="sequence")
    found = Forest.fit(sequences, 3, (3,), seed=0)
    assert found is not None
    assert found.features.spans.tolist() == [1, 8]
    assert found.features.counts_crossings
    model = Model([some_member(per="sequence", categories=(3,)), BaselineMember(found, 9.0)], ("a", "b", "c"))
    known = np.arange(lengths.max()) < lengths[:, None]
    padded = np.full((*known.shape, 4), np.nan, np.float32)
    padded[known] = values
    check(model, tmp_path / "some.onnx", {"features": padded, "lengths": lengths}, sequences)


def test_an_array_is_one_constant() -> None:
    """All nodes that go down trees read the same tables."""
    graph, table = Graph(opset=18), np.arange(5.0)
    rows = graph.input("rows", np.int64, ("batch",), "Places in the table.")
    total = graph("Gather", table, rows) + graph("Gather", table, rows)
    graph.output("total", np.float64, ("batch",), total, "Twice what stands there.")
    assert [each.tolist() for each in graph.constants.values()] == [table.tolist()]


@pytest.mark.parametrize(
    ("kind", "per"), [(OneStep, "step"), (OneStep, "sequence"), (Trees, "step"), (Forest, "sequence")]
)
@pytest.mark.parametrize("categories", [(), (6, 3)])
@pytest.mark.parametrize("classes", [2, 4])
def test_simple_models(kind: Any, per: Any, categories: tuple[int, ...], classes: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, 300)
    values = random.normal(size=(lengths.sum(), 4)).astype(np.float32)
    for place, codes in enumerate(categories, 4 - len(categories)):
        values[:, place] = random.integers(0, codes, len(values))
    hidden = (values[:, 0] > 0.3).astype(np.int64) + (values[:, 3] > 0.5)
    labels = hidden if per == "step" else np.maximum.reduceat(hidden, np.cumsum(lengths) - lengths)
    sequences = Sequences(values, lengths, np.minimum(labels, classes - 1), per=per)
    found = kind.fit(sequences, classes, categories, seed=0)
    member = some_member(per=per, categories=categories, classes=classes)
    model = Model([member, BaselineMember(found, 9.0)], tuple("abcd"[:classes]))
    assert len(set(found.predict(sequences).tolist())) > 1, "it tells classes apart"
    check_random(model, tmp_path / "some.onnx")
    tables = [each for each in graph_of(model).constants.values() if each.size > 1000]
    assert len({each.tobytes() for each in tables}) == len(tables), "no table is there twice"


def test_trees_of_numbers_that_may_be_missing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lengths, values = np.full(100, 9), random.normal(size=(900, 4)).astype(np.float32)
    labels = (values[:, 0] > 0.3).astype(np.int64)
    labels[1:][values[1:, 2] > 0] = labels[:-1][values[1:, 2] > 0]
    found = Trees.fit(Sequences(values, lengths, labels, flags=((0, 2),)), 2, (), seed=0)
    assert found is not None
    model = Model([some_member(categories=(), classes=2), BaselineMember(found, 9.0)], ("a", "b"))
    check_random(model, tmp_path / "some.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(("categories", "wide"), [((1500, 3), 0), ((3, 800, 900, 2), 0), ((1500, 3), 1)])
def test_regression_on_neighbors(categories: tuple[int, ...], wide: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, 300)
    values = random.normal(size=(lengths.sum(), 4)).astype(np.float32)
    for place, codes in enumerate(categories, 4 - len(categories)):
        values[:, place] = np.minimum(random.geometric(0.3, len(values)), codes - 1)
    hidden = np.where(values[:, -1] > 1, values[:, -2] > 1, np.roll(values[:, -2] > 2, 1)).astype(np.int64)
    if wide:
        hidden = np.roll(values[:, -1] - 1, 2).astype(np.int64)
    sequences = Sequences(values, lengths, hidden)
    found = Neighbors.fit(sequences, 3, categories, seed=0)
    assert found is not None
    assert found.arrays()["wide"].tolist() == [wide]
    member = some_member(categories=categories)
    model = Model([member, BaselineMember(found, 9.0)], ("a", "b", "c"))
    assert set(found.predict(sequences).tolist()) == {0, 1}
    check_random(model, tmp_path / "some.onnx")


@pytest.mark.parametrize("kind", [Neighbors, NearbyNGrams])
def test_regression_on_letters(kind: type[Neighbors], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, 400)
    values = np.stack([random.integers(0, 3, lengths.sum()), random.integers(0, 6, lengths.sum())], axis=1)
    hidden = (np.roll(values[:, 1], 1) + values[:, 1] > 7) + (values[:, 0] == 2).astype(np.int64)
    found = kind.fit(Sequences(values.astype(np.float32), lengths, hidden), 3, (3, 6), seed=0)
    assert found is not None
    model = Model([some_member(features=2, categories=(3, 6)), BaselineMember(found, 9.0)], ("a", "b", "c"))
    check_random(model, tmp_path / "some.onnx")


def test_the_spelling_of_words(tmp_path: Path) -> None:
    """Every view of words, those that training never saw and those of other scripts among them."""
    words = ["Ran", "ran", "Walking", "walking", "USA", "U.S.A.", "x-y", "1:30", "20", "", "Ångström", "Ωmega", "МИР"]
    words += ["мир", "e-mail-to-Him-and-Her-2", "a\nb", "[x]", "٣", "日本", "Dz"]
    words += ["İzmir", "İZMİR", "i̇zmir", "Kİ", "Kİ", "İ", "Kİr", "ki̇r"]  # of which a small letter makes two characters
    words += ["ü" * 19, "x" * 20, "😀" * 20, "x" * 300]
    kinds = [Category("word", tuple(words[:3]))]
    for view in VIEWS:
        kinds.append(Category("word", tuple(views(view, pl.Series(words[::2])).unique(maintain_order=True)), view))
    encoding = Encoding((), tuple(kinds))
    columns = Columns("tag", ("word",), "sentence", categories=("word",), encoding=encoding)
    member = some_member(features=len(kinds), categories=encoding.sizes, classes=5, head="crf")
    model = Model([member], TAGS, columns)
    frame = pl.DataFrame({"sentence": np.arange(3 * len(words)) // 7, "word": [*words, *words[::-1], *words]})
    sequences, _ = read_sequences(Table("words.csv", frame), columns)
    check(model, tmp_path / "some.onnx", padded(model, frame, sequences), sequences)
    with pytest.raises(InputError, match="The opset is 18; for this model it must be from 20 to"):
        export_onnx(model, tmp_path / "some.onnx", opset=18)
