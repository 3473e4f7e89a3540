"""Patterns of whole sequences and their classifiers. Scores need no scikit-learn."""

from __future__ import annotations

from bothways.patterns.classifiers import ConvolutionPatterns, NGramPatterns, Patterns
from bothways.patterns.convolutions import RandomConvolutions
from bothways.patterns.forest import Forest
from bothways.patterns.ngrams import NGrams
from bothways.patterns.parts import Parts

__all__ = ["ConvolutionPatterns", "Forest", "NGramPatterns", "NGrams", "Parts", "Patterns", "RandomConvolutions"]
