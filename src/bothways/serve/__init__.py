"""Models behind HTTP: the Open Inference Protocol, tables, streams and a page for people.

Importing this package brings nothing of the server; `bothways.serve.server` does.
"""

from __future__ import annotations

from dataclasses import dataclass

from bothways.options import check_options, option_field

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What a server takes on at most."""

    body: int = option_field(64, "Maximum size of a request, in MiB.", least=1, flag="--max-body")
    header: int = option_field(32, "Maximum size of the headers of a request, in KiB.", least=8, flag="--max-header")
    seconds: int = option_field(
        30, "Maximum time for a request to arrive, in seconds; a connection may be idle for half of that.", least=2,
        flag="--max-seconds",
    )  # fmt: skip
    idle: int = option_field(
        600, "Maximum time for which nothing comes of an open stream or sequence, in seconds.", least=1,
        flag="--max-idle",
    )  # fmt: skip
    connections: int = option_field(1000, "Maximum number of connections.", least=1, flag="--max-connections")
    queue: int = option_field(
        256, "Maximum number of requests at once; others are told to come back later.", least=1, flag="--max-queue"
    )
    memory: int = option_field(
        512, "Maximum size of all requests at once, and of all open sequences, in MiB.", least=1, flag="--max-memory"
    )

    def __post_init__(self) -> None:
        check_options(self)
