"""What the studies share: their options, workers that take turns, a table, a file.

A study calls `times` with what is to be compared. Each is made by a worker, a process of its own that runs the script
again with `--worker NAME THREADS`; they take turns as those of `bothways bench` do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bothways.bench import rounds, worker
from bothways.errors import BothwaysError, DataError
from bothways.files import check_output, written_whole

Call = Callable[[], Any]
Start = Callable[[int], tuple[Callable[[Any], Call], dict[str, Any]]]
"""Gets a worker ready for so many threads: gives what makes a call out of a case, and what to say of the worker."""

OTHER_WORK = 0.05
"""The share of the processors that other programs may use before a row is marked."""


@dataclass(frozen=True)
class Options:
    """What the command line of a study asks for.

    Attributes:
        quick: tiny sizes, to see that the script works.
        seconds: for each row, compiling aside.
        threads: for each worker.
        save: the file to keep it all in.
    """

    quick: bool
    seconds: float
    threads: int
    save: Path | None


def options(words: str | None, starts: Mapping[str, Start], seconds: float) -> Options:
    """Read the command line; in a worker, be that worker and end.

    Args:
        words: the docstring of the script.
        starts: what starts each worker.
        seconds: the default for each row.
    """
    if sys.argv[1:2] == ["--worker"]:
        name, threads = sys.argv[2:]
        worker.work(lambda: starts[name](int(threads)), read=lambda case: case)
        sys.exit()
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to see that it works; the numbers mean nothing"
    )
    parser.add_argument("--seconds", type=float, default=seconds, help=f"for each row; {seconds:g} if not given")
    parser.add_argument("--threads", type=int, help="for each worker; the processors if not given")
    parser.add_argument("--save", metavar="FILE", help="keep it all, this machine too, in a .json file")
    given = parser.parse_args()
    if not given.seconds > 0:
        parser.error(f"--seconds is {given.seconds:g}; a row needs more than 0")
    try:
        save = None if given.save is None else check_output(given.save, (".json",))
        return Options(given.quick, given.seconds, rounds.check_threads(given.threads), save)
    except BothwaysError as error:
        parser.error(str(error))


@dataclass
class Study:
    """The workers of a study, and what came of it.

    Attributes:
        machine: this machine, the versions in use, the threads.
        since: what the clocks said when it started.
        results: what `add` was given.
        reasons: who gave no number, and why.
    """

    options: Options
    machine: dict[str, Any]
    since: tuple[float, float, float] = field(default_factory=rounds.clocks)
    results: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def workers(
        self, names: Iterable[str], variables: Mapping[str, Mapping[str, str]] | None = None
    ) -> Iterator[dict[str, rounds.Worker]]:
        """Start workers, with `variables` more in the environment of some; end them whatever happens."""
        workers: dict[str, rounds.Worker] = {}
        try:
            for name in names:
                command = [sys.executable, sys.argv[0], "--worker", name, str(self.options.threads)]
                environment = rounds.environment(self.options.threads) | dict((variables or {}).get(name, {}))
                workers[name] = rounds.Worker(name, command, environment)
            for name in list(workers):
                try:
                    ready = workers[name].hear()["ready"]
                except rounds.WorkerError as error:
                    self._refused(name, str(error))
                    workers.pop(name).end()
                    continue
                self.machine["versions"].update(ready.pop("versions", {}))
                self.machine.update(ready)
            yield workers
        finally:
            for each in workers.values():
                each.end()

    def times(
        self, workers: Mapping[str, rounds.Worker], calls: Mapping[str, tuple[str, Mapping[str, Any]]]
    ) -> dict[str, Any]:
        """Measure calls in turns.

        Args:
            workers: those that are there.
            calls: by name, the worker that makes it and its case; without that worker it is left out.

        Returns:
            "ms", the median of each that gave a number; "disturbed", whose is not to be believed; and "other_work",
            the share of the processors that other programs used.
        """
        there = {name: (workers[who], case) for name, (who, case) in calls.items() if who in workers}
        since = rounds.clocks(workers.values())
        answers = rounds.take_turns(
            there, self.options.seconds, refused=lambda name, worker, error: self._refused(name, str(error))
        )
        share = rounds.other_work(since, rounds.clocks(workers.values()))
        return {
            "ms": {name: float(f"{answer['ms']:.4g}") for name, answer in answers.items()},
            "disturbed": [name for name, answer in answers.items() if answer["disturbed"]],
            "other_work": share,
        }

    def add(self, **result: Any) -> None:
        """Keep a result."""
        self.results.append(result)

    def done(self, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print the table, as Markdown, and write the file if one was asked for."""
        machine, busy = self.machine, max((result["other_work"] for result in self.results), default=0.0)
        machine["other_work"] = rounds.other_work(self.since, rounds.clocks())
        versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        print(f"{machine['processor']}, {machine['threads']} threads; {versions}\n")
        print("\n".join(table(headings, rows)))
        if busy > OTHER_WORK:
            print(f"\nOther programs used up to {busy:.0%} of the processors: measure on a quiet machine.")
        if self.options.save is not None:
            content = {"machine": machine, "reasons": self.reasons, "results": self.results}
            with written_whole(self.options.save, DataError) as temporary:
                temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            print(f"\nSaved: {self.options.save}")
        if not self.results:
            sys.exit("There is no result.")

    def _refused(self, name: str, reason: str) -> None:
        self.reasons[name] = reason
        print(f"{name}: {reason}", file=sys.stderr)


def study(options: Options) -> Study:
    """A study without results, on this machine."""
    return Study(options, {**rounds.machine_facts(), "threads": options.threads, "versions": versions("bothways")})


def versions(*packages: str) -> dict[str, str]:
    """The versions of packages that are imported, for what a worker says about itself."""
    return {package: str(sys.modules[package].__version__) for package in packages}


def ms(value: float | None) -> str:
    """Three digits of milliseconds, or nothing."""
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def quotient(of: Mapping[str, float], above: str, below: str) -> float | None:
    """How many times as long one takes as the other, if both gave a number."""
    return of[above] / of[below] if above in of and below in of else None


def times_as(value: float | None) -> str:
    """A quotient, or nothing."""
    return "" if value is None else f"{value:.2f}"


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a table in Markdown, its columns aligned."""
    texts = [list(headings), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(headings))]
    lines = [
        "| " + " | ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)) + " |" for row in texts
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines
