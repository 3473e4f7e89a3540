"""What labels that come K steps late cost, in score and in time: the tables of docs/streaming.md.

    python studies/streaming.py FOLDER --write docs/streaming.md
    python studies/streaming.py FOLDER --only occupancy,future-echo --seeds 2 --epochs 5 --lookahead 0,4

FOLDER holds tables in Parquet, each with the columns `sequence_id`, `step`, `label` and `split`; other columns are
features. Tables with one label per sequence are passed over. The generated problems come after them, with sequences of
50 steps. For each of them and each seed these networks are trained, with the defaults of `bothways train --budget 0`
but for `--epochs`: one that reads both ways, one that does so without the distances of numbers from their means over
the whole sequence, which a stream does not know; and for each lookahead a forward one that is trained for it. The test
part is labeled in streams. Scores are means over the seeds, with intervals over seeds and sequences (the pigeonhole
bootstrap of Owen 2007). Time is that of one step of the test part, all sequences at once.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bothways import engine
from bothways.data import read_and_split
from bothways.errors import counted
from bothways.metrics import Resamples, Score, count, interval, score
from bothways.network import Network
from bothways.problems import PROBLEMS
from bothways.runtime import Member, Model
from bothways.sequences import Sequences
from bothways.settings import Settings
from bothways.study.tasks import Split, problem_task
from bothways.training import train

ROLES = {"label": "label", "sequence": "sequence_id", "order": "step", "split": "split"}
DROPPED = {"occupancy": ["Light"], "adfa_ld": ["attack_type", "source_part"], "ewt_pos": ["xpos"]}
"""Columns that give the answer away, or most of it."""

BEGIN, END = "<!-- results -->", "<!-- end of results -->"

WAYS = ("both ways, step by step", "both ways, in chunks", "in chunks, without means", "forward, trained for it")


class Data(NamedTuple):
    """A table or a problem: its name, how many classes it has and training knows, and a split for each seed."""

    name: str
    classes: int
    known: int
    about: str
    draw: Callable[[int], Split]


def tables(folder: Path | None) -> Iterator[Data]:
    """The tables of a folder that have one label per step."""
    for path in sorted(folder.glob("*.parquet")) if folder else ():
        split = read_and_split(path, **ROLES, drop=DROPPED.get(path.stem, []))  # type: ignore[arg-type]
        columns, parts, _ = split.encoded()
        if columns.per == "step":
            test = parts.named["test"]
            about = f"{counted(len(test), 'test sequence')}, {test.steps:,} steps"
            found = Split(parts.train, parts.valid, test, columns.fitted.sizes)
            known = len(parts.classes)
            classes = max(known, int(test.known_labels.max()) + 1)
            yield Data(path.stem, classes, known, about, partial(_same, found))


def _same(split: Split, seed: int) -> Split:
    del seed
    return split


def problems(steps: int = 50) -> Iterator[Data]:
    """The generated problems."""
    for name in PROBLEMS:
        task = problem_task(name, steps=steps)
        best = ", ".join(f"{way} {value:.3f}" for way, value in task.bayes_accuracy.items())
        classes = len(task.classes)
        yield Data(name, classes, classes, f"the accuracy that is possible: {best}", task.draw)


def trained(data: Data, split: Split, seed: int, epochs: int | None, **more: Any) -> Model:
    """A network that learned from the train part."""
    train_part = split.train
    network = Network(train_part.features, data.known, categories=split.categories, **more)
    settings = Settings(seed=seed, epochs=Settings.epochs if epochs is None else epochs)
    found = train(network, train_part, settings, split.valid, say=lambda message: None)
    return Model([Member(network, found.weights)], tuple(range(data.known)))


def labeled(model: Model, part: Sequences, lookahead: int | None, chunk: int | None = None) -> tuple[Any, float]:
    """The codes that are predicted, and microseconds per step."""
    begun = time.perf_counter()
    p = model.probabilities(part) if lookahead is None else model.stream(lookahead, chunk=chunk).replay(part)
    return model.decide(p), 1e6 * (time.perf_counter() - begun) / part.steps


def measured(data: Data, seeds: int, epochs: int | None, lookaheads: list[int]) -> dict[tuple[str, int | None], str]:
    """The cells of the table of some data: by way and lookahead."""
    of = score("macro_f1" if data.name not in PROBLEMS else "accuracy", range(data.classes))
    columns: dict[Any, list[Any]] = defaultdict(list)
    times: dict[Any, list[float]] = defaultdict(list)

    def keep(way: str, lookahead: int | None, test: Sequences, found: tuple[Any, float]) -> None:
        columns[way, lookahead].append(of.columns(count(test, found[0], data.classes)))
        times[way, lookahead].append(found[1])

    for seed in range(seeds):
        split = data.draw(seed)
        test = split.test
        both = trained(data, split, seed, epochs)
        raw = trained(data, split, seed, epochs, levels="raw")
        for lookahead in [*lookaheads, None]:
            for way, model, chunk in zip(WAYS, (both, both, raw), (1, None, None), strict=False):
                keep(way, lookahead, test, labeled(model, test, lookahead, chunk))
            if lookahead is not None:
                late = trained(data, split, seed, epochs, direction="forward", lookahead=lookahead)
                keep(WAYS[-1], lookahead, test, labeled(late, test, lookahead))
    return {key: cell(of, found, float(np.median(times[key]))) for key, found in columns.items()}


def cell(of: Score, columns: list[Any], microseconds: float) -> str:
    """The mean over the seeds, its interval, and the time."""
    mean = float(np.mean([of.of_sums(each.sum(axis=0)) for each in columns]))
    draws = Resamples([len(each) for each in columns]).scores(columns, of.of_sums, of.worst)
    low, high = interval(draws.mean(axis=1))
    return f"{mean:.3f} [{low:.3f}, {high:.3f}], {microseconds:.1f} µs"


def main() -> None:
    """Train, label, and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", help="names of tables and problems, with commas between them")
    parser.add_argument("--lookahead", default="0,4,16,64")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--write", type=Path, metavar="FILE.md", help=f"put the tables between {BEGIN} and {END}")
    given = parser.parse_args()
    lookaheads = [int(word) for word in given.lookahead.split(",")]
    more = "" if given.epochs is None else f", {given.epochs} epochs"
    lines = [f"{counted(given.seeds, 'seed')}{more}; {engine.threads()} threads, {engine.instruction_set()}.\n"]
    for data in (*tables(given.folder), *problems()):
        if given.only and data.name not in given.only.split(","):
            continue
        cells = measured(data, given.seeds, given.epochs, lookaheads)
        metric = "accuracy" if data.name in PROBLEMS else "macro F1"
        lines += [f"**{data.name}**: {metric}; {data.about}.\n", f"| K | {' | '.join(WAYS)} |", "|---" * 5 + "|"]
        for lookahead in [*lookaheads, None]:
            name = "all" if lookahead is None else str(lookahead)
            lines.append(f"| {name} | {' | '.join(cells.get((way, lookahead), '') for way in WAYS)} |")
        lines.append("")
        print("\n".join(lines[-4 - len(lookaheads) - 1 :]), flush=True)
    if given.write:
        before, _, rest = given.write.read_text().partition(BEGIN)
        given.write.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
