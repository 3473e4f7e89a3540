"""The page for people, in a headless Chromium."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import store
from page_cases import pictured
from serving import TABLE, Running, model_of

MODEL = model_of(2, columns=TABLE)
FRAME = pl.DataFrame(
    {
        "flow": np.repeat(["a", "b", "<b>c</b>"], 40),
        "x": np.random.default_rng(0).normal(size=120).round(3),
        "y": np.random.default_rng(1).normal(size=120).round(3),
    }
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Any) -> Running:
    folder = tmp_path_factory.mktemp("models")
    store.save(MODEL, folder / "flows.bothways")
    store.save(
        model_of(2, ("one", "two", "three"), columns=replace(TABLE, per="sequence"), per="sequence"),
        folder / "kinds.bothways",
    )
    store.save(model_of(), folder / "numbers.bothways")
    return start(folder)  # type: ignore[no-any-return]


@pytest.fixture(
    params=[pytest.param((1200, "light"), id="wide"), pytest.param((360, "dark"), id="phone", marks=pytest.mark.slow)]
)
def page(browser: Any, server: Running, request: Any) -> Iterator[Any]:
    """The page, which must not fail, scroll sideways, or ask anybody else for anything."""
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("request", lambda asked: faults.append(asked.url) if f":{server.port}/" not in asked.url else None)
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.wait_for_selector("#does:not(:empty)")
    yield page
    pictured(page, request.node.name)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
    assert [each for each in faults if not each.startswith("blob:")] == []


@pytest.fixture
def table(tmp_path: Path) -> Path:
    FRAME.write_csv(tmp_path / "flows.csv")
    return tmp_path / "flows.csv"


def said(page: Any, where: str, text: str) -> None:
    """Wait until it says so."""
    page.locator(where).filter(has_text=text).wait_for()


def opened(page: Any, table: Path) -> None:
    page.set_input_files("#file", table)
    page.wait_for_selector("#results:not([hidden])")


@pytest.mark.every_case
def test_a_table_its_alarms_and_the_threshold(page: Any, table: Path, tmp_path: Path) -> None:
    assert "calm, scan" in page.inner_text("#does")
    assert "flow, x, y" in page.inner_text("#needs")
    opened(page, table)
    p = MODEL.predict_proba(FRAME)
    positive = page.evaluate("card.positive")
    for threshold in (0.5, 0.3, 0.9):
        page.locator("#threshold").fill(str(threshold))
        alarms = int((p[:, positive] >= threshold).sum())
        assert f"Alarms: {alarms} step" in page.inner_text("#counts")
    page.locator("#threshold").fill("0.3")
    with page.expect_download() as download:
        page.click("#save")
    labeled = pl.read_csv(download.value.path())
    assert (labeled["predicted"] == ["calm", "scan"][positive]).sum() == (p[:, positive] >= 0.3).sum()
    assert download.value.suggested_filename == "flows labeled.csv"


def test_sequences_with_alarms_alone(page: Any, table: Path) -> None:
    """Where none has one, nothing is left of the one that was shown."""
    opened(page, table)
    page.locator("#threshold").fill("0")
    page.click("#alarms summary")
    assert page.locator("#alarms tbody tr").count() == 1
    page.check("#only")
    assert page.locator("#sequence option").count() == 3
    for threshold, visible in (("1", False), ("0", True)):
        page.locator("#threshold").fill(threshold)
        assert page.inner_text("#legend").startswith("No sequence has an alarm.") != visible
        assert all(page.is_visible(part) == visible for part in ("#chart", "#step", "#there", "#alarms", "#play"))


def test_compressed_tables_and_the_name_of_the_file(page: Any, table: Path, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "some.csv.gz", "wb") as file:
        file.write(table.read_bytes())
    opened(page, tmp_path / "some.csv.gz")
    assert "3 sequences, 120 steps" in page.inner_text("#counts")
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "some labeled.csv"
    assert pl.read_csv(download.value.path()).columns == ["flow", "x", "y", "predicted", "probability"]
    (tmp_path / "few.csv").write_text("flow,x,y\na,1,2\n,,\na,2,3\n")
    page.set_input_files("#file", tmp_path / "few.csv")
    said(page, "#said", "few.csv: 1 row without any value is left out.")


def test_a_table_is_dropped(page: Any) -> None:
    given = page.evaluate_handle(
        "text => { const some = new DataTransfer(); some.items.add(new File([text], 'flows.csv')); return some }",
        FRAME.write_csv(),
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": given})
    assert page.get_attribute("#drop", "class") == "over"
    page.dispatch_event("#drop", "drop", {"dataTransfer": given})
    said(page, "#counts", "3 sequences, 120 steps")
    assert page.get_attribute("#drop", "class") == ""


def brightness(color: str) -> float:
    """The relative luminance of a color as browsers write it (WCAG 2.2)."""
    parts = [int(part) / 255 for part in color.removeprefix("rgb(").rstrip(")").split(", ")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read(page: Any, table: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, table)
    ground = brightness(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (ground > 0.9, ground < 0.1) == (scheme == "light", scheme == "dark")
    for what in ("body", ".soft", "#there", "a", "#drop b", "#chart"):
        style = "fill" if what == "#chart" else "color"
        ink = brightness(page.evaluate(f"getComputedStyle(document.querySelector('{what}')).{style}"))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) > 4.5, what
    page.evaluate("view.sequences[0].inputs.kind = [...'abcdefghijklm'].map(each => 'some kind of ' + each); show()")
    ends = page.evaluate("[...$('chart').querySelectorAll('text')].map(text => text.getBoundingClientRect().right)")
    assert max(ends) <= page.evaluate("$('chart').getBoundingClientRect().right")
    assert "some kind of a" in page.locator("#chart").text_content()


@pytest.mark.every_case
def test_sequences_by_keyboard(page: Any, table: Path) -> None:
    opened(page, table)
    assert page.evaluate("document.activeElement.id") == "what"
    assert page.locator("#sequence option").count() == 3
    assert "<b>c</b>" in page.locator("#sequence option").nth(2).inner_text()
    page.focus("#after")
    page.keyboard.press("Enter")
    assert page.locator("#sequence").input_value() == "1"
    page.focus("#step")
    page.keyboard.press("ArrowRight")
    place = page.inner_text("#there")
    assert place.startswith("step 2: ")
    assert f"x {FRAME['x'][41]:g}" in place
    assert "40 steps" in page.get_attribute("#chart", "aria-label")
    steps = page.locator("#sequence option").nth(1).inner_text().removeprefix("b: ")
    alarms = steps.partition(" in ")[0] if " in " in steps else "0 alarms"
    assert page.get_attribute("#chart", "aria-label") == f"b: 40 steps, {alarms}"  # the same number, in runs or alone
    assert page.locator("#chart path[fill=none]").count() == 3  # the probability and two inputs
    focused = set()
    for _ in range(20):  # everything is in reach of the Tab key
        page.keyboard.press("Tab")
        focused.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    places = ["model", "file", "watch", "threshold", "save", "sequence", "only", "before", "step", "play", "late"]
    assert focused.issuperset(places)
    page.focus("#threshold")
    limit = float(page.inner_text("#value"))
    page.keyboard.press("ArrowLeft")
    assert float(page.inner_text("#value")) == pytest.approx(limit - 0.001)
    page.keyboard.press("End")
    assert "Alarms: 0 steps" in page.inner_text("#counts")


@pytest.mark.every_case
def test_live(page: Any, connect: Any) -> None:
    """What another client sends is drawn: its inputs at once, its labels late, alarms by the threshold."""
    page.click("#watch")
    said(page, "#live-said", "Nothing has come yet.")
    program, labels = connect("/stream/flows?lookahead=4"), list[Any]()
    rows = FRAME.sort(pl.int_range(pl.len()).over("flow"), maintain_order=True).rows(named=True)
    program.send("\n".join(map(json.dumps, rows)))
    said(page, "#sequence", "<b>c</b>: ")
    while len(labels) < 108:
        labels += map(json.loads, program.recv(timeout=10).splitlines())
    said(page, "#counts", "3 sequences, 108 steps")
    assert page.locator("#sequence option").count() == 3
    assert page.inner_text("#there").startswith("step 118: no label yet. x ")
    positive = ["calm", "scan"][page.evaluate("card.positive")]
    p = [each["probability"] if each["predicted"] == positive else 1 - each["probability"] for each in labels]
    for threshold in (0.5, 0.2):
        page.locator("#threshold").fill(str(threshold))
        assert f"Alarms: {sum(each >= threshold for each in p)} step" in page.inner_text("#counts")
    assert "Newest alarm: " in page.inner_text("#live-said")
    assert not page.is_visible("#save")
    page.focus("#step")
    page.keyboard.press("Home")
    label = ["calm", "scan"][page.evaluate("card.positive") if p[0] >= 0.2 else 1 - page.evaluate("card.positive")]
    assert page.inner_text("#there").startswith(f"step 1: {label} (")
    program.send("\n".join(json.dumps(row) for row in rows * 9))  # more than is kept, as the rest of the labels
    program.send('["flush"]')
    said(page, "#counts", "3 sequences, 900 steps")
    page.keyboard.press("End")
    page.focus("#watch")
    page.keyboard.press("Enter")
    said(page, "#live-said", "Stopped.")
    assert page.inner_text("#watch") == "Watch"
    assert page.is_visible("#chart")


def test_many_live_sequences(browser: Any, connect: Any, server: Running) -> None:
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/")
    said(page, "#does", "flows gives")
    page.click("#watch")
    said(page, "#live-said", "Nothing has come yet.")
    first, second = (connect("/stream/flows?lookahead=0") for _ in range(2))
    event = {"flow": "same", "x": 1.0, "y": 2.0}
    first.send("\n".join(json.dumps(event | {"flow": str(i)}) for i in range(250)))
    said(page, "#live-said", "more than 200 sequences")
    first.send('["flush"]')
    first.send(json.dumps(event))
    said(page, "#sequence", "same: ")
    second.send(json.dumps(event))
    said(page, "#sequence", "same (stream ")
    assert page.locator("#sequence option").count() == 200
    page.close()


@pytest.mark.every_case
@pytest.mark.slow
def test_a_sequence_of_the_table_live(page: Any, table: Path) -> None:
    opened(page, table)
    page.locator("#late").fill("4")
    assert page.inner_text("#late-value") == "4 later steps"
    for button, words, focus in (("#play", "What flows now", "watch"), ("#back", "What it says", "what")) * 2:
        page.focus(button)
        page.keyboard.press("Enter")
        said(page, "#what", words)
        assert page.evaluate("document.activeElement.id") == focus  # as the button is hidden
    page.click("#play")
    said(page, "#counts", "1 sequence, 40 steps")
    page.click("#back")
    assert "3 sequences, 120 steps" in page.inner_text("#counts")
    assert page.inner_text("#watch") == "Watch"
    assert page.is_visible("#save")


@pytest.mark.every_case
def test_other_models_and_what_goes_wrong(page: Any, table: Path, tmp_path: Path) -> None:
    page.select_option("#model", "kinds")
    said(page, "#does", "kinds gives")
    opened(page, table)
    assert "3 sequences. one: " in page.inner_text("#counts")
    assert not page.is_visible("#live-part")
    page.select_option("#model", "numbers")
    said(page, "#does", "numbers gives")
    assert "only programs" in page.inner_text("#said")
    page.set_viewport_size({"width": 500, "height": 800})  # nothing is drawn where nothing is shown
    page.evaluate("new Promise(requestAnimationFrame)")
    page.select_option("#model", "flows")
    said(page, "#does", "flows gives")
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("x")
    page.set_input_files("#file", wrong)
    page.wait_for_selector("#said.wrong")
    assert "must end in .csv" in page.inner_text("#said")


@pytest.mark.slow
def test_a_key_is_asked_for(browser: Any, tmp_path: Path, start: Any) -> None:
    store.save(MODEL, tmp_path / "flows.bothways")
    server = start(tmp_path, BOTHWAYS_API_KEY="secret")
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.wait_for_selector("#key:focus")
    assert page.inner_text("#said") == ""
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    said(page, "#said.wrong", "The server does not take this key.")
    assert not page.is_visible("#main")
    page.fill("#key", "secret")
    page.keyboard.press("Enter")
    page.wait_for_selector("#does:not(:empty)")
    FRAME.write_csv(tmp_path / "flows.csv")
    opened(page, tmp_path / "flows.csv")
    page.click("#play")
    said(page, "#counts", "1 sequence, 40 steps")
    page.close()


def test_the_page_for_programs(browser: Any, server: Running) -> None:
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    page.wait_for_selector("article")
    assert "/v2/models/{model}/infer" in page.inner_text("main")
    page.close()
