"""What extract says of the orders and files that it has not read, with what to do about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.counted import ORDERS_NAMED, counted

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.sources.run_window import Healing, RunRequest
    from include.order_sync.sources.warehouse import WarehouseReader

FILES_NAMED = 20


def replay_message(source: Source, request: RunRequest) -> str | None:
    """Return what a backfill of a source of present states can't show; None for other runs and sources."""
    if not isinstance(source, SqlSource) or source.kind == "history" or request.by != "backfill":
        return None
    return (
        f"Source {source.name!r} gives each order's present state (`kind: current`): this backfill replays the orders "
        "whose last change lies in its interval, in that state. Orders that have changed again since then are not "
        "among them, and earlier states are not there any more."
    )


def not_found_message(order_ids: frozenset[str], source: str) -> str:
    """Return which orders of the param `order_ids` the source has not given, and the likely reasons."""
    named = ", ".join(map(repr, sorted(order_ids)[:ORDERS_NAMED]))
    more = ", ..." if len(order_ids) > ORDERS_NAMED else ""
    return (
        f"Not found in source {source!r}: {counted(len(order_ids), 'order')} of the param `order_ids`: {named}{more}. "
        "Give one id a line, written as in the source; with `from` and `to` only orders that changed then are read."
    )


def ids_of_a_drop_message(
    source: CsvSource, found: Mapping[str, Sequence[tuple[str, datetime]]], times: Sequence[datetime], more: int
) -> str:
    """Return why a drop can't be read by ids alone, where each order was seen, and the params that read it again.

    Args:
        source: the drop.
        found: order id -> path and modified time of the files that may have it.
        times: when these files were modified.
        more: how many ids are not named.
    """
    cure = "put a file with them into the drop"
    if times and not source.path_time:
        # One microsecond more: a window does not contain its end.
        end = max(times) + timedelta(microseconds=1)
        cure = f"trigger it again with these `order_ids`, `from` {min(times).isoformat()} and `to` {end.isoformat()}"
    elif times:
        cure = "trigger it again with these `order_ids`, and `from` and `to` around the times in the files' names"
    seen = [
        f"{each!r}: " + (" or ".join(path for path, _ in files) if files else "in no file that was taken and sent it")
        for each, files in found.items()
    ]
    named = "; ".join(seen) + (f"; and {more} more" if more else "")
    return (
        f"Source {source.name!r} is a CSV drop, whose orders can't be read by their ids alone. To send them again, "
        f"{cure}. {named}."
    )


def left_out_message(
    destination: Destination, healing: Healing | None, reader: WarehouseReader | CsvDropReader
) -> str | None:
    """Return which times and files a run has left out because of `heal_at_most`, and the cure; None without any."""
    times = [*healing.left_out] if healing else []
    files = reader.left_out
    if not times and not files:
        return None
    named = [f"the time from {time.start.isoformat()} up to {time.end.isoformat()}" for time in times]
    named += [f"the file {file.path}" for file in files[:FILES_NAMED]]
    more = f" and {len(files) - FILES_NAMED} more" if len(files) > FILES_NAMED else ""
    start = min([time.start for time in times] + [file.belongs_at for file in files])
    # One microsecond more: a window does not contain its end.
    end = max([time.end for time in times] + [file.belongs_at + timedelta(microseconds=1) for file in files])
    limit = str(destination.heal_at_most).removesuffix(", 0:00:00")
    return (
        f"{destination.name}: not read, because `heal_at_most` is {limit}: {', '.join(named)}{more}. "
        f"To send these orders too, trigger {destination.dag_id} by hand with `from` {start.isoformat()} and `to` "
        f"{end.isoformat()}, first with `mode` plan to count them; or backfill these dates. If they must not be sent, "
        "trigger it with `mode` adopt. Until then each scheduled run delivers the newer orders and ends red."
    )


def unusable_message(source: CsvSource, reader: WarehouseReader | CsvDropReader) -> str | None:
    """Return which files could not be used; None if the source tolerates as many."""
    unusable = reader.unusable
    found = len(unusable)
    if found <= source.max_unusable_files:
        return None
    more = f" And {found - FILES_NAMED} more: the log of extract names them." if found > FILES_NAMED else ""
    return (
        f"{counted(found, 'file')} could not be used, and `max_unusable_files` of source {source.name!r} is "
        f"{source.max_unusable_files}. All other files are delivered. {' '.join(unusable[:FILES_NAMED])}{more}"
    )
