"""A drop in a folder of this machine, for the tests of its files and rows."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from upath import UPath

from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.model import Window
from include.order_sync.sources.csv_drop import CsvDropReader
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
