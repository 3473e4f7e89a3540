"""How findings are written: a summary in JSON and in words, and the tables of a page in Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bothways.study import Comparison, SettingResult
from bothways.study.view import shares_of
from claimed.findings import Finding, best_of
from claimed.studies import CALLS, Done
from limits import FlowLimits

CHAPTERS = {
    1: "The cumulative sum",
    2: "Problems with a known Bayes accuracy",
    3: "Intrusion detection",
    4: "Real tables",
}
OF_BAYES = "bayes-accuracy"

Summary = dict[str, Any]
"""What was found, as JSON values; the page is made of it, and of nothing else."""


def summary(
    done: Mapping[str, Done], found: Sequence[Finding], limits: Mapping[str, FlowLimits], about: Mapping[str, Any]
) -> Summary:
    """All that was found.

    Args:
        done: the studies, by name.
        found: what they say of the claims.
        limits: what is possible on `intrusion-flows`, by direction.
        about: the machine, and whether it was quick.
    """
    return {
        **about,
        "findings": [asdict(each) for each in found],
        "studies": {name: _study(each) for name, each in done.items()},
        "limits": {
            way: {f"detection@{rate}": value.value for rate, value in each.detection.items()}
            | {"accuracy": each.accuracy.value}
            for way, each in limits.items()
        },
    }


def _study(done: Done) -> dict[str, Any]:
    first = next(iter(done.found.values()))
    ways = {way: asdict_of(best_of(first, way)) for way in first.bayes_accuracy} if first.bayes_accuracy else {}
    return {
        "chapter": done.study.chapter,
        "task": first.task.name,
        "judged": first.task.tested_on,
        "vary": {name: list(values) for name, values in done.study.vary.items()},
        "settings": dict(done.study.settings),
        "seeds": len(first.seeds),
        "runs": first.runs,
        "left": first.left,
        "seconds": round(first.seconds),
        "test": first.test,
        "bayes_accuracy": dict(first.bayes_accuracy),
        "best": ways,
        "metrics": {metric: _metric(found) for metric, found in done.found.items()},
    }


def _metric(found: Comparison) -> dict[str, Any]:
    own = [asdict_of(each) for each in found.own]
    return {
        "title": found.metric.title,
        "baseline": found.baseline,
        "settings": own,
        "shares": {name: share for name, (share, _) in shares_of(found).items()},
        "verdict": found.verdict(),
    }


def asdict_of(setting: SettingResult) -> dict[str, Any]:
    """What a summary keeps of a setting."""
    return {
        "title": setting.title,
        "median": setting.median,
        "low": setting.low,
        "high": setting.high,
        "difference": None if setting.difference is None else asdict(setting.difference),
        "diverged": setting.diverged,
        "failed": setting.failed,
        "parameters": setting.parameters,
        "seconds": round(setting.seconds, 3),
    }


def words(of: Summary) -> str:
    """The summary for a terminal."""
    lines = ["QUICK: sizes are so small that these findings are worth nothing.", ""] if of["quick"] else []
    for chapter, findings in _by_chapter(of).items():
        lines += [f"{chapter}. {CHAPTERS[chapter]}", ""]
        for each in findings:
            lines += [
                f"  {each['verdict'].upper():<14}{each['claim']}",
                f"{'':16}{each['by']}",
                f"{'':16}{each['sure']}",
            ]
        lines.append("")
    left = sum(each["left"] for each in of["studies"].values())
    lines += [f"{left} runs are still to do." if left else "All runs are done."]
    return "\n".join(lines)


def blocks(of: Summary) -> dict[str, str]:
    """The tables of the page, by the name that stands in their marks."""
    made = {f"verdicts-{chapter}": _verdicts(findings) for chapter, findings in _by_chapter(of).items()}
    made["sizes"] = _sizes(of)
    made["machine"] = _machine(of)
    studies = of["studies"]
    if known := {name: each for name, each in studies.items() if each["chapter"] == 2}:
        made[OF_BAYES] = _bayes_accuracy(known)
    for name, each in studies.items():
        if each["chapter"] != 2:
            limits = of["limits"] if name == "intrusion-flows" else {}
            tables = [_settings(key, metric, limits) for key, metric in each["metrics"].items()]
            made[name] = "\n\n".join(tables)
        if name == "adfa-ld":
            made["adfa-ld-shares"] = _shares(each["metrics"])
    return made


def filled(page: str, made: Mapping[str, str]) -> str:
    """A page with what stands between its marks, `<!-- NAME -->` and `<!-- /NAME -->`, made anew.

    Example:
        >>> filled("<!-- sizes -->old<!-- /sizes -->", {"sizes": "new"})
        '<!-- sizes -->\\n\\nnew\\n\\n<!-- /sizes -->'
    """

    def fresh(mark: re.Match[str]) -> str:
        name = mark[1]
        return f"<!-- {name} -->\n\n{made.get(name, 'Not run.')}\n\n<!-- /{name} -->"

    return re.sub(r"<!-- ([a-z0-9-]+) -->.*?<!-- /\1 -->", fresh, page, flags=re.DOTALL)


def _by_chapter(of: Summary) -> dict[int, list[dict[str, str]]]:
    chapters: dict[int, list[dict[str, str]]] = {}
    for each in of["findings"]:
        study = of["studies"].get(each["study"])
        chapters.setdefault(2 if study is None else study["chapter"], []).append(each)
    return chapters


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _verdicts(findings: Sequence[Mapping[str, str]]) -> str:
    rows = [[each["claim"], f"**{each['verdict']}**", each["by"], each["sure"]] for each in findings]
    return _table(["claim", "", "by how much", "how sure"], rows)


def _sizes(of: Summary) -> str:
    rows, studies = [], of["studies"]
    same = set.intersection(*(set(each["settings"].items()) for each in studies.values())) if studies else set()
    for name, each in studies.items():
        vary = "; ".join(f"{factor}: {', '.join(map(str, values))}" for factor, values in each["vary"].items())
        settings = _set({factor: value for factor, value in each["settings"].items() if (factor, value) not in same})
        runs = f"{each['runs']}" + (f" ({each['left']} not done)" if each["left"] else "")
        rows.append([name, vary, settings, str(each["seeds"]), runs, f"{each['seconds']}"])
    table = _table(["study", "varied", "set", "seeds", "runs", "seconds of all runs"], rows)
    return f"{table}\n\nSet in all studies: {_set(dict(sorted(same)))}."


def _set(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{factor} {value}" for factor, value in settings.items()) or "nothing else"


def _machine(of: Summary) -> str:
    machine = of["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in of["versions"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}; {versions}; {machine['date']}. "
        f"Of each trace of `adfa_ld` the first {CALLS} calls are read."
    )


def _settings(name: str, metric: Mapping[str, Any], limits: Mapping[str, Mapping[str, float]]) -> str:
    rows = []
    for each in metric["settings"]:
        difference = each["difference"]
        cells = [each["title"], _score(each)]
        cells += ["", ""] if difference is None else [_difference(difference), _p(difference["p"])]
        if limits:
            cells.append(f"{limits[each['title']][name]:.4f}")
        rows.append(cells)
    head = ["reads", metric["title"], "better than the reference by", "p", *(["possible"] if limits else [])]
    baseline = metric["baseline"]
    below = "" if baseline is None else f"\n\nAlways the commonest label: {baseline:.4f}."
    return _table(head, rows) + below


def _bayes_accuracy(studies: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, each in studies.items():
        for way, ceiling in each["bayes_accuracy"].items():
            best = each["best"][way]
            gap = "" if best["median"] is None else f"{best['median'] - ceiling:+.4f}"
            rows.append([name.removeprefix("bayes-"), best["title"], f"{ceiling:.4f}", _score(best), gap])
    return _table(["problem", "reads", "possible", "measured", "difference"], rows)


def _shares(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    names = list(next(iter(metrics.values()))["shares"])
    rows = [
        [name.replace("_", " "), *(f"{metric['shares'].get(name, 0.0):.1%}" for metric in metrics.values())]
        for name in names
    ]
    return _table(["explains", *(metric["title"] for metric in metrics.values())], rows)


def _score(each: Mapping[str, Any]) -> str:
    if each["median"] is None:
        return "no run"
    marks = "".join(f", {each[what]} {what}" for what in ("diverged", "failed") if each[what])
    return f"{each['median']:.4f} ({each['low']:.4f} to {each['high']:.4f}{marks})"


def _difference(of: Mapping[str, float]) -> str:
    return f"{of['median']:+.4f} ({of['low']:+.4f} to {of['high']:+.4f})"


def _p(p: float | None) -> str:
    return "" if p is None else f"{p:.2g}"
