"""What the studies say of each claim: holds or not, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.metrics import interval
from bothways.study import Comparison, SettingResult
from bothways.study.factors import Setting, checked_vary
from bothways.study.grid import Grid
from bothways.study.results import SIGNIFICANT as SURE
from bothways.study.results import Difference
from bothways.study.runs import Run
from bothways.study.statistics import sign_flip_test, variance_shares
from claimed.studies import AS_WRITTEN, RATES, Done
from limits import FlowLimits, parity_added

Floats = npt.NDArray[np.float64]

NORMAL = NormalDist()
HOLDS, FAILS, OPEN = "holds", "does not hold", "not shown"
TIMES = 500
"""So many samples of the judged sequences are drawn for means and shares over a whole grid."""

NEAR = 0.01
"""A network whose accuracy is so near to what is possible is said to reach it."""


@dataclass(frozen=True)
class Finding:
    """What became of a claim.

    Attributes:
        study: the name of the study.
        claim: in words.
        verdict: "holds"; "does not hold", where the opposite is sure; or "not shown", where neither is.
        by: by how much.
        sure: how sure that is.
    """

    study: str
    claim: str
    verdict: str
    by: str
    sure: str


def findings(done: Mapping[str, Done], limits: Mapping[str, FlowLimits]) -> list[Finding]:
    """The findings of the studies that there are.

    Args:
        done: by name.
        limits: what is possible on `intrusion-flows`, by direction.
    """
    found: list[Finding] = []
    for name in ("cumulative-sum", "cumulative-sum-slow"):
        if name in done:
            found += _cumulative(done[name], done.get(f"{name}-wide"), done.get(name + AS_WRITTEN))
    found += _bayes_accuracy({name: each for name, each in done.items() if each.study.chapter == 2})
    if "intrusion-flows" in done:
        found += _flows(done["intrusion-flows"], limits)
    if "adfa-ld" in done and not next(iter(done["adfa-ld"].found.values())).left:
        for metric in RATES:
            found += _detection(done["adfa-ld"], metric)
    for each in done.values():
        if each.study.chapter == 4:
            found += _table(each)
    return found


def setting(found: Comparison, **factors: object) -> SettingResult:
    """The setting with these values of factors, or the first of several that are the same run.

    Raises:
        LookupError: there is none.
    """
    for each in found.settings:
        if all(each.factors.get(name, value) == value for name, value in factors.items()):
            return each
    raise LookupError(f"No setting has {factors}.")


def _cumulative(done: Done, wide: Done | None, written: Done | None) -> list[Finding]:
    name, loss, right = done.study.name, done.found["loss"], done.found["accuracy"]
    at = f"Learning rate {done.study.settings['learning_rate']}:"
    both, forward = (_mean_losses(_runs(done, direction)) for direction in ("both", "forward"))
    said = [_planned(name, f"{at} both ways learn faster than forward (mean loss over 250 updates)", forward, both)]
    if wide is not None:
        claim = f"{at} ... and than a forward layer with as many weights"
        said.append(_planned(name, claim, _mean_losses(wide.runs), both))
    said += [
        _versus(name, f"{at} after 250 updates both ways have the lower loss than forward (unseen sequences)", loss),
        _versus(name, f"{at} ... and are more often right", right),
    ]
    if written is not None:
        turned = _scores(written.found["loss"], "forward")
        claim = f"{at} reversed as the tutorials wrote it learns like forward, or better (unseen, loss)"
        said.append(_planned(name, claim, _scores(loss, "forward"), turned))
        claim = f"{at} reversed learns better with labels in the same order (unseen, loss)"
        said.append(_planned(name, claim, turned, _scores(loss, "backward")))
    return [*said, _merging(name, loss, f"{at} how directions are merged matters")]


def _mean_losses(runs: Iterable[Run]) -> dict[int, float]:
    """For each seed the mean over all updates."""
    return {run.seed: float(run.curve["loss"].mean()) for run in runs if run.curve}


def _bayes_accuracy(done: Mapping[str, Done]) -> list[Finding]:
    if not done:
        return []
    past, short, gains = [], [], []
    for name, each in done.items():
        found = each.found["accuracy"]
        problem = name.removeprefix("bayes-")
        for direction, ceiling in found.bayes_accuracy.items():
            reads = best_of(found, direction)
            if reads.median is not None and reads.low is not None and reads.high is not None:
                error = max(1e-9, (reads.high - reads.low) / (2 * NORMAL.inv_cdf(0.975)))
                past.append(((reads.median - ceiling) / error, reads.median - ceiling, f"{problem}, {direction}"))
                short.append((ceiling - reads.median, f"{problem}, {direction}"))
        one = max(found.bayes_accuracy["forward"], found.bayes_accuracy["backward"])
        best = max(best_of(found, way).median or 0.0 for way in ("forward", "backward"))
        gains.append((found.bayes_accuracy["both"] - one, (best_of(found, "both").median or 0.0) - best, problem))
    beyond, worst = max(past), max(short)
    reached = sum(gap <= NEAR for gap, _ in short)
    wins = [gain for gain in gains if gain[0] > NEAR]
    said = [
        Finding(
            "bayes-accuracy",
            "No network gets past what is possible for its direction",
            FAILS if beyond[0] > NORMAL.inv_cdf(1 - SURE / len(past)) else HOLDS,
            f"the nearest to getting past is {beyond[2]}: {beyond[1]:+.4f}, {beyond[0]:.1f} standard errors",
            f"{len(past)} cases; {NORMAL.inv_cdf(1 - SURE / len(past)):.1f} would be too many (Bonferroni)",
        ),
        Finding(
            "bayes-accuracy",
            f"Networks reach it, within {NEAR}",
            HOLDS if reached == len(short) else FAILS,
            f"{reached} of {len(short)} do; farthest off is {worst[1]}: {worst[0]:.4f} below",
            _seeds(next(iter(done.values()))),
        ),
        Finding(
            "bayes-accuracy",
            "Reading both ways helps where the Bayes accuracy says that it must",
            HOLDS if all(measured > 0 for _, measured, _ in wins) else FAILS,
            "; ".join(f"{problem} {measured:+.3f} of {possible:+.3f}" for possible, measured, problem in wins),
            "against the better single direction, medians",
        ),
    ]
    if idle := [gain for gain in gains if gain[0] <= NEAR]:
        said.append(
            Finding(
                "bayes-accuracy",
                "Reading both ways helps whatever the problem",
                HOLDS if all(measured > NEAR for _, measured, _ in idle) else FAILS,
                "; ".join(f"{problem} {measured:+.4f}" for _, measured, problem in idle),
                "there one direction can know all there is to know",
            )
        )
    if "bayes-parity" in done:
        found = done["bayes-parity"].found["accuracy"]
        concat, mul = (setting(found, direction="both", merge_mode=mode) for mode in ("concat", "mul"))
        added = float(parity_added(done["bayes-parity"].task.facts["steps"]).mean())
        said.append(
            _of_difference(
                "bayes-parity",
                "On parity multiplied directions beat those side by side",
                mul,
                concat,
                1,
                f" (possible: 1.0000 and {added:.4f})",
            )
        )
    return said


def best_of(found: Comparison, direction: str) -> SettingResult:
    """The setting of a direction with the best median; of merge modes that is a choice after the fact."""
    ways = [each for each in found.settings if each.factors["direction"] == direction and each.same_as is None]
    return max(ways, key=lambda each: each.median or 0.0)


def _flows(done: Done, limits: Mapping[str, FlowLimits]) -> list[Finding]:
    said = []
    for metric, rate in zip(RATES, (0.01, 0.001), strict=True):
        found = done.found[metric]
        for other in ("forward", "backward"):
            possible = limits["both"].detection[rate].value - limits[other].detection[rate].value
            claim = f"Per flow, two passes find more attacks than {other} at {rate:.1%} false alarms"
            said.append(_versus("intrusion-flows", claim, found, other, f" (possible: {possible:+.4f})"))
    return said


def _detection(done: Done, metric: str) -> list[Finding]:
    """Means over the rest of the grid, and shares of variance, with samples of the traces that are judged."""
    found = done.found[metric]
    rate = found.metric.title.rpartition(" at ")[2]
    grid = Grid.full(checked_vary(done.study.vary), done.study.settings)
    shape = done.task.shape
    drawn, scores = _resampled(done, found, [grid.setting(cell).alone(shape) for cell in grid.cells])
    sure = f"{TIMES} samples of traces and seeds"

    def side(chosen: Callable[[Mapping[str, Any]], bool]) -> tuple[float, Floats]:
        cells = [i for i, cell in enumerate(grid.cells) if chosen(grid.values(cell))]
        return float(scores[cells].mean()), drawn["seeds and traces"][:, cells].mean(axis=(1, 2))

    def means(
        claim: str, one: Callable[[Mapping[str, Any]], bool], other: Callable[..., bool], any_way: bool
    ) -> Finding:
        (a, drawn_a), (b, drawn_b) = side(one), side(other)
        low, high = interval(drawn_a - drawn_b)
        verdict = HOLDS if low > 0 or (any_way and high < 0) else FAILS if high < 0 else OPEN
        return Finding(
            "adfa-ld", claim, verdict, f"{a:.3f} against {b:.3f}: {a - b:+.3f} ({low:+.3f} to {high:+.3f})", sure
        )

    levels = {name: len(values) for name, values in grid.vary.items()}
    shares = variance_shares(scores, grid.cells, levels).effects
    wins = 0
    for draw in drawn["traces"]:
        each = variance_shares(draw, grid.cells, levels).effects
        wins += each[("direction",)] > _front(each)
    share = wins / TIMES
    text = ", ".join(f"{name} {shares[(name,)]:.1%}" for name in levels)
    of_windows = []
    windows = [value for value in done.study.vary["conv_window"] if value]
    if len(windows) > 1:
        of_windows = [
            means(
                f"Its window does ({windows[-1]} against {windows[0]}, {rate})",
                lambda values: values["conv_window"] == windows[-1],
                lambda values: values["conv_window"] == windows[0],
                any_way=True,
            )
        ]
    return [
        means(
            f"Per trace, two passes find more attacks than forward at {rate}",
            lambda values: values["direction"] == "both",
            lambda values: values["direction"] == "forward",
            any_way=False,
        ),
        means(
            f"... than backward at {rate}",
            lambda values: values["direction"] == "both",
            lambda values: values["direction"] == "backward",
            any_way=False,
        ),
        means(
            f"A convolution in front changes detection at {rate} (with against without)",
            lambda values: values["conv_window"] > 0,
            lambda values: values["conv_window"] == 0,
            any_way=True,
        ),
        *of_windows,
        means(
            f"Its stride does (2 against 1, {rate})",
            lambda values: values["conv_window"] > 0 and values["conv_stride"] == 2,
            lambda values: values["conv_window"] > 0 and values["conv_stride"] == 1,
            any_way=True,
        ),
        Finding(
            "adfa-ld",
            f"Direction explains more of the variance than window and stride, {rate}",
            HOLDS if share >= 0.95 else FAILS if share <= 0.05 else OPEN,
            text,
            f"so in {share:.0%} of {TIMES} samples of traces",
        ),
    ]


def _front(shares: Mapping[tuple[str, ...], float]) -> float:
    """What window and stride explain, alone and with one another."""
    front = {"conv_window", "conv_stride"}
    return sum(share for names, share in shares.items() if set(names) <= front)


def _resampled(done: Done, found: Comparison, settings: Sequence[Setting]) -> tuple[dict[str, Floats], Floats]:
    """`(TIMES, cells, seeds)` scores on samples of traces, with seeds drawn anew and as they are; and those on all."""
    of, runs = found.metric, {run.id: run for run in done.runs}
    judged = [[runs[setting, seed].counts for seed in found.seeds] for setting in settings]
    some = next(each for of_cell in judged for each in of_cell if each is not None)
    sequences = len(some.support)
    generator = np.random.default_rng(0)
    weights = generator.multinomial(sequences, np.full(sequences, 1 / sequences), TIMES).astype(np.float64)
    drawn = np.full((TIMES, len(settings), len(found.seeds)), of.worst)
    scores = np.full((len(settings), len(found.seeds)), of.worst)
    for i, of_cell in enumerate(judged):
        for k, each in enumerate(of_cell):
            if each is not None:
                columns = of.columns(each).astype(np.float64)
                drawn[:, i, k] = of.of_sums(weights @ columns, columns.sum(axis=0))
                scores[i, k] = of.of(each)
    chosen = generator.integers(len(found.seeds), size=(TIMES, 1, len(found.seeds)))
    again = np.take_along_axis(drawn, np.broadcast_to(chosen, drawn.shape), axis=2)
    return {"traces": drawn, "seeds and traces": again}, scores


def _table(done: Done) -> list[Finding]:
    found = next(iter(done.found.values()))
    name, title = done.study.name, found.metric.title
    return [
        _versus(name, f"{name}: both ways are better than forward ({title})", found),
        _versus(name, f"{name}: both ways are better than backward ({title})", found, "backward"),
        _merging(name, found, f"{name}: how directions are merged matters"),
    ]


def _versus(name: str, claim: str, found: Comparison, other: str = "forward", note: str = "") -> Finding:
    """Both ways, concatenated, against a single direction."""
    both = setting(found, direction="both", merge_mode="concat")
    return _of_difference(name, claim, both, setting(found, direction=other), -1, note, len(found.seeds))


def _of_difference(
    name: str, claim: str, better: SettingResult, worse: SettingResult, sign: int, note: str = "", seeds: int = 0
) -> Finding:
    """From the difference to the reference, which is `worse` if `sign` is 1, else `better`."""
    difference = better.difference if sign == 1 else worse.difference
    if difference is None or better.median is None or worse.median is None:
        return Finding(name, claim, OPEN, "no runs yet", "")
    ends = sorted((sign * difference.low, sign * difference.high))
    by = f"{better.median:.4f} against {worse.median:.4f}: {_better(sign * difference.median, ends)}{note}"
    count = seeds or len(better.runs)
    return Finding(name, claim, _verdict(difference, sign), by, f"{_p(difference.p)}, {count} seeds")


def _planned(name: str, claim: str, worse: Mapping[int, float], better: Mapping[int, float]) -> Finding:
    """Two settings by a score of which less is better, seed by seed."""
    common = sorted(set(worse) & set(better))
    gains = np.array([worse[seed] - better[seed] for seed in common])
    drawn = np.random.default_rng(0).integers(len(gains), size=(1000, len(gains)))
    p = sign_flip_test(gains.tolist()) if len(gains) > 1 else None
    middle = [float(np.median([scores[seed] for seed in common])) for scores in (better, worse)]
    ends = interval(np.median(gains[drawn], axis=1))
    found = Difference(float(np.median(gains)), *ends, float(np.mean(gains)), p)
    by = f"{middle[0]:.4f} against {middle[1]:.4f}: {_better(found.median, ends)}"
    return Finding(name, claim, _verdict(found), by, f"{_p(p)}, {len(common)} seeds, uncorrected")


def _merging(name: str, found: Comparison, claim: str) -> Finding:
    """Whether it matters how two directions are merged."""
    modes = [each for each in found.settings if each.factors["direction"] == "both" and each.median is not None]
    best, last = modes[0], modes[-1]
    assert best.median is not None and last.median is not None  # noqa: PT018
    tested = {str(each.factors["merge_mode"]): each.difference for each in modes if each.difference is not None}
    sure = any(each.significant for each in tested.values())
    by = (
        f"{found.metric.title}: {best.factors['merge_mode']} {best.median:.4f} is best, "
        f"{last.factors['merge_mode']} {last.median:.4f} last"
    )
    told = "; ".join(f"{mode} {each.median:+.4f}, {_p(each.p)}" for mode, each in tested.items() if each is not None)
    return Finding(name, claim, HOLDS if sure else OPEN, by, f"better than concat by: {told}; {len(found.seeds)} seeds")


def _runs(done: Done, direction: str) -> Iterable[Run]:
    return (
        run
        for run in done.runs
        if run.setting["direction"] == direction and run.setting["merge_mode"] == "concat" and run.counts is not None
    )


def _scores(found: Comparison, direction: str) -> dict[int, float]:
    scores = zip(found.seeds, setting(found, direction=direction).runs, strict=True)
    return {seed: score for seed, score in scores if score is not None}


def _verdict(found: Difference, sign: int = 1) -> str:
    """Sure is what is significant; a `sign` of -1 turns the difference round."""
    if not found.significant:
        return OPEN
    return HOLDS if sign * found.median > 0 else FAILS


def _better(gain: float, ends: Sequence[float]) -> str:
    return f"{'better' if gain >= 0 else 'worse'} by {abs(gain):.4f} ({ends[0]:+.4f} to {ends[1]:+.4f})"


def _p(p: float | None) -> str:
    return "no p with one seed" if p is None else f"p {p:.2g}"


def _seeds(done: Done) -> str:
    return f"medians of {len(next(iter(done.found.values())).seeds)} seeds"
