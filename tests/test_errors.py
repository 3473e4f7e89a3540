"""How messages name options and count things."""

from __future__ import annotations

import shlex

import pytest

from bothways.cli.app import names
from bothways.errors import calling, counted, option

ODD = ["Attack Type", "a,b", 'say "x"', '"', "$x", "^x$", "it's", "*", "two\nlines", " blank ", "größe", "a\\b", "`x`"]


@pytest.mark.parametrize("name", ODD)
def test_a_column_of_any_name_can_be_given_back_as_the_message_has_it(name: str) -> None:
    with calling("the command line"):
        flag, *values = shlex.split(option("drop", name, "port"))
        assert (flag, names(values)) == ("--drop", [name, "port"])
        assert shlex.split(option("order", name)) == ["--order", name]
    assert option("drop", name) == f"drop=[{name!r}]"


def test_options_as_the_caller_knows_them() -> None:
    assert (option("seed"), option("per", "step"), option("allow_leaks", True)) == (
        "seed=",
        "per='step'",
        "allow_leaks=True",
    )
    with calling("the command line"):
        assert option("allow_leaks", True) == "--allow-leaks"
        assert option("drop", "Attack Type") == '--drop "Attack Type"'
    with calling("a server"):
        assert option("dates", "day-first") == "bothways predict --dates day-first"
    with calling("a comparison"):
        assert (option("label"), option("drop", "x")) == ("table={'label': ...}", "table={'drop': ['x']}")
    assert option("seed") == "seed="


def test_arguments_that_the_labeler_has_not_are_told_as_what_does_so_to_a_data_frame() -> None:
    with calling("the labeler"):
        assert option("missing", "?", "n/a") == "replace(['?', 'n/a'], None)"
        assert option("group", "ward") == "groups=X['ward']"
        assert option("drop", "ward") == "drop=['ward']"
    assert option("missing", "?") == "missing=['?']"


def test_counts() -> None:
    assert [counted(n, "step") for n in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]
