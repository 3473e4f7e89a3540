"""Weights of steps from those of their classes; that `fit` takes them `backend_training.py` shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.layers import step_weights

CODES = np.array([[0, 2, 2, -1], [1, 2, 0, -7]])
WEIGHTS = [[1.0, 0.5, 0.5, 0.0], [3.0, 0.5, 1.0, 0.0]]


@pytest.mark.parametrize(
    "labels",
    [CODES, CODES.tolist(), CODES[..., None], CODES.astype("float32"), np.arange(3) == CODES[..., None]],
    ids=["codes", "lists", "a last axis of one", "floats", "one-hot"],
)
def test_every_form_of_labels(labels: Any) -> None:
    weights = step_weights(labels, {1: 3.0, 2: 0.5, 9: 7.0})
    np.testing.assert_array_equal(weights, np.array(WEIGHTS, "float32"))
    assert weights.dtype == np.float32


def test_balanced_classes_weigh_alike() -> None:
    weights = step_weights(CODES, "balanced")
    totals = [weights[code == CODES].sum() for code in range(3)]
    np.testing.assert_allclose(totals, 2.0)
    assert not weights[CODES < 0].any()
    assert not step_weights([[-1, -1]], "balanced").any()


@pytest.mark.parametrize(
    ("labels", "class_weight", "message"),
    [
        ([0, 1], {}, r"labels has shape \(2,\) and dtype int64; give codes"),
        (np.zeros((1, 2, 3, 4)), {}, r"labels has shape \(1, 2, 3, 4\)"),
        ([["a", "b"]], {}, "and dtype <U1; give codes"),
        ([[0, 1], [1]], {}, "labels has rows of unequal length; "),
        ([[0.5, 1.0]], {}, r"labels has 0\.5; codes of classes are whole numbers"),
        ([[np.nan, 1.0]], {}, "labels has nan"),
        ([[0, 1]], {1: -1.0}, r"class_weight\[1\] is -1\.0; a weight is zero or more"),
        ([[0, 1]], {1: np.nan}, r"class_weight\[1\] is nan"),
        ([[0, 1]], {1: "2"}, r"class_weight\[1\] is '2'; a weight is zero or more"),
        ([[0, 1]], {"1": 2.0}, r"class_weight has '1'; give each class by its code"),
        ([[0, 1]], None, "class_weight is None. Give 'balanced'"),
        ([[0, 1]], "equal", "class_weight is 'equal'. Give 'balanced', or a weight for each class"),
    ],
)
def test_wrong_arguments_are_named(labels: Any, class_weight: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        step_weights(labels, class_weight)
