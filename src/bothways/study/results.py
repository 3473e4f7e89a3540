"""What the runs of a grid say: settings, their differences, factors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.metrics import Resamples, Score, interval
from bothways.study.factors import Value
from bothways.study.grid import Grid, idle
from bothways.study.runs import DIVERGED, FAILED, FINISHED, Run
from bothways.study.statistics import (
    Shares,
    holm,
    resampled_t_test,
    sign_flip_test,
    variance_shares,
)
from bothways.study.tasks import Task

Floats = npt.NDArray[np.float64]

SURE = 0.05
"""A difference with a corrected p-value below this is called one."""


@dataclass(frozen=True)
class Difference:
    """By how much a setting is better than the reference, seed by seed on the same data.

    Attributes:
        median: over seeds.
        low: the lower end of the interval over seeds and sequences.
        high: the upper end.
        p: how likely so large a mean difference is if there is none, corrected for all differences that are tested;
            None with a single seed.
    """

    median: float
    low: float
    high: float
    p: float | None


@dataclass(frozen=True, eq=False)
class Setting:
    """One cell of the grid.

    Attributes:
        name: the varied factors and their values.
        title: the same in few words, without factors that do nothing here.
        factors: the values of the varied factors.
        idle: those of them that do nothing here.
        median: of the score, over seeds; None if nothing came of any.
        low: the lower end of its interval over seeds and sequences.
        high: the upper end.
        runs: the score of each seed; None where there is none (yet).
        diverged: how many seeds diverged; each counts with the worst score that there is.
        failed: how many ended before their time, by no fault of the setting; they do not count.
        difference: to the reference; None for the reference itself.
        same_as: the name of the cell whose runs these are, as a factor does nothing here; None if they are its own.
        parameters: numbers that are trained.
        seconds: of training, median.
        compile_seconds: of compiling, once for all seeds.
        train_us_a_step: microseconds of training for each time step, median.
        label_us_a_step: microseconds of labeling for each time step on one thread, median.
        curve: the median loss over seeds, `(points,)` each: "updates", "seconds", "loss".
    """

    name: str
    title: str
    factors: Mapping[str, Value]
    idle: frozenset[str]
    median: float | None
    low: float | None
    high: float | None
    runs: tuple[float | None, ...]
    diverged: int
    failed: int
    difference: Difference | None
    same_as: str | None
    parameters: int
    seconds: float
    compile_seconds: float
    train_us_a_step: float
    label_us_a_step: float
    curve: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a study found.

    Attributes:
        task: what was learned, in words.
        judged: on which part.
        metric: the score that settings are compared by.
        seeds: of the runs.
        settings: the cells of the grid, the best first.
        reference: the name of the one that others are compared with.
        shares: where the variance of the score comes from; None as long as cells lack seeds.
        baseline: the score of always giving the commonest label; None for a metric that it has none of.
        bayes_accuracy: the accuracy that is possible on a generated problem, by direction.
        runs: how many runs there are.
        left: how many are still to do.
        seconds: how long all runs took together, side by side or not.
        test: the test behind the p-values.
    """

    task: str
    judged: str
    metric: Score
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    reference: str
    shares: Shares | None
    baseline: float | None
    bayes_accuracy: Mapping[str, float]
    runs: int
    left: int
    seconds: float
    test: str

    @property
    def shares_of_factors(self) -> dict[str, float]:
        """The share of each factor alone, the largest first."""
        mains = {} if self.shares is None else {n[0]: share for n, share in self.shares.effects.items() if len(n) == 1}
        return dict(sorted(mains.items(), key=lambda item: -item[1]))

    @property
    def shares_of_pairs(self) -> dict[tuple[str, ...], float]:
        """The share of each interaction of two factors, the largest first."""
        pairs = {} if self.shares is None else {n: share for n, share in self.shares.effects.items() if len(n) == 2}
        return dict(sorted(pairs.items(), key=lambda item: -item[1]))

    def error_of(self, names: tuple[str, ...]) -> float | None:
        """The standard error of the share of an effect; None with few seeds."""
        return None if self.shares is None else self.shares.errors.get(names)

    def verdict(self) -> list[str]:
        """What can be said, in sentences."""
        return _verdict(self)

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways compare --json` prints."""
        shares = self.shares
        return {
            "task": self.task,
            "judged": self.judged,
            "metric": self.metric.name,
            "seeds": list(self.seeds),
            "runs": self.runs,
            "left": self.left,
            "seconds": self.seconds,
            "reference": self.reference,
            "test": self.test,
            "baseline": self.baseline,
            "bayes_accuracy": dict(self.bayes_accuracy),
            "settings": [
                {
                    "factors": dict(each.factors),
                    "metric": self.metric.name,
                    "median": each.median,
                    "low": each.low,
                    "high": each.high,
                    "runs": list(each.runs),
                    "diverged": each.diverged,
                    "failed": each.failed,
                    "same_as": each.same_as,
                    "difference": None if each.difference is None else asdict(each.difference),
                    "parameters": each.parameters,
                    "seconds": each.seconds,
                    "compile_seconds": each.compile_seconds,
                    "train_us_a_step": each.train_us_a_step,
                    "label_us_a_step": each.label_us_a_step,
                    "curve": {name: values.tolist() for name, values in each.curve.items()},
                }
                for each in self.settings
            ],
            "factors": {
                name: {"variance_share": share, "error": self.error_of((name,))}
                for name, share in self.shares_of_factors.items()
            },
            "interactions": [
                {"factors": list(names), "variance_share": share, "error": self.error_of(names)}
                for names, share in self.shares_of_pairs.items()
            ],
            "higher_interactions": None if shares is None else {"variance_share": shares.higher},
            "seed": None if shares is None or shares.seed is None else {"variance_share": shares.seed},
            "verdict": self.verdict(),
        }


def compare_runs(
    grid: Grid, task: Task, seeds: Sequence[int], runs: Sequence[Run], of: Score, reference: int
) -> Comparison:
    """Say what runs say.

    Args:
        grid: the settings.
        task: what was learned.
        seeds: those that every setting should have.
        runs: what there is; runs of other settings and seeds are left alone.
        of: the score.
        reference: the number of the cell that the others are compared with.
    """
    keys = grid.keys(task.shape)
    nothing = [frozenset(idle(grid.setting(cell), task.shape)) & set(grid.vary) for cell in grid.cells]
    found = {(run.key, run.seed): run for run in runs if run.seed in seeds}
    resamples: dict[tuple[int, ...], Resamples] = {}
    drawn_before: dict[tuple[str, tuple[int, ...]], Floats] = {}

    def score(run: Run) -> float:
        return of.worst if run.judged is None else of.of(run.judged)

    def counted(key: str) -> dict[int, Run]:
        return {seed: found[key, seed] for seed in seeds if (key, seed) in found and found[key, seed].status != FAILED}

    def draws(key: str, chosen: tuple[int, ...]) -> Floats:
        if (key, chosen) in drawn_before:
            return drawn_before[key, chosen]
        columns = [None if (j := found[key, seed].judged) is None else of.columns(j) for seed in chosen]
        if chosen not in resamples:
            # A diverged seed judged nothing; what others judged of the same draw stands in.
            sizes = [next((len(c) for c in (column, *columns) if c is not None), 1) for column in columns]
            resamples[chosen] = Resamples(sizes, task.shared)
        drawn_before[key, chosen] = resamples[chosen].scores(columns, of.of_sums, of.worst)
        return drawn_before[key, chosen]

    base = counted(keys[reference])
    cells, tested = [], []
    for i, (cell, key) in enumerate(zip(grid.cells, keys, strict=True)):
        there = counted(key)
        scores = {seed: score(run) for seed, run in there.items()}
        low = high = median = None
        if there:
            median = float(np.median(list(scores.values())))
            low, high = interval(np.median(draws(key, tuple(there)), axis=1))
        difference = None
        common = tuple(seed for seed in there if seed in base)
        if key != keys[reference] and common:
            gains = [of.better * (scores[seed] - score(base[seed])) for seed in common]
            drawn = of.better * (draws(key, common) - draws(keys[reference], common))
            difference = Difference(float(np.median(gains)), *interval(np.median(drawn, axis=1)), _p(gains, task))
            if keys.index(key) == i and difference.p is not None:
                tested.append((key, difference.p))
        first = keys.index(key)
        runs_there = list(there.values())
        finished = [run for run in runs_there if run.status == FINISHED]
        cells.append(
            Setting(
                name=grid.name(cell),
                title=title_of(grid.values(cell), nothing[i]),
                factors=grid.values(cell),
                idle=nothing[i],
                median=median,
                low=low,
                high=high,
                runs=tuple(scores.get(seed) for seed in seeds),
                diverged=sum(run.status == DIVERGED for run in runs_there),
                failed=sum((key, seed) in found and found[key, seed].status == FAILED for seed in seeds),
                difference=difference,
                same_as=None if first == i else grid.name(grid.cells[first]),
                parameters=max((run.parameters for run in runs_there), default=0),
                seconds=_median([run.train_seconds for run in finished]),
                compile_seconds=max((run.compile_seconds for run in runs_there), default=0.0),
                train_us_a_step=_median([run.train_us_a_step for run in finished]),
                label_us_a_step=_median([run.label_us_a_step for run in finished]),
                curve=_curve(finished),
            )
        )
    corrected = dict(zip([key for key, _ in tested], holm([p for _, p in tested]), strict=True))
    settings = [
        each if each.difference is None else replace(each, difference=replace(each.difference, p=corrected.get(key)))
        for each, key in zip(cells, keys, strict=True)
    ]
    best_first = sorted(settings, key=lambda each: (each.median is None, -of.better * (each.median or 0.0)))
    distinct = set(keys)
    done = sum((key, seed) in found for key in distinct for seed in seeds)
    used = [run for run in found.values() if run.key in distinct]
    return Comparison(
        task=task.name,
        judged=task.judged,
        metric=of,
        seeds=tuple(seeds),
        settings=tuple(best_first),
        reference=grid.name(grid.cells[reference]),
        shares=_shares(grid, [each.runs for each in cells], of),
        baseline=_baseline(used, of),
        bayes_accuracy=task.bayes_accuracy() if hasattr(task, "bayes_accuracy") and of.name == "accuracy" else {},
        runs=done,
        left=len(distinct) * len(seeds) - done,
        seconds=sum(run.train_seconds + run.compile_seconds for run in used),
        test=_test_name(task),
    )


def title_of(values: Mapping[str, Value], nothing: Collection[str]) -> str:
    """A setting in few words: values by themselves where they are words, with their names where they are numbers.

    Args:
        values: those of the varied factors.
        nothing: the factors that do nothing beside the others.

    Example:
        >>> title_of({"direction": "forward", "merge_mode": "sum", "units": 8}, ["merge_mode"])
        'forward, units 8'
    """
    parts = [
        str(value) if isinstance(value, str) else f"{name} {value}"
        for name, value in values.items()
        if name not in nothing
    ]
    return ", ".join(parts).replace("_", " ") or "the only setting"


def _p(gains: Sequence[float], task: Task) -> float | None:
    if len(gains) < 2:
        return None
    share = getattr(task, "test_share", None)
    return sign_flip_test(gains) if share is None else resampled_t_test(gains, share)


def _test_name(task: Task) -> str:
    if getattr(task, "test_share", None) is None:
        return "paired sign-flip test over seeds, Holm's correction"
    return "corrected resampled t-test over splits (Nadeau and Bengio 2003), Holm's correction"


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0


def _curve(runs: Sequence[Run]) -> dict[str, Floats]:
    """The median over runs; one that stopped early goes on with its last loss."""
    curves = [run.curve for run in runs if run.curve is not None and len(run.curve.updates)]
    if not curves:
        return {}
    longest = max(curves, key=lambda curve: curve.updates[-1])
    updates = longest.updates.astype(np.float64)
    losses = np.median([np.interp(updates, curve.updates, curve.loss) for curve in curves], axis=0)
    rate = float(np.median([curve.seconds[-1] / curve.updates[-1] for curve in curves]))
    return {"updates": updates, "seconds": updates * rate, "loss": losses}


def _shares(grid: Grid, runs: Sequence[Sequence[float | None]], of: Score) -> Shares | None:
    """The shares of variance over the seeds that all cells have."""
    whole = [k for k in range(len(runs[0])) if all(of_cell[k] is not None for of_cell in runs)]
    if not whole or len(runs) < 2:
        return None
    scores = np.array([[of_cell[k] for k in whole] for of_cell in runs], np.float64)
    levels = {name: len(values) for name, values in grid.vary.items() if len(values) > 1}
    varied = [i for i, values in enumerate(grid.vary.values()) if len(values) > 1]
    return variance_shares(scores, [tuple(cell[i] for i in varied) for cell in grid.cells], levels)


def _baseline(runs: Sequence[Run], of: Score) -> float | None:
    """The accuracy of always giving the label that is commonest among those judged."""
    judged = next((run.judged for run in runs if run.judged is not None), None)
    if of.name != "accuracy" or judged is None:
        return None
    support = judged.support.sum(axis=0)
    return float(support.max() / max(1, support.sum()))


def _verdict(comparison: Comparison) -> list[str]:
    own = [each for each in comparison.settings if each.median is not None and each.same_as is None]
    # The runs of the reference may stand under the name of another cell.
    reference = next((each for each in own if each.difference is None), None)
    if reference is None:
        return ["Nothing can be said yet: the reference has no runs."]
    said = [*_best(comparison, own, reference), *_limits(comparison, own), *_what_matters(comparison)]
    if diverged := sum(each.diverged for each in own):
        said.append(f"{diverged} runs diverged; each counts with {comparison.metric.worst:.3g}.")
    if comparison.left:
        said.append(f"{comparison.left} of {comparison.runs + comparison.left} runs are still to do.")
    return said


def _best(comparison: Comparison, own: Sequence[Setting], reference: Setting) -> list[str]:
    best, others = own[0], [each for each in own if each.difference is not None]
    if not others:
        return [f"The median {comparison.metric.title} of {reference.title} is {reference.median:.4g}."]
    sure = [each for each in others if each.difference and each.difference.p is not None and each.difference.p < SURE]
    worse = sum(each.difference.median < 0 for each in sure if each.difference)
    said = []
    if best.difference is None:
        said.append(f"Nothing has a better median {comparison.metric.title} than {reference.title}: {best.median:.4g}.")
    else:
        p = best.difference.p
        how = "whether that is chance cannot be told with one seed" if p is None else f"p {p:.2g}"
        if p is not None:
            how = f"that is {'hardly' if p < SURE else 'possibly'} chance ({how}, corrected)"
        said.append(
            f"The best median {comparison.metric.title} is that of {best.title}: {best.median:.4g}, against "
            f"{reference.median:.4g} of {reference.title}; {how}."
        )
    better = len(sure) - worse
    which = f"{better or 'None'} of the {len(others)} others {'is' if better < 2 else 'are'} surely better"
    said.append(f"{which} than {reference.title}, {worse or 'none'} surely worse.")
    return said


def _limits(comparison: Comparison, own: Sequence[Setting]) -> list[str]:
    """What so few seeds cannot show."""
    seeds, tests = len(comparison.seeds), sum(each.difference is not None for each in own)
    least = 2 / 2**seeds * tests
    if "sign-flip" not in comparison.test or seeds < 2 or least < SURE:
        return []
    needed = int(np.ceil(np.log2(2 * tests / SURE)))
    return [f"With {seeds} seeds no difference can be sure, however large: {tests} comparisons need {needed} seeds."]


def _what_matters(comparison: Comparison) -> list[str]:
    shares, factors = comparison.shares, comparison.shares_of_factors
    if shares is None or not shares.variance:
        return []
    parts = [f"{name} explains {share:.0%} of the variance" for name, share in factors.items()]
    if len(factors) > 1:
        together = sum(comparison.shares_of_pairs.values()) + shares.higher
        parts.append(f"factors together beyond that {together:.0%}")
    if shares.seed is not None:
        parts.append(f"the seed {shares.seed:.0%}")
    return ["; ".join(parts) + "."]
