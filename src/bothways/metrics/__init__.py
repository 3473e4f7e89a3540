"""Scores: what was predicted is counted once, and every score of any sample of sequences is made of the counts."""

from bothways.metrics.alarms import Alarms, choose_threshold, kept_threshold, kept_thresholds, thresholds_for
from bothways.metrics.bootstrap import Interval, Resamples, interval, medians
from bothways.metrics.counts import Counts, class_to_detect, count, count_entities, f1, labeled, rarest, share
from bothways.metrics.entities import EntityScores
from bothways.metrics.evaluation import BaselineScores, Evaluation, LateScores, evaluate
from bothways.metrics.importance import Fall, Importance, permutation_importance, sample
from bothways.metrics.probabilities import Calibration, Curve, calibration, curve, ranking
from bothways.metrics.scores import Score, check_tags, monitored, score
from bothways.settings import title

__all__ = [
    "Alarms",
    "BaselineScores",
    "Calibration",
    "Counts",
    "Curve",
    "EntityScores",
    "Evaluation",
    "Fall",
    "Importance",
    "Interval",
    "LateScores",
    "Resamples",
    "Score",
    "calibration",
    "check_tags",
    "choose_threshold",
    "class_to_detect",
    "count",
    "count_entities",
    "curve",
    "evaluate",
    "f1",
    "interval",
    "kept_threshold",
    "kept_thresholds",
    "labeled",
    "medians",
    "monitored",
    "permutation_importance",
    "ranking",
    "rarest",
    "sample",
    "score",
    "share",
    "thresholds_for",
    "title",
]
