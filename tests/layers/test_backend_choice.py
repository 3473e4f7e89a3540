"""Which backend Keras runs on where the user has chosen none, or one that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bothways.errors import InputError
from bothways.layers import backend

NONE = "Keras needs a backend, and none is installed. Install one: pip install jax"
ANOTHER = "Keras is to run on torch, which is not installed. Install it (pip install torch), or choose another"


@pytest.mark.parametrize(
    ("chosen", "missing", "said"),
    [
        ("", ("jax", "torch", "tensorflow"), NONE),
        ("torch", ("torch", "tensorflow"), f"{ANOTHER} backend: jax."),
        ("torch", ("jax", "torch", "tensorflow"), f"{ANOTHER} backend: none is installed."),
    ],
)
def test_a_missing_backend_is_one_line(chosen: str, missing: tuple[str, ...], said: str) -> None:
    hide = f"import sys; sys.modules.update(dict.fromkeys({missing}))"
    train = "main(['train', 'nowhere.csv', '-o', 'some.bothways', '--backend', 'torch'])" if chosen else ""
    code = f"{hide}; from bothways.cli import main; {train or 'import bothways.layers'}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": "", "KERAS_HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1].removeprefix("bothways.errors.MissingDependencyError: ") == (
        f"Error: {said}" if chosen else said
    )
    if chosen:
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_a_backend_that_keras_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("keras", "tensorflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "pytorch")
    with pytest.raises(InputError, match="KERAS_BACKEND is 'pytorch'; Keras runs on jax, torch, tensorflow, numpy"):
        backend.choose_backend()


def test_a_user_without_a_home_has_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert backend._configured() is None


@pytest.mark.slow
def test_a_command_imports_no_tensorflow_that_happens_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('banners')")
    code = (
        "from bothways.errors import calling\n"
        "with calling('the command line'): import bothways.layers as layers\n"
        "layers.Bidirectional(layers.LSTM(2))  # Keras looks for TensorFlow here"
    )
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
