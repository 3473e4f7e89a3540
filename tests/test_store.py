"""Model files: the same model comes back, and whatever is wrong with a file is said in plain words."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from bothways import baselines
from bothways.data import Columns
from bothways.errors import InputError, ModelFileError
from bothways.network import Network
from bothways.runtime import Label, Member, Model
from bothways.sequences import Sequences
from bothways.store import VERSION, load, save

NETWORK = Network(features=2, classes=3, units=3, direction="both")


def some_model(network: Network = NETWORK, classes: tuple[Label, ...] = ("a", "b", "ü"), **more: Any) -> Model:
    random = np.random.default_rng(0)
    weights = {name: random.uniform(0.1, 1, shape) for name, shape in network.weight_shapes().items()}
    return Model([Member(network, {name: w.astype(np.float32) for name, w in weights.items()})], classes, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.bothways"


def same(a: Model, b: Model) -> bool:
    fields = ("network", "classes", "columns", "class_counts", "facts", "temperature", "threshold", "balance")
    return all(getattr(a, name) == getattr(b, name) for name in fields) and all(
        np.array_equal(a.weights[name], b.weights[name]) for name in a.network.weight_shapes()
    )


@pytest.mark.parametrize("classes", [("a", "b", "ü"), (-1, 0, 7)])
def test_a_model_comes_back_whole(path: Path, classes: tuple[Label, ...]) -> None:
    model = some_model(
        classes=classes,
        columns=Columns("label", ("CO2", "temperature")),
        class_counts=dict(zip(classes, (5, 6, 7), strict=True)),
        facts={"seed": 0, "note": None},
        balance=0.3,
    )
    save(model, path)
    loaded = load(path)
    assert same(loaded, model)
    assert [type(label) for label in loaded.classes] == [type(label) for label in classes]


def test_a_network_of_every_kind_comes_back(path: Path) -> None:
    network = Network(
        features=3,
        classes=3,
        units=3,
        categories=(5, 9),
        embedding=2,
        conv_window=4,
        conv_stride=2,
        dropout=0.25,
        per="sequence",
        pooling="max",
    )
    save(some_model(network), path)
    assert same(load(path), some_model(network))


def test_arrays_of_any_order_in_memory_come_back(path: Path) -> None:
    """Some come out of training transposed."""
    model = some_model()
    turned = {name: np.asfortranarray(array) for name, array in model.weights.items()}
    save(Model([Member(NETWORK, turned)], model.classes), path)
    assert same(load(path), model)


def test_baselines_come_back(path: Path) -> None:
    sequences = Sequences(np.arange(60.0).reshape(30, 2), np.full(3, 10), np.repeat([0, 1, 2], 10))
    model = some_model(baselines=baselines.fit(sequences, 3))
    save(model, path)
    kept = load(path).predict_baselines(sequences)
    assert list(kept) == ["majority", "one_step", "trees"]
    for name, codes in model.predict_baselines(sequences).items():
        np.testing.assert_array_equal(kept[name], codes)


def test_how_baselines_decide_comes_back_or_is_refused(path: Path) -> None:
    decision = {"temperature": 2.0, "threshold": 0.3, "balance": 0.5}
    save(some_model(facts={"decisions": {"trees": decision}}), path)
    assert load(path).facts["decisions"] == {"trees": decision}
    for wrong in ({"threshold": 0.0}, {"temperature": -1.0}, {"balance": "much"}, {"more": 1.0}):
        save(some_model(facts={"decisions": {"trees": decision | wrong}}), path)
        with pytest.raises(ModelFileError, match=r"decisions|threshold"):
            load(path)


def test_bool_classes_come_back_as_bool(path: Path) -> None:
    save(some_model(Network(features=2, classes=2), (False, True)), path)
    assert load(path).classes == (False, True)
    assert load(path).predict([np.zeros((1, 2))])[0].dtype == np.bool_


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(some_model(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_new_files_follow_the_umask(path: Path) -> None:
    before = os.umask(0o027)
    try:
        save(some_model(), path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_failed_save_leaves_everything_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(some_model(), path)
    before = path.read_bytes()

    def no_space(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ModelFileError, match=r"some\.bothways: cannot be written \(No space left on device\)"):
        save(dataclasses.replace(some_model(), facts={"seed": 1}), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be written"):
        save(some_model(), tmp_path / "missing" / "some.bothways")
    with pytest.raises(ModelFileError, match="cannot be written"):
        save(some_model(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_json_cannot_hold_is_refused(path: Path) -> None:
    for facts in ({"x": np.zeros(3)}, {"x": float("nan")}):
        with pytest.raises(InputError, match="what JSON cannot"):
            save(some_model(facts=facts), path)
    assert list(path.parent.iterdir()) == []


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="nothing: no such file"):
        load(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="this is a folder"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "damaged or cut short, or not a bothways model"),
        (b"time,label\n0,a\n", "Give the file that `bothways train` wrote; a table, if any, comes after it."),
        (b"PK\x03\x04", "damaged or cut short, or not a bothways model"),
        (b"\x80\x04K\x01.", "not a bothways model"),
    ],
)
def test_a_file_that_is_no_zip(path: Path, content: bytes, why: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=why):
        load(path)


EVERY = [pytest.param(13, id="sample"), pytest.param(1, id="all", marks=pytest.mark.slow)]


@pytest.mark.every_case
@pytest.mark.parametrize("every", EVERY)
def test_a_file_cut_short_anywhere(path: Path, every: int) -> None:
    save(some_model(), path)
    content = path.read_bytes()
    for length in range(0, len(content), every):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="damaged or cut short"):
            load(path)


@pytest.mark.every_case
@pytest.mark.parametrize("every", EVERY)
def test_a_flipped_byte_is_found_or_harmless(path: Path, every: int) -> None:
    model = some_model()
    save(model, path)
    content = bytearray(path.read_bytes())
    found, places = 0, range(0, len(content), every)
    for place in places:
        content[place] ^= 0xFF
        path.write_bytes(content)
        content[place] ^= 0xFF
        try:
            # Dates and permissions in the zip, for example, make no difference.
            assert same(load(path), model)
        except ModelFileError:
            found += 1
    assert found > 0.9 * len(places)


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """`path` with its parts changed and all checksums right."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def described(path: Path, **changes: Any) -> Path:
    """`path` with other entries in its description; None takes one out."""

    def change(parts: dict[str, bytes]) -> None:
        data = json.loads(parts["model.json"]) | changes
        parts["model.json"] = json.dumps({name: value for name, value in data.items() if value is not ...}).encode()

    return rewritten(path, change)


def of_network(description: dict[str, Any]) -> dict[str, Any]:
    return {"members": [{"network": description, "share": 1.0}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a bothways model"),
        ({"version": VERSION + 1}, rf"by a newer bothways \(file version {VERSION + 1}; this one reads {VERSION}\)"),
        ({"version": VERSION - 1}, r"by an early bothways \(file version .*\). Train the model again"),
        ({"version": "1"}, "version of the file is '1'"),
        ({"version": 0}, "version of the file is 0"),
        (
            of_network(NETWORK.to_json() | {"units": 4}),
            r"recurrent_0/forward/kernel' is float32 \(64, 12\)",
        ),
        (of_network(NETWORK.to_json() | {"depth": 10**9}), "depth is 1000000000"),
        (
            of_network(NETWORK.to_json() | {"cell": ["lstm"]}),
            r"There is no cell \['lstm'\]",
        ),
        (of_network({}), "missing or unknown entries"),
        ({"classes": {"kind": "str", "values": ["a", "b"]}}, "the network needs 3"),
        ({"classes": {"kind": "str", "values": ["a", "b", "b"]}}, "differ from one another"),
        ({"classes": {"kind": "int", "values": ["a", "b", "c"]}}, "must all be of the kind int"),
        ({"classes": {"kind": "float", "values": [0.5, 1.5, 2.5]}}, "all int, all str or all bool"),
        ({"classes": {"kind": "list", "values": [[], [], []]}}, "all int, all str or all bool"),
        ({"class_counts": [1, 2]}, "they must be 3 whole numbers"),
        ({"class_counts": [1, 2, "3"]}, "missing or of another type: class_counts"),
        ({"class_counts": [1, 2, -3]}, "they must be 3 whole numbers from 0"),
        (
            of_network(NETWORK.to_json() | {"conv_window": 3, "conv_stride": 10**8}),
            "conv_stride is 100000000",
        ),
        ({"facts": {"epochs": 1, "parts": {"train": 3}}}, "missing or of another type: facts: parts"),
        ({"facts": {"settings": {"monitor": ["f1"]}}}, "missing or of another type: facts: settings"),
        ({"facts": {"sequences": [[1]]}}, "missing or of another type: facts: sequences"),
        ({"facts": {"sequences": 5}}, "missing or of another type: facts: sequences"),
        ({"columns": "CO2"}, "missing or of another type: columns"),
        ({"columns": Columns("x", ("a", "b")).to_json() | {"encoding": 7}}, "description of columns .* is incomplete"),
        ({"facts": ...}, "missing or of another type: facts"),
    ],
)
def test_a_description_that_fits_nothing(path: Path, changes: dict[str, Any], message: str) -> None:
    save(some_model(), path)
    with pytest.raises(ModelFileError, match=message):
        load(described(path, **changes))


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_description_that_is_none(path: Path, content: bytes) -> None:
    save(some_model(), path)
    with pytest.raises(ModelFileError, match="not a bothways model"):
        load(rewritten(path, lambda parts: parts.update({"model.json": content})))


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "baselines.safetensors"])
def test_a_missing_part(path: Path, name: str) -> None:
    save(some_model(), path)
    with pytest.raises(ModelFileError, match=f"{name} is missing in it"):
        load(rewritten(path, lambda parts: parts.__delitem__(name)))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("head/bias", None, "weight 'head/bias' is missing"),
        ("head/bias", np.zeros(4, np.float32), r"'head/bias' is float32 \(4,\); it must be float32 \(3,\)"),
        ("head/bias", np.zeros(3, np.float64), "'head/bias' is float64"),
        ("head/bias", np.full(3, np.nan, np.float32), "'head/bias' holds values that are not finite"),
        ("input/scale", np.zeros(8, np.float32), "'input/scale' must be above 0"),
        ("head/other", np.zeros(3, np.float32), "no weight 'head/other'"),
    ],
)
def test_weights_that_do_not_fit(path: Path, name: str, array: Any, message: str) -> None:
    save(some_model(), path)

    def change(parts: dict[str, bytes]) -> None:
        weights = safetensors.numpy.load(parts["weights.safetensors"])
        weights.pop(f"0/{name}", None)
        parts["weights.safetensors"] = safetensors.numpy.save(weights | ({} if array is None else {f"0/{name}": array}))

    with pytest.raises(ModelFileError, match=message):
        load(rewritten(path, change))


def test_a_compressed_file_is_refused_before_it_fills_the_memory(path: Path) -> None:
    save(some_model(), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", parts["model.json"] + b" " * 10_000_000)
        archive.writestr("weights.safetensors", parts["weights.safetensors"])
    with pytest.raises(ModelFileError, match="damaged"):
        load(path)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "some.bothways")
    with pytest.raises(ModelFileError, match="this is no file, but a pipe or a device"):
        load(tmp_path / "some.bothways")
