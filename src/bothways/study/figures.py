"""The drawings of a comparison; see `bothways.report.figures` for how they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from bothways.report.figures import ACCENT, CLASSES, INK, SOFT, WARM, blank, styled, svg
from bothways.sequences import Doubles
from bothways.study.results import Comparison, SettingResult
from bothways.study.view import marks

ROW = 22  # points of height for each setting
POINTS = 60  # about this many points of a learning curve are drawn; single batches are noise


def colours_of(settings: Sequence[SettingResult], curved: Sequence[SettingResult]) -> dict[str, str]:
    """The colour of each setting in all drawings, by its name: of the reference, of those with a curve, of the rest."""
    others = [each.name for each in curved if not each.reference]
    own = dict(zip(others, CLASSES[2:], strict=False))  # not the dark one, nor orange, which the reference has
    return {each.name: WARM if each.reference else own.get(each.name, SOFT) for each in settings}


@styled()
def settings_figure(comparison: Comparison, settings: Sequence[SettingResult], colours: Mapping[str, str]) -> str:
    """Each setting with its seeds, its median and its interval, the best on top."""
    figure = blank(760, 70 + ROW * len(settings))
    axes = figure.subplots()
    places = np.arange(len(settings))[::-1]
    lots = np.random.default_rng(0)
    for place, setting in zip(places, settings, strict=True):
        of_runs = [score for score in setting.runs if score is not None]
        colour = colours[setting.name]
        heights = place + lots.uniform(-0.22, 0.22, len(of_runs))
        axes.plot(of_runs, heights, linestyle="", marker="o", markersize=3.2, color=SOFT, alpha=0.55)
        if setting.median is not None and setting.low is not None and setting.high is not None:
            axes.plot([setting.low, setting.high], [place, place], color=colour, linewidth=2.2)
            axes.plot([setting.median], [place], marker="D", markersize=6, color=colour)
    for name, value in marks(comparison).items():
        low, high = axes.get_xlim()
        if not low - (high - low) / 2 <= value <= high + (high - low) / 2:
            continue  # it would press all scores together
        axes.axvline(value, color=SOFT, linestyle=":", linewidth=1.2)
        axes.text(value, len(settings) - 0.4, name, ha="right", va="bottom", fontsize=8, color=SOFT)
    axes.set_yticks(places, [setting.title for setting in settings])
    axes.set_ylim(-0.6, len(settings) + 0.1)
    axes.set_xlabel(comparison.metric.title)
    axes.grid(visible=False, axis="y")
    return svg(figure, "settings", f"{comparison.metric.title} of every setting")


@styled()
def shares_figure(shares: Mapping[str, tuple[float, float | None]]) -> str:
    """A bar for each source of variance, the first on top, with its standard error."""
    figure = blank(760, 60 + ROW * len(shares))
    axes = figure.subplots()
    places = np.arange(len(shares))[::-1]
    values = [share for share, _ in shares.values()]
    axes.barh(places, values, 0.62, color=[ACCENT if " x " not in name else SOFT for name in shares])
    for place, (share, error) in zip(places, shares.values(), strict=True):
        axes.text(share + 0.015, place + 0.02, f"{share:.1%}", va="bottom", fontsize=8.5)
        if error is not None:
            axes.plot([max(0.0, share - error), share + error], [place, place], color=INK, linewidth=1.2)
    axes.set_yticks(places, list(shares))
    axes.set_xlim(0, min(1.1, max(values) + 0.12))
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel("share of the variance")
    axes.grid(visible=False, axis="y")
    return svg(figure, "shares", "Where the variance comes from")


@styled()
def curves_figure(settings: Sequence[SettingResult], colours: Mapping[str, str]) -> str:
    """The median loss of settings by update and by second of training."""
    figure = blank(760, 320 + 9 * len(settings))
    panels = figure.subplots(1, 2, sharey=True)
    names = {"updates": "update", "seconds": "second of training"}
    for panel, (along, name) in zip(panels, names.items(), strict=True):
        for setting in settings:
            line = smooth(setting.curve[along]), smooth(setting.curve["loss"])
            label = setting.title if panel is panels[0] else None
            panel.plot(*line, color=colours[setting.name], label=label, linewidth=1.4)
        panel.set_xlabel(name)
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=along == "updates"))
    panels[0].set_ylabel("loss of the batches learned from")
    figure.legend(loc="outside lower center", ncols=2)
    return svg(figure, "curves", "Loss by update and by second")


@styled()
def costs_figure(comparison: Comparison, settings: Sequence[SettingResult], colours: Mapping[str, str]) -> str:
    """The score against what it costs: weights to keep, seconds to train, time to label."""
    costs = {"weights": "parameters", "seconds of training": "seconds", "us to label a step": "label_us_per_step"}
    figure = blank(760, 230)
    panels = figure.subplots(1, len(costs), sharey=True)
    for panel, (name, cost) in zip(panels, costs.items(), strict=True):
        for setting in settings:
            at = [getattr(setting, cost)]
            panel.plot(at, [setting.median], marker="o", markersize=6, color=colours[setting.name], alpha=0.8)
        panel.set_xlabel(name)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.set_xlim(0, None)
    panels[0].set_ylabel(comparison.metric.title)
    return svg(figure, "costs", "Score against cost")


def smooth(values: Doubles) -> Doubles:
    """Means of neighbours, of which about `POINTS` are left."""
    every = max(1, len(values) // POINTS)
    starts = np.arange(0, len(values), every)
    return np.add.reduceat(values, starts) / np.diff(starts, append=len(values))
