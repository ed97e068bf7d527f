"""The rows of CSV files."""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync import tuning
from include.order_sync.columns.text import INVISIBLE
from include.order_sync.errors import StopError
from include.order_sync.sources.csv_records import LONGEST_ROW
from include.order_sync.sources.csv_rows import RowParser
from include.order_sync.transform.row_problems import (
    BAD_QUOTE,
    MISSING_COLUMN,
    TOO_LONG,
    UNREADABLE_FILE,
    WRONG_WIDTH,
)
from tests.unit.conftest import whole
from tests.unit.sources.drops import GOOD, HEADER, START, Drop, ids, rows_of


def test_values_stay_text(drop: Drop) -> None:
    """No value is read as a number, a date or a null: each stays unchanged text."""
    values = ["007", "1e5", "19.90", "NULL", "null", "NaN", "N/A", "true", " 1 ", "0x1F", "-0", "١"]
    drop.put("a.csv", HEADER + "".join(f"{value},{value},{value},{value}\n" for value in values))

    rows = drop.rows()

    for column in ("order_id", "status", "status_changed_at", "email"):
        assert [row[column] for row in rows] == values


def test_empty_values_are_missing(drop: Drop) -> None:
    """An empty field, quoted or not, is missing."""
    drop.put("a.csv", HEADER + '1,,"",x\n')
    (row,) = drop.rows()

    assert (row["status"], row["status_changed_at"]) == (None, None)


def test_quotes(drop: Drop) -> None:
    """Quoted fields may hold delimiters, quotes and line breaks; a row may take several lines."""
    drop.put("a.csv", HEADER + '1,"a, ""b""\nc;d",x,y\n2,paid,x,y\n')
    rows = drop.rows()

    assert [row["status"] for row in rows] == ['a, "b"\nc;d', "paid"]
    assert [row["line"] for row in rows] == [2, 4]


def test_quote_within_an_unquoted_field(drop: Drop) -> None:
    """A quote in the middle of a field, as for inches, is an ordinary character, and the file is good."""
    drop.put("a.csv", HEADER + '1,paid,x,5" pipe\n2,paid,x,y\n')

    assert [(row["order_id"], row["email"], row["problem"]) for row in drop.rows()] == [
        ("1", '5" pipe', None),
        ("2", "y", None),
    ]


def test_blank_lines_and_repeated_headers(drop: Drop) -> None:
    """Blank lines and repeated headers are skipped and counted, and line numbers stay right."""
    drop.put("a.csv", f"{HEADER}1,paid,x,y\n\n , ,,\n   \n{HEADER}2,paid,x,y\n\n")
    reader = drop.reader()
    rows = rows_of(reader)

    assert [(row["order_id"], row["line"]) for row in rows] == [("1", 2), ("2", 7)]
    assert reader.skipped == 5
    assert [row["position"] for row in rows] == [0, 1]


def test_ragged_rows(drop: Drop) -> None:
    """A row with too few or too many fields is rejected with its line; the others are read."""
    drop.put("a.csv", HEADER + "1,paid,x,y\n2,paid\n3,paid,x,y\n4,paid,x,y,z\n\n5,paid,x,y\n")
    reader = drop.reader()
    rows = rows_of(reader)

    good = [(row["order_id"], row["line"]) for row in rows if row["problem"] is None]
    bad = [(row["order_id"], row["line"]) for row in rows if row["problem"] == WRONG_WIDTH]
    assert good == [("1", 2), ("3", 4), ("5", 7)]
    assert bad == [(None, 3), (None, 5)]
    assert reader.skipped == 1
    assert sorted(row["position"] for row in rows) == [0, 1, 2, 3, 4]


def test_lines_of_a_file_of_many_blocks(drop: Drop) -> None:
    """Line numbers are right beyond the first block, with ragged and blank lines anywhere."""
    lines = [f"{number},paid,2026-11-21,{'x' * 60}" for number in range(2, 120_000)]
    for number, line in {50: "50,paid", 70_000: "", 70_001: "70001,a,b,c,d", 119_000: "119000"}.items():
        lines[number - 2] = line
    file = drop.put("a.csv", HEADER + "\n".join(lines) + "\n")
    reader = drop.reader()

    with reader.open() as (orders, _):
        good = whole(list(orders)).to_pandas()
    bad = good[good["problem"].notna()]
    good = good[good["problem"].isna()]
    assert file.stat().st_size > 2 * tuning.CSV_BLOCK_BYTES
    assert (good["order_id"] == good["line"].astype(str)).all()
    assert len(good) == 119_998 - 4
    assert bad["line"].tolist() == [50, 70_001, 119_000]
    assert reader.skipped == 1


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param('2,paid,x,"y\n3,paid,x,y\n4,paid,x,y\n', id="in the last column"),
        pytest.param('2,"paid,x,y\n3,paid,x,y\n4,paid,x,y\n', id="in the middle"),
    ],
)
def test_quote_that_is_never_closed(drop: Drop, tail: str) -> None:
    """A quote that is never closed costs its own line: the orders behind it are read."""
    drop.put("a.csv", GOOD + tail)
    rows = drop.rows()

    assert [row["order_id"] for row in rows if not row["problem"]] == ["1", "3", "4"]
    assert [(row["line"], row["problem"]) for row in rows if row["problem"]] == [(3, BAD_QUOTE)]


SWALLOWED = [
    pytest.param('2,paid,t0001,"begins\n3,paid,t0001,x\n4,paid,t0001,"ends\n', "35", {3, 5}, id="text after a quote"),
    pytest.param('2,paid,t0001,"begins\n3,paid,t0001,x\n4,paid,t0001,"\n', "35", {3, 5}, id="a well-formed field"),
    pytest.param('2,paid,t0001,5" pipe\n3,paid,t0001,6" pipe\n', "235", set(), id="in mid-field"),
    pytest.param('2,paid,t0001,"5" pipe"\n3,paid,t0001,x\n', "35", {3}, id="not doubled"),
    pytest.param('2,paid,t0001,"one\ntwo, three"\n3,paid,t0001,x\n', "235", set(), id="a true line break"),
    pytest.param('2,paid,t0001,"one\ntwo" three\n3,paid,t0001,x\n', "35", {3, 4}, id="a broken line break"),
]


@pytest.mark.parametrize(("content", "read", "bad"), SWALLOWED)
def test_rows_that_a_stray_quote_swallows(drop: Drop, content: str, read: str, bad: set[int]) -> None:
    """A stray quote is noticed: its line is listed, and the rows that it would swallow are read or listed too."""
    drop.put("a.csv", GOOD + content + "5,paid,t0001,x\n")
    rows = drop.rows()

    assert [row["order_id"] for row in rows if not row["problem"]] == sorted("1" + read)
    assert {row["line"] for row in rows if row["problem"]} == bad


@pytest.mark.parametrize(
    ("long", "problems"),
    [
        pytest.param("2,paid,x,{}\n", {3: TOO_LONG}, id="one"),
        pytest.param("2,paid,x,{}\n\n2,paid,x,{}\r\n2\n", {3: TOO_LONG, 5: TOO_LONG, 6: WRONG_WIDTH}, id="two"),
        pytest.param('2,paid,x,"{}"\n', {3: TOO_LONG}, id="in quotes"),
        pytest.param('2,paid,x,"y\n{}\ny"\n', {3: TOO_LONG}, id="between quoted line breaks"),
        pytest.param("{},paid,x,y\n", {3: TOO_LONG}, id="in the first field"),
        pytest.param("{}\n", {3: TOO_LONG}, id="without fields"),
    ],
)
def test_row_that_is_too_long(drop: Drop, long: str, problems: dict[int, str]) -> None:
    """A row that is too long is rejected with its line, and costs no other row."""
    tail = long.format(*["y" * 3 * tuning.CSV_BLOCK_BYTES] * 2)
    drop.put("a.csv", f"{GOOD}{tail}3,paid,x,y\n{tail}".removesuffix("\n"))
    drop.put("b.csv", GOOD.replace("1,", "4,"), START + timedelta(minutes=1))
    rows = drop.rows()
    bad = {row["line"]: row["problem"] for row in rows if row["problem"]}

    assert ids([row for row in rows if not row["problem"]]) == ["1", "3", "4"]
    assert dict(sorted(bad.items())[: len(problems)]) == problems
    assert len(bad) == 2 * len(problems)


@pytest.mark.parametrize("line", ["x", "1,paid,x,y"])
def test_longest_row(drop: Drop, line: str) -> None:
    """A row as long as a block is read, wherever it begins, and one byte more is too long."""
    longest = LONGEST_ROW - len("\r\n")
    long = [f"{number},paid,x,{'y' * (longest - len(f'{number},paid,x,'))}\r\n" for number in range(10, 13)]
    drop.put("a.csv", f"{HEADER}{line}\n{''.join(long)}3,paid,x,{'y' * (longest - 6)}\n")
    rows = drop.rows()

    assert [row["order_id"] for row in rows if not row["problem"]][-3:] == ["10", "11", "12"]
    assert [row["line"] for row in rows if row["problem"] == TOO_LONG] == [6]


LONG_CELL = ("y" * 98 + "\n") * (3 * tuning.CSV_BLOCK_BYTES // 99)


@pytest.mark.parametrize(
    ("rows", "read", "bad"),
    [
        pytest.param(f'2,paid,x,"{LONG_CELL}"\n3,paid,x,y\n', ["1", "3"], {3: TOO_LONG}, id="closed"),
        pytest.param(f'"{LONG_CELL}",paid,x,"y\nz"\n3,paid,x,y\n', ["1", "3"], {3: TOO_LONG}, id="first of several"),
        pytest.param(f'2,paid,x,"{LONG_CELL}3,paid,x,y\n', ["1", "3"], {3: TOO_LONG}, id="before a row"),
        pytest.param(f'2,paid,x,"{LONG_CELL}3,paid,x,"y"\n', ["1", "3"], {3: TOO_LONG}, id="before a quoted row"),
        pytest.param(f'2,paid,x,"{LONG_CELL}', ["1"], {3: TOO_LONG}, id="never closed"),
        pytest.param(f'2,paid,x,"a\n3,paid,x,y\n{LONG_CELL}"\n', ["1", "3"], {3: BAD_QUOTE}, id="after a row"),
    ],
)
def test_quoted_cell_that_is_too_long(drop: Drop, rows: str, read: list[str], bad: dict[int, str]) -> None:
    """A row whose quoted lines are too long together is listed once, and the rows behind it are read."""
    drop.put("a.csv", f"{GOOD}{rows}")
    told = drop.rows()
    listed = [(row["line"], row["problem"]) for row in told if row["problem"]]

    assert [row["order_id"] for row in told if not row["problem"]] == read
    assert listed[0] in bad.items()
    assert BAD_QUOTE in bad.values() or len(listed) == 1


@pytest.mark.parametrize("content", ["", "\n", "\ufeff", HEADER, HEADER.strip()], ids=repr)
def test_empty_file(drop: Drop, content: str) -> None:
    """A file without rows gives none and causes no error."""
    drop.put("a.csv", content)
    drop.put("b.csv", GOOD)

    assert ids(drop.rows()) == ["1"]


BAD_FILES = [
    pytest.param(
        "Заказ;Статус\n1;2\n".encode("cp1251"),
        "header that is no text in utf-8: if it is in windows-1251",
        id="another encoding",
    ),
    pytest.param(b"PK\x03\x04\xff\xfe\x00\x00", "is a damaged zip file", id="a cut zip"),
    pytest.param(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\n", "header that is no text in utf-8: name its", id="a picture"),
    pytest.param(b"order_id,email\n1,x\n", "no column status; no column status_changed_at", id="missing columns"),
    pytest.param(b"order_id,status,status,status_changed_at\n", "'status' is there twice", id="column twice"),
    pytest.param(b"\n<HTML><body>Not found</body></HTML>", "is a web page", id="a page"),
    pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1" + bytes(99), "save it as .xlsx or CSV", id="an old spreadsheet"),
    pytest.param(b'\xef\xbb\xbf[{"order_id": 1}]', "is JSON: export", id="JSON"),
    pytest.param(b'order_id,status,"x\n1,paid,2026-11-21,x\n', "a quote in its header", id="open quote"),
    pytest.param(b'"order_id,status\n1,2026-11-21\n2,"\n', "a quote in its header", id="quoted rows"),
    pytest.param(b"{" + b"x" * 200_000 + b"}", "a first line of 65536 bytes or more", id="one endless line"),
    pytest.param(b"x," * 40_000 + b"\n1", "a first line of 65536 bytes or more", id="a very long header"),
]


@pytest.mark.parametrize(("content", "fault"), BAD_FILES)
def test_bad_file_among_good_ones(drop: Drop, content: bytes, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable file is rejected as one row and logged; the window's other files are read."""
    drop.put("a.csv", GOOD)
    bad = drop.put("b.csv", content, START + timedelta(minutes=1))
    drop.put("c.csv", GOOD.replace("1,", "2,"), START + timedelta(minutes=2))
    reader = drop.reader()
    rows = rows_of(reader)

    problem = MISSING_COLUMN if "column" in fault or "twice" in fault else UNREADABLE_FILE
    assert [(row["order_id"], row["problem"]) for row in rows] == [("1", None), (None, problem), ("2", None)]
    assert (rows[1]["origin"], rows[1]["line"]) == (str(bad), 1)
    assert [row["position"] for row in rows] == [0, 1, 2]
    (error,) = reader.unusable
    assert error in caplog.text
    assert "Source 'drop'" in error
    assert str(bad) in error
    assert fault in error


@pytest.mark.parametrize("line_ends", ["\r", "\r\n", "\n\r\r\n"], ids=repr)
def test_line_ends(drop: Drop, line_ends: str) -> None:
    """Carriage returns alone, both, and a mixture of them end lines."""
    lines = [*HEADER.split(), *(f"{number},paid,x,y" for number in range(1, 4))]
    ends = {"\r": ["\r"] * 4, "\r\n": ["\r\n"] * 4}.get(line_ends, ["\n", "\r", "\r\n", ""])
    drop.put("a.csv", "".join(line + end for line, end in zip(lines, ends, strict=True)))

    assert [(row["order_id"], row["line"]) for row in drop.rows()] == [("1", 2), ("2", 3), ("3", 4)]


def test_trailing_delimiters(drop: Drop) -> None:
    """Empty fields beyond the header are no fault, and rows keep their order; a field with text is one."""
    drop.put("a.csv", HEADER + "1,paid,x,y,\n2,paid,x,y\n3,paid,x,y,, ,\n4,paid,x,y,z\n")
    rows = drop.rows()

    assert [(row["order_id"], row["line"]) for row in rows if not row["problem"]] == [("1", 2), ("2", 3), ("3", 4)]
    assert [(row["line"], row["problem"]) for row in rows if row["problem"]] == [(5, WRONG_WIDTH)]


@pytest.mark.parametrize("header", ["order_id,status,status_changed_at,", "order_id,status,status_changed_at"])
@pytest.mark.parametrize("end", ["", ","])
def test_delimiters_at_the_ends_of_most_rows(drop: Drop, header: str, end: str) -> None:
    """Header and rows may end in delimiters or not; a row that a delimiter in a field has shifted is listed."""
    rows = [f"{number},paid,x{end}" for number in range(4)]
    drop.put("a.csv", "\n".join([header, *rows, "4,paid,x", "5,paid,x,", "6,pa,id,x", "Total,,,9"]))
    reader = drop.reader(footers=["total"])
    read = rows_of(reader)

    assert [row["order_id"] for row in read if not row["problem"]] == list("012345")
    assert [(row["line"], row["problem"]) for row in read if row["problem"]] == [(8, WRONG_WIDTH)]
    assert reader.skipped == 1


@pytest.mark.parametrize("tail", ["\n", ",,,\n", " , ,,\n", '"","","",""\n'], ids=repr)
def test_long_tails_of_empty_lines(drop: Drop, tail: str) -> None:
    """A hundred thousand empty lines behind the orders are skipped and counted."""
    drop.put("a.csv", GOOD + tail * 100_000)
    reader = drop.reader()

    assert ids(rows_of(reader)) == ["1"]
    assert reader.skipped == 100_000


def test_a_row_with_something_in_a_column_that_is_not_read(drop: Drop) -> None:
    """It is no blank row: it is read, so that it is listed as an order without an id."""
    drop.put("a.csv", "order_id,status,status_changed_at,comment\n1,paid,x,y\n,,,Sum: 1\n,,,\n")
    reader = drop.reader()

    assert ids(rows_of(reader)) == ["1", None]
    assert reader.skipped == 1


def test_a_miscount_is_noticed(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that the parser loses are noticed by the count of the file's lines, and the file is unusable."""
    parsed = RowParser._parsed
    monkeypatch.setattr(RowParser, "_parsed", lambda self, block, note: parsed(self, block, note).slice(1))
    drop.put("a.csv", GOOD + "2,paid,x,y\n")
    reader = drop.reader()

    assert [row["problem"] for row in rows_of(reader)] == [UNREADABLE_FILE]
    assert "has 2 rows from line 2 on, and Order Sync read 1" in reader.unusable[0]


def test_all_files_bad(drop: Drop) -> None:
    """A window with only unreadable files stops the run, with the reason of each."""
    drop.put("a.csv", b"order_id\n1\n")
    drop.put("b.csv", b"order\xff_id\n")

    with pytest.raises(StopError) as stop:
        drop.rows()

    assert "a.csv: no column status" in str(stop.value)
    assert "b.csv has a header that is no text in utf-8" in str(stop.value)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\ufeff"), max_size=8)


@given(st.lists(st.tuples(texts.map("id".__add__), texts, texts), max_size=8), st.sampled_from(",;"))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, rows: list[Any], delimiter: str) -> None:
    """Any text in quoted fields arrives unchanged; ids without invisible characters."""
    drop = Drop(tmp_path_factory.mktemp("drop"))
    quote = '"{}"'.format
    lines = [delimiter.join(quote(text.replace('"', '""')) for text in row) for row in rows]
    drop.put("a.csv", "\n".join([delimiter.join(["order_id", "status", "status_changed_at"]), *lines]))

    read = [(row["order_id"], row["status"], row["status_changed_at"]) for row in drop.rows()]

    invisible = re.sub(r"\\x\{(\w+)\}", lambda at: chr(int(at[1], 16)), INVISIBLE)
    visible = [(re.sub(invisible, "", id_), *rest) for id_, *rest in rows]
    assert read == [tuple(text or None for text in row) for row in visible]
