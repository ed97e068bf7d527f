"""The files of a drop that a destination has taken, with their versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from include.order_sync.model import FileNotRead, FileVersion


def taken(connection: sa.Connection, destination: str, paths: Sequence[str]) -> list[FileVersion]:
    """Return the versions of these files that the destination has taken."""
    query = """
        select path, fingerprint, size, modified_at, content_hash from files_taken
        where destination = :destination and path = any(:paths)
    """
    rows = connection.execute(sa.text(query), {"destination": destination, "paths": list(paths)})
    return [
        FileVersion(row.path, row.fingerprint, row.size, row.modified_at.astimezone(UTC), row.content_hash)
        for row in rows
    ]


def take(connection: sa.Connection, destination: str, versions: Iterable[FileVersion], run: str) -> None:
    """Record that `run` has taken these versions, so that no later run takes them again by itself."""
    rows = [
        {
            "destination": destination,
            "run": run,
            "path": version.path,
            "fingerprint": version.fingerprint,
            "size": version.size,
            "modified_at": version.modified_at,
            "content_hash": version.content_hash,
            "rows": version.rows,
            "skipped": version.skipped,
        }
        for version in versions
    ]
    if rows:
        insert = """
            insert into files_taken
                (destination, path, fingerprint, size, modified_at, content_hash, rows, skipped, run)
            values (:destination, :path, :fingerprint, :size, :modified_at, :content_hash, :rows, :skipped, :run)
            on conflict do nothing
        """
        connection.execute(sa.text(insert), rows)


def keep_not_read(connection: sa.Connection, destination: str, files: Iterable[FileNotRead]) -> None:
    """Record the files that a scheduled run has found and not read, in the place of those of the run before."""
    connection.execute(
        sa.text("delete from files_not_read where destination = :destination"), {"destination": destination}
    )
    rows = [
        {"destination": destination, "path": file.path, "belongs_at": file.belongs_at, "reason": file.reason}
        for file in files
    ]
    if rows:
        insert = """
            insert into files_not_read (destination, path, belongs_at, reason)
            values (:destination, :path, :belongs_at, :reason) on conflict do nothing
        """
        connection.execute(sa.text(insert), rows)


def of_order(connection: sa.Connection, destination: str, order_id: str) -> list[tuple[str, datetime]]:
    """Return path and modified time of the newest files of the runs in which something happened to an order.

    The register knows the files of a run, and not the orders of a file: one of these has the order.
    """
    from include.order_sync.staging.partition_hash import partition_hash  # not at the top: it brings pyarrow

    query = """
        select distinct f.path, f.modified_at
        from order_history_v1 h join files_v1 f on f.destination = h.destination and f.run = h.run
        where h.destination = :destination and h.order_id = :order_id and h.partition_hash = :partition_hash
        order by f.modified_at desc limit 3
    """
    values = {"destination": destination, "order_id": order_id, "partition_hash": partition_hash(order_id)}
    return [(row.path, row.modified_at.astimezone(UTC)) for row in connection.execute(sa.text(query), values)]


class FileOutcome(NamedTuple):
    """What came of one version of a file at a destination.

    Args:
        destination: its name.
        taken_at: when its run had ended.
        run: its key.
        rows, skipped: of the file; None if an earlier release has taken it, or it could not be used.
        is_unusable: whether it could not be used.
    """

    destination: str
    taken_at: datetime
    run: str
    rows: int | None
    skipped: int | None
    is_unusable: bool


class Rejection(NamedTuple):
    """How many rows of a file a destination has rejected for a reason, on which first line, and how many still are."""

    destination: str
    reason: str
    rows: int
    first_line: int | None
    open: int


def outcomes(connection: sa.Connection, path: str) -> list[FileOutcome]:
    """Return what came of each version of a file, by destination, the oldest first."""
    query = """
        select destination, taken_at, run, rows, skipped, content_hash like 'unusable %' or content_hash = ''
        from files_taken where path = :path order by destination, taken_at
    """
    return [FileOutcome(*row) for row in connection.execute(sa.text(query), {"path": path})]


def rejections(connection: sa.Connection, path: str) -> list[Rejection]:
    """Return why rows of a file, or of its members, were rejected, by destination, the most frequent reason first."""
    query = """
        select destination, reason, count(*), min(line), count(*) filter (where resolved_at is null)
        from quarantine, unnest(reasons) reason
        where origin = :path or starts_with(origin, :path || ' (')
        group by destination, reason order by destination, count(*) desc, reason
    """
    return [Rejection(*row) for row in connection.execute(sa.text(query), {"path": path})]
