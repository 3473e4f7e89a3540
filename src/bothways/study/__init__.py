"""Many settings, many seeds: what helps, by how much, and how sure that is.

    from bothways import compare

    found = compare("cumulative-sum", {"direction": None, "units": [8, 16]}, seeds=10)
    print(found.verdict())

How it hangs together, each in a module of its own:

- `factors`: every field of `Network` and `Settings` can be varied, under its own name.
- `grid`: the settings; those of which a factor does nothing (how to merge one direction) share their runs; those that
  cannot work are refused before anything is trained.
- `tasks`: a table in parts, or a generated problem. For every setting a seed has the same initial weights wherever
  shapes agree, the same order of the data and, for generated problems, the same data.
- `workers`, `worker`: runs side by side, one process a core with one thread. A setting is compiled once, and all its
  seeds run through that program in turn: for small models compiling is most of the time. An engine call works on one
  set of weights, so that mapping a program over seeds would only queue the same calls.
- `runs`: a run that is done is kept at once; whatever ends a study, it goes on from there.
- `scores`, `statistics`: runs are kept as counts for each sequence, so that any score of any sample of sequences can be
  made of them; intervals are over seeds and sequences both, differences are paired, p-values corrected.
- `results`: what came of it. `comparing`: all of this as one function. `page`: the same as a page.
"""

from __future__ import annotations

from bothways.study.comparing import compare
from bothways.study.results import Comparison, Difference, Setting
from bothways.study.tasks import ArrayTask, ProblemTask

__all__ = ["ArrayTask", "Comparison", "Difference", "ProblemTask", "Setting", "compare"]
