"""The ledger's Airflow connection: its engine, sessions and transactions, and the cipher of the deployment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, cast

from include.order_sync import stops
from include.order_sync.errors import StopError
from order_sync_airflow.hooks.base import connection, sql_engine
from order_sync_airflow.marks import VariableMark, explain
from order_sync_airflow.run_context import run_key

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa
    from airflow.sdk import Context

    from include.order_sync.configuration.models import Destination
    from include.order_sync.ledger.encrypted_rows import Cipher
    from include.order_sync.ledger.session import LedgerSession

LEDGER_CONNECTION = "order_sync_ledger"

# The XCom in which a redrive's extract lists the entries of the quarantine that it has staged, for its load.
REDRIVEN_KEY = "redriven"


def ledger_engine() -> sa.Engine:
    """Return an engine of the ledger's connection; it is not connected yet."""
    conn = connection(LEDGER_CONNECTION)
    if conn.conn_type != "postgres":
        raise StopError(
            stops.NOT_POSTGRESQL,
            f"Connection {LEDGER_CONNECTION!r} must be of type postgres, and is {conn.conn_type!r}.",
        )
    # Named, as psycopg gives bytes instead of text for a database in SQL_ASCII, which is refused with its cure.
    return sql_engine(LEDGER_CONNECTION, client_encoding="UTF8")


@contextmanager
def open_ledger(
    context: Context, destination: Destination, *, read_only: bool = False, adopts: bool = False
) -> Iterator[LedgerSession]:
    """Yield the ledger session of the running task: with the destination's lock, or read-only without it.

    Args:
        context: of the task.
        destination: of the orders.
        read_only: for a plan.
        adopts: nothing is sent: a ledger that was restored is no obstacle.

    Raises:
        StopError: the ledger and Airflow have different pasts (include/order_sync/ledger/marks.py).
    """
    from include.order_sync.ledger import marks
    from include.order_sync.ledger.opening import open_session

    with open_session(
        ledger_engine(),
        LEDGER_CONNECTION,
        destination=destination.name,
        run=run_key(context),
        try_number=context["ti"].try_number,
        read_only=read_only,
        renamed_from=destination.renamed_from,
    ) as session:
        if read_only:
            yield session
            return
        store = VariableMark(destination)
        try:
            with marks.marked(session, store, adopts=adopts):
                yield session
        except marks.ForeignLedgerError as error:
            raise StopError(
                stops.FOREIGN_LEDGER, explain(error.difference, destination, store.name, _lacks_since(destination))
            ) from None


def check_marks(context: Context, destination: Destination, *, adopts: bool) -> None:
    """Raise StopError if the ledger and Airflow have different pasts, before a run reads what is left to do.

    Without the destination's lock a load may change both marks meanwhile: then they are compared again with the lock.
    So are those of a new destination, of one that was just renamed, and of a ledger that a person has accepted.
    """
    import sqlalchemy as sa

    from include.order_sync.ledger import marks

    query = """
        select mark, next_mark from destinations
        where name = :name and (cast(:old as text) is null or exists(
            select from renamed_destinations where old_name = :old and new_name = :name))
    """
    with ledger_transaction() as ledger:
        names = {"name": destination.name, "old": destination.renamed_from}
        own = ledger.execute(sa.text(query), names).one_or_none()
    kept = VariableMark(destination).read()
    if own is None or kept in (None, marks.ACCEPT) or kept not in tuple(own):
        with open_ledger(context, destination, adopts=adopts):
            pass


def driver_connection(ledger: sa.Connection) -> psycopg.Connection[Any]:
    """Return psycopg's own connection, in the same transaction."""
    return cast("psycopg.Connection[Any]", ledger.connection.driver_connection)


def history_name(destination: Destination) -> str:
    """Return the name of the destination's history in the ledger: the old one until it is taken over."""
    if destination.renamed_from is None:
        return destination.name
    with ledger_transaction() as ledger:
        return history_in(ledger, destination)


def history_in(ledger: sa.Connection, destination: Destination) -> str:
    """Return the same by a connection to the ledger."""
    from include.order_sync.ledger import renaming

    return renaming.history_name(driver_connection(ledger), destination.name, destination.renamed_from)


def _lacks_since(destination: Destination) -> str:
    """Return since when the ledger may lack what was sent: the end of what it has read, with `lookback`."""
    from include.order_sync.ledger import windows

    with ledger_transaction() as ledger:
        read = windows.gapless(ledger, destination.name)
    return (read.end - destination.lookback if read else destination.start_date).isoformat()


def deployment_cipher() -> Cipher:
    """Return Airflow's Fernet: its first key encrypts, any of its keys decrypts."""
    from airflow.sdk.crypto import get_fernet

    cipher = get_fernet()
    if not cipher.is_encrypted:
        raise StopError(
            stops.NO_FERNET_KEY,
            "Set Airflow's [core] fernet_key: rows in the quarantine are personal data, and encrypted.",
        )
    return cipher


def ledger_transaction() -> AbstractContextManager[sa.Connection]:
    """Return a context manager: a connection to the ledger in one transaction."""
    from include.order_sync.ledger import schema

    return schema.transaction(ledger_engine(), LEDGER_CONNECTION)
