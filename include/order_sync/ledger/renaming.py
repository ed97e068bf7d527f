"""A destination takes over the history of its old name: states, windows, files, quarantine and decisions."""

from __future__ import annotations

from typing import Any

import psycopg

from include.order_sync import stops
from include.order_sync.errors import StopError

# Tables that know a destination by its name.
TABLES = (
    "first_windows",
    "windows",
    "files_taken",
    "files_not_read",
    "quarantine",
    "decisions",
    "run_records",
    "freshness",
)

_HAS_HISTORY = " or ".join(
    f"exists(select from {table} where {column} = %(name)s)"
    for table, column in (("destinations", "name"), ("first_windows", "destination"), ("windows", "destination"))
)


def history_name(connection: psycopg.Connection[Any], destination: str, old: str | None) -> str:
    """Return the name of the destination's history in the ledger: the old one until it is taken over.

    Args:
        connection: to the ledger.
        destination: its name.
        old: `renamed_from` of the configuration.
    """
    if old and not _has_history(connection, destination) and _has_history(connection, old):
        return old
    return destination


def _has_history(connection: psycopg.Connection[Any], destination: str) -> bool:
    """Return whether the ledger knows a destination by this name."""
    row = connection.execute(f"select {_HAS_HISTORY}", {"name": destination}).fetchone()
    return bool(row and row[0])


def refuse_old_name(connection: psycopg.Connection[Any], destination: str) -> None:
    """Raise StopError if another name has taken over this destination's history."""
    query = "select new_name from renamed_destinations where old_name = %s"
    row = connection.execute(query, (destination,)).fetchone()
    if row:
        raise StopError(
            stops.RENAMED,
            f"Destination {destination!r} was renamed to {row[0]!r}, which has its history. Nothing was sent. Bring "
            "the configuration of this machine up to date. A new destination needs a name that was never used. To "
            f"rename back, give {destination!r} `renamed_from: {row[0]}`.",
        )


def take_over(connection: psycopg.Connection[Any], destination: str, old: str) -> None:
    """Move the history of `old` to `destination`, once and in one transaction.

    Args:
        connection: in no transaction; it holds the locks of both names.
        destination: the new name.
        old: the name that is given up.

    Raises:
        StopError: both names have a history, or none has.
    """
    if _has_history(connection, destination):
        if _has_history(connection, old):
            raise StopError(
                stops.RENAMED,
                f"Destination {destination!r} can't take over the history of {old!r} (`renamed_from`): it has run "
                "already, and has its own. Nothing was sent. Remove `renamed_from`; then it goes on with its own.",
            )
        return
    if not _has_history(connection, old):
        raise StopError(
            stops.RENAMED,
            f"The ledger has no destination {old!r} (`renamed_from` of {destination!r}). Nothing was sent. Give the "
            "old name as it was; or remove `renamed_from` if the destination is new to this ledger.",
        )
    names = {"new": destination, "old": old}
    with connection.transaction():
        connection.execute("update destinations set name = %(new)s where name = %(old)s", names)
        for table in TABLES:
            move = f"update {table} set destination = %(new)s where destination = %(old)s"  # noqa: S608
            connection.execute(move.encode(), names)
        connection.execute("delete from renamed_destinations where old_name = %(new)s", names)
        connection.execute(
            "insert into renamed_destinations (old_name, new_name) values (%(old)s, %(new)s) "
            "on conflict (old_name) do update set new_name = excluded.new_name, renamed_at = now()",
            names,
        )
