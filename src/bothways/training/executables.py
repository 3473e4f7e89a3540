"""Compiled code on the disk: what one process compiled, the next one loads.

Files lie in `$XDG_CACHE_HOME/bothways/compiled` (`~/.cache/...`), each under a hash of the program, of all versions and
of the processor; the least recently used go when they take more than `MOST_BYTES`. They hold machine code, so a folder
that others can write to is not used. `BOTHWAYS_CACHE=off` switches this off. Where JAX has a cache of its own
(`JAX_COMPILATION_CACHE_DIR`), that is used instead.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import keras
from jax.experimental import serialize_executable

import bothways
from bothways.engine import _native
from bothways.errors import ModelFileError
from bothways.files import written_whole

MOST_BYTES = 256 << 20  # what all files may take together; a small network takes a third of a megabyte

FEW: Mapping[str, Any] = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
"""Options of the compiler for networks of few weights, but for those that `XLA_FLAGS` names or the installed version
does not know. The work is in calls of the engine, and compiling takes less than half of the time with them."""

MANY: Mapping[str, Any] = {"xla_backend_optimization_level": 1}
"""The same for networks of more than `FEW_WEIGHTS`, most of whose time goes into Adam: that is three times as fast."""

FEW_WEIGHTS = 200_000

DIGEST = hashlib.sha256().digest_size


def compiled(lowered: Any, weights: int) -> Any:
    """What `lowered.compile()` gives for a network of so many weights, from the disk if it is there."""
    options = _known(*(FEW if weights <= FEW_WEIGHTS else MANY).items())
    folder = cache_folder()
    if folder is None:
        return lowered.compile(options)
    path = folder / hashlib.sha256(f"{_machine()}\n{options}\n{lowered.as_text()}".encode()).hexdigest()
    # A file that is damaged or of another make is as good as none.
    with suppress(Exception):
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
            found = serialize_executable.deserialize_and_load(content[DIGEST:], lowered.in_tree, lowered.out_tree)
            os.utime(path)
            return found
    made = lowered.compile(options)
    with suppress(Exception):  # no place on the disk, say: it will be compiled again
        content = serialize_executable.serialize(made)[0]
        _write(path, hashlib.sha256(content).digest() + content)
    return made


def cache_folder() -> Path | None:
    """Where the files lie; None where there is no such place, or none is wanted."""
    if (
        os.environ.get("BOTHWAYS_CACHE", "").lower() in ("off", "0")
        or getattr(jax.config, "jax_compilation_cache_dir", None)
        or jax.default_backend() != "cpu"
        or jax.device_count() != 1
    ):
        return None
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bothways" / "compiled"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # no home
        return None
    ours = status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if ours else None


def _write(path: Path, content: bytes) -> None:
    with written_whole(path, ModelFileError) as temporary:
        temporary.write_bytes(content)
    left = MOST_BYTES
    for file in sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        left -= file.stat().st_size
        if left < 0:
            file.unlink(missing_ok=True)


@cache
def _known(*options: tuple[str, Any]) -> dict[str, Any]:
    named, known = os.environ.get("XLA_FLAGS", ""), dict[str, Any]()
    for name, value in options:
        if name not in named:
            with suppress(jax.errors.JaxRuntimeError):  # which unknown ones raise
                jax.jit(jnp.negative).lower(1.0).compile({name: value})
                known[name] = value
    return known


@cache
def _machine() -> str:
    """What compiled code depends on beside the program."""
    versions = [bothways.__version__, *(package.__version__ for package in (jax, jaxlib, keras))]
    engine = Path(_native.__file__).stat()
    processor = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        kept = ("model name", "flags", "Features", "CPU part")
        processor = "\n".join(dict.fromkeys(line for line in lines if line.startswith(kept)))
    made = f"{engine.st_size} {engine.st_mtime_ns}"
    return "\n".join([*versions, os.environ.get("XLA_FLAGS", ""), made, processor])
