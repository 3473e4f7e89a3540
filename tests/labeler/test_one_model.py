"""What `train` saves, what a labeler fits and what `bothways.load` gives: the same model."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

import bothways
from bothways import jobs, store
from bothways.errors import InputError
from bothways.files import locked
from bothways.labeler import SequenceLabeler
from bothways.runtime import Model

FRAME = pl.DataFrame(
    {
        "flow": np.repeat(np.arange(30), 4),
        "at": np.tile(np.arange(4), 30),
        "bytes": np.random.default_rng(0).normal(size=120).round(3),
        "protocol": ["tcp", "udp", "tcp"] * 40,
    }
)
LABELS = FRAME.select(
    pl.when((pl.col("bytes") > 0) | (pl.col("protocol") == "udp")).then(pl.lit("scan")).otherwise(pl.lit("calm"))
)
ROLES: dict[str, Any] = {"label": "kind", "sequence": "flow", "order": "at"}
QUICK: dict[str, Any] = {"units": 4, "epochs": 3, "learning_rate": 0.03}


@pytest.fixture(scope="module")
def fitted() -> SequenceLabeler:
    labeler = SequenceLabeler(**QUICK, sequence="flow", order="at", random_state=3, changes=1, validation_fraction=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return labeler.fit(FRAME, LABELS.to_series().to_list())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    FRAME.with_columns(kind=LABELS.to_series()).write_parquet(folder / "flows.parquet")
    jobs.train(folder / "flows.parquet", folder / "a.bothways", settings=QUICK, say=lambda message: None, **ROLES)
    return folder / "a.bothways"


def test_a_labeler_comes_back_fitted(fitted: SequenceLabeler, tmp_path: Path) -> None:
    fitted.save(tmp_path / "a.bothways")
    loaded = SequenceLabeler.load(tmp_path / "a.bothways")
    assert loaded.get_params() == fitted.get_params()
    assert np.array_equal(loaded.predict_proba(FRAME), fitted.predict_proba(FRAME))
    assert loaded.predict(FRAME).tolist() == fitted.predict(FRAME).tolist()
    y = LABELS.to_series().to_list()
    assert loaded.score(FRAME, y) == fitted.score(FRAME, y)
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    assert loaded.feature_names_in_.tolist() == fitted.feature_names_in_.tolist() == ["bytes", "protocol"]
    assert (loaded.n_features_in_, loaded.n_iter_, loaded.per_) == (2, 3, "step")


def test_a_labeler_of_arrays_comes_back_fitted(tmp_path: Path) -> None:
    """With a category before a number, which the network reads the other way round."""
    generator = np.random.default_rng(0)
    X = np.stack([generator.integers(0, 5, (20, 4)), generator.normal(size=(20, 4))], axis=2)
    y = (X[:, :, 0] > 2).astype(int)
    fitted = SequenceLabeler(**QUICK, categorical=[0], class_weight={0: 2.0}).fit(X, y)
    fitted.save(tmp_path / "a.bothways")
    loaded = SequenceLabeler.load(tmp_path / "a.bothways")
    model = bothways.load(tmp_path / "a.bothways")
    for of in (loaded, model):
        assert np.array_equal(of.predict(X), fitted.predict(X))
        assert np.array_equal(of.predict_proba(X), fitted.predict_proba(X))
    params = {**fitted.get_params(), "class_weight": None, "categorical": loaded.categorical}
    assert loaded.get_params() == params


def test_settings_of_numpy_are_kept(tmp_path: Path) -> None:
    X = np.stack([np.random.default_rng(0).integers(0, 5, (20, 4)), np.zeros((20, 4))], axis=2)
    y = np.where(np.arange(4) % 2, -1, X[:, :, 0] > 2)
    given: dict[str, Any] = {"categorical": np.array([0]), "missing_label": np.int64(-1)}
    with pytest.warns(UserWarning, match="y lacks 40 of 80 labels"):
        fitted = SequenceLabeler(**QUICK, **given).fit(X, y)
    fitted.save(tmp_path / "a.bothways")
    loaded = SequenceLabeler.load(tmp_path / "a.bothways")
    assert (loaded.categorical, loaded.missing_label) == ((0,), -1)
    assert loaded.score(X, y) == fitted.score(X, y)


def test_a_model_of_train_is_a_labeler(trained: Path) -> None:
    labeler, model = SequenceLabeler.load(trained), bothways.load(trained)
    assert {name: getattr(labeler, name) for name in QUICK} == QUICK
    assert (labeler.sequence, labeler.order, labeler.per, labeler.random_state) == ("flow", "at", "step", 0)
    assert labeler.predict(FRAME).tolist() == model.predict(FRAME).tolist()
    jobs.predict(trained, trained.parent / "flows.parquet", trained.parent / "out.parquet", say=lambda message: None)
    assert pl.read_parquet(trained.parent / "out.parquet")["predicted"].to_list() == model.predict(FRAME).tolist()


def test_a_model_of_train_is_trained_again(trained: Path) -> None:
    """From the columns that it reads, those of `fit` being numbers and text."""
    labeler = clone(SequenceLabeler.load(trained))
    assert labeler.features == ("bytes", "protocol")
    labeler.fit(FRAME.with_columns(more=1.0), LABELS.to_series().to_list())
    assert labeler.feature_names_in_.tolist() == ["bytes", "protocol"]


def test_the_facts_are_the_same(trained: Path, fitted: SequenceLabeler) -> None:
    ours, theirs = bothways.load(trained), fitted.model_
    assert set(ours.facts) - {"data"} == set(theirs.facts) - {"labeler"}
    assert replace(ours.network, changes=1) == theirs.network
    assert ours.columns is not None
    assert theirs.columns is not None
    assert ours.columns.features == theirs.columns.features
    assert list(theirs.facts["parts"]) == ["train", "valid"]


def test_a_frame_is_labeled_where_keras_is_not_installed(trained: Path, fitted: SequenceLabeler) -> None:
    FRAME.sample(fraction=1, shuffle=True, seed=0).write_parquet(trained.parent / "new.parquet")
    code = f"""
import sys
sys.modules.update(dict.fromkeys(("keras", "jax", "sklearn")))
import bothways, polars
frame = polars.read_parquet({str(trained.parent / "new.parquet")!r})
model = bothways.load({str(trained)!r})
print(model)
print(*model.predict(frame), sep=",")
assert model.predict_proba(frame).shape == (120, 2)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.stderr
    *card, labels = done.stdout.splitlines()
    assert labels.split(",") == bothways.load(trained).predict(pl.read_parquet(trained.parent / "new.parquet")).tolist()
    assert len(card) < 25
    assert "trained on" in done.stdout
    assert "array(" not in done.stdout + repr(fitted.model_)


def test_arrays_and_frames_are_not_confused(trained: Path) -> None:
    with pytest.raises(InputError, match="needs one with the columns 'flow', 'at', 'bytes', 'protocol'"):
        bothways.load(trained).predict([np.zeros((3, 2))])


def test_a_model_that_cannot_be_a_labeler(fitted: SequenceLabeler, tmp_path: Path) -> None:
    model = fitted.model_
    store.save(Model(model.members, model.classes), tmp_path / "a.bothways")
    with pytest.raises(InputError, match="does not say how its inputs become numbers"):
        SequenceLabeler.load(tmp_path / "a.bothways")


def test_two_trainings_with_one_output(trained: Path, tmp_path: Path) -> None:
    """The second is refused, and leaves the checkpoint of the first alone."""
    output, checkpoint = tmp_path / "a.bothways", tmp_path / "a.bothways.checkpoint"
    checkpoint.write_text("of the first")
    with locked(output), pytest.raises(InputError, match="another process is writing this file"):
        jobs.train(trained.parent / "flows.parquet", output, settings=QUICK, say=lambda message: None, **ROLES)
    assert checkpoint.read_text() == "of the first"
    with locked(checkpoint), pytest.raises(InputError, match="another process is writing this file"):
        SequenceLabeler(**QUICK).fit(np.zeros((4, 3, 1)), np.eye(4, 3, dtype=int), checkpoint=checkpoint)
    assert checkpoint.read_text() == "of the first"
