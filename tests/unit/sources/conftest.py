"""Warehouses of three kinds, each with queries of its own, and a drop."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from include.order_sync.configuration import sql_source
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.model import Window
from include.order_sync.sources.warehouse import WarehouseReader
from tests.unit.conftest import whole
from tests.unit.sources.drops import Drop
from tests.unit.sources.told import Told

WINDOW = Window(datetime(2026, 11, 21, 10, tzinfo=UTC), datetime(2026, 11, 21, 11, tzinfo=UTC))
# A plain order; a test may add its own columns.
ORDER = "'1' as order_id, 'paid' as status, '2026-11-21' as status_changed_at"
WINDOWED = "where :window_start < :window_end"


class Warehouse:
    """A database with its own queries."""

    def __init__(self, engine: sa.Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder

    def reader(self, query: str, items_query: str | None = None, **source: Any) -> WarehouseReader:
        """Return a reader of one window by these queries."""
        configured: dict[str, Any] = {"query": "orders.sql"}
        if self.engine.dialect.name != "postgresql":
            configured["window_type"] = "iso text in utc"
        (self.folder / "orders.sql").write_text(query, "utf-8")
        if items_query:
            (self.folder / "items.sql").write_text(items_query, "utf-8")
            configured["items_query"] = "items.sql"
        required = source.pop("required", ())
        plain = {
            "name": "shop",
            "type": "sql",
            "connection": "my_warehouse",
            "timezone": "UTC",
            "statuses": {"a": "paid"},
        }
        return WarehouseReader(self.engine, SqlSource.model_validate(plain | configured | source), WINDOW, required)

    def rows(self, query: str, **source: Any) -> list[dict[str, Any]]:
        """Return all raw rows that a query gives."""
        with self.reader(query, **source).open() as (orders, _):
            return whole(orders).to_pylist()

    def value(self, expression: str) -> str | None:
        """Return an SQL expression's value as the source gives it."""
        (row,) = self.rows(f"select {ORDER}, {expression} as email {WINDOWED}")
        return row["email"]

    def items(self, query: str, **source: Any) -> list[dict[str, Any]]:
        """Return all raw items that a query gives."""
        with self.reader(f"select {ORDER} {WINDOWED}", query, **source).open() as (orders, items):
            list(orders)
            return pa.concat_tables(items).to_pylist()

    def execute(self, *statements: str, rows: list[dict[str, Any]] | None = None) -> None:
        """Run statements; the last one with rows, if given."""
        with self.engine.begin() as connection:
            for statement in statements[: len(statements) - bool(rows)]:
                connection.execute(sa.text(statement))
            if rows:
                connection.execute(sa.text(statements[-1]), rows)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of queries."""
    monkeypatch.setattr(sql_source, "SQL_FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def copied(postgres: sa.Engine, folder: Path) -> Warehouse:
    """A PostgreSQL warehouse, which is read by COPY."""
    return Warehouse(postgres, folder)


@pytest.fixture
def fetched(folder: Path) -> Warehouse:
    """A warehouse of another kind, which is read through its cursor."""
    return Warehouse(sa.create_engine(f"sqlite:///{folder}/warehouse.db"), folder)


@pytest.fixture(params=["copied", "fetched"])
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """Both kinds, one after the other."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def mysql(mariadb: sa.Engine, folder: Path) -> Warehouse:
    """A MariaDB warehouse."""
    return Warehouse(mariadb, folder)


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    """An empty drop."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return Drop(folder)


@pytest.fixture
def tell(tmp_path: Path) -> Any:
    """Read a file of this content, for REES46 or another provider; the other keys are those of its source."""

    def told(content: str | bytes, provider: str = "rees46", **keys: Any) -> Told:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return Told(folder, content, provider, **keys)

    return told
