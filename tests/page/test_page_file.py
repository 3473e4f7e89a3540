"""A page that needs no server, opened from disk in a headless Chromium: the labels of the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import jobs, store
from bothways import page as pages
from bothways.baselines import NearbyNGrams, Neighbors, OneStep, Trees
from bothways.data import Columns, read_sequences
from bothways.data.calendar import CLOCK
from bothways.data.columns import NAMED, TOLD, Guess
from bothways.data.encoding import Category, Encoding, Number
from bothways.errors import InputError
from bothways.network import Network
from bothways.page import write_page
from bothways.patterns import ConvolutionPatterns, Forest, NGramPatterns
from bothways.runtime import BaselineMember, Member, Model, quantize
from bothways.sequences import Sequences
from bothways.settings import Reading
from bothways.tables.table import Table
from members import random_member
from page_cases import check, dropped, member, numeric, written
from tolerances import EXPORTED

if not files("bothways.page").joinpath("engine.wasm").is_file():
    pytest.skip("The engine for pages is not compiled.", allow_module_level=True)

NUMBERS = (Number("size", 0.25, flagged=True), Number("rate", 0.5))
CATEGORIES = (Category("kind", ("tcp", None, "7")), Category("host", ("Åse", "b")))
TAGS = ("B-x", "I-x", "O")


def model(
    *members: Member | BaselineMember,
    classes: tuple[Any, ...] = ("calm", "odd", "worm"),
    gaps: str = "times",
    categories: tuple[Category, ...] = CATEGORIES,
    clock: tuple[str, ...] = (),
    **how: Any,
) -> Model:
    """A model of a table with numbers, categories, times and gaps among them."""
    first = members[0]
    assert isinstance(first, Member)
    names = ("size", "rate", "kind", "host")
    encoding = Encoding(NUMBERS, categories, gaps, clock=clock)
    columns = Columns(
        "label", names, "flow", "at", categories=("kind", "host"), per=first.network.per, encoding=encoding
    )
    return Model(list(members), classes, columns, **how)


def frame(seed: int = 1) -> pl.DataFrame:
    """Sequences of several lengths; rows out of order, missing and unknown values."""
    random, lengths = np.random.default_rng(seed), [9, 1, 30, 4]
    rows = sum(lengths)
    size = random.normal(size=rows).round(3)
    found = pl.DataFrame(
        {
            "flow": np.repeat(["d", "a", "b, c", "e"], lengths),
            "at": np.sort(random.integers(0, 10**6, rows)),
            "size": pl.Series(np.where(random.random(rows) < 0.2, np.nan, size)).fill_nan(None),
            "rate": random.normal(size=rows).round(3),
            "kind": random.choice(np.array(["tcp", "7", "udp", None]), rows).tolist(),
            "host": random.choice(["Åse", "b", ""], rows),
        }
    )
    when = pl.from_epoch(found["at"] + 1_700_000_000, "s").dt.strftime("%Y-%m-%d %H:%M:%S")
    return found.with_columns(when.alias("at"))


MANY = (replace(CATEGORIES[0], values=(*CATEGORIES[0].values, *map(str, range(100, 1100)))), CATEGORIES[1])
"""The same with many codes that no row has."""


def simple(kind: Any, per: str = "step", sizes: tuple[int, ...] = (4, 3)) -> BaselineMember:
    """A simple model that learned from what the networks read."""
    random = np.random.default_rng(2)
    lengths = random.integers(1, 40, 100)
    values = random.normal(size=(lengths.sum(), 6)).astype(np.float32)
    values[:, 4] = random.integers(0, 4, len(values))
    values[:, 5] = random.integers(0, 3, len(values))
    labels = random.integers(0, 3, len(lengths) if per == "sequence" else len(values))
    found = kind.fit(Sequences(values, lengths, labels, per=per, flags=((0, 2),)), 3, sizes, seed=0)
    assert found is not None
    return BaselineMember(found, 2.0)


NETWORKS: dict[str, Callable[[], Model]] = {
    "lstm": lambda: model(member()),
    "gru, two layers": lambda: model(member(cell="gru", depth=2, merge_mode="mul")),
    "gru, reset before": lambda: model(member(cell="gru_reset_before", levels="centered")),
    "rnn, relu": lambda: model(member(cell="rnn_relu", direction="backward", levels="scaled", changes=2)),
    "forward, late": lambda: model(member(direction="forward", lookahead=3, levels="both", changes=1)),
    "convolution": lambda: model(member(conv_window=5, conv_stride=2)),
    "standard": lambda: model(member(encoding="standard", merge_mode="sum"), gaps="times"),
    "clock": lambda: model(member(features=8), clock=CLOCK),
    "balance": lambda: model(member(), class_counts={"calm": 900, "odd": 30, "worm": 7}, balance=0.5),
    "crf": lambda: model(member(head="crf"), temperature=0.7),
    "tags": lambda: model(member(), classes=TAGS, threshold=0.4),
    "two classes": lambda: model(member(classes=2), classes=(False, True), threshold=0.5),
    "sequences": lambda: model(member(per="sequence")),
    "pools": lambda: model(member(per="sequence", pooling="mean_max", conv_window=3)),
    "trees": lambda: model(member(), simple(Trees)),
    "regression": lambda: model(member(), simple(OneStep)),
    "regression on neighbors": lambda: model(
        member(categories=(1004, 3)), simple(Neighbors, sizes=(1004, 3)), categories=MANY
    ),
    "forest": lambda: model(member(per="sequence"), simple(Forest, "sequence")),
    "random convolutions": lambda: model(member(per="sequence"), simple(ConvolutionPatterns, "sequence")),
    "n-grams": lambda: model(member(per="sequence"), simple(NGramPatterns, "sequence")),
    "average": lambda: model(member(), member(1, share=0.5, cell="gru"), member(2, share=2.0), temperature=1.4),
}


COMMON = {"gru, two layers", "clock", "crf", "forest", "average"}


@pytest.mark.every_case
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in COMMON)) for name in NETWORKS]
)
def test_models(name: str, opened: Any, tmp_path: Path) -> None:
    frame().write_csv(tmp_path / "table.csv")
    check(opened(NETWORKS[name]()), tmp_path / "table.csv", tmp_path)


@pytest.mark.slow
def test_n_grams_beside_a_step(opened: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    values = np.stack([random.integers(0, 4, 900), random.integers(0, 3, 900)], axis=1).astype(np.float32)
    found = NearbyNGrams.fit(Sequences(values, np.full(100, 9), random.integers(0, 3, 900)), 3, (4, 3), seed=0)
    assert found is not None
    network = Network(features=2, embedding=3, units=5, classes=3, categories=(4, 3))
    own = random_member(network, random)
    columns = Columns("label", ("kind", "host"), "flow", categories=("kind", "host"), encoding=Encoding((), CATEGORIES))
    frame().select("flow", "kind", "host").write_csv(tmp_path / "table.csv")
    page = opened(Model([own, BaselineMember(found, 5.0)], ("calm", "odd", "worm"), columns))
    check(page, tmp_path / "table.csv", tmp_path)


HEADER = "flow,at,size,rate,kind,host\n"


TEXT = "flow;at;size;rate;kind;host\n"
LINES = [
    "a;03.01.2024;1,5;?;tcp;b",
    'a;01.01.2024;"1.200,5";0,5;7;"Å;se"',
    'b;13.01.2024 06:30;-3;1e-2;"t ""x""";Åse',
    "b;Sun, 14/Jan/2024:08:00;;2;;b",
]


LOGGER = "# 2 sensors\n# exported by a logger\n" + "".join(f"{line};;\n" for line in [TEXT.strip(), *LINES, ";;;;;"])
"""Comments, lines that end in separators, and a row without any value."""


TITLED = "Logger X200, rev. 2\nSerial: 7, 8\n\n" + TEXT + "\n".join(LINES * 2)
"""Lines of another kind before the header."""


UNITS = "Report;;;;;\n;;;;;\n" + TEXT + ";;bar;1/min;;\n" + "\n".join([*LINES * 2, "b;[15/Jan/2024:08:00];(2,5);2;;b"])
"""A title with empty fields, a row of units, a negative amount and a time in brackets."""


TWICE = "\n".join(f"{line};7;8" for line in [TEXT.strip() + ";size", *LINES]).replace("size;7;8", "size;size_2")
"""Columns of one name."""


TOTAL = TEXT + "\n".join(LINES) + "\n\n" + "Summe:;;700;;;\n\n"
"""A total at the end."""


COUNT = TEXT + "\n".join(LINES) + "\n(3 rows affected)\n"
"""What clients of databases write below the rows."""


NOTES = TOTAL + "Printed by Ann\nSource: Site, 2; 3;;;;\nRevised in May"
"""Notes below a total."""


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("a.csv", TEXT + "\n".join(LINES), "utf-8-sig"),
        pytest.param("b.csv", (TEXT + "\n".join(LINES) + "\n").replace("\n", "\r\n"), "cp1252", marks=pytest.mark.slow),
        pytest.param("c.csv", TEXT + "\n".join(LINES), "utf-16", marks=pytest.mark.slow),
        pytest.param("logger.csv", LOGGER, "utf-8", marks=pytest.mark.slow),
        ("titled.csv", TITLED, "utf-8"),
        ("total.csv", TOTAL, "utf-8"),
        pytest.param("notes.csv", NOTES, "utf-8", marks=pytest.mark.slow),
        pytest.param(
            "bars.csv", (TEXT + LINES[0] + "\n" + LINES[3]).replace(";", " | "), "utf-8", marks=pytest.mark.slow
        ),
        pytest.param("count.csv", COUNT, "utf-8", marks=pytest.mark.slow),
        pytest.param("sums.csv", TOTAL.replace(";;700;;;", ";;700;20;0;"), "utf-8", marks=pytest.mark.slow),
        pytest.param("units.csv", UNITS, "utf-8", marks=pytest.mark.slow),
        pytest.param("twice.csv", TWICE, "utf-8", marks=pytest.mark.slow),
        ("d.tsv", (TEXT + "\n".join([*LINES[:1], *LINES[3:]])).replace(";", "\t"), "utf-8"),
    ],
)
@pytest.mark.slow
def test_fields_of_every_kind(name: str, text: str, encoding: str, opened: Any, tmp_path: Path) -> None:
    """Separators, quotes, decimal commas, dates and encodings are read as the command reads them."""
    seen = model(member())
    dates = replace(seen.columns, reading=Reading(dates="day-first"))  # type: ignore[type-var]
    page = opened(Model(seen.members, seen.classes, dates))
    dropped(page, written(tmp_path / name, text, encoding))
    assert page.get_attribute("#said", "class") != "wrong", page.inner_text("#said")
    assert ("1 row without any value is left out." in page.inner_text("#said")) == (text == LOGGER)
    assert ("3 lines before the header are left out." in page.inner_text("#said")) == (text == TITLED)
    assert ("the last row is a total ('Summe:') and is left out." in page.inner_text("#said")) == ("Summe:" in text)
    assert ("the last 3 rows are notes ('Printed by Ann') and are left" in page.inner_text("#said")) == (text == NOTES)
    assert ("counts the rows ('(3 rows affected)')" in page.inner_text("#said")) == (text == COUNT)
    assert ("the row of units below the names is left out." in page.inner_text("#said")) == (text == UNITS)
    with page.expect_download() as download:
        page.click("#save")
    jobs.predict(tmp_path / "flows.bothways", tmp_path / name, tmp_path / "command.parquet", say=list[str]().append)
    theirs = pl.read_parquet(tmp_path / "command.parquet")
    separator = {"d.tsv": "\t", "bars.csv": "|"}.get(name, ";")
    content = download.value.path().read_text("utf-8-sig")
    ours = pl.read_csv(content.encode(), separator=separator)
    assert ours["predicted"].to_list() == theirs["predicted"].to_list()
    assert np.abs(ours["probability"].to_numpy() - theirs["probability"].to_numpy()).max() < EXPORTED
    assert ours["host"].str.strip_chars().to_list() == theirs["host"].to_list()


@pytest.mark.parametrize(
    ("dates", "order", "form"),
    [
        ("year-first", "at", "%y-%m-%d %H:%M"),
        ("day-first", "date", "%d%m%Y"),
        (None, "date", "%Y%m%d"),
        (None, "date", "%Y%m%d%H"),
        (None, "<DATE>,<TIME>", "%Y%m%d,%H%M%S"),
        ("month-first", "date,time", "%m%d%Y,%k%M"),
        ("month-first", "date,time", "%m/%d/%Y 12:00:00 AM,%H:%M"),
    ],
)
@pytest.mark.slow
def test_dates_of_digits_alone(dates: str | None, order: str, form: str, opened: Any, tmp_path: Path) -> None:
    some = numeric(2, 8)
    random = np.random.default_rng(0)
    hours = [datetime(2024, 1, 20) + timedelta(hours=row) for row in range(400)]
    parts = [[part.strip() for part in hour.strftime(form).split(",")] for hour in hours]
    names = order.split(",") if len(parts[0]) > 1 else [order]
    guesses = tuple(Guess(name, "left out", TOLD) for name in names) if len(names) > 1 else ()
    encoding = Encoding((Number("x"),), gaps="times")
    columns = Columns("label", ("x",), None, order, encoding=encoding, guesses=guesses, reading=Reading(dates=dates))
    table = pl.DataFrame(parts, schema=names, orient="row").with_columns(x=random.normal(size=400))
    table.sample(400, shuffle=True, seed=1).write_csv(tmp_path / "table.csv")
    page = opened(Model([some], ("calm", "scan"), columns))
    check(page, tmp_path / "table.csv", tmp_path)


@pytest.mark.slow
def test_json_lines_and_rows_that_do_not_stand_together(opened: Any, tmp_path: Path) -> None:
    mixed = frame().sample(fraction=1, shuffle=True, seed=0)
    mixed.write_ndjson(tmp_path / "table.jsonl")

    def read(path: Path) -> pl.DataFrame:  # the command writes text that is empty as null
        return pl.read_ndjson(path).with_columns(pl.col("host").replace("", None))

    check(opened(model(member())), tmp_path / "table.jsonl", tmp_path, read)


@pytest.mark.every_case
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.slow
def test_what_it_shows(width: int, scheme: str, opened: Any, tmp_path: Path) -> None:
    page = opened(model(member(classes=2), classes=("calm", "scan")), width, scheme)
    frame().write_csv(tmp_path / "table.csv")
    dropped(page, tmp_path / "table.csv")
    assert "4 sequences, 44 steps. Alarms: " in page.inner_text("#counts")
    assert "stays on this machine" in page.inner_text("#keeps")
    assert not page.is_visible("#live-part")
    assert not page.is_visible("#programs")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#threshold").fill("0")
    assert "Alarms: 44 steps (100 %)" in page.inner_text("#counts")
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "table labeled.csv"
    found = pl.read_csv(download.value.path())["predicted"].unique().to_list()
    assert found == [["calm", "scan"][page.evaluate("card.positive")]]


@pytest.mark.parametrize("levels", ["centered", "both", "scaled"])
@pytest.mark.slow
def test_numbers_in_double_precision(levels: str, opened: Any, tmp_path: Path) -> None:
    """In float32 seconds since 1970 are all alike for minutes."""
    made = model(member(levels=levels, changes=2))
    assert made.columns is not None
    encoding = made.columns.fitted
    numbers = tuple(replace(each, double=True) for each in encoding.numbers)
    columns = replace(made.columns, encoding=replace(encoding, numbers=numbers))
    large = frame().with_columns(pl.col("size", "rate") + 1_700_000_000)
    large.write_csv(tmp_path / "table.csv")
    check(opened(replace(made, columns=columns)), tmp_path / "table.csv", tmp_path)


def test_words_are_shown_as_text(opened: Any, tmp_path: Path) -> None:
    """Each on the colour of its label, that of "O" on none; both parts of an entity have one colour."""
    words = tuple(f"{word}{i}" for i in range(20) for word in ("the", "Åse", "<b>"))
    categories = (Category("word", words), Category("word", ("4", "3", "5", "0", "20"), "length"))
    sizes = (len(words) + 1, 6)
    network = Network(features=2, embedding=3, units=5, classes=3, categories=sizes)
    random = np.random.default_rng(1)
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in network.weight_shapes().items()}
    columns = Columns("label", ("word",), "s", None, categories=("word",), encoding=Encoding((), categories))
    made = Model([Member(network, weights)], TAGS, columns)
    page, table = opened(made), pl.DataFrame({"s": 1, "word": [*words[:11], "new7"]})
    table.write_csv(tmp_path / "table.csv")
    dropped(page, tmp_path / "table.csv")
    assert "1 row with values that training never saw (new7); they are known by their spelling" in page.inner_text(
        "#said"
    )
    assert not page.is_visible("#chart")
    shown = page.locator("#words span")
    assert shown.all_inner_texts() == [*words[:11], "new7"]
    labels = page.evaluate("codes(view.sequences[0])")
    assert len(set(labels)) > 1
    with pytest.warns(UserWarning, match="known by their spelling"):
        assert [TAGS[label] for label in labels] == made.predict(table).tolist()
    borders = [one.evaluate("word => word.style.borderColor") for one in shown.all()]
    assert [bool(border) for border in borders] == [TAGS[label] != "O" for label in labels]
    assert len(set(borders) - {""}) == 1
    shown.nth(4).click()
    assert page.locator("#words .here").inner_text() == words[4]
    assert words[4] in page.inner_text("#there")


def test_the_threshold_that_a_model_keeps_is_exact(opened: Any, tmp_path: Path) -> None:
    """The slider has thousandths; labels go by what was saved until somebody moves it."""
    some, table = numeric(1, 8), pl.DataFrame({"flow": ["a"] * 400, "x": np.random.default_rng(0).normal(size=400)})
    table.write_csv(tmp_path / "table.csv")
    columns = Columns("label", ("x",), "flow", encoding=Encoding((Number("x"),)))
    p = Model([some], ("calm", "scan"), columns).predict_proba(table)[:, 1].astype(float)
    value = next(each - 1e-6 for each in np.sort(p)[100:] if each + 1e-5 < round(each, 3))
    facts = {"threshold": {"class": "scan", "value": value, "false_alarm_rate": 0.01}}
    page = opened(Model([some], ("calm", "scan"), columns, facts=facts))
    dropped(page, tmp_path / "table.csv")
    assert f"Alarms: {(p >= value).sum()} steps" in page.inner_text("#counts")
    page.locator("#threshold").fill(str(round(value, 3)))
    assert f"Alarms: {(p >= round(value, 3)).sum()} steps" in page.inner_text("#counts")
    assert (p >= value).sum() != (p >= round(value, 3)).sum()


def test_labels_that_change_all_the_time_are_drawn_at_once(opened: Any, tmp_path: Path) -> None:
    """A rectangle for each run would be thousands of them."""
    table = pl.DataFrame({"flow": ["a"] * 9000, "x": np.random.default_rng(0).normal(size=9000)})
    table.write_csv(tmp_path / "table.csv")
    columns = Columns("label", ("x",), "flow", encoding=Encoding((Number("x"),)))
    some = Model([numeric(1, 8)], ("calm", "scan"), columns)
    middle = float(np.median(some.predict_proba(table)[:, 1]))
    page = opened(replace(some, facts={"threshold": {"class": "scan", "value": middle, "false_alarm_rate": 0.5}}))
    dropped(page, tmp_path / "table.csv")
    assert page.locator("#chart *").count() < 30


@pytest.mark.slow
def test_probabilities_have_the_decimal_sign_and_the_mark_of_the_table(opened: Any, tmp_path: Path) -> None:
    some = model(member())
    reading = replace(some.columns, reading=Reading(decimal="comma", dates="day-first"))  # type: ignore[type-var]
    page = opened(Model(some.members, some.classes, reading))
    dropped(page, written(tmp_path / "table.csv", TEXT + "\n".join(LINES), "utf-8-sig"))
    with page.expect_download() as download:
        page.click("#save")
    jobs.predict(tmp_path / "flows.bothways", tmp_path / "table.csv", tmp_path / "out.csv", say=list[str]().append)
    written_by = download.value.path(), tmp_path / "out.csv"
    assert all(path.read_bytes().startswith(b"\xef\xbb\xbf") for path in written_by)
    ours, theirs = ([line.split(";")[-1] for line in path.read_text().splitlines()[1:]] for path in written_by)
    assert all("," in probability for probability in ours)
    numbers = [np.char.replace(each, ",", ".").astype(float) for each in (ours, theirs)]
    assert np.allclose(numbers[0], numbers[1], atol=EXPORTED)


def test_a_time_that_is_none_is_named(opened: Any, tmp_path: Path) -> None:
    lines = frame().head(5).write_csv().splitlines()
    lines[4] = lines[4].replace(lines[4].split(",")[1], "notatime")
    page = opened(model(member()))
    dropped(page, written(tmp_path / "table.csv", "\n".join(lines)))
    said = 'data row 4 (the first is 1): the column "at" must hold times; here stands "notatime"'
    assert said in page.inner_text("#said")


@pytest.mark.slow
def test_many_labels_on_a_phone(opened: Any, tmp_path: Path) -> None:
    """Those that occur are listed, the others are folded away; nothing is printed over something else."""
    names = tuple(f"label {i}" for i in range(98))
    page = opened(model(member(classes=98), classes=names), width=390)
    times = pl.col("at").str.to_datetime().dt.strftime("%Y-%m-%dT%H:%M:%S.123456")
    frame().with_columns(times, rate=pl.col("rate") + 1234.56789).write_csv(tmp_path / "table.csv")
    dropped(page, tmp_path / "table.csv")
    assert "one of 98 labels." in page.inner_text("#does")
    assert "label 97" not in page.inner_text("#does")
    page.click("#labels summary")
    assert page.inner_text("#labels").endswith("label 97")
    counts = page.inner_text("#counts")
    occurring = [name for name in names if f"{name}:" in counts]
    assert 0 < len(occurring) < 40
    assert ": 0" not in counts
    shown = page.inner_text("#legend").split("label")[1:]
    assert 0 < len(shown) <= len(occurring)
    first, last = (page.locator(f"#chart .{end}").bounding_box() for end in ("first", "last"))
    assert last["x"] >= first["x"] + first["width"] or last["y"] >= first["y"] + first["height"]
    assert page.locator("#chart").bounding_box()["x"] <= last["x"]
    for number in re.findall(r"rate ([\d.]+)", page.inner_text("#there")):
        assert len(number) <= 7
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_table_that_comes_before_the_model_waits(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, slow = pages._text, "async models() {\n    await new Promise(done => { globalThis.go_on = done })"
    monkeypatch.setattr(pages, "_text", lambda *names: text(*names).replace("async models() {", f"{slow}\n"))
    page = opened(model(member()))
    frame().write_csv(tmp_path / "table.csv")
    page.set_input_files("#file", tmp_path / "table.csv")
    assert page.locator("#main").is_hidden()
    page.evaluate("go_on()")
    page.wait_for_selector("#results:not([hidden])")


@pytest.mark.slow
def test_tables_that_cannot_be_labeled(opened: Any, tmp_path: Path) -> None:
    """Each is told, in one and the same page, which goes on to label what it can."""
    page = opened(model(member()))
    for name, text, message in (
        ("t.csv", "flow,at,size,rate,host\na,1,2,3,b\n", 'there is no column "kind", which the model needs.'),
        ("t.csv", HEADER + "a,1,2,3,4,b\na,2,x,3,4,b\n", 'data row 2 (the first is 1): the column "size" must hold'),
        ("t.csv", HEADER + "a,1,2,3,4,b\na,1,2,3,4,b,7\n", "more fields than the header"),
        ("t.csv", HEADER, "this table has no rows"),
        ("t.csv", "", "this file is empty"),
        ("t.csv", HEADER.replace("at", "") + ",s,m,,,\n" + "a,1,2,3,4,b\n" * 4, "the header takes several rows"),
        ("t.csv", HEADER + "a,,2,3,4,b\n", 'the column "at" is empty'),
        ("t.csv", HEADER + "a,soon,2,3,4,b\n", 'the column "at" must hold times'),
        ("t.csv", HEADER + 'a,1,2,3,4,"b\n', "a quote is not closed"),
        ("t.csv", HEADER + "a,1,\0,3,4,b\n", "bytes that are no text"),
        ("t.jsonl", '{"flow": 1}\n[1]\n', "line 2: this is no JSON object"),
        ("t.jsonl", '{"flow": 1, "at": [2]}\n', '"at" is a list or an object; this page reads a row'),
        ("t.parquet", "x", 'must end in .csv, .tsv or .jsonl. Label such a table with "bothways predict"'),
    ):  # fmt: skip
        page.set_input_files("#file", written(tmp_path / name, text))
        page.locator("#said.wrong").filter(has_text=message).wait_for()
        assert page.locator("#results").is_hidden()
    frame().write_csv(tmp_path / "good.csv")
    dropped(page, tmp_path / "good.csv")
    page.wait_for_selector("#results:not([hidden])")


@pytest.mark.slow
def test_threads_share_a_table(opened: Any, tmp_path: Path) -> None:
    """Sequences of many lengths, in batches for all threads, get their own labels."""
    random, lengths = np.random.default_rng(0), [3000, *range(1, 200)]
    rows = sum(lengths)
    table = pl.DataFrame({name: random.normal(size=rows).round(3) for name in ("x", "y")})
    table = table.with_columns(flow=np.repeat(np.arange(len(lengths)), lengths))
    table.write_csv(tmp_path / "table.csv")
    columns = Columns("label", ("x", "y"), "flow", encoding=Encoding((Number("x"), Number("y"))))
    check(opened(Model([numeric(2, 8)], ("a", "b"), columns)), tmp_path / "table.csv", tmp_path)


@pytest.mark.slow
def test_sequences_that_two_columns_tell_apart(opened: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pl.DataFrame({"who": random.choice(["a", "b,c"], 90), "run": random.integers(0, 5, 90)})
    table.with_columns(x=pl.Series(random.normal(size=90).round(3))).write_csv(tmp_path / "table.csv")
    guesses = tuple(Guess(name, "left out", NAMED) for name in ("who", "run"))
    columns = Columns("label", ("x",), "who,run", encoding=Encoding((Number("x"),)), guesses=guesses)
    check(opened(Model([numeric(1, 4)], ("a", "b"), columns)), tmp_path / "table.csv", tmp_path)


@pytest.mark.slow
def test_ids_that_are_one_number_stay_apart(opened: Any, tmp_path: Path) -> None:
    """Long ids, which numbers hold only nearly, and those that are written in two ways; their rows are mixed."""
    random, ids = np.random.default_rng(0), [*(str(1400000000000000000 + k) for k in range(5)), "1.1", "1.10"]
    table = pl.DataFrame({"flow": random.choice(ids, 90), "x": random.normal(size=90).round(3)})
    table.write_csv(tmp_path / "table.csv")
    columns = Columns("label", ("x",), "flow", encoding=Encoding((Number("x"),)))
    check(opened(Model([numeric(1, 4)], ("a", "b"), columns)), tmp_path / "table.csv", tmp_path)


@pytest.mark.parametrize(
    ("names", "formats"),
    [
        (("Date", "Time"), ("%d/%m/%Y", "%H.%M.%S")),
        (("year", "month", "day", "hour"), ("%Y", "%-m", "%-d", "%-H")),
        pytest.param(("year", "week"), ("%G", "%V"), marks=pytest.mark.slow),
        pytest.param(("at",), ("%b %Y",), marks=pytest.mark.slow),
        (("at",), ("%G-W%V",)),
        (("at",), ("W%V %G",)),
        pytest.param(("at",), ("%b %d, %Y %I:%M %p",), marks=pytest.mark.slow),
        pytest.param(("at",), ("%a %b %e %H:%M:%S UTC %Y",), marks=pytest.mark.slow),
        pytest.param(("at",), ("%b %e %H:%M:%S",), marks=pytest.mark.slow),
        pytest.param(("at",), ("%Y%m%dT%H%M%S",), marks=pytest.mark.slow),
        pytest.param(("at",), ("%d.%m.%y %H",), marks=pytest.mark.slow),
        (("at",), ("%d. März %Y",)),
        pytest.param(("at",), ("%d.%m.%Y 24:00",), marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_times_of_several_columns_and_of_weeks(
    opened: Any, names: tuple[str, ...], formats: tuple[str, ...], tmp_path: Path
) -> None:
    random, order = np.random.default_rng(0), ",".join(names)
    step = timedelta(hours=random.uniform(1, 2)) if len(names) > 2 or names[0] == "Date" else timedelta(weeks=5)
    at = pl.Series([datetime(2019, 12, 20) + step * row for row in range(90)])
    columns = {name: at.dt.strftime(own) for name, own in zip(names, formats, strict=True)}
    table = pl.DataFrame({"who": np.arange(90) // 30, **columns, "x": random.normal(size=90).round(3)})
    table.sample(90, shuffle=True, seed=0).write_csv(tmp_path / "table.csv")
    guesses = tuple(Guess(name, "left out", TOLD) for name in names if len(names) > 1)
    encoding = Encoding((Number("x"),), gaps="times")
    some = Columns("label", ("x",), "who", order, encoding=encoding, guesses=guesses)
    check(opened(Model([numeric(2, 4)], ("a", "b"), some)), tmp_path / "table.csv", tmp_path)


@pytest.mark.slow
def test_durations_are_numbers(opened: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lasts = [f"{each // 60}:{each % 60:02}:07" for each in random.integers(0, 3000, 60).tolist()]
    waits = [f"{each} days 00:{each:02}:00.5" for each in random.integers(0, 50, 60).tolist()]
    table = pl.DataFrame({"who": np.arange(60) // 20, "callDuration": lasts, "waits": waits})
    table.write_csv(tmp_path / "table.csv")
    encoding = Encoding((Number("callDuration"), Number("waits")))
    some = numeric(2, 4)
    small = replace(some, weights={**some.weights, "input/scale": np.full_like(some.weights["input/scale"], 1e-5)})
    columns = Columns("label", ("callDuration", "waits"), "who", encoding=encoding)
    check(opened(Model([small], ("a", "b"), columns)), tmp_path / "table.csv", tmp_path)


@pytest.mark.slow
def test_gaps_of_microseconds(opened: Any, tmp_path: Path) -> None:
    """Trees split where values of training stand, so that the last bit of a gap decides which way a step goes."""
    random, rows = np.random.default_rng(0), 3000
    at = [datetime(2024, 1, 1) + timedelta(seconds=each) for each in np.cumsum(random.exponential(30, rows)).tolist()]
    table = pl.DataFrame({"flow": np.arange(rows) // 100, "at": at, "x": random.normal(size=rows)})
    table.write_csv(tmp_path / "table.csv")
    columns = Columns("label", ("x",), "flow", "at", encoding=Encoding((Number("x"),), gaps="times"))
    sequences, _ = read_sequences(Table("table.csv", table), columns)
    labels = random.integers(0, 2, rows)
    trees = Trees.fit(replace(sequences, labels=labels), 2, (), 0)
    assert trees is not None
    check(opened(Model([numeric(2, 8), BaselineMember(trees)], ("a", "b"), columns)), tmp_path / "table.csv", tmp_path)


def test_how_large_it_is(tmp_path: Path) -> None:
    """The page of a model with the defaults of `train` that reads eight numbers."""
    names = tuple(f"x{i}" for i in range(8))
    columns = Columns("label", names, "flow", encoding=Encoding(tuple(map(Number, names))))
    path = write_page(Model([numeric(8, 32)], ("a", "b"), columns), tmp_path / "some.html", "some")
    assert path.stat().st_size < 400_000


def test_a_table_of_500_mb(opened: Any, tmp_path: Path) -> None:
    page, large = opened(model(member())), tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(500_000_000)
    dropped(page, large)
    assert "larger than 200 MB, the most that this page reads" in page.inner_text("#said.wrong")


@pytest.mark.slow
def test_the_page_answers_while_it_reads_a_large_table(opened: Any, tmp_path: Path) -> None:
    """50 MB, in threads of their own: a clock in the window goes on all the while."""
    random, rows = np.random.default_rng(0), 100_000
    table = pl.DataFrame({"flow": np.arange(rows) // 500, "x": random.normal(size=rows), "note": ["long " * 95] * rows})
    table.write_csv(tmp_path / "table.csv")
    columns = Columns("label", ("x",), "flow", encoding=Encoding((Number("x"),)))
    page = opened(Model([numeric(1, 8)], ("a", "b"), columns))
    page.wait_for_selector("#does:not(:empty)")
    page.evaluate("times = [performance.now()]; setInterval(() => times.push(performance.now()), 20)")
    dropped(page, tmp_path / "table.csv")
    times = np.array(page.evaluate("times"))
    assert "200 sequences, 100,000 steps" in page.inner_text("#counts")
    assert np.diff(times).max() < (times[-1] - times[0]) / 4


DROP = """([name, text]) => {
  const area = document.getElementById("drop"), found = []
  const dataTransfer = new DataTransfer()
  dataTransfer.items.add(new File([text], name))
  for (const kind of ["dragover", "drop"]) {
    const event = new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true})
    area.dispatchEvent(event)
    found.push([event.defaultPrevented, area.classList.contains("over")])
  }
  return found
}"""


def test_a_table_is_dropped(opened: Any) -> None:
    """The browser would open it in place of the page, if the page let it."""
    page = opened(model(member()))
    page.wait_for_selector("#does:not(:empty)")
    assert page.evaluate(DROP, ["table.csv", frame().write_csv()]) == [[True, True], [True, False]]
    page.wait_for_selector("#results:not([hidden])")
    assert "4 sequences, 44 steps" in page.inner_text("#counts")


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("page", 40),
        ("page", None),
        ("weights", 40),
        ("wasm", 40),
        ("described", 40),
        ("worker", 40),
        ("described", None),
    ],
)
def test_a_damaged_page(part: str, lost: int | None, opened: Any) -> None:
    """Some letters of a part are lost, or the rest of the file."""

    def change(text: str) -> str:
        place = text.index(f'<script id="{part}"') + 200
        return text[:place] + ("" if lost is None else text[place + lost :])

    page = opened(model(member()), change=change)
    page.wait_for_selector("#said.wrong")
    assert "This page is damaged" in page.inner_text("#said")


def test_what_is_no_model_of_a_table(tmp_path: Path) -> None:
    bare = Model([member()], ("a", "b", "c"))
    with pytest.raises(InputError, match=r"some: this model was trained on arrays"):
        write_page(bare, tmp_path / "some.html", "some")
    with pytest.raises(InputError, match=r"must end in \.html"):
        write_page(model(member()), tmp_path / "some.txt", "some")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bothways.cli import main

    store.save(model(member()), tmp_path / "some.bothways")
    with pytest.raises(SystemExit, match="0"):
        main(["page", str(tmp_path / "some.bothways"), "-o", str(tmp_path / "some.html")])
    shown = capsys.readouterr()
    assert "some.html" in shown.out
    assert "int8" not in shown.err
    assert (tmp_path / "some.html").stat().st_size < 400_000
    quantize(model(member())).save(tmp_path / "small.bothways")
    with pytest.raises(SystemExit, match="0"):
        main(["page", str(tmp_path / "small.bothways"), "-o", str(tmp_path / "some.html")])
    assert "in int8, and the page computes in float32: some labels may be others" in capsys.readouterr().err
