"""Tables labeled by a model whose weights are written by hand: thresholds, probabilities, folders."""

from __future__ import annotations

import json
import os
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import jobs, store
from bothways.cli import main
from bothways.data import Columns
from bothways.errors import DataError, InputError, ModelFileError
from bothways.metrics import choose_threshold
from bothways.network import Network
from bothways.runtime import Label, Member, Model


def some_model(classes: tuple[Label, ...] = ("calm", "scan"), **facts: Any) -> Model:
    network = Network(features=1, classes=len(classes), units=2, encoding="standard", levels="raw", changes=0)
    generator = np.random.default_rng(0)
    weights = {
        name: generator.uniform(0.1, 2, shape).astype(np.float32) for name, shape in network.weight_shapes().items()
    }
    weights["head/bias"] -= 1
    counts = dict(zip(classes, (5, 3, 1), strict=False))
    return Model([Member(network, weights)], classes, Columns("kind", ("x",), "flow"), counts, facts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, and tables of which the second has the rows of the first and more."""
    store.save(some_model(), tmp_path / "some.bothways")
    x = np.linspace(-2, 2, 12).round(3)
    frame = pl.DataFrame({"flow": np.repeat(["a", "b", "c"], 4), "x": x})
    (tmp_path / "tables").mkdir()
    frame.head(8).write_csv(tmp_path / "tables" / "one.csv")
    frame.write_csv(tmp_path / "tables" / "two.csv")
    return tmp_path


def labeled(folder: Path, model: Model | None = None, **more: Any) -> pl.DataFrame:
    if model is not None:
        store.save(model, folder / "some.bothways")
    output = folder / "out.csv"
    jobs.predict(folder / "some.bothways", folder / "tables" / "two.csv", output, say=lambda message: None, **more)
    return pl.read_csv(output)


def test_a_probability_for_each_class(folder: Path) -> None:
    frame = labeled(folder, probabilities=True)
    assert frame.columns == [
        "flow", "x", "predicted", "probability", "probability of calm", "probability of scan",
    ]  # fmt: skip
    p = frame.select("probability of calm", "probability of scan").to_numpy()
    assert np.allclose(p.sum(axis=1), 1, atol=1e-6)
    assert frame["probability"].to_list() == p.max(axis=1).tolist()
    assert frame["predicted"].to_list() == np.array(["calm", "scan"])[p.argmax(axis=1)].tolist()
    assert set(frame["predicted"]) == {"calm", "scan"}


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_fields_are_separated_as_they_were(folder: Path, ending: str) -> None:
    text = (folder / "tables" / "one.csv").read_text().replace(",", ";").replace(".", ",")
    (folder / "some.csv").write_text(text)
    jobs.predict(folder / "some.bothways", folder / "some.csv", folder / f"out{ending}", say=lambda text: None)
    found = pl.read_csv(folder / f"out{ending}", separator=";", decimal_comma=True)
    assert found.columns == ["flow", "x", "predicted", "probability"]
    assert found["x"].to_list() == pl.read_csv(folder / "tables" / "one.csv")["x"].to_list()


@pytest.mark.parametrize(
    ("encoding", "begins"), [("utf-8", b""), ("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xef\xbb\xbf")]
)
def test_spreadsheets_tell_the_encoding_and_the_decimal_sign_as_before(
    folder: Path, encoding: str, begins: bytes
) -> None:
    text = (folder / "tables" / "one.csv").read_text().replace(",", ";").replace(".", ",")
    (folder / "some.csv").write_text(text, encoding=encoding)
    jobs.predict(
        folder / "some.bothways", folder / "some.csv", folder / "out.csv", decimal="comma", say=lambda text: None
    )
    found = (folder / "out.csv").read_bytes()
    assert found.startswith(begins + b"flow;x;predicted;probability\n")
    assert b"." not in found
    read = pl.read_csv(folder / "out.csv", separator=";", decimal_comma=True)
    assert (read["probability"] >= 0.5).all()


def test_json_lines_come_back_as_they_were(folder: Path) -> None:
    rows = [
        {"flow": "a", "x": 0.5, "due": "01/02/2024", "note": "n/a", "num": "1,5", "at": "2024-01-01T00:00:00+02:00"},
        {"flow": "a", "x": 1.5, "due": "13/02/2024", "note": "", "num": "007", "at": "2024-01-01T00:01:00+02:00"},
    ]
    (folder / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = list[str]()
    jobs.predict(folder / "some.bothways", folder / "some.jsonl", folder / "out.jsonl", say=said.append)
    found = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [{name: row[name] for name in rows[0]} for row in found] == rows
    assert said == []


def test_what_changes_from_fields_to_values_is_told(folder: Path) -> None:
    (folder / "some.csv").write_text("flow,x,due\na,1,13/02/2024\na,2,01/02/2024\n")
    said = list[str]()
    jobs.predict(folder / "some.bothways", folder / "some.csv", folder / "out.jsonl", say=said.append)
    assert said == ["Column 'due': dates are day/month/year."]


def test_a_column_of_such_a_name(folder: Path) -> None:
    path = folder / "tables" / "two.csv"
    pl.read_csv(path).with_columns(pl.lit(1).alias("probability of scan")).write_csv(path)
    labeled(folder)
    with pytest.raises(DataError, match="There is a column 'probability of scan' already"):
        labeled(folder, probabilities=True)


def test_a_threshold_decides_for_the_rarer_class(folder: Path) -> None:
    p = labeled(folder, probabilities=True)["probability of scan"].to_numpy()
    value = float(np.sort(p)[4])
    frame = labeled(folder, threshold=value, probabilities=True)
    assert (frame["predicted"] == "scan").to_list() == (p >= np.float32(value)).tolist()
    of = frame.select(
        pl.when(pl.col("predicted") == "scan").then("probability of scan").otherwise("probability of calm")
    )
    assert frame["probability"].to_list() == of.to_series().to_list()
    assert set(labeled(folder, threshold=0)["predicted"]) == {"scan"}


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_of_more_classes_one_is_told_from_the_rest(folder: Path, balance: float) -> None:
    model = replace(some_model(("calm", "scan", "worm")), balance=balance)
    names = ["probability of calm", "probability of scan"]
    frame = labeled(folder, model, probabilities=True)
    p = frame.select(*names, "probability of worm").to_numpy().astype(np.float32)
    value = float(np.sort(p[:, 2])[4])
    calm = p[:, 0] * (0.2 if balance else 1) >= p[:, 1] * (1 / 3 if balance else 1)
    expected = np.where(p[:, 2] >= np.float32(value), "worm", np.where(calm, "calm", "scan"))
    assert labeled(folder, threshold=value)["predicted"].to_list() == expected.tolist()
    kept = {"class": "calm", "value": 0.0, "false_alarm_rate": 0.01}
    assert set(labeled(folder, replace(model, facts={"threshold": kept}), threshold="saved")["predicted"]) == {"calm"}


def test_the_threshold_in_the_model(folder: Path) -> None:
    kept = {"class": "calm", "value": 0.0, "false_alarm_rate": 0.01}
    assert set(labeled(folder, some_model(threshold=kept), threshold="saved")["predicted"]) == {"calm"}
    assert set(labeled(folder, threshold="1")["predicted"]) == {"scan"}


def test_a_threshold_above_1_that_the_model_keeps_is_for_no_alarm(folder: Path) -> None:
    kept = {
        "class": "scan",
        "value": choose_threshold(np.ones(2, np.float32), [True, False], 0.0),
        "false_alarm_rate": 0.0,
    }
    for threshold in ("saved", kept["value"]):
        assert set(labeled(folder, some_model(threshold=kept), threshold=threshold)["predicted"]) == {"calm"}


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        (["--threshold"], {"calm"}),
        (["--threshold", "1"], {"scan"}),
        (["--threshold=1e0"], {"scan"}),
        ([], {"calm", "scan"}),
    ],
)
def test_the_option_may_stand_without_a_value(folder: Path, given: list[str], labels: set[str]) -> None:
    kept = {"class": "calm", "value": 0.0, "false_alarm_rate": 0.01}
    store.save(some_model(threshold=kept), folder / "some.bothways")
    data, output = folder / "tables" / "two.csv", folder / "out.csv"
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["predict", str(folder / "some.bothways"), *given, str(data), "-o", str(output)])
    assert set(pl.read_csv(output)["predicted"]) == labels


@pytest.mark.parametrize(
    ("model", "threshold", "said"),
    [
        (some_model(), "saved", "This model keeps no alarm threshold. Give one as a number, or let `bothways evaluate"),
        (some_model(("O", "B-x", "I-x")), 0.5, "A threshold is for classes; the labels of this model are tags"),
        (some_model(), "half", "threshold is 'half'; it must be a probability from 0 to 1, or 'saved'"),
        (some_model(), 1.5, "threshold is 1.5; it must be a probability"),
        (some_model(), "nan", "threshold is 'nan'; it must be a probability"),
    ],
)
def test_thresholds_that_cannot_be(folder: Path, model: Model, threshold: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        labeled(folder, model, threshold=threshold)
    assert not (folder / "out.csv").exists()


def test_a_threshold_of_no_class(folder: Path) -> None:
    kept = {"class": "flood", "value": 0.5, "false_alarm_rate": 0.01}
    with pytest.raises(ModelFileError, match="threshold"):
        labeled(folder, some_model(threshold=kept), threshold="saved")


@pytest.mark.parametrize(
    ("classes", "text"),
    [((False, True), {"false", "true"}), ((0, 1), {"0", "1"}), (("False", "True"), {"False", "True"})],
)
def test_labels_come_back_as_they_were(folder: Path, classes: tuple[Label, ...], text: set[str]) -> None:
    """Truth values as Polars writes them, text as it is."""
    store.save(some_model(classes), folder / "some.bothways")
    for name in ("out.parquet", "out.csv"):
        jobs.predict(folder / "some.bothways", folder / "tables" / "two.csv", folder / name)
    assert set(pl.read_parquet(folder / "out.parquet")["predicted"]) == set(classes)
    assert set(pl.read_csv(folder / "out.csv", infer_schema=False)["predicted"]) == text


def test_standard_output_is_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="not written to standard output"):
        jobs.predict(folder / "some.bothways", folder / "tables", "-")
    assert not Path("-").exists()


@pytest.mark.slow
def test_each_file_of_a_folder_on_its_own(folder: Path) -> None:
    rows: list[int] = []
    done = jobs.predict(folder / "some.bothways", folder / "tables", folder / "new", on_rows=rows.append)
    assert (done.rows, done.sequences, rows[-1]) == (20, 5, 20)
    assert sum(done.predicted.values()) == 20
    assert [each.path.name for each in done.files] == ["one.csv", "two.csv"]
    assert [each["rows"] for each in done.to_json()["files"]] == [8, 12]
    assert (folder / "new" / "two.csv").read_text() == labeled(folder).write_csv()
    assert pl.read_csv(folder / "new" / "one.csv").height == 8


def test_a_process_that_is_killed_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(tasks: object) -> None:
        raise BrokenProcessPool("A worker process was unexpectedly terminated.")

    monkeypatch.setattr("joblib.Parallel", lambda **how: killed)
    with pytest.raises(DataError, match="out: a process that labels files was killed, as where memory is short"):
        jobs.predict(folder / "some.bothways", folder / "tables", folder / "out")


def test_a_folder_as_one_table(folder: Path) -> None:
    done = jobs.predict(folder / "some.bothways", folder / "tables" / "t*.csv", folder / "out.csv")
    assert (done.rows, done.files) == (12, ())


@pytest.mark.parametrize(("name", "said"), [("y", "no column 'x'"), ("x,predicted", "a column 'predicted' already")])
def test_files_that_cannot_be_labeled_are_named_and_the_others_are(folder: Path, name: str, said: str) -> None:
    (folder / "tables" / "one.csv").write_text(f"flow,{name}\na,1" + ",1" * name.count(","))
    with pytest.raises(DataError, match=rf"1 of 2 files could not be labeled\. .*one\.csv: .*{said}"):
        jobs.predict(folder / "some.bothways", folder / "tables", folder / "new", say=lambda message: None)
    assert [path.name for path in (folder / "new").iterdir()] == ["two.csv"]


@pytest.mark.parametrize("data", ["tables", "tables/*.csv", "tables/two.csv"])
@pytest.mark.parametrize("output", ["tables/two.csv", "hard.csv", "soft.csv", "tables/new.csv", "tables"])
def test_an_output_among_the_inputs_is_refused(folder: Path, data: str, output: str) -> None:
    two = folder / "tables" / "two.csv"
    os.link(two, folder / "hard.csv")
    (folder / "soft.csv").symlink_to(two)
    before = two.read_bytes()
    run = (folder / "some.bothways", folder / data, folder / output)
    if (data, output) == ("tables/two.csv", "tables/new.csv"):
        jobs.predict(*run)
    else:
        with pytest.raises(InputError, match=r"somewhere else|another one"):
            jobs.predict(*run)
    assert two.read_bytes() == before


def test_brackets_in_names_are_no_pattern_where_there_is_such_a_file(folder: Path) -> None:
    tables = (folder / "tables").rename(folder / "[1]")
    with pytest.raises(InputError, match="somewhere else"):
        jobs.predict(folder / "some.bothways", tables, tables / "new.csv")
    (tables / "one.csv").rename(folder / "[one].csv")
    done = jobs.predict(folder / "some.bothways", folder / "[one].csv", folder / "o.csv", say=lambda message: None)
    assert done.rows == 8


def test_quantize_tells_of_other_units_as_evaluate_does(folder: Path) -> None:
    columns = Columns("kind", ("x",), "flow", units={"x": "kg"})
    store.save(replace(some_model(), columns=columns), folder / "some.bothways")
    rows = "".join(f"{i // 4},{i} g,{['calm', 'scan'][i % 2]}\n" for i in range(40))
    (folder / "g.csv").write_text("flow,x,kind\n" + rows)
    said: dict[str, list[str]] = {"evaluate": [], "quantize": []}
    jobs.evaluate(folder / "some.bothways", folder / "g.csv", say=said["evaluate"].append)
    jobs.quantize(folder / "some.bothways", folder / "g.csv", folder / "int8.bothways", say=said["quantize"].append)
    assert any("has the unit 'g' here, and had 'kg'" in each for each in said["evaluate"])
    assert said["quantize"] == said["evaluate"]
