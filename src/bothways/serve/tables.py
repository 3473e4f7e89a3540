"""Tables in, the same tables with labels out; and what the page shows of a model and of a table."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType
from typing import Any, NamedTuple

from bothways.data import Columns, stream_sequences
from bothways.data.renaming import as_trained
from bothways.errors import BothwaysError, InputError, calling
from bothways.jobs.models import table_columns
from bothways.jobs.prediction import decide, label, threshold_of
from bothways.runtime import Model
from bothways.serve.messages import HttpRequest, RefusedError
from bothways.serve.models import Served
from bothways.tables import Table, sources
from bothways.tables.table import with_joined
from bothways.tables.words import word_column

FORMATS = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
}
"""Endings of files by content types."""

INPUTS = {**FORMATS, "text/plain": ".txt"}
"""The same, of what may be sent; text is cut into words, and comes back as a table of them."""

VIEW = "application/json"

MOST_COLUMNS = 20_000
MOST_LINE = 1 << 20  # bytes of a line of a table
MOST_TEXT_LINE = 1 << 16  # and of one of text, which is cut into words at once, while all else waits

MOST_FIELDS = 2_000_000  # how many numbers a view holds at most; what stands beyond is not shown


class Asked(NamedTuple):
    """How a table is to be labeled."""

    ending: str  # of a file of its format
    output: str  # that of the labeled table; "" for a view
    kind: str  # the content type of the answer
    threshold: str | None = None
    probabilities: bool = False


def label_table(served: Served, body: bytes, asked: Asked) -> tuple[bytes | dict[str, Any], list[str], int, int]:
    """The labeled table, or a view of it, what the user should know, and how many sequences and steps it has.

    Raises InputError if the model was trained on arrays, there is no such threshold, or the table has too long lines or
    too many columns, and DataError if it cannot be used.
    """
    model, columns, notices = served.model, table_columns(served.model, served.name), list[str]()
    _check_lines(body, asked.ending)
    with TemporaryDirectory(prefix="bothways-") as folder, calling("a server"):
        table, output = Path(folder, f"table{asked.ending}"), Path(folder, f"labeled{asked.output}")
        table.write_bytes(body)
        labeled: bytes | dict[str, Any]
        try:
            if asked.output:
                found = label(model, columns, table, output, asked.threshold, asked.probabilities, {}, notices.append)
                labeled, sequences, steps = output.read_bytes(), found.sequences, found.rows
            else:
                labeled = view(model, columns, table, asked.threshold, notices.append)
                shown = labeled["sequences"]
                sequences, steps = len(shown), sum(len(next(iter(each["inputs"].values()))) for each in shown)
        except BothwaysError as error:
            raise type(error)(str(error).replace(f"{folder}/", "")) from None
    return labeled, [notice.replace(f"{folder}/", "") for notice in notices], sequences, steps


def _check_lines(body: bytes, ending: str) -> None:
    """Refuse lines that would take far more memory than the body, or long times in which nothing else is answered."""
    if ending == ".parquet":
        return
    most, between = MOST_TEXT_LINE if ending == ".txt" else MOST_LINE, (b",", b";", b"\t", b"|")
    for line in io.BytesIO(body):
        if len(line) > most:
            raise InputError(f"A line has {len(line):,} bytes; it may have {most:,}.")
        if len(line) > MOST_COLUMNS and ending != ".txt":  # a field takes a byte at least
            fields = line.count(b'":') if ending == ".jsonl" else 1 + max(map(line.count, between))
            if fields > MOST_COLUMNS:
                raise InputError(f"A line has {fields:,} fields; a table may have {MOST_COLUMNS:,} columns.")


def view(
    model: Model, columns: Columns, table: Path, threshold: str | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Sequences of a table with their inputs and the probabilities of their labels, as many as may be shown."""
    above = threshold_of(model, threshold)
    sequences: list[dict[str, Any]] = []
    room = most = MOST_FIELDS // (len(columns.features) + len(model.classes))
    cut = False
    for chunk in stream_sequences(table, columns, typed=True, say=say):
        if chunk.anew:
            sequences, room = [], most
        found = chunk.sequences
        p = model.probabilities(found)
        codes = decide(model, p, found.lengths, above)
        word = word_column(chunk.values.columns, sources.FORMATS[table.suffix].words)
        values, _ = as_trained(chunk.values, word, columns)
        read = with_joined(Table(str(table), values), None, columns.order)
        fields = {name: read.column(name) for name in read.names}
        for i, (start, end) in enumerate(zip(found.offsets[:-1].tolist(), found.offsets[1:].tolist(), strict=True)):
            if room < end - start:
                cut = True
                break
            room -= end - start
            rows = found.table_rows[start:end]
            of = slice(i, i + 1) if found.per == "sequence" else slice(start, end)
            order = None if columns.order is None else fields[columns.order].gather(rows).cast(str).to_list()
            inputs = {name: _plain(fields[name].gather(rows).to_list()) for name in columns.features}
            shown = {"name": str(found.id(i)), "order": order, "inputs": inputs}
            sequences.append(shown | {"codes": codes[of].tolist(), "probabilities": p[of].tolist()})
        if cut:
            break
    return {"sequences": sequences, "cut": cut}


def asked(request: HttpRequest) -> Asked:
    """How a table is to be labeled, as the headers and the query of a request say."""
    content_type, accept = (request.headers.get(name, b"").decode("latin-1") for name in (b"content-type", b"accept"))
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in INPUTS:
        raise RefusedError(415, f"Content-Type is {kind!r}; a table is one of: {', '.join(INPUTS)}.")
    own = kind if kind in FORMATS else "text/csv"
    known = {**dict.fromkeys(FORMATS), VIEW: VIEW, "*/*": own, "": own, "text/*": "text/csv"}
    answer = next((known[each] or each for each in request.accepted(b"accept") if each in known), None)
    if answer is None:
        raise RefusedError(406, f"Accept is {accept!r}; a table comes as one of: {', '.join(FORMATS)}, {VIEW}.")
    options = request.options(("threshold", "probabilities"))
    each = options.get("probabilities", "false")
    if each not in ("true", "false"):
        raise InputError(f"probabilities is {each!r}; it must be true or false.")
    return Asked(INPUTS[kind], FORMATS.get(answer, ""), answer, options.get("threshold"), each == "true")


def _plain(values: list[Any]) -> list[Any]:
    """Values as JSON has them."""
    return [value if type(value) in (bool, int, float, str, NoneType) else str(value) for value in values]
