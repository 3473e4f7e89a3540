"""Options: what they take, from Python and from text."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError, calling
from bothways.network import Network
from bothways.options import options
from bothways.settings import Roles, Search, Settings

OWNERS = (Network, Settings, Roles)
EVERY = [(owner, name) for owner in OWNERS for name in options(owner)]


@pytest.mark.parametrize(("owner", "name"), EVERY, ids=lambda value: value if isinstance(value, str) else "")
def test_every_option_is_complete(owner: type, name: str) -> None:
    option = options(owner)[name]
    (field,) = (each for each in dataclasses.fields(owner) if each.name == name)
    assert field.default == option.default
    assert option.help.endswith((".", ":", "A,B."))
    assert option.kind in (int, float, bool, str, tuple)
    for value in (option.default, *option.usual):
        assert option.check(name, value) == value


def test_only_what_the_data_tell_is_no_option() -> None:
    assert {each.name for each in dataclasses.fields(Network)} - set(options(Network)) == {
        "features",
        "classes",
        "categories",
        "per",
    }
    for owner in (Settings, Roles):
        assert {each.name for each in dataclasses.fields(owner)} == set(options(owner))


@pytest.mark.parametrize(
    ("name", "value", "checked"),
    [
        ("units", np.int64(8), 8),
        ("dropout", 0, 0.0),
        ("patience", None, None),
        ("patience", 0, None),
        ("window", 0, None),
        ("class_weight", None, None),
        ("clip", np.float32(2), 2.0),
    ],
)
def test_values_are_plain_python(name: str, value: Any, checked: Any) -> None:
    found = ({**options(Network), **options(Settings)})[name].check(name, value)
    assert found == checked
    assert type(found) is type(checked)


@pytest.mark.parametrize(("given", "kept"), [(60, "60"), (np.int64(60), "60"), (1e6, "1000000"), (0.5, "0.5")])
def test_a_budget_in_seconds(given: Any, kept: str) -> None:
    assert Search(given).budget == kept


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("units", math.nan, "units is nan; it must be a whole number of at least 1"),
        ("dropout", 1, "dropout is 1; it must be a number of at least 0 and below 1"),
        ("clip", math.inf, "clip is inf; it must be a number above 0"),
        ("cell", ["lstm"], r"no cell \['lstm'\]. Use one of: lstm, gru"),
        ("depth", 101, "a whole number of at least 1 and at most 100"),
        ("seed", -1, "a whole number of at least 0 and at most 4294967295"),
    ],
)
def test_wrong_values_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ({**options(Network), **options(Settings)})[name].check(name, value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("units", "16", 16),
        ("learning_rate", "1e-3", 0.001),
        ("patience", "none", None),
        ("class_weight", "None", None),
        ("levels", "both", "both"),
        ("direction", "both", "both"),
    ],
)
def test_text_gives_values(name: str, text: str, value: Any) -> None:
    every = {**options(Network), **options(Settings)}
    assert every[name].parse(name, text) == value
    with pytest.raises(InputError, match=f"{name}.*'oops'"):
        every[name].parse(name, "oops")


def test_messages_name_an_option_as_the_caller_does() -> None:
    """On the command line `merge_mode` is --merge."""
    merge, rate = options(Network)["merge_mode"], options(Settings)["learning_rate"]
    with pytest.raises(InputError, match="There is no merge_mode 'min'"):
        merge.check("merge_mode", "min")
    with calling("the command line"):
        with pytest.raises(InputError, match="There is no merge 'min'"):
            merge.check("merge_mode", "min")
        with pytest.raises(InputError, match="learning rate is 0; it must be a number above 0"):
            rate.check("learning_rate", 0)
