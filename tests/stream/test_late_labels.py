"""`bothways evaluate --lookahead`: how good and how dear labels are that come late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import jobs, store
from bothways.baselines import Trees
from bothways.cli import main
from bothways.jobs.evaluation import late_scores
from bothways.sequences import Sequences
from stream_cases import model_of, sequences_of, table_model, table_rows


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """A model and a table with labels for it."""
    store.save(table_model("numbers"), tmp_path / "some.bothways")
    random = np.random.default_rng(0)
    rows = [row | {"attack": random.choice(["no", "yes"])} for row in table_rows(times=False)]
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(tmp_path / "some.parquet")
    return [str(tmp_path / "some.bothways"), str(tmp_path / "some.parquet")]


def evaluated(names: list[str], **more: Any) -> Any:
    return jobs.evaluate(names[0], names[1], "all", say=lambda words: None, **more)


def test_each_way_has_its_score(names: list[str]) -> None:
    evaluation = evaluated(names, lookahead=[0, 4, 500])
    ways = [(each.lookahead, each.chunk, each.delay) for each in evaluation.late]
    assert ways == [
        (0, 1, "0"),
        (4, 1, "4"),
        (4, 4, "4 to 7"),
        (500, 1, "500"),
        (500, 500, "500 to 999"),
        (None, 1, "all"),
    ]
    scores = [each.score for each in evaluation.late]
    assert scores[-1].value == evaluation.macro_f1
    assert scores[-1] == evaluation.intervals["macro_f1"] == scores[-2] == scores[-3]
    assert len({each.value for each in scores}) > 1
    assert all(each.microseconds > 0 for each in evaluation.late)
    assert evaluated(names).late == ()


def test_networks_that_read_forward_have_the_one_way_that_they_were_trained_for(names: list[str]) -> None:
    for lookahead in (0, 4):
        store.save(table_model("numbers", direction="forward", lookahead=lookahead), names[0])
        said: list[str] = []
        late, whole = jobs.evaluate(names[0], names[1], "all", say=said.append, lookahead=[0, 16]).late
        assert [each for each in said if f"labels wait for {lookahead} later step" in each]
        assert (late.lookahead, late.chunk, whole.delay) == (lookahead, 1, "all")
        assert late.score == whole.score


def test_a_simple_model_beside_a_network_that_reads_forward_sees_later_steps() -> None:
    sequences = Sequences.from_arrays(sequences_of([9, 9]), np.arange(18) % 3)
    late = late_scores(model_of([{"direction": "forward"}, {"simple": Trees}]), sequences, [0, 4])
    assert [each.lookahead for each in late] == [0, 4, 4, None]


@pytest.mark.slow
def test_the_command_and_the_report_show_it(
    names: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ["evaluate", *names, "--split", "all", "--lookahead", "0,4"]
    with pytest.raises(SystemExit):
        main(command)
    assert "4 to 7" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*command, "--json", "--report", str(tmp_path / "report.html")])
    (late, *_) = json.loads(capsys.readouterr().out)["late"]
    assert set(late) == {"lookahead", "chunk", "score", "microseconds"}
    assert "<h2>Labels in a stream</h2>" in (tmp_path / "report.html").read_text()
    with pytest.raises(SystemExit, match="2"):
        main([*command[:-1], "4,x"])
    assert "such as 0,4,16" in capsys.readouterr().err
