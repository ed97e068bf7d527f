"""The models of the configuration, include/config/order_sync.yaml: its keys and their values.

loading.py reads the file. Both are imported while Airflow parses DAG files, so neither may import pandas.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from include.order_sync.configuration.dag_entry import DagEntry, Entry
from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS, Code, OrderStatus
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Provider

PROJECT = Path(__file__).parents[3]
SQL_FOLDER = PROJECT / "include" / "sql"


def known_key(kind: str, key: str, known: Sequence[str]) -> None:
    """Raise ValueError for an unknown key; the message names it, the nearest known key, and all known keys."""
    if key not in known:
        raise ValueError(f"there is no {kind} {key!r};{_hint(key, known)}")


def known_value(kind: str, value: str, known: Sequence[str]) -> str:
    """Return `value` if it is known; else raise ValueError like known_key.

    The message does not name the value: it may come from the environment and be a secret.
    """
    if value not in known:
        raise ValueError(f"there is no such {kind};{_hint(value, known)}")
    return value


def _hint(name: str, known: Sequence[str]) -> str:
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(name, known, 1)
    return f"{f' did you mean {close[0]!r}?' if close else ''} known: {', '.join(known)}"


def _quoted(names: Any) -> Any:
    for name in names if isinstance(names, Mapping) else ():
        if not isinstance(name, str):
            raise ValueError(f"put the key {name!r} in quotes, so that it stays text")
    return names


def _time_zone(name: str) -> str:
    return known_value("time zone", name, _time_zones())


@cache
def _time_zones() -> list[str]:
    return sorted(available_timezones())  # reads hundreds of files


def _sql_file(name: Any, marks: Sequence[str], otherwise: str) -> Path:
    path = SQL_FOLDER / str(name)
    if not path.is_file():
        raise ValueError(f"there is no such file in {SQL_FOLDER}: put the query there")
    missing = [f":{mark}" for mark in marks if f":{mark}" not in path.read_text("utf-8")]
    if missing:
        raise ValueError(f"the query does not use {' and '.join(missing)}, so it would read all orders {otherwise}")
    return path


def _windowed(name: Any) -> Path:
    return _sql_file(name, ("window_start", "window_end"), "each hour")


def _by_ids(name: Any) -> Path:
    return _sql_file(name, ("order_ids",), "whichever were asked for")


WindowQuery = Annotated[Path, BeforeValidator(_windowed)]
IdsQuery = Annotated[Path, BeforeValidator(_by_ids)]


def _duration(text: Any) -> timedelta:
    if isinstance(text, timedelta):  # a default; YAML has no durations
        return text
    found = re.fullmatch(r"(\d{1,6})([mhd])", text) if isinstance(text, str) else None
    if not found:
        raise ValueError("give a number of minutes, hours or days, as 30m, 1h or 2d")
    return timedelta(minutes=int(found[1]) * {"m": 1, "h": 60, "d": 24 * 60}[found[2]])


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class _Source(Entry):
    columns: dict[str, str] = Field({}, description="canonical column: the source's name for it")
    item_columns: dict[str, str] = Field({}, description="canonical item column: the source's name for it")
    statuses: Annotated[dict[str, OrderStatus], BeforeValidator(_quoted)] = Field(
        description=f"the shop's word: one of {', '.join(OrderStatus)}", min_length=1
    )
    timezone: Annotated[str, AfterValidator(_time_zone)] = Field(
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


class SqlSource(_Source):
    """A warehouse: a query for orders and, if need be, one for their items."""

    type: Literal["sql"] = Field(description="sql or csv")
    connection: str = Field(description="the id of an Airflow connection to a SQL database", min_length=1)
    query: WindowQuery = Field(description="a file in include/sql that uses :window_start and :window_end")
    items_query: WindowQuery | None = Field(
        None, description="a file in include/sql, like `query`; it gives order_id too"
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


class Retention(BaseModel):
    """Days after which old rows and files are removed; the states of orders stay."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    staged_parts: int = Field(7, ge=1, description="days that the parts of red runs, and rejected rows, are kept")
    attempts: int = Field(90, ge=1, description="days that attempts are kept")
    quarantine: int = Field(90, ge=1, description="days that resolved entries of the quarantine are kept")


# Slower than one request in 100 s is no pace but a mistake, such as a number of seconds put for a number of requests.
SLOWEST_REQUESTS_A_SECOND = 0.01


def requests_a_second(written: Any) -> float:
    """Return the pace that `written` gives, a number or its text; ValueError if it gives none."""
    try:
        rate = math.nan if isinstance(written, bool) else float(written)
    except (TypeError, ValueError):
        rate = math.nan
    if not SLOWEST_REQUESTS_A_SECOND <= rate < math.inf:
        raise ValueError(
            f"give a number of requests a second, from {SLOWEST_REQUESTS_A_SECOND} on: 0.5 is one request in two "
            "seconds; without the key the provider's documented pace is kept"
        )
    return rate


class Destination(DagEntry):
    """One account at a provider: one DAG."""

    provider: str = Field(description=f"one of {', '.join(PROVIDERS)}")
    connection: str = Field(description="the id of an Airflow connection with host, login and password", min_length=1)
    source: str = Field(description="the name of a source")
    renamed_from: str | None = Field(None, description="the destination's old name, whose history it takes over")
    live: bool = Field(False, description="true, to send; until then each run of it only plans, whatever its params")
    first_run: Literal["adopt", "send", "window"] = Field(
        None,
        description="adopt, send or window: what the first scheduled run does with earlier changes",
        validate_default=True,
    )
    not_older_than: Duration | None = Field(
        None, description="changes older than this, as 30d, are adopted and not sent"
    )
    statuses: dict[OrderStatus, Code | None] = Field(
        {}, description="status: the provider's code, or null for not for this provider"
    )
    items: Literal["full", "lenient", "none"] = Field(
        "full", description="full, lenient or none: what items need, for a service that gets items"
    )
    retries: int = Field(30, ge=0, description="how often a failed task is tried again")
    changes: Literal["newest", "every"] | None = Field(
        None, description="newest or every; the provider's own default if left out"
    )
    lookback: Duration = Field(
        timedelta(hours=1), description="how long before its data interval a scheduled run reads, as 30m, 1h or 2d"
    )
    reconcile: int = Field(
        3, ge=0, le=366, description="how many days one run of each UTC day reads again, for rows committed late"
    )
    heal_at_most: Duration = Field(
        timedelta(days=3),
        description="how far back a scheduled run takes up what earlier runs left, as 12h or 3d",
        validate_default=True,
    )
    send_when: Literal["status", "content"] = Field(
        "status", description="status or content: what must differ from what the service has"
    )
    max_rejected: int = Field(1000, ge=0, description="a run with more rejected orders ends red")
    max_rejected_share: float = Field(0.5, ge=0, le=1, description="a run with a larger share rejected ends red")
    none_good_of: int = Field(3, ge=1, description="a run ends red if so many orders were rejected and none was good")
    connections: int = Field(1, ge=1, le=64, description="how many requests may be under way at once, from 1 to 64")
    in_doubt: Literal["resend"] | None = Field(
        None, description="resend, to repeat what is in doubt also where the provider's rule holds it"
    )

    @field_validator("provider")
    @classmethod
    def _known_provider(cls, provider: str) -> str:
        return known_value("provider", provider, list(PROVIDERS))

    @field_validator("source")
    @classmethod
    def _known_source(cls, source: str, info: ValidationInfo) -> str:
        known: Mapping[str, bool] = info.context or {}
        known_value("source", source, list(known))
        if not known[source]:
            raise ValueError("that source has mistakes of its own: mend them first")
        return source

    @field_validator("heal_at_most")
    @classmethod
    def _covers_reconcile(cls, heal_at_most: timedelta, info: ValidationInfo) -> timedelta:
        days = info.data.get("reconcile", 0)
        if heal_at_most < timedelta(days=days):
            raise ValueError(
                f"`reconcile` reads {days} days again, which is further back: give at least {days}d, or a lower "
                "`reconcile`"
            )
        return heal_at_most

    @field_validator("first_run", mode="before")
    @classmethod
    def _told(cls, first_run: Any, info: ValidationInfo) -> Any:
        provider = PROVIDERS.get(info.data.get("provider", ""))
        if first_run is None and provider and provider.held_codes:
            raise ValueError(
                f"{provider.title} can mail customers, so say how this destination starts: adopt (it has all changes "
                "from `start_date` up to the first scheduled run: none is sent), window (those before that run's data "
                "interval are not read), or send (all from `start_date` on are sent)"
            )
        return first_run or "window"

    @field_validator("statuses")
    @classmethod
    def _known_codes(
        cls, statuses: dict[OrderStatus, Code | None], info: ValidationInfo
    ) -> dict[OrderStatus, Code | None]:
        provider = PROVIDERS.get(info.data.get("provider", ""))
        for status, code in statuses.items():
            if provider and code is not None and code not in provider.codes:
                known = ", ".join(map(str, provider.codes))
                raise ValueError(f"{provider.title} has no such code (for {status}); it has {known}, or null")
        return statuses

    @field_validator("items")
    @classmethod
    def _gets_items(cls, items: str, info: ValidationInfo) -> str:
        provider = PROVIDERS.get(info.data.get("provider", ""))
        if provider and not provider.by_items:
            raise ValueError(f"{provider.title} gets no items: leave `items` out")
        return items

    @property
    def service(self) -> Provider:
        """The provider, as it is with this destination's `items`."""
        provider = PROVIDERS[self.provider]
        return provider.by_items.get(self.items, provider)

    @property
    def sends(self) -> Literal["newest", "every"]:
        """Send the newest version of an order in a window, or every change."""
        return self.changes or self.service.changes

    @property
    def codes(self) -> dict[OrderStatus, Code | None]:
        """The provider's code for each status, with the destination's own changes."""
        return {**self.service.statuses, **self.statuses}
