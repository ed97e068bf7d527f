"""Creates the ledger's tables and brings them up to date, by Alembic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from include.order_sync import stops, tuning
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.redact import database_message
from include.order_sync.sources.database_errors import place

# The version of the schema that this release needs: the last migration's. A constant, as each task compares it, and
# Alembic would take longer to look for it than most tasks take for their work.
HEAD = "0029"

MIGRATIONS = Path(__file__).parent / "migrations"

# SQLSTATE -> the cure, for errors after which the session lives on.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
CURES = {
    "53100": "The disk of its PostgreSQL server is full: make room there.",
    "53200": "Its PostgreSQL server has no memory left.",
    "55P03": "Another session holds a lock for too long: look at pg_stat_activity.",
    "57014": "A statement took longer than statement_timeout: raise or remove it for the ledger's user.",
    "40P01": "Two sessions waited for each other (a deadlock); the next try may succeed.",
    "25006": "Its PostgreSQL server is read-only: is the connection's host a standby?",
}

# Gives the statements of a database session a time limit, unless its user or server has one already.
LIMIT_STATEMENTS = (
    f"select set_config('statement_timeout', '{tuning.LEDGER_STATEMENT_S}s', false) "  # noqa: S608  (our own number)
    "from pg_settings where name = 'statement_timeout' and setting = '0'"
)

# What the task's message tells people to run.
UPGRADE_COMMAND = "python -m order_sync_airflow.ledger upgrade"


def upgrade(engine: sa.Engine) -> str:
    """Bring the ledger's tables to the schema of this release, and gather their statistics; return its version.

    Raises:
        StopError: the database's encoding can't hold every order id.
        TryAgainError: the tables have the schema of a newer release.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    # One transaction, also if the engine commits by itself.
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        _refuse_other_encodings(connection)
        # Two upgrades at once run one after the other.
        connection.exec_driver_sql("select pg_advisory_xact_lock(hashtextextended('order_sync schema', 0))")
        _refuse_newer(_version(connection), "The ledger")
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
        # After a restore, or a migration that wrote a table anew, PostgreSQL knows nothing of what is in them.
        connection.exec_driver_sql(
            "analyze attempts, batches, rejections, decisions, quarantine, windows, files_taken, run_records"
        )
    return HEAD


def _refuse_other_encodings(connection: sa.Connection) -> None:
    """Raise StopError unless the database is UTF-8: another encoding loses order ids, or changes them."""
    encoding = connection.exec_driver_sql("show server_encoding").scalar()
    if encoding != "UTF8":
        raise StopError(
            stops.ENCODING,
            f"The ledger's database has the encoding {encoding}, which can't hold every order id. Create it anew with "
            "`create database ... encoding 'UTF8' template template0`, and run the upgrade there.",
        )


def check(connection: sa.Connection, name: str) -> None:
    """Raise TryAgainError, with the command to run, unless the tables have the schema of this release.

    Raises StopError if the database's encoding can't hold every order id.

    Args:
        connection: to the ledger.
        name: the id of its Airflow connection, for the message.
    """
    _refuse_other_encodings(connection)
    found = _version(connection)
    connection.rollback()
    _refuse_newer(found, f"The ledger behind connection {name!r}")
    if found != HEAD:
        raise TryAgainError(
            f"The ledger behind connection {name!r} has schema {found or 'none'}, and this release needs {HEAD}. "
            f"Nothing was sent. Run `{UPGRADE_COMMAND}` with this release's code."
        )


def _version(connection: sa.Connection) -> str | None:
    # Each task has a new engine, with which SQLAlchemy's own way to ask for a table takes six times as long.
    if connection.exec_driver_sql("select to_regclass('alembic_version')").scalar() is None:
        return None
    return connection.exec_driver_sql("select version_num from alembic_version").scalar()


def _refuse_newer(found: str | None, ledger: str) -> None:
    """Raise TryAgainError for the schema of a newer release: no upgrade by this code can help."""
    if found is not None and found > HEAD:
        raise TryAgainError(
            f"{ledger} has schema {found}, of a newer release than this code, which needs {HEAD}. Nothing was sent. "
            "Bring this machine's code to that release."
        )


def connect(engine: sa.Engine, name: str) -> sa.Connection:
    """Return a new connection to the ledger.

    Args:
        engine: of the ledger's connection, by psycopg.
        name: the id of that connection, for the message.

    Raises:
        TryAgainError: the ledger can't be reached.
    """
    try:
        return engine.connect()
    except DBAPIError as error:
        said = database_message(error.orig)
        raise TryAgainError(
            f"The ledger behind connection {name!r} can't be reached: {said}. Nothing was sent. "
            f"If this goes on, look at {place(said)}."
        ) from None


@contextmanager
def guarded(lost: str, then: str) -> Iterator[None]:
    """Turn the loss of a database session into TryAgainError.

    Args:
        lost: names the session, for the message.
        then: the consequence, for the message.
    """
    try:
        yield
    except (psycopg.Error, DBAPIError) as raised:
        error = raised.orig if isinstance(raised, DBAPIError) else raised
        said = database_message(error)
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            raise StopError(
                stops.LEDGER_RIGHTS, f"The ledger's user lacks rights: {said}. Grant them. {then}"
            ) from None
        if not isinstance(error, (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)):
            raise
        if _is_lost(error):
            raise TryAgainError(f"{lost}: {said}. {then}") from None
        cure = CURES.get(error.sqlstate or "", "Look at the PostgreSQL server of the ledger.")
        raise TryAgainError(f"The ledger refused a statement ({type(error).__name__}): {said}. {cure} {then}") from None


def _is_lost(error: psycopg.Error) -> bool:
    """Return whether the database session has ended: it has no SQLSTATE then, or one of a lost connection."""
    state = error.sqlstate or ""
    return state[:2] in ("", "08") or state in ("57P01", "57P02", "57P03", "57P05")


@contextmanager
def transaction(engine: sa.Engine, name: str) -> Iterator[sa.Connection]:
    """Yield a connection to the ledger in one transaction, for work without a destination's lock.

    Raises:
        TryAgainError: the ledger can't be reached, or has another schema.
    """
    with connect(engine, name) as connection, guarded("The ledger's session is lost", "Nothing more was sent."):
        try:
            check(connection, name)
            # psycopg reads times in this form only.
            connection.exec_driver_sql("set local datestyle = 'ISO'")
            connection.exec_driver_sql(LIMIT_STATEMENTS)
            yield connection
        except BaseException:
            # Airflow's request to stop may come in the middle of a statement: a rollback would fail, and hide it.
            connection.invalidate()
            raise
        connection.commit()
