"""What a server has done so far, by the names that dashboards for Triton know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest

NAMES = {
    "nv_inference_request_success": "Requests that were answered",
    "nv_inference_request_failure": "Requests that were refused or failed",
    "nv_inference_count": "Sequences that were labeled",
    "nv_inference_exec_count": "Runs of the model, of one request or of several at once",
    "nv_inference_request_duration_us": "Time from the whole request to its answer, in microseconds",
    "nv_inference_queue_duration_us": "Time that requests waited, in microseconds",
    "nv_inference_compute_infer_duration_us": "Time that the model ran for requests, in microseconds",
}


_counting = threading.Lock()


@dataclass(slots=True)
class Counts:
    """What was done with a model; seconds are those of all requests together."""

    success: int = 0
    failure: int = 0
    sequences: int = 0
    runs: int = 0
    seconds: float = 0.0
    waiting: float = 0.0
    computing: float = 0.0

    def ran(self, requests: int, sequences: int, waited: float, took: float) -> None:
        """Count a run of the model for requests that have waited so long together."""
        with _counting:
            self.runs += 1
            self.sequences += sequences
            self.waiting += waited
            self.computing += requests * took

    @property
    def values(self) -> tuple[float, ...]:
        """In the order of `NAMES`."""
        times = (self.seconds, self.waiting, self.computing)
        return (self.success, self.failure, self.sequences, self.runs, *(round(1e6 * each) for each in times))


class Metrics:
    """Counts by the name and version of a model; `pending` gives the number of requests that are not answered yet."""

    def __init__(self, pending: Callable[[], int]) -> None:
        self._counts: dict[tuple[str, str], Counts] = {}
        self._pending = pending
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def of(self, model: str, version: str) -> Counts:
        """The counts of a model."""
        return self._counts.get((model, version)) or self._counts.setdefault((model, version), Counts())

    def collect(self) -> Iterable[Metric]:
        """What Prometheus's client asks for.

        Its own counters are called `..._total`, which Triton's are not; so `page` says what they are.
        """
        for at, (name, words) in enumerate(NAMES.items()):
            metric = Metric(name, words, "unknown")
            for (model, version), counts in list(self._counts.items()):
                metric.add_sample(name, {"model": model, "version": version}, counts.values[at])
            yield metric
        pending = Metric("nv_inference_pending_request_count", "Requests that are not answered yet", "gauge")
        pending.add_sample(pending.name, {}, self._pending())
        yield pending

    def page(self) -> bytes:
        """All of it in Prometheus's text format."""
        return bytes(generate_latest(self._registry)).replace(b" untyped\n", b" counter\n")
