"""What holds on every backend of Keras: `backend_*.py`, in a process for each backend, for Keras has one a process.

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
# Compiling for JAX takes minutes; `test_parity.py` and `test_jax.py` have most of it, too.
SAMPLE = " or ".join(
    f"({script} and ({tests}))"
    for script, tests in {
        "backend_edges": "forked or threads",
        "backend_dropout": "matters",
        "backend_bfloat16": "fit and False",
        "backend_float64": "fit",
        "backend_states": "pieces",
        "backend_training": "(fit and masking) or weights_of_steps or stateful or (frozen and backward)",
    }.items()
)


@pytest.mark.every_case
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["sample", "whole"])
@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow", "numpy"])
def test_on_every_backend(backend: str, whole: bool) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    scripts = {path.stem: str(path) for path in sorted(FOLDER.glob("backend_*.py"))}
    chosen = ["-m", "slow"] if whole else []
    if backend == "jax":
        del scripts["backend_parity"]
        chosen = ["-m", ""] if whole else ["-k", SAMPLE]
    done = subprocess.run(
        # Other people's warnings (of torch, of TensorFlow) are not ours to turn into errors.
        [sys.executable, "-m", "pytest", "-q", "-W", "default", *chosen, *scripts.values()],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
