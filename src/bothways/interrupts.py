"""Ctrl-C and SIGTERM: the command line ends at once, training keeps its best weights first.

Raising `KeyboardInterrupt` wherever Ctrl-C happens to hit is not enough: JAX's callback for garbage collection swallows
it, an import that it cuts short can crash the process, and a long call into compiled code delays it. So in a command
(`watch`) a signal raises nothing. A thread that the C handler of Python wakes ends the process, unless a room has taken
the signal over (`deferred`) and comes to a safe point soon.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # as in `bothways`: little may be imported before `watch`
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

STOPPED = 128 + signal.SIGINT  # the exit code after Ctrl-C, as shells have it
TERMINATED = 128 + signal.SIGTERM
SAFE_SECONDS = 0.8  # how long a room that has taken over Ctrl-C may need to its next safe point
SAVING_SECONDS = 10.0  # how long it may then need to save what it has
kept = ""  # what is said after "Stopped.": where the work so far is and how to go on with it
leftovers: set[Path] = set()  # files to remove when the process ends early

_ending = threading.Lock()
_said = False
_worth_saving = False
"""Whether Ctrl-C came while work was worth keeping: whoever keeps it may be done with its block before the thread that
waits for signals gets to look."""


class Stop:
    """Whether Ctrl-C was `requested`, whether it `raises`, too, and whether work is worth `keeping` and waiting for.

    `number` is the signal that came, which may be another one.
    """

    def __init__(self) -> None:
        self.requested = self.keeping = self.raises = False
        self.number = 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signal."""
        global _worth_saving
        _worth_saving = _worth_saving or self.keeping
        self.requested, self.number = True, number
        if self.raises:
            raise KeyboardInterrupt


@contextmanager
def deferred(*others: int) -> Iterator[Stop]:
    """While the block runs Ctrl-C raises nothing but is noted: look at `Stop.requested` at least every half second.

    So are `others`, as far as a command watches these signals. In other threads than the main one, and where somebody
    handles Ctrl-C in another way, nothing changes.
    """
    stop = Stop()
    before = signal.getsignal(signal.SIGINT)
    around, main = getattr(before, "__self__", None), threading.current_thread() is threading.main_thread()
    if not main or before not in (signal.default_int_handler, _wait_for_end):
        yield around if main and isinstance(around, Stop) else stop  # that of a block around this one
        return
    numbers = [signal.SIGINT, *(number for number in others if signal.getsignal(number) is _wait_for_end)]
    handlers = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def watch() -> None:
    """From here on Ctrl-C and SIGTERM end this process, with the exit codes 130 and 143."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _wait_for_end)
    threading.Thread(target=_end_at_signals, args=(reading,), name="signals", daemon=True).start()


def stopped() -> str:
    """The one line that tells the user so, to be printed by whoever asks first."""
    global _said
    _said = True
    return f"Stopped. {kept}".strip()


def leave(code: int) -> None:
    """End the process now, with its children, whatever other threads do."""
    with _ending:
        for path in tuple(leftovers):  # to which other threads may add
            with suppress(OSError):
                path.unlink()
        if not _said:
            clear = "\r\x1b[K\x1b[?25h" if os.isatty(2) else ""  # a progress bar may stand there, the cursor hidden
            with suppress(OSError):
                os.write(2, f"{clear}{stopped()}\n".encode())
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # threads may complain that their processes are gone
        for _ in range(3):  # a thread may just be starting another one
            with suppress(OSError):
                for child in _children():
                    with suppress(OSError):
                        os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
        os._exit(code)


def settle() -> None:
    """Wait for the end, if a signal is about to end this process: its children are gone, and errors tell of that."""
    with _ending:
        pass


def _wait_for_end(number: int, frame: FrameType | None) -> None:
    """Keep the main thread from starting anything: the thread that waits for signals ends the process."""
    while True:
        time.sleep(1)


def _end_at_signals(reading: int) -> None:
    number = os.read(reading, 1)[0]
    handler = signal.getsignal(number)
    taken_over = handler is not _wait_for_end and getattr(getattr(handler, "__self__", None), "keeping", True)
    taken_over = taken_over or _worth_saving
    again = taken_over and bool(select.select([reading], [], [], SAFE_SECONDS)[0])
    if taken_over and not again and signal.getsignal(number) is _wait_for_end:  # it came to a safe point, and now saves
        select.select([reading], [], [], SAVING_SECONDS)
    leave(128 + number)


def _children() -> list[int]:
    """The processes that this one has started, without pathlib, which another thread may be importing."""
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208
        with open(f"/proc/self/task/{task}/children") as children:  # noqa: PTH123
            for child in children.read().split():
                with open(f"/proc/{child}/cmdline", "rb") as command:  # noqa: PTH123
                    if b"resource_tracker" not in command.read():
                        found.append(int(child))
    return found
