"""The model that comes of a training, with the facts that are worth keeping of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

import bothways
from bothways import baselines
from bothways.network import Network
from bothways.runtime import Label, Member, Model
from bothways.sequences import Sequences
from bothways.settings import Settings
from bothways.training.loop import Trained

if TYPE_CHECKING:
    from bothways.data import Columns


def trained_model(
    network: Network,
    settings: Settings,
    trained: Trained,
    classes: Sequence[Label],
    columns: Columns,
    parts: Mapping[str, Sequences],
    simple: Sequence[baselines.Baseline],
    **more: Any,
) -> Model:
    """The model of a training, whoever trains: `parts` by name, "train" among them; `simple`, the baselines."""
    labels = parts["train"].known_labels
    counts = np.bincount(labels[labels >= 0], minlength=len(classes)).tolist()
    history = [
        {name: getattr(report, name) for name in ("epoch", "loss", "valid_loss", "valid_metric", "best")}
        for report in trained.history
    ]
    facts = {
        "parts": {name: {"sequences": len(part), "steps": part.steps} for name, part in parts.items()},
        "settings": asdict(settings),
        "epochs": len(history),
        "best_epoch": max((epoch["epoch"] for epoch in history if epoch["best"]), default=0),
        "keras_backend": trained.backend,
        "compiled_epochs": trained.compiled,
        "history": history,
        "versions": {"bothways": bothways.__version__},
    }
    if (scheme := parts["train"].scheme) is not None:
        facts["scheme"] = scheme.name
    class_counts = dict(zip(classes, counts, strict=True))
    members = [Member(network, trained.weights)]
    return Model(members, tuple(classes), columns, class_counts, facts | more, simple)
