"""A page without a server reads tables as `bothways predict` does, or refuses them; what it guesses, it says."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bothways import jobs
from bothways.data import Columns
from bothways.data.columns import TOLD, Guess
from bothways.data.encoding import Category, Encoding, Number
from bothways.errors import DataError
from bothways.fields.reader import FieldReader
from bothways.network import Network
from bothways.runtime import Member, Model
from bothways.settings import Reading
from members import random_member
from page_cases import check, dropped, numeric, written

INSTEAD = 'Label such a table with "bothways predict"'


def numbers_of(*names: str, order: str | None = None, sequence: str = "flow", gaps: str = "", **reading: Any) -> Model:
    """A model of numbers, which may be missing though training never met that."""
    encoding = Encoding(tuple(Number(name, 0.5) for name in names), gaps=gaps)
    columns = Columns("label", names, sequence, order, encoding=encoding, reading=Reading(**reading))
    return Model([numeric(len(names) + bool(gaps), 8)], ("a", "b"), columns)


def said(page: Any, table: Path) -> str:
    """What a page says of a further table."""
    page.evaluate("$('results').hidden = true; $('said').className = ''")
    page.set_input_files("#file", [])
    dropped(page, table)
    return str(page.inner_text("#said"))


def refused(page: Any, table: Path, words: str, tmp_path: Path) -> None:
    """Neither the page nor the command labels it."""
    assert words in said(page, table)
    assert page.get_attribute("#said", "class") == "wrong"
    with pytest.raises(DataError):
        jobs.predict(tmp_path / "flows.bothways", table, tmp_path / "out.csv", say=list[str]().append)


def alike(page: Any, table: Path, tmp_path: Path, read: Callable[[Path], pl.DataFrame] = pl.read_csv) -> str:
    """What a page says of a table that it labels as the command does."""
    text = said(page, table)
    check(page, table, tmp_path, read)
    return text


def member_of(features: int, *sizes: int) -> Member:
    """A network with weights at random whose last features are categories of these sizes."""
    return random_member(Network(features=features, classes=2, units=5, embedding=3, categories=sizes))


FIELDS = (
    ["0.08 EUR", "-1.5 EUR", "?"],
    ["0.08 kg", "2 kg", "1,200.5 kg"],
    ["1.5 ms", "20 ms"],
    ["7 min", "9 min"],
    ["5°C", "6°C"],
    ["5.5℃", "6℃"],
    ["1\u00a0976,11 zł", "2 323,39 zł"],
    ["\u22120.46", "0.5", "\u20132"],
    ["12,34,567.5", "1,000"],
    ["$-", "$5", "-$3"],
    ["-", "$5", "$1,000.50"],
    ["($5)", "$7.25"],
    ["1,07-", "1.016,2", "3-"],
    ["8.2D-01", "1.5"],
    ['="0.5"', '=" 1"'],
    ["R$ 5.5", "R$ 6"],
    ["EUR 5.5", "EUR 6"],
    ["50%", "7 %"],
    ["(1)", "(2.5)"],
    ["1e400", "1"],
    ["1e39", "inf", "n/a", "3"],
    ["\u2014", "2.5"],
    ["1,5", "1.234,5"],
    ["00:05", "1:30"],
    ["05:35.5", "59:59.0"],
    ["007", "12"],
    ["true", "False"],
    ["1.500", "2.500"],
    ["12345678901234567", "4"],
)

TEXT = (
    (["(1)", "(2)"], 'here stands "(1)"'),
    (["+4917012345678", "+4917012345679", "?"], "phone numbers or ids"),
    (["12345678901234567890", "99999999999999999999"], "phone numbers or ids"),
    (["202401311805", "202401311806"], "these are times"),
    (["0.2 kg", "300 g"], 'here stands "0.2 kg"'),
    (["5", "$5", "$6"], 'data row 1 (the first is 1): the column "x" must hold numbers; here stands "5"'),
    (["2-", "1"], 'here stands "2-"'),
    (["1.5m", "2.5m"], 'here stands "1.5m"'),
    (["10.0.0.1", "10.0.0.2"], 'here stands "10.0.0.1"'),
    (["950", "1.200"], 'numbers in doubt: 1.2 ("bothways predict --decimal point") or 1200'),
    (["1,100", "2,200"], 'numbers in doubt: 1100 ("bothways predict --decimal point") or 1.1'),
    (["-", "-5 x", "3"], 'data row 2 (the first is 1): the column "x" must hold numbers; here stands "-5 x"'),
)


@pytest.mark.slow
def test_numbers_in_text(opened: Any, tmp_path: Path) -> None:
    page = opened(numbers_of("x"))
    for fields in FIELDS:
        reader = FieldReader(numbers=("x",))
        values = reader.read(pl.DataFrame({"x": fields})).to_series().cast(pl.Float64)
        values = values.set(~values.cast(pl.Float32).is_finite(), None)
        table = written(tmp_path / "t.tsv", "flow\tx\n" + "".join(f"a\t{field}\n" for field in fields))
        text = said(page, table)
        assert page.get_attribute("#said", "class") != "wrong", text
        assert page.evaluate("view.sequences[0].inputs.x") == values.to_list(), fields
        for notice in reader.notices().values():
            assert f'Column "x": {notice}.' in text
        filled = 'Column "x": 1 row without a finite number, which training never met; filled with the mean'
        assert (filled in text) == (values.null_count() == 1)
    for fields, words in TEXT:
        table = written(tmp_path / "t.tsv", "flow\tx\n" + "".join(f"a\t{field}\n" for field in fields))
        refused(page, table, words, tmp_path)


TIMES = [datetime(2024, 1 + day, 2 + day, 11 + day, 5) + timedelta(minutes=7 * k) for day in range(4) for k in range(9)]


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("form", "reading", "notice"),
    [
        pytest.param(
            "%m/%d/%Y %I:%M:%S %p",
            {},
            'month/day/year; or day/month/year? ("bothways predict --dates day-first")',
            marks=pytest.mark.slow,
        ),
        ("%d/%m/%Y %H:%M", {}, 'day/month/year; or month/day/year? ("bothways predict --dates month-first")'),
        ("%d/%m/%Y %H:%M", {"dates": "day-first"}, "dates are day/month/year."),
        pytest.param("%d.%m.%Y %H:%M", {"dates": "month-first"}, "dates are day/month/year.", marks=pytest.mark.slow),
        pytest.param("2%-d/%m/%y %I:%M %p", {}, "dates are day/month/year.", marks=pytest.mark.slow),
        pytest.param("%d-%b-%y %I.%M.%S.000000000 %p", {}, "dates are day/month/year.", marks=pytest.mark.slow),
    ],
)
def test_dates_that_can_be_read_in_two_ways(
    form: str, reading: dict[str, str], notice: str, opened: Any, tmp_path: Path
) -> None:
    page = opened(numbers_of("x", order="at", gaps="times", **reading))
    x = np.random.default_rng(0).normal(size=36).round(3)
    table = pl.DataFrame({"flow": "a", "at": [time.strftime(form) for time in TIMES], "x": x})
    table.sample(36, shuffle=True, seed=0).write_csv(tmp_path / "t.csv")
    assert notice in alike(page, tmp_path / "t.csv", tmp_path)


DATES = (
    ("31JAN2024:08:30:00", "01Feb24:08:30:00"),
    ("2024年1月31日 8時05分", "2024年12月1日18時05分09秒"),
    ("31. Januar 2024, 8:05 Uhr", "1 gru 2024, 18.05 Uhr"),
    ("31 janv. 2024 à 8h05", "01/02/2024 18h05"),
    ("3 gen 2024 08:05", "31 Ağustos 2024 18:05"),
    ("1 października 2024", "3 outubro 2024"),
    ("31. 1. 2024 8:05", "1. 2. 2024 18:05"),
)


@pytest.mark.slow
@pytest.mark.parametrize("texts", DATES)
def test_dates_of_other_languages(texts: tuple[str, str], opened: Any, tmp_path: Path) -> None:
    page = opened(numbers_of("x", order="at", gaps="times"))
    pl.DataFrame({"flow": "a", "at": texts, "x": [0.5, 1.5]}).write_csv(tmp_path / "t.csv")
    alike(page, tmp_path / "t.csv", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("days", [("2024-Q1", "2024-Q2"), ("Jan 2024", "2024M10"), ("KW 4/2024", "KW 5/2024")])
def test_periods_beside_times_of_day(days: tuple[str, str], opened: Any, tmp_path: Path) -> None:
    model = numbers_of("x", order="Date,Time", gaps="times")
    assert model.columns is not None
    known = tuple(Guess(name, "left out", TOLD) for name in ("Date", "Time"))
    page = opened(replace(model, columns=replace(model.columns, guesses=known)))
    pl.DataFrame({"flow": "a", "Date": days, "Time": ["08:30", "18:05"], "x": [0.5, 1.5]}).write_csv(tmp_path / "t.csv")
    alike(page, tmp_path / "t.csv", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("texts", "notice"),
    [
        ([f"06/{day:02d}/24 {hour:02d}:00" for day in range(1, 6) for hour in range(24)], "dates are month/day/year."),
        ([f"24-0{month}-{day}" for month in (1, 2, 3) for day in range(10, 29)], "dates are year/month/day."),
        (["01/02/24", "02/03/24", "03/02/24"], 'or month/day/year? ("bothways predict --dates month-first"); or year'),
    ],
)
def test_dates_are_read_as_the_rows_stand(texts: list[str], notice: str, opened: Any, tmp_path: Path) -> None:
    page = opened(numbers_of("x", order="at", gaps="times"))
    x = np.random.default_rng(0).normal(size=len(texts)).round(3)
    pl.DataFrame({"flow": "a", "at": texts, "x": x}).write_csv(tmp_path / "t.csv")
    assert notice in alike(page, tmp_path / "t.csv", tmp_path)


@pytest.mark.slow
def test_an_order_of_the_wrong_kind(opened: Any, tmp_path: Path) -> None:
    header = "flow,at,x\n"
    dates = written(tmp_path / "dates.csv", header + "a,2024-01-31 18:05,1\na,2024-01-31 18:06,2\n")
    numbers = written(tmp_path / "numbers.csv", header + "a,1706724300,1\na,1706724360,2\n")
    page = opened(numbers_of("x", order="at", gaps="times"))
    refused(page, numbers, 'the order column "at" is of type numbers; the model was trained on times.', tmp_path)
    page = opened(numbers_of("x", order="at", gaps="numbers"))
    refused(page, dates, 'the order column "at" is of type times; the model was trained on numbers.', tmp_path)
    assert said(page, numbers) == ""
    page = opened(numbers_of("x", order="date", gaps="numbers"))
    dates = written(tmp_path / "dates.csv", "flow,date,x\na,20240131,1\na,20240201,2\n")
    refused(page, dates, 'the order column "date" is of type times; the model was trained on numbers.', tmp_path)


def test_names_and_places_that_are_missing(opened: Any, tmp_path: Path) -> None:
    """Words for missing values among numbers, which are no place in an order and no name."""
    page = opened(numbers_of("x", order="at"))
    for rows, words in (
        ("1,1,1\n1,?,2\n1,3,4\n", 'data row 2 (the first is 1): the column "at" is empty'),
        ("1,1,1\nNA,2,2\n3,3,4\n", 'data row 2 (the first is 1): the column "flow" is empty'),
        ("a,1,1\nb,2,2\n?,3,4\n?,4,4\n", 'data row 3 (the first is 1): the column "flow" is empty'),
    ):
        refused(page, written(tmp_path / "t.csv", "flow,at,x\n" + rows), words, tmp_path)
    mixed = "a,2024-01-31 18:05Z,1\na,2024-01-31 18:06,2\n"
    text = said(page, written(tmp_path / "t.csv", "flow,at,x\n" + mixed))
    assert f't.csv: the column "at" must hold numbers or times; these are written in several ways. {INSTEAD}' in text


@pytest.mark.slow
def test_a_country_may_be_called_NA(opened: Any, tmp_path: Path) -> None:
    page = opened(numbers_of("x", sequence="country"))
    alike(page, written(tmp_path / "t.csv", "country,x\nDE,1\nNA,2\nNA,3\n"), tmp_path)


def words_of(sequence: str, *values: str) -> Model:
    """A model of one column of words."""
    encoding = Encoding((), (Category("word", values),))
    columns = Columns("label", ("word",), sequence, None, categories=("word",), encoding=encoding)
    return Model([member_of(1, len(values) + 1)], ("W", 'P"'), columns)


WORDS = ["I", "said", ",", '"', "no", '"', "and", '"', "yes", "5", '"no"']


def test_of_many_new_values_three_are_shown(opened: Any, tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", "sentence,word\n" + "".join(f"1,{word}\n" for word in "abcde"))
    assert "training never saw (b, c, d and 1 more)" in said(opened(words_of("sentence", "a")), table)


@pytest.mark.slow
def test_quotes_that_are_letters(opened: Any, tmp_path: Path) -> None:
    page = opened(words_of("sentence", "said", ",", '"', "no", '"no"'))
    rows = [f"{at // 5}\t{word}\n" for at, word in enumerate(WORDS * 4)]
    table = written(tmp_path / "t.tsv", "sentence\tword\n" + "".join(rows))

    def read(path: Path) -> pl.DataFrame:  # the page writes the lines as they are
        return pl.read_csv(path, separator="\t", quote_char=None if path.stem == "page" else '"')

    alike(page, table, tmp_path, read)
    assert read(tmp_path / "page.tsv")["word"].to_list() == WORDS * 4
    for last in ("\n", '\n1\t"two\nlines"'):  # the end of a file may be that of a field
        quoted = written(tmp_path / "q.tsv", 'sentence\tword\n1\t"two\nlines"\n1\t"a ""b"""' + last)
        alike(page, quoted, tmp_path, lambda path: pl.read_csv(path, separator="\t"))
    refused(page, written(tmp_path / "cut.csv", 'word,sentence\na,1\n"b'), "a quote is not closed", tmp_path)


@pytest.mark.slow
def test_numbers_that_stand_for_missing_words(opened: Any, tmp_path: Path) -> None:
    model = words_of("sentence", "0", "said")
    assert model.columns is not None
    page = opened(replace(model, columns=replace(model.columns, reading=Reading(missing=("0",)))))
    table = written(tmp_path / "t.jsonl", "".join(f'{{"sentence": 1, "word": {at % 3}}}\n' for at in range(6)))
    alike(page, table, tmp_path, pl.read_ndjson)


@pytest.mark.slow
def test_blank_rows_part_blocks(opened: Any, tmp_path: Path) -> None:
    page = opened(words_of("block", "said", ",", "no"))
    rows = ["\n" * (at % 4 == 0) + f"{at},{word}\n" for at, word in enumerate(["I", "said", "no", "and", "yes"] * 4)]
    table = written(tmp_path / "t.csv", "n,word\n" + "".join(rows) + "\n")
    blocks = "rows without any value are taken for the ends of 5 blocks, which the column 'block' numbers."
    assert blocks in alike(page, table, tmp_path)
    whole = written(tmp_path / "w.csv", "n,word\n1,I\n2,said\n")
    one = "no blank rows part blocks here; all rows are one, by the column 'block'."
    assert one in alike(page, whole, tmp_path)
    own = written(tmp_path / "o.csv", "block,word\n1,I\n\n1,said\n")
    assert "1 row without any value is left out." in alike(page, own, tmp_path)
    many = written(tmp_path / "m.csv", "n,word\n" + "1,I\n" * 1001)
    refused(page, many, 'there is no column "block"', tmp_path)


@pytest.mark.slow
def test_lines_that_are_no_rows(opened: Any, tmp_path: Path) -> None:
    """A header that comes again, comments, lines that end in CR alone or after one too many, and a log of Zeek."""
    page = opened(numbers_of("x", order="at"))
    rows = [f"{'ab'[at // 9]},{at},{at % 5 - 2}.5" for at in range(18)]
    lines = ["flow,at,x", *rows[:7], "flow,at,x", *rows[7:], "# end", ""]
    table = written(tmp_path / "t.csv", "\n".join(lines))
    assert "t.csv: left out: 2 lines of comments or the header again." in alike(page, table, tmp_path)
    alike(page, written(tmp_path / "two.csv", "\n".join(["flow,at,x", "flow,at,x", *rows])), tmp_path)
    alike(
        page, written(tmp_path / "put.csv", "\n".join(["flow,at,x", *rows[:9], "\ufeffflow,at,x", *rows[9:]])), tmp_path
    )
    above = "# a logger\n\nReport, 2024\n" + ",,s\n".join(["flow,at,x\n", "# no comment\n"])
    table = written(tmp_path / "above.csv", above + "\n".join(rows))
    text = alike(page, table, tmp_path)
    assert "2 lines before the header are left out." in text
    assert "the row of units below the names is left out." in text
    told = written(tmp_path / "told.csv", "\r\n".join(["sep=,", "flow,at,x", *rows]))
    assert "before the header" not in alike(page, told, tmp_path)
    table = written(tmp_path / "index.csv", "\n".join(f",{line}" for line in ["flow,at,x", *rows, "flow,at,x"]))
    text = alike(page, table, tmp_path, lambda path: pl.read_csv(path)[:, 1:])
    assert "left out: 1 line of comments or the header again." in text
    table = written(tmp_path / "cr.csv", "\r".join(["flow,at,x", *rows, ""]))
    ends = "lines end in CR alone, as on old Macs; they are written with LF again."
    assert ends in alike(page, table, tmp_path)
    alike(page, written(tmp_path / "crcrlf.csv", "\r\r\n".join(["flow,at,x", *rows, ""])), tmp_path)
    log = "\n".join(["#separator \\x09", "#fields\tflow,at,x", "#types\tstring,int,double", *rows, "#close", ""])
    table = written(tmp_path / "z.tsv", log.replace(",", "\t"))
    assert alike(page, table, tmp_path, lambda path: pl.read_csv(path, separator="\t")) == ""


@pytest.mark.slow
def test_fields_between_blanks(opened: Any, tmp_path: Path) -> None:
    page = opened(numbers_of("x", order="at"))
    rows = [f"  {'ab'[at // 9]}   {at}  {at % 5 - 2}.5" for at in range(18)]
    alike(page, written(tmp_path / "t.csv", "\n".join(["# a logger", '"flow"  at x', *rows, "# end", ""])), tmp_path)
    alike(page, written(tmp_path / "savetxt.csv", "\n".join(["# flow at x", *rows, ""])), tmp_path)
    alike(page, written(tmp_path / "iis.csv", "\n".join(["# IIS", "#Fields: flow at x", *rows, ""])), tmp_path)
    commas = "\n".join(["# flow at x", *(" ".join(row.split()) for row in rows), "# flow at x", ""]).replace(" ", ",")
    alike(page, written(tmp_path / "commas.csv", commas.replace("#,", "# ")), tmp_path)
    assert said(page, written(tmp_path / "t.dat", "\n".join(["flow at x", *rows, ""]))) == ""
    table = written(tmp_path / "gone.csv", "\n".join(["flow at x", *rows, "b 18", ""]))
    refused(page, table, "data row 19: this line does not have 3 fields between blanks", tmp_path)


@pytest.mark.slow
def test_tables_without_a_header(opened: Any, tmp_path: Path) -> None:
    page = opened(numbers_of("column 2", sequence="column 1"))
    rows = [f"{at // 9}.0,{at % 5 - 2}.5,{at % 4 - 1}.25" for at in range(18)]
    alike(page, written(tmp_path / "t.csv", "\n".join(rows)), tmp_path)
    alike(page, written(tmp_path / "blanks.csv", "\n".join(rows).replace(",", " ")), tmp_path)
    more = written(tmp_path / "more.csv", "\n".join([*rows, "#2.0,1.5,0.25,7"]))
    refused(page, more, "data row 19: this line has more fields than the header has columns", tmp_path)
    names = written(tmp_path / "names.csv", "flow,x\n" + "1,2.5\n" * 9)
    refused(page, names, 'there is no column "column 1", nor "column 2"', tmp_path)


@pytest.mark.slow
def test_places_of_many_digits(opened: Any, tmp_path: Path) -> None:
    """Nanoseconds since 1970, closer to one another than floats of such a size."""
    rows = [f"{'ab'[at % 2]},{1_700_000_000_000_000_000 + 37 * at},{at % 5 - 2}.5" for at in [*range(9, 18), *range(9)]]
    table = written(tmp_path / "t.csv", "\n".join(["flow,at,x", *rows, ""]))
    alike(opened(numbers_of("x", order="at", gaps="numbers")), table, tmp_path)


@pytest.mark.slow
def test_ids_in_json_lines(opened: Any, tmp_path: Path) -> None:
    """A number is the same id as its text; there are none of so many digits that two would be one."""
    page = opened(numbers_of("x"))
    rows = [f'{{"x": {at % 5}, "flow": {name}}}\n' for at, name in enumerate(["1", '"1"', '"b"'] * 4)]
    table = written(tmp_path / "t.jsonl", "".join(rows))
    alike(page, table, tmp_path, lambda path: pl.read_ndjson(path, schema_overrides={"flow": pl.String}))
    rows = [f'{{"flow": {9007199254740992 + at % 2}, "x": {at % 5}}}\n' for at in range(8)]
    assert f'numbers in "flow" have too many digits. {INSTEAD}' in said(page, written(table, "".join(rows)))
    written(table, '{"flow": "a NaN", "x": NaN}\n{"flow": "a NaN", "x": 1}\n')  # as Python writes what is missing
    alike(page, table, tmp_path, lambda path: pl.read_ndjson(path.read_text().replace(" NaN", " null").encode()))
    refused(page, written(table, '{"flow": "a", "x": 1}\n\n[2]\n'), "t.jsonl, line 3: this is no JSON object", tmp_path)
    written(table, f'{{"flow": "a", "word": {-(1 << 53) - 1}}}\n')
    assert f'numbers in "word" have too many digits. {INSTEAD}' in said(opened(words_of("flow", "a")), table)


@pytest.mark.slow
def test_what_is_compressed_is_text_of_any_encoding(opened: Any, tmp_path: Path) -> None:
    page, text = opened(numbers_of("x")), "flow,x\nä,1\nä,2\n"

    def packed(content: bytes) -> Path:
        (tmp_path / "t.csv.gz").write_bytes(content)
        return tmp_path / "t.csv.gz"

    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        assert ("Windows-1252" in said(page, packed(gzip.compress(text.encode(encoding))))) == (encoding == "cp1252")
        with page.expect_download() as download:
            page.click("#save")
        labeled = Path(download.value.path()).read_text("utf-8")
        assert labeled.startswith("\ufeff" * (encoding in ("utf-8-sig", "utf-16")) + "flow,x,predicted")
        assert labeled.count("\nä,") == 2
    for content in (b"hello", gzip.compress(text.encode())[:-9], gzip.compress(b"flow,x\n") + gzip.compress(b"a,1\n")):
        assert f"damaged, cut short or in several parts. {INSTEAD}" in said(page, packed(content))


def test_a_table_with_predictions(opened: Any, tmp_path: Path) -> None:
    page = opened(numbers_of("x"))
    for name, text in (
        ("t.csv", "flow,x,predicted\na,1,b\n"),
        ("t.jsonl", '{"flow": "a", "x": 1, "probability": 0.5}\n'),
    ):
        refused(page, written(tmp_path / name, text), "already, which the predictions would take.", tmp_path)


@pytest.mark.slow
def test_columns_called_as_what_every_object_has(opened: Any, tmp_path: Path) -> None:
    names = ("valueOf", "__proto__", "constructor", "toString")
    categories = tuple(Category(name, ("tcp", "udp")) for name in names[2:])
    encoding = Encoding(tuple(Number(name, 0.5) for name in names[:2]), categories)
    columns = Columns("label", names, "hasOwnProperty", None, categories=names[2:], encoding=encoding)
    page, random = opened(Model([member_of(4, 3, 3)], ("a", "b"), columns)), np.random.default_rng(0)
    table = pl.DataFrame({name: random.normal(size=40).round(3) for name in names[:2]})
    table = table.with_columns(pl.Series(name, random.choice(["tcp", "udp"], 40)) for name in names[2:])
    table = table.with_columns(hasOwnProperty=np.repeat(["a", "b"], 20))
    table.write_csv(tmp_path / "t.csv")
    assert alike(page, tmp_path / "t.csv", tmp_path) == ""
    table.write_ndjson(tmp_path / "t.jsonl")
    assert alike(page, tmp_path / "t.jsonl", tmp_path, pl.read_ndjson) == ""
