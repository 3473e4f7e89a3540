"""The commands for what goes on: `stream` and `serve`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument
from typer import Option as Flag

from bothways.cli import display
from bothways.cli.app import Given, Json, ModelFile, print_json, takes
from bothways.errors import InputError, counted, imports_for
from bothways.options import Option, options, seconds_of
from bothways.serve import Limits

KEY_VARIABLE = "BOTHWAYS_API_KEY"

STREAMING = {
    "lookahead": Option(
        None, "Later steps that each label waits for and sees.", least=0, shown="16", metavar="K", of=int
    ),
    "chunk": Option(
        None,
        "Steps labeled at once. 1: labels come as early as can be; more: each costs less.",
        least=1,
        shown="as --lookahead",
        metavar="C",
        of=int,
    ),
    "key": Option(None, "What tells sequences apart.", shown="that of the model"),
    "step": Option(None, "The place of a step: a number or a time.", shown="that of the model"),
    "reorder": Option(0, "Places that events of a sequence may be out of order.", least=0),
    "idle": Option(
        None,
        "End a sequence that is this far behind the newest event: 30s, 10m; or a number, where steps are.",
        shown="never",
        metavar="TIME",
    ),
    "checkpoint": Option(
        None, "Save each second what is needed to go on after a crash; needs --output.", metavar="FILE"
    ),
    "skip_bad": Option(False, "Go on after lines that are no events, and count them."),
}


@takes(pace=STREAMING)
def stream(
    model: ModelFile,
    events: Annotated[
        str,
        Argument(
            metavar="[EVENTS]",
            help="JSON lines: a file, also .gz, or - for the standard input. Each has the columns of the table that "
            "the model learned from.",
            show_default=False,
        ),
    ] = "-",
    *,
    output: Annotated[
        str, Flag("--output", "-o", metavar="FILE", help="File of labels.", show_default="the standard output")
    ] = "-",
    pace: Given,
    as_json: Json = False,
) -> None:
    """Label events as they come, some steps late: JSON lines in, labels out, many sequences at once.

    Example: [bold]tail -n +1 -f events.jsonl | bothways stream flows.bothways --lookahead 16[/]

    Example: [bold]bothways stream flows.bothways events.jsonl -o labels.jsonl --checkpoint flows.state --idle 10m[/]
    """
    from bothways import jobs

    if as_json and output == "-":
        raise InputError("--json prints to the standard output, where the labels go. Give them a file with --output.")
    if pace["idle"] is not None:
        pace["idle"] = seconds_of("idle", pace["idle"])
    done = jobs.stream(model, events, output, **pace, say=display.say)
    if as_json:
        print_json(asdict(done))
    else:
        dropped = counted(done.dropped, "event was", "events were")
        late = f"; {dropped} late or came twice" if done.dropped else ""
        display.say(f"{counted(done.events, 'event')}, {counted(done.labels, 'label')}{late}.")


@takes(limits=options(Limits))
def serve(
    model: Annotated[Path, Argument(metavar="MODEL|FOLDER", help="A model, or a folder of models.")],
    *,
    port: Annotated[int, Flag(min=1, max=65535, help="Port.")] = 8080,
    host: Annotated[
        str, Flag(help="Address to listen at; 0.0.0.0 lets other machines in, :: those of IPv6.")
    ] = "127.0.0.1",
    key: Annotated[str | None, Flag(envvar=KEY_VARIABLE, help="Ask for this key. Better in the environment.")] = None,
    log_requests: Annotated[bool, Flag("--log-requests", help="Log a line per request.")] = False,
    limits: Given,
) -> None:
    """Serve models over HTTP: the Open Inference Protocol, tables, and a page for people at [bold]/[/].

    Files that are replaced are taken up while it runs. Ctrl-C or SIGTERM ends it when all requests are answered.

    Example: [bold]bothways serve flows.bothways --port 8080[/]

    Example: [bold]BOTHWAYS_API_KEY=... bothways serve models/ --host 0.0.0.0[/]
    """
    with imports_for("The server", "serve"):
        from bothways.serve.server import serve as run
    if key is None:  # an empty variable is none for Typer
        key = os.environ.get(KEY_VARIABLE)
    run(model, host, port, Limits(**limits), key, log_requests)
