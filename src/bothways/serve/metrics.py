"""What a server has done so far, by the names that dashboards for Triton know."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest

if TYPE_CHECKING:
    from bothways.serve.models import Served

MICROSECONDS = 1e6  # in a second

_counting = threading.Lock()


def _counter(name: str, words: str, scale: float = 1) -> Any:
    """A field that Prometheus knows by this name, as a multiple of what it counts."""
    return field(default=0, metadata={"name": name, "words": words, "scale": scale})


@dataclass(slots=True)
class Counters:
    """What was done with a model; seconds are those of all requests together."""

    success: int = _counter("nv_inference_request_success", "Requests, and messages of streams, that were answered")
    failure: int = _counter(
        "nv_inference_request_failure",
        "Requests that were refused or failed, and messages of which a line was refused",
    )
    sequences: int = _counter("nv_inference_count", "Sequences that came whole, or in a request or message in part")
    runs: int = _counter("nv_inference_exec_count", "Runs of the model, of one request or of several at once")
    seconds: float = _counter(
        "nv_inference_request_duration_us", "Time from the whole request to its answer, in microseconds", MICROSECONDS
    )
    waiting: float = _counter(
        "nv_inference_queue_duration_us", "Time that requests waited, in microseconds", MICROSECONDS
    )
    computing: float = _counter(
        "nv_inference_compute_infer_duration_us", "Time that the model ran for requests, in microseconds", MICROSECONDS
    )
    steps: int = _counter("bothways_steps_total", "Steps of these sequences")
    streams: int = _counter("bothways_open_streams", "WebSockets at /stream that are open")

    def answered(self, succeeded: bool, took: float) -> None:
        """Count a request, or a message of a stream; only the loop does."""
        self.success += succeeded
        self.failure += not succeeded
        self.seconds += took if succeeded else 0.0

    def ran(self, asked: Sequence[float], start: float, sequences: int, steps: int) -> None:
        """Count a run of the model that ends now: when each of its requests came, and when it began."""
        took = time.perf_counter() - start
        with _counting:
            self.runs += 1
            self.sequences += sequences
            self.steps += steps
            self.waiting += sum(start - each for each in asked)
            self.computing += len(asked) * took


class Metrics:
    """Counters by the name and version of a model; `pending` gives the number of requests that are not answered yet."""

    def __init__(self, pending: Callable[[], int]) -> None:
        self._counters: dict[tuple[str, str], Counters] = {}
        self._pending = pending
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def of(self, model: Served) -> Counters:
        """The counters of a model."""
        key = model.name, model.version
        return self._counters.get(key) or self._counters.setdefault(key, Counters())

    def collect(self) -> Iterable[Metric]:
        """What Prometheus's client asks for.

        Its own counters are called `..._total`, which Triton's are not; so `page` says what they are.
        """
        for each in fields(Counters):
            name, scale = each.metadata["name"], each.metadata["scale"]
            metric = Metric(name, each.metadata["words"], "gauge" if each.name == "streams" else "unknown")
            for (model, version), counters in list(self._counters.items()):
                metric.add_sample(
                    name, {"model": model, "version": version}, round(scale * getattr(counters, each.name))
                )
            yield metric
        pending = Metric("nv_inference_pending_request_count", "Requests that are not answered yet", "gauge")
        pending.add_sample(pending.name, {}, self._pending())
        yield pending

    def page(self) -> bytes:
        """All of it in Prometheus's text format."""
        return bytes(generate_latest(self._registry)).replace(b" untyped\n", b" counter\n")
