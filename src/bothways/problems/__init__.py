"""Generated problems: sequences whose labels are known for certain, and how well any reader of them can do.

Each generator returns `X (n_sequences, n_timesteps, features)` and `y (n_sequences, n_timesteps, 1)`; `PROBLEMS`
has them by name, with the accuracy that is possible reading forward only, backward only and both ways.

    cumulative_sum    the tutorials' problem: has the sum so far reached a threshold? The past is enough
    remaining_sum     the same of what is still to come: the future is needed
    balance           is the sum so far more than the rest? Both sides say something, together all
    past_echo         the number k steps before
    future_echo       the number k steps later
    neighbours        the numbers k steps before and after, added
    parity            bits before and after, counted: one side alone says nothing
    noisy_switch      a hidden position behind noise: nobody knows for certain, both ways know best
    intrusion_flows   network traffic in which attacks are told by what follows, what came before, or the step itself

To add a problem, write a generator whose docstring derives what is possible, a function for its ceilings, and an
entry in `PROBLEMS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bothways.problems.echoes import (
    future_echo,
    future_echo_ceilings,
    neighbours,
    neighbours_ceilings,
    parity,
    parity_ceilings,
    past_echo,
    past_echo_ceilings,
)
from bothways.problems.flow_limits import intrusion_flows_ceilings
from bothways.problems.flows import SERVICES, flow_columns, flow_posteriors, intrusion_flows
from bothways.problems.problem import Ceilings, Problem
from bothways.problems.sums import (
    balance,
    balance_ceilings,
    cumulative_sum,
    cumulative_sum_ceilings,
    get_sequence,
    get_sequences,
    remaining_sum,
    remaining_sum_ceilings,
)
from bothways.problems.switch import noisy_switch, noisy_switch_ceilings

PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        problem.name: problem
        for problem in (
            Problem("cumulative-sum", "the past is enough", cumulative_sum, cumulative_sum_ceilings),
            Problem("remaining-sum", "the future is needed", remaining_sum, remaining_sum_ceilings),
            Problem("balance", "both sides say something, together all", balance, balance_ceilings),
            Problem("past-echo", "memory of one past step", past_echo, past_echo_ceilings),
            Problem("future-echo", "one later step is needed", future_echo, future_echo_ceilings),
            Problem("neighbours", "half from either side", neighbours, neighbours_ceilings),
            Problem("parity", "one side alone says nothing", parity, parity_ceilings),
            Problem("noisy-switch", "noise: both ways know best", noisy_switch, noisy_switch_ceilings),
            Problem(
                "intrusion-flows",
                "attacks told by what follows, what came before, or themselves",
                intrusion_flows,
                intrusion_flows_ceilings,
                features=5,
                categories=(len(SERVICES),),
            ),
        )
    }
)
"""Every generated problem by its name, as the command line spells it."""

__all__ = [
    "PROBLEMS",
    "Ceilings",
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
