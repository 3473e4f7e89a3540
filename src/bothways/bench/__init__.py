"""How fast the engine is, beside whatever peers are installed.

The process that measures holds no numbers itself: ours, every peer and NumPy's matrix product each work in a
process of their own (`bothways.bench.worker`), which takes turns with the others for short slices of time.
Importing this package needs the standard library only.
"""

from bothways.bench.benchmark import Benchmark, Measurement
from bothways.bench.cases import DTYPES, MODES, PEERS, SHAPES, Case, Shape, choose_peers, choose_shapes
from bothways.bench.rounds import measure

__all__ = [
    "DTYPES",
    "MODES",
    "PEERS",
    "SHAPES",
    "Benchmark",
    "Case",
    "Measurement",
    "Shape",
    "choose_peers",
    "choose_shapes",
    "measure",
]
