"""Patterns of whole sequences and their classifiers. Scores need no scikit-learn."""

from __future__ import annotations

from bothways.patterns.classifiers import Baseline, Classifier, ConvolutionPatterns, NGramPatterns, Patterns
from bothways.patterns.convolutions import RandomConvolutions
from bothways.patterns.dyadic import DyadicFeatures
from bothways.patterns.forest import Forest
from bothways.patterns.ngrams import NGrams

__all__ = [
    "Baseline",
    "Classifier",
    "ConvolutionPatterns",
    "DyadicFeatures",
    "Forest",
    "NGramPatterns",
    "NGrams",
    "Patterns",
    "RandomConvolutions",
]
