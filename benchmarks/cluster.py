"""A comparison on a Ray cluster of three nodes on this machine, beside the same one on loky.

    python benchmarks/cluster.py            the speed of both per process, in turns, medians
    python benchmarks/cluster.py --kill     one node is killed in the middle: the same numbers, nothing lost or doubled

It needs `pip install 'bothways[cluster]'` and no network but 127.0.0.1. Everything is stopped in the end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import polars as pl

from bothways import compare
from bothways.study import Comparison

VARY: dict[str, Any] = {"direction": ["forward", "both"], "units": [8, 16]}


@contextmanager
def three_nodes() -> Iterator[Any]:
    """A Ray cluster of three nodes with one CPU each."""
    import ray
    from ray.cluster_utils import Cluster

    few: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=few)
    try:
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20) for _ in range(2)]
        os.environ["RAY_ADDRESS"] = cluster.address
        yield cluster, nodes
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        ray.shutdown()
        cluster.shutdown()


def once(
    seeds: int,
    epochs: int,
    path: Path | None = None,
    on_progress: Callable[[Any], None] = lambda progress: None,
    **more: Any,
) -> tuple[Comparison, float]:
    """A comparison, and how many seconds passed from its first run to its last one."""
    times: list[float] = []

    def seen(progress: Any) -> None:
        times.append(time.perf_counter())
        on_progress(progress)

    found = compare(
        "cumulative-sum",
        VARY,
        seeds=seeds,
        settings={"epochs": epochs},
        problem={"sequences": 500, "unseen": 200},
        output=path,
        on_progress=seen,
        **more,
    )
    return found, times[-1] - times[0]


def kill_one(seeds: int, epochs: int) -> None:
    """Kill a node when a third of the runs is done, and compare with loky."""
    with three_nodes() as (cluster, nodes), tempfile.TemporaryDirectory() as folder:
        path, killed = Path(folder, "runs.parquet"), list[int]()

        def on_progress(progress: Any) -> None:
            if not killed and len(progress.done) >= progress.total / 3:
                cluster.remove_node(nodes[0], allow_graceful=False)
                killed.append(len(progress.done))

        there, _ = once(seeds, epochs, path, on_progress, cluster="ray://auto")
        table = pl.read_parquet(path)
    here, _ = once(seeds, epochs)
    one, other = ({result.name: result.runs for result in found.settings} for found in (there, here))
    assert one == other, "the numbers differ"
    assert table.height == table.select("setting", "seed").n_unique() == there.runs == 4 * seeds, "lost or doubled"
    assert set(table["status"]) == {"finished"}
    print(f"A node was killed after {killed[0]} runs: {table.height} runs, each once, with the numbers of loky.")


def speed(seeds: int, epochs: int, turns: int) -> None:
    """Runs per second, per process, of both in turns."""
    import joblib
    import ray
    from ray.util.joblib import register_ray

    ratios = []
    with three_nodes() as (cluster, _):
        ray.init(cluster.address, logging_level="ERROR", log_to_driver=False)
        register_ray()

        def on_ray() -> float:
            with joblib.parallel_config("ray"):
                return once(seeds, epochs, workers=2)[1]

        once(seeds, epochs, workers=2)  # imports and compiling
        on_ray()
        for turn in range(turns):
            local, far = once(seeds, epochs, workers=2)[1], on_ray()
            ratios.append(local / far)
            print(f"turn {turn}: loky {local:.1f} s, Ray {far:.1f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"Ray has {statistics.median(ratios):.2f} of the speed of loky per process (median of {turns} turns).")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kill", action="store_true", help="kill a node in the middle")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    if given.kill:
        kill_one(given.seeds, given.epochs)
    else:
        speed(given.seeds, given.epochs, given.turns)


if __name__ == "__main__":
    main()
