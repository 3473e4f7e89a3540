"""Does reading both ways help on a table? The same network forward, backward and both, over several seeds.

    python examples/directions.py flows.parquet --label label --sequence host --order time --split split --drop id

Prints the F1 of one class on the test part for every seed, and for each direction the median and the share of steps
labeled right. Single runs are not to
be compared: the seed alone moves a score by more than most claims.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from bothways import jobs

DIRECTIONS = ("forward", "backward", "both")


def main() -> None:
    """Train every direction with every seed, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--label", required=True)
    parser.add_argument("--sequence")
    parser.add_argument("--order")
    parser.add_argument("--split")
    parser.add_argument("--drop", nargs="*", default=())
    parser.add_argument("--class", dest="class_name", help="whose F1 is printed; the rarest class if not given")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    columns = {name: getattr(arguments, name) for name in ("label", "sequence", "order", "split", "drop")}
    for direction in DIRECTIONS:
        scores = [
            score(arguments.data, columns, direction, seed, arguments.class_name) for seed in range(arguments.seeds)
        ]
        f1, right, most = zip(*scores, strict=True)
        print(
            f"{direction:>8}: median F1 {statistics.median(f1):.3f}, by seed {' '.join(f'{s:.3f}' for s in f1)}; "
            f"right {statistics.median(right):.3f} (always the commonest label: {most[0]:.3f})"
        )


def score(
    data: Path, columns: dict[str, object], direction: str, seed: int, class_name: str | None
) -> tuple[float, ...]:
    """On the test part, after training with a direction and a seed: the F1 of a class, the accuracy, the baseline's."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.bothways"
        trained = jobs.train(
            data,
            model,
            settings={"direction": direction, "seed": seed},
            say=lambda text: None,
            **columns,  # type: ignore[arg-type]  # straight from the command line
        )
        counts = trained.model.class_counts
        classes = {str(name): name for name in counts}
        chosen = class_name if class_name is not None else str(min(counts, key=lambda name: counts[name]))
        if chosen not in classes:
            raise SystemExit(f"There is no class {chosen!r}; there are {', '.join(classes)}.")
        report = jobs.evaluate(model, data, "test", say=lambda text: None).to_json()
        return report["classes"][chosen]["f1"], report["accuracy"], report["baselines"]["majority"]["accuracy"]


if __name__ == "__main__":
    main()
