"""The threads of the engine: the same bits however many there are; they compute as their caller does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np
import pytest

from bothways import engine
from bothways.engine import _native
from bothways.spec import CELLS
from engine_cases import THREADS, make_case

SETUP = """
import os
import numpy as np
from bothways import engine
def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
engine.set_threads(2)
one = dict(kernel=np.ones((1, 64)), recurrent_kernel=np.zeros((64, 64)), cell="rnn_relu")
directions = [engine.Direction(**one), engine.Direction(**one, reverse=True)]
"""


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = engine.threads()
    yield
    engine.set_threads(before)


def bits(units: tuple[int, ...], cell: str, batch: int = 41, time: int = 23, **options: Any) -> list[bytes]:
    """All that a training step gives."""
    case = make_case(batch, time, 19, units, cells=(cell, cell), states=True, **options)
    result = engine.run(case.x, case.directions, record=True, **case.options)
    gradients = engine.backprop(result.tape, np.ones_like(result.outputs))
    plain = engine.run(case.x, case.directions, **case.options)
    arrays = [result.outputs, plain.outputs, gradients.x]
    for states in (*result.states, *plain.states):
        arrays += states
    for direction in gradients.directions:
        arrays += [direction.kernel, direction.recurrent_kernel, direction.bias, *direction.initial_state]
    return [np.asarray(array).tobytes() for array in arrays]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [(53,), (53, 53)], ids=["one direction", "both"])
@pytest.mark.parametrize("mask", [None, "random"])
def test_the_same_bits_for_any_number_of_threads(
    instruction_set: str, mask: str | None, units: tuple[int, ...], cell: str, precision: str
) -> None:
    found = []
    for threads in THREADS:
        engine.set_threads(threads)
        found.append(bits(units, cell, mask=mask, precision=precision))
    assert all(each == found[0] for each in found[1:])


@pytest.mark.parametrize("dropout", ["both", "same x, h"])
@pytest.mark.parametrize("batch", [8, 300])
@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_the_same_bits_with_dropout(instruction_set: str, cell: str, batch: int, dropout: str) -> None:
    found = []
    for threads in THREADS:
        engine.set_threads(threads)
        found.append(bits((53,), cell, batch, mask="holes", dropout=dropout))
    assert all(each == found[0] for each in found[1:])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("batch", "units", "mask", "dropout"),
    [(1, (330,), None, None), (3, (260, 260), "random", None), (2, (260,), "holes", "both")],
)
def test_the_same_bits_for_any_team(
    instruction_set: str,
    batch: int,
    units: tuple[int, ...],
    mask: str | None,
    dropout: str | None,
    cell: str,
    precision: str,
) -> None:
    found = []
    for threads in THREADS:
        engine.set_threads(threads)
        found.append(bits(units, cell, batch, 31, mask=mask, dropout=dropout, precision=precision))
    assert all(each == found[0] for each in found[1:])


def shares(batch: int, units: int, threads: int) -> tuple[int, int]:
    """How many pieces the largest round of a call has, and how often its threads meet."""
    case = make_case(batch, 20, 64, (units, units))
    engine.set_threads(threads)
    rounds, waits = _native.rehearse(lambda: engine.run(case.x, case.directions))
    return max(map(len, rounds)), waits


def test_many_rows_are_cut_into_blocks_and_few_rows_of_many_units_have_teams() -> None:
    assert shares(64, 64, 8) == (8, 0)
    pieces, waits = shares(1, 512, 8)
    assert pieces == 8
    assert waits >= 8 * 20  # each thread at each step
    assert shares(1, 32, 8) == (2, 0)  # too little work
    assert shares(1, 512, 2) == (2, 0)  # a thread for each direction


@pytest.mark.parametrize("seed", range(2))
def test_rows_of_unequal_lengths_are_cut_by_their_work(seed: int) -> None:
    case = make_case(64, 64, 32, (96,))
    lengths = np.random.default_rng(seed).permutation(64) + 1
    engine.set_threads(4)
    mask, seconds = np.arange(64) < lengths[:, None], []
    for _ in range(5):  # whatever else the machine does
        rounds, _ = _native.rehearse(lambda: engine.run(case.x, case.directions, mask=mask))
        seconds.append(max(rounds, key=sum))
    pieces = np.min(seconds, axis=0)
    assert len(pieces) == 4
    assert pieces.max() < 1.3 * pieces.mean()


def test_more_threads_than_processors_get_through() -> None:
    case = make_case(1, 300, 64, (512, 512))
    engine.set_threads(1)
    alone = engine.run(case.x, case.directions).outputs
    engine.set_threads(64)
    start = perf_counter()
    for _ in range(5):
        np.testing.assert_array_equal(engine.run(case.x, case.directions).outputs, alone)
    assert perf_counter() - start < 60


def printed(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + textwrap.dedent(program)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_both_directions_treat_denormal_numbers_alike_whoever_started_the_thread() -> None:
    pytest.importorskip("jax")
    # XLA sets denormal numbers to zero in its threads, NumPy does not: the thread of the pool is started from XLA.
    found = printed("""
        import os
        os.environ["KERAS_BACKEND"] = "jax"
        import jax, keras
        from bothways.layers import Bidirectional, LSTM
        layer = Bidirectional(LSTM(64, return_sequences=True))
        x = np.ones((32, 50, 16), np.float32)
        layer(x)
        jax.jit(lambda x: layer(x))(x).block_until_ready()
        x = np.full((64, 100, 1), 1e-39, np.float32)
        print({value for _ in range(20) for value in np.unique(engine.run(x, directions).outputs).tolist()})
    """)
    assert found in ("{0.0}", f"{{{float(np.float32(1e-39))}}}")


def test_a_short_call_does_not_wait_for_a_long_one() -> None:
    engine.set_threads(4)
    long, short = make_case(64, 150, 64, (256, 256)), make_case(8, 10, 16, (32, 32))
    begun, done = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        engine.run(long.x, long.directions)
        done.set()

    thread = threading.Thread(target=call)
    thread.start()
    begun.wait()
    sleep(0.02)
    for _ in range(5):
        engine.run(short.x, short.directions)
    assert not done.is_set()
    thread.join()


def test_threads_that_are_not_needed_any_more_end() -> None:
    """They would all wake up for every call, and take the processors from those that work."""
    found = printed("""
        import time
        threads = lambda: len(os.listdir("/proc/self/task"))
        before = threads()
        x = np.ones((128, 100, 1), np.float32)
        engine.set_threads(16)
        engine.run(x, directions)
        many = threads() - before
        engine.set_threads(2)
        end = time.perf_counter() + 30
        while threads() - before > 1 and time.perf_counter() < end:
            engine.run(x, directions)
        engine.set_threads(3)
        engine.run(x, directions)
        print(many, threads() - before)
    """)
    assert found == "15 2"


def test_threads_at_work_are_no_more_than_there_are_meant_to_be() -> None:
    """Where callers are as many, nobody helps them, though there is a helper."""
    found = printed("""
        import os, threading, time
        tasks = lambda: set(os.listdir("/proc/self/task"))
        seconds = lambda task: int(open(f"/proc/self/task/{task}/schedstat").read().split()[0]) / 1e9
        before = tasks()
        x = np.ones((64, 100, 1), np.float32)
        engine.run(x, directions)
        helpers = tasks() - before
        start, end = threading.Barrier(4), time.perf_counter() + 0.3
        def call():
            start.wait()
            while time.perf_counter() < end:
                engine.run(x, directions)
        callers = [threading.Thread(target=call) for _ in range(4)]
        before = sum(map(seconds, helpers))
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        print(len(helpers), sum(map(seconds, helpers)) - before)
    """)
    helpers, seconds = found.split()
    assert helpers == "1"
    assert float(seconds) < 0.1


CORES = [f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list" for cpu in range(os.cpu_count() or 1)]
ONE_TREE, OF_OLD = ({"proc/self/cgroup": text} for text in ("0::/outer/inner\n", "4:memory:/a\n3:cpu,cpuacct:/a\n"))
OUTER, INNER, TOP = (f"sys/fs/cgroup/{folder}cpu.max" for folder in ("outer/", "outer/inner/", ""))
QUOTA, PERIOD = (f"sys/fs/cgroup/cpu/a/cpu.cfs_{name}_us" for name in ("quota", "period"))
CPUS = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 0


@pytest.mark.skipif(not CPUS, reason="about Linux")
@pytest.mark.every_case
@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, CPUS),
        (dict.fromkeys(CORES, "0-1023\n"), 1),  # of a core with so many threads
        (ONE_TREE | {INNER: "max 100000\n"}, CPUS),
        (ONE_TREE | {INNER: "190000 100000\n"}, 1),  # no more than the quota
        (ONE_TREE | {INNER: "40000 100000\n"}, 1),
        (ONE_TREE | {INNER: "200000 100000\n"}, min(CPUS, 2)),
        (ONE_TREE | {INNER: "max 100000\n", OUTER: "100000 100000\n"}, 1),  # the strictest
        (ONE_TREE | {TOP: "100000 100000\n"}, 1),
        (OF_OLD | {QUOTA: "100000\n", PERIOD: "100000\n"}, 1),
        (OF_OLD | {QUOTA: "-1\n", PERIOD: "100000\n"}, CPUS),
    ],
)
def test_cores_are_those_of_the_process_within_its_quota(files: dict[str, str], cores: int, tmp_path: Path) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert _native.usable_cores(str(tmp_path)) == cores


@pytest.mark.skipif(not CPUS, reason="about Linux")
def test_by_default_there_are_as_many_threads_as_cores_that_the_process_may_use() -> None:
    program = """
        import os
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        from bothways import engine
        print(engine.threads())
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.stdout == "1\n", done.stderr


def test_where_the_system_gives_no_thread_the_caller_does_the_work() -> None:
    found = printed("""
        import resource
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), limits[1]))
        outputs = engine.run(np.ones((8, 50, 1), np.float32), directions).outputs
        resource.setrlimit(resource.RLIMIT_AS, limits)
        print(np.unique(outputs).tolist())
    """)
    assert found == "[1.0]"


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps what is freed")
def test_memory_of_a_large_call_is_given_back() -> None:
    found = printed("""
        weights = dict(kernel=np.ones((2048, 2048), np.float32), recurrent_kernel=np.zeros((2048, 2048), np.float32))
        x = np.ones((1, 2, 2048), np.float32)
        layer = engine.Layer([engine.Direction(**weights, cell="rnn")] * 2)
        small = layer.run(x[:, :1, :], record=False)
        before = megabytes()
        result = layer.run(x, record=True)
        engine.backprop(result.tape, np.ones_like(result.outputs))
        print(megabytes() - before)
    """)
    assert int(found) < 2 * 32 + 16  # what each thread may keep, and the residuals


@pytest.mark.slow
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps what is freed")
def test_idle_threads_give_their_memory_back() -> None:
    found = printed("""
        import time
        # One thread for each direction, which packs 26 MB of weights for itself.
        weights = dict(kernel=np.ones((900, 3600), np.float32), recurrent_kernel=np.zeros((900, 3600), np.float32))
        layer = engine.Layer([engine.Direction(**weights), engine.Direction(**weights, reverse=True)])
        layer(np.ones((8, 4, 900), np.float32))
        before = megabytes()
        time.sleep(0.5)
        print(before - megabytes())
    """)
    assert 20 < int(found) < 40
