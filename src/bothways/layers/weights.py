"""Weights of steps from those of their classes: what `fit` takes where Keras cannot take `class_weight`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError


def step_weights(labels: npt.ArrayLike, class_weight: Mapping[int, float] | str) -> npt.NDArray[np.float32]:
    """A weight for every step, by its class: the `sample_weight` of `fit` for models that label steps.

    Keras's own `class_weight` is for one label per sequence. With one per step it fails, or gives a sequence the weight
    of something that is no class of its.

    Args:
        labels: codes of classes, `(batch, time)` or `(batch, time, 1)`, or one-hot, `(batch, time, classes)`. Steps
            with a negative code, or with zeros only, have no label.
        class_weight: the weight of each class by its code, 1 for those that are not in it, as in Keras; or "balanced":
            steps / (classes * steps of the class), by the steps and the classes that there are.

    Returns:
        `(batch, time)`; zero where there is no label.

    Raises:
        InputError: labels that are no such array, a weight below zero, or another word than "balanced".

    Example:
        >>> step_weights([[0, 0, 1, -1]], {1: 3.0})
        array([[1., 1., 3., 0.]], dtype=float32)
        >>> step_weights([[0, 0, 0, 1]], "balanced")
        array([[0.6666667, 0.6666667, 0.6666667, 2.       ]], dtype=float32)
    """
    codes = _codes(labels)
    there = codes >= 0
    if isinstance(class_weight, str) and class_weight == "balanced":
        classes, counts = np.unique(codes[there], return_counts=True)
        class_weight = dict(zip(classes.tolist(), there.sum() / (len(classes) * counts), strict=True))
    if not isinstance(class_weight, Mapping):
        raise InputError(f"class_weight is {class_weight!r}. Give 'balanced', or a weight for each class.")
    weights = there.astype(np.float32)
    for code, weight in class_weight.items():
        if np.asarray(code).dtype.kind not in "iufb":
            raise InputError(f"class_weight has {code!r}; give each class by its code, a whole number.")
        if np.asarray(weight).dtype.kind not in "iufb" or not weight >= 0:
            raise InputError(f"class_weight[{code!r}] is {weight!r}; a weight is zero or more.")
        weights[there & (codes == code)] = weight
    return weights


def _codes(labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """`(batch, time)`, -1 where there is no label."""
    try:
        labels = np.asarray(labels)
    except ValueError:
        raise InputError("labels has rows of unequal length; fill them up with -1, which is no label.") from None
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "iufb":
        raise InputError(
            f"labels has shape {labels.shape} and dtype {labels.dtype}; give codes of classes, (batch, time) or "
            "(batch, time, 1), or one-hot labels, (batch, time, classes)."
        )
    if labels.ndim == 3 and labels.shape[2] != 1:
        return np.where(labels.any(axis=2), labels.argmax(axis=2), -1)
    codes = labels.reshape(labels.shape[:2])
    wrong = codes[~np.isfinite(codes) | (np.round(codes) != codes)]
    if wrong.size:
        raise InputError(f"labels has {wrong[0]}; codes of classes are whole numbers.")
    return np.maximum(codes.astype(np.int64), -1)
