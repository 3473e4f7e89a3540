"""From tables to sequences in parts, as arrays, by the roles of their columns; and back to tables, with labels."""

from bothways.data.columns import Columns, Draw, Guess, Remark, guess_rows, guess_table
from bothways.data.encoding import Encoding, Tally
from bothways.data.fitting import fit_arrays
from bothways.data.labeled import LabeledWriter
from bothways.data.leaks import Leak, find_leaks, refuse_leaks
from bothways.data.prepare import SplitTable, read_and_split
from bothways.data.roles import choose_columns, match_columns
from bothways.data.sequences import hours, read_sequences, times
from bothways.data.splits import GAP, Parts, draw_parts, evaluation_part, groups_of, split_table
from bothways.data.streams import stream_sequences

__all__ = [
    "GAP",
    "Columns",
    "Draw",
    "Encoding",
    "Guess",
    "LabeledWriter",
    "Leak",
    "Parts",
    "Remark",
    "SplitTable",
    "Tally",
    "choose_columns",
    "draw_parts",
    "evaluation_part",
    "find_leaks",
    "fit_arrays",
    "groups_of",
    "guess_rows",
    "guess_table",
    "hours",
    "match_columns",
    "read_and_split",
    "read_sequences",
    "refuse_leaks",
    "split_table",
    "stream_sequences",
    "times",
]
