"""`bothways stream`: JSON lines in, labels out, and on after a kill."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from bothways import jobs, store
from bothways.cli import main
from bothways.errors import DataError, InputError
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
    with pytest.raises(InputError, match=r"give a file, output='NAME.jsonl'"):
        jobs.stream(*names[:2], checkpoint=folder / "state")
    (folder / "labels.jsonl").touch()
    (folder / "state").write_text("{}")
    with pytest.raises(InputError, match=r"state: this checkpoint is of no use here.*damaged"):
        jobs.stream(*names, checkpoint=folder / "state")
    stream = model_of([{}]).stream()
    for facts, said in (({"read": 10**9, "written": 0}, "events end before"), ({"read": 0, "written": 9}, "shorter")):
        (folder / "state").write_bytes(json.dumps({"lines": 0} | facts).encode() + b"\n" + stream.save())
        with pytest.raises(DataError, match=said):
            jobs.stream(*names, checkpoint=folder / "state")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Line 2 is no JSON: .* at character 2"),
        ('{"key": "a", "step": 1}', "Line 2 has no 'values'"),
        ('{"key": null, "step": 1, "values": [1, 2, 0]}', "'key' is None, which names no sequence"),
        ('{"key": "a", "step": "soon", "values": [1, 2, 0]}', "Line 2 is no event"),
        ('{"key": "a", "step": null, "values": [1, 2, 0]}', "lines from 2 to 2: A step is None"),
        ('{"key": "a", "step": 1, "values": [1, 2]}', "lines from 2 to 2"),
    ],
)
def test_a_line_that_is_no_event_is_named(folder: Path, line: str, said: str) -> None:
    (folder / "events.jsonl").write_text('{"key": "a", "step": 0, "values": [1, 2, 0]}\n' + line)
    with pytest.raises(DataError, match=said):
        jobs.stream(folder / "some.bothways", folder / "events.jsonl", folder / "labels.jsonl")


def test_idle_takes_units(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(folder / name) for name in ("some.bothways", "events.jsonl")]
    with pytest.raises(SystemExit, match="2"):
        main(["stream", *names, "--idle", "soon"])
    assert "idle is 'soon'; it must be a time" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["stream", *names, "--json"])
    with pytest.raises(SystemExit):
        main(["stream", *names, "--json", "--idle", "2m", "-o", str(folder / "labels.jsonl")])
    assert json.loads(capsys.readouterr().out) == {"events": 2031, "labels": 2031, "dropped": 0}
