"""The command itself, and what several of its parts have in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Label the steps of sequences, or whole sequences, with recurrent layers that read them both ways.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="The table, one row a step: .parquet, .csv or .jsonl; a folder or a pattern for several files.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The model, as [bold]bothways train[/] wrote it.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def print_json(value: Any) -> None:
    """Print a value as the one JSON object on the standard output."""
    print(json.dumps(value, allow_nan=False))
