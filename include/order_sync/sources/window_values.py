"""Renders a run's window as the values that a query compares with its own time column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from include.order_sync import stops
from include.order_sync.configuration.sql_source import WindowType
from include.order_sync.errors import StopError
from include.order_sync.model import Window

# No zone's clocks have gone back by more, since there are warehouses.
_CLOCKS_GO_BACK = timedelta(hours=1)


def window_values(window: Window, window_type: WindowType | None, timezone: str, dialect: str) -> dict[str, Any]:
    """Return the values of `:window_start` and `:window_end`.

    Args:
        window: of the run.
        window_type: what the query compares with them; None for `timestamp with zone` in PostgreSQL.
        timezone: the shop's.
        dialect: SQLAlchemy's name of the database.

    Raises:
        StopError: the database has no such type, or is not PostgreSQL and the source does not say the type.
    """
    if window_type is None and dialect != "postgresql":
        raise StopError(
            stops.WINDOW_TYPE,
            f"{dialect} does not tell what the query compares with the window: say it in the source's `window_type`, "
            f"one of {', '.join(WindowType)}.",
        )
    if window_type in (None, WindowType.ZONED) and dialect == "sqlite":
        raise StopError(
            stops.WINDOW_TYPE,
            "SQLite has no times with a zone: the source's `window_type` must be another one, as "
            f"`{WindowType.LOCAL}` for 2026-11-20 10:00:00 or `{WindowType.ISO_UTC}` for 2026-11-20T10:00:00Z.",
        )
    zone = ZoneInfo(timezone)
    render = _renderer(window_type or WindowType.ZONED, dialect)
    if window_type in (WindowType.LOCAL, WindowType.ISO, WindowType.DATE):
        start, end = _local(window, zone)
    else:
        start, end = (moment.astimezone(UTC) for moment in (window.start, window.end))
    if window_type is WindowType.DATE and end.time() != datetime.min.time():
        end += timedelta(days=1)  # the day of the end belongs to the window
    return {"window_start": render(start), "window_end": render(end)}


def _local(window: Window, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the window's first and last local time, also if the clocks go back in it or beside it."""

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(zone).utcoffset() or timedelta(0)

    start, end = window.start, window.end
    first = start.astimezone(UTC) + min(offset(start), offset(start + _CLOCKS_GO_BACK))
    last = end.astimezone(UTC) + max(offset(end), offset(end - _CLOCKS_GO_BACK))
    return first.replace(tzinfo=None), last.replace(tzinfo=None)


def _renderer(window_type: WindowType, dialect: str) -> Callable[[datetime], Any]:
    def shortest(moment: datetime, separator: str) -> str:
        # The beginning of every text of the same minute: so it compares right with a fraction or an offset behind it.
        whole_minute = not moment.second and not moment.microsecond
        return moment.replace(tzinfo=None).isoformat(separator, "minutes" if whole_minute else "auto")

    def seconds(moment: datetime) -> int:
        return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1)

    def milliseconds(moment: datetime) -> int:
        return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)

    def day(moment: datetime) -> date | str:
        return moment.date().isoformat() if dialect == "sqlite" else moment.date()

    def with_zone(moment: datetime) -> datetime:
        # The session of MySQL is in UTC: see sessions.py.
        return moment.replace(tzinfo=None) if dialect in ("mysql", "mariadb") else moment

    def local(moment: datetime) -> datetime | str:
        return shortest(moment, " ") if dialect == "sqlite" else moment

    def iso(moment: datetime) -> str:
        return shortest(moment, "T")

    return {
        WindowType.ZONED: with_zone,
        WindowType.LOCAL: local,
        WindowType.ISO: iso,
        WindowType.ISO_UTC: iso,
        WindowType.UNIX_S: seconds,
        WindowType.UNIX_MS: milliseconds,
        WindowType.DATE: day,
    }[window_type]
