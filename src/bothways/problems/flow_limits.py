"""How well any detector can do on `intrusion_flows`."""

from __future__ import annotations

import numpy as np

from bothways.problems.arguments import generator
from bothways.problems.flows import IS_ATTACK, check_labels, flow_posteriors, intrusion_flows
from bothways.problems.problem import Ceilings, Floats

SEQUENCES, CHUNK = 2000, 250
"""The size of the sample, and how many of its sequences are computed at a time."""


def intrusion_flows_ceilings(n_timesteps: int, labels: str = "attack") -> Ceilings:
    """The ceilings of accuracy on `intrusion_flows`, from the exact posteriors of 2,000 sequences.

    Args:
        n_timesteps: flows of each sequence, 1 or more.
        labels: as for `intrusion_flows`.

    Raises:
        InputError: a count below 1, or labels of another name.

    Example:
        >>> ceilings = intrusion_flows_ceilings(20)
        >>> ceilings.forward < ceilings.both, ceilings.error < 0.005
        (True, True)
    """
    check_labels(labels)
    random = generator(0)
    right: dict[str, list[Floats]] = {}
    for _ in range(0, SEQUENCES, CHUNK):
        for direction, p in flow_posteriors(intrusion_flows(CHUNK, n_timesteps, seed=random)[0]).items():
            attack = p[..., IS_ATTACK].sum(axis=-1)
            best = p.max(axis=-1) if labels == "stage" else np.maximum(attack, 1 - attack)
            right.setdefault(direction, []).append(best)
    shares = {direction: np.concatenate(parts) for direction, parts in right.items()}
    error = max(float(share.mean(axis=1).std(ddof=1)) for share in shares.values()) / SEQUENCES**0.5
    forward, backward, both = (shares[way].mean(axis=0) for way in ("forward", "backward", "both"))
    return Ceilings(forward, backward, both, error)
