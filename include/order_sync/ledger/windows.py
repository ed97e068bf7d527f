"""Which windows a destination's runs have finished, and where that leaves gaps."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from include.order_sync.model import Window


def begin(connection: sa.Connection, destination: str, start: datetime) -> None:
    """Remember where the destination's first window begins; later ones change nothing.

    Called before the window is read: if all the first runs fail, the one that succeeds still knows where to begin.
    """
    connection.execute(
        sa.text(
            "insert into first_windows (destination, window_start) values (:destination, :start) on conflict do nothing"
        ),
        {"destination": destination, "start": start},
    )


def finish(connection: sa.Connection, destination: str, window: Window, run: str) -> None:
    """Write down that everything which `run` read in the window has its verdict."""
    begin(connection, destination, window.start)
    connection.execute(
        sa.text(
            "insert into windows (destination, window_start, window_end, run) values (:destination, :start, :end, :run)"
        ),
        {"destination": destination, "start": window.start, "end": window.end, "run": run},
    )


def gapless(connection: sa.Connection, destination: str) -> Window | None:
    """Return the time that finished windows cover without a hole, from the first window's start on.

    None where no run has begun. It is empty (it ends where it starts) where none has finished.
    """
    first = connection.execute(
        sa.text("select window_start from first_windows where destination = :destination"),
        {"destination": destination},
    ).scalar()
    if first is None:
        return None
    start = end = first.astimezone(UTC)
    for stretch in _stretches(connection, destination):
        if stretch.start <= start <= stretch.end:
            end = stretch.end
    return Window(start, end)


def gaps(connection: sa.Connection, destination: str) -> list[Window]:
    """Return the holes between the destination's finished windows, from the first window's start on."""
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
    """Return the finished windows, oldest first, each with those that touch or overlap it as one."""
    # range_agg is there since PostgreSQL 14.
    query = """
        select lower(stretch), upper(stretch)
        from (select unnest(range_agg(tstzrange(window_start, window_end))) as stretch
              from windows where destination = :destination) as stretches
        order by 1
    """
    rows = connection.execute(sa.text(query), {"destination": destination})
    return [Window(start.astimezone(UTC), end.astimezone(UTC)) for start, end in rows]
