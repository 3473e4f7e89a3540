"""Patterns of whole sequences: random convolutions and n-grams, and linear classifiers. Scores need no scikit-learn."""

from __future__ import annotations

from bothways.patterns.classifiers import ConvolutionPatterns, NGramPatterns, Patterns
from bothways.patterns.convolutions import RandomConvolutions
from bothways.patterns.ngrams import NGrams

__all__ = ["ConvolutionPatterns", "NGramPatterns", "NGrams", "Patterns", "RandomConvolutions"]
