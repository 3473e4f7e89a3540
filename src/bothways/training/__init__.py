"""A network and labeled sequences to trained weights, with Keras."""

from __future__ import annotations

import bothways.layers  # noqa: F401  (first of all, since it chooses the Keras backend)
from bothways.settings import Settings
from bothways.training.loop import DivergedError, EpochReport, Trained, train, trained_model

__all__ = ["DivergedError", "EpochReport", "Settings", "Trained", "train", "trained_model"]
