"""A search beyond a grid, by Optuna: settings are proposed by what earlier ones scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bothways.errors import InputError, MissingDependencyError
from bothways.metrics import Score
from bothways.study.grid import Grid, Shape, canonical, key_of, network_of, settings_of
from bothways.study.runs import Run
from bothways.study.statistics import Shares
from bothways.study.workers import Job

STARTS = 10
"""So many settings are drawn by lot before earlier ones count."""


AT_ONCE = 4
"""So many are proposed before their scores are heard; the same number on every machine, so that all find the same."""


@dataclass
class Search:
    """A search among the values of factors.

    The sampler is Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), from a fixed seed; each setting is
    trained with every seed, and its score is the median over them on the valid part, so that the part that settings are
    judged on in the end stays unseen. Where there is no valid part it is the score itself, which flatters the best.

    Args:
        grid: the values to choose among; its cells are left alone.
        shape: of the data.
        metric: what counts without a valid part.
        reference: the number of the cell of `grid` that is tried first.

    Attributes:
        cells: those that were tried, the reference first.

    Raises:
        MissingDependencyError: Optuna is not installed.
    """

    grid: Grid
    shape: Shape
    metric: Score
    reference: tuple[int, ...]
    cells: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin."""
        need_optuna()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=STARTS, multivariate=False)
        self._optuna: Any = optuna
        self._study: Any = optuna.create_study(direction="maximize", sampler=sampler)
        self._study.enqueue_trial(self._places(self.reference))

    def ask(self, count: int, seeds: Sequence[int]) -> tuple[list[Any], list[Job]]:
        """Propose settings.

        Args:
            count: how many.
            seeds: that each is trained with.

        Returns:
            For each its trial, its cell and its key, for `tell`; and the runs that they need, each once.
        """
        asked, jobs = [], []
        for _ in range(count):
            trial = self._study.ask()
            cell = tuple(
                trial.suggest_categorical(name, list(range(len(values)))) for name, values in self.grid.vary.items()
            )
            setting = canonical(self.grid.setting(cell), self.shape)
            try:
                network_of(setting, self.shape)
                settings_of(setting, seed=0)
            except InputError:
                if cell == self.reference:
                    raise
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                continue
            key = key_of(setting)
            asked.append((trial, cell, key))
            jobs += [(key, seed) for seed in seeds]
        return asked, list(dict.fromkeys(jobs))

    def tell(self, asked: Sequence[Any], runs: Mapping[Job, Run], seeds: Sequence[int]) -> None:
        """Say what came of settings; those that lack runs are left out."""
        for trial, cell, key in asked:
            scores = [self._score(runs[key, seed]) for seed in seeds if (key, seed) in runs]
            if len(scores) < len(seeds):
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                continue
            self._study.tell(trial, float(np.median(scores)))
            if cell not in self.cells:
                self.cells.append(cell)

    def shares(self) -> Shares | None:
        """The share of the variance of the score that each factor explains alone, by Optuna's functional ANOVA.

        It fits a forest to the settings that were tried, which are not spread evenly: a rough number.
        """
        done = [trial for trial in self._study.trials if trial.value is not None]
        if len(done) < 2 or len({trial.value for trial in done}) < 2:
            return None
        found = self._optuna.importance.FanovaImportanceEvaluator(seed=0).evaluate(self._study)
        effects: dict[tuple[str, ...], float] = {(name,): float(share) for name, share in found.items()}
        variance = float(np.var([trial.value for trial in done]))
        return Shares(effects, max(0.0, 1 - sum(effects.values())), None, variance)

    def _places(self, cell: Sequence[int]) -> dict[str, int]:
        return dict(zip(self.grid.vary, cell, strict=True))

    def _score(self, run: Run) -> float:
        worst = self.metric.better * self.metric.worst
        if run.judged is None:
            return worst
        if run.curve is not None and len(run.curve.valid_metric) and np.isfinite(run.curve.valid_metric).any():
            return float(np.nanmax(run.curve.valid_metric))
        return self.metric.better * self.metric.of(run.judged)


def need_optuna() -> None:
    """Say in one line what is missing.

    Raises:
        MissingDependencyError: Optuna is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            f"A search needs {missing.name}, which is not installed. Install it: pip install 'bothways[search]'"
        ) from None


def search_cells(
    search: Search,
    trials: int,
    seeds: Sequence[int],
    do: Callable[[list[Job]], bool],
    runs: Callable[[], Mapping[Job, Run]],
) -> None:
    """Try settings until there were so many, or until time is up.

    Args:
        search: what proposes them.
        trials: how many to propose, those that were met before among them.
        seeds: that each is trained with.
        do: does those runs that are not there yet; tells whether all are.
        runs: those that are there.
    """
    for first in range(0, trials, AT_ONCE):
        asked, jobs = search.ask(min(AT_ONCE, trials - first), seeds)
        whole = do(jobs)
        search.tell(asked, runs(), seeds)
        if not whole:
            return


def check_trials(trials: int) -> int:
    """A number of settings to try.

    Raises:
        InputError: it is none.
    """
    if isinstance(trials, bool) or not isinstance(trials, int) or not 1 <= trials < math.inf:
        raise InputError(f"search is {trials!r}; it must be how many settings to try, at least 1.")
    return trials
