"""What labels that come K steps late cost, in score and in time: the tables of docs/streaming.md.

    python studies/streaming.py FOLDER                  train, label, and keep what came of it in streaming.jsonl
    python studies/streaming.py FOLDER --write          the same, then write docs/streaming.md
    python studies/streaming.py --only future-echo,cost --seeds 1

FOLDER holds tables in Parquet, each with the columns `sequence_id`, `step`, `label` and `split`; other columns are
features. Tables with one label per sequence are passed over. Generated problems of 20 steps and the cost come after
them. A study that was stopped goes on where it was when the command is given again: each result is a line of the file.

Nothing is tuned: all networks have one layer of LSTMs and the defaults of `bothways train --budget 0`, but for PLANS.
Intervals are over seeds and sequences of the test part (the pigeonhole bootstrap of Owen 2007).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

from bothways import engine
from bothways.bench.rounds import machine_facts
from bothways.data import read_and_split
from bothways.errors import counted
from bothways.metrics import Resamples, Score, count, interval, rarest, score
from bothways.network import Network
from bothways.problems import PROBLEMS
from bothways.runtime import Member, Model
from bothways.sequences import Sequences
from bothways.settings import Settings
from bothways.study.tasks import Split, problem_task
from bothways.training import train

PAGE = Path(__file__).parents[1] / "docs" / "streaming.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"

ROLES = {"label": "label", "sequence": "sequence_id", "order": "step", "split": "split"}
DROPPED = {"occupancy": ["Light"], "ewt_pos": ["xpos"]}
"""Columns that give the answer away, or most of it."""

STEPS, CHUNKS, RAW, FORWARD = "step by step", "in chunks", "in chunks, without means", "forward, trained for K"
NEAR = 0.01
"""A score that is no more than this below that of whole sequences is as good."""


class Plan(NamedTuple):
    """How networks learn.

    Attributes:
        epochs: how many.
        lookaheads: those that are measured.
        trained: those that forward networks are trained for.
        network: what differs from the defaults.
        both: what differs where both ways are read.
    """

    epochs: int
    lookaheads: tuple[int, ...]
    trained: tuple[int, ...]
    network: dict[str, Any]
    both: dict[str, Any]

    def __str__(self) -> str:
        """In words."""
        found = [f"{self.epochs} epochs", *(f"{name} {value}" for name, value in self.network.items())]
        return ", ".join([*found, *(f"{name} {value} both ways" for name, value in self.both.items())])


PLANS = {
    "numbers": Plan(60, (0, 1, 2, 4, 8, 16, 32, 64), (0, 1, 2, 4, 8, 16, 32), {}, {}),
    "words": Plan(6, (0, 1, 2, 4, 8), (0, 1, 2, 4), {"units": 64, "embedding": 32, "dropout": 0.5}, {"head": "crf"}),
    "problem": Plan(12, (0, 1, 2, 4, 8), (0, 1, 2, 4, 8), {}, {}),
}

MOST = 2000
"""Of so many sequences of the train part a network learns at most."""


class Data(NamedTuple):
    """A table or a problem: its name, classes, score, what is to be said of it, a split for each seed, its plan."""

    name: str
    classes: tuple[Any, ...]
    unseen: int
    score: Score
    about: str
    draw: Callable[[int], Split]
    plan: Plan


def tables(folder: Path) -> Iterator[Data]:
    """The tables of a folder that have one label per step."""
    for path in sorted(folder.glob("*.parquet")):
        split = read_and_split(path, **ROLES, drop=DROPPED.get(path.stem, []))  # type: ignore[arg-type]
        if split.columns.per != "step":
            continue
        there = len(split.parts.train)
        chosen = np.sort(np.random.default_rng(0).permutation(there)[:MOST])
        split = replace(split, parts=replace(split.parts, train=split.parts.train.take(chosen)))
        columns, parts, _ = split.encoded()
        test = parts.test
        assert test is not None
        about = f"{counted(len(test), 'test sequence')}, {test.steps:,} steps"
        if there > MOST:
            about += f", {MOST:,} of the {there:,} sequences of the train part"
        classes = (*parts.classes, *parts.unseen)
        names = [str(name) for name in classes]
        rare = names[rarest(np.bincount(parts.train.known_labels, minlength=len(parts.classes)))]
        kind = "f1" if len(names) == 2 else "entity_f1" if test.scheme else "accuracy"
        yield Data(
            path.stem,
            classes,
            len(parts.unseen),
            score(kind, names, rare),
            about,
            partial(_same, Split(parts.train, parts.valid, test, columns.fitted.sizes)),
            PLANS["words" if columns.words else "numbers"],
        )


def _same(split: Split, seed: int) -> Split:
    del seed
    return split


def problems() -> Iterator[Data]:
    """The generated problems."""
    plan = PLANS["problem"]
    for name in PROBLEMS:
        task = problem_task(name, steps=20)
        best = ", ".join(f"{way} {value:.3f}" for way, value in task.bayes_accuracy.items())
        about = f"the accuracy that is possible: {best}"
        yield Data(name, task.classes, 0, score("accuracy", task.classes), about, task.draw, plan)


class Results:
    """Results by data, plan, seed, way and lookahead, each a line of a file."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # the last line may have been cut short
        self._found = dict(map(self._of_line, whole.splitlines()))
        if whole != text:
            path.write_text(whole)
        self._file = path.open("a")

    @staticmethod
    def _of_line(line: str) -> tuple[tuple[Any, ...], Any]:
        *key, value = json.loads(line)
        return tuple(key), value

    def __contains__(self, key: tuple[Any, ...]) -> bool:
        return key in self._found

    def get(self, *key: Any) -> Any:
        """What is known of a key, or None."""
        return self._found.get(key)

    def keep(self, value: Any, *key: Any) -> None:
        """Add a result."""
        self._found[key] = value
        self._file.write(json.dumps([*key, value]) + "\n")
        self._file.flush()


def networks(data: Data, numeric: bool) -> Iterator[tuple[dict[str, Any], list[tuple[str, int | None, int | None]]]]:
    """What to train: how each network differs, and how it labels: way, lookahead (None: all steps) and chunk."""
    plan = data.plan
    in_chunks = [(CHUNKS, late, None) for late in plan.lookaheads if late > 1]  # a chunk of one is step by step
    yield plan.both, [(STEPS, None, None), *((STEPS, late, 1) for late in plan.lookaheads), *in_chunks]
    if numeric:
        yield {"levels": "raw"}, [(RAW, None, None), *((RAW, late, None) for late in plan.lookaheads)]
    for late in plan.trained:
        yield {"direction": "forward", "lookahead": late}, [(FORWARD, late, None)]


def measure(data: Data, seed: int, results: Results) -> None:
    """Train and label what is not there yet."""
    split = data.draw(seed)
    numeric = split.train.features > len(split.categories) and data.name not in PROBLEMS
    for more, ways in networks(data, numeric):
        left = [way for way in ways if (data.name, str(data.plan), seed, *way[:2]) not in results]
        if left:
            known = data.classes[: len(data.classes) - data.unseen]
            description = {**data.plan.network, **more}
            network = Network(split.train.features, len(known), categories=split.categories, **description)
            settings = Settings(seed=seed, epochs=data.plan.epochs)
            weights = train(network, split.train, settings, split.valid, say=lambda message: None).weights
            model = Model([Member(network, weights)], known)
            for way, late, chunk in left:
                found = counts(data, model, split.test, late, chunk)
                results.keep(found, data.name, str(data.plan), seed, way, late)


def counts(data: Data, model: Model, test: Sequences, lookahead: int | None, chunk: int | None) -> list[list[int]]:
    """What the score is made of, for each sequence; sums over the types of entities."""
    if lookahead is None:
        codes = model.decide(model.probabilities(test), test.lengths)
    else:
        codes = model.stream(lookahead, chunk=chunk).replay(test)[0]
    columns = data.score.columns(count(test, codes, len(data.classes)))
    if data.score.name == "entity_f1":
        columns = columns.reshape(len(columns), 3, -1).sum(axis=2)
    return [list(map(int, row)) for row in columns]


def cost(lookahead: int, way: str) -> float:
    """Microseconds of one processor per label, from events: 1,000 keys, 16 steps of each at once, 8 numbers."""
    random = np.random.default_rng(0)
    more: dict[str, Any] = {"direction": "forward", "lookahead": lookahead} if way == FORWARD else {}
    network = Network(features=8, classes=2, units=32, **more)
    weights = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in network.weight_shapes().items()}
    weights["input/scale"] = np.ones_like(weights["input/scale"])
    model = Model([Member(network, weights)], ("calm", "attack"))
    stream, names = model.stream(lookahead, chunk=None if way == CHUNKS else 1), list(range(1000)) * 16
    values, labels = random.normal(size=(len(names), 8)), 0
    warm, measured = 2 * (lookahead // 16 + 1), 8  # of the longest chunks two
    for round_ in range(warm + measured):
        if round_ == warm:
            begun, labels = time.process_time(), 0
        steps = np.repeat(np.arange(16) + 16 * round_, 1000).tolist()
        labels += len(stream.push_many(names, steps, values))
    return 1e6 * (time.process_time() - begun) / labels


def scores(data: Data, seeds: int, results: Results, way: str, late: int | None) -> tuple[float, float, float] | None:
    """The mean over the seeds and the ends of its interval; None where it was not measured."""
    way = STEPS if way == CHUNKS and late in (0, 1, None) else way
    found = [results.get(data.name, str(data.plan), seed, way, late) for seed in range(seeds)]
    if None in found:
        return None
    columns = [np.array(each) for each in found]
    mean = float(np.mean([data.score.of_sums(each.sum(axis=0, dtype=np.float64)) for each in columns]))
    draws = Resamples(list(map(len, columns))).scores(columns, data.score.of_sums, data.score.worst)
    return mean, *interval(draws.mean(axis=1))


def table(data: Data, seeds: int, results: Results) -> list[str]:
    """The rows of the table of some data."""
    ways = [way for way in (STEPS, CHUNKS, RAW, FORWARD) if way != RAW or scores(data, seeds, results, RAW, None)]
    lines = [f"**{data.name}**: {data.score.title}; {data.plan}; {data.about}.\n", f"| K | {' | '.join(ways)} |"]
    lines.append("|---" * (1 + len(ways)) + "|")
    for late in (*data.plan.lookaheads, None):
        found = [scores(data, seeds, results, way, late) for way in ways]
        cells = ["" if each is None else f"{each[0]:.3f} [{each[1]:.3f}, {each[2]:.3f}]" for each in found]
        lines.append(f"| {'all' if late is None else late} | {' | '.join(cells)} |")
    return [*lines, ""]


def overview(data: Data, seeds: int, results: Results) -> str:
    """A row: the past alone, whole sequences, and the least lookahead of each way that is as good."""
    past, whole = (scores(data, seeds, results, *key) for key in ((FORWARD, 0), (STEPS, None)))
    assert past
    assert whole
    cells = []
    for way in (STEPS, CHUNKS, FORWARD):
        found = {late: scores(data, seeds, results, way, late) for late in data.plan.lookaheads}
        enough = [late for late, each in found.items() if each is not None and each[0] >= whole[0] - NEAR]
        cells.append(str(enough[0]) if enough else "none")
    return f"| {data.name} | {data.score.title} | {past[0]:.3f} | {whole[0]:.3f} | {' | '.join(cells)} |"


def page(every: list[Data], seeds: int, results: Results) -> str:
    """What stands between the markers of the page."""
    facts = machine_facts()
    lines = [
        f"{counted(seeds, 'seed')}; one layer of LSTMs, 32 units in each direction if nothing else is said; one thread "
        f"of an {facts['processor']}.\n",
        f"The least K that was tried at which the score is at most {NEAR} below that of whole sequences, read both "
        "ways:\n",
        f"| data | score | the past alone (forward, K = 0) | whole sequences | {STEPS} | {CHUNKS} | {FORWARD} |",
        "|---" * 7 + "|",
        *(overview(data, seeds, results) for data in every),
        "",
        "Microseconds of one processor per label, from events to labels (1,000 keys, 16 steps of each at once, 8 "
        "numbers, 32 units), and the delay in steps:\n",
        "| K | " + " | ".join(f"{way} | delay" for way in (STEPS, CHUNKS, FORWARD)) + " |",
        "|---" * 7 + "|",
    ]
    for late in PLANS["numbers"].lookaheads:
        spent = {way: results.get("cost", way, late) for way in (STEPS, CHUNKS, FORWARD)}
        delays = {STEPS: late, CHUNKS: f"{late} to {2 * late - 1}" if late > 1 else late, FORWARD: late}
        cells = [f"{'' if us is None else f'{us:.1f}'} | {delays[way]}" for way, us in spent.items()]
        lines.append(f"| {late} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(line for data in every for line in table(data, seeds, results))])


def main() -> None:
    """Train, label, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", help="names of tables and problems, and cost, with commas between them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="to see that it works")
    parser.add_argument("--results", type=Path, default=Path("streaming.jsonl"), help="a line for each result")
    parser.add_argument("--write", action="store_true", help=f"put the tables between {BEGIN} and {END} of --page")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    engine.set_threads(1)
    results, only = Results(given.results), given.only.split(",") if given.only else None
    every = [*(tables(given.folder) if given.folder else ()), *problems()]
    every = [data for data in every if only is None or data.name in only]
    if given.epochs is not None:
        every = [data._replace(plan=data.plan._replace(epochs=given.epochs)) for data in every]
    for seed in range(given.seeds):
        for data in every:
            begun = time.perf_counter()
            measure(data, seed, results)
            print(f"seed {seed}, {data.name}: {time.perf_counter() - begun:.0f} s", flush=True)
    for late in PLANS["numbers"].lookaheads if only is None or "cost" in only else ():
        for way in (STEPS, CHUNKS, FORWARD):
            if ("cost", way, late) not in results:
                results.keep(cost(late, way), "cost", way, late)
    if given.write:
        before, _, rest = given.page.read_text().partition(BEGIN)
        text = page(every, given.seeds, results)
        given.page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
