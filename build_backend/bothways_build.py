"""The build backend: scikit-build-core, with a C++ compiler from a wheel where the machine has none.

Where a compiler is on PATH (or named by CXX) it is used and nothing is fetched. Elsewhere the build asks for the
`ziglang` wheel, whose clang needs an explicit target: by default it would compile for the very processor that it
runs on.
"""

import os
import platform
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from scikit_build_core import build as _build
from scikit_build_core.build import *  # noqa: F403  the hooks that need no change

COMPILERS = ("c++", "g++", "clang++")
ZIG = "ziglang>=0.13,<0.17"
GLIBC = "2.17"  # the oldest that the built extension runs on


def _has_compiler() -> bool:
    return bool(os.environ.get("CXX")) or any(map(shutil.which, COMPILERS))


def get_requires_for_build_wheel(config_settings=None):
    """The requirements of scikit-build-core, and a compiler if there is none."""
    return _build.get_requires_for_build_wheel(config_settings) + ([] if _has_compiler() else [ZIG])


def get_requires_for_build_editable(config_settings=None):
    """The requirements of scikit-build-core, and a compiler if there is none."""
    return _build.get_requires_for_build_editable(config_settings) + ([] if _has_compiler() else [ZIG])


def _with_compiler(build, *arguments):
    if _has_compiler():
        return build(*arguments)
    with tempfile.TemporaryDirectory() as folder:
        target = f"{platform.machine()}-linux-gnu.{GLIBC}"
        tools = {"c++": f"c++ -target {target}", "ar": "ar", "ranlib": "ranlib"}
        for name, command in tools.items():
            script = Path(folder) / f"zig-{name}"
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ziglang {command} "$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        os.environ["CXX"] = str(Path(folder) / "zig-c++")
        os.environ["SKBUILD_CMAKE_ARGS"] = ";".join(
            [f"-DCMAKE_AR={folder}/zig-ar", f"-DCMAKE_RANLIB={folder}/zig-ranlib"]
        )
        try:
            return build(*arguments)
        finally:
            del os.environ["CXX"], os.environ["SKBUILD_CMAKE_ARGS"]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Build a wheel."""
    return _with_compiler(_build.build_wheel, wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """Build an editable wheel."""
    return _with_compiler(_build.build_editable, wheel_directory, config_settings, metadata_directory)
