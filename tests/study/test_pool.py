"""Where runs go: joblib's backends, and what a cluster is asked for; a cluster itself is in `benchmarks/cluster.py`."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import joblib
import pytest

from bothways import study
from bothways.errors import MissingDependencyError
from bothways.study import pool


class Ray(SimpleNamespace):
    """As much of a Ray client as is used: one thread brings all answers, and calls back."""

    def __init__(self) -> None:
        super().__init__(addresses=[], asking=set())
        self.answers = ThreadPoolExecutor(1)

    def init(self, address: str, **how: Any) -> None:
        """Connect."""
        self.addresses.append(address)

    def shutdown(self) -> None:
        """Connect no longer."""

    def cluster_resources(self) -> dict[str, float]:
        """What there is."""
        return {"CPU": 2.0}

    def cancel(self, task: Any, force: bool) -> None:
        """Stop a task."""

    def remote(self, **how: Any) -> Callable[[Any], Any]:
        """A function that is called elsewhere."""

        def asked(function: Any, *arguments: Any) -> Any:
            self.asking.add(threading.current_thread().name)
            future: Future[Any] = self.answers.submit(function, *arguments)
            return Task(future)

        return lambda function: SimpleNamespace(remote=lambda *arguments: asked(function, *arguments))


class Task:
    """What stands for a result to come."""

    def __init__(self, future: Future[Any]) -> None:
        self.future = lambda: future


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ray]:
    made = Ray()
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.delitem(sys.modules, "bothways.study.ray_backend", raising=False)
    monkeypatch.delattr(study, "ray_backend", raising=False)
    yield made
    made.answers.shutdown()
    sys.modules.pop("bothways.study.ray_backend", None)
    vars(study).pop("ray_backend", None)


def test_the_thread_that_brings_answers_of_ray_never_asks(ray: Ray) -> None:
    """It would wait for an answer that nobody brings."""
    with pool.on_cluster("ray://auto"), pool.results((joblib.delayed(abs)(-i) for i in range(9)), 2, False) as found:
        assert sorted(found) == list(range(9))
    assert not [name for name in ray.asking if name.startswith("ThreadPoolExecutor")]


@pytest.mark.parametrize(
    ("given", "asked"),
    [("ray://auto", "auto"), ("ray://head", "ray://head:10001"), ("ray://head:7", "ray://head:7")],
)
def test_the_address_of_ray(ray: Ray, given: str, asked: str) -> None:
    with pool.on_cluster(given):
        assert ray.addresses == [asked]
        assert pool.processes(None) == 2


@pytest.mark.parametrize(
    ("address", "package", "install"),
    [("ray://auto", "ray", "'bothways[cluster]'"), ("dask://head:8786", "distributed", "distributed")],
)
def test_what_a_cluster_needs_is_named(
    address: str, package: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError) as error, pool.on_cluster(address):
        pass
    assert str(error.value) == (
        f"A cluster at {address} needs {package}, which is not installed. Install it: pip install {install}"
    )


@pytest.mark.slow
def test_a_process_whose_driver_is_killed_while_it_is_made_ready_ends_too() -> None:
    worker = """
import os, sys, time
from bothways.study.worker import Driver, begin
class Slow:
    def find_spec(name, path, target=None):
        if name == "bothways.training":
            print("importing", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow)
begin(Driver.here()._replace(number=os.getppid()))
"""
    driver = """
import os, subprocess, sys
process = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
process.stdout.readline()
os._exit(9)
"""
    command = [sys.executable, "-c", driver, worker]
    # The end of the errors, which the worker has as well, is waited for.
    assert subprocess.run(command, stderr=subprocess.PIPE, timeout=20, check=False).returncode == 9
