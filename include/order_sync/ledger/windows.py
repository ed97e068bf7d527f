"""The windows that a destination's runs have finished, and the gaps between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from include.order_sync.model import Window

# A window ends when its source was read, by the worker's clock, which may lie behind the scheduler's.
_CLOCKS_DIFFER_BY = timedelta(minutes=5)


def begin(connection: sa.Connection, destination: str, start: datetime) -> None:
    """Record since when the destination's changes are read by themselves; a later call changes nothing.

    Only a scheduled run calls it, before it reads. If the first runs fail, the next one still knows the start.
    """
    connection.execute(
        sa.text(
            "insert into first_windows (destination, window_start) values (:destination, :start) on conflict do nothing"
        ),
        {"destination": destination, "start": start},
    )


def finish(
    connection: sa.Connection, destination: str, window: Window, run: str, late_by: timedelta | None = None
) -> None:
    """Record that every order that `run` read in the window has its verdict; `late_by`: its rows' longest lateness."""
    connection.execute(
        sa.text(
            "insert into windows (destination, window_start, window_end, run, late_by) "
            "values (:destination, :start, :end, :run, :late_by)"
        ),
        {"destination": destination, "start": window.start, "end": window.end, "run": run, "late_by": late_by},
    )


def began(connection: sa.Connection, destination: str) -> datetime | None:
    """Return since when the destination's changes are read by themselves; None if no scheduled run has begun."""
    first = connection.execute(
        sa.text("select window_start from first_windows where destination = :destination"),
        {"destination": destination},
    ).scalar()
    return first.astimezone(UTC) if first else None


def has_first_reading(connection: sa.Connection, destination: str) -> bool:
    """Return whether a run has finished the first reading of the destination.

    Then a finished window contains the time at which the destination began, or ends there.
    """
    query = """
        select exists(
            select from first_windows f join windows w on w.destination = f.destination
                and w.window_start <= f.window_start and w.window_end >= f.window_start
            where f.destination = :destination
        )
    """
    return bool(connection.execute(sa.text(query), {"destination": destination}).scalar())


def reconciled_up_to(connection: sa.Connection, destination: str, reach: timedelta) -> datetime | None:
    """Return the end of the last finished window that reaches so far back, or to the beginning; None without one.

    Nothing else is kept of a reconcile. So two runs that do it at once harm nothing, and after one that failed the next
    run does it.
    """
    query = """
        select max(w.window_end) from windows w left join first_windows f on f.destination = w.destination
        where w.destination = :destination and w.window_start <= greatest(w.window_end - :reach, f.window_start)
    """
    values = {"destination": destination, "reach": reach - _CLOCKS_DIFFER_BY}
    last = connection.execute(sa.text(query), values).scalar()
    return last.astimezone(UTC) if last else None


def unread(connection: sa.Connection, destination: str, before: datetime) -> list[Window]:
    """Return the times that no finished window covers, from the start of the first window up to `before`."""
    end = began(connection, destination)
    found = []
    if end:
        for stretch in [*_stretches(connection, destination), Window(before, before)]:
            start = min(stretch.start, before)
            if start > end:
                found.append(Window(end, start))
            end = max(end, stretch.end)
    return found


def gapless(connection: sa.Connection, destination: str) -> Window | None:
    """Return the time that finished windows cover without a hole, from the start of the first window.

    It is None if no scheduled run has begun, and empty (it ends at its start) if none has finished.
    """
    start = began(connection, destination)
    if start is None:
        return None
    end = start
    for stretch in _stretches(connection, destination):
        if stretch.start <= start <= stretch.end:
            end = stretch.end
    return Window(start, end)


def gaps(connection: sa.Connection, destination: str) -> list[Window]:
    """Return the holes between the destination's finished windows, from the start of the first window."""
    covered = gapless(connection, destination)
    found = []
    if covered:
        end = covered.end
        for stretch in _stretches(connection, destination):
            if stretch.start > end:
                found.append(Window(end, stretch.start))
            end = max(end, stretch.end)
    return found


def _stretches(connection: sa.Connection, destination: str) -> list[Window]:
    """Return the finished windows, oldest first; windows that touch or overlap are one."""
    # range_agg came with PostgreSQL 14.
    query = """
        select lower(stretch), upper(stretch)
        from (select unnest(range_agg(tstzrange(window_start, window_end))) as stretch
              from windows where destination = :destination) as stretches
        order by 1
    """
    rows = connection.execute(sa.text(query), {"destination": destination})
    return [Window(start.astimezone(UTC), end.astimezone(UTC)) for start, end in rows]
