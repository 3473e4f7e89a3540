"""The command itself, and what several of its parts have in common."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from bothways.merge import MERGE_MODES
from bothways.network import DIRECTIONS

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
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same result.")]
DirectionOption = Annotated[str, typer.Option(help=f"How to read: {', '.join(DIRECTIONS)}.")]
MergeOption = Annotated[str, typer.Option("--merge", help=f"How both ways become one: {', '.join(MERGE_MODES)}.")]

_NAME = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?=,|$)|([^,]+)')
"""A name between commas, in quotes or not."""


def names(given: list[str] | None) -> list[str]:
    """Names, of which one argument may hold several with commas between them; one that holds a comma stands in quotes.

    Example:
        >>> names(["a, b", '"c, d"'])
        ['a', 'b', 'c, d']
    """
    found = [match for argument in given or [] for match in _NAME.findall(argument)]
    return [quoted.replace('""', '"') or plain.strip() for quoted, plain in found if quoted or plain.strip()]


def print_json(value: Any) -> None:
    """Print a value as the one JSON object on the standard output."""
    print(json.dumps(value, allow_nan=False))
