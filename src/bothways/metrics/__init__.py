"""Honest scores of labels and probabilities: arrays of codes in, frozen dataclasses out.

A code is the number of a class; -1 stands where there is no label, and does not count. A label may be that of a step or
that of a whole sequence; what differs is said with `lengths`, the number of steps of each sequence.
"""

from bothways.metrics.alarms import Alarms, at_threshold, choose_threshold
from bothways.metrics.baselines import Baselines, fit_baselines
from bothways.metrics.intervals import Interval, Intervals, alarm_intervals, bootstrap, difference
from bothways.metrics.judgement import BaselineScores, Judgement, judge
from bothways.metrics.labels import ClassScores, Scores, majority, score_codes, score_labels
from bothways.metrics.probabilities import (
    Bin,
    Calibration,
    Curve,
    ProbabilityScores,
    Ranking,
    calibration,
    curve,
    score_probabilities,
)

__all__ = [
    "Alarms",
    "BaselineScores",
    "Baselines",
    "Bin",
    "Calibration",
    "ClassScores",
    "Curve",
    "Interval",
    "Intervals",
    "Judgement",
    "ProbabilityScores",
    "Ranking",
    "Scores",
    "alarm_intervals",
    "at_threshold",
    "bootstrap",
    "calibration",
    "choose_threshold",
    "curve",
    "difference",
    "fit_baselines",
    "judge",
    "majority",
    "score_codes",
    "score_labels",
    "score_probabilities",
]
