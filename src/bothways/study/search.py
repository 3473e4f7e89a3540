"""A search beyond a grid, by Optuna: settings are proposed by what earlier ones scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna

from bothways.metrics import Score
from bothways.study.factors import Setting
from bothways.study.grid import Grid, GridCell
from bothways.study.runs import Run, RunId
from bothways.study.statistics import Shares
from bothways.study.tasks import Task

STARTS = 10  # settings that are drawn by lot before earlier ones count
LARGEST_LOSS = 100.0  # more than any loss
AT_ONCE = 4  # settings proposed before their scores are known; the same on every machine, so that all find the same


def search_settings(
    grid: Grid,
    task: Task,
    score: Score,
    reference: GridCell,
    trials: int,
    seeds: Sequence[int],
    do: Callable[[Sequence[RunId]], bool],
    runs: Sequence[Run],
) -> tuple[tuple[GridCell, ...], Shares | None]:
    """Try this many settings, the reference first, or until time is up.

    The sampler is Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), from a fixed seed; each setting is
    trained with every seed, and its value is the median over them of the best validation score (of `monitor`), so that
    the test part stays unseen. Without a valid part it is the test score itself, which flatters the best.

    `do` adds to `runs`, and tells whether all were done. What comes back are the cells that were tried, and the share
    of the variance that each factor explains alone.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=STARTS, multivariate=False)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(dict(zip(grid.vary, reference, strict=True)))
    failed, cells = optuna.trial.TrialState.FAIL, dict[GridCell, None]()

    for first in range(0, trials, AT_ONCE):
        asked: list[tuple[Any, GridCell, Setting]] = []
        for _ in range(min(AT_ONCE, trials - first)):
            trial = study.ask()
            cell = tuple(trial.suggest_categorical(name, range(len(each))) for name, each in grid.vary.items())
            setting = grid.setting(cell).alone(task.shape)
            if setting.refused(task.shape):
                study.tell(trial, state=failed)
            else:
                asked.append((trial, cell, setting))
        whole = do(list(dict.fromkeys((setting, seed) for _, _, setting in asked for seed in seeds)))
        there = {run.id: run for run in runs}
        for trial, cell, setting in asked:
            found = [there[setting, seed] for seed in seeds if (setting, seed) in there]
            if len(found) == len(seeds):
                study.tell(trial, float(np.median([validation_score(run, score) for run in found])))
                cells[cell] = None
            else:
                study.tell(trial, state=failed)
        if not whole:
            break
    return tuple(cells), _shares(study)


def _shares(study: Any) -> Shares | None:
    """By Optuna's functional ANOVA, which fits a forest to what was tried, not spread evenly: a rough number."""
    values = [trial.value for trial in study.trials if trial.value is not None]
    if len(set(values)) < 2:
        return None
    shares = optuna.importance.FanovaImportanceEvaluator(seed=0).evaluate(study)
    effects: dict[tuple[str, ...], float] = {(name,): float(share) for name, share in shares.items()}
    return Shares(effects, max(0.0, 1 - sum(effects.values())), None, float(np.var(values)))


def validation_score(run: Run, score: Score) -> float:
    """How good a run is on its valid part, the higher the better; without one, by `score` on the test part."""
    of_loss = run.setting["monitor"] == "loss"
    if run.counts is None:
        return min(score.better * score.worst, -LARGEST_LOSS if of_loss else 0.0)
    values = run.curve["valid_metric"]
    if np.isfinite(values).any():
        # A loss is the one validation score of which less is better.
        return float(-np.nanmin(values) if of_loss else np.nanmax(values))
    return score.better * score.of(run.counts)
