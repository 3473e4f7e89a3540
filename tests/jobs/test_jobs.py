"""The jobs on tables, from a file to a model, an evaluation, a page and labels."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import interrupts, jobs, load
from bothways.data import Columns, hours, times
from bothways.errors import DataError, InputError
from bothways.sequences import Sequences
from bothways.tables import Table
from tolerances import KERAS, error

SETTINGS: dict[str, Any] = {"units": 8, "epochs": 12, "embedding": 4, "dropout": 0.1, "learning_rate": 0.03}


def silent(message: str) -> None:
    """Say nothing."""


def traces(count: int = 60) -> pl.DataFrame:
    """Traces of calls; one with the call 7 right after the call 3 is an attack. Rows stand in order."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        calls = random.choice([1, 2, 3, 4, 5], size=random.integers(5, 20))
        if number % 3 == 0:
            at = random.integers(1, len(calls))
            calls[at - 1 : at + 1] = 3, 7
        label = "attack" if number % 3 == 0 else "calm"
        part = ("train", "train", "train", "valid", "test")[number // 3 % 5]
        rows += [(f"t{number:03}", step, int(call), label, part) for step, call in enumerate(calls)]
    return pl.DataFrame(rows, ["trace", "step", "call", "kind", "part"], orient="row")


ROLES: dict[str, Any] = {
    "label": "kind",
    "sequence": "trace",
    "order": "step",
    "split": "part",
    "categorical": ["call"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds traces.parquet, and traces.bothways trained on them."""
    path = tmp_path_factory.mktemp("traces")
    traces().write_parquet(path / "traces.parquet")
    settings = SETTINGS | {"pooling": "max", "epochs": 30}
    jobs.train(path / "traces.parquet", path / "traces.bothways", settings=settings, say=silent, **ROLES)
    return path


def test_labels_of_sequences(folder: Path, tmp_path: Path) -> None:
    model = load(folder / "traces.bothways")
    assert model.network.per == "sequence"
    assert model.network.categories == (7,)  # 6 calls, and the unknown one
    evaluation = jobs.evaluate(folder / "traces.bothways", folder / "traces.parquet", say=silent)
    assert evaluation.accuracy == 1.0
    assert set(evaluation.baselines) == {"majority", "most_frequent_per_value", "one_step", "forest", "n_grams"}
    output = tmp_path / "labeled.jsonl"
    prediction = jobs.predict(folder / "traces.bothways", folder / "traces.parquet", output, say=silent)
    frame = traces()
    labeled = pl.read_ndjson(output)
    assert prediction.rows == labeled.height == frame.height
    test = labeled.filter(part="test")
    assert (test["predicted"] == test["kind"]).all()


@pytest.mark.slow
def test_settings_that_change_nothing_are_told(tmp_path: Path) -> None:
    traces().with_columns(kind=pl.when(call=7).then(pl.lit("attack")).otherwise(pl.lit("calm"))).write_parquet(
        tmp_path / "steps.parquet"
    )
    said: list[str] = []
    settings = {"epochs": 1, "units": 2, "direction": "forward", "pooling": "max", "merge_mode": "sum"}
    jobs.train(
        tmp_path / "steps.parquet",
        tmp_path / "steps.bothways",
        settings=settings,
        budget="0",
        allow_leaks=True,
        say=said.append,
        **ROLES,
    )
    told = [each.partition(",")[0] for each in said if "changes nothing" in each]
    assert told == ["merge_mode is 'sum'", "pooling is 'max'"]


def test_how_to_look_for_settings_is_checked_before_the_table_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="members is 0; it must be a whole number of at least 1"):
        jobs.train(tmp_path / "nowhere.csv", tmp_path / "some.bothways", members=0, say=silent)


def test_a_budget_of_nothing_trains_once_however_it_is_written(folder: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"settings": {"epochs": 1, "units": 2}, "say": silent, **ROLES}
    for budget in (0.0, "0"):
        jobs.train(folder / "traces.parquet", tmp_path / f"{budget}.bothways", budget=budget, **how)
    assert (tmp_path / "0.0.bothways").read_bytes() == (tmp_path / "0.bothways").read_bytes()


def test_sequences_of_training_are_told_where_a_table_has_no_parts(folder: Path, tmp_path: Path) -> None:
    for part, told in (("train", True), ("valid", True), ("test", False)):
        traces().filter(part=part).drop("part").write_parquet(tmp_path / "some.parquet")
        said: list[str] = []
        jobs.evaluate(folder / "traces.bothways", tmp_path / "some.parquet", say=said.append)
        assert any("that training has seen, step for step" in each for each in said) == told


def test_a_table_in_pieces_gives_the_same_labels(folder: Path, tmp_path: Path) -> None:
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    for name, part in traces().group_by("trace", maintain_order=True):
        part.write_csv(pieces / f"{name[0]}.csv")
    jobs.predict(folder / "traces.bothways", pieces, tmp_path / "a.parquet", say=silent)
    jobs.predict(folder / "traces.bothways", folder / "traces.parquet", tmp_path / "b.parquet", say=silent)
    pieces_labeled, whole = pl.read_parquet(tmp_path / "a.parquet"), pl.read_parquet(tmp_path / "b.parquet")
    for column in ("trace", "step", "predicted"):
        assert pieces_labeled[column].equals(whole[column]), column
    assert error(pieces_labeled["probability"].to_numpy(), whole["probability"].to_numpy()) < KERAS


def test_a_threshold_comes_from_the_valid_part(folder: Path) -> None:
    evaluation = jobs.evaluate(folder / "traces.bothways", folder / "traces.parquet", false_alarm_rate=0.0, say=silent)
    alarms = evaluation.alarms
    assert evaluation.positive == "attack"
    assert alarms is not None
    model = load(folder / "traces.bothways")
    valid = jobs.evaluate(folder / "traces.bothways", folder / "traces.parquet", "valid", say=silent)
    assert valid.alarms is None
    assert evaluation.to_json()["threshold"]["class"] == "attack"
    assert (alarms.positives, alarms.negatives) == (4, 8)
    assert alarms.threshold <= 1.0
    assert model.classes == ("attack", "calm")
    with pytest.raises(InputError, match="no class 'intruder'"):
        jobs.evaluate(folder / "traces.bothways", folder / "traces.parquet", positive="intruder", say=silent)


def test_the_threshold_is_kept_in_the_model(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "traces.bothways"
    model.write_bytes((folder / "traces.bothways").read_bytes())
    arguments: dict[str, Any] = {"data": folder / "traces.parquet", "save_threshold": True, "say": silent}
    with pytest.raises(InputError, match=r"no threshold to save\. Choose one: add false_alarm_rate=0\.01"):
        jobs.evaluate(model, **arguments)
    evaluation = jobs.evaluate(model, false_alarm_rate=0.1, **arguments)
    assert evaluation.alarms is not None
    kept = {"class": "attack", "value": evaluation.alarms.threshold, "false_alarm_rate": 0.1}
    assert load(model).facts["threshold"] == kept
    again = jobs.evaluate(model, folder / "traces.parquet", false_alarm_rate=0.1, say=silent)
    assert again.to_json() == evaluation.to_json()
    output = tmp_path / "labeled.parquet"
    how: dict[str, Any] = {"threshold": "saved", "probabilities": True, "say": silent}
    jobs.predict(model, folder / "traces.parquet", output, **how)
    labeled = pl.read_parquet(output)
    alarms = labeled["probability of attack"] >= evaluation.alarms.threshold
    assert ((labeled["predicted"] == "attack") == alarms).all()


def test_no_threshold_is_kept_in_a_model_that_was_trained_meanwhile(folder: Path, tmp_path: Path) -> None:
    model, other = tmp_path / "traces.bothways", (folder / "traces.bothways").read_bytes()
    model.write_bytes(other)

    def say(text: str) -> None:
        (tmp_path / "new").write_bytes(other)
        (tmp_path / "new").rename(model)

    rate: dict[str, Any] = {"false_alarm_rate": 0.1, "save_threshold": True}
    with pytest.raises(InputError, match=r"traces\.bothways: .* meanwhile.* Evaluate again\."):
        jobs.evaluate(model, folder / "traces.parquet", "valid", **rate, say=say)
    assert model.read_bytes() == other


def test_what_to_know_before_believing_a_score_is_said_everywhere(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    evaluation = jobs.evaluate(folder / "traces.bothways", folder / "traces.parquet", report=page, say=silent)
    (warning,) = evaluation.warnings
    assert warning.startswith("Only 12 sequences have labels")
    assert evaluation.to_json()["warnings"] == [warning]
    assert warning in page.read_text()


def test_what_the_labels_rest_on(folder: Path) -> None:
    found = jobs.evaluate(folder / "traces.bothways", folder / "traces.parquet", importance=True, say=silent).importance
    assert found is not None
    assert (found.score, found.value) == ("macro_f1", 1.0)
    assert list(found.columns) == ["call"]
    assert found.columns["call"].value > 0.3
    assert found.sides == {}  # a trace has one label


def test_labels_that_training_does_not_have_are_missed(folder: Path, tmp_path: Path) -> None:
    strange = pl.when((pl.col("part") == "test") & (pl.col("kind") == "attack")).then(pl.lit("scan"))
    traces().with_columns(kind=strange.otherwise("kind")).write_parquet(tmp_path / "new.parquet")
    page = tmp_path / "report.html"
    found = jobs.evaluate(folder / "traces.bothways", tmp_path / "new.parquet", report=page, say=silent)
    assert (found.unseen, found.classes["scan"].f1, found.classes["scan"].support) == (("scan",), 0.0, 4)
    assert found.macro_f1 == pytest.approx(sum(of.f1 for of in found.classes.values()) / 3)
    assert any("Training has no label 'scan': 4 sequences" in warning for warning in found.warnings)
    assert "scan" in page.read_text()


@pytest.mark.parametrize("kind", [pl.Time, pl.Duration("ms"), pl.Datetime("us", "Europe/Berlin"), pl.Date])
def test_alarms_per_hour_of_any_time(kind: Any) -> None:
    at = pl.Series("at", [datetime(2024, 1, 1, hour) for hour in range(4)])
    at = (at - at[0]) if kind == pl.Duration("ms") else at.dt.date() if kind == pl.Date else at
    at = at.dt.time() if kind == pl.Time else at.dt.replace_time_zone("Europe/Berlin") if "Berlin" in str(kind) else at
    table = Table("some.csv", pl.DataFrame({"at": at.cast(kind)}))
    sequences = Sequences(np.zeros((4, 1), np.float32), np.array([4]), rows=np.arange(4))
    columns = Columns("label", ("x",), order="at")
    assert hours(table, columns, sequences) == (None if kind == pl.Date else 4.0)


def test_hours_go_by_no_clock_that_is_changed() -> None:
    """A night in which summer begins, with its zone, and in UTC, as it is read from text."""
    begin = pl.Series("at", [datetime(2024, 3, 30, 23), datetime(2024, 3, 31), datetime(2024, 3, 31, 1, 30)])
    sequences = Sequences(np.zeros((3, 1), np.float32), np.array([3]), rows=np.arange(3))
    columns, zoned = Columns("label", ("x",), order="at"), begin.dt.replace_time_zone("UTC")
    for at in (begin, zoned, zoned.dt.convert_time_zone("Europe/Berlin")):
        table = Table("some.csv", pl.DataFrame({"at": at}))
        assert hours(table, columns, sequences) == 2.5 + 1.25
        found = times(table, columns, sequences)
        assert found is not None
        assert found.tolist() == begin.to_list()


@pytest.mark.slow
def test_alarms_an_hour_where_there_are_times(folder: Path, tmp_path: Path) -> None:
    timed = traces().with_columns(at=pl.datetime(2024, 1, 1) + pl.duration(minutes=pl.col("step"))).drop("step")
    timed.write_parquet(tmp_path / "timed.parquet")
    model = tmp_path / "timed.bothways"
    roles = ROLES | {"order": "at"}
    jobs.train(tmp_path / "timed.parquet", model, settings=SETTINGS | {"epochs": 2}, say=silent, **roles)
    alarms = jobs.evaluate(model, tmp_path / "timed.parquet", false_alarm_rate=0.5, say=silent).alarms
    assert alarms is not None
    assert alarms.hours == pytest.approx(timed.filter(part="test").height / 60)


def test_the_page(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    jobs.evaluate(folder / "traces.bothways", folder / "traces.parquet", false_alarm_rate=0.1, report=page, say=silent)
    text = page.read_text()
    for words in ("attack", "calm", "traces.parquet", "max", "dropout", "changes", "levels", "min_count", "trace"):
        assert words in text
    with pytest.raises(InputError, match="html"):
        jobs.evaluate(folder / "traces.bothways", folder / "traces.parquet", report=tmp_path / "a.pdf", say=silent)


def test_leaks_are_refused_unless_they_are_meant(tmp_path: Path) -> None:
    data = tmp_path / "leaky.parquet"
    traces().with_columns(verdict=pl.col("kind").replace_strict({"attack": 1, "calm": 0})).write_parquet(data)
    with pytest.raises(DataError, match=r"verdict.*allow_leaks=True"):
        jobs.train(data, tmp_path / "some.bothways", say=silent, **ROLES)
    said: list[str] = []
    jobs.train(
        data,
        tmp_path / "some.bothways",
        settings=SETTINGS | {"epochs": 1},
        allow_leaks=True,
        say=said.append,
        **ROLES,
    )
    assert any("Careful" in message and "verdict" in message for message in said)


class _KilledError(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_killed_run_goes_on_to_the_same_bits(folder: Path, tmp_path: Path, after: int) -> None:
    data, settings = folder / "traces.parquet", SETTINGS | {"epochs": 5, "patience": None}
    jobs.train(data, tmp_path / "whole.bothways", settings=settings, say=silent, **ROLES)

    def kill(report: Any) -> None:
        if report.epoch == after:
            raise _KilledError

    killed = tmp_path / "killed.bothways"
    with pytest.raises(_KilledError):
        jobs.train(data, killed, settings=settings, say=silent, on_epoch=kill, **ROLES)
    assert not killed.exists()
    epochs: list[int] = []
    jobs.train(
        data, killed, settings=settings, resume=True, say=silent, on_epoch=lambda r: epochs.append(r.epoch), **ROLES
    )
    assert epochs[0] <= after + 1
    assert epochs[-1] == 5
    whole, resumed = load(tmp_path / "whole.bothways"), load(killed)
    for name, array in whole.weights.items():
        assert (resumed.weights[name] == array).all(), name
    assert [path.name for path in tmp_path.iterdir() if "checkpoint" in path.name] == []


def test_ctrl_c_keeps_the_best_model(folder: Path, tmp_path: Path) -> None:
    def stop(report: Any) -> None:
        if report.epoch == 2:
            raise KeyboardInterrupt

    model = tmp_path / "stopped.bothways"
    with pytest.raises(KeyboardInterrupt):
        jobs.train(folder / "traces.parquet", model, settings=SETTINGS, say=silent, on_epoch=stop, **ROLES)
    assert interrupts.kept == f"{model} is the best model of 2 epochs; to go on from there, add resume=True."
    assert load(model).facts["epochs"] == 2
    resumed = jobs.train(folder / "traces.parquet", model, settings=SETTINGS, resume=True, say=silent, **ROLES)
    assert resumed.epochs > 2


@pytest.mark.slow
def test_whoever_ends_a_search_is_told_how_to_go_on(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    jobs.train(
        folder / "traces.parquet",
        tmp_path / "some.bothways",
        settings={"units": 2, "epochs": 1},
        budget=0.01,
        say=silent,
        on_trial=lambda progress: said.append(interrupts.kept),
        **ROLES,
    )
    assert said[0].endswith("some.bothways.checkpoint has what was trained; to go on from there, add resume=True.")
    assert interrupts.kept == ""


def test_bad_settings_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no setting 'unit'"):
        jobs.train(folder / "traces.parquet", tmp_path / "some.bothways", settings={"unit": 3}, say=silent)


def test_a_level_that_drifts_between_days_does_not_count_once_centered(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    days = []
    for day in range(9):
        people = np.repeat(random.integers(0, 2, 6), 10)
        days.append(
            pl.DataFrame({"day": f"d{day}", "co2": np.cumsum(8.0 * people - 4 + random.normal(size=60)), "in": people})
        )
    table = pl.concat(days).with_columns(
        part=pl.when(pl.col("day") == "d8").then(pl.lit("test")).when(pl.col("day") == "d7").then(pl.lit("valid"))
        .otherwise(pl.lit("train"))
    )  # fmt: skip
    drifted = table.with_columns(co2=pl.when(pl.col("part") == "test").then(pl.col("co2") + 512).otherwise("co2"))
    for name, frame in {"same": table, "drifted": drifted}.items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    roles: dict[str, Any] = {"label": "in", "sequence": "day", "order": None, "split": "part"}
    jobs.train(
        tmp_path / "same.parquet",
        tmp_path / "co2.bothways",
        settings={"units": 8, "epochs": 15, "learning_rate": 0.03, "levels": "centered"},
        say=silent,
        **roles,
    )
    for name in ("same", "drifted"):
        jobs.predict(
            tmp_path / "co2.bothways", tmp_path / f"{name}.parquet", tmp_path / f"{name}_out.parquet", say=silent
        )
        accuracy = jobs.evaluate(tmp_path / "co2.bothways", tmp_path / f"{name}.parquet", say=silent).to_json()[
            "accuracy"
        ]
        assert accuracy > 0.8
    same, drifted = (pl.read_parquet(tmp_path / f"{name}_out.parquet") for name in ("same", "drifted"))
    np.testing.assert_allclose(same["probability"], drifted["probability"], atol=1e-4)


def test_a_table_of_another_country(tmp_path: Path) -> None:
    lines = ["Gerät;Zeit;Wert;Stufe;Zustand"]
    for row in range(600):
        day, at, level = f"{row // 20 % 12 + 1:02}.02.2024", f"{row % 20:02}:00", "k.A." if row % 50 == 0 else "1"
        lines.append(
            f"g{row // 20};{day} {at};{row * 37 % 19},{row % 10};{level};{'Störung' if row * 37 % 19 > 9 else 'gut'}"
        )
    path = tmp_path / "werte.csv"
    path.write_bytes("\n".join(lines).encode("cp1252"))
    said: list[str] = []
    roles: dict[str, Any] = {"label": "Zustand", "sequence": "Gerät", "order": "Zeit", "missing": ["k.A."]}
    model = tmp_path / "werte.bothways"
    jobs.train(path, model, settings=SETTINGS | {"epochs": 1}, say=said.append, allow_leaks=True, **roles)
    told = "\n".join(said)
    assert "it is read as Windows-1252" in told
    assert "decimal comma" in told
    assert "dates are day/month/year" in told
    assert "12 fields are missing ('k.A.')" in told
    said.clear()
    jobs.evaluate(model, path, "all", say=said.append)
    assert "Column 'Wert': decimal comma." in said
    prediction = jobs.predict(model, path, tmp_path / "labeled.csv.gz", say=said.append)
    assert prediction.rows == 600
    labeled = pl.read_csv(tmp_path / "labeled.csv.gz", separator=";", infer_schema=False)
    assert labeled["Wert"][1] == "18,1"
    # What the training table showed decides where a new one does not.
    path.write_text("Gerät;Zeit;Wert;Stufe\n" + "".join(f"g;0{d}/02/2024;{d}12,345;1\n" for d in range(1, 9)))
    said.clear()
    jobs.predict(model, path, tmp_path / "labeled.csv", say=said.append)
    assert "Column 'Wert': decimal comma." in said


def test_a_file_of_one_block_is_evaluated(tmp_path: Path) -> None:
    """Blank rows part the sequences of the table that the model learned from; this one has none."""
    random = np.random.default_rng(0)
    for name, count in (("many.csv", 30), ("one.csv", 1)):
        steps = [[f"{x:.2f},{'on' if x > 0 else 'off'}" for x in random.normal(size=20)] for _ in range(count)]
        (tmp_path / name).write_text("x,state\n" + "\n\n".join("\n".join(each) for each in steps) + "\n")
    settings = {"units": 4, "epochs": 1}
    jobs.train(tmp_path / "many.csv", tmp_path / "m.bothways", label="state", budget=0, settings=settings, say=silent)
    found = jobs.evaluate(tmp_path / "m.bothways", tmp_path / "one.csv", say=silent)
    assert (found.split, found.labels) == ("all", 20)
