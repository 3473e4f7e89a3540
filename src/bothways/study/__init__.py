"""Many settings, many seeds: what helps, by how much, and how sure that is.

from bothways import compare

found = compare("cumulative-sum", {"direction": None, "units": [8, 16]}, seeds=10)
print(*found.verdict(), sep="\\n")

From arguments to runs: factors, grid, tasks, pool, worker, runs. From runs to what they say: statistics, results, view,
page. A search for settings that suit a table: plan, trials, held_out, tuning.
"""

from __future__ import annotations

from bothways.study.comparing import compare
from bothways.study.results import Comparison, Difference, SettingResult
from bothways.study.tasks import Split, Task, array_task, problem_task

__all__ = ["Comparison", "Difference", "SettingResult", "Split", "Task", "array_task", "compare", "problem_task"]
