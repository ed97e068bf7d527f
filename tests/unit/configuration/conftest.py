"""A configuration file that a test writes and loads."""

from pathlib import Path

import pytest

from include.order_sync.configuration import loading, sql_source
from include.order_sync.configuration.loading import Configuration
from tests.unit.configuration.samples import Load


@pytest.fixture(autouse=True)
def queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of queries: a good one of each kind, one without a window, and one with half a window."""
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "orders.sql").write_text("select * from orders where at >= :window_start and at < :window_end")
    (folder / "all.sql").write_text("select * from orders")
    (folder / "half.sql").write_text("select * from orders where at >= :window_start")
    (folder / "by_ids.sql").write_text("select * from orders where order_id in :order_ids")
    monkeypatch.setattr(sql_source, "SQL_FOLDER", folder)
    return folder


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that writes a text as the configuration and loads it."""

    def write_and_load(text: str) -> Configuration:
        file = tmp_path / "order_sync.yaml"
        file.write_text(text, "utf-8")
        return loading.load(file)

    return write_and_load
