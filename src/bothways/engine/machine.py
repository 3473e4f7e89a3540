"""What the engine uses of the machine: its instruction set and its threads."""

from __future__ import annotations

from bothways.engine import _native
from bothways.errors import InputError
from bothways.options import whole


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that this machine can run, best first.

    Example:
        >>> instruction_sets()[-1]
        'base'
    """
    return tuple(_native.instruction_sets())


def instruction_set() -> str:
    """The instruction set in use: the best one, unless `set_instruction_set` chose another.

    Example:
        >>> instruction_set() in instruction_sets()
        True
    """
    return _native.instruction_set()


def set_instruction_set(name: str) -> None:
    """Use another instruction set from now on, in the whole process.

    Raises:
        InputError: this machine cannot run it.

    Example:
        >>> set_instruction_set(instruction_sets()[0])
    """
    if not isinstance(name, str) or not _native.set_instruction_set(name):
        raise InputError(f"There is no instruction set {name!r} here. Use one of: {', '.join(instruction_sets())}.")


def threads() -> int:
    """How many threads a call may use: `OMP_NUM_THREADS` if it is set, else the cores that this process may use.

    Example:
        >>> threads() >= 1
        True
    """
    return _native.threads()


def set_threads(count: int) -> None:
    """Let calls use at most `count` threads. Results have the same bits whatever the count.

    Raises:
        InputError: `count` is below 1.

    Example:
        >>> set_threads(threads())
    """
    _native.set_threads(min(whole("count", count, 1), 1 << 20))
