"""How good the labels of the bare command are, beside simple models and what a Keras user would write first.

    python benchmarks/accuracy.py FOLDER [--seeds 5] [--tables occupancy,plaid] [--rehearse] [--budget 60s] [--twin]

FOLDER holds tables in Parquet, each with the columns `sequence_id`, `step`, `label` and `split`; other columns are
features. For each table and seed `bothways train` runs with nothing but the roles of these columns; the test part is
looked at once. The median over the seeds stands beside the scores of the simple models that training fits to the same
part, and beside a BiLSTM of 64 units on standardised inputs (Adam .001, early stopping on the valid part). The simple
models decide by a threshold or a balance that is chosen as ours is; such a BiLSTM predicts what it finds likeliest. At
the end comes the table of the README.

With --twin the same command also trains networks that read forward only, which shows what the second direction is
worth. With --rehearse the test part is not read: the valid part stands for it, and a valid part is drawn of the train
part. That is what defaults are chosen by.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bothways import interrupts, jobs
from bothways.data import read_and_split
from bothways.metrics import Resamples, count, interval, kept_threshold, score
from bothways.report.words import baseline_words
from bothways.runtime import Model, logits, probabilities
from bothways.sequences import Sequences

ROLES = {"label": "label", "sequence": "sequence_id", "order": "step", "split": "split"}

SCORES = {
    "occupancy": "f1",
    "cmapss_fd001": "f1",
    "adfa_ld": "f1",
    "malapi": "macro_f1",
    "hdfs_blocks": "macro_f1",
    "snips_slots": "entity_f1",
    "wnut17": "entity_f1",
}
"""The scores of tables whose classes are not equally frequent; that of the others is accuracy."""

Rivals = Callable[[pl.DataFrame, Model, Mapping[str, Sequences], int], Mapping[str, Any]]
"""From the table, our model, the parts and the seed to what others predict on the test part, by name."""

ALARMS = 0.01
"""The share of false alarms that the threshold has on the valid part."""

DROP = {"occupancy": ["Light"], "adfa_ld": ["attack_type", "source_part"], "ewt_pos": ["xpos"]}
"""Columns that give the answer away, or most of it."""

MARKS: Mapping[str, Any] = {
    "occupancy": 0.51,
    "cmapss_fd001": 0.767,
    "bach_chords": 0.802,
    "shoulder_watch": 0.784,
    "plaid": 0.944,
    "malapi": 0.397,
    "hdfs_blocks": 0.995,
    "japanese_vowels": 0.98,
    "adfa_ld": 0.81,
}
"""The best of simple models, run once."""


def rehearsal(frame: pl.DataFrame) -> pl.DataFrame:
    """The table without its test part: the valid part in its place, and a valid part of a fifth of the train part."""
    frame = frame.filter(pl.col("split") != "test")
    names = frame.filter(split="train")["sequence_id"].unique(maintain_order=True)
    drawn = names.sample(len(names), shuffle=True, seed=0)
    fifth = max(1, len(drawn) // 5)
    parts = {"valid": drawn[:fifth]}
    if not (frame["split"] == "valid").any():
        parts["test"] = drawn[fifth : 2 * fifth]
    split = pl.when(pl.col("split") == "valid").then(pl.lit("test")).otherwise(pl.col("split"))
    for part, own in parts.items():
        chosen = pl.col("sequence_id").is_in(own.implode()) & (pl.col("split") == "train")
        split = pl.when(chosen).then(pl.lit(part)).otherwise(split)
    return frame.with_columns(split=split)


def keras_user(frame: pl.DataFrame, model: Model, parts: Mapping[str, Sequences], seed: int) -> Mapping[str, Any]:
    """What a Keras user would write first. It learns from the train part alone; the likeliest class is predicted."""
    from bothways.network import Network
    from bothways.settings import Settings
    from bothways.training import train

    best = model.network
    network = Network(
        features=best.features,
        classes=best.classes,
        categories=best.categories,
        per=best.per,
        units=64,
        encoding="standard",
        levels="raw",
        changes=0,
    )
    settings = Settings(learning_rate=0.001, batch_size=32, patience=5, monitor="loss", seed=seed, category_dropout=0.0)
    found = train(network, parts["train"], settings, parts["valid"], say=lambda message: None)
    return {"a Keras user": probabilities(logits(network, found.weights, parts["test"]))}


def run(
    path: Path,
    seed: int,
    rehearse: bool,
    budget: str | None,
    twin: bool,
    rivals: Rivals | None,
    folder: Path,
    vectors: str | None,
) -> dict[str, Any]:
    """The scores of one training, of the simple models, and of rivals."""
    name = path.stem
    frame = pl.read_parquet(path)
    data = folder / path.name
    frame = rehearsal(frame) if rehearse else frame
    frame.write_parquet(data)
    roles: dict[str, Any] = {**ROLES, "drop": DROP.get(name, []), "vectors": vectors}
    begun = time.perf_counter()
    output, settings = folder / f"{name}.bothways", {"seed": seed} if seed else {}
    # Sequences that the train part has twice may be in both of its pieces, of which neither is scored.
    train = partial(jobs.train, data, output, budget=budget, allow_leaks=rehearse, say=lambda message: None, **roles)
    trained = train(settings=settings)
    seconds = time.perf_counter() - begun
    model = trained.model
    _, found_parts, _ = read_and_split(data, seed=seed, **roles).encoded()
    parts, test = found_parts.named, found_parts.named["test"]
    known = max(len(model.classes), int(test.known_labels.max()) + 1)
    positive = int(np.argmin([model.class_counts[label] for label in model.classes]))
    of = score(SCORES.get(name, "accuracy"), range(known), positive)
    p = model.probabilities(test)
    begun = time.perf_counter()
    model.probabilities(test)
    speed = test.steps / (time.perf_counter() - begun)
    kept = kept_threshold(model.facts["thresholds"], ALARMS, positive) if len(model.classes) == 2 else None
    alarms = {} if kept is None else {ALARMS: kept}
    caught = count(test, p, known, positive=positive, thresholds=alarms)
    counts = {"bothways": count(test, p, known, predicted=model.decide(p, test.lengths))}
    simple = {each: count(test, codes, known) for each, codes in model.predict_baselines(test).items()}
    counts |= simple
    if twin:
        forward = train(settings={**settings, "direction": "forward"}).model
        p = forward.probabilities(test)
        counts["forward only"] = count(test, p, known, predicted=forward.decide(p, test.lengths))
    if rivals is not None:
        counts |= {each: count(test, given, known) for each, given in rivals(frame, model, parts, seed).items()}
    found: dict[str, Any] = {each: of.of(own) for each, own in counts.items()}
    columns_of = {each: of.columns(own) for each, own in counts.items()}
    return {
        "table": name,
        "seed": seed,
        "scores": found,
        "simple": {each: baseline_words(each, test.per) for each in simple},
        "seconds": seconds,
        "valid": model.facts.get("search", {}).get("of the average"),
        "trials": len(model.facts.get("search", {}).get("trials", [])),
        "card": model.summary,
        "steps a second": speed,
        "alarms": {
            name: score(f"{name}@{ALARMS}", range(known), positive, [ALARMS]).of(caught)
            for name in (["detection", "false_alarms"] if alarms else [])
        },
        **intervals(columns_of, of),
    }


def intervals(columns: dict[str, Any], of: Any) -> dict[str, Any]:
    """Over samples of sequences: the interval of our score, and of how far it is ahead of each other."""
    samples = Resamples([len(columns["bothways"])])
    drawn = {each: of.of_sums(samples.sums(own)[0], own.sum(axis=0)) for each, own in columns.items()}
    ours = drawn.pop("bothways")
    return {"interval": interval(ours), "ahead": {each: interval(ours - own) for each, own in drawn.items()}}


def options(words: str | None, tables: Mapping[str, Any]) -> argparse.ArgumentParser:
    """The options of a benchmark of accuracy."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", default=",".join(tables))
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--budget")
    parser.add_argument("--twin", action="store_true")
    parser.add_argument("--vectors", help="pretrained vectors of words, as `bothways train` takes them")
    parser.add_argument("--json", type=Path, help="Append each run to this file.")
    return parser


def measure(given: argparse.Namespace, rivals: Rivals | None, marks: Mapping[str, Any]) -> None:
    """Run all tables, print one table for each, and in the end one of all as README has it."""
    rows = []
    for name in given.tables.split(","):
        runs = []
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                path = given.folder / f"{name}.parquet"
                runs.append(
                    run(path, seed, given.rehearse, given.budget, given.twin, rivals, Path(folder), given.vectors)
                )
            if given.json:
                with given.json.open("a") as file:
                    file.write(json.dumps(runs[-1]) + "\n")
        show(name, runs, marks.get(name))
        rows.append(readme_row(name, runs))
    others = [each.replace("_", " ") for each in runs[0]["scores"] if each not in {"bothways", *runs[0]["simple"]}]
    header = ["table", "score", "bothways", "seeds", "best simple model", "ahead by", *others]
    print("", *map("| {} |".format, map(" | ".join, [header, ["---"] * len(header), *rows])), sep="\n")


def readme_row(name: str, runs: list[dict[str, Any]]) -> list[str]:
    """A table's medians, as in README; the better one of ours and the best simple model in bold."""
    medians = {each: float(np.median([run["scores"][each] for run in runs])) for each in runs[0]["scores"]}
    simple, own = runs[0]["simple"], [run["scores"]["bothways"] for run in runs]
    best = max(simple, key=medians.__getitem__)
    ours, theirs = (f"{medians[each]:.3f}" for each in ("bothways", best))
    low, high = np.median([run["ahead"][best] for run in runs], axis=0)
    cells = [
        f"`{name}`",
        SCORES.get(name, "accuracy").replace("_", " "),
        (f"**{ours}**" if ours > theirs else ours) + f" ({min(own):.3f} to {max(own):.3f})",
        str(len(runs)),
        (f"**{theirs}**" if theirs > ours else theirs) + f" {simple[best]}",
        f"{low:.3f} to {high:.3f}",
    ]
    cells += [f"{medians[each]:.3f}" for each in medians if each not in {"bothways", *simple}]
    return [cell.replace("0.", ".") for cell in cells]


def show(name: str, runs: list[dict[str, Any]], mark: Any) -> None:
    """Print a table's medians."""
    medians = {each: float(np.median([run["scores"][each] for run in runs])) for each in runs[0]["scores"]}
    own = [run["scores"]["bothways"] for run in runs]
    low, high = np.median([run["interval"] for run in runs], axis=0)
    print(f"{name} ({SCORES.get(name, 'accuracy').replace('_', ' ')}; mark: {mark})")
    for each, median in sorted(medians.items(), key=lambda item: -item[1]):
        more = f" ({low:.3f} to {high:.3f}; seeds {min(own):.3f} to {max(own):.3f})" if each == "bothways" else ""
        if each in runs[0]["ahead"]:
            more = " ahead by {:+.3f} to {:+.3f}".format(*np.median([run["ahead"][each] for run in runs], axis=0))
        print(f"    {median:.3f} {each.replace('_', ' ')}{more}")
    seconds, trials = (np.median([run[key] for run in runs]) for key in ("seconds", "trials"))
    speed = np.median([run["steps a second"] for run in runs])
    if runs[0]["alarms"]:
        found, false = (np.median([run["alarms"][name] for run in runs]) for name in ("detection", "false_alarms"))
        print(f"    at a threshold for {ALARMS:.0%} false alarms: {found:.3f} found, {false:.3f} false alarms")
    print(f"    {seconds:.0f} s of training, {trials:.0f} trials, labels {speed:,.0f} steps a second", flush=True)


def main() -> None:
    """Compare with what a Keras user would write first."""
    parser = options(__doc__, MARKS)
    parser.add_argument("--no-keras", action="store_true")
    given = parser.parse_args()
    measure(given, None if given.no_keras else keras_user, MARKS)


if __name__ == "__main__":
    interrupts.watch()
    main()
