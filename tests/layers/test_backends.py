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
BACKENDS = ("torch", "tensorflow", "numpy")
# On JAX it takes minutes: a script at a time, so that several processes share them. Of dropout, the longest,
# it runs the sample; `test_jax.py` has dropout in every mode of JAX, and the other backends run it whole.
LONG = [*(("jax", name) for name in SCRIPTS if name != "backend_parity"), *((name, "whole") for name in BACKENDS)]


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "part"), [*((name, "sample") for name in BACKENDS), *LONG])
def test_on_every_backend(backend: str, part: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    scripts, chosen = list(SCRIPTS.values()), ["-m", "slow"] if part == "whole" else []
    if part in SCRIPTS:
        scripts, chosen = [SCRIPTS[part]], ["-m", "not slow" if part == "backend_dropout" else ""]
    # The XLA of TensorFlow does not know all flags of JAX's, and ends at one that it does not know.
    flags = {} if backend == "jax" else {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    done = subprocess.run(
        # Other people's warnings (of torch, of TensorFlow) are not ours to turn into errors.
        [sys.executable, "-m", "pytest", "-q", "-W", "default", *chosen, *scripts],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2", **flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
