"""The house itself: who imports whom, what is public, what an import costs, and that docstrings tell the truth."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import bothways

PACKAGE = Path(bothways.__file__).parent
REFERENCE = Path(__file__).parents[1] / "docs" / "reference"

# Who may import whom among our own: every module may import those to its left, and its neighbours in the first group.
ORDER = [
    {
        "acceleration",
        "arrays",
        "errors",
        "files",
        "interrupts",
        "means",
        "spec",
        "merge",
        "network",
        "options",
        "problems",
        "sequences",
        "settings",
        "tags",
    },
    {"fields", "patterns"},
    {"tables"},
    {"baselines", "engine", "data", "metrics"},
    {"layers", "report", "runtime", "store"},
    {"export", "stream", "torch_modules", "training"},
    {"study"},
    {"labeler"},
    {"demo", "jobs", "bench"},
    {"page"},
    {"serve"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
SAME_RANK = {("store", "runtime"), ("runtime", "store"), ("runtime", "stream")} | {
    (a, b) for a in ORDER[0] for b in ORDER[0]
}

# The home of each third party, as prefixes of module names.
HOMES = {
    "keras": ("baselines.neighbors", "export.keras_model", "layers", "training", "bench.peers"),
    "jax": ("layers.ops.jax", "training", "bench.peers"),
    "torch": ("engine.torch_tensors", "layers.ops.torch", "torch_modules.modules", "bench.peers"),
    "tensorflow": ("layers.ops.tensorflow", "bench.peers"),
    "matplotlib": ("report.figures", "study.figures"),
    "onnx": ("bench.peers", "export.onnx_model"),
    "onnxruntime": ("bench.peers",),
    "scipy": ("baselines.linear", "patterns", "study.statistics", "study.held_out", "problems"),
    "sklearn": ("baselines", "data.calendar", "data.leaks", "labeler", "patterns"),
    "tensorboard": ("training.trackers",),
    "mlflow": ("training.trackers",),
    "optuna": ("study.search",),
    "polars": ("data", "fields", "tables", "study.runs"),
    "spacy": ("tables.text_files",),
    "joblib": ("study.pool", "study.ray_backend", "study.tuning", "study.refit", "jobs.prediction"),
    "ray": ("study.pool", "study.ray_backend"),
    "distributed": ("study.pool",),
    "threadpoolctl": ("baselines", "data.calendar", "study.worker"),
    "safetensors": ("store",),
    "httptools": ("serve.connection",),
    "uvloop": ("serve.server",),
    "orjson": ("serve",),
    "websockets": ("serve.sockets",),
    "prometheus_client": ("serve.metrics",),
    "typer": ("cli",),
    "rich": ("cli",),
}


def modules() -> list[str]:
    return sorted(
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE or path.name != "__init__.py"
    )


def parsed(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text())


def imports(module: str) -> Iterator[str]:
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", modules())
def test_imports_go_one_way(module: str) -> None:
    room = module.split(".")[0]
    assert room in RANK, f"{room} has no place in the house: give it one in ORDER and in CONTRIBUTING.md"
    for name in imports(module):
        top, *rest = name.split(".")
        if top == "bothways" and rest and rest[0] != room:
            other = rest[0]
            assert RANK.get(other, -1) < RANK[room] or (room, other) in SAME_RANK, f"{module} imports {name}"
        if top in HOMES:
            assert any(module == home or module.startswith(f"{home}.") for home in HOMES[top]), f"{module}: {name}"


def test_no_two_rooms_have_classes_of_one_name() -> None:
    nodes = [
        (node.name, module.split(".")[0])
        for module in modules()
        for node in parsed(module).body
        if isinstance(node, ast.ClassDef)
    ]
    rooms = Counter(name for name, _ in set(nodes) if not name.startswith("_"))
    assert [name for name, count in rooms.items() if count > 1] == []


def test_importing_bothways_is_light() -> None:
    code = (
        "import sys, bothways; heavy = {'numpy', 'keras', 'jax', 'torch', 'polars', 'sklearn', 'typer', 'rich'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names() -> None:
    assert bothways.__all__ == [
        *("SequenceLabeler", "accelerate", "compare", "engine", "export_onnx"),
        *("layers", "load", "problems", "quantize"),
    ]
    for name in bothways.__all__:
        assert getattr(bothways, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bothways.nothing


@pytest.mark.parametrize("module", modules())
def test_docstring_examples_hold(module: str) -> None:
    try:
        loaded = importlib.import_module(f"bothways.{module}")
    except ModuleNotFoundError as missing:
        if missing.name not in HOMES or module not in HOMES[missing.name]:
            raise
        pytest.skip(f"{missing.name} is not installed")
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(loaded, optionflags=options).failed == 0


def test_files_of_tests_have_names_of_their_own() -> None:
    """mypy takes each for a module at the top."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("*.py"))
    assert [name for name, times in names.items() if times > 1] == []


def test_what_differs_between_processors_stands_in_files_of_theirs() -> None:
    """`isa.inc` picks one of those that are included; CMake, one of those that are compiled."""
    asking = re.compile(r"\b(__x86_64__|__aarch64__|__wasm__|__AVX\w*|__SSE\w*|__ARM\w*)\b")
    files = (Path(__file__).parents[1] / "csrc").rglob("*.*")
    found = {path.name for path in files if asking.search(path.read_text())}
    assert found == {"isa.inc", "x86.inc", "neon.inc"}


def test_no_file_of_the_engine_is_long() -> None:
    files = [path for path in (Path(__file__).parents[1] / "csrc").rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if len(path.read_text().splitlines()) > 400] == []


def public_objects() -> list[tuple[str, object]]:
    found: dict[str, object] = {}
    for info in pkgutil.iter_modules(bothways.__path__):
        module = importlib.import_module(f"bothways.{info.name}")
        names = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
        for name in names:
            thing = getattr(module, name)
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__.startswith("bothways"):
                found[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return sorted(found.items())


@pytest.mark.parametrize(("name", "thing"), public_objects(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_public_name_has_a_docstring(name: str, thing: object) -> None:
    assert (inspect.getdoc(thing) or "").strip(), name


SECTIONS = re.compile(r"^(Args|Returns|Raises):$", re.MULTILINE)
DIRECTIVE = re.compile(r"auto(module|class|function):: (\S+)\n((?: +:.*\n)*)")


@functools.cache
def in_reference() -> set[str]:
    """Where each class and function that docs/reference shows is written, by module and name."""
    found = set()
    for kind, name, settings in DIRECTIVE.findall("".join(page.read_text() for page in REFERENCE.glob("*.md"))):
        home, _, last = name.rpartition(".")
        module = importlib.import_module(name if kind == "module" else home)
        members = re.search(r":members: (.+)", settings)
        own = [each for each, thing in vars(module).items() if getattr(thing, "__module__", None) == name]
        every = getattr(module, "__all__", own)
        names = [last] if kind != "module" else members[1].split(", ") if members else every
        things = [getattr(module, each) for each in names]
        found |= {f"{each.__module__}.{each.__qualname__}" for each in things if hasattr(each, "__qualname__")}
    return found


@pytest.mark.parametrize("module", modules())
def test_docstrings_of_the_inside_are_short(module: str) -> None:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for owner in parsed(module).body:
        if isinstance(owner, kinds) and f"bothways.{module}.{owner.name}" not in in_reference():
            for each in ast.walk(owner):
                if isinstance(each, kinds):
                    assert not SECTIONS.search(ast.get_docstring(each) or ""), f"{module}.{owner.name}: {each.name}"
