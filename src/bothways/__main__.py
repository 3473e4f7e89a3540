"""The command `bothways`, also as `python -m bothways`."""

from __future__ import annotations

import gc
import signal
import sys
from contextlib import suppress

from bothways import interrupts

GARBAGE = (100_000, 20, 50)
"""Cyclic garbage is looked for after so many new objects, rarer than by default: JAX makes millions that are none, and
looking takes 6 % of a training's time, 2 % so, at the same largest memory (tried with `gc.callbacks`)."""


def main() -> None:
    """Run the command line; signals are watched before anything else is imported."""
    interrupts.watch()
    gc.set_threshold(*GARBAGE)
    try:
        from bothways.cli import main as run

        run()
    except (KeyboardInterrupt, SystemExit) as end:
        code = end.code if isinstance(end, SystemExit) else interrupts.STOPPED
        interrupts.settle()
        if code not in (interrupts.STOPPED, interrupts.TERMINATED):
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # all is done: too late to stop
            raise
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        interrupts.leave(int(code))


if __name__ == "__main__":
    main()
