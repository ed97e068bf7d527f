"""Opens the ledger session of a load: it takes the destination's lock, and settles what a lost sender has left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

from include.order_sync import stops
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger import attempts, lost_sender, renaming, schema
from include.order_sync.ledger.look_ahead import LookAheadSession
from include.order_sync.ledger.session import LedgerSession


@contextmanager
def open_session(
    engine: sa.Engine,
    name: str,
    *,
    destination: str,
    run: str,
    try_number: int,
    lock_wait_s: int = 600,
    read_only: bool = False,
    renamed_from: str | None = None,
) -> Iterator[LedgerSession]:
    """Yield a session that holds the destination's lock, after it has settled the batches of a lost sender.

    Args:
        engine: of the ledger's connection, by psycopg.
        name: the id of that connection, for messages.
        destination: its name.
        run: the key of the run.
        try_number: of the task.
        lock_wait_s: how long to wait for another load of the same destination.
        read_only: neither take the lock nor settle anything, for a plan.
        renamed_from: the destination's old name, whose history it takes over.

    Raises:
        TryAgainError: the ledger can't be reached or has another schema, or the lock was not free in time.
        StopError: a pooler stands before the database, or another name has taken over this destination's history.
    """
    with _database_session(engine, name) as holder, _database_session(engine, name) as beside:
        with schema.guarded("The ledger's session is lost", "Nothing was sent."):
            if read_only:
                destination = renaming.history_name(holder, destination, renamed_from)
            else:
                _take_lock(holder, name, destination, lock_wait_s)
                if renamed_from:
                    _take_lock(holder, name, renamed_from, lock_wait_s)
                    renaming.take_over(holder, destination, renamed_from)
            renaming.refuse_old_name(holder, destination)
            destination_id = _destination_id(holder, destination, read_only)
        sender = attempts.Sender(destination, destination_id, run, try_number)
        session = LedgerSession(holder, sender, LookAheadSession(beside, sender))
        if not read_only:
            lost_sender.settle(session)
        yield session


@contextmanager
def _database_session(engine: sa.Engine, name: str) -> Iterator[psycopg.Connection[Any]]:
    with schema.connect(engine, name) as connection:
        with schema.guarded("The ledger's session is lost", "Nothing was sent."):
            schema.check(connection, name)
        raw = connection.connection.driver_connection
        if not isinstance(raw, psycopg.Connection):
            raise StopError(
                stops.NOT_POSTGRESQL,
                f"Connection {name!r} must be to a PostgreSQL database: the ledger needs its locks.",
            )
        try:
            with schema.guarded("The ledger's session is lost", "Nothing was sent."):
                raw.autocommit = True  # every transaction is explicit
                # Times are written and read in this form only.
                raw.execute("set timezone = 'UTC'")
                raw.execute("set client_encoding = 'UTF8'")
                raw.execute("set datestyle = 'ISO'")
                raw.execute(schema.LIMIT_STATEMENTS.encode())
                # During slow requests the look-ahead session is idle for long. PostgreSQL 13 has no such limit.
                raw.execute("select set_config(name, '0', false) from pg_settings where name = 'idle_session_timeout'")
                # Starting parallel workers takes longer than these queries, and the cores are busy anyway.
                raw.execute("set max_parallel_workers_per_gather = 0")
                # A part's attempts are joined in memory; within PostgreSQL's 4 MB they would be written to disk first.
                raw.execute("set work_mem = '32MB'")
                # Only `begin` waits for the disk. A server crash may lose later outcomes: then that batch is in doubt.
                raw.execute("set synchronous_commit = off")
            yield raw
        finally:
            # Lock and settings belong to this database session: it must not go back to a pool.
            connection.invalidate()
            raw.close()


def _take_lock(connection: psycopg.Connection[Any], name: str, destination: str, wait_s: int) -> None:
    row = connection.execute("select pg_backend_pid()").fetchone()
    if row is None or row[0] != connection.info.backend_pid:
        raise StopError(
            stops.POOLER,
            f"Connection {name!r} goes through a pooler, which lends its database sessions to others: "
            "the lock would be lost. Let it point at PostgreSQL itself.",
        )
    try:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", (f"{wait_s}s",))
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (f"order_sync {destination}",))
    except psycopg.errors.QueryCanceled:
        raise TryAgainError(
            f"PostgreSQL ended the wait for another load of {destination!r} by its own statement_timeout. "
            "Nothing was sent. Remove that setting for the ledger's user: a load waits up to ten minutes."
        ) from None
    except psycopg.errors.LockNotAvailable:
        raise TryAgainError(
            f"Another load of {destination!r} has been sending for {wait_s} s. Nothing was sent; it is tried again."
        ) from None


def _destination_id(connection: psycopg.Connection[Any], name: str, read_only: bool) -> int:
    """Return the destination's number; 0 where it has none and `read_only` gives it none."""
    find = "select id from destinations where name = %s"
    row = connection.execute(find, (name,)).fetchone()
    if row is None and not read_only:
        # Not tried first: an insert that meets a conflict still uses up a number.
        connection.execute("insert into destinations (name) values (%s)", (name,))
        row = connection.execute(find, (name,)).fetchone()
    return row[0] if row else 0
