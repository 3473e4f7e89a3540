"""What holds on every backend of Keras: `backend_*.py`, each in a process of its own, for Keras has one a process.

That JAX agrees with stock Keras `test_parity.py` shows, which runs in this process.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
XLA = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # these tests compile much and compute little
SCRIPTS = sorted(path.name for path in FOLDER.glob("backend_*.py"))


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow", "numpy"])
def test_on_every_backend(backend: str, script: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if (backend, script) == ("jax", "backend_parity.py"):
        pytest.skip("test_parity.py shows it")
    done = subprocess.run(
        # Other people's warnings (of torch, of TensorFlow) are not ours to turn into errors.
        [sys.executable, "-m", "pytest", "-q", "-W", "default", str(FOLDER / script)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2", **(XLA if backend == "jax" else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
