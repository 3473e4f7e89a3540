"""Whole comparisons, small: the same numbers again, after a kill, in another order; and what can go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import compare, interrupts
from bothways.errors import DataError, InputError
from bothways.metrics import score
from bothways.options import seconds_of
from bothways.sequences import Sequences
from bothways.study import Comparison, Split, Task, array_task, pool, problem_task
from bothways.study.factors import Setting
from bothways.study.page import page_of
from bothways.study.pool import Progress, do_runs
from bothways.study.runs import DIVERGED, FAILED, Run, read_runs
from bothways.study.search import validation_score
from bothways.study.tasks import table_task
from bothways.study.worker import StudySpec, learning_curve, train_runs
from bothways.training import EpochReport, Trained

SMALL: dict[str, Any] = {"settings": {"units": 4, "epochs": 1}, "problem": {"sequences": 40, "unseen": 30}}
VARY = {"direction": ["forward", "both"], "merge_mode": ["concat", "sum"]}


def small(**more: Any) -> Comparison:
    return compare("cumulative-sum", VARY, **{"seeds": 3, **SMALL, **more})


def scores(comparison: Comparison) -> dict[str, tuple[float | None, ...]]:
    return {result.name: result.runs for result in comparison.settings}


@pytest.fixture(scope="module")
def found() -> Comparison:
    return small()


def test_cells_whose_factor_does_nothing_share_their_runs(found: Comparison) -> None:
    assert found.runs == 9
    assert found.left == 0
    runs = scores(found)
    assert len(runs) == 4
    assert runs["direction=forward merge_mode=sum"] == runs["direction=forward merge_mode=concat"]
    same = {setting.name: setting.same_as for setting in found.settings}
    assert same["direction=forward merge_mode=sum"] == "direction=forward merge_mode=concat"


def test_the_reference_and_differences(found: Comparison) -> None:
    assert found.reference == "direction=both merge_mode=concat"
    by_name = {setting.name: setting for setting in found.settings}
    assert by_name[found.reference].difference is None
    other = by_name["direction=both merge_mode=sum"]
    assert other.difference is not None
    gains = np.array(other.runs, float) - np.array(by_name[found.reference].runs, float)
    assert other.difference.median == pytest.approx(np.median(gains))
    assert other.difference.low <= other.difference.median <= other.difference.high
    assert found.shares is not None
    assert set(found.effects(1)) == {("direction",), ("merge_mode",)}


def test_costs_are_there(found: Comparison) -> None:
    for setting in found.settings:
        assert setting.parameters > 0
        assert setting.seconds > 0
        assert setting.label_us_per_step > 0
        assert setting.curve["updates"].tolist() == [1, 2, 3, 4, 5]


def test_the_same_seeds_give_the_same_numbers_whatever_the_processes(found: Comparison) -> None:
    assert scores(small(workers=1)) == scores(found)


def test_more_seeds_and_settings_use_what_is_there(
    found: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.parquet"
    first = compare("cumulative-sum", {"direction": ["forward"]}, seeds=2, output=path, **SMALL)
    assert first.runs == 2
    assert first.shares is None
    done: list[Run] = []

    def on_progress(progress: Progress) -> None:
        done[:] = progress.done

    assert scores(small(output=path, on_progress=on_progress)) == scores(found)
    assert len(done) == 7
    assert len(read_runs(path)[1]) == 9
    monkeypatch.setattr(interrupts, "kept", "")
    assert scores(small(output=path, on_progress=lambda progress: pytest.fail("nothing is left"))) == scores(found)
    assert interrupts.kept == f"9 runs are kept in {path}; the same command goes on from there."


def ended(pids: set[int]) -> bool:
    """Whether all these processes end soon."""
    limit = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < limit:
        time.sleep(0.1)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def children(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found |= {child, *children(child)}
    return found


@pytest.mark.slow
def test_a_killed_study_goes_on(found: Comparison, tmp_path: Path) -> None:
    """Killed twice: no run is lost or doubled, no process stays, and no file but the runs."""
    path, journal = tmp_path / "runs.parquet", tmp_path / "runs.parquet.journal"
    arguments = f"'cumulative-sum', {VARY!r}, seeds=3, output={str(path)!r}, workers=1, budget=600, **{SMALL!r}"
    code = f"from bothways import compare; compare({arguments}, on_progress=lambda p: print(len(p.done), flush=True))"
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline().strip(), "it ended before it could be killed"
        pids = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert ended(pids)
        assert journal.exists()
    said: list[str] = []
    assert scores(small(output=path, say=said.append)) == scores(found)
    there = int(said[-1].split()[0])
    assert 4 <= there <= 6, said
    assert len(read_runs(path)[1]) == 9
    assert [file.name for file in tmp_path.iterdir()] == ["runs.parquet"]


def test_a_diverging_run_is_marked_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    settings: dict[str, Any] = {"units": 4, "epochs": 1, "cell": "rnn_relu", "clip": 1e30}
    found = compare(
        "cumulative-sum",
        {"learning_rate": [0.01, 1e30]},
        seeds=2,
        settings=settings,
        problem=SMALL["problem"],
        output=path,
    )
    wild = next(setting for setting in found.settings if setting.factors["learning_rate"] == 1e30)
    assert wild.diverged == 2
    assert wild.runs == (0.0, 0.0)
    assert wild.median == 0.0
    assert any("2 runs diverged" in sentence for sentence in found.verdict())
    table = pl.read_parquet(path)
    assert sorted(table["status"]) == ["diverged", "diverged", "finished", "finished"]
    assert "loss" in table.filter(pl.col("status") == "diverged")["reason"][0]


def test_a_budget_ends_it_and_says_what_is_left(tmp_path: Path) -> None:
    started = time.monotonic()
    found = small(budget=0.5, seeds=1000, yes=True, output=tmp_path / "runs.parquet")
    assert time.monotonic() - started < 30
    assert found.left == 3000 - found.runs > 0
    assert "still to do" in " ".join(found.verdict()) or found.verdict()[0].startswith("Nothing can be said yet")


def done_by(spec: StudySpec, wanted: list[tuple[Setting, int]]) -> list[Run]:
    done: list[Run] = []
    assert do_runs(spec, wanted, 2, done.append, Progress(score("accuracy", (0, 1)), len(wanted)))
    return sorted(done, key=lambda run: run.seed)


TINY = Setting.of({"epochs": 1, "units": 4})
TASK = problem_task("cumulative-sum", sequences=40, unseen=30)
DEADLY = (
    "type('Deadly', (), {'__call__': lambda self, seed: __import__('os')._exit(7) if seed == 0 else "
    "__import__('bothways').study.problem_task('cumulative-sum', sequences=40, unseen=30).draw(seed)})()"
)


class Deadly:
    """Draws the data of a problem; for the first seed that is the end of the process."""

    def __reduce__(self) -> Any:
        """Told to the other process in words, which does not know this file."""
        return eval, (f"[__import__('bothways.study'), {DEADLY}][1]",)


@pytest.mark.slow
def test_a_process_that_dies_costs_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run ends its own process, however often it is tried; the others are done by other ones."""
    monkeypatch.setattr(pool, "TRIES", 2)  # each takes new processes
    task = Task(TASK.name, TASK.classes, Deadly(), TASK.shape, TASK.facts)  # type: ignore[arg-type]  # called there
    done = done_by(StudySpec(task, (), 1), [(TINY, seed) for seed in range(4)])
    assert [run.status for run in done] == ["failed", "finished", "finished", "finished"]
    assert "TerminatedWorkerError" in done[0].reason


def test_a_run_that_fails_costs_no_other() -> None:
    many = Setting((("epochs", 1), ("units", "many")))
    done = done_by(StudySpec(TASK, (), 1), [(many, 0), (TINY, 1)])
    assert [run.status for run in done] == ["failed", "finished"]
    assert "units" in done[0].reason


@pytest.mark.parametrize("monitor", ["f1", "entity_f1"])
def test_epochs_cannot_be_chosen_by_a_score_that_there_is_not(monitor: str) -> None:
    part = Sequences(np.zeros((6, 1)), np.array([3, 3]), np.array([0, 1, 2, 0, 1, 2]))
    task = array_task("three", ("a", "b", "c"), Split(part, part, part))
    with pytest.raises(InputError, match=r"f1.* is for"):
        compare(task, {"monitor": ["loss", monitor]}, seeds=1)
    (run,) = train_runs(StudySpec(task, (), 1), Setting.of({"monitor": monitor}), [0])
    assert run.status == "failed"


def test_runs_of_weighted_labels(tmp_path: Path) -> None:
    part = Sequences(np.zeros((4, 1)), np.array([2, 2]), np.array([0, 1, 0, 1]))
    tasks = [
        array_task("two", ("a", "b"), Split(each, part, part))
        for each in (part, *(replace(part, weights=np.full(4, weight, np.float32)) for weight in (1, 2)))
    ]
    assert len({task.told_by((), 0)[0] for task in tasks}) == 3
    halves = replace(part, weights=np.array([1, 1, 0.5, 1], np.float32))
    with pytest.raises(InputError, match="output keeps whole counts"):
        compare(array_task("two", ("a", "b"), Split(part, part, halves)), {"units": [2]}, output=tmp_path / "a.parquet")


def test_why_runs_failed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def do_runs(spec: Any, wanted: Any, workers: Any, keep: Any, progress: Any, *more: Any) -> bool:
        progress.done += [Run(setting, seed, FAILED, "MemoryError: no more") for setting, seed in wanted]
        return True

    monkeypatch.setattr("bothways.study.comparing.do_runs", do_runs)
    said: list[str] = []
    compare("cumulative-sum", {"units": [2]}, seeds=2, problem=SMALL["problem"], say=said.append)
    assert said[-1] == "2 runs failed, the first one by MemoryError: no more"


def test_weights_of_all_parts_are_looked_at_where_seeds_draw_their_own(tmp_path: Path) -> None:
    """Those of the first seed's test part may be whole, and those of another one not."""
    part = Sequences(np.zeros((40, 1)), np.full(20, 2), np.tile([0, 1], 20), np.ones(40, np.float32))
    halves = replace(part, weights=np.where(np.arange(40) < 2, 0.5, 1).astype(np.float32))
    task = array_task(
        "two", ("a", "b"), Split(halves.take(np.arange(10)), None, halves.take(np.arange(10, 20))), redraw=True
    )
    assert (task.draw(0).test.known_weights == 1).all()
    with pytest.raises(InputError, match="output keeps whole counts"):
        compare(task, {"units": [2]}, seeds=2, output=tmp_path / "a.parquet")


@pytest.mark.parametrize("valid", [[0, 0], [1, 1]])
def test_a_valid_part_of_one_class_chooses_no_threshold(valid: list[int]) -> None:
    """Nor does the test part, which chooses one only where there is no valid part."""
    part = Sequences(np.zeros((4, 1)), np.array([2, 2]), np.array([0, 1, 0, 1]))
    one = Sequences(np.zeros((2, 1)), np.array([2]), np.array(valid))
    for other, rates in ((one, []), (part, [0.1]), (None, [0.1])):
        task = array_task("two", ("a", "b"), Split(part, other, part))
        (run,) = train_runs(StudySpec(task, (0.1,), 1), TINY, [0])
        assert run.status == "finished", run.reason
        assert run.counts is not None
        assert list(run.counts.alarms) == rates
    task = array_task("two", ("a", "b"), Split(part, one, part))
    with pytest.raises(InputError, match="the valid part, by which thresholds are chosen, has no label"):
        compare(task, {"units": [2]}, metric="detection@0.1")


def test_the_json_is_json(found: Comparison) -> None:
    shape = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(shape["settings"][0]) >= {"factors", "metric", "median", "low", "high", "runs", "seconds"}
    assert shape["factors"]["direction"]["variance_share"] == found.effects(1)["direction",]
    assert shape["bayes_accuracy"]["forward"] == 1.0


def test_the_page_is_whole_and_escaped(found: Comparison) -> None:
    page = page_of(found, {"<i>command</i>": "<script>"})
    assert page.startswith("<!doctype html>")
    assert "<script>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    for setting in found.settings:
        assert setting.title in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "cumulative-some"}, "no such table, and no such problem. Problems: cumulative-sum"),
        ({"vary": {"wings": None}}, "no factor 'wings'"),
        ({"seeds": 0}, "seeds is 0"),
        ({"seeds": np.array([1, 1])}, r"seeds is array\(\[1, 1\]\); give how many"),
        ({"seeds": np.arange(2), "fraction": "half"}, "fraction is 'half'; it must be a number above 0 and at most 1"),
        ({"seeds": [1, 1]}, "different whole numbers"),
        ({"seeds": [2**32]}, "a seed is 4294967296; it must be a whole number of at least 0 and at most 4294967295"),
        ({"search": 0}, "search is 0"),
        ({"settings": ["units=8"]}, r"\['units=8'\] sets no factors; give their values by name"),
        ({"reference": "direction=both"}, "'direction=both' sets no factors"),
        ({"metric": "beauty"}, "no metric 'beauty'. Use one of: accuracy"),
        ({"metric": "f1:7"}, "no class '7'; there are 0, 1"),
        ({"positive": "x"}, "no class 'x' to detect"),
        ({"reference": {"direction": "backward"}}, "direction=backward, which is not among"),
        ({"budget": "soon"}, "budget is 'soon'"),
        ({"workers": 0}, "workers is 0"),
        ({"output": "runs.csv"}, r"must end in \.parquet"),
        ({"output": "nowhere/runs.parquet"}, "there is no folder"),
        ({"false_alarm_rates": [2]}, "false-alarm rate is 2"),
        ({"false_alarm_rates": 2}, "false-alarm rate is 2"),
        ({"problem": {"colour": 1}}, "no parameter 'colour'. It has: sequences, steps, unseen, threshold"),
        ({"problem": {"steps": 0}}, "steps is 0"),
        ({"data": "intrusion-flows", "problem": {"labels": "stage"}}, "intrusion-flows has no parameter 'labels'"),
        ({"table": {"label": "state"}}, r"a generated problem, and table=\{'label': ...\} is for tables"),
        ({"cluster": "spark://here"}, "cluster is 'spark://here'"),
        ({"settings": {"direction": "both"}}, "direction is varied"),
        ({"vary": {"conv_window": [0, 12]}}, "conv_window=12: a convolution with a window of 12 steps is longer"),
        ({"vary": {"units": range(1, 100_000)}, "seeds": 10}, "are 999,990 runs"),
    ],
)
def test_bad_input_is_told_before_anything_is_trained(arguments: dict[str, Any], message: str) -> None:
    everything: dict[str, Any] = {"data": "cumulative-sum", "vary": VARY, "seeds": 1} | arguments
    with pytest.raises((InputError, DataError), match=message):
        compare(
            everything.pop("data"),
            everything.pop("vary"),
            on_progress=lambda progress: pytest.fail("it trains"),
            **everything,
        )


@pytest.mark.slow
def test_a_search_tries_what_scores_well(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    path = tmp_path / "runs.parquet"
    space: dict[str, Any] = {"direction": None, "units": [2, 4, 8], "learning_rate": [1e-6, 0.05]}
    arguments = {"seeds": 1, "search": 12, "output": path, "settings": {"epochs": 20}, "problem": SMALL["problem"]}
    found = compare("cumulative-sum", space, **arguments)
    assert found.reference in [setting.name for setting in found.settings]
    assert 2 <= len(found.settings) <= 12
    assert found.settings[0].factors["learning_rate"] == 0.05
    assert found.effects(1)["learning_rate",] > 0.3
    again = compare("cumulative-sum", space, **arguments, on_progress=lambda progress: pytest.fail("nothing is left"))
    assert scores(again) == scores(found)


def test_a_search_may_end_before_the_reference_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")

    def do_runs(spec: Any, wanted: Any, workers: Any, keep: Any, *more: Any) -> bool:
        for setting, seed in wanted[1:]:
            keep(Run(setting, seed, DIVERGED))
        return False

    monkeypatch.setattr("bothways.study.comparing.do_runs", do_runs)
    said: list[str] = []
    more: dict[str, Any] = {"problem": SMALL["problem"], "say": said.append}
    found = compare("cumulative-sum", {"units": [2, 4, 8]}, seeds=1, search=4, **more)
    assert "which flatters the best settings" in said[1]
    assert found.verdict()[0] == "Nothing can be said yet: the reference has no runs."


def test_arguments_of_another_kind_are_told() -> None:
    data: Any = pl.DataFrame({"x": [1.0]})
    vary: Any = ["units"]
    with pytest.raises(InputError, match=r"data is of type DataFrame; .* Write a data frame to a file first"):
        compare(data, {"units": None})
    with pytest.raises(InputError, match=r"vary is \['units'\]; give each factor its values"):
        compare("cumulative-sum", vary)


def test_times() -> None:
    assert (seconds_of("budget", "2 h"), seconds_of("budget", "1d")) == (7200, 86400)
    for wrong in ("0", "-3", "nan", "10y", ""):
        with pytest.raises(InputError, match="budget is"):
            seconds_of("budget", wrong)


def made_split(per: str, count: int = 30) -> Split:
    generator = np.random.default_rng(0)
    sequences = [generator.normal(size=(int(n), 2)).astype(np.float32) for n in generator.integers(3, 9, count)]
    every = np.concatenate([(x[:, 0] > 0).astype(np.int64) for x in sequences])
    labels = every if per == "step" else np.array([int(x[:, 0].sum() > 0) for x in sequences])
    whole = Sequences.from_arrays(sequences, labels, per=per)
    return Split(whole.take(np.arange(count - 8)), whole.take(np.arange(count - 8, count)), whole)


def made_task(split: Split, **more: Any) -> Task:
    return array_task("made", ("calm", "attack"), split, **more)


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_tables_of_either_kind(per: str) -> None:
    split = made_split(per)
    spec = StudySpec(made_task(split), (0.1,), 1)
    (run,) = train_runs(spec, Setting.of({"epochs": 3, "units": 4}), [0])
    assert run.status == "finished", run.reason
    assert run.counts is not None
    assert run.counts.support.sum() == len(split.test.known_labels)
    assert run.counts.alarms[0.1].shape == (30, 2)
    assert np.isfinite(run.curve["valid_loss"]).all()


def test_parts_drawn_for_each_seed_do_not_overlap() -> None:
    train, valid, _ = made_split("step")[:3]
    assert valid is not None
    task = made_task(Split(train, None, valid), redraw=True)
    for seed in range(3):
        parts = task.draw(seed)[:3]
        firsts = [tuple(x[0]) for part in parts if part is not None for x in part.arrays()]
        assert len(set(firsts)) == len(firsts) == 30
    assert task.test_share == pytest.approx(4 / 22)
    with pytest.raises(InputError, match="at least 10"):
        made_task(Split(train.take(np.arange(4)), None, valid.take(np.arange(5))), redraw=True)


@pytest.mark.slow
def test_how_a_table_is_prepared_is_varied(tmp_path: Path) -> None:
    """Labels are told by the change since the step before, so that only settings with changes learn them at once."""
    generator = np.random.default_rng(0)
    level = generator.normal(size=(60, 12)).cumsum(axis=1)
    change = np.diff(level, axis=1, prepend=0)
    columns = {
        "pump": np.repeat(np.arange(60), 12),
        "time": np.tile(np.arange(12), 60),
        "level": level.ravel(),
        "state": np.where(change > 0, "up", "down").ravel(),
    }
    path = tmp_path / "pumps.csv"
    pl.DataFrame(columns).write_csv(path)
    found = compare(
        path,
        {"changes": [0, 1], "levels": ["raw", "centered"]},
        seeds=1,
        settings={"units": 4, "epochs": 3, "direction": "forward", "encoding": "standard"},
        table={"label": "state", "sequence": "pump", "order": "time"},
        metric="accuracy",
    )
    assert found.runs == 4
    assert {result.factors["changes"] for result in found.settings[:2]} == {1}
    facts = page_of(found, {})
    for fact in ("pumps.csv", "features", "epochs", "learning_rate", "<h3>Columns</h3>", "as given"):
        assert fact in facts
    roles = {each["name"]: each["role"] for each in found.to_json()["columns"]}
    assert roles == {"pump": "sequence", "time": "order", "level": "feature", "state": "label"}


def test_categories_written_as_numbers_are_read_as_by_train(tmp_path: Path) -> None:
    columns = {
        "host": [str(i // 5) for i in range(200)],
        "at": [i % 5 for i in range(200)],
        "call": [["007", "7", "08", "9"][i * 7 % 4] for i in range(200)],
        "kind": [["calm", "attack"][i * i % 3 == 1] for i in range(200)],
    }
    path = tmp_path / "calls.csv"
    pl.DataFrame(columns).write_csv(path)
    task = table_task(path, label="kind", sequence="host", order="at", categorical=["call"])
    assert task.draw(0).categories == (5,)  # 007, 7, 08, 9, and unknown


def test_the_best_epoch_of_very_many_stays_in_the_learning_curve() -> None:
    scores = [0.9 if epoch == 4 else 0.5 for epoch in range(1, 301)]
    history = [EpochReport(i, 300, 1.0, 1.0, score, 1.0, best=i in (1, 4)) for i, score in enumerate(scores, 1)]
    curve = learning_curve(Trained({}, history, {"train": 1.0}, "jax", True, losses=[1.0] * 600))
    assert len(curve["updates"]) == 251
    assert curve["valid_metric"].max() == 0.9


def test_a_search_never_maximises_a_loss() -> None:
    nothing = np.full(2, np.nan)
    curve: dict[str, Any] = {"updates": np.arange(2), "seconds": nothing, "loss": nothing, "valid_loss": nothing}
    of = score("accuracy", (0, 1))
    counts = train_runs(StudySpec(TASK, (), 1), TINY, [0])[0].counts

    def value(monitor: str, best: float, status: str = "finished") -> float:
        run = Run(
            Setting.of({"monitor": monitor}),
            0,
            status,
            counts=counts,
            curve={**curve, "valid_metric": np.array([best, 0.9])},
        )
        return validation_score(run if status == "finished" else Run(run.setting, 0, status), of)

    assert value("loss", 0.1) > value("loss", 0.5) > value("loss", 0.0, DIVERGED)
    assert value("macro_f1", 0.95) > value("macro_f1", 0.1) > value("macro_f1", 0.0, DIVERGED)


def test_a_compiled_model_that_serves_many_seeds_trains_each_as_if_alone() -> None:
    """With dropout, whose draws too must begin where the seed says."""
    setting = Setting.of({"direction": "forward", "dropout": 0.3, "epochs": 2, "units": 4})
    spec = StudySpec(TASK, (), 1)
    *_, together = [train_runs(spec, setting, [seed])[0] for seed in (1, 0, 2)]
    done: list[Run] = []
    assert do_runs(StudySpec(TASK, (), 1), [(setting, 2)], 1, done.append, Progress(score("loss", (0, 1)), 1))
    np.testing.assert_array_equal(together.curve["loss"], done[0].curve["loss"])


def hosts(poisoned: tuple[str, ...] = ()) -> pl.DataFrame:
    """Calls of 30 hosts; those of the `poisoned` ones are immense, of a kind of their own, and never missing."""
    generator = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "host": np.repeat([f"h{i:02}" for i in range(30)], 6),
            "at": np.tile(np.arange(6), 30),
            "size": np.where(generator.random(180) < 0.2, np.nan, generator.normal(size=180)),
            "call": generator.choice(["open", "read", "close"], 180),
            "state": np.where(generator.random(180) < 0.3, "attack", "calm"),
        }
    ).with_columns(pl.col("size").fill_nan(None))
    bad = pl.col("host").is_in(poisoned)
    return frame.with_columns(
        size=pl.when(bad).then(1e9).otherwise("size"), call=pl.when(bad).then(pl.lit("never seen")).otherwise("call")
    )


def test_parts_of_a_seed_are_encoded_by_its_own_train_part(tmp_path: Path) -> None:
    """Whatever stands in the test part of a seed, neither fills nor categories of that seed know it."""

    def drawn(name: str, frame: pl.DataFrame) -> Split:
        frame.write_csv(tmp_path / name)
        roles: dict[str, Any] = {"label": "state", "sequence": "host", "order": "at"}
        return table_task(tmp_path / name, redraw=True, **roles).draw(3)

    clean = drawn("clean.csv", hosts())
    assert clean.test.ids is not None
    poisoned = drawn("poisoned.csv", hosts(clean.test.ids))
    assert poisoned.test.ids == clean.test.ids
    assert poisoned.categories == clean.categories == (4,)  # three calls, and unknown
    np.testing.assert_array_equal(poisoned.train.values, clean.train.values)
    assert (poisoned.test.values[:, -1] == 0).all()


def test_seeds_whose_train_parts_have_other_categories_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "hosts.csv"
    hosts(("h03",)).write_csv(path)
    roles: dict[str, Any] = {"label": "state", "sequence": "host", "order": "at", "redraw": True}
    task = table_task(path, **roles)
    of_sizes = {task.draw(seed).categories: seed for seed in range(8)}
    assert len(of_sizes) == 2
    spec = StudySpec(task, (), 1)
    assert all(train_runs(spec, TINY, [seed])[0].status == "finished" for seed in of_sizes.values())
