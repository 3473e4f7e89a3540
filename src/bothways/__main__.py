"""The command `bothways`, also as `python -m bothways`."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress

from bothways import interrupts


def main() -> None:
    """Run the command line; signals are watched before anything else is imported."""
    interrupts.watch()
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
