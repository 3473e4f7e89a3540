"""What holds on every backend of Keras: `backend_*.py`, in a process for each backend, for Keras has one a process.

Most of it `test_parity.py`, `test_stacks.py` and `test_jax.py` show on JAX in this process, so it is slow here.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
SCRIPTS = {path.stem: str(path) for path in sorted(FOLDER.glob("backend_*.py"))}
# Grids are whole on NumPy, which is quick, and on JAX, in `test_parity.py`. Torch and TensorFlow run as many of their
# cases as it takes for every two values to occur together: what differs is how a backend calls the engine, not what
# that does. Two processes for each, to be run side by side.
PARTS = {
    "torch": {"sample": "not slow", "pairs": "pairs"},
    "tensorflow": {"sample": "not slow", "pairs": "pairs"},
    "numpy": {"sample": "not slow", "whole": "slow"},
}
# On JAX it takes minutes: a script at a time. Of dropout, the longest, the sample; `test_jax.py` has it in every mode.
ON_JAX = [name for name in SCRIPTS if name != "backend_parity"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "part"),
    [*((backend, part) for backend, parts in PARTS.items() for part in parts), *(("jax", name) for name in ON_JAX)],
)
def test_on_every_backend(backend: str, part: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == "jax":
        scripts, chosen = [SCRIPTS[part]], "not slow" if part == "backend_dropout" else ""
    else:
        scripts, chosen = list(SCRIPTS.values()), PARTS[backend][part]
    # The XLA of TensorFlow does not know all flags of JAX's, and ends at one that it does not know.
    flags = {} if backend == "jax" else {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    done = subprocess.run(
        # Other people's warnings (of torch, of TensorFlow) are not ours to turn into errors.
        [sys.executable, "-m", "pytest", "-q", "-W", "default", "-m", chosen, *scripts],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2", **flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
