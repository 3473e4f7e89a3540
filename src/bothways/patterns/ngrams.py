"""n-grams: features of a sequence's categories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bothways.arrays import checked_array
from bothways.errors import InputError
from bothways.network import Network
from bothways.sequences import Array, Numbers, Sequences

LONGEST = 3  # runs of 1 to 3 codes
FEATURES = 20_000  # at most this many runs, those that most sequences have
RARE = 2  # runs in fewer sequences are left out


@dataclass(frozen=True, eq=False)
class NGrams:
    """How often runs of one to three codes occur, by TF-IDF; the edges of a sequence count as a code of their own.

    A feature is (1 + log count) times 1 + log((1 + sequences) / (1 + sequences that have the run)); those of a sequence
    have length 1 (Salton and Buckley, 1988, as `TfidfTransformer` of scikit-learn has it).
    """

    sizes: tuple[int, ...]  # for each categorical column how many codes there are
    runs: Numbers  # `(size,)` ascending, each as a whole number: see `_runs`
    weights: Array  # `(size,)` the weight of each

    @classmethod
    def fit(
        cls, sequences: Sequences, categories: tuple[int, ...], seed: int = 0, most: int = FEATURES
    ) -> NGrams | None:
        """Choose the runs that most sequences have; None where no run is in several sequences."""
        found, rows = _all_runs(sequences, categories)
        runs, of = np.unique(found, return_inverse=True)
        having = np.bincount(np.unique(of * len(sequences) + rows) // max(len(sequences), 1), minlength=len(runs))
        chosen = np.sort(np.argsort(-having, kind="stable")[: min(most, FEATURES)])
        chosen = chosen[having[chosen] >= RARE]
        if not len(chosen):
            return None
        weights = 1 + np.log((1 + len(sequences)) / (1 + having[chosen]))
        return cls(categories, runs[chosen], weights.astype(np.float32))

    @property
    def size(self) -> int:
        """The number of features."""
        return len(self.runs)

    def features(self, sequences: Sequences) -> Any:
        """`(sequences, size)`, a sparse array of SciPy; nothing for a sequence without known runs."""
        from scipy.sparse import csr_array

        found, rows = _all_runs(sequences, self.sizes)
        places = np.minimum(np.searchsorted(self.runs, found), len(self.runs) - 1)
        known = self.runs[places] == found
        pairs, counts = np.unique(rows[known] * len(self.runs) + places[known], return_counts=True)
        rows, places = np.divmod(pairs, len(self.runs))
        values = (1 + np.log(counts)) * self.weights[places]
        lengths = np.sqrt(np.bincount(rows, values**2, len(sequences)))
        shape = (len(sequences), len(self.runs))
        return csr_array(((values / lengths[rows]).astype(np.float32), (rows, places)), shape)

    def arrays(self) -> dict[str, Any]:
        return {"runs": self.runs, "weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> NGrams:
        """What `arrays` gave; `InputError` for what fits no such sequences."""
        runs = checked_array(arrays, "runs", np.int64, (None,))
        if not network.categories or not len(runs) or not (np.diff(runs) > 0).all():
            raise InputError("The array 'runs' must ascend, and needs columns of categories.")
        weights = checked_array(arrays, "weights", np.float32, runs.shape, 0, 1e6)
        return cls(network.categories, runs, weights)


def _all_runs(sequences: Sequences, sizes: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """All runs of all columns, and the number of the sequence of each."""
    found = list(_runs(sequences, sizes))
    empty = np.zeros(0, np.int64)
    return np.concatenate([empty, *(runs for runs, _ in found)]), np.concatenate([empty, *(rows for _, rows in found)])


def _runs(sequences: Sequences, sizes: tuple[int, ...]) -> Iterator[tuple[Numbers, Numbers]]:
    """For each column and length the runs, and the number of the sequence of each.

    A run is the number that its codes spell, after all shorter runs and those of the columns before; where numbers of
    64 bits end, longer runs are left out. An edge is the code after the last one; an edge alone is no run.
    """
    filled, first = np.flatnonzero(sequences.lengths), 0
    ends = np.concatenate([sequences.offsets[filled + 1], sequences.offsets[filled]])
    rows = np.insert(sequences.sequence_of_steps, ends, np.tile(filled, 2))
    for column, size in enumerate(sizes, -len(sizes)):
        codes = np.insert(np.asarray(sequences.values[:, column], np.int64), ends, size)
        runs, base = np.zeros_like(codes), size + 1
        for length in range(1, LONGEST + 1):
            if first + base**length >= 1 << 63:
                break
            runs = runs[: len(codes) - length + 1] * base + codes[length - 1 :]
            whole = (rows[: len(runs)] == rows[length - 1 :]) & ((runs < size) | (length > 1))
            yield first + runs[whole], rows[: len(runs)][whole]
            first += base**length
