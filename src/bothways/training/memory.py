"""How much memory a batch takes in training, and how much there is."""

from __future__ import annotations

from pathlib import Path

from bothways.network import Network
from bothways.spec import cell_spec

SHARE = 0.5
"""The share of the free memory that a batch may take; the data, copies of them and other programs need some, too."""

SAFETY = 1.5
"""By how much the memory that is counted here is taken to be too low."""


def bytes_a_step(network: Network) -> int:
    """About how many bytes a step of a sequence takes in training, forward and backward.

    Counted are the inputs, outputs and gradients of all layers and the notes of the engine, which hold all gates.
    """
    floats = 2 * network.recurrent[0].features + 2 * network.inputs + 4 * network.outputs
    if network.convolution is not None:
        floats += 2 * network.convolution.window * network.convolution.features
    for layer in network.recurrent:
        notes = len(layer.directions) * layer.units * (2 * len(cell_spec(layer.cell).gates) + 4)
        floats += (2 * layer.features + 4 * layer.width + notes) // network.conv_stride
    return int(4 * floats * SAFETY)


def free_bytes() -> int:
    """How much memory a batch may take; a share of what the system and the container have left."""
    free = 1 << 40
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
        group = Path("/sys/fs/cgroup")
        most = (group / "memory.max").read_text().strip()
        if most != "max":
            free = min(free, int(most) - int((group / "memory.current").read_text()))
    except (OSError, KeyError, ValueError):
        pass  # another system, or no container: what is known so far holds
    return max(1, int(free * SHARE))
