"""What tutorials say of reading both ways, done again over many seeds: what holds, by how much, and how sure that is.

    python studies/claims.py                            the generated problems, into the folder claims/
    python studies/claims.py --data tables -o found     the tables in the folder tables/, too
    python studies/claims.py --quick                    all of it in a few minutes; its findings are worth nothing

The tables are adfa_ld.parquet, occupancy.parquet, japanese_vowels.parquet and ewt_pos.parquet; those that are not there
are left out. For each study there is a page (NAME.html) and the file of its runs (NAME.parquet), and for all of them
summary.txt and summary.json. A study that was stopped goes on where it was when the command is given again; one that is
done is not done again. `--page docs/claims.md` makes the tables of that page anew, and keeps all of it in
studies/claims.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

from bothways import __version__
from bothways.bench.rounds import machine_facts
from bothways.study.page import write_page
from bothways.study.pool import Progress
from claimed import findings, pages, studies
from limits import intrusion_limits

HERE = Path(__file__).absolute().parent

EVERY = 20.0
"""Seconds between two lines on how far a study is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the studies, and write what they say."""
    options = _options(arguments)
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    # Processes of `compare` load tasks that are defined here.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    # Many studies have networks of the same shapes: what one has compiled serves the others.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(output.absolute() / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    done, started = {}, time.monotonic()
    for study in studies.STUDIES:
        if options.only and study.name not in options.only:
            continue
        if study.table and not (options.data / study.table).exists():
            _say(f"{study.name}: left out, for there is no {options.data / study.table}.")
            continue
        _say(f"{study.name} ...")
        each = studies.run(
            study.quick() if options.quick else study,
            output,
            options.data,
            options.quick,
            _say,
            _progress(),
            options.workers,
        )
        done[study.name] = each
        for metric, found in each.found.items():
            _page(output / _page_name(study, metric), found, study)
    # Exact, but of a sample; the quick one is small.
    limits = intrusion_limits(100, n_sequences=50 if options.quick else 2000) if "intrusion-flows" in done else {}
    about = {"quick": options.quick, "machine": machine_facts(), "versions": _versions()}
    all_found = pages.summary(done, findings.findings(done, limits), limits, about)
    content = json.dumps(all_found, indent=1) + "\n"
    (output / "summary.json").write_text(content, encoding="utf-8")
    (output / "summary.txt").write_text(pages.words(all_found) + "\n", encoding="utf-8")
    print(pages.words(all_found))
    if options.page is not None:
        filled = pages.filled(options.page.read_text(encoding="utf-8"), pages.blocks(all_found))
        options.page.write_text(filled, encoding="utf-8")
        (HERE / "claims.json").write_text(content, encoding="utf-8")
    _say(f"This took {(time.monotonic() - started) / 60:.1f} minutes.")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="FOLDER", help="the folder of tables")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("-o", "--output", type=Path, default=Path("claims"), metavar="FOLDER", help="for all results")
    names = [study.name for study in studies.STUDIES]
    parser.add_argument("--only", nargs="+", choices=names, default=[], metavar="STUDY", help=", ".join(names))
    parser.add_argument("--workers", type=int, help="processes side by side; as many as there are cores if not given")
    parser.add_argument("--page", type=Path, metavar="FILE", help="a page in Markdown whose tables are made anew")
    return parser.parse_args(arguments)


def _page_name(study: studies.Study, metric: str) -> str:
    return f"{study.name}.html" if metric == study.metrics[0] else f"{study.name}-{metric.replace('@', '-at-')}.html"


def _page(path: Path, found: Any, study: studies.Study) -> None:
    settings = {name.replace("_", " "): value for name, value in study.settings.items()}
    write_page(path, found, settings or {"settings": "defaults"})


def _versions() -> dict[str, str]:
    return {"bothways": __version__} | {name: version(name) for name in ("keras", "jax", "numpy")}


def _progress() -> Callable[[Progress], None]:
    """A line now and then."""
    last = time.monotonic()

    def on_progress(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            left = "" if progress.seconds_left is None else f", about {progress.seconds_left:.0f} s left"
            _say(f"  {len(progress.done)} of {progress.total} runs{left}")

    return on_progress


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
