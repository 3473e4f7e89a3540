"""`bothways stream`: JSON lines in, labels out, and on after a kill."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from bothways import jobs, store
from bothways.cli import main
from bothways.errors import DataError, InputError
from bothways.fields.kinds import SingleTimes
from bothways.jobs.event_lines import EventLines
from bothways.settings import Reading
from stream_cases import events_of, model_of, sequences_of, table_model, table_rows

KILLED = """
import sys
from bothways import jobs
from bothways.jobs import streaming
streaming.CHECKPOINT_EVERY, streaming.BLOCK = 0.01, 1 << 11
jobs.stream(*sys.argv[1:4], lookahead=8, checkpoint=sys.argv[4], reorder=1, idle=2000, say=lambda words: None)
"""
"""Runs with small blocks and many checkpoints, so that a kill hits between any two of them."""


def _written(path: Path) -> int:
    """When a file was written, 0 if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of arrays and events for it."""
    store.save(model_of([{}]), tmp_path / "some.bothways")
    lines = [
        json.dumps({"key": key, "step": step, "values": values.tolist()})
        for key, step, values in events_of(sequences_of([400, 30, 900, 1, 700]))
    ]
    (tmp_path / "events.jsonl").write_text("\n\n".join(lines))
    return tmp_path


def test_lines_in_give_the_labels_of_the_model(folder: Path) -> None:
    sequences, model = sequences_of([400, 30, 900, 1, 700]), model_of([{}])
    done = jobs.stream(folder / "some.bothways", folder / "events.jsonl", folder / "labels.jsonl", lookahead=1000)
    assert (done.events, done.labels, done.dropped) == (2031, 2031, 0)
    found = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    for k, (labels, p) in enumerate(zip(model.predict(sequences), model.predict_proba(sequences), strict=True)):
        mine = [line for line in found if line["key"] == f"key {k}"]
        assert [line["step"] for line in mine] == list(range(len(labels)))
        assert [line["predicted"] for line in mine] == labels.tolist()
        np.testing.assert_allclose([line["probability"] for line in mine], p.max(axis=1), atol=1e-6)


def test_standard_input_to_standard_output_by_the_columns_of_a_table(tmp_path: Path) -> None:
    store.save(table_model("times"), tmp_path / "some.bothways")
    rows = [row | {"at": row["at"].isoformat()} for row in table_rows(times=True)]
    command = [sys.executable, "-m", "bothways", "stream", str(tmp_path / "some.bothways"), "--lookahead", "3"]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(line["flow"], line["at"]) for line in found} == {(row["flow"], row["at"]) for row in rows}
    assert "200 events, 200 labels" in done.stderr
    assert "never saw ('udp')" in done.stderr


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_file_byte_for_byte(folder: Path) -> None:
    random = np.random.default_rng(0)
    names = [str(folder / name) for name in ("some.bothways", "events.jsonl", "labels.jsonl", "state")]
    command = [sys.executable, "-c", KILLED, *names]
    subprocess.run(command, check=True)
    expected = (folder / "labels.jsonl").read_bytes()
    assert expected.count(b"\n") == 2031
    assert not (folder / "state").exists()
    (folder / "labels.jsonl").unlink()
    kills: list[int] = []
    while len(kills) < 5:
        before = _written(folder / "state")
        process = subprocess.Popen(command)
        while process.poll() is None and _written(folder / "state") == before:
            time.sleep(0.005)
        with suppress(subprocess.TimeoutExpired):
            process.wait(random.uniform(0, 0.1))
        if process.poll() is not None:
            break
        process.kill()
        kills.append(process.wait())
    assert kills
    subprocess.run(command, check=True)
    assert (folder / "labels.jsonl").read_bytes() == expected


def test_a_checkpoint_that_does_not_fit_is_refused(folder: Path) -> None:
    names = [folder / name for name in ("some.bothways", "events.jsonl", "labels.jsonl")]
    for output in ("-", "/dev/null"):
        with pytest.raises(InputError, match=r"give a file, output='NAME.jsonl'"):
            jobs.stream(names[0], names[1], output, checkpoint=folder / "state")
    (folder / "labels.jsonl").touch()
    (folder / "state").write_text("{}")
    with pytest.raises(InputError, match=r"state: this checkpoint is of no use here.*damaged"):
        jobs.stream(*names, checkpoint=folder / "state")
    (folder / "labels.jsonl").unlink()
    with pytest.raises(InputError, match=r"state: .* goes on with .*labels.jsonl, which is not there. Put it back, or"):
        jobs.stream(*names, checkpoint=folder / "state")
    (folder / "labels.jsonl").touch()
    stream = model_of([{}]).stream()
    none = {"lines": 0, "labels": 0, "skipped": 0, "first_bad": "", "seen": hashlib.sha256().hexdigest()}
    for facts, said in (({"read": 10**9, "written": 0}, "events end before"), ({"read": 0, "written": 9}, "shorter")):
        line = json.dumps(none | facts).encode()
        mark = hashlib.sha256(line).hexdigest().encode()
        (folder / "state").write_bytes(b"\n".join([line, mark, stream.save()]))
        with pytest.raises(DataError, match=said):
            jobs.stream(*names, checkpoint=folder / "state")
        (folder / "state").write_bytes(b"\n".join([line.replace(b"0", b"1"), mark, stream.save()]))
        with pytest.raises(InputError, match="of no use here"):
            jobs.stream(*names, checkpoint=folder / "state")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Line 2 is no JSON: .* at character 2"),
        ('{"key": "a", "step": 1}', "Line 2 has no 'values'; an event, which is one step of a sequence, needs it"),
        ('{"key": null, "step": 1, "values": [1, 2, 0]}', "'key' is None, which names no sequence"),
        ('{"key": true, "step": 1, "values": [1, 2, 0]}', "'key' is True, which names no sequence"),
        ('{"key": "a", "step": "soon", "values": [1, 2, 0]}', "Line 2 is no event"),
        ('{"key": "a", "step": null, "values": [1, 2, 0]}', "Line 2: A step is None"),
        ('{"key": "a", "step": 1, "values": [1, 2]}', r"Line 2: .* a list of 3 numbers; these are \[1, 2\]"),
        ('{"key": "a", "step": 1, "values": [1, [2], 0]}', "Line 2: .* not all of one length"),
        ('{"key": "a", "step": 1, "values": ["x", 2, 0]}', r"Line 2: .* these are \['x', '2', '0'\]"),
        ('{"key": "a", "step": 1, "values": {"x": 1}}', "Line 2: .* these are {'x': 1}"),
        ('{"key": "a", "step": 1, "values": [{"x": 1}, 2, 0]}', "Line 2: .* what is no number: .* 'dict'"),
        ('{"key": "a", "step": 1, "values": 5}', "Line 2: .* these are 5"),
        ('{"key": "a", "step": 1, "values": [1, 2, %s]}' % ("9" * 400), "Line 2: .* number that is out of range"),
        ('{"key": "a", "step": %s, "values": [1, 2, 0]}' % ("9" * 400), "Line 2: A step is a number that is out of"),
        ('{"key": "a", "step": 1, "values": [1, 2, %s]}' % ("9" * 5000), "Line 2 holds a number that is out of range"),
        ('{"key": "a", "step": 1, "values": %s' % ("[" * 100_000), "Line 2 is nested too deeply"),
        ('{"key": NaN, "step": 1, "values": [1, 2, 0]}', "'key' is nan, which names no sequence"),
        ('{"key": "\\ud800", "step": 1, "values": [1, 2, 0]}', "Line 2 is no text in UTF-8"),
        ("[1, 2]", "Line 2 is no JSON object"),
        ("5", "Line 2 is no JSON object"),
    ],
)
def test_a_line_that_is_no_event_is_named(folder: Path, line: str, said: str) -> None:
    (folder / "events.jsonl").write_text('{"key": "a", "step": 0, "values": [1, 2, 0]}\n' + line)
    with pytest.raises(DataError, match=said):
        jobs.stream(folder / "some.bothways", folder / "events.jsonl", folder / "labels.jsonl")


def cut_short(folder: Path, line: bytes, at: int) -> tuple[list[Path], bytes]:
    """The files of a run, with a line before the others from `at` on; and what the events are without it."""
    lines = (folder / "events.jsonl").read_bytes().split(b"\n")
    (folder / "events.jsonl").write_bytes(b"\n".join([*lines[:at], line, *lines[at:]]))
    return [folder / name for name in ("some.bothways", "events.jsonl", "labels.jsonl")], b"\n".join(lines)


def labels_of(folder: Path, events: bytes) -> bytes:
    (folder / "whole.jsonl").write_bytes(events)
    jobs.stream(folder / "some.bothways", folder / "whole.jsonl", folder / "expected.jsonl")
    return (folder / "expected.jsonl").read_bytes()


BAD = b'{"key": "key 0", "step": 1000, "values": [1, 2]}'


@pytest.mark.parametrize("line", [BAD, b"{"])
@pytest.mark.parametrize("at", [0, 778, 5000])
def test_a_bad_line_loses_no_event_before_it(folder: Path, line: bytes, at: int) -> None:
    names, events = cut_short(folder, line, at)
    number = min(at, len(events.split(b"\n"))) + 1
    with pytest.raises(DataError, match=rf"^Line {number:,}[ :].*add skip_bad=True\.$"):
        jobs.stream(*names)
    before = b"\n".join(events.split(b"\n")[:at])
    assert names[2].read_bytes() == labels_of(folder, before)


@pytest.mark.parametrize("line", [BAD, b"{"])
@pytest.mark.parametrize("at", [0, 778, 5000])
def test_after_a_bad_line_a_run_goes_on_from_the_checkpoint(folder: Path, line: bytes, at: int) -> None:
    names, events = cut_short(folder, line, at)
    for _ in range(2):
        with pytest.raises(DataError, match=r"^Line "):
            jobs.stream(*names, checkpoint=folder / "state")
    said: list[str] = []
    mended = at == 778
    if mended:
        whole = names[1].read_bytes()
        names[1].write_bytes(whole.replace(line + b"\n", b"", 1))
    done = jobs.stream(*names, checkpoint=folder / "state", skip_bad=not mended, say=said.append)
    assert (done.events, done.labels, done.skipped) == (2031, 2031, int(not mended))
    assert names[2].read_bytes() == labels_of(folder, events)
    assert not (folder / "state").exists()
    assert [each[:54] for each in said] == ["1 line was no event for this model, and skipped. The f"] * (not mended)


def test_bad_lines_that_are_skipped_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [BAD, b"{", b"null", b"", b"[]"]
    names, events = cut_short(folder, b"\n".join(bad), 200)
    with pytest.raises(SystemExit, match="0"):
        main(["stream", *map(str, names[:2]), "-o", str(names[2]), "--skip-bad"])
    said = " ".join(capsys.readouterr().err.split())
    assert "4 lines were no events for this model, and skipped. The first: Line 201: The values of an event" in said
    assert names[2].read_bytes() == labels_of(folder, events)


def test_what_was_dropped_is_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = '{"key": "a", "step": 0, "values": [1, 2, 0]}\n'
    for times, said in ((2, "1 event was late or came twice."), (3, "2 events were late or came twice.")):
        (folder / "events.jsonl").write_text(line * times)
        with pytest.raises(SystemExit, match="0"):
            main(["stream", *(str(folder / name) for name in ("some.bothways", "events.jsonl"))])
        assert f"{times} events, 1 label; {said}" in " ".join(capsys.readouterr().err.split())


def test_one_file_is_not_taken_for_two_things(folder: Path) -> None:
    model, events = folder / "some.bothways", folder / "events.jsonl"
    (folder / "link.jsonl").hardlink_to(events)
    before = {path: path.read_bytes() for path in (model, events)}
    for output, checkpoint, said in (
        (events, None, "the file of the events; name another one for the labels"),
        (folder / "link.jsonl", None, "the file of the events"),
        (model, None, "the file of the model"),
        (folder / "labels.jsonl", events, "the file of the events; name another one for the checkpoint"),
        (folder / "labels.jsonl", model, "the file of the model"),
        (folder / "labels.jsonl", folder / "." / "labels.jsonl", "the file of the labels"),
        (
            folder / "labels.csv",
            None,
            "are lines of JSON; call their file NAME.jsonl",
        ),
        (folder / "labels.jsonl.gz", None, "are lines of JSON"),
    ):
        with pytest.raises(InputError, match=said):
            jobs.stream(model, events, output, checkpoint=checkpoint)
    assert {path: path.read_bytes() for path in before} == before


def test_compressed_events_go_on_from_a_checkpoint(folder: Path) -> None:
    names, events = cut_short(folder, BAD, 900)
    packed = gzip.compress(names[1].read_bytes())
    names[1] = folder / "EVENTS.JSONL.GZ"
    names[1].write_bytes(packed)
    with pytest.raises(DataError, match=r"^Line 901: "):
        jobs.stream(*names, checkpoint=folder / "state")
    names[1].write_bytes(packed[:-100])
    with pytest.raises(DataError, match=r"EVENTS.JSONL.GZ: .* cut short"):
        jobs.stream(*names, checkpoint=folder / "state", skip_bad=True)
    names[1].write_bytes(packed)
    done = jobs.stream(*names, checkpoint=folder / "state", skip_bad=True, say=lambda words: None)
    assert (done.events, done.skipped) == (2031, 1)
    assert names[2].read_bytes() == labels_of(folder, events)


def test_text_comes_out_as_it_came_in(tmp_path: Path) -> None:
    """Keys and times, also after a restart; times with a zone are told apart by what they mean."""
    store.save(table_model("times", direction="forward"), tmp_path / "some.bothways")
    rows = [row | {"flow": "mäschine"} for row in table_rows(times=True)[:4]]
    texts = ["2024-02-28 23:59Z", "2024-02-29T01:00:00.5+01:00", "20240229T000001Z", "2024-02-29T00:00:02.000+00:00"]
    lines = [json.dumps(row | {"at": text}) + "\n" for row, text in zip(rows, texts, strict=True)]
    names = [tmp_path / name for name in ("some.bothways", "events.jsonl", "labels.jsonl")]
    names[1].write_text("".join(["\ufeff", *lines[:2], "{\n", *lines[2:]]))
    for skip_bad in (False, True):
        with suppress(DataError):
            jobs.stream(*names, checkpoint=tmp_path / "state", skip_bad=skip_bad, lookahead=3, say=lambda words: None)
    found = names[2].read_text()
    assert [json.loads(line)["at"] for line in found.splitlines()] == texts
    assert found.startswith('{"flow": "mäschine", "at": "2024-02-28 23:59Z", ')
    names[1].write_text(lines[0] + json.dumps(rows[1] | {"at": "2024-02-29T00:00:00"}))
    with pytest.raises(
        DataError, match=r"Line 2: A step is 2024-02-29T00:00:00; the steps .* must be times with time zones"
    ):
        jobs.stream(*names, lookahead=3)
    names[1].write_text(json.dumps(rows[0] | {"at": "2024-02-29T00:00:00"}) + "\n" + lines[1])
    with pytest.raises(
        DataError, match=r"Line 2: A step is .*:00.5.01:00; the steps .* must be times without time zones"
    ):
        jobs.stream(*names, lookahead=3)
    names[1].write_text(json.dumps(rows[1] | {"at": "31.12."}))
    with pytest.raises(DataError, match=r"Line 1 .*'at' is '31.12.', which is no number and no time"):
        jobs.stream(*names, lookahead=3)


def test_times_as_the_table_had_them_and_numbers_as_text(tmp_path: Path) -> None:
    """They come out as they came in, also after a restart; the labels are those of the same times as in ISO 8601."""
    model = table_model("times", direction="forward")
    assert model.columns is not None
    columns = replace(model.columns, reading=Reading(dates="month-first"))
    store.save(replace(model, columns=columns), tmp_path / "some.bothways")
    names = [tmp_path / name for name in ("some.bothways", "events.jsonl", "labels.jsonl")]
    rows = table_rows(times=True)[:3]
    written = [["1/2/2024 11:59 PM", "01/03/2024 12:00:05 AM", "01/03/2024 1:07 AM"]]
    written.append(["2024-01-02T23:59", "2024-01-03 00:00:05", "20240103T010700"])
    labels = []
    for texts in written:
        lines = "".join(json.dumps(row | {"at": at}) + "\n" for row, at in zip(rows, texts, strict=True))
        names[1].write_text(lines + "{")
        with pytest.raises(DataError):
            jobs.stream(*names, lookahead=3, checkpoint=tmp_path / "state")
        names[1].write_text(lines)
        jobs.stream(*names, lookahead=3, checkpoint=tmp_path / "state")
        found = [json.loads(line) for line in names[2].read_text().splitlines()]
        assert [each.pop("at") for each in found] == texts
        labels.append(found)
    assert labels[0] == labels[1]
    form = EventLines(model, key="flow", step="at")
    told = [form.event(json.dumps(rows[0] | {"at": at}), 1) for at in ("17", " 2.5")]
    assert [event and event[1] for event in told] == [17, 2.5]
    told = [form.event(json.dumps(rows[0] | {"at": at}), 1) for at in ("20240103010700", "20240103")]
    assert [event and event[1] for event in told] == [datetime(2024, 1, 3, 1, 7), datetime(2024, 1, 3)]
    told = [EventLines(table_model("numbers")).event(json.dumps(rows[0] | {"at": "20240103"}), 1)]
    assert [event and event[1] for event in told] == [20240103]
    for wrong in ("01/02/2024 5:44", "1_000", "18:05"):
        with pytest.raises(DataError, match=r"no number and no time. Times as in ISO 8601, .* in one way only"):
            form.event(json.dumps(rows[0] | {"at": wrong}), 1)


def test_how_a_time_is_read_does_not_depend_on_those_before_it() -> None:
    times = SingleTimes("month-first")
    assert [times.read(text) for text in ("04.04.2024", "05.04.2024")] == [datetime(2024, 4, 4), datetime(2024, 4, 5)]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_quiet_stream_is_saved_each_second_and_when_it_is_stopped(folder: Path, number: int) -> None:
    names = [str(folder / name) for name in ("some.bothways", "labels.jsonl", "state")]
    command = [sys.executable, "-m", "bothways", "stream", names[0], "-", "-o", names[1], "--checkpoint", names[2]]
    events = (folder / "events.jsonl").read_bytes()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(events[:50_000])
    process.stdin.flush()
    until = time.monotonic() + 30
    while not (folder / "state").exists() and time.monotonic() < until:
        time.sleep(0.05)
    before = json.loads((folder / "state").read_bytes().partition(b"\n")[0])["read"]
    assert 49_000 < before <= 50_000
    process.stdin.write(events[50_000:60_000])
    process.stdin.flush()
    time.sleep(0.3)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert b"Stopped. The same command goes on where it was" in said.replace(b"\n", b" ")
    assert json.loads((folder / "state").read_bytes().partition(b"\n")[0])["read"] > 59_000
    done = subprocess.run([*command, "--json"], input=events, capture_output=True, check=True)
    assert json.loads(done.stdout) == {"events": 2031, "labels": 2031, "dropped": 0, "skipped": 0}
    assert Path(names[1]).read_bytes() == labels_of(folder, events)


def test_idle_takes_units(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(folder / name) for name in ("some.bothways", "events.jsonl")]
    with pytest.raises(SystemExit, match="2"):
        main(["stream", *names, "--idle", "soon"])
    assert "idle is 'soon'; it must be a time" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["stream", *names, "--json"])
    with pytest.raises(SystemExit):
        main(["stream", *names, "--json", "--idle", "2m", "-o", str(folder / "labels.jsonl")])
    assert json.loads(capsys.readouterr().out) == {"events": 2031, "labels": 2031, "dropped": 0, "skipped": 0}


def test_a_line_without_an_end_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.jobs.streaming.LONGEST_LINE", 1 << 21)
    (folder / "events.jsonl").write_text("x" * (1 << 22))
    with pytest.raises(DataError, match="Line 1 has more than 2 MiB"):
        jobs.stream(folder / "some.bothways", folder / "events.jsonl", folder / "labels.jsonl")


def test_labels_in_a_file_need_no_standard_output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a notebook takes text alone."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    jobs.stream(folder / "some.bothways", folder / "events.jsonl", folder / "labels.jsonl")
    assert (folder / "labels.jsonl").read_text().count("\n") == 2031


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_that_is_full_is_named(folder: Path) -> None:
    (folder / "events.jsonl").write_text('{"key": "a", "step": 0, "values": [1, 2, 0]}\n')
    with pytest.raises(DataError, match=r"/dev/full: cannot be written \(No space left"):
        jobs.stream(folder / "some.bothways", folder / "events.jsonl", "/dev/full")


@pytest.mark.parametrize(
    ("events", "checkpoint", "said"),
    [
        ("/proc/self/mem", None, r"/proc/self/mem: cannot be read \(Input"),
        ("events.jsonl", ".", r"cannot be opened \(Is a directory"),
    ],
)
def test_what_cannot_be_read_is_named(folder: Path, events: str, checkpoint: str | None, said: str) -> None:
    names = [folder / name for name in ("some.bothways", events, "labels.jsonl")]
    with pytest.raises(DataError, match=said):
        jobs.stream(*names, checkpoint=checkpoint and folder / checkpoint)


def test_a_signal_without_a_checkpoint_ends_all_sequences_and_says_what_was_met(folder: Path) -> None:
    names = [str(folder / name) for name in ("some.bothways", "labels.jsonl")]
    command = [sys.executable, "-m", "bothways", "stream", names[0], "-", "-o", names[1], "--skip-bad"]
    command += ["--lookahead", "2"]
    lines = [json.dumps({"key": "a", "step": step, "values": [1, step, 0]}) for step in (0, 1, 2, 2, 3)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    for text in ("no event", *lines):
        process.stdin.write(f"{text}\n".encode())
    process.stdin.flush()
    until = time.monotonic() + 30
    while not (Path(names[1]).exists() and Path(names[1]).read_bytes()) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    words = said.decode().replace("\n", " ")
    assert "1 line was no event for this model, and skipped" in words
    assert "1 event was late or came twice, and dropped" in words
    assert [json.loads(line)["step"] for line in Path(names[1]).read_text().splitlines()] == [0, 1, 2, 3]


def test_a_checkpoint_is_for_the_events_that_were_read(folder: Path) -> None:
    names = [folder / name for name in ("some.bothways", "events.jsonl", "labels.jsonl")]
    lines = names[1].read_text().splitlines(keepends=True)
    names[1].write_text("".join([*lines[:300], "no event\n"]))
    with pytest.raises(DataError, match="Line 301 is no JSON"):
        jobs.stream(*names, checkpoint=folder / "state")
    before = names[2].read_bytes()
    names[1].write_text("".join(lines[2:]))
    with pytest.raises(DataError, match=r"not those that were read\. Give the same ones from their beginning"):
        jobs.stream(*names, checkpoint=folder / "state")
    names[1].write_text("".join(lines))
    with pytest.raises(InputError, match=r"of no use here.* Its key and step were 'key' and 'step'"):
        jobs.stream(*names, checkpoint=folder / "state", key="step")
    assert names[2].read_bytes() == before
    jobs.stream(*names, checkpoint=folder / "state")
    assert names[2].read_bytes() == labels_of(folder, names[1].read_bytes())


@pytest.mark.parametrize("value", ["quic", "text"])
def test_what_was_met_before_a_restart_is_said_after_it(tmp_path: Path, value: str) -> None:
    names = [tmp_path / name for name in ("some.bothways", "events.jsonl", "labels.jsonl")]
    store.save(table_model(""), names[0])
    rows = [json.dumps(row, default=str) for row in table_rows(False)[:3]]
    odd = json.dumps(table_rows(False)[4] | {"proto": value}, default=str)
    names[1].write_text("\n".join([odd, *rows, "no event"]))
    with pytest.raises(DataError):
        jobs.stream(*names, checkpoint=tmp_path / "state")
    names[1].write_text("\n".join([odd, *rows, ""]))
    said: list[str] = []
    jobs.stream(*names, checkpoint=tmp_path / "state", say=said.append)
    assert any(f"'proto': 1 row with values that training never saw ({value!r})" in notice for notice in said)


def test_compressed_standard_input_is_named(folder: Path) -> None:
    command = [sys.executable, "-m", "bothways", "stream", str(folder / "some.bothways")]
    done = subprocess.run(command, input=gzip.compress(b"{}"), capture_output=True)
    assert done.returncode == 2
    assert b"Line 1 is compressed by gzip" in done.stderr


def test_standard_input_that_is_closed_is_told(folder: Path) -> None:
    command = f"{sys.executable} -m bothways stream {folder / 'some.bothways'} <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True)
    assert (done.returncode, done.stderr[:33]) == (2, b"Error: Standard input is closed; ")


def test_standard_output_that_is_closed_is_told(folder: Path) -> None:
    command = f"{sys.executable} -m bothways stream {folder / 'some.bothways'} </dev/null >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr[:34]) == (2, b"Error: Standard output is closed; ")


def test_keys_are_joined_as_columns_of_tables_are(tmp_path: Path) -> None:
    form = EventLines(table_model(""), key="site,machine", step="at")
    keys = set()
    for site, machine in (("s", 1), (" s ", 1.0), ("s", "1")):
        event = form.event(json.dumps({"site": site, "machine": machine, "at": 1}), 1)
        assert event is not None
        keys.add(event[0])
    assert keys == {"s,1"}
