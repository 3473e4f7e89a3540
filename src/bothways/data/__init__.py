"""Tables of sequences: one row a step, read from a file, split into parts, written back with labels."""

from bothways.data.columns import Columns, Draw, choose_columns, match_columns
from bothways.data.sequences import Sequences, read_sequences
from bothways.data.splits import PARTS, Parts, evaluation_part, split_table
from bothways.data.tables import Table, check_output, read_table, with_predictions, write_table

__all__ = [
    "PARTS",
    "Columns",
    "Draw",
    "Parts",
    "Sequences",
    "Table",
    "check_output",
    "choose_columns",
    "evaluation_part",
    "match_columns",
    "read_sequences",
    "read_table",
    "split_table",
    "with_predictions",
    "write_table",
]
