"""Models in int8: the codes of their files, what they predict, and what is said of the cost."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import bothways
from bothways import engine, metrics, store
from bothways.errors import InputError, ModelFileError
from bothways.jobs import Quantization
from bothways.runtime import Member, Model
from bothways.runtime.codes import dequantized, quantized
from bothways.sequences import Sequences
from stream_cases import NETWORKS, model_of, sequences_of
from tolerances import INT8, error

KINDS = {name: NETWORKS[name] for name in ("both ways", "CRF", "average", "average with simple models")}
KINDS["per sequence"] = [{"per": "sequence", "conv_window": 3, "pooling": "mean_max"}]


def p_of(model: Model) -> Any:
    return np.concatenate(model.predict_proba(sequences_of([9, 1, 30, 4])))


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_files_bring_back_the_same_bits(kinds: list[dict[str, Any]], tmp_path: Path) -> None:
    one, two = tmp_path / "one.bothways", tmp_path / "two.bothways"
    model = bothways.quantize(model_of(kinds))
    model.save(one)
    loaded = bothways.load(one)
    assert loaded.precision == "int8"
    np.testing.assert_array_equal(p_of(loaded), p_of(model))
    store.save(loaded, two)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_predictions_are_near_those_of_float32_with_the_same_weights(kinds: list[dict[str, Any]]) -> None:
    """These are what `export` and `page` compute."""
    model = bothways.quantize(model_of(kinds))
    members = [replace(each, precision="float32") if isinstance(each, Member) else each for each in model.members]
    assert 0 < error(p_of(model), p_of(replace(model, members=members))) < INT8


def test_states_that_overflow_are_refused() -> None:
    """Relu lets them grow; no step may get a label by what is left of them."""
    model = model_of([{"cell": "rnn_relu"}])
    (member,) = model.members
    assert isinstance(member, Member)
    grown = {name: array * 1e20 if "recurrent_kernel" in name else array for name, array in member.weights.items()}
    large = replace(model, members=[replace(member, weights=grown)])
    for each in (large, bothways.quantize(large)):
        with pytest.raises(InputError, match="The outputs overflow"):
            p_of(each)


def test_the_engine_finds_the_codes_of_the_file() -> None:
    """Where a scale is a power of two nothing is rounded but the codes, so all bits are the same."""
    random = np.random.default_rng(0)
    kernel, recurrent = (random.uniform(-1, 1, (rows, 32)).astype(np.float32) for rows in (5, 8))
    kernel[2], recurrent[3], kernel[:, 7] = 127 / 64, -127 / 64, 0
    arrays = quantized({"a/kernel": kernel, "a/recurrent_kernel": recurrent})
    assert {name: array.dtype.name for name, array in arrays.items() if "scale" not in name} == {
        "a/kernel": "int8",
        "a/recurrent_kernel": "int8",
    }
    assert (arrays["a/kernel/scale"][7], arrays["a/kernel/scale"][8]) == (0, 1 / 64)
    weights = dequantized(arrays, {"a/kernel": kernel.shape, "a/recurrent_kernel": recurrent.shape})
    assert np.abs(weights["a/kernel"] - kernel).max() <= 1 / 128
    x = random.normal(size=(3, 20, 5)).astype(np.float32)
    before, after = (
        engine.run(x, [engine.Direction(a, b)], precision="int8").outputs
        for a, b in ((kernel, recurrent), (weights["a/kernel"], weights["a/recurrent_kernel"]))
    )
    np.testing.assert_array_equal(before, after)


def test_codes_of_what_codes_gave_are_the_same() -> None:
    """Though the largest weight, divided by 127 and multiplied again, can be another number."""
    random = np.random.default_rng(0)
    first = quantized({"kernel": random.normal(size=(4, 50_000)).astype(np.float32)})
    again = quantized(dequantized(first, {"kernel": (4, 50_000)}))
    for name, array in first.items():
        np.testing.assert_array_equal(again[name], array)


@pytest.mark.parametrize("name", ["forward", "forward, convolution", "late"])
def test_chunks_of_a_stream_have_the_bits_of_whole_sequences(name: str) -> None:
    model = bothways.quantize(model_of(NETWORKS[name]))
    sequences = Sequences.from_arrays(sequences_of([9, 1, 30, 4]))
    for chunk in (1, 5):
        p = model.stream(chunk=chunk).replay(sequences)[1]
        np.testing.assert_array_equal(p, model.probabilities(sequences))


def test_files_are_a_quarter_of_the_size(tmp_path: Path) -> None:
    model = model_of([{"units": 64, "per": "step"}])
    sizes = []
    for each in (model, bothways.quantize(model)):
        store.save(each, tmp_path / "some.bothways")
        sizes.append((tmp_path / "some.bothways").stat().st_size)
    assert 0.25 < sizes[1] / sizes[0] < 0.3


def test_only_models_are_quantized() -> None:
    with pytest.raises(InputError, match=r"model is of type SequenceLabeler; .* labeler\.model_"):
        bothways.quantize(bothways.SequenceLabeler())


def test_a_model_in_int8_is_not_quantized_again() -> None:
    small = bothways.quantize(model_of(NETWORKS["forward"]))
    with pytest.raises(InputError, match="is of int8 already"):
        bothways.quantize(small)
    member = small.members[0]
    assert isinstance(member, Member)
    with pytest.raises(InputError, match="no precision 'int4'"):
        replace(member, precision="int4")


KERNEL = "0/recurrent_0/forward/kernel"
DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "codes of float32": (lambda a: {KERNEL: a[KERNEL].astype(np.float32)}, "kernel' is float32"),
    "too few codes": (lambda a: {KERNEL: a[KERNEL][:-1].copy()}, "it must be int8"),
    "a code changed": (lambda a: {KERNEL: np.full_like(a[KERNEL], -128)}, "largest code is not 127"),
    "scales cut": (lambda a: {f"{KERNEL}/scale": a[f"{KERNEL}/scale"][1:].copy()}, "kernel/scale' is float32"),
    "a scale is not finite": (lambda a: {f"{KERNEL}/scale": a[f"{KERNEL}/scale"] * np.nan}, "holds numbers that"),
    "scales are missing": (lambda a: {f"{KERNEL}/scale": None}, "kernel/scale' is missing"),
    "codes are missing": (lambda a: {KERNEL: None}, "kernel' is missing"),
    "one array too many": (lambda a: {"0/head/bias/scale": a["0/head/bias"]}, "no weight 'head/bias/scale'"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_codes(damage: Callable[[dict[str, Any]], dict[str, Any]], message: str, tmp_path: Path) -> None:
    path = tmp_path / "some.bothways"
    store.save(bothways.quantize(model_of(NETWORKS["forward"])), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    arrays = safetensors.numpy.load(parts["weights.safetensors"])
    changed = {name: array for name, array in (arrays | damage(arrays)).items() if array is not None}
    parts["weights.safetensors"] = safetensors.numpy.save(changed)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ModelFileError, match=message):
        store.load(path)


@pytest.mark.parametrize(
    ("sequences", "wrong_before", "wrong_after", "said"),
    [
        (20, 0, 1, "Worse: in int8 macro F1 changes by -"),
        (20, 1, 0, "Not worse: in int8 macro F1 changes by +"),
        (20, 1, 1, "No loss is shown: in int8 macro F1 changes by +0.0000"),
        (1, 0, 1, "there are too few sequences for an interval"),
    ],
)
def test_the_verdict_says_whether_the_score_is_worse(
    sequences: int, wrong_before: int, wrong_after: int, said: str
) -> None:
    """Of eight steps the first ones are wrong, in every sequence."""
    labels = np.tile([0, 1], 4 * sequences)
    part = Sequences(np.zeros((len(labels), 1)), np.full(sequences, 8), labels)
    codes = [np.where(np.arange(len(labels)) % 8 < wrong, 1 - labels, labels) for wrong in (wrong_before, wrong_after)]
    before, after = (
        metrics.evaluate(part, np.eye(2)[each], ["a", "b"], baselines={"float32": codes[0]}) for each in codes
    )
    done = Quantization(Path("small.bothways"), before, after, 0.125, (400, 100), (1.0, 2.0))
    assert said in done.verdict
    assert done.worse == (wrong_after > wrong_before)
    refused = replace(done, path=None)
    assert refused.verdict == f"{done.verdict} Not written; force=True writes it all the same."
    assert refused.to_json()["output"] is None
    assert json.loads(json.dumps(done.to_json(), allow_nan=False))["changed"] == 0.125
