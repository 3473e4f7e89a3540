"""What is possible on each generated problem: the tables of docs/problems.md.

python studies/problems.py           steps of a sequence: 10; network flows: 100
python studies/problems.py 50        the same with 50 steps
"""

from __future__ import annotations

import sys

from bothways.problems import PROBLEMS
from bothways.problems.flows import STAGES
from limits import intrusion_limits, parity_added, reversed_as_written


def print_accuracy(n_timesteps: int) -> None:
    """The Bayes accuracy, by problem and direction."""
    print(f"The highest possible accuracy, {n_timesteps} steps:\n")
    print("| problem | forward | backward | both |")
    print("|---|---|---|---|")
    for problem in PROBLEMS.values():
        if problem.name != "intrusion-flows":
            possible = problem.bayes_accuracy(n_timesteps)
            print(f"| {problem.name} | {possible.forward:.4f} | {possible.backward:.4f} | {possible.both:.4f} |")
    added = parity_added(n_timesteps).mean()
    print(f"| parity, one layer whose directions are added or concatenated, raw numbers | | | {added:.4f} |")
    written = reversed_as_written(n_timesteps).mean()
    print(f"| cumulative-sum, reversed as the tutorials wrote it | | {written:.4f} | |")


def print_limits() -> None:
    """What the best detector finds in network flows, by direction."""
    limits = intrusion_limits(100)
    forward, backward, both = (limits[way] for way in ("forward", "backward", "both"))
    print("\nintrusion-flows, 100 steps, with standard errors:\n")
    print("| | forward | backward | both |")
    print("|---|---|---|---|")
    cells = " | ".join(f"{way.accuracy.value:.4f} ± {way.accuracy.error:.4f}" for way in (forward, backward, both))
    print(f"| flows labelled rightly | {cells} |")
    for rate in forward.detection:
        found = [way.detection[rate] for way in (forward, backward, both)]
        cells = " | ".join(f"{value:.4f} ± {error:.4f}" for value, error in found)
        print(f"| flows of attacks found at {rate:.1%} false alarms | {cells} |")
    print("\nFlows that raise an alarm at 1 % false alarms, by stage:\n")
    print("| stage | forward | backward | both |")
    print("|---|---|---|---|")
    for stage in STAGES:
        cells = " | ".join(f"{way.stages[0.01][stage]:.2f}" for way in (forward, backward, both))
        print(f"| {stage} | {cells} |")


if __name__ == "__main__":
    print_accuracy(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    print_limits()
