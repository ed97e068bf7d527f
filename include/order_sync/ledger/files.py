"""The files of a drop that a destination has taken, with their versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC

import sqlalchemy as sa

from include.order_sync.model import FileVersion


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
        }
        for version in versions
    ]
    if rows:
        insert = """
            insert into files_taken (destination, path, fingerprint, size, modified_at, content_hash, run)
            values (:destination, :path, :fingerprint, :size, :modified_at, :content_hash, :run)
            on conflict do nothing
        """
        connection.execute(sa.text(insert), rows)
