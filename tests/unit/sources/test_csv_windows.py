"""Which files of a drop belong to a window."""

import logging
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.drop_files import path_time
from tests.unit.sources.drops import GOOD, HEADER, START, WINDOW, Drop, ids, names


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
        ("1234567890_20261121.csv", "%Y%m%d", datetime(2026, 11, 21, tzinfo=UTC)),
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
