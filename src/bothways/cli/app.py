"""The command itself, and what its parts share: options, made from the dataclasses whose fields they set."""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

import bothways
from bothways.errors import InputError
from bothways.options import Option, options
from bothways.settings import Roles

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="The table, one row per step; also a folder of such files, or a pattern.")
]
ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="A model that [bold]bothways train[/] wrote.")]
AnyModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model of [bold]bothways train[/], or one of Keras, .keras or .h5.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Part = Annotated[
    str | None,
    typer.Option("--split", help="Part to evaluate on. One of: train, valid, test, all.", show_default="test"),
]

Given = dict[str, Any]  # values by the names of fields

PANELS = {
    "reading": "How fields are read",
    "roles": "What the columns are for",
    "search": "The search for settings",
    "network": "The network",
    "settings": "Training",
    "running": "Training",
    "limits": "What it takes on at most",
}
"""The headings of `--help`, by the names that commands give to groups of options; other groups have none."""

ROLES = options(Roles) | {"allow_leaks": Option(False, "Go on even if a column gives the answer away.")}

_NAME = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?=,|$)|([^,]+)')  # a name between commas, in quotes or not


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


def takes(**groups: Mapping[str, Option]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command groups of options, such as the fields of a dataclass: those given here as `network` become its
    argument `network`, values by name. A text such as "5:2" sets an option and the one that follows it.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            for group, fields in groups.items():
                arguments[group] = _taken(fields, arguments)
            command(**arguments)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name in groups:
                parameters += _parameters(groups[parameter.name], PANELS.get(parameter.name))
            else:
                parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
        del run.__wrapped__  # its annotations are not those of `run`
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def given(context: typer.Context, values: Given) -> Given:
    """Those of the values of options that the user gave."""
    sources = {name: context.get_parameter_source(name) for name in values}
    return {name: values[name] for name, source in sources.items() if source is None or source.name == "COMMANDLINE"}


def names(given: list[str] | None) -> list[str]:
    """Names; an argument may hold several, with commas between them, and one that holds a comma stands in quotes."""
    found = [match for argument in given or [] for match in _NAME.findall(argument)]
    return [quoted.replace('""', '"') or plain.strip() for quoted, plain in found if quoted or plain.strip()]


def _parameters(fields: Mapping[str, Option], panel: str | None) -> Iterator[inspect.Parameter]:
    for name, option, follower in _flags(fields):
        default, flag = option.default, option.flag or "--" + name.replace("_", "-")
        choices = f" One of: {', '.join(option.choices)}." if len(option.choices) > 1 else ""
        usual = {str: "NAME" if option.choices else "COLUMN", tuple: "A,B", int: "N", float: "X", bool: ""}
        metavar = option.metavar or usual[option.kind] or None
        more: dict[str, Any] = {"help": option.help + choices, "rich_help_panel": panel, "metavar": metavar}
        kind: Any = option.kind
        if follower:
            kind, default = str, None
            more["metavar"] = "{}[:{}]".format(*(each.split("_")[-1].upper() for each in (name, follower)))
        elif kind is tuple:
            kind, default = list[str], None
        elif kind in (int, float):
            more |= {"min": option.least, "max": option.most}
        if option.shown:
            more["show_default"] = option.shown
        kind = kind if default is not None else kind | None
        annotation = Annotated[kind, typer.Option(flag, **more)]
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _taken(fields: Mapping[str, Option], arguments: Given) -> Given:
    taken: Given = {}
    for name, option, follower in _flags(fields):
        value = arguments.pop(name, option.default)
        if option.kind is tuple:
            taken[name] = tuple(names(value))
        elif not follower:
            taken[name] = value
        elif isinstance(value, str):
            texts = value.split(":")
            if len(texts) > 2:
                raise InputError(f"{option.flag} is {value!r}; give it as 5 or 5:2.")
            for each, text in zip((name, follower), texts, strict=False):
                taken[each] = fields[each].parse(each, text)
    return taken


def _flags(fields: Mapping[str, Option]) -> Iterator[tuple[str, Option, str]]:
    """The fields that have a flag, each with the name of the field that follows it after a colon, or ""."""
    followed = {before: name for before, name in pairwise(fields) if fields[name].follows}
    return ((name, option, followed.get(name, "")) for name, option in fields.items() if not option.follows)
