"""The Open Inference Protocol, as clients speak it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import bothways
from bothways import store
from bothways.data import Columns, Encoding
from bothways.data.encoding import Category, Number
from bothways.runtime import Model
from bothways.serve.models import Models
from bothways.serve.protocol import parse
from serving import TABLE, Running, model_of, saved

Array = npt.NDArray[Any]

KINDS = Columns(
    "kind",
    ("bytes", "protocol"),
    "flow",
    "at",
    categories=("protocol",),
    encoding=Encoding((Number("bytes", 2.0, flagged=True),), (Category("protocol", ("tcp", "udp")),), gaps="numbers"),
)
MODELS = {
    "flows": model_of(),
    "table": model_of(2, (1, 2, 5), columns=TABLE),
    "kinds": model_of(4, (False, True), columns=KINDS, categories=(3,)),
    "traces": model_of(2, per="sequence"),
}
X = np.random.default_rng(1).normal(size=(3, 5, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Any) -> Running:
    return start(saved(MODELS, tmp_path_factory.mktemp("models")))  # type: ignore[no-any-return]


def tensor(name: str, array: Array, datatype: str = "FP32") -> dict[str, Any]:
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": array.ravel().tolist()}


def infer(server: Running, model: str, *inputs: dict[str, Any], **more: Any) -> dict[str, Array]:
    status, answer, _ = server.call(f"/v2/models/{model}/infer", {"inputs": inputs, **more})
    assert status == 200, answer
    return {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in answer["outputs"]}


def expected(model: Model, arrays: list[Array]) -> list[Array]:
    return list(model.predict_proba(arrays))


def test_the_server_and_its_models_describe_themselves(server: Running) -> None:
    status, answer, _ = server.call("/v2")
    assert (status, answer["name"], answer["version"]) == (200, "bothways", bothways.__version__)
    assert "binary_tensor_data" in answer["extensions"]
    assert server.call("/v2/health/live")[0] == server.call("/v2/health/ready")[0] == 200
    assert server.call("/v2/models")[1] == {"models": sorted(MODELS)}
    answer = server.call("/v2/models/flows")[1]
    assert answer["inputs"] == [{"name": "sequences", "datatype": "FP32", "shape": [-1, -1, 3]}]
    assert answer["outputs"][0] == {"name": "labels", "datatype": "BYTES", "shape": [-1, -1]}
    assert answer["outputs"][1] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, -1, 2]}
    (version,) = answer["versions"]
    assert server.call(f"/v2/models/flows/versions/{version}")[1] == answer
    assert server.call("/v2/models/flows/")[1] == server.call("/v2/models/flows")[1]
    assert server.call("/v2/models/")[0] == 200
    assert server.call(f"/v2/models/flows/versions/{version}/ready")[0] == 200
    assert server.call("/v2/models/flows/versions/7")[0] == server.call("/v2/models/none")[0] == 404
    kinds = {each["name"]: each["datatype"] for each in server.call("/v2/models/kinds")[1]["inputs"]}
    assert kinds == {"bytes": "FP64", "protocol": "BYTES", "at": "FP64"}
    assert server.call("/v2/models/traces")[1]["outputs"][1]["shape"] == [-1, 2]


def test_sequences_of_one_length(server: Running) -> None:
    outputs = infer(server, "flows", tensor("sequences", X))
    p = np.stack(expected(MODELS["flows"], list(X)))
    assert np.array_equal(outputs["probabilities"].astype(np.float32), p)
    assert outputs["labels"].tolist() == np.array(["calm", "scan"])[p.argmax(-1)].tolist()
    assert len(set(outputs["labels"].ravel())) == 2  # a model that always says the same shows nothing


def test_unequal_lengths_by_lengths_by_a_mask_and_end_to_end(server: Running) -> None:
    lengths = np.array([5, 2, 3])
    mask = np.arange(5) < lengths[:, None]
    padded = np.where(mask[..., None], X, 9.0)
    p = np.concatenate(expected(MODELS["flows"], [x[:n] for x, n in zip(X, lengths, strict=True)]))
    by_lengths = infer(server, "flows", tensor("sequences", padded), tensor("lengths", lengths, "INT64"))
    by_mask = infer(server, "flows", tensor("sequences", padded), tensor("mask", mask, "BOOL"))
    for outputs in (by_lengths, by_mask):
        assert outputs["labels"].shape == (3, 5)
        assert np.array_equal(outputs["probabilities"][mask].astype(np.float32), p)
    joined = infer(server, "flows", tensor("sequences", X[mask]), tensor("lengths", lengths, "INT32"))
    assert np.array_equal(joined["probabilities"].astype(np.float32), p)
    left = mask[:, ::-1]
    at_the_end = np.zeros_like(X)
    at_the_end[left] = X[mask]
    outputs = infer(server, "flows", tensor("sequences", at_the_end), tensor("mask", left, "BOOL"))
    assert np.array_equal(outputs["probabilities"][left].astype(np.float32), p)


def test_one_label_per_sequence(server: Running) -> None:
    outputs = infer(server, "traces", tensor("sequences", X[..., :2]), tensor("lengths", np.array([5, 0, 1]), "UINT8"))
    p = MODELS["traces"].predict_proba([X[0, :, :2], X[1, :0, :2], X[2, :1, :2]])
    assert np.array_equal(outputs["probabilities"].astype(np.float32), p)
    assert outputs["labels"].shape == (3,)


def test_a_table_takes_an_input_per_column_or_all_in_one(server: Running) -> None:
    columns = infer(server, "table", tensor("y", X[..., 1], "FP64"), tensor("x", X[..., 0], "FP64"))
    matrix = infer(server, "table", tensor("sequences", X[..., :2]))
    assert np.array_equal(columns["probabilities"], matrix["probabilities"])
    assert set(columns["labels"].ravel()) <= {1, 2, 5}


def test_categories_missing_numbers_and_gaps(server: Running) -> None:
    import polars as pl

    frame = pl.DataFrame(
        {"flow": ["a"] * 3, "at": [1.0, 2.5, 7.0], "bytes": [1.0, None, 3.0], "protocol": ["udp", None, "tcp"]}
    )
    inputs = [
        {"name": name, "shape": [1, 3], "datatype": kind, "data": [frame[name].to_list()]}
        for name, kind in (("at", "FP64"), ("bytes", "FP64"), ("protocol", "BYTES"))
    ]
    outputs = infer(server, "kinds", *inputs)
    assert np.array_equal(outputs["probabilities"][0].astype(np.float32), MODELS["kinds"].predict_proba(frame))
    assert outputs["labels"].dtype == bool
    inputs[0]["data"] = [1.0, 0.5, 7.0]
    status, answer, _ = server.call("/v2/models/kinds/infer", {"inputs": inputs})
    assert status == 400
    assert "do not fall" in answer["error"]


def kinds_inputs(**columns: list[Any]) -> list[dict[str, Any]]:
    """Inputs of one sequence for the model of kinds; what is not given is the same at each step."""
    count = len(next(iter(columns.values())))
    usual: dict[str, list[Any]] = {"at": list(range(count)), "bytes": [1.0] * count, "protocol": ["tcp"] * count}
    types = {"at": "FP64", "bytes": "FP64", "protocol": "BYTES"}
    return [
        {"name": name, "shape": [1, count], "datatype": types[name], "data": (usual | columns)[name]} for name in types
    ]


@pytest.mark.parametrize("words", [["udp", "tcp"], [None, "udp"], [None, None], ["", "  "]])
def test_text_is_read_step_by_step(server: Running, words: list[str | None]) -> None:
    """What stands first, or beside it in a run that is shared, changes nothing; blanks are missing, as in tables."""
    p = infer(server, "kinds", *kinds_inputs(protocol=words))["probabilities"]
    clean = [word.strip() or None if word else None for word in words]
    again = infer(server, "kinds", *kinds_inputs(protocol=["tcp", *clean, " udp "]), outputs=[{"name": "labels"}])
    assert list(again) == ["labels"]
    assert np.array_equal(p, infer(server, "kinds", *kinds_inputs(protocol=clean))["probabilities"])
    spaced = [word and f" {word}\t" for word in words]
    assert np.array_equal(p, infer(server, "kinds", *kinds_inputs(protocol=spaced))["probabilities"])


@pytest.mark.parametrize("model", ["flows", "kinds", "traces"])
@pytest.mark.parametrize("lengths", [[2, 0], [0, 2], [0, 0], [2, 1]])
def test_sequences_without_steps(server: Running, model: str, lengths: list[int]) -> None:
    """At the end as elsewhere, also where gaps between steps are read."""
    width = {"flows": 3, "traces": 2}.get(model)
    if width:
        inputs = [tensor("sequences", X[:2, :2, :width])]
    else:
        inputs = [each | {"shape": [2, 2]} for each in kinds_inputs(at=[0, 3, 0, 3])]
    counts = np.array(lengths)
    p = infer(server, model, *inputs, tensor("lengths", counts, "INT64"))["probabilities"]
    mask = np.arange(2) < counts[:, None]
    assert np.array_equal(p, infer(server, model, *inputs, tensor("mask", mask, "BOOL"))["probabilities"])


def test_true_and_false_are_numbers(server: Running) -> None:
    inputs = kinds_inputs(bytes=[1, 0, 1])
    p = infer(server, "kinds", *inputs)["probabilities"]
    inputs[1] |= {"datatype": "BOOL", "data": [True, False, True]}
    assert np.array_equal(p, infer(server, "kinds", *inputs)["probabilities"])


def test_data_may_be_nested_and_axes_of_one_left_out(server: Running) -> None:
    p = infer(server, "flows", tensor("sequences", X[:1]))["probabilities"]
    for data in (X[:1].tolist(), X[0].tolist(), X[0].ravel().tolist()):
        found = infer(server, "flows", tensor("sequences", X[:1]) | {"data": data})["probabilities"]
        assert np.array_equal(found, p)


def test_unsigned_numbers_of_64_bits_may_be_large_in_json_too() -> None:
    body = {"inputs": [{"name": "hash", "datatype": "UINT64", "shape": [2], "data": [(1 << 64) - 1, 7]}]}
    assert parse(json.dumps(body).encode()).inputs["hash"].tolist() == [(1 << 64) - 1, 7]


def test_outputs_that_are_asked_for_and_the_id(server: Running) -> None:
    body = {"id": "7", "inputs": [tensor("sequences", X)], "outputs": [{"name": "probabilities"}]}
    status, answer, _ = server.call("/v2/models/flows/infer", body)
    assert (status, answer["id"], [each["name"] for each in answer["outputs"]]) == (200, "7", ["probabilities"])
    assert answer["model_name"] == "flows"
    assert [answer["model_version"]] == server.call("/v2/models/flows")[1]["versions"]


GOOD = tensor("sequences", X)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON"),
        (b"[NaN]", "JSON has no NaN"),
        (b"[1]", "no JSON object"),
        ({}, "inputs must be a JSON array"),
        ({"inputs": []}, "The inputs are []"),
        ({"inputs": [7]}, "JSON object with a name"),
        ({"inputs": [GOOD, GOOD]}, "two inputs 'sequences'"),
        ({"inputs": [GOOD, tensor("other", X)]}, "no input 'other'"),
        ({"inputs": [GOOD], "id": 7}, "id must be text"),
        ({"inputs": [GOOD], "outputs": [{"name": "scores"}]}, "no output 'scores'"),
        ({"inputs": [GOOD | {"shape": [3, 5, 4]}]}, "45 values"),
        ({"inputs": [GOOD | {"shape": [0, 5, 3]}]}, "whole numbers from 1"),
        ({"inputs": [GOOD | {"shape": [1, 1, 1, 45]}]}, "1 to 3 whole numbers"),
        ({"inputs": [GOOD | {"datatype": "FP31"}]}, "datatype"),
        ({"inputs": [GOOD | {"datatype": ["FP32"]}]}, "datatype"),
        ({"inputs": [GOOD | {"data": ["1.5"] * 45}]}, """is FP32, but value 1 of its data is "1.5\""""),
        ({"inputs": [GOOD | {"data": [1.5, True] + [0] * 43}]}, "is FP32, but value 2 of its data is true"),
        (
            {"inputs": [GOOD | {"datatype": "INT8", "data": [1] * 44 + [None]}]},
            "is INT8, but value 45 of its data is null",
        ),
        ({"inputs": [GOOD | {"datatype": "BYTES", "data": ["1.5"] * 45}]}, "is BYTES of shape [3, 5, 3]"),
        ({"inputs": [GOOD | {"data": [1e39] * 45}]}, "finite"),
        ({"inputs": [GOOD | {"data": [None] * 45}]}, "finite"),
        ({"inputs": [GOOD | {"data": 7}]}, "needs data"),
        ({"inputs": [GOOD | {"data": [[[[1.0]]]]}]}, "of the shape [3, 5, 3]"),
        ({"inputs": [GOOD | {"data": [[1.0], 2]}]}, "of the shape [3, 5, 3]"),
        ({"inputs": [GOOD | {"shape": [1, 2, 3], "data": [[[1, 2], [3, 4, 5, 6]]]}]}, "of the shape [1, 2, 3]"),
        ({"inputs": [GOOD | {"shape": [1, 2, 3], "data": [[1, 2], [3, 4], [5, 6]]}]}, "of the shape [1, 2, 3]"),
        ({"inputs": [GOOD | {"parameters": {"binary_data_size": 180}}]}, "0 bytes are left"),
        ({"inputs": [GOOD, tensor("lengths", np.array([1, 6, 1]), "INT64")]}, "Length 2 is 6, and there are 5 steps"),
        ({"inputs": [GOOD, tensor("lengths", np.array([1, -1, 1]), "INT64")]}, "from 0"),
        ({"inputs": [GOOD, tensor("lengths", np.array([1, 1]), "INT64")]}, "2 lengths and 3 sequences"),
        ({"inputs": [GOOD, tensor("lengths", np.array([1, 1, 2**70]), "INT64")]}, "value 3 of its data is 1.18"),
        ({"inputs": [GOOD, tensor("mask", np.ones((3, 4), bool), "BOOL")]}, "mask is BOOL [3, 4]"),
        (
            {"inputs": [tensor("sequences", X[0]), tensor("lengths", np.array([4, 2]), "INT64")]},
            "sum up to",
        ),
        ({"inputs": [tensor("sequences", X[..., :2])]}, "[steps, 3]"),
    ],
)
def test_what_is_wrong_is_said(server: Running, body: Any, said: str) -> None:
    status, answer, _ = server.call("/v2/models/flows/infer", body)
    assert (status, list(answer)) == (400, ["error"])
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("column", "datatype", "said"),
    [
        ("bytes", "BYTES", "Input 'bytes' is BYTES; the model needs numbers, such as FP64."),
        ("protocol", "FP32", "Input 'protocol' is FP32; the model needs BYTES, whole numbers or BOOL."),
    ],
)
def test_a_column_of_another_type(server: Running, column: str, datatype: str, said: str) -> None:
    data = ["1"] if datatype == "BYTES" else [1.0]
    inputs = [
        each | ({"datatype": datatype} if each["name"] == column else {}) for each in kinds_inputs(**{column: data})
    ]
    status, answer, _ = server.call("/v2/models/kinds/infer", {"inputs": inputs})
    assert (status, answer["error"]) == (400, said)


def test_bytes_that_do_not_fit(server: Running) -> None:
    given: dict[str, Any] = {"name": "sequences", "shape": [1, 2, 3], "datatype": "FP32"}
    for size, body, header, said in (
        (24, bytes(24), None, ""),
        (24, bytes(25), None, "1 bytes of the body belong to no input"),
        (20, bytes(20), None, "needs 24"),
        (24, bytes(24), "999", "is 999"),
        (24, bytes(24), "x", "whole number"),
        (-1, bytes(24), None, "binary_data_size is -1"),
    ):
        given["parameters"] = {"binary_data_size": size}
        head = json.dumps({"inputs": [given]}).encode()
        headers = {"Inference-Header-Content-Length": header or str(len(head))}
        status, answer, _ = server.call("/v2/models/flows/infer", head + body, headers)
        assert status == (400 if said else 200), answer
        assert said in str(answer)


@pytest.mark.slow
def test_a_file_that_cannot_be_read_keeps_no_other_from_being_served(tmp_path: Path, start: Any) -> None:
    saved({"flows": MODELS["flows"]}, tmp_path)
    (tmp_path / "broken.bothways").write_bytes(b"nothing")
    server = start(tmp_path)
    assert server.call("/v2/models")[1] == {"models": ["flows"]}
    (line,) = [json.loads(line) for line in server.log if "refused" in line]
    assert line["event"] == "model refused"
    assert "broken.bothways" in line["why"]
    saved({"broken": MODELS["flows"]}, tmp_path)
    for _ in range(100):
        if server.call("/v2/models/broken")[0] == 200:
            break
        time.sleep(0.1)
    assert server.call("/v2/models")[1] == {"models": ["broken", "flows"]}


@pytest.mark.slow
def test_a_server_without_a_model_is_not_ready(tmp_path: Path, start: Any) -> None:
    server = start(saved({"flows": MODELS["flows"]}, tmp_path))
    (tmp_path / "flows.bothways").unlink()
    for _ in range(100):
        status, answer, _ = server.call("/v2/health/ready")
        if status == 503:
            break
        time.sleep(0.1)
    assert (status, answer) == (503, {"ready": False})
    assert server.call("/v2/health/live")[0] == 200


def test_a_file_that_is_replaced_is_taken_up_while_requests_run(tmp_path: Path, start: Any) -> None:
    path = tmp_path / "flows.bothways"
    store.save(model_of(), path)
    server = start(path)
    (first,) = server.call("/v2/models/flows")[1]["versions"]
    store.save(model_of(seed=1), path)
    versions = [first]
    for _ in range(2000):
        status, answer, _ = server.call("/v2/models/flows/infer", {"inputs": [GOOD]})
        assert status == 200
        if answer["model_version"] != first:
            break
        versions.append(answer["model_version"])
    assert answer["model_version"] != first
    p = np.array(answer["outputs"][1]["data"], np.float32).reshape(3, 5, 2)
    assert np.array_equal(p, np.stack(expected(model_of(seed=1), list(X))))
    path.write_bytes(b"nothing")
    assert server.call("/v2/models/flows/infer", {"inputs": [GOOD]})[0] == 200
    assert server.stop() == 0


def test_a_file_that_comes_back_is_served_again(tmp_path: Path) -> None:
    models = Models(saved({"flows": MODELS["flows"], "table": MODELS["table"]}, tmp_path))
    file = tmp_path / "flows.bothways"
    for there, name in ((False, "aside"), (True, "flows.bothways")):
        file = file.rename(tmp_path / name)
        models.refresh()
        assert ("flows" in models.served) == there


@pytest.fixture(scope="module")
def http() -> Any:
    """NVIDIA's own client."""
    return pytest.importorskip("tritonclient.http")


@pytest.fixture(scope="module")
def client(http: Any, server: Running) -> Any:
    return http.InferenceServerClient(f"127.0.0.1:{server.port}")


def test_triton_health_and_metadata(client: Any) -> None:
    assert all([client.is_server_live(), client.is_server_ready(), client.is_model_ready("flows")])
    assert client.get_server_metadata()["name"] == "bothways"
    assert client.get_model_metadata("flows")["name"] == "flows"


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("outputs", [None, False, True])
def test_triton_infer(http: Any, client: Any, binary_in: bool, outputs: bool | None) -> None:
    given = http.InferInput("sequences", list(X.shape), "FP32")
    given.set_data_from_numpy(X, binary_data=binary_in)
    asked = None
    if outputs is not None:
        asked = [http.InferRequestedOutput(name, binary_data=outputs) for name in ("probabilities", "labels")]
    result = client.infer("flows", [given], outputs=asked, request_id="a")
    p = np.stack(expected(MODELS["flows"], list(X)))
    assert np.array_equal(result.as_numpy("probabilities").astype(np.float32), p)
    labels = result.as_numpy("labels")
    text = [label.decode() if isinstance(label, bytes) else label for label in labels.ravel()]
    assert text == np.array(["calm", "scan"])[p.argmax(-1)].ravel().tolist()
    assert result.get_response()["id"] == "a"


@pytest.mark.parametrize("binary", [False, True])
def test_triton_text_numbers_and_lengths(http: Any, client: Any, binary: bool) -> None:
    protocol = np.array([["udp", "tcp", "x"], ["tcp", "", ""]], object)
    numbers = np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]])
    inputs = []
    for name, array, kind in (
        ("protocol", protocol, "BYTES"),
        ("bytes", numbers, "FP64"),
        ("at", numbers, "FP64"),
        ("lengths", np.array([3, 1]), "INT64"),
    ):
        given = http.InferInput(name, list(array.shape), kind)
        given.set_data_from_numpy(array, binary_data=binary)
        inputs.append(given)
    result = client.infer("kinds", inputs)
    assert result.as_numpy("labels").shape == (2, 3)
    assert result.as_numpy("labels").dtype == bool


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_triton_sequences_and_versions(http: Any, client: Any, packed: str | None) -> None:
    (version,) = client.get_model_metadata("flows")["versions"]
    assert client.is_model_ready("flows", version)
    found, numbers = [], []
    for first in range(0, 30, 10):
        x = X.reshape(-1, 3)[None, np.arange(first, first + 10) % 15]
        given = http.InferInput("sequences", list(x.shape), "FP32")
        given.set_data_from_numpy(x)
        result = client.infer(
            "flows",
            [given],
            model_version=version,
            sequence_id=5,
            sequence_start=first == 0,
            sequence_end=first == 20,
            request_compression_algorithm=packed,
            response_compression_algorithm=packed,
        )
        found += result.as_numpy("probabilities").tolist()
        numbers += result.as_numpy("steps").tolist()
    assert numbers == list(range(30))
    stream, x = MODELS["flows"].stream(), X.reshape(-1, 3)[np.arange(30) % 15].astype(np.float64)
    expected = stream.push_many(["a"] * 30, range(30), x) + stream.flush()
    assert np.array_equal(np.array(found, np.float32), np.array([each.probabilities for each in expected], np.float32))


def test_triton_errors(http: Any, client: Any) -> None:
    from tritonclient.utils import InferenceServerException

    given = http.InferInput("sequences", [1, 1, 2], "FP32")
    given.set_data_from_numpy(X[:1, :1, :2])
    with pytest.raises(InferenceServerException, match=r"\[400\].*\[steps, 3\]"):
        client.infer("flows", [given])
    with pytest.raises(InferenceServerException, match="no model 'none'"):
        client.get_model_metadata("none")
    with pytest.raises(InferenceServerException, match="not 'ffffffff'"):
        client.infer("flows", [given], model_version="ffffffff")
