"""A backend that is not as the engine knows it; `test_backends.py` runs this on each backend."""

from __future__ import annotations

import importlib
import sys

import keras
import pytest

from bothways import engine
from bothways.layers import ops

BACKEND = keras.backend.backend()
# What backends do not document and the engine uses in calls alone.
NAMES = {
    "jax": ["jax.interpreters.ad.Zero", "jax.interpreters.ad.instantiate_zeros"],
    "torch": [
        "torch._C._len_torch_dispatch_stack",
        "torch._C._functorch.is_legacy_batchedtensor",
        "torch.autograd.forward_ad._current_level",
    ],
    "tensorflow": [
        "tensorflow.python.eager.record.could_possibly_record",
        "tensorflow.python.ops.control_flow_util.GraphOrParentsInXlaContext",
    ],
}


@pytest.mark.every_case
@pytest.mark.parametrize("path", NAMES.get(BACKEND, []))
def test_what_is_gone_is_named_before_a_layer_runs(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home, name = path.rsplit(".", 1)
    for module in list(sys.modules):
        if module.startswith((f"{ops.__name__}.", f"{engine.__name__}.torch_tensors")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr(engine, "torch_tensors", raising=False)
    monkeypatch.delattr(importlib.import_module(home), name)
    backend, why = ops.loaded(BACKEND)
    assert backend is None
    assert why.startswith(f"{BACKEND} ")
    assert " is not as the engine knows it: " in why
    assert name in why
