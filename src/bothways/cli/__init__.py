"""The command line: arguments and printing. The work is done in `jobs`, `demo`, `serve`, `study` and `bench`."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from io import TextIOWrapper

from bothways import interrupts
from bothways.cli import compare, display, engine, live, tables
from bothways.cli.app import app
from bothways.errors import BothwaysError, calling

__all__ = ["app", "main"]

CLASSES = {
    tables.train: tables.TableCommand,
    tables.evaluate: tables.TableCommand,
    tables.predict: tables.PredictCommand,
}

for command in (
    *(engine.demo, tables.train, tables.evaluate, tables.predict, live.stream, tables.info, tables.export),
    *(tables.quantize, tables.page, live.serve, compare.compare, engine.bench),
):
    # Typer keeps the line breaks of all paragraphs but the first, where a terminal has room for other lines.
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(str(command.__doc__)))
    app.command(cls=CLASSES.get(command), help=text)(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: exit 0, 1 if something failed, 2 for bad usage or bad input, 130 after Ctrl-C."""
    interrupts.kept = ""
    # Of scikit-learn, where labels are many and rows few; commands say in their own words what is too rare.
    warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # of letters that the encoding of a terminal has not
    try:
        with calling("the command line"):
            app(arguments, prog_name="bothways")
    except SystemExit as end:
        if end.code == interrupts.STOPPED:
            display.say(interrupts.stopped())
        raise
    except BothwaysError as error:
        display.show_error(str(error))
        sys.exit(2)
    except MemoryError as error:
        display.show_error(f"There is not enough memory. {error}".strip())
        sys.exit(1)
    except OSError as error:
        display.show_error(str(error))
        sys.exit(1)
