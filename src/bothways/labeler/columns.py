"""How the columns of X go to the network, and which columns of an array hold categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from bothways import data
from bothways.errors import InputError
from bothways.labeler.inputs import Array, Form, read_arrays
from bothways.network import MAX_CODES
from bothways.sequences import Sequences


class Columns(Protocol):
    """The columns of what a labeler was fitted on.

    Attributes:
        features: how many there are.
        names: their names; none for arrays.
        codes: how many codes each category has, 0 for the unknown included.
        roles: what each column of a table is for; None for arrays.
    """

    @property
    def features(self) -> int:
        """See the class."""

    @property
    def names(self) -> tuple[str, ...]:
        """See the class."""

    @property
    def codes(self) -> tuple[int, ...]:
        """See the class."""

    def read(self, name: str, X: Any) -> tuple[Sequences, Form]:
        """X as the network takes it: numbers first, then the codes of categories."""

    @property
    def roles(self) -> data.Columns | None:
        """See the class."""


@dataclass(frozen=True)
class ArrayColumns:
    """The columns of the arrays that a labeler was fitted on.

    Attributes:
        features: how many there are.
        categorical: the numbers of those that hold categories, from 0.
        codes: how many codes each of these has, 0 for the unknown included.
    """

    features: int
    categorical: tuple[int, ...] = ()
    codes: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """None: columns of arrays have numbers alone."""
        return ()

    @property
    def roles(self) -> None:
        """None: they are columns of no table."""

    @classmethod
    def fit(cls, X: Any, categorical: Sequence[Any]) -> ArrayColumns:
        """The columns of X.

        Args:
            X: see `read_arrays`.
            categorical: the numbers of the columns that hold categories; below 0 they count from the last one.

        Raises:
            InputError: X is no sequences, or there is no such column.

        Example:
            >>> ArrayColumns.fit(np.array([[7, 0.5], [2, 0.1]]), categorical=[0])
            ArrayColumns(features=2, categorical=(0,), codes=(8,))
        """
        sequences, _ = read_arrays("X", X, features=None)
        features = sequences.features
        chosen = tuple(sorted({_column(place, features) for place in categorical}))
        codes = tuple(1 + int(_codes("X", sequences, k).max(initial=0)) for k in chosen)
        return cls(features, chosen, codes)

    def read(self, name: str, X: Any) -> tuple[Sequences, Form]:
        """X as the network takes it; categories beyond those that `fit` saw are unknown.

        Args:
            name: what the caller calls it.
            X: as in `fit`.

        Raises:
            InputError: X is no sequences of as many features.

        Example:
            >>> ArrayColumns(2, (0,), (8,)).read("X", np.array([[7, 0.5], [9, 0.5]]))[0].values.tolist()
            [[0.5, 7.0], [0.5, 0.0]]
        """
        if hasattr(type(X), "columns"):
            raise InputError(f"{name} is a data frame; the labeler was fitted on arrays. Give {name}.to_numpy().")
        sequences, form = read_arrays(name, X, self.features)
        if not self.categorical:
            return sequences, form
        numbers = [k for k in range(self.features) if k not in self.categorical]
        codes = np.stack([_codes(name, sequences, k) for k in self.categorical], axis=1)
        values = np.concatenate([sequences.values[:, numbers], np.where(codes < self.codes, codes, 0)], axis=1)
        return replace(sequences, values=values), form


def _column(place: Any, features: int) -> int:
    if isinstance(place, bool) or not isinstance(place, (int, np.integer)) or not -features <= place < features:
        raise InputError(
            f"categorical names the column {place!r}; in an array it must be the number of one, from 0 to "
            f"{features - 1}."
        )
    return int(place) % features


def _codes(name: str, sequences: Sequences, k: int) -> Array:
    """A column of categories, checked."""
    codes = sequences.values[:, k]
    wrong = (codes < 0) | (codes != np.floor(codes)) | (codes >= MAX_CODES)
    if wrong.any():
        number, step = sequences.place(int(wrong.argmax()))
        raise InputError(
            f"{name}[{number}] holds {codes[wrong][0]} at step {step}, feature {k}, which is categorical; categories "
            f"in arrays are whole numbers from 0, for whatever is unknown, up to {MAX_CODES - 1}."
        )
    return codes
