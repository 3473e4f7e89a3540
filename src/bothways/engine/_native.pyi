from typing import Any

from bothways.engine.arguments import Array, DirectionGradients, States

class Weights:
    def __init__(self, directions: list[tuple[Any, ...]], zero_output_for_mask: bool) -> None: ...
    def notes_size(self, batch: int, time: int) -> int: ...
    def forward(
        self,
        x: Array,
        mask: Array | None,
        initial_states: tuple[States | None, ...] | None,
        outputs: Array | None,
        states: tuple[States, ...] | None,
        notes: Array | None,
    ) -> None: ...
    def backward(
        self,
        x: Array,
        mask: Array | None,
        initial_states: tuple[States | None, ...] | None,
        d_outputs: Array | None,
        d_states: tuple[States | None, ...] | None,
        notes: Array,
        d_x: Array | None,
        gradients: tuple[DirectionGradients, ...],
    ) -> None: ...

def forward(
    x: Array,
    mask: Array | None,
    zero_output_for_mask: bool,
    directions: list[tuple[Any, ...]],
    outputs: Array | None,
    results: list[tuple[Any, ...]],
) -> None: ...
def backward(
    x: Array,
    mask: Array | None,
    zero_output_for_mask: bool,
    directions: list[tuple[Any, ...]],
    d_outputs: Array | None,
    d_x: Array | None,
    gradients: list[tuple[Any, ...]],
) -> None: ...
def saved_floats(cell: int, batch: int, time: int, features: int, units: int) -> int: ...
def instruction_sets() -> list[str]: ...
def instruction_set() -> str: ...
def set_instruction_set(name: str) -> bool: ...
def threads() -> int: ...
def set_threads(count: int) -> None: ...
def xla_handlers() -> dict[str, Any]: ...
