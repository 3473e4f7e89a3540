"""The backends other than JAX: `backend_parity.py`, each in a process of its own, because Keras has one a process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("backend", ["torch", "tensorflow", "numpy"])
def test_parity_with_stock_keras(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = Path(__file__).with_name("backend_parity.py")
    done = subprocess.run(
        # Other people's warnings (of torch, of TensorFlow) are not ours to turn into errors.
        [sys.executable, "-m", "pytest", "-q", "-W", "default", str(script)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
