"""The description of a network: its layers, its weights, its JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.network import DIRECTIONS, MAX_DEPTH, Network

networks = st.builds(
    Network,
    features=st.integers(1, 9),
    classes=st.integers(2, 5),
    direction=st.sampled_from(sorted(DIRECTIONS)),
    merge_mode=st.sampled_from(["concat", "sum", "mul", "ave"]),
    units=st.integers(1, 9),
    depth=st.integers(1, 3),
)


@given(networks)
def test_json_gives_the_same_network_back(network: Network) -> None:
    assert Network.from_json(network.to_json()) == network


@given(networks)
def test_every_layer_reads_what_the_one_below_writes(network: Network) -> None:
    front = network.channels * network.bins_per_number + len(network.categories) * network.embedding
    widths = [front, *(layer.width for layer in network.recurrent)]
    shapes = network.weight_shapes()
    for layer, width in zip(network.recurrent, widths, strict=False):
        for direction in DIRECTIONS[network.direction]:
            assert shapes[f"{layer.name}/{direction}/kernel"] == (width, 4 * network.units)
    assert shapes["head/kernel"] == (widths[-1], network.outputs)


@pytest.mark.parametrize(
    ("direction", "merge_mode", "width"),
    [("both", "concat", 16), ("both", "sum", 8), ("forward", "concat", 8), ("backward", "concat", 8)],
)
def test_the_width_of_a_layer(direction: str, merge_mode: str, width: int) -> None:
    network = Network(features=3, classes=2, direction=direction, merge_mode=merge_mode, units=8)
    assert network.recurrent[0].width == width


def test_the_head_reads_what_is_pooled_side_by_side() -> None:
    for pooling, rows in {"last": 1, "mean": 1, "max": 1, "mean_max": 2}.items():
        network = Network(features=1, classes=3, units=4, per="sequence", pooling=pooling)
        assert network.weight_shapes()["head/kernel"] == (8 * rows, 3)
    assert Network(features=1, classes=3, units=4, pooling="mean_max").weight_shapes()["head/kernel"] == (8, 3)


def test_two_classes_have_one_score_and_more_have_one_each() -> None:
    assert Network(features=1, classes=2).outputs == 1
    assert Network(features=1, classes=3).outputs == 3


def test_numpy_integers_are_whole_numbers() -> None:
    network = Network(features=1, classes=2, units=np.int64(8))  # type: ignore[arg-type]
    assert type(network.units) is int


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 0}, "features is 0; it must be a whole number of at least 1"),
        ({"classes": 1}, "classes is 1; it must be a whole number of at least 2"),
        ({"units": 2.5}, "units is 2.5; it must be a whole number"),
        ({"units": True}, "units is True; it must be a whole number"),
        ({"depth": -1}, "depth is -1"),
        ({"depth": MAX_DEPTH + 1}, "and at most 100"),
        ({"cell": "gru2"}, "no cell 'gru2'. Use one of: lstm"),
        ({"direction": "sideways"}, "no direction 'sideways'. Use one of: forward, backward, both"),
        ({"merge_mode": "max"}, "no merge_mode 'max'"),
        ({"merge_mode": None}, "no merge_mode None. Use one of: concat"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network(**{"features": 1, "classes": 2, **arguments})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data | {"colour": "red"}, "missing or unknown entries: colour"),
        (lambda data: {"features": 1}, "missing or unknown entries: bins, categories, cell, changes, classes"),
        (lambda data: data | {"units": "8"}, "units is '8'"),
        (lambda data: list(data), "not by list"),
    ],
)
def test_a_wrong_description_is_refused(change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network.from_json(change(Network(features=1, classes=2).to_json()))


@pytest.mark.parametrize(("name", "value"), [("direction", "both"), ("per", "sequence"), ("head", "crf")])
def test_what_cannot_label_late_is_named(name: str, value: str) -> None:
    settings: dict[str, Any] = {"direction": "forward", name: value}
    with pytest.raises(InputError, match=f"label steps; {name} is {value!r}. Leave lookahead out"):
        Network(features=1, classes=3, lookahead=4, **settings)
