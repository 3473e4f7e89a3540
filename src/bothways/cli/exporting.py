"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bothways.cli.app import AnyModelFile, Json, print_json


def export(
    model: AnyModelFile,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, NAME.onnx.", show_default=False)],
    opset: Annotated[
        int | None, typer.Option(help="Version of the operators.", show_default="the oldest that will do")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model as one graph of ONNX, from raw columns to labels and probabilities.

    It runs in ONNX Runtime, without bothways. Each column is an input, (batch, time); [bold]lengths[/] says how many
    steps each sequence has.

    Example: [bold]bothways export flows.bothways -o flows.onnx[/]

    Example: [bold]bothways export model.keras -o model.onnx[/]
    """
    from bothways import jobs
    from bothways.cli import results

    exported = jobs.export(model, output, opset)
    if as_json:
        print_json(exported.to_json())
    else:
        results.show_exported(exported)
