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

# Compiling for JAX takes minutes; `test_parity.py` and `test_jax.py` have most of it, too.
SAMPLES = {
    "backend_edges.py": "forked or threads",
    "backend_dropout.py": "matters",
    "backend_bfloat16.py": "fit",
    "backend_float64.py": "fit",
    "backend_states.py": "pieces",
    "backend_training.py": "masking or recurrent_dropout or weights_of_steps or backward or stateful",
}


@pytest.mark.every_case
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["sample", "whole"])
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow", "numpy"])
def test_on_every_backend(backend: str, script: str, whole: bool) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if (backend, script) == ("jax", "backend_parity.py"):
        pytest.skip("test_parity.py shows it")
    chosen = ["-m", ""] if whole else ["-k", SAMPLES.get(script, "")] if backend == "jax" else []
    done = subprocess.run(
        # Other people's warnings (of torch, of TensorFlow) are not ours to turn into errors.
        [sys.executable, "-m", "pytest", "-q", "-W", "default", *chosen, str(FOLDER / script)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2", **(XLA if backend == "jax" else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
