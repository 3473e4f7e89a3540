"""What came of measuring, and the file that it is kept in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bothways.bench.cases import DTYPES, OURS, PEERS, Case
from bothways.errors import DataError
from bothways.files import written_whole


@dataclass(frozen=True)
class Measurement:
    """One case, measured.

    `errors` are of those whose products have factors of lower precision: the largest difference from their own outputs
    in float32.
    """

    case: Case
    ms: Mapping[str, float]  # the median of a call, ours first, then those of the peers that gave a number
    errors: Mapping[str, float] = field(default_factory=dict)
    sgemm: float | None = None  # what NumPy's matrix product reached, in 10^9 operations per second; None if it failed
    disturbed: tuple[str, ...] = ()  # whose time is not to be believed: others had their processors all the time
    other_work: float = 0.0  # the share of the processors that other programs used meanwhile

    @property
    def gflops(self) -> float:
        """10^9 operations per second of ours, counting the matrix products only."""
        return self.case.flops / self.ms[OURS] / 1e6

    @property
    def share_of_sgemm(self) -> float | None:
        """What part of NumPy's matrix product that is."""
        return None if self.sgemm is None else self.gflops / self.sgemm

    @property
    def best_peer(self) -> str | None:
        """The fastest of the others; where ours is float32, of those that are, too."""
        exact = self.case.dtype == DTYPES[0]
        peers = [name for name in self.ms if name != OURS and not (exact and PEERS[name].dtype != DTYPES[0])]
        return min(peers, key=self.ms.__getitem__, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as long as ours the best peer takes."""
        return None if self.best_peer is None else self.ms[self.best_peer] / self.ms[OURS]

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways bench --json` prints, four digits of each number."""
        return self.case.to_json() | {
            "ms": {name: _digits(ms) for name, ms in self.ms.items()},
            "errors": {name: _digits(error) for name, error in self.errors.items()},
            "gflops": _digits(self.gflops),
            "share_of_sgemm": _digits(self.share_of_sgemm),
            "ratio": _digits(self.ratio),
            "disturbed": list(self.disturbed),
            "other_work": self.other_work,
        }


@dataclass(frozen=True)
class Benchmark:
    """All that was measured in one run.

    `machine` has the processor, its cores, the threads used, the instruction set, versions, the date; `load`, the
    processes that wanted to run before; `other_work`, the share of the processors that others used meanwhile.
    """

    measurements: list[Measurement]  # one per case, in the order asked for; without those of which ours gave no number
    machine: Mapping[str, Any]
    reasons: Mapping[str, str]  # who gave no number, and in which case if not in all: why

    def to_json(self) -> dict[str, Any]:
        """What `save` writes."""
        return {
            "machine": dict(self.machine),
            "reasons": dict(self.reasons),
            "results": [measurement.to_json() for measurement in self.measurements],
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, whole or not at all; raises DataError if it cannot be written."""
        path = Path(path)
        with written_whole(path, DataError) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _digits(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.4g}")
