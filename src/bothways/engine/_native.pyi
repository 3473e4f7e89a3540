from collections.abc import Callable
from typing import Any

from bothways.engine.arguments import Array, Dropout, States

class Weights:
    def __init__(
        self, directions: list[tuple[Any, ...]], zero_output_for_mask: bool, precision: int, bins: Array | None = None
    ) -> None: ...
    def freeze(self) -> None: ...
    def residual_floats(self, batch: int, time: int, dropout: bool) -> int: ...
    def fill(
        self, x: Array, mask: Array | None, initial_states: Any, outputs: Array, final_states: Any, time_major: bool
    ) -> None: ...
    def outputs(self, x: Any, mask: Any, initial_states: Any) -> Array: ...
    def run(
        self,
        x: Array,
        mask: Array | None,
        initial_states: tuple[States | None, ...],
        dropout: tuple[Dropout | None, ...] | None,
        residuals: Array | None,
    ) -> tuple[Array, tuple[States, ...]]: ...
    def backward(
        self,
        x: Array,
        mask: Array | None,
        initial_states: tuple[States | None, ...],
        dropout: tuple[Dropout | None, ...] | None,
        d_outputs: Array,
        d_states: tuple[States | None, ...],
        residuals: Array,
    ) -> tuple[Array, tuple[tuple[Array, Array, Array, States], ...]]: ...

def forward(
    x: Array,
    mask: Array | None,
    zero_output_for_mask: bool,
    precision: int,
    directions: list[tuple[Any, ...]],
    outputs: Array | None,
    results: list[tuple[Any, ...]],
    time_major: bool = False,
) -> None: ...
def backward(
    x: Array,
    mask: Array | None,
    zero_output_for_mask: bool,
    precision: int,
    directions: list[tuple[Any, ...]],
    d_outputs: Array | None,
    d_x: Array | None,
    gradients: list[tuple[Any, ...]],
    time_major: bool = False,
) -> None: ...
def wants_digest(steps: int, weights: int, precision: int) -> bool: ...
def residual_floats(
    cell: int,
    batch: int,
    time: int,
    features: int,
    units: int,
    precision: int = 0,
    dropout_gates: int = 0,
    recurrent_dropout_gates: int = 0,
) -> int: ...
def digest(arrays: Any) -> tuple[int, int]: ...
def instruction_sets() -> list[str]: ...
def instruction_set() -> str: ...
def set_instruction_set(name: str) -> bool: ...
def threads() -> int: ...
def set_threads(count: int) -> None: ...
def usable_cores(root: str = "") -> int: ...
def rehearse(call: Callable[[], object]) -> tuple[list[list[float]], int]: ...
def seconds_to_meet(members: int) -> tuple[float, int]: ...
def xla_handlers() -> dict[str, Any]: ...
