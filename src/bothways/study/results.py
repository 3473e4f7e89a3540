"""What the runs of a grid say: settings, their differences, factors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from bothways.errors import counted
from bothways.metrics import Resamples, Score, interval, medians
from bothways.sequences import Doubles, Numbers
from bothways.study.factors import Setting, Value
from bothways.study.grid import Grid, GridCell
from bothways.study.runs import DIVERGED, FAILED, FINISHED, Run
from bothways.study.statistics import Shares, holm, resampled_t_test, sign_flip_test, variance_shares
from bothways.study.tasks import Task

SIGNIFICANT = 0.05  # a difference that is called significant has a smaller corrected p-value


@dataclass(frozen=True)
class Difference:
    """By how much a setting is better than the reference, seed by seed on the same data.

    The median over seeds, the ends of its 95 % interval over seeds and sequences, the mean over seeds, and its
    Holm-adjusted p-value, None with a single seed.
    """

    median: float
    low: float
    high: float
    mean: float
    p: float | None

    @property
    def significant(self) -> bool:
        """Whether other seeds, other sequences and a few odd seeds would not turn it: all that is here agrees."""
        return self.p is not None and self.p < SIGNIFICANT and not self.doubt

    @property
    def verdict(self) -> str:
        """What the setting significantly is: "better", "worse", or "" where it is neither."""
        return ("better" if self.median > 0 else "worse") if self.significant else ""

    @property
    def doubt(self) -> str:
        """What speaks against it, however small p is; "" if nothing does."""
        if self.low <= 0 <= self.high:
            return "the 95 % interval includes 0"
        return "" if self.mean * self.median > 0 else f"the mean difference is {self.mean:+.3g}"


@dataclass(frozen=True, eq=False)
class SettingResult:
    """What came of a setting.

    Attributes:
        name: the varied factors and their values; `title` leaves out those without an effect, `factors` has all.
        median: of the score over seeds, with the ends of its 95 % interval; None without a result.
        runs: the score of each seed; None where there is none (yet).
        diverged: how many seeds did; each counts with the worst score. Those that `failed` do not count.
        difference: to the reference; None for the `reference` itself, and for what has no seed in common with it.
        same_as: the name of the setting whose runs these are, as a factor has no effect here; None if they are its own.
        parameters: the number of trained weights; seconds and microseconds per step are medians.
        curve: the median loss over seeds, `(points,)` each: "updates", "seconds", "loss".
    """

    name: str
    title: str
    factors: Mapping[str, Value]
    median: float | None = None
    low: float | None = None
    high: float | None = None
    runs: tuple[float | None, ...] = ()
    diverged: int = 0
    failed: int = 0
    difference: Difference | None = None
    reference: bool = False
    same_as: str | None = None
    parameters: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    train_us_per_step: float = 0.0
    label_us_per_step: float = 0.0
    curve: Mapping[str, Doubles] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a study found.

    Attributes:
        metric: the score that settings are compared by.
        settings: those of the grid, the best first.
        reference: the name of the one that others are compared with.
        shares: where the variance of the score comes from; None as long as settings lack seeds.
        baseline: the accuracy of always giving the most frequent label of a test part, the median over seeds; None for
            another metric.
        runs: how many there are, and how many are `left` to do.
        base: values of factors that are not varied.
    """

    task: Task
    metric: Score
    seeds: tuple[int, ...]
    settings: tuple[SettingResult, ...]
    reference: str
    shares: Shares | None
    baseline: float | None
    runs: int
    left: int
    seconds: float
    base: Mapping[str, Value]

    @property
    def own(self) -> list[SettingResult]:
        """The settings that have runs of their own."""
        return [each for each in self.settings if each.same_as is None]

    @property
    def bayes_accuracy(self) -> Mapping[str, float]:
        """The accuracy that is possible, by direction; empty for another metric."""
        return self.task.bayes_accuracy if self.metric.name == "accuracy" else {}

    @property
    def test(self) -> str:
        """The test behind the p-values."""
        if self.task.test_share is None:
            return "paired sign-flip test over seeds, Holm's correction"
        return "corrected resampled t-test over splits (Nadeau and Bengio 2003), Holm's correction"

    def effects(self, factors: int) -> dict[tuple[str, ...], float]:
        """The share of the variance of each effect of this number of factors, the largest first."""
        found = {} if self.shares is None else self.shares.effects
        return dict(sorted(((n, s) for n, s in found.items() if len(n) == factors), key=lambda item: -item[1]))

    def verdict(self) -> list[str]:
        """What can be said, in sentences."""
        own = [each for each in self.own if each.median is not None]
        # The runs of the reference may stand under the name of another setting.
        reference = next((each for each in own if each.reference), None)
        said = ["Nothing can be said yet: the reference has no runs."]
        if reference is not None:
            said = [*_best(self, own, reference), *_limits(self, own), *_what_matters(self)]
        if diverged := sum(each.diverged for each in self.own):
            said.append(f"{counted(diverged, 'run')} diverged; each counts with {self.metric.worst:.3g}.")
        if failed := sum(each.failed for each in self.own):
            they, them = ("it does", "it") if failed == 1 else ("they do", "them")
            said.append(f"{counted(failed, 'run')} failed; {they} not count, and the same command does {them} again.")
        if self.left:
            are = "is" if self.left == 1 else "are"
            said.append(f"{self.left} of {counted(self.runs + self.left, 'run')} {are} still to do.")
        return said

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways compare --json` prints."""
        shares = self.shares
        settings = []
        for each in self.settings:
            curve = {name: values.tolist() for name, values in each.curve.items()}
            settings.append({**asdict(replace(each, curve={})), "metric": self.metric.name, "curve": curve})

        def effect(names: tuple[str, ...], share: float) -> dict[str, float | None]:
            return {"variance_share": share, "error": None if shares is None else shares.errors.get(names)}

        plain = ("runs", "left", "seconds", "reference", "test", "baseline")
        return {
            "task": self.task.name,
            "tested_on": self.task.tested_on,
            "metric": self.metric.name,
            "seeds": list(self.seeds),
            **{name: getattr(self, name) for name in plain},
            "bayes_accuracy": dict(self.bayes_accuracy),
            "settings": settings,
            "factors": {names[0]: effect(names, share) for names, share in self.effects(1).items()},
            "interactions": [{"factors": list(n), **effect(n, share)} for n, share in self.effects(2).items()],
            "higher_interactions": None if shares is None else {"variance_share": shares.higher},
            "seed": None if shares is None or shares.seed is None else {"variance_share": shares.seed},
            "verdict": self.verdict(),
            "columns": list(map(asdict, self.task.columns)),
        }


def compare_runs(
    grid: Grid, task: Task, seeds: Sequence[int], runs: Sequence[Run], of: Score, reference: GridCell
) -> Comparison:
    """Say what runs say; those of other settings and seeds are left alone."""
    settings = [grid.setting(cell).alone(task.shape) for cell in grid.cells]
    there: dict[Setting, list[Run]] = {setting: [] for setting in settings}
    for run in sorted(runs, key=lambda run: run.seed):
        if run.setting in there and run.seed in seeds:
            there[run.setting].append(run)
    kept = {setting: {run.seed: run for run in each if run.status != FAILED} for setting, each in there.items()}
    scored = {setting: _scored(each, of) for setting, each in kept.items()}
    draws = _draws(kept, task.tested, of)
    base = settings[grid.cells.index(reference)]
    names = dict(reversed([(setting, grid.name(cell)) for setting, cell in zip(settings, grid.cells, strict=True)]))
    differences = _differences(scored, draws, base, of, task.test_share)
    results = []
    for cell, setting in zip(grid.cells, settings, strict=True):
        finished = [run for run in there[setting] if run.status == FINISHED]
        scores, name = scored[setting], grid.name(cell)
        low, high = interval(medians(draws(setting, tuple(scores)))) if scores else (None, None)
        values, idle = grid.values(cell), grid.setting(cell).idle(task.shape)
        results.append(
            SettingResult(
                name=name,
                title=title_of(values, () if len(there) > 1 and idle.issuperset(values) else idle),
                factors=values,
                median=_median(scores.values()) if scores else None,
                low=low,
                high=high,
                runs=tuple(scores.get(seed) for seed in seeds),
                diverged=sum(run.status == DIVERGED for run in there[setting]),
                failed=sum(run.status == FAILED for run in there[setting]),
                difference=differences.get(setting),
                reference=setting == base,
                same_as=None if names[setting] == name else names[setting],
                parameters=max((run.parameters for run in there[setting]), default=0),
                seconds=_median(run.train_seconds for run in finished),
                compile_seconds=max((run.compile_seconds for run in there[setting]), default=0.0),
                train_us_per_step=_median(run.train_us_per_step for run in finished),
                label_us_per_step=_median(run.label_us_per_step for run in finished),
                curve=_curve(finished),
            )
        )
    used = list(itertools.chain.from_iterable(there.values()))
    return Comparison(
        task=task,
        metric=of,
        seeds=tuple(seeds),
        settings=tuple(sorted(results, key=lambda each: (each.median is None, -of.better * (each.median or 0.0)))),
        reference=grid.name(reference),
        shares=_shares(grid, [each.runs for each in results]),
        baseline=_baseline(used, of),
        runs=len(used),
        left=len(there) * len(seeds) - len(used),
        seconds=sum(run.train_seconds + run.compile_seconds for run in used),
        base=grid.base,
    )


def _scored(runs: Mapping[int, Run], score: Score) -> dict[int, float]:
    """The score of each seed, but of those whose test part has nothing to detect; the worst one if it diverged."""
    found = {seed: score.worst if run.counts is None else score.of(run.counts) for seed, run in runs.items()}
    return {seed: value for seed, value in found.items() if not np.isnan(value)}


def _draws(
    runs: Mapping[Setting, Mapping[int, Run]], tested: Callable[[int], Numbers] | None, score: Score
) -> Callable[[Setting, tuple[int, ...]], Doubles]:
    """Gives the scores `(times, seeds)` of a setting on samples of seeds and sequences, the same for all settings."""
    every = [(seed, run.counts) for of_setting in runs.values() for seed, run in of_setting.items()]
    # Which sequences each seed has labels of; diverged runs do not tell.
    labeled = {seed: counts.support.any(axis=1) for seed, counts in every if counts is not None}
    size = max((int(each.sum()) for each in labeled.values()), default=1)
    numbers = None if tested is None else cache(tested)

    @cache
    def samples(seeds: tuple[int, ...]) -> Resamples:
        if numbers is None:
            return Resamples([size] * len(seeds))
        return Resamples([numbers(seed)[labeled.get(seed, slice(None))] for seed in seeds])

    @cache
    def drawn(setting: Setting, seeds: tuple[int, ...]) -> Doubles:
        counts = {seed: runs[setting][seed].counts for seed in seeds}
        columns = [None if of is None else score.columns(of)[labeled[seed]] for seed, of in counts.items()]
        return samples(seeds).scores(columns, score.of_sums, score.worst)

    return drawn


def _differences(
    scored: Mapping[Setting, Mapping[int, float]],
    draws: Callable[[Setting, tuple[int, ...]], Doubles],
    base: Setting,
    of: Score,
    test_share: float | None,
) -> dict[Setting, Difference]:
    """How far each setting is ahead of the base on the seeds that both have scores of, if there are any."""
    found, theirs = dict[Setting, Difference](), scored[base]
    for setting, ours in scored.items():
        common = tuple(seed for seed in ours if seed in theirs)
        if setting == base or not common:
            continue
        gains = [of.better * (ours[seed] - theirs[seed]) for seed in common]
        low, high = interval(medians(of.better * (draws(setting, common) - draws(base, common))))
        p = None
        if len(gains) > 1:
            p = sign_flip_test(gains) if test_share is None else resampled_t_test(gains, test_share)
        found[setting] = Difference(float(np.median(gains)), low, high, float(np.mean(gains)), p)
    tested = {setting: each.p for setting, each in found.items() if each.p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return {setting: replace(each, p=adjusted.get(setting)) for setting, each in found.items()}


def title_of(values: Mapping[str, Value], idle: Collection[str]) -> str:
    """A setting in few words; numbers have the names of their factors, and `idle` ones are left out."""
    parts = [
        value if isinstance(value, str) else f"{name} {value}" for name, value in values.items() if name not in idle
    ]
    return ", ".join(parts).replace("_", " ") or "the only setting"


def _median(values: Iterable[float]) -> float:
    return float(np.median(each)) if (each := list(values)) else 0.0


def _curve(runs: Sequence[Run]) -> dict[str, Doubles]:
    """The median over runs; one that stopped early goes on with its last loss."""
    curves = [run.curve for run in runs if run.curve]
    if not curves:
        return {}
    updates = max((curve["updates"] for curve in curves), key=lambda updates: updates[-1]).astype(np.float64)
    losses = np.median([np.interp(updates, curve["updates"], curve["loss"]) for curve in curves], axis=0)
    rate = float(np.median([curve["seconds"][-1] / curve["updates"][-1] for curve in curves]))
    return {"updates": updates, "seconds": updates * rate, "loss": losses}


def _shares(grid: Grid, runs: Sequence[Sequence[float | None]]) -> Shares | None:
    """The shares of variance over the seeds that all settings have."""
    whole = [k for k in range(len(runs[0])) if all(of_cell[k] is not None for of_cell in runs)]
    if not whole or len(runs) < 2:
        return None
    scores = np.array([[of_cell[k] for k in whole] for of_cell in runs], np.float64)
    levels = {name: len(values) for name, values in grid.vary.items() if len(values) > 1}
    varied = [i for i, values in enumerate(grid.vary.values()) if len(values) > 1]
    return variance_shares(scores, [tuple(cell[i] for i in varied) for cell in grid.cells], levels)


def _baseline(runs: Sequence[Run], of: Score) -> float | None:
    """The accuracy of always giving the most frequent label of the test part: its median over seeds."""
    supports = {run.seed: run.counts.support.sum(axis=0) for run in runs if run.counts is not None}
    if of.name != "accuracy" or not supports:
        return None
    return _median(support.max() / max(1, support.sum()) for support in supports.values())


def _best(comparison: Comparison, own: Sequence[SettingResult], reference: SettingResult) -> list[str]:
    metric = comparison.metric.title
    best = next(each for each in own if each.reference or each.difference is not None)
    differences = [each.difference for each in own if each.difference is not None]
    if not differences:
        return [f"The median {metric} of {reference.title} is {reference.median:.4g}."]
    if best.difference is None or best.median == reference.median:
        said = f"Nothing has a better median {metric} than {reference.title}: {best.median:.4g}."
    else:
        p = best.difference.p
        how = "one seed cannot tell whether that is chance"
        if p is not None:
            but = f", but {best.difference.doubt}" if p < SIGNIFICANT and best.difference.doubt else ""
            sure = "" if best.difference.significant else "not "
            how = f"that is {sure}significant (p {p:.2g}, Holm-adjusted{but})"
        said = (
            f"The best median {metric} is that of {best.title}: {best.median:.4g}, against {reference.median:.4g} of "
            f"{reference.title}; {how}."
        )
    verdicts = [each.verdict for each in differences]
    better, worse = verdicts.count("better"), verdicts.count("worse")
    others = counted(len(differences), "other setting")
    return [
        said,
        f"Of {others}, {better or 'none'} {'is' if better < 2 else 'are'} significantly better than "
        f"{reference.title}, {worse or 'none'} significantly worse.",
    ]


def _limits(comparison: Comparison, own: Sequence[SettingResult]) -> list[str]:
    seeds, tests = len(comparison.seeds), sum(each.difference is not None for each in own)
    if comparison.task.test_share is not None or seeds < 2 or 2 / 2**seeds * tests < SIGNIFICANT:
        return []
    needed = int(np.ceil(np.log2(2 * tests / SIGNIFICANT)))
    return [
        f"With {seeds} seeds no difference can be significant, however large: "
        f"{counted(tests, 'comparison needs', 'comparisons need')} {needed} seeds."
    ]


def _what_matters(comparison: Comparison) -> list[str]:
    shares, factors = comparison.shares, comparison.effects(1)
    if shares is None or not shares.variance:
        return []
    parts = [f"{names[0]} explains {share:.0%} of the variance" for names, share in factors.items()]
    if len(factors) > 1:
        together = sum(comparison.effects(2).values()) + shares.higher
        parts.append(f"factors together beyond that {together:.0%}")
    if shares.seed is not None:
        parts.append(f"the seed {shares.seed:.0%}")
    return ["; ".join(parts) + "."]
