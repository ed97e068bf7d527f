"""A CSV drop: the files of a window, and the rows of a file."""

import logging
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from include.order_sync import tuning
from include.order_sync.columns.text import INVISIBLE
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.csv_drop import CsvDropReader
from include.order_sync.sources.csv_records import LONGEST_ROW
from include.order_sync.sources.csv_rows import RowParser
from include.order_sync.sources.drop_files import path_time
from include.order_sync.transform.row_problems import (
    BAD_BYTES,
    BAD_QUOTE,
    MISSING_COLUMN,
    TOO_LONG,
    UNREADABLE_FILE,
    WRONG_WIDTH,
)
from tests.unit.conftest import whole

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(hours=1))
HEADER = "order_id,status,status_changed_at,email\n"
GOOD = HEADER + "1,paid,2026-11-21 10:00:00,a@shop.example\n"


class Drop:
    """A drop in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source: dict[str, Any] = {"name": "drop", "type": "csv", "timezone": "UTC", "statuses": {"paid": "paid"}}
        self.required: tuple[Any, ...] = ()

    def put(self, name: str, content: str | bytes, modified_at: datetime = START) -> Path:
        """Write a file, by default modified within the window."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        nanoseconds = int(modified_at.timestamp()) * 10**9 + modified_at.microsecond * 1000
        os.utime(file, ns=(nanoseconds, nanoseconds))
        return file

    def configured(self, pattern: str = "**/*.csv", **source: Any) -> CsvSource:
        """Return the source; `source` overrides keys of the configuration."""
        return CsvSource.model_validate({**self.source, "path": f"{self.folder}/{pattern}", **source})

    def reader(self, window: Window = WINDOW, pattern: str = "**/*.csv", **source: Any) -> CsvDropReader:
        """Return a reader of one window; `source` overrides keys of the configuration."""
        configured = self.configured(pattern, **source)
        return CsvDropReader(UPath(configured.folder), configured, window, self.required)

    def rows(self, window: Window = WINDOW, **source: Any) -> list[dict[str, Any]]:
        """Return all raw rows of a window."""
        return rows_of(self.reader(window, **source))


def rows_of(reader: CsvDropReader) -> list[dict[str, Any]]:
    """Return all raw rows of a reader, as extract reads them."""
    with reader.open() as (orders, items):
        tables = list(orders)
        assert list(items) == []
    return whole(tables).to_pylist() if tables else []


def ids(rows: list[dict[str, Any]]) -> list[str | None]:
    """Return the order ids of raw rows."""
    return [row["order_id"] for row in rows]


def names(reader: CsvDropReader) -> list[str]:
    """Return the names of the window's files."""
    return [file.path.name for file in reader.files()]


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    """An empty drop."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return Drop(folder)


# The files of a window


def test_window_by_modified_time(drop: Drop) -> None:
    """A file belongs to the window that holds its modified time: the start is inside, the end is not."""
    for name, seconds in {"before": -1, "start": 0, "last": 3599, "end": 3600}.items():
        drop.put(f"{name}.csv", GOOD, START + timedelta(seconds=seconds))

    assert names(drop.reader()) == ["start.csv", "last.csv"]


def test_every_file_belongs_to_one_window(drop: Drop) -> None:
    """Consecutive windows take each file once, to the microsecond."""
    for microseconds in (-1, 0, 1):
        drop.put(f"{microseconds}.csv", GOOD, WINDOW.end + timedelta(microseconds=microseconds))
    following = Window(WINDOW.end, WINDOW.end + timedelta(hours=1))

    assert names(drop.reader()) == ["-1.csv"]
    assert names(drop.reader(following)) == ["0.csv", "1.csv"]


def test_rows_are_never_filtered_by_time(drop: Drop) -> None:
    """The file's time decides: all its rows are read, with any times of their own."""
    drop.put("a.csv", HEADER + "1,paid,1999-01-01 00:00:00,\n2,paid,2099-01-01 00:00:00,\n3,paid,,\n")

    assert ids(drop.rows()) == ["1", "2", "3"]


def test_order_of_files(drop: Drop) -> None:
    """Files come oldest first, then by name, and positions count through all of them."""
    drop.put("a.csv", GOOD, START + timedelta(minutes=2))
    drop.put("c.csv", GOOD, START + timedelta(minutes=1))
    drop.put("b.csv", GOOD, START + timedelta(minutes=1))
    rows = drop.rows()

    assert [Path(row["origin"]).name for row in rows] == ["b.csv", "c.csv", "a.csv"]
    assert [row["position"] for row in rows] == [0, 1, 2]
    assert [row["file_modified_at"].minute for row in rows] == [1, 1, 2]


@pytest.mark.parametrize(
    "name", ["orders.csv.part", "orders.csv.tmp", ".orders.csv", ".sync/orders.csv", "day/.orders.csv"]
)
def test_unfinished_files(drop: Drop, name: str) -> None:
    """A file that is still being written is left for a later run."""
    drop.put(name, GOOD)
    drop.put("done.csv", GOOD)

    assert names(drop.reader(pattern="**/*")) == ["done.csv"]


def test_folder_that_looks_like_a_file(drop: Drop) -> None:
    """A folder with a matching name is not read."""
    (drop.folder / "orders.csv").mkdir()

    assert drop.rows() == []


def test_missing_folder(tmp_path: Path) -> None:
    """A drop without its folder stops the run; the message names source and folder."""
    with pytest.raises(StopError, match=r"Source 'drop': there is no folder .*/nowhere.*`path`"):
        Drop(tmp_path / "nowhere").rows(pattern="*.csv")


def test_no_files(drop: Drop) -> None:
    """A window without files has no rows."""
    assert drop.rows() == []


def kyiv(*window: str) -> Window:
    """Return a window of two UTC times."""
    start, end = (datetime.fromisoformat(time).replace(tzinfo=UTC) for time in window)
    return Window(start, end)


@pytest.mark.parametrize(
    ("name", "window"),
    [
        pytest.param("2026-11-21/orders-13.csv", kyiv("2026-11-21 11:00", "2026-11-21 12:00"), id="winter"),
        pytest.param("2026-07-21/orders-13.csv", kyiv("2026-07-21 10:00", "2026-07-21 11:00"), id="summer"),
        pytest.param("2026-11-21/orders-00.csv", kyiv("2026-11-20 22:00", "2026-11-20 23:00"), id="midnight"),
        pytest.param("2026-03-29/orders-03.csv", kyiv("2026-03-29 01:00", "2026-03-29 02:00"), id="no such hour"),
        pytest.param("2026-03-29/orders-04.csv", kyiv("2026-03-29 01:00", "2026-03-29 02:00"), id="after the gap"),
        pytest.param("2026-10-25/orders-03.csv", kyiv("2026-10-25 01:00", "2026-10-25 02:00"), id="hour that repeats"),
        pytest.param("2026-10-25/orders-04.csv", kyiv("2026-10-25 02:00", "2026-10-25 03:00"), id="after the repeat"),
    ],
)
def test_window_by_path(drop: Drop, name: str, window: Window) -> None:
    """The hour in a file's path, by the source's clock, decides its window; its modified time does not."""
    drop.put(name, GOOD, datetime(2020, 1, 1, tzinfo=UTC))
    configured = {"path_time": "%Y-%m-%d/orders-%H.csv", "timezone": "Europe/Kyiv"}
    an_hour = timedelta(hours=1)

    assert len(drop.rows(window, **configured)) == 1
    assert drop.rows(Window(window.start - an_hour, window.start), **configured) == []
    assert drop.rows(Window(window.end, window.end + an_hour), **configured) == []


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"], ids=["clocks go forward", "clocks go back"])
def test_no_hour_is_lost(day: str) -> None:
    """On days of a clock change, every hour in a path has a time, and none is before the hour before."""
    times = [path_time(f"{day}/{hour:02}.csv", "%Y-%m-%d/%H", "Europe/Kyiv") for hour in range(24)]

    assert None not in times
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("orders_20261121_101530.csv", "%Y%m%d_%H%M%S", datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)),
        ("21.11.26 10.15.csv", "%d.%m.%y %H.%M", datetime(2026, 11, 21, 10, 15, tzinfo=UTC)),
        ("orders_20261121_106130.csv", "%Y%m%d_%H%M%S", None),
        ("orders_00010101.csv", "%Y%m%d", None),
    ],
)
def test_path_time_to_the_second(path: str, pattern: str, expected: datetime | None) -> None:
    """A path may name minutes, seconds and a year of two digits; a time that is none in UTC is no time."""
    assert path_time(path, pattern, "UTC" if expected else "Europe/Kyiv") == expected


def test_path_time_by_day() -> None:
    """A path with only a day stands for the day's first hour."""
    assert path_time("orders_20261121.csv", "%Y%m%d", "Europe/Kyiv") == datetime(2026, 11, 20, 22, tzinfo=UTC)


@pytest.mark.parametrize("name", ["orders.csv", "2026-13-01/orders-10.csv", "2026-11-21/orders-24.csv"])
def test_file_without_its_time(drop: Drop, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file without date and hour in its path is never read, and each run warns about it."""
    file = drop.put(name, GOOD)

    assert drop.rows(path_time="%Y-%m-%d/orders-%H.csv") == []
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert str(file) in warning
    assert "`path_time`" in warning


@pytest.mark.parametrize("path_time", [None, "%Y-%m-%d/orders-%H.csv"])
def test_file_from_the_future(drop: Drop, path_time: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """A file of a time in the future waits for that time, each run warns about it, and other files are read."""
    late = drop.put("2062-11-21/orders-10.csv", GOOD, datetime(2062, 11, 21, 10, tzinfo=UTC))
    drop.put("2026-11-21/orders-10.csv", GOOD)

    assert ids(drop.rows(path_time=path_time)) == ["1"]
    (warning,) = [record.getMessage() for record in caplog.records if str(late) in record.getMessage()]
    assert "in the future" in warning
    assert ("its path" if path_time else "its modified time") in warning


def test_file_less_than_ahead_in_the_future(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """Clocks may differ by the source's `ahead` without a warning."""
    drop.put("a.csv", GOOD, datetime.now(UTC) + timedelta(hours=1))

    assert drop.rows(ahead="2h") == []
    assert caplog.records == []


def test_file_with_a_name_that_is_not_utf8(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """Such a file is not read, each run warns about it, and other files are read."""
    file = drop.put("good.csv", GOOD)
    shutil.copy2(file, os.fsencode(drop.folder) + b"/\xffbad.csv")

    assert ids(drop.rows()) == ["1"]
    (warning,) = [record.getMessage() for record in caplog.records if "bad.csv" in record.getMessage()]
    assert "not UTF-8" in warning
    warning.encode()


def test_link_to_nothing(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """A link whose file does not exist is not read, each run warns about it, and other files are read."""
    drop.put("good.csv", GOOD)
    (drop.folder / "link.csv").symlink_to("nothing")

    assert ids(drop.rows()) == ["1"]
    (warning,) = [record.getMessage() for record in caplog.records if "link.csv" in record.getMessage()]
    assert "link to a file that does not exist" in warning


# The rows of a file


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD.encode(), id="plain"),
        pytest.param(GOOD.encode("utf-8-sig"), id="byte order mark"),
        pytest.param(GOOD.replace(",", ";").encode(), id="semicolon"),
        pytest.param(GOOD.replace(",", ";").encode("utf-8-sig"), id="byte order mark and semicolon"),
        pytest.param(GOOD.replace("\n", "\r\n").encode(), id="Windows line ends"),
        pytest.param(GOOD.rstrip().encode(), id="no line end at the end"),
        pytest.param(GOOD.replace("order_id", '"order_id"').encode("utf-8-sig"), id="quoted header after the mark"),
    ],
)
def test_dialects(drop: Drop, content: bytes) -> None:
    """UTF-8 with or without byte order mark, comma or semicolon, and both line ends give the same row."""
    drop.put("a.csv", content)
    reader = drop.reader()
    (row,) = rows_of(reader)

    assert (row["order_id"], row["status"], row["email"]) == ("1", "paid", "a@shop.example")
    assert (row["line"], row["problem"], reader.skipped) == (2, None, 0)


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


def test_columns_by_the_shops_names(drop: Drop) -> None:
    """Columns are found by the shop's names in any sequence; columns without a canonical name are ignored."""
    drop.put("a.csv", "Изменён;прочее;Заказ;status\n2026-11-21;x;1;paid\n")
    (row,) = drop.rows(columns={"order_id": "Заказ", "status_changed_at": "Изменён"})

    assert (row["order_id"], row["status"], row["status_changed_at"]) == ("1", "paid", "2026-11-21")


def test_blank_lines_and_repeated_headers(drop: Drop) -> None:
    """Blank lines and repeated headers are skipped and counted, and line numbers stay right."""
    drop.put("a.csv", f"{HEADER}1,paid,x,y\n\n , ,,\n   \n{HEADER}2,paid,x,y\n\n")
    reader = drop.reader()
    rows = rows_of(reader)

    assert [(row["order_id"], row["line"]) for row in rows] == [("1", 2), ("2", 7)]
    assert reader.skipped == 5
    assert [row["position"] for row in rows] == [0, 1]


@pytest.mark.parametrize("start", ["\n", "  \n", "\r\n\r\n"], ids=repr)
def test_blank_lines_before_the_header(drop: Drop, start: str) -> None:
    """Blank lines before the header are skipped, and the orders are read."""
    drop.put("a.csv", start + GOOD)

    assert ids(drop.rows()) == ["1"]


def test_empty_fields_before_the_header(drop: Drop) -> None:
    """A first line of only delimiters counts as the header, so the file is rejected and listed."""
    drop.put("a.csv", ",,,\n" + GOOD)
    drop.put("b.csv", GOOD.replace("1,", "2,"), START + timedelta(minutes=1))
    first, second = drop.rows()

    assert (first["order_id"], first["problem"]) == (None, MISSING_COLUMN)
    assert second["order_id"] == "2"


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
        pytest.param(
            '2,paid,x,"y\n{}\ny"\n', {3: BAD_QUOTE, 4: TOO_LONG, 5: WRONG_WIDTH}, id="between quoted line breaks"
        ),
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


def test_quoted_lines_that_are_too_long_together(drop: Drop) -> None:
    """Short lines in one quote, longer than a row may be, are taken for a quote that is never closed."""
    lines = tuning.CSV_BLOCK_BYTES // 40
    drop.put("a.csv", f'{GOOD}2,paid,x,"{("y" * 99 + chr(10)) * lines}"\n3,paid,x,y\n')
    rows = drop.rows()

    assert [row["order_id"] for row in rows if not row["problem"]] == ["1", "3"]
    assert [row["problem"] for row in rows if row["line"] == 3] == [BAD_QUOTE]
    assert [row["line"] for row in rows if row["problem"]] == list(range(3, 3 + lines + 1))


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


HEADERLESS = [
    "4711,paid,2026-11-20 10:00:00,ann@shop.example,+380671234567,Ann Example",
    "4711;paid;20.11.2026;Ann Example",
    "A-1\tpaid\t2026-11-20\tAnn Example",
    "A-1,paid,Nov 20 2026,email,Ann Example",
    "A-1,paid,1795255500,Ann Example",
]


@pytest.mark.parametrize("line", HEADERLESS, ids=range(len(HEADERLESS)))
def test_file_without_a_header(drop: Drop, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """A row in the place of the header is said to be one, and none of its personal data is shown."""
    drop.put("a.csv", f"{line}\n{line}\n")
    with pytest.raises(StopError, match=r"looks like data, not like a header \(\d fields\)") as stop:
        drop.rows()

    assert not [word for word in ("Ann Ex", "ann@", "67123", "4711") if word in str(stop.value) + caplog.text]


def test_fields_of_a_header_that_look_like_data_are_not_shown(drop: Drop) -> None:
    """The message about a missing column shows the names of the others, and neither data nor a very long list."""
    drop.put("a.csv", f"order_id,status,Сума,Ann 2026,ann@shop.example,{'x' * 90},{','.join('abc' * 30)}\n")
    with pytest.raises(StopError, match="no column status_changed_at") as stop:
        drop.rows()

    assert f"It has 'order_id', 'status', 'Сума', '{'x' * 60}', 'a', " in str(stop.value)
    assert " and 46 more. " in str(stop.value)


def test_header_with_a_year(drop: Drop) -> None:
    """A header may have a column that is called by a number: its other names tell what it is."""
    drop.put("a.csv", GOOD.replace("email", "2026"))

    assert ids(drop.rows()) == ["1"]


@pytest.mark.parametrize("line_ends", ["\r", "\r\n", "\n\r\r\n"], ids=repr)
def test_line_ends(drop: Drop, line_ends: str) -> None:
    """Carriage returns alone, both, and a mixture of them end lines."""
    lines = [*HEADER.split(), *(f"{number},paid,x,y" for number in range(1, 4))]
    ends = {"\r": ["\r"] * 4, "\r\n": ["\r\n"] * 4}.get(line_ends, ["\n", "\r", "\r\n", ""])
    drop.put("a.csv", "".join(line + end for line, end in zip(lines, ends, strict=True)))

    assert [(row["order_id"], row["line"]) for row in drop.rows()] == [("1", 2), ("2", 3), ("3", 4)]


def test_a_bad_byte_costs_one_row(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """The rows before and after one with a bad byte are read, also beyond a block, and the row is listed."""
    rows = [f"{number},paid,x,{'y' * 90}" for number in range(40_000)]
    content = HEADER.encode() + "\n".join(rows).encode() + b"\n40000,paid,x,caf\xe9\n40001,paid,x,y\n"
    assert len(content) > 2 * tuning.CSV_BLOCK_BYTES
    drop.put("a.csv", content)
    reader = drop.reader()
    read = rows_of(reader)

    assert [row["order_id"] for row in read if not row["problem"]] == [*map(str, range(40_000)), "40001"]
    assert [(row["line"], row["problem"]) for row in read if row["problem"]] == [(40_002, BAD_BYTES)]
    assert sorted(row["position"] for row in read) == list(range(40_002))
    assert reader.unusable == []
    assert "rows with other bytes: 1, the first is 0xE9 in line 40002. Correct them in the source" in caplog.text


def test_a_bad_byte_in_a_name_that_is_not_needed(drop: Drop) -> None:
    """Where the names that are needed can be read, so can the file."""
    drop.put("a.csv", GOOD.replace("email", "caf\udce9").encode("utf-8", "surrogateescape"))

    assert ids(drop.rows()) == ["1"]


def test_a_file_of_bad_rows_alone_is_unusable(drop: Drop) -> None:
    """A file none of whose rows could be used is named, with its first bad byte, its likely encoding and a cure."""
    text = "".join(f"{number},Оплачено и отправлено,x,y\n" for number in range(9))
    drop.put("a.csv", (HEADER + text).encode("cp1251"))
    reader = drop.reader()

    assert [row["problem"] for row in rows_of(reader)] == [BAD_BYTES] * 9
    (message,) = reader.unusable
    assert "none of its 9 rows could be used" in message
    assert "the first is 0xCE in line 2" in message
    assert "If it is in windows-1251, set `encoding: windows-1251` in the source" in message


ENCODINGS = ["utf-8", "utf-16", "utf-16-le", "windows-1250", "windows-1251", "windows-1252", "cp866", "cp850", "koi8-r"]


@pytest.mark.parametrize("encoding", [*ENCODINGS, "cp437", "shift_jis", "utf-32"])
def test_configured_encodings(drop: Drop, encoding: str) -> None:
    """A file is read in the encoding that the source names."""
    word = {"shift_jis": "ソート済み", "windows-1250": "Zrušené"}.get(encoding, "é" if "125" in encoding else "Новый")
    word = {"cp850": "payé", "cp437": "payé", "windows-1251": "Новый"}.get(encoding, word)
    drop.put("a.csv", (HEADER + f"1,{word},x,y\n2,{word},x,y\n").encode(encoding))

    assert [row["status"] for row in drop.rows(encoding=encoding)] == [word, word]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(drop: Drop, encoding: str, caplog: pytest.LogCaptureFixture) -> None:
    """It counts more than the configuration, and the log says so."""
    caplog.set_level(logging.INFO)
    drop.put("a.csv", (HEADER + "1,Новый,x,y\n").encode(encoding))

    assert [row["status"] for row in drop.rows(encoding="windows-1251")] == ["Новый"]
    assert "its byte order mark says so" in caplog.text


@pytest.mark.parametrize("encoding", ["windows-1251", "cp866", "koi8-r"])
def test_an_encoding_is_found_by_configured_words(drop: Drop, encoding: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where the file holds the source's words in one encoding alone, it is read so, and the log says so."""
    caplog.set_level(logging.INFO)
    drop.put("a.csv", "Номер;Статус;Изменён\n1;НОВЫЙ;x\n".encode(encoding))
    columns = {"order_id": "Номер", "status": "Статус", "status_changed_at": "Изменён"}
    (row,) = drop.rows(columns=columns, statuses={"Новый": "created"})

    assert (row["order_id"], row["status"]) == ("1", "НОВЫЙ")
    assert f"is read as {encoding}" in caplog.text


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("koi8-u", ["Скасовано", "Їде", "змінено"]),
        ("cp1125", ["Скасовано", "Їде", "змінено"]),
        ("iso8859-5", ["Отменён", "Оплачен", "Изменён"]),
        ("windows-1250", ["Wysłane", "Zwrócone", "Zmiana"]),
        ("cp852", ["Wysłane", "Zwrócone", "Zmiana"]),
        ("iso8859-2", ["Wysłane", "Ścieżka", "Zmiana"]),
        ("shift_jis", ["発送済み", "キャンセル", "更新"]),
        ("euc_jp", ["発送済み", "キャンセル", "更新"]),
        ("utf-16-le", ["Скасовано", "Їде", "змінено"]),
        ("utf-16-be", ["発送済み", "キャンセル", "更新"]),
    ],
)
def test_the_encoding_that_holds_most_words(drop: Drop, encoding: str, words: list[str]) -> None:
    """Encodings of neighbours share letters: the one with the most of the source's words is right."""
    first, second, changed = words
    drop.put("a.csv", f"order_id,status,{changed}\n1,{first},x\n2,{second},x\n".encode(encoding))
    rows = drop.rows(columns={"status_changed_at": changed}, statuses={first: "paid", second: "shipped"})

    assert [row["status"] for row in rows] == [first, second]


@pytest.mark.parametrize(
    ("encoding", "content", "said"),
    [
        (
            None,
            b"2,paid,x,y\n3,paid,x,\xe9\n",
            "read as utf-8; rows with other bytes: 1, the first is 0xE9 in line 3. Corr",
        ),
        (
            "windows-1251",
            b"2,paid,x,\x98\n",
            "read as cp1251 (`encoding` says so); rows with other bytes: 1, the first is 0x98",
        ),
        ("utf-8", "2,Новый,x,y\n".encode("cp1251"), "If it is in windows-1251, set `encoding: windows-1251`"),
        (
            "utf-16-le",
            b"",
            "read as utf-16-le (`encoding` says so); rows with other bytes: 1, the first is 0x0A in line 2",
        ),
    ],
)
def test_the_message_about_bad_bytes(
    drop: Drop, caplog: pytest.LogCaptureFixture, encoding: str | None, content: bytes, said: str
) -> None:
    """It names encoding, why, the file's first bad byte, its line and the cure: few bad rows are no other encoding."""
    wide = (HEADER + "1,paid,x,y\n").encode("utf-16-le")[:-1] if not content else HEADER.encode() + content
    drop.put("a.csv", wide)
    drop.rows(encoding=encoding, statuses={"Новый": "created"})

    assert said in caplog.text


def test_utf16_that_is_configured_and_not_there(drop: Drop) -> None:
    """A file without any zero byte is no UTF-16."""
    drop.put("a.csv", GOOD)

    assert ids(drop.rows(encoding="utf-16")) == ["1"]


def test_control_characters_tell_an_encoding(drop: Drop) -> None:
    """Windows-1250 and ISO 8859-2 have the same letters in a word, and another text of the file tells which it is."""
    drop.put("a.csv", (HEADER + "1,Wysłane,x,Śliwa\n").encode("cp1250"))

    assert [row["email"] for row in drop.rows(statuses={"Wysłane": "shipped"})] == ["Śliwa"]


def test_an_encoding_is_not_guessed(drop: Drop) -> None:
    """Where two encodings give other words of the file, it is read as UTF-8, and its bad rows are listed."""
    drop.put("a.csv", (HEADER + "1,payé,x,Ł\n2,payé,x,Š\n3,paid,x,y\n").encode("cp1250"))
    rows = drop.rows(statuses={"payé": "paid"})

    assert [(row["order_id"], row["problem"]) for row in rows] == [("3", None), (None, BAD_BYTES), (None, BAD_BYTES)]


def test_a_byte_that_its_encoding_does_not_know(drop: Drop) -> None:
    """Other encodings have bytes that are no text too: they cost their row alone."""
    drop.put("a.csv", HEADER.encode() + b"1,paid,x,\xd0\n2,paid,x,\x98\n3,paid,x,y\n")
    rows = drop.rows(encoding="windows-1251")

    assert [(row["line"], row["email"], row["problem"]) for row in rows] == [
        (2, "Р", None),
        (4, "y", None),
        (3, None, BAD_BYTES),
    ]


def test_utf8_under_another_configured_encoding(drop: Drop) -> None:
    """A shop may change its export to UTF-8: what is surely UTF-8 is read so."""
    drop.put("a.csv", HEADER + "1,Новый,x,y\n")

    assert [row["status"] for row in drop.rows(encoding="windows-1251")] == ["Новый"]


@pytest.mark.parametrize(("delimiter", "key"), [(",", ","), (";", ";"), ("\t", "tab"), ("|", "|")])
def test_delimiters(drop: Drop, delimiter: str, key: str) -> None:
    """The header tells the delimiter, also beside others in its names; the source may name it."""
    drop.put("a.csv", (HEADER.strip() + ',"a;b|c\td;e|f\tg;h|i"\n1,paid,x,y,z\n').replace(",", delimiter))

    assert ids(drop.rows()) == ids(drop.rows(delimiter=key)) == ["1"]


@pytest.mark.parametrize("name", ["Order ID", "order-id", "orderId", "Order_ids"])
def test_a_name_near_to_one_that_is_missing(drop: Drop, name: str) -> None:
    """The message about a missing column names the file's column that may be meant."""
    drop.put("a.csv", GOOD.replace("order_id", name))
    with pytest.raises(StopError, match=rf"no column order_id \(did you mean '{name}'\?\)"):
        drop.rows()


def test_the_delimiter_line_of_excel(drop: Drop) -> None:
    """Excel may write the delimiter into a line of its own, which is no header."""
    drop.put("a.csv", "sep=|\r\n" + GOOD.replace(",", "|"))
    drop.put("b.csv", '"sep=;"\n' + GOOD.replace(",", ";"))
    reader = drop.reader()

    assert [(row["order_id"], row["line"]) for row in rows_of(reader)] == [("1", 3), ("1", 3)]
    assert reader.skipped == 2


def test_a_preamble_that_is_not_configured(drop: Drop) -> None:
    """The message names the line of the header, and the setting."""
    drop.put("a.csv", "Orders of Ann Example\n\n" + GOOD)
    with pytest.raises(StopError, match="line 1 is no header, and line 3 looks like one: set `skip_lines: 2`") as stop:
        drop.rows()

    assert "Ann" not in str(stop.value)


def test_a_header_that_shops_write_otherwise(drop: Drop) -> None:
    """Case, accents, kinds of blanks and invisible characters of a header do not count, where one column is meant."""
    drop.put("a.csv", "\u200bORDER_ID,\u00a0Stätus\u00a0 der  Sendung ,Изменен,Mail,EMAIL\n1,paid,x,y,z\n")
    names = {
        "status": "status der sendung",
        "status_changed_at": ["Changed at", "изменён"],
        "phone": "email",
        "email": "Mail",
    }
    (row,) = drop.rows(columns=names)

    assert (row["order_id"], row["status"], row["status_changed_at"], row["phone"]) == ("1", "paid", "x", "z")


def test_a_column_that_is_there_twice_is_refused_where_it_is_used(drop: Drop) -> None:
    """A name that two columns have is refused; columns that are not read may share names."""
    drop.put("a.csv", "order_id,status,status_changed_at,x,x\n1,paid,x,y,z\n")
    assert ids(drop.rows()) == ["1"]
    drop.put("a.csv", "order_id,Status,STATUS,status_changed_at\n1,paid,x,y\n")
    with pytest.raises(StopError, match="'status' is there twice"):
        drop.rows()


def test_files_without_a_header(drop: Drop) -> None:
    """With `header: none` columns are given by number, and the first line is a row."""
    drop.put("a.csv", "x;1;paid;2026-11-21\ny;2;paid;2026-11-21\n")
    rows = drop.rows(header="none", columns={"order_id": 2, "status": 3, "status_changed_at": 4})

    assert [(row["order_id"], row["status_changed_at"], row["line"]) for row in rows] == [
        ("1", "2026-11-21", 1),
        ("2", "2026-11-21", 2),
    ]


def test_preambles_and_footers(drop: Drop) -> None:
    """`skip_lines` and `footers` skip what is no order, and count it; line numbers stay those of the file."""
    drop.put("a.csv", f"Report of 2026\n\n{GOOD}total: 1,,,\nИтого;\nTotal,1\n,,итого 5,\n")
    reader = drop.reader(skip_lines=1, footers=["Total", "итого"])

    assert [(row["order_id"], row["line"]) for row in rows_of(reader)] == [("1", 4)]
    assert reader.skipped == 6


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


def test_a_column_without_a_name(drop: Drop) -> None:
    """A column without a name may hold something in all rows, as the row numbers of pandas."""
    drop.put("a.csv", ",order_id,status,status_changed_at,\n0,7,paid,x,y\n1,8,paid,x,y\n")

    assert ids(drop.rows()) == ["7", "8"]


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
    assert "has 2 rows from line 2 on, and 1 were read" in reader.unusable[0]


def test_all_files_bad(drop: Drop) -> None:
    """A window with only unreadable files stops the run, with the reason of each."""
    drop.put("a.csv", b"order_id\n1\n")
    drop.put("b.csv", b"order\xff_id\n")

    with pytest.raises(StopError) as stop:
        drop.rows()

    assert "a.csv: no column status" in str(stop.value)
    assert "b.csv has a header that is no text in utf-8" in str(stop.value)


def test_configured_column_is_missing(drop: Drop) -> None:
    """The message about a missing configured column names the nearest column of the file."""
    drop.put("a.csv", "Order nr,status,status_changed_at\n1,paid,x\n")

    with pytest.raises(StopError, match=r"from 'Order number', which is not there \(did you mean 'Order nr'\?\)"):
        drop.rows(columns={"order_id": "Order number"})


@pytest.mark.parametrize(
    ("required", "fault"),
    [
        pytest.param(("bill_id",), "no column bill_id", id="one"),
        pytest.param((("phone", "bill_id"),), "no column phone or bill_id", id="one of two"),
        pytest.param((("email", "phone"),), None, id="one of two is there"),
    ],
)
def test_columns_that_the_provider_requires(drop: Drop, required: tuple[Any, ...], fault: str | None) -> None:
    """A file must have the columns that the destination's provider requires."""
    drop.put("a.csv", GOOD)
    drop.required = required

    if fault is None:
        assert ids(drop.rows()) == ["1"]
    else:
        with pytest.raises(StopError, match=fault):
            drop.rows()


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
