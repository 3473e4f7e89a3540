"""`SequenceLabeler` on data frames: roles of columns, rows in any order, what is missing, and what is refused."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest

import bothways
from bothways import jobs
from bothways.data.encoding import Encoding, Number
from bothways.data.frames import frame_table, rows_table
from bothways.errors import DataError, InputError
from bothways.labeler import SequenceLabeler
from tolerances import ENGINE, EXPORTED, error


def quick(**more: Any) -> SequenceLabeler:
    return SequenceLabeler(
        **{"units": 4, "epochs": 15, "learning_rate": 0.03, "sequence": "flow", "order": "at", **more}
    )


def flows(count: int = 80) -> pl.DataFrame:
    """Flows of 3 to 6 packets in random order; a packet is an attack if it is large, or if its protocol is "gre"."""
    random = np.random.default_rng(0)
    lengths = random.integers(3, 7, size=count)
    steps = int(lengths.sum())
    size = random.normal(size=steps)
    protocol = np.array(["tcp", "udp", "gre"])[random.integers(0, 3, size=steps)]
    frame = pl.DataFrame(
        {
            "flow": np.repeat([f"flow {i}" for i in range(count)], lengths),
            "at": np.concatenate([np.arange(length) for length in lengths]),
            "size": size,
            "protocol": protocol,
            "label": np.where((size > 0) | (protocol == "gre"), "attack", "calm"),
        }
    )
    return frame.sample(fraction=1.0, shuffle=True, seed=1)


class Column:
    """What a column of another kind of data frame can do at least."""

    def __init__(self, values: Any) -> None:
        self.to_numpy = lambda: values


class Frame:
    """The least that another kind of data frame can do."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    @property
    def columns(self) -> list[str]:
        return self._frame.columns

    @property
    def dtypes(self) -> list[Any]:
        return self._frame.dtypes

    def __getitem__(self, name: str) -> Column:
        column = self._frame[name]
        return Column(column.to_numpy() if column.dtype.is_numeric() else np.array(column.to_list(), object))


@pytest.fixture(scope="module")
def fitted() -> SequenceLabeler:
    frame = flows()
    return quick().fit(frame.drop("label"), frame["label"])


def test_rows_get_their_labels_in_their_own_order(fitted: SequenceLabeler) -> None:
    frame = flows()
    X = frame.drop("label")
    predicted = fitted.predict(X)
    assert predicted.shape == (len(frame),)
    assert (predicted == frame["label"].to_numpy()).mean() > 0.9
    assert fitted.score(X, frame["label"]) == (predicted == frame["label"].to_numpy()).mean()
    shuffled = X.with_row_index("row").sample(fraction=1.0, shuffle=True, seed=9)
    again = fitted.predict_proba(shuffled.drop("row").select(reversed(X.columns)))
    assert error(again, fitted.predict_proba(X)[shuffled["row"].to_numpy()]) < ENGINE
    assert fitted.feature_names_in_.tolist() == ["size", "protocol"]
    assert fitted.n_features_in_ == 2
    assert fitted.model_.network.categories == (4,)
    assert error(pickle.loads(pickle.dumps(fitted)).predict_proba(X), fitted.predict_proba(X)) < ENGINE


def test_a_frame_is_the_same_as_its_sequences() -> None:
    frame = flows().sort("flow", "at")
    numbers = frame.select("flow", "at", "size")
    lists = [np.array(part["size"])[:, None] for _, part in frame.group_by("flow", maintain_order=True)]
    labels = [part["label"].to_numpy() for _, part in frame.group_by("flow", maintain_order=True)]
    by_rows = quick(epochs=2).fit(numbers, frame["label"]).predict_proba(numbers)
    by_list = SequenceLabeler(units=4, epochs=2, learning_rate=0.03).fit(lists, labels).predict_proba(lists)
    assert error(by_rows, np.concatenate(by_list)) < 1e-4


@pytest.mark.parametrize("offset", [0, 1_700_000_000, 2.0**40])
def test_numbers_that_hardly_change_for_their_size(offset: float, tmp_path: Path) -> None:
    """In float32 all of them are equal; so they are read in double precision, everywhere."""
    random = np.random.default_rng(0)
    numbers = random.integers(-50, 50, 600)
    labels = numbers + np.roll(numbers, 1) > 0
    frame = pl.DataFrame({"flow": np.repeat(np.arange(60), 10), "size": numbers + offset, "label": labels})
    labeler = SequenceLabeler(units=4, epochs=40, learning_rate=0.03, sequence="flow")
    labeler.fit(frame.drop("label"), labels)
    columns = labeler.model_.columns
    assert columns is not None
    assert columns.fitted.dtype == (np.float64 if offset else np.float32)
    p = labeler.predict_proba(frame.drop("label"))
    assert (p.argmax(axis=1) == labels).mean() > 0.85
    labeler.save(tmp_path / "some.bothways")
    model = bothways.load(tmp_path / "some.bothways")
    assert (model.predict_proba(frame.drop("label")) == p).all()
    stream = model.stream(lookahead=100)
    for step, row in enumerate(frame.drop("label").head(30).to_dicts()):
        stream.push(row["flow"], step, row)
    streamed = [each for flow in range(3) for each in stream.close(flow)]
    assert error([each.probabilities for each in streamed], p[:30]) < ENGINE
    onnxruntime = pytest.importorskip("onnxruntime")
    exported = bothways.export_onnx(model, tmp_path / "some.onnx")
    assert exported.inputs["size"] == f"{columns.fitted.dtype} (batch, time)"
    inputs = {"size": frame["size"].to_numpy().reshape(60, 10).astype(columns.fitted.dtype), "lengths": np.full(60, 10)}
    found = onnxruntime.InferenceSession(tmp_path / "some.onnx").run(["probabilities"], inputs)[0]
    assert error(found.reshape(p.shape), p) < EXPORTED


def test_a_list_of_frames_is_refused() -> None:
    frames = [pl.DataFrame({"a": [0.5, 1.5], "b": [1.5, 0.5]})] * 2
    with pytest.raises(InputError, match="X is a list of data frames, whose columns would go by their places alone"):
        SequenceLabeler(epochs=1).fit(frames, [[0, 1]] * 2)


def test_nullable_arrays_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"flow": np.repeat(range(10), 4), "size": np.random.default_rng(0).normal(size=40)})
    for dtype in ("Int64", "boolean"):
        y = pandas.array([1, 0, None, 0] * 10, dtype=dtype)
        with pytest.warns(UserWarning, match="y lacks 10 of 40 labels"):
            assert len(SequenceLabeler(units=2, epochs=1, sequence="flow").fit(frame, y).classes_) == 2


def test_frames_of_other_makers() -> None:
    frame = flows()
    X = frame.drop("label")
    expected = quick(epochs=2).fit(X, frame["label"]).predict_proba(X)
    assert np.array_equal(quick(epochs=2).fit(Frame(X), frame["label"].to_list()).predict_proba(Frame(X)), expected)
    pandas = pytest.importorskip("pandas")
    same = pandas.DataFrame(frame.to_dict(as_series=False))
    labeler = quick(epochs=2).fit(same.drop(columns="label"), same["label"])
    assert np.array_equal(labeler.predict_proba(same.drop(columns="label")), expected)


def test_a_label_a_sequence() -> None:
    frame = flows().with_columns(label=(pl.col("size").max().over("flow") > 1).cast(pl.Int8))
    X = frame.drop("label")
    weights = np.ones(len(frame))
    labeler = quick(per="sequence", pooling="max", epochs=40).fit(X, frame["label"], sample_weight=weights)
    assert labeler.per_ == "sequence"
    assert labeler.score(X, frame["label"]) > 0.9
    predicted = frame.with_columns(predicted=labeler.predict(X))
    assert predicted.group_by("flow").agg(pl.col("predicted").n_unique())["predicted"].to_list() == [1] * 80
    with pytest.raises(DataError, match=r"X: sequence 'flow 0' has two labels in 'label': 'attack', 'calm'"):
        quick(per="sequence").fit(X, flows()["label"])


def test_what_is_missing() -> None:
    frame = flows()
    with pytest.warns(UserWarning, match=r"Column 'size'.*filled with the mean"):
        labeler = quick(epochs=2).fit(
            frame.drop("label").with_columns(size=pl.when(pl.col("at") == 1).then(None).otherwise("size")),
            frame["label"],
        )
    assert labeler.model_.network.features == 3
    labels = frame["label"].to_list()
    labels[3] = None
    with pytest.warns(UserWarning, match=f"y lacks 1 of {len(labels)} labels"):
        assert quick(epochs=1).fit(frame.drop("label"), labels).classes_.tolist() == ["attack", "calm"]


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_labels_of_weight_0_change_nothing(per: str) -> None:
    """Those of half of the flows, of which some are held out."""
    X = flows().drop("label")
    number = X["flow"].str.slice(5).cast(pl.Int64).to_numpy()
    y = number % 3 == 0 if per == "sequence" else (flows()["label"] == "attack").to_numpy()
    labeler, weights = quick(epochs=2, per=per, validation_fraction=0.2), number % 2
    expected = labeler.fit(X, y, weights).model_
    found = labeler.fit(X, y ^ (weights == 0), weights).model_
    assert found.class_counts == expected.class_counts
    assert np.array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_values_that_training_never_saw(fitted: SequenceLabeler) -> None:
    new = pl.DataFrame({"flow": [1, 1], "at": [0, 1], "size": [0.0, 0.0], "protocol": ["tcp", "icmp"]})
    with pytest.warns(UserWarning, match="'protocol'.*never saw.*'icmp'"):
        assert fitted.predict(new).shape == (2,)


def test_what_numbers_mean_is_learnt_from_the_part_that_is_trained_on() -> None:
    """One sequence of a hundred rows: its last quarter, held out, has another mean and a protocol of its own."""
    late = pl.int_range(100) >= 75
    X = pl.select(
        size=pl.when(late).then(1e6).otherwise(pl.int_range(100) % 2 * 1.0),
        protocol=pl.when(late).then(pl.lit("new")).otherwise(pl.lit("old")),
    )
    y = np.arange(100) // 2 % 2
    labeler = SequenceLabeler(units=2, epochs=2, encoding="standard", validation_fraction=0.25)
    with pytest.warns(UserWarning, match="'protocol'.*never saw"):
        labeler.fit(X, y)
    assert labeler.model_.weights["input/mean"][0] == pytest.approx(37 / 75)
    assert labeler.model_.network.categories == (2,)


def test_roles_are_given_and_never_guessed() -> None:
    frame = flows().rename({"size": "port"}).with_columns(port=pl.col("port").round().cast(pl.Int64))
    X = frame.drop("label")
    assert quick(epochs=1).fit(X, frame["label"]).model_.network.categories == (4,)
    labeler = quick(epochs=1, categorical=["port"], drop=["protocol"]).fit(X, frame["label"])
    assert labeler.feature_names_in_.tolist() == ["port"]
    assert labeler.model_.network.numeric == 0
    labeler = quick(epochs=1, sequence=None, order=None, features=["at", "port"]).fit(X, frame["label"])
    assert labeler.feature_names_in_.tolist() == ["at", "port"]


def test_numbers_of_rows_that_pandas_read_are_no_feature() -> None:
    X = flows().drop("label").with_row_index("Unnamed: 0")
    with pytest.warns(UserWarning, match=r"Column 'Unnamed: 0': left out \(numbers the rows"):
        labeler = quick(epochs=1).fit(X, flows()["label"])
    assert "Unnamed: 0" not in labeler.feature_names_in_


@pytest.mark.slow
def test_one_name_is_a_list_of_one() -> None:
    frame = flows().with_columns(b=1.0, bb=2.0, **{"1": pl.col("at")})
    X, y = frame.drop("label"), frame["label"]
    for name, column, read in (
        ("drop", "bb", ["size", "protocol", "b", "1"]),
        ("features", "bb", ["bb"]),
        ("categorical", "bb", ["size", "protocol", "b", "bb", "1"]),
        ("drop", 1, ["size", "protocol", "b", "bb"]),
    ):
        labelers = [quick(epochs=1, **{name: given}).fit(X, y) for given in (column, (column,))]
        assert [each.feature_names_in_.tolist() for each in labelers] == [read] * 2
        assert labelers[0].columns_.categories == labelers[1].columns_.categories
    same = [quick(epochs=1, order=order).fit(X, y).predict_proba(X) for order in ("at", ["at"])]
    assert np.array_equal(*same)


@pytest.mark.slow
def test_several_columns_tell_sequences_apart() -> None:
    frame = flows().with_columns(run=pl.col("at") % 2)
    X, y = frame.drop("label"), frame["label"]
    joined, *others = (quick(epochs=1, sequence=s).fit(X, y) for s in ("flow,run", ["flow", "run"], ("flow", "run")))
    for each in others:
        assert each.columns_.sequence == joined.columns_.sequence == "flow,run"
        assert np.array_equal(each.predict_proba(X), joined.predict_proba(X))


def test_a_saved_model_labels_tables(fitted: SequenceLabeler, tmp_path: Path) -> None:
    frame = flows()
    fitted.save(tmp_path / "flows.bothways")
    frame.write_parquet(tmp_path / "flows.parquet")
    jobs.predict(tmp_path / "flows.bothways", tmp_path / "flows.parquet", tmp_path / "labeled.parquet")
    labeled = pl.read_parquet(tmp_path / "labeled.parquet")
    assert labeled["predicted"].to_list() == fitted.predict(frame.drop("label")).tolist()
    evaluation = jobs.evaluate(tmp_path / "flows.bothways", tmp_path / "flows.parquet", "all")
    assert evaluation.accuracy == fitted.score(frame.drop("label"), frame["label"])


def test_the_names_of_a_frame_are_forgotten_with_it() -> None:
    frame = flows()
    labeler = quick(epochs=1).fit(frame.drop("label"), frame["label"])
    labeler.set_params(sequence=None, order=None).fit(np.zeros((4, 2)), [0, 1, 0, 1])
    assert not hasattr(labeler, "feature_names_in_")
    with pytest.raises(InputError, match="X is a data frame; the labeler was fitted on arrays"):
        labeler.predict(frame)


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({}, lambda X: X.drop("flow"), "X: there is no column 'flow'"),
        ({"sequence": "Flow"}, lambda X: X, "X: there is no column 'Flow'. Did you mean 'flow'?"),
        ({"drop": "x1"}, lambda X: X, r"no column 'x1'\. The columns are: 'flow', 'at', 'size', 'protocol'\.$"),
        ({"drop": ["size", "protocol"]}, lambda X: X, "X: no column is left to learn"),
        ({"order": "protocol"}, lambda X: X, "X: the order column 'protocol' must be a number or a time"),
        ({}, lambda X: X.head(0), "X: this data frame has no rows"),
        ({}, lambda X: X.with_columns(flow=pl.concat_list("flow")), "'flow' is of type List.*, which tells no rows"),
    ],
)
def test_frames_that_cannot_be_used(settings: dict[str, Any], change: Any, message: str) -> None:
    frame = flows()
    with pytest.raises(DataError, match=message):
        quick(**settings).fit(change(frame.drop("label")), frame["label"])


def test_labels_that_do_not_fit_the_rows() -> None:
    frame = flows()
    with pytest.raises(InputError, match=r"X has the column 'label', as y is called: .* Leave it out of X"):
        quick().fit(frame, frame["label"])
    assert quick(epochs=1, drop=["label"]).fit(frame, frame["label"]).n_features_in_ == 2
    with pytest.raises(InputError, match=f"y has 2 labels; X has {len(frame)} rows"):
        quick().fit(frame.drop("label"), ["a", "b"])


@pytest.mark.slow
def test_the_label_is_called_as_y_is() -> None:
    frame = flows().rename({"label": "kind"})
    for X, y, drop, name in (
        (frame.drop("kind"), frame["kind"], (), "kind"),
        (frame.drop("kind"), frame.select("kind"), (), "kind"),
        (frame, frame["kind"], "kind", "kind"),
        (frame.drop("kind"), frame["kind"].to_list(), (), "label"),
        (frame.rename({"kind": "label"}), frame["kind"].to_list(), "label", "label"),
        (frame.rename({"kind": "label"}), frame["kind"].to_list(), "at", "label_"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert quick(epochs=1, drop=drop, order=None).fit(X, y).columns_.label == name


@pytest.mark.slow
def test_what_the_rows_and_labels_are_like_is_told() -> None:
    """Ties, labels that differ in capitals, rare ones and malformed tags; not that rows are sorted, or parts drawn."""
    frame = flows().with_columns(at=pl.col("at") // 2)
    labels = ["Calm" if i < 3 else label for i, label in enumerate(frame["label"])]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        quick(epochs=1, validation_fraction=0.2).fit(frame.drop("label"), labels)
    expected = (
        r"X: \d+ rows stand at the same 'at' as the row before; such rows keep their order",
        "Careful: labels in 'label' differ in blanks and capitals only",
        r"Too rare to be sure of: 'Calm' in 'label': fewer than 5 steps in the train part",
        "The gaps between steps vary",
    )
    texts = [str(each.message) for each in said]
    for start, text in zip(expected, texts, strict=True):
        assert re.match(start, text), texts
    tags = np.where(np.arange(len(frame)) % 2, "I-x", "O")
    with pytest.warns(UserWarning, match=r"column 'label': 'B-x' may not follow 'O' in IOB1"):
        quick(epochs=1).fit(flows().drop("label"), np.where(np.arange(len(frame)) < 50, "B-x", tags))


@pytest.mark.slow
def test_messages_name_no_argument_that_the_labeler_has_not() -> None:
    frame = flows()
    labels = ["?" if i < 9 else label for i, label in enumerate(frame["label"])]
    X = frame.select(
        "flow",
        "size",
        store=pl.Series([f"shop {flow[-1]}" for flow in frame["flow"]]),
        day=pl.Series([f"{i % 12 + 1:02}/{i // 40 + 1:02}/2024" for i in range(len(frame))]),
        far=pl.Series([-999.0 if i % 50 == 0 else i % 7 + 0.5 for i in range(len(frame))]),
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        quick(epochs=1, order="day").fit(X, labels)
        labeler = quick(epochs=1, order=None, features=["far"]).fit(X, labels)
    texts = " ".join(str(each.message) for each in said)
    for cure in ("(to_datetime)", "(groups=X['store'] keeps", "(replace(['-999'], None))", "(replace(['?'], None))"):
        assert cure in texts
    assert {*re.findall(r"\b(\w+)=", texts)} <= {*quick().get_params(), "groups"}
    bad = X.with_columns(far=pl.Series(["bad", *["0.5"] * (len(frame) - 1)]))
    for use in (labeler.predict, lambda X: quick(order=None).fit(X, labels)):
        with pytest.raises(DataError, match=r"as missing \(replace\(\['bad'\], None\)\)"):
            use(bad)


def test_a_column_that_gives_the_label_away_is_told() -> None:
    frame = flows()
    X = frame.drop("label").with_columns(state=frame["label"].replace_strict({"attack": 1.0, "calm": 0.0}))
    with pytest.warns(UserWarning, match=r"Column 'state' gives the answer away: .* \(drop=\['state'\]\)"):
        quick(epochs=1).fit(X, frame["label"])


@pytest.mark.slow
def test_times_and_numbers_as_text_are_read_as_in_files(tmp_path: Path) -> None:
    """A model that `train` made of a file labels the frames that others read out of it."""
    frame = flows().with_columns(
        at=pl.format("2024-03-31T18:0{}:00", "at"),
        size=pl.format("{},5", (10 * pl.col("size")).cast(pl.Int64)),
    )
    frame.write_csv(tmp_path / "a.csv", separator=";")
    said: list[str] = []
    roles: dict[str, Any] = {"label": "label", "sequence": "flow", "order": "at"}
    jobs.train(
        tmp_path / "a.csv", tmp_path / "a.bothways", settings={"units": 4, "epochs": 1}, say=said.append, **roles
    )
    jobs.predict(tmp_path / "a.bothways", tmp_path / "a.csv", tmp_path / "b.csv", say=said.append)
    text = pl.read_csv(tmp_path / "a.csv", separator=";", infer_schema=False)
    expected = pl.read_csv(tmp_path / "b.csv", separator=";")["predicted"].to_list()
    assert bothways.load(tmp_path / "a.bothways").predict(text).tolist() == expected
    X = frame.drop("label", "size")
    fitted = [quick(epochs=1).fit(each, frame["label"]) for each in (X, X.with_columns(pl.col("at").str.to_datetime()))]
    assert np.array_equal(*(each.predict_proba(X) for each in fitted))
    slashes = X.with_columns(at=pl.col("at").str.to_datetime().dt.strftime("%m/%d/%Y %H:%M"))
    with pytest.warns(UserWarning, match=r"Column 'at': order \(as given; dates are month/day/year\)"):
        assert quick(epochs=1).fit(slashes, frame["label"]).columns_.reading.dates == "month-first"


def test_categories_of_pandas_are_no_numbers() -> None:
    pandas = pytest.importorskip("pandas")
    frame = flows()
    codes = frame["protocol"].replace_strict({"tcp": 7, "udp": 3, "gre": 5})
    X = pandas.DataFrame(frame.drop("label", "protocol").to_dict(as_series=False) | {"protocol": codes.to_list()})
    kinds = X.assign(protocol=X["protocol"].astype("category"))
    fitted = quick().fit(kinds, frame["label"])
    assert fitted.columns_.categories == ("protocol",)
    assert fitted.score(kinds, frame["label"]) > 0.95
    for same in (X, X.assign(protocol=X["protocol"].astype(float)), X.assign(protocol=X["protocol"].astype(str))):
        assert np.array_equal(fitted.predict_proba(same), fitted.predict_proba(kinds))


@pytest.mark.slow
def test_the_code_of_a_number_depends_on_no_other_row() -> None:
    frame = flows(30)
    state = np.random.default_rng(1).integers(0, 4, len(frame)) / 2
    X = frame.select("flow", "at", state=pl.Series(state))
    rows = X.with_columns(flow=pl.int_range(len(X)), at=pl.lit(0))
    fitted = quick(epochs=1, categorical="state").fit(X, frame["label"])
    (category,) = fitted.columns_.fitted.categories
    assert set(category.values) == {"0", "0.5", "1", "1.5"}
    expected, whole = fitted.predict_proba(rows), pl.Series(state % 1 == 0)
    for some, dtype in ((~whole, pl.Float64), (whole, pl.Float64), (whole, pl.Int8), (whole, pl.Float32)):
        part = rows.filter(some).with_columns(pl.col("state").cast(dtype))
        assert np.array_equal(fitted.predict_proba(part), expected[some.to_numpy()])
    assert np.array_equal(fitted.predict_proba(rows.with_columns(pl.col("state").cast(pl.String))), expected)
    stream = fitted.model_.stream(lookahead=1)
    found = [label for row in rows.iter_rows(named=True) for label in stream.push(row["flow"], 0, row)]
    assert [label.label for label in found + stream.flush()] == fitted.predict(rows).tolist()
    assert stream.notices == []


@pytest.mark.parametrize("unit", ["datetime64[s]", "timedelta64[s]"])
def test_times_in_whole_seconds(unit: str) -> None:
    class Whole(Frame):
        def __getitem__(self, name: str) -> Column:
            return Column(self._frame[name].to_numpy().astype(unit)) if name == "at" else super().__getitem__(name)

    frame = flows()
    X = frame.drop("label")
    milliseconds = X.with_columns(pl.Series("at", (1000 * X["at"].to_numpy()).astype(unit.replace("[s]", "[ms]"))))
    fitted = quick(epochs=1).fit(Whole(X), frame["label"])
    assert np.array_equal(fitted.predict_proba(milliseconds), fitted.predict_proba(Whole(X)))


def test_text_that_looks_like_times_is_left_out_and_told() -> None:
    frame = flows()
    X = frame.drop("label").with_columns(seen=pl.format("2024-03-31 18:0{}:00", "at"))
    said = (
        r"Column 'seen': left out \(text that looks like times; it sorts nothing \(order='seen' to sort the steps by "
        r"it, written as 2024-03-31 18:05:00\+02:00; categorical=\['seen'\] to learn from it\)\)\."
    )
    with pytest.warns(UserWarning, match=said):
        fitted = quick(epochs=1).fit(X, frame["label"])
    assert fitted.columns_.features == ("size", "protocol")
    assert quick(epochs=1, categorical="seen").fit(X, frame["label"]).columns_.categories == ("protocol", "seen")


def test_a_column_without_a_name_keeps_it() -> None:
    rows = {"": [3, 1], "x": [1.5, 2.0]}
    assert frame_table("X", pl.DataFrame(rows), None).names == ["", "x"]
    encoding = Encoding((Number("x"), Number("")))
    assert rows_table("events", pl.DataFrame(rows).to_dicts(), encoding).frame().columns == ["x", ""]


def test_ids_months_and_ranges_are_read_as_text() -> None:
    pandas = pytest.importorskip("pandas")
    ids = [UUID(int=1), None, UUID(int=2), None]
    months = [pandas.Period("2024-01", "M") + at for at in range(4)]
    frame = pandas.DataFrame({"id": ids, "at": months, "x": pandas.cut([1, 5, 9, 1], [0, 4, 9])})
    table = frame_table("X", frame, "id", order="at")
    assert table.column("id").to_list() == [str(UUID(int=1))] * 2 + [str(UUID(int=2))] * 2
    assert table.column("at").dt.month().to_list() == [1, 2, 3, 4]
    assert table.column("x").to_list() == ["(0, 4]", "(4, 9]", "(4, 9]", "(0, 4]"]
    with pytest.raises(DataError, match="'x' holds values of type int, str; they must be numbers, text or times"):
        frame_table("X", pandas.DataFrame({"x": pandas.Series([1, "a"], dtype=object)}), None)


def test_names_in_the_index_of_pandas_are_told() -> None:
    pandas = pytest.importorskip("pandas")
    frame = flows()
    X = pandas.DataFrame(frame.drop("label").to_dict(as_series=False))
    fitted = quick(epochs=1).fit(X, frame["label"])
    indexed = X.set_index(["flow", "at"])
    for labels in (lambda: quick().fit(indexed, frame["label"]), lambda: fitted.predict(indexed)):
        with pytest.raises(DataError, match=r"X: 'flow' is a level of the index, and no column\. Give X\.reset_index"):
            labels()
    assert np.array_equal(fitted.predict(indexed.reset_index()), fitted.predict(X))


def test_tables_of_arrow(fitted: SequenceLabeler) -> None:
    class ArrowTable:
        """A PyArrow table, as far as it is looked at: its `columns` have no names."""

        columns: Any = ()

        def __init__(self, frame: pl.DataFrame) -> None:
            self.__arrow_c_stream__ = frame.__arrow_c_stream__

    X = flows().drop("label")
    assert np.array_equal(fitted.predict(ArrowTable(X)), fitted.predict(X))


def test_frames_without_rows_have_no_labels(fitted: SequenceLabeler) -> None:
    X = flows().drop("label")
    assert fitted.predict(X.clear()).shape == (0,)
    assert fitted.predict_proba(X.clear()).shape == (0, 2)
    with pytest.raises(DataError, match="X: there is no column 'size'"):
        fitted.predict(X.clear().drop("size"))
    with pytest.raises(InputError, match="y has 0 labels; X has"):
        quick().fit(X, [])
    with pytest.raises(InputError, match="X has no rows; it needs at least one"):
        fitted.score(X.clear(), [])


def test_new_frames_that_do_not_fit(fitted: SequenceLabeler) -> None:
    X = flows().drop("label")
    with pytest.raises(DataError, match="X: there is no column 'protocol'"):
        fitted.predict(X.drop("protocol"))
    with pytest.raises(DataError, match="X: the model was trained on numbers, but 'size' is text"):
        fitted.predict(X.with_columns(size=pl.lit("a")))
    with pytest.raises(InputError, match=r"X is of type ndarray; .* needs one with the columns 'flow', 'at', 'size'"):
        fitted.predict(np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"categorical names the column 'port'"):
        SequenceLabeler(categorical=["port"]).fit(np.zeros((4, 1)), [0, 1, 0, 1])
