"""joblib on tasks of Ray.

Ray's own backend has a fixed set of actors; when the node of one dies, joblib waits for it for ever. Ray does the tasks
of such a node again on another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import joblib
import ray
from joblib.parallel import ParallelBackendBase

CLIENT_PORT = 10001  # where the client server of Ray listens if nothing else is said
_callbacks = ThreadPoolExecutor(1, "bothways-ray")


class RayTasks(ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """A backend of joblib; what its methods do stands there."""

    supports_retrieve_callback = True

    def effective_n_jobs(self, n_jobs: int) -> int:
        return int(ray.cluster_resources().get("CPU", 1)) if n_jobs < 0 else n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **more: Any) -> int:
        self.parallel = parallel
        self._do, self._tasks = ray.remote(num_cpus=1, max_retries=1)(_do), set[Any]()
        return self.effective_n_jobs(n_jobs)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> Any:
        task = self._do.remote(func)
        self._tasks.add(task)
        future = task.future()
        future.add_done_callback(lambda _: self._tasks.discard(task))
        if callback is not None:
            # A Ray client calls back in the thread that brings all answers; there the next task would wait for its own.
            future.add_done_callback(lambda done: _callbacks.submit(callback, done))
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        for task in list(self._tasks):
            ray.cancel(task, force=True)


def _do(func: Callable[[], Any]) -> Any:
    return func()


@contextmanager
def connected(place: str) -> Iterator[None]:
    """Make a Ray cluster that of this process."""
    address = place if place == "auto" else f"ray://{place}" if ":" in place else f"ray://{place}:{CLIENT_PORT}"
    ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


joblib.register_parallel_backend("bothways-ray", RayTasks)
