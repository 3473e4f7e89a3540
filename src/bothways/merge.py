"""How the outputs of the two directions become one: the table of merge modes.

The engine writes both directions side by side, `(..., forward units + backward units)`; a mode says what
becomes of the two halves. Everything here works on any array type with arithmetic and slices (NumPy, JAX,
torch, TensorFlow), so this table serves every backend. To add a mode, add an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bothways.errors import InputError


class MergeMode(NamedTuple):
    """One way to merge."""

    merge: Callable[[Any, Any], Any] | None  # `(forward, backward) -> merged`; None if the two halves stay side by side
    backprop: Callable[[Any, Any, Any], tuple[Any, Any]] | None
    """`(d_merged, forward, backward) -> (d_forward, d_backward)`."""

    @property
    def equal_units(self) -> bool:
        """Whether both directions need the same number of units."""
        return self.merge is not None


MERGE_MODES: Mapping[str, MergeMode] = {
    "concat": MergeMode(None, None),
    "sum": MergeMode(lambda f, b: f + b, lambda d, f, b: (d, d)),
    "mul": MergeMode(lambda f, b: f * b, lambda d, f, b: (d * b, d * f)),
    "ave": MergeMode(lambda f, b: (f + b) / 2, lambda d, f, b: (d / 2, d / 2)),
}


def check_merge_mode(mode: str | None, forward_units: int, backward_units: int) -> None:
    """Refuse an unknown mode, and widths that the mode cannot merge."""
    if mode is None:
        return
    if not isinstance(mode, str) or mode not in MERGE_MODES:
        raise InputError(f"There is no merge_mode {mode!r}. Use one of: {', '.join(MERGE_MODES)}, or None.")
    if MERGE_MODES[mode].equal_units and forward_units != backward_units:
        raise InputError(
            f"merge_mode={mode!r} needs equal widths, but the forward layer has {forward_units} units and the "
            f"backward layer {backward_units}. Use merge_mode='concat' or None, or give both the same units."
        )


def merge(mode: str | None, both: Any, forward_units: int) -> Any:
    """Merge outputs that stand side by side, `(..., forward_units + backward_units)`; None gives the pair of them."""
    forward, backward = both[..., :forward_units], both[..., forward_units:]
    if mode is None:
        return forward, backward
    function = MERGE_MODES[mode].merge
    return both if function is None else function(forward, backward)
