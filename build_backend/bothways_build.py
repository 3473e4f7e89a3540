"""The build backend: scikit-build-core, with a C++ compiler from the wheel `ziglang`.

That compiles the engine for pages, as WebAssembly; and the engine itself where no compiler is on PATH (or named by
CXX), or where BOTHWAYS_TARGET names a processor (x86_64, aarch64). Its clang needs an explicit target: by default it
would compile for the very processor that it runs on. With one it builds for old C libraries and for other processors.
"""

import os
import platform
import shutil
import stat
import sys
import sysconfig
import tempfile
from pathlib import Path

from scikit_build_core import build as _build
from scikit_build_core.build import *  # noqa: F403  the hooks that need no change

COMPILERS = ("c++", "g++", "clang++")
GLIBC = "2.17"  # the oldest that the built extension runs on


def _zig_target() -> str | None:
    """The processor to compile for with the compiler of the wheel; None for that of the machine."""
    if target := os.environ.get("BOTHWAYS_TARGET"):
        return target
    return None if os.environ.get("CXX") or any(map(shutil.which, COMPILERS)) else platform.machine()


def _with_compiler(build, *arguments):
    processor = _zig_target()
    if processor is None:
        return build(*arguments)
    with tempfile.TemporaryDirectory() as folder:
        headers = _debian_headers(Path(folder), processor)
        tools = {"c++": f"c++ -target {processor}-linux-gnu.{GLIBC}{headers}", "ar": "ar", "ranlib": "ranlib"}
        for name, command in tools.items():
            script = Path(folder) / f"zig-{name}"
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ziglang {command} "$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        cmake = [f"-DCMAKE_AR={folder}/zig-ar", f"-DCMAKE_RANLIB={folder}/zig-ranlib"]
        changes = {"CXX": f"{folder}/zig-c++"}
        if processor != platform.machine():
            cmake += ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={processor}"]
            suffix = f".cpython-3{sys.version_info.minor}-{processor}-linux-gnu.so"
            changes |= {"_PYTHON_HOST_PLATFORM": f"linux-{processor}", "SETUPTOOLS_EXT_SUFFIX": suffix}
        changes["SKBUILD_CMAKE_ARGS"] = ";".join(cmake)
        os.environ.update(changes)  # of this process, which ends with the build
        return build(*arguments)


def _debian_headers(folder, processor):
    """Flags with which the compiler finds pyconfig.h in Debian's Python, which has one by processor, all alike."""
    version = f"python3.{sys.version_info.minor}"
    own = Path(sysconfig.get_path("include")).parent / f"{platform.machine()}-linux-gnu" / version
    if not own.is_dir():
        return ""
    shutil.copytree(own, folder / f"{processor}-linux-gnu" / version)
    return f" -idirafter {folder}"


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """What the wheel will say of itself: the same processor, too."""
    return _with_compiler(_build.prepare_metadata_for_build_wheel, metadata_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Build a wheel."""
    return _with_compiler(_build.build_wheel, wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """Build an editable wheel."""
    return _with_compiler(_build.build_editable, wheel_directory, config_settings, metadata_directory)
