"""Trained weights to labels, on the engine and NumPy alone."""

from __future__ import annotations

from bothways.runtime.forward import checked_sequences, probabilities, scores, standardise
from bothways.runtime.model import Label, Model

__all__ = ["Label", "Model", "checked_sequences", "probabilities", "scores", "standardise"]
