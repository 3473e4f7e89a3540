"""How well a call is shared out among threads, on a machine of any number of cores.

    python benchmarks/threads.py --json threads.json

First the pieces that 4, 8 and 16 threads would get of a call, one after the other on one core: the time of one thread,
divided by the number of threads times what the busiest of them would take. 1 is a perfect share. Caches and memory that
cores share are not in it, nor what only one thread can do (the schedule, arrays from Python), which has a column of its
own. Where threads meet in every step, what a meeting takes counts as often: measured with as many threads as there are
cores, twice as much for each doubling beyond them.

Then calls of one row on all cores, where threads meet in every step, for three seconds: the median beside that of one
thread. And what a pause does: the first 50 calls after one second of sleep, 20 times over, beside the median of calls
without a pause. Takes about a minute.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from bothways import engine
from bothways.bench.rounds import processors
from bothways.engine import _native

Call = Callable[[], Any]


class Case(NamedTuple):
    """A call, and what share is wanted of how many threads."""

    shape: tuple[int, int, int, int]
    mode: str
    threads: int
    wanted: float | None = None
    directions: int = 2


CASES = (
    *(Case((256, 100, 16, 64), mode, threads, 0.85) for mode in ("infer", "train") for threads in (4, 8, 16)),
    *(Case((256, 100, 64, 128), mode, threads, 0.85) for mode in ("infer", "train") for threads in (4, 8, 16)),
    *(Case((32, 100, 64, 128), mode, threads, 0.7) for mode in ("infer", "train") for threads in (4, 8)),
    *(Case((1, 100, 64, 512), mode, 4, 0.6, directions) for mode in ("infer", "train") for directions in (1, 2)),
)
QUICK = (Case((64, 20, 16, 32), "train", 4), Case((1, 10, 64, 512), "infer", 4))
PAUSED, SLOWDOWN = (32, 100, 64, 128), 1.25
"""The shape of the calls after a pause, and how much longer they may take."""
ONE_ROW, SHARE = (1, 100, 64, 512), 0.6
"""The shape of calls one after another, and what share of a perfect speedup is wanted."""


def call_of(case: Case) -> Call:
    """The call of a case on a layer of its own."""
    batch, steps, features, units = case.shape
    random = np.random.default_rng(0)

    def numbers(*shape: int, scale: float = 1.0) -> Any:
        return random.uniform(-scale, scale, shape).astype(np.float32)

    def direction(reverse: bool) -> engine.Direction:
        columns, scale = 4 * units, units**-0.5
        weights = (numbers(features, columns, scale=scale), numbers(units, columns, scale=scale), numbers(columns))
        return engine.Direction(*weights, reverse=reverse)

    directions = [direction(reverse=i == 1) for i in range(case.directions)]
    x, d_outputs = numbers(batch, steps, features), numbers(batch, steps, case.directions * units)
    layer = engine.Layer(directions, frozen=case.mode == "infer")
    if case.mode == "infer":
        return lambda: layer(x)
    return lambda: engine.backprop(layer.run(x, record=True).tape, d_outputs)


def alone(call: Call) -> float:
    """Seconds of a call on one thread, without what other programs take of it."""
    engine.set_threads(1)
    start = time.thread_time()
    call()
    return time.thread_time() - start


def shared(call: Call, threads: int, meeting: float) -> tuple[float, float]:
    """Seconds of the busiest of so many threads with its pieces, and of what is in no piece."""
    engine.set_threads(threads)
    start = time.thread_time()
    rounds, waits = _native.rehearse(call)
    apart = time.thread_time() - start - sum(map(sum, rounds))
    seconds = waits / threads * meeting
    for pieces in rounds:
        busy = [0.0] * threads
        for piece in pieces:  # whoever is free first takes the next
            heapq.heapreplace(busy, busy[0] + piece)
        seconds += max(busy)
    return seconds, apart


def meeting_of(threads: int) -> float:
    """Seconds of a meeting of so many threads."""
    cores = min(threads, processors())
    engine.set_threads(cores)
    # Threads of a machine that other programs keep busy seldom come within the moment that a call waits for them.
    tries = (_native.seconds_to_meet(cores) for _ in range(5000))
    found = list(itertools.islice((seconds for seconds, came in tries if came == cores > 1), 20))
    if not found:
        raise SystemExit("No two threads met: this machine has one processor, or other programs have them all.")
    return float(statistics.median(found)) * 2.0 ** math.ceil(math.log2(threads / cores))


def milliseconds(call: Call) -> float:
    """Of a call, on the clock."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def one_row(seconds: float) -> dict[str, Any]:
    """Milliseconds of calls of one row: the medians on one thread and on all cores, and the share."""
    call = call_of(Case(ONE_ROW, "infer", processors(), directions=1))

    def median(threads: int) -> float:
        engine.set_threads(threads)
        times, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            times.append(milliseconds(call))
        return statistics.median(times)

    alone, together = median(1), median(processors())
    return {"alone": alone, "together": together, "share": alone / (processors() * together), "wanted": SHARE}


def after_pauses(pauses: int, calls: int) -> dict[str, Any]:
    """Milliseconds of calls: the median without a pause, and for each pause the mean of the first calls after it."""
    engine.set_threads(processors())
    call = call_of(Case(PAUSED, "infer", processors()))
    steady = statistics.median(milliseconds(call) for _ in range(4 * calls))
    bursts = []
    for _ in range(pauses):
        time.sleep(1)
        bursts.append(statistics.fmean(milliseconds(call) for _ in range(calls)))
    return {"steady": steady, "bursts": bursts, "worst": max(bursts) / steady, "wanted": SLOWDOWN}


def main() -> None:
    """Measure every case and the pauses, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument(
        "--repeats", type=int, default=5, help="of each case, of which the median counts; 5 if not given"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers in a file")
    options = parser.parse_args()
    console, results = Console(width=None if sys.stdout.isatty() else 110), []
    table = Table("B,T,D,H", "directions", "mode", "threads", "ms alone", "busiest", "apart", "share", "wanted")
    meetings = {threads: meeting_of(threads) for threads in (4, 8, 16)}
    for case in QUICK if options.quick else CASES:
        call, times = call_of(case), []
        call()
        for _ in range(options.repeats):
            times.append((alone(call), *shared(call, case.threads, meetings[case.threads])))
        one, many, apart = (statistics.median(column) for column in zip(*times, strict=True))
        share = one / (case.threads * many)
        results.append({**case._asdict(), "alone": one, "busiest": many, "apart": apart, "share": share})
        words = "" if case.wanted is None else f"{case.wanted:g} {'met' if share >= case.wanted else 'short'}"
        shape = ",".join(map(str, case.shape))
        numbers = (*(f"{1e3 * each:.2f}" for each in (one, many, apart)), f"{share:.2f}")
        table.add_row(shape, str(case.directions), case.mode, str(case.threads), *numbers, words)
    console.print(table)
    console.print("A meeting: " + ", ".join(f"{n} threads {1e6 * seconds:.2f} us" for n, seconds in meetings.items()))
    row = one_row(0.1 if options.quick else 3)
    table = Table("calls one after another", "ms on one thread", f"ms on {processors()}", "share", "wanted")
    numbers = (f"{row['alone']:.2f}", f"{row['together']:.2f}", f"{row['share']:.2f}")
    table.add_row(",".join(map(str, ONE_ROW)), *numbers, f"{SHARE} {'met' if row['share'] >= SHARE else 'short'}")
    console.print(table)
    pauses = after_pauses(*((2, 5) if options.quick else (20, 50)))
    table = Table("after one second of sleep", "ms steady", "ms worst of the first calls", "times steady", "wanted")
    numbers = (f"{pauses['steady']:.2f}", f"{max(pauses['bursts']):.2f}", f"{pauses['worst']:.2f}")
    table.add_row(
        ",".join(map(str, PAUSED)), *numbers, f"{SLOWDOWN} {'met' if pauses['worst'] <= SLOWDOWN else 'short'}"
    )
    console.print(table)
    if options.json is not None:
        content = {"pieces": results, "meetings": meetings, "one row": row, "pauses": pauses}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
