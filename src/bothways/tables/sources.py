"""Which files a table lies in. To add a format, add a file beside this one and an entry to `FORMATS`."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import polars as pl

from bothways.errors import DataError
from bothways.tables import conll_files, csv_files, excel_files, jsonl_files, parquet_files, text_files
from bothways.tables.opening import Say, head
from bothways.tables.words import LISTS, Pieces

EITHER = ("eval", "evaluation", "holdout")  # the test part; the valid part where another word says test

SPELLINGS: Mapping[str, str] = {
    **{f"{part}{end}": part for part in ("train", "valid", "test") for end in ("", "ing", "set", "ingset")},
    **{"tr": "train", "te": "test", "privatetest": "test", "testa": "valid", "testb": "test"},  # the last: CoNLL-2003
    **dict.fromkeys(("validation", "val", "va", "dev", "devel", "development", "publictest"), "valid"),
    **dict.fromkeys(("validationset", "valset", "devset", "developmentset"), "valid"),
    **dict.fromkeys(EITHER, "test"),
}
"""How a split column, or the name of a file, may spell the parts: small letters, without blanks and dashes."""

Source = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A file, a folder of files, a pattern such as `flows/*.parquet`, or several of these."""

WILDCARDS = "*?["

TXT, LOGS = ".txt", (".log", ".log.gz", ".log.labeled")  # plain text; logs of Zeek
PLAIN = (".psv", ".tab", ".dat", ".data")  # tables of fields, as a rule
PACKED = (".zip", ".xz", ".bz2", ".zst", ".7z", ".rar", ".tar", ".tar.gz", ".tgz")  # each is unpacked first, by hand
OTHERS: Mapping[str, str] = {
    ".ts": "sktime reads this file (X, y = sktime.datasets.load_from_tsfile({file!r}, "
    "return_data_type='pd-multiindex'); X.assign(label=y[X.index.codes[0]]).rename_axis(['sequence_id', 'step'])"
    ".reset_index().to_csv('table.csv', index=False)). Give the CSV that this writes.",
    ".arff": "this is a table with a header of its own. Below @data it is CSV: write the names of the attributes, with "
    "commas between them, above these lines, and save it as .csv.",
    **dict.fromkeys(
        (".in", ".out"),
        "words and their tags stand in two files. Join them (pandas: pd.DataFrame({{'tokens': [*map(str.split, "
        "open({words!r}))], 'tags': [*map(str.split, open({tags!r}))]}}).to_json('words.jsonl', orient='records', "
        "lines=True)), and give the file that this writes.",
    ),
    **{
        ending: f"pandas reads this file (pd.read_{kind}({{file!r}}).to_csv('table.csv', index=False)). Give the CSV "
        "that this writes."
        for kind, endings in {
            "feather": (".feather", ".arrow"),
            "orc": (".orc",),
            "pickle": (".pkl", ".pickle"),
            "sas": (".sas7bdat", ".xpt"),
            "spss": (".sav",),
            "stata": (".dta",),
        }.items()
        for ending in endings
    },
    ".edf": "MNE reads this file (mne.io.read_raw_edf({file!r}).to_data_frame().to_csv('table.csv', index=False)). "
    "Give the CSV that this writes, with a column of labels.",
    ".textgrid": "Praat writes it as a table: Tabulate, Down to Table; then Save as comma-separated file. Give that.",
    ".eaf": "ELAN writes it as a table: File, Export As, Tab-delimited Text. Give that file.",
    **dict.fromkeys(
        (".pcap", ".pcapng"),
        "write a row per packet (tshark -r {file!r} -T fields -E header=y -E separator=, -e frame.time_epoch -e ip.src "
        "-e ip.dst -e frame.len > table.csv). Give the CSV that this writes, with a column of labels.",
    ),
}
"""What helps with files of other formats, by the ending of the name."""
EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
BESIDE = (TXT, *LOGS, *PLAIN)  # in a folder with other files these are none of the table, but a license or the like


class Format(NamedTuple):
    """How files of one kind are read and written."""

    read: Callable[[Path, Say], pl.DataFrame | pl.LazyFrame]  # as it stands in the file
    batches: Callable[[Path, int, Say], Iterator[pl.DataFrame]] | None = None  # the same, so many rows at a time
    write: Callable[[pl.DataFrame, BinaryIO, bool], None] | None = None  # adds rows, the first ones or others
    fields: str = "fields"  # what text is: "fields" of any kind of value, "strings" beside values with types, or "text"
    words: tuple[str, ...] = ()  # how a column of words may be called, in files that may hold sentences
    line: Callable[[Path, int], int] | None = None  # the number of the line of a word, by its row
    pieces: Callable[..., Pieces] | None = None  # its parts, to be written again with labels


_CSV = Format(csv_files.read, csv_files.batches, csv_files.write)
_TSV = _CSV._replace(write=partial(csv_files.write, separator="\t"))
_TABLE = _CSV._replace(write=None)
_LINES = Format(
    jsonl_files.read,
    jsonl_files.batches,
    jsonl_files.write,
    fields="strings",
    words=LISTS,
    line=jsonl_files.line,
    pieces=jsonl_files.pieces,
)
_CONLL = Format(
    conll_files.read,
    conll_files.batches,
    fields="text",
    words=conll_files.WORDS,
    line=conll_files.line,
    pieces=conll_files.pieces,
)
_PARQUET = Format(parquet_files.read, parquet_files.batches, fields="strings", words=LISTS)
_TEXT = Format(text_files.read, text_files.batches, fields="text", words=text_files.WORDS)
FORMATS: Mapping[str, Format] = {
    ".parquet": _PARQUET,
    ".csv": _CSV,
    ".tsv": _TSV,
    ".jsonl": _LINES,
    ".ndjson": _LINES,
    ".csv.gz": _CSV,
    ".tsv.gz": _TSV,
    ".jsonl.gz": _LINES,
    **dict.fromkeys((*PLAIN, *LOGS), _TABLE),
    ".json": _LINES._replace(batches=None, write=None, line=None),
    **dict.fromkeys(EXCEL, Format(excel_files.read)),
    **dict.fromkeys(conll_files.ENDINGS, _CONLL),
    TXT: _TEXT,
}
"""By the ending of the name; but see `format_of`."""

OUTPUTS = tuple(ending for ending, format in FORMATS.items() if format.write is not None or format is _PARQUET)
"""The endings of tables that can be written."""

LABELED = tuple(ending for ending, format in FORMATS.items() if ending in OUTPUTS or format is _CONLL)
"""The endings of files that can be written with labels."""


def ending(path: Path) -> str:
    """The ending of a name in small letters: `.csv`, or `.csv.gz` where it is compressed."""
    suffixes = path.name.lower().rsplit(".", 2)[1:]
    both = "." + ".".join(suffixes)
    return both if both.endswith(".gz") or both in FORMATS else f".{suffixes[-1]}" if suffixes else "."


def format_of(path: Path) -> Format | None:
    """How a file is read: as its ending says, or as CoNLL, or as a table, if it looks so; None if neither tells."""
    known = FORMATS.get(ending(path))
    if known in (None, _TEXT, _CSV, _TSV, _TABLE):
        first = head(path)
        if conll_files.look_so(first, tabs=known in (_CSV, _TSV)):
            return _CONLL
        if known is _TEXT and csv_files.look_so(first):
            return _TABLE
    return known


def labeled_name(path: Path) -> str:
    """How a labeled copy of a file is called: as the file, unless that has a format that cannot be written."""
    if FORMATS.get(ending(path)) is _CONLL or format_of(path) is not _CONLL:
        return (path if ending(path) in LABELED else path.with_suffix(".csv")).name
    return f"{path.name}.conll" if ending(path) not in FORMATS else path.with_suffix(".conll").name


class Files(NamedTuple):
    """The files of a table, all of one format."""

    name: str  # how messages call them together
    paths: tuple[Path, ...]
    format: Format
    notices: tuple[str, ...] = ()  # what the user should know of files that are none of them


def find_files(source: Source | Files) -> Files:
    """The files that `source` names, all of one format: sorted by name in a folder or for a pattern, else as given."""
    if isinstance(source, Files):
        return source
    given = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not given or "" in given:  # which would be the working folder
        raise DataError("No file is given to read a table from.")
    if remote := next((each for each in map(str, given) if "://" in each), None):
        raise DataError(f"{remote}: tables are read from files of this machine. Download it first.")
    paths = tuple(path for each in given for path in _expanded(Path(each)))
    if Path("-") in paths:
        raise DataError("-: tables are not read from standard input; save it in a file. Events are: bothways stream.")
    formats: dict[Format, Path] = {}
    for path in paths:
        if (format := format_of(path)) is None:
            raise DataError(_no_table(path))
        formats.setdefault(format, path)
    name = ", ".join(str(Path(each)) for each in given[:3]) + (", ..." if len(given) > 3 else "")
    if len(formats) > 1:
        first, second, *_ = formats.values()
        raise DataError(f"{name}: {first} and {second} are of two formats; a table is read from files of one.")
    if len(paths) > 1:
        name += f" ({len(paths)} files)"
    notices = tuple(notice for folder in map(Path, given) if folder.is_dir() for notice in _passed_over(folder, paths))
    files = Files(name, paths, next(iter(formats)), notices)
    if files.format is _PARQUET and len({path.parent for path in paths}) > 1:
        read, batches = partial(parquet_files.read, folders=True), partial(parquet_files.batches, folders=True)
        return files._replace(format=_PARQUET._replace(read=read, batches=batches))
    # The files of a table have the same columns, so all have one that numbers blocks, or none.
    one = len(paths) == 1 or not _of_fields(files.format) or all(map(csv_files.shows_blocks, paths))
    return files if one else with_blocks(files, False)


def _no_table(path: Path) -> str:
    """What keeps a file of no known format from being read."""
    if path.name.lower().endswith(PACKED):
        return f"{path}: this file is packed or compressed; unpack it first."
    *some, last = FORMATS
    return _hint(path) or f"{path}: tables are read from files that end in {', '.join(some)} or {last}."


def parts_meant(words: Iterable[str]) -> dict[str, str]:
    """The parts that words mean together, those of them that mean one."""
    meant = {word: SPELLINGS[word] for word in words if word in SPELLINGS}
    between = any(part == "test" for word, part in meant.items() if word not in EITHER)
    return meant | {word: "valid" for word in meant if word in EITHER and between}


def with_blocks(files: Files, parted: bool) -> Files:
    """The same files, whose blank rows part blocks of rows or do not, if they are files of fields."""
    if not _of_fields(files.format):
        return files
    read, batches = partial(csv_files.read, parted=parted), partial(csv_files.batches, parted=parted)
    return files._replace(format=files.format._replace(read=read, batches=batches))


def _of_fields(format: Format) -> bool:
    return format.fields == "fields" and format.batches is not None  # Excel's has none


def parts_of(paths: Sequence[Path]) -> list[str]:
    """The part that each file is by its name, or by that of its folder; none unless all say one, not all the same."""
    for names in ([path.name for path in paths], [path.parent.name for path in paths]):
        parts = [part for each in _parts_said(names) if len(each) == 1 for part in each]
        if len(parts) == len(paths) and len(set(parts)) > 1:
            return parts
    return []


def without_part(paths: Sequence[Path]) -> list[str]:
    """The names that say no part or several, where others say different ones."""
    names = [path.name for path in paths]
    said = _parts_said(names)
    several = len({part for each in said if len(each) == 1 for part in each}) > 1
    return [name for name, each in zip(names, said, strict=True) if several and len(each) != 1]


def _parts_said(names: Sequence[str]) -> list[set[str]]:
    """The parts that each of several names says."""
    # Two letters are a language: en, tr.
    words = [[word for word in re.findall("[a-z]{3,}", name.lower()) if word in SPELLINGS] for name in names]
    meant = parts_meant(word for each in words for word in each)
    return [{meant[word] for word in each} for each in words]


def _hint(path: Path) -> str:
    """What helps with a file of another format; "" where nothing does."""
    text, pair = OTHERS.get(ending(path), ""), [path.with_suffix(each) for each in (".in", ".out")]
    if not text or (path in pair and not all(each.is_file() for each in pair)):
        return ""
    words, tags = map(str, pair)
    return f"{path}: {text.format(file=str(path), words=words, tags=tags)}"


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith((".", "_", "~$")))


def _tables_among(entries: Iterable[Path]) -> list[Path]:
    """The files that look like tables, whatever they are called."""
    files = (entry for entry in entries if entry.is_file() and ending(entry) not in LOGS)
    return [path for path in files if format_of(path) not in (None, _TEXT)]


def _passed_over(folder: Path, paths: Sequence[Path]) -> Iterator[str]:
    """A word about tables that stand in a folder beside those at `paths`, under names with other endings."""
    read = [path.name for path in paths if path.parent == folder]
    if read and (passed := [path.name for path in _tables_among(set(_entries(folder)) - set(paths))]):
        names = ", ".join(sorted(passed)[:3]) + (", ..." if len(passed) > 3 else "")
        yield f"{folder}: passed over, beside {read[0]}: {names}. Name each file, or give it such an ending."


def _expanded(path: Path) -> list[Path]:
    if path.is_dir():
        if (path / "_delta_log").is_dir():
            raise DataError(
                f"{path}: this is a Delta table; files in it may hold rows that were removed. Write those that it has "
                f"to a file (Polars: pl.read_delta({str(path)!r}).write_parquet('table.parquet'))."
            )
        entries = _entries(path)
        inside = [entry for entry in entries if entry.is_file() and ending(entry) in FORMATS]
        tables = [entry for entry in inside if ending(entry) not in BESIDE] or _tables_among(entries)
        if not inside and not tables:
            deep = [entry for entry in entries if entry.is_dir()]
            if hint := next(filter(None, map(_hint, entries)), ""):
                raise DataError(hint)
            if deep and parts_of(deep):
                return [file for folder in deep for file in _expanded(folder)]
            if partitions := sorted(path.glob("*=*/**/*.parquet")):  # as Spark writes them: day=5/part-0.parquet
                return partitions
            more = f" The folders in it are read where a pattern names them, such as '{path}/*/*.csv'." if deep else ""
            raise DataError(f"{path}: this folder holds no {', '.join(FORMATS)} file.{more}")
        return tables or inside
    if path.exists():
        if not path.is_file():  # to open it may wait for ever
            raise DataError(f"{path}: this is no file, but a pipe or a device. Save the table in a file.")
        return [path]
    if any(character in str(path) for character in WILDCARDS):
        found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207  (Path.glob takes no absolute pattern)
        if not found:
            raise DataError(f"{path}: no file has a name like this.")
        return found
    if ending(path) in FORMATS:
        raise DataError(f"{path}: no such file.")
    return [path]
