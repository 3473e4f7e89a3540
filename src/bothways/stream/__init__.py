"""Labels for sequences that go on: events in, labels of steps out, a bounded number of steps late.

Stream     many sequences at once, by their keys; `Model.stream` makes one
Labeled    the label of a step
"""

from __future__ import annotations

from bothways.stream.stream import Labeled, Stream

__all__ = ["Labeled", "Stream"]
