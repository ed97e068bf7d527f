"""The keys of a warehouse: its connection and its queries."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from include.order_sync.configuration.query_files import parameters, read_query
from include.order_sync.configuration.source_entry import SourceEntry
from include.order_sync.configuration.values import PROJECT

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


class WindowType(StrEnum):
    """The type of the values that a query compares with its window."""

    ZONED = "timestamp with zone"
    LOCAL = "local naive in timezone"
    ISO = "iso text"
    ISO_UTC = "iso text in utc"
    UNIX_S = "unix s"
    UNIX_MS = "unix ms"
    DATE = "date"


class SqlSource(SourceEntry):
    """A warehouse: a query for orders and, if need be, one for their items."""

    type: Literal["sql"] = Field(description="sql or csv")
    columns: dict[str, str] = Field({}, description="canonical column: the source's name for it")
    connection: str = Field(description="the id of an Airflow connection to a SQL database", min_length=1)
    query: WindowQuery = Field(description="a file in include/sql that uses :window_start and :window_end")
    items_query: WindowQuery | None = Field(
        None, description="a file in include/sql, like `query`; it gives order_id too"
    )
    window_type: WindowType | None = Field(
        None, description=f"what the queries compare with the window: {', '.join(WindowType)}"
    )
    kind: Literal["current", "history"] = Field(
        "current",
        description="current, if the query gives each order's present state; history, if it gives every change",
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
