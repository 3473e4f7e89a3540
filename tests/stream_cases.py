"""Models and events for the tests of streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from bothways.baselines import Neighbors, OneStep, Trees
from bothways.data import Columns, Encoding
from bothways.data.encoding import Category, Number
from bothways.network import Network
from bothways.runtime import BaselineMember, Member, Model
from bothways.sequences import Sequences
from members import set_bins

START = datetime(2024, 2, 28, 23, 59, 58, 123457)

NETWORKS: dict[str, list[dict[str, Any]]] = {
    "both ways": [{}],
    "forward": [{"direction": "forward"}],
    "forward, convolution": [{"direction": "forward", "conv_window": 5, "changes": 4}],
    "late": [{"direction": "forward", "lookahead": 4, "depth": 2}],
    "late, plain": [{"direction": "forward", "lookahead": 5, "encoding": "standard", "levels": "raw", "changes": 0}],
    "late, stride": [{"direction": "forward", "lookahead": 4, "conv_window": 5, "conv_stride": 2}],
    "backward": [{"direction": "backward"}],
    "scaled": [{"levels": "scaled"}],
    "late, scaled": [{"direction": "forward", "lookahead": 4, "levels": "scaled"}],
    "deep": [{"depth": 3, "merge_mode": "sum"}],
    "convolution": [{"conv_window": 5}],
    "stride": [{"conv_window": 6, "conv_stride": 3, "depth": 2}],
    "gru, all changes": [{"cell": "gru", "changes": 4}],
    "CRF": [{"head": "crf"}],
    "CRF, stride": [{"head": "crf", "conv_window": 6, "conv_stride": 3, "depth": 2}],
    "plain": [{"encoding": "standard", "levels": "raw", "changes": 0}],
    "average": [
        {},
        {"direction": "forward", "depth": 2},
        {"cell": "gru", "conv_window": 3, "head": "crf"},
        {"direction": "forward", "lookahead": 2},
    ],
    "average with simple models": [{"direction": "forward"}, {"simple": OneStep}, {"simple": Trees}],
    "average with a regression on neighbors": [{"direction": "forward"}, {"simple": Neighbors}],
}


CODES = 1001
"""How many codes the category has; steps have the first four."""


def model_of(kinds: list[dict[str, Any]], classes: int = 3, seed: int = 0) -> Model:
    random = np.random.default_rng(seed)
    members: list[Any] = []
    for i, kind in enumerate(kinds):
        if "simple" in kind:
            known = Sequences.from_arrays(sequences_of([9] * 40), random.integers(0, classes, 360))
            known = replace(known, flags=((0, 1),))
            members.append(BaselineMember(kind["simple"].fit(known, classes, (CODES,), seed), share=1.0 + i))
            continue
        network = Network(3, classes, categories=(CODES,), **{"units": 8} | kind)
        shapes = network.weight_shapes().items()
        weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes}
        weights["input/scale"] = np.abs(weights["input/scale"]) + np.float32(0.5)
        if i % 2 == 0:
            set_bins(weights, random)
        members.append(Member(network, weights, share=1.0 + i))
    return Model(members, tuple(f"c{i}" for i in range(classes)), temperature=1.3)


def sequences_of(lengths: list[int], seed: int = 1) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [np.column_stack([random.normal(size=(n, 2)), random.integers(0, 4, n)]) for n in lengths]


def events_of(sequences: list[np.ndarray], seed: int = 2) -> Iterator[tuple[str, int, np.ndarray]]:
    """The steps of all sequences, mixed; those of each in order."""
    random = np.random.default_rng(seed)
    places = [0] * len(sequences)
    for k in random.permutation(np.repeat(np.arange(len(sequences)), [len(each) for each in sequences])).tolist():
        yield f"key {k}", places[k], sequences[k][places[k]]
        places[k] += 1


def table_model(gaps: str, least: float = 0.1, clock: tuple[str, ...] = (), **more: Any) -> Model:
    random = np.random.default_rng(0)
    numbers = (Number("bytes", fill=3.5, flagged=True), Number("on"), Number("load", fill=0.25))
    kinds = Category("proto", ("tcp", None, "80")), Category("flag", ("true",))
    encoding = Encoding(numbers, kinds, gaps, clock=clock)
    columns = Columns(
        label="attack",
        features=("bytes", "on", "load", "proto", "flag"),
        categories=("proto", "flag"),
        sequence="flow",
        order="at",
        encoding=encoding,
    )
    network = Network(features=len(encoding.names), classes=2, categories=encoding.sizes, units=8, **more)
    weights = {
        name: random.uniform(least, 1, shape).astype(np.float32) for name, shape in network.weight_shapes().items()
    }
    weights["input/scale"] = np.abs(weights["input/scale"]) + np.float32(0.1)
    return Model([Member(network, weights)], ("no", "yes"), columns)


def table_rows(times: bool) -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    at = np.cumsum(random.integers(1, 10**7, 200)).tolist()
    return [
        {
            "flow": f"f{i % 3}",
            "at": START + timedelta(microseconds=at[i]) if times else at[i],
            "bytes": [None, i, float("nan"), i / 7][i % 4],
            "on": i % 2 == 0,
            "load": random.normal(),
            "proto": ["tcp", None, "80", "udp"][i % 4],
            "flag": i % 5 == 0,
        }
        for i in range(200)
    ]
