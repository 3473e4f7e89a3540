"""The threads of the engine: they compute as their caller does, and are not needed."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

SETUP = """
import numpy as np
from bothways import engine
engine.set_threads(2)
one = dict(kernel=np.ones((1, 64)), recurrent_kernel=np.zeros((64, 64)), cell="rnn_relu")
directions = [engine.Direction(**one), engine.Direction(**one, reverse=True)]
"""


def printed(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + textwrap.dedent(program)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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


def test_where_the_system_gives_no_thread_the_caller_does_the_work() -> None:
    found = printed("""
        import resource
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), used + (1 << 20)))
        print(np.unique(engine.run(np.ones((8, 50, 1), np.float32), directions).outputs).tolist())
    """)
    assert found == "[1.0]"
