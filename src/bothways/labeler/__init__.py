"""`SequenceLabeler`: arrays, lists or data frames of sequences and their labels, in the manner of scikit-learn."""

from __future__ import annotations

from bothways.labeler.estimator import SequenceLabeler

__all__ = ["SequenceLabeler"]
