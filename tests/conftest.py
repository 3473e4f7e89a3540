"""What several tests share: what runs by default, how much memory stays, and a few fixtures."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from jaxlib.version import __version_info__

# Tests compile much and compute little: JAX does it in a quarter of the time with these. Before it is imported, and for
# the processes that tests start, too.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    # XLA ends the process for a flag that it does not know.
    + (" --xla_cpu_use_fusion_emitters=false" if (0, 8) <= __version_info__ < (0, 11) else ""),
)
if "PYTEST_XDIST_WORKER" in os.environ:  # others compute beside it
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from bothways import engine

hypothesis.settings.register_profile("any speed", deadline=None)  # the machine may have other work
hypothesis.settings.load_profile("any speed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background by a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Import Keras before any test does, so that the backend is the one chosen here; not where others run the tests."""
    if not config.getoption("numprocesses", None):
        import bothways.layers  # noqa: F401


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a grid of parameters all cases are `slow` but a few, in which every value of every parameter occurs.

    `-m "not slow"` is the default of this project; `-m ""` runs everything, as `.ci/run` does. Between the two,
    `-m "not slow or pairs"` takes so many cases that every value occurs together with every value of another parameter.
    """
    tests: dict[tuple[Path, str], list[Any]] = defaultdict(list)
    for item in items:
        if hasattr(item, "callspec") and not item.get_closest_marker("every_case"):
            tests[item.path, item.originalname].append(item)  # type: ignore[attr-defined]  # a function
    for cases in tests.values():
        values = [{(name, repr(value)) for name, value in case.callspec.params.items()} for case in cases]
        few = covering(values, set())
        pairs = covering([set(combinations(sorted(each), 2)) for each in values], few)
        for i, case in enumerate(cases):
            if i in pairs - few and not case.get_closest_marker("slow"):
                case.add_marker(pytest.mark.pairs)
            if i not in few:
                case.add_marker(pytest.mark.slow)


def covering(parts: list[set[Any]], kept: set[int]) -> set[int]:
    """`kept` and as few more as it takes for each part to be in one of them."""
    left = set().union(*parts).difference(*(parts[i] for i in kept))
    while left:
        best = max(range(len(parts)), key=lambda i: len(parts[i] & left))
        kept = kept | {best}
        left -= parts[best]
    return kept


def pytest_collection_finish() -> None:
    """What is there by now stays, and the garbage collector looks at it no more: there are a million objects."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of one file go to one worker, who shares fixtures and compiled models among them; idle ones take over."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


MEMORY = 880 << 20
GROWTH = 100 << 20
"""With more bytes than the first, and than what was left the last time and the second, a process forgets what it has
compiled, and the tests that follow compile again. Importing everything takes 500 MB, and a compiled model 20 MB."""


_left = 0


@pytest.fixture(autouse=True)
def _forget_what_was_compiled() -> Iterator[None]:
    """Compiled programs would add up over a test run, to gigabytes."""
    global _left
    yield
    most = max(MEMORY, _left + GROWTH)
    if resident() < most:
        return
    trim()
    if resident() < most:
        return
    if "bothways.training.compiled_models" in sys.modules:
        sys.modules["bothways.training.compiled_models"]._free.clear()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    trim()
    _left = resident()


CACHE = {"jax_persistent_cache_min_compile_time_secs": 0.0, "jax_persistent_cache_min_entry_size_bytes": -1}


@pytest.fixture(scope="module", autouse=True)
def _compiled_on_disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stock layers compile the same small programs in each test: JAX keeps them on the disk.

    A folder for each process, for JAX does not write its files at one stroke. Training has a cache of its own, which is
    not in use where JAX has one.
    """
    if request.path.parent.name != "layers":
        yield
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    def use(settings: dict[str, Any]) -> None:
        for name, value in settings.items():
            jax.config.update(name, value)  # type: ignore[no-untyped-call]
        compilation_cache.reset_cache()

    wanted = CACHE | {"jax_compilation_cache_dir": str(tmp_path_factory.getbasetemp() / "compiled")}
    before = {name: getattr(jax.config, name) for name in wanted}
    use(wanted)
    yield
    use(before)


def trim() -> None:
    """Give memory that is free back to the system."""
    with suppress(AttributeError, OSError):  # where the C library is another
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """The bytes that this process has in memory."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not on Linux
        return sys.maxsize
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(params=engine.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once with every instruction set that the machine has."""
    before = engine.instruction_set()
    engine.set_instruction_set(request.param)
    yield request.param
    engine.set_instruction_set(before)


@pytest.fixture
def four_threads() -> Iterator[None]:
    """For the engine, wherever the tests run: beside others it has one, and one never enters the pool."""
    before = engine.threads()
    engine.set_threads(4)
    yield
    engine.set_threads(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real tables, BOTHWAYS_DATA or one beside the project; the test is skipped where there is none."""
    folder = Path(os.environ.get("BOTHWAYS_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the real data sets are not on this machine")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed.")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Any:
    """Opens the page of a model in a window; no request may leave it, and nothing may go wrong."""
    if not files("bothways.page").joinpath("engine.wasm").is_file():
        pytest.skip("The engine for pages is not compiled.")
    from bothways import store
    from bothways.page import write_page

    pages, faults = [], list[str]()

    def begin(model: Any, width: int = 1280, scheme: str = "light", change: Callable[[str], str] = str) -> Any:
        store.save(model, tmp_path / "flows.bothways")
        path = write_page(model, tmp_path / "flows.html", "flows")
        path.write_text(change(path.read_text()))
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda asked: faults.append(asked.url) if asked.url.startswith("http") else None)
        page.goto(path.as_uri())
        page.wait_for_function("typeof ready !== 'undefined' || document.getElementById('said').className === 'wrong'")
        pages.append(page)
        return page

    yield begin
    for page in pages:
        page.close()
    assert faults == []


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Any]]:
    """Starts servers, each in a process of its own, that end with the tests of the file."""
    pytest.importorskip("httptools")
    from serving import Running

    running: list[Running] = []

    def begin(path: Path, *options: str, **environment: str) -> Running:
        running.append(Running.begin(path, *options, **environment))
        return running[-1]

    yield begin
    for server in running:
        server.process.kill()
        server.process.communicate()


@pytest.fixture
def connect(server: Any) -> Iterator[Callable[..., Any]]:
    """Opens WebSockets, at the `server` of the file unless another one is given, that end with the test."""
    client = pytest.importorskip("websockets.sync.client")
    with ExitStack() as opened:

        def begin(path: str, to: Any = server, **how: Any) -> Any:
            return opened.enter_context(client.connect(f"ws://127.0.0.1:{to.port}{path}", **how))

        yield begin
