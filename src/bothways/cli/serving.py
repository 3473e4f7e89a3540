"""The command `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bothways.cli.options import Given, takes
from bothways.errors import missing
from bothways.options import options
from bothways.serve import Limits


@takes(limits=options(Limits))
def serve(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL|FOLDER", help="A model, or a folder of models.", show_default=False)
    ],
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    key: Annotated[
        str | None,
        typer.Option(
            envvar="BOTHWAYS_API_KEY", help="Ask for this key. Better in the environment.", show_default=False
        ),
    ] = None,
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Log a line per request.")] = False,
    limits: Given,
) -> None:
    """Serve models over HTTP: the Open Inference Protocol, tables, and a page for people at [bold]/[/].

    Files that are replaced are taken up while it runs. Ctrl-C or SIGTERM ends it when all requests are answered.

    Example: [bold]bothways serve flows.bothways --port 8080[/]

    Example: [bold]BOTHWAYS_API_KEY=... bothways serve models/ --host 0.0.0.0[/]
    """
    try:
        from bothways.serve.server import serve as run
    except ModuleNotFoundError as reason:
        raise missing("The server", reason.name, "serve") from None
    run(model, host, port, Limits(**limits), key, log_requests)
