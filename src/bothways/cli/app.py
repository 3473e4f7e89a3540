"""The command itself, and what its parts share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import bothways

app = typer.Typer(
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
        help="The table, one row per step; also a folder of such files, or a pattern.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model that [bold]bothways train[/] wrote.", show_default=False)
]
AnyModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A model of [bold]bothways train[/], or one of Keras, .keras or .h5.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def print_json(value: Any) -> None:
    """Print a value as the one JSON object on the standard output."""
    print(json.dumps(value, allow_nan=False))


def print_result(result: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    """Print a result for programs, or show it to people."""
    if as_json:
        print_json(result.to_json())
    else:
        show(result)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"bothways {bothways.__version__}")
        raise typer.Exit


@app.callback()
def bothways_command(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Label the steps of sequences, or whole sequences, with recurrent layers that read them both ways.

    Example: [bold]bothways train flows.csv --label attack -o flows.bothways[/]
    """
