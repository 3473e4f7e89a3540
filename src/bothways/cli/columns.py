"""What the commands that learn from a table ask about its columns, once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bothways.network import PERS

PANEL: dict[str, Any] = {"rich_help_panel": "What the columns of a table are for"}
_GUESSED: dict[str, Any] = {"show_default": "guessed", **PANEL}

Label = Annotated[str | None, typer.Option(help="The column to learn.", **_GUESSED)]
Sequence = Annotated[str | None, typer.Option(help="Tells sequences apart; none if the table is one.", **_GUESSED)]
Order = Annotated[
    str | None, typer.Option(help="Sorts steps, a number or a time; none for the order of the rows.", **_GUESSED)
]
Split = Annotated[str | None, typer.Option(help="Says train, valid or test; none to draw them.", **_GUESSED)]
Group = Annotated[str | None, typer.Option(help="Where parts are drawn, tells what may not be divided.", **PANEL)]
Drop = Annotated[list[str] | None, typer.Option(help="Columns to leave out: A,B or again and again.", **PANEL)]
Features = Annotated[list[str] | None, typer.Option(help="The only columns to learn from: A,B.", **PANEL)]
Categorical = Annotated[
    list[str] | None, typer.Option(help="Columns of numbers that are names of kinds: A,B.", **PANEL)
]
Numeric = Annotated[list[str] | None, typer.Option(help="Columns of whole numbers that are amounts: A,B.", **PANEL)]
Per = Annotated[
    str | None, typer.Option(help=f"What has a label: {', '.join(PERS)}.", show_default="as the table shows", **PANEL)
]
MinCount = Annotated[int, typer.Option(min=1, help="Values of categories that are rarer count as unknown.", **PANEL)]
Changes = Annotated[
    int, typer.Option(min=0, help="Learn from how far each number moved in so many steps, too.", **PANEL)
]
Centered = Annotated[
    bool,
    typer.Option("--centered", help="Take the mean over its sequence off each number, where levels drift.", **PANEL),
]
AllowLeaks = Annotated[bool, typer.Option("--allow-leaks", help="Go on even if the table gives answers away.", **PANEL)]
