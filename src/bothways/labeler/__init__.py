"""`SequenceLabeler`: arrays, lists or data frames of sequences and their labels, in the manner of scikit-learn."""

from __future__ import annotations

from bothways.labeler.estimator import SequenceLabeler
from bothways.labeler.scoring import scorer

__all__ = ["SequenceLabeler", "scorer"]
