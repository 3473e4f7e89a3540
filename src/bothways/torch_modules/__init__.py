"""`accelerate` for models of Keras and of torch alike; it imports what the model is made of, and no more."""

from __future__ import annotations

import sys
from typing import Any

from bothways.acceleration import Acceleration
from bothways.errors import InputError

__all__ = ["accelerate"]


def accelerate(model: Any, *, precision: str | None = None) -> Acceleration:
    """Run the recurrent layers of a Keras or torch model on the engine, in place.

    For a model of Keras: `bothways.layers.accelerate`. For one of torch: `bothways.torch_modules.modules.accelerate`.

    Args:
        model: any Keras model or layer, or any `torch.nn.Module`.
        precision: of a Keras model, "int8" for predictions in int8.

    Returns:
        The report: which layers run on the engine, and for every other recurrent layer the reason why not.
        Its `undo()` gives a model of torch back to torch, and takes back what this call did to a model of Keras.

    Raises:
        InputError: `model` is neither; there is no such precision, or none to choose for a model of torch.

    Example:
        >>> import keras
        >>> print(accelerate(keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="reader")])))
        reader  LSTM  native
    """
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if torch and isinstance(model, torch.nn.Module) and not (keras and isinstance(model, keras.Layer)):
        try:
            from bothways.torch_modules import modules
        except (ImportError, AttributeError) as changed:  # it takes what torch does not document
            raise InputError(
                f"torch {torch.__version__} is not as the engine knows it: {changed}. Leave accelerate out: torch runs "
                "the model by itself."
            ) from changed

        if precision is not None:
            raise InputError(f"precision={precision!r} is for models of Keras. Leave it out for one of torch.")
        return modules.accelerate(model)
    from bothways import layers

    return layers.accelerate(model, precision=precision)
