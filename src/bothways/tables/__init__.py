"""Tables: read from files of any kind, one row per step."""

from bothways.tables.table import Table, read_table

__all__ = ["Table", "read_table"]
