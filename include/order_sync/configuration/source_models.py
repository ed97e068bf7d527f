"""The models of `sources`: the keys of a warehouse and of a CSV drop.

They are imported while Airflow parses DAG files, so this may not import pandas.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from include.order_sync.configuration.dag_entry import Entry
from include.order_sync.configuration.query_files import parameters, read_query
from include.order_sync.configuration.values import Duration, known_key, quoted, time_zone
from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS, OrderStatus

PROJECT = Path(__file__).parents[3]
SQL_FOLDER = PROJECT / "include" / "sql"


def _sql_file(name: Any, marks: Sequence[str], otherwise: str) -> Path:
    path = SQL_FOLDER / str(name)
    if not path.is_file():
        raise ValueError(f"there is no such file in {SQL_FOLDER}: put the query there")
    used = parameters(read_query(path))
    missing = [f":{mark}" for mark in marks if mark not in used]
    if missing:
        raise ValueError(f"the query does not use {' and '.join(missing)}, so it would read all orders {otherwise}")
    return path


def _windowed(name: Any) -> Path:
    return _sql_file(name, ("window_start", "window_end"), "each hour")


def _by_ids(name: Any) -> Path:
    return _sql_file(name, ("order_ids",), "whichever were asked for")


WindowQuery = Annotated[Path, BeforeValidator(_windowed)]
IdsQuery = Annotated[Path, BeforeValidator(_by_ids)]


class _Source(Entry):
    columns: dict[str, str] = Field({}, description="canonical column: the source's name for it")
    item_columns: dict[str, str] = Field({}, description="canonical item column: the source's name for it")
    statuses: Annotated[dict[str, OrderStatus], BeforeValidator(quoted)] = Field(
        description=f"the shop's word: one of {', '.join(OrderStatus)}", min_length=1
    )
    timezone: Annotated[str, AfterValidator(time_zone)] = Field(
        description="of times without an offset, as Europe/Kyiv"
    )
    ahead: Duration = Field(timedelta(hours=1), description="how far a time may lie in the future, as 30m, 1h or 2d")

    @field_validator("columns", "item_columns")
    @classmethod
    def _canonical(cls, columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        known = ORDER_COLUMNS if info.field_name == "columns" else ITEM_COLUMNS
        for column in columns:
            known_key("canonical column", column, known)
        return columns


class WindowType(StrEnum):
    """The type of the values that a query compares with its window."""

    ZONED = "timestamp with zone"
    LOCAL = "local naive in timezone"
    ISO = "iso text"
    ISO_UTC = "iso text in utc"
    UNIX_S = "unix s"
    UNIX_MS = "unix ms"
    DATE = "date"


class SqlSource(_Source):
    """A warehouse: a query for orders and, if need be, one for their items."""

    type: Literal["sql"] = Field(description="sql or csv")
    connection: str = Field(description="the id of an Airflow connection to a SQL database", min_length=1)
    query: WindowQuery = Field(description="a file in include/sql that uses :window_start and :window_end")
    items_query: WindowQuery | None = Field(
        None, description="a file in include/sql, like `query`; it gives order_id too"
    )
    window_type: WindowType | None = Field(
        None, description=f"what the queries compare with the window: {', '.join(WindowType)}"
    )
    by_ids_query: IdsQuery | None = Field(
        None, description="a file in include/sql that gives what `query` does, of the orders `in :order_ids`"
    )
    items_by_ids_query: IdsQuery | None = Field(
        None, description="a file in include/sql: the items of those orders", validate_default=True
    )

    @field_validator("items_by_ids_query")
    @classmethod
    def _with_their_items(cls, query: Path | None, info: ValidationInfo) -> Path | None:
        if query is None and info.data.get("items_query") and info.data.get("by_ids_query"):
            raise ValueError("add it beside `by_ids_query`: orders read by their ids would be sent without items")
        return query


class CsvSource(_Source):
    """A CSV drop: a glob, and the rule by which a file belongs to a window."""

    type: Literal["csv"] = Field(description="sql or csv")
    path: str = Field(description="a glob: a folder of this machine, or an object storage's address", min_length=1)
    path_time: str | None = Field(
        None,
        description="the form of date and hour in a file's path, as %Y-%m-%d/orders-%H.csv; "
        "without it a file's modified time tells its window",
    )
    settle_seconds: int = Field(
        0, ge=0, le=86400, description="a file that was modified so few seconds ago is left to a later run"
    )
    connection: str | None = Field(None, description="the id of the object storage's Airflow connection")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return path if "://" in path else str(PROJECT / path)

    @field_validator("path_time")
    @classmethod
    def _dated(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        directives = re.findall(r"%.?", pattern)
        if {"%Y", "%m", "%d"} - set(directives) or set(directives) - {"%Y", "%m", "%d", "%H"}:
            raise ValueError("it takes %Y, %m and %d, and %H if there is a file an hour, and no other")
        if len(directives) != len(set(directives)):
            raise ValueError("it takes each of %Y, %m, %d and %H once")
        return pattern

    @property
    def folder(self) -> str:
        """The fixed beginning of the glob."""
        return self._split()[0]

    @property
    def pattern(self) -> str:
        """The glob within the folder: from its first wildcard on, or the name of the one file."""
        return self._split()[1]

    def _split(self) -> tuple[str, str]:
        parts = self.path.split("/")
        wild = (at for at, part in enumerate(parts) if any(sign in part for sign in "*?["))
        at = next(wild, len(parts) - 1)
        return "/".join(parts[:at]), "/".join(parts[at:])


Source = SqlSource | CsvSource
