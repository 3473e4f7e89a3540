"""The command `bothways`, also as `python -m bothways`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress

from bothways import interrupts

GARBAGE = (100_000, 20, 50)
"""Python looks for cyclic garbage after so many new objects. JAX makes millions of objects that are none: looking as
often as by default takes 6 % of the processor time of a training, this 2 %, at the same largest memory."""


def main() -> None:
    """Run the command line; signals are watched before anything else is imported."""
    _open_standard_streams()
    interrupts.watch()
    gc.set_threshold(*GARBAGE)
    os.environ["PYTHONSAFEPATH"] = "1"  # a random.py in the working folder is none of the modules of worker processes
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


def _open_standard_streams() -> None:
    """Let those that are closed lead nowhere.

    Other files would have their numbers, and get what libraries say; and joblib starts no process where one is None.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            if name != "stdin":
                setattr(sys, name, open(number, "w"))  # noqa: SIM115, PTH123 - as long as the process


if __name__ == "__main__":
    main()
