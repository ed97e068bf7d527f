"""The models of `sources`: the keys of a warehouse and of a CSV drop.

They are imported while Airflow parses DAG files, so this may not import pandas.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from include.order_sync.configuration.csv_values import PATH_TIMES, StatusRule, known_encoding
from include.order_sync.configuration.dag_entry import Entry
from include.order_sync.configuration.query_files import parameters, read_query
from include.order_sync.configuration.values import Duration, country, known_key, quoted, time_zone
from include.order_sync.model import GUESTS, ITEM_COLUMNS, ORDER_COLUMNS, OrderStatus
from include.order_sync.transform.date_forms import ambiguous, known_form

if TYPE_CHECKING:
    from include.order_sync.transform.values import Values

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
    item_columns: dict[str, str] = Field({}, description="canonical item column: the source's name for it")
    statuses: Annotated[dict[str, OrderStatus], BeforeValidator(quoted)] = Field(
        description=f"the shop's word: one of {', '.join(OrderStatus)}", min_length=1
    )
    timezone: Annotated[str, AfterValidator(time_zone)] = Field(
        description="of times without an offset, as Europe/Kyiv"
    )
    ahead: Duration = Field(timedelta(hours=1), description="how far a time may lie in the future, as 30m, 1h or 2d")
    dates: list[Annotated[str, AfterValidator(known_form)]] = Field(
        [], description="a list of the forms of dates beside ISO 8601, as d.m.y"
    )
    decimal: Literal[",", "."] | None = Field(
        None,
        description="the sign before the fraction of amounts; then currencies and signs of thousands may stand there",
    )
    strip_ids: bool = Field(False, description="true, to take # and the marks of spreadsheets off ids")
    missing_words: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="a list of words for nothing, as NULL, in quotes"
    )
    defaults: dict[str, str] = Field({}, description="canonical column: its text where a row has none")
    phone_country: Annotated[str, AfterValidator(country)] | None = Field(
        None, description="the country of telephone numbers without a country's code, as UA"
    )
    drop_bad_contact: bool = Field(
        False, description="true, to send an order without an e-mail or telephone number that is none"
    )
    guest_ids: list[str] = Field(list(GUESTS), description="a list of customer ids that are no customer")
    customer_id_from: list[Literal["email", "phone"]] = Field(
        [], description="a list of email and phone: what stands in for a missing customer id"
    )

    @field_validator("dates")
    @classmethod
    def _unambiguous(cls, forms: list[str]) -> list[str]:
        both = ambiguous(forms)
        if both:
            raise ValueError(f"{both[0]} and {both[1]} read 3/4/2026 as two days: keep the one that the shop writes")
        return forms

    @field_validator("defaults")
    @classmethod
    def _for_columns(cls, defaults: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        for column in defaults:
            known_key("canonical column", column, [known for known in ORDER_COLUMNS if known != "order_id"])
        statuses = info.data.get("statuses", {})
        if "status" in defaults and statuses and defaults["status"] not in statuses:
            raise ValueError("the status is none of the words of `statuses`")
        return defaults

    @property
    def supplied(self) -> set[str]:
        """The canonical columns that the source need not have, because the configuration gives them."""
        return {*self.defaults, *(["customer_id"] if self.customer_id_from else [])}

    @property
    def joins_lines(self) -> bool:
        """Whether the lines of an order that stand together are joined."""
        return getattr(self, "lines", None) in ("items", "continuation")

    @property
    def values(self) -> Values:
        """The forms of its values, for transform."""
        from include.order_sync.transform.values import Values  # not at the top: it brings pandas

        return Values(
            tuple(self.missing_words),
            self.defaults,
            self.decimal,
            self.phone_country,
            self.drop_bad_contact,
            tuple(self.guest_ids),
            tuple(self.customer_id_from),
        )

    @field_validator("columns", "item_columns", check_fields=False)
    @classmethod
    def _canonical(cls, columns: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
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


class CsvSource(_Source):
    """A CSV drop: a glob, and the rule by which a file belongs to a window."""

    type: Literal["csv"] = Field(description="sql or csv")
    path: str = Field(description="a glob: a folder of this machine, or an object storage's address", min_length=1)
    path_time: str | None = Field(
        None,
        description="the form of date and hour in a file's path, as %Y-%m-%d/orders-%H.csv; "
        "without it a file's modified time tells its window",
    )
    ignore_case: bool = Field(False, description="true: the case of letters in `path` does not count")
    settle_seconds: int = Field(
        0, ge=0, le=86400, description="a file that was modified so few seconds ago is left to a later run"
    )
    connection: str | None = Field(None, description="the id of the object storage's Airflow connection")
    columns: dict[str, str | list[str]] = Field(
        {}, description="canonical column: the file's name for it, a list of names of which it has one, or its number"
    )
    encoding: Annotated[str, AfterValidator(known_encoding)] | None = Field(
        None, description="as windows-1251; without it a file is UTF-8, or what its byte order mark says"
    )
    delimiter: Literal[",", ";", "tab", "|"] | None = Field(
        None, description="one of , ; tab | in quotes; without it the header tells"
    )
    skip_lines: int = Field(0, ge=0, le=1000, description="the number of lines before the header")
    header: Literal["none"] | None = Field(None, description="none: the files have no header")
    footers: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="a list of words: a row whose first field begins with one is skipped"
    )
    lines: Literal["items", "continuation", "last"] | None = Field(
        None, description="items, continuation or last: how a file has several lines for an order"
    )
    status_from: list[StatusRule] = Field(
        [], description="a list of rules: the first that applies to a row gives its status word"
    )
    status_time: Literal["file"] | None = Field(
        None, description="file: the file's own time is the status_changed_at of its rows"
    )
    max_unusable_files: int = Field(0, ge=0, description="a run with more files that could not be used ends red")

    @field_validator("columns", mode="before")
    @classmethod
    def _numbered(cls, columns: Any) -> Any:
        if not isinstance(columns, dict):
            return columns
        return {column: str(name) if type(name) is int else name for column, name in columns.items()}

    @field_validator("status_from")
    @classmethod
    def _known_words(cls, rules: list[StatusRule], info: ValidationInfo) -> list[StatusRule]:
        statuses = info.data.get("statuses")
        for rule in rules if statuses else ():
            if rule.word is not None:
                known_key("word in `statuses`", rule.word, list(statuses or ()))
        return rules

    @field_validator("header")
    @classmethod
    def _by_numbers(cls, header: str | None, info: ValidationInfo) -> str | None:
        columns = info.data.get("columns", {})
        if header and not all(isinstance(name, str) and name.isdecimal() and int(name) for name in columns.values()):
            raise ValueError("without a header give each of `columns` its number in the file, from 1 on")
        return header

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if "\\" in path:
            raise ValueError("write the path with /, as C:/drop/*.csv")
        if path.startswith(("http://", "https://", "ftp://", "ftps://")):
            raise ValueError("a web address is no drop: let a job put the files into a folder or an object storage")
        if path.startswith("~"):
            raise ValueError("write the whole path: ~ is another folder for each user")
        return path if "://" in path else str(PROJECT / path)

    @field_validator("path_time")
    @classmethod
    def _dated(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        directives = re.findall(r"%.?", pattern)
        if set(directives) & {"%Y", "%y"} == set() or {"%m", "%d"} - set(directives):
            raise ValueError("it takes a year (%Y or %y), %m and %d, and %H, %M and %S if files are of shorter times")
        if set(directives) - set(PATH_TIMES):
            raise ValueError(f"it takes {', '.join(PATH_TIMES)}, and no other")
        if len(directives) != len(set(directives)) or {"%Y", "%y"} <= set(directives):
            raise ValueError("it takes each part of a time once")
        return pattern

    @property
    def given_columns(self) -> set[str]:
        """The canonical columns that a file need not have, because rules or its own time give them."""
        given = {"status"} if self.status_from else set()
        timed = self.status_time or any(rule.time for rule in self.status_from)
        return given | ({"status_changed_at"} if timed else set())

    @property
    def supplied(self) -> set[str]:
        """Also those that rules or the file's own time give."""
        return super().supplied | self.given_columns

    @property
    def column_names(self) -> list[str]:
        """All names that columns of a file may have."""
        named = [[name] if isinstance(name, str) else name for name in self.columns.values()]
        return [*ORDER_COLUMNS, *(name for names in named for name in names)]

    @property
    def words(self) -> list[str]:
        """The texts that a file should hold: names of columns and words of statuses."""
        return [*self.column_names, *self.statuses]

    @property
    def reading(self) -> str:
        """A hash of the keys by which files are read: it changes where an unusable file is worth another try."""
        keys = self.model_dump_json(exclude={"ahead", "settle_seconds", "max_unusable_files"})
        return hashlib.sha256(keys.encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """The fixed beginning of the glob."""
        return self._split()[0]

    @property
    def pattern(self) -> str:
        """The glob within the folder: from its first wildcard on, or the name of the one file."""
        pattern = self._split()[1]
        if not self.ignore_case:
            return pattern
        # Sets of characters stay as they are.
        return re.sub(r"\[.*?\]|[^\W\d_]", lambda at: at[0] if at[0][0] == "[" else _both_cases(at[0]), pattern)

    def _split(self) -> tuple[str, str]:
        parts = self.path.split("/")
        wild = (at for at, part in enumerate(parts) if any(sign in part for sign in "*?["))
        at = next(wild, len(parts) - 1)
        return "/".join(parts[:at]), "/".join(parts[at:])


def _both_cases(letter: str) -> str:
    return f"[{letter.lower()}{letter.upper()}]"


Source = SqlSource | CsvSource
