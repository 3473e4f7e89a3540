"""The one comparison: training a bidirectional LSTM, ours against torch's, as a ratio of medians of one run.

    python benchmarks/training.py

Batch 32, 100 steps, 64 features, 128 units: the outputs, and the gradients of the input and of all weights.
Takes about 20 seconds. `bothways bench` measures more shapes, more cells and more peers in the same way.
"""

from __future__ import annotations

import sys

from bothways.bench import Case, Shape, choose_peers, measure

CASE = Case(Shape(batch=32, time=100, features=64, units=128), cell="lstm", mode="train")
SECONDS = 12.0


def main() -> None:
    """Measure, and print one line."""
    _, missing = choose_peers(["torch"])
    if missing:
        sys.exit("This compares with torch, which is not installed. Install it: pip install torch")
    report = measure([CASE], ["torch"], seconds=SECONDS)
    for name, reason in report.reasons.items():
        print(f"{name}: {reason}", file=sys.stderr)
    if not report.measurements or report.measurements[0].ratio is None:
        sys.exit("There is nothing to compare.")
    measured = report.measurements[0]
    if measured.disturbed:
        print("Other programs had the processors all the time: do not believe this.", file=sys.stderr)
    machine = report.machine
    print(
        f"{measured.ratio:.2f} times as fast as torch.nn.LSTM in training: {measured.ms['bothways']:.1f} ms against "
        f"{measured.ms['torch']:.1f} ms\n"
        f"(batch, steps, features, units = {CASE.shape}; {machine['processor']}, {machine['threads']} threads, torch "
        f"{machine['versions']['torch']}; other programs used {machine['other_work']:.0%} of the processors)"
    )


if __name__ == "__main__":
    main()
