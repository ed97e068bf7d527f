"""The role that may only read the views of the read model."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

ROLE = "order_sync_reader"

VIEWS = (
    "order_history_v1",
    "order_state_v1",
    "held_v1",
    "rejections_v1",
    "reasons_v1",
    "runs_v1",
    "files_v1",
    "files_not_read_v1",
    "freshness_v1",
    "changes_v1",
)


def grant_reading(engine: sa.Engine) -> str:
    """Create the role, if it does not exist, and let it read the views; return a sentence about it.

    It has no login: a person or program gets one by `create role ... login in role order_sync_reader`.

    Args:
        engine: of the ledger, whose schema is this release's.
    """
    try:
        with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            known = connection.execute(sa.text("select from pg_roles where rolname = :role"), {"role": ROLE}).first()
            if known is None:
                connection.exec_driver_sql(f"create role {ROLE} nologin")
            schema = connection.exec_driver_sql("select quote_ident(current_schema)").scalar()
            connection.exec_driver_sql(f"grant usage on schema {schema} to {ROLE}")
            connection.exec_driver_sql(f"grant select on {', '.join(VIEWS)} to {ROLE}")
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise
        return (
            f"The ledger's user may not create the role {ROLE}, which may only read the views: let an administrator "
            f"run `create role {ROLE} nologin`, and run the upgrade again. All else works without it."
        )
    return f"The role {ROLE} may read the views ({', '.join(VIEWS)}), and nothing else."
