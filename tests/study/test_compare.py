"""Whole comparisons, small: the same numbers again, after a kill, in another order; and what can go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import compare
from bothways.errors import DataError, InputError
from bothways.sequences import Sequences
from bothways.study import ArrayTask, Comparison, ProblemTask
from bothways.study.comparing import budget_seconds
from bothways.study.page import page_of
from bothways.study.runs import Run, read_runs
from bothways.study.tasks import RedrawnTask
from bothways.study.worker import Order, Trainer
from bothways.study.workers import Job, Pool, State
from bothways.training import compiled_models

SMALL: dict[str, Any] = {"settings": {"units": 4, "epochs": 1}, "problem": {"sequences": 40, "unseen": 30}}
VARY = {"direction": ["forward", "both"], "merge_mode": ["concat", "sum"]}


def small(**more: Any) -> Comparison:
    return compare("cumulative-sum", VARY, seeds=3, **{**SMALL, **more})


def scores(comparison: Comparison) -> dict[str, tuple[float | None, ...]]:
    return {setting.name: setting.runs for setting in comparison.settings}


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
    assert set(found.shares_of_factors) == {"direction", "merge_mode"}


def test_costs_are_there(found: Comparison) -> None:
    for setting in found.settings:
        assert setting.parameters > 0
        assert setting.seconds > 0
        assert setting.label_us_a_step > 0
        assert setting.curve["updates"].tolist() == [1, 2, 3, 4, 5]


def test_the_same_seeds_give_the_same_numbers_whatever_the_processes(found: Comparison) -> None:
    assert scores(small(workers=1)) == scores(found)


def test_more_seeds_and_settings_use_what_is_there(found: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    first = compare("cumulative-sum", {"direction": ["forward"]}, seeds=2, output=path, **SMALL)
    assert first.runs == 2
    assert first.shares is None
    done: list[Run] = []

    def on_state(state: State) -> None:
        done[:] = state.done

    assert scores(small(output=path, on_state=on_state)) == scores(found)
    assert len(done) == 7
    assert len(read_runs(path)[1]) == 9
    assert scores(small(output=path, workers=1, on_state=lambda state: pytest.fail("nothing is left"))) == scores(found)


def test_a_killed_study_goes_on(found: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    arguments = f"'cumulative-sum', {VARY!r}, seeds=3, output={str(path)!r}, workers=1, **{SMALL!r}"
    code = f"from bothways import compare; compare({arguments})"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    journal = path.with_name("runs.parquet.journal")
    limit = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < limit
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = journal.read_bytes().count(b"\n") - 1
    assert 2 <= there < 9
    said: list[str] = []
    assert scores(small(output=path, say=said.append)) == scores(found)
    assert f"{there} of them are in {path} already." in said


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
    found = small(budget=0.5, output=tmp_path / "runs.parquet")
    assert time.monotonic() - started < 30
    assert found.left == 9 - found.runs > 0
    assert "still to do" in " ".join(found.verdict()) or found.verdict()[0].startswith("Nothing can be said yet")


def done_by(order: Order, jobs: list[Job]) -> list[Run]:
    state = State(len(jobs))
    with Pool(order, 1) as pool:
        assert pool.run(jobs, lambda run: None, state)
    return state.done


def test_a_process_that_dies_costs_one_run() -> None:
    """The first run kills its own process; the others are done by another one."""
    order = Order(Deadly(), (), 1)
    done = done_by(order, [('{"epochs": 1, "units": 4}', seed) for seed in range(3)])
    assert [run.status for run in done] == ["failed", "finished", "finished"]
    assert "it ended with -9" in done[0].reason


def test_a_run_that_fails_costs_no_other() -> None:
    done = done_by(Order(TASK, (), 1), [('{"units": "many"}', 0), ('{"epochs": 1, "units": 4}', 0)])
    assert [run.status for run in done] == ["failed", "finished"]
    assert "units" in done[0].reason


TASK = ProblemTask("cumulative-sum", sequences=40, unseen=30)


class Deadly(ProblemTask):
    """A problem whose first seed is the end of the process that draws it."""

    def __init__(self) -> None:
        """As small as the others."""
        super().__init__("cumulative-sum", sequences=40, unseen=30)

    def __reduce__(self) -> Any:
        """Told to the other process in words, which does not know this file."""
        return eval, (
            "type('Deadly', (__import__('bothways.study', fromlist=['x']).ProblemTask,), {'parts': lambda self, seed: "
            "__import__('os').kill(__import__('os').getpid(), 9) if seed == 0 else "
            "__import__('bothways.study', fromlist=['x']).ProblemTask.parts(self, seed)})"
            "('cumulative-sum', sequences=40, unseen=30)",
        )


def test_the_json_is_json(found: Comparison) -> None:
    shape = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(shape["settings"][0]) >= {"factors", "metric", "median", "low", "high", "runs", "seconds"}
    assert shape["factors"]["direction"]["variance_share"] == found.shares_of_factors["direction"]
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
        ({"seeds": [1, 1]}, "different whole numbers"),
        ({"search": 0}, "search is 0"),
        ({"metric": "beauty"}, "no metric 'beauty'. Use one of: accuracy"),
        ({"metric": "f1:7"}, "no class '7'; there are 0, 1"),
        ({"positive": "x"}, "no class 'x' to detect"),
        ({"reference": {"direction": "backward"}}, "direction=backward, which is not among"),
        ({"budget": "soon"}, "budget is 'soon'"),
        ({"workers": 0}, "workers is 0"),
        ({"output": "runs.csv"}, "ends in .parquet"),
        ({"output": "nowhere/runs.parquet"}, "does not exist"),
        ({"false_alarm_rates": [2]}, "false-alarm rate is 2"),
        ({"problem": {"colour": 1}}, "no parameter 'colour'. It has: sequences, steps, unseen, threshold"),
        ({"problem": {"steps": 0}}, "steps is 0"),
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
            on_state=lambda state: pytest.fail("it trains"),
            **everything,
        )


def test_a_search_tries_what_scores_well(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    path = tmp_path / "runs.parquet"
    space: dict[str, Any] = {"direction": None, "units": [2, 4, 8], "learning_rate": [1e-6, 0.05]}
    arguments = {"seeds": 1, "search": 12, "output": path, "settings": {"epochs": 20}, "problem": SMALL["problem"]}
    found = compare("cumulative-sum", space, **arguments)
    assert found.reference in [setting.name for setting in found.settings]
    assert 2 <= len(found.settings) <= 12
    assert found.settings[0].factors["learning_rate"] == 0.05
    assert found.shares_of_factors["learning_rate"] > 0.3
    again = compare("cumulative-sum", space, **arguments, on_state=lambda state: pytest.fail("nothing is left"))
    assert scores(again) == scores(found)


def test_times() -> None:
    assert budget_seconds("2 h") == 7200
    for wrong in ("0", "-3", "nan", "10d", ""):
        with pytest.raises(InputError, match="budget is"):
            budget_seconds(wrong)


def made_task(per: str, count: int = 30) -> ArrayTask:
    generator = np.random.default_rng(0)
    sequences = [generator.normal(size=(int(n), 2)).astype(np.float32) for n in generator.integers(3, 9, count)]
    every = np.concatenate([(x[:, 0] > 0).astype(np.int64) for x in sequences])
    labels = every if per == "step" else np.array([int(x[:, 0].sum() > 0) for x in sequences])
    part = Sequences.from_arrays(sequences, labels, per=per)
    return ArrayTask("made", ("calm", "attack"), part, part, part)


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_tables_of_either_kind(per: str) -> None:
    trainer = Trainer(Order(made_task(per), (0.1,), 1))
    run = trainer.run('{"epochs": 3, "units": 4}', 0, lambda progress: None)
    assert run.status == "finished"
    assert run.judged is not None
    assert run.judged.support.sum() == len(made_task(per).test.known_labels)
    negatives = run.judged.support[:, 0].sum()
    assert run.judged.alarms[0.1][:, 1].sum() <= 0.1 * negatives
    assert run.curve is not None
    assert np.isfinite(run.curve.valid_loss).all()


def test_parts_drawn_for_each_seed_do_not_overlap() -> None:
    task = made_task("step")
    redrawn = RedrawnTask("made", task.classes, task.train)
    for seed in range(3):
        parts = redrawn.parts(seed)
        firsts = [tuple(x[0]) for part in parts if part is not None for x in part.arrays()]
        assert len(set(firsts)) == len(firsts) == 30
    assert redrawn.test_share == pytest.approx(4 / 22)
    with pytest.raises(InputError, match="takes 10 at least"):
        RedrawnTask("made", task.classes, task.train.take(np.arange(5)))


def test_a_program_that_serves_many_seeds_trains_each_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With dropout, whose draws too must begin where the seed says."""
    key = '{"direction": "forward", "dropout": 0.3, "epochs": 2, "units": 4}'
    together = Trainer(Order(TASK, (), 1))
    for seed in (1, 0, 1):
        one = together.run(key, seed, lambda progress: None)
        monkeypatch.setattr(compiled_models, "_free", OrderedDict())
        alone = Trainer(Order(TASK, (), 1)).run(key, seed, lambda progress: None)
        assert one.curve is not None
        assert alone.curve is not None
        np.testing.assert_array_equal(one.curve.loss, alone.curve.loss)
