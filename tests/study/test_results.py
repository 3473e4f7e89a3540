"""What is made of runs whose counts are known: what is significant, and what seeds with test parts of their own say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways.data.sequences import cut_long
from bothways.metrics import Counts, score
from bothways.report.figures import COLOURS, SOFT, WARM
from bothways.sequences import Sequences
from bothways.study import Comparison, Split, Task, array_task, problem_task
from bothways.study.figures import colours_of, costs_figure, curves_figure, settings_figure, smooth
from bothways.study.grid import Grid
from bothways.study.results import Difference, SettingResult, compare_runs
from bothways.study.runs import DIVERGED, FAILED, Run
from bothways.study.tasks import _tested, table_task
from bothways.study.view import settings_table, shares_of

TASK = replace(problem_task("cumulative-sum", sequences=5, unseen=20), bayes_accuracy={})
GRID = Grid.full({"direction": ("both", "forward")})
SURE = Difference(0.1, 0.05, 0.2, 0.1, 0.01)
BOTH, FORWARD = (GRID.setting(cell) for cell in GRID.cells)


def made_counts(right: Any, steps: int = 10) -> Counts:
    """Sequences of so many steps of the first class, of which so many are labeled rightly."""
    found = np.stack([right, np.zeros(len(right), int)], axis=1)
    there = np.stack([np.full(len(right), steps), np.zeros(len(right), int)], axis=1)
    return Counts(found, there, there, np.zeros(len(right)))


def compared(runs: Sequence[Run], task: Task = TASK, seeds: int = 14) -> Comparison:
    return compare_runs(GRID, task, range(seeds), runs, score("accuracy", (0, 1)), GRID.reference({}))


def test_a_setting_without_a_seed_of_the_reference_is_not_taken_for_it() -> None:
    alone, other = (Run(FORWARD, seed, counts=made_counts([9] * 20)) for seed in (0, 1))
    found = compared([alone])
    assert found.verdict()[0] == "Nothing can be said yet: the reference has no runs."
    assert {row.name: row.reference for row in settings_table(found).rows} == {"forward": False, "both": True}
    said = compared([other, Run(BOTH, 0, counts=made_counts([8] * 20))]).verdict()
    assert said[0] == "The median accuracy of both is 0.8."


def test_failed_runs_of_a_setting_without_any_other_are_counted() -> None:
    failed = [Run(FORWARD, seed, FAILED, "MemoryError: ") for seed in range(3)]
    done = [Run(BOTH, seed, counts=made_counts([8] * 20)) for seed in range(3)]
    said = "3 runs failed; they do not count, and the same command does them again."
    assert said in compared([*done, *failed], seeds=3).verdict()
    assert said in compared(failed, seeds=3).verdict()


def test_a_single_factor_has_no_interactions() -> None:
    runs = [Run(s, seed, counts=made_counts([8, 9 - seed] * 10)) for s in (BOTH, FORWARD) for seed in range(2)]
    assert list(shares_of(compared(runs, seeds=2))) == ["direction", "the seed"]


def test_every_row_has_all_cells() -> None:
    """Those of the reference, and of a setting without a run, are empty."""
    found = compared([Run(BOTH, seed, counts=made_counts([8] * 20)) for seed in range(2)], seeds=2)
    table = settings_table(found)
    assert {len(row.cells) for row in table.rows} == {len(table.head) - 1}


def test_a_setting_whose_mean_is_worse_is_not_significantly_better() -> None:
    """It diverges with 6 of 14 seeds and is a hair better with the others: p is of the mean, the rank of the median."""
    better = np.where(np.arange(20) < 4, 9, 8)
    runs = [Run(BOTH, seed, counts=made_counts([8] * 20)) for seed in range(14)]
    runs += [Run(FORWARD, seed, DIVERGED) for seed in range(6)]
    runs += [Run(FORWARD, seed, counts=made_counts(better)) for seed in range(6, 14)]
    found = compared(runs)
    best = found.settings[0]
    assert best.title == "forward"
    assert best.difference is not None
    assert best.difference.p is not None
    assert best.difference.p < 0.05
    assert best.difference.median > 0 > best.difference.mean
    assert not best.difference.significant
    said = " ".join(found.verdict())
    assert "that is not significant (p 0.031, Holm-adjusted, but the 95 % interval includes 0)" in said
    assert "none is significantly better than both, none significantly worse" in said
    assert {entry.mark for row in settings_table(found).rows for entry in row.cells} == {""}


def test_a_setting_whose_factors_do_nothing_has_a_name_beside_others() -> None:
    for windows, titles in (((5, None), ["window 5", "window None"]), ((50, None), ["the only setting"] * 2)):
        grid = Grid.full({"window": windows})
        found = compare_runs(grid, TASK, range(2), [], score("accuracy", (0, 1)), grid.reference({}))
        assert [each.title for each in found.settings] == titles


def test_a_setting_that_is_as_good_is_not_the_best() -> None:
    grid = Grid.full({"direction": ("forward", "both")})
    runs = [Run(setting, seed, counts=made_counts([8] * 20)) for setting in (FORWARD, BOTH) for seed in range(3)]
    said = compare_runs(grid, TASK, range(3), runs, score("accuracy", (0, 1)), grid.reference({})).verdict()
    assert said[0] == "Nothing has a better median accuracy than both: 0.8."


def alarmed(due: Any, detected: Any, steps: int = 10) -> Counts:
    """Sequences of which so many steps are to be detected, and so many of these are, without a false alarm."""
    there = np.stack([steps - np.array(due), due], axis=1)
    alarms = np.stack([detected, np.zeros(len(there), int)], axis=1)
    return Counts(there, there, there, np.zeros(len(there)), {0.1: alarms})


def detection(runs: Sequence[Run], task: Task = TASK, name: str = "detection") -> Comparison:
    seeds = sorted({run.seed for run in runs})
    return compare_runs(GRID, task, seeds, runs, score(name, (0, 1), 1, [0.1]), GRID.reference({}))


def test_samples_with_nothing_to_detect_do_not_count() -> None:
    """Two of eight sequences have something to detect, all of which is detected: no sample says less."""
    runs = [Run(BOTH, seed, counts=alarmed([3, 3] + [0] * 6, [3, 3] + [0] * 6)) for seed in range(3)]
    best = detection(runs).settings[0]
    assert (best.median, best.low, best.high) == (1.0, 1.0, 1.0)
    nothing = [Run(BOTH, seed, counts=alarmed([10] * 6 + [0], [10] * 6 + [0])) for seed in range(3)]
    best = detection(nothing, name="false_alarms").settings[0]
    assert (best.low, best.high) == (0.0, 0.0)


def test_a_seed_with_nothing_to_detect_does_not_count() -> None:
    """Each seed draws a test part of its own, and that of the last one has no label of the class."""
    parts = [np.arange(4), np.arange(4, 8), np.arange(8, 12)]
    task = replace(TASK, test_share=0.2, tested=parts.__getitem__)
    dues = ([2] * 4, [2] * 4, [0] * 4)
    runs = [Run(s, seed, counts=alarmed(due, due)) for s in (BOTH, FORWARD) for seed, due in enumerate(dues)]
    found = detection(runs, task)
    assert {each.runs for each in found.settings} == {(1.0, 1.0, None)}
    assert found.settings[0].low == 1.0
    assert (found.left, found.shares is not None) == (0, True)
    without = [replace(run, counts=replace(run.counts, alarms={})) for run in runs[2::3] if run.counts is not None]
    assert {each.runs for each in detection([*runs[:2], *runs[3:5], *without], task).settings} == {(1.0, 1.0, None)}


def test_sequences_without_labels_are_not_drawn() -> None:
    """As in an evaluation: one of eight sequences has labels, and so the score is the same in every sample."""
    alone = made_counts([8] + [0] * 7)
    there = alone.support * (np.arange(8) < 1)[:, None]
    runs = [Run(BOTH, seed, counts=replace(alone, predicted=there, support=there)) for seed in range(3)]
    best = compared(runs, seeds=3).settings[0]
    assert (best.median, best.low, best.high) == pytest.approx((0.8, 0.8, 0.8))


@pytest.mark.parametrize(
    ("low", "high", "mean", "p", "verdict"),
    [
        (0.1, 0.3, 0.2, 0.01, "better"),
        (0.1, 0.3, 0.2, 0.05, ""),
        (0.1, 0.3, 0.2, None, ""),
        (-0.1, 0.3, 0.2, 0.01, ""),
        (0.0, 0.3, 0.2, 0.01, ""),
        (0.1, 0.3, -0.2, 0.01, ""),
        (-0.3, -0.1, -0.2, 0.01, "worse"),
        (-0.3, -0.1, 0.2, 0.01, ""),
    ],
)
def test_significant_is_what_p_interval_median_and_mean_agree_on(
    low: float, high: float, mean: float, p: float | None, verdict: str
) -> None:
    assert Difference((low + high) / 2, low, high, mean, p).verdict == verdict


def redrawn(rights: Mapping[Any, np.ndarray[Any, Any]], parts: Sequence[np.ndarray[Any, Any]]) -> Comparison:
    """What is found where each seed tests fixed models on a part of its own of one table."""
    runs = [Run(s, i, counts=made_counts(of[part], 100)) for s, of in rights.items() for i, part in enumerate(parts)]
    return compared(runs, replace(TASK, test_share=9 / 42, tested=parts.__getitem__), len(parts))


def test_intervals_hold_the_truth_where_seeds_test_on_parts_of_one_table() -> None:
    """Those of a score, and of the difference of two models that are equally good."""
    generator = np.random.default_rng(0)
    held = different = 0
    for _ in range(40):
        rights = {setting: (generator.normal(0.7, 0.1, 60) * 100).round().astype(int) for setting in (BOTH, FORWARD)}
        found = redrawn(rights, [generator.permutation(60)[:9] for _ in range(50)])
        for each in found.settings:
            if each.difference is not None:
                different += each.difference.low <= 0 <= each.difference.high
            elif each.low is not None and each.high is not None:
                held += each.low <= 0.7 <= each.high
    assert held >= 36
    assert different >= 36


def test_the_most_frequent_label_is_that_of_the_median_seed() -> None:
    runs = []
    for seed, first in enumerate((10, 6, 7)):
        there = np.array([[first, 10 - first]])
        runs.append(Run(BOTH, seed, counts=Counts(there, there, there, np.zeros(1))))
    assert compared(runs, seeds=3).baseline == pytest.approx(0.7)


def numbered(lengths: Sequence[int]) -> Sequences:
    """Sequences whose values are their numbers."""
    values = [np.full((length, 1), i, np.float32) for i, length in enumerate(lengths)]
    return Sequences.from_arrays(values, labels=np.arange(sum(lengths)) % 2)


def test_the_sequences_that_a_seed_is_tested_on_are_known(tmp_path: Path) -> None:
    whole = numbered([3, 4, 5, 6] * 10)
    first, second = whole.take(np.arange(30)), whole.take(np.arange(30, 40))
    task = array_task("made", (0, 1), Split(first, None, second), redraw=True)
    frame = pl.DataFrame({"x": whole.values[:, 0], "label": whole.labels, "id": whole.sequence_of_steps})
    frame.write_parquet(tmp_path / "made.parquet")
    table = table_task(tmp_path / "made.parquet", label="label", sequence="id", features=["x"], redraw=True)
    assert task.tested is not None
    assert table.tested is not None
    orders = []
    for seed in range(3):
        test = task.draw(seed).test
        assert task.tested(seed).tolist() == [x[0, 0] for x in test.arrays()]
        orders.append(dict(zip(table.tested(seed).tolist(), table.draw(seed).test.ids or (), strict=True)))
        pieces = cut_long(test, 4)[0]
        assert _tested([first, second], 4, seed).tolist() == [x[0, 0] for x in pieces.arrays()]
    # The same number is the same sequence in every seed.
    assert all(one[n] == other[n] for one in orders for other in orders for n in one.keys() & other.keys())
    assert TASK.tested is None


def test_a_setting_has_the_same_colour_in_all_drawings() -> None:
    """The reference its own, whatever its rank; those without a learning curve are grey."""
    results = [
        SettingResult(str(i), f"units {i}", {}, 0.5, 0.4, 0.6, (0.5,), difference=SURE, reference=i == 1, seconds=i)
        for i in range(10)
    ]
    curve = {"updates": np.arange(3.0), "seconds": np.arange(3.0), "loss": np.ones(3)}
    curved = [replace(each, curve=curve) for each in results[:8]]
    colours = colours_of(results, curved)
    assert colours["1"] == WARM
    assert [name for name, colour in colours.items() if colour == SOFT] == ["8", "9"]
    assert len(set(colours.values())) == 9
    names = {name: f"var(--{COLOURS[colour]})" for name, colour in colours.items()}
    drawn = curves_figure(curved[1:2], colours), costs_figure(compared([]), results[1:2], colours)
    for svg in (*drawn, settings_figure(compared([]), results[1:2], colours)):
        assert names["1"] in svg
        assert not any(names[str(i)] in svg for i in (0, 2, 3, 4, 5, 6, 7))


def test_the_name_of_a_class_is_text_in_drawings() -> None:
    found = replace(compared([]), metric=score("f1", ("'\"><script>", 1), "'\"><script>"))
    result = SettingResult("0", "units 1", {}, 0.5, 0.4, 0.6, (0.5,))
    svg = settings_figure(found, [result], {"0": SOFT})
    assert 'aria-label="F1 of &#x27;&quot;&gt;&lt;script&gt; of every setting"' in svg
    assert "<script>" not in svg


def test_curves_are_smooth() -> None:
    assert len(smooth(np.arange(1000.0))) == 63
    assert smooth(np.arange(120.0))[:3].tolist() == [0.5, 2.5, 4.5]
    assert smooth(np.arange(3.0)).tolist() == [0.0, 1.0, 2.0]
