"""Measuring: starts the workers, lets them take turns, and ends them whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bothways.bench.benchmark import Benchmark, Measurement
from bothways.bench.cases import CALM_SLICES, OURS, PEERS, SGEMM, SGEMM_SIZE, Case, choose_peers
from bothways.errors import InputError

ROUNDS = 12  # about how many rounds a case has, by the length of its slices
PATIENCE = 3.0  # times its time: what a case may take until every worker has had its `CALM_SLICES`
SLICE_SECONDS = (0.02, 0.25)  # the shortest and the longest slice

ASLEEP_SECONDS = 0.1
"""How long a worker may take to fall asleep after its slice. Threads of most libraries look for more work for a while:
those of torch for 5 ms, those of ONNX Runtime for 25 ms were measured, and what runs meanwhile gets the blame."""

ANSWER_SECONDS = 180.0  # a worker that says nothing for so long is given up. Compiling takes seconds, never minutes

OnProgress = Callable[[float, int, str], None]
"""Is called with how many cases are done, of how many, and what is going on."""


class WorkerError(Exception):
    """A worker has no number to give; the message is the reason."""


class Worker:
    """A process that runs `command` and measures one peer, spoken to in JSON lines (see `bothways.bench.worker`)."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        # In a session of its own, Ctrl-C reaches the process that measures only, which then ends the workers.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Tell it something and wait for its answer; raises as `hear`."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it is gone; reading says why
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """Wait for its next answer."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS)
        if not ready:
            self.end()
            raise WorkerError(f"gave no answer for {ANSWER_SECONDS:g} s")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            self._process.wait()
            reason = self._last_words()
            self.end()
            raise WorkerError(reason)
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise WorkerError(answer["refused"])
        return answer

    def fall_asleep(self) -> None:
        """Wait until none of its threads runs any more, but no longer than `ASLEEP_SECONDS`."""
        until = time.monotonic() + ASLEEP_SECONDS
        quiet = 0
        while quiet < 2 and time.monotonic() < until:
            time.sleep(0.002)
            quiet = 0 if self._runs() else quiet + 1

    def _runs(self) -> bool:
        """Whether a thread of it is on a processor or waits for one; taken for true where the system does not say."""
        tasks = Path(f"/proc/{self._process.pid}/task")
        try:
            states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()]
        except OSError:  # a thread ended meanwhile, or there is no such folder
            return self.running
        return "R" in states

    def processor_seconds(self) -> float:
        """How long its threads have been on processors so far; 0 where the system does not say."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End the process, at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # something was left to say to it
                pipe.close()
        self._errors.close()

    def _last_words(self) -> str:
        code = self._process.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"{how}: {said[-1]}" if said else how


def measure(
    cases: Iterable[Case],
    peers: Iterable[str] | None = None,
    *,
    threads: int | None = None,
    seconds: float = 4.0,
    on_progress: OnProgress | None = None,
) -> Benchmark:
    """Measure ours and its peers, keys of `PEERS` or None for all, in turns; those that are not installed are left out,
    with the reason. Raises InputError for a peer that there is not, or a number out of its range.

    In each round every worker runs the same case for a slice of time, after calls that are not timed; the worker that
    comes first is another one in each round. What counts is the median over all calls of all rounds, but for slices in
    which another program had the processor, if there are enough others. `seconds` are for the rounds of one case,
    compiling aside, up to three times as long where calls are slow or other programs disturb; `threads` of each worker
    are `OMP_NUM_THREADS` or else the processors of this process, if not given.
    """
    cases = list(dict.fromkeys(cases))
    installed, missing = choose_peers(peers)
    threads = check_threads(threads)
    if not seconds > 0:
        raise InputError(f"seconds is {seconds:g}; a case needs more than 0.")
    tell = on_progress or (lambda done, of, what: None)
    machine = {**machine_facts(), "threads": threads, "seconds": seconds, "versions": {}}
    reasons = {name: f"not installed: {', '.join(modules)}" for name, modules in missing.items()}
    measurements: list[Measurement] = []
    tell(0.0, len(cases), "starting")
    since = clocks()
    with _workers([OURS, SGEMM, *installed], threads) as workers:
        for worker in list(workers):
            try:
                ready = worker.hear()["ready"]
            except WorkerError as error:
                reasons[worker.name] = str(error)
                workers.remove(worker)
                continue
            name = "numpy" if worker.name == SGEMM else worker.name
            machine["versions"][name] = ready.pop("version")
            machine.update(ready)
        for done, case in enumerate(cases):
            on_share = partial(lambda done, case, share: tell(done + share, len(cases), str(case)), done, case)
            measured = _measure_case(case, workers, seconds, reasons, on_share)
            measurements += [] if measured is None else [measured]
    machine["other_work"] = other_work(since, clocks())
    tell(float(len(cases)), len(cases), "done")
    return Benchmark(measurements, machine, reasons)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def command(name: str, threads: int) -> list[str]:
    """What starts the worker of a peer, in the Python that runs this."""
    return [sys.executable, "-P", "-m", "bothways.bench.worker", name, str(threads)]


def environment(threads: int) -> dict[str, str]:
    """The variables of a worker: as many threads for every library, this very package, and no chatter."""
    package = str(Path(__file__).parents[2])
    path = os.environ.get("PYTHONPATH")
    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")  # the last is that of XLA
    return {
        **os.environ,
        **dict.fromkeys(counts, str(threads)),
        "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package,
        # Threads of OpenBLAS look for more work for 2^26 clock ticks, far into the slice of the next worker.
        "OPENBLAS_THREAD_TIMEOUT": "20",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@contextlib.contextmanager
def _workers(names: Sequence[str], threads: int) -> Iterator[list[Worker]]:
    """Start all workers at once, for importing takes seconds; end those that still run."""
    workers: list[Worker] = []
    with contextlib.ExitStack() as ends:
        for name in names:
            workers.append(Worker(name, command(name, threads), environment(threads)))
            ends.callback(workers[-1].end)
        yield workers


def take_turns(
    calls: Mapping[str, tuple[Worker, Mapping[str, Any]]],
    seconds: float,
    *,
    refused: Callable[[str, Worker, WorkerError], None],
    tell: Callable[[float], None] = lambda share: None,
) -> dict[str, dict[str, Any]]:
    """Have calls built and let them take turns; another one comes first in each round."""
    left = list(calls)
    tell(0.0)

    def ask(name: str, **request: Any) -> dict[str, Any] | None:
        worker = calls[name][0]
        try:
            return worker.ask({"call": name, **request})
        except WorkerError as error:
            for other in [name] if worker.running else [other for other in left if calls[other][0] is worker]:
                left.remove(other)
            refused(name, worker, error)
            return None

    for name in calls:
        if name in left:  # a worker that died took its other calls with it
            ask(name, do="build", case=calls[name][1])
    shortest, longest = SLICE_SECONDS
    slice_seconds = min(max(seconds / ROUNDS / max(len(left), 1), shortest), longest)
    started, rounds, elapsed, calm = time.monotonic(), 0, 0.0, False
    while left and (elapsed < seconds or rounds < 1 or (not calm and elapsed < PATIENCE * seconds)):
        first = rounds % len(left)
        calm = True
        for name in left[first:] + left[:first]:
            if name in left:
                answer = ask(name, do="slice", seconds=slice_seconds)
                calm = calm and (answer is None or answer["calm"] >= CALM_SLICES)
                calls[name][0].fall_asleep()
        rounds += 1
        elapsed = time.monotonic() - started
        tell(min(0.99, elapsed / seconds))
    answers = {name: ask(name, do="finish") for name in left[:] if name in left}
    return {name: answer for name, answer in answers.items() if answer is not None}


def _measure_case(
    case: Case, workers: list[Worker], seconds: float, reasons: dict[str, str], tell: Callable[[float], None]
) -> Measurement | None:
    """Measure one case; workers that die are taken out of the list, and the reason is written down."""

    def refused(name: str, worker: Worker, error: WorkerError) -> None:
        if worker.running:
            reasons[f"{name}, {case}"] = str(error)
        else:
            workers.remove(worker)
            reasons[name] = f"{error} (in {case})"

    trains = {w.name for w in workers if w.name not in PEERS or PEERS[w.name].trains}
    calls = {w.name: (w, case.to_json()) for w in workers if case.mode == "infer" or w.name in trains}
    since = clocks(workers)
    answers = take_turns(calls, seconds, refused=refused, tell=tell)
    share = other_work(since, clocks(workers))
    ms = {name: answer["ms"] for name, answer in answers.items()}
    errors = {name: answer["error"] for name, answer in answers.items() if answer.get("error") is not None}
    sgemm = 2 * SGEMM_SIZE**3 / ms.pop(SGEMM) / 1e6 if SGEMM in ms else None
    disturbed = tuple(name for name, answer in answers.items() if answer["disturbed"])
    return Measurement(case, ms, errors, sgemm, disturbed, share) if OURS in ms else None


def check_threads(threads: int | None) -> int:
    """How many threads to use; if it is None, `OMP_NUM_THREADS` or else the processors of this process."""
    most = processors()
    if threads is None:
        given = os.environ.get("OMP_NUM_THREADS", "")
        threads = min(int(given), most) if given.isdigit() and int(given) else most
    if not 1 <= threads <= most:
        raise InputError(f"threads is {threads}; this process may use 1 to {most}.")
    return threads


def machine_facts() -> dict[str, Any]:
    """This machine, as it stands in saved files."""
    return {
        "processor": _processor(),
        "cores": processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
        "load": round(os.getloadavg()[0], 2),
    }


def clocks(workers: Iterable[Worker] = ()) -> tuple[float, float, float]:
    """Seconds gone by, seconds of all processors in use by whomever, seconds used by this process and its workers.

    Workers that have ended count by themselves.
    """
    own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own += sum(worker.processor_seconds() for worker in workers)
    try:
        user, nice, system, _, _, *more = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    except OSError:
        return time.monotonic(), own, own
    return time.monotonic(), (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK"), own


def other_work(since: tuple[float, float, float], until: tuple[float, float, float]) -> float:
    """The share of the processors' time that went to other programs: more than a few hundredths spoils the numbers.

    Both arguments are what `clocks` gave, before and afterwards.
    """
    elapsed, used, own = (now - then for now, then in zip(until, since, strict=True))
    return round(max(used - own, 0.0) / (max(elapsed, 1e-9) * (os.cpu_count() or 1)), 3)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
