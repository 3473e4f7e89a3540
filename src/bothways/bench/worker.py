"""The process of one peer: `python -m bothways.bench.worker NAME THREADS`, JSON lines in and out.

    it says    {"ready": {"version": ...}}                    once, when its library is imported
    it is told {"do": "build", "case": {...}}                 -> {"outputs": how many numbers come out}
               {"do": "slice", "seconds": 0.05}               -> {"calm": how many slices were not disturbed so far}
               {"do": "finish"}                               -> {"ms": the median, "disturbed": no calm slices,
                                                                  "error": that of lower precision, or null}

Several things are measured at once under several names, "call": "..." in each request. `finish` forgets what was built.
Where something cannot be done it says {"refused": why}. It ends when there is nothing more to read.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bothways.bench.cases import CALM_SLICES, OURS, PEERS, SGEMM, Case
from bothways.bench.peers import START, Approximate, Call

WARM_CALLS = 3
WARM_SECONDS = 0.03
"""A slice starts with `WARM_CALLS` calls that are not timed, or with as many as fit into this time. They wake the
threads of this worker, and give those of the one before the time to fall asleep."""

LONG_CALL = 0.1  # seconds. What the first milliseconds of so long a call lose is not worth another call

WAITING = 0.05
"""A slice is disturbed if threads of this worker waited for a processor, which another program had, for more than
this share of it."""


class Stopwatch:
    """Times calls in slices."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.calm: list[list[float]] = []
        self.disturbed: list[list[float]] = []
        self.outputs = math.prod(getattr(call(), "shape", ()))  # how many numbers it gives; this call may compile
        self.typical = self._once()  # the seconds of the latest call

    def slice(self, seconds: float) -> None:
        """Time as many calls as fit, at least one."""
        if self.typical < LONG_CALL:
            until = time.perf_counter() + WARM_SECONDS
            for _ in range(WARM_CALLS):
                self.call()
                if time.perf_counter() > until:
                    break
        timed: list[float] = []
        waited, started = _waited(), time.perf_counter()
        while not timed or time.perf_counter() < started + seconds:
            timed.append(self._once())
        share = (_waited() - waited) / (time.perf_counter() - started)
        (self.disturbed if share > WAITING else self.calm).append(timed)
        self.typical = timed[-1]

    def median_ms(self) -> float:
        """The median of the calls in calm slices, or of all calls if there are too few of these, in milliseconds."""
        slices = self.calm if len(self.calm) >= CALM_SLICES else self.calm + self.disturbed
        return statistics.median(seconds for timed in slices for seconds in timed) * 1e3

    def _once(self) -> float:
        started = time.perf_counter()
        self.call()
        return time.perf_counter() - started


def handle(
    build: Callable[[Any], Call],
    requests: Iterable[str],
    answer: Callable[[dict[str, Any]], None],
    read: Callable[[Any], Any] = Case.from_json,
) -> None:
    """Do what the lines ask for, until there are no more."""
    stopwatches: dict[str, Stopwatch] = {}
    for line in requests:
        request = json.loads(line)
        name = request.get("call", "")
        try:
            if request["do"] == "build":
                stopwatches.pop(name, None)
                stopwatches[name] = Stopwatch(build(read(request["case"])))
                answer({"outputs": stopwatches[name].outputs})
            elif name not in stopwatches:
                answer({"refused": "nothing has been built"})
            elif request["do"] == "slice":
                stopwatches[name].slice(request["seconds"])
                answer({"calm": len(stopwatches[name].calm)})
            else:
                stopwatch = stopwatches.pop(name)
                error = stopwatch.call.error() if isinstance(stopwatch.call, Approximate) else None
                disturbed = len(stopwatch.calm) < CALM_SLICES
                answer({"ms": stopwatch.median_ms(), "disturbed": disturbed, "error": error})
        except Exception as error:  # whatever a library raises is the reason why it has no number
            stopwatches.pop(name, None)
            answer({"refused": _words(error)})


def facts(name: str) -> dict[str, Any]:
    """What the report says about this worker: versions, and for ours the instruction set."""
    from importlib.metadata import PackageNotFoundError, version

    if name == OURS:
        import bothways
        from bothways import engine

        return {"version": bothways.__version__, "instruction_set": engine.instruction_set()}
    modules = ("numpy",) if name == SGEMM else PEERS[name].modules
    versions: list[str] = []
    for module in modules:
        try:
            versions.append(version(module))
        except PackageNotFoundError:  # tensorflow may come as tensorflow-cpu
            versions.append(str(sys.modules[module].__version__))
    return {"version": " on ".join(versions) if name.startswith("keras-") else versions[0]}


def work(
    start: Callable[[], tuple[Callable[[Any], Call], dict[str, Any]]], read: Callable[[Any], Any] = Case.from_json
) -> None:
    """Be a worker: import and get ready, say so, and do what is asked on the standard input."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        build, ready = start()
    except Exception as error:
        answer({"refused": _words(error)})
        return
    answer({"ready": ready})
    handle(build, sys.stdin, answer, read)


def _waited() -> float:
    """Seconds that threads of this process were ready to run and had no processor; 0 where the system does not say."""
    try:
        return sum(int(task.read_text().split()[1]) for task in Path("/proc/self/task").glob("*/schedstat")) / 1e9
    except (OSError, IndexError):  # no such files, or a thread that ended meanwhile
        return 0.0


def _words(error: Exception) -> str:
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {first}"


if __name__ == "__main__":
    peer, threads = sys.argv[1:]
    work(lambda: (START[peer](int(threads)), facts(peer)))
