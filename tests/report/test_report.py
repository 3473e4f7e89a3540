"""The report page: complete in itself, true to its numbers, and safe from what it is given."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bothways.errors import DataError, InputError, MissingDependencyError
from bothways.metrics import Fall, Importance, evaluate
from bothways.report import Report, check_report_file, sections, verdict, warnings, worst, write_report
from bothways.report.worst import busiest_window, telling_inputs, worst_sequences
from bothways.sequences import Sequences

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module", autouse=True)
def _few_drawings() -> Iterator[None]:
    """Drawing is what takes time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worst, "WORST", 2)
        yield


VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """A page that is well formed: its text, its identifiers, and whatever it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href", "action"):
                self.references.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def made(labels: Any, lengths: Any = None, ids: Any = None) -> Sequences:
    """Labeled steps in sequences of these lengths, or sequences with one label each."""
    per, labels = "sequence" if lengths is None else "step", np.asarray(labels, np.int64)
    lengths = np.ones(len(labels), np.int64) if lengths is None else np.asarray(lengths)
    return Sequences(np.zeros((int(lengths.sum()), 0)), lengths, labels, per=per, ids=ids)


def example(classes: Sequence[Any] = ("calm", "attack"), per: str = "step", **more: Any) -> Report:
    """A model that is right mostly, on 22 sequences; the last one is its worst."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 30, 22)
    count = int(lengths.sum()) if per == "step" else 22
    expected = generator.integers(0, len(classes), count)
    expected[:2] = -1
    said = np.where(generator.random(count) < 0.9, expected.clip(0), generator.integers(0, len(classes), count))
    last = int(lengths[-1]) if per == "step" else 1
    said[-last:] = (expected[-last:] + 1) % len(classes)
    p = generator.dirichlet(np.ones(len(classes)), count) * 0.3
    p[np.arange(count), said] += 0.7
    p[-last:] = np.eye(len(classes))[said[-last:]]
    sequences = made(expected, lengths if per == "step" else None, tuple(f"day {i}" for i in range(22)))
    evaluation = evaluate(
        sequences,
        p,
        classes,
        split="test",
        baselines={"majority": np.zeros(count, int)},
        positive=1,
        threshold=0.6,
        asked=0.01,
        hours=2.0,
    )
    evaluation = replace(evaluation, warnings=warnings(evaluation))
    return Report("room", evaluation, sequences, p, **more)


def epoch(number: int, loss: float, valid_loss: float, metric: float, best: bool = False) -> dict[str, Any]:
    return {"epoch": number, "loss": loss, "valid_loss": valid_loss, "valid_metric": metric, "best": best}


def written(report: Report, folder: Path) -> tuple[str, Page]:
    write_report(folder / "report.html", report)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def plain(_few_drawings: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    """The page of the example as it is."""
    return written(example(), tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    ("classes", "per"),
    [
        (("calm", "attack"), "step"),
        pytest.param(tuple("abcdefghijklm"), "step", marks=pytest.mark.slow),
        (range(30), "sequence"),
        pytest.param((False, True), "sequence", marks=pytest.mark.slow),
    ],
)
def test_a_page_is_complete_in_itself(classes: Sequence[Any], per: str, tmp_path: Path) -> None:
    history = [epoch(1, 0.7, 0.8, 0.5, True), epoch(2, 0.5, 0.6, 0.6, True), epoch(3, 0.4, 0.7, 0.5)]
    report = example(classes, per, positive=1, history=history, facts={"Network": {"units": 32}}, notes=["Mind this."])
    text, page = written(report, tmp_path)
    assert all(reference.startswith("#") for reference in page.references)
    assert {reference.removeprefix("#") for reference in page.references} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert not re.search(r"@import|url\((?!#)|<script|<link|https?://(?!www\.w3\.org/(1999/xlink|2000/svg))", text)
    assert "svg" in page.tags
    # The colours are those of the page, so that they change with it.
    assert not re.search(r"#0[12]0[12][0-9a-f]{2}", text)
    for name in re.findall(r"var\(--([a-z0-9-]+)\)", text):
        assert f"--{name}:" in text
    for said in (
        verdict(report.evaluation).split(". ")[0],
        "Mind this.",
        "units",
        "32",
        "kept: epoch 2",
        "2 steps have",
    ):
        assert said.replace("steps", f"{per}s") in page.text
    assert f"{report.evaluation.macro_f1:.3f}" in page.text
    assert report.evaluation.alarms is not None
    assert f"{report.evaluation.alarms.false_alarms:,} of them false" in page.text
    assert page.text.index("day 21") < page.text.index("Training")  # the worst one


def test_a_threshold_makes_no_model_overconfident() -> None:
    """Probabilities that are as they should be, and labels for which a probability of 0.2 is enough."""
    p = np.repeat([[0.7, 0.3]], 100, axis=0)
    labels, alarms = np.repeat([0, 1], [70, 30]), np.ones(100, np.int64)
    steps = made(labels, [100])
    evaluation = evaluate(steps, p, ("calm", "attack"), predicted=alarms)
    said = sections.confusion_and_calibration(Report("room", evaluation, steps, p, decided=alarms))
    assert evaluation.accuracy == 0.3
    assert evaluation.calibration.error < 1e-9
    assert "well calibrated on the whole" in said
    assert "a probability of 0.700 on average, and a share of 0.700 is right" in said


def test_whatever_it_is_given_stays_text(tmp_path: Path) -> None:
    hostile = "<script>alert('x')</script>"
    classes = ("$\\alpha$ & <i>", f'"{hostile}', "日本語\x00\n")
    report = example(
        classes,
        positive=1,
        facts={hostile: {hostile: hostile}},
        notes=[hostile],
        texts=None,
        history=[epoch(1, 0.5, 0.6, 0.4)],
        metric=f'F1 of "{hostile}',
    )
    text, page = written(report, tmp_path)
    assert "script" not in page.tags
    assert "i" in page.tags  # the bars
    assert "<i>" not in text.replace('<i style="', "")
    assert "\x00" not in text
    assert "$\\alpha$ & <i>" in page.text
    assert "日本語" in page.text


def test_the_legend_has_all_classes(tmp_path: Path) -> None:
    """Whatever they are called: as what matplotlib leaves out, as a colour, or alike where they are cut."""
    long = "network intrusion attempts of a kind that is"
    classes = ("_noise_", "#0102ff", f"{long} known", f"{long} new")
    text, _ = written(example(classes), tmp_path)
    curves = text[text.index('aria-label="Precision against recall"') :].partition("</svg>")[0]
    assert all(name in curves for name in classes[:2])
    assert curves.count(long[:20]) == 2


def timed(**more: Any) -> Report:
    """Steps a minute apart, with an input that tells the labels apart and one that does not."""
    report = example()
    noise = np.random.default_rng(0).normal(size=report.expected.shape)
    values = np.stack([noise, report.expected + 0.1 * noise, noise], axis=1)
    times = np.datetime64("2024-03-01T06:00") + np.arange(len(values)).astype("timedelta64[m]")
    sequences = replace(report.sequences, values=values)
    return replace(report, sequences=sequences, inputs=("idle", "pressure"), times=times, **more)


@pytest.mark.slow
def test_inputs_and_times_stand_under_the_worst_sequences(tmp_path: Path) -> None:
    report = timed()
    assert telling_inputs(report, 1) == [1]
    text, page = written(report, tmp_path)
    last = report.sequences.offsets[-2]
    assert report.times is not None
    assert np.datetime_as_string(report.times, unit="m")[last][11:] in page.text
    assert "2024-03-01" in page.text
    assert page.text.index("pressure") < page.text.index("idle")
    labels = re.findall(r'aria-label="([^"]*)"', text)
    assert len(set(labels)) == len(labels) > 4


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (["2024-03-01T23:59", "2024-03-02T00:01"], ("", ["03-01 23:59", "03-02 00:01"])),
        (["2024-03-01", "2024-05-02"], ("", ["2024-03-01", "2024-05-02"])),
        (["2024-03-01T06:00:01", "2024-03-01T06:00:02"], ("2024-03-01", ["06:00:01", "06:00:02"])),
        (["1970-01-01T06:00", "1970-01-01T07:00"], ("", ["06:00", "07:00"])),
    ],
)
def test_clock_ticks(times: list[str], said: tuple[str, list[str]]) -> None:
    from bothways.report.figures import clock_ticks

    assert clock_ticks(np.array(times, "datetime64[us]")) == said


def test_what_it_takes_to_repeat_it_is_whole(tmp_path: Path) -> None:
    address = "https:/" + "/example.org/" + "long/" * 60
    roles = [("pump_id", "sequence", "its name"), ("at", "order", "a time")]
    facts = {"Training": {"dropout": 0.1, "patience": None}, "Data": {"learned from": address}, "Empty": {}}
    _, page = written(example(facts=facts, roles=roles), tmp_path)
    for said in (address, "patience none", "pump_id sequence its name"):
        assert said in page.text
    assert "Empty" not in page.text


@pytest.mark.parametrize("sequences", [pytest.param(1, marks=pytest.mark.slow), 22])
def test_what_the_labels_rest_on(sequences: int, plain: tuple[str, Page], tmp_path: Path) -> None:
    ends = (None, None) if sequences == 1 else (-0.015, 0.25)
    columns = {f"column {k} <b>": Fall(0.18999 - 0.01 * k, *ends) for k in range(23)}
    found = Importance("entity_f1", 0.9, columns, {"past": Fall(0.1234, *ends)}, 0.85, ("idle",), sequences, 300)
    report = example()
    text, page = written(replace(report, evaluation=replace(report.evaluation, importance=found)), tmp_path)
    assert "What the labels rest on" in page.text
    assert "What the labels rest on" not in plain[1].text
    for said in (
        "column 19 <b>",
        "the past",
        "0.123",
        "where entity F1 is 0.900",
        "neighbours alone, which is 0.850",
        "3 less important columns",
        "Not measured: 1 column",
    ):
        assert said in page.text
    assert "column 20" not in page.text
    assert "-0.000" not in page.text
    assert ("0.123  (-0.015 to 0.250)" in text) == (sequences > 1)
    assert ("those of another place" in page.text) == (sequences == 1)


def test_sequences_with_one_label_show_what_is_inside(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(22)]
    assert "word21" in written(example(per="sequence", texts=words), tmp_path)[1].text
    report = example(per="sequence")
    sequences = replace(report.sequences, values=np.arange(22.0)[:, None])
    _, page = written(replace(report, sequences=sequences, inputs=["pressure"]), tmp_path)
    assert "pressure 21" in page.text


def test_texts_stand_under_short_sequences(tmp_path: Path) -> None:
    report = example()
    words = [f"word{i}" for i in range(len(report.expected))]
    _, page = written(example(texts=words), tmp_path)
    assert words[-1] in page.text


def test_long_sequences_are_cut_and_it_says_so(tmp_path: Path) -> None:
    expected = np.zeros(5000, int)
    expected[4000:4010] = 1
    p = np.tile([0.9, 0.1], (5000, 1))
    sequences = made(expected, [5000])
    evaluation = evaluate(sequences, p, ["a", "b"])
    report = Report("long", replace(evaluation, warnings=warnings(evaluation)), sequences, p)
    _, page = written(report, tmp_path)
    assert "10 of 5,000 steps wrong (0.2%); steps 3,005 to 4,504 are shown, 3,500 others are cut" in page.text
    assert "Only one sequence has labels" in page.text
    assert "The whole table: 5,000 steps in 1 sequence, 2 classes." in page.text


@pytest.mark.parametrize("lengths", [[2, 2], None])
def test_nothing_wrong(lengths: list[int] | None, tmp_path: Path) -> None:
    sequences, p = made([0, 1, 1, 0], lengths), np.eye(2)[[0, 1, 1, 0]]
    report = Report("right", evaluate(sequences, p, ["a", "b"]), sequences, p)
    assert "is labeled wrong." in written(report, tmp_path)[1].text


def test_the_same_page_twice(plain: tuple[str, Page], tmp_path: Path) -> None:
    assert written(example(), tmp_path)[0] == plain[0]


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_report(path, example())
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "before"


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bothways.report.figures", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'bothways\[report\]'"):
        check_report_file(tmp_path / "report.html")


def test_importing_is_cheap() -> None:
    code = (
        "import sys, bothways.report, bothways.baselines; print(sorted({'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "said"),
    [("report.pdf", r"must end in \.html"), ("nowhere/report.html", "there is no folder"), ("x.html", "is a folder")],
)
def test_names_that_cannot_be(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.html").mkdir()
    with pytest.raises(InputError, match=said):
        check_report_file(tmp_path / name)


def test_the_curve_has_the_title_of_its_score(tmp_path: Path) -> None:
    history = [epoch(1, 0.7, 0.8, 0.5, True)]
    text, page = written(example(history=history, metric="F1 of attack"), tmp_path)
    assert "F1 of attack of the valid part" in page.text
    assert 'aria-label="Loss and F1 of attack by epoch"' in text


def test_neither_short_nor_long_sequences_come_first() -> None:
    assert worst_sequences([2, 30, 0, 35], [2, 60, 9, 1000], 10) == [1, 0, 3]
    assert worst_sequences([2, 30, 0, 35], [2, 60, 9, 1000], 1) == [1]


@pytest.mark.parametrize(
    ("wrong", "most", "start"), [([0, 1, 1, 0], 9, 0), ([0, 0, 0, 0, 1, 1], 3, 3), ([1, 0, 0, 0, 0, 1, 1], 2, 5)]
)
def test_the_window_with_most_mistakes(wrong: list[int], most: int, start: int) -> None:
    mistakes: npt.NDArray[np.bool_] = np.array(wrong, bool)
    window = busiest_window(mistakes, most)
    assert window.start == start
    assert window.stop - window.start == min(most, len(wrong))
    best = max(mistakes[i : i + most].sum() for i in range(len(wrong)))
    assert mistakes[window].sum() == best


def test_a_class_has_the_same_colour_in_all_drawings(tmp_path: Path) -> None:
    """Curves stand in the order of their average precisions, and the legend of the worst sequences in that of codes."""
    text, _ = written(example(("calm", "attack", "scan")), tmp_path)
    legend = dict(re.findall(r"background:var\(--([\w-]+)\)\"></span>(\w+)</li>", text))
    drawing = text[text.index("Precision against recall") :]
    drawing = drawing[: drawing.index("</svg>")]
    names = re.findall(r"> (calm|attack|scan)</text>", drawing)
    lines = re.findall(r"line2d_.*?var\(--(class-\d)\)", drawing, re.DOTALL)
    assert [legend[colour] for colour in lines[:3]] == names
    assert len(names) == 3


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1200])
def test_no_row_of_a_table_is_cut(browser: Any, tmp_path: Path, width: int) -> None:
    """Those of the confusion matrix stand above the most frequent mistakes, beside the calibration."""
    write_report(tmp_path / "report.html", example(("calm", "attack", "scan", "flood")))
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((tmp_path / "report.html").as_uri())
    cut = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollHeight > each.clientHeight + 1).length"
    assert page.evaluate(cut) == 0
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()
