"""Trained weights to labels, on the engine and NumPy alone."""

from __future__ import annotations

from bothways.runtime.decisions import balancing, decided
from bothways.runtime.forward import check_codes, checked_sequences, logits, logits_of_padded, padded, probabilities
from bothways.runtime.members import BaselineMember, Member
from bothways.runtime.model import Label, Model, quantize, tempered

__all__ = [
    "BaselineMember",
    "Label",
    "Member",
    "Model",
    "balancing",
    "check_codes",
    "checked_sequences",
    "decided",
    "logits",
    "logits_of_padded",
    "padded",
    "probabilities",
    "quantize",
    "tempered",
]
