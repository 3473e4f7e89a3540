"""Many settings, many seeds: what helps, by how much, and how sure that is.

from bothways import compare

found = compare("cumulative-sum", {"direction": None, "units": [8, 16]}, seeds=10)
print(*found.verdict(), sep="\\n")

factors      what can be varied; a setting is one value, from its words to its result
grid         the settings, and those that cannot work, which are refused before anything is trained
tasks        what is learned: a table in parts that are fixed or drawn for each seed, or a generated problem
pool         runs side by side, by joblib: processes here, or a cluster of Ray or Dask
worker       what such a process does: it compiles a setting once and trains it with one seed after the other
runs         what came of a run, and the files in which it is kept at once
results      intervals over seeds and sequences, paired differences, corrected p-values, shares of variance
plan         what a search for settings that suit a table tries, and in which order
clock        the time that it has
held_out     what is held out of training, and what it decides
trials       its trials: what all share, and how one is trained and validated
tuning       that search: settings within a budget, and an average of the best networks
view, page   the tables that are shown, and a page of HTML
"""

from __future__ import annotations

from bothways.study.comparing import compare
from bothways.study.results import Comparison, Difference, SettingResult
from bothways.study.tasks import Split, Task, array_task, problem_task

__all__ = ["Comparison", "Difference", "SettingResult", "Split", "Task", "array_task", "compare", "problem_task"]
