"""Generated problems: sequences whose labels are known for certain, and how well any reader of them can do.

`docs/problems.md` describes them, and `PROBLEMS` has all by name: `PROBLEMS["balance"].bayes_accuracy(10)`.
Every generator takes `n_sequences` and `n_timesteps` (1 or more), its own parameters, and `seed`: the same seed gives
the same sequences, None gives fresh ones at each call, and a NumPy generator goes on where it stands. It returns
`X (n_sequences, n_timesteps, features)` as float32 and `y (n_sequences, n_timesteps, 1)` as int64, and raises
`InputError` for a parameter out of its range. Its docstring derives the accuracy that is possible: reading *forward*,
the steps up to t are seen; reading *backward*, those from t on; with *both*, all of them.

To add a problem, write a generator, a function for its Bayes accuracy, and an entry in `PROBLEMS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bothways.problems import echoes, flows, sums, switch
from bothways.problems.echoes import future_echo, neighbours, parity, past_echo
from bothways.problems.flows import flow_columns, flow_posteriors, intrusion_flows
from bothways.problems.problem import BayesAccuracy, Problem
from bothways.problems.sums import balance, cumulative_sum, get_sequence, get_sequences, remaining_sum
from bothways.problems.switch import noisy_switch

_PROBLEMS = (
    Problem("cumulative-sum", cumulative_sum, sums.cumulative_sum_accuracy),
    Problem("remaining-sum", remaining_sum, sums.remaining_sum_accuracy),
    Problem("balance", balance, sums.balance_accuracy),
    Problem("past-echo", past_echo, echoes.past_echo_accuracy),
    Problem("future-echo", future_echo, echoes.future_echo_accuracy),
    Problem("neighbours", neighbours, echoes.neighbours_accuracy),
    Problem("parity", parity, echoes.parity_accuracy),
    Problem("noisy-switch", noisy_switch, switch.noisy_switch_accuracy),
    Problem(
        "intrusion-flows",
        intrusion_flows,
        flows.intrusion_flows_accuracy,
        features=5,
        categories=(len(flows.SERVICES),),
    ),
)

PROBLEMS: Mapping[str, Problem] = MappingProxyType({problem.name: problem for problem in _PROBLEMS})
"""Every generated problem by its name, as the command line spells it."""

__all__ = [
    "PROBLEMS",
    "BayesAccuracy",
    "Problem",
    "balance",
    "cumulative_sum",
    "flow_columns",
    "flow_posteriors",
    "future_echo",
    "get_sequence",
    "get_sequences",
    "intrusion_flows",
    "neighbours",
    "noisy_switch",
    "parity",
    "past_echo",
    "remaining_sum",
]
