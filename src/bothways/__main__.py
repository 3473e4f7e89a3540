"""`python -m bothways` is the command `bothways`."""

from __future__ import annotations

from bothways.cli import main

if __name__ == "__main__":
    main()
